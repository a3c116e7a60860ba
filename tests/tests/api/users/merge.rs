//! `POST /api/v1/users/merge`

use chrono::Duration;
use rivergen_tenancy::provision;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

use crate::roles::{custom, give};

on_both_databases! {
    what_the_duplicate_owns_moves_and_its_ways_in_end;
    a_membership_goes_over_with_its_roles;
    what_governed_the_duplicate_governs_the_survivor;
    nobody_hands_over_a_role_that_they_do_not_hold;
    nothing_is_folded_into_a_closed_account;
    a_dry_run_changes_nothing;
    the_rules_hold;
    an_owner_is_not_lost_by_merging;
    of_two_that_are_folded_into_each_other_at_once_one_stays;
}

const PATH: &str = "/api/v1/users/merge";

/// A second organization: of somebody who has an account already, and of a Viewer who is new.
async fn globex(server: &Server, owner: &str, viewer: &str) {
    let people = json!([{"email": owner, "role": "Owner"},
        {"email": viewer, "display_name": "Zora", "password": PASSWORD, "role": "Viewer"}]);
    let file = json!({"name": "Globex", "people": people});
    provision::run(&server.tenancy, serde_json::from_value(file).unwrap()).await.unwrap();
}

/// What somebody holds in an organization: each role with its workspace.
async fn held(server: &Server, organization: i64, person: i64) -> Vec<(String, Value)> {
    let rows = format!(
        "SELECT roles.name, role_assignments.workspace_id FROM role_assignments JOIN roles ON roles.id = role_id \
         WHERE role_assignments.organization_id = {organization} AND user_id = {person} ORDER BY role_assignments.id"
    );
    let rows = server.rows(&rows).await;
    rows.iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row["workspace_id"].clone())).collect()
}

async fn what_the_duplicate_owns_moves_and_its_ways_in_end(server: &Server) {
    let acme = server.organization("Acme").await;
    let (duplicate, survivor) = (&acme.developer, &acme.viewer);
    let source = duplicate.file_source("Products", "csv", "products.csv", b"sku,product\nP1,Lamp\n".to_vec()).await;
    let body = json!({"source_user_id": duplicate.id, "target_user_id": survivor.id});
    let merged = acme.owner.client.post(PATH, body).await.ok();
    assert_eq!(
        (merged["merged_user_id"].as_i64(), merged["user"]["id"].as_i64()),
        (Some(duplicate.id), Some(survivor.id))
    );
    assert_eq!(merged["moved"], json!({"memberships": 0, "possessions": 1}));
    // Nobody rises by merging.
    let conflict = &merged["conflicts"][0];
    assert_eq!((&conflict["kept_roles"], &conflict["dropped_roles"]), (&json!(["Viewer"]), &json!(["Developer"])));
    assert_eq!(merged["user"]["memberships"][0]["roles"], json!(["Viewer"]));
    duplicate.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let login = json!({"email": duplicate.email, "password": PASSWORD});
    server.anonymous().post("/api/v1/auth/login", login).await.error(403, "USER_DISABLED");
    let reasons = format!("SELECT DISTINCT end_reason FROM sessions WHERE user_id = {}", duplicate.id);
    assert_eq!(server.rows(&reasons).await, [json!({"end_reason": "account_merged"})]);
    let owners =
        format!("SELECT count(*) FROM data_sources WHERE id = {source} AND created_by_user_id = {}", survivor.id);
    assert_eq!(server.count(&owners).await, 1);
    for person in [duplicate, survivor] {
        server.mailbox().titled(&person.email, "Your accounts were merged").await;
    }
    assert_eq!(server.audited("user.merge", "success").await, 1);
}

