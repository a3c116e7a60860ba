//! `/api/v1/sso/enforcement/…`: required single sign-on and second factors, from the plan to the deadline.

mod bulk_action;
mod enforce;
mod notifications;
mod plan;

use rivergen_tests::{AuthenticatorApp, Organization, Person, Server};
use serde_json::Value;

use crate::sso::enforced;

fn path(what: &str, acme: &Organization) -> String {
    format!("/api/v1/sso/enforcement/{what}/{}", acme.id)
}

/// The Owner of an organization who may enforce: they have come in through the provider, and have just given a second factor.
struct Ready {
    acme: Organization,
    owner: Person,
    app: AuthenticatorApp,
}

impl Ready {
    async fn new(server: &Server, name: &str) -> Self {
        let acme = server.organization(name).await;
        enforced::link(server, &acme, &acme.owner, serde_json::json!([])).await;
        let app = acme.owner.authenticator_app(server).await;
        let owner = server.sign_in_with(&acme.owner.email, &app).await;
        Self { acme, owner, app }
    }

    async fn enforce(&self, body: Value) -> Value {
        self.owner.client.post(&path("enforce", &self.acme), body).await.ok()
    }
}
