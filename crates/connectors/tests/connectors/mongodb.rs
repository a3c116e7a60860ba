//! The MongoDB connector, against a server of the test's own that speaks the wire protocol.
//!
//! No MongoDB is in a package registry. The stand-in answers the few commands that the connector sends, and compares as
//! MongoDB's manual says: values of one kind only, NaN below all numbers, a missing field equal to null.

use std::cmp::Ordering;
use std::sync::{Arc, Mutex};

use crate::support::documents::{check, columns, discover, failure, query, table};
use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Document, doc};
use rivergen_connectors::{Credentials, DataSourceType, Registry, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

#[derive(Clone, Default)]
struct Server {
    asked: Arc<Mutex<Vec<Document>>>,
    odd: Arc<Mutex<bool>>,
    /// Members that the server names besides itself.
    members: Vec<String>,
}

fn people() -> Vec<Document> {
    let person = |n: i32| {
        let mut person = doc! {
            "_id": ObjectId::from_bytes([n as u8; 12]), "name": (["Anna", "anna", "Jürgen", "Bob"][(n % 4) as usize]),
            "age": if n % 2 == 0 { Bson::Int32(n) } else { Bson::Int64(i64::from(n)) },
            "score": match n % 10 { 0 => f64::NAN, 1 => -0.0, 2 => 0.0, _ => f64::from(n) / 8.0 },
            "price": Bson::Decimal128(format!("{n}.{n:02}").parse().unwrap()), "active": n % 3 == 0,
            "born": DateTime::from_millis(i64::from(n) * 86_400_000), "tags": ["a", "b"],
            "address": {"city": "Rome", "geo": {"lat": 1.5}}, "any": if n % 2 == 0 { Bson::Int32(n) } else { Bson::String(n.to_string()) },
        };
        match n % 5 {
            0 => {}
            1 => drop(person.insert("city", Bson::Null)),
            _ => drop(person.insert("city", format!("c{}", n % 3))),
        }
        person
    };
    (1..=120).map(person).collect()
}

/// `None` where values of these kinds are not compared.
fn compare(a: &Bson, b: &Bson) -> Option<Ordering> {
    let number = |bson: &Bson| match bson {
        Bson::Int32(n) => Some(f64::from(*n)),
        Bson::Int64(n) => Some(*n as f64),
        Bson::Double(n) => Some(*n),
        Bson::Decimal128(n) => n.to_string().parse().ok(),
        _ => None,
    };
    if let (Some(a), Some(b)) = (number(a), number(b)) {
        return Some(match (a.is_nan(), b.is_nan()) {
            (true, true) => Ordering::Equal,
            (true, false) => Ordering::Less,
            (false, true) => Ordering::Greater,
            (false, false) => a.partial_cmp(&b).unwrap(),
        });
    }
    match (a, b) {
        (Bson::String(a), Bson::String(b)) => Some(a.as_bytes().cmp(b.as_bytes())),
        (Bson::Boolean(a), Bson::Boolean(b)) => Some(a.cmp(b)),
        (Bson::DateTime(a), Bson::DateTime(b)) => Some(a.cmp(b)),
        (Bson::ObjectId(a), Bson::ObjectId(b)) => Some(a.bytes().cmp(&b.bytes())),
        (Bson::Null, Bson::Null) => Some(Ordering::Equal),
        _ => None,
    }
}

fn fits(document: &Document, filter: &Document) -> bool {
    filter.iter().all(|(field, wanted)| {
        let parts = || wanted.as_array().unwrap().iter().map(|part| fits(document, part.as_document().unwrap()));
        match field.as_str() {
            "$and" => parts().all(|fits| fits),
            "$or" => parts().any(|fits| fits),
            field => {
                let missing = Bson::Null;
                let value = document.get(field).unwrap_or(&missing);
                let Some(operators) = wanted.as_document() else {
                    return compare(value, wanted) == Some(Ordering::Equal);
                };
                operators.iter().all(|(operator, limit)| {
                    // NaN is equal to itself and compared with nothing else.
                    let nan = |bson: &Bson| bson.as_f64().is_some_and(f64::is_nan);
                    let order = compare(value, limit).filter(|_| nan(value) == nan(limit));
                    match operator.as_str() {
                        "$eq" => order == Some(Ordering::Equal),
                        "$ne" => order != Some(Ordering::Equal),
                        "$lt" => order == Some(Ordering::Less),
                        "$lte" => order.is_some_and(Ordering::is_le),
                        "$gt" => order == Some(Ordering::Greater),
                        "$gte" => order.is_some_and(Ordering::is_ge),
                        "$exists" => document.contains_key(field),
                        "$type" => false,
                        other => panic!("{other}"),
                    }
                })
            }
        }
    })
}

impl Server {
    async fn start(mut self, other_member: Option<&str>) -> (u16, Self) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        if let Some(other) = other_member {
            self.members = vec![format!("127.0.0.1:{port}"), other.to_owned()];
        }
        let server = self.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let server = server.clone();
                tokio::spawn(async move { server.serve(stream).await });
            }
        });
        (port, self)
    }

    async fn serve(&self, mut stream: TcpStream) -> std::io::Result<()> {
        let mut cursor: Vec<Document> = Vec::new();
        loop {
            let mut head = [0; 16];
            stream.read_exact(&mut head).await?;
            let word = |at: usize| i32::from_le_bytes(head[at..at + 4].try_into().unwrap());
            let mut body = vec![0; word(0) as usize - 16];
            stream.read_exact(&mut body).await?;
            let legacy = word(12) == 2004;
            // A greeting of old: flags, a name, two numbers. Else flags and the kind of the section.
            let at = if legacy { 4 + body[4..].iter().position(|byte| *byte == 0).unwrap() + 9 } else { 5 };
            let command = Document::from_reader(&body[at..]).unwrap();
            let answer = self.answer(&command, &mut cursor).to_vec().unwrap();
            let mut reply: Vec<u8> = Vec::new();
            if legacy {
                reply.extend([0; 16]);
                reply.extend(1_i32.to_le_bytes());
            } else {
                reply.extend([0; 5]);
            }
            reply.extend(answer);
            let mut message: Vec<u8> = Vec::new();
            message.extend((reply.len() as i32 + 16).to_le_bytes());
            message.extend(1_i32.to_le_bytes());
            message.extend(word(4).to_le_bytes());
            message.extend(if legacy { 1_i32 } else { 2013 }.to_le_bytes());
            message.extend(reply);
            stream.write_all(&message).await?;
        }
    }

    fn answer(&self, command: &Document, cursor: &mut Vec<Document>) -> Document {
        let name = command.keys().next().unwrap().as_str();
        let rest = std::mem::take(cursor);
        let mut page = |documents: Vec<Document>, size: usize, key: &str, namespace: &str| {
            *cursor = documents;
            let rest = cursor.split_off(cursor.len().min(size));
            let page = std::mem::replace(cursor, rest);
            let id = if cursor.is_empty() { 0_i64 } else { 7 };
            doc! {"cursor": {"id": id, "ns": namespace, key: page}, "ok": 1}
        };
        match name {
            "hello" | "ismaster" | "isMaster" => {
                let mut hello = doc! {
                    "ok": 1, "helloOk": true, "ismaster": true, "isWritablePrimary": true, "maxBsonObjectSize": 16_777_216,
                    "maxMessageSizeBytes": 48_000_000, "maxWriteBatchSize": 100_000, "minWireVersion": 0, "maxWireVersion": 21,
                    "logicalSessionTimeoutMinutes": 30
                };
                if let Some(me) = self.members.first() {
                    hello.insert("setName", "rs0");
                    hello.insert("me", me);
                    hello.insert("hosts", self.members.clone());
                }
                hello
            }
            "buildInfo" => doc! {"version": "7.0.14", "ok": 1},
            "listCollections" => {
                let collection = |name: &str, kind: &str| doc! {"name": name, "type": kind, "options": {}, "info": {"readOnly": false}};
                let all = vec![
                    collection("people", "collection"),
                    collection("system.views", "collection"),
                    collection("seen", "view"),
                ];
                let wanted = command
                    .get_document("filter")
                    .ok()
                    .and_then(|filter| filter.get_str("name").ok().map(str::to_owned));
                let fits = |found: &Document| {
                    wanted.as_deref().is_none_or(|name| found.get_str("name").is_ok_and(|found| found == name))
                };
                page(all.into_iter().filter(fits).collect(), 100, "firstBatch", "shop.$cmd.listCollections")
            }
            "count" => doc! {"n": 120, "ok": 1},
            "find" => {
                self.asked.lock().unwrap().push(command.clone());
                let mut found = people();
                if *self.odd.lock().unwrap() {
                    found.push(doc! {"_id": ObjectId::from_bytes([200; 12]), "name": ObjectId::from_bytes([1; 12])});
                }
                let filter = command.get_document("filter").cloned().unwrap_or_default();
                found.retain(|document| fits(document, &filter));
                if let Ok(projection) = command.get_document("projection") {
                    for document in &mut found {
                        let keys: Vec<String> = document.keys().cloned().collect();
                        for key in keys {
                            let kept = match projection.get_i32(&key) {
                                Ok(kept) => kept == 1,
                                Err(_) => key == "_id",
                            };
                            if !kept {
                                document.remove(&key);
                            }
                        }
                    }
                }
                let limit =
                    command.get_i64("limit").ok().filter(|limit| *limit > 0).map_or(usize::MAX, |limit| limit as usize);
                found.truncate(limit);
                page(found, 7, "firstBatch", "shop.people")
            }
            "getMore" => page(rest, 50, "nextBatch", "shop.people"),
            "saslStart" => {
                doc! {"ok": 0, "code": 18, "codeName": "AuthenticationFailed", "errmsg": "secret of the server"}
            }
            _ => doc! {"ok": 1},
        }
    }
}

