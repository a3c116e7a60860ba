//! Schemas, tables and columns of databases that only speak PostgreSQL's protocol, by the SQL standard's catalogue
//! and what they document beside it.

use std::collections::HashMap;

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use tokio_postgres::{Client, Row};

use super::flavour::Flavour;
use super::session::classify;
use crate::pushdown::{Comparable, RemoteColumn, Wanted};
use crate::{ConnectorError, DiscoveredColumn, DiscoveredSchema, DiscoveredTable, TableKind};

/// One row a column. CockroachDB's own name of the type tells of arrays and collations.
const COCKROACH_COLUMNS: &str = "
SELECT CAST(c.table_schema AS text), CAST(c.table_name AS text), CAST(t.table_type AS text),
       CAST(c.column_name AS text), CAST(c.ordinal_position AS text), CAST(c.data_type AS text),
       CAST(c.crdb_sql_type AS text), CAST(c.is_nullable AS text), CAST(c.column_default AS text),
       CAST(c.column_comment AS text), CAST(c.numeric_precision AS text), CAST(c.numeric_scale AS text)
FROM information_schema.columns c
JOIN information_schema.tables t ON t.table_schema = c.table_schema AND t.table_name = c.table_name
WHERE c.table_schema NOT IN ('information_schema', 'pg_catalog', 'crdb_internal', 'pg_extension')
  AND c.is_hidden = 'NO' AND ($1::text IS NULL OR c.table_schema = $1) AND ($2::text IS NULL OR c.table_name = $2)
ORDER BY 1, 2, c.ordinal_position";

/// Tables of the warehouse and of its external schemas.
const REDSHIFT_COLUMNS: &str = "
SELECT CAST(c.schema_name AS varchar), CAST(c.table_name AS varchar), CAST(t.table_type AS varchar),
       CAST(c.column_name AS varchar), CAST(c.ordinal_position AS varchar), CAST(c.data_type AS varchar),
       CAST(c.data_type AS varchar), CAST(c.is_nullable AS varchar), CAST(c.column_default AS varchar),
       CAST(c.remarks AS varchar), CAST(c.numeric_precision AS varchar), CAST(c.numeric_scale AS varchar)
FROM svv_all_columns c
JOIN svv_all_tables t
  ON t.database_name = c.database_name AND t.schema_name = c.schema_name AND t.table_name = c.table_name
WHERE c.database_name = current_database() AND c.schema_name NOT IN ('information_schema', 'pg_catalog', 'pg_internal')
ORDER BY c.schema_name, c.table_name, c.ordinal_position";

const PRIMARY_KEYS: &str = "
SELECT CAST(k.table_schema AS varchar), CAST(k.table_name AS varchar), CAST(k.column_name AS varchar)
FROM information_schema.table_constraints p
JOIN information_schema.key_column_usage k
  ON k.constraint_schema = p.constraint_schema AND k.constraint_name = p.constraint_name
     AND k.table_schema = p.table_schema AND k.table_name = p.table_name
WHERE p.constraint_type = 'PRIMARY KEY'";

/// Only somebody who may look inside gets these.
const COCKROACH_ESTIMATES: &str = "
SELECT CAST(t.schema_name AS text), CAST(t.name AS text), CAST(s.estimated_row_count AS text)
FROM crdb_internal.tables t JOIN crdb_internal.table_row_statistics s ON s.table_id = t.table_id
WHERE t.database_name = current_database() AND s.estimated_row_count IS NOT NULL";

