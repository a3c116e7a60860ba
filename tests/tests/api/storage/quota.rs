//! `GET /api/v1/storage/quota`, `…/usage`, `…/usage/people`

use rivergen_kernel::OrganizationId;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    the_documented_units;
    usage_counts_everybodys_and_ones_own with "[storage]\nquota_bytes = 1048576";
    the_operator_sets_one_organizations with "[storage]\nquota_bytes = 1000";
    people_are_listed_by_what_they_take;
}

async fn the_documented_units(server: &Server) {
    let acme = server.organization("Acme").await;
    let data = acme.viewer.client.get("/api/v1/storage/quota").await.ok();
    assert_eq!(data, json!({"limit_bytes": 10_737_418_240_i64, "limit_mb": 10240.0, "limit_gb": 10.0}));
    server.anonymous().get("/api/v1/storage/quota").await.error(401, "UNAUTHORIZED");
    server.anonymous().get("/api/v1/storage/usage").await.error(401, "UNAUTHORIZED");
}

async fn usage_counts_everybodys_and_ones_own(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.upload("a.csv", vec![b'x'; 262_144]).await;
    acme.developer.upload("b.csv", vec![b'x'; 131_072]).await;
    let data = acme.developer.client.get("/api/v1/storage/usage").await.ok();
    let expected = json!({"used_bytes": 393_216, "used_mb": 0.38, "used_gb": 0.0, "limit_bytes": 1_048_576, "limit_mb": 1.0,
        "limit_gb": 0.0, "available_bytes": 655_360, "reserved_bytes": 0, "usage_percentage": 37.5, "file_count": 2,
        "own_used_bytes": 131_072, "own_file_count": 1});
    assert_eq!(data, expected);
    let globex = server.organization("Globex").await;
    assert_eq!(globex.owner.client.get("/api/v1/storage/usage").await.ok()["used_bytes"], 0);
}

async fn the_operator_sets_one_organizations(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = OrganizationId(acme.id);
    server.storage.set_quota(id, Some(2000)).await.unwrap();
    assert_eq!(acme.viewer.client.get("/api/v1/storage/quota").await.ok()["limit_bytes"], 2000);
    acme.admin.client.upload("a.csv", vec![b'x'; 1500]).await.created();
    server.storage.set_quota(id, None).await.unwrap();
    acme.admin.client.upload("b.csv", vec![b'x'; 1]).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    let usage = acme.viewer.client.get("/api/v1/storage/usage").await.ok();
    assert_eq!((&usage["available_bytes"], &usage["usage_percentage"]), (&json!(0), &json!(150.0)));
    assert_eq!(server.audited("organization.set_quota", "success").await, 2);
    // Others have what the setting says.
    let globex = server.organization("Globex").await;
    assert_eq!(globex.owner.client.get("/api/v1/storage/quota").await.ok()["limit_bytes"], 1000);
}

async fn people_are_listed_by_what_they_take(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.upload("a.csv", vec![b'x'; 10]).await;
    acme.developer.upload("b.csv", vec![b'x'; 30]).await;
    acme.developer.upload("c.csv", vec![b'x'; 5]).await;
    acme.owner.upload("d.csv", vec![b'x'; 20]).await;
    let data = acme.owner.client.get("/api/v1/storage/usage/people?page_size=2").await.ok();
    let person = |id: i64, used: i64, count: i64| json!({"user_id": id, "is_member": true, "used_bytes": used, "file_count": count});
    assert_eq!(data["items"], json!([person(acme.developer.id, 35, 2), person(acme.owner.id, 20, 1)]));
    assert_eq!((&data["pagination"]["total_items"], &data["pagination"]["has_next"]), (&json!(3), &json!(true)));
    acme.developer.client.get("/api/v1/storage/usage/people").await.error(403, "FORBIDDEN");
    server.anonymous().get("/api/v1/storage/usage/people").await.error(401, "UNAUTHORIZED");
}
