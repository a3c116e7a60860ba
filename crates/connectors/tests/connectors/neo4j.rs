//! The Neo4j connector, against a server of the test's own that answers the statements it sends.
//!
//! No Neo4j is in a package registry. The stand-in speaks the Query API's typed answers and knows the few forms of
//! statements that the connector writes.

use std::sync::{Arc, Mutex};

use crate::support::documents::{check, columns, discover, query, table};
use crate::support::http::serve;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};

fn typed(value: &Value) -> Value {
    match value {
        Value::Null => json!({"$type": "Null", "_value": null}),
        Value::Bool(_) => json!({"$type": "Boolean", "_value": value}),
        Value::Number(number) if number.is_i64() => json!({"$type": "Integer", "_value": number.to_string()}),
        Value::Number(number) => json!({"$type": "Float", "_value": number.to_string()}),
        Value::String(_) => json!({"$type": "String", "_value": value}),
        Value::Array(items) => json!({"$type": "List", "_value": items.iter().map(typed).collect::<Vec<_>>()}),
        Value::Object(fields) => {
            let fields: serde_json::Map<_, _> =
                fields.iter().map(|(name, value)| (name.clone(), typed(value))).collect();
            json!({"$type": "Map", "_value": fields})
        }
    }
}

fn people() -> Vec<Value> {
    let person = |n: i64| {
        let mut person =
            json!({"name": format!("p{n}"), "age": n, "score": n as f64 / 4.0, "active": n % 2 == 0, "tags": ["a"]});
        if n % 3 == 0 {
            person.as_object_mut().unwrap().remove("age");
        }
        person
    };
    (0..5_000).map(person).collect()
}

/// Whether an element fits one comparison, as Cypher has it: nothing is compared with null.
fn fits(element: &Value, condition: &str, parameters: &Value) -> bool {
    let condition = condition.trim_matches(['(', ')']);
    if let Some((left, right)) = condition.split_once(" OR ") {
        return fits(element, left, parameters) || fits(element, right, parameters);
    }
    if let Some(column) = condition.strip_prefix("NOT ").and_then(|rest| rest.strip_suffix(" IS :: STRING")) {
        let value = &element[column.trim_start_matches("e.").trim_matches('`')];
        return !value.is_null() && !value.is_string();
    }
    let words: Vec<&str> = condition.splitn(3, ' ').collect();
    let property = words[0].trim_start_matches("e.").trim_matches('`');
    let value = &element[property];
    if words[1] == "IS" {
        return value.is_null() == (words[2] == "NULL");
    }
    if let Some(rest) = condition.split_once(" STARTS WITH $") {
        return value.as_str().is_some_and(|text| text.starts_with(parameters[rest.1].as_str().unwrap()));
    }
    let other = match words[2].strip_prefix('$') {
        Some(name) => &parameters[name],
        None => value,
    };
    if words[1] == "IN" {
        return other.as_array().unwrap().contains(value);
    }
    if value.is_null() {
        return false;
    }
    let order = match (value, other) {
        (Value::String(a), Value::String(b)) => a.encode_utf16().partial_cmp(b.encode_utf16()),
        (a, b) => a.as_f64().partial_cmp(&b.as_f64()),
    };
    match words[1] {
        "=" => value == other,
        "<>" => value != other,
        "<" => order.is_some_and(|order| order.is_lt()),
        "<=" => order.is_some_and(|order| order.is_le()),
        ">" => order.is_some_and(|order| order.is_gt()),
        ">=" => order.is_some_and(|order| order.is_ge()),
        other => panic!("{other}"),
    }
}

fn answer(statement: &str, parameters: &Value) -> Vec<Vec<Value>> {
    let knows = statement.contains(":`KNOWS`");
    let elements: Vec<Value> = if knows {
        (0..3).map(|n| json!({"since": 2000 + n})).collect()
    } else if statement.contains(":`Person`") {
        people()
    } else {
        Vec::new()
    };
    if statement.starts_with("CALL dbms.components") {
        return vec![vec![json!("5.26.0")]];
    }
    if statement.starts_with("CALL db.labels") {
        return vec![vec![json!("Person")], vec![json!("Empty")]];
    }
    if statement.starts_with("CALL db.relationshipTypes") {
        return vec![vec![json!("KNOWS")]];
    }
    if statement.ends_with("RETURN count(e)") {
        return vec![vec![json!(elements.len())]];
    }
    let (rest, limit) = statement.rsplit_once(" LIMIT ").unwrap();
    let limit: usize = limit.parse().unwrap();
    if rest.ends_with("RETURN properties(e)") {
        return elements.into_iter().take(limit).map(|element| vec![element]).collect();
    }
    let (pattern, row) = rest.split_once(" RETURN id(e) AS number, {").unwrap();
    let conditions: Vec<&str> =
        pattern.split_once(" WHERE ").map_or(Vec::new(), |(_, all)| all.split(" AND ").collect());
    let row = row.strip_suffix("} AS row ORDER BY number").unwrap();
    let mut rows = Vec::new();
    for (number, element) in elements.iter().enumerate() {
        let all = conditions.iter().all(|condition| match *condition {
            "id(e) > $after" => number as i64 > parameters["after"].as_i64().unwrap(),
            condition => fits(element, condition, parameters),
        });
        if !all {
            continue;
        }
        let fields = row.split(", ").filter(|field| !field.is_empty()).map(|field| {
            let (name, reading) = field.split_once(": ").unwrap();
            let value = match reading {
                "elementId(e)" => json!(format!("4:x:{number}")),
                reading if reading.starts_with("elementId") => json!("4:x:0"),
                reading => element[reading.trim_start_matches("e.").trim_matches('`')].clone(),
            };
            (name.trim_matches('`').to_owned(), value)
        });
        rows.push(vec![json!(number), Value::Object(fields.collect())]);
        if rows.len() == limit {
            break;
        }
    }
    rows
}

