//! The Cassandra connector, against a server of the test's own that speaks CQL's native protocol.
//!
//! No Cassandra is in a package registry. The stand-in is made with another driver's library of the protocol. It answers
//! what the driver asks of the system's tables, and SELECT as Cassandra's manual has it: what the key does not answer is
//! refused, and a partition that has static values alone is a row of those who ask for these.

mod server;
mod statements;
mod tables;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use crate::support::documents::{check, columns, discover, query, table};
use crate::support::kafka::tls_before;
use async_trait::async_trait;
use rivergen_connectors::{
    AddressGuard, Blocked, ConnectorError, Credentials, DataSourceType, Registry, SourceConfig, SourceContext, Step,
};
use rivergen_kernel::secret::Secret;
use rivergen_platform::net::{HttpOptions, Outbound};
use serde_json::json;
use server::Server;
use tables::{KEYSPACE, Table, int};

fn source(port: u16) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Cassandra);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some(KEYSPACE.into());
    config.connection_timeout = 10;
    config.max_retries = 0;
    config.metadata.insert("sslmode".into(), "disable".into());
    crate::support::source("cassandra", config, Credentials::default())
}

#[tokio::test]
async fn tables_are_typed_and_keys_answer_filters() {
    let (port, server) = Server::default().start(None).await;
    let (context, _cache) = source(port);
    let source = crate::support::open(&context).await;
    assert_eq!(source.probe().await.unwrap().as_deref(), Some("Cassandra 4.1.7"));
    let tables = discover(&source, KEYSPACE).await;
    assert_eq!(
        tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(),
        ["carts", "events", "events_by_name"]
    );
    let keys: Vec<_> = tables[1].columns.iter().filter(|c| c.primary_key).map(|c| c.name.as_str()).collect();
    assert_eq!(keys, ["tenant", "day", "at", "n"]);
    assert_eq!(tables[1].columns[5].source_type, "frozen<address>");
    let events = table(&source, KEYSPACE, "events").await;
    assert_eq!(
        columns(&events),
        [
            "tenant Utf8",
            "day Utf8",
            "at Timestamp(µs, \"UTC\")",
            "n Int64",
            "big Decimal128(38, 0)",
            "home Struct(\"city\": Utf8, \"lat\": Float64)",
            "id Utf8",
            "ip Utf8",
            "kinds List(Int64)",
            "labels List(Struct(\"key\": Utf8, \"value\": Int64))",
            "lasts Utf8",
            "name Utf8",
            "ok Boolean",
            "pair Struct(\"1\": Int64, \"2\": Utf8)",
            "price Decimal128(38, 10)",
            "raw Binary",
            "score Float64",
            "seen Utf8",
            "small Int64",
            "tags List(Utf8)",
        ]
    );
    let found = query(
        &events,
        "SELECT tenant, day, at, big, home['city'], id, ip, kinds[2], labels[1]['value'], lasts, ok, pair['1'], price, raw, score, \
         seen, small, tags[1] FROM t WHERE n = -47",
    )
    .await;
    assert_eq!(
        found,
        [[
            "beta",
            "2022-01-09",
            "1970-01-01T00:00:01Z",
            "-243",
            "Rome",
            "123e4567-e89b-42d3-a456-426614174000",
            "10.0.0.13",
            "2",
            "13",
            "P1M2DT0.000000003S",
            "false",
            "13",
            "0.1300000000",
            "000d",
            "1.62500000000e0",
            "00:00:13.000000000",
            "13",
            "a"
        ]]
    );
    check(
        events.clone(),
        &[
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08'",
            "SELECT n, name FROM t WHERE tenant = 'Çelik' AND day IN ('2022-01-08', '2022-01-11', '1999-01-01')",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at >= '1970-01-01T00:00:03Z'",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at BETWEEN '1970-01-01T00:00:02.9999Z' AND '1970-01-01T00:00:05Z'",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at = '1970-01-01T00:00:03Z' AND n > -24",
            "SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND n < 0 AND name = 'Anna'",
            "SELECT n FROM t WHERE tenant = 'nobody' AND day = '2022-01-08'",
            "SELECT n FROM t WHERE tenant = 'acme'",
            "SELECT count(*) FROM t WHERE tenant = 'acme' AND day = '2022-01-09'",
            "SELECT n FROM t WHERE n BETWEEN -3 AND 3",
        ],
        &[
            "SELECT count(*) FROM t",
            "SELECT n FROM t WHERE name = 'Anna' AND ok",
            "SELECT n FROM t WHERE day < '2022-01-09'",
            "SELECT n FROM t WHERE tenant = '' OR day = '2022-01-08'",
            "SELECT n FROM t WHERE price > 0.5",
            "SELECT n FROM t WHERE name IS NULL",
        ],
    )
    .await;
    server.asked();
    let asked = async |sql: &str| {
        query(&events, sql).await;
        server.asked()
    };
    let all = "SELECT \"n\" FROM \"shop\".\"events\"";
    assert_eq!(
        asked("SELECT n FROM t WHERE tenant = 'acme' AND day = '2022-01-08' AND at > '1970-01-01T00:00:03Z'").await,
        [
            "SELECT \"tenant\", \"day\", \"at\", \"n\" FROM \"shop\".\"events\" WHERE \"tenant\" = ? AND \"day\" = ? AND \"at\" > ?"
        ]
    );
    assert_eq!(asked("SELECT n FROM t LIMIT 9").await, [format!("{all} LIMIT 9")]);
    assert!(asked("SELECT n FROM t WHERE n = 3 AND at = '1970-01-01T00:00:03Z'").await[0].ends_with("\"events\""));
    for (schema, name) in [(KEYSPACE, "gone"), ("other", "events"), (KEYSPACE, "")] {
        assert!(source.open_table(schema, name, None).await.is_err());
    }
}

