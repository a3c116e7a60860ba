//! Every file of an organization that is erased.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, path::Path};
use rivergen_kernel::{Error, Result, Tenant};
use rivergen_platform::remains::Remains;

use crate::Storage;

#[async_trait]
impl Remains for Storage {
    /// Whatever lies in the organization's folder, whether a row knows it or not.
    async fn erase(&self, tenant: Tenant) -> Result<()> {
        let folder = Path::from(format!("organizations/{}", tenant.organization_id()));
        let found = self.inner.list(Some(&folder)).map_ok(|object| object.location).boxed();
        self.inner.delete_stream(found).try_for_each(|_| async { Ok(()) }).await.map_err(Error::internal)
    }
}
