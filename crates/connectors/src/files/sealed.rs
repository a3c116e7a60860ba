//! An object store that holds the files of one table, under names that nobody can guess.
//!
//! The engine finds stores by URL and caches what it read by path. Each table has a URL and each version of a file
//! a path, both made with a secret of this process: the files of one source stay out of reach of the queries and
//! caches of another, and a source that is opened again replaces its own store and finds its own cache.

use std::fmt;
use std::ops::Range;
use std::sync::{Arc, LazyLock};

use async_trait::async_trait;
use bytes::Bytes;
use futures::StreamExt;
use futures::stream::BoxStream;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, OBJECT_STORE_COALESCE_DEFAULT, ObjectMeta,
    ObjectStore, ObjectStoreExt, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result, coalesce_ranges,
};
use sha2::{Digest, Sha256};
use url::Url;

/// Reads files of `inner`.
#[derive(Debug)]
pub(crate) struct Sealed {
    inner: Arc<dyn ObjectStore>,
    url: Url,
    held: Held,
}

#[derive(Debug)]
enum Held {
    /// One file: where it lies, and as the engine sees it.
    File { path: Path, meta: ObjectMeta },
    /// Files of a folder: where a file lies there stands here under `name`, and after its version.
    Folder { name: String, files: Arc<dyn Holds> },
}

/// Which objects are a table's.
pub(crate) trait Holds: fmt::Debug + Send + Sync {
    fn holds(&self, path: &Path) -> bool;
}

impl Sealed {
    /// `source` is the identity of the source that has the file.
    pub fn file(inner: Arc<dyn ObjectStore>, meta: ObjectMeta, source: &str) -> Self {
        let path = meta.location.clone();
        let url = url(&[source, path.as_ref()]);
        let version = format!("{:?} {} {}", meta.e_tag, meta.size, meta.last_modified.timestamp_micros());
        let meta = ObjectMeta { location: Path::from(name(&[source, path.as_ref(), &version])), ..meta };
        Self { inner, url, held: Held::File { path, meta } }
    }

    /// `table` tells the table from the others of the source.
    pub fn folder(inner: Arc<dyn ObjectStore>, files: Arc<dyn Holds>, source: &str, table: &str) -> Self {
        let name = name(&[source, table, "files"]);
        Self { inner, url: url(&[source, table]), held: Held::Folder { name, files } }
    }

    /// Where the store is to be registered.
    pub fn url(&self) -> &Url {
        &self.url
    }

    /// An object of the inner store as the engine sees it; none where the store does not hold it.
    pub fn seal(&self, meta: ObjectMeta) -> Option<ObjectMeta> {
        match &self.held {
            Held::File { path, meta: sealed } => (*path == meta.location).then(|| sealed.clone()),
            Held::Folder { name, files } => files.holds(&meta.location).then(|| {
                let tag = hex::encode(meta.e_tag.as_deref().unwrap_or_default());
                let version = format!("{tag}-{:x}-{:x}", meta.size, meta.last_modified.timestamp_micros());
                let location = as_it_is(&format!("{name}/{version}/{}", meta.location));
                ObjectMeta { location, ..meta }
            }),
        }
    }

    /// The one file that the store holds.
    pub fn only(&self) -> Option<&ObjectMeta> {
        match &self.held {
            Held::File { meta, .. } => Some(meta),
            Held::Folder { .. } => None,
        }
    }

    /// The object in the inner store, and the version that is meant where the store tells versions apart.
    fn open(&self, location: &Path) -> Result<(Path, Option<String>)> {
        match &self.held {
            Held::File { path, meta } if meta.location == *location => Ok((path.clone(), None)),
            Held::Folder { name, files } => {
                let parts: Option<(&str, (&str, &str))> =
                    location.as_ref().split_once('/').and_then(|(name, rest)| Some((name, rest.split_once('/')?)));
                match parts.map(|(first, (version, path))| (first == name, version, as_it_is(path))) {
                    Some((true, version, path)) if files.holds(&path) => Ok((path, e_tag(version))),
                    _ => Err(missing(location)),
                }
            }
            Held::File { .. } => Err(missing(location)),
        }
    }
}

/// A path that came from a path and is encoded already.
fn as_it_is(path: &str) -> Path {
    Path::parse(path).unwrap_or_else(|_| Path::from(path))
}

/// The entity tag in a version. One without quotes is not in the form in which it can be asked for.
fn e_tag(version: &str) -> Option<String> {
    let tag = hex::decode(version.split('-').next()?).ok()?;
    String::from_utf8(tag).ok().filter(|tag| tag.starts_with('"'))
}

fn url(parts: &[&str]) -> Url {
    // Letters and digits alone, so it is a URL.
    Url::parse(&format!("sealed://{}", name(parts))).unwrap_or_else(|_| unreachable!("a plain URL"))
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

fn missing(location: &Path) -> Error {
    Error::NotFound { path: location.to_string(), source: "the store does not hold it".into() }
}

fn read_only<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented { operation: operation.to_owned(), implementer: "Sealed".to_owned() })
}

#[async_trait]
impl ObjectStore for Sealed {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let (path, version) = self.open(location)?;
        // A file that is replaced while it is read fails the query instead of mixing two.
        let options = GetOptions { if_match: options.if_match.clone().or(version), ..options };
        let mut result = self.inner.get_opts(&path, options).await?;
        result.meta.location = location.clone();
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        match self.open(location)? {
            (path, None) => self.inner.get_ranges(&path, ranges).await,
            (_, Some(_)) => {
                let get = |range| self.get_range(location, range);
                coalesce_ranges(ranges, get, OBJECT_STORE_COALESCE_DEFAULT).await
            }
        }
    }

    /// The one file; those of a folder are listed by their table.
    fn list(&self, _prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        futures::stream::iter(self.only().cloned().map(Ok)).boxed()
    }

    async fn list_with_delimiter(&self, _prefix: Option<&Path>) -> Result<ListResult> {
        Ok(ListResult { common_prefixes: Vec::new(), objects: self.only().cloned().into_iter().collect() })
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

impl fmt::Display for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealed")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug)]
    struct Parquet;

    impl Holds for Parquet {
        fn holds(&self, path: &Path) -> bool {
            path.extension() == Some("parquet")
        }
    }

    #[test]
    fn sealed_names_open_to_the_same_file() {
        let inner = Arc::new(object_store::memory::InMemory::new());
        let store = Sealed::folder(inner, Arc::new(Parquet), "source", "orders");
        let lies = Path::parse("raw/orders/year=2026/Größe 100%25 a.b.parquet").unwrap();
        let meta = ObjectMeta {
            location: lies.clone(),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: 10,
            e_tag: Some("\"abc-1\"".into()),
            version: None,
        };
        let sealed = store.seal(meta.clone()).unwrap();
        assert_ne!(sealed.location, lies);
        assert_eq!(store.open(&sealed.location).unwrap(), (lies, Some("\"abc-1\"".to_owned())));
        assert!(store.open(&meta.location).is_err(), "not by its name in the store");
        let unquoted = store.seal(ObjectMeta { e_tag: Some("0x8D".into()), ..meta.clone() }).unwrap();
        assert_eq!(store.open(&unquoted.location).unwrap().1, None);
        let other = ObjectMeta { location: Path::from("raw/orders/a.csv"), ..meta };
        assert!(store.seal(other).is_none(), "of another table");
        let forged = Path::from(sealed.location.as_ref().replace("parquet", "csv"));
        assert!(store.open(&forged).is_err());
    }
}
