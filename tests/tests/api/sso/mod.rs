//! Single sign-on through an organization's OpenID provider: `/api/v1/sso/…`, against a real one on this machine and against
//! one that lies. [`providers`] is how they are set up, [`login`] the way there and back, [`admission`] who may come in,
//! [`attacks`] who may not, [`anew`] a fresh proof, [`logout`] the end.

mod abac;
mod admission;
mod anew;
mod attacks;
pub mod enforced;
mod login;
mod logout;
mod providers;
mod saml;

use reqwest::StatusCode;
use rivergen_tests::{
    Answer, Backend, Client, NameServer, Organization, Server,
    crooked::Crooked,
    provider::{Browser, FRONT_END, Provider},
};
use serde_json::{Value, json};
use url::Url;

/// A server with an organization that has proved its domain.
struct World {
    server: Server,
    acme: Organization,
    names: NameServer,
}

impl World {
    async fn start(backend: Backend) -> Self {
        Self::with(backend, "").await
    }

    async fn with(backend: Backend, settings: &str) -> Self {
        let names = NameServer::start().await;
        let targets = format!("[social]\nredirect_targets = [\"{FRONT_END}\"]\n");
        let server = Server::start(backend, &format!("{}{targets}{settings}", names.settings())).await;
        let acme = server.organization("Acme").await;
        let world = Self { server, acme, names };
        world.prove(&world.acme, "acme.example").await;
        world
    }

    async fn stop(self) {
        self.server.stop().await;
    }

    /// Proves a domain for the organization.
    async fn prove(&self, of: &Organization, domain: &str) {
        let owner = &of.owner.client;
        let domains = format!("/api/v1/organizations/{}/domains", of.id);
        let listed = owner.get(&domains).await.ok();
        let known = listed["domains"].as_array().unwrap().iter().find(|one| one["domain"] == domain).cloned();
        let claim = match known {
            Some(claim) => claim,
            None => owner.post(&domains, json!({"domain": domain})).await.created()["domain"].clone(),
        };
        let record = &claim["record"];
        self.names.publish(record["name"].as_str().unwrap(), record["value"].as_str().unwrap());
        owner.post_empty(&format!("{domains}/{}/verify", claim["id"])).await.ok();
    }

    /// Registers a provider of the organization, with what stands over `registration`.
    async fn register(&self, of: &Organization, registration: Value, over: Value) -> i64 {
        let mut body = registration;
        body.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        let data = of.owner.client.post("/api/v1/sso/providers", body).await.created();
        data["provider"]["id"].as_i64().unwrap()
    }

    /// Changes a provider of Acme.
    async fn change(&self, provider: i64, change: Value) -> Value {
        let path = format!("/api/v1/sso/providers/{provider}");
        self.acme.owner.client.put(&path, change).await.ok()["provider"].clone()
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.server)
    }

    /// Begins a sign-in in the browser: the provider's address.
    async fn begin(&self, browser: &Browser, query: &str) -> String {
        let path = format!("/api/v1/sso/login?response_mode=json&{query}");
        let data = browser.client().get(&path).await.ok();
        data["authorization_url"].as_str().unwrap().to_owned()
    }

    /// A sign-in through the real provider in a fresh browser, as far as the answer of the callback.
    async fn through(&self, provider: i64, login: &str) -> Answer {
        let browser = self.browser();
        let address = self.begin(&browser, &format!("provider_id={provider}")).await;
        browser.callback(&browser.visit(&address, login).await).await
    }

    /// The same through the lying one.
    async fn lied(&self, provider: i64, crooked: &Crooked) -> Answer {
        let browser = self.browser();
        let address = self.begin(&browser, &format!("provider_id={provider}")).await;
        browser.client().get(&path_of(&crooked.send_back(&address))).await
    }

    /// Exchanges a code.
    async fn exchange(&self, code: &str) -> Answer {
        let body = json!({"code": code, "redirect_uri": FRONT_END});
        self.server.anonymous().post("/api/v1/sso/token", body).await
    }

    /// Signs in with what a callback answered.
    async fn enter(&self, callback: Answer) -> Value {
        self.exchange(&code_of(callback)).await.ok()
    }

    /// Somebody who is signed in.
    fn person(&self, data: &Value) -> Client {
        self.server
            .anonymous()
            .with_token(data["access_token"].as_str().unwrap_or_else(|| panic!("no token in {data}")))
    }

    /// Why the last sign-in was refused, as the audit log has it.
    async fn refusal(&self) -> String {
        let rows =
            "SELECT details FROM audit_log WHERE action = 'sso.sign_in' AND outcome = 'failure' ORDER BY id DESC";
        let rows = self.server.rows(&format!("{rows} LIMIT 1")).await;
        let details: Value = serde_json::from_str(rows[0]["details"].as_str().unwrap()).unwrap();
        details["reason"].as_str().unwrap().to_owned()
    }

    /// The roles that somebody holds in the whole of Acme, by name.
    async fn roles(&self, email: &str) -> Vec<String> {
        let rows = format!(
            "SELECT roles.name FROM role_assignments JOIN roles ON roles.id = role_assignments.role_id \
             JOIN user_emails ON user_emails.user_id = role_assignments.user_id WHERE user_emails.email = '{email}' \
             AND role_assignments.organization_id = {} AND workspace_id IS NULL ORDER BY roles.name",
            self.acme.id
        );
        let names = self.server.rows(&rows).await;
        names.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    }
}

/// Path and query of an address of the server under test.
fn path_of(url: &Url) -> String {
    format!("{}?{}", url.path(), url.query().unwrap_or_default())
}

/// Where a callback sends the browser; no token may stand there.
#[track_caller]
fn location(answer: &Answer) -> Url {
    assert_eq!(answer.status, StatusCode::FOUND, "{}", answer.body);
    assert!(answer.headers["cache-control"] == "no-store" && answer.headers["referrer-policy"] == "no-referrer");
    let location = answer.headers["location"].to_str().unwrap();
    assert!(!location.contains("token") && !location.contains("eyJ"), "{location}");
    location.parse().unwrap()
}

#[track_caller]
fn code_of(answer: Answer) -> String {
    let location = location(&answer);
    assert!(location.as_str().starts_with(FRONT_END), "{location}");
    value(&location, "code").unwrap_or_else(|| panic!("no code in {location}"))
}

fn value(url: &Url, name: &str) -> Option<String> {
    url.query_pairs().find(|(key, _)| key == name).map(|(_, value)| value.into_owned())
}

/// The real provider; a test without it passes by.
macro_rules! real {
    () => {
        match Provider::start(&json!({})) {
            Some(provider) => provider,
            None => return,
        }
    };
}
use real;
