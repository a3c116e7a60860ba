//! `POST /api/v1/organizations/{org_id}/domains`: claims a domain, and answers the record that proves it.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{DomainAnswer, MOST, claim, count, normalise, refusal};
use crate::{Tenancy, organization};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"domain": "acme.example"}))]
pub struct AddDomainRequest {
    /// A domain of your own; each subdomain counts as a separate domain.
    #[garde(skip)]
    pub domain: String,
}

errors! { pub AddErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, PlanLimitReached, OrgNotFound, DomainExists, ValidationError; }

/// Add a mail domain to an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/domains", tag = "organizations", request_body = AddDomainRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 201, description = "Added; publish `record`, then verify", body = Envelope<DomainAnswer>), AddErrors))]
pub async fn add(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<AddDomainRequest>,
) -> Result<Reply<DomainAnswer>> {
    let platform = &tenancy.identity.platform;
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationUpdate)?;
    let domain = normalise(&request.domain)
        .ok_or_else(|| Error::invalid_field("domain", "is not a domain name such as acme.example"))?;
    if let Some(reason) = refusal(&domain) {
        return Err(Error::invalid_field("domain", reason));
    }

    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = claim(&tx, tenant, domain, platform.clock.now()).await?;
    if count(&tx, tenant).await? > MOST {
        let message = format!("An organization can have at most {MOST} domains.");
        return Err(Error::new(ErrorCode::PlanLimitReached).with_message(message));
    }
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "domain.add")
        .target("domain", row.id.0)
        .details(json!({"domain": row.domain}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The domain was added; publish its record, then verify it.";
    Ok(Reply::created(DomainAnswer { domain: row.into(), message }, message))
}
