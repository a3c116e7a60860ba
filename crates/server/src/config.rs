//! The settings: `defaults.toml` in this folder, then `rivergen.toml`, then the environment.
//!
//! `defaults.toml` is the one list of all keys with their meaning; `docs/configuration.md` shows it.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
};

use figment::{
    Figment,
    providers::{Env, Format, Toml},
};
use ipnet::IpNet;
use rivergen_identity::social::SocialConfig;
use rivergen_kernel::Secret;
use rivergen_oauth::TokenAlgorithm;
use rivergen_platform::{
    audit::streams::AuditConfig,
    db::DatabaseConfig,
    limits::LimitsConfig,
    mail::{MailConfig, Transport},
    net::OutboundConfig,
    signing::SigningAlgorithm,
};
use rivergen_storage::backend;
use rivergen_studio::planners::Kind as PlannerKind;
use serde::Deserialize;

/// The defaults, with a comment on each key.
pub const DEFAULTS: &str = include_str!("defaults.toml");

/// Read from the working directory where no other file is named and it exists.
const FILE: &str = "rivergen.toml";

/// All settings of a server.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    pub data_dir: PathBuf,
    pub server: Server,
    pub database: Database,
    pub vault: Vault,
    pub tokens: Tokens,
    pub oauth: Oauth,
    pub sessions: Sessions,
    pub signup: Signup,
    pub passwords: Passwords,
    pub mfa: Mfa,
    pub webauthn: Webauthn,
    pub social: SocialConfig,
    pub geoip: Geoip,
    pub mail: MailConfig,
    pub audit: AuditConfig,
    pub limits: LimitsConfig,
    pub outbound: OutboundConfig,
    pub storage: Storage,
    pub sources: Sources,
    pub query: Query,
    pub planner: Planner,
    pub jobs: Jobs,
    pub log: Log,
    /// Not a setting: `rivergen demo` says so of itself.
    #[serde(skip)]
    pub is_demo: bool,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Server {
    pub listen: SocketAddr,
    pub public_url: String,
    pub trusted_proxies: Vec<IpNet>,
    pub max_body_bytes: usize,
    pub shutdown_grace_seconds: u64,
}

#[derive(Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Database {
    pub url: Secret,
    pub max_connections: u32,
}

impl std::fmt::Debug for Database {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // Without what stands before the @: user and password.
        let url = self.url.expose();
        let shown = url.rsplit_once('@').map_or(url.to_owned(), |(_, host)| format!("postgres://…@{host}"));
        f.debug_struct("Database").field("url", &shown).field("max_connections", &self.max_connections).finish()
    }
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Vault {
    pub key: Secret,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Tokens {
    pub access_lifetime_seconds: i64,
    pub algorithm: SigningAlgorithm,
}

/// What applications are given.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Oauth {
    pub access_token_algorithm: TokenAlgorithm,
    pub id_token_algorithms: Vec<TokenAlgorithm>,
    pub dpop_nonce: bool,
    pub registration: OauthRegistration,
}

