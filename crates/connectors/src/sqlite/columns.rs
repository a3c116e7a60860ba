//! What the columns of a database hold, found by looking at all of their values.

use std::collections::HashMap;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use rusqlite::Connection;

use super::database::failed;
use crate::pushdown::{Comparable, Dialect, RemoteColumn};
use crate::{ConnectorError, DiscoveredColumn, DiscoveredTable, ForeignKey, TableKind};

const MOMENT: DataType = DataType::Timestamp(TimeUnit::Microsecond, None);
/// Columns counted by one statement; SQLite has a limit on results.
const AT_ONCE: usize = 100;

/// Tables and views, with whether a collation may be declared in them. Virtual tables need modules that may not be
/// here.
const TABLES: &str = "
SELECT name, type, type = 'view' OR upper(coalesce(sql, '')) LIKE '%COLLATE%'
FROM sqlite_schema
WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'
  AND upper(coalesce(sql, '')) NOT LIKE 'CREATE VIRTUAL%'
ORDER BY name";

const COLUMNS: &str = "
SELECT name, type, \"notnull\", dflt_value, pk, cid FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY cid";

const FOREIGN_KEYS: &str = "SELECT \"from\", \"table\", coalesce(\"to\", '') FROM pragma_foreign_key_list(?1)";

struct Table {
    name: String,
    kind: TableKind,
    collated: bool,
    /// Whether its texts are stored in UTF-8, in which alone their bytes are in the engine's order.
    utf8: bool,
}

fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let encoding: String = connection.query_row("PRAGMA encoding", [], |row| row.get(0))?;
    let utf8 = encoding == "UTF-8";
    let mut statement = connection.prepare(TABLES)?;
    let rows = statement.query_map([], |row| {
        let view = row.get::<_, String>(1)? == "view";
        let kind = if view { TableKind::View } else { TableKind::Table };
        Ok(Table { name: row.get(0)?, kind, collated: row.get(2)?, utf8 })
    })?;
    rows.collect()
}

pub(super) fn table_names(connection: &Connection, file: &str) -> Result<Vec<String>, ConnectorError> {
    let tables = tables(connection).map_err(|error| failed(file, error))?;
    Ok(tables.into_iter().map(|table| table.name).collect())
}

