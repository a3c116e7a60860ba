//! `POST` and `GET /api/v1/organizations/{org_id}/workspaces`

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_new_workspace_is_listed_by_those_who_may_see_all;
    names_are_unique_in_the_organization;
    a_developer_and_a_viewer_may_not;
    anothers_is_not_found;
    what_is_not_valid_is_named;
}

fn path(organization: &Organization) -> String {
    format!("/api/v1/organizations/{}/workspaces", organization.id)
}

fn names(data: &Value) -> Vec<&str> {
    data["workspaces"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

async fn a_new_workspace_is_listed_by_those_who_may_see_all(server: &Server) {
    let acme = server.organization("Acme").await;
    let data = acme.admin.client.post(&path(&acme), json!({"name": "Data  Lab"})).await.created();
    assert_eq!(data["workspace"]["organization_id"], acme.id);
    assert_eq!(data["workspace"]["is_default"], false);
    assert_eq!(data["workspace"]["slug"], "data-lab");
    assert_eq!(server.audited("workspace.create", "success").await, 1);

    for person in [&acme.owner, &acme.admin, &acme.developer] {
        let data = person.client.get(&path(&acme)).await.ok();
        assert_eq!((names(&data), data["total_count"].as_i64()), (vec!["Data  Lab", "Main Workspace"], Some(2)));
    }
    // Without `workspace.read` only those that one belongs to.
    assert_eq!(names(&acme.viewer.client.get(&path(&acme)).await.ok()), ["Main Workspace"]);
    let page = acme.owner.client.get(&format!("{}?skip=1&limit=1", path(&acme))).await.ok();
    assert_eq!((names(&page), page["total_count"].as_i64()), (vec!["Main Workspace"], Some(2)));
}

async fn names_are_unique_in_the_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    acme.owner.client.post(&path(&acme), json!({"name": "Lab"})).await.created();
    acme.owner.client.post(&path(&acme), json!({"name": "LAB"})).await.error(409, "WORKSPACE_EXISTS");
    acme.owner.client.post(&path(&acme), json!({"name": "Main Workspace"})).await.error(409, "WORKSPACE_EXISTS");
    globex.owner.client.post(&path(&globex), json!({"name": "Lab"})).await.created();
}

async fn a_developer_and_a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path(&acme), json!({"name": "Lab"})).await.error(403, "FORBIDDEN");
    }
    assert_eq!(server.count("SELECT count(*) FROM workspaces").await, 1);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    acme.owner.client.post(&path(&globex), json!({"name": "Lab"})).await.error(404, "ORG_NOT_FOUND");
    acme.owner.client.get(&path(&globex)).await.error(404, "ORG_NOT_FOUND");
    server.anonymous().get(&path(&acme)).await.error(401, "UNAUTHORIZED");
    server.anonymous().post(&path(&acme), json!({"name": "Lab"})).await.error(401, "UNAUTHORIZED");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    for name in ["", "—", "  "] {
        acme.owner.client.post(&path(&acme), json!({"name": name})).await.invalid("name");
    }
    acme.owner.client.get(&format!("{}?limit=0", path(&acme))).await.invalid("limit");
}
