//! Plain copies of sealed database files: private, one per version, gone when the last user is.

use std::collections::{HashMap, HashSet};
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use futures::StreamExt;
use object_store::ObjectStoreExt;

use crate::files::{object_path, unreadable_object};
use crate::{ConnectorError, SourceContext};

const SUFFIX: &str = "sqlite-copy";
/// How every SQLite 3 file begins.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The copies that are in use.
#[derive(Debug, Default)]
pub(super) struct Copies {
    open: Mutex<HashMap<(String, String), Weak<PlainCopy>>>,
    cleared: Mutex<HashSet<PathBuf>>,
}

/// A plain copy on disk; it is removed when dropped.
#[derive(Debug)]
pub(super) struct PlainCopy {
    pub path: PathBuf,
    pub version: String,
}

impl Drop for PlainCopy {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.path) {
            tracing::warn!(%error, path = %self.path.display(), "a plain copy of a database could not be removed");
        }
    }
}

impl PlainCopy {
    /// Names what the source's file holds at this moment.
    pub async fn version_of(source: &SourceContext) -> Result<String, ConnectorError> {
        let path = object_path(&source.config)?;
        let meta = source.files.head(&path).await.map_err(|error| unreadable_object(&path, error))?;
        let modified = meta.last_modified.timestamp_micros();
        Ok(format!("{}-{}-{modified}", meta.e_tag.unwrap_or_default(), meta.size))
    }
}

impl Copies {
    /// The copy of the source's file as it is now, made where there is none.
    pub async fn open(&self, source: &SourceContext) -> Result<Arc<PlainCopy>, ConnectorError> {
        self.clear(&source.cache_dir).map_err(ConnectorError::internal)?;
        let version = PlainCopy::version_of(source).await?;
        let key = (source.identity.clone(), version.clone());
        if let Some(copy) = self.entries().get(&key).and_then(Weak::upgrade) {
            return Ok(copy);
        }
        let copy = Arc::new(write(source, version).await?);
        let mut entries = self.entries();
        entries.retain(|_, copy| copy.strong_count() > 0);
        if let Some(first) = entries.get(&key).and_then(Weak::upgrade) {
            return Ok(first);
        }
        entries.insert(key, Arc::downgrade(&copy));
        Ok(copy)
    }

    fn entries(&self) -> std::sync::MutexGuard<'_, HashMap<(String, String), Weak<PlainCopy>>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes the directory, and removes what a killed process left in it, once.
    fn clear(&self, directory: &Path) -> io::Result<()> {
        let mut cleared = self.cleared.lock().unwrap_or_else(PoisonError::into_inner);
        if cleared.contains(directory) {
            return Ok(());
        }
        std::fs::create_dir_all(directory)?;
        for entry in std::fs::read_dir(directory)? {
            let path = entry?.path();
            if path.extension().is_some_and(|extension| extension == SUFFIX) {
                std::fs::remove_file(path)?;
            }
        }
        cleared.insert(directory.to_owned());
        Ok(())
    }
}

async fn write(source: &SourceContext, version: String) -> Result<PlainCopy, ConnectorError> {
    let object = object_path(&source.config)?;
    let result = source.files.get(&object).await.map_err(|error| unreadable_object(&object, error))?;
    let path = source.cache_dir.join(format!("{}.{SUFFIX}", hex::encode(rand::random::<[u8; 16]>())));
    let mut file = private_file(&path).map_err(ConnectorError::internal)?;
    // From here on a failure removes the file.
    let copy = PlainCopy { path, version };
    let mut content = result.into_stream();
    let mut head = Vec::new();
    while let Some(bytes) = content.next().await {
        let bytes = bytes.map_err(|error| unreadable_object(&object, error))?;
        if head.len() < MAGIC.len() {
            head.extend_from_slice(&bytes[..bytes.len().min(MAGIC.len() - head.len())]);
        }
        file = tokio::task::spawn_blocking(move || file.write_all(&bytes).map(|()| file))
            .await
            .map_err(ConnectorError::internal)?
            .map_err(ConnectorError::internal)?;
    }
    // An empty file is an empty database to SQLite, and a mistake to everybody else.
    if head != MAGIC {
        let reason = if head.is_empty() { "the file is empty" } else { "it is not an SQLite 3 database" };
        return Err(ConnectorError::Unreadable { file: object.to_string(), reason: reason.into(), line: None });
    }
    Ok(copy)
}

fn private_file(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path)
}
