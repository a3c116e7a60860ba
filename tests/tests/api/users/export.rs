//! `GET /api/v1/users/{user_id}/export`

use std::{collections::BTreeSet, io::Read};

use chrono::Duration;
use reqwest::Method;
use rivergen_tests::{
    Person, Server, on_both_databases,
    schema::{Given, Whose},
};
use serde_json::{Value, json};

on_both_databases! {
    a_person_gets_everything_and_no_secret;
    every_column_that_names_somebody_is_exported_or_excused;
    the_document_knows_every_section;
    the_archive_holds_the_same_as_csv;
    an_administrator_gets_what_the_organization_keeps;
    others_may_not_and_strangers_do_not_exist;
    ones_own_needs_a_fresh_proof_and_no_token;
    more_records_than_a_page_are_all_there;
    three_an_hour with "[limits]\nenabled = true";
}

fn path(of: &Person) -> String {
    format!("/api/v1/users/{}/export", of.id)
}

fn list<'a>(data: &'a Value, kind: &str) -> &'a [Value] {
    data[kind].as_array().unwrap_or_else(|| panic!("no {kind} in {data}"))
}

async fn a_person_gets_everything_and_no_secret(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = &acme.developer;
    let source = ada.file_source("Products", "csv", "products.csv", b"sku,product\nP1,Lamp\n".to_vec()).await;
    ada.query(source, "SELECT 1").await;
    let question = json!({"prompt_text": "How many products are there?", "selected_data_source_ids": [source]});
    ada.client.post("/api/v1/prompts/execute", question).await;
    let token = json!({"name": "a program", "scopes": ["read"]});
    let token = ada.client.post("/api/v1/auth/tokens", token).await.created();
    ada.client.put("/api/v1/auth/me/profile", json!({"profile": {"locale": "en"}})).await.ok();

    let answer = ada.client.get(&path(ada)).await;
    assert_eq!(answer.headers["content-type"], "application/json");
    assert!(answer.headers["content-disposition"].to_str().unwrap().starts_with("attachment"));
    let text = answer.body.to_string();
    let data = answer.ok();
    assert_eq!((data["user_id"].as_i64(), data["format"].as_str()), (Some(ada.id), Some("json")));
    assert_eq!(
        (data["profile"]["email"].as_str(), &data["profile"]["profile"]["locale"]),
        (Some(ada.email.as_str()), &json!("en"))
    );
    assert_eq!(list(&data, "email_addresses")[0]["email"], json!(ada.email));
    assert_eq!(list(&data, "memberships")[0]["organization_name"], "Acme");
    assert_eq!(list(&data, "role_assignments")[0]["role_name"], "Developer");
    assert_eq!(list(&data, "tokens")[0]["name"], "a program");
    assert_eq!(list(&data, "files")[0]["file_name"], "products.csv");
    assert_eq!(list(&data, "queries")[0]["sql"], "SELECT 1");
    assert_eq!(list(&data, "prompt_executions")[0]["text"], "How many products are there?");
    assert_eq!(list(&data, "sessions")[0]["ip_address"], "127.0.0.1");
    assert!(list(&data, "sessions")[0]["created_at"].as_str().unwrap().ends_with('Z'));
    assert!(list(&data, "activities").iter().any(|record| record["action"] == "auth.login"));
    let events = list(&data, "account_events");
    assert!(
        events.iter().any(|record| record["action"] == "role.assign" && record["target_type"] == "role"),
        "{events:?}"
    );
    for kind in [
        "invitations",
        "devices",
        "consents",
        "passkeys",
        "second_factors",
        "linked_accounts",
        "prompts",
        "prompt_templates",
        "prompt_verified_pairs",
        "prompt_semantics",
        "prompt_schedules",
        "prompt_schedule_deliveries",
        "account_events",
    ] {
        list(&data, kind);
    }
    for secret in [token["token"].as_str().unwrap(), &ada.refresh_token, "argon2", "hash"] {
        assert!(!text.contains(secret), "{secret} in {text}");
    }
    assert_eq!(server.audited("user.export", "success").await, 1);
}

