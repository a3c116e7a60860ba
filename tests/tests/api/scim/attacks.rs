//! What an attacker tries: with somebody else's token, with filters, with names of people who belong elsewhere.

use rivergen_tests::{Person, Server, on_both_databases};
use serde_json::{Value, json};

use super::{CONFIG, Provider, ScimAnswer, USER, group, patch, prove_domain, user};

on_both_databases! {
    filter_injection;
    deep_and_long_filters;
    text_that_a_database_cannot_hold;
    the_token_of_another_organization;
    a_token_opens_nothing_else;
    guessed_tokens_are_counted with "[limits]\nenabled = true\n[limits.rules]\ngeneral = { limit = 5, per_seconds = 60 }";
    a_provider_that_asks_too_much_waits with "[limits]\nenabled = true\n[limits.rules]\nscim_by_organization = { limit = 3, per_seconds = 60 }\nlogin_by_ip = { limit = 100, per_seconds = 60 }";
    an_account_of_another_organization_is_not_taken_over;
    a_proved_domain_gives_nothing_over_others;
    nobody_reads_by_a_token_of_their_own_the_mail_of_somebody_above_them;
}

fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn filter_injection(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let (idp, theirs) = (Provider::of(server, &acme).await, Provider::of(server, &globex).await);
    theirs.user("secret@globex.example").await;
    idp.user("ada@acme.example").await;
    for value in [
        "' OR '1'='1",
        "x' OR 1=1 --",
        "x'); DROP TABLE scim_users; --",
        "%",
        "_",
        "\\\" or userName pr or title eq \\\"",
    ] {
        for path in ["userName", "title", "externalId", "emails.value", "groups.display"] {
            for op in ["eq", "co", "sw", "ew"] {
                let filter = format!("{path} {op} \"{value}\"");
                let body = idp.client.get(&format!("/scim/v2/Users?filter={}", encoded(&filter))).await.is(200);
                assert_eq!(body["totalResults"], 0, "{filter}");
            }
        }
    }
    for sort in ["userName; DROP TABLE scim_users", "(SELECT 1)", "userName' --"] {
        let answer = idp.client.get(&format!("/scim/v2/Users?sortBy={}", encoded(sort))).await;
        answer.refused(400, Some("invalidPath"));
    }
    for filter in
        ["id pr or id pr", "not (userName eq \"x\")", "userName ne \"x\"", "active eq true or active eq false"]
    {
        let body = idp.client.get(&format!("/scim/v2/Users?filter={}", encoded(filter))).await.is(200);
        assert_eq!(body["totalResults"], 1, "{filter}: {body}");
    }
}

async fn text_that_a_database_cannot_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let answer = idp.client.post("/scim/v2/Users", user("a\u{0}da@acme.example")).await;
    answer.refused(400, Some("invalidValue"));
    for value in ["\u{0}", "\\u0000"] {
        let filter = format!("userName eq \"{value}\"");
        let answer = idp.client.get(&format!("/scim/v2/Users?filter={}", encoded(&filter))).await;
        answer.refused(400, Some("invalidFilter"));
    }
}

async fn deep_and_long_filters(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    idp.user("ada@acme.example").await;
    for filter in [
        format!("{}active pr{}", "not (".repeat(400), ")".repeat(400)),
        format!("active pr{}", " and active pr".repeat(250)),
        "(".repeat(4000),
        "emails[".repeat(500),
    ] {
        idp.client
            .get(&format!("/scim/v2/Users?filter={}", encoded(&filter)))
            .await
            .refused(400, Some("invalidFilter"));
    }
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": format!("{}active pr{}", "not (".repeat(50_000), ")".repeat(50_000))});
    idp.client.post("/scim/v2/Users/.search", search).await.refused(400, Some("invalidFilter"));
    let id = idp.user("bob@acme.example").await;
    let path = format!("emails[{}type eq \"x\"{}]", "not (".repeat(400), ")".repeat(400));
    let operations = json!([{"op": "remove", "path": path}]);
    idp.patch(&format!("/scim/v2/Users/{id}"), operations).await.refused(400, Some("invalidPath"));
    // The most that is allowed is answered.
    let filter = format!("{}active eq true{}", "(".repeat(30), ")".repeat(30));
    let body = idp.client.get(&format!("/scim/v2/Users?filter={}", encoded(&filter))).await.is(200);
    assert_eq!(body["totalResults"], 2);
    let filter = vec!["emails.value co \"x\""; 98].join(" or ");
    idp.client.get(&format!("/scim/v2/Users?filter={}", encoded(&filter))).await.is(200);
}

