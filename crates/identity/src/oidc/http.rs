//! The way out for the library: guarded, without redirects, bounded in size and time. Neither a configuration nor a document
//! leads this server to an address that is not allowed, and none takes a client secret elsewhere.

use std::{error::Error as StdError, future::Future, pin::Pin, sync::Arc, time::Duration};

use openidconnect::{AsyncHttpClient, HttpRequest, HttpResponse};
use rivergen_kernel::ErrorCode;
use rivergen_platform::net::{self, Outbound, ReadError};

/// More is no answer of a provider.
const LONGEST_ANSWER: usize = 1024 * 1024;
/// How long a provider may take for one answer; a person waits.
const PATIENCE: Duration = Duration::from_secs(15);

/// Why a provider was of no use, in words for the log: neither tokens nor bodies stand in it.
///
/// It is no error itself, so that everything that is one can become it.
#[derive(Debug, Clone)]
pub struct Failure {
    text: Arc<str>,
    is_unreachable: bool,
}

impl Failure {
    pub fn of(text: &str) -> Self {
        Self { text: text.into(), is_unreachable: false }
    }

    /// Whether there was no answer at all, so that another try may find one.
    pub fn is_unreachable(&self) -> bool {
        self.is_unreachable
    }

    pub fn text(&self) -> &str {
        &self.text
    }

    /// As the operation answers it.
    pub fn coded(self, code: ErrorCode) -> rivergen_kernel::Error {
        rivergen_kernel::Error::new(code).with_source(self.text.to_string())
    }
}

impl<E: StdError + 'static> From<E> for Failure {
    fn from(error: E) -> Self {
        let mut text = error.to_string();
        let mut is_unreachable = is_no_answer(&error);
        let mut cause = error.source();
        while let Some(error) = cause {
            text.push_str(&format!(": {error}"));
            is_unreachable |= is_no_answer(error);
            cause = error.source();
        }
        Self { text: text.into(), is_unreachable }
    }
}

fn is_no_answer(error: &(dyn StdError + 'static)) -> bool {
    error.downcast_ref::<HttpError>().is_some_and(HttpError::is_no_answer)
}

/// The library's way out.
#[derive(Debug, Clone)]
pub struct GuardedHttp(reqwest::Client);

/// Why there was no answer.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    #[error(transparent)]
    Http(#[from] reqwest::Error),
    #[error(transparent)]
    Read(#[from] ReadError),
    #[error(transparent)]
    Message(#[from] axum::http::Error),
    #[error("the provider answered {0}")]
    Broken(axum::http::StatusCode),
}

impl HttpError {
    fn is_no_answer(&self) -> bool {
        matches!(self, Self::Http(_) | Self::Broken(_))
    }
}

impl GuardedHttp {
    pub fn new(outbound: &Outbound) -> Self {
        Self(outbound.http_without_redirects().clone())
    }

    pub async fn send(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let mut request = reqwest::Request::try_from(request)?;
        *request.timeout_mut() = Some(PATIENCE);
        let response = self.0.execute(request).await?;
        if response.status().is_server_error() {
            return Err(HttpError::Broken(response.status()));
        }
        let mut answer = axum::http::Response::builder().status(response.status());
        if let Some(headers) = answer.headers_mut() {
            *headers = response.headers().clone();
        }
        let body = net::read_bounded(response, LONGEST_ANSWER).await?;
        Ok(answer.body(body.to_vec())?)
    }
}

impl<'c> AsyncHttpClient<'c> for GuardedHttp {
    type Error = HttpError;
    type Future = Pin<Box<dyn Future<Output = Result<HttpResponse, HttpError>> + Send + 'c>>;

    fn call(&'c self, request: HttpRequest) -> Self::Future {
        Box::pin(self.send(request))
    }
}
