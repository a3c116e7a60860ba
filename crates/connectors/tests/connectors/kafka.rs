//! The Kafka connector, against the brokers that librdkafka mocks, and for what these do not do (times, transactions,
//! sign-in, deletion) against those that the client's own library has for tests.

use std::net::SocketAddr;

use crate::support::differential::session_of;
use crate::support::documents::{check, columns, discover, failure, query, table};
use crate::support::kafka::{Librdkafka, scram_before, tls_before};
use axum::extract::Path;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::get;
use axum::{Json, Router};
use futures::StreamExt;
use krafka::Record;
use krafka::testing::FakeBroker;
use rivergen_connectors::{
    ConnectorError, Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext, Step,
};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};
use std::sync::Arc;

fn source(port: u16, metadata: Value) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Kafka);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.connection_timeout = 10;
    config.query_timeout = 30;
    config.max_retries = 0;
    config.metadata = metadata.as_object().unwrap().clone();
    config.metadata.entry("sslmode").or_insert_with(|| "disable".into());
    crate::support::source("kafka", config, Credentials::default())
}

async fn brokers(number: usize) -> (FakeBroker, u16) {
    let broker = FakeBroker::start_cluster(number).await.unwrap();
    let port = broker.broker_addr(0).unwrap().port();
    (broker, port)
}

/// `n` records in three partitions, a second from each to the next but for one that is late.
async fn fill(broker: &FakeBroker, n: i64) {
    broker.create_topic("events", 3);
    let producer = broker.kafka().connect().await.unwrap().producer().build().await.unwrap();
    for n in 0..n {
        drop(producer.enqueue(event(n)).await.unwrap());
    }
    producer.flush().await.unwrap();
    producer.close().await.unwrap();
}

fn event(n: i64) -> Record {
    let name = ["Anna", "anna", "Jürgen", "Bob"][n as usize % 4];
    let value = json!({"n": n, "name": name, "nested": {"odd": n % 2 == 1}}).to_string();
    // Every tenth came a minute late.
    let late = if n % 10 == 9 { 60_000 } else { 0 };
    let record = Record::new("events", value).partition((n % 3) as i32).timestamp(1_000_000 + n * 1_000 - late);
    let record = record.header("trace", format!("t{n}")).null_header("empty");
    if n % 2 == 0 { record.key(format!("k{n}")) } else { record }
}

async fn open_failure(context: &SourceContext) -> ConnectorError {
    crate::support::try_open(context).await.unwrap_err()
}

async fn opened(context: &SourceContext) -> Arc<dyn OpenedSource> {
    crate::support::open(context).await
}

