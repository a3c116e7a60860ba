//! `/api/v1/prompts/semantic-layer`: what people say of the data, and what questions make of it.

use rivergen_tests::{Organization, Person, Server, Shop, on_both_databases};
use serde_json::{Value, json};

use super::{EXECUTE, PATH};

on_both_databases! {
    a_metric_answers_a_question;
    what_is_wrong_is_told_with_its_place;
    what_one_may_not_see_is_not_spoken_of;
    a_join_connects_what_no_key_does;
    joins_are_proposed_and_confirmed;
    the_layer_goes_out_and_comes_back_as_yaml;
    a_layer_is_its_workspaces;
    of_two_at_once_one_is_the_last_that_there_is_room_for;
}

fn path() -> String {
    format!("{PATH}/semantic-layer")
}

async fn ask(person: &Person, shop: &Shop, question: &str) -> rivergen_tests::Answer {
    let sources = [shop.orders, shop.crm, shop.products];
    person.client.post(EXECUTE, json!({"prompt_text": question, "selected_data_source_ids": sources})).await
}

async fn say(person: &Person, definition: Value) -> rivergen_tests::Answer {
    person.client.post(&path(), json!({"definition": definition})).await
}

fn harvest() -> Value {
    json!({"kind": "metric", "name": "harvest", "table": "orders.files.orders", "formula": "sum(amount) where region = 'EU'"})
}

fn payroll() -> Value {
    json!({"kind": "metric", "name": "payroll", "table": "crm.main.customers", "formula": "sum(salary)"})
}

async fn acme(server: &Server) -> (Organization, Shop) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    (acme, shop)
}

fn first_value(data: &Value) -> Option<&Value> {
    data["result_preview"][0].as_object().unwrap_or_else(|| panic!("{data}")).values().next_back()
}

async fn a_metric_answers_a_question(server: &Server) {
    let (acme, shop) = acme(server).await;
    ask(&acme.viewer, &shop, "What is the harvest?").await.error(400, "QUESTION_NOT_UNDERSTOOD");
    say(&acme.viewer, harvest()).await.error(403, "FORBIDDEN");
    let entry = say(&acme.developer, harvest()).await.created();
    assert_eq!((entry["status"].as_str(), entry["origin"].as_str()), (Some("confirmed"), Some("person")), "{entry}");
    say(&acme.admin, harvest()).await.error(409, "CONFLICT");
    let data = ask(&acme.viewer, &shop, "What is the harvest?").await.ok();
    assert_eq!(first_value(&data), Some(&json!(220.0)), "{data}");
    assert!(data["explanation"].as_str().unwrap().contains("sum(amount) where region = 'EU'"), "{data}");
    // One divided by another, under a longer name: 220 of four orders.
    let ratio = json!({"kind": "metric", "name": "harvest per order", "table": "orders.files.orders",
        "formula": "sum(amount) / count(*) where region = 'EU'"});
    say(&acme.developer, ratio).await.created();
    let ratio = ask(&acme.viewer, &shop, "What is the harvest per order?").await.ok();
    assert_eq!(first_value(&ratio), Some(&json!(55.0)), "{ratio}");
    let by_sku = ask(&acme.viewer, &shop, "harvest by sku").await.ok();
    assert_eq!((by_sku["rows_returned"].as_i64(), first_value(&by_sku)), (Some(3), Some(&json!(220.0))), "{by_sku}");
    // Changed it is what it is then.
    let one = format!("{}/{}", path(), entry["id"]);
    let mut changed = harvest();
    changed["formula"] = json!("count(*)");
    acme.developer.client.put(&one, json!({"definition": changed})).await.ok();
    assert_eq!(first_value(&ask(&acme.viewer, &shop, "the harvest").await.ok()), Some(&json!(12)));
    acme.developer.client.delete(&one).await.no_content();
    ask(&acme.viewer, &shop, "What is the harvest?").await.error(400, "QUESTION_NOT_UNDERSTOOD");
    assert_eq!(server.audited("prompt.semantics_create", "success").await, 2);
}

