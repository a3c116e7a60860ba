//! `rivergen audit`: the log that nobody can change unnoticed.

use std::{
    fs::File,
    io::{self, BufReader, Write},
    path::{Path, PathBuf},
    process::ExitCode,
};

use chrono::{DateTime, SecondsFormat, Utc};
use clap::{Args, Subcommand};
use futures::{StreamExt, pin_mut};
use rivergen_kernel::{Error, OrganizationId, Result};
use rivergen_platform::{
    Clock, Database,
    audit::{
        self, Actor, AuditRecord, Chain, Extent, Head, Rows,
        log::{Column, Entity},
        streams::{self, StreamConfig, StreamState},
    },
};
use sea_orm::{ColumnTrait, Condition, EntityTrait, QueryFilter};
use serde_json::json;

use crate::{Config, assembly::open_database};

#[derive(Debug, Subcommand)]
pub enum AuditCommand {
    /// Verify that no record was changed or removed; ends with status 1 where one was
    Verify {
        /// An export instead of the database, which is not needed then; - for the standard input
        #[arg(long, value_name = "FILE")]
        file: Option<PathBuf>,
        /// The export was made with filters: records may be missing between others and at the end
        #[arg(long, requires = "file")]
        filtered: bool,
    },
    /// Write records to the standard output, a JSON object a line, for whoever verifies or keeps them elsewhere
    Export(Export),
    /// Show how far each stream of the settings is, and what keeps it
    Streams,
}

/// What to export: all chains, if nothing is said.
#[derive(Debug, Args)]
pub struct Export {
    /// The chain of one organization, by its id
    #[arg(long, value_name = "ID", conflicts_with = "system")]
    organization: Option<i64>,
    /// The chain of what belongs to no organization
    #[arg(long)]
    system: bool,
    /// Not before this time (RFC 3339)
    #[arg(long, value_name = "TIME")]
    from: Option<DateTime<Utc>>,
    /// Before this time
    #[arg(long, value_name = "TIME")]
    to: Option<DateTime<Utc>>,
}

impl AuditCommand {
    pub async fn run(self, config: &Config) -> Result<ExitCode> {
        match self {
            Self::Verify { file: Some(file), filtered } => verify_file(&file, filtered),
            Self::Verify { file: None, .. } => {
                let db = open_database(config).await?;
                let report = audit::verify(&db, None).await?;
                if let Some(found) = &report.first_break {
                    println!("The audit log was tampered with: {found}");
                    return Ok(ExitCode::FAILURE);
                }
                println!(
                    "{} records in {} chains: none was changed or removed. They end with",
                    report.records, report.chains
                );
                tell(&report.heads);
                Ok(ExitCode::SUCCESS)
            }
            Self::Export(export) => {
                let db = open_database(config).await?;
                export.run(&db).await?;
                Ok(ExitCode::SUCCESS)
            }
            Self::Streams => {
                let db = open_database(config).await?;
                if config.audit.streams.is_empty() {
                    println!("There are no streams; see [audit] in the settings.");
                }
                for stream in &config.audit.streams {
                    show(stream, &streams::state(&db, stream).await?);
                }
                Ok(ExitCode::SUCCESS)
            }
        }
    }
}

/// `rivergen audit verify --file`: needs neither settings nor a database.
pub fn verify_file(file: &Path, filtered: bool) -> Result<ExitCode> {
    let named = |error: io::Error| Error::internal(format!("{}: {error}", file.display()));
    let extent = if filtered { Extent::Selected } else { Extent::Whole };
    let report = match file.to_str() {
        Some("-") => audit::verify_export(io::stdin().lock(), extent),
        _ => audit::verify_export(BufReader::new(File::open(file).map_err(named)?), extent),
    };
    let report = report.map_err(named)?;
    if let Some(fault) = &report.fault {
        println!("The export does not hold, {fault}");
        return Ok(ExitCode::FAILURE);
    }
    let (records, chains) = (report.records, report.heads.len());
    match extent {
        Extent::Whole => println!("{records} records in {chains} chains: none was changed or removed. They end with"),
        Extent::Selected => println!("{records} records in {chains} chains: none was changed. The last ones are"),
    }
    tell(&report.heads);
    Ok(ExitCode::SUCCESS)
}

