//! `rivergen organizations`: what an operator does for an organization that nobody can reach any more.

use clap::Subcommand;
use rivergen_kernel::Result;
use rivergen_platform::Clock;
use rivergen_tenancy::organization::{self, erase};

use crate::{App, Config};

#[derive(Debug, Subcommand)]
pub enum OrganizationsCommand {
    /// Open an organization again that was deleted less than thirty days ago
    Restore {
        /// Its name
        name: String,
    },
    /// Set what the files of an organization may take
    ///
    /// Without it the setting storage.quota_bytes holds.
    Quota {
        /// Its name
        name: String,
        /// In bytes
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..), required_unless_present = "default")]
        bytes: Option<i64>,
        /// As the setting says
        #[arg(long, conflicts_with = "bytes")]
        default: bool,
    },
}

impl OrganizationsCommand {
    pub async fn run(self, config: &Config) -> Result<()> {
        let app = App::build(config, Clock::system()).await?;
        match self {
            Self::Restore { name } => {
                let id = erase::restore(&app.tenancy, &name).await?;
                println!("The organization {id} is open again; its members sign in anew.");
            }
            Self::Quota { name, bytes, .. } => {
                let id = organization::named(app.platform.db.read(), &name).await?.id;
                app.storage.set_quota(id, bytes).await?;
                match bytes {
                    Some(bytes) => println!("The files of organization {id} may take {bytes} bytes."),
                    None => println!("The files of organization {id} may take what storage.quota_bytes says."),
                }
            }
        }
        Ok(())
    }
}
