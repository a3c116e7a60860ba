//! MySQL and MariaDB.
//!
//! A collation makes `=`, grouping and order of texts coarser than bytes and blind to blanks at the end. So texts are
//! read as binary strings, which compare as the engine does, and only `LIKE` and lengths look at characters.

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};

use super::{Grammar, exponential, is_truth_test};

pub(super) struct Mysql;

impl Grammar for Mysql {
    fn quote(&self, name: &str) -> String {
        format!("`{}`", name.replace('`', "``"))
    }

    fn text_value(&self, text: &str) -> Option<String> {
        Some(format!("_binary{}", self.text(text)?))
    }

    fn double(&self, value: f64) -> Option<String> {
        Some(exponential(value))
    }

    /// A single is read as the double of its value.
    fn real(&self, value: f32) -> Option<String> {
        Some(exponential(f64::from(value)))
    }

    fn decimal(&self, digits: &str, _data_type: &DataType) -> Option<String> {
        Some(if digits.starts_with('-') { format!("({digits})") } else { digits.to_owned() })
    }

    fn date(&self, date: NaiveDate) -> Option<String> {
        Some(date.format("DATE'%Y-%m-%d'").to_string())
    }

    /// The session's zone is UTC.
    fn moment(&self, moment: NaiveDateTime, _utc: bool) -> Option<String> {
        Some(moment.format("TIMESTAMP'%Y-%m-%d %H:%M:%S%.6f'").to_string())
    }

    fn null(&self, _data_type: &DataType) -> Option<String> {
        Some("NULL".to_owned())
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        match data_type {
            // The scale ends at 30 in MySQL.
            DataType::Decimal128(precision, scale @ 0..=30) => Some(format!("DECIMAL({precision}, {scale})")),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some("BINARY".to_owned()),
            _ => None,
        }
    }

    fn cast(&self, text: &str, _from: &DataType, to: &DataType) -> Option<String> {
        match to {
            // All integers are computed with 64 bits.
            DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(text.to_owned()),
            // CAST knows no doubles before MySQL 8.0.17.
            DataType::Float64 => Some(format!("({text} + 0e0)")),
            to => Some(format!("CAST({text} AS {})", self.type_name(to)?)),
        }
    }

    fn truth_test(&self, text: &str, value: bool, negated: bool) -> String {
        is_truth_test(text, value, negated)
    }

    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        let not = if distinct { "NOT " } else { "" };
        format!("({not}({left} <=> {right}))")
    }

    /// Binary strings would be matched by bytes, and `_` is a character.
    fn like(&self, text: &str, pattern: &str, negated: bool) -> Option<String> {
        let not = if negated { "NOT " } else { "" };
        let pattern = self.text(pattern)?;
        Some(format!("(CONVERT({text} USING utf8mb4) COLLATE utf8mb4_bin {not}LIKE {pattern})"))
    }

    fn concat(&self, left: &str, right: &str) -> Option<String> {
        Some(format!("CONCAT({left}, {right})"))
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("CHAR_LENGTH(CONVERT({text} USING utf8mb4))"))
    }

    fn date_trunc(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, _)) {
            return None;
        }
        let format = match unit {
            "year" => "%Y-01-01 00:00:00",
            "month" => "%Y-%m-01 00:00:00",
            "day" => "%Y-%m-%d 00:00:00",
            "hour" => "%Y-%m-%d %H:00:00",
            "minute" => "%Y-%m-%d %H:%i:00",
            _ => return None,
        };
        Some(format!("CAST(DATE_FORMAT({text}, '{format}') AS DATETIME)"))
    }

    fn date_part(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        Some(match unit {
            "hour" | "minute" if *data_type == DataType::Date32 => return None,
            "year" | "quarter" | "month" | "day" | "hour" | "minute" => format!("EXTRACT({unit} FROM {text})"),
            "week" => format!("WEEK({text}, 3)"),
            "doy" => format!("DAYOFYEAR({text})"),
            "dow" => format!("(DAYOFWEEK({text}) - 1)"),
            _ => return None,
        })
    }

    /// NULLs are below everything, and there is no word to say otherwise.
    fn order_key(&self, text: &str, ascending: bool, nulls_first: bool) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        match (ascending == nulls_first, nulls_first) {
            (true, _) => format!("{text} {direction}"),
            (false, true) => format!("({text} IS NULL) DESC, {text} {direction}"),
            (false, false) => format!("({text} IS NULL) ASC, {text} {direction}"),
        }
    }

    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!(" LIMIT {limit}"),
            (Some(limit), offset) => format!(" LIMIT {limit} OFFSET {offset}"),
            (None, offset) => format!(" LIMIT {} OFFSET {offset}", i64::MAX),
        }
    }

    fn correlates(&self) -> bool {
        true
    }
}
