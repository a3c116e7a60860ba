//! `GET` and `POST /oauth/authorize`, `POST /api/v1/oauth/authorize`, `GET /api/v1/oauth/app-info`

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rivergen_tests::{Answer, Server, on_both_databases};
use serde_json::{Value, json};

use super::{App, Browser, CALLBACK, Pkce, STATE, answer_of, field, granted, location, post, text};
use crate::sso::enforced;

on_both_databases! {
    a_person_signs_in_and_agrees;
    consent_is_remembered_for_each_scope;
    a_person_says_no;
    the_second_factor_is_asked_for;
    a_wrong_password_is_told_on_the_page;
    a_silent_request_never_shows_a_page;
    a_sign_in_may_be_asked_for_again;
    nobody_but_whom_the_application_means_is_taken;
    who_signed_in_elsewhere_comes_back;
    a_new_sign_in_elsewhere_is_a_new_one;
    an_account_is_chosen_anew;
    the_answer_is_posted_where_the_application_wants_it;
    a_request_at_an_address_is_not_fetched;
    a_stranger_cannot_agree;
    a_preapproved_application_reads_unasked;
    the_organization_says_what_members_may_allow;
    a_front_end_asks_itself;
    an_application_is_shown_to_whom_it_asks;
    a_request_is_sent_beforehand;
    an_application_signs_a_person_out;
    who_left_and_came_back_is_asked_anew;
    an_application_posts_its_request;
}

async fn a_person_signs_in_and_agrees(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.open(&app.request(&pkce, &[("nonce", "n-0S6")])).await;
    assert!(page.body.as_str().unwrap().contains("Sign in to RiverGen"));
    let page = browser.sign_in(&page, &acme.viewer.email).await;
    let html = page.body.as_str().unwrap();
    for shown in ["Reporting asks to act for you", "Acme", "app.acme.example", &acme.viewer.email, "See your name"] {
        assert!(html.contains(shown), "no {shown} in {html}");
    }
    let to = location(&browser.decide(&page, true).await);
    assert!(to.starts_with(&format!("{CALLBACK}?code=")), "{to}");
    assert_eq!(answer_of(&to, "state").as_deref(), Some(STATE));
    assert_eq!(answer_of(&to, "iss").as_deref(), Some(server.url()));
    let tokens = granted(app.exchange(&answer_of(&to, "code").unwrap(), &pkce).await);
    assert_eq!((text(&tokens, "token_type"), text(&tokens, "scope")), ("Bearer", "openid profile email read"));
    let me = app.caller(&tokens).get("/oauth/userinfo").await;
    let me = granted(me);
    assert_eq!(
        (text(&me, "sub"), text(&me, "email")),
        (acme.viewer.id.to_string().as_str(), acme.viewer.email.as_str())
    );
    app.caller(&tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    assert_eq!(server.audited("oauth.authorize", "success").await, 1);
    // Used up.
    let again = browser.decide(&page, true).await;
    assert_eq!(again.status, 400, "{}", again.body);
}

async fn consent_is_remembered_for_each_scope(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    browser.agree(&app.request(&pkce, &[]), &acme.viewer.email).await;
    // The same and less: at once.
    assert!(answer_of(&location(&browser.open(&app.request(&pkce, &[])).await), "code").is_some());
    location(&browser.open(&app.request(&pkce, &[("scope", "openid")])).await);
    // More, and where the application wants it: asked again.
    for more in [("scope", "openid write"), ("prompt", "consent")] {
        let page = browser.open(&app.request(&pkce, &[more])).await;
        assert_eq!(page.status, 200, "{more:?}");
        field(&page, "ticket");
    }
    // A program of the device could be another one's: asked each time.
    let phone = App::public(server, &acme).await;
    let native = [("redirect_uri", "http://127.0.0.1:51234/native"), ("scope", "openid")];
    for _ in 0..2 {
        let page = browser.open(&phone.request(&pkce, &native)).await;
        let to = location(&browser.decide(&page, true).await);
        assert!(to.starts_with("http://127.0.0.1:51234/native?code="), "{to}");
    }
}

async fn a_person_says_no(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.open(&app.request(&pkce, &[])).await;
    let page = browser.sign_in(&page, &acme.viewer.email).await;
    let to = location(&browser.decide(&page, false).await);
    assert_eq!(answer_of(&to, "error").as_deref(), Some("access_denied"));
    assert_eq!(
        (answer_of(&to, "state").as_deref(), answer_of(&to, "iss").as_deref()),
        (Some(STATE), Some(server.url()))
    );
    assert_eq!(server.audited("oauth.deny", "success").await, 1);
    assert_eq!(server.count("SELECT count(*) FROM oauth_grants").await, 0);
}

async fn the_second_factor_is_asked_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let authenticator = acme.viewer.authenticator_app(server).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let wishes = ("acr_values", "phr https://refeds.org/profile/mfa");
    let page = browser.open(&app.request(&pkce, &[wishes])).await;
    let page = browser.give_password(&page, &acme.viewer.email, rivergen_tests::PASSWORD).await;
    let give = async |page: &rivergen_tests::Answer, code: &str| {
        let names = ["continue", "form_token", "temporary_token"];
        let values = names.map(|name| field(page, name));
        let mut pairs: Vec<(&str, &str)> =
            names.iter().zip(&values).map(|(name, value)| (*name, value.as_str())).collect();
        pairs.push(("code", code));
        post(&browser.0, "/oauth/sign-in/code", &pairs).await
    };
    let wrong = give(&page, "no-such-code").await;
    assert!(wrong.body.as_str().unwrap().contains("wrong or has expired"), "{}", wrong.body);
    let right = give(&wrong, &authenticator.next_code(server)).await;
    assert_eq!(right.status, 303, "{}", right.body);
    let page = browser.0.get(right.headers["location"].to_str().unwrap()).await;
    let code = answer_of(&location(&browser.decide(&page, true).await), "code").unwrap();
    let tokens = granted(app.exchange(&code, &pkce).await);
    let said: Value = jsonwebtoken::dangerous::insecure_decode_claims(text(&tokens, "id_token")).unwrap();
    assert_eq!(said["amr"], json!(["pwd", "otp", "mfa"]));
    // Of what the application would like it is told what was reached.
    assert_eq!(said["acr"], "https://refeds.org/profile/mfa");
}

