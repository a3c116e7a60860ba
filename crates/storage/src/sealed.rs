//! Files sealed at rest, yet readable at any offset.
//!
//! [`SealedStore`] wraps another [`ObjectStore`] and is one itself: what goes in is plaintext, what the inner
//! store holds is ciphertext, and a reader who wants bytes 7 to 9 of a gigabyte costs one chunk, not the file.
//!
//! ```text
//! stored object:   header (512 bytes)                         chunk 0   chunk 1   …   last chunk
//!                  magic, version, chunk size,                64 KiB    64 KiB        0 to 64 KiB
//!                  nonce prefix, the file's key, sealed       + tag     + tag         + tag
//! ```
//!
//! Each object has a fresh random AES-256-GCM key, sealed by the organization's [`KeyRing`] and kept in the
//! header. The chunks are the STREAM construction (Hoang, Reyhanitabar, Rogaway, Vizár 2015; the `aead-stream`
//! crate): the nonce of a chunk holds its position and whether it is the last one, and the associated data is
//! the object's path. So chunks that were altered, moved, dropped, or taken from another object, and objects
//! that were moved to another path or cut short, are errors and never plaintext. Not detected: an old version
//! of the same object put back in its place as a whole.
//!
//! The sizes that `head` and `list` answer are those of the plaintext. A put is as atomic as the inner store's
//! (a local file appears by rename, after its last byte), and a multipart put holds at most one part in memory.

use std::collections::HashMap;
use std::fmt;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use aead_stream::StreamPrimitive;
use async_trait::async_trait;
use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::{
    Attributes, CopyMode, CopyOptions, GetOptions, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, ObjectStoreExt, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart,
};
use zeroize::Zeroizing;

mod format;

pub use format::MAX_SEALED_KEY;
use format::{CHUNK, Chunk, HEADER, Header, PREFIX, SEALED_CHUNK, Sealer, Stream, TAG, plain_len, stream};

/// Above this many sealed bytes a decryption leaves the async threads.
const INLINE: usize = 2 * SEALED_CHUNK;
/// Plaintext that one step of a streaming read covers; two steps run at once.
const WINDOW: u64 = 16 * CHUNK as u64;
/// Ranges closer than this are fetched as one.
const COALESCE: u64 = 256 * 1024;
/// The least that object stores accept as a part that is not the last.
const PART: usize = 5 * 1024 * 1024;
/// Opened files (their unsealed keys) remembered at a time.
const OPEN_FILES: usize = 1024;
/// Up to this size a conditional copy is a single conditional put.
const ATOMIC_COPY: u64 = 64 * 1024 * 1024;

/// Why a key could not be sealed or opened. Its text is for the log.
pub type KeyError = Box<dyn std::error::Error + Send + Sync>;

/// Seals the keys of files under a key that this room never sees: the organization's data key.
///
/// `context` is associated data: opening succeeds only with the bytes that were given at sealing. The sealed
/// form must fit in [`MAX_SEALED_KEY`] bytes.
#[async_trait]
pub trait KeyRing: fmt::Debug + Send + Sync + 'static {
    /// Seals a file's key.
    async fn seal(&self, context: &[u8], file_key: &[u8; 32]) -> Result<Vec<u8>, KeyError>;

    /// Opens what [`KeyRing::seal`] made, also after the organization's key was rotated.
    async fn open(&self, context: &[u8], sealed: &[u8]) -> Result<Zeroizing<[u8; 32]>, KeyError>;
}

/// What can be wrong with a sealed object. It reaches the caller as the source of an [`object_store::Error`].
#[derive(Debug, thiserror::Error)]
pub enum SealedError {
    /// The object is not one of ours, or its header is damaged.
    #[error("{path} is not a sealed file")]
    NotSealed {
        /// The object's path.
        path: String,
    },
    /// The bytes are not those that were written under this path.
    #[error("{path} was altered after it was written")]
    Altered {
        /// The object's path.
        path: String,
    },
    /// The file's key could not be sealed or opened.
    #[error("the key of {path} cannot be used")]
    Key {
        /// The object's path.
        path: String,
        /// What the key ring said.
        source: KeyError,
    },
    /// More than 2³² chunks.
    #[error("{path} is too large")]
    TooLarge {
        /// The object's path.
        path: String,
    },
}

impl From<SealedError> for object_store::Error {
    fn from(error: SealedError) -> Self {
        Self::Generic { store: "SealedStore", source: Box::new(error) }
    }
}

/// Whether an error says that the stored bytes are not what was written.
pub fn is_altered(error: &object_store::Error) -> bool {
    matches!(error, object_store::Error::Generic { source, .. }
        if matches!(source.downcast_ref(), Some(SealedError::Altered { .. } | SealedError::NotSealed { .. })))
}

