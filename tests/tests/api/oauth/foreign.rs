//! Clients of others, through every flow: what one standard means by a word, they know without us. They meet the algorithms that
//! operators have, who set none.

use base64::{Engine, engine::general_purpose::STANDARD};
use rivergen_tests::{PASSWORD, Server, foreign, on_both_databases};
use serde_json::{Value, json};

use super::{App, CALLBACK, key_pair};

on_both_databases! {
    openid_client_and_oauth4webapi with "[oauth]\nid_token_algorithms = [\"RS256\", \"ES256\"]\n";
    authlib with "[oauth]\nid_token_algorithms = [\"RS256\", \"ES256\"]\n";
}

async fn settings(server: &Server) -> Value {
    let acme = server.organization("Acme").await;
    let (app, phone) = (App::new(server, &acme).await, App::public(server, &acme).await);
    let (key, jwk) = key_pair("one");
    let mut body = super::registration();
    body["name"] = json!("Keyed");
    body["jwks"] = json!({"keys": [jwk]});
    let keyed = App::register(server, &acme, body).await;
    json!({"issuer": server.url(), "callback": CALLBACK,
        "person": {"email": acme.viewer.email, "password": PASSWORD},
        "confidential": {"id": app.client_id, "secret": app.secret}, "open": {"id": phone.client_id},
        "keyed": {"id": keyed.client_id, "kid": "one", "key": STANDARD.encode(key)}})
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
