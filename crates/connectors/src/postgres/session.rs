//! One session, and the results that stream from it.

use std::sync::Arc;
use std::time::Instant;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tokio::sync::OwnedSemaphorePermit;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, RowStream};

use super::decode::decode;
use super::pool::{Pool, Shared};
use crate::pushdown::{Dialect, RemoteDatabase};
use crate::{ConnectorError, background, retry};

const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A session that is in use. Unless it is finished, its drop cancels at the server what it was doing.
pub(super) struct Session {
    client: Option<Client>,
    finished: bool,
    shared: Arc<Shared>,
    _permit: OwnedSemaphorePermit,
}

impl Session {
    pub fn new(client: Client, permit: OwnedSemaphorePermit, shared: Arc<Shared>) -> Self {
        Self { client: Some(client), finished: false, shared, _permit: permit }
    }

    pub fn client(&self) -> &Client {
        // It is taken in drop alone.
        self.client.as_ref().unwrap_or_else(|| unreachable!("the session is in use"))
    }

    /// Gives the session back for others.
    pub async fn finish(mut self) {
        self.finished = match self.shared.flavour.bracket() {
            Some((_, end)) => self.client().batch_execute(end).await.is_ok(),
            None => true,
        };
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let Some(client) = self.client.take() else { return };
        if self.finished {
            self.shared.put_back(client);
            return;
        }
        let (token, tls) = (client.cancel_token(), self.shared.tls.clone());
        let limit = self.shared.settings.connect_timeout;
        background::spawn(async move {
            match tokio::time::timeout(limit, token.cancel_query(tls)).await {
                Ok(Ok(())) => {}
                _ => tracing::debug!("a PostgreSQL statement could not be cancelled and ends by its timeout"),
            }
            drop(client);
        });
    }
}

impl RemoteDatabase for Pool {
    fn identity(&self) -> &str {
        Pool::identity(self)
    }

    fn dialect(&self) -> Dialect {
        self.flavour().dialect()
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let state = Reading::Start { pool: self.clone(), sql, schema: schema.clone() };
        let batches = futures::stream::try_unfold(state, |state| async move { Ok(state.step().await?) });
        Box::pin(RecordBatchStreamAdapter::new(schema, batches))
    }
}

/// A result on its way.
enum Reading {
    Start { pool: Pool, sql: String, schema: SchemaRef },
    Rows { rows: std::pin::Pin<Box<RowStream>>, session: Session, schema: SchemaRef, until: Instant, pool: Pool },
    End,
}

impl Reading {
    async fn step(self) -> Result<Option<(RecordBatch, Self)>, ConnectorError> {
        let (mut rows, session, schema, until, pool) = match self {
            Self::End => return Ok(None),
            Self::Rows { rows, session, schema, until, pool } => (rows, session, schema, until, pool),
            Self::Start { pool, sql, schema } => {
                let until = Instant::now() + pool.query_timeout();
                // No row has come yet: a connection that was lost meanwhile may be replaced.
                let (rows, session) = retry::reaching(pool.max_retries(), || begin(&pool, &sql, until)).await?;
                (Box::pin(rows), session, schema, until, pool)
            }
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            match within(until, &pool, rows.next()).await? {
                Some(row) => {
                    let row = row.map_err(|error| stopped(error, &pool))?;
                    bytes += row.raw_size_bytes();
                    batch.push(row);
                }
                None => {
                    session.finish().await;
                    let last = decode(&batch, &schema)?;
                    return Ok((last.num_rows() > 0).then_some((last, Self::End)));
                }
            }
        }
        let batch = decode(&batch, &schema)?;
        Ok(Some((batch, Self::Rows { rows, session, schema, until, pool })))
    }
}

async fn begin(pool: &Pool, sql: &str, until: Instant) -> Result<(RowStream, Session), ConnectorError> {
    let session = pool.session_at_once().await?;
    let query = session.client().query_typed_raw(sql, std::iter::empty::<(i32, Type)>());
    let rows = within(until, pool, query).await?.map_err(|error| stopped(error, pool))?;
    Ok((rows, session))
}

/// The server ends a statement by itself; this is for a server that no longer answers.
async fn within<T>(until: Instant, pool: &Pool, future: impl Future<Output = T>) -> Result<T, ConnectorError> {
    let grace = std::time::Duration::from_secs(5);
    let result = tokio::time::timeout_at((until + grace).into(), future).await;
    result.map_err(|_| ConnectorError::Timeout(pool.query_timeout()))
}

fn stopped(error: tokio_postgres::Error, pool: &Pool) -> ConnectorError {
    match error.code() {
        Some(&SqlState::QUERY_CANCELED) => ConnectorError::Timeout(pool.query_timeout()),
        _ => classify(error),
    }
}

/// What an error of the driver means, without its words.
pub(super) fn classify(error: tokio_postgres::Error) -> ConnectorError {
    let Some(state) = error.code().cloned() else {
        return ConnectorError::Unreachable { cause: Some(error.into()) };
    };
    match state {
        SqlState::INVALID_PASSWORD | SqlState::INVALID_AUTHORIZATION_SPECIFICATION | SqlState::INVALID_CATALOG_NAME => {
            ConnectorError::AuthenticationFailed { cause: Some(error.into()) }
        }
        SqlState::UNDEFINED_TABLE | SqlState::UNDEFINED_COLUMN | SqlState::INSUFFICIENT_PRIVILEGE => {
            tracing::info!(%error, "PostgreSQL has no such object");
            ConnectorError::NotFound { what: "a table or column of the query".into() }
        }
        state
            if state.code().starts_with("08") || state.code().starts_with("53") || state.code().starts_with("57P") =>
        {
            ConnectorError::Unreachable { cause: Some(error.into()) }
        }
        _ => ConnectorError::QueryFailed { cause: Some(error.into()) },
    }
}
