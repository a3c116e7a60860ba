//! `GET /api/v1/data-sources/{data_source_id}/drift`: how what a source holds has changed, as far as the caller may see it.
//!
//! A policy for a table that names a column which is gone closes the table: the source may have renamed the very column that
//! was to be protected. One for every table looks away, and of a table that has another name no policy for the table knows. So
//! a change says which policies still name what it took away. Of a masked column no values are told that are part of its
//! type.

use std::collections::BTreeSet;

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_connectors::DiscoveredColumn;
use rivergen_kernel::{DataSourceId, Page, Permission, PolicyId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, SignedIn},
};
use rivergen_policies::{
    rule::{EffectivePolicy, RuleConfig, TableName},
    tags::Tags,
};
use rivergen_sources::{
    access::Access,
    discovery::change::{self, Kind},
    source,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Engine,
    catalogue::{Catalogue, CatalogueTable, type_told},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Only changes since then.
    pub since: Option<DateTime<Utc>>,
    #[garde(inner(length(max = 255)))]
    pub schema_name: Option<String>,
    #[garde(inner(length(max = 255)))]
    pub table_name: Option<String>,
}

/// One change.
#[derive(Debug, Serialize, ToSchema)]
pub struct SchemaChange {
    pub id: i64,
    pub change: Kind,
    #[schema(examples("public"))]
    pub schema_name: String,
    #[schema(examples("customers"))]
    pub table_name: String,
    #[schema(examples("email"))]
    pub column_name: Option<String>,
    /// The type of the column before and after, as the source writes it.
    #[schema(examples("integer"))]
    pub was: Option<String>,
    #[schema(examples("bigint"))]
    pub became: Option<String>,
    pub detected_at: DateTime<Utc>,
    /// The column no longer exists, but policies for the table, or for a tag that it has, still refer to it: they close
    /// the table to everyone they govern until the policies are changed or the column is back.
    pub closes_table: bool,
    /// All policies that name the missing column or table, for those who may read policies. They do not apply to it
    /// under a new name.
    pub policies: Vec<NamingPolicy>,
}

/// A policy that names what is gone.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct NamingPolicy {
    pub policy_id: PolicyId,
    #[schema(examples("No card numbers"))]
    pub policy_name: String,
}

errors! { pub DriftErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// List the changes to a data source's tables and columns
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}/drift", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), PageQuery, Filter),
    responses((status = 200, description = "The newest first", body = Envelope<Page<SchemaChange>>), DriftErrors))]
pub async fn get_drift(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    Path(id): Path<DataSourceId>,
    Query(page): Query<PageQuery>,
    Query(filter): Query<Filter>,
) -> Result<Reply<Page<SchemaChange>>> {
    let access = Access::of(&caller, Permission::DataSourceRead)?;
    let page = page.request()?;
    let source = engine.sources.find(&access, id).await?;
    let changes = change::newest(engine.platform.db.read(), access.tenant(), id).await?;
    let governing = engine.policies.governing(access.tenant(), id, source.workspace_id).await?;
    let tags = Tags::confirmed(engine.platform.db.read(), access.tenant(), &[id]).await?;
    let catalogue = engine.known(&caller, access.tenant(), vec![source.clone()]).await?;
    let mut seen = Vec::new();
    for row in changes.into_iter().filter(|row| filter.takes(row)) {
        if let Some(masked) = masked_for(&catalogue, &source, &row)? {
            seen.push((row, masked));
        }
    }
    let total = seen.len() as u64;
    let names_policies = caller.may(Permission::PolicyRead);
    let shown = page.of(seen).into_iter();
    let shown = shown
        .map(|(row, masked)| SchemaChange::of(&catalogue, &governing, &tags, &source, row, masked, names_policies));
    let items = shown.collect();
    Ok(Reply::ok(Page::new(items, page, total), "The changes."))
}

impl Filter {
    fn takes(&self, row: &change::Model) -> bool {
        self.since.is_none_or(|since| row.detected_at >= since)
            && self.schema_name.as_ref().is_none_or(|schema| row.schema_name == *schema)
            && self.table_name.as_ref().is_none_or(|table| row.table_name == *table)
    }
}

