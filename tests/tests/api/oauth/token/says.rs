//! What tokens say, to whoever reads them and to whoever asks about them, and the keys by which they are believed.

use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{claims, organization};
use crate::{
    invitations,
    oauth::{App, granted, refused, text},
    sso::enforced,
};

on_both_databases! {
    a_token_says_what_it_is;
    an_id_token_says_how_the_person_signed_in;
    a_token_is_asked_about;
    tokens_of_a_suspended_person_are_not_active;
    keys_rotate_by_themselves_and_stay_published with "[oauth]\nid_token_algorithms = [\"RS256\"]\n";
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
