//! `POST /api/v1/prompts/execute`

use rivergen_tests::{Organization, Person, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    two_people_ask_the_same_and_are_answered_rightly;
    what_was_understood_is_said;
    a_question_that_names_nothing_known_is_answered_so;
    a_saved_question_is_kept;
    what_is_hidden_is_answered_like_what_is_not_there;
    what_is_drawn_tells_its_rows_apart;
    what_is_not_valid_is_named;
    anothers_source_is_not_found;
}

const PATH: &str = "/api/v1/prompts/execute";

async fn ask(person: &Person, shop: &Shop, question: &str) -> rivergen_tests::Answer {
    let sources = [shop.orders, shop.crm, shop.products];
    person.client.post(PATH, json!({"prompt_text": question, "selected_data_source_ids": sources})).await
}

async fn governed(server: &Server) -> (Organization, Shop) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    (acme, shop)
}

/// The values of the answer's first row.
fn first_row(data: &Value) -> Vec<Value> {
    data["result_preview"][0].as_object().unwrap_or_else(|| panic!("{data}")).values().cloned().collect()
}

async fn two_people_ask_the_same_and_are_answered_rightly(server: &Server) {
    let (acme, shop) = governed(server).await;
    for (person, region) in [(&acme.developer, "EU"), (&acme.viewer, "US")] {
        let data = ask(person, &shop, "How many orders per region?").await.ok();
        assert_eq!(data["status"], "completed", "{data}");
        assert_eq!(data["rows_returned"], 1, "{data}");
        let row = first_row(&data);
        assert!(row.contains(&json!(region)) && row.contains(&json!(4)), "{data}");
        assert!(data["policies_applied"].as_array().is_some_and(|policies| !policies.is_empty()), "{data}");
    }
    let data = ask(&acme.admin, &shop, "How many orders per region?").await.ok();
    assert_eq!(data["rows_returned"], 3, "{data}");
}

async fn what_was_understood_is_said(server: &Server) {
    let (acme, shop) = governed(server).await;
    let data = ask(&acme.admin, &shop, "How many customers are there?").await.ok();
    assert_eq!(first_row(&data), [json!(6)], "{data}");
    assert!(data["explanation"].as_str().is_some_and(|text| !text.is_empty()), "{data}");
    assert!(data["understood"].as_array().is_some_and(|understood| !understood.is_empty()), "{data}");
    assert_eq!((data["ai_model"].as_str(), data["progress_percentage"].as_i64()), (Some("embedded"), Some(100)));
    assert!(data["prompt_id"].is_null());
    assert_eq!(data["ai_processing_status"], "completed");
    assert_eq!(data["query_execution_status"], "completed");
    let sql = data["generated_query_text"].as_str().unwrap();
    // What was generated can be run as it is.
    assert_eq!(acme.admin.value(shop.crm, sql).await, 6);
    let run = format!("SELECT kind, status FROM query_runs WHERE id = {}", data["query_id"]);
    let run = &server.rows(&run).await[0];
    assert_eq!((run["kind"].as_str(), run["status"].as_str()), (Some("prompt"), Some("succeeded")));
}

async fn a_question_that_names_nothing_known_is_answered_so(server: &Server) {
    let (acme, shop) = governed(server).await;
    let error = ask(&acme.viewer, &shop, "Which penguins sing opera?").await.error(400, "QUESTION_NOT_UNDERSTOOD");
    let nearest = error["details"].as_array().unwrap_or_else(|| panic!("no nearest question: {error}"));
    assert!(!nearest.is_empty());
    let kept = server.rows("SELECT status, error_code, completed_at FROM prompt_executions").await;
    assert_eq!(
        (kept[0]["status"].as_str(), kept[0]["error_code"].as_str()),
        (Some("failed"), Some("QUESTION_NOT_UNDERSTOOD"))
    );
    assert!(!kept[0]["completed_at"].is_null());
    assert_eq!(server.count("SELECT count(*) FROM query_runs").await, 0);
}

async fn a_saved_question_is_kept(server: &Server) {
    let (acme, shop) = governed(server).await;
    let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders], "save_prompt": true,
        "name": "Orders", "tags": ["sales"]});
    let data = acme.viewer.client.post(PATH, body).await.ok();
    assert!(data["prompt_id"].is_i64(), "{data}");
    assert_eq!(server.count("SELECT count(*) FROM prompts").await, 1);
    assert_eq!(server.audited("prompt.save", "success").await, 1);
}

