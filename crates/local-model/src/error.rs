//! Why a model cannot be used, or did not answer.

use std::path::PathBuf;

/// Why the model of a file cannot be used. For whoever runs the server: it names the file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ModelError {
    #[error("{}: cannot be read: {reason}", file.display())]
    Unreadable { file: PathBuf, reason: String },
    #[error("{}: is no GGUF file that can be read: {reason}", file.display())]
    NotGguf { file: PathBuf, reason: String },
    #[error("{}: is a model of the architecture {architecture}; those that can be used are {usable}", file.display())]
    Architecture { file: PathBuf, architecture: String, usable: String },
    /// Something is missing in it, or is not of its form.
    #[error("{}: {reason}", file.display())]
    Unusable { file: PathBuf, reason: String },
    #[error("{}: {asked} tokens of context were asked for, and the model has {most}", file.display())]
    ContextTooLarge { file: PathBuf, asked: usize, most: usize },
    #[error("{}: an answer of {answer} tokens leaves nothing of a context of {context} for the question", file.display())]
    NoRoomForQuestions { file: PathBuf, answer: usize, context: usize },
}

/// Why there is no answer. For whoever asked: nothing of the file is in it, nor of what was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    #[error("too many are waiting for the model")]
    Busy,
    #[error("what was asked has {tokens} tokens, and the model has room for {room}")]
    TooLong { tokens: usize, room: usize },
    /// After so many tokens were read and written for it.
    #[error("the model's answer was cut off")]
    CutOff { tokens: u64 },
    /// The answer has no schema that a grammar can be made of.
    #[error("the form of the answer cannot be kept to: {0}")]
    Grammar(String),
    /// The weights could not be read. What is wrong stands in the log.
    #[error("the model cannot be loaded")]
    NotLoaded,
    #[error("the model failed: {0}")]
    Failed(String),
}
