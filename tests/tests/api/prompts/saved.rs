//! `/api/v1/prompts`: saved questions are listed, read, changed, deleted, restored and asked again.

use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, save};

on_both_databases! {
    saved_questions_are_listed;
    a_saved_question_is_read_with_what_it_became;
    what_a_question_became_is_told_as_far_as_it_is_seen;
    an_heir_is_not_told_what_another_saw;
    name_tags_and_metadata_are_changed;
    anothers_question_needs_the_permission;
    a_narrow_token_changes_its_persons_questions;
    a_deleted_question_is_restored;
    a_saved_question_is_asked_again;
    the_runs_of_a_question_are_ones_own;
    a_version_is_told_and_restored;
    other_sql_of_a_question_is_a_version;
    another_organizations_are_not_found;
}

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

async fn saved_questions_are_listed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    save(&acme.viewer, &shop, "How many orders per region?", "By region").await;
    save(&acme.developer, &shop, "How many orders?", "All").await;
    let viewer = &acme.viewer.client;
    let list = viewer.get(PATH).await.ok();
    assert_eq!(names(&list), ["All", "By region"], "{list}");
    assert_eq!(list["pagination"]["total_items"], 2);
    let item = &list["items"][1];
    assert_eq!(
        (item["prompt_text"].as_str(), item["status"].as_str()),
        (Some("How many orders per region?"), Some("completed"))
    );
    assert_eq!(
        (item["created_by_user_id"].as_i64(), item["organization_id"].as_i64()),
        (Some(acme.viewer.id), Some(acme.id))
    );
    assert_eq!((&item["tags"], &item["selected_data_source_ids"]), (&json!(["sales"]), &json!([shop.orders])));
    assert_eq!(item["workspace_id"].as_i64(), Some(acme.workspace_id));
    assert!(item["generated_query_id"].is_i64(), "{item}");
    assert_eq!(names(&viewer.get(&format!("{PATH}?search=REGION")).await.ok()), ["By region"]);
    assert_eq!(names(&viewer.get(&format!("{PATH}?sort_by=name&sort_order=asc")).await.ok()), ["All", "By region"]);
    assert_eq!(names(&viewer.get(&format!("{PATH}?page=2&page_size=1")).await.ok()), ["By region"]);
    assert!(names(&viewer.get(&format!("{PATH}?status=failed")).await.ok()).is_empty());
    assert!(names(&viewer.get(&format!("{PATH}?workspace_id=999")).await.ok()).is_empty());
    viewer.get(&format!("{PATH}?sort_by=password")).await.invalid("sort_by");
    viewer.get(&format!("{PATH}?page_size=101")).await.invalid("page_size");
}

async fn a_saved_question_is_read_with_what_it_became(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.viewer, &shop, "How many orders per region?", "By region").await;
    let prompt = acme.developer.client.get(&format!("{PATH}/{}", run["prompt_id"])).await.ok();
    assert_eq!(prompt["generated_query"]["query_text"], run["generated_query_text"]);
    assert_eq!(prompt["generated_query"]["id"], run["query_id"]);
    let told = &prompt["ai_response_metadata"];
    assert_eq!((told["model"].as_str(), told["tokens_used"].as_i64()), (Some("embedded"), Some(0)));
    assert_eq!((&told["confidence"], &told["explanation"]), (&run["confidence"], &run["explanation"]));
    assert_eq!((prompt["ai_model_used"].as_str(), &prompt["metadata"]), (Some("embedded"), &json!({})));
    assert!(run["chart"]["mark"]["type"] == "bar", "{run}");
    acme.viewer.client.get(&format!("{PATH}/987654321")).await.error(404, "NOT_FOUND");
    acme.viewer.client.get(&format!("{PATH}/nonsense")).await.error(404, "NOT_FOUND");
}

