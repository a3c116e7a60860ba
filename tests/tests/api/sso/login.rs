//! `GET /api/v1/sso/login`, `GET /api/v1/sso/oidc/callback`, `POST /api/v1/sso/token`: the way through a provider and back.

use super::*;
use rivergen_tenancy::provision;
use rivergen_tests::{crooked::Signed, on_both_backends};

on_both_backends! {
    a_member_signs_in_through_the_provider_of_their_organization;
    the_provider_is_found_by_address_and_by_organization;
    of_several_providers_one_is_chosen;
    a_browser_is_sent_to_allowed_addresses_alone;
    a_code_works_once_for_a_minute_and_for_its_address;
    a_second_factor_here_is_asked_for_unless_the_provider_did;
    a_browser_reads_of_a_refusal_at_the_front_end;
    a_rehearsal_shows_what_would_happen_and_signs_nobody_in;
    what_the_provider_refuses_is_told;
    a_provider_that_does_not_answer_is_said_so;
    a_provider_changes_its_key_when_it_likes;
    a_provider_that_is_silent_for_a_while_lets_people_in;
    too_many_starts_from_one_address_are_refused;
}

async fn a_member_signs_in_through_the_provider_of_their_organization(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let provider = world.register(&world.acme, real.registration("Corp"), json!({})).await;
    let browser = world.browser();
    let query = format!("provider_id={provider}&redirect_uri={FRONT_END}&state=of-the-client");
    let started = browser.client().get(&format!("/api/v1/sso/login?{query}")).await;
    assert_eq!(started.status, StatusCode::FOUND);
    let cookie = started.headers["set-cookie"].to_str().unwrap();
    assert!(cookie.contains("HttpOnly") && cookie.contains("Path=/api/v1/sso"), "{cookie}");
    let back = browser.visit(started.headers["location"].to_str().unwrap(), "ada~viewer@acme.example").await;
    // The provider names itself in its answers, so there is one address for all of its kind.
    assert_eq!(back.url.path(), "/api/v1/sso/oidc/callback");
    let answer = browser.callback(&back).await;
    let cleared = answer.headers["set-cookie"].to_str().unwrap();
    assert!(cleared.contains("Max-Age=0"), "{cleared}");
    assert_eq!(value(&location(&answer), "state").as_deref(), Some("of-the-client"));
    let seen = real.seen().await;
    assert_eq!((&seen[0]["verified"], &seen[0]["nonce"]), (&json!(true), &json!(true)), "{seen}");

    let data = world.enter(answer).await;
    assert_eq!((&data["mfa_required"], &data["token_type"]), (&json!(false), &json!("bearer")));
    let user = json!({"id": world.acme.viewer.id, "email": "viewer@acme.example", "name": data["user"]["name"],
        "organization_id": world.acme.id});
    assert_eq!(data["user"], user);
    let me = world.person(&data).get("/api/v1/auth/me").await.ok();
    assert_eq!(me["user"]["primary_email"], "viewer@acme.example", "{me}");
    // The session stands in the organization, and says who vouched for it.
    let session =
        "SELECT organization_id, federated_by_organization_id AS by, amr FROM sessions ORDER BY id DESC LIMIT 1";
    let session = &world.server.rows(session).await[0];
    assert_eq!((&session["organization_id"], &session["by"]), (&json!(world.acme.id), &json!(world.acme.id)));
    assert_eq!(session["amr"], "fed");
    // It can be refreshed like any other.
    let refresh = json!({"refresh_token": data["refresh_token"]});
    world.server.anonymous().post("/api/v1/auth/refresh", refresh).await.ok();

    let shown = world.acme.owner.client.get(&format!("/api/v1/sso/providers/{provider}")).await.ok();
    assert_eq!(shown["provider"]["login_count"], 1);
    assert!(shown["provider"]["last_login_at"].is_string());
    assert_eq!(world.server.audited("sso.sign_in", "success").await, 1);
    // Linked now, whatever the address is.
    real.tell_of(json!({"ada": {"email": "somebody@elsewhere.example", "email_verified": false}})).await;
    let data = world.enter(world.through(provider, "ada~viewer@acme.example").await).await;
    assert_eq!(data["user"]["id"], world.acme.viewer.id);
    world.stop().await;
}