async fn a_wrong_password_is_told_on_the_page(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let browser = Browser::new(server);
    let page = browser.open(&app.request(&Pkce::new(), &[("login_hint", "ada@acme.example")])).await;
    assert!(page.body.as_str().unwrap().contains("value=\"ada@acme.example\""));
    let again = browser.give_password(&page, &acme.viewer.email, "Wrong1horse").await;
    assert_eq!(again.status, 200);
    assert!(again.body.as_str().unwrap().contains("the password is wrong"), "{}", again.body);
    assert_eq!(server.audited("auth.login", "failure").await, 1);
    let page = browser.sign_in(&again, &acme.viewer.email).await;
    field(&page, "ticket");
    // Somebody else may sit there.
    let (query, token) = (field(&page, "continue"), field(&page, "form_token"));
    // At another site's wish nobody is forgotten.
    let forged = post(&browser.0, "/oauth/sign-out", &[("continue", &query)]).await;
    assert_eq!((forged.status.as_u16(), forged.headers.get("set-cookie")), (303, None));
    let back = post(&browser.0, "/oauth/sign-out", &[("continue", &query), ("form_token", &token)]).await;
    let page = browser.0.get(back.headers["location"].to_str().unwrap()).await;
    let page = browser.sign_in(&page, &acme.developer.email).await;
    assert!(page.body.as_str().unwrap().contains(&acme.developer.email));
}

async fn a_silent_request_never_shows_a_page(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let silent = app.request(&pkce, &[("prompt", "none")]);
    let error = |to: String| answer_of(&to, "error");
    assert_eq!(error(location(&browser.open(&silent).await)).as_deref(), Some("login_required"));
    let page = browser.open(&app.request(&pkce, &[])).await;
    let page = browser.sign_in(&page, &acme.viewer.email).await;
    assert_eq!(error(location(&browser.open(&silent).await)).as_deref(), Some("consent_required"));
    location(&browser.decide(&page, true).await);
    let to = location(&browser.open(&silent).await);
    let tokens = granted(app.exchange(&answer_of(&to, "code").unwrap(), &pkce).await);
    // For the person who is meant alone.
    let hinted =
        |tokens: &Value| app.request(&pkce, &[("prompt", "none"), ("id_token_hint", text(tokens, "id_token"))]);
    assert!(answer_of(&location(&browser.open(&hinted(&tokens)).await), "code").is_some());
    let another = hinted(&app.tokens(&acme.developer).await);
    assert_eq!(error(location(&browser.open(&another).await)).as_deref(), Some("login_required"));
    let contradicts = app.request(&pkce, &[("prompt", "none login")]);
    assert_eq!(error(location(&browser.open(&contradicts).await)).as_deref(), Some("invalid_request"));
}

