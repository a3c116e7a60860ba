//! `/scim/v2/Groups` and `/scim/v2/Groups/{scim_group_id}`

use rivergen_tests::{Backend, Server, on_both_databases};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use super::{GROUP, Provider, ScimAnswer, group, many_users, put_into, roles_of, somebody_waits};
use crate::roles::custom;

on_both_databases! {
    a_group_is_made_read_and_deleted;
    members_come_and_go;
    many_operations_take_the_statements_of_one;
    members_are_shown_by_their_names;
    parts_of_members_are_chosen;
    what_is_no_group_is_refused;
    a_group_gives_its_role_and_takes_it;
    roles_of_people_are_never_touched;
    what_takes_the_place_of_a_groups_role_is_no_groups;
    a_role_that_runs_the_organization_is_never_given;
    entity_tags_guard_changes;
    a_tag_changes_when_somebody_leaves_the_organization;
    a_purge_and_a_change_of_a_group_do_not_block_each_other;
    twenty_at_once_lose_nobody;
    a_large_group_takes_one_more;
    a_page_holds_no_more_members_than_fit;
    a_page_in_the_order_of_names_is_filled_too;
}

async fn a_group_is_made_read_and_deleted(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let ada = idp.user("ada@acme.example").await;
    let body = json!({"schemas": [GROUP], "displayName": "Research", "externalId": "g1", "members": [{"value": ada}]});
    let made = idp.client.post("/scim/v2/Groups", body.clone()).await.is(201);
    let id = made["id"].as_str().unwrap();
    let path = format!("/scim/v2/Groups/{id}");
    assert_eq!(made["meta"]["location"], format!("{}{path}", server.url()));
    let member = json!({"value": ada, "$ref": format!("{}/scim/v2/Users/{ada}", server.url()), "type": "User",
        "display": "ada@acme.example"});
    assert_eq!(
        (&made["displayName"], &made["externalId"], &made["members"]),
        (&json!("Research"), &json!("g1"), &json!([member]))
    );
    assert_eq!(idp.client.get(&path).await.is(200), made);
    assert!(idp.client.get(&format!("{path}?excludedAttributes=members")).await.is(200)["members"].is_null());
    let of = idp.client.get(&format!("/scim/v2/Users/{ada}")).await.is(200);
    assert_eq!((&of["groups"][0]["value"], &of["groups"][0]["display"]), (&json!(id), &json!("Research")));
    idp.client.post("/scim/v2/Groups", body).await.refused(409, Some("uniqueness"));
    idp.client.delete(&path).await.is(204);
    idp.client.get(&path).await.refused(404, None);
    idp.client.delete(&path).await.refused(404, None);
    idp.client.get(&format!("/scim/v2/Users/{ada}")).await.is(200);
    for action in ["scim.group.create", "scim.group.delete"] {
        assert_eq!(server.audited(action, "success").await, 1, "{action}");
    }
}

async fn members_are_shown_by_their_names(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let names = ["Ada \"the\" \\ Countess", "Åsa\n\u{1F600}", "[null]"];
    let mut ids = Vec::new();
    for (number, name) in names.iter().enumerate() {
        let body =
            json!({"schemas": [super::USER], "userName": format!("u{number}@acme.example"), "displayName": name});
        ids.push(idp.client.post("/scim/v2/Users", body).await.is(201)["id"].as_str().unwrap().to_owned());
    }
    ids.push(idp.user("nameless@acme.example").await);
    // In the order in which they were pushed, and not in that in which they came.
    let came: Vec<&str> = ids.iter().rev().map(String::as_str).collect();
    let id = idp.group("Research", &came).await;
    let shown = names.iter().copied().chain(["nameless@acme.example"]).zip(&ids).map(|(name, id)| {
        json!({"value": id, "$ref": format!("{}/scim/v2/Users/{id}", server.url()), "type": "User", "display": name})
    });
    let shown: Vec<Value> = shown.collect();
    let group = idp.client.get(&format!("/scim/v2/Groups/{id}")).await.is(200);
    assert_eq!(group["members"], json!(shown));
    let empty = idp.group("Nobody", &[]).await;
    assert!(idp.client.get(&format!("/scim/v2/Groups/{empty}")).await.is(200)["members"].is_null());
    let listed = idp.client.get("/scim/v2/Groups").await.is(200);
    assert_eq!(listed["Resources"][0]["members"], json!(shown));
}

