//! `/.well-known/…`, `/oauth/jwks`, `/oauth/userinfo`

use jsonwebtoken::Algorithm;
use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{App, Pkce, granted, refused, text};

on_both_databases! {
    the_server_says_what_it_does;
    a_program_that_speaks_mcp_finds_its_way with "[oauth.registration]\ndynamic = true\norganization = 1";
    the_keys_verify_what_is_signed with "[oauth]\nid_token_algorithms = [\"RS256\", \"ES256\"]\n";
    what_they_sign_with_is_a_setting;
    a_person_is_told_of_as_far_as_they_agreed;
    programs_in_browsers_may_ask;
    programs_in_browsers_read_how_long_to_wait with "[limits]\nenabled = true\n[limits.rules]\noauth_by_ip = { limit = 3, per_seconds = 60 }";
}

async fn the_server_says_what_it_does(server: &Server) {
    let client = server.anonymous();
    for name in ["oauth-authorization-server", "openid-configuration"] {
        let document = granted(client.get(&format!("/.well-known/{name}")).await);
        assert_eq!(text(&document, "issuer"), server.url());
        assert_eq!(document["code_challenge_methods_supported"], json!(["S256"]));
        assert_eq!(document["response_types_supported"], json!(["code"]));
        assert_eq!(document["authorization_response_iss_parameter_supported"], true);
        // Each address is there: none answers 404.
        for (key, address) in document.as_object().unwrap() {
            if key.ends_with("_endpoint") || key == "jwks_uri" {
                let path = address.as_str().unwrap().strip_prefix(server.url()).unwrap();
                assert_ne!(client.get(path).await.status, 404, "{key}");
            }
        }
    }
    // A program that knows the API alone finds the way: from a refusal to the resource, from there to its server.
    let refused = client.get("/api/v1/auth/me").await;
    let challenge = refused.headers["www-authenticate"].to_str().unwrap();
    let (_, address) = challenge.split_once("resource_metadata=\"").unwrap();
    let resource = granted(client.get(address.trim_end_matches('"').strip_prefix(server.url()).unwrap()).await);
    assert_eq!(
        (text(&resource, "resource"), &resource["authorization_servers"]),
        (server.url(), &json!([server.url()]))
    );
}

/// The order of discovery of MCP's authorization: a refusal, the resource, its server, registration, and all of the scopes that the
/// resource names.
async fn a_program_that_speaks_mcp_finds_its_way(server: &Server) {
    let acme = server.organization("Acme").await;
    let policy = json!({"applications": "all", "registration": "open"});
    acme.owner.client.put(&format!("/api/v1/organizations/{}/oauth-policy", acme.id), policy).await.ok();
    let client = server.anonymous();
    let path = format!("/api/v1/organizations/{}", acme.id);
    let told = format!("resource_metadata=\"{}/.well-known/oauth-protected-resource\"", server.url());
    // Whoever sent no token did nothing wrong with one.
    assert_eq!(client.get(&path).await.headers["www-authenticate"], format!("Bearer {told}"));
    let wrong = client.with_token("nonsense").get(&path).await;
    assert_eq!(wrong.headers["www-authenticate"], format!("Bearer error=\"invalid_token\", {told}"));
    let api = format!("{}/api/v1", server.url());
    for (at, resource) in [("", server.url()), ("/api/v1", api.as_str())] {
        let answer = client.get(&format!("/.well-known/oauth-protected-resource{at}")).await;
        assert_eq!(answer.headers["content-type"], "application/json");
        let document = granted(answer);
        assert_eq!((text(&document, "resource"), &document["scopes_supported"]), (resource, &json!(["read"])));
        assert_eq!(document["authorization_servers"], json!([server.url()]));
    }
    let document = granted(client.get("/.well-known/oauth-authorization-server").await);
    assert_eq!(document["registration_endpoint"], format!("{}/oauth/register", server.url()));
    // A program says nothing of scopes when it registers, and asks for all that stands there later.
    let metadata = json!({"client_name": "Agent", "redirect_uris": [super::CALLBACK], "response_types": ["code"],
        "grant_types": ["authorization_code", "refresh_token"], "token_endpoint_auth_method": "none"});
    let made = client.post("/oauth/register", metadata).await;
    assert_eq!(made.status, 201, "{}", made.body);
    let app = App {
        id: 0,
        client_id: text(&made.body, "client_id").to_owned(),
        secret: None,
        anonymous: server.anonymous(),
        path: String::new(),
    };
    for resource in [server.url(), api.as_str()] {
        let (browser, pkce) = (super::Browser::new(server), Pkce::new());
        let page = browser.open(&app.request(&pkce, &[("scope", "read"), ("resource", resource)])).await;
        let page = match page.body.as_str().is_some_and(|html| html.contains("Sign in to RiverGen")) {
            true => browser.sign_in(&page, &acme.viewer.email).await,
            false => page,
        };
        // Agreed to already, the second time.
        let answer = if page.status == 302 { page } else { browser.decide(&page, true).await };
        let code = super::answer_of(&super::location(&answer), "code").unwrap();
        let tokens = granted(
            app.post(
                "/oauth/token",
                &[
                    ("grant_type", "authorization_code"),
                    ("code", &*code),
                    ("redirect_uri", super::CALLBACK),
                    ("code_verifier", &*pkce.verifier),
                    ("resource", resource),
                ],
            )
            .await,
        );
        app.caller(&tokens).get(&path).await.ok();
    }
}

