//! `rivergen people`: what an operator does for somebody who cannot do it themselves.

use clap::Subcommand;
use rivergen_identity::{account::delete, email_address};
use rivergen_kernel::Result;
use rivergen_platform::Clock;

use crate::{App, Config};

#[derive(Debug, Subcommand)]
pub enum PeopleCommand {
    /// Open an account again that its person closed less than thirty days ago
    Restore {
        /// An address of the account
        email: String,
    },
}

impl PeopleCommand {
    pub async fn run(self, config: &Config) -> Result<()> {
        match self {
            Self::Restore { email } => {
                let email = email_address::normalise(&email, "email")?;
                let app = App::build(config, Clock::system()).await?;
                delete::restore(&app.tenancy.identity, &email).await?;
                println!("The account of {email} is open again.");
                Ok(())
            }
        }
    }
}
