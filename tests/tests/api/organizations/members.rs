//! `GET /api/v1/organizations/{org_id}/members`, `GET`, `PATCH` and `DELETE …/members/{user_id}`, `POST …/leave`

use chrono::Duration;
use futures::future::join_all;
use rivergen_tenancy::provision;
use rivergen_tests::{Answer, Client, Organization, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    members_are_listed_by_name_with_roles_and_workspaces;
    a_page_far_behind_of_a_role_that_many_hold_is_the_same_from_anywhere;
    any_page_is_a_piece_of_the_whole_whichever_came_before;
    a_page_of_many_who_fit_is_the_same_from_anywhere;
    members_are_found;
    how_members_are_protected_is_shown_to_administrators_alone;
    everybody_reads_themselves_and_who_may_reads_others;
    another_role_takes_the_place_of_the_former_at_once;
    nobody_gives_or_touches_more_than_they_hold;
    a_suspended_member_is_out_of_this_organization_alone;
    nobody_suspends_or_removes_themselves;
    a_removed_member_is_out_and_the_account_stays;
    what_a_removed_member_made_passes_to_another;
    a_member_leaves;
    the_last_owner_stays;
    a_closed_account_owns_nothing;
    owners_who_remove_each_other_leave_one;
    owners_who_demote_each_other_leave_one;
    owners_who_leave_at_once_leave_one;
    changes_of_all_kinds_at_once_do_not_block_each_other;
    anothers_is_not_found;
    a_token_does_what_its_scopes_allow;
    what_is_not_valid_is_named;
    a_workspace_whose_admin_goes_is_run_by_the_owner;
    sessions_say_why_they_ended;
}

fn members(organization: &Organization) -> String {
    format!("/api/v1/organizations/{}/members", organization.id)
}

fn path(organization: &Organization, person: &Person) -> String {
    format!("{}/{}", members(organization), person.id)
}

fn leave(organization: &Organization) -> String {
    format!("/api/v1/organizations/{}/leave", organization.id)
}

fn emails(data: &Value) -> Vec<&str> {
    data["members"].as_array().unwrap().iter().map(|row| row["email"].as_str().unwrap()).collect()
}

/// Makes somebody who has an account a Viewer of an organization too.
async fn add(server: &Server, organization: &str, email: &str) {
    let owner = format!("owner@{}.example", organization.to_lowercase());
    let file = json!({"name": organization,
        "people": [{"email": owner, "role": "Owner"}, {"email": email, "role": "Viewer"}]});
    provision::run(&server.tenancy, serde_json::from_value(file).unwrap()).await.unwrap();
}

/// A further session of somebody, in another organization of theirs.
async fn session_in(server: &Server, person: &Person, organization: &Organization) -> Client {
    let switch = json!({"workspace_id": organization.workspace_id});
    let session = server.sign_in(&person.email).await.client;
    let switched = session.post("/api/v1/auth/switch-workspace", switch).await.ok();
    session.with_token(switched["access_token"].as_str().unwrap())
}

/// An owner beside the first.
async fn second_owner(server: &Server, acme: &Organization) -> Person {
    let body = json!({"role_id": acme.roles["Owner"]});
    acme.owner.client.patch(&path(acme, &acme.admin), body).await.ok();
    server.sign_in(&acme.admin.email).await
}

async fn owners(server: &Server, acme: &Organization) -> i64 {
    let role = acme.roles["Owner"];
    server
        .count(&format!(
            "SELECT count(*) FROM role_assignments a JOIN memberships m ON m.user_id = a.user_id \
             AND m.organization_id = a.organization_id WHERE a.role_id = {role} AND m.status = 'active'"
        ))
        .await
}

async fn members_are_listed_by_name_with_roles_and_workspaces(server: &Server) {
    let acme = server.organization("Acme").await;
    server.organization("Globex").await;
    let lab = format!("/api/v1/organizations/{}/workspaces", acme.id);
    let lab = acme.admin.client.post(&lab, json!({"name": "Lab"})).await.created()["workspace"]["id"].clone();
    let data = acme.admin.client.get(&members(&acme)).await.ok();
    assert_eq!(
        (emails(&data), data["total_count"].as_i64()),
        (vec!["admin@acme.example", "developer@acme.example", "owner@acme.example", "viewer@acme.example"], Some(4))
    );
    let admin = &data["members"][0];
    assert_eq!(admin["user_id"], acme.admin.id);
    assert_eq!((admin["status"].as_str(), admin["display_name"].as_str()), (Some("active"), Some("admin")));
    assert_eq!(admin["role"], json!({"id": acme.roles["Admin"], "name": "Admin"}));
    let in_lab = json!([{"workspace_id": lab, "workspace_name": "Lab",
        "role": {"id": acme.roles["Admin"], "name": "Admin"}}]);
    assert_eq!(admin["workspaces"], in_lab);
    assert_eq!((&admin["managed_by_scim"], &data["members"][3]["workspaces"]), (&json!(false), &json!([])));
    assert!(admin["joined_at"].as_str().unwrap().ends_with('Z'));
    for person in [&acme.owner, &acme.developer] {
        assert_eq!(person.client.get(&members(&acme)).await.ok()["total_count"], 4);
    }
    acme.viewer.client.get(&members(&acme)).await.error(403, "FORBIDDEN");
    server.anonymous().get(&members(&acme)).await.error(401, "UNAUTHORIZED");
}

