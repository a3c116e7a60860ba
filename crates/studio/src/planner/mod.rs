//! From a question in plain words to SQL text.
//!
//! ```text
//!   question ─┐
//!             ├─► Planner ─► Plan { sql, explanation, … } ─► the governed query engine
//!   Context  ─┘      └────► PlanError: not understood, ambiguous, unavailable, invalid answer
//! ```
//!
//! Three planners stand behind the one trait. [`EmbeddedPlanner`] needs neither a model nor a
//! network and says no where it is not sure; [`ChatPlanner`] asks a model at its provider, in one
//! of the protocols that they speak, and [`LocalPlanner`] one on this machine. None is trusted: what
//! they write is SQL text that the query engine parses, checks and governs like text that a person typed.

mod chat;
mod context;
mod embedded;
mod layer;
mod metric;
pub(crate) mod quote;
mod single_select;
pub mod terms;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

pub use chat::{
    ChatPlanner, ChatSettings, LocalInference, LocalPlanner, LocalSettings, Message, Meter, ModelFile, ModelFileError,
    NotSaid, Protocol, Role, Said, Unheard,
};
pub use context::{ColumnContext, ColumnType, Context, Dialect, Example, FEW_VALUES, MOST_VALUES, TableContext, Turn};
pub use embedded::EmbeddedPlanner;
pub use layer::{ColumnPlace, Join, Layer, Metric, Synonym};
pub use metric::MetricError;
pub use single_select::{NotOneSelect, require_single_select};
pub use terms::Term;

/// Turns a question into one SELECT over the tables of a [`Context`].
#[async_trait]
pub trait Planner: Send + Sync {
    /// The name by which a caller chooses this planner and finds it in the history.
    fn name(&self) -> &str;

    /// Whether the question and the schema are put to a model, which the run's events say.
    fn is_model(&self) -> bool {
        false
    }

    /// Whether they leave this server.
    fn is_elsewhere(&self) -> bool {
        false
    }

    /// Whether it may be asked now. Nothing leaves this server to find that out.
    async fn ready(&self) -> Result<(), PlanError> {
        Ok(())
    }

    /// Plans one question. The same question and context may be planned any number of times.
    async fn plan(&self, question: &str, context: &Context) -> Result<Plan, PlanError>;

    /// Another try at a question whose SQL the engine refused. `None`: it has no other idea.
    async fn repair(&self, _: &str, _: &Context, _: Refused<'_>) -> Option<Result<Plan, PlanError>> {
        None
    }
}

/// SQL of a planner's that the engine does not take.
#[derive(Debug, Clone, Copy)]
pub struct Refused<'a> {
    pub sql: &'a str,
    /// In the engine's words, which tell nothing that the caller may not see.
    pub reason: &'a str,
}

/// Questions that could come after this one. Each can be answered.
pub fn follow_ups(question: &str, context: &Context) -> Vec<String> {
    let asked = question.trim().to_lowercase();
    embedded::follow_ups(question, context).into_iter().filter(|next| next.to_lowercase() != asked).collect()
}

/// Whether the question says a time that is another one at another moment: "last month", "since March".
pub(crate) fn says_relative_time(question: &str) -> bool {
    embedded::says_relative_time(question)
}

/// How tables belong together by what the schema declares and what names tell.
pub(crate) fn references(context: &Context) -> Vec<Join> {
    embedded::references(context)
}

/// Whether the column alone identifies a row of its table.
pub(crate) fn is_key(context: &Context, place: ColumnPlace) -> bool {
    embedded::is_key(context, place)
}

/// A question, understood.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Plan {
    /// One SELECT statement with fully qualified table names.
    pub sql: String,
    /// What was understood, in plain words, with every choice that had to be made.
    pub explanation: String,
    /// Which words of the question were taken to mean what.
    pub understood: Vec<Understanding>,
    /// From 0 (a guess) to 1 (every word was matched exactly).
    pub confidence: f64,
    /// What wrote the SQL.
    pub model: String,
    /// What the model charged for; 0 for the embedded planner.
    pub tokens_used: u64,
}

/// A piece of the question and what it was taken to mean.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Understanding {
    /// The words as they were asked.
    pub phrase: String,
    /// Their meaning in this schema.
    pub meaning: String,
}

/// One of several readings of a word.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Choice {
    /// For people; no two of a word are alike.
    pub label: String,
    /// `catalog.schema.table`, or a column of it.
    pub of: String,
    /// The word is a value of the column.
    pub is_value: bool,
}

/// Why there is no plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The question, or a part of it, means nothing in this schema.
    #[error("{message}")]
    NotUnderstood {
        /// What was not understood, for the person who asked.
        message: String,
        /// The words that mean nothing here.
        unknown_words: Vec<String>,
        /// The nearest questions that do work on this schema.
        suggestions: Vec<String>,
    },
    /// A word of the question has several readings, each as good as the others.
    #[error("{message}")]
    Ambiguous {
        /// The question to the person who asked.
        message: String,
        /// The word as it was asked.
        word: String,
        /// At least two.
        choices: Vec<Choice>,
    },
    /// The planner cannot be reached, is overloaded, or is not set up rightly.
    #[error("{message}")]
    Unavailable {
        /// What failed, without the credentials or the text of the other side.
        message: String,
        /// Trying again later may help.
        retryable: bool,
    },
    /// A model answered, but not with one SELECT.
    #[error("{message}")]
    InvalidAnswer {
        /// What was wrong with the answer.
        message: String,
    },
}

impl PlanError {
    /// Whether it is the planner that failed and not the question, so that another may answer it.
    pub fn is_of_planner(&self) -> bool {
        matches!(self, Self::Unavailable { .. } | Self::InvalidAnswer { .. })
    }
}