async fn parts_of_members_are_chosen(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let (ada, bob) = (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await);
    let id = idp.group("Research", &[&ada, &bob]).await;
    let values = json!([{"value": ada}, {"value": bob}]);
    let names = json!([{"display": "ada@acme.example"}, {"display": "bob@acme.example"}]);
    for (query, shown, is_named) in [
        ("attributes=members.value", &values, false),
        ("attributes=displayName,members.DISPLAY", &names, true),
        ("excludedAttributes=members.$ref,members.type,members.display", &values, false),
        ("excludedAttributes=members.$ref,members.type,members.value", &names, true),
        ("excludedAttributes=members", &Value::Null, false),
        ("attributes=displayName", &Value::Null, false),
    ] {
        let (one, asked) = server.statements(idp.client.get(&format!("/scim/v2/Groups/{id}?{query}"))).await;
        let (all, asked_of_all) = server.statements(idp.client.get(&format!("/scim/v2/Groups?{query}"))).await;
        let (one, all) = (one.is(200), all.is(200));
        assert_eq!((&one["members"], &one["displayName"]), (shown, &all["Resources"][0]["displayName"]), "{query}");
        assert_eq!(all["Resources"][0], one, "{query}");
        // What is not answered is not even read.
        for asked in [asked, asked_of_all] {
            let of_members: Vec<&String> = asked.iter().filter(|sql| sql.contains("scim_group_members")).collect();
            assert_eq!(of_members.len(), usize::from(!shown.is_null()), "{query}: {of_members:?}");
            let names = of_members.iter().filter(|sql| sql.contains("member_name") || sql.contains("json_extract"));
            assert_eq!(names.count(), usize::from(is_named), "{query}: {of_members:?}");
        }
    }
    // So is it where a change answers the group.
    let add = super::patch(json!([{"op": "replace", "path": "displayName", "value": "Science"}]));
    let path = format!("/scim/v2/Groups/{id}?attributes=members.value");
    assert_eq!(idp.client.patch(&path, add).await.is(200)["members"], values);
    assert_eq!(idp.client.put(&path, group("Science", &[&ada, &bob])).await.is(200)["members"], values);
    let made = idp.client.post("/scim/v2/Groups?attributes=members.display", group("Other", &[&ada])).await.is(201);
    assert_eq!(made["members"], json!([{"display": "ada@acme.example"}]));
}

async fn members_come_and_go(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let (ada, bob, eve) =
        (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await, idp.user("eve@acme.example").await);
    let id = idp.group("Research", &[&ada]).await;
    let path = format!("/scim/v2/Groups/{id}");
    let both = json!([{"value": ada}, {"value": bob}]);
    for (operations, after) in [
        (json!([{"op": "add", "path": "members", "value": [{"value": bob}, {"value": ada}]}]), vec![&ada, &bob]),
        (json!([{"op": "remove", "path": format!("members[value eq \"{ada}\"]")}]), vec![&bob]),
        // Again: it is as it was told.
        (json!([{"op": "remove", "path": format!("members[value eq \"{ada}\"]")}]), vec![&bob]),
        (json!([{"op": "Remove", "path": "members", "value": [{"value": bob}]}]), vec![]),
        (json!([{"op": "replace", "path": "members", "value": both}]), vec![&ada, &bob]),
        (json!([{"op": "remove", "path": "members[display sw \"ada\" or display sw \"eve\"]"}]), vec![&bob]),
        (json!([{"op": "replace", "value": {"members": [{"value": eve}]}}]), vec![&eve]),
        (json!([{"op": "remove", "path": format!("members[value eq \"{eve}\"].value")}]), vec![]),
        (
            json!([{"op": "remove", "path": "members"}, {"op": "add", "value": {"members": [{"value": ada}]}}]),
            vec![&ada],
        ),
        // Of several that mean the same person, the last one counts.
        (
            json!([{"op": "add", "path": "members", "value": [{"value": bob}, {"value": eve}]},
                {"op": "remove", "path": format!("members[value eq \"{bob}\"]")},
                {"op": "remove", "path": "members", "value": [{"value": eve}]},
                {"op": "add", "path": "members", "value": {"value": eve}}]),
            vec![&ada, &eve],
        ),
        (
            json!([{"op": "add", "path": "members", "value": both},
                {"op": "replace", "path": "members", "value": [{"value": bob}]},
                {"op": "add", "path": "members", "value": [{"value": eve}]},
                {"op": "remove", "path": format!("members[value eq \"{bob}\"]")}]),
            vec![&eve],
        ),
        // A filter finds whoever was just added.
        (
            json!([{"op": "add", "path": "members", "value": both},
                {"op": "remove", "path": "members[display sw \"bob\" or display sw \"eve\"]"}]),
            vec![&ada],
        ),
    ] {
        assert_eq!(idp.patch(&path, operations.clone()).await.is(204), Value::Null);
        assert_eq!(idp.members(&id).await.iter().collect::<Vec<_>>(), after, "{operations}");
    }
    let rename = super::patch(json!([{"op": "replace", "path": "displayName", "value": "Science"}]));
    let asked = idp.client.patch(&format!("{path}?attributes=displayName"), rename).await;
    assert_eq!(asked.is(200)["displayName"], "Science");
    // All of them together, or none.
    let half = json!([{"op": "add", "path": "members", "value": [{"value": bob}]},
        {"op": "add", "path": "members", "value": [{"value": "987654321"}]}]);
    idp.patch(&path, half).await.refused(400, Some("invalidValue"));
    assert_eq!(idp.members(&id).await, std::slice::from_ref(&ada));
    let body = idp.client.put(&path, group("Research", &[&bob, &eve])).await.is(200);
    assert_eq!((body["members"].as_array().unwrap().len(), &body["displayName"]), (2, &json!("Research")));
    assert_eq!(
        idp.client.put(&path, json!({"schemas": [GROUP], "displayName": "R"})).await.is(200)["members"],
        Value::Null
    );
}

