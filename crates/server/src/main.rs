//! The `rivergen` binary.

use std::process::ExitCode;

use clap::Parser;
use rivergen::commands::Cli;

// The allocator of long-running servers: less fragmentation, faster under many threads. How soon it gives back what is free
// stands in .cargo/config.toml.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
