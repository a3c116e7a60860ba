//! The REST connector, against servers of the test's own.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::support::documents::{check, columns, discover, failure, query, table};
use crate::support::http::serve;
use axum::extract::{Query, Request};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use rivergen_connectors::{
    ConnectorError, Credentials, DataSourceType, OpenedSource, Registry, SourceConfig, SourceContext,
};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};

fn people() -> Vec<Value> {
    let person = |id: i64| {
        json!({
            "id": id, "name": format!("person {id}"), "city": (id % 3 > 0).then(|| format!("city {}", id % 3)),
            "active": id % 2 == 0, "score": id as f64 / 4.0, "born": format!("2001-02-{:02}T10:00:00+02:00", id % 28 + 1),
            "tags": ["a", id], "address": {"street": format!("{id} Main St"), "geo": {"lat": 1.5}},
            "code": if id % 5 == 0 { json!(id) } else { json!(format!("c{id}")) }
        })
    };
    (1..=25).map(person).collect()
}

fn page(rows: Vec<Value>, from: usize, count: usize) -> Vec<Value> {
    rows.into_iter().skip(from).take(count).collect()
}

fn number(query: &HashMap<String, String>, name: &str, usual: usize) -> usize {
    query.get(name).map_or(usual, |text| text.parse().unwrap())
}

fn source(
    address: impl std::fmt::Display,
    metadata: Value,
    credentials: Credentials,
) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::RestApi);
    config.metadata = metadata.as_object().unwrap().clone();
    let connection_string = Some(Secret::new(address.to_string()));
    crate::support::source("rest", config, Credentials { connection_string, ..credentials })
}

fn key() -> Credentials {
    Credentials { api_key: Some(Secret::new("s3cr3t key")), ..Credentials::default() }
}

async fn open(address: impl std::fmt::Display, metadata: Value) -> Arc<dyn OpenedSource> {
    crate::support::open(&source(address, metadata, key()).0).await
}

/// Every way of paging over the same 25 people.
fn pages() -> Router {
    let by_page = |Query(q): Query<HashMap<String, String>>| async move {
        let (size, number) = (number(&q, "per_page", 1000), number(&q, "page", 1));
        // As some APIs do, it gives no more than seven at a time whatever is asked for.
        Json(json!({"total": 25, "data": page(people(), (number - 1) * size.min(7), size.min(7))}))
    };
    let by_offset = |Query(q): Query<HashMap<String, String>>| async move {
        Json(page(people(), number(&q, "offset", 0), number(&q, "limit", 1000).min(7)))
    };
    let by_cursor = |Query(q): Query<HashMap<String, String>>| async move {
        let from = number(&q, "after", 0);
        Json(
            json!({"result": {"rows": page(people(), from, 7)}, "meta": {"next": (from + 7 < 25).then_some(from + 7)}}),
        )
    };
    let by_link = |Query(q): Query<HashMap<String, String>>| async move {
        let from = number(&q, "from", 0);
        let link = format!("</v1/link?from={}&x=a,b>; rel=\"next\", </v1/link>; rel=\"first\"", from + 7);
        let headers = (from + 7 < 25).then_some([("link", link)]);
        (headers.map(IntoResponse::into_response), Json(page(people(), from, 7))).into_response_parts()
    };
    let by_next = |Query(q): Query<HashMap<String, String>>| async move {
        let from = number(&q, "from", 0);
        Json(
            json!({"results": page(people(), from, 7), "next": (from + 7 < 25).then(|| format!("next?from={}", from + 7))}),
        )
    };
    let numbered = |Query(q): Query<HashMap<String, String>>| async move {
        match number(&q, "p", 0) {
            number @ 0..4 => Json(page(people(), number * 7, 7)).into_response(),
            _ => StatusCode::NOT_FOUND.into_response(),
        }
    };
    Router::new()
        .route("/v1/page", get(by_page))
        .route("/v1/offset", get(by_offset))
        .route("/v1/cursor", get(by_cursor))
        .route("/v1/link", get(by_link))
        .route("/v1/next", get(by_next))
        .route("/v1/numbered", get(numbered))
}

