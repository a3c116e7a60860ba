//! The GraphQL connector, against `graphql-yoga` in Node.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::support::documents::{check, columns, discover, query, table};
use crate::support::http::serve;
use axum::routing::post;
use axum::{Json, Router};
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};

struct Yoga {
    address: String,
    child: Child,
}

impl Yoga {
    /// `None` where this machine has no Node or no yoga and may lack them.
    fn start() -> Option<Self> {
        let home = std::env::var_os("HOME").map(PathBuf::from).unwrap_or_default();
        let modules = home.join(".cache/rivergen/graphql-yoga");
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/interop/graphql-yoga/server.mjs");
        let started = modules.join("node_modules/graphql-yoga").exists().then(|| {
            Command::new("node").arg(script).arg(&modules).stdout(Stdio::piped()).stderr(Stdio::null()).spawn()
        });
        let Some(Ok(mut child)) = started else {
            crate::support::missing::passed_over("graphql-yoga is not installed");
            return None;
        };
        let mut address = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut address).unwrap();
        Some(Self { address: address.trim().to_owned(), child })
    }
}

impl Drop for Yoga {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn source(address: &str, metadata: Value, token: &str) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Graphql);
    config.metadata = metadata.as_object().unwrap().clone();
    let credentials = Credentials {
        connection_string: Some(Secret::new(address)),
        oauth_token: Some(Secret::new(token)),
        ..Credentials::default()
    };
    crate::support::source("graphql", config, credentials)
}

#[tokio::test]
async fn root_fields_are_tables() {
    let Some(yoga) = Yoga::start() else { return };
    let (context, _cache) = source(&yoga.address, json!({"page_size": 10, "depth": 2}), "t0ken");
    let source = crate::support::open(&context).await;
    assert!(source.probe().await.is_ok());
    let tables = discover(&source, "query").await;
    let names: Vec<_> = tables.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["all", "failing", "people", "slices"]);
    assert_eq!(tables[2].comment.as_deref(), Some("Everybody"));
    for name in ["all", "people", "slices"] {
        let people = table(&source, "query", name).await;
        let types = columns(&people);
        assert_eq!(
            types[..9],
            [
                "id Utf8",
                "name Utf8",
                "age Int64",
                "score Float64",
                "active Boolean",
                "role Utf8",
                "tags List(Utf8)",
                "born Timestamp(µs, \"UTC\")",
                "extra Utf8"
            ]
        );
        assert!(types[9].starts_with("address Struct(") && types.len() == 10, "{types:?}");
        let found = query(&people, "SELECT count(*), count(DISTINCT id), sum(age), min(born) FROM t").await;
        assert_eq!(found, [["25", "25", "650", "2001-02-01T10:00:00Z"]], "{name}");
        let found = query(&people, "SELECT name, extra, address['geo']['lat'], tags FROM t WHERE id = '3'").await;
        assert_eq!(found, [["person 3", r#"{"at":2}"#, "1.50000000000e0", "[a, t2]"]]);
        assert_eq!(query(&people, "SELECT count(*) FROM t").await, [["25"]]);
        assert_eq!(query(&people, "SELECT id FROM t LIMIT 12").await.len(), 12);
        check(
            people,
            &[],
            &["SELECT id FROM t WHERE age > 30 AND role = 'USER'", "SELECT role, count(*) FROM t GROUP BY role"],
        )
        .await;
    }
    let failing = table(&source, "query", "failing").await;
    let error = crate::support::documents::failure(&failing, "SELECT id FROM t").await;
    assert!(error.contains("could not answer") && !error.contains("secret"), "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_told() {
    let Some(yoga) = Yoga::start() else { return };
    let (context, _cache) = source(&yoga.address, json!({}), "wrong");
    let outcome = Registry::new().connector(DataSourceType::Graphql).unwrap().test(&context).await;
    assert!(outcome.error_message.unwrap().contains("credentials"));
}

#[tokio::test]
async fn answers_with_errors_are_none() {
    let answer = |answer: Value| post(move || async move { Json(answer) });
    let router = Router::new()
        .route("/closed", answer(json!({"errors": [{"message": "secret", "extensions": {"code": "UNAUTHENTICATED"}}]})))
        .route("/partial", answer(json!({"data": {"__schema": {}}, "errors": [{"message": "secret"}]})))
        .route("/silent", answer(json!({"data": {"__schema": null}})))
        .route("/text", post(|| async { "secret" }));
    let address = serve(router).await;
    for (path, told) in [
        ("closed", "credentials"),
        ("partial", "could not answer"),
        ("silent", "introspection"),
        ("text", "could not answer"),
    ] {
        let (context, _cache) = source(&format!("http://{address}/{path}"), json!({}), "t");
        let error = crate::support::try_open(&context).await.unwrap_err().to_string();
        assert!(error.contains(told) && !error.contains("secret"), "{path}: {error}");
    }
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Graphql).unwrap();
    for (address, metadata, field) in [
        ("graphql", json!({}), "connection_string"),
        ("https://h/graphql", json!({"depth": 9}), "metadata.depth"),
        ("https://h/graphql", json!({"page_size": "many"}), "metadata.page_size"),
    ] {
        let (context, _cache) = source(address, metadata, "t");
        let wrong = connector.validate(&context.config, &context.credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), [field]);
    }
    let (context, _cache) = source("https://h/graphql", json!({"depth": 0}), "t");
    assert!(connector.validate(&context.config, &context.credentials).is_empty());
}
