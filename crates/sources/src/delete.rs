//! `DELETE /api/v1/data-sources/{data_source_id}`: softly, for thirty days; or, with `force`, for good.
//!
//! At once nobody is connected to the source any more, on no node. Softly deleted it keeps its SQL name, its credentials
//! and the policies that are assigned to it, so that it is governed from its first moment when it is restored.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Sources,
    access::{Access, not_found},
    purge,
    source::Column,
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Options {
    /// Permanently: the row, its credentials and the assignments of policies to it. Also works for a source that is
    /// deleted already.
    #[param(default = false)]
    pub force: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedDataSource {
    pub data_source_id: DataSourceId,
    pub deleted_at: DateTime<Utc>,
}

errors! { pub DeleteErrors: Unauthorized, Forbidden, PolicyDenied, EmailNotVerified, NotFound, ValidationError; }

/// Delete a data source, for thirty days or for good
#[utoipa::path(delete, path = "/api/v1/data-sources/{data_source_id}", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), Options),
    responses((status = 200, description = "Deleted; its connections are closed", body = Envelope<DeletedDataSource>), DeleteErrors))]
pub async fn delete_data_source(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Query(options): Query<Options>,
) -> Result<Reply<DeletedDataSource>> {
    let access = Access::of(&caller, Permission::DataSourceDelete)?;
    let force = options.force.unwrap_or(false);
    let platform = &sources.platform;
    let now = platform.clock.now();
    let mut found = access.sources().filter(Column::Id.eq(id));
    if !force {
        found = found.filter(Column::DeletedAt.is_null());
    }
    let source = found.clone().one(platform.db.read()).await?.ok_or_else(|| not_found(id))?;
    access.check(&source)?;
    // With the source goes what governs its file; that of a deleted one when it is purged.
    sources.check_whole(&caller, &source).await?;
    let tx = platform.db.begin().await?;
    let source = found.lock_exclusive().one(tx.conn()).await?.ok_or_else(|| not_found(id))?;
    let mut details = serde_json::json!({"name": source.name, "type": source.kind, "force": force});
    if force {
        details["assignments_detached"] = purge::wipe(&tx, &source).await?.into();
    } else {
        let mut row = source.into_active_model();
        row.deleted_at = Set(Some(now));
        row.updated_at = Set(now);
        row.updated_by_user_id = Set(Some(caller.user_id));
        row.update(tx.conn()).await?;
    }
    tx.publish(Event::DataSourceChanged(id)).await?;
    let record =
        AuditRecord::new(Some(access.tenant().organization_id()), origin.actor(caller.user_id), "data_source.delete")
            .target("data_source", id)
            .details(details);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = match force {
        true => "The data source was deleted for good.",
        false => "The data source was deleted; it can be restored for thirty days.",
    };
    Ok(Reply::ok(DeletedDataSource { data_source_id: id, deleted_at: now }, message))
}
