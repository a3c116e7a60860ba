//! The way through the provider and back: states, browsers, targets, and what providers do differently.

use rivergen_tests::{
    Backend, Server, on_both_backends,
    provider::{Browser, FRONT_END, Provider, Return, github, with_form},
};
use serde_json::{Value, json};

use super::{World, accounts_of, handover_code, location, signed_in};

on_both_backends! {
    a_state_works_once_and_for_one_provider;
    another_browser_is_refused;
    an_answer_of_another_sign_in_is_refused;
    a_token_of_an_unknown_key_has_the_keys_read_anew;
    providers_are_listed_and_others_refused;
    a_browser_is_sent_to_the_targets_alone;
    a_handover_code_works_once_and_for_a_minute;
    a_front_end_may_finish_by_itself;
    what_the_provider_refuses_is_told;
    github_counts_the_primary_verified_address;
    apple_posts_its_answer;
    an_address_that_is_not_permitted_is_not_reached;
}

async fn a_state_works_once_and_for_one_provider(backend: Backend) {
    let hub = "[social.hub]\nkind = \"github\"\nclient_id = \"x\"\nclient_secret = \"x\"\n";
    let Some(world) = World::start(backend, hub).await else { return };
    let ada = world.body("ada").await;
    world.post("login", ada.clone()).await.ok();
    world.post("login", ada).await.error(400, "INVALID_STATE");

    let browser = world.browser();
    let back = browser.through("corp", "", "ada", &world.anonymous()).await;
    browser.callback(&back).await.ok();
    browser.callback(&back).await.error(400, "INVALID_STATE");

    let mut unknown = world.body("ada").await;
    unknown["state"] = json!("never-made");
    world.post("login", unknown).await.error(400, "INVALID_STATE");
    let mut elsewhere = world.body("ada").await;
    elsewhere["provider"] = json!("hub");
    world.post("login", elsewhere).await.error(400, "INVALID_STATE");

    let late = world.body("ada").await;
    world.server.clock().advance(chrono::Duration::minutes(11));
    world.post("login", late).await.error(400, "INVALID_STATE");
    world.stop().await;
}

async fn another_browser_is_refused(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let (mallory, victim) = (world.browser(), world.browser());
    let query = format!("redirect_to={FRONT_END}");
    for query in ["", &query] {
        let back = mallory.through("corp", query, "mallory", &world.anonymous()).await;
        victim.callback(&back).await.error(400, "INVALID_STATE");
        // The cookie of another sign-in is none for this one.
        victim.start("corp", "", &world.anonymous()).await.ok();
        victim.callback(&back).await.error(400, "INVALID_STATE");
        // It was not used up by that.
        let status = mallory.callback(&back).await.status;
        assert!(status.is_success() || status.is_redirection(), "{status}");
    }
    world.stop().await;
}

async fn an_answer_of_another_sign_in_is_refused(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let browser = world.browser();
    // The code of one sign-in under the state of another: the verifier is not its own.
    let (mut one, other) = (world.body("ada").await, world.body("ada").await);
    one["code"] = other["code"].clone();
    world.post("login", one).await.error(400, "SOCIAL_LOGIN_FAILED");

    // The id_token of one sign-in for another: all is its own but the nonce.
    let address = |started: &Value| url::Url::parse(started["oauth_url"].as_str().unwrap()).unwrap();
    let started = browser.start("corp", "", &world.anonymous()).await.ok();
    let other = browser.start("corp", "", &world.anonymous()).await.ok();
    let (mut tampered, other) = (address(&started), address(&other));
    let pairs: Vec<(String, String)> = tampered.query_pairs().into_owned().collect();
    let nonce = other.query_pairs().find(|(key, _)| key == "nonce").unwrap().1.into_owned();
    tampered.query_pairs_mut().clear().extend_pairs(
        pairs.into_iter().map(|(key, value)| if key == "nonce" { (key, nonce.clone()) } else { (key, value) }),
    );
    let back = browser.visit(tampered.as_str(), "ada").await;
    browser.callback(&back).await.error(400, "SOCIAL_LOGIN_FAILED");

    // Without a challenge the provider itself sends the browser back.
    let started = browser.start("corp", "", &world.anonymous()).await.ok();
    let mut bare = address(&started);
    let pairs: Vec<(String, String)> = bare.query_pairs().into_owned().collect();
    let kept = pairs.into_iter().filter(|(key, _)| !key.starts_with("code_challenge"));
    bare.query_pairs_mut().clear().extend_pairs(kept);
    let back = browser.visit(bare.as_str(), "ada").await;
    browser.callback(&back).await.error(400, "OAUTH_AUTHORIZATION_FAILED");
    assert_eq!(world.server.count("SELECT count(*) FROM users").await, 0);
    world.stop().await;
}

