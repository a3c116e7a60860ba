//! `GET /api/v1/users`

use rivergen_tests::{Organization, Person, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    members_are_listed_by_name_page_by_page;
    beginnings_of_words_find_them;
    every_word_of_a_long_name_finds_them;
    words_that_were_left_out_once_find_them;
    a_changed_name_or_address_is_found;
    members_of_ones_own_organization_alone;
}

const PATH: &str = "/api/v1/users";

fn emails(listed: &Value) -> Vec<&str> {
    listed["users"].as_array().unwrap().iter().map(|user| user["email"].as_str().unwrap()).collect()
}

async fn members_are_listed_by_name_page_by_page(server: &Server) {
    let acme = server.organization("Acme").await;
    let listed = acme.admin.client.get(PATH).await.ok();
    let all = ["admin@acme.example", "developer@acme.example", "owner@acme.example", "viewer@acme.example"];
    assert_eq!((listed["total_count"].as_i64(), emails(&listed)), (Some(4), all.to_vec()));
    let admin = &listed["users"][0];
    assert_eq!((admin["status"].as_str(), admin["role_name"].as_str()), (Some("active"), Some("Admin")));
    assert!(admin["last_login_at"].is_string() && admin["created_at"].is_string());
    let page = acme.admin.client.get(&format!("{PATH}?skip=1&limit=2")).await.ok();
    assert_eq!((page["total_count"].as_i64(), emails(&page)), (Some(4), all[1..3].to_vec()));
    let viewers = acme.admin.client.get(&format!("{PATH}?role_id={}", acme.roles["Viewer"])).await.ok();
    assert_eq!(emails(&viewers), ["viewer@acme.example"]);
    let suspended = acme.admin.client.get(&format!("{PATH}?status=suspended")).await.ok();
    assert_eq!(suspended["total_count"], 0);
    acme.admin.client.get(&format!("{PATH}?limit=101")).await.invalid("limit");
    acme.admin.client.get(&format!("{PATH}?status=odd")).await.invalid("status");
}

/// How many are found.
async fn find(acme: &Organization, text: &str) -> i64 {
    let query = url::form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>();
    acme.admin.client.get(&format!("{PATH}?search={query}")).await.ok()["total_count"].as_i64().unwrap()
}

async fn rename(person: &Person, name: &str) {
    person.client.put("/api/v1/auth/me/profile", json!({"display_name": name})).await.ok();
}

/// Of so many words, each its own.
fn long_name(words: usize) -> String {
    (0..words).map(|number| format!("W{number:02}")).collect::<Vec<_>>().join(" ")
}

async fn beginnings_of_words_find_them(server: &Server) {
    let acme = server.organization("Acme").await;
    rename(&acme.viewer, "Ada Müller-O'Brien").await;
    for text in [
        "ada",
        "ADA",
        "mül",
        "MÜLLER",
        "o'br",
        "brien ada",
        "viewer",
        "viewer@acme",
        "viewer@acme.example",
        "ada viewer",
    ] {
        assert_eq!(find(&acme, text).await, 1, "{text}");
    }
    // A text without a word finds nobody, as among the members of an organization.
    for text in ["da", "adax", "ada owner", "viewer@acme.examplex", "%"] {
        assert_eq!(find(&acme, text).await, 0, "{text}");
    }
    assert_eq!(find(&acme, "  ").await, 4);
    assert_eq!(find(&acme, "acme").await, 4);
}

async fn every_word_of_a_long_name_finds_them(server: &Server) {
    let acme = server.organization("Acme").await;
    let name = long_name(60);
    rename(&acme.viewer, &name).await;
    rename(&acme.developer, "Wanda").await;
    for text in [name.as_str(), "w00", "w59", "w59 viewer@acme.example", "w w5 w59"] {
        assert_eq!(find(&acme, text).await, 1, "{text}");
    }
    // Every word that is sought counts, however many they are.
    for text in [format!("{name} wanda"), format!("{name} x")] {
        assert_eq!(find(&acme, &text).await, 0, "{text}");
    }
    // Who is found by many words is one of the list.
    for (skip, email) in [(0, "viewer@acme.example"), (1, "developer@acme.example")] {
        let page = acme.admin.client.get(&format!("{PATH}?search=w&skip={skip}&limit=1")).await.ok();
        assert_eq!((page["total_count"].as_i64(), emails(&page)), (Some(2), vec![email]));
    }
}

async fn words_that_were_left_out_once_find_them(server: &Server) {
    let acme = server.organization("Acme").await;
    rename(&acme.viewer, &long_name(40)).await;
    // As servers before left them.
    server.execute("DELETE FROM member_words WHERE word >= 'w20' AND word < 'x'").await;
    assert_eq!((find(&acme, "w19").await, find(&acme, "w39").await), (1, 0));
    server.execute("DELETE FROM seaql_migrations WHERE version = 'm0134_tenancy_all_words'").await;
    server.platform.db.migrate(rivergen::assembly::migrations).await.unwrap();
    assert_eq!((find(&acme, "w19").await, find(&acme, "w39").await), (1, 1));
}

async fn a_changed_name_or_address_is_found(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.put("/api/v1/auth/me/profile", json!({"display_name": "Zoe"})).await.ok();
    let listed = acme.admin.client.get(PATH).await.ok();
    assert_eq!(emails(&listed).last(), Some(&"viewer@acme.example"));
    assert_eq!(listed["users"][3]["display_name"], "Zoe");
    assert_eq!(acme.admin.client.get(&format!("{PATH}?search=zo")).await.ok()["total_count"], 1);
}

async fn members_of_ones_own_organization_alone(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    acme.viewer.client.get(PATH).await.error(403, "FORBIDDEN");
    let foreign = format!("{PATH}?organization_id={}", globex.id);
    acme.owner.client.get(&foreign).await.error(404, "ORG_NOT_FOUND");
    let found = acme.owner.client.get(&format!("{PATH}?search=globex")).await.ok();
    assert_eq!(found["total_count"], 0);
}
