//! What the configuration of an object store says: bucket, prefix, endpoint, credentials.

use object_store::path::Path;
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use serde_json::{Value, json};
use url::Url;

use crate::files::csv;
use crate::http::base_url;
use crate::{ConnectorError, Credentials, DataSourceType, SourceConfig, check_required, form};

/// A checked configuration.
#[derive(Debug, Clone)]
pub(super) struct Settings {
    /// Of Azure the container.
    pub bucket: String,
    /// Only what lies below it is seen.
    pub prefix: Path,
    pub access: Access,
}

/// Where a store is, and the source's own credentials for it.
#[derive(Debug, Clone)]
pub(super) enum Access {
    S3 {
        region: String,
        endpoint: Option<Url>,
        /// The bucket's name is part of the host's.
        virtual_hosted: bool,
        key_id: String,
        secret: Secret,
        session: Option<Secret>,
    },
    Gcs {
        endpoint: Option<Url>,
        /// An access token, or the key file of a service account.
        token: Secret,
    },
    Azure {
        account: String,
        endpoint: Option<Url>,
        /// An account key, or a shared access signature.
        secret: Secret,
    },
}

impl Settings {
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, ConnectorError> {
        Ok(parse(config, credentials)?)
    }

    /// Whether a path lies in what the source may see.
    pub fn holds(&self, path: &Path) -> bool {
        path.prefix_matches(&self.prefix)
    }
}

pub(super) fn validate(config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
    let mut wrong = check_required(config, credentials);
    if wrong.is_empty() {
        wrong.extend(parse(config, credentials).err());
    }
    wrong.extend(csv::validate_delimiter(config));
    wrong
}

fn parse(config: &SourceConfig, credentials: &Credentials) -> Result<Settings, FieldError> {
    let secret = |secret: &Option<Secret>| secret.clone().unwrap_or_else(|| Secret::new(""));
    let username = credentials.username.clone().unwrap_or_default();
    let endpoint = endpoint(config)?;
    let (bucket, access) = match config.kind {
        DataSourceType::Gcs => {
            let token = secret(&credentials.oauth_token);
            (name(config, "bucket", b"._-", 222)?, Access::Gcs { endpoint, token })
        }
        DataSourceType::AzureBlob => {
            let account = username;
            if !account.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit()) || account.len() > 24 {
                let reason = "must be the name of the storage account: lower case letters and digits";
                return Err(FieldError::new("credentials.username", reason));
            }
            let bucket = name(config, "container", b"-$", 63)?;
            (bucket, Access::Azure { account, endpoint, secret: secret(&credentials.password) })
        }
        kind => {
            let bucket = name(config, "bucket", b"._-", 63)?;
            let minio = kind == DataSourceType::Minio;
            let region = config.metadata_text("region").unwrap_or("us-east-1").to_owned();
            if !region.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') {
                return Err(FieldError::new("metadata.region", "must be a region's name, such as eu-central-1"));
            }
            let endpoint = if minio { Some(base_url(config)?) } else { endpoint };
            // A name with dots has no certificate.
            let fits_a_host = bucket.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
            let asked = config.metadata.get("path_style").and_then(Value::as_bool).map(|path_style| !path_style);
            let virtual_hosted = asked.unwrap_or(endpoint.is_none()) && fits_a_host;
            let endpoint = match endpoint {
                Some(endpoint) if virtual_hosted => Some(with_bucket(endpoint, &bucket)?),
                other => other,
            };
            let session = credentials.oauth_token.clone().filter(|token| !token.is_empty());
            let secret = secret(&credentials.password);
            (bucket, Access::S3 { region, endpoint, virtual_hosted, key_id: username, secret, session })
        }
    };
    let prefix = config.metadata_text("prefix").unwrap_or_default();
    let prefix = Path::parse(prefix.trim_matches('/'))
        .map_err(|_| FieldError::new("metadata.prefix", "must be a folder, without empty or relative parts"))?;
    Ok(Settings { bucket, prefix, access })
}

/// `metadata.bucket` or `metadata.container`: it becomes part of an address.
fn name(config: &SourceConfig, field: &str, beside: &[u8], longest: usize) -> Result<String, FieldError> {
    let name = config.metadata_text(field).unwrap_or_default();
    let fits = |b: u8| b.is_ascii_alphanumeric() || beside.contains(&b);
    if (3..=longest).contains(&name.len()) && name.bytes().all(fits) && !name.contains("..") && !name.starts_with('.') {
        return Ok(name.to_owned());
    }
    let reason = format!("must be the name of a {field} alone, of 3 to {longest} letters, digits and hyphens");
    Err(FieldError::new(format!("metadata.{field}"), reason))
}

fn endpoint(config: &SourceConfig) -> Result<Option<Url>, FieldError> {
    let Some(text) = config.metadata_text("endpoint") else { return Ok(None) };
    let usable = |url: &Url| {
        matches!(url.scheme(), "http" | "https")
            && url.host_str().is_some_and(|host| !host.is_empty())
            && url.username().is_empty()
            && url.password().is_none()
            && url.query().is_none()
            && url.fragment().is_none()
    };
    let url = Url::parse(text).ok().filter(usable);
    let wrong =
        || FieldError::new("metadata.endpoint", "must be an http or https address with nothing but host and path");
    url.map(Some).ok_or_else(wrong)
}

fn with_bucket(mut endpoint: Url, bucket: &str) -> Result<Url, FieldError> {
    let host = format!("{bucket}.{}", endpoint.host_str().unwrap_or_default());
    let named = endpoint.domain().is_some() && endpoint.set_host(Some(&host)).is_ok();
    let wrong = || FieldError::new("metadata.path_style", "must not be false where the endpoint is an address");
    if named { Ok(endpoint) } else { Err(wrong()) }
}

