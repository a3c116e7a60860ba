//! `/api/v1/organizations/{org_id}/workspaces/{workspace_id}/members`

use rivergen_tests::{Backend, Organization, Person, Server, on_both_databases};
use serde_json::{Value, json};

use crate::roles::{crowd, hold};

on_both_databases! {
    members_are_listed_with_their_roles;
    somebody_with_two_roles_is_listed_once;
    a_page_asks_of_nobody_beside_those_before_it;
    a_role_counts_on_the_very_next_request;
    only_members_of_the_organization_are_added_and_once;
    who_is_added_without_a_role_gets_the_default;
    who_is_suspended_is_not_added;
    added_at_once_they_are_added_once;
    another_role_takes_the_place_of_the_one_before;
    a_role_on_loan_becomes_one_for_good;
    everybody_may_leave;
    the_last_admin_stays;
    of_two_last_admins_one_stays;
    nobody_gives_or_takes_more_than_they_hold;
    who_may_not_is_refused;
    anothers_is_not_found;
}

fn path(organization: &Organization, workspace: i64) -> String {
    format!("/api/v1/organizations/{}/workspaces/{workspace}/members", organization.id)
}

fn of(organization: &Organization, workspace: i64, person: &Person) -> String {
    format!("{}/{}", path(organization, workspace), person.id)
}

fn people(data: &Value) -> Vec<(i64, &str)> {
    let rows = data["members"].as_array().unwrap().iter();
    rows.map(|row| (row["user_id"].as_i64().unwrap(), row["role"]["name"].as_str().unwrap())).collect()
}

async fn members_are_listed_with_their_roles(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    acme.let_in(lab, &acme.developer, "Viewer").await;
    let path = path(&acme, lab);
    let data = acme.admin.client.get(&path).await.ok();
    let all = [(acme.owner.id, "Admin"), (acme.viewer.id, "Developer"), (acme.developer.id, "Viewer")];
    assert_eq!((people(&data), data["total_count"].as_i64()), (all.to_vec(), Some(3)));
    let viewer = &data["members"][1];
    assert_eq!(viewer["email"], acme.viewer.email);
    assert_eq!(viewer["role"]["id"], acme.roles["Developer"]);
    assert!(viewer["display_name"].is_string() && viewer["added_at"].is_string(), "{viewer}");

    let page = acme.admin.client.get(&format!("{path}?skip=1&limit=1")).await.ok();
    assert_eq!((people(&page), page["total_count"].as_i64()), (all[1..2].to_vec(), Some(3)));
    let beyond = acme.admin.client.get(&format!("{path}?skip=7")).await.ok();
    assert_eq!((people(&beyond), beyond["total_count"].as_i64()), (vec![], Some(3)));
    acme.admin.client.get(&format!("{path}?limit=0")).await.invalid("limit");
    // Who is in the default workspace by being a member of the organization holds no role in it.
    let main = self::path(&acme, acme.workspace_id);
    assert_eq!(acme.admin.client.get(&main).await.ok()["total_count"], 0);
}

async fn somebody_with_two_roles_is_listed_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    let (user, second) = (acme.viewer.id, acme.roles["Developer"]);
    server
        .execute(&format!(
            "INSERT INTO role_assignments (organization_id, user_id, role_id, workspace_id, assigned_at) \
             VALUES ({}, {user}, {second}, {lab}, CURRENT_TIMESTAMP)",
            acme.id
        ))
        .await;
    server.forget().await;
    let data = acme.admin.client.get(&path(&acme, lab)).await.ok();
    assert_eq!((people(&data).len(), data["total_count"].as_i64()), (2, Some(2)));
    assert_eq!(people(&data)[1], (user, "Viewer"));
    // Both are gone with the member.
    acme.admin.client.delete(&of(&acme, lab, &acme.viewer)).await.ok();
    let left = format!("SELECT count(*) FROM role_assignments WHERE workspace_id = {lab} AND user_id = {user}");
    assert_eq!(server.count(&left).await, 0);
}

