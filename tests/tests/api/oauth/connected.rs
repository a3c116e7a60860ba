//! `/api/v1/oauth/connected-applications`

use rivergen_tests::{PASSWORD, Server, on_both_databases};
use serde_json::json;

use super::{App, Browser, Pkce, answer_of, granted, location, refused, text};

on_both_databases! {
    people_see_and_end_what_they_let;
    a_preapproved_application_is_shown_too;
    a_change_of_the_password_ends_what_was_let;
    a_reset_of_the_password_ends_what_was_let;
    of_many_applications_those_of_the_person_are_looked_up;
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

async fn a_preapproved_application_is_shown_too(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    acme.owner.client.patch(&app.path, json!({"preapproved": true})).await.ok();
    let (browser, pkce) = (Browser::new(server), Pkce::new());
    let page = browser.open(&app.request(&pkce, &[])).await;
    let to = location(&browser.sign_in(&page, &acme.viewer.email).await);
    let tokens = granted(app.exchange(&answer_of(&to, "code").unwrap(), &pkce).await);
    let at = "/api/v1/oauth/connected-applications";
    let list = acme.viewer.client.get(at).await.ok();
    assert_eq!((&list["total"], &list["applications"][0]["id"]), (&json!(1), &json!(app.id)));
    assert_eq!(list["applications"][0]["scopes"], json!(["openid", "profile", "email", "read"]));
    acme.viewer.client.delete(&format!("{at}/{}", app.id)).await.ok();
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    assert_eq!(acme.viewer.client.get(at).await.ok()["total"], 0);
}

async fn a_change_of_the_password_ends_what_was_let(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (tokens, others) = (app.tokens(&acme.viewer).await, app.tokens(&acme.developer).await);
    let organization = format!("/api/v1/organizations/{}", acme.id);
    app.caller(&tokens).get(&organization).await.ok();
    let program = json!({"name": "a program", "scopes": ["read"]});
    let program = acme.viewer.client.post("/api/v1/auth/tokens", program).await.created();
    let change = async |current: &str, new: &str| {
        let body = json!({"current_password": current, "new_password": new});
        acme.viewer.client.post("/api/v1/auth/change-password", body).await
    };
    change("Wrong1stapler", "Better2stapler").await.error(400, "INVALID_CURRENT_PASSWORD");
    app.caller(&tokens).get(&organization).await.ok();
    change(PASSWORD, "Better2stapler").await.ok();
    app.caller(&tokens).get(&organization).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    // Nobody else's, and no token that the person made themselves.
    app.caller(&others).get(&organization).await.ok();
    server.anonymous().with_token(text(&program, "token")).get(&organization).await.ok();
}

async fn a_reset_of_the_password_ends_what_was_let(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (tokens, others) = (app.tokens(&acme.viewer).await, app.tokens(&acme.developer).await);
    let organization = format!("/api/v1/organizations/{}", acme.id);
    app.caller(&tokens).get(&organization).await.ok();
    server.anonymous().post("/api/v1/auth/forgot-password", json!({"email": acme.viewer.email})).await.ok();
    let mail = server.mailbox().titled(&acme.viewer.email, "Set a new password").await;
    let link = mail.links().into_iter().find(|link| link.contains("token=")).unwrap();
    let body = json!({"token": link.split_once("token=").unwrap().1, "new_password": "Better2stapler"});
    server.anonymous().post("/api/v1/auth/reset-password", body).await.ok();
    app.caller(&tokens).get(&organization).await.error(401, "UNAUTHORIZED");
    refused(app.refresh(text(&tokens, "refresh_token")).await, 400, "invalid_grant");
    app.caller(&others).get(&organization).await.ok();
}

async fn of_many_applications_those_of_the_person_are_looked_up(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    app.tokens(&acme.viewer).await;
    let columns = "organization_id, client_type, grant_types, redirect_uris, post_logout_redirect_uris, scopes, \
                   resources, access_level, status, preapproved, token_generation, responsible_user_id, \
                   responsible_since, created_at, updated_at";
    server
        .execute(&format!(
            "INSERT INTO oauth_applications (client_id, name, name_key, {columns}) \
             WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000) \
             SELECT 'client ' || i, 'Program ' || i, 'program ' || i, {columns} \
             FROM n CROSS JOIN (SELECT * FROM oauth_applications WHERE id = {}) AS one",
            app.id
        ))
        .await;
    server.analyze().await;
    let listing = acme.viewer.client.get("/api/v1/oauth/connected-applications");
    let (list, statements) = server.statements(listing).await;
    let list = list.ok();
    assert_eq!((&list["total"], &list["applications"][0]["id"]), (&json!(1), &json!(app.id)));
    for sql in statements.iter().filter(|sql| sql.contains("FROM \"oauth_applications\" WHERE")) {
        let plan = server.plan(sql).await;
        assert!(
            !plan.contains("Seq Scan on oauth_applications") && !plan.contains("SCAN oauth_applications"),
            "{plan}"
        );
    }
}
