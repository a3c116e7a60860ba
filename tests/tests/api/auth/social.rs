//! Social login, against a real OpenID provider on this machine: `/api/v1/auth/oauth/…` and
//! `/api/v1/auth/social-accounts`.

use rivergen_tests::{
    Answer, Backend, Client, Person, Server, on_both_backends,
    provider::{Browser, FRONT_END, Provider, Return, github, with_form},
};
use serde_json::{Value, json};

on_both_backends! {
    a_new_person_gets_an_account_and_signs_in_to_it_again;
    the_code_is_taken_by_login_and_by_signup;
    a_state_works_once_and_for_one_provider;
    another_browser_is_refused;
    an_answer_of_another_sign_in_is_refused;
    a_token_of_an_unknown_key_has_the_keys_read_anew;
    an_address_that_the_provider_has_not_verified_is_verified_by_mail;
    an_address_of_an_account_is_not_taken_over;
    a_verified_address_of_a_proved_domain_joins_its_organization;
    a_second_factor_is_still_asked_for;
    a_disabled_account_stays_closed;
    accounts_are_connected_and_disconnected;
    connecting_needs_a_recent_proof;
    providers_are_listed_and_others_refused;
    a_browser_is_sent_to_the_targets_alone;
    a_handover_code_works_once_and_for_a_minute;
    a_front_end_may_finish_by_itself;
    what_the_provider_refuses_is_told;
    new_accounts_need_open_signup_and_terms;
    github_counts_the_primary_verified_address;
    apple_posts_its_answer;
    an_address_that_is_not_permitted_is_not_reached;
}

/// A server whose people sign in with a provider.
struct World {
    provider: Provider,
    server: Server,
}

impl World {
    async fn start(backend: Backend, settings: &str) -> Option<Self> {
        let provider = Provider::start(&json!({}))?;
        let server = Server::start(backend, &format!("{}{settings}", provider.settings())).await;
        Some(Self { provider, server })
    }

    async fn stop(self) {
        self.server.stop().await;
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.server)
    }

    fn anonymous(&self) -> Client {
        self.server.anonymous()
    }

    /// A sign-in in a fresh browser, all the way.
    async fn sign_in(&self, login: &str) -> Answer {
        let browser = self.browser();
        let back = browser.through("corp", "", login, &self.anonymous()).await;
        browser.callback(&back).await
    }

    /// The provider's code for one of the operations that take it.
    async fn body(&self, login: &str) -> Value {
        body(&self.browser().through("corp", "", login, &self.anonymous()).await)
    }

    async fn post(&self, operation: &str, body: Value) -> Answer {
        self.anonymous().post(&format!("/api/v1/auth/oauth/{operation}"), body).await
    }

    /// Connects the provider to somebody's account.
    async fn link(&self, person: &Client, login: &str) -> Answer {
        let back = self.browser().through("corp", "", login, person).await;
        let body = json!({"code": back.value("code"), "state": back.value("state")});
        person.post("/api/v1/auth/social-accounts/corp", body).await
    }
}

fn body(back: &Return) -> Value {
    json!({"provider": "corp", "code": back.value("code"), "state": back.value("state")})
}

async fn accounts(person: &Client) -> Vec<Value> {
    let data = person.get("/api/v1/auth/social-accounts").await.ok();
    let accounts = data["accounts"].as_array().unwrap().clone();
    assert_eq!(data["total"], accounts.len());
    accounts
}

fn signed_in(world: &World, data: &Value) -> Client {
    world.anonymous().with_token(data["access_token"].as_str().unwrap_or_else(|| panic!("no token in {data}")))
}

async fn a_verified_address_of_a_proved_domain_joins_its_organization(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let people = world.server.organization("People").await;
    let proved = "UPDATE organization_domains SET status = 'verified', auto_join = TRUE, verified_at = created_at, \
                  checked_at = created_at WHERE domain = 'people.example'";
    world.server.execute(proved).await;
    let new = world.sign_in("ada").await.ok();
    let listed = signed_in(&world, &new).get("/api/v1/organizations").await.ok();
    let ids: Vec<_> = listed["organizations"].as_array().unwrap().iter().map(|one| one["id"].as_i64()).collect();
    assert!(ids.contains(&Some(people.id)) && ids.len() == 2, "{listed}");
    assert_eq!(world.server.audited("member.join", "success").await, 1);
    world.stop().await;
}

