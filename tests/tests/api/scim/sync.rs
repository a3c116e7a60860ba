//! `POST /api/v1/sso/scim/sync`

use rivergen_tests::{Backend, Organization, PASSWORD, Server, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{CONFIG, Provider, ScimAnswer, USER, prove_domain, roles_of};

on_both_databases! {
    drift_is_mended_and_conflicts_are_told;
    an_incremental_one_looks_at_what_changed;
    an_incremental_one_finds_a_role_that_was_taken_and_a_name_that_was_changed;
    who_has_not_drifted_takes_no_statement_of_their_own;
    an_address_that_nobody_proved_leads_to_no_account_of_the_organizations;
    one_at_a_time;
    who_may_and_who_may_not;
}

const SYNC: &str = "/api/v1/sso/scim/sync";

async fn synced(acme: &Organization, provider: i64, kind: &str) -> Value {
    let body = json!({"provider_id": provider, "sync_type": kind});
    let started = acme.owner.client.post(SYNC, body).await.ok();
    assert!(started["sync_id"].as_str().unwrap().starts_with("sync_") && started["status"] == "in_progress");
    assert!(started["message"].as_str().is_some_and(|told| !told.contains("/api/")), "{started}");
    eventually("the reconciliation to end", async || {
        let last = acme.owner.client.get(CONFIG).await.ok()["status"]["last_sync"].take();
        (last["status"] == "completed" && last["sync_id"] == started["sync_id"]).then_some(last)
    })
    .await
}

async fn drift_is_mended_and_conflicts_are_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let mapping = json!({"Engineering": acme.roles["Developer"]});
    let idp = Provider::mapping(server, &acme, mapping).await;
    let ada = json!({"schemas": [USER], "userName": "ada@acme.example", "displayName": "Ada L."});
    let ada = idp.client.post("/scim/v2/Users", ada).await.is(201)["id"].as_str().unwrap().to_owned();
    let bob = idp.user("bob@acme.example").await;
    let viewer = idp.user(&acme.viewer.email).await;
    let owner = idp.user(&acme.owner.email).await;
    let elsewhere = idp.user("eve@elsewhere.example").await;
    idp.group("Engineering", &[&ada]).await;
    let rename = json!([{"op": "replace", "path": "userName", "value": "eve@third.example"}]);
    idp.patch(&format!("/scim/v2/Users/{elsewhere}"), rename).await.is(200);
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    idp.patch(&format!("/scim/v2/Users/{bob}"), off).await.is(200);
    // What drifted meanwhile.
    for sql in [
        format!("UPDATE memberships SET status = 'active' WHERE user_id = {bob}"),
        "DELETE FROM role_assignments WHERE given_by_group = TRUE".to_owned(),
        format!("UPDATE scim_users SET active = FALSE WHERE user_id = {owner}"),
        format!("UPDATE users SET display_name = 'Drifted' WHERE id = {ada}"),
    ] {
        server.execute(&sql).await;
    }
    let suspend = json!({"status": "suspended"});
    acme.owner.client.patch(&format!("/api/v1/organizations/{}/members/{viewer}", acme.id), suspend).await.ok();
    prove_domain(server, &acme).await;
    let last = synced(&acme, idp.id, "full").await;
    assert!(last["users_changed"].as_i64().unwrap() >= 3, "{last}");
    let conflicts = last["conflicts"].as_array().unwrap();
    let of = |kind: &str, user: &str| {
        let user: i64 = user.parse().unwrap();
        conflicts.iter().any(|it| it["kind"] == kind && it["user_id"] == user && it["detail"].is_string())
    };
    assert!(of("suspended_by_administrator", &viewer), "{last}");
    assert!(of("last_owner", &owner), "{last}");
    assert!(of("address_differs", &elsewhere), "{last}");
    let status = async |user: &str| {
        let rows = server
            .rows(&format!("SELECT status FROM memberships WHERE user_id = {user} AND organization_id = {}", acme.id))
            .await;
        rows[0]["status"].as_str().unwrap().to_owned()
    };
    assert_eq!(status(&bob).await, "deactivated");
    assert_eq!(status(&viewer).await, "suspended");
    assert_eq!(status(&owner).await, "active");
    assert_eq!(roles_of(server, &acme, &ada).await, ["Developer", "Viewer"]);
    let name = format!("SELECT count(*) FROM users WHERE id = {ada} AND display_name = 'Ada L.'");
    assert_eq!(server.count(&name).await, 1);
    // Once more finds nothing to do.
    let again = synced(&acme, idp.id, "full").await;
    assert_eq!(again["users_changed"], 0, "{again}");
    assert_eq!(again["conflicts"].as_array().unwrap().len(), conflicts.len());
}

