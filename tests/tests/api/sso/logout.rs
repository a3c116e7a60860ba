//! `POST /api/v1/sso/logout` and `POST /api/v1/sso/oidc/backchannel-logout/{provider_id}`: the end, from either side.

use std::collections::BTreeMap;

use super::*;
use rivergen_tests::{
    crooked::{CLIENT_ID, Signed},
    eventually, on_both_backends,
    provider::with_form,
};

on_both_backends! {
    a_logout_tells_where_to_sign_out_at_the_provider;
    the_provider_ends_a_session_or_all_of_a_person;
    a_logout_token_that_is_none_ends_nothing;
    a_logout_token_is_taken_once;
    a_logout_token_of_a_new_key_is_believed;
}

async fn a_logout_tells_where_to_sign_out_at_the_provider(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, real.registration("Corp"), json!({})).await;
    let data = world.enter(world.through(provider, "v~viewer@acme.example").await).await;
    let person = world.person(&data);
    let elsewhere = json!({"redirect_uri": "https://evil.example"});
    person.post("/api/v1/sso/logout", elsewhere).await.error(400, "INVALID_REDIRECT_URI");
    let ended = person.post("/api/v1/sso/logout", json!({})).await.ok();
    let url: Url = ended["logout_url"].as_str().unwrap().parse().unwrap();
    assert!(url.as_str().starts_with(&real.issuer), "{url}");
    assert_eq!(value(&url, "post_logout_redirect_uri").as_deref(), Some(FRONT_END));
    assert_eq!(value(&url, "client_id").as_deref(), Some("corp"));
    assert_eq!(value(&url, "id_token_hint").unwrap().matches('.').count(), 2);
    person.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    // A session that no provider opened ends here alone.
    let ended = world.acme.developer.client.post("/api/v1/sso/logout", json!({})).await.ok();
    assert_eq!(ended["logout_url"], Value::Null);
    world.acme.developer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    world.stop().await;
}

/// Brings a logout token to the server.
async fn tell(world: &World, provider: i64, token: &str) -> Answer {
    let anonymous = world.server.anonymous();
    let path = format!("/api/v1/sso/oidc/backchannel-logout/{provider}");
    let fields = BTreeMap::from([("logout_token".to_owned(), token.to_owned())]);
    anonymous.send(with_form(anonymous.request(reqwest::Method::POST, &path), &fields)).await
}

fn logout_claims(crooked: &Crooked) -> Value {
    let now = chrono::Utc::now().timestamp();
    json!({"iss": crooked.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 120,
        "jti": format!("{}", rand::random::<u64>()),
        "events": {"http://schemas.openid.net/event/backchannel-logout": {}}})
}

async fn the_provider_ends_a_session_or_all_of_a_person(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let sign_in = async |subject: &str, email: &str, session: &str| {
        crooked.says().claims = json!({"sub": subject, "email": email, "sid": session});
        world.person(&world.enter(world.lied(provider, &crooked).await).await)
    };
    let one = sign_in("v", "viewer@acme.example", "s1").await;
    let two = sign_in("v", "viewer@acme.example", "s2").await;
    let other = sign_in("d", "developer@acme.example", "s3").await;
    let own = &world.acme.viewer.client;

    let with = |over: Value| {
        let mut claims = logout_claims(&crooked);
        claims.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        crooked.token(&claims)
    };
    let answer = tell(&world, provider, &with(json!({"sid": "s1"}))).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["cache-control"]), (200, &"no-store".parse().unwrap()));
    one.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    two.get("/api/v1/auth/me").await.ok();

    // A code that is on its way is worth nothing any more.
    crooked.says().claims = json!({"sub": "v", "email": "viewer@acme.example"});
    let waiting = code_of(world.lied(provider, &crooked).await);
    assert_eq!(tell(&world, provider, &with(json!({"sub": "v"}))).await.status, 200);
    two.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    world.exchange(&waiting).await.error(400, "INVALID_CODE");
    // Nobody else's, and not what the person opened by themselves.
    other.get("/api/v1/auth/me").await.ok();
    own.get("/api/v1/auth/me").await.ok();
    let reasons = "SELECT DISTINCT end_reason FROM sessions WHERE ended_at IS NOT NULL";
    assert_eq!(world.server.rows(reasons).await[0]["end_reason"], "ended_by_identity_provider");
    assert_eq!(world.server.audited("sso.logout", "success").await, 2);
    world.stop().await;
}

