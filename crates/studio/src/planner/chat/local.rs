//! The planner that asks a model on this machine: what is said is the same as elsewhere, and nothing leaves the server.

use std::{path::PathBuf, sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::OrganizationId;

use super::{Asks, Conversation, LARGEST_SCHEMA, Message, Meter, Said, Unheard, count, unavailable, unheard};
use crate::planner::{Context, PlanError, Planner};

/// A model on this machine.
#[async_trait]
pub trait LocalInference: std::fmt::Debug + Send + Sync {
    /// Of a larger schema the less important part is not told to it, in bytes.
    fn largest_schema(&self) -> usize;

    /// What it answers when that was said: JSON with `sql`, whose names are the context's, and `explanation`. Whoever stops
    /// waiting stops it, and organizations take turns. Of what it took and nobody hears of otherwise, `unheard` is told.
    async fn answer(
        &self,
        organization: OrganizationId,
        system: &str,
        messages: &[Message<'_>],
        context: &Context,
        unheard: Unheard,
    ) -> Result<Said, NotSaid>;
}

/// Why a model on this machine said nothing that is an answer, and what that took all the same, as far as it was not told
/// to [`Unheard`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotSaid {
    pub error: PlanError,
    pub tokens: u64,
}

/// A model's file, and what answering may take.
#[derive(Debug, Clone)]
pub struct ModelFile {
    /// GGUF.
    pub file: PathBuf,
    /// What is asked and what is answered, together.
    pub context_tokens: usize,
    pub answer_tokens: usize,
    /// How many may wait while one is answered.
    pub waiting: usize,
}

/// Why the model of a file cannot be used; for whoever runs the server.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ModelFileError(pub(super) String);

impl ModelFile {
    /// Looks at all of it but the weights, which are read when it is first asked.
    ///
    /// # Errors
    ///
    /// Where it cannot be used, and where this program was built without the feature `local-models`.
    pub fn open(self) -> Result<Arc<dyn LocalInference>, ModelFileError> {
        #[cfg(feature = "local-models")]
        {
            super::file::open(self)
        }
        #[cfg(not(feature = "local-models"))]
        {
            Err(ModelFileError("this program was built without the feature local-models".to_owned()))
        }
    }
}

/// By which name, and within which limits.
#[derive(Debug, Clone)]
pub struct LocalSettings {
    /// The name by which callers choose the planner.
    pub name: String,
    /// For one question, the second attempt included.
    pub timeout: Duration,
    /// Whether the values of columns that have few are told to it; masked columns' never are.
    pub share_values: bool,
}

/// Asks the model on this machine.
#[derive(Debug, Clone)]
pub struct LocalPlanner {
    /// `None`: the operator has taken it away since somebody chose it.
    model: Option<Arc<dyn LocalInference>>,
    settings: LocalSettings,
    /// Whose question it is; nobody's where nobody is said.
    organization: OrganizationId,
    meter: Option<Arc<dyn Meter>>,
}

impl LocalPlanner {
    pub fn new(model: Option<Arc<dyn LocalInference>>, settings: LocalSettings) -> Self {
        Self { model, settings, organization: OrganizationId(0), meter: None }
    }

    /// The same for an organization's questions, with what it spends counted.
    #[must_use]
    pub fn metered(mut self, organization: OrganizationId, meter: Arc<dyn Meter>) -> Self {
        self.organization = organization;
        self.meter = Some(meter);
        self
    }
}

#[async_trait]
impl Asks for LocalPlanner {
    fn conversation(&self) -> Conversation<'_> {
        let LocalSettings { name, timeout, share_values } = &self.settings;
        let largest_schema = self.model.as_ref().map_or(LARGEST_SCHEMA, |model| model.largest_schema());
        Conversation {
            with: self,
            name,
            timeout: *timeout,
            share_values: *share_values,
            largest_schema: largest_schema.min(LARGEST_SCHEMA),
        }
    }

    fn meter(&self) -> Option<&Arc<dyn Meter>> {
        self.meter.as_ref()
    }

    fn is_elsewhere(&self) -> bool {
        false
    }

    fn is_there(&self) -> Result<(), PlanError> {
        match self.model {
            Some(_) => Ok(()),
            None => Err(taken_away()),
        }
    }

    async fn ask(&self, system: &str, messages: &[Message<'_>], context: &Context) -> Result<Said, PlanError> {
        self.ready().await?;
        let Some(model) = &self.model else { return Err(taken_away()) };
        let unheard = unheard(self.meter.as_ref());
        let said = model.answer(self.organization, system, messages, context, unheard).await;
        let tokens = said.as_ref().map_or_else(|not| not.tokens, |said| said.tokens);
        if tokens > 0 {
            count(self.meter.as_ref(), tokens).await;
        }
        said.map_err(|not| not.error)
    }
}

fn taken_away() -> PlanError {
    unavailable("this server has no model of its own", false)
}
