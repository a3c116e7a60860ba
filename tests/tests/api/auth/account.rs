//! `PUT /api/v1/auth/me/profile`, `POST /api/v1/auth/me/emails`, `POST /api/v1/auth/switch-workspace`,
//! `DELETE /api/v1/auth/me`

use chrono::Duration;
use rivergen_kernel::ErrorCode;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    a_profile_is_changed_in_part;
    a_further_address_counts_when_it_is_verified;
    the_primary_address_changes_when_both_sides_agree;
    nobody_keeps_anothers_address_from_them;
    a_session_moves_to_another_workspace;
    a_closed_account_is_closed_at_once_and_purged_later;
    one_that_cannot_be_purged_holds_up_no_other;
    a_closed_account_can_be_restored;
    an_organization_that_is_deleted_already_holds_nobody;
    the_last_administrator_stays;
    of_two_at_once_one_is_the_last_that_there_is_room_for;
}

const PROFILE: &str = "/api/v1/auth/me/profile";
const EMAILS: &str = "/api/v1/auth/me/emails";
const ME: &str = "/api/v1/auth/me";

async fn a_profile_is_changed_in_part(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let body = json!({"display_name": "Vera", "profile": {"locale": "en", "theme": {"dark": true}}});
    let data = viewer.client.put(PROFILE, body).await.ok();
    assert_eq!((data["user_id"].as_i64(), data["display_name"].as_str()), (Some(viewer.id), Some("Vera")));
    let data = viewer.client.put(PROFILE, json!({"profile": {"locale": null, "theme": {"size": 2}}})).await.ok();
    assert_eq!(data["profile"], json!({"theme": {"dark": true, "size": 2}}));
    let me = viewer.client.get(ME).await.ok();
    assert_eq!((me["user"]["display_name"].as_str(), &me["user"]["profile"]), (Some("Vera"), &data["profile"]));
    assert_eq!(server.audited("user.update_profile", "success").await, 2);
    for blank in ["", " ", "\n\u{a0}"] {
        viewer.client.put(PROFILE, json!({"display_name": blank})).await.invalid("display_name");
    }
    viewer.client.put(PROFILE, json!({"profile_image_url": "javascript:alert(1)"})).await.invalid("profile_image_url");
    viewer.client.put(PROFILE, json!({"profile": {"x": "y".repeat(70_000)}})).await.invalid("profile");
    let image = "data:image/gif;base64,R0lGODlhAQABAAAAACw=";
    let data = viewer.client.put(PROFILE, json!({"profile_image_url": image})).await.ok();
    assert_eq!(data["profile_image_url"], image);
}

async fn a_further_address_counts_when_it_is_verified(server: &Server) {
    let acme = server.organization("Acme").await;
    let data = acme.viewer.client.post(EMAILS, json!({"email": "Vera@Home.example"})).await.created();
    assert_eq!((data["email"].as_str(), data["verified"].as_bool()), (Some("vera@home.example"), Some(false)));
    let login = json!({"email": "vera@home.example", "password": PASSWORD});
    server.anonymous().post("/api/v1/auth/login", login.clone()).await.error(401, "INVALID_CREDENTIALS");
    let token = server.mailbox().token("vera@home.example", 1).await;
    let verified = server.anonymous().post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    assert!(verified["access_token"].is_null(), "a further address opens no session: {verified}");
    server.anonymous().post("/api/v1/auth/login", login).await.ok();
    let me = acme.viewer.client.get(ME).await.ok();
    assert_eq!(me["user"]["primary_email"], "viewer@acme.example");
    assert_eq!(
        (me["emails"][1]["verified"].as_bool(), me["emails"][1]["is_primary"].as_bool()),
        (Some(true), Some(false))
    );
    server.mailbox().titled("viewer@acme.example", "address was added").await;
    acme.viewer.client.post(EMAILS, json!({"email": "owner@acme.example"})).await.error(409, "EMAIL_TAKEN");
    acme.viewer.client.post(EMAILS, json!({"email": "no address"})).await.invalid("email");
}