/// Everything that the role may read, in one schema or table or in all.
pub(super) async fn read(
    client: &Client,
    flavour: Flavour,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let columns = match flavour {
        Flavour::Cockroachdb => client.query(COCKROACH_COLUMNS, &[&schema, &table]).await,
        // Its catalogue takes no parameters: the views are functions of the leader.
        _ => client.query(REDSHIFT_COLUMNS, &[]).await,
    };
    let columns = columns.map_err(classify)?;
    let primary = client.query(PRIMARY_KEYS, &[]).await.map_err(classify)?;
    let mut primary_keys = HashMap::new();
    for row in &primary {
        let key: Name = (row.try_get(0).map_err(classify)?, row.try_get(1).map_err(classify)?);
        primary_keys.entry(key).or_insert_with(Vec::new).push(row.try_get(2).map_err(classify)?);
    }
    let mut estimates = HashMap::new();
    if flavour == Flavour::Cockroachdb {
        match client.query(COCKROACH_ESTIMATES, &[]).await {
            Ok(rows) => {
                for row in &rows {
                    let key: Name = (row.try_get(0).map_err(classify)?, row.try_get(1).map_err(classify)?);
                    let count: String = row.try_get(2).map_err(classify)?;
                    estimates.extend(count.parse::<u64>().ok().map(|count| (key, count)));
                }
            }
            Err(error) => tracing::debug!(%error, "CockroachDB tells no estimates"),
        }
    }
    let known = Known { flavour, primary_keys, estimates };
    let mut schemas = known.assemble(&columns).map_err(classify)?;
    for found in &mut schemas {
        found.tables.retain(|found| table.is_none_or(|table| found.name == table));
    }
    schemas.retain(|found| schema.is_none_or(|schema| found.name == schema) && !found.tables.is_empty());
    Ok(schemas)
}

type Name = (String, String);

struct Known {
    flavour: Flavour,
    primary_keys: HashMap<Name, Vec<String>>,
    estimates: HashMap<Name, u64>,
}

impl Known {
    fn assemble(&self, rows: &[Row]) -> Result<Vec<DiscoveredSchema>, tokio_postgres::Error> {
        let mut schemas: Vec<DiscoveredSchema> = Vec::new();
        for row in rows {
            let name: Name = (row.try_get(0)?, row.try_get(1)?);
            if schemas.last().is_none_or(|last| last.name != name.0) {
                schemas.push(DiscoveredSchema { name: name.0.clone(), tables: Vec::new() });
            }
            let Some(schema) = schemas.last_mut() else { continue };
            if schema.tables.last().is_none_or(|last| last.name != name.1) {
                let kind: Option<&str> = row.try_get(2)?;
                schema.tables.push(DiscoveredTable {
                    name: name.1.clone(),
                    kind: if kind.is_some_and(|k| k.contains("VIEW")) { TableKind::View } else { TableKind::Table },
                    columns: Vec::new(),
                    row_count: self.estimates.get(&name).copied(),
                    comment: None,
                });
            }
            let Some(table) = schema.tables.last_mut() else { continue };
            table.columns.push(self.column(row, &name)?);
        }
        Ok(schemas)
    }

    fn column(&self, row: &Row, table: &Name) -> Result<DiscoveredColumn, tokio_postgres::Error> {
        let text = |index: usize| row.try_get::<_, Option<&str>>(index).map(Option::unwrap_or_default);
        let name: String = row.try_get(3)?;
        let declared = Declared {
            name: text(5)?,
            whole: text(6)?,
            precision: text(10)?.parse().ok(),
            scale: text(11)?.parse().ok(),
        };
        let (arrow_type, reading, comparable, implied) = match self.flavour {
            Flavour::Cockroachdb => declared.cockroach(),
            _ => declared.redshift(),
        };
        let remote = RemoteColumn { name: name.clone(), reading: reading.to_owned(), comparable, implied };
        Ok(DiscoveredColumn {
            primary_key: self.primary_keys.get(table).is_some_and(|columns| columns.contains(&name)),
            name,
            source_type: declared.whole.to_owned(),
            arrow_type,
            position: text(4)?.parse().unwrap_or_default(),
            nullable: text(7)? != "NO",
            foreign_key: None,
            default_value: row.try_get(8)?,
            comment: row.try_get::<_, Option<String>>(9)?.filter(|comment| !comment.is_empty()),
            reading: Some(remote.remember(None)),
        })
    }
}

/// A type as the catalogue tells it.
struct Declared<'a> {
    name: &'a str,
    whole: &'a str,
    precision: Option<u8>,
    scale: Option<i8>,
}