async fn a_page_asks_of_nobody_beside_those_before_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    crowd(server, &acme).await;
    // Every third has a second role there.
    hold(server, &acme, acme.roles["Viewer"], Some(lab), 1).await;
    hold(server, &acme, acme.roles["Developer"], Some(lab), 3).await;
    server.forget().await;
    match server.backend {
        // It reads an index alone where it knows that the rows are to be seen.
        Backend::Postgres => server.execute("VACUUM ANALYZE role_assignments").await,
        Backend::Sqlite => server.analyze().await,
    }
    let first = format!("SELECT min(id) AS first, user_id FROM role_assignments WHERE workspace_id = {lab}");
    let rows = server.rows(&format!("{first} GROUP BY user_id ORDER BY first")).await;
    let whole: Vec<i64> = rows.iter().map(|row| row["user_id"].as_i64().unwrap()).collect();
    assert_eq!(whole.len(), 1201);
    for skip in [0, 20, 500, 1190, 1200, 1300] {
        let path = format!("{}?skip={skip}&limit=20", path(&acme, lab));
        let (page, statements) = server.statements(acme.admin.client.get(&path)).await;
        let page = page.ok();
        let shown: Vec<i64> = people(&page).into_iter().map(|(user, _)| user).collect();
        let wanted: Vec<i64> = whole.iter().copied().skip(skip).take(20).collect();
        assert_eq!((shown, &page["total_count"]), (wanted, &json!(1201)), "{skip}");
        let is_page = |sql: &&String| sql.contains(" AS \"earlier\"");
        let plan = server.plan(statements.iter().find(is_page).expect("a page is asked for")).await;
        // Each of the rows that are walked along is asked by itself. Of a table with little else PostgreSQL walks along
        // all.
        let words = match server.backend {
            Backend::Sqlite => {
                ["CORRELATED", "COVERING INDEX role_assignments_people", "INDEX role_assignments_workspace"]
            }
            Backend::Postgres => ["SubPlan", "Index Only Scan using role_assignments_people", "Index"],
        };
        assert!(words.iter().all(|word| plan.contains(word)), "{skip}\n{plan}");
    }
}

async fn a_role_counts_on_the_very_next_request(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let add = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Viewer"]});
    let member = acme.admin.client.post(&path(&acme, lab), add).await.created()["member"].take();
    assert_eq!((member["user_id"].as_i64(), member["role"]["name"].as_str()), (Some(acme.viewer.id), Some("Viewer")));
    let viewer = acme.viewer.stand_in(lab).await;
    let file = || b"a\n1\n".to_vec();
    viewer.client.upload("a.csv", file()).await.error(403, "FORBIDDEN");
    viewer.client.get("/api/v1/data-sources").await.ok();

    let developer = json!({"role_id": acme.roles["Developer"]});
    acme.admin.client.patch(&of(&acme, lab, &acme.viewer), developer).await.ok();
    let source = viewer.file_source("Products", "csv", "products.csv", file()).await;
    viewer.query(source, "SELECT 1").await;
    let prompt = json!({"prompt_text": "How many products are there?", "selected_data_source_ids": [source]});
    viewer.client.post("/api/v1/prompts/execute", prompt).await.ok();

    acme.admin.client.delete(&of(&acme, lab, &acme.viewer)).await.ok();
    viewer.client.upload("a.csv", file()).await.error(403, "FORBIDDEN");
    assert_eq!((server.roles_given().await, server.audited("role.revoke", "success").await), (3, 2));
}

async fn only_members_of_the_organization_are_added_and_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let lab = acme.workspace("Lab").await;
    let path = path(&acme, lab);
    let body = |user: i64, role: i64| json!({"user_id": user, "role_id": role});
    let (client, viewer) = (&acme.owner.client, acme.roles["Viewer"]);
    client.post(&path, body(globex.viewer.id, viewer)).await.error(404, "MEMBER_NOT_FOUND");
    client.post(&path, body(987_654_321, viewer)).await.error(404, "MEMBER_NOT_FOUND");
    client.post(&path, body(acme.viewer.id, globex.roles["Viewer"])).await.error(404, "ROLE_NOT_FOUND");
    client.post(&path, body(acme.viewer.id, viewer)).await.created();
    for role in ["Viewer", "Developer"] {
        client.post(&path, body(acme.viewer.id, acme.roles[role])).await.error(409, "ALREADY_MEMBER");
    }
    client.post(&path, json!({"user_id": acme.developer.id, "role_id": "x"})).await.invalid("role_id");
    client.post(&path, json!({"role_id": viewer})).await.invalid("user_id");
    client.post(&path, json!({"user_id": "x", "role_id": viewer})).await.invalid("user_id");
}

