//! Today's ClickHouse inside a Python process (`chdb`), behind the few lines of its HTTP interface that are used.

use super::shim::Shim;

pub const USER: &str = "reader";
pub const PASSWORD: &str = "t0p secret";
pub const DATABASE: &str = "shop";

/// Starts the engine and runs the statements, where it is installed.
pub fn start(script: &str) -> Option<Shim> {
    Shim::start("clickhouse_http.py", &[script], "chdb is")
}
