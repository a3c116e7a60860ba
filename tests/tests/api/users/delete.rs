//! `DELETE /api/v1/users/{user_id}`

use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

use crate::invitations::{accept, invite, token};

on_both_databases! {
    a_removed_user_is_out_at_once_and_keeps_the_account;
    an_account_of_this_organization_alone_is_erased;
    a_guest_of_a_personal_organization_is_not_its_owners;
    the_rules_hold;
}

fn path(id: i64) -> String {
    format!("/api/v1/users/{id}")
}

async fn a_removed_user_is_out_at_once_and_keeps_the_account(server: &Server) {
    let acme = server.organization("Acme").await;
    let viewer = &acme.viewer;
    let source = acme.developer.file_source("Products", "csv", "products.csv", b"sku\nP1\n".to_vec()).await;
    let heir = format!("{}?transfer_to={}", path(acme.developer.id), viewer.id);
    acme.admin
        .client
        .delete(&format!("{}?transfer_to={}", path(viewer.id), viewer.id))
        .await
        .error(404, "USER_NOT_FOUND");
    acme.admin.client.delete(&heir).await.ok();
    let owners =
        format!("SELECT count(*) FROM data_sources WHERE id = {source} AND created_by_user_id = {}", viewer.id);
    assert_eq!(server.count(&owners).await, 1);
    acme.admin.client.delete(&path(viewer.id)).await.ok();
    viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    let again = server.sign_in(&viewer.email).await;
    assert_eq!(again.client.get("/api/v1/organizations").await.ok()["total_count"], 0);
    for table in ["memberships", "role_assignments", "member_words"] {
        assert_eq!(server.count(&format!("SELECT count(*) FROM {table} WHERE user_id = {}", viewer.id)).await, 0);
    }
    acme.admin.client.delete(&path(viewer.id)).await.error(404, "USER_NOT_FOUND");
    assert_eq!(server.audited("user.delete", "success").await, 2);
}

async fn an_account_of_this_organization_alone_is_erased(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.admin.client.delete(&format!("{}?erase=true", path(acme.viewer.id))).await.ok();
    let closed =
        format!("SELECT count(*) FROM users WHERE id = {} AND deletion_requested_at IS NOT NULL", acme.viewer.id);
    assert_eq!(server.count(&closed).await, 1);
    // One with another organization is not this one's to erase.
    let globex = server.organization("Globex").await;
    let (user, other) = (acme.developer.id, globex.id);
    server
        .execute(&format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at, name_key, email) \
             SELECT {other}, {user}, status, source, attributes, joined_at, name_key, email FROM memberships \
             WHERE user_id = {user}"
        ))
        .await;
    acme.admin.client.delete(&format!("{}?erase=true", path(user))).await.error(409, "CONFLICT");
    assert_eq!(server.count(&format!("SELECT count(*) FROM memberships WHERE user_id = {user}")).await, 2);
}

/// Whoever has an organization of their own may invite others to it, whose account is none of their business.
async fn a_guest_of_a_personal_organization_is_not_its_owners(server: &Server) {
    let acme = server.organization("Acme").await;
    let eve = server.newcomer("eve@new.example").await;
    let home = eve.client.get("/api/v1/workspaces").await.ok()["workspaces"][0].clone();
    let (organization, viewer) = (&home["organization_id"], &acme.viewer);
    let wanted = json!({"email": viewer.email, "workspace_id": home["id"]});
    eve.client.post(&format!("/api/v1/organizations/{organization}/members/invite"), wanted).await.created();
    accept(&viewer.client, &token(server, &viewer.email, 1).await).await.ok();
    eve.client.delete(&format!("{}?erase=true", path(viewer.id))).await.error(409, "CONFLICT");
    eve.client.put(&path(viewer.id), json!({"display_name": "Mallory"})).await.error(403, "FORBIDDEN");
    viewer.client.get("/api/v1/data-sources").await.ok();
    // Nor is it Acme's, as long as they are a guest there.
    acme.admin.client.delete(&format!("{}?erase=true", path(viewer.id))).await.error(409, "CONFLICT");
    eve.client.delete(&path(viewer.id)).await.ok();
    acme.admin.client.put(&path(viewer.id), json!({"display_name": "Vera"})).await.ok();
    // Their own one hinders nobody.
    invite(&acme, &eve.email, "Viewer").await;
    accept(&eve.client, &token(server, &eve.email, 1).await).await.ok();
    acme.admin.client.put(&path(eve.id), json!({"display_name": "Eve"})).await.ok();
    acme.admin.client.delete(&format!("{}?erase=true", path(eve.id))).await.ok();
    server
        .anonymous()
        .post("/api/v1/auth/login", json!({"email": eve.email, "password": PASSWORD}))
        .await
        .error(403, "USER_DISABLED");
}

async fn the_rules_hold(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.developer.client.delete(&path(acme.viewer.id)).await.error(403, "FORBIDDEN");
    acme.admin.client.delete(&path(acme.owner.id)).await.error(403, "FORBIDDEN");
    acme.owner.client.delete(&path(acme.owner.id)).await.error(409, "CANNOT_CHANGE_SELF");
    acme.owner.client.delete(&path(globex.viewer.id)).await.error(404, "USER_NOT_FOUND");
    let elsewhere = format!("{}?organization_id={}", path(globex.viewer.id), globex.id);
    acme.owner.client.delete(&elsewhere).await.error(404, "USER_NOT_FOUND");
}
