//! Bad input across operations: each has its status and code, says what to do, and leaves no half-made object.

use rivergen_tests::{ClosedPort, Organization, Server, fixtures, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_body_that_is_no_json;
    fields_of_the_wrong_type_are_named_by_their_path;
    a_body_that_is_too_large with "[server]\nmax_body_bytes = 2000";
    an_unknown_source;
    an_unreachable_host;
    an_address_that_is_not_permitted with "[outbound.policy]\nallow_private = false";
    a_corrupt_parquet_file;
    a_file_of_another_kind;
    a_csv_with_ragged_rows_names_the_line;
    text_that_a_database_cannot_hold;
    deeply_nested_input_is_refused;
}

/// Every operation that takes JSON, with a caller who may.
const BODIES: &[&str] = &[
    "/api/v1/auth/signup",
    "/api/v1/auth/login",
    "/api/v1/auth/refresh",
    "/api/v1/auth/verify-email",
    "/api/v1/auth/resend-verification",
    "/api/v1/auth/forgot-password",
    "/api/v1/auth/reset-password",
    "/api/v1/auth/change-password",
    "/api/v1/auth/switch-workspace",
    "/api/v1/auth/logout-all",
    "/api/v1/auth/me/emails",
    "/api/v1/auth/tokens",
    "/api/v1/auth/mfa/otp/generate",
    "/api/v1/auth/mfa/verify",
    "/api/v1/mfa/totp/setup",
    "/api/v1/mfa/totp/verify",
    "/api/v1/mfa/email-otp/verify",
    "/api/v1/mfa/backup-codes/generate",
    "/api/v1/webauthn/register/start",
    "/api/v1/webauthn/register/complete",
    "/api/v1/webauthn/authenticate/start",
    "/api/v1/webauthn/authenticate/complete",
    "/api/v1/devices/activate",
    "/api/v1/devices/skip",
    "/api/v1/auth/oauth/login",
    "/api/v1/auth/oauth/signup",
    "/api/v1/auth/oauth/handover",
    "/api/v1/organizations",
    "/api/v1/organizations/1/domains",
    "/api/v1/organizations/1/workspaces",
    "/api/v1/organizations/1/members/invite",
    "/api/v1/organizations/1/members/invite/bulk",
    "/api/v1/organizations/1/tokens",
    "/api/v1/organizations/1/roles",
    "/api/v1/roles",
    "/api/v1/roles/1/clone",
    "/api/v1/roles/1/impact",
    "/api/v1/roles/1/assignments",
    "/api/v1/roles/bulk-assign",
    "/api/v1/roles/check",
    "/api/v1/workspaces",
    "/api/v1/users",
    "/api/v1/users/search",
    "/api/v1/users/bulk-import",
    "/api/v1/users/merge",
    "/api/v1/users/bulk-status",
    "/api/v1/organizations/1/workspaces/1/members",
    "/api/v1/workspaces",
    "/api/v1/workspaces/1/clone",
    "/api/v1/workspaces/provision",
    "/api/v1/storage/shares",
    "/api/v1/data-sources",
    "/api/v1/data-sources/1/test",
    "/api/v1/data-sources/1/query",
    "/api/v1/data-sources/1/tags/proposals",
    "/api/v1/policies",
    "/api/v1/policies/1/assignments",
    "/api/v1/policies/simulate",
    "/api/v1/policies/explain",
    "/api/v1/policies/detokenize",
    "/api/v1/prompts/execute",
    "/api/v1/sso/providers",
    "/api/v1/sso/token",
    "/api/v1/sso/logout",
    "/api/v1/sso/scim/config",
    "/api/v1/sso/scim/sync",
    "/api/v1/sso/abac/policies",
    "/api/v1/sso/abac/evaluate",
    "/api/v1/sso/enforcement/enforce/1",
    "/api/v1/organizations/1/oauth-applications",
    "/api/v1/organizations/1/oauth-applications/1/secrets",
    "/api/v1/oauth/authorize",
    "/api/v1/prompts/executions/1/feedback",
    "/api/v1/prompts/executions/1/clarify",
    "/api/v1/prompts/executions/1/save",
    "/api/v1/prompts/1/schedules",
    "/api/v1/prompts/semantic-layer",
    "/api/v1/prompts/semantic-layer/import",
    "/api/v1/prompts/semantic-layer/proposals",
    "/api/v1/prompt-templates",
    "/api/v1/prompt-templates/1/execute",
];

