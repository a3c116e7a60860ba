//! `GET /api/v1/prompts/history` and `DELETE /api/v1/prompts/history/clear`.

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{EXECUTE, PATH, save};

on_both_databases! {
    the_history_is_ones_own;
    the_history_is_filtered_and_sorted;
    the_history_is_cleared;
    anothers_history_needs_permissions;
    an_auditor_of_one_workspace_sees_their_own;
}

const HISTORY: &str = "/api/v1/prompts/history";

fn names(list: &Value) -> Vec<&str> {
    list["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

async fn the_history_is_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    save(&acme.viewer, &shop, "How many orders?", "Mine").await;
    save(&acme.developer, &shop, "How many orders?", "Another's").await;
    let list = acme.viewer.client.get(HISTORY).await.ok();
    assert_eq!(names(&list), ["Mine"]);
    let item = &list["items"][0];
    assert_eq!((item["status"].as_str(), item["user_id"].as_i64()), (Some("completed"), Some(acme.viewer.id)));
    assert_eq!(
        (&item["data_source_ids"], item["workspace_id"].as_i64()),
        (&json!([shop.orders]), Some(acme.workspace_id))
    );
    assert!(item["execution_time_ms"].is_i64() && item["timestamp"].is_string(), "{item}");
    let others = format!("{HISTORY}?user_id={}", acme.viewer.id);
    acme.developer.client.get(&others).await.error(403, "FORBIDDEN");
    assert_eq!(names(&acme.admin.client.get(&others).await.ok()), ["Mine"]);
}

async fn the_history_is_filtered_and_sorted(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let old = save(&acme.viewer, &shop, "How many orders?", "Old").await;
    server.clock().advance(chrono::Duration::days(8));
    // A token lives for an hour.
    let viewer_now = server.sign_in(&acme.viewer.email).await;
    let failing = json!({"prompt_text": "Which penguins sing opera?", "selected_data_source_ids": [shop.orders, shop.crm],
        "save_prompt": true, "name": "Penguins"});
    viewer_now.client.post(EXECUTE, failing).await.error(400, "QUESTION_NOT_UNDERSTOOD");
    let list = async |query: &str| viewer_now.client.get(&format!("{HISTORY}?{query}")).await.ok();
    assert_eq!(names(&list("").await), ["Penguins", "Old"]);
    assert_eq!(names(&list("sort_by=timestamp&sort_order=asc").await), ["Old", "Penguins"]);
    assert_eq!(names(&list("time_period=last_7_days").await), ["Penguins"]);
    assert_eq!(names(&list("time_period=last_30_days").await), ["Penguins", "Old"]);
    assert_eq!(names(&list("status=failed").await), ["Penguins"]);
    assert_eq!(names(&list(&format!("data_source_id={}", shop.crm)).await), ["Penguins"]);
    assert_eq!(names(&list("search=orders").await), ["Old"]);
    assert_eq!(names(&list("sort_by=execution_time").await).len(), 2);
    // Asked again it is the newest.
    viewer_now.client.post_empty(&format!("{PATH}/{}/execute", old["prompt_id"])).await.ok();
    assert_eq!(names(&list("time_period=last_7_days").await).len(), 2);
    viewer_now.client.get(&format!("{HISTORY}?time_period=last_year")).await.invalid("time_period");
}

async fn the_history_is_cleared(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.viewer, &shop, "How many orders?", "Mine").await;
    save(&acme.developer, &shop, "How many orders?", "Another's").await;
    let nothing = acme.viewer.client.delete(&format!("{HISTORY}/clear?workspace_id=987654321")).await.ok();
    assert_eq!(nothing["deleted_count"], 0);
    let cleared = acme.viewer.client.delete(&format!("{HISTORY}/clear?time_period=last_7_days")).await.ok();
    assert_eq!(cleared["deleted_count"], 1, "{cleared}");
    let filters = json!({"workspace_id": null, "time_period": "last_7_days", "user_id": acme.viewer.id});
    assert_eq!(cleared["filters_applied"], filters);
    assert!(names(&acme.viewer.client.get(HISTORY).await.ok()).is_empty());
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["Another's"]);
    assert_eq!(server.audited("prompt.clear_history", "success").await, 2);
    acme.viewer.client.post_empty(&format!("{PATH}/{}/restore", run["prompt_id"])).await.ok();
}

async fn anothers_history_needs_permissions(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    save(&acme.viewer, &shop, "How many orders?", "Mine").await;
    let path = format!("{HISTORY}/clear?user_id={}", acme.viewer.id);
    acme.developer.client.delete(&path).await.error(403, "FORBIDDEN");
    server.organization("Globex").await.owner.client.delete(&path).await.ok();
    assert_eq!(names(&acme.viewer.client.get(HISTORY).await.ok()), ["Mine"]);
    assert_eq!(acme.admin.client.delete(&path).await.ok()["deleted_count"], 1);
    server.anonymous().delete(&path).await.error(401, "UNAUTHORIZED");
}

async fn an_auditor_of_one_workspace_sees_their_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let run = save(&acme.viewer, &shop, "How many orders?", "Mine").await;
    let elsewhere = acme.workspace("Elsewhere").await;
    acme.let_in(elsewhere, &acme.developer, "Admin").await;
    let auditor = acme.developer.stand_in(elsewhere).await.client;
    auditor.get(&format!("{PATH}/executions/{}", run["execution_id"])).await.error(404, "NOT_FOUND");
    auditor.get(&format!("/api/v1/queries/{}", run["query_id"])).await.error(404, "NOT_FOUND");
    auditor.get(&format!("/api/v1/queries?user_id={}", acme.viewer.id)).await.error(403, "FORBIDDEN");
    assert_eq!(auditor.get(&format!("{PATH}/analytics/query-analytics")).await.ok()["scope"], "own");
    acme.admin.client.get(&format!("/api/v1/queries/{}", run["query_id"])).await.ok();
}
