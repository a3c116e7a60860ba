//! `DELETE /api/v1/workspaces/{workspace_id}`

use chrono::Duration;
use rivergen_tests::{Backend, Organization, Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;

on_both_databases! {
    nobody_belongs_to_it_any_more;
    who_stood_in_it_stands_in_the_default_one;
    its_invitations_are_revoked;
    its_name_is_free;
    no_name_stands_in_its_way;
    the_default_one_stays;
    only_who_may_delete_it_does;
    it_is_purged_after_thirty_days;
    one_that_cannot_be_purged_holds_up_no_other;
    anothers_is_not_found;
}

async fn nobody_belongs_to_it_any_more(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Admin").await;
    let path = format!("{PATH}/{lab}");
    let data = acme.owner.client.delete(&path).await.ok();
    assert_eq!(data["workspace_id"], lab);
    assert!(data["deleted_at"].is_string());

    acme.owner.client.delete(&path).await.error(404, "WORKSPACE_NOT_FOUND");
    for person in [&acme.owner, &acme.viewer] {
        person.client.get(&path).await.error(404, "WORKSPACE_NOT_FOUND");
        person.client.put(&path, json!({"name": "Back"})).await.error(404, "WORKSPACE_NOT_FOUND");
        assert_eq!(person.client.get(PATH).await.ok()["total_count"], 1);
        let switch = json!({"workspace_id": lab});
        person.client.post("/api/v1/auth/switch-workspace", switch).await.error(404, "NOT_FOUND");
    }
    let left = format!("SELECT count(*) FROM role_assignments WHERE workspace_id = {lab}");
    assert_eq!(server.count(&left).await, 0);
    let records = server.rows("SELECT details FROM audit_log WHERE action = 'workspace.delete'").await;
    let details: Value = serde_json::from_str(records[0]["details"].as_str().unwrap()).unwrap();
    assert_eq!((records.len(), &details["name"], &details["roles_taken"]), (1, &json!("Lab"), &json!(2)));
    // Each of them finds in the log that a role was taken from them.
    for person in [&acme.owner, &acme.viewer] {
        let query = format!("target_type=user&target={}&action=role.revoke", person.id);
        let found = acme.owner.client.get(&format!("/api/v1/organizations/{}/audit-logs?{query}", acme.id)).await.ok();
        let taken = &found["entries"][0];
        assert_eq!(
            (&taken["target_id"], &taken["actor_id"]),
            (&json!(acme.roles["Admin"].to_string()), &json!(acme.owner.id))
        );
        assert_eq!(taken["details"], json!({"user_id": person.id, "workspace_id": lab}));
    }
}

async fn who_stood_in_it_stands_in_the_default_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    let viewer = acme.viewer.stand_in(lab).await;
    viewer.client.upload("a.csv", b"a\n1\n".to_vec()).await.created();
    acme.admin.client.delete(&format!("{PATH}/{lab}")).await.ok();

    // The token names a place where the session does not stand any more; a fresh one names where it does.
    viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let refresh = json!({"refresh_token": viewer.refresh_token});
    let data = server.anonymous().post("/api/v1/auth/refresh", refresh).await.ok();
    let client = server.anonymous().with_token(data["access_token"].as_str().unwrap());
    client.get("/api/v1/auth/me").await.ok();
    client.upload("a.csv", b"a\n1\n".to_vec()).await.error(403, "FORBIDDEN");
    let sessions = format!("SELECT workspace_id FROM sessions WHERE user_id = {} AND ended_at IS NULL", acme.viewer.id);
    for row in server.rows(&sessions).await {
        assert_eq!(row["workspace_id"], acme.workspace_id);
    }
}

/// A pending invitation to a workspace.
async fn invite(server: &Server, acme: &Organization, workspace: i64, email: &str) {
    let bytes = match server.backend {
        Backend::Sqlite => format!("X'{}'", hex(email)),
        Backend::Postgres => format!("'\\x{}'", hex(email)),
    };
    server
        .execute(&format!(
            "INSERT INTO invitations (organization_id, workspace_id, role_id, email, token_hash, status, \
             invited_by_user_id, created_at, expires_at) VALUES ({}, {workspace}, {}, '{email}', {bytes}, 'pending', {}, \
             CURRENT_TIMESTAMP, CURRENT_TIMESTAMP)",
            acme.id, acme.roles["Viewer"], acme.owner.id
        ))
        .await;
}

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

