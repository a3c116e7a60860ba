//! A large organization: what its administrators do all day, with a thousand members and with a hundred thousand.

use std::{
    fmt::Write as _,
    path::Path,
    sync::Arc,
    thread::sleep,
    time::{Duration, Instant},
};

use chrono::{TimeDelta, Utc};
use rivergen_federation::abac::AccessControl;
use rivergen_kernel::{OrganizationId, Permission, Proofs, UserId, access::Asker};
use rivergen_platform::{Clock, Database, Event};
use rivergen_tenancy::{member::word, standing::Standings};
use sea_orm::{ActiveValue::Set, ConnectionTrait, DbBackend, EntityTrait};
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
const WORKSPACES: i64 = 1_000;
const ROLES: i64 = 500;

const REQUESTS: i64 = 400;
/// Longer than an answer takes, so that none waits for another.
const EVERY: Duration = Duration::from_millis(20);
/// Answers that are not counted, while caches and plans warm up.
const WARM_UP: i64 = 20;

/// In the audit log, for each member.
const RECORDS: i64 = 10;

const FEW_IMPORTED: usize = 10_000;
const IMPORTED: usize = 100_000;
/// Of a change of the role that all hold.
const PREVIEWS: usize = 5;
/// Times that a role is taken on one node, and asked for on another.
const TAKEN: usize = 100;
const CHECKS: u32 = 200_000;
const POLICIES: i64 = 100;

/// Everything on one database: SQLite where none is given.
pub fn measure(binary: &Path, name: &str, url: Option<&str>, report: &mut Report) -> Result<()> {
    let server = Server::provisioned_on(binary, url)?;
    let token = server.sign_in()?.access_token;
    let runtime = load::runtime()?;

    let database = runtime.block_on(connect_to(&server, url))?;
    let mut organization = runtime.block_on(Large::found(&database))?;
    runtime.block_on(organization.grow(&database, FEW))?;
    let few = organization.ask(&server, &token)?;
    let few_previewed = organization.preview(&server, &token)?;
    let few_imported = organization.import(&server, &token, FEW_IMPORTED)?;
    runtime.block_on(mails_are_sent(&database))?;
    runtime.block_on(organization.grow(&database, MANY))?;
    let many = organization.ask(&server, &token)?;
    let many_previewed = organization.preview(&server, &token)?;

    let mut slowest = 0.0_f64;
    for ((what, few), (_, many)) in few.into_iter().zip(many) {
        let (p50, p99, before) = (percentile(many.clone(), 50), percentile(many, 99), percentile(few, 99));
        slowest = slowest.max(p99);
        report.compare(
            format!("{what}, {name}, {MANY} members, p99"),
            format!("{p99:.1} ms (p50 {p50:.1})"),
            format!("{before:.1} ms with {FEW}"),
            p99 / before,
            Goal::AtMost(2.0),
        );
    }
    report.bound(format!("the slowest of them, {name}"), slowest, "ms", Goal::AtMost(20.0));
    report.compare(
        format!("impact preview of the role that all hold, {name}, {MANY} members, for each thousand of them"),
        format!("{:.1} ms", many_previewed * 1_000.0 / MANY as f64),
        format!("{few_previewed:.1} ms with {FEW}"),
        many_previewed / few_previewed * FEW as f64 / MANY as f64,
        Goal::AtMost(1.5),
    );
    if let Some(url) = url {
        let other = server.another_node(binary, url)?;
        let refused = organization.take_and_ask(&server, &other, &token)?;
        for percent in [50, 99] {
            let what = format!("a role taken on one node, refused by another, {name}, p{percent}");
            report.bound(what, percentile(refused.clone(), percent), "ms", Goal::AtMost(1_000.0));
        }
    }
    let check = runtime.block_on(organization.check_in_memory(&database))?;
    report.bound(format!("permission check of a request, {name}"), check, "µs", Goal::AtMost(10.0));
    runtime.block_on(organization.govern(&database))?;
    let check = runtime.block_on(organization.check_in_memory(&database))?;
    let what = format!("the same under {POLICIES} access policies on that permission, {name}");
    report.bound(what, check, "µs", Goal::AtMost(250.0));
    let imported = organization.import(&server, &token, IMPORTED)?;
    // SQLite waits for its disk at each commit, and each writes pages all over its indexes: no goal is set for it.
    let (fast, steady) = match url {
        Some(_) => (Goal::AtLeast(3_000.0), Goal::AtLeast(0.5)),
        None => (Goal::Told, Goal::Told),
    };
    report.bound(format!("import of {IMPORTED} people, {name}"), imported, "rows/s", fast);
    report.compare(
        format!("the same, into {MANY} members, {name}"),
        format!("{imported:.0} rows/s"),
        format!("{few_imported:.0} rows/s of {FEW_IMPORTED} into {FEW}"),
        imported / few_imported,
        steady,
    );
    Ok(())
}

