//! A store in the cloud as the engine's kind of object store, for reading.
//!
//! The stores are of a later release than the one that the engine's traits come from, so they are translated; and
//! their failures become ones of a source, without the store's words.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::stream::BoxStream;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{
    Attributes, CopyOptions, Error, GetOptions, GetRange, GetResult, GetResultPayload, ListResult, MultipartUpload,
    ObjectMeta, ObjectStore, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use object_store_cloud as cloud;
use object_store_cloud::aws::AmazonS3Builder;
use object_store_cloud::azure::MicrosoftAzureBuilder;
use object_store_cloud::gcp::{GcpCredential, GcpSigningCredential, GoogleCloudStorageBuilder};
use rivergen_platform::net::Blocked;

use super::http::{Guarded, Refused};
use super::settings::{Access, Settings};
use crate::{ConnectorError, SourceContext};

/// How long a request is tried again.
const PATIENCE: Duration = Duration::from_secs(30);

/// Reads a bucket or container.
#[derive(Debug)]
pub(super) struct Cloud {
    inner: Arc<dyn cloud::ObjectStore>,
    limit: Duration,
}

impl Cloud {
    pub fn new(source: &SourceContext, settings: &Settings) -> std::result::Result<Self, ConnectorError> {
        let http = Guarded::new(source)?;
        let limit = source.config.query_timeout();
        let retry = cloud::RetryConfig { max_retries: 2, retry_timeout: PATIENCE.min(limit), ..Default::default() };
        let inner = build(settings, http, retry).map_err(|error| {
            tracing::info!(%error, "the settings of an object store are refused");
            ConnectorError::Unsupported("the object store's settings or credentials are not well-formed".to_owned())
        })?;
        Ok(Self { inner, limit })
    }

    fn error(&self, error: cloud::Error) -> Error {
        error_of(error, self.limit)
    }
}

/// Credentials are given to every builder outright: where they are missing, it would look for others.
fn build(settings: &Settings, http: Guarded, retry: cloud::RetryConfig) -> cloud::Result<Arc<dyn cloud::ObjectStore>> {
    let bucket = settings.bucket.as_str();
    Ok(match &settings.access {
        Access::S3 { region, endpoint, virtual_hosted, key_id, secret, session } => {
            let credential = cloud::aws::AwsCredential {
                key_id: key_id.clone(),
                secret_key: secret.expose().to_owned(),
                token: session.as_ref().map(|token| token.expose().to_owned()),
            };
            let mut builder = AmazonS3Builder::new()
                .with_bucket_name(bucket)
                .with_region(region)
                .with_virtual_hosted_style_request(*virtual_hosted)
                .with_credentials(own(credential))
                .with_retry(retry)
                .with_http_connector(http);
            if let Some(endpoint) = endpoint {
                let allow_http = endpoint.scheme() == "http";
                builder = builder.with_endpoint(endpoint.as_str().trim_end_matches('/')).with_allow_http(allow_http);
            }
            Arc::new(builder.build()?)
        }
        Access::Gcs { endpoint, token } => {
            let token = token.expose();
            let mut builder =
                GoogleCloudStorageBuilder::new().with_bucket_name(bucket).with_retry(retry).with_http_connector(http);
            if let Some(endpoint) = endpoint {
                builder = builder.with_base_url(endpoint.as_str().trim_end_matches('/'));
            }
            builder = match token.trim_start().starts_with('{') {
                true => builder.with_service_account_key(token),
                false => builder.with_credentials(own(GcpCredential { bearer: token.to_owned() })),
            };
            // Nothing is signed.
            let nobody = GcpSigningCredential { email: String::new(), private_key: None };
            builder = builder.with_signing_credentials(own(nobody));
            Arc::new(builder.build()?)
        }
        Access::Azure { account, endpoint, secret } => {
            let mut builder = MicrosoftAzureBuilder::new()
                .with_account(account)
                .with_container_name(bucket)
                .with_retry(retry)
                .with_http_connector(http);
            if let Some(endpoint) = endpoint {
                let allow_http = endpoint.scheme() == "http";
                builder = builder
                    .with_endpoint(endpoint.as_str().trim_end_matches('/').to_owned())
                    .with_allow_http(allow_http);
            }
            let secret = secret.expose();
            builder = match secret.contains("sig=") {
                true => builder.with_config(cloud::azure::AzureConfigKey::SasKey, secret.trim_start_matches('?')),
                false => builder.with_access_key(secret),
            };
            Arc::new(builder.build()?)
        }
    })
}

/// Credentials that stay as they are.
fn own<T: std::fmt::Debug + Send + Sync>(credential: T) -> Arc<cloud::StaticCredentialProvider<T>> {
    Arc::new(cloud::StaticCredentialProvider::new(credential))
}

/// The same error for the engine, with what it means for the source as its cause.
fn error_of(error: cloud::Error, limit: Duration) -> Error {
    let path = match &error {
        cloud::Error::NotFound { path, .. }
        | cloud::Error::Precondition { path, .. }
        | cloud::Error::PermissionDenied { path, .. }
        | cloud::Error::Unauthenticated { path, .. } => path.clone(),
        _ => String::new(),
    };
    let missing = matches!(error, cloud::Error::NotFound { .. });
    let source = Box::new(meaning(error, &path, limit));
    match missing {
        true => Error::NotFound { path, source },
        false => Error::Generic { store: "data source", source },
    }
}