async fn a_new_person_gets_an_account_and_signs_in_to_it_again(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let browser = world.browser();
    let started = browser.start("corp", "state=from%20the%20client", &world.anonymous()).await;
    let cookie = started.headers["set-cookie"].to_str().unwrap().to_owned();
    assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");
    let started = started.ok();
    assert_eq!(started["provider"], "corp");
    let oauth_url = started["oauth_url"].as_str().unwrap();
    assert!(oauth_url.contains("code_challenge_method=S256") && oauth_url.contains("nonce="), "{oauth_url}");
    assert!(!oauth_url.contains("client_secret") && !started["state"].to_string().contains("client"), "{started}");

    let back = browser.visit(oauth_url, "ada").await;
    assert_eq!(back.value("state"), started["state"].as_str().unwrap());
    let answer = browser.callback(&back).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let new = answer.ok();
    assert_eq!((new["is_new_user"].as_bool(), new["provider"].as_str()), (Some(true), Some("corp")));
    assert_eq!((new["email"].as_str(), new["display_name"].as_str()), (Some("ada@people.example"), Some("Person ada")));
    assert_eq!((new["state"].as_str(), new["token_type"].as_str()), (Some("from the client"), Some("bearer")));
    let seen = world.provider.seen().await;
    let grant = json!({"client": "corp", "challenge_method": "S256", "verified": true, "nonce": true});
    assert_eq!(seen, json!([grant]));

    let ada = signed_in(&world, &new);
    let me = ada.get("/api/v1/auth/me").await.ok();
    assert_eq!(me["organizations"].as_array().unwrap().len(), 1, "{me}");
    assert_eq!(me["security"]["connected_providers"], json!(["corp"]));
    let [account] = &accounts(&ada).await[..] else { panic!("one account") };
    assert_eq!((account["provider"].as_str(), account["email"].as_str()), (Some("corp"), Some("ada@people.example")));
    assert_eq!(world.server.audited("auth.signup", "success").await, 1);

    let again = world.sign_in("ada").await.ok();
    assert_eq!((&again["user_id"], again["is_new_user"].as_bool()), (&new["user_id"], Some(false)));
    assert_eq!(world.server.audited("auth.login", "success").await, 1);
    assert_eq!(world.server.count("SELECT count(*) FROM social_states").await, 0);
    assert_eq!(world.server.count("SELECT count(*) FROM users").await, 1);
    world.stop().await;
}

async fn the_code_is_taken_by_login_and_by_signup(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let new = world.post("signup", world.body("ada").await).await.created();
    assert_eq!((new["is_new_user"].as_bool(), new["email"].as_str()), (Some(true), Some("ada@people.example")));
    world.post("signup", world.body("ada").await).await.error(409, "EMAIL_TAKEN");
    // Another person there with the same address.
    world.post("signup", world.body("eve~ada@people.example").await).await.error(409, "EMAIL_TAKEN");
    let again = world.post("login", world.body("ada").await).await.ok();
    assert_eq!((&again["user_id"], again["is_new_user"].as_bool()), (&new["user_id"], Some(false)));
    let other = world.post("login", world.body("bob").await).await.ok();
    assert_eq!(other["is_new_user"], true);

    world.post("login", json!({"provider": "corp", "code": "c"})).await.invalid("state");
    world.post("login", json!({"provider": "corp", "code": "", "state": "s"})).await.invalid("code");
    world.post("login", json!({"provider": "nobody", "code": "c", "state": "s"})).await.error(400, "INVALID_PROVIDER");
    let mut wrong = world.body("ada").await;
    wrong["code"] = json!("made up");
    world.post("login", wrong).await.error(400, "SOCIAL_LOGIN_FAILED");
    let mut wrong = world.body("carol").await;
    wrong["code"] = json!("made up");
    world.post("signup", wrong).await.error(400, "SOCIAL_SIGNUP_FAILED");
    assert_eq!(world.server.audited("auth.login", "failure").await, 3);
    world.stop().await;
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
    // Under the name of the one that it knows it is a forgery.
    world.server.clock().advance(chrono::Duration::seconds(61));
    world = restart(world, "the second");
    world.sign_in("ada").await.error(400, "SOCIAL_LOGIN_FAILED");
    world.stop().await;
}

