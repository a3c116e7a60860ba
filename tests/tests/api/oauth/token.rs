//! `POST /oauth/token`, `/oauth/token/revoke`, `/oauth/introspect`, and what an access token opens

use base64::{Engine, engine::general_purpose::STANDARD};
use rivergen_tests::{Answer, Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{App, CALLBACK, Pkce, granted, key_pair, post, refused, text, with_other_signature};
use crate::{invitations, scim, sso::enforced};

on_both_databases! {
    a_token_says_what_it_is;
    an_id_token_says_how_the_person_signed_in;
    a_token_opens_no_more_than_its_person_may;
    a_program_is_told_which_scope_it_lacks;
    a_service_acts_for_who_answers_for_it;
    a_refresh_token_is_good_once;
    a_scope_is_narrowed_and_never_widened;
    the_client_proves_who_it_is;
    a_client_proves_itself_by_its_key;
    what_is_wrong_is_named;
    a_token_is_given_back;
    a_token_is_asked_about;
    tokens_of_a_suspended_person_are_not_active;
    a_token_is_for_the_server_that_was_asked_for;
    a_service_acts_with_a_token_that_it_was_shown;
    services_name_who_acted_before_them;
    what_an_application_may_no_more_its_tokens_may_not;
    what_is_demanded_of_people_is_demanded_of_their_tokens;
    what_ran_out_is_swept;
    whoever_leaves_takes_their_tokens_along;
    whom_the_identity_provider_takes_out_agrees_anew;
    the_organization_bounds_how_long_it_lives;
    keys_rotate_by_themselves_and_stay_published with "[oauth]\nid_token_algorithms = [\"RS256\"]\n";
}

fn organization(id: i64) -> String {
    format!("/api/v1/organizations/{id}")
}

/// What a JWT says, unverified.
fn claims(token: &str) -> Value {
    jsonwebtoken::dangerous::insecure_decode_claims(token).unwrap()
}

async fn a_token_says_what_it_is(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let access = text(&tokens, "access_token");
    let header = jsonwebtoken::decode_header(access).unwrap();
    assert_eq!((header.typ.as_deref(), header.alg), (Some("at+jwt"), jsonwebtoken::Algorithm::ES256));
    let said = claims(access);
    assert_eq!((text(&said, "iss"), &said["aud"]), (server.url(), &json!([server.url()])));
    assert_eq!(
        (text(&said, "sub"), text(&said, "client_id")),
        (acme.viewer.id.to_string().as_str(), app.client_id.as_str())
    );
    assert_eq!((&said["org"], text(&said, "scope")), (&json!(acme.id), "openid profile email read"));
    assert_eq!(said["exp"].as_i64().unwrap() - said["iat"].as_i64().unwrap(), 3600);
    let id = claims(text(&tokens, "id_token"));
    assert_eq!(
        (text(&id, "aud"), text(&id, "nonce"), text(&id, "email")),
        (app.client_id.as_str(), "n-0S6", acme.viewer.email.as_str())
    );
    assert!(id["auth_time"].is_i64() && id["at_hash"].is_string());
    let rows = format!("{:?}", server.rows("SELECT * FROM oauth_grants").await);
    assert!(!rows.contains(text(&tokens, "refresh_token")));
}

async fn an_id_token_says_how_the_person_signed_in(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let said = async |person: &Person| claims(text(&app.tokens(person).await, "id_token"));
    let id = said(&acme.viewer).await;
    assert_eq!((&id["amr"], id.get("acr")), (&json!(["pwd"]), None));
    // A factor that is given later says so too.
    acme.viewer.authenticator_app(server).await;
    let id = said(&acme.viewer).await;
    assert_eq!((&id["amr"], &id["acr"]), (&json!(["pwd", "otp", "mfa"]), &json!("https://refeds.org/profile/mfa")));
    let key = acme.developer.passkey(server).await;
    let anonymous = server.anonymous();
    let email = json!({"email": acme.developer.email});
    let options = anonymous.post("/api/v1/webauthn/authenticate/start", email).await.ok();
    let shown = json!({"credential": key.get(&options)});
    let tokens = anonymous.post("/api/v1/webauthn/authenticate/complete", shown).await.ok();
    let developer = Person {
        id: acme.developer.id,
        email: acme.developer.email.clone(),
        client: anonymous.with_token(text(&tokens, "access_token")),
        refresh_token: String::new(),
    };
    let tokens = app.tokens(&developer).await;
    let id = claims(text(&tokens, "id_token"));
    assert_eq!((&id["amr"], &id["acr"]), (&json!(["pop", "user", "mfa"]), &json!("phr")));
    // And the tokens of later, which stand for the same sign-in.
    let later = claims(text(&granted(app.refresh(text(&tokens, "refresh_token")).await), "id_token"));
    for name in ["amr", "acr", "auth_time"] {
        assert_eq!(later[name], id[name], "{name}");
    }
    assert_eq!((text(&id, "nonce"), later.get("nonce")), ("n-0S6", None));
    // Somebody for whom an identity provider vouches, who belongs to another organization as well.
    let globex = server.organization("Globex").await;
    invitations::invite(&globex, &acme.admin.email, "Viewer").await;
    let token = invitations::token(server, &acme.admin.email, 1).await;
    invitations::accept(&acme.admin.client, &token).await.ok();
    enforced::link(server, &acme, &acme.admin, json!([])).await;
    enforced::federate(server, &acme, &acme.admin).await;
    // It does not say when it asked them who they are.
    server.execute("UPDATE sessions SET authenticated_at = '1970-01-01T00:00:00+00:00' WHERE amr = 'fed'").await;
    let id = said(&acme.admin).await;
    assert_eq!((&id["amr"], id.get("acr")), (&json!(["fed"]), None));
    assert!(id["auth_time"].as_i64().is_some_and(|since| since > 0), "{id}");
    let document = granted(anonymous.get("/.well-known/openid-configuration").await);
    assert_eq!(document["acr_values_supported"], json!(["phr", "https://refeds.org/profile/mfa"]));
    for name in id.as_object().unwrap().keys() {
        assert!(document["claims_supported"].as_array().unwrap().contains(&json!(name)), "{name}");
    }
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
    let code = super::answer_of(text(&data, "redirect_url"), "code").unwrap();
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

async fn a_token_opens_no_more_than_its_person_may(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut all = super::registration();
    all["scopes"] = json!(["admin"]);
    let app = App::register(server, &acme, all).await;
    let pkce = Pkce::new();
    let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": "admin",
        "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": true});
    let data = acme.viewer.client.post("/api/v1/oauth/authorize", body).await.ok();
    let code = super::answer_of(text(&data, "redirect_url"), "code").unwrap();
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

async fn app_with(server: &Server, acme: &rivergen_tests::Organization, name: &str, scopes: Value) -> App {
    let mut body = super::registration();
    body["name"] = json!(name);
    body["scopes"] = scopes;
    App::register(server, acme, body).await
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

async fn a_refresh_token_is_good_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let first = app.tokens(&acme.viewer).await;
    let second = granted(app.refresh(text(&first, "refresh_token")).await);
    assert_ne!(first["refresh_token"], second["refresh_token"]);
    assert_eq!(first["scope"], second["scope"]);
    for tokens in [&first, &second] {
        app.caller(tokens).get(&organization(acme.id)).await.ok();
    }
    server.clock().advance(chrono::Duration::days(29));
    let third = granted(app.refresh(text(&second, "refresh_token")).await);
    server.clock().advance(chrono::Duration::days(31));
    refused(app.refresh(text(&third, "refresh_token")).await, 400, "invalid_grant");
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

async fn the_client_proves_who_it_is(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let secret = app.secret.clone().unwrap();
    let basic = async |user: &str, password: &str, body: &str| -> Answer {
        let header = format!("Basic {}", STANDARD.encode(format!("{user}:{password}")));
        let request = app.anonymous.request(reqwest::Method::POST, "/oauth/token").header("authorization", header);
        let form = "application/x-www-form-urlencoded";
        app.anonymous.send(request.header("content-type", form).body(body.to_owned())).await
    };
    let own = "grant_type=client_credentials";
    granted(basic(&app.client_id, &secret, own).await);
    let wrong = basic(&app.client_id, "rgs_wrong", own).await;
    assert!(wrong.headers["www-authenticate"].to_str().unwrap().starts_with("Basic"));
    refused(wrong, 401, "invalid_client");
    refused(basic("nobody", &secret, own).await, 401, "invalid_client");
    let both = format!("{own}&client_secret={secret}");
    refused(basic(&app.client_id, &secret, &both).await, 400, "invalid_request");
    let other = format!("{own}&client_id=somebody");
    refused(basic(&app.client_id, &secret, &other).await, 401, "invalid_client");
    let id = ("client_id", app.client_id.as_str());
    refused(
        post(&app.anonymous, "/oauth/token", &[("grant_type", "client_credentials"), id]).await,
        401,
        "invalid_client",
    );
    let another = App::register(server, &acme, {
        let mut body = super::registration();
        body["name"] = json!("Other");
        body
    });
    let another = another.await;
    let mixed = [("grant_type", "client_credentials"), id, ("client_secret", another.secret.as_deref().unwrap())];
    refused(post(&app.anonymous, "/oauth/token", &mixed).await, 401, "invalid_client");
}

async fn a_client_proves_itself_by_its_key(server: &Server) {
    use jsonwebtoken::{Algorithm, EncodingKey, Header};

    let acme = server.organization("Acme").await;
    let (key, jwk) = key_pair("one");
    let (key, other) = (EncodingKey::from_ec_der(&key), EncodingKey::from_ec_der(&key_pair("one").0));
    let mut body = super::registration();
    body["jwks"] = json!({"keys": [jwk]});
    let app = App::register(server, &acme, body).await;
    assert!(app.secret.is_none());
    let now = || rivergen_platform::Clock::now(&server.platform.clock).timestamp();
    let signed = |key: &EncodingKey, kid: Option<&str>, claims: Value| {
        let mut said = json!({"iss": app.client_id, "sub": app.client_id, "aud": server.url(), "exp": now() + 60,
            "iat": now(), "jti": format!("{:x}", rand::random::<u64>())});
        said.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
        let header = Header { kid: kid.map(str::to_owned), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &said, key).unwrap()
    };
    let proof = |key: &EncodingKey, claims: Value| signed(key, Some("one"), claims);
    let send = async |proof: &str| {
        let pairs = [
            ("grant_type", "client_credentials"),
            ("client_assertion", proof),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ];
        post(&app.anonymous, "/oauth/token", &pairs).await
    };
    let good = proof(&key, json!({}));
    granted(send(&good).await);
    // Once, however its signature is written; for this server, for an hour at most, by its own key.
    refused(send(&good).await, 401, "invalid_client");
    refused(send(&with_other_signature(&good)).await, 401, "invalid_client");
    let first = proof(&key, json!({}));
    granted(send(&with_other_signature(&first)).await);
    refused(send(&first).await, 401, "invalid_client");
    for audience in ["/oauth/token", "/oauth/par"] {
        granted(send(&proof(&key, json!({"aud": format!("{}{audience}", server.url())}))).await);
    }
    granted(send(&proof(&key, json!({"exp": now() + 3600}))).await);
    // Without the name of its key, each is tried.
    granted(send(&signed(&key, None, json!({}))).await);
    refused(send(&signed(&other, None, json!({}))).await, 401, "invalid_client");
    refused(send(&signed(&key, Some("two"), json!({}))).await, 401, "invalid_client");
    for wrong in [
        json!({"aud": "https://other.example"}),
        json!({"exp": now() - 120}),
        json!({"exp": now() + 86_400}),
        json!({"iss": "x"}),
        json!({"sub": "x"}),
        json!({"jti": ""}),
    ] {
        refused(send(&proof(&key, wrong)).await, 401, "invalid_client");
    }
    refused(send(&proof(&other, json!({}))).await, 401, "invalid_client");
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 401, "invalid_client");
    acme.owner.client.post_empty(&format!("{}/regenerate-secret", app.path)).await.invalid("app_id");
}

async fn what_is_wrong_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    refused(app.post("/oauth/token", &[]).await, 400, "invalid_request");
    refused(app.post("/oauth/token", &[("grant_type", "password")]).await, 400, "unsupported_grant_type");
    refused(app.post("/oauth/token", &[("grant_type", "authorization_code")]).await, 400, "invalid_request");
    let twice = [("grant_type", "client_credentials"), ("grant_type", "client_credentials")];
    refused(app.post("/oauth/token", &twice).await, 400, "invalid_request");
    refused(
        app.anonymous.post("/oauth/token", json!({"grant_type": "client_credentials"})).await,
        400,
        "invalid_request",
    );
    let asks = [("grant_type", "client_credentials"), ("scope", "nonsense")];
    refused(app.post("/oauth/token", &asks).await, 400, "invalid_scope");
    let late = Pkce::new();
    let code = app.code(&acme.viewer, &late).await;
    server.clock().advance(chrono::Duration::minutes(11));
    refused(app.exchange(&code, &late).await, 400, "invalid_grant");
}