async fn a_membership_goes_over_with_its_roles(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    globex(server, &acme.owner.email, "twin@globex.example").await;
    let (duplicate, survivor) = (&acme.viewer, server.sign_in("twin@globex.example").await);
    let found = async |query: &str| {
        let body = json!({"query": query, "organization_id": acme.id});
        let found = acme.admin.client.post("/api/v1/users/search", body).await.ok();
        found["users"].as_array().unwrap().iter().map(|user| user["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    let headcount = async || acme.admin.client.get("/api/v1/users").await.ok()["total_count"].clone();
    assert_eq!((found("viewer").await, found("zora").await, headcount().await), (vec![duplicate.id], vec![], json!(4)));
    let before = held(server, acme.id, duplicate.id).await;
    assert_eq!(before, [("Viewer".to_owned(), Value::Null), ("Developer".to_owned(), json!(lab))]);

    let body = json!({"source_user_id": duplicate.id, "target_user_id": survivor.id});
    let merged = acme.owner.client.post(PATH, body).await.ok();
    assert_eq!(merged["moved"], json!({"memberships": 1, "possessions": 0}));
    assert_eq!((&merged["conflicts"], &merged["user"]["memberships"][0]["roles"]), (&json!([]), &json!(["Viewer"])));
    assert_eq!(held(server, acme.id, survivor.id).await, before);
    assert!(held(server, acme.id, duplicate.id).await.is_empty());
    // The survivor is one of the members under their own name, and counts at once.
    assert_eq!((found("viewer").await, found("zora").await, headcount().await), (vec![], vec![survivor.id], json!(4)));
    let members = format!("/api/v1/organizations/{}/members", acme.id);
    survivor.client.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    acme.admin.client.get(&format!("{members}/{}", survivor.id)).await.ok();
    acme.admin.client.get(&format!("{members}/{}", duplicate.id)).await.error(404, "MEMBER_NOT_FOUND");
    duplicate.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    // The history of both roles tells of it.
    for (action, person) in [("role.revoke", duplicate.id), ("role.assign", survivor.id)] {
        let told = format!(
            "SELECT count(*) FROM audit_log WHERE action = '{action}' AND organization_id = {} \
             AND details LIKE '%\"user_id\":{person},%'",
            acme.id
        );
        assert_eq!(server.count(&told).await, 2, "{action}");
    }
}

/// Nobody gets rid of a policy by another account that takes their place.
async fn what_governed_the_duplicate_governs_the_survivor(server: &Server) {
    let acme = server.organization("Acme").await;
    let lamps = acme.owner.file_source("Lamps", "csv", "lamps.csv", b"product\nLamp\n".to_vec()).await;
    globex(server, &acme.owner.email, "twin@globex.example").await;
    let (duplicate, survivor) = (&acme.viewer, server.sign_in("twin@globex.example").await);
    let mask = json!({"table": "lamps", "column": "product", "masking_function": "redact"});
    let bound = async |policy: &str| {
        let policy = json!({"name": policy, "type": "data_masking", "data_source_ids": [lamps],
            "user_ids": [duplicate.id], "rules": [{"rule_name": "mask", "rule_type": "mask_column", "rule_config": mask}]});
        acme.admin.client.post("/api/v1/policies", policy).await.created()["id"].as_i64().unwrap()
    };
    let policies = [bound("one").await, bound("other").await];
    // The survivor was a member before: what is left of that is at rest.
    let left = format!(
        "INSERT INTO policy_assignments (organization_id, policy_id, data_source_id, user_id, is_active, metadata, \
         applied_at, applied_by_user_id) SELECT organization_id, policy_id, data_source_id, {}, false, metadata, \
         applied_at, applied_by_user_id FROM policy_assignments WHERE policy_id = {}",
        survivor.id, policies[0]
    );
    server.execute(&left).await;
    let product = "SELECT product FROM lamps";
    assert_eq!(duplicate.value(lamps, product).await, "[REDACTED]");

    let body = json!({"source_user_id": duplicate.id, "target_user_id": survivor.id});
    acme.owner.client.post(PATH, body).await.ok();
    let rows = "SELECT policy_id, user_id FROM policy_assignments WHERE is_active ORDER BY policy_id";
    let row = |policy: i64| json!({"policy_id": policy, "user_id": survivor.id});
    assert_eq!(server.rows(rows).await, policies.map(row));
    assert_eq!(survivor.stand_in(acme.workspace_id).await.value(lamps, product).await, "[REDACTED]");

    // An heir is not whom it governs.
    let path = format!("/api/v1/organizations/{}/members/{}?transfer_to={}", acme.id, survivor.id, acme.developer.id);
    acme.owner.client.delete(&path).await.ok();
    assert_eq!(acme.developer.value(lamps, product).await, "Lamp");
}

async fn nobody_hands_over_a_role_that_they_do_not_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Admin").await;
    let merger = &acme.developer;
    let role = custom(&acme, "Merger", &["user.merge"]).await;
    give(&acme.owner, role, json!({"user_id": merger.id})).await;
    // An organization of their own, and in it an account that is theirs, too.
    globex(server, &merger.email, "second@globex.example").await;
    let second = server.sign_in("second@globex.example").await.id;
    let body = json!({"source_user_id": acme.viewer.id, "target_user_id": second});
    merger.client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    assert!(held(server, acme.id, second).await.is_empty());
    // Whoever is an Admin in that workspace may.
    acme.let_in(lab, merger, "Admin").await;
    merger.client.post(PATH, body).await.ok();
    assert_eq!(
        held(server, acme.id, second).await,
        [("Viewer".to_owned(), Value::Null), ("Admin".to_owned(), json!(lab))]
    );
}

async fn nothing_is_folded_into_a_closed_account(server: &Server) {
    let acme = server.organization("Acme").await;
    let (duplicate, survivor) = (&acme.developer, &acme.viewer);
    server.execute(&format!("UPDATE users SET disabled_at = created_at WHERE id = {}", survivor.id)).await;
    let body = json!({"source_user_id": duplicate.id, "target_user_id": survivor.id});
    acme.owner.client.post(PATH, body).await.error(409, "CONFLICT");
    duplicate.client.get("/api/v1/data-sources").await.ok();
    // The other way round nothing is lost.
    let body = json!({"source_user_id": survivor.id, "target_user_id": duplicate.id});
    acme.owner.client.post(PATH, body).await.ok();
}

async fn a_dry_run_changes_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"source_user_id": acme.developer.id, "target_user_id": acme.viewer.id, "dry_run": true});
    let merged = acme.owner.client.post(PATH, body).await.ok();
    assert_eq!(merged["conflicts"].as_array().unwrap().len(), 1);
    acme.developer.client.get("/api/v1/data-sources").await.ok();
    assert_eq!(server.audited("user.merge", "success").await, 0);
}