async fn a_body_that_is_no_json(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    for path in BODIES {
        for body in ["{", "nonsense", "{\"a", "\u{0}"] {
            let error = owner.client.post_raw(path, "application/json", body).await.error(400, "INVALID_REQUEST");
            assert!(!error.to_string().contains("serde"), "{error}");
        }
        owner.client.post_raw(path, "text/xml", "<a/>").await.error(415, "UNSUPPORTED_MEDIA_TYPE");
        owner.client.post_raw(path, "application/json", b"{\"\xff\": 1}".to_vec()).await.error(400, "INVALID_REQUEST");
        for body in ["[]", "7", "null", "\"text\""] {
            owner.client.post_raw(path, "application/json", body).await.error(422, "VALIDATION_ERROR");
        }
    }
    // An array is no object, also one with the fields in their order.
    let login = json!([owner.email, rivergen_tests::PASSWORD, null, null]);
    server.anonymous().post("/api/v1/auth/login", login).await.error(422, "VALIDATION_ERROR");
}

async fn fields_of_the_wrong_type_are_named_by_their_path(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    for (path, body, field) in [
        ("/api/v1/auth/login", json!({"email": [], "password": "x"}), "email"),
        ("/api/v1/organizations", json!({"name": {}, "admin_email": "a@b.example"}), "name"),
        ("/api/v1/workspaces", json!({"name": "x", "organization_id": "one"}), "organization_id"),
        ("/api/v1/workspaces", json!({"name": "x", "organization_id": 1.5}), "organization_id"),
        ("/api/v1/workspaces", json!({"name": "x", "organization_id": 1e30}), "organization_id"),
        (
            "/api/v1/workspaces",
            json!({"name": "x", "organization_id": 1, "settings": {"default_role_id": "Admin"}}),
            "settings.default_role_id",
        ),
        (
            "/api/v1/workspaces/provision",
            json!({"organization_id": 1, "workspaces": [{"name": "x"}, {"name": "y", "members": [{"user_id": 1}]}]}),
            "workspaces[1].members[0].role_id",
        ),
        ("/api/v1/data-sources", json!({"name": "x", "type": "csv", "port": -1}), "port"),
        ("/api/v1/data-sources", json!({"name": "x", "type": "csv", "tags": [1]}), "tags[0]"),
        (
            "/api/v1/data-sources",
            json!({"name": "x", "type": "csv", "credentials": {"password": 1}}),
            "credentials.password",
        ),
        ("/api/v1/policies", json!({"name": "p", "type": "query_limit", "role_ids": [1, "x"]}), "role_ids[1]"),
        (
            "/api/v1/policies",
            json!({"name": "p", "type": "query_limit", "rules": [{"rule_name": 1}]}),
            "rules[0].rule_name",
        ),
        (
            "/api/v1/policies/simulate",
            json!({"user_id": 1, "data_source_id": 1, "changes": {"drafts": [{"name": 1}]}}),
            "changes.drafts[0].name",
        ),
        ("/api/v1/policies/explain", json!({"data_source_id": "one", "table": "t"}), "data_source_id"),
        ("/api/v1/prompts/execute", json!({"prompt_text": 1, "selected_data_source_ids": [1]}), "prompt_text"),
    ] {
        owner.client.post(path, body).await.invalid(field);
    }
}

async fn a_body_that_is_too_large(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    let body = json!({"email": "a@b.example", "password": "x".repeat(3000)});
    server.anonymous().post("/api/v1/auth/login", body).await.error(413, "REQUEST_ENTITY_TOO_LARGE");
    // Uploads have their own limit.
    owner.client.upload("a.csv", vec![b'x'; 3000]).await.created();
}

async fn an_unknown_source(server: &Server) {
    let acme = server.organization("Acme").await;
    let query = json!({"query": "SELECT 1"});
    acme.owner.query_with(987_654_321, query.clone()).await.error(404, "NOT_FOUND");
    let path = "/api/v1/data-sources/987654321";
    acme.owner.client.post_empty(&format!("{path}/test")).await.error(404, "NOT_FOUND");
    acme.owner.client.post_empty(&format!("{path}/discover-schema")).await.error(404, "NOT_FOUND");
    let prompt = json!({"prompt_text": "How many?", "selected_data_source_ids": [987_654_321]});
    acme.owner.client.post("/api/v1/prompts/execute", prompt).await.error(404, "NOT_FOUND");
    for path in ["/api/v1/data-sources/9223372036854775808/query", "/api/v1/data-sources/-/query"] {
        acme.owner.client.post(path, query.clone()).await.error(404, "NOT_FOUND");
    }
    assert_eq!(server.count("SELECT count(*) FROM query_runs").await, 0);
}

