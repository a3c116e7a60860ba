//! `GET /api/v1/organizations`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

on_both_databases! {
    only_ones_own_are_listed;
    the_window_moves;
    it_needs_a_token;
}

const PATH: &str = "/api/v1/organizations";

async fn only_ones_own_are_listed(server: &Server) {
    let acme = server.organization("Acme").await;
    server.organization("Globex").await;
    for (_, person) in acme.people() {
        let data = person.client.get(PATH).await.ok();
        assert_eq!(data["total_count"], 1);
        assert_eq!(data["organizations"][0]["id"], acme.id);
        assert_eq!(data["organizations"][0]["name"], "Acme");
    }
    let none = acme.owner.client.get(&format!("{PATH}?search=globex")).await.ok();
    assert_eq!(none["total_count"], 0);
}

async fn the_window_moves(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    for name in ["Beta 100%", "Alpha"] {
        let body = json!({"name": name, "admin_email": owner.email});
        owner.client.post(PATH, body).await.created();
    }
    let names = async |query: &str| -> Vec<String> {
        let data = owner.client.get(&format!("{PATH}?{query}")).await.ok();
        let rows = data["organizations"].as_array().unwrap().iter();
        rows.map(|row| row["name"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(names("").await, ["Acme", "Alpha", "Beta 100%"]);
    assert_eq!(names("skip=1&limit=1").await, ["Alpha"]);
    assert_eq!(names("search=ALPH").await, ["Alpha"]);
    // The text's own signs mean themselves.
    assert_eq!(names("search=%25").await, ["Beta 100%"]);
    owner.client.get(&format!("{PATH}?limit=101")).await.invalid("limit");
    owner.client.get(&format!("{PATH}?skip=-1")).await.invalid("skip");
}

async fn it_needs_a_token(server: &Server) {
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}
