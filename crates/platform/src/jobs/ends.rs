//! The ends of runs, written down together: SQLite has one writer, and each transaction costs it a write to the disk. While
//! one is written, the runs that end meanwhile wait for the next.
//!
//! Each run waits for its own end. A job that is dead has a transaction of its own, and does not come here.
//!
//! What writes them goes on for as long as somebody may come: an end at which it fails, or panics, takes none of the others
//! with it, and the job of that one runs again when its lease has ended.

use std::{panic::AssertUnwindSafe, slice, sync::Arc};

use futures::FutureExt;
use rivergen_kernel::{Error, ErrorCode, Result};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
};

use super::{
    Inner,
    store::{self, End},
};

/// Ends of one transaction at most.
const TOGETHER: usize = 100;

/// Where runs bring their ends; cheap to clone. What writes them down ends with the last clone, when it has written all.
#[derive(Clone)]
pub(super) struct Ends(mpsc::Sender<Waiting>);

struct Waiting {
    end: End,
    written: oneshot::Sender<Result<()>>,
}

pub(super) fn start(inner: Arc<Inner>) -> (Ends, JoinHandle<()>) {
    let (sender, mut waiting) = mpsc::channel::<Waiting>(TOGETHER);
    let writing = tokio::spawn(async move {
        let mut together = Vec::new();
        while waiting.recv_many(&mut together, TOGETHER).await > 0 {
            let (ends, runs): (Vec<End>, Vec<_>) = together.drain(..).map(|one| (one.end, one.written)).unzip();
            for (run, written) in runs.into_iter().zip(write(&inner, &ends).await) {
                // A run that was stopped meanwhile hears of it no more.
                let _ = run.send(written);
            }
        }
    });
    (Ends(sender), writing)
}

/// Writes them down together, or else each by itself: one of them may be why that fails. Answers what became of each.
async fn write(inner: &Inner, ends: &[End]) -> Vec<Result<()>> {
    let mut written = finish(inner, ends).await;
    // What gave way to another transaction is tried again: else all these jobs would run once more.
    if gave_way(&written) {
        written = finish(inner, ends).await;
    }
    if written.is_ok() || gave_way(&written) {
        return vec![written; ends.len()];
    }
    let mut each = Vec::with_capacity(ends.len());
    for end in ends {
        each.push(finish(inner, slice::from_ref(end)).await);
    }
    each
}

fn gave_way(written: &Result<()>) -> bool {
    written.as_ref().is_err_and(|error| error.code == ErrorCode::ServiceUnavailable)
}

/// A panic is a failure: its transaction is rolled back.
async fn finish(inner: &Inner, ends: &[End]) -> Result<()> {
    let finished = AssertUnwindSafe(store::finish(inner, ends)).catch_unwind().await;
    finished.unwrap_or_else(|_| Err(Error::internal("writing the ends of jobs down panicked")))
}

impl Ends {
    /// Answers when it is written down.
    pub async fn write(&self, end: End) -> Result<()> {
        let (written, answer) = oneshot::channel();
        self.0
            .send(Waiting { end, written })
            .await
            .map_err(|_| Error::internal("nobody writes the ends of jobs down"))?;
        answer.await.map_err(Error::internal)?
    }
}
