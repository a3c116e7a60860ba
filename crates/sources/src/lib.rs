//! The registry of data sources: where they are, how to sign in at them (sealed), what they hold
//! (discovered) and how they are (tested).
//!
//! Knows nothing of who may see what inside a source: `query`, the room above, asks [`Sources::opened`] for
//! the handle of a source and puts the policies over its tables.

pub mod check;
pub mod create;
pub mod credentials;
pub mod discover;
pub mod get;
pub mod list;
pub mod migrations;
pub mod personal_data;
pub mod source;
pub mod table;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use rivergen_connectors::{OpenedSource, Registry, SourceContext};
use rivergen_kernel::{DataSourceId, Error, ErrorCode, Result, Tenant};
use rivergen_platform::{Event, Kept, Platform, db::TenantScope};
use rivergen_storage::Storage;
use sea_orm::{ColumnTrait, QueryFilter};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Sources {
    pub platform: Platform,
    pub storage: Storage,
    pub registry: Registry,
    cache_dir: Arc<PathBuf>,
    opened: Kept<DataSourceId, Arc<dyn OpenedSource>>,
}

impl Sources {
    /// `cache_dir` takes plain copies of sealed files that a connector must have as files; it is private
    /// to this process.
    pub fn new(platform: Platform, storage: Storage, cache_dir: PathBuf) -> Self {
        let ten_minutes = Duration::from_secs(600);
        let opened = Kept::new(platform.db.bus(), 1_000, ten_minutes, |id, _| vec![Event::DataSourceChanged(*id)]);
        Self { platform, storage, registry: Registry::new(), cache_dir: Arc::new(cache_dir), opened }
    }

    /// A source of the tenant; `NOT_FOUND` for any other.
    pub async fn find(&self, tenant: Tenant, id: DataSourceId) -> Result<source::Model> {
        let found = tenant
            .find::<source::Entity>()
            .filter(source::Column::Id.eq(id))
            .filter(source::Column::DeletedAt.is_null())
            .one(self.platform.db.read())
            .await?;
        found.ok_or_else(|| Error::new(ErrorCode::NotFound).with_message("There is no such data source."))
    }

    /// Several sources of the tenant, in the order asked; `NOT_FOUND` where one is missing.
    pub async fn find_all(&self, tenant: Tenant, ids: &[DataSourceId]) -> Result<Vec<source::Model>> {
        let mut found: BTreeMap<DataSourceId, source::Model> = tenant
            .find::<source::Entity>()
            .filter(source::Column::Id.is_in(ids.iter().copied()))
            .filter(source::Column::DeletedAt.is_null())
            .all(self.platform.db.read())
            .await?
            .into_iter()
            .map(|row| (row.id, row))
            .collect();
        ids.iter()
            .map(|id| {
                let missing = || Error::new(ErrorCode::NotFound).with_message(format!("There is no data source {id}."));
                found.remove(id).ok_or_else(missing)
            })
            .collect()
    }

    /// The open handle of a source: kept while it is used, closed when the source changes.
    pub async fn opened(&self, tenant: Tenant, source: &source::Model) -> Result<Arc<dyn OpenedSource>> {
        if let Some(opened) = self.opened.get(&source.id)
            && opened.is_current().await
        {
            return Ok(opened);
        }
        let open = async {
            let context = self.context(tenant, source).await?;
            let connector = self.registry.connector(context.config.kind)?;
            let limit = context.config.connect_timeout();
            tokio::time::timeout(limit, connector.open(&context))
                .await
                .map_err(|_| rivergen_connectors::ConnectorError::Timeout(limit))?
                .map_err(Error::from)
        };
        self.opened.load(source.id, open).await
    }

    pub(crate) async fn context(&self, tenant: Tenant, source: &source::Model) -> Result<SourceContext> {
        let credentials = credentials::open(&self.platform.vault, source).await?;
        Ok(SourceContext {
            // A changed configuration is another source to the engine.
            identity: format!("source {} at {}", source.id, source.updated_at.timestamp_micros()),
            config: source.config()?,
            credentials,
            files: Arc::new(self.storage.store(tenant).await?),
            guard: self.platform.outbound.clone(),
            cache_dir: self.cache_dir.as_ref().clone(),
        })
    }
}

/// The operations of this room; `query` has those that run SQL on a source.
pub fn operations() -> OpenApiRouter<Sources> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(get::get))
        .routes(routes!(discover::discover_schema))
}