async fn an_address_that_the_provider_has_not_verified_is_verified_by_mail(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let login = "eve~eve@new.example~unverified";
    let pending = world.post("signup", world.body(login).await).await.created();
    assert_eq!((pending["email_verification_required"].as_bool(), pending.get("access_token")), (Some(true), None));
    assert_eq!((pending["is_new_user"].as_bool(), pending["email"].as_str()), (Some(true), Some("eve@new.example")));
    let pending = world.post("login", world.body(login).await).await.ok();
    assert_eq!((pending["email_verification_required"].as_bool(), pending.get("access_token")), (Some(true), None));
    let browser = world.browser();
    let back = browser.through("corp", &format!("redirect_to={FRONT_END}"), login, &world.anonymous()).await;
    let location = location(browser.callback(&back).await);
    assert_eq!(location, format!("{FRONT_END}?error=EMAIL_NOT_VERIFIED"));

    let token = world.server.mailbox().token("eve@new.example", 1).await;
    world.anonymous().post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    let data = world.post("login", world.body(login).await).await.ok();
    signed_in(&world, &data).get("/api/v1/auth/me").await.ok();

    // An address that somebody has, claimed by an account there that never proved it.
    world.server.newcomer("ada@new.example").await;
    let login = "mallory~ada@new.example~unverified";
    world.post("login", world.body(login).await).await.error(409, "EMAIL_TAKEN");
    world.post("signup", world.body(login).await).await.error(409, "EMAIL_TAKEN");
    assert_eq!(world.server.count("SELECT count(*) FROM users").await, 2);
    world.stop().await;
}

async fn an_address_of_an_account_is_not_taken_over(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let ada = world.server.newcomer("ada@new.example").await;
    let login = "ada~ada@new.example";
    let error = world.post("login", world.body(login).await).await.error(409, "EMAIL_TAKEN");
    assert!(error["message"].as_str().unwrap().contains("Sign in to it"), "{error}");
    world.sign_in(login).await.error(409, "EMAIL_TAKEN");
    assert_eq!(accounts(&ada.client).await.len(), 0);

    let linked = world.link(&ada.client, login).await.created();
    assert_eq!((linked["provider"].as_str(), &linked["last_used_at"]), (Some("corp"), &Value::Null));
    let data = world.sign_in(login).await.ok();
    assert_eq!((data["user_id"].as_i64(), data["is_new_user"].as_bool()), (Some(ada.id), Some(false)));
    assert!(accounts(&ada.client).await[0]["last_used_at"].is_string());
    world.stop().await;
}

/// The code in the `count`th mail to the address.
async fn mailed_code(server: &Server, address: &str, count: usize) -> String {
    let text = words(&server.mailbox().nth_to(address, count).await.text);
    text.split("your code is ").nth(1).unwrap_or_else(|| panic!("{text}")).chars().take(6).collect()
}

/// A mail's text in one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Sets codes by mail up as a second factor.
async fn set_up_email_codes(server: &Server, person: &Person, mails_before: usize) {
    person.client.post_empty("/api/v1/mfa/email-otp/setup").await.ok();
    let code = mailed_code(server, &person.email, mails_before + 1).await;
    person.client.post("/api/v1/mfa/email-otp/verify", json!({"code": code})).await.ok();
}

