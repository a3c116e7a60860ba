//! MongoDB: the collections and views of one database, as tables in a schema of its name.
//!
//! The driver finds the members of a replica set by itself, so its connections go through the guarded
//! [relay](crate::relay). A sample of documents tells the columns, and of which BSON type each is: filters are left to
//! the server where it compares values of that type as the engine does ([`filter`]), under the simple collation.

mod filter;
mod settings;
mod values;

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use mongodb::bson::{Document as Bson, doc};
use mongodb::error::{Error, ErrorKind};
use mongodb::options::Collation;
use mongodb::results::CollectionType;
use mongodb::{Client, Collection as Documents, Database};
use rivergen_kernel::error::FieldError;
use serde_json::{Value as Json, json};

use crate::documents::{
    Collection, Column, Condition, Described, Document, OpenedStore, Pages, Scan, Store, TableName, sampled,
};
use crate::relay::Relay;
use crate::{
    Abilities, Blocked, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig,
    SourceContext, check_fields, form,
};
use settings::Settings;

/// Documents that tell the columns.
const SAMPLED: i64 = 500;
const SAMPLED_AT_ONCE: u32 = 100;
/// Of the documents of a sample, in bytes.
const LARGEST_SAMPLE: usize = 16 * 1024 * 1024;
const PAGE: u32 = 1_000;

/// Reads MongoDB.
#[derive(Debug)]
pub struct Mongodb;

#[async_trait]
impl Connector for Mongodb {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Mongodb
    }

    fn abilities(&self) -> Abilities {
        Abilities::SCANS
    }

    fn form(&self) -> Json {
        json!({
            "type": "object",
            "properties": {
                "host": form::text("Host"),
                "port": form::port(self.kind()),
                "database_name": form::text("Database"),
                "connection_string": {"type": "string", "title": "Connection string", "description": "mongodb:// or mongodb+srv://, with the database in its path; replaces the other fields.", "writeOnly": true},
                "credentials": form::user_and_password(),
                "metadata": {"type": "object", "properties": {
                    "auth_source": {"type": "string", "title": "Authentication database", "default": "admin"},
                    "sslmode": form::tls(),
                    "ssl_root_certificate": form::root_certificate()
                }},
                "connection_pool_size": form::pool_size("Maximum connections"),
                "connection_timeout": form::connection_timeout(),
                "query_timeout": form::query_timeout("Query")
            },
            "anyOf": [{"required": ["host", "port", "database_name"]}, {"required": ["connection_string"]}]
        })
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        check_fields(config, credentials, || Settings::read(config, credentials))
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        let settings = Settings::read(&source.config, &source.credentials)?;
        let relay = Relay::start(source.guard.clone(), source.config.connect_timeout()).await?;
        let options = settings.options(source, &relay).await?;
        let client = Client::with_options(options).map_err(|error| classify(&error, None, source))?;
        let server = Server { database: client.database(&settings.database), relay, source: source.clone() };
        Ok(Arc::new(OpenedStore::new(Collections { server: Arc::new(server) }, source)))
    }
}

/// One database, and the way to it.
struct Server {
    database: Database,
    relay: Relay,
    source: SourceContext,
}

/// The driver prints its options, the relay's password among them.
impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("database", &self.database.name()).finish_non_exhaustive()
    }
}

impl Server {
    fn classify(&self, error: Error) -> ConnectorError {
        classify(&error, self.relay.refused(), &self.source)
    }

    /// The answer to a question, within the query timeout.
    async fn ask<T>(&self, question: impl IntoFuture<Output = Result<T, Error>>) -> Result<T, ConnectorError> {
        let limit = self.source.config.query_timeout();
        let answer = tokio::time::timeout(limit, question.into_future()).await;
        answer.map_err(|_| ConnectorError::Timeout(limit))?.map_err(|error| self.classify(error))
    }

    /// The first documents of a collection, some hundred or so many as memory allows.
    async fn sample(&self, name: &str) -> Result<Vec<Bson>, ConnectorError> {
        let documents = self.documents(name);
        let find = documents.find(doc! {}).limit(SAMPLED).batch_size(SAMPLED_AT_ONCE);
        let mut cursor = self.ask(find).await?;
        let (mut sample, mut bytes) = (Vec::new(), 0);
        while bytes < LARGEST_SAMPLE
            && let Some(document) = self.ask(cursor.try_next()).await?
        {
            bytes += document.to_vec().map_err(ConnectorError::internal)?.len();
            sample.push(document);
        }
        Ok(sample)
    }

    fn documents(&self, name: &str) -> Documents<Bson> {
        self.database.collection(name)
    }
}

/// What a failure means, without the server's words.
fn classify(error: &Error, refused: Option<Blocked>, source: &SourceContext) -> ConnectorError {
    use ErrorKind::{ConnectionPoolCleared, DnsResolve, Io, ProxyConnect, ServerSelection};
    let cause = || Some(error.clone().into());
    let unconnected = matches!(
        error.kind.as_ref(),
        ServerSelection { .. } | Io(_) | DnsResolve { .. } | ProxyConnect { .. } | ConnectionPoolCleared { .. }
    );
    if let Some(refused) = refused.filter(|_| unconnected) {
        return refused.into();
    }
    match error.kind.as_ref() {
        ErrorKind::Authentication { .. } => ConnectorError::AuthenticationFailed { cause: cause() },
        // Unauthorized, AuthenticationFailed.
        ErrorKind::Command(command) if matches!(command.code, 13 | 18) => {
            ConnectorError::AuthenticationFailed { cause: cause() }
        }
        // NamespaceNotFound.
        ErrorKind::Command(command) if command.code == 26 => ConnectorError::NotFound { what: "the collection".into() },
        // MaxTimeMSExpired.
        ErrorKind::Command(command) if command.code == 50 => ConnectorError::Timeout(source.config.query_timeout()),
        ErrorKind::InvalidTlsConfig { .. } => ConnectorError::Untrusted { cause: cause() },
        // The driver tries again until it selected no server in time, and tells why in words alone.
        ServerSelection { message, .. } if message.contains("uthentication") => {
            ConnectorError::AuthenticationFailed { cause: cause() }
        }
        ServerSelection { message, .. } if message.contains("certificate") => {
            ConnectorError::Untrusted { cause: cause() }
        }
        _ if unconnected => ConnectorError::Unreachable { cause: cause() },
        _ => ConnectorError::QueryFailed { cause: cause() },
    }
}

