use std::collections::BTreeMap;

use rivergen_kernel::{BuiltInRole, DataSourceId, ErrorCode};
use rivergen_platform::Event;
use rivergen_policies::rule::RuleConfig;
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};

use crate::harness::{ACME, AMERICA, CRM, EUROPE, FOREIGN, House, LAKE, ORDERS, Person, SHOP};

on_both_databases!(
    assignments_decide_whom_and_what_a_policy_governs,
    a_table_is_governed_alone_unless_its_source_is_too,
    a_change_is_seen_by_the_next_query,
    a_rule_that_cannot_be_read_any_more_denies,
);

async fn names(house: &House, person: &Person) -> BTreeMap<DataSourceId, Vec<String>> {
    let effective = house
        .policies
        .effective_for(house.tenant(), &person.membership, person.user_id, &[CRM, SHOP, LAKE])
        .await
        .unwrap();
    effective.into_iter().map(|(id, policies)| (id, policies.into_iter().map(|p| p.name).collect())).collect()
}

async fn policy(house: &House, name: &str, more: Value) {
    let mut body = json!({"name": name, "type": "query_limit",
        "rules": [{"rule_name": "r", "rule_type": "limit_query", "rule_config": {"max_rows": 10}}]});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    house.policy(body).await;
}

async fn assignments_decide_whom_and_what_a_policy_governs(house: &House) {
    let viewer_role = house.roles[&BuiltInRole::Viewer];
    let viewer = house.viewer.user_id;
    policy(house, "unassigned", json!({})).await;
    policy(house, "inactive", json!({"is_active": false, "data_source_ids": [CRM, SHOP, LAKE]})).await;
    policy(house, "source", json!({"data_source_ids": [CRM]})).await;
    policy(house, "role", json!({"role_ids": [viewer_role], "priority": 50})).await;
    policy(house, "person", json!({"user_ids": [viewer], "priority": 10})).await;
    policy(house, "role on source", json!({"role_ids": [viewer_role], "data_source_ids": [SHOP]})).await;
    policy(house, "workspace", json!({"workspace_ids": [EUROPE], "priority": 30})).await;
    policy(house, "of america", json!({"workspace_id": AMERICA, "role_ids": [viewer_role], "priority": 40})).await;
    policy(house, "contradiction", json!({"workspace_id": AMERICA, "data_source_ids": [CRM]})).await;

    let seen = names(house, &house.viewer).await;
    assert_eq!(seen[&CRM], ["role", "workspace", "person", "source"]);
    assert_eq!(seen[&SHOP], ["role", "of america", "person", "role on source"]);
    assert_eq!(seen[&LAKE], ["role", "of america", "workspace", "person"]);
    let seen = names(house, &house.developer).await;
    assert_eq!(seen[&CRM], ["workspace", "source"]);
    assert_eq!(seen[&SHOP], Vec::<String>::new());
    assert_eq!(seen[&LAKE], ["workspace"]);

    let foreign = house.policies.effective_for(house.tenant(), &house.viewer.membership, viewer, &[FOREIGN]).await;
    assert_eq!(foreign.unwrap_err().code, ErrorCode::NotFound);
}

async fn a_table_is_governed_alone_unless_its_source_is_too(house: &House) {
    let viewer_role = house.roles[&BuiltInRole::Viewer];
    policy(house, "table", json!({"dataset_ids": [ORDERS], "role_ids": [viewer_role]})).await;
    let only = async || {
        let viewer = &house.viewer;
        let sources = [CRM, SHOP];
        let found = house.policies.effective_for(house.tenant(), &viewer.membership, viewer.user_id, &sources).await;
        let mut found = found.unwrap();
        assert!(found[&SHOP].is_empty());
        found.remove(&CRM).unwrap().pop().unwrap().only
    };
    assert_eq!(only().await, Some([("public".to_owned(), "orders".to_owned())].into()));
    assert_eq!(names(house, &house.developer).await[&CRM], Vec::<String>::new());

    let listed = house.get(&house.owner, "").await;
    let path = format!("/{}/assignments", listed.data()["items"][0]["id"]);
    assert_eq!(house.post(&house.owner, &path, json!({"data_source_id": CRM})).await.status, 201);
    assert_eq!(only().await, None);
}

async fn a_change_is_seen_by_the_next_query(house: &House) {
    assert_eq!(names(house, &house.viewer).await[&CRM], Vec::<String>::new());
    policy(house, "first", json!({"data_source_ids": [CRM]})).await;
    assert_eq!(names(house, &house.viewer).await[&CRM], ["first"]);
    let second = house.policy(json!({"name": "second", "type": "query_limit"})).await;
    assert_eq!(names(house, &house.viewer).await[&CRM], ["first"]);
    let path = format!("/{}/assignments", second["id"]);
    let inactive = json!({"data_source_id": SHOP, "is_active": false});
    assert_eq!(house.post(&house.owner, &path, inactive).await.status, 201);
    assert_eq!(house.post(&house.owner, &path, json!({"user_id": house.viewer.user_id})).await.status, 201);
    let seen = names(house, &house.viewer).await;
    assert_eq!(seen[&CRM], ["first", "second"]);
    assert_eq!(names(house, &house.developer).await[&SHOP], Vec::<String>::new());
}

async fn a_rule_that_cannot_be_read_any_more_denies(house: &House) {
    policy(house, "old", json!({"data_source_ids": [CRM]})).await;
    let tx = house.policies.platform.db.begin().await.unwrap();
    tx.conn().execute_unprepared(r#"UPDATE policy_rules SET rule_config = '{"of": "yore"}'"#).await.unwrap();
    tx.publish(Event::PoliciesChanged(ACME)).await.unwrap();
    tx.commit().await.unwrap();
    let viewer = &house.viewer;
    let effective =
        house.policies.effective_for(house.tenant(), &viewer.membership, viewer.user_id, &[CRM]).await.unwrap();
    assert!(matches!(effective[&CRM][0].rules[..], [RuleConfig::DenyAccess(ref rule)] if rule.columns.is_none()));
}
