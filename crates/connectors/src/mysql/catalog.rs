//! Tables and columns of a database, in two statements however many tables there are; and how a column of each type
//! is read.
//!
//! Types that have no counterpart are read as text, never skipped: one odd column does not cost the table.

use std::collections::HashMap;

use datafusion::arrow::datatypes::DataType;
use mysql_async::{FromValueError, Row, prelude::FromValue};

use super::session::Session;
use crate::pushdown::{Comparable, Dialect, RemoteColumn, moment};
use crate::{ConnectorError, DiscoveredColumn, DiscoveredTable, ForeignKey, TableKind};

/// One row a column. Names are ordered by their bytes: two tables may differ by the case of a letter.
const COLUMNS: &str = "
SELECT t.TABLE_NAME, t.TABLE_TYPE, t.TABLE_ROWS, t.TABLE_COMMENT, c.COLUMN_NAME, c.ORDINAL_POSITION, c.COLUMN_TYPE,
       c.DATA_TYPE, c.IS_NULLABLE, c.COLUMN_KEY, c.COLUMN_DEFAULT, c.COLUMN_COMMENT, c.CHARACTER_MAXIMUM_LENGTH,
       c.NUMERIC_PRECISION, c.NUMERIC_SCALE
FROM information_schema.TABLES t
JOIN information_schema.COLUMNS c ON c.TABLE_SCHEMA = t.TABLE_SCHEMA AND c.TABLE_NAME = t.TABLE_NAME
WHERE t.TABLE_TYPE IN ('BASE TABLE', 'VIEW', 'SYSTEM VERSIONED')";

const FOREIGN_KEYS: &str = "
SELECT k.TABLE_NAME, k.COLUMN_NAME, k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME
FROM information_schema.KEY_COLUMN_USAGE k
WHERE k.REFERENCED_TABLE_NAME IS NOT NULL";

/// All that the user may read, or one table.
pub(super) async fn read(
    session: &mut Session,
    database: &str,
    table: Option<&str>,
) -> Result<Vec<DiscoveredTable>, ConnectorError> {
    let Some(only) = narrowed(database, table) else { return Ok(Vec::new()) };
    let columns = format!("{COLUMNS} AND {} ORDER BY BINARY t.TABLE_NAME, c.ORDINAL_POSITION", only.replace("{}", "t"));
    let columns = session.rows(&columns).await?;
    let keys = session.rows(&format!("{FOREIGN_KEYS} AND {}", only.replace("{}", "k"))).await?;
    assemble(columns, &foreign_keys(keys)?)
}

fn narrowed(database: &str, table: Option<&str>) -> Option<String> {
    let database = format!("{{}}.TABLE_SCHEMA = {}", Dialect::Mysql.text(database)?);
    Some(match table {
        Some(table) => format!("{database} AND {{}}.TABLE_NAME = {}", Dialect::Mysql.text(table)?),
        None => database,
    })
}

type Keys = HashMap<(String, String), ForeignKey>;

fn foreign_keys(rows: Vec<Row>) -> Result<Keys, ConnectorError> {
    let mut keys = Keys::new();
    for row in rows {
        let target = ForeignKey { schema: get(&row, 2)?, table: get(&row, 3)?, column: get(&row, 4)? };
        keys.entry((get(&row, 0)?, get(&row, 1)?)).or_insert(target);
    }
    Ok(keys)
}

fn get<T: FromValue>(row: &Row, index: usize) -> Result<T, ConnectorError> {
    let value: Option<Result<T, FromValueError>> = row.get_opt(index);
    let value = value.ok_or_else(|| ConnectorError::internal("a column of the catalogue is missing"))?;
    value.map_err(ConnectorError::internal)
}

fn assemble(rows: Vec<Row>, keys: &Keys) -> Result<Vec<DiscoveredTable>, ConnectorError> {
    let mut tables: Vec<DiscoveredTable> = Vec::new();
    for row in &rows {
        let name: String = get(row, 0)?;
        if tables.last().is_none_or(|last| last.name != name) {
            let is_view = get::<String>(row, 1)? == "VIEW";
            let comment: Option<String> = get(row, 3)?;
            tables.push(DiscoveredTable {
                name,
                kind: if is_view { TableKind::View } else { TableKind::Table },
                columns: Vec::new(),
                row_count: get(row, 2)?,
                // A view's is the word VIEW.
                comment: comment.filter(|comment| !is_view && !comment.is_empty()),
            });
        }
        let Some(table) = tables.last_mut() else { continue };
        let column = column(row, &table.name, keys)?;
        table.columns.push(column);
    }
    Ok(tables)
}

