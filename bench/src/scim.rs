//! An identity provider at work: what it pushes, and how long its lookups take, with a thousand users and with a hundred
//! thousand.

use std::{net::SocketAddr, path::Path, time::Duration};

use rivergen_platform::Database;
use sea_orm::{ConnectionTrait, DbBackend, FromQueryResult, Statement};
use serde_json::{Value, json};

use crate::{
    error::{BenchError, Result},
    load::{self, Connection, Load},
    percentile,
    report::{Goal, Report},
    server::Server,
    sessions::connect_to,
};

const FEW: i64 = 1_000;
const MANY: i64 = 100_000;
const GROUPS: i64 = 1_000;
/// Members of each group.
const GROUP: i64 = 10_000;
/// Connections that push at once.
const CONNECTIONS: usize = 16;
const PUSHED: usize = 4_000;
const REQUESTS: i64 = 200;
const EVERY: Duration = Duration::from_millis(20);
/// Answers that are not counted, while caches and plans warm up.
const WARM_UP: usize = 20;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Everything on one database: SQLite where none is given.
pub fn measure(binary: &Path, name: &str, database: Option<&str>, report: &mut Report) -> Result<()> {
    let server = Server::provisioned_on(binary, database)?;
    let runtime = load::runtime()?;
    let database = runtime.block_on(connect_to(&server, database))?;
    let session = server.sign_in()?.access_token;
    let provider = runtime.block_on(Provider::found(server.address, &session, &database))?;

    let creates: Vec<Vec<u8>> = (0..PUSHED).map(|i| provider.create(&format!("pushed{i}@bench.example"))).collect();
    let rate = load::all_per_second(server.address, creates, CONNECTIONS)?;
    let goal = if name == "PostgreSQL" { Goal::AtLeast(1_000.0) } else { Goal::AtLeast(0.0) };
    report.bound(format!("SCIM users created, {name}, {CONNECTIONS} connections"), rate, "/s", goal);
    let first = runtime.block_on(number(&database, "(SELECT MIN(user_id) FROM scim_users)"))?;
    let title = |i: usize| json!({"op": "replace", "path": "title", "value": format!("Title {i}")});
    let patches = (0..PUSHED).map(|i| {
        let person = first + i64::try_from(i).unwrap_or_default();
        provider.patch(&format!("/scim/v2/Users/{person}"), title(i))
    });
    let rate = load::all_per_second(server.address, patches.collect(), CONNECTIONS)?;
    report.bound(format!("SCIM users changed by PATCH, {name}"), rate, "/s", Goal::AtLeast(0.0));

    let mut lookups = Vec::new();
    for users in [FEW, MANY] {
        runtime.block_on(provider.grow(&database, users))?;
        let requests: Vec<Vec<u8>> = (0..REQUESTS).map(|i| provider.lookup(i * 7_919 % users)).collect();
        let taken = load::latencies(server.address, EVERY, requests.iter().map(Vec::as_slice))?;
        lookups.push(taken.into_iter().skip(WARM_UP).collect::<Vec<_>>());
    }
    let many = percentile(lookups.pop().unwrap_or_default(), 99);
    let few = percentile(lookups.pop().unwrap_or_default(), 99);
    report.compare(
        format!("SCIM userName eq, {name}, {MANY} users, p99"),
        format!("{many:.1} ms"),
        format!("{few:.1} ms with {FEW}"),
        many / few,
        Goal::AtMost(2.0),
    );
    report.bound(format!("SCIM userName eq, {name}, p99"), many, "ms", Goal::AtMost(5.0));

    let group = runtime.block_on(provider.large_groups(&database))?;
    let requests: Vec<Vec<u8>> = (0..REQUESTS).map(|i| provider.lookup(i * 7_919 % MANY)).collect();
    let taken = load::latencies(server.address, EVERY, requests.iter().map(Vec::as_slice))?;
    let grouped = percentile(taken.into_iter().skip(WARM_UP).collect(), 99);
    let what = format!("the same of somebody in {} of {GROUPS} groups, {name}, p99", GROUPS * GROUP / MANY);
    report.bound(what, grouped, "ms", Goal::AtMost(5.0));
    let path = format!("/scim/v2/Groups/{group}?attributes=displayName");
    let adds: Vec<Vec<u8>> = (0..REQUESTS)
        .map(|i| {
            // Those who were pushed are in no group.
            let value = json!([{"value": (first + i).to_string()}]);
            provider.patch(&path, json!({"op": "add", "path": "members", "value": value}))
        })
        .collect();
    let taken = load::latencies(server.address, EVERY, adds.iter().map(Vec::as_slice))?;
    let one = percentile(taken.into_iter().skip(WARM_UP).collect(), 99);
    report.bound(format!("one more in a group of {GROUP}, {name}, p99"), one, "ms", Goal::AtMost(20.0));
    Ok(())
}

