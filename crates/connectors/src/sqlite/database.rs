//! Connections to a copy, and the results that stream from them.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use rusqlite::limits::Limit;
use rusqlite::{Connection, InterruptHandle, OpenFlags};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use super::copy::PlainCopy;
use super::decode::Batch;
use crate::pushdown::{Dialect, RemoteDatabase};
use crate::{ConnectorError, SourceContext};

/// The connections of one source.
#[derive(Clone)]
pub(super) struct Database {
    shared: Arc<Shared>,
}

struct Shared {
    identity: String,
    file: String,
    query_timeout: Duration,
    permits: Arc<Semaphore>,
    idle: Mutex<Vec<Connection>>,
    /// Last, so that the connections close before the file goes.
    copy: Arc<PlainCopy>,
}

impl Database {
    pub async fn open(source: &SourceContext, copy: Arc<PlainCopy>) -> Result<Self, ConnectorError> {
        let shared = Shared {
            identity: format!("{} {}", source.identity, copy.version),
            file: source.config.file_path.clone().unwrap_or_default(),
            query_timeout: source.config.query_timeout(),
            permits: Arc::new(Semaphore::new(source.config.connection_pool_size.clamp(1, 100) as usize)),
            idle: Mutex::default(),
            copy,
        };
        let database = Self { shared: Arc::new(shared) };
        let file = database.file().to_owned();
        let readable = move |connection: &Connection| {
            connection.query_row("SELECT count(*) FROM sqlite_schema", [], |_| Ok(())).map_err(|e| failed(&file, e))
        };
        database.run(readable).await?;
        Ok(database)
    }

    /// The file's name in storage.
    pub fn file(&self) -> &str {
        &self.shared.file
    }

    pub fn version(&self) -> &str {
        &self.shared.copy.version
    }

    /// Runs something on a connection, away from the async threads.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let permit = self.permit().await?;
        let shared = self.shared.clone();
        let interrupt = Interrupt::default();
        let running = interrupt.running.clone();
        let work = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            let connection = shared.connection()?;
            *lock(&running) = Some(connection.get_interrupt_handle());
            let result = work(&connection);
            *lock(&running) = None;
            lock(&shared.idle).push(connection);
            result
        });
        let limit = self.shared.query_timeout;
        let result = tokio::time::timeout(limit, work).await;
        drop(interrupt);
        result.map_err(|_| ConnectorError::Timeout(limit))?.map_err(ConnectorError::internal)?
    }

    async fn permit(&self) -> Result<OwnedSemaphorePermit, ConnectorError> {
        self.shared.permits.clone().acquire_owned().await.map_err(ConnectorError::internal)
    }
}

impl Shared {
    fn connection(&self) -> Result<Connection, ConnectorError> {
        if let Some(connection) = lock(&self.idle).pop() {
            return Ok(connection);
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
        let mut uri = url::Url::from_file_path(&self.copy.path)
            .map_err(|()| ConnectorError::internal("the cache directory is not an absolute path"))?;
        uri.set_query(Some("immutable=1"));
        let connection = Connection::open_with_flags(uri.as_str(), flags).map_err(|e| failed(&self.file, e))?;
        // The file is a stranger's: nothing in it may run more than a query, and LIKE is to mean what it means here. What is
        // sorted and grouped goes to files without a name, as the copy is plain on disk, too: in memory nobody would bound it.
        let prepare = || {
            connection.set_limit(Limit::SQLITE_LIMIT_ATTACHED, 0)?;
            connection.execute_batch(
                "PRAGMA query_only = ON; PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; \
                 PRAGMA case_sensitive_like = ON; PRAGMA temp_store = FILE; PRAGMA mmap_size = 0;",
            )
        };
        prepare().map_err(|e| failed(&self.file, e))?;
        Ok(connection)
    }
}

impl RemoteDatabase for Database {
    fn identity(&self) -> &str {
        &self.shared.identity
    }

    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let (database, columns) = (self.clone(), schema.clone());
        let batches = async move {
            let permit = database.permit().await?;
            let until = tokio::time::Instant::now() + database.shared.query_timeout;
            let (sender, receiver) = mpsc::channel(2);
            let interrupt = Interrupt::default();
            let running = interrupt.running.clone();
            let shared = database.shared.clone();
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                if let Err(error) = shared.stream(&sql, &columns, &running, &sender) {
                    // Nobody is there to read it where the stream was dropped.
                    sender.blocking_send(Err(error)).ok();
                }
            });
            let limit = database.shared.query_timeout;
            let received = futures::stream::unfold(Some((receiver, interrupt)), move |state| async move {
                let (mut receiver, interrupt) = state?;
                match tokio::time::timeout_at(until, receiver.recv()).await {
                    Ok(batch) => Some((batch?, Some((receiver, interrupt)))),
                    Err(_) => Some((Err(ConnectorError::Timeout(limit)), None)),
                }
            });
            Ok::<_, ConnectorError>(received)
        };
        let batches = futures::stream::once(batches).flat_map(|started| match started {
            Ok(batches) => batches.left_stream(),
            Err(error) => futures::stream::once(async { Err(error) }).right_stream(),
        });
        let batches = batches.map(|batch| batch.map_err(Into::into));
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

impl Shared {
    fn stream(
        &self,
        sql: &str,
        schema: &SchemaRef,
        running: &Mutex<Option<InterruptHandle>>,
        sender: &mpsc::Sender<Result<RecordBatch, ConnectorError>>,
    ) -> Result<(), ConnectorError> {
        let connection = self.connection()?;
        *lock(running) = Some(connection.get_interrupt_handle());
        let result = self.rows(&connection, sql, schema, sender);
        *lock(running) = None;
        lock(&self.idle).push(connection);
        result
    }

    fn rows(
        &self,
        connection: &Connection,
        sql: &str,
        schema: &SchemaRef,
        sender: &mpsc::Sender<Result<RecordBatch, ConnectorError>>,
    ) -> Result<(), ConnectorError> {
        let fail = |error| failed(&self.file, error);
        let mut statement = connection.prepare(sql).map_err(fail)?;
        let mut rows = statement.query([]).map_err(fail)?;
        let mut batch = Batch::new(schema)?;
        while let Some(row) = rows.next().map_err(fail)? {
            batch.push(row)?;
            if batch.is_full() {
                let full = std::mem::replace(&mut batch, Batch::new(schema)?);
                if sender.blocking_send(Ok(full.finish()?)).is_err() {
                    return Ok(());
                }
            }
        }
        if !batch.is_empty() {
            sender.blocking_send(Ok(batch.finish()?)).ok();
        }
        Ok(())
    }
}

/// Stops, when dropped, the statement that runs at that moment and no later one on the same connection.
#[derive(Default)]
struct Interrupt {
    running: Arc<Mutex<Option<InterruptHandle>>>,
}

impl Drop for Interrupt {
    fn drop(&mut self) {
        if let Some(handle) = lock(&self.running).as_ref() {
            handle.interrupt();
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an error of SQLite means, without its words.
pub(super) fn failed(file: &str, error: rusqlite::Error) -> ConnectorError {
    use rusqlite::ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => ConnectorError::Unreadable {
            file: file.to_owned(),
            reason: "it is damaged or not an SQLite 3 database; upload it again, closed by its writer".into(),
            line: None,
        },
        _ => ConnectorError::QueryFailed { cause: Some(error.into()) },
    }
}

impl fmt::Debug for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Database").field("identity", &self.shared.identity).finish_non_exhaustive()
    }
}
