//! `GET|PATCH /api/v1/organizations/{org_id}/settings`

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{Client, Organization, PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

use crate::oauth::App;

on_both_databases! {
    they_are_read_changed_and_counted;
    they_can_be_set_with_the_organization;
    what_is_wrong_is_named_and_changes_nothing;
    administrators_alone;
    a_second_factor_is_demanded_at_the_next_request;
    passkeys_may_be_demanded;
    a_session_that_was_idle_too_long_is_over;
    a_session_that_lived_too_long_is_over;
    access_tokens_live_no_longer_than_the_organization_says;
    networks_are_admitted_by_address with "[server]\ntrusted_proxies = [\"127.0.0.0/8\"]";
    the_password_policy_holds_for_the_next_password;
    tokens_that_are_older_than_the_organization_says_are_good_for_nothing;
}

fn path(acme: &Organization) -> String {
    format!("/api/v1/organizations/{}/settings", acme.id)
}

async fn set(acme: &Organization, settings: Value) -> Value {
    acme.owner.client.patch(&path(acme), json!({"settings": settings})).await.ok()
}

const ME: &str = "/api/v1/auth/me";
const SOURCES: &str = "/api/v1/data-sources";

async fn they_are_read_changed_and_counted(server: &Server) {
    let acme = server.organization("Acme").await;
    let before = acme.owner.client.get(&path(&acme)).await.ok();
    assert_eq!((before["settings"]["mfa_required"].as_bool(), before["version"].as_i64()), (Some(false), Some(0)));
    assert_eq!(before["settings"]["invitation_expiry_days"], 7);
    assert!(before["updated_at"].is_null() && before["updated_by"].is_null());

    let change = json!({"allowed_email_domains": ["ACME.example"], "password_policy": {"min_length": 12}, "invitation_expiry_days": 3});
    let after = set(&acme, change).await;
    assert_eq!(after["settings"]["allowed_email_domains"], json!(["acme.example"]));
    assert_eq!(after["settings"]["password_policy"]["min_length"], 12);
    assert_eq!(after["settings"]["password_policy"]["reject_breached"], true);
    assert_eq!((after["version"].as_i64(), after["updated_by"].as_i64()), (Some(1), Some(acme.owner.id)));
    assert_eq!(acme.admin.client.get(&path(&acme)).await.ok()["settings"], after["settings"]);
    // The same again is no change.
    assert_eq!(set(&acme, json!({"invitation_expiry_days": 3})).await["version"], 1);
    let records = "SELECT details FROM audit_log WHERE action = 'organization.update_settings'";
    let records = server.rows(records).await;
    assert_eq!(records.len(), 1);
    let details: Value = serde_json::from_str(records[0]["details"].as_str().unwrap()).unwrap();
    assert_eq!(details["changed"]["invitation_expiry_days"], json!({"before": 7, "after": 3}));
    assert!(details["changed"].get("mfa_required").is_none());
}

async fn they_can_be_set_with_the_organization(server: &Server) {
    let body = |settings: Value| json!({"name": "Initech", "admin_email": "ada@initech.example", "admin_password": PASSWORD, "settings": settings});
    let create = async |settings: Value| server.anonymous().post("/api/v1/organizations", body(settings)).await;
    create(json!({"mfa": true})).await.invalid("settings.mfa");
    create(json!({"sso_required": true})).await.error(409, "SETTING_MANAGED_ELSEWHERE");
    create(json!({"default_role_id": 1})).await.error(404, "ROLE_NOT_FOUND");
    assert_eq!(server.count("SELECT count(*) FROM organizations WHERE name = 'Initech'").await, 0);
    create(json!({"invitation_expiry_days": 3})).await.created();
    let kept = "SELECT count(*) FROM organizations WHERE name = 'Initech' AND settings_version = 1";
    assert_eq!(server.count(kept).await, 1);
}

async fn what_is_wrong_is_named_and_changes_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let client = &acme.owner.client;
    for (settings, field) in [
        (json!({"mfa": true}), "settings.mfa"),
        (json!({"mfa_required": "yes"}), "settings.mfa_required"),
        (json!({"invitation_expiry_days": 0}), "settings.invitation_expiry_days"),
        (json!({"password_policy": {"min_length": 4}}), "settings.password_policy.min_length"),
        (json!({"password_policy": {"require_digit": false}}), "settings.password_policy.require_digit"),
        (json!({"password_policy": {"max_age_days": 90}}), "settings.password_policy.max_age_days"),
        (json!({"allowed_email_domains": ["nonsense"]}), "settings.allowed_email_domains[0]"),
        (json!({"allowed_networks": ["10.0.0.0/99"]}), "settings.allowed_networks[0]"),
        (json!({"allowed_networks": ["203.0.113.0/24"]}), "settings.allowed_networks"),
        (json!({"oauth_app_creation": "some"}), "settings.oauth_app_creation"),
        (json!({}), "settings"),
    ] {
        client.patch(&path(&acme), json!({"settings": settings})).await.invalid(field);
    }
    let sso = json!({"settings": {"sso_required": true}});
    client.patch(&path(&acme), sso).await.error(409, "SETTING_MANAGED_ELSEWHERE");
    let foreign = json!({"settings": {"default_role_id": globex.roles["Viewer"]}});
    client.patch(&path(&acme), foreign).await.error(404, "ROLE_NOT_FOUND");
    // Nobody makes the default what they do not hold themselves.
    let owner = json!({"settings": {"default_role_id": acme.roles["Owner"]}});
    acme.admin.client.patch(&path(&acme), owner).await.error(403, "FORBIDDEN");
    assert_eq!(client.get(&path(&acme)).await.ok()["version"], 0);
}