/// Whom the list names, page by page in this order of the pages.
async fn paged(acme: &Organization, all: usize, limit: usize, pages: &[usize]) -> Vec<i64> {
    let mut found = vec![0; all];
    for number in pages {
        let skip = number * limit;
        let data = acme.admin.client.get(&format!("{}?skip={skip}&limit={limit}", members(acme))).await.ok();
        assert_eq!(data["total_count"], all, "{skip}, {limit}");
        let rows = data["members"].as_array().unwrap();
        assert_eq!(rows.len(), limit.min(all.saturating_sub(skip)), "{skip}, {limit}");
        for (at, row) in rows.iter().enumerate() {
            found[skip + at] = row["user_id"].as_i64().unwrap();
        }
    }
    found
}

/// So many more members, some of whom share a name.
async fn crowd(server: &Server, acme: &Organization, number: usize) {
    let columns = "profile, user_metadata, is_system_admin, created_at, updated_at";
    for sql in [
        format!(
            "INSERT INTO users (display_name, {columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
             WHERE i < {number}) SELECT 'Crowd ' || (i % 5), {columns} FROM n CROSS JOIN users WHERE users.id = {}",
            acme.viewer.id
        ),
        format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email) \
             SELECT {}, id, 'active', 'created', '{{}}', created_at, lower(display_name), 'c' || id || '@crowd.example' \
             FROM users WHERE display_name LIKE 'Crowd %'",
            acme.id
        ),
        "INSERT INTO user_emails (user_id, email, is_primary, verified_at, created_at) \
         SELECT id, 'c' || id || '@crowd.example', TRUE, created_at, created_at FROM users \
         WHERE display_name LIKE 'Crowd %'"
            .to_owned(),
    ] {
        server.execute(&sql).await;
    }
    server.forget().await;
}

async fn a_page_of_many_who_fit_is_the_same_from_anywhere(server: &Server) {
    let acme = server.organization("Acme").await;
    crowd(server, &acme, 1_100).await;
    acme.owner.client.patch(&path(&acme, &acme.viewer), json!({"status": "suspended"})).await.ok();
    let sql = format!(
        "SELECT user_id FROM memberships WHERE organization_id = {} AND status = 'active' ORDER BY name_key, user_id",
        acme.id
    );
    let all: Vec<i64> = server.rows(&sql).await.iter().map(|row| row["user_id"].as_i64().unwrap()).collect();
    assert_eq!(all.len(), 1_103);
    for skip in [0, 1_080, 540, 600, 500, 560, 20, 1_090, 1_103] {
        let query = format!("status=active&limit=20&skip={skip}");
        let data = acme.admin.client.get(&format!("{}?{query}", members(&acme))).await.ok();
        let found: Vec<i64> =
            data["members"].as_array().unwrap().iter().map(|row| row["user_id"].as_i64().unwrap()).collect();
        assert_eq!((found.as_slice(), &data["total_count"]), (&all[skip..all.len().min(skip + 20)], &json!(1_103)));
    }
}

async fn a_page_far_behind_of_a_role_that_many_hold_is_the_same_from_anywhere(server: &Server) {
    let acme = server.organization("Acme").await;
    crowd(server, &acme, 5_000).await;
    let role = &acme.roles["Developer"];
    let given = format!(
        "INSERT INTO role_assignments (organization_id, user_id, role_id, assigned_at) \
         SELECT {}, id, {role}, created_at FROM users WHERE display_name LIKE 'Crowd %' AND id % 50 > 0",
        acme.id
    );
    server.execute(&given).await;
    server.forget().await;
    let sql = format!(
        "SELECT user_id FROM memberships WHERE organization_id = {} AND user_id IN \
         (SELECT user_id FROM role_assignments WHERE role_id = {role}) ORDER BY name_key, user_id",
        acme.id
    );
    let all: Vec<i64> = server.rows(&sql).await.iter().map(|row| row["user_id"].as_i64().unwrap()).collect();
    assert!((4_900..5_000).contains(&all.len()));
    // First such as are far from both ends and from one another: the list is surveyed for them.
    for skip in [0, 2_450, 2_999, 1_990, 3_500, 1_000, 999, 1_001, 2_440, all.len() - 10, all.len()] {
        let query = format!("role_id={role}&limit=20&skip={skip}");
        let data = acme.admin.client.get(&format!("{}?{query}", members(&acme))).await.ok();
        let found: Vec<i64> =
            data["members"].as_array().unwrap().iter().map(|row| row["user_id"].as_i64().unwrap()).collect();
        assert_eq!(found, all[skip..all.len().min(skip + 20)], "{skip}");
        assert_eq!(data["total_count"], all.len());
    }
}

