//! This server as authorization server and OpenID provider: `/oauth/…`, `/api/v1/oauth/…`, and the applications of
//! organizations.

mod applications;
mod attacks;
mod authorize;
mod client_document;
mod connected;
mod device;
pub mod dpop;
mod foreign;
mod metadata;
mod registration;
mod token;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, EncodingKey, jwk::Jwk};
use rivergen_tests::{Answer, Client, Organization, Person, Server};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use url::Url;

pub const CALLBACK: &str = "https://app.acme.example/callback";
pub const STATE: &str = "af0ifjsldkj";

/// An application, as its developer knows it.
pub struct App {
    pub id: i64,
    pub client_id: String,
    pub secret: Option<String>,
    pub anonymous: Client,
    /// Where its organization's applications are.
    pub path: String,
}

/// What a program makes for one sign-in.
pub struct Pkce {
    pub verifier: String,
    pub challenge: String,
}

impl Pkce {
    pub fn new() -> Self {
        let verifier = URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        Self { challenge: URL_SAFE_NO_PAD.encode(Sha256::digest(&verifier)), verifier }
    }
}

pub fn form(pairs: &[(&str, &str)]) -> String {
    url::form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

pub fn registration() -> Value {
    json!({"name": "Reporting", "grant_types": ["authorization_code", "client_credentials"],
        "redirect_uris": [CALLBACK], "scopes": ["read", "write"]})
}

impl App {
    /// Registered by the owner.
    pub async fn register(server: &Server, organization: &Organization, registration: Value) -> Self {
        Self::register_by(server, organization, &organization.owner, registration).await
    }

    pub async fn register_by(server: &Server, of: &Organization, by: &Person, registration: Value) -> Self {
        let path = format!("/api/v1/organizations/{}/oauth-applications", of.id);
        let made = by.client.post(&path, registration).await.created();
        Self {
            id: made["id"].as_i64().unwrap(),
            client_id: made["client_id"].as_str().unwrap().to_owned(),
            secret: made["client_secret"].as_str().map(str::to_owned),
            anonymous: server.anonymous(),
            path: format!("{path}/{}", made["id"]),
        }
    }

    pub async fn new(server: &Server, organization: &Organization) -> Self {
        Self::register(server, organization, registration()).await
    }

    /// A program on its users' devices.
    pub async fn public(server: &Server, organization: &Organization) -> Self {
        let registration = json!({"name": "Phone", "grant_types": ["authorization_code"], "client_type": "public",
            "redirect_uris": [CALLBACK, "http://127.0.0.1/native"], "scopes": ["read"]});
        Self::register(server, organization, registration).await
    }

    /// Posts a form, with the application's own proof.
    pub async fn post(&self, path: &str, pairs: &[(&str, &str)]) -> Answer {
        let mut all = vec![("client_id", self.client_id.as_str())];
        all.extend(self.secret.as_deref().map(|secret| ("client_secret", secret)));
        all.extend(pairs);
        post(&self.anonymous, path, &all).await
    }

    pub async fn credentials(&self) -> Value {
        granted(self.post("/oauth/token", &[("grant_type", "client_credentials")]).await)
    }

    /// The query of an authorization request.
    pub fn request(&self, pkce: &Pkce, more: &[(&str, &str)]) -> String {
        let mut pairs = vec![
            ("response_type", "code"),
            ("client_id", self.client_id.as_str()),
            ("redirect_uri", CALLBACK),
            ("scope", "openid profile email read"),
            ("state", STATE),
            ("code_challenge", pkce.challenge.as_str()),
            ("code_challenge_method", "S256"),
        ];
        pairs.retain(|(name, _)| !more.iter().any(|(other, _)| other == name));
        pairs.extend(more.iter().filter(|(_, value)| !value.is_empty()));
        form(&pairs)
    }

    /// The code that a person gives through a front end of its own.
    pub async fn code(&self, person: &Person, pkce: &Pkce) -> String {
        let body = json!({"client_id": self.client_id, "redirect_uri": CALLBACK, "scope": "openid profile email read",
            "state": STATE, "code_challenge": pkce.challenge, "code_challenge_method": "S256", "nonce": "n-0S6",
            "approve": true});
        let data = person.client.post("/api/v1/oauth/authorize", body).await.ok();
        answer_of(data["redirect_url"].as_str().unwrap(), "code").unwrap()
    }

    pub async fn exchange(&self, code: &str, pkce: &Pkce) -> Answer {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", pkce.verifier.as_str()),
        ];
        self.post("/oauth/token", &pairs).await
    }

    /// Tokens for a person who agrees.
    pub async fn tokens(&self, person: &Person) -> Value {
        let pkce = Pkce::new();
        granted(self.exchange(&self.code(person, &pkce).await, &pkce).await)
    }

    pub async fn refresh(&self, token: &str) -> Answer {
        self.post("/oauth/token", &[("grant_type", "refresh_token"), ("refresh_token", token)]).await
    }

    /// A caller of the API with the access token of the answer.
    pub fn caller(&self, tokens: &Value) -> Client {
        self.anonymous.with_token(text(tokens, "access_token"))
    }
}

/// So many more programs like the one that there is, as rows.
pub async fn copied(server: &Server, count: usize) {
    let columns = "organization_id, name, client_type, grant_types, redirect_uris, post_logout_redirect_uris, scopes, \
                   resources, access_level, status, origin, preapproved, dpop_bound_access_tokens, token_generation, \
                   responsible_user_id, responsible_since, created_at, updated_at";
    let copies = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) \
         INSERT INTO oauth_applications ({columns}, client_id, name_key) \
         SELECT {columns}, client_id || i, name_key || i FROM oauth_applications, n"
    );
    server.execute(&copies).await;
}

