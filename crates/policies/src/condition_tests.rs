use proptest::prelude::*;
use serde_json::json;

use super::*;

fn attributes(value: Json) -> Facts {
    let attributes = value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect();
    Facts { attributes, ..Facts::default() }
}

#[test]
fn reads_the_whole_language() {
    let text = "(region = current_user_region OR region IN ('EU', 'US')) AND NOT (age < -3 AND x IS NULL) \
                AND name LIKE 'A%' AND active = true AND y NOT IN (1, 2.5) AND z BETWEEN 1 AND 2";
    let condition = Condition::parse(text).unwrap();
    assert_eq!(condition.columns().into_iter().collect::<Vec<_>>(), ["active", "age", "name", "region", "x", "y", "z"]);
    assert_eq!(condition.attributes().into_iter().collect::<Vec<_>>(), ["region"]);
    let Condition::And(parts) = condition else { panic!("not a conjunction") };
    assert_eq!(parts.len(), 6);
}

#[test]
fn refuses_everything_else() {
    for text in [
        "",
        "region",
        "region = ",
        "region = other_column",
        "current_user_region = region",
        "current_hour = region",
        "current_ip IN ('10.0.0.0/99')",
        "current_ip = 5",
        "current_user_region LIKE 'a'",
        "current_time IS NULL",
        "\"current_hour\" = current_hour AND now() = 1",
        "'EU' = 'EU'",
        "1 = 1",
        "true",
        "region = (SELECT max(region) FROM t)",
        "NOT (region IN (SELECT region FROM t))",
        "region NOT IN (SELECT region FROM t)",
        "region IN (SELECT DISTINCT region FROM t)",
        "region IN (SELECT region AS r FROM t)",
        "region IN (SELECT region FROM t AS x)",
        "region IN (SELECT region FROM t, u)",
        "region IN (SELECT region FROM t JOIN u ON true)",
        "region IN (SELECT max(region) FROM t)",
        "region IN (SELECT region FROM t LIMIT 1)",
        "region IN (SELECT region FROM t ORDER BY region)",
        "region IN (SELECT region FROM t GROUP BY region)",
        "region IN (SELECT region FROM t UNION SELECT region FROM u)",
        "region IN (WITH x AS (SELECT 1) SELECT region FROM x)",
        "region IN (SELECT region FROM read_csv('/etc/passwd'))",
        "region IN (SELECT region FROM a.b.c)",
        "region IN (SELECT region FROM t WHERE a IN (SELECT b FROM u))",
        "region IN (SELECT region FROM t WHERE lower(a) = 'x')",
        "region IN (SELECT region FROM t FOR UPDATE)",
        "region IN (SELECT *  FROM t)",
        "region IN (SELECT region FROM t TABLESAMPLE (1))",
        "EXISTS (SELECT 1)",
        "lower(region) = 'eu'",
        "region = lower('EU')",
        "region || 'x' = 'EUx'",
        "salary + 1 > 2",
        "region = NULL",
        "region = 'EU'; DROP TABLE t",
        "region = 'EU' -- OR 1=1\n OR x = 2 y",
        "region ILIKE 'e%'",
        "region SIMILAR TO 'e'",
        "region LIKE current_user_region",
        "t.region = 'EU'",
        "region IS TRUE",
        "region IS DISTINCT FROM 'EU'",
        "region = ANY (ARRAY['EU'])",
        "CASE WHEN true THEN true END",
        "CAST(region AS INT) = 1",
        "region = $1",
        "region = X'41'",
        "current_user_region IS NULL",
        "region = \"current_user_region\"",
        "region IN ()",
    ] {
        assert!(Condition::parse(text).is_err(), "accepted: {text}");
    }
}

#[test]
fn depth_and_length_are_bounded() {
    let deep = format!("{}a = 1{}", "(".repeat(500), ")".repeat(500));
    assert!(matches!(Condition::parse(&deep), Err(ConditionError::Syntax(_))));
    let nots = format!("{}a = 1", "NOT ".repeat(900));
    assert!(matches!(Condition::parse(&nots), Err(ConditionError::Syntax(_))));
    let long = vec!["a = 1"; 1_000].join(" OR ");
    assert_eq!(Condition::parse(&long), Err(ConditionError::TooLong));
    let chain = vec!["a = 1"; 400].join(" OR ");
    assert!(matches!(Condition::parse(&chain), Ok(Condition::Or(parts)) if parts.len() == 400));
}

