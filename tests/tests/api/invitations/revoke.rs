//! `DELETE /api/v1/invitations/{invitation}`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{accept, invite, preview_path, token};

on_both_databases! {
    a_revoked_invitation_is_dead_at_once;
    only_what_is_not_accepted_is_revoked;
    whoever_may_not_invite_may_not_revoke;
    anothers_is_not_found;
}

const ADA: &str = "ada@new.example";

fn path(id: i64) -> String {
    format!("/api/v1/invitations/{id}")
}

async fn a_revoked_invitation_is_dead_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = invite(&acme, ADA, "Viewer").await;
    let token = token(server, ADA, 1).await;
    let data = acme.admin.client.delete(&path(id)).await.ok();
    assert_eq!(data["invitation_id"], id);
    server.anonymous().get(&preview_path(&token)).await.error(410, "INVITATION_NOT_PENDING");
    let row = server.rows("SELECT status FROM invitations").await;
    assert_eq!(row, [json!({"status": "revoked"})]);
    assert_eq!(server.audited("invitation.revoke", "success").await, 1);
    // The address can be invited again.
    invite(&acme, ADA, "Viewer").await;
}

async fn only_what_is_not_accepted_is_revoked(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer(ADA).await;
    let id = invite(&acme, ADA, "Viewer").await;
    accept(&ada.client, &token(server, ADA, 1).await).await.ok();
    acme.admin.client.delete(&path(id)).await.error(409, "INVITATION_NOT_PENDING");
    let id = invite(&acme, "eve@new.example", "Viewer").await;
    acme.admin.client.delete(&path(id)).await.ok();
    acme.admin.client.delete(&path(id)).await.error(409, "INVITATION_NOT_PENDING");
    // One that has expired is withdrawn for good: it cannot be sent again.
    let id = invite(&acme, "eve@new.example", "Viewer").await;
    server.clock().advance(Duration::days(8));
    let admin = server.sign_in(&acme.admin.email).await.client;
    admin.delete(&path(id)).await.ok();
    let resend = format!("/api/v1/organizations/{}/invitations/{id}/resend", acme.id);
    admin.post_empty(&resend).await.error(409, "INVITATION_NOT_PENDING");
}

async fn whoever_may_not_invite_may_not_revoke(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = invite(&acme, ADA, "Viewer").await;
    for person in [&acme.developer, &acme.viewer] {
        person.client.delete(&path(id)).await.error(403, "FORBIDDEN");
    }
    let reader = json!({"name": "x", "scopes": ["read"]});
    let reader = acme.owner.client.post("/api/v1/auth/tokens", reader).await.created();
    acme.owner.client.with_token(reader["token"].as_str().unwrap()).delete(&path(id)).await.error(403, "FORBIDDEN");
    server.anonymous().delete(&path(id)).await.error(401, "UNAUTHORIZED");
    assert_eq!(server.audited("invitation.revoke", "success").await, 0);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = invite(&globex, ADA, "Viewer").await;
    acme.owner.client.delete(&path(id)).await.error(404, "INVITATION_NOT_FOUND");
    acme.owner.client.delete(&path(987_654_321)).await.error(404, "INVITATION_NOT_FOUND");
    acme.owner.client.delete("/api/v1/invitations/x").await.error(404, "NOT_FOUND");
    // The token of the link is no id.
    let link = preview_path(&token(server, ADA, 1).await);
    globex.owner.client.delete(&link).await.error(404, "NOT_FOUND");
}