#[tokio::test]
async fn a_topic_is_a_table_and_filters_mean_the_same() {
    let (broker, port) = brokers(2).await;
    fill(&broker, 120).await;
    let (context, _cache) = source(port, json!({"topic": "events"}));
    let source = opened(&context).await;
    assert_eq!(source.probe().await.unwrap(), None);
    assert_eq!(discover(&source, "topics").await[0].row_count, Some(120));
    let events = table(&source, "topics", "events").await;
    assert_eq!(
        columns(&events)[..7],
        [
            "_partition Int64",
            "_offset Int64",
            "_timestamp Timestamp(µs, \"UTC\")",
            "_key Utf8",
            "_headers List(Struct(\"key\": Utf8, \"value\": Utf8))",
            "n Int64",
            "name Utf8"
        ]
    );
    let found = query(
        &events,
        "SELECT _partition, _offset, _timestamp, _key, _headers[1]['value'], _headers[2]['value'], nested['odd'] FROM t WHERE n = 4",
    )
    .await;
    assert_eq!(found, [["1", "1", "1970-01-01T00:16:44Z", "k4", "t4", "NULL", "false"]]);
    check(
        events.clone(),
        &[
            "SELECT n FROM t WHERE _partition = 1",
            "SELECT n FROM t WHERE _partition <> 1",
            "SELECT n FROM t WHERE _partition IN (0, 2) AND name = 'Anna'",
            "SELECT n FROM t WHERE _partition = 7",
            "SELECT n FROM t WHERE _offset = 5",
            "SELECT n FROM t WHERE _offset BETWEEN 5 AND 8",
            "SELECT n FROM t WHERE _offset > 30 AND _partition >= 1",
            "SELECT n FROM t WHERE _offset < 0",
            "SELECT n FROM t WHERE (_partition = 0 AND _offset < 3) OR (_partition = 2 AND _offset > 35)",
            "SELECT n FROM t WHERE _timestamp >= '1970-01-01T00:17:30Z'",
            "SELECT n FROM t WHERE _timestamp > '1970-01-01T00:17:30Z'",
            "SELECT n FROM t WHERE _timestamp = '1970-01-01T00:17:30Z'",
            "SELECT n FROM t WHERE _timestamp >= '1970-01-01T00:17:29.9999Z' AND _timestamp < '1970-01-01T00:18:00Z'",
            "SELECT n FROM t WHERE _timestamp >= '2030-01-01T00:00:00Z'",
            "SELECT n FROM t WHERE _timestamp >= '1960-01-01T00:00:00Z'",
            "SELECT count(*) FROM t WHERE _partition = 1",
        ],
        &[
            "SELECT count(*) FROM t",
            "SELECT n FROM t WHERE _timestamp < '1970-01-01T00:17:30Z'",
            "SELECT n FROM t WHERE _partition = 1 OR name = 'Bob'",
            "SELECT n FROM t WHERE _key = 'k4'",
            "SELECT n FROM t WHERE _key IS NULL",
            "SELECT n FROM t WHERE _offset <> 5",
        ],
    )
    .await;
    assert_eq!(query(&events, "SELECT n FROM t LIMIT 9").await.len(), 9);
    for name in ["gone", ""] {
        assert!(source.open_table("topics", name, None).await.is_err());
    }
}

/// More than what a page holds, in records of which a broker sends one at a time.
#[tokio::test]
async fn large_records_are_read_in_small_pages() {
    let (broker, port) = brokers(1).await;
    broker.create_topic("large", 1);
    let producer = broker.kafka().connect().await.unwrap().producer().build().await.unwrap();
    for n in 0..40 {
        let value = json!({"n": n, "text": "x".repeat(900_000)}).to_string();
        drop(producer.enqueue(Record::new("large", value).partition(0)).await.unwrap());
        producer.flush().await.unwrap();
    }
    producer.close().await.unwrap();
    let (context, _cache) = source(port, json!({"topic": "large"}));
    let large = table(&opened(&context).await, "topics", "large").await;
    let found = query(&large, "SELECT count(*), sum(n), sum(length(text)) FROM t").await;
    assert_eq!(found, [["40", "780", "36000000"]]);
}

#[tokio::test]
async fn filters_narrow_what_is_fetched() {
    let (broker, port) = brokers(1).await;
    fill(&broker, 120).await;
    let (context, _cache) = source(port, json!({"topic": "events"}));
    let source = opened(&context).await;
    let events = table(&source, "topics", "events").await;
    let fetched = async |sql: &str| {
        broker.clear_requests();
        query(&events, sql).await;
        broker.request_count(krafka::testing::ApiKey::Fetch)
    };
    assert_eq!(fetched("SELECT n FROM t WHERE _partition = 9").await, 0);
    assert_eq!(fetched("SELECT n FROM t WHERE _offset >= 40").await, 0);
    assert_eq!(fetched("SELECT n FROM t WHERE _timestamp > '2000-01-01T00:00:00Z'").await, 0);
    assert!(fetched("SELECT n FROM t WHERE _offset >= 39").await > 0);
}

