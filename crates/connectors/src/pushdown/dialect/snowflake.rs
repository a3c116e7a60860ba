//! Snowflake.

use chrono::NaiveDateTime;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::{Grammar, escaped, is_utc};

pub(super) struct Snowflake;

impl Grammar for Snowflake {
    fn text(&self, text: &str) -> Option<String> {
        escaped(text)
    }

    fn double(&self, value: f64) -> Option<String> {
        Some(format!("CAST('{value:e}' AS DOUBLE)"))
    }

    fn decimal(&self, digits: &str, data_type: &DataType) -> Option<String> {
        Some(format!("CAST('{digits}' AS {})", self.type_name(data_type)?))
    }

    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        let (zone, name) = if utc { ("+00:00", "TIMESTAMP_TZ") } else { ("", "TIMESTAMP_NTZ") };
        Some(format!("CAST('{}{zone}' AS {name})", moment.format("%Y-%m-%d %H:%M:%S%.6f")))
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "BOOLEAN",
            DataType::Int16 | DataType::Int32 | DataType::Int64 => "BIGINT",
            DataType::Float64 => "DOUBLE",
            DataType::Decimal128(precision, scale @ 0..=37) => return Some(format!("NUMBER({precision}, {scale})")),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR",
            DataType::Date32 => "DATE",
            DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP_NTZ(6)",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "TIMESTAMP_TZ(6)",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("LENGTH({text})"))
    }

    /// Where a week begins is a setting.
    fn date_trunc(&self, unit: &str, text: &str, _data_type: &DataType) -> Option<String> {
        (unit != "week").then(|| format!("DATE_TRUNC('{unit}', {text})"))
    }

    fn date_part(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        Some(match unit {
            "hour" | "minute" if *data_type == DataType::Date32 => return None,
            "week" => format!("WEEKISO({text})"),
            "dow" => format!("MOD(DAYOFWEEKISO({text}), 7)"),
            "doy" => format!("DAYOFYEAR({text})"),
            unit => format!("DATE_PART('{unit}', {text})"),
        })
    }

    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!(" LIMIT {limit}"),
            (Some(limit), offset) => format!(" LIMIT {limit} OFFSET {offset}"),
            (None, offset) => format!(" LIMIT NULL OFFSET {offset}"),
        }
    }

    fn joins_fully(&self) -> bool {
        true
    }
}
