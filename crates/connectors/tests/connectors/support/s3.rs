//! A small S3 server in the test's own process: a bucket in memory, and a record of what was asked of it. Google's
//! XML interface is the same but for the token.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use axum::Router;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use rivergen_connectors::{Credentials, DataSourceType, SourceConfig, SourceContext};
use rivergen_kernel::secret::Secret;

pub const BUCKET: &str = "the-lake";

#[derive(Clone, Default)]
pub struct S3 {
    objects: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    asked: Arc<Mutex<Vec<String>>>,
    port: u16,
}

impl S3 {
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let server = Self { port: listener.local_addr().unwrap().port(), ..Self::default() };
        let router = Router::new().fallback(answer).with_state(server.clone());
        tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        server
    }

    pub fn put(&self, key: &str, content: impl Into<Vec<u8>>) {
        self.objects.lock().unwrap().insert(key.to_owned(), content.into());
    }

    pub fn delete(&self, key: &str) {
        self.objects.lock().unwrap().remove(key);
    }

    /// What was asked since the last call: the keys that were read, and the listings.
    pub fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// A source that reads the bucket.
    pub fn source(&self) -> (SourceContext, tempfile::TempDir) {
        let mut config = SourceConfig::new(DataSourceType::Minio);
        config.host = Some("127.0.0.1".into());
        config.port = Some(self.port);
        config.metadata.insert("bucket".into(), BUCKET.into());
        config.metadata.insert("sslmode".into(), "disable".into());
        let credentials = Credentials {
            username: Some("key-id".into()),
            password: Some(Secret::new("secret")),
            ..Credentials::default()
        };
        super::source("lake", config, credentials)
    }
}

async fn answer(State(server): State<S3>, request: Request) -> Response {
    let path = percent_decoded(request.uri().path());
    let query: BTreeMap<String, String> =
        url::form_urlencoded::parse(request.uri().query().unwrap_or_default().as_bytes()).into_owned().collect();
    let authorization = request.headers().get(header::AUTHORIZATION).and_then(|value| value.to_str().ok());
    let signed = authorization
        .is_some_and(|text| text.starts_with("AWS4-HMAC-SHA256 Credential=key-id/") || text == "Bearer the token");
    if !signed {
        return (
            StatusCode::FORBIDDEN,
            "<Error><Code>AccessDenied</Code><Message>the secret of the store</Message></Error>",
        )
            .into_response();
    }
    let Some(key) = path.strip_prefix(&format!("/{BUCKET}")) else {
        return (StatusCode::NOT_FOUND, "<Error><Code>NoSuchBucket</Code></Error>").into_response();
    };
    match query.get("list-type") {
        Some(_) => server.list(&query),
        None => server.get(key.trim_start_matches('/'), request.method() == "HEAD", request.headers()),
    }
}

impl S3 {
    fn list(&self, query: &BTreeMap<String, String>) -> Response {
        let prefix = query.get("prefix").map_or("", String::as_str);
        self.asked.lock().unwrap().push(format!("list {prefix}"));
        let after = query.get("continuation-token").map_or("", String::as_str);
        let (mut contents, mut folders, mut last) = (String::new(), std::collections::BTreeSet::new(), None);
        let objects = self.objects.lock().unwrap();
        // Small pages, so that reading on is tried.
        let mut pages = objects.iter().filter(|(key, _)| key.starts_with(prefix) && key.as_str() > after).peekable();
        for (key, content) in pages.by_ref().take(3) {
            last = Some(key.clone());
            let below = &key[prefix.len()..];
            if query.contains_key("delimiter")
                && let Some((folder, _)) = below.split_once('/')
            {
                folders.insert(format!("{prefix}{folder}/").replace('&', "&amp;"));
                continue;
            }
            contents.push_str(&format!(
                "<Contents><Key>{}</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><ETag>&quot;{}&quot;</ETag><Size>{}</Size></Contents>",
                key.replace('&', "&amp;"), tag(content), content.len()
            ));
        }
        let folders: String =
            folders.iter().map(|f| format!("<CommonPrefixes><Prefix>{f}</Prefix></CommonPrefixes>")).collect();
        let next = match pages.peek() {
            Some(_) => {
                let last = last.unwrap_or_default().replace('&', "&amp;");
                format!("<NextContinuationToken>{last}</NextContinuationToken>")
            }
            None => String::new(),
        };
        let body = format!("<ListBucketResult>{contents}{folders}{next}</ListBucketResult>");
        ([(header::CONTENT_TYPE, "application/xml")], body).into_response()
    }

    fn get(&self, key: &str, head: bool, headers: &HeaderMap) -> Response {
        self.asked.lock().unwrap().push(key.to_owned());
        let objects = self.objects.lock().unwrap();
        let Some(content) = objects.get(key) else {
            return (StatusCode::NOT_FOUND, "<Error><Code>NoSuchKey</Code></Error>").into_response();
        };
        let e_tag = format!("\"{}\"", tag(content));
        let text = |name| headers.get(name).and_then(|value: &axum::http::HeaderValue| value.to_str().ok());
        if text(header::IF_MATCH).is_some_and(|wanted| wanted != e_tag) {
            return StatusCode::PRECONDITION_FAILED.into_response();
        }
        let mut answer = [(header::ETAG, e_tag), (header::LAST_MODIFIED, "Thu, 01 Jan 2026 00:00:00 GMT".to_owned())]
            .into_response();
        let length = content.len();
        let (from, to) = match text(header::RANGE).and_then(|range| range.strip_prefix("bytes=")?.split_once('-')) {
            None => (0, length),
            Some(("", last)) => (length.saturating_sub(last.parse().unwrap()), length),
            Some((from, "")) => (from.parse().unwrap(), length),
            Some((from, to)) => (from.parse().unwrap(), length.min(to.parse::<usize>().unwrap() + 1)),
        };
        if text(header::RANGE).is_some() {
            *answer.status_mut() = StatusCode::PARTIAL_CONTENT;
            let range = format!("bytes {from}-{}/{length}", to - 1);
            answer.headers_mut().insert(header::CONTENT_RANGE, range.parse().unwrap());
        }
        if head {
            answer.headers_mut().insert(header::CONTENT_LENGTH, length.into());
        } else {
            *answer.body_mut() = content[from..to].to_vec().into();
        }
        answer
    }
}

fn tag(content: &[u8]) -> String {
    use std::hash::{DefaultHasher, Hash, Hasher};
    let mut hasher = DefaultHasher::new();
    content.hash(&mut hasher);
    format!("{:x}", hasher.finish())
}

fn percent_decoded(path: &str) -> String {
    let form = path.replace('+', "%2B");
    url::form_urlencoded::parse(format!("p={}", form.replace('&', "%26")).as_bytes())
        .next()
        .map(|(_, value)| value.into_owned())
        .unwrap_or_default()
}
