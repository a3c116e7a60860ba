//! Programs in Python that speak the protocol of a server over an engine in their own process.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

/// A running program; dropping it stops it.
pub struct Shim {
    pub port: u16,
    child: Child,
}

impl Shim {
    /// Starts the script of this folder, which says at which port it listens; `None`, and a word of what is lacking,
    /// where there is no Python for it.
    pub fn start(script: &str, arguments: &[&str], lacking: &str) -> Option<Self> {
        let Some(python) = python() else {
            super::missing::passed_over(&format!("{lacking} not installed"));
            return None;
        };
        let script = format!("{}/tests/connectors/support/{script}", env!("CARGO_MANIFEST_DIR"));
        let mut child = Command::new(python).arg(script).args(arguments).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("it did not start: {line}"));
        Some(Self { port, child })
    }
}

impl Drop for Shim {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// The Python that has the engines.
fn python() -> Option<PathBuf> {
    let given = std::env::var_os("RIVERGEN_TEST_SERVICES_PYTHON").map(PathBuf::from);
    let usual = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache/rivergen/services/bin/python"));
    given.or_else(usual).filter(|python| python.exists())
}
