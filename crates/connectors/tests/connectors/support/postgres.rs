//! A PostgreSQL server of one's own: a fresh cluster in a temporary directory, a random port, gone with the value.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::account::{Account, run};

/// A running server; dropping it stops it and removes its files.
pub struct Server {
    pub port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

/// The superuser that the cluster is made with, and its password.
pub const USER: &str = "rivergen_test";
pub const PASSWORD: &str = "t0p secret";

impl Server {
    /// Starts a server; panics with what is missing where there is none to start.
    pub fn start() -> Self {
        Self::start_as(false)
    }

    /// Starts a server with a certificate of its own for `localhost`.
    pub fn start_with_tls() -> Self {
        Self::start_as(true)
    }

    /// The server's certificate, which is its own root.
    pub fn certificate(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("server.crt")).unwrap()
    }

    fn start_as(tls: bool) -> Self {
        let programs = programs();
        let directory = tempfile::Builder::new().prefix("rivergen-pg-").tempdir().unwrap();
        let data = directory.path().join("data");
        std::fs::create_dir(&data).unwrap();
        let password = directory.path().join("password");
        std::fs::write(&password, PASSWORD).unwrap();
        if tls {
            // The two lines of `openssl` that PostgreSQL's manual gives, section 18.9.5.
            run(Command::new("openssl")
                .current_dir(directory.path())
                .args([
                    "req",
                    "-new",
                    "-x509",
                    "-days",
                    "30",
                    "-nodes",
                    "-newkey",
                    "rsa:2048",
                    "-subj",
                    "/CN=localhost",
                ])
                .args(["-addext", "subjectAltName=DNS:localhost", "-out", "server.crt", "-keyout", "server.key"]));
            run(Command::new("chmod").arg("600").arg(directory.path().join("server.key")));
        }
        let account = Account::of("postgres");
        account.take(directory.path());
        run(account
            .command(&programs.join("initdb"), directory.path())
            .args(["--username", USER, "--auth", "scram-sha-256", "--encoding", "UTF8", "--no-sync"])
            .args(["--locale-provider", "icu", "--icu-locale", "en-US", "--locale", "C"])
            .arg("--pwfile")
            .arg(&password)
            .arg("-D")
            .arg(&data));
        let port = super::port::for_a_program();
        let mut command = account.command(&programs.join("postgres"), directory.path());
        command
            .arg("-D")
            .arg(&data)
            .args(["-p", &port.to_string(), "-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="])
            .args(["-c", "fsync=off", "-c", "max_connections=40", "-c", "log_min_messages=warning"])
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if tls {
            let file = |name| directory.path().join(name).display().to_string();
            command.args(["-c", "ssl=on", "-c", &format!("ssl_cert_file={}", file("server.crt"))]);
            command.args(["-c", &format!("ssl_key_file={}", file("server.key"))]);
        }
        let child = command.spawn().unwrap();
        let mut server = Self { port, child, directory };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let until = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("PostgreSQL ended while it was starting: {status}");
            }
            assert!(Instant::now() < until, "PostgreSQL did not start within 30 s");
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// A session of the superuser, outside of the connector.
    pub async fn client(&self) -> tokio_postgres::Client {
        self.client_of("postgres").await
    }

    /// The same in a database. The first ones may come before the server is ready.
    pub async fn client_of(&self, database: &str) -> tokio_postgres::Client {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let mut config = tokio_postgres::Config::new();
            config.host("127.0.0.1").port(self.port).user(USER).password(PASSWORD).dbname(database);
            match config.connect(tokio_postgres::NoTls).await {
                Ok((client, connection)) => {
                    tokio::spawn(connection);
                    return client;
                }
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // SIGINT is PostgreSQL's fast shutdown; where the server runs under another account, so does the signal.
        let pid = self.child.id().to_string();
        let signalled = Command::new("kill").args(["-INT", &pid]).status().is_ok_and(|status| status.success());
        if !signalled {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// Where `initdb` and `postgres` are.
fn programs() -> PathBuf {
    let mut found: Vec<_> = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("bin")))
        .filter(|directory| directory.join("initdb").exists())
        .collect();
    found.extend(
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .filter(|directory| directory.join("initdb").exists()),
    );
    found.sort();
    found.pop().expect(
        "these tests start a PostgreSQL server: install the package `postgresql` (Debian: apt install postgresql)",
    )
}
