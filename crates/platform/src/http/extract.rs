//! Input of a handler: parsed, then validated, and refused with the field and the reason.
//!
//! A body that is no JSON at all is 400 `INVALID_REQUEST`; a field of the wrong type or outside its rules
//! is 422 `VALIDATION_ERROR` with the field's path.

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request},
    http::{header, request::Parts},
};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, FieldError, PageRequest};
use serde::{Deserialize, Deserializer, de::DeserializeOwned};

/// A JSON body that is valid. An empty body is taken as `{}`, for operations whose body is optional.
#[derive(Debug)]
pub struct Json<T>(pub T);

impl<S, T> FromRequest<S> for Json<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        let is_json = request
            .headers()
            .get(header::CONTENT_TYPE)
            .is_none_or(|value| value.to_str().is_ok_and(|text| text.trim_start().starts_with("application/json")));
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| {
            if rejection.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                Error::new(ErrorCode::RequestEntityTooLarge).with_message("The request body is too large.")
            } else {
                Error::new(ErrorCode::InvalidRequest).with_source(rejection)
            }
        })?;
        let bytes: &[u8] = if bytes.is_empty() { b"{}" } else { &bytes };
        if !is_json {
            return Err(ErrorCode::UnsupportedMediaType.into());
        }
        // A structure is read from an array too, its fields in their order; that is nobody's contract.
        if bytes.trim_ascii_start().starts_with(b"[") {
            return Err(Error::invalid_field("body", "must be a JSON object"));
        }
        if names_zero_byte(bytes) {
            return Err(Error::invalid_field("body", ZERO_BYTE));
        }
        let mut deserializer = serde_json::Deserializer::from_slice(bytes);
        let value: T = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
            let path = error.path().to_string();
            let inner = error.into_inner();
            if inner.is_data() {
                Error::invalid_field(field_of(&path, &inner.to_string()), reason_of(&inner.to_string()))
            } else {
                Error::new(ErrorCode::InvalidRequest).with_message(format!(
                    "The request body is not valid JSON: {} (line {}, column {}).",
                    reason_of(&inner.to_string()),
                    inner.line(),
                    inner.column()
                ))
            }
        })?;
        deserializer.end().map_err(|_| {
            Error::new(ErrorCode::InvalidRequest).with_message("The request body continues after the JSON value.")
        })?;
        validated(value).map(Self)
    }
}

/// The query string, valid.
#[derive(Debug)]
pub struct Query<T>(pub T);

impl<S, T> FromRequestParts<S> for Query<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Validate<Context = ()>,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Error> {
        let pairs = url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes());
        if let Some((field, _)) = pairs.clone().find(|(_, value)| value.contains('\0')) {
            return Err(Error::invalid_field(field, ZERO_BYTE));
        }
        let deserializer = serde_urlencoded::Deserializer::new(pairs);
        let value: T = serde_path_to_error::deserialize(deserializer).map_err(|error| {
            let path = error.path().to_string();
            let text = error.into_inner().to_string();
            Error::invalid_field(field_of(&path, &text), reason_of(&text))
        })?;
        validated(value).map(Self)
    }
}

/// A path parameter. One that is not of its type names nothing that exists: 404.
#[derive(Debug)]
pub struct Path<T>(pub T);

impl<S, T> FromRequestParts<S> for Path<T>
where
    S: Send + Sync,
    T: DeserializeOwned + Send,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        // No name that is kept has a zero byte ([`ZERO_BYTE`]).
        if parts.uri.path().contains("%00") {
            return Err(ErrorCode::NotFound.into());
        }
        axum::extract::Path::from_request_parts(parts, state)
            .await
            .map(|axum::extract::Path(value)| Self(value))
            .map_err(|_| ErrorCode::NotFound.into())
    }
}

/// For a field of a change whose `null` takes a value away, while its absence leaves it: `Some(None)` and `None`. With
/// `#[serde(default, deserialize_with = "given")]`.
pub fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}

/// Rule of a field with a name, which people are to see.
pub fn not_blank(name: &str, (): &()) -> garde::Result {
    if name.trim().is_empty() { Err(garde::Error::new("must not be blank")) } else { Ok(()) }
}

/// `page` and `page_size` of a list; taken beside the operation's own filters.
#[derive(Debug, Clone, Copy, Default, Deserialize, Validate, utoipa::IntoParams)]
#[garde(allow_unvalidated)]
#[into_params(parameter_in = Query)]
pub struct PageQuery {
    /// From 1.
    #[param(minimum = 1, default = 1, example = 1)]
    pub page: Option<u64>,
    /// At most 100.
    #[param(minimum = 1, maximum = 100, default = 20, example = 20)]
    pub page_size: Option<u64>,
}

impl PageQuery {
    pub fn request(self) -> Result<PageRequest, Error> {
        PageRequest::new(self.page, self.page_size)
    }
}