#[test]
fn what_is_known_of_the_request_decides_once_for_all_rows() {
    let facts = Facts {
        user_id: Some(rivergen_kernel::UserId(7)),
        email: Some("ada@acme.example".into()),
        role_names: vec!["Viewer".into(), "Auditor".into()],
        groups: vec!["Ops".into()],
        at: chrono::DateTime::from_timestamp(1_785_510_300, 0),
        ip: Some("::ffff:10.1.2.3".parse().unwrap()),
        ..attributes(json!({"region": "EU", "level": "5", "groups": ["sales"], "id": 99, "roles": ["Owner"],
            "account": 9_007_199_254_740_993_i64, "badge": "9007199254740993"}))
    };
    for (text, holds) in [
        ("'Auditor' IN (current_user_roles)", Some(true)),
        ("'Owner' IN (current_user_roles)", Some(false)),
        ("'Owner' NOT IN (current_user_roles)", Some(true)),
        // One that the member was given, and one that an identity provider names.
        ("'sales' IN (current_user_groups)", Some(true)),
        ("'Ops' IN (current_user_groups)", Some(true)),
        ("'finance' IN (current_user_groups)", Some(false)),
        ("current_user_id = 7", Some(true)),
        ("current_user_email = 'ada@acme.example'", Some(true)),
        ("current_user_region = 'EU'", Some(true)),
        ("current_user_level = 5", Some(true)),
        ("current_user_level > 5", None),
        // Numbers that a fraction of 64 bits does not tell apart.
        ("current_user_account = 9007199254740993", Some(true)),
        ("current_user_account = 9007199254740992", Some(false)),
        ("current_user_account > 9007199254740992", Some(true)),
        ("current_user_account IN (9007199254740992, 5)", Some(false)),
        ("current_user_badge = 9007199254740992", Some(false)),
        ("current_user_roles = 'Viewer'", None),
        // Friday, 31 July 2026, 15:05 UTC.
        ("current_date = '2026-07-31'", Some(true)),
        ("current_time BETWEEN '08:00' AND '18:00'", Some(true)),
        ("current_timestamp < '2026-07-31T15:05:01Z'", Some(true)),
        ("current_hour NOT BETWEEN 8 AND 14", Some(true)),
        ("current_weekday <= 5", Some(true)),
        ("current_ip IN ('192.168.0.0/16', '10.0.0.0/8')", Some(true)),
        ("current_ip <> '10.1.2.3'", Some(false)),
        ("current_ip NOT IN ('2001:db8::/32')", Some(true)),
    ] {
        let condition = Condition::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert!(condition.columns().is_empty());
        let holds_as_bound = |condition: &Condition<Literal>| match condition {
            Condition::Known(known) => *known,
            Condition::And(parts) => {
                parts.iter().map(|part| matches!(part, Condition::Known(Some(true)))).reduce(|a, b| a && b)
            }
            Condition::Not(inner) => match inner.as_ref() {
                Condition::And(parts) => parts
                    .iter()
                    .map(|part| matches!(part, Condition::Known(Some(true))))
                    .reduce(|a, b| a && b)
                    .map(|all| !all),
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        };
        match (condition.bind(&facts), text) {
            (Bound::NoRows { missing_attribute }, "current_user_roles = 'Viewer'") => {
                assert_eq!(missing_attribute, "roles");
            }
            (Bound::Rows(bound), _) => assert_eq!(holds_as_bound(&bound), holds, "{text}"),
            (other, _) => panic!("{text}: {other:?}"),
        }
        // What is not known hides every row.
        assert!(matches!(condition.bind(&Facts::default()), Bound::NoRows { .. } | Bound::Rows(_)));
    }
    let elsewhere = Condition::parse("region = 'EU' OR current_ip = '10.0.0.0/8'").unwrap();
    assert_eq!(elsewhere.bind(&Facts::default()), Bound::NoRows { missing_attribute: "current_ip".into() });
}

#[test]
fn a_table_of_entitlements_opens_rows() {
    let text = "region = 'EU' OR id IN (SELECT customer_id FROM public.entitlements \
                WHERE email = current_user_email AND until >= current_date)";
    let condition = Condition::parse(text).unwrap();
    assert_eq!(condition.columns().into_iter().collect::<Vec<_>>(), ["id", "region"]);
    assert_eq!(condition.tables().into_iter().collect::<Vec<_>>(), ["public.entitlements"]);
    assert_eq!(Condition::parse(&condition.to_string()).unwrap(), condition);
    assert_eq!(condition.bind(&Facts::default()), Bound::NoRows { missing_attribute: "email".into() });
    let whole = Condition::parse("id IN (SELECT id FROM t)").unwrap();
    assert!(matches!(whole.bind(&Facts::default()), Bound::Rows(Condition::Entitled { .. })));
}

#[test]
fn errors_say_where_they_are() {
    for (text, place) in [
        ("region = 'EU' AND salary + 1 > 2", "line 1, column 19"),
        ("region = 'EU'\n  AND lower(region) = 'x'", "line 2, column 7"),
        ("a = 1 OR b IN (1, NULL)", "line 1, column 19"),
        ("a = 1 AND (b = )", "Column: 16"),
    ] {
        let error = Condition::parse(text).unwrap_err().to_string();
        assert!(error.contains(place), "{text}: {error}");
    }
}

#[test]
fn an_attribute_that_is_missing_or_null_empties_the_filter() {
    let condition = Condition::parse("public = true OR NOT (region = current_user_region)").unwrap();
    for held in [json!({}), json!({"region": null}), json!({"region": {}}), json!({"region": ["EU"]})] {
        assert_eq!(condition.bind(&attributes(held)), Bound::NoRows { missing_attribute: "region".into() });
    }
    assert!(matches!(condition.bind(&attributes(json!({"region": "EU"}))), Bound::Rows(_)));
}

#[test]
fn a_list_attribute_stands_for_its_members() {
    let condition = Condition::parse("region IN ('XX', current_user_regions)").unwrap();
    let Bound::Rows(Condition::In { values, .. }) = condition.bind(&attributes(json!({"regions": ["EU", 5]}))) else {
        panic!("not bound")
    };
    assert_eq!(values, [Literal::Text("XX".into()), Literal::Text("EU".into()), Literal::Number("5".into())]);
    let with_null = attributes(json!({"regions": ["EU", null]}));
    assert!(matches!(condition.bind(&with_null), Bound::NoRows { .. }));
}

proptest! {
    /// Whatever is written, reading it ends, and what an attribute holds never changes the shape.
    #[test]
    fn never_panics(text in ".{0,200}") {
        let _ = Condition::parse(&text);
    }

    #[test]
    fn an_attribute_is_a_value_never_text_of_the_condition(value in ".{0,40}") {
        let condition = Condition::parse("region = current_user_region").unwrap();
        let bound = condition.bind(&attributes(json!({"region": value})));
        prop_assert_eq!(bound, Bound::Rows(Condition::Compare {
            column: "region".into(),
            comparison: Comparison::Equal,
            value: Literal::Text(value),
        }));
    }
}
