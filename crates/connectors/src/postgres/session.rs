//! One session, and the results that stream from it.

use std::time::Instant;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::stream::RecordBatchStreamAdapter;
use futures::StreamExt;
use tokio_postgres::RowStream;
use tokio_postgres::error::SqlState;
use tokio_postgres::types::Type;

use super::decode::decode;
use super::server::{Pool, Server};
use crate::pushdown::{Dialect, RemoteDatabase};
use crate::sessions::{self, GRACE};
use crate::{ConnectorError, retry};

const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A session that is in use.
pub(super) type Session = sessions::Session<Server>;

impl Session {
    /// Gives the session back for others, out of its bracket where the flavour has them.
    pub async fn end(self) {
        let ended = match self.server().flavour.bracket() {
            Some((_, end)) => self.conn().batch_execute(end).await.is_ok(),
            None => true,
        };
        if ended {
            self.finish();
        }
    }
}

impl RemoteDatabase for Pool {
    fn identity(&self) -> &str {
        Pool::identity(self)
    }

    fn dialect(&self) -> Dialect {
        self.server().flavour.dialect()
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
                let until = Instant::now() + pool.query_timeout() + GRACE;
                // No row has come yet: a connection that was lost meanwhile may be replaced.
                let (rows, session) = retry::reaching(pool.max_retries(), || begin(&pool, &sql, until)).await?;
                (Box::pin(rows), session, schema, until, pool)
            }
        };
        let (mut batch, mut bytes) = (Vec::new(), 0);
        while batch.len() < BATCH_ROWS && bytes < BATCH_BYTES {
            match pool.within(until, rows.next()).await? {
                Some(row) => {
                    let row = row.map_err(|error| stopped(error, &pool))?;
                    bytes += row.raw_size_bytes();
                    batch.push(row);
                }
                None => {
                    session.end().await;
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
    let query = session.conn().query_typed_raw(sql, std::iter::empty::<(i32, Type)>());
    let rows = pool.within(until, query).await?.map_err(|error| stopped(error, pool))?;
    Ok((rows, session))
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
            ConnectorError::no_such_name()
        }
        state
            if state.code().starts_with("08") || state.code().starts_with("53") || state.code().starts_with("57P") =>
        {
            ConnectorError::Unreachable { cause: Some(error.into()) }
        }
        _ => ConnectorError::QueryFailed { cause: Some(error.into()) },
    }
}
