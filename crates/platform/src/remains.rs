//! What an organization leaves outside the database's own cascade, and who clears it away when it is erased for good.

use async_trait::async_trait;
use rivergen_kernel::{Result, Tenant};

/// Something that a room keeps of an organization outside its tables: files, indexes.
#[async_trait]
pub trait Remains: Send + Sync {
    /// Removes all of it. May be asked again, when a first time was cut off.
    async fn erase(&self, tenant: Tenant) -> Result<()>;
}