#[tokio::test]
async fn the_window_is_bounded_and_ends_when_the_scan_begins() {
    let (broker, port) = brokers(1).await;
    fill(&broker, 3_000).await;
    let (context, _cache) = source(port, json!({"topic": "events", "window_messages": 7}));
    let last = table(&opened(&context).await, "topics", "events").await;
    assert_eq!(
        query(&last, "SELECT _partition, min(_offset), max(_offset), count(*) FROM t GROUP BY 1 ORDER BY 1").await,
        [["0", "993", "999", "7"], ["1", "993", "999", "7"], ["2", "993", "999", "7"]]
    );
    let (context, _cache) = self::source(port, json!({"topic": "events", "window_minutes": 10}));
    assert_eq!(
        query(&table(&opened(&context).await, "topics", "events").await, "SELECT count(*) FROM t").await,
        [["0"]]
    );

    let (context, _cache) = self::source(port, json!({"topic": "events"}));
    let all = table(&opened(&context).await, "topics", "events").await;
    let ctx = session_of("t", all);
    let mut rows = ctx.sql("SELECT n FROM t").await.unwrap().execute_stream().await.unwrap();
    let mut count = rows.next().await.unwrap().unwrap().num_rows();
    let producer = broker.kafka().connect().await.unwrap().producer().build().await.unwrap();
    for n in 0..30 {
        let _ = producer.send(event(n)).await.unwrap();
    }
    let recent = Record::new("events", r#"{"n": 1}"#).partition(0).timestamp(chrono::Utc::now().timestamp_millis());
    let _ = producer.send(recent).await.unwrap();
    while let Some(batch) = rows.next().await {
        count += batch.unwrap().num_rows();
    }
    assert_eq!(count, 3_000);
    producer.close().await.unwrap();
    let (context, _cache) = self::source(port, json!({"topic": "events", "window_minutes": 10}));
    let recent = table(&opened(&context).await, "topics", "events").await;
    assert_eq!(query(&recent, "SELECT n, _offset FROM t").await, [["1", "1010"]]);
}

#[tokio::test]
async fn only_what_was_committed_is_read() {
    let (broker, port) = brokers(1).await;
    fill(&broker, 3).await;
    let kafka = broker.kafka().connect().await.unwrap();
    let producer = kafka.producer().build_transactional("ours").await.unwrap();
    for n in 10..16 {
        producer.begin().unwrap();
        let _ = producer.send(event(n * 3)).await.unwrap();
        if n % 2 == 0 { producer.commit().await.unwrap() } else { producer.abort().await.unwrap() }
    }
    let (context, _cache) = source(port, json!({"topic": "events"}));
    let events = table(&opened(&context).await, "topics", "events").await;
    assert_eq!(query(&events, "SELECT n FROM t ORDER BY n").await, [["0"], ["1"], ["2"], ["30"], ["36"], ["42"]]);
    // One that is open bounds the window.
    producer.begin().unwrap();
    let _ = producer.send(event(48)).await.unwrap();
    assert_eq!(query(&events, "SELECT count(*) FROM t").await, [["6"]]);
    producer.commit().await.unwrap();
    assert_eq!(query(&events, "SELECT count(*) FROM t").await, [["7"]]);
}

#[tokio::test]
async fn a_damaged_value_does_no_harm_where_values_are_not_asked_for() {
    let (broker, port) = brokers(1).await;
    fill(&broker, 9).await;
    let (context, _cache) = source(port, json!({"topic": "events"}));
    let source = opened(&context).await;
    let events = table(&source, "topics", "events").await;
    let producer = broker.kafka().connect().await.unwrap().producer().build().await.unwrap();
    let _ = producer.send(Record::new("events", "no json").partition(0)).await.unwrap();
    let _ = producer.send(Record::tombstone("events", "k4").partition(1)).await.unwrap();
    producer.close().await.unwrap();
    assert_eq!(query(&events, "SELECT count(*) FROM t").await, [["11"]]);
    assert_eq!(query(&events, "SELECT max(_offset) FROM t").await, [["3"]]);
    assert_eq!(query(&events, "SELECT n FROM t WHERE _partition = 1 AND _offset = 3").await, [["NULL"]]);
    assert!(failure(&events, "SELECT n FROM t").await.contains("column _value"));
}

#[tokio::test]
async fn brokers_that_the_cluster_names_are_guarded_too() {
    let (broker, port) = brokers(2).await;
    fill(&broker, 9).await;
    let (mut context, _cache) = source(port, json!({"topic": "events"}));
    let source = opened(&context).await;
    let events = table(&source, "topics", "events").await;
    assert_eq!(query(&events, "SELECT count(*) FROM t").await, [["9"]]);
    // An address that is never permitted leads a partition from now on.
    broker.with_state(|cluster| {
        cluster.brokers[1].host = "169.254.169.254".into();
        cluster.brokers[1].port = 80;
    });
    context.config.connection_timeout = 2;
    context.config.query_timeout = 4;
    let source = opened(&context).await;
    let failed = source.discover(None).await.unwrap_err();
    assert!(matches!(failed, ConnectorError::Blocked), "{failed:?}");
    context.guard = crate::support::outbound(false);
    assert!(matches!(open_failure(&context).await, ConnectorError::Blocked));
}

#[tokio::test]
async fn sign_in_and_tls() {
    let (broker, port) = brokers(1).await;
    fill(&broker, 9).await;
    broker.require_sasl_plain("ann", "hunter2");
    let (tls, certificate) = tls_before(port).await;
    broker.with_state(|cluster| {
        cluster.brokers[0].host = "localhost".into();
        cluster.brokers[0].port = tls.into();
    });
    let (mut context, _cache) = source(
        tls,
        json!({"topic": "events", "sslmode": "verify-full", "ssl_root_certificate": certificate, "sasl_mechanism": "PLAIN"}),
    );
    context.config.host = Some("localhost".into());
    context.credentials.username = Some("ann".into());
    context.credentials.password = Some(Secret::new("hunter2"));
    let source = opened(&context).await;
    assert!(!format!("{source:?}{context:?}").contains("hunter2"));
    let events = table(&source, "topics", "events").await;
    assert_eq!(query(&events, "SELECT count(*) FROM t").await, [["9"]]);

    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Kafka).unwrap();
    context.credentials.password = Some(Secret::new("wrong"));
    let outcome = connector.test(&context).await;
    assert_eq!((outcome.successful, outcome.failed_at), (false, Some(Step::SignIn)), "{outcome:?}");
    context.credentials.password = Some(Secret::new("hunter2"));
    context.config.metadata.remove("ssl_root_certificate");
    let outcome = connector.test(&context).await;
    assert_eq!((outcome.successful, outcome.failed_at), (false, Some(Step::Tls)), "{outcome:?}");
    // The certificate is of another name.
    context.config.metadata.insert("ssl_root_certificate".into(), certificate.into());
    context.config.host = Some("127.0.0.1".into());
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Tls));
}

