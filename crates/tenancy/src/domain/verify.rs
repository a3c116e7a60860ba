//! `POST /api/v1/organizations/{org_id}/domains/{domain_id}/verify`: looks for the record; where it is, the domain is the
//! organization's.
//!
//! Of two organizations that have published a record each, the one that verifies first has the domain, until its proof
//! lapses. A closed organization holds nothing up: what it had proved lapses here, and so does what another one proved by a
//! mail alone.

use std::time::Duration;

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{DomainId, Error, ErrorCode, OrganizationId, Permission, Result, Tenant};
use rivergen_platform::{
    Event, Platform, Transaction,
    audit::{self, Actor, AuditRecord},
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
pub(super) const VERIFICATIONS: Rule = Rule::new("domain_verifications", 30, Duration::from_secs(3600));

/// How long a mailed code proves a domain.
const MAIL_PROOF: chrono::Duration = chrono::Duration::days(365);

/// What proves a domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Evidence {
    Record,
    Mail,
}

impl Evidence {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Record => "record",
            Self::Mail => "mail",
        }
    }
}

errors! { pub VerifyErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, OrgNotFound, DomainNotFound, DomainTaken, DomainProofMissing, RateLimited, ServiceUnavailable; }

/// Verify a mail domain by its DNS record
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/domains/{domain_id}/verify", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("domain_id" = DomainId, Path, description = "The domain")),
    responses((status = 200, description = "The record was found; repeating the request checks again", body = Envelope<DomainAnswer>), VerifyErrors))]
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
            .with_message("The domain's name servers did not answer; try again shortly.")
            .with_source(error)
    })?;
    // Before anything is said of who else has it: that is for who has proved it.
    if !is_published {
        return Err(ErrorCode::DomainProofMissing.into());
    }

    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    // Not the row of before: it may be gone, and an id is never given twice.
    let row = find(tx.conn(), tenant, domain_id).await?;
    let row = settle(platform, &tx, row, Evidence::Record, origin.actor(caller.user_id)).await?;
    tx.commit().await?;
    let message = "The domain is verified.";
    Ok(Reply::ok(DomainAnswer { domain: row.into(), message }, message))
}

/// Writes down that the domain is proved; `DOMAIN_TAKEN` where another organization has it, and keeps it. Writes the audit log,
/// so it comes last.
pub(super) async fn settle(
    platform: &Platform,
    tx: &Transaction,
    row: Model,
    evidence: Evidence,
    by: Actor,
) -> Result<Model> {
    let was_verified = row.status == Status::Verified;
    if !was_verified {
        make_way(platform, tx, &row, evidence).await?;
    }
    let row = row.proved(tx, evidence, platform.clock.now()).await?;
    if !was_verified {
        let record = AuditRecord::new(Some(row.organization_id), by, "domain.verify")
            .target("domain", row.id.0)
            .details(json!({"domain": row.domain, "by": evidence.as_str()}));
        audit::record(tx, &platform.clock, record).await?;
        tx.publish(Event::OrganizationChanged(row.organization_id)).await?;
    }
    Ok(row)
}

impl Model {
    /// `DOMAIN_TAKEN` where another organization has it proved.
    async fn proved(self, tx: &Transaction, evidence: Evidence, now: DateTime<Utc>) -> Result<Self> {
        let is_verified = self.status == Status::Verified;
        let verified_at = self.verified_at.filter(|_| is_verified).unwrap_or(now);
        let has_record = is_verified && self.mail_proof_until.is_none() && self.missing_since.is_none();
        let mail_proof_until = match evidence {
            Evidence::Mail if !has_record => Some(now + MAIL_PROOF),
            // Whose record is there needs no mail.
            Evidence::Mail | Evidence::Record => None,
        };
        let mut row = self.into_active_model();
        row.status = Set(Status::Verified);
        row.verified_at = Set(Some(verified_at));
        row.checked_at = Set(Some(now));
        row.missing_since = Set(None);
        row.mail_code_hash = Set(None);
        row.mail_code_expires_at = Set(None);
        row.mail_proof_until = Set(mail_proof_until);
        // Index: organization_domains(domain) of those that are verified, unique.
        row.update(tx.conn()).await.map_err(duplicate_is(ErrorCode::DomainTaken))
    }
}

/// Takes the proof of the same domain from an organization that is closed and, where the record is there, from one that was
/// only mailed a code: whoever rules the DNS of a domain says where its mail goes.
async fn make_way(platform: &Platform, tx: &Transaction, claim: &Model, evidence: Evidence) -> Result<()> {
    let held = Entity::find().filter(Column::Domain.eq(&claim.domain)).filter(Column::Status.eq(Status::Verified));
    let Some(held) = held.one(tx.conn()).await? else { return Ok(()) };
    let closed = organization::Entity::find_by_id(held.organization_id)
        .filter(organization::Column::DeletedAt.is_not_null())
        .one(tx.conn())
        .await?;
    if closed.is_some() {
        return lapse::lapse(tx, held, "the organization is closed", &platform.clock).await;
    }
    if evidence == Evidence::Mail || held.mail_proof_until.is_none() {
        return Ok(());
    }
    let why = format!(
        "Another organization has published the DNS record that verifies {}, which counts for more than a code by \
         e-mail.",
        held.domain
    );
    lapse::tell_owners(platform, tx, Tenant::on_behalf_of(held.organization_id), &held, &why).await?;
    lapse::lapse(tx, held, "another organization has published the record", &platform.clock).await
}
