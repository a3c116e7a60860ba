use serde_json::json;

use super::*;

#[test]
fn reads_every_rule_of_the_contract() {
    for (rule_type, config) in [
        (RuleType::FilterRows, json!({"condition": "region = current_user_region", "table": "sales"})),
        (RuleType::FilterRows, json!({"table": "sales", "column": "region", "operator": "equals", "value": "EU"})),
        (RuleType::FilterRows, json!({"column": "region", "operator": "is_not_null"})),
        (RuleType::FilterRows, json!({"column": "region", "operator": "not_in", "value": ["EU", "US"]})),
        (
            RuleType::FilterRows,
            json!({"condition": "region = current_user_region", "column": "region", "operator": "equals"}),
        ),
        (
            RuleType::FilterRows,
            json!({"condition": "region = current_user_region", "column": "region", "operator": "equals", "value": "current_user_region"}),
        ),
        (
            RuleType::MaskColumn,
            json!({"table": "*", "column": "card", "masking_function": "partial", "options": {"keep_last": 4}, "unless_role_ids": [1]}),
        ),
        (RuleType::LimitQuery, json!({"max_rows": 10})),
        (RuleType::AllowAccess, json!({"table": "public.customers", "columns": ["id"]})),
        (RuleType::DenyAccess, json!({"table": "customers"})),
        (RuleType::DenyAccess, json!({"tag": "pii.*"})),
    ] {
        let rule = RuleConfig::parse(rule_type, &config).unwrap_or_else(|error| panic!("{config}: {error}"));
        assert_eq!(rule.rule_type(), rule_type);
    }
}

#[test]
fn names_the_field_of_a_fault() {
    for (rule_type, config, field) in [
        (RuleType::FilterRows, json!({}), "condition"),
        (RuleType::DenyAccess, json!({"columns": ["a"], "tag": "pii.*"}), "columns"),
        (RuleType::DenyAccess, json!({"tag": "Pii Email"}), "tag"),
        (RuleType::AllowAccess, json!({"tag": "pii.*"}), "tag"),
        (RuleType::FilterRows, json!({"condition": "1 = 1"}), "condition"),
        (RuleType::FilterRows, json!({"condition": "a = 1", "junk": 1}), "junk"),
        (RuleType::FilterRows, json!({"column": "a", "value": 1}), "operator"),
        (RuleType::FilterRows, json!({"column": "a", "operator": "equals"}), "value"),
        (RuleType::FilterRows, json!({"column": "a", "operator": "roughly", "value": 1}), "operator"),
        (RuleType::FilterRows, json!({"column": "a", "operator": "is_null", "value": 1}), "value"),
        (RuleType::FilterRows, json!({"column": "a", "operator": "in", "value": []}), "value"),
        (RuleType::FilterRows, json!({"condition": "a = 1", "operator": "equals"}), "column"),
        // The documentation's own example, whose two halves name different columns.
        (
            RuleType::FilterRows,
            json!({"condition": "user_region = current_user_region", "table": "sales", "column": "region", "operator": "equals"}),
            "condition",
        ),
        (
            RuleType::FilterRows,
            json!({"condition": "a = 1", "column": "a", "operator": "equals", "value": 2}),
            "condition",
        ),
        (RuleType::FilterRows, json!({"condition": "a = 1", "table": " "}), "table"),
        (RuleType::MaskColumn, json!({"column": "a", "masking_function": "rot13"}), "masking_function"),
        (RuleType::MaskColumn, json!({"column": "", "masking_function": "redact"}), "column"),
        (
            RuleType::MaskColumn,
            json!({"column": "a", "masking_function": "round_number", "options": {"to": -5}}),
            "options.to",
        ),
        (RuleType::LimitQuery, json!({}), ""),
        (RuleType::LimitQuery, json!({"max_rows": -1}), "max_rows"),
        (RuleType::LimitQuery, json!({"max_execution_seconds": 0}), "max_execution_seconds"),
        (RuleType::DenyAccess, json!({"columns": []}), "columns"),
        (RuleType::AllowAccess, json!({"columns": ["a", "*"]}), "columns[1]"),
    ] {
        let error = RuleConfig::parse(rule_type, &config).unwrap_err();
        assert_eq!(error.field, field, "{config}: {error}");
    }
}

#[test]
fn table_patterns_match_by_suffix_of_the_full_name() {
    let name = TableName { catalog: "crm".into(), schema: "public".into(), table: "Customers".into() };
    for pattern in ["customers", "PUBLIC.customers", "crm.public.customers", "*"] {
        assert!(TablePattern::parse(Some(pattern)).unwrap().matches(&name), "{pattern}");
    }
    for pattern in ["customer", "main.customers", "crm.customers", "erp.public.customers", "s"] {
        assert!(!TablePattern::parse(Some(pattern)).unwrap().matches(&name), "{pattern}");
    }
}

#[test]
fn limits_tighten() {
    let a = QueryLimits { max_rows: Some(10), max_execution_seconds: None, max_queries_per_hour: Some(3) };
    let b = QueryLimits { max_rows: Some(7), max_execution_seconds: Some(2), max_queries_per_hour: None };
    let both = QueryLimits { max_rows: Some(7), max_execution_seconds: Some(2), max_queries_per_hour: Some(3) };
    assert_eq!(a.tighten(b), both);
    assert_eq!(b.tighten(a), both);
    assert_eq!(a.tighten(a), a);
}
