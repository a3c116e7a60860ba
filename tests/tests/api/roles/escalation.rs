//! Attempts to rise: each by the name of what somebody tries.

use chrono::Duration;
use rivergen_tests::{Organization, PASSWORD, Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, assignment_of, custom, give, may, workspace};

on_both_databases! {
    assigning_oneself_more_than_one_holds;
    putting_more_into_a_role_than_one_holds;
    taking_out_of_a_role_what_one_does_not_hold;
    cloning_owner_as_an_admin;
    carrying_what_one_holds_in_a_workspace_out_of_it;
    shaping_the_roles_of_all_from_one_workspace;
    acting_on_after_the_role_is_gone;
    acting_on_after_the_loan_is_over;
    reaching_farther_with_a_token_than_its_scopes;
    revoking_the_last_owner;
    leaving_an_owner_on_loan_behind;
    fifty_revocations_of_two_owners_leave_one;
    deleting_an_organizations_role_from_another;
}

/// Somebody who deals with roles and with nothing else.
async fn delegate(acme: &Organization) -> i64 {
    let role =
        custom(acme, "Delegate", &["role.read", "role.create", "role.update", "role.delete", "role.assign"]).await;
    give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    role
}

async fn assigning_oneself_more_than_one_holds(server: &Server) {
    let acme = server.organization("Acme").await;
    delegate(&acme).await;
    let oneself = json!({"user_id": acme.viewer.id});
    for role in ["Owner", "Admin", "Developer"] {
        let path = format!("{PATH}/{}/assignments", acme.roles[role]);
        acme.viewer.client.post(&path, oneself.clone()).await.error(403, "FORBIDDEN");
        // Nor in a workspace, nor somebody else, who would pay it back.
        let there = json!({"user_id": acme.viewer.id, "workspace_id": acme.workspace_id});
        acme.viewer.client.post(&path, there).await.error(403, "FORBIDDEN");
        let other = json!({"user_id": acme.admin.id, "workspace_id": acme.workspace_id});
        acme.viewer.client.post(&path, other).await.error(403, "FORBIDDEN");
        let operation = json!({"action": "assign", "role_id": acme.roles[role], "user_id": acme.viewer.id});
        let body = json!({"organization_id": acme.id, "operations": [operation]});
        let data = acme.viewer.client.post(&format!("{PATH}/bulk-assign"), body).await.ok();
        assert_eq!(data["results"][0]["code"], "FORBIDDEN");
    }
    assert!(!may(&acme.viewer, "datasource.write").await);
}

async fn putting_more_into_a_role_than_one_holds(server: &Server) {
    let acme = server.organization("Acme").await;
    let own = delegate(&acme).await;
    let more = json!({"name": "More", "permissions": ["role.read", "policy.write"], "organization_id": acme.id});
    acme.viewer.client.post(PATH, more).await.error(403, "FORBIDDEN");
    // Nor into the role that one holds, nor step by step.
    let raised = json!({"permissions": ["role.read", "role.create", "role.update", "role.delete", "role.assign", "policy.write"]});
    acme.viewer.client.put(&format!("{PATH}/{own}"), raised).await.error(403, "FORBIDDEN");
    let small = json!({"name": "Small", "permissions": ["role.read"], "organization_id": acme.id});
    let small = acme.viewer.client.post(PATH, small).await.created()["role"]["id"].as_i64().unwrap();
    let body = json!({"permissions": ["role.read", "member.read"]});
    acme.viewer.client.put(&format!("{PATH}/{small}"), body).await.error(403, "FORBIDDEN");
    let admin = json!({"name": "Mine", "permissions": ["organization.delete"], "organization_id": acme.id});
    acme.admin.client.post(PATH, admin).await.error(403, "FORBIDDEN");
}

async fn taking_out_of_a_role_what_one_does_not_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    delegate(&acme).await;
    let role = custom(&acme, "Steward", &["policy.write", "role.read"]).await;
    give(&acme.owner, role, json!({"user_id": acme.developer.id})).await;
    let path = format!("{PATH}/{role}");
    acme.viewer.client.put(&path, json!({"permissions": ["role.read"]})).await.error(403, "FORBIDDEN");
    acme.viewer.client.put(&path, json!({"permissions": []})).await.error(403, "FORBIDDEN");
    // What one does not touch needs not be held.
    acme.viewer.client.put(&path, json!({"permissions": ["policy.write"]})).await.ok();
    acme.viewer.client.put(&path, json!({"name": "Stewards"})).await.ok();
    let id = assignment_of(server, &acme.developer, role).await;
    acme.viewer.client.delete(&format!("{path}/assignments/{id}")).await.error(403, "FORBIDDEN");
    assert!(may(&acme.developer, "policy.write").await);
}

