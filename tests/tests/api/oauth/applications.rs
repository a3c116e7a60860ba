//! `/api/v1/organizations/{org_id}/oauth-applications`

use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{App, Browser, CALLBACK, Pkce, granted, key_pair, post, refused, registration, text};

on_both_databases! {
    the_secret_is_shown_once;
    what_is_not_valid_is_named;
    names_are_unique_in_the_organization;
    administrators_alone_register;
    the_list_is_paged;
    what_is_changed_holds_at_once;
    a_suspended_application_is_dead_at_once;
    a_new_secret_voids_all_before_it;
    secrets_overlap;
    nobody_gets_at_what_another_administrator_may_do;
    what_others_know_opens_nothing_as_somebody;
    new_keys_come_with_who_takes_it_over;
    who_left_and_came_back_answers_for_nothing;
    the_organization_says_who_registers;
    a_deleted_application_is_gone;
    it_goes_with_its_organization;
    a_logo_is_a_picture_and_is_shown_to_who_is_asked;
    how_much_it_is_used_is_told;
    of_two_secrets_at_once_one_is_the_last_that_there_is_room_for;
}

fn organization(id: i64) -> String {
    format!("/api/v1/organizations/{id}")
}

async fn the_secret_is_shown_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{}/oauth-applications", organization(acme.id));
    let made = acme.owner.client.post(&path, registration()).await.created();
    let secret = text(&made, "client_secret");
    assert!(secret.starts_with("rgs_") && secret.len() == 4 + 43 + 6, "{secret}");
    assert_eq!((&made["status"], &made["access_level"]), (&json!("active"), &json!("organization")));
    assert_eq!((&made["client_type"], &made["preapproved"]), (&json!("confidential"), &json!(false)));
    assert_eq!(text(&made, "client_id").len(), 36);
    let shown = acme.admin.client.get(&format!("{path}/{}", made["id"])).await.ok();
    assert_eq!((&shown["client_id"], &shown["redirect_uris"]), (&made["client_id"], &json!([CALLBACK])));
    assert!(!shown.to_string().contains("rgs_"));
    let rows = server.rows("SELECT prefix, hex(secret_hash) AS h FROM oauth_secrets");
    if server.backend == rivergen_tests::Backend::Sqlite {
        assert!(!format!("{:?}", rows.await).contains(secret));
    }
    assert_eq!(server.audited("oauth_application.create", "success").await, 1);
    // A public client has none.
    let phone = App::public(server, &acme).await;
    assert!(phone.secret.is_none());
    acme.owner.client.post_empty(&format!("{}/regenerate-secret", phone.path)).await.invalid("app_id");
}

async fn what_is_not_valid_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{}/oauth-applications", organization(acme.id));
    let with = |field: &str, value: Value| {
        let mut body = registration();
        body[field] = value;
        body
    };
    for (field, value, named) in [
        ("name", json!(""), "name"),
        ("grant_types", json!([]), "grant_types"),
        ("redirect_uris", json!([]), "redirect_uris"),
        ("redirect_uris", json!([CALLBACK, "http://app.acme.example/cb"]), "redirect_uris[1]"),
        ("redirect_uris", json!(["https://*.acme.example/cb"]), "redirect_uris[0]"),
        ("redirect_uris", json!(["javascript:alert(1)"]), "redirect_uris[0]"),
        ("redirect_uris", json!([format!("{CALLBACK}#x")]), "redirect_uris[0]"),
        ("post_logout_redirect_uris", json!(["nowhere"]), "post_logout_redirect_uris[0]"),
        ("resources", json!(["/api"]), "resources[0]"),
        ("resources", json!([format!("{}/", server.url())]), "resources[0]"),
        ("scopes", json!([]), "scopes"),
        ("scopes", json!(["nonsense"]), "scopes[0]"),
        ("client_type", json!("public"), "grant_types"),
    ] {
        acme.owner.client.post(&path, with(field, value)).await.invalid(named);
    }
    // For itself alone it needs no address.
    let mut service = with("redirect_uris", json!([]));
    service["grant_types"] = json!(["client_credentials"]);
    acme.owner.client.post(&path, service).await.created();
    // Scopes of OpenID Connect need no registration, and are none of the API.
    acme.owner.client.post(&path, with("scopes", json!(["openid"]))).await.invalid("scopes[0]");
}

