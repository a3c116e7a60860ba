//! A foreign SAML identity provider for the tests of single sign-on: pysaml2, which signs and encrypts with xmlsec1.
//!
//! `scripts/install-test-tools.sh` installs it. Where it is missing, the tests are [passed over](crate::missing).

use std::{
    io::{BufRead, BufReader},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use reqwest::redirect::Policy;
use serde_json::Value;

use crate::missing::passed_over;

/// A running identity provider; ends when it is dropped.
pub struct SamlProvider {
    program: Child,
    /// Its address; `/metadata` below it is its entity id.
    pub base: String,
    http: reqwest::Client,
}

impl SamlProvider {
    pub fn start() -> Option<Self> {
        let python =
            PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rivergen/pysaml2/bin/python");
        if !python.exists() || !Path::new("/usr/bin/xmlsec1").exists() {
            passed_over("pysaml2 or xmlsec1 is not installed");
            return None;
        }
        let mut program = Command::new(python)
            .arg(crate::manifest_dir().join("interop/saml/idp.py"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut base = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut base).unwrap();
        assert!(base.starts_with("http://127.0.0.1:"), "the SAML provider did not start: {base:?}");
        let http = reqwest::Client::builder().no_proxy().redirect(Policy::none()).build().unwrap();
        Some(Self { program, base: base.trim().to_owned(), http })
    }

    /// What it publishes of itself.
    pub async fn metadata(&self) -> String {
        self.http.get(format!("{}/metadata", self.base)).send().await.unwrap().text().await.unwrap()
    }

    /// Makes it know a service provider, by its metadata.
    pub async fn meet(&self, service: String) {
        self.http
            .post(format!("{}/service", self.base))
            .body(service)
            .send()
            .await
            .unwrap()
            .error_for_status()
            .unwrap();
    }

    /// Gives it another key.
    pub async fn change_key(&self) {
        self.http.post(format!("{}/key", self.base)).body("").send().await.unwrap().error_for_status().unwrap();
    }

    /// Follows an address at it; `how` says who signs in and how the response is made.
    pub async fn visit(&self, address: &str, how: &str) -> Value {
        let answer = self.http.get(format!("{address}&{how}")).send().await.unwrap();
        let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        let status = answer.status();
        let mut data: Value = answer.json().await.unwrap();
        assert!(!status.is_server_error(), "{address}: {data}");
        if let Some(location) = location {
            data["location"] = location.into();
        }
        data
    }

    /// Asks it for something of its own accord.
    pub async fn ask(&self, path: &str, how: &str) -> Value {
        self.visit(&format!("{}/{path}?", self.base), how).await
    }
}

impl Drop for SamlProvider {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
