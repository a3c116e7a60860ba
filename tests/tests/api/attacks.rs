//! Attacks on sign-ins, each by its name. Those on passkeys stand in [`crate::webauthn`], those on providers in
//! `auth::social`, those on refresh tokens in `auth::refresh`.

use std::time::{Duration, Instant};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use reqwest::Method;
use rivergen_tests::{PASSWORD, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    user_enumeration_by_answer;
    user_enumeration_by_time with "[passwords]\nmemory_kib = 4096\npasses = 2";
    session_fixation;
    a_replayed_totp_code;
    otp_brute_force;
    jwt_alg_none;
    jwt_key_confusion;
    jwt_kid_injection;
    jwt_with_changed_claims;
    expired_and_future_tokens;
    csrf_on_cookie_endpoints;
    password_reset_host_header_poisoning;
    mail_header_injection;
    unicode_look_alike_addresses;
    a_refresh_token_is_no_access_token;
}

const ME: &str = "/api/v1/auth/me";

async fn user_enumeration_by_answer(server: &Server) {
    server.organization("Acme").await;
    let client = server.anonymous();
    for (path, body) in [
        ("/api/v1/auth/login", json!({"password": "Wrong1horse"})),
        ("/api/v1/auth/forgot-password", json!({})),
        ("/api/v1/auth/resend-verification", json!({})),
    ] {
        let mut answers = Vec::new();
        for email in ["viewer@acme.example", "nobody@acme.example"] {
            let mut body = body.clone();
            body["email"] = json!(email);
            let mut answer = client.post(path, body).await;
            if let Some(error) = answer.body.get_mut("error") {
                error["request_id"].take();
            }
            answers.push((answer.status, answer.body));
        }
        assert_eq!(answers[0], answers[1], "{path}");
    }
}

/// The medians of many logins, taken in turn, must not differ by more than noise: a tenth of what a hash takes would
/// already be a missing hash's shadow.
async fn user_enumeration_by_time(server: &Server) {
    server.organization("Acme").await;
    let client = server.anonymous();
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..40 {
        for (at, email) in ["viewer@acme.example", "nobody@acme.example"].into_iter().enumerate() {
            let begin = Instant::now();
            let body = json!({"email": email, "password": "Wrong1horse"});
            client.post("/api/v1/auth/login", body).await.error(401, "INVALID_CREDENTIALS");
            times[at].push(begin.elapsed());
        }
    }
    let median = |times: &mut Vec<Duration>| {
        times.sort_unstable();
        times[times.len() / 2]
    };
    let [known, unknown] = &mut times;
    let (known, unknown) = (median(known), median(unknown));
    // Without the decoy an unknown address would be answered in a small part of the time.
    let ratio = known.as_secs_f64() / unknown.as_secs_f64();
    assert!((0.6..1.7).contains(&ratio), "known {known:?}, unknown {unknown:?}");
}

async fn session_fixation(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let client = server.anonymous();
    let body = json!({"email": viewer.email, "password": PASSWORD});
    // Nothing that a client brings along becomes the session.
    let planted = viewer.client.token().to_owned();
    let request = client.request(Method::POST, "/api/v1/auth/login").header("cookie", "session=planted; sid=1");
    let first = client.send(request.json(&body)).await.ok();
    let second = client.post("/api/v1/auth/login", body).await.ok();
    let tokens = [&first, &second].map(|data| data["access_token"].as_str().unwrap().to_owned());
    assert!(tokens[0] != tokens[1] && !tokens.contains(&planted));
    let sessions = viewer.client.get("/api/v1/sessions").await.ok();
    assert_eq!(sessions["active_count"], 3);
}

async fn a_replayed_totp_code(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let code = app.next_code(server);
    let give = async || {
        let body = json!({"temporary_token": server.first_step(&viewer.email).await, "code": code});
        server.anonymous().post("/api/v1/auth/mfa/verify", body).await
    };
    give().await.ok();
    give().await.error(400, "INVALID_MFA_CODE");
    let told = "SELECT count(*) FROM audit_log WHERE details LIKE '%used before%'";
    assert_eq!(server.count(told).await, 1);
}

