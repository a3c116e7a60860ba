//! What was read and written for an asker, whether or not the asker waits for it to the end.

/// Tokens that an asker has to pay. Where nobody hears how many they are, whoever counts such ones is told when it is dropped:
/// with a job that was left, or with a reply that nobody took.
pub(crate) struct Spent {
    tokens: u64,
    unheard: Option<Box<dyn FnOnce(u64) + Send>>,
}

impl Spent {
    pub(crate) fn new(unheard: impl FnOnce(u64) + Send + 'static) -> Self {
        Self { tokens: 0, unheard: Some(Box::new(unheard)) }
    }

    pub(crate) fn add(&mut self, tokens: usize) {
        self.tokens = self.tokens.saturating_add(u64::try_from(tokens).unwrap_or(u64::MAX));
    }

    pub(crate) fn tokens(&self) -> u64 {
        self.tokens
    }

    /// The asker knows.
    pub(crate) fn heard(mut self) {
        self.unheard = None;
    }
}

impl Drop for Spent {
    fn drop(&mut self) {
        if let Some(unheard) = self.unheard.take().filter(|_| self.tokens > 0) {
            unheard(self.tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, channel};

    use tokio::sync::oneshot;

    use super::*;
    use crate::{Answer, worker::Job};

    fn spent(tokens: usize) -> (Spent, Receiver<u64>) {
        let (sender, told) = channel();
        let mut spent = Spent::new(move |tokens| sender.send(tokens).unwrap());
        spent.add(tokens);
        (spent, told)
    }

    #[test]
    fn what_nobody_hears_of_is_told_once() {
        let (unheard, told) = spent(7);
        drop(unheard);
        assert_eq!(told.iter().collect::<Vec<_>>(), [7]);
        let (heard, told) = spent(7);
        heard.heard();
        assert_eq!(told.iter().count(), 0);
        let (nothing, told) = spent(0);
        drop(nothing);
        assert_eq!(told.iter().count(), 0, "who waited in the line took nothing");
    }

    #[test]
    fn an_answer_that_nobody_takes_is_told() {
        // Whoever asked goes before the answer is sent, or before it is read.
        for goes_first in [true, false] {
            let (spent, told) = spent(7);
            let (reply, answer) = oneshot::channel();
            let job = Job { party: 1, said: Vec::new(), schema: serde_json::Value::Null, reply, spent };
            let mut answer = Some(answer).filter(|_| !goes_first);
            job.answer(Ok(Answer { text: "1".to_owned(), tokens: 7 }));
            drop(answer.take());
            assert_eq!(told.iter().collect::<Vec<_>>(), [7], "{goes_first}");
        }
    }
}
