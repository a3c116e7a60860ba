//! `GET /api/v1/users/{user_id}/activity`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use crate::roles::{PATH, custom, give};

on_both_databases! {
    what_somebody_did_and_what_was_done_to_them;
    the_roles_that_they_got_and_lost_are_among_it;
    an_administrator_sees_their_own_organization_alone;
    auditors_alone;
    a_long_trail_is_neither_counted_nor_read_to_its_end;
}

fn path(id: i64, query: &str) -> String {
    format!("/api/v1/users/{id}/activity?{query}")
}

fn actions(listed: &Value) -> Vec<&str> {
    listed["activities"].as_array().unwrap().iter().map(|activity| activity["action"].as_str().unwrap()).collect()
}

async fn what_somebody_did_and_what_was_done_to_them(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.client.put(&format!("/api/v1/users/{}", acme.viewer.id), json!({"display_name": "Vera"})).await.ok();
    let own = acme.viewer.client.get(&path(acme.viewer.id, "")).await.ok();
    assert_eq!(actions(&own)[0], "user.update");
    let update = &own["activities"][0];
    assert_eq!((update["actor_id"].as_i64(), &update["ip_address"]), (Some(acme.admin.id), &Value::Null));
    assert!(actions(&own).contains(&"auth.login"));
    let logins = acme.viewer.client.get(&path(acme.viewer.id, "action=auth.&limit=1")).await.ok();
    assert_eq!((actions(&logins), logins["total_count"].as_i64()), (vec!["auth.login"], Some(1)));
    assert_eq!(logins["activities"][0]["ip_address"], "127.0.0.1");
    let before = acme.viewer.client.get(&path(acme.viewer.id, "to=2000-01-01T00:00:00Z")).await.ok();
    assert_eq!(before["total_count"], 0);
}

async fn the_roles_that_they_got_and_lost_are_among_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Auditor", &["audit.read"]).await;
    let given = give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    acme.owner.client.delete(&format!("{PATH}/{role}/assignments/{given}")).await.ok();
    for client in [&acme.viewer.client, &acme.admin.client] {
        let seen = client.get(&path(acme.viewer.id, "action=role.&limit=2")).await.ok();
        assert_eq!(actions(&seen), ["role.revoke", "role.assign"]);
        let first = &seen["activities"][0];
        assert_eq!((&first["resource_id"], &first["actor_id"]), (&json!(role.to_string()), &json!(acme.owner.id)));
        // The address of whoever gave it is theirs.
        assert_eq!(first["ip_address"], Value::Null);
    }
    // They stand in the records of whom they are about, and of who did it.
    let others = acme.developer.client.get(&path(acme.developer.id, "action=role.revoke")).await.ok();
    assert_eq!(others["total_count"], 0);
}

async fn an_administrator_sees_their_own_organization_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Lab", "organization_id": acme.id});
    acme.owner.client.post("/api/v1/workspaces", body).await.created();
    let seen = acme.admin.client.get(&path(acme.owner.id, "")).await.ok();
    assert!(actions(&seen).contains(&"workspace.create"), "{seen}");
    // A sign-in is the account's.
    assert!(!actions(&seen).contains(&"auth.login"), "{seen}");
}

async fn auditors_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.developer.client.get(&path(acme.viewer.id, "")).await.error(403, "FORBIDDEN");
    acme.owner.client.get(&path(globex.viewer.id, "")).await.error(404, "USER_NOT_FOUND");
    acme.admin.client.get(&path(acme.viewer.id, "limit=0")).await.invalid("limit");
}

async fn a_long_trail_is_neither_counted_nor_read_to_its_end(server: &Server) {
    let acme = server.organization("Acme").await;
    let (id, owner) = (acme.id, acme.owner.id);
    let columns = "occurred_at, outcome, details, previous_hash, hash";
    server
        .execute(&format!(
            "INSERT INTO audit_log (chain, sequence, organization_id, actor_kind, actor_user_id, action, {columns}) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) \
             SELECT {id}, 100000 + i, {id}, 'user', {owner}, 'thing.run', {columns} \
             FROM n CROSS JOIN (SELECT * FROM audit_log ORDER BY id LIMIT 1) AS one ORDER BY i"
        ))
        .await;
    // The chain goes on behind them.
    server.execute(&format!("UPDATE audit_heads SET sequence = 200000 WHERE chain = {id}")).await;
    let total = async |query: &str| acme.owner.client.get(&path(owner, query)).await.ok()["total_count"].clone();
    assert_eq!(total("action=thing.&limit=1").await, 10_000);
    // One behind the page, so that it has a next.
    assert_eq!(total("action=thing.run&skip=15000&limit=10").await, 15_011);
    assert_eq!(total("action=thing.run&skip=30000&limit=10").await, 20_000);
    acme.owner.client.get(&path(owner, &format!("skip={}", i64::MAX))).await.ok();

    let body = json!({"display_name": "Vera"});
    acme.admin.client.put(&format!("/api/v1/users/{}", acme.viewer.id), body).await.ok();
    server.analyze().await;
    for client in [&acme.viewer.client, &acme.admin.client] {
        let (seen, statements) = server.statements(client.get(&path(acme.viewer.id, "limit=5"))).await;
        assert_eq!(actions(&seen.ok())[0], "user.update");
        let is_of_trail = |sql: &&String| sql.contains("\"audit_log\"") && sql.contains(" UNION ALL ");
        let of_trail: Vec<_> = statements.iter().filter(is_of_trail).collect();
        assert_eq!(of_trail.len(), 2, "{}", statements.join("\n"));
        for sql in of_trail {
            let plan = server.plan(sql).await;
            for index in ["audit_log_actor", "audit_log_target", "audit_log_holder"] {
                assert!(plan.contains(index), "{index}\n{sql}\n{plan}");
            }
            // Nor is the log of the organization walked along.
            assert!(!plan.contains("audit_log_organization") && !plan.contains("SCAN audit_log"), "{sql}\n{plan}");
        }
    }
}
