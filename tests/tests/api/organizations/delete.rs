//! `DELETE /api/v1/organizations/{org_id}`

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{Answer, Backend, Person, Server, eventually, on_both_databases};
use serde_json::json;

on_both_databases! {
    it_is_closed_to_everybody_at_once;
    who_belongs_elsewhere_signs_in_there;
    the_name_confirms_it;
    owners_with_a_fresh_proof_alone;
    a_personal_organization_stays;
    after_thirty_days_nothing_of_it_is_left;
    until_then_the_operator_can_open_it_again;
}

async fn delete(person: &Person, id: i64, name: &str) -> Answer {
    let request = person.client.request(Method::DELETE, &format!("/api/v1/organizations/{id}"));
    person.client.send(request.json(&json!({"confirm_name": name}))).await
}

async fn it_is_closed_to_everybody_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let token = json!({"name": "a program", "scopes": ["read"], "organization_id": acme.id});
    let token = acme.viewer.client.post("/api/v1/auth/tokens", token).await.created();
    let program = acme.viewer.client.with_token(token["token"].as_str().unwrap());
    program.get("/api/v1/data-sources").await.ok();
    let deleted = delete(&acme.owner, acme.id, "Acme").await.ok();
    assert_eq!(deleted["organization_id"].as_i64(), Some(acme.id));
    assert!(deleted["purge_at"].as_str() > deleted["deleted_at"].as_str());
    for (_, person) in acme.people() {
        person.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    }
    program.get("/api/v1/data-sources").await.error(401, "UNAUTHORIZED");
    // The account lives; the organization is not among its own any more.
    let viewer = server.sign_in(&acme.viewer.email).await;
    assert_eq!(viewer.client.get("/api/v1/organizations").await.ok()["total_count"], 0);
    let path = format!("/api/v1/organizations/{}", acme.id);
    viewer.client.get(&path).await.error(404, "ORG_NOT_FOUND");
    assert_eq!(server.audited("organization.delete", "success").await, 1);
}

async fn who_belongs_elsewhere_signs_in_there(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let join =
        "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email)";
    let rows = "'active', 'created', '{}', joined_at, name_key, email FROM memberships WHERE user_id =";
    server.execute(&format!("{join} SELECT {}, user_id, {rows} {}", globex.id, acme.viewer.id)).await;
    delete(&acme.owner, acme.id, "Acme").await.ok();
    let viewer = server.sign_in(&acme.viewer.email).await;
    let place = format!("SELECT max(organization_id) FROM sessions WHERE user_id = {} AND ended_at IS NULL", viewer.id);
    assert_eq!(server.count(&place).await, globex.id);
    // Who has no other organization stands in none.
    let developer = server.sign_in(&acme.developer.email).await;
    let nowhere = "SELECT count(*) FROM sessions WHERE organization_id IS NULL AND user_id =";
    assert_eq!(server.count(&format!("{nowhere} {}", developer.id)).await, 1);
}

async fn the_name_confirms_it(server: &Server) {
    let acme = server.organization("Acme").await;
    delete(&acme.owner, acme.id, "acme").await.error(400, "CONFIRMATION_MISMATCH");
    acme.viewer.client.get("/api/v1/data-sources").await.ok();
}

async fn owners_with_a_fresh_proof_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    delete(&acme.admin, acme.id, "Acme").await.error(403, "FORBIDDEN");
    delete(&globex.owner, acme.id, "Acme").await.error(404, "ORG_NOT_FOUND");
    server.clock().advance(Duration::minutes(11));
    delete(&acme.owner, acme.id, "Acme").await.error(403, "REAUTHENTICATION_REQUIRED");
}

async fn a_personal_organization_stays(server: &Server) {
    let ada = server.newcomer("ada@new.example").await;
    let listed = ada.client.get("/api/v1/organizations").await.ok();
    let organization = &listed["organizations"][0];
    let (id, name) = (organization["id"].as_i64().unwrap(), organization["name"].as_str().unwrap());
    delete(&ada, id, name).await.error(409, "PERSONAL_ORG");
}

