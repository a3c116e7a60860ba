//! `DELETE /api/v1/roles/{role_id}`

use chrono::Duration;
use rivergen_platform::audit;
use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, custom, details_of, give, may, workspace};

on_both_databases! {
    one_that_nobody_holds_goes;
    one_in_use_stays_unless_another_takes_its_place;
    whoever_has_both_keeps_the_longer;
    each_holder_has_a_record_of_the_role_in_its_place;
    of_many_holders_each_has_a_record_and_the_chain_holds;
    a_promised_role_stays_unless_another_takes_its_place;
    the_replacement_obeys_the_limits_of_an_assignment;
    built_in_roles_stay;
    wrong_roles_and_strangers_delete_nothing;
    of_an_assignment_and_a_deletion_at_once_neither_is_lost;
    a_default_that_goes_is_viewer_again;
    the_one_in_its_place_is_the_default_too;
    a_default_that_is_gone_is_passed_over;
    nobody_gives_everybody_more_by_a_deletion;
}

async fn one_that_nobody_holds_goes(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["datasource.read"]).await;
    // A loan that is over holds it no more.
    let end = server.platform.clock.now() + Duration::minutes(5);
    give(&acme.owner, role, json!({"user_id": acme.viewer.id, "expires_at": end})).await;
    acme.owner.client.delete(&format!("{PATH}/{role}")).await.error(409, "ROLE_IN_USE");
    server.clock().advance(Duration::minutes(6));
    let data = acme.admin.client.delete(&format!("{PATH}/{role}")).await.ok();
    assert!(data["message"].is_string());
    acme.admin.client.delete(&format!("{PATH}/{role}")).await.error(404, "ROLE_NOT_FOUND");
    assert_eq!(server.count(&format!("SELECT count(*) FROM role_assignments WHERE role_id = {role}")).await, 0);
    assert_eq!(server.audited("role.delete", "success").await, 1);
    assert_eq!(details_of(server, "role.delete").await["name"], "Analyst");
    // The name is free again.
    custom(&acme, "ANALYST", &[]).await;
}

async fn one_in_use_stays_unless_another_takes_its_place(server: &Server) {
    let acme = server.organization("Acme").await;
    let old = custom(&acme, "Analyst", &["policy.read"]).await;
    let new = custom(&acme, "Auditor", &["audit.read"]).await;
    let lab = workspace(&acme, "Lab").await;
    give(&acme.owner, old, json!({"user_id": acme.viewer.id})).await;
    let end = server.platform.clock.now() + Duration::minutes(5);
    give(&acme.owner, old, json!({"user_id": acme.developer.id, "workspace_id": lab, "expires_at": end})).await;
    let path = format!("{PATH}/{old}");
    acme.owner.client.delete(&path).await.error(409, "ROLE_IN_USE");
    assert!(may(&acme.viewer, "policy.read").await);

    acme.admin.client.delete(&format!("{path}?reassign_to={new}")).await.ok();
    assert!(!may(&acme.viewer, "policy.read").await && may(&acme.viewer, "audit.read").await);
    let data = acme.owner.client.get(&format!("{PATH}/{new}/assignments")).await.ok();
    let rows = data["assignments"].as_array().unwrap();
    assert_eq!((data["total_count"].as_i64(), rows[0]["assigned_by"].as_i64()), (Some(2), Some(acme.admin.id)));
    // The place and the end of a loan stay what they were.
    assert_eq!((rows[1]["workspace_id"].as_i64(), rows[0]["expires_at"].is_null()), (Some(lab), true));
    server.clock().advance(Duration::minutes(6));
    let data = acme.owner.client.get(&format!("{PATH}/{new}/assignments")).await.ok();
    assert_eq!(data["total_count"], 1);
    let told = details_of(server, "role.delete").await;
    assert_eq!((&told["replacement_role_id"], &told["assignments_moved"]), (&json!(new), &json!(2)));
}

