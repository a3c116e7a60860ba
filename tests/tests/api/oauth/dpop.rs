//! Tokens that are bound to a key of whoever uses them (DPoP; RFC 9449).

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, EncodingKey, Header,
    jwk::{Jwk, ThumbprintHash},
};
use reqwest::Method;
use rivergen_tests::{Answer, Person, Server, on_both_databases};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{App, CALLBACK, Pkce, answer_of, form, granted, key_pair, refused, registration, text};

on_both_databases! {
    a_bound_token_opens_nothing_without_its_key;
    a_proof_is_good_once_and_for_one_request;
    what_is_wrong_with_a_proof_is_named;
    a_refresh_token_of_a_public_client_is_bound;
    a_refresh_token_of_a_client_that_proves_itself_is_not_bound;
    a_code_is_bound_to_the_key_that_the_request_names;
    a_pushed_request_names_the_key_that_it_proves;
    an_application_can_be_held_to_bound_tokens;
    servers_are_told_the_key_of_a_token;
    userinfo_is_told_with_the_key_alone;
    a_bound_token_is_told_which_scope_it_lacks;
    a_proof_needs_a_nonce_where_the_server_demands_it with "[oauth]\ndpop_nonce = true";
    proofs_that_ran_out_are_swept;
    a_flood_of_proofs_leaves_little_behind with "[limits]\nenabled = true\n[limits.rules]\noauth_proofs_by_key = { limit = 3, per_seconds = 60 }\nlogin_by_ip = { limit = 100, per_seconds = 60 }";
}

/// A client's key.
pub struct Key {
    key: EncodingKey,
    jwk: Jwk,
}

impl Key {
    pub fn new() -> Self {
        let (document, jwk) = key_pair("mine");
        Self { key: EncodingKey::from_ec_der(&document), jwk }
    }

    fn thumbprint(&self) -> String {
        self.jwk.thumbprint(ThumbprintHash::SHA256).unwrap()
    }

    /// A proof of now; `more` stands over what it says.
    fn proof(&self, server: &Server, method: &str, path: &str, more: Value) -> String {
        let now = rivergen_platform::Clock::now(&server.platform.clock).timestamp();
        let mut said = json!({"jti": format!("{:x}", rand::random::<u128>()), "htm": method, "iat": now,
            "htu": format!("{}{path}", server.url())});
        said.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let header =
            Header { typ: Some("dpop+jwt".to_owned()), jwk: Some(self.jwk.clone()), ..Header::new(Algorithm::ES256) };
        jsonwebtoken::encode(&header, &said, &self.key).unwrap()
    }

    /// For a request with that token.
    pub fn proof_with(&self, server: &Server, method: &str, path: &str, token: &str) -> String {
        self.proof(server, method, path, json!({"ath": URL_SAFE_NO_PAD.encode(Sha256::digest(token))}))
    }
}

/// Posts a form with proofs.
async fn post_with(app: &App, path: &str, pairs: &[(&str, &str)], proofs: &[&str]) -> Answer {
    let mut all = vec![("client_id", app.client_id.as_str())];
    all.extend(app.secret.as_deref().map(|secret| ("client_secret", secret)));
    all.extend(pairs);
    let mut request = app.anonymous.request(Method::POST, path).body(form(&all));
    request = request.header("content-type", "application/x-www-form-urlencoded");
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    app.anonymous.send(request).await
}

/// Asks for tokens with a proof of the key.
async fn ask(server: &Server, app: &App, key: &Key, pairs: &[(&str, &str)]) -> Answer {
    post_with(app, "/oauth/token", pairs, &[&key.proof(server, "POST", "/oauth/token", json!({}))]).await
}

async fn exchange(server: &Server, app: &App, key: &Key, code: &str, pkce: &Pkce) -> Answer {
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", pkce.verifier.as_str()),
    ];
    ask(server, app, key, &pairs).await
}

/// Tokens that are bound to the key, for a person who agrees.
pub async fn tokens(server: &Server, app: &App, key: &Key, person: &Person) -> Value {
    let pkce = Pkce::new();
    granted(exchange(server, app, key, &app.code(person, &pkce).await, &pkce).await)
}

async fn refresh(server: &Server, app: &App, key: &Key, tokens: &Value) -> Answer {
    ask(server, app, key, &[("grant_type", "refresh_token"), ("refresh_token", text(tokens, "refresh_token"))]).await
}

