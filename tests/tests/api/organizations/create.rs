//! `POST /api/v1/organizations`

use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_new_administrator_gets_an_account_and_a_mail;
    a_signed_in_person_makes_another_one;
    a_known_address_must_be_proven;
    names_are_unique_without_case;
    no_name_is_that_of_anothers_own_organization;
    a_repeat_with_the_same_key_finds_the_same_organization;
    a_repeat_finds_what_made_the_account_too;
    what_is_not_valid_is_named;
    nothing_is_left_of_a_refused_one;
}

const PATH: &str = "/api/v1/organizations";

fn body(name: &str) -> Value {
    json!({"name": name, "domain": "Globex.Example", "workspace_name": "Lab", "admin_email": "ada@globex.example",
        "admin_password": PASSWORD, "admin_display_name": "Ada"})
}

async fn a_new_administrator_gets_an_account_and_a_mail(server: &Server) {
    let data = server.anonymous().post(PATH, body("Globex")).await.created();
    assert_eq!(data["organization"]["name"], "Globex");
    assert_eq!(data["organization"]["domain"], "globex.example");
    assert_eq!((data["workspace"]["name"].as_str(), data["workspace"]["slug"].as_str()), (Some("Lab"), Some("lab")));
    assert_eq!(data["user"]["email"], "ada@globex.example");
    let id = data["organization"]["id"].as_i64().unwrap();
    let chain =
        format!("SELECT count(*) FROM audit_log WHERE action = 'organization.create' AND organization_id = {id}");
    assert_eq!(server.count(&chain).await, 1);

    let token = server.mailbox().token("ada@globex.example", 1).await;
    server.anonymous().post("/api/v1/auth/verify-email", json!({"token": token})).await.ok();
    let ada = server.sign_in("ada@globex.example").await;
    let organization = ada.client.get(&format!("{PATH}/{id}")).await.ok();
    assert_eq!(organization["organization"]["id"], id);
    // The creator is the Owner.
    ada.client.post(&format!("{PATH}/{id}/workspaces"), json!({"name": "Second"})).await.created();
}

async fn a_signed_in_person_makes_another_one(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    let body = json!({"name": "Acme Two", "admin_email": owner.email});
    let data = owner.client.post(PATH, body).await.created();
    assert_eq!(data["user"]["id"], owner.id);
    assert_eq!(data["workspace"]["name"], "Main Workspace");
    assert_eq!(data["organization"]["domain"], Value::Null);
}

async fn a_known_address_must_be_proven(server: &Server) {
    let acme = server.organization("Acme").await;
    let body = json!({"name": "Fake", "admin_email": acme.owner.email, "admin_password": PASSWORD});
    // Not by the password, and not by another person's token.
    server.anonymous().post(PATH, body.clone()).await.error(401, "REAUTHENTICATION_REQUIRED");
    acme.viewer.client.post(PATH, body.clone()).await.error(401, "REAUTHENTICATION_REQUIRED");
    // A token that is sent must be valid, also where none is needed.
    acme.owner.client.with_token("nonsense").post(PATH, body).await.error(401, "UNAUTHORIZED");
}

async fn names_are_unique_without_case(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    let body = json!({"name": "ACME", "admin_email": owner.email});
    owner.client.post(PATH, body).await.error(409, "ORG_EXISTS");
}

async fn no_name_is_that_of_anothers_own_organization(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    let next = server.count("SELECT max(id) FROM users").await + 1;
    for id in next..next + 3 {
        let body = json!({"name": format!("~user:{id}"), "admin_email": owner.email});
        owner.client.post(PATH, body).await.created();
    }
    // Whoever signs up gets one.
    server.newcomer("ada@new.example").await;
}

async fn a_repeat_with_the_same_key_finds_the_same_organization(server: &Server) {
    let owner = server.organization("Acme").await.owner;
    let body = |name: &str| json!({"name": name, "admin_email": owner.email, "idempotency_key": "k"});
    let first = owner.client.post(PATH, body("Second")).await.created();
    let second = owner.client.post(PATH, body("Second")).await.created();
    assert_eq!(first["organization"]["id"], second["organization"]["id"]);
    owner.client.post(PATH, body("Third")).await.error(409, "IDEMPOTENCY_CONFLICT");
}

async fn a_repeat_finds_what_made_the_account_too(server: &Server) {
    let anonymous = server.anonymous();
    let with_key = |name: &str| {
        let mut body = body(name);
        body["idempotency_key"] = json!("k");
        body
    };
    let first = anonymous.post(PATH, with_key("Globex")).await.created();
    assert_eq!(anonymous.post(PATH, with_key("Globex")).await.created(), first);
    for table in ["organizations", "users"] {
        assert_eq!(server.count(&format!("SELECT count(*) FROM {table}")).await, 1, "{table}");
    }
    anonymous.post(PATH, with_key("Other")).await.error(409, "IDEMPOTENCY_CONFLICT");
    // What somebody made who was signed in is told to nobody else.
    let owner = server.organization("Acme").await.owner;
    let second = json!({"name": "Second", "admin_email": owner.email, "idempotency_key": "of the owner"});
    owner.client.post(PATH, second.clone()).await.created();
    anonymous.post(PATH, second.clone()).await.error(401, "REAUTHENTICATION_REQUIRED");
    owner.client.post(PATH, second).await.created();
}

async fn what_is_not_valid_is_named(server: &Server) {
    let client = server.anonymous();
    let with = |field: &str, value: Value| {
        let mut body = body("Globex");
        body[field] = value;
        body
    };
    client.post(PATH, with("name", json!(""))).await.invalid("name");
    client.post(PATH, with("name", json!(7))).await.invalid("name");
    client.post(PATH, with("name", json!(" "))).await.invalid("name");
    client.post(PATH, with("workspace_name", json!("—"))).await.invalid("workspace_name");
    client.post(PATH, with("admin_email", json!("ada"))).await.invalid("admin_email");
    client.post(PATH, with("admin_display_name", json!(" "))).await.invalid("admin_display_name");
    client.post(PATH, with("admin_password", Value::Null)).await.invalid("admin_password");
    client.post(PATH, with("domain", json!("not a domain"))).await.invalid("domain");
    client.post(PATH, with("surprise", json!(1))).await.invalid("surprise");
    client.post(PATH, with("admin_password", json!("short"))).await.error(400, "WEAK_PASSWORD");
}

async fn nothing_is_left_of_a_refused_one(server: &Server) {
    server.organization("Acme").await;
    let mut taken = body("Acme");
    taken["admin_email"] = json!("new@globex.example");
    let users = server.count("SELECT count(*) FROM users").await;
    server.anonymous().post(PATH, taken).await.error(409, "ORG_EXISTS");
    assert_eq!(server.count("SELECT count(*) FROM users").await, users);
    assert!(server.mailbox().to("new@globex.example").is_empty());
}