/// The form of a kind.
pub(super) fn form(kind: DataSourceType) -> Value {
    let text = |title: &str, description: &str| json!({"type": "string", "title": title, "description": description});
    let secret = |title: &str, description: &str| json!({"type": "string", "title": title, "description": description, "writeOnly": true, "format": "password"});
    let mut metadata = json!({
        "prefix": text("Folder", "Only files below it are read."),
        "table": text("Table name", "Makes one table of the files directly in the folder."),
        "ssl_root_certificate": text("Root certificate", "PEM; replaces the system's certificates."),
        "delimiter": {"type": "string", "title": "Delimiter of CSV files", "minLength": 1, "maxLength": 1, "description": "Detected automatically if left empty."},
        "has_header": {"type": "boolean", "title": "First line of CSV files has the column names", "description": "Detected automatically if left empty."},
    });
    let mut properties = json!({});
    let (credentials, mut required, must);
    let bucket = text("Bucket", "");
    let endpoint =
        |example: &str| text("Endpoint", &format!("For a store other than the provider's own, such as {example}."));
    match kind {
        DataSourceType::Gcs => {
            metadata["bucket"] = bucket;
            metadata["endpoint"] = endpoint("https://storage.acme.example");
            credentials = json!({"oauth_token": secret("Token or key", "The key file of a service account (JSON), or an access token.")});
            (required, must) = (vec!["metadata", "credentials"], ["bucket"].as_slice());
        }
        DataSourceType::AzureBlob => {
            metadata["container"] = text("Container", "");
            metadata["endpoint"] = endpoint("https://blobs.acme.example/account");
            credentials = json!({
                "username": text("Storage account", ""),
                "password": secret("Key", "An account key, or a shared access signature for reading and listing."),
            });
            (required, must) = (vec!["metadata", "credentials"], ["container"].as_slice());
        }
        _ => {
            metadata["bucket"] = bucket;
            metadata["region"] = text("Region", "");
            metadata["path_style"] = json!({"type": "boolean", "title": "Bucket in the path", "description": "Instead of in the host name; the default if there is an endpoint."});
            credentials = json!({
                "username": text("Access key ID", ""),
                "password": secret("Secret access key", ""),
                "oauth_token": secret("Session token", "For temporary credentials."),
            });
            (required, must) = (vec!["metadata", "credentials"], ["bucket", "region"].as_slice());
            if kind == DataSourceType::Minio {
                properties["host"] = text("Host", "");
                properties["port"] =
                    json!({"type": "integer", "title": "Port", "minimum": 1, "maximum": 65535, "default": 9000});
                metadata["sslmode"] = form::tls();
                required.extend(["host", "port"]);
            } else {
                metadata["endpoint"] = endpoint("https://s3.acme.example");
            }
        }
    }
    let must: Vec<_> = must.iter().filter(|name| kind != DataSourceType::Minio || **name != "region").collect();
    properties["metadata"] = json!({"type": "object", "properties": metadata, "required": must});
    let all: Vec<_> = ["username", "password"].into_iter().filter(|_| kind != DataSourceType::Gcs).collect();
    let needed = if all.is_empty() { vec!["oauth_token"] } else { all };
    properties["credentials"] = json!({"type": "object", "properties": credentials, "required": needed});
    json!({"type": "object", "properties": properties, "required": required})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn s3(metadata: Value) -> Result<Settings, FieldError> {
        let mut config = SourceConfig::new(DataSourceType::S3);
        config.metadata = metadata.as_object().cloned().unwrap_or_default();
        parse(&config, &Credentials::default())
    }

    fn field(result: Result<Settings, FieldError>) -> String {
        result.unwrap_err().field
    }

    #[test]
    fn nothing_slips_into_an_address() {
        for bucket in ["a/b/c", "x@y.z", "ab", "..a", "a..b", "evil.example/#", "b?c=d", "b%2fc"] {
            assert_eq!(field(s3(json!({"bucket": bucket}))), "metadata.bucket", "{bucket}");
        }
        for region in ["evil.example/", "a.b", "eu west"] {
            assert_eq!(field(s3(json!({"bucket": "lake", "region": region}))), "metadata.region", "{region}");
        }
        for endpoint in
            ["ftp://x.example", "x.example", "https://a:b@x.example", "https://x.example/?a=b", "file:///etc"]
        {
            assert_eq!(field(s3(json!({"bucket": "lake", "endpoint": endpoint}))), "metadata.endpoint", "{endpoint}");
        }
        assert_eq!(field(s3(json!({"bucket": "lake", "prefix": "a/../b"}))), "metadata.prefix");
    }

    #[test]
    fn buckets_stand_in_the_host_or_in_the_path() {
        let access = |metadata| match s3(metadata).unwrap().access {
            Access::S3 { endpoint, virtual_hosted, .. } => (endpoint.map(String::from), virtual_hosted),
            _ => panic!("S3"),
        };
        assert_eq!(access(json!({"bucket": "lake"})), (None, true));
        assert_eq!(access(json!({"bucket": "my.lake"})), (None, false));
        let other = "https://s3.acme.example/";
        assert_eq!(access(json!({"bucket": "lake", "endpoint": other})), (Some(other.into()), false));
        let hosted = access(json!({"bucket": "lake", "endpoint": other, "path_style": false}));
        assert_eq!(hosted, (Some("https://lake.s3.acme.example/".into()), true));
        let address = json!({"bucket": "lake", "endpoint": "http://10.0.0.1:9000", "path_style": false});
        assert_eq!(field(s3(address)), "metadata.path_style");
    }
}
