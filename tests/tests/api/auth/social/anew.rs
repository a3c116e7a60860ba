//! `GET /api/v1/auth/oauth/{provider}/url` with `anew`: somebody who signs in with a provider alone proves once more who they are;
//! against a provider that lies, and against the real one.

use rivergen_tests::{
    Answer, Backend, Client, Server,
    crooked::{CLIENT_ID, Crooked, SECRET},
    on_both_backends,
    provider::{Browser, FRONT_END},
};
use serde_json::{Value, json};
use url::Url;

use super::{World, handover_code, location};

on_both_backends! {
    whoever_signs_in_with_a_provider_proves_anew_there;
    a_sign_in_is_as_fresh_a_proof_as_the_provider_says;
    a_provider_that_does_not_say_that_it_asked_proves_nothing;
    nobody_else_comes_back;
    a_sign_in_of_a_proof_is_good_for_nothing_else;
    the_real_provider_says_when_it_asked;
}

const PROOFS: &str = "/api/v1/auth/proofs";

/// People sign in with a provider that says whatever is wanted.
struct Lied {
    crooked: Crooked,
    server: Server,
    /// Who has nothing but the provider; they came in eleven minutes ago.
    ada: Client,
}

impl Lied {
    async fn start(backend: Backend) -> Self {
        let crooked = Crooked::start().await;
        let settings = format!(
            "[social]\nredirect_targets = [\"{FRONT_END}\"]\n[social.corp]\nkind = \"oidc\"\ndisplay_name = \"Corp\"\n\
             issuer = \"{}\"\nclient_id = \"{CLIENT_ID}\"\nclient_secret = \"{SECRET}\"\n\
             [social.hub]\nkind = \"github\"\nclient_id = \"x\"\nclient_secret = \"x\"\n",
            crooked.issuer
        );
        let server = Server::start(backend, &settings).await;
        let ada = server.anonymous();
        let mut lied = Self { crooked, server, ada };
        let data = lied.enter(lied.through("", &lied.ada.clone(), json!({})).await).await;
        lied.ada = lied.person(&data);
        lied.server.clock().advance(chrono::Duration::minutes(11));
        lied
    }

    fn now(&self) -> i64 {
        self.server.platform.clock.now().timestamp()
    }

    /// What the callback answers when that is what the provider says, by the clock of the server.
    async fn through(&self, query: &str, caller: &Client, over: Value) -> Answer {
        let browser = Browser::new(&self.server);
        let started = browser.start("corp", &format!("redirect_to={FRONT_END}{query}"), caller).await.ok();
        let now = self.now();
        let mut claims = json!({"iat": now, "exp": now + 300, "auth_time": now});
        claims.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        self.crooked.says().claims = claims;
        let back = self.crooked.send_back(started["oauth_url"].as_str().unwrap());
        browser.client().get(&format!("{}?{}", back.path(), back.query().unwrap())).await
    }

    /// The same of Ada, who is asked anew: where the browser goes.
    async fn anew(&self, over: Value) -> String {
        location(self.through("&anew=true", &self.ada, over).await)
    }

    async fn enter(&self, callback: Answer) -> Value {
        let body = json!({"handover_code": handover_code(callback)});
        self.server.anonymous().post("/api/v1/auth/oauth/handover", body).await.ok()
    }

    fn person(&self, data: &Value) -> Client {
        let token = data["access_token"].as_str().unwrap_or_else(|| panic!("no token in {data}"));
        self.server.anonymous().with_token(token)
    }

    /// The last failed sign-in, as the audit log has it.
    async fn refusal(&self) -> String {
        let rows = "SELECT details FROM audit_log WHERE action = 'auth.login' AND outcome = 'failure' ORDER BY id DESC";
        self.server.rows(&format!("{rows} LIMIT 1")).await[0]["details"].as_str().unwrap().to_owned()
    }
}

/// What takes a proof that is not older than ten minutes.
async fn change(person: &Client) -> Answer {
    person.post("/api/v1/auth/tokens", json!({"name": "t", "scopes": ["admin"]})).await
}

async fn whoever_signs_in_with_a_provider_proves_anew_there(backend: Backend) {
    let lied = Lied::start(backend).await;
    change(&lied.ada).await.error(403, "REAUTHENTICATION_REQUIRED");
    let corp = json!({"provider": "corp", "display_name": "Corp", "kind": "oidc"});
    let ways = json!({"password": false, "passkey": false, "social": [corp], "sso": []});
    assert_eq!(lied.ada.get(PROOFS).await.ok(), ways);

    let browser = Browser::new(&lied.server);
    let asked = |started: Value| -> Url { started["oauth_url"].as_str().unwrap().parse().unwrap() };
    let wishes = |url: &Url| url.query_pairs().filter(|(name, _)| name == "prompt" || name == "max_age").count();
    let anew = asked(browser.start("corp", "anew=true", &lied.ada).await.ok());
    assert!(anew.as_str().contains("prompt=login&max_age=0"), "{anew}");
    assert_eq!(wishes(&asked(browser.start("corp", "", &lied.server.anonymous()).await.ok())), 0);

    let data = lied.enter(lied.through("&anew=true", &lied.ada, json!({})).await).await;
    assert_eq!((&data["is_new_user"], &data["provider"]), (&json!(false), &json!("corp")));
    change(&lied.person(&data)).await.created();
    // It is a session of its own.
    change(&lied.ada).await.error(403, "REAUTHENTICATION_REQUIRED");
    lied.server.stop().await;
}