async fn names_are_unique_in_the_organization(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let first = App::new(server, &acme).await;
    App::new(server, &globex).await;
    let path = format!("{}/oauth-applications", organization(acme.id));
    let mut again = registration();
    again["name"] = json!(" reporting ");
    acme.owner.client.post(&path, again.clone()).await.error(400, "application_exists");
    again["name"] = json!("Other");
    let other = App::register(server, &acme, again).await;
    acme.owner.client.patch(&other.path, json!({"name": "REPORTING"})).await.error(400, "application_exists");
    acme.owner.client.patch(&first.path, json!({"name": "reporting"})).await.ok();
}

async fn administrators_alone_register(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let path = format!("{}/oauth-applications", organization(acme.id));
    acme.developer.client.post(&path, registration()).await.error(403, "FORBIDDEN");
    acme.developer.client.get(&path).await.error(403, "FORBIDDEN");
    acme.developer.client.patch(&app.path, json!({"name": "x"})).await.error(403, "FORBIDDEN");
    server.anonymous().get(&path).await.error(401, "UNAUTHORIZED");
    let globex = server.organization("Globex").await;
    globex.owner.client.get(&app.path).await.error(404, "ORG_NOT_FOUND");
    let elsewhere = format!("{}/oauth-applications/{}", organization(globex.id), app.id);
    globex.owner.client.get(&elsewhere).await.error(404, "application_not_found");
    globex.owner.client.delete(&elsewhere).await.error(404, "application_not_found");
    // `admin` takes a fresh proof.
    server.clock().advance(chrono::Duration::minutes(11));
    let mut all = registration();
    all["name"] = json!("All");
    all["scopes"] = json!(["admin"]);
    acme.owner.client.post(&path, all.clone()).await.error(403, "REAUTHENTICATION_REQUIRED");
    // So does agreeing for everybody.
    let preapproved = json!({"preapproved": true});
    acme.owner.client.patch(&app.path, preapproved).await.error(403, "REAUTHENTICATION_REQUIRED");
    // Nobody registers what they do not hold.
    let admin = server.sign_in(&acme.admin.email).await;
    all["scopes"] = json!(["organization.delete"]);
    admin.client.post(&path, all).await.error(403, "FORBIDDEN");
}

async fn the_list_is_paged(server: &Server) {
    let acme = server.organization("Acme").await;
    for name in ["One", "Two", "Three"] {
        let mut body = registration();
        body["name"] = json!(name);
        App::register(server, &acme, body).await;
    }
    let path = format!("{}/oauth-applications", organization(acme.id));
    let page = acme.admin.client.get(&format!("{path}?skip=1&limit=1")).await.ok();
    assert_eq!((&page["applications"][0]["name"], &page["total"]), (&json!("Two"), &json!(3)));
    assert_eq!(page["applications"].as_array().unwrap().len(), 1);
    assert!(!page.to_string().contains("rgs_"));
    acme.admin.client.get(&format!("{path}?limit=101")).await.invalid("limit");
}

async fn what_is_changed_holds_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let caller = app.caller(&tokens);
    caller.get(&organization(acme.id)).await.ok();
    // What is taken from the application is taken from its tokens.
    acme.owner.client.patch(&app.path, json!({"scopes": ["storage.read"]})).await.ok();
    caller.get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    refused(
        app.post("/oauth/token", &[("grant_type", "client_credentials"), ("scope", "read")]).await,
        400,
        "invalid_scope",
    );
    acme.owner.client.patch(&app.path, json!({"scopes": ["read"], "grant_types": ["authorization_code"]})).await.ok();
    caller.get(&organization(acme.id)).await.ok();
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 400, "unauthorized_client");
    let shown = acme.owner.client.patch(&app.path, json!({"description": "Weekly"})).await.ok();
    assert_eq!((&shown["description"], &shown["scopes"]), (&json!("Weekly"), &json!(["read"])));
    let shown = acme.owner.client.patch(&app.path, json!({"description": null})).await.ok();
    assert!(shown["description"].is_null() && shown["last_used_at"].is_string());
}