/// Its author may have seen more than whoever reads it.
async fn what_a_question_became_is_told_as_far_as_it_is_seen(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = format!("{PATH}/{}", save(&acme.admin, &shop, "How many orders?", "All").await["prompt_id"]);
    const SQL: &str = "SELECT count(*) AS n FROM orders WHERE region = 'EU'";
    server.execute(&format!("UPDATE prompts SET generated_query_text = '{}'", SQL.replace('\'', "''"))).await;
    acme.admin.client.patch(&path, json!({"name": "Orders"})).await.ok();
    let versions = format!("{path}/versions");
    let told = async |person: &Person, sql: Value| {
        let prompt = person.client.get(&path).await.ok();
        assert_eq!(prompt["generated_query"]["query_text"], sql, "{prompt}");
        let is_explained = prompt["ai_response_metadata"]["explanation"].is_string();
        assert_eq!(is_explained, sql == SQL, "{prompt}");
        let list = person.client.get(&versions).await.ok();
        assert_eq!(list["items"][0]["definition"]["generated_query_text"], sql, "{list}");
        assert_eq!(list.to_string().contains("'EU'"), sql == SQL, "{list}");
    };
    told(&acme.viewer, json!(SQL)).await;
    acme.govern(&shop).await;
    let without = json!(SQL.replace("'EU'", "?"));
    told(&acme.developer, without.clone()).await;
    told(&acme.viewer, without).await;
    for person in [&acme.admin, &acme.owner] {
        told(person, json!(SQL)).await;
    }
    // Of a column that does not exist for them nobody reads the name.
    let deny = json!({"name": "No region", "type": "access_control", "data_source_ids": [shop.orders],
        "role_ids": [acme.roles["Developer"]], "rules": [{"rule_name": "r", "rule_type": "deny_access",
            "rule_config": {"table": "orders", "columns": ["region"]}}]});
    acme.admin.client.post("/api/v1/policies", deny).await.created();
    told(&acme.developer, Value::Null).await;
    let restored = acme.developer.client.post_empty(&format!("{versions}/1/restore")).await.ok();
    assert!(restored["definition"]["generated_query_text"].is_null(), "{restored}");
    assert!(!restored.to_string().contains("region"), "{restored}");
}

/// It is theirs now, and was made of what its author could see.
async fn an_heir_is_not_told_what_another_saw(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let path = format!("{PATH}/{}", save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"]);
    const SQL: &str = "SELECT count(*) AS n FROM orders WHERE region = 'EU'";
    server.execute(&format!("UPDATE prompts SET generated_query_text = '{}'", SQL.replace('\'', "''"))).await;
    acme.developer.client.patch(&path, json!({"name": "Orders"})).await.ok();
    assert_eq!(acme.developer.client.get(&path).await.ok()["generated_query"]["query_text"], SQL);
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id);
    acme.owner.client.delete(&format!("{member}?transfer_to={}", acme.viewer.id)).await.ok();
    let left = acme.viewer.client.get(&path).await.ok();
    assert_eq!(left["generated_query"]["query_text"], SQL.replace("'EU'", "?"), "{left}");
    assert!(!left["ai_response_metadata"]["explanation"].is_string(), "{left}");
    let versions = acme.viewer.client.get(&format!("{path}/versions")).await.ok();
    assert!(!versions.to_string().contains("'EU'"), "{versions}");
    // Theirs to change, and to ask as themselves.
    acme.viewer.client.patch(&path, json!({"name": "Mine"})).await.ok();
    acme.viewer.client.post_empty(&format!("{path}/execute")).await.ok();
}

async fn name_tags_and_metadata_are_changed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.viewer, &shop, "How many orders?", "All").await;
    let path = format!("{PATH}/{}", run["prompt_id"]);
    let change = json!({"name": "Every order", "metadata": {"dashboard": {"row": 1}}});
    let changed = acme.viewer.client.patch(&path, change).await.ok();
    let fields: Vec<&String> = changed.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["id", "name", "tags", "metadata", "updated_at"]);
    assert_eq!((changed["name"].as_str(), &changed["tags"]), (Some("Every order"), &json!(["sales"])));
    let prompt = acme.viewer.client.get(&path).await.ok();
    assert_eq!(
        (&prompt["metadata"], &prompt["updated_at"]),
        (&json!({"dashboard": {"row": 1}}), &changed["updated_at"])
    );
    assert!(acme.viewer.client.patch(&path, json!({"name": null})).await.ok()["name"].is_null());
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"tags": [""]}), "tags[0]"),
        (json!({"metadata": {"text": "x".repeat(20_000)}}), "metadata"),
        (json!({"prompt_text": "How many customers?"}), "prompt_text"),
    ] {
        acme.viewer.client.patch(&path, body).await.invalid(field);
    }
    assert_eq!(server.audited("prompt.update", "success").await, 2);
}

