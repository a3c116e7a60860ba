//! The SQL of each database: a [`Grammar`] a file, and what they share.
//!
//! A grammar says what a database can be asked with the same answer. What it does not say is computed here, so the
//! defaults are standard SQL where nobody differs, and `None` where somebody does.

mod bigquery;
mod clickhouse;
mod databricks;
mod mysql;
mod oracle;
mod postgres;
mod snowflake;
mod sqlite;
mod trino;
mod tsql;

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta};
use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Operator;
use datafusion::scalar::ScalarValue;

/// The SQL that a database speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dialect {
    Postgres,
    Cockroach,
    Redshift,
    Sqlite,
    /// MariaDB as well; the session has `NO_BACKSLASH_ESCAPES`, `utf8mb4` and the time zone UTC.
    Mysql,
    /// The statement has `join_use_nulls`.
    Clickhouse,
    /// Athena as well.
    Trino,
    Snowflake,
    Databricks,
    Bigquery,
    SqlServer,
    Synapse,
    /// The session compares texts by their bytes and is in UTC.
    Oracle,
}

impl Dialect {
    pub(super) fn grammar(self) -> &'static dyn Grammar {
        match self {
            Self::Postgres => &postgres::Postgres::Itself,
            Self::Cockroach => &postgres::Postgres::Cockroach,
            Self::Redshift => &postgres::Postgres::Redshift,
            Self::Sqlite => &sqlite::Sqlite,
            Self::Mysql => &mysql::Mysql,
            Self::Clickhouse => &clickhouse::Clickhouse,
            Self::Trino => &trino::Trino,
            Self::Snowflake => &snowflake::Snowflake,
            Self::Databricks => &databricks::Databricks,
            Self::Bigquery => &bigquery::Bigquery,
            Self::SqlServer => &tsql::Tsql::SqlServer,
            Self::Synapse => &tsql::Tsql::Synapse,
            Self::Oracle => &oracle::Oracle,
        }
    }

    /// An identifier, whatever is in it.
    pub fn quote(self, name: &str) -> String {
        self.grammar().quote(name)
    }

    /// A text literal; `None` where the database cannot hold the text.
    pub fn text(self, text: &str) -> Option<String> {
        self.grammar().text(text)
    }

    /// Conditions for a WHERE, each after an AND, under which the columns have these names; none for a name that is not
    /// given. `None` where the database cannot hold a name, so that nothing there is called so.
    pub(crate) fn only(self, columns: &[(&str, Option<&str>)]) -> Option<String> {
        let mut conditions = String::new();
        for (column, name) in columns {
            let Some(name) = name else { continue };
            conditions.push_str(&format!(" AND {column} = {}", self.text(name)?));
        }
        Some(conditions)
    }

    /// A literal of exactly this value and type.
    pub(super) fn literal(self, value: &ScalarValue) -> Option<String> {
        self.grammar().literal(value)
    }
}

/// How a database writes what the engine means. Arguments named `text` are SQL.
pub(super) trait Grammar: Sync {
    fn quote(&self, name: &str) -> String {
        format!("\"{}\"", name.replace('"', "\"\""))
    }

    /// A text between quotes.
    fn text(&self, text: &str) -> Option<String> {
        (!text.contains('\0')).then(|| format!("'{}'", text.replace('\'', "''")))
    }

    /// A text that is compared by its bytes.
    fn text_value(&self, text: &str) -> Option<String> {
        self.text(text)
    }

