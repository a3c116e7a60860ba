//! The attacks of RFC 9700, by their names there, each tried out.

use rivergen_tests::{Answer, Server, on_both_databases};
use serde_json::{Value, json};

use super::{
    App, Browser, CALLBACK, Pkce, STATE, answer_of, field, form, granted, location, post, refused, registration, text,
};

on_both_databases! {
    code_replay_ends_the_tokens_already_given;
    code_replay_at_the_same_time_gives_one_at_most;
    refresh_at_the_same_time_gives_one_at_most;
    pkce_downgrade;
    code_injection_without_the_verifier;
    redirect_manipulation;
    mix_up;
    cross_site_request_forgery_of_the_consent;
    cross_site_request_forgery_of_the_sign_in;
    client_impersonation;
    refresh_token_theft;
    token_substitution;
    clickjacking_of_the_consent;
    open_redirection;
    markup_in_what_is_shown;
}

async fn code_replay_ends_the_tokens_already_given(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let pkce = Pkce::new();
    let code = app.code(&acme.viewer, &pkce).await;
    let tokens = granted(app.exchange(&code, &pkce).await);
    let organization = format!("/api/v1/organizations/{}", acme.id);
    app.caller(&tokens).get(&organization).await.ok();
    refused(app.exchange(&code, &pkce).await, 400, "invalid_grant");
    app.caller(&tokens).get(&organization).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    assert_eq!(server.audited("oauth.code_replay", "failure").await, 1);
}