trait IntoParts {
    fn into_response_parts(self) -> Response;
}

impl IntoParts for (Option<Response>, Json<Vec<Value>>) {
    fn into_response_parts(self) -> Response {
        let mut response = self.1.into_response();
        if let Some(headers) = self.0 {
            response.headers_mut().extend(headers.headers().clone());
        }
        response
    }
}

#[tokio::test]
async fn every_way_of_paging_reads_all_rows_once() {
    let address = serve(pages()).await;
    let endpoints = json!([
        {"path": "page", "rows": "/data", "pagination": {"kind": "page", "size": {"parameter": "per_page", "rows": 50}}},
        {"path": "offset", "pagination": {"kind": "offset", "size": {"rows": 10}}},
        {"path": "cursor", "rows": "/result/rows", "pagination": {"kind": "cursor", "pointer": "/meta/next", "parameter": "after"}},
        {"path": "link"},
        {"path": "next", "pagination": {"kind": "next", "pointer": "/next"}},
        {"path": "numbered", "pagination": {"kind": "page", "parameter": "p", "first": 0}},
    ]);
    let source = open(format!("http://{address}/v1"), json!({"endpoints": endpoints})).await;
    let names: Vec<_> = discover(&source, "api").await.into_iter().map(|table| table.name).collect();
    assert_eq!(names, ["cursor", "link", "next", "numbered", "offset", "page"]);
    for name in names {
        let table = table(&source, "api", &name).await;
        let found = query(&table, "SELECT count(*), count(DISTINCT id), sum(id) FROM t").await;
        assert_eq!(found, [["25", "25", "325"]], "{name}");
    }
}

#[tokio::test]
async fn rows_have_the_types_of_their_values_and_filters_mean_the_same() {
    let asked = Arc::new(std::sync::Mutex::new(Vec::new()));
    let (seen, all) = (asked.clone(), people());
    let handler = move |Query(q): Query<HashMap<String, String>>| {
        seen.lock().unwrap().push(q.clone());
        let all = all.clone();
        // The API folds case: it answers more than was asked for.
        let fits = move |person: &Value| {
            let same = |name: &str, value: &str| person[name].as_str().is_some_and(|v| v.eq_ignore_ascii_case(value));
            q.get("town").is_none_or(|town| same("city", town))
                && q.get("id").is_none_or(|id| person["id"] == json!(id.parse::<u64>().ok()))
        };
        async move { Json(all.into_iter().filter(fits).collect::<Vec<_>>()) }
    };
    let address = serve(Router::new().route("/people", get(handler))).await;
    let endpoints = json!([{
        "path": "people", "pagination": {"kind": "none"}, "filters": {"city": "town", "id": "id", "score": "score"},
        "timestamps": ["born", "name"], "parameters": {"all": "1"}, "description": "Everybody"
    }]);
    let source = open(format!("http://{address}"), json!({"endpoints": endpoints})).await;
    assert_eq!(discover(&source, "api").await[0].comment.as_deref(), Some("Everybody"));
    let table = table(&source, "api", "people").await;
    let types = columns(&table);
    for expected in [
        "id Int64",
        "name Utf8",
        "city Utf8",
        "active Boolean",
        "score Float64",
        "born Timestamp(µs, \"UTC\")",
        "tags List(Utf8)",
        "code Utf8",
    ] {
        assert!(types.contains(&expected.to_owned()), "{expected} in {types:?}");
    }
    assert_eq!(query(&table, "SELECT code, tags, address FROM t WHERE id = 5").await[0][..2], ["5", "[a, 5]"]);
    assert_eq!(query(&table, "SELECT born FROM t WHERE id = 1").await, [["2001-02-02T08:00:00Z"]]);
    check(
        table,
        &[
            "SELECT id FROM t WHERE city = 'city 1'",
            "SELECT id FROM t WHERE city = 'CITY 1'",
            "SELECT id, name FROM t WHERE id = 7 AND city = 'city 1' AND code = 'c7'",
            "SELECT count(*) FROM t WHERE city = 'city 1' AND upper(city) = 'CITY 2'",
            "SELECT id FROM t WHERE city = 'city 2' ORDER BY id LIMIT 2",
        ],
        &[
            "SELECT id FROM t WHERE city <> 'city 1'",
            "SELECT id FROM t WHERE city IS NULL",
            "SELECT id FROM t WHERE score = 1.5",
            "SELECT id FROM t WHERE city = 'city 1' OR id = 3",
            "SELECT id FROM t WHERE code = '5'",
            "SELECT id FROM t WHERE born > '2001-02-10T00:00:00Z' ORDER BY id",
            "SELECT address['street'], address['geo']['lat'] FROM t WHERE active ORDER BY id LIMIT 3",
        ],
    )
    .await;
    let asked = asked.lock().unwrap();
    assert!(asked.iter().all(|query| query["all"] == "1") && asked.iter().any(|query| query.contains_key("town")));
}

