//! Row filters as expressions.
//!
//! A literal takes the type of the column that it is compared with, here and now: the column itself is never cast to
//! a type that could refuse one of its values, so a row filter has an answer for every row. A literal that is no
//! value of the column's type makes the policy inapplicable, and that refuses the query.

use std::{collections::BTreeMap, sync::Arc};

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::{
    arrow::datatypes::{DataType, Schema, TimeUnit},
    catalog::TableProvider,
    common::{Column, ScalarValue},
    datasource::provider_as_source,
    error::DataFusionError,
    logical_expr::{Expr, Like, LogicalPlanBuilder, cast, expr::InList, in_subquery, lit},
};
use rivergen_policies::condition::{Bound, Comparison, Condition, Entitlement, Literal, Operand};

/// Why a filter or a mask cannot stand on a table. For administrators: it names columns.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Inapplicable(pub String);

/// The rows of one filter as an expression over the table's columns.
pub fn row_filter(rows: &Bound, schema: &Schema, entitlements: &Entitlements) -> Result<Expr, Inapplicable> {
    match rows {
        Bound::NoRows { .. } => Ok(lit(false)),
        Bound::Rows(condition) => expression(condition, schema, entitlements),
    }
}

/// The tables of entitlements that filters read, by the names that the filters have for them.
pub type Entitlements = BTreeMap<String, Arc<dyn TableProvider>>;

/// Whether the condition fits the columns' types, whoever asks: each literal is a value of its column's type, and an
/// attribute stands beside a column that can be compared at all.
pub fn check_condition(
    condition: &Condition,
    schema: &Schema,
    entitlements: &Entitlements,
) -> Result<(), Inapplicable> {
    expression(&with_stand_ins(condition, schema, entitlements)?, schema, entitlements).map(drop)
}

/// The condition with some value of the column's type in the place of each attribute.
pub(crate) fn with_stand_ins(
    condition: &Condition,
    schema: &Schema,
    entitlements: &Entitlements,
) -> Result<Condition<Literal>, Inapplicable> {
    let all = |parts: &[Condition]| {
        parts.iter().map(|part| with_stand_ins(part, schema, entitlements)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match condition {
        Condition::And(parts) => Condition::And(all(parts)?),
        Condition::Or(parts) => Condition::Or(all(parts)?),
        Condition::Not(inner) => Condition::Not(Box::new(with_stand_ins(inner, schema, entitlements)?)),
        Condition::Entitled { column, select } => {
            let schema = entitlement_table(&select.table, entitlements)?.schema();
            let Entitlement { table, column: of, filter } = named_in(select, &schema)?;
            let filter = filter.map(|filter| with_stand_ins(&filter, &schema, &Entitlements::new())).transpose()?;
            let select = Entitlement { table, column: of, filter };
            Condition::Entitled { column: column.clone(), select: Box::new(select) }
        }
        leaf => leaf.map_values(&mut |column, operand| stand_in(column, operand, schema))?,
    })
}

fn stand_in(column: &str, operand: &Operand, schema: &Schema) -> Result<Literal, Inapplicable> {
    match operand {
        Operand::Literal(literal) => Ok(literal.clone()),
        Operand::Attribute(_) | Operand::Session(_) => {
            let data_type = type_of(column, schema)?;
            let candidates = [
                Literal::Text(String::new()),
                Literal::Number("0".into()),
                Literal::Boolean(true),
                Literal::Text("2000-01-01".into()),
            ];
            candidates
                .into_iter()
                .find(|candidate| literal_of(candidate, data_type).is_some())
                .ok_or_else(|| Inapplicable(format!("{column} is {data_type}, which cannot be compared")))
        }
    }
}

fn entitlement_table<'a>(
    name: &str,
    entitlements: &'a Entitlements,
) -> Result<&'a Arc<dyn TableProvider>, Inapplicable> {
    entitlements
        .get(name)
        .ok_or_else(|| Inapplicable(format!("the source does not have exactly one table {name} for a sub-select")))
}

/// The sub-select with its columns named as its table names them.
pub fn named_in<V: Clone>(select: &Entitlement<V>, table: &Schema) -> Result<Entitlement<V>, Inapplicable> {
    let mut named = |name: &str| column_in_table(name, table);
    let filter = select.filter.clone().map(|filter| filter.map_columns(&mut named)).transpose()?;
    Ok(Entitlement { table: select.table.clone(), column: named(&select.column)?, filter })
}