async fn administrators_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let change = json!({"settings": {"mfa_required": true}});
    for person in [&acme.developer, &acme.viewer] {
        person.client.get(&path(&acme)).await.error(403, "FORBIDDEN");
        person.client.patch(&path(&acme), change.clone()).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.patch(&path(&acme), change).await.error(404, "ORG_NOT_FOUND");
}

async fn a_second_factor_is_demanded_at_the_next_request(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.get(SOURCES).await.ok();
    set(&acme, json!({"mfa_required": true, "mfa_grace_days": 0})).await;
    acme.viewer.client.get(SOURCES).await.error(403, "MFA_ENROLLMENT_REQUIRED");
    // What belongs to the account stays open, and the setting can be taken back by nobody without a factor.
    acme.viewer.client.get(ME).await.ok();
    let back = json!({"settings": {"mfa_required": false}});
    acme.owner.client.patch(&path(&acme), back).await.error(403, "MFA_ENROLLMENT_REQUIRED");
}

async fn passkeys_may_be_demanded(server: &Server) {
    let acme = server.organization("Acme").await;
    let key = acme.developer.passkey(server).await;
    set(&acme, json!({"webauthn_required": true, "mfa_grace_days": 0})).await;
    acme.developer.client.get(SOURCES).await.error(403, "MFA_ENROLLMENT_REQUIRED");
    let anonymous = server.anonymous();
    let email = json!({"email": acme.developer.email});
    let options = anonymous.post("/api/v1/webauthn/authenticate/start", email).await.ok();
    let answer = json!({"credential": key.get(&options)});
    let tokens = anonymous.post("/api/v1/webauthn/authenticate/complete", answer).await.ok();
    anonymous.with_token(tokens["access_token"].as_str().unwrap()).get(SOURCES).await.ok();
}

async fn a_session_that_was_idle_too_long_is_over(server: &Server) {
    let acme = server.organization("Acme").await;
    set(&acme, json!({"session_idle_timeout_minutes": 30})).await;
    server.clock().advance(Duration::minutes(20));
    acme.viewer.client.get(ME).await.ok();
    server.clock().advance(Duration::minutes(31));
    acme.viewer.client.get(ME).await.error(401, "UNAUTHORIZED");
    let refresh = json!({"refresh_token": acme.viewer.refresh_token});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
}

async fn a_session_that_lived_too_long_is_over(server: &Server) {
    let acme = server.organization("Acme").await;
    set(&acme, json!({"session_max_lifetime_minutes": 30})).await;
    server.clock().advance(Duration::minutes(20));
    acme.viewer.client.get(ME).await.ok();
    server.clock().advance(Duration::minutes(11));
    acme.viewer.client.get(ME).await.error(401, "UNAUTHORIZED");
}

async fn access_tokens_live_no_longer_than_the_organization_says(server: &Server) {
    let acme = server.organization("Acme").await;
    set(&acme, json!({"access_token_expire_minutes": 5})).await;
    let login = json!({"email": acme.viewer.email, "password": PASSWORD});
    let tokens = server.anonymous().post("/api/v1/auth/login", login).await.ok();
    assert_eq!(tokens["expires_in"], 300);
    acme.viewer.client.get(ME).await.ok();
    server.clock().advance(Duration::minutes(6));
    // Those that were issued before, too.
    acme.viewer.client.get(ME).await.error(401, "TOKEN_EXPIRED");
    let refresh = json!({"refresh_token": tokens["refresh_token"]});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.ok();
}

