//! `GET` and `PUT /api/v1/data-sources/{data_source_id}/tags`, `POST …/tags/proposals`, and policies on tags

use rivergen_tests::{Organization, Server, Shop, on_both_databases};
use serde_json::{Value, json};

on_both_databases! {
    a_mask_for_a_tag_covers_each_column_so_tagged;
    a_tag_hides_each_column_so_tagged;
    proposals_come_from_names_and_values;
    texts_inside_structures_and_lists_are_looked_at;
    what_several_propose_at_once_is_proposed_once;
    a_proposal_has_no_effect_until_it_is_confirmed;
    values_are_read_under_the_callers_policies;
    a_tagged_column_that_is_gone_closes_the_table;
    what_is_not_there_is_not_tagged;
    anothers_is_not_found;
    who_may_not_is_refused;
}

fn path(source: i64) -> String {
    format!("/api/v1/data-sources/{source}/tags")
}

async fn tag(acme: &Organization, shop: &Shop, column: &str, tags: Value) -> Value {
    let body = json!({"columns": [{"table": "customers", "column": column, "tags": tags}]});
    acme.admin.client.put(&path(shop.crm), body).await.ok()
}

async fn mask_tagged(acme: &Organization, tag: &str, function: &str) {
    let body = json!({"name": tag, "type": "data_masking", "role_ids": [acme.roles["Viewer"]],
        "rules": [{"rule_name": "m", "rule_type": "mask_column",
            "rule_config": {"tag": tag, "masking_function": function}}]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
}

async fn a_mask_for_a_tag_covers_each_column_so_tagged(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    mask_tagged(&acme, "pii.*", "email").await;
    let sql = "SELECT email, name, salary FROM customers WHERE id = 1";
    let first = async || acme.viewer.query(shop.crm, sql).await["rows"][0].clone();
    assert_eq!(first().await, json!(["ada@customers.example", "Ada", 52000]));
    let data = tag(&acme, &shop, "email", json!(["pii.email", "marketing"])).await;
    let told: Vec<_> = data.as_array().unwrap().iter().map(|tag| (tag["tag"].clone(), tag["status"].clone())).collect();
    assert_eq!(told, [(json!("marketing"), json!("confirmed")), (json!("pii.email"), json!("confirmed"))]);
    assert_eq!(first().await, json!(["a***@customers.example", "Ada", 52000]));
    // A number is looked at as text, and is no address.
    tag(&acme, &shop, "salary", json!(["pii.salary"])).await;
    tag(&acme, &shop, "name", json!(["pii"])).await;
    assert_eq!(first().await, json!(["a***@customers.example", "Ada", "***"]));
    tag(&acme, &shop, "email", json!(["marketing"])).await;
    assert_eq!(first().await, json!(["ada@customers.example", "Ada", "***"]));
    let listed = acme.developer.client.get(&format!("{}?status=confirmed", path(shop.crm))).await.ok();
    assert_eq!(listed["pagination"]["total_items"], 3);
    assert_eq!(server.audited("data_source.tag", "success").await, 4);
    // The simulation knows tags, too.
    let body = json!({"user_id": acme.viewer.id, "data_source_id": shop.crm});
    let data = acme.admin.client.post("/api/v1/policies/simulate", body).await.ok();
    assert_eq!(data["tables"][0]["before"]["masked_columns"][0]["column"], "salary");
}

async fn a_tag_hides_each_column_so_tagged(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"name": "No personal data", "type": "access_control", "role_ids": [acme.roles["Viewer"]],
        "rules": [{"rule_name": "d", "rule_type": "deny_access", "rule_config": {"tag": "pii.*"}}]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
    let columns = async || acme.viewer.query(shop.crm, "SELECT * FROM customers").await["columns"].to_string();
    assert!(columns().await.contains("email"));
    tag(&acme, &shop, "email", json!(["pii.email"])).await;
    let left = columns().await;
    assert!(!left.contains("email") && left.contains("salary"), "{left}");
    let known = acme.viewer.client.get(&format!("/api/v1/data-sources/{}/schemas", shop.crm)).await.ok();
    assert!(!known.to_string().contains("email"), "{known}");
    // As if the source had renamed it.
    server.execute("UPDATE column_tags SET column_name = 'e_mail'").await;
    let query = json!({"query": "SELECT name FROM customers"});
    acme.viewer.query_with(shop.crm, query).await.error(403, "POLICY_DENIED");
}

async fn proposals_come_from_names_and_values(server: &Server) {
    let acme = server.organization("Acme").await;
    let csv = b"id,contact,phone,note\n1,a@b.example,x,hello\n2,c@d.example,y,world\n3,e@f.example,z,again\n".to_vec();
    let source = acme.admin.file_source("Contacts", "csv", "contacts.csv", csv).await;
    let propose = format!("{}/proposals", path(source));
    let data = acme.admin.client.post(&propose, json!({})).await.ok();
    let told: Vec<_> = data["proposals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| (tag["column"].as_str().unwrap(), tag["tag"].as_str().unwrap(), tag["reason"].as_str().unwrap()))
        .collect();
    assert_eq!(
        told,
        [
            ("contact", "pii.email", "3 of 3 values look like e-mail addresses"),
            ("phone", "pii.phone", "the name contains “phone”")
        ]
    );
    // What was proposed or rejected is not proposed again.
    let body = json!({"columns": [{"table": "contacts", "column": "phone", "tags": []}]});
    acme.admin.client.put(&path(source), body).await.ok();
    let again = acme.admin.client.post(&propose, json!({"table": "contacts"})).await.ok();
    assert_eq!((&again["proposals"], &again["tables_looked_at"]), (&json!([]), &json!(1)));
    let rejected = acme.admin.client.get(&format!("{}?status=rejected", path(source))).await.ok();
    assert_eq!(rejected["items"][0]["column"], "phone");
    assert_eq!(rejected["items"][0]["changed_by_user_id"], acme.admin.id);
}

async fn texts_inside_structures_and_lists_are_looked_at(server: &Server) {
    let acme = server.organization("Acme").await;
    let lines: String = ["a@b.example", "c@d.example", "e@f.example"]
        .map(|mail| {
            json!({"person": {"reach": mail, "phone": "x"}, "lines": [{"to": mail}], "words": ["x"]}).to_string() + "\n"
        })
        .concat();
    let source = acme.admin.file_source("Contacts", "jsonl", "contacts.jsonl", lines.into_bytes()).await;
    let data = acme.admin.client.post(&format!("{}/proposals", path(source)), json!({})).await.ok();
    let mut told: Vec<_> = data["proposals"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tag| ["column", "tag", "reason"].map(|part| tag[part].as_str().unwrap()))
        .collect();
    told.sort_unstable();
    assert_eq!(
        told,
        [
            ["lines", "pii.email", "lines.to: 3 of 3 values look like e-mail addresses"],
            ["person", "pii.email", "person.reach: 3 of 3 values look like e-mail addresses"],
            ["person", "pii.phone", "person.phone: the name contains “phone”"],
        ]
    );
}

async fn what_several_propose_at_once_is_proposed_once(server: &Server) {
    let acme = server.organization("Acme").await;
    let csv = b"id,contact,phone\n1,a@b.example,x\n2,c@d.example,y\n3,e@f.example,z\n".to_vec();
    let source = acme.admin.file_source("Contacts", "csv", "contacts.csv", csv).await;
    let propose = format!("{}/proposals", path(source));
    let answers = futures::future::join_all((0..6).map(|_| acme.admin.client.post(&propose, json!({})))).await;
    let told: usize = answers.into_iter().map(|answer| answer.ok()["proposals"].as_array().unwrap().len()).sum();
    assert_eq!(told, 2);
    assert_eq!(server.count("SELECT count(*) FROM column_tags").await, 2);
}

async fn a_proposal_has_no_effect_until_it_is_confirmed(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    mask_tagged(&acme, "pii.email", "null_value").await;
    acme.admin.client.post(&format!("{}/proposals", path(shop.crm)), json!({})).await.ok();
    let proposed = acme.admin.client.get(&format!("{}?tag=pii.email", path(shop.crm))).await.ok();
    assert_eq!(proposed["items"][0]["status"], "proposed");
    let count = async || acme.viewer.value(shop.crm, "SELECT count(email) FROM customers").await;
    assert_eq!(count().await, 6);
    tag(&acme, &shop, "email", json!(["pii.email"])).await;
    assert_eq!(count().await, 0);
}

async fn values_are_read_under_the_callers_policies(server: &Server) {
    let acme = server.organization("Acme").await;
    let csv = b"id,contact\n1,a@b.example\n2,c@d.example\n3,e@f.example\n".to_vec();
    let source = acme.admin.file_source("Contacts", "csv", "contacts.csv", csv).await;
    let body = json!({"name": "mine", "type": "data_masking", "user_ids": [acme.admin.id], "rules": [{"rule_name": "m",
        "rule_type": "mask_column", "rule_config": {"column": "contact", "masking_function": "hash"}}]});
    acme.admin.client.post("/api/v1/policies", body).await.created();
    let propose = format!("{}/proposals", path(source));
    assert_eq!(acme.admin.client.post(&propose, json!({})).await.ok()["proposals"], json!([]));
    assert_eq!(acme.owner.client.post(&propose, json!({})).await.ok()["proposals"][0]["tag"], "pii.email");
}

async fn a_tagged_column_that_is_gone_closes_the_table(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    mask_tagged(&acme, "pii.*", "redact").await;
    tag(&acme, &shop, "email", json!(["pii.email"])).await;
    // As if the source had renamed it.
    server.execute("UPDATE column_tags SET column_name = 'e_mail'").await;
    let query = json!({"query": "SELECT name FROM customers"});
    acme.viewer.query_with(shop.crm, query.clone()).await.error(403, "POLICY_DENIED");
    server.execute("DELETE FROM column_tags").await;
    acme.viewer.query_with(shop.crm, query).await.ok();
}

async fn what_is_not_there_is_not_tagged(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    for (column, field) in [
        (json!({"table": "nothing", "column": "email", "tags": []}), "columns[0].table"),
        (json!({"table": "customers", "column": "nothing", "tags": []}), "columns[0].column"),
        (json!({"table": "customers", "column": "email", "tags": ["Pii Email"]}), "columns[0].tags[0]"),
    ] {
        acme.admin.client.put(&path(shop.crm), json!({"columns": [column]})).await.invalid(field);
    }
    let rule = |config: Value| {
        json!({"name": "p", "type": "data_masking",
            "rules": [{"rule_name": "m", "rule_type": "mask_column", "rule_config": config}]})
    };
    for config in [
        json!({"masking_function": "redact"}),
        json!({"masking_function": "redact", "column": "email", "tag": "pii.email"}),
    ] {
        acme.admin.client.post("/api/v1/policies", rule(config)).await.invalid("rules[0].rule_config.column");
    }
    let config = json!({"masking_function": "redact", "tag": "*"});
    acme.admin.client.post("/api/v1/policies", rule(config)).await.invalid("rules[0].rule_config.tag");
    assert_eq!(server.count("SELECT count(*) FROM column_tags").await, 0);
}

async fn anothers_is_not_found(server: &Server) {
    let acme = server.organization("Acme").await;
    let globex = server.organization("Globex").await;
    let shop = acme.shop().await;
    let body = json!({"columns": [{"table": "customers", "column": "email", "tags": ["pii.email"]}]});
    globex.owner.client.put(&path(shop.crm), body).await.error(404, "NOT_FOUND");
    globex.owner.client.get(&path(shop.crm)).await.error(404, "NOT_FOUND");
    globex.owner.client.post(&format!("{}/proposals", path(shop.crm)), json!({})).await.error(404, "NOT_FOUND");
}

async fn who_may_not_is_refused(server: &Server) {
    let acme = server.organization("Acme").await;
    let shop = acme.shop().await;
    let body = json!({"columns": [{"table": "customers", "column": "email", "tags": ["pii.email"]}]});
    acme.viewer.client.get(&path(shop.crm)).await.error(403, "FORBIDDEN");
    acme.developer.client.put(&path(shop.crm), body).await.error(403, "FORBIDDEN");
    acme.developer.client.post(&format!("{}/proposals", path(shop.crm)), json!({})).await.error(403, "FORBIDDEN");
    server.anonymous().get(&path(shop.crm)).await.error(401, "UNAUTHORIZED");
}