#[tokio::test]
async fn sign_in_by_scram() {
    let (broker, port) = brokers(1).await;
    fill(&broker, 9).await;
    let port = scram_before(port, "ann", "hunter2").await;
    broker.with_state(|cluster| cluster.brokers[0].port = port.into());
    let (mut context, _cache) = source(port, json!({"topic": "events", "sasl_mechanism": "SCRAM-SHA-512"}));
    context.credentials.username = Some("ann".into());
    context.credentials.password = Some(Secret::new("hunter2"));
    let events = table(&opened(&context).await, "topics", "events").await;
    assert_eq!(query(&events, "SELECT count(*) FROM t").await, [["9"]]);
    context.credentials.password = Some(Secret::new("wrong"));
    let outcome = Registry::new().connector(DataSourceType::Kafka).unwrap().test(&context).await;
    assert_eq!((outcome.successful, outcome.failed_at), (false, Some(Step::SignIn)), "{outcome:?}");
}

#[tokio::test]
async fn failures_say_what_is_wrong() {
    let (broker, port) = brokers(1).await;
    fill(&broker, 3).await;
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Kafka).unwrap();
    let (context, _cache) = source(port, json!({"topic": "gone"}));
    let outcome = connector.test(&context).await;
    assert_eq!(outcome.failed_at, Some(Step::Permission), "{outcome:?}");
    assert!(outcome.error_message.unwrap().contains("topic gone"));
    let (context, _cache) = source(1, json!({"topic": "events"}));
    assert_eq!(connector.test(&context).await.failed_at, Some(Step::Connection));
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Kafka).unwrap();
    let plain = json!({"username": "ann", "password": "x"});
    for (change, credentials, field) in [
        (json!({"host": "a,b"}), json!({}), "host"),
        (json!({"metadata": {"topic": "a b"}}), json!({}), "metadata.topic"),
        (json!({"metadata": {"topic": ".."}}), json!({}), "metadata.topic"),
        (json!({"metadata": {}}), json!({}), "metadata.topic"),
        (json!({"metadata": {"topic": "t", "window_messages": 0}}), json!({}), "metadata.window_messages"),
        (json!({"metadata": {"topic": "t", "window_minutes": "x"}}), json!({}), "metadata.window_minutes"),
        (json!({"metadata": {"topic": "t", "sslmode": "prefer"}}), json!({}), "metadata.sslmode"),
        (json!({"metadata": {"topic": "t", "ssl_root_certificate": "x"}}), json!({}), "metadata.ssl_root_certificate"),
        (json!({"metadata": {"topic": "t", "sasl_mechanism": "GSSAPI"}}), plain.clone(), "metadata.sasl_mechanism"),
        (json!({"metadata": {"topic": "t", "sasl_mechanism": "PLAIN"}}), json!({}), "credentials.username"),
        (json!({"metadata": {"topic": "t"}}), json!({"username": "ann"}), "credentials.password"),
        (json!({"metadata": {"topic": "t", "schema_registry": "ftp://r"}}), json!({}), "metadata.schema_registry"),
        (json!({"metadata": {"topic": "t", "schema_registry": "http://a:b@r"}}), json!({}), "metadata.schema_registry"),
        (json!({"metadata": {"topic": "t", "schema_registry_user": "u"}}), json!({}), "metadata.schema_registry"),
        (json!({"metadata": {"topic": "t", "avro_schema": "{}"}}), json!({}), "metadata.avro_schema"),
    ] {
        let mut config = json!({"kind": "kafka", "host": "h", "port": 9092, "metadata": {"topic": "t"}});
        config.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
        let credentials: Credentials = serde_json::from_value(credentials).unwrap();
        let wrong = connector.validate(&serde_json::from_value(config).unwrap(), &credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), [field], "{change}");
    }
    let config = json!({"kind": "kafka", "host": "::1", "port": 9092, "metadata": {"topic": "t", "sasl_mechanism": "SCRAM-SHA-512"}});
    let credentials: Credentials = serde_json::from_value(plain).unwrap();
    assert!(connector.validate(&serde_json::from_value(config).unwrap(), &credentials).is_empty());
}