/// Uses a token, in the scheme of bound ones.
async fn use_with(app: &App, path: &str, token: &str, proofs: &[&str]) -> Answer {
    let mut request = app.anonymous.request(Method::GET, path).header("authorization", format!("DPoP {token}"));
    for proof in proofs {
        request = request.header("dpop", *proof);
    }
    app.anonymous.send(request).await
}

/// Refused for its token or its proof, which the first challenge names.
#[track_caller]
fn challenged(answer: Answer, fault: &str) {
    let all: Vec<&str> =
        answer.headers.get_all("www-authenticate").iter().map(|value| value.to_str().unwrap()).collect();
    assert_eq!(all[0], format!("DPoP error=\"{fault}\", algs=\"ES256 ES384 EdDSA RS256 PS256\""));
    // Whoever knows nothing still learns where tokens are given.
    assert!(all[1].starts_with("Bearer resource_metadata="), "{all:?}");
    answer.error(401, "UNAUTHORIZED");
}

async fn a_bound_token_opens_nothing_without_its_key(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key, other) = (App::public(server, &acme).await, Key::new(), Key::new());
    let path = format!("/api/v1/organizations/{}", acme.id);
    let given = tokens(server, &app, &key, &acme.viewer).await;
    assert_eq!(text(&given, "token_type"), "DPoP");
    let token = text(&given, "access_token");
    let said: Value = jsonwebtoken::dangerous::insecure_decode_claims(token).unwrap();
    assert_eq!(said["cnf"], json!({"jkt": key.thumbprint()}));
    // A query is no part of the address.
    for shown in [path.clone(), format!("{path}?x=1")] {
        use_with(&app, &shown, token, &[&key.proof_with(server, "GET", &path, token)]).await.ok();
    }
    challenged(app.caller(&given).get(&path).await, "invalid_token");
    challenged(use_with(&app, &path, token, &[]).await, "invalid_dpop_proof");
    let stolen = other.proof_with(server, "GET", &path, token);
    challenged(use_with(&app, &path, token, &[&stolen]).await, "invalid_dpop_proof");
    // What is bound to nothing is not taken for bound.
    let plain = app.tokens(&acme.viewer).await;
    assert_eq!(text(&plain, "token_type"), "Bearer");
    let plain = text(&plain, "access_token");
    challenged(use_with(&app, &path, plain, &[&key.proof_with(server, "GET", &path, plain)]).await, "invalid_token");
    let person = acme.viewer.client.token();
    challenged(use_with(&app, &path, person, &[&key.proof_with(server, "GET", &path, person)]).await, "invalid_token");
    challenged(use_with(&app, &path, "x", &[&key.proof_with(server, "GET", &path, "x")]).await, "invalid_token");
}

async fn a_flood_of_proofs_leaves_little_behind(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key, other) = (App::public(server, &acme).await, Key::new(), Key::new());
    let path = format!("/api/v1/organizations/{}", acme.id);
    // With the first proof.
    let given = tokens(server, &app, &key, &acme.viewer).await;
    let token = text(&given, "access_token");
    let written = async || server.count("SELECT count(*) FROM oauth_seen").await;
    assert_eq!(written().await, 1);
    // Of another key than the token's none is kept.
    let stolen = other.proof_with(server, "GET", &path, token);
    challenged(use_with(&app, &path, token, &[&stolen]).await, "invalid_dpop_proof");
    assert_eq!(written().await, 1);
    for _ in 0..2 {
        use_with(&app, &path, token, &[&key.proof_with(server, "GET", &path, token)]).await.ok();
    }
    let answer = use_with(&app, &path, token, &[&key.proof_with(server, "GET", &path, token)]).await;
    assert!(answer.number("retry-after") > 0);
    answer.error(429, "RATE_LIMITED");
    refused(refresh(server, &app, &key, &given).await, 429, "temporarily_unavailable");
    assert_eq!(written().await, 3);
}