async fn code_replay_at_the_same_time_gives_one_at_most(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let pkce = Pkce::new();
    let code = app.code(&acme.viewer, &pkce).await;
    let all = futures::future::join_all((0..8).map(|_| app.exchange(&code, &pkce))).await;
    let tokens = the_one_that_was_granted(all);
    // Somebody else showed the code too: the tokens that it gave are void.
    app.caller(&tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
}

async fn refresh_at_the_same_time_gives_one_at_most(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let shown = text(&tokens, "refresh_token");
    let all = futures::future::join_all((0..8).map(|_| app.refresh(shown))).await;
    let tokens = the_one_that_was_granted(all);
    app.caller(&tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
}

/// The tokens of the first of all; the others are refused.
fn the_one_that_was_granted(all: Vec<Answer>) -> Value {
    let (mut good, others): (Vec<_>, Vec<_>) = all.into_iter().partition(|answer| answer.status == 200);
    assert_eq!((good.len(), others.len()), (1, 7));
    for answer in others {
        refused(answer, 400, "invalid_grant");
    }
    granted(good.remove(0))
}

async fn pkce_downgrade(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    // Taken out, or made plain, the request goes no further; whoever asks.
    for without in [
        ("code_challenge", ""),
        ("code_challenge_method", ""),
        ("code_challenge_method", "plain"),
        ("code_challenge", "short"),
    ] {
        let to = location(&browser.open(&app.request(&pkce, &[without])).await);
        assert_eq!(answer_of(&to, "error").as_deref(), Some("invalid_request"), "{without:?}");
    }
    // A verifier is not left out either.
    let code = app.code(&acme.viewer, &pkce).await;
    let without = [("grant_type", "authorization_code"), ("code", &*code), ("redirect_uri", CALLBACK)];
    refused(app.post("/oauth/token", &without).await, 400, "invalid_request");
}

async fn code_injection_without_the_verifier(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (victims, own) = (Pkce::new(), Pkce::new());
    let code = app.code(&acme.viewer, &victims).await;
    // The attacker's session at the application has a verifier of its own.
    refused(app.exchange(&code, &own).await, 400, "invalid_grant");
    let as_plain = Pkce { verifier: victims.challenge.clone(), challenge: String::new() };
    refused(app.exchange(&code, &as_plain).await, 400, "invalid_grant");
    // Nor is it of use with another address than the request's; without one, as OAuth 2.1 has it, the verifier says enough.
    let pairs = [("grant_type", "authorization_code"), ("code", &*code), ("code_verifier", &*victims.verifier)];
    let elsewhere = [&pairs[..], &[("redirect_uri", "https://evil.example/callback")]].concat();
    refused(app.post("/oauth/token", &elsewhere).await, 400, "invalid_grant");
    granted(app.post("/oauth/token", &pairs).await);
}

async fn redirect_manipulation(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    for address in [
        "https://evil.example/callback",
        "https://app.acme.example/callback/",
        "https://app.acme.example/callback?x=1",
        "https://app.acme.example/callback/../evil",
        "https://app.acme.example@evil.example/callback",
        "https://app.acme.example.evil.example/callback",
        "http://app.acme.example/callback",
        "",
    ] {
        let answer = browser.open(&app.request(&pkce, &[("redirect_uri", address)])).await;
        assert_eq!(answer.status, 400, "{address}");
        assert!(answer.headers.get("location").is_none(), "{address}");
    }
    // The code goes with the address that it was made for.
    let code = app.code(&acme.viewer, &pkce).await;
    let other = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", "https://evil.example/"),
        ("code_verifier", &*pkce.verifier),
    ];
    refused(app.post("/oauth/token", &other).await, 400, "invalid_grant");
    // And ends with it.
    let body = json!({"redirect_uris": ["https://new.acme.example/callback"]});
    acme.owner.client.patch(&app.path, body).await.ok();
    refused(app.exchange(&code, &pkce).await, 400, "invalid_grant");
}

async fn mix_up(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let browser = Browser::new(server);
    // Every answer says whose it is, a refusal too.
    let to = location(&browser.open(&app.request(&Pkce::new(), &[("response_type", "token")])).await);
    assert_eq!(answer_of(&to, "error").as_deref(), Some("unsupported_response_type"));
    assert_eq!(answer_of(&to, "iss").as_deref(), Some(server.url()));
    assert_eq!(answer_of(&to, "state").as_deref(), Some(STATE));
    // A code that was led to another application's server is of no use there.
    let mut body = registration();
    body["name"] = json!("Evil");
    let evil = App::register(server, &acme, body).await;
    let pkce = Pkce::new();
    let code = app.code(&acme.viewer, &pkce).await;
    refused(evil.exchange(&code, &pkce).await, 400, "invalid_grant");
    granted(app.exchange(&code, &pkce).await);
}

async fn cross_site_request_forgery_of_the_consent(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.open(&app.request(&pkce, &[])).await;
    let page = browser.sign_in(&page, &acme.viewer.email).await;
    // A form that another site makes up, with everything but the ticket.
    let query = app.request(&pkce, &[]);
    let forged =
        browser.0.post_raw("/oauth/authorize", "application/x-www-form-urlencoded", format!("{query}&approve=true"));
    // An application may post its request so: it is asked, and nothing is allowed.
    assert_eq!(forged.await.status, 303);
    let guessed = post(&browser.0, "/oauth/authorize", &[("ticket", "x"), ("approve", "true")]).await;
    assert_eq!(guessed.status, 400);
    let ticket = field(&page, "ticket");
    for (header, value) in [("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")] {
        let request = browser.0.request(reqwest::Method::POST, "/oauth/authorize").header(header, value);
        let request = request.header("content-type", "application/x-www-form-urlencoded");
        let answer = browser.0.send(request.body(form(&[("ticket", &ticket), ("approve", "true")]))).await;
        assert_eq!(answer.status, 400, "{header}");
    }
    // The attacker's own ticket, in the victim's browser; and the victim's, in the attacker's.
    let attacker = Browser::new(server);
    let theirs = attacker.open(&app.request(&pkce, &[])).await;
    let theirs = attacker.sign_in(&theirs, &acme.developer.email).await;
    assert_eq!(browser.decide(&theirs, true).await.status, 400);
    assert_eq!(attacker.decide(&page, true).await.status, 400);
    assert_eq!(server.count("SELECT count(*) FROM oauth_grants").await, 0);
    // It does not go to other sites, nor to scripts.
    server.clock().advance(chrono::Duration::minutes(11));
    assert_eq!(browser.decide(&page, true).await.status, 400, "too old");
}

async fn cross_site_request_forgery_of_the_sign_in(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let browser = Browser::new(server);
    let query = app.request(&Pkce::new(), &[]);
    let page = browser.open(&query).await;
    let cookie = page.headers["set-cookie"].to_str().unwrap();
    assert!(
        cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax") && cookie.contains("Path=/oauth"),
        "{cookie}"
    );
    // The attacker signs the victim in as themselves.
    let forged = [
        ("continue", query.as_str()),
        ("email", acme.developer.email.as_str()),
        ("password", rivergen_tests::PASSWORD),
        ("form_token", "x"),
    ];
    let answer = post(&browser.0, "/oauth/sign-in", &forged).await;
    assert!(answer.status == 200 && answer.headers.get("location").is_none());
    assert!(answer.body.as_str().unwrap().contains("has expired"));
}

async fn client_impersonation(server: &Server) {
    let acme = server.organization("Acme").await;
    let phone = App::public(server, &acme).await;
    // A public client has no secret that another program could show, and none is taken for one.
    let pkce = Pkce::new();
    let code = phone.code(&acme.viewer, &pkce).await;
    let with_secret = [
        ("client_id", phone.client_id.as_str()),
        ("client_secret", "rgs_x"),
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &pkce.verifier),
    ];
    refused(post(&phone.anonymous, "/oauth/token", &with_secret).await, 401, "invalid_client");
    granted(phone.exchange(&code, &pkce).await);
    // Another program on the device answers at a port of its choice: the person is asked each time.
    let browser = Browser::new(server);
    let native = phone.request(&pkce, &[("redirect_uri", "http://127.0.0.1:6666/native"), ("scope", "openid")]);
    let page = browser.open(&native).await;
    let page = browser.sign_in(&page, &acme.viewer.email).await;
    assert!(page.body.as_str().unwrap().contains("a program on this device"));
    location(&browser.decide(&page, true).await);
    field(&browser.open(&native).await, "ticket");
    // A confidential client without its secret is nobody.
    let app = App::new(server, &acme).await;
    let code = app.code(&acme.viewer, &pkce).await;
    let bare = [
        ("client_id", app.client_id.as_str()),
        ("grant_type", "authorization_code"),
        ("code", &code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &pkce.verifier),
    ];
    refused(post(&app.anonymous, "/oauth/token", &bare).await, 401, "invalid_client");
}

