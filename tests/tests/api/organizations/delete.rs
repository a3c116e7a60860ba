//! `DELETE /api/v1/organizations/{org_id}`

use std::collections::{BTreeMap, BTreeSet};

use chrono::Duration;
use reqwest::Method;
use rivergen_kernel::{ErrorCode, OrganizationId};
use rivergen_platform::vault::{Owner, VaultError};
use rivergen_tests::{
    Answer, Organization, Person, Server, eventually, on_both_databases,
    schema::{Schema, Table, Whose},
};
use serde_json::json;

on_both_databases! {
    it_is_closed_to_everybody_at_once;
    who_belongs_elsewhere_signs_in_there;
    the_name_confirms_it;
    owners_with_a_fresh_proof_alone;
    a_personal_organization_stays;
    each_table_is_of_somebody;
    after_thirty_days_nothing_of_it_is_left;
    what_it_had_sealed_opens_no_more;
    until_then_the_operator_can_open_it_again;
    after_its_time_nobody_opens_it_again;
    one_that_cannot_be_erased_holds_up_no_other;
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

/// The tables that are of no organization, and belong to no person either; [`Schema::of_organization`] finds all others.
const OF_NOBODY: [(&str, &str); 11] = [
    ("audit_heads", "the chains of the audit log, which outlives everything"),
    ("audit_streams", "the operator's"),
    ("audit_stream_positions", "the operator's"),
    ("idempotency_keys", "hashes of requests, forgotten within days"),
    ("oauth_revoked_tokens", "hashes, forgotten within the life of a token"),
    ("oauth_seen", "hashes, forgotten within the life of a proof"),
    ("periodic_jobs", "the server's"),
    ("rate_limits", "hashes, forgotten within a day"),
    ("seaql_migrations", "the schema's"),
    ("signing_keys", "the server's"),
    ("webauthn_decoy_key", "the server's"),
];

/// What the organization keeps for ever: that it was, and what happened in it.
const OUTLIVES: &str = "audit_log";

/// How many rows of each table belong to the organization.
async fn rows_of(server: &Server, schema: &Schema, id: i64) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for table in schema.tables().iter().filter(|table| table.name != OUTLIVES) {
        if let Some(of) = schema.of_organization(table, id) {
            let count = server.count(&format!("SELECT count(*) FROM {} WHERE {of}", table.name)).await;
            counts.insert(table.name.clone(), count);
        }
    }
    counts
}

/// Every table is of an organization, of people, or named above: whoever adds one says here whose it is.
async fn each_table_is_of_somebody(server: &Server) {
    let schema = server.schema().await;
    let is_persons = |table: &Table| table.name == "users" || table.people().next().is_some();
    let of_nobody = schema.tables().iter().filter(|table| schema.of_organization(table, 1).is_none());
    let of_nobody: BTreeSet<&str> =
        of_nobody.filter(|table| !is_persons(table)).map(|table| table.name.as_str()).collect();
    assert_eq!(of_nobody, BTreeSet::from(OF_NOBODY.map(|(table, _)| table)));
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
    let schema = server.schema().await;
    let before = rows_of(server, &schema, acme.id).await;
    for table in ["memberships", "sessions", "storage_files", "data_keys", "query_runs", "personal_access_tokens"] {
        assert!(before[table] > 0, "{table} in {before:?}");
    }
    let others = rows_of(server, &schema, globex.id).await;

    delete(&acme.owner, acme.id, "Acme").await.ok();
    server.later(Duration::days(29)).await;
    // Now, so that nothing but the erasure takes it away.
    let whose = Whose { organization: acme.id, person: acme.owner.id };
    schema.fill(server, whose, &[]).await;
    let there = rows_of(server, &schema, acme.id).await;
    let empty: Vec<_> = there.iter().filter(|(_, count)| **count == 0).collect();
    assert!(empty.is_empty(), "nothing to erase in {empty:?}");
    let mut keys = BTreeMap::new();
    for name in there.keys() {
        let table = schema.table(name);
        let of = schema.of_organization(table, acme.id);
        keys.insert(name, table.keys(server, of.as_deref()).await);
    }
    server.later(Duration::days(2)).await;
    eventually("the erasure", async || {
        server.run_due_jobs().await;
        let left = format!("SELECT count(*) FROM organizations WHERE id = {}", acme.id);
        (server.count(&left).await == 0).then_some(())
    })
    .await;
    let left = rows_of(server, &schema, acme.id).await;
    let left: Vec<_> = left.into_iter().filter(|(_, count)| *count > 0).collect();
    assert!(left.is_empty(), "{left:?}");
    // What a foreign key led to is found by its own key, now that the way to it is gone.
    for (name, keys) in keys {
        let left: Vec<_> = schema.table(name).keys(server, None).await.intersection(&keys).cloned().collect();
        assert!(left.is_empty(), "{left:?} of {name}");
    }
    let files = std::fs::read_dir(folder(acme.id)).map_or(0, walk);
    assert_eq!(files, 0);
    assert_eq!(server.audited("organization.erase", "success").await, 1);
    // Nothing of another's; what its own thirty days have ended is not counted.
    let now = rows_of(server, &schema, globex.id).await;
    for table in ["memberships", "storage_files", "data_keys", "policies", "policy_rules"] {
        assert_eq!(now[table], others[table], "{table}");
    }
}