async fn a_token_is_given_back(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let at = organization(acme.id);
    let tokens = app.tokens(&acme.viewer).await;
    let another = granted(app.refresh(text(&tokens, "refresh_token")).await);
    app.caller(&tokens).get(&at).await.ok();
    // One access token.
    let back = app.post("/oauth/token/revoke", &[("token", text(&tokens, "access_token"))]).await;
    assert_eq!((back.status.as_u16(), back.body), (200, json!({})));
    app.caller(&tokens).get(&at).await.error(401, "UNAUTHORIZED");
    app.caller(&another).get(&at).await.ok();
    // However its signature is written.
    let third = granted(app.refresh(text(&another, "refresh_token")).await);
    let rewritten = server.anonymous().with_token(with_other_signature(text(&third, "access_token")));
    rewritten.get(&at).await.ok();
    granted(app.post("/oauth/token/revoke", &[("token", text(&third, "access_token"))]).await);
    rewritten.get(&at).await.error(401, "UNAUTHORIZED");
    // A refresh token takes its grant along.
    granted(app.post("/oauth/token/revoke", &[("token", text(&third, "refresh_token"))]).await);
    app.caller(&another).get(&at).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&third, "refresh_token")).await, 400, "invalid_grant");
    // What is unknown or another's is answered the same, and left alone.
    granted(app.post("/oauth/token/revoke", &[("token", "unknown")]).await);
    let phone = App::public(server, &acme).await;
    let mine = app.tokens(&acme.viewer).await;
    for token in ["access_token", "refresh_token"] {
        granted(phone.post("/oauth/token/revoke", &[("token", text(&mine, token))]).await);
    }
    app.caller(&mine).get(&at).await.ok();
    refused(app.post("/oauth/token/revoke", &[]).await, 400, "invalid_request");
    let unproved = [("token", text(&mine, "access_token")), ("client_id", app.client_id.as_str())];
    refused(post(&app.anonymous, "/oauth/token/revoke", &unproved).await, 401, "invalid_client");
    // A service's token, which stands in no table.
    let service = app.credentials().await;
    app.caller(&service).get(&at).await.ok();
    granted(app.post("/oauth/token/revoke", &[("token", text(&service, "access_token"))]).await);
    app.caller(&service).get(&at).await.error(401, "UNAUTHORIZED");
}

