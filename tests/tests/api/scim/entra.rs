//! What Microsoft Entra ID sends, request by request, as its documentation has it ("Develop a SCIM endpoint").

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{ENTERPRISE, GROUP, Provider, ScimAnswer, USER};

on_both_databases! {
    the_test_of_the_connection;
    the_life_of_a_user;
    the_life_of_a_group;
}

/// It asks for somebody who cannot be there.
async fn the_test_of_the_connection(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let nobody = "/scim/v2/Users?filter=userName+eq+%22e3dc0f5d-9c5a-4a0d-8ef1-111111111111%22";
    let body = idp.client.get(nobody).await.is(200);
    assert_eq!((&body["totalResults"], &body["Resources"]), (&json!(0), &json!([])));
    idp.client.get("/scim/v2/Groups?excludedAttributes=members&filter=displayName+eq+%22x%22").await.is(200);
}

async fn the_life_of_a_user(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let manager = idp.user("boss@acme.example").await;
    let create = json!({"schemas": [USER, ENTERPRISE], "externalId": "0a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef",
        "userName": "Test_User_ab6490ee@testuser.example", "active": true,
        "emails": [{"primary": true, "type": "work", "value": "Test_User_fd0ea19b@testuser.example"}],
        "meta": {"resourceType": "User"},
        "name": {"formatted": "givenName familyName", "familyName": "familyName", "givenName": "givenName"}, "roles": []});
    let made = idp.client.post("/scim/v2/Users", create).await.is(201);
    let path = format!("/scim/v2/Users/{}", made["id"].as_str().unwrap());
    let lookup = "/scim/v2/Users?filter=userName%20eq%20%22test_user_ab6490ee%40testuser.example%22";
    assert_eq!(idp.client.get(lookup).await.is(200)["Resources"][0]["id"], made["id"]);
    let lookup = "/scim/v2/Users?filter=externalId%20eq%20%220a21f0f2-8d2a-4f8e-bf98-7363c4aed4ef%22";
    assert_eq!(idp.client.get(lookup).await.is(200)["totalResults"], 1);
    // Where people are known by their address: emails[type eq "work"].value eq "…".
    let lookup = "/scim/v2/Users?filter=emails%5Btype%20eq%20%22work%22%5D.value%20eq%20%22Test_User_fd0ea19b%40testuser.example%22";
    assert_eq!(idp.client.get(lookup).await.is(200)["Resources"][0]["id"], made["id"]);
    // Several attributes, of which some are not there yet.
    let change = json!([
        {"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "updatedEmail@acme.example"},
        {"op": "Replace", "path": "name.familyName", "value": "updatedFamilyName"},
        {"op": "Add", "path": "emails[type eq \"home\"].value", "value": "home@acme.example"},
        {"op": "Add", "path": "phoneNumbers[type eq \"mobile\"].value", "value": "+1 555"},
        {"op": "Add", "path": format!("{ENTERPRISE}:department"), "value": "Marketing"},
        {"op": "Add", "path": format!("{ENTERPRISE}:manager"), "value": manager},
        {"op": "Add", "path": "roles[primary eq \"True\"].value", "value": "Guest"}]);
    let now = idp.patch(&path, change).await.is(200);
    assert_eq!(
        now["emails"],
        json!([
        {"primary": true, "type": "work", "value": "updatedEmail@acme.example"},
        {"type": "home", "value": "home@acme.example"}])
    );
    assert_eq!(now["name"]["familyName"], "updatedFamilyName");
    assert_eq!(now["phoneNumbers"], json!([{"type": "mobile", "value": "+1 555"}]));
    assert_eq!(now[ENTERPRISE], json!({"department": "Marketing", "manager": {"value": manager}}));
    assert_eq!(now["roles"], json!([{"primary": true, "value": "Guest"}]));
    // Without a path, keys with dots and URNs.
    let change = json!([{"op": "Replace", "value": {"displayName": "Up Dated", "name.givenName": "Up",
        format!("{ENTERPRISE}:department"): "Sales", "emails[type eq \"work\"].value": "third@acme.example"}}]);
    let now = idp.patch(&path, change).await.is(200);
    assert_eq!((&now["displayName"], &now["name"]["givenName"]), (&json!("Up Dated"), &json!("Up")));
    assert_eq!(
        (&now[ENTERPRISE]["department"], &now["emails"][0]["value"]),
        (&json!("Sales"), &json!("third@acme.example"))
    );
    // The manager goes.
    let change = json!([{"op": "Remove", "path": format!("{ENTERPRISE}:manager")}]);
    assert!(idp.patch(&path, change).await.is(200)[ENTERPRISE]["manager"].is_null());
    let rename = json!([{"op": "Replace", "path": "userName", "value": "5b50642d@testuser.example"}]);
    assert_eq!(idp.patch(&path, rename).await.is(200)["userName"], "5b50642d@testuser.example");
    // Disabled with a text, as without the flag aadOptscim062020, and with a value as with it.
    for (value, active) in [(json!("False"), false), (json!("True"), true), (json!(false), false)] {
        let change = json!([{"op": "Replace", "path": "active", "value": value}]);
        assert_eq!(idp.patch(&path, change).await.is(200)["active"], active);
    }
    idp.client.delete(&path).await.is(204);
    idp.client.get(&path).await.refused(404, None);
}

async fn the_life_of_a_group(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let (ada, bob) = (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await);
    let create = json!({"schemas": [GROUP, "http://schemas.microsoft.com/2006/11/ResourceManagement/ADSCIM/2.0/Group"],
        "externalId": "8aa1a0c0-c4c3-4bc0-b4a5-2ef676900159", "displayName": "displayName",
        "meta": {"resourceType": "Group"}});
    let made = idp.client.post("/scim/v2/Groups", create).await.is(201);
    let id = made["id"].as_str().unwrap();
    let path = format!("/scim/v2/Groups/{id}");
    assert!(idp.client.get(&format!("{path}?excludedAttributes=members")).await.is(200)["members"].is_null());
    let lookup = "/scim/v2/Groups?excludedAttributes=members&filter=displayName+eq+%22displayName%22";
    assert_eq!(idp.client.get(lookup).await.is(200)["Resources"][0]["id"], id);
    let rename = json!([{"op": "Replace", "path": "displayName", "value": "1879db59 displayName"}]);
    idp.patch(&path, rename).await.is(204);
    let add = json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": ada}]}]);
    idp.patch(&path, add).await.is(204);
    let add = json!([{"op": "Add", "path": "members", "value": [{"$ref": null, "value": bob}]}]);
    idp.patch(&path, add).await.is(204);
    // Is somebody in it?
    let asked = format!("/scim/v2/Groups?filter=id%20eq%20%22{id}%22%20and%20members%20eq%20%22{ada}%22&attributes=id");
    assert_eq!(idp.client.get(&asked).await.is(200)["totalResults"], 1);
    // A removal names whom, and takes nobody else.
    let remove = json!([{"op": "Remove", "path": "members", "value": [{"$ref": null, "value": ada}]}]);
    idp.patch(&path, remove).await.is(204);
    assert_eq!(idp.members(id).await, std::slice::from_ref(&bob));
    // As with the flag aadOptscim062020.
    let remove = json!([{"op": "Remove", "path": format!("members[value eq \"{bob}\"]")}]);
    idp.patch(&path, remove).await.is(204);
    assert!(idp.members(id).await.is_empty());
    idp.client.delete(&path).await.is(204);
}
