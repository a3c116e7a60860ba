//! `/scim/v2/Users` and `/scim/v2/Users/{user_id}`

use rivergen_tests::{Backend, Organization, Server, on_both_databases};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{ENTERPRISE, Provider, ScimAnswer, USER, group, patch, prove_domain, somebody_waits, user};
use crate::roles::custom;

on_both_databases! {
    a_user_is_made_and_read;
    a_user_is_a_member_with_the_default_role;
    a_member_of_before_is_taken_over;
    names_are_taken_once;
    people_who_are_pushed_at_once_come_in_each_by_themselves;
    of_people_pushed_at_once_only_who_is_wrong_is_refused;
    of_two_providers_that_push_one_person_at_once_one_does;
    what_is_no_user_is_refused;
    put_replaces_all_but_active;
    an_inactive_user_is_locked_out_at_once;
    who_is_suspended_by_an_administrator_stays_so;
    a_user_who_is_deleted_comes_back;
    the_last_owner_stays;
    entity_tags_guard_changes;
    accounts_follow_where_the_domain_is_proved;
    attributes_are_chosen;
    a_change_reads_no_groups_that_nobody_asks_for;
    attributes_change_while_the_organization_is_held;
    only_addresses_that_the_organization_takes_in;
    what_the_organization_says_holds_for_whoever_is_pushed_next;
    who_is_pushed_needs_an_invitation_no_more;
    a_role_that_is_gone_unheard_is_given_to_nobody;
    who_comes_in_while_their_role_goes_gets_another;
    a_provider_that_is_gone_unheard_pushes_nothing;
}

async fn a_user_is_made_and_read(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let body = json!({"schemas": [USER, ENTERPRISE], "USERNAME": "Ada@Acme.example", "externalId": "00u1",
        "name": {"givenName": "Ada", "familyName": "Lovelace", "nothing": "known"}, "password": "Never1taken",
        "active": "True", "emails": [{"value": "ada@acme.example", "type": "work", "primary": "true"}],
        "phoneNumbers": {"value": "+1"}, "unknown": [1], "id": "7", "meta": {"created": "x"},
        ENTERPRISE: {"department": "Research", "employeeNumber": 12, "manager": "1"}});
    let answer = idp.client.post("/scim/v2/Users", body).await;
    let (location, tag) = (answer.headers["location"].clone(), answer.headers["etag"].clone());
    let made = answer.is(201);
    let id = made["id"].as_str().unwrap();
    let whole = json!({"schemas": [USER, ENTERPRISE], "id": id, "userName": "Ada@Acme.example", "externalId": "00u1",
        "name": {"givenName": "Ada", "familyName": "Lovelace"}, "active": true,
        "emails": [{"value": "ada@acme.example", "type": "work", "primary": true}], "phoneNumbers": [{"value": "+1"}],
        ENTERPRISE: {"department": "Research", "employeeNumber": "12", "manager": {"value": "1"}},
        "meta": made["meta"]});
    assert_eq!(made, whole);
    let meta = &made["meta"];
    assert_eq!(meta["location"].as_str(), location.to_str().ok());
    assert_eq!(meta["location"], format!("{}/scim/v2/Users/{id}", server.url()));
    assert_eq!((meta["resourceType"].as_str(), meta["version"].as_str()), (Some("User"), tag.to_str().ok()));
    assert_eq!(idp.client.get(&format!("/scim/v2/Users/{id}")).await.is(200), whole);
    assert!(!format!("{:?}", server.rows("SELECT * FROM users").await).contains("Never1taken"));
    assert_eq!(server.count(&format!("SELECT count(*) FROM users WHERE id = {id} AND password_hash IS NULL")).await, 1);
    for unknown in ["987654321", "x", "-1", "1.5", "9223372036854775808"] {
        idp.client.get(&format!("/scim/v2/Users/{unknown}")).await.refused(404, None);
    }
    assert_eq!(server.audited("scim.user.create", "success").await, 1);
}

async fn a_user_is_a_member_with_the_default_role(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let id = idp.user("ada@acme.example").await;
    assert_eq!(super::roles_of(server, &acme, &id).await, ["Viewer"]);
    let members = acme.owner.client.get(&format!("/api/v1/organizations/{}/members/{id}", acme.id)).await.ok();
    let member = &members["member"];
    assert_eq!((&member["status"], &member["managed_by_scim"]), (&json!("active"), &json!(true)), "{members}");
    let config = json!({"provider_id": idp.id, "default_role_id": acme.roles["Developer"]});
    acme.owner.client.post(super::CONFIG, config).await.ok();
    let id = idp.user("bob@acme.example").await;
    assert_eq!(super::roles_of(server, &acme, &id).await, ["Developer"]);
    // What an access request is told.
    let export = acme.owner.client.get(&format!("/api/v1/users/{id}/export")).await.ok();
    assert!(export["scim_users"].to_string().contains("bob@acme.example"), "{export}");
}

