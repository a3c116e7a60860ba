//! `/api/v1/devices…`

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{Answer, AuthenticatorApp, Organization, PASSWORD, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_trusted_device_spares_the_second_factor_for_a_month;
    a_login_asks_for_the_second_factor_on_a_trusted_device_where_it_is_told_to;
    the_cookie_is_for_the_login_alone;
    another_fingerprint_or_person_gains_nothing;
    an_activation_token_works_once_for_five_minutes_in_its_session;
    declining_uses_the_token_up;
    a_revoked_device_ends_its_sessions;
    trust_falls_with_the_password_and_where_it_is_forbidden;
    trust_that_is_older_than_an_organization_allows_is_none;
    administrators_see_their_members_devices;
}

const FINGERPRINT: &str = r#"{"screen":"1920x1080","zone":"Europe/Berlin"}"#;

/// The second step of a login, with a fingerprint: the whole answer.
async fn verify(server: &Server, person: &Person, app: &AuthenticatorApp) -> Value {
    let body = json!({"temporary_token": server.first_step(&person.email).await, "code": app.next_code(server)});
    let client = server.anonymous();
    let request = client.request(Method::POST, "/api/v1/auth/mfa/verify").header("x-device-fingerprint", FINGERPRINT);
    client.send(request.json(&body)).await.ok()
}

/// A device that is trusted: its token, and the session that trusts it.
pub async fn trusted(server: &Server, person: &Person, app: &AuthenticatorApp) -> (String, rivergen_tests::Client) {
    let data = verify(server, person, app).await;
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    let body = json!({"activation_token": data["trusted_device"]["activation_token"]});
    let activated = client.post("/api/v1/devices/activate", body).await.ok();
    (activated["device_token"].as_str().unwrap().to_owned(), client)
}

async fn login(server: &Server, person: &Person, headers: &[(&str, &str)]) -> Answer {
    let client = server.anonymous();
    let mut request = client.request(Method::POST, "/api/v1/auth/login");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    client.send(request.json(&json!({"email": person.email, "password": PASSWORD}))).await
}

async fn acme(server: &Server) -> (Organization, AuthenticatorApp) {
    let acme = server.organization("Acme").await;
    let app = acme.viewer.authenticator_app(server).await;
    (acme, app)
}

async fn a_trusted_device_spares_the_second_factor_for_a_month(server: &Server) {
    let (acme, app) = acme(server).await;
    let data = verify(server, &acme.viewer, &app).await;
    let pending = &data["trusted_device"];
    assert_eq!((pending["is_active"].as_bool(), pending["activation_token"].is_string()), (Some(false), true));
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    assert_eq!(client.get("/api/v1/devices/").await.ok()["total_count"], 0);
    let body = json!({"activation_token": pending["activation_token"]});
    let activated = client.post("/api/v1/devices/activate", body).await.ok();
    assert_eq!(activated["device"]["is_active"], true);
    let token = activated["device_token"].as_str().unwrap();

    for headers in
        [vec![("x-device-token", token)], vec![("x-device-token", token), ("x-device-fingerprint", FINGERPRINT)]]
    {
        let data = login(server, &acme.viewer, &headers).await.ok();
        assert!(data["access_token"].is_string(), "{data}");
    }
    let listed = client.get("/api/v1/devices").await.ok();
    assert_eq!(listed["total_count"], 1);
    assert!(listed["devices"][0]["last_used_at"].is_string());
    assert!(!listed.to_string().contains("1920x1080") && !listed.to_string().contains(token));
    server.mailbox().titled(&acme.viewer.email, "device is trusted").await;
    assert_eq!(server.audited("device.activate", "success").await, 1);

    server.clock().advance(Duration::days(30));
    let data = login(server, &acme.viewer, &[("x-device-token", token)]).await.ok();
    assert_eq!(data["mfa_required"], true);
}

