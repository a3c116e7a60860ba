//! `DELETE /api/v1/organizations/{org_id}/domains/{domain_id}`: gives a domain up. Who joined by it stays.

use axum::extract::State;
use rivergen_kernel::{DomainId, OrganizationId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::EntityTrait;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Entity, find};
use crate::{Tenancy, organization};

#[derive(Debug, Serialize, ToSchema)]
pub struct RemovedDomain {
    pub domain_id: DomainId,
    pub message: &'static str,
}

errors! { pub RemoveErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, DomainNotFound; }

/// Remove a mail domain from an organization
#[utoipa::path(delete, path = "/api/v1/organizations/{org_id}/domains/{domain_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("domain_id" = DomainId, Path, description = "The domain")),
    responses((status = 200, description = "Removed; if it is added again, it has a different record", body = Envelope<RemovedDomain>), RemoveErrors))]
pub async fn remove(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, domain_id)): Path<(OrganizationId, DomainId)>,
) -> Result<Reply<RemovedDomain>> {
    let platform = &tenancy.identity.platform;
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationUpdate)?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = find(tx.conn(), tenant, domain_id).await?;
    Entity::delete_by_id(row.id).exec(tx.conn()).await?;
    tx.publish(Event::OrganizationChanged(org_id)).await?;
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "domain.remove")
        .target("domain", row.id.0)
        .details(json!({"domain": row.domain, "status": row.status}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The domain was removed.";
    Ok(Reply::ok(RemovedDomain { domain_id, message }, message))
}
