//! Clients of others, through every flow: what one standard means by a word, they know without us.

use base64::{Engine, engine::general_purpose::STANDARD};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use rivergen_tests::{PASSWORD, Server, foreign, on_both_databases};
use serde_json::{Value, json};

use super::{App, CALLBACK};

on_both_databases! {
    openid_client_and_oauth4webapi;
    authlib;
}

async fn settings(server: &Server) -> Value {
    let acme = server.organization("Acme").await;
    let (app, phone) = (App::new(server, &acme).await, App::public(server, &acme).await);
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let scheme = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(scheme, &rng).unwrap();
    let mut jwk = Jwk::from_encoding_key(&EncodingKey::from_ec_der(document.as_ref()), Algorithm::ES256).unwrap();
    jwk.common.key_id = Some("one".to_owned());
    let mut body = super::registration();
    body["name"] = json!("Keyed");
    body["jwks"] = json!({"keys": [jwk]});
    let keyed = App::register(server, &acme, body).await;
    json!({"issuer": server.url(), "callback": CALLBACK,
        "person": {"email": acme.viewer.email, "password": PASSWORD},
        "confidential": {"id": app.client_id, "secret": app.secret}, "open": {"id": phone.client_id},
        "keyed": {"id": keyed.client_id, "kid": "one", "key": STANDARD.encode(document.as_ref())}})
}

async fn openid_client_and_oauth4webapi(server: &Server) {
    let Some(done) = foreign::oauth_client("client.mjs", &settings(server).await).await else { return };
    let all = [
        "client_secret_post",
        "client_secret_basic",
        "pushed",
        "introspection",
        "revocation",
        "client_credentials",
        "public",
        "private_key_jwt",
        "jwt_access_token",
    ];
    assert_eq!(done, json!(all));
}

async fn authlib(server: &Server) {
    let Some(done) = foreign::oauth_client("client.py", &settings(server).await).await else { return };
    assert_eq!(done, json!(["client_secret_basic", "client_secret_post", "client_credentials", "private_key_jwt"]));
}
