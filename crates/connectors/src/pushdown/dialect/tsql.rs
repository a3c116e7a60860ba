//! Transact-SQL: SQL Server, and the pools of Synapse.
//!
//! A collation makes texts equal that differ in case or accents, and blanks at a text's end mean nothing to any of them.
//! So texts are read under a collation of code units, and wherever two are compared, their lengths are compared too.
//! That is equality; their order stays here, because code units are not in the order of characters. There are no truth
//! values: a condition becomes a `bit` where it stands for a value, and a `bit` is compared with 1 where a condition is
//! wanted.

use chrono::{NaiveDate, NaiveDateTime};
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::logical_expr::Operator;
use datafusion::scalar::ScalarValue;

use super::{Grammar, case_truth_test, integer, is_utc, surely_read};

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Tsql {
    SqlServer,
    /// Its dedicated pools have no OFFSET.
    Synapse,
}

const BY_CODE_UNITS: &str = "COLLATE Latin1_General_BIN2";
/// A Monday.
const FIRST_DAY: &str = "CAST('0001-01-01' AS datetime2(6))";

impl Grammar for Tsql {
    fn quote(&self, name: &str) -> String {
        format!("[{}]", name.replace(']', "]]"))
    }

    fn text(&self, text: &str) -> Option<String> {
        // A backslash at the end of a line joins it with the next one.
        let unclear = ["\0", "\\\n", "\\\r"].iter().any(|unclear| text.contains(unclear));
        (!unclear).then(|| format!("N'{}'", text.replace('\'', "''")))
    }

    fn text_value(&self, text: &str) -> Option<String> {
        Some(format!("({} {BY_CODE_UNITS})", self.text(text)?))
    }

