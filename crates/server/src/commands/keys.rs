//! `rivergen keys`: the keys that sign tokens.

use clap::Subcommand;
use rivergen_kernel::Result;
use rivergen_oauth::Keys;
use rivergen_platform::{
    Clock, Database,
    signing::{Purpose, SigningKeys},
};

use crate::{
    Config,
    assembly::{open_database, open_vault, token_algorithms},
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
        let (clock, algorithm) = (Clock::system(), config.tokens.algorithm);
        let of_applications = Keys::load_or_create(&db, &vault, &clock, token_algorithms(config)).await?;
        let of_sessions = SigningKeys::load_or_create(db.clone(), vault, clock, Purpose::Sessions, algorithm).await?;
        let kid = rotate(&db, &of_sessions).await?;
        println!("Tokens are signed with the key {kid} from now on.");
        for (algorithm, keys) in of_applications.each() {
            let kid = rotate(&db, keys).await?;
            println!("Tokens of applications are signed ({algorithm}) with the key {kid} from now on.");
        }
        Ok(())
    }
}

async fn rotate(db: &Database, keys: &SigningKeys) -> Result<String> {
    let tx = db.begin().await?;
    let kid = keys.rotate(&tx).await?;
    tx.commit().await?;
    Ok(kid)
}
