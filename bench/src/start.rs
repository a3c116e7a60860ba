//! From the start of the process to the first "ready", and what it then holds in memory.

use std::{path::Path, thread::sleep, time::Duration};

use tempfile::TempDir;

use crate::{
    error::Result,
    median,
    report::{Goal, Report},
    server::Server,
};

const RUNS: usize = 5;

/// After which an idle server has settled.
const SETTLE: Duration = Duration::from_secs(2);

pub fn measure(binary: &Path, report: &mut Report) -> Result<()> {
    let (mut first, mut later, mut memory) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        let directory = TempDir::new()?;
        let (server, took) = Server::start(binary, directory.path())?;
        first.push(milliseconds(took));
        drop(server);
        let (server, took) = Server::start(binary, directory.path())?;
        later.push(milliseconds(took));
        if run == 0 {
            sleep(SETTLE);
        }
        memory.push(server.resident_mib()?);
    }
    report.bound("start to ready, existing database", median(later), "ms", Goal::AtMost(300.0));
    report.bound("start to ready, first start", median(first), "ms", Goal::AtMost(300.0));
    // Of the run that had settled.
    report.bound("resident memory, idle", memory.first().copied().unwrap_or(f64::NAN), "MiB", Goal::AtMost(100.0));
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}