async fn whoever_has_both_keeps_the_longer(server: &Server) {
    let acme = server.organization("Acme").await;
    let old = custom(&acme, "Analyst", &["policy.read"]).await;
    let new = custom(&acme, "Auditor", &["policy.read"]).await;
    let (soon, later) =
        (server.platform.clock.now() + Duration::minutes(5), server.platform.clock.now() + Duration::minutes(30));
    for (person, old_end, new_end) in [
        (&acme.viewer, None, None),
        (&acme.developer, None, Some(soon)),
        (&acme.admin, Some(soon), Some(later)),
        (&acme.owner, Some(later), Some(soon)),
    ] {
        give(&acme.owner, old, json!({"user_id": person.id, "expires_at": old_end})).await;
        give(&acme.owner, new, json!({"user_id": person.id, "expires_at": new_end})).await;
    }
    acme.owner.client.delete(&format!("{PATH}/{old}?reassign_to={new}")).await.ok();
    let holders = async || {
        let data = acme.owner.client.get(&format!("{PATH}/{new}/assignments")).await.ok();
        let mut users: Vec<i64> =
            data["assignments"].as_array().unwrap().iter().map(|row| row["user_id"].as_i64().unwrap()).collect();
        users.sort_unstable();
        users
    };
    let mut everybody: Vec<i64> = acme.people().iter().map(|(_, person)| person.id).collect();
    everybody.sort_unstable();
    assert_eq!(holders().await, everybody);
    server.clock().advance(Duration::minutes(6));
    assert_eq!(holders().await, everybody);
    server.clock().advance(Duration::minutes(30));
    assert_eq!(holders().await.len(), 2);
}

/// The newest record that the log has of a person's roles.
async fn newest_of(acme: &Organization, user: i64) -> Value {
    let path = format!("/api/v1/organizations/{}/audit-logs", acme.id);
    let query = format!("target_type=user&target={user}&action=role.&limit=1");
    let found = acme.admin.client.get(&format!("{path}?{query}")).await.ok();
    found["entries"][0].clone()
}

async fn each_holder_has_a_record_of_the_role_in_its_place(server: &Server) {
    let acme = server.organization("Acme").await;
    let old = custom(&acme, "Analyst", &["policy.read"]).await;
    let new = custom(&acme, "Auditor", &["policy.read"]).await;
    let lab = workspace(&acme, "Lab").await;
    for (role, body) in [
        (old, json!({"user_id": acme.viewer.id})),
        (old, json!({"user_id": acme.developer.id, "workspace_id": lab})),
        (old, json!({"user_id": acme.admin.id})),
        (new, json!({"user_id": acme.admin.id})),
    ] {
        give(&acme.owner, role, body).await;
    }
    let before = newest_of(&acme, acme.owner.id).await;
    acme.owner.client.delete(&format!("{PATH}/{old}?reassign_to={new}")).await.ok();

    for (person, action, role, details) in [
        (&acme.viewer, "role.assign", new, json!({"user_id": acme.viewer.id, "workspace_id": null, "instead_of": old})),
        (
            &acme.developer,
            "role.assign",
            new,
            json!({"user_id": acme.developer.id, "workspace_id": lab, "instead_of": old}),
        ),
        (&acme.admin, "role.revoke", old, json!({"user_id": acme.admin.id, "workspace_id": null, "kept": new})),
    ] {
        let record = newest_of(&acme, person.id).await;
        assert_eq!((record["action"].as_str(), &record["details"]), (Some(action), &details));
        assert_eq!((&record["target_type"], &record["target_id"]), (&json!("role"), &json!(role.to_string())));
        assert_eq!(record["actor_id"], acme.owner.id);
    }
    assert_eq!(newest_of(&acme, acme.owner.id).await, before);
    let role = acme.owner.client.get(&format!("{PATH}/{new}")).await.ok();
    let history = role["role"]["assignment_history"].as_array().unwrap();
    for person in [&acme.viewer, &acme.developer] {
        assert!(history.iter().any(|event| event["user_id"] == person.id && event["action"] == "assigned"), "{role}");
    }
}

