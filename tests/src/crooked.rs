//! An OpenID provider that says whatever a test wants, true or not: signed with its key, with another, or not at all.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
};

use axum::{
    Form, Json, Router,
    extract::State,
    http::StatusCode,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use futures::future::BoxFuture;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use serde_json::{Value, json};
use url::Url;

/// The client that the server under test is to it.
pub const CLIENT_ID: &str = "crooked";

/// Runs until the test ends.
pub struct Crooked {
    pub issuer: String,
    says: Arc<Mutex<Says>>,
}

/// What it says.
pub struct Says {
    issuer: String,
    /// Over the claims that an honest one would send.
    pub claims: Value,
    pub signed: Signed,
    /// Whether it has changed its key: it publishes another one, and signs with it.
    pub has_another_key: bool,
    /// Whether it calls that one as the first.
    pub keys_have_one_name: bool,
    /// Over its discovery document.
    pub document: Value,
    /// Whether it does not tell its discovery document at this moment.
    pub is_silent: bool,
    /// Over the subject, what its userinfo endpoint says.
    pub user_info: Value,
    /// Over the query that the browser comes back with; null takes a value away.
    pub answer: Value,
    /// The codes that were brought to its token endpoint.
    pub codes: Vec<String>,
    /// What happens, once, while the server waits for an answer.
    pub meanwhile: Option<BoxFuture<'static, ()>>,
}

/// How its tokens are signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signed {
    Honestly,
    /// With a key that it does not publish, under the name of the one that it does.
    WithAnotherKey,
    /// `alg: none`.
    NotAtAll,
    /// HMAC, with what everybody can read as the key.
    WithThePublicKey,
    /// HMAC with the client's secret.
    WithTheSecret,
}

/// The secret of the client.
pub const SECRET: &str = "the secret of crooked";

impl Crooked {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let issuer = format!("http://{}", listener.local_addr().unwrap());
        let says = Says {
            issuer: issuer.clone(),
            claims: json!({}),
            signed: Signed::Honestly,
            has_another_key: false,
            keys_have_one_name: false,
            document: json!({}),
            is_silent: false,
            user_info: json!({}),
            answer: json!({}),
            codes: Vec::new(),
            meanwhile: None,
        };
        let says = Arc::new(Mutex::new(says));
        let router = Router::new()
            .route("/.well-known/openid-configuration", get(document))
            .route("/jwks", get(keys))
            .route("/token", post(token))
            .route("/userinfo", get(user_info))
            .with_state(says.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { issuer, says }
    }

    pub fn says(&self) -> MutexGuard<'_, Says> {
        read(&self.says)
    }

    /// A provider as `POST /api/v1/sso/providers` takes it.
    pub fn registration(&self, name: &str) -> Value {
        json!({"provider_type": "oidc", "name": name, "issuer": self.issuer, "client_id": CLIENT_ID,
            "client_secret": SECRET})
    }

    /// Where it sends a browser back to that came with this address; the code stands for the nonce.
    pub fn send_back(&self, authorization_url: &str) -> Url {
        let asked = Url::parse(authorization_url).unwrap();
        let value = |name: &str| asked.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        let mut answer = BTreeMap::from([
            ("code".to_owned(), value("nonce").unwrap()),
            ("state".to_owned(), value("state").unwrap()),
        ]);
        for (key, other) in self.says().answer.as_object().unwrap() {
            match other.as_str() {
                Some(text) => answer.insert(key.clone(), text.to_owned()),
                None => answer.remove(key),
            };
        }
        let mut back = Url::parse(&value("redirect_uri").unwrap()).unwrap();
        back.query_pairs_mut().extend_pairs(answer);
        back
    }

    /// A token of its own making, with these claims alone.
    pub fn token(&self, claims: &Value) -> String {
        sign(&self.says(), claims)
    }
}

type Api = State<Arc<Mutex<Says>>>;

fn read(says: &Mutex<Says>) -> MutexGuard<'_, Says> {
    says.lock().unwrap()
}

/// Lets happen what happens meanwhile.
async fn wait(says: &Mutex<Says>) {
    let meanwhile = read(says).meanwhile.take();
    if let Some(meanwhile) = meanwhile {
        meanwhile.await;
    }
}

