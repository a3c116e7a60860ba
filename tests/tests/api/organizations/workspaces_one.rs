//! `GET`, `PATCH` and `DELETE /api/v1/organizations/{org_id}/workspaces/{workspace_id}`

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    it_is_read_by_those_who_are_in_it_or_may_read_all;
    it_is_renamed_and_described;
    slugs_and_names_are_unique;
    it_is_deleted;
    a_workspace_admin_rules_that_workspace_alone;
    what_is_not_valid_is_named;
    anothers_is_not_found;
}

fn path(organization: &Organization, workspace: i64) -> String {
    format!("/api/v1/organizations/{}/workspaces/{workspace}", organization.id)
}

async fn it_is_read_by_those_who_are_in_it_or_may_read_all(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    for person in [&acme.owner, &acme.admin, &acme.developer] {
        let workspace = person.client.get(&path(&acme, lab)).await.ok()["workspace"].take();
        assert_eq!((workspace["id"].as_i64(), workspace["organization_id"].as_i64()), (Some(lab), Some(acme.id)));
        assert_eq!((workspace["slug"].as_str(), workspace["is_default"].as_bool()), (Some("lab"), Some(false)));
    }
    acme.viewer.client.get(&path(&acme, lab)).await.error(403, "FORBIDDEN");
    acme.viewer.client.get(&path(&acme, acme.workspace_id)).await.ok();
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    acme.viewer.client.get(&path(&acme, lab)).await.ok();
}

async fn it_is_renamed_and_described(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = path(&acme, acme.workspace("Lab").await);
    let client = &acme.admin.client;
    let change = async |body: Value| client.patch(&lab, body).await.ok()["workspace"].take();
    let workspace = change(json!({"name": "Research", "description": "What will be."})).await;
    assert_eq!((workspace["name"].as_str(), workspace["slug"].as_str()), (Some("Research"), Some("lab")));
    assert_eq!(workspace["description"], "What will be.");
    let workspace = change(json!({"slug": "research-1", "settings": {"allow_public_access": true}})).await;
    assert_eq!((workspace["name"].as_str(), workspace["slug"].as_str()), (Some("Research"), Some("research-1")));
    assert_eq!(workspace["description"], "What will be.");
    assert_eq!(workspace["settings"]["allow_public_access"], true);
    // null takes away, and what is left out stays.
    let workspace = change(json!({"description": null, "name": null})).await;
    assert_eq!((workspace["name"].as_str(), &workspace["description"]), (Some("Research"), &Value::Null));
    assert_eq!(change(json!({})).await, workspace);
    assert_eq!(client.get(&lab).await.ok()["workspace"], workspace);
    assert_eq!(server.audited("workspace.update", "success").await, 3);
}

async fn slugs_and_names_are_unique(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let lab = path(&acme, acme.workspace("Lab").await);
    acme.workspace("Other").await;
    acme.admin.client.patch(&lab, json!({"name": "OTHER"})).await.error(409, "WORKSPACE_EXISTS");
    acme.admin.client.patch(&lab, json!({"slug": "other"})).await.error(409, "WORKSPACE_EXISTS");
    globex.workspace("Lab 7").await;
    acme.admin.client.patch(&lab, json!({"name": "Lab 7", "slug": "lab-7"})).await.ok();
}

async fn it_is_deleted(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.admin.client.delete(&path(&acme, acme.workspace_id)).await.error(409, "DEFAULT_WORKSPACE");
    let data = acme.admin.client.delete(&path(&acme, lab)).await.ok();
    assert_eq!(data["workspace_id"], lab);
    assert!(data["deleted_at"].is_string());
    acme.admin.client.get(&path(&acme, lab)).await.error(404, "WORKSPACE_NOT_FOUND");
    acme.admin.client.delete(&path(&acme, lab)).await.error(404, "WORKSPACE_NOT_FOUND");
    let list = format!("/api/v1/organizations/{}/workspaces", acme.id);
    assert_eq!(acme.admin.client.get(&list).await.ok()["total_count"], 1);
}

