//! Schemas, tables and columns of a database, in a handful of statements however many tables there are; and how a
//! column of each type is read.
//!
//! Only the first statement must succeed. The others tell what a table may be shown without: keys, comments, defaults
//! and numbers of rows. Some of them read views that Synapse does not have in all its pools, or that the user may not
//! read. Types that have no counterpart are read as text, never skipped: one odd column does not cost the table.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use tiberius::{FromSql, Row};

use super::Flavour;
use super::session::Session;
use crate::pushdown::{Comparable, RemoteColumn, Wanted, moment};
use crate::{ConnectorError, DiscoveredColumn, DiscoveredSchema, DiscoveredTable, ForeignKey, TableKind};

/// Of all tables together.
const MOST_COLUMNS: usize = 200_000;
/// Names are ordered by their bytes: two tables may differ by the case of a letter.
const BY_BYTES: &str = "COLLATE Latin1_General_BIN2";

/// One row a column. The names of types that users made are looked through to the system's.
const COLUMNS: &str = "
SELECT s.name, o.name, CAST(o.type AS nvarchar(2)), c.name, c.column_id, u.name, b.name,
       CAST(c.max_length AS int), CAST(c.precision AS int), CAST(c.scale AS int), c.is_nullable, o.object_id
FROM sys.objects o
JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.columns c ON c.object_id = o.object_id
JOIN sys.types u ON u.user_type_id = c.user_type_id
LEFT JOIN sys.types b ON b.user_type_id = c.system_type_id
WHERE o.type IN ('U', 'V') AND o.is_ms_shipped = 0 AND s.name <> 'sys'";

/// What may be read, column by column; columns that are hidden are in no `SELECT *` either, and some of those that
/// graphs consist of cannot be read at all.
const READABLE: &str = "
  AND c.is_hidden = 0
  AND HAS_PERMS_BY_NAME(QUOTENAME(s.name) + '.' + QUOTENAME(o.name), 'OBJECT', 'SELECT', c.name, 'COLUMN') = 1";

const PRIMARY_KEYS: &str = "
SELECT k.object_id, k.column_id
FROM sys.indexes i
JOIN sys.index_columns k ON k.object_id = i.object_id AND k.index_id = i.index_id
WHERE i.is_primary_key = 1";

const FOREIGN_KEYS: &str = "
SELECT f.parent_object_id, f.parent_column_id, s.name, o.name, c.name
FROM sys.foreign_key_columns f
JOIN sys.objects o ON o.object_id = f.referenced_object_id
JOIN sys.schemas s ON s.schema_id = o.schema_id
JOIN sys.columns c ON c.object_id = f.referenced_object_id AND c.column_id = f.referenced_column_id
ORDER BY f.constraint_object_id";

const DEFAULTS: &str = "SELECT d.parent_object_id, d.parent_column_id, d.definition FROM sys.default_constraints d";

/// Of tables and, with a number other than 0, of their columns.
const COMMENTS: &str = "
SELECT p.major_id, p.minor_id, CAST(p.value AS nvarchar(4000))
FROM sys.extended_properties p
WHERE p.class = 1 AND p.name = 'MS_Description'";

/// Columns that only the client can decrypt.
const ENCRYPTED: &str = "SELECT c.object_id, c.column_id FROM sys.columns c WHERE c.encryption_type IS NOT NULL";

const ESTIMATES: &str = "
SELECT p.object_id, SUM(p.rows)
FROM sys.partitions p
WHERE p.index_id IN (0, 1)
GROUP BY p.object_id";

/// The tables of a dedicated pool lie in sixty databases on other nodes.
const POOL_ESTIMATES: &str = "
SELECT m.object_id, SUM(n.row_count)
FROM sys.pdw_table_mappings m
JOIN sys.pdw_nodes_tables t ON t.name = m.physical_name
JOIN sys.dm_pdw_nodes_db_partition_stats n
  ON n.object_id = t.object_id AND n.pdw_node_id = t.pdw_node_id AND n.distribution_id = t.distribution_id
WHERE n.index_id IN (0, 1)
GROUP BY m.object_id";

