//! `POST /api/v1/data-sources/{data_source_id}/discover-schema`: reads schemas, tables and columns of a source and
//! keeps what it found.

use std::time::Instant;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_connectors::{DiscoveredSchema, TableKind};
use rivergen_kernel::{DataSourceId, Permission, Result, Tenant};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Sources, source, table};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Options {
    /// Only this schema.
    pub schema_name: Option<String>,
    /// Read the source again even where a kept schema exists.
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

errors! { pub DiscoverErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, UnreadableFile, ConnectionError, QueryTimeout; }

/// Read a source's schemas, tables and columns and keep them
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
    let tenant = caller.require(Permission::DataSourceWrite)?;
    let source = sources.find(tenant, id).await?;
    if !options.refresh.unwrap_or(false)
        && let Some(kept) = kept(&sources, tenant, &source, options.schema_name.as_deref()).await?
    {
        return Ok(Reply::ok(kept, "The schema was known; refresh=true reads it again."));
    }
    let discovery = discover(&sources, tenant, &source, options.schema_name.as_deref()).await?;
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
) -> Result<Discovery> {
    let started = Instant::now();
    let opened = sources.opened(tenant, source).await?;
    let schemas = opened.discover(only).await?;
    let now = sources.platform.clock.now();
    let tx = sources.platform.db.begin().await?;
    table::replace(&tx, tenant, source.id, only, &schemas, now).await?;
    source::Entity::update_many()
        .col_expr(source::Column::SchemaDiscoveredAt, Expr::value(now))
        .filter(source::Column::Id.eq(source.id))
        .exec(tx.conn())
        .await?;
    tx.publish(Event::DataSourceChanged(source.id)).await?;
    tx.commit().await?;
    let took = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    Ok(counted(source.id, &schemas, now, took))
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