fn tell(heads: &[Head]) {
    for head in heads {
        println!("  {head}");
    }
}

impl Export {
    async fn run(self, db: &Database) -> Result<()> {
        let only = match (self.organization, self.system) {
            (Some(id), _) => Some(Chain::of(Some(OrganizationId(id)))),
            (None, true) => Some(Chain::SYSTEM),
            (None, false) => None,
        };
        let is_whole = self.from.is_none() && self.to.is_none();
        let extent = if is_whole { Extent::Whole } else { Extent::Selected };
        let chosen = Condition::all()
            .add_option(self.from.map(|from| Column::OccurredAt.gte(from)))
            .add_option(self.to.map(|to| Column::OccurredAt.lt(to)));
        for head in self.record(db, only).await? {
            let rows = Rows::Along(Box::new(Entity::find().filter(chosen.clone())));
            let lines = audit::export(db.clone(), rows, head, extent);
            pin_mut!(lines);
            while let Some(batch) = lines.next().await {
                io::stdout().write_all(&batch?).map_err(Error::internal)?;
            }
        }
        io::stdout().flush().map_err(Error::internal)
    }

    /// Records the export, in its chain or in that of the system, and answers up to where each chain goes.
    async fn record(&self, db: &Database, only: Option<Chain>) -> Result<Vec<Head>> {
        let chains = match only {
            Some(chain) => [chain].into(),
            None => {
                let mut all = audit::chains(db).await?;
                all.insert(Chain::SYSTEM);
                all
            }
        };
        let of = only.unwrap_or(Chain::SYSTEM);
        if of != Chain::SYSTEM && audit::head(db.read(), of).await?.is_none() {
            return Err(Error::internal(format!("there is no record of {of}")));
        }
        let scope = only.map_or_else(|| "all".to_owned(), |chain| chain.to_string());
        let details = json!({"chains": scope, "filters": {"from": self.from, "to": self.to}});
        let tx = db.begin().await?;
        let record = AuditRecord::new(of.organization_id(), Actor::system(), "audit.export").details(details);
        audit::record(&tx, &Clock::system(), record).await?;
        let mut heads = Vec::with_capacity(chains.len());
        for chain in chains {
            let head = audit::head(tx.conn(), chain).await?;
            let beheaded = || Error::internal(format!("{chain} has records but no head; see `rivergen audit verify`"));
            heads.push(head.ok_or_else(beheaded)?);
        }
        tx.commit().await?;
        Ok(heads)
    }
}

/// Chains that are shown of one stream.
const SHOWN: usize = 10;

fn show(stream: &StreamConfig, state: &StreamState) {
    let time = |at: Option<DateTime<Utc>>| {
        at.map_or_else(|| "never".to_owned(), |at| at.to_rfc3339_opts(SecondsFormat::Secs, true))
    };
    println!("{} ({}, {})", stream.name, stream.kind, stream.format);
    let Some(begun_at) = state.begun_at else {
        println!("  has not begun: it does when a server starts with these settings");
        return;
    };
    println!("  begun         {}", time(Some(begun_at)));
    match state.records_behind {
        0 => println!("  behind        nothing"),
        count => println!("  behind        {count} records in {} chains", state.behind.len()),
    }
    for chain in state.behind.iter().take(SHOWN) {
        println!("    {}: delivered up to record {} of {}", chain.chain, chain.delivered, chain.head);
    }
    if state.behind.len() > SHOWN {
        println!("    … and {} chains more", state.behind.len() - SHOWN);
    }
    println!("  last success  {}", time(state.last_success_at));
    match &state.last_error {
        Some(error) => println!("  last error    {}: {error}", time(state.last_failure_at)),
        None => println!("  last error    never"),
    }
    if let Some(at) = state.next_attempt_at {
        println!("  next attempt  {}, after {} failures", time(Some(at)), state.failures);
    }
}