#[tokio::test]
async fn credentials_go_where_they_are_wanted_and_nowhere_else() {
    let show = |headers: HeaderMap, request: Request| async move {
        let header = |name: &str| headers.get(name).map(|value| value.to_str().unwrap().to_owned());
        Json(vec![json!({"authorization": header("authorization"), "key": header("x-api-key"), "own": header("x-own"),
            "query": request.uri().query()})])
    };
    let address = serve(Router::new().route("/show", get(show))).await;
    let endpoints = json!([{"path": "/show"}]);
    let token = Credentials { oauth_token: Some(Secret::new("tok")), ..Credentials::default() };
    let basic =
        Credentials { username: Some("ann".into()), password: Some(Secret::new("pw")), ..Credentials::default() };
    for (metadata, credentials, column, expected) in [
        (json!({}), key(), "key", "s3cr3t key"),
        (json!({"api_key_name": "X-Own"}), key(), "own", "s3cr3t key"),
        (json!({"api_key_in": "query", "api_key_name": "k"}), key(), "query", "k=s3cr3t+key"),
        (json!({"api_key_in": "bearer"}), key(), "authorization", "Bearer s3cr3t key"),
        (json!({}), token, "authorization", "Bearer tok"),
        (json!({}), basic, "authorization", "Basic YW5uOnB3"),
    ] {
        let mut metadata = metadata;
        metadata["endpoints"] = endpoints.clone();
        let (context, _cache) = source(format!("http://{address}/"), metadata, credentials);
        assert!(!format!("{context:?}").contains("s3cr3t"));
        let opened = crate::support::open(&context).await;
        assert!(!format!("{opened:?}").contains("s3cr3t"), "{opened:?}");
        let table = table(&opened, "api", "show").await;
        assert_eq!(query(&table, &format!("SELECT \"{column}\" FROM t")).await, [[expected]]);
    }
}

#[tokio::test]
async fn links_stay_on_the_server() {
    let other = serve(Router::new().route("/steal", get(|| async { Json(json!([{"id": 2}])) }))).await;
    let away =
        move || async move { ([("link", format!("<http://{other}/steal>; rel=next"))], Json(json!([{"id": 1}]))) };
    let redirect = move || async move { (StatusCode::FOUND, [("location", format!("http://{other}/steal"))]) };
    let address = serve(Router::new().route("/away", get(away)).route("/redirect", get(redirect))).await;
    let source =
        open(format!("http://{address}"), json!({"endpoints": [{"path": "away"}, {"path": "redirect"}]})).await;
    let error = source.open_table("api", "away", None).await.unwrap_err();
    assert!(error.to_string().contains("another server"), "{error}");
    assert!(source.open_table("api", "redirect", None).await.is_err());
}

