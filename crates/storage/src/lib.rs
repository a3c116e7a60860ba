//! Files of an organization, sealed at rest with the organization's own key, within its quota.
//!
//! ```text
//! in    upload (a form), tus (resumable) ─ arrival ─ sealed ─ the store: a directory, or a bucket (backend)
//! out   object (signed in), link (whoever has it) ─ access, sight ─ serve
//! ```
//!
//! [`sealed`] is the store that encrypts; [`file`] the table of what lies in it. A file lies at
//! `organizations/{organization}/files/{user}/…` and is its uploader's, until its folder is shared ([`share`]) or a data
//! source shares what it says. [`access`] says who reaches which file, and [`sight`] what this room asks the rooms that know
//! data sources and policies.

pub mod access;
mod arrival;
pub mod backend;
pub mod bucket;
mod content;
mod erase;
pub mod file;
pub mod keys;
pub mod link;
pub mod list;
pub mod migrations;
pub mod object;
pub mod personal_data;
pub mod quota;
pub mod sealed;
mod serve;
pub mod share;
pub mod sight;
pub mod sweep;
pub mod tus;
pub mod upload;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use futures::{StreamExt, TryStreamExt};
use object_store::ObjectStore;
use rivergen_kernel::{OrganizationId, Result, Tenant};
use rivergen_platform::{Kept, Platform};
use rivergen_tenancy::standing::Standings;
use sea_orm::{ColumnTrait, QueryFilter};
use sealed::SealedStore;
use sight::Sight;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The name of the one bucket, as it stands in `s3_uri`.
pub const BUCKET: &str = "rivergen";

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// What all files of one organization may take together, in bytes.
    pub quota_bytes: u64,
    /// What one upload may take, in bytes.
    pub max_upload_bytes: u64,
    /// How long a link may live, in seconds; organizations may set less.
    pub max_link_seconds: i64,
}

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Storage {
    pub platform: Platform,
    pub settings: Arc<Settings>,
    pub(crate) standings: Standings,
    pub(crate) sight: Arc<dyn Sight>,
    inner: Arc<dyn ObjectStore>,
    stores: Kept<OrganizationId, SealedStore>,
    turns: tus::Turns,
}

impl Storage {
    /// `inner` holds the ciphertext: a directory, or a bucket. `standings` says what the maker of a link may still do.
    pub fn new(
        platform: Platform,
        inner: Arc<dyn ObjectStore>,
        settings: Settings,
        standings: Standings,
        sight: Arc<dyn Sight>,
    ) -> Self {
        let an_hour = std::time::Duration::from_secs(3600);
        // Keyed by organization: what one has sealed, another's store cannot open.
        let stores = Kept::new(platform.db.bus(), 10_000, an_hour, |_, _| Vec::new());
        Self { platform, settings: Arc::new(settings), standings, sight, inner, stores, turns: tus::Turns::default() }
    }

    /// The organization's files, in plaintext.
    pub async fn store(&self, tenant: Tenant) -> Result<SealedStore> {
        let id = tenant.organization_id();
        let open = async {
            let keys = keys::OrganizationKeys::new(self.platform.clone(), id);
            Ok(SealedStore::new(self.inner.clone(), Arc::new(keys)))
        };
        self.stores.get_or_load(id, open).await
    }

    /// A file of the organization by its path; `None` for one that is deleted or still arriving.
    pub async fn find(&self, tenant: Tenant, path: &str) -> Result<Option<file::Model>> {
        use rivergen_platform::db::TenantScope;
        // Index: storage_files(object_name), unique.
        Ok(tenant
            .find::<file::Entity>()
            .filter(file::Column::ObjectName.eq(path))
            .filter(file::Column::State.eq(file::State::Stored))
            .one(self.platform.db.read())
            .await?)
    }

    /// Drops the bytes of a file, if there are any.
    pub(crate) async fn remove_object(&self, tenant: Tenant, path: &str) -> Result<()> {
        use object_store::ObjectStoreExt;
        match self.store(tenant).await?.delete(&path.into()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(rivergen_kernel::Error::internal(error)),
        }
    }

    /// Drops whatever lies in a folder, whether a row knows it or not.
    pub(crate) async fn remove_folder(&self, folder: &str) -> Result<()> {
        let found = self.inner.list(Some(&folder.into())).map_ok(|object| object.location).boxed();
        let removed = self.inner.delete_stream(found).try_for_each(|_| async { Ok(()) });
        removed.await.map_err(rivergen_kernel::Error::internal)
    }
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Storage> {
    // Uploads are bounded by the quota and their own limit, not by that of JSON bodies.
    let uploads = OpenApiRouter::new()
        .routes(routes!(upload::upload))
        .merge(tus::operations())
        .layer(DefaultBodyLimit::disable());
    OpenApiRouter::new()
        .routes(routes!(list::list))
        .routes(routes!(bucket::buckets))
        .routes(routes!(bucket::objects))
        .routes(routes!(quota::quota))
        .routes(routes!(quota::usage))
        .routes(routes!(quota::people))
        .routes(routes!(link::follow::follow))
        .routes(routes!(link::list::list))
        .routes(routes!(link::revoke::revoke))
        .routes(routes!(share::list::list, share::create::create))
        .routes(routes!(share::remove::remove))
        .merge(object::operations())
        .merge(uploads)
}
