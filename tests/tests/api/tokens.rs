//! `/api/v1/auth/tokens`: personal access tokens.

use chrono::Duration;
use rivergen_tests::{Client, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_token_acts_for_its_owner_within_its_scopes;
    a_token_never_exceeds_its_owner;
    a_bound_token_reaches_one_organization;
    a_token_acts_on_nobodys_account;
    tokens_expire_and_organizations_bound_them;
    a_token_is_listed_changed_and_revoked;
    widening_needs_a_fresh_proof;
    a_token_is_shown_once_and_kept_as_a_hash;
    whoever_leaves_has_no_tokens_there;
    what_is_not_valid_is_named;
    of_two_at_once_one_is_the_last_that_there_is_room_for;
}

const PATH: &str = "/api/v1/auth/tokens";

async fn make(person: &Person, body: Value) -> (i64, Client) {
    let data = person.client.post(PATH, body).await.created();
    (data["id"].as_i64().unwrap(), person.client.with_token(data["token"].as_str().unwrap()))
}

async fn a_token_acts_for_its_owner_within_its_scopes(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.admin.file_source("Products", "csv", "products.csv", b"a\n1\n".to_vec()).await;
    let (_, reader) = make(&acme.admin, json!({"name": "reader", "scopes": ["read"]})).await;
    reader.get("/api/v1/data-sources").await.ok();
    reader.get("/api/v1/auth/me").await.ok();
    let query = format!("/api/v1/data-sources/{source}/query");
    reader.post(&query, json!({"query": "SELECT * FROM products"})).await.ok();
    reader.post("/api/v1/policies", json!({"name": "p", "type": "query_limit"})).await.error(403, "FORBIDDEN");
    reader.upload("a.csv", b"a\n1\n".to_vec()).await.error(403, "FORBIDDEN");
    let organization = json!({"name": "Mine", "admin_email": acme.admin.email});
    reader.post("/api/v1/organizations", organization).await.error(403, "FORBIDDEN");

    let (_, writer) = make(&acme.admin, json!({"name": "writer", "scopes": ["write"]})).await;
    writer.upload("a.csv", b"a\n1\n".to_vec()).await.created();
    writer.post("/api/v1/policies", json!({"name": "p", "type": "query_limit"})).await.error(403, "FORBIDDEN");
    let (_, admin) = make(&acme.admin, json!({"name": "admin", "scopes": ["admin"]})).await;
    admin.post("/api/v1/policies", json!({"name": "p", "type": "query_limit"})).await.created();
    let (_, one) = make(&acme.admin, json!({"name": "one", "scopes": ["policy.read"]})).await;
    one.get("/api/v1/policies").await.ok();
    one.get("/api/v1/data-sources").await.error(403, "FORBIDDEN");
}

async fn a_token_never_exceeds_its_owner(server: &Server) {
    let acme = server.organization("Acme").await;
    let (_, token) = make(&acme.viewer, json!({"name": "all", "scopes": ["admin", "policy.write"]})).await;
    token.post("/api/v1/policies", json!({"name": "p", "type": "query_limit"})).await.error(403, "FORBIDDEN");
    token.upload("a.csv", b"a\n1\n".to_vec()).await.error(403, "FORBIDDEN");
    token.get("/api/v1/data-sources").await.ok();
    // Whoever loses a role, their tokens lose it too, at once.
    let (_, token) = make(&acme.admin, json!({"name": "all", "scopes": ["admin"]})).await;
    token.get("/api/v1/policies").await.ok();
    let viewer = acme.roles["Viewer"];
    server.execute(&format!("UPDATE role_assignments SET role_id = {viewer} WHERE user_id = {}", acme.admin.id)).await;
    server.forget().await;
    token.get("/api/v1/policies").await.error(403, "FORBIDDEN");
}

async fn a_bound_token_reaches_one_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    // The owner of Acme founds another one.
    let body = json!({"name": "Second", "admin_email": acme.owner.email});
    let second = acme.owner.client.post("/api/v1/organizations", body).await.created();
    let second = second["organization"]["id"].as_i64().unwrap();
    let bound = json!({"name": "bound", "scopes": ["admin"], "organization_id": acme.id});
    let (_, token) = make(&acme.owner, bound).await;
    token.get("/api/v1/data-sources").await.ok();
    token.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    token.get(&format!("/api/v1/organizations/{second}")).await.error(404, "ORG_NOT_FOUND");
    let listed = token.get("/api/v1/organizations").await.ok();
    assert_eq!(listed["total_count"], 1, "{listed}");
    let workspaces = token.get("/api/v1/workspaces").await.ok();
    assert_eq!(workspaces["total_count"], 1, "{workspaces}");
    token.get("/api/v1/auth/me").await.error(403, "FORBIDDEN");
    let body = json!({"name": "Third", "admin_email": acme.owner.email});
    token.post("/api/v1/organizations", body).await.error(403, "FORBIDDEN");
    // An unbound one reaches both.
    let (_, token) = make(&acme.owner, json!({"name": "unbound", "scopes": ["read"]})).await;
    token.get(&format!("/api/v1/organizations/{second}")).await.ok();
    token.get(&format!("/api/v1/organizations/{}", globex.id)).await.error(404, "ORG_NOT_FOUND");
    let body = json!({"name": "x", "scopes": ["read"], "organization_id": globex.id});
    acme.owner.client.post(PATH, body).await.error(400, "token_creation_failed");
}

