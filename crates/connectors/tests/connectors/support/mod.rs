//! What the tests of the connectors share.
#![allow(dead_code)]

// As the other tests of the workspace have it.
#[path = "../../../../../tests/src/account.rs"]
pub mod account;
pub mod clickhouse;
pub mod database;
pub mod differential;
pub mod documents;
pub mod faults;
pub mod http;
pub mod kafka;
pub mod mariadb;
// One word for all tests of the workspace.
#[path = "../../../../../tests/src/missing.rs"]
pub mod missing;
pub mod oracle;
// As the other tests of the workspace have it.
#[path = "../../../../../tests/src/port.rs"]
pub mod port;
pub mod postgres;
pub mod s3;
pub mod servers;
pub mod shim;
pub mod stand_in;
pub mod tds;
pub mod warehouse;

use std::sync::Arc;

use object_store::ObjectStoreExt;
use object_store::memory::InMemory;
use object_store::path::Path;
use rivergen_connectors::{Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use rivergen_platform::net::{AddressPolicy, Outbound, OutboundConfig};

/// A source over an empty store of files, with private addresses allowed.
pub fn source(identity: &str, config: SourceConfig, credentials: Credentials) -> (SourceContext, tempfile::TempDir) {
    let cache = tempfile::tempdir().unwrap();
    let source = SourceContext {
        identity: identity.to_owned(),
        config,
        credentials,
        files: Arc::new(InMemory::new()),
        guard: outbound(true),
        cache_dir: cache.path().to_owned(),
    };
    (source, cache)
}

/// A source of the kind on this machine, with a change of what it is configured with.
pub fn local(
    kind: DataSourceType,
    port: u16,
    database: &str,
    mut credentials: Credentials,
    change: impl FnOnce(&mut SourceConfig, &mut Credentials),
) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(kind);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some(database.into());
    config.connection_timeout = 10;
    change(&mut config, &mut credentials);
    source(kind.as_str(), config, credentials)
}

/// Who signs in with a password.
pub fn signed_in(user: &str, password: &str) -> Credentials {
    Credentials { username: Some(user.into()), password: Some(Secret::new(password)), ..Credentials::default() }
}

/// Puts the file where the source's configuration says it is.
pub async fn put(source: &SourceContext, content: impl Into<Vec<u8>>) {
    let path = Path::from(source.config.file_path.as_deref().unwrap());
    source.files.put(&path, content.into().into()).await.unwrap();
}

pub async fn open(source: &SourceContext) -> Arc<dyn OpenedSource> {
    try_open(source).await.unwrap()
}

pub async fn try_open(source: &SourceContext) -> Result<Arc<dyn OpenedSource>, rivergen_connectors::ConnectorError> {
    Registry::new().connector(source.config.kind).unwrap().open(source).await
}

/// The guarded way out, with private addresses or without.
pub fn outbound(allow_private: bool) -> Arc<Outbound> {
    let policy = AddressPolicy { allow_private, ..AddressPolicy::default() };
    Arc::new(Outbound::new(&OutboundConfig { policy, ..OutboundConfig::default() }).expect("the outbound client"))
}

/// An RSA key in PEM form, made for the test.
pub fn private_key() -> String {
    let made = std::process::Command::new("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"])
        .output()
        .expect("openssl makes a key");
    String::from_utf8(made.stdout).unwrap()
}
