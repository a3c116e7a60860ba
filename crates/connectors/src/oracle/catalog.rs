//! Schemas, tables and columns of a database, in a handful of statements however many tables there are; and how a
//! column of each type is read.
//!
//! Only the first statement must succeed. The others tell what a table may be shown without: keys, comments, defaults,
//! numbers of rows, collations (which Oracle 12.1 does not have). Schemas that Oracle itself maintains are left out unless
//! one of them is named. Types that have no counterpart are read as text; only what has no text at all is left out: files
//! outside of the database, and objects of types that somebody made.

use std::collections::{HashMap, HashSet};

use datafusion::arrow::datatypes::DataType;

use super::session::{Row, Session};
use crate::pushdown::{Comparable, Dialect, RemoteColumn, Wanted, moment};
use crate::{ConnectorError, DiscoveredColumn, DiscoveredSchema, DiscoveredTable, ForeignKey, TableKind};

/// Of all tables together.
const MOST_COLUMNS: usize = 200_000;

/// One row a column. A materialized view is a table, too.
const COLUMNS: &str = "
SELECT c.owner, c.table_name, o.object_type, c.column_name, c.column_id, c.data_type, c.char_length, c.char_used,
       c.data_length, c.data_precision, c.data_scale, c.nullable
FROM all_tab_columns c
JOIN all_objects o ON o.owner = c.owner AND o.object_name = c.table_name
WHERE o.object_type IN ('TABLE', 'VIEW') AND o.secondary = 'N' AND c.table_name NOT LIKE 'BIN$%'";

const OF_USERS: &str = "\n  AND c.owner IN (SELECT u.username FROM all_users u WHERE u.oracle_maintained = 'N')";

const PRIMARY_KEYS: &str = "
SELECT c.owner, c.table_name, c.column_name
FROM all_constraints p
JOIN all_cons_columns c ON c.owner = p.owner AND c.constraint_name = p.constraint_name
WHERE p.constraint_type = 'P'";

const FOREIGN_KEYS: &str = "
SELECT c.owner, c.table_name, c.column_name, r.owner, r.table_name, r.column_name
FROM all_constraints f
JOIN all_cons_columns c ON c.owner = f.owner AND c.constraint_name = f.constraint_name
JOIN all_cons_columns r ON r.owner = f.r_owner AND r.constraint_name = f.r_constraint_name AND r.position = c.position
WHERE f.constraint_type = 'R'";

const DEFAULTS: &str = "
SELECT c.owner, c.table_name, c.column_name, c.data_default
FROM all_tab_columns c
WHERE c.default_length > 0";

const TABLE_COMMENTS: &str = "
SELECT c.owner, c.table_name, c.comments
FROM all_tab_comments c
WHERE c.comments IS NOT NULL";

const COLUMN_COMMENTS: &str = "
SELECT c.owner, c.table_name, c.column_name, c.comments
FROM all_col_comments c
WHERE c.comments IS NOT NULL";

/// Columns whose texts are compared in a way of their own.
const COLLATED: &str = "
SELECT c.owner, c.table_name, c.column_name
FROM all_tab_columns c
WHERE c.collation NOT IN ('USING_NLS_COMP', 'BINARY')";

const ESTIMATES: &str = "
SELECT c.owner, c.table_name, c.num_rows
FROM all_tables c
WHERE c.num_rows IS NOT NULL";