/// Many at the same moment get no more tries than one after the other.
async fn otp_brute_force(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let mut tokens = Vec::new();
    for _ in 0..12 {
        tokens.push(server.first_step(&viewer.email).await);
    }
    let wrong = app.wrong_code(server);
    let tries = tokens.iter().map(|token| {
        let body = json!({"temporary_token": token, "code": wrong});
        let client = server.anonymous();
        async move { client.post("/api/v1/auth/mfa/verify", body).await.status.as_u16() }
    });
    let answers = futures::future::join_all(tries).await;
    let looked_at = answers.iter().filter(|status| **status == 400).count();
    assert_eq!(looked_at, 3, "{answers:?}");
    assert!(answers.iter().all(|status| [400, 429].contains(status)), "{answers:?}");
}

/// Head, claims and signature of a token.
fn parts(person: &Person) -> (Value, Value, String) {
    let token = person.client.token();
    let parts: Vec<&str> = token.split('.').collect();
    let read = |part: &str| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap();
    (read(parts[0]), read(parts[1]), parts[2].to_owned())
}

fn written(head: &Value, claims: &Value, signature: &str) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.{signature}", part(head), part(claims))
}

async fn jwt_alg_none(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let (mut head, claims, signature) = parts(&viewer);
    for alg in ["none", "None", "NONE", ""] {
        head["alg"] = json!(alg);
        for signature in ["", &signature] {
            viewer.client.with_token(written(&head, &claims, signature)).get(ME).await.error(401, "UNAUTHORIZED");
        }
    }
}

async fn jwt_key_confusion(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let (mut head, claims, _) = parts(&viewer);
    // The public key is no secret: signed with it as if it were one.
    let key = server.rows("SELECT * FROM signing_keys").await;
    let public = key[0].as_object().unwrap().values().filter_map(Value::as_str).map(str::to_owned);
    let mut secrets: Vec<String> = public.collect();
    secrets.extend([head["kid"].as_str().unwrap().to_owned(), String::new()]);
    for alg in ["HS256", "HS512", "RS256", "ES256"] {
        head["alg"] = json!(alg);
        for secret in &secrets {
            let signed = written(&head, &claims, "");
            let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret.as_bytes());
            let tag = aws_lc_rs::hmac::sign(&key, signed.trim_end_matches('.').as_bytes());
            let token = format!("{signed}{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
            viewer.client.with_token(token).get(ME).await.error(401, "UNAUTHORIZED");
        }
    }
}

async fn jwt_kid_injection(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let (mut head, claims, signature) = parts(&viewer);
    for kid in ["../../../../dev/null", "' OR '1'='1", "x' UNION SELECT 'y", "\u{0}", "", "http://evil.example/jwks"] {
        head["kid"] = json!(kid);
        viewer.client.with_token(written(&head, &claims, &signature)).get(ME).await.error(401, "UNAUTHORIZED");
    }
    for (name, value) in [("jku", json!("http://evil.example/jwks")), ("jwk", json!({"kty": "oct", "k": "AAAA"}))] {
        let (mut head, claims, signature) = parts(&viewer);
        head[name] = value;
        viewer.client.with_token(written(&head, &claims, &signature)).get(ME).await.error(401, "UNAUTHORIZED");
    }
    viewer.client.get(ME).await.ok();
}

async fn jwt_with_changed_claims(server: &Server) {
    let acme = server.organization("Acme").await;
    let (head, claims, signature) = parts(&acme.viewer);
    for (name, value) in
        [("sub", json!(acme.owner.id.to_string())), ("sid", json!(1)), ("exp", json!(99_999_999_999_i64))]
    {
        let mut claims = claims.clone();
        claims[name] = value;
        let token = written(&head, &claims, &signature);
        acme.viewer.client.with_token(token).get(ME).await.error(401, "UNAUTHORIZED");
    }
}

