//! Statements that a service may have heard although nobody heard it answer: none of them starts twice.

use std::sync::{Arc, Mutex};

use rivergen_connectors::{ConnectorError, Credentials, DataSourceType};
use rivergen_kernel::secret::Secret;
use serde_json::Value;
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use crate::support::open;
use crate::support::warehouse::configured;

/// A service that hears every request and answers none; what it heard, each with its body.
async fn mute() -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(Vec::new()));
    let all = heard.clone();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let request = request(stream).await;
            all.lock().unwrap().push(request);
        }
    });
    (port, heard)
}

/// Reads one request; the connection ends then.
async fn request(mut stream: TcpStream) -> String {
    let mut request = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap();
        request.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let whole = request.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let head = head.to_lowercase();
            let length =
                head.lines().find_map(|line| line.strip_prefix("content-length:")?.trim().parse::<usize>().ok());
            body.len() >= length.unwrap_or(0)
        });
        if whole || read == 0 {
            return request;
        }
    }
}

/// What the service heard of one statement, and how it ended here.
async fn heard_of(kind: DataSourceType, credentials: Credentials) -> (Vec<String>, ConnectorError) {
    let (port, heard) = mute().await;
    let (context, _cache) = configured(kind, credentials, port, |config, _| config.max_retries = 2);
    let error = open(&context).await.probe().await.unwrap_err();
    let heard = heard.lock().unwrap().clone();
    (heard, error)
}

#[tokio::test]
async fn a_second_attempt_at_snowflake_and_bigquery_is_known_for_one() {
    let credentials = Credentials {
        username: Some("ann".into()),
        password: Some(Secret::new("pat-secret")),
        warehouse: Some("WH".into()),
        ..Credentials::default()
    };
    let (heard, error) = heard_of(DataSourceType::Snowflake, credentials).await;
    assert!(matches!(error, ConnectorError::Unreachable { .. }), "{error:?}");
    let lines: Vec<&str> = heard.iter().filter_map(|request| request.lines().next()).collect();
    let id = |line: &str| line.split_once("requestId=").unwrap().1.split(['&', ' ']).next().unwrap().to_owned();
    assert_eq!(lines.len(), 3);
    assert_eq!(id(lines[0]).len(), 36, "{lines:?}");
    assert!(lines.iter().all(|line| id(line) == id(lines[0])), "{lines:?}");
    assert_eq!(lines.iter().map(|line| line.contains("&retry=true")).collect::<Vec<_>>(), [false, true, true]);

    let credentials = Credentials { oauth_token: Some(Secret::new("ya29-secret")), ..Credentials::default() };
    let (heard, _) = heard_of(DataSourceType::Bigquery, credentials).await;
    let id = |request: &String| {
        let body: Value = serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap();
        body["requestId"].as_str().unwrap().to_owned()
    };
    let ids: Vec<String> = heard.iter().map(id).collect();
    assert!(ids.len() == 3 && ids[0].len() == 36 && ids.iter().all(|id| *id == ids[0]), "{ids:?}");
}

#[tokio::test]
async fn trino_and_databricks_are_not_asked_twice() {
    let trino = Credentials { username: Some("ann".into()), ..Credentials::default() };
    let databricks = Credentials {
        warehouse: Some("w1".into()),
        api_key: Some(Secret::new("dapi-secret")),
        ..Credentials::default()
    };
    for (kind, credentials) in [(DataSourceType::Trino, trino), (DataSourceType::Databricks, databricks)] {
        let (heard, error) = heard_of(kind, credentials).await;
        assert_eq!(heard.len(), 1, "{kind}");
        assert!(heard[0].starts_with("POST "), "{kind}");
        assert!(matches!(error, ConnectorError::Interrupted { .. }), "{kind}: {error:?}");
        assert!(error.to_string().contains("not sent again"), "{kind}: {error}");
    }
}