async fn the_provider_is_found_by_address_and_by_organization(backend: Backend) {
    let real = real!();
    let world = World::start(backend).await;
    let anonymous = world.server.anonymous();
    let start = |query: &str| format!("/api/v1/sso/login?response_mode=json&{query}");
    for query in [
        "email=viewer@acme.example",
        "email=nobody@acme.example",
        "email=ada@other.example",
        "organization=Acme",
        "organization=Nobody",
        "provider_id=4711",
    ] {
        let error = anonymous.get(&start(query)).await.error(404, "SSO_NOT_CONFIGURED");
        assert_eq!(error["message"], "Single sign-on is not set up for this; sign in another way.", "{query}");
    }
    anonymous.get(&start("")).await.invalid("email");
    anonymous.get(&start("email=nonsense")).await.invalid("email");

    let provider = world.register(&world.acme, real.registration("Corp"), json!({})).await;
    for query in [
        "email=viewer@acme.example",
        "email=Nobody@ACME.example",
        "organization=acme",
        &format!("provider_id={provider}"),
    ] {
        let data = anonymous.get(&start(query)).await.ok();
        assert_eq!((&data["provider_id"], &data["provider_type"]), (&json!(provider), &json!("oidc")), "{query}");
        assert_eq!((&data["redirect_uri"], &data["expires_in"]), (&json!(FRONT_END), &json!(600)));
        let address = data["authorization_url"].as_str().unwrap();
        assert!(address.starts_with(&real.issuer) && address.contains("code_challenge_method=S256"), "{address}");
    }
    // The address that somebody typed goes along.
    let data = anonymous.get(&start("email=viewer@acme.example")).await.ok();
    assert!(data["authorization_url"].as_str().unwrap().contains("login_hint=viewer%40acme.example"));
    anonymous.get(&start("email=ada@sub.acme.example")).await.error(404, "SSO_NOT_CONFIGURED");
    // Nobody else's domain is routed, whatever a provider says of itself.
    let globex = world.server.organization("Globex").await;
    world.register(&globex, real.registration("Corp"), json!({})).await;
    anonymous.get(&start("email=ada@globex.example")).await.error(404, "SSO_NOT_CONFIGURED");

    world.change(provider, json!({"status": "inactive"})).await;
    for query in ["email=viewer@acme.example", "organization=Acme", &format!("provider_id={provider}")] {
        anonymous.get(&start(query)).await.error(404, "SSO_NOT_CONFIGURED");
    }
    world.stop().await;
}

async fn of_several_providers_one_is_chosen(backend: Backend) {
    let world = World::start(backend).await;
    let (one, other) = (Crooked::start().await, Crooked::start().await);
    let first = world.register(&world.acme, one.registration("One"), json!({"domains": ["acme.example"]})).await;
    let second = world.register(&world.acme, other.registration("Other"), json!({})).await;
    let anonymous = world.server.anonymous();
    let start = |query: &str| format!("/api/v1/sso/login?response_mode=json&{query}");
    assert_eq!(anonymous.get(&start("email=x@acme.example")).await.ok()["provider_id"], first);
    let error = anonymous.get(&start("organization=Acme")).await.invalid("provider_id").to_string();
    assert!(error.contains(&format!("{first} (One), {second} (Other)")), "{error}");
    // Another domain of the organization goes to the one that takes all.
    world.prove(&world.acme, "acme-labs.example").await;
    assert_eq!(anonymous.get(&start("email=x@acme-labs.example")).await.ok()["provider_id"], second);
    world.stop().await;
}

async fn a_browser_is_sent_to_allowed_addresses_alone(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let anonymous = world.server.anonymous();
    for bad in [
        "https://evil.example/",
        "http://127.0.0.1:9/",
        "http://127.0.0.1:9/signed-in/../x",
        "javascript:alert(1)",
        "http://127.0.0.1:9@evil.example/signed-in",
        "//127.0.0.1:9/signed-in",
    ] {
        let bad: String = url::form_urlencoded::byte_serialize(bad.as_bytes()).collect();
        let path = format!("/api/v1/sso/login?provider_id={provider}&redirect_uri={bad}");
        anonymous.get(&path).await.error(400, "INVALID_REDIRECT_URI");
    }
    let below = format!("/api/v1/sso/login?response_mode=json&provider_id={provider}&redirect_uri={FRONT_END}/deeper");
    assert_eq!(anonymous.get(&below).await.ok()["redirect_uri"], format!("{FRONT_END}/deeper"));
    world.stop().await;
}