/// Waits until the mails to those who were invited are out of the way of what is measured next.
async fn mails_are_sent(database: &Database) -> Result<()> {
    while number(database, "(SELECT COUNT(*) FROM jobs WHERE kind = 'mail.send' AND finished_at IS NULL)").await? > 0 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Ok(())
}

/// The organization, as large as it is by now.
struct Large {
    id: i64,
    members: i64,
    first_member: i64,
    first_workspace: i64,
    first_role: i64,
    viewer: i64,
    default_workspace: i64,
    invited: i64,
}

/// The workspaces that members work in: of 100 people with two each, whatever the size, so that pages are as full.
fn teams(members: i64) -> i64 {
    (members / 100).clamp(1, WORKSPACES)
}

/// The roles beside Viewer that members hold: of 200 people with two each.
fn duties(members: i64) -> i64 {
    (members / 200).clamp(1, ROLES)
}

/// Asks until the answer has the status, and no longer than a change may take to be heard of anywhere.
async fn until(connection: &mut Connection, request: &[u8], status: u16) -> Result<()> {
    let deadline = Instant::now() + Duration::from_secs(60);
    while connection.status(request).await? != status {
        if Instant::now() > deadline {
            return Err(BenchError::Answer(format!("a node does not come to answer {status}")));
        }
    }
    Ok(())
}

/// The request of each number.
type Request<'a> = Box<dyn Fn(i64) -> Vec<u8> + 'a>;

impl Large {
    /// Gives the provisioned organization its workspaces and roles.
    async fn found(database: &Database) -> Result<Self> {
        let id = number(database, "(SELECT MIN(id) FROM organizations WHERE name = 'Bench')").await?;
        let made = [
            format!(
                "{} INSERT INTO workspaces (organization_id, name, name_key, slug, is_default, created_at, updated_at) \
                 SELECT {id}, 'Team ' || i, 'team ' || i, 'team-' || i, FALSE, one.created_at, one.created_at \
                 FROM n CROSS JOIN (SELECT * FROM organizations WHERE id = {id}) AS one",
                numbers(1, WORKSPACES)
            ),
            format!(
                "{} INSERT INTO roles (organization_id, name, name_key, description, is_built_in, permissions, created_at) \
                 SELECT {id}, 'Duty ' || i, 'duty ' || i, 'One of many.', FALSE, one.permissions, one.created_at \
                 FROM n CROSS JOIN (SELECT * FROM roles WHERE organization_id = {id} AND name = 'Developer') AS one",
                numbers(1, ROLES)
            ),
        ];
        execute(database, &made).await?;
        let first = |table: &str, condition: &str| {
            format!("(SELECT MIN(id) FROM {table} WHERE organization_id = {id} AND {condition})")
        };
        Ok(Self {
            id,
            members: 0,
            first_member: number(database, "(SELECT MAX(id) FROM users)").await? + 1,
            first_workspace: number(database, &first("workspaces", "name = 'Team 1'")).await?,
            first_role: number(database, &first("roles", "name = 'Duty 1'")).await?,
            viewer: number(database, &first("roles", "name = 'Viewer'")).await?,
            default_workspace: number(database, &first("workspaces", "is_default = TRUE")).await?,
            invited: 0,
        })
    }