async fn unreachable(acme: &Organization, host: &str, port: u16) -> (i64, Value) {
    let body = json!({"name": "Far", "type": "postgresql", "host": host, "port": port, "database_name": "d",
        "connection_timeout": 3, "credentials": {"username": "u", "password": "a secret word"}});
    let id = acme.admin.register(body).await;
    let source = acme.admin.checked(id).await;
    assert_eq!(source["status"], "failed", "{source}");
    (id, source)
}

async fn an_unreachable_host(server: &Server) {
    let acme = server.organization("Acme").await;
    let closed = ClosedPort::take();
    let (id, source) = unreachable(&acme, "127.0.0.1", closed.number()).await;
    assert!(source["failure_reason"].as_str().is_some_and(|text| text.contains("check host")), "{source}");
    let data = acme.admin.client.post_empty(&format!("/api/v1/data-sources/{id}/test")).await.ok();
    assert_eq!((data["connection_successful"].as_bool(), data["status"].as_str()), (Some(false), Some("failed")));
    assert_eq!(data["error_code"], "CONNECTION_ERROR");
    assert!(!data.to_string().contains("refused"), "the network's own words: {data}");
    let discover = format!("/api/v1/data-sources/{id}/discover-schema");
    acme.admin.client.post_empty(&discover).await.error(502, "CONNECTION_ERROR");
    acme.viewer.query_with(id, json!({"query": "SELECT 1"})).await.error(409, "DATA_SOURCE_UNAVAILABLE");
    let prompt = json!({"prompt_text": "How many?", "selected_data_source_ids": [id]});
    acme.viewer.client.post("/api/v1/prompts/execute", prompt).await.error(409, "DATA_SOURCE_UNAVAILABLE");
    assert_eq!(server.count("SELECT count(*) FROM data_source_tables").await, 0);
}

async fn an_address_that_is_not_permitted(server: &Server) {
    let acme = server.organization("Acme").await;
    let port = server.url().rsplit_once(':').unwrap().1.parse().unwrap();
    // This server itself listens there, and it is not told.
    let (_, source) = unreachable(&acme, "127.0.0.1", port).await;
    let reason = source["failure_reason"].as_str().unwrap().to_owned();
    for (index, host) in ["localhost", "169.254.169.254", "10.0.0.1", "[::1]", "0.0.0.0"].iter().enumerate() {
        let body = json!({"name": format!("Far {index}"), "type": "postgresql", "host": host, "port": 1,
            "database_name": "d", "connection_timeout": 3, "credentials": {"username": "u", "password": "p"}});
        let answer = acme.admin.client.post("/api/v1/data-sources", body).await;
        if answer.status == 422 {
            continue;
        }
        let id = answer.created()["id"].as_i64().unwrap();
        assert_eq!(acme.admin.checked(id).await["failure_reason"].as_str(), Some(reason.as_str()), "{host}");
    }
}

/// A file whose source fails its first check; answers what the source says of it.
async fn unreadable(server: &Server, acme: &Organization, kind: &str, file: &str, bytes: Vec<u8>) -> String {
    let file_path = acme.admin.upload(file, bytes).await;
    let name = format!("S{:08x}", rand::random::<u32>());
    let id = acme.admin.register(json!({"name": name, "type": kind, "file_path": file_path})).await;
    let source = acme.admin.checked(id).await;
    assert_eq!(source["status"], "failed", "{source}");
    let discover = format!("/api/v1/data-sources/{id}/discover-schema?refresh=true");
    let error = acme.admin.client.post_empty(&discover).await.error(422, "UNREADABLE_FILE");
    acme.admin.query_with(id, json!({"query": "SELECT 1"})).await.error(409, "DATA_SOURCE_UNAVAILABLE");
    assert_eq!(server.count("SELECT count(*) FROM data_source_tables").await, 0);
    error["message"].as_str().unwrap().to_owned()
}

async fn a_corrupt_parquet_file(server: &Server) {
    let acme = server.organization("Acme").await;
    let good = fixtures::orders_parquet();
    let mut cut = good.clone();
    cut.truncate(good.len() / 2);
    let mut footer = good.clone();
    let at = good.len() - 40;
    footer[at..at + 20].fill(0xff);
    for bytes in [cut, footer, b"PAR1".to_vec(), b"PAR1PAR1".to_vec(), vec![0; 4096]] {
        let message = unreadable(server, &acme, "parquet", "orders.parquet", bytes).await;
        assert!(message.contains("orders"), "{message}");
    }
}

