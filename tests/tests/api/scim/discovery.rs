//! `/scim/v2/ServiceProviderConfig`, `/scim/v2/Schemas`, `/scim/v2/ResourceTypes`, and what is nothing

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{ENTERPRISE, GROUP, Provider, ScimAnswer, USER};

on_both_databases! {
    the_server_tells_what_it_is;
    what_is_nothing_is_told_in_scim;
}

async fn the_server_tells_what_it_is(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let config = idp.client.get("/scim/v2/ServiceProviderConfig").await.is(200);
    for (feature, supported) in
        [("patch", true), ("bulk", true), ("filter", true), ("sort", true), ("etag", true), ("changePassword", false)]
    {
        assert_eq!(config[feature]["supported"], supported, "{feature}");
    }
    let pagination = json!({"cursor": true, "index": true, "defaultPaginationMethod": "index", "defaultPageSize": 100,
        "maxPageSize": 100});
    assert_eq!((&config["pagination"], &config["filter"]["maxResults"]), (&pagination, &json!(100)));
    assert_eq!(config["authenticationSchemes"][0]["type"], "oauthbearertoken");
    let schemas = idp.client.get("/scim/v2/Schemas").await.is(200);
    assert_eq!((&schemas["totalResults"], &schemas["itemsPerPage"]), (&json!(6), &json!(6)));
    for schema in schemas["Resources"].as_array().unwrap() {
        let id = schema["id"].as_str().unwrap();
        assert_eq!(idp.client.get(&format!("/scim/v2/Schemas/{id}")).await.is(200), *schema);
        assert!(schema["attributes"].as_array().is_some_and(|all| !all.is_empty()), "{id}");
    }
    let types = idp.client.get("/scim/v2/ResourceTypes").await.is(200);
    assert_eq!(types["totalResults"], 2);
    let user = idp.client.get("/scim/v2/ResourceTypes/User").await.is(200);
    assert_eq!(
        (&user["schema"], &user["schemaExtensions"]),
        (&json!(USER), &json!([{"schema": ENTERPRISE, "required": false}]))
    );
    assert_eq!(idp.client.get("/scim/v2/ResourceTypes/Group").await.is(200)["schema"], GROUP);
    for path in ["Schemas", "ResourceTypes"] {
        idp.client.get(&format!("/scim/v2/{path}?filter=id%20pr")).await.refused(403, None);
        idp.client.get(&format!("/scim/v2/{path}/nothing")).await.refused(404, None);
    }
}

async fn what_is_nothing_is_told_in_scim(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for path in ["/scim/v2", "/scim/v2/Nothing", "/scim/v2/Users/1/name"] {
        idp.client.get(path).await.refused(404, None);
    }
    idp.client.get("/scim/v2/Me").await.refused(501, None);
    idp.client.delete("/scim/v2/Users").await.refused(405, None);
    for path in ["/scim/v2/Users", "/scim/v2/ServiceProviderConfig", "/scim/v2/Nothing"] {
        let answer = server.anonymous().get(path).await;
        assert_eq!(answer.headers["www-authenticate"], "Bearer");
        answer.refused(401, None);
    }
}
