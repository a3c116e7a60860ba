//! `GET /api/v1/auth/me`

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    it_tells_who_and_where;
    a_new_organization_shows_at_once;
    who_administers_on_loan_does_so_until_it_ends;
    logins_are_counted_whatever_became_of_them;
    a_token_ends_after_an_hour;
    a_token_that_is_not_ours_is_refused;
}

const PATH: &str = "/api/v1/auth/me";

async fn it_tells_who_and_where(server: &Server) {
    let acme = server.organization("Acme").await;
    let me = acme.developer.client.get(PATH).await.ok();
    assert_eq!(me["user"]["id"], acme.developer.id);
    assert_eq!(me["user"]["primary_email"], "developer@acme.example");
    assert_eq!(me["emails"][0]["is_primary"], true);
    assert_eq!(me["organizations"][0]["id"], acme.id);
    assert_eq!(me["organizations"][0]["is_admin"], false);
    assert_eq!(me["workspaces"][0]["id"], acme.workspace_id);
    assert_eq!(me["security"]["mfa_enabled"], false);
    assert_eq!(me["security"]["active_sessions"], 1);
    assert_eq!(me["security"]["total_login_attempts"], 1);
    assert!(!me.to_string().contains("password"), "{me}");
    let admin = acme.admin.client.get(PATH).await.ok();
    assert_eq!(admin["organizations"][0]["is_admin"], true);
}

async fn a_new_organization_shows_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.owner.client.get(PATH).await.ok();
    let body = json!({"name": "Second", "admin_email": acme.owner.email});
    acme.owner.client.post("/api/v1/organizations", body).await.created();
    let me = acme.owner.client.get(PATH).await.ok();
    assert_eq!(me["organizations"].as_array().unwrap().len(), 2);
}

async fn who_administers_on_loan_does_so_until_it_ends(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("/api/v1/roles/{}/assignments", acme.roles["Admin"]);
    let end = server.platform.clock.now() + Duration::minutes(30);
    let loan = json!({"user_id": acme.viewer.id, "expires_at": end});
    acme.owner.client.post(&path, loan).await.created();
    let is_admin = async || acme.viewer.client.get(PATH).await.ok()["organizations"][0]["is_admin"].clone();
    assert_eq!(is_admin().await, true);
    server.clock().advance(Duration::minutes(31));
    // What it tells is kept for half a minute, which is no time that a test waits.
    server.forget().await;
    assert_eq!(is_admin().await, false);
}

async fn logins_are_counted_whatever_became_of_them(server: &Server) {
    let acme = server.organization("Acme").await;
    let viewer = &acme.viewer;
    for (password, status) in [("Wrong1horse", 401_u16), (PASSWORD, 200), ("Wrong1horse", 401)] {
        let body = json!({"email": viewer.email, "password": password});
        assert_eq!(server.anonymous().post("/api/v1/auth/login", body).await.status, status);
    }
    server.forget().await;
    assert_eq!(viewer.client.get(PATH).await.ok()["security"]["total_login_attempts"], 4);
    let counted = format!(
        "SELECT count(*) FROM audit_log WHERE action = 'auth.login' AND target_kind = 'user' AND target_id = '{}'",
        viewer.id
    );
    assert_eq!(server.count(&counted).await, 4);
    let others = acme.developer.client.get(PATH).await.ok();
    assert_eq!(others["security"]["total_login_attempts"], 1);
}

async fn a_token_ends_after_an_hour(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    owner.client.get(PATH).await.ok();
    server.clock().advance(Duration::minutes(61));
    owner.client.get(PATH).await.error(401, "TOKEN_EXPIRED");
}

async fn a_token_that_is_not_ours_is_refused(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    let token = owner.client.token();
    let parts: Vec<&str> = token.split('.').collect();
    // No signature, the signature of another content, `alg: none`, and no JWT at all.
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let forged = [
        format!("{}.{}.", parts[0], parts[1]),
        format!("{}.{}.{}", parts[0], &parts[1][1..], parts[2]),
        format!("{none}.{}.", parts[1]),
        format!("{token}x"),
        "nonsense".to_owned(),
        String::new(),
    ];
    for token in forged {
        owner.client.with_token(token).get(PATH).await.error(401, "UNAUTHORIZED");
    }
    let basic = owner.client.anonymous();
    let answer = basic.send(basic.request(Method::GET, PATH).header("authorization", format!("Basic {token}"))).await;
    let challenge = answer.headers["www-authenticate"].to_str().unwrap();
    assert!(challenge.starts_with("Bearer resource_metadata="), "{challenge}");
    answer.error(401, "UNAUTHORIZED");
}
