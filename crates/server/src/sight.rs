//! What `storage` asks of data sources and policies, answered from the rooms that hold them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rivergen_kernel::{DataSourceId, Result, Tenant};
use rivergen_platform::{Platform, db::TenantScope};
use rivergen_policies::{Policies, decision::Subject, rule::TableName, tags::Tags};
use rivergen_runs::catalogue::Rules;
use rivergen_sources::{source, table};
use rivergen_storage::sight::{Reader, Sight};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder};

/// Sources from the database, and what the policies decide on their tables.
pub struct GovernedSight {
    platform: Platform,
    policies: Policies,
}

impl GovernedSight {
    pub fn new(platform: Platform, policies: Policies) -> Self {
        Self { platform, policies }
    }

    /// Index: data_sources(organization_id, slug), of which the first part; an organization has hundreds of them.
    async fn reading(&self, tenant: Tenant, paths: impl IntoIterator<Item = &String>) -> Result<Vec<source::Model>> {
        let found = tenant
            .find::<source::Entity>()
            .filter(source::Column::FilePath.is_in(paths.into_iter().map(String::as_str)))
            .filter(source::Column::DeletedAt.is_null())
            .order_by_asc(source::Column::Id);
        Ok(found.all(self.platform.db.read()).await?)
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
        let tables = table::of_sources(self.platform.db.read(), reader.tenant, &ids).await?;
        let tags = Tags::confirmed(self.platform.db.read(), reader.tenant, &ids).await?;
        // Neither address nor network of the reader is known here; a rule that asks for them is then against them.
        let subject = Subject::new(reader.membership, reader.user_id, None, self.platform.clock.now(), None);
        let rules = Rules::new(policies, tags, subject);
        for source in sources.iter().filter(|source| !rules.leave_alone(source.id)) {
            let mut tables = tables.iter().filter(|table| table.data_source_id == source.id).peekable();
            if tables.peek().is_none() {
                return Ok(false);
            }
            for row in tables {
                let (schema, table) = (row.schema_name.clone(), row.table_name.clone());
                let name = TableName { catalog: source.slug.clone(), schema, table };
                if !rules.decide(source.id, &name, &row.discovered()?.columns).is_whole() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }
}