async fn what_is_hidden_is_answered_like_what_is_not_there(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let close = async |what: Value| {
        let body = json!({"name": format!("closed: {what}"), "type": "access_control", "data_source_ids": [shop.crm],
            "role_ids": [acme.roles["Viewer"]],
            "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": what}]});
        acme.admin.client.post("/api/v1/policies", body).await.created();
    };
    let ask = async |person: &Person, question: &str, schemas: Value| {
        let body = json!({"prompt_text": question, "selected_data_source_ids": [shop.crm],
            "selected_schema_names": schemas});
        person.client.post(PATH, body).await
    };
    let told_nothing = async |question: &str, word: &str, name: &str| {
        let error = ask(&acme.viewer, question, json!([])).await.error(400, "QUESTION_NOT_UNDERSTOOD");
        let unknown = json!({"field": "unknown_word", "reason": word});
        assert!(error["details"].as_array().is_some_and(|details| details.contains(&unknown)), "{error}");
        assert!(!error.to_string().contains(name), "{error}");
    };
    close(json!({"table": "customers", "columns": ["card_number"]})).await;
    told_nothing("customers with a card", "card", "card_number").await;
    close(json!({"table": "customers"})).await;
    told_nothing("How many customers are there?", "customers", "main.customers").await;
    ask(&acme.viewer, "How many customers are there?", json!(["main"])).await.invalid("selected_schema_names");
    let whole = ask(&acme.admin, "How many customers are there?", json!(["main"])).await.ok();
    assert_eq!(first_row(&whole), [json!(6)]);
}

async fn what_is_drawn_tells_its_rows_apart(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let chart = async |question: &str| {
        let body = json!({"prompt_text": question, "selected_data_source_ids": [shop.orders]});
        acme.admin.client.post(PATH, body).await.ok()["chart"].clone()
    };
    let groups = chart("How many orders per region?").await;
    assert_eq!((&groups["mark"]["type"], &groups["encoding"]["yOffset"]), (&json!("bar"), &Value::Null), "{groups}");
    // Averages are not stacked, which would add them up.
    let averages = chart("Average amount of orders per region and sku").await;
    assert_eq!(averages["encoding"]["yOffset"]["field"], averages["encoding"]["color"]["field"], "{averages}");
    assert!(averages["encoding"]["color"]["field"].is_string(), "{averages}");
    // Four orders of each region would be bars in one place.
    let orders = chart("list region and amount of orders").await;
    assert!(orders.is_null(), "{orders}");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let post = async |body: Value| viewer.client.post(PATH, body).await;
    post(json!({"selected_data_source_ids": [1]})).await.invalid("prompt_text");
    post(json!({"prompt_text": "", "selected_data_source_ids": [1]})).await.invalid("prompt_text");
    post(json!({"prompt_text": "How many?"})).await.invalid("selected_data_source_ids");
    post(json!({"prompt_text": "How many?", "selected_data_source_ids": []})).await.invalid("selected_data_source_ids");
    post(json!({"prompt_text": "How many?", "selected_data_source_ids": ["x"]}))
        .await
        .invalid("selected_data_source_ids[0]");
    let model = json!({"prompt_text": "How many?", "selected_data_source_ids": [1], "ai_model": "gpt-17"});
    assert!([400, 422].contains(&post(model).await.status.as_u16()));
    server.anonymous().post(PATH, json!({})).await.error(401, "UNAUTHORIZED");
}

async fn anothers_source_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let mine = globex.admin.file_source("Orders", "csv", "orders.csv", b"a\n1\n".to_vec()).await;
    let theirs = acme.admin.file_source("Orders", "csv", "orders.csv", b"a\n1\n".to_vec()).await;
    let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [mine, theirs]});
    globex.owner.client.post(PATH, body).await.error(404, "NOT_FOUND");
    let body = json!({"prompt_text": "How many orders?", "selected_data_source_ids": [mine],
        "workspace_id": acme.workspace_id});
    globex.owner.client.post(PATH, body).await.error(404, "WORKSPACE_NOT_FOUND");
}
