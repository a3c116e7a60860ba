mod create;
mod credentials;
mod delete;
mod discover_schema;
mod discovery;
mod drift;
mod file_url;
mod get;
mod health;
mod list;
mod memory;
mod queries;
mod query;
mod query_again;
mod query_download;
mod query_result;
mod restore;
mod retries;
mod schemas;
mod statistics;
mod test;
mod tunnel;
mod types;
mod update;
mod workspaces;

use rivergen_tests::{Organization, Person, Server};
use serde_json::{Value, json};

const PATH: &str = "/api/v1/data-sources";

/// A source's path, with what comes after it.
fn of(id: i64, operation: &str) -> String {
    format!("{PATH}/{id}{operation}")
}

/// A policy over one source, assigned to a role; its id.
async fn policy(acme: &Organization, source: i64, role: &str, kind: &str, rule_type: &str, rule: Value) -> i64 {
    let body = json!({"name": format!("{rule_type} for {role} on {source} {:04x}", rand::random::<u16>()), "type": kind,
        "data_source_ids": [source], "role_ids": [acme.roles[role]],
        "rules": [{"rule_name": "rule", "rule_type": rule_type, "rule_config": rule}]});
    let data = acme.admin.client.post("/api/v1/policies", body).await.created();
    data["id"].as_i64().unwrap()
}

/// Somebody who has no role but this one, in this workspace, standing in it.
async fn only_in(server: &Server, acme: &Organization, person: &Person, workspace: i64, role: &str) -> Person {
    acme.let_in(workspace, person, role).await;
    let everywhere = format!("DELETE FROM role_assignments WHERE user_id = {} AND workspace_id IS NULL", person.id);
    server.execute(&everywhere).await;
    server.forget().await;
    person.stand_in(workspace).await
}
