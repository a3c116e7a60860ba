//! `/api/v1/mfa/backup-codes…`

use chrono::Duration;
use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    each_code_opens_once;
    a_fresh_set_voids_the_former;
    an_old_session_needs_a_proof;
    codes_are_kept_as_hashes;
}

const CODES: &str = "/api/v1/mfa/backup-codes";
const GENERATE: &str = "/api/v1/mfa/backup-codes/generate";

async fn each_code_opens_once(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let give = async |code: &str| {
        let body = json!({"temporary_token": server.first_step(&viewer.email).await, "backup_code": code});
        server.anonymous().post("/api/v1/auth/mfa/verify", body).await
    };
    give(&app.backup_codes[0].to_lowercase().replace('-', "")).await.ok();
    give(&app.backup_codes[0]).await.error(400, "INVALID_MFA_CODE");
    give(&app.backup_codes[1]).await.ok();
    let left = viewer.client.get(CODES).await.ok();
    assert_eq!((left["total_count"].as_i64(), left["remaining_count"].as_i64()), (Some(10), Some(8)));
    assert!(left["generated_at"].is_string() && left["last_used_at"].is_string(), "{left}");
    assert!(!left.to_string().contains(&app.backup_codes[2]));
}

async fn a_fresh_set_voids_the_former(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    viewer.client.post(GENERATE, json!({})).await.error(400, "MFA_NOT_ENABLED");
    let app = viewer.authenticator_app(server).await;
    let fresh = viewer.client.post(GENERATE, json!({})).await.ok();
    assert_eq!(fresh["total_count"], 10);
    let give = async |code: &str| {
        let body = json!({"temporary_token": server.first_step(&viewer.email).await, "backup_code": code});
        server.anonymous().post("/api/v1/auth/mfa/verify", body).await
    };
    give(&app.backup_codes[0]).await.error(400, "INVALID_MFA_CODE");
    give(fresh["backup_codes"][9].as_str().unwrap()).await.ok();
    assert_eq!(server.audited("mfa.backup_codes_generate", "success").await, 1);
}

async fn an_old_session_needs_a_proof(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    server.clock().advance(Duration::minutes(11));
    viewer.client.post(GENERATE, json!({})).await.error(403, "REAUTHENTICATION_REQUIRED");
    viewer.client.post(GENERATE, json!({"password": "Wrong1horse"})).await.error(400, "INVALID_CODE");
    viewer.client.post(GENERATE, json!({"password": PASSWORD})).await.ok();
    let code = app.next_code(server);
    viewer.client.post(GENERATE, json!({"code": code})).await.ok();
    viewer.client.post(GENERATE, json!({"code": code})).await.error(400, "INVALID_CODE");
    for _ in 0..2 {
        viewer.client.post(GENERATE, json!({"code": app.wrong_code(server)})).await.error(400, "INVALID_CODE");
    }
    viewer.client.post(GENERATE, json!({"code": app.next_code(server)})).await.error(429, "TOO_MANY_ATTEMPTS");
}

async fn codes_are_kept_as_hashes(server: &Server) {
    let viewer = server.organization("Acme").await.viewer;
    let app = viewer.authenticator_app(server).await;
    let rows = format!("{:?}", server.rows("SELECT * FROM mfa_backup_codes").await);
    assert!(app.backup_codes.iter().all(|code| !rows.contains(code) && !rows.contains(&code.replace('-', ""))));
}