    /// Until it has so many members. Each is a Viewer everywhere and has a duty in two workspaces.
    async fn grow(&mut self, database: &Database, members: i64) -> Result<()> {
        let Self { id, first_member, first_workspace, first_role, viewer, .. } = *self;
        let (from, to) = (first_member + self.members, first_member + members - 1);
        let (teams, duties) = (teams(members), duties(members));
        let new = format!("FROM users WHERE id BETWEEN {from} AND {to}");
        let duty = |spread: i64| {
            format!(
                "INSERT INTO role_assignments (organization_id, user_id, role_id, workspace_id, assigned_at) \
                 SELECT {id}, id, {first_role} + (id + {spread}) % {duties}, \
                 {first_workspace} + (id * 7 + {spread}) % {teams}, created_at {new}"
            )
        };
        let account = "profile, user_metadata, is_system_admin, created_at, updated_at";
        let tx = database.begin().await.map_err(BenchError::database)?;
        for sql in [
            format!(
                "{} INSERT INTO users (display_name, {account}) SELECT 'Member' || i || ' of Team' || (i % {teams}), \
                 {account} FROM n CROSS JOIN (SELECT * FROM users ORDER BY id LIMIT 1) AS one",
                numbers(from, to)
            ),
            format!(
                "INSERT INTO user_emails (user_id, email, is_primary, verified_at, created_at) \
                 SELECT id, 'member' || id || '@bench.example', TRUE, created_at, created_at {new}"
            ),
            format!(
                "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email) \
                 SELECT {id}, id, 'active', 'import', (SELECT attributes FROM memberships ORDER BY id LIMIT 1), \
                 created_at, lower(display_name), 'member' || id || '@bench.example' {new}"
            ),
            format!(
                "INSERT INTO role_assignments (organization_id, user_id, role_id, assigned_at) \
                 SELECT {id}, id, {viewer}, created_at {new}"
            ),
            duty(0),
            duty(3),
        ] {
            tx.conn().execute_unprepared(&sql).await?;
        }
        let words = (from..=to).flat_map(|i| {
            let name = format!("Member{i} of Team{}", i % teams);
            let words = word::words_of(&name, &format!("member{i}@bench.example")).into_iter();
            words.map(move |word| (i, word, name.to_lowercase()))
        });
        let rows: Vec<word::ActiveModel> = words
            .map(|(i, word, name)| word::ActiveModel {
                organization_id: Set(OrganizationId(id)),
                word: Set(word),
                name_key: Set(name),
                user_id: Set(UserId(i)),
            })
            .collect();
        for batch in rows.chunks(1_000) {
            word::Entity::insert_many(batch.to_vec()).exec_without_returning(tx.conn()).await?;
        }
        tx.conn().execute_unprepared(&self.happened(database, members * RECORDS)).await?;
        tx.publish(Event::Resync).await.map_err(BenchError::database)?;
        tx.commit().await.map_err(BenchError::database)?;
        self.members = members;
        analyse(database).await
    }

