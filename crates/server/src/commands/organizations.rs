//! `rivergen organizations`: what an operator does for an organization that nobody can reach any more.

use clap::Subcommand;
use rivergen_kernel::Result;
use rivergen_platform::Clock;
use rivergen_tenancy::organization::erase;

use crate::{App, Config};

#[derive(Debug, Subcommand)]
pub enum OrganizationsCommand {
    /// Open an organization again that was deleted less than thirty days ago
    Restore {
        /// Its name
        name: String,
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
        }
        Ok(())
    }
}
