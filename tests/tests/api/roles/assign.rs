//! `POST /api/v1/roles/{role_id}/assignments`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{PATH, custom, details_of, give, may, suspend, workspace};

on_both_databases! {
    a_role_counts_at_the_next_request;
    in_a_workspace_it_counts_there_alone;
    an_administrator_of_a_workspace_gives_roles_in_it;
    a_loan_ends_by_the_clock;
    the_same_place_twice_is_refused;
    only_active_members_get_roles;
    what_is_not_valid_is_named;
    wrong_roles_and_strangers_give_nothing;
    of_many_that_give_the_same_one_does;
    none_is_given_in_a_workspace_that_is_deleted_at_once;
}

async fn a_role_counts_at_the_next_request(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read"]).await;
    assert!(!may(&acme.viewer, "policy.read").await);
    let path = format!("{PATH}/{role}/assignments");
    let data = acme.admin.client.post(&path, json!({"user_id": acme.viewer.id})).await.created();
    let given = &data["assignment"];
    assert_eq!((&given["role_id"], &given["role_name"]), (&json!(role), &json!("Analyst")));
    assert_eq!((&given["user_id"], &given["assigned_by"]), (&json!(acme.viewer.id), &json!(acme.admin.id)));
    assert!(given["workspace_id"].is_null() && given["expires_at"].is_null() && given["created_at"].is_string());
    assert!(may(&acme.viewer, "policy.read").await);
    acme.viewer.client.get(&format!("{PATH}/templates")).await.error(403, "FORBIDDEN");
    assert_eq!(server.roles_given().await, 1);
    assert_eq!(details_of(server, "role.assign").await["user_id"], acme.viewer.id);
}

async fn in_a_workspace_it_counts_there_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    give(&acme.owner, acme.roles["Developer"], json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let asked = async |place: serde_json::Value| {
        let body = json!({"permissions": ["datasource.write"], "workspace_id": place});
        acme.viewer.client.post(&format!("{PATH}/check"), body).await.ok()["allowed"].as_bool().unwrap()
    };
    assert!(asked(json!(lab)).await);
    assert!(!asked(json!(acme.workspace_id)).await && !asked(json!(null)).await);
    // The Lab can be stood in now.
    let switch = json!({"workspace_id": lab});
    acme.viewer.client.post("/api/v1/auth/switch-workspace", switch).await.ok();
}

async fn an_administrator_of_a_workspace_gives_roles_in_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let (lab, annex) = (workspace(&acme, "Lab").await, workspace(&acme, "Annex").await);
    give(&acme.owner, acme.roles["Admin"], json!({"user_id": acme.developer.id, "workspace_id": lab})).await;
    let path = format!("{PATH}/{}/assignments", acme.roles["Developer"]);
    let body = |place: Option<i64>| json!({"user_id": acme.viewer.id, "workspace_id": place});
    for elsewhere in [None, Some(annex), Some(acme.workspace_id)] {
        acme.developer.client.post(&path, body(elsewhere)).await.error(403, "FORBIDDEN");
    }
    acme.developer.client.post(&path, body(Some(lab))).await.created();
    // Not more than an Admin holds, though.
    let owner = format!("{PATH}/{}/assignments", acme.roles["Owner"]);
    acme.developer.client.post(&owner, body(Some(lab))).await.error(403, "FORBIDDEN");
}

async fn a_loan_ends_by_the_clock(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read", "role.read"]).await;
    let end = server.platform.clock.now() + Duration::minutes(10);
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "expires_at": end})).await;
    assert!(may(&acme.viewer, "policy.read").await);
    acme.viewer.client.get(&format!("{PATH}/templates")).await.ok();
    server.clock().advance(Duration::minutes(9));
    acme.viewer.client.get(&format!("{PATH}/templates")).await.ok();
    server.clock().advance(Duration::minutes(1));
    assert!(!may(&acme.viewer, "policy.read").await);
    acme.viewer.client.get(&format!("{PATH}/templates")).await.error(403, "FORBIDDEN");
    // It can be lent again.
    let end = server.platform.clock.now() + Duration::minutes(10);
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "expires_at": end})).await;
    acme.viewer.client.get(&format!("{PATH}/templates")).await.ok();
}