fn source(port: u16) -> (SourceContext, tempfile::TempDir) {
    let mut config = SourceConfig::new(DataSourceType::Mongodb);
    config.host = Some("127.0.0.1".into());
    config.port = Some(port);
    config.database_name = Some("shop".into());
    config.connection_timeout = 5;
    config.metadata.insert("sslmode".into(), "disable".into());
    crate::support::source("mongodb", config, Credentials::default())
}

#[tokio::test]
async fn collections_are_tables_and_filters_mean_the_same() {
    let (port, server) = Server::default().start(None).await;
    let (context, _cache) = source(port);
    let source = crate::support::open(&context).await;
    assert_eq!(source.probe().await.unwrap().as_deref(), Some("MongoDB 7.0.14"));
    let tables = discover(&source, "shop").await;
    assert_eq!(
        tables.iter().map(|table| (table.name.as_str(), table.row_count)).collect::<Vec<_>>(),
        [("people", Some(120)), ("seen", None)]
    );
    let people = table(&source, "shop", "people").await;
    let types = columns(&people);
    for expected in [
        "_id Utf8",
        "name Utf8",
        "age Int64",
        "score Float64",
        "price Decimal128(38, 10)",
        "active Boolean",
        "born Timestamp(µs, \"UTC\")",
        "tags List(Utf8)",
        "any Utf8",
        "city Utf8",
    ] {
        assert!(types.contains(&expected.to_owned()), "{expected} in {types:?}");
    }
    let found = query(&people, "SELECT _id, price, born, address['geo']['lat'], \"any\" FROM t WHERE age = 2").await;
    assert_eq!(found, [["020202020202020202020202", "2.0200000000", "1970-01-03T00:00:00Z", "1.50000000000e0", "2"]]);
    check(
        people.clone(),
        &[
            "SELECT age FROM t WHERE _id = '020202020202020202020202'",
            "SELECT age FROM t WHERE name = 'Anna' AND active",
            "SELECT age FROM t WHERE name <> 'Anna'",
            "SELECT age FROM t WHERE name > 'B'",
            "SELECT age FROM t WHERE name LIKE 'J%'",
            "SELECT age FROM t WHERE name IN ('Anna', 'Bob', 'x', 'y')",
            "SELECT age FROM t WHERE age BETWEEN 10 AND 20 OR age = 42",
            "SELECT age FROM t WHERE score > 5",
            "SELECT age FROM t WHERE score < 0.0",
            "SELECT age FROM t WHERE score >= 0.0",
            "SELECT age FROM t WHERE score = 0.0",
            "SELECT age FROM t WHERE price >= CAST('30.30' AS DECIMAL(38, 10))",
            "SELECT age FROM t WHERE NOT active",
            "SELECT age FROM t WHERE born > '1970-02-01T00:00:00.0005Z'",
            "SELECT age FROM t WHERE born = '1970-02-01T00:00:00Z'",
            "SELECT age FROM t WHERE city IS NULL",
            "SELECT age FROM t WHERE city IS NOT NULL AND \"any\" = '5'",
            "SELECT count(*) FROM t WHERE city = 'c1'",
        ],
        &[
            "SELECT count(*) FROM t",
            "SELECT age FROM t WHERE \"any\" = '5'",
            "SELECT age FROM t WHERE _id > '02'",
            "SELECT age FROM t WHERE _id = 'no object id'",
            "SELECT age FROM t WHERE score <> 0.0",
            "SELECT age FROM t WHERE address['city'] = 'Rome'",
        ],
    )
    .await;
    query(&people, "SELECT name FROM t LIMIT 9").await;
    let asked = server.asked.lock().unwrap().last().unwrap().clone();
    assert_eq!(asked.get_document("projection").unwrap(), &doc! {"name": 1, "_id": 0});
    assert_eq!(
        (asked.get_i64("limit").unwrap(), asked.get_document("collation").unwrap().get_str("locale").unwrap()),
        (9, "simple")
    );
    *server.odd.lock().unwrap() = true;
    assert!(failure(&people, "SELECT name FROM t").await.contains("column name"));
    let seen = table(&source, "shop", "seen").await;
    assert_eq!(query(&seen, "SELECT count(*) FROM t WHERE name = 'Anna'").await, [["30"]]);
    assert!(server.asked.lock().unwrap().last().unwrap().get("collation").is_none());
    for name in ["gone", "system.views", ""] {
        assert!(source.open_table("shop", name, None).await.is_err());
    }
}

