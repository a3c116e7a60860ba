//! What is thrown away by age, once an hour: deleted sources after thirty days, and what is kept of the others' past.

use std::{sync::Arc, time::Duration};

use rivergen_kernel::Result;
use rivergen_platform::{
    Event, Transaction,
    audit::{self, Actor, AuditRecord},
    jobs::{Handler, JobContext, JobError},
};
use rivergen_policies::store::assignment;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect};

use crate::{
    Sources, discovery, health,
    source::{self, Column, Entity},
};

/// How long a deleted source can be restored.
pub const KEPT: chrono::Duration = chrono::Duration::days(30);
const JOB: &str = "sources.purge";
/// Sources of one run: each takes a transaction of its own.
const BATCH: u64 = 100;

struct Purge(Sources);

pub(crate) fn register(sources: &Sources) {
    sources.platform.jobs.every(JOB, Duration::from_secs(3600), Arc::new(Purge(sources.clone())));
}

#[async_trait::async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        deleted(&self.0).await?;
        let platform = &self.0.platform;
        let now = platform.clock.now();
        let tx = platform.db.begin().await?;
        health::history::purge(&tx, now).await?;
        discovery::runs::purge(&tx, now).await?;
        discovery::change::purge(&tx, now).await?;
        tx.commit().await?;
        Ok(())
    }
}

/// Index: data_sources(deleted_at).
async fn deleted(sources: &Sources) -> Result<()> {
    let platform = &sources.platform;
    let before = platform.clock.now() - KEPT;
    let due = Entity::find().filter(Column::DeletedAt.lte(before)).order_by_asc(Column::Id).limit(BATCH);
    for row in due.all(platform.db.read()).await? {
        let tx = platform.db.begin().await?;
        let still = Entity::find_by_id(row.id).filter(Column::DeletedAt.lte(before)).lock_exclusive();
        if still.one(tx.conn()).await?.is_none() {
            continue;
        }
        let detached = wipe(&tx, &row).await?;
        tx.publish(Event::DataSourceChanged(row.id)).await?;
        let record = AuditRecord::new(Some(row.organization_id), Actor::system(), "data_source.purge")
            .target("data_source", row.id)
            .details(serde_json::json!({"name": row.name, "type": row.kind, "assignments_detached": detached}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
    }
    Ok(())
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
