//! Governed queries against the same engine without policies, and against DuckDB on the same Parquet files.
//!
//! The governed session has a row filter on the orders and a mask on the customers' addresses. To the other two the
//! filter is written into the query by hand, so that all three do the same work; the mask is what governing adds.
//! Their answers are compared before their times are.

use std::{
    fs::File,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::Arc,
    time::{Duration, Instant},
};

use datafusion::{
    arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray},
    catalog::TableProvider,
    parquet::arrow::ArrowWriter,
};
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use rivergen::demo::data;
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::{DataSourceId, PolicyId};
use rivergen_platform::net::{Outbound, OutboundConfig};
use rivergen_policies::{
    decision::{ColumnInfo, Decision, Subject, decide},
    mask::HashKey,
    rule::{EffectivePolicy, PolicyType, RuleConfig, RuleType, TableName},
};
use rivergen_query::{GovernedTable, Limits, Session, SessionSpec, json, mask::column_type};
use serde_json::{Map, Value, json};
use tempfile::TempDir;

use crate::{
    cores,
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
    let engine = runtime.block_on(Engine::open(directory.path(), &files))?;
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

/// A run's rows and time.
struct Timed {
    rows: Vec<Vec<Value>>,
    /// Columns that hold a mask for one side.
    masked: Vec<bool>,
    took: Duration,
}

impl Timed {
    fn milliseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1000.0
    }
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

/// The engine over both files.
struct Engine {
    tables: Vec<(TableName, Arc<dyn TableProvider>)>,
    policies: Vec<EffectivePolicy>,
    spill: PathBuf,
}

impl Engine {
    async fn open(directory: &Path, files: &[(&'static str, PathBuf)]) -> Result<Self> {
        let registry = Registry::new();
        let connector = registry.connector(DataSourceType::Parquet)?;
        let store = Arc::new(LocalFileSystem::new_with_prefix(directory)?);
        // Nothing goes out: files are all there is.
        let outbound = Arc::new(Outbound::new(&OutboundConfig::default()).map_err(BenchError::outbound)?);
        let mut tables = Vec::new();
        for (table, path) in files {
            let mut config = SourceConfig::new(DataSourceType::Parquet);
            config.file_path = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let source = connector
                .open(&SourceContext {
                    identity: (*table).to_owned(),
                    config,
                    credentials: Credentials::default(),
                    files: store.clone(),
                    guard: outbound.clone(),
                    cache_dir: directory.to_owned(),
                })
                .await?;
            let provider = source.open_table("files", table, None).await?;
            let name = TableName { catalog: "bench".into(), schema: "files".into(), table: (*table).to_owned() };
            tables.push((name, provider));
        }
        let rule = |id, policy_type, rule_type, config: Value| -> Result<EffectivePolicy> {
            let rules = vec![RuleConfig::parse(rule_type, &config)?];
            Ok(EffectivePolicy { id: PolicyId(id), name: format!("policy {id}"), policy_type, priority: 0, rules })
        };
        let policies = vec![
            rule(
                1,
                PolicyType::RowLevelSecurity,
                RuleType::FilterRows,
                json!({"table": "orders", "condition": FILTER}),
            )?,
            rule(
                2,
                PolicyType::DataMasking,
                RuleType::MaskColumn,
                json!({"table": "customers", "column": "email", "masking_function": "email"}),
            )?,
        ];
        Ok(Self { tables, policies, spill: directory.to_owned() })
    }

    fn decision(&self, name: &TableName, provider: &dyn TableProvider) -> Decision {
        let schema = provider.schema();
        let columns: Vec<ColumnInfo> = schema
            .fields()
            .iter()
            .map(|field| ColumnInfo {
                name: field.name().clone(),
                column_type: column_type(field.data_type()),
                tags: Default::default(),
            })
            .collect();
        decide(&self.policies, name, &columns, &Subject::default(), false)
    }

    /// One query from nothing: session, plan, run, rows.
    async fn run(&self, sql: &str, governed: bool) -> Result<Timed> {
        let begin = Instant::now();
        let tables = self.tables.iter().map(|(name, provider)| GovernedTable {
            name: name.clone(),
            source_id: DataSourceId(1),
            provider: provider.clone(),
            decision: if governed { self.decision(name, provider.as_ref()) } else { Decision::unrestricted() },
            entitlements: Default::default(),
        });
        let session = Session::open(SessionSpec {
            tables: tables.collect(),
            limits: Limits {
                max_rows: 10_000,
                max_bytes: 256 << 20,
                timeout: Duration::from_secs(60),
                memory_bytes: 1 << 30,
                spill_directory: self.spill.clone(),
                max_spill_bytes: 1 << 30,
            },
            hash_key: HashKey::new(b"the key of a benchmark"),
            default_schema: None,
            object_stores: Vec::new(),
            target_partitions: Some(cores()),
        })?;
        let planned = session.plan(sql, &Map::new()).await?;
        let masked = planned.columns().iter().map(|column| column.masked).collect();
        let mut answer = planned.run().await?;
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await {
            json::append_rows(&batch?, &mut rows)?;
        }
        Ok(Timed { rows, masked, took: begin.elapsed() })
    }
}

/// DuckDB in a Python process.
struct DuckDb {
    version: String,
    process: Child,
    queries: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl DuckDb {
    fn start(python: &Path, files: &[(&'static str, PathBuf)]) -> Result<Self> {
        let mut command = Command::new(python);
        command.arg("-c").arg(include_str!("duckdb_session.py")).arg(cores().to_string());
        command.args(files.iter().map(|(name, path)| format!("{name}={}", path.display())));
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|source| BenchError::Start { program: python.to_owned(), source })?;
        let (Some(queries), Some(answers)) = (process.stdin.take(), process.stdout.take()) else {
            return Err(BenchError::DuckDb("it has no input and output".into()));
        };
        let mut duckdb = Self { version: String::new(), process, queries, answers: BufReader::new(answers) };
        duckdb.version = duckdb.answer()?["version"].as_str().unwrap_or_default().to_owned();
        Ok(duckdb)
    }

    fn run(&mut self, sql: &str) -> Result<Timed> {
        writeln!(self.queries, "{sql}")?;
        self.queries.flush()?;
        let answer = self.answer()?;
        let rows = answer["rows"].as_array().into_iter().flatten();
        let rows = rows.map(|row| row.as_array().cloned().unwrap_or_default()).collect();
        let seconds = answer["seconds"].as_f64().ok_or_else(|| BenchError::DuckDb("it told no time".into()))?;
        Ok(Timed { rows, masked: Vec::new(), took: Duration::from_secs_f64(seconds) })
    }

    fn answer(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.answers.read_line(&mut line)? == 0 {
            return Err(BenchError::DuckDb("the session ended; its error is above".into()));
        }
        Ok(serde_json::from_str(&line)?)
    }
}

impl Drop for DuckDb {
    fn drop(&mut self) {
        // It is gone already, or it ends now; nothing else can be done about it here.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
