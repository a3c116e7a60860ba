//! `make bench`: how fast the server is, as ratios.
//!
//! A figure alone says more of the machine than of the server, so each stands beside one that is measured in
//! the same run, alternating with it:
//!
//! ```text
//!   GET /api/v1/auth/me         against    a bare axum route that answers the same bytes
//!   POST /api/v1/auth/login     against    Argon2id on all cores, and nothing else
//!   single sign-on              against    sign-ins with a password
//!   GET /api/v1/sessions        against    the same in an almost empty database
//!   lists and checks of members against    the same in an organization of a thousand
//!   impact previews, imports    against    the same in an organization of a thousand
//!   a role taken on a node      against    a goal, until another node refuses
//!   lookups of SCIM users       against    the same with a thousand users
//!   a governed query            against    the same engine without policies, and DuckDB on the same files
//!   TPC-H                       against    the same, and DataFusion without us
//!   a query over PostgreSQL     against    the same SQL sent there by hand: time, and bytes that are read
//!   TPC-H over PostgreSQL       against    the same engine without policies, and SQL by hand
//!   results as CSV, Arrow       against    Arrow's own writers on the same rows, and a goal for memory
//!   files in and out            against    copies sealed in the same way
//!   tokens of applications      against    a goal
//!   refresh, read in a storm    against    a goal
//!   pages in a browser          against    goals, beside a document that runs nothing
//!   start, memory               against    a goal
//! ```
//!
//! Medians are printed with the goals; nothing is asserted.

mod console;
mod database;
mod duckdb;
mod engine;
mod error;
mod federation;
mod files;
mod http;
mod load;
mod members;
mod oauth;
mod postgres;
mod queries;
mod report;
mod results;
mod scim;
mod server;
mod sessions;
mod sign_ins;
mod sso;
mod start;
mod tpch;
mod wire;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::ExitCode,
};

use clap::{Parser, Subcommand};

use error::Result;
use report::Report;
use server::Server;

// As in the server, so that the yardsticks have what it has.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

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
    /// Scale of TPC-H, in files and in PostgreSQL; 1 is a gigabyte of text
    #[arg(long, value_name = "N", default_value_t = 1.0)]
    scale: f64,
    /// A PostgreSQL server on which databases may be made; without it SQLite alone is measured
    #[arg(long, value_name = "URL", env = "RIVERGEN_TEST_POSTGRES_URL", hide_env_values = true)]
    postgres: Option<String>,
    /// The folder of the console, with its Node packages; without it no browser is driven
    #[arg(long, value_name = "PATH")]
    console: Option<PathBuf>,
    /// Measure one subject alone
    #[arg(long, value_name = "SUBJECT")]
    only: Option<Subject>,
    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Subject {
    Start,
    Requests,
    SignIns,
    Sso,
    Sessions,
    Members,
    Scim,
    Oauth,
    Queries,
    Tpch,
    Federation,
    Results,
    Files,
    Console,
}

