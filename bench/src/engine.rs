//! The engine over Parquet files and PostgreSQL, with policies and without.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use datafusion::catalog::TableProvider;
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use rivergen_connectors::{Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext};
use rivergen_kernel::{DataSourceId, PolicyId, secret::Secret};
use rivergen_platform::net::{AddressPolicy, Outbound, OutboundConfig};
use rivergen_policies::{
    decision::{ColumnInfo, Decision, Subject, decide},
    mask::HashKey,
    rule::{EffectivePolicy, PolicyType, RuleConfig, RuleType, TableName},
};
use rivergen_query::{Answer, GovernedTable, Limits, QueryThreads, Session, SessionSpec, json, mask::column_type};
use serde_json::{Map, Value};

use crate::{
    cores,
    error::{BenchError, Result},
};

/// A run's rows and time.
pub struct Timed {
    pub rows: Vec<Vec<Value>>,
    /// Columns that hold a mask for one side.
    pub masked: Vec<bool>,
    pub took: Duration,
}

impl Timed {
    pub fn milliseconds(&self) -> f64 {
        self.took.as_secs_f64() * 1000.0
    }
}

/// The engine over some tables.
pub struct Engine {
    tables: Vec<(TableName, Arc<dyn TableProvider>)>,
    policies: Vec<EffectivePolicy>,
    /// Where files lie, and what is spilled.
    directory: PathBuf,
}

/// Rows of an answer that is held in memory.
const PAGE: u64 = 100_000;
/// As the server's download has them.
const DOWNLOAD: u64 = 100_000_000;

impl Engine {
    /// Without tables. `policies` are told to [`Engine::run`] by whether it is governed.
    pub fn new(directory: &Path, policies: Vec<EffectivePolicy>) -> Self {
        Self { tables: Vec::new(), policies, directory: directory.to_owned() }
    }

    /// Over files of the directory.
    pub async fn open(
        directory: &Path,
        files: &[(&'static str, PathBuf)],
        policies: Vec<EffectivePolicy>,
    ) -> Result<Self> {
        Self::new(directory, policies).and_files(files).await
    }

    /// And over these files of its directory.
    pub async fn and_files(mut self, files: &[(&'static str, PathBuf)]) -> Result<Self> {
        for (table, path) in files {
            let mut config = SourceConfig::new(DataSourceType::Parquet);
            config.file_path = path.file_name().map(|name| name.to_string_lossy().into_owned());
            let source = self.source(table, config, Credentials::default()).await?;
            self.add(source.as_ref(), "files", table).await?;
        }
        Ok(self)
    }

    /// And over these tables of a PostgreSQL database.
    pub async fn and_postgres(mut self, url: &str, tables: &[&str]) -> Result<Self> {
        let mut config = SourceConfig::new(DataSourceType::Postgresql);
        config.metadata.insert("sslmode".into(), "disable".into());
        let credentials = Credentials { connection_string: Some(Secret::new(url)), ..Credentials::default() };
        let source = self.source("postgres", config, credentials).await?;
        for table in tables {
            self.add(source.as_ref(), "public", table).await?;
        }
        Ok(self)
    }

    async fn source(
        &self,
        identity: &str,
        config: SourceConfig,
        credentials: Credentials,
    ) -> Result<Arc<dyn OpenedSource>> {
        // What is measured is on this machine.
        let policy = AddressPolicy { allow_private: true, ..AddressPolicy::default() };
        let outbound = OutboundConfig { policy, ..OutboundConfig::default() };
        let context = SourceContext {
            identity: identity.to_owned(),
            credentials,
            files: Arc::new(LocalFileSystem::new_with_prefix(&self.directory)?),
            guard: Arc::new(Outbound::new(&outbound).map_err(BenchError::outbound)?),
            cache_dir: self.directory.clone(),
            config,
        };
        Ok(Registry::new().connector(context.config.kind)?.open(&context).await?)
    }

    async fn add(&mut self, source: &dyn OpenedSource, schema: &str, table: &str) -> Result<()> {
        let provider = source.open_table(schema, table, None).await?;
        let name = TableName { catalog: "bench".into(), schema: schema.into(), table: table.into() };
        self.tables.push((name, provider));
        Ok(())
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
    pub async fn run(&self, sql: &str, governed: bool) -> Result<Timed> {
        let begin = Instant::now();
        let (masked, mut answer) = self.answer(sql, governed, PAGE).await?;
        let mut rows = Vec::new();
        while let Some(batch) = answer.next().await {
            json::append_rows(&batch?, &mut rows)?;
        }
        Ok(Timed { rows, masked, took: begin.elapsed() })
    }

    /// The same for an answer of any length, whose batches are counted and let go: how many rows, and how long.
    pub async fn drain(&self, sql: &str, governed: bool) -> Result<(u64, Duration)> {
        let begin = Instant::now();
        let (_, mut answer) = self.answer(sql, governed, DOWNLOAD).await?;
        while let Some(batch) = answer.next().await {
            drop(batch?);
        }
        Ok((answer.outcome().row_count, begin.elapsed()))
    }

    /// A running query, and which of its columns hold a mask.
    async fn answer(&self, sql: &str, governed: bool, max_rows: u64) -> Result<(Vec<bool>, Answer)> {
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
                max_rows,
                max_bytes: 100 << 30,
                timeout: Duration::from_secs(300),
                memory_bytes: 1 << 30,
                spill_directory: self.directory.clone(),
                max_spill_bytes: 1 << 30,
            },
            hash_key: HashKey::new(b"the key of a benchmark"),
            default_schema: None,
            object_stores: Vec::new(),
            target_partitions: Some(cores()),
            threads: QueryThreads::default(),
        })?;
        let planned = session.plan(sql, &Map::new()).await?;
        let masked = planned.columns().iter().map(|column| column.masked).collect();
        Ok((masked, planned.run().await?))
    }
}

/// A policy of one rule.
pub fn policy(id: i64, policy_type: PolicyType, rule_type: RuleType, config: Value) -> Result<EffectivePolicy> {
    let rules = vec![RuleConfig::parse(rule_type, &config)?];
    Ok(EffectivePolicy { id: PolicyId(id), name: format!("policy {id}"), policy_type, priority: 0, only: None, rules })
}