/// The collections of a database.
#[derive(Debug)]
struct Collections {
    server: Arc<Server>,
}

#[async_trait]
impl Store for Collections {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        let answer = self.server.ask(self.server.database.run_command(doc! {"buildInfo": 1})).await?;
        Ok(answer.get_str("version").ok().map(|version| format!("MongoDB {version}")))
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        let names = self.server.ask(self.server.database.list_collection_names()).await?;
        let schema = self.server.database.name();
        Ok(names
            .into_iter()
            .filter(|name| !name.starts_with("system."))
            .map(|name| TableName::new(schema, name))
            .collect())
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let not_found = || ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) };
        let server = &self.server;
        if table.schema != server.database.name() || table.table.is_empty() || table.table.starts_with("system.") {
            return Err(not_found());
        }
        let mut found = server.ask(server.database.list_collections().filter(doc! {"name": &table.table})).await?;
        let found = server.ask(found.try_next()).await?.ok_or_else(not_found)?;
        let view = found.collection_type == CollectionType::View;
        let sample = server.sample(&table.table).await?;
        let mut columns = sampled(&sample.iter().map(values::document).collect::<Vec<_>>());
        for column in &mut columns {
            column.key = column.name == "_id" && sample.iter().all(|document| document.contains_key("_id"));
            if let Some(kind) = values::kind_of(&sample, &column.name).filter(|_| !column.mixed) {
                column.source_type = kind.to_owned();
                column.native = json!({"kind": kind, "view": view});
            }
        }
        let rows = match view {
            true => None,
            false => Some(server.ask(server.documents(&table.table).estimated_document_count()).await?),
        };
        Ok(Described { columns, rows, comment: None })
    }

    fn collection(&self, table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        Ok(Arc::new(Table { server: self.server.clone(), name: table.table.clone(), columns: columns.to_vec() }))
    }
}

/// A collection or view.
#[derive(Debug)]
struct Table {
    server: Arc<Server>,
    name: String,
    columns: Vec<Column>,
}

impl Table {
    fn projection(&self, fields: &[String]) -> Option<Bson> {
        // Such names cannot be asked for; everything is then.
        if fields.iter().any(|field| !filter::is_addressable(field)) {
            return None;
        }
        let mut projection: Bson = fields.iter().map(|field| (field.clone(), 1.into())).collect();
        if fields.is_empty() {
            projection.insert("_id", 1);
        } else if !fields.iter().any(|field| field == "_id") {
            projection.insert("_id", 0);
        }
        Some(projection)
    }
}

impl Collection for Table {
    fn accepts(&self, condition: &Condition) -> bool {
        filter::of(condition, &self.columns).is_some()
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        let conditions: Vec<Bson> = scan.conditions.iter().filter_map(|c| filter::of(c, &self.columns)).collect();
        let filter = if conditions.is_empty() {
            doc! {}
        } else {
            doc! {"$and": conditions}
        };
        let view = self.columns.iter().any(|column| column.native["view"] == true);
        let kinds: Arc<Vec<(String, String)>> = Arc::new(
            self.columns
                .iter()
                .filter_map(|column| Some((column.name.clone(), column.native["kind"].as_str()?.to_owned())))
                .collect(),
        );
        stream::once(async move {
            let documents = self.server.documents(&self.name);
            let limit = self.server.source.config.query_timeout();
            let mut find = documents.find(filter).batch_size(PAGE).max_time(limit);
            // A view has a collation of its own, and takes no other.
            if !view {
                find = find.collation(Collation::builder().locale("simple".to_owned()).build());
            }
            if let Some(projection) = self.projection(&scan.fields) {
                find = find.projection(projection);
            }
            if let Some(limit) = scan.limit {
                find = find.limit(i64::try_from(limit.max(1)).unwrap_or(i64::MAX));
            }
            let documents = self.server.ask(find).await?.ready_chunks(PAGE as usize);
            let pages = stream::try_unfold(documents, move |mut documents| {
                let (server, kinds) = (self.server.clone(), kinds.clone());
                async move {
                    let page = tokio::time::timeout(limit, documents.next()).await;
                    let Some(page) = page.map_err(|_| ConnectorError::Timeout(limit))? else { return Ok(None) };
                    let document = |document: Result<Bson, Error>| match document {
                        Ok(document) => Ok(values::typed_document(&document, &kinds)),
                        Err(error) => Err(server.classify(error)),
                    };
                    let page: Vec<Document> = page.into_iter().map(document).collect::<Result<_, ConnectorError>>()?;
                    Ok::<_, ConnectorError>(Some((page, documents)))
                }
            });
            Ok::<_, ConnectorError>(pages)
        })
        .try_flatten()
        .boxed()
    }
}
