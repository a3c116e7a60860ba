//! Social login, against a real OpenID provider on this machine: `/api/v1/auth/oauth/…` and
//! `/api/v1/auth/social-accounts`. [`accounts`] is about whom one becomes by it, [`flow`] about the way there, [`anew`] about a
//! fresh proof.

mod accounts;
mod anew;
mod flow;

use rivergen_tests::{
    Answer, Backend, Client, Server,
    provider::{Browser, FRONT_END, Provider, Return},
};
use serde_json::{Value, json};

/// A server whose people sign in with a provider.
struct World {
    provider: Provider,
    server: Server,
}

impl World {
    async fn start(backend: Backend, settings: &str) -> Option<Self> {
        let provider = Provider::start(&json!({}))?;
        let server = Server::start(backend, &format!("{}{settings}", provider.settings())).await;
        Some(Self { provider, server })
    }

    async fn stop(self) {
        self.server.stop().await;
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.server)
    }

    fn anonymous(&self) -> Client {
        self.server.anonymous()
    }

    /// A sign-in in a fresh browser, all the way.
    async fn sign_in(&self, login: &str) -> Answer {
        let browser = self.browser();
        let back = browser.through("corp", "", login, &self.anonymous()).await;
        browser.callback(&back).await
    }

    /// The provider's code for one of the operations that take it.
    async fn body(&self, login: &str) -> Value {
        body(&self.browser().through("corp", "", login, &self.anonymous()).await)
    }

    async fn post(&self, operation: &str, body: Value) -> Answer {
        self.anonymous().post(&format!("/api/v1/auth/oauth/{operation}"), body).await
    }

    /// Connects the provider to somebody's account.
    async fn link(&self, person: &Client, login: &str) -> Answer {
        let back = self.browser().through("corp", "", login, person).await;
        let body = json!({"code": back.value("code"), "state": back.value("state")});
        person.post("/api/v1/auth/social-accounts/corp", body).await
    }
}

fn body(back: &Return) -> Value {
    json!({"provider": "corp", "code": back.value("code"), "state": back.value("state")})
}

async fn accounts_of(person: &Client) -> Vec<Value> {
    let data = person.get("/api/v1/auth/social-accounts").await.ok();
    let accounts = data["accounts"].as_array().unwrap().clone();
    assert_eq!(data["total"], accounts.len());
    accounts
}

fn signed_in(world: &World, data: &Value) -> Client {
    world.anonymous().with_token(data["access_token"].as_str().unwrap_or_else(|| panic!("no token in {data}")))
}

/// A mail's text in one line.
fn words(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Where a callback sends the browser; no token may stand there.
#[track_caller]
fn location(answer: Answer) -> String {
    assert_eq!(answer.status, 303, "{}", answer.body);
    assert!(answer.headers["cache-control"] == "no-store" && answer.headers["referrer-policy"] == "no-referrer");
    let location = answer.headers["location"].to_str().unwrap().to_owned();
    assert!(!location.contains("access_token") && !location.contains("eyJ"), "{location}");
    location
}

#[track_caller]
fn handover_code(answer: Answer) -> String {
    let location = location(answer);
    let query = location.strip_prefix(&format!("{FRONT_END}?handover_code=")).unwrap_or_else(|| panic!("{location}"));
    query.split('&').next().unwrap().to_owned()
}
