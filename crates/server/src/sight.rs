//! What `storage` and `sources` ask of data sources and policies, answered from the rooms that hold them.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use rivergen_kernel::{Caller, DataSourceId, Permission, Result, Tenant};
use rivergen_platform::{Platform, db::TenantScope};
use rivergen_policies::{Policies, decision::Subject, rule::TableName, tags::Tags};
use rivergen_runs::catalogue::Rules;
use rivergen_sources::{access::Access, sight::SourceSight, source, table};
use rivergen_storage::sight::{Reader, Sight};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, Select};

/// Sources from the database, and what the policies decide on their tables.
pub struct GovernedSight {
    platform: Platform,
    policies: Policies,
}

impl GovernedSight {
    pub fn new(platform: Platform, policies: Policies) -> Self {
        Self { platform, policies }
    }

    /// The sources that name the files, deleted ones among them; those read them whose kind does.
    /// Index: data_sources(organization_id, slug), of which the first part; an organization has hundreds of them.
    fn reading<'a>(tenant: Tenant, paths: impl IntoIterator<Item = &'a str>) -> Select<source::Entity> {
        tenant.find::<source::Entity>().filter(source::Column::FilePath.is_in(paths)).order_by_asc(source::Column::Id)
    }

    /// What a policy says of a table that nobody has discovered yet is not known; so then any policy keeps something.
    async fn sees_all(&self, reader: Reader<'_>, sources: &[source::Model]) -> Result<bool> {
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

/// Their ids, for each file that they read.
fn by_path(rows: Vec<source::Model>) -> BTreeMap<String, Vec<DataSourceId>> {
    let mut sources: BTreeMap<String, Vec<DataSourceId>> = BTreeMap::new();
    for row in rows {
        if let Some(path) = row.stored_file() {
            sources.entry(path.to_owned()).or_default().push(row.id);
        }
    }
    sources
}

#[async_trait]
impl Sight for GovernedSight {
    async fn sources_of(
        &self,
        tenant: Tenant,
        paths: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<DataSourceId>>> {
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let live = Self::reading(tenant, paths.iter().map(String::as_str)).filter(source::Column::DeletedAt.is_null());
        Ok(by_path(live.all(self.platform.db.read()).await?))
    }

    async fn sources_shown(
        &self,
        caller: &Caller,
        paths: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, Vec<DataSourceId>>> {
        let Ok(access) = Access::of(caller, Permission::DataSourceRead) else { return Ok(BTreeMap::new()) };
        if paths.is_empty() {
            return Ok(BTreeMap::new());
        }
        let live = access
            .sources()
            .filter(source::Column::FilePath.is_in(paths.iter().map(String::as_str)))
            .filter(source::Column::DeletedAt.is_null());
        let db = self.platform.db.read();
        Ok(by_path(access.shown(db, live).await?.all(db).await?))
    }

    async fn gives(&self, caller: &Caller, source: DataSourceId, path: &str) -> Result<bool> {
        let Ok(access) = Access::of(caller, Permission::DataSourceQuery) else { return Ok(false) };
        let reading = access
            .sources()
            .filter(source::Column::Id.eq(source))
            .filter(source::Column::FilePath.eq(path))
            .filter(source::Column::DeletedAt.is_null());
        let found = reading.one(self.platform.db.read()).await?;
        let gives = |source: source::Model| {
            source.stored_file() == Some(path) && source.check_enabled().is_ok() && access.check(&source).is_ok()
        };
        Ok(found.is_some_and(gives))
    }

    /// A deleted source governs its file until it is purged: whoever could delete it would open the file else.
    async fn sees_whole(&self, reader: Reader<'_>, path: &str) -> Result<bool> {
        let mut sources = Self::reading(reader.tenant, [path]).all(self.platform.db.read()).await?;
        sources.retain(|source| source.stored_file().is_some());
        self.sees_all(reader, &sources).await
    }
}

#[async_trait]
impl SourceSight for GovernedSight {
    async fn sees_all_of(&self, caller: &Caller, source: &source::Model) -> Result<bool> {
        self.sees_all(Reader::of(caller)?, std::slice::from_ref(source)).await
    }
}
