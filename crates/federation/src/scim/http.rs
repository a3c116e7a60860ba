//! SCIM over HTTP: who is asking, and what they send. None of it is in the API's envelope.
//!
//! A request is an identity provider's, known by its token, which says for which organization it is. Its rate is counted by
//! organization; a request without a token that is good counts against its address, as everybody's does.

use std::sync::Arc;

use axum::{
    body::Bytes,
    extract::{FromRequest, FromRequestParts, Request, State},
    http::{HeaderMap, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use rivergen_kernel::{ErrorCode, Tenant};
use rivergen_platform::{
    Platform,
    audit::{Actor, AuditRecord},
    http::{ClientIp, RequestOrigin, TrustedProxies, names_zero_byte},
    limits::{GENERAL, Rule, ip_key},
};
use serde_json::{Map, Value, json};

use super::{
    config,
    document::{Projection, field},
    error::{Kind, Result, ScimError},
    faults,
    schema::ResourceType,
    token,
};
use crate::Federation;

pub const MEDIA_TYPE: &str = "application/scim+json";
/// Below the address of the server.
pub const PATH: &str = "/scim/v2";
/// Of one page.
pub const MOST_RESULTS: u64 = 100;

/// Requests of an organization's identity providers.
const SCIM_BY_ORGANIZATION: Rule = Rule::new("scim_by_organization", 6_000, std::time::Duration::from_secs(60));

/// What the layer needs.
#[derive(Clone)]
pub struct Gate {
    pub federation: Federation,
    pub proxies: Arc<TrustedProxies>,
}

/// The identity provider that asks, in its organization.
#[derive(Clone)]
pub struct Provisioner {
    pub federation: Federation,
    pub config: Arc<config::Model>,
    pub origin: RequestOrigin,
    /// What it is known by.
    token: Arc<token::Known>,
}

impl Provisioner {
    pub fn platform(&self) -> &Platform {
        self.federation.platform()
    }

    pub fn tenant(&self) -> Tenant {
        Tenant::on_behalf_of(self.config.organization_id)
    }

    /// Where SCIM is.
    pub fn base(&self) -> String {
        base(self.platform())
    }

    /// The server acts, as it was told.
    pub fn actor(&self) -> Actor {
        Actor::system().with_ip(self.origin.ip).with_user_agent(self.origin.user_agent.as_deref())
    }

    /// What a failure is answered. Something refers to what is gone: to the provider itself, perhaps, which was removed
    /// while this node still took its token for good.
    pub async fn told(&self, error: ScimError) -> ScimError {
        if !error.refers_to_what_is_gone() {
            return error;
        }
        let (platform, tokens) = (self.platform(), &self.federation.scim_tokens);
        match tokens.is_good(platform.db.read(), &self.token.token, platform.clock.now()).await {
            Ok(false) => unauthorized(),
            Ok(true) | Err(_) => error,
        }
    }

    /// A record of what it did.
    pub fn record(&self, action: &'static str, mut details: Value) -> AuditRecord {
        details["provider_id"] = json!(self.config.provider_id);
        AuditRecord::new(Some(self.config.organization_id), self.actor(), action).details(details)
    }
}

pub fn base(platform: &Platform) -> String {
    format!("{}{PATH}", platform.public_url)
}

impl<S: Send + Sync> FromRequestParts<S> for Provisioner {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let found = parts.extensions.get::<Self>().cloned();
        found.ok_or_else(|| rivergen_kernel::Error::internal("no layer of SCIM").into())
    }
}

/// The layer: finds out who is asking, counts the request, and keeps what was wrong with it for the administrator.
pub async fn surround(State(gate): State<Gate>, mut request: Request, next: Next) -> Response {
    let peer = request.extensions().get::<axum::extract::ConnectInfo<std::net::SocketAddr>>().map(|info| info.0.ip());
    let ip = gate.proxies.client_ip(peer, request.headers());
    request.extensions_mut().insert(ClientIp(ip));
    let platform = gate.federation.platform().clone();
    let origin = RequestOrigin { ip, user_agent: text(request.headers(), header::USER_AGENT) };
    let bearer = text(request.headers(), header::AUTHORIZATION);
    let provisioner = match admitted(&gate, bearer, origin).await {
        Ok(provisioner) => provisioner,
        Err(error) => {
            let limited = platform.limits.check(&GENERAL, &ip.map(ip_key).unwrap_or_default());
            let error = limited.err().map_or(error, |limited| rivergen_kernel::Error::from(limited).into());
            return logged(error.into_response());
        }
    };
    let (config, method) = (provisioner.config.clone(), request.method().clone());
    let path = request.uri().path().strip_prefix(PATH).unwrap_or_default().to_owned();
    request.extensions_mut().insert(provisioner.clone());
    let response = next.run(request).await;
    let failed = response.extensions().get::<ScimError>().cloned();
    let response = match failed {
        Some(error) if error.refers_to_what_is_gone() => provisioner.told(error).await.into_response(),
        _ => response,
    };
    let response = logged(response);
    let fault = response.extensions().get::<ScimError>().filter(|error| is_worth_keeping(&method, error)).cloned();
    if let Some(fault) = fault
        && let Err(error) = faults::keep(&platform, &config, &format!("{method} {path}"), &fault).await
    {
        tracing::warn!(%error, "a fault of an identity provider could not be kept");
    }
    response
}

/// A lookup of what is not there is no fault.
fn is_worth_keeping(method: &Method, error: &ScimError) -> bool {
    let is_lookup = *method == Method::GET && error.status == 404;
    (400..500).contains(&error.status) && error.status != 429 && !is_lookup
}

/// Failures of our own go to the log; the body tells nothing of them.
fn logged(response: Response) -> Response {
    if let Some(error) = response.extensions().get::<ScimError>()
        && error.status >= 500
    {
        tracing::error!(cause = ?error.cause, "a request of SCIM failed");
    }
    response
}

async fn admitted(gate: &Gate, authorization: Option<String>, origin: RequestOrigin) -> Result<Provisioner> {
    let platform = gate.federation.platform();
    let now = platform.clock.now();
    let bearer = authorization.as_deref().and_then(|value| value.split_once(' '));
    let Some((_, text)) = bearer.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")) else {
        return Err(unauthorized());
    };
    let tokens = &gate.federation.scim_tokens;
    let known = tokens.find(platform.db.read(), text.trim(), now).await.map_err(|error| match error.code {
        ErrorCode::Unauthorized => unauthorized(),
        _ => error.into(),
    })?;
    let key = known.config.organization_id.to_string();
    platform.limits.check(&SCIM_BY_ORGANIZATION, &key).map_err(rivergen_kernel::Error::from)?;
    tokens.touch(platform, &known.token, now).await?;
    Ok(Provisioner { federation: gate.federation.clone(), config: known.config.clone(), origin, token: known })
}