async fn a_proof_is_good_once_and_for_one_request(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key) = (App::public(server, &acme).await, Key::new());
    let path = format!("/api/v1/organizations/{}", acme.id);
    let given = tokens(server, &app, &key, &acme.viewer).await;
    let token = text(&given, "access_token");
    let good = key.proof_with(server, "GET", &path, token);
    use_with(&app, &path, token, &[&good]).await.ok();
    // However its signature is written.
    for again in [good.clone(), super::with_other_signature(&good)] {
        challenged(use_with(&app, &path, token, &[&again]).await, "invalid_dpop_proof");
    }
    for wrong in [
        key.proof_with(server, "POST", &path, token),
        key.proof_with(server, "GET", "/api/v1/me", token),
        key.proof_with(server, "GET", &path, "another"),
        key.proof(server, "GET", &path, json!({})),
    ] {
        challenged(use_with(&app, &path, token, &[&wrong]).await, "invalid_dpop_proof");
    }
    let late = key.proof_with(server, "GET", &path, token);
    server.clock().advance(chrono::Duration::seconds(121));
    challenged(use_with(&app, &path, token, &[&late]).await, "invalid_dpop_proof");
    // Two keys may well choose the same id for their proofs.
    let (one, two) = (Key::new(), Key::new());
    for key in [&one, &two] {
        let proof = key.proof(server, "POST", "/oauth/token", json!({"jti": "1"}));
        let pairs = [("grant_type", "refresh_token"), ("refresh_token", "x")];
        refused(post_with(&app, "/oauth/token", &pairs, &[&proof]).await, 400, "invalid_grant");
    }
}

async fn what_is_wrong_with_a_proof_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key) = (App::new(server, &acme).await, Key::new());
    let send =
        async |proofs: &[&str]| post_with(&app, "/oauth/token", &[("grant_type", "client_credentials")], proofs).await;
    let good = |more: Value| key.proof(server, "POST", "/oauth/token", more);
    let given = granted(send(&[&good(json!({}))]).await);
    assert_eq!(text(&given, "token_type"), "DPoP");
    refused(send(&["nonsense"]).await, 400, "invalid_dpop_proof");
    refused(send(&[&good(json!({})), &good(json!({}))]).await, 400, "invalid_dpop_proof");
    let twice = good(json!({}));
    granted(send(&[&twice]).await);
    refused(send(&[&twice]).await, 400, "invalid_dpop_proof");
    for wrong in [json!({"htm": "GET"}), json!({"htu": "https://other.example/oauth/token"}), json!({"iat": 1})] {
        refused(send(&[&good(wrong)]).await, 400, "invalid_dpop_proof");
    }
    granted(send(&[]).await);
}

async fn a_refresh_token_of_a_public_client_is_bound(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key, other) = (App::public(server, &acme).await, Key::new(), Key::new());
    let first = tokens(server, &app, &key, &acme.viewer).await;
    refused(refresh(server, &app, &other, &first).await, 400, "invalid_grant");
    refused(app.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant");
    let second = granted(refresh(server, &app, &key, &first).await);
    assert_eq!(text(&second, "token_type"), "DPoP");
    // A thief of a spent one ends nothing without the key; its owner would.
    refused(app.refresh(text(&first, "refresh_token")).await, 400, "invalid_grant");
    let third = granted(refresh(server, &app, &key, &second).await);
    refused(refresh(server, &app, &key, &first).await, 400, "invalid_grant");
    refused(refresh(server, &app, &key, &third).await, 400, "invalid_grant");
    // From its grant on, or never: whoever stole one binds nobody to a key of their own, and its owner's shows the theft.
    let loose = app.tokens(&acme.viewer).await;
    let stolen = granted(refresh(server, &app, &other, &loose).await);
    refused(app.refresh(text(&loose, "refresh_token")).await, 400, "invalid_grant");
    refused(refresh(server, &app, &other, &stolen).await, 400, "invalid_grant");
}

async fn a_refresh_token_of_a_client_that_proves_itself_is_not_bound(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key, next) = (App::new(server, &acme).await, Key::new(), Key::new());
    let first = tokens(server, &app, &key, &acme.viewer).await;
    let second = granted(refresh(server, &app, &next, &first).await);
    let said: Value = jsonwebtoken::dangerous::insecure_decode_claims(text(&second, "access_token")).unwrap();
    assert_eq!(said["cnf"]["jkt"], json!(next.thumbprint()));
    assert_eq!(text(&granted(app.refresh(text(&second, "refresh_token")).await), "token_type"), "Bearer");
}

/// The code of a request that names a key.
async fn code_for(app: &App, person: &Person, pkce: &Pkce, key: &Key) -> String {
    let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "scope": "read",
        "code_challenge": pkce.challenge, "code_challenge_method": "S256", "dpop_jkt": key.thumbprint(),
        "approve": true});
    let data = person.client.post("/api/v1/oauth/authorize", body).await.ok();
    answer_of(text(&data, "redirect_url"), "code").unwrap()
}

