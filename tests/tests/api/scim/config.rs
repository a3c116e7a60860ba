//! `POST` and `GET /api/v1/sso/scim/config`

use chrono::Duration;
use rivergen_tests::{Backend, Server, on_both_databases};
use serde_json::{Value, json};

use super::{CONFIG, Provider, ScimAnswer, provider};

on_both_databases! {
    a_token_is_shown_once_and_works;
    a_rotated_token_ends_at_once_or_after_an_overlap;
    a_token_expires;
    switched_off_it_ends;
    whom_the_provider_shuts_out_no_administrator_lets_in;
    who_may_and_who_may_not;
    what_is_not_valid_is_named;
    another_mapping_is_applied_to_everybody;
    a_deleted_organization_has_no_scim;
    what_another_provider_pushes_is_its_own;
    what_a_removed_provider_gave_stays;
    an_id_is_given_once;
}

const USERS: &str = "/scim/v2/Users";

async fn a_token_is_shown_once_and_works(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = &acme.owner.client;
    owner.get(CONFIG).await.error(404, "SCIM_NOT_CONFIGURED");
    let id = provider(&acme, "idp").await;
    let body = json!({"provider_id": id, "default_role_id": acme.roles["Viewer"], "group_role_mapping": {"a": acme.roles["Developer"]},
        "expires_in_days": 30});
    let data = owner.post(CONFIG, body).await.created();
    let token = data["bearer_token"].as_str().unwrap().to_owned();
    assert!(token.starts_with("scim_"));
    let config = &data["config"];
    assert_eq!(config["base_url"], format!("{}/scim/v2", server.url()));
    assert!(token.starts_with(config["token_prefix"].as_str().unwrap()));
    let idp = server.anonymous().with_token(&token);
    idp.get(USERS).await.is(200);
    for table in ["scim_tokens", "scim_configs", "audit_log"] {
        let rows = server.rows(&format!("SELECT * FROM {table}")).await;
        assert!(!format!("{rows:?}").contains(&token[5..]), "{table}");
    }
    let data = owner.get(&format!("{CONFIG}?provider_id={id}")).await.ok();
    let (config, status) = (&data["config"], &data["status"]);
    assert!(!data.to_string().contains(&token));
    assert!(config["token_last_used_at"].is_string() && config["expires_at"].is_string(), "{data}");
    assert_eq!(config["token_last_used_at"], status["last_request_at"]);
    assert_eq!(
        (&config["default_role_id"], &config["group_role_mapping"]["a"]),
        (&json!(acme.roles["Viewer"]), &json!(acme.roles["Developer"]))
    );
    idp.post(USERS, json!({"schemas": [super::USER], "userName": "a@acme.example", "active": false})).await.is(201);
    let (answer, statements) = server.statements(owner.get(CONFIG)).await;
    let status = answer.ok()["status"].take();
    // They are counted without what is kept of each; PostgreSQL reads a table of a few rows whole.
    for sql in statements.iter().filter(|sql| sql.contains("COUNT(*)") && sql.contains("FROM \"scim_users\"")) {
        let plan = server.plan(sql).await;
        assert!(server.backend != Backend::Sqlite || plan.contains("COVERING INDEX scim_users_config"), "{plan}");
    }
    assert_eq!(
        (&status["provisioned_users"], &status["active_users"], &status["last_sync"]),
        (&json!(1), &json!(0), &Value::Null)
    );
    // A change issues no other token.
    let data = owner.post(CONFIG, json!({"provider_id": id, "default_role_id": null})).await.ok();
    assert_eq!((&data["bearer_token"], &data["config"]["default_role_id"]), (&Value::Null, &Value::Null));
    idp.get(USERS).await.is(200);
    assert_eq!(server.audited("scim.configure", "success").await, 2);
}

async fn a_rotated_token_ends_at_once_or_after_an_overlap(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = Provider::of(server, &acme).await;
    let rotate = async |overlap: Value| {
        let owner = server.sign_in(&acme.owner.email).await.client;
        let body = json!({"provider_id": first.id, "rotate_token": true, "overlap_hours": overlap});
        let data = owner.post(CONFIG, body).await.ok();
        server.anonymous().with_token(data["bearer_token"].as_str().unwrap())
    };
    let second = rotate(Value::Null).await;
    first.client.get(USERS).await.refused(401, None);
    second.get(USERS).await.is(200);
    let third = rotate(json!(2)).await;
    second.get(USERS).await.is(200);
    third.get(USERS).await.is(200);
    server.clock().advance(Duration::hours(2) + Duration::seconds(1));
    second.get(USERS).await.refused(401, None);
    third.get(USERS).await.is(200);
}

