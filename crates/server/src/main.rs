//! The `rivergen` binary.

use std::process::ExitCode;

use clap::Parser;
use rivergen::commands::Cli;

// The allocator of long-running servers: less fragmentation, faster under many threads.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
