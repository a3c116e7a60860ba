//! `POST /api/v1/roles/{role_id}/impact`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, crowd, custom, give, hold, suspend, workspace};

on_both_databases! {
    it_tells_who_gains_and_loses_what_and_changes_nothing;
    what_another_role_gives_there_is_not_lost;
    who_has_it_through_a_public_workspace_is_counted;
    an_empty_list_stands_for_deletion;
    more_holders_than_are_named_are_counted;
    more_members_of_a_public_workspace_than_are_named_are_counted;
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
            "gains": ["audit.read"], "loses": ["policy.write"], "workspace_id": null, "through_public_access": false}])
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

async fn who_has_it_through_a_public_workspace_is_counted(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Guest", &["storage.write", "audit.read"]).await;
    let (lab, annex) = (workspace(&acme, "Lab").await, workspace(&acme, "Annex").await);
    let path = format!("{PATH}/{role}/impact");
    let body = json!({"permissions": ["prompt.write", "policy.read"]});
    let told = |data: &Value| -> Vec<(String, Option<i64>, bool, Value, Value)> {
        let row = |row: &Value| {
            let public = row["through_public_access"].as_bool().unwrap();
            let name = row["display_name"].as_str().unwrap().to_owned();
            (name, row["workspace_id"].as_i64(), public, row["gains"].clone(), row["loses"].clone())
        };
        data["affected_users"].as_array().unwrap().iter().map(row).collect()
    };
    let settings = async |workspace: i64, settings: Value| {
        let path = format!("/api/v1/workspaces/{workspace}/settings");
        acme.owner.client.put(&path, json!({"settings": settings})).await.ok()
    };
    settings(lab, json!({"default_role_id": role})).await;
    assert_eq!(acme.owner.client.post(&path, body.clone()).await.ok()["affected_count"], 0);
    settings(lab, json!({"allow_public_access": true})).await;
    // The others hold both already; what is not about sources, files and questions is given to nobody by it.
    let data = acme.owner.client.post(&path, body.clone()).await.ok();
    let viewer = ("viewer".to_owned(), Some(lab), true, json!(["prompt.write"]), json!(["storage.write"]));
    assert_eq!((told(&data), &data["affected_count"]), (vec![viewer.clone()], &json!(1)));
    assert_eq!(
        (&data["added"], &data["removed"]),
        (&json!(["policy.read", "prompt.write"]), &json!(["storage.write", "audit.read"]))
    );

    // What they hold there besides is neither gained nor lost; each workspace counts for itself.
    settings(annex, json!({"allow_public_access": true, "default_role_id": role})).await;
    let writer = custom(&acme, "Writer", &["prompt.write"]).await;
    give(&acme.owner, writer, json!({"user_id": acme.viewer.id, "workspace_id": annex})).await;
    let data = acme.owner.client.post(&path, body.clone()).await.ok();
    let in_annex = ("viewer".to_owned(), Some(annex), true, json!([]), json!(["storage.write"]));
    assert_eq!(told(&data), [viewer.clone(), in_annex]);
    // Who was given the role in the place is counted there, with all of it, and once.
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let data = acme.owner.client.post(&path, body.clone()).await.ok();
    let given = told(&data).into_iter().filter(|row| row.1 == Some(lab)).collect::<Vec<_>>();
    assert_eq!(given.len(), 1);
    assert_eq!((given[0].2, &given[0].4), (false, &json!(["storage.write", "audit.read"])));
    // What another role gives to everybody in the place covers, too.
    settings(annex, json!({"default_role_id": acme.roles["Developer"]})).await;
    let other = custom(&acme, "Other", &["storage.write"]).await;
    give(&acme.owner, other, json!({"user_id": acme.viewer.id, "workspace_id": annex})).await;
    let gone = json!({"permissions": []});
    let data = acme.owner.client.post(&format!("{PATH}/{other}/impact"), gone.clone()).await.ok();
    assert_eq!(data["affected_count"], 0);
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    let data = acme.owner.client.post(&path, body).await.ok();
    assert_eq!(told(&data).iter().map(|row| (row.1, row.2)).collect::<Vec<_>>(), [(None, false)]);
    // A Viewer's is what a public workspace gives without a default role.
    settings(annex, json!({"default_role_id": null})).await;
    let data = acme.owner.client.post(&format!("{PATH}/{}/impact", acme.roles["Viewer"]), gone.clone()).await.ok();
    assert_eq!(told(&data).iter().map(|row| (row.1, row.2)).collect::<Vec<_>>(), [(None, false)]);
    // Where the organization forbids it, nobody has anything by it.
    let late = custom(&acme, "Late", &["datasource.write"]).await;
    settings(lab, json!({"default_role_id": late})).await;
    let path = format!("{PATH}/{late}/impact");
    assert_ne!(acme.owner.client.post(&path, gone.clone()).await.ok()["affected_count"], 0);
    let path_of = format!("/api/v1/organizations/{}/settings", acme.id);
    acme.owner.client.patch(&path_of, json!({"settings": {"allow_public_workspaces": false}})).await.ok();
    assert_eq!(acme.owner.client.post(&path, gone).await.ok()["affected_count"], 0);
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
    crowd(server, &acme).await;
    hold(server, &acme, role, None, 1).await;
    let path = format!("{PATH}/{role}/impact");
    let gone = json!({"permissions": []});
    let told = async || {
        let data = acme.owner.client.post(&path, gone.clone()).await.ok();
        (data["affected_count"].as_i64().unwrap(), data["affected_users"].as_array().unwrap().len())
    };
    assert_eq!(told().await, (1200, 100));
    let page = acme.owner.client.get(&format!("{PATH}/{role}/assignments?skip=1150")).await.ok();
    assert_eq!((&page["total_count"], page["assignments"].as_array().unwrap().len()), (&json!(1200), 50));

    // Every third has the same by another role; what counts in a workspace alone covers nothing elsewhere.
    let (reader, lab) = (custom(&acme, "Reader", &["policy.read"]).await, workspace(&acme, "Lab").await);
    hold(server, &acme, reader, Some(lab), 2).await;
    assert_eq!(told().await, (1200, 100));
    hold(server, &acme, reader, None, 3).await;
    assert_eq!(told().await, (800, 100));
    // In the place it does; who holds the role everywhere is counted once.
    hold(server, &acme, role, Some(lab), 4).await;
    assert_eq!(told().await, (800, 100));
    server.execute(&format!("DELETE FROM role_assignments WHERE role_id = {role} AND workspace_id IS NULL")).await;
    assert_eq!(told().await, (0, 0));
    server.execute(&format!("DELETE FROM role_assignments WHERE role_id = {reader} AND workspace_id = {lab}")).await;
    assert_eq!(told().await, (200, 100));
}