#[tokio::test]
async fn a_busy_server_is_waited_for_and_an_endless_one_is_not() {
    let calls = Arc::new(AtomicUsize::new(0));
    let count = calls.clone();
    let busy = move || {
        let call = count.fetch_add(1, Ordering::Relaxed);
        async move {
            match call % 2 {
                0 => (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "0")]).into_response(),
                _ => Json(json!([{"id": call}])).into_response(),
            }
        }
    };
    let full = || async { (StatusCode::TOO_MANY_REQUESTS, [("retry-after", "3600")]) };
    let endless =
        |Query(q): Query<HashMap<String, String>>| async move { Json(json!([{"page": number(&q, "page", 0)}])) };
    let same = || async { Json(json!([{"id": 1}])) };
    let router = Router::new()
        .route("/busy", get(busy))
        .route("/full", get(full))
        .route("/endless", get(endless))
        .route("/same", get(same));
    let address = serve(router).await;
    let metadata = json!({"pagination": {"kind": "page"}, "max_pages": 5, "endpoints": [
        {"path": "busy", "pagination": {"kind": "none"}}, {"path": "full"}, {"path": "endless"}, {"path": "same"}]});
    let source = open(format!("http://{address}"), metadata).await;
    let busy = source.open_table("api", "busy", None).await.unwrap();
    assert_eq!(query(&busy, "SELECT count(*) FROM t").await, [["1"]]);
    assert_eq!(calls.load(Ordering::Relaxed), 4);
    assert!(matches!(source.open_table("api", "full", None).await, Err(ConnectorError::Unreachable { .. })));
    let endless = source.open_table("api", "endless", None).await.unwrap();
    assert_eq!(query(&endless, "SELECT page FROM t LIMIT 3").await.len(), 3);
    assert!(failure(&endless, "SELECT * FROM t").await.contains("more than 5 pages"));
    let same = source.open_table("api", "same", None).await.unwrap();
    assert!(failure(&same, "SELECT * FROM t").await.contains("same page again"));
}

#[tokio::test]
async fn a_server_that_was_away_is_tried_again_where_a_scan_begins() {
    let router = || Router::new().route("/people", get(|| async { Json(people()) }));
    let address = serve(router()).await;
    let (mut context, _cache) = source(format!("http://{address}"), json!({"endpoints": [{"path": "people"}]}), key());
    let known = discover(&crate::support::open(&context).await, "api").await;
    // Nobody listens there any more, until somebody does.
    let port = crate::support::port::ClosedPort::take();
    let away = port.address();
    context.credentials.connection_string = Some(Secret::new(format!("http://{away}")));
    context.config.max_retries = 0;
    let impatient = crate::support::open(&context).await.open_table("api", "people", Some(&known[0])).await.unwrap();
    assert!(failure(&impatient, "SELECT id FROM t").await.contains("cannot be reached"));
    context.config.max_retries = 5;
    let patient = crate::support::open(&context).await.open_table("api", "people", Some(&known[0])).await.unwrap();
    let comes_back = async {
        tokio::time::sleep(std::time::Duration::from_millis(150)).await;
        let listener = port.open();
        tokio::spawn(async move { axum::serve(listener, router()).await });
    };
    let (found, ()) = tokio::join!(query(&patient, "SELECT count(*) FROM t"), comes_back);
    assert_eq!(found, [["25"]]);
}

#[tokio::test]
async fn what_goes_wrong_is_told_without_the_servers_words() {
    let status = |code: u16| get(move || async move { (StatusCode::from_u16(code).unwrap(), "secret of the server") });
    let sampled = Arc::new(AtomicUsize::new(0));
    let changes = move || {
        let call = sampled.fetch_add(1, Ordering::Relaxed);
        async move { Json(if call == 0 { json!([{"n": 1}]) } else { json!([{"n": "secret of the server"}]) }) }
    };
    let router = Router::new()
        .route("/401", status(401))
        .route("/404", status(404))
        .route("/500", status(500))
        .route("/text", get(|| async { "secret of the server" }))
        .route("/object", get(|| async { Json(json!({"secret": 1})) }))
        .route("/changes", get(changes));
    let address = serve(router).await;
    let endpoints: Vec<_> =
        ["401", "404", "500", "text", "object", "changes"].map(|path| json!({ "path": path })).into();
    let source = open(format!("http://{address}"), json!({ "endpoints": endpoints })).await;
    for (name, code) in [
        ("401", "CONNECTION_ERROR"),
        ("404", "NOT_FOUND"),
        ("500", "CONNECTION_ERROR"),
        ("text", "CONNECTION_ERROR"),
        ("object", "VALIDATION_ERROR"),
    ] {
        let error = source.open_table("api", name, None).await.unwrap_err();
        assert_eq!(error.code().as_str(), code, "{name}");
        assert!(!error.to_string().contains("secret"), "{error}");
    }
    let changes = source.open_table("api", "changes", None).await.unwrap();
    let error = failure(&changes, "SELECT n FROM t").await;
    assert!(error.contains("column n") && !error.contains("secret"), "{error}");
    // A private address is refused where the operator does not permit it.
    let (mut context, _cache) =
        self::source(format!("http://{address}"), json!({"endpoints": [{"path": "404"}]}), key());
    context.guard = crate::support::outbound(false);
    let outcome = Registry::new().connector(DataSourceType::RestApi).unwrap().test(&context).await;
    assert!(outcome.error_message.unwrap().contains("not allowed"));
}

