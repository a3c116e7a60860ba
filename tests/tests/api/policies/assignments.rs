//! `GET /api/v1/policies/{policy_id}/assignments` and `DELETE …/assignments/{policy_assignment_id}`

use rivergen_tests::{Organization, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    they_are_listed_in_pages;
    one_that_is_taken_away_governs_no_more;
    anothers_is_not_found;
    who_may_not_is_refused;
}

async fn eu_only(acme: &Organization, shop: &Shop) -> Value {
    let body = json!({"name": "EU only", "type": "row_level_security", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Viewer"], acme.roles["Developer"]], "rules": [{"rule_name": "eu",
            "rule_type": "filter_rows", "rule_config": {"table": "customers", "condition": "region = 'EU'"}}]});
    acme.admin.client.post("/api/v1/policies", body).await.created()
}

fn path(policy: &Value) -> String {
    format!("/api/v1/policies/{}/assignments", policy["id"])
}

async fn they_are_listed_in_pages(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let policy = eu_only(&acme, &shop).await;
    let data = acme.developer.client.get(&path(&policy)).await.ok();
    assert_eq!(data["items"], policy["assignments"]);
    let data = acme.developer.client.get(&format!("{}?page=2&page_size=1", path(&policy))).await.ok();
    assert_eq!(data["items"], json!([policy["assignments"][1]]));
    assert_eq!(data["pagination"]["total_items"], 2);
    let viewers = format!("{}?role_id={}", path(&policy), acme.roles["Viewer"]);
    let data = acme.developer.client.get(&viewers).await.ok();
    assert_eq!((&data["items"][0]["role_name"], &data["pagination"]["total_items"]), (&json!("Viewer"), &json!(1)));
}

async fn one_that_is_taken_away_governs_no_more(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let policy = eu_only(&acme, &shop).await;
    let count = async |person: &rivergen_tests::Person| person.value(shop.crm, "SELECT count(*) FROM customers").await;
    let of_viewers = policy["assignments"].as_array().unwrap().iter().find(|row| row["role_name"] == "Viewer").unwrap();
    let one = format!("{}/{}", path(&policy), of_viewers["id"]);
    assert_eq!((count(&acme.viewer).await, count(&acme.developer).await), (json!(2), json!(2)));
    let data = acme.admin.client.delete(&one).await.ok();
    assert_eq!((&data["policy_id"], &data["assignment_id"]), (&policy["id"], &of_viewers["id"]));
    assert_eq!((count(&acme.viewer).await, count(&acme.developer).await), (json!(6), json!(2)));
    acme.admin.client.delete(&one).await.error(404, "ASSIGNMENT_NOT_FOUND");
    assert_eq!(server.audited("policy.unassign", "success").await, 1);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let policy = eu_only(&acme, &shop).await;
    let body = json!({"name": "p", "type": "query_limit", "user_ids": [acme.viewer.id]});
    let other = acme.admin.client.post("/api/v1/policies", body).await.created();
    let one = format!("{}/{}", path(&policy), policy["assignments"][0]["id"]);
    globex.owner.client.get(&path(&policy)).await.error(404, "NOT_FOUND");
    globex.owner.client.delete(&one).await.error(404, "NOT_FOUND");
    // Of another policy of one's own.
    let mixed = format!("{}/{}", path(&policy), other["assignments"][0]["id"]);
    acme.admin.client.delete(&mixed).await.error(404, "ASSIGNMENT_NOT_FOUND");
    assert_eq!(server.count("SELECT count(*) FROM policy_assignments").await, 3);
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let policy = eu_only(&acme, &shop).await;
    let one = format!("{}/{}", path(&policy), policy["assignments"][0]["id"]);
    acme.viewer.client.get(&path(&policy)).await.error(403, "FORBIDDEN");
    acme.developer.client.delete(&one).await.error(403, "FORBIDDEN");
    server.anonymous().delete(&one).await.error(401, "UNAUTHORIZED");
    server.anonymous().get(&path(&policy)).await.error(401, "UNAUTHORIZED");
}