#[tokio::test]
async fn a_partition_with_static_values_alone_is_a_row() {
    let (port, server) = Server::default().start(None).await;
    let (context, _cache) = source(port);
    let source = crate::support::open(&context).await;
    let carts = table(&source, KEYSPACE, "carts").await;
    assert_eq!(query(&carts, "SELECT count(*) FROM t").await, [["7"]]);
    assert_eq!(query(&carts, "SELECT count(item), count(customer) FROM t").await, [["6", "7"]]);
    assert_eq!(
        query(&carts, "SELECT customer, \"Note \"\"s\"\"\" FROM t WHERE item IS NULL").await,
        [["01010101-0101-0101-0101-010101010101", "empty"]]
    );
    check(
        carts.clone(),
        &[
            "SELECT item FROM t WHERE customer = '123e4567-e89b-42d3-a456-426614174000'",
            "SELECT item FROM t WHERE customer = '123E4567-E89B-42D3-A456-426614174000'",
            "SELECT item FROM t WHERE customer IN ('123e4567-e89b-42d3-a456-426614174000', '01010101-0101-0101-0101-010101010101')",
            "SELECT count FROM t WHERE customer = '123e4567-e89b-42d3-a456-426614174000' AND item >= 2 AND item < 5",
        ],
        &["SELECT item FROM t WHERE customer = 'nobody'", "SELECT item FROM t WHERE customer > '0'"],
    )
    .await;
    assert!(!server.asked().iter().any(|text| text.contains("ALLOW FILTERING")));
}

/// A page is held in memory, so it is measured by bytes.
#[tokio::test]
async fn pages_of_wide_rows_have_fewer_of_them() {
    let columns = vec![("k", "partition_key", 0, "int"), ("raw", "regular", -1, "blob")];
    let rows = (0..60).map(|n| vec![int(n), Some(vec![n as u8; 1024 * 1024])]).collect();
    let wide = Table { keyspace: KEYSPACE, name: "wide", columns, rows };
    let (port, server) = Server { more: vec![wide], ..Server::default() }.start(None).await;
    let (context, _cache) = source(port);
    let source = crate::support::open(&context).await;
    let wide = source.open_table(KEYSPACE, "wide", None).await.unwrap();
    assert_eq!(query(&wide, "SELECT count(*), count(raw), sum(k) FROM t").await, [["60", "60", "1770"]]);
    let pages = std::mem::take(&mut *server.pages.lock().unwrap());
    assert!(pages.len() > 6 && pages[1..].iter().all(|rows| (2..=8).contains(rows)), "{pages:?}");
    let events = source.open_table(KEYSPACE, "events", None).await.unwrap();
    assert_eq!(query(&events, "SELECT count(n) FROM t").await, [["120"]]);
    assert_eq!(*server.pages.lock().unwrap(), [10, 100, 1_000], "of narrow rows there are soon a thousand");
}