async fn a_sign_in_is_as_fresh_a_proof_as_the_provider_says(backend: Backend) {
    let lied = Lied::start(backend).await;
    let (anonymous, now) = (lied.server.anonymous(), lied.now());
    let fresh = [json!(now), json!(now - 300), json!(now + 300)].map(|told| (told, true));
    // It has known them for longer, or says nothing.
    let old = [json!(now - 660), json!(now - 86_400), Value::Null].map(|told| (told, false));
    for (turn, (told, is_fresh)) in fresh.into_iter().chain(old).enumerate() {
        // Who gets an account by it, and who has one.
        for is_new in [true, false] {
            let email = format!("one{turn}@new.example");
            let claims = json!({"auth_time": told, "sub": email, "email": email});
            let data = lied.enter(lied.through("", &anonymous, claims).await).await;
            assert_eq!(data["is_new_user"], is_new);
            let answer = change(&lied.person(&data)).await;
            assert_eq!(answer.status == 201, is_fresh, "{told}: {}", answer.body);
            if !is_fresh {
                answer.error(403, "REAUTHENTICATION_REQUIRED");
            }
        }
    }
    lied.server.stop().await;
}

async fn a_provider_that_does_not_say_that_it_asked_proves_nothing(backend: Backend) {
    let lied = Lied::start(backend).await;
    for told in [Value::Null, json!(lied.now() - 3600), json!(lied.now() - 120)] {
        let back = lied.anew(json!({"auth_time": told})).await;
        assert_eq!(back, format!("{FRONT_END}?error=NOT_ASKED_ANEW"), "{told}");
        assert!(lied.refusal().await.contains("does not say that the person signed in just now"), "{told}");
    }
    // Of a usual sign-in nothing of the kind is wanted.
    let anonymous = lied.server.anonymous();
    lied.enter(lied.through("", &anonymous, json!({"auth_time": null})).await).await;

    // One that never says it is not asked for it.
    let browser = Browser::new(&lied.server);
    browser.start("hub", "anew=true", &lied.ada).await.invalid("anew");
    let connected = "INSERT INTO social_accounts (user_id, provider, subject, created_at) \
                     SELECT user_id, 'hub', '7', created_at FROM social_accounts";
    lied.server.execute(connected).await;
    assert_eq!(lied.ada.get(PROOFS).await.ok()["social"].as_array().unwrap().len(), 1);
    lied.server.stop().await;
}

async fn nobody_else_comes_back(backend: Backend) {
    let lied = Lied::start(backend).await;
    let bob = json!({"sub": "bob", "email": "bob@new.example"});
    let anonymous = lied.server.anonymous();
    lied.enter(lied.through("", &anonymous, bob.clone()).await).await;
    // Connected to somebody else, and one who would get an account.
    let carol = json!({"sub": "carol", "email": "carol@new.example"});
    for claims in [bob, carol] {
        assert_eq!(lied.anew(claims).await, format!("{FRONT_END}?error=ANOTHER_PERSON"));
        assert!(lied.refusal().await.contains("not the one who was asked"));
    }
    assert_eq!(lied.server.count("SELECT count(*) FROM users").await, 2);
    lied.server.stop().await;
}

async fn a_sign_in_of_a_proof_is_good_for_nothing_else(backend: Backend) {
    let lied = Lied::start(backend).await;
    let browser = Browser::new(&lied.server);
    browser.start("corp", "anew=true", &lied.server.anonymous()).await.error(401, "UNAUTHORIZED");
    let token = lied.ada.post("/api/v1/auth/tokens", json!({"name": "t", "scopes": ["read"]})).await.created();
    let program = lied.server.anonymous().with_token(token["token"].as_str().unwrap());
    browser.start("corp", "anew=true", &program).await.error(403, "FORBIDDEN");
    program.get(PROOFS).await.error(403, "FORBIDDEN");

    // It neither connects an account nor makes one.
    let proved = lied.enter(lied.through("&anew=true", &lied.ada, json!({})).await).await;
    let fresh = lied.person(&proved);
    let begun = async || browser.start("corp", "anew=true", &fresh).await.ok();
    let body = |begun: Value| json!({"provider": "corp", "code": "x", "state": begun["state"]});
    let link = "/api/v1/auth/social-accounts/corp";
    fresh.post(link, body(begun().await)).await.error(400, "INVALID_STATE");
    let now = lied.now();
    lied.crooked.says().claims = json!({"sub": "carol", "email": "carol@new.example", "iat": now, "exp": now + 300});
    let begun = begun().await;
    let code = lied.crooked.send_back(begun["oauth_url"].as_str().unwrap());
    let code = code.query_pairs().find(|(name, _)| name == "code").unwrap().1.into_owned();
    let body = json!({"provider": "corp", "code": code, "state": begun["state"]});
    lied.server.anonymous().post("/api/v1/auth/oauth/signup", body).await.error(403, "ANOTHER_PERSON");
    assert_eq!(lied.server.count("SELECT count(*) FROM users").await, 1);
    lied.server.stop().await;
}

async fn the_real_provider_says_when_it_asked(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let browser = world.browser();
    let back = browser.through("corp", "", "ada", &world.anonymous()).await;
    let ada = super::signed_in(&world, &browser.callback(&back).await.ok());
    change(&ada).await.error(403, "REAUTHENTICATION_REQUIRED");
    // The same browser, which the provider still knows.
    let query = format!("anew=true&redirect_to={FRONT_END}");
    let back = browser.through("corp", &query, "ada", &ada).await;
    let body = json!({"handover_code": handover_code(browser.callback(&back).await)});
    let proved = world.post("handover", body).await.ok();
    change(&super::signed_in(&world, &proved)).await.created();
    world.stop().await;
}