    /// So many records of what happened in the months before, in a chain of their own; one of a thousand tells of a policy.
    fn happened(&self, database: &Database, records: i64) -> String {
        let Self { id, first_member, members, .. } = *self;
        let (from, seconds) = (members * RECORDS + 1, format!("({records} - i) * 30"));
        let at = match database.backend() {
            DbBackend::Postgres => format!("now() - interval '1 day' - {seconds} * interval '1 second'"),
            _ => format!("strftime('%Y-%m-%dT%H:%M:%S+00:00', 'now', '-1 day', '-' || ({seconds}) || ' seconds')"),
        };
        let hash = if database.backend() == DbBackend::Postgres { "''::bytea" } else { "x''" };
        format!(
            "{} INSERT INTO audit_log (chain, sequence, organization_id, occurred_at, actor_kind, actor_user_id, action, \
             target_kind, target_id, outcome, details, previous_hash, hash) \
             SELECT -{id}, i, {id}, {at}, 'user', {first_member} + i % 1000, \
             CASE WHEN i % 1000 = 0 THEN 'policy.create' ELSE 'auth.login' END, 'user', CAST(i % 1000 AS TEXT), 'success', \
             '{{}}', {hash}, {hash} FROM n",
            numbers(from, records)
        )
    }

    /// Another member each time, spread over all of them.
    fn someone(&self, i: i64) -> i64 {
        self.first_member + i * 7_919 % self.members
    }

