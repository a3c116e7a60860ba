//! `GET /api/v1/workspaces`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;

on_both_databases! {
    it_lists_what_one_can_reach_over_all_organizations;
    who_is_let_in_sees_it_as_long_as_they_are;
}

fn names(data: &Value) -> Vec<&str> {
    data["workspaces"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

async fn it_lists_what_one_can_reach_over_all_organizations(server: &Server) {
    let acme = server.organization("Acme").await;
    server.organization("Globex").await;
    let second = json!({"name": "Second", "workspace_name": "Annex", "admin_email": acme.owner.email});
    acme.owner.client.post("/api/v1/organizations", second).await.created();
    acme.workspace("Lab").await;

    let data = acme.owner.client.get(PATH).await.ok();
    assert_eq!(names(&data), ["Annex", "Lab", "Main Workspace"]);
    // An Admin belongs to the default workspace only, until somebody adds them to another.
    assert_eq!(names(&acme.admin.client.get(PATH).await.ok()), ["Main Workspace"]);
    let page = acme.owner.client.get(&format!("{PATH}?skip=1&limit=1")).await.ok();
    assert_eq!((names(&page), page["total_count"].as_i64()), (vec!["Lab"], Some(3)));
    acme.owner.client.get(&format!("{PATH}?limit=101")).await.invalid("limit");
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}

async fn who_is_let_in_sees_it_as_long_as_they_are(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["Lab", "Main Workspace"]);
    // A role on loan lets in until it ends.
    let end = server.platform.clock.now() + chrono::Duration::hours(1);
    server
        .execute(&format!(
            "UPDATE role_assignments SET expires_at = '{}' WHERE workspace_id = {lab} AND user_id = {}",
            end.to_rfc3339(),
            acme.viewer.id
        ))
        .await;
    server.forget().await;
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["Lab", "Main Workspace"]);
    server.clock().advance(chrono::Duration::minutes(61));
    let viewer = server.sign_in(&acme.viewer.email).await;
    assert_eq!(names(&viewer.client.get(PATH).await.ok()), ["Main Workspace"]);
    let switch = json!({"workspace_id": lab});
    viewer.client.post("/api/v1/auth/switch-workspace", switch).await.error(404, "NOT_FOUND");
}
