//! `rivergen vault`: rotation of the keys under which secrets are sealed.

use clap::Subcommand;
use rivergen_kernel::{OrganizationId, Result};
use rivergen_platform::{Clock, vault::Owner};

use crate::{
    Config,
    assembly::{open_database, open_vault},
};

#[derive(Debug, Subcommand)]
pub enum VaultCommand {
    /// Seal all data keys under the first server key, after a new one was put in front
    Reseal,
    /// Give an organization, or the system without one, a new data key; what is sealed still opens
    Rotate {
        /// The organization's id
        organization: Option<i64>,
    },
}

impl VaultCommand {
    pub async fn run(self, config: &Config) -> Result<()> {
        let db = open_database(config).await?;
        let vault = open_vault(config, db.clone(), Clock::system())?;
        let tx = db.begin().await?;
        match self {
            Self::Reseal => {
                let count = vault.reseal_data_keys(&tx).await?;
                tx.commit().await?;
                println!("{count} data keys are sealed anew; old server keys can be removed from the settings.");
            }
            Self::Rotate { organization } => {
                let owner = organization.map_or(Owner::System, |id| Owner::Organization(OrganizationId(id)));
                let version = vault.rotate_data_key(&tx, owner).await?;
                tx.commit().await?;
                println!("New secrets are sealed under data key {version}.");
            }
        }
        Ok(())
    }
}
