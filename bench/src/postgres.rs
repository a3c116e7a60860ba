//! PostgreSQL asked by hand, with nothing between: the yardstick of what goes to a source.

use std::{
    io::{Cursor, Read},
    path::Path,
    pin::pin,
    time::{Duration, Instant},
};

use futures::{SinkExt, TryStreamExt};
use tokio_postgres::{Client, NoTls, types::Type};

use crate::error::Result;

/// What the protocol puts before each row: its kind, its length, its number of columns.
const HEAD_OF_ROW: u64 = 7;
/// Bytes that are sent at once when a table is loaded.
const BLOCK: u64 = 1024 * 1024;

/// A connection.
pub struct ByHand {
    client: Client,
}

/// A result that was read to its end.
pub struct Answered {
    pub rows: u64,
    /// As they came over the wire.
    pub bytes: u64,
    pub took: Duration,
}

impl ByHand {
    pub async fn connect(url: &str) -> Result<Self> {
        let (client, connection) = tokio_postgres::connect(url, NoTls).await?;
        // What goes wrong with it is told by what waits for it.
        tokio::spawn(connection);
        Ok(Self { client })
    }

    pub async fn execute(&self, statements: &str) -> Result<()> {
        Ok(self.client.batch_execute(statements).await?)
    }

    /// Sends a query and takes its rows off the wire, and no more.
    pub async fn read(&self, sql: &str) -> Result<Answered> {
        let begin = Instant::now();
        let mut answer = pin!(self.client.query_typed_raw(sql, std::iter::empty::<(i32, Type)>()).await?);
        let (mut rows, mut bytes) = (0, 0);
        while let Some(row) = answer.try_next().await? {
            rows += 1;
            bytes += row.raw_size_bytes() as u64 + HEAD_OF_ROW;
        }
        Ok(Answered { rows, bytes, took: begin.elapsed() })
    }

    /// Fills a table from a file with a header.
    pub async fn copy_csv(&self, table: &str, file: &Path) -> Result<()> {
        let mut file = std::fs::File::open(file)?;
        let copy = format!("COPY {table} FROM STDIN WITH (FORMAT csv, HEADER true)");
        let mut sink = pin!(self.client.copy_in::<str, Cursor<Vec<u8>>>(&copy).await?);
        loop {
            let mut block = Vec::new();
            if file.by_ref().take(BLOCK).read_to_end(&mut block)? == 0 {
                sink.as_mut().finish().await?;
                return Ok(());
            }
            sink.send(Cursor::new(block)).await?;
        }
    }
}