/// Everything that the user may read, in one schema or table or in all.
pub(super) async fn read(
    session: &mut Session,
    flavour: Flavour,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let mut sql = COLUMNS.to_owned();
    if flavour == Flavour::SqlServer {
        sql.push_str(READABLE);
    }
    let (of_schema, of_table) = (format!("s.name {BY_BYTES}"), format!("o.name {BY_BYTES}"));
    let Some(only) = flavour.dialect().only(&[(of_schema.as_str(), schema), (of_table.as_str(), table)]) else {
        return Ok(Vec::new());
    };
    sql.push_str(&format!("{only}\nORDER BY {of_schema}, {of_table}, c.column_id"));
    let columns = session.rows(&sql, MOST_COLUMNS).await?;
    if columns.len() > MOST_COLUMNS {
        return Err(ConnectorError::Unsupported(format!(
            "the database has more than {MOST_COLUMNS} columns; narrow the source with schema_name"
        )));
    }
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let estimates = if flavour == Flavour::Synapse { POOL_ESTIMATES } else { ESTIMATES };
    let mut known = Known::default();
    for row in beside(session, PRIMARY_KEYS).await? {
        known.primary_keys.insert((get(&row, 0)?, get(&row, 1)?));
    }
    for row in beside(session, FOREIGN_KEYS).await? {
        let target = ForeignKey { schema: text(&row, 2)?, table: text(&row, 3)?, column: text(&row, 4)? };
        known.foreign_keys.entry((get(&row, 0)?, get(&row, 1)?)).or_insert(target);
    }
    for row in beside(session, DEFAULTS).await? {
        known.defaults.insert((get(&row, 0)?, get(&row, 1)?), text(&row, 2)?);
    }
    for row in beside(session, COMMENTS).await? {
        if let Some(comment) = optional::<&str>(&row, 2)?.filter(|comment| !comment.is_empty()) {
            known.comments.insert((get(&row, 0)?, get(&row, 1)?), comment.to_owned());
        }
    }
    for row in beside(session, ENCRYPTED).await? {
        known.encrypted.insert((get(&row, 0)?, get(&row, 1)?));
    }
    for row in beside(session, estimates).await? {
        let count: Option<i64> = optional(&row, 1)?;
        known.estimates.extend(count.and_then(|count| Some((get(&row, 0).ok()?, u64::try_from(count).ok()?))));
    }
    known.assemble(&columns)
}

/// The rows of a statement that may fail: of a view that is not there or not to be read.
async fn beside(session: &mut Session, sql: &str) -> Result<Vec<Row>, ConnectorError> {
    match session.rows(sql, MOST_COLUMNS).await {
        Err(error @ (ConnectorError::NotFound { .. } | ConnectorError::QueryFailed { .. })) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a part of SQL Server's catalogue is not told");
            Ok(Vec::new())
        }
        rows => rows,
    }
}

fn optional<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<Option<T>, ConnectorError> {
    row.try_get(index).map_err(ConnectorError::internal)
}

fn get<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, ConnectorError> {
    optional(row, index)?.ok_or_else(|| ConnectorError::internal("a value of the catalogue is missing"))
}

fn text(row: &Row, index: usize) -> Result<String, ConnectorError> {
    get::<&str>(row, index).map(str::to_owned)
}

/// An object's number and a column's in it; 0 is the object itself.
type Place = (i32, i32);

#[derive(Default)]
struct Known {
    primary_keys: HashSet<Place>,
    foreign_keys: HashMap<Place, ForeignKey>,
    defaults: HashMap<Place, String>,
    comments: HashMap<Place, String>,
    encrypted: HashSet<Place>,
    estimates: HashMap<i32, u64>,
}

