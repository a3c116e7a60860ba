//! `PUT /api/v1/roles/{role_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, details_of, give, may, words};

on_both_databases! {
    what_is_absent_stays;
    it_holds_at_the_holders_next_request;
    built_in_roles_are_read_only;
    the_name_stays_unique;
    wrong_roles_and_strangers_change_nothing;
    what_is_not_valid_is_named;
}

async fn what_is_absent_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["workspace.read", "workspace.write"]).await;
    let path = format!("{PATH}/{role}");
    let put = async |body: Value| acme.admin.client.put(&path, body).await.ok()["role"].clone();
    let changed = put(json!({"permissions": ["workspace.read", "workspace.delete"], "description": "Looks."})).await;
    assert_eq!((&changed["name"], &changed["description"]), (&json!("Analyst"), &json!("Looks.")));
    assert_eq!(words(&changed["permissions"]), ["workspace.read", "workspace.delete"]);
    let told = details_of(server, "role.update").await;
    assert_eq!((&told["added"], &told["removed"]), (&json!(["workspace.delete"]), &json!(["workspace.write"])));

    let renamed = put(json!({"name": "Reader"})).await;
    assert_eq!((&renamed["description"], &renamed["permissions"]), (&json!("Looks."), &changed["permissions"]));
    assert_eq!(details_of(server, "role.update").await["name_before"], "Analyst");
    assert_eq!(put(json!({"description": null})).await["description"], Value::Null);
    let same = put(json!({})).await;
    assert_eq!((&same["name"], &same["permissions"]), (&json!("Reader"), &changed["permissions"]));
    assert_eq!(put(json!({"permissions": []})).await["permissions"], json!([]));
    let answer = acme.admin.client.put(&path, json!({})).await;
    assert_eq!(answer.ok()["message"], "Role updated successfully");
    assert_eq!(server.audited("role.update", "success").await, 6);
}

async fn it_holds_at_the_holders_next_request(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read"]).await;
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    for (permissions, may_read, may_write) in
        [(json!(["policy.read"]), true, false), (json!(["policy.write"]), false, true), (json!([]), false, false)]
    {
        acme.owner.client.put(&format!("{PATH}/{role}"), json!({"permissions": permissions})).await.ok();
        assert_eq!(
            (may(&acme.viewer, "policy.read").await, may(&acme.viewer, "policy.write").await),
            (may_read, may_write)
        );
        // Not only by the answer to the question.
        let status = acme.viewer.client.get("/api/v1/organizations").await.status;
        assert!(status.is_success());
        let templates = json!({"name": format!("By {permissions}"), "permissions": [], "organization_id": acme.id});
        acme.viewer.client.post(PATH, templates).await.error(403, "FORBIDDEN");
    }
    let body = json!({"permissions": ["role.create"]});
    acme.owner.client.put(&format!("{PATH}/{role}"), body).await.ok();
    let made = json!({"name": "By the Viewer", "permissions": [], "organization_id": acme.id});
    acme.viewer.client.post(PATH, made).await.created();
}

async fn built_in_roles_are_read_only(server: &Server) {
    let acme = server.organization("Acme").await;
    for (name, role) in &acme.roles {
        let path = format!("{PATH}/{role}");
        for body in [json!({"permissions": []}), json!({"name": "Mine"}), json!({"description": "x"}), json!({})] {
            acme.owner.client.put(&path, body.clone()).await.error(409, "SYSTEM_ROLE");
            acme.admin.client.put(&path, body).await.error(409, "SYSTEM_ROLE");
        }
        assert_eq!(acme.owner.client.get(&path).await.ok()["role"]["name"], json!(name));
    }
}

async fn the_name_stays_unique(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &[]).await;
    custom(&acme, "Reader", &[]).await;
    let path = format!("{PATH}/{role}");
    for name in ["reader", "READER ", "owner"] {
        acme.owner.client.put(&path, json!({"name": name})).await.error(409, "ROLE_ALREADY_EXISTS");
    }
    // Its own is no other's.
    let renamed = acme.owner.client.put(&path, json!({"name": "ANALYST"})).await.ok();
    assert_eq!(renamed["role"]["name"], "ANALYST");
}

async fn wrong_roles_and_strangers_change_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let role = custom(&acme, "Analyst", &["datasource.read"]).await;
    let path = format!("{PATH}/{role}");
    let body = json!({"name": "Mine", "permissions": []});
    for person in [&acme.developer, &acme.viewer] {
        person.client.put(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.put(&path, body.clone()).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().put(&path, body).await.error(401, "UNAUTHORIZED");
    let seen = acme.owner.client.get(&path).await.ok();
    assert_eq!((&seen["role"]["name"], &seen["role"]["permissions"]), (&json!("Analyst"), &json!(["datasource.read"])));
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}", custom(&acme, "Analyst", &[]).await);
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": "x".repeat(101)}), "name"),
        (json!({"permissions": ["*"]}), "permissions[0]"),
        (json!({"permissions": ["role.read", "role.read"]}), "permissions"),
        (json!({"description": "x".repeat(501)}), "description"),
        (json!({"description": 7}), "description"),
    ] {
        acme.owner.client.put(&path, body).await.invalid(field);
    }
}
