//! `GET|PUT /api/v1/users/{user_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_member_is_seen_as_the_organization_knows_them;
    oneself_is_seen_everywhere;
    an_administrator_changes_name_and_picture;
    who_holds_more_is_not_changed;
    an_account_of_several_organizations_is_its_persons_alone;
    strangers_do_not_exist;
}

fn path(id: i64) -> String {
    format!("/api/v1/users/{id}")
}

async fn a_member_is_seen_as_the_organization_knows_them(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.authenticator_app(server).await;
    let user = acme.developer.client.get(&path(acme.viewer.id)).await.ok()["user"].clone();
    assert_eq!((user["email"].as_str(), user["status"].as_str()), (Some("viewer@acme.example"), Some("active")));
    assert_eq!((user["mfa_enabled"].as_bool(), user["is_verified"].as_bool()), (Some(true), Some(true)));
    assert_eq!(user["auth_source"], "provisioned");
    assert_eq!(user["memberships"][0]["roles"], json!(["Viewer"]));
    assert!(user["last_login_at"].is_string() && user.get("password_hash").is_none());
    acme.viewer.client.get(&path(acme.owner.id)).await.error(403, "FORBIDDEN");
}

async fn oneself_is_seen_everywhere(server: &Server) {
    let ada = server.newcomer("ada@new.example").await;
    let user = ada.client.get(&path(ada.id)).await.ok()["user"].clone();
    assert_eq!((user["id"].as_i64(), user["memberships"][0]["roles"][0].as_str()), (Some(ada.id), Some("Owner")));
    ada.client.put(&path(ada.id), json!({"display_name": "Ada"})).await.ok();
    assert_eq!(ada.client.get("/api/v1/auth/me").await.ok()["user"]["display_name"], "Ada");
}

async fn an_administrator_changes_name_and_picture(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    let id = acme.viewer.id;
    let changed = client.put(&path(id), json!({"display_name": "Vera"})).await.ok();
    assert_eq!((changed["user"]["id"].as_i64(), changed["user"]["display_name"].as_str()), (Some(id), Some("Vera")));
    client.put(&path(id), json!({"profile_image_url": "https://acme.example/v.png"})).await.ok();
    assert_eq!(acme.viewer.client.get("/api/v1/auth/me").await.ok()["user"]["display_name"], "Vera");
    client.put(&path(id), json!({"profile_image_url": null})).await.ok();
    assert_eq!(client.get(&path(id)).await.ok()["user"]["profile_image_url"], Value::Null);
    client.put(&path(id), json!({"profile_image_url": "http://acme.example/v.png"})).await.invalid("profile_image_url");
    client.put(&path(id), json!({"email": "other@acme.example"})).await.invalid("email");
    for blank in ["", " ", "\u{3000}\t"] {
        client.put(&path(id), json!({"display_name": blank})).await.invalid("display_name");
    }
    assert_eq!(server.audited("user.update", "success").await, 3);
}

async fn who_holds_more_is_not_changed(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.client.put(&path(acme.owner.id), json!({"display_name": "Low"})).await.error(403, "FORBIDDEN");
    acme.developer.client.put(&path(acme.viewer.id), json!({"display_name": "Low"})).await.error(403, "FORBIDDEN");
}

async fn an_account_of_several_organizations_is_its_persons_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (user, other) = (acme.viewer.id, globex.id);
    server
        .execute(&format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email) \
             SELECT {other}, {user}, status, source, attributes, joined_at, name_key, email FROM memberships \
             WHERE user_id = {user}"
        ))
        .await;
    acme.admin.client.put(&path(user), json!({"display_name": "Theirs"})).await.error(403, "FORBIDDEN");
    let seen = acme.admin.client.get(&path(user)).await.ok();
    assert_eq!(seen["user"]["memberships"].as_array().unwrap().len(), 1);
}

async fn strangers_do_not_exist(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.owner.client.get(&path(globex.viewer.id)).await.error(404, "USER_NOT_FOUND");
    acme.owner.client.put(&path(globex.viewer.id), json!({"display_name": "X"})).await.error(404, "USER_NOT_FOUND");
    acme.owner.client.get(&path(999_999)).await.error(404, "USER_NOT_FOUND");
}
