//! `/api/v1/sso/abac/…`: access policies, and that they bite where permissions are checked.

use reqwest::Method;
use rivergen_tests::{Organization, Server, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_policy_is_made_listed_changed_and_removed;
    what_is_wrong_is_named;
    a_denial_bites_at_the_next_request;
    a_denial_is_told_where_roles_are_asked_about;
    an_allowance_gives_what_no_role_does;
    nobody_gives_what_they_do_not_hold;
    owners_are_not_locked_out;
    attributes_and_groups_decide;
    a_source_is_closed_by_its_id_and_left_out_of_lists;
    of_many_sources_that_are_judged_each_is_on_its_page;
    what_cannot_be_evaluated_denies;
    a_policy_in_cedar_is_kept_and_checked;
    tokens_stay_within_their_scopes;
    an_evaluation_explains_and_does_nothing;
    other_organizations_see_nothing_of_it;
    of_two_who_change_it_at_once_none_is_lost;
}

const POLICIES: &str = "/api/v1/sso/abac/policies";
const EVALUATE: &str = "/api/v1/sso/abac/evaluate";
const SOURCES: &str = "/api/v1/data-sources";
const ROLES: &str = "/api/v1/roles/templates";

fn deny(actions: Value, conditions: Value) -> Value {
    json!({"name": format!("deny {}", rand::random::<u32>()), "effect": "deny", "resource_type": "*", "actions": actions,
        "conditions": conditions})
}

fn is(attribute: &str, operator: &str, value: impl Into<Value>) -> Value {
    json!({"attribute": attribute, "operator": operator, "value": value.into()})
}

/// Adds a policy as the Owner; its id.
async fn add(acme: &Organization, policy: Value) -> i64 {
    acme.owner.client.post(POLICIES, policy).await.created()["policy"]["id"].as_i64().unwrap()
}

async fn remove(acme: &Organization, id: i64) {
    acme.owner.client.delete(&format!("{POLICIES}/{id}")).await.ok();
}

async fn a_policy_is_made_listed_changed_and_removed(server: &Server) {
    let acme = server.organization("Acme").await;
    let owner = &acme.owner.client;
    let body = json!({"name": " No queries ", "description": "why", "effect": "deny", "resource_type": "datasource",
        "actions": ["datasource.query"], "conditions": is("subject.mfa", "eq", false), "priority": 7});
    let created = owner.post(POLICIES, body.clone()).await.created();
    let policy = &created["policy"];
    let id = policy["id"].as_i64().unwrap();
    assert_eq!(
        (&policy["name"], &policy["effect"], &policy["priority"]),
        (&json!("No queries"), &json!("deny"), &json!(7))
    );
    assert_eq!((&policy["is_active"], &policy["created_by_user_id"]), (&json!(true), &json!(acme.owner.id)));
    assert_eq!(policy["conditions"], is("subject.mfa", "eq", false));
    owner.post(POLICIES, body).await.error(409, "ABAC_POLICY_EXISTS");

    let other = add(
        &acme,
        json!({"name": "b", "effect": "deny", "resource_type": "storage", "actions": ["*"], "priority": 9,
        "conditions": is("subject.token", "eq", true), "is_active": false}),
    )
    .await;
    let listed = owner.get(POLICIES).await.ok();
    let ids: Vec<i64> = listed["policies"].as_array().unwrap().iter().map(|one| one["id"].as_i64().unwrap()).collect();
    assert_eq!((listed["total"].as_i64(), ids), (Some(2), vec![other, id]));
    for (query, total) in [
        (format!("policy_id={id}"), 1),
        ("resource_type=storage".to_owned(), 1),
        ("is_active=true".to_owned(), 1),
        ("limit=1&offset=1".to_owned(), 2),
    ] {
        assert_eq!(owner.get(&format!("{POLICIES}?{query}")).await.ok()["total"], total, "{query}");
    }
    owner.get(&format!("{POLICIES}?limit=101")).await.invalid("limit");

    let path = format!("{POLICIES}/{id}");
    let changed = owner.put(&path, json!({"description": null, "is_active": false})).await.ok();
    assert_eq!((&changed["policy"]["description"], &changed["policy"]["is_active"]), (&Value::Null, &json!(false)));
    assert_eq!(changed["policy"]["conditions"], policy["conditions"]);
    owner.put(&path, json!({"name": "B"})).await.error(409, "ABAC_POLICY_EXISTS");
    owner.put(&path, json!({"conditions": null, "actions": ["datasource.write"]})).await.ok();
    assert!(owner.delete(&path).await.ok()["message"].is_string());
    owner.delete(&path).await.error(404, "ABAC_POLICY_NOT_FOUND");
    owner.put(&path, json!({})).await.error(404, "ABAC_POLICY_NOT_FOUND");
    for (action, times) in [("abac_policy.create", 2), ("abac_policy.update", 2), ("abac_policy.delete", 1)] {
        assert_eq!(server.audited(action, "success").await, times, "{action}");
    }
    // The audit log keeps what was removed.
    let removed = server.rows("SELECT details FROM audit_log WHERE action = 'abac_policy.delete'").await;
    assert!(removed[0]["details"].as_str().unwrap().contains("datasource.write"));
}