fn column(row: &Row, table: &str, keys: &Keys) -> Result<DiscoveredColumn, ConnectorError> {
    let name: String = get(row, 4)?;
    let source_type: String = get(row, 6)?;
    let data_type: String = get(row, 7)?;
    let declared = Declared {
        name: &data_type.to_lowercase(),
        whole: &source_type.to_lowercase(),
        length: get(row, 12)?,
        precision: get(row, 13)?,
        scale: get(row, 14)?,
    };
    let (arrow_type, reading, comparable, implied) = declared.reading();
    let remote = RemoteColumn { name: name.clone(), reading: reading.to_owned(), comparable, implied };
    let comment: Option<String> = get(row, 11)?;
    Ok(DiscoveredColumn {
        foreign_key: keys.get(&(table.to_owned(), name.clone())).cloned(),
        name,
        source_type,
        // What a date of zeros is read as is NULL, whatever the column was declared.
        nullable: get::<String>(row, 8)? == "YES" || reading == DATE,
        arrow_type,
        position: get(row, 5)?,
        primary_key: get::<String>(row, 9)? == "PRI",
        default_value: get(row, 10)?,
        comment: comment.filter(|comment| !comment.is_empty()),
        reading: Some(remote.remember(None)),
    })
}

/// A type as the catalogue tells it.
struct Declared<'a> {
    name: &'a str,
    /// With its parameters: `tinyint(1) unsigned`.
    whole: &'a str,
    /// Of texts in characters, of binary strings in bytes.
    length: Option<u64>,
    precision: Option<u64>,
    scale: Option<u64>,
}

/// Texts by their bytes; see the dialect.
const TEXT: &str = "CAST(CONVERT({} USING utf8mb4) AS BINARY)";
const AS_TEXT: &str = "CAST(CAST({} AS CHAR) AS BINARY)";
/// Neither a month 0 nor a day 0 is a date.
const DATE: &str = "IF(MONTH({}) > 0 AND DAYOFMONTH({}) > 0, {}, NULL)";
/// Longer texts may be cut where they are sorted or grouped: four bytes a character, and some put together.
const LONGEST_TEXT: u64 = 500;

impl Declared<'_> {
    fn reading(&self) -> (DataType, &'static str, Comparable, Option<Comparable>) {
        use Comparable::{Equality, No, Ordered};
        let unsigned = self.whole.contains("unsigned") || self.whole.contains("zerofill");
        let short = |longest| self.length.is_some_and(|length| length <= longest);
        match self.name {
            "tinyint" if self.whole.starts_with("tinyint(1)") && !unsigned => {
                (DataType::Boolean, "({} <> 0)", Ordered, None)
            }
            "tinyint" => (DataType::Int16, "{}", Ordered, None),
            "smallint" if !unsigned => (DataType::Int16, "{}", Ordered, None),
            "smallint" | "mediumint" => (DataType::Int32, "{}", Ordered, None),
            "int" if !unsigned => (DataType::Int32, "{}", Ordered, None),
            "int" => (DataType::Int64, "{}", Ordered, None),
            "bigint" if !unsigned => (DataType::Int64, "{}", Ordered, None),
            "bigint" => (DataType::Decimal128(20, 0), "{}", Ordered, None),
            "bit" if self.precision == Some(1) => (DataType::Boolean, "({} + 0 <> 0)", Ordered, None),
            "bit" if self.precision == Some(64) => (DataType::Decimal128(20, 0), "CAST({} AS UNSIGNED)", Ordered, None),
            "bit" => (DataType::Int64, "CAST({} AS UNSIGNED)", Ordered, None),
            // A year of two digits would be one of the last hundred years.
            "year" => (DataType::Int32, "({} + 0)", Ordered, None),
            // As it stands it would be written with six digits.
            "float" => (DataType::Float32, "({} + 0e0)", Ordered, None),
            "double" => (DataType::Float64, "{}", Ordered, None),
            "decimal" => match self.decimal() {
                Some(data_type) => (data_type, "{}", Ordered, None),
                None => (DataType::Utf8, AS_TEXT, Equality, None),
            },
            "date" => (DataType::Date32, DATE, Ordered, Some(Ordered)),
            "datetime" => (moment(None), DATE, Ordered, Some(Ordered)),
            "timestamp" => (moment(Some("UTC")), DATE, Ordered, Some(Ordered)),
            "char" | "varchar" | "enum" | "set" if short(LONGEST_TEXT) => {
                (DataType::Utf8, TEXT, Ordered, Some(Equality))
            }
            "char" | "varchar" | "enum" | "set" | "tinytext" | "text" | "mediumtext" | "longtext" => {
                (DataType::Utf8, TEXT, No, Some(Equality))
            }
            "json" => (DataType::Utf8, TEXT, No, None),
            "binary" | "varbinary" if short(LONGEST_TEXT * 4) => (DataType::Binary, "{}", Ordered, None),
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" | "vector" => {
                (DataType::Binary, "{}", No, None)
            }
            "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon" | "geometry"
            | "geometrycollection" | "geomcollection" => (DataType::Utf8, "CAST(ST_AsText({}) AS BINARY)", No, None),
            // Durations, identifiers, addresses.
            _ => (DataType::Utf8, AS_TEXT, Equality, None),
        }
    }

    /// Where a 128-bit decimal can hold it.
    fn decimal(&self) -> Option<DataType> {
        let precision = u8::try_from(self.precision?).ok().filter(|precision| (1..=38).contains(precision))?;
        let scale = i8::try_from(self.scale?).ok()?;
        Some(DataType::Decimal128(precision, scale))
    }
}
