//! `POST /api/v1/sso/enforcement/enforce/{organization_id}` and `GET …/status/{organization_id}`

use chrono::Duration;
use rivergen_tests::{PASSWORD, Person, Server, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{Ready, path};
use crate::sso::enforced;

on_both_databases! {
    an_organization_that_set_nothing_is_off;
    what_is_wrong_is_named;
    only_who_is_ready_may_require_it;
    only_the_provider_proves_anew_who_must_come_in_through_it;
    a_trial_changes_nothing;
    after_the_grace_nobody_comes_in_without_it;
    a_link_that_proves_the_address_lets_nobody_in;
    at_once_sessions_end_at_once;
    the_exempt_owner_is_the_way_back_in;
    the_last_exempt_owner_stays;
    an_owner_who_has_nothing_but_the_provider_is_no_way_back_in;
    an_exempt_owner_keeps_what_they_come_in_with with "[social.github]\nkind = \"github\"\nclient_id = \"x\"\nclient_secret = \"x\"\n";
    a_passkey_is_not_demanded_beside_the_provider;
    an_exemption_ends_with_the_membership;
    one_requirement_does_not_move_the_other;
    whoever_belongs_elsewhere_signs_in_and_finds_it_closed;
    a_requirement_is_lifted_by_its_owner;
    a_deadline_that_was_moved_is_nobodys;
    second_factors_are_required_with_the_other_settings;
    a_warning_tells_and_closes_nothing;
    the_last_provider_stays_while_it_is_required;
    two_administrators_at_once;
}

const SOURCES: &str = "/api/v1/data-sources";

async fn an_organization_that_set_nothing_is_off(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let status = acme.admin.client.get(&path("status", &acme)).await.ok();
    assert_eq!((&status["sso_mode"], &status["mfa_mode"]), (&json!("off"), &json!("off")));
    assert_eq!((&status["total_users"], &status["non_compliant_users"]), (&json!(4), &json!(0)));
    assert_eq!((&status["effective_at"], &status["exempt_user_ids"]), (&Value::Null, &json!([])));
    for person in [&acme.developer, &acme.viewer] {
        person.client.get(&path("status", &acme)).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.get(&path("status", &acme)).await.error(404, "ORGANIZATION_NOT_FOUND");
    server.anonymous().get(&path("status", &acme)).await.error(401, "UNAUTHORIZED");
}

async fn what_is_wrong_is_named(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let (acme, client) = (&ready.acme, &ready.owner.client);
    let at = path("enforce", acme);
    client.post(&at, json!({})).await.error(400, "NO_ENFORCEMENT_CHANGE");
    client.post(&at, json!({"dry_run": true})).await.error(400, "NO_ENFORCEMENT_CHANGE");
    let past = (server.platform.clock.now() - Duration::days(1)).to_rfc3339();
    for (body, field) in [
        (json!({"sso_mode": "maybe"}), "sso_mode"),
        (json!({"sso_mode": "warn", "grace_period_days": 91}), "grace_period_days"),
        (json!({"sso_mode": "warn", "effective_at": past}), "effective_at"),
        (json!({"sso_mode": "warn", "effective_at": "2999-01-01T00:00:00Z"}), "effective_at"),
        (json!({"sso_mode": "required", "exempt_user_ids": [acme.owner.id, 999_999]}), "exempt_user_ids[1]"),
        (json!({"sso_mode": "required", "exempt_user_ids": []}), "exempt_user_ids"),
        (json!({"sso_mode": "required", "exempt_user_ids": [acme.viewer.id]}), "exempt_user_ids"),
        (json!({"sso_mode": "required", "exempt_user_ids": vec![acme.owner.id; 11]}), "exempt_user_ids"),
        (json!({"sso_mode": "warn", "unknown": 1}), "unknown"),
    ] {
        client.post(&at, body).await.invalid(field);
    }
    assert_eq!(client.get(&path("status", acme)).await.ok()["sso_mode"], "off");
}

async fn only_who_is_ready_may_require_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let at = path("enforce", &acme);
    let required = json!({"sso_mode": "required"});
    // Without a second factor, whoever it is.
    acme.owner.client.post(&at, required.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
    acme.developer.client.post(&at, required.clone()).await.error(403, "FORBIDDEN");
    let app = acme.owner.authenticator_app(server).await;
    let owner = server.sign_in_with(&acme.owner.email, &app).await;
    owner.client.post(&at, required.clone()).await.error(409, "SSO_NOT_READY");
    enforced::provider(server, &acme).await;
    // Who never came in through it.
    owner.client.post(&at, required.clone()).await.error(409, "SSO_NOT_READY");
    enforced::link(server, &acme, &acme.owner, json!([])).await;
    server.execute("UPDATE sso_providers SET last_test_succeeded = FALSE").await;
    owner.client.post(&at, required.clone()).await.error(409, "SSO_NOT_READY");
    server.execute("UPDATE sso_providers SET last_test_succeeded = TRUE, status = 'inactive'").await;
    owner.client.post(&at, required.clone()).await.error(409, "SSO_NOT_READY");
    server.execute("UPDATE sso_providers SET status = 'active'").await;
    // A proof that is too old.
    server.clock().advance(Duration::minutes(11));
    owner.client.post(&at, required.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
    let owner = server.sign_in_with(&acme.owner.email, &app).await;
    let enforced = owner.client.post(&at, required).await.ok();
    assert_eq!((&enforced["sso_mode"], &enforced["grace_period_days"]), (&json!("required"), &json!(14)));
    // The caller is the exempt one, where none is named.
    assert_eq!(enforced["exempt_user_ids"], json!([acme.owner.id]));
    assert_eq!(enforced["affected_users"], 3);
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    assert_eq!(owner.client.get(&settings).await.ok()["settings"]["sso_required"], true);
    // All administrators are told, and it is on record.
    for person in [&acme.owner, &acme.admin] {
        server.mailbox().titled(&person.email, "rules for signing in").await;
    }
    assert!(server.mailbox().to(&acme.viewer.email).iter().all(|mail| !mail.subject.contains("rules")));
    assert_eq!(server.audited("sso_enforcement.change", "success").await, 1);
}

async fn only_the_provider_proves_anew_who_must_come_in_through_it(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    enforced::link(server, acme, &acme.developer, json!([])).await;
    enforced::federate(server, acme, &acme.developer).await;
    let proofs = async |person: &Person| {
        let ways = person.client.get("/api/v1/auth/proofs").await.ok();
        (ways["password"].as_bool().unwrap(), ways["sso"].as_array().unwrap().len())
    };
    assert_eq!(proofs(&acme.developer).await, (true, 1));
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0})).await;
    assert_eq!(proofs(&acme.developer).await, (false, 1));
    // Who is exempt comes in by the password, and proves themselves by it.
    assert_eq!(proofs(&ready.owner).await, (true, 1));
}