async fn the_token_of_another_organization(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (idp, theirs) = (Provider::of(server, &acme).await, Provider::of(server, &globex).await);
    let own = idp.user("ada@acme.example").await;
    let their_user = theirs.user("eve@globex.example").await;
    let their_group = theirs.group("Spies", &[&their_user]).await;
    let title = patch(json!([{"op": "add", "path": "title", "value": "x"}]));
    for path in [format!("/scim/v2/Users/{their_user}"), format!("/scim/v2/Groups/{their_group}")] {
        idp.client.get(&path).await.refused(404, None);
        idp.client.delete(&path).await.refused(404, None);
        idp.client.patch(&path, title.clone()).await.refused(404, None);
        let body = json!({"schemas": [USER, super::GROUP], "userName": "a@b.example", "displayName": "x"});
        idp.client.put(&path, body).await.refused(404, None);
    }
    // Nobody of another organization comes into a group, by whatever way.
    idp.client.post("/scim/v2/Groups", group("x", &[&their_user])).await.refused(400, Some("invalidValue"));
    let id = idp.group("y", &[&own]).await;
    let add = json!([{"op": "add", "path": "members", "value": [{"value": their_user}]}]);
    idp.patch(&format!("/scim/v2/Groups/{id}"), add).await.refused(400, Some("invalidValue"));
    for filter in [format!("id eq \"{their_user}\""), format!("groups.value eq \"{their_group}\"")] {
        let body = idp.client.get(&format!("/scim/v2/Users?filter={}", encoded(&filter))).await.is(200);
        assert_eq!(body["totalResults"], 0);
    }
    assert_eq!(theirs.client.get(&format!("/scim/v2/Users/{their_user}")).await.is(200)["title"], Value::Null);
    assert_eq!(theirs.members(&their_group).await, [their_user]);
}

async fn a_token_opens_nothing_else(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for path in ["/api/v1/auth/me", CONFIG, "/api/v1/users", "/api/v1/organizations"] {
        idp.client.get(path).await.error(401, "UNAUTHORIZED");
    }
    // And nothing else opens SCIM.
    let token = json!({"name": "x", "scopes": ["admin"], "organization_id": acme.id});
    let token = acme.owner.client.post("/api/v1/auth/tokens", token).await.created();
    let mut mistyped = idp.client.token().to_owned();
    mistyped.pop();
    for other in [acme.owner.client.token(), token["token"].as_str().unwrap(), &mistyped, "", "scim_", "scim_x"] {
        server.anonymous().with_token(other).get("/scim/v2/Users").await.refused(401, None);
    }
}

async fn guessed_tokens_are_counted(server: &Server) {
    let client = server.anonymous().with_token("scim_guess");
    for _ in 0..5 {
        client.get("/scim/v2/Users").await.refused(401, None);
    }
    let answer = client.get("/scim/v2/Users").await;
    assert!(answer.headers.contains_key("retry-after"));
    answer.refused(429, None);
}

async fn a_provider_that_asks_too_much_waits(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (idp, theirs) = (Provider::of(server, &acme).await, Provider::of(server, &globex).await);
    for _ in 0..3 {
        idp.client.get("/scim/v2/Users").await.is(200);
    }
    idp.client.get("/scim/v2/Users").await.refused(429, None);
    theirs.client.get("/scim/v2/Users").await.is(200);
}

