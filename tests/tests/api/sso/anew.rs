//! `GET /api/v1/auth/proofs`, and `GET /api/v1/sso/login` with `anew`: somebody who comes in through a provider alone proves once
//! more who they are.

use super::*;
use rivergen_tenancy::provision;
use rivergen_tests::on_both_backends;

on_both_backends! {
    whoever_comes_in_through_a_provider_proves_anew_there;
    a_sign_in_is_as_fresh_a_proof_as_the_provider_says;
    a_second_factor_that_is_given_here_is_a_fresh_proof;
    a_provider_that_does_not_say_that_it_asked_proves_nothing;
    nobody_else_comes_back;
    only_who_is_linked_is_asked_anew;
    a_provider_that_vouches_for_a_part_of_the_account_is_no_way;
    a_fresh_second_factor_is_asked_for_on_a_trusted_device;
}

const PROOFS: &str = "/api/v1/auth/proofs";

fn start(provider: i64) -> String {
    format!("/api/v1/sso/login?response_mode=json&anew=true&provider_id={provider}")
}

/// What takes a proof that is not older than ten minutes.
pub async fn change(person: &Client) -> Answer {
    person.post("/api/v1/auth/tokens", json!({"name": "t", "scopes": ["admin"]})).await
}

impl World {
    /// Has a provider ask somebody anew, in the browser: its address.
    pub async fn ask_anew(&self, browser: &Browser, provider: i64, person: &Client) -> String {
        let started = browser.client().with_token(person.token()).get(&start(provider)).await.ok();
        started["authorization_url"].as_str().unwrap().to_owned()
    }

    /// Lets the lying provider say it of the Viewer, by the clock of the server.
    fn let_say(&self, crooked: &Crooked, over: Value) {
        let now = self.now();
        let mut claims = json!({"email": self.acme.viewer.email, "iat": now, "exp": now + 300, "auth_time": now});
        claims.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        crooked.says().claims = claims;
    }

    fn now(&self) -> i64 {
        self.server.platform.clock.now().timestamp()
    }

    /// What the callback answers when that is what the provider says of whom it was to ask anew.
    async fn asked_anew(&self, provider: i64, crooked: &Crooked, person: &Client, over: Value) -> Answer {
        let browser = self.browser();
        let address = self.ask_anew(&browser, provider, person).await;
        self.let_say(crooked, over);
        browser.client().get(&path_of(&crooked.send_back(&address))).await
    }

    /// The Viewer, come in through the lying provider eleven minutes ago.
    async fn viewer_of(&self, provider: i64, crooked: &Crooked) -> Client {
        self.let_say(crooked, json!({}));
        let person = self.person(&self.enter(self.lied(provider, crooked).await).await);
        self.server.clock().advance(chrono::Duration::minutes(11));
        person
    }
}

async fn whoever_comes_in_through_a_provider_proves_anew_there(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let person = world.viewer_of(provider, &crooked).await;
    change(&person).await.error(403, "REAUTHENTICATION_REQUIRED");
    let ways =
        json!({"password": true, "passkey": false, "social": [], "sso": [{"provider_id": provider, "name": "One"}]});
    assert_eq!(person.get(PROOFS).await.ok(), ways);

    let browser = world.browser();
    let address = world.ask_anew(&browser, provider, &person).await;
    for wish in ["prompt=login", "max_age=0", "login_hint=viewer%40acme.example"] {
        assert!(address.contains(wish), "no {wish} in {address}");
    }
    let usual = world.begin(&browser, &format!("provider_id={provider}")).await;
    assert!(!usual.contains("prompt=") && !usual.contains("max_age="), "{usual}");
    world.let_say(&crooked, json!({}));
    let proved = world.enter(browser.client().get(&path_of(&crooked.send_back(&address))).await).await;
    assert_eq!(proved["user"]["id"], world.acme.viewer.id);
    change(&world.person(&proved)).await.created();
    // It is a session of its own.
    change(&person).await.error(403, "REAUTHENTICATION_REQUIRED");
    assert_eq!(world.server.count("SELECT count(*) FROM sso_identities").await, 1);

    // Who has nothing else has this.
    world.server.execute("UPDATE users SET password_hash = NULL").await;
    assert_eq!(person.get(PROOFS).await.ok()["password"], false);
    world.stop().await;
}

