//! Programs of others that tests run with: servers that speak S3 and Azure's protocol, clients of tus, of SCIM and of OAuth.
//!
//! `scripts/install-test-tools.sh` installs them into a folder of their own. Where they are missing, the tests are [passed
//! over](crate::missing).

use std::{
    net::TcpStream,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use serde_json::Value;

use crate::{eventually, missing::passed_over, port};

/// A running object store of somebody else's; ends when it is dropped.
pub struct ObjectServer {
    program: Child,
    pub endpoint: String,
    _folder: tempfile::TempDir,
}

/// The account and the key that every Azurite has, as its documentation gives them.
pub const AZURITE_ACCOUNT: &str = "devstoreaccount1";
pub const AZURITE_KEY: &str =
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

impl ObjectServer {
    /// Moto, which speaks S3 and more of Amazon's.
    pub async fn s3() -> Option<Self> {
        let program = installed("bin/moto_server")?;
        Self::start(|port| {
            let mut command = Command::new(&program);
            command.args(["-H", "127.0.0.1", "-p", &port.to_string()]);
            command
        })
        .await
    }

    /// Azurite, Microsoft's own emulator of Azure's blobs.
    pub async fn azure() -> Option<Self> {
        let script = installed("node_modules/azurite/dist/src/blob/main.js")?;
        Self::start(|port| {
            let mut command = Command::new("node");
            command.arg(&script).args(["--blobHost", "127.0.0.1", "--blobPort", &port.to_string()]);
            command.args(["--location", ".", "--skipApiVersionCheck", "--silent", "--disableTelemetry"]);
            command
        })
        .await
    }

    async fn start(command: impl Fn(u16) -> Command) -> Option<Self> {
        let folder = tempfile::Builder::new().prefix("rivergen-objects-").tempdir().unwrap();
        let port = port::for_a_program();
        let mut command = command(port);
        let output = std::fs::File::create(folder.path().join("log")).unwrap();
        command.current_dir(folder.path()).stdin(Stdio::null()).stdout(output).stderr(Stdio::null());
        let Ok(program) = command.spawn() else {
            passed_over(&format!("{command:?} cannot be started"));
            return None;
        };
        let server = Self { program, endpoint: format!("http://127.0.0.1:{port}"), _folder: folder };
        eventually("the object store to listen", async || TcpStream::connect(("127.0.0.1", port)).ok()).await;
        Some(server)
    }
}

impl Drop for ObjectServer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// Runs a client of tus of `interop/storage` to its end; answers the JSON that it prints. `None` where it is not installed.
pub async fn tus_client(script: &str, arguments: &[&str]) -> Option<Value> {
    let file = crate::manifest_dir().join("interop/storage").join(script);
    let mut command = match Path::new(script).extension().is_some_and(|extension| extension == "py") {
        true => tokio::process::Command::new(installed("bin/python")?),
        false => {
            let modules = installed("node_modules/tus-js-client")?;
            let mut node = tokio::process::Command::new("node");
            node.env("TUS_JS_CLIENT", modules);
            node
        }
    };
    // Nothing of a proxy between it and the server.
    command.env_remove("http_proxy").env_remove("HTTP_PROXY").env("no_proxy", "*");
    let ended = command.arg(&file).args(arguments).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {}\n{errors}", file.display(), ended.status);
    Some(serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{errors}", file.display())))
}

/// Runs a client of OAuth of `interop/oauth` to its end; answers the JSON that it prints. `None` where it is not installed.
pub async fn oauth_client(script: &str, settings: &Value) -> Option<Value> {
    let folder = crate::manifest_dir().join("interop/oauth");
    let mut command = match script.ends_with(".py") {
        true => {
            let mut python = tokio::process::Command::new(installed_in("oauth-interop", "bin/python")?);
            python.arg(folder.join(script));
            python
        }
        false => {
            let modules = installed_in("oauth-interop", "node_modules/openid-client")?;
            let mut node = tokio::process::Command::new("node");
            node.arg(folder.join(script)).arg(modules.ancestors().nth(2)?);
            node
        }
    };
    // Nothing of a proxy between it and the server.
    command.env_remove("http_proxy").env_remove("HTTP_PROXY").env("no_proxy", "*");
    let command = command.arg(settings.to_string()).stdin(Stdio::null()).kill_on_drop(true);
    let ended = command.output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{script}: {}\n{errors}", ended.status);
    Some(serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{script}: {error}\n{errors}")))
}

/// What `scim2-tester` finds in a SCIM server, check by check. `None` where it is not installed.
pub async fn scim_tester(address: &str, token: &str) -> Option<Value> {
    let file = crate::manifest_dir().join("interop/scim/check.py");
    let mut command = tokio::process::Command::new(installed_in("scim-interop", "bin/python")?);
    // Nothing of a proxy between it and the server.
    command.env_remove("http_proxy").env_remove("HTTP_PROXY").env("no_proxy", "*");
    let ended =
        command.arg(&file).args([address, token]).stdin(Stdio::null()).kill_on_drop(true).output().await.unwrap();
    let errors = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{}: {}\n{errors}", file.display(), ended.status);
    Some(serde_json::from_slice(&ended.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{errors}", file.display())))
}

fn installed(what: &str) -> Option<PathBuf> {
    installed_in("storage-interop", what)
}

fn installed_in(folder: &str, what: &str) -> Option<PathBuf> {
    let path =
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rivergen").join(folder).join(what);
    if path.exists() {
        return Some(path);
    }
    passed_over(&format!("there is no {}", path.display()));
    None
}
