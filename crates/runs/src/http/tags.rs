//! `GET` and `PUT /api/v1/data-sources/{data_source_id}/tags`, and `POST …/tags/proposals`: what columns hold.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::DataType;
use garde::Validate;
use rivergen_connectors::DiscoveredColumn;
use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, FieldError, Page, Permission, Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use rivergen_policies::{
    classify::{Fields, Proposal, classify, classify_fields},
    evaluation::RunKind,
    mask::ColumnType,
    rule::TablePattern,
    tags::{ActiveModel, Column, Entity, Model, Status, is_tag},
};
use rivergen_query::{
    mask::column_type,
    statement::{quoted, quoted_table},
};
use rivergen_sources::{access::Access, source};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::{NotSet, Set},
    ColumnTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use crate::{Engine, Form, Run, catalogue::CatalogueTable};

/// Columns of one request.
const MAX_COLUMNS: usize = 200;
const MAX_TAGS: usize = 20;
/// Tables that one call looks into.
const MAX_TABLES: usize = 50;
/// Rows of each that it looks at.
const SAMPLE_ROWS: u64 = 100;
/// Values of one field, which may have many in each row.
const MAX_VALUES: usize = 1_000;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    #[param(inline)]
    pub status: Option<Status>,
    /// Only this tag.
    #[garde(inner(length(max = 100)))]
    pub tag: Option<String>,
    /// Only columns of tables of this name.
    #[garde(inner(length(max = 255)))]
    pub table: Option<String>,
}

/// A tag of a column.
#[derive(Debug, Serialize, ToSchema)]
pub struct ColumnTag {
    #[schema(examples("public"))]
    pub schema_name: String,
    #[schema(examples("customers"))]
    pub table: String,
    #[schema(examples("email"))]
    pub column: String,
    #[schema(examples("pii.email"))]
    pub tag: String,
    pub status: Status,
    /// Why it was proposed.
    #[schema(examples("96 of 100 values look like e-mail addresses"))]
    pub reason: Option<String>,
    pub changed_at: DateTime<Utc>,
    /// Who confirmed or rejected it.
    pub changed_by_user_id: Option<UserId>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"columns": [{"table": "customers", "column": "email", "tags": ["pii.email"]}]}))]
pub struct SetTagsRequest {
    #[garde(length(min = 1, max = MAX_COLUMNS), dive)]
    pub columns: Vec<TaggedColumn>,
}

/// All tags of one column from now on; what was proposed and is not among them is rejected.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct TaggedColumn {
    /// `customers` or `public.customers`.
    #[garde(length(chars, min = 1, max = 500))]
    pub table: String,
    #[garde(length(chars, min = 1, max = 255))]
    pub column: String,
    #[garde(length(max = MAX_TAGS), inner(custom(tag)))]
    pub tags: Vec<String>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"table": "customers"}))]
pub struct ProposeTagsRequest {
    /// Only tables of this name; the first fifty of the source, without it.
    #[garde(inner(length(chars, min = 1, max = 500)))]
    pub table: Option<String>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProposedTags {
    /// What is new; what was proposed, confirmed or rejected before is not among it.
    pub proposals: Vec<ColumnTag>,
    #[schema(examples(12))]
    pub tables_looked_at: u64,
}

errors! {
    pub ListTagsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError;
    pub SetTagsErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError;
    pub ProposeTagsErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, DataSourceUnavailable,
ValidationError, QueryLimitExceeded, ConnectionError, QueryTimeout, InternalError;
}

fn tag(text: &str, _: &()) -> garde::Result {
    if is_tag(text) { Ok(()) } else { Err(garde::Error::new("is not a tag such as pii.email")) }
}

impl From<Model> for ColumnTag {
    fn from(row: Model) -> Self {
        Self {
            schema_name: row.schema_name,
            table: row.table_name,
            column: row.column_name,
            tag: row.tag,
            status: row.status,
            reason: row.reason,
            changed_at: row.changed_at,
            changed_by_user_id: row.changed_by_user_id,
        }
    }
}

/// List the tags of a source's columns
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}/tags", tag = "policies",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), Filter, PageQuery),
    responses((status = 200, description = "By table and column", body = Envelope<Page<ColumnTag>>), ListTagsErrors))]