async fn added_at_once_they_are_added_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let path = path(&acme, lab);
    for _ in 0..5 {
        let body = |role: &str| json!({"user_id": acme.viewer.id, "role_id": acme.roles[role]});
        let (first, second) = tokio::join!(
            acme.owner.client.post(&path, body("Viewer")),
            acme.admin.client.post(&path, body("Developer")),
        );
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort();
        assert_eq!(statuses, [201, 409]);
        // Two that change it at once leave one role, too.
        let member = of(&acme, lab, &acme.viewer);
        let role = |role: &str| json!({"role_id": acme.roles[role]});
        let (first, second) = tokio::join!(
            acme.owner.client.patch(&member, role("Admin")),
            acme.admin.client.patch(&member, role("Viewer")),
        );
        first.ok();
        second.ok();
        let held = format!(
            "SELECT count(*) FROM role_assignments WHERE workspace_id = {lab} AND user_id = {}",
            acme.viewer.id
        );
        assert_eq!(server.count(&held).await, 1);
        acme.owner.client.delete(&member).await.ok();
    }
}

async fn another_role_takes_the_place_of_the_one_before(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let lab = acme.workspace("Lab").await;
    let member = of(&acme, lab, &acme.viewer);
    let client = &acme.admin.client;
    let role = |role: i64| json!({"role_id": role});
    client.patch(&member, role(acme.roles["Viewer"])).await.error(404, "MEMBER_NOT_FOUND");
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    let data = client.patch(&member, role(acme.roles["Developer"])).await.ok();
    assert_eq!(data["member"]["role"], json!({"id": acme.roles["Developer"], "name": "Developer"}));
    assert_eq!(data["member"]["email"], acme.viewer.email);
    assert_eq!((server.audited("role.revoke", "success").await, server.roles_given().await), (1, 3));
    // The same again is no change.
    client.patch(&member, role(acme.roles["Developer"])).await.ok();
    assert_eq!((server.audited("role.revoke", "success").await, server.roles_given().await), (1, 3));
    let listed = client.get(&path(&acme, lab)).await.ok();
    assert_eq!(people(&listed), [(acme.owner.id, "Admin"), (acme.viewer.id, "Developer")]);

    client.patch(&member, role(globex.roles["Viewer"])).await.error(404, "ROLE_NOT_FOUND");
    client.patch(&member, json!({})).await.invalid("role_id");
    let strangers = of(&acme, lab, &globex.viewer);
    client.patch(&strangers, role(acme.roles["Viewer"])).await.error(404, "MEMBER_NOT_FOUND");
    client.delete(&strangers).await.error(404, "MEMBER_NOT_FOUND");
}

async fn a_role_on_loan_becomes_one_for_good(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Developer").await;
    let end = server.platform.clock.now() + chrono::Duration::hours(1);
    let lend = format!(
        "UPDATE role_assignments SET expires_at = '{}' WHERE workspace_id = {lab} AND user_id = {}",
        end.to_rfc3339(),
        acme.viewer.id
    );
    server.execute(&lend).await;
    server.forget().await;
    let role = json!({"role_id": acme.roles["Developer"]});
    acme.admin.client.patch(&of(&acme, lab, &acme.viewer), role.clone()).await.ok();
    server.clock().advance(chrono::Duration::hours(2));
    let admin = server.sign_in(&acme.admin.email).await;
    assert_eq!(admin.client.get(&path(&acme, lab)).await.ok()["total_count"], 2);

    // One that has run out makes room, and whoever held it is no member any more.
    server.execute(&lend).await;
    server.forget().await;
    assert_eq!(admin.client.get(&path(&acme, lab)).await.ok()["total_count"], 1);
    admin.client.patch(&of(&acme, lab, &acme.viewer), role).await.error(404, "MEMBER_NOT_FOUND");
    let add = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Viewer"]});
    admin.client.post(&path(&acme, lab), add).await.created();
    let held =
        format!("SELECT count(*) FROM role_assignments WHERE workspace_id = {lab} AND user_id = {}", acme.viewer.id);
    assert_eq!(server.count(&held).await, 1);
}

