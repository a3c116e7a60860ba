//! `GET /api/v1/roles/{role_id}/assignments`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, give, workspace};

on_both_databases! {
    it_tells_who_holds_it_and_where;
    an_administrator_of_a_workspace_sees_that_one;
    wrong_roles_and_strangers_are_told_nothing;
}

fn holders(data: &Value) -> Vec<(i64, Option<i64>)> {
    let told = |row: &Value| (row["user_id"].as_i64().unwrap(), row["workspace_id"].as_i64());
    data["assignments"].as_array().unwrap().iter().map(told).collect()
}

async fn it_tells_who_holds_it_and_where(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &[]).await;
    let lab = workspace(&acme, "Lab").await;
    let path = format!("{PATH}/{role}/assignments");
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    give(&acme.admin, role, json!({"user_id": acme.developer.id, "workspace_id": lab})).await;
    let (viewer, developer) = ((acme.viewer.id, None), (acme.developer.id, Some(lab)));
    let data = acme.developer.client.get(&path).await.ok();
    assert_eq!((holders(&data), &data["total_count"]), (vec![viewer, developer], &json!(2)));
    assert_eq!(data["assignments"][1]["assigned_by"], acme.admin.id);
    let data = acme.admin.client.get(&format!("{path}?workspace_id={lab}")).await.ok();
    assert_eq!((holders(&data), &data["total_count"]), (vec![developer], &json!(1)));
    let data = acme.admin.client.get(&format!("{path}?skip=1&limit=1")).await.ok();
    assert_eq!((holders(&data), &data["total_count"]), (vec![developer], &json!(2)));
    acme.admin.client.get(&format!("{path}?limit=101")).await.invalid("limit");
}

async fn an_administrator_of_a_workspace_sees_that_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    let role = acme.roles["Admin"];
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let path = format!("{PATH}/{role}/assignments");
    acme.viewer.client.get(&path).await.error(403, "FORBIDDEN");
    let data = acme.viewer.client.get(&format!("{path}?workspace_id={lab}")).await.ok();
    // The Owner, who made it, and the Viewer.
    assert_eq!(holders(&data), [(acme.owner.id, Some(lab)), (acme.viewer.id, Some(lab))]);
}

async fn wrong_roles_and_strangers_are_told_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/{}/assignments", acme.roles["Viewer"]);
    acme.viewer.client.get(&path).await.error(403, "FORBIDDEN");
    globex.owner.client.get(&path).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
    let foreign = format!("{path}?workspace_id={}", globex.workspace_id);
    acme.owner.client.get(&foreign).await.error(404, "WORKSPACE_NOT_FOUND");
}