/// Every table and view that can be read; one that cannot (a view on a table that is gone) is left out.
pub(super) fn discover(
    connection: &Connection,
    file: &str,
    version: &str,
) -> Result<Vec<DiscoveredTable>, ConnectorError> {
    let mut found = Vec::new();
    for table in tables(connection).map_err(|error| failed(file, error))? {
        match describe(connection, &table, version).map_err(|error| failed(file, error)) {
            Ok(described) => found.push(described),
            Err(ConnectorError::QueryFailed { cause }) => {
                let cause = cause.as_deref().map(tracing::field::display);
                tracing::warn!(table = table.name, cause, "a table of an SQLite file cannot be read and is left out");
            }
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

/// One table; `None` where there is none of this name.
pub(super) fn discover_table(
    connection: &Connection,
    name: &str,
    file: &str,
    version: &str,
) -> Result<Option<DiscoveredTable>, ConnectorError> {
    let tables = tables(connection).map_err(|error| failed(file, error))?;
    let table = tables.into_iter().find(|table| table.name == name);
    table.map(|table| describe(connection, &table, version).map_err(|error| failed(file, error))).transpose()
}

struct Declared {
    name: String,
    source_type: String,
    default_value: Option<String>,
    primary_key: bool,
    position: u32,
}

fn describe(connection: &Connection, table: &Table, version: &str) -> rusqlite::Result<DiscoveredTable> {
    let mut statement = connection.prepare(COLUMNS)?;
    let declared = statement.query_map([&table.name], |row| {
        Ok(Declared {
            name: row.get(0)?,
            source_type: row.get::<_, Option<String>>(1)?.unwrap_or_default(),
            default_value: row.get(3)?,
            primary_key: row.get::<_, i64>(4)? > 0,
            position: row.get::<_, u32>(5)? + 1,
        })
    })?;
    let declared: Vec<Declared> = declared.collect::<rusqlite::Result<_>>()?;
    let mut keys = foreign_keys(connection, &table.name)?;
    let (mut columns, mut row_count) = (Vec::with_capacity(declared.len()), 0);
    for group in declared.chunks(AT_ONCE) {
        let (rows, counts) = count(connection, &table.name, group)?;
        row_count = rows;
        for (column, counts) in group.iter().zip(counts) {
            let (arrow_type, reading, comparable) = reading(&column.source_type, &counts, table);
            let remote =
                RemoteColumn { name: column.name.clone(), reading: reading.clone(), comparable, implied: None };
            columns.push(DiscoveredColumn {
                name: column.name.clone(),
                source_type: column.source_type.clone(),
                arrow_type,
                position: column.position,
                nullable: counts.rows == 0 || counts.total() < counts.rows,
                primary_key: column.primary_key,
                foreign_key: keys.remove(&column.name),
                default_value: column.default_value.clone(),
                comment: None,
                reading: Some(remote.remember(Some(version))),
            });
        }
    }
    Ok(DiscoveredTable {
        name: table.name.clone(),
        kind: table.kind,
        columns,
        row_count: Some(row_count),
        comment: None,
    })
}

fn foreign_keys(connection: &Connection, table: &str) -> rusqlite::Result<HashMap<String, ForeignKey>> {
    let mut statement = connection.prepare(FOREIGN_KEYS)?;
    let rows = statement.query_map([table], |row| {
        let target = ForeignKey { schema: super::SCHEMA.to_owned(), table: row.get(1)?, column: row.get(2)? };
        Ok((row.get(0)?, target))
    })?;
    rows.collect()
}

/// How many values of each kind a column holds.
#[derive(Debug, Default, Clone)]
struct Counts {
    rows: u64,
    integers: u64,
    reals: u64,
    texts: u64,
    blobs: u64,
    /// Integers other than 0 and 1.
    not_boolean: u64,
    /// Texts that are not written YYYY-MM-DD.
    not_date: u64,
    /// Texts that are not written YYYY-MM-DD HH:MM:SS.
    not_moment: u64,
    /// Texts that SQLite cannot read as a moment, to the millisecond.
    not_loose_moment: u64,
}

impl Counts {
    fn total(&self) -> u64 {
        self.integers + self.reals + self.texts + self.blobs
    }
}

fn count(connection: &Connection, table: &str, columns: &[Declared]) -> rusqlite::Result<(u64, Vec<Counts>)> {
    let quote = |name: &str| Dialect::Sqlite.quote(name);
    let mut tests = vec!["count(*)".to_owned()];
    for column in columns {
        let c = quote(&column.name);
        let temporal = declares_moment(&column.source_type);
        let mut test = |condition: String| tests.push(format!("count(*) FILTER (WHERE {condition})"));
        for kind in ["integer", "real", "text", "blob"] {
            test(format!("typeof({c}) = '{kind}'"));
        }
        test(format!("typeof({c}) = 'integer' AND {c} NOT IN (0, 1)"));
        if temporal {
            // With a modifier SQLite carries a day that the month has not over to the next, and so shows it.
            test(format!("typeof({c}) = 'text' AND date({c}, '+0 days') IS NOT {c}"));
            test(format!("typeof({c}) = 'text' AND datetime({c}, '+0 days') IS NOT {c}"));
            test(format!(
                "typeof({c}) = 'text' AND NOT ({c} GLOB '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' \
                 AND date(substr({c}, 1, 10), '+0 days') IS substr({c}, 1, 10) \
                 AND {c} NOT GLOB '*.[0-9][0-9][0-9][0-9]*' AND strftime('%Y', {c}) IS NOT NULL)"
            ));
        } else {
            (0..3).for_each(|_| test("FALSE".to_owned()));
        }
    }
    let sql = format!("SELECT {} FROM main.{}", tests.join(", "), quote(table));
    connection.query_row(&sql, [], |row| {
        let rows = row.get(0)?;
        let counts = (0..columns.len()).map(|column| {
            let at = |test: usize| row.get(1 + column * 8 + test);
            Ok(Counts {
                rows,
                integers: at(0)?,
                reals: at(1)?,
                texts: at(2)?,
                blobs: at(3)?,
                not_boolean: at(4)?,
                not_date: at(5)?,
                not_moment: at(6)?,
                not_loose_moment: at(7)?,
            })
        });
        Ok((rows, counts.collect::<rusqlite::Result<_>>()?))
    })
}

fn declares_moment(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    declared.contains("DATE") || declared.contains("TIME")
}

/// The type of a column, how it is read, and what of it may be compared in the database.
fn reading(declared: &str, counts: &Counts, table: &Table) -> (DataType, String, Comparable) {
    use Comparable::{Equality, No, Ordered};
    let as_is = || "{}".to_owned();
    // Texts are compared by their bytes, whatever collation the column has.
    let text = || if table.collated { "({} COLLATE BINARY)" } else { "{}" }.to_owned();
    let of_texts = if table.utf8 { Ordered } else { Equality };
    let kinds = (counts.integers > 0, counts.reals > 0, counts.texts > 0, counts.blobs > 0);
    match kinds {
        (false, false, false, false) => (declared_type(declared), as_is(), No),
        (true, false, false, false) => {
            let boolean = declared.to_ascii_uppercase().contains("BOOL") && counts.not_boolean == 0;
            (if boolean { DataType::Boolean } else { DataType::Int64 }, as_is(), Ordered)
        }
        (false, true, false, false) => (DataType::Float64, as_is(), Ordered),
        (true, true, false, false) => (DataType::Float64, "CAST({} AS REAL)".to_owned(), Ordered),
        (false, false, true, false) if declares_moment(declared) && counts.not_date == 0 => {
            (DataType::Date32, text(), Ordered)
        }
        (false, false, true, false) if declares_moment(declared) && counts.not_moment == 0 => (MOMENT, text(), Ordered),
        (false, false, true, false) if declares_moment(declared) && counts.not_loose_moment == 0 => {
            (MOMENT, "strftime('%Y-%m-%d %H:%M:%f', {})".to_owned(), No)
        }
        (false, false, true, false) if has_text_affinity(declared) => (DataType::Utf8, text(), of_texts),
        // The plus takes away an affinity that would turn a text that it is compared with into a number.
        (false, false, true, false) => (DataType::Utf8, "(+{} COLLATE BINARY)".to_owned(), of_texts),
        (false, false, false, true) => (DataType::Binary, as_is(), No),
        _ => {
            let reading = "(CASE typeof({}) WHEN 'blob' THEN hex({}) ELSE CAST({} AS TEXT) END)";
            (DataType::Utf8, reading.to_owned(), of_texts)
        }
    }
}

/// The type of a column without values, by SQLite's rules of affinity and what people mean by a name.
fn declared_type(declared: &str) -> DataType {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    if has("INT") {
        DataType::Int64
    } else if has("CHAR") || has("CLOB") || has("TEXT") || declared.is_empty() {
        DataType::Utf8
    } else if has("BLOB") {
        DataType::Binary
    } else if has("BOOL") {
        DataType::Boolean
    } else if declared == "DATE" {
        DataType::Date32
    } else if has("DATE") || has("TIME") {
        MOMENT
    } else if has("REAL") || has("FLOA") || has("DOUB") || has("NUM") || has("DEC") {
        DataType::Float64
    } else {
        DataType::Utf8
    }
}

/// Whether a column leaves what it is compared with as it is (section 3.1 of SQLite's "Datatypes").
fn has_text_affinity(declared: &str) -> bool {
    let declared = declared.to_ascii_uppercase();
    let has = |part: &str| declared.contains(part);
    !has("INT") && (has("CHAR") || has("CLOB") || has("TEXT") || has("BLOB") || declared.is_empty())
}