#[derive(Debug, Subcommand)]
enum Part {
    /// Serve the bytes of a file at every path: the yardstick of (a), in a process of its own
    #[command(hide = true)]
    BareRoute { address: SocketAddr, body: PathBuf },
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = match (&cli.part, &cli.server) {
        (Some(Part::BareRoute { address, body }), _) => http::serve_bare_route(*address, body),
        (None, Some(server)) => {
            std::path::absolute(server).map_err(Into::into).and_then(|server| measure(&server, &cli))
        }
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

fn measure(binary: &Path, cli: &Cli) -> Result<()> {
    let mut report = Report::default();
    let wanted = |subject| cli.only.is_none_or(|only| only == subject);
    if wanted(Subject::Start) {
        eprintln!("start and memory …");
        start::measure(binary, &mut report)?;
    }
    if wanted(Subject::Requests) {
        eprintln!("requests …");
        http::measure_me(&Server::provisioned(binary)?, &mut report)?;
    }
    if wanted(Subject::SignIns) {
        eprintln!("sign-ins …");
        let server = Server::provisioned(binary)?;
        sign_ins::measure_logins(&server, &mut report)?;
        sign_ins::measure_read_in_storm(&server, &mut report)?;
        sign_ins::measure_refreshes(&server, "SQLite", &mut report)?;
        if let Some(postgres) = &cli.postgres {
            let database = database::empty_postgres(postgres, "rivergen_bench_sign_ins")?;
            let server = Server::provisioned_on(binary, Some(&database))?;
            sign_ins::measure_refreshes(&server, "PostgreSQL", &mut report)?;
        }
        sign_ins::measure_memory(binary, &mut report)?;
    }
    if wanted(Subject::Sso) {
        eprintln!("sign-ins through identity providers …");
        sso::measure(binary, "SQLite", None, &mut report)?;
        if let Some(postgres) = &cli.postgres {
            let database = database::empty_postgres(postgres, "rivergen_bench_sso")?;
            sso::measure(binary, "PostgreSQL", Some(&database), &mut report)?;
        }
    }
    if wanted(Subject::Sessions) {
        eprintln!("a million sessions …");
        sessions::measure(binary, "SQLite", None, &mut report)?;
        if let Some(postgres) = &cli.postgres {
            let database = database::empty_postgres(postgres, "rivergen_bench_sessions")?;
            sessions::measure(binary, "PostgreSQL", Some(&database), &mut report)?;
        }
    }
    if wanted(Subject::Members) {
        eprintln!("a hundred thousand members …");
        members::measure(binary, "SQLite", None, &mut report)?;
        if let Some(postgres) = &cli.postgres {
            let database = database::empty_postgres(postgres, "rivergen_bench_members")?;
            members::measure(binary, "PostgreSQL", Some(&database), &mut report)?;
        }
    }
    if wanted(Subject::Scim) {
        eprintln!("a hundred thousand SCIM users …");
        scim::measure(binary, "SQLite", None, &mut report)?;
        if let Some(postgres) = &cli.postgres {
            let database = database::empty_postgres(postgres, "rivergen_bench_scim")?;
            scim::measure(binary, "PostgreSQL", Some(&database), &mut report)?;
        }
    }
    if wanted(Subject::Oauth) {
        eprintln!("the authorization server …");
        oauth::measure(binary, "SQLite", None, &mut report)?;
        if let Some(postgres) = &cli.postgres {
            let database = database::empty_postgres(postgres, "rivergen_bench_oauth")?;
            oauth::measure(binary, "PostgreSQL", Some(&database), &mut report)?;
        }
    }
    if wanted(Subject::Queries) {
        eprintln!("queries …");
        queries::measure(cli.python.as_deref(), cli.rows, &mut report)?;
    }
    if wanted(Subject::Tpch) {
        eprintln!("TPC-H …");
        tpch::measure(cli.python.as_deref(), cli.scale, &mut report)?;
    }
    if wanted(Subject::Federation) {
        eprintln!("a database of TPC-H …");
        federation::measure(cli.python.as_deref(), cli.postgres.as_deref(), cli.scale, &mut report)?;
    }
    if wanted(Subject::Results) {
        eprintln!("results …");
        results::measure(binary, cli.rows, &mut report)?;
    }
    if wanted(Subject::Files) {
        eprintln!("files …");
        files::measure(binary, &mut report)?;
    }
    if wanted(Subject::Console) {
        eprintln!("the console in a browser …");
        console::measure(binary, cli.console.as_deref(), &mut report)?;
    }
    if cli.postgres.is_some() {
        report.note("PostgreSQL was the tests' own, which does not wait for its disk; SQLite waits at every commit.");
    }
    println!("{report}");
    Ok(())
}

/// So many per cent of the times, in milliseconds, were no longer.
fn percentile(mut times: Vec<std::time::Duration>, percent: usize) -> f64 {
    times.sort();
    let at = (times.len() * percent).div_ceil(100).saturating_sub(1);
    times.get(at).map_or(f64::NAN, |time| time.as_secs_f64() * 1000.0)
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