/// The identity provider of the provisioned organization.
struct Provider {
    address: SocketAddr,
    organization: i64,
    token: String,
}

#[derive(FromQueryResult)]
struct Number {
    number: i64,
}

async fn number(database: &Database, sql: &str) -> Result<i64> {
    let statement = Statement::from_string(database.backend(), format!("SELECT {sql} AS number"));
    let found = Number::find_by_statement(statement).one(database.read()).await?;
    found.map(|row| row.number).ok_or_else(|| BenchError::Answer(format!("nothing is {sql}")))
}

async fn execute(database: &Database, statements: &[String]) -> Result<()> {
    let tx = database.begin().await.map_err(BenchError::database)?;
    for sql in statements {
        tx.conn().execute_unprepared(sql).await?;
    }
    tx.commit().await.map_err(BenchError::database)?;
    // What the database does by itself after a while.
    let analyse = if database.backend() == DbBackend::Postgres { "VACUUM ANALYZE" } else { "ANALYZE" };
    database.read().execute_unprepared(analyse).await?;
    Ok(())
}

/// Users that are not pushed but written, so that there are many soon.
const WRITTEN: &str = "lower(email) LIKE 'written%'";

impl Provider {
    async fn found(address: SocketAddr, session: &str, database: &Database) -> Result<Self> {
        let organization = number(database, "(SELECT MIN(id) FROM organizations WHERE name = 'Bench')").await?;
        let provider = format!(
            "INSERT INTO sso_providers (organization_id, name, name_key, kind, status, certificates, allow_idp_initiated, \
             scopes, attribute_mapping, jit_provisioning, group_role_mapping, last_test_succeeded, login_count, \
             own_callback, vouched_by_user_id, created_by_user_id, created_at, updated_at) SELECT id, 'idp', 'idp', 'oidc', 'active', '[]', FALSE, '[]', '{{}}', \
             FALSE, '{{}}', FALSE, 0, FALSE, created_by_user_id, created_by_user_id, created_at, created_at FROM organizations WHERE id = {organization}"
        );
        execute(database, &[provider]).await?;
        let provider_id = number(database, "(SELECT MAX(id) FROM sso_providers)").await?;
        let body = json!({"provider_id": provider_id});
        let mut connection = Connection::open(address).await?;
        connection.exchange(&Load::post(address, "/api/v1/sso/scim/config", &body, Some(session), 1).request).await?;
        let answer: Value = serde_json::from_slice(connection.body())?;
        let token = answer["data"]["bearer_token"].as_str();
        let token = token.ok_or_else(|| BenchError::Answer("no SCIM token was answered".into()))?.to_owned();
        Ok(Self { address, organization, token })
    }

    fn create(&self, user_name: &str) -> Vec<u8> {
        let body = json!({"schemas": [USER], "userName": user_name, "externalId": user_name, "displayName": "Somebody",
            "name": {"givenName": "Some", "familyName": "Body"}, "active": true,
            "emails": [{"value": user_name, "type": "work", "primary": true}]});
        Load::post(self.address, "/scim/v2/Users", &body, Some(&self.token), 1).request
    }

