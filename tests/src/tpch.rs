//! The tables of TPC-H at a small scale, and the answers that another engine gives to its queries.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sqlx::{Connection, PgConnection};
use tempfile::TempDir;

use crate::PostgresDatabase;

/// The tables.
pub const TABLES: [&str; 8] = ["customer", "lineitem", "nation", "orders", "part", "partsupp", "region", "supplier"];

/// A statement a table.
const CREATE: &str = include_str!("../../bench/tpch/tables.sql");

/// The tables as files, the queries, and their right answers.
pub struct Tpch {
    folder: TempDir,
    queries: BTreeMap<String, String>,
    answers: BTreeMap<String, Vec<Vec<Option<String>>>>,
}

impl Tpch {
    /// Makes the tables; `None`, with a word about it, where the tools for it are not installed.
    pub fn make(scale: &str) -> Option<Self> {
        let python =
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rivergen/bench-venv/bin/python");
        if !python.with_file_name("tpchgen-cli").exists() {
            crate::missing::passed_over(&format!("there is no tpchgen-cli beside {}", python.display()));
            return None;
        }
        let here = crate::manifest_dir();
        let folder = tempfile::Builder::new().prefix("rivergen-tpch-").tempdir().unwrap();
        let queries = here.join("../bench/tpch");
        let made = Command::new(python)
            .arg(here.join("interop/tpch/prepare.py"))
            .arg(folder.path())
            .arg(scale)
            .arg(&queries)
            .output()
            .unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let answers = std::fs::read(folder.path().join("answers.json")).unwrap();
        let answers: BTreeMap<String, Vec<Vec<Option<String>>>> = serde_json::from_slice(&answers).unwrap();
        assert_eq!(answers.len(), 22);
        let text = |name: &String| std::fs::read_to_string(queries.join(format!("{name}.sql"))).unwrap();
        let queries = answers.keys().map(|name| (name.clone(), text(name))).collect();
        Some(Self { folder, queries, answers })
    }

    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A table as a Parquet file.
    pub fn parquet(&self, table: &str) -> Vec<u8> {
        std::fs::read(self.folder().join(format!("{table}.parquet"))).unwrap()
    }

    /// Name and text of each query.
    pub fn queries(&self) -> impl Iterator<Item = (&str, &str)> {
        self.queries.iter().map(|(name, sql)| (name.as_str(), sql.as_str()))
    }

    /// Puts tables into a PostgreSQL database, with statistics.
    pub async fn load(&self, database: &PostgresDatabase, tables: &[&str]) {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        for table in tables {
            let named = format!("CREATE TABLE {table} ");
            let create = CREATE.split(';').find(|statement| statement.trim_start().starts_with(&named)).unwrap();
            database.execute(create).await;
            let csv = std::fs::read(self.folder().join(format!("{table}.csv"))).unwrap();
            let copy = format!("COPY {table} FROM STDIN WITH (FORMAT csv, HEADER true)");
            let mut copy = connection.copy_in_raw(&copy).await.unwrap();
            copy.send(csv).await.unwrap();
            copy.finish().await.unwrap();
            database.execute(&format!("ANALYZE {table}")).await;
        }
        connection.close().await.unwrap();
    }

    /// Compares rows of a JSON answer with the right ones: texts to the letter, numbers to five digits, since engines
    /// differ in the scale of a quotient.
    pub fn check(&self, query: &str, rows: &[Value]) -> Result<(), String> {
        let right = &self.answers[query];
        if rows.len() != right.len() {
            return Err(format!("{query}: {} rows instead of {}", rows.len(), right.len()));
        }
        for (at, (row, right)) in rows.iter().zip(right).enumerate() {
            let row: Vec<Option<String>> = row.as_array().unwrap().iter().map(text).collect();
            let same =
                row.len() == right.len() && row.iter().zip(right).all(|(a, b)| agree(a.as_deref(), b.as_deref()));
            if !same {
                return Err(format!("{query}, row {at}: {row:?} instead of {right:?}"));
            }
        }
        Ok(())
    }
}

fn text(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn agree(ours: Option<&str>, right: Option<&str>) -> bool {
    let number = |text: Option<&str>| text.and_then(|text| text.parse::<f64>().ok());
    match (number(ours), number(right)) {
        (Some(ours), Some(right)) => (ours - right).abs() <= right.abs() * 1e-5 + 1e-6,
        _ => ours == right,
    }
}
