//! A local server that speaks the chat protocol in the place of a language model.

use std::sync::{Arc, Mutex};

use axum::{Json, Router, extract::State, response::IntoResponse, routing::post};
use rivergen_tests::{Backend, Client, Organization, Server};
use serde_json::{Value, json};

use super::{PATH, send};

/// What the model writes, one answer after the other and the last again and again; `None` where it never answers.
#[derive(Clone)]
pub struct Model {
    answers: &'static [Option<&'static str>],
    seen: Arc<Mutex<Vec<Value>>>,
}

impl Model {
    pub fn answering(answers: &'static [Option<&'static str>]) -> Self {
        Self { answers, seen: Arc::default() }
    }

    /// What it was sent so far.
    pub fn seen(&self) -> Vec<Value> {
        self.seen.lock().unwrap().clone()
    }

    /// A server whose questions go to the model.
    pub async fn server(&self, backend: Backend) -> Server {
        self.server_with(backend, "").await
    }

    /// The same, with more settings of its planner.
    pub async fn server_with(&self, backend: Backend, more: &str) -> Server {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/v1/chat/completions", post(complete)).with_state(self.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        let settings =
            format!("[planner]\nkind = \"chat\"\nbase_url = \"http://{address}\"\nmodel = \"local-model\"\n{more}");
        Server::start(backend, &settings).await
    }
}

/// A question of Acme's Viewer that goes by itself, to a model which never answers.
pub struct Unanswered {
    pub model: Model,
    pub server: Server,
    pub acme: Organization,
    /// Its run.
    pub id: Value,
    pub path: String,
}

impl Unanswered {
    pub async fn ask(backend: Backend) -> Self {
        let model = Model::answering(&[None]);
        let server = model.server(backend).await;
        let acme = server.organization("Acme").await;
        let shop = acme.shop().await;
        let question = json!({"prompt_text": "Orders?", "selected_data_source_ids": [shop.orders]});
        let id = send(&acme.viewer, question).await["execution_id"].clone();
        let path = format!("{PATH}/executions/{id}");
        Self { model, server, acme, id, path }
    }
}

/// Follows a run up to where the model is asked; answers the stream, and what it told.
pub async fn followed(client: &Client, events: &str) -> (reqwest::Response, String) {
    let mut response = client.request(reqwest::Method::GET, events).send().await.unwrap();
    let mut text = String::new();
    while !text.contains("\"phase\":\"generating\"") {
        text.push_str(std::str::from_utf8(&response.chunk().await.unwrap().unwrap()).unwrap());
    }
    (response, text)
}

async fn complete(State(model): State<Model>, Json(request): Json<Value>) -> impl IntoResponse {
    let turn = {
        let mut seen = model.seen.lock().unwrap();
        seen.push(request);
        seen.len() - 1
    };
    let answer = model.answers.get(turn).or(model.answers.last()).copied().flatten();
    let Some(sql) = answer else { return std::future::pending().await };
    let content = json!({"sql": sql, "explanation": "As asked."}).to_string();
    Json(json!({"model": "local-model", "choices": [{"message": {"role": "assistant", "content": content}}],
        "usage": {"total_tokens": 12}}))
}