async fn a_suspended_application_is_dead_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (person, service) = (app.tokens(&acme.viewer).await, app.credentials().await);
    let at = organization(acme.id);
    for tokens in [&person, &service] {
        app.caller(tokens).get(&at).await.ok();
    }
    acme.admin.client.post_empty(&format!("{}/revoke", app.path)).await.ok();
    for tokens in [&person, &service] {
        app.caller(tokens).get(&at).await.error(401, "UNAUTHORIZED");
    }
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 401, "invalid_client");
    refused(app.refresh(text(&person, "refresh_token")).await, 401, "invalid_client");
    assert_eq!(acme.admin.client.get(&app.path).await.ok()["status"], "revoked");
    // Let in again, it gets new tokens; the old ones stay dead.
    acme.admin.client.patch(&app.path, json!({"status": "active"})).await.ok();
    for tokens in [&person, &service] {
        app.caller(tokens).get(&at).await.error(401, "UNAUTHORIZED");
    }
    refused(app.refresh(text(&person, "refresh_token")).await, 400, "invalid_grant");
    app.caller(&app.credentials().await).get(&at).await.ok();
    // A change of the status does the same.
    let tokens = app.credentials().await;
    acme.admin.client.patch(&app.path, json!({"status": "revoked"})).await.ok();
    app.caller(&tokens).get(&at).await.error(401, "UNAUTHORIZED");
}

async fn a_new_secret_voids_all_before_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut app = App::new(server, &acme).await;
    let tokens = app.tokens(&acme.viewer).await;
    let new = acme.owner.client.post_empty(&format!("{}/regenerate-secret", app.path)).await.ok();
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 401, "invalid_client");
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    app.secret = Some(text(&new, "client_secret").to_owned());
    app.credentials().await;
    assert_eq!(server.audited("oauth_application.regenerate_secret", "success").await, 1);
}

async fn secrets_overlap(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut app = App::new(server, &acme).await;
    let secrets = format!("{}/secrets", app.path);
    let tokens = app.credentials().await;
    let new = acme.owner.client.post(&secrets, json!({"expires_in_days": 7})).await.created();
    app.credentials().await;
    let old = app.secret.replace(text(&new, "client_secret").to_owned());
    app.credentials().await;
    let list = acme.owner.client.get(&secrets).await.ok();
    let first = &list["secrets"][0];
    assert!(old.unwrap().starts_with(text(first, "prefix")) && first["expires_at"].is_null());
    acme.owner.client.delete(&format!("{secrets}/{}", first["id"])).await.ok();
    acme.owner.client.delete(&format!("{secrets}/{}", first["id"])).await.error(404, "NOT_FOUND");
    app.credentials().await;
    // The tokens stay good.
    app.caller(&tokens).get(&organization(acme.id)).await.ok();
    server.clock().advance(chrono::Duration::days(8));
    server.forget().await;
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 401, "invalid_client");
    let owner = server.sign_in(&acme.owner.email).await;
    for _ in 0..5 {
        owner.client.post(&secrets, json!({})).await.created();
    }
    owner.client.post(&secrets, json!({})).await.error(409, "CONFLICT");
}

async fn nobody_gets_at_what_another_administrator_may_do(server: &Server) {
    let acme = server.organization("Acme").await;
    // It acts for the owner where no person is there.
    let app = App::new(server, &acme).await;
    let admin = &acme.admin.client;
    admin.post_empty(&format!("{}/regenerate-secret", app.path)).await.error(403, "FORBIDDEN");
    admin.post(&format!("{}/secrets", app.path), json!({})).await.error(403, "FORBIDDEN");
    admin.patch(&app.path, json!({"scopes": ["write", "read"]})).await.error(403, "FORBIDDEN");
    let tokens = app.credentials().await;
    let taken = admin.patch(&app.path, json!({"take_over": true})).await.ok();
    assert_eq!(taken["responsible_user_id"].as_i64(), Some(acme.admin.id));
    // What the owner knows of it opens nothing as the administrator.
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 401, "invalid_client");
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    let new = admin.post_empty(&format!("{}/regenerate-secret", app.path)).await.ok();
    let app = App { secret: Some(text(&new, "client_secret").to_owned()), ..app };
    app.caller(&app.credentials().await).get(&organization(acme.id)).await.ok();
    // It acts for nobody when they are gone.
    let tokens = app.credentials().await;
    let member = format!("{}/members/{}", organization(acme.id), acme.admin.id);
    acme.owner.client.delete(&member).await;
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
}

