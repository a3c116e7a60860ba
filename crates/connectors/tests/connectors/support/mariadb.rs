//! A MariaDB server of one's own: a fresh data directory in a temporary one, a random port, gone with the value.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, OptsBuilder};

use super::account::{Account, run};

/// A running server; dropping it stops it and removes its files.
pub struct Server {
    pub port: u16,
    child: Child,
    directory: tempfile::TempDir,
}

pub const USER: &str = "rivergen_test";
pub const PASSWORD: &str = "t0p secret";
pub const DATABASE: &str = "shop";

impl Server {
    /// Starts a server; panics with what is missing where there is none to start.
    pub fn start() -> Self {
        Self::start_as(false)
    }

    /// Starts a server with a certificate for `localhost`, by an authority of its own.
    pub fn start_with_tls() -> Self {
        Self::start_as(true)
    }

    /// The authority's certificate.
    pub fn certificate(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("ca.crt")).unwrap()
    }

    fn start_as(tls: bool) -> Self {
        let directory = tempfile::Builder::new().prefix("rivergen-my-").tempdir().unwrap();
        let data = directory.path().join("data");
        if tls {
            certificates(directory.path());
        }
        let script = format!(
            "CREATE USER {USER}@'%' IDENTIFIED BY '{PASSWORD}';\nGRANT ALL ON *.* TO {USER}@'%' WITH GRANT OPTION;\n\
             CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci;\n"
        );
        std::fs::write(directory.path().join("init.sql"), script).unwrap();
        let account = Account::of("mysql");
        account.take(directory.path());
        let command = |name: &str, usual: &str| {
            let mut command = account.command(&program(name, usual), directory.path());
            // A server that starts (to install its tables, too) sweeps the folder for temporary files, whoever's they are.
            command.env("TMPDIR", directory.path());
            command
        };
        let mut install = command("mariadb-install-db", "/usr/bin");
        run(install
            .args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"])
            .arg(format!("--datadir={}", data.display())));
        let port = super::port::for_a_program();
        let file = |name: &str| directory.path().join(name).display().to_string();
        let mut command = command("mariadbd", "/usr/sbin");
        command
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve", "--skip-log-bin"])
            .args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=32M", "--max-connections=60"])
            .arg(format!("--datadir={}", data.display()))
            .arg(format!("--port={port}"))
            .arg(format!("--socket={}", file("server.sock")))
            .arg(format!("--pid-file={}", file("server.pid")))
            .arg(format!("--init-file={}", file("init.sql")))
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        if tls {
            command.arg(format!("--ssl-cert={}", file("server.crt"))).arg(format!("--ssl-key={}", file("server.key")));
        }
        let child = command.spawn().unwrap();
        Self { port, child, directory }
    }

    /// A session outside of the connector, once the server is ready.
    pub async fn conn(&mut self) -> Conn {
        let until = Instant::now() + Duration::from_secs(30);
        loop {
            let options = OptsBuilder::default()
                .ip_or_hostname("127.0.0.1")
                .tcp_port(self.port)
                .user(Some(USER))
                .pass(Some(PASSWORD))
                .db_name(Some(DATABASE))
                .prefer_socket(false);
            match Conn::new(options).await {
                Ok(conn) => return conn,
                Err(error) => assert!(Instant::now() < until, "{error}"),
            }
            assert!(self.child.try_wait().unwrap().is_none(), "MariaDB ended while it was starting");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }

    /// Runs a script.
    pub async fn run(&mut self, script: &str) {
        self.conn().await.query_drop(script).await.unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // Nothing in it is needed again; where the server runs under another account, so does the signal.
        let pid = self.child.id().to_string();
        let signalled = Command::new("kill").args(["-KILL", &pid]).status().is_ok_and(|status| status.success());
        if !signalled {
            self.child.kill().ok();
        }
        self.child.wait().ok();
    }
}

/// An authority, and the certificate of `localhost` that it signs.
pub fn certificates(directory: &Path) {
    let request = ["req", "-x509", "-days", "30", "-nodes", "-newkey", "rsa:2048"];
    run(Command::new("openssl").current_dir(directory).args(request).args([
        "-subj",
        "/CN=tests",
        "-out",
        "ca.crt",
        "-keyout",
        "ca.key",
    ]));
    let server = "[req]\nprompt = no\ndistinguished_name = name\nx509_extensions = server\n[name]\nCN = localhost\n\
                  [server]\nbasicConstraints = critical, CA:FALSE\nsubjectAltName = DNS:localhost\n";
    std::fs::write(directory.join("server.cnf"), server).unwrap();
    run(Command::new("openssl")
        .current_dir(directory)
        .args(request)
        .args(["-config", "server.cnf", "-CA", "ca.crt", "-CAkey", "ca.key", "-out", "server.crt"])
        .args(["-keyout", "server.key"]));
}

fn program(name: &str, usual: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).chain([PathBuf::from(usual)]).map(|directory| directory.join(name));
    found.into_iter().find(|program| program.exists()).unwrap_or_else(|| {
        panic!("these tests start a MariaDB server: install the package `mariadb-server` ({name} is missing)")
    })
}
