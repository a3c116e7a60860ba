//! `/.well-known/…`, `/oauth/jwks`, `/oauth/userinfo`

use jsonwebtoken::Algorithm;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{App, Pkce, granted, refused, text};

on_both_databases! {
    the_server_says_what_it_does;
    the_keys_verify_what_is_signed;
    what_they_sign_with_is_a_setting with "[oauth]\nsigning_algorithm = \"RS256\"\n";
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

async fn the_keys_verify_what_is_signed(server: &Server) {
    verified(server, Algorithm::ES256).await;
}

async fn what_they_sign_with_is_a_setting(server: &Server) {
    verified(server, Algorithm::RS256).await;
}

/// Verifies both kinds of tokens with what is published, and with this algorithm alone.
async fn verified(server: &Server, algorithm: Algorithm) {
    let document = granted(server.anonymous().get("/.well-known/openid-configuration").await);
    assert_eq!(document["id_token_signing_alg_values_supported"], json!([algorithm]));
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let answer = server.anonymous().get("/oauth/jwks").await;
    assert_eq!(answer.headers["content-type"], "application/jwk-set+json");
    let keys: jsonwebtoken::jwk::JwkSet = serde_json::from_value(granted(answer)).unwrap();
    for (name, audience) in [("access_token", server.url()), ("id_token", app.client_id.as_str())] {
        let token = text(&tokens, name);
        let kid = jsonwebtoken::decode_header(token).unwrap().kid.unwrap();
        let key = jsonwebtoken::DecodingKey::from_jwk(keys.find(&kid).unwrap()).unwrap();
        let mut validation = jsonwebtoken::Validation::new(algorithm);
        validation.set_audience(&[audience]);
        validation.set_issuer(&[server.url()]);
        jsonwebtoken::decode::<serde_json::Value>(token, &key, &validation).unwrap();
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
