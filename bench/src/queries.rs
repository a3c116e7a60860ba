//! Governed queries against the same engine without policies, and against DuckDB on the same Parquet files.
//!
//! The governed session has a row filter on the orders and a mask on the customers' addresses. To the other two the
//! filter is written into the query by hand, so that all three do the same work; the mask is what governing adds.
//! Their answers are compared before their times are.

use std::{
    fs::File,
    io::Write,
    path::{Path, PathBuf},
    sync::Arc,
};

use datafusion::{
    arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    parquet::arrow::ArrowWriter,
};
use rivergen::demo::data;
use rivergen_policies::rule::{EffectivePolicy, PolicyType, RuleType};
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

const RUNS: usize = 5;

/// The row filter, as the policy says it and as the others have it in their text.
const FILTER: &str = "region IN ('EU', 'US')";

struct Case {
    name: &'static str,
    /// `{filter}` is the row filter, or `TRUE` where a policy says it.
    sql: &'static str,
}

const CASES: [Case; 4] = [
    Case {
        name: "scan",
        sql: "SELECT count(*), sum(amount), max(quantity), max(ordered_at), max(product_id), max(status) FROM orders \
              WHERE {filter}",
    },
    Case {
        name: "filter",
        sql: "SELECT count(*), sum(amount) FROM orders WHERE {filter} AND status = 'refunded' AND amount > 500 \
              AND ordered_at >= TIMESTAMP '2025-01-01 00:00:00'",
    },
    Case {
        name: "group",
        sql: "SELECT customer_id, count(*) AS orders, sum(amount) AS total FROM orders WHERE {filter} \
              GROUP BY customer_id ORDER BY total DESC, customer_id LIMIT 20",
    },
    Case {
        name: "join",
        sql: "SELECT c.segment, count(*) AS orders, sum(o.amount) AS total, min(c.email) AS first FROM orders o \
              JOIN customers c ON o.customer_id = c.customer_id WHERE {filter} GROUP BY c.segment ORDER BY c.segment",
    },
];

/// Measures all cases. Without a Python that has DuckDB that column is left out, and said so.
pub fn measure(python: Option<&Path>, rows: usize, report: &mut Report) -> Result<()> {
    let directory = TempDir::new()?;
    let files = write_files(directory.path(), rows)?;
    let mut duckdb = python.map(|python| DuckDb::start(python, &files)).transpose()?;
    match &duckdb {
        Some(duckdb) => report.note(format!("Queries: {rows} rows, {} threads, DuckDB {}.", cores(), duckdb.version)),
        None => report.note(format!(
            "Queries: {rows} rows, {} threads. Not compared with DuckDB: its Python package is not installed.",
            cores()
        )),
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let engine = runtime.block_on(Engine::open(directory.path(), &files, policies()?))?;
    for case in &CASES {
        let governed_sql = case.sql.replace("{filter}", "TRUE");
        let plain_sql = case.sql.replace("{filter}", FILTER);
        let (mut governed, mut plain, mut theirs) = (Vec::new(), Vec::new(), Vec::new());
        // The first run of each warms it up, and its answer is compared.
        for run in 0..=RUNS {
            let a = runtime.block_on(engine.run(&governed_sql, true))?;
            let b = runtime.block_on(engine.run(&plain_sql, false))?;
            let c = duckdb.as_mut().map(|duckdb| duckdb.run(&plain_sql)).transpose()?;
            if run == 0 {
                same(case.name, ("governed", "without policies"), &a, &b)?;
                if let Some(c) = &c {
                    same(case.name, ("without policies", "DuckDB"), &b, c)?;
                }
                continue;
            }
            governed.push(a.milliseconds());
            plain.push(b.milliseconds());
            theirs.extend(c.map(|c| c.milliseconds()));
        }
        let (governed, plain) = (median(governed), median(plain));
        let figure = format!("{governed:.1} ms");
        let beside = format!("{plain:.1} ms without policies");
        report.compare(format!("query, {}", case.name), figure.clone(), beside, governed / plain, Goal::AtMost(1.05));
        if duckdb.is_some() {
            let theirs = median(theirs);
            let beside = format!("{theirs:.1} ms DuckDB");
            report.compare(format!("query, {}", case.name), figure, beside, governed / theirs, Goal::AtMost(1.5));
        }
    }
    Ok(())
}

/// What governs: a row filter on the orders, a mask on the customers' addresses.
fn policies() -> Result<Vec<EffectivePolicy>> {
    let filter = json!({"table": "orders", "condition": FILTER});
    let mask = json!({"table": "customers", "column": "email", "masking_function": "email"});
    Ok(vec![
        policy(1, PolicyType::RowLevelSecurity, RuleType::FilterRows, filter)?,
        policy(2, PolicyType::DataMasking, RuleType::MaskColumn, mask)?,
    ])
}

/// A benchmark of wrong answers would say nothing.
fn same(case: &'static str, names: (&'static str, &'static str), left: &Timed, right: &Timed) -> Result<()> {
    let hidden = |at: usize| [left, right].iter().any(|side| side.masked.get(at).copied().unwrap_or(false));
    let seen = |side: &Timed| -> Value {
        let row =
            |row: &Vec<Value>| row.iter().enumerate().filter(|(at, _)| !hidden(*at)).map(|(_, v)| v.clone()).collect();
        side.rows.iter().map(row).collect::<Vec<Vec<Value>>>().into_iter().map(Value::from).collect()
    };
    let (left, right) = (seen(left), seen(right));
    if left == right && left.as_array().is_some_and(|rows| !rows.is_empty()) {
        return Ok(());
    }
    let (left_rows, right_rows) = (left.to_string(), right.to_string());
    Err(BenchError::Different { case, left: names.0, right: names.1, left_rows, right_rows })
}

/// The two tables' files.
const TABLES: [&str; 2] = ["orders", "customers"];

fn write_files(directory: &Path, rows: usize) -> Result<Vec<(&'static str, PathBuf)>> {
    let files: Vec<_> = TABLES.iter().map(|table| (*table, directory.join(format!("{table}.parquet")))).collect();
    let mut orders = File::create(&files[0].1)?;
    for piece in data::orders_parquet(rows)? {
        orders.write_all(&piece?)?;
    }
    let customers = customers()?;
    let mut writer = ArrowWriter::try_new(File::create(&files[1].1)?, customers.schema(), None)?;
    writer.write(&customers)?;
    writer.close()?;
    Ok(files)
}

/// The customers of the orders.
fn customers() -> Result<RecordBatch> {
    const SEGMENTS: [&str; 5] = ["consumer", "education", "enterprise", "public", "small business"];
    let ids = || 1..=data::CUSTOMERS as i64;
    let columns: [(&str, ArrayRef); 3] = [
        ("customer_id", Arc::new(Int64Array::from_iter_values(ids()))),
        ("email", Arc::new(StringArray::from_iter_values(ids().map(|id| format!("customer.{id}@example.com"))))),
        (
            "segment",
            Arc::new(StringArray::from_iter_values(ids().map(|id| SEGMENTS[id as usize * 7 % SEGMENTS.len()]))),
        ),
    ];
    Ok(RecordBatch::try_from_iter(columns)?)
}
