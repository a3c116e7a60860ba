//! Athena, against `moto_server` (PyPI `moto`), which speaks its protocol and runs no SQL; and against a stand-in for
//! what moto does not do: results of several pages, statements that fail, statements that are stopped.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::differential::{rows, session_of, statements};
use crate::support::http::serve;
use crate::support::servers;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use datafusion::catalog::TableProvider;
use rivergen_connectors::{
    ConnectorError, Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext, TableKind,
};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};

fn source(endpoint: String, change: impl FnOnce(&mut SourceConfig)) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Athena);
    config.database_name = Some("shop".into());
    config.metadata = json!({"region": "eu-west-1", "endpoint": endpoint, "output_location": "s3://results/athena/"})
        .as_object()
        .unwrap()
        .clone();
    change(&mut config);
    let credentials = Credentials {
        username: Some("AKIATEST".into()),
        password: Some(Secret::new("s3cr3t")),
        ..Credentials::default()
    };
    crate::support::source("athena", config, credentials)
}

/// A row as Athena writes it.
fn row(values: &[Option<&str>]) -> Value {
    let datum = |value: &Option<&str>| value.map_or(json!({}), |value| json!({ "VarCharValue": value }));
    json!({"Data": values.iter().map(datum).collect::<Vec<_>>()})
}

/// A result with its header.
fn result(values: &[&[Option<&str>]]) -> Vec<Value> {
    let names: Vec<String> = (0..values[0].len()).map(|at| format!("c{at}")).collect();
    let header = row(&names.iter().map(|name| Some(name.as_str())).collect::<Vec<_>>());
    [header].into_iter().chain(values.iter().map(|values| row(values))).collect()
}

/// What the catalogue says of the table `orders` and of a view.
fn catalogue() -> Vec<Value> {
    let column = |table, kind, name, position, data_type| {
        [Some("shop"), Some(table), Some(kind), Some(name), Some(position), Some(data_type), Some("YES"), None, None]
    };
    let columns = [
        column("big_orders", "VIEW", "id", "1", "bigint"),
        column("orders", "BASE TABLE", "id", "1", "bigint"),
        column("orders", "BASE TABLE", "name", "2", "varchar"),
        column("orders", "BASE TABLE", "total", "3", "decimal(10,2)"),
        column("orders", "BASE TABLE", "rate", "4", "double"),
        column("orders", "BASE TABLE", "paid", "5", "boolean"),
        column("orders", "BASE TABLE", "day", "6", "date"),
        column("orders", "BASE TABLE", "placed", "7", "timestamp(3)"),
        column("orders", "BASE TABLE", "seen", "8", "timestamp(3) with time zone"),
        column("orders", "BASE TABLE", "raw", "9", "varbinary"),
        column("orders", "BASE TABLE", "lines", "10", "array(row(sku varchar, n integer))"),
    ];
    result(&columns.iter().map(|column| column.as_slice()).collect::<Vec<_>>())
}

async fn open_orders(source: &Arc<dyn OpenedSource>) -> Arc<dyn TableProvider> {
    let found = source.discover(None).await.unwrap();
    let orders = found[0].tables.iter().find(|table| table.name == "orders").unwrap();
    source.open_table("shop", "orders", Some(orders)).await.unwrap()
}

async fn ask(orders: &Arc<dyn TableProvider>, sql: &str) -> Result<Vec<Vec<String>>, String> {
    let ctx = session_of("orders", orders.clone());
    let batches = ctx.sql(sql).await.unwrap().collect().await;
    let batches =
        batches.map_err(|error| ConnectorError::within(&error).expect("the connector's error").to_string())?;
    Ok(rows(&batches, true))
}

