//! `GET /api/v1/sso/enforcement/migration-plan/{organization_id}`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::path;
use crate::sso::enforced;

on_both_databases! {
    the_plan_says_who_is_missing_and_what_stands_in_the_way;
    only_administrators_read_it;
}

async fn the_plan_says_who_is_missing_and_what_stands_in_the_way(server: &Server) {
    let acme = server.organization("Acme").await;
    let at = path("migration-plan", &acme);
    let read = async |query: &str| acme.admin.client.get(&format!("{at}{query}")).await.ok();
    let codes = |plan: &Value| -> Vec<String> {
        let blockers = plan["blockers"].as_array().unwrap().iter();
        blockers.map(|blocker| blocker["code"].as_str().unwrap().to_owned()).collect()
    };
    let plan = read("").await;
    assert_eq!((&plan["total_users"], &plan["users_with_sso"]), (&json!(4), &json!(0)));
    assert_eq!((&plan["users_password_only"], &plan["readiness_percent"]), (&json!(4), &json!(0.0)));
    assert_eq!(codes(&plan), ["NO_ACTIVE_PROVIDER", "DOMAIN_NOT_VERIFIED", "OWNER_WITHOUT_MFA"]);
    assert_eq!(plan["phases"][0]["name"], "connect_provider");
    assert_eq!(
        (&plan["phases"][0]["status"], &plan["phases"][1]["status"]),
        (&json!("in_progress"), &json!("pending"))
    );

    enforced::link(server, &acme, &acme.viewer, json!([])).await;
    acme.viewer.authenticator_app(server).await;
    acme.owner.authenticator_app(server).await;
    let plan = read("?page_size=2").await;
    assert_eq!((&plan["users_with_sso"], &plan["users_with_mfa"]), (&json!(1), &json!(2)));
    assert_eq!((&plan["users_password_only"], &plan["readiness_percent"]), (&json!(2), &json!(25.0)));
    assert_eq!(codes(&plan), ["DOMAIN_NOT_VERIFIED"]);
    assert_eq!(plan["active_providers"], 1);
    let pending = plan["users_pending"].as_array().unwrap();
    assert_eq!((pending.len(), &plan["pagination"]["total_items"]), (2, &json!(3)));
    assert_eq!((&pending[0]["email"], &pending[0]["sso_linked"]), (&json!(acme.owner.email), &json!(false)));
    assert_eq!((&pending[0]["mfa_enabled"], pending[0]["last_login_at"].is_string()), (&json!(true), true));
    assert_eq!(read("?page_size=2&page=2").await["users_pending"].as_array().unwrap().len(), 1);
    assert_eq!((&plan["phases"][1]["status"], &plan["phases"][1]["user_count"]), (&json!("in_progress"), &json!(3)));

    let wished = (server.platform.clock.now() + chrono::Duration::days(60)).format("%Y-%m-%dT%H:%M:%SZ").to_string();
    let plan = read(&format!("?target_date={wished}")).await;
    assert_eq!(plan["phases"][4]["start_at"], json!(wished));
    assert!(plan["phases"][3]["start_at"].is_string());
    for bad in ["2001-01-01T00:00:00Z", "soon"] {
        acme.admin.client.get(&format!("{at}?target_date={bad}")).await.invalid("target_date");
    }
}

async fn only_administrators_read_it(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let at = path("migration-plan", &acme);
    acme.developer.client.get(&at).await.error(403, "FORBIDDEN");
    globex.owner.client.get(&at).await.error(404, "ORGANIZATION_NOT_FOUND");
    server.anonymous().get(&at).await.error(401, "UNAUTHORIZED");
}
