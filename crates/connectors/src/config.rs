//! What a data source's owner enters: where it is and how to sign in.

use std::time::Duration;

use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::{DataSourceType, tunnel::TunnelConfig};

/// Where a source is and how it is to be used; the fields are the API's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SourceConfig {
    pub kind: DataSourceType,
    #[serde(default)]
    pub host: Option<String>,
    #[serde(default)]
    pub port: Option<u16>,
    #[serde(default)]
    pub database_name: Option<String>,
    /// Only tables of this schema; all schemas where it is absent.
    #[serde(default)]
    pub schema_name: Option<String>,
    /// The object's path in the context's store of files.
    #[serde(default)]
    pub file_path: Option<String>,
    /// The SSH server through which it is reached.
    #[serde(default)]
    pub tunnel: Option<TunnelConfig>,
    #[serde(default = "five")]
    pub connection_pool_size: u32,
    /// Seconds.
    #[serde(default = "thirty")]
    pub connection_timeout: u32,
    /// Seconds.
    #[serde(default = "three_hundred")]
    pub query_timeout: u32,
    /// How often a source that cannot be reached is tried again; see [`crate::retry`].
    #[serde(default = "three")]
    pub max_retries: u32,
    /// What only some kinds know: `sslmode`, `ssl_root_certificate`, `delimiter`, `has_header`, `table`, …
    #[serde(default)]
    pub metadata: Map<String, Value>,
}

fn five() -> u32 {
    5
}

fn three() -> u32 {
    3
}

fn thirty() -> u32 {
    30
}

fn three_hundred() -> u32 {
    300
}

impl SourceConfig {
    pub fn new(kind: DataSourceType) -> Self {
        Self {
            kind,
            host: None,
            port: None,
            database_name: None,
            schema_name: None,
            file_path: None,
            tunnel: None,
            connection_pool_size: five(),
            connection_timeout: thirty(),
            query_timeout: three_hundred(),
            max_retries: three(),
            metadata: Map::new(),
        }
    }

    /// A text in `metadata`; empty counts as absent.
    pub fn metadata_text(&self, name: &str) -> Option<&str> {
        self.metadata.get(name).and_then(Value::as_str).filter(|text| !text.is_empty())
    }

    pub fn connect_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.connection_timeout.clamp(1, 600)))
    }

    pub fn query_timeout(&self) -> Duration {
        Duration::from_secs(u64::from(self.query_timeout.clamp(1, 86_400)))
    }
}

/// How to sign in at the source. Nothing of it prints, and it is wiped from memory when dropped.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct Credentials {
    #[serde(default)]
    pub username: Option<String>,
    #[serde(default)]
    pub password: Option<Secret>,
    #[serde(default)]
    pub api_key: Option<Secret>,
    #[serde(default)]
    pub oauth_token: Option<Secret>,
    #[serde(default)]
    pub ssh_private_key: Option<Secret>,
    #[serde(default)]
    pub ssh_passphrase: Option<Secret>,
    #[serde(default)]
    pub warehouse: Option<String>,
    #[serde(default)]
    pub role: Option<String>,
    /// It commonly holds a password, so it is a secret as a whole.
    #[serde(default)]
    pub connection_string: Option<Secret>,
}

/// Checks the fields that the kind requires, by the contract's table.
pub fn check_required(config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
    let required = config.kind.required();
    if required.or_connection_string && credentials.connection_string.as_ref().is_some_and(|s| !s.is_empty()) {
        return Vec::new();
    }
    let or = if required.or_connection_string { ", or give a connection_string" } else { "" };
    let mut missing: Vec<_> = required
        .all
        .iter()
        .filter(|field| !is_given(config, credentials, field))
        .map(|field| FieldError::new(*field, format!("is required for a source of kind {}{or}", config.kind)))
        .collect();
    if !required.one_of.is_empty() && !required.one_of.iter().any(|field| is_given(config, credentials, field)) {
        let reason = format!("one of {} is required for a source of kind {}", required.one_of.join(", "), config.kind);
        missing.push(FieldError::new(required.one_of[0], reason));
    }
    missing
}

/// What is wrong with the fields: those that are missing, or else the first that cannot be read.
pub(crate) fn check_fields<T>(
    config: &SourceConfig,
    credentials: &Credentials,
    read: impl FnOnce() -> Result<T, FieldError>,
) -> Vec<FieldError> {
    let missing = check_required(config, credentials);
    if missing.is_empty() { read().err().into_iter().collect() } else { missing }
}

fn is_given(config: &SourceConfig, credentials: &Credentials, field: &str) -> bool {
    let text = |value: &Option<String>| value.as_ref().is_some_and(|v| !v.trim().is_empty());
    let secret = |value: &Option<Secret>| value.as_ref().is_some_and(|v| !v.is_empty());
    match field {
        "host" => text(&config.host),
        "port" => config.port.is_some(),
        "database_name" => text(&config.database_name),
        "file_path" => text(&config.file_path),
        "connection_string" => secret(&credentials.connection_string),
        "credentials.username" => text(&credentials.username),
        "credentials.password" => secret(&credentials.password),
        "credentials.api_key" => secret(&credentials.api_key),
        "credentials.oauth_token" => secret(&credentials.oauth_token),
        "credentials.warehouse" => text(&credentials.warehouse),
        other => other.strip_prefix("metadata.").is_some_and(|name| config.metadata_text(name).is_some()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields(errors: &[FieldError]) -> Vec<&str> {
        errors.iter().map(|e| e.field.as_str()).collect()
    }

    #[test]
    fn every_kind_names_what_is_missing() {
        for kind in DataSourceType::ALL {
            let missing = check_required(&SourceConfig::new(*kind), &Credentials::default());
            let required = kind.required();
            assert_eq!(missing.len(), required.all.len() + usize::from(!required.one_of.is_empty()), "{kind}");
        }
    }

    #[test]
    fn alternatives_are_taken() {
        let mut config = SourceConfig::new(DataSourceType::Postgresql);
        let string = Credentials { connection_string: Some(Secret::new("postgres://u@h/d")), ..Credentials::default() };
        assert!(check_required(&config, &string).is_empty());
        config.host = Some("db.example.com".into());
        config.port = Some(5432);
        assert_eq!(
            fields(&check_required(&config, &Credentials::default())),
            ["database_name", "credentials.username", "credentials.password"]
        );
        let mut config = SourceConfig::new(DataSourceType::Kinesis);
        config.metadata.insert("region".into(), "eu-central-1".into());
        assert!(!fields(&check_required(&config, &Credentials::default())).contains(&"metadata.region"));
    }

    #[test]
    fn credentials_do_not_print() {
        let credentials: Credentials =
            serde_json::from_str(r#"{"username": "ann", "password": "hunter2", "connection_string": "s3cr3t"}"#)
                .unwrap();
        let printed = format!("{credentials:?}");
        assert!(!printed.contains("hunter2") && !printed.contains("s3cr3t"));
    }
}