async fn many_operations_take_the_statements_of_one(server: &Server) {
    const PEOPLE: usize = 300;
    let acme = server.organization("Acme").await;
    let idp = Provider::mapping(server, &acme, json!({"Engineering": acme.roles["Developer"]})).await;
    let first = idp.user("first@acme.example").await;
    let id = idp.group("Engineering", &[]).await;
    let before = many_users(server, &acme, &first, PEOPLE).await;
    let rows = server.rows(&format!("SELECT user_id FROM scim_users WHERE user_id > {before} ORDER BY user_id")).await;
    let users: Vec<String> = rows.iter().map(|row| row["user_id"].to_string()).collect();
    assert_eq!(users.len(), PEOPLE);
    let all: Vec<Value> = users.iter().map(|user| json!({"value": user})).collect();
    let each = |operation: &dyn Fn(&String) -> Value| users.iter().map(operation).collect::<Value>();
    let path = format!("/scim/v2/Groups/{id}");
    let given = "SELECT count(*) FROM role_assignments WHERE given_by_group = TRUE";
    for (operations, left) in [
        (each(&|user| json!({"op": "Add", "path": "members", "value": [{"value": user}]})), PEOPLE),
        // As Okta and Entra ID take people out, one operation for each.
        (each(&|user| json!({"op": "remove", "path": format!("members[value eq \"{user}\"]")})), 0),
        (json!([{"op": "add", "path": "members", "value": all}]), PEOPLE),
        (json!([{"op": "replace", "path": "members", "value": [{"value": first}]}]), 1),
        (json!([{"op": "replace", "path": "members", "value": all}]), PEOPLE),
    ] {
        let (answer, asked) = server.statements(idp.patch(&path, operations)).await;
        answer.is(204);
        let of_members = asked.iter().filter(|sql| sql.contains("scim_group_members")).count();
        // Who is in it, who comes, who goes, and all groups of two hundred of these at once.
        assert!(of_members <= 6, "{of_members}: {asked:?}");
        assert_eq!((idp.members(&id).await.len(), server.count(given).await), (left, left as i64));
    }
}

