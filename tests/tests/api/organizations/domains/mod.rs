//! `/api/v1/organizations/{org_id}/domains…`, against a name server on this machine.

mod joining;
mod mailed;
mod proof;

use chrono::Duration;
use rivergen_tests::{Answer, Backend, Client, NameServer, Organization, Person, Server, eventually};
use serde_json::{Value, json};

/// A server, and the name server that it asks.
struct World {
    names: NameServer,
    server: Server,
}

impl World {
    async fn start(backend: Backend) -> Self {
        Self::with(backend, "").await
    }

    async fn with(backend: Backend, settings: &str) -> Self {
        let names = NameServer::start().await;
        let server = Server::start(backend, &format!("{}{settings}", names.settings())).await;
        Self { names, server }
    }

    async fn stop(self) {
        self.server.stop().await;
    }

    /// Proves the domain for the organization.
    async fn prove(&self, of: &Organization, domain: &str) -> Claim {
        let claim = Claim::of(of, domain).await;
        self.names.publish(&claim.record_name, &claim.record_value);
        claim.verify().await.ok();
        claim
    }

    /// Proves it, and lets its people join.
    async fn open(&self, of: &Organization, domain: &str) -> Claim {
        let claim = self.prove(of, domain).await;
        claim.auto_join(true).await.ok();
        claim
    }

    /// Whether they belong to the organization, as their own list of organizations says.
    async fn belongs(&self, person: &Person, to: &Organization) -> bool {
        let listed = person.client.get("/api/v1/organizations").await.ok();
        listed["organizations"].as_array().unwrap().iter().any(|one| one["id"] == to.id)
    }

    /// The roles of somebody in the organization.
    async fn roles(&self, person: i64, of: &Organization) -> Vec<i64> {
        let roles = "SELECT role_id FROM role_assignments WHERE workspace_id IS NULL AND";
        let rows = format!("{roles} user_id = {person} AND organization_id = {}", of.id);
        self.server.rows(&rows).await.iter().map(|row| row["role_id"].as_i64().unwrap()).collect()
    }

    /// Lets days go by, a little more than that, and waits until the proofs were looked at.
    async fn days_later(&self, days: i64) {
        let before = self.looks().await;
        self.server.later(Duration::days(days) + Duration::hours(1)).await;
        eventually("a look at the proofs", async || {
            self.server.run_due_jobs().await;
            (self.looks().await != before).then_some(())
        })
        .await;
    }

    async fn looks(&self) -> Vec<Value> {
        self.server.rows("SELECT id, CAST(checked_at AS TEXT) AS looked FROM organization_domains ORDER BY id").await
    }

    async fn with_status(&self, status: &str) -> i64 {
        self.server.count(&format!("SELECT count(*) FROM organization_domains WHERE status = '{status}'")).await
    }
}

/// What an organization claims.
struct Claim {
    owner: Client,
    path: String,
    record_name: String,
    record_value: String,
}

fn domains(of: &Organization) -> String {
    format!("/api/v1/organizations/{}/domains", of.id)
}

impl Claim {
    /// The claim of the organization's own domain, which was made with it, or a new one.
    async fn of(of: &Organization, domain: &str) -> Self {
        let owner = of.owner.client.clone();
        let listed = owner.get(&domains(of)).await.ok();
        let known = listed["domains"].as_array().unwrap().iter().find(|one| one["domain"] == domain).cloned();
        let found = match known {
            Some(known) => known,
            None => owner.post(&domains(of), json!({"domain": domain})).await.created()["domain"].take(),
        };
        let text = |name: &str| found["record"][name].as_str().unwrap().to_owned();
        Self {
            path: format!("{}/{}", domains(of), found["id"]),
            record_name: text("name"),
            record_value: text("value"),
            owner,
        }
    }

    async fn verify(&self) -> Answer {
        self.owner.post_empty(&format!("{}/verify", self.path)).await
    }

    /// Asks for a code by mail, the `count`th to this mailbox, and reads it.
    async fn mailed(&self, server: &Server, mailbox: &str, count: usize) -> String {
        let asked = self.owner.post(&format!("{}/mail", self.path), json!({"mailbox": mailbox})).await.ok();
        let to = asked["sent_to"].as_str().unwrap();
        assert!(to.starts_with(&format!("{mailbox}@")) && asked["expires_in"] == 86_400, "{asked}");
        let mail = server.mailbox().nth_to(to, count).await;
        let code = mail.text.split_once("The code is ").and_then(|(_, rest)| rest.split_whitespace().next());
        code.unwrap_or_else(|| panic!("no code in {}", mail.text)).to_owned()
    }

    async fn verify_by(&self, code: &str) -> Answer {
        self.owner.post(&format!("{}/mail/verify", self.path), json!({"code": code})).await
    }

    async fn auto_join(&self, on: bool) -> Answer {
        self.owner.patch(&self.path, json!({"auto_join": on})).await
    }

    async fn remove(&self) -> Answer {
        self.owner.delete(&self.path).await
    }

    /// The same, by a session of now.
    fn by(self, owner: &Person) -> Self {
        Self { owner: owner.client.clone(), ..self }
    }
}
