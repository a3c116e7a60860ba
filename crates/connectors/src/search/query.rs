//! Conditions in the query language, where all documents for which they hold are found.

use serde_json::{Value as Json, json};

use super::mapping::{self, Exact, ID};
use crate::documents::{Column, Condition, Operator, Value};

/// Lucene indexes no longer text.
const LONGEST_TERM: usize = 32_766;

/// The query that finds at least the documents of the condition; `None` where there is none.
pub(super) fn of(condition: &Condition, columns: &[Column]) -> Option<Json> {
    match condition {
        Condition::All(parts) => {
            let parts: Vec<_> = parts.iter().filter_map(|part| of(part, columns)).collect();
            (!parts.is_empty()).then(|| json!({"bool": {"filter": parts}}))
        }
        Condition::Any(parts) => {
            let parts = parts.iter().map(|part| of(part, columns)).collect::<Option<Vec<_>>>()?;
            Some(json!({"bool": {"should": parts, "minimum_should_match": 1}}))
        }
        Condition::Compare { column, operator: Operator::Equal, value: Value::Text(text) } if column == ID => {
            Some(json!({"ids": {"values": [text]}}))
        }
        Condition::In { column, values } if column == ID => {
            let names = values.iter().map(Value::as_str).collect::<Option<Vec<_>>>()?;
            Some(json!({"ids": {"values": names}}))
        }
        Condition::Compare { column, operator, value } => compare(column, *operator, value, columns),
        Condition::In { column, values } => {
            let parts = values.iter().map(|value| compare(column, Operator::Equal, value, columns));
            let parts = parts.collect::<Option<Vec<_>>>()?;
            Some(json!({"bool": {"should": parts, "minimum_should_match": 1}}))
        }
        Condition::Prefix { column, prefix } => {
            let exact = whole(column, columns).filter(|exact| exact.ignore_above.is_none() && !exact.normalized)?;
            Some(json!({"prefix": {exact.field: {"value": prefix}}}))
        }
        // What is indexed in the place of null, by another field or by a script, exists to the server.
        Condition::Null { .. } => None,
        // What is not indexed does not exist to the server.
        Condition::NotNull { column } => {
            let exact = whole(column, columns).filter(|exact| exact.ignore_above.is_none())?;
            Some(json!({"exists": {"field": exact.field}}))
        }
    }
}

fn whole(column: &str, columns: &[Column]) -> Option<Exact> {
    mapping::known(columns.iter().find(|known| known.name == column)?)?.exact
}

fn compare(column: &str, operator: Operator, value: &Value, columns: &[Column]) -> Option<Json> {
    let known = columns.iter().find(|known| known.name == column)?;
    let field = mapping::known(known)?;
    let exact = field.exact?;
    match (field.kind.as_str(), value) {
        ("keyword" | "text", Value::Text(text)) => {
            let length = exact.ignore_above.unwrap_or(u64::MAX);
            // Counted in UTF-16 there, which bytes are never fewer than.
            let indexed = text.len() <= LONGEST_TERM && text.len() as u64 <= length;
            match operator {
                Operator::Equal => indexed.then(|| json!({"term": {exact.field: {"value": text}}})),
                Operator::NotEqual => None,
                _ if exact.ignore_above.is_some() || exact.normalized => None,
                _ => range(exact.field, operator, json!(text)),
            }
        }
        ("boolean", Value::Bool(value)) if operator == Operator::Equal => {
            Some(json!({"term": {exact.field: {"value": value}}}))
        }
        ("long" | "integer" | "short" | "byte", Value::Int(value)) => match operator {
            Operator::Equal => Some(json!({"range": {exact.field: {"gte": value, "lte": value}}})),
            operator => range(exact.field, operator, json!(value)),
        },
        ("double", Value::Float(value)) => match operator {
            Operator::Equal => Some(json!({"range": {exact.field: {"gte": value, "lte": value}}})),
            operator => range(exact.field, operator, json!(value)),
        },
        // Indexed are whole milliseconds; before 1970 not every version reads them.
        ("date", Value::Moment(moment)) if *moment >= 0 => {
            let milliseconds = moment / 1_000;
            let bounds = match operator {
                Operator::Equal => json!({"gte": milliseconds, "lte": milliseconds, "format": "epoch_millis"}),
                Operator::Less | Operator::LessOrEqual => json!({"lte": milliseconds, "format": "epoch_millis"}),
                Operator::Greater | Operator::GreaterOrEqual => json!({"gte": milliseconds, "format": "epoch_millis"}),
                Operator::NotEqual => return None,
            };
            Some(json!({"range": {exact.field: bounds}}))
        }
        _ => None,
    }
}

fn range(field: String, operator: Operator, value: Json) -> Option<Json> {
    let bound = match operator {
        Operator::Less => "lt",
        Operator::LessOrEqual => "lte",
        Operator::Greater => "gt",
        Operator::GreaterOrEqual => "gte",
        Operator::Equal | Operator::NotEqual => return None,
    };
    Some(json!({"range": {field: {bound: value}}}))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::DataType;

    use super::*;

    fn columns() -> Vec<Column> {
        let text = |name: &str, exact: Json| {
            Column::new(name, "", DataType::Utf8).with_native(json!({"kind": "keyword", "exact": exact}))
        };
        vec![
            text("plain", json!({"field": "plain"})),
            text("short", json!({"field": "short", "ignore_above": 4})),
            text("lower", json!({"field": "lower", "normalized": true})),
            text("words", Json::Null),
        ]
    }

    fn accepted(column: &str, operator: Operator, text: &str) -> bool {
        let column = column.to_owned();
        of(&Condition::Compare { column, operator, value: Value::text(text) }, &columns()).is_some()
    }

    #[test]
    fn what_may_not_be_indexed_is_not_searched_for() {
        assert!(accepted("plain", Operator::Equal, "x") && accepted("plain", Operator::Less, "x"));
        assert!(!accepted("plain", Operator::NotEqual, "x"));
        assert!(!accepted("plain", Operator::Equal, &"x".repeat(LONGEST_TERM + 1)));
        assert!(accepted("short", Operator::Equal, "abcd") && !accepted("short", Operator::Equal, "abcde"));
        assert!(!accepted("short", Operator::Less, "x") && !accepted("lower", Operator::Less, "x"));
        assert!(accepted("lower", Operator::Equal, "x") && !accepted("words", Operator::Equal, "x"));
        let not_null = |column: &str| of(&Condition::NotNull { column: column.into() }, &columns()).is_some();
        assert!(not_null("plain") && not_null("lower") && !not_null("short") && !not_null("words"));
    }
}
