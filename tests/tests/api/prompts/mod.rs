mod analytics;
mod chat_planner;
mod clarify;
mod conversation;
mod execute;
mod glossary;
mod history;
mod live;
mod local_model;
mod lost;
mod model;
mod planners;
mod saved;
pub(crate) mod schedules;
mod semantics;
mod templates;
mod verified;

use rivergen_tests::{Person, Server, Shop};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/prompts";
const EXECUTE: &str = "/api/v1/prompts/execute";

/// Asks and saves a question about the orders; answers the run.
async fn save(person: &Person, shop: &Shop, question: &str, name: &str) -> Value {
    let body = json!({"prompt_text": question, "selected_data_source_ids": [shop.orders], "save_prompt": true, "name": name,
        "tags": ["sales"]});
    person.client.post(EXECUTE, body).await.ok()
}

/// Lets a question go by itself; answers its run.
async fn send(person: &Person, body: Value) -> Value {
    let request = person.client.request(reqwest::Method::POST, EXECUTE).header("prefer", "respond-async");
    let answer = person.client.send(request.json(&body)).await;
    assert_eq!(answer.headers["preference-applied"], "respond-async", "{answer:?}");
    answer.ok()
}

/// The run of that id, when it has ended.
async fn ended(person: &Person, id: &Value) -> Value {
    let path = format!("{PATH}/executions/{id}");
    rivergen_tests::eventually("the run to end", async || {
        let run = person.client.get(&path).await.ok();
        (run["status"] != "processing").then_some(run)
    })
    .await
}

/// The names of a run's events on record, in order.
async fn events(server: &Server, id: &Value) -> Vec<String> {
    let rows = format!("SELECT event FROM prompt_execution_events WHERE execution_id = {id} ORDER BY seq");
    server.rows(&rows).await.iter().map(|row| row["event"].as_str().unwrap().to_owned()).collect()
}
