//! The Redis connector, against a server of the test's own (`redis-server`).

use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::documents::{check, columns, discover, failure, query, table};
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};

const PASSWORD: &str = "t0p/secret";

struct Server {
    port: u16,
    child: Child,
}

impl Server {
    /// `None` where this machine has no Redis and may lack it.
    fn start() -> Option<Self> {
        let port = crate::support::port::for_a_program();
        let child = Command::new("redis-server")
            .args(["--port", &port.to_string(), "--bind", "127.0.0.1", "--save", "", "--requirepass", PASSWORD])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        let Ok(child) = child else {
            crate::support::missing::passed_over("redis-server is not installed");
            return None;
        };
        let until = Instant::now() + Duration::from_secs(20);
        while std::net::TcpStream::connect(("127.0.0.1", port)).is_err() {
            assert!(Instant::now() < until, "Redis did not start within 20 s");
            std::thread::sleep(Duration::from_millis(20));
        }
        Some(Self { port, child })
    }

    async fn fill(&self, commands: &[&[&str]]) {
        let client = redis::Client::open(format!("redis://:t0p%2Fsecret@127.0.0.1:{}/0", self.port)).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        for command in commands {
            redis::cmd(command[0]).arg(&command[1..]).exec_async(&mut connection).await.unwrap();
        }
    }

