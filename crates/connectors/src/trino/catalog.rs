//! Schemas, tables and columns of a catalogue, in one statement; and how a column of each type is read.

use datafusion::arrow::datatypes::DataType;

use super::client::Trino;
use crate::pushdown::standard_catalog::{Reading, assemble, decimal, parts};
use crate::pushdown::{Comparable, Dialect, Wanted, moment};
use crate::{ConnectorError, DiscoveredSchema};

/// All that the user may read, or one schema or table.
pub(super) async fn read(
    cluster: &Trino,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let catalog = Dialect::Trino.quote(cluster.catalog());
    // Said of both: connectors look only at what is asked for.
    let names =
        [("c.table_schema", schema), ("t.table_schema", schema), ("c.table_name", table), ("t.table_name", table)];
    let Some(only) = Dialect::Trino.only(&names) else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT c.table_schema, c.table_name, t.table_type, c.column_name, CAST(c.ordinal_position AS varchar), \
         c.data_type, c.is_nullable, CAST(NULL AS varchar), c.column_default \
         FROM {catalog}.information_schema.columns c JOIN {catalog}.information_schema.tables t \
         ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
         WHERE c.table_schema <> 'information_schema'{only} ORDER BY 1, 2, c.ordinal_position"
    );
    Ok(assemble(&cluster.rows(&sql).await?, |declared| Some(reading(declared))))
}

/// Types that have no counterpart are read as text, nested ones as JSON.
pub(crate) fn reading(declared: &str) -> Reading {
    use Comparable::{No, Ordered};
    let (name, arguments) = parts(declared);
    let fine = arguments.first().is_some_and(|digits| *digits > 6);
    match name.as_str() {
        "boolean" => (DataType::Boolean, "{}", Ordered, None),
        "tinyint" | "smallint" => (DataType::Int16, "{}", Ordered, None),
        "integer" => (DataType::Int32, "{}", Ordered, None),
        "bigint" => (DataType::Int64, "{}", Ordered, None),
        // NaN is not equal to itself there.
        "real" => (DataType::Float32, "{}", No, None),
        "double" => (DataType::Float64, "{}", No, None),
        "decimal" => match decimal(&arguments) {
            Some(decimal) => (decimal, "{}", Ordered, None),
            None => (DataType::Utf8, "CAST({} AS varchar)", No, None),
        },
        "varchar" => (DataType::Utf8, "{}", Ordered, None),
        "char" => (DataType::Utf8, "CAST({} AS varchar)", Ordered, None),
        "varbinary" => (DataType::Binary, "{}", No, None),
        "date" => (DataType::Date32, "{}", Ordered, None),
        "timestamp" if fine => (moment(None), "CAST({} AS timestamp(6))", Ordered, None),
        "timestamp" => (moment(None), "{}", Ordered, None),
        "timestamp with time zone" if fine => {
            (moment(Some("UTC")), "CAST({} AT TIME ZONE 'UTC' AS timestamp(6) with time zone)", Ordered, None)
        }
        // The zone is shown, not compared.
        "timestamp with time zone" => (moment(Some("UTC")), "({} AT TIME ZONE 'UTC')", Ordered, Some(Ordered)),
        "json" => (DataType::Utf8, "json_format({})", No, None),
        _ if ["array", "map", "row"].iter().any(|nested| name.starts_with(nested)) => {
            (DataType::Utf8, "json_format(CAST({} AS json))", No, None)
        }
        "geometry" | "sphericalgeography" => (DataType::Utf8, "ST_AsText({})", No, None),
        "hyperloglog" | "p4hyperloglog" | "setdigest" => (DataType::Utf8, "to_hex(CAST({} AS varbinary))", No, None),
        _ if name.starts_with("qdigest") || name.starts_with("tdigest") => {
            (DataType::Utf8, "to_hex(CAST({} AS varbinary))", No, None)
        }
        _ => (DataType::Utf8, "CAST({} AS varchar)", Ordered, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_the_manual_names_them() {
        assert_eq!(reading("varchar(20)").2, Comparable::Ordered);
        assert_eq!(reading("timestamp(3) with time zone").1, "({} AT TIME ZONE 'UTC')");
        assert_eq!(reading("timestamp(9)").1, "CAST({} AS timestamp(6))");
        assert_eq!(reading("decimal(10,2)").0, DataType::Decimal128(10, 2));
        assert_eq!(reading("map(varchar, array(integer))").1, "json_format(CAST({} AS json))");
        assert_eq!(reading("uuid").1, "CAST({} AS varchar)");
    }
}
