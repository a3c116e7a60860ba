//! `POST /api/v1/organizations/{org_id}/domains/{domain_id}/verify`: looks for the record; where it is, the domain is the
//! organization's.
//!
//! Of two organizations that have published a record each, the one that verifies first has the domain, until its proof
//! lapses. A closed organization holds nothing up: what it had proved lapses here.

use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{DomainId, Error, ErrorCode, OrganizationId, Permission, Result};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
    limits::Rule,
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde_json::json;

use super::{Column, DomainAnswer, Entity, Model, Status, find, lapse};
use crate::{Tenancy, organization};

/// Looks of one organization.
const VERIFICATIONS: Rule = Rule::new("domain_verifications", 30, Duration::from_secs(3600));

errors! { pub VerifyErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, DomainNotFound, DomainTaken, DomainProofMissing, RateLimited, ServiceUnavailable; }

/// Prove a mail domain by its DNS record
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/domains/{domain_id}/verify", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("domain_id" = DomainId, Path, description = "The domain")),
    responses((status = 200, description = "The record is there; a repeat looks again", body = Envelope<DomainAnswer>), VerifyErrors))]
pub async fn verify(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, domain_id)): Path<(OrganizationId, DomainId)>,
) -> Result<Reply<DomainAnswer>> {
    let platform = &tenancy.identity.platform;
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationUpdate)?;
    let claim = find(platform.db.read(), tenant, domain_id).await?;
    platform.limits.check(&VERIFICATIONS, &org_id.to_string())?;
    let is_published = claim.is_published(&platform.outbound).await.map_err(|error| {
        Error::new(ErrorCode::ServiceUnavailable)
            .with_message("The name servers of the domain gave no answer; try again shortly.")
            .with_source(error)
    })?;
    // Before anything is said of who else has it: that is for who has proved it.
    if !is_published {
        return Err(ErrorCode::DomainProofMissing.into());
    }

    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    // Not the row of before: it may be gone, and an id is never given twice.
    let row = find(tx.conn(), tenant, domain_id).await?;
    let was_verified = row.status == Status::Verified;
    if !was_verified {
        lapse_of_closed(&tx, &row, &platform.clock).await?;
    }
    let row = row.proved(&tx, now).await?;
    if !was_verified {
        let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "domain.verify")
            .target("domain", row.id.0)
            .details(json!({"domain": row.domain}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.publish(Event::OrganizationChanged(org_id)).await?;
    }
    tx.commit().await?;
    let message = "The domain is verified.";
    Ok(Reply::ok(DomainAnswer { domain: row.into(), message }, message))
}

impl Model {
    /// `DOMAIN_TAKEN` where another organization has it proved.
    async fn proved(self, tx: &Transaction, now: DateTime<Utc>) -> Result<Self> {
        let verified_at = self.verified_at.filter(|_| self.status == Status::Verified).unwrap_or(now);
        let mut row = self.into_active_model();
        row.status = Set(Status::Verified);
        row.verified_at = Set(Some(verified_at));
        row.checked_at = Set(Some(now));
        row.missing_since = Set(None);
        // Index: organization_domains(domain) of those that are verified, unique.
        row.update(tx.conn()).await.map_err(duplicate_is(ErrorCode::DomainTaken))
    }
}

/// Takes the proof of the same domain from an organization that is closed.
async fn lapse_of_closed(tx: &Transaction, claim: &Model, clock: &rivergen_platform::Clock) -> Result<()> {
    let held = Entity::find().filter(Column::Domain.eq(&claim.domain)).filter(Column::Status.eq(Status::Verified));
    let Some(held) = held.one(tx.conn()).await? else { return Ok(()) };
    let closed = organization::Entity::find_by_id(held.organization_id)
        .filter(organization::Column::DeletedAt.is_not_null())
        .one(tx.conn())
        .await?;
    match closed {
        Some(_) => lapse::lapse(tx, held, "the organization is closed", clock).await,
        None => Ok(()),
    }
}
