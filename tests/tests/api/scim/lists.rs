//! Lists: filters, order, pages by index and by cursor, searches by a body.

use rivergen_tests::{Backend, Server, eventually, on_both_databases};
use serde_json::{Value, json};

use super::{ENTERPRISE, Provider, ScimAnswer, USER, many_users, put_into};

on_both_databases! {
    filters_find_what_they_say;
    filters_on_groups;
    what_is_no_filter_is_refused;
    a_list_is_ordered;
    pages_by_index;
    pages_by_cursor;
    a_walk_by_cursor_counts_once;
    a_cursor_keeps_its_place;
    a_search_is_a_list;
    lookups_use_their_index;
    names_are_read_in_the_order_of_their_index;
    members_are_read_from_indexes;
    who_is_let_in_is_counted_from_an_index;
}

/// Percent-encoded, for a query.
fn encoded(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

async fn found(idp: &Provider, endpoint: &str, filter: &str, name: &str) -> Vec<String> {
    let body = idp.client.get(&format!("/scim/v2/{endpoint}?filter={}", encoded(filter))).await.is(200);
    let resources = body["Resources"].as_array().unwrap();
    assert_eq!(body["totalResults"], resources.len(), "{filter}");
    resources.iter().map(|it| it[name].as_str().unwrap().split('@').next().unwrap().to_owned()).collect()
}

async fn people(idp: &Provider) -> Vec<String> {
    let mut ids = Vec::new();
    for (name, more) in [
        (
            "ada",
            json!({"externalId": "X1", "title": "Countess", "name": {"givenName": "Ada", "familyName": "LOVELACE"},
                "emails": [{"value": "Ada@home.example", "type": "home"},
                    {"value": "ada@acme.example", "type": "work", "primary": true}],
                ENTERPRISE: {"department": "Research", "manager": {"value": "7"}}}),
        ),
        (
            "bob",
            json!({"active": false, "name": {"familyName": "Ångström"}, "emails": [{"value": "bob@acme.example", "type": "home"}]}),
        ),
        ("eve", json!({"externalId": "x1", "title": "100% _true_ \\ \"q\" '", ENTERPRISE: {"department": "Sales"}})),
    ] {
        let mut body = more;
        body["schemas"] = json!([USER]);
        body["userName"] = format!("{name}@acme.example").into();
        let made = idp.client.post("/scim/v2/Users", body).await.is(201);
        ids.push(made["id"].as_str().unwrap().to_owned());
    }
    ids
}

async fn filters_find_what_they_say(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let ids = people(&idp).await;
    let group = idp.group("Engineers", &[&ids[0], &ids[1]]).await;
    for (filter, names) in [
        (r#"userName eq "ADA@acme.example""#.to_owned(), vec!["ada"]),
        (r#"USERNAME EQ "ada@acme.example""#.to_owned(), vec!["ada"]),
        (r#"userName ne "ada@acme.example""#.to_owned(), vec!["bob", "eve"]),
        (r#"userName sw "b" or userName ew "@nowhere""#.to_owned(), vec!["bob"]),
        (r#"userName gt "b""#.to_owned(), vec!["bob", "eve"]),
        (r#"userName le "bob@acme.example""#.to_owned(), vec!["ada", "bob"]),
        // Case matters for the provider's own ids.
        (r#"externalId eq "X1""#.to_owned(), vec!["ada"]),
        (r#"externalId ne "X1""#.to_owned(), vec!["bob", "eve"]),
        ("externalId pr".to_owned(), vec!["ada", "eve"]),
        ("not (externalId pr)".to_owned(), vec!["bob"]),
        ("externalId eq null".to_owned(), vec!["bob"]),
        (format!("id eq \"{}\"", ids[2]), vec!["eve"]),
        ("id eq \"nobody\"".to_owned(), vec![]),
        (format!("id ne \"{}\"", ids[2]), vec!["ada", "bob"]),
        ("active eq true".to_owned(), vec!["ada", "eve"]),
        ("active eq \"False\"".to_owned(), vec!["bob"]),
        ("active ne true".to_owned(), vec!["bob"]),
        (r#"name.familyName eq "lovelace""#.to_owned(), vec!["ada"]),
        // Letters beyond ASCII have a case too.
        (r#"name.familyName eq "ångström""#.to_owned(), vec!["bob"]),
        (r#"name.familyName co "NGST""#.to_owned(), vec!["bob"]),
        (r#"name.familyName ew "ÖM""#.to_owned(), vec!["bob"]),
        ("name pr".to_owned(), vec!["ada", "bob"]),
        (r#"name.givenName ne "ada""#.to_owned(), vec!["bob", "eve"]),
        (r#"not (name.givenName eq "ada")"#.to_owned(), vec!["bob", "eve"]),
        (r#"title co "% _""#.to_owned(), vec!["eve"]),
        (r#"title co "%""#.to_owned(), vec!["eve"]),
        (r#"title eq "100% _true_ \\ \"q\" '""#.to_owned(), vec!["eve"]),
        (r#"title ew "ess" and title sw "count""#.to_owned(), vec!["ada"]),
        (r#"title ew "countess!!!!!!!!!!!!!!!!!!""#.to_owned(), vec![]),
        (r#"emails co "HOME.example""#.to_owned(), vec!["ada"]),
        (r#"emails.type eq "home""#.to_owned(), vec!["ada", "bob"]),
        (r#"emails[type eq "home" and value co "home"]"#.to_owned(), vec!["ada"]),
        (r#"emails[type eq "work" and value co "home"]"#.to_owned(), vec![]),
        ("emails[primary eq true]".to_owned(), vec!["ada"]),
        // As Entra ID asks for a part of the values in brackets.
        (r#"emails[type eq "work"].value eq "ADA@acme.example""#.to_owned(), vec!["ada"]),
        (r#"emails[type eq "home"].value eq "ada@acme.example""#.to_owned(), vec![]),
        (r#"emails[type eq "home" or primary eq true].value co "acme" and active eq false"#.to_owned(), vec!["bob"]),
        (r#"not (emails[type eq "home"].value pr)"#.to_owned(), vec!["eve"]),
        (r#"emails[not (type eq "home")]"#.to_owned(), vec!["ada"]),
        ("emails pr".to_owned(), vec!["ada", "bob"]),
        ("not (emails pr)".to_owned(), vec!["eve"]),
        (format!(r#"{ENTERPRISE}:department eq "research""#), vec!["ada"]),
        (format!("{ENTERPRISE}:manager.value eq \"7\""), vec!["ada"]),
        (format!("{ENTERPRISE}:department pr and not ({ENTERPRISE}:department eq \"sales\")"), vec!["ada"]),
        (format!(r#"groups.value eq "{group}""#), vec!["ada", "bob"]),
        (format!(r#"groups[value eq "{group}" and display eq "engineers"]"#), vec!["ada", "bob"]),
        (r#"groups.display eq "nobodies""#.to_owned(), vec![]),
        ("not (groups pr)".to_owned(), vec!["eve"]),
        (r#"meta.lastModified gt "2020-01-01T00:00:00Z""#.to_owned(), vec!["ada", "bob", "eve"]),
        (r#"meta.created lt "2020-01-01T00:00:00+02:00""#.to_owned(), vec![]),
        (r#"userName eq "x" or userName eq "eve@acme.example" and active eq true"#.to_owned(), vec!["eve"]),
        (r#"(userName sw "a" or userName sw "b") and active eq false"#.to_owned(), vec!["bob"]),
    ] {
        assert_eq!(found(&idp, "Users", &filter, "userName").await, names, "{filter}");
    }
}

async fn filters_on_groups(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let ids = people(&idp).await;
    let engineers = idp.group("Engineers", &[&ids[0]]).await;
    idp.group("Sellers", &[]).await;
    let operations = json!([{"op": "add", "path": "externalId", "value": "G1"}]);
    idp.patch(&format!("/scim/v2/Groups/{engineers}"), operations).await.is(204);
    for (filter, names) in [
        (r#"displayName eq "ENGINEERS""#.to_owned(), vec!["Engineers"]),
        (r#"displayName co "ers""#.to_owned(), vec!["Engineers", "Sellers"]),
        (r#"externalId eq "G1""#.to_owned(), vec!["Engineers"]),
        (r#"externalId eq "g1""#.to_owned(), vec![]),
        (format!("id eq \"{engineers}\""), vec!["Engineers"]),
        (format!("members.value eq \"{}\"", ids[0]), vec!["Engineers"]),
        (format!("members[value eq \"{}\"]", ids[1]), vec![]),
        (format!("members eq \"{}\"", ids[0]), vec!["Engineers"]),
        ("not (members pr)".to_owned(), vec!["Sellers"]),
        (r#"meta.lastModified ge "2020-01-01T00:00:00Z""#.to_owned(), vec!["Engineers", "Sellers"]),
    ] {
        assert_eq!(found(&idp, "Groups", &filter, "displayName").await, names, "{filter}");
    }
    let body = idp.client.get("/scim/v2/Groups?excludedAttributes=members").await.is(200);
    assert!(!body.to_string().contains("\"members\""), "{body}");
}

async fn what_is_no_filter_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for filter in [
        "",
        "userName",
        "userName eq",
        "userName eq ada",
        "userName is \"x\"",
        "nothing eq \"x\"",
        "name.nothing eq \"x\"",
        "name eq \"x\"",
        "active gt true",
        "active eq \"perhaps\"",
        "meta.created eq \"yesterday\"",
        "meta.created co \"2020\"",
        "meta.version eq \"1\"",
        "userName gt null",
        "password eq \"x\"",
        "userName[type eq \"x\"]",
        "emails[nothing eq \"x\"]",
        "schemas eq \"x\"",
        "userName eq \"x",
        "(userName pr",
    ] {
        let answer = idp.client.get(&format!("/scim/v2/Users?filter={}", encoded(filter))).await;
        answer.refused(400, Some("invalidFilter"));
    }
    for (query, kind) in [
        ("startIndex=x", "invalidValue"),
        ("count=1.5", "invalidValue"),
        ("sortOrder=up", "invalidValue"),
        ("sortBy=nothing", "invalidPath"),
        ("sortBy=name", "invalidPath"),
        ("cursor=x", "invalidCursor"),
    ] {
        idp.client.get(&format!("/scim/v2/Users?{query}")).await.refused(400, Some(kind));
    }
}

fn names(body: &Value) -> Vec<&str> {
    let resources = body["Resources"].as_array().unwrap();
    resources.iter().map(|it| it["userName"].as_str().unwrap().split('@').next().unwrap()).collect()
}

async fn a_list_is_ordered(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    people(&idp).await;
    for (query, order) in [
        ("sortBy=userName&sortOrder=descending", ["eve", "bob", "ada"]),
        ("sortBy=userName", ["ada", "bob", "eve"]),
        // What has no value comes last.
        ("sortBy=name.familyName", ["ada", "bob", "eve"]),
        ("sortBy=name.familyName&sortOrder=descending", ["eve", "bob", "ada"]),
        // The primary value counts.
        ("sortBy=emails.value&sortOrder=ascending", ["ada", "bob", "eve"]),
        ("sortBy=emails", ["ada", "bob", "eve"]),
        ("sortBy=meta.created&sortOrder=descending", ["eve", "bob", "ada"]),
        ("sortBy=title&sortOrder=ascending", ["eve", "ada", "bob"]),
    ] {
        let body = idp.client.get(&format!("/scim/v2/Users?{query}")).await.is(200);
        assert_eq!(names(&body), order, "{query}");
    }
}

async fn pages_by_index(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for number in 0..7 {
        idp.user(&format!("u{number}@acme.example")).await;
    }
    for (query, shown, start) in [
        ("startIndex=1&count=3", vec!["u0", "u1", "u2"], 1),
        ("startIndex=4&count=3", vec!["u3", "u4", "u5"], 4),
        ("startIndex=7&count=3", vec!["u6"], 7),
        ("startIndex=8&count=3", vec![], 8),
        ("startIndex=-5&count=2", vec!["u0", "u1"], 1),
        ("count=0", vec![], 1),
        ("count=-1", vec![], 1),
        ("count=1000", vec!["u0", "u1", "u2", "u3", "u4", "u5", "u6"], 1),
        ("sortBy=userName&startIndex=5&count=2", vec!["u4", "u5"], 5),
        ("sortBy=userName&sortOrder=descending&startIndex=2&count=3", vec!["u5", "u4", "u3"], 2),
        ("sortBy=userName&startIndex=8&count=3", vec![], 8),
        ("sortBy=id&sortOrder=descending&startIndex=7&count=3", vec!["u0"], 7),
        // Nobody is told apart by these.
        ("sortBy=active&startIndex=6&count=3", vec!["u5", "u6"], 6),
        ("sortBy=title&sortOrder=descending&startIndex=3&count=2", vec!["u2", "u3"], 3),
        ("filter=userName%20sw%20%22u%22&sortBy=userName&startIndex=3&count=2", vec!["u2", "u3"], 3),
    ] {
        let body = idp.client.get(&format!("/scim/v2/Users?{query}")).await.is(200);
        assert_eq!(names(&body), shown, "{query}");
        assert_eq!(
            (&body["totalResults"], &body["itemsPerPage"], &body["startIndex"]),
            (&json!(7), &json!(shown.len()), &json!(start)),
            "{query}"
        );
    }
}

async fn pages_by_cursor(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for number in 0..7 {
        idp.user(&format!("u{number}@acme.example")).await;
    }
    for more in ["", "&sortBy=userName&sortOrder=descending", "&filter=userName%20sw%20%22u%22"] {
        let (mut seen, mut cursor) = (Vec::new(), String::new());
        loop {
            let body = idp.client.get(&format!("/scim/v2/Users?count=3&cursor={cursor}{more}")).await.is(200);
            assert!(body["startIndex"].is_null() && body["totalResults"] == 7, "{body}");
            seen.extend(names(&body).into_iter().map(str::to_owned));
            match body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let mut sorted = seen.clone();
        sorted.sort();
        sorted.dedup();
        assert_eq!((seen.len(), sorted.len()), (7, 7), "{more}: {seen:?}");
    }
    // A cursor goes with its list.
    let body = idp.client.get("/scim/v2/Users?count=3&cursor=").await.is(200);
    let cursor = body["nextCursor"].as_str().unwrap();
    for other in ["Users?count=3&filter=active%20eq%20true", "Users?sortBy=userName", "Groups?count=3"] {
        let answer = idp.client.get(&format!("/scim/v2/{other}&cursor={cursor}")).await;
        answer.refused(400, Some("invalidCursor"));
    }
    idp.client.get("/scim/v2/Users?cursor=&count=x").await.refused(400, Some("invalidCount"));
}

async fn a_walk_by_cursor_counts_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    for number in 0..7 {
        idp.user(&format!("u{number}@acme.example")).await;
    }
    for order in ["", "&sortBy=userName", "&filter=active%20eq%20true"] {
        let (mut counts, mut cursor) = (Vec::new(), String::new());
        loop {
            let path = format!("/scim/v2/Users?count=3&cursor={cursor}{order}");
            let (answer, statements) = server.statements(idp.client.get(&path)).await;
            let body = answer.is(200);
            assert_eq!(body["totalResults"], 7, "{order}");
            let is_count = |sql: &&String| sql.contains("COUNT(") && sql.contains("scim_users");
            counts.push(statements.iter().filter(is_count).count());
            match body["nextCursor"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        assert_eq!(counts, [1, 0, 0], "{order}");
    }
}

/// What is read by a cursor, two on a page; between the pages, something happens.
async fn walked(idp: &Provider, order: &str, between: impl AsyncFn()) -> Vec<String> {
    let (mut seen, mut cursor) = (Vec::new(), String::new());
    loop {
        let body = idp.client.get(&format!("/scim/v2/Users?count=2&cursor={cursor}{order}")).await.is(200);
        seen.extend(names(&body).into_iter().map(str::to_owned));
        match body["nextCursor"].as_str() {
            Some(next) => cursor = next.to_owned(),
            None => return seen,
        }
        between().await;
    }
}

async fn a_cursor_keeps_its_place(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let mut ids = Vec::new();
    for (name, title, active) in [
        ("u0", Some("b"), true),
        ("u1", None, false),
        ("u2", Some("a"), true),
        ("u3", Some("b"), false),
        ("u4", None, true),
        ("u5", Some("c"), true),
    ] {
        let mut body = super::user(&format!("{name}@acme.example"));
        body["active"] = active.into();
        if let Some(title) = title {
            body["title"] = title.into();
            body["emails"] = json!([{"value": "z"}, {"value": format!("{title}@acme.example"), "primary": true}]);
        }
        ids.push(idp.client.post("/scim/v2/Users", body).await.is(201)["id"].as_str().unwrap().to_owned());
    }
    // It goes through the whole list in its order, whatever that is.
    for sort_by in ["userName", "title", "active", "meta.created", "id", "emails", "emails.value"] {
        for sort_order in ["ascending", "descending"] {
            let order = format!("&sortBy={sort_by}&sortOrder={sort_order}");
            let whole = idp.client.get(&format!("/scim/v2/Users?count=100{order}")).await.is(200);
            assert_eq!(walked(&idp, &order, async || {}).await, names(&whole), "{order}");
        }
    }
    // Somebody who was read goes and somebody comes before: nobody is passed over, and nobody is read twice.
    let gone = std::sync::atomic::AtomicBool::new(false);
    let move_on = async || {
        if !gone.swap(true, std::sync::atomic::Ordering::Relaxed) {
            idp.client.delete(&format!("/scim/v2/Users/{}", ids[0])).await.is(204);
            idp.user("a0@acme.example").await;
            idp.user("a1@acme.example").await;
        }
    };
    assert_eq!(walked(&idp, "&sortBy=userName", move_on).await, ["u0", "u1", "u2", "u3", "u4", "u5"]);
}

async fn a_search_is_a_list(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    people(&idp).await;
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "userName sw \"a\"", "attributes": ["title", "emails.value"], "startIndex": 1, "count": 10});
    let body = idp.client.post("/scim/v2/Users/.search", search).await.is(200);
    assert_eq!((&body["totalResults"], &body["Resources"][0]["title"]), (&json!(1), &json!("Countess")));
    assert!(body["Resources"][0]["name"].is_null());
    idp.group("Research", &[]).await;
    let search = json!({"schemas": ["urn:ietf:params:scim:api:messages:2.0:SearchRequest"],
        "filter": "displayName eq \"research\"", "excludedAttributes": ["members"]});
    assert_eq!(idp.client.post("/scim/v2/Groups/.search", search).await.is(200)["totalResults"], 1);
    // Both together; what only one of them has finds none of the other.
    let urn = "urn:ietf:params:scim:api:messages:2.0:SearchRequest";
    for (filter, total) in [("id pr", 4), ("userName pr", 3), ("members pr", 0), ("displayName eq \"research\"", 1)] {
        let body = idp.client.post("/scim/v2/.search", json!({"schemas": [urn], "filter": filter})).await.is(200);
        assert_eq!(body["totalResults"], total, "{filter}: {body}");
    }
    let page = json!({"schemas": [urn], "startIndex": 3, "count": 2});
    let body = idp.client.post("/scim/v2/.search", page).await.is(200);
    let kinds: Vec<&Value> =
        body["Resources"].as_array().unwrap().iter().map(|it| &it["meta"]["resourceType"]).collect();
    assert_eq!(kinds, ["User", "Group"]);
    let nothing = json!({"schemas": [urn], "filter": "nothing pr"});
    idp.client.post("/scim/v2/.search", nothing).await.refused(400, Some("invalidFilter"));
    idp.client.post("/scim/v2/Users/.search", json!({"filter": "x"})).await.refused(400, Some("invalidValue"));
}

async fn lookups_use_their_index(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let first = idp.user("first@acme.example").await;
    // PostgreSQL would read an empty table whole.
    many_users(server, &acme, &first, 3_000).await;
    server.analyze().await;
    for (column, index) in [("user_name_key", "scim_users_name"), ("external_id", "scim_users_external")] {
        let sql = format!(
            "SELECT * FROM scim_users WHERE organization_id = {} AND ({column} IS NOT NULL AND {column} = 'x') \
             ORDER BY user_id LIMIT 101",
            acme.id
        );
        let plan = server.plan(&sql).await;
        assert!(plan.contains(index), "{plan}");
    }
    // Groups by one of their members, and users by one of their groups: the list begins with that one.
    let of_member = "SELECT * FROM scim_groups WHERE organization_id = 1 AND id IN (SELECT group_id FROM scim_group_members \
                     JOIN scim_users ON scim_users.id = scim_user_id WHERE scim_users.user_id = 7)";
    let of_group = "SELECT * FROM scim_users WHERE organization_id = 1 AND id IN (SELECT scim_user_id FROM \
                    scim_group_members JOIN scim_groups ON scim_groups.id = group_id WHERE scim_groups.id = 7)";
    for (sql, index) in [(of_member, "scim_users_person"), (of_group, "scim_group_members")] {
        if server.backend == Backend::Sqlite {
            let plan = server.plan(sql).await;
            assert!(plan.contains(index) && !plan.contains("SCAN"), "{plan}");
        }
    }
}

async fn names_are_read_in_the_order_of_their_index(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let first = idp.user("first@acme.example").await;
    many_users(server, &acme, &first, 3_000).await;
    match server.backend {
        // It reads an index alone where it knows that the rows are to be seen.
        Backend::Postgres => server.execute("VACUUM ANALYZE scim_users").await,
        Backend::Sqlite => server.analyze().await,
    }
    // What a page is answered, and how the database comes by it.
    let page = async |query: &str| {
        let path = format!("/scim/v2/Users?attributes=id&count=3&sortBy=userName&{query}");
        let (answer, statements) = server.statements(idp.client.get(&path)).await;
        let is_page = |sql: &&String| sql.starts_with("SELECT \"scim_users\"") && sql.contains(" ORDER BY ");
        let plan = server.plan(statements.iter().find(is_page).expect("a page is asked for")).await;
        (answer.is(200), plan)
    };
    for (order, from) in [("ascending", ["user_name_key>?", ">= "]), ("descending", ["user_name_key<?", "<= "])] {
        let (begun, plan) = page(&format!("sortOrder={order}&cursor=")).await;
        let is_sorted = |plan: &str| plan.contains("Sort") || plan.contains("B-TREE");
        assert!(plan.contains("scim_users_name") && !is_sorted(&plan), "{order}\n{plan}");
        // The next page begins at its place in the index.
        let cursor = begun["nextCursor"].as_str().unwrap();
        let (_, plan) = page(&format!("sortOrder={order}&cursor={cursor}")).await;
        let begins = match server.backend {
            Backend::Sqlite => plan.contains(from[0]),
            Backend::Postgres => plan.lines().any(|line| line.contains("Index Cond") && line.contains(from[1])),
        };
        assert!(plan.contains("scim_users_name") && !is_sorted(&plan) && begins, "{order}\n{plan}");
        // The way to a page far behind leads along the index alone.
        let (_, plan) = page(&format!("sortOrder={order}&startIndex=2000")).await;
        let alone = match server.backend {
            Backend::Sqlite => "USING COVERING INDEX scim_users_name",
            Backend::Postgres => "Index Only Scan",
        };
        assert!(plan.contains(alone) && !plan.contains("Seq Scan"), "{order}\n{plan}");
    }
}

async fn members_are_read_from_indexes(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let first = idp.user("first@acme.example").await;
    let long = "\u{1F600}".repeat(300);
    let body = json!({"schemas": [USER], "userName": "long@acme.example", "displayName": long});
    let named = idp.client.post("/scim/v2/Users", body).await.is(201)["id"].as_str().unwrap().to_owned();
    let group = idp.group("Research", &[&first, &named]).await;
    // An index takes no name of any length.
    let members = idp.client.get(&format!("/scim/v2/Groups/{group}")).await.is(200)["members"].take();
    assert_eq!(
        (&members[0]["display"], &members[1]["display"]),
        (&json!("first@acme.example"), &json!("\u{1F600}".repeat(255)))
    );
    let before = many_users(server, &acme, &first, 3_000).await;
    put_into(server, &group, before, 300).await;
    let (name, wanted) = match server.backend {
        Backend::Postgres => ("u.member_name", "Index Only Scan using scim_users_member"),
        Backend::Sqlite => ("json_extract(u.attributes, '$.userName')", "SEARCH u USING INTEGER PRIMARY KEY"),
    };
    let sql = format!(
        "SELECT m.group_id, m.scim_user_id, u.user_id, {name} FROM scim_group_members m JOIN scim_users u \
         ON m.scim_user_id = u.id WHERE m.group_id IN ({group}) ORDER BY m.group_id, m.scim_user_id"
    );
    // PostgreSQL reads an index alone once it knows that all its rows are to be seen.
    eventually(wanted, async || {
        match server.backend {
            Backend::Postgres => server.execute("VACUUM ANALYZE scim_users, scim_group_members").await,
            Backend::Sqlite => server.analyze().await,
        }
        server.plan(&sql).await.contains(wanted).then_some(())
    })
    .await;
}

async fn who_is_let_in_is_counted_from_an_index(server: &Server) {
    let acme = server.organization("Acme").await;
    let idp = Provider::of(server, &acme).await;
    let first = idp.user("first@acme.example").await;
    many_users(server, &acme, &first, 3_000).await;
    let off = json!([{"op": "replace", "path": "active", "value": false}]);
    idp.patch(&format!("/scim/v2/Users/{first}"), off).await.is(200);
    assert_eq!(found(&idp, "Users", "active eq false", "userName").await, ["first"]);
    // Of each, something is said that is longer than what is counted.
    let title = "x".repeat(500);
    server.execute(&format!("UPDATE scim_users SET attributes = '{{\"title\": \"{title}\"}}'")).await;
    let path = "/scim/v2/Users?filter=active%20eq%20true&count=0";
    let (answer, statements) = server.statements(idp.client.get(path)).await;
    assert_eq!(answer.is(200)["totalResults"], 3_000);
    let sql = statements.iter().find(|sql| sql.contains("COUNT(*)")).expect("they are counted");
    let wanted = match server.backend {
        Backend::Postgres => "Index Only Scan using scim_users_active",
        Backend::Sqlite => "COVERING INDEX scim_users_active",
    };
    eventually(wanted, async || {
        match server.backend {
            Backend::Postgres => server.execute("VACUUM ANALYZE scim_users").await,
            Backend::Sqlite => server.analyze().await,
        }
        server.plan(sql).await.contains(wanted).then_some(())
    })
    .await;
}
