//! Results that a task of their own fetches while the engine works on what came before.

use std::future::Future;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use super::Cells;
use crate::ConnectorError;

/// Where a fetching task puts what it has; it waits while the engine is behind.
pub(crate) struct Batches(mpsc::Sender<Result<RecordBatch, ConnectorError>>);

impl Batches {
    pub async fn send(&self, batch: RecordBatch) -> Result<(), ConnectorError> {
        self.0.send(Ok(batch)).await.map_err(|_| ConnectorError::internal("nobody waits for the result"))
    }

    /// Sends what the cells hold once it is enough for a batch.
    pub async fn send_full(&self, cells: &mut Cells) -> Result<(), ConnectorError> {
        if cells.is_full() { self.send(cells.take()?).await } else { Ok(()) }
    }

    /// Sends what is left in the cells after the last row.
    pub async fn send_rest(&self, cells: &mut Cells) -> Result<(), ConnectorError> {
        if cells.is_empty() { Ok(()) } else { self.send(cells.take()?).await }
    }
}

/// A stream of what `fetch` sends. It begins once the stream is polled; when the stream is dropped, so is the future,
/// whose own guards tell the source.
pub(crate) fn delivered<F>(
    schema: SchemaRef,
    fetch: impl FnOnce(Batches) -> F + Send + 'static,
) -> SendableRecordBatchStream
where
    F: Future<Output = Result<(), ConnectorError>> + Send + 'static,
{
    let stream = futures::stream::once(async move {
        let (sender, receiver) = mpsc::channel(1);
        let task = tokio::spawn(async move {
            let result = tokio::select! {
                () = sender.closed() => return,
                result = fetch(Batches(sender.clone())) => result,
            };
            if let Err(error) = result {
                // Whoever has gone needs no error.
                _ = sender.send(Err(error)).await;
            }
        });
        futures::stream::unfold((receiver, Some(task)), next)
    });
    Box::pin(RecordBatchStreamAdapter::new(schema, stream.flatten()))
}

type State = (mpsc::Receiver<Result<RecordBatch, ConnectorError>>, Option<JoinHandle<()>>);

async fn next((mut receiver, task): State) -> Option<(Result<RecordBatch, DataFusionError>, State)> {
    match receiver.recv().await {
        Some(batch) => Some((batch.map_err(DataFusionError::from), (receiver, task))),
        // A result is whole only if its task says so.
        None => match task?.await {
            Ok(()) => None,
            Err(error) => Some((Err(ConnectorError::internal(error).into()), (receiver, None))),
        },
    }
}
