//! The commands of the binary.

mod audit;
mod eval;
mod keys;
mod organizations;
mod people;
mod vault;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use rivergen_kernel::{Error, Result};
use rivergen_platform::Clock;
use rivergen_tenancy::provision;
use tokio::net::TcpListener;
use tracing_subscriber::EnvFilter;

use crate::{
    App, Config,
    assembly::{STACK_BYTES, local_model, open_database},
    config::{DEFAULTS, LogFormat},
    demo, openapi, serve,
};

/// Identity, tenancy and governed data in one server.
///
/// Start with `rivergen demo` to see it work on real data, or `rivergen serve` for an empty server. It needs nothing
/// else: SQLite and local files are the defaults; PostgreSQL makes it a cluster.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// The settings; without it rivergen.toml in the working directory, where there is one.
    #[arg(long, short, global = true, value_name = "FILE", env = "RIVERGEN_CONFIG")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "Examples:
  rivergen demo                                   a demo organization with data, on http://127.0.0.1:8080
  RIVERGEN_DATABASE__URL=postgres://… rivergen serve
  rivergen provision acme.toml                    an organization with its people
  rivergen audit export > audit.jsonl             all records; `rivergen audit verify --file` needs nothing else
  rivergen people create-owner ada@acme.example --organization Acme
  rivergen check-config --defaults > rivergen.toml   all settings, with comments, to edit";

#[derive(Debug, Subcommand)]
enum Command {
    /// Start the server; the database is brought up to date first
    Serve,
    /// Start a server with a demo organization, three data sources and policies
    ///
    /// It keeps its data in the folder .demo, so it does not touch a real server's. Running it again changes nothing.
    Demo {
        /// Where the demo keeps its data
        #[arg(long, value_name = "DIR", default_value = ".demo")]
        dir: PathBuf,
        /// Rows of the orders that are generated
        #[arg(long, value_name = "N", default_value_t = 1_000_000)]
        rows: usize,
        /// Address and port to listen on
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
        listen: std::net::SocketAddr,
    },
    /// Bring the database up to date and end
    Migrate,
    /// Make an organization with its people from a file; what exists stays as it is
    Provision {
        /// TOML: name, domain, workspace, and [security], and [[people]] with email, display_name, password or
        /// password_hash, role, attributes
        file: PathBuf,
    },
    /// Ask a planner a set of questions with known answers, and print how many it gets right
    Eval(eval::EvalCommand),
    /// Print the OpenAPI document
    Openapi,
    /// Check the settings and print them, without secrets
    CheckConfig {
        /// Print the defaults with their comments instead
        #[arg(long)]
        defaults: bool,
    },
    /// Accounts of people
    #[command(subcommand)]
    People(people::PeopleCommand),
    /// Organizations
    #[command(subcommand)]
    Organizations(organizations::OrganizationsCommand),
    /// The keys that sign tokens
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// The audit log
    #[command(subcommand)]
    Audit(audit::AuditCommand),
    /// The keys under which secrets are sealed
    #[command(subcommand)]
    Vault(vault::VaultCommand),
}

impl Cli {
    /// Runs the command; what goes wrong is one line on the error output.
    pub fn run(self) -> ExitCode {
        match self.execute() {
            Ok(code) => code,
            Err(error) => {
                eprintln!("rivergen: {}", told(&error));
                ExitCode::FAILURE
            }
        }
    }

    fn execute(self) -> Result<ExitCode> {
        match &self.command {
            Command::Openapi => {
                print!("{}", openapi::document_text());
                return Ok(ExitCode::SUCCESS);
            }
            Command::CheckConfig { defaults: true } => {
                print!("{DEFAULTS}");
                return Ok(ExitCode::SUCCESS);
            }
            Command::Audit(audit::AuditCommand::Verify { file: Some(file), filtered }) => {
                return audit::verify_file(file, *filtered);
            }
            _ => {}
        }
        let config = match &self.command {
            Command::Demo { dir, listen, .. } => demo::config(dir, *listen).map_err(Error::internal)?,
            _ => Config::load(self.config.as_deref()).map_err(Error::internal)?,
        };
        if let Command::CheckConfig { .. } = self.command {
            local_model(&config)?;
            println!("{config:#?}");
            return Ok(ExitCode::SUCCESS);
        }
        start_log(&config);
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.enable_all().thread_stack_size(STACK_BYTES).build().map_err(Error::internal)?;
        runtime.block_on(self.command.run(config))
    }
}

impl Command {
    async fn run(self, config: Config) -> Result<ExitCode> {
        match self {
            Self::Serve => {
                crate::health::recorder();
                let app = App::build(&config, Clock::system()).await?;
                let listener = listen(&config).await?;
                tracing::info!(address = %config.server.listen, url = %config.server.public_url, "listening");
                serve::serve(app, listener, serve::asked_to_stop()).await?;
            }
            Self::Demo { dir, rows, .. } => {
                crate::health::recorder();
                demo::run(&config, &dir, rows).await?;
            }
            Self::Migrate => {
                open_database(&config).await?;
                println!("The database is up to date.");
            }
            Self::Provision { file } => {
                let text =
                    std::fs::read_to_string(&file).map_err(|e| Error::internal(format!("{}: {e}", file.display())))?;
                let description =
                    toml::from_str(&text).map_err(|e| Error::internal(format!("{}: {e}", file.display())))?;
                let app = App::build(&config, Clock::system()).await?;
                let made = provision::run(&app.tenancy, description).await?;
                let what = if made.created { "is provisioned" } else { "was complete already" };
                println!(
                    "Organization {} {what}; it has {} people of the file.",
                    made.organization_id,
                    made.people.len()
                );
            }
            Self::Audit(command) => return command.run(&config).await,
            Self::Eval(command) => return command.run(&config).await,
            Self::Keys(command) => command.run(&config).await?,
            Self::People(command) => command.run(&config).await?,
            Self::Organizations(command) => command.run(&config).await?,
            Self::Vault(command) => command.run(&config).await?,
            Self::Openapi | Self::CheckConfig { .. } => {}
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Takes the address that the settings name.
pub(crate) async fn listen(config: &Config) -> Result<TcpListener> {
    let address = config.server.listen;
    TcpListener::bind(address).await.map_err(|error| {
        Error::internal(format!("cannot listen on {address}: {error}; choose another with server.listen"))
    })
}

fn start_log(config: &Config) {
    let filter = EnvFilter::try_new(&config.log.level).unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match config.log.format {
        LogFormat::Json => log.json().init(),
        LogFormat::Text => log.init(),
    }
}

/// The error and its causes on one line; an operator may read them.
fn told(error: &Error) -> String {
    let mut text = String::new();
    let mut cause = std::error::Error::source(error);
    if cause.is_none() {
        text = error.message.to_string();
        for detail in &error.details {
            text.push_str(&format!(" {}: {}.", detail.field, detail.reason));
        }
    }
    while let Some(inner) = cause {
        let line = inner.to_string();
        if !text.contains(&line) {
            text = if text.is_empty() { line } else { format!("{text}: {line}") };
        }
        cause = inner.source();
    }
    text
}
