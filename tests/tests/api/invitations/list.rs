//! `GET /api/v1/invitations`

use chrono::Duration;
use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{accept, body, invite, invite_path, token};

on_both_databases! {
    those_of_all_organizations_in_which_one_may_invite;
    an_ordinary_member_gets_none;
    they_are_filtered;
    anothers_is_not_found;
    a_token_sees_what_its_scopes_allow;
    it_needs_a_token;
}

const PATH: &str = "/api/v1/invitations";

fn emails(data: &Value) -> Vec<&str> {
    data["invitations"].as_array().unwrap().iter().map(|row| row["email"].as_str().unwrap()).collect()
}

async fn those_of_all_organizations_in_which_one_may_invite(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    invite(&acme, "one@new.example", "Viewer").await;
    invite(&globex, "two@new.example", "Developer").await;
    invite(&globex, &acme.admin.email, "Admin").await;
    let one = acme.admin.client.get(PATH).await.ok();
    assert_eq!((emails(&one), one["total_count"].as_i64()), (vec!["one@new.example"], Some(1)));
    accept(&acme.admin.client, &token(server, &acme.admin.email, 1).await).await.ok();
    let both = acme.admin.client.get(PATH).await.ok();
    assert_eq!(emails(&both), ["admin@acme.example", "two@new.example", "one@new.example"]);
    let first = &both["invitations"][0];
    assert_eq!((&first["status"], &first["organization"]["name"]), (&json!("accepted"), &json!("Globex")));
    assert_eq!(both["invitations"][2]["workspace"], json!({"id": acme.workspace_id, "name": "Main Workspace"}));
    let page = acme.admin.client.get(&format!("{PATH}?skip=1&limit=1")).await.ok();
    assert_eq!((emails(&page), page["total_count"].as_i64()), (vec!["two@new.example"], Some(3)));
    let text = both.to_string();
    assert!(!text.contains("token") && !text.contains("hash"), "{text}");
    // Whoever is suspended there sees none of it any more.
    let path = format!("/api/v1/organizations/{}/members/{}", globex.id, acme.admin.id);
    globex.owner.client.patch(&path, json!({"status": "suspended"})).await.ok();
    assert_eq!(acme.admin.client.get(PATH).await.ok()["total_count"], 1);
}

async fn an_ordinary_member_gets_none(server: &Server) {
    let acme = server.organization("Acme").await;
    invite(&acme, "one@new.example", "Viewer").await;
    for person in [&acme.developer, &acme.viewer] {
        for query in [String::new(), format!("?organization_id={}", acme.id)] {
            let data = person.client.get(&format!("{PATH}{query}")).await.ok();
            assert_eq!((emails(&data), data["total_count"].as_i64()), (vec![], Some(0)));
        }
    }
}

async fn they_are_filtered(server: &Server) {
    let acme = server.organization("Acme").await;
    let ada = server.newcomer("ada@new.example").await;
    invite(&acme, "old@new.example", "Viewer").await;
    server.clock().advance(Duration::days(8));
    let admin = server.sign_in(&acme.admin.email).await.client;
    for email in ["old@new.example", "ada@new.example", "eve@new.example", "bob@new.example"] {
        admin.post(&invite_path(&acme), body(&acme, email, "Viewer")).await.created();
    }
    let ada = server.sign_in(&ada.email).await;
    accept(&ada.client, &token(server, &ada.email, 1).await).await.ok();
    let eve = server.count("SELECT id FROM invitations WHERE email = 'eve@new.example'").await;
    admin.delete(&format!("{PATH}/{eve}")).await.ok();
    let found = async |query: &str| -> Vec<String> {
        let data = admin.get(&format!("{PATH}?{query}")).await.ok();
        let found: Vec<String> = emails(&data).into_iter().map(str::to_owned).collect();
        assert_eq!(data["total_count"].as_u64(), Some(found.len() as u64));
        found
    };
    assert_eq!(found("status=pending").await, ["bob@new.example", "old@new.example"]);
    assert_eq!(found("status=accepted").await, ["ada@new.example"]);
    assert_eq!(found("status=revoked").await, ["eve@new.example"]);
    // Another one took its place.
    assert_eq!(found("status=expired").await, ["old@new.example"]);
    assert_eq!(found(&format!("organization_id={}", acme.id)).await.len(), 5);
    server.clock().advance(Duration::days(8));
    let admin = server.sign_in(&acme.admin.email).await.client;
    let expired = admin.get(&format!("{PATH}?status=expired")).await.ok();
    assert_eq!((expired["total_count"].as_i64(), &expired["invitations"][0]["status"]), (Some(3), &json!("expired")));
    admin.get(&format!("{PATH}?status=lost")).await.invalid("status");
    admin.get(&format!("{PATH}?limit=0")).await.invalid("limit");
}

async fn anothers_is_not_found(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    invite(&globex, "two@new.example", "Viewer").await;
    let path = format!("{PATH}?organization_id={}", globex.id);
    acme.owner.client.get(&path).await.error(404, "ORG_NOT_FOUND");
    assert_eq!(acme.owner.client.get(PATH).await.ok()["total_count"], 0);
}

async fn a_token_sees_what_its_scopes_allow(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    invite(&acme, "one@new.example", "Viewer").await;
    invite(&globex, &acme.admin.email, "Admin").await;
    accept(&acme.admin.client, &token(server, &acme.admin.email, 1).await).await.ok();
    for (scopes, bound, count) in
        [("read", None, 0), ("member.invite", None, 2), ("admin", Some(acme.id), 1), ("admin", Some(globex.id), 1)]
    {
        let body = json!({"name": "x", "scopes": [scopes], "organization_id": bound});
        let made = acme.admin.client.post("/api/v1/auth/tokens", body).await.created();
        let program = acme.admin.client.with_token(made["token"].as_str().unwrap());
        assert_eq!(program.get(PATH).await.ok()["total_count"], count, "{scopes} {bound:?}");
    }
}

async fn it_needs_a_token(server: &Server) {
    server.anonymous().get(PATH).await.error(401, "UNAUTHORIZED");
}