type Reading = (DataType, &'static str, Comparable, Option<Comparable>);

impl Declared<'_> {
    /// Texts are ordered by their bytes unless they have a collation, which their type names.
    fn cockroach(&self) -> Reading {
        use Comparable::{Equality, No, Ordered};
        let (data_type, reading, comparable) = match self.name.to_lowercase().as_str() {
            _ if self.whole.contains("COLLATE") => (DataType::Utf8, "{}", No),
            "numeric" | "decimal" => match self.decimal() {
                Some(decimal) => (decimal, "{}", Ordered),
                None => (DataType::Decimal128(38, 10), "round({}, 10)", Ordered),
            },
            "text" | "character varying" | "string" => (DataType::Utf8, "{}", Ordered),
            "bytea" | "bytes" => (DataType::Binary, "{}", Ordered),
            "array" => (DataType::Utf8, "CAST(to_jsonb({}) AS text)", No),
            // NaN is below all numbers there.
            "double precision" => (DataType::Float64, "{}", Equality),
            "real" => (DataType::Float32, "{}", Equality),
            name => match plain(name) {
                Some(data_type) => (data_type, "{}", Ordered),
                None => (DataType::Utf8, "CAST({} AS text)", Ordered),
            },
        };
        (data_type, reading, comparable, None)
    }

    /// Blanks at the end of a text mean nothing where it is compared. How NaN compares is not documented.
    fn redshift(&self) -> Reading {
        use Comparable::{Equality, No, Ordered};
        match self.name.to_lowercase().as_str() {
            "numeric" | "decimal" => match self.decimal() {
                Some(decimal) => (decimal, "{}", Ordered, None),
                None => (DataType::Utf8, "CAST({} AS varchar)", No, None),
            },
            "text" | "character varying" | "character" | "varchar" | "char" | "string" | "bpchar" => {
                (DataType::Utf8, "{}", No, Some(Equality))
            }
            "double precision" => (DataType::Float64, "{}", No, None),
            "real" => (DataType::Float32, "{}", No, None),
            "super" => (DataType::Utf8, "JSON_SERIALIZE({})", No, None),
            "varbyte" | "binary varying" => (DataType::Utf8, "TO_HEX({})", No, None),
            "geometry" | "geography" => (DataType::Utf8, "ST_AsText({})", No, None),
            name => match plain(name) {
                Some(data_type) => (data_type, "{}", Ordered, None),
                None => (DataType::Utf8, "CAST({} AS varchar)", No, None),
            },
        }
    }

    fn decimal(&self) -> Option<DataType> {
        let (precision, scale) = (self.precision.filter(|p| (1..=38).contains(p))?, self.scale?);
        (0..=i16::from(precision)).contains(&i16::from(scale)).then_some(DataType::Decimal128(precision, scale))
    }
}

/// The types that read the same everywhere.
fn plain(name: &str) -> Option<DataType> {
    Some(match name {
        "boolean" => DataType::Boolean,
        "smallint" => DataType::Int16,
        "integer" => DataType::Int32,
        "bigint" => DataType::Int64,
        "date" => DataType::Date32,
        "timestamp without time zone" => DataType::Timestamp(TimeUnit::Microsecond, None),
        "timestamp with time zone" => DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn declared<'a>(name: &'a str, whole: &'a str) -> Declared<'a> {
        Declared { name, whole, precision: Some(10), scale: Some(2) }
    }

    #[test]
    fn texts_compare_there_as_here_or_not_at_all() {
        assert_eq!(declared("character varying", "VARCHAR(20)").cockroach().2, Comparable::Ordered);
        assert_eq!(declared("text", "STRING COLLATE en").cockroach().2, Comparable::No);
        let (_, _, comparable, implied) = declared("character varying", "character varying").redshift();
        assert_eq!((comparable, implied), (Comparable::No, Some(Comparable::Equality)));
    }

    #[test]
    fn fractions_are_not_ordered_where_nan_is_the_least() {
        for name in ["double precision", "real"] {
            assert_eq!(declared(name, "FLOAT").cockroach().2, Comparable::Equality, "{name}");
        }
    }

    #[test]
    fn types_are_read_as_documented() {
        assert_eq!(declared("numeric", "DECIMAL(10,2)").cockroach().0, DataType::Decimal128(10, 2));
        assert_eq!(declared("ARRAY", "INT8[]").cockroach().1, "CAST(to_jsonb({}) AS text)");
        assert_eq!(declared("super", "super").redshift().1, "JSON_SERIALIZE({})");
        assert_eq!(declared("timestamp with time zone", "").redshift().0, plain("timestamp with time zone").unwrap());
    }
}