async fn a_member_of_before_is_taken_over(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    // Nobody whom the provider has not pushed is seen.
    assert_eq!(idp.client.get("/scim/v2/Users").await.is(200)["totalResults"], 0);
    let id = idp.user(&acme.developer.email).await;
    assert_eq!(id, acme.developer.id.to_string());
    // Roles that people gave stay, and their session goes on.
    assert_eq!(super::roles_of(server, &acme, &id).await, ["Developer"]);
    acme.developer.client.get("/api/v1/auth/me").await.ok();
    assert_eq!(server.count("SELECT count(*) FROM memberships WHERE scim_active IS NOT NULL").await, 1);
    idp.client.post("/scim/v2/Users", user(&acme.developer.email)).await.refused(409, Some("uniqueness"));
}

async fn names_are_taken_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let body = json!({"schemas": [USER], "userName": "ada@acme.example", "externalId": "1"});
    idp.client.post("/scim/v2/Users", body).await.is(201);
    let other = idp.user("bob@acme.example").await;
    idp.client.post("/scim/v2/Users", user("ADA@acme.example")).await.refused(409, Some("uniqueness"));
    let body = json!({"schemas": [USER], "userName": "eve@acme.example", "externalId": "1"});
    idp.client.post("/scim/v2/Users", body.clone()).await.refused(409, Some("uniqueness"));
    let path = format!("/scim/v2/Users/{other}");
    for (path, value) in [("userName", "Ada@acme.example"), ("externalId", "1")] {
        let operations = json!([{"op": "replace", "path": path, "value": value}]);
        idp.patch(&format!("/scim/v2/Users/{other}"), operations).await.refused(409, Some("uniqueness"));
    }
    idp.client.put(&path, body).await.refused(409, Some("uniqueness"));
    // Nothing half-made stays behind.
    assert_eq!(server.count("SELECT count(*) FROM user_emails WHERE email = 'eve@acme.example'").await, 0);
    // In another organization the same names are free.
    let globex = server.organization("Globex").await;
    let theirs = Provider::of(server, &globex).await;
    let body = json!({"schemas": [USER], "userName": "ada@acme.example", "externalId": "1"});
    theirs.client.post("/scim/v2/Users", body).await.is(201);
}

async fn people_who_are_pushed_at_once_come_in_each_by_themselves(server: &Server) {
    let acme = server.organization("Acme").await;
    prove_domain(server, &acme).await;
    let idp = Provider::of(server, &acme).await;
    let members = format!("/api/v1/organizations/{}/members", acme.id);
    let total =
        async |query: &str| acme.owner.client.get(&format!("{members}{query}")).await.ok()["total_count"].as_i64();
    let before = total("").await.unwrap();
    let name =
        |i: usize| format!("person{i}@{}", if i.is_multiple_of(2) { "acme.example" } else { "elsewhere.example" });
    let pushes = (0..24).map(|i| {
        let body = json!({"schemas": [USER], "userName": name(i), "externalId": format!("x{i}"),
            "displayName": format!("Called{}", i % 3), "active": i % 8 != 0});
        idp.client.post("/scim/v2/Users", body)
    });
    for (i, answer) in futures::future::join_all(pushes).await.into_iter().enumerate() {
        let made = answer.is(201);
        // Each is answered what was said of them, and nothing of who came in beside them.
        assert_eq!(made["userName"], name(i));
        assert_eq!((&made["externalId"], &made["active"]), (&json!(format!("x{i}")), &json!(i % 8 != 0)), "{made}");
        let id = made["id"].as_str().unwrap();
        assert_eq!(idp.client.get(&format!("/scim/v2/Users/{id}")).await.is(200), made);
        let of_theirs = format!(
            "SELECT count(*) FROM users u JOIN user_emails e ON e.user_id = u.id JOIN memberships m ON m.user_id = u.id \
             WHERE u.id = {id} AND u.display_name = 'Called{}' AND e.email = '{}' AND m.email = e.email \
             AND (e.verified_at IS NOT NULL) = ({}) AND m.status = '{}'",
            i % 3,
            name(i),
            if i.is_multiple_of(2) { "TRUE" } else { "FALSE" },
            if i % 8 == 0 { "deactivated" } else { "active" },
        );
        assert_eq!(server.count(&of_theirs).await, 1, "{made}");
        assert_eq!(super::roles_of(server, &acme, id).await, ["Viewer"]);
        assert_eq!(total(&format!("?search={}", name(i))).await, Some(1), "{made}");
    }
    assert_eq!(total("").await, Some(before + 24));
    assert_eq!(server.audited("scim.user.create", "success").await, 24);
    assert_eq!(
        server.count("SELECT count(DISTINCT target_id) FROM audit_log WHERE action = 'scim.user.create'").await,
        24
    );
}

