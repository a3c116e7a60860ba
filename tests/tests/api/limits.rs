//! Rate limits over all operations, and their headers.

use chrono::Duration;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    each_answer_says_what_is_left with "[limits]\nenabled = true";
    over_the_limit_is_refused_until_it_is_told with "[limits]\nenabled = true\nrules.general = { limit = 3, per_seconds = 30 }";
    signups_from_one_address_are_few with "[limits]\nenabled = true";
    verification_mails_are_few with "[limits]\nenabled = true\nrules.signup_by_ip = { limit = 100, per_seconds = 1 }";
    a_forged_forwarded_address_changes_nothing with "[limits]\nenabled = true\nrules.general = { limit = 3, per_seconds = 30 }";
}

const ME: &str = "/api/v1/auth/me";

async fn each_answer_says_what_is_left(server: &Server) {
    let client = server.anonymous();
    let first = client.get(ME).await;
    let second = client.get(ME).await;
    assert_eq!((first.number("x-ratelimit-limit"), first.number("x-ratelimit-remaining")), (100, 99));
    assert_eq!(second.number("x-ratelimit-remaining"), 98);
    let now = server.platform.clock.now().timestamp();
    assert!((now..=now + 60).contains(&second.number("x-ratelimit-reset")));
    // Administrators have more.
    let body = json!({"email": "ada@new.example", "password": PASSWORD});
    client.post("/api/v1/auth/signup", body).await.created();
    let token = server.mailbox().token("ada@new.example", 1).await;
    let data = client.post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    let ada = client.with_token(data["access_token"].as_str().unwrap());
    assert_eq!(ada.get(ME).await.number("x-ratelimit-limit"), 1000);
}

async fn over_the_limit_is_refused_until_it_is_told(server: &Server) {
    let client = server.anonymous();
    for _ in 0..3 {
        client.get(ME).await.error(401, "UNAUTHORIZED");
    }
    let refused = client.get(ME).await;
    assert_eq!((refused.number("x-ratelimit-limit"), refused.number("x-ratelimit-remaining")), (3, 0));
    let wait = refused.number("retry-after");
    assert!((1..=10).contains(&wait), "{wait}");
    refused.error(429, "RATE_LIMITED");
    server.clock().advance(Duration::seconds(wait));
    client.get(ME).await.error(401, "UNAUTHORIZED");
}

async fn signups_from_one_address_are_few(server: &Server) {
    let client = server.anonymous();
    let body = |n: usize| json!({"email": format!("ada{n}@new.example"), "password": PASSWORD});
    for n in 0..3 {
        client.post("/api/v1/auth/signup", body(n)).await.created();
    }
    let refused = client.post("/api/v1/auth/signup", body(3)).await;
    assert!((1..=300).contains(&refused.number("retry-after")));
    refused.error(429, "RATE_LIMITED");
    // Organizations with a new administrator are signups too.
    let organization = json!({"name": "Globex", "admin_email": "x@globex.example", "admin_password": PASSWORD});
    client.post("/api/v1/organizations", organization).await.error(429, "RATE_LIMITED");
    assert_eq!(server.count("SELECT count(*) FROM users").await, 3);
    server.clock().advance(Duration::minutes(5));
    client.post("/api/v1/auth/signup", body(3)).await.created();
}

async fn verification_mails_are_few(server: &Server) {
    let client = server.anonymous();
    let email = json!({"email": "nobody@new.example"});
    for _ in 0..3 {
        client.post("/api/v1/auth/resend-verification", email.clone()).await.ok();
    }
    client.post("/api/v1/auth/resend-verification", email).await.error(429, "RATE_LIMITED");
}

async fn a_forged_forwarded_address_changes_nothing(server: &Server) {
    let client = server.anonymous();
    for n in 0..3 {
        let request = client.request(reqwest::Method::GET, ME).header("x-forwarded-for", format!("203.0.113.{n}"));
        client.send(request).await.error(401, "UNAUTHORIZED");
    }
    let request = client.request(reqwest::Method::GET, ME).header("x-forwarded-for", "203.0.113.99");
    client.send(request).await.error(429, "RATE_LIMITED");
}
