//! `POST /api/v1/workspaces/provision`

use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    each_entry_has_a_result;
    all_or_nothing;
    a_dry_run_changes_nothing;
    a_known_key_is_not_made_again;
    at_once_is_as_good_as_one_after_the_other;
    a_template_gives_its_settings;
    members_are_let_in;
    nobody_gives_more_than_they_hold;
    only_who_may_create_may_provision;
    what_is_not_valid_is_named;
    anothers_is_not_found;
}

const PATH: &str = "/api/v1/workspaces/provision";

fn body(acme: &Organization, workspaces: Value) -> Value {
    json!({"organization_id": acme.id, "workspaces": workspaces})
}

fn with(mut body: Value, flag: &str) -> Value {
    body[flag] = json!(true);
    body
}

fn outcomes(data: &Value) -> Vec<(&str, &str, Option<&str>)> {
    let results = data["results"].as_array().unwrap().iter();
    results
        .map(|row| {
            assert_eq!(row["workspace_id"].is_null(), row["status"] == "failed", "{row}");
            (row["name"].as_str().unwrap(), row["status"].as_str().unwrap(), row["error_code"].as_str())
        })
        .collect()
}

async fn workspaces(server: &Server) -> i64 {
    server.count("SELECT count(*) FROM workspaces").await
}

async fn each_entry_has_a_result(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let member = |user: i64, role: i64| json!([{"user_id": user, "role_id": role}]);
    let viewer = acme.roles["Viewer"];
    let entries = json!([
        {"name": "North", "slug": "n-1", "external_key": "north"},
        {"name": "north"},
        {"name": "Other", "slug": "n-1"},
        {"name": "Main Workspace"},
        {"name": "South", "template_workspace_id": globex.workspace_id},
        {"name": "South", "settings": {"default_role_id": globex.roles["Viewer"]}},
        {"name": "South", "members": member(globex.viewer.id, viewer)},
        {"name": "South", "members": member(acme.viewer.id, globex.roles["Viewer"])},
        {"name": "South", "members": member(acme.viewer.id, viewer), "settings": {"allow_public_access": true}},
    ]);
    let data = acme.admin.client.post(PATH, body(&acme, entries)).await.ok();
    assert_eq!(
        outcomes(&data),
        [
            ("North", "created", None),
            ("north", "failed", Some("WORKSPACE_EXISTS")),
            ("Other", "failed", Some("WORKSPACE_EXISTS")),
            ("Main Workspace", "failed", Some("WORKSPACE_EXISTS")),
            ("South", "failed", Some("WORKSPACE_NOT_FOUND")),
            ("South", "failed", Some("ROLE_NOT_FOUND")),
            ("South", "failed", Some("MEMBER_NOT_FOUND")),
            ("South", "failed", Some("ROLE_NOT_FOUND")),
            ("South", "created", None),
        ]
    );
    assert_eq!((data["created_count"].as_i64(), data["failed_count"].as_i64()), (Some(2), Some(7)));
    assert_eq!((workspaces(server).await, server.audited("workspace.create", "success").await), (4, 2));
    let path = format!("/api/v1/workspaces/{}", data["results"][0]["workspace_id"]);
    assert_eq!(acme.admin.client.get(&path).await.ok()["workspace"]["slug"], "n-1");
}

async fn all_or_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let entries = json!([{"name": "North"}, {"name": "South"}, {"name": "Main Workspace"}]);
    let refused = acme.admin.client.post(PATH, with(body(&acme, entries), "atomic")).await;
    let refused = refused.error(409, "WORKSPACE_EXISTS");
    assert!(refused["message"].as_str().unwrap().contains("workspaces[2]"), "{refused}");
    assert_eq!((workspaces(server).await, server.audited("workspace.create", "success").await), (1, 0));
    let entries = json!([{"name": "North"}, {"name": "South"}]);
    let data = acme.admin.client.post(PATH, with(body(&acme, entries), "atomic")).await.ok();
    assert_eq!((data["created_count"].as_i64(), workspaces(server).await), (Some(2), 3));
}