    fn boolean(&self, value: bool) -> &'static str {
        if value { "TRUE" } else { "FALSE" }
    }

    /// An integer of a type; the least of 64 bits has no literal in many databases and does not come here.
    fn integer(&self, value: i64, _data_type: &DataType) -> String {
        integer(value)
    }

    /// A finite number.
    fn double(&self, value: f64) -> Option<String>;

    /// A finite number.
    fn real(&self, _value: f32) -> Option<String> {
        None
    }

    /// A decimal by its digits.
    fn decimal(&self, _digits: &str, _data_type: &DataType) -> Option<String> {
        None
    }

    fn date(&self, date: NaiveDate) -> Option<String> {
        Some(date.format("DATE '%Y-%m-%d'").to_string())
    }

    /// A moment with or without a zone, which is UTC.
    fn moment(&self, _moment: NaiveDateTime, _utc: bool) -> Option<String> {
        None
    }

    fn null(&self, data_type: &DataType) -> Option<String> {
        Some(format!("CAST(NULL AS {})", self.type_name(data_type)?))
    }

    /// The type's name in a cast.
    fn type_name(&self, data_type: &DataType) -> Option<String>;

    /// A cast that never fails and always means the same: to a wider number, or of an integer to a text.
    fn cast(&self, text: &str, _from: &DataType, to: &DataType) -> Option<String> {
        Some(format!("CAST({text} AS {})", self.type_name(to)?))
    }

    /// `IS DISTINCT FROM`, or `IS NOT DISTINCT FROM`.
    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        let not = if distinct { "" } else { "NOT " };
        format!("({left} IS {not}DISTINCT FROM {right})")
    }

    /// `IS [NOT] TRUE` or `FALSE`.
    fn truth_test(&self, text: &str, value: bool, negated: bool) -> String {
        // NULL counts as the value that fails the test.
        let test = format!("COALESCE({text}, {})", self.boolean(!value));
        if value == negated { format!("(NOT {test})") } else { test }
    }

    /// A condition as a value, where the two are not the same thing.
    fn value_of(&self, _condition: &str) -> Option<String> {
        None
    }

    /// A truth value as a condition.
    fn condition_of(&self, value: &str) -> String {
        value.to_owned()
    }

    /// Whether values of the type that `=` calls equal are the same. Where not, [`Grammar::equal`] and
    /// [`Grammar::group_key`] say more, and nothing else compares them.
    fn compares_whole(&self, _data_type: &DataType) -> bool {
        true
    }

    /// Whether two values of a type are the same, or not.
    fn equal(&self, left: &str, right: &str, _data_type: &DataType, negated: bool) -> String {
        format!("({left} {} {right})", if negated { "<>" } else { "=" })
    }

    /// A key of GROUP BY.
    fn group_key(&self, text: &str, _data_type: &DataType) -> String {
        text.to_owned()
    }

    /// `LIKE` with a pattern that has no escapes, exact in letters and accents.
    fn like(&self, text: &str, pattern: &str, negated: bool) -> Option<String> {
        let not = if negated { "NOT " } else { "" };
        Some(format!("({text} {not}LIKE {})", self.text(pattern)?))
    }

    /// Two texts as one; NULL where either is.
    fn concat(&self, left: &str, right: &str) -> Option<String> {
        Some(format!("({left} || {right})"))
    }

    /// Whether sums, differences and products of decimals are exact, whatever their types.
    fn computes_decimals(&self) -> bool {
        false
    }

    /// Whether columns that are not comparable can be read and nothing else: no function takes them, and they do not go
    /// into one column with others.
    fn only_read(&self) -> bool {
        false
    }

    /// Whether `x IN (1, NULL)` is NULL where x is not 1.
    fn nulls_in_lists(&self) -> bool {
        true
    }

    /// A test for NaN, where NaN is neither equal to itself nor above all numbers as it is in the engine.
    fn is_nan(&self, _text: &str) -> Option<String> {
        None
    }

    /// A text's length in characters.
    fn character_length(&self, _text: &str) -> Option<String> {
        None
    }

    /// The beginning of the unit, as a value of the moment's type.
    fn date_trunc(&self, _unit: &str, _text: &str, _data_type: &DataType) -> Option<String> {
        None
    }

    /// A part of a date or moment as an integer; weeks are ISO's, and weeks' days count from Sunday as 0.
    fn date_part(&self, _unit: &str, _text: &str, _data_type: &DataType) -> Option<String> {
        None
    }

    /// How many there are, of rows where it is `*`.
    fn count(&self, of: &str) -> String {
        format!("count({of})")
    }

    /// An aggregate of an argument of the type: NULL over nothing.
    fn aggregate(&self, function: &str, text: &str, _data_type: &DataType) -> Option<String> {
        Some(format!("{function}({text})"))
    }

    /// An aggregate in the type that the engine gives it.
    fn aggregated(&self, text: String, _result: &DataType) -> String {
        text
    }

    /// Whether aggregates take a FILTER clause.
    fn filters_aggregates(&self) -> bool {
        false
    }

    /// A key of ORDER BY.
    fn order_key(&self, text: &str, ascending: bool, nulls_first: bool) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        let nulls = if nulls_first { "NULLS FIRST" } else { "NULLS LAST" };
        format!("{text} {direction} {nulls}")
    }

    /// What stands before the columns of a SELECT, with a blank after it where there is any.
    fn head(&self, _limit: Option<usize>, _offset: usize) -> String {
        String::new()
    }

    /// What a SELECT without an order is ordered by, where rows can be passed over in an order alone.
    fn any_order(&self) -> Option<&'static str> {
        None
    }

    /// A table or a sub-select with the name that it has in the rest of the statement.
    fn aliased(&self, table: &str, alias: &str) -> String {
        format!("{table} AS {alias}")
    }

    /// Whether rows can be passed over.
    fn skips(&self) -> bool {
        true
    }

    /// Whether a sub-select may have an order without a limit.
    fn orders_inside(&self) -> bool {
        true
    }

    /// The end of a SELECT, with a blank before it where there is any.
    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        let limit = limit.map(|limit| format!(" LIMIT {limit}")).unwrap_or_default();
        if offset > 0 { format!("{limit} OFFSET {offset}") } else { limit }
    }

    /// Whether there is a FULL JOIN on equalities.
    fn joins_fully(&self) -> bool {
        false
    }

    /// Whether a join may be on any condition, not on equalities alone.
    fn joins_on_anything(&self) -> bool {
        true
    }

    /// Whether EXISTS may name columns of the outer query.
    fn correlates(&self) -> bool {
        false
    }

    fn literal(&self, value: &ScalarValue) -> Option<String> {
        use ScalarValue as V;
        let data_type = value.data_type();
        match value {
            V::Boolean(Some(value)) => Some(self.boolean(*value).to_owned()),
            V::Int8(Some(value)) => Some(self.integer(i64::from(*value), &data_type)),
            V::Int16(Some(value)) => Some(self.integer(i64::from(*value), &data_type)),
            V::Int32(Some(value)) => Some(self.integer(i64::from(*value), &data_type)),
            V::Int64(Some(value)) if *value > i64::MIN => Some(self.integer(*value, &data_type)),
            V::Float32(Some(value)) if value.is_finite() => self.real(*value),
            V::Float64(Some(value)) if value.is_finite() => self.double(*value),
            V::Decimal128(Some(_), ..) => self.decimal(&decimal_text(value)?, &data_type),
            V::Utf8(Some(text)) | V::LargeUtf8(Some(text)) | V::Utf8View(Some(text)) => self.text_value(text),
            V::Date32(Some(days)) => {
                let epoch = NaiveDate::from_ymd_opt(1970, 1, 1)?;
                self.date(ordinary(epoch.checked_add_signed(TimeDelta::try_days(i64::from(*days))?)?)?)
            }
            V::TimestampSecond(Some(value), zone) => self.instant(value.checked_mul(1_000_000)?, zone.as_deref()),
            V::TimestampMillisecond(Some(value), zone) => self.instant(value.checked_mul(1_000)?, zone.as_deref()),
            V::TimestampMicrosecond(Some(value), zone) => self.instant(*value, zone.as_deref()),
            V::TimestampNanosecond(Some(value), zone) if value % 1_000 == 0 => {
                self.instant(value / 1_000, zone.as_deref())
            }
            value if value.is_null() => self.null(&data_type),
            _ => None,
        }
    }

    /// A literal that is compared with a column as it stands, so that an index of it serves.
    fn plain_literal(&self, value: &ScalarValue) -> Option<String> {
        match value.try_as_str() {
            _ if value.is_null() => None,
            Some(text) => self.text(text?),
            None => self.literal(value),
        }
    }

    /// What holds of a column as it is stored wherever a comparison of what is read of it with a constant does.
    fn narrowed(&self, _column: &str, _operator: Operator, _value: &ScalarValue) -> Option<String> {
        None
    }

    fn instant(&self, microseconds: i64, zone: Option<&str>) -> Option<String> {
        let moment = DateTime::from_timestamp_micros(microseconds)?.naive_utc();
        ordinary(moment.date())?;
        match zone {
            Some(zone) if !is_utc(zone) => None,
            zone => self.moment(moment, zone.is_some()),
        }
    }
}