async fn any_page_is_a_piece_of_the_whole_whichever_came_before(server: &Server) {
    let acme = server.organization("Acme").await;
    crowd(server, &acme, 23).await;
    let check = async |all: usize| {
        let whole = paged(&acme, all, 100, &[0]).await;
        for limit in [4, 7, 26] {
            let number = all.div_ceil(limit);
            let forward: Vec<usize> = (0..number).collect();
            let backward: Vec<usize> = (0..number).rev().collect();
            // From the middle to both sides.
            let mut outward = forward.clone();
            outward.sort_by_key(|page| page.abs_diff(number / 2));
            for pages in [forward, backward, outward] {
                assert_eq!(paged(&acme, all, limit, &pages).await, whole, "{limit}, {pages:?}");
            }
        }
        assert!(paged(&acme, all, 10, &[9]).await.iter().all(|user| *user == 0));
        whole
    };
    let before = check(27).await;
    // Somebody goes from the middle to the beginning, and somebody goes.
    let middle = before[13];
    let rename = json!({"display_name": "Aaron"});
    acme.owner.client.put(&format!("/api/v1/users/{middle}"), rename).await.ok();
    assert_eq!(check(27).await[0], middle);
    acme.owner.client.delete(&format!("{}/{}", members(&acme), before[5])).await.ok();
    let after = check(26).await;
    assert!(!after.contains(&before[5]) && after.contains(&before[26]));
}

async fn members_are_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let rename = json!({"display_name": "Ada Lovelace"});
    acme.viewer.client.put("/api/v1/auth/me/profile", rename).await.ok();
    acme.admin.client.patch(&path(&acme, &acme.developer), json!({"status": "suspended"})).await.ok();
    let found = async |query: &str| -> Vec<String> {
        let data = acme.admin.client.get(&format!("{}?{query}", members(&acme))).await.ok();
        let found: Vec<String> = emails(&data).into_iter().map(str::to_owned).collect();
        assert!(data["total_count"].as_u64().unwrap() >= found.len() as u64);
        found
    };
    for query in ["search=lovelace", "search=ada+LOV", "search=viewer%40acme.ex", "search=viewer"] {
        assert_eq!(found(query).await, ["viewer@acme.example"], "{query}");
    }
    assert_eq!(found("search=acme").await.len(), 4);
    assert_eq!(found("search=+").await.len(), 4);
    for query in ["search=globex", "search=%21%3F", "search=ada+nobody"] {
        assert!(found(query).await.is_empty(), "{query}");
    }
    assert_eq!(found(&format!("role_id={}", acme.roles["Owner"])).await, ["owner@acme.example"]);
    assert!(found(&format!("role_id={}", globex.roles["Owner"])).await.is_empty());
    assert_eq!(found("status=suspended").await, ["developer@acme.example"]);
    assert_eq!(found("status=active&search=acme").await.len(), 3);
    let page = acme.admin.client.get(&format!("{}?skip=1&limit=2", members(&acme))).await.ok();
    // Ada comes first now.
    assert_eq!(
        (emails(&page), page["total_count"].as_i64()),
        (vec!["admin@acme.example", "developer@acme.example"], Some(4))
    );
    acme.admin.client.get(&format!("{}?limit=101", members(&acme))).await.invalid("limit");
    acme.admin.client.get(&format!("{}?status=gone", members(&acme))).await.invalid("status");
}