async fn anothers_question_needs_the_permission(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = format!("{PATH}/{}", save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"]);
    acme.viewer.client.patch(&path, json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
    acme.viewer.client.delete(&path).await.error(403, "FORBIDDEN");
    acme.admin.client.patch(&path, json!({"name": "Ours"})).await.ok();
}

async fn a_narrow_token_changes_its_persons_questions(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let own = format!("{PATH}/{}", save(&acme.viewer, &shop, "How many orders?", "Mine").await["prompt_id"]);
    let anothers = format!("{PATH}/{}", save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"]);
    let token = async |scopes: Value| {
        let body = json!({"name": "t", "scopes": scopes});
        let made = acme.viewer.client.post("/api/v1/auth/tokens", body).await.created();
        acme.viewer.client.with_token(made["token"].as_str().unwrap())
    };
    let narrow = token(json!(["prompt.read", "prompt.write"])).await;
    narrow.patch(&own, json!({"name": "Ours"})).await.ok();
    narrow.patch(&anothers, json!({"name": "Ours"})).await.error(403, "FORBIDDEN");
    let reader = token(json!(["prompt.read"])).await;
    reader.patch(&own, json!({"name": "Theirs"})).await.error(403, "FORBIDDEN");
    reader.delete(&format!("{PATH}/history/clear")).await.error(403, "FORBIDDEN");
    assert_eq!(narrow.delete(&format!("{PATH}/history/clear")).await.ok()["deleted_count"], 1);
}

async fn a_deleted_question_is_restored(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.viewer, &shop, "How many orders?", "All").await;
    let path = format!("{PATH}/{}", run["prompt_id"]);
    let deleted = acme.viewer.client.delete(&path).await.ok();
    assert_eq!(deleted["prompt_id"], run["prompt_id"]);
    assert!(deleted["deleted_at"].is_string());
    acme.viewer.client.get(&path).await.error(404, "NOT_FOUND");
    acme.viewer.client.delete(&path).await.error(404, "NOT_FOUND");
    assert!(names(&acme.viewer.client.get(PATH).await.ok()).is_empty());
    assert_eq!(names(&acme.viewer.client.get(&format!("{PATH}?deleted=true")).await.ok()), ["All"]);
    acme.viewer.client.post_empty(&format!("{path}/restore")).await.ok();
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["All"]);
    assert_eq!(
        (server.audited("prompt.delete", "success").await, server.audited("prompt.restore", "success").await),
        (1, 1)
    );
    // After 30 days it is gone for good.
    acme.viewer.client.delete(&path).await.ok();
    server.clock().advance(chrono::Duration::days(31));
    let viewer = server.sign_in(&acme.viewer.email).await.client;
    viewer.post_empty(&format!("{path}/restore")).await.error(404, "NOT_FOUND");
    assert!(names(&viewer.get(&format!("{PATH}?deleted=true")).await.ok()).is_empty());
    let purged = "SELECT (SELECT count(*) FROM prompts) + (SELECT count(*) FROM prompt_execution_events)";
    rivergen_tests::eventually("what is over to be swept", async || {
        server.run_due_jobs().await;
        (server.count(purged).await == 0).then_some(())
    })
    .await;
}

async fn a_saved_question_is_asked_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let run = save(&acme.developer, &shop, "How many orders per region?", "By region").await;
    let again = format!("{PATH}/{}/execute", run["prompt_id"]);
    // Under the policies of whoever asks now.
    let data = acme.viewer.client.post_empty(&again).await.ok();
    assert!(data["result_preview"][0].as_object().unwrap().values().any(|value| value == "US"), "{data}");
    assert_eq!(data["prompt_id"], run["prompt_id"]);
    // What came of it for somebody else is not what its readers see.
    let prompt = acme.developer.client.get(&format!("{PATH}/{}", run["prompt_id"])).await.ok();
    assert_eq!(prompt["generated_query"]["id"], run["query_id"]);
    assert_eq!(server.count("SELECT count(*) FROM prompts").await, 1);
    assert_eq!(server.count("SELECT count(*) FROM prompt_executions WHERE prompt_id IS NOT NULL").await, 2);
}

async fn the_runs_of_a_question_are_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.developer, &shop, "How many orders?", "All").await;
    acme.viewer.client.post_empty(&format!("{PATH}/{}/execute", run["prompt_id"])).await.ok();
    let path = format!("{PATH}/{}/executions", run["prompt_id"]);
    let own = acme.viewer.client.get(&path).await.ok();
    assert_eq!((&own["prompt_id"], own["pagination"]["total_items"].as_i64()), (&run["prompt_id"], Some(1)), "{own}");
    let item = &own["items"][0];
    assert_eq!((item["user_id"].as_i64(), item["rows_returned"].as_i64()), (Some(acme.viewer.id), Some(1)));
    assert!(item["user_name"].is_string() && item["total_duration_ms"].is_i64() && item["completed_at"].is_string());
    assert_eq!(acme.admin.client.get(&path).await.ok()["pagination"]["total_items"], 2);
    assert_eq!(acme.admin.client.get(&format!("{path}?status=failed")).await.ok()["pagination"]["total_items"], 0);
    acme.admin.client.get(&format!("{path}?status=nonsense")).await.invalid("status");
}

