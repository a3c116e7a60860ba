//! Programs of `tests/interop` that stand in for a database, each started for a test; see `scripts/install-test-tools.sh`.
//! Where one is not installed its tests are passed over.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

/// A running server; ends when it is dropped.
pub struct Server {
    child: Child,
    pub port: u16,
    directory: tempfile::TempDir,
}

impl Server {
    /// Starts the script with the Python that its tests have.
    pub async fn start(python: PathBuf, script: PathBuf, arguments: &[&str]) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = super::port::for_a_program();
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
                return server;
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

/// The Python of that folder, with what its scripts need.
pub fn python(folder: &str) -> Option<PathBuf> {
    let home = PathBuf::from(std::env::var_os("HOME").unwrap_or_default());
    let python = home.join(".cache/rivergen").join(folder).join("bin/python");
    if !python.exists() {
        super::missing::passed_over(&format!("there is no {}", python.display()));
        return None;
    }
    Some(python)
}

/// A script of `tests/interop`.
pub fn script(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop").join(path)
}