fn column_in_table(name: &str, table: &Schema) -> Result<String, Inapplicable> {
    let names = || table.fields().iter().map(|field| field.name());
    let mut alike = names().filter(|known| known.eq_ignore_ascii_case(name));
    let only = || alike.next().filter(|_| alike.next().is_none());
    let found = names().find(|known| *known == name).or_else(only);
    found
        .cloned()
        .ok_or_else(|| Inapplicable(format!("the table of a sub-select does not have exactly one column {name}")))
}

/// `column IN (SELECT …)`: a semi-join with the table as it is.
fn entitled(
    column: &str,
    select: &Entitlement<Literal>,
    schema: &Schema,
    entitlements: &Entitlements,
) -> Result<Expr, Inapplicable> {
    let unplannable = |error: DataFusionError| Inapplicable(error.strip_backtrace());
    let provider = entitlement_table(&select.table, entitlements)?;
    let table = provider.schema();
    let Entitlement { column: of, filter, .. } = named_in(select, &table)?;
    let (outer, inner) = (type_of(column, schema)?, type_of(&of, &table)?);
    let is_text = |data_type: &DataType| matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View);
    let is_whole = |data_type: &DataType| data_type.is_signed_integer();
    // Nothing that a cast could refuse.
    if outer != inner && !(is_text(outer) && is_text(inner)) && !(is_whole(outer) && is_whole(inner)) {
        return Err(Inapplicable(format!("{column} is {outer}, and {of} of the sub-select is {inner}")));
    }
    let mut plan = LogicalPlanBuilder::scan("entitlements", provider_as_source(Arc::clone(provider)), None)
        .map_err(unplannable)?;
    if let Some(filter) = filter {
        let filter = expression(&filter, &table, &Entitlements::new())?;
        plan = plan.filter(filter).map_err(unplannable)?;
    }
    let plan = plan.project([column_of(&of)]).and_then(LogicalPlanBuilder::build).map_err(unplannable)?;
    Ok(in_subquery(column_of(column), Arc::new(plan)))
}

pub(crate) fn expression(
    condition: &Condition<Literal>,
    schema: &Schema,
    entitlements: &Entitlements,
) -> Result<Expr, Inapplicable> {
    let all = |parts: &[Condition<Literal>]| {
        parts.iter().map(|part| expression(part, schema, entitlements)).collect::<Result<Vec<_>, _>>()
    };
    Ok(match condition {
        Condition::Compare { column, comparison, value } => {
            let (left, right) = sides(column, value, schema)?;
            match comparison {
                Comparison::Equal => left.eq(right),
                Comparison::NotEqual => left.not_eq(right),
                Comparison::Less => left.lt(right),
                Comparison::LessOrEqual => left.lt_eq(right),
                Comparison::Greater => left.gt(right),
                Comparison::GreaterOrEqual => left.gt_eq(right),
            }
        }
        Condition::In { values, .. } if values.is_empty() => lit(false),
        Condition::In { column, values, negated } => {
            let mut comparisons =
                values.iter().map(|value| sides(column, value, schema)).collect::<Result<Vec<_>, _>>()?;
            // All sides of one list share a type where every literal left the column as it is.
            let plain = comparisons.iter().all(|(left, _)| matches!(left, Expr::Column(_)));
            if plain {
                let list = comparisons.drain(..).map(|(_, right)| right).collect();
                Expr::InList(InList::new(Box::new(column_of(column)), list, *negated))
            } else {
                let any =
                    comparisons.into_iter().map(|(left, right)| left.eq(right)).reduce(Expr::or).unwrap_or(lit(false));
                if *negated { Expr::Not(Box::new(any)) } else { any }
            }
        }
        Condition::Like { column, pattern, negated } => {
            let data_type = type_of(column, schema)?;
            let pattern = match text_type(data_type) {
                Some(text) => text_value(text, pattern.clone()),
                None => return Err(Inapplicable(format!("LIKE needs a text column, but {column} is {data_type}"))),
            };
            let left = match data_type {
                DataType::Dictionary(_, value) => cast(column_of(column), value.as_ref().clone()),
                _ => column_of(column),
            };
            Expr::Like(Like::new(*negated, Box::new(left), Box::new(lit(pattern)), None, false))
        }
        Condition::IsNull { column, negated } => {
            type_of(column, schema)?;
            if *negated { column_of(column).is_not_null() } else { column_of(column).is_null() }
        }
        // A test of the request is made before; one that is not made lets no row through.
        Condition::Fact(_) => lit(false),
        Condition::Known(known) => lit(ScalarValue::Boolean(*known)),
        Condition::And(parts) => all(parts)?.into_iter().reduce(Expr::and).unwrap_or(lit(true)),
        Condition::Or(parts) => all(parts)?.into_iter().reduce(Expr::or).unwrap_or(lit(false)),
        Condition::Not(inner) => Expr::Not(Box::new(expression(inner, schema, entitlements)?)),
        Condition::Entitled { column, select } => entitled(column, select, schema, entitlements)?,
    })
}

