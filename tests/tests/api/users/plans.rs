//! How the databases find members for `POST /api/v1/users/search`: along indexes, however many members others have.

use rivergen_tests::{Backend, Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    every_search_takes_its_indexes;
}

/// What grows with the members of all organizations.
const LARGE: [&str; 5] = ["memberships", "member_words", "role_assignments", "users", "user_emails"];

/// How a search is answered.
struct Case {
    search: Value,
    /// Indexes that are taken by some statement; one of several where the databases may choose.
    indexes: Vec<&'static str>,
    way: Way,
}

/// How the page is come by.
enum Way {
    /// Those who are found are put in order.
    PutInOrder,
    /// Few have been found by their ids alone: they are looked up by this index.
    LookedUp(&'static str),
    /// Members are walked along in order, by this index.
    Walked(&'static str),
}

fn put_in_order(search: Value, indexes: &[&'static str]) -> Case {
    Case { search, indexes: indexes.to_vec(), way: Way::PutInOrder }
}

fn looked_up(search: Value, indexes: &[&'static str], by: &'static str) -> Case {
    Case { search, indexes: indexes.to_vec(), way: Way::LookedUp(by) }
}

fn walked(search: Value, indexes: &[&'static str], along: &'static str) -> Case {
    Case { search, indexes: indexes.to_vec(), way: Way::Walked(along) }
}

fn cases(backend: Backend, acme: &Organization) -> Vec<Case> {
    let (many, few) = (acme.roles["Viewer"], acme.roles["Developer"]);
    let role = |role: i64| json!({"role_ids": [role]});
    let words = match backend {
        Backend::Sqlite => "member_words USING PRIMARY KEY",
        Backend::Postgres => "member_words_named_pkey",
    };
    let words_of_one = "member_words_member";
    let holders = "role_assignments_holders|role_assignments_role";
    let one_holder = "role_assignments_holders|role_assignments_user";
    let member = match backend {
        Backend::Sqlite => "memberships_member (organization_id=? AND user_id=?)",
        Backend::Postgres => "memberships_member|memberships_user",
    };
    let mut cases = vec![
        put_in_order(json!({"query": "199"}), &[words]),
        put_in_order(json!({"query": "crowd"}), &[words]),
        put_in_order(json!({"query": "crowd 199"}), &[words, words_of_one]),
        looked_up(json!({"filters": role(few)}), &[holders], member),
        looked_up(json!({"filters": role(few), "sort_by": "last_login_at"}), &[holders], member),
        looked_up(json!({"query": "crowd", "filters": role(few)}), &[words, holders, words_of_one], member),
        put_in_order(json!({"filters": {"status": "suspended"}}), &["memberships_status"]),
        walked(json!({}), &[], "memberships_name"),
        walked(json!({"filters": {"status": "active"}}), &[], "memberships_status|memberships_name"),
        walked(json!({"filters": role(many)}), &[holders, one_holder], "memberships_name"),
        walked(json!({"filters": {"role_ids": [many, few]}}), &[holders, one_holder], "memberships_name"),
        walked(json!({"query": "crowd", "filters": role(many)}), &[words, holders, words_of_one], "memberships_name"),
    ];
    for (by, index) in [
        ("email", "memberships_email"),
        ("created_at", "memberships_joined"),
        ("last_login_at", "memberships_last_login"),
    ] {
        for order in ["asc", "desc"] {
            let search = json!({"filters": role(many), "sort_by": by, "sort_order": order});
            // How many they are is known by now.
            cases.push(walked(search, &[one_holder], index));
        }
    }
    cases
}

async fn every_search_takes_its_indexes(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    crowd(server, &acme, &globex).await;
    for has_statistics in [false, true] {
        if has_statistics {
            server.analyze().await;
        } else if server.backend == Backend::Postgres {
            // It makes them when it wants to.
            continue;
        }
        // What is known of a list spares statements.
        server.forget().await;
        for case in cases(server.backend, &acme) {
            check(server, &acme, case).await;
        }
    }
}

/// Some members of the one organization, few of whom are Developers and fewer are suspended, among many of the other.
async fn crowd(server: &Server, acme: &Organization, globex: &Organization) {
    let columns = "profile, user_metadata, is_system_admin, login_count, created_at, updated_at";
    let word = |word: &str| format!("SELECT organization_id, {word}, name_key, user_id FROM memberships");
    for sql in [
        format!(
            "INSERT INTO users (display_name, {columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < 40000) SELECT 'Crowd ' || i, {columns} FROM n CROSS JOIN users WHERE users.id = {}",
            acme.viewer.id
        ),
        format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, last_login_at, \
             name_key, email) SELECT CASE WHEN id % 25 = 0 THEN {} ELSE {} END, id, \
             CASE WHEN id % 100 = 0 THEN 'suspended' ELSE 'active' END, 'created', '{{}}', created_at, \
             CASE WHEN id % 3 = 0 THEN NULL ELSE created_at END, lower(display_name), 'c' || id || '@crowd.example' \
             FROM users WHERE display_name LIKE 'Crowd %'",
            acme.id, globex.id
        ),
        format!(
            "INSERT INTO member_words (organization_id, word, name_key, user_id) \
             SELECT * FROM ({} UNION ALL {} UNION ALL {}) AS words WHERE name_key LIKE 'crowd %'",
            word("'crowd' AS word"),
            word("substr(name_key, 7)"),
            word("email")
        ),
        "INSERT INTO role_assignments (organization_id, user_id, role_id, assigned_at, given_by_group) \
         SELECT m.organization_id, m.user_id, r.id, m.joined_at, FALSE FROM memberships AS m \
         JOIN roles AS r ON r.organization_id = m.organization_id WHERE m.name_key LIKE 'crowd %' \
         AND (r.name = 'Viewer' OR (r.name = 'Developer' AND m.user_id % 200 = 0))"
            .to_owned(),
    ] {
        server.execute(&sql).await;
    }
}

async fn check(server: &Server, acme: &Organization, case: Case) {
    let mut body = case.search;
    body["organization_id"] = json!(acme.id);
    (body["skip"], body["limit"]) = (json!(40), json!(20));
    let (answer, statements) = server.statements(acme.admin.client.post("/api/v1/users/search", body.clone())).await;
    answer.ok();
    let own = format!("\"organization_id\" = {}", acme.id);
    let is_of_members = |sql: &str| LARGE.iter().any(|table| sql.contains(&format!("FROM \"{table}\"")));
    let (mut plans, mut lookups, mut walks) = (Vec::new(), Vec::new(), Vec::new());
    for sql in statements.iter().filter(|sql| sql.starts_with("SELECT ") && sql.contains(&own) && is_of_members(sql)) {
        let plan = server.plan(sql).await;
        for table in LARGE {
            assert!(!reads_whole(server.backend, &plan, table), "{table} for {body}\n{sql}\n{plan}");
        }
        if sql.starts_with("SELECT \"memberships\".\"user_id\" FROM \"memberships\"") && sql.contains(" ORDER BY ") {
            walks.push(plan.clone());
        } else if sql.contains(" AS \"one\"") {
            lookups.push(plan.clone());
        }
        plans.push(plan);
    }
    let takes = |plan: &String, index: &str| index.split('|').any(|one| plan.contains(one));
    for index in case.indexes {
        assert!(plans.iter().any(|plan| takes(plan, index)), "{index} for {body}\n{}", plans.join("\n\n"));
    }
    let (looked_up, walked) = match case.way {
        Way::PutInOrder => (None, None),
        Way::LookedUp(by) => (Some(by), None),
        Way::Walked(along) => (None, Some(along)),
    };
    for (found, index) in [(&lookups, looked_up), (&walks, walked)] {
        assert_eq!(found.len(), usize::from(index.is_some()), "{body}\n{}", statements.join("\n"));
        for (plan, index) in found.iter().zip(index) {
            assert!(takes(plan, index), "{index} for {body}\n{plan}");
        }
    }
    assert!(!walks.iter().any(|plan| plan.contains("Sort") || plan.contains("B-TREE")), "{body}\n{}", walks.join("\n"));
}

/// Whether a plan has all rows of a table read. On SQLite a subquery may have the name of the table that it reads.
fn reads_whole(backend: Backend, plan: &str, table: &str) -> bool {
    let lines = |beginning: &str| {
        let whole = format!("{beginning} {table}");
        plan.lines().filter(|line| line.strip_prefix(&whole).is_some_and(|rest| !rest.starts_with('_'))).count()
    };
    match backend {
        Backend::Sqlite => lines("SCAN") > lines("CO-ROUTINE") + lines("MATERIALIZE"),
        Backend::Postgres => plan.contains(&format!("Seq Scan on {table} ")),
    }
}