async fn a_token_acts_on_nobodys_account(server: &Server) {
    let acme = server.organization("Acme").await;
    let (id, token) = make(&acme.owner, json!({"name": "all", "scopes": ["admin"]})).await;
    token.post(PATH, json!({"name": "child", "scopes": ["read"]})).await.error(403, "FORBIDDEN");
    token.patch(&format!("{PATH}/{id}"), json!({"scopes": ["admin"]})).await.error(403, "FORBIDDEN");
    token.delete(&format!("{PATH}/{id}")).await.error(403, "FORBIDDEN");
    token.get(PATH).await.error(403, "FORBIDDEN");
    token.post("/api/v1/mfa/totp/setup", json!({"device_name": "x"})).await.error(403, "FORBIDDEN");
    token.put("/api/v1/auth/me/profile", json!({"display_name": "x"})).await.error(403, "FORBIDDEN");
    token.post("/api/v1/auth/me/emails", json!({"email": "x@new.example"})).await.error(403, "FORBIDDEN");
    let body = json!({"workspace_id": acme.workspace_id});
    token.post("/api/v1/auth/switch-workspace", body).await.error(403, "FORBIDDEN");
    token.delete("/api/v1/auth/me").await.error(403, "FORBIDDEN");
    token.post_empty("/api/v1/auth/logout").await.error(403, "FORBIDDEN");
}

async fn tokens_expire_and_organizations_bound_them(server: &Server) {
    let acme = server.organization("Acme").await;
    let (_, token) = make(&acme.viewer, json!({"name": "short", "scopes": ["read"], "expires_in_days": 2})).await;
    server.clock().advance(Duration::hours(47));
    token.get("/api/v1/data-sources").await.ok();
    server.clock().advance(Duration::hours(1));
    token.get("/api/v1/data-sources").await.error(401, "UNAUTHORIZED");

    server.secure("Acme", json!({"max_token_days": 5})).await;
    let viewer = server.sign_in(&acme.viewer.email).await;
    let lifetime = async |body: Value| {
        let data = viewer.client.post(PATH, body).await.created();
        let time =
            |field: &str| data[field].as_str().map(|text| text.parse::<chrono::DateTime<chrono::Utc>>().unwrap());
        time("expires_at").map(|end| (end - time("created_at").unwrap()).num_days())
    };
    let body = |days: Option<i64>| json!({"name": "x", "scopes": ["read"], "expires_in_days": days, "organization_id": acme.id});
    assert_eq!(lifetime(body(Some(90))).await, Some(5));
    assert_eq!(lifetime(body(Some(3))).await, Some(3));
    assert_eq!(lifetime(body(None)).await, Some(5));
    assert_eq!(lifetime(json!({"name": "x", "scopes": ["read"]})).await, None);
}

async fn a_token_is_listed_changed_and_revoked(server: &Server) {
    let acme = server.organization("Acme").await;
    let (first, token) = make(&acme.viewer, json!({"name": "first", "scopes": ["read"]})).await;
    let (second, _) =
        make(&acme.viewer, json!({"name": "second", "scopes": ["read"], "organization_id": acme.id})).await;
    token.get("/api/v1/data-sources").await.ok();
    let listed = acme.viewer.client.get(PATH).await.ok();
    assert_eq!(listed["total"], 2);
    assert_eq!((listed["tokens"][0]["id"].as_i64(), listed["tokens"][1]["id"].as_i64()), (Some(second), Some(first)));
    assert!(listed["tokens"][1]["last_used_at"].is_string() && listed["tokens"][1]["token"].is_null());
    let bound = acme.viewer.client.get(&format!("{PATH}?organization_id={}", acme.id)).await.ok();
    assert_eq!((bound["total"].as_i64(), bound["tokens"][0]["id"].as_i64()), (Some(1), Some(second)));
    assert_eq!(acme.owner.client.get(PATH).await.ok()["total"], 0);

    let path = format!("{PATH}/{first}");
    let changed = acme.viewer.client.patch(&path, json!({"name": "renamed"})).await.ok();
    assert_eq!((changed["name"].as_str(), &changed["scopes"]), (Some("renamed"), &json!(["read"])));
    acme.viewer.client.patch(&path, json!({})).await.ok();
    acme.owner.client.patch(&path, json!({"name": "mine"})).await.error(404, "token_not_found");
    acme.owner.client.delete(&path).await.error(404, "token_not_found");
    acme.viewer.client.delete(&path).await.ok();
    token.get("/api/v1/data-sources").await.error(401, "UNAUTHORIZED");
    acme.viewer.client.delete(&path).await.error(404, "token_not_found");
    assert_eq!(acme.viewer.client.get(PATH).await.ok()["total"], 1);
    for (action, count) in [("token.create", 2), ("token.update", 2), ("token.revoke", 1)] {
        assert_eq!(server.audited(action, "success").await, count, "{action}");
    }
}

