//! `rivergen audit`: the log that nobody can change unnoticed.

use std::process::ExitCode;

use clap::Subcommand;
use rivergen_kernel::Result;
use rivergen_platform::audit;

use crate::{Config, assembly::open_database};

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that no record was changed or removed; ends with status 1 where one was
    Verify,
}

impl AuditCommand {
    pub async fn run(self, config: &Config) -> Result<ExitCode> {
        match self {
            Self::Verify => {
                let db = open_database(config).await?;
                let report = audit::verify(&db, None).await?;
                match &report.first_break {
                    None => {
                        println!(
                            "{} records in {} chains: none was changed or removed.",
                            report.records, report.chains
                        );
                        Ok(ExitCode::SUCCESS)
                    }
                    Some(found) => {
                        println!("The audit log was tampered with: {found}");
                        Ok(ExitCode::FAILURE)
                    }
                }
            }
        }
    }
}
