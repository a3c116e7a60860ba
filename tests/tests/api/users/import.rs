//! `POST /api/v1/users/bulk-import` and `GET /api/v1/users/bulk-import/{import_id}`

use rivergen_platform::jobs::JobOptions;
use rivergen_tests::{Organization, Server, eventually, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    each_row_is_an_invitation_and_each_fault_is_told;
    a_spreadsheet_is_read_as_it_is_saved;
    an_address_that_no_mail_reaches_stops_no_other;
    a_dry_run_changes_nothing;
    a_dry_run_finds_what_the_import_finds;
    a_dry_run_that_goes_on_remembers_whom_it_invited;
    all_failed_rows_can_be_read;
    many_rows_go_through_and_a_second_time_finds_the_first;
    files_that_cannot_be_read_are_refused;
    a_file_may_have_five_megabytes;
    an_import_whose_starter_may_no_more_stops;
    an_import_whose_starter_closed_their_account_stops;
    an_import_that_is_given_up_has_failed;
    the_rules_hold;
    who_has_no_role_gets_the_default;
    a_dry_run_counts_no_mail with "[limits]\nenabled = true\n[limits.rules]\ngeneral = { limit = 1000, per_seconds = 60 }\ngeneral_admin = { limit = 5000, per_seconds = 60 }\ninvitations_to_address = { limit = 2, per_seconds = 86400 }";
    imports_are_bounded with "[limits]\nenabled = true\n[limits.rules]\nlogin_by_ip = { limit = 100, per_seconds = 60 }\nbulk_imports = { limit = 1, per_seconds = 3600 }";
}

const PATH: &str = "/api/v1/users/bulk-import";

fn body(acme: &Organization, content: &str) -> Value {
    json!({"organization_id": acme.id, "format": "csv", "content": content})
}

async fn finished(acme: &Organization, started: &Value) -> Value {
    let path = format!("{PATH}/{}", started["import_id"].as_str().unwrap());
    eventually("the end of the import", async || {
        let progress = acme.admin.client.get(&path).await.ok();
        (progress["status"] != "processing").then_some(progress)
    })
    .await
}

async fn each_row_is_an_invitation_and_each_fault_is_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let file = "email,display_name,role\nada@new.example,Ada,Developer\nnonsense,Bob,\nviewer@acme.example,V,\n\
                carl@new.example,Carl,Pilot\ndora@new.example,Dora,Owner\nemil@new.example,,\nADA@new.example,Ada,\n";
    let started = acme.admin.client.post(PATH, body(&acme, file)).await.ok();
    assert_eq!((started["total_rows"].as_i64(), started["status"].as_str()), (Some(7), Some("processing")));
    let end = finished(&acme, &started).await;
    assert_eq!(end["status"], "completed_with_errors");
    assert_eq!(
        (end["processed"].as_i64(), end["created"].as_i64(), end["failed"].as_i64()),
        (Some(7), Some(2), Some(5))
    );
    let errors: Vec<_> = end["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|error| (error["row"].as_i64().unwrap(), error["code"].as_str().unwrap()))
        .collect();
    assert_eq!(
        errors,
        [
            (2, "VALIDATION_ERROR"),
            (3, "ALREADY_MEMBER"),
            (4, "ROLE_NOT_FOUND"),
            (5, "FORBIDDEN"),
            (7, "INVITATION_EXISTS")
        ]
    );
    let fields: Vec<_> = end["errors"].as_array().unwrap().iter().map(|error| error["field"].as_str()).collect();
    assert_eq!(fields, ["email", "email", "role", "role", "email"].map(Some));
    assert!(end["finished_at"].is_string());
    assert_eq!(server.count("SELECT count(*) FROM invitations").await, 2);
    server.mailbox().nth_to("ada@new.example", 1).await;
    assert_eq!(server.audited("user.import", "success").await, 1);
    // The file itself is not kept.
    assert_eq!(server.count("SELECT count(*) FROM user_imports WHERE content <> ''").await, 0);
}

async fn a_spreadsheet_is_read_as_it_is_saved(server: &Server) {
    let acme = server.organization("Acme").await;
    let german = "\u{feff}E-Mail;Display Name\r\nada@new.example;\"Ada, Countess\"\r\n";
    acme.admin.client.post(PATH, body(&acme, german)).await.error(400, "INVALID_IMPORT_FILE");
    let german = german.replace("E-Mail", "Email");
    let end = finished(&acme, &acme.admin.client.post(PATH, body(&acme, &german)).await.ok()).await;
    assert_eq!((end["created"].as_i64(), end["failed"].as_i64()), (Some(1), Some(0)), "{end}");
}