/// The columns that say whose a record is, each with the section that hands its rows out.
const EXPORTED: [(&str, &str, &str); 35] = [
    ("audit_log", "actor_user_id", "activities"),
    ("data_sources", "created_by_user_id", "data_sources"),
    ("invitations", "invited_by_user_id", "invitations_sent"),
    ("memberships", "user_id", "memberships"),
    ("mfa_methods", "user_id", "second_factors"),
    ("oauth_applications", "responsible_user_id", "oauth_applications"),
    ("oauth_consents", "user_id", "oauth_consents"),
    ("oauth_grants", "user_id", "oauth_grants"),
    ("personal_access_tokens", "user_id", "tokens"),
    ("policies", "created_by_user_id", "policies"),
    ("policy_assignments", "user_id", "policy_assignments"),
    ("policy_evaluations", "user_id", "policy_evaluations"),
    ("prompt_executions", "user_id", "prompt_executions"),
    ("prompt_schedule_deliveries", "user_id", "prompt_schedule_deliveries"),
    ("prompt_schedules", "owner_user_id", "prompt_schedules"),
    ("prompt_semantics", "created_by_user_id", "prompt_semantics"),
    ("prompt_templates", "created_by_user_id", "prompt_templates"),
    ("prompt_verified_pairs", "created_by_user_id", "prompt_verified_pairs"),
    ("prompts", "created_by_user_id", "prompts"),
    ("query_runs", "user_id", "queries"),
    ("role_assignments", "user_id", "role_assignments"),
    ("scim_users", "user_id", "scim_users"),
    ("sessions", "user_id", "sessions"),
    ("social_accounts", "user_id", "linked_accounts"),
    ("sso_identities", "user_id", "sso_identities"),
    ("sso_logins", "user_id", "sso_logins"),
    ("sso_notices", "user_id", "sso_notices"),
    ("storage_files", "uploaded_by_user_id", "files"),
    ("storage_links", "created_by_user_id", "file_links"),
    ("storage_shares", "owner_user_id", "shared_folders"),
    ("storage_uploads", "uploaded_by_user_id", "uploads"),
    ("trusted_devices", "user_id", "devices"),
    ("user_emails", "user_id", "email_addresses"),
    ("user_imports", "started_by_user_id", "imports"),
    ("webauthn_credentials", "user_id", "passkeys"),
];

/// Who did something to what is the organization's: the deed itself is among the activities.
const DEED: &str = "a deed, which is among the activities";
/// What it proves or guards is told elsewhere.
const SECRET: &str = "hashes and counters";
const UNDER_WAY: &str = "a sign-in or a test that is under way, for minutes";

/// The other columns that name somebody, each with the reason why no section reads it.
const EXCUSED: [(&str, &str, &str); 30] = [
    ("abac_policies", "created_by_user_id", DEED),
    ("column_tags", "changed_by_user_id", DEED),
    ("data_sources", "updated_by_user_id", DEED),
    ("invitations", "accepted_by_user_id", "it is among the invitations by its address"),
    ("member_words", "user_id", "words of the name and the address, for searches"),
    ("mfa_backup_codes", "user_id", SECRET),
    ("mfa_lockouts", "user_id", SECRET),
    ("oauth_policies", "updated_by_user_id", DEED),
    ("one_time_tokens", "user_id", SECRET),
    ("organizations", "created_by_user_id", DEED),
    ("organizations", "settings_updated_by", DEED),
    ("password_history", "user_id", SECRET),
    ("pending_logins", "user_id", UNDER_WAY),
    ("policies", "updated_by_user_id", DEED),
    ("policy_assignments", "applied_by_user_id", DEED),
    ("policy_versions", "changed_by_user_id", DEED),
    ("prompt_glossaries", "updated_by_user_id", DEED),
    ("prompt_semantics", "confirmed_by_user_id", DEED),
    ("prompt_semantics", "user_id", "they are among the definitions that the person made"),
    ("prompt_verified_pairs", "verified_by_user_id", DEED),
    ("prompt_versions", "changed_by_user_id", DEED),
    ("role_assignments", "assigned_by_user_id", DEED),
    ("scim_configs", "vouched_by_user_id", DEED),
    ("social_states", "user_id", UNDER_WAY),
    ("sso_providers", "created_by_user_id", DEED),
    ("sso_providers", "vouched_by_user_id", DEED),
    ("sso_role_grants", "user_id", "the roles are among the role assignments"),
    ("sso_states", "tested_by_user_id", UNDER_WAY),
    ("webauthn_challenges", "user_id", UNDER_WAY),
    ("workspaces", "settings_updated_by", DEED),
];