/// A guard that remembers what it was asked.
#[derive(Debug)]
struct Watched {
    inner: Arc<Outbound>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl AddressGuard for Watched {
    async fn check(&self, host: &str, port: u16) -> Result<Vec<SocketAddr>, Blocked> {
        self.asked.lock().unwrap().push(host.to_owned());
        self.inner.check(host, port).await
    }

    fn http(&self, options: &HttpOptions) -> Result<reqwest::Client, Box<dyn std::error::Error + Send + Sync>> {
        AddressGuard::http(self.inner.as_ref(), options)
    }
}

#[tokio::test]
async fn nodes_that_the_cluster_names_are_guarded_too() {
    let (port, _server) = Server::default().start(Some([169, 254, 169, 254])).await;
    let (mut context, _cache) = source(port);
    let guard = Arc::new(Watched { inner: crate::support::outbound(true), asked: Mutex::default() });
    context.guard = guard.clone();
    let source = crate::support::open(&context).await;
    let carts = table(&source, KEYSPACE, "carts").await;
    assert_eq!(query(&carts, "SELECT count(*) FROM t").await, [["7"]]);
    for _ in 0..600 {
        if guard.asked.lock().unwrap().iter().any(|host| host == "169.254.169.254") {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    assert!(guard.asked.lock().unwrap().iter().any(|host| host == "169.254.169.254"));
    context.guard = crate::support::outbound(false);
    let failed = crate::support::try_open(&context).await.unwrap_err();
    assert!(matches!(failed, ConnectorError::Blocked), "{failed:?}");
}

#[tokio::test]
async fn sign_in_and_tls() {
    let server = Server { user: Some(("ann", "hunter2")), ..Server::default() };
    let (port, _server) = server.start(None).await;
    let (tls, certificate) = tls_before(port).await;
    let (mut context, _cache) = source(tls);
    context.config.host = Some("localhost".into());
    context.config.metadata.insert("sslmode".into(), "verify-full".into());
    context.config.metadata.insert("ssl_root_certificate".into(), certificate.clone().into());
    context.credentials.username = Some("ann".into());
    context.credentials.password = Some(Secret::new("hunter2"));
    let source = crate::support::open(&context).await;
    assert!(!format!("{source:?}{context:?}").contains("hunter2"));
    let carts = table(&source, KEYSPACE, "carts").await;
    assert_eq!(query(&carts, "SELECT count(*) FROM t").await, [["7"]]);

    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Cassandra).unwrap();
    context.credentials.password = Some(Secret::new("wrong"));
    let outcome = connector.test(&context).await;
    assert_eq!((outcome.successful, outcome.failed_at), (false, Some(Step::SignIn)), "{outcome:?}");
    assert!(!outcome.error_message.unwrap().contains("secret"));
    context.config.metadata.remove("ssl_root_certificate");
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Tls));
    // The certificate is of another name.
    context.config.metadata.insert("ssl_root_certificate".into(), certificate.into());
    context.config.host = Some("127.0.0.1".into());
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Tls));
    let (mut context, _cache) = self::source(port);
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::SignIn));
    context.config.port = Some(1);
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Connection));
}

#[tokio::test]
async fn a_keyspace_that_is_not_there_is_named() {
    let (port, _server) = Server::default().start(None).await;
    let (mut context, _cache) = source(port);
    context.config.database_name = Some("gone".into());
    let registry = Registry::new();
    let outcome = registry.connector(DataSourceType::Cassandra).unwrap().test(&context).await;
    assert_eq!(outcome.failed_at, Some(Step::Permission));
    assert!(outcome.error_message.unwrap().contains("keyspace gone"));
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Cassandra).unwrap();
    for (change, credentials, field) in [
        (json!({"host": "a,b"}), json!({}), "host"),
        (json!({"database_name": "a b"}), json!({}), "database_name"),
        (json!({"database_name": ""}), json!({}), "database_name"),
        (json!({}), json!({"username": "ann"}), "credentials.password"),
        (json!({}), json!({"password": "x"}), "credentials.username"),
        (json!({"metadata": {"sslmode": "prefer"}}), json!({}), "metadata.sslmode"),
        (json!({"metadata": {"ssl_root_certificate": "x"}}), json!({}), "metadata.ssl_root_certificate"),
    ] {
        let mut config = json!({"kind": "cassandra", "host": "h", "port": 9042, "database_name": "k"});
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let credentials: Credentials = serde_json::from_value(credentials).unwrap();
        let wrong = connector.validate(&serde_json::from_value(config).unwrap(), &credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), [field], "{change}");
    }
}
