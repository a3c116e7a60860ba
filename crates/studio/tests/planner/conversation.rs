//! Questions that go on from others, planned by the embedded planner and run.

use rivergen_studio::planner::{Context, EmbeddedPlanner, Plan, PlanError, Turn};

use super::engine::Engine;
use super::table;

fn after(context: &Context, thread: &[&str]) -> Context {
    let turn = |question: &&str| Turn { question: (*question).to_owned(), sql: None };
    Context { thread: thread.iter().map(turn).collect(), ..context.clone() }
}

fn plan(context: &Context, thread: &[&str], question: &str) -> Plan {
    let planned = EmbeddedPlanner::new().understand(question, &after(context, thread));
    planned.unwrap_or_else(|error| panic!("{thread:?} {question}: {error:?}"))
}

async fn rows(engine: &Engine, plan: &Plan) -> Vec<String> {
    let rows = engine.rows(&plan.sql).await.unwrap_or_else(|error| panic!("{}: {error}", plan.sql));
    rows.iter().map(|row| row.join(" | ")).collect()
}

#[tokio::test]
async fn a_question_goes_on_from_those_before() {
    let (context, data) = table::schema("sales");
    let engine = Engine::new(&context, &data).await;
    let first = "How many orders per region?";
    for (thread, question, expected) in [
        (vec![first], "only last year", vec!["EU | 3", "US | 2"]),
        (vec![first, "only last year"], "only EU", vec!["EU | 3"]),
        // The newer value takes the place of the older one.
        (vec![first, "only last year", "only EU"], "what about US?", vec!["US | 2"]),
        (vec![first, "only EU and US"], "only APAC", vec!["APAC | 1"]),
        (vec![first], "only EU or APAC", vec!["EU | 6", "APAC | 1"]),
        (vec![first], "top 1", vec!["EU | 6"]),
        (vec![first], "without cancelled", vec!["EU | 6", "US | 4", "APAC | 1"]),
        (vec![first], "without region", vec!["12"]),
        (vec![first, "only last year", "without region"], "in 2024", vec!["2"]),
        (vec![first, "only EU"], "as a chart", vec!["EU | 6"]),
        (vec!["orders in EU by status"], "top 1", vec!["shipped | 3"]),
    ] {
        let planned = plan(&context, &thread, question);
        assert_eq!(rows(&engine, &planned).await, expected, "{thread:?} {question}\n{}", planned.sql);
        assert!(planned.explanation.contains("It goes on from \"How many") || thread[0] != first, "{planned:?}");
    }
}

#[tokio::test]
async fn another_order_takes_the_place_of_the_one_before() {
    let (context, data) = table::schema("hr");
    let engine = Engine::new(&context, &data).await;
    let sorted = "last names of employees sorted by salary";
    let newest = "last names of employees, newest first";
    for (first, question, expected) in [
        (sorted, "oldest first", ["Dunn", "Adams", "Cole", "Boyd", "Ford", "East"]),
        (newest, "sorted by last name descending", ["Ford", "East", "Dunn", "Cole", "Boyd", "Adams"]),
    ] {
        let planned = plan(&context, &[first], question);
        assert_eq!(rows(&engine, &planned).await, expected, "{first} {question}\n{}", planned.sql);
    }
}

#[test]
fn what_changes_is_told() {
    let (context, _) = table::schema("sales");
    let said = |thread: &[&str], question: &str| -> Vec<String> {
        let understood = plan(&context, thread, question).understood;
        understood.into_iter().map(|part| format!("{} = {}", part.phrase, part.meaning)).collect()
    };
    let changed = said(&["How many orders per region?", "only EU"], "only US");
    assert!(changed.contains(&"US = in the place of \"EU\"".to_owned()), "{changed:?}");
    let dropped = said(&["How many orders per region?"], "without region");
    assert!(dropped.iter().any(|part| part.ends_with("= left out")), "{dropped:?}");
    let by_month = plan(&context, &["How many orders by year"], "by month");
    assert!(by_month.sql.contains("date_trunc('month'") && !by_month.sql.contains("'year'"), "{}", by_month.sql);
    let both = plan(&context, &["How many orders per region?"], "by month");
    assert!(both.sql.contains("\"region\"") && both.sql.contains("date_trunc('month'"), "{}", both.sql);
    let instead = plan(&context, &["How many orders per region?"], "by month instead");
    assert!(!instead.sql.contains("\"region\""), "{}", instead.sql);
    let average = plan(&context, &["How many orders per region?"], "average amount instead");
    assert!(average.sql.contains("avg(\"orders\".\"amount\")") && !average.sql.contains("count(*)"), "{}", average.sql);
    let more = plan(&context, &["How many orders per region?"], "and the average amount");
    assert!(more.sql.contains("avg(\"orders\".\"amount\")") && more.sql.contains("count(*)"), "{}", more.sql);
}

#[test]
fn a_whole_question_stands_by_itself() {
    let (context, _) = table::schema("sales");
    let alone = plan(&context, &[], "How many customers are there?");
    let later = plan(&context, &["How many orders per region?", "only EU"], "How many customers are there?");
    assert_eq!(later.sql, alone.sql);
    assert!(later.explanation.ends_with("This is read as a question of its own."), "{}", later.explanation);
    // And what follows it goes on from it.
    let thread = ["How many orders per region?", "How many customers are there?"];
    let eu = plan(&context, &thread, "only in EU");
    assert!(eu.sql.contains("\"customers\".\"region\" = 'EU'"), "{}", eu.sql);
    // One that is not understood before it does not matter.
    assert_eq!(plan(&context, &["Which penguins sing?"], "How many customers are there?").sql, alone.sql);
}

#[test]
fn what_changes_nothing_is_no_question() {
    let (context, _) = table::schema("sales");
    for question in ["only penguins", "what about", "also orders", ""] {
        let planned = EmbeddedPlanner::new().understand(question, &after(&context, &["How many orders per region?"]));
        assert!(matches!(planned, Err(PlanError::NotUnderstood { .. })), "{question}: {planned:?}");
    }
}
