//! The registry of data sources: where they are, how to sign in at them (sealed), what they hold
//! (discovered) and how they are (checked).
//!
//! [`access`] says which of them a caller reaches, [`health`] how they are and were, [`discovery`] what they hold and how
//! that changed; [`monitor`] does both again when it is time. Who may see what inside a source is not known here: `runs`,
//! the room above, asks [`Sources::opened`] for the handle of a source and puts the policies over its tables.

pub mod access;
pub mod create;
pub mod credentials;
pub mod delete;
pub mod discovery;
pub mod file_url;
pub mod get;
pub mod health;
pub mod list;
pub mod migrations;
pub mod monitor;
pub mod personal_data;
pub mod purge;
pub mod restore;
pub mod sight;
pub mod source;
pub mod table;
pub mod types;
pub mod update;

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use rivergen_connectors::{ConnectorError, OpenedSource, Registry, SourceContext, retry, tunnel::Tunnel};
use rivergen_kernel::{DataSourceId, Error, Result, Tenant};
use rivergen_platform::{Event, Kept, Platform, db::TenantScope};
use rivergen_storage::Storage;
use sea_orm::{ColumnTrait, QueryFilter};
use utoipa_axum::{router::OpenApiRouter, routes};

use access::{Access, not_found};
use sight::SourceSight;

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How often each source is checked; `None`: only when somebody asks.
    pub check_every: Option<Duration>,
    /// Takes plain copies of sealed files that a connector must have as files; it is private to this process.
    pub cache_dir: PathBuf,
}

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Sources {
    pub platform: Platform,
    pub storage: Storage,
    pub registry: Registry,
    settings: Arc<Settings>,
    pub(crate) sight: Arc<dyn SourceSight>,
    opened: Kept<DataSourceId, Arc<dyn OpenedSource>>,
}

impl Sources {
    /// `sight` says who sees all of a source.
    pub fn new(platform: Platform, storage: Storage, settings: Settings, sight: Arc<dyn SourceSight>) -> Self {
        let ten_minutes = Duration::from_secs(600);
        let opened = Kept::new(platform.db.bus(), 1_000, ten_minutes, |id, _| vec![Event::DataSourceChanged(*id)]);
        Self { platform, storage, registry: Registry::new(), settings: Arc::new(settings), sight, opened }
    }

    /// A source that the caller reaches; `NOT_FOUND` for any other.
    pub async fn find(&self, access: &Access, id: DataSourceId) -> Result<source::Model> {
        let found = access.sources().filter(source::Column::Id.eq(id)).filter(source::Column::DeletedAt.is_null());
        let source = found.one(self.platform.db.read()).await?.ok_or_else(|| not_found(id))?;
        access.check(&source)?;
        Ok(source)
    }

    /// Several sources that the caller reaches, in the order asked; `NOT_FOUND` where one is missing.
    pub async fn find_all(&self, access: &Access, ids: &[DataSourceId]) -> Result<Vec<source::Model>> {
        let mut found: BTreeMap<DataSourceId, source::Model> = access
            .sources()
            .filter(source::Column::Id.is_in(ids.iter().copied()))
            .filter(source::Column::DeletedAt.is_null())
            .all(self.platform.db.read())
            .await?
            .into_iter()
            .map(|row| (row.id, row))
            .collect();
        let in_order = ids.iter().map(|id| found.remove(id).ok_or_else(|| not_found(*id)));
        let sources: Vec<source::Model> = in_order.collect::<Result<_>>()?;
        sources.iter().try_for_each(|source| access.check(source))?;
        Ok(sources)
    }

    /// A source for what the server does by itself; `None` for one that is deleted.
    pub(crate) async fn live(&self, tenant: Tenant, id: DataSourceId) -> Result<Option<source::Model>> {
        let found = tenant
            .find::<source::Entity>()
            .filter(source::Column::Id.eq(id))
            .filter(source::Column::DeletedAt.is_null());
        Ok(found.one(self.platform.db.read()).await?)
    }

    /// The open handle of a source: kept while it is used, closed when the source changes. One that is switched off is
    /// not opened.
    pub async fn opened(&self, tenant: Tenant, id: DataSourceId) -> Result<Arc<dyn OpenedSource>> {
        if let Some(opened) = self.opened.get(&id)
            && opened.is_current().await
        {
            return Ok(opened);
        }
        let open = async {
            // Read here and not before: of what changed since, the handle would be the old one, and kept.
            let source = self.live(tenant, id).await?.ok_or_else(|| not_found(id))?;
            source.check_enabled()?;
            let context = self.context(tenant, &source).await?;
            self.open(&context).await.map_err(Error::from)
        };
        self.opened.load(id, open).await
    }

    /// Opens what nobody else is given.
    async fn open(&self, context: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let connector = self.registry.connector(context.config.kind)?;
        let limit = context.config.connect_timeout();
        retry::reaching(context.config.max_retries, || async {
            let opening = tokio::time::timeout(limit, connector.open(context)).await;
            opening.map_err(|_| ConnectorError::Timeout(limit))?
        })
        .await
    }

    pub(crate) async fn context(&self, tenant: Tenant, source: &source::Model) -> Result<SourceContext> {
        let credentials = credentials::open(&self.platform.vault, source).await?;
        self.context_with(tenant, source, credentials).await
    }

    /// With other credentials than those that are kept.
    pub(crate) async fn context_with(
        &self,
        tenant: Tenant,
        source: &source::Model,
        credentials: rivergen_connectors::Credentials,
    ) -> Result<SourceContext> {
        let config = source.config()?;
        let guard = Tunnel::guard(&config, &credentials, self.platform.outbound.clone());
        Ok(SourceContext {
            // A changed configuration is another source to the engine.
            identity: format!("source {} at {}", source.id, source.updated_at.timestamp_micros()),
            config,
            credentials,
            files: Arc::new(self.storage.store(tenant).await?),
            guard,
            cache_dir: self.settings.cache_dir.clone(),
        })
    }
}

/// Registers the jobs of this room.
pub fn register_jobs(sources: &Sources) {
    health::check::register(sources);
    discovery::register(sources);
    monitor::register(sources);
    purge::register(sources);
}

/// The operations of this room; `runs` has those that depend on what a caller may see inside a source.
pub fn operations() -> OpenApiRouter<Sources> {
    OpenApiRouter::new()
        .routes(routes!(list::list, create::create))
        .routes(routes!(types::list_types))
        .routes(routes!(get::get, update::update_data_source, delete::delete_data_source))
        .routes(routes!(restore::restore_data_source))
        .routes(routes!(credentials::update_credentials))
        .routes(routes!(health::get_health))
        .routes(routes!(file_url::get_file_url))
        .routes(routes!(discovery::discover_schema))
        .routes(routes!(discovery::runs::list_discoveries))
}
