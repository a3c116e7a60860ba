//! What is lost on the way: the node of a run, the permission of whoever follows it, the right to rows that were kept.

use reqwest::Method;
use rivergen_tests::{Backend, PostgresDatabase, Server, eventually, on_both_backends};
use serde_json::json;

use super::{
    PATH, ended, events,
    model::{Model, Unanswered, followed},
    send,
};

on_both_backends! {
    a_run_without_its_node_is_ended;
    whoever_may_not_follow_any_more_does_not;
    a_person_follows_few_runs_at_a_time;
    rows_are_not_told_whose_entitlements_have_changed;
}

async fn a_run_without_its_node_is_ended(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let begun =
        send(&acme.viewer, json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]})).await;
    let id = &begun["execution_id"];
    ended(&acme.viewer, id).await;
    // As a server leaves it that is killed while the query runs.
    let last =
        format!("DELETE FROM prompt_execution_events WHERE execution_id = {id} AND event = 'execution.completed'");
    server.execute(&last).await;
    let row = "status = 'processing', query_execution_status = 'in_progress', completed_at = NULL";
    server.execute(&format!("UPDATE prompt_executions SET {row} WHERE id = {id}")).await;
    server.clock().advance(chrono::Duration::minutes(3));
    server.run_due_jobs().await;
    let run = ended(&acme.viewer, id).await;
    assert_eq!((run["status"].as_str(), run["error_code"].as_str()), (Some("failed"), Some("INTERNAL_ERROR")), "{run}");
    assert_eq!(
        (run["ai_processing_status"].as_str(), run["query_execution_status"].as_str()),
        (Some("completed"), Some("failed"))
    );
    assert!(run["completed_at"].is_string() && run["total_duration_ms"].is_i64(), "{run}");
    assert_eq!(events(&server, id).await.last().unwrap(), "execution.failed");
    acme.viewer.client.post_empty(&format!("{PATH}/executions/{id}/cancel")).await.error(409, "CONFLICT");
    server.stop().await;
}

async fn whoever_may_not_follow_any_more_does_not(backend: Backend) {
    let Unanswered { model, server, acme, id, path } = Unanswered::ask(backend).await;
    let (response, _) = followed(&acme.viewer.client, &format!("{path}/events")).await;
    eventually("the model to be asked", async || (!model.seen().is_empty()).then_some(())).await;
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id);
    assert!(acme.owner.client.delete(&member).await.status.is_success());
    // The stream ends, though the run goes on.
    let rest = tokio::time::timeout(rivergen_tests::PATIENCE, response.text()).await.unwrap().unwrap();
    assert!(!rest.contains("execution.cancelled") && !rest.contains("execution.failed"), "{rest}");
    assert_eq!(acme.admin.client.get(&path).await.ok()["status"], "processing");
    acme.admin.client.post_empty(&format!("{path}/cancel")).await.ok();
    ended(&acme.admin, &id).await;
    server.stop().await;
}

async fn a_person_follows_few_runs_at_a_time(backend: Backend) {
    let Unanswered { server, acme, id, path, .. } = Unanswered::ask(backend).await;
    let events = format!("{path}/events");
    let mut streams = Vec::new();
    for _ in 0..20 {
        streams.push(acme.viewer.client.request(Method::GET, &events).send().await.unwrap());
    }
    acme.viewer.client.get(&events).await.error(429, "RATE_LIMITED");
    drop(streams);
    eventually("a stream to be free again", async || {
        let response = acme.viewer.client.request(Method::GET, &events).send().await.unwrap();
        (response.status() == 200).then_some(())
    })
    .await;
    acme.viewer.client.post_empty(&format!("{path}/cancel")).await.ok();
    ended(&acme.viewer, &id).await;
    server.stop().await;
}

async fn rows_are_not_told_whose_entitlements_have_changed(backend: Backend) {
    let model = Model::answering(&[Some("SELECT id FROM notes ORDER BY id")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database
        .execute(
            "CREATE TABLE notes (id integer, customer_id integer);
             CREATE TABLE entitlements (customer_id integer, email text);
             INSERT INTO notes VALUES (1, 10), (2, 20), (3, 30);
             INSERT INTO entitlements VALUES (10, 'viewer@acme.example'), (30, 'viewer@acme.example')",
        )
        .await;
    let source = acme.admin.register(database.source("Notes")).await;
    acme.admin.checked(source).await;
    let condition = "customer_id IN (SELECT customer_id FROM entitlements WHERE email = current_user_email)";
    let policy = json!({"name": "entitled", "type": "row_level_security", "data_source_ids": [source],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "notes", "condition": condition}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    let question = json!({"prompt_text": "Which notes?", "selected_data_source_ids": [source]});
    let told = acme.viewer.client.post(super::EXECUTE, question.clone()).await.ok();
    assert_eq!(told["result_preview"], json!([{"id": 1}, {"id": 3}]), "{told}");
    let kept = ended(&acme.admin, &send(&acme.admin, question.clone()).await["execution_id"]).await;
    assert_eq!(kept["result_preview"].as_array().map(Vec::len), Some(3), "{kept}");
    let kept = ended(&acme.viewer, &send(&acme.viewer, question).await["execution_id"]).await;
    assert_eq!((kept["status"].as_str(), kept["rows_returned"].as_i64()), (Some("completed"), Some(2)), "{kept}");
    assert_eq!(kept["result_preview"], told["result_preview"], "{kept}");
    database.execute("DELETE FROM entitlements WHERE customer_id = 30").await;
    let path = format!("{PATH}/executions/{}", kept["execution_id"]);
    let kept = acme.viewer.client.get(&path).await.ok();
    assert_eq!((kept["status"].as_str(), kept["rows_returned"].as_i64()), (Some("completed"), Some(2)), "{kept}");
    assert!(kept["result_preview"].is_null(), "{kept}");
    acme.viewer.client.get(&format!("/api/v1/queries/{}/result", kept["query_id"])).await.error(409, "CONFLICT");
    server.stop().await;
    database.remove().await;
}