async fn of_many_holders_each_has_a_record_and_the_chain_holds(server: &Server) {
    const MANY: i64 = 1_100;
    let acme = server.organization("Acme").await;
    let old = custom(&acme, "Analyst", &[]).await;
    let new = custom(&acme, "Auditor", &[]).await;
    let account = "profile, user_metadata, is_system_admin, created_at, updated_at";
    server
        .execute(&format!(
            "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) \
             INSERT INTO users (display_name, {account}) SELECT 'Holder ' || i, {account} \
             FROM n CROSS JOIN (SELECT * FROM users WHERE id = {}) AS one",
            acme.viewer.id
        ))
        .await;
    server
        .execute(&format!(
            "INSERT INTO role_assignments (organization_id, user_id, role_id, assigned_at) \
             SELECT {}, id, {old}, created_at FROM users WHERE display_name LIKE 'Holder %'",
            acme.id
        ))
        .await;
    acme.owner.client.delete(&format!("{PATH}/{old}?reassign_to={new}")).await.ok();
    let told = format!("SELECT count(*) FROM audit_log WHERE action = 'role.assign' AND target_id = '{new}'");
    assert_eq!(server.count(&told).await, MANY);
    assert_eq!(details_of(server, "role.delete").await["assignments_moved"], MANY);
    assert_eq!(audit::verify(&server.platform.db, None).await.unwrap().first_break, None);
}

async fn invite(server: &Server, acme: &Organization, email: &str, role: i64, status: &str) {
    let (id, workspace, by) = (acme.id, acme.workspace_id, acme.owner.id);
    let token = format!("{:032x}", rand::random::<u128>());
    let blob = match server.backend {
        rivergen_tests::Backend::Sqlite => format!("x'{token}'"),
        rivergen_tests::Backend::Postgres => format!("decode('{token}', 'hex')"),
    };
    let now = server.platform.clock.now();
    let (at, end) = (now.format("%FT%T+00:00"), (now + Duration::days(7)).format("%FT%T+00:00"));
    server
        .execute(&format!(
            "INSERT INTO invitations (organization_id, workspace_id, role_id, email, token_hash, status, invited_by_user_id, \
             created_at, expires_at) VALUES ({id}, {workspace}, {role}, '{email}', {blob}, '{status}', {by}, '{at}', '{end}')"
        ))
        .await;
}

async fn a_promised_role_stays_unless_another_takes_its_place(server: &Server) {
    let acme = server.organization("Acme").await;
    let old = custom(&acme, "Analyst", &[]).await;
    let new = custom(&acme, "Auditor", &[]).await;
    invite(server, &acme, "ada@new.example", old, "revoked").await;
    invite(server, &acme, "bea@new.example", old, "pending").await;
    let path = format!("{PATH}/{old}");
    acme.owner.client.delete(&path).await.error(409, "ROLE_IN_USE");
    acme.owner.client.delete(&format!("{path}?reassign_to={new}")).await.ok();
    let promised = format!("SELECT count(*) FROM invitations WHERE role_id = {new}");
    assert_eq!(server.count(&promised).await, 1);
    assert_eq!(details_of(server, "role.delete").await["invitations_moved"], 1);
    // An invitation that has run out promises nothing.
    server.clock().advance(Duration::days(8));
    let owner = server.sign_in(&acme.owner.email).await;
    owner.client.delete(&format!("{PATH}/{new}")).await.ok();
}