async fn a_code_is_bound_to_the_key_that_the_request_names(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key, other) = (App::new(server, &acme).await, Key::new(), Key::new());
    let pkce = Pkce::new();
    let code = code_for(&app, &acme.viewer, &pkce, &key).await;
    // Neither another key nor none uses it up.
    refused(exchange(server, &app, &other, &code, &pkce).await, 400, "invalid_grant");
    refused(app.exchange(&code, &pkce).await, 400, "invalid_grant");
    granted(exchange(server, &app, &key, &code, &pkce).await);
    let browser = super::Browser::new(server);
    let to = super::location(&browser.open(&app.request(&pkce, &[("dpop_jkt", "short")])).await);
    assert_eq!(answer_of(&to, "error").as_deref(), Some("invalid_request"));
}

async fn a_pushed_request_names_the_key_that_it_proves(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key, other) = (App::new(server, &acme).await, Key::new(), Key::new());
    let (pkce, thumbprint) = (Pkce::new(), other.thumbprint());
    let mut pairs = vec![
        ("response_type", "code"),
        ("redirect_uri", CALLBACK),
        ("scope", "read"),
        ("code_challenge", pkce.challenge.as_str()),
        ("code_challenge_method", "S256"),
    ];
    let proof = || key.proof(server, "POST", "/oauth/par", json!({}));
    let pushed = post_with(&app, "/oauth/par", &pairs, &[&proof()]).await;
    assert_eq!(pushed.status, 201, "{}", pushed.body);
    let browser = super::Browser::new(server);
    let query = form(&[("client_id", app.client_id.as_str()), ("request_uri", text(&pushed.body, "request_uri"))]);
    let page = browser.sign_in(&browser.open(&query).await, &acme.viewer.email).await;
    let code = answer_of(&super::location(&browser.decide(&page, true).await), "code").unwrap();
    refused(exchange(server, &app, &other, &code, &pkce).await, 400, "invalid_grant");
    granted(exchange(server, &app, &key, &code, &pkce).await);
    // Two that disagree, and a proof that was made for another door.
    pairs.push(("dpop_jkt", thumbprint.as_str()));
    refused(post_with(&app, "/oauth/par", &pairs, &[&proof()]).await, 400, "invalid_dpop_proof");
    let elsewhere = key.proof(server, "POST", "/oauth/token", json!({}));
    refused(post_with(&app, "/oauth/par", &pairs, &[&elsewhere]).await, 400, "invalid_dpop_proof");
}

async fn an_application_can_be_held_to_bound_tokens(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut body = registration();
    body["dpop_bound_access_tokens"] = json!(true);
    let (app, key) = (App::register(server, &acme, body).await, Key::new());
    let own = [("grant_type", "client_credentials")];
    refused(app.post("/oauth/token", &own).await, 400, "invalid_dpop_proof");
    granted(ask(server, &app, &key, &own).await);
    assert_eq!(acme.owner.client.get(&app.path).await.ok()["dpop_bound_access_tokens"], true);
    let changed = acme.owner.client.patch(&app.path, json!({"dpop_bound_access_tokens": false})).await.ok();
    assert_eq!(changed["dpop_bound_access_tokens"], false);
    granted(app.post("/oauth/token", &own).await);
}

async fn servers_are_told_the_key_of_a_token(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key) = (App::new(server, &acme).await, Key::new());
    let asked =
        async |tokens: &Value| granted(app.post("/oauth/introspect", &[("token", text(tokens, "access_token"))]).await);
    let bound = asked(&tokens(server, &app, &key, &acme.viewer).await).await;
    assert_eq!((text(&bound, "token_type"), &bound["cnf"]), ("DPoP", &json!({"jkt": key.thumbprint()})));
    let plain = asked(&app.tokens(&acme.viewer).await).await;
    assert_eq!((text(&plain, "token_type"), &plain["cnf"]), ("Bearer", &Value::Null));
    let metadata = granted(app.anonymous.get("/.well-known/oauth-authorization-server").await);
    assert_eq!(metadata["dpop_signing_alg_values_supported"], json!(["ES256", "ES384", "EdDSA", "RS256", "PS256"]));
}

