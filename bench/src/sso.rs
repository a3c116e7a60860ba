//! Sign-ins through an organization's identity provider, on one database: by OpenID Connect from the start of the sign-in to the
//! tokens of the session, by SAML from the provider's signed response to the tokens.
//!
//! The provider of OpenID Connect answers from a thread of this process, and signs with a curve; what the SAML provider posts is
//! signed beforehand. So nearly all of the time is the server's.

use std::{
    net::{SocketAddr, TcpListener},
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use axum::{
    Form, Json, Router,
    routing::{get, post},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::Utc;
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rcgen::{CertificateParams, KeyPair, PKCS_RSA_SHA256, RsaKeySize};
use rivergen_platform::Database;
use saml_rs::crypto::{self, keys::load_private_key};
use sea_orm::ConnectionTrait;
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::{
    database::connect_to,
    error::{BenchError, Result},
    load::{self, Connection, Load},
    median,
    report::{Goal, Report},
    server::{OTHER_EMAIL, Server},
    sign_ins,
};

const RUNS: usize = 3;
const WARM_UP: Duration = Duration::from_secs(1);
const MEASURED: Duration = Duration::from_secs(4);
/// Browsers that sign in at the same time.
const BROWSERS: usize = 16;
/// Responses of the SAML provider in one run.
const RESPONSES: usize = 1_000;

const CLIENT_ID: &str = "rivergen";
/// Who signs in, at the provider.
const SUBJECT: &str = "somebody";

/// Sign-ins per second, against those with a password.
pub fn measure(binary: &Path, name: &str, database: Option<&str>, report: &mut Report) -> Result<()> {
    let server = Server::provisioned_on(binary, database)?;
    let runtime = load::runtime()?;
    let database = runtime.block_on(connect_to(&server, database))?;
    let session = server.sign_in()?.access_token;

    let issuer = start_provider()?;
    let body = json!({"provider_type": "oidc", "name": "OIDC", "issuer": issuer, "client_id": CLIENT_ID,
        "client_secret": "of the bench"});
    let oidc = register(&server, &session, &body)?;
    let saml = SamlProvider::new()?;
    let body = json!({"provider_type": "saml", "name": "SAML", "entity_id": ENTITY_ID,
        "sso_url": "https://idp.bench.example/sso", "certificate": saml.certificate, "allow_idp_initiated": true});
    let responder = register(&server, &session, &body)?;
    for provider in [oidc, responder] {
        runtime.block_on(link(&database, provider))?;
    }

    let storm = sign_ins::storm(&server);
    let (mut by_oidc, mut by_saml, mut by_password) = (Vec::new(), Vec::new(), Vec::new());
    for run in 0..RUNS {
        by_oidc.push(runtime.block_on(oidc_per_second(server.address, oidc))?);
        let posts = saml.responses(server.address, responder, run)?;
        by_saml.push(runtime.block_on(saml_per_second(server.address, posts))?);
        by_password.push(storm.per_second(WARM_UP, MEASURED)?);
    }
    let by_password = median(by_password);
    for (what, rate) in [("OpenID Connect", median(by_oidc)), ("SAML", median(by_saml))] {
        report.compare(
            format!("sign-ins by {what}, {name}"),
            format!("{rate:.0}/s"),
            format!("{by_password:.1}/s with a password"),
            rate / by_password,
            Goal::AtLeast(1.0),
        );
    }
    Ok(())
}

fn register(server: &Server, session: &str, body: &Value) -> Result<i64> {
    let answer = server.post("/api/v1/sso/providers", body, Some(session))?;
    let id = answer["data"]["provider"]["id"].as_i64();
    id.ok_or_else(|| BenchError::Answer("no provider was answered".into()))
}

/// Links the other person of the organization to the provider, as their first sign-in would.
async fn link(database: &Database, provider: i64) -> Result<()> {
    let linked = format!(
        "INSERT INTO sso_identities (organization_id, provider_id, subject, user_id, email, attributes, \"groups\", created_at) \
         SELECT organization_id, {provider}, '{SUBJECT}', user_id, email, '{{}}', '[]', joined_at FROM memberships \
         WHERE email = '{OTHER_EMAIL}' AND organization_id = (SELECT organization_id FROM sso_providers WHERE id = {provider})"
    );
    database.read().execute_unprepared(&linked).await?;
    Ok(())
}

/// What the provider of OpenID Connect is asked with.
#[derive(Deserialize)]
struct TokenRequest {
    /// The nonce of the sign-in: whoever has that is believed to have been at the provider.
    code: String,
}

/// Starts a provider of OpenID Connect that lets everybody in; answers its issuer. It ends with the process.
fn start_provider() -> Result<String> {
    let listener = TcpListener::bind("127.0.0.1:0")?;
    listener.set_nonblocking(true)?;
    let issuer = format!("http://{}", listener.local_addr()?);
    let told = |error: &dyn std::fmt::Display| BenchError::Answer(error.to_string());
    let pair = KeyPair::generate().map_err(|error| told(&error))?;
    let key = EncodingKey::from_ec_pem(pair.serialize_pem().as_bytes()).map_err(|error| told(&error))?;
    let jwk = Jwk::from_encoding_key(&key, Algorithm::ES256).map_err(|error| told(&error))?;
    let mut jwk = serde_json::to_value(jwk)?;
    jwk["kid"] = "bench".into();
    jwk["use"] = "sig".into();
    let at = |path: &str| format!("{issuer}/{path}");
    let document = json!({"issuer": issuer, "authorization_endpoint": at("authorize"), "token_endpoint": at("token"),
        "jwks_uri": at("jwks"), "response_types_supported": ["code"], "subject_types_supported": ["public"],
        "id_token_signing_alg_values_supported": ["ES256"],
        "token_endpoint_auth_methods_supported": ["client_secret_basic"]});
    let (key, own) = (Arc::new(key), issuer.clone());
    let token = async move |Form(request): Form<TokenRequest>| {
        let now = Utc::now().timestamp();
        let claims = json!({"iss": own, "aud": CLIENT_ID, "sub": SUBJECT, "iat": now, "exp": now + 300,
            "nonce": request.code, "email": OTHER_EMAIL, "email_verified": true});
        let header = Header { kid: Some("bench".to_owned()), ..Header::new(Algorithm::ES256) };
        let id_token = jsonwebtoken::encode(&header, &claims, &key).unwrap_or_default();
        Json(json!({"access_token": "a-token", "token_type": "Bearer", "expires_in": 300, "id_token": id_token}))
    };
    let router = Router::new()
        .route("/.well-known/openid-configuration", get(async move || Json(document)))
        .route("/jwks", get(async move || Json(json!({"keys": [jwk]}))))
        .route("/token", post(token));
    thread::spawn(move || {
        load::runtime()?
            .block_on(async move { axum::serve(tokio::net::TcpListener::from_std(listener)?, router).await })
    });
    Ok(issuer)
}

/// Whole sign-ins in a second: the way to the provider, the way back, the tokens.
async fn oidc_per_second(address: SocketAddr, provider: i64) -> Result<f64> {
    let begin = Instant::now() + WARM_UP;
    let end = begin + MEASURED;
    let browsers = (0..BROWSERS).map(|_| async {
        let mut connection = Connection::open(address).await?;
        let mut done = 0_u32;
        loop {
            sign_in(&mut connection, address, provider).await?;
            let now = Instant::now();
            if now >= end {
                return Ok::<u32, BenchError>(done);
            }
            done += u32::from(now >= begin);
        }
    });
    let done: u32 = futures::future::try_join_all(browsers).await?.into_iter().sum();
    Ok(f64::from(done) / MEASURED.as_secs_f64())
}

async fn sign_in(connection: &mut Connection, address: SocketAddr, provider: i64) -> Result<()> {
    let start = format!("GET /api/v1/sso/login?provider_id={provider} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let there = parsed(&connection.redirected(start.as_bytes()).await?)?;
    let cookie = connection.header("set-cookie").unwrap_or_default();
    let cookie = cookie.split(';').next().unwrap_or_default().to_owned();
    let back = parsed(&value(&there, "redirect_uri")?)?;
    let answer = url::form_urlencoded::Serializer::new(String::new())
        .append_pair("code", &value(&there, "nonce")?)
        .append_pair("state", &value(&there, "state")?)
        .finish();
    let path = back.path();
    let back = format!("GET {path}?{answer} HTTP/1.1\r\nhost: {address}\r\ncookie: {cookie}\r\n\r\n");
    let signed_in = connection.redirected(back.as_bytes()).await?;
    exchange(connection, address, &signed_in).await
}

/// Swaps the code in the address for tokens.
async fn exchange(connection: &mut Connection, address: SocketAddr, signed_in: &str) -> Result<()> {
    let mut target = parsed(signed_in)?;
    let code = value(&target, "code")?;
    target.set_query(None);
    let body = json!({"code": code, "redirect_uri": target.as_str()});
    connection.exchange(&Load::post(address, "/api/v1/sso/token", &body, None, 1).request).await
}

fn parsed(address: &str) -> Result<Url> {
    Url::parse(address).map_err(|_| BenchError::Answer(format!("{address} is no address")))
}

fn value(address: &Url, name: &str) -> Result<String> {
    let found = address.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
    found.ok_or_else(|| BenchError::Answer(format!("{address} has no {name}")))
}

const ENTITY_ID: &str = "https://idp.bench.example/metadata";
const RSA_SHA256: &str = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";

/// An identity provider that signs with RSA, as most do.
struct SamlProvider {
    private_key: String,
    /// Base64 of DER.
    certificate: String,
}

impl SamlProvider {
    fn new() -> Result<Self> {
        let told = |error: rcgen::Error| BenchError::Answer(error.to_string());
        let key = KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_2048).map_err(told)?;
        let mut params = CertificateParams::default();
        params.not_after = (std::time::SystemTime::now() + Duration::from_secs(86_400)).into();
        let certificate = params.self_signed(&key).map_err(told)?;
        Ok(Self { private_key: key.serialize_pem(), certificate: STANDARD.encode(certificate.der()) })
    }

    /// What browsers post to the server after they were at the provider.
    fn responses(&self, address: SocketAddr, provider: i64, run: usize) -> Result<Vec<Vec<u8>>> {
        let told = |error: &dyn std::fmt::Display| BenchError::Answer(error.to_string());
        let key = load_private_key(&self.private_key, None).map_err(|error| told(&error))?;
        let path = format!("/api/v1/sso/saml/acs/{provider}");
        let posts = (0..RESPONSES).map(|number| {
            let xml = response(&format!("http://{address}"), provider, &format!("{run}-{number}"));
            let signed = crypto::construct_saml_signature(&xml, false, &key, &self.certificate, RSA_SHA256, &[], None);
            let signed = STANDARD.encode(signed.map_err(|error| told(&error))?);
            let body =
                url::form_urlencoded::Serializer::new(String::new()).append_pair("SAMLResponse", &signed).finish();
            let length = body.len();
            Ok(format!(
                "POST {path} HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/x-www-form-urlencoded\r\n\
                 content-length: {length}\r\n\r\n{body}"
            )
            .into_bytes())
        });
        posts.collect()
    }
}

/// A response that nobody asked for, which holds for some minutes.
fn response(base: &str, provider: i64, id: &str) -> String {
    let (audience, recipient) =
        (format!("{base}/api/v1/sso/saml/metadata/{provider}"), format!("{base}/api/v1/sso/saml/acs/{provider}"));
    let time = |minutes| (Utc::now() + chrono::Duration::minutes(minutes)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let (issued, before, until) = (time(0), time(-1), time(5));
    format!(
        r#"<samlp:Response xmlns:samlp="urn:oasis:names:tc:SAML:2.0:protocol" xmlns:saml="urn:oasis:names:tc:SAML:2.0:assertion" ID="_r{id}" Version="2.0" IssueInstant="{issued}" Destination="{recipient}"><saml:Issuer>{ENTITY_ID}</saml:Issuer><samlp:Status><samlp:StatusCode Value="urn:oasis:names:tc:SAML:2.0:status:Success"/></samlp:Status><saml:Assertion ID="_a{id}" Version="2.0" IssueInstant="{issued}"><saml:Issuer>{ENTITY_ID}</saml:Issuer><saml:Subject><saml:NameID Format="urn:oasis:names:tc:SAML:2.0:nameid-format:persistent">{SUBJECT}</saml:NameID><saml:SubjectConfirmation Method="urn:oasis:names:tc:SAML:2.0:cm:bearer"><saml:SubjectConfirmationData NotOnOrAfter="{until}" Recipient="{recipient}"/></saml:SubjectConfirmation></saml:Subject><saml:Conditions NotBefore="{before}" NotOnOrAfter="{until}"><saml:AudienceRestriction><saml:Audience>{audience}</saml:Audience></saml:AudienceRestriction></saml:Conditions><saml:AuthnStatement AuthnInstant="{issued}" SessionIndex="_s{id}"><saml:AuthnContext><saml:AuthnContextClassRef>urn:oasis:names:tc:SAML:2.0:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext></saml:AuthnStatement><saml:AttributeStatement><saml:Attribute Name="email"><saml:AttributeValue>{OTHER_EMAIL}</saml:AttributeValue></saml:Attribute></saml:AttributeStatement></saml:Assertion></samlp:Response>"#
    )
}

/// Sign-ins in a second, with responses that are signed already.
async fn saml_per_second(address: SocketAddr, posts: Vec<Vec<u8>>) -> Result<f64> {
    let begin = Instant::now();
    let all = posts.len();
    let browsers = posts.chunks(all.div_ceil(BROWSERS)).map(|posts| async move {
        let mut connection = Connection::open(address).await?;
        for post in posts {
            let signed_in = connection.redirected(post).await?;
            exchange(&mut connection, address, &signed_in).await?;
        }
        Ok::<(), BenchError>(())
    });
    futures::future::try_join_all(browsers).await?;
    Ok(all as f64 / begin.elapsed().as_secs_f64())
}