/// Everything that the user may read, in one schema or table or in all.
pub(super) async fn read(
    session: &mut Session,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let names = [("c.owner", schema), ("c.table_name", table)];
    let Some(mut only) = Dialect::Oracle.only(&names) else { return Ok(Vec::new()) };
    if schema.is_none() {
        only.push_str(OF_USERS);
    }
    let columns = format!("{COLUMNS}{only}\nORDER BY c.owner, c.table_name, c.column_id");
    let columns = session.rows(&columns, MOST_COLUMNS).await?;
    if columns.len() > MOST_COLUMNS {
        return Err(ConnectorError::Unsupported(format!(
            "the database has more than {MOST_COLUMNS} columns; narrow the source with schema_name"
        )));
    }
    if columns.is_empty() {
        return Ok(Vec::new());
    }
    let mut known = Known { utf8: session.is_utf8(), ..Known::default() };
    for row in beside(session, PRIMARY_KEYS, &only).await? {
        known.primary_keys.insert(place(&row));
    }
    for row in beside(session, FOREIGN_KEYS, &only).await? {
        let target = ForeignKey { schema: text(&row, 3), table: text(&row, 4), column: text(&row, 5) };
        known.foreign_keys.entry(place(&row)).or_insert(target);
    }
    for row in beside(session, DEFAULTS, &only).await? {
        known.defaults.insert(place(&row), text(&row, 3).trim().to_owned());
    }
    for row in beside(session, TABLE_COMMENTS, &only).await? {
        known.comments.insert((text(&row, 0), text(&row, 1), String::new()), text(&row, 2));
    }
    for row in beside(session, COLUMN_COMMENTS, &only).await? {
        known.comments.insert(place(&row), text(&row, 3));
    }
    for row in beside(session, COLLATED, &only).await? {
        known.collated.insert(place(&row));
    }
    for row in beside(session, ESTIMATES, &only).await? {
        let count = text(&row, 2).parse();
        known.estimates.extend(count.ok().map(|count| ((text(&row, 0), text(&row, 1)), count)));
    }
    Ok(known.assemble(&columns))
}

/// The rows of a statement that may fail: of a view that is not there or not to be read.
async fn beside(session: &mut Session, sql: &str, only: &str) -> Result<Vec<Row>, ConnectorError> {
    match session.rows(&format!("{sql}{only}"), MOST_COLUMNS).await {
        Err(error @ (ConnectorError::NotFound { .. } | ConnectorError::QueryFailed { .. })) => {
            tracing::debug!(error = &error as &dyn std::error::Error, "a part of Oracle's catalogue is not told");
            Ok(Vec::new())
        }
        rows => rows,
    }
}

fn text(row: &[Option<String>], index: usize) -> String {
    row.get(index).cloned().flatten().unwrap_or_default()
}

fn number(row: &[Option<String>], index: usize) -> Option<i32> {
    row.get(index)?.as_ref()?.parse().ok()
}

/// A column by its owner, its table and its name; without a name it is the table.
type Place = (String, String, String);

fn place(row: &[Option<String>]) -> Place {
    (text(row, 0), text(row, 1), text(row, 2))
}

#[derive(Default)]
struct Known {
    utf8: bool,
    primary_keys: HashSet<Place>,
    foreign_keys: HashMap<Place, ForeignKey>,
    defaults: HashMap<Place, String>,
    comments: HashMap<Place, String>,
    collated: HashSet<Place>,
    estimates: HashMap<(String, String), u64>,
}

impl Known {
    fn assemble(&self, rows: &[Row]) -> Vec<DiscoveredSchema> {
        let mut schemas: Vec<DiscoveredSchema> = Vec::new();
        for row in rows {
            let (owner, name) = (text(row, 0), text(row, 1));
            let Some(column) = self.column(row) else { continue };
            if schemas.last().is_none_or(|last| last.name != owner) {
                schemas.push(DiscoveredSchema { name: owner.clone(), tables: Vec::new() });
            }
            let Some(schema) = schemas.last_mut() else { continue };
            if schema.tables.last().is_none_or(|last| last.name != name) {
                let is_view = text(row, 2) == "VIEW";
                let place = (owner, name.clone());
                schema.tables.push(DiscoveredTable {
                    kind: if is_view { TableKind::View } else { TableKind::Table },
                    columns: Vec::new(),
                    row_count: self.estimates.get(&place).copied(),
                    comment: self.comments.get(&(place.0, place.1, String::new())).cloned(),
                    name,
                });
            }
            if let Some(table) = schema.tables.last_mut() {
                table.columns.push(column);
            }
        }
        schemas
    }

