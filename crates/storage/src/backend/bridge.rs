//! A store of the clouds as the kind of object store that the rest of the house knows.
//!
//! The engine's release of `object_store` has cloud stores that are built on a second HTTP client and on a parser with a
//! known flaw; those of the next release are not, and speak the same traits under other names. So they are translated, one
//! to one.

use std::fmt;

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream::BoxStream};
use object_store::{
    Attributes, CopyMode, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult,
    MultipartUpload, ObjectMeta, ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
    UploadPart, path::Path,
};
use object_store_cloud as cloud;

/// Reads and writes a store of the other release.
#[derive(Debug)]
pub(super) struct Bridge(Box<dyn cloud::ObjectStore>);

impl Bridge {
    pub fn new(store: impl cloud::ObjectStore) -> Self {
        Self(Box::new(store))
    }
}

#[async_trait]
impl ObjectStore for Bridge {
    async fn put_opts(&self, location: &Path, payload: PutPayload, options: PutOptions) -> Result<PutResult> {
        let mode = match options.mode {
            PutMode::Overwrite => cloud::PutMode::Overwrite,
            PutMode::Create => cloud::PutMode::Create,
            PutMode::Update(version) => {
                cloud::PutMode::Update(cloud::UpdateVersion { e_tag: version.e_tag, version: version.version })
            }
        };
        let options = cloud::PutOptions { mode, ..Default::default() };
        put_out(self.0.put_opts(&path_in(location), payload_in(payload), options).await)
    }

    async fn put_multipart_opts(&self, location: &Path, _: PutMultipartOptions) -> Result<Box<dyn MultipartUpload>> {
        let upload = self.0.put_multipart_opts(&path_in(location), Default::default()).await.map_err(error_out)?;
        Ok(Box::new(Upload(upload)))
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let range = options.range.map(|range| match range {
            GetRange::Bounded(range) => cloud::GetRange::Bounded(range),
            GetRange::Offset(offset) => cloud::GetRange::Offset(offset),
            GetRange::Suffix(length) => cloud::GetRange::Suffix(length),
        });
        let options = cloud::GetOptions {
            if_match: options.if_match,
            if_none_match: options.if_none_match,
            if_modified_since: options.if_modified_since,
            if_unmodified_since: options.if_unmodified_since,
            range,
            version: options.version,
            head: options.head,
            ..Default::default()
        };
        let found = self.0.get_opts(&path_in(location), options).await.map_err(error_out)?;
        let (range, meta) = (found.range.clone(), meta_out(found.meta.clone()));
        let payload = GetResultPayload::Stream(found.into_stream().map_err(error_out).boxed());
        Ok(GetResult { payload, meta, range, attributes: Attributes::new() })
    }

    fn delete_stream(&self, locations: BoxStream<'static, Result<Path>>) -> BoxStream<'static, Result<Path>> {
        // An error on the way in is one of whoever lists; it comes out as it is.
        let locations = locations
            .map_ok(|path| path_in(&path))
            .map_err(|error| cloud::Error::Generic { store: "listing", source: Box::new(error) });
        self.0.delete_stream(locations.boxed()).map_ok(|path| path_out(&path)).map_err(error_out).boxed()
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.0.list(prefix.map(path_in).as_ref()).map_ok(meta_out).map_err(error_out).boxed()
    }

    fn list_with_offset(&self, prefix: Option<&Path>, offset: &Path) -> BoxStream<'static, Result<ObjectMeta>> {
        let listed = self.0.list_with_offset(prefix.map(path_in).as_ref(), &path_in(offset));
        listed.map_ok(meta_out).map_err(error_out).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listed = self.0.list_with_delimiter(prefix.map(path_in).as_ref()).await.map_err(error_out)?;
        Ok(ListResult {
            common_prefixes: listed.common_prefixes.iter().map(path_out).collect(),
            objects: listed.objects.into_iter().map(meta_out).collect(),
        })
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        let mode = match options.mode {
            CopyMode::Overwrite => cloud::CopyMode::Overwrite,
            CopyMode::Create => cloud::CopyMode::Create,
        };
        let options = cloud::CopyOptions { mode, ..Default::default() };
        self.0.copy_opts(&path_in(from), &path_in(to), options).await.map_err(error_out)
    }
}

impl fmt::Display for Bridge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

#[derive(Debug)]
struct Upload(Box<dyn cloud::MultipartUpload>);

#[async_trait]
impl MultipartUpload for Upload {
    fn put_part(&mut self, data: PutPayload) -> UploadPart {
        let part = self.0.put_part(payload_in(data));
        Box::pin(async move { part.await.map_err(error_out) })
    }

    async fn complete(&mut self) -> Result<PutResult> {
        put_out(self.0.complete().await)
    }

    async fn abort(&mut self) -> Result<()> {
        self.0.abort().await.map_err(error_out)
    }
}

fn put_out(result: cloud::Result<cloud::PutResult>) -> Result<PutResult> {
    let put = result.map_err(error_out)?;
    Ok(PutResult { e_tag: put.e_tag, version: put.version })
}

fn payload_in(payload: PutPayload) -> cloud::PutPayload {
    payload.into_iter().collect()
}

fn path_in(path: &Path) -> cloud::path::Path {
    cloud::path::Path::parse(path.as_ref()).unwrap_or_else(|_| cloud::path::Path::from(path.as_ref()))
}

fn path_out(path: &cloud::path::Path) -> Path {
    Path::parse(path.as_ref()).unwrap_or_else(|_| Path::from(path.as_ref()))
}

fn meta_out(meta: cloud::ObjectMeta) -> ObjectMeta {
    ObjectMeta {
        location: path_out(&meta.location),
        last_modified: meta.last_modified,
        size: meta.size,
        e_tag: meta.e_tag,
        version: meta.version,
    }
}

/// What the sealed store looks at keeps its kind; the rest keeps its words.
fn error_out(error: cloud::Error) -> Error {
    match error {
        cloud::Error::NotFound { path, source } => Error::NotFound { path, source },
        cloud::Error::AlreadyExists { path, source } => Error::AlreadyExists { path, source },
        cloud::Error::Precondition { path, source } => Error::Precondition { path, source },
        cloud::Error::NotModified { path, source } => Error::NotModified { path, source },
        cloud::Error::PermissionDenied { path, source } => Error::PermissionDenied { path, source },
        cloud::Error::Unauthenticated { path, source } => Error::Unauthenticated { path, source },
        cloud::Error::NotSupported { source } => Error::NotSupported { source },
        error => Error::Generic { store: "cloud", source: Box::new(error) },
    }
}