async fn networks_are_admitted_by_address(server: &Server) {
    let acme = server.organization("Acme").await;
    let of = async |client: &Client, method: Method, path: &str, ip: &str, body: Value| {
        let request = client.request(method, path).header("x-forwarded-for", ip);
        client.send(if body.is_null() { request } else { request.json(&body) }).await
    };
    let from =
        async |method: Method, path: &str, ip: &str, body: Value| of(&acme.owner.client, method, path, ip, body).await;
    // Programs that act for somebody, with their own token and with an application's.
    let mut programs = Vec::new();
    for organization in [json!(acme.id), Value::Null] {
        let body = json!({"name": "x", "scopes": ["read"], "organization_id": organization});
        let token = acme.viewer.client.post("/api/v1/auth/tokens", body).await.created();
        programs.push(server.anonymous().with_token(token["token"].as_str().unwrap()));
    }
    let tokens = App::new(server, &acme).await.tokens(&acme.viewer).await;
    programs.push(server.anonymous().with_token(tokens["access_token"].as_str().unwrap()));
    let office = json!({"settings": {"allowed_networks": ["203.0.113.0/24"]}});
    from(Method::PATCH, &path(&acme), "198.51.100.7", office.clone()).await.invalid("settings.allowed_networks");
    from(Method::PATCH, &path(&acme), "203.0.113.9", office).await.ok();
    from(Method::GET, SOURCES, "203.0.113.200", Value::Null).await.ok();
    from(Method::GET, SOURCES, "::ffff:203.0.113.7", Value::Null).await.ok();
    for path in [SOURCES.to_owned(), path(&acme), format!("/api/v1/organizations/{}", acme.id)] {
        from(Method::GET, &path, "198.51.100.7", Value::Null).await.error(403, "FORBIDDEN");
    }
    for program in &programs {
        of(program, Method::GET, SOURCES, "203.0.113.9", Value::Null).await.ok();
        of(program, Method::GET, SOURCES, "198.51.100.7", Value::Null).await.error(403, "FORBIDDEN");
        // What is kept of the one address counts for no other.
        of(program, Method::GET, SOURCES, "203.0.113.9", Value::Null).await.ok();
    }
    // The account itself belongs to no organization.
    from(Method::GET, ME, "198.51.100.7", Value::Null).await.ok();
}

async fn the_password_policy_holds_for_the_next_password(server: &Server) {
    let acme = server.organization("Acme").await;
    set(&acme, json!({"password_policy": {"require_symbol": true}})).await;
    let change = |new: &str| json!({"current_password": PASSWORD, "new_password": new});
    let change_path = "/api/v1/auth/change-password";
    acme.viewer.client.post(change_path, change("Kestrel41lantern")).await.error(422, "INVALID_PASSWORD");
    acme.viewer.client.post(change_path, change("Kestrel-41-lantern")).await.ok();
}

async fn tokens_that_are_older_than_the_organization_says_are_good_for_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "for ever", "scopes": ["read"], "organization_id": acme.id});
    let token = acme.viewer.client.post("/api/v1/auth/tokens", body).await.created();
    assert!(token["expires_at"].is_null());
    let program = server.anonymous().with_token(token["token"].as_str().unwrap());
    server.clock().advance(Duration::days(6));
    program.get(SOURCES).await.ok();
    let (owner, viewer) = (server.sign_in(&acme.owner.email).await, server.sign_in(&acme.viewer.email).await);
    let allow = async |days: Value| {
        let change = json!({"settings": {"max_token_lifetime_days": days}});
        owner.client.patch(&path(&acme), change).await.ok();
    };
    let of_organization = format!("/api/v1/organizations/{}/tokens", acme.id);
    let active = async || {
        owner.client.get(&format!("{of_organization}?is_active=true")).await.ok()["total_count"].as_i64().unwrap()
    };
    allow(json!(5)).await;
    program.get(SOURCES).await.error(401, "UNAUTHORIZED");
    assert_eq!(active().await, 0);
    let time = |of: &Value, field: &str| of[field].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    let own = viewer.client.get("/api/v1/auth/tokens").await.ok()["tokens"][0].clone();
    let listed = owner.client.get(&of_organization).await.ok()["tokens"][0].clone();
    assert_eq!(listed["is_active"], false);
    for shown in [own, listed] {
        assert_eq!(time(&shown, "expires_at") - time(&shown, "created_at"), Duration::days(5));
    }
    allow(json!(7)).await;
    program.get(SOURCES).await.ok();
    assert_eq!(active().await, 1);
    // It ends by the clock, too, whatever the node keeps of it.
    server.clock().advance(Duration::days(1));
    program.get(SOURCES).await.error(401, "UNAUTHORIZED");
}
