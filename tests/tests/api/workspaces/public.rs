//! A workspace that is public: `allow_public_access` in `PUT /api/v1/workspaces/{workspace_id}/settings`

use rivergen_tests::{Answer, Organization, Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::PATH;

on_both_databases! {
    every_member_may_stand_in_it_and_no_other;
    it_gives_its_default_role_from_the_next_request_on;
    it_makes_nobody_somebody_who_runs_it;
    each_answer_says_where_a_permission_comes_from;
    nobody_opens_it_with_more_than_they_hold;
    what_is_given_stays_when_it_is_closed;
    who_is_suspended_has_nothing_of_it;
    an_organization_may_forbid_it_and_it_bites_at_once;
    where_it_is_forbidden_nobody_asks_for_it;
    who_allows_it_again_gives_no_more_than_they_hold;
}

async fn set(acme: &Organization, workspace: i64, settings: Value) {
    let path = format!("{PATH}/{workspace}/settings");
    acme.owner.client.put(&path, json!({"settings": settings})).await.ok();
}

fn names(data: &Value) -> Vec<&str> {
    data["workspaces"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

/// Whether somebody may do something in a workspace, by their own question.
async fn check(person: &Person, workspace: i64, permission: &str) -> Value {
    let body = json!({"permissions": [permission], "workspace_id": workspace});
    person.client.post("/api/v1/roles/check", body).await.ok()["results"][0].take()
}

async fn effective(person: &Person, workspace: i64) -> Value {
    let path = format!("/api/v1/roles/users/{}/permissions?workspace_id={workspace}", person.id);
    person.client.get(&path).await.ok()
}

/// What the organization says of public workspaces.
async fn allow(by: &Person, acme: &Organization, allowed: bool) -> Answer {
    let path = format!("/api/v1/organizations/{}/settings", acme.id);
    by.client.patch(&path, json!({"settings": {"allow_public_workspaces": allowed}})).await
}

fn csv() -> Vec<u8> {
    b"a\n1\n".to_vec()
}

async fn every_member_may_stand_in_it_and_no_other(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let lab = acme.workspace("Lab").await;
    let switch = json!({"workspace_id": lab});
    let one = format!("{PATH}/{lab}");
    let all = format!("/api/v1/organizations/{}/workspaces", acme.id);
    let viewer = &acme.viewer.client;
    viewer.post("/api/v1/auth/switch-workspace", switch.clone()).await.error(404, "NOT_FOUND");
    viewer.get(&one).await.error(403, "FORBIDDEN");

    set(&acme, lab, json!({"allow_public_access": true})).await;
    viewer.get(&one).await.ok();
    for path in [PATH, &all] {
        let data = viewer.get(path).await.ok();
        assert_eq!((names(&data), data["total_count"].as_i64()), (vec!["Lab", "Main Workspace"], Some(2)), "{path}");
    }
    acme.viewer.stand_in(lab).await.client.get("/api/v1/data-sources").await.ok();
    // It makes nobody a member of it.
    let members = format!("{all}/{lab}/members");
    assert_eq!(acme.owner.client.get(&members).await.ok()["total_count"], 1);
    // Public is public in the organization alone.
    globex.viewer.client.post("/api/v1/auth/switch-workspace", switch.clone()).await.error(404, "NOT_FOUND");
    globex.viewer.client.get(&one).await.error(404, "WORKSPACE_NOT_FOUND");
    assert_eq!(names(&globex.viewer.client.get(PATH).await.ok()), ["Main Workspace"]);

    set(&acme, lab, json!({"allow_public_access": false})).await;
    let viewer = server.sign_in(&acme.viewer.email).await;
    viewer.client.get(&one).await.error(403, "FORBIDDEN");
    viewer.client.post("/api/v1/auth/switch-workspace", switch).await.error(404, "NOT_FOUND");
    assert_eq!(names(&viewer.client.get(PATH).await.ok()), ["Main Workspace"]);
}

async fn it_gives_its_default_role_from_the_next_request_on(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    set(&acme, lab, json!({"allow_public_access": true})).await;
    let viewer = acme.viewer.stand_in(lab).await;
    // A Viewer uploads nothing, and there is no other default role.
    viewer.client.upload("a.csv", csv()).await.error(403, "FORBIDDEN");
    set(&acme, lab, json!({"default_role_id": acme.roles["Developer"]})).await;
    viewer.client.upload("a.csv", csv()).await.created();
    // There alone.
    assert_eq!(check(&viewer, acme.workspace_id, "storage.write").await["allowed"], false);
    set(&acme, lab, json!({"default_role_id": null})).await;
    viewer.client.upload("a.csv", csv()).await.error(403, "FORBIDDEN");
    set(&acme, lab, json!({"default_role_id": acme.roles["Developer"]})).await;
    viewer.client.upload("a.csv", csv()).await.created();
    set(&acme, lab, json!({"allow_public_access": null})).await;
    viewer.client.upload("a.csv", csv()).await.error(403, "FORBIDDEN");
    // A change of the role itself counts at once, too.
    let body = json!({"name": "Writer", "permissions": ["storage.write"], "organization_id": acme.id});
    let writer = acme.owner.client.post("/api/v1/roles", body).await.created()["role"]["id"].as_i64().unwrap();
    set(&acme, lab, json!({"allow_public_access": true, "default_role_id": writer})).await;
    viewer.client.upload("a.csv", csv()).await.created();
    acme.owner.client.put(&format!("/api/v1/roles/{writer}"), json!({"permissions": []})).await.ok();
    viewer.client.upload("a.csv", csv()).await.error(403, "FORBIDDEN");
    acme.owner.client.put(&format!("/api/v1/roles/{writer}"), json!({"permissions": ["storage.write"]})).await.ok();
    viewer.client.upload("a.csv", csv()).await.created();
    // With the role goes what it gave; a Viewer is left.
    acme.owner.client.delete(&format!("/api/v1/roles/{writer}")).await.ok();
    viewer.client.upload("a.csv", csv()).await.error(403, "FORBIDDEN");
    assert_eq!(effective(&viewer, lab).await["public_access"]["role"]["name"], "Viewer");
}

async fn it_makes_nobody_somebody_who_runs_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    set(&acme, lab, json!({"allow_public_access": true, "default_role_id": acme.roles["Admin"]})).await;
    let viewer = acme.viewer.stand_in(lab).await;
    viewer.client.upload("a.csv", csv()).await.created();
    let close = json!({"settings": {"allow_public_access": false}});
    viewer.client.put(&format!("{PATH}/{lab}/settings"), close).await.error(403, "FORBIDDEN");
    viewer.client.delete(&format!("{PATH}/{lab}")).await.error(403, "FORBIDDEN");
    let members = format!("/api/v1/organizations/{}/workspaces/{lab}/members", acme.id);
    let oneself = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Admin"]});
    viewer.client.post(&members, oneself).await.error(403, "FORBIDDEN");
    viewer.client.get(&members).await.error(403, "FORBIDDEN");
    let assign = json!({"user_id": acme.viewer.id, "workspace_id": lab});
    let path = format!("/api/v1/roles/{}/assignments", acme.roles["Admin"]);
    viewer.client.post(&path, assign).await.error(403, "FORBIDDEN");
    for (permission, allowed) in [("storage.write", true), ("role.assign", false), ("workspace.write", false)] {
        assert_eq!(check(&viewer, lab, permission).await["allowed"], allowed, "{permission}");
    }
}

async fn each_answer_says_where_a_permission_comes_from(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let (viewer, developer) = (acme.roles["Viewer"], acme.roles["Developer"]);
    assert_eq!(effective(&acme.viewer, lab).await["public_access"], Value::Null);
    set(&acme, lab, json!({"allow_public_access": true, "default_role_id": developer})).await;

    let data = effective(&acme.viewer, lab).await;
    let access = json!({"workspace": {"id": lab, "name": "Lab"}, "role": {"id": developer, "name": "Developer"}});
    assert_eq!(data["public_access"], access);
    assert_eq!(data["roles"].as_array().unwrap().len(), 1);
    let of = |name: &str| {
        let all = data["permissions"].as_array().unwrap();
        all.iter().find(|permission| permission["name"] == name).cloned().unwrap_or_default()
    };
    let write = json!({"name": "storage.write", "source_role_ids": [developer], "through_public_access": true,
        "scope": "workspace", "denied_by_policy": false});
    let read = json!({"name": "storage.read", "source_role_ids": [viewer, developer], "through_public_access": true,
        "scope": "organization", "denied_by_policy": false});
    let plain = json!({"name": "organization.read", "source_role_ids": [viewer], "through_public_access": false,
        "scope": "organization", "denied_by_policy": false});
    assert_eq!((of("storage.write"), of("storage.read")), (write, read));
    assert_eq!((of("organization.read"), of("policy.read")), (plain, Value::Null));

    let yes = json!({"permission": "storage.write", "allowed": true, "source_role_id": developer,
        "through_public_access": true, "denied_by_policy": false});
    assert_eq!(check(&acme.viewer, lab, "storage.write").await, yes);
    let given = json!({"permission": "storage.read", "allowed": true, "source_role_id": viewer,
        "through_public_access": false, "denied_by_policy": false});
    assert_eq!(check(&acme.viewer, lab, "storage.read").await, given);
    let body = json!({"permissions": ["storage.write"]});
    let data = acme.viewer.client.post("/api/v1/roles/check", body).await.ok();
    assert_eq!(data["allowed"], false);
}

async fn nobody_opens_it_with_more_than_they_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let path = format!("{PATH}/{lab}/settings");
    let open = json!({"settings": {"allow_public_access": true}});
    // The default role was set by somebody who holds more.
    set(&acme, lab, json!({"default_role_id": acme.roles["Owner"]})).await;
    acme.admin.client.put(&path, open.clone()).await.error(403, "FORBIDDEN");
    set(&acme, lab, json!({"default_role_id": acme.roles["Admin"]})).await;
    acme.admin.client.put(&path, open.clone()).await.ok();
    set(&acme, lab, json!({"allow_public_access": false})).await;
    // Who may change workspaces but give no roles opens none.
    let body = json!({"name": "Caretaker", "permissions": ["workspace.read", "workspace.create", "workspace.write"],
        "organization_id": acme.id});
    let caretaker = acme.owner.client.post("/api/v1/roles", body).await.created()["role"]["id"].clone();
    let assign = json!({"user_id": acme.developer.id});
    acme.owner.client.post(&format!("/api/v1/roles/{caretaker}/assignments"), assign).await.created();
    acme.developer.client.put(&path, open.clone()).await.error(403, "FORBIDDEN");
    let new = json!({"name": "Open", "organization_id": acme.id, "settings": {"allow_public_access": true}});
    acme.developer.client.post(PATH, new.clone()).await.error(403, "FORBIDDEN");
    let provision = json!({"organization_id": acme.id, "workspaces": [{"name": "Open",
        "settings": {"allow_public_access": true}}]});
    let data = acme.developer.client.post(&format!("{PATH}/provision"), provision).await.ok();
    assert_eq!(data["results"][0]["error_code"], "FORBIDDEN");
    acme.developer.client.put(&path, json!({"settings": {"allow_public_access": null}})).await.ok();
    acme.admin.client.post(PATH, new).await.created();
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["Main Workspace", "Open"]);
}