async fn what_is_wrong_is_named(server: &Server) {
    let acme = server.organization("Acme").await;
    let with = |over: Value| {
        let mut body =
            json!({"name": "p", "effect": "deny", "resource_type": "datasource", "actions": ["datasource.query"]});
        body.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        body
    };
    let condition = |condition: Value| with(json!({"conditions": condition}));
    let deep = (0..8).fold(is("subject.mfa", "eq", true), |inner, _| json!({"not": inner}));
    let many = json!({"any": vec![is("subject.mfa", "eq", true); 101]});
    for (body, field) in [
        (with(json!({"name": " "})), "name"),
        (with(json!({"name": "x".repeat(256)})), "name"),
        (with(json!({"effect": "forbid"})), "effect"),
        (with(json!({"resource_type": "spaceship"})), "resource_type"),
        (with(json!({"actions": []})), "actions"),
        (with(json!({"actions": ["datasource.fly"]})), "actions[0]"),
        (with(json!({"actions": ["datasource.query", "storage.read"]})), "actions[1]"),
        (with(json!({"priority": 1001})), "priority"),
        (with(json!({"priority": -1})), "priority"),
        (with(json!({"unknown": 1})), "unknown"),
        (condition(json!({})), "conditions"),
        (condition(json!([])), "conditions"),
        (condition(json!({"all": []})), "conditions.all"),
        (condition(json!({"all": [is("subject.mfa", "eq", true)], "any": []})), "conditions"),
        (condition(deep), "conditions.not.not.not.not.not.not.not.not"),
        (condition(many), "conditions.any[100]"),
        (condition(is("subject.shoe_size", "eq", 7)), "conditions.attribute"),
        (condition(is("subject.attributes.", "eq", 7)), "conditions.attribute"),
        (condition(is("subject.mfa", "equals", true)), "conditions.operator"),
        (condition(is("subject.mfa", "gt", true)), "conditions.operator"),
        (condition(is("subject.email", "lt", "a")), "conditions.operator"),
        (condition(is("subject.mfa", "eq", "yes")), "conditions.value"),
        (condition(is("environment.hour", "gte", 8.5)), "conditions.value"),
        (condition(is("environment.time", "gt", "tomorrow")), "conditions.value"),
        (condition(is("environment.ip", "ip_in_range", "10.0.0.0/99")), "conditions.value"),
        (condition(is("subject.roles", "in", json!([]))), "conditions.value"),
        (condition(is("action.name", "eq", "datasource.fly")), "conditions.value"),
        (condition(json!({"attribute": "subject.mfa", "operator": "eq", "value": true, "x": 1})), "conditions.x"),
        (with(json!({"cedar": "permit(principal, action, resource);"})), "effect"),
        (with(json!({"cedar": "forbid(principal, action, resource)"})), "cedar"),
        (with(json!({"cedar": "forbid(principal, action, resource) when { principal.shoe_size == 7 };"})), "cedar"),
        (with(json!({"cedar": "forbid(principal == ?principal, action, resource);"})), "cedar"),
        (
            with(json!({"cedar": "forbid(principal, action, resource);", "conditions": is("subject.mfa", "eq", true)})),
            "cedar",
        ),
        (
            with(json!({"cedar": "forbid(principal, action == RiverGen::Action::\"datasource.write\", resource);"})),
            "cedar",
        ),
        // What is only known of data sources, and what would be ignored in silence elsewhere.
        (
            with(json!({"resource_type": "storage", "actions": ["*"], "conditions": is("resource.owner", "eq", 1)})),
            "conditions",
        ),
        (with(json!({"effect": "allow", "conditions": is("resource.id", "eq", 1)})), "conditions"),
    ] {
        acme.owner.client.post(POLICIES, body).await.invalid(field);
    }
    let parse = acme.owner.client.post_raw(POLICIES, "application/json", "{").await;
    parse.error(400, "INVALID_REQUEST");
    assert_eq!(server.count("SELECT count(*) FROM abac_policies").await, 0);
    let id = add(&acme, with(json!({}))).await;
    let path = format!("{POLICIES}/{id}");
    acme.owner.client.put(&path, json!({"actions": ["storage.read"]})).await.invalid("actions[0]");
    acme.owner.client.put(&path, json!({"conditions": is("subject.x", "eq", 1)})).await.invalid("conditions.attribute");
}

