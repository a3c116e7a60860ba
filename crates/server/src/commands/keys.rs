//! `rivergen keys`: the keys that sign tokens.

use clap::Subcommand;
use rivergen_kernel::Result;
use rivergen_platform::{
    Clock,
    signing::{Purpose, SigningKeys},
};

use crate::{
    Config,
    assembly::{open_database, open_vault},
};

#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Sign with a new key from now on; the former one verifies until its tokens have expired
    Rotate,
}

impl KeysCommand {
    pub async fn run(self, config: &Config) -> Result<()> {
        let Self::Rotate = self;
        let db = open_database(config).await?;
        let vault = open_vault(config, db.clone(), Clock::system())?;
        for (purpose, algorithm) in
            [(Purpose::Sessions, config.tokens.algorithm), (Purpose::Applications, config.oauth.signing_algorithm)]
        {
            let clock = Clock::system();
            let keys = SigningKeys::load_or_create(db.clone(), vault.clone(), clock, purpose, algorithm).await?;
            let tx = db.begin().await?;
            let kid = keys.rotate(&tx).await?;
            tx.commit().await?;
            let what = match purpose {
                Purpose::Sessions => "Tokens",
                Purpose::Applications => "Tokens of applications",
            };
            println!("{what} are signed with the key {kid} from now on.");
        }
        Ok(())
    }
}
