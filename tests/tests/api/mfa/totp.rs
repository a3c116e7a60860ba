//! `/api/v1/mfa/totp/…`

use chrono::Duration;
use rivergen_tests::{AuthenticatorApp, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    an_app_is_set_up_and_asked_for_at_the_next_login;
    three_wrong_codes_lock_for_a_minute_and_longer;
    a_setup_lapses_and_is_replaced_by_another;
    several_apps_have_names_of_their_own;
    removing_needs_a_fresh_proof_and_ends_with_the_last;
    setting_one_up_is_no_fresh_proof;
    anothers_app_is_not_found;
    the_seed_is_sealed;
    what_is_not_valid_is_named;
}

const SETUP: &str = "/api/v1/mfa/totp/setup";
const VERIFY: &str = "/api/v1/mfa/totp/verify";
const DEVICES: &str = "/api/v1/mfa/totp/devices";

async fn an_app_is_set_up_and_asked_for_at_the_next_login(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let setup = viewer.client.post(SETUP, json!({"device_name": "Ada's phone"})).await.ok();
    let secret = setup["secret"].as_str().unwrap();
    assert_eq!(secret.len(), 32, "160 bits");
    assert_eq!(setup["manual_entry_key"].as_str().unwrap().replace(' ', ""), secret);
    assert!(setup["qr_code"].as_str().unwrap().starts_with("data:image/svg+xml;base64,"));
    assert_eq!(setup["backup_codes"], json!([]));
    // Nothing is active yet.
    assert_eq!(viewer.client.get(DEVICES).await.ok()["total_count"], 0);
    server.sign_in(&viewer.email).await;

    let app = AuthenticatorApp::of_secret(secret);
    let enabled = viewer.client.post(VERIFY, json!({"code": app.code(server)})).await.ok();
    assert_eq!(enabled["success"], true);
    let codes = enabled["backup_codes"].as_array().unwrap();
    assert_eq!(codes.len(), 10);
    assert!(codes.iter().all(|code| code.as_str().is_some_and(|code| code.len() == 9 && code.contains('-'))));
    let devices = viewer.client.get(DEVICES).await.ok();
    assert_eq!(devices["total_count"], 1);
    let device = &devices["devices"][0];
    assert_eq!((device["device_name"].as_str(), device["type"].as_str()), (Some("Ada's phone"), Some("totp")));
    assert_eq!((device["is_primary"].as_bool(), device["verified"].as_bool()), (Some(true), Some(true)));
    assert_eq!(server.audited("mfa.enable", "success").await, 1);
    assert!(server.mailbox().nth_to(&viewer.email, 1).await.subject.contains("second factor"));

    let login = json!({"email": viewer.email, "password": rivergen_tests::PASSWORD});
    let pending = server.anonymous().post("/api/v1/auth/login", login).await.ok();
    assert_eq!(pending["mfa_required"], true);
    assert_eq!(pending["mfa_methods"], json!(["totp", "backup_code"]));
    assert!(pending["access_token"].is_null());
}

async fn three_wrong_codes_lock_for_a_minute_and_longer(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let setup = viewer.client.post(SETUP, json!({"device_name": "phone"})).await.ok();
    let app = AuthenticatorApp::of_secret(setup["secret"].as_str().unwrap());
    for seconds in [60, 120] {
        for _ in 0..3 {
            viewer.client.post(VERIFY, json!({"code": app.wrong_code(server)})).await.error(400, "INVALID_CODE");
        }
        let locked = viewer.client.post(VERIFY, json!({"code": app.code(server)})).await;
        let wait = locked.number("retry-after");
        assert!((seconds - 5..=seconds).contains(&wait), "{wait} of {seconds}");
        locked.error(429, "TOO_MANY_ATTEMPTS");
        server.clock().advance(Duration::seconds(wait));
    }
    viewer.client.post(VERIFY, json!({"code": app.code(server)})).await.ok();
}

async fn a_setup_lapses_and_is_replaced_by_another(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post(VERIFY, json!({"code": "123456"})).await.error(400, "NO_PENDING_SETUP");
    let first = viewer.client.post(SETUP, json!({"device_name": "phone"})).await.ok();
    let second = viewer.client.post(SETUP, json!({"device_name": "phone"})).await.ok();
    let app = |setup: &serde_json::Value| AuthenticatorApp::of_secret(setup["secret"].as_str().unwrap());
    let (first, second) = (app(&first), app(&second));
    viewer.client.post(VERIFY, json!({"code": first.code(server)})).await.error(400, "INVALID_CODE");
    server.clock().advance(Duration::minutes(11));
    viewer.client.post(VERIFY, json!({"code": second.code(server)})).await.error(400, "NO_PENDING_SETUP");
}

