//! Schemas, tables and columns of a database, in one statement; and how a column of each type is read.

use datafusion::arrow::datatypes::DataType;

use super::account::Account;
use crate::pushdown::standard_catalog::{Reading, assemble, decimal, parts};
use crate::pushdown::{Comparable, Dialect, Wanted, moment};
use crate::{ConnectorError, DiscoveredSchema};

/// All that the role may read, or one schema or table. A collation is told as part of the type.
pub(super) async fn read(
    account: &Account,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let database = Dialect::Snowflake.quote(account.database());
    let Some(only) = Dialect::Snowflake.only(&[("c.table_schema", schema), ("c.table_name", table)]) else {
        return Ok(Vec::new());
    };
    let sql = format!(
        "SELECT c.table_schema, c.table_name, t.table_type, c.column_name, CAST(c.ordinal_position AS VARCHAR), \
         CASE WHEN c.data_type = 'NUMBER' THEN 'NUMBER(' || c.numeric_precision || ', ' || c.numeric_scale || ')' \
         WHEN c.data_type LIKE 'TIMESTAMP%' THEN c.data_type || '(' || COALESCE(c.datetime_precision, 9) || ')' \
         WHEN c.collation_name IS NOT NULL THEN c.data_type || ' COLLATE' ELSE c.data_type END, \
         c.is_nullable, c.comment, c.column_default \
         FROM {database}.information_schema.columns c JOIN {database}.information_schema.tables t \
         ON t.table_schema = c.table_schema AND t.table_name = c.table_name \
         WHERE c.table_schema <> 'INFORMATION_SCHEMA'{only} \
         ORDER BY c.table_schema, c.table_name, c.ordinal_position"
    );
    Ok(assemble(&account.rows(&sql).await?, |declared| Some(reading(declared))))
}

fn reading(declared: &str) -> Reading {
    use Comparable::{No, Ordered};
    let (name, arguments) = parts(declared);
    let fine = arguments.first().is_none_or(|digits| *digits > 6);
    match name.as_str() {
        "boolean" => (DataType::Boolean, "{}", Ordered, None),
        "number" => match arguments.as_slice() {
            [precision, 0] if *precision <= 18 => (DataType::Int64, "{}", Ordered, None),
            arguments => match decimal(arguments) {
                Some(decimal) => (decimal, "{}", Ordered, None),
                None => (DataType::Utf8, "CAST({} AS VARCHAR)", No, None),
            },
        },
        "float" => (DataType::Float64, "{}", Ordered, None),
        "text" => (DataType::Utf8, "{}", Ordered, None),
        "text collate" => (DataType::Utf8, "{}", No, None),
        "date" => (DataType::Date32, "{}", Ordered, None),
        "timestamp_ntz" if fine => (moment(None), "CAST({} AS TIMESTAMP_NTZ(6))", Ordered, None),
        "timestamp_ntz" => (moment(None), "{}", Ordered, None),
        "timestamp_ltz" if fine => (moment(Some("UTC")), "CAST({} AS TIMESTAMP_LTZ(6))", Ordered, None),
        "timestamp_ltz" => (moment(Some("UTC")), "{}", Ordered, None),
        // In its own zone it would be cut and taken apart there.
        "timestamp_tz" if fine => {
            (moment(Some("UTC")), "CAST(CONVERT_TIMEZONE('UTC', {}) AS TIMESTAMP_TZ(6))", Ordered, None)
        }
        "timestamp_tz" => (moment(Some("UTC")), "CONVERT_TIMEZONE('UTC', {})", Ordered, None),
        "time" => (DataType::Utf8, "TO_CHAR({}, 'HH24:MI:SS.FF9')", Ordered, None),
        "binary" => (DataType::Binary, "{}", No, None),
        "variant" | "object" | "array" | "map" => (DataType::Utf8, "TO_JSON(TO_VARIANT({}))", No, None),
        "geography" | "geometry" => (DataType::Utf8, "ST_ASWKT({})", No, None),
        _ => (DataType::Utf8, "CAST({} AS VARCHAR)", No, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_the_manual_names_them() {
        assert_eq!(reading("NUMBER(10, 0)").0, DataType::Int64);
        assert_eq!(reading("NUMBER(38, 0)").0, DataType::Decimal128(38, 0));
        assert_eq!(reading("NUMBER(10, 2)").0, DataType::Decimal128(10, 2));
        assert_eq!(reading("TEXT COLLATE").2, Comparable::No);
        assert_eq!(reading("TIMESTAMP_NTZ(9)").1, "CAST({} AS TIMESTAMP_NTZ(6))");
        assert_eq!(reading("TIMESTAMP_NTZ(3)").1, "{}");
        assert_eq!(reading("VARIANT").1, "TO_JSON(TO_VARIANT({}))");
    }
}