async fn its_invitations_are_revoked(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    invite(server, &acme, lab, "ada@new.example").await;
    invite(server, &acme, acme.workspace_id, "bob@new.example").await;
    acme.owner.client.delete(&format!("{PATH}/{lab}")).await.ok();
    let status = async |email: &str| {
        let query = format!("SELECT status, ended_at FROM invitations WHERE email = '{email}'");
        let row = server.rows(&query).await.remove(0);
        (row["status"].as_str().unwrap().to_owned(), row["ended_at"].is_null())
    };
    assert_eq!(status("ada@new.example").await, ("revoked".to_owned(), false));
    assert_eq!(status("bob@new.example").await, ("pending".to_owned(), true));
}

async fn its_name_is_free(server: &Server) {
    let acme = server.organization("Acme").await;
    for _ in 0..3 {
        let lab = acme.workspace("Lab").await;
        acme.owner.client.delete(&format!("{PATH}/{lab}")).await.ok();
    }
    assert_eq!(server.audited("workspace.delete", "success").await, 3);
}

async fn no_name_stands_in_its_way(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.workspace(&format!("~deleted:{lab}")).await;
    acme.owner.client.delete(&format!("{PATH}/{lab}")).await.ok();
}

async fn the_default_one_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}", acme.workspace_id);
    acme.owner.client.delete(&path).await.error(409, "DEFAULT_WORKSPACE");
    let lab = acme.workspace("Lab").await;
    acme.owner.client.delete(&path).await.error(409, "DEFAULT_WORKSPACE");
    let default = format!("/api/v1/organizations/{}/workspaces/{lab}/default", acme.id);
    acme.owner.client.post_empty(&default).await.ok();
    acme.owner.client.delete(&path).await.ok();
    // The Owner stood in it themselves.
    let owner = server.sign_in(&acme.owner.email).await;
    owner.client.delete(&format!("{PATH}/{lab}")).await.error(409, "DEFAULT_WORKSPACE");
}

async fn only_who_may_delete_it_does(server: &Server) {
    let acme = server.organization("Acme").await;
    let (lab, other) = (acme.workspace("Lab").await, acme.workspace("Other").await);
    acme.let_in(lab, &acme.developer, "Developer").await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.delete(&format!("{PATH}/{lab}")).await.error(403, "FORBIDDEN");
    }
    acme.let_in(lab, &acme.viewer, "Admin").await;
    acme.viewer.client.delete(&format!("{PATH}/{other}")).await.error(403, "FORBIDDEN");
    acme.viewer.client.delete(&format!("{PATH}/{lab}")).await.ok();
}

async fn it_is_purged_after_thirty_days(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.owner.client.delete(&format!("{PATH}/{lab}")).await.ok();
    let rows = format!("SELECT count(*) FROM workspaces WHERE id = {lab}");
    server.later(Duration::days(29)).await;
    assert_eq!(server.count(&rows).await, 1);
    server.later(Duration::days(1)).await;
    assert_eq!(server.count(&rows).await, 0);
    assert_eq!(server.audited("workspace.purge", "success").await, 1);
    assert_eq!(server.count("SELECT count(*) FROM workspaces").await, 1);
}

async fn one_that_cannot_be_purged_holds_up_no_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let (stuck, other) = (acme.workspace("Lab").await, acme.workspace("Other").await);
    server.execute("CREATE TABLE stuck (workspace_id bigint REFERENCES workspaces (id))").await;
    server.execute(&format!("INSERT INTO stuck (workspace_id) VALUES ({stuck})")).await;
    for workspace in [stuck, other] {
        acme.owner.client.delete(&format!("{PATH}/{workspace}")).await.ok();
    }
    let left = async || {
        let rows = server.rows("SELECT id FROM workspaces WHERE deleted_at IS NOT NULL").await;
        rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    server.later(Duration::days(31)).await;
    assert_eq!(left().await, [stuck]);
    // It is tried again.
    server.execute("DROP TABLE stuck").await;
    server.later(Duration::hours(2)).await;
    assert!(left().await.is_empty());
    assert_eq!(server.audited("workspace.purge", "success").await, 2);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let lab = globex.workspace("Lab").await;
    acme.owner.client.delete(&format!("{PATH}/{lab}")).await.error(404, "WORKSPACE_NOT_FOUND");
    server.anonymous().delete(&format!("{PATH}/{lab}")).await.error(401, "UNAUTHORIZED");
    globex.owner.client.get(&format!("{PATH}/{lab}")).await.ok();
}