async fn several_apps_have_names_of_their_own(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.authenticator_app(server).await;
    viewer.client.post(SETUP, json!({"device_name": "phone"})).await.error(409, "TOTP_ALREADY_ENABLED");
    let setup = viewer.client.post(SETUP, json!({"device_name": "tablet"})).await.ok();
    let tablet = AuthenticatorApp::of_secret(setup["secret"].as_str().unwrap());
    let enabled = viewer.client.post(VERIFY, json!({"code": tablet.code(server)})).await.ok();
    // The first set of backup codes is still good, so there is no second one.
    assert_eq!(enabled["backup_codes"], json!([]));
    let devices = viewer.client.get(DEVICES).await.ok();
    let names: Vec<&str> =
        devices["devices"].as_array().unwrap().iter().map(|device| device["device_name"].as_str().unwrap()).collect();
    assert_eq!(names, ["phone", "tablet"], "the primary one first");
    // Each of them opens.
    let login = server.first_step(&viewer.email).await;
    let body = json!({"temporary_token": login, "code": tablet.next_code(server)});
    server.anonymous().post("/api/v1/auth/mfa/verify", body).await.ok();
}

async fn removing_needs_a_fresh_proof_and_ends_with_the_last(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let id = viewer.client.get(DEVICES).await.ok()["devices"][0]["id"].as_i64().unwrap();
    let path = format!("{DEVICES}/{id}");
    server.clock().advance(Duration::minutes(11));
    viewer.client.delete(&path).await.error(403, "REAUTHENTICATION_REQUIRED");
    let fresh = server.sign_in_with(&viewer.email, &app).await;
    assert_eq!(fresh.client.delete(&path).await.ok()["success"], true);
    fresh.client.delete(&path).await.error(404, "DEVICE_NOT_FOUND");
    let status = fresh.client.get("/api/v1/mfa/status").await.ok();
    assert_eq!((status["mfa_enabled"].as_bool(), status["backup_codes_remaining"].as_i64()), (Some(false), Some(0)));
    assert_eq!(server.audited("mfa.remove", "success").await, 1);
    server.sign_in(&viewer.email).await;
}

async fn setting_one_up_is_no_fresh_proof(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let change = async || viewer.client.post("/api/v1/auth/tokens", json!({"name": "t", "scopes": ["admin"]})).await;
    server.clock().advance(Duration::minutes(11));
    change().await.error(403, "REAUTHENTICATION_REQUIRED");
    // Whoever holds the session could have done that.
    viewer.authenticator_app(server).await;
    change().await.error(403, "REAUTHENTICATION_REQUIRED");
}

async fn anothers_app_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.authenticator_app(server).await;
    let id = acme.viewer.client.get(DEVICES).await.ok()["devices"][0]["id"].as_i64().unwrap();
    for person in [&acme.owner, &acme.developer] {
        person.client.delete(&format!("{DEVICES}/{id}")).await.error(404, "DEVICE_NOT_FOUND");
        assert_eq!(person.client.get(DEVICES).await.ok()["total_count"], 0);
    }
    server.anonymous().get(DEVICES).await.error(401, "UNAUTHORIZED");
}

async fn the_seed_is_sealed(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let setup = viewer.client.post(SETUP, json!({"device_name": "phone"})).await.ok();
    let rows = server.rows("SELECT * FROM mfa_methods").await;
    assert!(!format!("{rows:?}").contains(setup["secret"].as_str().unwrap()));
}

async fn what_is_not_valid_is_named(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post(SETUP, json!({})).await.invalid("device_name");
    viewer.client.post(SETUP, json!({"device_name": ""})).await.invalid("device_name");
    for code in ["", "12345", "1234567", "12a456", "١٢٣٤٥٦"] {
        viewer.client.post(VERIFY, json!({"code": code})).await.invalid("code");
    }
    server.anonymous().post(SETUP, json!({"device_name": "phone"})).await.error(401, "UNAUTHORIZED");
}