async fn how_members_are_protected_is_shown_to_administrators_alone(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = acme.viewer.authenticator_app(server).await;
    let of = |data: &Value, email: &str| {
        let rows = data["members"].as_array().unwrap();
        rows.iter().find(|row| row["email"] == email).unwrap().clone()
    };
    server.clock().advance(Duration::minutes(50));
    let before = server.sign_in(&acme.admin.email).await;
    let again = server.sign_in_with(&acme.viewer.email, &app).await;
    let data = before.client.get(&members(&acme)).await.ok();
    let (viewer, developer) = (of(&data, &acme.viewer.email), of(&data, &acme.developer.email));
    assert_eq!((&viewer["mfa_enabled"], &developer["mfa_enabled"]), (&json!(true), &json!(false)));
    let time = |row: &Value| row["last_login_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert!(time(&viewer) - time(&developer) >= Duration::minutes(50));
    let data = acme.developer.client.get(&members(&acme)).await.ok();
    for person in [&acme.viewer, &acme.developer] {
        let row = of(&data, &person.email);
        assert_eq!((&row["mfa_enabled"], &row["last_login_at"]), (&Value::Null, &Value::Null));
    }
    let own = again.client.get(&path(&acme, &acme.viewer)).await.ok();
    assert_eq!(own["member"]["mfa_enabled"], Value::Null);
}

async fn everybody_reads_themselves_and_who_may_reads_others(server: &Server) {
    let acme = server.organization("Acme").await;
    let data = acme.viewer.client.get(&path(&acme, &acme.viewer)).await.ok();
    assert_eq!(
        (&data["member"]["email"], &data["member"]["role"]["name"]),
        (&json!("viewer@acme.example"), &json!("Viewer"))
    );
    acme.viewer.client.get(&path(&acme, &acme.owner)).await.error(403, "FORBIDDEN");
    let data = acme.developer.client.get(&path(&acme, &acme.owner)).await.ok();
    assert_eq!(data["member"]["user_id"], acme.owner.id);
    acme.developer.client.get(&format!("{}/987654321", members(&acme))).await.error(404, "MEMBER_NOT_FOUND");
    acme.developer.client.get(&format!("{}/x", members(&acme))).await.error(404, "NOT_FOUND");
    server.anonymous().get(&path(&acme, &acme.owner)).await.error(401, "UNAUTHORIZED");
}

async fn another_role_takes_the_place_of_the_former_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.developer.client.get(&members(&acme)).await.ok();
    let body = json!({"role_id": acme.roles["Viewer"]});
    let data = acme.admin.client.patch(&path(&acme, &acme.developer), body.clone()).await.ok();
    assert_eq!(data["member"]["role"], json!({"id": acme.roles["Viewer"], "name": "Viewer"}));
    // The same session, on its very next request.
    acme.developer.client.get(&members(&acme)).await.error(403, "FORBIDDEN");
    let held = format!("SELECT count(*) FROM role_assignments WHERE user_id = {}", acme.developer.id);
    assert_eq!(server.count(&held).await, 1);
    assert_eq!((server.roles_given().await, server.audited("role.revoke", "success").await), (1, 1));
    assert_eq!(server.audited("member.update", "success").await, 1);
    // Nothing changes, so nothing is recorded.
    acme.admin.client.patch(&path(&acme, &acme.developer), body).await.ok();
    assert_eq!(server.audited("member.update", "success").await, 1);
    // A role on loan, in place of which the same is given for good.
    server
        .execute(&format!(
            "UPDATE role_assignments SET expires_at = (SELECT max(expires_at) FROM sessions) WHERE user_id = {}",
            acme.developer.id
        ))
        .await;
    server.forget().await;
    acme.admin.client.patch(&path(&acme, &acme.developer), json!({"role_id": acme.roles["Viewer"]})).await.ok();
    let for_good = format!("{held} AND expires_at IS NULL");
    assert_eq!((server.count(&held).await, server.count(&for_good).await), (1, 1));
    // Up again, and both at once.
    let both = json!({"role_id": acme.roles["Developer"], "status": "active"});
    acme.admin.client.patch(&path(&acme, &acme.developer), both).await.ok();
    acme.developer.client.get(&members(&acme)).await.ok();
}

