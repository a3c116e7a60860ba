//! `GET /api/v1/data-sources/{data_source_id}/statistics`: what is in the columns of a table, by a sample of its rows.
//!
//! The sample is a query of the caller's: under their policies and limits, counted and on record, so that nothing is
//! told that a query of theirs would not show. For that reason these numbers are not read once, at discovery and with
//! the source's own rights: a least salary or a number of regions speaks of all rows, and what a policy hides could not
//! be taken out of it again. What one caller's sample told is given again, for a while, to whoever may see just the same
//! ([`crate::sample`]).
//!
//! Of a masked column nothing is read: numbers about what a mask leaves would be taken for numbers about the values.

use std::{collections::BTreeMap, time::Duration};

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_connectors::DiscoveredColumn;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_policies::evaluation::RunKind;
use rivergen_query::statement::{quoted, quoted_table};
use rivergen_sources::access::Access;
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use utoipa::{IntoParams, ToSchema};

use crate::{Engine, Form, Run, catalogue::CatalogueTable, sample::Figures};

/// Columns of a table that are looked at, at most.
const MOST_COLUMNS: usize = 200;
/// Rows of a sample, at most.
const MOST_ROWS: u64 = 10_000;
/// Values of all columns together; of a wide table fewer rows are read.
const MOST_VALUES: u64 = 500_000;
/// How long a sample may take: somebody waits for it who only looks.
const LONGEST: Duration = Duration::from_secs(60);
/// How long what a sample told is given again.
const KEPT: Duration = Duration::from_secs(600);

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Wanted {
    /// The table's schema, as `schemas` has it.
    #[param(example = "public")]
    #[garde(length(max = 255))]
    pub schema_name: String,
    /// Its name, as `schemas` has it.
    #[param(example = "customers")]
    #[garde(length(max = 255))]
    pub table_name: String,
}

/// What a sample of a table's rows tells of its columns.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TableStatistics)]
pub struct Statistics {
    pub data_source_id: DataSourceId,
    #[schema(examples("public"))]
    pub schema_name: String,
    #[schema(examples("customers"))]
    pub table_name: String,
    /// The rows that all numbers are about: at most 10000, fewer for a wide table. If there are more, the source
    /// decides which ones.
    #[schema(examples(10000))]
    pub rows_sampled: u64,
    /// These rows are all that the caller sees.
    pub is_whole: bool,
    /// Up to ten minutes ago.
    pub sampled_at: DateTime<Utc>,
    /// Those that were looked at, and the masked ones, in the table's order.
    pub columns: Vec<ColumnStatistics>,
    /// The names of those that were not looked at: where more than two hundred are not masked, of the rest.
    pub columns_left_out: Vec<String>,
}

/// What the sampled rows have in a column. Nothing is shown for a masked one.
#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnStatistics {
    #[schema(examples("region"))]
    pub column_name: String,
    /// Policies mask its values.
    pub masked: bool,
    /// Rows without a value.
    #[schema(examples(12))]
    pub null_count: Option<u64>,
    /// Different values among these rows. Null for structures and lists.
    #[schema(examples(4))]
    pub distinct_count: Option<u64>,
    /// For numbers, texts (by code point, and only the beginning of a long one), dates and times; null for other types.
    #[schema(value_type = Option<Object>, example = json!("APAC"))]
    pub minimum: Option<Json>,
    #[schema(value_type = Option<Object>, example = json!("US"))]
    pub maximum: Option<Json>,
    /// At most five, the most common first. Null unless it has texts, booleans or whole numbers with few, repeated
    /// values, and for primary keys.
    pub most_common: Option<Vec<CommonValue>>,
}

/// A value, and how many of the sampled rows have it.
#[derive(Debug, Serialize, ToSchema)]
pub struct CommonValue {
    #[schema(value_type = Object, example = json!("EU"))]
    pub value: Json,
    #[schema(examples(5182))]
    pub count: u64,
}

