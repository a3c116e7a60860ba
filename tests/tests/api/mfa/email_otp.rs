//! `/api/v1/mfa/email-otp/…`

use chrono::Duration;
use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    codes_by_mail_are_set_up_used_and_switched_off;
    another_code_voids_the_one_before;
    a_code_dies_with_time_and_with_wrong_tries;
    the_code_is_sealed;
}

const SETUP: &str = "/api/v1/mfa/email-otp/setup";
const VERIFY: &str = "/api/v1/mfa/email-otp/verify";
const REMOVE: &str = "/api/v1/mfa/email-otp";

/// Another code than this.
fn wrong(code: &str) -> &'static str {
    if code == "000000" { "111111" } else { "000000" }
}

async fn set_up(server: &Server, person: &Person) {
    assert_eq!(person.client.post_empty(SETUP).await.ok()["otp_sent"], true);
    let code = server.mailbox().code(&person.email, 1).await;
    let enabled = person.client.post(VERIFY, json!({"code": code})).await.ok();
    assert_eq!(enabled["backup_codes"].as_array().unwrap().len(), 10);
}

async fn codes_by_mail_are_set_up_used_and_switched_off(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.delete(REMOVE).await.error(404, "MFA_METHOD_NOT_FOUND");
    set_up(server, &viewer).await;
    viewer.client.post_empty(SETUP).await.error(409, "EMAIL_OTP_ALREADY_ENABLED");

    let token = server.first_step(&viewer.email).await;
    let choose = json!({"temporary_token": token, "method": "email_otp"});
    let chosen = server.anonymous().post("/api/v1/auth/mfa/otp/generate", choose).await.ok();
    let code = server.mailbox().code(&viewer.email, 2).await;
    let body = json!({"temporary_token": chosen["temporary_token"], "code": code});
    let data = server.anonymous().post("/api/v1/auth/mfa/verify", body).await.ok();
    let fresh = viewer.client.with_token(data["access_token"].as_str().unwrap());

    let off = fresh.delete(REMOVE).await.ok();
    assert_eq!((off["success"].as_bool(), off["mfa_enabled"].as_bool()), (Some(true), Some(false)));
    server.sign_in(&viewer.email).await;
}

async fn another_code_voids_the_one_before(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post_empty(SETUP).await.ok();
    let first = server.mailbox().code(&viewer.email, 1).await;
    viewer.client.post_empty(SETUP).await.ok();
    let second = server.mailbox().code(&viewer.email, 2).await;
    if first != second {
        viewer.client.post(VERIFY, json!({"code": first})).await.error(400, "INVALID_CODE");
    }
    viewer.client.post(VERIFY, json!({"code": second})).await.ok();
}

async fn a_code_dies_with_time_and_with_wrong_tries(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post_empty(SETUP).await.ok();
    let code = server.mailbox().code(&viewer.email, 1).await;
    server.clock().advance(Duration::minutes(10));
    viewer.client.post(VERIFY, json!({"code": code})).await.error(400, "NO_PENDING_SETUP");

    viewer.client.post_empty(SETUP).await.ok();
    let code = server.mailbox().code(&viewer.email, 2).await;
    for attempt in 0..5 {
        if attempt == 3 {
            server.clock().advance(Duration::seconds(61));
        }
        viewer.client.post(VERIFY, json!({"code": wrong(&code)})).await.error(400, "INVALID_CODE");
    }
    server.clock().advance(Duration::seconds(121));
    viewer.client.post(VERIFY, json!({"code": code})).await.error(400, "NO_PENDING_SETUP");
}

async fn the_code_is_sealed(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post_empty(SETUP).await.ok();
    let code = server.mailbox().code(&viewer.email, 1).await;
    for table in ["mfa_methods", "jobs"] {
        let rows = server.rows(&format!("SELECT * FROM {table}")).await;
        assert!(!format!("{rows:?}").contains(&format!("code is {code}")), "{table}");
    }
    assert_eq!(server.count("SELECT count(*) FROM mfa_methods WHERE sealed_secret IS NOT NULL").await, 1);
}