async fn a_version_is_told_and_restored(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = format!("{PATH}/{}", save(&acme.viewer, &shop, "How many orders?", "All").await["prompt_id"]);
    let versions = format!("{path}/versions");
    let first = acme.developer.client.get(&versions).await.ok();
    let only = &first["items"][0];
    assert_eq!((only["version"].as_i64(), only["change"].as_str()), (Some(1), Some("saved")), "{first}");
    assert_eq!((&only["changes"], only["definition"]["name"].as_str()), (&json!([]), Some("All")));
    acme.viewer.client.patch(&path, json!({"name": "Every order", "tags": ["orders"]})).await.ok();
    // What stays as it is makes no version.
    acme.viewer.client.patch(&path, json!({"name": "Every order"})).await.ok();
    acme.admin.client.patch(&path, json!({"metadata": {"row": 1}})).await.ok();
    let list = acme.viewer.client.get(&versions).await.ok();
    assert_eq!(list["pagination"]["total_items"], 3);
    let second = &list["items"][1];
    let changes = json!([{"field": "name", "before": "All", "after": "Every order"},
        {"field": "tags", "before": ["sales"], "after": ["orders"]}]);
    assert_eq!((&second["changes"], second["changed_by_user_id"].as_i64()), (&changes, Some(acme.viewer.id)), "{list}");
    assert_eq!(list["items"][0]["changed_by_user_id"].as_i64(), Some(acme.admin.id));
    let page = acme.viewer.client.get(&format!("{versions}?page=2&page_size=1")).await.ok();
    assert_eq!(page["items"][0]["changes"], changes, "{page}");
    let restored = acme.viewer.client.post_empty(&format!("{versions}/1/restore")).await.ok();
    assert_eq!((restored["version"].as_i64(), restored["change"].as_str()), (Some(4), Some("restored")), "{restored}");
    let prompt = acme.viewer.client.get(&path).await.ok();
    assert_eq!(
        (prompt["name"].as_str(), &prompt["tags"], &prompt["metadata"]),
        (Some("All"), &json!(["sales"]), &json!({}))
    );
    acme.viewer.client.post_empty(&format!("{versions}/9/restore")).await.error(404, "NOT_FOUND");
    let others = format!("{PATH}/{}", save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"]);
    acme.viewer.client.post_empty(&format!("{others}/versions/1/restore")).await.error(403, "FORBIDDEN");
    assert_eq!(server.audited("prompt.restore_version", "success").await, 1);
}

async fn other_sql_of_a_question_is_a_version(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = format!("{PATH}/{}", save(&acme.developer, &shop, "How many orders?", "All").await["prompt_id"]);
    let ask_again = async || acme.developer.client.post_empty(&format!("{path}/execute")).await.ok();
    let total = async || acme.developer.client.get(&format!("{path}/versions")).await.ok();
    ask_again().await;
    assert_eq!(total().await["pagination"]["total_items"], 1, "it became the same");
    let terms = json!({"terms": [{"term": "orders", "means": "different sku of orders"}]});
    acme.developer.client.put(&format!("{PATH}/glossary"), terms).await.ok();
    let again = ask_again().await;
    let list = total().await;
    let latest = &list["items"][0];
    assert_eq!((latest["version"].as_i64(), latest["change"].as_str()), (Some(2), Some("asked_again")), "{list}");
    let change = &latest["changes"][0];
    assert_eq!(
        (change["field"].as_str(), &change["after"]),
        (Some("generated_query_text"), &again["generated_query_text"])
    );
}

async fn another_organizations_are_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.viewer, &shop, "How many orders?", "All").await;
    let path = format!("{PATH}/{}", run["prompt_id"]);
    let stranger = server.organization("Globex").await.owner.client;
    stranger.get(&path).await.error(404, "NOT_FOUND");
    stranger.patch(&path, json!({"name": "Mine"})).await.error(404, "NOT_FOUND");
    stranger.delete(&path).await.error(404, "NOT_FOUND");
    for operation in ["executions", "analytics", "versions"] {
        stranger.get(&format!("{path}/{operation}")).await.error(404, "NOT_FOUND");
    }
    for operation in ["execute", "restore", "versions/1/restore"] {
        stranger.post_empty(&format!("{path}/{operation}")).await.error(404, "NOT_FOUND");
    }
    assert!(names(&stranger.get(PATH).await.ok()).is_empty());
}