async fn what_is_no_group_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for body in [
        json!({"displayName": "x"}),
        json!({"schemas": [GROUP]}),
        json!({"schemas": [GROUP], "displayName": " "}),
        json!({"schemas": [GROUP], "displayName": 7}),
        json!({"schemas": [GROUP], "displayName": "x".repeat(300)}),
        json!({"schemas": [GROUP], "displayName": "a\u{0}b"}),
        json!({"schemas": [GROUP], "displayName": "x", "members": [{"value": "ada"}]}),
        json!({"schemas": [GROUP], "displayName": "x", "members": [{"display": "ada"}]}),
        json!({"schemas": [GROUP], "displayName": "x", "members": [{"value": "987654321"}]}),
    ] {
        idp.client.post("/scim/v2/Groups", body).await.refused(400, Some("invalidValue"));
    }
    let path = format!("/scim/v2/Groups/{}", idp.group("Research", &[]).await);
    for (operation, kind) in [
        (json!({"op": "remove", "path": "displayName"}), "invalidValue"),
        (json!({"op": "add", "path": "nothing", "value": "x"}), "invalidPath"),
        (json!({"op": "add", "path": "members[value", "value": "x"}), "invalidPath"),
        (json!({"op": "remove", "path": "members[nothing eq \"x\"]"}), "invalidFilter"),
        (json!({"op": "replace", "path": "members[value eq \"1\"].value", "value": "2"}), "mutability"),
        (json!({"op": "remove", "path": "members[value eq \"1\"].display"}), "mutability"),
        (json!({"op": "replace", "path": "members.value", "value": "2"}), "mutability"),
        (json!({"op": "replace", "path": "id", "value": "2"}), "mutability"),
        (json!({"op": "remove"}), "noTarget"),
    ] {
        idp.patch(&path, json!([operation])).await.refused(400, Some(kind));
    }
    assert_eq!(server.count("SELECT count(*) FROM scim_groups").await, 1);
}

async fn a_group_gives_its_role_and_takes_it(server: &Server) {
    let acme = server.organization("Acme").await;
    let mapping = json!({"Engineering": acme.roles["Developer"], "ext-2": acme.roles["Developer"]});
    let idp = Provider::mapping(server, &acme, mapping).await;
    let ada = idp.user("ada@acme.example").await;
    let (first, second) = (idp.group("ENGINEERING", &[&ada]).await, idp.group("Other", &[]).await);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Developer", "Viewer"]);
    let operations = json!([{"op": "add", "value": {"externalId": "ext-2", "members": [{"value": ada}]}}]);
    idp.patch(&format!("/scim/v2/Groups/{second}"), operations).await.is(204);
    // Who is in another group that gives it keeps it.
    idp.client.delete(&format!("/scim/v2/Groups/{first}")).await.is(204);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Developer", "Viewer"]);
    let rename = json!([{"op": "remove", "path": "externalId"}]);
    idp.patch(&format!("/scim/v2/Groups/{second}"), rename).await.is(204);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Viewer"]);
    assert_eq!((server.roles_given().await, server.audited("role.revoke", "success").await), (1, 1));
}

async fn roles_of_people_are_never_touched(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::mapping(server, &acme, json!({"Engineering": acme.roles["Developer"]})).await;
    let developer = idp.user(&acme.developer.email).await;
    let id = idp.group("Engineering", &[&developer]).await;
    idp.client.delete(&format!("/scim/v2/Groups/{id}")).await.is(204);
    assert_eq!(roles_of(server, &acme, &developer).await, ["Developer"]);
}

async fn what_takes_the_place_of_a_groups_role_is_no_groups(server: &Server) {
    let acme = server.organization("Acme").await;
    let old = custom(&acme, "Analyst", &["policy.read"]).await;
    let new = custom(&acme, "Auditor", &["audit.read"]).await;
    let idp = Provider::mapping(server, &acme, json!({"Research": old})).await;
    let ada = idp.user("ada@acme.example").await;
    let id = idp.group("Research", &[&ada]).await;
    assert_eq!(roles_of(server, &acme, &ada).await, ["Analyst", "Viewer"]);
    acme.owner.client.delete(&format!("/api/v1/roles/{old}?reassign_to={new}")).await.ok();
    assert_eq!(roles_of(server, &acme, &ada).await, ["Auditor", "Viewer"]);
    // A person gave it, and so it stays whatever becomes of the group.
    idp.patch(&format!("/scim/v2/Groups/{id}"), json!([{"op": "remove", "path": "members"}])).await.is(204);
    assert_eq!(roles_of(server, &acme, &ada).await, ["Auditor", "Viewer"]);
}

