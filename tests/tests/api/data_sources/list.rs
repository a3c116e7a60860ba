//! `GET /api/v1/data-sources`

use rivergen_tests::{Server, on_both_databases};
use serde_json::Value;

on_both_databases! {
    it_filters_sorts_and_pages;
    anothers_are_not_listed;
    bad_parameters_are_named;
}

const PATH: &str = "/api/v1/data-sources";

fn names(data: &Value) -> Vec<&str> {
    data["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

async fn it_filters_sorts_and_pages(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.shop().await;
    let get = async |query: &str| acme.viewer.client.get(&format!("{PATH}?{query}")).await.ok();
    assert_eq!(names(&get("").await), ["Products", "CRM", "Orders"]);
    assert_eq!(names(&get("sort_by=name&sort_order=asc").await), ["CRM", "Orders", "Products"]);
    assert_eq!(names(&get("type=sqlite").await), ["CRM"]);
    assert_eq!(names(&get("search=ORD").await), ["Orders"]);
    assert_eq!(names(&get("status_filter=failed").await), Vec::<&str>::new());
    assert_eq!(get("status_filter=active").await["pagination"]["total_items"], 3);
    assert_eq!(names(&get("sort_by=name&sort_order=asc&page=2&page_size=2").await), ["Products"]);
    assert_eq!(names(&get(&format!("workspace_id={}", acme.workspace_id)).await).len(), 3);
    // Nothing that could be a secret is in a list.
    let shown = get("").await.to_string();
    assert!(!shown.contains("credentials") && !shown.contains("connection_string"), "{shown}");
}

async fn anothers_are_not_listed(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    acme.admin.file_source("Orders", "csv", "a.csv", b"a\n1\n".to_vec()).await;
    assert_eq!(globex.owner.client.get(PATH).await.ok()["pagination"]["total_items"], 0);
    let aimed = format!("{PATH}?workspace_id={}", acme.workspace_id);
    assert_eq!(globex.owner.client.get(&aimed).await.ok()["pagination"]["total_items"], 0);
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}

async fn bad_parameters_are_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let get = async |query: &str| acme.viewer.client.get(&format!("{PATH}?{query}")).await;
    get("sort_by=credentials").await.invalid("sort_by");
    get("sort_order=up").await.invalid("sort_order");
    get("page_size=1000").await.invalid("page_size");
    get("page=x").await.invalid("page");
    get("status_filter=odd").await.invalid("status_filter");
}
