//! Due times are claimed, questions asked, and messages sent.
//!
//! A run is settled once, in the transaction that writes its mails and its audit record: a worker that died is followed by
//! another one, which asks again, and of two that ended one is believed.
//!
//! | file | |
//! | --- | --- |
//! | `claims` | due times are claimed, on one node at a time |
//! | `runs` | a question is asked, and who is to hear of it does, on whichever node is free |
//! | `ending` | how a run ends on record, and what follows for its schedule |
//! | `messages` | what a webhook is told |

mod claims;
mod ending;
mod messages;
mod runs;

use std::sync::Arc;

use rivergen_platform::jobs::JobOptions;

use super::Model;
use crate::Studio;

pub(super) use runs::{enqueue, is_under_way};

/// Registers the jobs: due times are claimed on one node at a time, and what follows runs on any.
pub fn register_jobs(studio: &Studio) {
    let jobs = &studio.engine.platform.jobs;
    jobs.every(claims::CLAIM, claims::EVERY, Arc::new(claims::Claims(studio.clone())));
    jobs.register(runs::RUN, Arc::new(runs::Runs(studio.clone())));
    jobs.register(messages::WEBHOOK, Arc::new(messages::Messages(studio.clone())));
}

fn options(schedule: &Model, max_attempts: u32) -> JobOptions {
    JobOptions { max_attempts, organization_id: Some(schedule.organization_id), ..JobOptions::default() }
}