async fn of_people_pushed_at_once_only_who_is_wrong_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    idp.client
        .post("/scim/v2/Users", json!({"schemas": [USER], "userName": "first@acme.example", "externalId": "taken"}))
        .await
        .is(201);
    let mut bodies: Vec<Value> = (0..24).map(|i| user(&format!("person{i}@acme.example"))).collect();
    // The same person three times, an externalId twice, one that somebody has, and somebody who is a member already.
    bodies.extend(std::iter::repeat_n(user("twin@acme.example"), 3));
    for name in ["left@acme.example", "right@acme.example"] {
        bodies.push(json!({"schemas": [USER], "userName": name, "externalId": "shared"}));
    }
    bodies.push(json!({"schemas": [USER], "userName": "late@acme.example", "externalId": "taken"}));
    bodies.push(user(&acme.developer.email));
    let pushes = bodies.iter().map(|body| idp.client.post("/scim/v2/Users", body.clone()));
    let answers = futures::future::join_all(pushes).await;
    let mut made: Vec<String> = Vec::new();
    for (body, answer) in bodies.iter().zip(answers) {
        if answer.status.as_u16() == 201 {
            made.push(body["userName"].as_str().unwrap().to_owned());
        } else {
            answer.refused(409, Some("uniqueness"));
        }
    }
    let times = |name: &str| made.iter().filter(|made| *made == name).count();
    for i in 0..24 {
        assert_eq!(times(&format!("person{i}@acme.example")), 1, "person{i}");
    }
    assert_eq!(times("twin@acme.example"), 1);
    assert_eq!(times("left@acme.example") + times("right@acme.example"), 1);
    assert_eq!((times("late@acme.example"), times(&acme.developer.email)), (0, 1));
    // Nothing half-made stays behind, and nobody has a record who did not come in.
    assert_eq!(server.count("SELECT count(*) FROM user_emails WHERE email = 'late@acme.example'").await, 0);
    assert_eq!(server.count("SELECT count(*) FROM scim_users").await, 1 + 24 + 1 + 1 + 1);
    assert_eq!(server.audited("scim.user.create", "success").await, 1 + 24 + 1 + 1 + 1);
}

async fn of_two_providers_that_push_one_person_at_once_one_does(server: &Server) {
    let acme = server.organization("Acme").await;
    let first = Provider::of(server, &acme).await;
    let second = Provider::named(server, &acme, "second", json!({})).await;
    for round in 0..4 {
        let body = user(&format!("twin{round}@acme.example"));
        let (one, other) = tokio::join!(
            first.client.post("/scim/v2/Users", body.clone()),
            second.client.post("/scim/v2/Users", body.clone())
        );
        let (made, refused) = if one.status.as_u16() == 201 { (one, other) } else { (other, one) };
        made.is(201);
        refused.refused(409, Some("uniqueness"));
    }
    for twins in ["user_emails WHERE email", "memberships WHERE email", "scim_users WHERE user_name_key"] {
        assert_eq!(server.count(&format!("SELECT count(*) FROM {twins} LIKE 'twin%'")).await, 4, "{twins}");
    }
    assert_eq!(server.audited("scim.user.create", "success").await, 4);
}