/// The schema of the orders of `cluster.py`.
const ORDER: &str = include_str!("../../../../tests/interop/kafka/order.avsc");

/// The registry that wrote the orders of `cluster.py`, for whoever knows its password.
async fn schema_registry() -> SocketAddr {
    // The lines of an order are a schema of their own, which the order's refers to.
    let mut order: Value = serde_json::from_str(ORDER).unwrap();
    let mut line = order["fields"][5]["type"]["items"].take();
    order["fields"][5]["type"]["items"] = json!("Line");
    line["namespace"] = json!("shop");
    let by_id = async move |Path(id): Path<u32>, headers: HeaderMap| {
        // ann:s3cr3t
        if headers.get("authorization").is_none_or(|value| value != "Basic YW5uOnMzY3IzdA==") {
            return Err(StatusCode::UNAUTHORIZED);
        }
        if id != 7 {
            return Err(StatusCode::NOT_FOUND);
        }
        let references = json!([{"name": "shop.Line", "subject": "line", "version": 1}]);
        Ok(Json(json!({"schema": order.to_string(), "references": references})))
    };
    let by_subject = async move || Json(json!({"subject": "line", "version": 1, "id": 3, "schema": line.to_string()}));
    let router =
        Router::new().route("/schemas/ids/{id}", get(by_id)).route("/subjects/line/versions/1", get(by_subject));
    crate::support::http::serve(router).await
}

