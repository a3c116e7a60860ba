//! Trino, and Athena, which is one.

use chrono::NaiveDateTime;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::{Grammar, is_utc};

pub(super) struct Trino;

impl Grammar for Trino {
    fn integer(&self, value: i64, data_type: &DataType) -> String {
        let name = if *data_type == DataType::Int64 { "BIGINT" } else { "INTEGER" };
        format!("{name} '{value}'")
    }

    fn double(&self, value: f64) -> Option<String> {
        Some(format!("DOUBLE '{value:e}'"))
    }

    fn real(&self, value: f32) -> Option<String> {
        Some(format!("REAL '{value:e}'"))
    }

    fn decimal(&self, digits: &str, _data_type: &DataType) -> Option<String> {
        Some(format!("DECIMAL '{digits}'"))
    }

    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        let zone = if utc { " UTC" } else { "" };
        Some(format!("TIMESTAMP '{}{zone}'", moment.format("%Y-%m-%d %H:%M:%S%.6f")))
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "boolean",
            DataType::Int16 => "smallint",
            DataType::Int32 => "integer",
            DataType::Int64 => "bigint",
            DataType::Float32 => "real",
            DataType::Float64 => "double",
            DataType::Decimal128(precision, scale) => return Some(format!("decimal({precision}, {scale})")),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "varchar",
            DataType::Date32 => "date",
            DataType::Timestamp(TimeUnit::Microsecond, None) => "timestamp(6)",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "timestamp(6) with time zone",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn is_nan(&self, text: &str) -> Option<String> {
        Some(format!("is_nan({text})"))
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("length({text})"))
    }

    fn date_trunc(&self, unit: &str, text: &str, _data_type: &DataType) -> Option<String> {
        Some(format!("date_trunc('{unit}', {text})"))
    }

    fn date_part(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        Some(match unit {
            "hour" | "minute" if *data_type == DataType::Date32 => return None,
            "dow" => format!("(day_of_week({text}) % 7)"),
            "doy" => format!("day_of_year({text})"),
            unit => format!("{unit}({text})"),
        })
    }

    fn filters_aggregates(&self) -> bool {
        true
    }

    /// The offset comes first.
    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        if offset > 0 { format!(" OFFSET {offset}{limit}") } else { limit }
    }

    fn joins_fully(&self) -> bool {
        true
    }
}