async fn a_dry_run_changes_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let entries =
        json!([{"name": "North", "external_key": "n"}, {"name": "North"}, {"name": "N", "external_key": "n"}]);
    let dry = with(body(&acme, entries.clone()), "dry_run");
    let data = acme.admin.client.post(PATH, dry.clone()).await.ok();
    let results = data["results"].as_array().unwrap();
    let statuses: Vec<_> = results.iter().map(|row| row["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["created", "failed", "existing"]);
    // An id would name nothing.
    assert!(results.iter().all(|row| row["workspace_id"].is_null()), "{data}");
    assert_eq!((data["created_count"].as_i64(), data["failed_count"].as_i64()), (Some(1), Some(1)));
    let left = (workspaces(server).await, server.audited("workspace.create", "success").await);
    assert_eq!((left, server.roles_given().await), ((1, 0), 0));
    acme.admin.client.post(PATH, with(dry, "atomic")).await.error(409, "WORKSPACE_EXISTS");
}

async fn a_known_key_is_not_made_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let entries = json!([{"name": "North", "external_key": "n"}, {"name": "South", "external_key": "s"}]);
    let first = acme.admin.client.post(PATH, body(&acme, entries.clone())).await.ok();
    let second = acme.owner.client.post(PATH, with(body(&acme, entries.clone()), "atomic")).await.ok();
    assert_eq!(outcomes(&second), [("North", "existing", None), ("South", "existing", None)]);
    for index in 0..2 {
        assert_eq!(second["results"][index]["workspace_id"], first["results"][index]["workspace_id"]);
    }
    assert_eq!(second["created_count"], 0);
    // Another organization's keys are its own, and a deleted workspace gives its key back.
    globex.admin.client.post(PATH, with(body(&globex, entries.clone()), "atomic")).await.ok();
    let north = format!("/api/v1/workspaces/{}", first["results"][0]["workspace_id"]);
    acme.admin.client.delete(&north).await.ok();
    let third = acme.admin.client.post(PATH, body(&acme, entries)).await.ok();
    assert_eq!(outcomes(&third), [("North", "created", None), ("South", "existing", None)]);
}

async fn at_once_is_as_good_as_one_after_the_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let entries = |word: &str| {
        let entry =
            |index: usize| json!({"name": format!("{word} {index}"), "external_key": format!("{word} {index}")});
        body(&acme, (0..5).map(entry).collect())
    };
    let (same, again, other, single) = tokio::join!(
        acme.admin.client.post(PATH, entries("A")),
        acme.owner.client.post(PATH, entries("A")),
        acme.owner.client.post(PATH, entries("B")),
        acme.admin.client.post("/api/v1/workspaces", json!({"name": "A 3", "organization_id": acme.id})),
    );
    let created = [same.ok(), again.ok()].iter().map(|data| data["created_count"].as_i64().unwrap()).sum::<i64>();
    assert_eq!(other.ok()["created_count"], 5);
    // Whoever was first has the name.
    let single = i64::from(single.status.is_success());
    assert_eq!(created + single, 5);
    assert_eq!(workspaces(server).await, 1 + 10);
}

async fn a_template_gives_its_settings(server: &Server) {
    let acme = server.organization("Acme").await;
    let (viewer, developer) = (acme.roles["Viewer"], acme.roles["Developer"]);
    let settings = json!({"settings": {"allow_public_access": true, "default_role_id": viewer}});
    let template = acme.workspace_id;
    acme.owner.client.put(&format!("/api/v1/workspaces/{template}/settings"), settings).await.ok();
    let entries = json!([
        {"name": "North", "template_workspace_id": template},
        {"name": "South", "template_workspace_id": template, "settings": {"default_role_id": developer}},
    ]);
    let data = acme.admin.client.post(PATH, body(&acme, entries)).await.ok();
    for (index, role) in [viewer, developer].into_iter().enumerate() {
        let path = format!("/api/v1/workspaces/{}", data["results"][index]["workspace_id"]);
        let workspace = acme.admin.client.get(&path).await.ok()["workspace"].take();
        assert_eq!(workspace["settings"], json!({"allow_public_access": false, "default_role_id": role}));
        assert_eq!(workspace["source_workspace_id"], template);
    }
}

