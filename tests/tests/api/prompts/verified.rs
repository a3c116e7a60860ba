//! Feedback on runs, and the verified pairs that come of it.

use rivergen_tests::{Backend, Person, Server, on_both_backends};
use serde_json::{Value, json};

use super::{EXECUTE, PATH, model::Model};

on_both_backends! {
    sql_put_right_and_confirmed_answers_the_question;
    a_pair_is_governed_by_the_callers_policies;
    a_question_like_it_is_an_example;
    feedback_is_ones_own;
    pairs_are_their_organizations;
}

const PAIRS: &str = "/api/v1/prompts/verified-pairs";

async fn ask(person: &Person, source: i64, question: &str) -> rivergen_tests::Answer {
    person.client.post(EXECUTE, json!({"prompt_text": question, "selected_data_source_ids": [source]})).await
}

async fn feedback(person: &Person, run: &Value, body: Value) -> rivergen_tests::Answer {
    person.client.post(&format!("{PATH}/executions/{}/feedback", run["execution_id"]), body).await
}

/// A confirmed pair of a question and its SQL put right.
async fn confirm(acme: &rivergen_tests::Organization, source: i64, question: &str, sql: &str) -> Value {
    let run = ask(&acme.admin, source, question).await.ok();
    let body = json!({"verdict": "wrong", "corrected_query_text": sql, "comment": "Only big ones."});
    let given = feedback(&acme.admin, &run, body).await.ok();
    let verify = format!("{PAIRS}/{}/verify", given["verified_pair_id"]);
    acme.developer.client.post_empty(&verify).await.ok()
}

async fn sql_put_right_and_confirmed_answers_the_question(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = ask(&acme.viewer, shop.orders, "How many orders?").await.ok();
    let body =
        json!({"verdict": "wrong", "corrected_query_text": "SELECT count(*) AS n FROM orders WHERE amount > 50"});
    let given = feedback(&acme.viewer, &run, body).await.ok();
    let pair = format!("{PAIRS}/{}", given["verified_pair_id"]);
    // As long as nobody confirmed it, nothing changes.
    let before = ask(&acme.viewer, shop.orders, "How many orders?").await.ok();
    assert_eq!(before["ai_model"], "embedded", "{before}");
    acme.viewer.client.post_empty(&format!("{pair}/verify")).await.error(403, "FORBIDDEN");
    let list = acme.developer.client.get(&format!("{PAIRS}?status=candidate")).await.ok();
    assert_eq!(
        (list["pagination"]["total_items"].as_i64(), &list["items"][0]["id"]),
        (Some(1), &given["verified_pair_id"])
    );
    let verified = acme.developer.client.post_empty(&format!("{pair}/verify")).await.ok();
    assert_eq!(
        (verified["status"].as_str(), verified["verified_by_user_id"].as_i64()),
        (Some("verified"), Some(acme.developer.id))
    );
    let after = ask(&acme.viewer, shop.orders, "how many ORDERS").await.ok();
    assert_eq!(
        (after["ai_model"].as_str(), &after["result_preview"]),
        (Some("verified"), &json!([{"n": 7}])),
        "{after}"
    );
    // Over other sources it is another question.
    let other = ask(&acme.viewer, shop.products, "How many orders?").await;
    assert_eq!(other.status, 400);
    acme.developer.client.delete(&pair).await.no_content();
    assert_eq!(ask(&acme.viewer, shop.orders, "How many orders?").await.ok()["ai_model"], "embedded");
    assert_eq!(server.audited("prompt.verify_pair", "success").await, 1);
    server.stop().await;
}

async fn a_pair_is_governed_by_the_callers_policies(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    confirm(
        &acme,
        shop.orders,
        "How many orders per region?",
        "SELECT region, count(*) AS n FROM orders GROUP BY region",
    )
    .await;
    let data = ask(&acme.viewer, shop.orders, "How many orders per region?").await.ok();
    assert_eq!(
        (data["ai_model"].as_str(), &data["result_preview"]),
        (Some("verified"), &json!([{"region": "US", "n": 4}]))
    );
    server.stop().await;
}

async fn a_question_like_it_is_an_example(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM orders")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    confirm(
        &acme,
        shop.orders,
        "How many big orders per region?",
        "SELECT count(*) AS big FROM orders WHERE amount > 50",
    )
    .await;
    ask(&acme.viewer, shop.orders, "How many big orders per sku?").await.ok();
    let sent = model.seen().last().unwrap()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(sent.contains("<example>") && sent.contains("amount > 50"), "{sent}");
    // Who could not run it is not shown it, and neither is a model on their behalf.
    let closed = json!({"name": "closed", "type": "access_control", "data_source_ids": [shop.orders],
        "role_ids": [acme.roles["Viewer"]],
        "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": {"table": "orders"}}]});
    acme.admin.client.post("/api/v1/policies", closed).await.created();
    ask(&acme.viewer, shop.orders, "How many big orders per sku?").await;
    let sent = model.seen().last().unwrap()["messages"][1]["content"].as_str().unwrap().to_owned();
    assert!(!sent.contains("amount > 50"), "{sent}");
    server.stop().await;
}

async fn feedback_is_ones_own(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = ask(&acme.viewer, shop.orders, "How many orders?").await.ok();
    for other in [&acme.admin, &acme.developer] {
        feedback(other, &run, json!({"verdict": "right"})).await.error(404, "NOT_FOUND");
    }
    feedback(&acme.viewer, &run, json!({"verdict": "splendid"})).await.invalid("verdict");
    for sql in ["DELETE FROM orders", "SELECT nonsense FROM orders", "SELECT * FROM customers"] {
        let body = json!({"verdict": "wrong", "corrected_query_text": sql});
        feedback(&acme.viewer, &run, body).await.error(400, "INVALID_QUERY");
    }
    let wrong = feedback(&acme.viewer, &run, json!({"verdict": "wrong", "comment": "No."})).await.ok();
    assert!(wrong["verified_pair_id"].is_null());
    let right = feedback(&acme.viewer, &run, json!({"verdict": "right"})).await.ok();
    assert!(right["verified_pair_id"].is_i64());
    assert_eq!(server.audited("prompt.feedback", "success").await, 2);
    server.stop().await;
}

async fn pairs_are_their_organizations(backend: Backend) {
    let server = Server::start(backend, "").await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let pair = confirm(&acme, shop.orders, "How many orders?", "SELECT 1").await;
    let globex = server.organization("Globex").await;
    let path = format!("{PAIRS}/{}", pair["id"]);
    globex.owner.client.delete(&path).await.error(404, "NOT_FOUND");
    globex.owner.client.post_empty(&format!("{path}/verify")).await.error(404, "NOT_FOUND");
    assert_eq!(globex.owner.client.get(PAIRS).await.ok()["pagination"]["total_items"], 0);
    server.stop().await;
}
