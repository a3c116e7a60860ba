//! Elasticsearch and OpenSearch, against a server of the test's own that answers as their documents say.
//!
//! No such server is in a package registry. The stand-in keeps what matters for filters: it searches in what would be
//! indexed (texts longer than `ignore_above` are not, a `null_value` is), and answers the documents as they were put.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use crate::support::documents::{check, columns, discover, failure, query, table};
use crate::support::http::serve;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};

/// The hits that are left of each, and how many a page has.
type Scrolls = HashMap<String, (Vec<Value>, usize)>;

#[derive(Clone, Default)]
struct Server {
    indices: Arc<HashMap<&'static str, Index>>,
    scrolls: Arc<Mutex<Scrolls>>,
    asked: Arc<Mutex<Vec<Value>>>,
}

struct Index {
    properties: Value,
    documents: Vec<Value>,
}

fn mapping() -> Value {
    json!({
        "name": {"type": "text", "fields": {"raw": {"type": "keyword", "ignore_above": 8}}},
        "city": {"type": "keyword"}, "code": {"type": "keyword", "normalizer": "lowercase"},
        "age": {"type": "integer"}, "score": {"type": "double"}, "small": {"type": "float"},
        "active": {"type": "boolean"}, "born": {"type": "date"}, "tags": {"type": "keyword"},
        "level": {"type": "keyword", "null_value": "none"}, "address": {"properties": {"street": {"type": "text"}}},
        "hidden": {"type": "keyword", "index": false}, "odd": {"type": "date", "format": "dd/MM/yyyy"}
    })
}

fn documents() -> Vec<Value> {
    let document = |n: usize| {
        let mut document = json!({
            "name": if n.is_multiple_of(7) { "a name that is long".to_owned() } else { format!("n{n}") },
            "city": (["Rome", "rome", "Oslo", "Jürgen"][n % 4]), "code": if n.is_multiple_of(2) { "AB" } else { "ab" },
            "age": if n.is_multiple_of(3) { json!(n.to_string()) } else { json!(n) }, "score": n as f64 / 8.0, "small": 0.1,
            "active": if n.is_multiple_of(5) { json!("true") } else { json!(n.is_multiple_of(2)) },
            "born": match n % 3 { 0 => json!("2001-02-03"), 1 => json!(n * 86_400_000), _ => json!("2001-02-03T10:00:00.5Z") },
            "tags": if n.is_multiple_of(2) { json!(["a", "b"]) } else { json!("a") },
            "address": {"street": format!("{n} Main St")}, "hidden": "h", "odd": "31/12/2001", "unmapped": n
        });
        if n % 4 == 1 {
            document["level"] = Value::Null;
        } else {
            document["level"] = json!("high");
        }
        if n.is_multiple_of(6) {
            document.as_object_mut().unwrap().remove("city");
        }
        document
    };
    (1..=60).map(document).collect()
}

/// What of a document is indexed under a field.
fn indexed(index: &Index, document: &Value, field: &str) -> Vec<Value> {
    let (top, sub) = field.split_once('.').unwrap_or((field, ""));
    let mut mapping = &index.properties[top];
    if !sub.is_empty() {
        mapping = &mapping["fields"][sub];
    }
    let values = match &document[top] {
        Value::Null => mapping.get("null_value").cloned().into_iter().collect(),
        Value::Array(values) => values.clone(),
        value => vec![value.clone()],
    };
    let long = |value: &Value| match mapping["ignore_above"].as_u64() {
        Some(most) => value.as_str().is_some_and(|text| text.chars().count() as u64 > most),
        None => false,
    };
    let value = |value: Value| match (mapping["type"].as_str().unwrap_or(""), value) {
        ("integer", Value::String(text)) => json!(text.parse::<i64>().unwrap()),
        ("boolean", Value::String(text)) => json!(text == "true"),
        ("date", Value::String(text)) if text.len() == 10 => json!(981_158_400_000_i64),
        ("date", Value::String(_)) => json!(981_194_400_500_i64),
        ("keyword", Value::String(text)) if mapping.get("normalizer").is_some() => json!(text.to_lowercase()),
        (_, value) => value,
    };
    values.into_iter().filter(|value| !long(value)).map(value).collect()
}

