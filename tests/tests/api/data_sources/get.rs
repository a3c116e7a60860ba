//! `GET /api/v1/data-sources/{data_source_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    every_member_sees_it_without_its_secrets;
    names_of_what_it_holds_are_for_who_may_change_it;
    anothers_is_not_found;
}

async fn every_member_sees_it_without_its_secrets(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for (_, person) in acme.people() {
        let data = person.client.get(&format!("/api/v1/data-sources/{}", shop.crm)).await.ok();
        assert_eq!((data["name"].as_str(), data["type"].as_str()), (Some("CRM"), Some("sqlite")));
        assert_eq!(data["sql_name"], "crm");
        assert!(data["connection_string"].is_null() && data["credentials"].is_null(), "{data}");
        assert_eq!(data["failure_count"], 0);
    }
}

/// Which columns there are for somebody, policies say.
async fn names_of_what_it_holds_are_for_who_may_change_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let endpoints = json!([{"path": "people", "filters": {"salary": "pay"}}]);
    let body = json!({"name": "People", "type": "rest_api", "connection_string": "http://127.0.0.1:1/",
        "credentials": {"api_key": "k"}, "metadata": {"endpoints": endpoints, "api_key_in": "query"}});
    let id = acme.admin.register(body).await;
    let metadata = async |person: &rivergen_tests::Person| {
        person.client.get(&format!("/api/v1/data-sources/{id}")).await.ok()["metadata"].clone()
    };
    assert_eq!(metadata(&acme.admin).await, json!({"endpoints": endpoints, "api_key_in": "query"}));
    assert_eq!(metadata(&acme.viewer).await, json!({"api_key_in": "query"}));
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let path = format!("/api/v1/data-sources/{id}");
    globex.owner.client.get(&path).await.error(404, "NOT_FOUND");
    acme.owner.client.get("/api/v1/data-sources/987654321").await.error(404, "NOT_FOUND");
    acme.owner.client.get("/api/v1/data-sources/one").await.error(404, "NOT_FOUND");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
}