#[tokio::test]
async fn an_openapi_document_names_the_tables() {
    let document = json!({
        "openapi": "3.0.3",
        "paths": {"/users": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"type": "object",
            "properties": {"items": {"type": "array", "items": {"type": "object", "properties": {"at": {"type": "string", "format": "date-time"}}}}}}}}}}}}}
    });
    let (body, inline) = (document.clone(), document);
    let users = || async { Json(json!({"items": [{"at": "2024-01-01T00:00:00Z", "n": 1}]})) };
    let router =
        Router::new().route("/v2/openapi.json", get(move || async move { Json(body) })).route("/v2/users", get(users));
    let address = serve(router).await;
    for openapi in [
        json!("openapi.json"),
        json!(format!("http://{address}/v2/openapi.json")),
        inline.clone(),
        json!(inline.to_string()),
    ] {
        let source = open(format!("http://{address}/v2"), json!({ "openapi": openapi })).await;
        assert!(source.probe().await.is_ok());
        let table = table(&source, "api", "users").await;
        assert_eq!(columns(&table), ["at Timestamp(µs, \"UTC\")", "n Int64"]);
        assert_eq!(query(&table, "SELECT n FROM t").await, [["1"]]);
    }
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::RestApi).unwrap();
    let good = json!({"endpoints": [{"path": "a"}]});
    for (address, metadata, field) in [
        ("api.example.com", good.clone(), "connection_string"),
        ("ftp://api.example.com", good.clone(), "connection_string"),
        ("https://ann:pw@api.example.com", good.clone(), "connection_string"),
        ("https://api.example.com/?key=1", good.clone(), "connection_string"),
        ("https://api.example.com", json!({}), "metadata.endpoints"),
        ("https://api.example.com", json!({"endpoints": [{"path": "../a"}]}), "metadata.endpoints"),
        ("https://api.example.com", json!({"endpoints": 5}), "metadata.endpoints"),
        (
            "https://api.example.com",
            json!({"openapi": "https://elsewhere.example.com/openapi.json"}),
            "metadata.openapi",
        ),
        ("https://api.example.com", json!({"openapi": {"paths": {}}}), "metadata.openapi"),
        (
            "https://api.example.com",
            json!({"endpoints": [{"path": "a"}], "api_key_in": "cookie"}),
            "metadata.api_key_in",
        ),
        (
            "https://api.example.com",
            json!({"endpoints": [{"path": "a"}], "pagination": {"kind": "odd"}}),
            "metadata.pagination",
        ),
    ] {
        let (context, _cache) = source(address, metadata.clone(), key());
        let wrong = connector.validate(&context.config, &context.credentials);
        assert_eq!(
            wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(),
            [field],
            "{address} {metadata}: {wrong:?}"
        );
    }
    let (context, _cache) = source("https://api.example.com/v1/", good, key());
    assert!(connector.validate(&context.config, &context.credentials).is_empty());
    assert_eq!(connector.form()["properties"]["connection_string"]["writeOnly"], true);
}