    fn boolean(&self, value: bool) -> &'static str {
        if value { "CAST(1 AS bit)" } else { "CAST(0 AS bit)" }
    }

    fn integer(&self, value: i64, data_type: &DataType) -> String {
        match data_type {
            DataType::Int64 => format!("CAST({value} AS bigint)"),
            // As a literal the least integer is a decimal.
            _ if value <= i64::from(i32::MIN) => format!("CAST({value} AS int)"),
            _ => integer(value),
        }
    }

    fn double(&self, value: f64) -> Option<String> {
        surely_read(value).then(|| format!("CAST({value:e} AS float)"))
    }

    fn real(&self, value: f32) -> Option<String> {
        let written = format!("{value:e}");
        let double: f64 = written.parse().ok()?;
        // It is read as a double first.
        (double as f32 == value && surely_read(double)).then(|| format!("CAST({written} AS real)"))
    }

    fn decimal(&self, digits: &str, data_type: &DataType) -> Option<String> {
        Some(format!("CAST({digits} AS {})", self.type_name(data_type)?))
    }

    fn date(&self, date: NaiveDate) -> Option<String> {
        Some(date.format("CAST('%Y-%m-%d' AS date)").to_string())
    }

    fn moment(&self, moment: NaiveDateTime, utc: bool) -> Option<String> {
        let (zone, name) = if utc { ("+00:00", "datetimeoffset(6)") } else { ("", "datetime2(6)") };
        Some(format!("CAST('{}{zone}' AS {name})", moment.format("%Y-%m-%dT%H:%M:%S%.6f")))
    }

    fn type_name(&self, data_type: &DataType) -> Option<String> {
        let name = match data_type {
            DataType::Boolean => "bit",
            DataType::Int16 => "smallint",
            DataType::Int32 => "int",
            DataType::Int64 => "bigint",
            DataType::Float32 => "real",
            DataType::Float64 => "float",
            DataType::Decimal128(precision, scale @ 0..) => return Some(format!("decimal({precision}, {scale})")),
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "nvarchar(4000)",
            DataType::Date32 => "date",
            DataType::Timestamp(TimeUnit::Microsecond, None) => "datetime2(6)",
            DataType::Timestamp(TimeUnit::Microsecond, Some(zone)) if is_utc(zone) => "datetimeoffset(6)",
            _ => return None,
        };
        Some(name.to_owned())
    }

    fn cast(&self, text: &str, _from: &DataType, to: &DataType) -> Option<String> {
        match to {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => {
                Some(format!("(CAST({text} AS nvarchar(20)) {BY_CODE_UNITS})"))
            }
            to => Some(format!("CAST({text} AS {})", self.type_name(to)?)),
        }
    }

    fn value_of(&self, condition: &str) -> Option<String> {
        Some(format!("CAST(CASE WHEN {condition} THEN 1 WHEN NOT {condition} THEN 0 END AS bit)"))
    }

    fn condition_of(&self, value: &str) -> String {
        format!("({value} = 1)")
    }

    fn truth_test(&self, text: &str, value: bool, negated: bool) -> String {
        case_truth_test(text, value, negated)
    }

    fn compares_whole(&self, data_type: &DataType) -> bool {
        !is_text(data_type)
    }

    fn equal(&self, left: &str, right: &str, data_type: &DataType, negated: bool) -> String {
        match (is_text(data_type), negated) {
            (true, false) => format!("({left} = {right} AND DATALENGTH({left}) = DATALENGTH({right}))"),
            (true, true) => format!("({left} <> {right} OR DATALENGTH({left}) <> DATALENGTH({right}))"),
            (false, false) => format!("({left} = {right})"),
            (false, true) => format!("({left} <> {right})"),
        }
    }

    fn group_key(&self, text: &str, data_type: &DataType) -> String {
        if is_text(data_type) { format!("{text}, DATALENGTH({text})") } else { text.to_owned() }
    }

    fn distinct_from(&self, left: &str, right: &str, distinct: bool) -> String {
        if distinct {
            format!(
                "(({left} <> {right} OR {left} IS NULL OR {right} IS NULL) AND NOT ({left} IS NULL AND {right} IS NULL))"
            )
        } else {
            format!(
                "(({left} = {right} AND {left} IS NOT NULL AND {right} IS NOT NULL) OR ({left} IS NULL AND {right} IS NULL))"
            )
        }
    }

    /// Moments lie within a thousandth of a second of what is read of them; identifiers are compared as such, if the
    /// text is one: another one would be an error.
    fn narrowed(&self, column: &str, operator: Operator, value: &ScalarValue) -> Option<String> {
        if let Some(text) = value.try_as_str() {
            let text = text.filter(|text| operator == Operator::Eq && is_identifier(text))?;
            return Some(format!("({column} = '{text}')"));
        }
        let near = |millis: i64| match value {
            ScalarValue::TimestampMicrosecond(Some(micros), zone) => {
                self.instant(micros.checked_add(millis * 1_000)?, zone.as_deref())
            }
            ScalarValue::TimestampNanosecond(Some(nanos), zone) => {
                self.instant((nanos / 1_000).checked_add(millis * 1_000)?, zone.as_deref())
            }
            _ => None,
        };
        match operator {
            Operator::Lt | Operator::LtEq => Some(format!("({column} <= {})", near(1)?)),
            Operator::Gt | Operator::GtEq => Some(format!("({column} >= {})", near(-1)?)),
            Operator::Eq => Some(format!("({column} BETWEEN {} AND {})", near(-1)?, near(1)?)),
            _ => None,
        }
    }

    /// A wildcard for one character takes one code unit, a pattern's length has an end, and a blank at the end of
    /// either counts in Unicode alone, which ours is.
    fn like(&self, text: &str, pattern: &str, negated: bool) -> Option<String> {
        if pattern.contains('_') || pattern.len() > 1_000 {
            return None;
        }
        let not = if negated { "NOT " } else { "" };
        Some(format!("({text} {not}LIKE {})", self.text(&pattern.replace('[', "[[]"))?))
    }

    /// Two short texts would be cut where they are long together.
    fn concat(&self, left: &str, right: &str) -> Option<String> {
        Some(format!("((CAST({left} AS nvarchar(max)) + {right}) {BY_CODE_UNITS})"))
    }

    fn date_trunc(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        if !matches!(data_type, DataType::Timestamp(TimeUnit::Microsecond, None)) {
            return None;
        }
        let whole = |unit: &str| format!("DATEADD({unit}, DATEDIFF({unit}, {FIRST_DAY}, {text}), {FIRST_DAY})");
        Some(match unit {
            "year" | "quarter" | "month" | "day" | "hour" => whole(unit),
            "week" => format!("DATEADD(day, DATEDIFF(day, {FIRST_DAY}, {text}) / 7 * 7, {FIRST_DAY})"),
            // There are more minutes than integers.
            "minute" => format!("DATEADD(minute, DATEPART(minute, {text}), {})", whole("hour")),
            _ => return None,
        })
    }

    fn date_part(&self, unit: &str, text: &str, data_type: &DataType) -> Option<String> {
        let text = match data_type {
            DataType::Timestamp(_, Some(_)) => &format!("SWITCHOFFSET({text}, '+00:00')"),
            _ => text,
        };
        Some(match unit {
            "hour" | "minute" if *data_type == DataType::Date32 => return None,
            "year" | "quarter" | "month" | "day" | "hour" | "minute" => format!("DATEPART({unit}, {text})"),
            "week" => format!("DATEPART(iso_week, {text})"),
            "doy" => format!("DATEPART(dayofyear, {text})"),
            // Whatever day the session's weeks begin on.
            "dow" => format!("((DATEDIFF(day, {FIRST_DAY}, {text}) + 1) % 7)"),
            _ => return None,
        })
    }

    /// There are more rows than integers.
    fn count(&self, of: &str) -> String {
        format!("COUNT_BIG({of})")
    }

    /// NULLs are below everything, and there is no word to say otherwise.
    fn order_key(&self, text: &str, ascending: bool, nulls_first: bool) -> String {
        let direction = if ascending { "ASC" } else { "DESC" };
        if ascending == nulls_first {
            return format!("{text} {direction}");
        }
        let (null, other) = if nulls_first { (0, 1) } else { (1, 0) };
        format!("CASE WHEN {text} IS NULL THEN {null} ELSE {other} END, {text} {direction}")
    }

    fn head(&self, limit: Option<usize>, offset: usize) -> String {
        match limit {
            Some(limit) if offset == 0 || limit == 0 => format!("TOP ({limit}) "),
            _ => String::new(),
        }
    }

    fn page(&self, limit: Option<usize>, offset: usize) -> String {
        match limit {
            _ if offset == 0 => String::new(),
            Some(0) => String::new(),
            Some(limit) => format!(" OFFSET {offset} ROWS FETCH NEXT {limit} ROWS ONLY"),
            None => format!(" OFFSET {offset} ROWS"),
        }
    }

    fn any_order(&self) -> Option<&'static str> {
        Some("(SELECT NULL)")
    }

    fn skips(&self) -> bool {
        *self == Self::SqlServer
    }

    fn orders_inside(&self) -> bool {
        false
    }

    fn joins_fully(&self) -> bool {
        true
    }

    fn correlates(&self) -> bool {
        true
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// Whether a text is an identifier as it is read: eight digits, three times four, and twelve.
fn is_identifier(text: &str) -> bool {
    let parts: Vec<_> = text.split('-').map(str::len).collect();
    parts == [8, 4, 4, 4, 12] && text.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use datafusion::scalar::ScalarValue;

    use super::*;
    use crate::pushdown::Dialect;

    #[test]
    fn texts_are_equal_where_they_are_as_long() {
        let equal = Tsql::SqlServer.equal("t1.a", "t1.b", &DataType::Utf8, false);
        assert_eq!(equal, "(t1.a = t1.b AND DATALENGTH(t1.a) = DATALENGTH(t1.b))");
        let group = Tsql::SqlServer.group_key("t1.a", &DataType::Utf8);
        assert_eq!(group, "t1.a, DATALENGTH(t1.a)");
        assert_eq!(Tsql::SqlServer.group_key("t1.n", &DataType::Int32), "t1.n");
    }

    #[test]
    fn nothing_escapes_its_quotes() {
        assert_eq!(Dialect::SqlServer.quote("a]; DROP TABLE x; --"), "[a]]; DROP TABLE x; --]");
        assert_eq!(Dialect::SqlServer.text("it's").unwrap(), "N'it''s'");
        assert_eq!(Dialect::SqlServer.text("a\\\nb"), None, "it would be read as ab");
        assert_eq!(Tsql::SqlServer.like("x", "100%[a]", false).unwrap(), "(x LIKE N'100%[[]a]')");
        assert_eq!(Tsql::SqlServer.like("x", "a_", false), None);
    }

    #[test]
    fn literals_keep_their_value() {
        let written = |value| Dialect::SqlServer.literal(&value);
        assert_eq!(written(ScalarValue::Int32(Some(-5))).unwrap(), "(-5)");
        assert_eq!(written(ScalarValue::Int32(Some(i32::MIN))).unwrap(), "CAST(-2147483648 AS int)");
        assert_eq!(written(ScalarValue::Int64(Some(7))).unwrap(), "CAST(7 AS bigint)");
        assert_eq!(written(ScalarValue::Float64(Some(0.1))).unwrap(), "CAST(1e-1 AS float)");
        assert_eq!(written(ScalarValue::Float64(Some(0.1 + 0.2))), None, "more digits than every reader reads alike");
        assert_eq!(written(ScalarValue::Float64(Some(1e300))), None);
        assert_eq!(written(ScalarValue::Decimal128(Some(-5), 10, 2)).unwrap(), "CAST(-0.05 AS decimal(10, 2))");
        let moment = ScalarValue::TimestampMicrosecond(Some(-1), Some("UTC".into()));
        assert_eq!(written(moment).unwrap(), "CAST('1969-12-31T23:59:59.999999+00:00' AS datetimeoffset(6))");
    }

    #[test]
    fn an_index_narrows_what_is_computed() {
        let moment = ScalarValue::TimestampMicrosecond(Some(1_709_208_000_000_000), None);
        let narrowed = |operator, value: &ScalarValue| Tsql::SqlServer.narrowed("t1.[x]", operator, value);
        assert_eq!(
            narrowed(Operator::Lt, &moment).unwrap(),
            "(t1.[x] <= CAST('2024-02-29T12:00:00.001000' AS datetime2(6)))"
        );
        assert!(
            narrowed(Operator::Eq, &moment).unwrap().starts_with("(t1.[x] BETWEEN CAST('2024-02-29T11:59:59.999000'")
        );
        let identifier = ScalarValue::from("123e4567-e89b-12d3-a456-426655440000");
        assert_eq!(narrowed(Operator::Eq, &identifier).unwrap(), "(t1.[x] = '123e4567-e89b-12d3-a456-426655440000')");
        assert_eq!(narrowed(Operator::Gt, &identifier), None);
        for none in ["none", "123e4567-e89b-12d3-a456-42665544000'", "{123e4567-e89b-12d3-a456-426655440000}"] {
            assert_eq!(narrowed(Operator::Eq, &ScalarValue::from(none)), None, "{none}");
        }
    }

    #[test]
    fn pages_have_an_order_or_a_top() {
        let grammar = Tsql::SqlServer;
        assert_eq!((grammar.head(Some(5), 0).as_str(), grammar.page(Some(5), 0).as_str()), ("TOP (5) ", ""));
        let page = grammar.page(Some(5), 10);
        assert_eq!((grammar.head(Some(5), 10).as_str(), page.as_str()), ("", " OFFSET 10 ROWS FETCH NEXT 5 ROWS ONLY"));
        assert_eq!(grammar.head(Some(0), 10), "TOP (0) ", "there is no fetching of no rows");
        assert!(!Tsql::Synapse.skips());
    }
}
