//! Conditions as filters of MongoDB, where all documents for which they hold are found.

use std::str::FromStr;

use mongodb::bson::oid::ObjectId;
use mongodb::bson::{Bson, DateTime, Decimal128, Document, doc};

use crate::documents::{Column, Condition, Operator, Value};

/// Whether a field can be named in a filter: a dot leads into objects there, a dollar begins an operator.
pub(super) fn is_addressable(field: &str) -> bool {
    !field.is_empty() && !field.contains('.') && !field.starts_with('$') && !field.contains('\0')
}

/// A filter that leaves out no document for which the condition holds.
pub(super) fn of(condition: &Condition, columns: &[Column]) -> Option<Document> {
    match condition {
        Condition::All(parts) => {
            let parts: Vec<_> = parts.iter().filter_map(|part| of(part, columns)).collect();
            (!parts.is_empty()).then(|| doc! {"$and": parts})
        }
        Condition::Any(parts) => {
            let parts = parts.iter().map(|part| of(part, columns)).collect::<Option<Vec<_>>>()?;
            Some(doc! {"$or": parts})
        }
        Condition::Compare { column, operator, value } => {
            let found = known(column, columns)?;
            // The collation of a view may order and fold texts.
            if found.native["view"] == true && matches!(value, Value::Text(_)) && *operator != Operator::Equal {
                return None;
            }
            let (sign, literal) = literal(found, *operator, value)?;
            let compared = doc! {column: {sign: literal}};
            // NaN is the least number there and the greatest here.
            match (value, operator) {
                (Value::Float(_), Operator::Greater | Operator::GreaterOrEqual) => {
                    Some(doc! {"$or": [compared, doc! {column: f64::NAN}]})
                }
                _ => Some(compared),
            }
        }
        Condition::In { column, values } => {
            let found = known(column, columns)?;
            let parts: Option<Vec<Document>> = values
                .iter()
                .map(|value| {
                    let (sign, literal) = literal(found, Operator::Equal, value)?;
                    Some(doc! {column: {sign: literal}})
                })
                .collect();
            Some(doc! {"$or": parts?})
        }
        Condition::Prefix { column, prefix } => {
            let found = known(column, columns).filter(|found| found.native["kind"] == "string")?;
            if found.native["view"] == true || prefix.contains('\0') {
                return None;
            }
            Some(doc! {column: {"$gte": prefix}})
        }
        // Missing, null, and the undefined of old.
        Condition::Null { column } => {
            named(column, columns)?;
            Some(doc! {"$or": [{column: Bson::Null}, {column: {"$type": 6}}]})
        }
        Condition::NotNull { column } => {
            named(column, columns)?;
            Some(doc! {column: {"$exists": true}})
        }
    }
}

fn named<'a>(column: &str, columns: &'a [Column]) -> Option<&'a Column> {
    columns.iter().find(|known| known.name == column && is_addressable(column))
}

/// A column whose values are all of one kind.
fn known<'a>(column: &str, columns: &'a [Column]) -> Option<&'a Column> {
    named(column, columns).filter(|found| found.native["kind"].is_string())
}

fn literal(column: &Column, operator: Operator, value: &Value) -> Option<(&'static str, Bson)> {
    let sign = match operator {
        Operator::Equal => "$eq",
        Operator::NotEqual => "$ne",
        Operator::Less => "$lt",
        Operator::LessOrEqual => "$lte",
        Operator::Greater => "$gt",
        Operator::GreaterOrEqual => "$gte",
    };
    Some(match (column.native["kind"].as_str()?, value) {
        ("boolean", Value::Bool(value)) if matches!(operator, Operator::Equal | Operator::NotEqual) => {
            (sign, (*value).into())
        }
        ("number", Value::Int(value)) => (sign, (*value).into()),
        ("number", Value::Float(value)) => (sign, (*value).into()),
        ("number", Value::Decimal(value)) => (sign, Decimal128::from_str(&value.to_string()).ok()?.into()),
        ("string", Value::Text(text)) => (sign, text.as_str().into()),
        ("objectId", Value::Text(text)) if operator == Operator::Equal => {
            (sign, ObjectId::parse_str(text).ok()?.into())
        }
        // Dates are whole milliseconds.
        ("date", Value::Moment(moment)) => {
            let milliseconds = DateTime::from_millis(moment.div_euclid(1_000));
            let sign = match operator {
                Operator::Equal => "$eq",
                Operator::Less | Operator::LessOrEqual => "$lte",
                Operator::Greater | Operator::GreaterOrEqual => "$gte",
                Operator::NotEqual => return None,
            };
            (sign, milliseconds.into())
        }
        _ => return None,
    })
}