async fn members_are_let_in(server: &Server) {
    let acme = server.organization("Acme").await;
    let members = json!([{"user_id": acme.viewer.id, "role_id": acme.roles["Developer"]},
        {"user_id": acme.owner.id, "role_id": acme.roles["Viewer"]}]);
    let entries = json!([{"name": "North", "members": members}]);
    let data = acme.admin.client.post(PATH, body(&acme, entries.clone())).await.ok();
    let id = data["results"][0]["workspace_id"].as_i64().unwrap();
    let path = format!("/api/v1/organizations/{}/workspaces/{id}/members", acme.id);
    let listed = acme.admin.client.get(&path).await.ok();
    assert_eq!(listed["total_count"], 3, "{listed}");
    assert_eq!(listed["members"][0]["user_id"], acme.admin.id);
    assert_eq!(listed["members"][0]["role"]["name"], "Admin");
    let viewer = acme.viewer.stand_in(id).await;
    viewer.client.upload("a.csv", b"a\n1\n".to_vec()).await.created();

    // Whoever names themselves has the role that they name.
    let mut entries = entries;
    entries[0]["name"] = json!("South");
    let data = acme.owner.client.post(PATH, body(&acme, entries)).await.ok();
    let id = &data["results"][0]["workspace_id"];
    let path = format!("/api/v1/organizations/{}/workspaces/{id}/members", acme.id);
    assert_eq!(acme.admin.client.get(&path).await.ok()["total_count"], 2);
}

async fn nobody_gives_more_than_they_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = acme.roles["Owner"];
    let entries = json!([{"name": "North", "members": [{"user_id": acme.viewer.id, "role_id": owner}]},
        {"name": "South", "settings": {"default_role_id": owner}}]);
    let data = acme.admin.client.post(PATH, body(&acme, entries.clone())).await.ok();
    let refused = Some("FORBIDDEN");
    assert_eq!(outcomes(&data), [("North", "failed", refused), ("South", "failed", refused)]);
    acme.admin.client.post(PATH, with(body(&acme, entries.clone()), "atomic")).await.error(403, "FORBIDDEN");
    acme.owner.client.post(PATH, with(body(&acme, entries), "atomic")).await.ok();
}

async fn only_who_may_create_may_provision(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    // To be the Admin of one workspace does not suffice.
    acme.let_in(lab, &acme.viewer, "Admin").await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(PATH, body(&acme, json!([{"name": "North"}]))).await.error(403, "FORBIDDEN");
    }
    server.anonymous().post(PATH, body(&acme, json!([{"name": "North"}]))).await.error(401, "UNAUTHORIZED");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = &acme.owner.client;
    let twice = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Viewer"]});
    for (entry, field) in [
        (json!({}), "name"),
        (json!({"name": ""}), "name"),
        (json!({"name": "—"}), "name"),
        (json!({"name": "x", "slug": "Not a slug"}), "slug"),
        (json!({"name": "x", "slug": "x".repeat(64)}), "slug"),
        (json!({"name": "x", "external_key": ""}), "external_key"),
        (json!({"name": "x", "settings": {"color": 1}}), "settings.color"),
        (json!({"name": "x", "members": [twice, twice]}), "members"),
        (json!({"name": "x", "members": vec![&twice; 101]}), "members"),
    ] {
        let entries = json!([{"name": "Good"}, entry]);
        owner.post(PATH, body(&acme, entries)).await.invalid(&format!("workspaces[1].{field}"));
    }
    owner.post(PATH, body(&acme, json!([]))).await.invalid("workspaces");
    owner
        .post(PATH, body(&acme, (0..51).map(|n| json!({"name": n.to_string()})).collect()))
        .await
        .invalid("workspaces");
    owner.post(PATH, json!({"workspaces": [{"name": "x"}]})).await.invalid("organization_id");
    assert_eq!(workspaces(server).await, 1);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let entries = json!([{"name": "North"}]);
    acme.owner.client.post(PATH, body(&globex, entries)).await.error(404, "ORG_NOT_FOUND");
}
