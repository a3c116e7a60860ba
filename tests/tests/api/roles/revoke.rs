//! `DELETE /api/v1/roles/{role_id}/assignments/{assignment_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{PATH, assignment_of, custom, details_of, give, may, workspace};

on_both_databases! {
    it_is_gone_at_the_next_request;
    in_a_workspace_its_administrator_takes_it;
    one_in_a_workspace_that_is_deleted_can_be_taken;
    what_one_does_not_hold_one_does_not_take;
    only_an_assignment_of_that_role_is_found;
    wrong_roles_and_strangers_take_nothing;
    of_many_that_take_the_same_one_does;
    the_last_own_admin_of_a_workspace_is_kept;
    of_the_two_last_admins_of_a_workspace_one_stays;
}

async fn it_is_gone_at_the_next_request(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["role.read"]).await;
    let id = give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    acme.viewer.client.get(&format!("{PATH}/templates")).await.ok();
    let path = format!("{PATH}/{role}/assignments/{id}");
    let data = acme.admin.client.delete(&path).await.ok();
    assert!(data["message"].is_string());
    acme.viewer.client.get(&format!("{PATH}/templates")).await.error(403, "FORBIDDEN");
    assert!(!may(&acme.viewer, "role.read").await);
    acme.admin.client.delete(&path).await.error(404, "ASSIGNMENT_NOT_FOUND");
    assert_eq!(server.audited("role.revoke", "success").await, 1);
    assert_eq!(details_of(server, "role.revoke").await["user_id"], acme.viewer.id);
    // One's own, too.
    let developer = assignment_of(server, &acme.developer, acme.roles["Developer"]).await;
    acme.admin.client.delete(&format!("{PATH}/{}/assignments/{developer}", acme.roles["Developer"])).await.ok();
    assert!(!may(&acme.developer, "datasource.write").await);
}

async fn in_a_workspace_its_administrator_takes_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    give(&acme.owner, acme.roles["Admin"], json!({"user_id": acme.developer.id, "workspace_id": lab})).await;
    let role = acme.roles["Viewer"];
    let there = give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    let here = assignment_of(server, &acme.viewer, role).await;
    acme.developer.client.delete(&format!("{PATH}/{role}/assignments/{here}")).await.error(403, "FORBIDDEN");
    acme.developer.client.delete(&format!("{PATH}/{role}/assignments/{there}")).await.ok();
}

async fn one_in_a_workspace_that_is_deleted_can_be_taken(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    let role = custom(&acme, "Analyst", &[]).await;
    let id = give(&acme.owner, role, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
    server.execute(&format!("UPDATE workspaces SET deleted_at = created_at WHERE id = {lab}")).await;
    server.forget().await;
    acme.developer.client.delete(&format!("{PATH}/{role}/assignments/{id}")).await.error(403, "FORBIDDEN");
    acme.admin.client.delete(&format!("{PATH}/{role}/assignments/{id}")).await.ok();
}

async fn what_one_does_not_hold_one_does_not_take(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = acme.roles["Owner"];
    let id = assignment_of(server, &acme.owner, role).await;
    acme.admin.client.delete(&format!("{PATH}/{role}/assignments/{id}")).await.error(403, "FORBIDDEN");
    let strong = custom(&acme, "Strong", &["organization.delete"]).await;
    let id = give(&acme.owner, strong, json!({"user_id": acme.viewer.id})).await;
    acme.admin.client.delete(&format!("{PATH}/{strong}/assignments/{id}")).await.error(403, "FORBIDDEN");
    assert!(may(&acme.viewer, "organization.delete").await);
}

async fn only_an_assignment_of_that_role_is_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let of_developer = assignment_of(server, &acme.developer, acme.roles["Developer"]).await;
    let foreign = assignment_of(server, &globex.viewer, globex.roles["Viewer"]).await;
    for id in [of_developer, foreign, 987_654_321] {
        let path = format!("{PATH}/{}/assignments/{id}", acme.roles["Viewer"]);
        acme.owner.client.delete(&path).await.error(404, "ASSIGNMENT_NOT_FOUND");
    }
    let path = format!("{PATH}/{}/assignments/{foreign}", globex.roles["Viewer"]);
    acme.owner.client.delete(&path).await.error(404, "ROLE_NOT_FOUND");
    assert!(may(&acme.developer, "datasource.write").await && may(&globex.viewer, "datasource.query").await);
}