/// Parentheses keep a minus from meeting another one, which begins a comment.
pub(super) fn integer(value: i64) -> String {
    if value < 0 { format!("({value})") } else { value.to_string() }
}

/// A literal with an exponent, which standard SQL reads as a double.
fn exponential(value: f64) -> String {
    if value.is_sign_negative() { format!("({value:e})") } else { format!("{value:e}") }
}

/// Text between single quotes where a backslash escapes.
fn escaped(text: &str) -> Option<String> {
    (!text.contains('\0')).then(|| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
}

/// `IS DISTINCT FROM` in words that every database knows.
fn distinct_by_case(left: &str, right: &str, distinct: bool) -> String {
    let (operator, test, other) = if distinct { ("<>", "IS NOT NULL", "1 = 1") } else { ("=", "IS NULL", "1 = 0") };
    format!(
        "(CASE WHEN {left} IS NULL THEN {right} {test} WHEN {right} IS NULL THEN {other} ELSE {left} {operator} {right} END)"
    )
}

fn is_truth_test(text: &str, value: bool, negated: bool) -> String {
    let not = if negated { "NOT " } else { "" };
    format!("({text} IS {not}{})", if value { "TRUE" } else { "FALSE" })
}

/// `IS [NOT] TRUE` or `FALSE` of a condition where there are no truth values.
fn case_truth_test(condition: &str, value: bool, negated: bool) -> String {
    let (not, wanted) = (if value { "" } else { "NOT " }, u8::from(!negated));
    format!("(CASE WHEN {not}{condition} THEN 1 ELSE 0 END = {wanted})")
}

/// Whether a number is read as the same number by any reader of decimals: its digits are a whole number that a double
/// holds, and its power of ten is one too.
fn surely_read(value: f64) -> bool {
    let written = format!("{value:e}");
    let (digits, exponent) = written.split_once('e').unwrap_or((&written, "0"));
    let fraction = digits.split_once('.').map_or(0, |(_, fraction)| fraction.len());
    let count = digits.chars().filter(char::is_ascii_digit).count();
    let power = exponent.parse::<i64>().map(|exponent| exponent - fraction as i64);
    count <= 15 && power.is_ok_and(|power| (-22..=22).contains(&power))
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
        assert_eq!(Dialect::Mysql.quote("a`b\\\"c"), "`a``b\\\"c`");
        assert_eq!(Dialect::Mysql.text("it's \\'").unwrap(), "'it''s \\'''", "the session escapes by doubling alone");
        for backslashes in [Dialect::Clickhouse, Dialect::Snowflake, Dialect::Databricks, Dialect::Bigquery] {
            assert_eq!(backslashes.text("it's \\'").unwrap(), "'it\\'s \\\\\\''", "{backslashes:?}");
        }
        assert_eq!(Dialect::Clickhouse.quote("a`b\\"), "`a\\`b\\\\`");
        assert_eq!(Dialect::Bigquery.quote("a`b\\"), "`a\\`b\\\\`");
        assert_eq!(Dialect::Databricks.quote("a`b\\"), "`a``b\\`");
        assert_eq!(Dialect::Redshift.text("a\\b"), None, "its settings decide what a backslash is");
    }

    #[test]
    fn what_cannot_be_written_names_nothing() {
        let only = |name| Dialect::Postgres.only(&[("c.owner", Some(name)), ("c.name", None)]);
        assert_eq!(only("it's").unwrap(), " AND c.owner = 'it''s'");
        assert_eq!(only("a\0b"), None);
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
        assert_eq!(Dialect::Mysql.literal(&ScalarValue::Float64(Some(-0.1))).unwrap(), "(-1e-1)");
        assert_eq!(Dialect::Trino.literal(&ScalarValue::Int64(Some(-7))).unwrap(), "BIGINT '-7'");
    }
}