/// A role in a workspace gives nothing outside of it.
async fn a_workspace_admin_rules_that_workspace_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let (lab, other) = (acme.workspace("Lab").await, acme.workspace("Other").await);
    acme.let_in(lab, &acme.viewer, "Admin").await;
    // The same from wherever the session stands.
    for viewer in [server.sign_in(&acme.viewer.email).await, acme.viewer.stand_in(lab).await] {
        let client = &viewer.client;
        client.patch(&path(&acme, lab), json!({"description": "Ours"})).await.ok();
        let settings = json!({"settings": {"default_role_id": acme.roles["Viewer"]}});
        client.put(&format!("/api/v1/workspaces/{lab}/settings"), settings.clone()).await.ok();
        let members = |workspace: i64| format!("{}/members", path(&acme, workspace));
        let body = json!({"user_id": acme.developer.id, "role_id": acme.roles["Admin"]});
        client.post(&members(lab), body.clone()).await.created();
        client.get(&members(lab)).await.ok();
        let demoted = json!({"role_id": acme.roles["Viewer"]});
        client.patch(&format!("{}/{}", members(lab), acme.developer.id), demoted).await.ok();
        client.delete(&format!("{}/{}", members(lab), acme.developer.id)).await.ok();
        // To be an Owner is more than an Admin holds.
        let owner = json!({"user_id": acme.developer.id, "role_id": acme.roles["Owner"]});
        client.post(&members(lab), owner).await.error(403, "FORBIDDEN");

        for elsewhere in [other, acme.workspace_id] {
            client.patch(&path(&acme, elsewhere), json!({"description": "Ours"})).await.error(403, "FORBIDDEN");
            client.delete(&path(&acme, elsewhere)).await.error(403, "FORBIDDEN");
            let path = format!("/api/v1/workspaces/{elsewhere}/settings");
            client.put(&path, settings.clone()).await.error(403, "FORBIDDEN");
            client.get(&members(elsewhere)).await.error(403, "FORBIDDEN");
            client.post(&members(elsewhere), body.clone()).await.error(403, "FORBIDDEN");
        }
        client.post_empty(&format!("{}/default", path(&acme, lab))).await.error(403, "FORBIDDEN");
        let create = json!({"name": "Third", "organization_id": acme.id});
        client.post("/api/v1/workspaces", create).await.error(403, "FORBIDDEN");
        client.post("/api/v1/policies", json!({"name": "p", "type": "query_limit"})).await.error(403, "FORBIDDEN");
    }
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let main = path(&acme, acme.workspace_id);
    for (body, field) in [
        (json!({"name": ""}), "name"),
        (json!({"name": " — "}), "name"),
        (json!({"slug": ""}), "slug"),
        (json!({"slug": "With Space"}), "slug"),
        (json!({"slug": "a--b"}), "slug"),
        (json!({"slug": "x".repeat(64)}), "slug"),
        (json!({"description": "x".repeat(2001)}), "description"),
        (json!({"description": 7}), "description"),
        (json!({"settings": {"color": 7}}), "settings.color"),
        (json!({"settings": {"default_role_id": "x"}}), "settings.default_role_id"),
    ] {
        acme.admin.client.patch(&main, body).await.invalid(field);
    }
    let role = json!({"settings": {"default_role_id": 987_654_321}});
    acme.admin.client.patch(&main, role).await.error(404, "ROLE_NOT_FOUND");
    for person in [&acme.developer, &acme.viewer] {
        person.client.patch(&main, json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
        person.client.delete(&main).await.error(403, "FORBIDDEN");
    }
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let client = &acme.owner.client;
    let mine = json!({"name": "Mine"});
    for (path, code) in [
        (path(&globex, globex.workspace_id), "ORG_NOT_FOUND"),
        (path(&globex, acme.workspace_id), "ORG_NOT_FOUND"),
        (path(&acme, globex.workspace_id), "WORKSPACE_NOT_FOUND"),
        (path(&acme, 987_654_321), "WORKSPACE_NOT_FOUND"),
    ] {
        client.get(&path).await.error(404, code);
        client.patch(&path, mine.clone()).await.error(404, code);
        client.delete(&path).await.error(404, code);
        server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
        server.anonymous().patch(&path, mine.clone()).await.error(401, "UNAUTHORIZED");
        server.anonymous().delete(&path).await.error(401, "UNAUTHORIZED");
    }
    // Somebody of both organizations does not find the one's under the other.
    let second = json!({"name": "Second", "admin_email": acme.owner.email});
    let second = client.post("/api/v1/organizations", second).await.created();
    let path = format!("/api/v1/organizations/{}/workspaces/{}", second["organization"]["id"], acme.workspace_id);
    client.get(&path).await.error(404, "WORKSPACE_NOT_FOUND");
    client.patch(&path, mine).await.error(404, "WORKSPACE_NOT_FOUND");
    client.delete(&path).await.error(404, "WORKSPACE_NOT_FOUND");
}
