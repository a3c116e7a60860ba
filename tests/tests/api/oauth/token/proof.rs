//! How a client proves who it is when it asks for tokens, and what else is wrong with a request.

use base64::{Engine, engine::general_purpose::STANDARD};
use rivergen_tests::{Answer, Server, on_both_databases};
use serde_json::{Value, json};

use crate::oauth::{App, Pkce, granted, key_pair, post, refused, registration, with_other_signature};

on_both_databases! {
    the_client_proves_who_it_is;
    a_client_proves_itself_by_its_key;
    what_is_wrong_is_named;
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
        let mut body = registration();
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
    let mut body = registration();
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