async fn a_token_is_asked_about(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (app, elsewhere) = (App::new(server, &acme).await, App::new(server, &globex).await);
    let tokens = app.tokens(&acme.viewer).await;
    let ask = async |by: &App, token: &str| granted(by.post("/oauth/introspect", &[("token", token)]).await);
    let (access, refresh) = (text(&tokens, "access_token"), text(&tokens, "refresh_token"));
    let said = ask(&app, access).await;
    assert_eq!((&said["active"], text(&said, "scope")), (&json!(true), "openid profile email read"));
    assert_eq!(
        (text(&said, "sub"), text(&said, "client_id")),
        (acme.viewer.id.to_string().as_str(), app.client_id.as_str())
    );
    assert_eq!(ask(&app, refresh).await["active"], true);
    for (by, token) in
        [(&elsewhere, access), (&elsewhere, refresh), (&app, "nonsense"), (&app, acme.viewer.client.token())]
    {
        assert_eq!(ask(by, token).await, json!({"active": false}));
    }
    let phone = App::public(server, &acme).await;
    refused(phone.post("/oauth/introspect", &[("token", access)]).await, 401, "invalid_client");
    acme.owner.client.delete(&format!("{}/members/{}", organization(acme.id), acme.viewer.id)).await;
    assert_eq!(ask(&app, access).await, json!({"active": false}));
}

