//! `DELETE /api/v1/policies/{policy_id}` and `POST /api/v1/policies/{policy_id}/restore`

use chrono::Duration;
use rivergen_tests::{Organization, Server, Shop, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_deleted_policy_governs_nothing_and_can_be_restored;
    its_history_stays_readable;
    the_window_to_restore_it_ends;
    one_that_cannot_be_purged_holds_up_no_other;
    by_force_it_is_gone_for_good;
    anothers_is_not_found;
    who_may_not_is_refused;
}

async fn eu_only(acme: &Organization, shop: &Shop) -> String {
    named(acme, shop, "EU only").await
}

async fn named(acme: &Organization, shop: &Shop, name: &str) -> String {
    let body = json!({"name": name, "type": "row_level_security", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Viewer"]], "rules": [{"rule_name": "eu", "rule_type": "filter_rows",
            "rule_config": {"table": "customers", "condition": "region = 'EU'"}}]});
    format!("/api/v1/policies/{}", acme.admin.client.post("/api/v1/policies", body).await.created()["id"])
}

async fn count(acme: &Organization, shop: &Shop) -> Value {
    acme.viewer.value(shop.crm, "SELECT count(*) FROM customers").await
}

async fn a_deleted_policy_governs_nothing_and_can_be_restored(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    let whole = acme.admin.client.get(&path).await.ok();
    assert_eq!(count(&acme, &shop).await, 2);
    acme.admin.client.post_empty(&format!("{path}/restore")).await.error(409, "CONFLICT");

    let data = acme.admin.client.delete(&path).await.ok();
    assert_eq!(data["policy_id"], whole["id"]);
    assert!(data["deleted_at"].is_string() && data["restorable_until"].is_string(), "{data}");
    assert_eq!(count(&acme, &shop).await, 6);
    acme.admin.client.get(&path).await.error(404, "NOT_FOUND");
    acme.admin.client.delete(&path).await.error(404, "NOT_FOUND");
    acme.admin.client.patch(&path, json!({"is_active": false})).await.error(404, "NOT_FOUND");
    assert_eq!(acme.admin.client.get("/api/v1/policies").await.ok()["items"], json!([]));
    let deleted = acme.admin.client.get("/api/v1/policies?deleted=true").await.ok();
    assert_eq!((&deleted["items"][0]["id"], deleted["pagination"]["total_items"].as_i64()), (&whole["id"], Some(1)));
    assert_eq!(deleted["items"][0]["deleted_at"], data["deleted_at"]);

    server.clock().advance(Duration::days(29));
    let acme = Organization { admin: server.sign_in(&acme.admin.email).await, ..acme };
    let acme = Organization { viewer: server.sign_in(&acme.viewer.email).await, ..acme };
    let restored = acme.admin.client.post_empty(&format!("{path}/restore")).await.ok();
    assert_eq!(restored, whole);
    assert_eq!(count(&acme, &shop).await, 2);
    for action in ["policy.delete", "policy.restore"] {
        assert_eq!(server.audited(action, "success").await, 1, "{action}");
    }
}

async fn its_history_stays_readable(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    count(&acme, &shop).await;
    acme.admin.client.delete(&path).await.ok();
    let evaluations = acme.admin.client.get(&format!("{path}/evaluations")).await.ok();
    assert_eq!(evaluations["pagination"]["total_items"], 1);
    let versions = acme.admin.client.get(&format!("{path}/versions")).await.ok();
    assert_eq!(versions["pagination"]["total_items"], 1);
}

async fn the_window_to_restore_it_ends(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    count(&acme, &shop).await;
    acme.admin.client.delete(&path).await.ok();
    server.clock().advance(Duration::days(30));
    let admin = server.sign_in(&acme.admin.email).await;
    admin.client.post_empty(&format!("{path}/restore")).await.error(404, "NOT_FOUND");
    admin.client.get(&format!("{path}/versions")).await.error(404, "NOT_FOUND");
    assert_eq!(admin.client.get("/api/v1/policies?deleted=true").await.ok()["items"], json!([]));
    server.clock().advance(Duration::days(2));
    eventually("the purge", async || (server.count("SELECT count(*) FROM policies").await == 0).then_some(())).await;
    for table in
        ["policy_rules", "policy_assignments", "policy_versions", "policy_evaluations", "policy_evaluation_days"]
    {
        assert_eq!(server.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(server.audited("policy.purge", "success").await, 1);
}

async fn one_that_cannot_be_purged_holds_up_no_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let (stuck, other) = (named(&acme, &shop, "Stuck").await, named(&acme, &shop, "Other").await);
    server.execute("CREATE TABLE stuck (policy_id bigint REFERENCES policies (id))").await;
    server.execute("INSERT INTO stuck (policy_id) SELECT id FROM policies WHERE name = 'Stuck'").await;
    for path in [&stuck, &other] {
        acme.admin.client.delete(path).await.ok();
    }
    let left = async |name: &str| server.count(&format!("SELECT count(*) FROM policies WHERE name = '{name}'")).await;
    server.later(Duration::days(32)).await;
    assert_eq!((left("Stuck").await, left("Other").await), (1, 0));
    // It is tried again.
    server.execute("DROP TABLE stuck").await;
    server.later(Duration::hours(2)).await;
    assert_eq!(left("Stuck").await, 0);
    assert_eq!(server.audited("policy.purge", "success").await, 2);
}

async fn by_force_it_is_gone_for_good(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    count(&acme, &shop).await;
    let data = acme.admin.client.delete(&format!("{path}?force=true")).await.ok();
    assert_eq!(data["restorable_until"], Value::Null);
    assert_eq!(count(&acme, &shop).await, 6);
    acme.admin.client.post_empty(&format!("{path}/restore")).await.error(404, "NOT_FOUND");
    for history in ["evaluations", "versions"] {
        acme.admin.client.get(&format!("{path}/{history}")).await.error(404, "NOT_FOUND");
    }
    acme.admin.client.delete(&format!("{path}?force=true")).await.error(404, "NOT_FOUND");
    // One that was deleted softly can still be deleted for good.
    let path = eu_only(&acme, &shop).await;
    acme.admin.client.delete(&path).await.ok();
    acme.admin.client.delete(&format!("{path}?force=true")).await.ok();
    acme.admin.client.post_empty(&format!("{path}/restore")).await.error(404, "NOT_FOUND");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    globex.owner.client.delete(&format!("{path}?force=true")).await.error(404, "NOT_FOUND");
    acme.admin.client.delete(&path).await.ok();
    globex.owner.client.post_empty(&format!("{path}/restore")).await.error(404, "NOT_FOUND");
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.delete(&path).await.error(403, "FORBIDDEN");
        person.client.post_empty(&format!("{path}/restore")).await.error(403, "FORBIDDEN");
    }
    server.anonymous().delete(&path).await.error(401, "UNAUTHORIZED");
    assert_eq!(count(&acme, &shop).await, 2);
}