    /// How long each of the requests took.
    fn ask(&mut self, server: &Server, token: &str) -> Result<Vec<(&'static str, Vec<Duration>)>> {
        let Self { id, first_role, first_workspace, members, viewer, default_workspace, .. } = *self;
        let get = |path: String| Load::get(server.address, &path, token, 1).request;
        let post = |path: &str, body: Value| Load::post(server.address, path, &body, Some(token), 1).request;
        let (teams, duties) = (teams(members), duties(members));
        let list = format!("/api/v1/organizations/{id}/members");
        let search =
            |query: String| post("/api/v1/users/search", json!({"organization_id": id, "query": query, "limit": 50}));
        let first_invited = self.invited;
        let long_ago = |days: i64| (Utc::now() - TimeDelta::days(days)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
        let log = format!("/api/v1/organizations/{id}/audit-logs?limit=50");
        // The oldest record of a thousand members is some days old.
        let cases: [(&'static str, Request<'_>); 19] = [
            ("audit records of an action", Box::new(|_| get(format!("{log}&action=policy.create")))),
            ("audit records of a kind of action", Box::new(|_| get(format!("{log}&action=policy.")))),
            (
                "audit records of a day",
                Box::new(|i| {
                    let day = 2 + i % (members * RECORDS * 30 / 86_400);
                    get(format!("{log}&from={}&to={}", long_ago(day + 1), long_ago(day)))
                }),
            ),
            ("members, first page", Box::new(|_| get(format!("{list}?limit=50")))),
            ("members, any page", Box::new(|i| get(format!("{list}?limit=50&skip={}", i * 7_919 % members)))),
            (
                "members who hold a role",
                Box::new(|i| get(format!("{list}?limit=50&role_id={}", first_role + i % duties))),
            ),
            ("users by the beginning of a name", Box::new(|i| search(format!("member{}", self.someone(i) / 100)))),
            ("users by a word that all have", Box::new(|_| search("member".to_owned()))),
            (
                "members by status, any page",
                Box::new(|i| get(format!("{list}?limit=50&status=active&skip={}", i * 7_919 % members))),
            ),
            (
                "members who hold the role that all hold, any page",
                Box::new(|i| get(format!("{list}?limit=50&role_id={viewer}&skip={}", i * 7_919 % members))),
            ),
            ("the role that all hold", Box::new(|_| get(format!("/api/v1/organizations/{id}/roles/{viewer}")))),
            (
                "holders of the role that all hold, any page",
                Box::new(|i| {
                    let skip = i * 7_919 % members;
                    get(format!("/api/v1/roles/{viewer}/assignments?limit=50&skip={skip}"))
                }),
            ),
            ("users by two words", Box::new(|i| search(format!("team{} member", i % teams)))),
            (
                "members of a workspace",
                Box::new(|i| {
                    let workspace = first_workspace + i % teams;
                    get(format!("/api/v1/organizations/{id}/workspaces/{workspace}/members?limit=50"))
                }),
            ),
            (
                "workspaces, any page",
                Box::new(|i| {
                    let skip = i * 37 % WORKSPACES;
                    get(format!("/api/v1/organizations/{id}/workspaces?limit=50&skip={skip}"))
                }),
            ),
            (
                "roles, any page",
                Box::new(|i| get(format!("/api/v1/organizations/{id}/roles?limit=50&skip={}", i * 37 % ROLES))),
            ),
            (
                "effective permissions of a member",
                Box::new(|i| {
                    let workspace = first_workspace + self.someone(i) * 7 % teams;
                    let query = format!("organization_id={id}&workspace_id={workspace}");
                    get(format!("/api/v1/roles/users/{}/permissions?{query}", self.someone(i)))
                }),
            ),
            (
                "check of three permissions of a member",
                Box::new(|i| {
                    let permissions = json!(["datasource.query", "storage.read", "policy.write"]);
                    let body = json!({"organization_id": id, "user_id": self.someone(i), "permissions": permissions});
                    post("/api/v1/roles/check", body)
                }),
            ),
            (
                "invite",
                Box::new(|i| {
                    let email = format!("guest{}@bench.example", first_invited + i);
                    let body = json!({"email": email, "role_id": viewer, "workspace_id": default_workspace});
                    post(&format!("/api/v1/organizations/{id}/members/invite"), body)
                }),
            ),
        ];
        let mut answered = Vec::new();
        for (what, request) in cases {
            eprintln!("  {what}, of {members} …");
            let requests: Vec<Vec<u8>> = (0..WARM_UP + REQUESTS).map(request).collect();
            let taken = load::latencies(server.address, EVERY, requests.iter().map(Vec::as_slice))?;
            answered.push((what, taken.into_iter().skip(usize::try_from(WARM_UP).unwrap_or(0)).collect()));
        }
        self.invited += WARM_UP + REQUESTS;
        Ok(answered)
    }

    /// What it takes, in ms, to tell everybody's loss if the role that all hold went.
    fn preview(&self, server: &Server, token: &str) -> Result<f64> {
        eprintln!("  impact preview, of {} …", self.members);
        let path = format!("/api/v1/roles/{}/impact", self.viewer);
        let preview = Load::post(server.address, &path, &json!({"permissions": []}), Some(token), 1);
        let answer: Value = serde_json::from_slice(&preview.once()?)?;
        if answer["data"]["affected_count"].as_i64().is_none_or(|affected| affected < self.members) {
            return Err(BenchError::Answer("somebody would lose nothing with the role that all hold".into()));
        }
        let mut taken = Vec::with_capacity(PREVIEWS);
        for _ in 0..PREVIEWS {
            let begin = Instant::now();
            preview.once()?;
            taken.push(begin.elapsed());
        }
        Ok(percentile(taken, 50))
    }

    /// Gives somebody a role and takes it away on one node; how long it takes each time, from the request that takes it,
    /// until the other node refuses what the role let them do.
    fn take_and_ask(&self, server: &Server, other: &Server, token: &str) -> Result<Vec<Duration>> {
        eprintln!("  a role taken on one node …");
        let holder = server.sign_other_in()?.access_token;
        let asked = Load::get(other.address, "/api/v1/policies", &holder, 1).request;
        let path = format!("/api/v1/roles/{}", self.first_role);
        let me: Value = serde_json::from_slice(&Load::get(server.address, "/api/v1/auth/me", &holder, 1).once()?)?;
        let give = json!({"user_id": me["data"]["user"]["id"]});
        load::runtime()?.block_on(async {
            let (mut here, mut there) =
                (Connection::open(server.address).await?, Connection::open(other.address).await?);
            let mut taken = Vec::with_capacity(TAKEN);
            for _ in 0..TAKEN {
                let give = Load::post(server.address, &format!("{path}/assignments"), &give, Some(token), 1);
                here.exchange(&give.request).await?;
                let given: Value = serde_json::from_slice(here.body())?;
                let assignment = &given["data"]["assignment"]["id"];
                until(&mut there, &asked, 200).await?;
                let take = Load::delete(server.address, &format!("{path}/assignments/{assignment}"), token);
                let begin = Instant::now();
                here.exchange(&take.request).await?;
                until(&mut there, &asked, 403).await?;
                taken.push(begin.elapsed());
            }
            Ok(taken)
        })
    }

    /// Access policies that are all about the permission that is checked, and match nobody.
    async fn govern(&self, database: &Database) -> Result<()> {
        let mut rows = String::new();
        for policy in 0..POLICIES {
            let condition = json!({"all": [{"attribute": "subject.attributes.department", "operator": "eq", "value": format!("d{policy}")},
                {"not": {"attribute": "environment.ip", "operator": "ip_in_range", "value": format!("10.{policy}.0.0/16")}}]});
            let comma = if policy == 0 { "" } else { "," };
            let _ = write!(
                rows,
                "{comma} ({}, 'p{policy}', 'p{policy}', 'deny', 'prompt', '[\"prompt.read\"]', '{condition}', 100, TRUE, 1, \
                 CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
                self.id
            );
        }
        let insert = format!(
            "INSERT INTO abac_policies (organization_id, name, name_key, effect, resource_type, actions, conditions, priority, \
             is_active, created_by_user_id, created_at, updated_at) VALUES{rows}"
        );
        database.read().execute_unprepared(&insert).await.map_err(BenchError::database)?;
        Ok(())
    }

    /// What each request asks before anything else, in µs, when the answer is in memory.
    async fn check_in_memory(&self, database: &Database) -> Result<f64> {
        let standings =
            Standings::new(database.clone(), Arc::new(AccessControl::new(database.clone(), Clock::system())));
        let now = chrono::Utc::now();
        let mut allowed = 0_u32;
        let mut round = async |checks: u32| -> Result<()> {
            for i in 0..checks {
                let user = UserId(self.someone(i64::from(i % 1_000)));
                let standing = standings.of(OrganizationId(self.id), user).await.map_err(BenchError::database)?;
                let membership = standing.and_then(|standing| standing.membership(None, now));
                let asker = Asker { user_id: user, email: None, proofs: Proofs::of_what_goes_on(None), scopes: None };
                allowed += u32::from(membership.is_some_and(|it| it.holds(&asker, Permission::PromptRead, None)));
            }
            Ok(())
        };
        round(1_000).await?;
        let begin = Instant::now();
        round(CHECKS).await?;
        let taken = begin.elapsed();
        match allowed == CHECKS + 1_000 {
            true => Ok(taken.as_secs_f64() * 1e6 / f64::from(CHECKS)),
            false => Err(BenchError::Answer("a member may not do what a Viewer may".into())),
        }
    }

    /// So many people that nobody knows yet; how many of them were invited in a second, from the upload to the end of the
    /// job.
    fn import(&self, server: &Server, token: &str, people: usize) -> Result<f64> {
        eprintln!("  import, of {people} …");
        let mut file = String::from("email,role\n");
        for i in 0..people {
            // Writing into a string cannot fail.
            let _ = writeln!(file, "person{i}@import{people}.example,Viewer");
        }
        let begin = Instant::now();
        let body = json!({"organization_id": self.id, "format": "csv", "content": file});
        let begun = server.post("/api/v1/users/bulk-import", &body, Some(token))?;
        let import = begun["data"]["import_id"].as_str().unwrap_or_default();
        let progress = Load::get(server.address, &format!("/api/v1/users/bulk-import/{import}"), token, 1);
        loop {
            sleep(Duration::from_millis(100));
            let answer: Value = serde_json::from_slice(&progress.once()?)?;
            match answer["data"]["status"].as_str() {
                Some("processing") => {}
                Some("completed") => return Ok(people as f64 / begin.elapsed().as_secs_f64()),
                _ => return Err(BenchError::Answer(format!("the import ended so: {answer}"))),
            }
        }
    }
}