async fn tokens_of_a_suspended_person_are_not_active(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let active = async |name: &str| {
        granted(app.post("/oauth/introspect", &[("token", text(&tokens, name))]).await)["active"] == true
    };
    let path = format!("/api/v1/users/{}/status", acme.viewer.id);
    for (status, is_active) in [("suspended", false), ("active", true)] {
        acme.admin.client.put(&path, json!({"status": status})).await.ok();
        for name in ["access_token", "refresh_token"] {
            assert_eq!(active(name).await, is_active, "{name} of one who is {status}");
        }
    }
}

async fn a_token_is_for_the_server_that_was_asked_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut body = super::registration();
    body["resources"] = json!(["https://mcp.acme.example/"]);
    let app = App::register(server, &acme, body).await;
    let asks = |resource: &'static str| [("grant_type", "client_credentials"), ("resource", resource)];
    let tokens = granted(app.post("/oauth/token", &asks("https://mcp.acme.example/")).await);
    assert_eq!(claims(text(&tokens, "access_token"))["aud"], json!(["https://mcp.acme.example/"]));
    // As a library or a person writes it: what stands in the token is what was registered.
    for written in ["https://mcp.acme.example", "HTTPS://MCP.acme.example:443/"] {
        let same = granted(app.post("/oauth/token", &asks(written)).await);
        assert_eq!(claims(text(&same, "access_token"))["aud"], json!(["https://mcp.acme.example/"]), "{written}");
    }
    refused(app.post("/oauth/token", &asks("https://mcp.acme.example/x")).await, 400, "invalid_target");
    // Shown here it opens nothing; its own server is told of it.
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    let said = granted(app.post("/oauth/introspect", &[("token", text(&tokens, "access_token"))]).await);
    assert_eq!((&said["active"], &said["aud"]), (&json!(true), &json!(["https://mcp.acme.example/"])));
    refused(app.post("/oauth/token", &asks("https://other.example/")).await, 400, "invalid_target");
    let own = [("grant_type", "client_credentials"), ("resource", server.url())];
    app.caller(&granted(app.post("/oauth/token", &own).await)).get(&organization(acme.id)).await.ok();
    // What was granted for this server is not widened to another one.
    let refresh = app.tokens(&acme.viewer).await;
    let wider = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&refresh, "refresh_token")),
        ("resource", "https://mcp.acme.example/"),
    ];
    refused(app.post("/oauth/token", &wider).await, 400, "invalid_target");
}

