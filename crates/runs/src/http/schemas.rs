//! `GET /api/v1/data-sources/{data_source_id}/schemas`: what was discovered of a source, as far as the caller may see it.
//!
//! What policies hide does not exist here: no closed table and no hidden column is named, counted or pointed to, and the
//! positions of the others leave no gap. Of a table whose rows are filtered its number of rows is not told, of a masked
//! column its default value.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_connectors::{ForeignKey, TableKind};
use rivergen_kernel::{DataSourceId, DatasetId, PageRequest, Pagination, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Query, Reply, SignedIn},
};
use rivergen_sources::access::Access;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Engine,
    catalogue::{Catalogue, CatalogueTable, type_told},
};

/// Tables of a page, at most and without a wish.
const MOST_TABLES: u64 = 1_000;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Only this schema.
    #[garde(inner(length(max = 255)))]
    pub schema_name: Option<String>,
    /// Only tables of this name.
    #[garde(inner(length(max = 255)))]
    pub table_name: Option<String>,
    /// Only tables with this in their name, ignoring case.
    #[garde(inner(length(max = 255)))]
    pub search: Option<String>,
    #[param(default = true)]
    pub include_columns: Option<bool>,
    #[param(minimum = 1, default = 1)]
    pub page: Option<u64>,
    /// Tables per page.
    #[param(minimum = 1, maximum = 1000, default = 1000)]
    pub page_size: Option<u64>,
}

/// What is known about a source.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DataSourceSchemas)]
pub struct Schemas {
    pub data_source_id: DataSourceId,
    pub schemas: Vec<SchemaInfo>,
    /// Null if it was never discovered.
    pub last_discovered_at: Option<DateTime<Utc>>,
    /// Of the tables.
    pub pagination: Pagination,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaInfo {
    #[schema(examples("public"))]
    pub schema_name: String,
    pub tables: Vec<TableInfo>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TableInfo {
    /// What policies are bound to the table by. It stays as long as discovery finds the table under its name.
    #[schema(examples(41))]
    pub dataset_id: DatasetId,
    #[schema(examples("customers"))]
    pub table_name: String,
    /// `table` or `view`.
    #[schema(value_type = String, examples("table"))]
    pub table_type: TableKind,
    /// Empty with `include_columns=false`.
    pub columns: Vec<ColumnInfo>,
    /// From the source's own statistics at discovery: an estimate for most servers; for files, what they say about
    /// themselves. Null if unknown, or if policies only let some of the rows be seen.
    #[schema(examples(4182))]
    pub row_count: Option<u64>,
    pub table_comment: Option<String>,
    /// Policies let only some of its rows be seen.
    pub rows_filtered: bool,
    pub discovered_at: DateTime<Utc>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnInfo {
    #[schema(examples("email"))]
    pub column_name: String,
    /// As the source writes it.
    #[schema(examples("character varying(255)"))]
    pub column_type: String,
    /// From 1, among those that are shown.
    #[schema(examples(3))]
    pub column_position: u32,
    pub is_nullable: bool,
    pub is_primary_key: bool,
    pub is_foreign_key: bool,
    /// What a foreign key points to.
    pub references: Option<ColumnReference>,
    pub default_value: Option<String>,
    pub column_comment: Option<String>,
    /// Policies mask its values.
    pub masked: bool,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnReference {
    #[schema(examples("public"))]
    pub schema_name: String,
    #[schema(examples("regions"))]
    pub table_name: String,
    #[schema(examples("id"))]
    pub column_name: String,
}

errors! { pub SchemasErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// Read a data source's schemas, tables and columns as they were discovered
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}/schemas", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), Filter),
    responses((status = 200, description = "What the caller may see of it", body = Envelope<Schemas>), SchemasErrors))]
pub async fn get_schemas(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    Path(id): Path<DataSourceId>,
    Query(filter): Query<Filter>,
) -> Result<Reply<Schemas>> {
    let access = Access::of(&caller, Permission::DataSourceRead)?;
    let page = PageRequest::up_to(MOST_TABLES, filter.page, filter.page_size.unwrap_or(MOST_TABLES))?;
    let source = engine.sources.find(&access, id).await?;
    let last_discovered_at = source.schema_discovered_at;
    let catalogue = engine.known(&caller, access.tenant(), vec![source]).await?;
    let found: Vec<&CatalogueTable> = catalogue.tables.iter().filter(|table| filter.takes(table)).collect();
    let pagination = Pagination::new(page, found.len() as u64);
    let with_columns = filter.include_columns.unwrap_or(true);
    let mut schemas: Vec<SchemaInfo> = Vec::new();
    // In the order of their schemas.
    for table in page.of(found) {
        let shown = TableInfo::of(&catalogue, table, with_columns);
        match schemas.last_mut() {
            Some(schema) if schema.schema_name == table.name.schema => schema.tables.push(shown),
            _ => schemas.push(SchemaInfo { schema_name: table.name.schema.clone(), tables: vec![shown] }),
        }
    }
    let message = match last_discovered_at {
        Some(_) => "What is known of the data source.",
        None => "The data source has not been discovered yet.",
    };
    Ok(Reply::ok(Schemas { data_source_id: id, schemas, last_discovered_at, pagination }, message))
}

impl Filter {
    fn takes(&self, table: &CatalogueTable) -> bool {
        let name = &table.name;
        table.decision.is_allowed()
            && self.schema_name.as_ref().is_none_or(|schema| name.schema == *schema)
            && self.table_name.as_ref().is_none_or(|wanted| name.table == *wanted)
            && self.search.as_ref().is_none_or(|text| name.table.to_lowercase().contains(&text.trim().to_lowercase()))
    }
}

impl TableInfo {
    fn of(catalogue: &Catalogue, table: &CatalogueTable, with_columns: bool) -> Self {
        let rows_filtered = !table.decision.row_filters.is_empty();
        let columns = if with_columns { ColumnInfo::all(catalogue, table) } else { Vec::new() };
        Self {
            dataset_id: table.dataset_id,
            table_name: table.name.table.clone(),
            table_type: table.discovered.kind,
            columns,
            row_count: table.discovered.row_count.filter(|_| !rows_filtered),
            table_comment: table.discovered.comment.clone(),
            rows_filtered,
            discovered_at: table.discovered_at,
        }
    }
}

impl ColumnInfo {
    fn all(catalogue: &Catalogue, table: &CatalogueTable) -> Vec<Self> {
        let columns = (1..).zip(table.visible_columns());
        columns
            .map(|(column_position, column)| {
                let masked = table.decision.masks.contains_key(&column.name);
                let references = catalogue.reference(table, column).map(ColumnReference::from);
                Self {
                    column_name: column.name.clone(),
                    column_type: type_told(&column.source_type, masked).to_owned(),
                    column_position,
                    is_nullable: column.nullable,
                    is_primary_key: column.primary_key,
                    is_foreign_key: references.is_some(),
                    references,
                    default_value: column.default_value.clone().filter(|_| !masked),
                    column_comment: column.comment.clone(),
                    masked,
                }
            })
            .collect()
    }
}

impl From<&ForeignKey> for ColumnReference {
    fn from(key: &ForeignKey) -> Self {
        Self { schema_name: key.schema.clone(), table_name: key.table.clone(), column_name: key.column.clone() }
    }
}
