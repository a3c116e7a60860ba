//! `DELETE /api/v1/storage/tus/{upload_id}`: gives an upload up.

use axum::extract::State;
use rivergen_kernel::{Error, ErrorCode, Permission, Result, UploadId};
use rivergen_platform::{
    audit::{self, Actor, AuditRecord},
    errors,
    http::{NoContent, Path, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, sea_query::Expr};

use super::{Column, Entity, Model, State as UploadState};
use crate::{Storage, file::usage};

errors! { pub TerminateErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, UploadExpired, InternalError; }

/// Cancel an upload
#[utoipa::path(delete, path = "/api/v1/storage/tus/{upload_id}", tag = "storage",
    params(("upload_id" = UploadId, Path, description = "The upload")),
    responses((status = 204, description = "Deleted, and its quota is free again"), TerminateErrors))]
pub async fn terminate(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<UploadId>,
) -> Result<NoContent> {
    let tenant = caller.require(Permission::StorageWrite)?;
    let upload = storage.upload_of(&caller, tenant, id).await?;
    if !storage.end_upload(&upload, origin.actor(caller.user_id)).await? {
        return Err(
            Error::new(ErrorCode::Conflict).with_message("The upload is already a file; delete the file instead.")
        );
    }
    storage.clear_upload(&upload).await?;
    Ok(NoContent)
}

impl Storage {
    /// Gives the quota back of an upload that nobody goes on with; `false` where it is a file by now.
    pub(crate) async fn end_upload(&self, upload: &Model, actor: Actor) -> Result<bool> {
        let tx = self.platform.db.begin().await?;
        let ended = Entity::update_many()
            .col_expr(Column::State, Expr::value(UploadState::Ended))
            .filter(Column::Id.eq(upload.id))
            .filter(Column::State.eq(UploadState::Receiving))
            .exec(tx.conn())
            .await?;
        if ended.rows_affected == 0 {
            return Ok(false);
        }
        usage::add(&tx, upload.tenant(), 0, 0, -upload.size_bytes).await?;
        let record = AuditRecord::new(Some(upload.organization_id), actor, "file.end_upload")
            .target("upload", upload.id)
            .details(serde_json::json!({"size": upload.size_bytes, "offset": upload.offset_bytes}));
        audit::record(&tx, &self.platform.clock, record).await?;
        tx.commit().await?;
        Ok(true)
    }

    /// Takes away the pieces and the row of an upload that has ended; may be asked again.
    pub(crate) async fn clear_upload(&self, upload: &Model) -> Result<()> {
        self.remove_folder(&upload.place()).await?;
        let tx = self.platform.db.begin().await?;
        // The rows of its pieces go with it.
        Entity::delete_by_id(upload.id).exec(tx.conn()).await?;
        tx.commit().await
    }
}
