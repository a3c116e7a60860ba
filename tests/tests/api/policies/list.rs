//! `GET /api/v1/policies`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    highest_priority_first_filtered_and_paged;
    anothers_are_not_listed;
    who_may_not_is_refused;
}

const PATH: &str = "/api/v1/policies";

fn names(data: &Value) -> Vec<&str> {
    data["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect()
}

async fn highest_priority_first_filtered_and_paged(server: &Server) {
    let acme = server.organization("Acme").await;
    for (name, kind, priority, active) in
        [("low", "query_limit", 1, true), ("high", "data_masking", 9, true), ("off", "query_limit", 5, false)]
    {
        let body = json!({"name": name, "type": kind, "priority": priority, "is_active": active});
        acme.admin.client.post(PATH, body).await.created();
    }
    let get = async |query: &str| acme.developer.client.get(&format!("{PATH}?{query}")).await.ok();
    assert_eq!(names(&get("").await), ["high", "off", "low"]);
    assert_eq!(names(&get("type=query_limit").await), ["off", "low"]);
    assert_eq!(names(&get("is_active=false").await), ["off"]);
    assert_eq!(names(&get("search=HIG").await), ["high"]);
    assert_eq!(names(&get("page=2&page_size=2").await), ["low"]);
    let bad = acme.developer.client.get(&format!("{PATH}?type=magic")).await;
    bad.invalid("type");
}

async fn anothers_are_not_listed(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    acme.admin.client.post(PATH, json!({"name": "p", "type": "query_limit"})).await.created();
    assert_eq!(globex.owner.client.get(PATH).await.ok()["pagination"]["total_items"], 0);
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.get(PATH).await.error(403, "FORBIDDEN");
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}