async fn what_is_given_stays_when_it_is_closed(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    set(&acme, lab, json!({"allow_public_access": true})).await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    let viewer = acme.viewer.stand_in(lab).await;
    set(&acme, lab, json!({"allow_public_access": false})).await;
    viewer.client.upload("a.csv", csv()).await.created();
    assert_eq!(names(&viewer.client.get(PATH).await.ok()), ["Lab", "Main Workspace"]);
    // A copy is not open.
    set(&acme, lab, json!({"allow_public_access": true})).await;
    acme.owner.client.post(&format!("{PATH}/{lab}/clone"), json!({"name": "Lab 2"})).await.ok();
    assert_eq!(names(&viewer.client.get(PATH).await.ok()), ["Lab", "Main Workspace"]);
    let public = server.count("SELECT count(*) FROM workspaces WHERE is_public = TRUE").await;
    assert_eq!(public, 1);
}

async fn who_is_suspended_has_nothing_of_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    set(&acme, lab, json!({"allow_public_access": true, "default_role_id": acme.roles["Developer"]})).await;
    let suspend = json!({"status": "suspended"});
    let path = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id);
    acme.admin.client.patch(&path, suspend).await.ok();
    let path = format!("/api/v1/roles/users/{}/permissions?workspace_id={lab}", acme.viewer.id);
    let data = acme.owner.client.get(&path).await.ok();
    assert_eq!((&data["permissions"], &data["public_access"]), (&json!([]), &Value::Null));
}

