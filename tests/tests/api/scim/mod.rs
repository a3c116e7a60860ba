//! SCIM: what identity providers do, what administrators set up, and what attackers try.

mod attacks;
mod bulk;
mod config;
mod discovery;
mod entra;
mod groups;
mod lists;
mod okta;
mod sync;
mod tester;
mod users;

use rivergen_tests::{Answer, Backend, Client, Organization, Server, eventually};
use serde_json::{Value, json};

pub const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
pub const GROUP: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
pub const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";
pub const CONFIG: &str = "/api/v1/sso/scim/config";

/// The identity provider of an organization, with a token.
pub struct Provider {
    pub id: i64,
    pub client: Client,
}

/// An identity provider of the organization.
pub async fn provider(organization: &Organization, name: &str) -> i64 {
    let issuer = format!("https://{name}.{}.example", organization.id);
    let body = json!({"provider_type": "oidc", "name": name, "issuer": issuer, "client_id": "rivergen"});
    let data = organization.owner.client.post("/api/v1/sso/providers", body).await.created();
    data["provider"]["id"].as_i64().unwrap()
}

impl Provider {
    pub async fn of(server: &Server, organization: &Organization) -> Self {
        Self::mapping(server, organization, json!({})).await
    }

    /// With roles for groups.
    pub async fn mapping(server: &Server, organization: &Organization, mapping: Value) -> Self {
        Self::named(server, organization, "idp", mapping).await
    }

    /// One of several.
    pub async fn named(server: &Server, organization: &Organization, name: &str, mapping: Value) -> Self {
        let id = provider(organization, name).await;
        let body = json!({"provider_id": id, "group_role_mapping": mapping});
        let data = organization.owner.client.post(CONFIG, body).await.created();
        Self { id, client: server.anonymous().with_token(data["bearer_token"].as_str().unwrap()) }
    }

    pub async fn create(&self, user_name: &str) -> Value {
        self.client.post("/scim/v2/Users", user(user_name)).await.is(201)
    }

    /// The id of a new user.
    pub async fn user(&self, user_name: &str) -> String {
        self.create(user_name).await["id"].as_str().unwrap().to_owned()
    }

    /// The id of a new group.
    pub async fn group(&self, name: &str, members: &[&str]) -> String {
        let body = self.client.post("/scim/v2/Groups", group(name, members)).await.is(201);
        body["id"].as_str().unwrap().to_owned()
    }

    pub async fn patch(&self, path: &str, operations: Value) -> Answer {
        self.client.patch(path, patch(operations)).await
    }

    /// The ids of a group's members.
    pub async fn members(&self, group: &str) -> Vec<String> {
        let body = self.client.get(&format!("/scim/v2/Groups/{group}")).await.is(200);
        let members = body["members"].as_array().cloned().unwrap_or_default();
        members.iter().map(|member| member["value"].as_str().unwrap().to_owned()).collect()
    }
}

pub fn user(user_name: &str) -> Value {
    json!({"schemas": [USER], "userName": user_name})
}

pub fn group(name: &str, members: &[&str]) -> Value {
    let members: Vec<Value> = members.iter().map(|id| json!({"value": id})).collect();
    json!({"schemas": [GROUP], "displayName": name, "members": members})
}

pub fn patch(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"], "Operations": operations})
}

/// Answers of SCIM, which have no envelope.
pub trait ScimAnswer {
    /// The body of an answer with this status.
    fn is(self, status: u16) -> Value;
    /// An error with this status and `scimType`.
    fn refused(self, status: u16, kind: Option<&str>) -> Value;
}

impl ScimAnswer for Answer {
    #[track_caller]
    fn is(self, status: u16) -> Value {
        assert_eq!(self.status.as_u16(), status, "{} answered {}", self.request, self.body);
        if !self.body.is_null() {
            assert_eq!(self.headers["content-type"], "application/scim+json");
            assert!(self.body["schemas"].is_array(), "{}", self.body);
        }
        self.body
    }

    #[track_caller]
    fn refused(self, status: u16, kind: Option<&str>) -> Value {
        let request = self.request.clone();
        let body = self.is(status);
        assert_eq!(body["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:Error"]), "{request}: {body}");
        assert_eq!(body["status"], status.to_string(), "{request}: {body}");
        assert_eq!(body["scimType"].as_str(), kind, "{request}: {body}");
        assert!(body["detail"].as_str().is_some_and(|text| !text.is_empty()), "{request}: {body}");
        body
    }
}

/// The organization has proved its domain.
pub async fn prove_domain(server: &Server, organization: &Organization) {
    let (id, time) = (organization.id, "'2030-01-01 00:00:00+00:00'");
    server
        .execute(&format!(
            "UPDATE organization_domains SET status = 'verified', verified_at = {time} WHERE organization_id = {id}"
        ))
        .await;
    server.forget().await;
}

/// So many users more, written and not pushed; answers the highest id of a user before them.
pub async fn many_users(server: &Server, organization: &Organization, like: &str, number: usize) -> i64 {
    let (before, org) = (server.count("SELECT max(id) FROM users").await, organization.id);
    let numbers = format!("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number})");
    for sql in [
        format!(
            "{numbers} INSERT INTO users (display_name, profile, user_metadata, is_system_admin, login_count, \
             created_at, updated_at) SELECT 'x', '{{}}', '{{}}', FALSE, 0, created_at, created_at \
             FROM n CROSS JOIN (SELECT created_at FROM users WHERE id = {like}) AS one"
        ),
        format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email) \
             SELECT {org}, id, 'active', 'scim', '{{}}', created_at, 'x', 'x' FROM users WHERE id > {before}"
        ),
        format!(
            "INSERT INTO scim_users (organization_id, config_id, membership_id, user_id, user_name_key, active, \
             attributes, folded, version, created_at, updated_at) SELECT {org}, one.config_id, m.id, m.user_id, \
             'u' || m.user_id, TRUE, '{{}}', '{{}}', 1, one.created_at, one.created_at FROM memberships m CROSS JOIN \
             (SELECT * FROM scim_users WHERE user_id = {like}) AS one WHERE m.email = 'x'"
        ),
    ] {
        server.execute(&sql).await;
    }
    before
}

/// Puts those who were written into a group, behind the id of a user; so many at most.
pub async fn put_into(server: &Server, group: &str, behind: i64, most: usize) {
    let sql = format!(
        "INSERT INTO scim_group_members (group_id, scim_user_id, added_at) SELECT {group}, id, created_at \
         FROM scim_users WHERE user_id > {behind} ORDER BY id LIMIT {most}"
    );
    server.execute(&sql).await;
}

/// Until somebody waits for what a transaction holds. SQLite has one writer, who is waited for anyway.
pub async fn somebody_waits(server: &Server) {
    if server.backend == Backend::Postgres {
        let waiting =
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
        eventually("somebody to wait", async || (server.count(waiting).await > 0).then_some(())).await;
    }
}

/// The names of the roles that somebody holds in the whole organization.
pub async fn roles_of(server: &Server, organization: &Organization, user: &str) -> Vec<String> {
    let rows = server
        .rows(&format!(
            "SELECT r.name AS name FROM role_assignments a JOIN roles r ON r.id = a.role_id \
             WHERE a.organization_id = {} AND a.user_id = {user} AND a.workspace_id IS NULL ORDER BY r.name",
            organization.id
        ))
        .await;
    rows.iter().map(|row| row["name"].as_str().unwrap().to_owned()).collect()
}
