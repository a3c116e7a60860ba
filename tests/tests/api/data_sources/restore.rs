//! `POST /api/v1/data-sources/{data_source_id}/restore`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::of;

on_both_databases! {
    it_is_back_and_governed_from_its_first_moment;
    after_thirty_days_there_is_nothing_to_restore;
    what_is_not_deleted_conflicts;
    a_viewer_may_not;
    names_of_what_it_holds_are_for_who_may_change_it;
    anothers_is_not_found;
}

async fn it_is_back_and_governed_from_its_first_moment(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    acme.govern(&shop).await;
    let count = "SELECT count(*) FROM customers";
    assert_eq!(acme.viewer.value(shop.crm, count).await, 2);
    acme.admin.client.delete(&of(shop.crm, "")).await.ok();
    let data = acme.admin.client.post_empty(&of(shop.crm, "/restore")).await.ok();
    assert_eq!((data["id"].as_i64(), data["name"].as_str()), (Some(shop.crm), Some("CRM")));
    assert_eq!((data["status"].as_str(), data["deleted_at"].is_null()), (Some("testing"), true));
    assert_eq!(acme.viewer.value(shop.crm, count).await, 2);
    assert_eq!(acme.admin.checked(shop.crm).await["status"], "active");
    assert_eq!(server.audited("data_source.restore", "success").await, 1);
    // One that was switched off comes back switched off.
    acme.admin.client.patch(&of(shop.crm, ""), json!({"status": "maintenance"})).await.ok();
    acme.admin.client.delete(&of(shop.crm, "")).await.ok();
    assert_eq!(acme.admin.client.post_empty(&of(shop.crm, "/restore")).await.ok()["status"], "maintenance");
}

async fn after_thirty_days_there_is_nothing_to_restore(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    acme.admin.client.delete(&of(id, "")).await.ok();
    server.clock().advance(Duration::days(30));
    let admin = server.sign_in(&acme.admin.email).await;
    admin.client.post_empty(&of(id, "/restore")).await.error(404, "NOT_FOUND");
}

async fn what_is_not_deleted_conflicts(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    acme.admin.client.post_empty(&of(id, "/restore")).await.error(409, "CONFLICT");
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    acme.admin.client.delete(&of(id, "")).await.ok();
    acme.viewer.client.post_empty(&of(id, "/restore")).await.error(403, "FORBIDDEN");
    server.anonymous().post_empty(&of(id, "/restore")).await.error(401, "UNAUTHORIZED");
}

async fn names_of_what_it_holds_are_for_who_may_change_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "People", "type": "rest_api", "connection_string": "http://127.0.0.1:1/",
        "credentials": {"api_key": "k"}, "metadata": {"endpoints": [{"path": "people"}], "api_key_in": "query"}});
    let id = acme.admin.register(body).await;
    let token = json!({"name": "a program", "scopes": ["datasource.read", "datasource.delete"]});
    let made = acme.owner.client.post("/api/v1/auth/tokens", token).await.created();
    let program = acme.owner.client.with_token(made["token"].as_str().unwrap());
    let restored = async |client: &rivergen_tests::Client| {
        client.delete(&of(id, "")).await.ok();
        client.post_empty(&of(id, "/restore")).await.ok()["metadata"].clone()
    };
    assert_eq!(restored(&program).await, json!({"api_key_in": "query"}));
    assert_eq!(restored(&acme.owner.client).await, json!({"endpoints": [{"path": "people"}], "api_key_in": "query"}));
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    acme.admin.client.delete(&of(id, "")).await.ok();
    globex.owner.client.post_empty(&of(id, "/restore")).await.error(404, "NOT_FOUND");
}