const SERVICE: &str = "https://mcp.acme.example/";
const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

/// Tokens that a person lets an application show to the service.
async fn shown_to_the_service(app: &App, person: &Person) -> Value {
    let pkce = Pkce::new();
    let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": "openid write read",
        "resource": SERVICE, "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": true});
    let data = person.client.post("/api/v1/oauth/authorize", body).await.ok();
    let code = super::answer_of(text(&data, "redirect_url"), "code").unwrap();
    granted(app.exchange(&code, &pkce).await)
}

async fn exchange(by: &App, token: &str, more: &[(&str, &str)]) -> Answer {
    let mut pairs = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    pairs.extend(more);
    by.post("/oauth/token", &pairs).await
}

async fn a_service_acts_with_a_token_that_it_was_shown(server: &Server) {
    let acme = server.organization("Acme").await;
    let register = async |name: &str, grants: Value, scopes: Value| {
        let body = json!({"name": name, "grant_types": grants, "redirect_uris": [CALLBACK], "scopes": scopes,
            "resources": [SERVICE]});
        App::register(server, &acme, body).await
    };
    let app = register("Chat", json!(["authorization_code"]), json!(["write"])).await;
    let service = register("Tools", json!([EXCHANGE]), json!(["read"])).await;
    let shown = shown_to_the_service(&app, &acme.viewer).await;
    app.caller(&shown).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    let access = text(&shown, "access_token");
    let given = granted(exchange(&service, access, &[]).await);
    assert_eq!((text(&given, "scope"), &given["refresh_token"]), ("read", &Value::Null));
    let said = claims(text(&given, "access_token"));
    assert_eq!(
        (text(&said, "sub"), &said["act"]),
        (acme.viewer.id.to_string().as_str(), &json!({"sub": service.client_id}))
    );
    // A server that asks learns who acts, as one that reads the token does.
    let told = granted(service.post("/oauth/introspect", &[("token", text(&given, "access_token"))]).await);
    assert_eq!((&told["active"], &told["act"]), (&json!(true), &said["act"]));
    service.caller(&given).get(&organization(acme.id)).await.ok();
    // Not more than it was shown, nor by whom it was not meant for.
    refused(exchange(&service, access, &[("scope", "admin")]).await, 400, "invalid_scope");
    refused(exchange(&app, access, &[]).await, 400, "unauthorized_client");
    refused(exchange(&service, text(&given, "access_token"), &[]).await, 400, "invalid_request");
    refused(exchange(&service, acme.viewer.client.token(), &[]).await, 400, "invalid_request");
    let mut other = super::registration();
    other["name"] = json!("Elsewhere");
    other["grant_types"] = json!([EXCHANGE]);
    let other = App::register(server, &acme, other).await;
    refused(exchange(&other, access, &[]).await, 400, "invalid_request");
    // It ends with what was granted.
    let path = format!("/api/v1/oauth/connected-applications/{}", app.id);
    acme.viewer.client.delete(&path).await.ok();
    service.caller(&given).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
}

