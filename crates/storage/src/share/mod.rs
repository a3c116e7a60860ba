//! Folders that their owner shares with a workspace: members who stand there see what lies in them, and read it where no
//! policy keeps any of it from them. They change and delete nothing.
//!
//! A share names the folder by its path in the store. It counts for files of its owner alone: whoever takes over the files
//! of somebody who leaves takes over the shares with them.

pub mod create;
pub mod list;
pub mod remove;

use chrono::{DateTime, Utc};
use rivergen_kernel::{FolderShareId, OrganizationId, Result, UserId, WorkspaceId};
use rivergen_platform::db::{TenantOwned, TenantScope};
use sea_orm::{
    QuerySelect, QueryTrait,
    entity::prelude::*,
    sea_query::{ExprTrait, Func},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{file, sight::Reader};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_shares")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: FolderShareId,
    pub organization_id: OrganizationId,
    pub workspace_id: WorkspaceId,
    pub owner_user_id: UserId,
    /// Of the paths in the folder, with a slash at its end.
    pub prefix: String,
    pub created_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A shared folder.
#[derive(Debug, Serialize, ToSchema)]
pub struct FolderShare {
    pub share_id: FolderShareId,
    pub workspace_id: WorkspaceId,
    pub owner_user_id: UserId,
    /// The folder: what the paths of its files begin with.
    #[schema(examples("organizations/1/files/7/reports/"))]
    pub prefix: String,
    pub created_at: DateTime<Utc>,
}

impl From<Model> for FolderShare {
    fn from(row: Model) -> Self {
        Self {
            share_id: row.id,
            workspace_id: row.workspace_id,
            owner_user_id: row.owner_user_id,
            prefix: row.prefix,
            created_at: row.created_at,
        }
    }
}

/// Whether the file lies in a folder that is shared with the workspace in which the reader stands.
pub(crate) async fn covers(db: &impl ConnectionTrait, reader: Reader<'_>, file: &file::Model) -> Result<bool> {
    let Some(workspace) = reader.membership.workspace_id else { return Ok(false) };
    // Index: storage_shares(organization_id, owner_user_id, workspace_id, prefix), unique. A person shares a few folders.
    let of_owner = reader
        .tenant
        .find::<Entity>()
        .filter(Column::OwnerUserId.eq(file.uploaded_by_user_id))
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Column::Prefix.is_in(folders_above(&file.object_name)));
    Ok(of_owner.limit(1).one(db).await?.is_some())
}

/// The folders in which a path lies, each with a slash at its end.
fn folders_above(path: &str) -> impl Iterator<Item = String> {
    path.match_indices('/').map(|(at, _)| path[..=at].to_owned())
}

/// Of files: that they lie in a folder that their owner shares with the workspace.
pub(crate) fn is_shared_with(workspace: WorkspaceId) -> Expr {
    let file = |column: file::Column| Expr::col((file::Entity, column));
    let start = Func::cust("substr").args([
        file(file::Column::ObjectName),
        Expr::value(1),
        Func::char_length(Expr::col((Entity, Column::Prefix))).into(),
    ]);
    // Index: storage_shares(organization_id, owner_user_id, workspace_id, prefix).
    let shares = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(Expr::col((Entity, Column::OrganizationId)).equals((file::Entity, file::Column::OrganizationId)))
        .filter(Expr::col((Entity, Column::OwnerUserId)).equals((file::Entity, file::Column::UploadedByUserId)))
        .filter(Column::WorkspaceId.eq(workspace))
        .filter(Expr::from(start).eq(Expr::col((Entity, Column::Prefix))))
        .into_query();
    Expr::exists(shares)
}
