//! `GET /api/v1/policies/{policy_id}/versions`, `GET …/versions/{version}` and `POST …/versions/{version}/restore`

use rivergen_tests::{Organization, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    each_change_is_kept_with_author_time_and_difference;
    a_version_is_read_as_a_whole;
    an_earlier_version_holds_again;
    what_does_not_fit_any_more_is_not_restored;
    a_policy_older_than_its_versions_has_one;
    anothers_is_not_found;
    who_may_not_is_refused;
}

fn filter(condition: &str) -> Value {
    json!({"rule_name": "region", "rule_type": "filter_rows",
        "rule_config": {"table": "customers", "condition": condition}})
}

async fn eu_only(acme: &Organization, shop: &Shop) -> String {
    let body = json!({"name": "EU only", "type": "row_level_security", "data_source_ids": [shop.crm],
        "role_ids": [acme.roles["Viewer"]], "rules": [filter("region = 'EU'")]});
    format!("/api/v1/policies/{}", acme.admin.client.post("/api/v1/policies", body).await.created()["id"])
}

/// Two changes, by two people, an hour apart.
async fn changed_twice(server: &Server, acme: &Organization, shop: &Shop) -> String {
    let path = eu_only(acme, shop).await;
    for (person, body) in [
        (&acme.owner, json!({"name": "Not the EU", "rules": [filter("region <> 'EU'")]})),
        (&acme.admin, json!({"is_active": false})),
    ] {
        server.clock().advance(chrono::Duration::minutes(20));
        person.client.patch(&path, body).await.ok();
    }
    path
}

async fn each_change_is_kept_with_author_time_and_difference(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = changed_twice(server, &acme, &shop).await;
    let data = acme.developer.client.get(&format!("{path}/versions")).await.ok();
    let items = data["items"].as_array().unwrap();
    let told: Vec<_> = items
        .iter()
        .map(|item| {
            (
                item["version"].as_i64().unwrap(),
                item["change"].as_str().unwrap(),
                item["changed_by_user_id"].as_i64().unwrap(),
            )
        })
        .collect();
    assert_eq!(told, [(3, "updated", acme.admin.id), (2, "updated", acme.owner.id), (1, "created", acme.admin.id)]);
    assert!(items.windows(2).all(|pair| pair[0]["changed_at"].as_str() > pair[1]["changed_at"].as_str()), "{data}");
    assert_eq!(items[0]["changes"], json!([{"field": "is_active", "before": true, "after": false}]));
    assert_eq!(
        items[1]["changes"],
        json!([
            {"field": "name", "before": "EU only", "after": "Not the EU"},
            {"field": "rules[region].rule_config.condition", "before": "region = 'EU'", "after": "region <> 'EU'"}])
    );
    assert_eq!(items[2]["changes"], json!([]));
    // The difference does not depend on where a page ends.
    let second = acme.developer.client.get(&format!("{path}/versions?page=2&page_size=1")).await.ok();
    assert_eq!(second["items"], json!([items[1]]));
    assert_eq!(second["pagination"]["total_items"], 3);
}

async fn a_version_is_read_as_a_whole(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = changed_twice(server, &acme, &shop).await;
    let data = acme.developer.client.get(&format!("{path}/versions/2")).await.ok();
    assert_eq!((data["version"].as_i64(), data["changes"].as_array().unwrap().len()), (Some(2), 2));
    assert_eq!(data["definition"]["name"], "Not the EU");
    assert_eq!(data["definition"]["is_active"], true);
    assert_eq!(data["definition"]["rules"][0]["rule_config"]["condition"], "region <> 'EU'");
    for unknown in ["0", "4", "x", "-1"] {
        acme.developer.client.get(&format!("{path}/versions/{unknown}")).await.error(404, "NOT_FOUND");
    }
}

async fn an_earlier_version_holds_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = changed_twice(server, &acme, &shop).await;
    let count = async || acme.viewer.value(shop.crm, "SELECT count(*) FROM customers").await;
    assert_eq!(count().await, 6);
    let data = acme.owner.client.post_empty(&format!("{path}/versions/1/restore")).await.ok();
    assert_eq!((data["name"].as_str(), data["version"].as_i64()), (Some("EU only"), Some(4)));
    assert_eq!((data["is_active"].as_bool(), data["assignments"].as_array().unwrap().len()), (Some(true), 1));
    assert_eq!(count().await, 2);
    let versions = acme.admin.client.get(&format!("{path}/versions")).await.ok();
    let latest = &versions["items"][0];
    assert_eq!((&latest["change"], &latest["changed_by_user_id"]), (&json!("restored"), &json!(acme.owner.id)));
    acme.owner.client.post_empty(&format!("{path}/versions/9/restore")).await.error(404, "NOT_FOUND");
}

async fn what_does_not_fit_any_more_is_not_restored(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = changed_twice(server, &acme, &shop).await;
    // As if the source had lost the table since.
    server.execute(&format!("DELETE FROM data_source_tables WHERE data_source_id = {}", shop.crm)).await;
    let restore = format!("{path}/versions/1/restore");
    acme.owner.client.post_empty(&restore).await.invalid("rules[0].rule_config.table");
    assert_eq!(acme.owner.client.get(&path).await.ok()["version"], 3);
}

async fn a_policy_older_than_its_versions_has_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    server.execute("DELETE FROM policy_versions").await;
    let data = acme.admin.client.get(&format!("{path}/versions")).await.ok();
    assert_eq!((data["items"][0]["version"].as_i64(), data["pagination"]["total_items"].as_i64()), (Some(1), Some(1)));
    assert_eq!(acme.admin.client.get(&format!("{path}/versions/1")).await.ok()["definition"]["name"], "EU only");
    acme.owner.client.patch(&path, json!({"name": "changed"})).await.ok();
    let data = acme.admin.client.get(&format!("{path}/versions")).await.ok();
    assert_eq!(data["items"][0]["changes"], json!([{"field": "name", "before": "EU only", "after": "changed"}]));
    assert_eq!(data["items"][1]["changed_by_user_id"], acme.admin.id);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    globex.owner.client.get(&format!("{path}/versions")).await.error(404, "NOT_FOUND");
    globex.owner.client.get(&format!("{path}/versions/1")).await.error(404, "NOT_FOUND");
    globex.owner.client.post_empty(&format!("{path}/versions/1/restore")).await.error(404, "NOT_FOUND");
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = eu_only(&acme, &shop).await;
    acme.viewer.client.get(&format!("{path}/versions")).await.error(403, "FORBIDDEN");
    acme.viewer.client.get(&format!("{path}/versions/1")).await.error(403, "FORBIDDEN");
    acme.developer.client.post_empty(&format!("{path}/versions/1/restore")).await.error(403, "FORBIDDEN");
    server.anonymous().get(&format!("{path}/versions")).await.error(401, "UNAUTHORIZED");
}