async fn a_trial_changes_nothing(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let told = ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0, "dry_run": true})).await;
    assert_eq!((&told["dry_run"], &told["affected_users"]), (&json!(true), &json!(3)));
    // The sessions of the Admin, the Developer and the Viewer.
    assert_eq!(told["sessions_to_end"], 3);
    assert_eq!(ready.owner.client.get(&path("status", &ready.acme)).await.ok()["sso_mode"], "off");
    ready.acme.viewer.client.get(SOURCES).await.ok();
    assert_eq!(server.audited("sso_enforcement.change", "success").await, 0);
}

async fn after_the_grace_nobody_comes_in_without_it(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    enforced::federate(server, acme, &acme.developer).await;
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 2})).await;
    acme.viewer.client.get(SOURCES).await.ok();
    let login = json!({"email": acme.viewer.email, "password": PASSWORD, "remember_me": true});
    let told = server.anonymous().post("/api/v1/auth/login", login.clone()).await.ok();
    assert!(told["notice"].as_str().unwrap().contains("identity provider"), "{told}");
    let viewer = server.anonymous().with_token(told["access_token"].as_str().unwrap());
    let refresh = told["refresh_token"].as_str().unwrap().to_owned();
    viewer.get(SOURCES).await.ok();

    server.later(Duration::days(2) + Duration::seconds(1)).await;
    let ended = "SELECT count(*) FROM sessions WHERE end_reason = 'single_sign_on_required'";
    // The one that lives longer; the others are over by themselves.
    eventually("the session to end", async || (server.count(ended).await == 1).then_some(())).await;
    let refreshed = server.anonymous().post("/api/v1/auth/refresh", json!({"refresh_token": refresh})).await;
    refreshed.error(401, "INVALID_REFRESH_TOKEN");
    assert_eq!(server.audited("sso_enforcement.deadline", "success").await, 1);
    // The password is right and opens nothing; where it begins is said. A wrong one tells nothing.
    let refused = server.anonymous().post("/api/v1/auth/login", login).await.error(403, "SSO_REQUIRED");
    let url = refused["details"][0]["reason"].as_str().unwrap().to_owned();
    assert_eq!(refused["details"][0]["field"], "login_url");
    assert!(url.contains("/api/v1/sso/login?email=viewer%40acme.example"), "{url}");
    let wrong = json!({"email": acme.viewer.email, "password": "Wrong1horse"});
    server.anonymous().post("/api/v1/auth/login", wrong).await.error(401, "INVALID_CREDENTIALS");
    assert!(server.audited("auth.login", "failure").await >= 2);
    // What the provider opened stays open.
    let live = format!("SELECT count(*) FROM sessions WHERE user_id = {} AND ended_at IS NULL", acme.developer.id);
    assert_eq!(server.count(&live).await, 1);
}

