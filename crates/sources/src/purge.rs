//! What is thrown away by age, once an hour: deleted sources after thirty days, and what is kept of the others' past.

use std::{sync::Arc, time::Duration};

use rivergen_kernel::Result;
use rivergen_platform::{
    Event, Platform, Transaction,
    audit::{self, Actor, AuditRecord},
    jobs::{Handler, JobContext, JobError},
    removal,
};
use rivergen_policies::store::assignment;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect};

use crate::{
    Sources, discovery, health,
    source::{self, Column, Entity},
};

/// How long a deleted source can be restored.
pub const KEPT: chrono::Duration = chrono::Duration::days(30);
const JOB: &str = "sources.purge";

struct Purge(Sources);

pub(crate) fn register(sources: &Sources) {
    sources.platform.jobs.every(JOB, Duration::from_secs(3600), Arc::new(Purge(sources.clone())));
}

#[async_trait::async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        let platform = &self.0.platform;
        let now = platform.clock.now();
        // Index: data_sources(deleted_at).
        let due = Entity::find().filter(Column::DeletedAt.lte(now - KEPT));
        let deleted =
            removal::one_by_one(&platform.db, &context.shutdown, Column::Id, due, |row| remove(platform, row)).await;
        let tx = platform.db.begin().await?;
        health::history::purge(&tx, now).await?;
        discovery::runs::purge(&tx, now).await?;
        discovery::change::purge(&tx, now).await?;
        tx.commit().await?;
        // What is kept of the others' past does not wait for one that cannot be removed.
        deleted
    }
}

/// Removes a source for good, unless somebody has just restored it.
async fn remove(platform: &Platform, row: source::Model) -> Result<()> {
    let tx = platform.db.begin().await?;
    let is_over = Column::DeletedAt.lte(platform.clock.now() - KEPT);
    let still_due = Entity::find_by_id(row.id).filter(is_over).lock_exclusive();
    if still_due.one(tx.conn()).await?.is_none() {
        return Ok(());
    }
    let detached = wipe(&tx, &row).await?;
    tx.publish(Event::DataSourceChanged(row.id)).await?;
    let record = AuditRecord::new(Some(row.organization_id), Actor::system(), "data_source.purge")
        .target("data_source", row.id)
        .details(serde_json::json!({"name": row.name, "type": row.kind, "assignments_detached": detached}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await
}

/// Removes the row with everything that hangs on it (credentials, tables, history), and the assignments of policies to
/// it, of which it answers the number.
pub(crate) async fn wipe(tx: &Transaction, source: &source::Model) -> Result<u64> {
    let detached = assignment::detach_source(tx, source.organization_id, source.id).await?;
    if detached > 0 {
        tx.publish(Event::PoliciesChanged(source.organization_id)).await?;
    }
    Entity::delete_by_id(source.id).exec(tx.conn()).await?;
    Ok(detached)
}
