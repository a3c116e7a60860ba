use rivergen_kernel::ErrorCode;
use serde_json::{Value, json};

use crate::harness::{AMERICA, Answer, EUROPE, House};

on_both_databases!(the_list_is_filtered_and_paged);

fn names(answer: &Answer) -> Vec<&str> {
    answer.data()["items"].as_array().unwrap().iter().map(|item| item["name"].as_str().unwrap()).collect()
}

async fn the_list_is_filtered_and_paged(house: &House) {
    for (name, description, policy_type, workspace, active, priority) in [
        ("Own region", Value::Null, "row_level_security", json!(EUROPE), true, 1),
        ("Hide cards", json!("100% of the card"), "data_masking", json!(AMERICA), true, 9),
        ("Limit", json!("ten_thousand rows"), "query_limit", Value::Null, false, 5),
    ] {
        house
            .policy(json!({"name": name, "description": description, "type": policy_type, "workspace_id": workspace,
                "is_active": active, "priority": priority}))
            .await;
    }
    house.post(&house.stranger, "", json!({"name": "Foreign", "type": "query_limit"})).await.data();

    let all = house.get(&house.developer, "").await;
    assert_eq!(names(&all), ["Hide cards", "Limit", "Own region"]);
    assert_eq!(
        all.data()["pagination"],
        json!({"page": 1, "page_size": 20, "total_items": 3, "total_pages": 1, "has_next": false, "has_previous": false})
    );
    let item = all.data()["items"][0].as_object().unwrap();
    let mut fields: Vec<&str> = item.keys().map(String::as_str).collect();
    fields.sort_unstable();
    assert_eq!(
        fields,
        [
            "created_at",
            "description",
            "id",
            "is_active",
            "name",
            "organization_id",
            "priority",
            "type",
            "updated_at",
            "workspace_id"
        ]
    );

    for (query, expected) in [
        (format!("?workspace_id={EUROPE}"), vec!["Own region"]),
        ("?type=query_limit".to_owned(), vec!["Limit"]),
        ("?is_active=false".to_owned(), vec!["Limit"]),
        ("?is_active=true&type=query_limit".to_owned(), vec![]),
        ("?search=REGION".to_owned(), vec!["Own region"]),
        ("?search=card".to_owned(), vec!["Hide cards"]),
        ("?search=100%25".to_owned(), vec!["Hide cards"]),
        ("?search=%25".to_owned(), vec!["Hide cards"]),
        ("?search=_".to_owned(), vec!["Limit"]),
        ("?page=2&page_size=2".to_owned(), vec!["Own region"]),
        ("?page=9".to_owned(), vec![]),
    ] {
        assert_eq!(names(&house.get(&house.owner, &query).await), expected, "{query}");
    }
    for (query, field) in [
        ("?type=x", "type"),
        ("?is_active=maybe", "is_active"),
        ("?workspace_id=x", "workspace_id"),
        ("?page=0", "page"),
        ("?page_size=101", "page_size"),
        ("?search=%00", "search"),
    ] {
        let answer = house.get(&house.owner, query).await;
        let (code, fields) = answer.fault();
        assert_eq!(code, ErrorCode::ValidationError, "{query}");
        assert!(fields[0].starts_with(field), "{query}: {fields:?}");
    }
    assert_eq!(names(&house.get(&house.stranger, "").await), ["Foreign"]);
    assert_eq!(house.get(&house.viewer, "").await.fault().0, ErrorCode::Forbidden);
    assert_eq!(house.send("GET", None, "", None).await.fault().0, ErrorCode::Unauthorized);
}
