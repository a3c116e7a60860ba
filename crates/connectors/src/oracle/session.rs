//! One session, and the results that stream from it.

use std::time::Instant;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;

use super::call::Query;
use super::fault::Fault;
use super::server::{Pool, Server};
use crate::ConnectorError;
use crate::pushdown::{Batches, Cells, Dialect, RemoteDatabase, delivered};
use crate::sessions::{self, Server as _};

/// A session that is in use.
pub(super) type Session = sessions::Session<Server>;

/// A row of the catalogue.
pub(super) type Row = Vec<Option<String>>;

impl Session {
    pub fn version(&self) -> String {
        self.conn().version()
    }

    pub fn is_utf8(&self) -> bool {
        self.conn().is_utf8()
    }

    /// The rows of a statement over the catalogue, up to so many and one more, within the time of a query: large
    /// databases take theirs over it.
    pub async fn rows(&mut self, sql: &str, limit: usize) -> Result<Vec<Row>, ConnectorError> {
        let timeout = self.server().settings().query_timeout;
        let all = async {
            let conn = self.conn_mut();
            let mut rows = Vec::new();
            let mut query = conn.query(sql).await?;
            let mut texts = vec![String::new(); query.width()];
            while conn.next(&mut query).await? {
                if rows.len() <= limit {
                    rows.push(row(&query, &mut texts)?);
                }
            }
            Ok::<_, Fault>(rows)
        };
        let rows = tokio::time::timeout(timeout, all).await.map_err(|_| ConnectorError::Timeout(timeout))?;
        Ok(rows?)
    }
}

fn row(query: &Query, texts: &mut [String]) -> Result<Row, Fault> {
    let text = |(index, text): (usize, &mut String)| {
        let Some((kind, raw)) = query.value(index) else { return Ok(None) };
        let bytes = kind.read(raw, text).ok_or(Fault::Garbled("a value of the catalogue"))?;
        Ok(Some(String::from_utf8_lossy(bytes).into_owned()))
    };
    texts.iter_mut().enumerate().map(text).collect()
}

impl RemoteDatabase for Pool {
    fn identity(&self) -> &str {
        Pool::identity(self)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Oracle
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
    let mut query = match pool.within(until, session.conn_mut().query(sql)).await? {
        Ok(query) => query,
        // The session is none the worse for it.
        Err(fault @ Fault::Database { .. }) => {
            session.finish();
            return Err(fault.into());
        }
        Err(fault) => return Err(fault.into()),
    };
    if query.width() < schema.fields().len() {
        return Err(ConnectorError::internal("a result has fewer columns than were asked for"));
    }
    let mut cells = Cells::new(schema.clone())?;
    let mut texts = vec![String::new(); schema.fields().len()];
    while pool.within(until, session.conn_mut().next(&mut query)).await?.map_err(Fault::while_reading)? {
        let mut row = Vec::with_capacity(texts.len());
        for ((index, text), field) in texts.iter_mut().enumerate().zip(schema.fields()) {
            let unreadable = || ConnectorError::UnreadableValue {
                column: field.name().clone(),
                expected: field.data_type().to_string(),
            };
            row.push(match query.value(index) {
                Some((kind, raw)) => Some(kind.read(raw, text).ok_or_else(unreadable)?),
                None => None,
            });
        }
        cells.push(|index| row.get(index).copied().flatten())?;
        batches.send_full(&mut cells).await?;
    }
    session.finish();
    batches.send_rest(&mut cells).await
}