async fn what_is_no_user_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for (body, kind) in [
        (json!({"userName": "ada@acme.example"}), "invalidValue"),
        (json!({"schemas": [super::GROUP], "userName": "ada@acme.example"}), "invalidValue"),
        (json!({"schemas": [USER]}), "invalidValue"),
        (json!({"schemas": [USER], "userName": ""}), "invalidValue"),
        (json!({"schemas": [USER], "userName": "ada"}), "invalidValue"),
        (json!({"schemas": [USER], "userName": {}}), "invalidValue"),
        (json!({"schemas": [USER], "userName": "a@b.example", "active": "perhaps"}), "invalidValue"),
        (json!({"schemas": [USER], "userName": "a@b.example", "name": "Ada"}), "invalidValue"),
        (json!({"schemas": [USER], "userName": "a@b.example", "title": "a\u{0}b"}), "invalidValue"),
        (json!({"schemas": [USER], "userName": "a@b.example", "externalId": "x".repeat(300)}), "invalidValue"),
        (
            json!({"schemas": [USER], "userName": "a@b.example",
                "emails": [{"value": "a", "primary": true}, {"value": "b", "primary": true}]}),
            "invalidValue",
        ),
        (
            json!({"schemas": [USER], "userName": "a@b.example",
                "emails": (0..101).map(|n| json!({"value": n.to_string()})).collect::<Vec<_>>()}),
            "invalidValue",
        ),
        (
            json!({"schemas": [USER], "userName": "a@b.example",
                "roles": (0..90).map(|_| json!({"value": "x".repeat(1000)})).collect::<Vec<_>>()}),
            "tooMany",
        ),
    ] {
        idp.client.post("/scim/v2/Users", body).await.refused(400, Some(kind));
    }
    for body in ["{", "[]", "7", "nonsense"] {
        let answer = idp.client.post_raw("/scim/v2/Users", "application/scim+json", body).await;
        answer.refused(400, Some("invalidSyntax"));
    }
    let deep = format!("{{\"name\": {}{}}}", "[".repeat(50_000), "]".repeat(50_000));
    let answer = idp.client.post_raw("/scim/v2/Users", "application/scim+json", deep).await;
    answer.refused(400, Some("invalidSyntax"));
    idp.client.post_raw("/scim/v2/Users", "text/xml", "<a/>").await.refused(415, None);
    let large = format!("{{\"x\": \"{}\"}}", "x".repeat(5 * 1024 * 1024));
    idp.client.post_raw("/scim/v2/Users", "application/scim+json", large).await.refused(413, None);
    assert_eq!(server.count("SELECT count(*) FROM scim_users").await, 0);
    // A name that is no address, beside an address.
    let body =
        json!({"schemas": [USER], "userName": "ada", "emails": [{"value": "ada@acme.example", "primary": true}]});
    idp.client.post("/scim/v2/Users", body).await.is(201);
    assert_eq!(server.count("SELECT count(*) FROM user_emails WHERE email = 'ada@acme.example'").await, 1);
    // What the provider got wrong is shown to the administrator, and no more than so much.
    let shown = acme.owner.client.get(super::CONFIG).await.ok();
    let errors = shown["status"]["recent_errors"].as_array().unwrap();
    assert!(errors.len() >= 13 && errors.iter().all(|error| error["request"] == "POST /Users"), "{shown}");
}

async fn put_replaces_all_but_active(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let body = json!({"schemas": [USER], "userName": "ada@acme.example", "title": "Countess", "active": false});
    let id = idp.client.post("/scim/v2/Users", body).await.is(201)["id"].as_str().unwrap().to_owned();
    let path = format!("/scim/v2/Users/{id}");
    let body = json!({"schemas": [USER], "id": id, "userName": "ada@acme.example", "nickName": "A"});
    let now = idp.client.put(&path, body).await.is(200);
    assert_eq!((now["active"].as_bool(), now["nickName"].as_str()), (Some(false), Some("A")));
    assert!(now["title"].is_null());
    for (body, kind) in [
        (json!({"schemas": [USER], "id": "7", "userName": "ada@acme.example"}), "mutability"),
        (json!({"schemas": [USER], "nickName": "A"}), "invalidValue"),
    ] {
        idp.client.put(&path, body).await.refused(400, Some(kind));
    }
    idp.client.put("/scim/v2/Users/987654321", user("eve@acme.example")).await.refused(404, None);
}

async fn an_inactive_user_is_locked_out_at_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let viewer = &acme.viewer;
    let token = json!({"name": "x", "scopes": ["read"]});
    let token = viewer.client.post(&format!("/api/v1/organizations/{}/tokens", acme.id), token).await.created();
    let program = viewer.client.with_token(token["token"].as_str().unwrap());
    program.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
    let path = format!("/scim/v2/Users/{}", idp.user(&viewer.email).await);
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    assert_eq!(idp.patch(&path, off.clone()).await.is(200)["active"], false);
    viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    program.get(&format!("/api/v1/organizations/{}", acme.id)).await.error(401, "UNAUTHORIZED");
    let ended = "SELECT count(*) FROM sessions WHERE end_reason = 'deprovisioned'";
    assert!(server.count(ended).await >= 1);
    let status = format!("SELECT count(*) FROM memberships WHERE user_id = {} AND status = 'deactivated'", viewer.id);
    assert_eq!(server.count(&status).await, 1);
    // Once more changes nothing.
    let tag = idp.client.get(&path).await.headers["etag"].clone();
    assert_eq!(idp.patch(&path, off).await.headers["etag"], tag);
    // Let in again: access comes back, the sessions do not.
    idp.patch(&path, json!([{"op": "Replace", "value": {"active": "True"}}])).await.is(200);
    viewer.client.get("/api/v1/auth/me").await.error(401, "UNAUTHORIZED");
    server.sign_in(&viewer.email).await.client.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
}

async fn who_is_suspended_by_an_administrator_stays_so(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let id = idp.user(&acme.viewer.email).await;
    let status = json!({"status": "suspended"});
    acme.owner.client.patch(&format!("/api/v1/organizations/{}/members/{id}", acme.id), status).await.ok();
    for active in [false, true] {
        let operations = json!([{"op": "replace", "path": "active", "value": active}]);
        idp.patch(&format!("/scim/v2/Users/{id}"), operations).await.is(200);
    }
    let suspended = format!("SELECT count(*) FROM memberships WHERE user_id = {id} AND status = 'suspended'");
    assert_eq!(server.count(&suspended).await, 1);
}