async fn a_denial_bites_at_the_next_request(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.get(SOURCES).await.ok();
    let id = add(&acme, deny(json!(["datasource.read"]), is("subject.roles", "contains", "Viewer"))).await;
    let refused = acme.viewer.client.get(SOURCES).await.error(403, "FORBIDDEN");
    assert!(refused["message"].as_str().unwrap().contains("access policy"), "{refused}");
    acme.developer.client.get(SOURCES).await.ok();
    // Switched off, it is as if it were not there.
    acme.owner.client.put(&format!("{POLICIES}/{id}"), json!({"is_active": false})).await.ok();
    acme.viewer.client.get(SOURCES).await.ok();
    acme.owner.client.put(&format!("{POLICIES}/{id}"), json!({"is_active": true})).await.ok();
    acme.viewer.client.get(SOURCES).await.error(403, "FORBIDDEN");
    remove(&acme, id).await;
    acme.viewer.client.get(SOURCES).await.ok();

    // The clock and the address of the request: from here, which is a private network, at any hour.
    let always = json!({"all": [is("environment.network", "eq", "private"), is("environment.hour", "gte", 0),
        is("environment.ip", "ip_in_range", "127.0.0.0/8")]});
    let id = add(&acme, deny(json!(["datasource.read"]), always)).await;
    acme.developer.client.get(SOURCES).await.error(403, "FORBIDDEN");
    remove(&acme, id).await;
    let later = (server.platform.clock.now() + chrono::Duration::hours(1)).to_rfc3339();
    add(&acme, deny(json!(["datasource.read"]), is("environment.time", "gt", later))).await;
    acme.developer.client.get(SOURCES).await.ok();
    server.clock().advance(chrono::Duration::minutes(61));
    let developer = server.sign_in(&acme.developer.email).await;
    developer.client.get(SOURCES).await.error(403, "FORBIDDEN");
}

async fn a_denial_is_told_where_roles_are_asked_about(server: &Server) {
    const CHECK: &str = "/api/v1/roles/check";
    let acme = server.organization("Acme").await;
    let id = add(&acme, deny(json!(["datasource.read"]), is("subject.roles", "contains", "Viewer"))).await;
    let body = json!({"permissions": ["datasource.read", "datasource.query"]});
    let told = acme.viewer.client.post(CHECK, body.clone()).await.ok();
    // The role is still named that would give it.
    let check = |permission: &str, allowed: bool, denied: Value| {
        json!({"permission": permission, "allowed": allowed, "source_role_id": acme.roles["Viewer"],
            "through_public_access": false, "denied_by_policy": denied})
    };
    let results = [check("datasource.read", false, json!(true)), check("datasource.query", true, json!(false))];
    assert_eq!((&told["results"], &told["allowed"]), (&json!(results), &json!(false)));
    let path = format!("/api/v1/roles/users/{}/permissions", acme.viewer.id);
    let denied = |data: Value| {
        let all = data["permissions"].as_array().unwrap().clone();
        all.into_iter().find(|one| one["name"] == "datasource.read").unwrap()["denied_by_policy"].clone()
    };
    assert_eq!(denied(acme.viewer.client.get(&path).await.ok()), json!(true));
    // Of another member it is not known: it depends on the request.
    assert_eq!(denied(acme.admin.client.get(&path).await.ok()), Value::Null);
    let of_viewer = json!({"permissions": ["datasource.read"], "user_id": acme.viewer.id});
    let told = acme.admin.client.post(CHECK, of_viewer).await.ok();
    assert_eq!(told["results"], json!([check("datasource.read", true, Value::Null)]));
    remove(&acme, id).await;
    assert_eq!(acme.viewer.client.post(CHECK, body).await.ok()["allowed"], true);
}