async fn nobody_gives_or_touches_more_than_they_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = |name: &str| json!({"role_id": acme.roles[name]});
    acme.admin.client.patch(&path(&acme, &acme.viewer), role("Owner")).await.error(403, "FORBIDDEN");
    acme.admin.client.patch(&path(&acme, &acme.admin), role("Owner")).await.error(403, "FORBIDDEN");
    acme.admin.client.patch(&path(&acme, &acme.owner), role("Viewer")).await.error(403, "FORBIDDEN");
    acme.admin.client.patch(&path(&acme, &acme.owner), json!({"status": "suspended"})).await.error(403, "FORBIDDEN");
    acme.admin.client.delete(&path(&acme, &acme.owner)).await.error(403, "FORBIDDEN");
    for person in [&acme.developer, &acme.viewer] {
        person.client.patch(&path(&acme, &acme.viewer), role("Viewer")).await.error(403, "FORBIDDEN");
        person.client.patch(&path(&acme, person), role("Owner")).await.error(403, "FORBIDDEN");
        person.client.patch(&path(&acme, &acme.viewer), json!({"status": "active"})).await.error(403, "FORBIDDEN");
        person.client.delete(&path(&acme, &acme.viewer)).await.error(403, "FORBIDDEN");
    }
    assert_eq!((owners(server, &acme).await, server.audited("member.update", "success").await), (1, 0));
    // Downwards one may go oneself.
    acme.admin.client.patch(&path(&acme, &acme.admin), role("Developer")).await.ok();
    acme.admin.client.patch(&path(&acme, &acme.admin), role("Admin")).await.error(403, "FORBIDDEN");
    server.anonymous().patch(&path(&acme, &acme.viewer), role("Viewer")).await.error(401, "UNAUTHORIZED");
}

async fn a_suspended_member_is_out_of_this_organization_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    add(server, "Globex", &acme.viewer.email).await;
    let organization = |of: &Organization| format!("/api/v1/organizations/{}", of.id);
    let elsewhere = session_in(server, &acme.viewer, &globex).await;
    let token = json!({"name": "x", "scopes": ["read"], "organization_id": acme.id});
    let token = acme.viewer.client.post("/api/v1/auth/tokens", token).await.created();
    let program = acme.viewer.client.with_token(token["token"].as_str().unwrap());
    for client in [&acme.viewer.client, &elsewhere, &program] {
        client.get(&organization(&acme)).await.ok();
    }
    let suspend = json!({"status": "suspended"});
    let data = acme.admin.client.patch(&path(&acme, &acme.viewer), suspend.clone()).await.ok();
    assert_eq!((&data["member"]["status"], &data["member"]["role"]["name"]), (&json!("suspended"), &json!("Viewer")));
    acme.viewer.client.get(&organization(&acme)).await.error(401, "UNAUTHORIZED");
    program.get(&organization(&acme)).await.error(401, "UNAUTHORIZED");
    elsewhere.get(&organization(&acme)).await.error(404, "ORG_NOT_FOUND");
    elsewhere.get(&organization(&globex)).await.ok();
    let refresh = json!({"refresh_token": acme.viewer.refresh_token});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
    // A fresh session stands where the person still belongs.
    let fresh = server.sign_in(&acme.viewer.email).await.client;
    assert_eq!(fresh.get("/api/v1/organizations").await.ok()["total_count"], 1);
    assert_eq!(server.audited("member.update", "success").await, 1);
    acme.admin.client.patch(&path(&acme, &acme.viewer), suspend).await.ok();
    assert_eq!(server.audited("member.update", "success").await, 1);

    acme.admin.client.patch(&path(&acme, &acme.viewer), json!({"status": "active"})).await.ok();
    elsewhere.get(&organization(&acme)).await.ok();
    // What was ended stays so.
    acme.viewer.client.get(&organization(&acme)).await.error(401, "UNAUTHORIZED");
    program.get(&organization(&acme)).await.error(401, "UNAUTHORIZED");
}

async fn nobody_suspends_or_removes_themselves(server: &Server) {
    let acme = server.organization("Acme").await;
    for status in ["suspended", "active"] {
        let body = json!({"status": status});
        acme.admin.client.patch(&path(&acme, &acme.admin), body).await.error(409, "CANNOT_CHANGE_SELF");
    }
    acme.owner.client.delete(&path(&acme, &acme.owner)).await.error(409, "CANNOT_CHANGE_SELF");
}

async fn a_removed_member_is_out_and_the_account_stays(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    add(server, "Globex", &acme.viewer.email).await;
    let elsewhere = session_in(server, &acme.viewer, &globex).await;
    let data = acme.admin.client.delete(&path(&acme, &acme.viewer)).await.ok();
    assert_eq!(data["removed"], true);
    acme.viewer.client.get("/api/v1/organizations").await.error(401, "UNAUTHORIZED");
    assert_eq!(elsewhere.get("/api/v1/organizations").await.ok()["total_count"], 1);
    elsewhere.get(&format!("/api/v1/organizations/{}", acme.id)).await.error(404, "ORG_NOT_FOUND");
    for table in ["memberships", "role_assignments", "member_words"] {
        let left = format!(
            "SELECT count(*) FROM {table} WHERE user_id = {} AND organization_id = {}",
            acme.viewer.id, acme.id
        );
        assert_eq!(server.count(&left).await, 0, "{table}");
    }
    assert_eq!(acme.admin.client.get(&members(&acme)).await.ok()["total_count"], 3);
    acme.admin.client.delete(&path(&acme, &acme.viewer)).await.error(404, "MEMBER_NOT_FOUND");
    let record = server.rows("SELECT target_kind, target_id FROM audit_log WHERE action = 'member.remove'").await;
    assert_eq!(record, [json!({"target_kind": "user", "target_id": acme.viewer.id.to_string()})]);
}

