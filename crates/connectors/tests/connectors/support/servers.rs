//! Servers that stand in for services of the cloud, each a program of its own; see
//! `scripts/install-test-tools.sh`. Where they are not installed their tests are passed over.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// A running server; ends when it is dropped.
pub struct Program {
    child: Child,
    pub port: u16,
    _data: tempfile::TempDir,
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Amazon's services.
pub async fn moto() -> Option<Program> {
    start("python/bin/moto_server", |port, _| vec!["-H".into(), "127.0.0.1".into(), "-p".into(), port.to_string()])
        .await
}

/// Azure's object store.
pub async fn azurite() -> Option<Program> {
    let arguments = |port: u16, data: &str| {
        let known =
            ["--silent", "--skipApiVersionCheck", "--disableTelemetry", "--blobHost", "127.0.0.1", "--blobPort"];
        known.map(str::to_owned).into_iter().chain([port.to_string(), "--location".into(), data.into()]).collect()
    };
    start("node_modules/.bin/azurite-blob", arguments).await
}

async fn start(program: &str, arguments: impl Fn(u16, &str) -> Vec<String>) -> Option<Program> {
    let program =
        PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rivergen/object-stores").join(program);
    if !program.exists() {
        super::missing::passed_over(&format!("there is no {}", program.display()));
        return None;
    }
    let data = tempfile::tempdir().unwrap();
    let port = super::port::for_a_program();
    let child = Command::new(program)
        .args(arguments(port, data.path().to_str().unwrap()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let started = Program { child, port, _data: data };
    for _ in 0..300 {
        if tokio::net::TcpStream::connect(("127.0.0.1", port)).await.is_ok() {
            return Some(started);
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the server did not start");
}

pub const AZURE_ACCOUNT: &str = "devstoreaccount1";
/// Known to everybody: Azurite's documentation prints it.
pub const AZURE_KEY: &str = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

/// Writes into Azurite, signed with the account's key: a container where there is no content, else a blob.
pub async fn azure_put(port: u16, path: &str, content: Option<&[u8]>) {
    let date = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    let resource = format!("/{AZURE_ACCOUNT}/{AZURE_ACCOUNT}/{path}");
    let (kind, query) =
        if content.is_some() { ("x-ms-blob-type:BlockBlob\n", "") } else { ("", "\nrestype:container") };
    let length = content.map_or(0, <[u8]>::len);
    let shown = if length == 0 { String::new() } else { length.to_string() };
    let signed =
        format!("PUT\n\n\n{shown}\n\n\n\n\n\n\n\n\n{kind}x-ms-date:{date}\nx-ms-version:2021-08-06\n{resource}{query}");
    let mut mac = Hmac::<Sha256>::new_from_slice(&BASE64_STANDARD.decode(AZURE_KEY).unwrap()).unwrap();
    mac.update(signed.as_bytes());
    let signature = BASE64_STANDARD.encode(mac.finalize().into_bytes());
    let query = if content.is_some() { "" } else { "?restype=container" };
    let mut request = reqwest::Client::builder()
        .no_proxy()
        .build()
        .unwrap()
        .put(format!("http://127.0.0.1:{port}/{AZURE_ACCOUNT}/{path}{query}"))
        .header("x-ms-date", date)
        .header("x-ms-version", "2021-08-06")
        .header("authorization", format!("SharedKey {AZURE_ACCOUNT}:{signature}"))
        .header("content-length", length)
        .body(content.unwrap_or_default().to_vec());
    if content.is_some() {
        request = request.header("x-ms-blob-type", "BlockBlob");
    }
    let answer = request.send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}
