//! `GET /api/v1/invitations/{invitation}`

use chrono::Duration;
use rivergen_tests::{Answer, Server, on_both_databases};
use serde_json::json;

use super::{accept, invite, preview_path, token};

on_both_databases! {
    the_link_shows_what_one_is_invited_to;
    only_the_invited_person_sees_the_whole_address;
    what_is_over_is_gone;
    a_token_that_is_sent_must_be_valid;
    links_are_not_to_be_tried_out with "[limits]\nenabled = true\n[limits.rules]\ninvitation_previews = { limit = 3, per_seconds = 600 }";
}

const ADA: &str = "ada@new.example";

/// The address of the page is a secret.
fn keeps_its_address(answer: &Answer) {
    let header = |name: &str| answer.headers[name].to_str().unwrap().to_owned();
    assert_eq!((header("cache-control"), header("referrer-policy")), ("no-store".into(), "no-referrer".into()));
}

async fn the_link_shows_what_one_is_invited_to(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = invite(&acme, ADA, "Developer").await;
    let token = token(server, ADA, 1).await;
    let answer = server.anonymous().get(&preview_path(&token)).await;
    keeps_its_address(&answer);
    assert!(!answer.body.to_string().contains(&token) && !answer.body.to_string().contains(ADA));
    let data = answer.ok();
    let seen = &data["invitation"];
    assert_eq!((seen["id"].as_i64(), seen["email"].as_str()), (Some(id), Some("a•••@new.example")));
    assert_eq!(seen["organization"], json!({"id": acme.id, "name": "Acme"}));
    assert_eq!(seen["workspace"], json!({"id": acme.workspace_id, "name": "Main Workspace"}));
    assert_eq!(seen["role"], json!({"id": acme.roles["Developer"], "name": "Developer"}));
    assert_eq!(seen["status"], "pending");
    let left = seen["expires_at"].as_str().unwrap().parse::<chrono::DateTime<chrono::Utc>>().unwrap();
    assert_eq!((left - server.platform.clock.now()).num_days(), 6);
    // It uses nothing up.
    server.anonymous().get(&preview_path(&token)).await.ok();
    let answer = server.anonymous().get(&preview_path("nothing")).await;
    keeps_its_address(&answer);
    answer.error(404, "INVITATION_NOT_FOUND");
    server.anonymous().get(&preview_path(&id.to_string())).await.error(404, "INVITATION_NOT_FOUND");
}

async fn only_the_invited_person_sees_the_whole_address(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    invite(&acme, ADA, "Viewer").await;
    let path = preview_path(&token(server, ADA, 1).await);
    assert_eq!(ada.client.get(&path).await.ok()["invitation"]["email"], ADA);
    assert_eq!(acme.admin.client.get(&path).await.ok()["invitation"]["email"], "a•••@new.example");
}

async fn what_is_over_is_gone(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let preview = async |token: &str| server.anonymous().get(&preview_path(token)).await;
    let id = invite(&acme, ADA, "Viewer").await;
    let first = token(server, ADA, 1).await;
    acme.admin.client.delete(&format!("/api/v1/invitations/{id}")).await.ok();
    preview(&first).await.error(410, "INVITATION_NOT_PENDING");
    invite(&acme, ADA, "Viewer").await;
    let second = token(server, ADA, 2).await;
    accept(&ada.client, &second).await.ok();
    preview(&second).await.error(410, "INVITATION_NOT_PENDING");
    invite(&acme, "eve@new.example", "Viewer").await;
    let third = token(server, "eve@new.example", 1).await;
    server.clock().advance(Duration::days(7));
    let answer = preview(&third).await;
    keeps_its_address(&answer);
    answer.error(410, "INVITATION_EXPIRED");
    server.execute(&format!("UPDATE organizations SET deleted_at = created_at WHERE id = {}", acme.id)).await;
    preview(&third).await.error(404, "INVITATION_NOT_FOUND");
}

async fn a_token_that_is_sent_must_be_valid(server: &Server) {
    let acme = server.organization("Acme").await;
    invite(&acme, ADA, "Viewer").await;
    let path = preview_path(&token(server, ADA, 1).await);
    server.anonymous().with_token("nonsense").get(&path).await.error(401, "UNAUTHORIZED");
}

async fn links_are_not_to_be_tried_out(server: &Server) {
    for _ in 0..3 {
        server.anonymous().get(&preview_path("nothing")).await.error(404, "INVITATION_NOT_FOUND");
    }
    server.anonymous().get(&preview_path("nothing")).await.error(429, "RATE_LIMITED");
}
