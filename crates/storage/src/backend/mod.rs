//! Where the ciphertext lies: a directory of this machine, or a bucket of S3 (and what speaks like it), Google Cloud Storage
//! or Azure. What is put there is sealed already, so whoever reads the bucket reads nothing.
//!
//! The clouds' own ways to give a program its identity (environment, instance metadata, workload identity) are asked where
//! the settings name no key.

mod bridge;

use std::{path::Path, sync::Arc, time::Duration};

use object_store::{ObjectStore, local::LocalFileSystem, prefix::PrefixStore};
use object_store_cloud::{
    RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder, client::SpawnedReqwestConnector,
    gcp::GoogleCloudStorageBuilder,
};
use rivergen_kernel::{Error, Result, Secret};
use serde::Deserialize;
use tokio::runtime::Handle;

use bridge::Bridge;

/// Which of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    Local,
    S3,
    Gcs,
    Azure,
}

/// A bucket of S3, MinIO, Ceph, Garage, …
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct S3 {
    pub bucket: String,
    pub region: String,
    /// Empty: Amazon's.
    pub endpoint: String,
    pub access_key_id: String,
    pub secret_access_key: Secret,
    /// Whether the bucket's name is part of the host's.
    pub virtual_hosted: bool,
    /// What stands before all paths in the bucket.
    pub prefix: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gcs {
    pub bucket: String,
    /// Empty: Google's.
    pub endpoint: String,
    /// The key of a service account, as JSON.
    pub service_account_key: Secret,
    pub prefix: String,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Azure {
    pub account: String,
    pub container: String,
    /// Empty: Azure's.
    pub endpoint: String,
    pub access_key: Secret,
    pub prefix: String,
}

/// The directory, which exists.
pub fn local(directory: &Path) -> Result<Arc<dyn ObjectStore>> {
    let files = LocalFileSystem::new_with_prefix(directory).map_err(Error::internal)?;
    Ok(Arc::new(files.with_automatic_cleanup(true)))
}

pub fn s3(settings: &S3) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = match settings.access_key_id.is_empty() {
        true => AmazonS3Builder::from_env(),
        false => AmazonS3Builder::new()
            .with_access_key_id(&settings.access_key_id)
            .with_secret_access_key(settings.secret_access_key.expose()),
    };
    builder = builder
        .with_bucket_name(&settings.bucket)
        .with_region(&settings.region)
        .with_virtual_hosted_style_request(settings.virtual_hosted)
        .with_retry(patience())
        .with_http_connector(connector());
    if !settings.endpoint.is_empty() {
        builder = builder
            .with_endpoint(settings.endpoint.trim_end_matches('/'))
            .with_allow_http(is_plain(&settings.endpoint));
    }
    Ok(below(&settings.prefix, Bridge::new(builder.build().map_err(Error::internal)?)))
}

pub fn gcs(settings: &Gcs) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = match settings.service_account_key.is_empty() {
        true => GoogleCloudStorageBuilder::from_env(),
        false => GoogleCloudStorageBuilder::new().with_service_account_key(settings.service_account_key.expose()),
    };
    builder = builder.with_bucket_name(&settings.bucket).with_retry(patience()).with_http_connector(connector());
    if !settings.endpoint.is_empty() {
        builder = builder.with_base_url(settings.endpoint.trim_end_matches('/'));
    }
    Ok(below(&settings.prefix, Bridge::new(builder.build().map_err(Error::internal)?)))
}

pub fn azure(settings: &Azure) -> Result<Arc<dyn ObjectStore>> {
    let mut builder = match settings.access_key.is_empty() {
        true => MicrosoftAzureBuilder::from_env(),
        false => MicrosoftAzureBuilder::new().with_access_key(settings.access_key.expose()),
    };
    builder = builder
        .with_account(&settings.account)
        .with_container_name(&settings.container)
        .with_retry(patience())
        .with_http_connector(connector());
    if !settings.endpoint.is_empty() {
        builder = builder
            .with_endpoint(settings.endpoint.trim_end_matches('/').to_owned())
            .with_allow_http(is_plain(&settings.endpoint));
    }
    Ok(below(&settings.prefix, Bridge::new(builder.build().map_err(Error::internal)?)))
}

fn below(prefix: &str, store: Bridge) -> Arc<dyn ObjectStore> {
    match prefix.is_empty() {
        true => Arc::new(store),
        false => Arc::new(PrefixStore::new(store, prefix)),
    }
}

/// Requests are sent on the runtime that opens the store, whoever makes them. Queries read files on a runtime of their own,
/// and a connection that was made there would keep an upload waiting as long as all its threads compute. Answers are not held
/// back on the way from one runtime to the other, which sealed files take care of: they are read in pieces.
fn connector() -> SpawnedReqwestConnector {
    SpawnedReqwestConnector::new(Handle::current())
}

/// Somebody waits for the answer.
fn patience() -> RetryConfig {
    RetryConfig { max_retries: 4, retry_timeout: Duration::from_secs(60), ..RetryConfig::default() }
}

fn is_plain(endpoint: &str) -> bool {
    endpoint.starts_with("http://")
}
