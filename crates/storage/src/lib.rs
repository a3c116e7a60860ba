//! Files of an organization, sealed at rest with the organization's own key, within its quota.
//!
//! [`sealed`] is the store that encrypts; [`file`] the table of what lies in it; [`upload`] and [`list`]
//! the operations. A file lies at `organizations/{organization}/files/{user}/…` and is its uploader's
//! until something (a data source) shares what it says.

mod erase;
pub mod file;
pub mod keys;
pub mod list;
pub mod migrations;
pub mod personal_data;
pub mod sealed;
pub mod sweep;
pub mod upload;

use std::sync::Arc;

use axum::extract::DefaultBodyLimit;
use object_store::ObjectStore;
use rivergen_kernel::{OrganizationId, Result, Tenant};
use rivergen_platform::{Kept, Platform};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use sealed::SealedStore;
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
}

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Storage {
    pub platform: Platform,
    pub settings: Arc<Settings>,
    inner: Arc<dyn ObjectStore>,
    stores: Kept<OrganizationId, SealedStore>,
}

impl Storage {
    /// `inner` holds the ciphertext: a directory, or a bucket.
    pub fn new(platform: Platform, inner: Arc<dyn ObjectStore>, settings: Settings) -> Self {
        let an_hour = std::time::Duration::from_secs(3600);
        // Keyed by organization: what one has sealed, another's store cannot open.
        let stores = Kept::new(platform.db.bus(), 10_000, an_hour, |_, _| Vec::new());
        Self { platform, settings: Arc::new(settings), inner, stores }
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

    /// Drops a deleted file's bytes; the row stays as a record.
    pub(crate) async fn remove_object(&self, tenant: Tenant, path: &str) -> Result<()> {
        use object_store::ObjectStoreExt;
        match self.store(tenant).await?.delete(&path.into()).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(error) => Err(rivergen_kernel::Error::internal(error)),
        }
    }

    /// The row of a file, whatever its state. For the sweep.
    pub(crate) async fn arriving_before(&self, instant: chrono::DateTime<chrono::Utc>) -> Result<Vec<file::Model>> {
        use sea_orm::QuerySelect;
        // Index: storage_files(state, created_at).
        Ok(file::Entity::find()
            .filter(file::Column::State.eq(file::State::Arriving))
            .filter(file::Column::CreatedAt.lt(instant))
            .limit(100)
            .all(self.platform.db.read())
            .await?)
    }
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Storage> {
    // An upload is bounded by the quota and its own limit, not by that of JSON bodies.
    let upload = OpenApiRouter::new().routes(routes!(upload::upload)).layer(DefaultBodyLimit::disable());
    OpenApiRouter::new().routes(routes!(list::list)).merge(upload)
}