async fn an_account_of_another_organization_is_not_taken_over(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let idp = Provider::of(server, &acme).await;
    let victim = &globex.owner;
    let account = async || {
        let sql = format!("SELECT * FROM users JOIN user_emails ON user_id = users.id WHERE users.id = {}", victim.id);
        format!("{:?}", server.rows(&sql).await)
    };
    let before = account().await;
    let body = json!({"schemas": [USER], "userName": victim.email, "displayName": "Pwned", "password": "Pwned1horse",
        "emails": [{"value": "attacker@acme.example", "primary": true}]});
    let id = idp.client.post("/scim/v2/Users", body).await.is(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/scim/v2/Users/{id}");
    assert_eq!(id, victim.id.to_string());
    for operations in [
        json!([{"op": "replace", "value": {"userName": "attacker@acme.example", "displayName": "Pwned"}}]),
        json!([{"op": "replace", "path": "active", "value": false}]),
    ] {
        idp.patch(&path, operations).await.is(200);
    }
    assert_eq!(account().await, before);
    // What they are elsewhere goes on, session and all.
    victim.client.get(&format!("/api/v1/organizations/{}", globex.id)).await.ok();
    idp.client.delete(&path).await.is(204);
    victim.client.get(&format!("/api/v1/organizations/{}", globex.id)).await.ok();
    assert_eq!(account().await, before);
    server.sign_in(&victim.email).await;
}

async fn a_proved_domain_gives_nothing_over_others(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let idp = Provider::of(server, &acme).await;
    prove_domain(server, &acme).await;
    // An own address cannot become that of somebody else, nor somebody else's an own one.
    let own = idp.user("ada@acme.example").await;
    let operations = json!([{"op": "replace", "path": "userName", "value": globex.owner.email}]);
    idp.patch(&format!("/scim/v2/Users/{own}"), operations).await.is(200);
    let theirs = idp.client.post("/scim/v2/Users", user(&globex.viewer.email)).await.is(201);
    let operations = json!([{"op": "replace", "path": "userName", "value": "viewer@acme.example.evil"}]);
    idp.patch(&format!("/scim/v2/Users/{}", theirs["id"].as_str().unwrap()), operations).await.is(200);
    for (id, email) in [(globex.owner.id, &globex.owner.email), (globex.viewer.id, &globex.viewer.email)] {
        let same = format!("SELECT count(*) FROM user_emails WHERE user_id = {id} AND email = '{email}'");
        assert_eq!(server.count(&same).await, 1);
    }
    assert_eq!(
        server
            .count(&format!("SELECT count(*) FROM user_emails WHERE user_id = {own} AND email = 'ada@acme.example'"))
            .await,
        1
    );
}

async fn nobody_reads_by_a_token_of_their_own_the_mail_of_somebody_above_them(server: &Server) {
    let acme = server.organization("Acme").await;
    prove_domain(server, &acme).await;
    let members = format!("/api/v1/organizations/{}/members", acme.id);
    let second = json!({"role_id": acme.roles["Owner"]});
    acme.owner.client.patch(&format!("{members}/{}", acme.developer.id), second).await.ok();
    let idp = Provider::of(server, &acme).await;
    // An Admin takes the token, and has a mailbox in the domain.
    let rotate = json!({"provider_id": idp.id, "rotate_token": true});
    let taken = async |by: &Person, how: Value| {
        let token = by.client.post(CONFIG, how).await.ok()["bearer_token"].as_str().unwrap().to_owned();
        Provider { id: idp.id, client: server.anonymous().with_token(token) }
    };
    let idp = taken(&acme.admin, rotate.clone()).await;
    let path = async |email: &str| format!("/scim/v2/Users/{}", idp.user(email).await);
    let (owner, viewer) = (path(&acme.owner.email).await, path(&acme.viewer.email).await);
    let named = |address: &str| json!([{"op": "replace", "path": "userName", "value": address}]);
    let active = |active: bool| json!([{"op": "replace", "path": "active", "value": active}]);
    let has = async |person: i64, address: &str| {
        let of = format!("SELECT count(*) FROM user_emails WHERE user_id = {person} AND email = '{address}'");
        server.count(&of).await == 1
    };
    idp.patch(&owner, named("admin+1@acme.example")).await.is(200);
    assert!(has(acme.owner.id, &acme.owner.email).await);
    // Nor while the Owner is shut out, who comes back with all that they held.
    for operations in [active(false), named("admin+2@acme.example"), active(true)] {
        idp.patch(&owner, operations).await.is(200);
    }
    assert!(has(acme.owner.id, &acme.owner.email).await);
    // Whoever holds no more than the Admin has the address that the provider says.
    idp.patch(&viewer, named("vera@acme.example")).await.is(200);
    assert!(has(acme.viewer.id, "vera@acme.example").await);
    // An Owner who changes something else does not know who holds the token, nor, for a while, whether somebody else does.
    acme.developer.client.post(CONFIG, json!({"provider_id": idp.id, "group_role_mapping": {}})).await.ok();
    idp.patch(&owner, named("admin+3@acme.example")).await.is(200);
    let overlapping = json!({"provider_id": idp.id, "rotate_token": true, "overlap_hours": 1});
    taken(&acme.developer, overlapping).await;
    idp.patch(&owner, named("admin+4@acme.example")).await.is(200);
    assert!(has(acme.owner.id, &acme.owner.email).await);
    // So has the Owner, once an Owner alone has the token.
    let idp = taken(&acme.developer, rotate).await;
    idp.patch(&owner, named("chief@acme.example")).await.is(200);
    assert!(has(acme.owner.id, "chief@acme.example").await);
}