async fn a_code_works_once_for_a_minute_and_for_its_address(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().claims = json!({"email": "viewer@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let code = code_of(world.lied(provider, &crooked).await);
    let elsewhere = json!({"code": code, "redirect_uri": format!("{FRONT_END}/deeper")});
    world.server.anonymous().post("/api/v1/sso/token", elsewhere).await.error(400, "INVALID_CODE");
    world.exchange("never-made").await.error(400, "INVALID_CODE");
    world.server.anonymous().post("/api/v1/sso/token", json!({"code": code})).await.invalid("redirect_uri");

    let data = world.exchange(&code).await.ok();
    let person = world.person(&data);
    person.get("/api/v1/auth/me").await.ok();
    // Whoever shows it again has a copy that should not exist: the session ends.
    world.exchange(&code).await.error(400, "INVALID_CODE");
    person.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let refresh = json!({"refresh_token": data["refresh_token"]});
    world.server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
    assert_eq!(world.server.audited("sso.code_reuse", "failure").await, 1);

    let late = code_of(world.lied(provider, &crooked).await);
    world.server.clock().advance(chrono::Duration::seconds(61));
    world.exchange(&late).await.error(400, "INVALID_CODE");

    // Of two at once one is let in, and then nobody.
    let code = code_of(world.lied(provider, &crooked).await);
    let (one, other) = tokio::join!(world.exchange(&code), world.exchange(&code));
    let good: Vec<Answer> = [one, other].into_iter().filter(|answer| answer.status == 200).collect();
    assert!(good.len() <= 1);
    for answer in good {
        world.person(&answer.ok()).get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    }
    // A provider that was switched off meanwhile lets nobody in.
    let code = code_of(world.lied(provider, &crooked).await);
    world.change(provider, json!({"status": "inactive"})).await;
    world.exchange(&code).await.error(400, "INVALID_CODE");
    world.stop().await;
}

async fn a_second_factor_here_is_asked_for_unless_the_provider_did(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().claims = json!({"email": "viewer@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let app = world.acme.viewer.authenticator_app(&world.server).await;

    let code = code_of(world.lied(provider, &crooked).await);
    let data = world.exchange(&code).await.ok();
    assert_eq!((&data["mfa_required"], &data["access_token"]), (&json!(true), &Value::Null), "{data}");
    let body = json!({"temporary_token": data["temporary_token"], "code": app.next_code(&world.server)});
    let data = world.server.anonymous().post("/api/v1/auth/mfa/verify", body).await.ok();
    let last = "SELECT organization_id, federated_by_organization_id AS by, amr FROM sessions ORDER BY id DESC LIMIT 1";
    let session = &world.server.rows(last).await[0];
    assert_eq!((&session["by"], &session["amr"]), (&json!(world.acme.id), &json!("fed otp mfa")));
    // The code ends that session too, when it is shown again.
    world.exchange(&code).await.error(400, "INVALID_CODE");
    world.person(&data).get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");

    crooked.says().claims = json!({"email": "viewer@acme.example", "amr": ["pwd", "mfa"]});
    let data = world.enter(world.lied(provider, &crooked).await).await;
    assert_eq!(data["mfa_required"], false);
    assert_eq!(world.server.rows(last).await[0]["amr"], "fed mfa");

    // Another organization of theirs asks for a second factor: to that this provider does not speak.
    let globex = json!({"name": "Globex", "security": {"mfa_required": true},
        "people": [{"email": "owner@globex.example", "role": "Owner"}, {"email": "viewer@acme.example", "role": "Viewer"}]});
    provision::run(&world.server.tenancy, serde_json::from_value(globex).unwrap()).await.unwrap();
    let code = code_of(world.lied(provider, &crooked).await);
    assert_eq!(world.exchange(&code).await.ok()["mfa_required"], true);
    world.stop().await;
}

async fn a_browser_reads_of_a_refusal_at_the_front_end(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    crooked.says().claims = json!({"email": "stranger@acme.example"});
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let browser = world.browser();
    let address = world.begin(&browser, &format!("provider_id={provider}&state=mine")).await;
    let path = path_of(&crooked.send_back(&address));
    let request = browser.client().request(reqwest::Method::GET, &path).header("accept", "text/html,*/*;q=0.8");
    let answer = browser.client().send(request).await;
    let location = location(&answer);
    assert_eq!(location.as_str(), format!("{FRONT_END}?error=SSO_USER_NOT_ALLOWED&state=mine"));
    // Nobody is told why, but administrators.
    assert!(world.refusal().await.contains("no member with the address stranger@acme.example"));
    world.lied(provider, &crooked).await.error(403, "SSO_USER_NOT_ALLOWED");
    world.stop().await;
}

async fn a_rehearsal_shows_what_would_happen_and_signs_nobody_in(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let over = json!({"status": "inactive", "attribute_mapping": {"groups": "teams", "department": "dept"},
        "group_role_mapping": {"Engineering": world.acme.roles["Developer"]}});
    let provider = world.register(&world.acme, crooked.registration("One"), over).await;
    let owner = &world.acme.owner.client;
    let start = format!("/api/v1/sso/login?response_mode=json&test=true&provider_id={provider}");
    world.server.anonymous().get(&start).await.error(401, "UNAUTHORIZED");
    world.acme.developer.client.get(&start).await.error(403, "FORBIDDEN");
    let globex = world.server.organization("Globex").await;
    globex.owner.client.get(&start).await.error(404, "PROVIDER_NOT_FOUND");
    owner.get("/api/v1/sso/login?test=true&organization=Acme").await.invalid("provider_id");

    let rehearse = async |claims: Value| {
        crooked.says().claims = claims;
        let browser = world.browser();
        let started = browser.client().with_token(owner.token()).get(&start).await.ok();
        let back = crooked.send_back(started["authorization_url"].as_str().unwrap());
        browser.client().get(&path_of(&back)).await
    };
    let claims = json!({"email": "viewer@acme.example", "teams": ["Engineering", "Chess"], "dept": "Sales"});
    let shown = rehearse(claims.clone()).await.ok();
    assert_eq!(shown["decision"], "link", "{shown}");
    let explanation = shown["explanation"].as_str().unwrap();
    assert!(explanation.starts_with("Would be linked to the account of viewer@acme.example."), "{explanation}");
    assert_eq!(shown["claims"]["teams"], json!(["Engineering", "Chess"]));
    assert_eq!(shown["mapped"]["attributes"], json!({"department": "Sales"}));
    assert_eq!(shown["roles"]["given"][0]["name"], "Developer");
    assert_eq!(shown["roles"]["groups_without_role"], json!(["Chess"]));
    for (claims, decision, words) in [
        (json!({"email": "new@acme.example"}), "refuse", "does not add members"),
        (json!({"email": "viewer@acme.example", "email_verified": false}), "refuse", "is verified"),
        (json!({"email": "x@other.example"}), "refuse", "has not verified the domain"),
    ] {
        let shown = rehearse(claims).await.ok();
        assert_eq!(shown["decision"], decision, "{shown}");
        assert!(shown["explanation"].as_str().unwrap().contains(words), "{shown}");
    }
    world.change(provider, json!({"jit_provisioning": true})).await;
    let shown = rehearse(json!({"email": "new@acme.example"})).await.ok();
    assert_eq!((&shown["decision"], &shown["user_id"]), (&json!("create"), &Value::Null));
    // What is wrong with the protocol is told to whoever tries it out.
    let error = rehearse(json!({"aud": "another"})).await.error(401, "OIDC_TOKEN_REJECTED");
    assert!(error["message"].as_str().unwrap().contains("audience"), "{error}");

    let left = ["sso_identities", "sso_logins", "sso_states"];
    for table in left {
        assert_eq!(world.server.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(world.roles("viewer@acme.example").await, ["Viewer"]);
    world.stop().await;
}

async fn what_the_provider_refuses_is_told(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    crooked.says().answer = json!({"code": null, "error": "access_denied", "error_description": "Call 555-1234"});
    world.lied(provider, &crooked).await.error(401, "OIDC_TOKEN_REJECTED");
    assert_eq!(world.refusal().await, "the provider refused (access_denied)");
    crooked.says().answer = json!({"code": null});
    world.lied(provider, &crooked).await.error(401, "OIDC_TOKEN_REJECTED");
    crooked.says().answer = json!({"state": null});
    world.lied(provider, &crooked).await.invalid("state");
    world.stop().await;
}

async fn a_provider_that_does_not_answer_is_said_so(backend: Backend) {
    let world = World::start(backend).await;
    let body = json!({"provider_type": "oidc", "name": "Nobody", "issuer": "http://127.0.0.1:9", "client_id": "x"});
    let provider = world.register(&world.acme, body, json!({})).await;
    let anonymous = world.server.anonymous();
    anonymous.get(&format!("/api/v1/sso/login?provider_id={provider}")).await.error(502, "IDP_UNAVAILABLE");
    // It goes away between the start and the return.
    let crooked = Crooked::start().await;
    let over = json!({"name": "Going"});
    let provider = world.register(&world.acme, crooked.registration("Going"), over).await;
    crooked.says().document = json!({"token_endpoint": "http://127.0.0.1:9/token"});
    world.lied(provider, &crooked).await.error(502, "IDP_UNAVAILABLE");
    world.stop().await;
}

async fn a_provider_changes_its_key_when_it_likes(backend: Backend) {
    let world = World::start(backend).await;
    for keys_have_one_name in [false, true] {
        let crooked = Crooked::start().await;
        crooked.says().claims = json!({"sub": crooked.issuer, "email": "viewer@acme.example"});
        crooked.says().keys_have_one_name = keys_have_one_name;
        let registration = crooked.registration(&crooked.issuer);
        let provider = world.register(&world.acme, registration, json!({})).await;
        code_of(world.lied(provider, &crooked).await);
        crooked.says().has_another_key = true;
        // It looks once a minute at most.
        world.lied(provider, &crooked).await.error(401, "OIDC_TOKEN_REJECTED");
        world.server.clock().advance(chrono::Duration::seconds(61));
        code_of(world.lied(provider, &crooked).await);
        // The former one is worth nothing from then on.
        crooked.says().has_another_key = false;
        world.lied(provider, &crooked).await.error(401, "OIDC_TOKEN_REJECTED");
    }
    world.stop().await;
}

async fn a_provider_that_is_silent_for_a_while_lets_people_in(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let later = |time: chrono::Duration| {
        world.server.clock().advance(time);
        let now = world.server.platform.clock.now().timestamp();
        crooked.says().claims = json!({"email": "viewer@acme.example", "iat": now, "exp": now + 300});
    };
    later(chrono::Duration::zero());
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    code_of(world.lied(provider, &crooked).await);
    crooked.says().is_silent = true;
    // A token of a key that it has perhaps since a moment ago is none for now, and takes nothing from the others.
    later(chrono::Duration::seconds(61));
    crooked.says().signed = Signed::WithAnotherKey;
    world.lied(provider, &crooked).await.error(502, "IDP_UNAVAILABLE");
    crooked.says().signed = Signed::Honestly;
    code_of(world.lied(provider, &crooked).await);
    later(chrono::Duration::hours(2));
    code_of(world.lied(provider, &crooked).await);
    // After a day nobody knows whether the key is still its own.
    later(chrono::Duration::hours(22));
    let start = format!("/api/v1/sso/login?provider_id={provider}");
    world.server.anonymous().get(&start).await.error(502, "IDP_UNAVAILABLE");
    crooked.says().is_silent = false;
    code_of(world.lied(provider, &crooked).await);
    world.stop().await;
}

async fn too_many_starts_from_one_address_are_refused(backend: Backend) {
    let limits = "[limits]\nenabled = true\n[limits.rules]\nsso_start_by_ip = { limit = 2, per_seconds = 600 }\n";
    let world = World::with(backend, limits).await;
    let anonymous = world.server.anonymous();
    for _ in 0..2 {
        anonymous.get("/api/v1/sso/login?email=a@b.example").await.error(404, "SSO_NOT_CONFIGURED");
    }
    let refused = anonymous.get("/api/v1/sso/login?email=a@b.example").await;
    assert!(refused.headers.contains_key("retry-after"));
    refused.error(429, "RATE_LIMITED");
    world.stop().await;
}