async fn everybody_may_leave(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    acme.let_in(lab, &acme.developer, "Viewer").await;
    acme.viewer.client.delete(&of(&acme, lab, &acme.developer)).await.error(403, "FORBIDDEN");
    // Not by a token that may not.
    let token = json!({"name": "reader", "scopes": ["read"]});
    let token = acme.viewer.client.post("/api/v1/auth/tokens", token).await.created();
    let program = server.anonymous().with_token(token["token"].as_str().unwrap());
    program.delete(&of(&acme, lab, &acme.viewer)).await.error(403, "FORBIDDEN");

    let data = acme.viewer.client.delete(&of(&acme, lab, &acme.viewer)).await.ok();
    assert_eq!(data["removed"], true);
    acme.viewer.client.delete(&of(&acme, lab, &acme.viewer)).await.error(404, "MEMBER_NOT_FOUND");
    acme.viewer.client.get(&format!("/api/v1/workspaces/{lab}")).await.error(403, "FORBIDDEN");
    // They are still of the organization.
    acme.viewer.client.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
}

async fn the_last_admin_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let owner = of(&acme, lab, &acme.owner);
    let viewer = json!({"role_id": acme.roles["Viewer"]});
    acme.admin.client.delete(&owner).await.error(409, "LAST_ADMIN");
    acme.owner.client.delete(&owner).await.error(409, "LAST_ADMIN");
    acme.admin.client.patch(&owner, viewer.clone()).await.error(409, "LAST_ADMIN");
    // A Developer is no Admin, and one who is suspended is none now.
    acme.let_in(lab, &acme.developer, "Developer").await;
    acme.admin.client.delete(&owner).await.error(409, "LAST_ADMIN");
    acme.let_in(lab, &acme.viewer, "Admin").await;
    let suspend = format!("UPDATE memberships SET status = 'suspended' WHERE user_id = {}", acme.viewer.id);
    server.execute(&suspend).await;
    server.forget().await;
    acme.admin.client.delete(&owner).await.error(409, "LAST_ADMIN");
    // Nothing of what was refused is left.
    assert_eq!(server.audited("role.revoke", "success").await, 0);

    // An Owner runs it as well as an Admin.
    let role = json!({"role_id": acme.roles["Owner"]});
    acme.owner.client.patch(&of(&acme, lab, &acme.developer), role).await.ok();
    acme.admin.client.patch(&owner, viewer).await.ok();
    // A workspace that had none may go on without.
    let main = acme.workspace_id;
    acme.let_in(main, &acme.developer, "Developer").await;
    acme.admin.client.delete(&of(&acme, main, &acme.developer)).await.ok();
}

async fn of_two_last_admins_one_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let (owner, admin) = (of(&acme, lab, &acme.owner), of(&acme, lab, &acme.admin));
    for _ in 0..8 {
        let add = |person: &Person| json!({"user_id": person.id, "role_id": acme.roles["Admin"]});
        for person in [&acme.owner, &acme.admin] {
            let answer = acme.owner.client.post(&path(&acme, lab), add(person)).await;
            assert!([201, 409].contains(&answer.status.as_u16()), "{answer:?}");
        }
        let demoted = json!({"role_id": acme.roles["Developer"]});
        let (first, second) = tokio::join!(acme.owner.client.delete(&admin), acme.admin.client.delete(&owner));
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort();
        assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
        let left = acme.owner.client.get(&path(&acme, lab)).await.ok();
        assert_eq!(people(&left).len(), 1, "{left}");

        let missing = if people(&left)[0].0 == acme.owner.id { &acme.admin } else { &acme.owner };
        acme.owner.client.post(&path(&acme, lab), add(missing)).await.created();
        let (first, second) =
            tokio::join!(acme.owner.client.patch(&admin, demoted.clone()), acme.admin.client.delete(&owner));
        let mut statuses = [first.status.as_u16(), second.status.as_u16()];
        statuses.sort();
        assert_eq!(statuses, [200, 409], "{first:?} {second:?}");
        let back = json!({"role_id": acme.roles["Admin"]});
        acme.owner.client.patch(&admin, back).await.ok();
    }
}