fn meaning(error: cloud::Error, path: &str, limit: Duration) -> ConnectorError {
    // Of its path the name alone: folders may hold values of a column (`region=EU`) that a policy hides.
    let file = path.rsplit('/').next().unwrap_or_default();
    let what = if file.is_empty() { "the bucket or container".to_owned() } else { format!("file {file}") };
    match &error {
        cloud::Error::NotFound { .. } => return ConnectorError::NotFound { what },
        cloud::Error::Precondition { .. } | cloud::Error::NotModified { .. } => {
            let file = file.to_owned();
            let reason = "it was replaced while it was read; ask again".to_owned();
            return ConnectorError::Unreadable { file, reason, line: None };
        }
        cloud::Error::InvalidPath { .. } => {
            let reason = "the store holds an object whose name has an empty or relative part, as in a//b; set \
                          metadata.prefix to a folder without such names";
            return ConnectorError::Unsupported(reason.to_owned());
        }
        _ => {}
    }
    let denied = matches!(error, cloud::Error::PermissionDenied { .. } | cloud::Error::Unauthenticated { .. });
    let advice = |advice: &str| ConnectorError::Unsupported(advice.to_owned());
    match transport(&error) {
        Some(Transport::Blocked) => ConnectorError::Blocked,
        Some(Transport::Timeout) => ConnectorError::Timeout(limit),
        Some(Transport::Untrusted) => ConnectorError::Untrusted { cause: Some(error.into()) },
        Some(Transport::Broken) => ConnectorError::Unreachable { cause: Some(error.into()) },
        Some(Transport::Refused(Refused::Missing)) => ConnectorError::NotFound { what },
        Some(Transport::Refused(Refused::Elsewhere)) => {
            advice("the store is at a different address; check metadata.region and metadata.endpoint")
        }
        Some(Transport::Refused(Refused::Unsuitable)) => {
            advice("the store did not accept the request; check region, endpoint, name and credentials")
        }
        Some(Transport::Refused(Refused::Denied)) => ConnectorError::AuthenticationFailed { cause: Some(error.into()) },
        None if denied => ConnectorError::AuthenticationFailed { cause: Some(error.into()) },
        None => ConnectorError::QueryFailed { cause: Some(error.into()) },
    }
}

enum Transport {
    Blocked,
    Timeout,
    Untrusted,
    Broken,
    Refused(Refused),
}

/// What the HTTP below says, where it is what failed.
fn transport(error: &(dyn std::error::Error + 'static)) -> Option<Transport> {
    let mut found = None;
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(refused) = error.downcast_ref::<Refused>() {
            return Some(Transport::Refused(*refused));
        }
        if let Some(blocked) = error.downcast_ref::<Blocked>() {
            return Some(match blocked {
                Blocked::NotFound { .. } => Transport::Broken,
                _ => Transport::Blocked,
            });
        }
        if error.is::<rustls::Error>() {
            return Some(Transport::Untrusted);
        }
        if let Some(error) = error.downcast_ref::<reqwest::Error>() {
            found = Some(if error.is_timeout() { Transport::Timeout } else { Transport::Broken });
        }
        cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner),
            None => error.source(),
        };
    }
    found
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

fn read_only<T>(operation: &str) -> Result<T> {
    Err(Error::NotImplemented { operation: operation.to_owned(), implementer: "Cloud".to_owned() })
}

#[async_trait]
impl ObjectStore for Cloud {
    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let range = options.range.map(|range| match range {
            GetRange::Bounded(range) => cloud::GetRange::Bounded(range),
            GetRange::Offset(offset) => cloud::GetRange::Offset(offset),
            GetRange::Suffix(length) => cloud::GetRange::Suffix(length),
        });
        let options = cloud::GetOptions { range, head: options.head, if_match: options.if_match, ..Default::default() };
        let result = self.inner.get_opts(&path_in(location), options).await.map_err(|error| self.error(error))?;
        let (range, meta, limit) = (result.range.clone(), meta_out(result.meta.clone()), self.limit);
        let content = result.into_stream().map_err(move |error| error_of(error, limit)).boxed();
        Ok(GetResult { payload: GetResultPayload::Stream(content), meta, range, attributes: Attributes::new() })
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let limit = self.limit;
        let listing = self.inner.list(prefix.map(path_in).as_ref());
        listing.map_ok(meta_out).map_err(move |error| error_of(error, limit)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let listing = self.inner.list_with_delimiter(prefix.map(path_in).as_ref()).await;
        let listing = listing.map_err(|error| self.error(error))?;
        Ok(ListResult {
            common_prefixes: listing.common_prefixes.iter().map(path_out).collect(),
            objects: listing.objects.into_iter().map(meta_out).collect(),
        })
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

impl fmt::Display for Cloud {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Cloud")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_gone_is_told_without_its_partitions() {
        let path = "sales/region=EU/part-0.parquet".to_owned();
        let gone = cloud::Error::NotFound { path, source: "gone".into() };
        let Error::NotFound { source, .. } = error_of(gone, PATIENCE) else { panic!("it is no longer not found") };
        let told = source.to_string();
        assert!(told.contains("part-0.parquet") && !told.contains("EU"), "{told}");
    }
}
