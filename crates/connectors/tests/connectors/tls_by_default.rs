//! Where nobody says how, a source is spoken to under TLS: what reaches the network first is no password.

use std::time::Duration;

use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

/// The content type of a handshake (RFC 8446, section 5.1).
const HANDSHAKE: u8 = 0x16;
const PASSWORD: &str = "t0p/secret";

/// A server that writes a greeting and tells what comes first; it hangs up then.
async fn listener(greeting: &'static [u8]) -> (u16, tokio::task::JoinHandle<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(greeting).await.unwrap();
        let mut buffer = vec![0; 4096];
        let read = stream.read(&mut buffer).await.unwrap();
        buffer.truncate(read);
        buffer
    });
    (port, heard)
}

/// What came first.
async fn first(heard: tokio::task::JoinHandle<Vec<u8>>) -> Vec<u8> {
    tokio::time::timeout(Duration::from_secs(20), heard).await.expect("it was connected to").unwrap()
}

fn source(kind: DataSourceType, port: u16) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(kind);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some(if kind == DataSourceType::Redis { "0" } else { "shop" }.into());
    config.connection_timeout = 2;
    config.max_retries = 0;
    config.metadata.insert("topic".into(), json!("events"));
    let credentials =
        Credentials { username: Some("ann".into()), password: Some(Secret::new(PASSWORD)), ..Credentials::default() };
    crate::support::source("tls", config, credentials)
}

#[tokio::test]
async fn without_sslmode_no_plain_byte_leaves() {
    let registry = Registry::new();
    for kind in [
        DataSourceType::Cassandra,
        DataSourceType::Elasticsearch,
        DataSourceType::Kafka,
        DataSourceType::Mongodb,
        DataSourceType::Neo4j,
        DataSourceType::Opensearch,
        DataSourceType::Redis,
        DataSourceType::Clickhouse,
    ] {
        let connector = registry.connector(kind).unwrap();
        let usual = connector.form()["properties"]["metadata"]["properties"]["sslmode"]["default"].clone();
        assert_eq!(usual, "verify-full", "{kind}: the form says the same");
        let (port, heard) = listener(b"").await;
        let (context, _cache) = source(kind, port);
        assert!(connector.validate(&context.config, &context.credentials).is_empty(), "{kind}");
        let outcome = connector.test(&context).await;
        assert_eq!(first(heard).await.first(), Some(&HANDSHAKE), "{kind}");
        // And it is told how to go without.
        let message = outcome.error_message.unwrap();
        assert!(message.contains("set metadata.sslmode to disable"), "{kind}: {message}");
    }
}

/// These begin in the clear and ask for TLS first: a server that has none is told nothing more.
#[tokio::test]
async fn a_database_without_tls_hears_no_password() {
    let registry = Registry::new();
    // A request for TLS (code 80877103), to which the server says no.
    let tls_request: &[u8] = &[0, 0, 0, 8, 4, 210, 22, 47];
    for kind in [DataSourceType::Postgresql, DataSourceType::Timescaledb, DataSourceType::Redshift] {
        let connector = registry.connector(kind).unwrap();
        assert_eq!(connector.form()["properties"]["metadata"]["properties"]["sslmode"]["default"], "require");
        let (port, heard) = listener(b"N").await;
        let (context, _cache) = source(kind, port);
        let outcome = connector.test(&context).await;
        assert_eq!(first(heard).await, tls_request, "{kind}");
        let message = outcome.error_message.unwrap();
        assert!(message.contains("metadata.sslmode to disable"), "{kind}: {message}");
    }
}

/// A scheme that says "without TLS" is somebody's word.
#[tokio::test]
async fn a_connection_string_that_says_so_goes_without() {
    let (port, heard) = listener(b"").await;
    let (mut context, _cache) = source(DataSourceType::Redis, port);
    context.credentials.connection_string = Some(Secret::new(format!("redis://127.0.0.1:{port}/0")));
    let outcome = Registry::new().connector(DataSourceType::Redis).unwrap().test(&context).await;
    assert_eq!(first(heard).await.first(), Some(&b'*'));
    assert!(!outcome.error_message.unwrap().contains("sslmode"), "nothing else is proposed");
}
