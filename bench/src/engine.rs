//! The engine over Parquet files, with policies and without.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use datafusion::catalog::TableProvider;
use futures::StreamExt;
use object_store::local::LocalFileSystem;
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::{DataSourceId, PolicyId};
use rivergen_platform::net::{Outbound, OutboundConfig};
use rivergen_policies::{
    decision::{ColumnInfo, Decision, Subject, decide},
    mask::HashKey,
    rule::{EffectivePolicy, PolicyType, RuleConfig, RuleType, TableName},
};
use rivergen_query::{GovernedTable, Limits, Session, SessionSpec, json, mask::column_type};
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

/// The engine over some files.
pub struct Engine {
    tables: Vec<(TableName, Arc<dyn TableProvider>)>,
    policies: Vec<EffectivePolicy>,
    spill: PathBuf,
}

impl Engine {
    /// `policies` are told to [`Engine::run`] by whether it is governed.
    pub async fn open(
        directory: &Path,
        files: &[(&'static str, PathBuf)],
        policies: Vec<EffectivePolicy>,
    ) -> Result<Self> {
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
    pub async fn run(&self, sql: &str, governed: bool) -> Result<Timed> {
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

/// A policy of one rule.
pub fn policy(id: i64, policy_type: PolicyType, rule_type: RuleType, config: Value) -> Result<EffectivePolicy> {
    let rules = vec![RuleConfig::parse(rule_type, &config)?];
    Ok(EffectivePolicy { id: PolicyId(id), name: format!("policy {id}"), policy_type, priority: 0, rules })
}
