//! `POST /api/v1/users/merge`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    what_the_duplicate_owns_moves_and_its_ways_in_end;
    a_dry_run_changes_nothing;
    the_rules_hold;
    an_owner_is_not_lost_by_merging;
    of_two_that_are_folded_into_each_other_at_once_one_stays;
}

const PATH: &str = "/api/v1/users/merge";

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
    // Nobody rises by merging.
    let conflict = &merged["conflicts"][0];
    assert_eq!((&conflict["kept_roles"], &conflict["dropped_roles"]), (&json!(["Viewer"]), &json!(["Developer"])));
    assert_eq!(merged["user"]["memberships"][0]["roles"], json!(["Viewer"]));
    duplicate.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let login = json!({"email": duplicate.email, "password": rivergen_tests::PASSWORD});
    server.anonymous().post("/api/v1/auth/login", login).await.error(403, "USER_DISABLED");
    let reasons = format!("SELECT DISTINCT end_reason FROM sessions WHERE user_id = {}", duplicate.id);
    assert_eq!(server.rows(&reasons).await, [json!({"end_reason": "account_merged"})]);
    let owners =
        format!("SELECT count(*) FROM data_sources WHERE id = {source} AND created_by_user_id = {}", survivor.id);
    assert_eq!(server.count(&owners).await, 1);
    for person in [duplicate, survivor] {
        server.mailbox().titled(&person.email, "Two accounts became one").await;
    }
    assert_eq!(server.audited("user.merge", "success").await, 1);
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