async fn an_allowance_gives_what_no_role_does(server: &Server) {
    let acme = server.organization("Acme").await;
    acme.viewer.client.get(ROLES).await.error(403, "FORBIDDEN");
    let allow = json!({"name": "readers", "effect": "allow", "resource_type": "role", "actions": ["role.read"],
        "conditions": is("subject.attributes.region", "eq", "US")});
    add(&acme, allow).await;
    acme.viewer.client.get(ROLES).await.ok();
    // A denial beats it, whatever the priorities.
    let mut denial = deny(json!(["role.read"]), is("subject.id", "eq", acme.viewer.id));
    denial["priority"] = json!(0);
    let id = add(&acme, denial).await;
    acme.viewer.client.get(ROLES).await.error(403, "FORBIDDEN");
    remove(&acme, id).await;
    // What a policy allows somebody is not theirs to give.
    let allow = json!({"name": "makers", "effect": "allow", "resource_type": "role", "actions": ["role.create", "role.assign"],
        "conditions": is("subject.id", "eq", acme.viewer.id)});
    add(&acme, allow).await;
    let path = format!("/api/v1/organizations/{}/roles", acme.id);
    let role = |permission: &str| json!({"name": permission, "permissions": [permission]});
    acme.viewer.client.post(&path, role("role.read")).await.error(403, "FORBIDDEN");
    acme.viewer.client.post(&path, role("datasource.read")).await.created();
}

async fn nobody_gives_what_they_do_not_hold(server: &Server) {
    let acme = server.organization("Acme").await;
    let allow = |name: &str, action: &str| {
        json!({"name": name, "effect": "allow", "resource_type": "organization", "actions": [action],
            "conditions": is("subject.id", "eq", acme.admin.id)})
    };
    // An Admin holds everything but the deletion of the organization.
    acme.admin.client.post(POLICIES, allow("a", "organization.delete")).await.error(403, "FORBIDDEN");
    acme.admin.client.post(POLICIES, allow("a", "*")).await.error(403, "FORBIDDEN");
    let own = acme.admin.client.post(POLICIES, allow("a", "organization.update")).await.created();
    let path = format!("{POLICIES}/{}", own["policy"]["id"]);
    acme.admin.client.put(&path, json!({"actions": ["organization.delete"]})).await.error(403, "FORBIDDEN");
    acme.admin.client.put(&path, json!({"resource_type": "*", "actions": ["*"]})).await.error(403, "FORBIDDEN");
    let id = add(&acme, allow("b", "organization.delete")).await;
    // What an Owner gave, an Admin may take back, and not widen.
    let path = format!("{POLICIES}/{id}");
    acme.admin.client.put(&path, json!({"conditions": null})).await.error(403, "FORBIDDEN");
    acme.admin.client.delete(&path).await.ok();
    // Those who do not manage single sign-on do nothing at all.
    for person in [&acme.developer, &acme.viewer] {
        person.client.get(POLICIES).await.error(403, "FORBIDDEN");
        person.client.post(POLICIES, allow("c", "organization.read")).await.error(403, "FORBIDDEN");
        person.client.put(&path, json!({})).await.error(403, "FORBIDDEN");
        person.client.delete(&path).await.error(403, "FORBIDDEN");
    }
}

async fn owners_are_not_locked_out(server: &Server) {
    let acme = server.organization("Acme").await;
    for conditions in [Value::Null, is("subject.roles", "contains", "Owner"), is("subject.mfa", "eq", false)] {
        for actions in [json!(["*"]), json!(["sso.manage"])] {
            acme.owner.client.post(POLICIES, deny(actions.clone(), conditions.clone())).await.invalid("actions");
            acme.admin.client.post(POLICIES, deny(actions, conditions.clone())).await.invalid("actions");
        }
    }
    // Saved as something else first, and changed then.
    let id = add(&acme, deny(json!(["*"]), is("subject.roles", "contains", "Admin"))).await;
    let path = format!("{POLICIES}/{id}");
    acme.owner.client.put(&path, json!({"conditions": null})).await.invalid("actions");
    acme.owner.client.put(&path, json!({"conditions": null, "is_active": false})).await.invalid("actions");
    acme.admin.client.get(POLICIES).await.error(403, "FORBIDDEN");
    // One that shuts every owner out later all the same leaves them their hand on the policies, and nothing else.
    let until = (server.platform.clock.now() + chrono::Duration::minutes(5)).to_rfc3339();
    acme.owner.client.put(&path, json!({"conditions": is("environment.time", "gt", until)})).await.ok();
    server.clock().advance(chrono::Duration::minutes(6));
    acme.owner.client.get(SOURCES).await.error(403, "FORBIDDEN");
    acme.admin.client.get(POLICIES).await.error(403, "FORBIDDEN");
    acme.owner.client.get(POLICIES).await.ok();
    remove(&acme, id).await;
    acme.owner.client.get(SOURCES).await.ok();
    acme.admin.client.get(POLICIES).await.ok();
}