/// `skip` and `limit`, as the lists of organizations and workspaces are documented.
#[derive(Debug, Clone, Copy, Default, Deserialize, Validate, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
pub struct SkipLimit {
    /// How many to skip.
    #[garde(skip)]
    #[param(minimum = 0, default = 0, example = 0)]
    skip: Option<u64>,
    /// From 1 to 100.
    #[garde(inner(range(min = 1, max = 100)))]
    #[param(minimum = 1, maximum = 100, default = 100, example = 100)]
    limit: Option<u64>,
}

impl SkipLimit {
    pub fn skip(self) -> u64 {
        self.skip.unwrap_or(0).min(i64::MAX as u64)
    }

    pub fn limit(self) -> u64 {
        self.limit.unwrap_or(100)
    }

    /// How many rows are on the page and before it.
    pub fn end(self) -> u64 {
        self.skip().saturating_add(self.limit()).min(i64::MAX as u64)
    }
}

// `sort_order` of a list. A plain comment: one of documentation would stand in the API at each field of this type.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum SortOrder {
    Asc,
    Desc,
}

impl From<SortOrder> for sea_orm::Order {
    fn from(order: SortOrder) -> Self {
        match order {
            SortOrder::Asc => Self::Asc,
            SortOrder::Desc => Self::Desc,
        }
    }
}

fn validated<T: Validate<Context = ()>>(value: T) -> Result<T, Error> {
    value.validate().map_err(|report| {
        let details =
            report.iter().map(|(path, error)| FieldError::new(path.to_string(), error.message().to_owned())).collect();
        Error::new(ErrorCode::ValidationError).with_details(details)
    })?;
    Ok(value)
}

/// serde names a missing or unknown field in its text only, with the path of the object around it.
fn field_of(path: &str, text: &str) -> String {
    let named = ["missing field `", "unknown field `"]
        .iter()
        .find_map(|prefix| text.strip_prefix(prefix))
        .and_then(|rest| rest.split('`').next());
    match (path, named) {
        ("." | "", Some(field)) => field.to_owned(),
        (path, Some(field)) if !path.ends_with(field) => format!("{path}.{field}"),
        (path, _) => path.to_owned(),
    }
}

/// PostgreSQL's text holds no zero byte, so nothing that is read may.
const ZERO_BYTE: &str = "must not contain a zero byte";

/// Whether a text in the JSON has the escape `\u0000`; an unescaped zero byte is no JSON.
pub fn names_zero_byte(json: &[u8]) -> bool {
    let mut rest = json;
    while let Some(at) = rest.iter().position(|byte| *byte == b'\\') {
        if rest[at + 1..].starts_with(b"u0000") {
            return true;
        }
        // The escaped sign, which may be a backslash itself.
        rest = rest.get(at + 2..).unwrap_or_default();
    }
    false
}

/// The reason without serde's position, which means nothing to whoever filled in a form.
fn reason_of(text: &str) -> String {
    let text = text.split(" at line ").next().unwrap_or(text);
    if text.starts_with("missing field") { "is required".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, Deserialize, Validate)]
    struct Body {
        #[garde(length(min = 1))]
        name: String,
        #[garde(skip)]
        #[allow(dead_code)]
        inner: Option<Inner>,
    }

    #[derive(Debug, Deserialize)]
    struct Inner {
        #[allow(dead_code)]
        count: u32,
    }

    async fn read(body: &'static str) -> Result<Json<Body>, Error> {
        let request = Request::builder().header("content-type", "application/json").body(body.into()).unwrap();
        Json::from_request(request, &()).await
    }

    #[tokio::test]
    async fn each_fault_names_its_field() {
        for (body, code, field) in [
            ("{", ErrorCode::InvalidRequest, ""),
            ("{} x", ErrorCode::ValidationError, "name"),
            (r#"{"name":"a"} x"#, ErrorCode::InvalidRequest, ""),
            (r#"{"name":7}"#, ErrorCode::ValidationError, "name"),
            (r#"{"name":""}"#, ErrorCode::ValidationError, "name"),
            (r#"{"name":"a","inner":{"count":"x"}}"#, ErrorCode::ValidationError, "inner.count"),
            (r#"["a",null]"#, ErrorCode::ValidationError, "body"),
            (r#"{"name":"a\u0000"}"#, ErrorCode::ValidationError, "body"),
            (r#"{"name":"a","inner":{}}"#, ErrorCode::ValidationError, "inner.count"),
        ] {
            let error = read(body).await.unwrap_err();
            assert_eq!(error.code, code, "{body}");
            assert_eq!(error.details.first().map_or("", |d| d.field.as_str()), field, "{body}");
        }
        assert_eq!(read(r#"{"name":"a"}"#).await.unwrap().0.name, "a");
        assert_eq!(read(r#"{"name":"\\u0000"}"#).await.unwrap().0.name, r"\u0000");
    }
}