impl Known {
    fn assemble(&self, rows: &[Row]) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        let mut schemas: Vec<DiscoveredSchema> = Vec::new();
        for row in rows {
            let schema = text(row, 0)?;
            if schemas.last().is_none_or(|last| last.name != schema) {
                schemas.push(DiscoveredSchema { name: schema, tables: Vec::new() });
            }
            let Some(schema) = schemas.last_mut() else { continue };
            let (name, object) = (text(row, 1)?, get(row, 11)?);
            if schema.tables.last().is_none_or(|last| last.name != name) {
                let is_view = get::<&str>(row, 2)?.trim_end() == "V";
                schema.tables.push(DiscoveredTable {
                    name,
                    kind: if is_view { TableKind::View } else { TableKind::Table },
                    columns: Vec::new(),
                    // A view may have an index with rows, but not those of a table.
                    row_count: self.estimates.get(&object).copied().filter(|_| !is_view),
                    comment: self.comments.get(&(object, 0)).cloned(),
                });
            }
            let Some(table) = schema.tables.last_mut() else { continue };
            table.columns.push(self.column(row, object)?);
        }
        Ok(schemas)
    }

    fn column(&self, row: &Row, object: i32) -> Result<DiscoveredColumn, ConnectorError> {
        let (name, number): (String, i32) = (text(row, 3)?, get(row, 4)?);
        let place = (object, number);
        let declared_as: &str = get(row, 5)?;
        let declared = Declared {
            // A type of the runtime's has no other behind it.
            name: optional(row, 6)?.unwrap_or(declared_as),
            length: get(row, 7)?,
            precision: get(row, 8)?,
            scale: get(row, 9)?,
        };
        let (arrow_type, reading, comparable, implied) = match self.encrypted.contains(&place) {
            true => (DataType::Binary, "{}".to_owned(), Comparable::No, None),
            false => declared.reading(),
        };
        let source_type = if declared.name == declared_as { declared.whole() } else { declared_as.to_owned() };
        let remote = RemoteColumn { name: name.clone(), reading, comparable, implied };
        Ok(DiscoveredColumn {
            name,
            source_type,
            arrow_type,
            position: u32::try_from(number).unwrap_or_default(),
            nullable: optional(row, 10)?.unwrap_or(true),
            primary_key: self.primary_keys.contains(&place),
            foreign_key: self.foreign_keys.get(&place).cloned(),
            default_value: self.defaults.get(&place).cloned(),
            comment: self.comments.get(&place).cloned(),
            reading: Some(remote.remember(None)),
        })
    }
}

/// A type as the catalogue tells it.
struct Declared<'a> {
    name: &'a str,
    /// In bytes; -1 is without a limit.
    length: i32,
    precision: i32,
    scale: i32,
}

type Reading = (DataType, String, Comparable, Option<Comparable>);

/// Of texts that are no longer than this the length stands in their type.
const LONGEST_NVARCHAR: i32 = 4_000;

impl Declared<'_> {
    /// As it is declared: `decimal(10,2)`, `nvarchar(max)`.
    fn whole(&self) -> String {
        let length = |bytes: i32| match self.length {
            -1 => "max".to_owned(),
            length => (length / bytes).to_string(),
        };
        match self.name {
            "char" | "varchar" | "binary" | "varbinary" => format!("{}({})", self.name, length(1)),
            "nchar" | "nvarchar" => format!("{}({})", self.name, length(2)),
            "decimal" | "numeric" => format!("{}({},{})", self.name, self.precision, self.scale),
            "time" | "datetime2" | "datetimeoffset" => format!("{}({})", self.name, self.scale),
            name => name.to_owned(),
        }
    }

    fn reading(&self) -> Reading {
        use Comparable::{Equality, Narrowed, No, Ordered};
        let as_it_is = |data_type| (data_type, "{}".to_owned(), Ordered, None);
        let as_text = |sql: &str| (DataType::Utf8, sql.to_owned(), No, None);
        match self.name {
            "bit" => as_it_is(DataType::Boolean),
            "tinyint" | "smallint" => as_it_is(DataType::Int16),
            "int" => as_it_is(DataType::Int32),
            "bigint" => as_it_is(DataType::Int64),
            "real" => as_it_is(DataType::Float32),
            "float" => as_it_is(DataType::Float64),
            "decimal" | "numeric" => match self.decimal() {
                Some(data_type) => as_it_is(data_type),
                None => as_text("CAST({} AS nvarchar(50))"),
            },
            // The protocol's money loses digits in the driver.
            "money" => (DataType::Decimal128(19, 4), "CAST({} AS decimal(19, 4))".to_owned(), Ordered, Some(Ordered)),
            "smallmoney" => {
                (DataType::Decimal128(10, 4), "CAST({} AS decimal(10, 4))".to_owned(), Ordered, Some(Ordered))
            }
            "date" => as_it_is(DataType::Date32),
            "time" => (DataType::Time64(TimeUnit::Microsecond), "{}".to_owned(), No, None),
            // Three hundredths of a second, which are more or fewer digits by the level of compatibility.
            "datetime" => (moment(None), "CAST({} AS datetime2(3))".to_owned(), Ordered, Some(Narrowed)),
            "smalldatetime" => (moment(None), "CAST({} AS datetime2(0))".to_owned(), Ordered, Some(Ordered)),
            "datetime2" if self.scale <= 6 => as_it_is(moment(None)),
            "datetime2" => (moment(None), MICROSECONDS.to_owned(), Ordered, Some(Narrowed)),
            "datetimeoffset" if self.scale <= 6 => as_it_is(moment(Some("UTC"))),
            "datetimeoffset" => (moment(Some("UTC")), MICROSECONDS.to_owned(), Ordered, Some(Narrowed)),
            "char" | "nchar" => {
                let text = format!("(RTRIM({}) {BY_BYTES})", self.unicode());
                (DataType::Utf8, text, Equality, Some(Equality))
            }
            "varchar" | "nvarchar" | "sysname" => {
                (DataType::Utf8, format!("({} {BY_BYTES})", self.unicode()), Equality, Some(Equality))
            }
            "text" | "ntext" => (DataType::Utf8, format!("(CAST({{}} AS nvarchar(max)) {BY_BYTES})"), Equality, None),
            "uniqueidentifier" => {
                (DataType::Utf8, format!("(LOWER(CAST({{}} AS nvarchar(36))) {BY_BYTES})"), Equality, Some(Narrowed))
            }
            // What is compared is filled up with zeros.
            "binary" | "varbinary" | "timestamp" | "rowversion" => (DataType::Binary, "{}".to_owned(), No, None),
            "image" => (DataType::Binary, "CAST({} AS varbinary(max))".to_owned(), No, None),
            "geometry" | "geography" => as_text("{}.STAsText()"),
            "hierarchyid" | "sql_variant" => as_text("CAST({} AS nvarchar(4000))"),
            // XML, JSON, vectors, types of the runtime's.
            _ => as_text("CAST({} AS nvarchar(max))"),
        }
    }

    /// The text in UTF-16, where it loses nothing: a collation of another code page would have it lose letters.
    fn unicode(&self) -> String {
        match (self.name, self.length) {
            ("nchar" | "nvarchar" | "sysname", _) => "{}".to_owned(),
            (_, length @ 1..=LONGEST_NVARCHAR) => format!("CAST({{}} AS nvarchar({length}))"),
            _ => "CAST({} AS nvarchar(max))".to_owned(),
        }
    }

    fn decimal(&self) -> Option<DataType> {
        let precision = u8::try_from(self.precision).ok().filter(|precision| (1..=38).contains(precision))?;
        let scale = i8::try_from(self.scale).ok()?;
        Some(DataType::Decimal128(precision, scale))
    }
}