async fn a_sign_in_may_be_asked_for_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    browser.agree(&app.request(&pkce, &[]), &acme.viewer.email).await;
    server.clock().advance(chrono::Duration::minutes(2));
    for again in [("prompt", "login"), ("max_age", "60"), ("max_age", "0")] {
        let page = browser.open(&app.request(&pkce, &[again])).await;
        assert!(page.body.as_str().unwrap().contains("Sign in to RiverGen"), "{again:?}");
        let answer = browser.sign_in(&page, &acme.viewer.email).await;
        assert!(answer_of(&location(&answer), "code").is_some(), "{again:?}");
        server.clock().advance(chrono::Duration::minutes(2));
    }
}

async fn nobody_but_whom_the_application_means_is_taken(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let hint = app.tokens(&acme.developer).await;
    let query = app.request(&pkce, &[("id_token_hint", text(&hint, "id_token"))]);
    let page = browser.sign_in(&browser.open(&query).await, &acme.viewer.email).await;
    assert!(page.body.as_str().unwrap().contains("The application expects someone else"), "{}", page.body);
    let answer = browser.sign_in(&page, &acme.developer.email).await;
    let code = answer_of(&location(&answer), "code").unwrap();
    let tokens = granted(app.exchange(&code, &pkce).await);
    let said: Value = jsonwebtoken::dangerous::insecure_decode_claims(text(&tokens, "id_token")).unwrap();
    assert_eq!(text(&said, "sub"), acme.developer.id.to_string());
}

/// What the console does for somebody whose page led there with this.
async fn arrive(browser: &Browser, token: &str, query: &str, since: Option<i64>) -> Answer {
    let since = since.map(|since| since.to_string()).unwrap_or_default();
    let back = super::form(&[("to", "/oauth/authorize"), ("continue", query), ("since", &since)]);
    let request = super::form(&[("request", &URL_SAFE_NO_PAD.encode(back))]);
    let form = "application/x-www-form-urlencoded";
    browser.0.with_token(token).post_raw("/oauth/sign-in/session", form, request).await
}

async fn who_signed_in_elsewhere_comes_back(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    enforced::link(server, &acme, &acme.viewer, json!([])).await;
    enforced::federate(server, &acme, &acme.viewer).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let query = app.request(&pkce, &[]);
    let answer = arrive(&browser, acme.viewer.client.token(), &query, None).await;
    assert_eq!(answer.headers["cache-control"], "no-store");
    let to = text(&granted(answer), "location").to_owned();
    assert!(to.starts_with("/oauth/authorize?"), "{to}");
    let page = browser.0.get(&to).await;
    let code = answer_of(&location(&browser.decide(&page, true).await), "code").unwrap();
    granted(app.exchange(&code, &pkce).await);
    // Nobody but a person with a session: no other token, none, none of another site.
    let personal = json!({"name": "x", "scopes": ["read"]});
    let personal = acme.developer.client.post("/api/v1/auth/tokens", personal).await.created();
    for token in [text(&personal, "token"), "nonsense", text(&app.tokens(&acme.developer).await, "access_token")] {
        let other = Browser::new(server);
        let answer = arrive(&other, token, &query, None).await;
        assert_eq!(answer.headers.get("set-cookie"), None);
        super::refused(answer, 401, "invalid_token");
    }
    super::refused(post(&browser.0, "/oauth/sign-in/session", &[("request", "e30")]).await, 401, "invalid_token");
    let foreign = acme.viewer.client.request(reqwest::Method::POST, "/oauth/sign-in/session");
    let foreign = foreign.header("origin", "https://evil.example").body("request=e30");
    let foreign = foreign.header("content-type", "application/x-www-form-urlencoded");
    let answer = acme.viewer.client.send(foreign).await;
    super::refused(answer, 400, "invalid_request");
}

