//! The one thread that has the weights. Askers wait for it in a [`Queue`].

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use tokio::sync::oneshot;

use crate::{
    Answer, Message, Settings,
    conversation::Template,
    error::{AskError, ModelError},
    file::ModelFile,
    generate,
    queue::Queue,
    spent::Spent,
    vocabulary::Vocabulary,
    weights::Weights,
};

/// Computing goes as deep as a grammar is nested.
const STACK_BYTES: usize = 8 * 1024 * 1024;

/// Something to answer.
pub(crate) struct Job {
    pub(crate) party: i64,
    pub(crate) said: Vec<Message>,
    pub(crate) schema: serde_json::Value,
    /// Closed where nobody waits any more.
    pub(crate) reply: oneshot::Sender<Reply>,
    pub(crate) spent: Spent,
}

impl Job {
    /// Whoever has gone in the meantime is not told.
    pub(crate) fn answer(self, outcome: Result<Answer, AskError>) {
        drop(self.reply.send(Reply { outcome, spent: self.spent }));
    }
}

/// What becomes of a job.
pub(crate) struct Reply {
    pub(crate) outcome: Result<Answer, AskError>,
    pub(crate) spent: Spent,
}

/// A model without its weights.
pub(crate) struct Opened {
    pub(crate) settings: Settings,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) template: Template,
    tokens_written: AtomicU64,
}

impl Opened {
    pub(crate) fn new(settings: Settings) -> Result<Self, ModelError> {
        let path = settings.file.clone();
        // What reads it takes some faults for impossible, and panics.
        catch_unwind(AssertUnwindSafe(|| Self::read(settings))).unwrap_or_else(|_| {
            let reason = "its tokenizer or its template is not of the form that was expected".to_owned();
            Err(ModelError::Unusable { file: path, reason })
        })
    }

    fn read(settings: Settings) -> Result<Self, ModelError> {
        let file = ModelFile::open(&settings.file)?;
        let (asked, most) = (settings.context_tokens, file.most_context()?);
        if asked > most {
            return Err(ModelError::ContextTooLarge { file: settings.file, asked, most });
        }
        if settings.answer_tokens >= asked {
            let answer = settings.answer_tokens;
            return Err(ModelError::NoRoomForQuestions { file: settings.file, answer, context: asked });
        }
        let vocabulary = Vocabulary::of(&file)?;
        let template = Template::of(&file)?;
        Ok(Self { settings, vocabulary, template, tokens_written: AtomicU64::new(0) })
    }

    pub(crate) fn wrote_token(&self) {
        self.tokens_written.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn tokens_written(&self) -> u64 {
        self.tokens_written.load(Ordering::Relaxed)
    }
}

/// Answers until every handle of the model is gone.
pub(crate) fn start(opened: Arc<Opened>, queue: Arc<Queue>) -> std::io::Result<()> {
    let worker = std::thread::Builder::new().name("local-model".to_owned()).stack_size(STACK_BYTES);
    worker.spawn(move || {
        let mut weights = None;
        while let Some(mut job) = queue.next() {
            let answered = catch_unwind(AssertUnwindSafe(|| answered(&opened, &mut weights, &mut job)));
            let answered = answered.unwrap_or_else(|_| {
                // They may have been left in the middle of something.
                weights = None;
                Err(AskError::Failed("it came to a state that it should not come to".to_owned()))
            });
            if let Some(outcome) = answered.transpose() {
                job.answer(outcome);
            }
        }
    })?;
    Ok(())
}

fn answered(opened: &Opened, weights: &mut Option<Weights>, job: &mut Job) -> Result<Option<Answer>, AskError> {
    let weights = match weights {
        Some(weights) => weights,
        None => weights.insert(load(&opened.settings).map_err(|error| {
            tracing::error!(%error, "the model on this machine cannot be loaded");
            AskError::NotLoaded
        })?),
    };
    generate::answer(opened, weights, job)
}

fn load(settings: &Settings) -> Result<Weights, ModelError> {
    let weights = Weights::load(ModelFile::open(&settings.file)?, settings.context_tokens)?;
    tracing::info!(file = %settings.file.display(), "the model on this machine is loaded");
    Ok(weights)
}