/// Where a word of a fixed list stands in the record.
const WORDS: [Given<'static>; 22] = [
    ("invitations", "status", "'revoked'"),
    ("mfa_methods", "kind", "'totp'"),
    ("oauth_applications", "client_type", "'public'"),
    ("oauth_applications", "access_level", "'organization'"),
    ("oauth_applications", "status", "'active'"),
    ("prompt_executions", "status", "'completed'"),
    ("prompt_executions", "ai_processing_status", "'completed'"),
    ("prompt_schedule_deliveries", "channel", "'mail'"),
    ("prompt_schedule_deliveries", "status", "'sent'"),
    ("prompt_schedule_runs", "status", "'completed'"),
    ("prompt_schedules", "status", "'paused'"),
    ("prompt_semantics", "kind", "'synonym'"),
    ("prompt_semantics", "origin", "'person'"),
    ("prompt_semantics", "status", "'confirmed'"),
    ("prompt_templates", "status", "'draft'"),
    ("prompt_verified_pairs", "status", "'candidate'"),
    ("prompts", "status", "'draft'"),
    ("sso_notices", "kind", "'mfa_setup'"),
    ("storage_uploads", "category", "'general'"),
    ("storage_uploads", "state", "'receiving'"),
    ("user_imports", "format", "'csv'"),
    ("user_imports", "status", "'completed'"),
];

async fn every_column_that_names_somebody_is_exported_or_excused(server: &Server) {
    let schema = server.schema().await;
    let in_words = |table: &str, column: &str| format!("{table}.{column}");
    let there: BTreeSet<String> = schema
        .tables()
        .iter()
        .flat_map(|table| table.people().map(|column| in_words(&table.name, column)).collect::<Vec<_>>())
        .collect();
    let named: BTreeSet<String> =
        EXPORTED.iter().chain(&EXCUSED).map(|(table, column, _)| in_words(table, column)).collect();
    assert_eq!(there, named);

    let acme = server.organization("Acme").await;
    let ada = &acme.owner;
    let source = ada.file_source("Products", "csv", "products.csv", b"sku,product\nP1,Lamp\n".to_vec()).await;
    ada.query(source, "SELECT 1").await;
    let whose = Whose { organization: acme.id, person: ada.id };
    let ids = async |table: &str, column: &str| -> BTreeSet<i64> {
        let rows = server.rows(&format!("SELECT id FROM {table} WHERE {column} = {}", ada.id)).await;
        rows.iter().map(|row| row["id"].as_i64().unwrap()).collect()
    };
    for (table, column, _) in EXPORTED {
        if ids(table, column).await.is_empty() {
            schema.insert(server, schema.table(table), whose, &WORDS).await;
        }
    }
    let mut before = Vec::new();
    for (table, column, section) in EXPORTED {
        before.push((table, column, section, ids(table, column).await));
    }
    let data = ada.client.get(&path(ada)).await.ok();
    for (table, column, section, before) in before {
        let sent: BTreeSet<i64> = list(&data, section).iter().map(|record| record["id"].as_i64().unwrap()).collect();
        assert!(!before.is_empty(), "{table} has nothing to hand out");
        assert!(before.is_subset(&sent), "{section} lacks some of {before:?} of {table}: {sent:?}");
        // What is the person's by now, and nobody else's.
        let now = ids(table, column).await;
        assert!(sent.is_subset(&now), "{section} has more than {now:?} of {table}: {sent:?}");
    }
}

/// What is sent is what the OpenAPI document says, to the last section.
async fn the_document_knows_every_section(server: &Server) {
    let acme = server.organization("Acme").await;
    let document = serde_json::to_value(rivergen::openapi::document()).unwrap();
    let schema = &document["components"]["schemas"]["PersonalData"]["properties"];
    let keys = |object: &Value| -> BTreeSet<String> { object.as_object().unwrap().keys().cloned().collect() };
    for (reader, person) in [(&acme.viewer, &acme.viewer), (&acme.admin, &acme.viewer)] {
        let data = reader.client.get(&path(person)).await.ok();
        assert_eq!(keys(&data), keys(schema));
    }
}

async fn the_archive_holds_the_same_as_csv(server: &Server) {
    let ada = server.organization("Acme").await.viewer;
    let request = ada.client.request(Method::GET, &format!("{}?format=csv", path(&ada)));
    let answer = request.send().await.unwrap();
    assert_eq!(answer.headers()["content-type"], "application/zip");
    let bytes = answer.bytes().await.unwrap();
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(bytes)).unwrap();
    let mut read = |name: &str| {
        let mut text = String::new();
        archive.by_name(name).unwrap().read_to_string(&mut text).unwrap();
        text
    };
    assert!(read("profile.csv").contains(&ada.email));
    let memberships = read("memberships.csv");
    let mut lines = memberships.lines();
    assert!(lines.next().unwrap().contains("organization_name"));
    assert!(lines.next().unwrap().contains("Acme"));
    assert!(read("sessions.csv").contains("127.0.0.1"));
    ada.client.get(&format!("{}?format=xml", path(&ada))).await.invalid("format");
}

