use rivergen_kernel::{BuiltInRole, ErrorCode, OrganizationId};
use rivergen_platform::audit::{self, log};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use serde_json::{Value, json};

use crate::harness::{ACME, AMERICA, CRM, EUROPE, FOREIGN, House, LAKE, ORDERS};

on_both_databases!(
    a_policy_is_made_with_rules_and_assignments,
    ids_combine_what_with_who,
    faults_name_their_fields,
    targets_of_others_are_not_found,
    only_who_manages_policies_makes_them,
);

fn own_region() -> Value {
    json!({"rule_name": "own region", "rule_type": "filter_rows",
        "rule_config": {"table": "orders", "column": "region", "operator": "equals", "value": "current_user_region"}})
}

async fn a_policy_is_made_with_rules_and_assignments(house: &House) {
    let viewer = house.roles[&BuiltInRole::Viewer];
    let policy = house
        .policy(json!({
            "name": " Own region ", "description": "Everyone sees their own.", "type": "row_level_security",
            "workspace_id": EUROPE, "priority": 7, "metadata": {"ticket": "A-1"},
            "rules": [own_region(), {"rule_name": "open", "rule_type": "filter_rows", "rule_order": 0,
                "rule_config": {"condition": "status = 'open'"}}],
            "data_source_ids": [CRM], "role_ids": [viewer]}))
        .await;
    assert_eq!(policy["organization_id"], json!(ACME));
    assert_eq!(policy["workspace_id"], json!(EUROPE));
    assert_eq!((&policy["name"], &policy["type"]), (&json!("Own region"), &json!("row_level_security")));
    assert_eq!((&policy["is_active"], &policy["priority"]), (&json!(true), &json!(7)));
    assert_eq!(policy["metadata"], json!({"ticket": "A-1"}));
    assert_eq!(policy["created_by_user_id"], json!(house.owner.user_id));
    assert_eq!(policy["updated_by_user_id"], Value::Null);
    let rules = policy["rules"].as_array().unwrap();
    assert_eq!(rules.len(), 2);
    assert!(rules.iter().all(|rule| rule["policy_id"] == policy["id"] && rule["is_active"] == true));
    assert_eq!(rules[0]["rule_config"]["value"], "current_user_region");
    let assignments = policy["assignments"].as_array().unwrap();
    assert_eq!(assignments.len(), 1);
    assert_eq!(assignments[0]["data_source_id"], json!(CRM));
    assert_eq!((&assignments[0]["role_id"], &assignments[0]["role_name"]), (&json!(viewer), &json!("Viewer")));
    assert_eq!(assignments[0]["applied_by_user_id"], json!(house.owner.user_id));

    let id = policy["id"].to_string();
    assert_eq!(house.get(&house.developer, &format!("/{id}")).await.data(), &policy);
    let record = log::Entity::find()
        .filter(log::Column::Action.eq("policy.create"))
        .one(house.policies.platform.db.read())
        .await
        .unwrap()
        .unwrap();
    assert_eq!((record.organization_id, record.target_id), (Some(ACME), Some(id)));
    assert_eq!(record.actor_user_id, Some(house.owner.user_id));
    assert!(audit::verify(&house.policies.platform.db, None).await.unwrap().first_break.is_none());
}

async fn ids_combine_what_with_who(house: &House) {
    let (owner, viewer) = (house.roles[&BuiltInRole::Owner], house.roles[&BuiltInRole::Viewer]);
    let policy = house
        .policy(json!({"name": "all", "type": "query_limit", "data_source_ids": [CRM, LAKE, CRM], "workspace_ids": [AMERICA],
            "role_ids": [owner, viewer], "user_ids": [house.developer.user_id]}))
        .await;
    let assignments = policy["assignments"].as_array().unwrap();
    assert_eq!(assignments.len(), 9);
    assert!(assignments.iter().all(|a| a["data_source_id"].is_null() != a["workspace_id"].is_null()));
    assert!(assignments.iter().all(|a| a["role_id"].is_null() != a["user_id"].is_null()));
    let only_who = house.policy(json!({"name": "who", "type": "query_limit", "role_ids": [owner, viewer]})).await;
    assert_eq!(only_who["assignments"].as_array().unwrap().len(), 2);
    let nothing = house.policy(json!({"name": "nothing", "type": "query_limit"})).await;
    assert_eq!((&nothing["assignments"], &nothing["rules"]), (&json!([]), &json!([])));
}