async fn a_role_that_runs_the_organization_is_never_given(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for name in ["Owner", "Admin"] {
        for (field, value) in
            [("default_role_id", json!(acme.roles[name])), ("group_role_mapping", json!({"x": acme.roles[name]}))]
        {
            acme.owner.client.post(super::CONFIG, json!({"provider_id": idp.id, field: value})).await.invalid(field);
        }
    }
    // One that came to run it after it was mapped.
    let role = json!({"name": "Helper", "permissions": ["role.read"], "organization_id": acme.id});
    let role = acme.owner.client.post("/api/v1/roles", role).await.created()["role"]["id"].as_i64().unwrap();
    let config = json!({"provider_id": idp.id, "group_role_mapping": {"Helpers": role}, "default_role_id": role});
    acme.owner.client.post(super::CONFIG, config).await.ok();
    let more = json!({"permissions": ["role.read", "role.assign"]});
    acme.owner.client.put(&format!("/api/v1/roles/{role}"), more).await.ok();
    let ada = idp.user("ada@acme.example").await;
    idp.group("Helpers", &[&ada]).await;
    assert_eq!(roles_of(server, &acme, &ada).await, ["Viewer"]);
}

async fn a_purge_and_a_change_of_a_group_do_not_block_each_other(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let (ada, bob) = (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await);
    let id = idp.group("Research", &[&ada, &bob]).await;
    let closed = "disabled_at = created_at, deletion_requested_at = '2000-01-01T00:00:00+00:00'";
    server.execute(&format!("UPDATE users SET {closed} WHERE id = {ada}")).await;

    // What a change of the group holds before it comes to the members. SQLite has one writer anyway.
    let tx = server.platform.db.begin().await.unwrap();
    if server.backend == Backend::Postgres {
        for row in [
            format!("SELECT id FROM organizations WHERE id = {} FOR NO KEY UPDATE", acme.id),
            format!("SELECT id FROM scim_groups WHERE id = {id} FOR UPDATE"),
        ] {
            tx.conn().execute_unprepared(&row).await.unwrap();
        }
    }
    let identity = server.tenancy.identity.clone();
    let purge =
        tokio::spawn(async move { rivergen_identity::account::delete::purge(&identity, &Default::default()).await });
    somebody_waits(server).await;
    let member = format!("SELECT id FROM scim_users WHERE user_id = {ada}");
    let taken = format!("DELETE FROM scim_group_members WHERE group_id = {id} AND scim_user_id = ({member})");
    tx.conn().execute_unprepared(&taken).await.unwrap();
    tx.commit().await.unwrap();
    purge.await.unwrap().unwrap();
    assert_eq!(idp.members(&id).await, [bob]);
    idp.client.get(&format!("/scim/v2/Users/{ada}")).await.refused(404, None);
}

async fn twenty_at_once_lose_nobody(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::mapping(server, &acme, json!({"Engineering": acme.roles["Developer"]})).await;
    let id = idp.group("Engineering", &[]).await;
    let mut users = Vec::new();
    for number in 0..20 {
        users.push(idp.user(&format!("user{number}@acme.example")).await);
    }
    let path = format!("/scim/v2/Groups/{id}");
    let add = |user: &String| idp.patch(&path, json!([{"op": "Add", "path": "members", "value": [{"value": user}]}]));
    let answers = futures::future::join_all(users.iter().map(add)).await;
    for answer in answers {
        answer.is(204);
    }
    assert_eq!(idp.members(&id).await.len(), 20);
    let given = "SELECT count(*) FROM role_assignments WHERE given_by_group = TRUE";
    assert_eq!(server.count(given).await, 20);
    let remove =
        |user: &String| idp.patch(&path, json!([{"op": "remove", "path": format!("members[value eq \"{user}\"]")}]));
    futures::future::join_all(users.iter().take(10).map(remove)).await;
    assert_eq!((idp.members(&id).await.len(), server.count(given).await), (10, 10));
    let create =
        |number: i32| idp.client.post("/scim/v2/Users", super::user(&format!("same{}@acme.example", number % 4)));
    let answers = futures::future::join_all((0..12).map(create)).await;
    let count = |status: u16| answers.iter().filter(|answer| answer.status.as_u16() == status).count();
    assert_eq!((count(201), count(409)), (4, 8));
}

async fn a_large_group_takes_one_more(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let first = idp.user("first@acme.example").await;
    let id = idp.group("All", &[&first]).await;
    let before = many_users(server, &acme, &first, 2_000).await;
    put_into(server, &id, before, 2_000).await;
    let second = idp.user("second@acme.example").await;
    let path = format!("/scim/v2/Groups/{id}");
    let add = json!([{"op": "add", "path": "members", "value": [{"value": second}]}]);
    idp.patch(&path, add).await.is(204);
    assert_eq!(idp.members(&id).await.len(), 2002);
    let of = server.plan(&format!("SELECT * FROM scim_group_members WHERE group_id = {id} AND scim_user_id = 1")).await;
    assert!(of.contains("scim_group_members"), "{of}");
}

