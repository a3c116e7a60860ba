//! Looks after the sources by itself: every minute those whose time has come are checked, and discovered.
//!
//! On one node at a time. When a source comes next stands in its row ([`Sources::next_check`] and
//! [`discovery::next_discovery`] say when), so nothing is remembered in memory and a restart brings no flood. A source that
//! fails is checked less and less often; one that is switched off, or whose organization is closed, not at all.

use std::{sync::Arc, time::Duration};

use futures::StreamExt;
use rivergen_kernel::{Result, Tenant};
use rivergen_platform::jobs::{Handler, JobContext, JobError};
use rivergen_tenancy::organization;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait};

use crate::{
    Sources, discovery,
    source::{self, Column, Entity, Status},
};

const JOB: &str = "sources.monitor";
const EVERY: Duration = Duration::from_secs(60);
/// Sources of one run; the others come with the next.
const BATCH: u64 = 100;
/// Checks at a time: most of them wait for a network.
const AT_ONCE: usize = 8;

struct Monitor(Sources);

pub(crate) fn register(sources: &Sources) {
    sources.platform.jobs.every(JOB, EVERY, Arc::new(Monitor(sources.clone())));
}

#[async_trait::async_trait]
impl Handler for Monitor {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> std::result::Result<(), JobError> {
        let Self(sources) = self;
        for source in due(sources, Column::NextDiscoveryAt, &[Status::Active]).await? {
            if let Err(error) = discovery::enqueue(sources, &source).await {
                tracing::warn!(%error, data_source = %source.id, "a discovery could not be enqueued");
            }
        }
        if sources.settings.check_every.is_none() {
            return Ok(());
        }
        let due = due(sources, Column::NextCheckAt, &[Status::Active, Status::Failed, Status::Testing]).await?;
        let stopping = &context.shutdown;
        let checks = futures::stream::iter(due).map(|source| async move {
            if stopping.is_cancelled() {
                return;
            }
            let tenant = Tenant::on_behalf_of(source.organization_id);
            if let Err(error) = sources.scheduled_check(tenant, &source).await {
                tracing::warn!(%error, data_source = %source.id, "a source could not be checked");
            }
        });
        checks.buffer_unordered(AT_ONCE).collect::<Vec<()>>().await;
        Ok(())
    }

    fn takes_long(&self) -> bool {
        true
    }
}

/// A closed organization's are left alone, as long as it may still be restored. Indexes: data_sources(next_check_at),
/// data_sources(next_discovery_at).
async fn due(sources: &Sources, at: Column, of: &[Status]) -> Result<Vec<source::Model>> {
    let platform = &sources.platform;
    let open = organization::Entity::find()
        .select_only()
        .column(organization::Column::Id)
        .filter(organization::Column::DeletedAt.is_null());
    let due = Entity::find()
        .filter(Column::OrganizationId.in_subquery(open.into_query()))
        .filter(at.lte(platform.clock.now()))
        .filter(Column::Status.is_in(of.iter().copied()))
        .filter(Column::DeletedAt.is_null());
    Ok(due.order_by_asc(at).limit(BATCH).all(platform.db.read()).await?)
}
