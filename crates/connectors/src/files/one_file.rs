//! An object store that holds one file, under a name that nobody can guess.
//!
//! The engine finds stores by URL and caches what it read by path. Each source has a URL and each version of its
//! file a path, both made with a secret of this process: the files of one source stay out of reach of the queries
//! and caches of another, and a source that is opened again replaces its own store and finds its own cache.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use sha2::{Digest, Sha256};
use url::Url;

/// Reads one file of `inner`.
#[derive(Debug)]
pub(super) struct OneFile {
    inner: Arc<dyn ObjectStore>,
    /// In the inner store.
    path: Path,
    /// As the engine sees it.
    meta: ObjectMeta,
    url: Url,
}

impl OneFile {
    /// `source` is the identity of the source that has the file.
    pub fn new(inner: Arc<dyn ObjectStore>, meta: ObjectMeta, extension: &str, source: &str) -> Self {
        let path = meta.location.clone();
        let host = name(&[source, path.as_ref()]);
        let version = format!("{:?} {} {}", meta.e_tag, meta.size, meta.last_modified.timestamp_micros());
        let file = name(&[source, path.as_ref(), &version]);
        let meta = ObjectMeta { location: Path::from(format!("{file}.{extension}")), ..meta };
        // Letters and digits alone, so it is a URL.
        let url = Url::parse(&format!("sealed://{host}")).unwrap_or_else(|_| unreachable!("a plain URL"));
        Self { inner, path, meta, url }
    }

    /// Where the store is to be registered.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// The file as this store names it.
    pub fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn check(&self, location: &Path) -> Result<()> {
        if *location == self.meta.location {
            return Ok(());
        }
        Err(Error::NotFound { path: location.to_string(), source: "the store holds one file".into() })
    }
}

/// A name for these parts that only this process can make.
fn name(parts: &[&str]) -> String {
    static SECRET: LazyLock<[u8; 32]> = LazyLock::new(rand::random);
    let mut digest = Sha256::new();
    digest.update(*SECRET);
    for part in parts {
        digest.update((part.len() as u64).to_be_bytes());
        digest.update(part);
    }
    hex::encode(&digest.finalize()[..16])
}

fn read_only<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented { operation: operation.to_owned(), implementer: "OneFile".to_owned() })
}

#[async_trait]
impl ObjectStore for OneFile {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.check(location)?;
        let mut result = self.inner.get_opts(&self.path, options).await?;
        result.meta.location = location.clone();
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.check(location)?;
        self.inner.get_ranges(&self.path, ranges).await
    }

    fn list(&self, _prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let meta = self.meta.clone();
        futures::stream::once(async move { Ok(meta) }).boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Ok(ListResult { common_prefixes: Vec::new(), objects: vec![self.meta.clone()] })
    }

    async fn put_opts(&self, _: &Path, _: PutPayload, _: PutOptions) -> Result<PutResult> {
        read_only("put")
    }

    async fn put_multipart_opts(&self, _: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        read_only("put")
    }

    fn delete_stream(&self, _: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        futures::stream::once(async { read_only("delete") }).boxed()
    }

    async fn copy_opts(&self, _: &Path, _: &Path, _: CopyOptions) -> Result<()> {
        read_only("copy")
    }
}

impl fmt::Display for OneFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OneFile")
    }
}
