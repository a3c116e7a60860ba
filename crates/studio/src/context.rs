//! What a planner may know of the selected sources: the caller's governed catalogue, with the values of
//! columns that have few, read as the caller may read them.

use std::{sync::Arc, time::Duration};

use futures::future::BoxFuture;
use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, Result};
use rivergen_platform::{Bus, Event, Kept};
use rivergen_policies::rule::TableName;
use rivergen_query::statement::{quoted, quoted_table};
use rivergen_runs::{
    Engine, Form,
    catalogue::{Catalogue, CatalogueTable},
};
use tokio::time::{Instant, timeout_at};

use crate::planner::{ColumnContext, ColumnType, Context, Dialect, FEW_VALUES, Layer, MOST_VALUES, TableContext};

/// A text of more bytes is nothing that people say.
const LONGEST_VALUE: usize = 100;
/// Values of a table's columns together: names beyond these are not known, kinds and states are.
const MOST_OF_A_TABLE: usize = 5_000;
/// Looking for values must not hold up a question: of all columns together.
const LONGEST_LOOK: Duration = Duration::from_secs(3);
/// Of one column, which then has no vocabulary.
const LONGEST_LOOK_AT_ONE: Duration = Duration::from_secs(1);

/// The values of columns, by the table's source and by what governs the caller on the table.
pub(crate) type Samples = Kept<(DataSourceId, Vec<u8>), Arc<Vec<Vec<String>>>>;

pub(crate) fn samples(bus: &Bus) -> Samples {
    let of_source = |(source, _): &(DataSourceId, Vec<u8>), _: &_| vec![Event::DataSourceChanged(*source)];
    Kept::new(bus, 1_000, Duration::from_secs(600), of_source)
        .clearing_on(|event| matches!(event, Event::PoliciesChanged(_)))
}

/// Builds the planner's context; only tables of the named schemas where any are named.
pub(crate) fn build<'a>(
    engine: &'a Engine,
    caller: &'a Caller,
    samples: &'a Samples,
    catalogue: &'a Catalogue,
    schemas: &'a [String],
) -> BoxFuture<'a, Result<Context>> {
    Box::pin(async move {
        let known = |schema: &String| {
            catalogue.tables.iter().any(|table| table.decision.is_allowed() && table.name.schema == *schema)
        };
        if let Some(unknown) = schemas.iter().find(|schema| !known(schema)) {
            let reason = format!("there is no schema {unknown:?} in the selected sources");
            return Err(Error::invalid_field("selected_schema_names", reason));
        }
        let selected = |table: &&CatalogueTable| {
            table.decision.is_allowed() && (schemas.is_empty() || schemas.contains(&table.name.schema))
        };
        let deadline = Instant::now() + LONGEST_LOOK;
        let mut tables = Vec::new();
        for table in catalogue.tables.iter().filter(selected) {
            let values = values_of(engine, caller, samples, catalogue, table, deadline).await;
            tables.push(describe(catalogue, table, &values));
        }
        Ok(Context {
            tables,
            now: engine.platform.clock.now(),
            dialect: Dialect::DataFusion,
            examples: Vec::new(),
            terms: Vec::new(),
            layer: Layer::default(),
            asks: false,
            thread: Vec::new(),
        })
    })
}

/// The same without values, of all its tables: to hold names and types against.
pub(crate) fn outline(engine: &Engine, catalogue: &Catalogue) -> Context {
    let allowed = catalogue.tables.iter().filter(|table| table.decision.is_allowed());
    Context {
        tables: allowed.map(|table| describe(catalogue, table, &[])).collect(),
        now: engine.platform.clock.now(),
        dialect: Dialect::DataFusion,
        examples: Vec::new(),
        terms: Vec::new(),
        layer: Layer::default(),
        asks: false,
        thread: Vec::new(),
    }
}