async fn a_link_that_proves_the_address_lets_nobody_in(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0})).await;
    let Person { id, email, .. } = &ready.acme.viewer;
    server.execute(&format!("UPDATE user_emails SET verified_at = NULL WHERE user_id = {id}")).await;
    server.forget().await;
    server.anonymous().post("/api/v1/auth/resend-verification", json!({"email": email})).await.ok();
    let mail = server.mailbox().titled(email, "Verify your e-mail address").await;
    let link = mail.links().into_iter().find(|link| link.contains("token=")).unwrap();
    let token = json!({"token": link.split_once("token=").unwrap().1});
    let data = server.anonymous().post("/api/v1/auth/verify-email", token).await.ok();
    assert_eq!((&data["is_verified"], data.get("access_token")), (&json!(true), None));
    let live = format!("SELECT count(*) FROM sessions WHERE user_id = {id} AND ended_at IS NULL");
    assert_eq!(server.count(&live).await, 0);
    let proved = format!("SELECT count(*) FROM user_emails WHERE user_id = {id} AND verified_at IS NOT NULL");
    assert_eq!(server.count(&proved).await, 1);
}

async fn at_once_sessions_end_at_once(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    enforced::federate(server, acme, &acme.developer).await;
    let token = json!({"name": "a program", "scopes": ["read"]});
    let token = acme.viewer.client.post("/api/v1/auth/tokens", token).await.created()["token"].clone();
    let of_federated = json!({"name": "another", "scopes": ["read"], "organization_id": acme.id});
    let of_federated = acme.developer.client.post("/api/v1/auth/tokens", of_federated).await.created()["token"].clone();
    let enforced = ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0})).await;
    assert_eq!(enforced["sessions_to_end"], 2);
    acme.viewer.client.get(SOURCES).await.error(401, "UNAUTHORIZED");
    acme.admin.client.get(SOURCES).await.error(401, "UNAUTHORIZED");
    acme.developer.client.get(SOURCES).await.ok();
    // The exempt one stays, and a program stands for the session that made its token.
    ready.owner.client.get(SOURCES).await.ok();
    server.anonymous().with_token(token.as_str().unwrap()).get(SOURCES).await.error(403, "SSO_REQUIRED");
    server.anonymous().with_token(of_federated.as_str().unwrap()).get(SOURCES).await.ok();
}