async fn a_token_expires(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    acme.owner.client.post(CONFIG, json!({"provider_id": idp.id, "expires_in_days": 1})).await.ok();
    idp.client.get(USERS).await.is(200);
    server.clock().advance(Duration::days(1) + Duration::seconds(1));
    idp.client.get(USERS).await.refused(401, None);
}

async fn switched_off_it_ends(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let id = idp.user("ada@acme.example").await;
    let owner = &acme.owner.client;
    let data = owner.post(CONFIG, json!({"provider_id": idp.id, "enabled": false})).await.ok();
    assert_eq!((&data["config"]["token_prefix"], &data["bearer_token"]), (&Value::Null, &Value::Null));
    idp.client.get(USERS).await.refused(401, None);
    let active = format!("SELECT count(*) FROM memberships WHERE user_id = {id} AND status = 'active'");
    assert_eq!(server.count(&active).await, 1);
    let data = owner.post(CONFIG, json!({"provider_id": idp.id})).await.ok();
    idp.client.get(USERS).await.refused(401, None);
    let again = server.anonymous().with_token(data["bearer_token"].as_str().unwrap());
    assert_eq!(again.get(USERS).await.is(200)["totalResults"], 1);
}

async fn whom_the_provider_shuts_out_no_administrator_lets_in(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let id = idp.user("ada@acme.example").await;
    let (scim, status) = (format!("{USERS}/{id}"), format!("/api/v1/users/{id}/status"));
    let member = format!("/api/v1/organizations/{}/members/{id}", acme.id);
    let owner = &acme.owner.client;
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    idp.patch(&scim, off.clone()).await.is(200);
    owner.put(&status, json!({"status": "active"})).await.error(409, "CONFLICT");
    owner.patch(&member, json!({"status": "active"})).await.error(409, "CONFLICT");
    let many = json!({"organization_id": acme.id, "user_ids": [id.parse::<i64>().unwrap()], "status": "active"});
    let data = owner.post("/api/v1/users/bulk-status", many).await.ok();
    assert_eq!(data["results"][0]["code"], "CONFLICT");
    // Suspended by people, they stay so when the provider lets them in; and while it does not, nobody else does.
    owner.put(&status, json!({"status": "suspended"})).await.ok();
    owner.put(&status, json!({"status": "active"})).await.error(409, "CONFLICT");
    idp.patch(&scim, json!([{"op": "replace", "path": "active", "value": true}])).await.is(200);
    assert_eq!(owner.get(&member).await.ok()["member"]["status"], "suspended");
    owner.put(&status, json!({"status": "active"})).await.ok();
    // Without the provider they are an administrator's to manage.
    idp.patch(&scim, off).await.is(200);
    assert_eq!(owner.get(&member).await.ok()["member"]["managed_by_scim"], true);
    owner.delete(&format!("/api/v1/sso/providers/{}", idp.id)).await.ok();
    owner.put(&status, json!({"status": "active"})).await.ok();
    assert_eq!(owner.get(&member).await.ok()["member"]["managed_by_scim"], false);
}

async fn who_may_and_who_may_not(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let idp = Provider::of(server, &globex).await;
    let body = json!({"provider_id": idp.id});
    server.anonymous().post(CONFIG, body.clone()).await.error(401, "UNAUTHORIZED");
    acme.developer.client.post(CONFIG, body.clone()).await.error(403, "FORBIDDEN");
    acme.developer.client.get(CONFIG).await.error(403, "FORBIDDEN");
    acme.owner.client.post(CONFIG, body).await.error(404, "PROVIDER_NOT_FOUND");
    acme.owner.client.get(&format!("{CONFIG}?provider_id={}", idp.id)).await.error(404, "SCIM_NOT_CONFIGURED");
    let own = provider(&acme, "idp").await;
    let foreign = json!({"provider_id": own, "default_role_id": globex.roles["Viewer"]});
    acme.owner.client.post(CONFIG, foreign).await.error(404, "ROLE_NOT_FOUND");
    let foreign = json!({"provider_id": own, "group_role_mapping": {"a": globex.roles["Viewer"]}});
    acme.owner.client.post(CONFIG, foreign).await.error(404, "ROLE_NOT_FOUND");
    // A token is made by somebody who has just proved who they are, and by no program.
    server.clock().advance(Duration::minutes(11));
    acme.owner.client.post(CONFIG, json!({"provider_id": own})).await.error(403, "REAUTHENTICATION_REQUIRED");
    assert_eq!(server.count("SELECT count(*) FROM scim_configs").await, 1);
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = provider(&acme, "idp").await;
    for (field, value) in [
        ("expires_in_days", json!(0)),
        ("expires_in_days", json!(366)),
        ("overlap_hours", json!(169)),
        ("group_role_mapping", json!({"": acme.roles["Viewer"]})),
        ("group_role_mapping", json!({"x".repeat(256): acme.roles["Viewer"]})),
        ("default_role_id", json!(acme.roles["Admin"])),
        ("nothing", json!(1)),
    ] {
        acme.owner.client.post(CONFIG, json!({"provider_id": id, field: value})).await.invalid(field);
    }
}

