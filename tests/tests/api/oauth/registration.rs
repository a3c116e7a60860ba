//! Programs that register themselves: `POST /oauth/register`, `/oauth/registration`, and what people read of them.

use rivergen_tests::{Answer, Client, Organization, Server, on_both_databases};
use serde_json::{Value, json};

use super::{App, Browser, CALLBACK, Pkce, copied, granted, refused, text};

on_both_databases! {
    nobody_registers_where_nothing_is_said;
    a_policy_alone_lets_nobody_in with "[oauth.registration]\norganization = 1";
    a_program_registers_with_a_token with "[oauth.registration]\ndynamic = true";
    a_program_registers_without_one_where_that_is_open with "[oauth.registration]\ndynamic = true\norganization = 1";
    what_it_says_of_itself_is_checked with "[oauth.registration]\ndynamic = true\norganization = 1";
    it_is_given_no_more_scope_than_members_may_allow with "[oauth.registration]\ndynamic = true\norganization = 1";
    people_read_that_nobody_has_checked_it with "[oauth.registration]\ndynamic = true\norganization = 1";
    it_changes_and_removes_itself with "[oauth.registration]\ndynamic = true\norganization = 1";
    what_registered_goes_on_as_it_is_when_none_does_any_more with "[oauth.registration]\ndynamic = true\norganization = 1";
    scopes_of_other_servers_are_read_over with "[oauth.registration]\ndynamic = true\norganization = 1";
    what_acts_for_itself_is_not_changed_by_its_maker with "[oauth.registration]\ndynamic = true\norganization = 1";
    too_many_are_refused with "[oauth.registration]\ndynamic = true\norganization = 1\n[limits]\nenabled = true";
    it_is_told_of_its_own_tokens_alone with "[oauth.registration]\ndynamic = true\norganization = 1";
    what_was_never_used_is_swept with "[oauth.registration]\ndynamic = true\norganization = 1";
    of_two_at_once_one_is_the_last_that_there_is_room_for with "[oauth.registration]\ndynamic = true\norganization = 1";
}

const REGISTER: &str = "/oauth/register";
const REGISTRATION: &str = "/oauth/registration";

fn metadata() -> Value {
    json!({"client_name": "Notes", "redirect_uris": [CALLBACK], "token_endpoint_auth_method": "none", "scope": "read"})
}

fn with(more: Value) -> Value {
    let mut all = metadata();
    all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    all
}

/// The first organization of the server, whose policy says this.
async fn acme(server: &Server, registration: &str) -> Organization {
    let acme = server.organization("Acme").await;
    policy(&acme, json!({"applications": "all", "registration": registration})).await;
    acme
}

async fn policy(acme: &Organization, policy: Value) -> Value {
    acme.owner.client.put(&format!("/api/v1/organizations/{}/oauth-policy", acme.id), policy).await.ok()
}