/// The entity tag of a group.
async fn tag(idp: &Provider, path: &str) -> String {
    let answer = idp.client.get(path).await;
    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    assert_eq!(answer.is(200)["meta"]["version"], tag);
    tag
}

async fn entity_tags_guard_changes(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let (ada, bob) = (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await);
    let path = format!("/scim/v2/Groups/{}", idp.group("Research", &[&ada]).await);
    let with = |method: reqwest::Method, name: &'static str, tag: &str, body: Option<Value>| {
        let request = idp.client.request(method, &path).header(name, tag.to_owned());
        match body {
            Some(body) => request.json(&body),
            None => request,
        }
    };
    let send = async |request| idp.client.send(request).await;
    let first = tag(&idp, &path).await;
    // Every change makes another, and the answer tells it.
    let mut seen = vec![first.clone()];
    for operations in [
        json!([{"op": "add", "path": "members", "value": [{"value": bob}]}]),
        json!([{"op": "remove", "path": format!("members[value eq \"{bob}\"]")}]),
        json!([{"op": "replace", "path": "displayName", "value": "Science"}]),
        json!([{"op": "replace", "path": "externalId", "value": "g1"}]),
        json!([{"op": "replace", "path": "members", "value": [{"value": ada}, {"value": bob}]}]),
    ] {
        let answer = idp.patch(&path, operations.clone()).await;
        let told = answer.headers["etag"].to_str().unwrap().to_owned();
        answer.is(204);
        assert!(!seen.contains(&told), "{operations}: {told} of {seen:?}");
        assert_eq!(tag(&idp, &path).await, told, "{operations}");
        seen.push(told);
    }
    // What changes nothing makes none.
    let now = tag(&idp, &path).await;
    for operations in [
        json!([{"op": "add", "path": "members", "value": [{"value": bob}]}]),
        json!([{"op": "remove", "path": "members[value eq \"987654321\"]"}]),
        json!([{"op": "replace", "path": "displayName", "value": "Science"}]),
    ] {
        idp.patch(&path, operations.clone()).await.is(204);
        assert_eq!(tag(&idp, &path).await, now, "{operations}");
    }
    let rename = || super::patch(json!([{"op": "replace", "path": "displayName", "value": "Other"}]));
    for request in [
        with(reqwest::Method::GET, "if-match", &first, None),
        with(reqwest::Method::PATCH, "if-match", &first, Some(rename())),
        with(reqwest::Method::PUT, "if-match", &first, Some(group("Other", &[]))),
        with(reqwest::Method::DELETE, "if-match", &first, None),
        with(reqwest::Method::PATCH, "if-none-match", &now, Some(rename())),
        with(reqwest::Method::PUT, "if-none-match", "*", Some(group("Other", &[]))),
        with(reqwest::Method::DELETE, "if-none-match", &now, None),
    ] {
        send(request).await.refused(412, None);
    }
    assert_eq!(tag(&idp, &path).await, now);
    assert_eq!(send(with(reqwest::Method::GET, "if-none-match", &now, None)).await.is(304), Value::Null);
    let known = send(with(reqwest::Method::GET, "if-none-match", &first, None)).await.is(200);
    assert_eq!(known["members"].as_array().unwrap().len(), 2);
    send(with(reqwest::Method::GET, "if-match", &now, None)).await.is(200);
    send(with(reqwest::Method::PATCH, "if-match", &now, Some(rename()))).await.is(204);
    let now = tag(&idp, &path).await;
    send(with(reqwest::Method::PUT, "if-match", &now, Some(group("Last", &[])))).await.is(200);
    let now = tag(&idp, &path).await;
    send(with(reqwest::Method::DELETE, "if-match", &now, None)).await.is(204);
}

