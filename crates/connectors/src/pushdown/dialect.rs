//! How identifiers, literals and types are written, per database.

use chrono::{DateTime, NaiveDate, TimeDelta};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::scalar::ScalarValue;

/// The SQL that a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    Sqlite,
}

impl Dialect {
    /// An identifier, whatever is in it.
    pub fn quote(self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// A text literal; `None` where the database cannot hold the text.
    pub fn text(self, text: &str) -> Option<String> {
        (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', "''")))
    }

    /// A literal of exactly this value and type.
    pub(super) fn literal(self, value: &ScalarValue) -> Option<String> {
        use ScalarValue as V;
        match value {
            V::Boolean(Some(value)) => Some(if *value { "TRUE" } else { "FALSE" }.to_owned()),
            V::Int8(Some(value)) => Some(integer(i64::from(*value))),
            V::Int16(Some(value)) => Some(integer(i64::from(*value))),
            V::Int32(Some(value)) => Some(integer(i64::from(*value))),
            V::Int64(Some(value)) if *value > i64::MIN => match self {
                Self::Postgres => Some(format!("CAST({} AS bigint)", integer(*value))),
                Self::Sqlite => Some(integer(*value)),
            },
            V::Float32(Some(value)) if value.is_finite() && self == Self::Postgres => {
                Some(format!("CAST('{value:?}' AS real)"))
            }
            V::Float64(Some(value)) if value.is_finite() => match self {
                Self::Postgres => Some(format!("CAST('{value:?}' AS double precision)")),
                // SQLite reads up to 15 digits without loss.
                Self::Sqlite => {
                    let text = format!("{value:?}");
                    let digits =
                        text.split('e').next().unwrap_or_default().chars().filter(char::is_ascii_digit).count();
                    (digits <= 15).then(|| format!("({text})"))
                }
            },
            V::Decimal128(Some(_), ..) if self == Self::Postgres => {
                Some(format!("CAST('{}' AS numeric)", decimal_text(value)?))
            }
            V::Utf8(Some(text)) | V::LargeUtf8(Some(text)) | V::Utf8View(Some(text)) => match self {
                Self::Postgres => Some(format!("CAST({} AS text)", self.text(text)?)),
                Self::Sqlite => self.text(text),
            },
            V::Date32(Some(days)) => {
                let date =
                    NaiveDate::from_ymd_opt(1970, 1, 1)?.checked_add_signed(TimeDelta::try_days(i64::from(*days))?)?;
                let date = ordinary(date)?.format("'%Y-%m-%d'").to_string();
                Some(if self == Self::Postgres { format!("CAST({date} AS date)") } else { date })
            }
            V::TimestampSecond(Some(value), zone) => self.timestamp(value.checked_mul(1_000_000)?, zone.as_deref()),
            V::TimestampMillisecond(Some(value), zone) => self.timestamp(value.checked_mul(1_000)?, zone.as_deref()),
            V::TimestampMicrosecond(Some(value), zone) => self.timestamp(*value, zone.as_deref()),
            V::TimestampNanosecond(Some(value), zone) if value % 1_000 == 0 => {
                self.timestamp(value / 1_000, zone.as_deref())
            }
            value if value.is_null() => {
                let name = self.type_name(&value.data_type())?;
                Some(format!("CAST(NULL AS {name})"))
            }
            _ => None,
        }
    }

    fn timestamp(self, microseconds: i64, zone: Option<&str>) -> Option<String> {
        let moment = DateTime::from_timestamp_micros(microseconds)?.naive_utc();
        ordinary(moment.date())?;
        match (self, zone) {
            (Self::Postgres, None) => Some(moment.format("CAST('%Y-%m-%d %H:%M:%S%.6f' AS timestamp)").to_string()),
            (Self::Postgres, Some(zone)) if is_utc(zone) => {
                Some(moment.format("CAST('%Y-%m-%d %H:%M:%S%.6f+00' AS timestamptz)").to_string())
            }
            // Such columns hold texts with whole seconds (see the SQLite connector).
            (Self::Sqlite, None) if microseconds % 1_000_000 == 0 => {
                Some(moment.format("'%Y-%m-%d %H:%M:%S'").to_string())
            }
            _ => None,
        }
    }

    /// The type's name in a cast.
    pub(super) fn type_name(self, data_type: &DataType) -> Option<&'static str> {
        match (self, data_type) {
            (Self::Postgres, DataType::Boolean) => Some("boolean"),
            (Self::Postgres, DataType::Int16) => Some("smallint"),
            (Self::Postgres, DataType::Int32) => Some("integer"),
            (Self::Postgres, DataType::Int64) => Some("bigint"),
            (Self::Postgres, DataType::Float32) => Some("real"),
            (Self::Postgres, DataType::Float64) => Some("double precision"),
            (Self::Postgres, DataType::Decimal128(..)) => Some("numeric"),
            (Self::Postgres, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View) => Some("text"),
            (Self::Postgres, DataType::Date32) => Some("date"),
            (Self::Postgres, DataType::Timestamp(TimeUnit::Microsecond, None)) => Some("timestamp"),
            (Self::Postgres, DataType::Timestamp(TimeUnit::Microsecond, Some(zone))) if is_utc(zone) => {
                Some("timestamptz")
            }
            (Self::Sqlite, DataType::Int64 | DataType::Boolean) => Some("INTEGER"),
            (Self::Sqlite, DataType::Float64) => Some("REAL"),
            (Self::Sqlite, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Date32) => {
                Some("TEXT")
            }
            _ => None,
        }
    }
}

/// Parentheses keep a minus from meeting another one, which begins a comment.
fn integer(value: i64) -> String {
    if value < 0 { format!("({value})") } else { value.to_string() }
}

fn decimal_text(value: &ScalarValue) -> Option<String> {
    let ScalarValue::Decimal128(Some(digits), _, scale) = value else { return None };
    let scale = usize::try_from(*scale).ok()?;
    let sign = if *digits < 0 { "-" } else { "" };
    let digits = format!("{:0>width$}", digits.unsigned_abs(), width = scale + 1);
    let (whole, fraction) = digits.split_at(digits.len() - scale);
    Some(if scale == 0 { format!("{sign}{whole}") } else { format!("{sign}{whole}.{fraction}") })
}

/// Dates that every database writes as four digits, two and two.
fn ordinary(date: NaiveDate) -> Option<NaiveDate> {
    use chrono::Datelike;
    (1..=9999).contains(&date.year()).then_some(date)
}

pub(super) fn is_utc(zone: &str) -> bool {
    matches!(zone, "UTC" | "+00:00" | "Z")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_its_quotes() {
        assert_eq!(Dialect::Postgres.quote("a\"; DROP TABLE x; --"), "\"a\"\"; DROP TABLE x; --\"");
        let literal = Dialect::Sqlite.literal(&ScalarValue::from("it's \\'")).unwrap();
        assert_eq!(literal, "'it''s \\'''");
        assert_eq!(Dialect::Postgres.literal(&ScalarValue::from("a\0b")), None);
        assert_eq!(Dialect::Sqlite.literal(&ScalarValue::Int64(Some(-5))).unwrap(), "(-5)");
    }

    #[test]
    fn literals_keep_their_value() {
        let decimal = |digits, scale| ScalarValue::Decimal128(Some(digits), 38, scale);
        assert_eq!(decimal_text(&decimal(-5, 2)).unwrap(), "-0.05");
        assert_eq!(decimal_text(&decimal(123_456, 2)).unwrap(), "1234.56");
        assert_eq!(decimal_text(&decimal(7, 0)).unwrap(), "7");
        let moment = ScalarValue::TimestampMicrosecond(Some(-1), Some("UTC".into()));
        let written = Dialect::Postgres.literal(&moment).unwrap();
        assert_eq!(written, "CAST('1969-12-31 23:59:59.999999+00' AS timestamptz)");
        assert_eq!(Dialect::Sqlite.literal(&moment), None);
        assert_eq!(Dialect::Sqlite.literal(&ScalarValue::Float64(Some(0.1 + 0.2))), None);
        assert_eq!(Dialect::Postgres.literal(&ScalarValue::Float64(Some(f64::NAN))), None);
    }
}