fn describe(catalogue: &Catalogue, table: &CatalogueTable, values: &[Vec<String>]) -> TableContext {
    let visible = table.visible_columns();
    TableContext {
        catalog: table.name.catalog.clone(),
        schema: table.name.schema.clone(),
        name: table.name.table.clone(),
        columns: visible
            .zip(values.iter().cloned().chain(std::iter::repeat_with(Vec::new)))
            .map(|(column, sample_values)| ColumnContext {
                name: column.name.clone(),
                data_type: ColumnType::from(&column.arrow_type),
                masked: table.decision.masks.contains_key(&column.name),
                sample_values,
                comment: column.comment.clone(),
                is_primary_key: column.primary_key,
                references: catalogue
                    .reference(table, column)
                    .map(|key| (format!("{}.{}.{}", table.name.catalog, key.schema, key.table), key.column.clone())),
            })
            .collect(),
        // Of a table that one sees a part of it would tell how large the rest is.
        row_count: table.discovered.row_count.filter(|_| table.decision.row_filters.is_empty()),
        comment: table.discovered.comment.clone(),
    }
}

/// For each visible column its distinct values, where it is text, unmasked, and has not too many; none where they could
/// not all be read in time: a question can do without, and the next one looks again. They are kept for a while, but not
/// where a row filter looks entitlements up in a table: that may change without a policy that has.
async fn values_of(
    engine: &Engine,
    caller: &Caller,
    samples: &Samples,
    catalogue: &Catalogue,
    table: &CatalogueTable,
    deadline: Instant,
) -> Arc<Vec<Vec<String>>> {
    let key = (table.source_id, table.governance());
    let look = async {
        let (mut values, mut known) = (Vec::new(), 0);
        for column in table.visible_columns() {
            let is_vocabulary = ColumnType::from(&column.arrow_type) == ColumnType::Text
                && !table.decision.masks.contains_key(&column.name);
            let found = match is_vocabulary {
                true => distinct(engine, caller, catalogue, &table.name, &column.name).await?,
                false => None,
            };
            let mut found = found.unwrap_or_default();
            if found.len() > FEW_VALUES && known + found.len() > MOST_OF_A_TABLE {
                found.clear();
            }
            known += found.len();
            values.push(found);
        }
        Ok::<_, Error>(Arc::new(values))
    };
    let in_time = async { timeout_at(deadline, look).await.map_err(Error::internal)? };
    if table.decision.row_filters.iter().any(|filter| !filter.written.tables().is_empty()) {
        return in_time.await.unwrap_or_default();
    }
    samples.get_or_load(key, in_time).await.unwrap_or_default()
}

/// `None` where there are too many, or where they cannot be read: also where each query of the caller counts, since the question
/// has asked for one alone.
async fn distinct(
    engine: &Engine,
    caller: &Caller,
    catalogue: &Catalogue,
    table: &TableName,
    column: &str,
) -> Result<Option<Vec<String>>> {
    let (table, column) = (quoted_table(table), quoted(column));
    let most = MOST_VALUES + 1;
    let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL LIMIT {most}");
    let limits = engine.limits(catalogue, Form::Page, Some(most as u64), Some(LONGEST_LOOK_AT_ONE));
    let answer = match engine.glance(caller, catalogue, &sql, limits).await {
        Ok(Some(answer)) => answer,
        // There is no place for it now; the next question looks again.
        Err(error) if error.code == ErrorCode::QueryLimitExceeded => return Err(error),
        Ok(None) | Err(_) => return Ok(None),
    };
    // What stands in a question may come to stand in the record of its run, and PostgreSQL's text holds no zero byte.
    let told = answer.rows.iter().filter_map(|row| row.first()?.as_str());
    let is_said = |value: &&str| value.len() <= LONGEST_VALUE && !value.contains('\0');
    let mut values: Vec<String> = told.filter(is_said).map(str::to_owned).collect();
    values.sort();
    Ok((answer.rows.len() <= MOST_VALUES).then_some(values))
}
