//! Tables and columns of a database, in one statement; and how a column of each type is read.
//!
//! Types that have no counterpart are read as text (arrays, maps and tuples as JSON), never skipped.

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use serde_json::Value;

use super::server::Server;
use crate::pushdown::{Comparable, Dialect, RemoteColumn};
use crate::{ConnectorError, DiscoveredColumn, DiscoveredTable, TableKind};

/// One row a column. Columns that exist while inserting alone cannot be read.
const COLUMNS: &str = "
SELECT t.name, t.engine, t.total_rows, t.comment, c.name, c.position, c.type, c.is_in_primary_key,
       c.default_expression, c.comment
FROM system.columns AS c
INNER JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
WHERE NOT t.is_temporary AND t.name NOT LIKE '.inner%' AND c.default_kind <> 'EPHEMERAL'";

/// All that the user may read, or one table.
pub(super) async fn read(server: &Server, table: Option<&str>) -> Result<Vec<DiscoveredTable>, ConnectorError> {
    let names = [("t.database", Some(server.database())), ("t.name", table)];
    let Some(only) = Dialect::Clickhouse.only(&names) else { return Ok(Vec::new()) };
    let sql = format!("{COLUMNS}{only} ORDER BY t.name, c.position");
    let mut tables: Vec<DiscoveredTable> = Vec::new();
    for row in server.rows(&sql).await? {
        let name = text(&row, 0);
        if tables.last().is_none_or(|last| last.name != name) {
            tables.push(DiscoveredTable {
                name,
                kind: if text(&row, 1).ends_with("View") { TableKind::View } else { TableKind::Table },
                columns: Vec::new(),
                row_count: text(&row, 2).parse().ok(),
                comment: Some(text(&row, 3)).filter(|comment| !comment.is_empty()),
            });
        }
        let Some(table) = tables.last_mut() else { continue };
        table.columns.push(column(&row));
    }
    Ok(tables)
}

/// A text, or a number as one; empty where there is neither.
fn text(row: &[Value], index: usize) -> String {
    match row.get(index) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

fn column(row: &[Value]) -> DiscoveredColumn {
    let (name, source_type) = (text(row, 4), text(row, 6));
    let (declared, nullable) = stripped(&source_type);
    let (arrow_type, reading, comparable) = reading(declared);
    let remote = RemoteColumn { name: name.clone(), reading: reading.to_owned(), comparable, implied: None };
    DiscoveredColumn {
        name,
        arrow_type,
        position: text(row, 5).parse().unwrap_or_default(),
        nullable,
        primary_key: text(row, 7) == "1",
        foreign_key: None,
        default_value: Some(text(row, 8)).filter(|default| !default.is_empty()),
        comment: Some(text(row, 9)).filter(|comment| !comment.is_empty()),
        source_type,
        reading: Some(remote.remember(None)),
    }
}

/// The type within what only says how it is stored, and whether it takes NULL.
fn stripped(declared: &str) -> (&str, bool) {
    let (mut declared, mut nullable) = (declared, false);
    loop {
        let within = |name: &str| declared.strip_prefix(name).and_then(|rest| rest.strip_suffix(')'));
        if let Some(inner) = within("LowCardinality(") {
            declared = inner;
        } else if let Some(inner) = within("Nullable(") {
            (declared, nullable) = (inner, true);
        } else if let Some((_, inner)) = within("SimpleAggregateFunction(").and_then(|inner| inner.split_once(", ")) {
            declared = inner;
        } else {
            return (declared, nullable);
        }
    }
}

/// A type's arguments, without what they are the arguments of.
fn arguments(declared: &str) -> Vec<&str> {
    let inner = declared.split_once('(').and_then(|(_, rest)| rest.strip_suffix(')')).unwrap_or_default();
    inner.split(',').map(str::trim).collect()
}

fn reading(declared: &str) -> (DataType, &'static str, Comparable) {
    use Comparable::{Equality, No, Ordered};
    let moment = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    match declared.split('(').next().unwrap_or_default() {
        "Bool" => (DataType::Boolean, "{}", Ordered),
        "Int8" | "UInt8" | "Int16" => (DataType::Int16, "{}", Ordered),
        "UInt16" | "Int32" => (DataType::Int32, "{}", Ordered),
        "UInt32" | "Int64" => (DataType::Int64, "{}", Ordered),
        "UInt64" => (DataType::Decimal128(20, 0), "{}", Ordered),
        // NaN is neither equal to itself nor above all numbers there.
        "Float32" => (DataType::Float32, "{}", No),
        "Float64" => (DataType::Float64, "{}", No),
        "BFloat16" => (DataType::Float32, "toFloat32({})", No),
        "Decimal" => match decimal(declared) {
            Some(decimal) => (decimal, "{}", Ordered),
            None => (DataType::Utf8, "toString({})", Equality),
        },
        "String" => (DataType::Utf8, "{}", Ordered),
        "FixedString" => (DataType::Utf8, "toStringCutToZero({})", Ordered),
        "Date" | "Date32" => (DataType::Date32, "{}", Ordered),
        "DateTime" => (moment, "{}", Ordered),
        "DateTime64" => match arguments(declared).first().and_then(|digits| digits.parse::<u8>().ok()) {
            Some(0..=6) => (moment, "{}", Ordered),
            _ => (moment, "CAST({} AS Nullable(DateTime64(6, 'UTC')))", Ordered),
        },
        "Enum8" | "Enum16" | "UUID" | "IPv4" | "IPv6" => (DataType::Utf8, "toString({})", Ordered),
        "Int128" | "UInt128" | "Int256" | "UInt256" => (DataType::Utf8, "toString({})", Equality),
        "AggregateFunction" => (DataType::Utf8, "hex(CAST({} AS String))", No),
        "Array" | "Map" | "Tuple" | "Nested" | "JSON" | "Object" | "Variant" | "Dynamic" => {
            (DataType::Utf8, "toJSONString({})", No)
        }
        _ => (DataType::Utf8, "toString({})", No),
    }
}

fn decimal(declared: &str) -> Option<DataType> {
    let arguments = arguments(declared);
    let [precision, scale] = arguments.as_slice() else { return None };
    let precision = precision.parse().ok().filter(|precision| *precision <= 38)?;
    Some(DataType::Decimal128(precision, scale.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrappers_are_looked_through() {
        assert_eq!(stripped("LowCardinality(Nullable(String))"), ("String", true));
        assert_eq!(stripped("SimpleAggregateFunction(sum, Decimal(10, 2))"), ("Decimal(10, 2)", false));
        assert_eq!(stripped("Array(Nullable(Int8))"), ("Array(Nullable(Int8))", false));
        assert_eq!(reading("Decimal(10, 2)").0, DataType::Decimal128(10, 2));
        assert_eq!(reading("Decimal(76, 2)").0, DataType::Utf8);
        assert_eq!(reading("DateTime64(3, 'Europe/Paris')").1, "{}");
        assert_eq!(reading("DateTime64(9)").1, "CAST({} AS Nullable(DateTime64(6, 'UTC')))");
    }
}