async fn the_rules_hold(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let body = |source: i64, target: i64| json!({"source_user_id": source, "target_user_id": target});
    let owner = &acme.owner.client;
    owner.post(PATH, body(acme.viewer.id, acme.viewer.id)).await.error(400, "CANNOT_MERGE_SELF");
    owner.post(PATH, body(acme.viewer.id, globex.viewer.id)).await.error(404, "USER_NOT_FOUND");
    owner.post(PATH, body(999_999, acme.viewer.id)).await.error(404, "USER_NOT_FOUND");
    acme.developer.client.post(PATH, body(acme.viewer.id, acme.admin.id)).await.error(403, "FORBIDDEN");
    // An admin does not fold an owner away.
    acme.admin.client.post(PATH, body(acme.owner.id, acme.viewer.id)).await.error(403, "FORBIDDEN");
    server.clock().advance(Duration::minutes(11));
    owner.post(PATH, body(acme.viewer.id, acme.developer.id)).await.error(403, "REAUTHENTICATION_REQUIRED");
}

async fn an_owner_is_not_lost_by_merging(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"source_user_id": acme.owner.id, "target_user_id": acme.viewer.id});
    acme.owner.client.post(PATH, body).await.error(409, "LAST_OWNER");
    acme.owner.client.get("/api/v1/data-sources").await.ok();
}

async fn of_two_that_are_folded_into_each_other_at_once_one_stays(server: &Server) {
    for name in ["Acme", "Globex", "Initech"] {
        let of = server.organization(name).await;
        let merge = async |source: i64, target: i64| {
            of.owner.client.post(PATH, json!({"source_user_id": source, "target_user_id": target})).await
        };
        let (one, other) = (of.developer.id, of.viewer.id);
        let (first, second) = tokio::join!(merge(one, other), merge(other, one));
        let (won, lost) = if first.status.is_success() { (first, second) } else { (second, first) };
        won.ok();
        lost.error(404, "USER_NOT_FOUND");
    }
}