async fn a_login_asks_for_the_second_factor_on_a_trusted_device_where_it_is_told_to(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = acme.owner.authenticator_app(server).await;
    let (device, _) = trusted(server, &acme.owner, &app).await;
    let log_in = async |ask: bool| {
        let client = server.anonymous();
        let request = client.request(Method::POST, "/api/v1/auth/login").header("x-device-token", &device);
        let body = json!({"email": acme.owner.email, "password": PASSWORD, "ask_second_factor": ask});
        client.send(request.json(&body)).await.ok()
    };
    let with = |data: &Value| server.anonymous().with_token(data["access_token"].as_str().unwrap());
    // What needs a fresh one says so, whether the proof is too old or the device stood for the factor.
    let enforce = format!("/api/v1/sso/enforcement/enforce/{}", acme.id);
    let trial = json!({"sso_mode": "warn", "dry_run": true});
    let refused = async |client: &rivergen_tests::Client| {
        let error = client.post(&enforce, trial.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
        assert_eq!(error["details"][0]["field"], "second_factor", "{error}");
    };
    let spared = with(&log_in(false).await);
    refused(&spared).await;
    server.clock().advance(Duration::minutes(11));
    refused(&spared).await;

    let pending = log_in(true).await;
    assert_eq!((&pending["mfa_required"], &pending["access_token"]), (&json!(true), &Value::Null));
    let body = json!({"temporary_token": pending["temporary_token"], "code": app.next_code(server)});
    let proved = with(&server.anonymous().post("/api/v1/auth/mfa/verify", body).await.ok());
    proved.post(&enforce, trial.clone()).await.ok();
    // The device is trusted as before.
    assert!(log_in(false).await["access_token"].is_string());
}

async fn the_cookie_is_for_the_login_alone(server: &Server) {
    let (acme, app) = acme(server).await;
    let data = verify(server, &acme.viewer, &app).await;
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    let body = json!({"activation_token": data["trusted_device"]["activation_token"]});
    let answer = client.post("/api/v1/devices/activate", body).await;
    let cookie = answer.headers["set-cookie"].to_str().unwrap().to_owned();
    for part in ["HttpOnly", "SameSite=Strict", "Path=/api/v1", "Max-Age=2592000"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    let pair = cookie.split(';').next().unwrap();
    let data = login(server, &acme.viewer, &[("cookie", pair)]).await.ok();
    assert!(data["access_token"].is_string(), "{data}");
    // It spares the second factor and proves nothing else.
    let anonymous = server.anonymous();
    let request = anonymous.request(Method::GET, "/api/v1/auth/me").header("cookie", pair);
    anonymous.send(request).await.error(401, "UNAUTHORIZED");
}

async fn another_fingerprint_or_person_gains_nothing(server: &Server) {
    let (acme, app) = acme(server).await;
    let (token, _) = trusted(server, &acme.viewer, &app).await;
    acme.developer.authenticator_app(server).await;
    let headers = [("x-device-token", token.as_str()), ("x-device-fingerprint", r#"{"screen":"800x600"}"#)];
    assert_eq!(login(server, &acme.viewer, &headers).await.ok()["mfa_required"], true);
    assert_eq!(login(server, &acme.developer, &headers[..1]).await.ok()["mfa_required"], true);
    assert_eq!(login(server, &acme.viewer, &[("x-device-token", "guess")]).await.ok()["mfa_required"], true);
    login(server, &acme.viewer, &[("x-device-token", &token), ("x-device-fingerprint", "no json")])
        .await
        .invalid("x-device-fingerprint");
}

async fn an_activation_token_works_once_for_five_minutes_in_its_session(server: &Server) {
    let (acme, app) = acme(server).await;
    let data = verify(server, &acme.viewer, &app).await;
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    let body = json!({"activation_token": data["trusted_device"]["activation_token"]});
    let path = "/api/v1/devices/activate";
    acme.viewer.client.post(path, body.clone()).await.error(400, "INVALID_ACTIVATION_TOKEN");
    acme.owner.client.post(path, body.clone()).await.error(400, "INVALID_ACTIVATION_TOKEN");
    client.post(path, body.clone()).await.ok();
    client.post(path, body).await.error(400, "INVALID_ACTIVATION_TOKEN");
    client.post(path, json!({})).await.invalid("activation_token");

    let data = verify(server, &acme.viewer, &app).await;
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    server.clock().advance(Duration::minutes(5));
    let body = json!({"activation_token": data["trusted_device"]["activation_token"]});
    client.post(path, body).await.error(400, "ACTIVATION_TOKEN_EXPIRED");
}

async fn declining_uses_the_token_up(server: &Server) {
    let (acme, app) = acme(server).await;
    let data = verify(server, &acme.viewer, &app).await;
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    let body = json!({"activation_token": data["trusted_device"]["activation_token"]});
    assert_eq!(client.post("/api/v1/devices/skip", body.clone()).await.ok()["success"], true);
    client.post("/api/v1/devices/skip", body.clone()).await.error(400, "INVALID_ACTIVATION_TOKEN");
    client.post("/api/v1/devices/activate", body).await.error(400, "INVALID_ACTIVATION_TOKEN");
    assert_eq!(server.count("SELECT count(*) FROM trusted_devices").await, 0);
    assert_eq!(server.audited("device.skip", "success").await, 1);
}

async fn a_revoked_device_ends_its_sessions(server: &Server) {
    let (acme, app) = acme(server).await;
    let (token, client) = trusted(server, &acme.viewer, &app).await;
    let on_trust = login(server, &acme.viewer, &[("x-device-token", &token)]).await.ok();
    let on_trust = client.with_token(on_trust["access_token"].as_str().unwrap());
    on_trust.get("/api/v1/auth/me").await.ok();
    let id = client.get("/api/v1/devices/").await.ok()["devices"][0]["id"].as_i64().unwrap();
    acme.developer.client.delete(&format!("/api/v1/devices/{id}")).await.error(404, "DEVICE_NOT_FOUND");
    client.delete(&format!("/api/v1/devices/{id}")).await.ok();
    client.delete(&format!("/api/v1/devices/{id}")).await.error(404, "DEVICE_NOT_FOUND");
    on_trust.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    client.get("/api/v1/auth/me").await.ok();
    assert_eq!(login(server, &acme.viewer, &[("x-device-token", &token)]).await.ok()["mfa_required"], true);
}

async fn trust_falls_with_the_password_and_where_it_is_forbidden(server: &Server) {
    let (acme, app) = acme(server).await;
    let (token, _) = trusted(server, &acme.viewer, &app).await;
    server.secure("Acme", json!({"trusted_device_days": 0})).await;
    assert_eq!(login(server, &acme.viewer, &[("x-device-token", &token)]).await.ok()["mfa_required"], true);
    assert!(verify(server, &acme.viewer, &app).await["trusted_device"].is_null());
    server.secure("Acme", json!({"trusted_device_days": 30})).await;
    let data = login(server, &acme.viewer, &[("x-device-token", &token)]).await.ok();
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    let body = json!({"current_password": PASSWORD, "new_password": "Better2stapler"});
    client.post("/api/v1/auth/change-password", body).await.ok();
    assert_eq!(server.count("SELECT count(*) FROM trusted_devices").await, 0);
}

async fn trust_that_is_older_than_an_organization_allows_is_none(server: &Server) {
    let (acme, app) = acme(server).await;
    let (token, _) = trusted(server, &acme.viewer, &app).await;
    server.clock().advance(Duration::days(6));
    let owner = server.sign_in(&acme.owner.email).await;
    for (days, spares) in [(5, false), (7, true)] {
        let change = json!({"settings": {"trusted_device_days": days}});
        owner.client.patch(&format!("/api/v1/organizations/{}/settings", acme.id), change).await.ok();
        let data = login(server, &acme.viewer, &[("x-device-token", &token)]).await.ok();
        assert_eq!(data["mfa_required"] != true, spares, "{days}: {data}");
        let listed = owner.client.get(&format!("/api/v1/devices/?organization_id={}", acme.id)).await.ok();
        assert_eq!(listed["total_count"], i64::from(spares), "{days}");
    }
}

async fn administrators_see_their_members_devices(server: &Server) {
    let (acme, app) = acme(server).await;
    let globex = server.organization("Globex").await;
    trusted(server, &acme.viewer, &app).await;
    let path = format!("/api/v1/devices/?organization_id={}", acme.id);
    let listed = acme.admin.client.get(&path).await.ok();
    assert_eq!(listed["total_count"], 1);
    let of_user = |id: i64| format!("{path}&user_id={id}");
    assert_eq!(acme.admin.client.get(&of_user(acme.viewer.id)).await.ok()["total_count"], 1);
    assert_eq!(acme.admin.client.get(&of_user(acme.owner.id)).await.ok()["total_count"], 0);
    acme.developer.client.get(&path).await.error(403, "FORBIDDEN");
    globex.admin.client.get(&path).await.error(404, "NOT_FOUND");
    acme.admin.client.get("/api/v1/devices/?user_id=1").await.invalid("user_id");
    let id = listed["devices"][0]["id"].as_i64().unwrap();
    globex.admin.client.delete(&format!("/api/v1/devices/{id}")).await.error(404, "DEVICE_NOT_FOUND");
    acme.admin.client.delete(&format!("/api/v1/devices/{id}")).await.ok();
}
