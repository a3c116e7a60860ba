//! An authenticator app, as a person has one on their phone.

use serde_json::json;
use totp_rs::{Builder, Secret, Totp};

use crate::{Person, Server};

/// An app that is set up, and the backup codes that came with it.
pub struct AuthenticatorApp {
    totp: Totp,
    pub backup_codes: Vec<String>,
}

impl AuthenticatorApp {
    /// From the seed that the server shows.
    pub fn of_secret(secret: &str) -> Self {
        let totp = Builder::new().with_secret(Secret::try_from_base32(secret).unwrap()).build().unwrap();
        Self { totp, backup_codes: Vec::new() }
    }

    /// What it shows now, by the server's clock.
    pub fn code(&self, server: &Server) -> String {
        self.code_at(server, 0)
    }

    /// What it shows now, by the clock on the wall.
    pub fn code_of_now(&self) -> String {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        self.totp.generate(now.as_secs()).to_string()
    }

    /// What it shows so many seconds from now.
    pub fn code_at(&self, server: &Server, seconds: i64) -> String {
        let now = server.platform.clock.now().timestamp() + seconds;
        self.totp.generate(u64::try_from(now).unwrap()).to_string()
    }

    /// A code after everyone that was used: the clock goes on to the next step first.
    pub fn next_code(&self, server: &Server) -> String {
        server.clock().advance(chrono::Duration::seconds(30));
        self.code(server)
    }

    /// A code that is not right, nor that of a step before or after.
    pub fn wrong_code(&self, server: &Server) -> String {
        let right = [-30, 0, 30].map(|seconds| self.code_at(server, seconds));
        let guesses = ["000000", "111111", "222222", "333333"];
        guesses.iter().find(|guess| !right.iter().any(|code| code == *guess)).unwrap().to_string()
    }
}

impl Person {
    /// Sets an authenticator app up, as the documentation says to.
    pub async fn authenticator_app(&self, server: &Server) -> AuthenticatorApp {
        let setup = self.client.post("/api/v1/mfa/totp/setup", json!({"device_name": "phone"})).await.ok();
        let mut app = AuthenticatorApp::of_secret(setup["secret"].as_str().unwrap());
        let confirmed = self.client.post("/api/v1/mfa/totp/verify", json!({"code": app.code(server)})).await.ok();
        let codes = confirmed["backup_codes"].as_array().unwrap();
        app.backup_codes = codes.iter().map(|code| code.as_str().unwrap().to_owned()).collect();
        app
    }
}