async fn attributes_and_groups_decide(server: &Server) {
    let acme = server.organization("Acme").await;
    let [developer, viewer] = [&acme.developer, &acme.viewer].map(|person| &person.client);
    for (conditions, shut) in [
        (is("subject.attributes.region", "eq", "EU"), [true, false]),
        (is("subject.attributes.region", "ne", "EU"), [false, true]),
        (is("subject.attributes.region", "in", json!(["US", "CA"])), [false, true]),
        (is("subject.attributes.region", "not_in", json!(["US", "CA"])), [true, false]),
        (is("subject.attributes.region", "contains", "US"), [false, true]),
        (is("subject.attributes.region", "exists", true), [true, true]),
        (is("subject.attributes.team", "exists", true), [false, false]),
        (is("subject.attributes.team", "ne", "x"), [true, true]),
        (is("subject.email", "starts_with", "viewer@"), [false, true]),
        (is("subject.email_domain", "eq", "acme.example"), [true, true]),
        (is("subject.email", "contains", "*"), [false, false]),
        (json!({"not": is("subject.roles", "contains", "Viewer")}), [true, false]),
        (json!({"any": [is("subject.passkey", "eq", true), is("subject.sso", "eq", false)]}), [true, true]),
        (json!({"all": [is("subject.mfa", "eq", false), is("action.name", "eq", "datasource.read")]}), [true, true]),
        (is("action.name", "in", json!(["datasource.write"])), [false, false]),
        (is("resource.type", "eq", "datasource"), [true, true]),
        (is("environment.device_trusted", "eq", true), [false, false]),
    ] {
        let id = add(&acme, deny(json!(["datasource.read"]), conditions.clone())).await;
        let refused = [developer.get(SOURCES).await.status == 403, viewer.get(SOURCES).await.status == 403];
        assert_eq!(refused, shut, "{conditions}");
        remove(&acme, id).await;
    }
    // The groups that the identity provider named at the last sign-in.
    add(&acme, deny(json!(["datasource.read"]), is("subject.groups", "contains", "Contractors"))).await;
    viewer.get(SOURCES).await.ok();
    super::enforced::link(server, &acme, &acme.viewer, json!(["Contractors"])).await;
    viewer.get(SOURCES).await.error(403, "FORBIDDEN");
    developer.get(SOURCES).await.ok();
}

async fn a_source_is_closed_by_its_id_and_left_out_of_lists(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let viewer = &acme.viewer.client;
    let before = viewer.get(SOURCES).await.ok();
    let total = before["pagination"]["total_items"].as_i64().unwrap();
    let closed = json!({"name": "crm", "effect": "deny", "resource_type": "datasource", "actions": ["*"],
        "conditions": {"all": [is("resource.id", "eq", shop.crm), is("subject.roles", "contains", "Viewer")]}});
    add(&acme, closed).await;
    let path = format!("{SOURCES}/{}", shop.crm);
    viewer.get(&path).await.error(403, "FORBIDDEN");
    acme.developer.client.get(&path).await.ok();
    let after = viewer.get(SOURCES).await.ok();
    assert_eq!(after["pagination"]["total_items"], total - 1);
    assert!(after["items"].as_array().unwrap().iter().all(|source| source["id"] != shop.crm));
    // The way of a query, for the source itself and among others.
    let query = json!({"query": "SELECT count(*) FROM customers"});
    viewer.post(&format!("{path}/query"), query.clone()).await.error(403, "FORBIDDEN");
    viewer.get(&format!("{path}/schemas")).await.error(403, "FORBIDDEN");
    acme.developer.client.post(&format!("{path}/query"), query).await.ok();
    // What the Admin registered, nobody changes; what somebody else did, they may.
    let id = add(
        &acme,
        json!({"name": "own", "effect": "deny", "resource_type": "datasource",
        "actions": ["datasource.write", "datasource.delete"],
        "conditions": is("resource.owner", "eq", acme.admin.id)}),
    )
    .await;
    acme.developer.client.patch(&path, json!({"description": "x"})).await.error(403, "FORBIDDEN");
    acme.developer.client.delete(&path).await.error(403, "FORBIDDEN");
    let change = json!({"conditions": is("resource.owner", "eq", acme.owner.id)});
    acme.owner.client.put(&format!("{POLICIES}/{id}"), change).await.ok();
    acme.developer.client.patch(&path, json!({"description": "x"})).await.ok();
}