async fn an_address_that_no_mail_reaches_stops_no_other(server: &Server) {
    let acme = server.organization("Acme").await;
    // As a browser's form takes it, and no mail server does.
    let file = "email\na..b@new.example\nada@new.example\n";
    let end = finished(&acme, &acme.admin.client.post(PATH, body(&acme, file)).await.ok()).await;
    assert_eq!((end["created"].as_i64(), end["failed"].as_i64()), (Some(1), Some(1)));
    assert_eq!((end["errors"][0]["row"].as_i64(), end["errors"][0]["field"].as_str()), (Some(1), Some("email")));
}

async fn a_dry_run_changes_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut request = body(&acme, "email\nada@new.example\nnonsense\n");
    request["dry_run"] = json!(true);
    let end = finished(&acme, &acme.admin.client.post(PATH, request).await.ok()).await;
    assert_eq!((end["created"].as_i64(), end["failed"].as_i64()), (Some(1), Some(1)));
    assert_eq!(server.count("SELECT count(*) FROM invitations").await, 0);
    assert_eq!(server.count("SELECT count(*) FROM audit_log WHERE action = 'member.invite'").await, 0);
}

async fn a_dry_run_finds_what_the_import_finds(server: &Server) {
    let acme = server.organization("Acme").await;
    // The first and the last row are more than a batch apart; the second could not be invited, so its repetition can.
    let rows: String = (0..600).map(|number| format!("p{number}@new.example,\n")).collect();
    let file =
        format!("email,role\nada@new.example,\nbob@new.example,Pilot\n{rows}bob@new.example,\nADA@new.example,\n");
    let mut request = body(&acme, &file);
    let mut found = Vec::new();
    for dry_run in [true, false] {
        request["dry_run"] = json!(dry_run);
        let end = finished(&acme, &acme.admin.client.post(PATH, request.clone()).await.ok()).await;
        assert_eq!((&end["processed"], &end["created"], &end["failed"]), (&json!(604), &json!(602), &json!(2)));
        found.push(end["errors"].clone());
    }
    let rows: Vec<_> = found[0].as_array().unwrap().iter().map(|error| (&error["row"], &error["code"])).collect();
    assert_eq!(rows, [(&json!(2), &json!("ROLE_NOT_FOUND")), (&json!(604), &json!("INVITATION_EXISTS"))]);
    assert_eq!(found[0], found[1]);
}

async fn a_dry_run_that_goes_on_remembers_whom_it_invited(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut request = body(&acme, "email\nada@new.example\nnonsense\n");
    request["dry_run"] = json!(true);
    let started = acme.admin.client.post(PATH, request).await.ok();
    finished(&acme, &started).await;
    // As a node left it that was killed after two rows of three.
    let file = "email\nada@new.example\nnonsense\nada@new.example\n";
    let left = format!(
        "UPDATE user_imports SET status = 'processing', finished_at = NULL, total_rows = 3, content = '{file}'"
    );
    server.execute(&left).await;
    let id = server.count("SELECT id FROM user_imports").await;
    let tx = server.platform.db.begin().await.unwrap();
    server.platform.jobs.enqueue(&tx, "tenancy.import_users", &id, Default::default()).await.unwrap();
    tx.commit().await.unwrap();
    let end = finished(&acme, &started).await;
    let rows: Vec<_> = end["errors"].as_array().unwrap().iter().map(|error| (&error["row"], &error["code"])).collect();
    assert_eq!(rows, [(&json!(2), &json!("VALIDATION_ERROR")), (&json!(3), &json!("INVITATION_EXISTS"))]);
}

async fn all_failed_rows_can_be_read(server: &Server) {
    let acme = server.organization("Acme").await;
    let rows: String = (1..=1_003).map(|number| format!("nonsense{number}\n")).collect();
    let started = acme.admin.client.post(PATH, body(&acme, &format!("email\n{rows}"))).await.ok();
    let end = finished(&acme, &started).await;
    assert_eq!((&end["failed"], end["errors"].as_array().unwrap().len()), (&json!(1_003), 1_000));
    let path = format!("{PATH}/{}", started["import_id"].as_str().unwrap());
    let rest = acme.admin.client.get(&format!("{path}?errors_after={}", end["errors"][999]["row"])).await.ok();
    let rows: Vec<_> = rest["errors"].as_array().unwrap().iter().map(|error| error["row"].as_i64().unwrap()).collect();
    assert_eq!(rows, [1_001, 1_002, 1_003]);
    let none = acme.admin.client.get(&format!("{path}?errors_after=1003")).await.ok();
    assert_eq!((&none["failed"], &none["errors"]), (&json!(1_003), &json!([])));
    acme.admin.client.get(&format!("{path}?errors_after=-1")).await.invalid("errors_after");
}

