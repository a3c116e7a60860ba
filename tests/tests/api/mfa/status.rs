//! `GET /api/v1/mfa/status`, and what an organization that requires a second factor does.

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    the_status_tells_what_is_on;
    an_organization_that_requires_a_factor_is_closed_without_one;
    the_last_factor_stays_where_one_is_required;
}

async fn the_status_tells_what_is_on(server: &Server) {
    let acme = server.organization("Acme").await;
    let viewer = &acme.viewer;
    let status = viewer.client.get("/api/v1/mfa/status").await.ok();
    assert_eq!(status["mfa_enabled"], false);
    assert_eq!((&status["methods"], &status["primary_method"]), (&json!([]), &json!(null)));
    viewer.authenticator_app(server).await;
    let status = viewer.client.get("/api/v1/mfa/status").await.ok();
    assert_eq!((status["mfa_enabled"].as_bool(), status["primary_method"].as_str()), (Some(true), Some("totp")));
    assert_eq!(status["methods"][0]["type"], "totp");
    assert_eq!((status["backup_codes_remaining"].as_i64(), status["mfa_required"].as_bool()), (Some(10), Some(false)));
    let me = viewer.client.get("/api/v1/auth/me").await.ok();
    assert_eq!(
        (me["security"]["mfa_enabled"].as_bool(), &me["security"]["mfa_methods"]),
        (Some(true), &json!(["totp"]))
    );
}

async fn an_organization_that_requires_a_factor_is_closed_without_one(server: &Server) {
    let acme = server.organization("Acme").await;
    server.secure("Acme", json!({"mfa_required": true, "mfa_grace_days": 3})).await;
    let status = acme.viewer.client.get("/api/v1/mfa/status").await.ok();
    assert_eq!((status["mfa_required"].as_bool(), &status["required_by"]), (Some(true), &json!([acme.id])));
    // In the days of grace everything goes on.
    acme.viewer.client.get("/api/v1/data-sources").await.ok();
    server.clock().advance(Duration::days(3));
    let viewer = server.sign_in(&acme.viewer.email).await;
    viewer.client.get("/api/v1/data-sources").await.error(403, "MFA_ENROLLMENT_REQUIRED");
    viewer.client.get(&format!("/api/v1/organizations/{}", acme.id)).await.error(403, "MFA_ENROLLMENT_REQUIRED");
    viewer.client.get("/api/v1/auth/me").await.ok();
    // Setting one up opens the session that does.
    let app = viewer.authenticator_app(server).await;
    viewer.client.get("/api/v1/data-sources").await.ok();
    let again = server.sign_in_with(&acme.viewer.email, &app).await;
    again.client.get("/api/v1/data-sources").await.ok();
}

async fn the_last_factor_stays_where_one_is_required(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.authenticator_app(server).await;
    server.secure("Acme", json!({"mfa_required": true})).await;
    let id = acme.viewer.client.get("/api/v1/mfa/totp/devices").await.ok()["devices"][0]["id"].as_i64().unwrap();
    let path = format!("/api/v1/mfa/totp/devices/{id}");
    acme.viewer.client.delete(&path).await.error(409, "MFA_REQUIRED_BY_ORGANIZATION");
    server.secure("Acme", json!({"mfa_required": false})).await;
    acme.viewer.client.delete(&path).await.ok();
}