async fn wrong_roles_and_strangers_take_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let role = acme.roles["Viewer"];
    let path = format!("{PATH}/{role}/assignments/{}", assignment_of(server, &acme.viewer, role).await);
    for person in [&acme.developer, &acme.viewer] {
        person.client.delete(&path).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.delete(&path).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().delete(&path).await.error(401, "UNAUTHORIZED");
}

async fn of_many_that_take_the_same_one_does(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &[]).await;
    let id = give(&acme.owner, role, json!({"user_id": acme.viewer.id})).await;
    let path = format!("{PATH}/{role}/assignments/{id}");
    let tries = (0..8).map(|_| {
        let (client, path) = (acme.owner.client.clone(), path.clone());
        tokio::spawn(async move { client.delete(&path).await })
    });
    let mut taken = 0;
    for answer in tries.collect::<Vec<_>>() {
        let answer = answer.await.unwrap();
        match answer.status.as_u16() {
            200 => taken += 1,
            _ => drop(answer.error(404, "ASSIGNMENT_NOT_FOUND")),
        }
    }
    assert_eq!((taken, server.audited("role.revoke", "success").await), (1, 1));
}

async fn the_last_own_admin_of_a_workspace_is_kept(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    let admin = acme.roles["Admin"];
    let path = |assignment: i64| format!("{PATH}/{admin}/assignments/{assignment}");
    // Whoever made the workspace is its Admin.
    let of_owner = assignment_of(server, &acme.owner, admin).await;
    acme.owner.client.delete(&path(of_owner)).await.error(409, "LAST_ADMIN");
    let revoke = json!({"action": "revoke", "role_id": admin, "user_id": acme.owner.id, "workspace_id": lab});
    let bulk = json!({"organization_id": acme.id, "operations": [revoke]});
    let answer = acme.owner.client.post(&format!("{PATH}/bulk-assign"), bulk.clone()).await.ok();
    assert_eq!(answer["results"][0]["code"], "LAST_ADMIN");
    // One on loan is none.
    let end = (server.platform.clock.now() + chrono::Duration::days(1)).to_rfc3339();
    let loan = json!({"user_id": acme.viewer.id, "workspace_id": lab, "expires_at": end});
    let on_loan = give(&acme.owner, admin, loan).await;
    acme.owner.client.delete(&path(of_owner)).await.error(409, "LAST_ADMIN");
    acme.owner.client.delete(&path(on_loan)).await.ok();
    let of_developer = give(&acme.owner, admin, json!({"user_id": acme.developer.id, "workspace_id": lab})).await;
    let answer = acme.owner.client.post(&format!("{PATH}/bulk-assign"), bulk).await.ok();
    assert_eq!(answer["succeeded"], 1, "{answer}");
    acme.owner.client.delete(&path(of_developer)).await.error(409, "LAST_ADMIN");
    // That of another scope is no Admin of the workspace.
    let everywhere = format!("SELECT id FROM role_assignments WHERE role_id = {admin} AND workspace_id IS NULL");
    acme.owner.client.delete(&path(server.count(&everywhere).await)).await.ok();
    // Who has to go goes all the same; the organization's own run the workspace.
    acme.owner.client.delete(&format!("/api/v1/organizations/{}/members/{}", acme.id, acme.developer.id)).await.ok();
    let left = format!("SELECT count(*) FROM role_assignments WHERE workspace_id = {lab}");
    assert_eq!(server.count(&left).await, 0);
    give(&acme.owner, admin, json!({"user_id": acme.viewer.id, "workspace_id": lab})).await;
}

async fn of_the_two_last_admins_of_a_workspace_one_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let admin = acme.roles["Admin"];
    for name in ["Lab", "Field", "Archive", "Shop"] {
        let workspace = workspace(&acme, name).await;
        let of_owner = format!("SELECT id FROM role_assignments WHERE workspace_id = {workspace}");
        let of_owner = server.count(&of_owner).await;
        let place = json!({"user_id": acme.developer.id, "workspace_id": workspace});
        let of_developer = give(&acme.owner, admin, place).await;
        let take =
            async |assignment: i64| acme.owner.client.delete(&format!("{PATH}/{admin}/assignments/{assignment}")).await;
        let (first, second) = tokio::join!(take(of_owner), take(of_developer));
        let (won, lost) = if first.status.is_success() { (first, second) } else { (second, first) };
        won.ok();
        lost.error(409, "LAST_ADMIN");
    }
}