async fn a_sign_in_is_as_fresh_a_proof_as_the_provider_says(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let now = world.now();
    // One that says nothing, or that has known them since yesterday, lets them in, and proves nothing. A clock may be ahead.
    let told = [(json!(now), true), (json!(now - 300), true), (json!(now + 300), true)];
    let yesterday = [(json!(now - 660), false), (json!(now - 86_400), false), (Value::Null, false)];
    for (told, is_fresh) in told.into_iter().chain(yesterday) {
        world.let_say(&crooked, json!({"auth_time": told}));
        let person = world.person(&world.enter(world.lied(provider, &crooked).await).await);
        person.post("/api/v1/auth/tokens", json!({"name": "t", "scopes": ["read"]})).await.created();
        let answer = change(&person).await;
        assert_eq!(answer.status == StatusCode::CREATED, is_fresh, "{told}: {}", answer.body);
        if !is_fresh {
            answer.error(403, "REAUTHENTICATION_REQUIRED");
        }
    }
    // It is asked for there, and is one then.
    let person = world.viewer_of(provider, &crooked).await;
    let proved = world.enter(world.asked_anew(provider, &crooked, &person, json!({})).await).await;
    change(&world.person(&proved)).await.created();
    world.stop().await;
}

async fn a_second_factor_that_is_given_here_is_a_fresh_proof(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let app = world.acme.viewer.authenticator_app(&world.server).await;
    world.let_say(&crooked, json!({"auth_time": null}));
    let pending = world.enter(world.lied(provider, &crooked).await).await;
    let body = json!({"temporary_token": pending["temporary_token"], "code": app.next_code(&world.server)});
    let proved = world.server.anonymous().post("/api/v1/auth/mfa/verify", body).await.ok();
    change(&world.person(&proved)).await.created();
    // That of the provider is no fresher than the rest of what it says.
    world.let_say(&crooked, json!({"auth_time": world.now() - 3600, "amr": ["mfa"]}));
    let data = world.enter(world.lied(provider, &crooked).await).await;
    change(&world.person(&data)).await.error(403, "REAUTHENTICATION_REQUIRED");
    world.stop().await;
}

async fn a_provider_that_does_not_say_that_it_asked_proves_nothing(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let person = world.viewer_of(provider, &crooked).await;
    for told in [Value::Null, json!(world.now() - 3600), json!(world.now() - 120)] {
        let answer = world.asked_anew(provider, &crooked, &person, json!({"auth_time": told})).await;
        answer.error(403, "NOT_ASKED_ANEW");
        assert!(world.refusal().await.contains("does not say that the person signed in just now"), "{told}");
    }
    // Of a usual sign-in nothing of the kind is wanted.
    world.let_say(&crooked, json!({"auth_time": null}));
    world.enter(world.lied(provider, &crooked).await).await;
    world.stop().await;
}

