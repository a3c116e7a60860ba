//! Questions in plain words, planned and run: the files under `tests/questions` say which
//! question must give which SQL, which rows, or which refusal.
//!
//! To see what the planner makes of the questions of a file, run the test with
//! `PLANNER_SHOW=1` and `--nocapture`.

mod chat;
mod conversation;
mod engine;
mod layer;
mod local;
mod names;
mod properties;
mod providers;
mod table;

use engine::Engine;
use rivergen_studio::planner::{EmbeddedPlanner, PlanError, require_single_select};
use table::Case;

async fn run(name: &str) {
    let (context, rows) = table::schema(name);
    let engine = Engine::new(&context, &rows).await;
    let planner = EmbeddedPlanner::new();
    let show = std::env::var_os("PLANNER_SHOW").is_some();
    let mut failures = Vec::new();
    for case in table::cases(name) {
        let planned = planner.understand(&case.question, &context);
        let answer = match &planned {
            Ok(plan) => Some(engine.rows(&plan.sql).await),
            Err(_) => None,
        };
        if show {
            println!("\n? {}", case.question);
            match &planned {
                Ok(plan) => {
                    println!("sql {}\nsays {}", plan.sql, plan.explanation);
                    for understood in &plan.understood {
                        println!("understood {} = {}", understood.phrase, understood.meaning);
                    }
                    match answer.as_ref() {
                        Some(Ok(rows)) => rows.iter().for_each(|row| println!("> {}", row.join(" | "))),
                        other => println!("!! {other:?}"),
                    }
                }
                Err(error) => println!("!! {error:?}"),
            }
        }
        let problem = match planned {
            Ok(plan) => {
                let answer = answer.unwrap_or(Ok(vec![]));
                check_plan(&case, &plan, answer)
            }
            Err(error) => check_error(&case, &error, &planner, &context),
        };
        if let Err(problem) = problem {
            failures.push(format!("? {}\n  {problem}", case.question));
        }
    }
    assert!(failures.is_empty(), "{} of {name} fail:\n{}", failures.len(), failures.join("\n"));
}

fn check_plan(
    case: &Case,
    plan: &rivergen_studio::planner::Plan,
    answer: Result<Vec<Vec<String>>, String>,
) -> Result<(), String> {
    if case.unknown.is_some() || !case.error.is_empty() {
        return Err(format!("must be refused, but gives {}", plan.sql));
    }
    require_single_select(&plan.sql).map_err(|error| format!("{error}: {}", plan.sql))?;
    let answer = answer.map_err(|error| format!("does not run: {error}\n  {}", plan.sql))?;
    if case.sql.as_ref().is_some_and(|sql| *sql != plan.sql) {
        return Err(format!("gives {}", plan.sql));
    }
    if case.rows.as_ref().is_some_and(|rows| *rows != answer) {
        return Err(format!("answers {answer:?}\n  by {}", plan.sql));
    }
    if case.sql.is_none() && case.rows.is_none() {
        return Err("expects neither SQL nor rows".to_owned());
    }
    if let Some(missing) = case.says.iter().find(|part| !plan.explanation.contains(*part)) {
        return Err(format!("does not say \"{missing}\" but \"{}\"", plan.explanation));
    }
    let understood: Vec<String> =
        plan.understood.iter().map(|understood| format!("{} = {}", understood.phrase, understood.meaning)).collect();
    if let Some(missing) = case.understood.iter().find(|part| !understood.contains(part)) {
        return Err(format!("does not understand \"{missing}\" but {understood:?}"));
    }
    if plan.understood.is_empty() || !(0.0..=1.0).contains(&plan.confidence) {
        return Err(format!("understood {understood:?} with confidence {}", plan.confidence));
    }
    Ok(())
}

fn check_error(
    case: &Case,
    error: &PlanError,
    planner: &EmbeddedPlanner,
    context: &rivergen_studio::planner::Context,
) -> Result<(), String> {
    match error {
        PlanError::NotUnderstood { message, unknown_words, suggestions } => {
            if case.unknown.as_ref() != Some(unknown_words) {
                return Err(format!("is not understood: {message} {unknown_words:?} {suggestions:?}"));
            }
            if let Some(missing) = case.error.iter().find(|part| !message.contains(*part)) {
                return Err(format!("does not say \"{missing}\" but \"{message}\""));
            }
            if let Some(missing) = case.suggests.iter().find(|wanted| !suggestions.contains(wanted)) {
                return Err(format!("does not suggest \"{missing}\" but {suggestions:?}"));
            }
            if suggestions.is_empty() {
                return Err("suggests nothing".to_owned());
            }
            match suggestions.iter().find(|suggested| planner.understand(suggested, context).is_err()) {
                Some(suggested) => Err(format!("suggests \"{suggested}\", which is not understood")),
                None => Ok(()),
            }
        }
        other => Err(format!("fails: {other:?}")),
    }
}

#[tokio::test]
async fn sales() {
    run("sales").await;
}

#[tokio::test]
async fn hr() {
    run("hr").await;
}

#[tokio::test]
async fn web() {
    run("web").await;
}

#[tokio::test]
async fn museums() {
    run("museums").await;
}

#[test]
fn enough_is_tested() {
    let cases: Vec<Case> = ["sales", "hr", "web", "museums"].into_iter().flat_map(table::cases).collect();
    let run = cases.iter().filter(|case| case.rows.is_some()).count();
    assert!(cases.len() >= 120 && run >= 60, "{} questions, {run} with rows", cases.len());
}
