//! `POST /api/v1/sso/enforcement/notifications/{organization_id}`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{Ready, path};
use crate::sso::enforced;

on_both_databases! {
    those_whom_it_concerns_get_it_once_a_day;
    a_warning_goes_to_those_who_lack_what_is_wanted;
    only_administrators_send_it;
}

async fn those_whom_it_concerns_get_it_once_a_day(server: &Server) {
    let acme = server.organization("Acme").await;
    let at = path("notifications", &acme);
    enforced::link(server, &acme, &acme.viewer, json!([])).await;
    let send = async |kind: &str| acme.admin.client.post_empty(&format!("{at}?notification_type={kind}")).await;
    let sent = send("sso_migration").await.ok();
    assert_eq!((&sent["notifications_sent"], &sent["notification_type"]), (&json!(3), &json!("sso_migration")));
    for person in [&acme.owner, &acme.admin, &acme.developer] {
        server.mailbox().titled(&person.email, "identity provider").await;
    }
    assert!(server.mailbox().to(&acme.viewer.email).iter().all(|mail| !mail.subject.contains("identity provider")));
    let again = send("sso_migration").await;
    assert!(again.number("retry-after") > 86_000);
    again.error(429, "RATE_LIMITED");
    assert_eq!(send("mfa_setup").await.ok()["notifications_sent"], 4);
    let status = acme.admin.client.get(&path("status", &acme)).await.ok();
    assert!(status["last_notification_at"].is_string());
    server.clock().advance(Duration::hours(24) + Duration::seconds(1));
    let admin = server.sign_in(&acme.admin.email).await;
    admin.client.post_empty(&format!("{at}?notification_type=sso_migration")).await.ok();
    assert_eq!(server.audited("sso_enforcement.notify", "success").await, 3);
    admin.client.post_empty(&format!("{at}?notification_type=party")).await.invalid("notification_type");
    admin.client.post_empty(&at).await.invalid("notification_type");
}

async fn a_warning_goes_to_those_who_lack_what_is_wanted(server: &Server) {
    let ready = Ready::new(server, "Acme").await;
    let at = format!("{}?notification_type=enforcement_warning", path("notifications", &ready.acme));
    // Nothing is wanted yet.
    assert_eq!(ready.owner.client.post_empty(&at).await.ok()["notifications_sent"], 0);
    server.clock().advance(Duration::hours(25));
    let owner = server.sign_in_with(&ready.acme.owner.email, &ready.app).await;
    let body = json!({"sso_mode": "required", "grace_period_days": 30, "exempt_user_ids": [ready.acme.owner.id, ready.acme.admin.id]});
    owner.client.post(&path("enforce", &ready.acme), body).await.ok();
    assert_eq!(owner.client.post_empty(&at).await.ok()["notifications_sent"], 2);
    let mail = server.mailbox().titled(&ready.acme.viewer.email, "how you sign in").await;
    assert!(mail.text.contains("You have until"), "{}", mail.text);
}

async fn only_administrators_send_it(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let at = format!("{}?notification_type=mfa_setup", path("notifications", &acme));
    acme.developer.client.post_empty(&at).await.error(403, "FORBIDDEN");
    globex.owner.client.post_empty(&at).await.error(404, "ORGANIZATION_NOT_FOUND");
    server.anonymous().post_empty(&at).await.error(401, "UNAUTHORIZED");
    assert_eq!(server.count("SELECT count(*) FROM sso_notices").await, 0);
}