pub async fn list_column_tags(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    Path(id): Path<DataSourceId>,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<ColumnTag>>> {
    let access = Access::of(&caller, Permission::PolicyRead)?;
    let tenant = access.tenant();
    let page = page.request()?;
    engine.sources.find(&access, id).await?;
    let db = engine.platform.db.read();
    // Index: column_tags(data_source_id, schema_name, table_name, column_name, tag), unique.
    let mut query = tenant.find::<Entity>().filter(Column::DataSourceId.eq(id));
    if let Some(status) = filter.status {
        query = query.filter(Column::Status.eq(status));
    }
    if let Some(tag) = filter.tag {
        query = query.filter(Column::Tag.eq(tag));
    }
    if let Some(table) = filter.table {
        query = query.filter(Column::TableName.eq(table));
    }
    let total = query.clone().count(db).await?;
    let rows = query
        .order_by_asc(Column::SchemaName)
        .order_by_asc(Column::TableName)
        .order_by_asc(Column::ColumnName)
        .order_by_asc(Column::Tag)
        .offset(page.offset())
        .limit(page.limit())
        .all(db)
        .await?;
    Ok(Reply::ok(Page::new(rows.into_iter().map(ColumnTag::from).collect(), page, total), "The tags."))
}

/// Tag columns with what they contain
#[utoipa::path(put, path = "/api/v1/data-sources/{data_source_id}/tags", tag = "policies", request_body = SetTagsRequest,
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses((status = 200, description = "All tags of these columns; policies for them apply from the next query", body = Envelope<Vec<ColumnTag>>), SetTagsErrors))]
pub async fn set_column_tags(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Json(request): Json<SetTagsRequest>,
) -> Result<Reply<Vec<ColumnTag>>> {
    let access = Access::of(&caller, Permission::PolicyWrite)?;
    let tenant = access.tenant();
    let source = engine.sources.find(&access, id).await?;
    let catalogue = engine.catalogue(&caller, tenant, vec![source]).await?;
    let wanted = resolve(&catalogue.tables, request.columns)?;
    let platform = &engine.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    hold(&tx, tenant, id).await?;
    let mut all = Vec::new();
    for ((schema, table, column), tags) in &wanted {
        let held = of_column(tenant, id, schema, table, column).all(tx.conn()).await?;
        for tag in tags.iter().filter(|tag| !held.iter().any(|row| row.tag == **tag)) {
            let new = ActiveModel {
                id: NotSet,
                organization_id: Set(tenant.organization_id()),
                data_source_id: Set(id),
                schema_name: Set(schema.clone()),
                table_name: Set(table.clone()),
                column_name: Set(column.clone()),
                tag: Set(tag.clone()),
                status: Set(Status::Confirmed),
                reason: Set(None),
                changed_at: Set(now),
                changed_by_user_id: Set(Some(caller.user_id)),
            };
            new.insert(tx.conn()).await?;
        }
        for row in held {
            let status = if tags.contains(&row.tag) { Status::Confirmed } else { Status::Rejected };
            if row.status != status {
                let mut row = row.into_active_model();
                row.status = Set(status);
                row.changed_at = Set(now);
                row.changed_by_user_id = Set(Some(caller.user_id));
                row.update(tx.conn()).await?;
            }
        }
        all.extend(of_column(tenant, id, schema, table, column).all(tx.conn()).await?);
    }
    let organization = Some(tenant.organization_id());
    let record = AuditRecord::new(organization, origin.actor(caller.user_id), "data_source.tag")
        .target("data_source", id)
        .details(json!({"columns": wanted.iter().map(|((schema, table, column), tags)| {
            json!({"column": format!("{schema}.{table}.{column}"), "tags": tags})
        }).collect::<Vec<_>>()}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(all.into_iter().map(ColumnTag::from).collect(), "The columns were tagged."))
}

/// Propose tags for columns, from their names and some values
#[utoipa::path(post, path = "/api/v1/data-sources/{data_source_id}/tags/proposals", tag = "policies", request_body = ProposeTagsRequest,
    params(("data_source_id" = DataSourceId, Path, description = "The source")),
    responses((status = 200, description = "New proposals, for someone to confirm", body = Envelope<ProposedTags>), ProposeTagsErrors))]
