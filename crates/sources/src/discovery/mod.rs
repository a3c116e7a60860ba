//! What a source holds: [`table`](crate::table) has its tables, [`change`] how they changed, [`runs`] each look at it.
//!
//! `POST /api/v1/data-sources/{data_source_id}/discover-schema` reads schemas, tables and columns of a source and keeps what
//! it found. The monitor does so by itself, every `schema_refresh_interval`, where `schema_auto_refresh` is on.

pub mod change;
pub mod runs;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_connectors::{DiscoveredSchema, Progress, TableKind};
use rivergen_kernel::{DataSourceId, OrganizationId, Permission, Result, Tenant};
use rivergen_platform::{
    Event,
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
    jobs::{Handler, JobContext, JobError, JobOptions},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Sources,
    access::Access,
    health::check::Origin,
    source::{self, Status},
    table,
};
use runs::Stage;

const JOB: &str = "data_source.discover";
/// How often it is written down how far a discovery is.
const TOLD_EVERY: Duration = Duration::from_secs(1);

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Options {
    /// Only this schema.
    pub schema_name: Option<String>,
    /// Read the source again even if a stored schema exists.
    #[param(default = false)]
    pub refresh: Option<bool>,
}

/// What the source holds, counted.
#[derive(Debug, Serialize, ToSchema)]
pub struct Discovery {
    pub data_source_id: DataSourceId,
    pub schemas_discovered: Vec<DiscoveredSchemaCount>,
    #[schema(examples(12))]
    pub total_tables: u64,
    #[schema(examples(96))]
    pub total_columns: u64,
    pub discovered_at: DateTime<Utc>,
    #[schema(examples(84))]
    pub discovery_duration_ms: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DiscoveredSchemaCount {
    #[schema(examples("public"))]
    pub schema_name: String,
    pub tables_count: u64,
    pub views_count: u64,
}

errors! { pub DiscoverErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, DataSourceUnavailable, ValidationError,
UnreadableFile, ConnectionError, QueryTimeout; }

/// Discover the schemas, tables and columns of a data source
#[utoipa::path(post, path = "/api/v1/data-sources/{data_source_id}/discover-schema", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), Options),
    responses((status = 200, description = "What was found", body = Envelope<Discovery>), DiscoverErrors))]
pub async fn discover_schema(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Query(options): Query<Options>,
) -> Result<Reply<Discovery>> {
    let access = Access::of(&caller, Permission::DataSourceWrite)?;
    let source = sources.find(&access, id).await?;
    if !options.refresh.unwrap_or(false)
        && let Some(kept) = kept(&sources, access.tenant(), &source, options.schema_name.as_deref()).await?
    {
        return Ok(Reply::ok(kept, "The schema was already known; refresh=true reads it again."));
    }
    let only = options.schema_name.as_deref();
    let discovery = discover(&sources, access.tenant(), &source, only, Origin::Manual).await?;
    let tx = sources.platform.db.begin().await?;
    let record = AuditRecord::new(Some(source.organization_id), origin.actor(caller.user_id), "data_source.discover")
        .target("data_source", source.id);
    audit::record(&tx, &sources.platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(discovery, "The schema is discovered."))
}

/// Reads the source and replaces what was kept of it, in one transaction.
pub async fn discover(
    sources: &Sources,
    tenant: Tenant,
    source: &source::Model,
    only: Option<&str>,
    origin: Origin,
) -> Result<Discovery> {
    let tx = sources.platform.db.begin().await?;
    let run = runs::begin(&tx, source, origin, Stage::Reading, sources.platform.clock.now()).await?;
    tx.commit().await?;
    carry_out(sources, tenant, source, only, run).await
}

