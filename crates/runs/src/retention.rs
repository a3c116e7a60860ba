//! The end of old records of queries, once an hour on one node.

use std::{sync::Arc, time::Duration};

use rivergen_platform::jobs::{Handler, JobContext, JobError};
use rivergen_policies::retention;

use crate::Engine;

struct Purge {
    engine: Engine,
    kept: chrono::Duration,
}

/// Registers the job; there is none where the record is kept for ever.
pub fn register_jobs(engine: &Engine) {
    let Some(kept) = engine.settings.history_kept else { return };
    let purge = Purge { engine: engine.clone(), kept };
    engine.platform.jobs.every("queries.purge_history", Duration::from_secs(3600), Arc::new(purge));
}

#[async_trait::async_trait]
impl Handler for Purge {
    async fn run(&self, _: serde_json::Value, _: JobContext) -> Result<(), JobError> {
        let platform = &self.engine.platform;
        retention::forget(platform, platform.clock.now() - self.kept).await.map(drop).map_err(JobError::retry)
    }
}
