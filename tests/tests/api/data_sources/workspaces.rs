//! Sources of a workspace: who has nothing there does not find them, by any operation; the whole organization's are found
//! in every workspace, and changed by those who may in the whole organization.

use reqwest::Method;
use rivergen_tests::{Client, Organization, Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{PATH, of, only_in, policy};

on_both_databases! {
    of_another_workspace_nothing_is_found_by_any_operation;
    whoever_holds_it_in_the_whole_organization_reaches_all;
    the_session_decides_where_one_stands;
    what_is_the_whole_organizations_is_for_every_workspace;
    what_governs_a_role_in_a_workspace_governs_its_sources_from_everywhere;
    a_token_reaches_no_further_than_its_owner;
    a_file_names_no_source_of_another_workspace;
}

fn csv() -> Vec<u8> {
    b"sku,product\nP1,Lamp\n".to_vec()
}

/// Every operation on one source, with a body that is good.
fn operations(id: i64) -> Vec<(Method, String, Value)> {
    let get = |operation: &str| (Method::GET, of(id, operation), Value::Null);
    let post = |operation: &str, body: Value| (Method::POST, of(id, operation), body);
    vec![
        get(""),
        get("/schemas"),
        get("/health"),
        get("/drift"),
        get("/discoveries"),
        post("/test", json!({})),
        post("/discover-schema", Value::Null),
        post("/discover-schema?refresh=true", Value::Null),
        post("/query", json!({"query": "SELECT 1"})),
        post("/restore", Value::Null),
        (Method::PATCH, of(id, ""), json!({"description": "mine"})),
        (Method::PATCH, of(id, "/credentials"), json!({"password": "x"})),
        (Method::DELETE, of(id, ""), Value::Null),
        (Method::DELETE, of(id, "?force=true"), Value::Null),
    ]
}

async fn call(client: &Client, (method, path, body): (Method, String, Value)) -> rivergen_tests::Answer {
    let request = client.request(method, &path);
    client.send(if body.is_null() { request } else { request.json(&body) }).await
}

async fn listed(person: &Person) -> Vec<String> {
    let data = person.client.get(&format!("{PATH}?sort_by=name&sort_order=asc")).await.ok();
    data["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap().to_owned()).collect()
}

/// A source in each of two workspaces, made by the Owner; and the workspaces.
async fn two(server: &Server, acme: &Organization) -> ((i64, i64), (i64, i64)) {
    let (lab, annex) = (acme.workspace("Lab").await, acme.workspace("Annex").await);
    let in_lab = server.sign_in(&acme.owner.email).await.stand_in(lab).await;
    let lamps = in_lab.file_source("Lamps", "csv", "lamps.csv", csv()).await;
    let in_annex = in_lab.stand_in(annex).await;
    let desks = in_annex.file_source("Desks", "csv", "desks.csv", csv()).await;
    ((lab, lamps), (annex, desks))
}

async fn of_another_workspace_nothing_is_found_by_any_operation(server: &Server) {
    let acme = server.organization("Acme").await;
    let ((lab, lamps), (annex, desks)) = two(server, &acme).await;
    // Somebody who may do everything with sources, in the one workspace.
    let person = only_in(server, &acme, &acme.developer, lab, "Admin").await;
    assert_eq!(listed(&person).await, ["Lamps"]);
    for query in [format!("workspace_id={annex}"), "search=Desks".to_owned(), "type=csv&search=esk".to_owned()] {
        assert_eq!(person.client.get(&format!("{PATH}?{query}")).await.ok()["items"], json!([]), "{query}");
    }
    for operation in operations(desks) {
        let (method, path) = (operation.0.clone(), operation.1.clone());
        let answer = call(&person.client, operation).await;
        assert_eq!(answer.body["error"]["code"], "NOT_FOUND", "{method} {path} answered {}", answer.body);
    }
    let joined = json!({"query": "SELECT 1", "additional_data_source_ids": [desks]});
    person.query_with(lamps, joined).await.error(404, "NOT_FOUND");
    let prompt = json!({"prompt_text": "How many desks?", "selected_data_source_ids": [lamps, desks]});
    person.client.post("/api/v1/prompts/execute", prompt).await.error(404, "NOT_FOUND");
    let named = json!({"query": "SELECT * FROM desks.files.desks"});
    let error = person.query_with(lamps, named).await.error(400, "INVALID_QUERY");
    assert!(!error["message"].as_str().unwrap().contains("Nearest: desks"), "{error}");
    // A deleted one is not to be found or brought back either.
    let owner = server.sign_in(&acme.owner.email).await;
    owner.client.delete(&of(desks, "")).await.ok();
    assert_eq!(person.client.get(&format!("{PATH}?deleted=true")).await.ok()["items"], json!([]));
    person.client.post_empty(&of(desks, "/restore")).await.error(404, "NOT_FOUND");
    person.client.delete(&of(desks, "?force=true")).await.error(404, "NOT_FOUND");
    owner.client.post_empty(&of(desks, "/restore")).await.ok();

    // Their own they have.
    assert_eq!(person.value(lamps, "SELECT count(*) FROM lamps").await, 1);
    person.client.patch(&of(lamps, ""), json!({"description": "mine"})).await.ok();
    person.client.delete(&of(lamps, "")).await.ok();
}

async fn whoever_holds_it_in_the_whole_organization_reaches_all(server: &Server) {
    let acme = server.organization("Acme").await;
    let ((_, lamps), (_, desks)) = two(server, &acme).await;
    // The Viewer's session stands in the first workspace, and their role is the organization's.
    assert_eq!(listed(&acme.viewer).await, ["Desks", "Lamps"]);
    for (id, table) in [(lamps, "lamps"), (desks, "desks")] {
        assert_eq!(acme.viewer.value(id, &format!("SELECT count(*) FROM {table}")).await, 1);
        acme.viewer.client.get(&of(id, "/schemas")).await.ok();
    }
    acme.developer.client.patch(&of(lamps, ""), json!({"description": "mine"})).await.ok();
}

/// Nobody chooses by where they stand which policies govern them.
async fn what_governs_a_role_in_a_workspace_governs_its_sources_from_everywhere(server: &Server) {
    let acme = server.organization("Acme").await;
    let ((lab, lamps), _) = two(server, &acme).await;
    let mask = json!({"table": "lamps", "column": "product", "masking_function": "redact"});
    policy(&acme, lamps, "Developer", "data_masking", "mask_column", mask).await;
    let product = "SELECT product FROM lamps";
    assert_eq!(acme.viewer.value(lamps, product).await, "Lamp");
    acme.let_in(lab, &acme.viewer, "Developer").await;
    // Their session stands elsewhere, and reaches the source by a role in the whole organization.
    let viewer = server.sign_in(&acme.viewer.email).await;
    assert_eq!(viewer.value(lamps, product).await, "[REDACTED]");
    viewer.client.get(&of(lamps, "/file-url")).await.error(403, "POLICY_DENIED");
    assert_eq!(viewer.stand_in(lab).await.value(lamps, product).await, "[REDACTED]");
}

async fn the_session_decides_where_one_stands(server: &Server) {
    let acme = server.organization("Acme").await;
    let ((lab, lamps), (annex, desks)) = two(server, &acme).await;
    let person = only_in(server, &acme, &acme.developer, lab, "Developer").await;
    acme.let_in(annex, &person, "Viewer").await;
    assert_eq!(listed(&person).await, ["Lamps"]);
    let person = person.stand_in(annex).await;
    assert_eq!(listed(&person).await, ["Desks"]);
    person.client.get(&of(lamps, "")).await.error(404, "NOT_FOUND");
    // And with what role.
    person.client.patch(&of(desks, ""), json!({"description": "mine"})).await.error(403, "FORBIDDEN");
    let person = person.stand_in(lab).await;
    person.client.patch(&of(lamps, ""), json!({"description": "mine"})).await.ok();
}

async fn what_is_the_whole_organizations_is_for_every_workspace(server: &Server) {
    let acme = server.organization("Acme").await;
    let ((lab, _), _) = two(server, &acme).await;
    let owner = server.sign_in(&acme.owner.email).await;
    let file_path = owner.upload("all.csv", csv()).await;
    let body = json!({"name": "All", "type": "csv", "file_path": file_path, "workspace_id": null,
        "metadata": {"table": "all_of_it"}});
    let data = owner.client.post(PATH, body.clone()).await.created();
    assert!(data["workspace_id"].is_null(), "{data}");
    let all = data["id"].as_i64().unwrap();
    owner.checked(all).await;
    let person = only_in(server, &acme, &acme.developer, lab, "Admin").await;
    assert_eq!(listed(&person).await, ["All", "Lamps"]);
    assert_eq!(person.value(all, "SELECT count(*) FROM all_of_it").await, 1);
    // To change it takes more than a workspace.
    for operation in operations(all) {
        let (method, path) = (operation.0.clone(), operation.1.clone());
        let changes = method != Method::GET && !path.ends_with("/query") || path.ends_with("/discoveries");
        if changes {
            call(&person.client, operation).await.error(403, "FORBIDDEN");
        }
    }
    let mine = json!({"name": "Mine", "type": "csv", "file_path": person.upload("a.csv", csv()).await,
        "workspace_id": null});
    person.client.post(PATH, mine).await.error(403, "FORBIDDEN");
    acme.admin.client.patch(&of(all, ""), json!({"description": "ours"})).await.ok();
}

async fn a_token_reaches_no_further_than_its_owner(server: &Server) {
    let acme = server.organization("Acme").await;
    let ((lab, lamps), (_, desks)) = two(server, &acme).await;
    let person = only_in(server, &acme, &acme.developer, lab, "Developer").await;
    let body = json!({"name": "a program", "scopes": ["read"]});
    let token = person.client.post("/api/v1/auth/tokens", body).await.created();
    let program = server.anonymous().with_token(token["token"].as_str().unwrap());
    let status = program.get(&of(desks, "")).await.status.as_u16();
    assert!([403, 404].contains(&status), "{status}");
    // Those of the Owner, whose role is the whole organization's, reach what the scopes let through.
    let owner = server.sign_in(&acme.owner.email).await;
    let body = json!({"name": "a program", "scopes": ["datasource.read"], "organization_id": acme.id});
    let token = owner.client.post("/api/v1/auth/tokens", body).await.created();
    let program = server.anonymous().with_token(token["token"].as_str().unwrap());
    for id in [lamps, desks] {
        program.get(&of(id, "")).await.ok();
        program.patch(&of(id, ""), json!({"description": "x"})).await.error(403, "FORBIDDEN");
    }
}

async fn a_file_names_no_source_of_another_workspace(server: &Server) {
    let acme = server.organization("Acme").await;
    let (lab, annex) = (acme.workspace("Lab").await, acme.workspace("Annex").await);
    let person = only_in(server, &acme, &acme.developer, lab, "Developer").await;
    acme.let_in(annex, &person, "Developer").await;
    let lamps = person.file_source("Lamps", "csv", "lamps.csv", csv()).await;
    let read_by = async |person: &Person| {
        let files = person.client.get("/api/v1/storage/files").await.ok();
        assert_eq!(files["items"].as_array().unwrap().len(), 1, "{files}");
        files["items"][0]["data_source_id"].clone()
    };
    assert_eq!(read_by(&person).await, lamps);
    let person = person.stand_in(annex).await;
    person.client.get(&of(lamps, "")).await.error(404, "NOT_FOUND");
    assert_eq!(read_by(&person).await, Value::Null);
}