#[track_caller]
fn registered(answer: Answer) -> Value {
    assert_eq!(answer.status, 201, "{} answered {}", answer.request, answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
    answer.body
}

/// A program that registered itself, as the other tests know applications.
fn app(server: &Server, acme: &Organization, made: &Value, id: i64) -> App {
    App {
        id,
        client_id: text(made, "client_id").to_owned(),
        secret: made["client_secret"].as_str().map(str::to_owned),
        anonymous: server.anonymous(),
        path: format!("/api/v1/organizations/{}/oauth-applications/{id}", acme.id),
    }
}

async fn id_of(acme: &Organization, made: &Value) -> i64 {
    let path = format!("/api/v1/organizations/{}/oauth-applications", acme.id);
    let all = acme.owner.client.get(&path).await.ok();
    let found = all["applications"].as_array().unwrap().iter().find(|one| one["client_id"] == made["client_id"]);
    found.unwrap()["id"].as_i64().unwrap()
}

fn holder(server: &Server, made: &Value) -> Client {
    server.anonymous().with_token(text(made, "registration_access_token"))
}

async fn nobody_registers_where_nothing_is_said(server: &Server) {
    let acme = server.organization("Acme").await;
    refused(acme.owner.client.post(REGISTER, metadata()).await, 400, "access_denied");
    refused(server.anonymous().post(REGISTER, metadata()).await, 400, "access_denied");
    let document = granted(server.anonymous().get("/.well-known/oauth-authorization-server").await);
    assert_eq!(document["registration_endpoint"], Value::Null);
}

async fn a_policy_alone_lets_nobody_in(server: &Server) {
    let acme = acme(server, "open").await;
    refused(acme.owner.client.post(REGISTER, metadata()).await, 400, "access_denied");
    refused(server.anonymous().post(REGISTER, metadata()).await, 400, "access_denied");
}

async fn a_program_registers_with_a_token(server: &Server) {
    let acme = server.organization("Acme").await;
    // The organization has not said that it may.
    refused(acme.owner.client.post(REGISTER, metadata()).await, 400, "access_denied");
    let said = policy(&acme, json!({"applications": "all", "registration": "token"})).await;
    assert_eq!(said["registration"], "token");
    // What is left out of a change stays.
    assert_eq!(policy(&acme, json!({"applications": "all"})).await["registration"], "token");
    let document = granted(server.anonymous().get("/.well-known/oauth-authorization-server").await);
    assert_eq!(document["registration_endpoint"], format!("{}{REGISTER}", server.url()));
    let nobody = server.anonymous().post(REGISTER, metadata()).await;
    assert_eq!(nobody.headers["www-authenticate"], "Bearer");
    refused(nobody, 401, "invalid_token");
    refused(server.anonymous().with_token("x").post(REGISTER, metadata()).await, 401, "invalid_token");
    refused(acme.developer.client.post(REGISTER, metadata()).await, 400, "access_denied");
    // A token for this alone does it.
    let token = json!({"name": "register", "scopes": ["oauth_app.manage"], "organization_id": acme.id});
    let token = acme.owner.client.post("/api/v1/auth/tokens", token).await.created();
    let registrar = server.anonymous().with_token(text(&token, "token"));
    let made = registered(registrar.post(REGISTER, metadata()).await);
    assert_eq!((text(&made, "client_name"), text(&made, "scope")), ("Notes", "read"));
    assert_eq!(made["grant_types"], json!(["authorization_code", "refresh_token"]));
    assert_eq!(made["client_secret"], Value::Null);
    assert_eq!(server.audited("oauth_application.register", "success").await, 1);
    let app = app(server, &acme, &made, id_of(&acme, &made).await);
    let shown = acme.owner.client.get(&app.path).await.ok();
    assert_eq!((&shown["origin"], &shown["responsible_user_id"]), (&json!("registered"), &json!(acme.owner.id)));
    let tokens = app.tokens(&acme.viewer).await;
    app.caller(&tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    // Its name is not its own: a second one may have it, too.
    registered(registrar.post(REGISTER, metadata()).await);
}

async fn a_program_registers_without_one_where_that_is_open(server: &Server) {
    let acme = acme(server, "token").await;
    refused(server.anonymous().post(REGISTER, metadata()).await, 401, "invalid_token");
    policy(&acme, json!({"applications": "all", "registration": "open"})).await;
    let made = registered(server.anonymous().post(REGISTER, with(json!({"token_endpoint_auth_method": null}))).await);
    assert_eq!(text(&made, "token_endpoint_auth_method"), "client_secret_basic");
    assert_eq!(made["client_secret_expires_at"], 0);
    // What it did not ask for it is told.
    assert_eq!(text(&made, "id_token_signed_response_alg"), "ES256");
    let app = app(server, &acme, &made, id_of(&acme, &made).await);
    let tokens = app.tokens(&acme.viewer).await;
    granted(app.refresh(text(&tokens, "refresh_token")).await);
    let rows = format!("{:?}", server.rows("SELECT * FROM oauth_applications").await);
    assert!(!rows.contains(text(&made, "registration_access_token")));
}

async fn what_it_says_of_itself_is_checked(server: &Server) {
    let _acme = acme(server, "open").await;
    let client = server.anonymous();
    for (wrong, code) in [
        (json!({"redirect_uris": []}), "invalid_redirect_uri"),
        (json!({"redirect_uris": null}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["http://evil.example/"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": ["javascript:alert(1)"]}), "invalid_redirect_uri"),
        (json!({"post_logout_redirect_uris": ["https://*.example/"]}), "invalid_redirect_uri"),
        (json!({"redirect_uris": "https://app.example/"}), "invalid_client_metadata"),
        (json!({"grant_types": ["client_credentials"]}), "invalid_client_metadata"),
        (json!({"grant_types": ["urn:ietf:params:oauth:grant-type:token-exchange"]}), "invalid_client_metadata"),
        (json!({"grant_types": ["implicit"]}), "invalid_client_metadata"),
        (json!({"grant_types": ["refresh_token"]}), "invalid_client_metadata"),
        (json!({"response_types": ["token"]}), "invalid_client_metadata"),
        (json!({"token_endpoint_auth_method": "tls_client_auth"}), "invalid_client_metadata"),
        (json!({"token_endpoint_auth_method": "private_key_jwt"}), "invalid_client_metadata"),
        (json!({"jwks": {"keys": []}}), "invalid_client_metadata"),
        (
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks": {"keys": [{"kty": "oct", "k": "eA"}]}}),
            "invalid_client_metadata",
        ),
        (
            json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": "file:///etc/passwd"}),
            "invalid_client_metadata",
        ),
        (json!({"scope": "nonsense"}), "invalid_client_metadata"),
        (json!({"id_token_signed_response_alg": "none"}), "invalid_client_metadata"),
        (json!({"id_token_signed_response_alg": "HS256"}), "invalid_client_metadata"),
        // Not offered here, and never another one instead.
        (json!({"id_token_signed_response_alg": "RS256"}), "invalid_client_metadata"),
        (json!({"client_name": "x".repeat(101)}), "invalid_client_metadata"),
        (json!({"client_name": "a\u{202e}b"}), "invalid_client_metadata"),
        (json!({"client_name": "a\nb"}), "invalid_client_metadata"),
    ] {
        refused(client.post(REGISTER, with(wrong)).await, 400, code);
    }
    refused(client.post(REGISTER, json!(7)).await, 400, "invalid_client_metadata");
    refused(client.post_raw(REGISTER, "text/plain", "{}").await, 400, "invalid_client_metadata");
    let nameless = registered(client.post(REGISTER, with(json!({"client_name": null}))).await);
    assert_eq!(text(&nameless, "client_name"), "app.acme.example");
}

async fn it_is_given_no_more_scope_than_members_may_allow(server: &Server) {
    let acme = acme(server, "open").await;
    let wide = with(json!({"scope": "openid read write admin organization.delete"}));
    let made = registered(server.anonymous().post(REGISTER, wide.clone()).await);
    assert_eq!(text(&made, "scope"), "read write");
    policy(&acme, json!({"applications": "all", "scopes": ["read"]})).await;
    let made = registered(server.anonymous().post(REGISTER, wide).await);
    assert_eq!(text(&made, "scope"), "read");
}

const WARNING: &str = "Nobody in your organization has checked who made this program";

async fn people_read_that_nobody_has_checked_it(server: &Server) {
    let acme = acme(server, "open").await;
    let made = registered(server.anonymous().post(REGISTER, metadata()).await);
    let app = app(server, &acme, &made, id_of(&acme, &made).await);
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.sign_in(&browser.open(&app.request(&pkce, &[])).await, &acme.viewer.email).await;
    assert!(page.body.as_str().unwrap().contains(WARNING), "{}", page.body);
    let query = super::form(&[("client_id", app.client_id.as_str()), ("redirect_uri", CALLBACK)]);
    let info = async || server.anonymous().get(&format!("/api/v1/oauth/app-info?{query}")).await.ok();
    assert_eq!(info().await["verified"], false);
    // An administrator vouches for it.
    let verified = acme.owner.client.patch(&app.path, json!({"verified": true})).await.ok();
    assert!(verified["verified_at"].is_string());
    let page = browser.open(&app.request(&pkce, &[])).await;
    assert!(!page.body.as_str().unwrap().contains(WARNING), "{}", page.body);
    assert_eq!(info().await["verified"], true);
    // Until it changes itself.
    let changed = with(json!({"client_id": app.client_id, "client_name": "Another"}));
    granted(holder(server, &made).put(REGISTRATION, changed).await);
    assert_eq!(info().await["verified"], false);
    // Of what administrators register nobody need say so.
    let own = App::new(server, &acme).await;
    acme.owner.client.patch(&own.path, json!({"verified": true})).await.invalid("verified");
    let page = browser.open(&own.request(&pkce, &[])).await;
    assert!(!page.body.as_str().unwrap().contains(WARNING), "{}", page.body);
}

async fn it_changes_and_removes_itself(server: &Server) {
    let acme = acme(server, "open").await;
    let made = registered(server.anonymous().post(REGISTER, metadata()).await);
    let other = registered(server.anonymous().post(REGISTER, metadata()).await);
    assert_eq!(text(&made, "registration_client_uri"), format!("{}{REGISTRATION}", server.url()));
    let holder = holder(server, &made);
    let read = granted(holder.get(REGISTRATION).await);
    assert_eq!(read["client_id"], made["client_id"]);
    assert_eq!(read["registration_access_token"], Value::Null);
    refused(server.anonymous().get(REGISTRATION).await, 401, "invalid_token");
    refused(acme.owner.client.get(REGISTRATION).await, 401, "invalid_token");
    let moved = "https://new.acme.example/callback";
    let change = |client_id: &Value| with(json!({"client_id": client_id, "redirect_uris": [moved]}));
    refused(holder.put(REGISTRATION, change(&other["client_id"])).await, 400, "invalid_client_metadata");
    refused(holder.put(REGISTRATION, metadata()).await, 400, "invalid_client_metadata");
    let mut confidential = change(&made["client_id"]);
    confidential["token_endpoint_auth_method"] = json!("client_secret_basic");
    refused(holder.put(REGISTRATION, confidential).await, 400, "invalid_client_metadata");
    let app = app(server, &acme, &made, id_of(&acme, &made).await);
    let tokens = app.tokens(&acme.viewer).await;
    assert_eq!(granted(holder.put(REGISTRATION, change(&made["client_id"])).await)["redirect_uris"], json!([moved]));
    let page = Browser::new(server).open(&app.request(&Pkce::new(), &[])).await;
    assert_eq!(page.status, 400);
    // While it is suspended it changes nothing.
    acme.owner.client.post_empty(&format!("{}/revoke", app.path)).await.ok();
    refused(holder.get(REGISTRATION).await, 401, "invalid_token");
    acme.owner.client.patch(&app.path, json!({"status": "active"})).await.ok();
    holder.delete(REGISTRATION).await.no_content();
    refused(holder.get(REGISTRATION).await, 401, "invalid_token");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 401, "invalid_client");
    acme.owner.client.get(&app.path).await.error(404, "application_not_found");
}

async fn what_registered_goes_on_as_it_is_when_none_does_any_more(server: &Server) {
    let acme = acme(server, "open").await;
    let made = registered(server.anonymous().post(REGISTER, metadata()).await);
    let app = app(server, &acme, &made, id_of(&acme, &made).await);
    policy(&acme, json!({"applications": "all", "registration": "off"})).await;
    refused(server.anonymous().post(REGISTER, metadata()).await, 401, "invalid_token");
    let tokens = app.tokens(&acme.viewer).await;
    granted(app.refresh(text(&tokens, "refresh_token")).await);
    // But it becomes no other program; it goes away where it likes.
    let holder = holder(server, &made);
    let changed = with(json!({"client_id": app.client_id, "redirect_uris": ["https://new.acme.example/callback"]}));
    refused(holder.put(REGISTRATION, changed).await, 400, "access_denied");
    assert_eq!(granted(holder.get(REGISTRATION).await)["redirect_uris"], json!([CALLBACK]));
    holder.delete(REGISTRATION).await.no_content();
}

async fn scopes_of_other_servers_are_read_over(server: &Server) {
    let _acme = acme(server, "open").await;
    let wide = with(json!({"scope": "mcp:tools openid read"}));
    assert_eq!(text(&registered(server.anonymous().post(REGISTER, wide).await), "scope"), "read");
}

async fn what_acts_for_itself_is_not_changed_by_its_maker(server: &Server) {
    let acme = acme(server, "open").await;
    let made = registered(server.anonymous().post(REGISTER, with(json!({"token_endpoint_auth_method": null}))).await);
    let app = app(server, &acme, &made, id_of(&acme, &made).await);
    let grants = json!({"grant_types": ["authorization_code", "client_credentials"], "take_over": true});
    acme.owner.client.patch(&app.path, grants).await.ok();
    refused(holder(server, &made).get(REGISTRATION).await, 401, "invalid_token");
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 401, "invalid_client");
}

async fn too_many_are_refused(server: &Server) {
    // Whether it may or not: who asks is counted.
    let mut last = server.anonymous().post(REGISTER, metadata()).await;
    for _ in 0..20 {
        last = server.anonymous().post(REGISTER, metadata()).await;
    }
    assert!(last.number("retry-after") > 0);
    refused(last, 429, "temporarily_unavailable");
}

async fn what_was_never_used_is_swept(server: &Server) {
    let acme = acme(server, "open").await;
    let used = registered(server.anonymous().post(REGISTER, metadata()).await);
    registered(server.anonymous().post(REGISTER, metadata()).await);
    app(server, &acme, &used, 0).tokens(&acme.viewer).await;
    App::new(server, &acme).await;
    server.later(chrono::Duration::days(31)).await;
    rivergen_tests::eventually("the sweep", async || {
        server.run_due_jobs().await;
        (server.count("SELECT count(*) FROM oauth_applications").await == 2).then_some(())
    })
    .await;
}

async fn it_is_told_of_its_own_tokens_alone(server: &Server) {
    let acme = acme(server, "open").await;
    let made = registered(server.anonymous().post(REGISTER, with(json!({"token_endpoint_auth_method": null}))).await);
    let app = app(server, &acme, &made, id_of(&acme, &made).await);
    let (own, other) = (app.tokens(&acme.viewer).await, App::new(server, &acme).await.tokens(&acme.viewer).await);
    let active = async |tokens: &Value| {
        granted(app.post("/oauth/introspect", &[("token", text(tokens, "access_token"))]).await)["active"] == true
    };
    assert!(active(&own).await && !active(&other).await);
    acme.owner.client.patch(&app.path, json!({"verified": true})).await.ok();
    assert!(active(&other).await);
}

async fn of_two_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let acme = acme(server, "open").await;
    let named = |name: &str| with(json!({"client_name": name}));
    registered(server.anonymous().post(REGISTER, named("First")).await);
    copied(server, 998).await;
    let program = server.anonymous();
    let ask = |n: usize| program.post(REGISTER, named(&format!("Last {n}")));
    let (made, none) = server.two_at_once(&acme.held(), ask).await;
    registered(made);
    refused(none, 400, "access_denied");
    assert_eq!(server.count("SELECT count(*) FROM oauth_applications").await, 1000);
}