async fn nobody_gives_or_takes_more_than_they_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let owner = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Owner"]});
    acme.admin.client.post(&path(&acme, lab), owner.clone()).await.error(403, "FORBIDDEN");
    acme.let_in(lab, &acme.admin, "Viewer").await;
    let own = json!({"role_id": acme.roles["Owner"]});
    acme.admin.client.patch(&of(&acme, lab, &acme.admin), own).await.error(403, "FORBIDDEN");
    acme.owner.client.post(&path(&acme, lab), owner).await.created();
    let viewer = json!({"role_id": acme.roles["Viewer"]});
    acme.admin.client.patch(&of(&acme, lab, &acme.viewer), viewer).await.error(403, "FORBIDDEN");
    acme.admin.client.delete(&of(&acme, lab, &acme.viewer)).await.error(403, "FORBIDDEN");
    acme.owner.client.delete(&of(&acme, lab, &acme.viewer)).await.ok();
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    acme.let_in(lab, &acme.viewer, "Viewer").await;
    let add = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Viewer"]});
    let role = json!({"role_id": acme.roles["Viewer"]});
    acme.viewer.client.get(&path(&acme, lab)).await.error(403, "FORBIDDEN");
    acme.developer.client.get(&path(&acme, lab)).await.ok();
    for person in [&acme.developer, &acme.viewer] {
        person.client.post(&path(&acme, lab), add.clone()).await.error(403, "FORBIDDEN");
        person.client.patch(&of(&acme, lab, &acme.owner), role.clone()).await.error(403, "FORBIDDEN");
        person.client.delete(&of(&acme, lab, &acme.owner)).await.error(403, "FORBIDDEN");
    }
    let anonymous = server.anonymous();
    anonymous.get(&path(&acme, lab)).await.error(401, "UNAUTHORIZED");
    anonymous.post(&path(&acme, lab), add).await.error(401, "UNAUTHORIZED");
    anonymous.patch(&of(&acme, lab, &acme.owner), role).await.error(401, "UNAUTHORIZED");
    anonymous.delete(&of(&acme, lab, &acme.owner)).await.error(401, "UNAUTHORIZED");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let client = &acme.owner.client;
    let add = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Viewer"]});
    let role = json!({"role_id": acme.roles["Viewer"]});
    for (organization, workspace, code) in [
        (&globex, globex.workspace_id, "ORG_NOT_FOUND"),
        (&globex, acme.workspace_id, "ORG_NOT_FOUND"),
        (&acme, globex.workspace_id, "WORKSPACE_NOT_FOUND"),
    ] {
        client.get(&path(organization, workspace)).await.error(404, code);
        client.post(&path(organization, workspace), add.clone()).await.error(404, code);
        client.patch(&of(organization, workspace, &globex.viewer), role.clone()).await.error(404, code);
        client.delete(&of(organization, workspace, &globex.viewer)).await.error(404, code);
    }
}

async fn who_is_added_without_a_role_gets_the_default(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let add = async |person: &Person| {
        let data = acme.admin.client.post(&path(&acme, lab), json!({"user_id": person.id})).await.created();
        let role = data["member"]["role"]["name"].as_str().unwrap().to_owned();
        acme.admin.client.delete(&of(&acme, lab, person)).await.ok();
        role
    };
    assert_eq!(add(&acme.viewer).await, "Viewer");
    let default = |role: &str| json!({"settings": {"default_role_id": acme.roles[role]}});
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    acme.owner.client.patch(&settings, default("Developer")).await.ok();
    assert_eq!(add(&acme.viewer).await, "Developer");
    // The workspace's own goes before the organization's.
    let settings = format!("/api/v1/workspaces/{lab}/settings");
    acme.owner.client.put(&settings, default("Admin")).await.ok();
    assert_eq!(add(&acme.viewer).await, "Admin");
    // Nor does anybody give more by it than they hold.
    acme.owner.client.put(&settings, default("Owner")).await.ok();
    let body = json!({"user_id": acme.viewer.id});
    acme.admin.client.post(&path(&acme, lab), body).await.error(403, "FORBIDDEN");
}

async fn who_is_suspended_is_not_added(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = acme.workspace("Lab").await;
    let status = |status: &str| json!({"status": status});
    let member = format!("/api/v1/organizations/{}/members/{}", acme.id, acme.viewer.id);
    acme.admin.client.patch(&member, status("suspended")).await.ok();
    let add = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Viewer"]});
    acme.admin.client.post(&path(&acme, lab), add.clone()).await.error(409, "CONFLICT");
    let entry = json!({"name": "North", "members": [add.clone()]});
    let provision = json!({"organization_id": acme.id, "workspaces": [entry]});
    let data = acme.admin.client.post("/api/v1/workspaces/provision", provision).await.ok();
    assert_eq!(data["results"][0]["error_code"], "CONFLICT");
    acme.admin.client.patch(&member, status("active")).await.ok();
    acme.admin.client.post(&path(&acme, lab), add).await.created();
}