/// An object store whose objects are sealed with the keys of one [`KeyRing`], that is, of one organization.
/// Cloning shares the store.
#[derive(Clone)]
pub struct SealedStore {
    inner: Arc<dyn ObjectStore>,
    keys: Arc<dyn KeyRing>,
    open: Arc<Mutex<HashMap<Version, Arc<OpenFile>>>>,
}

/// One stored version of an object.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Version {
    location: Path,
    stored_len: u64,
    e_tag: Option<String>,
    modified_ns: Option<i64>,
}

/// An object whose key is at hand and whose end was seen to be its end.
struct OpenFile {
    stream: Stream,
    stored_len: u64,
    /// As stored, but with the plaintext's size.
    meta: ObjectMeta,
    attributes: Attributes,
}

impl SealedStore {
    /// Seals what is put into `inner`.
    pub fn new(inner: Arc<dyn ObjectStore>, keys: Arc<dyn KeyRing>) -> Self {
        Self { inner, keys, open: Arc::default() }
    }

    /// Seals into a directory of this machine, which is created where it is missing.
    pub fn local(root: impl Into<PathBuf>, keys: Arc<dyn KeyRing>) -> Result<Self> {
        let root = root.into();
        std::fs::create_dir_all(&root)
            .map_err(|source| object_store::Error::Generic { store: "SealedStore", source: Box::new(source) })?;
        let inner = LocalFileSystem::new_with_prefix(root)?.with_automatic_cleanup(true);
        Ok(Self::new(Arc::new(inner), keys))
    }

    /// Finds the object, opens its key and checks that its last chunk is a last chunk; all but the first of
    /// these is remembered for the version that was found.
    async fn open(&self, location: &Path, conditions: GetOptions) -> Result<Arc<OpenFile>> {
        let mut attempts = 3;
        loop {
            let head = GetOptions { head: true, range: None, ..conditions.clone() };
            let found = self.inner.get_opts(location, head).await?;
            let version = Version {
                location: location.clone(),
                stored_len: found.meta.size,
                e_tag: found.meta.e_tag.clone(),
                modified_ns: found.meta.last_modified.timestamp_nanos_opt(),
            };
            if let Some(file) = self.remembered(&version) {
                return Ok(file);
            }
            // Not every store answers the path that it was asked for: one below a prefix names the whole.
            let stored = ObjectMeta { location: location.clone(), ..found.meta };
            match self.unseal(stored, found.attributes).await {
                // It was replaced between the two looks at it: look again.
                Err(object_store::Error::Precondition { .. }) if attempts > 1 => attempts -= 1,
                Err(error) => return Err(error),
                Ok(file) => {
                    let file = Arc::new(file);
                    self.remember(version, &file);
                    return Ok(file);
                }
            }
        }
    }

    fn remembered(&self, version: &Version) -> Option<Arc<OpenFile>> {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(version).cloned()
    }