#[tokio::test]
async fn members_that_the_server_names_are_guarded_too() {
    // The second member is at an address that is never permitted.
    let (port, _server) = Server::default().start(Some("169.254.169.254:27017")).await;
    let (mut context, _cache) = source(port);
    context.credentials.connection_string =
        Some(Secret::new(format!("mongodb://127.0.0.1:{port}/shop?replicaSet=rs0")));
    let source = crate::support::open(&context).await;
    assert!(source.probe().await.is_ok());
    context.guard = crate::support::outbound(false);
    context.config.connection_timeout = 1;
    let outcome = Registry::new().connector(DataSourceType::Mongodb).unwrap().test(&context).await;
    assert!(!outcome.successful);
    assert_eq!(outcome.version, None);
}

#[tokio::test]
async fn failures_are_told_without_the_servers_words() {
    let (port, _server) = Server::default().start(None).await;
    let (mut context, _cache) = source(port);
    context.credentials.username = Some("ann".into());
    context.credentials.password = Some(Secret::new("hunter2"));
    assert!(!format!("{context:?}").contains("hunter2"));
    let outcome = Registry::new().connector(DataSourceType::Mongodb).unwrap().test(&context).await;
    let message = outcome.error_message.unwrap();
    assert!(message.contains("credentials") && !message.contains("secret"), "{message}");
}

#[test]
fn wrong_configurations_name_their_field() {
    let registry = Registry::new();
    let connector = registry.connector(DataSourceType::Mongodb).unwrap();
    for string in [
        "http://h",
        "mongodb://%2Ftmp%2Fmongodb.sock/db",
        "mongodb://h/db?tls=true&tlsCAFile=/etc/passwd",
        "mongodb://h/db?proxyHost=10.0.0.1",
        "mongodb://u@h/db?authMechanism=MONGODB-X509&tls=true",
    ] {
        let credentials = Credentials { connection_string: Some(Secret::new(string)), ..Credentials::default() };
        let wrong = connector.validate(&SourceConfig::new(DataSourceType::Mongodb), &credentials);
        assert_eq!(wrong.iter().map(|w| w.field.as_str()).collect::<Vec<_>>(), ["connection_string"], "{string}");
    }
    let config = json!({"kind": "mongodb", "host": "h", "port": 1, "database_name": "a/b"});
    let wrong = connector.validate(&serde_json::from_value(config).unwrap(), &Credentials::default());
    assert_eq!(wrong[0].field, "database_name");
}
