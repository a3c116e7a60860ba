//! Tables and columns of a project's datasets, in one statement a dataset; and how a column of each type is read.

use datafusion::arrow::datatypes::DataType;
use futures::stream::{self, StreamExt, TryStreamExt};

use super::project::Project;
use crate::pushdown::standard_catalog::{Reading, assemble, decimal, parts};
use crate::pushdown::{Comparable, Dialect, Wanted, moment};
use crate::{ConnectorError, DiscoveredSchema};

/// Datasets that are asked at once.
const AT_ONCE: usize = 4;

/// All that may be read, or one dataset or table.
pub(super) async fn read(
    project: &Project,
    Wanted { schema, table }: Wanted<'_>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let datasets = match schema {
        Some(schema) => vec![schema.to_owned()],
        None => project.datasets().await?,
    };
    let found = stream::iter(datasets).map(|dataset| async move { dataset_tables(project, &dataset, table).await });
    let found: Vec<_> = found.buffered(AT_ONCE).try_collect().await?;
    Ok(found.into_iter().flatten().collect())
}

async fn dataset_tables(
    project: &Project,
    dataset: &str,
    table: Option<&str>,
) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
    let quote = |name: &str| Dialect::Bigquery.quote(name);
    let views = format!("{}.{}.INFORMATION_SCHEMA", quote(project.name()), quote(dataset));
    // A collation makes texts equal that have other bytes.
    let Some(only) = Dialect::Bigquery.only(&[("c.table_name", table)]) else { return Ok(Vec::new()) };
    let sql = format!(
        "SELECT c.table_schema, c.table_name, t.table_type, c.column_name, CAST(c.ordinal_position AS STRING), \
         IF(c.collation_name IS NULL OR c.collation_name = 'NULL', c.data_type, CONCAT(c.data_type, ' COLLATE')), \
         c.is_nullable, CAST(NULL AS STRING), c.column_default \
         FROM {views}.COLUMNS AS c JOIN {views}.TABLES AS t ON t.table_name = c.table_name \
         WHERE c.is_hidden = 'NO'{only} ORDER BY c.table_schema, c.table_name, c.ordinal_position"
    );
    Ok(assemble(&project.rows(&sql).await?, |declared| Some(reading(declared))))
}

fn reading(declared: &str) -> Reading {
    use Comparable::{No, Ordered};
    let (name, arguments) = parts(declared);
    match name.as_str() {
        "bool" => (DataType::Boolean, "{}", Ordered, None),
        "int64" => (DataType::Int64, "{}", Ordered, None),
        // NaN is not equal to itself there.
        "float64" => (DataType::Float64, "{}", No, None),
        "numeric" if arguments.is_empty() => (DataType::Decimal128(38, 9), "{}", Ordered, None),
        "numeric" | "bignumeric" => match decimal(&arguments) {
            Some(decimal) => (decimal, "{}", Ordered, None),
            None => (DataType::Utf8, "CAST({} AS STRING)", No, None),
        },
        "string" => (DataType::Utf8, "{}", Ordered, None),
        "string collate" => (DataType::Utf8, "{}", No, None),
        "bytes" => (DataType::Binary, "{}", No, None),
        "date" => (DataType::Date32, "{}", Ordered, None),
        "datetime" => (moment(None), "{}", Ordered, None),
        "timestamp" => (moment(Some("UTC")), "{}", Ordered, None),
        "time" => (DataType::Utf8, "CAST({} AS STRING)", Ordered, None),
        "geography" => (DataType::Utf8, "ST_ASTEXT({})", No, None),
        // Arrays, structs, JSON, ranges, intervals; of NULL, the function makes the text `null`.
        _ => (DataType::Utf8, "IF({} IS NULL, NULL, TO_JSON_STRING({}))", No, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_read_as_the_manual_names_them() {
        assert_eq!(reading("STRING(20)").2, Comparable::Ordered);
        assert_eq!(reading("STRING COLLATE").2, Comparable::No);
        assert_eq!(reading("NUMERIC").0, DataType::Decimal128(38, 9));
        assert_eq!(reading("NUMERIC(10, 2)").0, DataType::Decimal128(10, 2));
        assert_eq!(reading("BIGNUMERIC").1, "CAST({} AS STRING)");
        assert_eq!(reading("ARRAY<STRUCT<a INT64>>").1, "IF({} IS NULL, NULL, TO_JSON_STRING({}))");
    }
}
