//! `POST /api/v1/auth/signup`

use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_new_account_gets_an_organization_and_a_mail;
    a_taken_address_conflicts_whatever_its_case;
    a_repeat_with_the_same_key_finds_the_same_account;
    what_is_not_valid_is_named;
    a_weak_password_is_refused;
    terms_are_accepted_explicitly with "[signup]\nterms_version = \"2.0\"";
    a_taken_address_can_be_hidden with "[signup]\nhide_taken_addresses = true";
    signup_can_be_closed with "[signup]\nopen = false";
}

const PATH: &str = "/api/v1/auth/signup";

async fn a_new_account_gets_an_organization_and_a_mail(server: &Server) {
    let body = json!({"email": "Ada@New.example", "password": PASSWORD, "display_name": "Ada", "agree_to_terms": true});
    let data = server.anonymous().post(PATH, body).await.created();
    assert_eq!(data["email"], "ada@new.example");
    assert_eq!(data["display_name"], "Ada");
    assert_eq!(data["email_verification_required"], true);
    assert!(data["access_token"].is_null() && data["refresh_token"].is_null(), "{data}");

    // What was handed out is no access token.
    let token = data["temporary_token"].as_str().unwrap();
    server.anonymous().with_token(token).get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");

    let mail = server.mailbox().nth_to("ada@new.example", 1).await;
    assert_eq!(mail.subject, "Verify your e-mail address");
    let links = mail.links();
    assert!(links.iter().any(|link| link.starts_with(&format!("{}/verify-email?token=", server.url()))), "{links:?}");

    let user = data["user_id"].as_i64().unwrap();
    let owners = format!(
        "SELECT count(*) FROM role_assignments a JOIN roles r ON r.id = a.role_id \
         JOIN organizations o ON o.id = a.organization_id WHERE a.user_id = {user} AND r.name = 'Owner' AND o.is_personal"
    );
    assert_eq!(server.count(&owners).await, 1);
    assert_eq!(server.audited("auth.signup", "success").await, 1);
    let kept = server.rows(&format!("SELECT password_hash FROM users WHERE id = {user}")).await;
    assert!(kept[0]["password_hash"].as_str().unwrap().starts_with("$argon2id$"), "{kept:?}");
}

async fn a_taken_address_conflicts_whatever_its_case(server: &Server) {
    let body = |email: &str| json!({"email": email, "password": PASSWORD});
    server.anonymous().post(PATH, body("ada@new.example")).await.created();
    server.anonymous().post(PATH, body("ADA@new.EXAMPLE")).await.error(409, "EMAIL_TAKEN");
    assert_eq!(server.count("SELECT count(*) FROM users").await, 1);
    assert_eq!(server.count("SELECT count(*) FROM organizations").await, 1);
}

async fn a_repeat_with_the_same_key_finds_the_same_account(server: &Server) {
    let body = |name: &str, key: &str| json!({"email": "ada@new.example", "password": PASSWORD, "display_name": name, "idempotency_key": key});
    let client = server.anonymous();
    let first = client.post(PATH, body("Ada", "k-1")).await.created();
    let second = client.post(PATH, body("Ada", "k-1")).await.created();
    assert_eq!(first["user_id"], second["user_id"]);
    assert_eq!(server.count("SELECT count(*) FROM users").await, 1);
    client.post(PATH, body("Another", "k-1")).await.error(409, "IDEMPOTENCY_CONFLICT");
    client.post(PATH, body("Ada", "k-2")).await.error(409, "EMAIL_TAKEN");

    // After a day the key is forgotten.
    server.clock().advance(chrono::Duration::hours(25));
    client.post(PATH, body("Ada", "k-1")).await.error(409, "EMAIL_TAKEN");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let client = server.anonymous();
    for email in ["", "ada", "ada@", "@new.example", "a b@new.example"] {
        client.post(PATH, json!({"email": email, "password": PASSWORD})).await.invalid("email");
    }
    client.post(PATH, json!({"password": PASSWORD})).await.invalid("email");
    client.post(PATH, json!({"email": "ada@new.example"})).await.invalid("password");
    client.post(PATH, json!({"email": "ada@new.example", "password": 7})).await.invalid("password");
    for name in ["", "  ", &"x".repeat(256)] {
        let body = json!({"email": "ada@new.example", "password": PASSWORD, "display_name": name});
        client.post(PATH, body).await.invalid("display_name");
    }
    assert_eq!(server.count("SELECT count(*) FROM users").await, 0);
}

async fn a_weak_password_is_refused(server: &Server) {
    let too_long = "Aa1".repeat(50);
    for password in ["Short1", "alllower1", "ALLUPPER1", "NoDigitsHere", "", &too_long] {
        let body = json!({"email": "ada@new.example", "password": password});
        let error = server.anonymous().post(PATH, body).await.error(422, "INVALID_PASSWORD");
        assert!(password.is_empty() || !error.to_string().contains(password), "the password is repeated: {error}");
    }
    assert_eq!(server.count("SELECT count(*) FROM users").await, 0);
}

async fn terms_are_accepted_explicitly(server: &Server) {
    let client = server.anonymous();
    let body = json!({"email": "ada@new.example", "password": PASSWORD});
    client.post(PATH, body).await.invalid("agree_to_terms");
    let old = json!({"email": "ada@new.example", "password": PASSWORD, "agree_to_terms": true, "terms_version": "1.0"});
    client.post(PATH, old).await.invalid("terms_version");
    let now = json!({"email": "ada@new.example", "password": PASSWORD, "agree_to_terms": true, "terms_version": "2.0"});
    client.post(PATH, now).await.created();
    let kept = server.rows("SELECT terms_version, terms_accepted_at FROM users").await;
    assert_eq!(kept[0]["terms_version"], "2.0");
    assert!(!kept[0]["terms_accepted_at"].is_null());
}

async fn a_taken_address_can_be_hidden(server: &Server) {
    let client = server.anonymous();
    let body = json!({"email": "ada@new.example", "password": PASSWORD, "display_name": "Ada"});
    let first = client.post(PATH, body.clone()).await.created();
    let second = client.post(PATH, body).await.created();
    let shape = |data: &serde_json::Value| data.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(shape(&first), shape(&second));
    // Two mails that are sent at the same time come in any order.
    let told = |mail: &rivergen_tests::Mail| mail.subject == "You already have an account";
    rivergen_tests::eventually("the notice", async || {
        server.mailbox().to("ada@new.example").iter().any(told).then_some(())
    })
    .await;
    assert_eq!(server.count("SELECT count(*) FROM users").await, 1);
}

async fn signup_can_be_closed(server: &Server) {
    let body = json!({"email": "ada@new.example", "password": PASSWORD});
    server.anonymous().post(PATH, body).await.error(403, "FORBIDDEN");
}
