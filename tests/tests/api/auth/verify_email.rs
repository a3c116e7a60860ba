//! `POST /api/v1/auth/verify-email` and `POST /api/v1/auth/resend-verification`

use chrono::Duration;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    the_link_signs_in_once;
    an_unknown_token_is_refused;
    a_link_dies_after_ten_minutes;
    a_newer_link_replaces_the_older;
    nobody_learns_which_addresses_are_known;
}

const PATH: &str = "/api/v1/auth/verify-email";
const RESEND: &str = "/api/v1/auth/resend-verification";
const EMAIL: &str = "ada@new.example";

async fn sign_up(server: &Server) -> Value {
    let body = json!({"email": EMAIL, "password": PASSWORD});
    server.anonymous().post("/api/v1/auth/signup", body).await.created()
}

async fn the_link_signs_in_once(server: &Server) {
    sign_up(server).await;
    let token = server.mailbox().token(EMAIL, 1).await;
    let data = server.anonymous().post(PATH, json!({"token": token})).await.ok();
    assert_eq!((data["is_verified"].as_bool(), data["email"].as_str()), (Some(true), Some(EMAIL)));
    assert_eq!((data["token_type"].as_str(), data["expires_in"].as_i64()), (Some("bearer"), Some(3600)));
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    let me = client.get("/api/v1/auth/me").await.ok();
    assert_eq!(me["emails"][0]["verified"], true);
    assert_eq!(server.audited("auth.verify_email", "success").await, 1);

    // Once more it says that the address is verified, and signs nobody in.
    let again = server.anonymous().post(PATH, json!({"token": token})).await.ok();
    assert_eq!(again["is_verified"], true);
    assert!(again["access_token"].is_null() && again["refresh_token"].is_null(), "{again}");
}

async fn an_unknown_token_is_refused(server: &Server) {
    let data = sign_up(server).await;
    let temporary = data["temporary_token"].as_str().unwrap();
    for token in ["nonsense", temporary] {
        server.anonymous().post(PATH, json!({"token": token})).await.error(400, "INVALID_TOKEN");
    }
    server.anonymous().post(PATH, json!({"token": ""})).await.invalid("token");
}

async fn a_link_dies_after_ten_minutes(server: &Server) {
    sign_up(server).await;
    let token = server.mailbox().token(EMAIL, 1).await;
    server.clock().advance(Duration::minutes(11));
    server.anonymous().post(PATH, json!({"token": token})).await.error(410, "TOKEN_EXPIRED");
}

async fn a_newer_link_replaces_the_older(server: &Server) {
    let data = sign_up(server).await;
    let old = server.mailbox().token(EMAIL, 1).await;
    // By the temporary token, and by the address.
    server.anonymous().post(RESEND, json!({"temporary_token": data["temporary_token"]})).await.ok();
    let second = server.mailbox().token(EMAIL, 2).await;
    server.anonymous().post(RESEND, json!({"email": EMAIL})).await.ok();
    let third = server.mailbox().token(EMAIL, 3).await;
    for dead in [old, second] {
        server.anonymous().post(PATH, json!({"token": dead})).await.error(410, "TOKEN_EXPIRED");
    }
    server.anonymous().post(PATH, json!({"token": third})).await.ok();
}

async fn nobody_learns_which_addresses_are_known(server: &Server) {
    server.newcomer("verified@new.example").await;
    let client = server.anonymous();
    sign_up(server).await;
    let known = client.post(RESEND, json!({"email": EMAIL})).await.ok();
    let verified = client.post(RESEND, json!({"email": "verified@new.example"})).await.ok();
    let unknown = client.post(RESEND, json!({"email": "nobody@new.example"})).await.ok();
    assert_eq!((&known, &known), (&verified, &unknown));
    server.mailbox().nth_to(EMAIL, 2).await;
    assert_eq!(server.mailbox().to("nobody@new.example").len(), 0);
    assert_eq!(server.mailbox().to("verified@new.example").len(), 1);
    client.post(RESEND, json!({})).await.invalid("email");
}