async fn a_user_who_is_deleted_comes_back(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let (idp, theirs) = (Provider::of(server, &acme).await, Provider::of(server, &globex).await);
    let id = idp.user("ada@acme.example").await;
    assert_eq!(theirs.user("ada@acme.example").await, id);
    let group = idp.group("Research", &[&id]).await;
    let path = format!("/scim/v2/Users/{id}");
    idp.client.delete(&path).await.is(204);
    for answer in [idp.client.get(&path).await, idp.client.delete(&path).await] {
        answer.refused(404, None);
    }
    assert!(idp.members(&group).await.is_empty());
    // The account and the other organization are as they were.
    assert_eq!(theirs.client.get(&path).await.is(200)["active"], true);
    assert_eq!(idp.user("ada@acme.example").await, id);
    assert_eq!(server.audited("scim.user.delete", "success").await, 1);
    // Whom an administrator takes out is no SCIM user any more either.
    acme.owner.client.delete(&format!("/api/v1/organizations/{}/members/{id}", acme.id)).await.ok();
    idp.client.get(&path).await.refused(404, None);
}

async fn the_last_owner_stays(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let path = format!("/scim/v2/Users/{}", idp.user(&acme.owner.email).await);
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    idp.patch(&path, off).await.refused(409, None);
    idp.client.delete(&path).await.refused(409, None);
    let body = json!({"schemas": [USER], "userName": acme.owner.email, "active": false});
    idp.client.put(&path, body).await.refused(409, None);
    assert_eq!(idp.client.get(&path).await.is(200)["active"], true);
    acme.owner.client.get(&format!("/api/v1/organizations/{}", acme.id)).await.ok();
}

async fn entity_tags_guard_changes(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let path = format!("/scim/v2/Users/{}", idp.user("ada@acme.example").await);
    let with = |method: reqwest::Method, name: &'static str, tag: &str, body: Option<Value>| {
        let request = idp.client.request(method, &path).header(name, tag.to_owned());
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
    };
    let first = idp.client.get(&path).await.headers["etag"].to_str().unwrap().to_owned();
    let title = |title: &str| patch(json!([{"op": "add", "path": "title", "value": title}]));
    let send = async |request| idp.client.send(request).await;
    send(with(reqwest::Method::PATCH, "if-match", &first, Some(title("a")))).await.is(200);
    for request in [
        with(reqwest::Method::PATCH, "if-match", &first, Some(title("b"))),
        with(reqwest::Method::PUT, "if-match", &first, Some(user("ada@acme.example"))),
        with(reqwest::Method::DELETE, "if-match", &first, None),
    ] {
        send(request).await.refused(412, None);
    }
    let second = idp.client.get(&path).await.headers["etag"].to_str().unwrap().to_owned();
    assert_ne!(first, second);
    assert_eq!(send(with(reqwest::Method::GET, "if-none-match", &second, None)).await.is(304), Value::Null);
    assert_eq!(send(with(reqwest::Method::GET, "if-none-match", &first, None)).await.is(200)["title"], "a");
    send(with(reqwest::Method::PATCH, "if-match", &format!("\"x\", {second}"), Some(title("c")))).await.is(200);
    send(with(reqwest::Method::DELETE, "if-match", "*", None)).await.is(204);
}

async fn accounts_follow_where_the_domain_is_proved(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let path = format!("/scim/v2/Users/{}", idp.user(&acme.viewer.email).await);
    let account = async || {
        let sql = format!(
            "SELECT display_name, email FROM users JOIN user_emails ON user_id = users.id \
                           WHERE users.id = {}",
            acme.viewer.id
        );
        let row = server.rows(&sql).await.remove(0);
        (row["display_name"].as_str().unwrap().to_owned(), row["email"].as_str().unwrap().to_owned())
    };
    let before = account().await;
    let say =
        |name: &str, address: &str| json!([{"op": "replace", "value": {"displayName": name, "userName": address}}]);
    idp.patch(&path, say("Taken", "taken@acme.example")).await.is(200);
    assert_eq!(account().await, before);
    prove_domain(server, &acme).await;
    // Not to an address of a domain that it has not proved.
    idp.patch(&path, say("Vera", "vera@elsewhere.example")).await.is(200);
    assert_eq!(account().await, ("Vera".to_owned(), before.1.clone()));
    idp.patch(&path, say("Vera V.", "vera@acme.example")).await.is(200);
    assert_eq!(account().await, ("Vera V.".to_owned(), "vera@acme.example".to_owned()));
    server.sign_in("vera@acme.example").await;
    // Never another's.
    let operations = json!([{"op": "replace", "path": "userName", "value": acme.owner.email}]);
    idp.patch(&path, operations).await.refused(409, Some("uniqueness"));
    // A name that says nothing is none: the account keeps its own, and a new one has what stands before the @.
    idp.patch(&path, say(" ", "vera@acme.example")).await.is(200);
    assert_eq!(account().await.0, "Vera V.");
    let mut nameless = user("nameless@acme.example");
    (nameless["displayName"], nameless["name"]) = (json!(" "), json!({"givenName": " "}));
    let id = idp.client.post("/scim/v2/Users", nameless).await.is(201)["id"].as_str().unwrap().to_owned();
    let named = format!("SELECT count(*) FROM users WHERE id = {id} AND display_name = 'nameless'");
    assert_eq!(server.count(&named).await, 1);
    // A new account of a proved domain needs no further proof.
    let id = idp.user("new@acme.example").await;
    let proved = format!("SELECT count(*) FROM user_emails WHERE user_id = {id} AND verified_at IS NOT NULL");
    assert_eq!(server.count(&proved).await, 1);
}