async fn a_token_of_an_unknown_key_has_the_keys_read_anew(backend: Backend) {
    let Some(mut world) = World::start(backend, "").await else { return };
    let port: u16 = world.provider.issuer.rsplit_once(':').unwrap().1.parse().unwrap();
    world.sign_in("ada").await.ok();
    // The same provider with another key: under another name it is one that this server does not know yet.
    let restart = |mut world: World, kid: &str| {
        world.provider.end();
        world.provider = Provider::start(&json!({"port": port, "kid": kid})).unwrap();
        world
    };
    world = restart(world, "the second");
    // It looks once a minute at most.
    world.sign_in("ada").await.error(400, "SOCIAL_LOGIN_FAILED");
    world.server.clock().advance(chrono::Duration::seconds(61));
    world.sign_in("ada").await.ok();
    // Some give the new one the name of the last: it counts as a forgery until it is looked for.
    world = restart(world, "the second");
    world.sign_in("ada").await.error(400, "SOCIAL_LOGIN_FAILED");
    world.server.clock().advance(chrono::Duration::seconds(61));
    world.sign_in("ada").await.ok();
    world.stop().await;
}

async fn providers_are_listed_and_others_refused(backend: Backend) {
    let Some(world) =
        World::start(backend, "[social.google]\nkind = \"google\"\nclient_id = \"x\"\nclient_secret = \"x\"\n").await
    else {
        return;
    };
    let anonymous = world.anonymous();
    let data = anonymous.get("/api/v1/auth/oauth/providers").await.ok();
    let corp = json!({"provider": "corp", "display_name": "corp", "kind": "oidc"});
    let google = json!({"provider": "google", "display_name": "Google", "kind": "google"});
    assert_eq!((&data["providers"], data["total"].as_i64()), (&json!([corp, google]), Some(2)));
    for (name, code) in [
        ("nobody", "INVALID_PROVIDER"),
        ("GOOGLE", "INVALID_PROVIDER"),
        ("github", "PROVIDER_NOT_CONFIGURED"),
        ("apple", "PROVIDER_NOT_CONFIGURED"),
    ] {
        anonymous.get(&format!("/api/v1/auth/oauth/{name}/url")).await.error(400, code);
        anonymous.get(&format!("/api/v1/auth/oauth/{name}/callback?code=c&state=s")).await.error(400, code);
    }
    anonymous.with_token("nonsense").get("/api/v1/auth/oauth/corp/url").await.error(401, "UNAUTHORIZED");
    world.stop().await;
}

async fn a_browser_is_sent_to_the_targets_alone(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let browser = world.browser();
    for bad in [
        "http://evil.example/signed-in",
        "http://127.0.0.1:9/",
        "http://127.0.0.1:9/signed-inside",
        "http://127.0.0.1:9/signed-in/%2e%2e/x",
        "http://127.0.0.1:10/signed-in",
        "http://127.0.0.1:9@evil.example/signed-in",
        "https://127.0.0.1:9/signed-in",
        "//evil.example/signed-in",
        "javascript:alert(1)",
        "",
    ] {
        let query: String =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("redirect_to", bad).finish();
        browser.start("corp", &query, &world.anonymous()).await.invalid("redirect_to");
    }
    let below = format!("redirect_to={FRONT_END}/again%3Fx=1&state=mine");
    let back = browser.through("corp", &below, "ada", &world.anonymous()).await;
    let location = location(browser.callback(&back).await);
    assert!(location.starts_with(&format!("{FRONT_END}/again?x=1&handover_code=")), "{location}");
    assert!(location.ends_with("&state=mine"), "{location}");
    world.stop().await;
}

async fn a_handover_code_works_once_and_for_a_minute(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let hand_over = async || {
        let browser = world.browser();
        let query = format!("redirect_to={FRONT_END}&state=mine");
        let back = browser.through("corp", &query, "ada", &world.anonymous()).await;
        json!({"handover_code": handover_code(browser.callback(&back).await)})
    };
    let code = hand_over().await;
    assert_eq!(world.server.count("SELECT count(*) FROM sessions").await, 0);
    let data = world.post("handover", code.clone()).await.ok();
    assert_eq!((data["is_new_user"].as_bool(), data["state"].as_str()), (Some(true), Some("mine")));
    signed_in(&world, &data).get("/api/v1/auth/me").await.ok();
    world.post("handover", code).await.error(400, "INVALID_TOKEN");
    world.post("handover", json!({"handover_code": "made up"})).await.error(400, "INVALID_TOKEN");

    let code = hand_over().await;
    world.server.clock().advance(chrono::Duration::seconds(61));
    world.post("handover", code).await.error(400, "INVALID_TOKEN");
    // A later one takes its place.
    let (earlier, later) = (hand_over().await, hand_over().await);
    world.post("handover", earlier).await.error(400, "INVALID_TOKEN");
    assert_eq!(world.post("handover", later).await.ok()["is_new_user"], false);
    assert_eq!(world.server.audited("auth.login", "success").await, 2);
    assert_eq!(world.server.audited("auth.signup", "success").await, 1);
    world.stop().await;
}

