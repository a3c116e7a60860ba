//! The leak oracle: nothing of what policies hide is in any answer.
//!
//! A case is a small world of tables, policies over them and one query. The query runs through a session with the
//! policies, and through a session without any over copies of the tables to which [`reference`] applied the
//! policies beforehand, in plain Rust that shares nothing with the engine. Rows, success and the words of a failure
//! must be the same, whether the tables lie in memory or in a database that the plan is pushed to. What the first session tells is then a function of what the caller may see, and of nothing else.
//!
//! `RIVERGEN_ORACLE_CASES` sets the number of cases (1,000), `RIVERGEN_ORACLE_SEED` the seed (fixed, so that a run
//! can be repeated; a failure prints it together with the shrunk case).

mod choices;
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
use rivergen_query::{GovernedTable, Limits, QueryError, Session, SessionSpec};
use serde_json::Value as Json;

use crate::{choices::Choices, world::World};

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

    let outcome = runner.run(&vec(any::<u16>(), 20..400), |numbers| {
        let mut choices = Choices::new(numbers);
        let world = World::generate(&mut choices);
        let query = sql::query(&mut choices, &world);
        // In half of the cases some tables lie in a database, and what it can compute is pushed to it.
        let everywhere = choices.percent(50);
        let in_database =
            world.tables.iter().map(|table| table.name).filter(|_| everywhere && choices.percent(75)).collect();
        runtime.block_on(case(&world, &in_database, &query, &mut tally.borrow_mut()))
    });
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
    }
}

async fn case(
    world: &World,
    in_database: &BTreeSet<&str>,
    query: &str,
    tally: &mut Tally,
) -> Result<(), TestCaseError> {
    let governed = answer(world.governed(in_database), query).await;
    let expected = answer(world.applied_beforehand(), query).await;
    tally.cases += 1;
    match &governed {
        Ok(rows) => {
            tally.answered += 1;
            tally.with_rows += u32::from(!rows.is_empty());
        }
        Err(_) => tally.failed += 1,
    }
    if governed != expected {
        return Err(TestCaseError::fail(format!(
            "{query}\n  governed: {governed:?}\n  expected: {expected:?}\n{world}in a database: {in_database:?}"
        )));
    }
    let open = answer(world.ungoverned(), query).await;
    tally.raises_on_hidden += u32::from(governed.is_ok() && open.is_err());
    tally.differs_without_policies += u32::from(governed != open);
    Ok(())
}

/// The rows as a multiset, or the words of the failure.
async fn answer(tables: Vec<GovernedTable>, query: &str) -> Result<Vec<String>, String> {
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
    Ok(rows)
}
