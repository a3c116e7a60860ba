//! `/api/v1/roles`; the same roles under `/organizations/{org_id}/roles` are tested in `organizations/roles.rs`.

mod assign;
mod bulk_assign;
mod catalogue;
mod clone;
mod concurrency;
mod create;
mod delete;
mod effective;
mod escalation;
mod get;
mod impact;
mod list;
mod list_assignments;
mod revoke;
mod update;

use rivergen_tests::{Organization, Person, Server};
use serde_json::{Value, json};

pub const PATH: &str = "/api/v1/roles";

/// A custom role that the Owner makes; its id.
pub async fn custom(of: &Organization, name: &str, permissions: &[&str]) -> i64 {
    let body = json!({"name": name, "permissions": permissions, "organization_id": of.id});
    let data = of.owner.client.post(PATH, body).await.created();
    data["role"]["id"].as_i64().unwrap()
}

/// Gives a role; the assignment's id.
pub async fn give(by: &Person, role: i64, body: Value) -> i64 {
    let data = by.client.post(&format!("{PATH}/{role}/assignments"), body).await.created();
    data["assignment"]["id"].as_i64().unwrap()
}

/// Somebody's assignment of a role.
pub async fn assignment_of(server: &Server, person: &Person, role: i64) -> i64 {
    let sql = format!("SELECT id FROM role_assignments WHERE user_id = {} AND role_id = {role}", person.id);
    server.count(&sql).await
}

/// Another workspace of the organization, made by the Owner.
pub async fn workspace(of: &Organization, name: &str) -> i64 {
    let body = json!({"name": name, "organization_id": of.id});
    let data = of.owner.client.post("/api/v1/workspaces", body).await.created();
    data["workspace"]["id"].as_i64().unwrap()
}

/// 1,200 more members, who hold no role.
pub async fn crowd(server: &Server, acme: &Organization) {
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1200)";
    let like = format!("FROM n CROSS JOIN users WHERE users.id = {}", acme.viewer.id);
    let columns = "profile, user_metadata, is_system_admin, login_count, created_at, updated_at";
    for sql in [
        format!("INSERT INTO users (display_name, {columns}) {numbers} SELECT 'Crowd ' || i, {columns} {like}"),
        format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email) \
             SELECT {}, id, 'active', 'created', '{{}}', created_at, lower(display_name), 'c' || id || '@crowd.example' \
             FROM users WHERE display_name LIKE 'Crowd %'",
            acme.id
        ),
    ] {
        server.execute(&sql).await;
    }
}

/// Gives the role to each of so many of the crowd, in the whole organization or in a workspace.
pub async fn hold(server: &Server, acme: &Organization, role: i64, workspace: Option<i64>, each: i64) {
    let place = workspace.map_or_else(|| "NULL".to_owned(), |id| id.to_string());
    let sql = format!(
        "INSERT INTO role_assignments (organization_id, user_id, role_id, workspace_id, assigned_at) \
         SELECT {}, id, {role}, CAST({place} AS BIGINT), created_at FROM users \
         WHERE display_name LIKE 'Crowd %' AND CAST(substr(display_name, 7) AS BIGINT) % {each} = 0",
        acme.id
    );
    server.execute(&sql).await;
}

/// The strings of a list.
pub fn words(list: &Value) -> Vec<&str> {
    list.as_array().unwrap_or_else(|| panic!("no list: {list}")).iter().map(|word| word.as_str().unwrap()).collect()
}

/// Whether somebody may do something in the whole organization, by their own question.
pub async fn may(person: &Person, permission: &str) -> bool {
    let data = person.client.post(&format!("{PATH}/check"), json!({"permissions": [permission]})).await.ok();
    data["allowed"].as_bool().unwrap()
}

/// Suspends a member, as an administrator would.
pub async fn suspend(server: &Server, person: &Person) {
    let sql = format!("UPDATE memberships SET status = 'suspended' WHERE user_id = {}", person.id);
    server.execute(&sql).await;
    server.forget().await;
}

/// What the newest record of the action says.
pub async fn details_of(server: &Server, action: &str) -> Value {
    let sql = format!("SELECT details FROM audit_log WHERE action = '{action}' ORDER BY id DESC LIMIT 1");
    let rows = server.rows(&sql).await;
    let row = rows.first().unwrap_or_else(|| panic!("no record of {action}"));
    serde_json::from_str(row["details"].as_str().unwrap()).unwrap()
}