async fn a_logout_token_that_is_none_ends_nothing(backend: Backend) {
    let world = World::start(backend).await;
    let (crooked, another) = (Crooked::start().await, Crooked::start().await);
    crooked.says().claims = json!({"sub": "v", "email": "viewer@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let second = world.register(&world.acme, another.registration("Two"), json!({})).await;
    let person = world.person(&world.enter(world.lied(provider, &crooked).await).await);
    let now = chrono::Utc::now().timestamp();
    for over in [
        json!({"sub": null}),
        json!({"iss": another.issuer}),
        json!({"aud": "another"}),
        json!({"events": {}}),
        json!({"nonce": "n"}),
        json!({"iat": now - 3600}),
        json!({"exp": now - 120}),
        json!({"jti": null}),
    ] {
        let mut claims = logout_claims(&crooked);
        claims["sub"] = json!("v");
        claims.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        let answer = tell(&world, provider, &crooked.token(&claims)).await;
        assert_eq!(answer.status, 400, "{over}: {}", answer.body);
    }
    let mut claims = logout_claims(&crooked);
    claims["sub"] = json!("v");
    for signed in [Signed::NotAtAll, Signed::WithThePublicKey, Signed::WithTheSecret, Signed::WithAnotherKey] {
        crooked.says().signed = signed;
        let token = crooked.token(&claims);
        tell(&world, provider, &token).await.error(400, "BAD_REQUEST");
    }
    crooked.says().signed = Signed::Honestly;
    // An honest token of one provider at the door of another.
    tell(&world, second, &crooked.token(&claims)).await.error(400, "BAD_REQUEST");
    tell(&world, 4711, &crooked.token(&claims)).await.error(404, "PROVIDER_NOT_FOUND");
    tell(&world, provider, "nonsense").await.error(400, "BAD_REQUEST");
    let path = format!("/api/v1/sso/oidc/backchannel-logout/{provider}");
    world.server.anonymous().post(&path, json!({})).await.error(400, "BAD_REQUEST");
    person.get("/api/v1/auth/me").await.ok();
    assert_eq!(tell(&world, provider, &crooked.token(&claims)).await.status, 200);
    person.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    world.stop().await;
}

async fn a_logout_token_is_taken_once(backend: Backend) {
    let world = World::start(backend).await;
    let (crooked, another) = (Crooked::start().await, Crooked::start().await);
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let second = world.register(&world.acme, another.registration("Two"), json!({})).await;
    let sign_in = async |at: i64, crooked: &Crooked, subject: &str, email: &str| {
        crooked.says().claims = json!({"sub": subject, "email": email, "sid": "s1"});
        world.person(&world.enter(world.lied(at, crooked).await).await)
    };
    let token = |crooked: &Crooked, jti: &str| {
        let mut claims = logout_claims(crooked);
        claims["sid"] = json!("s1");
        claims["jti"] = json!(jti);
        crooked.token(&claims)
    };
    let first = sign_in(provider, &crooked, "v", "viewer@acme.example").await;
    let once = token(&crooked, "the first");
    // Of two at once, one.
    let (one, other) = tokio::join!(tell(&world, provider, &once), tell(&world, provider, &once));
    let mut both = [one.status.as_u16(), other.status.as_u16()];
    both.sort_unstable();
    assert_eq!(both, [200, 400]);
    first.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");

    // Whoever kept it ends nothing with it that came afterwards.
    let later = sign_in(provider, &crooked, "v", "viewer@acme.example").await;
    tell(&world, provider, &once).await.error(400, "BAD_REQUEST");
    later.get("/api/v1/auth/me").await.ok();
    // Nor is another token of the same person the same one, nor the same id of another provider.
    let at_second = sign_in(second, &another, "d", "developer@acme.example").await;
    assert_eq!(tell(&world, second, &token(&another, "the first")).await.status, 200);
    at_second.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    later.get("/api/v1/auth/me").await.ok();
    assert_eq!(tell(&world, provider, &token(&crooked, "the second")).await.status, 200);
    later.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");

    // When they are refused for their time, they are forgotten.
    let kept = "SELECT count(*) FROM sso_messages_seen";
    assert_eq!(world.server.count(kept).await, 3);
    world.server.later(chrono::Duration::hours(2)).await;
    eventually("the tokens to be forgotten", async || (world.server.count(kept).await == 0).then_some(())).await;
    tell(&world, provider, &once).await.error(400, "BAD_REQUEST");
    world.stop().await;
}

async fn a_logout_token_of_a_new_key_is_believed(backend: Backend) {
    let world = World::start(backend).await;
    for keys_have_one_name in [false, true] {
        let crooked = Crooked::start().await;
        crooked.says().claims = json!({"sub": "v", "email": "viewer@acme.example"});
        crooked.says().keys_have_one_name = keys_have_one_name;
        let registration = crooked.registration(&crooked.issuer);
        let provider = world.register(&world.acme, registration, json!({})).await;
        let person = world.person(&world.enter(world.lied(provider, &crooked).await).await);
        crooked.says().has_another_key = true;
        let mut claims = logout_claims(&crooked);
        claims["sub"] = json!("v");
        let token = crooked.token(&claims);
        // It looks once a minute at most.
        tell(&world, provider, &token).await.error(400, "BAD_REQUEST");
        person.get("/api/v1/auth/me").await.ok();
        world.server.clock().advance(chrono::Duration::seconds(61));
        assert_eq!(tell(&world, provider, &token).await.status, 200);
        person.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    }
    world.stop().await;
}