pub async fn propose_column_tags(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<DataSourceId>,
    Json(request): Json<ProposeTagsRequest>,
) -> Result<Reply<ProposedTags>> {
    let access = Access::of(&caller, Permission::PolicyWrite)?;
    let tenant = access.tenant();
    caller.require(Permission::DataSourceQuery)?;
    let source = engine.sources.find(&access, id).await?;
    let pattern = TablePattern::parse(request.table.as_deref())
        .map_err(|error| Error::invalid_field(error.field, error.reason))?;
    let catalogue = engine.catalogue(&caller, tenant, vec![source.clone()]).await?;
    let looked_at: Vec<&CatalogueTable> = catalogue
        .tables
        .iter()
        .filter(|table| pattern.matches(&table.name) && table.decision.is_allowed())
        .take(MAX_TABLES)
        .collect();
    let mut found = Vec::new();
    for table in &looked_at {
        for (column, proposal) in guesses(&engine, &caller, &origin, &source, table).await? {
            found.push((&table.name, column, proposal));
        }
    }
    let now = engine.platform.clock.now();
    let tx = engine.platform.db.begin().await?;
    hold(&tx, tenant, id).await?;
    let known = tenant.find::<Entity>().filter(Column::DataSourceId.eq(id)).all(tx.conn()).await?;
    let mut proposals = Vec::new();
    for (name, column, Proposal { tag, reason }) in found {
        let is_known = known.iter().any(|row| {
            row.schema_name == name.schema
                && row.table_name == name.table
                && row.column_name == column
                && row.tag == tag
        });
        if is_known {
            continue;
        }
        let new = ActiveModel {
            id: NotSet,
            organization_id: Set(tenant.organization_id()),
            data_source_id: Set(id),
            schema_name: Set(name.schema.clone()),
            table_name: Set(name.table.clone()),
            column_name: Set(column),
            tag: Set(tag.to_owned()),
            status: Set(Status::Proposed),
            reason: Set(Some(reason)),
            changed_at: Set(now),
            changed_by_user_id: Set(None),
        };
        proposals.push(ColumnTag::from(new.insert(tx.conn()).await?));
    }
    let organization = Some(tenant.organization_id());
    let record = AuditRecord::new(organization, origin.actor(caller.user_id), "data_source.propose_tags")
        .target("data_source", id)
        .details(json!({"tables": looked_at.len(), "proposals": proposals.len()}));
    audit::record(&tx, &engine.platform.clock, record).await?;
    tx.commit().await?;
    let tables_looked_at = looked_at.len() as u64;
    Ok(Reply::ok(ProposedTags { proposals, tables_looked_at }, "What the columns seem to hold."))
}

/// Holds the source: of two who say at once what its columns hold, the second one knows what the first one said.
async fn hold(tx: &Transaction, tenant: Tenant, id: DataSourceId) -> Result<()> {
    let source = tenant.find::<source::Entity>().filter(source::Column::Id.eq(id)).lock_exclusive();
    source.one(tx.conn()).await?.map(drop).ok_or_else(|| ErrorCode::NotFound.into())
}

fn of_column(tenant: Tenant, source: DataSourceId, schema: &str, table: &str, column: &str) -> sea_orm::Select<Entity> {
    tenant
        .find::<Entity>()
        .filter(Column::DataSourceId.eq(source))
        .filter(Column::SchemaName.eq(schema))
        .filter(Column::TableName.eq(table))
        .filter(Column::ColumnName.eq(column))
        .order_by_asc(Column::Tag)
}

/// Schema, table and column.
type ColumnName = (String, String, String);

/// The columns of a request by their full names; `VALIDATION_ERROR` for those that are not there.
fn resolve(tables: &[CatalogueTable], columns: Vec<TaggedColumn>) -> Result<BTreeMap<ColumnName, BTreeSet<String>>> {
    let (mut wanted, mut faults) = (BTreeMap::new(), Vec::new());
    for (at, TaggedColumn { table, column, tags }) in columns.into_iter().enumerate() {
        let pattern = TablePattern::Named(table);
        let mut meant = tables.iter().filter(|table| pattern.matches(&table.name));
        let (Some(table), None) = (meant.next(), meant.next()) else {
            faults
                .push(FieldError::new(format!("columns[{at}].table"), "does not name exactly one table of the source"));
            continue;
        };
        if !table.discovered.columns.iter().any(|known| known.name == column) {
            faults.push(FieldError::new(format!("columns[{at}].column"), "is not a column of the table"));
            continue;
        }
        let name = (table.name.schema.clone(), table.name.table.clone(), column);
        wanted.entry(name).or_insert_with(BTreeSet::new).extend(tags);
    }
    if faults.is_empty() { Ok(wanted) } else { Err(Error::new(ErrorCode::ValidationError).with_details(faults)) }
}