async fn an_incremental_one_looks_at_what_changed(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let (ada, bob) = (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await);
    synced(&acme, idp.id, "incremental").await;
    server.clock().advance(chrono::Duration::minutes(5));
    for user in [&ada, &bob] {
        server.execute(&format!("UPDATE memberships SET status = 'deactivated' WHERE user_id = {user}")).await;
    }
    let title = json!([{"op": "add", "path": "title", "value": "x"}]);
    let body = json!({"schemas": [USER], "userName": "bob@acme.example", "active": true, "title": "y"});
    idp.patch(&format!("/scim/v2/Users/{ada}"), title).await.is(200);
    // The change itself mended her; of him nothing is known to have changed.
    let (last, statements) = server.statements(synced(&acme, idp.id, "incremental")).await;
    assert_eq!(last["users_changed"], 0);
    // PostgreSQL reads a table of a few rows whole.
    if server.backend == Backend::Sqlite {
        let due = statements.iter().find(|sql| sql.contains("\"status_updated_at\" >=")).expect("users are due");
        let plan = server.plan(due).await;
        assert!(plan.contains("memberships_changed"), "{plan}");
    }
    let left = "SELECT count(*) FROM memberships WHERE status = 'deactivated'";
    assert_eq!(server.count(left).await, 1);
    assert_eq!(synced(&acme, idp.id, "full").await["users_changed"], 1);
    assert_eq!(server.count(left).await, 0);
    idp.client.put(&format!("/scim/v2/Users/{bob}"), body).await.is(200);
}

