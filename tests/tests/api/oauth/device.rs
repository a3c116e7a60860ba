//! `POST /oauth/device_authorization` and `/oauth/device`: programs without a browser

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{App, Browser, field, granted, post, refused, text};

on_both_databases! {
    a_device_is_connected;
    a_device_is_refused;
    a_code_is_one_applications_and_ends;
}

const GRANT: &str = "urn:ietf:params:oauth:grant-type:device_code";

async fn television(server: &Server, acme: &rivergen_tests::Organization, name: &str) -> App {
    let body =
        json!({"name": name, "grant_types": [GRANT], "client_type": "public", "redirect_uris": [], "scopes": ["read"]});
    App::register(server, acme, body).await
}

async fn begin(app: &App) -> Value {
    granted(app.post("/oauth/device_authorization", &[("scope", "openid read")]).await)
}

async fn ask(app: &App, codes: &Value) -> rivergen_tests::Answer {
    app.post("/oauth/token", &[("grant_type", GRANT), ("device_code", text(codes, "device_code"))]).await
}

async fn decide(browser: &Browser, page: &rivergen_tests::Answer, approve: &str) -> rivergen_tests::Answer {
    post(&browser.0, "/oauth/device", &[("ticket", &field(page, "ticket")), ("approve", approve)]).await
}

/// The page of the consent, after the sign-in.
async fn consent(browser: &Browser, codes: &Value, email: &str) -> rivergen_tests::Answer {
    let page = browser.0.get(&format!("/oauth/device?user_code={}", text(codes, "user_code").to_lowercase())).await;
    let (query, to, token) = (field(&page, "continue"), field(&page, "to"), field(&page, "form_token"));
    let pairs = [
        ("continue", query.as_str()),
        ("to", &to),
        ("form_token", &token),
        ("email", email),
        ("password", rivergen_tests::PASSWORD),
    ];
    let answer = post(&browser.0, "/oauth/sign-in", &pairs).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    browser.0.get(answer.headers["location"].to_str().unwrap()).await
}

async fn a_device_is_connected(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = television(server, &acme, "Television").await;
    let codes = begin(&app).await;
    assert_eq!(text(&codes, "verification_uri"), format!("{}/oauth/device", server.url()));
    refused(ask(&app, &codes).await, 400, "authorization_pending");
    refused(ask(&app, &codes).await, 400, "slow_down");
    server.clock().advance(chrono::Duration::seconds(6));
    refused(ask(&app, &codes).await, 400, "authorization_pending");
    let browser = Browser::new(server);
    let page = consent(&browser, &codes, &acme.viewer.email).await;
    let html = page.body.as_str().unwrap();
    assert!(html.contains("Television asks to act for you") && html.contains(text(&codes, "user_code")), "{html}");
    // Not by a form of another site.
    let forged = [("user_code", text(&codes, "user_code")), ("approve", "true")];
    assert!(post(&browser.0, "/oauth/device", &forged).await.body.as_str().unwrap().contains("has expired"));
    let ticket = field(&page, "ticket");
    let cross_site = super::form(&[("ticket", &ticket), ("approve", "true")]);
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = browser.0.request(reqwest::Method::POST, "/oauth/device").header(header, value);
        let request = request.header("content-type", "application/x-www-form-urlencoded").body(cross_site.clone());
        let answer = browser.0.send(request).await;
        assert!(answer.body.as_str().unwrap().contains("has expired"), "{header}: {}", answer.body);
    }
    // Nor in another person's browser, nor as the ticket of a browser's request.
    let other = Browser::new(server);
    let theirs = consent(&other, &codes, &acme.developer.email).await;
    assert!(decide(&browser, &theirs, "true").await.body.as_str().unwrap().contains("has expired"));
    assert_eq!(browser.decide(&page, true).await.status, 400);
    let done = decide(&browser, &page, "true").await;
    assert!(done.body.as_str().unwrap().contains("connected"), "{}", done.body);
    // It counts for this device alone.
    assert_eq!(server.count("SELECT count(*) FROM oauth_consents").await, 0);
    assert!(decide(&other, &theirs, "true").await.body.as_str().unwrap().contains("The code does not exist"));
    let tokens = granted(ask(&app, &codes).await);
    app.caller(&tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    assert!(tokens["id_token"].is_string());
    granted(app.refresh(text(&tokens, "refresh_token")).await);
    refused(ask(&app, &codes).await, 400, "invalid_grant");
    let list = acme.viewer.client.get("/api/v1/oauth/connected-applications").await.ok();
    assert_eq!(list["applications"][0]["name"], "Television");
}

async fn a_device_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = television(server, &acme, "Television").await;
    let codes = begin(&app).await;
    let browser = Browser::new(server);
    let page = consent(&browser, &codes, &acme.viewer.email).await;
    decide(&browser, &page, "false").await;
    refused(ask(&app, &codes).await, 400, "access_denied");
    let again = decide(&browser, &page, "true").await;
    assert!(again.body.as_str().unwrap().contains("has expired"), "{}", again.body);
    assert_eq!(server.count("SELECT count(*) FROM oauth_grants").await, 0);
}

async fn a_code_is_one_applications_and_ends(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = television(server, &acme, "Television").await;
    let other = television(server, &acme, "Radio").await;
    let codes = begin(&app).await;
    refused(ask(&other, &codes).await, 400, "invalid_grant");
    // It is no code of a browser's sign-in.
    let as_code = [
        ("grant_type", "authorization_code"),
        ("code", text(&codes, "device_code")),
        ("redirect_uri", "x"),
        ("code_verifier", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"),
    ];
    refused(app.post("/oauth/token", &as_code).await, 400, "unauthorized_client");
    server.clock().advance(chrono::Duration::minutes(11));
    refused(ask(&app, &codes).await, 400, "expired_token");
    let web = App::new(server, &acme).await;
    refused(web.post("/oauth/device_authorization", &[]).await, 400, "unauthorized_client");
}
