//! The stand-in for Oracle Database of `tests/interop/oracle`, and Oracle's own client.

use std::process::Command;

use super::stand_in::{Server, python, script};

pub const USER: &str = "rivergen";
pub const PASSWORD: &str = "s3cret; 'x";
pub const SERVICE: &str = "SHOP";

pub async fn start() -> Option<Server> {
    start_with(&[]).await
}

pub async fn start_with(arguments: &[&str]) -> Option<Server> {
    Some(Server::start(python("oracle-interop")?, script("oracle/server.py"), arguments).await)
}

/// Runs Oracle's own client at the server; answers what it says.
pub fn own_client(server: &Server) -> Option<String> {
    let mut client = Command::new(python("oracle-interop")?);
    let said = client.arg(script("oracle/client.py")).arg(server.port.to_string()).output().unwrap();
    Some(String::from_utf8_lossy(&[said.stdout, said.stderr].concat()).into_owned())
}
