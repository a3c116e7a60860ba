//! What an access token opens: no more than its scopes, its person and its application may.

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

use super::{SERVICE, claims, organization, shown_to_the_service};
use crate::oauth::{App, CALLBACK, Pkce, answer_of, granted, refused, registration, text};

on_both_databases! {
    a_token_opens_no_more_than_its_person_may;
    a_program_is_told_which_scope_it_lacks;
    a_service_acts_for_who_answers_for_it;
    a_scope_is_narrowed_and_never_widened;
    what_an_application_may_no_more_its_tokens_may_not;
    what_is_demanded_of_people_is_demanded_of_their_tokens;
}

async fn a_token_opens_no_more_than_its_person_may(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut all = registration();
    all["scopes"] = json!(["admin"]);
    let app = App::register(server, &acme, all).await;
    let pkce = Pkce::new();
    let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": "admin",
        "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": true});
    let data = acme.viewer.client.post("/api/v1/oauth/authorize", body).await.ok();
    let code = answer_of(text(&data, "redirect_url"), "code").unwrap();
    let caller = app.caller(&granted(app.exchange(&code, &pkce).await));
    let settings = format!("{}/settings", organization(acme.id));
    caller.get(&organization(acme.id)).await.ok();
    caller.get(&settings).await.error(403, "FORBIDDEN");
    // What they become, it may at once; and at once no more.
    let role = |role: &str| json!({"role_id": acme.roles[role]});
    let member = format!("{}/members/{}", organization(acme.id), acme.viewer.id);
    acme.owner.client.patch(&member, role("Admin")).await.ok();
    caller.get(&settings).await.ok();
    acme.owner.client.patch(&member, role("Viewer")).await.ok();
    caller.get(&settings).await.error(403, "FORBIDDEN");
    // It acts on nobody's account, and elsewhere on nothing.
    let globex = server.organization("Globex").await;
    caller.get(&organization(globex.id)).await.error(404, "ORG_NOT_FOUND");
    caller.post("/api/v1/auth/tokens", json!({"name": "x", "scopes": ["read"]})).await.error(403, "FORBIDDEN");
    caller.get("/api/v1/oauth/connected-applications").await.error(403, "FORBIDDEN");
    // One that only reads reads only.
    let reads = app_with(server, &acme, "Reads", json!(["read"])).await;
    let reads = reads.caller(&reads.tokens(&acme.owner).await);
    reads.get(&settings).await.error(403, "FORBIDDEN");
    reads.post(&format!("{}/workspaces", organization(acme.id)), json!({"name": "x"})).await.error(403, "FORBIDDEN");
}

async fn a_program_is_told_which_scope_it_lacks(server: &Server) {
    let acme = server.organization("Acme").await;
    let settings = format!("{}/settings", organization(acme.id));
    let app = app_with(server, &acme, "Reads", json!(["read"])).await;
    let narrow = app.caller(&app.tokens(&acme.owner).await).get(&settings).await;
    let metadata = format!("resource_metadata=\"{}/.well-known/oauth-protected-resource\"", server.url());
    assert_eq!(
        narrow.headers["www-authenticate"],
        format!("Bearer error=\"insufficient_scope\", scope=\"read organization.update\", {metadata}")
    );
    narrow.error(403, "FORBIDDEN");
    // What it has not because its person has not is no matter of scopes, nor is what no token of a person's is for.
    let wide = app_with(server, &acme, "Does all", json!(["admin"])).await;
    let pkce = Pkce::new();
    let body = json!({"client_id": wide.client_id, "redirect_uri": CALLBACK, "scope": "admin",
        "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": true});
    let data = acme.viewer.client.post("/api/v1/oauth/authorize", body).await.ok();
    let code = answer_of(text(&data, "redirect_url"), "code").unwrap();
    let caller = wide.caller(&granted(wide.exchange(&code, &pkce).await));
    for answer in [
        caller.get(&settings).await,
        caller.get("/api/v1/oauth/connected-applications").await,
        acme.viewer.client.get(&settings).await,
    ] {
        assert_eq!(answer.headers.get("www-authenticate"), None, "{}", answer.request);
        answer.error(403, "FORBIDDEN");
    }
    // The same at the protocol's own door.
    let unknown = app.caller(&app.credentials().await).get("/oauth/userinfo").await;
    assert_eq!(unknown.headers["www-authenticate"], "Bearer error=\"insufficient_scope\", scope=\"openid\"");
    refused(unknown, 403, "insufficient_scope");
}

