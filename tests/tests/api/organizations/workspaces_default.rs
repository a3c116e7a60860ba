//! `POST /api/v1/organizations/{org_id}/workspaces/{workspace_id}/default`

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    it_takes_the_place_of_the_one_before;
    two_at_once_leave_one;
    one_that_is_deleted_at_once_is_never_the_default;
    it_is_the_organizations_affair;
    anothers_is_not_found;
}

fn path(organization: &Organization, workspace: i64) -> String {
    format!("/api/v1/organizations/{}/workspaces/{workspace}/default", organization.id)
}

/// The default workspaces, which must be one.
async fn defaults(server: &Server, organization: &Organization) -> Vec<Value> {
    let query = format!(
        "SELECT id FROM workspaces WHERE organization_id = {} AND is_default = TRUE AND deleted_at IS NULL",
        organization.id
    );
    server.rows(&query).await.into_iter().map(|mut row| row["id"].take()).collect()
}

async fn it_takes_the_place_of_the_one_before(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let lab = acme.workspace("Lab").await;
    for _ in 0..2 {
        let workspace = acme.admin.client.post_empty(&path(&acme, lab)).await.ok()["workspace"].take();
        assert_eq!((workspace["id"].as_i64(), workspace["is_default"].as_bool()), (Some(lab), Some(true)));
        assert_eq!(defaults(server, &acme).await, [json!(lab)]);
    }
    // The second time nothing happened.
    let records = server.rows("SELECT details FROM audit_log WHERE action = 'workspace.set_default'").await;
    let details: Value = serde_json::from_str(records[0]["details"].as_str().unwrap()).unwrap();
    assert_eq!((records.len(), details), (1, json!({"before": acme.workspace_id, "after": lab})));
    assert_eq!(defaults(server, &globex).await, [json!(globex.workspace_id)]);

    // Every member can stand in it now, and a fresh session does.
    let data = acme.viewer.client.get("/api/v1/workspaces").await.ok();
    assert_eq!((data["total_count"].as_i64(), data["workspaces"][0]["id"].as_i64()), (Some(1), Some(lab)));
    acme.viewer.client.get(&format!("/api/v1/workspaces/{}", acme.workspace_id)).await.error(403, "FORBIDDEN");
    let viewer = server.sign_in(&acme.viewer.email).await;
    viewer.client.get("/api/v1/auth/me").await.ok();
    let query = format!("SELECT max(id) FROM sessions WHERE user_id = {}", viewer.id);
    let newest = server.count(&query).await;
    assert_eq!(server.count(&format!("SELECT workspace_id FROM sessions WHERE id = {newest}")).await, lab);
}

async fn two_at_once_leave_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let (a, b) = (acme.workspace("A").await, acme.workspace("B").await);
    let (to_a, to_b) = (path(&acme, a), path(&acme, b));
    for _ in 0..8 {
        let (first, second) = tokio::join!(acme.owner.client.post_empty(&to_a), acme.admin.client.post_empty(&to_b));
        first.ok();
        second.ok();
        let left = defaults(server, &acme).await;
        assert!(left == [json!(a)] || left == [json!(b)], "{left:?}");
    }
}

async fn one_that_is_deleted_at_once_is_never_the_default(server: &Server) {
    let acme = server.organization("Acme").await;
    for round in 0..5 {
        let lab = acme.workspace(&format!("Lab {round}")).await;
        let delete = format!("/api/v1/organizations/{}/workspaces/{lab}", acme.id);
        let choose = path(&acme, lab);
        let (chosen, deleted) = tokio::join!(acme.owner.client.post_empty(&choose), acme.admin.client.delete(&delete));
        match chosen.status.is_success() {
            true => drop(deleted.error(409, "DEFAULT_WORKSPACE")),
            false => {
                chosen.error(404, "WORKSPACE_NOT_FOUND");
                deleted.ok();
            }
        }
        assert_eq!(defaults(server, &acme).await.len(), 1);
    }
}

async fn it_is_the_organizations_affair(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Admin").await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.post_empty(&path(&acme, lab)).await.error(403, "FORBIDDEN");
    }
    assert_eq!(defaults(server, &acme).await, [json!(acme.workspace_id)]);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let client = &acme.owner.client;
    client.post_empty(&path(&globex, globex.workspace_id)).await.error(404, "ORG_NOT_FOUND");
    client.post_empty(&path(&acme, globex.workspace_id)).await.error(404, "WORKSPACE_NOT_FOUND");
    server.anonymous().post_empty(&path(&acme, acme.workspace_id)).await.error(401, "UNAUTHORIZED");
}
