//! The planner that asks a model, against a local server that speaks the protocol.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use rivergen_kernel::Secret;
use rivergen_studio::planner::{ChatPlanner, ChatSettings, Plan, PlanError, Planner, Protocol};
use serde_json::{Value, json};

use super::table;

/// What the model does with one request.
#[derive(Clone)]
enum Reply {
    Content(&'static str),
    Status(StatusCode, &'static str),
    Raw(&'static str),
    Huge,
    Silence,
}

/// The model's replies in their order, and what it was sent.
#[derive(Clone, Default)]
struct Model {
    replies: Arc<Mutex<VecDeque<Reply>>>,
    requests: Arc<Mutex<Vec<(HeaderMap, Value)>>>,
}

async fn complete(State(model): State<Model>, headers: HeaderMap, Json(request): Json<Value>) -> Response {
    model.requests.lock().expect("requests").push((headers, request));
    let reply = model.replies.lock().expect("replies").pop_front().expect("a reply for each request");
    match reply {
        Reply::Content(content) => Json(json!({
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "model": "test-model",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content}}],
            "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
        }))
        .into_response(),
        Reply::Status(status, body) => (status, body).into_response(),
        Reply::Raw(body) => body.into_response(),
        Reply::Huge => "x".repeat(2 * 1024 * 1024).into_response(),
        Reply::Silence => std::future::pending().await,
    }
}

