//! How well a planner answers: questions with gold SQL, asked one by one, their answers held against the gold ones.
//!
//! ```text
//!  questions in a published format ─┐                    ┌─ abstained: it said what it did not understand
//!    Spider, WikiSQL, CSV           ├─ planner ─ SQL ────┼─ right: the rows are the gold rows
//!  their databases ─────────────────┘                    ├─ wider: the gold columns are there, with further ones
//!                                                        └─ wrong: other rows, or SQL that does not run
//! ```
//!
//! A question without gold SQL cannot be answered from its data: abstaining is right, and any answer is wrong. A wrong answer
//! counts double, because somebody may believe it.

mod answer;
mod database;
mod difficulty;
mod dump;
mod report;
mod suite;
mod ties;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::planner::{PlanError, Planner};

pub use database::Database;
pub use report::{Report, Row};
pub use suite::{Case, Gold, Suite};

/// Why a set of questions cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum EvalError {
    #[error("{path}: {reason}")]
    Unreadable { path: String, reason: String },
}

impl EvalError {
    fn new(path: impl AsRef<std::path::Path>, reason: impl ToString) -> Self {
        Self::Unreadable { path: path.as_ref().display().to_string(), reason: reason.to_string() }
    }
}

/// What became of one question, the best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    Right,
    /// The gold answer is in it, with further columns.
    Wider,
    Wrong,
    Abstained,
    /// The gold SQL does not run here, or the planner could not be reached: not counted.
    Unmeasured,
}

/// One question, asked.
#[derive(Debug, Clone)]
pub struct Asked {
    pub verdict: Verdict,
    pub took: Duration,
    /// The SQL that the planner wrote, or why it wrote none.
    pub said: String,
}

/// Asks every question of the set, in its order.
pub async fn run(
    suite: &Suite,
    planner: &dyn Planner,
    mut heard: impl FnMut(&Case, &Asked),
) -> Result<Report, EvalError> {
    let mut report = Report::default();
    let mut open: BTreeMap<&str, Database> = BTreeMap::new();
    for case in &suite.cases {
        if !open.contains_key(case.database.as_str()) {
            // One at a time: some are large.
            open.clear();
            open.insert(&case.database, suite.open(&case.database).await?);
        }
        let Some(database) = open.get(case.database.as_str()) else { continue };
        let asked = ask(case, database, planner).await;
        heard(case, &asked);
        report.add(&case.difficulty, &asked);
    }
    Ok(report)
}

async fn ask(case: &Case, database: &Database, planner: &dyn Planner) -> Asked {
    let began = Instant::now();
    let plan = planner.plan(&case.question, database.context()).await;
    let took = began.elapsed();
    let sql = match plan {
        Ok(plan) => plan.sql,
        Err(error) => {
            let verdict = match (&error, &case.gold) {
                (PlanError::Unavailable { .. }, _) => Verdict::Unmeasured,
                (_, Gold::None) => Verdict::Right,
                // As where it is answered: it counts where there is something to hold it against.
                (_, gold) => match database.gold(gold).await.is_empty() {
                    true => Verdict::Unmeasured,
                    false => Verdict::Abstained,
                },
            };
            return Asked { verdict, took, said: error.to_string() };
        }
    };
    let verdict = match &case.gold {
        Gold::None => Verdict::Wrong,
        gold => {
            let golds = database.gold(gold).await;
            match (golds.is_empty(), database.run(&sql).await) {
                (true, _) => Verdict::Unmeasured,
                (false, Err(_)) => Verdict::Wrong,
                (false, Ok(answer)) => golds.iter().map(|gold| answer.compare(gold)).min().unwrap_or(Verdict::Wrong),
            }
        }
    };
    Asked { verdict, took, said: sql }
}
