//! The deadline of required single sign-on: the sessions that the identity provider did not open end.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use rivergen_identity::{security::Enforcement, session};
use rivergen_kernel::{ErrorCode, OrganizationId, Result, Tenant};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, Actor, AuditRecord},
    jobs::{Handler, JobContext, JobError, JobOptions},
};
use rivergen_tenancy::organization;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::Federation;

const JOB: &str = "federation.sso_deadline";

struct Deadline(Federation);

/// Which deadline it is; one that was moved meanwhile is nobody's.
#[derive(Debug, Serialize, Deserialize)]
struct Due {
    organization_id: OrganizationId,
    at: DateTime<Utc>,
}

pub(super) fn register(federation: &Federation) {
    federation.platform().jobs.register(JOB, Arc::new(Deadline(federation.clone())));
}

/// Puts the end of the sessions off until the deadline.
pub(super) async fn schedule(
    federation: &Federation,
    tx: &Transaction,
    tenant: Tenant,
    at: DateTime<Utc>,
) -> Result<()> {
    let organization_id = tenant.organization_id();
    let options = JobOptions {
        run_at: Some(at),
        unique_key: Some(format!("{organization_id} {}", at.timestamp())),
        organization_id: Some(organization_id),
        ..JobOptions::default()
    };
    federation.platform().jobs.enqueue(tx, JOB, &Due { organization_id, at }, options).await.map(drop)
}

/// Ends them now, and tells the nodes that the organization is closed to them; answers how many.
pub(super) async fn end_sessions(
    tx: &Transaction,
    tenant: Tenant,
    enforcement: &Enforcement,
    now: DateTime<Utc>,
) -> Result<u64> {
    let organization_id = tenant.organization_id();
    let ended = session::end_unfederated(tx, organization_id, &enforcement.exempt_user_ids, now).await?;
    tx.publish(Event::OrganizationChanged(organization_id)).await?;
    Ok(ended)
}

#[async_trait]
impl Handler for Deadline {
    async fn run(&self, payload: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let due: Due = serde_json::from_value(payload).map_err(JobError::fatal)?;
        Ok(pass(&self.0, &due).await?)
    }
}

async fn pass(federation: &Federation, due: &Due) -> Result<()> {
    let platform = federation.platform();
    let now = platform.clock.now();
    let tenant = Tenant::on_behalf_of(due.organization_id);
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let enforcement = match super::organization_of(tx.conn(), tenant).await {
        Err(error) if error.code == ErrorCode::OrganizationNotFound => return Ok(()),
        found => found?.enforcement()?,
    };
    if enforcement.sso_deadline() != Some(due.at) || now < due.at {
        return Ok(());
    }
    let ended = end_sessions(&tx, tenant, &enforcement, now).await?;
    let record = AuditRecord::new(Some(due.organization_id), Actor::system(), "sso_enforcement.deadline")
        .target("organization", due.organization_id.0)
        .details(json!({"sessions_ended": ended}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await
}
