//! `GET /api/v1/policies/{policy_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    it_shows_rules_and_assignments;
    anothers_is_not_found;
    who_may_not_is_refused;
}

async fn it_shows_rules_and_assignments(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let made = acme.govern(&shop).await;
    let data = acme.developer.client.get(&format!("/api/v1/policies/{}", made[2])).await.ok();
    assert_eq!(data["name"], "Developers");
    let columns: Vec<&str> =
        data["rules"].as_array().unwrap().iter().map(|rule| rule["rule_config"]["column"].as_str().unwrap()).collect();
    assert_eq!(columns, ["email", "card_number", "salary"]);
    assert_eq!(data["assignments"].as_array().unwrap().len(), 1);
    assert_eq!(data["created_by_user_id"], acme.admin.id);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let body = json!({"name": "p", "type": "query_limit"});
    let id = acme.admin.client.post("/api/v1/policies", body).await.created()["id"].as_i64().unwrap();
    globex.owner.client.get(&format!("/api/v1/policies/{id}")).await.error(404, "NOT_FOUND");
    acme.owner.client.get("/api/v1/policies/987654321").await.error(404, "NOT_FOUND");
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.get("/api/v1/policies/1").await.error(403, "FORBIDDEN");
    server.anonymous().get("/api/v1/policies/1").await.error(401, "UNAUTHORIZED");
}