async fn nobody_else_comes_back(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({"jit_provisioning": true})).await;
    let person = world.viewer_of(provider, &crooked).await;
    let developer = json!({"sub": "dev", "email": world.acme.developer.email});
    world.let_say(&crooked, developer.clone());
    world.enter(world.lied(provider, &crooked).await).await;
    // Linked to somebody else, one who would be linked, and one who would become a member.
    let owner = json!({"sub": "own", "email": world.acme.owner.email});
    let nobody = json!({"sub": "nobody", "email": "nobody@acme.example"});
    for claims in [developer, owner, nobody.clone()] {
        world.asked_anew(provider, &crooked, &person, claims).await.error(403, "ANOTHER_PERSON");
        assert!(world.refusal().await.contains("not the one who was asked"));
    }
    assert_eq!(world.server.count("SELECT count(*) FROM sso_identities").await, 2);
    let made = "SELECT count(*) FROM user_emails WHERE email = 'nobody@acme.example'";
    assert_eq!(world.server.count(made).await, 0);

    // The page that waits for them is told.
    let browser = world.browser();
    let at = format!("{}&redirect_uri={FRONT_END}/anew&state=mine", start(provider));
    let started = browser.client().with_token(person.token()).get(&at).await.ok();
    world.let_say(&crooked, nobody);
    let path = path_of(&crooked.send_back(started["authorization_url"].as_str().unwrap()));
    let request = browser.client().request(reqwest::Method::GET, &path).header("accept", "text/html");
    let answer = browser.client().send(request).await;
    assert_eq!(location(&answer).as_str(), format!("{FRONT_END}/anew?error=ANOTHER_PERSON&state=mine"));
    world.stop().await;
}

async fn only_who_is_linked_is_asked_anew(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let person = world.viewer_of(provider, &crooked).await;
    world.server.anonymous().get(&start(provider)).await.error(401, "UNAUTHORIZED");
    world.server.anonymous().get(PROOFS).await.error(401, "UNAUTHORIZED");
    let stranger = &world.acme.developer.client;
    stranger.get(&start(provider)).await.error(404, "SSO_NOT_CONFIGURED");
    assert_eq!(stranger.get(PROOFS).await.ok()["sso"], json!([]));
    person.get(&start(provider + 1)).await.error(404, "SSO_NOT_CONFIGURED");
    person.get("/api/v1/sso/login?anew=true&email=viewer@acme.example").await.invalid("provider_id");
    let token = person.post("/api/v1/auth/tokens", json!({"name": "t", "scopes": ["read"]})).await.created();
    let program = world.server.anonymous().with_token(token["token"].as_str().unwrap());
    program.get(&start(provider)).await.error(403, "FORBIDDEN");
    program.get(PROOFS).await.error(403, "FORBIDDEN");

    let owner = world.server.sign_in(&world.acme.owner.email).await.client;
    owner.put(&format!("/api/v1/sso/providers/{provider}"), json!({"status": "inactive"})).await.ok();
    person.get(&start(provider)).await.error(404, "SSO_NOT_CONFIGURED");
    assert_eq!(person.get(PROOFS).await.ok()["sso"], json!([]));
    world.stop().await;
}

async fn a_provider_that_vouches_for_a_part_of_the_account_is_no_way(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let person = world.viewer_of(provider, &crooked).await;
    let globex = json!({"name": "Globex", "people": [{"email": "owner@globex.example", "role": "Owner"},
        {"email": world.acme.viewer.email, "role": "Viewer"}]});
    provision::run(&world.server.tenancy, serde_json::from_value(globex).unwrap()).await.unwrap();
    assert_eq!(person.get(PROOFS).await.ok()["sso"], json!([]));
    person.get(&start(provider)).await.error(404, "SSO_NOT_CONFIGURED");
    world.stop().await;
}

async fn a_fresh_second_factor_is_asked_for_on_a_trusted_device(backend: Backend) {
    let world = World::start(backend).await;
    let crooked = Crooked::start().await;
    let provider = world.register(&world.acme, crooked.registration("One"), json!({})).await;
    let app = world.acme.viewer.authenticator_app(&world.server).await;
    let (device, _) = crate::devices::trusted(&world.server, &world.acme.viewer, &app).await;
    let enter = async |ask: bool| {
        world.let_say(&crooked, json!({}));
        let code = code_of(world.lied(provider, &crooked).await);
        let body = json!({"code": code, "redirect_uri": FRONT_END, "ask_second_factor": ask});
        let client = world.server.anonymous();
        let request = client.request(reqwest::Method::POST, "/api/v1/sso/token").header("x-device-token", &device);
        client.send(request.json(&body)).await.ok()
    };
    assert!(enter(false).await["access_token"].is_string());
    assert_eq!(enter(true).await["mfa_required"], true);
    world.stop().await;
}
