//! Models at their providers, each in its own protocol: a whole conversation as it goes over the wire. The shapes of requests
//! and answers are those of the providers' public documentation; no provider is asked here.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use axum::{Json, Router};
use rivergen_kernel::Secret;
use rivergen_studio::planner::{ChatPlanner, ChatSettings, Plan, PlanError, Planner, Protocol, Refused};
use serde_json::{Value, json};

use super::table;

/// A request as it came in.
#[derive(Debug, Clone)]
struct Sent {
    method: Method,
    path: String,
    headers: HeaderMap,
    body: Value,
}

/// In a provider's place: its answers in their order, and what it was sent.
#[derive(Clone)]
struct Wire {
    answers: Arc<Mutex<VecDeque<(u16, Value)>>>,
    sent: Arc<Mutex<Vec<Sent>>>,
}

/// A planner, and whom it asks.
struct Provider {
    wire: Wire,
    planner: ChatPlanner,
}

async fn answer(
    State(wire): State<Wire>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    Json(body): Json<Value>,
) -> Response {
    let path = uri.to_string();
    wire.sent.lock().expect("requests").push(Sent { method, path, headers, body });
    let (status, body) = wire.answers.lock().expect("answers").pop_front().expect("an answer for each request");
    (StatusCode::from_u16(status).expect("a status"), Json(body)).into_response()
}