async fn the_exempt_owner_is_the_way_back_in(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0})).await;
    assert!(server.mailbox().to(&acme.owner.email).iter().all(|mail| !mail.subject.contains("without single sign-on")));
    let owner = server.sign_in_with(&acme.owner.email, &ready.app).await;
    owner.client.get(SOURCES).await.ok();
    let alarm = server.mailbox().titled(&acme.owner.email, "without single sign-on").await;
    assert!(alarm.text.contains("owner@acme.example"), "{}", alarm.text);
    let recorded = async || (server.audited("sso_enforcement.exempt_sign_in", "success").await == 1).then_some(());
    eventually("the alarm to be on record", recorded).await;
    // Without the second factor that they have, not even they.
    let row = format!("UPDATE sessions SET amr = 'pwd', trusted_device_id = NULL WHERE user_id = {}", acme.owner.id);
    server.execute(&row).await;
    server.forget().await;
    owner.client.get(SOURCES).await.error(403, "MFA_ENROLLMENT_REQUIRED");
}

async fn the_last_exempt_owner_stays(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    let owner = &ready.owner.client;
    // Another owner, who is not exempt.
    let members = format!("/api/v1/organizations/{}/members", acme.id);
    owner.patch(&format!("{members}/{}", acme.admin.id), json!({"role_id": acme.roles["Owner"]})).await.ok();
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 9})).await;
    let leave = format!("/api/v1/organizations/{}/leave", acme.id);
    owner.post_empty(&leave).await.error(409, "LAST_OWNER");
    let myself = format!("{members}/{}", acme.owner.id);
    owner.patch(&myself, json!({"role_id": acme.roles["Viewer"]})).await.error(409, "LAST_OWNER");
    // Whoever is not exempt goes as ever.
    owner.patch(&format!("{members}/{}", acme.admin.id), json!({"role_id": acme.roles["Admin"]})).await.ok();
    owner.patch(&format!("{members}/{}", acme.admin.id), json!({"role_id": acme.roles["Owner"]})).await.ok();
    ready.enforce(json!({"sso_mode": "off"})).await;
    owner.post_empty(&leave).await.ok();
}

async fn an_owner_who_has_nothing_but_the_provider_is_no_way_back_in(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let (acme, owner) = (&ready.acme, &ready.owner.client);
    let members = format!("/api/v1/organizations/{}/members", acme.id);
    owner.patch(&format!("{members}/{}", acme.admin.id), json!({"role_id": acme.roles["Owner"]})).await.ok();
    // A second factor they have; but what comes before it is the provider's word, as of somebody who came in by it first.
    acme.admin.authenticator_app(server).await;
    let password = server.rows(&format!("SELECT password_hash FROM users WHERE id = {}", acme.owner.id)).await;
    let password = password[0]["password_hash"].as_str().unwrap().to_owned();
    let lose = async |person: i64| {
        server.execute(&format!("UPDATE users SET password_hash = NULL WHERE id = {person}")).await;
        server.forget().await;
    };
    lose(acme.owner.id).await;
    let required = json!({"sso_mode": "required", "grace_period_days": 9});
    let error = owner.post(&path("enforce", acme), required.clone()).await.invalid("exempt_user_ids").to_string();
    assert!(error.contains("a password or passkey"), "{error}");
    server.execute(&format!("UPDATE users SET password_hash = '{password}' WHERE id = {}", acme.owner.id)).await;
    server.forget().await;
    // Beside one who can come in, another one need not: but then the first one stays.
    lose(acme.admin.id).await;
    ready
        .enforce(
            json!({"sso_mode": "required", "grace_period_days": 9, "exempt_user_ids": [acme.owner.id, acme.admin.id]}),
        )
        .await;
    let leave = format!("/api/v1/organizations/{}/leave", acme.id);
    owner.post_empty(&leave).await.error(409, "LAST_OWNER");
    server.execute(&format!("UPDATE users SET password_hash = '{password}' WHERE id = {}", acme.admin.id)).await;
    server.forget().await;
    owner.post_empty(&leave).await.ok();
}

