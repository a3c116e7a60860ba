//! Tables and columns of a database, in one statement; and how a column of each type is read.

use datafusion::arrow::datatypes::DataType;

use super::client::Database;
use crate::pushdown::standard_catalog::{Reading, assemble, parts};
use crate::pushdown::{Comparable, Dialect};
use crate::{ConnectorError, DiscoveredSchema, trino};

/// All tables and views, or one.
pub(super) async fn read(database: &Database, table: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let settings = database.settings();
    let catalog = Dialect::Trino.quote(&settings.catalog);
    // Said of both: no more is looked at than is asked for.
    let schema = Some(settings.database.as_str());
    let names =
        [("c.table_schema", schema), ("t.table_schema", schema), ("c.table_name", table), ("t.table_name", table)];
    let Some(only) = Dialect::Trino.only(&names) else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT c.table_schema AS c0, c.table_name AS c1, t.table_type AS c2, c.column_name AS c3, \
         CAST(c.ordinal_position AS varchar) AS c4, c.data_type AS c5, c.is_nullable AS c6, \
         CAST(NULL AS varchar) AS c7, c.column_default AS c8 \
         FROM {catalog}.information_schema.columns c JOIN {catalog}.information_schema.tables t \
         ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
         WHERE 1 = 1{only} ORDER BY 1, 2, c.ordinal_position"
    );
    Ok(assemble(&database.rows(sql, 9).await?, |declared| Some(reading(declared))))
}

/// The types are Trino's; some go by the names that Hive has for them.
fn reading(declared: &str) -> Reading {
    match parts(declared).0.as_str() {
        "int" => trino::catalog::reading("integer"),
        "float" => trino::catalog::reading("real"),
        "string" => trino::catalog::reading("varchar"),
        // As it stands it would be written with blanks between the digits.
        "varbinary" | "binary" => (DataType::Binary, "to_hex({})", Comparable::No, None),
        _ => trino::catalog::reading(declared),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_the_manual_names_them() {
        assert_eq!(reading("varchar(20)").2, Comparable::Ordered);
        assert_eq!(reading("timestamp(3)").1, "{}");
        assert_eq!(reading("timestamp(3) with time zone").1, "({} AT TIME ZONE 'UTC')");
        assert_eq!(reading("decimal(10,2)").0, DataType::Decimal128(10, 2));
        assert_eq!(reading("varbinary"), (DataType::Binary, "to_hex({})", Comparable::No, None));
        assert_eq!(reading("row(a integer, b array(varchar))").1, "json_format(CAST({} AS json))");
    }
}