/// A discovery that has begun, to its end.
async fn carry_out(
    sources: &Sources,
    tenant: Tenant,
    source: &source::Model,
    only: Option<&str>,
    run: i64,
) -> Result<Discovery> {
    let started = Instant::now();
    let found = async {
        let opened = sources.opened(tenant, source.id).await?;
        let progress = Progress::default();
        let schemas = told(sources, run, &progress, opened.discover_watched(only, &progress)).await?;
        stage(sources, run, Stage::Saving).await?;
        keep(sources, tenant, source, only, run, &schemas, started).await
    };
    let found = found.await;
    if let Err(error) = &found {
        let tx = sources.platform.db.begin().await?;
        runs::fail(&tx, run, error, sources.platform.clock.now()).await?;
        tx.commit().await?;
    }
    found
}

/// What is read, while it is written down how far that is; where that cannot be, it is read nevertheless.
async fn told<T>(sources: &Sources, run: i64, progress: &Progress, reading: impl Future<Output = T>) -> T {
    let mut reading = std::pin::pin!(reading);
    let mut before = None;
    loop {
        match tokio::time::timeout(TOLD_EVERY, &mut reading).await {
            Ok(found) => return found,
            Err(_) => {
                let now = progress.tables();
                if let Some(tables) = now.filter(|_| now != before)
                    && let Err(error) = read_so_far(sources, run, tables).await
                {
                    tracing::warn!(%error, run, "how far a discovery is could not be written down");
                }
                before = now;
            }
        }
    }
}

async fn read_so_far(sources: &Sources, run: i64, (looked_at, of): (u64, u64)) -> Result<()> {
    let tx = sources.platform.db.begin().await?;
    runs::read_so_far(&tx, run, looked_at, of).await?;
    tx.commit().await
}

async fn stage(sources: &Sources, run: i64, stage: Stage) -> Result<()> {
    let tx = sources.platform.db.begin().await?;
    runs::reach(&tx, run, stage).await?;
    tx.commit().await
}

/// Keeps what was found, with how it differs from what was known.
async fn keep(
    sources: &Sources,
    tenant: Tenant,
    source: &source::Model,
    only: Option<&str>,
    run: i64,
    schemas: &[DiscoveredSchema],
    started: Instant,
) -> Result<Discovery> {
    let platform = &sources.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    // Held, so that of two discoveries one comes after the other.
    let current = source::hold_unchanged(&tx, source).await?;
    let known = table::replace(&tx, tenant, source.id, only, schemas, now).await?;
    // The first discovery changes nothing.
    let changes = match current.schema_discovered_at {
        Some(_) => change::between(&known, schemas)?,
        None => Vec::new(),
    };
    change::add(&tx, &current, &changes, now).await?;
    let next = next_discovery(&current, now);
    let mut row = current.into_active_model();
    row.schema_discovered_at = Set(Some(now));
    row.next_discovery_at = Set(next);
    row.update(tx.conn()).await?;
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    let discovery = counted(source.id, schemas, now, took);
    runs::succeed(&tx, run, &discovery, changes.len(), now).await?;
    tx.publish(Event::DataSourceChanged(source.id)).await?;
    if !changes.is_empty() {
        let counts = change::counts(&changes);
        for (kind, count) in &counts {
            metrics::counter!("rivergen_source_changes_total", "change" => kind.clone()).increment(*count);
        }
        let record = AuditRecord::new(Some(source.organization_id), Actor::system(), "data_source.drift")
            .target("data_source", source.id)
            .details(serde_json::json!({"name": source.name, "changes": counts}));
        audit::record(&tx, &platform.clock, record).await?;
    }
    tx.commit().await?;
    Ok(discovery)
}

/// When the monitor discovers it again; spread, so that not all come at once.
pub(crate) fn next_discovery(source: &source::Model, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let seconds = f64::from(source.schema_refresh_interval.max(60)) * rand::random_range(0.95..=1.05);
    source.schema_auto_refresh.then(|| now + chrono::Duration::milliseconds((seconds * 1000.0) as i64))
}

#[derive(Debug, Serialize, Deserialize)]
struct Payload {
    organization_id: OrganizationId,
    data_source_id: DataSourceId,
    run: i64,
}