#[tokio::test]
async fn tables_are_read_through_the_protocol() {
    let Some(moto) = servers::moto().await else { return };
    let endpoint = format!("http://127.0.0.1:{}", moto.port);
    let queue = async |rows: Vec<Value>| {
        let body = json!({"region": "eu-west-1", "results": [{"rows": rows, "column_info": []}]});
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let url = format!("{endpoint}/moto-api/static/athena/query-results");
        assert!(client.post(url).body(body.to_string()).send().await.unwrap().status().is_success());
    };
    let (context, _cache) = source(endpoint.clone(), |_| {});
    let outcome = Registry::new().connector(DataSourceType::Athena).unwrap().test(&context).await;
    assert_eq!(outcome.version.as_deref(), Some("Athena engine version 3"), "{outcome:?}");
    let source = crate::support::open(&context).await;
    assert!(!format!("{source:?}").contains("s3cr3t"));

    queue(catalogue()).await;
    let found = source.discover(None).await.unwrap();
    assert_eq!(found.len(), 1);
    let kinds: Vec<_> = found[0].tables.iter().map(|table| (table.name.as_str(), table.kind)).collect();
    assert_eq!(kinds, [("big_orders", TableKind::View), ("orders", TableKind::Table)]);
    queue(catalogue()).await;
    let orders = open_orders(&source).await;
    queue(result(&[
        &[
            Some("1"),
            Some("Jürgen \"J\""),
            Some("12.50"),
            Some("NaN"),
            Some("true"),
            Some("2024-02-29"),
            Some("2024-02-29 12:00:00.000"),
            Some("2024-02-29 12:00:00.500 UTC"),
            Some("00FF"),
            Some("[[\"a\",2]]"),
        ],
        &[Some("-9223372036854775808"), Some(""), None, Some("1.0E10"), None, None, None, None, None, None],
    ]))
    .await;
    let found = ask(&orders, "SELECT id, name, total, rate, paid, day, placed, seen, raw, lines FROM orders").await;
    let found = found.unwrap();
    assert_eq!(
        found[0],
        [
            "1",
            "Jürgen \"J\"",
            "12.50",
            "NaN",
            "true",
            "2024-02-29",
            "2024-02-29T12:00:00",
            "2024-02-29T12:00:00.500Z",
            "00ff",
            "[[\"a\",2]]"
        ]
    );
    assert_eq!(found[1][..3], ["-9223372036854775808", "", "NULL"]);
    queue(result(&[&[Some("1")], &[Some("1")]])).await;
    assert_eq!(ask(&orders, "SELECT 7 FROM orders WHERE id > 5").await.unwrap(), [["7"], ["7"]]);

    let (context, _cache) = self::source(endpoint, |config| drop(config.metadata.remove("output_location")));
    let error = crate::support::open(&context).await.probe().await.unwrap_err();
    assert!(error.to_string().starts_with("metadata.output_location is required"), "{error}");
}

#[tokio::test]
async fn statements_mean_what_the_query_means() {
    let server = Athena::start().await;
    let (context, _cache) = source(server.endpoint.clone(), |_| {});
    let source = crate::support::open(&context).await;
    let orders = open_orders(&source).await;
    let catalogue = server.sent.lock().unwrap().pop().unwrap();
    let asked = catalogue["QueryString"].as_str().unwrap();
    assert!(asked.contains("\"AwsDataCatalog\".information_schema.columns"), "{asked}");
    assert!(asked.contains("c.table_schema = 'shop' AND t.table_schema = 'shop'"), "{asked}");
    assert_eq!(catalogue["QueryExecutionContext"], json!({"Catalog": "AwsDataCatalog", "Database": "shop"}));
    assert_eq!(catalogue["ResultConfiguration"], json!({"OutputLocation": "s3://results/athena/"}));
    assert_eq!(catalogue["ClientRequestToken"].as_str().unwrap().len(), 32);
    let ctx = session_of("orders", orders);
    for (query, statement) in [
        (
            "SELECT name FROM orders WHERE id > 5 AND name = 'it''s' AND total <= 3.00 LIMIT 3",
            "SELECT t1.\"name\" AS c0 FROM \"AwsDataCatalog\".\"shop\".\"orders\" AS t1 WHERE",
        ),
        ("SELECT paid, count(*) FROM orders WHERE day >= '2024-01-01' GROUP BY paid", "count(*)"),
        ("SELECT id FROM orders ORDER BY id DESC LIMIT 2", "ORDER BY t1.\"id\" DESC"),
    ] {
        let plan = ctx.sql(query).await.unwrap().create_physical_plan().await.unwrap();
        let sent = statements(&plan);
        assert!(sent.len() == 1 && sent[0].to_lowercase().contains(&statement.to_lowercase()), "{query}: {sent:?}");
    }
    // What Athena would answer otherwise is not left to it.
    let plan = ctx.sql("SELECT id FROM orders WHERE upper(name) = 'A' AND raw = x'00'").await.unwrap();
    let sent = statements(&plan.create_physical_plan().await.unwrap());
    assert!(sent.iter().all(|statement| !statement.contains("WHERE")), "{sent:?}");
}

