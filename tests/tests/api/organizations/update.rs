//! `PATCH /api/v1/organizations/{org_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    name_and_domain_change_and_what_is_absent_stays;
    a_name_that_is_taken_is_refused;
    administrators_alone;
}

async fn name_and_domain_change_and_what_is_absent_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("/api/v1/organizations/{}", acme.id);
    let client = &acme.owner.client;
    let changed = client.patch(&path, json!({"name": "Acme Corporation"})).await.ok();
    assert_eq!(changed["organization"], json!({"id": acme.id, "name": "Acme Corporation", "domain": "acme.example"}));
    let changed = client.patch(&path, json!({"domain": "ACME.org."})).await.ok();
    assert_eq!(changed["organization"]["domain"], "acme.org");
    assert_eq!(client.patch(&path, json!({"domain": null})).await.ok()["organization"]["domain"], Value::Null);
    assert_eq!(client.get(&path).await.ok()["organization"]["name"], "Acme Corporation");
    assert_eq!(client.get(ME).await.ok()["organizations"][0]["name"], "Acme Corporation");
    assert_eq!(server.audited("organization.update", "success").await, 3);
    client.patch(&path, json!({"domain": "nonsense"})).await.error(400, "INVALID_DOMAIN");
    client.patch(&path, json!({"name": ""})).await.invalid("name");
    client.patch(&path, json!({"name": "  "})).await.invalid("name");
    client.patch(&path, json!({"plan": "free"})).await.invalid("plan");
}

const ME: &str = "/api/v1/auth/me";

async fn a_name_that_is_taken_is_refused(server: &Server) {
    let (acme, _globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("/api/v1/organizations/{}", acme.id);
    acme.owner.client.patch(&path, json!({"name": "GLOBEX"})).await.error(409, "ORG_EXISTS");
    acme.owner.client.patch(&path, json!({"name": "ACME"})).await.ok();
}

async fn administrators_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("/api/v1/organizations/{}", acme.id);
    acme.developer.client.patch(&path, json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
    globex.owner.client.patch(&path, json!({"name": "Mine"})).await.error(404, "ORG_NOT_FOUND");
}
