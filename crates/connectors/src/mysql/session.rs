//! One session, and the results that stream from it.

use std::time::Instant;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::execution::SendableRecordBatchStream;
use mysql_async::prelude::Queryable;
use mysql_async::{Error, Row, Value};

use super::server::{Pool, Server};
use crate::ConnectorError;
use crate::pushdown::{Batches, Cells, Dialect, RemoteDatabase, delivered};
use crate::sessions::{self, GRACE};

/// A session that is in use.
pub(super) type Session = sessions::Session<Server>;

impl Session {
    pub async fn version(&mut self) -> Result<String, ConnectorError> {
        let version = self.conn_mut().query_first("SELECT VERSION()").await.map_err(classify)?;
        version.ok_or_else(|| ConnectorError::internal("the server told no version"))
    }

    /// All rows of a statement over the catalogue.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, ConnectorError> {
        self.conn_mut().query(sql).await.map_err(classify)
    }
}

impl RemoteDatabase for Pool {
    fn identity(&self) -> &str {
        Pool::identity(self)
    }

    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    fn query(&self, sql: String, schema: SchemaRef) -> SendableRecordBatchStream {
        let (pool, columns) = (self.clone(), schema.clone());
        delivered(schema, |batches| async move { deliver(&pool, sql, columns, &batches).await })
    }
}

async fn deliver(pool: &Pool, sql: String, schema: SchemaRef, batches: &Batches) -> Result<(), ConnectorError> {
    let mut cells = Cells::new(schema)?;
    let mut session = pool.session_at_once().await?;
    let until = Instant::now() + pool.query_timeout() + GRACE;
    let query = session.conn_mut().query_iter(sql);
    let mut rows = pool.within(until, query).await?.map_err(|error| stopped(error, pool))?;
    while let Some(row) = pool.within(until, rows.next()).await?.map_err(|error| stopped(error, pool))? {
        cells.push(|index| match row.as_ref(index) {
            Some(Value::Bytes(bytes)) => Some(bytes.as_slice()),
            _ => None,
        })?;
        batches.send_full(&mut cells).await?;
    }
    drop(rows);
    session.finish();
    batches.send_rest(&mut cells).await
}

fn stopped(error: Error, pool: &Pool) -> ConnectorError {
    match &error {
        // Interrupted; MySQL's and MariaDB's statement timeout.
        Error::Server(server) if matches!(server.code, 1317 | 3024 | 1969) => {
            ConnectorError::Timeout(pool.query_timeout())
        }
        _ => classify(error),
    }
}

/// What an error of the driver means, without its words.
pub(super) fn classify(error: Error) -> ConnectorError {
    let Error::Server(server) = &error else {
        return ConnectorError::Unreachable { cause: Some(error.into()) };
    };
    match server.code {
        // Access denied to the server or to the database, an unknown database, a way to sign in that we lack.
        1044 | 1045 | 1049 | 1251 | 1698 => ConnectorError::AuthenticationFailed { cause: Some(error.into()) },
        // No such table or column, or no right to it.
        1054 | 1142 | 1143 | 1146 | 1356 => {
            tracing::info!(%error, "MySQL has no such object");
            ConnectorError::no_such_name()
        }
        // Too many connections, a host that is locked out, a server that goes down.
        1040 | 1129 | 1130 | 1053 | 1077 | 1203 | 1226 => ConnectorError::Unreachable { cause: Some(error.into()) },
        _ => ConnectorError::QueryFailed { cause: Some(error.into()) },
    }
}