async fn a_new_sign_in_elsewhere_is_a_new_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    server.clock().advance(chrono::Duration::minutes(2));
    let query = app.request(&pkce, &[("prompt", "login")]);
    let page = browser.open(&query).await;
    let since = field(&page, "since").parse().unwrap();
    let answer = arrive(&browser, acme.viewer.client.token(), &query, Some(since)).await;
    assert_eq!(answer.headers.get("set-cookie"), None);
    super::refused(answer, 400, "login_required");
    // A session that began since does.
    let viewer = server.sign_in(&acme.viewer.email).await;
    let answer = granted(arrive(&browser, viewer.client.token(), &query, Some(since)).await);
    field(&browser.0.get(text(&answer, "location")).await, "ticket");
}

async fn an_account_is_chosen_anew(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.sign_in(&browser.open(&app.request(&pkce, &[])).await, &acme.viewer.email).await;
    field(&page, "ticket");
    let page = browser.open(&app.request(&pkce, &[("prompt", "select_account")])).await;
    assert!(page.body.as_str().unwrap().contains("Sign in to RiverGen"), "{}", page.body);
    let page = browser.sign_in(&page, &acme.developer.email).await;
    assert!(page.body.as_str().unwrap().contains(&acme.developer.email), "{}", page.body);
}

async fn the_answer_is_posted_where_the_application_wants_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let state = ("state", "\"><script>alert(1)</script>");
    let query = app.request(&pkce, &[("response_mode", "form_post"), state]);
    let page = browser.sign_in(&browser.open(&query).await, &acme.viewer.email).await;
    let answer = browser.decide(&page, true).await;
    assert_eq!((answer.status.as_u16(), &answer.headers["cache-control"]), (200, &"no-store".parse().unwrap()));
    let html = answer.body.as_str().unwrap();
    assert!(html.contains(&format!("<form method=\"post\" action=\"{CALLBACK}\">")), "{html}");
    assert!(!html.contains("<script>"), "{html}");
    // The one script is the page's own.
    let policy = answer.headers["content-security-policy"].to_str().unwrap();
    let nonce = policy.split("script-src 'nonce-").nth(1).unwrap().split('\'').next().unwrap();
    assert!(html.contains(&format!("<script nonce=\"{nonce}\">")), "{html}");
    assert_eq!(field(&answer, "iss"), server.url());
    granted(app.exchange(&field(&answer, "code"), &pkce).await);
    // What is wrong is told in the same way.
    let wrong = browser.open(&app.request(&pkce, &[("response_mode", "form_post"), ("code_challenge", "")])).await;
    assert_eq!((field(&wrong, "error").as_str(), field(&wrong, "state").as_str()), ("invalid_request", STATE));
    let to = location(&browser.open(&app.request(&pkce, &[("response_mode", "fragment")])).await);
    assert_eq!(answer_of(&to, "error").as_deref(), Some("invalid_request"));
}

async fn a_request_at_an_address_is_not_fetched(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    for (name, value, error) in [
        ("request_uri", "https://app.acme.example/request.jwt", "request_uri_not_supported"),
        ("request", "eyJhbGciOiJub25lIn0.e30.", "request_not_supported"),
    ] {
        let to = location(&browser.open(&app.request(&pkce, &[(name, value)])).await);
        assert!(to.starts_with(CALLBACK), "{to}");
        assert_eq!(answer_of(&to, "error").as_deref(), Some(error));
        assert_eq!(answer_of(&to, "state").as_deref(), Some(STATE));
    }
}

async fn a_stranger_cannot_agree(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.open(&app.request(&pkce, &[])).await;
    let answer = browser.sign_in(&page, &globex.owner.email).await;
    assert_eq!(answer_of(&location(&answer), "error").as_deref(), Some("access_denied"));
    let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "code_challenge": pkce.challenge,
        "code_challenge_method": "S256", "approve": true});
    globex.owner.client.post("/api/v1/oauth/authorize", body).await.error(403, "FORBIDDEN");
}

