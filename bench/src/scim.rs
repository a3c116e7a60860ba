//! An identity provider at work: what it pushes in a second, and how long its lookups and lists take, with a thousand users,
//! with a hundred thousand, and with a thousand groups of ten thousand members. What grows beside them is held against what it
//! was without them.

use std::{net::SocketAddr, path::Path, time::Duration};

use rivergen_platform::Database;
use sea_orm::DbBackend;
use serde_json::{Value, json};

use crate::{
    database::{analyse, connect_to, execute, number, numbers},
    error::{BenchError, Result},
    load::{self, Connection, Load},
    percentile,
    report::{Goal, Report},
    server::Server,
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
/// Of what reads a whole page.
const EVERY_PAGE: Duration = Duration::from_millis(200);
const PAGES: usize = 70;
/// Answers that are not counted, while caches and plans warm up.
const WARM_UP: usize = 20;

const USER: &str = "urn:ietf:params:scim:schemas:core:2.0:User";
const GROUP_SCHEMA: &str = "urn:ietf:params:scim:schemas:core:2.0:Group";
const PATCH: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";

/// Everything on one database: SQLite where none is given.
pub fn measure(binary: &Path, name: &str, database: Option<&str>, report: &mut Report) -> Result<()> {
    let server = Server::provisioned_on(binary, database)?;
    let runtime = load::runtime()?;
    let database = runtime.block_on(connect_to(&server, database))?;
    let session = server.sign_in()?.access_token;
    let provider = runtime.block_on(Provider::found(server.address, &session, &database))?;

    let alone = provider.created_per_second("pushed")?;
    let goal = if name == "PostgreSQL" { Goal::AtLeast(1_000.0) } else { Goal::AtLeast(0.0) };
    report.bound(format!("SCIM users created, {name}, {CONNECTIONS} connections"), alone, "/s", goal);
    let first = runtime.block_on(number(&database, "(SELECT MIN(user_id) FROM scim_users)"))?;
    let changed_alone = provider.changed_per_second(first, "Title")?;
    report.bound(format!("SCIM users changed by PATCH, {name}"), changed_alone, "/s", Goal::AtLeast(0.0));

    let (mut lookups, mut pages) = (Vec::new(), Vec::new());
    for users in [FEW, MANY] {
        runtime.block_on(provider.grow(&database, users))?;
        let requests: Vec<Vec<u8>> = (0..REQUESTS).map(|i| provider.lookup(i * 7_919 % users)).collect();
        lookups.push(p99(server.address, EVERY, &requests)?);
        pages.push(provider.page("/scim/v2/Users?filter=active%20eq%20true&count=100")?);
    }
    if let (&[few, many], &[few_on_page, many_on_page]) = (lookups.as_slice(), pages.as_slice()) {
        report.compare(
            format!("SCIM userName eq, {name}, {MANY} users, p99"),
            format!("{many:.1} ms"),
            format!("{few:.1} ms with {FEW}"),
            many / few,
            Goal::AtMost(2.0),
        );
        report.bound(format!("SCIM userName eq, {name}, p99"), many, "ms", Goal::AtMost(5.0));
        // It counts whom it finds, so it grows with them.
        report.compare(
            format!("SCIM page of 100 by active eq true, {name}, {MANY} users, p99"),
            format!("{many_on_page:.1} ms"),
            format!("{few_on_page:.1} ms with {FEW}"),
            many_on_page / few_on_page,
            Goal::AtMost((MANY / FEW) as f64),
        );
        report.bound(format!("SCIM page of 100, {name}, p99"), many_on_page, "ms", Goal::AtMost(100.0));
    }

    let ordered = provider.page("/scim/v2/Users?sortBy=userName&sortOrder=descending&count=100")?;
    let what = format!("SCIM page of 100 in the order of userName, {name}, {MANY} users, p99");
    report.bound(what, ordered, "ms", Goal::AtMost(100.0));

    let group = runtime.block_on(provider.large_groups(&database))?;
    let requests: Vec<Vec<u8>> = (0..REQUESTS).map(|i| provider.lookup(i * 7_919 % MANY)).collect();
    let what = format!("the same of somebody in {} of {GROUPS} groups, {name}, p99", GROUPS * GROUP / MANY);
    report.bound(what, p99(server.address, EVERY, &requests)?, "ms", Goal::AtMost(5.0));

    let among_many = provider.created_per_second("later")?;
    slower(report, format!("SCIM users created, {name}, {MANY} users and {GROUPS} groups there"), among_many, alone);
    let changed = provider.changed_per_second(first, "Later")?;
    slower(report, format!("SCIM users changed by PATCH, {name}, as many there"), changed, changed_alone);

    // Those who were pushed are in no group.
    let small = runtime.block_on(provider.small_group())?;
    let mut taken = Vec::new();
    for group in [small, group] {
        let path = format!("/scim/v2/Groups/{group}?attributes=displayName");
        let adds = (0..REQUESTS).map(|i| {
            let value = json!([{"value": (first + i).to_string()}]);
            provider.patch(&path, json!({"op": "add", "path": "members", "value": value}))
        });
        let removals = (0..REQUESTS).map(|i| {
            let path_of = format!("members[value eq \"{}\"]", first + i);
            provider.patch(&path, json!({"op": "remove", "path": path_of}))
        });
        let added = p99(server.address, EVERY, &adds.collect::<Vec<_>>())?;
        taken.push((added, p99(server.address, EVERY, &removals.collect::<Vec<_>>())?));
    }
    if let &[(add_small, remove_small), (add, remove)] = taken.as_slice() {
        for (what, large, small) in [("one more in", add, add_small), ("one out of", remove, remove_small)] {
            report.compare(
                format!("{what} a group of {GROUP}, {name}, p99"),
                format!("{large:.1} ms"),
                format!("{small:.1} ms of a group of none"),
                large / small,
                Goal::AtMost(2.0),
            );
            report.bound(format!("{what} a group of {GROUP}, {name}, p99"), large, "ms", Goal::AtMost(20.0));
        }
    }

    let member = runtime
        .block_on(number(&database, "(SELECT MIN(user_id) FROM scim_users WHERE user_name_key LIKE 'written%')"))?;
    let of_member = |i: i64| {
        let filter = format!("members.value%20eq%20%22{}%22", member + i);
        provider.get(&format!("/scim/v2/Groups?filter={filter}&excludedAttributes=members"))
    };
    let requests: Vec<Vec<u8>> = (0..REQUESTS).map(of_member).collect();
    let what = format!("the {} groups of somebody among {GROUPS}, {name}, p99", GROUPS * GROUP / MANY);
    report.bound(what, p99(server.address, EVERY, &requests)?, "ms", Goal::AtMost(20.0));
    for (what, path, most) in [
        ("100 groups without the members", "/scim/v2/Groups?count=100&excludedAttributes=members".to_owned(), 20.0),
        ("a page of groups with the members", "/scim/v2/Groups?count=100".to_owned(), 200.0),
        ("a group with the members", format!("/scim/v2/Groups/{group}"), 100.0),
    ] {
        report.bound(format!("{what}, {GROUP} of each, {name}, p99"), provider.page(&path)?, "ms", Goal::AtMost(most));
    }
    Ok(())
}

/// Of requests one after the other, those left out with which caches and plans warm up.
fn p99(address: SocketAddr, every: Duration, requests: &[Vec<u8>]) -> Result<f64> {
    let taken = load::latencies(address, every, requests.iter().map(Vec::as_slice))?;
    Ok(percentile(taken.into_iter().skip(WARM_UP).collect(), 99))
}

/// A rate beside that of an empty organization.
fn slower(report: &mut Report, what: String, rate: f64, alone: f64) {
    report.compare(
        what,
        format!("{rate:.0} /s"),
        format!("{alone:.0} /s in an empty one"),
        alone / rate,
        Goal::AtMost(1.5),
    );
}

/// The identity provider of the provisioned organization.
struct Provider {
    address: SocketAddr,
    organization: i64,
    token: String,
}

/// Fills the database, and lets it come to rest.
async fn write(database: &Database, statements: &[String]) -> Result<()> {
    execute(database, statements).await?;
    analyse(database).await
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
        // Not analysed: a database that has just come to be is planned for as one that may grow.
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

    fn created_per_second(&self, prefix: &str) -> Result<f64> {
        let creates = (0..PUSHED).map(|i| self.create(&format!("{prefix}{i}@bench.example")));
        load::all_per_second(self.address, creates.collect(), CONNECTIONS)
    }

    /// Of those who were pushed first.
    fn changed_per_second(&self, first: i64, title: &str) -> Result<f64> {
        let patches = (0..PUSHED).map(|i| {
            let person = first + i64::try_from(i).unwrap_or_default();
            let operation = json!({"op": "replace", "path": "title", "value": format!("{title} {i}")});
            self.patch(&format!("/scim/v2/Users/{person}"), operation)
        });
        load::all_per_second(self.address, patches.collect(), CONNECTIONS)
    }

    fn get(&self, path: &str) -> Vec<u8> {
        Load::get(self.address, path, &self.token, 1).request
    }

    /// How long a whole page takes, p99.
    fn page(&self, path: &str) -> Result<f64> {
        let requests: Vec<Vec<u8>> = std::iter::repeat_n(self.get(path), PAGES).collect();
        p99(self.address, EVERY_PAGE, &requests)
    }

    /// A group of nobody.
    async fn small_group(&self) -> Result<i64> {
        let body = json!({"schemas": [GROUP_SCHEMA], "displayName": "Small"});
        let mut connection = Connection::open(self.address).await?;
        connection.exchange(&Load::post(self.address, "/scim/v2/Groups", &body, Some(&self.token), 1).request).await?;
        let answer: Value = serde_json::from_slice(connection.body())?;
        let id = answer["id"].as_str().and_then(|id| id.parse().ok());
        id.ok_or_else(|| BenchError::Answer("no group was made".into()))
    }

    fn patch(&self, path: &str, operation: Value) -> Vec<u8> {
        let body = json!({"schemas": [PATCH], "Operations": [operation]});
        let mut request = Load::post(self.address, path, &body, Some(&self.token), 1).request;
        request.splice(..4, *b"PATCH");
        request
    }

    fn lookup(&self, number: i64) -> Vec<u8> {
        let path = format!("/scim/v2/Users?filter=userName%20eq%20%22written{number}%40bench.example%22");
        self.get(&path)
    }

    /// Until so many users are written.
    async fn grow(&self, database: &Database, users: i64) -> Result<()> {
        let Self { organization, .. } = self;
        let from = number(database, &format!("(SELECT COUNT(*) FROM memberships WHERE {WRITTEN})")).await?;
        let base = number(database, "(SELECT MAX(id) FROM users)").await?;
        let numbers = numbers(from, users - 1);
        let document = |name: &str, number: &str| {
            format!(
                "'{{\"userName\": \"{name}' || {number} || '@bench.example\", \"active\": true, \"displayName\": \"W\"}}'"
            )
        };
        let document = document("written", "substr(m.email, 8, length(m.email) - 21)");
        let json = if database.backend() == DbBackend::Postgres { "::jsonb" } else { "" };
        write(
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
        let written = "(SELECT MIN(id) FROM scim_users WHERE user_name_key LIKE 'written%')";
        write(
            database,
            &[
                format!(
                    "{} INSERT INTO scim_groups (organization_id, config_id, display_name, display_name_key, version, created_at, \
                     updated_at) SELECT {organization}, id, 'Group ' || i, 'group ' || i, 1, created_at, created_at FROM n \
                     CROSS JOIN scim_configs",
                    numbers(0, GROUPS - 1)
                ),
                format!(
                    "{} INSERT INTO scim_group_members (group_id, scim_user_id, added_at) SELECT g.id, {written} + (g.id * 97 + \
                     i) % {MANY}, g.created_at FROM scim_groups g CROSS JOIN n",
                    numbers(0, GROUP - 1)
                ),
            ],
        )
        .await?;
        number(database, "(SELECT MAX(id) FROM scim_groups)").await
    }
}