    fn remember(&self, version: Version, file: &Arc<OpenFile>) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.len() >= OPEN_FILES {
            open.clear();
        }
        open.insert(version, file.clone());
    }

    async fn unseal(&self, stored: ObjectMeta, attributes: Attributes) -> Result<OpenFile> {
        let path = stored.location.to_string();
        let not_sealed = || SealedError::NotSealed { path: path.clone() };
        let size = plain_len(stored.size).ok_or_else(not_sealed)?;
        let header = self.stored_range(&stored.location, stored.e_tag.as_deref(), 0..HEADER as u64).await?;
        let header = Header::parse(&header).ok_or_else(not_sealed)?;
        let key = self
            .keys
            .open(stored.location.as_ref().as_bytes(), header.sealed_key)
            .await
            .map_err(|source| SealedError::Key { path, source })?;
        let file = OpenFile {
            stream: stream(&key, &header.prefix),
            stored_len: stored.size,
            meta: ObjectMeta { size, ..stored },
            attributes,
        };
        let last = size.saturating_sub(1) / CHUNK as u64;
        let sealed = self.sealed_chunks(&file, last..last + 1).await?;
        file.decrypt(last, sealed)?;
        Ok(file)
    }

    /// Bytes of the inner object, of the version that `e_tag` names.
    async fn stored_range(&self, location: &Path, e_tag: Option<&str>, range: Range<u64>) -> Result<Bytes> {
        let options =
            GetOptions { if_match: e_tag.map(str::to_owned), range: Some(range.into()), ..GetOptions::default() };
        self.inner.get_opts(location, options).await?.bytes().await
    }

    async fn sealed_chunks(&self, file: &OpenFile, chunks: Range<u64>) -> Result<Bytes> {
        let offset = |chunk: u64| HEADER as u64 + chunk * SEALED_CHUNK as u64;
        let range = offset(chunks.start)..offset(chunks.end).min(file.stored_len);
        let expected = range.end - range.start;
        let sealed = self.stored_range(&file.meta.location, file.meta.e_tag.as_deref(), range).await?;
        if sealed.len() as u64 != expected {
            return Err(file.altered().into());
        }
        Ok(sealed)
    }

    /// Plaintext of a range that lies within the file.
    async fn read(&self, file: &Arc<OpenFile>, range: Range<u64>) -> Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let first = range.start / CHUNK as u64;
        let sealed = self.sealed_chunks(file, first..(range.end - 1) / CHUNK as u64 + 1).await?;
        let plain = if sealed.len() <= INLINE {
            file.decrypt(first, sealed)?
        } else {
            let file = file.clone();
            tokio::task::spawn_blocking(move || file.decrypt(first, sealed)).await??
        };
        let start = (range.start - first * CHUNK as u64) as usize;
        let length = (range.end - range.start) as usize;
        Ok(Bytes::from(plain).slice(start..start + length))
    }

    /// A header for a new object, and what seals its chunks.
    async fn begin(&self, location: &Path) -> Result<(Vec<u8>, Sealer)> {
        let mut key = Zeroizing::new([0_u8; 32]);
        let mut prefix = [0_u8; PREFIX];
        rand::fill(&mut key[..]);
        rand::fill(&mut prefix[..]);
        let path = location.to_string();
        let sealed_key = self.keys.seal(path.as_bytes(), &key).await;
        let sealed_key = sealed_key.map_err(|source| SealedError::Key { path: path.clone(), source })?;
        let header = Header { prefix, sealed_key: &sealed_key };
        let header = header.write().ok_or_else(|| SealedError::Key {
            path: path.clone(),
            source: "the sealed key is too long for a header".into(),
        })?;
        Ok((header, Sealer::new(stream(&key, &prefix), path)))
    }

    fn plain_meta(meta: ObjectMeta) -> Option<ObjectMeta> {
        let size = plain_len(meta.size);
        if size.is_none() {
            tracing::warn!(path = %meta.location, "an object that is not sealed lies among sealed ones");
        }
        Some(ObjectMeta { size: size?, ..meta })
    }
}

#[async_trait]
impl ObjectStore for SealedStore {
    async fn put_opts(&self, location: &Path, payload: PutPayload, opts: PutOptions) -> Result<PutResult> {
        let (mut sealed, mut sealer) = self.begin(location).await?;
        let seal = move || {
            let length = payload.content_length();
            sealed.reserve(length + (length / CHUNK + 1) * TAG);
            for part in &payload {
                sealer.push(part, &mut sealed)?;
            }
            sealer.finish(&mut sealed)?;
            Ok::<_, object_store::Error>(sealed)
        };
        let sealed = tokio::task::spawn_blocking(seal).await??;
        self.inner.put_opts(location, sealed.into(), opts).await
    }

    async fn put_multipart_opts(&self, location: &Path, opts: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let (pending, sealer) = self.begin(location).await?;
        let inner = self.inner.put_multipart_opts(location, opts).await?;
        Ok(Box::new(SealedUpload { inner, sealer: Some(sealer), pending }))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let wanted = options.range.clone();
        let head = options.head;
        let file = self.open(location, options).await?;
        let size = file.meta.size;
        let range = match &wanted {
            None => 0..size,
            Some(wanted) => wanted
                .as_range(size)
                .map_err(|source| object_store::Error::Generic { store: "SealedStore", source: Box::new(source) })?,
        };
        let meta = file.meta.clone();
        let attributes = file.attributes.clone();
        let windows = if head { 0..0 } else { range.clone() };
        let store = self.clone();
        let payload = futures::stream::iter(split(windows, WINDOW))
            .map(move |window| {
                let (store, file) = (store.clone(), file.clone());
                async move { store.read(&file, window).await }
            })
            .buffered(2)
            .boxed();
        Ok(GetResult { payload: GetResultPayload::Stream(payload), meta, range, attributes })
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        let mut replaced = false;
        loop {
            let file = self.open(location, GetOptions::default()).await?;
            if let Some(outside) = ranges.iter().find(|r| r.start > r.end || r.end > file.meta.size) {
                return Err(object_store::Error::Generic {
                    store: "SealedStore",
                    source: format!("range {outside:?} is outside of {} bytes", file.meta.size).into(),
                });
            }
            let read = object_store::coalesce_ranges(ranges, |range| self.read(&file, range), COALESCE);
            match read.await {
                Err(object_store::Error::Precondition { .. }) if !replaced => replaced = true,
                result => return result,
            }
        }
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.inner.list(prefix);
        listed.try_filter_map(|meta| async move { Ok(Self::plain_meta(meta)) }).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.inner.list_with_delimiter(prefix).await?;
        Ok(ListResult { objects: listed.objects.into_iter().filter_map(Self::plain_meta).collect(), ..listed })
    }

