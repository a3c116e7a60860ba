//! Whom one becomes by a social login: new accounts, known ones, and those that are connected to a provider.

use rivergen_tests::{Backend, Client, Person, Server, on_both_backends, provider::FRONT_END};
use serde_json::{Value, json};

use super::{World, accounts_of, body, handover_code, location, signed_in, words};

on_both_backends! {
    a_new_person_gets_an_account_and_signs_in_to_it_again;
    the_code_is_taken_by_login_and_by_signup;
    an_address_that_the_provider_has_not_verified_is_verified_by_mail;
    an_address_of_an_account_is_not_taken_over;
    a_verified_address_of_a_proved_domain_joins_its_organization;
    a_second_factor_is_still_asked_for;
    a_disabled_account_stays_closed;
    accounts_are_connected_and_disconnected;
    connecting_needs_a_recent_proof;
    new_accounts_need_open_signup_and_terms;
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
    let [account] = &accounts_of(&ada).await[..] else { panic!("one account") };
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
    assert_eq!(accounts_of(&ada.client).await.len(), 0);

    let linked = world.link(&ada.client, login).await.created();
    assert_eq!((linked["provider"].as_str(), &linked["last_used_at"]), (Some("corp"), &Value::Null));
    let data = world.sign_in(login).await.ok();
    assert_eq!((data["user_id"].as_i64(), data["is_new_user"].as_bool()), (Some(ada.id), Some(false)));
    assert!(accounts_of(&ada.client).await[0]["last_used_at"].is_string());
    world.stop().await;
}

/// The code in the `count`th mail to the address.
async fn mailed_code(server: &Server, address: &str, count: usize) -> String {
    let text = words(&server.mailbox().nth_to(address, count).await.text);
    text.split("Your code is ").nth(1).unwrap_or_else(|| panic!("{text}")).chars().take(6).collect()
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
    assert!(words(&mail.text).contains("account at corp can now be used to sign in"), "{}", mail.text);
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
    assert_eq!(accounts_of(&ada.client).await.len(), 0);
    let mail = world.server.mailbox().nth_to("ada@new.example", 3).await;
    assert!(words(&mail.text).contains("can no longer be used"), "{}", mail.text);
    assert_eq!(world.server.audited("user.unlink_social_account", "success").await, 1);
    unlink(&ada.client).await.error(404, "SOCIAL_ACCOUNT_NOT_FOUND");

    // Somebody who has nothing else keeps it.
    let data = world.sign_in("carol").await.ok();
    let carol = signed_in(&world, &data);
    unlink(&carol).await.error(403, "REAUTHENTICATION_REQUIRED");
    let browser = world.browser();
    let back = browser.through("corp", "anew=true", "carol", &carol).await;
    let carol = signed_in(&world, &browser.callback(&back).await.ok());
    unlink(&carol).await.error(409, "LAST_LOGIN_METHOD");
    assert_eq!(accounts_of(&carol).await.len(), 1);
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
