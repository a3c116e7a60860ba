//! An engine with the seeded rows of a schema, so that generated SQL is not only read but run.

use std::sync::Arc;

use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::catalog::{CatalogProvider, MemoryCatalogProvider, MemorySchemaProvider};
use datafusion::prelude::SessionContext;
use rivergen_studio::planner::{ColumnType, Context};

use super::table::Rows;

pub struct Engine(SessionContext);

impl Engine {
    pub async fn new(context: &Context, rows: &Rows) -> Self {
        let session = SessionContext::new();
        for (table, rows) in context.tables.iter().zip(rows) {
            let catalog = session.catalog(&table.catalog).unwrap_or_else(|| {
                let catalog: Arc<dyn CatalogProvider> = Arc::new(MemoryCatalogProvider::new());
                session.register_catalog(&table.catalog, Arc::clone(&catalog));
                catalog
            });
            if catalog.schema(&table.schema).is_none() {
                catalog
                    .register_schema(&table.schema, Arc::new(MemorySchemaProvider::new()))
                    .expect("a schema in memory");
            }
            let columns: Vec<String> = table
                .columns
                .iter()
                .enumerate()
                .map(|(index, column)| {
                    format!("CAST(column{} AS {}) AS \"{}\"", index + 1, sql_type(column.data_type), column.name)
                })
                .collect();
            let values: Vec<String> = rows
                .iter()
                .map(|row| {
                    assert_eq!(row.len(), table.columns.len(), "{}: {row:?}", table.name);
                    let cells: Vec<String> = row.iter().map(|cell| literal(cell)).collect();
                    format!("({})", cells.join(", "))
                })
                .collect();
            let create = format!(
                "CREATE TABLE \"{}\".\"{}\".\"{}\" AS SELECT {} FROM (VALUES {})",
                table.catalog,
                table.schema,
                table.name,
                columns.join(", "),
                values.join(", ")
            );
            session.sql(&create).await.unwrap_or_else(|error| panic!("{create}: {error}"));
        }
        Self(session)
    }

    /// Runs SQL and gives the cells as text; times lose a midnight, NULL is empty.
    pub async fn rows(&self, sql: &str) -> Result<Vec<Vec<String>>, String> {
        let frame = self.0.sql(sql).await.map_err(|error| error.to_string())?;
        let batches = frame.collect().await.map_err(|error| error.to_string())?;
        let options = FormatOptions::default();
        let mut rows = Vec::new();
        for batch in &batches {
            let formatters: Vec<ArrayFormatter<'_>> = batch
                .columns()
                .iter()
                .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
                .collect::<Result<_, _>>()
                .map_err(|error| error.to_string())?;
            for row in 0..batch.num_rows() {
                rows.push(formatters.iter().map(|formatter| cell(&formatter.value(row).to_string())).collect());
            }
        }
        Ok(rows)
    }
}

/// Numbers with at most two decimals, so that a table of expected rows can be read.
fn cell(text: &str) -> String {
    let text = text.trim_end_matches("T00:00:00");
    match text.parse::<f64>() {
        Ok(number) if text.contains('.') => {
            let rounded = (number * 100.0).round() / 100.0;
            rounded.to_string()
        }
        _ => text.to_owned(),
    }
}

fn literal(cell: &str) -> String {
    if cell.is_empty() { "NULL".to_owned() } else { format!("'{}'", cell.replace('\'', "''")) }
}

fn sql_type(column_type: ColumnType) -> &'static str {
    match column_type {
        ColumnType::Integer => "BIGINT",
        ColumnType::Decimal => "DOUBLE",
        ColumnType::Boolean => "BOOLEAN",
        ColumnType::Date => "DATE",
        ColumnType::Timestamp => "TIMESTAMP",
        ColumnType::Text | ColumnType::Other => "VARCHAR",
    }
}