    /// A copy is sealed anew, since an object's path is part of its seal. `CopyMode::Create` is atomic up to
    /// 64 MiB; above, an object that is created at the same moment may be overwritten.
    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let source = self.get_opts(from, GetOptions::default()).await?;
        let create = options.mode == CopyMode::Create;
        if create && source.meta.size <= ATOMIC_COPY {
            let payload = source.bytes().await?.into();
            self.put_opts(to, payload, PutMode::Create.into()).await?;
            return Ok(());
        }
        if create && self.head(to).await.is_ok() {
            return Err(object_store::Error::AlreadyExists {
                path: to.to_string(),
                source: "the target of the copy exists".into(),
            });
        }
        let mut upload = self.put_multipart(to).await?;
        let mut plain = source.into_stream();
        while let Some(bytes) = plain.next().await {
            let written = match bytes {
                Ok(bytes) => upload.put_part(bytes.into()).await,
                Err(error) => Err(error),
            };
            if let Err(error) = written {
                upload.abort().await.ok();
                return Err(error);
            }
        }
        upload.complete().await?;
        Ok(())
    }
}

impl fmt::Display for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedStore({})", self.inner)
    }
}

impl fmt::Debug for SealedStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedStore").field("inner", &self.inner).finish_non_exhaustive()
    }
}

impl OpenFile {
    /// Opens whole chunks, the first of which is number `first`: where they lie, since a reader may ask for a file's worth
    /// of them at once.
    fn decrypt(&self, first: u64, sealed: Bytes) -> Result<Vec<u8>, SealedError> {
        let last = self.meta.size.saturating_sub(1) / CHUNK as u64;
        let context = self.meta.location.as_ref().as_bytes();
        // No copy: nobody else has these bytes.
        let mut bytes = Vec::from(sealed);
        let mut opened = 0;
        for (number, begin) in (first..).zip((0..bytes.len()).step_by(SEALED_CHUNK)) {
            let position = u32::try_from(number).map_err(|_| self.altered())?;
            let end = bytes.len().min(begin + SEALED_CHUNK);
            let mut chunk = Chunk::of(&mut bytes[begin..end]);
            self.stream.decrypt_in_place(position, number == last, context, &mut chunk).map_err(|_| self.altered())?;
            let length = chunk.as_ref().len();
            bytes.copy_within(begin..begin + length, opened);
            opened += length;
        }
        bytes.truncate(opened);
        Ok(bytes)
    }

    fn altered(&self) -> SealedError {
        SealedError::Altered { path: self.meta.location.to_string() }
    }
}

/// A streaming put: parts are sealed as they come and handed on when they are large enough.
struct SealedUpload {
    inner: Box<dyn MultipartUpload>,
    /// `None` once the upload has ended.
    sealer: Option<Sealer>,
    pending: Vec<u8>,
}

#[async_trait]
impl MultipartUpload for SealedUpload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let Some(sealer) = &mut self.sealer else {
            return Box::pin(futures::future::err(ended()));
        };
        for bytes in &data {
            if let Err(error) = sealer.push(bytes, &mut self.pending) {
                return Box::pin(futures::future::err(error.into()));
            }
        }
        if self.pending.len() < PART {
            return Box::pin(futures::future::ok(()));
        }
        self.inner.put_part(std::mem::take(&mut self.pending).into())
    }

    async fn complete(&mut self) -> Result<PutResult> {
        let sealer = self.sealer.take().ok_or_else(ended)?;
        sealer.finish(&mut self.pending)?;
        let part = self.inner.put_part(std::mem::take(&mut self.pending).into());
        part.await?;
        self.inner.complete().await
    }

    async fn abort(&mut self) -> Result<()> {
        self.sealer = None;
        self.inner.abort().await
    }
}

impl fmt::Debug for SealedUpload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SealedUpload").finish_non_exhaustive()
    }
}

fn ended() -> object_store::Error {
    object_store::Error::Generic { store: "SealedStore", source: "the upload was completed or aborted before".into() }
}

/// Cuts a range at multiples of `step`.
fn split(range: Range<u64>, step: u64) -> impl Iterator<Item = Range<u64>> {
    let mut start = range.start;
    std::iter::from_fn(move || {
        if start >= range.end {
            return None;
        }
        let end = range.end.min((start / step + 1) * step);
        let window = start..end;
        start = end;
        Some(window)
    })
}