async fn a_preapproved_application_reads_unasked(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    acme.admin.client.patch(&app.path, json!({"preapproved": true})).await.ok();
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.open(&app.request(&pkce, &[])).await;
    let answer = browser.sign_in(&page, &acme.owner.email).await;
    assert!(answer_of(&location(&answer), "code").is_some());
    // But never what changes something: whoever may do more would be used unasked.
    let page = browser.open(&app.request(&pkce, &[("scope", "openid write")])).await;
    field(&page, "ticket");
}

async fn the_organization_says_what_members_may_allow(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let policy = format!("/api/v1/organizations/{}/oauth-policy", acme.id);
    assert_eq!(acme.admin.client.get(&policy).await.ok()["applications"], "all");
    let pkce = Pkce::new();
    let allow = async |scope: &str| {
        let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": scope, "approve": true,
            "code_challenge": pkce.challenge, "code_challenge_method": "S256"});
        acme.viewer.client.post("/api/v1/oauth/authorize", body).await
    };
    let put = async |body| acme.admin.client.put(&policy, body).await.ok();
    allow("openid write").await.ok();
    assert_eq!(put(json!({"applications": "all", "scopes": ["read"]})).await["scopes"], json!(["read"]));
    allow("openid read").await.ok();
    allow("openid write").await.error(403, "FORBIDDEN");
    put(json!({"applications": "preapproved"})).await;
    allow("openid read").await.error(403, "FORBIDDEN");
    let browser = Browser::new(server);
    let page = browser.open(&app.request(&pkce, &[])).await;
    let to = location(&browser.sign_in(&page, &acme.viewer.email).await);
    assert_eq!(answer_of(&to, "error").as_deref(), Some("access_denied"));
    acme.admin.client.patch(&app.path, json!({"preapproved": true})).await.ok();
    allow("openid write").await.ok();
    assert_eq!(server.audited("oauth_policy.update", "success").await, 2);
    acme.admin.client.put(&policy, json!({"applications": "some"})).await.invalid("applications");
}

async fn a_front_end_asks_itself(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let pkce = Pkce::new();
    let body = |approve: bool| {
        json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": "read", "state": STATE,
            "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": approve})
    };
    let at = "/api/v1/oauth/authorize";
    let yes = acme.viewer.client.post(at, body(true)).await.ok();
    let code = answer_of(text(&yes, "redirect_url"), "code").unwrap();
    let tokens = granted(app.exchange(&code, &pkce).await);
    assert!(tokens.get("id_token").is_none());
    let no = acme.viewer.client.post(at, body(false)).await.ok();
    assert_eq!(answer_of(text(&no, "redirect_url"), "error").as_deref(), Some("access_denied"));
    // Nobody but the person in their own session.
    app.caller(&tokens).post(at, body(true)).await.error(403, "FORBIDDEN");
    let personal = json!({"name": "x", "scopes": ["read"]});
    let personal = acme.viewer.client.post("/api/v1/auth/tokens", personal).await.created();
    server.anonymous().with_token(text(&personal, "token")).post(at, body(true)).await.error(403, "FORBIDDEN");
    for (field, value, code) in [
        ("client_id", json!("nobody"), "invalid_client"),
        ("redirect_uri", json!("https://evil.example/"), "invalid_redirect_uri"),
        ("scope", json!("admin"), "invalid_scope"),
        ("code_challenge", json!(null), "invalid_request"),
        ("code_challenge_method", json!("plain"), "invalid_request"),
    ] {
        let mut wrong = body(true);
        wrong[field] = value;
        acme.viewer.client.post(at, wrong).await.error(400, code);
    }
}

