//! The stores' HTTP, through the guarded client of the source.
//!
//! The client connects to permitted addresses only and follows no redirect. What a store answers to a listing or
//! says of an error is held in memory, so it is bounded here.

use async_trait::async_trait;
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body_util::{BodyExt, Limited};
use object_store_cloud::ClientOptions;
use object_store_cloud::client::{
    HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpResponseBody, HttpService,
};
use rivergen_platform::net::{HttpOptions, blocked};

use crate::{ConnectorError, SourceContext};

/// Of a listing, a token or a complaint.
const LARGEST_ANSWER: usize = 16 * 1024 * 1024;

#[derive(Debug, Clone)]
pub(super) struct Guarded(reqwest::Client);

impl Guarded {
    pub fn new(source: &SourceContext) -> Result<Self, ConnectorError> {
        let options = HttpOptions {
            root_certificates: source.config.metadata_text("ssl_root_certificate").map(str::to_owned),
            connect_timeout: Some(source.config.connect_timeout()),
            read_timeout: Some(source.config.query_timeout()),
        };
        let client = source.guard.http(&options);
        client.map(Self).map_err(|error| ConnectorError::Untrusted { cause: Some(error) })
    }
}

impl HttpConnector for Guarded {
    /// The options are those of a client that is made elsewhere; here it is made already.
    fn connect(&self, _options: &ClientOptions) -> object_store_cloud::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Guarded {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let (parts, body) = request.into_parts();
        let of_object = is_object(&parts);
        let method = parts.method.clone();
        let body: Bytes = body.collect().await?.to_bytes();
        let request = self.0.request(parts.method, parts.uri.to_string()).headers(parts.headers).body(body);
        let response: http::Response<reqwest::Body> = request.send().await.map_err(failed)?.into();
        let (parts, body) = response.into_parts();
        if let Some(refused) = Refused::read(parts.status, &method, of_object) {
            tracing::info!(status = %parts.status, %method, "an object store refused a request");
            return Err(HttpError::new(HttpErrorKind::Unknown, refused));
        }
        let body = match of_object && parts.status.is_success() {
            true => HttpResponseBody::new(body.map_err(failed)),
            false => HttpResponseBody::new(
                Limited::new(body, LARGEST_ANSWER)
                    .map_err(|error| HttpError::new(HttpErrorKind::Decode, std::io::Error::other(error))),
            ),
        };
        Ok(HttpResponse::from_parts(parts, body))
    }
}

/// Whether the request is for an object, of which the content is read as a stream.
fn is_object(request: &http::request::Parts) -> bool {
    let query = request.uri.query().unwrap_or_default();
    matches!(request.method, Method::GET | Method::HEAD)
        && !query.contains("list-type=")
        && !query.contains("comp=list")
}

/// Answers that the stores' own code does not tell apart: it does so for objects only.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Refused {
    #[error("the credentials are refused")]
    Denied,
    #[error("there is no such bucket or container")]
    Missing,
    #[error("the answer is a redirect")]
    Elsewhere,
    #[error("the request does not suit the store")]
    Unsuitable,
}

impl Refused {
    fn read(status: StatusCode, method: &Method, of_object: bool) -> Option<Self> {
        match status {
            StatusCode::NOT_MODIFIED => None,
            status if status.is_redirection() => Some(Self::Elsewhere),
            _ if of_object => None,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Some(Self::Denied),
            // A token is asked for.
            StatusCode::BAD_REQUEST if method == Method::POST => Some(Self::Denied),
            StatusCode::BAD_REQUEST => Some(Self::Unsuitable),
            StatusCode::NOT_FOUND => Some(Self::Missing),
            _ => None,
        }
    }
}

/// Says which failures are worth another try.
fn failed(error: reqwest::Error) -> HttpError {
    let kind = match &error {
        error if blocked(error).is_some() => HttpErrorKind::Unknown,
        error if error.is_timeout() => HttpErrorKind::Timeout,
        error if error.is_connect() => HttpErrorKind::Connect,
        error if error.is_body() || error.is_request() => HttpErrorKind::Interrupted,
        error if error.is_decode() => HttpErrorKind::Decode,
        _ => HttpErrorKind::Unknown,
    };
    // Its address may hold a signature.
    HttpError::new(kind, error.without_url())
}
