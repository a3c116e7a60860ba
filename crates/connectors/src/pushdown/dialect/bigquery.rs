//! BigQuery's GoogleSQL.

use chrono::NaiveDateTime;
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::{Grammar, escaped, is_utc};

pub(super) struct Bigquery;

impl Grammar for Bigquery {
    fn quote(&self, name: &str) -> String {
        format!("`{}`", name.replace('\\', "\\\\").replace('`', "\\`"))
    }

    fn text(&self, text: &str) -> Option<String> {
        // A literal ends with its line.
        let lines = |text: String| text.replace('\n', "\\n").replace('\r', "\\r");
        escaped(text).map(lines)
    }

    fn double(&self, value: f64) -> Option<String> {
        Some(format!("CAST('{value:e}' AS FLOAT64)"))
    }

    fn decimal(&self, digits: &str, data_type: &DataType) -> Option<String> {
        Some(format!("{} '{digits}'", self.type_name(data_type)?))
    }

    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        let (name, zone) = if utc { ("TIMESTAMP", "+00") } else { ("DATETIME", "") };
        Some(format!("{name} '{}{zone}'", moment.format("%Y-%m-%d %H:%M:%S%.6f")))
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "BOOL",
            DataType::Int16 | DataType::Int32 | DataType::Int64 => "INT64",
            DataType::Float64 => "FLOAT64",
            DataType::Decimal128(precision, scale @ 0..=9) if i16::from(*precision) - i16::from(*scale) <= 29 => {
                "NUMERIC"
            }
            DataType::Decimal128(_, 0..) => "BIGNUMERIC",
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "STRING",
            DataType::Date32 => "DATE",
            DataType::Timestamp(TimeUnit::Microsecond, None) => "DATETIME",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "TIMESTAMP",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn is_nan(&self, text: &str) -> Option<String> {
        Some(format!("IS_NAN({text})"))
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("CHAR_LENGTH({text})"))
    }

    fn date_trunc(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        let unit = if unit == "week" { "ISOWEEK".to_owned() } else { unit.to_uppercase() };
        match data_type {
            DataType::Timestamp(_, None) => Some(format!("DATETIME_TRUNC({text}, {unit})")),
            DataType::Timestamp(_, Some(_)) => Some(format!("TIMESTAMP_TRUNC({text}, {unit}, 'UTC')")),
            _ => None,
        }
    }

    fn date_part(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        Some(match unit {
            "hour" | "minute" if *data_type == DataType::Date32 => return None,
            "week" => format!("EXTRACT(ISOWEEK FROM {text})"),
            "dow" => format!("(EXTRACT(DAYOFWEEK FROM {text}) - 1)"),
            "doy" => format!("EXTRACT(DAYOFYEAR FROM {text})"),
            unit => format!("EXTRACT({unit} FROM {text})"),
        })
    }

    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!(" LIMIT {limit}"),
            (limit, offset) => {
                format!(" LIMIT {} OFFSET {offset}", limit.map_or(i64::MAX.to_string(), |l| l.to_string()))
            }
        }
    }

    fn joins_fully(&self) -> bool {
        true
    }

    fn joins_on_anything(&self) -> bool {
        false
    }
}