pub(crate) fn column_of(name: &str) -> Expr {
    Expr::Column(Column::from_name(name))
}

pub(crate) fn type_of<'a>(column: &str, schema: &'a Schema) -> Result<&'a DataType, Inapplicable> {
    schema
        .field_with_name(column)
        .map(|field| field.data_type())
        .map_err(|_| Inapplicable(format!("the table has no column {column}")))
}

/// Column and literal of one comparison, in one type.
fn sides(column: &str, value: &Literal, schema: &Schema) -> Result<(Expr, Expr), Inapplicable> {
    let data_type = type_of(column, schema)?;
    if let Some(value) = literal_of(value, data_type) {
        return Ok((column_of(column), lit(value)));
    }
    // A fraction beside an integer column: both as decimals that hold every value of either.
    if data_type.is_integer()
        && let Literal::Number(number) = value
        && let Some((unscaled, scale)) = decimal(number)
        && (1..=10).contains(&scale)
        && unscaled.unsigned_abs() < 10_u128.pow(30)
    {
        let wide = DataType::Decimal128(38, scale);
        return Ok((cast(column_of(column), wide), lit(ScalarValue::Decimal128(Some(unscaled), 38, scale))));
    }
    let kind = match value {
        Literal::Text(_) => "a text",
        Literal::Number(_) => "a number",
        Literal::Boolean(_) => "a boolean",
    };
    Err(Inapplicable(format!("{column} is {data_type}; {kind} in the condition is not a value of that type")))
}

/// The literal as a value of the type, if it is one.
pub fn literal_of(value: &Literal, data_type: &DataType) -> Option<ScalarValue> {
    if let DataType::Dictionary(key, inner) = data_type {
        return literal_of(value, inner).map(|value| ScalarValue::Dictionary(key.clone(), Box::new(value)));
    }
    let text = match value {
        Literal::Text(text) | Literal::Number(text) => text.clone(),
        Literal::Boolean(flag) => flag.to_string(),
    };
    if let Some(text_type) = text_type(data_type) {
        return Some(text_value(text_type, text));
    }
    let text = text.trim();
    macro_rules! number {
        ($variant:ident) => {
            text.parse().ok().map(|number| ScalarValue::$variant(Some(number)))
        };
    }
    if matches!(value, Literal::Boolean(_)) && *data_type != DataType::Boolean {
        return None;
    }
    match data_type {
        DataType::Boolean => match text.to_ascii_lowercase().as_str() {
            "true" => Some(ScalarValue::Boolean(Some(true))),
            "false" => Some(ScalarValue::Boolean(Some(false))),
            _ => None,
        },
        DataType::Int8 => number!(Int8),
        DataType::Int16 => number!(Int16),
        DataType::Int32 => number!(Int32),
        DataType::Int64 => number!(Int64),
        DataType::UInt8 => number!(UInt8),
        DataType::UInt16 => number!(UInt16),
        DataType::UInt32 => number!(UInt32),
        DataType::UInt64 => number!(UInt64),
        DataType::Float32 => text.parse::<f32>().ok().filter(|n| n.is_finite()).map(|n| ScalarValue::Float32(Some(n))),
        DataType::Float64 => text.parse::<f64>().ok().filter(|n| n.is_finite()).map(|n| ScalarValue::Float64(Some(n))),
        DataType::Decimal128(precision, scale) => {
            let (unscaled, at) = decimal(text)?;
            let shift = u32::try_from(i16::from(*scale) - i16::from(at)).ok()?;
            let unscaled = unscaled.checked_mul(10_i128.checked_pow(shift)?)?;
            let fits = unscaled.unsigned_abs() < 10_u128.checked_pow(u32::from(*precision))?;
            fits.then_some(ScalarValue::Decimal128(Some(unscaled), *precision, *scale))
        }
        DataType::Date32 => {
            let days = text.parse::<NaiveDate>().ok()?.signed_duration_since(NaiveDate::default()).num_days();
            i32::try_from(days).ok().map(|days| ScalarValue::Date32(Some(days)))
        }
        DataType::Timestamp(unit, zone) => {
            let moment = moment(text)?.and_utc();
            Some(match unit {
                TimeUnit::Second => ScalarValue::TimestampSecond(Some(moment.timestamp()), zone.clone()),
                TimeUnit::Millisecond => {
                    ScalarValue::TimestampMillisecond(Some(moment.timestamp_millis()), zone.clone())
                }
                TimeUnit::Microsecond => {
                    ScalarValue::TimestampMicrosecond(Some(moment.timestamp_micros()), zone.clone())
                }
                TimeUnit::Nanosecond => {
                    ScalarValue::TimestampNanosecond(Some(moment.timestamp_nanos_opt()?), zone.clone())
                }
            })
        }
        _ => None,
    }
}