async fn an_administrator_gets_what_the_organization_keeps(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let viewer = &acme.viewer;
    // The person belongs to the other organization too, and does something there.
    let role = globex.roles["Viewer"];
    let (user, other) = (viewer.id, globex.id);
    server
        .execute(&format!(
            "INSERT INTO memberships (organization_id, user_id, status, source, attributes, joined_at) \
             SELECT {other}, {user}, status, source, attributes, joined_at FROM memberships WHERE user_id = {user}"
        ))
        .await;
    server
        .execute(&format!(
            "INSERT INTO role_assignments (organization_id, user_id, role_id, assigned_at) \
             SELECT {other}, {user}, {role}, assigned_at FROM role_assignments WHERE user_id = {user}"
        ))
        .await;
    let switch = json!({"workspace_id": globex.workspace_id});
    server.sign_in(&viewer.email).await.client.post("/api/v1/auth/switch-workspace", switch).await.ok();

    let data = acme.admin.client.get(&path(viewer)).await.ok();
    assert_eq!(list(&data, "memberships").len(), 1);
    assert_eq!(list(&data, "role_assignments").len(), 1);
    let elsewhere = |record: &Value| record["organization_id"] != acme.id;
    for kind in ["memberships", "role_assignments", "sessions", "tokens", "activities", "files", "queries"] {
        assert!(!list(&data, kind).iter().any(elsewhere), "{kind} of {data}");
    }
    assert!(!list(&data, "sessions").is_empty());
    // What belongs to the account belongs to no organization.
    for kind in ["email_addresses", "passkeys", "second_factors", "linked_accounts", "consents"] {
        assert!(list(&data, kind).is_empty(), "{kind} of {data}");
    }
    assert!(data["profile"].get("user_metadata").is_none());
    server.mailbox().titled(&viewer.email, "Your data was exported").await;
    let own = viewer.client.get(&path(viewer)).await.ok();
    assert_eq!(list(&own, "memberships").len(), 2);
}

async fn others_may_not_and_strangers_do_not_exist(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.developer.client.get(&path(&acme.viewer)).await.error(403, "FORBIDDEN");
    acme.owner.client.get(&path(&globex.viewer)).await.error(404, "USER_NOT_FOUND");
    let of_another = format!("{}?organization_id={}", path(&globex.viewer), globex.id);
    acme.owner.client.get(&of_another).await.error(404, "USER_NOT_FOUND");
    acme.owner.client.get("/api/v1/users/999999/export").await.error(404, "USER_NOT_FOUND");
    server.anonymous().get(&path(&acme.viewer)).await.error(401, "UNAUTHORIZED");
}

async fn ones_own_needs_a_fresh_proof_and_no_token(server: &Server) {
    let ada = server.organization("Acme").await.owner;
    let token = json!({"name": "a program", "scopes": ["admin"]});
    let token = ada.client.post("/api/v1/auth/tokens", token).await.created();
    let program = ada.client.with_token(token["token"].as_str().unwrap());
    program.get(&path(&ada)).await.error(403, "FORBIDDEN");
    server.clock().advance(Duration::minutes(11));
    ada.client.get(&path(&ada)).await.error(403, "REAUTHENTICATION_REQUIRED");
    server.sign_in(&ada.email).await.client.get(&path(&ada)).await.ok();
}

async fn more_records_than_a_page_are_all_there(server: &Server) {
    let ada = server.organization("Acme").await.viewer;
    let columns = "user_id, amr, authenticated_at, lifetime_seconds, created_at, last_used_at, expires_at";
    server
        .execute(&format!(
            "INSERT INTO sessions ({columns}) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1233) \
             SELECT {columns} FROM sessions CROSS JOIN n WHERE user_id = {}",
            ada.id
        ))
        .await;
    let data = ada.client.get(&path(&ada)).await.ok();
    assert_eq!(list(&data, "sessions").len(), 1234);
}

async fn three_an_hour(server: &Server) {
    let ada = server.organization("Acme").await.viewer;
    for _ in 0..3 {
        ada.client.get(&path(&ada)).await.ok();
    }
    ada.client.get(&path(&ada)).await.error(429, "RATE_LIMITED");
}
