//! What `storage` asks of data sources and policies, answered from the rooms that hold them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rivergen_kernel::{DataSourceId, Result, Tenant};
use rivergen_platform::{Database, db::TenantScope};
use rivergen_policies::{
    Policies,
    decision::{ColumnInfo, Subject, decide},
    rule::TableName,
};
use rivergen_query::mask::column_type;
use rivergen_sources::{source, table};
use rivergen_storage::sight::{Reader, Sight};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};

/// Sources from the database, and what the policies decide on their tables.
pub struct GovernedSight {
    db: Database,
    policies: Policies,
}

impl GovernedSight {
    pub fn new(db: Database, policies: Policies) -> Self {
        Self { db, policies }
    }

    /// Index: data_sources(organization_id, slug), of which the first part; an organization has hundreds of them.
    async fn reading(&self, tenant: Tenant, paths: impl IntoIterator<Item = &String>) -> Result<Vec<source::Model>> {
        let found = tenant
            .find::<source::Entity>()
            .filter(source::Column::FilePath.is_in(paths.into_iter().map(String::as_str)))
            .filter(source::Column::DeletedAt.is_null())
            .order_by_asc(source::Column::Id);
        Ok(found.all(self.db.read()).await?)
    }
}

#[async_trait]
impl Sight for GovernedSight {
    async fn sources_of(
        &self,
        tenant: Tenant,
        paths: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<DataSourceId>>> {
        let mut sources: BTreeMap<String, Vec<DataSourceId>> = BTreeMap::new();
        if paths.is_empty() {
            return Ok(sources);
        }
        for row in self.reading(tenant, paths).await? {
            sources.entry(row.file_path.unwrap_or_default()).or_default().push(row.id);
        }
        Ok(sources)
    }

    /// What a policy says of a table that nobody has discovered yet is not known; so then any policy closes the file.
    async fn sees_whole(&self, reader: Reader<'_>, path: &str) -> Result<bool> {
        let sources = self.reading(reader.tenant, [&path.to_owned()]).await?;
        let ids: Vec<DataSourceId> = sources.iter().map(|source| source.id).collect();
        let policies = self.policies.effective_for(reader.tenant, reader.membership, reader.user_id, &ids).await?;
        if policies.values().all(Vec::is_empty) {
            return Ok(true);
        }
        let tables = table::of_sources(self.db.read(), reader.tenant, &ids).await?;
        let subject = Subject {
            attributes: reader.membership.attributes.clone(),
            role_ids: reader.membership.role_ids.iter().copied().collect(),
        };
        for source in &sources {
            let governing = policies.get(&source.id).map(Vec::as_slice).unwrap_or_default();
            let mut tables = tables.iter().filter(|table| table.data_source_id == source.id).peekable();
            if !governing.is_empty() && tables.peek().is_none() {
                return Ok(false);
            }
            for row in tables {
                let name = TableName {
                    catalog: source.slug.clone(),
                    schema: row.schema_name.clone(),
                    table: row.table_name.clone(),
                };
                let columns: Vec<ColumnInfo> = row
                    .discovered()?
                    .columns
                    .iter()
                    .map(|column| ColumnInfo {
                        name: column.name.clone(),
                        column_type: column_type(&column.arrow_type),
                    })
                    .collect();
                if !decide(governing, &name, &columns, &subject, false).is_whole() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
