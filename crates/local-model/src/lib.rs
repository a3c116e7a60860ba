//! A language model from a file on this machine: nothing that it is asked leaves the process.
//!
//! ```text
//!   messages ─ chat template ─ tokens ─ weights ─ logits ─┬─ the likeliest token that the grammar leaves ─ text
//!   JSON schema ─ grammar ─ which tokens may come next ───┘            ▲                       │
//!                                                                      └───────────────────────┘
//! ```
//!
//! The file is GGUF, read and computed by candle, in Rust alone and on the processor. Tokens that would break the grammar are
//! never chosen, so that an answer that ends keeps to its schema whatever the model would rather say; of those that are left
//! the likeliest is taken, so that the same question has the same answer.
//!
//! One thread has the weights, which it reads when it is first asked, and answers one asker after the other, of each party in
//! turn. An asker that goes away ([`LocalModel::ask`] is dropped) is left at the next token.

mod conversation;
mod error;
mod file;
mod generate;
mod queue;
mod spent;
mod sql;
#[cfg(any(test, feature = "tiny"))]
pub mod tiny;
mod vocabulary;
mod weights;
mod worker;

use std::{fmt, path::PathBuf, sync::Arc};

pub use conversation::{Message, Role};
pub use error::{AskError, ModelError};
use queue::Queue;
use spent::Spent;
pub use sql::one_select;
use tokio::sync::oneshot;
use worker::{Job, Opened, Reply};

/// Which model, and what it may take.
#[derive(Debug, Clone)]
pub struct Settings {
    /// A GGUF file. Where it has no tokenizer that can be read, `tokenizer.json` beside it is.
    pub file: PathBuf,
    /// What is asked and what is answered, together.
    pub context_tokens: usize,
    /// An answer that is longer is cut off, which is no answer.
    pub answer_tokens: usize,
    /// How many may wait while one is answered.
    pub waiting: usize,
}

/// What a model wrote.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// JSON of the schema that was asked for.
    pub text: String,
    /// What was read and what was written.
    pub tokens: u64,
}

/// A model on this machine; cheap to clone.
#[derive(Clone)]
pub struct LocalModel {
    opened: Arc<Opened>,
    asking: Arc<Asking>,
}

/// The askers' end of the queue: with the last handle of the model it closes.
struct Asking(Arc<Queue>);

impl Drop for Asking {
    fn drop(&mut self) {
        self.0.close();
    }
}

impl LocalModel {
    /// Reads of the file what says whether the model can be used: everything but the weights.
    ///
    /// # Errors
    ///
    /// Where it cannot, with the file and the reason.
    pub fn open(settings: Settings) -> Result<Self, ModelError> {
        let queue = Arc::new(Queue::new(settings.waiting));
        let file = settings.file.clone();
        let opened = Arc::new(Opened::new(settings)?);
        worker::start(opened.clone(), queue.clone())
            .map_err(|error| ModelError::Unreadable { file, reason: error.to_string() })?;
        Ok(Self { opened, asking: Arc::new(Asking(queue)) })
    }

    /// What the model writes when that was said, as JSON of the schema. Parties take turns: whoever of one asks much waits for
    /// others who ask less. What was read and written for an asker who went away or whose model failed is told to `unheard`,
    /// if it is anything.
    ///
    /// # Errors
    ///
    /// Where there is no place to wait, where what was said is too long for the model, where its answer is, and where the
    /// model cannot be read or computed.
    pub async fn ask(
        &self,
        party: i64,
        said: Vec<Message>,
        schema: serde_json::Value,
        unheard: impl FnOnce(u64) + Send + 'static,
    ) -> Result<Answer, AskError> {
        let (reply, answer) = oneshot::channel();
        self.asking.0.join(Job { party, said, schema, reply, spent: Spent::new(unheard) })?;
        let Ok(Reply { outcome, spent }) = answer.await else {
            return Err(AskError::Failed("it was stopped".to_owned()));
        };
        if matches!(outcome, Ok(_) | Err(AskError::CutOff { .. })) {
            spent.heard();
        }
        outcome
    }

    /// Tokens that were written since it was opened, for whomever and whether or not they were waited for.
    pub fn tokens_written(&self) -> u64 {
        self.opened.tokens_written()
    }

    /// What is asked and what is answered, together, in tokens.
    pub fn context_tokens(&self) -> usize {
        self.opened.settings.context_tokens
    }

    /// The longest answer, in tokens.
    pub fn answer_tokens(&self) -> usize {
        self.opened.settings.answer_tokens
    }
}

impl fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalModel").field("settings", &self.opened.settings).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
