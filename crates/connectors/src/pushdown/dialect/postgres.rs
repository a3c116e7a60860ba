//! PostgreSQL and what speaks its protocol; the session's settings say how literals are read and in what zone moments
//! are cut.

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::{Grammar, distinct_by_case, integer, is_truth_test, is_utc};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Postgres {
    Itself,
    Cockroach,
    /// A descendant of version 8: no FILTER, no IS DISTINCT FROM, correlation in some shapes only, and a setting that
    /// we cannot rely on says what a backslash in a literal is.
    Redshift,
}

impl Grammar for Postgres {
    fn text(&self, text: &str) -> Option<String> {
        let unclear = text.contains('\0') || (*self == Self::Redshift && text.contains('\\'));
        (!unclear).then(|| format!("'{}'", text.replace('\'', "''")))
    }

    fn text_value(&self, text: &str) -> Option<String> {
        Some(format!("CAST({} AS text)", self.text(text)?))
    }

    fn integer(&self, value: i64, data_type: &DataType) -> String {
        match data_type {
            DataType::Int64 => format!("CAST({} AS bigint)", integer(value)),
            _ => integer(value),
        }
    }

    fn double(&self, value: f64) -> Option<String> {
        Some(format!("CAST('{value:?}' AS double precision)"))
    }

    fn real(&self, value: f32) -> Option<String> {
        Some(format!("CAST('{value:?}' AS real)"))
    }

    fn decimal(&self, digits: &str, data_type: &DataType) -> Option<String> {
        Some(format!("CAST('{digits}' AS {})", self.type_name(data_type)?))
    }

    fn date(&self, date: NaiveDate) -> Option<String> {
        Some(date.format("CAST('%Y-%m-%d' AS date)").to_string())
    }

    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        let (zone, name) = if utc { ("+00", "timestamptz") } else { ("", "timestamp") };
        Some(format!("CAST('{}{zone}' AS {name})", moment.format("%Y-%m-%d %H:%M:%S%.6f")))
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "boolean",
            DataType::Int16 => "smallint",
            DataType::Int32 => "integer",
            DataType::Int64 => "bigint",
            DataType::Float32 => "real",
            DataType::Float64 => "double precision",
            // Without a precision it would have 18 digits and no scale.
            DataType::Decimal128(precision, scale) if *self == Self::Redshift => {
                return Some(format!("numeric({precision}, {scale})"));
            }
            DataType::Decimal128(..) => "numeric",
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text",
            DataType::Date32 => "date",
            DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "timestamptz",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("char_length({text})"))
    }

    fn date_trunc(&self, unit: &str, text: &str, _data_type: &DataType) -> Option<String> {
        // CockroachDB answers another type than it was given.
        (*self != Self::Cockroach).then(|| format!("date_trunc('{unit}', {text})"))
    }

    fn date_part(&self, unit: &str, text: &str, _data_type: &DataType) -> Option<String> {
        let part = format!("CAST(date_part('{unit}', {text}) AS integer)");
        match self {
            // An infinite moment has no parts, and a cast of an infinite part would raise.
            Self::Itself => Some(format!("(CASE WHEN isfinite({text}) THEN {part} END)")),
            // It knows no infinity.
            Self::Redshift => Some(part),
            Self::Cockroach => None,
        }
    }

    fn truth_test(&self, text: &str, value: bool, negated: bool) -> String {
        is_truth_test(text, value, negated)
    }

    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        match (self, distinct) {
            (Self::Redshift, _) => distinct_by_case(left, right, distinct),
            (_, true) => format!("({left} IS DISTINCT FROM {right})"),
            (_, false) => format!("({left} IS NOT DISTINCT FROM {right})"),
        }
    }

    /// A sum of bigint is numeric.
    fn aggregated(&self, text: String, result: &DataType) -> String {
        if *result == DataType::Int64 { format!("CAST({text} AS bigint)") } else { text }
    }

    /// A numeric has the digits that it needs. CockroachDB and Redshift bound them in ways of their own.
    fn computes_decimals(&self) -> bool {
        *self == Self::Itself
    }

    fn filters_aggregates(&self) -> bool {
        *self != Self::Redshift
    }

    fn joins_fully(&self) -> bool {
        true
    }

    fn correlates(&self) -> bool {
        *self != Self::Redshift
    }
}
