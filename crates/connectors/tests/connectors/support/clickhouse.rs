//! Today's ClickHouse inside a Python process (`chdb`), behind the few lines of its HTTP interface that are used.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

pub const USER: &str = "reader";
pub const PASSWORD: &str = "t0p secret";
pub const DATABASE: &str = "shop";

/// A running engine; dropping it stops it.
pub struct Server {
    pub port: u16,
    child: Child,
}

impl Server {
    /// Starts the engine and runs the statements; `None`, and a word, where it is not installed.
    pub fn start(script: &str) -> Option<Self> {
        let Some(python) = super::warehouse::python() else {
            super::missing::passed_over("chdb is not installed");
            return None;
        };
        let shim = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/connectors/support/clickhouse_http.py");
        let mut child = Command::new(python).arg(shim).arg(script).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the engine did not start: {line}"));
        Some(Self { port, child })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
