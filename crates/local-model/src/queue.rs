//! Those who wait for the model. Parties take turns, however much one of them asks; whoever has gone takes nobody's place.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

use crate::{AskError, worker::Job};

pub(crate) struct Queue {
    /// How many may wait.
    most: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// In the order of arrival.
    waiting: Vec<Waiting>,
    /// Of the job that was taken last.
    turn: u64,
    is_closed: bool,
}

struct Waiting {
    /// Of those that wait the lowest is taken: a party's next job comes a turn after the one before.
    turn: u64,
    job: Job,
}

impl State {
    fn count(&self, party: i64) -> usize {
        self.waiting.iter().filter(|waiting| waiting.job.party == party).count()
    }

    fn leave_out_who_has_gone(&mut self) {
        self.waiting.retain(|waiting| !waiting.job.reply.is_closed());
    }

    /// The last job of a party that would still have as many as this one, without it.
    fn who_makes_place_for(&self, party: i64) -> Option<usize> {
        let count = |at: usize| self.count(self.waiting[at].job.party);
        let at = (0..self.waiting.len()).max_by_key(|at| (count(*at), *at))?;
        (count(at) > self.count(party) + 1).then_some(at)
    }
}

impl Queue {
    pub(crate) fn new(most: usize) -> Self {
        Self { most: most.max(1), state: Mutex::default(), changed: Condvar::new() }
    }

    /// Lets the job wait. Where there is no place, the party that has the most waiting loses its last.
    pub(crate) fn join(&self, job: Job) -> Result<(), AskError> {
        let mut state = self.state();
        state.leave_out_who_has_gone();
        if state.waiting.len() >= self.most {
            let Some(at) = state.who_makes_place_for(job.party) else { return Err(AskError::Busy) };
            let displaced = state.waiting.remove(at);
            displaced.job.answer(Err(AskError::Busy));
        }
        let own = state.waiting.iter().filter(|waiting| waiting.job.party == job.party);
        let turn = own.map(|waiting| waiting.turn).max().unwrap_or(state.turn) + 1;
        state.waiting.push(Waiting { turn, job });
        self.changed.notify_one();
        Ok(())
    }

    /// Whose turn it is, once there is somebody; `None` once nobody can come any more.
    pub(crate) fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            state.leave_out_who_has_gone();
            // The first of the lowest: min_by_key keeps the earlier of equals.
            let next = (0..state.waiting.len()).min_by_key(|at| state.waiting[*at].turn);
            if let Some(at) = next {
                let Waiting { turn, job } = state.waiting.remove(at);
                state.turn = turn;
                return Some(job);
            }
            if state.is_closed {
                return None;
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Nobody comes any more.
    pub(crate) fn close(&self) {
        self.state().is_closed = true;
        self.changed.notify_one();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot::{self, Receiver};

    use super::*;
    use crate::{spent::Spent, worker::Reply};

    fn join(queue: &Queue, party: i64, name: &str) -> (Result<(), AskError>, Receiver<Reply>) {
        let (reply, answer) = oneshot::channel();
        (queue.join(Job { party, said: Vec::new(), schema: name.into(), reply, spent: Spent::new(|_| {}) }), answer)
    }

    fn next(queue: &Queue) -> String {
        queue.next().unwrap().schema.as_str().unwrap().to_owned()
    }

    #[test]
    fn parties_take_turns() {
        let queue = Queue::new(8);
        let asked = [(1, "a"), (1, "b"), (1, "c"), (2, "d"), (3, "e"), (2, "f")];
        let kept: Vec<_> = asked.iter().map(|(party, name)| join(&queue, *party, name)).collect();
        let taken: Vec<String> = asked.iter().map(|_| next(&queue)).collect();
        assert_eq!(taken, ["a", "d", "e", "b", "f", "c"]);
        assert!(kept.iter().all(|(joined, _)| joined.is_ok()));
    }

    #[test]
    fn who_has_gone_takes_nobodys_place() {
        let queue = Queue::new(2);
        let (first, second) = (join(&queue, 1, "a"), join(&queue, 1, "b"));
        assert_eq!(join(&queue, 1, "c").0, Err(AskError::Busy));
        drop(first);
        let third = join(&queue, 1, "c");
        assert_eq!((third.0, second.0), (Ok(()), Ok(())));
        assert_eq!((next(&queue), next(&queue)), ("b".to_owned(), "c".to_owned()));
    }

    #[test]
    fn one_party_does_not_fill_the_line() {
        let queue = Queue::new(3);
        let mut flood: Vec<_> = ["a", "b", "c"].map(|name| join(&queue, 1, name)).into();
        let other = join(&queue, 2, "d");
        assert_eq!(other.0, Ok(()));
        let displaced = flood.pop().unwrap().1.try_recv().ok().unwrap();
        assert_eq!(displaced.outcome, Err(AskError::Busy), "the last of the most");
        // With two of three it has its share, and so has the other with one.
        for party in [1, 2, 3] {
            let refused = join(&queue, party, "e").0;
            assert_eq!(refused.is_ok(), party == 3, "{party}: {refused:?}");
        }
        queue.close();
        assert_eq!(std::iter::from_fn(|| queue.next()).count(), 2, "who has gone is not answered");
        assert!(queue.next().is_none());
    }
}