async fn many_rows_go_through_and_a_second_time_finds_the_first(server: &Server) {
    let acme = server.organization("Acme").await;
    let rows: String = (0..600).map(|number| format!("p{number}@new.example\n")).collect();
    let file = format!("email\n{rows}");
    let end = finished(&acme, &acme.admin.client.post(PATH, body(&acme, &file)).await.ok()).await;
    assert_eq!((end["status"].as_str(), end["created"].as_i64()), (Some("completed"), Some(600)));
    let again = finished(&acme, &acme.admin.client.post(PATH, body(&acme, &file)).await.ok()).await;
    assert_eq!((again["created"].as_i64(), again["failed"].as_i64()), (Some(0), Some(600)));
    assert_eq!(server.count("SELECT count(*) FROM invitations").await, 600);
}

async fn files_that_cannot_be_read_are_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    for content in ["", "email\n", "name\nAda\n", "email,password\na@b.example,x\n"] {
        client.post(PATH, body(&acme, content)).await.error(400, "INVALID_IMPORT_FILE");
    }
    let zero = r#"[{"userName": "ada@new.example", "roles": [{"value": "\u0000"}]}]"#;
    for content in ["{}", zero] {
        let scim = json!({"organization_id": acme.id, "format": "scim", "content": content});
        client.post(PATH, scim).await.error(400, "INVALID_IMPORT_FILE");
    }
    client.post(PATH, json!({"organization_id": acme.id, "format": "csv"})).await.invalid("content");
    client.post(PATH, json!({"organization_id": acme.id, "format": "xml", "content": "x"})).await.invalid("format");
    let plain = json!({"organization_id": acme.id, "format": "csv", "file_url": "http://new.example/people.csv"});
    client.post(PATH, plain).await.invalid("file_url");
    let nowhere = json!({"organization_id": acme.id, "format": "csv", "file_url": "https://127.0.0.1:1/people.csv"});
    client.post(PATH, nowhere).await.error(400, "INVALID_IMPORT_FILE");
    assert_eq!(server.count("SELECT count(*) FROM user_imports").await, 0);
}

async fn a_file_may_have_five_megabytes(server: &Server) {
    const MIB: usize = 1024 * 1024;
    let acme = server.organization("Acme").await;
    let client = &acme.admin.client;
    let file = |bytes: usize| format!("email,display_name\nada@new.example,{}\n", "a".repeat(bytes - 100));
    let end = finished(&acme, &client.post(PATH, body(&acme, &file(5 * MIB))).await.ok()).await;
    assert_eq!((end["status"].as_str(), end["created"].as_i64()), (Some("completed"), Some(1)));
    client.post(PATH, body(&acme, &file(6 * MIB))).await.error(400, "INVALID_IMPORT_FILE");
    client.post(PATH, body(&acme, &file(11 * MIB))).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
}

/// As if an import that is over had more to do; how it ends.
async fn goes_on(server: &Server, acme: &Organization, started: &Value) -> Value {
    server
        .execute("UPDATE user_imports SET status = 'processing', processed = 0, content = 'email\nbob@new.example\n'")
        .await;
    let id = server.count("SELECT id FROM user_imports").await;
    let tx = server.platform.db.begin().await.unwrap();
    server.platform.jobs.enqueue(&tx, "tenancy.import_users", &id, Default::default()).await.unwrap();
    tx.commit().await.unwrap();
    let path = format!("{PATH}/{}", started["import_id"].as_str().unwrap());
    eventually("the end of the import", async || {
        let progress = acme.owner.client.get(&path).await.ok();
        (progress["status"] != "processing").then_some(progress)
    })
    .await
}

async fn an_import_whose_starter_may_no_more_stops(server: &Server) {
    let acme = server.organization("Acme").await;
    let started = acme.admin.client.post(PATH, body(&acme, "email\nada@new.example\n")).await.ok();
    finished(&acme, &started).await;
    let suspend = json!({"status": "suspended"});
    acme.owner.client.put(&format!("/api/v1/users/{}/status", acme.admin.id), suspend).await.ok();
    let end = goes_on(server, &acme, &started).await;
    assert_eq!(end["status"], "failed");
    assert_eq!(end["failure"], "The person who started the import may no longer add people.");
    assert_eq!(server.count("SELECT count(*) FROM invitations WHERE email = 'bob@new.example'").await, 0);
}

async fn an_import_whose_starter_closed_their_account_stops(server: &Server) {
    let acme = server.organization("Acme").await;
    let started = acme.admin.client.post(PATH, body(&acme, "email\nada@new.example\n")).await.ok();
    finished(&acme, &started).await;
    // They are a member still, until the account is purged.
    server.execute(&format!("UPDATE users SET disabled_at = created_at WHERE id = {}", acme.admin.id)).await;
    let end = goes_on(server, &acme, &started).await;
    assert_eq!((&end["status"], end["failure"].is_string()), (&json!("failed"), true));
    assert_eq!(server.count("SELECT count(*) FROM invitations WHERE email = 'bob@new.example'").await, 0);
}

