//! `DELETE /api/v1/storage/objects/{object_name}`: removes a file for good and gives its quota back.
//!
//! The row leaves everybody's sight first, with the quota and the audit record; then the bytes go, and then the row says so.
//! Whoever is killed between leaves a row in the state *removing*, which the sweep takes up. The links of the file are dead
//! with it, since each asks for the file when it is used.

use std::collections::BTreeSet;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, Permission, Result, Tenant};
use rivergen_platform::{
    Event,
    audit::{self, Actor, AuditRecord},
    errors,
    http::{Envelope, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Storage,
    access::{ObjectName, Reach},
    file::{self, State as FileState},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Force {
    /// Delete it even though a data source reads it.
    #[param(default = false, example = false)]
    pub force: Option<bool>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct DeletedFile {
    #[schema(examples("organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"))]
    pub object_name: String,
}

errors! { pub DeleteErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError, InternalError; }

/// Delete a file permanently
///
/// Your own with `storage.delete`; those of others, including people who left, with `storage.manage`.
#[utoipa::path(delete, path = "/api/v1/storage/objects/{object_name}", tag = "storage",
    params(("object_name" = String, Path, description = "The whole path of the file, with its slashes",
        example = "organizations/1/files/7/orders_20261124_101500_1f3a9c2e.parquet"), Force),
    responses((status = 200, description = "Deleted; its links no longer work", body = Envelope<DeletedFile>), DeleteErrors))]
pub async fn delete(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    name: ObjectName,
    origin: RequestOrigin,
    Query(wanted): Query<Force>,
) -> Result<Reply<DeletedFile>> {
    let tenant = caller.require(Permission::StorageDelete)?;
    let (file, reach) = storage.reach(&caller, &name).await?;
    if reach != Reach::Own && !caller.may(Permission::StorageManage) {
        return Err(Error::new(ErrorCode::Forbidden).with_message(
            "You can only read a file that is shared with you; its owner or an administrator can delete it.",
        ));
    }
    let sources = storage.sources_of(tenant, &file).await?;
    if !sources.is_empty() && wanted.force != Some(true) {
        return Err(Error::new(ErrorCode::Conflict).with_message(
            "A data source reads this file and would fail without it; send force=true to delete it anyway.",
        ));
    }
    storage.remove(tenant, &file, &sources, origin.actor(caller.user_id)).await?;
    Ok(Reply::ok(DeletedFile { object_name: file.object_name }, "The file was deleted."))
}

impl Storage {
    async fn sources_of(&self, tenant: Tenant, file: &file::Model) -> Result<Vec<DataSourceId>> {
        let found = self.sight.sources_of(tenant, &BTreeSet::from([file.object_name.clone()])).await?;
        Ok(found.into_values().flatten().collect())
    }

    async fn remove(&self, tenant: Tenant, file: &file::Model, sources: &[DataSourceId], actor: Actor) -> Result<()> {
        let tx = self.platform.db.begin().await?;
        // Two who delete it at once: one finds it gone.
        let taken = file::Entity::update_many()
            .col_expr(file::Column::State, Expr::value(FileState::Removing))
            .filter(file::Column::Id.eq(file.id))
            .filter(file::Column::State.eq(FileState::Stored))
            .exec(tx.conn())
            .await?;
        if taken.rows_affected == 0 {
            return Err(ErrorCode::NotFound.into());
        }
        file::usage::add(&tx, tenant, -file.size_bytes, -1, 0).await?;
        for source in sources {
            tx.publish(Event::DataSourceChanged(*source)).await?;
        }
        let record = AuditRecord::new(Some(tenant.organization_id()), actor, "file.delete")
            .target("file", file.id)
            .details(serde_json::json!({"size": file.size_bytes, "owner": file.uploaded_by_user_id,
                "data_source_ids": sources}));
        audit::record(&tx, &self.platform.clock, record).await?;
        tx.commit().await?;
        // It is deleted, whatever the store says to it now.
        if let Err(error) = self.finish_removing(tenant, file).await {
            tracing::warn!(file = %file.id, %error, "the bytes of a deleted file are still there; the sweep takes them");
        }
        Ok(())
    }

    /// Takes the bytes of a file away that nobody sees any more.
    pub(crate) async fn finish_removing(&self, tenant: Tenant, file: &file::Model) -> Result<()> {
        self.remove_object(tenant, &file.object_name).await?;
        let tx = self.platform.db.begin().await?;
        file::Entity::update_many()
            .col_expr(file::Column::State, Expr::value(FileState::Deleted))
            .filter(file::Column::Id.eq(file.id))
            .exec(tx.conn())
            .await?;
        tx.commit().await
    }
}