errors! { pub StatisticsErrors: Unauthorized, PolicyDenied, Forbidden, EmailNotVerified, NotFound, QueryCancelled,
DataSourceUnavailable, ValidationError, UnreadableFile, QueryLimitExceeded, ConnectionError, QueryTimeout, InternalError; }

/// Read statistics of a table's columns, from a sample of the rows that you may see
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}/statistics", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), Wanted),
    responses((status = 200, description = "Column by column, as the caller's own query would see it",
        body = Envelope<Statistics>), StatisticsErrors))]
pub async fn get_statistics(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Query(wanted): Query<Wanted>,
) -> Result<Reply<Statistics>> {
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let source = engine.sources.find(&access, id).await?;
    let catalogue = engine.known(&caller, access.tenant(), vec![source.clone()]).await?;
    let table = catalogue.tables.iter().find(|table| wanted.names(table)).ok_or_else(no_such_table)?;
    let clear: Vec<&DiscoveredColumn> =
        table.visible_columns().filter(|column| !table.decision.masks.contains_key(&column.name)).collect();
    let (looked_at, left_out) = clear.split_at(clear.len().min(MOST_COLUMNS));
    let mut is_key: Vec<bool> = looked_at.iter().map(|column| column.primary_key).collect();
    let mut read: Vec<String> = looked_at.iter().map(|column| quoted(&column.name)).collect();
    if read.is_empty() {
        // The rows are there all the same.
        read.push("1".to_owned());
        is_key.push(false);
    }
    let sql = format!("SELECT {} FROM {}", read.join(", "), quoted_table(&table.name));
    let run = Run {
        kind: RunKind::Sql,
        sources: vec![source],
        sql: &sql,
        parameters: &serde_json::Map::new(),
        default_schema: None,
        form: Form::Sample,
        max_rows: Some(MOST_ROWS.min(MOST_VALUES / read.len() as u64)),
        timeout: Some(LONGEST),
        max_age: Some(KEPT),
    };
    let sampled = engine.sample(&caller, &origin, run, &is_key).await?;
    let mut figures: BTreeMap<&str, Option<Figures>> =
        looked_at.iter().map(|column| column.name.as_str()).zip(sampled.columns).collect();
    let columns = table.visible_columns().filter_map(|column| match figures.remove(column.name.as_str()) {
        Some(figures) => Some(ColumnStatistics::of(column, figures)),
        None => table.decision.masks.contains_key(&column.name).then(|| ColumnStatistics::of(column, None)),
    });
    let statistics = Statistics {
        data_source_id: id,
        columns: columns.collect(),
        schema_name: wanted.schema_name,
        table_name: wanted.table_name,
        rows_sampled: sampled.row_count,
        is_whole: sampled.is_whole,
        sampled_at: sampled.at,
        columns_left_out: left_out.iter().map(|column| column.name.clone()).collect(),
    };
    Ok(Reply::ok(statistics, "Statistics of the columns."))
}

impl Wanted {
    fn names(&self, table: &CatalogueTable) -> bool {
        let name = &table.name;
        table.decision.is_allowed() && name.schema == self.schema_name && name.table == self.table_name
    }
}

impl ColumnStatistics {
    /// Without figures it is masked.
    fn of(column: &DiscoveredColumn, figures: Option<Figures>) -> Self {
        let masked = figures.is_none();
        let null_count = figures.as_ref().map(|figures| figures.null_count);
        let Figures { distinct_count, range, most_common, .. } = figures.unwrap_or_default();
        let (minimum, maximum) = range.unzip();
        let most_common =
            most_common.map(|common| common.into_iter().map(|(value, count)| CommonValue { value, count }).collect());
        let column_name = column.name.clone();
        Self { column_name, masked, null_count, distinct_count, minimum, maximum, most_common }
    }
}

/// A table that a policy closes is not there, as in `schemas`.
fn no_such_table() -> Error {
    Error::new(ErrorCode::NotFound)
        .with_message("The source has no such table, or you may not see it; if it is new, discover the schema again.")
}
