//! `POST /api/v1/data-sources/{data_source_id}/restore`: takes back a soft deletion, for thirty days.

use axum::extract::State;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel, QueryFilter, QuerySelect};

use crate::{
    Sources,
    access::{Access, not_found},
    health::check,
    purge::KEPT,
    source::{Column, DataSource, Status},
};

errors! { pub RestoreErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict; }

/// Restore a deleted data source
#[utoipa::path(post, path = "/api/v1/data-sources/{data_source_id}/restore", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses((status = 200, description = "Restored, under the policies that it had; its test is running", body = Envelope<DataSource>), RestoreErrors))]
pub async fn restore_data_source(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
) -> Result<Reply<DataSource>> {
    let access = Access::of(&caller, Permission::DataSourceDelete)?;
    let platform = &sources.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let found = access.sources().filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    let source = found.ok_or_else(|| not_found(id))?;
    access.check(&source)?;
    let Some(deleted_at) = source.deleted_at else {
        return Err(Error::new(ErrorCode::Conflict).with_message("The data source is not deleted."));
    };
    if deleted_at <= now - KEPT {
        return Err(not_found(id));
    }
    let is_off = source.check_enabled().is_err();
    let mut row = source.into_active_model();
    row.deleted_at = Set(None);
    row.updated_at = Set(now);
    row.updated_by_user_id = Set(Some(caller.user_id));
    if !is_off {
        row.status = Set(Status::Testing);
    }
    let row = row.update(tx.conn()).await?;
    if !is_off {
        check::enqueue(&sources, &tx, &row).await?;
    }
    tx.publish(Event::DataSourceChanged(id)).await?;
    let record = AuditRecord::new(Some(row.organization_id), origin.actor(caller.user_id), "data_source.restore")
        .target("data_source", id)
        .details(serde_json::json!({"name": row.name}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(DataSource::from(row).shown_to(&caller), "The data source was restored."))
}