async fn an_application_is_shown_to_whom_it_asks(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let at = |pairs: &[(&str, &str)]| format!("/api/v1/oauth/app-info?{}", super::form(pairs));
    let own = [("client_id", app.client_id.as_str()), ("redirect_uri", CALLBACK), ("scope", "openid read")];
    let info = server.anonymous().get(&at(&own)).await.ok();
    assert_eq!((text(&info, "app_name"), text(&info, "organization_name")), ("Reporting", "Acme"));
    assert_eq!((&info["scopes"], &info["requested_scopes"]), (&json!(["read", "write"]), &json!(["openid", "read"])));
    let client = server.anonymous();
    let with = |at: usize, value: &'static str| {
        let mut pairs = own;
        pairs[at].1 = value;
        super::form(&pairs)
    };
    for (changed, code) in [
        (with(0, "x"), "invalid_client"),
        (with(1, "https://x.example/"), "invalid_redirect_uri"),
        (with(2, "admin"), "invalid_scope"),
    ] {
        client.get(&format!("/api/v1/oauth/app-info?{changed}")).await.error(400, code);
    }
    acme.owner.client.post_empty(&format!("{}/revoke", app.path)).await.ok();
    client.get(&at(&own)).await.error(400, "invalid_client");
}

async fn a_request_is_sent_beforehand(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let push = async |pairs: &[(&str, &str)]| {
        let mut all = vec![
            ("response_type", "code"),
            ("redirect_uri", CALLBACK),
            ("scope", "openid read"),
            ("code_challenge", pkce.challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        all.retain(|(name, _)| !pairs.iter().any(|(other, _)| other == name));
        all.extend(pairs);
        app.post("/oauth/par", &all).await
    };
    let pushed = push(&[("prompt", "login")]).await;
    assert_eq!((pushed.status.as_u16(), &pushed.body["expires_in"]), (201, &json!(600)), "{}", pushed.body);
    let uri = text(&pushed.body, "request_uri").to_owned();
    let query = super::form(&[("client_id", app.client_id.as_str()), ("request_uri", uri.as_str())]);
    let page = browser.open(&query).await;
    let page = browser.sign_in(&page, &acme.developer.email).await;
    // Somebody else sits there: who is signed in elsewhere already is not taken for them.
    let (back, token) = (field(&page, "continue"), field(&page, "form_token"));
    let out = post(&browser.0, "/oauth/sign-out", &[("continue", &back), ("form_token", &token)]).await;
    let page = browser.0.get(out.headers["location"].to_str().unwrap()).await;
    assert!(field(&page, "since").parse::<i64>().is_ok());
    let page = browser.sign_in(&page, &acme.viewer.email).await;
    let to = location(&browser.decide(&page, true).await);
    granted(app.exchange(&answer_of(&to, "code").unwrap(), &pkce).await);
    // Used up, another application's, made up.
    let phone = App::public(server, &acme).await;
    let pushed = push(&[]).await;
    let another = text(&pushed.body, "request_uri");
    for (client, uri) in [
        (&app, uri.as_str()),
        (&phone, another),
        (&app, "urn:ietf:params:oauth:request_uri:x"),
        (&app, "https://x.example/"),
    ] {
        let query = super::form(&[("client_id", client.client_id.as_str()), ("request_uri", uri)]);
        assert_eq!(browser.open(&query).await.status, 400, "{uri}");
    }
    super::refused(push(&[("redirect_uri", "https://evil.example/")]).await, 400, "invalid_request");
    super::refused(push(&[("scope", "admin")]).await, 400, "invalid_scope");
    super::refused(push(&[("code_challenge_method", "plain")]).await, 400, "invalid_request");
}

async fn an_application_signs_a_person_out(server: &Server) {
    const AFTER: &str = "https://app.acme.example/bye";
    let acme = server.organization("Acme").await;
    let mut body = super::registration();
    body["post_logout_redirect_uris"] = json!([AFTER]);
    let app = App::register(server, &acme, body).await;
    let signed_in = async |browser: &Browser| {
        let pkce = Pkce::new();
        let mut page = browser.open(&app.request(&pkce, &[("prompt", "consent")])).await;
        if page.body.as_str().unwrap().contains("Sign in to RiverGen") {
            page = browser.sign_in(&page, &acme.viewer.email).await;
        }
        let to = location(&browser.decide(&page, true).await);
        granted(app.exchange(&answer_of(&to, "code").unwrap(), &pkce).await)
    };
    let is_signed_in = async |browser: &Browser| {
        let silent = app.request(&Pkce::new(), &[("prompt", "none")]);
        answer_of(&location(&browser.open(&silent).await), "code").is_some()
    };
    let at = |pairs: &[(&str, &str)]| format!("/oauth/logout?{}", super::form(pairs));
    let browser = Browser::new(server);
    let tokens = signed_in(&browser).await;
    let hint = ("id_token_hint", text(&tokens, "id_token"));
    let answer = browser.0.get(&at(&[hint, ("post_logout_redirect_uri", AFTER), ("state", STATE)])).await;
    assert_eq!(location(&answer), format!("{AFTER}?state={STATE}"));
    assert!(!is_signed_in(&browser).await);
    assert_eq!(server.audited("auth.logout", "success").await, 1);
    // Without a hint, or with another person's, the person is asked.
    signed_in(&browser).await;
    let page = browser.0.get(&at(&[("client_id", app.client_id.as_str()), ("post_logout_redirect_uri", AFTER)])).await;
    assert_eq!(page.status, 200);
    assert!(is_signed_in(&browser).await);
    let forged = post(&browser.0, "/oauth/logout", &[("continue", ""), ("form_token", "x")]).await;
    assert_eq!((forged.status.as_u16(), forged.headers.get("set-cookie")), (303, None));
    assert!(is_signed_in(&browser).await);
    // Another site's form comes without the cookie: it is led to where the browser comes with it, and asked there.
    let posted = [("client_id", app.client_id.as_str()), ("post_logout_redirect_uri", AFTER)];
    let answer = post(&server.anonymous(), "/oauth/logout", &posted).await;
    assert_eq!((answer.status.as_u16(), answer.headers.get("set-cookie")), (303, None));
    let asked = browser.0.get(answer.headers["location"].to_str().unwrap()).await;
    assert!(asked.body.as_str().unwrap().contains("Sign out of RiverGen?"), "{}", asked.body);
    assert!(is_signed_in(&browser).await);
    let (query, token) = (field(&page, "continue"), field(&page, "form_token"));
    let answer = post(&browser.0, "/oauth/logout", &[("continue", query.as_str()), ("form_token", &token)]).await;
    assert_eq!(location(&answer), AFTER);
    assert!(!is_signed_in(&browser).await);
    // Nowhere but to a registered address; with no made-up token.
    for wrong in [
        [hint, ("post_logout_redirect_uri", "https://evil.example/")],
        [("id_token_hint", text(&tokens, "access_token")), ("post_logout_redirect_uri", AFTER)],
        [("client_id", "x"), ("post_logout_redirect_uri", AFTER)],
    ] {
        let answer = browser.0.get(&at(&wrong)).await;
        assert_eq!((answer.status.as_u16(), answer.headers.get("location")), (400, None));
    }
}

async fn who_left_and_came_back_is_asked_anew(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    browser.agree(&app.request(&pkce, &[]), &acme.viewer.email).await;
    location(&browser.open(&app.request(&pkce, &[])).await);
    // As if they had left, and joined again after they agreed.
    let (id, later) = (acme.viewer.id, "SELECT MAX(code_expires_at) FROM oauth_grants");
    server.execute(&format!("UPDATE memberships SET joined_at = ({later}) WHERE user_id = {id}")).await;
    server.forget().await;
    field(&browser.open(&app.request(&pkce, &[])).await, "ticket");
}

async fn an_application_posts_its_request(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let form = "application/x-www-form-urlencoded";
    let answer = server.anonymous().post_raw("/oauth/authorize", form, app.request(&pkce, &[])).await;
    assert_eq!(answer.status, 303, "{}", answer.body);
    let (_, query) = answer.headers["location"].to_str().unwrap().split_once("/oauth/authorize?").unwrap();
    let page = browser.sign_in(&browser.open(query).await, &acme.viewer.email).await;
    // They are told that it goes on, whether the application asked for that or not.
    assert!(page.body.as_str().unwrap().contains("when you are away"), "{}", page.body);
    let to = location(&browser.decide(&page, true).await);
    granted(app.exchange(&answer_of(&to, "code").unwrap(), &pkce).await);
    // Clicking twice shows a page.
    let request = browser.0.request(reqwest::Method::POST, "/oauth/authorize").header("accept", "text/html");
    let twice = super::form(&[("ticket", &field(&page, "ticket")), ("approve", "true")]);
    let answer = browser.0.send(request.header("content-type", form).body(twice)).await;
    assert!(answer.status == 400 && answer.body.as_str().is_some_and(|html| html.contains("cannot continue")));
}
