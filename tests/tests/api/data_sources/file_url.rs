//! `GET /api/v1/data-sources/{data_source_id}/file-url`

use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::json;

use super::{of, policy};

on_both_databases! {
    whoever_sees_the_whole_source_gets_a_link;
    whoever_sees_a_part_gets_none;
    a_link_ends_when_a_policy_comes_between;
    a_link_ends_when_its_maker_does_not_reach_the_source_any_more;
    a_link_rests_while_the_source_is_switched_off;
    a_source_without_a_file_has_none;
    a_source_that_reads_no_file_is_no_way_to_one;
    a_lifetime_has_bounds;
}

async fn whoever_sees_the_whole_source_gets_a_link(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.admin.file_source("Numbers", "csv", "numbers.csv", b"n\n1\n2\n".to_vec()).await;
    let data = acme.viewer.client.get(&of(source, "/file-url?expires_seconds=60")).await.ok();
    assert_eq!(data["expires_in_seconds"], 60);
    let path = data["url"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned();
    let file = server.anonymous().get(&path).await;
    assert_eq!((file.status.as_u16(), file.body.as_str()), (200, Some("n\n1\n2\n")));
}

async fn whoever_sees_a_part_gets_none(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let condition = json!({"table": "orders", "condition": "region = 'EU'"});
    policy(&acme, shop.orders, "Viewer", "row_level_security", "filter_rows", condition).await;
    acme.viewer.client.get(&of(shop.orders, "/file-url")).await.error(403, "POLICY_DENIED");
    acme.developer.client.get(&of(shop.orders, "/file-url")).await.ok();
    let mask = json!({"table": "products", "column": "product", "masking_function": "redact"});
    policy(&acme, shop.products, "Viewer", "data_masking", "mask_column", mask).await;
    acme.viewer.client.get(&of(shop.products, "/file-url")).await.error(403, "POLICY_DENIED");
    policy(&acme, shop.crm, "Viewer", "query_limit", "limit_query", json!({"max_rows": 1})).await;
    acme.viewer.client.get(&of(shop.crm, "/file-url")).await.error(403, "POLICY_DENIED");
}

async fn a_link_ends_when_a_policy_comes_between(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let data = acme.viewer.client.get(&of(shop.orders, "/file-url")).await.ok();
    let path = data["url"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned();
    assert_eq!(server.anonymous().get(&path).await.status, 200);
    let condition = json!({"table": "orders", "condition": "region = 'EU'"});
    policy(&acme, shop.orders, "Viewer", "row_level_security", "filter_rows", condition).await;
    assert!(server.anonymous().get(&path).await.status.is_client_error());
}

/// The path of a link that the person makes.
async fn link(server: &Server, person: &Person, source: i64) -> String {
    let data = person.client.get(&of(source, "/file-url")).await.ok();
    data["url"].as_str().unwrap().strip_prefix(server.url()).unwrap().to_owned()
}

async fn a_link_ends_when_its_maker_does_not_reach_the_source_any_more(server: &Server) {
    let acme = server.organization("Acme").await;
    let (lab, annex) = (acme.workspace("Lab").await, acme.workspace("Annex").await);
    let csv = || b"sku,product\nP1,Lamp\n".to_vec();
    let in_lab = server.sign_in(&acme.owner.email).await.stand_in(lab).await;
    let lamps = in_lab.file_source("Lamps", "csv", "lamps.csv", csv()).await;
    let desks = in_lab.stand_in(annex).await.file_source("Desks", "csv", "desks.csv", csv()).await;
    // A developer of the whole organization reaches the sources of all workspaces, wherever they stand.
    acme.let_in(lab, &acme.developer, "Viewer").await;
    let developer = server.sign_in(&acme.developer.email).await.stand_in(lab).await;
    let (to_lamps, to_desks) = (link(server, &developer, lamps).await, link(server, &developer, desks).await);
    for path in [&to_lamps, &to_desks] {
        assert_eq!(server.anonymous().get(path).await.status, 200);
    }
    let everywhere =
        format!("DELETE FROM role_assignments WHERE user_id = {} AND workspace_id IS NULL", acme.developer.id);
    server.execute(&everywhere).await;
    server.forget().await;
    assert_eq!(server.anonymous().get(&to_lamps).await.status, 200);
    server.anonymous().get(&to_desks).await.error(410, "LINK_EXPIRED");
}

async fn a_link_rests_while_the_source_is_switched_off(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.admin.file_source("Numbers", "csv", "numbers.csv", b"n\n1\n".to_vec()).await;
    let path = link(server, &acme.viewer, source).await;
    acme.admin.client.patch(&of(source, ""), json!({"status": "inactive"})).await.ok();
    server.anonymous().get(&path).await.error(410, "LINK_EXPIRED");
    acme.admin.client.patch(&of(source, ""), json!({"status": "active"})).await.ok();
    assert_eq!(server.anonymous().get(&path).await.status, 200);
}

async fn a_source_without_a_file_has_none(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Elsewhere", "type": "postgresql", "host": "127.0.0.1", "port": 1, "database_name": "x",
        "credentials": {"username": "u", "password": "p"}});
    let id = acme.admin.register(body).await;
    acme.owner.client.get(&of(id, "/file-url")).await.error(404, "NOT_FOUND");
}

async fn a_source_that_reads_no_file_is_no_way_to_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let secret = acme.admin.upload("secret.csv", b"a\n1\n".to_vec()).await;
    let body = |path: Option<&str>| {
        json!({"name": "Elsewhere", "type": "postgresql", "host": "127.0.0.1", "port": 1, "database_name": "x",
            "file_path": path, "credentials": {"username": "u", "password": "p"}})
    };
    acme.developer.client.post("/api/v1/data-sources", body(Some(&secret))).await.invalid("file_path");
    let id = acme.developer.register(body(None)).await;
    acme.developer.client.patch(&of(id, ""), json!({"file_path": secret})).await.invalid("file_path");
    // As one could be entered once.
    server.execute(&format!("UPDATE data_sources SET file_path = '{secret}' WHERE id = {id}")).await;
    acme.developer.client.get(&of(id, "/file-url")).await.error(404, "NOT_FOUND");
    // Nor does it hold the file.
    acme.admin.client.delete(&format!("/api/v1/storage/objects/{secret}")).await.ok();
}

async fn a_lifetime_has_bounds(server: &Server) {
    let acme = server.organization("Acme").await;
    let source = acme.admin.file_source("Numbers", "csv", "numbers.csv", b"n\n1\n".to_vec()).await;
    acme.viewer.client.get(&of(source, "/file-url?expires_seconds=0")).await.invalid("expires_seconds");
    acme.viewer.client.get(&of(source, "/file-url?expires_seconds=604801")).await.invalid("expires_seconds");
}