#[tokio::test]
async fn what_librdkafka_writes_is_read() {
    let Some(cluster) = Librdkafka::start() else { return };
    let guard = Arc::new(cluster.guard());
    let source = |port, metadata| {
        let (mut context, cache) = source(port, metadata);
        context.guard = guard.clone();
        (context, cache)
    };
    let (context, _cache) = source(cluster.port, json!({"topic": "events"}));
    let events = table(&opened(&context).await, "topics", "events").await;
    assert_eq!(
        query(&events, "SELECT codec, count(*), sum(n), min(_timestamp) FROM t GROUP BY codec ORDER BY codec").await,
        ["gzip", "lz4", "none", "snappy", "zstd"].map(|codec| [codec, "200", "19900", "1970-01-01T00:16:40Z"])
    );
    assert_eq!(
        query(&events, "SELECT _partition, _key, _headers[1]['value'], _headers[2]['value'], name FROM t WHERE n = 13 AND codec = 'lz4'").await,
        [["1", "k6", "t13", "NULL", "anna"]]
    );
    check(
        events.clone(),
        &["SELECT n FROM t WHERE _partition = 3 AND _offset >= 200", "SELECT n FROM t WHERE _offset IN (1, 2, 249)"],
        &["SELECT n FROM t WHERE codec = 'zstd'"],
    )
    .await;

    let registry = schema_registry().await;
    let settings =
        json!({"topic": "orders", "schema_registry": format!("http://{registry}"), "schema_registry_user": "ann"});
    let (mut context, _cache) = source(cluster.port, settings);
    context.credentials.api_key = Some(Secret::new("s3cr3t"));
    let orders = table(&opened(&context).await, "topics", "orders").await;
    let types = columns(&orders);
    for expected in [
        "id Int64",
        "customer Utf8",
        "total Decimal128(38, 10)",
        "placed Timestamp(µs, \"UTC\")",
        "side Utf8",
        "lines List(Struct(\"sku\": Utf8, \"n\": Int64))",
    ] {
        assert!(types.contains(&expected.to_owned()), "{expected} in {types:?}");
    }
    let wanted = "SELECT id, customer, total, placed, side, lines[1]['n'] FROM t WHERE id IN (5, 13) ORDER BY id";
    let found = [
        ["5", "NULL", "1.2500000000", "2026-01-01T00:00:05Z", "SELL", "5"],
        ["13", "c1", "3.2500000000", "2026-01-01T00:00:13Z", "SELL", "13"],
    ];
    assert_eq!(query(&orders, wanted).await, found);
    assert_eq!(query(&orders, "SELECT _key, _offset FROM t WHERE id IS NULL").await, [["gone", "20"]]);
    context.credentials.api_key = Some(Secret::new("wrong"));
    let failed = opened(&context).await.discover(None).await.unwrap_err();
    assert!(matches!(failed, ConnectorError::AuthenticationFailed { .. }), "{failed:?}");
    // The address of the registry is guarded as every other.
    context.config.metadata.insert("schema_registry".into(), "http://169.254.169.254/".into());
    let failed = opened(&context).await.discover(None).await.unwrap_err();
    assert!(matches!(failed, ConnectorError::Blocked), "{failed:?}");

    let (context, _cache) = source(cluster.port, json!({"topic": "bare", "avro_schema": ORDER}));
    let bare = table(&opened(&context).await, "topics", "bare").await;
    assert_eq!(query(&bare, wanted).await, found);

    let (context, _cache) = source(cluster.port, json!({"topic": "blobs"}));
    let blobs = table(&opened(&context).await, "topics", "blobs").await;
    assert_eq!(query(&blobs, "SELECT _key, _value FROM t").await, [["ff", "fffe"]]);
}
