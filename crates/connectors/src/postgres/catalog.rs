//! Schemas, tables and columns of a PostgreSQL database, in two statements however many tables there are; and how
//! a column of each type is read.
//!
//! Types that have no counterpart are read as text (arrays and composites as JSON), never skipped: one odd column
//! does not cost the table.

use std::collections::HashMap;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use tokio_postgres::{Client, Row};

use super::session::classify;
use crate::pushdown::{Comparable, RemoteColumn, Wanted};
use crate::{ConnectorError, DiscoveredColumn, DiscoveredSchema, DiscoveredTable, ForeignKey, TableKind};

/// One row a column. Domains are looked through to their base type. `to_jsonb` asks for catalogue columns that
/// older servers lack.
const COLUMNS: &str = "
SELECT n.nspname::text, c.relname::text, c.relkind::text, c.reltuples::float8,
       obj_description(c.oid, 'pg_class'),
       a.attname::text, a.attnum::int4, format_type(a.atttypid, a.atttypmod), a.attnotnull,
       pg_get_expr(d.adbin, d.adrelid), col_description(c.oid, a.attnum),
       b.typname::text, b.typtype::text, b.typcategory::text,
       CASE WHEN t.typtype = 'd' THEN t.typtypmod ELSE a.atttypmod END,
       CASE WHEN l.collname = 'default' THEN db.datcollate::text ELSE l.collname::text END,
       coalesce((to_jsonb(l) ->> 'collisdeterministic')::bool, true),
       CASE WHEN l.collname = 'default' THEN coalesce(to_jsonb(db) ->> 'datlocprovider', 'c')
            ELSE coalesce(to_jsonb(l) ->> 'collprovider', 'c') END,
       EXISTS (SELECT 1 FROM pg_constraint p
               WHERE p.conrelid = c.oid AND p.contype = 'p' AND a.attnum = ANY (p.conkey)),
       c.oid::int8, pg_encoding_to_char(db.encoding)::text
FROM pg_class c
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
JOIN pg_type t ON t.oid = a.atttypid
JOIN pg_type b ON b.oid = CASE WHEN t.typtype = 'd' THEN t.typbasetype ELSE t.oid END
JOIN pg_database db ON db.datname = current_database()
LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum
LEFT JOIN pg_collation l ON l.oid = a.attcollation
WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT c.relispartition
  AND n.nspname <> 'information_schema' AND n.nspname NOT LIKE 'pg\\_%'
  AND has_schema_privilege(n.oid, 'USAGE') AND has_column_privilege(c.oid, a.attnum, 'SELECT')
  AND ($1::text IS NULL OR n.nspname = $1) AND ($2::text IS NULL OR c.relname = $2)
ORDER BY 1, 2, a.attnum";

const FOREIGN_KEYS: &str = "
SELECT k.conrelid::int8, u.own::int4, n.nspname::text, c.relname::text, a.attname::text
FROM pg_constraint k
JOIN pg_class c ON c.oid = k.confrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
JOIN pg_class o ON o.oid = k.conrelid
JOIN pg_namespace s ON s.oid = o.relnamespace
CROSS JOIN LATERAL unnest(k.conkey, k.confkey) AS u (own, foreign_number)
JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = u.foreign_number
WHERE k.contype = 'f' AND ($1::text IS NULL OR s.nspname = $1) AND ($2::text IS NULL OR o.relname = $2)";

/// Everything that the role may read, in one schema or table or in all.
pub(super) async fn read(
    client: &Client,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let columns = client.query(COLUMNS, &[&schema, &table]).await.map_err(classify)?;
    let keys = client.query(FOREIGN_KEYS, &[&schema, &table]).await.map_err(classify)?;
    assemble(&columns, &foreign_keys(&keys).map_err(classify)?).map_err(classify)
}

type Keys = HashMap<(i64, i32), ForeignKey>;

fn foreign_keys(rows: &[Row]) -> Result<Keys, tokio_postgres::Error> {
    let mut keys = Keys::new();
    for row in rows {
        let target = ForeignKey { schema: row.try_get(2)?, table: row.try_get(3)?, column: row.try_get(4)? };
        keys.entry((row.try_get(0)?, row.try_get(1)?)).or_insert(target);
    }
    Ok(keys)
}

fn assemble(rows: &[Row], keys: &Keys) -> Result<Vec<DiscoveredSchema>, tokio_postgres::Error> {
    let mut schemas: Vec<DiscoveredSchema> = Vec::new();
    for row in rows {
        let schema: String = row.try_get(0)?;
        if schemas.last().is_none_or(|last| last.name != schema) {
            schemas.push(DiscoveredSchema { name: schema, tables: Vec::new() });
        }
        let Some(schema) = schemas.last_mut() else { continue };
        let name: String = row.try_get(1)?;
        if schema.tables.last().is_none_or(|last| last.name != name) {
            let kind: &str = row.try_get(2)?;
            let estimate: f64 = row.try_get(3)?;
            schema.tables.push(DiscoveredTable {
                name,
                kind: if matches!(kind, "v" | "m") { TableKind::View } else { TableKind::Table },
                columns: Vec::new(),
                // -1: never analysed; a view has no count.
                row_count: (estimate >= 0.0 && kind != "v").then_some(estimate as u64),
                comment: row.try_get(4)?,
            });
        }
        let Some(table) = schema.tables.last_mut() else { continue };
        table.columns.push(column(row, keys)?);
    }
    Ok(schemas)
}