async fn widening_needs_a_fresh_proof(server: &Server) {
    let acme = server.organization("Acme").await;
    let (id, token) = make(&acme.owner, json!({"name": "x", "scopes": ["read"]})).await;
    server.clock().advance(Duration::minutes(11));
    let path = format!("{PATH}/{id}");
    let wide = json!({"scopes": ["read", "policy.write"]});
    acme.owner.client.patch(&path, wide.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
    acme.owner.client.patch(&path, json!({"scopes": ["datasource.read"]})).await.ok();
    token.get("/api/v1/policies").await.error(403, "FORBIDDEN");
    let body = json!({"name": "y", "scopes": ["admin"]});
    acme.owner.client.post(PATH, body.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
    let fresh = server.sign_in(&acme.owner.email).await;
    fresh.client.patch(&path, wide).await.ok();
    fresh.client.post(PATH, body).await.created();
    token.get("/api/v1/policies").await.ok();
}

async fn a_token_is_shown_once_and_kept_as_a_hash(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let data = viewer.client.post(PATH, json!({"name": "x", "scopes": ["read"]})).await.created();
    let token = data["token"].as_str().unwrap();
    assert!(token.starts_with("pat_") && token.len() > 40);
    let rows = format!("{:?}", server.rows("SELECT * FROM personal_access_tokens").await);
    assert!(!rows.contains(token) && rows.contains(&token[..10]));
    server.mailbox().titled(&viewer.email, "token was created").await;
    // One letter off is refused without a look into the database.
    let mut wrong = token.to_owned();
    wrong.replace_range(20..21, if &token[20..21] == "a" { "b" } else { "a" });
    viewer.client.with_token(wrong).get("/api/v1/data-sources").await.error(401, "UNAUTHORIZED");
}

async fn whoever_leaves_has_no_tokens_there(server: &Server) {
    let acme = server.organization("Acme").await;
    let (_, token) = make(&acme.viewer, json!({"name": "x", "scopes": ["read"], "organization_id": acme.id})).await;
    token.get("/api/v1/data-sources").await.ok();
    server.execute(&format!("UPDATE memberships SET status = 'suspended' WHERE user_id = {}", acme.viewer.id)).await;
    server.forget().await;
    token.get("/api/v1/data-sources").await.error(401, "UNAUTHORIZED");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post(PATH, json!({"scopes": ["read"]})).await.invalid("name");
    viewer.client.post(PATH, json!({"name": "x"})).await.invalid("scopes");
    viewer.client.post(PATH, json!({"name": "x", "scopes": []})).await.invalid("scopes");
    viewer.client.post(PATH, json!({"name": "x", "scopes": ["root"]})).await.invalid("scopes[0]");
    let body = json!({"name": "x", "scopes": ["read"], "expires_in_days": 0});
    viewer.client.post(PATH, body).await.invalid("expires_in_days");
    server.anonymous().post(PATH, json!({"name": "x", "scopes": ["read"]})).await.error(401, "UNAUTHORIZED");
}

async fn of_two_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let body = json!({"name": "reader", "scopes": ["read"]});
    make(&viewer, body.clone()).await;
    // Parts of the hash are as good as others: nobody comes with such a token.
    let columns = "user_id, name, prefix, scopes, created_at, made_with_second_factor, made_with_passkey";
    let others = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 98) \
         INSERT INTO personal_access_tokens ({columns}, token_hash) \
         SELECT {columns}, substr(token_hash, 1 + i % 8, 4 + i / 8) FROM personal_access_tokens, n"
    );
    server.execute(&others).await;
    let (made, refused) = server.two_at_once(&viewer.held(), |_| viewer.client.post(PATH, body.clone())).await;
    made.created();
    refused.invalid("name");
    assert_eq!(server.count("SELECT count(*) FROM personal_access_tokens").await, 100);
}