async fn what_others_know_opens_nothing_as_somebody(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut body = registration();
    body["grant_types"] = json!(["authorization_code"]);
    let mut app = App::register(server, &acme, body).await;
    // As long as it acts for nobody but those who let it, each administrator looks after its secrets.
    let secrets = format!("{}/secrets", app.path);
    let others = acme.admin.client.post(&secrets, json!({})).await.created();
    let both = json!({"grant_types": ["authorization_code", "client_credentials"]});
    acme.admin.client.patch(&app.path, both.clone()).await.error(403, "FORBIDDEN");
    let changed = acme.owner.client.patch(&app.path, both).await.ok();
    assert!(text(&changed, "message").contains("needs a new one"), "{changed}");
    let own = app.secret.take().unwrap();
    for secret in [own.as_str(), text(&others, "client_secret")] {
        let pairs =
            [("client_id", app.client_id.as_str()), ("client_secret", secret), ("grant_type", "client_credentials")];
        refused(post(&app.anonymous, "/oauth/token", &pairs).await, 401, "invalid_client");
    }
    let new = acme.owner.client.post(&secrets, json!({})).await.created();
    app.secret = Some(text(&new, "client_secret").to_owned());
    app.credentials().await;
    // What it may already is not added again.
    acme.owner.client.patch(&app.path, json!({"grant_types": ["client_credentials"]})).await.ok();
    app.credentials().await;
}

async fn new_keys_come_with_who_takes_it_over(server: &Server) {
    let acme = server.organization("Acme").await;
    let (_, known) = key_pair("one");
    let mut body = registration();
    body["jwks"] = json!({"keys": [known]});
    let app = App::register(server, &acme, body).await;
    let admin = &acme.admin.client;
    admin.patch(&app.path, json!({"take_over": true})).await.invalid("jwks");
    let mut renamed = known;
    renamed.common.key_id = Some("two".to_owned());
    let (_, new) = key_pair("three");
    let mixed = json!({"take_over": true, "jwks": {"keys": [new, renamed]}});
    admin.patch(&app.path, mixed).await.invalid("jwks");
    let taken = admin.patch(&app.path, json!({"take_over": true, "jwks": {"keys": [new]}})).await.ok();
    assert_eq!(taken["responsible_user_id"].as_i64(), Some(acme.admin.id));
    assert_eq!(taken["jwks"]["keys"][0]["kid"], "three");
    // The same where it begins to act for somebody.
    admin.patch(&app.path, json!({"grant_types": ["authorization_code"]})).await.ok();
    let both = json!({"grant_types": ["authorization_code", "client_credentials"]});
    admin.patch(&app.path, both).await.invalid("jwks");
}

async fn who_left_and_came_back_answers_for_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let mut app = App::new(server, &acme).await;
    let tokens = app.credentials().await;
    app.caller(&tokens).get(&organization(acme.id)).await.ok();
    // As if the owner had left, and joined again after this person agreed.
    app.tokens(&acme.viewer).await;
    let (id, later) = (acme.owner.id, "SELECT MAX(code_expires_at) FROM oauth_grants");
    server.execute(&format!("UPDATE memberships SET joined_at = ({later}) WHERE user_id = {id}")).await;
    server.forget().await;
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    refused(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await, 400, "unauthorized_client");
    // Until they take it over anew.
    server.clock().advance(chrono::Duration::minutes(11));
    let owner = server.sign_in(&acme.owner.email).await;
    owner.client.patch(&app.path, json!({"take_over": true})).await.ok();
    let new = owner.client.post_empty(&format!("{}/regenerate-secret", app.path)).await.ok();
    app.secret = Some(text(&new, "client_secret").to_owned());
    let tokens = app.credentials().await;
    app.caller(&tokens).get(&organization(acme.id)).await.ok();
    // Asked again, it stays as it is.
    owner.client.patch(&app.path, json!({"take_over": true})).await.ok();
    app.credentials().await;
}

