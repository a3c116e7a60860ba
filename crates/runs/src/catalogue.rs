//! What one caller may see of some sources: their discovered tables, each with its decision.
//!
//! Nothing is opened to know it: the tables come from the last discovery, the decisions from the policies.
//! Only the tables that a statement names are opened, when it is planned.

use std::{collections::BTreeSet, sync::Arc};

use datafusion::{
    arrow::datatypes::{Field, Schema},
    catalog::TableProvider,
    datasource::empty::EmptyTable,
    sql::sqlparser::ast::ObjectName,
};
use rivergen_connectors::DiscoveredTable;
use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, Result, Tenant};
use rivergen_policies::{
    decision::{ColumnInfo, Decision, Subject, decide},
    rule::TableName,
};
use rivergen_query::{GovernedTable, mask::column_type};
use rivergen_sources::{discover, source, table};

use crate::Engine;

/// The tables of some sources, as one caller may see them.
pub struct Catalogue {
    pub tenant: Tenant,
    pub sources: Vec<source::Model>,
    pub tables: Vec<CatalogueTable>,
}

/// A table, and what the caller may see of it.
pub struct CatalogueTable {
    pub name: TableName,
    pub source_id: DataSourceId,
    pub discovered: DiscoveredTable,
    pub decision: Decision,
}

impl Catalogue {
    /// `INVALID_QUERY` for a name that no table has, with the nearest ones that the caller may read.
    pub(crate) fn check_names(&self, relations: &[ObjectName]) -> Result<()> {
        let unknown = relations.iter().find(|name| !self.tables.iter().any(|table| may_mean(name, &table.name)));
        let Some(unknown) = unknown else { return Ok(()) };
        let last = unknown.0.last().and_then(|part| part.as_ident()).map_or("", |ident| ident.value.as_str());
        let readable = self.tables.iter().filter(|table| table.decision.is_allowed());
        let mut nearest: Vec<_> = readable
            .map(|table| (strsim::damerau_levenshtein(&table.name.table, last), table.name.to_string()))
            .collect();
        nearest.sort();
        nearest.truncate(3);
        let names: Vec<String> = nearest.into_iter().map(|(_, name)| name).collect();
        let nearest = if names.is_empty() { String::new() } else { format!(" Nearest: {}.", names.join(", ")) };
        Err(Error::new(ErrorCode::InvalidQuery).with_message(format!("There is no table {unknown}.{nearest}")))
    }
}

impl Engine {
    /// The caller's catalogue of the sources. A source that nobody has discovered yet is discovered now.
    pub async fn catalogue(&self, caller: &Caller, tenant: Tenant, sources: Vec<source::Model>) -> Result<Catalogue> {
        for source in &sources {
            if source.schema_discovered_at.is_none() {
                discover::discover(&self.sources, tenant, source, None).await?;
            }
        }
        let ids: Vec<DataSourceId> = sources.iter().map(|source| source.id).collect();
        let rows = table::of_sources(self.platform.db.read(), tenant, &ids).await?;
        let membership = caller.membership()?;
        let policies = self.policies.effective_for(tenant, membership, caller.user_id, &ids).await?;
        let subject = Subject {
            attributes: membership.attributes.clone(),
            role_ids: membership.role_ids.iter().copied().collect::<BTreeSet<_>>(),
        };
        let mut tables = Vec::with_capacity(rows.len());
        for row in rows {
            let Some(source) = sources.iter().find(|source| source.id == row.data_source_id) else { continue };
            let discovered = row.discovered()?;
            let name = TableName {
                catalog: source.slug.clone(),
                schema: row.schema_name.clone(),
                table: row.table_name.clone(),
            };
            let columns: Vec<ColumnInfo> = discovered
                .columns
                .iter()
                .map(|column| ColumnInfo { name: column.name.clone(), column_type: column_type(&column.arrow_type) })
                .collect();
            let governing = policies.get(&source.id).map(Vec::as_slice).unwrap_or_default();
            let decision = decide(governing, &name, &columns, &subject, false);
            tables.push(CatalogueTable { name, source_id: source.id, discovered, decision });
        }
        Ok(Catalogue { tenant, sources, tables })
    }

    /// The governed tables that the relations of a statement can mean, opened; a closed table stays closed
    /// and is only there to be refused by name.
    pub(crate) async fn open_tables(
        &self,
        catalogue: &Catalogue,
        relations: &[ObjectName],
    ) -> Result<Vec<GovernedTable>> {
        let mut opened = Vec::new();
        for known in catalogue.tables.iter().filter(|known| relations.iter().any(|name| may_mean(name, &known.name))) {
            let provider: Arc<dyn TableProvider> = if known.decision.is_allowed() {
                let source = catalogue.sources.iter().find(|source| source.id == known.source_id);
                let Some(source) = source else { continue };
                let handle = self.sources.opened(catalogue.tenant, source).await?;
                handle.open_table(&known.name.schema, &known.name.table, Some(&known.discovered)).await?
            } else {
                Arc::new(EmptyTable::new(Arc::new(Schema::new(Vec::<Field>::new()))))
            };
            opened.push(GovernedTable {
                name: known.name.clone(),
                source_id: known.source_id,
                provider,
                decision: known.decision.clone(),
            });
        }
        Ok(opened)
    }
}

/// Whether the last parts of a dotted name fit the table.
fn may_mean(relation: &ObjectName, table: &TableName) -> bool {
    let full = [&table.catalog, &table.schema, &table.table];
    let parts: Vec<&str> =
        relation.0.iter().filter_map(|part| part.as_ident()).map(|ident| ident.value.as_str()).collect();
    parts.len() <= full.len() && full.iter().rev().zip(parts.iter().rev()).all(|(a, b)| a.eq_ignore_ascii_case(b))
}
