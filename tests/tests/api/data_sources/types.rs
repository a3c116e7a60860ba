//! `GET /api/v1/data-sources/types`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    every_kind_is_told_with_its_form;
}

async fn every_kind_is_told_with_its_form(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = "/api/v1/data-sources/types";
    server.anonymous().get(path).await.error(401, "UNAUTHORIZED");
    let data = acme.viewer.client.get(path).await.ok();
    let items = data["items"].as_array().unwrap();
    assert_eq!(items.len(), 38);
    for item in items {
        let available = item["is_available"].as_bool().unwrap();
        assert_eq!(item["form"].is_object(), available, "{item}");
        assert_eq!(item["abilities"].is_object(), available, "{item}");
        assert_eq!(item["verification"].is_object(), available, "{item}");
        // What is not available is refused where one tries.
        if !available {
            let body = json!({"name": "X", "type": item["type"]});
            acme.admin.client.post("/api/v1/data-sources", body).await.invalid("type");
        }
    }
    let postgresql = items.iter().find(|item| item["type"] == "postgresql").unwrap();
    assert_eq!((postgresql["category"].as_str(), postgresql["default_port"].as_i64()), (Some("SQL"), Some(5432)));
    assert_eq!(postgresql["required"]["or_connection_string"], true);
    assert_eq!(postgresql["form"]["properties"]["credentials"]["properties"]["password"]["writeOnly"], true);
    assert_eq!(postgresql["verification"], json!({"with": "itself", "against": "PostgreSQL 15, with and without TLS"}));
    let csv = items.iter().find(|item| item["type"] == "csv").unwrap();
    assert_eq!(csv["required"]["all"], json!(["file_path"]));
}
