//! The leak oracle: nothing of what policies hide is in any answer.
//!
//! A case is a small world of tables, policies over them and one query. The query runs through a session with the
//! policies, and through a session without any over copies of the tables to which [`reference`] applied the
//! policies beforehand, in plain Rust that shares nothing with the engine. Rows, success and the words of a failure
//! must be the same, whether the tables lie in memory or in a database that the plan is pushed to: SQLite in the process, and
//! PostgreSQL where `RIVERGEN_TEST_POSTGRES_URL` names a server. What the first session tells is then a function of what the
//! caller may see, and of nothing else. A query that names a closed table is refused in words that say nothing of the table
//! but its name; where a policy limits the rows, they are some of those that may be seen, as many as it lets through.
//!
//! `RIVERGEN_ORACLE_CASES` sets the number of cases (1,000), `RIVERGEN_ORACLE_SEED` the seed (fixed, so that a run
//! can be repeated; a failure prints it together with the shrunk case).

mod choices;
#[path = "../connected/mod.rs"]
mod connected;
mod postgres;
mod reference;
mod sql;
mod sqlite;
mod world;

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use proptest::{
    collection::vec,
    prelude::any,
    test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner},
};
use rivergen_policies::mask::HashKey;
use rivergen_query::{GovernedTable, Limits, QueryError, QueryThreads, Session, SessionSpec};
use serde_json::Value as Json;

use crate::{choices::Choices, postgres::Postgres, world::World};

const DEFAULT_CASES: u32 = 1_000;
const DEFAULT_SEED: u64 = 0x5eed;

/// What the cases were like, so that a generator that went dull is noticed.
#[derive(Debug, Default)]
struct Tally {
    cases: u32,
    answered: u32,
    failed: u32,
    with_rows: u32,
    /// Without policies the query fails: hidden rows or masked values raise, and must not be met.
    raises_on_hidden: u32,
    /// Without policies the answer is another.
    differs_without_policies: u32,
    /// Named a closed table.
    refused: u32,
    /// Were cut off by a policy.
    limited: u32,
    in_postgres: u32,
}

#[test]
fn an_answer_is_a_function_of_what_may_be_seen() {
    let setting = |name: &str| std::env::var(name).ok().and_then(|value| value.parse::<u64>().ok());
    let cases =
        setting("RIVERGEN_ORACLE_CASES").map_or(DEFAULT_CASES, |cases| u32::try_from(cases).unwrap_or(u32::MAX));
    let seed = setting("RIVERGEN_ORACLE_SEED").unwrap_or(DEFAULT_SEED);
    let mut bytes = [0_u8; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config { cases, failure_persistence: None, max_shrink_iters: 1_000, ..Config::default() };
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let tally = RefCell::new(Tally::default());

    let server = runtime.block_on(Postgres::create());
    let outcome = runner.run(&vec(any::<u16>(), 20..500), |numbers| {
        let mut choices = Choices::new(numbers);
        let world = World::generate(&mut choices);
        let query = sql::query(&mut choices, &world);
        // In half of the cases some tables lie in a database, and what it can compute is pushed to it.
        let everywhere = choices.percent(50);
        let in_database =
            world.tables.iter().map(|table| table.name).filter(|_| everywhere && choices.percent(75)).collect();
        // One that has to be asked over a connection is asked less often, so that a run stays short.
        let server = server.as_ref().filter(|_| everywhere && choices.percent(35));
        runtime.block_on(case(&world, &in_database, server, &query, &mut tally.borrow_mut()))
    });
    let has_server = server.is_some();
    if let Some(server) = server {
        runtime.block_on(server.remove());
    }
    let tally = tally.into_inner();
    println!("{tally:?}");
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, numbers)) => {
            panic!("seed {seed}: {reason}\nRIVERGEN_ORACLE_SEED={seed} repeats it; choices {numbers:?}")
        }
        Err(other) => panic!("seed {seed}: {other}"),
    }
    if cases >= DEFAULT_CASES {
        let share = |part: u32| f64::from(part) / f64::from(tally.cases);
        assert!(share(tally.answered) > 0.5 && share(tally.with_rows) > 0.3, "few queries have answers: {tally:?}");
        assert!(share(tally.raises_on_hidden) > 0.02, "hidden rows seldom raise: {tally:?}");
        assert!(share(tally.differs_without_policies) > 0.3, "policies seldom matter: {tally:?}");
        assert!(tally.refused > 0 && tally.limited > 0, "no table is closed, or no answer cut off: {tally:?}");
        assert!(!has_server || share(tally.in_postgres) > 0.02, "PostgreSQL is seldom asked: {tally:?}");
    }
}

