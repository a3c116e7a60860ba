//! `POST /api/v1/auth/login`

use chrono::Duration;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_login_answers_tokens_and_opens_a_session;
    unknown_address_and_wrong_password_are_answered_alike;
    an_unverified_address_gets_a_temporary_token;
    an_unverified_session_reaches_nothing;
    a_remembered_session_lives_for_thirty_days;
    a_disabled_person_is_told_only_with_the_right_password;
    too_many_logins_to_one_account_are_refused with "[limits]\nenabled = true";
    what_is_missing_is_named;
}

const PATH: &str = "/api/v1/auth/login";

async fn a_login_answers_tokens_and_opens_a_session(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"email": "OWNER@acme.example", "password": PASSWORD});
    let data = server.anonymous().post(PATH, body).await.ok();
    assert_eq!(data["token_type"], "bearer");
    assert_eq!(data["expires_in"], 3600);
    assert_eq!(data["user_id"], acme.owner.id);
    assert_eq!(data["email"], "owner@acme.example");
    assert_eq!(data["is_verified"], true);
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    client.get("/api/v1/auth/me").await.ok();

    let sessions = format!("SELECT count(*) FROM sessions WHERE user_id = {} AND ended_at IS NULL", acme.owner.id);
    assert_eq!(server.count(&sessions).await, 2);
    assert_eq!(server.audited("auth.login", "success").await, 5);
    // Tokens are kept as hashes.
    assert_eq!(server.count("SELECT count(*) FROM refresh_tokens").await, 5);
}

async fn unknown_address_and_wrong_password_are_answered_alike(server: &Server) {
    server.organization("Acme").await;
    let client = server.anonymous();
    let wrong = client.post(PATH, json!({"email": "owner@acme.example", "password": "Wrong1horse"})).await;
    let unknown = client.post(PATH, json!({"email": "nobody@acme.example", "password": "Wrong1horse"})).await;
    let no_address = client.post(PATH, json!({"email": "no address", "password": "Wrong1horse"})).await;
    let mut errors = [wrong, unknown, no_address].map(|answer| answer.error(401, "INVALID_CREDENTIALS"));
    for error in &mut errors {
        error["request_id"].take();
    }
    assert_eq!((&errors[0], &errors[0]), (&errors[1], &errors[2]));
    assert_eq!(server.audited("auth.login", "failure").await, 3);
}

async fn an_unverified_address_gets_a_temporary_token(server: &Server) {
    let body = json!({"email": "ada@new.example", "password": PASSWORD});
    server.anonymous().post("/api/v1/auth/signup", body.clone()).await.created();
    let data = server.anonymous().post(PATH, body).await.ok();
    assert_eq!(data["email_verification_required"], true);
    assert!(data["access_token"].is_null() && data["refresh_token"].is_null(), "{data}");
    let resend = json!({"temporary_token": data["temporary_token"]});
    server.anonymous().post("/api/v1/auth/resend-verification", resend).await.ok();
    server.mailbox().nth_to("ada@new.example", 2).await;
}

async fn an_unverified_session_reaches_nothing(server: &Server) {
    let ada = server.newcomer("ada@new.example").await;
    ada.client.get("/api/v1/auth/me").await.ok();
    // As when an address is changed: the session lives, the address is not proven.
    let sql = "UPDATE user_emails SET verified_at = NULL";
    server.execute(sql).await;
    let fresh = ada.client.anonymous().post("/api/v1/auth/refresh", json!({"refresh_token": ada.refresh_token})).await;
    fresh.error(401, "INVALID_REFRESH_TOKEN");
}

async fn a_remembered_session_lives_for_thirty_days(server: &Server) {
    server.organization("Acme").await;
    let client = server.anonymous();
    let login = |remember: bool| json!({"email": "owner@acme.example", "password": PASSWORD, "remember_me": remember});
    let short = client.post(PATH, login(false)).await.ok();
    let long = client.post(PATH, login(true)).await.ok();
    let refresh = |data: &serde_json::Value| json!({"refresh_token": data["refresh_token"]});
    server.clock().advance(Duration::hours(25));
    client.post("/api/v1/auth/refresh", refresh(&short)).await.error(401, "INVALID_REFRESH_TOKEN");
    let long = client.post("/api/v1/auth/refresh", refresh(&long)).await.ok();
    server.clock().advance(Duration::days(31));
    client.post("/api/v1/auth/refresh", refresh(&long)).await.error(401, "INVALID_REFRESH_TOKEN");
}

async fn a_disabled_person_is_told_only_with_the_right_password(server: &Server) {
    let acme = server.organization("Acme").await;
    let sql = format!("UPDATE users SET disabled_at = created_at WHERE id = {}", acme.viewer.id);
    server.execute(&sql).await;
    let login = |password: &str| json!({"email": "viewer@acme.example", "password": password});
    server.anonymous().post(PATH, login("Wrong1horse")).await.error(401, "INVALID_CREDENTIALS");
    server.anonymous().post(PATH, login(PASSWORD)).await.error(403, "USER_DISABLED");
}

async fn too_many_logins_to_one_account_are_refused(server: &Server) {
    let client = server.anonymous();
    let body = json!({"email": "nobody@acme.example", "password": "Wrong1horse"});
    for _ in 0..5 {
        client.post(PATH, body.clone()).await.error(401, "INVALID_CREDENTIALS");
    }
    let refused = client.post(PATH, body.clone()).await;
    let wait = refused.number("retry-after");
    refused.error(429, "RATE_LIMITED");
    assert!((1..=900).contains(&wait), "{wait}");
    // Who waits as long as told is let in again, once.
    server.clock().advance(Duration::seconds(wait));
    client.post(PATH, body.clone()).await.error(401, "INVALID_CREDENTIALS");
    client.post(PATH, body).await.error(429, "RATE_LIMITED");
}

async fn what_is_missing_is_named(server: &Server) {
    server.anonymous().post(PATH, json!({"email": "owner@acme.example"})).await.invalid("password");
    server.anonymous().post(PATH, json!({"password": PASSWORD})).await.invalid("email");
    let body = json!({"email": "owner@acme.example", "password": PASSWORD, "remember_me": "yes"});
    server.anonymous().post(PATH, body).await.invalid("remember_me");
}
