//! Object stores: S3 and what speaks like it, Google Cloud Storage, Azure Blob. Folders are tables.
//!
//! ```text
//! settings ─▶ cloud (guarded HTTP, read-only) ─▶ listing: which folders are tables
//!                                               └▶ layout: what their files hold, merged to one schema
//!                                                   └▶ folder: the scan
//! ```
//!
//! A folder with files of one format is a table; below it, folders named `name=value` are its partitions, and
//! their names columns. Files right at the prefix are tables of their own. What was found is kept with the
//! discovered columns, so that a query lists nothing but the table it reads; and it does list it, each time: a file
//! that was added since is read.
//!
//! The only credentials are the source's own. What the machine or the cloud it runs in would lend (environment,
//! instance metadata, web identity) is never asked for.

mod cloud;
mod folder;
mod http;
mod layout;
mod listing;
mod settings;

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::catalog::TableProvider;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectStore, ObjectStoreExt};
use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};

use self::layout::TableLayout;
use self::listing::{Format, Found, Place, Shape};
use crate::files::{FileTable, SCHEMA, Sealed, columns, unreadable_object};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, DiscoveredSchema, DiscoveredTable, OpenedSource,
    Progress, SourceConfig, SourceContext, TableKind,
};

/// Tables that are looked into at the same time.
const AT_ONCE: usize = 4;

/// The connectors of all kinds of object stores.
pub(crate) fn connectors() -> Vec<Arc<dyn Connector>> {
    use DataSourceType::{AzureBlob, Gcs, Minio, S3};
    [S3, Minio, Gcs, AzureBlob].map(|kind| Arc::new(Objects { kind }) as Arc<dyn Connector>).into()
}

/// Reads one kind of store.
#[derive(Debug)]
struct Objects {
    kind: DataSourceType,
}

#[async_trait]
impl Connector for Objects {
    fn kind(&self) -> DataSourceType {
        self.kind
    }

    fn abilities(&self) -> Abilities {
        Abilities::SCANS
    }

    fn form(&self) -> Value {
        settings::form(self.kind)
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        settings::validate(config, credentials)
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = settings::Settings::read(&source.config, &source.credentials)?;
        let store: Arc<dyn ObjectStore> = Arc::new(cloud::Cloud::new(source, &settings)?);
        let (identity, config, checked) = (source.identity.clone(), source.config.clone(), Arc::default());
        Ok(Arc::new(OpenedStore { identity, config, settings, store, checked }))
    }
}

/// A store that can be asked. What it holds is not kept: it changes by itself.
#[derive(Debug)]
struct OpenedStore {
    identity: String,
    config: SourceConfig,
    settings: settings::Settings,
    store: Arc<dyn ObjectStore>,
    checked: Arc<folder::Checked>,
}

impl OpenedStore {
    async fn tables(&self) -> Result<Vec<Found>, ConnectorError> {
        listing::tables(&self.store, &self.settings, self.config.metadata_text("table")).await
    }

    async fn layout(&self, found: &Found) -> Result<TableLayout, ConnectorError> {
        layout::of(&self.store, found, &self.config).await
    }

    /// A table as it was found. One that cannot be read has the reason for its comment, and a query of it is told
    /// the same; a store that cannot be asked is a failure.
    async fn describe(&self, found: Found) -> Result<DiscoveredTable, ConnectorError> {
        use ConnectorError::{NotFound, Unreadable, Unsupported};
        let (columns, row_count, comment) = match self.layout(&found).await {
            Ok(layout) => (layout.remember(&found.place), layout.rows, None),
            Err(error @ (Unreadable { .. } | Unsupported(_) | NotFound { .. })) => {
                (Vec::new(), None, Some(error.to_string()))
            }
            Err(error) => return Err(error),
        };
        Ok(DiscoveredTable { name: found.name, kind: TableKind::Table, columns, row_count, comment })
    }
}

