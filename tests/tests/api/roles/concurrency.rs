//! Many changes to roles at once: each is done or refused, none fails because it waits for another in a circle

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, assignment_of, custom, give};

on_both_databases! {
    no_two_changes_wait_for_each_other;
    two_roles_are_not_both_replaced_by_the_other;
}

async fn no_two_changes_wait_for_each_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = acme.roles["Owner"];
    let role = custom(&acme, "Analyst", &["policy.read"]).await;
    let user = acme.viewer.id;
    let operation =
        move |action: &str, role: i64, user: i64| json!({"action": action, "role_id": role, "user_id": user});
    let people = [acme.viewer.id, acme.developer.id, acme.admin.id];
    let tasks = (0..12).map(|i| {
        let (client, person) = (acme.owner.client.clone(), people[i % 3]);
        let (organization, workspace) = (acme.id, acme.workspace_id);
        tokio::spawn(async move {
            for round in 0..6 {
                let bulk = |operations: Value| json!({"organization_id": organization, "operations": operations});
                let answer = match i % 4 {
                    0 => {
                        let turns = json!([operation("assign", owner, person), operation("revoke", owner, person)]);
                        client.post(&format!("{PATH}/bulk-assign"), bulk(turns)).await
                    }
                    1 => {
                        let turns = json!([operation("assign", role, person), operation("revoke", role, person)]);
                        client.post(&format!("{PATH}/bulk-assign"), bulk(turns)).await
                    }
                    2 => {
                        let permissions = [json!(["policy.read"]), json!(["policy.write"])][round % 2].clone();
                        client.put(&format!("{PATH}/{role}"), json!({"permissions": permissions})).await
                    }
                    _ => {
                        let body = json!({"user_id": user, "workspace_id": workspace});
                        client.post(&format!("{PATH}/{owner}/assignments"), body).await
                    }
                };
                assert!(answer.status.as_u16() < 500, "{answer:?}");
                let body = answer.body.to_string();
                // Nor did any operation of several give way to another in the database.
                assert!(
                    !["INTERNAL_ERROR", "SERVICE_UNAVAILABLE"].iter().any(|code| body.contains(code)),
                    "{answer:?}"
                );
            }
        })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await.unwrap();
    }
    assignment_of(server, &acme.owner, owner).await;
}

async fn two_roles_are_not_both_replaced_by_the_other(server: &Server) {
    let acme = server.organization("Acme").await;
    for round in 0..10 {
        let one = custom(&acme, &format!("One {round}"), &[]).await;
        let two = custom(&acme, &format!("Two {round}"), &[]).await;
        for role in [one, two] {
            give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
        }
        let (first, second) = (format!("{PATH}/{one}?reassign_to={two}"), format!("{PATH}/{two}?reassign_to={one}"));
        let (first, second) = tokio::join!(acme.owner.client.delete(&first), acme.admin.client.delete(&second));
        let (done, refused) = if first.status.is_success() { (first, second) } else { (second, first) };
        done.ok();
        refused.error(404, "ROLE_NOT_FOUND");
        let held = format!("SELECT count(*) FROM role_assignments WHERE role_id IN ({one}, {two})");
        assert_eq!(server.count(&held).await, 1);
    }
}