    fn source(&self, metadata: Value) -> (SourceContext, tempfile::TempDir) {
        let mut config = SourceConfig::new(DataSourceType::Redis);
        config.host = Some("127.0.0.1".into());
        config.port = Some(self.port);
        config.metadata = metadata.as_object().unwrap().clone();
        config.metadata.entry("sslmode").or_insert_with(|| "disable".into());
        let credentials = Credentials { password: Some(Secret::new(PASSWORD)), ..Credentials::default() };
        crate::support::source("redis", config, credentials)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

const DATA: &[&[&str]] = &[
    &["HSET", "user:1", "name", "Anna", "age", "30", "score", "1.5", "code", "007"],
    &["HSET", "user:2", "name", "Bob", "age", "41", "score", "2"],
    &["HSET", "user:3", "name", "Cy \" ü", "code", "8"],
    &["SET", "user:note", "not a hash"],
    &["SET", "order:1", r#"{"id": 1, "lines": [{"sku": "a", "n": 2}], "at": "2024-01-01"}"#],
    &["SET", "order:2", r#"{"id": 2, "lines": [], "paid": true}"#],
    &["SET", "page:home", "<html>"],
    &["SET", "page:about", "[1]"],
    &["RPUSH", "queue:a", "x", "y"],
    &["SADD", "tags:a", "red"],
    &["ZADD", "board:a", "1.5", "ann", "3", "bob"],
    &["SET", "lonely", "1"],
    &["XADD", "stream:a", "*", "k", "v"],
];

#[tokio::test]
async fn keys_that_begin_alike_are_a_table() {
    let Some(server) = Server::start() else { return };
    server.fill(DATA).await;
    let (context, _cache) = server.source(json!({}));
    let source = crate::support::open(&context).await;
    assert!(source.probe().await.unwrap().unwrap().starts_with("Redis "));
    let names: Vec<_> = discover(&source, "db0").await.into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["board", "keys", "order", "page", "queue", "tags", "user"]);

    let users = table(&source, "db0", "user").await;
    let mut types = columns(&users);
    types.sort();
    assert_eq!(types, ["_key Utf8", "age Int64", "code Utf8", "name Utf8", "score Float64"]);
    let found = query(&users, "SELECT _key, name, age, score, code FROM t ORDER BY _key").await;
    assert_eq!(found[0], ["user:1", "Anna", "30", "1.50000000000e0", "007"]);
    assert_eq!(found[2], ["user:3", "Cy \" ü", "NULL", "NULL", "8"]);
    check(
        users,
        &[
            "SELECT name FROM t WHERE _key = 'user:2'",
            "SELECT name FROM t WHERE _key = 'user:note'",
            "SELECT name FROM t WHERE _key = 'order:1'",
            "SELECT count(*) FROM t WHERE _key IN ('user:1', 'user:3', 'user:9', 'user:1')",
            "SELECT _key FROM t WHERE _key LIKE 'user:1%'",
            "SELECT _key FROM t WHERE _key LIKE 'us%' AND age > 30",
            "SELECT _key FROM t WHERE _key LIKE 'us%' AND _key = 'user:1'",
        ],
        &[
            "SELECT count(*) FROM t",
            "SELECT code FROM t WHERE age > 30 OR code = '007'",
            "SELECT _key FROM t WHERE name IS NULL OR age IS NULL",
            "SELECT _key FROM t WHERE _key > 'user:1'",
            "SELECT _key FROM t WHERE _key = 'user:1' OR age = 41",
        ],
    )
    .await;

    let orders = table(&source, "db0", "order").await;
    let found = query(&orders, "SELECT id, lines[1]['sku'], paid, at FROM t ORDER BY id").await;
    assert_eq!(found, [["1", "a", "NULL", "2024-01-01"], ["2", "NULL", "true", "NULL"]]);
    let pages = table(&source, "db0", "page").await;
    assert_eq!(query(&pages, "SELECT value FROM t ORDER BY _key").await, [["[1]"], ["<html>"]]);
    let queue = table(&source, "db0", "queue").await;
    assert_eq!(query(&queue, "SELECT members FROM t").await, [["[x, y]"]]);
    let board = table(&source, "db0", "board").await;
    let found = query(&board, "SELECT members[2]['member'], members[1]['score'] FROM t").await;
    assert_eq!(found, [["bob", "1.50000000000e0"]]);
    let keys = table(&source, "db0", "keys").await;
    let found = query(&keys, "SELECT type, count(*) FROM t GROUP BY type ORDER BY type").await;
    assert_eq!(found, [["hash", "3"], ["list", "1"], ["set", "1"], ["stream", "1"], ["string", "6"], ["zset", "1"]]);
    assert!(source.open_table("db0", "gone", None).await.is_err());
    assert!(source.open_table("db1", "user", None).await.is_err());
}

#[tokio::test]
async fn named_tables_are_what_the_owner_says() {
    let Some(server) = Server::start() else { return };
    server.fill(DATA).await;
    let tables = json!([
        {"name": "people", "pattern": "user:[12]", "kind": "hash"},
        {"name": "raw", "pattern": "order:*", "kind": "string"},
        {"name": "single", "pattern": "lonely"},
        {"name": "objects", "pattern": "*", "kind": "json"}
    ]);
    let (context, _cache) = server.source(json!({ "tables": tables }));
    let source = crate::support::open(&context).await;
    let people = table(&source, "db0", "people").await;
    assert_eq!(query(&people, "SELECT count(*) FROM t").await, [["2"]]);
    check(people, &["SELECT name FROM t WHERE _key = 'user:1'", "SELECT name FROM t WHERE _key = 'user:3'"], &[]).await;
    let raw = table(&source, "db0", "raw").await;
    assert_eq!(columns(&raw), ["_key Utf8", "value Utf8"]);
    let single = table(&source, "db0", "single").await;
    assert_eq!(query(&single, "SELECT value FROM t").await, [["1"]]);
    // Not every string is an object: that is an error, not a row less.
    assert!(source.open_table("db0", "objects", None).await.is_err());
}

#[tokio::test]
async fn many_keys_are_read_once_each_and_a_value_that_does_not_fit_is_told() {
    let Some(server) = Server::start() else { return };
    let keys: Vec<String> = (0..5_000).map(|n| format!("item:{n}")).collect();
    let numbers: Vec<String> = (0..5_000).map(|n| n.to_string()).collect();
    let commands: Vec<[&str; 4]> =
        keys.iter().zip(&numbers).map(|(key, n)| ["HSET", key.as_str(), "n", n.as_str()]).collect();
    server.fill(&commands.iter().map(|command| &command[..]).collect::<Vec<_>>()).await;
    let (context, _cache) = server.source(json!({}));
    let source = crate::support::open(&context).await;
    let items = table(&source, "db0", "item").await;
    let found = query(&items, "SELECT count(*), count(DISTINCT _key), sum(n) FROM t").await;
    assert_eq!(found, [["5000", "5000", "12497500"]]);
    assert_eq!(query(&items, "SELECT _key FROM t LIMIT 7").await.len(), 7);
    server.fill(&[&["HSET", "item:77", "n", "seventy-seven"]]).await;
    let error = failure(&items, "SELECT sum(n) FROM t").await;
    assert!(error.contains("column n") && !error.contains("seventy"), "{error}");
}

#[tokio::test]
async fn failures_are_told_apart() {
    let connector = Registry::new().connector(DataSourceType::Redis).unwrap().clone();
    let mut config = SourceConfig::new(DataSourceType::Redis);
    config.host = Some("127.0.0.1".into());
    config.port = Some(1);
    config.metadata.insert("sslmode".into(), "disable".into());
    let (mut closed, _cache) = crate::support::source("redis", config, Credentials::default());
    assert!(connector.test(&closed).await.error_message.unwrap().contains("cannot be reached"));
    closed.guard = crate::support::outbound(false);
    assert!(connector.test(&closed).await.error_message.unwrap().contains("not allowed"));
    let Some(server) = Server::start() else { return };
    let (mut context, _cache) = server.source(json!({}));
    assert!(!format!("{context:?}").contains(PASSWORD));
    assert!(connector.test(&context).await.successful);
    context.credentials.password = Some(Secret::new("wrong"));
    assert!(connector.test(&context).await.error_message.unwrap().contains("credentials"));
    context.credentials.password = None;
    assert!(connector.test(&context).await.error_message.unwrap().contains("credentials"));
    let string = format!("redis://:t0p%2Fsecret@127.0.0.1:{}", server.port);
    context.credentials.connection_string = Some(Secret::new(string));
    assert!(connector.test(&context).await.successful);
}
