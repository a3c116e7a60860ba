//! `GET /api/v1/roles/{role_id}`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, assignment_of, custom, give, workspace};
use crate::invitations::{accept, invite, token};

on_both_databases! {
    every_member_sees_a_role_and_its_history_with_role_read;
    a_loan_that_is_over_is_in_the_history;
    who_joined_with_the_role_is_in_the_history;
    the_history_has_an_end;
    a_role_of_another_organization_of_ones_own_is_found;
    anothers_is_not_found;
}

async fn every_member_sees_a_role_and_its_history_with_role_read(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["datasource.query"]).await;
    let lab = workspace(&acme, "Lab").await;
    let path = format!("{PATH}/{role}");
    assert_eq!(acme.admin.client.get(&path).await.ok()["role"]["assignment_history"], json!([]));

    let given = give(&acme.admin, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    give(&acme.owner, role, json!({"user_id": acme.developer.id})).await;
    acme.owner.client.delete(&format!("{path}/assignments/{given}")).await.ok();
    let data = acme.developer.client.get(&path).await.ok();
    assert_eq!(data["message"], "Role details retrieved successfully");
    assert_eq!((&data["role"]["name"], &data["role"]["member_count"]), (&json!("Analyst"), &json!(1)));
    let history = data["role"]["assignment_history"].as_array().unwrap();
    let told = |event: &Value| {
        (
            event["action"].as_str().unwrap().to_owned(),
            event["user_id"].as_i64(),
            event["actor_id"].as_i64(),
            event["workspace_id"].as_i64(),
        )
    };
    assert_eq!(
        history.iter().map(told).collect::<Vec<_>>(),
        [
            ("revoked".to_owned(), Some(acme.viewer.id), Some(acme.owner.id), Some(lab)),
            ("assigned".to_owned(), Some(acme.developer.id), Some(acme.owner.id), None),
            ("assigned".to_owned(), Some(acme.viewer.id), Some(acme.admin.id), Some(lab)),
        ]
    );
    // A Viewer has not `role.read`.
    let seen = acme.viewer.client.get(&path).await.ok();
    assert_eq!(
        (&seen["role"]["permissions"], &seen["role"]["assignment_history"]),
        (&json!(["datasource.query"]), &json!([]))
    );
}

async fn a_loan_that_is_over_is_in_the_history(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["datasource.query"]).await;
    let end = server.platform.clock.now() + Duration::minutes(5);
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "expires_at": end})).await;
    let actions = async || {
        let data = acme.owner.client.get(&format!("{PATH}/{role}")).await.ok();
        let events = data["role"]["assignment_history"].as_array().unwrap().clone();
        events.iter().map(|event| event["action"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(actions().await, ["assigned"]);
    server.clock().advance(Duration::minutes(6));
    assert_eq!(actions().await, ["expired", "assigned"]);
}

async fn who_joined_with_the_role_is_in_the_history(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer("ada@new.example").await;
    invite(&acme, &ada.email, "Developer").await;
    accept(&ada.client, &token(server, &ada.email, 1).await).await.ok();
    let body = json!({"organization_id": acme.id, "email": "bob@new.example", "display_name": "Bob",
        "role_id": acme.roles["Developer"]});
    let bob = acme.owner.client.post("/api/v1/users", body).await.created()["user"]["id"].clone();
    let data = acme.owner.client.get(&format!("{PATH}/{}", acme.roles["Developer"])).await.ok();
    let history = data["role"]["assignment_history"].as_array().unwrap();
    let told: Vec<_> = history.iter().map(|event| (&event["action"], &event["user_id"], &event["actor_id"])).collect();
    let assigned = json!("assigned");
    assert_eq!(
        told,
        [
            (&assigned, &bob, &json!(acme.owner.id)),
            // Whoever invited them gave it, not they themselves.
            (&assigned, &json!(ada.id), &json!(acme.admin.id)),
            // By the operator.
            (&assigned, &json!(acme.developer.id), &Value::Null),
        ]
    );
}

async fn the_history_has_an_end(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &[]).await;
    for _ in 0..55 {
        give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
        let id = assignment_of(server, &acme.viewer, role).await;
        acme.owner.client.delete(&format!("{PATH}/{role}/assignments/{id}")).await.ok();
    }
    let data = acme.owner.client.get(&format!("{PATH}/{role}")).await.ok();
    let history = data["role"]["assignment_history"].as_array().unwrap();
    assert_eq!((history.len(), &history[0]["action"]), (100, &json!("revoked")));
}

async fn a_role_of_another_organization_of_ones_own_is_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let second = json!({"name": "Second", "admin_email": acme.owner.email});
    let second = acme.owner.client.post("/api/v1/organizations", second).await.created();
    let second = second["organization"]["id"].as_i64().unwrap();
    let made = json!({"name": "Analyst", "permissions": [], "organization_id": second});
    let role = acme.owner.client.post(PATH, made).await.created()["role"]["id"].as_i64().unwrap();
    // The session stands in Acme.
    let found = acme.owner.client.get(&format!("{PATH}/{role}")).await.ok();
    assert_eq!(found["role"]["organization_id"], second);
    acme.admin.client.get(&format!("{PATH}/{role}")).await.error(404, "ROLE_NOT_FOUND");
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let role = globex.roles["Viewer"];
    let mut hidden = acme.owner.client.get(&format!("{PATH}/{role}")).await.error(404, "ROLE_NOT_FOUND");
    let mut missing = acme.owner.client.get(&format!("{PATH}/987654321")).await.error(404, "ROLE_NOT_FOUND");
    assert_ne!(hidden["request_id"].take(), missing["request_id"].take());
    assert_eq!(hidden, missing);
    acme.owner.client.get(&format!("{PATH}/abc")).await.error(404, "NOT_FOUND");
    server.anonymous().get(&format!("{PATH}/{role}")).await.error(401, "UNAUTHORIZED");
}
