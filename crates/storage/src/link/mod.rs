//! Links to files: whoever has one downloads the file without an account, until it ends.
//!
//! A link passes through this server, which decrypts and checks. It is a random number of 256 bits that the database knows
//! by its hash: nobody makes one up, none is prolonged, and each can be listed and revoked. It holds for as long as whoever
//! made it could make it again: it dies with the file, with the membership or the permission of its maker (suspension
//! included), with a share, a data source or a policy that comes between, with the organization, and when it is revoked.
//!
//! | file | |
//! | --- | --- |
//! | [`presign`] | `GET …/objects/{object_name}/presigned-url`, and [`Storage::link`] for other rooms |
//! | [`follow`] | `GET …/download/{token}` |
//! | [`list`], [`revoke`] | `GET …/links`, `DELETE …/links/{link_id}` |

pub mod follow;
pub mod list;
pub mod presign;
pub mod revoke;

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{DataSourceId, FileId, FileLinkId, OrganizationId, Permission, TokenHash, UserId, WorkspaceId};
use rivergen_platform::db::TenantOwned;
use sea_orm::entity::prelude::*;

pub use presign::{FileLink, Lifetime, LinkRequest};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_links")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: FileLinkId,
    pub organization_id: OrganizationId,
    pub file_id: FileId,
    pub created_by_user_id: UserId,
    /// Where its maker stood.
    pub workspace_id: Option<WorkspaceId>,
    /// What gave its maker the file, where that was a data source.
    pub data_source_id: Option<DataSourceId>,
    pub token_hash: TokenHash,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub revoked_at: Option<DateTime<Utc>>,
    pub use_count: i64,
    pub last_used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// Through what somebody has a file that they make a link to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// It is theirs, or shared with them.
    Folder,
    /// The data source reads it, and they see all of that.
    DataSource(DataSourceId),
}

impl Ground {
    /// What its maker needs, when it is made and each time it is used.
    pub(crate) fn permission(self) -> Permission {
        match self {
            Self::Folder => Permission::StorageRead,
            Self::DataSource(_) => Permission::DataSourceQuery,
        }
    }
}

impl Model {
    /// When it ends by itself: as was said when it was made, and when it is older than links may be now, in seconds.
    pub(crate) fn ends_at(&self, longest: i64) -> DateTime<Utc> {
        Ord::min(self.expires_at, self.created_at + Duration::seconds(longest))
    }

    pub(crate) fn ground(&self) -> Ground {
        self.data_source_id.map_or(Ground::Folder, Ground::DataSource)
    }
}
