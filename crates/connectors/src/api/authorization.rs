//! How requests show who asks.

use std::fmt;

use reqwest::header::{HeaderName, HeaderValue};
use reqwest::{Method, RequestBuilder};
use rivergen_kernel::error::FieldError;
use rivergen_kernel::secret::Secret;
use url::Url;

use crate::http::HttpSource;
use crate::{Credentials, SourceConfig};

/// What goes along with each request. Nothing of it prints.
#[derive(Clone, Default)]
pub(crate) struct Authorization {
    header: Option<(HeaderName, HeaderValue)>,
    parameter: Option<(String, Secret)>,
    bearer: Option<Secret>,
    basic: Option<(String, Option<Secret>)>,
}

impl Authorization {
    /// A token as bearer, a user by basic authentication, an API key where the metadata say.
    pub fn read(config: &SourceConfig, credentials: &Credentials) -> Result<Self, FieldError> {
        let given = |secret: &Option<Secret>| secret.clone().filter(|secret| !secret.is_empty());
        let mut authorization = Self { bearer: given(&credentials.oauth_token), ..Self::default() };
        if let Some(username) = credentials.username.as_ref().filter(|name| !name.is_empty()) {
            authorization.basic = Some((username.clone(), given(&credentials.password)));
        }
        if let Some(key) = given(&credentials.api_key) {
            let name = config.metadata_text("api_key_name");
            match config.metadata_text("api_key_in") {
                None | Some("header") => {
                    let name = name.unwrap_or("X-API-Key").parse();
                    let name = name.map_err(|_| FieldError::new("metadata.api_key_name", "is not a header's name"))?;
                    authorization.header = Some((name, sensitive(key.expose(), "credentials.api_key")?));
                }
                Some("query") => authorization.parameter = Some((name.unwrap_or("api_key").to_owned(), key)),
                Some("bearer") => authorization.bearer = Some(key),
                Some(_) => return Err(FieldError::new("metadata.api_key_in", "must be header, query or bearer")),
            }
        }
        if authorization.bearer.is_some() && authorization.basic.is_some() {
            return Err(FieldError::new("credentials.username", "cannot be used together with a bearer token"));
        }
        if let Some(token) = &authorization.bearer {
            sensitive(token.expose(), "credentials.oauth_token")?;
        }
        Ok(authorization)
    }

    /// A value of the `Authorization` header.
    pub fn header(scheme: &str, key: &Secret) -> Result<Self, FieldError> {
        let value = sensitive(&format!("{scheme} {}", key.expose()), "credentials.api_key")?;
        Ok(Self { header: Some((reqwest::header::AUTHORIZATION, value)), ..Self::default() })
    }

    /// A link that repeats the key would send it twice.
    pub fn without_key(&self, mut url: Url) -> Url {
        if let Some((key, _)) = &self.parameter
            && url.query_pairs().any(|(name, _)| name == key.as_str())
        {
            let others: Vec<_> = url.query_pairs().into_owned().filter(|(name, _)| name != key).collect();
            url.query_pairs_mut().clear().extend_pairs(others);
        }
        url
    }

    /// A request that shows who asks.
    pub fn request(&self, http: &HttpSource, method: Method, mut url: Url) -> RequestBuilder {
        if let Some((name, key)) = &self.parameter {
            url.query_pairs_mut().append_pair(name, key.expose());
        }
        let mut request = http.request_url(method, url);
        if let Some((name, value)) = &self.header {
            request = request.header(name, value);
        }
        if let Some(token) = &self.bearer {
            request = request.bearer_auth(token.expose());
        }
        if let Some((user, password)) = &self.basic {
            request = request.basic_auth(user, password.as_ref().map(Secret::expose));
        }
        request
    }
}

fn sensitive(value: &str, field: &'static str) -> Result<HeaderValue, FieldError> {
    let mut value =
        HeaderValue::from_str(value).map_err(|_| FieldError::new(field, "has characters that headers cannot have"))?;
    value.set_sensitive(true);
    Ok(value)
}

impl fmt::Debug for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Authorization(…)")
    }
}
