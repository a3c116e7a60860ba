//! `GET /api/v1/sso/enforcement/status/{organization_id}`: what is enforced, and how far the members are.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_identity::security::EnforcementMode;
use rivergen_kernel::{OrganizationId, Result, UserId};
use rivergen_platform::{
    errors,
    http::{Envelope, Path, Reply, SignedIn},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::people::{Counts, Rules};
use crate::Federation;

/// The settings in force. An organization that never set anything has both modes off.
#[derive(Debug, Serialize, ToSchema)]
pub struct EnforcementStatus {
    pub organization_id: OrganizationId,
    #[schema(inline)]
    pub sso_mode: EnforcementMode,
    #[schema(inline)]
    pub mfa_mode: EnforcementMode,
    pub effective_at: Option<DateTime<Utc>>,
    #[schema(examples(14))]
    pub grace_period_days: u16,
    pub exempt_user_ids: Vec<UserId>,
    pub total_users: u64,
    /// Members who have everything required of them, whether it is enforced yet or not.
    pub compliant_users: u64,
    pub non_compliant_users: u64,
    pub last_notification_at: Option<DateTime<Utc>>,
    pub updated_by_user_id: Option<UserId>,
    pub updated_at: Option<DateTime<Utc>>,
    pub message: &'static str,
}

errors! { pub StatusErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, SsoRequired, OrganizationNotFound; }

/// Show what an organization enforces for single sign-on and second factors, and its progress
#[utoipa::path(get, path = "/api/v1/sso/enforcement/status/{organization_id}", tag = "sso_enforcement",
    params(("organization_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "The settings now in force", body = Envelope<EnforcementStatus>), StatusErrors))]
pub async fn get_status(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Path(organization_id): Path<OrganizationId>,
) -> Result<Reply<EnforcementStatus>> {
    let (_, tenant) = super::administer(&federation, &caller, organization_id).await?;
    let db = federation.platform().db.read();
    let row = super::organization_of(db, tenant).await?;
    let enforcement = row.enforcement()?;
    let mfa_mode = super::mfa_mode(&row, &enforcement)?;
    let counts = Counts::of(db, tenant, &Rules::of(&enforcement, mfa_mode)).await?;
    let message = "What the organization enforces.";
    let status = EnforcementStatus {
        organization_id,
        sso_mode: enforcement.sso_mode,
        mfa_mode,
        effective_at: enforcement.effective_at,
        grace_period_days: enforcement.grace_period_days,
        total_users: counts.total,
        compliant_users: counts.compliant,
        non_compliant_users: counts.total.saturating_sub(counts.compliant),
        last_notification_at: enforcement.notified_at.values().max().copied(),
        exempt_user_ids: enforcement.exempt_user_ids,
        updated_by_user_id: enforcement.updated_by_user_id,
        updated_at: enforcement.updated_at,
        message,
    };
    Ok(Reply::ok(status, message))
}
