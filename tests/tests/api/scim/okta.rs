//! What Okta sends, request by request, as its documentation has it ("SCIM 2.0 protocol reference").

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{GROUP, Provider, ScimAnswer, USER, roles_of};

on_both_databases! {
    the_life_of_a_user;
    the_life_of_a_group;
}

async fn the_life_of_a_user(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    // Is the user there?
    let lookup = "/scim/v2/Users?filter=userName%20eq%20%22test.user%40okta.local%22&startIndex=1&count=100";
    let body = idp.client.get(lookup).await.is(200);
    assert_eq!((&body["totalResults"], &body["startIndex"], &body["itemsPerPage"]), (&json!(0), &json!(1), &json!(0)));
    assert_eq!(body["Resources"], json!([]));
    // It is not: it is made.
    let create = json!({"schemas": [USER], "userName": "test.user@okta.local",
        "name": {"givenName": "Test", "familyName": "User"},
        "emails": [{"primary": true, "value": "test.user@okta.local", "type": "work"}],
        "displayName": "Test User", "locale": "en-US", "externalId": "00ujl29u0le5T6Aj10h7", "groups": [],
        "password": "1mz050nq", "active": true});
    let made = idp.client.post("/scim/v2/Users", create).await.is(201);
    let path = format!("/scim/v2/Users/{}", made["id"].as_str().unwrap());
    assert_eq!(idp.client.get(lookup).await.is(200)["Resources"][0], made);
    // A change: read, then the whole of it is sent back.
    let mut whole = idp.client.get(&path).await.is(200);
    whole["name"]["middleName"] = "Excited".into();
    whole["groups"] = json!([]);
    let changed = idp.client.put(&path, whole.clone()).await.is(200);
    assert_eq!(changed["name"]["middleName"], "Excited");
    // Taken out: by PATCH where the user was made by Okta, by PUT in older integrations.
    let off = json!([{"op": "replace", "value": {"active": false}}]);
    assert_eq!(idp.patch(&path, off).await.is(200)["active"], false);
    whole["active"] = true.into();
    assert_eq!(idp.client.put(&path, whole.clone()).await.is(200)["active"], true);
    whole["active"] = false.into();
    assert_eq!(idp.client.put(&path, whole).await.is(200)["active"], false);
    // And in again.
    assert_eq!(idp.client.get(lookup).await.is(200)["totalResults"], 1);
    let on = json!([{"op": "replace", "value": {"active": true}}]);
    assert_eq!(idp.patch(&path, on).await.is(200)["active"], true);
    // An import reads everybody.
    let all = idp.client.get("/scim/v2/Users?startIndex=1&count=100").await.is(200);
    assert_eq!((&all["totalResults"], &all["itemsPerPage"]), (&json!(1), &json!(1)));
}

async fn the_life_of_a_group(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::mapping(server, &acme, json!({"Test SCIMv2": acme.roles["Developer"]})).await;
    let (ada, bob) = (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await);
    let lookup = "/scim/v2/Groups?filter=displayName%20eq%20%22Test%20SCIMv2%22&startIndex=1&count=100";
    assert_eq!(idp.client.get(lookup).await.is(200)["totalResults"], 0);
    let create = json!({"schemas": [GROUP], "displayName": "Test SCIMv2", "members": []});
    let made = idp.client.post("/scim/v2/Groups", create).await.is(201);
    let id = made["id"].as_str().unwrap();
    let path = format!("/scim/v2/Groups/{id}");
    assert_eq!(idp.client.get(&path).await.is(200)["displayName"], "Test SCIMv2");
    // Membership, as it is pushed.
    let members = json!([
        {"op": "remove", "path": "members[value eq \"1234\"]"},
        {"op": "add", "path": "members", "value": [{"value": ada, "display": "ada@acme.example"}]}]);
    idp.patch(&path, members).await.is(204);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Developer", "Viewer"]);
    // A push of all members.
    let all = json!([{"op": "replace", "path": "members", "value": [{"value": bob, "display": "bob@acme.example"}]}]);
    idp.patch(&path, all).await.is(204);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Viewer"]);
    assert_eq!(roles_of(server, &acme, &bob).await, ["Developer", "Viewer"]);
    // Another name, with the id beside it.
    let rename = json!([{"op": "replace", "value": {"id": id, "displayName": "Test SCIMv0"}}]);
    idp.patch(&path, rename).await.is(204);
    assert_eq!(idp.client.get(&path).await.is(200)["displayName"], "Test SCIMv0");
    assert_eq!(roles_of(server, &acme, &bob).await, ["Viewer"]);
    // Older integrations send the whole group.
    let whole = json!({"schemas": [GROUP], "id": id, "displayName": "Test SCIMv2",
        "members": [{"value": ada, "display": "ada@acme.example"}]});
    assert_eq!(idp.client.put(&path, whole).await.is(200)["members"][0]["value"], ada);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Developer", "Viewer"]);
    idp.client.delete(&path).await.is(204);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Viewer"]);
}
