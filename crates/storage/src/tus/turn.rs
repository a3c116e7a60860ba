//! One request at a time sends the bytes of an upload: the newest.
//!
//! A client whose connection broke begins again before the server has noticed, and would wait for the request of before; so
//! that one is ended, and what had come of it counts. Several at once would each write all that they are sent, of which one
//! counts. Each node sees to its own requests; of those on several nodes, the offset in the database lets one go on.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use rivergen_kernel::UploadId;
use tokio::sync::OwnedMutexGuard;
use tokio_util::sync::CancellationToken;

/// The requests that are about uploads now; cheap to clone.
#[derive(Debug, Clone, Default)]
pub(crate) struct Turns(Arc<Mutex<HashMap<UploadId, Line>>>);

/// Those about one upload.
#[derive(Debug, Default)]
struct Line {
    requests: usize,
    place: Arc<tokio::sync::Mutex<()>>,
    newest: CancellationToken,
}

/// The turn of a request, until it is dropped.
#[derive(Debug)]
pub(crate) struct Turn {
    turns: Turns,
    upload: UploadId,
    over: CancellationToken,
    place: Option<OwnedMutexGuard<()>>,
}

impl Turns {
    /// Ends the request that sends the upload's bytes, and takes its place when it is gone.
    pub async fn take(&self, upload: UploadId) -> Turn {
        let over = CancellationToken::new();
        let newest = over.clone();
        self.enter(upload, over, |line| std::mem::replace(&mut line.newest, newest).cancel()).await
    }

    /// Waits for the request that sends the upload's bytes.
    pub async fn after(&self, upload: UploadId) -> Turn {
        self.enter(upload, CancellationToken::new(), |_| ()).await
    }

    async fn enter(&self, upload: UploadId, over: CancellationToken, before: impl FnOnce(&mut Line)) -> Turn {
        let place = {
            let mut lines = self.lines();
            let line = lines.entry(upload).or_default();
            line.requests += 1;
            before(line);
            line.place.clone()
        };
        // From here on, dropping it leaves the line.
        let mut turn = Turn { turns: self.clone(), upload, over, place: None };
        turn.place = Some(place.lock_owned().await);
        turn
    }

    fn lines(&self) -> MutexGuard<'_, HashMap<UploadId, Line>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Turn {
    /// A newer request is there.
    pub async fn over(&self) {
        self.over.cancelled().await;
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.place = None;
        let mut lines = self.turns.lines();
        let Some(line) = lines.get_mut(&self.upload) else { return };
        line.requests -= 1;
        if line.requests == 0 {
            lines.remove(&self.upload);
        }
    }
}