    fn patch(&self, path: &str, operation: Value) -> Vec<u8> {
        let body = json!({"schemas": [PATCH], "Operations": [operation]});
        let mut request = Load::post(self.address, path, &body, Some(&self.token), 1).request;
        request.splice(..4, *b"PATCH");
        request
    }

    fn lookup(&self, number: i64) -> Vec<u8> {
        let path = format!("/scim/v2/Users?filter=userName%20eq%20%22written{number}%40bench.example%22");
        Load::get(self.address, &path, &self.token, 1).request
    }

    /// Until so many users are written.
    async fn grow(&self, database: &Database, users: i64) -> Result<()> {
        let Self { organization, .. } = self;
        let from = number(database, &format!("(SELECT COUNT(*) FROM memberships WHERE {WRITTEN})")).await?;
        let base = number(database, "(SELECT MAX(id) FROM users)").await?;
        let numbers =
            format!("WITH RECURSIVE n(i) AS (SELECT {from} UNION ALL SELECT i + 1 FROM n WHERE i < {users} - 1)");
        let document = |name: &str, number: &str| {
            format!(
                "'{{\"userName\": \"{name}' || {number} || '@bench.example\", \"active\": true, \"displayName\": \"W\"}}'"
            )
        };
        let document = document("written", "substr(m.email, 8, length(m.email) - 21)");
        let json = if database.backend() == DbBackend::Postgres { "::jsonb" } else { "" };
        execute(
            database,
            &[
                format!(
                    "{numbers} INSERT INTO users (display_name, profile, user_metadata, is_system_admin, login_count, \
                     created_at, updated_at) SELECT 'W', profile, user_metadata, FALSE, 0, created_at, \
                     created_at FROM n CROSS JOIN (SELECT * FROM users ORDER BY id LIMIT 1) AS one"
                ),
                format!(
                    "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, \
                     email) SELECT {organization}, id, 'active', 'scim', (SELECT attributes FROM memberships ORDER BY id \
                     LIMIT 1), created_at, 'w', 'written' || (id - {base} - 1 + {from}) || '@bench.example' FROM users \
                     WHERE id > {base}"
                ),
                format!(
                    "INSERT INTO scim_users (organization_id, config_id, membership_id, user_id, user_name_key, active, \
                     attributes, folded, version, created_at, updated_at) SELECT {organization}, (SELECT MIN(id) FROM \
                     scim_configs), m.id, m.user_id, m.email, TRUE, ({document}){json}, ({document}){json}, 1, m.joined_at, \
                     m.joined_at FROM memberships m WHERE m.user_id > {base}"
                ),
            ],
        )
        .await
    }

    /// Groups of those who were written, each of other ones; answers one of them.
    async fn large_groups(&self, database: &Database) -> Result<i64> {
        let Self { organization, .. } = self;
        let numbers =
            |to: i64| format!("WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < {to} - 1)");
        let written = "(SELECT MIN(id) FROM scim_users WHERE user_name_key LIKE 'written%')";
        execute(
            database,
            &[
                format!(
                    "{} INSERT INTO scim_groups (organization_id, config_id, display_name, display_name_key, version, created_at, \
                     updated_at) SELECT {organization}, id, 'Group ' || i, 'group ' || i, 1, created_at, created_at FROM n \
                     CROSS JOIN scim_configs",
                    numbers(GROUPS)
                ),
                format!(
                    "{} INSERT INTO scim_group_members (group_id, scim_user_id, added_at) SELECT g.id, {written} + (g.id * 97 + \
                     i) % {MANY}, g.created_at FROM scim_groups g CROSS JOIN n",
                    numbers(GROUP)
                ),
            ],
        )
        .await?;
        number(database, "(SELECT MAX(id) FROM scim_groups)").await
    }
}