async fn a_front_end_may_finish_by_itself(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let parts = |location: &str| {
        let url = url::Url::parse(location).unwrap();
        let value = |name: &str| url.query_pairs().find(|(key, _)| key == name).unwrap().1.into_owned();
        (value("code"), value("state"))
    };
    let browser = world.browser();
    let query = format!("redirect_to={FRONT_END}&deliver=code");
    let back = browser.through("corp", &query, "ada", &world.anonymous()).await;
    let (code, state) = parts(&location(browser.callback(&back).await));
    let data = world.post("signup", json!({"provider": "corp", "code": code, "state": state})).await.created();
    let ada = signed_in(&world, &data);

    // Whoever is signed in connects, so the code is always delivered.
    let bob = world.server.newcomer("bob@new.example").await;
    let browser = world.browser();
    let back = browser.through("corp", &format!("redirect_to={FRONT_END}"), "bob", &bob.client).await;
    let (code, state) = parts(&location(browser.callback(&back).await));
    bob.client.post("/api/v1/auth/social-accounts/corp", json!({"code": code, "state": state})).await.created();
    assert_eq!(accounts_of(&bob.client).await.len(), 1);

    // Without a target the callback has nowhere to deliver it to, and signs nobody in.
    let browser = world.browser();
    let back = browser.through("corp", "", "bob", &ada).await;
    browser.callback(&back).await.error(400, "INVALID_STATE");
    world.stop().await;
}

async fn what_the_provider_refuses_is_told(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let anonymous = world.anonymous();
    let callback = "/api/v1/auth/oauth/corp/callback";
    let error = anonymous.get(&format!("{callback}?error=access_denied&error_description=Call%20us")).await;
    let error = error.error(400, "OAUTH_AUTHORIZATION_FAILED");
    assert!(error["message"].as_str().unwrap().contains("access_denied"), "{error}");
    assert!(!error.to_string().contains("Call us"), "{error}");
    let error = anonymous.get(&format!("{callback}?error=%3Cb%3EHello")).await.error(400, "OAUTH_AUTHORIZATION_FAILED");
    assert!(!error.to_string().contains("Hello"), "{error}");
    anonymous.get(callback).await.error(400, "MISSING_AUTHORIZATION_CODE");
    anonymous.get(&format!("{callback}?code=&state=s")).await.error(400, "MISSING_AUTHORIZATION_CODE");
    anonymous.get(&format!("{callback}?code=c")).await.error(400, "INVALID_STATE");
    anonymous.get(&format!("{callback}?code=c&state=s")).await.error(400, "INVALID_STATE");
    anonymous.post_raw(callback, "application/json", "{}").await.error(400, "INVALID_REQUEST");
    let form = "application/x-www-form-urlencoded";
    anonymous.post_raw(callback, form, "error=user_cancelled_authorize").await.error(400, "OAUTH_AUTHORIZATION_FAILED");
    anonymous.post_raw(callback, form, "code=c&state=s").await.error(400, "INVALID_STATE");

    // Where there is a front end, it is told.
    let browser = world.browser();
    let query = format!("redirect_to={FRONT_END}&state=mine");
    let started = browser.start("corp", &query, &anonymous).await.ok();
    let mut url = url::Url::parse(&format!("{}{callback}", world.server.url())).unwrap();
    let state = started["state"].as_str().unwrap();
    url.query_pairs_mut().append_pair("error", "access_denied").append_pair("state", state);
    let back = Return { url, form: None };
    let sent = location(browser.callback(&back).await);
    assert_eq!(sent, format!("{FRONT_END}?error=OAUTH_AUTHORIZATION_FAILED&state=mine"));
    // The state is used up by it.
    browser.callback(&back).await.error(400, "OAUTH_AUTHORIZATION_FAILED");
    world.stop().await;
}