async fn attributes_are_chosen(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let body = json!({"schemas": [USER], "userName": "ada@acme.example", "title": "x",
        "name": {"givenName": "Ada", "familyName": "L"}, ENTERPRISE: {"department": "R", "division": "D"},
        "emails": [{"value": "a@acme.example", "type": "work"}]});
    let id = idp.client.post("/scim/v2/Users", body).await.is(201)["id"].as_str().unwrap().to_owned();
    let keys = |body: &Value| body.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    for (query, shown) in [
        ("attributes=title", json!(["id", "schemas", "title", "userName"])),
        ("attributes=name.givenName,emails.value", json!(["emails", "id", "name", "schemas", "userName"])),
        ("attributes=nothing", json!(["id", "schemas", "userName"])),
        ("excludedAttributes=emails,name,meta,active,id", json!([ENTERPRISE, "id", "schemas", "title", "userName"])),
    ] {
        let body = idp.client.get(&format!("/scim/v2/Users/{id}?{query}")).await.is(200);
        let mut shown: Vec<String> = serde_json::from_value(shown).unwrap();
        shown.sort();
        let mut found = keys(&body);
        found.sort();
        assert_eq!(found, shown, "{query}: {body}");
    }
    let only = idp.client.get(&format!("/scim/v2/Users/{id}?attributes=name.givenName,{ENTERPRISE}:department")).await;
    let body = only.is(200);
    assert_eq!((&body["name"], &body[ENTERPRISE]), (&json!({"givenName": "Ada"}), &json!({"department": "R"})));
    // By its whole name.
    let only = idp.client.get(&format!("/scim/v2/Users/{id}?attributes={USER}:name.familyName")).await.is(200);
    assert_eq!((&only["name"], &only["title"]), (&json!({"familyName": "L"}), &Value::Null));
    let without = format!("/scim/v2/Users/{id}?excludedAttributes={USER}:name.givenName,{ENTERPRISE}");
    let without = idp.client.get(&without).await.is(200);
    assert_eq!((&without["name"], &without[ENTERPRISE]), (&json!({"familyName": "L"}), &Value::Null));
    let both = format!("/scim/v2/Users/{id}?attributes=title&excludedAttributes=name");
    idp.client.get(&both).await.refused(400, Some("invalidValue"));
}

async fn a_change_reads_no_groups_that_nobody_asks_for(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let id = idp.user("ada@acme.example").await;
    idp.group("Engineers", &[&id]).await;
    let path = format!("/scim/v2/Users/{id}");
    let title = |title: &str| json!([{"op": "replace", "path": "title", "value": title}]);
    assert_eq!(idp.patch(&path, title("One")).await.is(200)["groups"][0]["display"], "Engineers");
    // Where whoever reads them fails, what does not answer them is done all the same.
    server.execute("ALTER TABLE scim_group_members RENAME TO out_of_reach").await;
    for query in ["attributes=title", "excludedAttributes=groups"] {
        let at = format!("{path}?{query}");
        assert_eq!(idp.patch(&at, title(query)).await.is(200)["title"], query);
        assert_eq!(idp.client.get(&at).await.is(200)["title"], query);
        let body = json!({"schemas": [USER], "userName": "ada@acme.example", "title": "Put"});
        assert_eq!(idp.client.put(&at, body).await.is(200)["title"], "Put");
    }
    let operation = json!({"method": "PATCH", "path": format!("/Users/{id}"), "data": patch(title("Bulk"))});
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]});
    let done = idp.client.post("/scim/v2/Bulk", bulk).await.is(200);
    assert_eq!(done["Operations"][0]["status"], "200", "{done}");
    server.execute("ALTER TABLE out_of_reach RENAME TO scim_group_members").await;
    assert_eq!(idp.client.get(&path).await.is(200)["title"], "Bulk");
}