/// What the organization had sealed is noise afterwards, wherever a copy of it lies: its key is gone.
async fn what_it_had_sealed_opens_no_more(server: &Server) {
    const CONTEXT: &str = "tests.copy";
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let vault = &server.platform.vault;
    let owner = |organization: &Organization| Owner::from(OrganizationId(organization.id));
    let tx = server.platform.db.begin().await.unwrap();
    let ours = vault.seal(&tx, owner(&acme), CONTEXT, b"a password").await.unwrap();
    let theirs = vault.seal(&tx, owner(&globex), CONTEXT, b"a password").await.unwrap();
    tx.commit().await.unwrap();
    delete(&acme.owner, acme.id, "Acme").await.ok();
    server.later(Duration::days(29)).await;
    assert_eq!(vault.open(owner(&acme), CONTEXT, &ours).await.unwrap().as_slice(), b"a password");
    server.later(Duration::days(2)).await;
    let error = eventually("the end of the key", async || {
        server.run_due_jobs().await;
        vault.open(owner(&acme), CONTEXT, &ours).await.err()
    })
    .await;
    assert!(matches!(error, VaultError::NoDataKey { .. }), "{error}");
    assert_eq!(vault.open(owner(&globex), CONTEXT, &theirs).await.unwrap().as_slice(), b"a password");
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
    server.later(Duration::days(40)).await;
    server.sign_in(&acme.owner.email).await;
}

async fn after_its_time_nobody_opens_it_again(server: &Server) {
    let acme = server.organization("Acme").await;
    delete(&acme.owner, acme.id, "Acme").await.ok();
    // What has begun to go may have lost its files already.
    server.clock().advance(Duration::days(30));
    let refused = rivergen_tenancy::organization::erase::restore(&server.tenancy, "Acme").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::OrgNotFound);
    assert_eq!(server.audited("organization.restore", "success").await, 0);
}

async fn one_that_cannot_be_erased_holds_up_no_other(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    server.execute("CREATE TABLE stuck (organization_id bigint REFERENCES organizations (id))").await;
    server.execute(&format!("INSERT INTO stuck (organization_id) VALUES ({})", acme.id)).await;
    for organization in [&acme, &globex] {
        delete(&organization.owner, organization.id, &organization.name).await.ok();
    }
    server.clock().advance(Duration::days(31));
    let gone = async |organization: &Organization| {
        eventually("the erasure", async || {
            server.run_due_jobs().await;
            let left = format!("SELECT count(*) FROM organizations WHERE id = {}", organization.id);
            (server.count(&left).await == 0).then_some(())
        })
        .await;
    };
    gone(&globex).await;
    assert_eq!(server.count(&format!("SELECT count(*) FROM memberships WHERE organization_id = {}", acme.id)).await, 4);
    // It is tried again.
    server.execute("DROP TABLE stuck").await;
    server.clock().advance(Duration::hours(2));
    gone(&acme).await;
    assert_eq!(server.audited("organization.erase", "success").await, 2);
}
