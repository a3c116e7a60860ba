//! Services of AWS that speak its JSON protocol: DynamoDB, Kinesis and Athena.
//!
//! Each call is one signed POST to the region's endpoint, or to `metadata.endpoint` (a VPC's own, or a service that
//! speaks alike). The signature is made by Amazon's own crate; nothing else of the SDK is needed. A call that is
//! throttled is repeated after a while, some times.

mod athena;
mod dynamodb;
mod kinesis;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials as Keys;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use reqwest::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use rivergen_kernel::error::FieldError;
use serde::de::DeserializeOwned;
use serde_json::{Value as Json, json};
use url::Url;

use crate::documents::Value;
use crate::http::{HttpSource, parsed};
use crate::{Connector, ConnectorError, Credentials, SourceConfig, SourceContext, check_required, form};

/// Attempts at a call that is throttled.
const ATTEMPTS: u32 = 6;

/// The connectors of these services.
pub(crate) fn connectors() -> Vec<Arc<dyn Connector>> {
    vec![Arc::new(athena::Athena), Arc::new(dynamodb::Dynamodb), Arc::new(kinesis::Kinesis)]
}

/// A service as its calls name it.
#[derive(Debug, Clone, Copy)]
struct Service {
    name: &'static str,
    target: &'static str,
    content_type: &'static str,
}

/// One service in one region.
struct Aws {
    http: HttpSource,
    service: Service,
    region: String,
    keys: Keys,
}

impl Aws {
    fn open(source: &SourceContext, service: Service) -> Result<Self, ConnectorError> {
        let region = region(&source.config)?;
        let endpoint = endpoint(&source.config, service, &region)?;
        let keys = keys(&source.credentials)?;
        Ok(Self { http: HttpSource::at(source, endpoint)?, service, region, keys })
    }

    /// The answer to a call.
    async fn call(&self, operation: &str, input: &Json) -> Result<Value, ConnectorError> {
        self.ask(operation, input).await
    }

    /// The answer to a call, in its own form.
    async fn ask<T: DeserializeOwned>(&self, operation: &str, input: &Json) -> Result<T, ConnectorError> {
        let body = input.to_string();
        for attempt in 0..ATTEMPTS {
            let response = self.http.execute(self.request(operation, &body)?).await?;
            let status = response.status();
            let answer = self.http.read(response).await?;
            if status.is_success() {
                return parsed(&answer);
            }
            let complaint: Json = serde_json::from_slice(&answer).unwrap_or_default();
            let code = complaint.get("__type").and_then(Json::as_str).unwrap_or_default();
            let code = code.rsplit(['#', '.']).next().unwrap_or_default();
            tracing::info!(%status, code, service = self.service.name, "a call to AWS was refused");
            match code {
                "ProvisionedThroughputExceededException"
                | "ThrottlingException"
                | "RequestLimitExceeded"
                | "TooManyRequestsException"
                | "LimitExceededException" => {}
                "ResourceNotFoundException" => {
                    return Err(ConnectorError::NotFound { what: "what was asked for".into() });
                }
                "UnrecognizedClientException"
                | "InvalidSignatureException"
                | "AccessDeniedException"
                | "IncompleteSignatureException"
                | "IncompleteSignature"
                | "MissingAuthenticationToken"
                | "MissingAuthenticationTokenException"
                | "InvalidClientTokenId"
                | "ExpiredTokenException"
                | "SignatureDoesNotMatch" => {
                    return Err(ConnectorError::AuthenticationFailed { cause: Some(code.to_owned().into()) });
                }
                _ if status.is_server_error() => {}
                _ => return Err(ConnectorError::QueryFailed { cause: Some(format!("{status} {code}").into()) }),
            }
            tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
        }
        Err(ConnectorError::Unreachable { cause: Some("the service throttles or fails".into()) })
    }

