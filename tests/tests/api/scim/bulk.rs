//! `POST /scim/v2/Bulk`

use rivergen_tests::{Server, on_both_databases};
use serde_json::{Value, json};

use super::{ENTERPRISE, Provider, ScimAnswer, group, patch, user};

on_both_databases! {
    operations_refer_to_each_other;
    errors_are_told_one_by_one;
    what_waits_for_each_other_conflicts;
    a_bulk_id_is_given_once;
    errors_end_a_request;
    a_request_is_bounded;
}

fn bulk(operations: Value) -> Value {
    json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": operations})
}

async fn operations_refer_to_each_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    // The group stands before its members.
    let body = bulk(json!([
        {"method": "POST", "path": "/Groups", "bulkId": "all", "data": group("All", &["bulkId:ada", "bulkId:bob"])},
        {"method": "post", "path": "/Users", "bulkId": "ada", "data": user("ada@acme.example")},
        {"method": "POST", "path": "/Users", "bulkId": "bob", "data": user("bob@acme.example")},
        {"method": "PATCH", "path": "/Users/bulkId:ada", "data": patch(json!([{"op": "add", "path": "title", "value": "x"}]))},
    ]));
    let answer = idp.client.post("/scim/v2/Bulk", body).await.is(200);
    assert_eq!(answer["schemas"], json!(["urn:ietf:params:scim:api:messages:2.0:BulkResponse"]));
    let operations = answer["Operations"].as_array().unwrap();
    let statuses: Vec<&str> = operations.iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["201", "201", "201", "200"], "{answer}");
    assert_eq!(operations[0]["bulkId"], "all");
    let group = operations[0]["location"].as_str().unwrap().rsplit('/').next().unwrap().to_owned();
    assert_eq!(idp.members(&group).await.len(), 2);
    let ada = operations[1]["location"].as_str().unwrap().strip_prefix(server.url()).unwrap();
    let shown = idp.client.get(ada).await;
    assert_eq!(shown.headers["etag"].to_str().ok(), operations[3]["version"].as_str());
    assert_eq!(shown.is(200)["title"], "x");
    let body = bulk(json!([
        {"method": "PUT", "path": format!("/Groups/{group}"), "data": {"schemas": [super::GROUP], "displayName": "None"}},
        {"method": "DELETE", "path": ada.strip_prefix("/scim/v2").unwrap(), "version": "W/\"9\""},
        {"method": "DELETE", "path": ada.strip_prefix("/scim/v2").unwrap()},
        {"method": "DELETE", "path": format!("/Groups/{group}")}]));
    let answer = idp.client.post("/scim/v2/Bulk", body).await.is(200);
    let statuses: Vec<&str> =
        answer["Operations"].as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["200", "412", "204", "204"], "{answer}");
}

async fn errors_are_told_one_by_one(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let operations = json!([
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": user("nonsense")},
        {"method": "POST", "path": "/Users", "data": user("b@acme.example")},
        {"method": "POST", "path": "/Nothing", "bulkId": "c", "data": {}},
        {"method": "GET", "path": "/Users/1"},
        {"method": "DELETE", "path": "/Users/987654321"},
        {"method": "POST", "path": "/Groups", "bulkId": "d", "data": group("x", &["bulkId:nobody"])},
        {"method": "POST", "path": "/Groups", "bulkId": "e", "data": group("x", &["bulkId:e"])},
        7,
        {"method": "POST", "path": "/Users", "bulkId": "good", "data": user("good@acme.example")}]);
    let answer = idp.client.post("/scim/v2/Bulk", bulk(operations.clone())).await.is(200);
    let all = answer["Operations"].as_array().unwrap();
    let statuses: Vec<&str> = all.iter().map(|it| it["status"].as_str().unwrap()).collect();
    assert_eq!(statuses, ["400", "400", "400", "400", "404", "400", "409", "400", "201"], "{answer}");
    assert_eq!(all[0]["response"]["scimType"], "invalidValue");
    assert_eq!(server.count("SELECT count(*) FROM scim_groups").await, 0);
    let mut body = bulk(operations);
    body["failOnErrors"] = 2.into();
    let answer = idp.client.post("/scim/v2/Bulk", body).await.is(200);
    assert_eq!(answer["Operations"].as_array().unwrap().len(), 2, "{answer}");
    let shown = acme.owner.client.get(super::CONFIG).await.ok();
    assert!(shown["status"]["recent_errors"].as_array().unwrap().len() >= 9, "{shown}");
}

