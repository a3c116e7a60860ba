//! The stand-in for SQL Server of `tests/interop/tds`.

use super::stand_in::{Server, python, script};

pub const USER: &str = "rivergen";
pub const PASSWORD: &str = "s3cret; 'x";
pub const DATABASE: &str = "shop";

pub async fn start() -> Option<Server> {
    start_with(&[]).await
}

pub async fn start_with(arguments: &[&str]) -> Option<Server> {
    Some(Server::start(python("tds-interop")?, script("tds/server.py"), arguments).await)
}
