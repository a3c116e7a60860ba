//! `/api/v1/sessions` and `POST /api/v1/auth/logout-all`

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    ones_own_are_listed_with_the_current_one_marked;
    a_revoked_session_is_dead_at_once;
    a_session_slides_with_use_and_ends_without;
    administrators_see_and_end_what_stands_in_their_organization;
    logging_out_everywhere_may_spare_the_calling_session;
    a_sign_in_from_a_new_device_is_mailed;
    a_token_sees_no_sessions;
}

const PATH: &str = "/api/v1/sessions";

fn ids(listed: &Value) -> Vec<i64> {
    listed["sessions"].as_array().unwrap().iter().map(|session| session["id"].as_i64().unwrap()).collect()
}

async fn ones_own_are_listed_with_the_current_one_marked(server: &Server) {
    let acme = server.organization("Acme").await;
    server.clock().advance(Duration::minutes(2));
    let second = server.sign_in(&acme.viewer.email).await;
    let listed = second.client.get(PATH).await.ok();
    assert_eq!((listed["total_count"].as_i64(), listed["active_count"].as_i64()), (Some(2), Some(2)));
    let current = &listed["sessions"][0];
    assert_eq!((current["is_current"].as_bool(), current["user_id"].as_i64()), (Some(true), Some(acme.viewer.id)));
    assert_eq!(current["ip_address"], "127.0.0.1");
    assert!(
        current["revoked_at"].is_null() && current["last_activity_at"].is_string() && current["expires_at"].is_string()
    );
    assert_eq!(listed["sessions"][1]["is_current"], false);

    acme.viewer.client.post_empty("/api/v1/auth/logout").await.no_content();
    assert_eq!(ids(&second.client.get(PATH).await.ok()).len(), 1);
    let all = second.client.get(&format!("{PATH}?include_revoked=true")).await.ok();
    assert_eq!((all["total_count"].as_i64(), all["active_count"].as_i64()), (Some(2), Some(1)));
    let page = second.client.get(&format!("{PATH}?include_revoked=true&page=2&page_size=1")).await.ok();
    assert_eq!(ids(&page).len(), 1);
    second.client.get(&format!("{PATH}?page_size=1000")).await.invalid("page_size");
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}

async fn a_revoked_session_is_dead_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let other = server.sign_in(&acme.viewer.email).await;
    other.client.get("/api/v1/auth/me").await.ok();
    let listed = acme.viewer.client.get(PATH).await.ok();
    let current = listed["sessions"].as_array().unwrap().iter().find(|s| s["is_current"] == true).unwrap();
    let id = *ids(&listed).iter().find(|id| **id != current["id"].as_i64().unwrap()).unwrap();
    let revoked = acme.viewer.client.delete(&format!("{PATH}/{id}")).await.ok();
    assert_eq!(revoked["session_id"].as_i64(), Some(id));
    assert!(revoked["revoked_at"].is_string());
    other.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let refresh = json!({"refresh_token": other.refresh_token});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
    acme.viewer.client.delete(&format!("{PATH}/{id}")).await.error(404, "SESSION_NOT_FOUND");
    // Another's does not exist.
    let owners = ids(&acme.owner.client.get(PATH).await.ok())[0];
    acme.viewer.client.delete(&format!("{PATH}/{owners}")).await.error(404, "SESSION_NOT_FOUND");
    assert_eq!(server.audited("session.revoke", "success").await, 1);
    // The current one too: that is a logout.
    acme.viewer.client.delete(&format!("{PATH}/{}", current["id"])).await.ok();
    acme.viewer.client.get(PATH).await.error(401, "UNAUTHORIZED");
}

async fn a_session_slides_with_use_and_ends_without(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let mut tokens = json!({"refresh_token": viewer.refresh_token});
    for _ in 0..3 {
        server.clock().advance(Duration::hours(20));
        let refresh = json!({"refresh_token": tokens["refresh_token"]});
        tokens = server.anonymous().post("/api/v1/auth/refresh", refresh).await.ok();
    }
    server.clock().advance(Duration::hours(25));
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
}

async fn administrators_see_and_end_what_stands_in_their_organization(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let of_viewer = format!("{PATH}?user_id={}", acme.viewer.id);
    let listed = acme.admin.client.get(&of_viewer).await.ok();
    let id = ids(&listed)[0];
    assert_eq!(listed["sessions"][0]["is_current"], false);
    acme.developer.client.get(&of_viewer).await.error(403, "FORBIDDEN");
    globex.admin.client.get(&of_viewer).await.error(404, "NOT_FOUND");
    globex.admin.client.delete(&format!("{PATH}/{id}")).await.error(404, "SESSION_NOT_FOUND");
    acme.developer.client.delete(&format!("{PATH}/{id}")).await.error(404, "SESSION_NOT_FOUND");
    acme.admin.client.delete(&format!("{PATH}/{id}")).await.ok();
    acme.viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    // What a member does in another organization is no business of this one.
    let sql = format!("UPDATE sessions SET organization_id = {} WHERE user_id = {}", globex.id, acme.viewer.id);
    server.execute(&sql).await;
    assert_eq!(acme.admin.client.get(&format!("{of_viewer}&include_revoked=true")).await.ok()["total_count"], 0);
    assert_eq!(server.audited("session.list", "success").await, 2);
}

async fn logging_out_everywhere_may_spare_the_calling_session(server: &Server) {
    let acme = server.organization("Acme").await;
    let (second, third) = (server.sign_in(&acme.viewer.email).await, server.sign_in(&acme.viewer.email).await);
    let path = "/api/v1/auth/logout-all";
    third.client.post(path, json!({"except_current": true})).await.no_content();
    third.client.get("/api/v1/auth/me").await.ok();
    second.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    third.client.post_empty(path).await.no_content();
    third.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    acme.owner.client.get("/api/v1/auth/me").await.ok();
    assert_eq!(server.audited("auth.logout_all", "success").await, 2);
}

async fn a_sign_in_from_a_new_device_is_mailed(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let login = json!({"email": viewer.email, "password": PASSWORD});
    let client = server.anonymous();
    let from = async |user_agent: &str| {
        let request = client.request(Method::POST, "/api/v1/auth/login").header("user-agent", user_agent);
        client.send(request.json(&login)).await.ok()
    };
    let firefox = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0";
    for _ in 0..3 {
        from(firefox).await;
    }
    let mail = server.mailbox().titled(&viewer.email, "new device").await;
    assert!(mail.text.contains("Firefox on Linux"), "{}", mail.text);
    from("curl/8.5").await;
    rivergen_tests::eventually("the second mail", async || {
        (server.mailbox().to(&viewer.email).len() == 2).then_some(())
    })
    .await;
}

async fn a_token_sees_no_sessions(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let token = viewer.client.post("/api/v1/auth/tokens", json!({"name": "x", "scopes": ["admin"]})).await.created();
    let program = viewer.client.with_token(token["token"].as_str().unwrap());
    program.get(PATH).await.error(403, "FORBIDDEN");
    program.post_empty("/api/v1/auth/logout-all").await.error(403, "FORBIDDEN");
}
