//! The threads that hash.
//!
//! There is one for each core, below everything else in priority, and each keeps the memory that Argon2 fills: a
//! storm of logins takes the cores that nothing else wants, and no more memory than the threads have. Who finds the
//! queue full is told to come back (503); work whose caller has hung up is not begun.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    thread,
    time::Duration,
};

use argon2::Block;
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};
use rivergen_kernel::{Error, ErrorCode, Result};
use tokio::sync::oneshot;

/// How many may wait for a thread before others are turned away.
const QUEUE: usize = 512;
const COME_BACK_AFTER: Duration = Duration::from_secs(2);
/// A thread that has had no work for so long gives its memory back.
const IDLE: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce(&mut Memory) + Send>;

/// Cheap to clone; the threads end with the last clone.
#[derive(Clone)]
pub struct Pool(Sender<Work>);

/// What Argon2 fills. It is kept from hash to hash, because fresh pages cost a good part of the work.
#[derive(Default)]
pub struct Memory(Vec<Block>);

impl Memory {
    pub fn of(&mut self, blocks: usize) -> &mut [Block] {
        if self.0.len() < blocks {
            self.0.resize(blocks, Block::new());
        }
        &mut self.0[..blocks]
    }

    fn shrink(&mut self, blocks: usize) {
        if self.0.len() > blocks {
            self.0.truncate(blocks);
            self.0.shrink_to_fit();
        }
    }
}

impl Pool {
    /// Starts the threads, which keep memory for so many blocks of 1 KiB.
    pub fn start(kept_blocks: usize) -> Result<Self> {
        let (queue, works) = crossbeam_channel::bounded(QUEUE);
        for _ in 0..thread::available_parallelism().map_or(2, |n| n.get()) {
            let works = works.clone();
            thread::Builder::new()
                .name("passwords".into())
                .spawn(move || work_through(&works, kept_blocks))
                .map_err(Error::internal)?;
        }
        Ok(Self(queue))
    }

    /// Waits for a thread and for its answer; 503 where too many wait already.
    pub async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Memory) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let (answer, answered) = oneshot::channel();
        let work: Work = Box::new(move |memory| {
            if !answer.is_closed() {
                // Nobody hears it who has hung up meanwhile.
                let _ = answer.send(work(memory));
            }
        });
        self.0
            .try_send(work)
            .map_err(|_| Error::new(ErrorCode::ServiceUnavailable).with_retry_after(COME_BACK_AFTER))?;
        answered.await.map_err(Error::internal)?
    }
}

fn work_through(works: &Receiver<Work>, kept_blocks: usize) {
    step_back();
    let mut memory = Memory::default();
    loop {
        match works.recv_timeout(IDLE) {
            Ok(work) => {
                // A panic is its caller's alone: their answer is gone, and the thread stays for the others.
                let _ = catch_unwind(AssertUnwindSafe(|| work(&mut memory)));
                // A hash of another system may have asked for more.
                memory.shrink(kept_blocks);
            }
            Err(RecvTimeoutError::Timeout) => memory.shrink(0),
            Err(RecvTimeoutError::Disconnected) => return,
        }
    }
}

/// Gives this thread a niceness of 10: a request that wakes up meanwhile runs at once, and hashing still gets a tenth
/// of a core that is wanted by others. Where it may not, hashing competes with the rest.
fn step_back() {
    // On other systems niceness is the whole process's.
    #[cfg(target_os = "linux")]
    {
        use thread_priority::{
            NormalThreadSchedulePolicy::Other, ThreadPriority, ThreadSchedulePolicy, set_thread_priority_and_policy,
            thread_native_id,
        };
        /// Of 99; the crate makes it a niceness of 10.
        const PRIORITY: u8 = 22;
        let set = ThreadPriority::try_from(PRIORITY).map(|priority| {
            set_thread_priority_and_policy(thread_native_id(), priority, ThreadSchedulePolicy::Normal(Other))
        });
        if !matches!(set, Ok(Ok(()))) {
            tracing::debug!(?set, "hashing runs at normal priority");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_panic_costs_its_caller_an_error_and_nobody_a_thread() {
        let pool = Pool::start(8).unwrap();
        for _ in 0..2 * thread::available_parallelism().map_or(2, |n| n.get()) {
            let answer: Result<()> = pool.run(|_| panic!("on purpose")).await;
            assert_eq!(answer.unwrap_err().code, ErrorCode::InternalError);
        }
        assert_eq!(pool.run(|_| Ok(7)).await.unwrap(), 7);
    }

    #[tokio::test]
    async fn work_whose_caller_hung_up_is_not_begun_and_a_full_queue_turns_away() {
        let pool = Pool::start(8).unwrap();
        let threads = thread::available_parallelism().map_or(2, |n| n.get());
        let (open, gate) = crossbeam_channel::bounded::<()>(0);
        let (begun, begins) = crossbeam_channel::unbounded();
        let submit = |label: &'static str| {
            let (pool, gate, begun) = (pool.clone(), gate.clone(), begun.clone());
            tokio::spawn(async move {
                pool.run(move |_| {
                    begun.send(label).unwrap();
                    // Ends when the gate opens, or is gone.
                    let _ = gate.recv();
                    Ok(())
                })
                .await
            })
        };
        let busy: Vec<_> = (0..threads).map(|_| submit("busy")).collect();
        while begins.len() < threads {
            tokio::task::yield_now().await;
        }
        let hung_up: Vec<_> = (0..QUEUE).map(|_| submit("hung up")).collect();
        while pool.0.len() < QUEUE {
            tokio::task::yield_now().await;
        }
        let refused = pool.run(|_| Ok(())).await.unwrap_err();
        assert_eq!(refused.code, ErrorCode::ServiceUnavailable);
        hung_up.iter().for_each(|task| task.abort());
        for task in hung_up {
            assert!(task.await.unwrap_err().is_cancelled());
        }
        drop(open);
        for task in busy {
            task.await.unwrap().unwrap();
        }
        pool.run(|memory| Ok(memory.of(16).len())).await.unwrap();
        assert_eq!(begins.try_iter().filter(|label| *label == "hung up").count(), 0);
    }
}