async fn an_exempt_owner_keeps_what_they_come_in_with(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let (id, owner) = (ready.acme.owner.id, &ready.owner.client);
    // A passkey and an account elsewhere, and no password.
    ready.owner.passkey(server).await;
    let connect = format!(
        "INSERT INTO social_accounts (user_id, provider, subject, created_at) VALUES ({id}, 'github', '1', CURRENT_TIMESTAMP)"
    );
    server.execute(&connect).await;
    server.execute(&format!("UPDATE users SET password_hash = NULL WHERE id = {id}")).await;
    server.forget().await;
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 9})).await;
    let credentials = "/api/v1/webauthn/credentials";
    let passkey = owner.get(credentials).await.ok()["credentials"][0]["id"].clone();
    let path = format!("{credentials}/{passkey}");
    let error = owner.delete(&path).await.error(409, "LAST_LOGIN_METHOD");
    assert!(error["message"].as_str().unwrap().contains("single sign-on"), "{error}");
    assert_eq!(owner.get(credentials).await.ok()["total_count"], 1);
    ready.enforce(json!({"sso_mode": "off"})).await;
    owner.delete(&path).await.ok();
}

async fn a_passkey_is_not_demanded_beside_the_provider(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let (acme, owner) = (&ready.acme, &ready.owner.client);
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    let demanded = |is_so: bool| json!({"settings": {"webauthn_required": is_so, "mfa_grace_days": 30}});
    owner.patch(&settings, demanded(true)).await.ok();
    owner.post(&path("enforce", acme), json!({"sso_mode": "required"})).await.invalid("sso_mode");
    owner.patch(&settings, demanded(false)).await.ok();
    ready.enforce(json!({"sso_mode": "required"})).await;
    owner.patch(&settings, demanded(true)).await.invalid("settings.webauthn_required");
    ready.enforce(json!({"sso_mode": "off"})).await;
    owner.patch(&settings, demanded(true)).await.ok();
}

async fn an_exemption_ends_with_the_membership(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let (acme, owner) = (&ready.acme, &ready.owner.client);
    let exempt = json!([acme.owner.id, acme.viewer.id]);
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0, "exempt_user_ids": exempt})).await;
    owner.delete(&format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id)).await.ok();
    assert_eq!(owner.get(&path("status", acme)).await.ok()["exempt_user_ids"], json!([acme.owner.id]));
    // Invited again, they are a member like everybody: the invitation opens nothing to who comes in by a password.
    let role = acme.roles["Viewer"];
    let invited = json!({"email": acme.viewer.email, "workspace_id": acme.workspace_id, "role_id": role});
    owner.post(&format!("/api/v1/organizations/{}/members/invite", acme.id), invited).await.created();
    let token = crate::invitations::token(server, &acme.viewer.email, 1).await;
    let viewer = server.sign_in(&acme.viewer.email).await;
    crate::invitations::accept(&viewer.client, &token).await.ok();
    let there = json!({"workspace_id": acme.workspace_id});
    viewer.client.post("/api/v1/auth/switch-workspace", there).await.error(403, "FORBIDDEN");
    viewer.client.get(&path("status", acme)).await.error(403, "SSO_REQUIRED");
    let login = json!({"email": acme.viewer.email, "password": PASSWORD});
    server.anonymous().post("/api/v1/auth/login", login).await.error(403, "SSO_REQUIRED");
    // By the provider they come in.
    enforced::federate(server, acme, &viewer).await;
    viewer.client.post("/api/v1/auth/switch-workspace", json!({"workspace_id": acme.workspace_id})).await.ok();
}

