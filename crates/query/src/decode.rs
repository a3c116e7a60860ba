//! Answers that were kept as an Arrow IPC stream, batch by batch, as their bytes come.

use bytes::Bytes;
use datafusion::{
    arrow::{array::RecordBatch, buffer::Buffer, datatypes::SchemaRef, ipc::reader::StreamDecoder},
    error::DataFusionError,
};
use futures::{Stream, StreamExt};

use crate::error::QueryError;

/// Reads what [`crate::Encoder`] wrote as [`crate::Encoding::ArrowStream`].
pub struct ArrowReader<S> {
    bytes: S,
    decoder: StreamDecoder,
    /// What has come and is not decoded yet.
    rest: Buffer,
    ahead: Option<RecordBatch>,
}

impl<S, E> ArrowReader<S>
where
    S: Stream<Item = Result<Bytes, E>> + Unpin,
    E: std::error::Error + Send + Sync + 'static,
{
    pub fn new(bytes: S) -> Self {
        Self { bytes, decoder: StreamDecoder::new(), rest: Buffer::from(&[] as &[u8]), ahead: None }
    }

    /// The columns, which stand before the first batch.
    pub async fn schema(&mut self) -> Result<SchemaRef, QueryError> {
        loop {
            if self.ahead.is_none() {
                self.ahead = self.decode()?;
            }
            if let Some(schema) = self.decoder.schema() {
                return Ok(schema);
            }
            if !self.fill().await? {
                return Err(QueryError::internal("a kept answer has no columns"));
            }
        }
    }

    /// The next batch; `None` at the end. An answer that breaks off is an error.
    pub async fn next(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        loop {
            let batch = match self.ahead.take() {
                Some(batch) => Some(batch),
                None => self.decode()?,
            };
            if batch.is_some() || !self.fill().await? {
                return Ok(batch);
            }
        }
    }

    fn decode(&mut self) -> Result<Option<RecordBatch>, QueryError> {
        self.decoder.decode(&mut self.rest).map_err(|error| QueryError::Internal(error.into()))
    }

    /// Takes the bytes that come next; `false` where none come.
    async fn fill(&mut self) -> Result<bool, QueryError> {
        match self.bytes.next().await {
            Some(Ok(bytes)) => self.rest = Buffer::from(bytes),
            Some(Err(error)) => return Err(QueryError::Internal(DataFusionError::External(Box::new(error)))),
            None => {
                self.decoder.finish().map_err(|error| QueryError::Internal(error.into()))?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use datafusion::arrow::{
        array::{Int64Array, StringArray},
        datatypes::{DataType, Field, Schema},
    };
    use futures::stream;

    use super::*;
    use crate::{Encoder, Encoding};

    fn kept(batches: &[RecordBatch], schema: &SchemaRef) -> Bytes {
        let mut encoder = Encoder::new(Encoding::ArrowStream, schema).unwrap();
        for batch in batches {
            encoder.write(batch).unwrap();
        }
        encoder.finish().unwrap();
        encoder.take()
    }

    async fn read(bytes: &Bytes, piece: usize) -> Result<(SchemaRef, Vec<RecordBatch>), QueryError> {
        let pieces: Vec<_> =
            bytes.chunks(piece).map(|piece| Ok::<_, std::io::Error>(Bytes::copy_from_slice(piece))).collect();
        let mut reader = ArrowReader::new(stream::iter(pieces));
        let schema = reader.schema().await?;
        let mut batches = Vec::new();
        while let Some(batch) = reader.next().await? {
            batches.push(batch);
        }
        Ok((schema, batches))
    }

    #[tokio::test]
    async fn what_was_written_is_read_in_pieces_of_any_size() {
        let schema: SchemaRef = Arc::new(Schema::new(vec![
            Field::new("id", DataType::Int64, false),
            Field::new("name", DataType::Utf8, true),
        ]));
        let batch = |from: i64| {
            let ids = Int64Array::from_iter_values(from..from + 100);
            let names = StringArray::from_iter((0..100).map(|i| (i % 3 > 0).then(|| format!("name {i}"))));
            RecordBatch::try_new(schema.clone(), vec![Arc::new(ids), Arc::new(names)]).unwrap()
        };
        for batches in [vec![], vec![batch(0)], vec![batch(0), batch(100), batch(200)]] {
            let bytes = kept(&batches, &schema);
            for piece in [1, 7, 1000, bytes.len()] {
                assert_eq!(
                    read(&bytes, piece).await.unwrap(),
                    (schema.clone(), batches.clone()),
                    "in pieces of {piece}"
                );
            }
        }
        let whole = kept(&[batch(0), batch(100)], &schema);
        for length in [0, 10, whole.len() / 2] {
            assert!(read(&whole.slice(..length), 64).await.is_err(), "{length} of {} bytes", whole.len());
        }
    }
}
