//! The `rivergen` binary.

use std::process::ExitCode;

use clap::Parser;
use rivergen::commands::Cli;

// The allocator of long-running servers: less fragmentation, faster under many threads. Its version 2 gives memory that is
// free back to the machine after ten milliseconds, its version 3 after a second: while a large result leaves, that is a
// quarter of what the server holds.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    Cli::parse().run()
}