async fn userinfo_is_told_with_the_key_alone(server: &Server) {
    const PATH: &str = "/oauth/userinfo";
    let acme = server.organization("Acme").await;
    let (app, key, other) = (App::public(server, &acme).await, Key::new(), Key::new());
    let given = tokens(server, &app, &key, &acme.viewer).await;
    let token = text(&given, "access_token");
    let told = granted(use_with(&app, PATH, token, &[&key.proof_with(server, "GET", PATH, token)]).await);
    assert_eq!(text(&told, "sub"), acme.viewer.id.to_string());
    let challenge = |answer: &Answer| answer.headers["www-authenticate"].to_str().unwrap().to_owned();
    let bearer = app.caller(&given).get(PATH).await;
    assert!(challenge(&bearer).starts_with("DPoP error=\"invalid_token\""));
    refused(bearer, 401, "invalid_token");
    let stolen = use_with(&app, PATH, token, &[&other.proof_with(server, "GET", PATH, token)]).await;
    assert!(challenge(&stolen).starts_with("DPoP error=\"invalid_dpop_proof\""));
    refused(stolen, 401, "invalid_token");
}

async fn a_bound_token_is_told_which_scope_it_lacks(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key) = (App::public(server, &acme).await, Key::new());
    let token = text(&tokens(server, &app, &key, &acme.owner).await, "access_token").to_owned();
    let path = format!("/api/v1/organizations/{}/settings", acme.id);
    let narrow = use_with(&app, &path, &token, &[&key.proof_with(server, "GET", &path, &token)]).await;
    let challenge = narrow.headers["www-authenticate"].to_str().unwrap();
    assert!(
        challenge.starts_with("DPoP error=\"insufficient_scope\", scope=\"read organization.update\", "),
        "{challenge}"
    );
    assert!(challenge.ends_with(", algs=\"ES256 ES384 EdDSA RS256 PS256\""), "{challenge}");
    narrow.error(403, "FORBIDDEN");
}

async fn a_proof_needs_a_nonce_where_the_server_demands_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key) = (App::public(server, &acme).await, Key::new());
    let path = format!("/api/v1/organizations/{}", acme.id);
    let pkce = Pkce::new();
    let code = app.code(&acme.viewer, &pkce).await;
    let asked = exchange(server, &app, &key, &code, &pkce).await;
    let nonce = asked.headers["dpop-nonce"].to_str().unwrap().to_owned();
    assert!(asked.headers["access-control-expose-headers"].to_str().unwrap().contains("dpop-nonce"));
    refused(asked, 400, "use_dpop_nonce");
    let with = |method: &str, path: &str, nonce: &str, token: &str| {
        let ath = URL_SAFE_NO_PAD.encode(Sha256::digest(token));
        key.proof(server, method, path, json!({"nonce": nonce, "ath": ath}))
    };
    let pairs = [
        ("grant_type", "authorization_code"),
        ("code", &*code),
        ("redirect_uri", CALLBACK),
        ("code_verifier", &*pkce.verifier),
    ];
    let send =
        async |nonce: &str| post_with(&app, "/oauth/token", &pairs, &[&with("POST", "/oauth/token", nonce, "")]).await;
    refused(send("made-up").await, 400, "use_dpop_nonce");
    // The question has not used the code up.
    let given = granted(send(&nonce).await);
    let token = text(&given, "access_token");
    // A token of this server's is no nonce of it.
    for wrong in ["made-up", token] {
        let asked = use_with(&app, &path, token, &[&with("GET", &path, wrong, token)]).await;
        assert!(asked.headers.contains_key("dpop-nonce"));
        challenged(asked, "use_dpop_nonce");
    }
    use_with(&app, &path, token, &[&with("GET", &path, &nonce, token)]).await.ok();
    server.clock().advance(chrono::Duration::minutes(5));
    challenged(use_with(&app, &path, token, &[&with("GET", &path, &nonce, token)]).await, "use_dpop_nonce");
}

async fn proofs_that_ran_out_are_swept(server: &Server) {
    let acme = server.organization("Acme").await;
    let (app, key) = (App::new(server, &acme).await, Key::new());
    granted(ask(server, &app, &key, &[("grant_type", "client_credentials")]).await);
    let seen = async || server.count("SELECT count(*) FROM oauth_seen").await;
    assert_eq!(seen().await, 1);
    server.later(chrono::Duration::hours(2)).await;
    rivergen_tests::eventually("the sweep", async || {
        server.run_due_jobs().await;
        (seen().await == 0).then_some(())
    })
    .await;
}
