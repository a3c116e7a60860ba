use rivergen_kernel::{BuiltInRole, ErrorCode};
use rivergen_platform::audit::log;
use sea_orm::{ColumnTrait, EntityTrait, PaginatorTrait, QueryFilter};
use serde_json::{Value, json};

use crate::harness::{CRM, EUROPE, FOREIGN, House, ORDERS, SHOP};

on_both_databases!(
    a_policy_is_assigned_once_to_the_same_targets,
    a_table_of_a_source_is_a_target,
    a_query_is_no_target,
    targets_must_be_there,
    who_may_assign,
);

async fn path(house: &House) -> String {
    let policy = house.policy(json!({"name": "a", "type": "data_masking"})).await;
    format!("/{}/assignments", policy["id"])
}

async fn a_policy_is_assigned_once_to_the_same_targets(house: &House) {
    let path = path(house).await;
    let viewer = house.roles[&BuiltInRole::Viewer];
    let body = json!({"data_source_id": CRM, "role_id": viewer, "is_active": false, "metadata": {"why": "audit"}});
    let answer = house.post(&house.owner, &path, body.clone()).await;
    assert_eq!(answer.status, 201);
    let made = answer.data();
    assert_eq!((&made["data_source_id"], &made["role_id"]), (&json!(CRM), &json!(viewer)));
    assert_eq!((&made["role_name"], &made["is_active"]), (&json!("Viewer"), &json!(false)));
    assert_eq!(
        (&made["metadata"], &made["applied_by_user_id"]),
        (&json!({"why": "audit"}), &json!(house.owner.user_id))
    );
    for absent in ["dataset_id", "query_id", "user_id", "workspace_id"] {
        assert_eq!(made[absent], Value::Null, "{absent}");
    }

    let again = house.post(&house.owner, &path, json!({"role_id": viewer, "data_source_id": CRM})).await;
    assert_eq!(again.fault().0, ErrorCode::AssignmentExists);
    for other in [
        json!({"role_id": viewer}),
        json!({"data_source_id": CRM}),
        json!({"workspace_id": EUROPE}),
        json!({"data_source_id": CRM, "role_id": viewer, "user_id": house.viewer.user_id}),
    ] {
        assert_eq!(house.post(&house.owner, &path, other.clone()).await.status, 201, "{other}");
        assert_eq!(house.post(&house.owner, &path, other.clone()).await.fault().0, ErrorCode::AssignmentExists);
    }
    let whole = house.get(&house.owner, path.trim_end_matches("/assignments")).await;
    assert_eq!(whole.data()["assignments"].as_array().unwrap().len(), 5);
    assert_eq!(&whole.data()["assignments"][0], made);
    let recorded = log::Entity::find().filter(log::Column::Action.eq("policy.assign"));
    assert_eq!(recorded.count(house.policies.platform.db.read()).await.unwrap(), 5);
}

async fn a_table_of_a_source_is_a_target(house: &House) {
    let path = path(house).await;
    let answer = house.post(&house.owner, &path, json!({"dataset_id": ORDERS})).await;
    let made = answer.data();
    assert_eq!((&made["dataset_id"], &made["dataset_name"]), (&json!(ORDERS), &json!("public.orders")));
    assert_eq!((&made["dataset_source_id"], &made["data_source_id"]), (&json!(CRM), &Value::Null));
    let again = house.post(&house.owner, &path, json!({"dataset_id": ORDERS})).await;
    assert_eq!(again.fault().0, ErrorCode::AssignmentExists);
    let both = json!({"dataset_id": ORDERS, "data_source_id": CRM});
    assert_eq!(house.post(&house.owner, &path, both).await.status, 201);
    // It would govern nothing.
    let elsewhere = json!({"dataset_id": ORDERS, "data_source_id": SHOP});
    let refused = house.post(&house.owner, &path, elsewhere).await;
    assert_eq!(refused.fault(), (ErrorCode::ValidationError, vec!["dataset_id"]));
    let listed = house.get(&house.owner, &format!("{path}?dataset_id={}", ORDERS.0)).await;
    assert_eq!(listed.data()["pagination"]["total_items"], 2);
    let others = house.get(&house.owner, &format!("{path}?dataset_id=1")).await;
    assert_eq!(others.data()["pagination"]["total_items"], 0);
}

async fn a_query_is_no_target(house: &House) {
    let path = path(house).await;
    for body in [json!({"query_id": 1}), json!({"query_id": 1, "data_source_id": CRM})] {
        let refused = house.post(&house.owner, &path, body).await;
        assert_eq!(refused.fault(), (ErrorCode::ValidationError, vec!["query_id"]));
    }
    let body = json!({"name": "b", "type": "data_masking", "data_source_ids": [CRM], "query_ids": [1]});
    assert_eq!(house.post(&house.owner, "", body).await.fault(), (ErrorCode::ValidationError, vec!["query_ids"]));
    assert_eq!(house.get(&house.owner, "").await.data()["pagination"]["total_items"], 1);
}

async fn targets_must_be_there(house: &House) {
    let path = path(house).await;
    for body in [json!({}), json!({"is_active": true}), json!({"role_id": null})] {
        assert_eq!(
            house.post(&house.owner, &path, body.clone()).await.fault(),
            (ErrorCode::BadRequest, vec![]),
            "{body}"
        );
    }
    for (body, field) in [
        (json!({"data_source_id": FOREIGN}), "data_source_id"),
        (json!({"role_id": 999, "data_source_id": CRM}), "role_id"),
        (json!({"user_id": house.stranger.user_id}), "user_id"),
        (json!({"workspace_id": 999}), "workspace_id"),
        (json!({"dataset_id": 1}), "dataset_id"),
        (json!({"dataset_id": 1, "data_source_id": CRM}), "dataset_id"),
    ] {
        assert_eq!(
            house.post(&house.owner, &path, body.clone()).await.fault(),
            (ErrorCode::NotFound, vec![field]),
            "{body}"
        );
    }
    for (body, field) in [(json!({"role_id": "x"}), "role_id"), (json!({"role": 1}), "role")] {
        assert_eq!(house.post(&house.owner, &path, body).await.fault(), (ErrorCode::ValidationError, vec![field]));
    }
}

async fn who_may_assign(house: &House) {
    let path = path(house).await;
    let body = json!({"data_source_id": CRM});
    assert_eq!(house.post(&house.developer, &path, body.clone()).await.fault().0, ErrorCode::Forbidden);
    assert_eq!(house.post(&house.stranger, &path, body.clone()).await.fault().0, ErrorCode::NotFound);
    assert_eq!(house.post(&house.owner, "/999/assignments", body.clone()).await.fault().0, ErrorCode::NotFound);
    assert_eq!(house.send("POST", None, &path, Some(body)).await.fault().0, ErrorCode::Unauthorized);
}
