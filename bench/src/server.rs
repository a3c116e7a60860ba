//! A server under measurement: a process with a directory of its own, gone with the value.

use std::{
    fs,
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread::sleep,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use crate::{
    error::{BenchError, Result},
    load::Load,
};

/// How long a server may take to become ready.
const PATIENCE: Duration = Duration::from_secs(30);

/// Who signs in.
pub const EMAIL: &str = "owner@bench.example";
pub const PASSWORD: &str = "Bench-pass-1";
/// Somebody else, with the same password.
pub const OTHER_EMAIL: &str = "viewer@bench.example";

/// A running server.
pub struct Server {
    pub address: SocketAddr,
    process: Child,
    /// Where it is the server's own: removed after the process has ended.
    directory: Option<TempDir>,
}

/// A session's tokens.
pub struct Tokens {
    pub access_token: String,
    pub refresh_token: String,
}

pub const LOGIN: &str = "/api/v1/auth/login";

impl Server {
    /// A server with one organization and two people in it, on SQLite.
    pub fn provisioned(binary: &Path) -> Result<Self> {
        Self::provisioned_on(binary, None)
    }

    /// The same on the database of this URL, which must be empty.
    pub fn provisioned_on(binary: &Path, database: Option<&str>) -> Result<Self> {
        let directory = TempDir::new()?;
        let file = directory.path().join("organization.toml");
        fs::write(
            &file,
            format!(
                "name = \"Bench\"\n\
                 [[people]]\nemail = \"{EMAIL}\"\npassword = \"{PASSWORD}\"\nrole = \"Owner\"\n\
                 [[people]]\nemail = \"{OTHER_EMAIL}\"\npassword = \"{PASSWORD}\"\nrole = \"Viewer\"\n"
            ),
        )?;
        let output = command(binary, directory.path(), database)?.arg("provision").arg(&file).output();
        let output = output.map_err(|source| BenchError::Start { program: binary.to_owned(), source })?;
        if !output.status.success() {
            let output = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(BenchError::Command { command: "rivergen provision".into(), output });
        }
        let (mut server, _) = Self::start_on(binary, directory.path(), database, None)?;
        server.directory = Some(directory);
        Ok(server)
    }

    /// A second node beside this one, over the same database, files and keys, and known under the same address: else the
    /// tokens of one would be none of the other's. It ends before this one.
    pub fn another_node(&self, binary: &Path, database: &str) -> Result<Self> {
        let directory = self.directory.as_ref();
        let directory = directory.ok_or_else(|| BenchError::Answer("a server without a directory".into()))?;
        Ok(Self::start_on(binary, directory.path(), Some(database), Some(self.address))?.0)
    }

    /// Starts a server on the directory; answers how long it took to become ready.
    pub fn start(binary: &Path, directory: &Path) -> Result<(Self, Duration)> {
        Self::start_on(binary, directory, None, None)
    }

    fn start_on(
        binary: &Path,
        directory: &Path,
        database: Option<&str>,
        known_at: Option<SocketAddr>,
    ) -> Result<(Self, Duration)> {
        let address = free_address()?;
        // Nodes share the directory, and each has a log.
        let log_path = directory.join(format!("log-{}", address.port()));
        let log = fs::File::create(&log_path)?;
        let mut command = command(binary, directory, database)?;
        command.arg("serve").env("RIVERGEN_SERVER__LISTEN", address.to_string()).stdout(Stdio::null()).stderr(log);
        command.env("RIVERGEN_SERVER__PUBLIC_URL", format!("http://{}", known_at.unwrap_or(address)));
        let begin = Instant::now();
        let process = command.spawn().map_err(|source| BenchError::Start { program: binary.to_owned(), source })?;
        let mut server = Self { address, process, directory: None };
        loop {
            if is_ready(address) {
                return Ok((server, begin.elapsed()));
            }
            if begin.elapsed() > PATIENCE || server.process.try_wait()?.is_some() {
                return Err(BenchError::NotReady { log: fs::read_to_string(&log_path).unwrap_or_default() });
            }
            sleep(Duration::from_millis(1));
        }
    }

    /// Kills it and starts it again on what it left.
    pub fn killed_and_restarted(mut self, binary: &Path) -> Result<Self> {
        let directory =
            self.directory.take().ok_or_else(|| BenchError::Answer("a server without a directory".into()))?;
        drop(self);
        let (mut server, _) = Self::start(binary, directory.path())?;
        server.directory = Some(directory);
        Ok(server)
    }

    /// The URL of the SQLite database that it has where it was given none.
    pub fn sqlite_url(&self) -> Option<String> {
        let directory = self.directory.as_ref()?.path();
        Some(format!("sqlite:{}", directory.join("data/rivergen.db").display()))
    }

    /// Signs the owner in.
    pub fn sign_in(&self) -> Result<Tokens> {
        self.sign_in_as(EMAIL)
    }

    /// Signs the other person in.
    pub fn sign_other_in(&self) -> Result<Tokens> {
        self.sign_in_as(OTHER_EMAIL)
    }

    fn sign_in_as(&self, email: &str) -> Result<Tokens> {
        let answer = self.post(LOGIN, &json!({"email": email, "password": PASSWORD}), None)?;
        let text = |name: &str| answer["data"][name].as_str().map(str::to_owned);
        match (text("access_token"), text("refresh_token")) {
            (Some(access_token), Some(refresh_token)) => Ok(Tokens { access_token, refresh_token }),
            _ => Err(BenchError::Answer("the login answered no tokens".into())),
        }
    }

    /// Makes a token for programs.
    pub fn personal_token(&self) -> Result<String> {
        let session = self.sign_in()?.access_token;
        let answer = self.post("/api/v1/auth/tokens", &json!({"name": "bench", "scopes": ["read"]}), Some(&session))?;
        let token = answer["data"]["token"].as_str();
        token.map(str::to_owned).ok_or_else(|| BenchError::Answer("no personal token was answered".into()))
    }

    pub fn post(&self, path: &str, body: &Value, token: Option<&str>) -> Result<Value> {
        Ok(serde_json::from_slice(&Load::post(self.address, path, body, token, 1).once()?)?)
    }

    /// Resident memory of the process in MiB, now.
    pub fn resident_mib(&self) -> Result<f64> {
        self.memory_mib("VmRSS:")
    }

    /// The most that was ever resident, in MiB, or since it was last forgotten.
    pub fn peak_mib(&self) -> Result<f64> {
        self.memory_mib("VmHWM:")
    }

    /// From now on [`Server::peak_mib`] tells of what comes.
    pub fn forget_peak(&self) -> Result<()> {
        // See proc_pid_clear_refs(5).
        Ok(fs::write(format!("/proc/{}/clear_refs", self.process.id()), "5")?)
    }

    fn memory_mib(&self, field: &str) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.process.id()))?;
        let kib = status.lines().find_map(|line| line.strip_prefix(field)?.trim().strip_suffix(" kB")?.parse().ok());
        let kib: f64 = kib.ok_or_else(|| BenchError::Answer(format!("the kernel tells no {field}")))?;
        Ok(kib / 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It is gone already, or it ends now; nothing else can be done about it here.
        let _ = self.process.kill();
        let _ = self.process.wait();
        self.directory = None;
    }
}

/// No limits, no log line for each request, and an identity provider may be on this machine.
const SETTINGS: &str = "data_dir = \"data\"\n[limits]\nenabled = false\n[log]\nlevel = \"warn\"\n\
                        [outbound.policy]\nallow_private = true\n";

/// The program in a directory of its own, without the settings of whoever runs the measurement.
fn command(binary: &Path, directory: &Path, database: Option<&str>) -> Result<Command> {
    fs::write(directory.join("rivergen.toml"), SETTINGS)?;
    let mut command = Command::new(binary);
    for (name, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("RIVERGEN_")) {
        command.env_remove(name);
    }
    command.current_dir(directory);
    if let Some(database) = database {
        command.env("RIVERGEN_DATABASE__URL", database);
    }
    Ok(command)
}

/// A loopback address that nobody listens on.
pub fn free_address() -> Result<SocketAddr> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?)
}

fn is_ready(address: SocketAddr) -> bool {
    let ask = || -> std::io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        write!(stream, "GET /health/ready HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n\r\n")?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer)?;
        Ok(answer)
    };
    ask().is_ok_and(|answer| answer.starts_with(b"HTTP/1.1 200 "))
}
