//! A client of the API: sends, and says in words what came instead of what was expected.

use reqwest::{
    Method, StatusCode,
    header::HeaderMap,
    multipart::{Form, Part},
};
use serde_json::Value;

/// Somebody who talks to a server, signed in or not; cheap to clone.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    base: String,
    token: Option<String>,
}

/// An answer, read to its end.
#[derive(Debug)]
pub struct Answer {
    pub request: String,
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The body; null where there is none, text where it is no JSON.
    pub body: Value,
}

impl Client {
    /// For a server's address, without a token.
    pub fn new(base: impl Into<String>) -> Self {
        Self { http: http().build().unwrap(), base: base.into(), token: None }
    }

    /// The same, as a browser that keeps its cookies.
    pub fn with_cookies(base: impl Into<String>) -> Self {
        Self { http: http().cookie_store(true).build().unwrap(), base: base.into(), token: None }
    }

    pub(crate) fn http(&self) -> &reqwest::Client {
        &self.http
    }

    /// The same client with a bearer token.
    pub fn with_token(&self, token: impl Into<String>) -> Self {
        Self { token: Some(token.into()), ..self.clone() }
    }

    /// The same client without one.
    pub fn anonymous(&self) -> Self {
        Self { token: None, ..self.clone() }
    }

    pub fn token(&self) -> &str {
        self.token.as_deref().unwrap_or_default()
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path)).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::POST, path).json(&body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send(self.request(Method::DELETE, path)).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PUT, path).json(&body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send(self.request(Method::PATCH, path).json(&body)).await
    }

    /// A POST without a body.
    pub async fn post_empty(&self, path: &str) -> Answer {
        self.send(self.request(Method::POST, path)).await
    }

    /// A POST of a body as it is.
    pub async fn post_raw(&self, path: &str, content_type: &str, body: impl Into<reqwest::Body>) -> Answer {
        self.send(self.request(Method::POST, path).header("content-type", content_type).body(body)).await
    }

    /// The form of an upload.
    pub async fn upload(&self, file_name: &str, bytes: Vec<u8>) -> Answer {
        let form = Form::new().part("file", Part::bytes(bytes).file_name(file_name.to_owned()));
        self.send(self.request(Method::POST, "/api/v1/storage/upload").multipart(form)).await
    }

    /// A request to be completed; [`Client::send`] sends it.
    pub fn request(&self, method: Method, path: &str) -> reqwest::RequestBuilder {
        let request = self.http.request(method, format!("{}{path}", self.base));
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// Sends and panics where no answer comes.
    pub async fn send(&self, request: reqwest::RequestBuilder) -> Answer {
        self.try_send(request).await.unwrap_or_else(|error| panic!("no answer: {error:?}"))
    }

    /// Sends to a server that may die meanwhile.
    pub async fn try_send(&self, request: reqwest::RequestBuilder) -> Result<Answer, reqwest::Error> {
        let request = request.build()?;
        let what = format!("{} {}", request.method(), request.url().path());
        let response = self.http.execute(request).await?;
        let (status, headers) = (response.status(), response.headers().clone());
        let bytes = response.bytes().await?;
        let body = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&bytes)))
        };
        Ok(Answer { request: what, status, headers, body })
    }
}

fn http() -> reqwest::ClientBuilder {
    // No server under test speaks TLS itself, and reading the system's certificates takes as long as many a test.
    reqwest::Client::builder().tls_certs_only([]).no_proxy().redirect(reqwest::redirect::Policy::none())
}

impl Answer {
    /// The `data` of a 200.
    #[track_caller]
    pub fn ok(self) -> Value {
        self.data(StatusCode::OK)
    }

    /// The `data` of a 201.
    #[track_caller]
    pub fn created(self) -> Value {
        self.data(StatusCode::CREATED)
    }

    #[track_caller]
    fn data(mut self, status: StatusCode) -> Value {
        assert_eq!(self.status, status, "{} answered {}", self.request, self.body);
        assert_eq!(self.body["success"], true, "{} answered {}", self.request, self.body);
        assert!(self.body["message"].is_string(), "{} answered {}", self.request, self.body);
        self.body["data"].take()
    }

    /// A 204 with nothing in it.
    #[track_caller]
    pub fn no_content(self) {
        assert_eq!(self.status, StatusCode::NO_CONTENT, "{} answered {}", self.request, self.body);
        assert_eq!(self.body, Value::Null);
    }

    /// The `error` of a refusal, whose envelope is checked.
    #[track_caller]
    pub fn error(mut self, status: u16, code: &str) -> Value {
        assert_eq!(self.status.as_u16(), status, "{} answered {}", self.request, self.body);
        assert_eq!(self.body["success"], false, "{} answered {}", self.request, self.body);
        let error = self.body["error"].take();
        assert_eq!(error["code"], code, "{} answered {error}", self.request);
        assert!(error["message"].as_str().is_some_and(|text| !text.is_empty()), "{error}");
        assert_eq!(error["request_id"].as_str(), self.headers["x-request-id"].to_str().ok(), "{error}");
        error
    }

    /// A 422 whose details name the field.
    #[track_caller]
    pub fn invalid(self, field: &str) -> Value {
        let error = self.error(422, "VALIDATION_ERROR");
        let named =
            |detail: &Value| detail["field"] == field && detail["reason"].as_str().is_some_and(|r| !r.is_empty());
        assert!(error["details"].as_array().is_some_and(|details| details.iter().any(named)), "no {field} in {error}");
        error
    }

    /// The number in a header.
    #[track_caller]
    pub fn number(&self, header: &str) -> i64 {
        let value = self.headers.get(header).unwrap_or_else(|| panic!("{} has no {header}", self.request));
        value.to_str().unwrap().parse().unwrap()
    }
}
