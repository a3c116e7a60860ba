//! `POST /api/v1/roles/{role_id}/impact`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, give, suspend, workspace};

on_both_databases! {
    it_tells_who_gains_and_loses_what_and_changes_nothing;
    what_another_role_gives_there_is_not_lost;
    an_empty_list_stands_for_deletion;
    more_holders_than_are_named_are_counted;
    wrong_roles_and_strangers_are_told_nothing;
}

async fn it_tells_who_gains_and_loses_what_and_changes_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read", "policy.write"]).await;
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    let path = format!("{PATH}/{role}/impact");
    let body = json!({"permissions": ["policy.read", "audit.read"]});
    let data = acme.admin.client.post(&path, body).await.ok();
    assert_eq!((&data["role_id"], &data["affected_count"]), (&json!(role), &json!(1)));
    assert_eq!((&data["added"], &data["removed"]), (&json!(["audit.read"]), &json!(["policy.write"])));
    assert_eq!(
        data["affected_users"],
        json!([{"user_id": acme.viewer.id, "display_name": "viewer", "email": acme.viewer.email,
            "gains": ["audit.read"], "loses": ["policy.write"], "workspace_id": null}])
    );
    let seen = acme.admin.client.get(&format!("{PATH}/{role}")).await.ok();
    assert_eq!(seen["role"]["permissions"], json!(["policy.read", "policy.write"]));
    let same = json!({"permissions": ["policy.write", "policy.read"]});
    let data = acme.admin.client.post(&path, same).await.ok();
    assert_eq!((&data["affected_count"], &data["added"], &data["removed"]), (&json!(0), &json!([]), &json!([])));
    // Who is suspended has nothing to lose.
    suspend(server, &acme.viewer).await;
    let data = acme.admin.client.post(&path, json!({"permissions": []})).await.ok();
    assert_eq!(data["affected_count"], 0);
}

async fn what_another_role_gives_there_is_not_lost(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read", "prompt.write"]).await;
    let (lab, annex) = (workspace(&acme, "Lab").await, workspace(&acme, "Annex").await);
    // A Developer holds both already; a Viewer neither, but the second one in the Lab.
    give(&acme.owner, role, json!({"user_id": acme.developer.id})).await;
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": annex})).await;
    let writer = custom(&acme, "Writer", &["prompt.write"]).await;
    give(&acme.owner, writer, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let path = format!("{PATH}/{role}/impact");
    let data = acme.owner.client.post(&path, json!({"permissions": []})).await.ok();
    let told = |row: &Value| (row["user_id"].as_i64(), row["workspace_id"].as_i64(), row["loses"].clone());
    let rows = data["affected_users"].as_array().unwrap();
    assert_eq!(
        rows.iter().map(told).collect::<Vec<_>>(),
        [
            (Some(acme.viewer.id), Some(lab), json!(["policy.read"])),
            (Some(acme.viewer.id), Some(annex), json!(["policy.read", "prompt.write"])),
        ]
    );
    // Whoever gets it in the whole organization is counted there, and there alone.
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    let data = acme.owner.client.post(&path, json!({"permissions": []})).await.ok();
    assert_eq!((&data["affected_count"], &data["affected_users"][0]["workspace_id"]), (&json!(1), &Value::Null));
}

async fn an_empty_list_stands_for_deletion(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/impact", acme.roles["Viewer"]);
    let data = acme.owner.client.post(&path, json!({"permissions": []})).await.ok();
    assert_eq!((&data["affected_count"], &data["added"]), (&json!(1), &json!([])));
    assert_eq!(data["affected_users"][0]["loses"], data["removed"]);
}

async fn more_holders_than_are_named_are_counted(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Crowd", &["policy.read"]).await;
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
        format!(
            "INSERT INTO role_assignments (organization_id, user_id, role_id, assigned_at) \
             SELECT {}, id, {role}, created_at FROM users WHERE display_name LIKE 'Crowd %'",
            acme.id
        ),
    ] {
        server.execute(&sql).await;
    }
    let data = acme.owner.client.post(&format!("{PATH}/{role}/impact"), json!({"permissions": []})).await.ok();
    assert_eq!((&data["affected_count"], data["affected_users"].as_array().unwrap().len()), (&json!(1200), 100));
    let page = acme.owner.client.get(&format!("{PATH}/{role}/assignments?skip=1150")).await.ok();
    assert_eq!((&page["total_count"], page["assignments"].as_array().unwrap().len()), (&json!(1200), 50));
}

async fn wrong_roles_and_strangers_are_told_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/{}/impact", acme.roles["Viewer"]);
    let body = json!({"permissions": []});
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.post(&path, body.clone()).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().post(&path, body).await.error(401, "UNAUTHORIZED");
    acme.owner.client.post(&path, json!({"permissions": ["*"]})).await.invalid("permissions[0]");
    acme.owner.client.post(&path, json!({})).await.invalid("permissions");
}