fn finds(index: &Index, document: &Value, number: usize, query: &Value) -> bool {
    let (kind, body) = query.as_object().unwrap().iter().next().unwrap();
    let (field, argument) =
        body.as_object().unwrap().iter().next().map(|(f, a)| (f.as_str(), a)).unwrap_or(("", &Value::Null));
    let order = |a: &Value, b: &Value| match (a, b) {
        (Value::String(a), Value::String(b)) => a.as_bytes().partial_cmp(b.as_bytes()),
        (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
    };
    match kind.as_str() {
        "bool" => body.as_object().unwrap().iter().all(|(clause, parts)| {
            let parts = parts.as_array().cloned().unwrap_or_default();
            let mut found = parts.iter().map(|part| finds(index, document, number, part));
            match clause.as_str() {
                "filter" => found.all(|found| found),
                "should" => found.any(|found| found),
                "must_not" => !found.any(|found| found),
                "minimum_should_match" => true,
                other => panic!("{other}"),
            }
        }),
        "ids" => argument.as_array().unwrap().contains(&json!(number.to_string())),
        "exists" => !indexed(index, document, argument.as_str().unwrap()).is_empty(),
        "term" => {
            let mut wanted = argument["value"].clone();
            if index.properties[field].get("normalizer").is_some() {
                wanted = json!(wanted.as_str().unwrap().to_lowercase());
            }
            indexed(index, document, field).contains(&wanted)
        }
        "prefix" => {
            let prefix = argument["value"].as_str().unwrap();
            indexed(index, document, field).iter().any(|value| value.as_str().unwrap().starts_with(prefix))
        }
        "range" => indexed(index, document, field).iter().any(|value| {
            argument.as_object().unwrap().iter().all(|(bound, limit)| match (bound.as_str(), order(value, limit)) {
                ("format", _) => true,
                ("lt", order) => order == Some(std::cmp::Ordering::Less),
                ("lte", order) => order.is_some_and(|order| order.is_le()),
                ("gt", order) => order == Some(std::cmp::Ordering::Greater),
                ("gte", order) => order.is_some_and(|order| order.is_ge()),
                (other, _) => panic!("{other}"),
            })
        }),
        other => panic!("{other}"),
    }
}

async fn search(
    State(server): State<Server>,
    Path(name): Path<String>,
    Query(parameters): Query<HashMap<String, String>>,
    Json(body): Json<Value>,
) -> Response {
    assert_eq!(parameters["allow_partial_search_results"], "false");
    server.asked.lock().unwrap().push(body.clone());
    let Some(index) = server.indices.get(name.as_str()) else { return StatusCode::NOT_FOUND.into_response() };
    let all = json!({"bool": {}});
    let found = index
        .documents
        .iter()
        .zip(1..)
        .filter(|(document, number)| finds(index, document, *number, body.get("query").unwrap_or(&all)));
    let hits = found.map(|(document, number)| {
        let mut source = document.clone();
        match &body["_source"] {
            Value::Bool(false) => source = Value::Null,
            Value::Array(fields) => source.as_object_mut().unwrap().retain(|name, _| fields.contains(&json!(name))),
            _ => {}
        }
        let mut hit = json!({"_index": name, "_id": number.to_string()});
        if !source.is_null() {
            hit["_source"] = source;
        }
        hit
    });
    let hits: Vec<Value> = hits.collect();
    let size = body["size"].as_u64().unwrap() as usize;
    let failed = u64::from(name == "broken");
    let mut answer = json!({"timed_out": false, "_shards": {"total": 1, "failed": failed}, "hits": {"hits": hits.iter().take(size).collect::<Vec<_>>()}});
    if body["track_total_hits"] == true {
        answer["hits"]["total"] = json!({"value": hits.len(), "relation": "eq"});
    }
    // What stands before this one takes the names of views away, as some proxies do.
    if parameters.contains_key("scroll") && name != "viewless" {
        let id = format!("scroll {}", server.asked.lock().unwrap().len());
        answer["_scroll_id"] = json!(id);
        server.scrolls.lock().unwrap().insert(id, (hits.into_iter().skip(size).collect(), size));
    }
    Json(answer).into_response()
}

async fn scroll(State(server): State<Server>, Json(body): Json<Value>) -> Json<Value> {
    let id = body["scroll_id"].as_str().unwrap();
    let mut scrolls = server.scrolls.lock().unwrap();
    let (rest, size) = scrolls.get_mut(id).unwrap();
    let page: Vec<Value> = rest.drain(..rest.len().min(*size)).collect();
    Json(json!({"_scroll_id": id, "timed_out": false, "_shards": {"total": 1, "failed": 0}, "hits": {"hits": page}}))
}

async fn forget(State(server): State<Server>, Json(body): Json<Value>) -> Json<Value> {
    server.scrolls.lock().unwrap().remove(body["scroll_id"][0].as_str().unwrap());
    Json(json!({"succeeded": true, "num_freed": 1}))
}

async fn start(authorization: &'static str) -> (std::net::SocketAddr, Server) {
    let index = |documents| Index { properties: mapping(), documents };
    let mut indices = HashMap::from(["people", "broken", "viewless"].map(|name| (name, index(documents()))));
    indices.insert("empty", index(Vec::new()));
    let server = Server { indices: Arc::new(indices), ..Server::default() };
    let resolve = || async {
        Json(json!({"indices": [
            {"name": "people", "attributes": ["open"]}, {"name": "broken", "attributes": ["open"]}, {"name": "empty", "attributes": ["open"]},
            {"name": "old", "attributes": ["closed"]}, {"name": ".internal", "attributes": ["hidden", "open"]}
        ], "aliases": [{"name": "everybody", "indices": ["people"]}], "data_streams": []}))
    };
    let mappings = |State(server): State<Server>, Path(name): Path<String>| async move {
        match server.indices.get(name.as_str()) {
            Some(index) => Json(json!({name: {"mappings": {"properties": index.properties}}})).into_response(),
            None => (StatusCode::NOT_FOUND, "secret of the server").into_response(),
        }
    };
    let guard = move |headers: HeaderMap, request: axum::extract::Request, next: axum::middleware::Next| async move {
        match headers.get("authorization").is_some_and(|value| value == authorization) {
            true => next.run(request).await,
            false => StatusCode::UNAUTHORIZED.into_response(),
        }
    };
    let version = || async { Json(json!({"version": {"number": "8.15.0"}})) };
    let router = Router::new()
        .route("/", get(version))
        .route("/_resolve/index/{pattern}", get(resolve))
        .route("/{index}/_mapping", get(mappings))
        .route("/{index}/_search", post(search))
        .route("/_search/scroll", post(scroll).delete(forget))
        .layer(axum::middleware::from_fn(guard))
        .with_state(server.clone());
    (serve(router).await, server)
}

fn source(
    kind: DataSourceType,
    address: std::net::SocketAddr,
    credentials: Credentials,
) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(kind);
    config.host = Some(address.ip().to_string());
    config.port = Some(address.port());
    config.metadata = json!({"sslmode": "disable", "page_size": 7}).as_object().unwrap().clone();
    crate::support::source("search", config, credentials)
}