#[async_trait]
impl OpenedSource for OpenedStore {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        listing::probe(&self.store, &self.settings).await.map(|()| None)
    }

    async fn discover(&self, schema: Option<&str>) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        self.discover_watched(schema, &Progress::default()).await
    }

    async fn discover_watched(
        &self,
        schema: Option<&str>,
        progress: &Progress,
    ) -> Result<Vec<DiscoveredSchema>, ConnectorError> {
        if schema.is_some_and(|schema| schema != SCHEMA) {
            return Ok(Vec::new());
        }
        let found = self.tables().await?;
        progress.found(found.len());
        let described = futures::stream::iter(found).map(|found| self.describe(found)).buffered(AT_ONCE);
        let tables = described.inspect(|_| progress.look()).try_collect().await?;
        Ok(vec![DiscoveredSchema { name: SCHEMA.to_owned(), tables }])
    }

    async fn open_table(
        &self,
        schema: &str,
        table: &str,
        known: Option<&DiscoveredTable>,
    ) -> Result<Arc<dyn TableProvider>, ConnectorError> {
        let missing = || ConnectorError::no_table(schema, table);
        if schema != SCHEMA {
            return Err(missing());
        }
        let (place, layout) = match known.and_then(TableLayout::recall) {
            Some(remembered) => remembered,
            None => {
                let found = self.tables().await?.into_iter().find(|found| found.name == table).ok_or_else(missing)?;
                let layout = self.layout(&found).await?;
                // Policies were made for the columns that were discovered, and these are none.
                if known.is_some() {
                    let reason =
                        format!("table {table} could not be read when it was discovered; discover the schema again");
                    return Err(ConnectorError::Unsupported(reason));
                }
                (found.place, layout)
            }
        };
        let root = place.root()?;
        if !self.settings.holds(&root) {
            // The prefix was changed since.
            return Err(missing());
        }
        if place.shape == Shape::File {
            let meta = self.store.head(&root).await.map_err(|error| unreadable_object(&root, error))?;
            let store = Arc::new(Sealed::file(self.store.clone(), meta, &self.identity));
            let table = FileTable::new(store, &layout.reading, layout.schema).map_err(ConnectorError::internal)?;
            return Ok(Arc::new(table));
        }
        if place.format == Format::Parquet {
            listing::not_a_lake_by_now(&self.store, &root).await?;
        }
        Ok(Arc::new(folder::FolderTable::new(self.store.clone(), &place, layout, &self.identity, &self.checked)?))
    }
}

impl TableLayout {
    /// The columns, of which the first remembers where and how the table is read.
    fn remember(&self, place: &Place) -> Vec<crate::DiscoveredColumn> {
        let partitions = self.partitions.iter().map(|(name, kind)| Field::new(name, kind.clone(), false));
        let files = self.schema.fields().iter().map(|field| field.as_ref().clone());
        let mut columns = columns(&Arc::new(Schema::new(files.chain(partitions).collect::<Vec<_>>())));
        for column in columns.iter_mut().skip(self.schema.fields().len()) {
            column.source_type = "partition".to_owned();
        }
        if let Some(first) = columns.first_mut() {
            first.reading = Some(json!({"place": place, "reading": self.reading, "partitions": self.partitions.len()}));
        }
        columns
    }

    /// What [`TableLayout::remember`] kept.
    fn recall(known: &DiscoveredTable) -> Option<(Place, Self)> {
        let kept = known.columns.first()?.reading.as_ref()?;
        let place = serde_json::from_value(kept.get("place")?.clone()).ok()?;
        let reading = serde_json::from_value(kept.get("reading")?.clone()).ok()?;
        let partitions = usize::try_from(kept.get("partitions")?.as_u64()?).ok()?;
        let (files, partitions) = known.columns.split_at_checked(known.columns.len().checked_sub(partitions)?)?;
        let fields = files.iter().map(|c| Field::new(&c.name, c.arrow_type.clone(), c.nullable));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let partitions: Vec<(String, DataType)> =
            partitions.iter().map(|c| (c.name.clone(), c.arrow_type.clone())).collect();
        Some((place, Self { schema, reading, partitions, rows: None }))
    }
}
