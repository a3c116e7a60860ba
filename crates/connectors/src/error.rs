//! What can go wrong with a source, in words that are safe to show.
//!
//! A message never repeats what the network or the source said: raw texts make a scanner of closed ports and
//! leak rows that a policy hides. They go to the log, as the variant's cause.

use std::time::Duration;

use rivergen_kernel::error::{Error, ErrorCode, FieldError};
use serde::Serialize;

use crate::{Blocked, tunnel::TunnelFault};

/// A cause for the log.
pub type Cause = Box<dyn std::error::Error + Send + Sync>;

/// What a connection goes through, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The settings make sense.
    Configuration,
    /// The address is one that sources may have.
    Address,
    /// The SSH server in front of it lets through.
    Tunnel,
    /// Something answers there.
    Connection,
    /// It is who it should be.
    Tls,
    /// It takes the credentials.
    SignIn,
    /// What they open can be read.
    Permission,
    /// What is read is what the kind says.
    Content,
}

/// Why a source could not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum ConnectorError {
    /// No connection: name, route, port, TLS or handshake.
    #[error("the data source cannot be reached; check host, port and whether it accepts connections from here")]
    Unreachable {
        #[source]
        cause: Option<Cause>,
    },
    /// The connection broke after the start of something was sent: it may run there.
    #[error(
        "the connection to the data source broke before it answered; the query was not sent again, as it may still be \
         running"
    )]
    Interrupted {
        #[source]
        cause: Option<Cause>,
    },
    /// The address is one that sources may not have.
    #[error("connections to this address are not allowed; ask the operator to permit it")]
    Blocked,
    /// It lies behind an SSH server that does not let through.
    #[error(transparent)]
    Tunnel(TunnelFault),
    /// TLS was demanded and did not come about.
    #[error(
        "no trusted TLS connection could be made; check metadata.ssl_root_certificate, or set metadata.sslmode to \
         disable if the server does not support TLS"
    )]
    Untrusted {
        #[source]
        cause: Option<Cause>,
    },
    #[error("the data source refused the credentials or the database name; check them")]
    AuthenticationFailed {
        #[source]
        cause: Option<Cause>,
    },
    /// A table, schema, column or file that is not there.
    #[error("{what} does not exist in the data source, or its credentials may not read it")]
    NotFound { what: String },
    /// A file that is not what its kind says.
    #[error("{file} cannot be read{}: {reason}", line.map(|l| format!(", line {l}")).unwrap_or_default())]
    Unreadable { file: String, reason: String, line: Option<u64> },
    /// A value that has no place in its column's type.
    #[error(
        "column {column} holds a value that cannot be read as {expected}; discover the schema again or leave the column out"
    )]
    UnreadableValue { column: String, expected: String },
    #[error("{0}")]
    Unsupported(String),
    #[error("the data source did not answer within {} s", .0.as_secs())]
    Timeout(Duration),
    /// The source itself failed to answer a statement of ours.
    #[error("the data source could not answer the query")]
    QueryFailed {
        #[source]
        cause: Option<Cause>,
    },
    #[error("the data source could not be used")]
    Internal(#[source] Cause),
}

/// A field that is wrong, of a source that is opened nevertheless.
impl From<FieldError> for ConnectorError {
    fn from(wrong: FieldError) -> Self {
        Self::Unsupported(format!("{} {}", wrong.field, wrong.reason))
    }
}

impl ConnectorError {
    pub fn internal(cause: impl Into<Cause>) -> Self {
        Self::Internal(cause.into())
    }

    /// A table that is asked for is not there.
    pub(crate) fn no_table(schema: &str, table: &str) -> Self {
        Self::NotFound { what: format!("table {schema}.{table}") }
    }

    /// Something that a statement names is not there; what, the source alone could say, in words that are not shown.
    pub(crate) fn no_such_name() -> Self {
        Self::NotFound { what: "a table or column of the query".to_owned() }
    }