async fn a_service_acts_for_who_answers_for_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.credentials().await;
    assert!(tokens.get("refresh_token").is_none() && tokens.get("id_token").is_none());
    assert_eq!(text(&tokens, "scope"), "read write");
    // Its subject is the application, not a person (RFC 9068, section 2.2).
    assert_eq!(text(&claims(text(&tokens, "access_token")), "sub"), app.client_id);
    let caller = app.caller(&tokens);
    caller.get(&organization(acme.id)).await.ok();
    let workspace = json!({"name": "Made by a service"});
    caller.post(&format!("{}/workspaces", organization(acme.id)), workspace).await.created();
    refused(caller.get("/oauth/userinfo").await, 403, "insufficient_scope");
    let asks = [("grant_type", "client_credentials"), ("scope", "openid read")];
    refused(app.post("/oauth/token", &asks).await, 400, "invalid_scope");
    let phone = App::public(server, &acme).await;
    refused(phone.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 400, "unauthorized_client");
}

async fn a_scope_is_narrowed_and_never_widened(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let refresh = async |token: &str, scope: &str| {
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", token), ("scope", scope)];
        app.post("/oauth/token", &pairs).await
    };
    let narrow = granted(refresh(text(&tokens, "refresh_token"), "openid").await);
    assert_eq!(text(&narrow, "scope"), "openid");
    app.caller(&narrow).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    refused(refresh(text(&narrow, "refresh_token"), "openid write").await, 400, "invalid_scope");
    let wide = granted(refresh(text(&narrow, "refresh_token"), "openid read").await);
    app.caller(&wide).get(&organization(acme.id)).await.ok();
}

async fn what_an_application_may_no_more_its_tokens_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut body = registration();
    body["resources"] = json!([SERVICE]);
    let app = App::register(server, &acme, body).await;
    let shown = shown_to_the_service(&app, &acme.viewer).await;
    acme.owner.client.patch(&app.path, json!({"resources": []})).await.ok();
    refused(app.refresh(text(&shown, "refresh_token")).await, 400, "invalid_target");
    let tokens = app.tokens(&acme.viewer).await;
    let caller = app.caller(&tokens);
    caller.get(&organization(acme.id)).await.ok();
    let set = async |grants: Value| acme.owner.client.patch(&app.path, json!({"grant_types": grants})).await.ok();
    set(json!(["client_credentials"])).await;
    caller.get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "unauthorized_client");
    let told = async |token: &str| granted(app.post("/oauth/introspect", &[("token", token)]).await);
    assert_eq!(told(text(&tokens, "refresh_token")).await, json!({"active": false}));
    set(json!(["client_credentials", "authorization_code"])).await;
    caller.get(&organization(acme.id)).await.ok();
    let tokens = granted(app.refresh(text(&tokens, "refresh_token")).await);
    acme.owner.client.patch(&app.path, json!({"scopes": ["datasource.query"]})).await.ok();
    for name in ["access_token", "refresh_token"] {
        assert_eq!(text(&told(text(&tokens, name)).await, "scope"), "openid profile email", "{name}");
    }
}

async fn what_is_demanded_of_people_is_demanded_of_their_tokens(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    app.caller(&tokens).get(&organization(acme.id)).await.ok();
    server.secure("Acme", json!({"mfa_required": true, "mfa_grace_days": 0})).await;
    server.forget().await;
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    refused(app.caller(&tokens).get("/oauth/userinfo").await, 401, "invalid_token");
    let asked = granted(app.post("/oauth/introspect", &[("token", text(&tokens, "access_token"))]).await);
    assert_eq!(asked, json!({"active": false}));
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
}

async fn app_with(server: &Server, acme: &Organization, name: &str, scopes: Value) -> App {
    let mut body = registration();
    body["name"] = json!(name);
    body["scopes"] = scopes;
    App::register(server, acme, body).await
}
