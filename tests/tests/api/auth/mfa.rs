//! `/api/v1/auth/mfa/…`: the second step of a login.

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    both_factors_open_a_session;
    the_token_changes_with_each_step;
    a_method_that_is_not_set_up_is_refused;
    a_pending_login_dies_with_time_and_with_its_fifth_wrong_code;
    wrong_codes_lock_the_factor_and_not_the_account;
    a_disabled_person_gets_no_further;
    few_codes_are_mailed_for_one_login;
    what_is_not_valid_is_named;
}

const GENERATE: &str = "/api/v1/auth/mfa/otp/generate";
const VERIFY: &str = "/api/v1/auth/mfa/verify";

async fn both_factors_open_a_session(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = acme.viewer.authenticator_app(server).await;
    let token = server.first_step(&acme.viewer.email).await;
    let body = json!({"temporary_token": token, "code": app.next_code(server)});
    let data = server.anonymous().post(VERIFY, body).await.ok();
    assert_eq!((data["user_id"].as_i64(), data["email"].as_str()), (Some(acme.viewer.id), Some("viewer@acme.example")));
    assert_eq!((data["token_type"].as_str(), data["is_verified"].as_bool()), (Some("bearer"), Some(true)));
    assert!(data["trusted_device"].is_null(), "no fingerprint was sent");
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    client.get("/api/v1/auth/me").await.ok();
    let amr = server.rows("SELECT amr FROM sessions ORDER BY id DESC LIMIT 1").await;
    assert_eq!(amr[0]["amr"], "pwd otp mfa");
    assert_eq!(server.audited("auth.mfa_verify", "success").await, 1);
}

async fn the_token_changes_with_each_step(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let first = server.first_step(&viewer.email).await;
    let body = json!({"temporary_token": first, "method": "totp"});
    let chosen = server.anonymous().post(GENERATE, body.clone()).await.ok();
    let second = chosen["temporary_token"].as_str().unwrap();
    assert_ne!(first, second);
    server.anonymous().post(GENERATE, body).await.error(401, "INVALID_TEMPORARY_TOKEN");
    let code = app.next_code(server);
    server.anonymous().post(VERIFY, json!({"temporary_token": first, "code": code})).await.error(401, "INVALID_TOKEN");
    let body = json!({"temporary_token": second, "code": code});
    server.anonymous().post(VERIFY, body.clone()).await.ok();
    server.anonymous().post(VERIFY, body).await.error(401, "INVALID_TOKEN");
    // A temporary token is no access token.
    viewer.client.with_token(second).get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
}

async fn a_method_that_is_not_set_up_is_refused(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.authenticator_app(server).await;
    let token = server.first_step(&viewer.email).await;
    let body = json!({"temporary_token": token, "method": "email_otp"});
    server.anonymous().post(GENERATE, body).await.invalid("method");
}

async fn a_pending_login_dies_with_time_and_with_its_fifth_wrong_code(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let token = server.first_step(&viewer.email).await;
    server.clock().advance(Duration::minutes(10));
    let body = json!({"temporary_token": token, "code": app.code(server)});
    server.anonymous().post(VERIFY, body).await.error(401, "INVALID_TOKEN");

    let token = server.first_step(&viewer.email).await;
    for attempt in 0..5 {
        if attempt == 3 {
            server.clock().advance(Duration::seconds(61));
        }
        let body = json!({"temporary_token": token, "code": app.wrong_code(server)});
        server.anonymous().post(VERIFY, body).await.error(400, "INVALID_MFA_CODE");
    }
    server.clock().advance(Duration::seconds(121));
    let body = json!({"temporary_token": token, "code": app.code(server)});
    server.anonymous().post(VERIFY, body).await.error(401, "INVALID_TOKEN");
    assert_eq!(server.audited("auth.mfa_verify", "failure").await, 5);
}

async fn wrong_codes_lock_the_factor_and_not_the_account(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    for _ in 0..3 {
        // A fresh login each time gains nothing.
        let token = server.first_step(&viewer.email).await;
        let body = json!({"temporary_token": token, "code": app.wrong_code(server)});
        server.anonymous().post(VERIFY, body).await.error(400, "INVALID_MFA_CODE");
    }
    let token = server.first_step(&viewer.email).await;
    let locked =
        server.anonymous().post(VERIFY, json!({"temporary_token": token, "code": app.next_code(server)})).await;
    assert!((1..=60).contains(&locked.number("retry-after")));
    locked.error(429, "TOO_MANY_ATTEMPTS");
    // The other factor is not locked, and whoever is signed in stays so.
    viewer.client.get("/api/v1/auth/me").await.ok();
    let body = json!({"temporary_token": token, "backup_code": app.backup_codes[0]});
    server.anonymous().post(VERIFY, body).await.ok();
}

async fn a_disabled_person_gets_no_further(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let token = server.first_step(&viewer.email).await;
    server.execute(&format!("UPDATE users SET disabled_at = created_at WHERE id = {}", viewer.id)).await;
    let choose = json!({"temporary_token": token, "method": "totp"});
    server.anonymous().post(GENERATE, choose).await.error(401, "USER_NOT_FOUND");
    let body = json!({"temporary_token": token, "code": app.next_code(server)});
    server.anonymous().post(VERIFY, body).await.error(401, "USER_NOT_FOUND");
}

async fn few_codes_are_mailed_for_one_login(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post_empty("/api/v1/mfa/email-otp/setup").await.ok();
    let code = server.mailbox().code(&viewer.email, 1).await;
    viewer.client.post("/api/v1/mfa/email-otp/verify", json!({"code": code})).await.ok();
    let mut token = server.first_step(&viewer.email).await;
    let mut code = String::new();
    for mailed in 2..=4 {
        let body = json!({"temporary_token": token, "method": "email_otp"});
        let chosen = server.anonymous().post(GENERATE, body).await.ok();
        token = chosen["temporary_token"].as_str().unwrap().to_owned();
        // Two mails on their way at once may overtake each other.
        code = server.mailbox().code(&viewer.email, mailed).await;
    }
    let body = json!({"temporary_token": token, "method": "email_otp"});
    server.anonymous().post(GENERATE, body).await.error(429, "RATE_LIMITED");
    server.anonymous().post(VERIFY, json!({"temporary_token": token, "code": code})).await.ok();
}

async fn what_is_not_valid_is_named(server: &Server) {
    let client = server.anonymous();
    client.post(GENERATE, json!({"method": "totp"})).await.invalid("temporary_token");
    client.post(GENERATE, json!({"temporary_token": "x", "method": "sms"})).await.invalid("method");
    client.post(VERIFY, json!({"temporary_token": "x", "code": "12"})).await.invalid("code");
    client.post(VERIFY, json!({"temporary_token": "x"})).await.invalid("code");
    let both = json!({"temporary_token": "x", "code": "123456", "backup_code": "ABCD-EFGH"});
    client.post(VERIFY, both).await.invalid("code");
}