async fn what_a_removed_member_made_passes_to_another(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let ada = &acme.developer;
    ada.client.upload("products.csv", b"a\n1\n".to_vec()).await.created();
    let files = async |person: &Person| {
        let files = person.client.get("/api/v1/storage/files").await.ok();
        files["pagination"]["total_count"].as_i64().unwrap()
    };
    let remove = |heir: i64| format!("{}?transfer_to={heir}", path(&acme, ada));
    for nobody in [globex.owner.id, 987_654_321, ada.id] {
        acme.admin.client.delete(&remove(nobody)).await.error(404, "MEMBER_NOT_FOUND");
    }
    acme.admin.client.patch(&path(&acme, &acme.viewer), json!({"status": "suspended"})).await.ok();
    acme.admin.client.delete(&remove(acme.viewer.id)).await.error(404, "MEMBER_NOT_FOUND");
    // Nor whose account is closed: it would go with that.
    acme.admin.client.patch(&path(&acme, &acme.viewer), json!({"status": "active"})).await.ok();
    let close = format!("UPDATE users SET disabled_at = created_at WHERE id = {}", acme.viewer.id);
    server.execute(&close).await;
    acme.admin.client.delete(&remove(acme.viewer.id)).await.error(404, "MEMBER_NOT_FOUND");
    assert_eq!(files(ada).await, 1);
    acme.admin.client.delete(&remove(acme.owner.id)).await.ok();
    assert_eq!((files(&acme.owner).await, files(&acme.admin).await), (1, 0));
    // Its bytes are still where they were.
    let path = "SELECT object_name FROM storage_files";
    assert!(server.rows(path).await[0]["object_name"].as_str().unwrap().contains(&format!("/{}/", ada.id)));
}

async fn a_member_leaves(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    add(server, "Globex", &acme.viewer.email).await;
    let elsewhere = session_in(server, &acme.viewer, &globex).await;
    let data = elsewhere.post_empty(&leave(&acme)).await.ok();
    assert_eq!(data["organization_id"], acme.id);
    assert!(data["left_at"].as_str().unwrap().ends_with('Z'));
    acme.viewer.client.get("/api/v1/organizations").await.error(401, "UNAUTHORIZED");
    assert_eq!(elsewhere.get("/api/v1/organizations").await.ok()["total_count"], 1);
    elsewhere.post_empty(&leave(&acme)).await.error(404, "ORG_NOT_FOUND");
    assert_eq!(server.audited("member.leave", "success").await, 1);
    let ada = server.newcomer("ada@new.example").await;
    let own = ada.client.get("/api/v1/organizations").await.ok()["organizations"][0]["id"].clone();
    ada.client.post_empty(&format!("/api/v1/organizations/{own}/leave")).await.error(409, "PERSONAL_ORG");
    server.anonymous().post_empty(&leave(&acme)).await.error(401, "UNAUTHORIZED");
    let token = json!({"name": "x", "scopes": ["admin"]});
    let token = acme.admin.client.post("/api/v1/auth/tokens", token).await.created();
    let program = acme.admin.client.with_token(token["token"].as_str().unwrap());
    program.post_empty(&leave(&acme)).await.error(403, "FORBIDDEN");
}

async fn the_last_owner_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let viewer = json!({"role_id": acme.roles["Viewer"]});
    acme.owner.client.patch(&path(&acme, &acme.owner), viewer.clone()).await.error(409, "LAST_OWNER");
    acme.owner.client.post_empty(&leave(&acme)).await.error(409, "LAST_OWNER");
    let other = second_owner(server, &acme).await;
    // One who is suspended does not count.
    acme.owner.client.patch(&path(&acme, &other), json!({"status": "suspended"})).await.ok();
    acme.owner.client.patch(&path(&acme, &acme.owner), viewer.clone()).await.error(409, "LAST_OWNER");
    acme.owner.client.patch(&path(&acme, &other), json!({"status": "active"})).await.ok();
    acme.owner.client.patch(&path(&acme, &acme.owner), viewer).await.ok();
    assert_eq!(owners(server, &acme).await, 1);
    acme.owner.client.get(&members(&acme)).await.error(403, "FORBIDDEN");
}

