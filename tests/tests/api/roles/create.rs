//! `POST /api/v1/roles`

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, details_of, words};

on_both_databases! {
    a_role_is_made_of_what_one_holds;
    names_are_unique_without_case;
    the_wildcard_and_unknown_names_are_refused;
    what_is_not_valid_is_named;
    wrong_roles_and_strangers_make_none;
    a_token_makes_one_only_with_the_scope;
    of_many_that_make_the_same_one_does;
}

fn body(of: &Organization) -> Value {
    json!({"name": " Data Engineer ", "permissions": ["workspace.read", "datasource.write"], "organization_id": of.id,
        "description": "Connects sources."})
}

async fn a_role_is_made_of_what_one_holds(server: &Server) {
    let acme = server.organization("Acme").await;
    let answer = acme.admin.client.post(PATH, body(&acme)).await;
    assert_eq!(answer.body["message"], "Role created successfully");
    let data = answer.created();
    let role = &data["role"];
    assert_eq!(data["message"], "Role created successfully");
    assert_eq!(role["name"], "Data Engineer");
    assert_eq!(role["description"], "Connects sources.");
    assert_eq!(words(&role["permissions"]), ["workspace.read", "datasource.write"]);
    assert_eq!((role["is_system"].as_bool(), role["member_count"].as_i64()), (Some(false), Some(0)));
    assert_eq!(role["organization_id"], acme.id);
    assert!(role["created_at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(server.audited("role.create", "success").await, 1);
    assert_eq!(details_of(server, "role.create").await["name"], "Data Engineer");
    // A role may give nothing: policies can be bound to it.
    custom(&acme, "Guests", &[]).await;
}

async fn names_are_unique_without_case(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    custom(&acme, "Ärzte", &[]).await;
    for name in ["ärzte", " ÄRZTE", "owner", "Admin", "VIEWER"] {
        let body = json!({"name": name, "permissions": [], "organization_id": acme.id});
        acme.owner.client.post(PATH, body).await.error(409, "ROLE_ALREADY_EXISTS");
    }
    custom(&globex, "Ärzte", &[]).await;
    assert_eq!(server.audited("role.create", "success").await, 2);
}

async fn the_wildcard_and_unknown_names_are_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    for unknown in ["*", "role.*", "*.*", "workspace", "Workspace.Read", ""] {
        let body = json!({"name": "X", "permissions": ["workspace.read", unknown], "organization_id": acme.id});
        acme.owner.client.post(PATH, body).await.invalid("permissions[1]");
    }
    let twice = json!({"name": "X", "permissions": ["workspace.read", "workspace.read"], "organization_id": acme.id});
    acme.owner.client.post(PATH, twice).await.invalid("permissions");
    let star = json!({"name": "X", "permissions": "*", "organization_id": acme.id});
    acme.owner.client.post(PATH, star).await.invalid("permissions");
    assert_eq!(server.count("SELECT count(*) FROM roles").await, 4);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let with = |field: &str, value: Value| {
        let mut body = body(&acme);
        body[field] = value;
        body
    };
    let client = &acme.owner.client;
    for name in [json!(""), json!("   "), json!("a\nb"), json!("x".repeat(101)), json!(7), Value::Null] {
        client.post(PATH, with("name", name)).await.invalid("name");
    }
    client.post(PATH, with("description", json!("x".repeat(501)))).await.invalid("description");
    client.post(PATH, with("permissions", Value::Null)).await.invalid("permissions");
    client.post(PATH, with("organization_id", json!("one"))).await.invalid("organization_id");
    client.post(PATH, json!({"name": "X", "organization_id": acme.id})).await.invalid("permissions");
    client.post(PATH, json!({"name": "X", "permissions": []})).await.invalid("organization_id");
    client.post(PATH, with("name", json!("é".repeat(100)))).await.created();
}

async fn wrong_roles_and_strangers_make_none(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(PATH, body(&acme)).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.post(PATH, body(&acme)).await.error(404, "ORG_NOT_FOUND");
    server.anonymous().post(PATH, body(&acme)).await.error(401, "UNAUTHORIZED");
    assert_eq!(server.count("SELECT count(*) FROM roles WHERE is_built_in = FALSE").await, 0);
}

async fn a_token_makes_one_only_with_the_scope(server: &Server) {
    let acme = server.organization("Acme").await;
    let token = async |scopes: Value| {
        let body = json!({"name": "a program", "scopes": scopes});
        let data = acme.owner.client.post("/api/v1/auth/tokens", body).await.created();
        acme.owner.client.with_token(data["token"].as_str().unwrap())
    };
    token(json!(["write"])).await.post(PATH, body(&acme)).await.error(403, "FORBIDDEN");
    // The token cannot put into a role what its scopes keep from it.
    token(json!(["role.create", "workspace.read"])).await.post(PATH, body(&acme)).await.error(403, "FORBIDDEN");
    let fine = token(json!(["role.create", "workspace.read", "datasource.write"])).await;
    fine.post(PATH, body(&acme)).await.created();
}

async fn of_many_that_make_the_same_one_does(server: &Server) {
    let acme = server.organization("Acme").await;
    let tries = (0..8).map(|_| {
        let (client, body) = (acme.owner.client.clone(), body(&acme));
        tokio::spawn(async move { client.post(PATH, body).await })
    });
    let mut made = 0;
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            201 => made += 1,
            _ => drop(answer.error(409, "ROLE_ALREADY_EXISTS")),
        }
    }
    assert_eq!(made, 1);
}
