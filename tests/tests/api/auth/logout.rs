//! `POST /api/v1/auth/logout`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    logout_is_immediate;
    another_session_of_the_same_person_stays;
    it_needs_a_token;
}

const PATH: &str = "/api/v1/auth/logout";

async fn logout_is_immediate(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    owner.client.get("/api/v1/auth/me").await.ok();
    owner.client.post_empty(PATH).await.no_content();
    owner.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    owner.client.post_empty(PATH).await.error(401, "UNAUTHORIZED");
    let refresh = json!({"refresh_token": owner.refresh_token});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
    let ended = format!("SELECT end_reason FROM sessions WHERE user_id = {}", owner.id);
    assert_eq!(server.rows(&ended).await[0]["end_reason"], "logout");
    assert_eq!(server.audited("auth.logout", "success").await, 1);
}

async fn another_session_of_the_same_person_stays(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    let elsewhere = server.sign_in(&owner.email).await;
    owner.client.post_empty(PATH).await.no_content();
    elsewhere.client.get("/api/v1/auth/me").await.ok();
}

async fn it_needs_a_token(server: &Server) {
    server.anonymous().post_empty(PATH).await.error(401, "UNAUTHORIZED");
}
