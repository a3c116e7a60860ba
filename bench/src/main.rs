//! `make bench`: how fast the server is, as ratios.
//!
//! A figure alone says more of the machine than of the server, so each stands beside one that is measured in
//! the same run, alternating with it:
//!
//! ```text
//!   GET /api/v1/auth/me         against    a bare axum route that answers the same bytes
//!   POST /api/v1/auth/login     against    Argon2id on all cores, and nothing else
//!   a governed query            against    the same engine without policies, and DuckDB on the same files
//!   start, memory               against    a goal
//! ```
//!
//! Medians are printed with the goals; nothing is asserted.

mod error;
mod http;
mod load;
mod queries;
mod report;
mod server;
mod start;

use std::{net::SocketAddr, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

use error::Result;
use report::Report;
use server::Server;

// As in the server, so that the yardsticks have what it has.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Measures a release build of the server.
#[derive(Debug, Parser)]
#[command(subcommand_negates_reqs = true)]
struct Cli {
    /// The server's binary
    #[arg(long, value_name = "PATH", required = true)]
    server: Option<PathBuf>,
    /// A Python that has the package duckdb; without it queries are compared with the engine alone
    #[arg(long, value_name = "PATH")]
    python: Option<PathBuf>,
    /// Rows of the table that is queried
    #[arg(long, value_name = "N", default_value_t = 5_000_000)]
    rows: usize,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Serve the bytes of a file at every path: the yardstick of (a), in a process of its own
    #[command(hide = true)]
    BareRoute { address: SocketAddr, body: PathBuf },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match (cli.part, cli.server) {
        (Some(Part::BareRoute { address, body }), _) => http::serve_bare_route(address, &body),
        (None, Some(server)) => std::path::absolute(server)
            .map_err(Into::into)
            .and_then(|server| measure(&server, cli.python.as_deref(), cli.rows)),
        (None, None) => return ExitCode::FAILURE,
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("rivergen-bench: {error}");
            ExitCode::FAILURE
        }
    }
}

fn measure(binary: &std::path::Path, python: Option<&std::path::Path>, rows: usize) -> Result<()> {
    let mut report = Report::default();
    eprintln!("start and memory …");
    start::measure(binary, &mut report)?;
    let server = Server::provisioned(binary)?;
    eprintln!("requests …");
    http::measure_me(&server, &mut report)?;
    eprintln!("logins …");
    http::measure_logins(&server, &mut report)?;
    drop(server);
    eprintln!("queries …");
    queries::measure(python, rows, &mut report)?;
    println!("{report}");
    Ok(())
}

/// The middle one of several measurements.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

/// The cores that each side may use.
fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, |n| n.get())
}