async fn an_incremental_one_finds_a_role_that_was_taken_and_a_name_that_was_changed(server: &Server) {
    let acme = server.organization("Acme").await;
    prove_domain(server, &acme).await;
    let idp =
        Provider::mapping(server, &acme, json!({"Engineering": acme.roles["Developer"], "g2": acme.roles["Viewer"]}))
            .await;
    let named =
        |name: &str| json!({"schemas": [USER], "userName": format!("{name}@acme.example"), "displayName": name});
    let mut ids = Vec::new();
    for name in ["ada", "bob", "eve"] {
        let made = idp.client.post("/scim/v2/Users", named(name)).await.is(201);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    idp.group("Engineering", &[&ids[0], &ids[2]]).await;
    synced(&acme, idp.id, "incremental").await;
    server.clock().advance(chrono::Duration::minutes(5));
    // What is left as it was is nobody's who is looked at.
    assert_eq!(synced(&acme, idp.id, "incremental").await["users_changed"], 0);
    server.clock().advance(chrono::Duration::minutes(5));
    for sql in [
        format!("DELETE FROM role_assignments WHERE given_by_group = TRUE AND user_id = {}", ids[0]),
        format!(
            "UPDATE users SET display_name = 'Drifted', updated_at = (SELECT max(started_at) FROM scim_syncs) WHERE id = {}",
            ids[1]
        ),
    ] {
        server.execute(&sql).await;
    }
    assert_eq!(synced(&acme, idp.id, "incremental").await["users_changed"], 2);
    assert_eq!(roles_of(server, &acme, &ids[0]).await, ["Developer", "Viewer"]);
    assert_eq!(server.count("SELECT count(*) FROM users WHERE display_name = 'Drifted'").await, 0);
}

async fn who_has_not_drifted_takes_no_statement_of_their_own(server: &Server) {
    const PEOPLE: usize = 40;
    let acme = server.organization("Acme").await;
    prove_domain(server, &acme).await;
    let idp = Provider::of(server, &acme).await;
    let mut users = Vec::new();
    for number in 0..PEOPLE {
        users.push(idp.user(&format!("person{number}@acme.example")).await);
    }
    // One of them has.
    let address = "UPDATE user_emails SET email = 'drifted@acme.example' WHERE user_id";
    server.execute(&format!("{address} = {}", users[PEOPLE / 2])).await;
    let (last, asked) = server.statements(synced(&acme, idp.id, "full")).await;
    assert_eq!(last["users_changed"], 1, "{last}");
    let of_accounts = asked.iter().filter(|sql| sql.contains("user_emails")).count();
    assert!(of_accounts < PEOPLE, "{of_accounts}: {asked:?}");
    let mended = format!("SELECT count(*) FROM user_emails WHERE email = 'person{}@acme.example'", PEOPLE / 2);
    assert_eq!(server.count(&mended).await, 1);
}

async fn an_address_that_nobody_proved_leads_to_no_account_of_the_organizations(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let anonymous = server.anonymous();
    // Somebody signs up with addresses that are not theirs, and waits until their owners are pushed.
    let mut ids = Vec::new();
    for address in ["ada@acme.example", "bob@acme.example"] {
        let signup = json!({"email": address, "password": PASSWORD});
        anonymous.post("/api/v1/auth/signup", signup).await.created();
        ids.push(idp.user(address).await);
    }
    // Each has another address by now: one of them said so before the organization proved its domain, one afterwards.
    let rename = |address: &str| json!([{"op": "replace", "path": "userName", "value": address}]);
    idp.patch(&format!("/scim/v2/Users/{}", ids[0]), rename("ada.l@acme.example")).await.is(200);
    prove_domain(server, &acme).await;
    synced(&acme, idp.id, "full").await;
    idp.patch(&format!("/scim/v2/Users/{}", ids[1]), rename("bob.b@acme.example")).await.is(200);
    for (id, address) in ids.iter().zip(["ada.l@acme.example", "bob.b@acme.example"]) {
        let proved = "SELECT count(*) FROM user_emails WHERE verified_at IS NOT NULL AND user_id";
        assert_eq!(server.count(&format!("{proved} = {id} AND email = '{address}'")).await, 1, "{address}");
        let login = json!({"email": address, "password": PASSWORD});
        anonymous.post("/api/v1/auth/login", login).await.error(401, "INVALID_CREDENTIALS");
    }
}

async fn one_at_a_time(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    server
        .execute(&format!(
            "INSERT INTO scim_syncs (organization_id, config_id, sync_type, status, after_id, users_changed, conflicts, \
             started_at) SELECT organization_id, id, 'full', 'in_progress', 0, 0, '[]', created_at FROM scim_configs \
             WHERE provider_id = {}",
            idp.id
        ))
        .await;
    acme.owner.client.post(SYNC, json!({"provider_id": idp.id})).await.error(409, "SYNC_IN_PROGRESS");
}

async fn who_may_and_who_may_not(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let idp = Provider::of(server, &acme).await;
    let body = json!({"provider_id": idp.id});
    server.anonymous().post(SYNC, body.clone()).await.error(401, "UNAUTHORIZED");
    acme.developer.client.post(SYNC, body.clone()).await.error(403, "FORBIDDEN");
    globex.owner.client.post(SYNC, body.clone()).await.error(404, "SCIM_NOT_CONFIGURED");
    acme.owner.client.post(SYNC, json!({"provider_id": idp.id, "sync_type": "half"})).await.invalid("sync_type");
    acme.admin.client.post(SYNC, body).await.ok();
    assert_eq!(server.audited("scim.sync", "success").await, 1);
}