async fn the_organization_says_who_registers(server: &Server) {
    let acme = server.organization("Acme").await;
    let path = format!("{}/oauth-applications", organization(acme.id));
    let settings = format!("{}/settings", organization(acme.id));
    let set = async |who: &str| {
        let body = json!({"settings": {"oauth_app_creation": who}});
        acme.owner.client.patch(&settings, body).await.ok()
    };
    // Each member is told what concerns them, and not the setting.
    let standing = |person: &Person| format!("/api/v1/roles/users/{}/permissions", person.id);
    let told = async |person: &Person| {
        person.client.get(&standing(person)).await.ok()["may_register_applications"].as_bool().unwrap()
    };
    assert!(told(&acme.admin).await && !told(&acme.developer).await);
    set("nobody").await;
    for person in [&acme.owner, &acme.developer] {
        person.client.post(&path, registration()).await.error(403, "FORBIDDEN");
        assert!(!told(person).await);
    }
    set("everyone").await;
    for (_, person) in acme.people() {
        assert!(told(person).await);
    }
    let of_another = acme.owner.client.get(&standing(&acme.developer)).await.ok();
    assert_eq!(of_another["may_register_applications"], Value::Null);
    let mut body = registration();
    body["preapproved"] = json!(true);
    acme.developer.client.post(&path, body).await.error(403, "FORBIDDEN");
    let personal = json!({"name": "x", "scopes": ["write"]});
    let personal = acme.developer.client.post("/api/v1/auth/tokens", personal).await.created();
    let program = server.anonymous().with_token(text(&personal, "token"));
    program.post(&path, registration()).await.error(403, "FORBIDDEN");
    assert_eq!(program.get(&standing(&acme.developer)).await.ok()["may_register_applications"], false);
    let app = App::register_by(server, &acme, &acme.developer, registration()).await;
    app.caller(&app.credentials().await).get(&organization(acme.id)).await.ok();
    // Administrators look after it.
    acme.developer.client.patch(&app.path, json!({"name": "x"})).await.error(403, "FORBIDDEN");
    acme.admin.client.patch(&app.path, json!({"description": "Made by a member"})).await.ok();
    set("admins").await;
    acme.developer.client.post(&path, registration()).await.error(403, "FORBIDDEN");
}

async fn a_deleted_application_is_gone(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let (person, service) = (app.tokens(&acme.viewer).await, app.credentials().await);
    for tokens in [&person, &service] {
        app.caller(tokens).get(&organization(acme.id)).await.ok();
    }
    acme.owner.client.delete(&app.path).await.ok();
    for tokens in [&person, &service] {
        app.caller(tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
    }
    acme.owner.client.get(&app.path).await.error(404, "application_not_found");
    let request =
        [("client_id", app.client_id.as_str()), ("grant_type", "client_credentials"), ("client_secret", "rgs_x")];
    refused(post(&app.anonymous, "/oauth/token", &request).await, 401, "invalid_client");
    for table in ["oauth_secrets", "oauth_grants", "oauth_refresh_tokens", "oauth_consents"] {
        assert_eq!(server.count(&format!("SELECT count(*) FROM {table}")).await, 0, "{table}");
    }
}

async fn it_goes_with_its_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let tokens = granted(app.post("/oauth/token", &[("grant_type", "client_credentials")]).await);
    acme.owner.client.delete(&format!("{}?confirm_name=Acme", organization(acme.id))).await;
    let body = json!({"confirm_name": "Acme"});
    let request = acme.owner.client.request(reqwest::Method::DELETE, &organization(acme.id)).json(&body);
    acme.owner.client.send(request).await;
    app.caller(&tokens).get(&organization(acme.id)).await.error(401, "UNAUTHORIZED");
}