async fn github_counts_the_primary_verified_address(backend: Backend) {
    let email = |address: &str, primary, verified| json!({"email": address, "primary": primary, "verified": verified});
    let user = |id: i64| json!({"id": id, "login": "ada", "name": null, "email": "public@new.example"});
    let verified = json!([email("old@new.example", false, true), email("Ada@new.example", true, true)]);
    let unverified = json!([email("old@new.example", false, true), email("eve@new.example", true, false)]);
    let (one, other) = (github(user(1), verified).await, github(user(2), unverified).await);
    let hub = |name: &str, base: &str| {
        format!(
            "[social.{name}]\nkind = \"github\"\nclient_id = \"hub\"\nclient_secret = \"the secret of hub\"\nbase_url = \"{base}\"\n"
        )
    };
    let server = Server::start(backend, &format!("{}{}", hub("one", &one), hub("other", &other))).await;
    let anonymous = server.anonymous();
    let browser = Browser::new(&server);
    let back = browser.through("one", "", "", &anonymous).await;
    let data = browser.callback(&back).await.ok();
    assert_eq!((data["email"].as_str(), data["is_new_user"].as_bool()), (Some("ada@new.example"), Some(true)));
    assert_eq!(data["display_name"], "ada");
    let back = browser.through("one", "", "", &anonymous).await;
    assert_eq!(browser.callback(&back).await.ok()["is_new_user"], false);
    let subjects = server.rows("SELECT subject FROM social_accounts").await;
    assert_eq!(subjects, [json!({"subject": "1"})]);

    let back = browser.through("other", "", "", &anonymous).await;
    let data = browser.callback(&back).await.ok();
    assert_eq!((data["email"].as_str(), data.get("access_token")), (Some("eve@new.example"), None));
    // What is refused is answered as 200 by this provider.
    let back = browser.through("one", "", "", &anonymous).await;
    let wrong = json!({"provider": "one", "code": "another", "state": back.value("state")});
    anonymous.post("/api/v1/auth/oauth/login", wrong).await.error(400, "SOCIAL_LOGIN_FAILED");
    server.stop().await;
}

/// Made for this test: `openssl ecparam -genkey -name prime256v1`.
const PRIVATE_KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQg8Iosl/DGgC8laa03\n\
D6XZ6u42IyfiLyjOL8zyBDHU+9ihRANCAASbf9Me5iihyV17WYV/NsbfGhg+J8xc\n\
/7ZmstEhmzaN18iACMV4A7qoZZlVMNSV6Zg0KpvMlfoj09QAk2wwkTkw\n\
-----END PRIVATE KEY-----\n";
const PUBLIC_KEY: &str = "\
-----BEGIN PUBLIC KEY-----\n\
MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEm3/THuYooclde1mFfzbG3xoYPifM\n\
XP+2ZrLRIZs2jdfIgAjFeAO6qGWZVTDUlemYNCqbzJX6I9PUAJNsMJE5MA==\n\
-----END PUBLIC KEY-----\n";

async fn apple_posts_its_answer(backend: Backend) {
    let Some(provider) = Provider::start(&json!({"claimsInIdToken": true, "applePublicKey": PUBLIC_KEY})) else {
        return;
    };
    let settings = format!(
        "[social.apple]\nkind = \"apple\"\nissuer = \"{}\"\nclient_id = \"apple\"\nteam_id = \"TEAM\"\nkey_id = \"KEY\"\n\
         private_key = '''{PRIVATE_KEY}'''\n",
        provider.issuer
    );
    let server = Server::start(backend, &settings).await;
    let anonymous = server.anonymous();
    let browser = Browser::new(&server);
    let started = browser.start("apple", "", &anonymous).await;
    let cookie = started.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("SameSite=None; Secure") && cookie.contains("HttpOnly"), "{cookie}");
    let oauth_url = started.ok()["oauth_url"].as_str().unwrap().to_owned();
    assert!(oauth_url.contains("response_mode=form_post"), "{oauth_url}");
    let back = browser.visit(&oauth_url, "ada~ada@new.example").await;
    let mut form = back.form.clone().expect("a form that is posted");
    // As Apple does the first time; what it says of the address is not read.
    let user = json!({"name": {"firstName": "Ada", "lastName": "L."}, "email": "evil@new.example"});
    form.insert("user".to_owned(), user.to_string());
    let path = back.url.path().to_owned();
    let post = || with_form(anonymous.request(reqwest::Method::POST, &path), &form);
    anonymous.send(post()).await.error(400, "INVALID_STATE");
    let pair = cookie.split(';').next().unwrap();
    let data = anonymous.send(post().header("cookie", pair)).await.ok();
    assert_eq!((data["email"].as_str(), data["is_new_user"].as_bool()), (Some("ada@new.example"), Some(true)));
    assert!(data["access_token"].is_string(), "{data}");
    assert_eq!(data["display_name"], "Ada L.");
    server.stop().await;
}

async fn an_address_that_is_not_permitted_is_not_reached(backend: Backend) {
    let Some(world) = World::start(backend, "[outbound.policy]\nallow_private = false\n").await else { return };
    let error = world.browser().start("corp", "", &world.anonymous()).await.error(503, "SERVICE_UNAVAILABLE");
    assert!(!error.to_string().contains("127.0.0.1"), "{error}");
    world.stop().await;
}