fn unauthorized() -> ScimError {
    ScimError::of_status(401, "The bearer token is missing, wrong or expired.")
}

/// The text of a header, as far as it is worth keeping.
fn text(headers: &HeaderMap, name: header::HeaderName) -> Option<String> {
    let value = headers.get(name).and_then(|value| value.to_str().ok())?;
    Some(value.chars().take(255).collect())
}

/// What SCIM answers at a path below it that no operation has.
pub async fn not_found(request: Request) -> ScimError {
    match request.uri().path() {
        "/scim/v2/Me" => ScimError::of_status(501, "There is no alias for who is asking: a token is nobody's."),
        _ => ScimError::of_status(404, "There is nothing at this path."),
    }
}

pub async fn method_not_allowed() -> ScimError {
    ErrorCode::MethodNotAllowed.into()
}

/// A JSON object.
pub struct Body(pub Map<String, Value>);

impl<S: Send + Sync> FromRequest<S> for Body {
    type Rejection = ScimError;

    async fn from_request(request: Request, state: &S) -> Result<Self> {
        let content_type = request.headers().get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
        let media_type = content_type.and_then(|value| value.split(';').next()).unwrap_or_default().trim();
        if !media_type.eq_ignore_ascii_case(MEDIA_TYPE) && !media_type.eq_ignore_ascii_case("application/json") {
            return Err(ScimError::of_status(415, format!("Send the body as {MEDIA_TYPE}.")));
        }
        let bytes = Bytes::from_request(request, state).await.map_err(|rejection| match rejection.status() {
            StatusCode::PAYLOAD_TOO_LARGE => ScimError::of_status(413, "The body is too large."),
            _ => ScimError::new(Kind::InvalidSyntax, "The body did not arrive."),
        })?;
        // The databases hold none.
        if names_zero_byte(&bytes) {
            return Err(ScimError::value("The body must not contain a zero byte."));
        }
        let object = serde_json::from_slice(&bytes)
            .map_err(|error| ScimError::new(Kind::InvalidSyntax, format!("The body is not a JSON object: {error}.")))?;
        Ok(Self(object))
    }
}

/// 400 unless the body names the schema.
pub fn require_schema(body: &Map<String, Value>, urn: &str) -> Result<()> {
    let named = field(body, "schemas").and_then(Value::as_array).into_iter().flatten();
    match named.filter_map(Value::as_str).any(|named| named.eq_ignore_ascii_case(urn)) {
        true => Ok(()),
        false => Err(ScimError::value(format!("schemas must name {urn}."))),
    }
}

/// What a list is asked for, in the query or in the body of a search.
#[derive(Debug, Default)]
pub struct Search {
    pub filter: Option<String>,
    pub sort_by: Option<String>,
    pub is_descending: bool,
    /// From 1.
    pub start_index: u64,
    pub count: u64,
    /// Empty for the first page.
    pub cursor: Option<String>,
    pub attributes: Option<String>,
    pub excluded: Option<String>,
}