async fn the_primary_address_changes_when_both_sides_agree(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let body = json!({"email": "vera@home.example", "make_primary": true});
    server.clock().advance(Duration::minutes(11));
    viewer.client.post(EMAILS, body.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
    let viewer = server.sign_in(&viewer.email).await;
    viewer.client.post(EMAILS, body).await.created();
    let follow = async |address: &str, subject: &str| {
        let mail = server.mailbox().titled(address, subject).await;
        let token = mail.links()[0].split_once("token=").unwrap().1.to_owned();
        server.anonymous().post("/api/v1/auth/verify-email", json!({"token": token})).await.ok()
    };
    let primary = async || viewer.client.get(ME).await.ok()["user"]["primary_email"].as_str().unwrap().to_owned();
    follow("vera@home.example", "Verify").await;
    assert_eq!(primary().await, "viewer@acme.example");
    follow("viewer@acme.example", "Confirm the change").await;
    assert_eq!(primary().await, "vera@home.example");
    server.mailbox().titled("viewer@acme.example", "address was changed").await;
    assert_eq!(server.audited("user.approve_email_change", "success").await, 1);
}

async fn nobody_keeps_anothers_address_from_them(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.post(EMAILS, json!({"email": "ada@new.example"})).await.created();
    // Never proved, so it is free for whom it belongs to.
    let signup = json!({"email": "ada@new.example", "password": PASSWORD});
    server.anonymous().post("/api/v1/auth/signup", signup).await.created();
    let me = acme.viewer.client.get(ME).await.ok();
    assert!(server.count("SELECT count(*) FROM user_emails WHERE email = 'ada@new.example'").await == 1, "{me}");
    acme.developer.client.post(EMAILS, json!({"email": "ada@new.example"})).await.error(409, "EMAIL_TAKEN");
}

async fn a_session_moves_to_another_workspace(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let path = format!("/api/v1/organizations/{}/workspaces", acme.id);
    let lab = acme.admin.client.post(&path, json!({"name": "Lab"})).await.created();
    let lab = lab["workspace"]["id"].as_i64().or(lab["id"].as_i64()).unwrap();
    let switch =
        async |id: i64| acme.admin.client.post("/api/v1/auth/switch-workspace", json!({"workspace_id": id})).await;
    switch(globex.workspace_id).await.error(404, "NOT_FOUND");
    switch(-1).await.error(404, "NOT_FOUND");
    let data = switch(lab).await.ok();
    assert_eq!((data["organization_id"].as_i64(), data["workspace_id"].as_i64()), (Some(acme.id), Some(lab)));
    // The old tokens are dead, the new ones live, and it is the same session.
    acme.admin.client.get(ME).await.error(401, "UNAUTHORIZED");
    let moved = acme.admin.client.with_token(data["access_token"].as_str().unwrap());
    let sessions = moved.get("/api/v1/sessions").await.ok();
    assert_eq!(
        (sessions["active_count"].as_i64(), sessions["sessions"][0]["is_current"].as_bool()),
        (Some(1), Some(true))
    );
    let refresh = json!({"refresh_token": acme.admin.refresh_token});
    server.anonymous().post("/api/v1/auth/refresh", refresh).await.error(401, "INVALID_REFRESH_TOKEN");
}

async fn a_closed_account_is_closed_at_once_and_purged_later(server: &Server) {
    let ada = server.newcomer("ada@new.example").await;
    let token = ada.client.post("/api/v1/auth/tokens", json!({"name": "x", "scopes": ["read"]})).await.created();
    let delete = async |body: serde_json::Value| {
        ada.client.send(ada.client.request(reqwest::Method::DELETE, ME).json(&body)).await
    };
    delete(json!({})).await.error(400, "INVALID_CURRENT_PASSWORD");
    delete(json!({"current_password": "Wrong1horse"})).await.error(400, "INVALID_CURRENT_PASSWORD");
    delete(json!({"current_password": PASSWORD})).await.no_content();
    ada.client.get(ME).await.error(401, "UNAUTHORIZED");
    let program = ada.client.with_token(token["token"].as_str().unwrap());
    program.get("/api/v1/organizations").await.error(401, "UNAUTHORIZED");
    let login = json!({"email": "ada@new.example", "password": PASSWORD});
    server.anonymous().post("/api/v1/auth/login", login).await.error(403, "USER_DISABLED");
    assert_eq!(server.count("SELECT count(*) FROM organizations WHERE deleted_at IS NULL").await, 0);

    server.later(Duration::days(30)).await;
    rivergen_tests::eventually("the purge", async || {
        server.run_due_jobs().await;
        (server.count("SELECT count(*) FROM users").await == 0).then_some(())
    })
    .await;
    for table in ["user_emails", "sessions", "personal_access_tokens", "memberships"] {
        assert_eq!(server.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
    assert_eq!(server.audited("user.delete", "success").await, 1);
}

async fn one_that_cannot_be_purged_holds_up_no_other(server: &Server) {
    let (ada, bob) = (server.newcomer("ada@new.example").await, server.newcomer("bob@new.example").await);
    server.execute("CREATE TABLE stuck (user_id bigint REFERENCES users (id))").await;
    server.execute(&format!("INSERT INTO stuck (user_id) VALUES ({})", ada.id)).await;
    let body = json!({"current_password": PASSWORD});
    for person in [&ada, &bob] {
        person.client.send(person.client.request(reqwest::Method::DELETE, ME).json(&body)).await.no_content();
    }
    let left = async || {
        let rows = server.rows("SELECT id FROM users").await;
        rows.iter().map(|row| row["id"].as_i64().unwrap()).collect::<Vec<_>>()
    };
    server.later(Duration::days(31)).await;
    assert_eq!(left().await, [ada.id]);
    // It is tried again.
    server.execute("DROP TABLE stuck").await;
    server.later(Duration::hours(2)).await;
    assert!(left().await.is_empty());
    assert_eq!(server.audited("user.purge", "success").await, 2);
}

async fn a_closed_account_can_be_restored(server: &Server) {
    let ada = server.newcomer("ada@new.example").await;
    let body = json!({"current_password": PASSWORD});
    ada.client.send(ada.client.request(reqwest::Method::DELETE, ME).json(&body)).await.no_content();
    let identity = &server.tenancy.identity;
    rivergen_identity::account::delete::restore(identity, "ada@new.example").await.unwrap();
    let again = server.sign_in("ada@new.example").await;
    let me = again.client.get(ME).await.ok();
    assert_eq!(me["organizations"].as_array().unwrap().len(), 1, "{me}");
    // Her own organization went with her and came back, which its log tells.
    for action in ["organization.delete", "organization.restore"] {
        let told = format!("SELECT count(*) FROM audit_log WHERE action = '{action}' AND organization_id IS NOT NULL");
        assert_eq!(server.count(&told).await, 1, "{action}");
    }

    // Not when its time is over: what it held has begun to go.
    again.client.send(again.client.request(reqwest::Method::DELETE, ME).json(&body)).await.no_content();
    server.clock().advance(Duration::days(30));
    let refused = rivergen_identity::account::delete::restore(identity, "ada@new.example").await.unwrap_err();
    assert_eq!(refused.code, ErrorCode::UserNotFound);
    assert_eq!(server.audited("user.restore", "success").await, 1);
}

async fn an_organization_that_is_deleted_already_holds_nobody(server: &Server) {
    let acme = server.organization("Acme").await;
    let delete = async |person: &rivergen_tests::Person, path: &str, body: serde_json::Value| {
        person.client.send(person.client.request(reqwest::Method::DELETE, path).json(&body)).await
    };
    delete(&acme.owner, &format!("/api/v1/organizations/{}", acme.id), json!({"confirm_name": "Acme"})).await.ok();
    let deleted = format!("SELECT CAST(deleted_at AS text) AS at FROM organizations WHERE id = {}", acme.id);
    let before = server.rows(&deleted).await;
    assert!(before[0]["at"].is_string());
    server.clock().advance(Duration::days(1));
    let owner = server.sign_in(&acme.owner.email).await;
    delete(&owner, ME, json!({"current_password": PASSWORD})).await.no_content();
    // Nor does it live longer for it, or again.
    assert_eq!(server.rows(&deleted).await, before);
    rivergen_identity::account::delete::restore(&server.tenancy.identity, &acme.owner.email).await.unwrap();
    assert_eq!(server.rows(&deleted).await, before);
}

async fn the_last_administrator_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let close = async |person: &rivergen_tests::Person| {
        let body = json!({"current_password": PASSWORD});
        person.client.send(person.client.request(reqwest::Method::DELETE, ME).json(&body)).await
    };
    close(&acme.admin).await.no_content();
    server.execute(&format!("UPDATE memberships SET status = 'suspended' WHERE user_id = {}", acme.admin.id)).await;
    close(&acme.owner).await.error(409, "LAST_ADMIN");
    close(&acme.viewer).await.no_content();
    acme.owner.client.get(ME).await.ok();
}

async fn of_two_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let others = format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 18) \
         INSERT INTO user_emails (user_id, email, is_primary, becomes_primary, created_at) \
         SELECT user_id, i || email, FALSE, FALSE, created_at FROM user_emails, n WHERE user_id = {}",
        viewer.id
    );
    server.execute(&others).await;
    let body = |n: usize| json!({"email": format!("vera{n}@home.example")});
    let (made, refused) = server.two_at_once(&viewer.held(), |n| viewer.client.post(EMAILS, body(n))).await;
    made.created();
    refused.invalid("email");
    let held = format!("SELECT count(*) FROM user_emails WHERE user_id = {}", viewer.id);
    assert_eq!(server.count(&held).await, 20);
}
