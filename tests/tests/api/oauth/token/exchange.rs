//! Tokens for another server, and those that it gets in exchange for one that it was shown.

use rivergen_tests::{Answer, Server, on_both_databases};
use serde_json::{Value, json};

use super::{SERVICE, claims, organization, shown_to_the_service};
use crate::oauth::{App, CALLBACK, granted, refused, registration, text};

on_both_databases! {
    a_token_is_for_the_server_that_was_asked_for;
    a_service_acts_with_a_token_that_it_was_shown;
    services_name_who_acted_before_them;
}

const EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";

async fn a_token_is_for_the_server_that_was_asked_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut body = registration();
    body["resources"] = json!(["https://mcp.acme.example/"]);
    let app = App::register(server, &acme, body).await;
    let asks = |resource: &'static str| [("grant_type", "client_credentials"), ("resource", resource)];
    let tokens = granted(app.post("/oauth/token", &asks("https://mcp.acme.example/")).await);
    assert_eq!(claims(text(&tokens, "access_token"))["aud"], json!(["https://mcp.acme.example/"]));
    // As a library or a person writes it: what stands in the token is what was registered.
    for written in ["https://mcp.acme.example", "HTTPS://MCP.acme.example:443/"] {
        let same = granted(app.post("/oauth/token", &asks(written)).await);
        assert_eq!(claims(text(&same, "access_token"))["aud"], json!(["https://mcp.acme.example/"]), "{written}");
    }
    refused(app.post("/oauth/token", &asks("https://mcp.acme.example/x")).await, 400, "invalid_target");
    // Shown here it opens nothing; its own server is told of it.
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    let said = granted(app.post("/oauth/introspect", &[("token", text(&tokens, "access_token"))]).await);
    assert_eq!((&said["active"], &said["aud"]), (&json!(true), &json!(["https://mcp.acme.example/"])));
    refused(app.post("/oauth/token", &asks("https://other.example/")).await, 400, "invalid_target");
    let own = [("grant_type", "client_credentials"), ("resource", server.url())];
    app.caller(&granted(app.post("/oauth/token", &own).await)).get(&organization(acme.id)).await.ok();
    // What was granted for this server is not widened to another one.
    let refresh = app.tokens(&acme.viewer).await;
    let wider = [
        ("grant_type", "refresh_token"),
        ("refresh_token", text(&refresh, "refresh_token")),
        ("resource", "https://mcp.acme.example/"),
    ];
    refused(app.post("/oauth/token", &wider).await, 400, "invalid_target");
}

async fn a_service_acts_with_a_token_that_it_was_shown(server: &Server) {
    let acme = server.organization("Acme").await;
    let register = async |name: &str, grants: Value, scopes: Value| {
        let body = json!({"name": name, "grant_types": grants, "redirect_uris": [CALLBACK], "scopes": scopes,
            "resources": [SERVICE]});
        App::register(server, &acme, body).await
    };
    let app = register("Chat", json!(["authorization_code"]), json!(["write"])).await;
    let service = register("Tools", json!([EXCHANGE]), json!(["read"])).await;
    let shown = shown_to_the_service(&app, &acme.viewer).await;
    app.caller(&shown).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    let access = text(&shown, "access_token");
    let given = granted(exchange(&service, access, &[]).await);
    assert_eq!((text(&given, "scope"), &given["refresh_token"]), ("read", &Value::Null));
    let said = claims(text(&given, "access_token"));
    assert_eq!(
        (text(&said, "sub"), &said["act"]),
        (acme.viewer.id.to_string().as_str(), &json!({"sub": service.client_id}))
    );
    // A server that asks learns who acts, as one that reads the token does.
    let told = granted(service.post("/oauth/introspect", &[("token", text(&given, "access_token"))]).await);
    assert_eq!((&told["active"], &told["act"]), (&json!(true), &said["act"]));
    service.caller(&given).get(&organization(acme.id)).await.ok();
    // Not more than it was shown, nor by whom it was not meant for.
    refused(exchange(&service, access, &[("scope", "admin")]).await, 400, "invalid_scope");
    refused(exchange(&app, access, &[]).await, 400, "unauthorized_client");
    refused(exchange(&service, text(&given, "access_token"), &[]).await, 400, "invalid_request");
    refused(exchange(&service, acme.viewer.client.token(), &[]).await, 400, "invalid_request");
    let mut other = registration();
    other["name"] = json!("Elsewhere");
    other["grant_types"] = json!([EXCHANGE]);
    let other = App::register(server, &acme, other).await;
    refused(exchange(&other, access, &[]).await, 400, "invalid_request");
    // It ends with what was granted.
    let path = format!("/api/v1/oauth/connected-applications/{}", app.id);
    acme.viewer.client.delete(&path).await.ok();
    service.caller(&given).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
}

async fn services_name_who_acted_before_them(server: &Server) {
    const NEXT: &str = "https://search.acme.example/";
    let acme = server.organization("Acme").await;
    let register = async |name: &str, grant: &str, scopes: Value, resources: Value| {
        let body = json!({"name": name, "grant_types": [grant], "redirect_uris": [CALLBACK], "scopes": scopes,
            "resources": resources});
        App::register(server, &acme, body).await
    };
    let app = register("Chat", "authorization_code", json!(["write"]), json!([SERVICE])).await;
    let first = register("Tools", EXCHANGE, json!(["read"]), json!([SERVICE, NEXT])).await;
    let second = register("Search", EXCHANGE, json!(["read"]), json!([NEXT])).await;
    let shown = shown_to_the_service(&app, &acme.viewer).await;
    let shown = text(&shown, "access_token");
    // For whom it is, the service says by `audience` as well as by `resource`.
    refused(exchange(&first, shown, &[("audience", "https://elsewhere.example/")]).await, 400, "invalid_target");
    let onward = granted(exchange(&first, shown, &[("audience", NEXT)]).await);
    let onward = text(&onward, "access_token");
    assert_eq!((&claims(onward)["aud"], &claims(onward)["act"]), (&json!([NEXT]), &json!({"sub": first.client_id})));
    let given = granted(exchange(&second, onward, &[]).await);
    let act = json!({"sub": second.client_id, "act": {"sub": first.client_id}});
    assert_eq!(claims(text(&given, "access_token"))["act"], act);
    second.caller(&given).get(&organization(acme.id)).await.ok();
    // It reaches no further than the application to which it was granted.
    acme.owner.client.patch(&app.path, json!({"scopes": ["storage.read"]})).await.ok();
    second.caller(&given).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
}

async fn exchange(by: &App, token: &str, more: &[(&str, &str)]) -> Answer {
    let mut pairs = vec![
        ("grant_type", EXCHANGE),
        ("subject_token", token),
        ("subject_token_type", "urn:ietf:params:oauth:token-type:access_token"),
    ];
    pairs.extend(more);
    by.post("/oauth/token", &pairs).await
}