/// Which programs may become applications that nobody registered.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OauthRegistration {
    pub dynamic: bool,
    pub documents: bool,
    pub organization: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sessions {
    pub lifetime_hours: i64,
    pub remembered_lifetime_hours: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Signup {
    pub open: bool,
    pub hide_taken_addresses: bool,
    pub terms_version: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webauthn {
    pub rp_id: String,
    pub rp_name: String,
    pub origins: Vec<url::Url>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Geoip {
    pub database: PathBuf,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mfa {
    pub issuer: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passwords {
    pub breached_list: PathBuf,
    pub memory_kib: u32,
    pub passes: u32,
    pub lanes: u32,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Storage {
    pub backend: backend::Kind,
    pub s3: backend::S3,
    pub gcs: backend::Gcs,
    pub azure: backend::Azure,
    pub directory: PathBuf,
    pub quota_bytes: u64,
    pub max_upload_bytes: u64,
    pub max_link_seconds: i64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sources {
    pub check_every_seconds: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Query {
    pub threads: usize,
    pub max_rows: u64,
    pub max_bytes: u64,
    pub download_rows: u64,
    pub download_bytes: u64,
    pub timeout_seconds: u64,
    pub memory_bytes: usize,
    pub max_spill_bytes: u64,
    pub concurrent_per_organization: usize,
    pub waiting_per_organization: usize,
    pub waiting_seconds: u64,
    pub results_hours: u64,
    pub history_days: u32,
    pub answers_bytes: u64,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Planner {
    pub kind: PlannerKind,
    pub base_url: String,
    pub model: String,
    pub api_key: Secret,
    pub timeout_seconds: u64,
    pub send_temperature: bool,
    pub share_values: bool,
    pub monthly_tokens: i64,
    pub falls_back: bool,
    pub of_organizations: bool,
    pub local: LocalModel,
}

/// A model on this machine.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalModel {
    pub file: PathBuf,
    pub context_tokens: usize,
    pub answer_tokens: usize,
    pub waiting: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Jobs {
    pub concurrency: usize,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    pub format: LogFormat,
    pub level: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    Text,
    Json,
}

/// What is wrong with the settings, and where.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("{0}")]
    Figment(#[from] Box<figment::Error>),
    #[error("there is no file {0}")]
    Missing(PathBuf),
    #[error("{key}: {reason}")]
    Value { key: &'static str, reason: String },
    #[error("social.{key}: {reason}")]
    Social { key: String, reason: String },
    #[error("audit.streams.{name}: {reason}")]
    Stream { name: String, reason: String },
}

impl Config {
    /// Reads the settings. A file that is named must exist; `rivergen.toml` may be missing.
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let mut figment = Figment::from(Toml::string(DEFAULTS));
        match file {
            Some(file) if !file.exists() => return Err(ConfigError::Missing(file.to_owned())),
            Some(file) => figment = figment.merge(Toml::file_exact(file)),
            None if Path::new(FILE).exists() => figment = figment.merge(Toml::file_exact(FILE)),
            None => {}
        }
        Self::from_figment(figment.merge(environment()))
    }

    /// The defaults, the given settings over them, and the environment over both.
    pub fn with_environment(overrides: &str) -> Result<Self, ConfigError> {
        Self::from_figment(Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(overrides)).merge(environment()))
    }

    /// The defaults with the given settings over them, for programs that bring a server with them.
    pub fn with(overrides: &str) -> Result<Self, ConfigError> {
        Self::from_figment(Figment::from(Toml::string(DEFAULTS)).merge(Toml::string(overrides)))
    }

    fn from_figment(figment: Figment) -> Result<Self, ConfigError> {
        let mut config: Self = figment.extract().map_err(Box::new)?;
        if let Transport::File { directory } = &mut config.mail.transport
            && directory.as_os_str().is_empty()
        {
            *directory = config.data_dir.join("mail");
        }
        if config.storage.directory.as_os_str().is_empty() {
            config.storage.directory = config.data_dir.join("files");
        }
        if config.server.public_url.is_empty() {
            config.server.public_url = format!("http://{}", config.server.listen);
        }
        config.check()?;
        Ok(config)
    }

    fn check(&mut self) -> Result<(), ConfigError> {
        let fault = |key, reason: String| Err(ConfigError::Value { key, reason });
        let url = url::Url::parse(&self.server.public_url);
        match url {
            Ok(url) if ["http", "https"].contains(&url.scheme()) && url.host().is_some() => {
                self.server.public_url = url.as_str().trim_end_matches('/').to_owned();
            }
            _ => return fault("server.public_url", "must be an http or https address".to_owned()),
        }
        if self.tokens.access_lifetime_seconds < 60 {
            return fault("tokens.access_lifetime_seconds", "must be at least 60".to_owned());
        }
        if self.oauth.id_token_algorithms.is_empty() {
            return fault("oauth.id_token_algorithms", "must name RS256, ES256 or both".to_owned());
        }
        if self.sessions.lifetime_hours < 1 || self.sessions.remembered_lifetime_hours < self.sessions.lifetime_hours {
            return fault("sessions", "need at least an hour, and remembered ones no less than others".to_owned());
        }
        self.social.check().map_err(|(key, reason)| ConfigError::Social { key, reason })?;
        let storage = &self.storage;
        let (key, place) = match storage.backend {
            backend::Kind::Local => ("storage.directory", "is filled in"),
            backend::Kind::S3 => ("storage.s3.bucket", storage.s3.bucket.as_str()),
            backend::Kind::Gcs => ("storage.gcs.bucket", storage.gcs.bucket.as_str()),
            backend::Kind::Azure => ("storage.azure.container", storage.azure.container.as_str()),
        };
        if place.is_empty() {
            return fault(key, "must be named: [storage] backend says that the files lie there".to_owned());
        }
        if !(1..=604_800).contains(&self.storage.max_link_seconds) {
            return fault("storage.max_link_seconds", "must be from 1 to 604800, which are seven days".to_owned());
        }
        self.audit.check().map_err(|(name, reason)| ConfigError::Stream { name, reason })?;
        if (1..60).contains(&self.sources.check_every_seconds) {
            return fault("sources.check_every_seconds", "must be 0 or at least 60".to_owned());
        }
        if self.query.threads > 1_024 {
            return fault("query.threads", "must be from 0, which means one for each core, to 1024".to_owned());
        }
        if self.query.max_rows == 0 || self.query.download_rows == 0 || self.query.concurrent_per_organization == 0 {
            let reason = "max_rows, download_rows and concurrent_per_organization must be at least 1";
            return fault("query", reason.to_owned());
        }
        if !(1..=720).contains(&self.query.results_hours) {
            return fault("query.results_hours", "must be from 1 to 720, which are thirty days".to_owned());
        }
        if !matches!(self.query.history_days, 0 | 31..=36_500) {
            // A result, which hangs on its record, may be kept for thirty days.
            return fault("query.history_days", "must be 0, or from 31 to 36500".to_owned());
        }
        if let Some(protocol) = self.planner.kind.protocol() {
            if self.planner.model.is_empty() {
                return fault("planner.model", "is needed by every kind but \"embedded\" and \"local\"".to_owned());
            }
            if self.planner.base_url.is_empty() && protocol.home().is_none() {
                return fault("planner.base_url", "is needed by kind \"chat\"".to_owned());
            }
        }
        let local = &self.planner.local;
        if self.planner.kind == PlannerKind::Local && local.file.as_os_str().is_empty() {
            return fault("planner.local.file", "is needed by kind \"local\"".to_owned());
        }
        if local.answer_tokens == 0 || local.answer_tokens >= local.context_tokens {
            let reason = "must be at least 1, and less than context_tokens";
            return fault("planner.local.answer_tokens", reason.to_owned());
        }
        let database = self.database.url.expose();
        if !(database.is_empty() || ["sqlite:", "postgres://", "postgresql://"].iter().any(|p| database.starts_with(p)))
        {
            return fault("database.url", "must begin with sqlite: or postgres://".to_owned());
        }
        Ok(())
    }

    /// Where the database is, with the default filled in.
    pub fn database(&self) -> DatabaseConfig {
        let url = match self.database.url.expose() {
            "" => format!("sqlite:{}", self.data_dir.join("rivergen.db").display()),
            url => url.to_owned(),
        };
        DatabaseConfig { url, max_connections: self.database.max_connections }
    }
}

/// `RIVERGEN_<SECTION>__<KEY>`; variables without a section are other programs' (`RIVERGEN_CONFIG`).
fn environment() -> Env {
    Env::prefixed("RIVERGEN_").filter(|key| key.as_str().contains("__") || key == "data_dir").split("__")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_are_settings() {
        let config = Config::with("").unwrap();
        assert_eq!(config.server.public_url, "http://127.0.0.1:8080");
        assert_eq!(config.database().url, "sqlite:data/rivergen.db");
        // What a client expects that was told nothing (OpenID Connect Core, section 3.1.3.7; Discovery, section 3).
        assert_eq!(config.oauth.id_token_algorithms, [TokenAlgorithm::Rs256, TokenAlgorithm::Es256]);
        assert_eq!(config.oauth.access_token_algorithm, TokenAlgorithm::Es256);
    }

    #[test]
    fn a_fault_names_its_key() {
        for (overrides, key) in [
            ("[server]\nlisten = \"nowhere\"", "listen"),
            ("[server]\nlissten = \"127.0.0.1:1\"", "lissten"),
            ("[server]\npublic_url = \"ftp://x\"", "server.public_url"),
            ("[planner]\nkind = \"chat\"", "planner.model"),
            ("[planner]\nkind = \"chat\"\nmodel = \"m\"", "planner.base_url"),
            ("[planner]\nkind = \"anthropic\"", "planner.model"),
            ("[oauth]\naccess_token_algorithm = \"EdDSA\"", "access_token_algorithm"),
            ("[oauth]\nid_token_algorithms = []", "oauth.id_token_algorithms"),
            ("[planner]\nkind = \"local\"", "planner.local.file"),
            ("[planner.local]\ncontext_tokens = 512\nanswer_tokens = 512", "planner.local.answer_tokens"),
            ("[query]\nthreads = 1025", "query.threads"),
            ("[sources]\ncheck_every_seconds = 5", "sources.check_every_seconds"),
            ("[database]\nurl = \"mysql://x\"", "database.url"),
            ("[storage]\nbackend = \"s3\"", "storage.s3.bucket"),
            ("[storage]\nbackend = \"ftp\"", "backend"),
            ("[storage]\nmax_link_seconds = 604801", "storage.max_link_seconds"),
            ("[social.google]\nkind = \"google\"\nclient_id = \"x\"", "social.google"),
            ("[social.google]\nkind = \"google\"\nclient_id = \"x\"\nclient_sekret = \"x\"", "client_sekret"),
            ("[social]\nredirect_targets = [\"javascript:x\"]", "social.redirect_targets"),
            ("[[audit.streams]]\nname = \"SIEM\"\nkind = \"syslog\"", "audit.streams.SIEM: names have"),
            ("[[audit.streams]]\nname = \"siem\"\nkind = \"syslog\"\naddress = \"x:1\"", "needs address and transport"),
            ("[[audit.streams]]\nname = \"siem\"\nkind = \"webhook\"\nurl = \"http://x\"", "needs url and secret"),
            (
                "[[audit.streams]]\nname = \"siem\"\nkind = \"webhook\"\nurl = \"http://x\"\nsecret = \"hunter2\"",
                "secret must be whsec_",
            ),
            (
                "[[audit.streams]]\nname = \"siem\"\nkind = \"syslog\"\naddress = \"x\"\ntransport = \"udp\"",
                "address must be a host and a port",
            ),
            (
                "[[audit.streams]]\nname = \"siem\"\nkind = \"syslog\"\naddress = \"x:1\"\ntransport = \"tcp\"\nca_file = \"x\"",
                "ca_file goes with transport",
            ),
            (
                "[[audit.streams]]\nname = \"siem\"\nkind = \"syslog\"\naddress = \"x:1\"\ntransport = \"tcp\"\nsecret = \"x\"",
                "secret goes with kind \"webhook\"",
            ),
            ("[[audit.streams]]\nname = \"siem\"\nkind = \"syslog\"\nadress = \"x:1\"", "adress"),
        ] {
            let error = Config::with(overrides).unwrap_err().to_string();
            assert!(error.contains(key), "{error}");
        }
    }

    #[test]
    fn the_shown_settings_hold_no_secret() {
        let config = Config::with(
            "[database]\nurl = \"postgres://ann:hunter2@db/rivergen\"\n[vault]\nkey = \"hunter2\"\n[planner]\napi_key = \"hunter2\"\n\
             [storage.s3]\nsecret_access_key = \"hunter2\"\n[storage.azure]\naccess_key = \"hunter2\"\n\
             [social.github]\nkind = \"github\"\nclient_id = \"x\"\nclient_secret = \"hunter2\"\n\
             [[audit.streams]]\nname = \"siem\"\nkind = \"webhook\"\nurl = \"https://siem/hunter2?key=hunter2\"\n\
             secret = \"whsec_aHVudGVyMmh1bnRlcjJodW50ZXIyaHVudGVyMg==\"",
        );
        let shown = format!("{:?}", config.unwrap());
        assert!(!shown.contains("hunter2") && !shown.contains("aHVudGVyMg"), "{shown}");
        assert!(shown.contains("db/rivergen") && shown.contains("https://siem/…"), "{shown}");
    }
}
