//! `POST /api/v1/users`

use rivergen_tests::{Organization, PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_new_address_gets_an_account_and_a_link_to_choose_a_password;
    one_that_has_an_account_is_invited;
    the_rules_hold;
}

const PATH: &str = "/api/v1/users";

fn body(acme: &Organization, email: &str, role: &str) -> Value {
    json!({"email": email, "display_name": "Ada", "organization_id": acme.id, "role_id": acme.roles[role]})
}

async fn a_new_address_gets_an_account_and_a_link_to_choose_a_password(server: &Server) {
    let acme = server.organization("Acme").await;
    let created = acme.admin.client.post(PATH, body(&acme, "Ada@New.example", "Developer")).await.created();
    let id = created["user"]["id"].as_i64().unwrap();
    assert_eq!(created["user"]["email"], "ada@new.example");
    let seen = acme.admin.client.get(&format!("{PATH}/{id}")).await.ok();
    assert_eq!(
        (seen["user"]["auth_source"].as_str(), &seen["user"]["memberships"][0]["roles"]),
        (Some("added"), &json!(["Developer"]))
    );
    assert_eq!(seen["user"]["is_verified"], false);
    // The link proves the address too, and works for days.
    server.clock().advance(chrono::Duration::days(6));
    let token = server.mailbox().token("ada@new.example", 1).await;
    let choose = json!({"token": token, "new_password": PASSWORD});
    server.anonymous().post("/api/v1/auth/reset-password", choose).await.ok();
    let ada = server.sign_in("ada@new.example").await;
    ada.client.get("/api/v1/data-sources").await.ok();
    assert_eq!(server.audited("user.create", "success").await, 1);
    // Without a role: the organization's default.
    let plain = json!({"email": "bob@new.example", "display_name": "Bob", "organization_id": acme.id});
    let admin = server.sign_in(&acme.admin.email).await;
    let id = admin.client.post(PATH, plain).await.created()["user"]["id"].as_i64().unwrap();
    let seen = admin.client.get(&format!("{PATH}/{id}")).await.ok();
    assert_eq!(seen["user"]["memberships"][0]["roles"], json!(["Viewer"]));
}

async fn one_that_has_an_account_is_invited(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer("ada@new.example").await;
    let created = acme.admin.client.post(PATH, body(&acme, &ada.email, "Viewer")).await.created();
    assert_eq!(created["user"]["id"], Value::Null);
    assert_eq!(server.count(&format!("SELECT count(*) FROM memberships WHERE user_id = {}", ada.id)).await, 1);
    assert_eq!(server.count("SELECT count(*) FROM invitations WHERE status = 'pending'").await, 1);
    acme.admin.client.post(PATH, body(&acme, &ada.email, "Viewer")).await.error(409, "INVITATION_EXISTS");
}

async fn the_rules_hold(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let admin = &acme.admin.client;
    admin.post(PATH, body(&acme, "viewer@acme.example", "Viewer")).await.error(409, "USER_ALREADY_EXISTS");
    admin.post(PATH, body(&acme, "ada@new.example", "Owner")).await.error(403, "FORBIDDEN");
    acme.developer.client.post(PATH, body(&acme, "ada@new.example", "Viewer")).await.error(403, "FORBIDDEN");
    globex.owner.client.post(PATH, body(&acme, "ada@new.example", "Viewer")).await.error(404, "ORG_NOT_FOUND");
    let mut foreign = body(&acme, "ada@new.example", "Viewer");
    foreign["role_id"] = json!(globex.roles["Viewer"]);
    admin.post(PATH, foreign).await.error(404, "ROLE_NOT_FOUND");
    admin.post(PATH, body(&acme, "nonsense", "Viewer")).await.invalid("email");
    let mut nameless = body(&acme, "ada@new.example", "Viewer");
    nameless["display_name"] = json!(" ");
    admin.post(PATH, nameless).await.invalid("display_name");
    let mut chosen = body(&acme, "ada@new.example", "Viewer");
    chosen["password"] = json!(PASSWORD);
    admin.post(PATH, chosen).await.invalid("password");
    let domains = json!({"settings": {"allowed_email_domains": ["acme.example"]}});
    admin.patch(&format!("/api/v1/organizations/{}/settings", acme.id), domains).await.ok();
    admin.post(PATH, body(&acme, "ada@new.example", "Viewer")).await.invalid("email");
    assert_eq!(server.count("SELECT count(*) FROM users WHERE display_name = 'Ada'").await, 0);
}
