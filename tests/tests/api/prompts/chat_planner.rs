//! `POST /api/v1/prompts/execute` where a language model writes the SQL: a local server that speaks the chat protocol.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, response::IntoResponse, routing::post};
use rivergen_tests::{Backend, Server, eventually, on_both_backends};
use serde_json::{Value, json};

on_both_backends! {
    what_a_model_writes_is_governed;
    a_model_that_writes_to_tables_is_refused;
    a_question_that_its_client_gives_up_is_ended_on_record;
}

const PATH: &str = "/api/v1/prompts/execute";

/// What the model writes, or `None` where it never answers; and what it was sent.
#[derive(Clone)]
struct Model {
    sql: Option<&'static str>,
    seen: Arc<Mutex<Vec<Value>>>,
}

async fn complete(State(model): State<Model>, Json(request): Json<Value>) -> impl IntoResponse {
    model.seen.lock().unwrap().push(request);
    let Some(sql) = model.sql else { return std::future::pending().await };
    let content = json!({"sql": sql, "explanation": "As asked."}).to_string();
    Json(json!({"model": "local-model", "choices": [{"message": {"role": "assistant", "content": content}}],
        "usage": {"total_tokens": 12}}))
}

/// A server whose questions go to the model.
async fn server(backend: Backend, model: Model) -> Server {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(model);
    tokio::spawn(async move { axum::serve(listener, router).await });
    let settings = format!("[planner]\nkind = \"chat\"\nbase_url = \"http://{address}\"\nmodel = \"local-model\"");
    Server::start(backend, &settings).await
}

async fn what_a_model_writes_is_governed(backend: Backend) {
    let model = Model { sql: Some("SELECT region, count(*) AS n FROM orders GROUP BY region"), seen: Arc::default() };
    let server = server(backend, model.clone()).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let body = json!({"prompt_text": "Orders per region?", "selected_data_source_ids": [shop.orders]});
    let data = acme.viewer.client.post(PATH, body.clone()).await.ok();
    assert_eq!(data["result_preview"], json!([{"region": "US", "n": 4}]), "{data}");
    assert_eq!((data["ai_model"].as_str(), data["explanation"].as_str()), (Some("local-model"), Some("As asked.")));
    let sent = model.seen.lock().unwrap()[0].to_string();
    assert!(sent.contains("Orders per region?"), "{sent}");
    server.stop().await;
}

async fn a_model_that_writes_to_tables_is_refused(backend: Backend) {
    let model = Model { sql: Some("DELETE FROM orders"), seen: Arc::default() };
    let server = server(backend, model).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"prompt_text": "Clean up", "selected_data_source_ids": [shop.orders]});
    acme.admin.client.post(PATH, body).await.error(502, "PLANNER_UNAVAILABLE");
    assert_eq!(acme.admin.value(shop.orders, "SELECT count(*) FROM orders").await, 12);
    server.stop().await;
}

async fn a_question_that_its_client_gives_up_is_ended_on_record(backend: Backend) {
    let model = Model { sql: None, seen: Arc::default() };
    let server = server(backend, model.clone()).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let viewer = acme.viewer.client.clone();
    let body = json!({"prompt_text": "Orders?", "selected_data_source_ids": [shop.orders]});
    let asking = tokio::spawn(async move { viewer.post(PATH, body).await });
    eventually("the model to be asked", async || (!model.seen.lock().unwrap().is_empty()).then_some(())).await;
    asking.abort();
    let ended = "SELECT count(*) FROM prompt_executions WHERE status = 'failed' AND completed_at IS NOT NULL";
    eventually("the run to end", async || (server.count(ended).await == 1).then_some(())).await;
    server.stop().await;
}
