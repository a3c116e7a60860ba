//! Foreign providers for the tests of social login, and a browser that goes there and back.
//!
//! [`Provider`] is a real OpenID provider, a program of its own that speaks the protocol as it is certified to;
//! [`github`] is a small server that speaks GitHub's documented JSON.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    path::PathBuf,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex},
};

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::Redirect,
    routing::{get, post},
};
use reqwest::{RequestBuilder, Response};
use serde_json::{Value, json};
use url::Url;

use crate::{Answer, Client, Server, missing::passed_over};

/// A running OpenID provider; ends when it is dropped.
pub struct Provider {
    program: Child,
    pub issuer: String,
}

impl Provider {
    /// Starts it; `None`, with a word about it, where it is not installed.
    pub fn start(options: &Value) -> Option<Self> {
        let modules = PathBuf::from(std::env::var_os("HOME").unwrap_or_default()).join(".cache/rivergen/oidc-provider");
        if !modules.join("node_modules/oidc-provider").exists() {
            passed_over(&format!("there is no OpenID provider in {}", modules.display()));
            return None;
        }
        let script = crate::manifest_dir().join("interop/oidc-provider/server.mjs");
        let started = Command::new("node")
            .arg(script)
            .arg(modules)
            .arg(options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let Ok(mut program) = started else {
            passed_over("node, which the OpenID provider needs, cannot be started");
            return None;
        };
        let mut issuer = String::new();
        BufReader::new(program.stdout.take().unwrap()).read_line(&mut issuer).unwrap();
        assert!(issuer.starts_with("http://127.0.0.1:"), "the OpenID provider did not start: {issuer:?}");
        Some(Self { program, issuer: issuer.trim().to_owned() })
    }

    /// The settings of a server that people sign in to with it, as `corp`.
    pub fn settings(&self) -> String {
        format!(
            "[social]\nredirect_targets = [\"{FRONT_END}\"]\n[social.corp]\nkind = \"oidc\"\nissuer = \"{}\"\n\
             client_id = \"corp\"\nclient_secret = \"the secret of corp\"\n",
            self.issuer
        )
    }

    /// Says more of somebody: claims of theirs, under their subject.
    pub async fn tell_of(&self, people: Value) {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        let told = http.post(format!("{}/people", self.issuer)).body(people.to_string()).send().await.unwrap();
        assert!(told.status().is_success());
    }

    /// As `POST /api/v1/sso/providers` takes it.
    pub fn registration(&self, name: &str) -> Value {
        json!({"provider_type": "oidc", "name": name, "issuer": self.issuer, "client_id": "corp",
            "client_secret": "the secret of corp"})
    }

    /// What the grants so far were asked for with.
    pub async fn seen(&self) -> Value {
        let http = reqwest::Client::builder().no_proxy().build().unwrap();
        http.get(format!("{}/seen", self.issuer)).send().await.unwrap().json().await.unwrap()
    }
}

impl Provider {
    /// Ends it, so that another can take its port.
    pub fn end(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

impl Drop for Provider {
    fn drop(&mut self) {
        self.end();
    }
}

/// The one redirect target of [`Provider::settings`]. Nobody listens there.
pub const FRONT_END: &str = "http://127.0.0.1:9/signed-in";

/// A browser: it keeps cookies, and goes where it is sent, as far as the server under test.
#[derive(Clone)]
pub struct Browser {
    client: Client,
    server: String,
}

/// What a provider sent back to the server under test.
#[derive(Debug, Clone)]
pub struct Return {
    /// The callback's address with its query.
    pub url: Url,
    /// The fields of a form that the provider's page posts.
    pub form: Option<BTreeMap<String, String>>,
}

impl Return {
    pub fn value(&self, name: &str) -> String {
        let from_form = self.form.as_ref().and_then(|form| form.get(name).cloned());
        let from_query = self.url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        from_form.or(from_query).unwrap_or_else(|| panic!("no {name} in {self:?}"))
    }
}

impl Browser {
    pub fn new(server: &Server) -> Self {
        Self { client: Client::with_cookies(server.url()), server: server.url().to_owned() }
    }

    /// What it talks to the server under test with; its cookies come along.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// `GET /api/v1/auth/oauth/{provider}/url` as `caller`; its cookie stays in this browser.
    pub async fn start(&self, provider: &str, query: &str, caller: &Client) -> Answer {
        let path = format!("/api/v1/auth/oauth/{provider}/url?{query}");
        match caller.token() {
            "" => self.client.get(&path).await,
            token => self.client.with_token(token).get(&path).await,
        }
    }

    /// Opens an address at the provider, signs in there, agrees to everything, and stops where the provider sends the
    /// browser back.
    pub async fn visit(&self, address: &str, login: &str) -> Return {
        let http = self.client.http();
        let mut url = Url::parse(address).unwrap();
        let mut response = http.get(url.clone()).send().await.unwrap();
        // Login, consent, and the redirects between them.
        for _ in 0..20 {
            if let Some(location) = response.headers().get("location") {
                url = url.join(location.to_str().unwrap()).unwrap();
                if url.as_str().starts_with(&self.server) {
                    return Return { url, form: None };
                }
                response = http.get(url.clone()).send().await.unwrap();
                continue;
            }
            let page = read(response).await;
            let action = attribute(&page, "<form", "action").unwrap_or_else(|| panic!("no form in {page}"));
            let action = url.join(&action).unwrap();
            if action.as_str().starts_with(&self.server) {
                return Return { url: action, form: Some(inputs(&page)) };
            }
            let mut fields = inputs(&page);
            if page.contains("name=\"login\"") {
                fields.insert("login".to_owned(), login.to_owned());
                fields.insert("password".to_owned(), "x".to_owned());
            }
            url = action;
            response = with_form(http.post(url.clone()), &fields).send().await.unwrap();
        }
        panic!("the provider sends the browser round in circles");
    }

    /// Starts a sign-in and goes through the provider.
    pub async fn through(&self, provider: &str, query: &str, login: &str, caller: &Client) -> Return {
        let started = self.start(provider, query, caller).await.ok();
        self.visit(started["oauth_url"].as_str().unwrap(), login).await
    }

    /// Brings an answer of the provider to the callback, with the cookies of this browser.
    pub async fn callback(&self, back: &Return) -> Answer {
        let http = self.client.http();
        self.client
            .send(match &back.form {
                None => http.get(back.url.clone()),
                Some(form) => with_form(http.post(back.url.clone()), form),
            })
            .await
    }
}

/// The request with a form as its body.
pub fn with_form(request: RequestBuilder, fields: &BTreeMap<String, String>) -> RequestBuilder {
    let body: String = url::form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
    request.header("content-type", "application/x-www-form-urlencoded").body(body)
}

async fn read(response: Response) -> String {
    let (status, text) = (response.status(), response.text().await.unwrap());
    assert!(status.is_success(), "the provider answered {status}: {text}");
    text
}

/// The fields of the form that have a value already.
fn inputs(page: &str) -> BTreeMap<String, String> {
    let tags = page.split("<input").skip(1);
    tags.filter_map(|tag| Some((attribute(tag, "", "name")?, attribute(tag, "", "value")?))).collect()
}

fn attribute(html: &str, after: &str, name: &str) -> Option<String> {
    let (_, rest) = html.split_once(after)?;
    let tag = rest.split('>').next()?;
    let (_, value) = tag.split_once(&format!("{name}=\""))?;
    Some(value.split('"').next()?.replace("&amp;", "&").replace("&#x2F;", "/"))
}

/// A server that speaks as much of GitHub as a sign-in needs: its address.
pub async fn github(user: Value, emails: Value) -> String {
    let github = Arc::new(Github { user, emails, challenge: Mutex::default() });
    let router = Router::new()
        .route("/login/oauth/authorize", get(authorize))
        .route("/login/oauth/access_token", post(access_token))
        .route("/api/v3/user", get(async |State(github): Api, headers: HeaderMap| tell(&headers, &github.user)))
        .route(
            "/api/v3/user/emails",
            get(async |State(github): Api, headers: HeaderMap| tell(&headers, &github.emails)),
        )
        .with_state(github);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    address
}

struct Github {
    user: Value,
    emails: Value,
    /// Of the last authorization.
    challenge: Mutex<String>,
}
type Api = State<Arc<Github>>;
type Fields = BTreeMap<String, String>;

async fn authorize(State(github): Api, Query(query): Query<Fields>) -> Redirect {
    assert_eq!((query["response_type"].as_str(), query["code_challenge_method"].as_str()), ("code", "S256"));
    assert!(query["scope"].split(' ').any(|scope| scope == "user:email"), "{query:?}");
    github.challenge.lock().unwrap().clone_from(&query["code_challenge"]);
    let mut back: Url = query["redirect_uri"].parse().unwrap();
    back.query_pairs_mut().append_pair("code", "a-code").append_pair("state", &query["state"]);
    Redirect::to(back.as_str())
}

async fn access_token(State(github): Api, Form(form): Form<Fields>) -> Json<Value> {
    // What is refused is answered as 200, too.
    let is_client = form["client_id"] == "hub" && form["client_secret"] == "the secret of hub";
    let is_asked_for = form["code"] == "a-code" && !github.challenge.lock().unwrap().is_empty();
    Json(match is_client && is_asked_for && form["code_verifier"].len() >= 43 {
        true => json!({"access_token": "gho_1", "scope": "read:user,user:email", "token_type": "bearer"}),
        false => json!({"error": "bad_verification_code"}),
    })
}

fn tell(headers: &HeaderMap, what: &Value) -> Result<Json<Value>, StatusCode> {
    match headers.get("authorization").is_some_and(|value| value == "Bearer gho_1") {
        true => Ok(Json(what.clone())),
        false => Err(StatusCode::UNAUTHORIZED),
    }
}
