//! The stand-in for SQL Server of `tests/interop/tds`, started for a test; see `scripts/install-test-tools.sh`. Where it
//! is not installed its tests are passed over.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

pub const USER: &str = "rivergen";
pub const PASSWORD: &str = "s3cret; 'x";
pub const DATABASE: &str = "shop";

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
        let python =
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rivergen/tds-interop/bin/python");
        if !python.exists() {
            super::missing::passed_over(&format!("there is no {}", python.display()));
            return None;
        }
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/tds/server.py");
        let directory = tempfile::tempdir().unwrap();
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let file = |name: &str| directory.path().join(name);
        let child = Command::new(python)
            .arg(script)
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

    /// A line for each login, statement and cancellation.
    pub fn log(&self) -> Vec<String> {
        self.read("log").lines().map(str::to_owned).collect()
    }
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
