//! The program itself, as a process: to be asked on its command line, stopped, and killed.

use std::{
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    time::Duration,
};

use serde_json::json;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, ChildStdout},
};

use crate::{Client, PASSWORD, PATIENCE, eventually, port};

/// A process of the program; killed when it is dropped.
pub struct Binary {
    child: Child,
    lines: Option<tokio::io::Lines<BufReader<ChildStdout>>>,
}

/// The settings of a server in a folder: quick passwords, no limits, jobs that come soon.
const SETTINGS: &str = "[passwords]\nmemory_kib = 64\npasses = 1\n[limits]\nenabled = false\n\
                        [outbound.policy]\nallow_private = true\n[server]\nshutdown_grace_seconds = 10\n";

const ACME_OWNER: &str = "owner@acme.example";

impl Binary {
    /// Where the program is: `RIVERGEN_BIN`, or what was built beside the tests.
    pub fn path() -> PathBuf {
        if let Some(path) = std::env::var_os("RIVERGEN_BIN") {
            return path.into();
        }
        let test = std::env::current_exe().unwrap();
        let profile = test.ancestors().nth(2).unwrap();
        profile.join("rivergen-under-test")
    }

    /// A command line in the folder, with nothing of the tests' own environment that it would read.
    pub fn command(folder: &Path, arguments: &[&str]) -> Command {
        let mut command = Command::new(Self::path());
        command.args(arguments).current_dir(folder).stdin(Stdio::null());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("RIVERGEN_") {
                command.env_remove(name);
            }
        }
        command
    }

    /// Runs a command to its end.
    pub fn run(folder: &Path, arguments: &[&str]) -> Output {
        Self::command(folder, arguments).output().unwrap()
    }

    /// Writes settings for a server in the folder, on a free port; answers its address.
    pub fn configure(folder: &Path) -> String {
        let port = port::for_a_program();
        let address = format!("127.0.0.1:{port}");
        let settings = SETTINGS.replace("[server]", &format!("[server]\nlisten = \"{address}\""));
        std::fs::write(folder.join("rivergen.toml"), format!("data_dir = \"data\"\n{settings}")).unwrap();
        format!("http://{address}")
    }

    /// Makes the organization Acme, of which there is an owner alone, with the settings in the folder.
    pub fn provision_acme(folder: &Path) {
        let acme = format!(
            "name = \"Acme\"\n[[people]]\nemail = \"{ACME_OWNER}\"\npassword = \"{PASSWORD}\"\nrole = \"Owner\"\n"
        );
        std::fs::write(folder.join("acme.toml"), acme).unwrap();
        let output = Self::run(folder, &["provision", "acme.toml"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// That owner, signed in to the server at the address.
    pub async fn acme_owner(url: &str) -> Client {
        let client = Client::new(url);
        let data = client.post("/api/v1/auth/login", json!({"email": ACME_OWNER, "password": PASSWORD})).await.ok();
        client.with_token(data["access_token"].as_str().unwrap())
    }

    /// Starts `rivergen serve` with the settings in the folder and waits until it is ready.
    pub async fn serve(folder: &Path, url: &str) -> Self {
        let mut binary = Self::spawn(folder, &["serve"], Stdio::null());
        let client = Client::new(url);
        eventually("the server to be ready", async || {
            if let Some(status) = binary.child.try_wait().unwrap() {
                let log = std::fs::read_to_string(folder.join("log")).unwrap_or_default();
                panic!("the server ended while it started: {status}\n{log}");
            }
            let ready = client.try_send(client.request(reqwest::Method::GET, "/health/ready")).await;
            ready.is_ok_and(|answer| answer.status.is_success()).then_some(())
        })
        .await;
        binary
    }

    /// Starts a command whose output is read line by line.
    pub fn start(folder: &Path, arguments: &[&str]) -> Self {
        let mut binary = Self::spawn(folder, arguments, Stdio::piped());
        binary.lines = binary.child.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        binary
    }

    fn spawn(folder: &Path, arguments: &[&str], stdout: Stdio) -> Self {
        let log = std::fs::File::options().create(true).append(true).open(folder.join("log")).unwrap();
        let mut command = tokio::process::Command::from(Self::command(folder, arguments));
        let child = command.stdout(stdout).stderr(log).kill_on_drop(true).spawn().unwrap();
        Self { child, lines: None }
    }

    /// The next line that it prints and that the test waits for; what comes before it is in the second place.
    pub async fn line(&mut self, wanted: impl Fn(&str) -> bool) -> (String, Vec<String>) {
        let lines = self.lines.as_mut().expect("the output is read");
        let mut before = Vec::new();
        let reading = async {
            while let Some(line) = lines.next_line().await.unwrap() {
                if wanted(&line) {
                    return Some(line);
                }
                before.push(line);
            }
            None
        };
        let found = tokio::time::timeout(2 * PATIENCE, reading).await;
        match found {
            Ok(Some(line)) => (line, before),
            _ => panic!("the line did not come; instead: {before:#?}"),
        }
    }

    /// The most memory that was ever resident, in MiB.
    pub fn peak_mib(&self) -> u64 {
        let id = self.child.id().expect("it runs");
        let status = std::fs::read_to_string(format!("/proc/{id}/status")).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a kernel that tells it");
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    /// `kill -9`.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }

    /// SIGTERM, as an operator stops it.
    pub fn terminate(&self) {
        let id = self.child.id().expect("it runs").to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
    }

    /// How it ended by itself, in time.
    pub async fn ended(mut self) -> std::process::ExitStatus {
        let ended = tokio::time::timeout(Duration::from_secs(30), self.child.wait()).await;
        ended.expect("it did not end in time").unwrap()
    }
}