async fn a_file_of_another_kind(server: &Server) {
    let acme = server.organization("Acme").await;
    unreadable(server, &acme, "parquet", "products.csv", fixtures::products_csv()).await;
    unreadable(server, &acme, "sqlite", "products.csv", fixtures::products_csv()).await;
    unreadable(server, &acme, "sqlite", "orders.parquet", fixtures::orders_parquet()).await;
}

async fn a_csv_with_ragged_rows_names_the_line(server: &Server) {
    let acme = server.organization("Acme").await;
    let ragged = b"sku,product,price\nP1,Lamp,19.5\nP2,Chair\nP3,Desk,240\n".to_vec();
    let message = unreadable(server, &acme, "csv", "products.csv", ragged).await;
    assert!(message.contains("line 3"), "{message}");
    let long = b"sku,product\nP1,Lamp\nP2,Chair\nP3,Desk,240\n".to_vec();
    let message = unreadable(server, &acme, "csv", "products.csv", long).await;
    assert!(message.contains("line 4"), "{message}");
}

async fn text_that_a_database_cannot_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let zero = "a\u{0}b";
    let mut faults = Vec::new();
    for (path, body) in [
        ("/api/v1/auth/signup", json!({"email": "z@new.example", "password": "Correct1horse", "display_name": zero})),
        ("/api/v1/auth/login", json!({"email": zero, "password": zero})),
        (
            "/api/v1/organizations",
            json!({"name": zero, "admin_email": "y@new.example", "admin_password": "Correct1horse"}),
        ),
        ("/api/v1/workspaces", json!({"name": zero, "organization_id": acme.id})),
        ("/api/v1/data-sources", json!({"name": zero, "type": "csv", "file_path": zero})),
        ("/api/v1/policies", json!({"name": zero, "type": "query_limit"})),
        (
            "/api/v1/prompts/execute",
            json!({"prompt_text": zero, "selected_data_source_ids": [shop.orders], "name": zero,
            "save_prompt": true}),
        ),
    ] {
        let client =
            if path.ends_with("organizations") { acme.owner.client.anonymous() } else { acme.owner.client.clone() };
        let answer = client.post(path, body).await;
        if answer.status.as_u16() >= 500 {
            faults.push(answer.request);
        }
    }
    let query = json!({"query": "SELECT 'a\u{0}b'", "parameters": {"p": zero}});
    assert!(acme.owner.query_with(shop.orders, query).await.status.as_u16() < 500);
    for path in [
        "/api/v1/organizations?search=%00",
        "/api/v1/data-sources?search=%00",
        "/api/v1/policies?search=%00",
        "/api/v1/users/bulk-import/imp_%00",
    ] {
        let answer = acme.owner.client.get(path).await;
        if answer.status.as_u16() >= 500 {
            faults.push(answer.request);
        }
    }
    assert!(faults.is_empty(), "a zero byte breaks {faults:#?}");
}

async fn deeply_nested_input_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let deep = format!("{{\"metadata\": {}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let answer = acme.owner.client.post_raw("/api/v1/policies", "application/json", deep).await;
    assert!([400, 422].contains(&answer.status.as_u16()), "{answer:?}");
    for sql in [
        format!("SELECT {}1{}", "(".repeat(20_000), ")".repeat(20_000)),
        format!("SELECT 1 {}", "+ 1 ".repeat(20_000)),
        format!("SELECT {}1", "NOT ".repeat(20_000)),
    ] {
        let answer = acme.owner.query_with(shop.orders, json!({"query": sql})).await;
        assert!([200, 400, 422].contains(&answer.status.as_u16()), "{}", answer.status);
    }
    let condition = format!("{}region = 'EU'{}", "(".repeat(5_000), ")".repeat(5_000));
    let rule = json!({"rule_name": "r", "rule_type": "filter_rows", "rule_config": {"condition": condition}});
    let body = json!({"name": "p", "type": "row_level_security", "rules": [rule]});
    acme.owner.client.post("/api/v1/policies", body).await.error(422, "VALIDATION_ERROR");
    // It still lives.
    assert_eq!(acme.owner.value(shop.orders, "SELECT count(*) FROM orders").await, 12);
}
