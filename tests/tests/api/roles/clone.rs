//! `POST /api/v1/roles/{role_id}/clone`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{PATH, custom, details_of, give, words};

on_both_databases! {
    a_copy_has_the_permissions_and_not_the_holders;
    a_copy_of_owner_holds_the_whole_catalogue;
    the_name_must_be_free_and_valid;
    wrong_roles_and_strangers_copy_nothing;
}

async fn a_copy_has_the_permissions_and_not_the_holders(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.roles["Developer"];
    let data = acme.admin.client.post(&format!("{PATH}/{source}/clone"), json!({"name": "Careful"})).await.created();
    let original = acme.admin.client.get(&format!("{PATH}/{source}")).await.ok();
    assert_eq!(data["role"]["permissions"], original["role"]["permissions"]);
    assert_eq!(data["role"]["description"], original["role"]["description"]);
    assert_eq!((&data["role"]["is_system"], &data["role"]["member_count"]), (&json!(false), &json!(0)));
    assert_eq!(details_of(server, "role.create").await["copy_of"], source);
    // The copy can be changed.
    let path = format!("{PATH}/{}", data["role"]["id"]);
    acme.admin.client.put(&path, json!({"permissions": ["datasource.read"]})).await.ok();

    let own = custom(&acme, "Analyst", &["datasource.query"]).await;
    give(&acme.owner, own, json!({"user_id": acme.viewer.id})).await;
    let body = json!({"name": "Analyst 2", "description": "Another"});
    let data = acme.admin.client.post(&format!("{PATH}/{own}/clone"), body).await.created();
    assert_eq!((&data["role"]["description"], &data["role"]["member_count"]), (&json!("Another"), &json!(0)));
}

async fn a_copy_of_owner_holds_the_whole_catalogue(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/clone", acme.roles["Owner"]);
    let data = acme.owner.client.post(&path, json!({"name": "Deputy"})).await.created();
    let catalogue = acme.owner.client.get(&format!("{PATH}/permissions")).await.ok();
    assert_eq!(json!(words(&data["role"]["permissions"]).len()), catalogue["total_count"]);
}

async fn the_name_must_be_free_and_valid(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/clone", acme.roles["Viewer"]);
    acme.owner.client.post(&path, json!({"name": "viewer"})).await.error(409, "ROLE_ALREADY_EXISTS");
    acme.owner.client.post(&path, json!({"name": ""})).await.invalid("name");
    acme.owner.client.post(&path, json!({})).await.invalid("name");
    let long = json!({"name": "x", "description": "x".repeat(501)});
    acme.owner.client.post(&path, long).await.invalid("description");
}

async fn wrong_roles_and_strangers_copy_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/{}/clone", acme.roles["Viewer"]);
    let body = json!({"name": "Mine"});
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.post(&path, body.clone()).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().post(&path, body).await.error(401, "UNAUTHORIZED");
}
