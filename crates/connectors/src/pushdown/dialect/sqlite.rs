//! SQLite, where dates and moments are texts.

use chrono::{NaiveDate, NaiveDateTime, Timelike};
use datafusion::arrow::datatypes::DataType;

use super::{Grammar, is_truth_test};

pub(super) struct Sqlite;

impl Grammar for Sqlite {
    /// It reads up to 15 digits without loss.
    fn double(&self, value: f64) -> Option<String> {
        let text = format!("{value:?}");
        let digits = text.split('e').next().unwrap_or_default().chars().filter(char::is_ascii_digit).count();
        (digits <= 15).then(|| format!("({text})"))
    }

    fn date(&self, date: NaiveDate) -> Option<String> {
        Some(date.format("'%Y-%m-%d'").to_string())
    }

    /// Such columns hold texts with whole seconds (see the connector).
    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        (!utc && moment.nanosecond() == 0).then(|| moment.format("'%Y-%m-%d %H:%M:%S'").to_string())
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Int64 | DataType::Boolean => "INTEGER",
            DataType::Float64 => "REAL",
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Date32 => "TEXT",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn cast(&self, text: &str, _from: &DataType, to: &DataType) -> Option<String> {
        match to {
            DataType::Int16 | DataType::Int32 | DataType::Int64 => Some(text.to_owned()),
            to => Some(format!("CAST({text} AS {})", self.type_name(to)?)),
        }
    }

    fn truth_test(&self, text: &str, value: bool, negated: bool) -> String {
        is_truth_test(text, value, negated)
    }

    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        let not = if distinct { " NOT" } else { "" };
        format!("({left} IS{not} {right})")
    }

    fn filters_aggregates(&self) -> bool {
        true
    }

    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!(" LIMIT {limit}"),
            (Some(limit), offset) => format!(" LIMIT {limit} OFFSET {offset}"),
            (None, offset) => format!(" LIMIT -1 OFFSET {offset}"),
        }
    }

    fn joins_fully(&self) -> bool {
        true
    }

    fn correlates(&self) -> bool {
        true
    }
}
