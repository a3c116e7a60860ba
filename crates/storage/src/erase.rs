//! Every file of an organization that is erased.

use async_trait::async_trait;
use rivergen_kernel::{Result, Tenant};
use rivergen_platform::remains::Remains;

use crate::Storage;

#[async_trait]
impl Remains for Storage {
    /// Whatever lies in the organization's folder, what was still being uploaded too.
    async fn erase(&self, tenant: Tenant) -> Result<()> {
        self.remove_folder(&format!("organizations/{}", tenant.organization_id())).await
    }
}
