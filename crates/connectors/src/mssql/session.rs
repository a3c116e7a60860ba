//! One session, and the results that stream from it.

use std::time::Instant;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use futures::StreamExt;
use tiberius::error::Error;
use tiberius::{ColumnData, QueryItem, QueryStream, Row};

use super::decode::decode;
use super::server::{Pool, Server};
use crate::ConnectorError;
use crate::pushdown::{Batches, Dialect, RemoteDatabase, delivered};
use crate::sessions::{self, Server as _};

const BATCH_ROWS: usize = 8_192;
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// A session that is in use.
pub(super) type Session = sessions::Session<Server>;

impl Session {
    /// The rows of a statement over the catalogue, up to so many and one more, within the connection timeout.
    pub async fn rows(&mut self, sql: &str, limit: usize) -> Result<Vec<Row>, ConnectorError> {
        let timeout = self.server().settings().connect_timeout;
        let all = async {
            let mut rows = Vec::new();
            let mut answer = self.conn_mut().simple_query(sql).await.map_err(classify)?;
            while let Some(row) = next(&mut answer).await.map_err(classify)? {
                if rows.len() <= limit {
                    rows.push(row);
                }
            }
            Ok(rows)
        };
        tokio::time::timeout(timeout, all).await.map_err(|_| ConnectorError::Timeout(timeout))?
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
        let (pool, columns) = (self.clone(), schema.clone());
        delivered(schema, |batches| async move { deliver(&pool, &sql, &columns, &batches).await })
    }
}

async fn deliver(pool: &Pool, sql: &str, schema: &SchemaRef, batches: &Batches) -> Result<(), ConnectorError> {
    // The server has no limit of its own for a statement.
    let until = Instant::now() + pool.query_timeout();
    let mut session = pool.session().await?;
    let mut answer = pool.within(until, session.conn_mut().simple_query(sql)).await?.map_err(classify)?;
    let (mut rows, mut bytes) = (Vec::new(), 0);
    // What the driver cannot read any more is an answer in another form than asked for; the server was reached.
    let broken = |error| match error {
        Error::Protocol(_) | Error::Encoding(_) => ConnectorError::QueryFailed { cause: Some(error.into()) },
        error => classify(error),
    };
    while let Some(row) = pool.within(until, next(&mut answer)).await?.map_err(broken)? {
        bytes += row.cells().map(|(_, cell)| size(cell)).sum::<usize>();
        rows.push(row);
        if rows.len() >= BATCH_ROWS || bytes >= BATCH_BYTES {
            batches.send(decode(&rows, schema)?).await?;
            rows.clear();
            bytes = 0;
        }
    }
    drop(answer);
    session.finish();
    if !rows.is_empty() {
        batches.send(decode(&rows, schema)?).await?;
    }
    Ok(())
}

async fn next(answer: &mut QueryStream<'_>) -> Result<Option<Row>, Error> {
    loop {
        match answer.next().await.transpose()? {
            Some(QueryItem::Row(row)) => return Ok(Some(row)),
            Some(QueryItem::Metadata(_)) => {}
            None => return Ok(None),
        }
    }
}

fn size(cell: &ColumnData<'_>) -> usize {
    match cell {
        ColumnData::String(Some(text)) => text.len(),
        ColumnData::Binary(Some(bytes)) => bytes.len(),
        _ => 16,
    }
}

/// What an error of the driver means, without its words.
pub(super) fn classify(error: Error) -> ConnectorError {
    let Some(number) = error.code() else {
        return match &error {
            Error::Io { .. } | Error::Protocol(_) => ConnectorError::Unreachable { cause: Some(error.into()) },
            _ => ConnectorError::QueryFailed { cause: Some(error.into()) },
        };
    };
    match number {
        // A login that fails, a database that cannot be opened, one that is not the login's.
        4060 | 4064 | 18_452 | 18_456 | 18_470 | 18_486 | 18_487 | 18_488 | 47_073 => {
            ConnectorError::AuthenticationFailed { cause: Some(error.into()) }
        }
        // No such object or column, or no right to it.
        207 | 208 | 229 | 230 | 916 => {
            tracing::info!(%error, "SQL Server has no such object");
            ConnectorError::no_such_name()
        }
        // Not available or too busy for the moment, by the numbers that Microsoft says to try again; a firewall of Azure's.
        4221 | 10_053 | 10_054 | 10_060 | 10_928 | 10_929 | 17_187 | 17_809 | 40_143 | 40_197 | 40_501 | 40_540
        | 40_613 | 40_615 | 42_108 | 42_109 | 49_918 | 49_919 | 49_920 => {
            ConnectorError::Unreachable { cause: Some(error.into()) }
        }
        _ => ConnectorError::QueryFailed { cause: Some(error.into()) },
    }
}