pub async fn post(client: &Client, path: &str, pairs: &[(&str, &str)]) -> Answer {
    client.post_raw(path, "application/x-www-form-urlencoded", form(pairs)).await
}

pub fn text<'a>(value: &'a Value, name: &str) -> &'a str {
    value[name].as_str().unwrap_or_else(|| panic!("no {name} in {value}"))
}

/// The body of a 200.
#[track_caller]
pub fn granted(answer: Answer) -> Value {
    assert_eq!(answer.status, 200, "{} answered {}", answer.request, answer.body);
    answer.body
}

/// A refusal of the protocol, whose shape is checked.
#[track_caller]
pub fn refused(answer: Answer, status: u16, code: &str) {
    assert_eq!(
        (answer.status.as_u16(), &answer.body["error"]),
        (status, &json!(code)),
        "{}: {}",
        answer.request,
        answer.body
    );
    assert!(answer.body["error_description"].as_str().is_some_and(|text| !text.is_empty()), "{}", answer.body);
    assert_eq!(answer.headers["cache-control"], "no-store");
}

/// A key of an application's own, as PKCS #8, and what is registered of it.
pub fn key_pair(kid: &str) -> (Vec<u8>, Jwk) {
    let rng = aws_lc_rs::rand::SystemRandom::new();
    let scheme = &aws_lc_rs::signature::ECDSA_P256_SHA256_FIXED_SIGNING;
    let document = aws_lc_rs::signature::EcdsaKeyPair::generate_pkcs8(scheme, &rng).unwrap().as_ref().to_vec();
    let mut jwk = Jwk::from_encoding_key(&EncodingKey::from_ec_der(&document), Algorithm::ES256).unwrap();
    jwk.common.key_id = Some(kid.to_owned());
    (document, jwk)
}

/// The same token with the other signature that ECDSA takes for it: (r, n − s) in place of (r, s).
pub fn with_other_signature(token: &str) -> String {
    /// n of P-256.
    const ORDER: [u8; 32] = [
        0xff, 0xff, 0xff, 0xff, 0x00, 0x00, 0x00, 0x00, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xbc, 0xe6,
        0xfa, 0xad, 0xa7, 0x17, 0x9e, 0x84, 0xf3, 0xb9, 0xca, 0xc2, 0xfc, 0x63, 0x25, 0x51,
    ];
    let (signed, signature) = token.rsplit_once('.').unwrap();
    let mut bytes = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let mut borrow = 0;
    for (byte, order) in bytes[32..].iter_mut().zip(ORDER).rev() {
        let difference = i16::from(order) - i16::from(*byte) - borrow;
        borrow = i16::from(difference < 0);
        *byte = u8::try_from(difference.rem_euclid(256)).unwrap();
    }
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// A parameter of the address that a browser is sent to.
pub fn answer_of(location: &str, name: &str) -> Option<String> {
    Url::parse(location).unwrap().query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// Where a browser is sent.
#[track_caller]
pub fn location(answer: &Answer) -> String {
    assert_eq!(answer.status, 302, "{}: {}", answer.request, answer.body);
    answer.headers["location"].to_str().unwrap().to_owned()
}

/// The value of a hidden field of a page.
#[track_caller]
pub fn field(page: &Answer, name: &str) -> String {
    let html = page.body.as_str().unwrap_or_else(|| panic!("no page: {}", page.body));
    let marked = format!("name=\"{name}\" value=\"");
    let (_, rest) = html.split_once(&marked).unwrap_or_else(|| panic!("no field {name} in {html}"));
    rest.split('"').next().unwrap().replace("&amp;", "&")
}

/// A browser, in which somebody signs in on the page when they are asked.
pub struct Browser(pub Client);

impl Browser {
    pub fn new(server: &Server) -> Self {
        Self(Client::with_cookies(server.url()))
    }

    pub async fn open(&self, query: &str) -> Answer {
        let request = self.0.request(reqwest::Method::GET, &format!("/oauth/authorize?{query}"));
        self.0.send(request.header("accept", "text/html,application/xhtml+xml,*/*;q=0.8")).await
    }

    /// Fills the sign-in page in, and follows it back to the request.
    pub async fn sign_in(&self, page: &Answer, email: &str) -> Answer {
        let answer = self.give_password(page, email, rivergen_tests::PASSWORD).await;
        assert_eq!(answer.status, 303, "{}", answer.body);
        let location = answer.headers["location"].to_str().unwrap().to_owned();
        self.0.get(&location).await
    }

    pub async fn give_password(&self, page: &Answer, email: &str, password: &str) -> Answer {
        let (query, token) = (field(page, "continue"), field(page, "form_token"));
        let pairs = [("continue", query.as_str()), ("form_token", &token), ("email", email), ("password", password)];
        post(&self.0, "/oauth/sign-in", &pairs).await
    }

    /// Signs somebody in who agrees to the request.
    pub async fn agree(&self, query: &str, email: &str) {
        let page = self.open(query).await;
        let page = self.sign_in(&page, email).await;
        location(&self.decide(&page, true).await);
    }

    pub async fn decide(&self, page: &Answer, approve: bool) -> Answer {
        let ticket = field(page, "ticket");
        let approve = if approve { "true" } else { "false" };
        post(&self.0, "/oauth/authorize", &[("ticket", &ticket), ("approve", approve)]).await
    }
}