#[tokio::test]
async fn results_come_page_by_page() {
    let server = Athena::start().await;
    let (context, _cache) = source(server.endpoint.clone(), |_| {});
    let orders = open_orders(&crate::support::open(&context).await).await;
    let ids: Vec<String> = (0..2_500).map(|id| id.to_string()).collect();
    let values: Vec<[Option<&str>; 1]> = ids.iter().map(|id| [Some(id.as_str())]).collect();
    let values: Vec<&[Option<&str>]> = values.iter().map(|row| row.as_slice()).collect();
    server.answer("\"id\" AS c0", Answer::Rows(result(&values)));
    let found = ask(&orders, "SELECT id FROM orders").await.unwrap();
    assert_eq!(found.len(), 2_500);
    assert_eq!((found[999][0].as_str(), found[2_499][0].as_str()), ("999", "2499"));
    // A result that is none of a SELECT of ours is not read as one.
    server.answer("\"id\" AS c0", Answer::Rows(vec![row(&[Some("1")])]));
    assert!(ask(&orders, "SELECT id FROM orders").await.is_err());
}

#[tokio::test]
async fn failures_are_told_without_athenas_words() {
    let server = Athena::start().await;
    let (context, _cache) = source(server.endpoint.clone(), |config| config.query_timeout = 1);
    let orders = open_orders(&crate::support::open(&context).await).await;
    server.answer("\"id\" AS c0", Answer::Failed("TABLE_NOT_FOUND: line 1:8: secret of the lake"));
    let error = ask(&orders, "SELECT id FROM orders").await.unwrap_err();
    assert!(error.contains("does not exist") && !error.contains("secret"), "{error}");
    server.answer("\"id\" AS c0", Answer::Failed("GENERIC_INTERNAL_ERROR: secret of the lake"));
    let error = ask(&orders, "SELECT id FROM orders").await.unwrap_err();
    assert!(error.contains("could not answer") && !error.contains("secret"), "{error}");
    assert!(server.stopped.lock().unwrap().is_empty());

    // One that takes too long is stopped, and so is one that nobody waits for.
    server.answer("\"id\" AS c0", Answer::Never);
    let error = ask(&orders, "SELECT id FROM orders").await.unwrap_err();
    assert!(error.contains("did not answer within 1 s"), "{error}");
    server.stops(1).await;
    let waiting = tokio::time::timeout(Duration::from_millis(200), ask(&orders, "SELECT id FROM orders"));
    assert!(waiting.await.is_err());
    server.stops(2).await;

    let (context, _cache) = source(server.endpoint.clone(), |config| {
        config.metadata.insert("workgroup".into(), json!("denied"));
    });
    let outcome = Registry::new().connector(DataSourceType::Athena).unwrap().test(&context).await;
    let message = outcome.error_message.unwrap();
    assert!(message.contains("credentials") && !message.contains("secret"), "{message}");
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    for (name, value, field) in [
        ("region", "eu west", "metadata.region"),
        ("endpoint", "http://u:p@h/", "metadata.endpoint"),
        ("workgroup", "a/b", "metadata.workgroup"),
        ("output_location", "/tmp/results", "metadata.output_location"),
        ("output_location", "s3://", "metadata.output_location"),
    ] {
        let (context, _cache) = source("http://127.0.0.1:1/".into(), |config| {
            config.metadata.insert(name.into(), json!(value));
        });
        let connector = registry.connector(DataSourceType::Athena).unwrap();
        let wrong = connector.validate(&context.config, &context.credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), [field], "{value}");
    }
}