fn column(row: &Row, keys: &Keys) -> Result<DiscoveredColumn, tokio_postgres::Error> {
    let number: i32 = row.try_get(6)?;
    let collation = Collation {
        name: row.try_get::<_, Option<&str>>(15)?.unwrap_or("C"),
        deterministic: row.try_get(16)?,
        provider: row.try_get(17)?,
    };
    let base = Base { name: row.try_get(11)?, kind: row.try_get(12)?, category: row.try_get(13)? };
    let (arrow_type, reading, comparable) = reading(&base, row.try_get(14)?, &collation);
    let (comparable, implied) = match arrow_type {
        DataType::Utf8 => in_encoding(row.try_get(20)?, reading, comparable),
        _ => (comparable, None),
    };
    let oid: i64 = row.try_get(19)?;
    let name: String = row.try_get(5)?;
    let remote = RemoteColumn { name: name.clone(), reading: reading.to_owned(), comparable, implied };
    Ok(DiscoveredColumn {
        name,
        source_type: row.try_get(7)?,
        arrow_type,
        position: u32::try_from(number).unwrap_or_default(),
        nullable: !row.try_get::<_, bool>(8)?,
        primary_key: row.try_get(18)?,
        foreign_key: keys.get(&(oid, number)).cloned(),
        default_value: row.try_get(9)?,
        comment: row.try_get(10)?,
        reading: Some(remote.remember(None)),
    })
}

struct Base<'a> {
    name: &'a str,
    kind: &'a str,
    category: &'a str,
}

struct Collation<'a> {
    name: &'a str,
    deterministic: bool,
    provider: &'a str,
}

impl Collation<'_> {
    /// Whether texts are ordered by their bytes, as the engine orders them.
    fn by_bytes(&self) -> bool {
        matches!(self.name, "C" | "POSIX" | "ucs_basic") && matches!(self.provider, "c" | "d" | "b")
    }
}

/// Texts made by a cast are under no index, so they may as well be ordered by bytes.
const AS_TEXT: &str = "(CAST({} AS text) COLLATE \"C\")";

fn reading(base: &Base<'_>, modifier: i32, collation: &Collation<'_>) -> (DataType, &'static str, Comparable) {
    use Comparable::{Equality, No, Ordered};
    match base.name {
        "bool" => (DataType::Boolean, "{}", Ordered),
        "int2" => (DataType::Int16, "{}", Ordered),
        "int4" => (DataType::Int32, "{}", Ordered),
        "int8" => (DataType::Int64, "{}", Ordered),
        "oid" => (DataType::Int64, "CAST({} AS bigint)", Ordered),
        "float4" => (DataType::Float32, "{}", Ordered),
        "float8" => (DataType::Float64, "{}", Ordered),
        "numeric" => match numeric(modifier) {
            Some((precision, scale)) => (DataType::Decimal128(precision, scale), "{}", Ordered),
            // Without a declared scale, or with one that does not fit: 28 digits before the point, 10 after it.
            None => (DataType::Decimal128(38, 10), "round({}, 10)", Ordered),
        },
        "money" => (DataType::Decimal128(19, 2), "CAST({} AS numeric)", Ordered),
        "text" | "varchar" if !collation.deterministic => (DataType::Utf8, "({} COLLATE \"C\")", Ordered),
        "text" | "varchar" if collation.by_bytes() => (DataType::Utf8, "{}", Ordered),
        "text" | "varchar" => (DataType::Utf8, "{}", Equality),
        "date" => (DataType::Date32, "{}", Ordered),
        "time" => (DataType::Time64(TimeUnit::Microsecond), "{}", No),
        "timestamp" => (DataType::Timestamp(TimeUnit::Microsecond, None), "{}", Ordered),
        "timestamptz" => (DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), "{}", Ordered),
        "bytea" => (DataType::Binary, "{}", Ordered),
        _ if base.category == "A" => (DataType::Utf8, "CAST(array_to_json({}) AS text)", No),
        _ if base.kind == "c" => (DataType::Utf8, "CAST(row_to_json({}) AS text)", No),
        _ => (DataType::Utf8, AS_TEXT, Ordered),
    }
}

/// What of texts may be compared in a database of the encoding, and what that implies for the column as it is stored.
fn in_encoding(encoding: &str, reading: &str, comparable: Comparable) -> (Comparable, Option<Comparable>) {
    match encoding {
        "UTF8" => (comparable, None),
        // Characters are bytes there, to LIKE above all. Equal texts are equal all the same.
        "SQL_ASCII" => (Comparable::No, (reading == "{}").then_some(Comparable::Equality)),
        // Bytes are in another order than the engine's.
        _ => (comparable.min(Comparable::Equality), None),
    }
}

/// Precision and scale of a type modifier, where a 128-bit decimal can hold them.
fn numeric(modifier: i32) -> Option<(u8, i8)> {
    let packed = modifier.checked_sub(4).filter(|packed| *packed >= 0)?;
    let precision = u8::try_from(packed >> 16).ok().filter(|p| (1..=38).contains(p))?;
    // Eleven bits with a sign, since version 15.
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    let scale = i8::try_from(scale).ok().filter(|s| *s >= 0 && *s <= precision as i8)?;
    Some((precision, scale))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numeric_modifiers_are_unpacked() {
        assert_eq!(numeric((10 << 16 | 2) + 4), Some((10, 2)));
        assert_eq!(numeric((38 << 16) + 4), Some((38, 0)));
        assert_eq!(numeric(-1), None);
        assert_eq!(numeric((40 << 16 | 2) + 4), None);
        assert_eq!(numeric((3 << 16 | 5) + 4), None, "a scale above the precision");
        assert_eq!(numeric((3 << 16 | (-2 & 0x7ff)) + 4), None, "a negative scale");
    }
}
