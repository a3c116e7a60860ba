//! What can go wrong with a query, in words that may be told.
//!
//! What planning says (an unknown column, a syntax error) speaks of the text that the caller wrote and of the
//! catalogue that they may see, and is passed on. What execution says may hold values (`Cannot cast string '…'`) and
//! what a source says may hold anything: neither is passed on. A failed computation becomes one of a few fixed
//! sentences, a failed source becomes [`QueryError::SourceUnavailable`], and the original goes to the log.

use std::time::Duration;

use datafusion::{arrow::error::ArrowError, common::SchemaError, error::DataFusionError};
use rivergen_kernel::{Error, ErrorCode};

/// Why a query has no answer.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The text is not one statement that this engine runs, or its computation fails on what the caller sees.
    #[error("{message}")]
    InvalidQuery { message: String },
    /// A policy closes a table, or cannot be applied to it.
    #[error("{message}")]
    Denied {
        /// The policy that closes it; none where no policy opens it.
        policy: Option<String>,
        message: String,
    },
    #[error("the query exceeded its time limit of {} seconds", .0.as_secs_f64())]
    Timeout(Duration),
    #[error("the query needs more memory or temporary disk space than it may use; narrow it down")]
    ResourceExhausted,
    #[error("the answer is larger than {limit_bytes} bytes; ask for fewer rows or columns")]
    TooLarge { limit_bytes: u64 },
    #[error("a data source could not be read")]
    SourceUnavailable(#[source] DataFusionError),
    #[error("the query was cancelled")]
    Cancelled,
    #[error("the query failed inside the engine")]
    Internal(#[source] DataFusionError),
}

impl QueryError {
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        Self::InvalidQuery { message: message.into() }
    }

    pub(crate) fn internal(message: impl Into<String>) -> Self {
        Self::Internal(DataFusionError::Internal(message.into()))
    }

    /// What failed while the statement was planned against the views. The text names what the caller wrote and may see.
    pub(crate) fn from_planning(error: DataFusionError) -> Self {
        match error.find_root() {
            DataFusionError::SQL(error, _) => Self::invalid(format!("The query cannot be read: {error}")),
            DataFusionError::Plan(message) => Self::invalid(one_line(message)),
            DataFusionError::NotImplemented(message) => Self::invalid(one_line(message)),
            DataFusionError::SchemaError(error, _) => Self::invalid(schema_message(error)),
            _ => match fixed_sentence(&error) {
                Some(message) => Self::invalid(message),
                None => Self::from_execution(error),
            },
        }
    }

    /// What failed once the views' plans were in the plan: while it was optimized, or ran. Nothing of the text is told.
    pub(crate) fn from_execution(error: DataFusionError) -> Self {
        if let Some(message) = fixed_sentence(&error) {
            return Self::invalid(message);
        }
        match error.find_root() {
            DataFusionError::ResourcesExhausted(_) => Self::ResourceExhausted,
            DataFusionError::ArrowError(arrow, _) if is_full_disk(arrow) => Self::ResourceExhausted,
            DataFusionError::ObjectStore(_)
            | DataFusionError::ParquetError(_)
            | DataFusionError::IoError(_)
            | DataFusionError::External(_) => Self::SourceUnavailable(error),
            DataFusionError::ArrowError(arrow, _) => match arrow.as_ref() {
                ArrowError::ExternalError(_)
                | ArrowError::CsvError(_)
                | ArrowError::JsonError(_)
                | ArrowError::AvroError(_)
                | ArrowError::IoError(..)
                | ArrowError::IpcError(_)
                | ArrowError::ParquetError(_) => Self::SourceUnavailable(error),
                _ => Self::Internal(error),
            },
            // Functions report values that they do not take as execution errors; so do sources.
            DataFusionError::Execution(message) if message.contains("subquery returned more than one row") => {
                Self::invalid("a scalar subquery returned more than one row")
            }
            DataFusionError::Execution(_) => {
                Self::invalid("the query failed while it ran: an expression was given a value that it does not accept")
            }
            // Here plans hold the policies' values, and so may the words.
            DataFusionError::Plan(_) | DataFusionError::NotImplemented(_) | DataFusionError::SchemaError(..) => {
                tracing::warn!(%error, "an accepted query cannot be run");
                Self::invalid("the query combines features in a way that the engine cannot run; write it more simply")
            }
            _ => Self::Internal(error),
        }
    }
}

/// The failures of a computation that are worth a sentence of their own. The sentences never name a value.
fn fixed_sentence(error: &DataFusionError) -> Option<&'static str> {
    let DataFusionError::ArrowError(arrow, _) = error.find_root() else { return None };
    match arrow.as_ref() {
        ArrowError::DivideByZero => Some("division by zero"),
        ArrowError::ArithmeticOverflow(_) => Some("a calculation is out of the range of its type"),
        ArrowError::CastError(_) | ArrowError::ParseError(_) => Some("a value could not be cast"),
        ArrowError::InvalidArgumentError(_) | ArrowError::ComputeError(_) => {
            Some("the query failed while it ran: an expression was given a value that it does not accept")
        }
        ArrowError::MemoryError(_) | ArrowError::OffsetOverflowError(_) => Some("a value grew too large"),
        _ => None,
    }
}

/// The engine reports that the spill directory is full as a failure of input and output.
fn is_full_disk(error: &ArrowError) -> bool {
    matches!(error, ArrowError::IoError(message, _) if message.contains("max_temp_directory_size"))
}

fn schema_message(error: &SchemaError) -> String {
    match error {
        SchemaError::FieldNotFound { field, valid_fields } => {
            let mut names: Vec<&str> = valid_fields.iter().map(|column| column.name.as_str()).collect();
            names.sort_by_key(|name| (strsim::damerau_levenshtein(name, &field.name), *name));
            names.dedup();
            names.truncate(5);
            let nearest = if names.is_empty() { String::new() } else { format!(" Nearest: {}.", names.join(", ")) };
            format!("There is no column {}.{nearest}", field.flat_name())
        }
        SchemaError::AmbiguousReference { field } => {
            format!("The column {} is ambiguous: write the table before it.", field.flat_name())
        }
        SchemaError::DuplicateQualifiedField { name, .. } | SchemaError::DuplicateUnqualifiedField { name } => {
            format!("The column {name} appears twice: give one of them another name with AS.")
        }
    }
}

fn one_line(message: &str) -> String {
    const LONGEST: usize = 600;
    message.split_whitespace().collect::<Vec<_>>().join(" ").chars().take(LONGEST).collect()
}

impl From<QueryError> for Error {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        match error {
            QueryError::InvalidQuery { .. } => Error::new(ErrorCode::InvalidQuery).with_message(message),
            QueryError::Denied { .. } => Error::new(ErrorCode::PolicyDenied).with_message(message),
            QueryError::Timeout(_) => Error::new(ErrorCode::QueryTimeout).with_message(message),
            QueryError::ResourceExhausted | QueryError::TooLarge { .. } => {
                Error::new(ErrorCode::QueryLimitExceeded).with_message(message)
            }
            QueryError::SourceUnavailable(source) => Error::new(ErrorCode::ConnectionError).with_source(source),
            QueryError::Cancelled => Error::new(ErrorCode::QueryCancelled),
            QueryError::Internal(source) => Error::internal(source),
        }
    }
}