async fn document(State(says): Api) -> Result<Json<Value>, StatusCode> {
    wait(&says).await;
    let says = read(&says);
    if says.is_silent {
        return Err(StatusCode::SERVICE_UNAVAILABLE);
    }
    let at = |path: &str| format!("{}/{path}", says.issuer);
    let mut document = json!({"issuer": says.issuer, "authorization_endpoint": at("authorize"),
        "token_endpoint": at("token"), "jwks_uri": at("jwks"), "userinfo_endpoint": at("userinfo"),
        "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256", "HS256", "none"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"],
        "end_session_endpoint": at("logout")});
    merge(&mut document, &says.document);
    Ok(Json(document))
}

async fn keys(State(says): Api) -> Json<Value> {
    Json(json!({"keys": [jwk(&read(&says))]}))
}

async fn user_info(State(says): Api) -> Json<Value> {
    let says = read(&says);
    let mut info = json!({"sub": says.claims.get("sub").unwrap_or(&json!("ada"))});
    merge(&mut info, &says.user_info);
    Json(info)
}

async fn token(State(says): Api, Form(form): Form<BTreeMap<String, String>>) -> Result<Json<Value>, StatusCode> {
    wait(&says).await;
    let mut says = read(&says);
    let code = form.get("code").cloned().ok_or(StatusCode::BAD_REQUEST)?;
    says.codes.push(code.clone());
    let now = chrono::Utc::now().timestamp();
    let mut claims = json!({"iss": says.issuer, "aud": CLIENT_ID, "sub": "ada", "iat": now, "exp": now + 300,
        "nonce": code, "email": "ada@acme.example", "email_verified": true, "name": "Ada"});
    merge(&mut claims, &says.claims);
    let id_token = sign(&says, &claims);
    Ok(Json(json!({"access_token": "a-token", "token_type": "Bearer", "expires_in": 300, "id_token": id_token})))
}

/// Puts the one over the other; null takes a key away.
fn merge(into: &mut Value, over: &Value) {
    let into = into.as_object_mut().unwrap();
    for (key, value) in over.as_object().unwrap() {
        match value {
            Value::Null => into.remove(key),
            value => into.insert(key.clone(), value.clone()),
        };
    }
}

impl Says {
    /// The name of the key that it publishes, and the key.
    fn key(&self) -> (&'static str, EncodingKey) {
        let name = if self.has_another_key && !self.keys_have_one_name { "another key" } else { "the key" };
        let key = if self.has_another_key { ANOTHER_KEY } else { KEY };
        (name, EncodingKey::from_ec_pem(key.as_bytes()).unwrap())
    }
}

fn sign(says: &Says, claims: &Value) -> String {
    let (name, own) = says.key();
    let header = |algorithm| Header { kid: Some(name.to_owned()), ..Header::new(algorithm) };
    let by = |algorithm, key: EncodingKey| jsonwebtoken::encode(&header(algorithm), claims, &key).unwrap();
    match says.signed {
        Signed::Honestly => by(Algorithm::ES256, own),
        Signed::WithAnotherKey => by(Algorithm::ES256, EncodingKey::from_ec_pem(ANOTHER_KEY.as_bytes()).unwrap()),
        Signed::WithThePublicKey => by(Algorithm::HS256, EncodingKey::from_secret(jwk(says).to_string().as_bytes())),
        Signed::WithTheSecret => by(Algorithm::HS256, EncodingKey::from_secret(SECRET.as_bytes())),
        Signed::NotAtAll => {
            let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
            format!("{}.{}.", part(&json!({"alg": "none", "kid": name})), part(claims))
        }
    }
}

fn jwk(says: &Says) -> Value {
    let (name, key) = says.key();
    let mut jwk = serde_json::to_value(Jwk::from_encoding_key(&key, Algorithm::ES256).unwrap()).unwrap();
    jwk["kid"] = json!(name);
    jwk["use"] = json!("sig");
    jwk
}

// Made for these tests: openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256.
const KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgweexoWadntTB4PTT\n\
Hhq0pzIZgQ3k4ap8gl5t7QYpgH6hRANCAAQgyf4+26dIC2RJeeWFLXTzSBaj9IXb\n\
FxDHAx4DzqJijgMt3Xsh2Slc45Q+mG33nj8LZ5PzZ9bWe2y/AcbQkvOi\n\
-----END PRIVATE KEY-----\n";

const ANOTHER_KEY: &str = "\
-----BEGIN PRIVATE KEY-----\n\
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgcNjpDLAFHBI8gexr\n\
dXGbhocwZfjiCck5azBaCM+D6w+hRANCAATQY6ZOcu++c4KxJCjluCWRtp73lt6V\n\
COuNL9+QqaS/N3ZZ02orIFzvqrGa7b4ijdOIiY35EItmTVeGFyLb9d6D\n\
-----END PRIVATE KEY-----\n";