    fn request(&self, operation: &str, body: &str) -> Result<RequestBuilder, ConnectorError> {
        let url = self.http.base().clone();
        let target = format!("{}.{operation}", self.service.target);
        let identity = self.keys.clone().into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name(self.service.name)
            .time(SystemTime::now())
            .settings(SigningSettings::default())
            .build()
            .map_err(ConnectorError::internal)?
            .into();
        let headers = [("content-type", self.service.content_type), ("x-amz-target", target.as_str())];
        let signable =
            SignableRequest::new("POST", url.as_str(), headers.into_iter(), SignableBody::Bytes(body.as_bytes()));
        let signed =
            sign(signable.map_err(ConnectorError::internal)?, &parameters).map_err(ConnectorError::internal)?;
        let mut request = self.http.request_url(Method::POST, url).body(body.to_owned());
        request = request.header(CONTENT_TYPE, self.service.content_type).header("x-amz-target", target);
        for (name, value) in signed.output().headers() {
            let name: HeaderName = name.parse().map_err(ConnectorError::internal)?;
            let mut value = HeaderValue::from_str(value).map_err(ConnectorError::internal)?;
            value.set_sensitive(true);
            request = request.header(name, value);
        }
        Ok(request)
    }
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("service", &self.service.name).field("region", &self.region).finish_non_exhaustive()
    }
}

fn validate(config: &SourceConfig, credentials: &Credentials, service: Service) -> Vec<FieldError> {
    let mut wrong = check_required(config, credentials);
    if wrong.is_empty() {
        match region(config) {
            Ok(region) => wrong.extend(endpoint(config, service, &region).err()),
            Err(error) => wrong.push(error),
        }
        wrong.extend(keys(credentials).err());
    }
    wrong
}

fn region(config: &SourceConfig) -> Result<String, FieldError> {
    let region = config.metadata_text("region").unwrap_or_default();
    let plain = !region.is_empty() && region.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-');
    if plain {
        Ok(region.to_owned())
    } else {
        Err(FieldError::new("metadata.region", "must be a region such as eu-central-1"))
    }
}

fn endpoint(config: &SourceConfig, service: Service, region: &str) -> Result<Url, FieldError> {
    let wrong = || FieldError::new("metadata.endpoint", "must be an address such as https://vpce-1.example.com");
    let domain = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
    let usual = format!("https://{}.{region}.{domain}/", service.name);
    let url = Url::parse(config.metadata_text("endpoint").unwrap_or(&usual)).map_err(|_| wrong())?;
    let plain = matches!(url.scheme(), "https" | "http")
        && url.host_str().is_some_and(|host| !host.is_empty())
        && url.username().is_empty()
        && url.password().is_none()
        && url.path() == "/"
        && url.query().is_none();
    if plain { Ok(url) } else { Err(wrong()) }
}

fn keys(credentials: &Credentials) -> Result<Keys, FieldError> {
    let ascii = |text: &str| text.bytes().all(|byte| byte.is_ascii_graphic());
    let id = credentials.username.clone().unwrap_or_default();
    let secret = credentials.password.as_ref().map(|secret| secret.expose().to_owned()).unwrap_or_default();
    let token = credentials.oauth_token.as_ref().filter(|token| !token.is_empty());
    for (field, text) in
        [("credentials.username", Some(id.as_str())), ("credentials.oauth_token", token.map(|t| t.expose()))]
    {
        if text.is_some_and(|text| !ascii(text)) {
            return Err(FieldError::new(field, "has characters that AWS keys cannot have"));
        }
    }
    Ok(Keys::from_keys(id, secret, token.map(|token| token.expose().to_owned())))
}

/// A form with what all of them ask for.
fn form(title: &str, metadata: Json, required: &[&str]) -> Json {
    let mut properties = json!({
        "region": form::text("Region"),
        "endpoint": {"type": "string", "title": "Endpoint", "description": "The region's own if left empty.", "format": "uri"}
    });
    if let (Some(all), Json::Object(own)) = (properties.as_object_mut(), metadata) {
        all.extend(own);
    }
    json!({
        "type": "object",
        "title": title,
        "properties": {
            "credentials": {"type": "object", "properties": {
                "username": form::text("Access key ID"),
                "password": form::secret("Secret access key"),
                "oauth_token": form::secret("Session token")
            }, "required": ["username", "password"]},
            "metadata": {"type": "object", "properties": properties, "required": required},
            "connection_timeout": form::connection_timeout(),
            "query_timeout": form::query_timeout("Request")
        },
        "required": ["credentials", "metadata"]
    })
}