async fn a_request_is_bounded(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let one = json!({"method": "DELETE", "path": "/Users/1"});
    let many: Vec<Value> = (0..1001).map(|_| one.clone()).collect();
    idp.client.post("/scim/v2/Bulk", bulk(json!(many))).await.refused(413, None);
    let mut large = bulk(json!([]));
    large["x"] = "x".repeat(1024 * 1024).into();
    idp.client.post("/scim/v2/Bulk", large).await.refused(413, None);
    idp.client.post("/scim/v2/Bulk", json!({"Operations": []})).await.refused(400, Some("invalidValue"));
    let config = idp.client.get("/scim/v2/ServiceProviderConfig").await.is(200);
    assert_eq!(config["bulk"], json!({"supported": true, "maxOperations": 1000, "maxPayloadSize": 1_048_576}));
}

/// A user whose manager another operation makes.
fn managed(user_name: &str, manager: &str) -> Value {
    let mut body = user(user_name);
    body[ENTERPRISE] = json!({"manager": {"value": format!("bulkId:{manager}")}});
    body
}

fn statuses(answer: &Value) -> Vec<&str> {
    answer["Operations"].as_array().unwrap().iter().map(|it| it["status"].as_str().unwrap()).collect()
}

async fn what_waits_for_each_other_conflicts(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let post = |id: &str, data: Value| json!({"method": "POST", "path": "/Users", "bulkId": id, "data": data});
    let answer = idp
        .client
        .post(
            "/scim/v2/Bulk",
            bulk(json!([
                post("a", managed("a@acme.example", "b")),
                post("b", managed("b@acme.example", "a")),
                // Behind the circle, behind what is not there, behind what fails, and behind what is made.
                post("c", managed("c@acme.example", "a")),
                post("d", managed("d@acme.example", "nobody")),
                post("e", managed("e@acme.example", "d")),
                post("f", managed("f@acme.example", "g")),
                post("g", user("nonsense")),
                post("h", managed("h@acme.example", "i")),
                post("i", user("i@acme.example")),
            ])),
        )
        .await
        .is(200);
    assert_eq!(statuses(&answer), ["409", "409", "409", "400", "400", "400", "400", "201", "201"], "{answer}");
    let all = answer["Operations"].as_array().unwrap();
    assert_eq!((&all[0]["response"]["status"], &all[0]["response"]["scimType"]), (&json!("409"), &Value::Null));
    let made = |at: usize| all[at]["location"].as_str().unwrap().strip_prefix(server.url()).unwrap();
    let shown = idp.client.get(made(7)).await.is(200);
    assert_eq!(shown[ENTERPRISE]["manager"]["value"].as_str(), made(8).rsplit('/').next());
    assert_eq!(server.count("SELECT count(*) FROM scim_users").await, 2);
}

async fn a_bulk_id_is_given_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let body = bulk(json!([
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": user("ada@acme.example")},
        {"method": "POST", "path": "/Users", "bulkId": "a", "data": user("bob@acme.example")},
        {"method": "PATCH", "path": "/Users/bulkId:a", "data": patch(json!([{"op": "add", "path": "title", "value": "x"}]))},
    ]));
    let answer = idp.client.post("/scim/v2/Bulk", body).await.is(200);
    assert_eq!(statuses(&answer), ["201", "400", "200"], "{answer}");
    assert_eq!(answer["Operations"][1]["response"]["scimType"], "invalidValue");
    assert_eq!(idp.client.get("/scim/v2/Users").await.is(200)["totalResults"], 1);
}

async fn errors_end_a_request(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let id = idp.user("ada@acme.example").await;
    let operations = json!([
        {"method": "PUT", "path": format!("/Users/{id}"), "data": user("nonsense")},
        {"method": "DELETE", "path": format!("/Users/{id}")}]);
    for most in [json!(0), json!(1)] {
        let mut body = bulk(operations.clone());
        body["failOnErrors"] = most.clone();
        let answer = idp.client.post("/scim/v2/Bulk", body).await.is(200);
        assert_eq!(statuses(&answer), ["400"], "{most}");
        // What an operation is about is told where it failed, too.
        assert_eq!(answer["Operations"][0]["location"], format!("{}/scim/v2/Users/{id}", server.url()));
    }
    for most in [json!(-1), json!("1"), json!(1.5)] {
        let mut body = bulk(operations.clone());
        body["failOnErrors"] = most;
        idp.client.post("/scim/v2/Bulk", body).await.refused(400, Some("invalidValue"));
    }
    idp.client.get(&format!("/scim/v2/Users/{id}")).await.is(200);
}