fn key() -> Credentials {
    Credentials { api_key: Some(Secret::new("k3y")), ..Credentials::default() }
}

#[tokio::test]
async fn indices_are_tables_and_filters_mean_the_same() {
    let (address, server) = start("ApiKey k3y").await;
    let (context, _cache) = source(DataSourceType::Elasticsearch, address, key());
    let source = crate::support::open(&context).await;
    assert_eq!(source.probe().await.unwrap().as_deref(), Some("Elasticsearch 8.15.0"));
    let tables = discover(&source, "indices").await;
    // The one that answers in part is left out, and the alias leads nowhere in this server.
    assert_eq!(tables.iter().map(|table| table.name.as_str()).collect::<Vec<_>>(), ["empty", "people"]);
    assert_eq!(tables[1].row_count, Some(60));
    let people = table(&source, "indices", "people").await;
    let types = columns(&people);
    for expected in [
        "_id Utf8",
        "name Utf8",
        "age Int64",
        "score Float64",
        "active Boolean",
        "born Timestamp(µs, \"UTC\")",
        "tags List(Utf8)",
        "level Utf8",
        "odd Utf8",
        "unmapped Int64",
    ] {
        assert!(types.contains(&expected.to_owned()), "{expected} in {types:?}");
    }
    let found = query(&people, "SELECT count(*), sum(age), count(DISTINCT _id) FROM t").await;
    assert_eq!(found, [["60", "1830", "60"]]);
    let found = query(&people, "SELECT name, tags, address['street'], born, active FROM t WHERE age = 5").await;
    assert_eq!(found, [["n5", "[a]", "5 Main St", "2001-02-03T10:00:00.500Z", "true"]]);
    check(
        people.clone(),
        &[
            "SELECT age FROM t WHERE _id = '7'",
            "SELECT age FROM t WHERE _id IN ('7', '8', 'x')",
            "SELECT age FROM t WHERE city = 'Rome'",
            "SELECT age FROM t WHERE city IN ('Rome', 'Oslo') AND age > 20",
            "SELECT age FROM t WHERE city > 'P'",
            "SELECT age FROM t WHERE city LIKE 'J%'",
            "SELECT age FROM t WHERE city IS NOT NULL AND age < 10",
            "SELECT age FROM t WHERE name = 'n5'",
            "SELECT age FROM t WHERE code = 'AB'",
            "SELECT age FROM t WHERE age BETWEEN 10 AND 20 OR age = 42",
            "SELECT age FROM t WHERE age <= 30 AND age >= 30",
            "SELECT age FROM t WHERE score > 3.5",
            "SELECT age FROM t WHERE score = 2.5",
            "SELECT age FROM t WHERE active",
            "SELECT age FROM t WHERE NOT active",
            "SELECT age FROM t WHERE born > '2001-02-03T00:00:00Z'",
            "SELECT age FROM t WHERE born = '2001-02-03T10:00:00.5Z'",
            "SELECT age FROM t WHERE born <= '1970-02-01T00:00:00Z'",
            "SELECT count(*) FROM t WHERE city = 'Rome' AND hidden = 'x'",
            "SELECT age FROM t WHERE level = 'high' ORDER BY age LIMIT 3",
        ],
        &[
            "SELECT age FROM t WHERE name = 'a name that is long'",
            "SELECT age FROM t WHERE name > 'a'",
            "SELECT age FROM t WHERE name IS NOT NULL",
            "SELECT age FROM t WHERE city IS NULL",
            "SELECT age FROM t WHERE level IS NULL",
            "SELECT age FROM t WHERE code > 'AA'",
            "SELECT age FROM t WHERE city <> 'Rome'",
            "SELECT age FROM t WHERE small = 0.1",
            "SELECT age FROM t WHERE hidden = 'h'",
            "SELECT age FROM t WHERE odd = '31/12/2001'",
            "SELECT age FROM t WHERE city = 'Rome' OR name = 'a name that is long'",
            "SELECT age FROM t WHERE born > '1960-01-01T00:00:00Z'",
            "SELECT age FROM t WHERE address['street'] = '5 Main St'",
        ],
    )
    .await;
    // Only what is wanted is asked for, and views are given back.
    query(&people, "SELECT city FROM t").await;
    assert_eq!(server.asked.lock().unwrap().last().unwrap()["_source"], json!(["city"]));
    for _ in 0..100 {
        if server.scrolls.lock().unwrap().is_empty() {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    assert!(server.scrolls.lock().unwrap().is_empty());
    assert_eq!(query(&people, "SELECT age FROM t LIMIT 9").await.len(), 9);
}

#[tokio::test]
async fn a_first_page_is_never_taken_for_all() {
    let (address, _server) = start("ApiKey k3y").await;
    let (context, _cache) = source(DataSourceType::Elasticsearch, address, key());
    let source = crate::support::open(&context).await;
    let people = source.open_table("indices", "viewless", None).await.unwrap();
    // Pages are of seven documents: what ends within the first is whole, and what would not is no answer.
    assert_eq!(query(&people, "SELECT age FROM t WHERE age < 5").await.len(), 4);
    assert_eq!(query(&people, "SELECT age FROM t LIMIT 7").await.len(), 7);
    for sql in ["SELECT age FROM t", "SELECT age FROM t LIMIT 8", "SELECT count(*) FROM t WHERE age <= 7"] {
        let message = failure(&people, sql).await;
        assert!(message.contains("could not answer"), "{sql}: {message}");
    }
}

#[tokio::test]
async fn failures_are_told_without_the_servers_words() {
    let (address, _server) = start("Basic YW5uOnB3").await;
    let (context, _cache) = source(DataSourceType::Opensearch, address, key());
    assert!(!format!("{context:?}").contains("k3y"));
    let connector = Registry::new().connector(DataSourceType::Opensearch).unwrap().clone();
    assert!(connector.test(&context).await.error_message.unwrap().contains("credentials"));
    let basic =
        Credentials { username: Some("ann".into()), password: Some(Secret::new("pw")), ..Credentials::default() };
    let (mut context, _cache) = source(DataSourceType::Opensearch, address, basic);
    let source = crate::support::open(&context).await;
    for name in ["gone", "_all", "people,empty", "*", "../_cluster", ""] {
        let error = source.open_table("indices", name, None).await.unwrap_err();
        assert_eq!(error.code().as_str(), "NOT_FOUND", "{name}");
    }
    assert!(source.open_table("indices", "broken", None).await.is_err());
    let people = source.open_table("indices", "people", None).await.unwrap();
    let mut known = discover(&source, "indices").await.remove(1);
    known.columns.iter_mut().find(|column| column.name == "city").unwrap().arrow_type =
        datafusion::arrow::datatypes::DataType::Int64;
    let other = source.open_table("indices", "people", Some(&known)).await.unwrap();
    assert!(failure(&other, "SELECT city FROM t").await.contains("column city"));
    drop((people, other));
    context.guard = crate::support::outbound(false);
    assert!(connector.test(&context).await.error_message.unwrap().contains("not allowed"));
    for (name, value, field) in [
        ("index", json!("_all/x"), "metadata.index"),
        ("page_size", json!(0), "metadata.page_size"),
        ("sslmode", json!("maybe"), "metadata.sslmode"),
    ] {
        let mut config = context.config.clone();
        config.metadata.insert(name.into(), value);
        let wrong = connector.validate(&config, &context.credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), [field]);
    }
}