async fn a_closed_account_owns_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let other = second_owner(server, &acme).await;
    let close = async |person: &Person| {
        let body = json!({"current_password": rivergen_tests::PASSWORD});
        let request = person.client.request(reqwest::Method::DELETE, "/api/v1/auth/me").json(&body);
        person.client.send(request).await
    };
    close(&other).await.no_content();
    acme.owner.client.post_empty(&leave(&acme)).await.error(409, "LAST_OWNER");
    close(&acme.owner).await.error(409, "LAST_ADMIN");
}

/// Every answer is one of the API's own, and one owner is left.
async fn one_is_left(server: &Server, acme: &Organization, answers: Vec<Answer>) {
    let fault = answers.iter().find(|answer| answer.status.as_u16() >= 500);
    assert!(fault.is_none(), "{fault:?}");
    let done = answers.iter().filter(|answer| answer.status.is_success()).count();
    assert_eq!((done, owners(server, acme).await), (1, 1));
}

async fn owners_who_remove_each_other_leave_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let other = second_owner(server, &acme).await;
    let (mine, theirs) = (path(&acme, &acme.owner), path(&acme, &other));
    let calls = (0..50).map(|call| match call % 2 {
        0 => acme.owner.client.delete(&theirs),
        _ => other.client.delete(&mine),
    });
    let answers = join_all(calls).await;
    one_is_left(server, &acme, answers).await;
}

async fn owners_who_demote_each_other_leave_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let other = second_owner(server, &acme).await;
    let (mine, theirs) = (path(&acme, &acme.owner), path(&acme, &other));
    let viewer = json!({"role_id": acme.roles["Viewer"]});
    let calls = (0..50).map(|call| match call % 2 {
        0 => acme.owner.client.patch(&theirs, viewer.clone()),
        _ => other.client.patch(&mine, viewer.clone()),
    });
    let answers = join_all(calls).await;
    let fault = answers.iter().find(|answer| answer.status.as_u16() >= 500);
    assert!(fault.is_none(), "{fault:?}");
    // The demoted one may be demoted again, by who was first.
    assert_eq!(owners(server, &acme).await, 1);
}

async fn owners_who_leave_at_once_leave_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let other = second_owner(server, &acme).await;
    let at = leave(&acme);
    let calls = (0..50).map(|call| match call % 2 {
        0 => acme.owner.client.post_empty(&at),
        _ => other.client.post_empty(&at),
    });
    let answers = join_all(calls).await;
    one_is_left(server, &acme, answers).await;
}

async fn changes_of_all_kinds_at_once_do_not_block_each_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let other = second_owner(server, &acme).await;
    let role = |name: &str| json!({"role_id": acme.roles[name]});
    let calls = (0..60).map(|call| {
        let (acme, other, role) = (&acme, &other, &role);
        async move {
            let by = if call % 2 == 0 { &acme.owner.client } else { &other.client };
            match call % 6 {
                0 => by.patch(&path(acme, &acme.developer), role("Viewer")).await,
                1 => by.patch(&path(acme, &acme.developer), role("Admin")).await,
                2 => by.patch(&path(acme, &acme.viewer), json!({"status": "suspended"})).await,
                3 => by.patch(&path(acme, &acme.viewer), json!({"status": "active"})).await,
                4 => {
                    by.post(
                        &format!("/api/v1/organizations/{}/workspaces", acme.id),
                        json!({"name": format!("W{call}")}),
                    )
                    .await
                }
                _ => by.patch(&path(acme, other), role("Owner")).await,
            }
        }
    });
    for answer in join_all(calls).await {
        assert!(answer.status.is_success(), "{answer:?}");
    }
    assert_eq!(owners(server, &acme).await, 2);
    let held = format!("SELECT count(*) FROM role_assignments WHERE user_id = {}", acme.developer.id);
    assert_eq!(server.count(&held).await, 1);
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let owner = &acme.owner.client;
    owner.get(&members(&globex)).await.error(404, "ORG_NOT_FOUND");
    for member in [path(&globex, &globex.viewer), path(&globex, &acme.viewer)] {
        owner.get(&member).await.error(404, "ORG_NOT_FOUND");
        owner.patch(&member, json!({"status": "suspended"})).await.error(404, "ORG_NOT_FOUND");
        owner.delete(&member).await.error(404, "ORG_NOT_FOUND");
    }
    owner.post_empty(&leave(&globex)).await.error(404, "ORG_NOT_FOUND");
    let stranger = path(&acme, &globex.viewer);
    owner.get(&stranger).await.error(404, "MEMBER_NOT_FOUND");
    owner.patch(&stranger, json!({"status": "suspended"})).await.error(404, "MEMBER_NOT_FOUND");
    owner.delete(&stranger).await.error(404, "MEMBER_NOT_FOUND");
    let role = json!({"role_id": globex.roles["Viewer"]});
    owner.patch(&path(&acme, &acme.viewer), role).await.error(404, "ROLE_NOT_FOUND");
    globex.viewer.client.get(&format!("/api/v1/organizations/{}", globex.id)).await.ok();
}

