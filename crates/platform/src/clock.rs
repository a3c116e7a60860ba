//! Time, handed in: the system's in production, a movable one in tests.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering},
};

use chrono::{DateTime, Duration, SubsecRound, Utc};

/// Where the time comes from.
pub trait Now: Send + Sync {
    fn now(&self) -> DateTime<Utc>;
}

/// The clock that everything reads; cheap to clone.
#[derive(Clone)]
pub struct Clock(Arc<dyn Now>);

impl Clock {
    pub fn system() -> Self {
        Self(Arc::new(SystemTime))
    }

    pub fn from(source: Arc<dyn Now>) -> Self {
        Self(source)
    }

    /// Now, in UTC, to the microsecond: what both databases can keep, so that a value read back is equal.
    pub fn now(&self) -> DateTime<Utc> {
        self.0.now().trunc_subsecs(6)
    }
}

struct SystemTime;

impl Now for SystemTime {
    fn now(&self) -> DateTime<Utc> {
        Utc::now()
    }
}

/// The system's time and an offset that a test moves: "an hour later" without waiting for it.
#[derive(Default)]
pub struct MovableTime {
    offset_micros: AtomicI64,
}

impl MovableTime {
    pub fn advance(&self, by: Duration) {
        self.offset_micros.fetch_add(by.num_microseconds().unwrap_or(i64::MAX / 2), Ordering::SeqCst);
    }
}

impl Now for MovableTime {
    fn now(&self) -> DateTime<Utc> {
        Utc::now() + Duration::microseconds(self.offset_micros.load(Ordering::SeqCst))
    }
}
