//! The keys of an organization's files, sealed in the vault under the organization's data key.

use async_trait::async_trait;
use rivergen_kernel::OrganizationId;
use rivergen_platform::{
    Platform,
    vault::{Owner, Sealed},
};
use zeroize::Zeroizing;

use crate::sealed::{KeyError, KeyRing};

/// One organization's key ring.
pub struct OrganizationKeys {
    platform: Platform,
    organization_id: OrganizationId,
}

impl OrganizationKeys {
    pub fn new(platform: Platform, organization_id: OrganizationId) -> Self {
        Self { platform, organization_id }
    }

    fn context(context: &[u8]) -> String {
        format!("storage.file_key/{}", hex::encode(context))
    }
}

impl std::fmt::Debug for OrganizationKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OrganizationKeys({})", self.organization_id)
    }
}

#[async_trait]
impl KeyRing for OrganizationKeys {
    async fn seal(&self, context: &[u8], file_key: &[u8; 32]) -> Result<Vec<u8>, KeyError> {
        let tx = self.platform.db.begin().await?;
        let owner = Owner::Organization(self.organization_id);
        let sealed = self.platform.vault.seal(&tx, owner, &Self::context(context), file_key).await?;
        // A first file makes the organization's data key.
        tx.commit().await?;
        Ok(sealed.0)
    }

    async fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError> {
        let owner = Owner::Organization(self.organization_id);
        let opened = self.platform.vault.open(owner, &Self::context(context), &Sealed(sealed.to_vec())).await?;
        let key: [u8; 32] = opened.as_slice().try_into().map_err(|_| "a file's key of the wrong length")?;
        Ok(Zeroizing::new(key))
    }
}
