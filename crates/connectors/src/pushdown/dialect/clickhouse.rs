//! ClickHouse, with `join_use_nulls`.
//!
//! What differs from SQL: aggregates over nothing are 0 or an empty text, so each has the suffix `OrNull`; a NULL in
//! a list is nothing at all; a literal that a type cannot hold is bent until it fits.

use chrono::{Datelike, NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::{Grammar, distinct_by_case, escaped, exponential, is_utc};

pub(super) struct Clickhouse;

impl Grammar for Clickhouse {
    fn quote(&self, name: &str) -> String {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
    }

    fn text(&self, text: &str) -> Option<String> {
        escaped(text)
    }

    fn boolean(&self, value: bool) -> &'static str {
        if value { "true" } else { "false" }
    }

    fn integer(&self, value: i64, data_type: &DataType) -> String {
        format!("to{data_type}({value})")
    }

    fn double(&self, value: f64) -> Option<String> {
        Some(exponential(value))
    }

    fn real(&self, value: f32) -> Option<String> {
        Some(exponential(f64::from(value)))
    }

    fn decimal(&self, digits: &str, data_type: &DataType) -> Option<String> {
        let DataType::Decimal128(_, scale @ 0..) = data_type else { return None };
        Some(format!("toDecimal128('{digits}', {scale})"))
    }

    fn date(&self, date: NaiveDate) -> Option<String> {
        held(date).then(|| date.format("toDate32('%Y-%m-%d')").to_string())
    }

    /// There are no moments without a zone.
    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        let text = moment.format("toDateTime64('%Y-%m-%d %H:%M:%S%.6f', 6, 'UTC')");
        (utc && held(moment.date())).then(|| text.to_string())
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "Bool",
            DataType::Int8 => "Int8",
            DataType::Int16 => "Int16",
            DataType::Int32 => "Int32",
            DataType::Int64 => "Int64",
            DataType::Float32 => "Float32",
            DataType::Float64 => "Float64",
            DataType::Decimal128(precision, scale @ 0..) => {
                return Some(format!("Nullable(Decimal({precision}, {scale}))"));
            }
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "String",
            DataType::Date32 => "Date32",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "DateTime64(6, 'UTC')",
            _ => return None,
        };
        Some(format!("Nullable({name})"))
    }

    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        distinct_by_case(left, right, distinct)
    }

    fn nulls_in_lists(&self) -> bool {
        false
    }

    fn is_nan(&self, text: &str) -> Option<String> {
        Some(format!("isNaN({text})"))
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("lengthUTF8({text})"))
    }

    fn date_part(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        let function = match unit {
            "hour" | "minute" if *data_type == DataType::Date32 => return None,
            "year" => "toYear",
            "quarter" => "toQuarter",
            "month" => "toMonth",
            "week" => "toISOWeek",
            "day" => "toDayOfMonth",
            "doy" => "toDayOfYear",
            "dow" => "toDayOfWeek",
            "hour" => "toHour",
            "minute" => "toMinute",
            _ => return None,
        };
        Some(match (unit, data_type) {
            ("dow", DataType::Date32) => format!("({function}({text}) % 7)"),
            ("dow", _) => format!("({function}({text}, 0, 'UTC') % 7)"),
            (_, DataType::Date32) => format!("{function}({text})"),
            _ => format!("{function}({text}, 'UTC')"),
        })
    }

    fn aggregate(&self, function: &str, text: &str, data_type: &DataType) -> Option<String> {
        Some(match (function, data_type) {
            ("count", _) => format!("count({text})"),
            // Unsigned numbers are read as decimals, and their sums would begin again at 0.
            ("sum", DataType::Decimal128(_, scale)) => {
                format!("sumOrNull(CAST({text} AS Nullable(Decimal(38, {scale}))))")
            }
            _ => format!("{function}OrNull({text})"),
        })
    }

    fn joins_fully(&self) -> bool {
        true
    }

    fn joins_on_anything(&self) -> bool {
        false
    }
}

/// Whether the widest types of dates hold it.
fn held(date: NaiveDate) -> bool {
    (1900..=2299).contains(&date.year())
}
