//! How pages are come by that lie far behind in the lists of a large organization: along an index that has all that is
//! asked for, without a look at the rows before them.

use rivergen_tests::{Backend, Organization, Server, on_both_databases};
use serde_json::Value;

on_both_databases! {
    no_row_is_read_that_is_passed_over;
}

/// A list of the organization.
struct List {
    table: &'static str,
    path: String,
    /// Where the answer has it.
    name: &'static str,
    index: &'static str,
    /// What a row has beside the organization, as an expression made of its number `i`.
    columns: String,
    values: String,
}

fn lists(server: &Server, acme: &Organization) -> Vec<List> {
    let bytes = match server.backend {
        Backend::Postgres => "convert_to(lpad(CAST(i AS text), 32, '0'), 'UTF8')",
        Backend::Sqlite => "CAST(printf('%032d', i) AS BLOB)",
    };
    let (id, user) = (acme.id, acme.viewer.id);
    let (long_ago, never) = ("'2020-01-01 00:00:00+00:00'", "'2100-01-01 00:00:00+00:00'");
    let of_organization = format!("/api/v1/organizations/{id}");
    let invitations = |query: &str, index: &'static str| List {
        table: "invitations",
        path: format!("{of_organization}/invitations?{query}"),
        name: "invitations",
        index,
        columns: "workspace_id, role_id, email, token_hash, status, invited_by_user_id, created_at, expires_at"
            .to_owned(),
        values: format!(
            "{}, {}, 'guest' || i || '@acme.example', {bytes}, 'pending', {user}, {long_ago}, {never}",
            acme.workspace_id, acme.roles["Viewer"]
        ),
    };
    vec![
        // Two indexes begin so, either of which will do.
        invitations("status=pending&", "invitations_"),
        List {
            table: "personal_access_tokens",
            path: format!("{of_organization}/tokens?is_active=true&"),
            name: "tokens",
            index: "personal_access_tokens_organization",
            columns: "user_id, name, prefix, token_hash, scopes, created_at".to_owned(),
            values: format!("{user}, 'token', 'rg_pat', {bytes}, '[]', {never}"),
        },
        List {
            table: "trusted_devices",
            path: format!("/api/v1/devices/?organization_id={id}&"),
            name: "devices",
            index: "trusted_devices_organization",
            columns: "user_id, device_name, created_at, activating_session_id, activation_expires_at, activated_at, \
                      trusted_until"
                .to_owned(),
            values: format!("{user}, 'device', {long_ago}, 0, {long_ago}, {never}, {never}"),
        },
    ]
}

async fn no_row_is_read_that_is_passed_over(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    for List { table, path, name, index, columns, values } in lists(server, &acme) {
        // Nine of ten are another organization's.
        server
            .execute(&format!(
                "INSERT INTO {table} (organization_id, {columns}) \
                 WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 6000) \
                 SELECT CASE WHEN i % 10 = 0 THEN {} ELSE {} END, {values} FROM n",
                acme.id, globex.id
            ))
            .await;
        match server.backend {
            // It reads an index alone where it knows that the rows are to be seen.
            Backend::Postgres => server.execute(&format!("VACUUM ANALYZE {table}")).await,
            Backend::Sqlite => server.analyze().await,
        }
        let (page, statements) = server.statements(acme.admin.client.get(&format!("{path}skip=300&limit=3"))).await;
        let page = page.ok();
        let shown: Vec<&Value> = page[name].as_array().unwrap().iter().map(|row| &row["id"]).collect();
        let wanted = format!("SELECT id FROM {table} WHERE organization_id = {} ORDER BY id DESC", acme.id);
        let wanted = server.rows(&format!("{wanted} LIMIT 3 OFFSET 300")).await;
        assert_eq!(shown, wanted.iter().map(|row| &row["id"]).collect::<Vec<_>>(), "{name}");
        assert_eq!(page["total_count"], 600, "{name}");
        let is_page = |sql: &&String| sql.contains(&format!("FROM \"{table}\"")) && sql.contains(" OFFSET 300");
        let plan = server.plan(statements.iter().find(is_page).expect("a page is asked for")).await;
        let alone = match server.backend {
            Backend::Sqlite => format!("USING COVERING INDEX {index}"),
            Backend::Postgres => format!("Index Only Scan Backward using {index}"),
        };
        assert!(plan.contains(&alone), "{alone}\n{plan}");
    }
}