async fn cloning_owner_as_an_admin(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = |role: &str| format!("{PATH}/{}/clone", acme.roles[role]);
    acme.admin.client.post(&path("Owner"), json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
    acme.admin.client.post(&path("Admin"), json!({"name": "Mine"})).await.created();
    delegate(&acme).await;
    acme.viewer.client.post(&path("Developer"), json!({"name": "Yours"})).await.error(403, "FORBIDDEN");
}

/// A session of somebody's in a workspace.
async fn standing_in(server: &Server, person: &Person, workspace: i64) -> rivergen_tests::Client {
    let login = json!({"email": person.email, "password": PASSWORD, "workspace_id": workspace});
    let data = server.anonymous().post("/api/v1/auth/login", login).await.ok();
    server.anonymous().with_token(data["access_token"].as_str().unwrap())
}

async fn carrying_what_one_holds_in_a_workspace_out_of_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let own = delegate(&acme).await;
    let (lab, annex) = (workspace(&acme, "Lab").await, workspace(&acme, "Annex").await);
    give(&acme.owner, acme.roles["Developer"], json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    // The session stands where its person writes sources.
    let client = standing_in(server, &acme.viewer, lab).await;
    let writer = custom(&acme, "Writer", &["datasource.write"]).await;
    for place in [json!(null), json!(annex), json!(acme.workspace_id)] {
        let body = json!({"user_id": acme.viewer.id, "workspace_id": place});
        client.post(&format!("{PATH}/{writer}/assignments"), body).await.error(403, "FORBIDDEN");
    }
    let body = json!({"name": "Mine", "permissions": ["datasource.write"], "organization_id": acme.id});
    client.post(PATH, body.clone()).await.error(403, "FORBIDDEN");
    let path = format!("/api/v1/organizations/{}/roles", acme.id);
    client.post(&path, body).await.error(403, "FORBIDDEN");
    client.post(&format!("{PATH}/{writer}/clone"), json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
    let raised = json!({"permissions": ["role.read", "role.create", "role.update", "role.delete", "role.assign", "datasource.write"]});
    client.put(&format!("{PATH}/{own}"), raised.clone()).await.error(403, "FORBIDDEN");
    client.patch(&format!("{path}/{own}"), raised).await.error(403, "FORBIDDEN");
    client.put(&format!("{PATH}/{writer}"), json!({"permissions": []})).await.error(403, "FORBIDDEN");
    assert!(!may(&acme.viewer, "datasource.write").await);
    // In the workspace itself it is theirs to give.
    let body = json!({"user_id": acme.admin.id, "workspace_id": lab});
    client.post(&format!("{PATH}/{writer}/assignments"), body).await.created();
}

async fn shaping_the_roles_of_all_from_one_workspace(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    let role = custom(&acme, "Analyst", &[]).await;
    give(&acme.owner, acme.roles["Admin"], json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let client = standing_in(server, &acme.viewer, lab).await;
    let new = json!({"name": "Mine", "permissions": [], "organization_id": acme.id});
    client.post(PATH, new).await.error(403, "FORBIDDEN");
    client.put(&format!("{PATH}/{role}"), json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
    client.delete(&format!("{PATH}/{role}")).await.error(403, "FORBIDDEN");
    client.post(&format!("{PATH}/{role}/clone"), json!({"name": "Mine"})).await.error(403, "FORBIDDEN");
    client.post(&format!("{PATH}/{role}/impact"), json!({"permissions": []})).await.error(403, "FORBIDDEN");
}

async fn acting_on_after_the_role_is_gone(server: &Server) {
    let acme = server.organization("Acme").await;
    let admin = acme.roles["Admin"];
    let id = assignment_of(server, &acme.admin, admin).await;
    let new = |name: &str| json!({"name": name, "permissions": [], "organization_id": acme.id});
    acme.admin.client.post(PATH, new("First")).await.created();
    acme.owner.client.delete(&format!("{PATH}/{admin}/assignments/{id}")).await.ok();
    acme.admin.client.post(PATH, new("Second")).await.error(403, "FORBIDDEN");
    let back = json!({"user_id": acme.admin.id});
    acme.admin.client.post(&format!("{PATH}/{admin}/assignments"), back).await.error(403, "FORBIDDEN");
}

async fn acting_on_after_the_loan_is_over(server: &Server) {
    let acme = server.organization("Acme").await;
    let end = server.platform.clock.now() + Duration::minutes(5);
    let admin = acme.roles["Admin"];
    give(&acme.owner, admin, json!({"user_id": acme.viewer.id, "expires_at": end})).await;
    let new = |name: &str| json!({"name": name, "permissions": [], "organization_id": acme.id});
    acme.viewer.client.post(PATH, new("First")).await.created();
    server.clock().advance(Duration::minutes(5));
    acme.viewer.client.post(PATH, new("Second")).await.error(403, "FORBIDDEN");
}

async fn reaching_farther_with_a_token_than_its_scopes(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "a program", "scopes": ["role.assign", "role.update", "datasource.query"]});
    let data = acme.owner.client.post("/api/v1/auth/tokens", body).await.created();
    let program = acme.owner.client.with_token(data["token"].as_str().unwrap());
    let role = custom(&acme, "Analyst", &["datasource.query"]).await;
    let path = format!("{PATH}/{role}");
    program.put(&path, json!({"permissions": ["datasource.query", "policy.write"]})).await.error(403, "FORBIDDEN");
    program
        .post(&format!("{PATH}/{}/assignments", acme.roles["Owner"]), json!({"user_id": acme.viewer.id}))
        .await
        .error(403, "FORBIDDEN");
    program.post(&format!("{path}/assignments"), json!({"user_id": acme.viewer.id})).await.created();
    program.delete(&path).await.error(403, "FORBIDDEN");
}

async fn revoking_the_last_owner(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = acme.roles["Owner"];
    let id = assignment_of(server, &acme.owner, owner).await;
    let path = format!("{PATH}/{owner}/assignments/{id}");
    acme.owner.client.delete(&path).await.error(409, "LAST_OWNER");
    // An owner of a workspace, or one who is suspended, does not take the place.
    give(&acme.owner, owner, json!({"user_id": acme.admin.id, "workspace_id": acme.workspace_id})).await;
    acme.owner.client.delete(&path).await.error(409, "LAST_OWNER");
    give(&acme.owner, owner, json!({"user_id": acme.developer.id})).await;
    super::suspend(server, &acme.developer).await;
    acme.owner.client.delete(&path).await.error(409, "LAST_OWNER");
    assert_eq!(server.audited("role.revoke", "success").await, 0);
    give(&acme.owner, owner, json!({"user_id": acme.viewer.id})).await;
    acme.owner.client.delete(&path).await.ok();
    assert!(!may(&acme.owner, "organization.delete").await && may(&acme.viewer, "organization.delete").await);
}

async fn leaving_an_owner_on_loan_behind(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = acme.roles["Owner"];
    let end = server.platform.clock.now() + Duration::minutes(5);
    let lent = give(&acme.owner, owner, json!({"user_id": acme.viewer.id, "expires_at": end})).await;
    let id = assignment_of(server, &acme.owner, owner).await;
    acme.viewer.client.delete(&format!("{PATH}/{owner}/assignments/{id}")).await.error(409, "LAST_OWNER");
    acme.owner.client.delete(&format!("{PATH}/{owner}/assignments/{lent}")).await.ok();
}

async fn fifty_revocations_of_two_owners_leave_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = acme.roles["Owner"];
    let second = give(&acme.owner, owner, json!({"user_id": acme.admin.id})).await;
    let first = assignment_of(server, &acme.owner, owner).await;
    let tries = (0..50).map(|i| {
        let client = [&acme.owner, &acme.admin][i % 2].client.clone();
        let path = format!("{PATH}/{owner}/assignments/{}", [first, second][(i / 2) % 2]);
        tokio::spawn(async move { client.delete(&path).await })
    });
    let mut taken = 0;
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            200 => taken += 1,
            // Whoever has lost the role meanwhile may not any more; what is gone is not there; the last one stays.
            status => assert!([403, 404, 409].contains(&status), "{answer:?}"),
        }
    }
    assert_eq!(taken, 1);
    let left = format!("SELECT count(*) FROM role_assignments WHERE role_id = {owner} AND workspace_id IS NULL");
    assert_eq!((server.count(&left).await, server.audited("role.revoke", "success").await), (1, 1));
}

async fn deleting_an_organizations_role_from_another(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let role = custom(&acme, "Analyst", &[]).await;
    let through = format!("/api/v1/organizations/{}/roles/{role}", globex.id);
    globex.owner.client.get(&through).await.error(404, "ROLE_NOT_FOUND");
    globex.owner.client.patch(&through, json!({"name": "Mine"})).await.error(404, "ROLE_NOT_FOUND");
    globex.owner.client.delete(&through).await.error(404, "ROLE_NOT_FOUND");
    let operation = json!({"action": "assign", "role_id": role, "user_id": globex.viewer.id});
    let body = json!({"organization_id": globex.id, "operations": [operation]});
    let data = globex.owner.client.post(&format!("{PATH}/bulk-assign"), body).await.ok();
    assert_eq!(data["results"][0]["code"], Value::from("ROLE_NOT_FOUND"));
    acme.owner.client.get(&format!("{PATH}/{role}")).await.ok();
}
