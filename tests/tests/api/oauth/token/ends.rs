//! How long tokens live, and what ends them: their time, whoever gives them back, and whoever leaves.

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::organization;
use crate::{
    oauth::{App, Pkce, granted, post, refused, text, with_other_signature},
    scim,
};

on_both_databases! {
    a_refresh_token_is_good_once;
    a_token_is_given_back;
    what_ran_out_is_swept;
    whoever_leaves_takes_their_tokens_along;
    whom_the_identity_provider_takes_out_agrees_anew;
    the_organization_bounds_how_long_it_lives;
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