fn name_of(source: &source::Model, row: &change::Model) -> TableName {
    TableName { catalog: source.slug.clone(), schema: row.schema_name.clone(), table: row.table_name.clone() }
}

fn table_of<'a>(catalogue: &'a Catalogue, name: &TableName) -> Option<&'a CatalogueTable> {
    catalogue.tables.iter().find(|table| table.name == *name)
}

/// Whether the column that has changed is masked for the caller. `None` where they may not know of the change: the table is
/// not open to them as it is, or was not as it was before.
fn masked_for(catalogue: &Catalogue, source: &source::Model, row: &change::Model) -> Result<Option<bool>> {
    let name = name_of(source, row);
    let vanished = row.vanished_columns()?;
    let now = table_of(catalogue, &name);
    if now.is_some_and(|table| !table.decision.is_allowed()) {
        return Ok(None);
    }
    let current: &[DiscoveredColumn] = now.map_or(&[], |table| table.discovered.columns.as_slice());
    let gone = vanished.iter().filter(|old| !current.iter().any(|column| column.name == old.name));
    let columns: Vec<&DiscoveredColumn> = current.iter().chain(gone).collect();
    // A table that came and went again has left no columns to decide on.
    if columns.is_empty() {
        return Ok(catalogue.rules.leave_alone(source.id).then_some(false));
    }
    let decision = catalogue.rules.decide(source.id, &name, columns);
    let hides = |column: &String| decision.hidden.contains_key(column);
    if !decision.is_allowed() || row.column_name.as_ref().is_some_and(hides) {
        return Ok(None);
    }
    Ok(Some(row.column_name.as_ref().is_some_and(|column| decision.masks.contains_key(column))))
}

impl SchemaChange {
    fn of(
        catalogue: &Catalogue,
        governing: &[EffectivePolicy],
        tags: &Tags,
        source: &source::Model,
        row: change::Model,
        masked: bool,
        names_policies: bool,
    ) -> Self {
        let name = name_of(source, &row);
        let told = |source_type: &String| type_told(source_type, masked).to_owned();
        let mut tagged = tags.of_table(source.id, &row.schema_name, &row.table_name);
        let reaching = || governing.iter().filter(|policy| policy.reaches(&name));
        let (naming, closes_table): (Vec<&EffectivePolicy>, bool) = match (&row.column_name, table_of(catalogue, &name))
        {
            (Some(column), Some(table)) if !table.discovered.columns.iter().any(|found| found.name == *column) => {
                let lost = tagged.remove(column).unwrap_or_default();
                let loses = |rule: &RuleConfig| lost.iter().any(|tag| rule.names_tag(&name, tag));
                let names = |policy: &&EffectivePolicy| {
                    policy.rules.iter().any(|rule| rule.names_column(&name, column) || loses(rule))
                };
                let is_closing = |policy: &EffectivePolicy| {
                    policy.rules.iter().any(|rule| rule.cannot_do_without(&name, column) || loses(rule))
                };
                (reaching().filter(names).collect(), reaching().any(is_closing))
            }
            (None, None) if row.change == Kind::TableRemoved => {
                let lost: BTreeSet<String> = tagged.into_values().flatten().collect();
                let is_named =
                    |rule: &RuleConfig| rule.names_table(&name) || lost.iter().any(|tag| rule.names_tag(&name, tag));
                let names = |policy: &&EffectivePolicy| policy.only.is_some() || policy.rules.iter().any(is_named);
                (reaching().filter(names).collect(), false)
            }
            _ => (Vec::new(), false),
        };
        let named = |policy: &EffectivePolicy| NamingPolicy { policy_id: policy.id, policy_name: policy.name.clone() };
        let policies = if names_policies { naming.into_iter().map(named).collect() } else { Vec::new() };
        Self {
            id: row.id,
            change: row.change,
            schema_name: row.schema_name,
            table_name: row.table_name,
            column_name: row.column_name,
            was: row.was.as_ref().map(told),
            became: row.became.as_ref().map(told),
            detected_at: row.detected_at,
            closes_table,
            policies,
        }
    }
}
