//! The engine as the rest of the house uses it: who asks, which sources, which SQL; rows come back, and a
//! record of the run stays, however it ends.
//!
//! ```text
//! run ─ permission ─ record: running ─ catalogue ─ session ─ plan ─ rows ─ record: ended, policies
//!                          └ dropped anywhere on the way (the client went away): record: cancelled
//! ```

use std::{path::PathBuf, sync::Arc, time::Duration};

use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, OrganizationId, Permission, QueryId, Result, Tenant};
use rivergen_platform::{Kept, Platform, http::RequestOrigin};
use rivergen_policies::{
    Policies,
    decision::AppliedPolicy,
    evaluation::{self, Applied, NewRun, Outcome, RunKind},
};
use rivergen_query::{JsonAnswer, Limits, Planned, QueryColumn, QueryError, Session, SessionSpec, statement};
use rivergen_sources::{Sources, source};
use tokio::sync::Semaphore;

use crate::{
    catalogue::{Catalogue, CatalogueTable},
    hash_key,
};

/// What an operator may set for all queries.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Rows of one answer at most.
    pub max_rows: u64,
    /// Bytes of one answer at most.
    pub max_bytes: u64,
    pub timeout: Duration,
    /// Memory of one query, over which it spills.
    pub memory_bytes: usize,
    pub spill_directory: PathBuf,
    pub max_spill_bytes: u64,
    /// Queries that one organization may run at a time on this node; further ones are refused.
    pub concurrent_per_organization: usize,
}

/// The engine's handle; cheap to clone.
#[derive(Clone)]
pub struct Engine {
    pub platform: Platform,
    pub sources: Sources,
    pub policies: Policies,
    pub settings: Arc<Settings>,
    places: Kept<OrganizationId, Arc<Semaphore>>,
    hash_keys: hash_key::HashKeys,
}

/// One query to run.
#[derive(Debug)]
pub struct Run<'a> {
    pub kind: RunKind,
    /// The sources that it may name; the first one's tables need no prefix.
    pub sources: Vec<source::Model>,
    pub sql: &'a str,
    pub parameters: &'a serde_json::Map<String, serde_json::Value>,
    /// Where unqualified names are looked up first, in the first source.
    pub default_schema: Option<&'a str>,
    /// May only lower the limits.
    pub max_rows: Option<u64>,
    pub timeout: Option<Duration>,
    pub dry_run: bool,
}

/// What a run answered.
#[derive(Debug)]
pub struct RunAnswer {
    pub query_id: QueryId,
    pub columns: Vec<QueryColumn>,
    pub rows: Vec<Vec<serde_json::Value>>,
    pub row_count: u64,
    pub truncated: bool,
    pub elapsed: Duration,
    pub policies: Vec<AppliedPolicy>,
    /// The governed plan, for a dry run.
    pub plan: Option<String>,
}

impl Engine {
    pub fn new(platform: Platform, sources: Sources, policies: Policies, settings: Settings) -> Self {
        let a_day = Duration::from_secs(86_400);
        let places = Kept::new(platform.db.bus(), 10_000, a_day, |_, _| Vec::new());
        let hash_keys = hash_key::HashKeys::new(platform.clone());
        Self { platform, sources, policies, settings: Arc::new(settings), places, hash_keys }
    }

    /// Runs one governed query to its end. Dropping the future cancels it, down to the sources.
    pub async fn run(&self, caller: &Caller, origin: &RequestOrigin, run: Run<'_>) -> Result<RunAnswer> {
        let tenant = caller.require(Permission::DataSourceQuery)?;
        let ids: Vec<DataSourceId> = run.sources.iter().map(|source| source.id).collect();
        let new = NewRun {
            tenant,
            user_id: caller.user_id,
            kind: run.kind,
            sql: run.sql,
            data_source_ids: &ids,
            ip: origin.ip,
        };
        let query_id = evaluation::start(&self.platform, new).await?;
        let mut record = Record { platform: self.platform.clone(), query_id, applied: Vec::new(), ended: false };
        match self.attempt(caller, tenant, run, &mut record).await {
            Ok(answer) => {
                record.end(Outcome::succeeded(answer.row_count)).await?;
                Ok(answer)
            }
            Err(error) => {
                record.end(Outcome::failed(error.code)).await?;
                Err(error)
            }
        }
    }

    async fn attempt(&self, caller: &Caller, tenant: Tenant, run: Run<'_>, record: &mut Record) -> Result<RunAnswer> {
        for source in &run.sources {
            source.check_usable()?;
        }
        let _place = self.take_place(tenant).await?;
        let catalogue = self.catalogue(caller, tenant, run.sources).await?;
        let limits = self.limits(&catalogue, run.max_rows, run.timeout);
        let session = self.session(&catalogue, run.sql, run.default_schema, limits).await;
        // A refusal is a decision too: what denied it is in the record.
        if session.as_ref().is_err_and(|error| error.code == ErrorCode::PolicyDenied) {
            record.applied = denials(&catalogue);
        }
        let session = session?;
        let planned = session.plan(run.sql, run.parameters).await;
        if matches!(planned, Err(QueryError::Denied { .. })) {
            record.applied = denials(&catalogue);
        }
        let planned = planned.map_err(answerable)?;
        record.applied = applied(&catalogue, &planned);
        self.check_hourly(caller, tenant, &planned).await?;

        let columns = planned.columns().to_vec();
        let policies = planned.applied_policies().to_vec();
        let query_id = record.query_id;
        if run.dry_run || planned.is_explain() {
            let plan = planned.governed_plan_text()?;
            let rows = Vec::new();
            return Ok(RunAnswer {
                query_id,
                columns,
                rows,
                row_count: 0,
                truncated: false,
                elapsed: Duration::ZERO,
                policies,
                plan: Some(plan),
            });
        }
        let JsonAnswer { rows, outcome } = planned.collect_json_rows().await.map_err(answerable)?;
        Ok(RunAnswer {
            query_id,
            columns,
            rows,
            row_count: outcome.row_count,
            truncated: outcome.truncated,
            elapsed: outcome.elapsed,
            policies,
            plan: None,
        })
    }