async fn an_organization_may_forbid_it_and_it_bites_at_once(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let lab = acme.workspace("Lab").await;
    let other = globex.workspace("Other").await;
    set(&globex, other, json!({"allow_public_access": true})).await;
    set(&acme, lab, json!({"allow_public_access": true, "default_role_id": acme.roles["Developer"]})).await;
    let viewer = acme.viewer.stand_in(lab).await;
    viewer.client.upload("a.csv", csv()).await.created();

    let settings = allow(&acme.owner, &acme, false).await.ok();
    assert_eq!((&settings["settings"]["allow_public_workspaces"], &settings["version"]), (&json!(false), &json!(1)));
    viewer.client.upload("a.csv", csv()).await.error(403, "FORBIDDEN");
    let one = format!("{PATH}/{lab}");
    viewer.client.get(&one).await.error(403, "FORBIDDEN");
    let all = format!("/api/v1/organizations/{}/workspaces", acme.id);
    for path in [PATH, &all] {
        assert_eq!(names(&viewer.client.get(path).await.ok()), ["Main Workspace"], "{path}");
    }
    let switch = json!({"workspace_id": lab});
    viewer.client.post("/api/v1/auth/switch-workspace", switch.clone()).await.error(404, "NOT_FOUND");
    let viewer = server.sign_in(&acme.viewer.email).await;
    assert_eq!(effective(&viewer, lab).await["public_access"], Value::Null);
    assert_eq!(check(&viewer, lab, "storage.write").await["allowed"], false);
    // It reads as what it is, and where that comes from.
    let data = acme.owner.client.get(&format!("{one}/settings")).await.ok();
    let (settings, sources) = (&data["settings"], &data["sources"]);
    assert_eq!(
        (&settings["allow_public_access"], &sources["allow_public_access"]),
        (&json!(false), &json!("organization"))
    );
    assert_eq!(settings["default_role_id"], acme.roles["Developer"]);
    assert_eq!(acme.owner.client.get(&one).await.ok()["workspace"]["settings"], *settings);
    // Of others it is no business.
    assert_eq!(names(&globex.viewer.client.get(PATH).await.ok()), ["Main Workspace", "Other"]);
    // Who was let in by name stays.
    acme.let_in(lab, &acme.developer, "Viewer").await;
    assert_eq!(names(&acme.developer.client.get(PATH).await.ok()), ["Lab", "Main Workspace"]);

    assert_eq!(allow(&acme.owner, &acme, true).await.ok()["version"], 2);
    viewer.stand_in(lab).await.client.upload("a.csv", csv()).await.created();
    let data = acme.owner.client.get(&format!("{one}/settings")).await.ok();
    assert_eq!(data["sources"]["allow_public_access"], "workspace");
    let records =
        server.rows("SELECT details FROM audit_log WHERE action = 'organization.update_settings' ORDER BY id").await;
    let details: Value = serde_json::from_str(records[0]["details"].as_str().unwrap()).unwrap();
    assert_eq!(details["changed"], json!({"allow_public_workspaces": {"before": true, "after": false}}));
    allow(&acme.developer, &acme, false).await.error(403, "FORBIDDEN");
    allow(&globex.owner, &acme, false).await.error(404, "ORG_NOT_FOUND");
}