/// How many rows of each table belong to the organization; the audit log outlives it.
async fn rows_of(server: &Server, id: i64) -> Vec<(String, i64)> {
    let tables = match server.backend {
        Backend::Sqlite => {
            "SELECT m.name AS name FROM sqlite_master m JOIN pragma_table_info(m.name) c \
             WHERE m.type = 'table' AND c.name = 'organization_id'"
        }
        Backend::Postgres => {
            "SELECT table_name::text AS name FROM information_schema.columns \
             WHERE column_name = 'organization_id' AND table_schema = 'public'"
        }
    };
    let mut counts = Vec::new();
    for row in server.rows(tables).await {
        let table = row["name"].as_str().unwrap().to_owned();
        if table != "audit_log" {
            let count = server.count(&format!("SELECT count(*) FROM {table} WHERE organization_id = {id}")).await;
            counts.push((table, count));
        }
    }
    counts
}

async fn after_thirty_days_nothing_of_it_is_left(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    for organization in [&acme, &globex] {
        let owner = &organization.owner;
        let source = owner.file_source("Products", "csv", "products.csv", b"sku,product\nP1,Lamp\n".to_vec()).await;
        owner.query(source, "SELECT 1").await;
        let policy = json!({"name": "p", "type": "query_limit", "data_source_ids": [source]});
        owner.client.post("/api/v1/policies", policy).await.created();
        let token = json!({"name": "a program", "scopes": ["read"], "organization_id": organization.id});
        owner.client.post("/api/v1/auth/tokens", token).await.created();
    }
    let folder = |id: i64| server.folder().join(format!("files/organizations/{id}"));
    assert!(folder(acme.id).exists(), "{}", folder(acme.id).display());
    let before = rows_of(server, acme.id).await;
    for table in ["memberships", "sessions", "storage_files", "data_keys", "query_runs", "personal_access_tokens"] {
        assert!(before.iter().any(|(name, count)| name == table && *count > 0), "{table} in {before:?}");
    }
    let others = rows_of(server, globex.id).await;

    delete(&acme.owner, acme.id, "Acme").await.ok();
    server.clock().advance(Duration::days(29));
    server.platform.jobs.run_due().await.unwrap();
    assert!(rows_of(server, acme.id).await.iter().any(|(_, count)| *count > 0));
    server.clock().advance(Duration::days(2));
    eventually("the erasure", async || {
        server.platform.jobs.run_due().await.unwrap();
        let left = format!("SELECT count(*) FROM organizations WHERE id = {}", acme.id);
        (server.count(&left).await == 0).then_some(())
    })
    .await;
    let left: Vec<_> = rows_of(server, acme.id).await.into_iter().filter(|(_, count)| *count > 0).collect();
    assert!(left.is_empty(), "{left:?}");
    let files = std::fs::read_dir(folder(acme.id)).map_or(0, walk);
    assert_eq!(files, 0);
    assert_eq!(server.audited("organization.erase", "success").await, 1);
    // Nothing of another's; what its own thirty days have ended is not counted.
    let now = rows_of(server, globex.id).await;
    for table in ["memberships", "storage_files", "data_keys", "policies"] {
        let count = |rows: &[(String, i64)]| rows.iter().find(|(name, _)| name == table).map(|(_, count)| *count);
        assert_eq!(count(&now), count(&others), "{table}");
    }
}

/// The files below.
fn walk(entries: std::fs::ReadDir) -> usize {
    let below = |entry: std::io::Result<std::fs::DirEntry>| {
        let path = entry.unwrap().path();
        if path.is_dir() { walk(std::fs::read_dir(path).unwrap()) } else { 1 }
    };
    entries.map(below).sum()
}

async fn until_then_the_operator_can_open_it_again(server: &Server) {
    let acme = server.organization("Acme").await;
    delete(&acme.owner, acme.id, "Acme").await.ok();
    rivergen_tenancy::organization::erase::restore(&server.tenancy, "ACME").await.unwrap();
    let owner = server.sign_in(&acme.owner.email).await;
    owner.client.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    assert!(rivergen_tenancy::organization::erase::restore(&server.tenancy, "Acme").await.is_err());
    server.clock().advance(Duration::days(40));
    server.platform.jobs.run_due().await.unwrap();
    server.sign_in(&acme.owner.email).await;
}
