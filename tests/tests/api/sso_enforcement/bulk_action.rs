//! `POST /api/v1/sso/enforcement/bulk-action/{organization_id}`

use reqwest::Method;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::path;
use crate::sso::enforced;

on_both_databases! {
    chosen_members_are_reminded_once_a_day;
    a_report_says_who_has_what;
    strangers_are_not_probed;
}

async fn chosen_members_are_reminded_once_a_day(server: &Server) {
    let acme = server.organization("Acme").await;
    let at = path("bulk-action", &acme);
    let remind = async |action: &str, ids: serde_json::Value| {
        acme.admin.client.post(&format!("{at}?action={action}"), json!({"user_ids": ids})).await
    };
    acme.viewer.authenticator_app(server).await;
    let done = remind("send_mfa_reminders", json!([acme.viewer.id, acme.developer.id])).await.ok();
    assert_eq!((&done["users_affected"], &done["action"]), (&json!(1), &json!("send_mfa_reminders")));
    server.mailbox().titled(&acme.developer.email, "second factor").await;
    remind("send_mfa_reminders", json!([acme.developer.id])).await.error(429, "RATE_LIMITED");
    // Who got it is passed over, whoever else is there.
    let done = remind("send_mfa_reminders", json!([acme.developer.id, acme.admin.id])).await.ok();
    assert_eq!(done["users_affected"], 1);
    assert_eq!(remind("send_mfa_reminders", json!([])).await.ok()["users_affected"], 0);
    // Who needs none is no reason to wait.
    assert_eq!(remind("send_mfa_reminders", json!([acme.viewer.id])).await.ok()["users_affected"], 0);
    assert_eq!(remind("send_sso_reminders", json!([acme.developer.id])).await.ok()["users_affected"], 1);
    // Everybody else at once, by the same limit as the notices.
    let all = acme.admin.client.post(&format!("{at}?action=send_mfa_reminders"), json!({})).await.ok();
    assert_eq!(all["users_affected"], 1);
    let again = acme.admin.client.post(&format!("{at}?action=send_mfa_reminders"), json!({})).await;
    again.error(429, "RATE_LIMITED");
    let notices = format!("{}?notification_type=mfa_setup", path("notifications", &acme));
    acme.admin.client.post_empty(&notices).await.error(429, "RATE_LIMITED");
    acme.admin.client.post(&format!("{at}?action=dance"), json!({})).await.invalid("action");
    acme.admin.client.post(&at, json!({})).await.invalid("action");
    acme.admin
        .client
        .post_raw(&format!("{at}?action=send_mfa_reminders"), "application/json", "{")
        .await
        .error(400, "INVALID_REQUEST");
}

async fn a_report_says_who_has_what(server: &Server) {
    let acme = server.organization("Acme").await;
    let at = format!("{}?action=generate_migration_report", path("bulk-action", &acme));
    enforced::link(server, &acme, &acme.viewer, json!([])).await;
    acme.owner.authenticator_app(server).await;
    let done = acme.admin.client.post(&at, json!({})).await.ok();
    let report = &done["report"];
    assert_eq!((&done["users_affected"], &report["truncated"]), (&json!(4), &json!(false)));
    assert_eq!(report["totals"], json!({"users": 4, "sso_linked": 1, "mfa_enabled": 1}));
    let users = report["users"].as_array().unwrap();
    let of = |id: i64| users.iter().find(|user| user["user_id"] == id).unwrap();
    assert_eq!((&of(acme.viewer.id)["sso_linked"], &of(acme.viewer.id)["mfa_enabled"]), (&json!(true), &json!(false)));
    assert_eq!((&of(acme.owner.id)["sso_linked"], &of(acme.owner.id)["mfa_enabled"]), (&json!(false), &json!(true)));
    let some = acme.admin.client.post(&at, json!({"user_ids": [acme.viewer.id]})).await.ok();
    assert_eq!(some["report"]["totals"]["users"], 1);

    // As a file; what a spreadsheet would take for a formula is none.
    server
        .execute(&format!("UPDATE memberships SET email = '=cmd@acme.example' WHERE user_id = {}", acme.developer.id))
        .await;
    let request = acme.admin.client.request(Method::POST, &at).header("accept", "text/csv").json(&json!({}));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "text/csv; charset=utf-8");
    let text = answer.text().await.unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("user_id,email,sso_linked,mfa_enabled,last_login_at"));
    assert_eq!(lines.clone().count(), 4);
    assert!(lines.clone().any(|line| line.starts_with(&format!("{},viewer@acme.example,true,false,", acme.viewer.id))));
    assert!(lines.any(|line| line.contains(",'=cmd@acme.example,")), "{text}");
    assert_eq!(server.audited("sso_enforcement.report", "success").await, 3);
}

async fn strangers_are_not_probed(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    for action in ["send_mfa_reminders", "send_sso_reminders", "generate_migration_report"] {
        let at = format!("{}?action={action}", path("bulk-action", &acme));
        for stranger in [globex.viewer.id, 999_999] {
            let body = json!({"user_ids": [acme.viewer.id, stranger]});
            acme.admin.client.post(&at, body).await.invalid("user_ids");
        }
        acme.admin.client.post(&at, json!({"user_ids": vec![acme.viewer.id; 1001]})).await.invalid("user_ids");
        acme.developer.client.post(&at, json!({})).await.error(403, "FORBIDDEN");
        globex.owner.client.post(&at, json!({})).await.error(404, "ORGANIZATION_NOT_FOUND");
        server.anonymous().post(&at, json!({})).await.error(401, "UNAUTHORIZED");
    }
    assert!(server.mailbox().to(&globex.viewer.email).is_empty());
}
