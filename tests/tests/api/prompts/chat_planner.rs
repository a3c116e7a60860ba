//! `POST /api/v1/prompts/execute` where a language model writes the SQL.

use rivergen_tests::{Backend, eventually, on_both_backends};
use serde_json::json;

use super::{EXECUTE, events, model::Model};

on_both_backends! {
    what_a_model_writes_is_governed;
    a_model_that_writes_to_tables_is_refused;
    sql_that_the_engine_refuses_is_mended;
    sql_that_cannot_be_mended_is_told;
    a_question_that_its_client_gives_up_is_ended_on_record;
}

async fn what_a_model_writes_is_governed(backend: Backend) {
    let model = Model::answering(&[Some("SELECT region, count(*) AS n FROM orders GROUP BY region")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let body = json!({"prompt_text": "Orders per region?", "selected_data_source_ids": [shop.orders]});
    let data = acme.viewer.client.post(EXECUTE, body.clone()).await.ok();
    assert_eq!(data["result_preview"], json!([{"region": "US", "n": 4}]), "{data}");
    assert_eq!((data["ai_model"].as_str(), data["explanation"].as_str()), (Some("local-model"), Some("As asked.")));
    let sent = model.seen()[0].to_string();
    assert!(sent.contains("Orders per region?"), "{sent}");
    server.stop().await;
}

async fn a_model_that_writes_to_tables_is_refused(backend: Backend) {
    let model = Model::answering(&[Some("DELETE FROM orders")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"prompt_text": "Clean up", "selected_data_source_ids": [shop.orders]});
    acme.admin.client.post(EXECUTE, body).await.error(502, "PLANNER_UNAVAILABLE");
    assert_eq!(acme.admin.value(shop.orders, "SELECT count(*) FROM orders").await, 12);
    server.stop().await;
}

/// The recorded conversation of the whole loop: the question, SQL that does not fit, the engine's reason, SQL that fits.
async fn sql_that_the_engine_refuses_is_mended(backend: Backend) {
    let model =
        Model::answering(&[Some("SELECT count(nonsense) AS n FROM orders"), Some("SELECT count(*) AS n FROM orders")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
    let data = acme.viewer.client.post(EXECUTE, body).await.ok();
    assert_eq!(data["result_preview"], json!([{"n": 12}]), "{data}");
    let seen = model.seen();
    assert_eq!(seen.len(), 2);
    let conversation = seen[1]["messages"].as_array().unwrap();
    assert_eq!(conversation.len(), 4, "{conversation:?}");
    assert!(conversation[2]["content"].as_str().unwrap().contains("nonsense"), "{conversation:?}");
    assert!(conversation[3]["content"].as_str().unwrap().contains("nonsense"), "{conversation:?}");
    let events = events(&server, &data["execution_id"]).await;
    assert_eq!(events.iter().filter(|event| *event == "execution.sql_generated").count(), 2, "{events:?}");
    // One for the question that left the house, one for the repair.
    assert_eq!(events.iter().filter(|event| *event == "execution.tool_call").count(), 2, "{events:?}");
    server.stop().await;
}

async fn sql_that_cannot_be_mended_is_told(backend: Backend) {
    let model = Model::answering(&[Some("SELECT nonsense FROM orders")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
    acme.viewer.client.post(EXECUTE, body).await.error(400, "INVALID_QUERY");
    // The question, and twice again with the reason.
    assert_eq!(model.seen().len(), 3);
    server.stop().await;
}

async fn a_question_that_its_client_gives_up_is_ended_on_record(backend: Backend) {
    let model = Model::answering(&[None]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let viewer = acme.viewer.client.clone();
    let body = json!({"prompt_text": "Orders?", "selected_data_source_ids": [shop.orders]});
    let asking = tokio::spawn(async move { viewer.post(EXECUTE, body).await });
    eventually("the model to be asked", async || (!model.seen().is_empty()).then_some(())).await;
    asking.abort();
    let ended = "SELECT count(*) FROM prompt_executions WHERE status = 'failed' AND completed_at IS NOT NULL";
    eventually("the run to end", async || (server.count(ended).await == 1).then_some(())).await;
    server.stop().await;
}