async fn a_second_factor_is_still_asked_for(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let ada = world.server.newcomer("ada@new.example").await;
    world.link(&ada.client, "ada").await.created();
    world.server.mailbox().nth_to("ada@new.example", 2).await;
    set_up_email_codes(&world.server, &ada, 2).await;

    let login = world.post("login", world.body("ada").await).await.ok();
    let callback = world.sign_in("ada").await.ok();
    let browser = world.browser();
    let back = browser.through("corp", &format!("redirect_to={FRONT_END}"), "ada", &world.anonymous()).await;
    let code = handover_code(browser.callback(&back).await);
    let handover = world.post("handover", json!({"handover_code": code})).await.ok();
    for answer in [&login, &callback, &handover] {
        assert_eq!(answer["mfa_required"], true, "{answer}");
        assert!(answer.get("access_token").is_none() && answer["mfa_methods"][0] == "email_otp", "{answer}");
        assert_eq!((answer["provider"].as_str(), answer["is_new_user"].as_bool()), (Some("corp"), Some(false)));
    }
    let token = handover["temporary_token"].clone();
    let choice = json!({"temporary_token": token, "method": "email_otp"});
    let chosen = world.anonymous().post("/api/v1/auth/mfa/otp/generate", choice).await.ok();
    let code = mailed_code(&world.server, "ada@new.example", 5).await;
    let second = json!({"temporary_token": chosen["temporary_token"], "code": code});
    let data = world.anonymous().post("/api/v1/auth/mfa/verify", second).await.ok();
    assert_eq!(world.server.count("SELECT count(*) FROM sessions WHERE amr = 'fed otp mfa'").await, 1);
    signed_in(&world, &data).get("/api/v1/auth/me").await.ok();
    world.stop().await;
}

async fn a_disabled_account_stays_closed(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    world.sign_in("ada").await.ok();
    world.server.execute("UPDATE users SET disabled_at = created_at").await;
    world.sign_in("ada").await.error(403, "USER_DISABLED");
    world.post("login", world.body("ada").await).await.error(403, "USER_DISABLED");
    assert_eq!(world.server.audited("auth.login", "failure").await, 2);
    world.stop().await;
}

async fn accounts_are_connected_and_disconnected(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let (ada, bob) = (world.server.newcomer("ada@new.example").await, world.server.newcomer("bob@new.example").await);
    world.link(&ada.client, "ada").await.created();
    let mail = world.server.mailbox().nth_to("ada@new.example", 2).await;
    assert!(words(&mail.text).contains("your account at corp can be used to sign in"), "{}", mail.text);
    assert_eq!(world.server.audited("user.link_social_account", "success").await, 1);

    // Again is no fault; another account there is, and so is that of somebody else.
    world.link(&ada.client, "ada").await.created();
    world.link(&ada.client, "ada-at-work").await.error(409, "CONFLICT");
    world.link(&bob.client, "ada").await.error(409, "SOCIAL_ACCOUNT_IN_USE");

    // A state is its person's alone, and good for nothing but to connect.
    let back = world.browser().through("corp", "", "bob", &ada.client).await;
    let link = json!({"code": back.value("code"), "state": back.value("state")});
    bob.client.post("/api/v1/auth/social-accounts/corp", link).await.error(400, "INVALID_STATE");
    world.post("login", body(&back)).await.error(400, "INVALID_STATE");
    let nobodys = world.body("bob").await;
    let link = json!({"code": nobodys["code"], "state": nobodys["state"]});
    bob.client.post("/api/v1/auth/social-accounts/corp", link).await.error(400, "INVALID_STATE");

    let unlink = async |person: &Client| {
        person.send(person.request(reqwest::Method::DELETE, "/api/v1/auth/social-accounts/corp")).await
    };
    unlink(&bob.client).await.error(404, "SOCIAL_ACCOUNT_NOT_FOUND");
    unlink(&ada.client).await.no_content();
    assert_eq!(accounts(&ada.client).await.len(), 0);
    let mail = world.server.mailbox().nth_to("ada@new.example", 3).await;
    assert!(words(&mail.text).contains("can no longer be used"), "{}", mail.text);
    assert_eq!(world.server.audited("user.unlink_social_account", "success").await, 1);
    unlink(&ada.client).await.error(404, "SOCIAL_ACCOUNT_NOT_FOUND");

    // Somebody who has nothing else keeps it.
    let data = world.sign_in("carol").await.ok();
    let carol = signed_in(&world, &data);
    unlink(&carol).await.error(409, "LAST_LOGIN_METHOD");
    assert_eq!(accounts(&carol).await.len(), 1);
    let other = format!(
        "INSERT INTO social_accounts (user_id, provider, subject, created_at) \
         SELECT user_id, 'gone', 'x', created_at FROM social_accounts WHERE user_id = {}",
        data["user_id"]
    );
    world.server.execute(&other).await;
    // A provider that this server has no credentials for is no way in.
    unlink(&carol).await.error(409, "LAST_LOGIN_METHOD");
    world.server.execute("UPDATE users SET password_hash = 'x' WHERE password_hash IS NULL").await;
    unlink(&carol).await.no_content();
    world.stop().await;
}