async fn one_requirement_does_not_move_the_other(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    let security = async || {
        let row = server.rows(&format!("SELECT security FROM organizations WHERE id = {}", acme.id)).await;
        let kept = row[0]["security"].clone();
        kept.as_str().map_or_else(|| kept.clone(), |text| serde_json::from_str(text).unwrap())
    };
    // The first call of an organization that has a second factor required by its settings: the usual time of grace.
    let settings = json!({"settings": {"mfa_required": true}});
    ready.owner.client.patch(&format!("/api/v1/organizations/{}/settings", acme.id), settings).await.ok();
    let since = security().await["mfa_required_since"].clone();
    let enforced = ready.enforce(json!({"sso_mode": "required"})).await;
    assert_eq!((&enforced["grace_period_days"], &enforced["mfa_mode"]), (&json!(14), &json!("required")));
    assert_eq!(security().await["mfa_required_since"], since);
    // Half-way, the other one is changed: the date stays.
    let date = enforced["effective_at"].clone();
    server.clock().advance(Duration::days(7));
    let owner = server.sign_in_with(&acme.owner.email, &ready.app).await;
    let at = path("enforce", acme);
    let lowered = owner.client.post(&at, json!({"mfa_mode": "off", "grace_period_days": 90})).await.ok();
    assert_eq!((&lowered["effective_at"], &lowered["grace_period_days"]), (&date, &json!(14)));
    let raised = owner.client.post(&at, json!({"mfa_mode": "required"})).await.ok();
    assert_eq!((&raised["effective_at"], &raised["sso_mode"]), (&date, &json!("required")));
}

async fn whoever_belongs_elsewhere_signs_in_and_finds_it_closed(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    // Somebody with an organization of their own.
    let ada = server.newcomer("ada@elsewhere.example").await;
    crate::invitations::invite(acme, &ada.email, "Viewer").await;
    crate::invitations::accept(&ada.client, &crate::invitations::token(server, &ada.email, 1).await).await.ok();
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0})).await;
    let ada = server.sign_in(&ada.email).await;
    let status = path("status", acme);
    ada.client.get(&status).await.error(403, "SSO_REQUIRED");
    ada.client.get("/api/v1/auth/me").await.ok();
    ada.client.get(SOURCES).await.ok();
}

async fn a_requirement_is_lifted_by_its_owner(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    let admin_app = acme.admin.authenticator_app(server).await;
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 0})).await;
    // An owner who is not exempt any more, and whose provider is down: the session is closed to them, and still lifts it.
    let kept = server.rows(&format!("SELECT enforcement FROM organizations WHERE id = {}", acme.id)).await;
    let kept = &kept[0]["enforcement"];
    // A text in SQLite.
    let mut kept = kept.as_str().map_or_else(|| kept.clone(), |text| serde_json::from_str(text).unwrap());
    kept["exempt_user_ids"] = json!([acme.admin.id]);
    server.execute(&format!("UPDATE organizations SET enforcement = '{kept}' WHERE id = {}", acme.id)).await;
    server.forget().await;
    ready.owner.client.get(SOURCES).await.error(403, "SSO_REQUIRED");
    let at = path("enforce", acme);
    ready.owner.client.post(&at, json!({"sso_mode": "warn"})).await.error(403, "SSO_REQUIRED");
    ready.owner.client.post(&at, json!({"mfa_mode": "required", "sso_mode": "off"})).await.error(403, "SSO_REQUIRED");
    let lifted = ready.enforce(json!({"sso_mode": "off"})).await;
    assert_eq!(lifted["sso_mode"], "off");
    ready.owner.client.get(SOURCES).await.ok();
    server.sign_in_with(&acme.admin.email, &admin_app).await.client.get(SOURCES).await.ok();
    server.sign_in(&acme.viewer.email).await.client.get(SOURCES).await.ok();
    assert_eq!(server.audited("sso_enforcement.change", "success").await, 2);
}

async fn a_deadline_that_was_moved_is_nobodys(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 1})).await;
    ready.enforce(json!({"sso_mode": "required", "grace_period_days": 5})).await;
    server.later(Duration::days(1) + Duration::minutes(1)).await;
    assert_eq!(server.audited("sso_enforcement.deadline", "success").await, 0);
    server.sign_in(&ready.acme.viewer.email).await.client.get(SOURCES).await.ok();
    let status = server.sign_in_with(&ready.acme.owner.email, &ready.app).await;
    let status = status.client.get(&path("status", &ready.acme)).await.ok();
    assert_eq!((&status["grace_period_days"], &status["non_compliant_users"]), (&json!(5), &json!(3)));
}