async fn the_replacement_obeys_the_limits_of_an_assignment(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let old = custom(&acme, "Analyst", &["datasource.read"]).await;
    let strong = custom(&acme, "Strong", &["organization.delete"]).await;
    let other = custom(&acme, "Other", &[]).await;
    give(&acme.owner, old, json!({"user_id": acme.viewer.id})).await;
    let path = format!("{PATH}/{old}");
    // An Admin cannot lift the holders above the Admin's own, nor to Owner.
    for above in [strong, acme.roles["Owner"]] {
        acme.admin.client.delete(&format!("{path}?reassign_to={above}")).await.error(403, "FORBIDDEN");
    }
    // Who may delete roles but not assign them can delete what nobody holds.
    let cleaner = custom(&acme, "Cleaner", &["role.delete", "datasource.read"]).await;
    give(&acme.owner, cleaner, json!({"user_id": acme.developer.id})).await;
    acme.developer.client.delete(&format!("{path}?reassign_to={other}")).await.error(403, "FORBIDDEN");
    acme.developer.client.delete(&path).await.error(409, "ROLE_IN_USE");
    acme.developer.client.delete(&format!("{PATH}/{other}")).await.ok();
    // What it takes from its holders must be held, too.
    give(&acme.owner, strong, json!({"user_id": acme.viewer.id})).await;
    let mild = acme.roles["Viewer"];
    acme.admin.client.delete(&format!("{PATH}/{strong}?reassign_to={mild}")).await.error(403, "FORBIDDEN");

    acme.owner
        .client
        .delete(&format!("{path}?reassign_to={}", globex.roles["Viewer"]))
        .await
        .error(404, "ROLE_NOT_FOUND");
    acme.owner.client.delete(&format!("{path}?reassign_to=987654321")).await.error(404, "ROLE_NOT_FOUND");
    acme.owner.client.delete(&format!("{path}?reassign_to={old}")).await.invalid("reassign_to");
    acme.owner.client.delete(&format!("{path}?reassign_to=x")).await.invalid("reassign_to");
}

async fn built_in_roles_stay(server: &Server) {
    let acme = server.organization("Acme").await;
    for role in acme.roles.values() {
        acme.owner.client.delete(&format!("{PATH}/{role}")).await.error(409, "SYSTEM_ROLE");
    }
    let path = format!("{PATH}/{}?reassign_to={}", acme.roles["Viewer"], acme.roles["Developer"]);
    acme.owner.client.delete(&path).await.error(409, "SYSTEM_ROLE");
}

async fn wrong_roles_and_strangers_delete_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("{PATH}/{}", custom(&acme, "Analyst", &[]).await);
    for person in [&acme.developer, &acme.viewer] {
        person.client.delete(&path).await.error(403, "FORBIDDEN");
    }
    globex.owner.client.delete(&path).await.error(404, "ROLE_NOT_FOUND");
    server.anonymous().delete(&path).await.error(401, "UNAUTHORIZED");
    acme.owner.client.get(&path).await.ok();
}

async fn of_an_assignment_and_a_deletion_at_once_neither_is_lost(server: &Server) {
    let acme = server.organization("Acme").await;
    for round in 0..10 {
        let role = custom(&acme, &format!("Role {round}"), &[]).await;
        let (path, body) = (format!("{PATH}/{role}"), json!({"user_id": acme.viewer.id}));
        let assignments = format!("{path}/assignments");
        let (given, deleted) =
            tokio::join!(acme.owner.client.post(&assignments, body), acme.admin.client.delete(&path));
        match given.status.as_u16() {
            201 => drop(deleted.error(409, "ROLE_IN_USE")),
            _ => {
                given.error(404, "ROLE_NOT_FOUND");
                deleted.ok();
            }
        }
    }
}

/// Makes the role the default of the organization and of a workspace.
async fn make_default(acme: &Organization, workspace: i64, role: i64) {
    let settings = json!({"settings": {"default_role_id": role}});
    acme.owner.client.patch(&format!("/api/v1/organizations/{}/settings", acme.id), settings.clone()).await.ok();
    acme.owner.client.put(&format!("/api/v1/workspaces/{workspace}/settings"), settings).await.ok();
}

/// The defaults of the organization and of a workspace, and the version of the organization's settings.
async fn defaults(acme: &Organization, workspace: i64) -> (Value, Value, i64) {
    let of = acme.owner.client.get(&format!("/api/v1/organizations/{}/settings", acme.id)).await.ok();
    let there = acme.owner.client.get(&format!("/api/v1/workspaces/{workspace}/settings")).await.ok();
    let own = of["settings"]["default_role_id"].clone();
    (own, there["settings"]["default_role_id"].clone(), of["version"].as_i64().unwrap())
}

/// The role that an account gets which is made without one.
async fn role_of_a_new_user(acme: &Organization, email: &str) -> String {
    let body = json!({"email": email, "display_name": "Ada", "organization_id": acme.id});
    let id = acme.owner.client.post("/api/v1/users", body).await.created()["user"]["id"].clone();
    let seen = acme.owner.client.get(&format!("/api/v1/users/{id}")).await.ok();
    seen["user"]["memberships"][0]["roles"][0].as_str().unwrap().to_owned()
}