async fn the_same_place_twice_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    let path = format!("{PATH}/{}/assignments", acme.roles["Viewer"]);
    acme.owner.client.post(&path, json!({"user_id": acme.viewer.id})).await.error(409, "ROLE_ALREADY_ASSIGNED");
    let there = json!({"user_id": acme.viewer.id, "workspace_id": lab});
    acme.owner.client.post(&path, there.clone()).await.created();
    acme.owner.client.post(&path, there).await.error(409, "ROLE_ALREADY_ASSIGNED");
}

async fn only_active_members_get_roles(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/{}/assignments", acme.roles["Developer"]);
    for nobody in [globex.viewer.id, 987_654_321] {
        acme.owner.client.post(&path, json!({"user_id": nobody})).await.error(404, "USER_NOT_FOUND");
    }
    suspend(server, &acme.viewer).await;
    let error = acme.owner.client.post(&path, json!({"user_id": acme.viewer.id})).await.error(409, "CONFLICT");
    assert!(error["message"].as_str().unwrap().contains("suspended"), "{error}");
    assert_eq!(server.roles_given().await, 0);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/assignments", acme.roles["Developer"]);
    let past = server.platform.clock.now() - Duration::seconds(1);
    for (body, field) in [
        (json!({}), "user_id"),
        (json!({"user_id": "ada"}), "user_id"),
        (json!({"user_id": acme.viewer.id, "expires_at": past}), "expires_at"),
        (json!({"user_id": acme.viewer.id, "expires_at": server.platform.clock.now()}), "expires_at"),
        (json!({"user_id": acme.viewer.id, "expires_at": "soon"}), "expires_at"),
        (json!({"user_id": acme.viewer.id, "workspace_id": "lab"}), "workspace_id"),
    ] {
        acme.owner.client.post(&path, body).await.invalid(field);
    }
}

async fn wrong_roles_and_strangers_give_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/{}/assignments", acme.roles["Viewer"]);
    let body = json!({"user_id": acme.developer.id});
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path, body.clone()).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.post(&path, body.clone()).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().post(&path, body).await.error(401, "UNAUTHORIZED");
    let foreign = json!({"user_id": acme.developer.id, "workspace_id": globex.workspace_id});
    acme.owner.client.post(&path, foreign).await.error(404, "WORKSPACE_NOT_FOUND");
    acme.owner
        .client
        .post(&format!("{PATH}/987654321/assignments"), json!({"user_id": acme.viewer.id}))
        .await
        .error(404, "ROLE_NOT_FOUND");
}

async fn of_many_that_give_the_same_one_does(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{PATH}/{}/assignments", acme.roles["Developer"]);
    let tries = (0..8).map(|_| {
        let (client, path, body) = (acme.owner.client.clone(), path.clone(), json!({"user_id": acme.viewer.id}));
        tokio::spawn(async move { client.post(&path, body).await })
    });
    let mut given = 0;
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            201 => given += 1,
            _ => drop(answer.error(409, "ROLE_ALREADY_ASSIGNED")),
        }
    }
    assert_eq!((given, server.roles_given().await), (1, 1));
}

async fn none_is_given_in_a_workspace_that_is_deleted_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let assign = format!("{PATH}/{}/assignments", acme.roles["Developer"]);
    for round in 0..3 {
        let lab = workspace(&acme, &format!("Lab {round}")).await;
        let delete = format!("/api/v1/workspaces/{lab}");
        let ask = |n: usize| {
            let (client, assign, delete) = (&acme.owner.client, &assign, &delete);
            let body = json!({"user_id": acme.viewer.id, "workspace_id": lab});
            async move { if n == 0 { client.delete(delete).await } else { client.post(assign, body).await } }
        };
        let (one, other) = server.two_at_once(&acme.held(), ask).await;
        assert!(one.status.is_success(), "{one:?}");
        if !other.status.is_success() {
            other.error(404, "WORKSPACE_NOT_FOUND");
        }
        let left = format!("SELECT count(*) FROM role_assignments WHERE workspace_id = {lab}");
        assert_eq!(server.count(&left).await, 0);
        acme.owner.client.get(&delete).await.error(404, "WORKSPACE_NOT_FOUND");
    }
}