async fn attributes_change_while_the_organization_is_held(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let id = idp.user("ada@acme.example").await;
    let path = format!("/scim/v2/Users/{id}");
    // As whoever changes what members hold. SQLite has one writer anyway.
    let held = match server.backend {
        Backend::Postgres => {
            let tx = server.platform.db.begin().await.unwrap();
            let row = format!("SELECT id FROM organizations WHERE id = {} FOR NO KEY UPDATE", acme.id);
            tx.conn().execute_unprepared(&row).await.unwrap();
            Some(tx)
        }
        Backend::Sqlite => None,
    };
    let title = json!([{"op": "replace", "path": "title", "value": "Countess"}]);
    let changed = tokio::time::timeout(std::time::Duration::from_secs(20), idp.patch(&path, title)).await;
    let body = changed.expect("a title hangs on nobody's standing").is(200);
    assert_eq!((&body["title"], &body["meta"]["version"]), (&json!("Countess"), &json!("W/\"2\"")));

    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    let standing = async {
        if let Some(tx) = held {
            somebody_waits(server).await;
            tx.commit().await.unwrap();
        }
    };
    let (changed, ()) = tokio::join!(idp.patch(&path, off), standing);
    let body = changed.is(200);
    assert_eq!((&body["active"], &body["title"]), (&json!(false), &json!("Countess")));
    assert_eq!(idp.client.get(&path).await.is(200), body);
    let member = format!("SELECT count(*) FROM memberships WHERE user_id = {id} AND status = 'deactivated'");
    assert_eq!(server.count(&member).await, 1);
    assert_eq!(server.audited("scim.user.patch", "success").await, 2);
}

async fn only_addresses_that_the_organization_takes_in(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let idp = Provider::of(server, &acme).await;
    let settings = r#"{"allowed_email_domains": ["acme.example"]}"#;
    server.execute(&format!("UPDATE organizations SET settings = '{settings}' WHERE id = {}", acme.id)).await;
    // Neither somebody new nor somebody who is known elsewhere.
    for address in ["eve@elsewhere.example", globex.viewer.email.as_str()] {
        idp.client.post("/scim/v2/Users", user(address)).await.refused(400, Some("invalidValue"));
    }
    idp.user("ada@acme.example").await;
}

async fn what_the_organization_says_holds_for_whoever_is_pushed_next(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    prove_domain(server, &acme).await;
    let (owner, path) = (&acme.owner.client, format!("/api/v1/organizations/{}", acme.id));
    let set = async |settings: Value| {
        owner.patch(&format!("{path}/settings"), json!({"settings": settings})).await.ok();
    };
    let is_proved = async |id: &str| {
        let sql = format!("SELECT count(*) FROM user_emails WHERE user_id = {id} AND verified_at IS NOT NULL");
        server.count(&sql).await == 1
    };
    let ada = idp.user("ada@acme.example").await;
    assert_eq!((super::roles_of(server, &acme, &ada).await, is_proved(&ada).await), (vec!["Viewer".to_owned()], true));

    set(json!({"default_role_id": acme.roles["Developer"]})).await;
    let bob = idp.user("bob@acme.example").await;
    assert_eq!(super::roles_of(server, &acme, &bob).await, ["Developer"]);

    let claim = format!("SELECT max(id) FROM organization_domains WHERE organization_id = {}", acme.id);
    owner.delete(&format!("{path}/domains/{}", server.count(&claim).await)).await.ok();
    let eve = idp.user("eve@acme.example").await;
    assert!(!is_proved(&eve).await);

    set(json!({"allowed_email_domains": ["acme.example"]})).await;
    idp.client.post("/scim/v2/Users", user("bob@elsewhere.example")).await.refused(400, Some("invalidValue"));
}

async fn who_is_pushed_needs_an_invitation_no_more(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for email in ["eve@acme.example", "bob@acme.example"] {
        let invited = json!({"email": email, "workspace_id": acme.workspace_id, "role_id": acme.roles["Viewer"]});
        let path = format!("/api/v1/organizations/{}/members/invite", acme.id);
        acme.owner.client.post(&path, invited).await.created();
    }
    idp.user("eve@acme.example").await;
    let statuses = server.rows("SELECT email, status FROM invitations ORDER BY email").await;
    let statuses = statuses.iter().map(|row| (row["email"].as_str(), row["status"].as_str()));
    let expected = [(Some("bob@acme.example"), Some("pending")), (Some("eve@acme.example"), Some("revoked"))];
    assert_eq!(statuses.collect::<Vec<_>>(), expected);
    assert_eq!(server.audited("invitation.revoke", "success").await, 1);
}

/// A provider that gives a role to whoever it pushes, and to whoever is in the group Research.
async fn giving(server: &Server, acme: &Organization, role: i64) -> Provider {
    let idp = Provider::mapping(server, acme, json!({"Research": role})).await;
    acme.owner.client.post(super::CONFIG, json!({"provider_id": idp.id, "default_role_id": role})).await.ok();
    idp
}

