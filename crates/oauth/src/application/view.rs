//! An application as its administrators see it.

use chrono::{DateTime, Utc};
use rivergen_kernel::{OauthApplicationId, Scopes, UserId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{AccessLevel, ClientType, GrantType, Model, Origin, Status};
use crate::keys::TokenAlgorithm;

/// An application, without its secrets.
#[derive(Debug, Serialize, ToSchema)]
pub struct OauthApplication {
    pub id: OauthApplicationId,
    #[schema(examples("Reporting"))]
    pub name: String,
    pub description: Option<String>,
    /// What the protocol knows it by.
    #[schema(examples("6f1c2c3e-4a7e-4f64-9d0b-5b0f0c1d2e3f"))]
    pub client_id: String,
    pub client_type: ClientType,
    pub grant_types: Vec<GrantType>,
    #[schema(examples(json!(["https://reports.acme.example/callback"])))]
    pub redirect_uris: Vec<String>,
    /// Where browsers may go after a sign-out that the application started.
    pub post_logout_redirect_uris: Vec<String>,
    #[schema(value_type = Vec<String>, examples(json!(["read"])))]
    pub scopes: Scopes,
    /// Other servers that its tokens may be meant for.
    pub resources: Vec<String>,
    /// Its public keys, if it authenticates with one of them and has no secret.
    #[schema(value_type = Option<Object>)]
    pub jwks: Option<serde_json::Value>,
    /// Where they are, for one that describes itself.
    pub jwks_uri: Option<String>,
    pub access_level: AccessLevel,
    pub status: Status,
    pub origin: Origin,
    /// Since when an administrator vouches for one that registered itself; until then, people are told that nobody has
    /// checked it.
    pub verified_at: Option<DateTime<Utc>>,
    /// Whether an administrator has agreed for everyone, so that members are not asked if it only reads.
    pub preapproved: bool,
    /// Whether it only gets tokens that are bound to a key of its own (DPoP; RFC 9449).
    pub dpop_bound_access_tokens: bool,
    /// The algorithm that it wants its ID tokens signed with; null: the first in the server's metadata.
    pub id_token_signed_response_alg: Option<TokenAlgorithm>,
    /// The person it acts for when nobody is present.
    pub responsible_user_id: UserId,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl From<Model> for OauthApplication {
    fn from(row: Model) -> Self {
        Self {
            grant_types: row.grant_types(),
            redirect_uris: row.redirect_uris(),
            post_logout_redirect_uris: row.post_logout_redirect_uris(),
            scopes: row.scopes(),
            resources: row.resources(),
            id: row.id,
            name: row.name,
            description: row.description,
            client_id: row.client_id,
            client_type: row.client_type,
            jwks: row.jwks,
            jwks_uri: row.jwks_uri,
            access_level: row.access_level,
            status: row.status,
            origin: row.origin,
            verified_at: row.verified_at,
            preapproved: row.preapproved,
            dpop_bound_access_tokens: row.dpop_bound_access_tokens,
            id_token_signed_response_alg: row.id_token_signed_response_alg,
            responsible_user_id: row.responsible_user_id,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

/// An application, and what was done with it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ApplicationAnswer {
    #[serde(flatten)]
    pub application: OauthApplication,
    /// Its picture, as a data URL.
    #[schema(examples("data:image/png;base64,…"))]
    pub logo: Option<String>,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
#[schema(as = OauthDone)]
pub struct Done {
    pub message: &'static str,
}