/// The text type of a column, through a dictionary.
pub(crate) fn text_type(data_type: &DataType) -> Option<&DataType> {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(data_type),
        DataType::Dictionary(_, inner) => text_type(inner),
        _ => None,
    }
}

pub(crate) fn text_value(data_type: &DataType, text: String) -> ScalarValue {
    match data_type {
        DataType::LargeUtf8 => ScalarValue::LargeUtf8(Some(text)),
        DataType::Utf8View => ScalarValue::Utf8View(Some(text)),
        _ => ScalarValue::Utf8(Some(text)),
    }
}

/// `-12.50` as (-1250, 2).
fn decimal(text: &str) -> Option<(i128, i8)> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 30 || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = format!("{whole}{fraction}");
    Some((digits.parse().ok()?, i8::try_from(fraction.len()).ok()?))
}

fn moment(text: &str) -> Option<NaiveDateTime> {
    if let Ok(moment) = DateTime::parse_from_rfc3339(text) {
        return Some(moment.naive_utc());
    }
    for format in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f"] {
        if let Ok(moment) = NaiveDateTime::parse_from_str(text, format) {
            return Some(moment);
        }
    }
    text.parse::<NaiveDate>().ok()?.and_hms_opt(0, 0, 0)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::Field;

    use super::*;
    use crate::total::is_total;

    fn schema() -> Schema {
        Schema::new(vec![
            Field::new("t", DataType::Utf8, true),
            Field::new("v", DataType::Utf8View, true),
            Field::new("d", DataType::Dictionary(Box::new(DataType::UInt16), Box::new(DataType::Utf8)), true),
            Field::new("i", DataType::Int32, true),
            Field::new("f", DataType::Float64, true),
            Field::new("m", DataType::Decimal128(10, 2), true),
            Field::new("b", DataType::Boolean, true),
            Field::new("day", DataType::Date32, true),
            Field::new("at", DataType::Timestamp(TimeUnit::Microsecond, None), true),
            Field::new("raw", DataType::Binary, true),
        ])
    }

    fn read(text: &str) -> Result<Expr, Inapplicable> {
        let condition = Condition::parse(text).unwrap();
        row_filter(&condition.bind(&Default::default()), &schema(), &Entitlements::new())
    }

    #[test]
    fn every_filter_is_total_and_typed() {
        let df_schema = datafusion::common::DFSchema::try_from(schema()).unwrap();
        for text in [
            "t = 'a' AND v <> 'b' OR d IN ('x', 'y')",
            "i > 5 AND i IN (1, 2) AND i < 2.5 AND i NOT IN (1, 2.25)",
            "f >= 0.5 AND m = 12.5 AND m < 3",
            "b = true AND NOT (b = false)",
            "day >= '2024-01-31' AND at < '2024-01-31T10:00:00Z' AND at > '2024-01-01'",
            "t LIKE 'A%' AND d LIKE '_x' AND v NOT LIKE '%'",
            "raw IS NULL AND t IS NOT NULL AND i BETWEEN 1 AND 5",
            "t = 5",
            "i = '5'",
        ] {
            let filter = read(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert!(is_total(&filter, &df_schema), "{text}: {filter}");
        }
    }

    #[test]
    fn what_is_no_value_of_the_type_is_refused() {
        for text in [
            "i = 'EU'",
            "i = 99999999999",
            "i = true",
            "b = 'maybe'",
            "m = 1.234",
            "m = 123456789012",
            "day = 'yesterday'",
            "at = '2024-13-01'",
            "raw = 'x'",
            "i LIKE '1%'",
            "missing = 1",
        ] {
            assert!(read(text).is_err(), "{text}");
        }
    }
}