/// Enqueues a discovery whose time has come, and says when the next one does.
pub(crate) async fn enqueue(sources: &Sources, source: &source::Model) -> Result<()> {
    let now = sources.platform.clock.now();
    let tx = sources.platform.db.begin().await?;
    let current = source::hold_unchanged(&tx, source).await?;
    if current.next_discovery_at != source.next_discovery_at || current.status != Status::Active {
        return Ok(());
    }
    let run = runs::begin(&tx, &current, Origin::Scheduled, Stage::Queued, now).await?;
    let organization_id = current.organization_id;
    let next = next_discovery(&current, now);
    let mut row = current.into_active_model();
    row.next_discovery_at = Set(next);
    row.update(tx.conn()).await?;
    let payload = Payload { organization_id, data_source_id: source.id, run };
    let options = JobOptions { max_attempts: 3, organization_id: Some(organization_id), ..JobOptions::default() };
    sources.platform.jobs.enqueue(&tx, JOB, &payload, options).await?;
    tx.commit().await
}

struct Scheduled(Sources);

pub(crate) fn register(sources: &Sources) {
    sources.platform.jobs.register(JOB, Arc::new(Scheduled(sources.clone())));
}

#[async_trait::async_trait]
impl Handler for Scheduled {
    async fn run(&self, payload: serde_json::Value, _: JobContext) -> std::result::Result<(), JobError> {
        let Self(sources) = self;
        let payload: Payload = serde_json::from_value(payload).map_err(JobError::fatal)?;
        let tenant = Tenant::on_behalf_of(payload.organization_id);
        let Some(source) = sources.live(tenant, payload.data_source_id).await? else { return Ok(()) };
        stage(sources, payload.run, Stage::Reading).await?;
        // How it failed is on record, and its next time comes.
        if let Err(error) = carry_out(sources, tenant, &source, None, payload.run).await {
            tracing::info!(%error, data_source = %source.id, "a scheduled discovery failed");
        }
        Ok(())
    }

    fn takes_long(&self) -> bool {
        true
    }
}

async fn kept(
    sources: &Sources,
    tenant: Tenant,
    source: &source::Model,
    only: Option<&str>,
) -> Result<Option<Discovery>> {
    let Some(discovered_at) = source.schema_discovered_at else { return Ok(None) };
    let rows = table::of_sources(sources.platform.db.read(), tenant, &[source.id]).await?;
    let mut schemas: Vec<DiscoveredSchema> = Vec::new();
    for row in rows.iter().filter(|row| only.is_none_or(|only| row.schema_name == only)) {
        let table = row.discovered()?;
        match schemas.last_mut() {
            Some(schema) if schema.name == row.schema_name => schema.tables.push(table),
            _ => schemas.push(DiscoveredSchema { name: row.schema_name.clone(), tables: vec![table] }),
        }
    }
    if schemas.is_empty() {
        return Ok(None);
    }
    Ok(Some(counted(source.id, &schemas, discovered_at, 0)))
}

fn counted(id: DataSourceId, schemas: &[DiscoveredSchema], discovered_at: DateTime<Utc>, took: u64) -> Discovery {
    let of_kind =
        |schema: &DiscoveredSchema, kind| schema.tables.iter().filter(|table| table.kind == kind).count() as u64;
    let tables = || schemas.iter().flat_map(|schema| &schema.tables);
    Discovery {
        data_source_id: id,
        schemas_discovered: schemas
            .iter()
            .map(|schema| DiscoveredSchemaCount {
                schema_name: schema.name.clone(),
                tables_count: of_kind(schema, TableKind::Table),
                views_count: of_kind(schema, TableKind::View),
            })
            .collect(),
        total_tables: tables().count() as u64,
        total_columns: tables().map(|table| table.columns.len() as u64).sum(),
        discovered_at,
        discovery_duration_ms: took,
    }
}