impl Search {
    fn new(mut given: impl FnMut(&str) -> Option<String>) -> Result<Self> {
        // Which RFC 9865 (section 2.1) asks for.
        let of_count = if given("cursor").is_some() { Kind::InvalidCount } else { Kind::InvalidValue };
        let mut number = |name: &str, default: i64, fault: Kind| match given(name) {
            None => Ok(default),
            Some(text) => text.parse().map_err(|_| ScimError::new(fault, format!("{name} must be a whole number."))),
        };
        // Below the least is the least (RFC 7644, section 3.4.2.4).
        let start_index = number("startIndex", 1, Kind::InvalidValue)?.max(1);
        let count = number("count", 100, of_count)?.max(0);
        let is_descending = match given("sortOrder").as_deref() {
            None => false,
            Some(order) if order.eq_ignore_ascii_case("ascending") => false,
            Some(order) if order.eq_ignore_ascii_case("descending") => true,
            Some(_) => return Err(ScimError::value("sortOrder is ascending or descending.")),
        };
        let filter = given("filter");
        if filter.as_deref().is_some_and(|text| text.contains('\0') || names_zero_byte(text.as_bytes())) {
            return Err(ScimError::new(Kind::InvalidFilter, "The filter must not contain a zero byte."));
        }
        Ok(Self {
            filter,
            sort_by: given("sortBy"),
            is_descending,
            start_index: start_index.unsigned_abs(),
            count: count.unsigned_abs().min(MOST_RESULTS),
            cursor: given("cursor"),
            attributes: given("attributes"),
            excluded: given("excludedAttributes"),
        })
    }

    /// Of a search's body (RFC 7644, section 3.4.3).
    pub fn of_body(body: &Map<String, Value>) -> Result<Self> {
        require_schema(body, "urn:ietf:params:scim:api:messages:2.0:SearchRequest")?;
        let mut wrong = None;
        let search = Self::new(|name| match field(body, name)? {
            Value::Null => None,
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Array(names) => Some(names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(",")),
            _ => {
                wrong = Some(name.to_owned());
                None
            }
        })?;
        match wrong {
            None => Ok(search),
            Some(name) => Err(ScimError::value(format!("{name} is not of its type."))),
        }
    }

    /// What it says of attributes, and nothing else.
    pub fn of_attributes(&self) -> Self {
        Self { attributes: self.attributes.clone(), excluded: self.excluded.clone(), ..Self::default() }
    }

    /// Whether it says what of a resource is wanted.
    pub fn names_attributes(&self) -> bool {
        self.attributes.is_some() || self.excluded.is_some()
    }

    pub fn projection(&self, resource: &ResourceType) -> Result<Projection> {
        Projection::new(resource, self.attributes.as_deref(), self.excluded.as_deref())
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Search {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let query = parts.uri.query().unwrap_or_default();
        let given = |name: &str| {
            let mut pairs = url::form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.into_owned())
        };
        Self::new(given)
    }
}

/// `If-Match` and `If-None-Match`.
#[derive(Debug, Default, Clone)]
pub struct Preconditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
}

impl Preconditions {
    /// 412 where a resource that is to be changed is another version than the client knows, or one that it says must not be
    /// there (RFC 9110, section 13.1).
    pub fn require(&self, version: i64) -> Result<()> {
        self.require_match(version)?;
        match self.is_known(version) {
            true => Err(ScimError::of_status(412, "The resource has a version that If-None-Match names.")),
            false => Ok(()),
        }
    }

    /// 412 where the resource is another version than the client knows.
    pub fn require_match(&self, version: i64) -> Result<()> {
        match &self.if_match {
            Some(known) if !names(known, version) => {
                Err(ScimError::of_status(412, "The resource was changed in the meantime; read it again."))
            }
            _ => Ok(()),
        }
    }

    /// Whether the client has this version.
    pub fn is_known(&self, version: i64) -> bool {
        self.if_none_match.as_deref().is_some_and(|known| names(known, version))
    }
}

/// Whether a list of entity tags names the version; weakly, as both sides say it.
fn names(tags: &str, version: i64) -> bool {
    let tag = etag(version);
    let bare = |tag: &str| tag.trim().trim_start_matches("W/").to_owned();
    tags.split(',').any(|known| known.trim() == "*" || bare(known) == bare(&tag))
}

pub fn etag(version: i64) -> String {
    format!("W/\"{version}\"")
}

impl<S: Send + Sync> FromRequestParts<S> for Preconditions {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        Ok(Self {
            if_match: text(&parts.headers, header::IF_MATCH),
            if_none_match: text(&parts.headers, header::IF_NONE_MATCH),
        })
    }
}

/// The id of a path; one that is no id names nothing: 404.
pub struct Id(pub i64);

impl<S: Send + Sync> FromRequestParts<S> for Id {
    type Rejection = ScimError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self> {
        let path: Result<axum::extract::Path<i64>, _> = axum::extract::Path::from_request_parts(parts, state).await;
        path.map(|id| Self(id.0)).map_err(|_| gone())
    }
}

/// What an id answers that names nothing in the organization.
pub fn gone() -> ScimError {
    ScimError::of_status(404, "There is no such resource.")
}
