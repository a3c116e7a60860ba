//! Statements that a service answers over HTTP: so many at once, begun where somebody can end them, read page by page.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use serde_json::value::RawValue;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::pushdown::{Batches, Cells, Notation, delivered};
use crate::{ConnectorError, SourceConfig, retry};

/// How statements of one source begin.
pub(crate) struct Statements {
    permits: Arc<Semaphore>,
    /// How long one waits for another to end. Two that feed one join would wait for each other for ever.
    patience: Duration,
    /// How often a service that cannot be reached is tried again.
    pub retries: u32,
}

impl Statements {
    pub fn of(config: &SourceConfig) -> Self {
        Self {
            permits: Arc::new(Semaphore::new(config.connection_pool_size.clamp(1, 100) as usize)),
            patience: config.connect_timeout(),
            retries: config.max_retries,
        }
    }

    /// Leave for one more statement, which ends when it is dropped.
    pub async fn turn(&self) -> Result<OwnedSemaphorePermit, ConnectorError> {
        let permit = tokio::time::timeout(self.patience, self.permits.clone().acquire_owned()).await;
        permit.map_err(|_| ConnectorError::Timeout(self.patience))?.map_err(ConnectorError::internal)
    }

    /// Begins a statement in its turn; no row has come yet, so a service that cannot be reached is tried again. A
    /// service that may have heard the first attempt starts the statement once more unless the attempts have one
    /// [`request_id`]; of one that knows no such thing, the attempt has to tell [`ConnectorError::Interrupted`]. An
    /// attempt runs to its end even if nobody waits any more: what the service then says is all that the statement can
    /// be ended by, and the drop of what the attempt answers has to end it.
    pub async fn begin<T, F>(&self, attempt: impl Fn(OwnedSemaphorePermit) -> F) -> Result<T, ConnectorError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, ConnectorError>> + Send + 'static,
    {
        let heard = || async {
            let turn = self.turn().await?;
            tokio::spawn(attempt(turn)).await.map_err(ConnectorError::internal)?
        };
        retry::reaching(self.retries, heard).await
    }
}

/// Names a statement, so that a service that has heard an attempt to start it knows the next one for the same.
pub(crate) fn request_id() -> String {
    uuid::Builder::from_random_bytes(rand::random()).into_uuid().to_string()
}

/// The waits between two questions whether a statement is done, each twice as long as the one before it.
pub(crate) struct Waits {
    next: Duration,
    until: Instant,
    limit: Duration,
}

impl Waits {
    const FIRST: Duration = Duration::from_millis(100);
    const LONGEST: Duration = Duration::from_secs(2);

    /// Of a statement that has so long from now on.
    pub fn within(limit: Duration) -> Self {
        Self { next: Self::FIRST, until: Instant::now() + limit, limit }
    }

    /// Waits before the next question; an error once the statement's time is up.
    pub async fn next(&mut self) -> Result<(), ConnectorError> {
        if Instant::now() > self.until {
            return Err(ConnectorError::Timeout(self.limit));
        }
        tokio::time::sleep(self.next).await;
        self.next = (self.next * 2).min(Self::LONGEST);
        Ok(())
    }
}

/// Rows of values as the service wrote them.
pub(crate) type Rows = Vec<Vec<Box<RawValue>>>;

/// A result that comes page by page.
pub(crate) trait Pages: Send {
    /// The rows of the next page; `None` after the last one.
    fn next(&mut self) -> impl Future<Output = Result<Option<Rows>, ConnectorError>> + Send;
}

/// The result of a statement as the engine reads it; the statement begins once the stream is polled.
pub(crate) fn query<P: Pages + 'static>(
    schema: SchemaRef,
    notation: Notation,
    start: impl Future<Output = Result<P, ConnectorError>> + Send + 'static,
) -> SendableRecordBatchStream {
    let columns = schema.clone();
    delivered(schema, move |batches| async move { deliver(start.await?, columns, notation, &batches).await })
}

/// Hands a result on as it comes.
async fn deliver(
    mut pages: impl Pages,
    schema: SchemaRef,
    notation: Notation,
    batches: &Batches,
) -> Result<(), ConnectorError> {
    let mut cells = Cells::new(schema)?;
    while let Some(rows) = pages.next().await? {
        for row in &rows {
            let row: Vec<&RawValue> = row.iter().map(AsRef::as_ref).collect();
            cells.push_json(&row, notation)?;
            batches.send_full(&mut cells).await?;
        }
    }
    batches.send_rest(&mut cells).await
}

/// All rows of a small result of texts.
pub(crate) async fn texts(mut pages: impl Pages) -> Result<Vec<Vec<Option<String>>>, ConnectorError> {
    let mut found = Vec::new();
    while let Some(rows) = pages.next().await? {
        for row in rows {
            let row = row.iter().map(|value| serde_json::from_str(value.get())).collect::<Result<_, _>>();
            found.push(row.map_err(|error| ConnectorError::QueryFailed { cause: Some(error.into()) })?);
        }
    }
    Ok(found)
}

/// The only value of a result of one row and column.
pub(crate) async fn text(pages: impl Pages) -> Result<Option<String>, ConnectorError> {
    Ok(texts(pages).await?.into_iter().next().and_then(|row| row.into_iter().next().flatten()))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use tokio::sync::Notify;
    use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

    use super::*;
    use crate::DataSourceType;

    fn config(size: u32) -> SourceConfig {
        SourceConfig { connection_pool_size: size, connection_timeout: 1, ..SourceConfig::new(DataSourceType::Trino) }
    }

    #[tokio::test]
    async fn nobody_waits_for_ever_for_a_turn() {
        let statements = Statements::of(&config(1));
        let turn = statements.turn().await.unwrap();
        assert!(matches!(statements.turn().await, Err(ConnectorError::Timeout(_))));
        drop(turn);
        assert!(statements.turn().await.is_ok());
    }

    #[tokio::test]
    async fn what_nobody_waits_for_is_heard_and_dropped() {
        struct Ends(UnboundedSender<()>);
        impl Drop for Ends {
            fn drop(&mut self) {
                // A test that failed listens no more.
                let _ = self.0.send(());
            }
        }
        let (ends, mut ended) = unbounded_channel();
        let answer = Arc::new(Notify::new());
        let statements = Statements::of(&config(1));
        let slow = |_turn| {
            let (ends, answer) = (ends.clone(), answer.clone());
            async move {
                answer.notified().await;
                Ok(Ends(ends))
            }
        };
        let begun = tokio::time::timeout(Duration::from_millis(5), statements.begin(slow)).await;
        assert!(begun.is_err() && ended.try_recv().is_err());
        answer.notify_one();
        ended.recv().await.unwrap();
        assert!(ended.try_recv().is_err(), "it was begun once");
    }

    #[tokio::test]
    async fn a_service_that_was_away_is_asked_again() {
        let tried = Arc::new(AtomicU32::new(0));
        let attempt = |_turn| {
            let tried = tried.clone();
            async move {
                match tried.fetch_add(1, Ordering::SeqCst) {
                    0 => Err(ConnectorError::Unreachable { cause: None }),
                    _ => Ok(()),
                }
            }
        };
        Statements::of(&config(1)).begin(attempt).await.unwrap();
        assert_eq!(tried.load(Ordering::SeqCst), 2);
    }
}
