//! Oracle Database.
//!
//! The session compares texts by their bytes, and is in UTC. An empty text is NULL there, so there is no constant for one:
//! what is compared with it is compared here, and texts are not put together there (a NULL would vanish in it, and what
//! gets too long is an error). There are no truth values before Oracle 23: a condition becomes the number 1 or 0 where it
//! stands for a value, and such a number is compared with 1 where a condition is wanted. Large objects are read and do
//! nothing else: they are neither compared nor counted, and no other text goes into a column with them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::Operator;
use datafusion::scalar::ScalarValue;

use super::{Grammar, case_truth_test, decimal_text, is_utc, ordinary, surely_read};

pub(super) struct Oracle;

/// Bytes of a text that is written out; a longer one is an error.
const LONGEST_TEXT: usize = 4_000;
/// How finely a number is read that is rounded when it is read; see how the catalogue reads `NUMBER`.
const ROUNDED_TO: i8 = 10;

impl Grammar for Oracle {
    /// A quote cannot be written in a name, and there is none in any.
    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace(['"', '\0'], ""))
    }

    fn text(&self, text: &str) -> Option<String> {
        let written = !text.is_empty() && text.len() <= LONGEST_TEXT && !text.contains('\0');
        written.then(|| format!("'{}'", text.replace('\'', "''")))
    }

    /// A text between quotes is of a fixed length: compared with another such one, blanks at its end do not count.
    fn text_value(&self, text: &str) -> Option<String> {
        Some(format!("CAST({} AS VARCHAR2({}))", self.text(text)?, text.len()))
    }

    fn boolean(&self, value: bool) -> &'static str {
        if value { "1" } else { "0" }
    }

    fn double(&self, value: f64) -> Option<String> {
        surely_read(value).then(|| format!("CAST('{value:e}' AS BINARY_DOUBLE)"))
    }

    fn real(&self, value: f32) -> Option<String> {
        let written = format!("{value:e}");
        let double: f64 = written.parse().ok()?;
        // It may be read as a double first.
        (double as f32 == value && surely_read(double)).then(|| format!("CAST('{written}' AS BINARY_FLOAT)"))
    }

    fn decimal(&self, digits: &str, _data_type: &DataType) -> Option<String> {
        Some(if digits.starts_with('-') { format!("({digits})") } else { digits.to_owned() })
    }

    /// A DATE has a time of day.
    fn date(&self, _date: NaiveDate) -> Option<String> {
        None
    }

    /// Moments with a zone are read as those of UTC.
    fn moment(&self, moment: NaiveDateTime, _utc: bool) -> Option<String> {
        Some(moment.format("TIMESTAMP '%Y-%m-%d %H:%M:%S%.6f'").to_string())
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "NUMBER(1)",
            DataType::Int16 | DataType::Int32 | DataType::Int64 => "NUMBER(19)",
            DataType::Float32 => "BINARY_FLOAT",
            DataType::Float64 => "BINARY_DOUBLE",
            DataType::Decimal128(precision, scale @ 0..) => return Some(format!("NUMBER({precision}, {scale})")),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "VARCHAR2(4000)",
            DataType::Timestamp(TimeUnit::Microsecond, None) => "TIMESTAMP(6)",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "TIMESTAMP(6)",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn cast(&self, text: &str, _from: &DataType, to: &DataType) -> Option<String> {
        match to {
            // All of them are NUMBERs.
            DataType::Int16 | DataType::Int32 | DataType::Int64 | DataType::Decimal128(..) => Some(text.to_owned()),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Some(format!("TO_CHAR({text})")),
            to => Some(format!("CAST({text} AS {})", self.type_name(to)?)),
        }
    }

    fn value_of(&self, condition: &str) -> Option<String> {
        Some(format!("(CASE WHEN {condition} THEN 1 WHEN NOT {condition} THEN 0 END)"))
    }

    fn condition_of(&self, value: &str) -> String {
        format!("({value} = 1)")
    }

    fn truth_test(&self, text: &str, value: bool, negated: bool) -> String {
        case_truth_test(text, value, negated)
    }

    /// For DECODE, unlike all else, NULL is NULL.
    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        format!("(DECODE({left}, {right}, 0, 1) = {})", u8::from(distinct))
    }

    fn only_read(&self) -> bool {
        true
    }

    fn concat(&self, _left: &str, _right: &str) -> Option<String> {
        None
    }

    /// Numbers of which nothing is known lie near what is read of them, and dates are whole seconds: an index serves a
    /// range of them.
    fn narrowed(&self, column: &str, operator: Operator, value: &ScalarValue) -> Option<String> {
        let (low, high) = match value {
            ScalarValue::Decimal128(Some(digits), precision, scale @ 0..=ROUNDED_TO) => {
                let near = |by: i128| {
                    let digits = ScalarValue::Decimal128(Some(digits.checked_add(by)?), *precision, *scale);
                    self.decimal(&decimal_text(&digits)?, &digits.data_type())
                };
                (near(-1)?, near(1)?)
            }
            ScalarValue::TimestampMicrosecond(Some(micros), None) => {
                let second = micros.div_euclid(1_000_000);
                (second_of(second)?, second_of(second.checked_add(1)?)?)
            }
            ScalarValue::TimestampNanosecond(Some(nanos), None) => {
                let second = nanos.div_euclid(1_000_000_000);
                (second_of(second)?, second_of(second.checked_add(1)?)?)
            }
            _ => return None,
        };
        match operator {
            Operator::Lt | Operator::LtEq => Some(format!("({column} <= {high})")),
            Operator::Gt | Operator::GtEq => Some(format!("({column} >= {low})")),
            Operator::Eq => Some(format!("({column} BETWEEN {low} AND {high})")),
            _ => None,
        }
    }

    fn character_length(&self, text: &str) -> Option<String> {
        Some(format!("LENGTH({text})"))
    }

    /// Cut off, a moment is a DATE.
    fn date_trunc(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        let format = match unit {
            "year" => "YYYY",
            "quarter" => "Q",
            "month" => "MM",
            "week" => "IW",
            "day" => "DD",
            "hour" => "HH24",
            "minute" => "MI",
            _ => return None,
        };
        Some(format!("CAST(TRUNC({text}, '{format}') AS {})", self.type_name(data_type)?))
    }

    fn date_part(&self, unit: &str, text: &str, _data_type: &DataType) -> Option<String> {
        let format = match unit {
            "year" | "month" | "day" | "hour" | "minute" => {
                return Some(format!("EXTRACT({} FROM {text})", unit.to_uppercase()));
            }
            "quarter" => "Q",
            "week" => "IW",
            "doy" => "DDD",
            // In the session's territory weeks begin on Sunday, the first day.
            "dow" => return Some(format!("(TO_NUMBER(TO_CHAR({text}, 'D')) - 1)")),
            _ => return None,
        };
        Some(format!("TO_NUMBER(TO_CHAR({text}, '{format}'))"))
    }

    /// There is no word before the alias of a table.
    fn aliased(&self, table: &str, alias: &str) -> String {
        format!("{table} {alias}")
    }

    /// The order of a sub-select is not promised.
    fn orders_inside(&self) -> bool {
        false
    }

    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        match (limit, offset) {
            (None, 0) => String::new(),
            (Some(limit), 0) => format!(" FETCH FIRST {limit} ROWS ONLY"),
            (Some(limit), offset) => format!(" OFFSET {offset} ROWS FETCH NEXT {limit} ROWS ONLY"),
            (None, offset) => format!(" OFFSET {offset} ROWS"),
        }
    }

    fn joins_fully(&self) -> bool {
        true
    }

    fn correlates(&self) -> bool {
        true
    }
}

