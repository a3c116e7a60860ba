//! Whether rules fit the tables that they speak of, as discovery found them. What does not fit closes its table when it is
//! queried, so it is told to whoever writes the policy.

use std::{collections::BTreeMap, sync::Arc};

use datafusion::{
    arrow::datatypes::{Field, Schema},
    datasource::empty::EmptyTable,
};
use rivergen_connectors::{DiscoveredColumn, DiscoveredTable};
use rivergen_kernel::{DataSourceId, PolicyId, Result, Tenant};
use rivergen_platform::{Database, db::TenantScope};
use rivergen_policies::{
    condition::Condition,
    decision::{Access, ColumnInfo, Decision, Denial, Subject, decide},
    mask::{HashKey, Mask},
    rule::{ConfigError, EffectivePolicy, PolicyType, RuleConfig, TableName, TablePattern},
    targets::Places,
};
use rivergen_query::{
    expression::check_expression,
    filter::{Entitlements, check_condition},
    mask::{column_type, masked},
};
use rivergen_sources::{source, table};
use sea_orm::{ColumnTrait, QueryFilter};

/// The rules that cannot be applied to a table which they speak of, or that name a table which none of the places has;
/// each by its place, with the field at fault. A source that was never discovered may have any table.
pub async fn misfits(
    db: &Database,
    tenant: Tenant,
    places: &Places,
    rules: &[RuleConfig],
) -> Result<Vec<(usize, ConfigError)>> {
    let ids: Vec<DataSourceId> = places.sources().into_iter().collect();
    let found =
        tenant.find::<source::Entity>().filter(source::Column::Id.is_in(ids.iter().copied())).all(db.read()).await?;
    let all_discovered = found.iter().all(|source| source.schema_discovered_at.is_some());
    let slugs: BTreeMap<DataSourceId, String> = found.into_iter().map(|source| (source.id, source.slug)).collect();
    let (mut tables, mut bound) = (Vec::new(), Vec::new());
    for row in table::of_sources(db.read(), tenant, &ids).await? {
        let Some(slug) = slugs.get(&row.data_source_id) else { continue };
        let name = TableName { catalog: slug.clone(), schema: row.schema_name.clone(), table: row.table_name.clone() };
        if places.has(row.data_source_id, &row.schema_name, &row.table_name) {
            bound.push(tables.len());
        }
        tables.push((name, row.discovered()?));
    }
    let mut misfits = Vec::new();
    for (index, rule) in rules.iter().enumerate() {
        let Some(pattern) = rule.table() else { continue };
        let spoken_of: Vec<_> = bound.iter().map(|at| &tables[*at]).filter(|(name, _)| pattern.matches(name)).collect();
        if spoken_of.is_empty() && pattern.is_named() && all_discovered {
            let reason = "is not a table that the policy is assigned to; if it is new there, discover the schema again";
            misfits.push((index, ConfigError::new("table", reason)));
        }
        let fault =
            spoken_of.into_iter().find_map(|(name, table)| misfit(rule, name, table, &tables).map(|why| (name, why)));
        if let Some((name, why)) = fault {
            misfits.push((index, ConfigError::new(field_of(rule), format!("cannot be applied to {name}: {why}"))));
        }
    }
    Ok(misfits)
}

fn field_of(rule: &RuleConfig) -> &'static str {
    match rule {
        RuleConfig::FilterRows { .. } => "condition",
        RuleConfig::MaskColumn { .. } => "column",
        RuleConfig::MaskTagged { .. } | RuleConfig::DenyTagged { .. } => "tag",
        RuleConfig::AllowAccess(_) | RuleConfig::DenyAccess(_) | RuleConfig::LimitQuery(_) => "columns",
    }
}

/// Why the rule cannot be applied to the table.
fn misfit(
    rule: &RuleConfig,
    name: &TableName,
    table: &DiscoveredTable,
    tables: &[(TableName, DiscoveredTable)],
) -> Option<String> {
    let decision = decided(rule, name, table);
    if let Access::Denied(Denial::CannotApply { reason, .. }) = decision.access {
        return Some(reason);
    }
    let schema = schema_of(table);
    let filter = decision.row_filters.iter().find_map(|filter| {
        check_condition(&filter.written, &schema, &entitlements(&filter.written, name, tables)).err()
    });
    let mask = || {
        let key = HashKey::new(&[]);
        decision.masks.iter().find_map(|(column, held)| {
            let field = schema.field_with_name(column).ok()?;
            match &held.written {
                Mask::Expression(written) => check_expression(written, field, &schema).err(),
                written => masked(written, field, &schema, &key).err(),
            }
        })
    };
    filter.or_else(mask).map(|why| why.to_string())
}

/// Empty tables in the places of those that the condition reads, of the same source.
fn entitlements(condition: &Condition, governed: &TableName, tables: &[(TableName, DiscoveredTable)]) -> Entitlements {
    let mut entitlements = Entitlements::new();
    for written in condition.tables() {
        let pattern = TablePattern::Named(written.to_owned());
        let mut meant = tables.iter().filter(|(name, _)| name.catalog == governed.catalog && pattern.matches(name));
        if let (Some((_, table)), None) = (meant.next(), meant.next()) {
            entitlements.insert(written.to_owned(), Arc::new(EmptyTable::new(schema_of(table))));
        }
    }
    entitlements
}

fn decided(rule: &RuleConfig, name: &TableName, table: &DiscoveredTable) -> Decision {
    let alone = EffectivePolicy {
        id: PolicyId(0),
        name: String::new(),
        policy_type: PolicyType::AccessControl,
        priority: 0,
        only: None,
        rules: vec![rule.clone()],
    };
    decide(&[alone], name, &columns_of(&table.columns), &Subject::default(), false)
}

/// What rules know of the table's columns.
pub(crate) fn columns_of<'a>(columns: impl IntoIterator<Item = &'a DiscoveredColumn>) -> Vec<ColumnInfo> {
    let known = |column: &DiscoveredColumn| ColumnInfo {
        name: column.name.clone(),
        column_type: column_type(&column.arrow_type),
        tags: Default::default(),
    };
    columns.into_iter().map(known).collect()
}

fn schema_of(table: &DiscoveredTable) -> Arc<Schema> {
    let field = |column: &DiscoveredColumn| Field::new(column.name.as_str(), column.arrow_type.clone(), true);
    Arc::new(Schema::new(table.columns.iter().map(field).collect::<Vec<_>>()))
}
