//! TPC-H over Parquet: governed, ungoverned, plain DataFusion, DuckDB.
//!
//! The governed session has a row filter on each of the two large tables that every row passes, and a mask on a column
//! that no query shows: all four do the same work and answer the same, and what governing costs is seen.

use std::{
    path::{Path, PathBuf},
    process::Command,
    time::{Duration, Instant},
};

use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use rivergen_policies::rule::{EffectivePolicy, PolicyType, RuleType};
use rivergen_query::json;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    cores,
    duckdb::DuckDb,
    engine::{Engine, Timed, policy},
    error::{BenchError, Result},
    median,
    report::{Goal, Report},
};

/// In which order the sides run, each time in another: each comes once behind each of the others, as what ran before leaves
/// caches cold and threads that are still at work (a Williams design).
const ORDERS: [[usize; 4]; 4] = [[0, 1, 3, 2], [1, 2, 0, 3], [2, 3, 1, 0], [3, 0, 2, 1]];

pub const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];

macro_rules! queries {
    ($($name:literal)+) => { [$(($name, include_str!(concat!("../tpch/", $name, ".sql")))),+] };
}

pub const QUERIES: [(&str, &str); 22] = queries!("q01" "q02" "q03" "q04" "q05" "q06" "q07" "q08" "q09" "q10" "q11"
    "q12" "q13" "q14" "q15" "q16" "q17" "q18" "q19" "q20" "q21" "q22");

/// Measures all queries. Without a Python that has DuckDB and tpchgen-cli nothing is, and said so.
pub fn measure(python: Option<&Path>, scale: f64, report: &mut Report) -> Result<()> {
    let Some(python) = python else {
        report.note("TPC-H: not measured: the Python packages duckdb and tpchgen-cli are not installed.");
        return Ok(());
    };
    let directory = TempDir::new()?;
    generate(python, "parquet", scale, directory.path())?;
    let files = parquet(&TABLES, directory.path());
    let mut duckdb = DuckDb::start(python, &files)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = runtime.block_on(Engine::open(directory.path(), &files, policies()?))?;
    let plain = runtime.block_on(plain_datafusion(&files))?;
    let (mut to_ungoverned, mut to_plain, mut to_duckdb) = (Vec::new(), Vec::new(), Vec::new());
    for (name, sql) in QUERIES {
        let mut run = |side: usize| match side {
            0 => runtime.block_on(engine.run(sql, true)),
            1 => runtime.block_on(engine.run(sql, false)),
            2 => runtime.block_on(run_plain(&plain, sql)),
            _ => duckdb.run(sql),
        };
        // The first run of each warms it up, and its answer is compared.
        let ours = run(0)?;
        for (side, called) in (1..).zip(["ungoverned", "DataFusion", "DuckDB"]) {
            same(name, called, &ours, &run(side)?)?;
        }
        let mut times: [Vec<f64>; 4] = Default::default();
        for side in ORDERS.into_iter().flatten() {
            times[side].push(run(side)?.milliseconds());
        }
        let [governed, ungoverned, datafusion, theirs] = times.map(median);
        let against = format!("{theirs:.0} ms DuckDB, {datafusion:.0} DataFusion, {ungoverned:.0} ungoverned");
        report.compare(
            format!("TPC-H {name}"),
            format!("{governed:.0} ms"),
            against,
            governed / theirs,
            Goal::AtMost(1.3),
        );
        to_ungoverned.push(governed / ungoverned);
        to_plain.push(governed / datafusion);
        to_duckdb.push(governed / theirs);
    }
    let version = duckdb.version.clone();
    let mut mean = |against: &str, ratios: &[f64], goal| {
        let what = "TPC-H, geometric mean";
        report.compare(what, "governed".to_owned(), against.to_owned(), geometric_mean(ratios), goal);
    };
    mean("ungoverned", &to_ungoverned, Goal::AtMost(1.05));
    mean("plain DataFusion", &to_plain, Goal::AtMost(1.05));
    mean("DuckDB", &to_duckdb, Goal::AtMost(1.3));
    report.note(format!("TPC-H: scale {scale}, Parquet, {} threads, DuckDB {version}.", cores()));
    Ok(())
}

/// The tables as files of a form: `parquet` or `csv`.
pub fn generate(python: &Path, form: &str, scale: f64, directory: &Path) -> Result<()> {
    let program = python.with_file_name("tpchgen-cli");
    let mut command = Command::new(&program);
    command.arg(form).arg("--scale-factor").arg(scale.to_string()).arg("--output-dir").arg(directory);
    let made = command.output().map_err(|source| BenchError::Start { program, source })?;
    if !made.status.success() {
        let output = String::from_utf8_lossy(&made.stderr).into_owned();
        return Err(BenchError::Command { command: format!("{command:?}"), output });
    }
    Ok(())
}

/// The files of some tables.
pub fn parquet(tables: &[&'static str], directory: &Path) -> Vec<(&'static str, PathBuf)> {
    tables.iter().map(|table| (*table, directory.join(format!("{table}.parquet")))).collect()
}

pub fn geometric_mean(ratios: &[f64]) -> f64 {
    (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / ratios.len() as f64).exp()
}

pub fn policies() -> Result<Vec<EffectivePolicy>> {
    let filter = |id, table: &str, condition: &str| {
        let config = json!({"table": table, "condition": condition});
        policy(id, PolicyType::RowLevelSecurity, RuleType::FilterRows, config)
    };
    let mask = json!({"table": "lineitem", "column": "l_comment", "masking_function": "redact"});
    Ok(vec![
        filter(1, "lineitem", "l_quantity > 0")?,
        filter(2, "orders", "o_orderkey > 0")?,
        policy(3, PolicyType::DataMasking, RuleType::MaskColumn, mask)?,
    ])
}

async fn plain_datafusion(files: &[(&'static str, PathBuf)]) -> Result<SessionContext> {
    let session = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(cores()));
    for (table, path) in files {
        session.register_parquet(*table, path.to_string_lossy(), ParquetReadOptions::default()).await?;
    }
    Ok(session)
}

async fn run_plain(session: &SessionContext, sql: &str) -> Result<Timed> {
    let begin = Instant::now();
    let batches = session.sql(sql).await?.collect().await?;
    let mut rows = Vec::new();
    for batch in &batches {
        json::append_rows(batch, &mut rows)?;
    }
    Ok(Timed { rows, masked: Vec::new(), took: begin.elapsed().max(Duration::from_micros(1)) })
}

/// Texts to the letter, numbers to five digits: engines differ in the scale of a quotient.
pub fn same(query: &'static str, called: &'static str, ours: &Timed, other: &Timed) -> Result<()> {
    let number = |value: &Value| match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok(),
        _ => None,
    };
    let agree = |a: &Value, b: &Value| match (number(a), number(b)) {
        (Some(a), Some(b)) => (a - b).abs() <= b.abs() * 1e-5 + 1e-6,
        _ => a == b,
    };
    let rows = ours.rows.iter().zip(&other.rows);
    let mut rows = rows.map(|(a, b)| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| agree(a, b)));
    if ours.rows.len() == other.rows.len() && !ours.rows.is_empty() && rows.all(|same| same) {
        return Ok(());
    }
    let shown = |side: &Timed| format!("{:?}", side.rows.iter().take(5).collect::<Vec<_>>());
    let (left_rows, right_rows) = (shown(ours), shown(other));
    Err(BenchError::Different { case: query, left: "governed", right: called, left_rows, right_rows })
}