async fn refresh_token_theft(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::public(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let stolen = text(&tokens, "refresh_token");
    let thiefs = granted(app.refresh(stolen).await);
    // The owner's program goes on with what it has: both lose everything.
    refused(app.refresh(stolen).await, 400, "invalid_grant");
    refused(app.refresh(text(&thiefs, "refresh_token")).await, 400, "invalid_grant");
    for tokens in [&tokens, &thiefs] {
        app.caller(tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.error(401, "UNAUTHORIZED");
    }
    assert_eq!(server.audited("oauth.refresh_token_reuse", "failure").await, 1);
    // Another application cannot use it at all, and does not end it by trying.
    let other = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    refused(other.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    granted(app.refresh(text(&tokens, "refresh_token")).await);
}

async fn token_substitution(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let organization = format!("/api/v1/organizations/{}", acme.id);
    // Each kind opens what it is for, and nothing else.
    for wrong in ["id_token", "refresh_token"] {
        let client = server.anonymous().with_token(text(&tokens, wrong));
        client.get(&organization).await.error(401, "UNAUTHORIZED");
        refused(client.get("/oauth/userinfo").await, 401, "invalid_token");
    }
    let pkce = Pkce::new();
    let code = app.code(&acme.viewer, &pkce).await;
    refused(app.refresh(&code).await, 400, "invalid_grant");
    refused(app.exchange(text(&tokens, "refresh_token"), &pkce).await, 400, "invalid_grant");
    // Changed claims, no signature, another key's signature.
    let (signed, signature) = text(&tokens, "access_token").rsplit_once('.').unwrap();
    let (header, _) = signed.split_once('.').unwrap();
    let (_, other) = text(&tokens, "id_token").split_once('.').unwrap();
    let none = "eyJhbGciOiJub25lIiwidHlwIjoiYXQrand0In0";
    let claims = signed.split_once('.').unwrap().1;
    for forged in [format!("{header}.{other}"), format!("{none}.{claims}."), format!("{signed}.{}A", &signature[1..])] {
        server.anonymous().with_token(forged).get(&organization).await.error(401, "UNAUTHORIZED");
    }
    // The published key as the secret of an HMAC, which everybody knows: the algorithm is the key's.
    let key = granted(server.anonymous().get("/oauth/jwks").await)["keys"][0].take();
    let said: Value = jsonwebtoken::dangerous::insecure_decode_claims(text(&tokens, "access_token")).unwrap();
    let mut header = jsonwebtoken::decode_header(text(&tokens, "access_token")).unwrap();
    assert_eq!(header.kid.as_deref(), key["kid"].as_str());
    header.alg = jsonwebtoken::Algorithm::HS256;
    for secret in [key.to_string(), text(&key, "x").to_owned()] {
        let secret = jsonwebtoken::EncodingKey::from_secret(secret.as_bytes());
        let forged = jsonwebtoken::encode(&header, &said, &secret).unwrap();
        let client = server.anonymous().with_token(&forged);
        client.get(&organization).await.error(401, "UNAUTHORIZED");
        refused(client.get("/oauth/userinfo").await, 401, "invalid_token");
        let asked = granted(app.post("/oauth/introspect", &[("token", &forged)]).await);
        assert_eq!(asked, json!({"active": false}));
    }
}

async fn clickjacking_of_the_consent(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let browser = Browser::new(server);
    let sign_in = browser.open(&app.request(&Pkce::new(), &[])).await;
    let consent = browser.sign_in(&sign_in, &acme.viewer.email).await;
    for page in [&sign_in, &consent] {
        let policy = page.headers["content-security-policy"].to_str().unwrap();
        for part in ["default-src 'none'", "frame-ancestors 'none'", "base-uri 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("script-src") && !policy.contains("unsafe"), "{policy}");
        assert_eq!(page.headers["x-frame-options"], "DENY");
        assert_eq!(
            (&page.headers["cache-control"], &page.headers["referrer-policy"]),
            (&"no-store".parse().unwrap(), &"no-referrer".parse().unwrap())
        );
        assert!(!page.body.as_str().unwrap().contains("<script"));
    }
}

async fn open_redirection(server: &Server) {
    let browser = Browser::new(server);
    // Nothing of what is unknown leads anywhere.
    let unknown = form(&[("client_id", "x"), ("redirect_uri", "https://evil.example/"), ("response_type", "code")]);
    let answer = browser.open(&unknown).await;
    assert_eq!((answer.status.as_u16(), answer.headers.get("location")), (400, None));
    // The pages lead back to this server alone, whatever their forms say.
    for evil in ["https://evil.example/", "//evil.example/", "/../../evil"] {
        let answer = post(&browser.0, "/oauth/sign-out", &[("continue", evil)]).await;
        assert!(answer.headers["location"].to_str().unwrap().starts_with("/oauth/authorize?"));
    }
    // A program is told in its own words.
    let answer = server.anonymous().get(&format!("/oauth/authorize?{unknown}")).await;
    refused(answer, 400, "invalid_client");
}

async fn markup_in_what_is_shown(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut body = registration();
    body["name"] = json!("<img src=x onerror=alert(1)>\"'");
    body["description"] = json!("</p><script>alert(1)</script>");
    let app = App::register(server, &acme, body).await;
    let browser = Browser::new(server);
    let hint = "\"><script>alert(1)</script>";
    let page = browser.open(&app.request(&Pkce::new(), &[("login_hint", hint), ("state", hint)])).await;
    assert!(!page.body.as_str().unwrap().contains("<script"));
    let page = browser.sign_in(&page, &acme.viewer.email).await;
    let html = page.body.as_str().unwrap();
    assert!(html.contains("&lt;img src=x") && !html.contains("<img") && !html.contains("<script"), "{html}");
}