async fn connecting_needs_a_recent_proof(backend: Backend) {
    let Some(world) = World::start(backend, "").await else { return };
    let ada = world.server.newcomer("ada@new.example").await;
    world.server.clock().advance(chrono::Duration::minutes(11));
    world.link(&ada.client, "ada").await.error(403, "REAUTHENTICATION_REQUIRED");
    let path = "/api/v1/auth/social-accounts/corp";
    let delete = ada.client.request(reqwest::Method::DELETE, path);
    ada.client.send(delete).await.error(403, "REAUTHENTICATION_REQUIRED");
    let ada = world.server.sign_in("ada@new.example").await;
    world.link(&ada.client, "ada").await.created();
    world.anonymous().get("/api/v1/auth/social-accounts").await.error(401, "UNAUTHORIZED");
    let link = json!({"code": "c", "state": "s"});
    world.anonymous().post(path, link.clone()).await.error(401, "UNAUTHORIZED");
    ada.client.post("/api/v1/auth/social-accounts/nobody", link).await.error(400, "INVALID_PROVIDER");
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

/// Where a callback sends the browser; no token may stand there.
#[track_caller]
fn location(answer: Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(answer.headers["cache-control"] == "no-store" && answer.headers["referrer-policy"] == "no-referrer");
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    assert!(!location.contains("access_token") && !location.contains("eyJ"), "{location}");
    location
}

#[track_caller]
fn handover_code(answer: Answer) -> String {
    let location = location(answer);
    let query = location.strip_prefix(&format!("{FRONT_END}?handover_code=")).unwrap_or_else(|| panic!("{location}"));
    query.split('&').next().unwrap().to_owned()
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
    assert_eq!(accounts(&bob.client).await.len(), 1);

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

async fn new_accounts_need_open_signup_and_terms(backend: Backend) {
    let Some(world) = World::start(backend, "[signup]\nterms_version = \"2.0\"\n").await else { return };
    world.post("login", world.body("ada").await).await.invalid("agree_to_terms");
    world.post("signup", world.body("ada").await).await.invalid("agree_to_terms");
    let mut outdated = world.body("ada").await;
    outdated["agree_to_terms"] = json!(true);
    outdated["terms_version"] = json!("1.0");
    world.post("signup", outdated).await.invalid("terms_version");
    // Accepted at the start, for the callback.
    let browser = world.browser();
    let back = browser.through("corp", "agree_to_terms=true", "ada", &world.anonymous()).await;
    browser.callback(&back).await.ok();
    assert_eq!(world.server.count("SELECT count(*) FROM users WHERE terms_version = '2.0'").await, 1);
    // Who has an account has accepted them before.
    world.sign_in("ada").await.ok();
    world.stop().await;

    let Some(world) = World::start(backend, "[signup]\nopen = false\n").await else { return };
    world.post("signup", world.body("ada").await).await.error(403, "FORBIDDEN");
    world.sign_in("ada").await.error(403, "FORBIDDEN");
    assert_eq!(world.server.count("SELECT count(*) FROM users").await, 0);
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
