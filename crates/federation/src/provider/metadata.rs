//! `GET /api/v1/sso/metadata`: what an identity provider must know of this server.

use axum::{
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, Permission, Result, SsoProviderId};
use rivergen_platform::{
    errors,
    http::{Envelope, Query, Reply, SignedIn, preferred},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use super::{Kind, Model, setup::SamlAddresses};
use crate::{Federation, oidc, saml};

/// As SAML metadata is called.
const SAML_METADATA: &str = "application/samlmetadata+xml";

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct MetadataQuery {
    /// A provider of the session's organization.
    #[garde(skip)]
    #[param(value_type = i64, required = true)]
    provider_id: Option<SsoProviderId>,
    /// `xml` for SAML, if absent, and `json` for OpenID Connect.
    #[garde(skip)]
    #[param(inline)]
    format: Option<MetadataFormat>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum MetadataFormat {
    Xml,
    Json,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MetadataAnswer {
    /// The document, as a text.
    #[schema(examples("<md:EntityDescriptor …"))]
    pub metadata: String,
    pub format: MetadataFormat,
    pub generated_at: DateTime<Utc>,
    pub message: &'static str,
}

errors! { pub MetadataErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, ProviderNotFound, ValidationError; }

/// Get this service's metadata, to load into the identity provider
#[utoipa::path(get, path = "/api/v1/sso/metadata", tag = "sso", params(MetadataQuery),
    responses((status = 200, description = "In an envelope; plain XML if `Accept` asks for application/samlmetadata+xml",
        content((Envelope<MetadataAnswer> = "application/json"), (String = "application/samlmetadata+xml"))), MetadataErrors))]
pub async fn get_metadata(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    headers: HeaderMap,
    Query(query): Query<MetadataQuery>,
) -> Result<Response> {
    let tenant = caller.require(Permission::SsoRead)?;
    let platform = federation.platform();
    let id = query.provider_id.ok_or_else(|| Error::invalid_field("provider_id", "is required"))?;
    let provider = super::find(platform.db.read(), tenant, id).await?;
    let wants_xml = preferred(&headers, &["application/json", SAML_METADATA]) == Some(SAML_METADATA);
    let usual = match provider.kind {
        Kind::Saml => MetadataFormat::Xml,
        Kind::Oidc => MetadataFormat::Json,
    };
    let format = query.format.unwrap_or(usual);
    let metadata = match (provider.kind, format) {
        (Kind::Oidc, MetadataFormat::Xml) => {
            return Err(Error::invalid_field("format", "must be json: OpenID Connect has no such document in XML"));
        }
        (Kind::Oidc, MetadataFormat::Json) => of_client(&federation, &provider).to_string(),
        (Kind::Saml, MetadataFormat::Json) => {
            serde_json::to_string(&SamlAddresses::of(&federation, provider.id)).map_err(Error::internal)?
        }
        (Kind::Saml, MetadataFormat::Xml) => saml::metadata_xml(&federation, &provider).await?,
    };
    if wants_xml && format == MetadataFormat::Xml {
        return Ok(([(header::CONTENT_TYPE, SAML_METADATA)], metadata).into_response());
    }
    let message = "The metadata of this service.";
    let answer = MetadataAnswer { metadata, format, generated_at: platform.clock.now(), message };
    Ok(Reply::ok(answer, message).into_response())
}

/// The names are those of OpenID Connect Dynamic Client Registration 1.0.
fn of_client(federation: &Federation, provider: &Model) -> Value {
    json!({
        "client_id": provider.client_id,
        "redirect_uris": [
            oidc::redirect_uri(federation),
            oidc::redirect_uri_of(federation, provider),
        ],
        "response_types": ["code"],
        "grant_types": ["authorization_code"],
        "scope": provider.scopes().join(" "),
        "token_endpoint_auth_method": match provider.sealed_client_secret {
            Some(_) => "client_secret_basic",
            None => "none",
        },
        "code_challenge_methods": ["S256"],
        "backchannel_logout_uri": oidc::backchannel_uri(federation, provider),
        "backchannel_logout_session_required": false,
    })
}