async fn a_default_that_goes_is_viewer_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read"]).await;
    let lab = workspace(&acme, "Lab").await;
    make_default(&acme, lab, role).await;
    assert_eq!(defaults(&acme, lab).await, (json!(role), json!(role), 1));
    assert_eq!(role_of_a_new_user(&acme, "ada@new.example").await, "Analyst");
    let held = format!("DELETE FROM role_assignments WHERE role_id = {role}");
    server.execute(&held).await;
    server.forget().await;

    acme.admin.client.delete(&format!("{PATH}/{role}")).await.ok();
    assert_eq!(defaults(&acme, lab).await, (Value::Null, Value::Null, 2));
    assert_eq!(role_of_a_new_user(&acme, "bob@new.example").await, "Viewer");
    // Both are changes of settings as any other.
    let told = details_of(server, "organization.update_settings").await;
    assert_eq!(told["changed"]["default_role_id"], json!({"before": role, "after": null}));
    let told = details_of(server, "workspace.update_settings").await;
    assert_eq!(told, json!({"before": {"default_role_id": role}, "after": {"default_role_id": null}}));
    let settings = acme.owner.client.get(&format!("/api/v1/organizations/{}/settings", acme.id)).await.ok();
    assert_eq!(settings["updated_by"], acme.admin.id);
}

async fn the_one_in_its_place_is_the_default_too(server: &Server) {
    let acme = server.organization("Acme").await;
    let old = custom(&acme, "Analyst", &["policy.read"]).await;
    let new = custom(&acme, "Auditor", &["audit.read"]).await;
    let lab = workspace(&acme, "Lab").await;
    make_default(&acme, lab, old).await;
    acme.owner.client.delete(&format!("{PATH}/{old}?reassign_to={new}")).await.ok();
    assert_eq!(defaults(&acme, lab).await, (json!(new), json!(new), 2));
    assert_eq!(role_of_a_new_user(&acme, "ada@new.example").await, "Auditor");
}

async fn a_default_that_is_gone_is_passed_over(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read"]).await;
    let lab = workspace(&acme, "Lab").await;
    make_default(&acme, lab, role).await;
    // As it was left behind before the deletion of a role took its defaults along.
    server.execute(&format!("DELETE FROM roles WHERE id = {role}")).await;
    server.forget().await;
    assert_eq!(defaults(&acme, lab).await, (Value::Null, Value::Null, 1));
    assert_eq!(role_of_a_new_user(&acme, "ada@new.example").await, "Viewer");
    let path = format!("/api/v1/organizations/{}/workspaces/{lab}/members", acme.id);
    let data = acme.owner.client.post(&path, json!({"user_id": acme.viewer.id})).await.created();
    assert_eq!(data["member"]["role"]["name"], "Viewer");
}

async fn nobody_gives_everybody_more_by_a_deletion(server: &Server) {
    let acme = server.organization("Acme").await;
    let lab = workspace(&acme, "Lab").await;
    let little = custom(&acme, "Reader", &["storage.read"]).await;
    make_default(&acme, lab, little).await;
    let open = json!({"settings": {"allow_public_access": true}});
    acme.owner.client.put(&format!("/api/v1/workspaces/{lab}/settings"), open.clone()).await.ok();
    // Everybody would become a Viewer in the workspace, by somebody who may not make anybody one.
    let cleaner = custom(&acme, "Cleaner", &["role.delete"]).await;
    give(&acme.owner, cleaner, json!({"user_id": acme.developer.id})).await;
    acme.developer.client.delete(&format!("{PATH}/{little}")).await.error(403, "FORBIDDEN");
    assert_eq!(defaults(&acme, lab).await, (json!(little), json!(little), 1));
    acme.admin.client.delete(&format!("{PATH}/{little}")).await.ok();
    assert_eq!(defaults(&acme, lab).await.1, Value::Null);
}
