//! `POST /api/v1/data-sources/{data_source_id}/discover-schema`

use rivergen_tests::{PostgresDatabase, Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    what_is_found_is_counted;
    refresh_reads_the_source_again;
    a_viewer_may_not;
    anothers_is_not_found;
}

async fn what_is_found_is_counted(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let path = format!("/api/v1/data-sources/{}/discover-schema?refresh=true", shop.crm);
    let data = acme.developer.client.post_empty(&path).await.ok();
    let schemas = json!([{"schema_name": "main", "tables_count": 1, "views_count": 0}]);
    assert_eq!(data["schemas_discovered"], schemas);
    assert_eq!((data["total_tables"].as_i64(), data["total_columns"].as_i64()), (Some(1), Some(6)));
    assert_eq!(server.audited("data_source.discover", "success").await, 1);
}

async fn refresh_reads_the_source_again(server: &Server) {
    let acme = server.organization("Acme").await;
    let database = PostgresDatabase::empty().await;
    database.execute("CREATE TABLE stock (sku text, pieces bigint)").await;
    let id = acme.admin.register(database.source("W")).await;
    acme.admin.checked(id).await;
    database.execute("CREATE VIEW full_stock AS SELECT * FROM stock WHERE pieces > 0").await;
    let path = format!("/api/v1/data-sources/{id}/discover-schema");
    assert_eq!(acme.admin.client.post_empty(&path).await.ok()["total_tables"], 1);
    let data = acme.admin.client.post_empty(&format!("{path}?refresh=true")).await.ok();
    assert_eq!(data["schemas_discovered"], json!([{"schema_name": "public", "tables_count": 1, "views_count": 1}]));
    acme.viewer.query(id, "SELECT * FROM full_stock").await;

    database.execute("DROP VIEW full_stock; DROP TABLE stock; CREATE TABLE depot (id int)").await;
    acme.admin.client.post_empty(&format!("{path}?refresh=true")).await.ok();
    acme.viewer.query_with(id, json!({"query": "SELECT * FROM stock"})).await.error(400, "INVALID_QUERY");
    acme.viewer.query(id, "SELECT * FROM depot").await;
    database.remove().await;
}

async fn a_viewer_may_not(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let path = format!("/api/v1/data-sources/{id}/discover-schema");
    acme.viewer.client.post_empty(&path).await.error(403, "FORBIDDEN");
    server.anonymous().post_empty(&path).await.error(401, "UNAUTHORIZED");
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let id = acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    let path = format!("/api/v1/data-sources/{id}/discover-schema");
    globex.owner.client.post_empty(&path).await.error(404, "NOT_FOUND");
}