    /// The code that the API answers for it.
    pub fn code(&self) -> ErrorCode {
        match self {
            Self::Unreachable { .. }
            | Self::Interrupted { .. }
            | Self::Blocked
            | Self::Tunnel(_)
            | Self::Untrusted { .. }
            | Self::AuthenticationFailed { .. }
            | Self::QueryFailed { .. } => ErrorCode::ConnectionError,
            Self::NotFound { .. } => ErrorCode::NotFound,
            Self::Unreadable { .. } | Self::UnreadableValue { .. } => ErrorCode::UnreadableFile,
            Self::Unsupported(_) => ErrorCode::ValidationError,
            Self::Timeout(_) => ErrorCode::QueryTimeout,
            Self::Internal(_) => ErrorCode::InternalError,
        }
    }

    /// Where on its way a connection failed; `None` where the error does not tell.
    pub fn step(&self) -> Option<Step> {
        match self {
            Self::Unsupported(_) => Some(Step::Configuration),
            Self::Blocked => Some(Step::Address),
            Self::Tunnel(_) => Some(Step::Tunnel),
            Self::Unreachable { .. } | Self::Interrupted { .. } => Some(Step::Connection),
            Self::Untrusted { .. } => Some(Step::Tls),
            Self::AuthenticationFailed { .. } => Some(Step::SignIn),
            Self::NotFound { .. } | Self::QueryFailed { .. } => Some(Step::Permission),
            Self::Unreadable { .. } | Self::UnreadableValue { .. } => Some(Step::Content),
            Self::Timeout(_) | Self::Internal(_) => None,
        }
    }

    /// The connector's error inside an error of the engine, if that is what it wraps.
    pub fn within(error: &datafusion::error::DataFusionError) -> Option<&Self> {
        Self::behind(error)
    }

    /// The connector's error among the causes of an error: the engine, its file formats and object stores wrap it in
    /// theirs.
    fn behind<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a Self> {
        let mut cause = Some(error);
        while let Some(error) = cause {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            cause = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
                Some(inner) => Some(inner),
                None => error.source(),
            };
        }
        None
    }

    /// The connector's error behind another, which is given up for it; where there is none, the other's words, for
    /// the log.
    pub(crate) fn taken_from(error: impl std::error::Error + 'static) -> Result<Self, String> {
        Self::behind(&error).map(Self::again).ok_or_else(|| error.to_string())
    }

    /// The same once more, without its cause.
    fn again(&self) -> Self {
        match self {
            Self::Unreachable { .. } => Self::Unreachable { cause: None },
            Self::Interrupted { .. } => Self::Interrupted { cause: None },
            Self::Blocked => Self::Blocked,
            Self::Tunnel(fault) => Self::Tunnel(fault.clone()),
            Self::Untrusted { .. } => Self::Untrusted { cause: None },
            Self::AuthenticationFailed { .. } => Self::AuthenticationFailed { cause: None },
            Self::NotFound { what } => Self::NotFound { what: what.clone() },
            Self::Unreadable { file, reason, line } => {
                Self::Unreadable { file: file.clone(), reason: reason.clone(), line: *line }
            }
            Self::UnreadableValue { column, expected } => {
                Self::UnreadableValue { column: column.clone(), expected: expected.clone() }
            }
            Self::Unsupported(reason) => Self::Unsupported(reason.clone()),
            Self::Timeout(limit) => Self::Timeout(*limit),
            Self::QueryFailed { .. } => Self::QueryFailed { cause: None },
            Self::Internal(cause) => Self::Internal(cause.to_string().into()),
        }
    }
}

impl From<Blocked> for ConnectorError {
    fn from(blocked: Blocked) -> Self {
        match blocked {
            Blocked::NotPermitted => Self::Blocked,
            Blocked::Unresolvable => Self::Unreachable { cause: Some(blocked.into()) },
            Blocked::Tunnel(fault) => Self::Tunnel(fault),
        }
    }
}

impl From<ConnectorError> for datafusion::error::DataFusionError {
    fn from(error: ConnectorError) -> Self {
        Self::External(Box::new(error))
    }
}

impl From<ConnectorError> for Error {
    fn from(error: ConnectorError) -> Self {
        let code = error.code();
        match code {
            ErrorCode::InternalError => Error::internal(error),
            code => Error::new(code).with_message(error.to_string()).with_source(error),
        }
    }
}
