//! Programs of which a document at their client id tells, and keys that programs publish at an address.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use axum::{
    Router,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
    routing::get,
};
use jsonwebtoken::{Algorithm, EncodingKey, Header, jwk::Jwk};
use rivergen_tests::{Answer, Organization, Server, on_both_databases};
use serde_json::{Value, json};

use super::{App, Browser, CALLBACK, Pkce, answer_of, copied, granted, key_pair, location, post, refused, text};

on_both_databases! {
    nothing_is_fetched_where_nothing_is_said with "[oauth.registration]\norganization = 1";
    the_organization_has_to_take_them_too with "[oauth.registration]\ndocuments = true\norganization = 1";
    a_document_is_enough with "[oauth.registration]\ndocuments = true\norganization = 1";
    strangers_leave_nothing_behind with "[oauth.registration]\ndocuments = true\norganization = 1";
    a_document_that_is_not_good_leads_nowhere with "[oauth.registration]\ndocuments = true\norganization = 1";
    a_document_is_followed with "[oauth.registration]\ndocuments = true\norganization = 1";
    a_document_is_fetched_by_the_guarded_client with "[oauth.registration]\ndocuments = true\norganization = 1\n[outbound.policy]\nallow_private = false";
    an_administrator_decides_of_it with "[oauth.registration]\ndocuments = true\norganization = 1";
    who_agreed_goes_on_when_no_document_is_taken_any_more with "[oauth.registration]\ndocuments = true\norganization = 1";
    it_proves_itself_by_keys_at_an_address with "[oauth.registration]\ndocuments = true\norganization = 1";
    a_program_that_registered_itself_has_keys_at_an_address with "[oauth.registration]\ndynamic = true\norganization = 1";
    of_two_at_once_one_is_the_last_that_there_is_room_for with "[oauth.registration]\ndocuments = true\norganization = 1";
}

/// A site with documents of programs.
struct Site {
    address: String,
    says: Arc<Mutex<Says>>,
}

#[derive(Default)]
struct Says {
    documents: BTreeMap<String, (u16, String, Value)>,
    asked: usize,
}

impl Site {
    async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let says = Arc::new(Mutex::new(Says::default()));
        let router = Router::new().route("/{name}", get(answer)).with_state(says.clone());
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { address, says }
    }

    fn at(&self, name: &str) -> String {
        format!("{}/{name}", self.address)
    }

    fn publish(&self, name: &str, document: Value) {
        self.publish_as(name, 200, "application/json", document);
    }

    fn publish_as(&self, name: &str, status: u16, kind: &str, document: Value) {
        self.says.lock().unwrap().documents.insert(name.to_owned(), (status, kind.to_owned(), document));
    }

    /// The document of a program under this name; `more` stands over it.
    fn document(&self, name: &str, more: Value) -> Value {
        let mut all = json!({"client_id": self.at(name), "client_name": "Editor", "redirect_uris": [CALLBACK],
            "scope": "read"});
        all.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        all
    }

    fn asked(&self) -> usize {
        self.says.lock().unwrap().asked
    }
}

async fn answer(State(says): State<Arc<Mutex<Says>>>, Path(name): Path<String>) -> Response {
    let mut says = says.lock().unwrap();
    says.asked += 1;
    let Some((status, kind, document)) = says.documents.get(&name).cloned() else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let headers = [(header::CONTENT_TYPE, kind), (header::LOCATION, "/good".to_owned())];
    (StatusCode::from_u16(status).unwrap(), headers, document.to_string()).into_response()
}

async fn acme(server: &Server) -> Organization {
    let acme = server.organization("Acme").await;
    let path = format!("/api/v1/organizations/{}/oauth-policy", acme.id);
    let policy = json!({"applications": "all", "client_documents": true});
    assert_eq!(acme.owner.client.put(&path, policy).await.ok()["client_documents"], true);
    acme
}

/// The program of a document; its id is not known, nor its path.
fn app(server: &Server, client_id: String) -> App {
    App { id: 0, client_id, secret: None, anonymous: server.anonymous(), path: String::new() }
}

async fn path_of(acme: &Organization, app: &App) -> String {
    let path = format!("/api/v1/organizations/{}/oauth-applications", acme.id);
    let all = acme.owner.client.get(&path).await.ok();
    let found = all["applications"].as_array().unwrap().iter().find(|one| one["client_id"] == app.client_id);
    format!("{path}/{}", found.unwrap()["id"])
}