async fn start() -> (std::net::SocketAddr, Arc<Mutex<Vec<String>>>) {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let seen = asked.clone();
    let handler = move |headers: HeaderMap, Json(body): Json<Value>| {
        let seen = seen.clone();
        async move {
            if headers.get("authorization").is_none_or(|value| value != "Basic bmVvNGo6cHc=") {
                return StatusCode::UNAUTHORIZED.into_response();
            }
            assert_eq!(
                (&body["accessMode"], &headers["accept"]),
                (&json!("READ"), &"application/vnd.neo4j.query".parse().unwrap())
            );
            let statement = body["statement"].as_str().unwrap();
            seen.lock().unwrap().push(statement.to_owned());
            let rows: Vec<Vec<Value>> =
                answer(statement, &body["parameters"]).iter().map(|row| row.iter().map(typed).collect()).collect();
            (StatusCode::ACCEPTED, Json(json!({"data": {"fields": [], "values": rows}}))).into_response() as Response
        }
    };
    (serve(Router::new().route("/db/graph/query/v2", post(handler))).await, asked)
}

fn source(port: u16, metadata: Value, password: &str) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Neo4j);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some("graph".into());
    config.metadata = metadata.as_object().unwrap().clone();
    let credentials =
        Credentials { username: Some("neo4j".into()), password: Some(Secret::new(password)), ..Credentials::default() };
    crate::support::source("neo4j", config, credentials)
}

#[tokio::test]
async fn labels_and_relationships_are_tables() {
    let (address, asked) = start().await;
    let metadata = json!({"sslmode": "disable", "http_port": address.port()});
    let (context, _cache) = source(7687, metadata, "pw");
    let source = crate::support::open(&context).await;
    assert_eq!(source.probe().await.unwrap().as_deref(), Some("Neo4j 5.26.0"));
    let tables = discover(&source, "nodes").await;
    assert_eq!(
        tables.iter().map(|table| (table.name.as_str(), table.row_count)).collect::<Vec<_>>(),
        [("Person", Some(5000))]
    );
    let people = table(&source, "nodes", "Person").await;
    let mut types = columns(&people);
    types.sort();
    assert_eq!(types, ["_id Utf8", "active Boolean", "age Int64", "name Utf8", "score Float64", "tags List(Utf8)"]);
    let found = query(&people, "SELECT count(*), count(DISTINCT _id), count(age) FROM t").await;
    assert_eq!(found, [["5000", "5000", "3333"]]);
    assert_eq!(query(&people, "SELECT name FROM t LIMIT 3").await.len(), 3);
    assert!(asked.lock().unwrap().last().unwrap().ends_with("LIMIT 3"));
    check(
        people,
        &[
            "SELECT name FROM t WHERE name = 'p7'",
            "SELECT name FROM t WHERE name IN ('p7', 'p4999') AND active",
            "SELECT name FROM t WHERE name LIKE 'p12%'",
            "SELECT name FROM t WHERE name <> 'p1' AND age < 10",
            "SELECT name FROM t WHERE age IS NULL AND score < 3.5",
            "SELECT name FROM t WHERE score > 1249.0",
            "SELECT count(*) FROM t WHERE age BETWEEN 100 AND 4000",
        ],
        &["SELECT name FROM t WHERE name > 'p4998'", "SELECT name FROM t WHERE score <> 0.5 LIMIT 5000"],
    )
    .await;
    let knows = table(&source, "relationships", "KNOWS").await;
    assert_eq!(columns(&knows), ["_id Utf8", "_start Utf8", "_end Utf8", "since Int64"]);
    assert_eq!(query(&knows, "SELECT since, _start FROM t WHERE since = 2001").await, [["2001", "4:x:0"]]);
    for (schema, name) in [("nodes", "Gone"), ("other", "Person")] {
        assert_eq!(source.open_table(schema, name, None).await.unwrap_err().code().as_str(), "NOT_FOUND");
    }
}

#[tokio::test]
async fn failures_are_told() {
    let (address, _asked) = start().await;
    let (mut context, _cache) = source(address.port(), json!({"sslmode": "disable"}), "wrong");
    let connector = Registry::new().connector(DataSourceType::Neo4j).unwrap().clone();
    assert!(connector.test(&context).await.error_message.unwrap().contains("credentials"));
    context.guard = crate::support::outbound(false);
    assert!(connector.test(&context).await.error_message.unwrap().contains("not allowed"));
    context.config.metadata.insert("http_port".into(), json!(70_000));
    let wrong = connector.validate(&context.config, &context.credentials);
    assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), ["metadata.http_port"]);
}