async fn another_mapping_is_applied_to_everybody(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let ada = idp.user("ada@acme.example").await;
    idp.group("Engineering", &[&ada]).await;
    let map = async |mapping: Value| {
        acme.owner.client.post(CONFIG, json!({"provider_id": idp.id, "group_role_mapping": mapping})).await.ok();
    };
    map(json!({"engineering": acme.roles["Developer"]})).await;
    rivergen_tests::eventually("the role to be given", async || {
        super::roles_of(server, &acme, &ada).await.contains(&"Developer".to_owned()).then_some(())
    })
    .await;
    map(json!({})).await;
    rivergen_tests::eventually("the role to be taken", async || {
        (super::roles_of(server, &acme, &ada).await == ["Viewer"]).then_some(())
    })
    .await;
}

async fn a_deleted_organization_has_no_scim(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    idp.client.get(USERS).await.is(200);
    server.execute(&format!("UPDATE organizations SET deleted_at = created_at WHERE id = {}", acme.id)).await;
    server.forget().await;
    idp.client.get(USERS).await.refused(401, None);
}

async fn what_another_provider_pushes_is_its_own(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = Provider::mapping(server, &acme, json!({"Engineering": acme.roles["Developer"]})).await;
    let second = Provider::named(server, &acme, "second", json!({"Science": acme.roles["Developer"]})).await;
    let (ada, bob) = (first.user("ada@acme.example").await, first.user("bob@acme.example").await);
    let group = first.group("Engineering", &[&ada, &bob]).await;
    // Whoever pushed it last says what it gives.
    let path = format!("/scim/v2/Groups/{group}");
    second.patch(&path, json!([{"op": "replace", "path": "externalId", "value": "g"}])).await.is(204);
    assert_eq!(super::roles_of(server, &acme, &ada).await, ["Viewer"]);
    second.patch(&path, json!([{"op": "replace", "path": "displayName", "value": "Science"}])).await.is(204);
    assert_eq!(super::roles_of(server, &acme, &ada).await, ["Developer", "Viewer"]);
    second.patch(&format!("{USERS}/{ada}"), json!([{"op": "add", "path": "title", "value": "x"}])).await.is(200);
    // With the first goes what only it pushed.
    acme.owner.client.delete(&format!("/api/v1/sso/providers/{}", first.id)).await.ok();
    first.client.get(USERS).await.refused(401, None);
    second.client.get(&format!("{USERS}/{ada}")).await.is(200);
    second.client.get(&format!("{USERS}/{bob}")).await.refused(404, None);
    assert_eq!(second.members(&group).await, std::slice::from_ref(&ada));
    // He stays a member with what he has, and comes back under the same id; her role still goes with the group.
    assert_eq!(super::roles_of(server, &acme, &bob).await, ["Developer", "Viewer"]);
    assert_eq!(second.user("bob@acme.example").await, bob);
    let remove = json!([{"op": "remove", "path": format!("members[value eq \"{ada}\"]")}]);
    second.patch(&path, remove).await.is(204);
    assert_eq!(super::roles_of(server, &acme, &ada).await, ["Viewer"]);
}

async fn what_a_removed_provider_gave_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = Provider::mapping(server, &acme, json!({"Engineering": acme.roles["Developer"]})).await;
    let second = Provider::named(server, &acme, "second", json!({})).await;
    let eve = second.user("eve@acme.example").await;
    let group = first.group("Engineering", &[&eve]).await;
    assert_eq!(super::roles_of(server, &acme, &eve).await, ["Developer", "Viewer"]);
    acme.owner.client.delete(&format!("/api/v1/sso/providers/{}", first.id)).await.ok();
    second.client.get(&format!("/scim/v2/Groups/{group}")).await.refused(404, None);
    // An administrator's to take from now on, and no group's.
    second.group("Other", &[&eve]).await;
    assert_eq!(super::roles_of(server, &acme, &eve).await, ["Developer", "Viewer"]);
}

async fn an_id_is_given_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = Provider::of(server, &acme).await;
    let group = first.group("Engineering", &[]).await;
    acme.owner.client.delete(&format!("/api/v1/sso/providers/{}", first.id)).await.ok();
    let second = Provider::of(server, &acme).await;
    assert_ne!(second.group("Engineering", &[]).await, group);
    assert_ne!(second.id, first.id);
}