async fn where_it_is_forbidden_nobody_asks_for_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    set(&acme, lab, json!({"allow_public_access": true})).await;
    allow(&acme.owner, &acme, false).await.ok();
    let owner = &acme.owner.client;
    let open = json!({"settings": {"allow_public_access": true}});
    let one = format!("{PATH}/{lab}");
    let of_organization = format!("/api/v1/organizations/{}/workspaces/{lab}", acme.id);
    let error = owner.put(&format!("{one}/settings"), open.clone()).await.error(409, "PUBLIC_ACCESS_FORBIDDEN");
    assert!(error["message"].as_str().unwrap().contains("organization"), "{error}");
    owner.put(&one, open.clone()).await.error(409, "PUBLIC_ACCESS_FORBIDDEN");
    owner.patch(&of_organization, open).await.error(409, "PUBLIC_ACCESS_FORBIDDEN");
    let new = json!({"name": "Open", "organization_id": acme.id, "settings": {"allow_public_access": true}});
    owner.post(PATH, new).await.error(409, "PUBLIC_ACCESS_FORBIDDEN");
    let provision = json!({"organization_id": acme.id, "workspaces": [
        {"name": "Open", "settings": {"allow_public_access": true}}, {"name": "Closed"}]});
    let data = owner.post(&format!("{PATH}/provision"), provision).await.ok();
    assert_eq!(
        (&data["results"][0]["error_code"], &data["created_count"]),
        (&json!("PUBLIC_ACCESS_FORBIDDEN"), &json!(1))
    );
    // Everything else of it can be changed, and it can be closed for good.
    set(&acme, lab, json!({"default_role_id": acme.roles["Developer"]})).await;
    set(&acme, lab, json!({"allow_public_access": null})).await;
    allow(&acme.owner, &acme, true).await.ok();
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["Main Workspace"]);
    let path = format!("/api/v1/organizations/{}/settings", acme.id);
    owner
        .patch(&path, json!({"settings": {"allow_public_workspaces": "no"}}))
        .await
        .invalid("settings.allow_public_workspaces");
}

async fn who_allows_it_again_gives_no_more_than_they_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let (lab, annex) = (acme.workspace("Lab").await, acme.workspace("Annex").await);
    set(&acme, annex, json!({"allow_public_access": true})).await;
    set(&acme, lab, json!({"allow_public_access": true, "default_role_id": acme.roles["Owner"]})).await;
    allow(&acme.admin, &acme, false).await.ok();
    allow(&acme.admin, &acme, true).await.error(403, "FORBIDDEN");
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["Main Workspace"]);
    allow(&acme.owner, &acme, true).await.ok();
    assert_eq!(names(&acme.viewer.client.get(PATH).await.ok()), ["Annex", "Lab", "Main Workspace"]);
}