async fn of_many_sources_that_are_judged_each_is_on_its_page(server: &Server) {
    const MANY: i64 = 1_300;
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    // Every third is the Admin's, the others are the Owner's.
    let row = server.rows(&format!("SELECT * FROM data_sources WHERE id = {}", shop.crm)).await;
    let columns: Vec<&str> =
        row[0].as_object().unwrap().keys().map(String::as_str).filter(|name| *name != "id").collect();
    let values: Vec<String> = columns
        .iter()
        .map(|column| match *column {
            "name" | "slug" => "'many ' || (1000 + i)".to_owned(),
            "created_by_user_id" => format!("CASE WHEN i % 3 = 0 THEN {} ELSE {} END", acme.admin.id, acme.owner.id),
            "status" => "'inactive'".to_owned(),
            "credentials" | "next_check_at" | "next_discovery_at" => "NULL".to_owned(),
            other => format!("s.{other}"),
        })
        .collect();
    let copies = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {MANY}) INSERT INTO data_sources ({}) \
         SELECT {} FROM n CROSS JOIN data_sources s WHERE s.id = {}",
        columns.join(", "),
        values.join(", "),
        shop.crm
    );
    server.execute(&copies).await;
    let policy = json!({"name": "admins", "effect": "deny", "resource_type": "datasource", "actions": ["datasource.read"],
        "conditions": {"all": [is("resource.owner", "eq", acme.admin.id), is("subject.roles", "contains", "Viewer")]}});
    add(&acme, policy).await;
    let page =
        async |query: &str| acme.viewer.client.get(&format!("{SOURCES}?sort_by=name&sort_order=asc&{query}")).await;
    let open: Vec<String> = (1..=MANY).filter(|i| i % 3 != 0).map(|i| format!("many {}", 1000 + i)).collect();
    for number in [1, 7, 9] {
        let data = page(&format!("search=many&page_size=100&page={number}")).await.ok();
        assert_eq!(data["pagination"]["total_items"], open.len(), "page {number}");
        let names: Vec<&str> =
            data["items"].as_array().unwrap().iter().map(|row| row["name"].as_str().unwrap()).collect();
        let wanted: Vec<&str> = open.iter().skip((number - 1) * 100).take(100).map(String::as_str).collect();
        assert_eq!(names, wanted, "page {number}");
    }
    // What the list is not about is not judged, and what it is about is.
    for (search, total) in [("many%201003", 0), ("many%201004", 1), ("nothing", 0)] {
        assert_eq!(page(&format!("search={search}")).await.ok()["pagination"]["total_items"], total, "{search}");
    }
    let all = acme.developer.client.get(&format!("{SOURCES}?search=many")).await.ok();
    assert_eq!(all["pagination"]["total_items"], MANY);
}

async fn what_cannot_be_evaluated_denies(server: &Server) {
    let acme = server.organization("Acme").await;
    // The region of the Developer and of the Viewer is a text; the others have none.
    for effect in ["deny", "allow"] {
        let body = json!({"name": effect, "effect": effect, "resource_type": "datasource", "actions": ["datasource.read"],
            "conditions": is("subject.attributes.region", "gt", 7)});
        let id = add(&acme, body).await;
        acme.viewer.client.get(SOURCES).await.error(403, "FORBIDDEN");
        acme.admin.client.get(SOURCES).await.ok();
        let asked = json!({"action": "datasource.read", "resource": {"type": "datasource"}});
        let told = acme.viewer.client.post(EVALUATE, asked).await.ok();
        assert_eq!((&told["decision"], &told["matched_policies"][0]["id"]), (&json!("deny"), &json!(id)), "{told}");
        assert!(told["reason"].as_str().unwrap().contains("cannot be evaluated"));
        remove(&acme, id).await;
    }
    // One that nobody can read any more shuts everything, and the owners can still take it away.
    let id = add(&acme, deny(json!(["datasource.read"]), is("subject.mfa", "eq", true))).await;
    server.execute(&format!("UPDATE abac_policies SET actions = '[\"datasource.gone\"]' WHERE id = {id}")).await;
    server.forget().await;
    acme.admin.client.get(SOURCES).await.error(403, "FORBIDDEN");
    remove(&acme, id).await;
    acme.admin.client.get(SOURCES).await.ok();
}