async fn case(
    world: &World,
    in_database: &BTreeSet<&str>,
    server: Option<&Postgres>,
    query: &str,
    tally: &mut Tally,
) -> Result<(), TestCaseError> {
    let governed = answer(world.governed(in_database, server).await, query).await;
    let expected = answer(world.applied_beforehand(), query).await;
    tally.cases += 1;
    tally.in_postgres += u32::from(server.is_some());
    match &governed {
        Ok(told) => {
            tally.answered += 1;
            tally.with_rows += u32::from(!told.rows.is_empty());
            tally.limited += u32::from(told.truncated);
        }
        Err(_) => tally.failed += 1,
    }
    let refusals = world.refusals(query);
    let is_right = match (&governed, &expected, world.max_rows(query)) {
        _ if !refusals.is_empty() => governed.as_ref().is_err_and(|words| refusals.contains(words)),
        (Ok(told), Ok(whole), Some(most)) => told.is_cut_of(whole, most),
        // Whether the row that raises comes before the cut is chance.
        (Ok(told), Err(_), Some(most)) => told.rows.len() as u64 == most && told.truncated,
        _ => governed == expected,
    };
    tally.refused += u32::from(!refusals.is_empty());
    if !is_right {
        let place = if server.is_some() { "PostgreSQL" } else { "SQLite" };
        return Err(TestCaseError::fail(format!(
            "{query}\n  governed: {governed:?}\n  expected: {expected:?}\n{world}in {place}: {in_database:?}"
        )));
    }
    let open = answer(world.ungoverned(), query).await;
    tally.raises_on_hidden += u32::from(governed.is_ok() && open.is_err());
    tally.differs_without_policies += u32::from(governed != open);
    Ok(())
}

/// An answer: its rows as a multiset, and whether it says that there are more.
#[derive(Debug, PartialEq)]
struct Told {
    rows: Vec<String>,
    truncated: bool,
}

impl Told {
    /// Whether it is the whole, or so many rows of it and says so.
    fn is_cut_of(&self, whole: &Told, most: u64) -> bool {
        if whole.rows.len() as u64 <= most {
            return self == whole;
        }
        let mut others = whole.rows.clone();
        let mut take = |row: &String| others.iter().position(|other| other == row).map(|at| others.swap_remove(at));
        self.truncated && self.rows.len() as u64 == most && self.rows.iter().all(|row| take(row).is_some())
    }
}

/// What is answered, or the words of the failure.
async fn answer(tables: Vec<GovernedTable>, query: &str) -> Result<Told, String> {
    let session = Session::open(SessionSpec {
        tables,
        limits: Limits {
            max_rows: 100_000,
            max_bytes: 64 << 20,
            timeout: Duration::from_secs(60),
            memory_bytes: 256 << 20,
            spill_directory: std::env::temp_dir(),
            max_spill_bytes: 1 << 20,
        },
        hash_key: HashKey::new(world::HASH_KEY),
        default_schema: None,
        object_stores: Vec::new(),
        target_partitions: Some(1),
        threads: QueryThreads::default(),
    })
    .map_err(|error| error.to_string())?;
    let told = |error: QueryError| match error {
        // What the engine cannot do is the same with and without policies, but its words may name the plan.
        QueryError::Internal(_) => "internal".to_owned(),
        QueryError::SourceUnavailable(source) => format!("a source failed, which none does here: {source}"),
        other => other.to_string(),
    };
    let planned = session.plan(query, &Default::default()).await.map_err(told)?;
    let answer = planned.collect_json_rows().await.map_err(told)?;
    let mut rows: Vec<String> = answer.rows.into_iter().map(|row| Json::Array(row).to_string()).collect();
    rows.sort_unstable();
    Ok(Told { rows, truncated: answer.outcome.truncated })
}
