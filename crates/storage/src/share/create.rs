//! `POST /api/v1/storage/shares`: shares one's folder with a workspace.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, Permission, Result, Tenant, WorkspaceId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    db::{TenantScope, duplicate_is},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::{organization, workspace};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, PaginatorTrait, QueryFilter};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{ActiveModel, Column, Entity, FolderShare};
use crate::{Storage, access, arrival::folder_named};

/// As many folders as one person may share.
const MOST: u64 = 200;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"folder": "reports/2026", "workspace_id": 3}))]
pub struct ShareFolderRequest {
    /// Inside your own: `reports/2026`. Without it, all of your own.
    pub folder: Option<String>,
    /// A workspace that one can reach.
    pub workspace_id: WorkspaceId,
}

errors! { pub ShareErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, WorkspaceNotFound, Conflict, ValidationError; }

/// Share a folder with a workspace
///
/// Members in the workspace with `storage.read` there can then list and read what is in the folder, including what is
/// added later. A file that a data source reads can only be read by those from whom no policy hides any of it.
#[utoipa::path(post, path = "/api/v1/storage/shares", tag = "storage", request_body = ShareFolderRequest,
    responses((status = 201, description = "Shared", body = Envelope<FolderShare>), ShareErrors))]
pub async fn create(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ShareFolderRequest>,
) -> Result<Reply<FolderShare>> {
    let tenant = caller.require(Permission::StorageWrite)?;
    let folder = request.folder.as_deref().map(|folder| folder_named("folder", folder)).transpose()?;
    storage.check_reachable(&caller, tenant, request.workspace_id).await?;
    let prefix = access::folder_of(tenant, caller.user_id) + &folder.map(|folder| folder + "/").unwrap_or_default();
    let platform = &storage.platform;
    let tx = platform.db.begin().await?;
    // Of two at once the second waits here and counts the first.
    organization::lock(&tx, tenant).await?;
    // Index: storage_shares(organization_id, owner_user_id, workspace_id, prefix), unique.
    let own = tenant.find::<Entity>().filter(Column::OwnerUserId.eq(caller.user_id));
    if own.count(tx.conn()).await? >= MOST {
        return Err(Error::new(ErrorCode::Conflict)
            .with_message("You already share 200 folders; share one that contains several, or stop sharing some."));
    }
    let share = ActiveModel {
        organization_id: Set(tenant.organization_id()),
        workspace_id: Set(request.workspace_id),
        owner_user_id: Set(caller.user_id),
        prefix: Set(prefix),
        created_at: Set(platform.clock.now()),
        ..Default::default()
    };
    let share = share.insert(tx.conn()).await.map_err(duplicate_is(
        Error::new(ErrorCode::Conflict).with_message("The folder is already shared with this workspace."),
    ))?;
    let record = AuditRecord::new(Some(share.organization_id), origin.actor(caller.user_id), "folder.share")
        .target("folder_share", share.id)
        .details(json!({"prefix": share.prefix, "workspace_id": share.workspace_id}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::created(share.into(), "The folder was shared."))
}

impl Storage {
    /// `WORKSPACE_NOT_FOUND` for a workspace that the caller does not reach.
    async fn check_reachable(&self, caller: &Caller, tenant: Tenant, wanted: WorkspaceId) -> Result<()> {
        let found = tenant
            .find::<workspace::Entity>()
            .filter(workspace::Column::Id.eq(wanted))
            .filter(workspace::Column::DeletedAt.is_null())
            .count(self.platform.db.read());
        let stands_there = caller.membership()?.workspace_id == Some(wanted);
        let standing = self.standings.of(tenant.organization_id(), caller.user_id).await?;
        let now = self.platform.clock.now();
        let may = stands_there
            || caller.may(Permission::WorkspaceRead)
            || standing.is_some_and(|standing| standing.is_let_into(wanted, now));
        match may && found.await? == 1 {
            true => Ok(()),
            false => Err(ErrorCode::WorkspaceNotFound.into()),
        }
    }
}
