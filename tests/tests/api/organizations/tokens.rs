//! `POST` and `GET /api/v1/organizations/{org_id}/tokens`, `DELETE …/tokens/{token_id}`

use chrono::Duration;
use rivergen_tests::{Client, Organization, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_member_makes_a_token_for_the_organization;
    the_organization_bounds_how_long_it_lives;
    a_stranger_is_denied_whether_it_exists_or_not;
    administrators_list_what_members_hold;
    the_owner_and_administrators_revoke;
    a_token_makes_none_and_revokes_within_its_scopes;
    a_suspended_members_token_is_dead;
    what_is_not_valid_is_named;
}

fn path(organization: &Organization) -> String {
    format!("/api/v1/organizations/{}/tokens", organization.id)
}

async fn make(organization: &Organization, person: &Person, name: &str) -> (i64, Client) {
    let body = json!({"name": name, "scopes": ["read"]});
    let data = person.client.post(&path(organization), body).await.created();
    (data["id"].as_i64().unwrap(), person.client.with_token(data["token"].as_str().unwrap()))
}

async fn a_member_makes_a_token_for_the_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    // The organization is that of the path, whatever the body says.
    let body = json!({"name": "report", "scopes": ["read"], "expires_in_days": 30, "organization_id": 987_654_321});
    let data = acme.viewer.client.post(&path(&acme), body).await.created();
    assert_eq!((data["organization_id"].as_i64(), &data["scopes"]), (Some(acme.id), &json!(["read"])));
    let time = |field: &str| data[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!(time("expires_at") - time("created_at"), Duration::days(30));
    let token = data["token"].as_str().unwrap();
    assert!(token.starts_with("pat_"));
    let program = acme.viewer.client.with_token(token);
    program.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    assert!(!format!("{:?}", server.rows("SELECT * FROM personal_access_tokens").await).contains(token));
    server.mailbox().titled(&acme.viewer.email, "token was created").await;
    assert_eq!(server.audited("token.create", "success").await, 1);
    // One store: its owner finds it among their own.
    let own = acme.viewer.client.get("/api/v1/auth/tokens").await.ok();
    assert_eq!(own["tokens"][0]["id"], data["id"]);
    server.anonymous().post(&path(&acme), json!({"name": "x", "scopes": ["read"]})).await.error(401, "UNAUTHORIZED");
}

