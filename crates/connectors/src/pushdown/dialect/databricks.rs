//! Databricks SQL.

use chrono::NaiveDateTime;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::{Grammar, escaped, is_utc};

pub(super) struct Databricks;

impl Grammar for Databricks {
    fn quote(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn text(&self, text: &str) -> Option<String> {
        escaped(text)
    }

    fn integer(&self, value: i64, data_type: &DataType) -> String {
        let name = if *data_type == DataType::Int64 { "BIGINT" } else { "INT" };
        format!("CAST({value} AS {name})")
    }

    fn double(&self, value: f64) -> Option<String> {
        Some(format!("CAST('{value:e}' AS DOUBLE)"))
    }

    fn real(&self, value: f32) -> Option<String> {
        Some(format!("CAST('{value:e}' AS FLOAT)"))
    }

    fn decimal(&self, digits: &str, data_type: &DataType) -> Option<String> {
        Some(format!("CAST('{digits}' AS {})", self.type_name(data_type)?))
    }

    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        let (name, zone) = if utc { ("TIMESTAMP", "+00:00") } else { ("TIMESTAMP_NTZ", "") };
        Some(format!("{name} '{}{zone}'", moment.format("%Y-%m-%d %H:%M:%S%.6f")))
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "BOOLEAN",
            DataType::Int16 => "SMALLINT",
            DataType::Int32 => "INT",
            DataType::Int64 => "BIGINT",
            DataType::Float32 => "FLOAT",
            DataType::Float64 => "DOUBLE",
            DataType::Decimal128(precision, scale @ 0..) => return Some(format!("DECIMAL({precision}, {scale})")),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING",
            DataType::Date32 => "DATE",
            DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP_NTZ",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "TIMESTAMP",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        let not = if distinct { "NOT " } else { "" };
        format!("({not}({left} <=> {right}))")
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("char_length({text})"))
    }

    /// Of dates alone: a moment's parts are those of the session's zone.
    fn date_part(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        if *data_type != DataType::Date32 {
            return None;
        }
        Some(match unit {
            "year" | "quarter" | "month" | "day" => format!("{unit}({text})"),
            "week" => format!("weekofyear({text})"),
            "doy" => format!("dayofyear({text})"),
            "dow" => format!("(dayofweek({text}) - 1)"),
            _ => return None,
        })
    }

    fn filters_aggregates(&self) -> bool {
        true
    }

    fn joins_fully(&self) -> bool {
        true
    }
}
