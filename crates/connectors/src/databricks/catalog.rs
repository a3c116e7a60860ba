//! Schemas, tables and columns of a catalogue, in one statement; and how a column of each type is read.

use datafusion::arrow::datatypes::DataType;

use super::warehouse::Warehouse;
use crate::pushdown::standard_catalog::{Reading, assemble, decimal, parts};
use crate::pushdown::{Comparable, Dialect, Wanted, moment};
use crate::{ConnectorError, DiscoveredSchema};

/// All that the token may read, or one schema or table.
pub(super) async fn read(
    warehouse: &Warehouse,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let catalog = Dialect::Databricks.quote(warehouse.catalog().await?);
    let Some(only) = Dialect::Databricks.only(&[("c.table_schema", schema), ("c.table_name", table)]) else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT c.table_schema, c.table_name, t.table_type, c.column_name, CAST(c.ordinal_position + 1 AS STRING), \
         c.full_data_type, c.is_nullable, c.comment, c.column_default \
         FROM {catalog}.information_schema.columns c JOIN {catalog}.information_schema.tables t \
         ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
         WHERE c.table_schema <> 'information_schema'{only} \
         ORDER BY c.table_schema, c.table_name, c.ordinal_position"
    );
    Ok(assemble(&warehouse.rows(&sql).await?, |declared| Some(reading(declared))))
}

/// Moments are read in a form that no session's zone touches, and so compared here as well; what is asked of them
/// narrows what is fetched. Nested types are read as JSON.
fn reading(declared: &str) -> Reading {
    use Comparable::{No, Ordered};
    let (name, arguments) = parts(declared);
    match name.as_str() {
        "boolean" => (DataType::Boolean, "{}", Ordered, None),
        "tinyint" | "byte" | "smallint" | "short" => (DataType::Int16, "{}", Ordered, None),
        "int" | "integer" => (DataType::Int32, "{}", Ordered, None),
        "bigint" | "long" => (DataType::Int64, "{}", Ordered, None),
        "float" | "real" => (DataType::Float32, "{}", Ordered, None),
        "double" => (DataType::Float64, "{}", Ordered, None),
        "decimal" | "dec" | "numeric" => match decimal(&arguments) {
            Some(decimal) => (decimal, "{}", Ordered, None),
            None => (DataType::Utf8, "CAST({} AS STRING)", No, None),
        },
        "string" | "varchar" => (DataType::Utf8, "{}", Ordered, None),
        // Its column and what it is compared with are filled up with blanks; a computed text is not.
        "char" => (DataType::Utf8, "concat({}, '')", Ordered, None),
        "date" => (DataType::Date32, "{}", Ordered, None),
        "timestamp" => (moment(Some("UTC")), "unix_micros({})", No, Some(Ordered)),
        "timestamp_ntz" => (moment(None), "CAST({} AS STRING)", No, Some(Ordered)),
        "binary" => (DataType::Binary, "{}", No, None),
        _ if ["array", "map", "struct", "variant"].iter().any(|nested| name.starts_with(nested)) => {
            (DataType::Utf8, "to_json({})", No, None)
        }
        // Texts under a collation, intervals, shapes.
        _ => (DataType::Utf8, "CAST({} AS STRING)", No, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_the_manual_names_them() {
        assert_eq!(reading("string").2, Comparable::Ordered);
        assert_eq!(reading("char(5)").1, "concat({}, '')");
        assert_eq!(reading("string collate UTF8_LCASE").2, Comparable::No);
        assert_eq!(reading("decimal(10,2)").0, DataType::Decimal128(10, 2));
        assert_eq!(reading("array<string>").1, "to_json({})");
        assert_eq!(reading("timestamp").3, Some(Comparable::Ordered));
    }
}