async fn the_organization_bounds_how_long_it_lives(server: &Server) {
    let acme = server.organization("Acme").await;
    server.secure("Acme", json!({"max_token_days": 5})).await;
    let viewer = server.sign_in(&acme.viewer.email).await;
    for days in [None, Some(90)] {
        let body = json!({"name": "x", "scopes": ["read"], "expires_in_days": days});
        let data = viewer.client.post(&path(&acme), body).await.created();
        let time = |field: &str| data[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
        assert_eq!(time("expires_at") - time("created_at"), Duration::days(5));
    }
}

async fn a_stranger_is_denied_whether_it_exists_or_not(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let body = json!({"name": "x", "scopes": ["read"]});
    let (id, _) = make(&globex, &globex.viewer, "theirs").await;
    for of in [path(&globex), "/api/v1/organizations/987654321/tokens".to_owned()] {
        acme.owner.client.post(&of, body.clone()).await.error(403, "organization_access_denied");
        acme.owner.client.get(&of).await.error(403, "organization_access_denied");
        acme.owner.client.delete(&format!("{of}/{id}")).await.error(404, "token_not_found");
    }
    acme.owner.client.delete(&format!("{}/{id}", path(&acme))).await.error(404, "token_not_found");
    assert_eq!(server.audited("token.revoke", "success").await, 0);
}

async fn administrators_list_what_members_hold(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    make(&globex, &globex.owner, "elsewhere").await;
    // A token that is bound to no organization is its owner's own business.
    acme.viewer.client.post("/api/v1/auth/tokens", json!({"name": "own", "scopes": ["read"]})).await.created();
    let (first, program) = make(&acme, &acme.viewer, "first").await;
    program.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    make(&acme, &acme.developer, "second").await;
    let list = async |query: &str| acme.admin.client.get(&format!("{}{query}", path(&acme))).await.ok();
    let names = |data: &Value| -> Vec<String> {
        let rows = data["tokens"].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    let data = list("").await;
    assert_eq!((names(&data), data["total_count"].as_i64()), (vec!["second".to_owned(), "first".to_owned()], Some(2)));
    let shown = &data["tokens"][1];
    assert_eq!((shown["id"].as_i64(), shown["user_id"].as_i64()), (Some(first), Some(acme.viewer.id)));
    assert_eq!((&shown["user_email"], &shown["organization_id"]), (&json!(acme.viewer.email), &json!(acme.id)));
    assert_eq!((&shown["is_active"], &shown["scopes"]), (&json!(true), &json!(["read"])));
    assert!(shown["last_used_at"].is_string() && shown["token_prefix"].as_str().unwrap().starts_with("pat_"));
    assert!(!data.to_string().contains(program.token()) && !data.to_string().contains("hash"));
    assert_eq!(names(&list(&format!("?user_id={}", acme.developer.id)).await), ["second"]);
    assert!(names(&list(&format!("?user_id={}", globex.owner.id)).await).is_empty());
    assert_eq!(names(&list("?skip=1&limit=1").await), ["first"]);
    acme.admin.client.delete(&format!("{}/{first}", path(&acme))).await.ok();
    assert_eq!(names(&list("?is_active=true").await), ["second"]);
    let dead = list("?is_active=false").await;
    assert_eq!((names(&dead), &dead["tokens"][0]["is_active"]), (vec!["first".to_owned()], &json!(false)));
    let short = json!({"name": "short", "scopes": ["read"], "expires_in_days": 1});
    acme.viewer.client.post(&path(&acme), short).await.created();
    server.clock().advance(Duration::days(1));
    let admin = server.sign_in(&acme.admin.email).await.client;
    let dead = admin.get(&format!("{}?is_active=false", path(&acme))).await.ok();
    assert_eq!(names(&dead), ["short", "first"]);
    let viewer = server.sign_in(&acme.viewer.email).await.client;
    viewer.get(&path(&acme)).await.error(403, "permission_denied");
    admin.get(&format!("{}?limit=101", path(&acme))).await.invalid("limit");
    server.anonymous().get(&path(&acme)).await.error(401, "UNAUTHORIZED");
}

async fn the_owner_and_administrators_revoke(server: &Server) {
    let acme = server.organization("Acme").await;
    let (own, program) = make(&acme, &acme.viewer, "own").await;
    let (other, second) = make(&acme, &acme.viewer, "other").await;
    let organization = format!("/api/v1/organizations/{}", acme.id);
    let at = |id: i64| format!("{}/{id}", path(&acme));
    program.get(&organization).await.ok();
    second.get(&organization).await.ok();
    acme.developer.client.delete(&at(own)).await.error(403, "permission_denied");
    let data = acme.viewer.client.delete(&at(own)).await.ok();
    assert_eq!(data["message"], "Token revoked successfully");
    program.get(&organization).await.error(401, "UNAUTHORIZED");
    second.get(&organization).await.ok();
    acme.admin.client.delete(&at(other)).await.ok();
    second.get(&organization).await.error(401, "UNAUTHORIZED");
    for id in [own, other, 987_654_321] {
        acme.admin.client.delete(&at(id)).await.error(404, "token_not_found");
    }
    // A token that is bound to no organization is out of an administrator's reach.
    let free = acme.viewer.client.post("/api/v1/auth/tokens", json!({"name": "free", "scopes": ["read"]})).await;
    let free = free.created()["id"].as_i64().unwrap();
    acme.admin.client.delete(&at(free)).await.error(404, "token_not_found");
    let records = server.rows("SELECT actor_user_id FROM audit_log WHERE action = 'token.revoke' ORDER BY id").await;
    assert_eq!(records, [json!({"actor_user_id": acme.viewer.id}), json!({"actor_user_id": acme.admin.id})]);
    server.anonymous().delete(&at(free)).await.error(401, "UNAUTHORIZED");
}

async fn a_token_makes_none_and_revokes_within_its_scopes(server: &Server) {
    let acme = server.organization("Acme").await;
    let (viewers, _) = make(&acme, &acme.viewer, "x").await;
    let (own, reader) = make(&acme, &acme.admin, "reader").await;
    reader.post(&path(&acme), json!({"name": "child", "scopes": ["read"]})).await.error(403, "FORBIDDEN");
    reader.get(&path(&acme)).await.ok();
    for id in [viewers, own] {
        reader.delete(&format!("{}/{id}", path(&acme))).await.error(403, "permission_denied");
    }
    let revoker = json!({"name": "revoker", "scopes": ["token.revoke"]});
    let revoker = acme.admin.client.post(&path(&acme), revoker).await.created();
    let revoker = acme.admin.client.with_token(revoker["token"].as_str().unwrap());
    revoker.delete(&format!("{}/{viewers}", path(&acme))).await.ok();
    revoker.get(&path(&acme)).await.error(403, "permission_denied");
}

async fn a_suspended_members_token_is_dead(server: &Server) {
    let acme = server.organization("Acme").await;
    let (_, program) = make(&acme, &acme.viewer, "x").await;
    let organization = format!("/api/v1/organizations/{}", acme.id);
    program.get(&organization).await.ok();
    let member = format!("{organization}/members/{}", acme.viewer.id);
    acme.admin.client.patch(&member, json!({"status": "suspended"})).await.ok();
    program.get(&organization).await.error(401, "UNAUTHORIZED");
    let listed = acme.admin.client.get(&path(&acme)).await.ok();
    assert_eq!(listed["tokens"][0]["is_active"], false);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let make = async |body: Value| acme.viewer.client.post(&path(&acme), body).await;
    make(json!({"name": "", "scopes": ["read"]})).await.invalid("name");
    make(json!({"name": "x".repeat(256), "scopes": ["read"]})).await.invalid("name");
    make(json!({"scopes": ["read"]})).await.invalid("name");
    make(json!({"name": "x", "scopes": []})).await.invalid("scopes");
    make(json!({"name": "x", "scopes": ["root"]})).await.invalid("scopes[0]");
    for days in [0, 366] {
        make(json!({"name": "x", "scopes": ["read"], "expires_in_days": days})).await.invalid("expires_in_days");
    }
    server.clock().advance(Duration::minutes(11));
    make(json!({"name": "x", "scopes": ["admin"]})).await.error(403, "REAUTHENTICATION_REQUIRED");
    make(json!({"name": "x", "scopes": ["read"]})).await.created();
}
