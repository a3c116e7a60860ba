//! `POST /api/v1/auth/{forgot-password,reset-password,change-password}`

use chrono::Duration;
use rivergen_tests::{Organization, PASSWORD, Person, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_forgotten_password_is_reset_by_mail;
    known_and_unknown_addresses_are_answered_alike;
    a_link_works_once_and_for_an_hour;
    a_reset_keeps_the_second_factor;
    a_changed_password_ends_every_session;
    wrong_current_passwords_are_counted with "[limits]\nenabled = true\n[limits.rules]\nlogin_by_ip = { limit = 50, per_seconds = 60 }";
    an_organization_asks_for_more;
    an_earlier_password_is_refused;
    hashes_of_other_systems_open_and_are_made_anew;
}

const FORGOT: &str = "/api/v1/auth/forgot-password";
const RESET: &str = "/api/v1/auth/reset-password";
const CHANGE: &str = "/api/v1/auth/change-password";
const NEW: &str = "Better2stapler";

async fn login(server: &Server, email: &str, password: &str) -> rivergen_tests::Answer {
    server.anonymous().post("/api/v1/auth/login", json!({"email": email, "password": password})).await
}

async fn mailed_token(server: &Server, email: &str) -> String {
    let mail = server.mailbox().titled(email, "Set a new password").await;
    let link = mail.links().into_iter().find(|link| link.contains("token=")).unwrap();
    assert!(link.starts_with(&format!("{}/reset-password?token=", server.url())), "{link}");
    // It shows a page, and following it changes nothing.
    let page = server.anonymous().get(link.strip_prefix(server.url()).unwrap()).await;
    let html = page.body.as_str().unwrap();
    let is_a_page = html.contains("<form") || html.contains(r#"<div id="root">"#);
    assert!(page.status.is_success() && is_a_page, "the server's own, or the console's: {page:?}");
    link.split_once("token=").unwrap().1.to_owned()
}

async fn change(person: &Person, new: &str) -> rivergen_tests::Answer {
    person.client.post(CHANGE, json!({"current_password": PASSWORD, "new_password": new})).await
}

async fn a_forgotten_password_is_reset_by_mail(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    server.anonymous().post(FORGOT, json!({"email": "VIEWER@acme.example"})).await.ok();
    let token = mailed_token(server, &viewer.email).await;
    let answer = server.anonymous().post(RESET, json!({"token": token, "new_password": NEW})).await.ok();
    assert!(answer["access_token"].is_null(), "no session is opened");
    viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let refresh = json!({"refresh_token": viewer.refresh_token});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
    login(server, &viewer.email, PASSWORD).await.error(401, "INVALID_CREDENTIALS");
    login(server, &viewer.email, NEW).await.ok();
    server.mailbox().titled(&viewer.email, "password was changed").await;
    assert_eq!(server.audited("auth.reset_password", "success").await, 1);
    assert_eq!(server.audited("auth.forgot_password", "success").await, 1);
}

async fn known_and_unknown_addresses_are_answered_alike(server: &Server) {
    server.organization("Acme").await;
    let mut answers = Vec::new();
    for email in ["viewer@acme.example", "nobody@acme.example"] {
        let answer = server.anonymous().post(FORGOT, json!({"email": email})).await;
        answers.push((answer.status, answer.body));
    }
    assert_eq!(answers[0], answers[1]);
    // Nobody was looked up for the answer: that is the job's work.
    let failed = "SELECT count(*) FROM audit_log WHERE action = 'auth.forgot_password' AND outcome = 'failure'";
    rivergen_tests::eventually("the job", async || (server.count(failed).await == 1).then_some(())).await;
    assert!(server.mailbox().to("nobody@acme.example").is_empty());
    server.anonymous().post(FORGOT, json!({"email": "no address"})).await.invalid("email");
    server.anonymous().post(FORGOT, json!({})).await.invalid("email");
}

async fn a_link_works_once_and_for_an_hour(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    server.anonymous().post(FORGOT, json!({"email": viewer.email})).await.ok();
    let token = mailed_token(server, &viewer.email).await;
    let reset = async |token: &str, new: &str| {
        server.anonymous().post(RESET, json!({"token": token, "new_password": new})).await
    };
    reset("unknown", NEW).await.error(400, "INVALID_TOKEN");
    let weak = reset(&token, "weak").await.error(422, "INVALID_PASSWORD");
    assert_eq!(weak["details"][0]["field"], "new_password");
    reset(&token, PASSWORD).await.error(422, "INVALID_PASSWORD");
    server.clock().advance(Duration::minutes(59));
    reset(&token, NEW).await.ok();
    reset(&token, "Better3stapler").await.error(400, "INVALID_TOKEN");

    server.anonymous().post(FORGOT, json!({"email": "owner@acme.example"})).await.ok();
    let token = mailed_token(server, "owner@acme.example").await;
    server.clock().advance(Duration::minutes(61));
    reset(&token, NEW).await.error(410, "TOKEN_EXPIRED");
}

async fn a_reset_keeps_the_second_factor(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.authenticator_app(server).await;
    let pending = server.first_step(&viewer.email).await;
    server.anonymous().post(FORGOT, json!({"email": viewer.email})).await.ok();
    let token = mailed_token(server, &viewer.email).await;
    server.anonymous().post(RESET, json!({"token": token, "new_password": NEW})).await.ok();
    assert_eq!(login(server, &viewer.email, NEW).await.ok()["mfa_required"], true);
    // A login that began with the old password is over.
    let choose = json!({"temporary_token": pending, "method": "totp"});
    let answer = server.anonymous().post("/api/v1/auth/mfa/otp/generate", choose).await;
    answer.error(401, "INVALID_TEMPORARY_TOKEN");
}

async fn a_changed_password_ends_every_session(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let other = server.sign_in(&viewer.email).await;
    change(&viewer, PASSWORD).await.error(422, "INVALID_PASSWORD");
    change(&viewer, NEW).await.ok();
    for person in [&viewer, &other] {
        person.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    }
    login(server, &viewer.email, PASSWORD).await.error(401, "INVALID_CREDENTIALS");
    login(server, &viewer.email, NEW).await.ok();
    server.mailbox().titled(&viewer.email, "password was changed").await;
    assert_eq!(server.audited("auth.change_password", "success").await, 1);
    server.anonymous().post(CHANGE, json!({})).await.error(401, "UNAUTHORIZED");
}

async fn wrong_current_passwords_are_counted(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let body = json!({"current_password": "Wrong1horse", "new_password": NEW});
    for _ in 0..5 {
        viewer.client.post(CHANGE, body.clone()).await.error(400, "INVALID_CURRENT_PASSWORD");
    }
    change(&viewer, NEW).await.error(429, "RATE_LIMITED");
    assert_eq!(server.audited("auth.change_password", "failure").await, 5);
}

async fn an_organization_asks_for_more(server: &Server) {
    let acme: Organization = server.organization("Acme").await;
    server.secure("Acme", json!({"password": {"min_length": 14, "min_score": 3}})).await;
    let reasons = async |new: &str| {
        let error = change(&acme.viewer, new).await.error(422, "INVALID_PASSWORD");
        error["details"][0]["reason"].as_str().unwrap().to_owned()
    };
    assert!(reasons("Shorter2words").await.contains("14 characters"));
    assert!(reasons("Passwordpassword1").await.contains("easy to guess"));
    assert!(reasons("Viewer@acme.example1").await.contains("easy to guess"));
    change(&acme.viewer, "tidal-Kestrel-41-lantern").await.ok();
    // Whoever belongs elsewhere is asked for no more than the usual.
    let ada = server.newcomer("ada@new.example").await;
    change(&ada, "Passw0rdX").await.ok();
}

async fn an_earlier_password_is_refused(server: &Server) {
    server.organization("Acme").await;
    server.secure("Acme", json!({"password": {"history": 2}})).await;
    let mut current = PASSWORD.to_owned();
    let mut changed = async |new: &str| {
        let data = login(server, "viewer@acme.example", &current).await.ok();
        let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
        let answer = client.post(CHANGE, json!({"current_password": current, "new_password": new})).await;
        if answer.status.is_success() {
            current = new.to_owned();
        }
        answer
    };
    changed("Second2password").await.ok();
    changed(PASSWORD).await.error(422, "INVALID_PASSWORD");
    changed("Third3password").await.ok();
    changed(PASSWORD).await.error(422, "INVALID_PASSWORD");
    changed("Fourth4password").await.ok();
    // Two are remembered, and this is the third.
    changed(PASSWORD).await.ok();
}

async fn hashes_of_other_systems_open_and_are_made_anew(server: &Server) {
    server.organization("Acme").await;
    let bcrypt = "$2b$04$abcdefghijklmnopqrstuusNGnXmj9M3mPB81dNhkNiK4IQ4yo0bm";
    let file = json!({"name": "Acme", "people": [{"email": "owner@acme.example", "role": "Owner"},
        {"email": "old@acme.example", "role": "Viewer", "password_hash": bcrypt}]});
    let file = serde_json::from_value(file).unwrap();
    rivergen_tenancy::provision::run(&server.tenancy, file).await.unwrap();
    login(server, "old@acme.example", "Wrong1horse").await.error(401, "INVALID_CREDENTIALS");
    server.sign_in("old@acme.example").await;
    let sql = "SELECT count(*) FROM users WHERE password_hash LIKE '$argon2id$%'";
    assert_eq!(server.count(sql).await, 5);
    server.sign_in("old@acme.example").await;
}