async fn an_import_that_is_given_up_has_failed(server: &Server) {
    let acme = server.organization("Acme").await;
    let started = acme.admin.client.post(PATH, body(&acme, "email\nada@new.example\n")).await.ok();
    assert_eq!(finished(&acme, &started).await["failure"], Value::Null);
    // A file that no attempt can read.
    server.execute("UPDATE user_imports SET status = 'processing', finished_at = NULL, content = 'nonsense'").await;
    let id = server.count("SELECT id FROM user_imports").await;
    let options = JobOptions { max_attempts: 1, ..Default::default() };
    let tx = server.platform.db.begin().await.unwrap();
    server.platform.jobs.enqueue(&tx, "tenancy.import_users", &id, options).await.unwrap();
    tx.commit().await.unwrap();
    let end = finished(&acme, &started).await;
    assert_eq!((&end["status"], end["finished_at"].is_string()), (&json!("failed"), true));
    let told = end["failure"].as_str().unwrap();
    assert!(told.contains("could not finish") && !told.contains("column"), "{told}");
    assert_eq!((&end["processed"], &end["created"]), (&json!(1), &json!(1)));
    assert_eq!(server.count("SELECT count(*) FROM user_imports WHERE content <> ''").await, 0);
    let document = serde_json::to_value(rivergen::openapi::document()).unwrap();
    assert!(document["components"]["schemas"]["ImportProgress"]["properties"]["failure"].is_object());
}

async fn the_rules_hold(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let request = body(&acme, "email\nada@new.example\n");
    acme.developer.client.post(PATH, request.clone()).await.error(403, "FORBIDDEN");
    globex.owner.client.post(PATH, request.clone()).await.error(404, "ORG_NOT_FOUND");
    let started = acme.admin.client.post(PATH, request).await.ok();
    let path = format!("{PATH}/{}", started["import_id"].as_str().unwrap());
    globex.owner.client.get(&path).await.error(404, "IMPORT_NOT_FOUND");
    acme.developer.client.get(&path).await.error(403, "FORBIDDEN");
    acme.admin.client.get(&format!("{PATH}/imp_x")).await.error(404, "IMPORT_NOT_FOUND");
    finished(&acme, &started).await;
}

async fn who_has_no_role_gets_the_default(server: &Server) {
    let acme = server.organization("Acme").await;
    let default = |role: &str| json!({"settings": {"default_role_id": acme.roles[role]}});
    let import = async |email: &str| {
        let started = acme.admin.client.post(PATH, body(&acme, &format!("email\n{email}\n"))).await.ok();
        assert_eq!(finished(&acme, &started).await["created"], 1);
        server.count(&format!("SELECT role_id FROM invitations WHERE email = '{email}'")).await
    };
    assert_eq!(import("ada@new.example").await, acme.roles["Viewer"]);
    let settings = format!("/api/v1/organizations/{}/settings", acme.id);
    acme.owner.client.patch(&settings, default("Developer")).await.ok();
    assert_eq!(import("bob@new.example").await, acme.roles["Developer"]);
    // They come into the default workspace, whose own default role goes before.
    let settings = format!("/api/v1/workspaces/{}/settings", acme.workspace_id);
    acme.owner.client.put(&settings, default("Admin")).await.ok();
    assert_eq!(import("eve@new.example").await, acme.roles["Admin"]);
}

async fn a_dry_run_counts_no_mail(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut dry = body(&acme, "email\nada@new.example\n");
    dry["dry_run"] = json!(true);
    for _ in 0..3 {
        let end = finished(&acme, &acme.admin.client.post(PATH, dry.clone()).await.ok()).await;
        assert_eq!((&end["created"], &end["failed"]), (&json!(1), &json!(0)));
    }
    // As many mails as ever may go to the address.
    for round in 0..3 {
        let real = body(&acme, "email\nada@new.example\n");
        let end = finished(&acme, &acme.admin.client.post(PATH, real).await.ok()).await;
        let code = end["errors"][0]["code"].as_str();
        assert_eq!(code, (round == 2).then_some("RATE_LIMITED"), "{round}");
        server.execute("UPDATE invitations SET status = 'revoked'").await;
    }
}

async fn imports_are_bounded(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let file = "email\nada@new.example\n";
    // One that cannot be read is none.
    acme.admin.client.post(PATH, body(&acme, "")).await.error(400, "INVALID_IMPORT_FILE");
    acme.admin.client.post(PATH, body(&acme, file)).await.ok();
    acme.owner.client.post(PATH, body(&acme, file)).await.error(429, "RATE_LIMITED");
    globex.admin.client.post(PATH, body(&globex, file)).await.ok();
}
