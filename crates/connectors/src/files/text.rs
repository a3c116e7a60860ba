//! Text files as they come from storage: a blocking reader over an async stream.

use std::io::{self, Read};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use datafusion::error::DataFusionError;
use futures::{StreamExt, TryStreamExt};
use object_store::{ObjectMeta, ObjectStore, ObjectStoreExt};
use tokio::sync::mpsc;

use super::reading::Compression;
use super::{unreadable, unreadable_object};
use crate::ConnectorError;

/// How much of a file is looked at for its types. A smaller file is looked at wholly, and its types hold for
/// every line.
pub(crate) const LOOKED_AT: u64 = 64 * 1024 * 1024;

const BOM: &[u8] = b"\xef\xbb\xbf";

/// A text file whose content is to be found out.
#[derive(Debug, Clone)]
pub(crate) struct TextFile {
    pub files: Arc<dyn ObjectStore>,
    pub meta: ObjectMeta,
    pub compression: Compression,
    /// How many bytes are looked at, [`LOOKED_AT`] or fewer.
    pub look_at: u64,
}

impl TextFile {
    /// Reads its bytes on a blocking thread and hands them to `work`.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(TextReader) -> Result<T, ConnectorError> + Send + 'static,
    ) -> Result<T, ConnectorError> {
        let path = &self.meta.location;
        let object = self.files.get(path).await.map_err(|error| unreadable_object(path, error))?;
        let (sender, receiver) = mpsc::channel(4);
        let packed = object.into_stream().map_err(DataFusionError::from).boxed();
        let unpacked = self.compression.file_type().convert_stream(packed).map_err(ConnectorError::internal)?;
        let mut content = unpacked.map_err(io::Error::other);
        let work =
            tokio::task::spawn_blocking(move || work(TextReader { receiver, current: Bytes::new(), begun: false }));
        while let Some(bytes) = content.next().await {
            let failed = bytes.is_err();
            // The reader has seen enough.
            if sender.send(bytes).await.is_err() || failed {
                break;
            }
        }
        drop(sender);
        work.await.map_err(ConnectorError::internal)?
    }
}

/// The bytes of a text file, without its byte order mark.
pub(crate) struct TextReader {
    receiver: mpsc::Receiver<io::Result<Bytes>>,
    current: Bytes,
    begun: bool,
}

impl TextReader {
    /// The first bytes, at most `length`; they stay to be read.
    pub fn peek(&mut self, length: usize) -> io::Result<Bytes> {
        let mut head = Vec::new();
        while head.len() < length {
            if !self.fill()? {
                break;
            }
            head.extend_from_slice(&std::mem::take(&mut self.current));
        }
        self.current = head.into();
        Ok(self.current.slice(..length.min(self.current.len())))
    }

    /// Whether there is something in `current`.
    fn fill(&mut self) -> io::Result<bool> {
        while self.current.is_empty() {
            match self.receiver.blocking_recv() {
                Some(bytes) => self.current = bytes?,
                None => return Ok(false),
            }
            if !self.begun && !self.current.is_empty() {
                self.begun = true;
                if self.current.starts_with(BOM) {
                    self.current.advance(BOM.len());
                }
            }
        }
        Ok(true)
    }
}

impl Read for TextReader {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if !self.fill()? {
            return Ok(0);
        }
        let length = buffer.len().min(self.current.len());
        self.current.copy_to_slice(&mut buffer[..length]);
        Ok(length)
    }
}

/// What an error of reading means.
pub(super) fn broken(meta: &ObjectMeta, error: io::Error) -> ConnectorError {
    let damaged = |cause: String| {
        tracing::info!(cause, "a text file cannot be read");
        unreadable(&meta.location, "it is damaged in storage; upload it again", None)
    };
    match error.into_inner().map(|inner| inner.downcast::<DataFusionError>()) {
        Some(Ok(error)) => ConnectorError::taken_from(*error).unwrap_or_else(damaged),
        Some(Err(error)) => damaged(error.to_string()),
        None => damaged("the end of the file is missing".to_owned()),
    }
}