async fn a_policy_in_cedar_is_kept_and_checked(server: &Server) {
    let acme = server.organization("Acme").await;
    let text = "@id(\"regions\")\nforbid(principal, action in [RiverGen::Action::\"datasource.read\"], resource)\n\
                when { principal.hasTag(\"region\") && principal.getTag(\"region\").contains(\"US\") }\n\
                unless { context has ip && context.ip.isInRange(ip(\"203.0.113.0/24\")) };";
    let body =
        json!({"name": "regions", "effect": "deny", "resource_type": "datasource", "actions": ["*"], "cedar": text});
    let created = acme.owner.client.post(POLICIES, body).await.created();
    assert_eq!((&created["policy"]["cedar"], &created["policy"]["conditions"]), (&json!(text), &Value::Null));
    acme.viewer.client.get(SOURCES).await.error(403, "FORBIDDEN");
    acme.developer.client.get(SOURCES).await.ok();
    // Conditions take its place, and the other way round.
    let path = format!("{POLICIES}/{}", created["policy"]["id"]);
    let changed = acme.owner.client.put(&path, json!({"conditions": is("subject.token", "eq", true)})).await.ok();
    assert_eq!(changed["policy"]["cedar"], Value::Null);
    acme.viewer.client.get(SOURCES).await.ok();
    acme.owner.client.put(&path, json!({"cedar": text})).await.ok();
    acme.viewer.client.get(SOURCES).await.error(403, "FORBIDDEN");
    // It looks at objects, so it may be about data sources alone.
    let looks = "forbid(principal, action, resource) when { resource has owner && resource.owner == principal.id };";
    let body = json!({"name": "own", "effect": "deny", "resource_type": "*", "actions": ["*"], "cedar": looks});
    acme.owner.client.post(POLICIES, body).await.invalid("cedar");
    let body = json!({"name": "type", "effect": "deny", "resource_type": "*", "actions": ["datasource.read"],
        "cedar": "forbid(principal, action, resource) when { resource.type == \"storage\" };"});
    acme.owner.client.post(POLICIES, body).await.created();
}

async fn tokens_stay_within_their_scopes(server: &Server) {
    let acme = server.organization("Acme").await;
    let token = async |scopes: Value| {
        let body = json!({"name": "a program", "scopes": scopes});
        let made = acme.viewer.client.post("/api/v1/auth/tokens", body).await.created();
        let token = made["token"].as_str().unwrap_or_else(|| panic!("{made}")).to_owned();
        server.anonymous().with_token(token)
    };
    let (narrow, wide) = (token(json!(["datasource.read"])).await, token(json!(["read"])).await);
    add(&acme, json!({"name": "readers", "effect": "allow", "resource_type": "role", "actions": ["role.read"]})).await;
    narrow.get(ROLES).await.error(403, "FORBIDDEN");
    wide.get(ROLES).await.ok();
    narrow.get(SOURCES).await.ok();
    add(&acme, deny(json!(["datasource.read"]), is("subject.token", "eq", true))).await;
    narrow.get(SOURCES).await.error(403, "FORBIDDEN");
    acme.viewer.client.get(SOURCES).await.ok();
}