async fn what_is_wrong_is_told_with_its_place(server: &Server) {
    let (acme, _) = acme(server).await;
    let mut wrong = harvest();
    wrong["formula"] = json!("sum(amout) where region = 'EU'");
    let error = say(&acme.developer, wrong.clone()).await.error(422, "VALIDATION_ERROR");
    let told = &error["details"][0];
    assert_eq!(told["field"], "definition.formula", "{error}");
    let reason = told["reason"].as_str().unwrap();
    assert!(reason.starts_with("character 5:") && reason.contains("amount"), "{error}");
    wrong["table"] = json!("orders.files.nothing");
    say(&acme.developer, wrong).await.invalid("definition.table");
    let join = json!({"kind": "join", "from": "orders.files.orders.sku", "to": "crm.main.customers.id"});
    say(&acme.developer, join).await.invalid("definition.to");
    say(&acme.developer, json!({"kind": "synonym", "phrase": "", "of": "crm.main.customers"}))
        .await
        .invalid("definition.phrase");
}

async fn what_one_may_not_see_is_not_spoken_of(server: &Server) {
    let (acme, shop) = acme(server).await;
    acme.govern(&shop).await;
    say(&acme.admin, harvest()).await.created();
    say(&acme.admin, payroll()).await.created();
    // A number of masked values is another number.
    say(
        &acme.developer,
        json!({"kind": "metric", "name": "sum of pay", "table": "crm.main.customers", "formula": "max(salary)"}),
    )
    .await
    .invalid("definition.formula");
    let names = async |person: &Person| -> Vec<String> {
        let list = person.client.get(&path()).await.ok();
        let items = list["items"].as_array().unwrap();
        items.iter().map(|item| item["definition"]["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names(&acme.admin).await, ["harvest", "payroll"]);
    assert_eq!(names(&acme.viewer).await, ["harvest"]);
    assert_eq!(first_value(&ask(&acme.admin, &shop, "What is the payroll?").await.ok()), Some(&json!(327_000)));
    ask(&acme.viewer, &shop, "What is the payroll?").await.error(400, "QUESTION_NOT_UNDERSTOOD");
    // The rows of a metric are those that whoever asks may see.
    assert_eq!(first_value(&ask(&acme.developer, &shop, "What is the harvest?").await.ok()), Some(&json!(220.0)));
    assert!(first_value(&ask(&acme.viewer, &shop, "What is the harvest?").await.ok()).unwrap().is_null());
    let closed = json!({"name": "closed", "type": "access_control", "data_source_ids": [shop.orders],
        "role_ids": [acme.roles["Viewer"]],
        "rules": [{"rule_name": "r", "rule_type": "deny_access", "rule_config": {"table": "orders"}}]});
    acme.admin.client.post("/api/v1/policies", closed).await.created();
    assert!(names(&acme.viewer).await.is_empty());
    assert_eq!(
        acme.viewer.client.get(&format!("{}/export", path())).await.ok()["document"]
            .as_str()
            .map(|yaml| yaml.contains("harvest")),
        Some(false)
    );
}

async fn a_join_connects_what_no_key_does(server: &Server) {
    let (acme, shop) = acme(server).await;
    let question = "How many orders per price?";
    ask(&acme.viewer, &shop, question).await.error(400, "QUESTION_NOT_UNDERSTOOD");
    let join = json!({"kind": "join", "from": "products.files.products.sku", "to": "orders.files.orders.sku",
        "cardinality": "one_to_many"});
    say(&acme.developer, join).await.created();
    let data = ask(&acme.viewer, &shop, question).await.ok();
    assert_eq!((data["rows_returned"].as_i64(), first_value(&data)), (Some(3), Some(&json!(4))), "{data}");
}

async fn joins_are_proposed_and_confirmed(server: &Server) {
    let (acme, shop) = acme(server).await;
    let propose = format!("{}/proposals", path());
    let body = json!({"data_source_ids": [shop.orders, shop.crm]});
    acme.viewer.client.post(&propose, body.clone()).await.error(403, "FORBIDDEN");
    assert_eq!(acme.developer.client.post(&propose, body.clone()).await.ok()["proposed"], 1);
    assert_eq!(acme.developer.client.post(&propose, body).await.ok()["proposed"], 0);
    let list = acme.developer.client.get(&format!("{}?status=proposed&kind=join", path())).await.ok();
    let item = &list["items"][0];
    let expected = json!({"kind": "join", "from": "orders.files.orders.customer_id", "to": "crm.main.customers.id",
        "cardinality": "many_to_one"});
    assert_eq!((&item["definition"], item["origin"].as_str()), (&expected, Some("discovery")), "{list}");
    let confirm = format!("{}/{}/confirm", path(), item["id"]);
    acme.viewer.client.post_empty(&confirm).await.error(403, "FORBIDDEN");
    assert_eq!(acme.developer.client.post_empty(&confirm).await.ok()["status"], "confirmed");
    assert_eq!(acme.developer.client.get(&format!("{}?status=proposed", path())).await.ok()["items"], json!([]));
}

async fn the_layer_goes_out_and_comes_back_as_yaml(server: &Server) {
    let (acme, shop) = acme(server).await;
    let entry = say(&acme.developer, harvest()).await.created();
    let exported = acme.viewer.client.get(&format!("{}/export", path())).await.ok();
    assert!(exported["document"].as_str().unwrap().contains("harvest"), "{exported}");
    acme.developer.client.delete(&format!("{}/{}", path(), entry["id"])).await.no_content();
    let import = format!("{}/import", path());
    acme.viewer.client.post(&import, exported.clone()).await.error(403, "FORBIDDEN");
    assert_eq!(acme.developer.client.post(&import, exported).await.ok()["imported"], 1);
    assert_eq!(first_value(&ask(&acme.viewer, &shop, "What is the harvest?").await.ok()), Some(&json!(220.0)));
    // All of it, or none.
    let yaml = "metrics:\n- name: yield\n  table: orders.files.orders\n  formula: count(*)\n- name: loss\n  \
        table: orders.files.orders\n  formula: sum(sku)\n";
    acme.developer.client.post(&import, json!({"document": yaml})).await.invalid("document.metrics[1].formula");
    assert_eq!(server.count("SELECT count(*) FROM prompt_semantics").await, 1);
    acme.developer.client.post(&import, json!({"document": "metrics: ["})).await.invalid("document");
    acme.developer.client.post(&import, json!({"document": "tables: []"})).await.invalid("document");
}

async fn a_layer_is_its_workspaces(server: &Server) {
    let (acme, _) = acme(server).await;
    let entry = say(&acme.owner, harvest()).await.created();
    let one = format!("{}/{}", path(), entry["id"]);
    let elsewhere = acme.workspace("Elsewhere").await;
    let owner = acme.owner.stand_in(elsewhere).await;
    assert_eq!(owner.client.get(&path()).await.ok()["items"], json!([]));
    owner.client.delete(&one).await.error(404, "NOT_FOUND");
    let stranger = server.organization("Globex").await.owner.client;
    assert_eq!(stranger.get(&path()).await.ok()["items"], json!([]));
    stranger.post_empty(&format!("{one}/confirm")).await.error(404, "NOT_FOUND");
    stranger.put(&one, json!({"definition": harvest()})).await.error(404, "NOT_FOUND");
    server.anonymous().get(&path()).await.error(401, "UNAUTHORIZED");
}

async fn of_two_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let (acme, _) = acme(server).await;
    say(&acme.developer, harvest()).await.created();
    let columns = "organization_id, workspace_id, kind, definition, status, origin, created_by_user_id, created_at, \
                   updated_at";
    let others = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1998) \
         INSERT INTO prompt_semantics ({columns}, name) SELECT {columns}, name || i FROM prompt_semantics, n"
    );
    server.execute(&others).await;
    let metric = |n: usize| {
        let mut metric = harvest();
        metric["name"] = format!("crop of field {n}").into();
        metric
    };
    let (made, refused) = server.two_at_once(&acme.held(), |n| say(&acme.developer, metric(n))).await;
    made.created();
    refused.error(409, "CONFLICT");
    assert_eq!(server.count("SELECT count(*) FROM prompt_semantics").await, 2000);
}