/// How a statement ends.
#[derive(Clone)]
enum Answer {
    Rows(Vec<Value>),
    Failed(&'static str),
    Never,
}

/// A stand-in made by Amazon's API reference.
#[derive(Clone, Default)]
struct Athena {
    endpoint: String,
    /// By a part of the statement.
    answers: Arc<Mutex<HashMap<&'static str, Answer>>>,
    sent: Arc<Mutex<Vec<Value>>>,
    stopped: Arc<Mutex<Vec<String>>>,
}

impl Athena {
    async fn start() -> Self {
        let server = Self::default();
        server.answer("information_schema", Answer::Rows(catalogue()));
        let address = serve(Router::new().route("/", post(call)).with_state(server.clone())).await;
        Self { endpoint: format!("http://{address}/"), ..server }
    }

    fn answer(&self, part: &'static str, answer: Answer) {
        self.answers.lock().unwrap().insert(part, answer);
    }

    async fn stops(&self, count: usize) {
        for _ in 0..100 {
            if self.stopped.lock().unwrap().len() == count {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        panic!("{} statements were stopped, not {count}", self.stopped.lock().unwrap().len());
    }

    /// The answer to the statement of this number, which is its id.
    fn of(&self, id: &str) -> Answer {
        let sent = self.sent.lock().unwrap();
        let sql = sent[id.parse::<usize>().unwrap()]["QueryString"].as_str().unwrap().to_owned();
        let answers = self.answers.lock().unwrap();
        let found = answers.iter().find(|(part, _)| sql.contains(**part));
        found.map_or(Answer::Rows(Vec::new()), |(_, answer)| answer.clone())
    }
}

async fn call(State(server): State<Athena>, headers: HeaderMap, body: String) -> Response {
    let signed = headers["authorization"].to_str().unwrap();
    assert!(signed.starts_with("AWS4-HMAC-SHA256 Credential=AKIATEST/") && signed.contains("/eu-west-1/athena/"));
    let target = headers["x-amz-target"].to_str().unwrap().strip_prefix("AmazonAthena.").unwrap().to_owned();
    let input: Value = serde_json::from_str(&body).unwrap();
    if input["WorkGroup"] == "denied" {
        let denied = json!({"__type": "AccessDeniedException", "Message": "secret of the account"});
        return (StatusCode::BAD_REQUEST, Json(denied)).into_response();
    }
    let id = input["QueryExecutionId"].as_str().unwrap_or_default();
    let answer = match target.as_str() {
        "StartQueryExecution" => {
            let mut sent = server.sent.lock().unwrap();
            sent.push(input);
            json!({"QueryExecutionId": (sent.len() - 1).to_string()})
        }
        "GetQueryExecution" => {
            let status = match server.of(id) {
                Answer::Rows(_) => json!({"State": "SUCCEEDED"}),
                Answer::Failed(reason) => json!({"State": "FAILED", "StateChangeReason": reason}),
                Answer::Never => json!({"State": "RUNNING"}),
            };
            json!({"QueryExecution": {"QueryExecutionId": id, "Status": status}})
        }
        "GetQueryResults" => {
            let Answer::Rows(rows) = server.of(id) else { panic!("a statement without a result is read") };
            let start: usize = input["NextToken"].as_str().map_or(0, |token| token.parse().unwrap());
            let size = input["MaxResults"].as_u64().unwrap() as usize;
            let mut page = json!({"ResultSet": {"Rows": rows.iter().skip(start).take(size).collect::<Vec<_>>()}});
            if rows.len() > start + size {
                page["NextToken"] = json!((start + size).to_string());
            }
            page
        }
        "StopQueryExecution" => {
            server.stopped.lock().unwrap().push(id.to_owned());
            json!({})
        }
        other => panic!("{other}"),
    };
    Json(answer).into_response()
}