impl Provider {
    async fn start(protocol: Protocol, model: &str, answers: &[(u16, Value)]) -> Self {
        let wire = Wire { answers: Arc::new(Mutex::new(answers.iter().cloned().collect())), sent: Arc::default() };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let router = Router::new().fallback(answer).with_state(wire.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let settings = ChatSettings {
            name: "ours".into(),
            protocol,
            base_url: format!("http://{address}").parse().expect("a URL"),
            model: model.into(),
            api_key: Some(Secret::new("key-of-ours")),
            timeout: Duration::from_secs(10),
            temperature: Some(0.0),
            share_values: true,
        };
        let planner = ChatPlanner::new(reqwest::Client::new(), settings);
        Self { wire, planner }
    }

    async fn plan(&self, question: &str) -> Result<Plan, PlanError> {
        self.planner.plan(question, &table::schema("sales").0).await
    }

    /// What it was sent; all its answers must have been taken.
    fn sent(&self) -> Vec<Sent> {
        assert!(self.wire.answers.lock().expect("answers").is_empty(), "there are answers that nobody asked for");
        self.wire.sent.lock().expect("requests").clone()
    }
}

const GOOD: &str = "SELECT count(*) FROM \"orders\".\"files\".\"orders\"";

fn anthropic(stop_reason: &str, content: &Value) -> (u16, Value) {
    let answer = json!({
        "id": "msg_01XFDUDYJgAACzvnptvVoYEL",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "content": content,
        "stop_reason": stop_reason,
        "stop_sequence": null,
        "usage": {"input_tokens": 80, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 10, "output_tokens": 10,
            "service_tier": "standard"}
    });
    (200, answer)
}

/// The use of the tool that the answer is asked for with.
fn tool_use(input: &Value) -> Value {
    json!([{"type": "tool_use", "id": "toolu_01A09q90qw90lq917835lq9", "name": "answer", "input": input}])
}

fn gemini(finish_reason: &str, parts: &Value) -> (u16, Value) {
    let answer = json!({
        "candidates": [{"content": {"parts": parts, "role": "model"}, "finishReason": finish_reason, "index": 0}],
        "usageMetadata": {"promptTokenCount": 80, "candidatesTokenCount": 10, "thoughtsTokenCount": 10, "totalTokenCount": 100},
        "modelVersion": "gemini-2.5-flash",
        "responseId": "mAitaLmkHPPlz7IPvtfUqQ4"
    });
    (200, answer)
}

fn text(sql: &str) -> Value {
    json!([{"text": json!({"sql": sql, "explanation": "Counts all orders."}).to_string()}])
}

fn openai(finish_reason: &str, message: &Value) -> (u16, Value) {
    let answer = json!({
        "id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT",
        "object": "chat.completion",
        "created": 1_741_569_952,
        "model": "gpt-4.1",
        "choices": [{"index": 0, "message": message, "logprobs": null, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 90, "completion_tokens": 10, "total_tokens": 100}
    });
    (200, answer)
}

fn said(sql: &str) -> Value {
    let content = json!({"sql": sql, "explanation": "Counts all orders."}).to_string();
    json!({"role": "assistant", "content": content, "refusal": null, "annotations": []})
}

/// The names of an object.
fn names(object: &Value) -> BTreeSet<&str> {
    object.as_object().expect("an object").keys().map(String::as_str).collect()
}

#[tokio::test]
async fn a_conversation_in_anthropics_protocol() {
    let broken = json!({"sql": "SELEC 1", "explanation": "Broken."});
    let good = json!({"sql": GOOD, "explanation": "Counts all orders."});
    let answers = [anthropic("tool_use", &tool_use(&broken)), anthropic("tool_use", &tool_use(&good))];
    let provider = Provider::start(Protocol::Anthropic, "claude-sonnet-4-5", &answers).await;
    let plan = provider.plan("how many orders").await.expect("a plan");
    assert_eq!((plan.sql.as_str(), plan.explanation.as_str()), (GOOD, "Counts all orders."));
    assert_eq!((plan.model.as_str(), plan.tokens_used), ("ours", 200));

    let sent = provider.sent();
    for request in &sent {
        assert_eq!((&request.method, request.path.as_str()), (&Method::POST, "/v1/messages"));
        assert_eq!(request.headers["x-api-key"], "key-of-ours");
        assert_eq!(request.headers["anthropic-version"], "2023-06-01");
        assert_eq!(request.headers[header::CONTENT_TYPE], "application/json");
        assert!(!request.headers.contains_key(header::AUTHORIZATION));
        assert_eq!(
            names(&request.body),
            BTreeSet::from(["model", "max_tokens", "system", "messages", "tools", "tool_choice"])
        );
        assert_eq!(request.body["model"], "claude-sonnet-4-5");
        assert!(request.body["max_tokens"].as_u64().is_some_and(|most| most >= 1000), "{}", request.body);
        assert!(request.body["system"].as_str().is_some_and(|system| system.contains("DataFusion")));
        assert_eq!(request.body["tool_choice"], json!({"type": "tool", "name": "answer"}));
        let [tool] = request.body["tools"].as_array().expect("tools").as_slice() else { panic!("one tool") };
        assert_eq!(names(tool), BTreeSet::from(["name", "description", "input_schema"]));
        let schema = json!({"type": "object", "required": ["sql", "explanation"],
            "properties": {"sql": {"type": ["string", "null"]}, "explanation": {"type": "string"}}});
        assert_eq!((&tool["name"], &tool["input_schema"]), (&json!("answer"), &schema));
    }
    let first = sent[0].body["messages"].as_array().expect("messages");
    assert_eq!(first.len(), 1);
    assert_eq!(first[0]["role"], "user");
    let asked = first[0]["content"].as_str().expect("text");
    assert!(asked.contains("orders.files.orders") && asked.contains("how many orders"), "{asked}");
    let second = sent[1].body["messages"].as_array().expect("messages");
    let roles: Vec<&Value> = second.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["user", "assistant", "user"]);
    assert!(second[1]["content"].as_str().is_some_and(|said| said.contains("SELEC 1")), "{}", second[1]);
    assert!(second[2]["content"].as_str().is_some_and(|said| said.contains("refused")), "{}", second[2]);
}

#[tokio::test]
async fn a_conversation_in_geminis_protocol() {
    let thoughtful = json!([{"text": "Let me think.", "thought": true}, text(GOOD)[0]]);
    let answers = [gemini("STOP", &text("SELEC 1")), gemini("STOP", &thoughtful)];
    let provider = Provider::start(Protocol::Gemini, "gemini-2.5-flash", &answers).await;
    let plan = provider.plan("how many orders").await.expect("a plan");
    assert_eq!((plan.sql.as_str(), plan.explanation.as_str()), (GOOD, "Counts all orders."));
    assert_eq!((plan.model.as_str(), plan.tokens_used), ("ours", 200));

    let sent = provider.sent();
    for request in &sent {
        let path = "/v1beta/models/gemini-2.5-flash:generateContent";
        assert_eq!((&request.method, request.path.as_str()), (&Method::POST, path));
        assert_eq!(request.headers["x-goog-api-key"], "key-of-ours");
        assert!(!request.headers.contains_key(header::AUTHORIZATION));
        assert_eq!(names(&request.body), BTreeSet::from(["systemInstruction", "contents", "generationConfig"]));
        let system = &request.body["systemInstruction"];
        assert_eq!(names(system), BTreeSet::from(["parts"]));
        assert!(system["parts"][0]["text"].as_str().is_some_and(|text| text.contains("DataFusion")), "{system}");
        let schema = json!({"type": "OBJECT", "required": ["sql", "explanation"], "propertyOrdering": ["sql", "explanation"],
            "properties": {"sql": {"type": "STRING", "nullable": true}, "explanation": {"type": "STRING"}}});
        let config = json!({"responseMimeType": "application/json", "responseSchema": schema});
        assert_eq!(request.body["generationConfig"], config);
    }
    let first = sent[0].body["contents"].as_array().expect("contents");
    assert_eq!((first.len(), &first[0]["role"]), (1, &json!("user")));
    let asked = first[0]["parts"][0]["text"].as_str().expect("text");
    assert!(asked.contains("orders.files.orders") && asked.contains("how many orders"), "{asked}");
    let second = sent[1].body["contents"].as_array().expect("contents");
    let roles: Vec<&Value> = second.iter().map(|content| &content["role"]).collect();
    assert_eq!(roles, ["user", "model", "user"]);
    assert!(second[1]["parts"][0]["text"].as_str().is_some_and(|said| said.contains("SELEC 1")), "{}", second[1]);
}

#[tokio::test]
async fn a_conversation_in_openais_protocol() {
    let answers = [openai("stop", &said("SELEC 1")), openai("stop", &said(GOOD))];
    let provider = Provider::start(Protocol::Chat, "gpt-4.1", &answers).await;
    let plan = provider.plan("how many orders").await.expect("a plan");
    assert_eq!((plan.sql.as_str(), plan.explanation.as_str()), (GOOD, "Counts all orders."));
    assert_eq!((plan.model.as_str(), plan.tokens_used), ("ours", 200));
    let sent = provider.sent();
    for request in &sent {
        assert_eq!((&request.method, request.path.as_str()), (&Method::POST, "/v1/chat/completions"));
        assert_eq!(request.headers[header::AUTHORIZATION], "Bearer key-of-ours");
        assert_eq!(
            names(&request.body),
            BTreeSet::from(["model", "messages", "temperature", "response_format", "stream"])
        );
        assert_eq!(request.body["response_format"], json!({"type": "json_object"}));
    }
    let second = sent[1].body["messages"].as_array().expect("messages");
    let roles: Vec<&Value> = second.iter().map(|message| &message["role"]).collect();
    assert_eq!(roles, ["system", "user", "assistant", "user"]);
}

#[tokio::test]
async fn tokens_beyond_all_measure_are_not_believed() {
    let mut answers = [openai("stop", &said("SELEC 1")), openai("stop", &said(GOOD))];
    for (_, answer) in &mut answers {
        answer["usage"]["total_tokens"] = json!(u64::MAX);
    }
    let provider = Provider::start(Protocol::Chat, "m", &answers).await;
    let plan = provider.plan("how many orders").await.expect("a plan");
    // Of a number that no database adds up, a month's sum would be none.
    assert_eq!(plan.tokens_used, 2_000_000_000);
}

#[tokio::test]
async fn what_the_engine_refuses_goes_back_with_its_reason() {
    let good = tool_use(&json!({"sql": GOOD, "explanation": "Counts all orders."}));
    for (protocol, answer, turns) in [
        (Protocol::Chat, openai("stop", &said(GOOD)), "messages"),
        (Protocol::Anthropic, anthropic("tool_use", &good), "messages"),
        (Protocol::Gemini, gemini("STOP", &text(GOOD)), "contents"),
    ] {
        let provider = Provider::start(protocol, "m", &[answer]).await;
        let refused = Refused { sql: "SELECT nonsense FROM orders", reason: "there is no column nonsense" };
        let context = table::schema("sales").0;
        let repaired = provider.planner.repair("how many orders", &context, refused).await.expect("another try");
        assert_eq!(repaired.map(|plan| plan.sql).as_deref(), Ok(GOOD), "{protocol:?}");
        let sent = provider.sent()[0].body[turns].to_string();
        assert!(sent.contains("SELECT nonsense FROM orders"), "{protocol:?}: {sent}");
        assert!(sent.contains("there is no column nonsense"), "{protocol:?}: {sent}");
    }
}

#[tokio::test]
async fn a_model_without_an_answer_says_so_in_each_protocol() {
    let no = json!({"sql": null, "explanation": "There is no weather here."});
    for (protocol, answer) in [
        (Protocol::Chat, openai("stop", &json!({"role": "assistant", "content": no.to_string()}))),
        (Protocol::Anthropic, anthropic("tool_use", &tool_use(&no))),
        (Protocol::Gemini, gemini("STOP", &json!([{"text": no.to_string()}]))),
    ] {
        match Provider::start(protocol, "m", &[answer]).await.plan("what is the weather").await {
            Err(PlanError::NotUnderstood { message, .. }) => assert_eq!(message, "There is no weather here."),
            other => panic!("{protocol:?}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn refusals_and_cut_answers_are_no_plans() {
    let half = json!([{"type": "text", "text": "{\"sql\": \"SELECT"}]);
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT", "safetyRatings": []},
        "usageMetadata": {"promptTokenCount": 80, "totalTokenCount": 80}, "modelVersion": "gemini-2.5-flash"});
    let refusal = json!({"role": "assistant", "content": null, "refusal": "I'm sorry, I can't help with that."});
    for (protocol, answer, why) in [
        (Protocol::Chat, openai("content_filter", &said("")), "refused"),
        (Protocol::Chat, openai("stop", &refusal), "refused"),
        (Protocol::Chat, openai("length", &said("SELECT")), "cut off"),
        (Protocol::Anthropic, anthropic("refusal", &json!([])), "refused"),
        (Protocol::Anthropic, anthropic("max_tokens", &half), "cut off"),
        (Protocol::Anthropic, anthropic("model_context_window_exceeded", &half), "cut off"),
        (Protocol::Anthropic, anthropic("end_turn", &json!([])), "no answer"),
        (Protocol::Gemini, gemini("SAFETY", &json!([])), "refused"),
        (Protocol::Gemini, gemini("RECITATION", &text("SELECT")), "refused"),
        (Protocol::Gemini, (200, blocked), "refused"),
        (Protocol::Gemini, gemini("MAX_TOKENS", &json!([{"text": "{\"sql\""}])), "cut off"),
        (Protocol::Gemini, gemini("MALFORMED_FUNCTION_CALL", &json!([])), "no answer"),
        (Protocol::Anthropic, (200, json!({"type": "pong"})), "protocol"),
    ] {
        let provider = Provider::start(protocol, "m", std::slice::from_ref(&answer)).await;
        match provider.plan("how many orders").await {
            Err(PlanError::InvalidAnswer { message }) => assert!(message.contains(why), "{answer:?}: {message}"),
            other => panic!("{answer:?}: {other:?}"),
        }
        assert_eq!(provider.sent().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn errors_are_told_as_what_they_are_without_the_providers_words() {
    let claude = |kind: &str| {
        json!({"type": "error", "error": {"type": kind, "message": "about key-of-ours"},
        "request_id": "req_011CSHoEeqs5C35K2UUqR7Fy"})
    };
    let google = |code: u16, status: &str, details: Value| {
        json!({"error": {"code": code, "message": "about key-of-ours",
        "status": status, "details": details}})
    };
    let bad_key = json!([{"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": "API_KEY_INVALID",
        "domain": "googleapis.com", "metadata": {"service": "generativelanguage.googleapis.com"}}]);
    let openai =
        |code: &str| json!({"error": {"message": "about key-of-ours", "type": "x", "param": null, "code": code}});
    use Protocol::{Anthropic, Chat, Gemini};
    for (protocol, status, body, retryable, why) in [
        (Chat, 401, openai("invalid_api_key"), false, "API key"),
        (Chat, 404, openai("model_not_found"), false, "does not exist"),
        (Chat, 429, openai("rate_limit_exceeded"), true, "capacity"),
        (Anthropic, 401, claude("authentication_error"), false, "API key"),
        (Anthropic, 402, claude("billing_error"), false, "paid"),
        (Anthropic, 403, claude("permission_error"), false, "API key"),
        (Anthropic, 404, claude("not_found_error"), false, "does not exist"),
        (Anthropic, 413, claude("request_too_large"), false, "413"),
        (Anthropic, 429, claude("rate_limit_error"), true, "capacity"),
        (Anthropic, 500, claude("api_error"), true, "500"),
        (Anthropic, 529, claude("overloaded_error"), true, "capacity"),
        (Gemini, 400, google(400, "INVALID_ARGUMENT", bad_key), false, "API key"),
        (Gemini, 400, google(400, "INVALID_ARGUMENT", json!([])), false, "400"),
        (Gemini, 403, google(403, "PERMISSION_DENIED", json!([])), false, "API key"),
        (Gemini, 429, google(429, "RESOURCE_EXHAUSTED", json!([])), true, "capacity"),
        (Gemini, 503, google(503, "UNAVAILABLE", json!([])), true, "capacity"),
    ] {
        let provider = Provider::start(protocol, "m", &[(status, body)]).await;
        match provider.plan("how many orders").await {
            Err(PlanError::Unavailable { message, retryable: told }) => {
                assert_eq!(told, retryable, "{protocol:?} {status}");
                assert!(message.contains(why), "{protocol:?} {status}: {message}");
                assert!(!message.contains("key-of-ours"), "{protocol:?} {status}: {message}");
            }
            other => panic!("{protocol:?} {status}: {other:?}"),
        }
    }
}