/// What the columns of a table seem to hold. Values are read under the caller's policies, as a query of theirs, and only
/// of columns that are not masked for them; where the source cannot be asked, names decide alone.
async fn guesses(
    engine: &Engine,
    caller: &Caller,
    origin: &RequestOrigin,
    source: &source::Model,
    table: &CatalogueTable,
) -> Result<Vec<(String, Proposal)>> {
    let visible = || table.discovered.columns.iter().filter(|column| !table.decision.hidden.contains_key(&column.name));
    let looked_at: Vec<&DiscoveredColumn> = visible()
        .filter(|column| column_type(&column.arrow_type) == ColumnType::Text || is_nested(&column.arrow_type))
        .filter(|column| !table.decision.masks.contains_key(&column.name))
        .collect();
    let mut fields: BTreeMap<&String, Fields> = BTreeMap::new();
    for column in visible() {
        let all = fields.entry(&column.name).or_default();
        for_each_field(&column.arrow_type, &mut vec![column.name.clone()], None, &mut |path, _| {
            all.entry(path.to_vec()).or_default();
        });
    }
    if !looked_at.is_empty() {
        let columns: Vec<String> = looked_at.iter().map(|column| quoted(&column.name)).collect();
        let sql = format!("SELECT {} FROM {} LIMIT {SAMPLE_ROWS}", columns.join(", "), quoted_table(&table.name));
        let run = Run {
            kind: RunKind::Sql,
            sources: vec![source.clone()],
            sql: &sql,
            parameters: &serde_json::Map::new(),
            default_schema: None,
            max_rows: Some(SAMPLE_ROWS),
            timeout: None,
            form: Form::Page,
            max_age: None,
        };
        for row in engine.run(caller, origin, run).await?.rows {
            for (column, value) in looked_at.iter().zip(&row) {
                let all = fields.entry(&column.name).or_default();
                for_each_field(&column.arrow_type, &mut vec![column.name.clone()], Some(value), &mut |path, text| {
                    let values = all.entry(path.to_vec()).or_default();
                    if values.len() < MAX_VALUES {
                        values.extend(text.map(str::to_owned));
                    }
                });
            }
        }
    }
    let guesses = visible().map(|column| {
        let fields = fields.remove(&column.name).unwrap_or_default();
        let proposals: Vec<Proposal> = match is_nested(&column.arrow_type) {
            true => {
                let by_name = classify(&column.name, &[]);
                let mut inside = classify_fields(&fields);
                inside.retain(|found| by_name.as_ref().is_none_or(|known| known.tag != found.tag));
                by_name.into_iter().chain(inside).collect()
            }
            false => fields.values().filter_map(|values| classify(&column.name, values)).collect(),
        };
        proposals.into_iter().map(|proposal| (column.name.clone(), proposal)).collect::<Vec<_>>()
    });
    Ok(guesses.flatten().collect())
}

fn is_nested(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Struct(_) | DataType::List(_) | DataType::LargeList(_) | DataType::FixedSizeList(..))
}

/// Tells each field of a type that is no structure and no list, by its path; with the texts of a value, where there is one.
/// Keys of maps are values of somebody, and no names.
fn for_each_field(
    data_type: &DataType,
    path: &mut Vec<String>,
    value: Option<&serde_json::Value>,
    told: &mut dyn FnMut(&[String], Option<&str>),
) {
    match data_type {
        DataType::Struct(fields) => {
            for field in fields {
                path.push(field.name().clone());
                for_each_field(field.data_type(), path, value.and_then(|value| value.get(field.name())), told);
                path.pop();
            }
        }
        DataType::List(element) | DataType::LargeList(element) | DataType::FixedSizeList(element, _) => {
            match value.and_then(serde_json::Value::as_array) {
                Some(elements) => {
                    for value in elements {
                        for_each_field(element.data_type(), path, Some(value), told);
                    }
                }
                None => for_each_field(element.data_type(), path, None, told),
            }
        }
        _ => told(path.as_slice(), value.and_then(serde_json::Value::as_str)),
    }
}
