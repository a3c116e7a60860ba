//! `/api/v1/organizations/{org_id}/roles`: the roles of `/api/v1/roles`, on the other surface

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

use crate::roles::{custom, give, may};

on_both_databases! {
    a_role_lives_on_both_surfaces;
    the_list_has_the_built_in_ones_first;
    the_rules_are_the_same;
    a_replacement_takes_the_place;
    wrong_roles_may_not;
    anothers_is_not_found;
}

fn path(of: &Organization) -> String {
    format!("/api/v1/organizations/{}/roles", of.id)
}

async fn a_role_lives_on_both_surfaces(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Analyst", "description": null, "permissions": ["policy.read"]});
    let made = acme.admin.client.post(&path(&acme), body).await.created();
    let role = &made["role"];
    assert_eq!((&role["organization_id"], &role["is_system"]), (&json!(acme.id), &json!(false)));
    assert_eq!((&role["description"], &role["member_count"]), (&Value::Null, &json!(0)));
    assert!(made["message"].is_string() && role["updated_at"].is_string());
    let id = role["id"].as_i64().unwrap();
    let (here, there) = (format!("{}/{id}", path(&acme)), format!("/api/v1/roles/{id}"));
    assert_eq!(acme.viewer.client.get(&there).await.ok()["role"]["name"], "Analyst");

    give(&acme.owner, id, json!({"user_id": acme.viewer.id})).await;
    let changed = json!({"name": "Auditor", "permissions": ["audit.read"], "description": "Looks."});
    let data = acme.admin.client.patch(&here, changed).await.ok();
    assert_eq!((&data["role"]["name"], &data["role"]["member_count"]), (&json!("Auditor"), &json!(1)));
    assert!(may(&acme.viewer, "audit.read").await && !may(&acme.viewer, "policy.read").await);
    let seen = acme.developer.client.get(&here).await.ok();
    assert_eq!(
        (&seen["role"]["permissions"], &seen["role"]["description"]),
        (&json!(["audit.read"]), &json!("Looks."))
    );
    for action in ["role.create", "role.update"] {
        assert_eq!(server.audited(action, "success").await, 1);
    }
}

async fn the_list_has_the_built_in_ones_first(server: &Server) {
    let acme = server.organization("Acme").await;
    custom(&acme, "Zookeeper", &[]).await;
    custom(&acme, "Analyst", &[]).await;
    let names = async |query: &str| -> Vec<String> {
        let data = acme.developer.client.get(&format!("{}?{query}", path(&acme))).await.ok();
        assert_eq!(data["total_count"], 6);
        let roles = data["roles"].as_array().unwrap().iter();
        roles.map(|role| role["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("").await, ["Admin", "Developer", "Owner", "Viewer", "Analyst", "Zookeeper"]);
    assert_eq!(names("skip=3&limit=2").await, ["Viewer", "Analyst"]);
    let data = acme.owner.client.get(&path(&acme)).await.ok();
    for role in &data["roles"].as_array().unwrap()[..4] {
        assert_eq!((&role["is_system"], &role["member_count"]), (&json!(true), &json!(1)), "{role}");
    }
    acme.owner.client.get(&format!("{}?limit=0", path(&acme))).await.invalid("limit");
}

async fn the_rules_are_the_same(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    let new = |name: &str, permissions: Value| json!({"name": name, "permissions": permissions});
    client.post(&path(&acme), new("owner", json!([]))).await.error(409, "ROLE_ALREADY_EXISTS");
    client.post(&path(&acme), new("X", json!(["*"]))).await.invalid("permissions[0]");
    client.post(&path(&acme), new("X", json!(["role.read", "role.read"]))).await.invalid("permissions");
    client.post(&path(&acme), new("", json!([]))).await.invalid("name");
    client.post(&path(&acme), new("X", json!(["organization.delete"]))).await.error(403, "FORBIDDEN");
    for role in acme.roles.values() {
        let path = format!("{}/{role}", path(&acme));
        client.patch(&path, json!({"name": "Mine"})).await.error(409, "SYSTEM_ROLE");
        client.delete(&path).await.error(409, "SYSTEM_ROLE");
    }
    let role = custom(&acme, "Analyst", &["organization.delete"]).await;
    let path = format!("{}/{role}", path(&acme));
    client.patch(&path, json!({"permissions": []})).await.error(403, "FORBIDDEN");
    client.patch(&path, json!({"name": "viewer"})).await.error(409, "ROLE_ALREADY_EXISTS");
    client.patch(&path, json!({"permissions": ["x"]})).await.invalid("permissions[0]");
}

async fn a_replacement_takes_the_place(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (old, new) = (custom(&acme, "Old", &["policy.read"]).await, custom(&acme, "New", &["audit.read"]).await);
    give(&acme.owner, old, json!({"user_id": acme.viewer.id})).await;
    let path = format!("{}/{old}", path(&acme));
    acme.admin.client.delete(&path).await.error(409, "ROLE_IN_USE");
    let foreign = globex.roles["Viewer"];
    acme.admin.client.delete(&format!("{path}?replacement_role_id={foreign}")).await.error(404, "ROLE_NOT_FOUND");
    acme.admin.client.delete(&format!("{path}?replacement_role_id={old}")).await.invalid("replacement_role_id");
    let data = acme.admin.client.delete(&format!("{path}?replacement_role_id={new}")).await.ok();
    assert_eq!(data["deleted"], true);
    assert!(may(&acme.viewer, "audit.read").await && !may(&acme.viewer, "policy.read").await);
    acme.admin.client.get(&path).await.error(404, "ROLE_NOT_FOUND");
}

async fn wrong_roles_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = format!("{}/{}", path(&acme), custom(&acme, "Analyst", &[]).await);
    let body = json!({"name": "Mine", "permissions": []});
    acme.viewer.client.get(&path(&acme)).await.error(403, "FORBIDDEN");
    acme.viewer.client.get(&role).await.error(403, "FORBIDDEN");
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path(&acme), body.clone()).await.error(403, "FORBIDDEN");
        person.client.patch(&role, body.clone()).await.error(403, "FORBIDDEN");
        person.client.delete(&role).await.error(403, "FORBIDDEN");
    }
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let body = json!({"name": "Mine", "permissions": []});
    let role = format!("{}/{}", path(&acme), acme.roles["Viewer"]);
    let stranger = &globex.owner.client;
    stranger.get(&path(&acme)).await.error(404, "ORG_NOT_FOUND");
    stranger.post(&path(&acme), body.clone()).await.error(404, "ORG_NOT_FOUND");
    stranger.get(&role).await.error(404, "ORG_NOT_FOUND");
    stranger.patch(&role, body.clone()).await.error(404, "ORG_NOT_FOUND");
    stranger.delete(&role).await.error(404, "ORG_NOT_FOUND");
    let anonymous = server.anonymous();
    anonymous.get(&path(&acme)).await.error(401, "UNAUTHORIZED");
    anonymous.post(&path(&acme), body.clone()).await.error(401, "UNAUTHORIZED");
    anonymous.get(&role).await.error(401, "UNAUTHORIZED");
    anonymous.patch(&role, body).await.error(401, "UNAUTHORIZED");
    anonymous.delete(&role).await.error(401, "UNAUTHORIZED");
}