async fn a_token_does_what_its_scopes_allow(server: &Server) {
    let acme = server.organization("Acme").await;
    let program = async |scope: &str| {
        let body = json!({"name": scope, "scopes": [scope]});
        let made = acme.owner.client.post("/api/v1/auth/tokens", body).await.created();
        acme.owner.client.with_token(made["token"].as_str().unwrap())
    };
    let role = json!({"role_id": acme.roles["Viewer"]});
    let reader = program("read").await;
    reader.get(&members(&acme)).await.ok();
    reader.patch(&path(&acme, &acme.viewer), role.clone()).await.error(403, "FORBIDDEN");
    reader.delete(&path(&acme, &acme.viewer)).await.error(403, "FORBIDDEN");
    // A single permission reaches nobody who holds more, and gives nothing but itself.
    let one = program("role.assign").await;
    one.patch(&path(&acme, &acme.viewer), role.clone()).await.error(403, "FORBIDDEN");
    let admin = program("admin").await;
    admin.patch(&path(&acme, &acme.developer), role).await.ok();
    admin.delete(&path(&acme, &acme.viewer)).await.ok();
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let member = path(&acme, &acme.viewer);
    let update = async |body: Value| acme.owner.client.patch(&member, body).await;
    update(json!({})).await.invalid("body");
    update(json!({"role_id": "x"})).await.invalid("role_id");
    update(json!({"status": "deactivated"})).await.invalid("status");
    update(json!({"rôle": 1})).await.error(422, "VALIDATION_ERROR");
    let nobody = json!({"role_id": 987_654_321});
    acme.owner.client.patch(&member, nobody).await.error(404, "ROLE_NOT_FOUND");
    acme.owner.client.delete(&format!("{member}?transfer_to=x")).await.invalid("transfer_to");
    assert_eq!(acme.owner.client.get(&members(&acme)).await.ok()["total_count"], 4);
}

async fn a_workspace_whose_admin_goes_is_run_by_the_owner(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = &acme.owner.client;
    let made = async |name: &str| {
        let body = json!({"name": name, "organization_id": acme.id});
        let data = acme.admin.client.post("/api/v1/workspaces", body).await.created();
        data["workspace"]["id"].as_i64().unwrap()
    };
    let (lab, studio) = (made("Lab").await, made("Studio").await);
    // The operations on roles leave a workspace an Admin of its own.
    let assignments = format!("/api/v1/roles/{}/assignments", acme.roles["Admin"]);
    let held = owner.get(&format!("{assignments}?workspace_id={studio}")).await.ok();
    owner.delete(&format!("{assignments}/{}", held["assignments"][0]["id"])).await.error(409, "LAST_ADMIN");
    // The only Admin of the workspace is removed from the organization.
    owner.delete(&path(&acme, &acme.admin)).await.ok();
    for workspace in [lab, studio] {
        // Whoever runs the organization runs each of its workspaces, without a role in it.
        let members = format!("/api/v1/organizations/{}/workspaces/{workspace}/members", acme.id);
        assert_eq!(owner.get(&members).await.ok()["total_count"], 0);
        let rename = json!({"name": format!("Workspace {workspace}")});
        owner.put(&format!("/api/v1/workspaces/{workspace}"), rename).await.ok();
        let admin = json!({"user_id": acme.viewer.id, "role_id": acme.roles["Admin"]});
        owner.post(&members, admin).await.created();
    }
}

async fn sessions_say_why_they_ended(server: &Server) {
    let acme = server.organization("Acme").await;
    let reason = async |person: &Person| {
        let ended = format!("SELECT end_reason FROM sessions WHERE user_id = {}", person.id);
        server.rows(&ended).await.remove(0)["end_reason"].as_str().unwrap().to_owned()
    };
    acme.viewer.client.post_empty(&leave(&acme)).await.ok();
    assert_eq!(reason(&acme.viewer).await, "left_organization");
    acme.owner.client.patch(&path(&acme, &acme.developer), json!({"status": "suspended"})).await.ok();
    assert_eq!(reason(&acme.developer).await, "revoked_by_administrator");
    acme.owner.client.delete(&path(&acme, &acme.admin)).await.ok();
    assert_eq!(reason(&acme.admin).await, "revoked_by_administrator");
}