/// Without the tenths of a microsecond; a cast would round, and the last moment of all has no other after it.
const MICROSECONDS: &str = "DATEADD(nanosecond, -(DATEPART(nanosecond, {}) % 1000), {})";

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, length: i32, precision: i32, scale: i32) -> Declared<'_> {
        Declared { name, length, precision, scale }
    }

    #[test]
    fn types_are_written_as_they_are_declared() {
        for (declared, written) in [
            (declared("nvarchar", 120, 0, 0), "nvarchar(60)"),
            (declared("varchar", -1, 0, 0), "varchar(max)"),
            (declared("decimal", 9, 10, 2), "decimal(10,2)"),
            (declared("datetime2", 8, 27, 7), "datetime2(7)"),
            (declared("money", 8, 19, 4), "money"),
        ] {
            assert_eq!(declared.whole(), written);
        }
    }

    #[test]
    fn texts_are_compared_by_their_bytes_alone() {
        let reading = |name, length| declared(name, length, 0, 0).reading().1;
        assert_eq!(reading("nvarchar", 120), "({} COLLATE Latin1_General_BIN2)");
        assert_eq!(reading("varchar", 60), "(CAST({} AS nvarchar(60)) COLLATE Latin1_General_BIN2)");
        assert_eq!(reading("varchar", 8_000), "(CAST({} AS nvarchar(max)) COLLATE Latin1_General_BIN2)");
        assert_eq!(reading("nchar", 10), "(RTRIM({}) COLLATE Latin1_General_BIN2)");
        assert_eq!(declared("varbinary", 10, 0, 0).reading().2, Comparable::No);
        assert_eq!(declared("xml", -1, 0, 0).reading().1, "CAST({} AS nvarchar(max))");
    }

    #[test]
    fn numbers_and_moments_lose_nothing() {
        assert_eq!(declared("decimal", 17, 38, 38).reading().0, DataType::Decimal128(38, 38));
        assert_eq!(declared("money", 8, 19, 4).reading().0, DataType::Decimal128(19, 4));
        assert_eq!(declared("tinyint", 1, 3, 0).reading().0, DataType::Int16, "it has no sign");
        assert_eq!(declared("datetime2", 7, 23, 3).reading().1, "{}");
        assert_eq!(declared("datetime2", 8, 27, 7).reading().1, MICROSECONDS);
    }
}
