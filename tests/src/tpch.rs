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

const COLUMNS: [(&str, &str); 8] = [
    (
        "customer",
        "c_custkey bigint, c_name text, c_address text, c_nationkey bigint, c_phone text, c_acctbal numeric(15,2), \
         c_mktsegment text, c_comment text",
    ),
    (
        "lineitem",
        "l_orderkey bigint, l_partkey bigint, l_suppkey bigint, l_linenumber integer, l_quantity numeric(15,2), \
         l_extendedprice numeric(15,2), l_discount numeric(15,2), l_tax numeric(15,2), l_returnflag text, \
         l_linestatus text, l_shipdate date, l_commitdate date, l_receiptdate date, l_shipinstruct text, \
         l_shipmode text, l_comment text",
    ),
    ("nation", "n_nationkey bigint, n_name text, n_regionkey bigint, n_comment text"),
    (
        "orders",
        "o_orderkey bigint, o_custkey bigint, o_orderstatus text, o_totalprice numeric(15,2), o_orderdate date, \
         o_orderpriority text, o_clerk text, o_shippriority integer, o_comment text",
    ),
    (
        "part",
        "p_partkey bigint, p_name text, p_mfgr text, p_brand text, p_type text, p_size integer, p_container text, \
         p_retailprice numeric(15,2), p_comment text",
    ),
    (
        "partsupp",
        "ps_partkey bigint, ps_suppkey bigint, ps_availqty integer, ps_supplycost numeric(15,2), ps_comment text",
    ),
    ("region", "r_regionkey bigint, r_name text, r_comment text"),
    (
        "supplier",
        "s_suppkey bigint, s_name text, s_address text, s_nationkey bigint, s_phone text, s_acctbal numeric(15,2), \
         s_comment text",
    ),
];

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

    /// Puts tables into a PostgreSQL database, with keys and statistics.
    pub async fn load(&self, database: &PostgresDatabase, tables: &[&str]) {
        let mut connection = PgConnection::connect(database.url()).await.unwrap();
        for (table, columns) in COLUMNS.iter().filter(|(table, _)| tables.contains(table)) {
            database.execute(&format!("CREATE TABLE {table} ({columns})")).await;
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