/// As operators have it who set nothing.
async fn the_keys_verify_what_is_signed(server: &Server) {
    let document = granted(server.anonymous().get("/.well-known/openid-configuration").await);
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["RS256", "ES256"]));
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    verified(server, &app, &acme.viewer, (Algorithm::ES256, Algorithm::RS256)).await;
    // An application may ask for another one, and has it from then on.
    let asks = |algorithm: Value| json!({"id_token_signed_response_alg": algorithm});
    let changed = acme.owner.client.patch(&app.path, asks(json!("ES256"))).await.ok();
    assert_eq!(changed["id_token_signed_response_alg"], "ES256");
    verified(server, &app, &acme.viewer, (Algorithm::ES256, Algorithm::ES256)).await;
    acme.owner.client.patch(&app.path, asks(Value::Null)).await.ok();
    verified(server, &app, &acme.viewer, (Algorithm::ES256, Algorithm::RS256)).await;
}

async fn what_they_sign_with_is_a_setting(server: &Server) {
    let document = granted(server.anonymous().get("/.well-known/openid-configuration").await);
    assert_eq!(document["id_token_signing_alg_values_supported"], json!(["ES256"]));
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    verified(server, &app, &acme.viewer, (Algorithm::ES256, Algorithm::ES256)).await;
    // What is not offered nobody is promised.
    let path = format!("/api/v1/organizations/{}/oauth-applications", acme.id);
    let mut other = super::registration();
    other["name"] = json!("Other");
    for unknown in ["RS256", "EdDSA", "HS256", "none"] {
        other["id_token_signed_response_alg"] = json!(unknown);
        acme.owner.client.post(&path, other.clone()).await.invalid("id_token_signed_response_alg");
    }
    other["id_token_signed_response_alg"] = json!("ES256");
    acme.owner.client.post(&path, other).await.created();
}

/// Verifies both kinds of tokens with what is published, each with its algorithm alone.
async fn verified(server: &Server, app: &App, person: &Person, (access, id): (Algorithm, Algorithm)) {
    let tokens = app.tokens(person).await;
    let answer = server.anonymous().get("/oauth/jwks").await;
    assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
    let published = granted(answer);
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(published.clone()).unwrap();
    for (name, audience, algorithm) in
        [("access_token", server.url(), access), ("id_token", app.client_id.as_str(), id)]
    {
        let token = text(&tokens, name);
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(algorithm);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[server.url()]);
        jsonwebtoken::decode::<Value>(token, &key, &validation).unwrap();
        let key = published["keys"].as_array().unwrap().iter().find(|key| key["kid"] == kid.as_str()).unwrap();
        assert_eq!((&key["alg"], &key["use"]), (&json!(algorithm), &json!("sig")));
        assert!(key.get("d").is_none(), "the private part is not published");
    }
    // Not those of people's sessions.
    let sessions = granted(server.anonymous().get("/.well-known/jwks.json").await);
    assert!(keys.keys.iter().all(|key| json!(key.common.key_id) != sessions["keys"][0]["kid"]));
}

async fn a_person_is_told_of_as_far_as_they_agreed(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let pkce = Pkce::new();
    let body = json!({"client_id": app.client_id, "redirect_uri": super::CALLBACK, "scope": "openid",
        "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": true});
    let data = acme.viewer.client.post("/api/v1/oauth/authorize", body).await.ok();
    let code = super::answer_of(text(&data, "redirect_url"), "code").unwrap();
    let tokens = granted(app.exchange(&code, &pkce).await);
    let me = granted(app.caller(&tokens).get("/oauth/userinfo").await);
    assert_eq!(me, json!({"sub": acme.viewer.id.to_string(), "org": acme.id}));
    // It opens nothing else.
    app.caller(&tokens).get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let unknown = server.anonymous().get("/oauth/userinfo").await;
    // Whoever sent no token did nothing wrong with one.
    assert_eq!(unknown.headers["www-authenticate"], "Bearer");
    refused(unknown, 401, "invalid_token");
    let wrong = acme.viewer.client.get("/oauth/userinfo").await;
    assert_eq!(wrong.headers["www-authenticate"], "Bearer error=\"invalid_token\"");
    assert_eq!(wrong.headers["access-control-expose-headers"], "www-authenticate, retry-after, dpop-nonce");
    refused(wrong, 401, "invalid_token");
}

async fn programs_in_browsers_may_ask(server: &Server) {
    let client = server.anonymous();
    let asks = client.request(reqwest::Method::OPTIONS, "/oauth/token").header("origin", "https://app.example");
    let answer = client.send(asks).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["access-control-allow-origin"]), (204, &"*".parse().unwrap()));
    assert!(answer.headers["access-control-allow-headers"].to_str().unwrap().contains("mcp-protocol-version"));
    assert_eq!(answer.headers["access-control-max-age"], "600");
    // But nobody's page may read the consent.
    let page = client.get("/oauth/authorize").await;
    assert!(page.headers.get("access-control-allow-origin").is_none());
}

async fn programs_in_browsers_read_how_long_to_wait(server: &Server) {
    let client = server.anonymous();
    for _ in 0..3 {
        refused(super::post(&client, "/oauth/token", &[]).await, 400, "invalid_request");
    }
    for path in ["/oauth/token", "/oauth/par", "/oauth/token/revoke"] {
        let answer = super::post(&client, path, &[]).await;
        assert!((1..=60).contains(&answer.number("retry-after")), "{path}");
        assert_eq!(answer.headers["access-control-allow-origin"], "*", "{path}");
        let exposed = answer.headers["access-control-expose-headers"].to_str().unwrap();
        assert!(exposed.contains("retry-after"), "{path}: {exposed}");
        refused(answer, 429, "temporarily_unavailable");
    }
}