async fn ask(replies: &[Reply], question: &str) -> (Result<Plan, PlanError>, Vec<(HeaderMap, Value)>) {
    let model = Model { replies: Arc::new(Mutex::new(replies.iter().cloned().collect())), ..Model::default() };
    let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(model.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = ChatSettings {
        name: "test-model".into(),
        protocol: Protocol::Chat,
        base_url: format!("http://{address}").parse().expect("a URL"),
        model: "test-model".into(),
        api_key: Some(Secret::new("sk-test")),
        timeout: Duration::from_millis(if replies.iter().any(|r| matches!(r, Reply::Silence)) { 200 } else { 10_000 }),
        temperature: Some(0.0),
        share_values: true,
    };
    let planner = ChatPlanner::new(reqwest::Client::new(), settings);
    let (context, _) = table::schema("sales");
    let planned = planner.plan(question, &context).await;
    server.abort();
    let requests = model.requests.lock().expect("requests").clone();
    (planned, requests)
}

const GOOD: &str =
    r#"{"sql": "SELECT count(*) FROM \"orders\".\"files\".\"orders\"", "explanation": "Counts all orders."}"#;

#[tokio::test]
async fn a_good_answer_is_a_plan() {
    let (planned, requests) = ask(&[Reply::Content(GOOD)], "how many orders").await;
    let plan = planned.expect("a plan");
    assert_eq!(plan.sql, "SELECT count(*) FROM \"orders\".\"files\".\"orders\"");
    assert_eq!(plan.explanation, "Counts all orders.");
    assert_eq!((plan.model.as_str(), plan.tokens_used), ("test-model", 100));
    assert!(plan.confidence < 1.0);
    let (headers, request) = &requests[0];
    assert_eq!(headers["authorization"], "Bearer sk-test");
    assert_eq!(request["model"], "test-model");
    assert_eq!(request["response_format"]["type"], "json_object");
    let prompt = request["messages"].to_string();
    assert!(prompt.contains("orders.files.orders") && prompt.contains("how many orders"));
}

#[tokio::test]
async fn fences_and_plain_sql_are_read() {
    for content in [
        "```sql\nSELECT 1\n```",
        "SELECT 1;",
        "<think>hm</think>```json\n{\"sql\":\"SELECT 1\",\"explanation\":\"\"}\n```",
    ] {
        let (planned, _) = ask(&[Reply::Content(content)], "one").await;
        assert_eq!(planned.map(|plan| plan.sql).as_deref(), Ok("SELECT 1"), "{content}");
    }
}

#[tokio::test]
async fn a_wrong_answer_is_sent_back_once_with_the_error() {
    let (planned, requests) =
        ask(&[Reply::Content(r#"{"sql": "SELEC 1", "explanation": "x"}"#), Reply::Content(GOOD)], "how many orders")
            .await;
    let plan = planned.expect("a plan");
    assert_eq!(plan.tokens_used, 200);
    let messages = requests[1].1["messages"].as_array().expect("messages").clone();
    assert_eq!(messages.len(), 4);
    assert!(messages[3]["content"].as_str().expect("text").contains("refused"), "{}", messages[3]);
}

#[tokio::test]
async fn only_one_select_is_accepted() {
    for content in [
        r#"{"sql": "DROP TABLE \"orders\"", "explanation": "x"}"#,
        r#"{"sql": "SELECT 1; DELETE FROM \"orders\"", "explanation": "x"}"#,
        r#"{"sql": "WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a", "explanation": "x"}"#,
        r#"{"sql": "COPY (SELECT 1) TO '/etc/passwd'", "explanation": "x"}"#,
        r#"{"sql": "CREATE EXTERNAL TABLE a STORED AS CSV LOCATION '/etc'", "explanation": "x"}"#,
        "I will not answer.",
        "",
    ] {
        let (planned, requests) = ask(&[Reply::Content(content), Reply::Content(content)], "how many orders").await;
        assert!(matches!(planned, Err(PlanError::InvalidAnswer { .. })), "{content}: {planned:?}");
        assert_eq!(requests.len(), 2, "{content}");
    }
}

#[tokio::test]
async fn a_model_that_cannot_answer_says_so() {
    let no = r#"{"sql": null, "explanation": "There is nothing about the weather."}"#;
    match ask(&[Reply::Content(no)], "what is the weather").await.0 {
        Err(PlanError::NotUnderstood { message, suggestions, .. }) => {
            assert_eq!(message, "There is nothing about the weather.");
            assert!(!suggestions.is_empty());
        }
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn failures_of_the_endpoint_are_told_without_its_words() {
    for (status, expected) in [
        (StatusCode::UNAUTHORIZED, false),
        (StatusCode::NOT_FOUND, false),
        (StatusCode::BAD_REQUEST, false),
        (StatusCode::TOO_MANY_REQUESTS, true),
        (StatusCode::INTERNAL_SERVER_ERROR, true),
        (StatusCode::SERVICE_UNAVAILABLE, true),
    ] {
        let (planned, requests) = ask(&[Reply::Status(status, "secret sk-test details")], "how many orders").await;
        match planned {
            Err(PlanError::Unavailable { message, retryable }) => {
                assert_eq!(retryable, expected, "{status}");
                assert!(!message.contains("sk-test") && !message.contains("details"), "{message}");
            }
            other => panic!("{status}: {other:?}"),
        }
        assert_eq!(requests.len(), 1);
    }
}

#[tokio::test]
async fn garbage_in_the_protocol_is_an_invalid_answer() {
    for reply in [
        Reply::Raw("<html>It works!</html>"),
        Reply::Raw("{}"),
        Reply::Raw(r#"{"choices": [{"message": {"content": null}}]}"#),
        Reply::Raw(r#"{"choices": [{"finish_reason": "length", "message": {"content": "SELECT"}}]}"#),
        Reply::Raw(
            r#"{"choices": [{"finish_reason": "stop", "message": {"content": null, "refusal": "I'm sorry."}}]}"#,
        ),
        Reply::Huge,
    ] {
        let (planned, _) = ask(&[reply], "how many orders").await;
        assert!(matches!(planned, Err(PlanError::InvalidAnswer { .. })), "{planned:?}");
    }
}

#[tokio::test]
async fn a_slow_model_and_a_missing_one_are_unavailable() {
    let (planned, _) = ask(&[Reply::Silence], "how many orders").await;
    assert!(matches!(planned, Err(PlanError::Unavailable { retryable: true, .. })), "{planned:?}");
    let settings = ChatSettings {
        name: "m".into(),
        protocol: Protocol::Chat,
        base_url: "http://127.0.0.1:1".parse().expect("a URL"),
        model: "m".into(),
        api_key: None,
        timeout: Duration::from_secs(5),
        temperature: None,
        share_values: true,
    };
    let planner = ChatPlanner::new(reqwest::Client::new(), settings);
    let (context, _) = table::schema("sales");
    let planned = planner.plan("how many orders", &context).await;
    assert!(matches!(planned, Err(PlanError::Unavailable { retryable: true, .. })), "{planned:?}");
}

#[tokio::test]
async fn an_endless_question_is_not_sent() {
    let (planned, requests) = ask(&[], &"why ".repeat(2000)).await;
    assert!(matches!(planned, Err(PlanError::NotUnderstood { .. })), "{planned:?}");
    assert!(requests.is_empty());
}
