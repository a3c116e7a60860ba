//! `GET /api/v1/organizations/{org_id}/audit-logs`

use chrono::DateTime;
use reqwest::Method;
use rivergen_kernel::{OrganizationId, Tenant, UserId};
use rivergen_platform::{
    audit::{actions, log},
    db::TenantScope,
};
use rivergen_tests::{Backend, Organization, Server, on_both_databases};
use sea_orm::{
    ColumnTrait, Condition, DbBackend, EntityTrait, Order, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
};
use serde_json::{Value, json};

use crate::roles::{PATH, custom, give};

on_both_databases! {
    the_newest_come_first_page_by_page;
    they_are_found_by_actor_action_object_and_time;
    what_they_can_be_about_is_told;
    with_a_user_come_the_roles_that_they_got_and_lost;
    readers_of_the_log_alone_and_of_their_own;
    actions_that_begin_alike_are_found_and_no_others;
    actions_that_begin_alike_come_from_the_index;
    a_time_long_ago_is_no_longer_way;
}

fn path(acme: &Organization, query: &str) -> String {
    format!("/api/v1/organizations/{}/audit-logs?{query}", acme.id)
}

fn entries(answer: &Value) -> &[Value] {
    answer["entries"].as_array().unwrap()
}

async fn the_newest_come_first_page_by_page(server: &Server) {
    let acme = server.organization("Acme").await;
    for name in ["A", "B", "C", "D", "E"] {
        let body = json!({"name": name, "organization_id": acme.id});
        acme.owner.client.post("/api/v1/workspaces", body).await.created();
    }
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = acme.admin.client.get(&path(&acme, &format!("action=workspace.create&limit=2{cursor}"))).await.ok();
        seen.extend(entries(&page).iter().map(|entry| entry["id"].as_i64().unwrap()));
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen.len(), 5);
    assert!(seen.is_sorted_by(|a, b| a > b), "{seen:?}");
    assert_eq!(server.audited("audit.read", "success").await, 3);
    acme.admin.client.get(&path(&acme, "limit=501")).await.invalid("limit");
    acme.admin.client.get(&path(&acme, "cursor=x")).await.invalid("cursor");
    acme.admin.client.get(&path(&acme, "from=yesterday")).await.invalid("from");
}

async fn they_are_found_by_actor_action_object_and_time(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Lab", "organization_id": acme.id});
    let workspace = acme.owner.client.post("/api/v1/workspaces", body).await.created()["workspace"]["id"].clone();
    let count = async |query: String| entries(&acme.admin.client.get(&path(&acme, &query)).await.ok()).len();
    assert_eq!(count(format!("actor_id={}&action=workspace.", acme.owner.id)).await, 1);
    assert_eq!(count(format!("actor_id={}&action=workspace.", acme.viewer.id)).await, 0);
    assert_eq!(count(format!("target_type=workspace&target={workspace}")).await, 1);
    assert_eq!(count("action=workspace.create&to=2000-01-01T00:00:00Z".to_owned()).await, 0);
    assert_eq!(count("action=workspace.create&from=2000-01-01T00:00:00Z".to_owned()).await, 1);
    let found = acme.admin.client.get(&path(&acme, "action=workspace.create")).await.ok();
    let entry = &entries(&found)[0];
    assert_eq!((entry["actor_id"].as_i64(), entry["actor_type"].as_str()), (Some(acme.owner.id), Some("user")));
    assert_eq!((entry["ip"].as_str(), entry["outcome"].as_str()), (Some("127.0.0.1"), Some("success")));
    assert!(entry["at"].as_str().unwrap().ends_with('Z') && entry["details"].is_object());
}

async fn what_they_can_be_about_is_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let page = acme.admin.client.get(&path(&acme, "limit=500")).await.ok();
    let kinds: Vec<&str> = page["target_types"].as_array().unwrap().iter().map(|kind| kind.as_str().unwrap()).collect();
    assert!(kinds.is_sorted() && ["data_source", "role", "user"].iter().all(|kind| kinds.contains(kind)), "{kinds:?}");
    // What is recorded of an account alone is in no organization's log.
    assert!(!kinds.contains(&"mfa_method"), "{kinds:?}");
    for entry in entries(&page) {
        let kind = &entry["target_type"];
        assert!(kind.is_null() || kinds.contains(&kind.as_str().unwrap()), "{entry}");
    }
}