    /// `None` where it cannot be read.
    fn column(&self, row: &[Option<String>]) -> Option<DiscoveredColumn> {
        let name = text(row, 3);
        let place = (text(row, 0), text(row, 1), name.clone());
        let declared_as = text(row, 5);
        let declared = Declared {
            name: &declared_as,
            length: number(row, 6).unwrap_or_default(),
            in_characters: text(row, 7) == "C",
            bytes: number(row, 8).unwrap_or_default(),
            precision: number(row, 9),
            scale: number(row, 10),
        };
        let by_bytes = self.utf8 && !self.collated.contains(&place);
        let (arrow_type, reading, comparable, implied) = declared.reading(self.utf8, by_bytes)?;
        let remote = RemoteColumn { name: name.clone(), reading, comparable, implied };
        Some(DiscoveredColumn {
            name,
            source_type: declared.whole(),
            arrow_type,
            position: text(row, 4).parse().unwrap_or_default(),
            nullable: text(row, 11) != "N",
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
    /// Of a text, in characters.
    length: i32,
    /// It was declared so.
    in_characters: bool,
    bytes: i32,
    precision: Option<i32>,
    scale: Option<i32>,
}

type Reading = (DataType, String, Comparable, Option<Comparable>);

/// How finely a number is read that says nothing of its digits.
const DIGITS_AFTER_THE_POINT: i8 = 10;

impl Declared<'_> {
    /// As it is declared: `NUMBER(10,2)`, `VARCHAR2(60 CHAR)`.
    fn whole(&self) -> String {
        let Self { name, length, bytes, .. } = self;
        match (*name, self.precision, self.scale) {
            ("VARCHAR2" | "CHAR", ..) if self.in_characters => format!("{name}({length} CHAR)"),
            ("VARCHAR2" | "CHAR" | "RAW", ..) => format!("{name}({bytes})"),
            ("NVARCHAR2" | "NCHAR", ..) => format!("{name}({length})"),
            ("NUMBER", Some(precision), Some(scale)) if scale != 0 => format!("{name}({precision},{scale})"),
            ("NUMBER", Some(precision), _) => format!("{name}({precision})"),
            ("NUMBER", None, Some(0)) => "INTEGER".to_owned(),
            ("FLOAT", Some(precision), _) => format!("{name}({precision})"),
            (name, ..) => name.to_owned(),
        }
    }

    /// `utf8`: the database has all characters; `by_bytes`: and orders the column's texts by their bytes.
    fn reading(&self, utf8: bool, by_bytes: bool) -> Option<Reading> {
        use Comparable::{Equality, Narrowed, No, Ordered};
        let as_it_is = |data_type| (data_type, "{}".to_owned(), Ordered, None);
        let as_text = |sql: &str| (DataType::Utf8, sql.to_owned(), No, None);
        // Finer moments are read without what is finer, and then not compared with what is.
        let fine = self.scale.is_some_and(|scale| scale > 6);
        let (base, _) = self.name.split_once('(').unwrap_or((self.name, ""));
        let zoned = self.name.ends_with("WITH TIME ZONE");
        Some(match base.trim_end() {
            "NUMBER" => return Some(self.number()),
            "FLOAT" => (DataType::Float64, "CAST({} AS BINARY_DOUBLE)".to_owned(), Ordered, None),
            "BINARY_FLOAT" => as_it_is(DataType::Float32),
            "BINARY_DOUBLE" => as_it_is(DataType::Float64),
            "BOOLEAN" => {
                let sql = "(CASE WHEN {} THEN 1 WHEN NOT {} THEN 0 END)";
                (DataType::Boolean, sql.to_owned(), Ordered, None)
            }
            // It has a time of day. A moment that it is compared with would keep an index from serving.
            "DATE" => (moment(None), "CAST({} AS TIMESTAMP(0))".to_owned(), Ordered, Some(Narrowed)),
            "TIMESTAMP" if self.name.ends_with("WITH LOCAL TIME ZONE") => {
                // The session's zone is UTC.
                let comparable = if fine { No } else { Ordered };
                (moment(Some("UTC")), "CAST({} AS TIMESTAMP(9))".to_owned(), comparable, None)
            }
            "TIMESTAMP" if zoned => {
                let comparable = if fine { No } else { Ordered };
                (moment(Some("UTC")), "SYS_EXTRACT_UTC({})".to_owned(), comparable, None)
            }
            "TIMESTAMP" if fine => (moment(None), "{}".to_owned(), No, Some(Narrowed)),
            "TIMESTAMP" => as_it_is(moment(None)),
            "VARCHAR2" if by_bytes => as_it_is(DataType::Utf8),
            // In another character set a constant may have lost letters; equal texts are equal in it, too.
            "VARCHAR2" => (DataType::Utf8, "{}".to_owned(), No, Some(Equality)),
            "CHAR" => (DataType::Utf8, TRIMMED.to_owned(), if by_bytes { Ordered } else { No }, Some(Equality)),
            // A text of the one kind is no text of the other: they do not go into one column.
            "NVARCHAR2" => (DataType::Utf8, "{}".to_owned(), No, utf8.then_some(Equality)),
            "NCHAR" => (DataType::Utf8, TRIMMED.to_owned(), No, utf8.then_some(Equality)),
            "CLOB" | "NCLOB" | "LONG" => as_text("{}"),
            "RAW" | "BLOB" | "LONG RAW" => (DataType::Binary, "{}".to_owned(), No, None),
            "ROWID" => as_text("ROWIDTOCHAR({})"),
            "UROWID" => as_text("CAST({} AS VARCHAR2(4000))"),
            "INTERVAL YEAR" | "INTERVAL DAY" => as_text("TO_CHAR({})"),
            "XMLTYPE" => as_text("XMLSERIALIZE(CONTENT {} AS CLOB)"),
            "JSON" => as_text("JSON_SERIALIZE({} RETURNING CLOB)"),
            "VECTOR" => as_text("FROM_VECTOR({} RETURNING CLOB)"),
            _ => return None,
        })
    }

    /// The narrowest type that holds every number of the column.
    fn number(&self) -> Reading {
        let scale = match (self.precision, self.scale) {
            // Nothing is said of it.
            (None, None) => {
                let sql = format!("ROUND({{}}, {DIGITS_AFTER_THE_POINT})");
                let data_type = DataType::Decimal128(38, DIGITS_AFTER_THE_POINT);
                return (data_type, sql, Comparable::Ordered, Some(Comparable::Narrowed));
            }
            (_, scale) => scale.unwrap_or_default(),
        };
        let precision = self.precision.unwrap_or(38);
        // Digits before the point, and after it.
        let (before, after) = (precision - scale, scale.max(0));
        let data_type = match (before.max(0) + after, after) {
            (1..=4, 0) => DataType::Int16,
            (5..=9, 0) => DataType::Int32,
            (10..=18, 0) => DataType::Int64,
            (digits @ 1..=38, after) => DataType::Decimal128(digits as u8, after as i8),
            // More than there is room for.
            _ => return (DataType::Utf8, "TO_CHAR({})".to_owned(), Comparable::No, None),
        };
        (data_type, "{}".to_owned(), Comparable::Ordered, None)
    }
}

/// Without the blanks that fill it up; but no text is empty here, so of blanks alone one is left.
const TRIMMED: &str = "COALESCE(RTRIM({}), SUBSTR({}, 1, 1))";

#[cfg(test)]
mod tests {
    use super::*;

    fn declared(name: &str, precision: Option<i32>, scale: Option<i32>) -> Declared<'_> {
        Declared { name, length: 60, in_characters: true, bytes: 240, precision, scale }
    }

    #[test]
    fn types_are_written_as_they_are_declared() {
        for (declared, written) in [
            (declared("VARCHAR2", None, None), "VARCHAR2(60 CHAR)"),
            (Declared { in_characters: false, ..declared("VARCHAR2", None, None) }, "VARCHAR2(240)"),
            (declared("NVARCHAR2", None, None), "NVARCHAR2(60)"),
            (declared("NUMBER", Some(10), Some(2)), "NUMBER(10,2)"),
            (declared("NUMBER", Some(10), Some(0)), "NUMBER(10)"),
            (declared("NUMBER", None, Some(0)), "INTEGER"),
            (declared("NUMBER", None, None), "NUMBER"),
            (declared("TIMESTAMP(6) WITH TIME ZONE", None, Some(6)), "TIMESTAMP(6) WITH TIME ZONE"),
        ] {
            assert_eq!(declared.whole(), written);
        }
    }

    #[test]
    fn numbers_have_the_narrowest_type_that_holds_them() {
        let of = |precision, scale| declared("NUMBER", precision, scale).number().0;
        assert_eq!(of(Some(4), Some(0)), DataType::Int16);
        assert_eq!(of(Some(9), Some(0)), DataType::Int32);
        assert_eq!(of(Some(18), Some(0)), DataType::Int64);
        assert_eq!(of(Some(19), Some(0)), DataType::Decimal128(19, 0));
        assert_eq!(of(None, Some(0)), DataType::Decimal128(38, 0));
        assert_eq!(of(Some(10), Some(2)), DataType::Decimal128(10, 2));
        assert_eq!(of(Some(2), Some(5)), DataType::Decimal128(5, 5), "0.00099 at most");
        assert_eq!(of(Some(5), Some(-2)), DataType::Int32, "9999900 at most");
        assert_eq!(of(Some(38), Some(-84)), DataType::Utf8);
        assert_eq!(of(None, None), DataType::Decimal128(38, 10));
        assert_eq!(declared("NUMBER", None, None).number().3, Some(Comparable::Narrowed));
    }

    #[test]
    fn texts_are_compared_where_bytes_are_in_the_engines_order() {
        let reading = |name, utf8, by_bytes| declared(name, None, None).reading(utf8, by_bytes).unwrap();
        assert_eq!(reading("VARCHAR2", true, true).2, Comparable::Ordered);
        assert_eq!(reading("VARCHAR2", true, false).2, Comparable::No, "a collation");
        assert_eq!(reading("VARCHAR2", false, false).3, Some(Comparable::Equality), "still narrows");
        assert_eq!(reading("CHAR", true, true).1, "COALESCE(RTRIM({}), SUBSTR({}, 1, 1))");
        assert_eq!(reading("NVARCHAR2", true, true).2, Comparable::No);
        assert_eq!(reading("NVARCHAR2", false, false).3, None, "a constant may have lost letters");
        assert_eq!(reading("CLOB", true, true).2, Comparable::No);
    }

    #[test]
    fn moments_are_read_in_utc_and_compared_where_nothing_is_cut_off() {
        let reading = |name, scale| declared(name, None, Some(scale)).reading(true, true).unwrap();
        assert_eq!(reading("TIMESTAMP(6)", 6).1, "{}");
        assert_eq!(
            (reading("TIMESTAMP(9)", 9).2, reading("TIMESTAMP(9)", 9).3),
            (Comparable::No, Some(Comparable::Narrowed))
        );
        assert_eq!(reading("TIMESTAMP(6) WITH TIME ZONE", 6).1, "SYS_EXTRACT_UTC({})");
        assert_eq!(reading("TIMESTAMP(6) WITH LOCAL TIME ZONE", 6).1, "CAST({} AS TIMESTAMP(9))");
        assert_eq!(reading("DATE", 0).1, "CAST({} AS TIMESTAMP(0))");
        assert_eq!(reading("INTERVAL DAY(2) TO SECOND(6)", 6).1, "TO_CHAR({})");
        assert!(declared("SDO_GEOMETRY", None, None).reading(true, true).is_none());
    }
}