async fn services_name_who_acted_before_them(server: &Server) {
    const NEXT: &str = "https://search.acme.example/";
    let acme = server.organization("Acme").await;
    let register = async |name: &str, grant: &str, scopes: Value, resources: Value| {
        let body = json!({"name": name, "grant_types": [grant], "redirect_uris": [CALLBACK], "scopes": scopes,
            "resources": resources});
        App::register(server, &acme, body).await
    };
    let app = register("Chat", "authorization_code", json!(["write"]), json!([SERVICE])).await;
    let first = register("Tools", EXCHANGE, json!(["read"]), json!([SERVICE, NEXT])).await;
    let second = register("Search", EXCHANGE, json!(["read"]), json!([NEXT])).await;
    let shown = shown_to_the_service(&app, &acme.viewer).await;
    let shown = text(&shown, "access_token");
    // For whom it is, the service says by `audience` as well as by `resource`.
    refused(exchange(&first, shown, &[("audience", "https://elsewhere.example/")]).await, 400, "invalid_target");
    let onward = granted(exchange(&first, shown, &[("audience", NEXT)]).await);
    let onward = text(&onward, "access_token");
    assert_eq!((&claims(onward)["aud"], &claims(onward)["act"]), (&json!([NEXT]), &json!({"sub": first.client_id})));
    let given = granted(exchange(&second, onward, &[]).await);
    let act = json!({"sub": second.client_id, "act": {"sub": first.client_id}});
    assert_eq!(claims(text(&given, "access_token"))["act"], act);
    second.caller(&given).get(&organization(acme.id)).await.ok();
    // It reaches no further than the application to which it was granted.
    acme.owner.client.patch(&app.path, json!({"scopes": ["storage.read"]})).await.ok();
    second.caller(&given).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
}

async fn what_an_application_may_no_more_its_tokens_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut body = super::registration();
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

async fn what_ran_out_is_swept(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    app.tokens(&acme.viewer).await;
    app.code(&acme.viewer, &Pkce::new()).await;
    let grants = async || server.count("SELECT count(*) FROM oauth_grants").await;
    let swept_to = async |left: i64| {
        rivergen_tests::eventually("the sweep", async || {
            server.run_due_jobs().await;
            (grants().await == left).then_some(())
        })
        .await;
    };
    // The code that nobody exchanged; then the grant whose refresh token ended ninety days ago.
    server.clock().advance(chrono::Duration::hours(2));
    swept_to(1).await;
    server.clock().advance(chrono::Duration::days(121));
    swept_to(0).await;
}

async fn whoever_leaves_takes_their_tokens_along(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let caller = app.caller(&tokens);
    caller.get(&organization(acme.id)).await.ok();
    server.clock().advance(chrono::Duration::seconds(5));
    acme.owner.client.delete(&format!("{}/members/{}", organization(acme.id), acme.viewer.id)).await;
    caller.get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    // Who comes back has not agreed yet: as if the developer had left, and joined again after they agreed.
    let tokens = app.tokens(&acme.developer).await;
    app.caller(&tokens).get(&organization(acme.id)).await.ok();
    let (id, later) = (acme.developer.id, "SELECT MAX(code_expires_at) FROM oauth_grants");
    server.execute(&format!("UPDATE memberships SET joined_at = ({later}) WHERE user_id = {id}")).await;
    server.forget().await;
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
}

