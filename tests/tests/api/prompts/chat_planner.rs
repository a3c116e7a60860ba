//! `POST /api/v1/prompts/execute` where a language model writes the SQL.

use rivergen_tests::{Backend, Organization, PostgresDatabase, Shop, eventually, on_both_backends};
use serde_json::{Value, json};

use super::{EXECUTE, events, model::Model};

on_both_backends! {
    what_a_model_writes_is_governed;
    values_that_one_is_not_entitled_to_any_more_are_not_told;
    where_a_policy_counts_queries_no_values_are_looked_for;
    a_model_that_writes_to_tables_is_refused;
    sql_that_the_engine_refuses_is_mended;
    sql_that_cannot_be_mended_is_told;
    a_question_that_its_client_gives_up_is_ended_on_record;
    an_organization_has_its_part_of_the_operators_model;
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

/// Values of columns are kept for the next question; not where another table says whose they are.
async fn values_that_one_is_not_entitled_to_any_more_are_not_told(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM notes")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    let email = &acme.viewer.email;
    database
        .execute(&format!(
            "CREATE TABLE notes (customer_id int, subject text); INSERT INTO notes VALUES (1, 'merger'), (2, 'picnic'); \
             CREATE TABLE entitlements (customer_id int, email text); \
             INSERT INTO entitlements VALUES (1, '{email}'), (2, '{email}')"
        ))
        .await;
    let source = acme.admin.register(database.source("Notes")).await;
    acme.admin.checked(source).await;
    let condition = "customer_id IN (SELECT customer_id FROM entitlements WHERE email = current_user_email)";
    let policy = json!({"name": "Entitled", "type": "row_level_security", "data_source_ids": [source],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "notes", "condition": condition}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    let told = async || {
        let body = json!({"prompt_text": "How many notes?", "selected_data_source_ids": [source]});
        acme.viewer.client.post(EXECUTE, body).await.ok();
        let sent = model.seen().pop().unwrap().to_string();
        ["merger", "picnic"].map(|value| sent.contains(value))
    };
    assert_eq!(told().await, [true, true]);
    database.execute("DELETE FROM entitlements WHERE customer_id = 1").await;
    assert_eq!(told().await, [false, true]);
    database.remove().await;
    server.stop().await;
}

/// A question asks for one query, and is counted as one.
async fn where_a_policy_counts_queries_no_values_are_looked_for(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM orders")]);
    let server = model.server(backend).await;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let policy = json!({"name": "Few", "type": "query_limit", "data_source_ids": [shop.orders],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "r", "rule_type": "limit_query",
            "rule_config": {"max_queries_per_hour": 50}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    for (person, knows_values) in [(&acme.developer, true), (&acme.viewer, false)] {
        let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
        person.client.post(EXECUTE, body).await.ok();
        let sent = model.seen().pop().unwrap().to_string();
        assert_eq!(sent.contains("APAC"), knows_values, "{sent}");
    }
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
    // What was sent counts: a token for three bytes.
    let spent = eventually("what was sent to count", async || {
        let told = acme.owner.client.get("/api/v1/prompts/planners").await.ok();
        told["operators_tokens_this_month"].as_u64().filter(|tokens| *tokens > 0)
    })
    .await;
    let sent: usize = model.seen()[0]["messages"].as_array().unwrap().iter().map(text_bytes).sum();
    assert_eq!(spent, sent.div_ceil(3) as u64);
    assert_eq!(server.count("SELECT requests FROM prompt_planner_months").await, 1);
    server.stop().await;
}

fn text_bytes(message: &Value) -> usize {
    message["content"].as_str().unwrap().len()
}

/// An answer takes 12 tokens.
async fn an_organization_has_its_part_of_the_operators_model(backend: Backend) {
    let model = Model::answering(&[Some("SELECT count(*) AS n FROM orders")]);
    let server = model.server_with(backend, "monthly_tokens = 12\nfalls_back = true\n").await;
    let ask = async |organization: &Organization, shop: &Shop| {
        let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders]});
        organization.viewer.client.post(EXECUTE, body).await.ok()["ai_model"].clone()
    };
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    assert_eq!(ask(&acme, &shop).await, "local-model");
    assert_eq!(ask(&acme, &shop).await, "embedded");
    let globex = server.organization("Globex").await;
    let theirs = globex.shop().await;
    assert_eq!(ask(&globex, &theirs).await, "local-model");
    assert_eq!(model.seen().len(), 2);
    let told = acme.owner.client.get("/api/v1/prompts/planners").await.ok();
    assert_eq!(told["operators"], json!(["local-model", "embedded"]), "{told}");
    assert_eq!(told["operators_tokens_this_month"], 12, "{told}");
    server.stop().await;
}
