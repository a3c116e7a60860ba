//! What people say of the data, in plans of the embedded planner.

use rivergen_studio::planner::{ColumnPlace, Context, EmbeddedPlanner, Join, PlanError, Synonym};

use super::engine::Engine;
use super::table;

fn place(context: &Context, name: &str) -> ColumnPlace {
    context.column_place(name).unwrap_or_else(|| panic!("no {name}"))
}

async fn rows(engine: &Engine, context: &Context, question: &str) -> Vec<String> {
    let plan = EmbeddedPlanner::new().understand(question, context).unwrap_or_else(|e| panic!("{question}: {e:?}"));
    let rows = engine.rows(&plan.sql).await.unwrap_or_else(|error| panic!("{}: {error}", plan.sql));
    rows.iter().map(|row| row.join(" | ")).collect()
}

#[tokio::test]
async fn a_metric_is_counted_as_it_is_defined() {
    let (mut context, data) = table::schema("sales");
    let engine = Engine::new(&context, &data).await;
    let orders = context.table_place("orders.files.orders").unwrap();
    let metric = context.metric("net sales", orders, "sum(amount) where status in ('paid', 'shipped')").unwrap();
    context.layer.metrics.push(metric);
    assert_eq!(rows(&engine, &context, "What are the net sales?").await, ["7600"]);
    assert_eq!(
        rows(&engine, &context, "net sales by region").await,
        ["EU | 3800", "US | 3500", "APAC | 300"],
        "groups of the metric's own rows"
    );
    assert_eq!(rows(&engine, &context, "total net sales in EU").await, ["3800"]);
    assert_eq!(
        rows(&engine, &context, "top 2 customers by net sales").await,
        ["1 | Ann Archer | 4300", "3 | Cid Clark | 1500"]
    );
    assert_eq!(
        rows(&engine, &context, "customers with net sales over 1400").await,
        ["1 | Ann Archer | 4300", "3 | Cid Clark | 1500"]
    );
    assert_eq!(rows(&engine, &context, "average net sales per customer").await.len(), 1);
    let plan = EmbeddedPlanner::new().understand("net sales by category", &context).unwrap();
    assert!(plan.explanation.contains("et sales (sum(amount) where status in ('paid', 'shipped')"), "{plan:?}");
    assert!(plan.sql.contains(r#"AS "net_sales""#), "{}", plan.sql);
}

#[tokio::test]
async fn a_formula_means_what_its_parentheses_say() {
    let (mut context, data) = table::schema("sales");
    let engine = Engine::new(&context, &data).await;
    let orders = context.table_place("orders.files.orders").unwrap();
    let definition =
        "sum((amount - 100) * quantity) where not (status = 'paid' or region = 'US') and status is not null";
    let metric = context.metric("surplus", orders, definition).unwrap();
    context.layer.metrics.push(metric);
    // Orders 1, 3, 7, 8 and 12: 900 + 200 + 4200 + 200 + 200.
    assert_eq!(rows(&engine, &context, "surplus").await, ["5700"]);
}

/// Paid or shipped are eight orders of 7600: in EU four of 3800, in US three of 3500, in APAC one of 300.
#[tokio::test]
async fn a_metric_divides_one_aggregate_by_another() {
    let (mut context, data) = table::schema("sales");
    let engine = Engine::new(&context, &data).await;
    let orders = context.table_place("orders.files.orders").unwrap();
    for (name, definition) in [
        ("revenue per order", "sum(amount) / count(*) where status in ('paid', 'shipped')"),
        ("orders per customer", "count(*) / count(distinct customer_id)"),
        ("refund value", "sum(amount) / count(*) where status = 'unheard of'"),
    ] {
        let metric = context.metric(name, orders, definition).unwrap();
        context.layer.metrics.push(metric);
    }
    assert_eq!(rows(&engine, &context, "What is the revenue per order?").await, ["950"]);
    assert_eq!(
        rows(&engine, &context, "revenue per order by region").await,
        ["US | 1166.67", "EU | 950", "APAC | 300"]
    );
    assert_eq!(rows(&engine, &context, "customers with revenue per order over 1400").await, ["3 | Cid Clark | 1500"]);
    // Twelve orders of four customers, in US five of three: the quotient of whole numbers keeps its fraction.
    assert_eq!(rows(&engine, &context, "orders per customer").await, ["3"]);
    assert_eq!(rows(&engine, &context, "orders per customer in US").await, ["1.67"]);
    // Nothing divided by nothing is nothing.
    assert_eq!(rows(&engine, &context, "refund value").await, [""]);
    let planner = EmbeddedPlanner::new();
    let share = planner.understand("percentage of revenue per order by region", &context);
    assert!(matches!(share, Err(PlanError::NotUnderstood { .. })), "{share:?}");
    let plan = planner.understand("revenue per order by category", &context).unwrap();
    assert!(plan.explanation.contains("evenue per order (sum(amount) / count(*)"), "{plan:?}");
}

#[test]
fn a_word_means_what_was_said_of_it() {
    let (mut context, _) = table::schema("sales");
    let planner = EmbeddedPlanner::new();
    assert!(planner.understand("customers by turf", &context).is_err());
    let region = place(&context, "crm.main.customers.region");
    let synonym = |phrase: &str, is_value| Synonym {
        phrase: phrase.to_owned(),
        table: region.table,
        column: Some(region.column),
        is_value,
    };
    context.layer.synonyms.push(synonym("turf", false));
    let plan = planner.understand("customers by turf", &context).unwrap();
    assert!(plan.sql.contains(r#"GROUP BY "customers"."region""#), "{}", plan.sql);
    // Where the rules tell which one is meant, they go first.
    context.layer.synonyms.push(synonym("regions", false));
    let plan = planner.understand("how many orders per region", &context).unwrap();
    assert!(plan.sql.contains(r#"GROUP BY "orders"."region""#), "{}", plan.sql);
    let plan = planner.understand("which regions are there", &context).unwrap();
    assert!(plan.sql.contains(r#"FROM "crm"."main"."customers""#), "{}", plan.sql);
}

#[test]
fn what_nothing_decides_is_asked() {
    let (mut context, _) = table::schema("sales");
    let planner = EmbeddedPlanner::new();
    let question = "which regions are there";
    assert!(planner.understand(question, &context).is_ok(), "whoever does not want to be asked is answered");
    context.asks = true;
    let Err(PlanError::Ambiguous { message, word, choices }) = planner.understand(question, &context) else {
        panic!("nothing is asked");
    };
    let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
    assert_eq!((word.as_str(), labels), ("regions", vec!["orders.region", "customers.region"]));
    assert!(message.contains("orders.region or customers.region"), "{message}");
    let meant = place(&context, &choices[1].of);
    let (table, column) = (meant.table, Some(meant.column));
    context.layer.synonyms.push(Synonym { phrase: word, table, column, is_value: false });
    let plan = planner.understand(question, &context).unwrap();
    assert!(plan.sql.contains(r#"FROM "crm"."main"."customers""#), "{}", plan.sql);
    // What the rules decide is not asked.
    for question in ["how many orders per region", "customers in EU", "total amount by product category"] {
        assert!(planner.understand(question, &context).is_ok(), "{question}");
    }
}

/// A guess would be wrong as often as right, so it is asked even of those who do not want to be.
#[test]
fn a_value_that_one_row_may_have_twice_is_asked_about() {
    let (mut context, _) = table::schema("museums");
    let planner = EmbeddedPlanner::new();
    let question = "how many rides in Bern";
    let Err(PlanError::Ambiguous { word, choices, .. }) = planner.understand(question, &context) else {
        panic!("nothing is asked");
    };
    let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
    assert_eq!((word.as_str(), labels), ("Bern", vec!["ride.start_town is Bern", "ride.end_town is Bern"]));
    let meant = place(&context, &choices[1].of);
    let (table, column) = (meant.table, Some(meant.column));
    context.layer.synonyms.push(Synonym { phrase: word, table, column, is_value: true });
    let plan = planner.understand(question, &context).unwrap();
    assert!(plan.sql.contains(r#"WHERE "ride"."end_town" = 'Bern'"#), "{}", plan.sql);
}

#[test]
fn tables_of_one_name_are_asked_about() {
    let (mut context, _) = table::schema("sales");
    let mut other = context.tables[0].clone();
    other.catalog = "archive".into();
    context.tables.push(other);
    context.asks = true;
    let planner = EmbeddedPlanner::new();
    let Err(PlanError::Ambiguous { word, choices, .. }) = planner.understand("how many orders", &context) else {
        panic!("nothing is asked");
    };
    let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
    assert_eq!((word.as_str(), labels), ("orders", vec!["orders.files.orders", "archive.files.orders"]));
    let table = context.table_place(&choices[1].of).unwrap();
    context.layer.synonyms.push(Synonym { phrase: word, table, column: None, is_value: false });
    let plan = planner.understand("how many orders", &context).unwrap();
    assert!(plan.sql.contains(r#"FROM "archive"."files"."orders""#), "{}", plan.sql);
}

#[test]
fn a_confirmed_join_goes_before_what_names_tell() {
    let (mut context, _) = table::schema("sales");
    let planner = EmbeddedPlanner::new();
    let join = Join {
        from: place(&context, "orders.files.orders.product_id"),
        to: place(&context, "products.files.products.price"),
        one_to_one: false,
    };
    context.layer.joins.push(join);
    let plan = planner.understand("total amount by product category", &context).unwrap();
    assert!(plan.sql.contains(r#"ON "orders"."product_id" = "products"."price""#), "{}", plan.sql);
}
