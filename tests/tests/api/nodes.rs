//! Several nodes on one database: what one of them changes, the others know.

use rivergen_tests::{Backend, Client, Server, eventually};
use serde_json::json;

/// The same person, asking the other node.
fn at(node: &Server, client: &Client) -> Client {
    node.anonymous().with_token(client.token())
}

#[tokio::test]
async fn a_session_that_ends_on_one_node_is_dead_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let viewer = at(&second, &acme.viewer.client);
    viewer.get("/api/v1/auth/me").await.ok();
    acme.viewer.client.post_empty("/api/v1/auth/logout").await.no_content();
    eventually("the other node to refuse", async || (viewer.get("/api/v1/auth/me").await.status == 401).then_some(()))
        .await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
async fn a_role_that_is_taken_on_one_node_is_gone_on_the_other() {
    let first = Server::start(Backend::Postgres, "").await;
    let second = first.another_node().await;
    let acme = first.organization("Acme").await;
    let developer = at(&second, &acme.developer.client);
    let policies = async || developer.get("/api/v1/policies").await.status;
    assert_eq!(policies().await, 200);
    let path = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id);
    acme.owner.client.patch(&path, json!({"role_id": acme.roles["Viewer"]})).await.ok();
    eventually("the other node to refuse", async || (policies().await == 403).then_some(())).await;
    second.stop().await;
    first.stop().await;
}

#[tokio::test]
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
    eventually("the other node to filter", async || (count().await == 2).then_some(())).await;
    second.stop().await;
    first.stop().await;
}
