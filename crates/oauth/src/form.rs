//! Parameters of the protocol, from a form or a query: each at most once (RFC 6749, section 3.1), but for `resource`.

use std::collections::BTreeMap;

use axum::{
    body::Bytes,
    extract::{FromRequest, Request},
    http::header,
};
use rivergen_kernel::Secret;

use crate::error::{Code, OauthError, Result};

/// More than any request needs.
const MOST: usize = 50;
const REPEATABLE: &[&str] = &["resource", "audience"];

/// Parameters by name. An empty one counts as missing (RFC 6749, section 3.1).
#[derive(Clone, Default)]
pub struct Parameters(BTreeMap<String, Vec<String>>);

impl Parameters {
    pub fn parse(encoded: &[u8]) -> Result<Self> {
        let mut all: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (count, (name, value)) in url::form_urlencoded::parse(encoded).enumerate() {
            if count >= MOST || value.contains('\0') || name.contains('\0') {
                return Err(OauthError::new(Code::InvalidRequest, "The parameters cannot be read."));
            }
            if value.is_empty() {
                continue;
            }
            let values = all.entry(name.clone().into_owned()).or_default();
            if !values.is_empty() && !REPEATABLE.contains(&name.as_ref()) {
                let reason = format!("The parameter {name} is there more than once.");
                return Err(OauthError::new(Code::InvalidRequest, reason));
            }
            values.push(value.into_owned());
        }
        Ok(Self(all))
    }

    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(|values| values.first()).map(String::as_str)
    }

    pub fn all(&self, name: &str) -> &[String] {
        self.0.get(name).map_or(&[], Vec::as_slice)
    }

    /// The same, and this one, whatever it was.
    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.insert(name.to_owned(), vec![value.to_owned()]);
        self
    }

    /// As a query.
    pub fn encoded(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, values) in &self.0 {
            query.extend_pairs(values.iter().map(|value| (name, value)));
        }
        query.finish()
    }

    pub fn secret(&self, name: &str) -> Option<Secret> {
        self.get(name).map(Secret::new)
    }

    /// `invalid_request` where it is missing.
    pub fn require(&self, name: &str) -> Result<&str> {
        let missing = || OauthError::new(Code::InvalidRequest, format!("The parameter {name} is missing."));
        self.get(name).ok_or_else(missing)
    }
}

/// A form that was posted.
pub struct Form(pub Parameters);

impl<S: Send + Sync> FromRequest<S> for Form {
    type Rejection = OauthError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            let reason = "Send the parameters as application/x-www-form-urlencoded.";
            return Err(OauthError::new(Code::InvalidRequest, reason));
        }
        let unreadable = |_| OauthError::new(Code::InvalidRequest, "The body cannot be read.");
        let bytes = Bytes::from_request(request, state).await.map_err(unreadable)?;
        Parameters::parse(&bytes).map(Self)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_stands_once() {
        let read = Parameters::parse(b"a=1&b=&resource=x&resource=y&c=%20z").unwrap();
        assert_eq!((read.get("a"), read.get("b"), read.get("c")), (Some("1"), None, Some(" z")));
        assert_eq!(read.all("resource"), ["x", "y"]);
        for bad in [b"a=1&a=2".as_slice(), b"a=%00"] {
            assert!(Parameters::parse(bad).is_err());
        }
        assert_eq!(read.require("d").unwrap_err().code, Code::InvalidRequest);
    }
}
