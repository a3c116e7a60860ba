//! Proofs are looked at again every day. One whose record is found missing for seven days lapses: nobody joins by it any
//! more, another organization may prove the domain, and the owners are told.
//!
//! A code that was mailed to the domain stands in for the record for a year; from then on the record has to be there.
//!
//! What counts is the answer that there is no such record. Name servers that do not answer say nothing: the proof stays,
//! and the days are counted on. Whatever comes of a look, the next one at the domain is a day later, behind all others:
//! so nobody's name servers keep the proofs of others from being looked at.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_kernel::{DomainId, ErrorCode, Result, Tenant};
use rivergen_platform::{
    Clock, Event, Platform, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    jobs::{Handler, JobContext, JobError},
    mail::{self, MailTemplate},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    QuerySelect, QueryTrait, sea_query::Expr,
};
use serde_json::json;

use super::{Column, Entity, Model, Status, find};
use crate::{
    Tenancy,
    member::{self, assignment},
    organization,
};

const JOB: &str = "tenancy.check_domains";
/// Domains of one run: with the longest patience for each it still ends in its time.
const BATCH: u64 = 50;
/// How long the record may be missing.
const GRACE_DAYS: i64 = 7;
/// Owners who are told.
const MOST_OWNERS: u64 = 50;

struct Check(Platform);

/// Registers the job; every ten minutes it looks at those domains that were not looked at for a day.
pub(crate) fn register(tenancy: &Tenancy) {
    let platform = &tenancy.identity.platform;
    platform.jobs.every(JOB, Duration::from_secs(600), Arc::new(Check(platform.clone())));
}

#[async_trait]
impl Handler for Check {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        for row in due(&self.0).await? {
            if context.shutdown.is_cancelled() {
                break;
            }
            let (id, domain, seen_at) = (row.id, row.domain.clone(), row.checked_at);
            // One that cannot be dealt with stops no other: it comes after them from now on.
            if let Err(error) = check(&self.0, row).await {
                tracing::error!(domain, ?error, "the proof of a domain could not be dealt with");
                put_off(&self.0, id, seen_at).await?;
            }
        }
        Ok(())
    }
}

/// Index: organization_domains(status, checked_at).
async fn due(platform: &Platform) -> Result<Vec<Model>> {
    let open = organization::Entity::find()
        .select_only()
        .column(organization::Column::Id)
        .filter(organization::Column::DeletedAt.is_null())
        .into_query();
    let due = Entity::find()
        .filter(Column::Status.eq(Status::Verified))
        .filter(Column::CheckedAt.lte(platform.clock.now() - chrono::Duration::days(1)))
        .filter(Column::OrganizationId.in_subquery(open));
    Ok(due.order_by_asc(Column::CheckedAt).limit(BATCH).all(platform.db.read()).await?)
}

/// Looks at one domain, and writes down what it found.
async fn check(platform: &Platform, seen: Model) -> Result<()> {
    let published = seen.is_published(&platform.outbound).await;
    let now = platform.clock.now();
    let tenant = Tenant::on_behalf_of(seen.organization_id);
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    // Given up, or verified by somebody meanwhile: what we saw is old.
    let row = match find(tx.conn(), tenant, seen.id).await {
        Err(error) if error.code == ErrorCode::DomainNotFound => return Ok(()),
        found => found?,
    };
    if row.status != Status::Verified || row.checked_at != seen.checked_at {
        return Ok(());
    }
    let mail_proof_until = row.mail_proof_until.filter(|_| !matches!(published, Ok(true)));
    let missing_since = match &published {
        Ok(true) => None,
        _ if mail_proof_until.is_some_and(|until| now < until) => None,
        Ok(false) => Some(row.missing_since.unwrap_or(now)),
        Err(error) => {
            tracing::warn!(domain = row.domain, %error, "the proof of a domain could not be looked at");
            row.missing_since
        }
    };
    let is_over = missing_since.is_some_and(|since| now - since >= chrono::Duration::days(GRACE_DAYS));
    let mut changed = row.into_active_model();
    changed.checked_at = Set(Some(now));
    changed.missing_since = Set(missing_since);
    changed.mail_proof_until = Set(mail_proof_until);
    let row = changed.update(tx.conn()).await?;
    if published.is_ok() && is_over {
        let why = format!("The DNS record that verifies {} was missing for {GRACE_DAYS} days.", row.domain);
        tell_owners(platform, &tx, tenant, &row, &why).await?;
        lapse(&tx, row, "the record is missing", &platform.clock).await?;
    }
    tx.commit().await
}

/// Puts the next look at a domain off until its turn comes again, though nothing could be written down of this one.
async fn put_off(platform: &Platform, id: DomainId, seen_at: Option<DateTime<Utc>>) -> Result<()> {
    let tx = platform.db.begin().await?;
    Entity::update_many()
        .col_expr(Column::CheckedAt, Expr::value(platform.clock.now()))
        .filter(Column::Id.eq(id))
        .filter(Column::CheckedAt.eq(seen_at))
        .exec(tx.conn())
        .await?;
    tx.commit().await
}

/// Ends the proof. Writes the audit log, so it comes last.
pub(super) async fn lapse(tx: &Transaction, row: Model, reason: &'static str, clock: &Clock) -> Result<()> {
    let (id, organization, domain) = (row.id, row.organization_id, row.domain.clone());
    let mut row = row.into_active_model();
    row.status = Set(Status::Lapsed);
    row.auto_join = Set(false);
    row.mail_proof_until = Set(None);
    row.update(tx.conn()).await?;
    tx.publish(Event::OrganizationChanged(organization)).await?;
    let record = AuditRecord::new(Some(organization), Actor::system(), "domain.lapse")
        .target("domain", id.0)
        .details(json!({"domain": domain, "reason": reason}));
    audit::record(tx, clock, record).await
}

/// Tells the owners that the proof is over, and why.
pub(super) async fn tell_owners(
    platform: &Platform,
    tx: &Transaction,
    tenant: Tenant,
    row: &Model,
    why: &str,
) -> Result<()> {
    let holders = member::ownerships(tx, tenant).await?.filter(assignment::live(platform.clock.now()));
    let holders = holders.select_only().column(assignment::Column::UserId).into_query();
    let owners = tenant
        .find::<member::Entity>()
        .filter(member::Column::UserId.in_subquery(holders))
        .order_by_asc(member::Column::Id)
        .limit(MOST_OWNERS)
        .all(tx.conn())
        .await?;
    let record = row.record();
    // An address that no mail can go to must not keep the proof alive.
    for owner in owners.iter().filter(|owner| mail::check_recipient(&owner.email).is_ok()) {
        let mail = MailTemplate::new(format!("{} is no longer verified", row.domain))
            .paragraph(format!(
                "{why} The domain no longer counts as verified, and nobody can join your organization through it."
            ))
            .paragraph(format!(
                "Publish the TXT record {} with the value {}, and verify the domain again.",
                record.name, record.value
            ))
            .footer("You are receiving this e-mail because you are an owner of the organization.");
        mail::send(platform, tx, mail.into_mail("tenancy.domain_lapsed", &owner.email)).await?;
    }
    Ok(())
}