    /// A session over the tables that the statement names.
    pub async fn session(
        &self,
        catalogue: &Catalogue,
        sql: &str,
        default_schema: Option<&str>,
        limits: Limits,
    ) -> Result<Session> {
        let relations = statement::accept(sql)?.relations;
        catalogue.check_names(&relations)?;
        let tables = self.open_tables(catalogue, &relations).await?;
        let first = catalogue.sources.first();
        let default_schema = first.map(|source| {
            let of_first = |table: &&CatalogueTable| table.source_id == source.id;
            let schema = default_schema.map(str::to_owned).or_else(|| source.schema_name.clone()).or_else(|| {
                let schemas = || catalogue.tables.iter().filter(of_first).map(|table| &table.name.schema);
                schemas().find(|schema| *schema == "public").or_else(|| schemas().next()).cloned()
            });
            (source.slug.clone(), schema.unwrap_or_else(|| "public".to_owned()))
        });
        Ok(Session::open(SessionSpec {
            tables,
            limits,
            hash_key: self.hash_keys.of(catalogue.tenant).await?,
            default_schema,
            object_stores: Vec::new(),
            target_partitions: None,
        })?)
    }

    /// The limits of a run on these sources: the operator's, lowered by the source's and the caller's wish.
    pub fn limits(&self, catalogue: &Catalogue, max_rows: Option<u64>, timeout: Option<Duration>) -> Limits {
        let settings = &self.settings;
        let of_sources = catalogue
            .sources
            .iter()
            .map(|source| Duration::from_secs(u64::try_from(source.query_timeout).unwrap_or(300)))
            .min();
        let timeouts = [Some(settings.timeout), of_sources, timeout];
        Limits {
            max_rows: max_rows.unwrap_or(u64::MAX).min(settings.max_rows),
            max_bytes: settings.max_bytes,
            timeout: timeouts.into_iter().flatten().min().unwrap_or(settings.timeout),
            memory_bytes: settings.memory_bytes,
            spill_directory: settings.spill_directory.clone(),
            max_spill_bytes: settings.max_spill_bytes,
        }
    }

    async fn take_place(&self, tenant: Tenant) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let size = self.settings.concurrent_per_organization;
        let places =
            self.places.get_or_load(tenant.organization_id(), async { Ok(Arc::new(Semaphore::new(size))) }).await?;
        places.try_acquire_owned().map_err(|_| {
            Error::new(ErrorCode::QueryLimitExceeded)
                .with_message("Your organization runs as many queries at once as it may; try again shortly.")
                .with_retry_after(Duration::from_secs(2))
        })
    }

    async fn check_hourly(&self, caller: &Caller, tenant: Tenant, planned: &Planned) -> Result<()> {
        let Some(most) = planned.policy_limits().max_queries_per_hour else { return Ok(()) };
        let since = self.platform.clock.now() - chrono::Duration::hours(1);
        let started = evaluation::started_since(&self.platform, tenant, caller.user_id, since).await?;
        // The run that asks is among them.
        if started <= most {
            return Ok(());
        }
        Err(Error::new(ErrorCode::QueryLimitExceeded)
            .with_message(format!("A policy allows {most} queries an hour, and they are used up."))
            .with_retry_after(Duration::from_secs(600)))
    }
}

/// What a connector says in safe words goes on to the caller; everything else keeps its own.
pub(crate) fn answerable(error: QueryError) -> Error {
    if let QueryError::SourceUnavailable(cause) = &error
        && let Some(of_source) = rivergen_connectors::ConnectorError::within(cause)
    {
        return Error::new(of_source.code()).with_message(of_source.to_string()).with_source(error);
    }
    error.into()
}

fn applied(catalogue: &Catalogue, planned: &Planned) -> Vec<Applied> {
    let touched = |table: &&CatalogueTable| planned.tables().iter().any(|(name, _)| *name == table.name);
    catalogue.tables.iter().filter(touched).flat_map(of_table).collect()
}

fn denials(catalogue: &Catalogue) -> Vec<Applied> {
    catalogue.tables.iter().filter(|table| !table.decision.is_allowed()).flat_map(of_table).collect()
}

fn of_table(table: &CatalogueTable) -> impl Iterator<Item = Applied> + '_ {
    table.decision.applied.iter().map(|policy| Applied { data_source_id: table.source_id, policy: policy.clone() })
}

/// The record of a run that has begun. Dropped before its end, it says that the client went away.
struct Record {
    platform: Platform,
    query_id: QueryId,
    applied: Vec<Applied>,
    ended: bool,
}

impl Record {
    async fn end(mut self, outcome: Outcome) -> Result<()> {
        self.ended = true;
        let applied = std::mem::take(&mut self.applied);
        evaluation::finish(&self.platform, self.query_id, outcome, &applied).await
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.ended {
            return;
        }
        let (platform, query_id) = (self.platform.clone(), self.query_id);
        let applied = std::mem::take(&mut self.applied);
        tokio::spawn(async move {
            if let Err(error) = evaluation::finish(&platform, query_id, Outcome::cancelled(0), &applied).await {
                tracing::error!(%error, %query_id, "the end of a cancelled query could not be recorded");
            }
        });
    }
}
