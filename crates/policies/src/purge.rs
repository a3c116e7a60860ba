//! The end of deleted policies: when they cannot be restored any more, their rows go, with rules, assignments, versions and
//! the record of what they did. That record may be long, so it goes in pieces before the policy itself.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::Result;
use rivergen_platform::{
    audit::{Actor, AuditRecord},
    jobs::{Handler, JobContext, JobError},
    removal,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde_json::json;

use crate::{
    Policies,
    evaluation::entry,
    store::{Column, Entity, Model},
};

const JOB: &str = "policies.purge";
/// Evaluations of one transaction.
const PIECE: u64 = 5_000;
/// Queries that a policy governed when it was deleted still write down what it did.
const AFTER: chrono::Duration = chrono::Duration::days(1);

/// Registers the job; it runs every hour on one node.
pub fn register(policies: &Policies) {
    policies.platform.jobs.every(JOB, Duration::from_secs(3600), Arc::new(Purge(policies.clone())));
}

struct Purge(Policies);

#[async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        let policies = &self.0;
        let platform = &policies.platform;
        // Index: policies(purge_at), of those that are deleted.
        let is_over = Column::PurgeAt.lte(platform.clock.now() - AFTER);
        let due = Entity::find().filter(is_over.clone());
        removal::one_by_one(&platform.db, &context.shutdown, Column::Id, due, |row| {
            let still_due = Entity::delete_many().filter(Column::Id.eq(row.id)).filter(is_over.clone());
            let record = AuditRecord::new(Some(row.organization_id), Actor::system(), "policy.purge")
                .target("policy", row.id.0)
                .details(json!({"name": row.name}));
            async move {
                remove_evaluations(policies, &row).await?;
                removal::recorded(platform, platform.db.begin().await?, still_due, record).await
            }
        })
        .await
    }
}

/// Index: policy_evaluations(policy_id, id).
async fn remove_evaluations(policies: &Policies, policy: &Model) -> Result<()> {
    let its = entry::Entity::find().filter(entry::Column::PolicyId.eq(policy.id)).order_by_asc(entry::Column::Id);
    removal::in_pieces(&policies.platform.db, entry::Column::Id, its, PIECE).await
}
