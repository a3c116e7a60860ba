//! The stand-in for Oracle Database of `tests/interop/oracle`, started for a test; see `scripts/install-test-tools.sh`.
//! Where it is not installed its tests are passed over.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const USER: &str = "rivergen";
pub const PASSWORD: &str = "s3cret; 'x";
pub const SERVICE: &str = "SHOP";

/// A running server; ends when it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    directory: tempfile::TempDir,
}

impl Server {
    pub async fn start() -> Option<Self> {
        Self::start_with(&[]).await
    }

    pub async fn start_with(arguments: &[&str]) -> Option<Self> {
        let python = python()?;
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str| directory.path().join(name);
        let child = Command::new(python)
            .arg(script("server.py"))
            .args(["--port", &port.to_string()])
            .arg("--log")
            .arg(file("log"))
            .arg("--certificate")
            .arg(file("certificate"))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(std::fs::File::create(file("errors")).unwrap())
            .spawn()
            .unwrap();
        let mut server = Self { child, port, directory };
        for _ in 0..600 {
            if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
                return Some(server);
            }
            if let Ok(Some(status)) = server.child.try_wait() {
                panic!("the server ended with {status}: {}", server.read("errors"));
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        panic!("the server did not start: {}", server.read("errors"));
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.directory.path().join(name)).unwrap_or_default()
    }

    /// In PEM form.
    pub fn certificate(&self) -> String {
        self.read("certificate")
    }

    /// A line for each connection, sign-in, statement and cancellation.
    pub fn log(&self) -> Vec<String> {
        self.read("log").lines().map(str::to_owned).collect()
    }

    pub fn logged(&self, beginning: &str) -> usize {
        self.log().iter().filter(|line| line.starts_with(beginning)).count()
    }

    /// Runs Oracle's own client at the server; answers what it says.
    pub fn own_client(&self) -> Option<String> {
        let client = Command::new(python()?).arg(script("client.py")).arg(self.port.to_string()).output().unwrap();
        Some(String::from_utf8_lossy(&[client.stdout, client.stderr].concat()).into_owned())
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/oracle").join(name)
}

fn python() -> Option<PathBuf> {
    let python =
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rivergen/oracle-interop/bin/python");
    if !python.exists() {
        super::missing::passed_over(&format!("there is no {}", python.display()));
        return None;
    }
    Some(python)
}

impl Drop for Server {
    fn drop(&mut self) {
        if std::thread::panicking() {
            println!("{}", self.read("errors"));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