async fn a_logo_is_a_picture_and_is_shown_to_who_is_asked(server: &Server) {
    use base64::{Engine, engine::general_purpose::STANDARD};

    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let picture = |kind: &str, bytes: &[u8]| format!("data:image/{kind};base64,{}", STANDARD.encode(bytes));
    let png = picture("png", b"\x89PNG\r\n\x1a\nrest");
    for bad in [
        picture("svg+xml", b"<svg onload=\"alert(1)\"/>"),
        picture("jpeg", b"\x89PNG\r\n\x1a\nrest"),
        picture("png", &[b"\x89PNG\r\n\x1a\n".as_slice(), &[0; 65 * 1024]].concat()),
        "https://evil.example/pixel.png".to_owned(),
        "data:text/html,<script>".to_owned(),
        String::new(),
    ] {
        acme.owner.client.patch(&app.path, json!({"logo": bad})).await.invalid("logo");
    }
    assert_eq!(acme.owner.client.get(&app.path).await.ok()["logo"], Value::Null);
    let changed = acme.owner.client.patch(&app.path, json!({"logo": png})).await.ok();
    assert_eq!(changed["logo"], json!(png));
    // A later change leaves it.
    acme.owner.client.patch(&app.path, json!({"description": "Weekly"})).await.ok();
    assert_eq!(acme.owner.client.get(&app.path).await.ok()["logo"], json!(png));
    let browser = Browser::new(server);
    let request = app.request(&Pkce::new(), &[]);
    let page = browser.sign_in(&browser.open(&request).await, &acme.viewer.email).await;
    assert!(page.body.as_str().unwrap().contains(&format!("src=\"{png}\"")), "{}", page.body);
    assert!(page.headers["content-security-policy"].to_str().unwrap().contains("img-src data:;"));
    let query = super::form(&[("client_id", app.client_id.as_str()), ("redirect_uri", CALLBACK)]);
    let info = server.anonymous().get(&format!("/api/v1/oauth/app-info?{query}")).await.ok();
    assert_eq!(info["logo"], json!(png));
    acme.owner.client.patch(&app.path, json!({"logo": null})).await.ok();
    assert!(!browser.open(&request).await.body.as_str().unwrap().contains("<img"));
}

async fn how_much_it_is_used_is_told(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let usage = async |by: &Person| by.client.get(&format!("{}/usage", app.path)).await.ok();
    let unused = usage(&acme.owner).await;
    assert_eq!(
        (&unused["last_used_at"], &unused["people_connected"], &unused["tokens_issued"]),
        (&Value::Null, &json!(0), &json!([]))
    );
    // A token of a code, one of a refresh token, one for itself; then of another person, twice.
    let tokens = app.tokens(&acme.viewer).await;
    let tokens = granted(app.refresh(text(&tokens, "refresh_token")).await);
    app.credentials().await;
    app.tokens(&acme.developer).await;
    app.tokens(&acme.developer).await;
    let used = usage(&acme.owner).await;
    assert!(used["last_used_at"].is_string());
    assert_eq!((&used["people_connected"], &used["tokens_issued"][0]["issued"]), (&json!(2), &json!(5)));
    // What was refused is not counted.
    refused(app.refresh("x").await, 400, "invalid_grant");
    server.clock().advance(chrono::Duration::days(1));
    granted(app.refresh(text(&tokens, "refresh_token")).await);
    // Sessions do not outlive the day.
    let (owner, viewer) = (server.sign_in(&acme.owner.email).await, server.sign_in(&acme.viewer.email).await);
    let next = usage(&owner).await;
    assert_eq!(next["tokens_issued"].as_array().unwrap().len(), 2, "{next}");
    assert_eq!((&next["tokens_issued"][0]["issued"], &next["tokens_issued"][1]["issued"]), (&json!(5), &json!(1)));
    viewer.client.delete(&format!("/api/v1/oauth/connected-applications/{}", app.id)).await.ok();
    assert_eq!(usage(&owner).await["people_connected"], 1);
    // Of thirty days, and no more is kept.
    server.clock().advance(chrono::Duration::days(31));
    rivergen_tests::eventually("the sweep", async || {
        // One that failed comes again.
        server.later(chrono::Duration::hours(1)).await;
        (server.count("SELECT count(*) FROM oauth_token_days").await == 0).then_some(())
    })
    .await;
}

async fn of_two_secrets_at_once_one_is_the_last_that_there_is_room_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let app = App::new(server, &acme).await;
    let secrets = format!("{}/secrets", app.path);
    let owner = &acme.owner.client;
    for _ in 0..3 {
        owner.post(&secrets, json!({})).await.created();
    }
    let (made, none) = server.two_at_once(&acme.held(), |_| owner.post(&secrets, json!({}))).await;
    made.created();
    none.error(409, "CONFLICT");
    assert_eq!(server.count("SELECT count(*) FROM oauth_secrets").await, 5);
}