async fn expired_and_future_tokens(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    server.clock().advance(chrono::Duration::minutes(59));
    viewer.client.get(ME).await.ok();
    server.clock().advance(chrono::Duration::minutes(1));
    viewer.client.get(ME).await.error(401, "TOKEN_EXPIRED");
    for nonsense in ["", "x", "a.b.c", "....", "Bearer x"] {
        viewer.client.with_token(nonsense).get(ME).await.error(401, "UNAUTHORIZED");
    }
}

/// No cookie of ours authorizes anything: what changes something needs the bearer token, which no other site can add.
async fn csrf_on_cookie_endpoints(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let client = server.anonymous();
    for path in ["/api/v1/auth/logout", "/api/v1/devices/skip", "/api/v1/auth/tokens", "/api/v1/mfa/totp/setup"] {
        let cookies = format!("rivergen_device=x; access_token={}; session=1", viewer.client.token());
        let request =
            client.request(Method::POST, path).header("cookie", cookies).header("origin", "https://evil.example");
        client.send(request.json(&json!({}))).await.error(401, "UNAUTHORIZED");
    }
    // And no other origin is told that it may read an answer.
    let request = client.request(Method::GET, "/health/live").header("origin", "https://evil.example");
    let answer = client.send(request).await;
    assert!(answer.headers.get("access-control-allow-origin").is_none());
}

async fn password_reset_host_header_poisoning(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let client = server.anonymous();
    let request = client
        .request(Method::POST, "/api/v1/auth/forgot-password")
        .header("host", "evil.example")
        .header("x-forwarded-host", "evil.example")
        .header("forwarded", "host=evil.example");
    client.send(request.json(&json!({"email": viewer.email}))).await.ok();
    let mail = server.mailbox().titled(&viewer.email, "Set a new password").await;
    assert!(!mail.text.contains("evil.example"), "{}", mail.text);
    assert!(mail.links().iter().all(|link| link.starts_with(server.url())), "{}", mail.text);
}

async fn mail_header_injection(server: &Server) {
    let client = server.anonymous();
    for email in
        ["ada@new.example\r\nBcc: eve@evil.example", "ada@new.example\nSubject: x", "a@b.example, eve@evil.example"]
    {
        let body = json!({"email": email, "password": PASSWORD});
        client.post("/api/v1/auth/signup", body).await.invalid("email");
    }
    // A name with line breaks stays a name.
    let name = "Ada\r\nBcc: eve@evil.example\r\n\r\nHello";
    let body = json!({"email": "ada@new.example", "password": PASSWORD, "display_name": name});
    client.post("/api/v1/auth/signup", body).await.created();
    let mail = server.mailbox().nth_to("ada@new.example", 1).await;
    assert_eq!(mail.subject, "Verify your e-mail address");
    assert!(server.mailbox().to("eve@evil.example").is_empty());
}

/// An address that only looks like another never finds the other's account.
async fn unicode_look_alike_addresses(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = server.anonymous();
    // Cyrillic е, full-width letters, a dotless ı, a zero-width joiner.
    for email in [
        "vi\u{435}wer@acme.example",
        "ｖiewer@acme.example",
        "v\u{131}ewer@acme.example",
        "view\u{200d}er@acme.example",
    ] {
        client.post("/api/v1/auth/forgot-password", json!({"email": email})).await;
        let login = json!({"email": email, "password": PASSWORD});
        client.post("/api/v1/auth/login", login).await.error(401, "INVALID_CREDENTIALS");
    }
    rivergen_tests::eventually("the jobs", async || {
        let waiting = server.count("SELECT count(*) FROM jobs WHERE state = 'queued' OR state = 'running'").await;
        (waiting == 0).then_some(())
    })
    .await;
    assert!(server.mailbox().to(&acme.viewer.email).is_empty());
}

async fn a_refresh_token_is_no_access_token(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.with_token(&viewer.refresh_token).get(ME).await.error(401, "UNAUTHORIZED");
    let body = json!({"refresh_token": viewer.client.token()});
    let answer = server.anonymous().post("/api/v1/auth/refresh", body).await;
    assert!([401, 422].contains(&answer.status.as_u16()), "{answer:?}");
}