async fn more_members_of_a_public_workspace_than_are_named_are_counted(server: &Server) {
    let acme = server.organization("Acme").await;
    let guest = custom(&acme, "Guest", &["storage.write"]).await;
    crowd(server, &acme).await;
    let path = format!("{PATH}/{guest}/impact");
    let told = async || {
        let data = acme.owner.client.post(&path, json!({"permissions": []})).await.ok();
        (data["affected_count"].as_i64().unwrap(), data["affected_users"].as_array().unwrap().len())
    };
    let mut places = Vec::new();
    for name in ["Lab", "Annex"] {
        let place = workspace(&acme, name).await;
        let settings = json!({"settings": {"allow_public_access": true, "default_role_id": guest}});
        acme.owner.client.put(&format!("/api/v1/workspaces/{place}/settings"), settings).await.ok();
        places.push(place);
    }
    // The Viewer too, in both.
    assert_eq!(told().await, (2402, 100));
    let writer = custom(&acme, "Writer", &["storage.write"]).await;
    hold(server, &acme, writer, Some(places[0]), 2).await;
    assert_eq!(told().await, (1802, 100));
    hold(server, &acme, writer, None, 3).await;
    assert_eq!(told().await, (1202, 100));
    // Who was given the role is counted as its holder, everywhere once and nowhere else.
    server.execute(&format!("DELETE FROM role_assignments WHERE role_id = {writer}")).await;
    hold(server, &acme, guest, None, 4).await;
    assert_eq!(told().await, (300 + 2 * 900 + 2, 100));
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