async fn second_factors_are_required_with_the_other_settings(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    let enforced = ready.enforce(json!({"mfa_mode": "required", "grace_period_days": 0})).await;
    assert_eq!((&enforced["sso_mode"], &enforced["mfa_mode"]), (&json!("off"), &json!("required")));
    assert_eq!(enforced["affected_users"], 3);
    acme.viewer.client.get(SOURCES).await.error(403, "MFA_ENROLLMENT_REQUIRED");
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    let held = ready.owner.client.get(&settings).await.ok()["settings"].clone();
    assert_eq!((&held["mfa_required"], &held["mfa_grace_days"]), (&json!(true), &json!(0)));
    // Taken back there, it is off here.
    ready.owner.client.patch(&settings, json!({"settings": {"mfa_required": false}})).await.ok();
    assert_eq!(ready.owner.client.get(&path("status", acme)).await.ok()["mfa_mode"], "off");
    acme.viewer.client.get(SOURCES).await.ok();
}

async fn a_warning_tells_and_closes_nothing(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    ready.enforce(json!({"sso_mode": "warn", "mfa_mode": "warn"})).await;
    let login = json!({"email": acme.viewer.email, "password": PASSWORD});
    let told = server.anonymous().post("/api/v1/auth/login", login).await.ok();
    let notice = told["notice"].as_str().unwrap();
    assert!(notice.contains("identity provider") && notice.contains("second factor"), "{notice}");
    server.anonymous().with_token(told["access_token"].as_str().unwrap()).get(SOURCES).await.ok();
    server.clock().advance(Duration::days(100));
    server.sign_in(&acme.viewer.email).await.client.get(SOURCES).await.ok();
    let status = server.sign_in_with(&acme.owner.email, &ready.app).await.client.get(&path("status", acme)).await.ok();
    assert_eq!((&status["sso_mode"], &status["mfa_mode"]), (&json!("warn"), &json!("warn")));
    assert_eq!((&status["compliant_users"], &status["non_compliant_users"]), (&json!(1), &json!(3)));
}

async fn the_last_provider_stays_while_it_is_required(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let provider = format!("/api/v1/sso/providers/{}", enforced::provider(server, &ready.acme).await);
    ready.enforce(json!({"sso_mode": "required"})).await;
    ready.owner.client.delete(&provider).await.error(409, "SSO_ENFORCED");
    ready.owner.client.put(&provider, json!({"status": "inactive"})).await.error(409, "SSO_ENFORCED");
    // Another one stands in for it once it has passed its test.
    let another =
        json!({"provider_type": "oidc", "name": "Another", "issuer": "https://another.example", "client_id": "x"});
    let another = ready.owner.client.post("/api/v1/sso/providers", another).await.created()["provider"]["id"].clone();
    ready.owner.client.delete(&provider).await.error(409, "SSO_ENFORCED");
    server.execute(&format!("UPDATE sso_providers SET last_test_succeeded = TRUE WHERE id = {another}")).await;
    ready.owner.client.put(&provider, json!({"status": "inactive"})).await.ok();
    let last = format!("/api/v1/sso/providers/{another}");
    ready.owner.client.delete(&last).await.error(409, "SSO_ENFORCED");
    ready.enforce(json!({"sso_mode": "off"})).await;
    ready.owner.client.delete(&provider).await.ok();
}

async fn two_administrators_at_once(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let acme = &ready.acme;
    let app = acme.admin.authenticator_app(server).await;
    let admin = server.sign_in_with(&acme.admin.email, &app).await;
    let at = path("enforce", acme);
    let (one, other) = tokio::join!(
        ready.owner.client.post(&at, json!({"sso_mode": "warn"})),
        admin.client.post(&at, json!({"mfa_mode": "warn"})),
    );
    one.ok();
    other.ok();
    let status = admin.client.get(&path("status", acme)).await.ok();
    assert_eq!((&status["sso_mode"], &status["mfa_mode"]), (&json!("warn"), &json!("warn")));
    assert_eq!(server.audited("sso_enforcement.change", "success").await, 2);
}