async fn with_a_user_come_the_roles_that_they_got_and_lost(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Auditor", &["audit.read"]).await;
    let given = give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    acme.owner.client.delete(&format!("{PATH}/{role}/assignments/{given}")).await.ok();
    let body = json!({"status": "suspended"});
    acme.owner.client.patch(&format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id), body).await.ok();
    let of = async |user: i64, more: &str| {
        let query = format!("target_type=user&target={user}&limit=3{more}");
        let found = acme.admin.client.get(&path(&acme, &query)).await.ok();
        entries(&found).iter().map(|entry| entry["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(of(acme.viewer.id, "").await, ["member.update", "role.revoke", "role.assign"]);
    assert_eq!(of(acme.viewer.id, "&action=role.revoke").await, ["role.revoke"]);
    assert!(of(acme.developer.id, "&action=role.revoke").await.is_empty());
    // An id that is nobody's is nobody's.
    assert!(of(0, "").await.is_empty());
    // PostgreSQL would read a small log whole.
    if server.backend == Backend::Sqlite {
        let about = log::Entity::find().filter(log::about(DbBackend::Sqlite, UserId(acme.viewer.id)));
        let plan = server.plan(&about.build(DbBackend::Sqlite).to_string()).await;
        assert!(plan.contains("audit_log_holder") && plan.contains("audit_log_target"), "{plan}");
        assert!(!plan.contains("SCAN audit_log"), "{plan}");
    }
}

async fn readers_of_the_log_alone_and_of_their_own(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.developer.client.get(&path(&acme, "")).await.error(403, "FORBIDDEN");
    globex.owner.client.get(&path(&acme, "")).await.error(404, "ORG_NOT_FOUND");
    let body = json!({"name": "Secret", "organization_id": globex.id});
    globex.owner.client.post("/api/v1/workspaces", body).await.created();
    let own = acme.admin.client.get(&path(&acme, "action=workspace.create")).await.ok();
    assert!(entries(&own).is_empty());
}

/// Records of actions that an expression makes of the numbers from 1.
async fn write(server: &Server, acme: &Organization, number: u32, action: &str) {
    write_at(server, acme, number, action, "occurred_at").await;
}

/// The same, and when they happened.
async fn write_at(server: &Server, acme: &Organization, number: u32, action: &str, at: &str) {
    let id = acme.id;
    let columns = "organization_id, actor_kind, outcome, details, previous_hash, hash";
    server
        .execute(&format!(
            "INSERT INTO audit_log (chain, sequence, action, target_kind, occurred_at, {columns}) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {number}) \
             SELECT {id}, 100000 + i, {action}, CASE WHEN i % 4 = 0 THEN 'thing' END, {at}, {columns} \
             FROM n CROSS JOIN (SELECT * FROM audit_log WHERE organization_id = {id} ORDER BY id LIMIT 1) AS one \
             ORDER BY i"
        ))
        .await;
    // The chain goes on behind them.
    server.execute(&format!("UPDATE audit_heads SET sequence = 200000 WHERE chain = {id}")).await;
}

/// The positions in the chain of what an export has, in its order.
async fn exported(acme: &Organization, query: &str) -> Vec<i64> {
    let client = &acme.admin.client;
    let request = client.request(Method::GET, &path(acme, query)).header("accept", "application/x-ndjson");
    let answer = client.send(request).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    let lines: Vec<Value> = match &answer.body {
        Value::String(text) => text.lines().map(|line| serde_json::from_str(line).unwrap()).collect(),
        Value::Null => Vec::new(),
        // One line alone is JSON to the client.
        one => vec![one.clone()],
    };
    lines.iter().map(|line| line["sequence"].as_i64().unwrap()).collect()
}

async fn actions_that_begin_alike_are_found_and_no_others(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let action = "CASE WHEN i % 10 = 0 THEN 'rare.one' WHEN i % 15 = 1 THEN 'rare.two' WHEN i = 3 THEN 'rarer.one' \
        WHEN i = 5 THEN 'a_c.run' WHEN i = 7 THEN 'abc.run' WHEN i = 9 THEN 'a%.run' WHEN i = 11 THEN 'rare' \
        WHEN i % 2 = 0 THEN 'often.run' ELSE 'often.read' END";
    write(server, &acme, 60, action).await;
    write(server, &globex, 20, "'rare.' || i").await;
    let newest = "SELECT id, sequence, action, target_kind FROM audit_log WHERE organization_id";
    let records = server.rows(&format!("{newest} = {} ORDER BY id DESC", acme.id)).await;
    for (beginning, spelled, number) in [
        ("rare.", "rare.", 10),
        ("a_c.", "a_c.", 1),
        ("a%.", "a%25.", 1),
        ("often.", "often.", 45),
        ("often.run", "often.run", 22),
        ("rare.one", "rare.one", 6),
        ("a%.run", "a%25.run", 1),
        ("none.", "none.", 0),
        ("_.", "_.", 0),
        (".", ".", 0),
    ] {
        let begin_so: Vec<_> =
            records.iter().filter(|record| record["action"].as_str().unwrap().starts_with(beginning)).collect();
        assert_eq!(begin_so.len(), number, "{beginning}");
        for (more, things) in
            [("", false), ("&target_type=thing", true), ("&from=2000-01-01T00:00:00Z&to=2100-01-01T00:00:00Z", false)]
        {
            let wanted: Vec<_> = begin_so.iter().filter(|record| !things || record["target_kind"] == "thing").collect();
            let query = format!("action={spelled}{more}");
            let (mut seen, mut cursor) = (Vec::new(), String::new());
            loop {
                let page = acme.admin.client.get(&path(&acme, &format!("{query}&limit=9{cursor}"))).await.ok();
                seen.extend(entries(&page).iter().map(|entry| entry["id"].clone()));
                match page["next_cursor"].as_str() {
                    Some(next) => cursor = format!("&cursor={next}"),
                    None => break,
                }
            }
            assert_eq!(seen, wanted.iter().map(|record| record["id"].clone()).collect::<Vec<_>>(), "{query}");
            let oldest: Vec<_> = wanted.iter().rev().map(|record| record["sequence"].as_i64().unwrap()).collect();
            assert_eq!(exported(&acme, &query).await, oldest, "{query}");
        }
        let others = format!("action={spelled}&to=2000-01-01T00:00:00Z");
        assert!(entries(&acme.admin.client.get(&path(&acme, &others)).await.ok()).is_empty(), "{others}");
    }
}

async fn actions_that_begin_alike_come_from_the_index(server: &Server) {
    let acme = server.organization("Acme").await;
    // Some are rare, and some are frequent that nobody does any more.
    let action = "CASE WHEN i % 1000 = 0 THEN 'rare.one' WHEN i % 1500 = 1 THEN 'rare.two' \
        WHEN i > 3000 THEN 'other.' || (i % 100) WHEN i % 2 = 0 THEN 'often.run' ELSE 'often.read' END";
    write(server, &acme, 6000, action).await;
    let tenant = Tenant::on_behalf_of(OrganizationId(acme.id));
    let (db, backend) = (server.platform.db.read(), server.platform.db.backend());
    let within = Condition::all()
        .add(log::Column::Id.gt(1))
        .add(log::Column::Id.lt(i64::MAX))
        .add(log::Column::OccurredAt.gte(DateTime::UNIX_EPOCH));
    for has_statistics in [false, true] {
        if has_statistics {
            server.analyze().await;
        } else if server.backend == Backend::Postgres {
            // It makes them when it wants to.
            continue;
        }
        let page_of = async |actions: &[String]| {
            let among = actions::among_first(backend, tenant, actions, &within, &Order::Desc, 6);
            let page = tenant.find::<log::Entity>().filter(among).order_by_desc(log::Column::Id).limit(6);
            let plan = server.plan(&page.build(backend).to_string()).await;
            assert_eq!(plan.matches("audit_log_action").count(), actions.len(), "{plan}");
            assert!(!plan.contains("Seq Scan") && !plan.contains("SCAN audit_log"), "{plan}");
        };
        for (subject, actions) in [("rare", ["rare.one", "rare.two"]), ("often", ["often.read", "often.run"])] {
            let found = actions::of_subject(db, tenant, subject).await.unwrap();
            assert_eq!(found, actions);
            let plan = server.plan(&actions::actions_of(backend, tenant, subject).to_string()).await;
            assert!(plan.contains("audit_log_action"), "{plan}");
            assert!(!plan.contains("Seq Scan on audit_log") && !plan.contains("SCAN log"), "{plan}");

            page_of(found.as_slice()).await;
            for action in &found {
                page_of(std::slice::from_ref(action)).await;
            }
        }
    }
    // Batch by batch.
    let lines = exported(&acme, "action=often.").await;
    let often = "SELECT count(*) FROM audit_log WHERE action LIKE 'often.%'";
    assert_eq!(i64::try_from(lines.len()).unwrap(), server.count(often).await);
    assert!(lines.len() > 1000 && lines.is_sorted_by(|a, b| a < b));
}

async fn a_time_long_ago_is_no_longer_way(server: &Server) {
    let acme = server.organization("Acme").await;
    // One a minute.
    let at = match server.backend {
        Backend::Postgres => "TIMESTAMPTZ '2020-01-01 00:00:00+00' + i * INTERVAL '1 minute'",
        Backend::Sqlite => "strftime('%Y-%m-%dT%H:%M:%S+00:00', '2020-01-01', i || ' minutes')",
    };
    write_at(server, &acme, 20_000, "'often.run'", at).await;
    server.analyze().await;
    let hour = "from=2020-01-06T00:00:00Z&to=2020-01-06T01:00:00Z&limit=50";
    let (page, statements) = server.statements(acme.admin.client.get(&path(&acme, hour))).await;
    let page = page.ok();
    let times: Vec<_> = entries(&page).iter().map(|entry| entry["at"].as_str().unwrap()).collect();
    assert_eq!((times.len(), times[0], times[49]), (50, "2020-01-06T00:59:00Z", "2020-01-06T00:10:00Z"));
    let next = format!("{hour}&cursor={}", page["next_cursor"].as_str().unwrap());
    assert_eq!(entries(&acme.admin.client.get(&path(&acme, &next)).await.ok()).len(), 10);
    // Those of the hour are neither read all nor sorted.
    let is_page = |sql: &&String| sql.starts_with("SELECT \"audit_log\".\"id\", ") && sql.contains(" LIMIT 51");
    let plan = server.plan(statements.iter().find(is_page).expect("a page is asked for")).await;
    assert!(!["Sort", "B-TREE", "audit_log_time"].iter().any(|word| plan.contains(word)), "{plan}");
    // What is handed out of it is the same.
    assert_eq!(exported(&acme, "from=2020-01-06T00:00:00Z&to=2020-01-06T01:00:00Z").await.len(), 60);
}