async fn a_tag_changes_when_somebody_leaves_the_organization(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let (ada, bob, eve) =
        (idp.user("ada@acme.example").await, idp.user("bob@acme.example").await, idp.user("eve@acme.example").await);
    let path = format!("/scim/v2/Groups/{}", idp.group("Research", &[&ada, &bob]).await);
    let other = format!("/scim/v2/Groups/{}", idp.group("Other", &[&eve]).await);
    let (mut before, untouched) = (tag(&idp, &path).await, tag(&idp, &other).await);
    // By the provider, and by an administrator.
    for who in [&ada, &bob] {
        match who == &ada {
            true => idp.client.delete(&format!("/scim/v2/Users/{who}")).await.is(204),
            false => acme.owner.client.delete(&format!("/api/v1/organizations/{}/members/{who}", acme.id)).await.ok(),
        };
        let now = tag(&idp, &path).await;
        assert_ne!(now, before);
        let stale = idp.client.request(reqwest::Method::DELETE, &path).header("if-match", before);
        idp.client.send(stale).await.refused(412, None);
        before = now;
    }
    assert!(idp.members(path.rsplit('/').next().unwrap()).await.is_empty());
    assert_eq!(tag(&idp, &other).await, untouched);
}

async fn a_page_holds_no_more_members_than_fit(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let first = idp.user("first@acme.example").await;
    let (all, most, few) =
        (idp.group("All", &[]).await, idp.group("Most", &[]).await, idp.group("Few", &[&first]).await);
    let before = many_users(server, &acme, &first, 20_001).await;
    put_into(server, &all, before, 20_001).await;
    put_into(server, &most, before, 20_000).await;
    let shown = |body: &Value| -> Vec<(String, usize)> {
        let of = |it: &Value| it["members"].as_array().map_or(0, Vec::len);
        body["Resources"].as_array().unwrap().iter().map(|it| (it["id"].as_str().unwrap().to_owned(), of(it))).collect()
    };
    let pages = [(all.clone(), 20_001), (most.clone(), 20_000), (few.clone(), 1)];
    // One of them is too much with the next, and is whole all the same.
    for (at, page) in pages.iter().enumerate() {
        let body = idp.client.get(&format!("/scim/v2/Groups?startIndex={}", at + 1)).await.is(200);
        assert_eq!(shown(&body), std::slice::from_ref(page));
        assert_eq!((&body["totalResults"], &body["itemsPerPage"]), (&json!(3), &json!(1)));
    }
    for more in ["", "&sortBy=displayName&sortOrder=descending"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let body = idp.client.get(&format!("/scim/v2/Groups?cursor={cursor}{more}")).await.is(200);
            seen.extend(shown(&body));
            match body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        seen.sort();
        let mut wanted = pages.to_vec();
        wanted.sort();
        assert_eq!(seen, wanted, "{more}");
    }
    // Where nobody asks for members, none is read and the page is as long as asked for.
    for query in ["excludedAttributes=members", "attributes=displayName"] {
        let body = idp.client.get(&format!("/scim/v2/Groups?{query}")).await.is(200);
        assert_eq!(shown(&body), [(all.clone(), 0), (most.clone(), 0), (few.clone(), 0)], "{query}");
    }
}

async fn a_page_in_the_order_of_names_is_filled_too(server: &Server) {
    const MEMBERS: usize = 3_000;
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let first = idp.user("first@acme.example").await;
    let before = many_users(server, &acme, &first, MEMBERS).await;
    // The last by name is the first by its id. Six of them fit on a page.
    for number in (0..10).rev() {
        let id = idp.group(&format!("Group {number}"), &[]).await;
        put_into(server, &id, before, MEMBERS).await;
    }
    for order in ["ascending", "descending"] {
        let (mut names, mut pages, mut cursor) = (Vec::new(), 0, String::new());
        loop {
            let path = format!("/scim/v2/Groups?sortBy=displayName&sortOrder={order}&cursor={cursor}");
            let body = idp.client.get(&path).await.is(200);
            for group in body["Resources"].as_array().unwrap() {
                assert_eq!(group["members"].as_array().map(Vec::len), Some(MEMBERS), "{}", group["displayName"]);
                names.push(group["displayName"].as_str().unwrap().to_owned());
            }
            pages += 1;
            match body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let mut wanted: Vec<String> = (0..10).map(|number| format!("Group {number}")).collect();
        if order == "descending" {
            wanted.reverse();
        }
        assert_eq!(names, wanted, "{order}");
        // Each reads as many rows as the others, so there must not be one for each group.
        assert!(pages <= 5, "{order}: {pages} pages");
    }
}