async fn a_role_that_is_gone_unheard_is_given_to_nobody(server: &Server) {
    let acme = server.organization("Acme").await;
    let role = custom(&acme, "Analyst", &["policy.read"]).await;
    let idp = giving(server, &acme, role).await;
    let ada = idp.user("ada@acme.example").await;
    assert_eq!(super::roles_of(server, &acme, &ada).await, ["Analyst"]);
    // By another node, of which this one has heard nothing yet.
    let tx = server.platform.db.begin().await.unwrap();
    tx.conn().execute_unprepared(&format!("DELETE FROM roles WHERE id = {role}")).await.unwrap();
    tx.commit().await.unwrap();
    let pushes = (0..6).map(|i| idp.client.post("/scim/v2/Users", user(&format!("person{i}@acme.example"))));
    for answer in futures::future::join_all(pushes).await {
        let id = answer.is(201)["id"].as_str().unwrap().to_owned();
        assert_eq!(super::roles_of(server, &acme, &id).await, ["Viewer"]);
    }
    let group = idp.group("Research", &[&ada]).await;
    assert_eq!(idp.members(&group).await, std::slice::from_ref(&ada));
    assert!(super::roles_of(server, &acme, &ada).await.is_empty());
    assert_eq!(server.audited("scim.user.create", "success").await, 7);
}

async fn who_comes_in_while_their_role_goes_gets_another(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let role = custom(&acme, "Analyst", &["policy.read"]).await;
    let idp = giving(server, &acme, role).await;
    let tx = server.platform.db.begin().await.unwrap();
    tx.conn().execute_unprepared(&format!("DELETE FROM roles WHERE id = {role}")).await.unwrap();
    // They have an account, and what makes them a member has read the role before it waits for its end.
    let deleted = async {
        somebody_waits(server).await;
        tx.commit().await.unwrap();
    };
    let (pushed, ()) = tokio::join!(idp.client.post("/scim/v2/Users", user(&globex.viewer.email)), deleted);
    let id = pushed.is(201)["id"].as_str().unwrap().to_owned();
    assert_eq!(id, globex.viewer.id.to_string());
    assert_eq!(super::roles_of(server, &acme, &id).await, ["Viewer"]);
}

async fn a_provider_that_is_gone_unheard_pushes_nothing(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let other = Provider::named(server, &acme, "other", json!({})).await;
    let eve = other.user("eve@acme.example").await;
    let research = other.group("Research", &[&eve]).await;
    let title = json!([{"op": "replace", "path": "title", "value": "Countess"}]);
    let name = json!([{"op": "replace", "path": "displayName", "value": "Sales"}]);
    let of_eve = format!("/scim/v2/Users/{eve}");
    let of_research = format!("/scim/v2/Groups/{research}");
    let operation = json!({"method": "POST", "path": "/Users", "bulkId": "bob", "data": user("bob@acme.example")});
    let bulk = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:BulkRequest"], "Operations": [operation]});
    for (number, (method, path, body)) in [
        ("POST", "/scim/v2/Users", user("bob@acme.example")),
        ("POST", "/scim/v2/Users", user(&globex.viewer.email)),
        ("PATCH", of_eve.as_str(), patch(title)),
        ("POST", "/scim/v2/Groups", group("Sales", &[&eve])),
        ("PATCH", of_research.as_str(), patch(name)),
        ("POST", "/scim/v2/Bulk", bulk),
    ]
    .into_iter()
    .enumerate()
    {
        let idp = Provider::named(server, &acme, &format!("idp-{number}"), json!({})).await;
        // The second time this node keeps what stands behind the token.
        for _ in 0..2 {
            idp.client.get("/scim/v2/Users?count=0").await.is(200);
        }
        // By another node, of which this one has heard nothing yet.
        let tx = server.platform.db.begin().await.unwrap();
        let gone = format!("DELETE FROM sso_providers WHERE id = {}", idp.id);
        tx.conn().execute_unprepared(&gone).await.unwrap();
        tx.commit().await.unwrap();
        idp.client.get("/scim/v2/Users?count=0").await.is(200);
        let answer = match method {
            "POST" => idp.client.post(path, body).await,
            _ => idp.client.patch(path, body).await,
        };
        match path {
            "/scim/v2/Bulk" => assert_eq!(answer.is(200)["Operations"][0]["status"], "401"),
            _ => drop(answer.refused(401, None)),
        }
        // From now on it is known.
        idp.client.get("/scim/v2/Users?count=0").await.refused(401, None);
    }
    let body = other.client.get("/scim/v2/Users").await.is(200);
    assert_eq!((&body["totalResults"], &body["Resources"][0]["title"]), (&json!(1), &Value::Null));
    let body = other.client.get("/scim/v2/Groups").await.is(200);
    assert_eq!((&body["totalResults"], &body["Resources"][0]["displayName"]), (&json!(1), &json!("Research")));
}