/// A second, counted from 1970, as a DATE.
fn second_of(seconds: i64) -> Option<String> {
    let moment = DateTime::from_timestamp(seconds, 0)?.naive_utc();
    ordinary(moment.date())?;
    Some(format!("TO_DATE('{}', 'YYYY-MM-DD HH24:MI:SS')", moment.format("%Y-%m-%d %H:%M:%S")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::pushdown::Dialect;

    #[test]
    fn nothing_escapes_its_quotes() {
        assert_eq!(Dialect::Oracle.quote("a\" FROM b --"), "\"a FROM b --\"");
        assert_eq!(Dialect::Oracle.text("it's \\'").unwrap(), "'it''s \\'''");
        assert_eq!(Dialect::Oracle.text("a\0b"), None);
        assert_eq!(Dialect::Oracle.text(&"x".repeat(4_001)), None, "it would be an error");
    }

    #[test]
    fn there_is_no_empty_text() {
        assert_eq!(Dialect::Oracle.text(""), None);
        assert_eq!(Dialect::Oracle.literal(&ScalarValue::from("")), None);
        assert_eq!(Oracle.like("t1.\"a\"", "", false), None);
        assert_eq!(Oracle.concat("a", "b"), None, "with NULL it would be the other one");
    }

    #[test]
    fn literals_keep_their_value() {
        let written = |value| Dialect::Oracle.literal(&value);
        assert_eq!(written(ScalarValue::from("a ")).unwrap(), "CAST('a ' AS VARCHAR2(2))", "the blank counts");
        assert_eq!(written(ScalarValue::from("ü")).unwrap(), "CAST('ü' AS VARCHAR2(2))");
        assert_eq!(written(ScalarValue::Boolean(Some(true))).unwrap(), "1");
        assert_eq!(written(ScalarValue::Int64(Some(-5))).unwrap(), "(-5)");
        assert_eq!(written(ScalarValue::Decimal128(Some(-5), 10, 2)).unwrap(), "(-0.05)");
        assert_eq!(written(ScalarValue::Float64(Some(0.1))).unwrap(), "CAST('1e-1' AS BINARY_DOUBLE)");
        assert_eq!(written(ScalarValue::Float64(Some(0.1 + 0.2))), None, "more digits than every reader reads alike");
        assert_eq!(written(ScalarValue::Date32(Some(0))), None, "a DATE has a time of day");
        let moment = ScalarValue::TimestampMicrosecond(Some(-1), Some("UTC".into()));
        assert_eq!(written(moment).unwrap(), "TIMESTAMP '1969-12-31 23:59:59.999999'");
        assert_eq!(written(ScalarValue::Utf8(None)).unwrap(), "CAST(NULL AS VARCHAR2(4000))");
    }

    #[test]
    fn conditions_are_numbers_where_values_are_wanted() {
        let value = Oracle.value_of("(a > 1)").unwrap();
        assert_eq!(value, "(CASE WHEN (a > 1) THEN 1 WHEN NOT (a > 1) THEN 0 END)");
        assert_eq!(Oracle.condition_of("t1.\"b\""), "(t1.\"b\" = 1)");
        assert_eq!(Oracle.truth_test("(a > 1)", true, true), "(CASE WHEN (a > 1) THEN 1 ELSE 0 END = 0)");
        assert_eq!(Oracle.distinct_from("a", "b", true), "(DECODE(a, b, 0, 1) = 1)");
    }

    #[test]
    fn an_index_narrows_what_is_computed() {
        let narrowed = |operator, value: &ScalarValue| Oracle.narrowed("x", operator, value);
        let number = ScalarValue::Decimal128(Some(50_000_000_000), 38, 10);
        assert_eq!(narrowed(Operator::Eq, &number).unwrap(), "(x BETWEEN 4.9999999999 AND 5.0000000001)");
        assert_eq!(
            narrowed(Operator::Gt, &ScalarValue::Decimal128(Some(0), 38, 10)).unwrap(),
            "(x >= (-0.0000000001))"
        );
        let moment = ScalarValue::TimestampMicrosecond(Some(1_709_208_000_500_000), None);
        assert_eq!(
            narrowed(Operator::LtEq, &moment).unwrap(),
            "(x <= TO_DATE('2024-02-29 12:00:01', 'YYYY-MM-DD HH24:MI:SS'))"
        );
        assert_eq!(narrowed(Operator::NotEq, &moment), None);
        assert_eq!(narrowed(Operator::Eq, &ScalarValue::from("5")), None);
    }

    #[test]
    fn pages_are_fetched_in_words() {
        assert_eq!(Oracle.page(Some(5), 0), " FETCH FIRST 5 ROWS ONLY");
        assert_eq!(Oracle.page(Some(5), 10), " OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY");
        assert_eq!(Oracle.page(None, 10), " OFFSET 10 ROWS");
        assert_eq!(Oracle.aliased("\"A\".\"B\"", "t1"), "\"A\".\"B\" t1");
    }
}
