//! What changed between two versions of a policy, field by field.
//!
//! Rules are known by their names: `rules[own region].rule_config.condition`. The second rule of a name is
//! `rules[own region#2]`.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::ToSchema;

use crate::store::version::{Definition, RuleDefinition};

/// One field that is not what it was.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
#[schema(as = PolicyFieldChange)]
pub struct FieldChange {
    #[schema(examples("rules[own region].rule_config.condition"))]
    pub field: String,
    /// Null if it did not exist.
    #[schema(value_type = Option<Object>, example = json!("region = 'EU'"))]
    pub before: Value,
    /// Null if it was removed.
    #[schema(value_type = Option<Object>, example = json!("region = current_user_region"))]
    pub after: Value,
}

/// What makes the one definition the other.
pub fn changes(before: &Definition, after: &Definition) -> Vec<FieldChange> {
    let mut found = Vec::new();
    let mut compare = |field: &str, before: Value, after: Value| {
        if before != after {
            found.push(FieldChange { field: field.to_owned(), before, after });
        }
    };
    compare("name", json!(before.name), json!(after.name));
    compare("description", json!(before.description), json!(after.description));
    compare("is_active", json!(before.is_active), json!(after.is_active));
    compare("priority", json!(before.priority), json!(after.priority));
    compare("metadata", before.metadata.clone(), after.metadata.clone());
    let (old, new) = (by_name(&before.rules), by_name(&after.rules));
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    for name in names {
        let field = |part: &str| format!("rules[{name}]{part}");
        match (old.get(name), new.get(name)) {
            (Some(old), Some(new)) => {
                compare(&field(".rule_type"), json!(old.rule_type), json!(new.rule_type));
                let keys = |rule: &RuleDefinition| -> BTreeSet<String> {
                    rule.rule_config.as_object().into_iter().flat_map(|object| object.keys().cloned()).collect()
                };
                for key in &keys(old) | &keys(new) {
                    let part = |rule: &RuleDefinition| rule.rule_config.get(&key).cloned().unwrap_or_default();
                    compare(&field(&format!(".rule_config.{key}")), part(old), part(new));
                }
                compare(&field(".rule_order"), json!(old.rule_order), json!(new.rule_order));
                compare(&field(".is_active"), json!(old.is_active), json!(new.is_active));
            }
            (old, new) => compare(&field(""), json!(old), json!(new)),
        }
    }
    found
}

fn by_name(rules: &[RuleDefinition]) -> BTreeMap<String, &RuleDefinition> {
    let mut seen: BTreeMap<&str, usize> = BTreeMap::new();
    rules
        .iter()
        .map(|rule| {
            let count = seen.entry(&rule.rule_name).or_default();
            *count += 1;
            let name = if *count == 1 { rule.rule_name.clone() } else { format!("{}#{count}", rule.rule_name) };
            (name, rule)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rule::RuleType;

    fn definition(rules: Vec<RuleDefinition>) -> Definition {
        Definition { name: "p".into(), description: None, is_active: true, priority: 0, metadata: json!({}), rules }
    }

    fn rule(name: &str, condition: &str) -> RuleDefinition {
        RuleDefinition {
            rule_name: name.into(),
            rule_type: RuleType::FilterRows,
            rule_config: json!({"table": "orders", "condition": condition}),
            rule_order: 0,
            is_active: true,
        }
    }

    #[test]
    fn each_field_that_differs_is_named_once() {
        let before = definition(vec![rule("a", "x = 1"), rule("b", "y = 1"), rule("b", "y = 2")]);
        let after = Definition {
            is_active: false,
            ..definition(vec![rule("a", "x = 2"), rule("b", "y = 1"), rule("c", "z = 1")])
        };
        let found = changes(&before, &after);
        let fields: Vec<&str> = found.iter().map(|change| change.field.as_str()).collect();
        assert_eq!(fields, ["is_active", "rules[a].rule_config.condition", "rules[b#2]", "rules[c]"]);
        assert_eq!((&found[1].before, &found[1].after), (&json!("x = 1"), &json!("x = 2")));
        assert_eq!((&found[2].after, &found[3].before), (&Value::Null, &Value::Null));
        assert!(changes(&before, &before).is_empty());
    }
}
