//! `POST /api/v1/auth/refresh`

use chrono::Duration;
use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_refresh_token_is_good_for_one_use;
    reuse_ends_the_session_and_tells_its_owner;
    of_two_at_once_one_wins;
    an_unknown_token_is_refused;
    a_session_slides_with_use;
}

const PATH: &str = "/api/v1/auth/refresh";

async fn refresh(server: &Server, token: &Value) -> rivergen_tests::Answer {
    server.anonymous().post(PATH, json!({"refresh_token": token})).await
}

async fn owner(server: &Server) -> Person {
    server.organization("Acme").await.owner
}

async fn a_refresh_token_is_good_for_one_use(server: &Server) {
    let owner = owner(server).await;
    let first = refresh(server, &owner.refresh_token.clone().into()).await.ok();
    assert_eq!((first["token_type"].as_str(), first["expires_in"].as_i64()), (Some("bearer"), Some(3600)));
    assert_ne!(first["refresh_token"], owner.refresh_token);
    let client = server.anonymous().with_token(first["access_token"].as_str().unwrap());
    client.get("/api/v1/auth/me").await.ok();
    refresh(server, &first["refresh_token"]).await.ok();
}

async fn reuse_ends_the_session_and_tells_its_owner(server: &Server) {
    let owner = owner(server).await;
    let spent = Value::from(owner.refresh_token.clone());
    let fresh = refresh(server, &spent).await.ok();
    owner.client.get("/api/v1/auth/me").await.ok();

    refresh(server, &spent).await.error(401, "INVALID_REFRESH_TOKEN");
    refresh(server, &fresh["refresh_token"]).await.error(401, "INVALID_REFRESH_TOKEN");
    owner.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let mail = server.mailbox().nth_to(&owner.email, 1).await;
    assert_eq!(mail.subject, "We ended one of your sessions");
    assert_eq!(server.audited("auth.refresh_token_reuse", "failure").await, 1);
    let ended = format!("SELECT end_reason FROM sessions WHERE user_id = {}", owner.id);
    assert_eq!(server.rows(&ended).await[0]["end_reason"], "refresh_token_reuse");
}

async fn of_two_at_once_one_wins(server: &Server) {
    let owner = owner(server).await;
    let token = Value::from(owner.refresh_token);
    let answers = futures::future::join_all((0..4).map(|_| refresh(server, &token))).await;
    let won = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(won, 1, "{answers:?}");
}

async fn an_unknown_token_is_refused(server: &Server) {
    let owner = owner(server).await;
    for token in ["nonsense", owner.client.token()] {
        let answer = refresh(server, &token.into()).await;
        // An access token is longer than any refresh token.
        assert!(answer.status == 401 || answer.status == 422, "{answer:?}");
    }
    refresh(server, &"nonsense".into()).await.error(401, "INVALID_REFRESH_TOKEN");
    refresh(server, &"".into()).await.invalid("refresh_token");
    server.anonymous().post(PATH, json!({})).await.invalid("refresh_token");
}

async fn a_session_slides_with_use(server: &Server) {
    let owner = owner(server).await;
    let mut token = Value::from(owner.refresh_token);
    for _ in 0..3 {
        server.clock().advance(Duration::hours(20));
        token = refresh(server, &token).await.ok()["refresh_token"].take();
    }
    // The first access token has expired long since.
    owner.client.get("/api/v1/auth/me").await.error(401, "TOKEN_EXPIRED");
}
