//! Sources that are an address on the web: REST and GraphQL.
//!
//! The connection string is the base address. Everything that is asked for lies on its origin, and below its path
//! where it is named by a path: what an answer links to is followed there and nowhere else, since the credentials go
//! along.

mod authorization;
pub mod graphql;
pub mod rest;

use rivergen_kernel::error::FieldError;
use serde_json::{Value, json};
use url::Url;

use crate::{Credentials, form};
pub(crate) use authorization::Authorization;

/// The base address in the connection string.
fn base(credentials: &Credentials) -> Result<Url, FieldError> {
    let wrong = |reason: &str| FieldError::new("connection_string", reason);
    let text = credentials.connection_string.as_ref().map(|text| text.expose().trim()).unwrap_or_default();
    let url = Url::parse(text).map_err(|_| wrong("must be an address such as https://api.example.com/v1"))?;
    if !matches!(url.scheme(), "https" | "http") || url.host_str().is_none_or(str::is_empty) {
        return Err(wrong("must be an address such as https://api.example.com/v1"));
    }
    if !url.username().is_empty() || url.password().is_some() || url.query().is_some() || url.fragment().is_some() {
        return Err(wrong("must not contain credentials, a query or a fragment; give those in their own fields"));
    }
    Ok(url)
}

/// Whether a link of an answer may be followed.
fn is_ours(base: &Url, link: &Url) -> bool {
    link.origin() == base.origin() && link.username().is_empty() && link.password().is_none()
}

/// The parts of a form that both kinds have.
fn form(metadata: Value, credentials: &[&str]) -> Value {
    let mut secrets = json!({
        "api_key": form::secret("API key"),
        "oauth_token": {"type": "string", "title": "Token", "description": "Sent as `Authorization: Bearer`.", "writeOnly": true},
        "username": form::text("User"),
        "password": form::secret("Password")
    });
    let mut properties = json!({
        "api_key_in": {"type": "string", "title": "Send the API key in", "enum": ["header", "query", "bearer"], "default": "header"},
        "api_key_name": {"type": "string", "title": "Name of the header or parameter", "default": "X-API-Key"},
        "ssl_root_certificate": form::root_certificate()
    });
    if let (Some(all), Value::Object(own)) = (properties.as_object_mut(), metadata) {
        all.extend(own);
    }
    if let Some(secrets) = secrets.as_object_mut() {
        secrets.retain(|name, _| credentials.contains(&name.as_str()));
    }
    json!({
        "type": "object",
        "properties": {
            "connection_string": {"type": "string", "title": "Address", "format": "uri", "writeOnly": true},
            "credentials": {"type": "object", "properties": secrets},
            "metadata": {"type": "object", "properties": properties},
            "connection_timeout": form::connection_timeout(),
            "query_timeout": form::query_timeout("Request")
        },
        "required": ["connection_string", "credentials"]
    })
}
