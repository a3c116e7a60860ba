//! `/api/v1/oauth/connected-applications`

use rivergen_tests::{Server, on_both_databases};
use serde_json::json;

use super::{App, refused, text};

on_both_databases! {
    people_see_and_end_what_they_let;
}

async fn people_see_and_end_what_they_let(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (tokens, others) = (app.tokens(&acme.viewer).await, app.tokens(&acme.developer).await);
    let at = "/api/v1/oauth/connected-applications";
    let list = acme.viewer.client.get(at).await.ok();
    let shown = &list["applications"][0];
    assert_eq!((&list["total"], &shown["id"], &shown["name"]), (&json!(1), &json!(app.id), &json!("Reporting")));
    assert_eq!(
        (&shown["organization_name"], &shown["scopes"]),
        (&json!("Acme"), &json!(["openid", "profile", "email", "read"]))
    );
    assert_eq!(shown["sentences"].as_array().unwrap().len(), 4);
    let organization = format!("/api/v1/organizations/{}", acme.id);
    app.caller(&tokens).get(&organization).await.ok();
    acme.viewer.client.delete(&format!("{at}/{}", app.id)).await.ok();
    app.caller(&tokens).get(&organization).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    assert_eq!(acme.viewer.client.get(at).await.ok()["total"], 0);
    acme.viewer.client.delete(&format!("{at}/{}", app.id)).await.error(404, "application_not_found");
    // Nobody else's.
    app.caller(&others).get(&organization).await.ok();
    assert_eq!(server.audited("oauth.disconnect", "success").await, 1);
}