async fn whom_the_identity_provider_takes_out_agrees_anew(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let idp = scim::Provider::of(server, &acme).await;
    let path = format!("/scim/v2/Users/{}", idp.user(&acme.viewer.email).await);
    // That somebody is pushed from now on changes nothing.
    let tokens = app.tokens(&acme.viewer).await;
    app.caller(&tokens).get(&organization(acme.id)).await.ok();
    for active in [false, true] {
        let change = json!([{"op": "replace", "path": "active", "value": active}]);
        assert_eq!(idp.patch(&path, change).await.status, 200);
        app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    }
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    let tokens = app.tokens(&server.sign_in(&acme.viewer.email).await).await;
    app.caller(&tokens).get(&organization(acme.id)).await.ok();
    granted(app.refresh(text(&tokens, "refresh_token")).await);
}

async fn the_organization_bounds_how_long_it_lives(server: &Server) {
    let acme = server.organization("Acme").await;
    server.secure("Acme", json!({"access_token_minutes": 5})).await;
    let app = App::new(server, &acme).await;
    let tokens = app.credentials().await;
    assert_eq!(tokens["expires_in"], 300);
    server.clock().advance(chrono::Duration::seconds(300));
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "TOKEN_EXPIRED");
}

async fn keys_rotate_by_themselves_and_stay_published(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let published = async |algorithm: &str| {
        let keys = granted(server.anonymous().get("/oauth/jwks").await)["keys"].as_array().unwrap().clone();
        let of_it = keys.iter().filter(|key| key["alg"] == algorithm);
        of_it.map(|key| text(key, "kid").to_owned()).collect::<Vec<_>>()
    };
    let kid_of = |token: &str| jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
    let kid = |tokens: &Value| kid_of(text(tokens, "access_token"));
    let old = app.credentials().await;
    let old_id = kid_of(text(&app.tokens(&acme.viewer).await, "id_token"));
    assert_eq!(published("ES256").await, [kid(&old)]);
    assert_eq!(published("RS256").await, std::slice::from_ref(&old_id));
    // A week before it signs, the next key of each kind is published, behind the one that signs still.
    server.later(chrono::Duration::days(84)).await;
    let (both, both_id) = rivergen_tests::eventually("the next keys", async || {
        server.run_due_jobs().await;
        let (access, id) = (published("ES256").await, published("RS256").await);
        Some((access, id)).filter(|(access, id)| access.len() == 2 && id.len() == 2)
    })
    .await;
    assert_eq!((&both[0], &both_id[0]), (&kid(&old), &old_id));
    assert_eq!(kid(&app.credentials().await), kid(&old));
    server.later(chrono::Duration::days(7)).await;
    let new = rivergen_tests::eventually("the new key signs", async || {
        server.run_due_jobs().await;
        let new = app.credentials().await;
        (kid(&new) != kid(&old)).then_some(new)
    })
    .await;
    // It is the one that everybody knows; the old one stays for what it signed.
    let swapped = |keys: &[String]| [keys[1].clone(), keys[0].clone()];
    assert_eq!(published("ES256").await, swapped(&both));
    assert_eq!(kid(&new), both[1]);
    app.caller(&new).get(&organization(acme.id)).await.ok();
    // So with that of ID tokens.
    let viewer = server.sign_in(&acme.viewer.email).await;
    rivergen_tests::eventually("the new key of ID tokens signs", async || {
        server.run_due_jobs().await;
        let signs = kid_of(text(&app.tokens(&viewer).await, "id_token"));
        (signs == both_id[1] && published("RS256").await == swapped(&both_id)).then_some(())
    })
    .await;
    server.clock().advance(chrono::Duration::days(32));
    server.forget().await;
    rivergen_tests::eventually("the old keys are gone", async || {
        let left = (published("ES256").await, published("RS256").await);
        (left == (vec![both[1].clone()], vec![both_id[1].clone()])).then_some(())
    })
    .await;
}