async fn open(server: &Server, app: &App) -> Answer {
    Browser::new(server).open(&app.request(&Pkce::new(), &[])).await
}

async fn nothing_is_fetched_where_nothing_is_said(server: &Server) {
    let (acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    let app = app(server, site.at("good"));
    assert_eq!(open(server, &app).await.status, 400);
    let body = json!({"client_id": app.client_id, "redirect_uri": CALLBACK, "approve": true});
    acme.viewer.client.post("/api/v1/oauth/authorize", body).await.error(400, "invalid_client");
    assert_eq!(site.asked(), 0);
    let document = granted(server.anonymous().get("/.well-known/oauth-authorization-server").await);
    assert_eq!(document["client_id_metadata_document_supported"], Value::Null);
}

async fn the_organization_has_to_take_them_too(server: &Server) {
    let (_, site) = (server.organization("Acme").await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    assert_eq!(open(server, &app(server, site.at("good"))).await.status, 400);
    assert_eq!(site.asked(), 0);
    let document = granted(server.anonymous().get("/.well-known/oauth-authorization-server").await);
    assert_eq!(document["client_id_metadata_document_supported"], true);
}

async fn a_document_is_enough(server: &Server) {
    let (acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    let app = app(server, site.at("good"));
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.sign_in(&browser.open(&app.request(&pkce, &[])).await, &acme.viewer.email).await;
    let html = page.body.as_str().unwrap();
    assert!(html.contains("Editor asks to act for you") && html.contains("Nobody in your organization"), "{html}");
    assert!(html.contains("It describes itself at"), "{html}");
    let code = answer_of(&location(&browser.decide(&page, true).await), "code").unwrap();
    let tokens = granted(app.exchange(&code, &pkce).await);
    let said: Value = jsonwebtoken::dangerous::insecure_decode_claims(text(&tokens, "access_token")).unwrap();
    assert_eq!(text(&said, "client_id"), app.client_id);
    app.caller(&tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    granted(app.refresh(text(&tokens, "refresh_token")).await);
    // Hardly a question to the site, and one application.
    assert!(site.asked() <= 2, "{}", site.asked());
    let shown = acme.owner.client.get(&path_of(&acme, &app).await).await.ok();
    assert_eq!((&shown["origin"], &shown["client_type"]), (&json!("document"), &json!("public")));
    assert_eq!(server.audited("oauth_application.register", "success").await, 1);
    // Redirects are matched as everywhere.
    let elsewhere = browser.open(&app.request(&pkce, &[("redirect_uri", "https://evil.example/")])).await;
    assert_eq!(elsewhere.status, 400);
    // Without PKCE it goes no further.
    let to = location(&browser.open(&app.request(&pkce, &[("code_challenge", "")])).await);
    assert_eq!(answer_of(&to, "error").as_deref(), Some("invalid_request"));
}

async fn strangers_leave_nothing_behind(server: &Server) {
    let (_acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    let app = app(server, site.at("good"));
    assert_eq!(open(server, &app).await.status, 200);
    refused(app.post("/oauth/device_authorization", &[]).await, 401, "invalid_client");
    refused(app.post("/oauth/par", &[]).await, 401, "invalid_client");
    assert_eq!(server.count("SELECT count(*) FROM oauth_applications").await, 0);
}

async fn a_document_that_is_not_good_leads_nowhere(server: &Server) {
    let (_acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    assert_eq!(open(server, &app(server, site.at("good"))).await.status, 200);
    for (name, more) in [
        ("id", json!({"client_id": site.at("good")})),
        ("none", json!({"client_id": null})),
        ("secret", json!({"client_secret": "x"})),
        ("basic", json!({"token_endpoint_auth_method": "client_secret_basic"})),
        ("nowhere", json!({"redirect_uris": []})),
        ("plain", json!({"redirect_uris": ["http://app.acme.example/callback"]})),
        ("itself", json!({"grant_types": ["client_credentials"]})),
        ("large", json!({"client_uri": "x".repeat(40_000)})),
    ] {
        site.publish(name, site.document(name, more));
        assert_eq!(open(server, &app(server, site.at(name))).await.status, 400, "{name}");
    }
    site.publish_as("html", 200, "text/html", site.document("html", json!({})));
    site.publish_as("gone", 404, "application/json", site.document("gone", json!({})));
    site.publish_as("moved", 302, "application/json", site.document("moved", json!({})));
    for name in ["html", "gone", "moved", "missing"] {
        assert_eq!(open(server, &app(server, site.at(name))).await.status, 400, "{name}");
    }
    // One address is one program.
    let asked = site.asked();
    for address in [
        site.address.clone(),
        format!("{}/", site.address),
        site.at("good?x=1"),
        site.at("good#x"),
        site.at("x/../good"),
        site.at("%67ood/../good"),
        site.at("good").replace("http://", "http://user@"),
        site.at("good").replace("http://", "HTTP://"),
        "https:///good".to_owned(),
    ] {
        assert_eq!(open(server, &app(server, address.clone())).await.status, 400, "{address}");
    }
    assert_eq!(site.asked(), asked);
}

async fn a_document_is_followed(server: &Server) {
    let (acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    let app = app(server, site.at("good"));
    let tokens = app.tokens(&acme.viewer).await;
    let path = path_of(&acme, &app).await;
    assert_eq!(open(server, &app).await.status, 200);
    let moved = "https://new.acme.example/callback";
    site.publish("good", site.document("good", json!({"client_name": "Newer", "redirect_uris": [moved]})));
    // What was fetched is kept for a minute.
    assert_eq!(open(server, &app).await.status, 200);
    server.forget().await;
    assert_eq!(open(server, &app).await.status, 400);
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.open(&app.request(&pkce, &[("redirect_uri", moved)])).await;
    let page = browser.sign_in(&page, &acme.developer.email).await;
    assert!(page.body.as_str().unwrap().contains("Newer asks to act for you"), "{}", page.body);
    let shown = acme.owner.client.get(&path).await.ok();
    assert_eq!((text(&shown, "name"), &shown["redirect_uris"]), ("Newer", &json!([moved])));
    // While it is not there nobody is asked, and who agreed goes on.
    site.publish_as("good", 404, "application/json", json!({}));
    server.forget().await;
    assert_eq!(open(server, &app).await.status, 400);
    granted(app.refresh(text(&tokens, "refresh_token")).await);
}

async fn a_document_is_fetched_by_the_guarded_client(server: &Server) {
    let (_acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    for address in [site.at("good"), site.at("good").replace("http://", "https://")] {
        assert_eq!(open(server, &app(server, address.clone())).await.status, 400, "{address}");
    }
    assert_eq!(site.asked(), 0);
}

async fn an_administrator_decides_of_it(server: &Server) {
    let (acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    let app = app(server, site.at("good"));
    let tokens = app.tokens(&acme.viewer).await;
    let path = path_of(&acme, &app).await;
    let change = json!({"redirect_uris": ["https://evil.example/"]});
    acme.owner.client.patch(&path, change).await.invalid("redirect_uris");
    acme.owner.client.patch(&path, json!({"verified": true})).await.ok();
    // It stays so when the document is read again.
    server.forget().await;
    app.code(&acme.viewer, &Pkce::new()).await;
    assert!(acme.owner.client.get(&path).await.ok()["verified_at"].is_string());
    acme.owner.client.post_empty(&format!("{path}/revoke")).await.ok();
    assert_eq!(open(server, &app).await.status, 400);
    refused(app.refresh(text(&tokens, "refresh_token")).await, 401, "invalid_client");
}

async fn who_agreed_goes_on_when_no_document_is_taken_any_more(server: &Server) {
    let (acme, site) = (acme(server).await, Site::start().await);
    site.publish("good", site.document("good", json!({})));
    let app = app(server, site.at("good"));
    let tokens = app.tokens(&acme.viewer).await;
    let path = format!("/api/v1/organizations/{}/oauth-policy", acme.id);
    acme.owner.client.put(&path, json!({"applications": "all", "client_documents": false})).await.ok();
    assert_eq!(open(server, &app).await.status, 400);
    let tokens = granted(app.refresh(text(&tokens, "refresh_token")).await);
    app.caller(&tokens).get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
}

/// A client's proof of now, by a key.
fn assertion(server: &Server, client_id: &str, key: &[u8]) -> String {
    let now = rivergen_platform::Clock::now(&server.platform.clock).timestamp();
    let said = json!({"iss": client_id, "sub": client_id, "aud": server.url(), "exp": now + 60, "iat": now,
        "jti": format!("{:x}", rand::random::<u64>())});
    let header = Header { kid: Some("one".to_owned()), ..Header::new(Algorithm::ES256) };
    jsonwebtoken::encode(&header, &said, &EncodingKey::from_ec_der(key)).unwrap()
}

/// Exchanges a code of the viewer's by proofs of the published key and of another one; the latter is refused.
async fn proves_itself(server: &Server, acme: &Organization, app: &App, key: &[u8]) {
    let pkce = Pkce::new();
    let code = app.code(&acme.viewer, &pkce).await;
    let exchange = async |proof: &str| {
        let pairs = [
            ("grant_type", "authorization_code"),
            ("code", &*code),
            ("redirect_uri", CALLBACK),
            ("code_verifier", &*pkce.verifier),
            ("client_assertion", proof),
            ("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"),
        ];
        post(&app.anonymous, "/oauth/token", &pairs).await
    };
    refused(app.exchange(&code, &pkce).await, 401, "invalid_client");
    let (other, _) = key_pair("one");
    refused(exchange(&assertion(server, &app.client_id, &other)).await, 401, "invalid_client");
    granted(exchange(&assertion(server, &app.client_id, key)).await);
}

fn keys(jwk: &Jwk) -> Value {
    json!({"keys": [jwk]})
}

async fn it_proves_itself_by_keys_at_an_address(server: &Server) {
    let (acme, site) = (acme(server).await, Site::start().await);
    let (key, jwk) = key_pair("one");
    site.publish_as("keys", 200, "application/jwk-set+json", keys(&jwk));
    let more = json!({"token_endpoint_auth_method": "private_key_jwt", "jwks_uri": site.at("keys")});
    site.publish("good", site.document("good", more));
    let app = app(server, site.at("good"));
    proves_itself(server, &acme, &app, &key).await;
    // Another key in its place is good when it is read again.
    let (next, jwk) = key_pair("one");
    site.publish("keys", keys(&jwk));
    server.forget().await;
    proves_itself(server, &acme, &app, &next).await;
}

async fn a_program_that_registered_itself_has_keys_at_an_address(server: &Server) {
    let (acme, site) = (server.organization("Acme").await, Site::start().await);
    let path = format!("/api/v1/organizations/{}/oauth-policy", acme.id);
    acme.owner.client.put(&path, json!({"applications": "all", "registration": "open"})).await.ok();
    let (key, jwk) = key_pair("one");
    site.publish("keys", keys(&jwk));
    let metadata = json!({"client_name": "Notes", "redirect_uris": [CALLBACK], "scope": "read",
        "token_endpoint_auth_method": "private_key_jwt", "jwks_uri": site.at("keys")});
    let made = server.anonymous().post("/oauth/register", metadata).await;
    assert_eq!((made.status.as_u16(), &made.body["jwks_uri"]), (201, &json!(site.at("keys"))));
    let app = app(server, text(&made.body, "client_id").to_owned());
    proves_itself(server, &acme, &app, &key).await;
}

async fn of_two_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let (acme, site) = (acme(server).await, Site::start().await);
    for name in ["first", "last0", "last1"] {
        site.publish(name, site.document(name, json!({"client_name": name})));
    }
    let pkce = Pkce::new();
    app(server, site.at("first")).code(&acme.viewer, &pkce).await;
    copied(server, 998).await;
    let agreed = |n: usize| {
        json!({"client_id": site.at(&format!("last{n}")), "redirect_uri": CALLBACK, "scope": "read",
            "state": "s", "code_challenge": pkce.challenge, "code_challenge_method": "S256", "approve": true})
    };
    let viewer = &acme.viewer.client;
    let ask = |n: usize| viewer.post("/api/v1/oauth/authorize", agreed(n));
    let (made, none) = server.two_at_once(&acme.held(), ask).await;
    made.ok();
    none.error(403, "FORBIDDEN");
    assert_eq!(server.count("SELECT count(*) FROM oauth_applications").await, 1000);
}
