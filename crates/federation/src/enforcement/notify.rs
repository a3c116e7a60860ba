//! `POST /api/v1/sso/enforcement/notifications/{organization_id}`: sends one kind of notice to all members whom it concerns.
//!
//! The request counts them and leaves a job, which writes the mails in batches: an organization may have a hundred thousand
//! members. Whoever got the same notice within a day is passed over, so a job that runs twice mails nobody twice.

use std::sync::Arc;

use async_trait::async_trait;
use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
    jobs::{Handler, JobContext, JobError, JobOptions},
};
use rivergen_tenancy::{member, organization};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, IntoActiveModel, PaginatorTrait, QueryFilter, QueryOrder,
    QuerySelect,
};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    mails::Letter,
    notice::{self, Kind},
    people::Rules,
};
use crate::Federation;

const JOB: &str = "federation.sso_notices";
/// Mails of one transaction.
const BATCH: u64 = 500;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct NotificationQuery {
    /// Which one.
    #[garde(skip)]
    #[param(inline, required = true)]
    notification_type: Option<Kind>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct NotificationsSent {
    /// Members whom the notice concerns; the e-mails are on their way.
    #[schema(examples(25))]
    pub notifications_sent: u64,
    #[schema(inline)]
    pub notification_type: Kind,
    pub message: &'static str,
}

errors! { pub NotifyErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, SsoRequired, OrganizationNotFound, ValidationError, RateLimited; }

/// Send a kind of notice to the members it concerns
#[utoipa::path(post, path = "/api/v1/sso/enforcement/notifications/{organization_id}", tag = "sso_enforcement",
    params(("organization_id" = OrganizationId, Path, description = "The organization"), NotificationQuery),
    responses((status = 200, description = "The e-mails are on their way", body = Envelope<NotificationsSent>), NotifyErrors))]
pub async fn send_notifications(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(organization_id): Path<OrganizationId>,
    Query(query): Query<NotificationQuery>,
) -> Result<Reply<NotificationsSent>> {
    let (caller, tenant) = super::administer(&federation, &caller, organization_id).await?;
    let kind = query.notification_type.ok_or_else(|| Error::invalid_field("notification_type", "is required"))?;
    let tx = federation.platform().db.begin().await?;
    let count = announce(&federation, &tx, tenant, kind, &caller, &origin).await?;
    tx.commit().await?;
    let message = "The notices are on their way.";
    let sent = NotificationsSent { notifications_sent: count, notification_type: kind, message };
    Ok(Reply::ok(sent, message))
}

/// Sends a notice to everybody whom it concerns, once a day; answers how many that are. Writes the audit log, so it comes
/// last.
pub(super) async fn announce(
    federation: &Federation,
    tx: &Transaction,
    tenant: Tenant,
    kind: Kind,
    caller: &Caller,
    origin: &RequestOrigin,
) -> Result<u64> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let organization_id = tenant.organization_id();
    organization::lock(tx, tenant).await?;
    let row = super::organization_of(tx.conn(), tenant).await?;
    let mut enforcement = row.enforcement()?;
    if let Some(last) = enforcement.notified_at.get(kind.as_str()) {
        refuse_again(*last, now)?;
    }
    let rules = Rules::of(&enforcement, super::mfa_mode(&row, &enforcement)?);
    let due = notice::due(notice::concerned(kind, tenant, &rules), kind, tenant, now);
    let count = due.count(tx.conn()).await?;
    if count == 0 {
        // Nobody hears it: whoever it concerns tomorrow shall.
        return Ok(0);
    }
    enforcement.notified_at.insert(kind.as_str().to_owned(), now);
    let mut row = row.into_active_model();
    row.enforcement = Set(Some(serde_json::to_value(&enforcement).map_err(Error::internal)?));
    row.update(tx.conn()).await?;
    let options = JobOptions {
        unique_key: Some(format!("{organization_id} {}", kind.as_str())),
        organization_id: Some(organization_id),
        ..JobOptions::default()
    };
    platform.jobs.enqueue(tx, JOB, &Round { organization_id, kind }, options).await?;
    let record = AuditRecord::new(Some(organization_id), origin.actor(caller.user_id), "sso_enforcement.notify")
        .target("organization", organization_id.0)
        .details(json!({"notification_type": kind, "notifications": count}));
    audit::record(tx, &platform.clock, record).await?;
    Ok(count)
}

/// 429 within a day of the last time.
pub(super) fn refuse_again(last: DateTime<Utc>, now: DateTime<Utc>) -> Result<()> {
    let left = last + notice::AGAIN - now;
    match left.to_std() {
        Ok(wait) if !wait.is_zero() => Err(Error::new(ErrorCode::RateLimited)
            .with_message("This notice was already sent within the last 24 hours.")
            .with_retry_after(std::time::Duration::from_secs(wait.as_secs() + 1))),
        _ => Ok(()),
    }
}

struct Notices(Federation);

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
struct Round {
    organization_id: OrganizationId,
    kind: Kind,
}

pub(super) fn register(federation: &Federation) {
    federation.platform().jobs.register(JOB, Arc::new(Notices(federation.clone())));
}

#[async_trait]
impl Handler for Notices {
    async fn run(&self, payload: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        let round: Round = serde_json::from_value(payload).map_err(JobError::fatal)?;
        let mut after = UserId(0);
        loop {
            match batch(&self.0, round, after).await {
                Ok(Some(last)) => after = last,
                Ok(None) => return Ok(()),
                // The organization is gone.
                Err(error) if error.code == ErrorCode::OrganizationNotFound => return Ok(()),
                Err(error) => return Err(error.into()),
            }
            if context.shutdown.is_cancelled() {
                return Err(JobError::retry("the server shuts down; the rest is sent later"));
            }
        }
    }
}

/// Mails the next members; answers the last of them, and `None` when there are no more.
async fn batch(federation: &Federation, round: Round, after: UserId) -> Result<Option<UserId>> {
    let platform = federation.platform();
    let tenant = Tenant::on_behalf_of(round.organization_id);
    let tx = platform.db.begin().await?;
    // Whoever reminds the same people at this moment waits.
    organization::lock(&tx, tenant).await?;
    let row = super::organization_of(tx.conn(), tenant).await?;
    let enforcement = row.enforcement()?;
    let rules = Rules::of(&enforcement, super::mfa_mode(&row, &enforcement)?);
    let concerned = notice::concerned(round.kind, tenant, &rules);
    // Index: memberships(organization_id, user_id), unique.
    let due = notice::due(concerned, round.kind, tenant, platform.clock.now())
        .filter(member::Column::UserId.gt(after))
        .order_by_asc(member::Column::UserId)
        .limit(BATCH);
    let members = due.all(tx.conn()).await?;
    let letter = Letter { kind: round.kind, organization: row.name, deadline: enforcement.sso_deadline() };
    notice::send(platform, &tx, tenant, &letter, &members).await?;
    tx.commit().await?;
    Ok(members.last().map(|member| member.user_id))
}