async fn an_evaluation_explains_and_does_nothing(server: &Server) {
    let acme = server.organization("Acme").await;
    let ask = |over: Value| {
        let mut body = json!({"action": "datasource.query", "resource": {"type": "datasource"}});
        body.as_object_mut().unwrap().extend(over.as_object().unwrap().clone());
        body
    };
    let told = acme.viewer.client.post(EVALUATE, ask(json!({}))).await.ok();
    assert_eq!((&told["decision"], &told["permitted"]), (&json!("not_applicable"), &json!(true)));
    assert_eq!((&told["granted_by_role"], &told["matched_policies"]), (&json!(true), &json!([])));

    let night = add(
        &acme,
        deny(
            json!(["datasource.query"]),
            json!({"any": [is("environment.hour", "lt", 0),
        is("environment.ip", "ip_in_range", "203.0.113.0/24"), is("subject.attributes.clearance", "eq", "none"),
        is("environment.time", "lt", "2001-01-01T00:00:00Z")]}),
        ),
    )
    .await;
    let outside = ask(json!({"subject": {"user_id": acme.viewer.id}, "context": {"ip": "203.0.113.7"}}));
    let told = acme.admin.client.post(EVALUATE, outside.clone()).await.ok();
    assert_eq!((&told["decision"], &told["permitted"]), (&json!("deny"), &json!(false)));
    assert_eq!(
        (&told["matched_policies"][0]["id"], &told["matched_policies"][0]["effect"]),
        (&json!(night), &json!("deny"))
    );
    for supposed in [
        json!({"subject": {"attributes": {"clearance": "none"}}}),
        json!({"context": {"time": "2000-01-01T00:00:00Z"}}),
    ] {
        assert_eq!(acme.admin.client.post(EVALUATE, ask(supposed)).await.ok()["decision"], "deny");
    }
    // Nothing of it is kept.
    acme.admin.client.get(SOURCES).await.ok();
    let kept = "SELECT count(*) FROM memberships WHERE CAST(attributes AS TEXT) LIKE '%clearance%'";
    assert_eq!(server.count(kept).await, 0);
    assert_eq!(server.audited("abac_policy.evaluate", "success").await, 0);

    // One's own access anybody may ask about, and suppose nothing.
    acme.viewer.client.post(EVALUATE, ask(json!({"subject": {"user_id": acme.viewer.id}}))).await.ok();
    for asked in [
        outside,
        ask(json!({"subject": {"attributes": {"clearance": "none"}}})),
        ask(json!({"context": {"mfa": true}})),
    ] {
        acme.viewer.client.post(EVALUATE, asked).await.error(403, "FORBIDDEN");
    }
    let admin = &acme.admin.client;
    admin.post(EVALUATE, ask(json!({"action": "datasource.fly"}))).await.invalid("action");
    admin.post(EVALUATE, ask(json!({"action": "storage.read"}))).await.invalid("action");
    admin.post(EVALUATE, ask(json!({"resource": {"type": "spaceship"}}))).await.invalid("resource.type");
    admin.post(EVALUATE, ask(json!({"context": {"ip": "here"}}))).await.invalid("context.ip");
    admin.post(EVALUATE, ask(json!({"subject": {"user_id": 999_999}}))).await.error(404, "MEMBER_NOT_FOUND");
    // An object, as the policies look at it.
    let own = deny(json!(["datasource.write"]), is("resource.owner", "eq", acme.admin.id));
    add(&acme, own).await;
    let asked = json!({"action": "datasource.write", "resource": {"type": "datasource", "attributes": {"owner": acme.admin.id}}});
    assert_eq!(admin.post(EVALUATE, asked).await.ok()["decision"], "deny");
}

async fn other_organizations_see_nothing_of_it(server: &Server) {
    let (acme, globex) = (server.organization("Acme").await, server.organization("Globex").await);
    let id = add(&acme, deny(json!(["datasource.read"]), Value::Null)).await;
    acme.admin.client.get(SOURCES).await.error(403, "FORBIDDEN");
    globex.admin.client.get(SOURCES).await.ok();
    let path = format!("{POLICIES}/{id}");
    globex.owner.client.put(&path, json!({"name": "mine"})).await.error(404, "ABAC_POLICY_NOT_FOUND");
    globex.owner.client.delete(&path).await.error(404, "ABAC_POLICY_NOT_FOUND");
    assert_eq!(globex.owner.client.get(&format!("{POLICIES}?policy_id={id}")).await.ok()["total"], 0);
    let asked = json!({"action": "datasource.read", "resource": {"type": "datasource"}, "subject": {"user_id": acme.viewer.id}});
    globex.owner.client.post(EVALUATE, asked).await.error(404, "MEMBER_NOT_FOUND");
    for (method, path) in [(Method::GET, POLICIES), (Method::POST, POLICIES), (Method::POST, EVALUATE)] {
        let anonymous = server.anonymous();
        anonymous.send(anonymous.request(method, path)).await.error(401, "UNAUTHORIZED");
    }
}

async fn of_two_who_change_it_at_once_none_is_lost(server: &Server) {
    let acme = server.organization("Acme").await;
    let id = add(&acme, deny(json!(["datasource.read"]), is("subject.mfa", "eq", true))).await;
    let path = format!("{POLICIES}/{id}");
    let (one, other) = tokio::join!(
        acme.owner.client.put(&path, json!({"description": "changed"})),
        acme.admin.client.put(&path, json!({"priority": 1})),
    );
    one.ok();
    other.ok();
    let policy = acme.owner.client.get(&format!("{POLICIES}?policy_id={id}")).await.ok()["policies"][0].clone();
    assert_eq!((&policy["description"], &policy["priority"]), (&json!("changed"), &json!(1)));
    // Of two of one name, one.
    let same = json!({"name": "same", "effect": "deny", "resource_type": "datasource", "actions": ["datasource.read"],
        "conditions": is("subject.mfa", "eq", true)});
    let (one, other) =
        tokio::join!(acme.owner.client.post(POLICIES, same.clone()), acme.admin.client.post(POLICIES, same.clone()));
    let mut both = [one.status.as_u16(), other.status.as_u16()];
    both.sort_unstable();
    assert_eq!(both, [201, 409]);
}
