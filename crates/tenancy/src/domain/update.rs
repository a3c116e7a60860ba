//! `PATCH /api/v1/organizations/{org_id}/domains/{domain_id}`: whether people of the domain join by themselves.
//!
//! It holds for addresses that are proved from now on ([`super::join`]); accounts that exist are not pulled in.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{DomainId, ErrorCode, OrganizationId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, EntityTrait, IntoActiveModel};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{DomainAnswer, Status, find};
use crate::{Tenancy, organization, role::rules::Deed};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"auto_join": true}))]
pub struct UpdateDomainRequest {
    /// Whether people who verify an address in the domain become members, with the organization's default role; you
    /// need all of that role's permissions yourself. Only for a verified domain.
    pub auto_join: bool,
}

errors! { pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, DomainNotFound, DomainNotVerified, ValidationError; }

/// Set whether people with an address in a verified domain can join on their own
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}/domains/{domain_id}", tag = "organizations", request_body = UpdateDomainRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("domain_id" = DomainId, Path, description = "The domain")),
    responses((status = 200, description = "As it is now; it applies to addresses verified from now on", body = Envelope<DomainAnswer>), UpdateErrors))]
pub async fn update(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, domain_id)): Path<(OrganizationId, DomainId)>,
    Json(request): Json<UpdateDomainRequest>,
) -> Result<Reply<DomainAnswer>> {
    let platform = &tenancy.identity.platform;
    let caller = tenancy.enter(&caller, org_id).await?;
    let tenant = caller.require(Permission::OrganizationUpdate)?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = find(tx.conn(), tenant, domain_id).await?;
    if request.auto_join {
        if row.status != Status::Verified {
            return Err(ErrorCode::DomainNotVerified.into());
        }
        let found = organization::Entity::find_by_id(org_id).one(tx.conn()).await?.ok_or(ErrorCode::OrgNotFound)?;
        let role = organization::settings::default_role(tx.conn(), tenant, &found.intake()?).await?;
        Deed::Welcome(&role.permissions()).allow(&caller)?;
    }
    if row.auto_join == request.auto_join {
        let message = "Nothing had to be changed.";
        return Ok(Reply::ok(DomainAnswer { domain: row.into(), message }, message));
    }
    let mut row = row.into_active_model();
    row.auto_join = Set(request.auto_join);
    let row = row.update(tx.conn()).await?;
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "domain.update")
        .target("domain", row.id.0)
        .details(json!({"domain": row.domain, "auto_join": row.auto_join}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The domain was changed.";
    Ok(Reply::ok(DomainAnswer { domain: row.into(), message }, message))
}
