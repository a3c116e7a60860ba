//! `GET /api/v1/mfa/status`: which second factors one has, and who asks for one.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{FactorId, OrganizationId, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Kind, backup_codes};
use crate::{Identity, webauthn};

/// A factor that is set up.
#[derive(Debug, Serialize, ToSchema)]
pub struct MfaMethod {
    pub id: FactorId,
    #[serde(rename = "type")]
    pub kind: Kind,
    #[schema(examples("Ada's phone"))]
    pub device_name: Option<String>,
    pub is_primary: bool,
    pub verified: bool,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct MfaStatus {
    pub mfa_enabled: bool,
    /// Whether one of the caller's organizations requires a second factor.
    pub mfa_required: bool,
    /// Those that do.
    pub required_by: Vec<OrganizationId>,
    pub methods: Vec<MfaMethod>,
    pub primary_method: Option<Kind>,
    #[schema(examples(9))]
    pub backup_codes_remaining: usize,
    pub webauthn_enabled: bool,
}

errors! { pub StatusErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified; }

/// Read which second factors are on, and whether one is required
#[utoipa::path(get, path = "/api/v1/mfa/status", tag = "mfa",
    responses((status = 200, description = "The caller's second factors", body = Envelope<MfaStatus>), StatusErrors))]
pub async fn get_mfa_status(State(identity): State<Identity>, SignedIn(caller): SignedIn) -> Result<Reply<MfaStatus>> {
    caller.session()?;
    let db = identity.platform.db.read();
    let factors = super::verified(db, caller.user_id).await?;
    let security = identity.directory.security(caller.user_id).await?;
    let status = MfaStatus {
        mfa_enabled: !factors.is_empty(),
        mfa_required: security.requires_mfa(),
        required_by: security.mfa_required_by().collect(),
        primary_method: factors.iter().find(|factor| factor.is_primary).map(|factor| factor.kind),
        methods: factors
            .into_iter()
            .map(|factor| MfaMethod {
                id: factor.id,
                kind: factor.kind,
                device_name: factor.device_name,
                is_primary: factor.is_primary,
                verified: true,
                created_at: factor.created_at,
                last_used_at: factor.last_used_at,
            })
            .collect(),
        backup_codes_remaining: backup_codes::remaining(db, caller.user_id).await?,
        webauthn_enabled: webauthn::count(db, caller.user_id).await? > 0,
    };
    Ok(Reply::ok(status, "Second factors."))
}
