//! Several nodes on one database: what one of them changes, the others know within a second.

use std::time::{Duration, Instant};

use rivergen_tests::{Backend, Client, Server};
use serde_json::json;

use crate::{
    prompts::schedules,
    roles::{custom, give},
    scim,
};

/// What was changed is in force at the other node within a second of the commit. That is no wish of speed: what a node keeps
/// in memory lives for a minute or for ten, and with more patience a change that was never told would pass by running out.
/// The rest is for a machine that runs many tests at once.
const SOON: Duration = Duration::from_secs(20);

/// Asks until it holds, and no longer than [`SOON`].
async fn soon(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + SOON;
    while !holds().await {
        assert!(Instant::now() < deadline, "not in force in time: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The same person, asking the other node.
fn at(node: &Server, client: &Client) -> Client {
    node.anonymous().with_token(client.token())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_ends_on_one_node_is_dead_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let viewer = at(&second, &acme.viewer.client);
    viewer.get("/api/v1/auth/me").await.ok();
    acme.viewer.client.post_empty("/api/v1/auth/logout").await.no_content();
    soon("the end of the session", async || viewer.get("/api/v1/auth/me").await.status == 401).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_scim_token_that_is_switched_off_on_one_node_is_dead_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let idp = scim::Provider::of(&first, &acme).await;
    let provisioner = at(&second, &idp.client);
    let users = async || provisioner.get("/scim/v2/Users").await.status;
    assert_eq!(users().await, 200);
    acme.owner.client.post(scim::CONFIG, json!({"provider_id": idp.id, "enabled": false})).await.ok();
    soon("the end of the token", async || users().await == 401).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_taken_on_one_node_is_gone_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let developer = at(&second, &acme.developer.client);
    let policies = async || developer.get("/api/v1/policies").await.status;
    assert_eq!(policies().await, 200);
    let path = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id);
    acme.owner.client.patch(&path, json!({"role_id": acme.roles["Viewer"]})).await.ok();
    soon("the other role", async || policies().await == 403).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_policy_that_is_made_on_one_node_governs_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let shop = acme.shop().await;
    let viewer = at(&second, &acme.viewer.client);
    let path = format!("/api/v1/data-sources/{}/query", shop.crm);
    let count = async || {
        let answer = viewer.post(&path, json!({"query": "SELECT count(*) FROM customers"})).await.ok();
        answer["rows"][0][0].as_i64().unwrap()
    };
    assert_eq!(count().await, 6);
    let policy = json!({"name": "EU only", "type": "row_level_security", "data_source_ids": [shop.crm],
        "rules": [{"rule_name": "r", "rule_type": "filter_rows",
            "rule_config": {"table": "customers", "condition": "region = 'EU'"}}]});
    acme.admin.client.post("/api/v1/policies", policy).await.created();
    soon("the filter", async || count().await == 2).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_is_suspended_on_one_node_is_out_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let viewer = at(&second, &acme.viewer.client);
    let body = json!({"name": "x", "scopes": ["read"]});
    let token = acme.viewer.client.post("/api/v1/auth/tokens", body).await.created();
    let program = second.anonymous().with_token(token["token"].as_str().unwrap());
    let sources = async |client: &Client| client.get("/api/v1/data-sources").await.status.as_u16();
    assert_eq!((sources(&viewer).await, sources(&program).await), (200, 200));
    let path = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id);
    acme.owner.client.patch(&path, json!({"status": "suspended"})).await.ok();
    soon("the suspension, of a session", async || sources(&viewer).await == 401).await;
    soon("the suspension, of a token", async || sources(&program).await != 200).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_an_organization_demands_on_one_node_is_demanded_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let viewer = at(&second, &acme.viewer.client);
    viewer.get("/api/v1/data-sources").await.ok();
    let settings = json!({"settings": {"mfa_required": true, "mfa_grace_days": 0}});
    acme.owner.client.patch(&format!("/api/v1/organizations/{}/settings", acme.id), settings).await.ok();
    soon("the second factor", async || viewer.get("/api/v1/data-sources").await.status == 403).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_role_that_is_changed_on_one_node_is_another_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let role = custom(&acme, "Reader of policies", &["policy.read"]).await;
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    let viewer = at(&second, &acme.viewer.client);
    let path = format!("/api/v1/roles/{role}");
    for (permissions, status) in [(json!([]), 403_u16), (json!(["policy.read"]), 200)] {
        acme.owner.client.put(&path, json!({"permissions": permissions})).await.ok();
        soon("the change", async || viewer.get("/api/v1/policies").await.status == status).await;
    }
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mails_to_somebody_are_few_on_all_nodes_together() {
    let one = "{ limit = 1, per_seconds = 3600 }";
    let config = format!(
        "[limits]\nenabled = true\nrules.verification_mail = {one}\nrules.mfa_mail = {one}\nrules.invitations_to_address = {one}\n"
    );
    let first = Server::start(Backend::Postgres, &config).await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let resend = async |node: &Server| {
        let nobody = json!({"email": "nobody@new.example"});
        node.anonymous().post("/api/v1/auth/resend-verification", nobody).await
    };
    resend(&first).await.ok();
    resend(&second).await.error(429, "RATE_LIMITED");
    let owner = at(&second, &acme.owner.client);
    acme.owner.client.post_empty("/api/v1/mfa/email-otp/setup").await.ok();
    owner.post_empty("/api/v1/mfa/email-otp/setup").await.error(429, "RATE_LIMITED");
    // Whoever is invited, and whichever organization or node does it; others are not concerned.
    let invite = async |client: &Client, email: &str| {
        let path = format!("/api/v1/organizations/{}/members/invite", acme.id);
        client.post(&path, json!({"email": email, "workspace_id": acme.workspace_id})).await
    };
    let made = invite(&acme.owner.client, "grace@new.example").await.created();
    invite(&owner, "alan@new.example").await.created();
    let id = &made["invitation"]["id"];
    let path = format!("/api/v1/organizations/{}/invitations/{id}/resend", acme.id);
    owner.post_empty(&path).await.error(429, "RATE_LIMITED");
    acme.owner.client.delete(&format!("/api/v1/invitations/{id}")).await.ok();
    invite(&owner, "grace@new.example").await.error(429, "RATE_LIMITED");
    second.stop().await;
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schedule_that_is_due_runs_on_one_node() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let shop = acme.shop().await;
    let question =
        json!({"prompt_text": "How many orders?", "selected_data_source_ids": [shop.orders], "save_prompt": true});
    let prompt = acme.viewer.client.post("/api/v1/prompts/execute", question).await.ok()["prompt_id"].clone();
    let delivery = json!({"mail_to_user_ids": [acme.viewer.id]});
    schedules::schedule(&first, &acme.viewer, &prompt, delivery).await;
    for node in [&first, &second] {
        node.clock().advance(chrono::Duration::hours(1));
    }
    tokio::join!(schedules::claim_at_once(&first), schedules::claim_at_once(&second));
    first.mailbox().titled(&acme.viewer.email, "Hourly").await;
    schedules::settled(&first).await;
    assert_eq!(first.count("SELECT count(*) FROM prompt_schedule_runs").await, 1);
    let mails = first.mailbox().to(&acme.viewer.email);
    assert_eq!(mails.iter().filter(|mail| mail.subject.contains("Hourly")).count(), 1);
    second.stop().await;
    first.stop().await;
}