async fn faults_name_their_fields(house: &House) {
    let rule = |rule: Value| json!({"name": "a", "type": "data_masking", "rules": [rule]});
    let mask = |config: Value| rule(json!({"rule_name": "m", "rule_type": "mask_column", "rule_config": config}));
    let long = "x".repeat(256);
    for (body, field) in [
        (json!({"type": "data_masking"}), "name"),
        (json!({"name": "", "type": "data_masking"}), "name"),
        (json!({"name": "  ", "type": "data_masking"}), "name"),
        (json!({"name": "a\u{0}b", "type": "data_masking"}), "body"),
        (json!({"name": long, "type": "data_masking"}), "name"),
        (json!({"name": "a"}), "type"),
        (json!({"name": "a", "type": "firewall"}), "type"),
        (json!({"name": "a", "type": "data_masking", "priority": -1}), "priority"),
        (json!({"name": "a", "type": "data_masking", "colour": "red"}), "colour"),
        (json!({"name": "a", "type": "data_masking", "metadata": []}), "metadata"),
        (json!({"name": "a", "type": "data_masking", "role_ids": ["x"]}), "role_ids[0]"),
        (json!({"name": "a", "type": "data_masking", "user_ids": vec![1; 101]}), "user_ids"),
        (rule(json!({"rule_type": "mask_column", "rule_config": {}})), "rules[0].rule_name"),
        (rule(own_region()), "rules[0].rule_type"),
        (mask(json!({"column": "email"})), "rules[0].rule_config"),
        (mask(json!({"column": "email", "masking_function": "rot13"})), "rules[0].rule_config.masking_function"),
        (
            json!({"name": "a", "type": "row_level_security", "rules": [own_region(), {"rule_name": "f",
                "rule_type": "filter_rows", "rule_config": {"condition": "1 = 1; DROP TABLE users"}}]}),
            "rules[1].rule_config.condition",
        ),
    ] {
        let answer = house.post(&house.owner, "", body.clone()).await;
        let (code, fields) = answer.fault();
        assert_eq!(code, ErrorCode::ValidationError, "{body}");
        assert!(fields[0].starts_with(field), "{body}: {fields:?}");
    }
    let broken = house.post(&house.owner, "", Value::String("{".to_owned())).await;
    assert_eq!(broken.fault().0, ErrorCode::InvalidRequest);
    assert_eq!(house.get(&house.owner, "").await.data()["pagination"]["total_items"], 0);
}

async fn targets_of_others_are_not_found(house: &House) {
    let answer = house
        .post(&house.owner, "", json!({"name": "a", "type": "data_masking", "workspace_id": 999,
            "data_source_ids": [CRM, FOREIGN], "role_ids": [999], "user_ids": [house.stranger.user_id],
            "workspace_ids": [EUROPE, 998], "dataset_ids": [ORDERS, 1],
            "rules": [{"rule_name": "m", "rule_type": "mask_column", "rule_config":
                {"column": "email", "masking_function": "email", "unless_role_ids": [house.roles[&BuiltInRole::Owner], 999]}}]}))
        .await;
    let (code, mut fields) = answer.fault();
    fields.sort_unstable();
    assert_eq!(code, ErrorCode::NotFound);
    assert_eq!(
        fields,
        [
            "data_source_ids[1]",
            "dataset_ids[1]",
            "role_ids[0]",
            "rules[0].rule_config.unless_role_ids[1]",
            "user_ids[0]",
            "workspace_id",
            "workspace_ids[1]",
        ]
    );
    assert_eq!(house.get(&house.owner, "").await.data()["pagination"]["total_items"], 0);
}

async fn only_who_manages_policies_makes_them(house: &House) {
    let body = json!({"name": "a", "type": "data_masking"});
    for person in [&house.developer, &house.viewer] {
        assert_eq!(house.post(person, "", body.clone()).await.fault().0, ErrorCode::Forbidden);
    }
    assert_eq!(house.send("POST", None, "", Some(body.clone())).await.fault().0, ErrorCode::Unauthorized);
    // Somebody's policy is made in their own organization.
    let made = house.post(&house.stranger, "", body).await;
    assert_eq!(made.data()["organization_id"], json!(OrganizationId(2)));
}
