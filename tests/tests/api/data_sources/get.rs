//! `GET /api/v1/data-sources/{data_source_id}`

use rivergen_tests::{Server, on_both_databases};

on_both_databases! {
    every_member_sees_it_without_its_secrets;
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
