//! What goes wrong between a client and Oracle, and what it means to a source's owner.

use std::io;

use crate::ConnectorError;

/// Why a call did not end well.
#[derive(Debug, thiserror::Error)]
pub(super) enum Fault {
    /// It never came to Oracle's protocol: the guard, the network's first steps, TLS.
    #[error("there was no way to the server")]
    Way(#[source] ConnectorError),
    #[error("the connection was lost")]
    Lost(#[from] io::Error),
    /// What came is not what the protocol has there.
    #[error("the server does not speak as expected: {0}")]
    Garbled(&'static str),
    /// The listener let nobody in.
    #[error("the listener refused with ORA-{0:05}")]
    Refused(u32),
    /// The database answered with an error.
    #[error("{message}")]
    Database { code: u32, message: String },
    /// Something that this client does not do, in words for the source's owner.
    #[error("{0}")]
    Unsupported(&'static str),
    /// The server broke off what it was sending; what it says next is a whole answer.
    #[error("the server began anew")]
    Anew,
}

impl Fault {
    /// In a result that was begun: the server was reached, so it is not to be tried again.
    pub fn while_reading(self) -> ConnectorError {
        match self {
            fault @ (Self::Lost(_) | Self::Garbled(_)) => ConnectorError::QueryFailed { cause: Some(fault.into()) },
            fault => fault.into(),
        }
    }
}

impl From<Fault> for ConnectorError {
    fn from(fault: Fault) -> Self {
        let code = match &fault {
            Fault::Way(_) => None,
            Fault::Refused(code) | Fault::Database { code, .. } => Some(*code),
            Fault::Unsupported(reason) => return Self::Unsupported((*reason).to_owned()),
            Fault::Lost(_) | Fault::Garbled(_) | Fault::Anew => return Self::Unreachable { cause: Some(fault.into()) },
        };
        let Some(code) = code else {
            return match fault {
                Fault::Way(error) => error,
                fault => Self::internal(fault),
            };
        };
        match code {
            // A name or password that is wrong, an account that is locked or whose password has expired, no right to a
            // session; a service, SID or instance that the listener does not know.
            1_005 | 1_017 | 1_045 | 28_000 | 28_001 | 28_003 | 12_505 | 12_514 | 12_521 => {
                Self::AuthenticationFailed { cause: Some(fault.into()) }
            }
            // No such object or column, or no right to it.
            904 | 942 | 1_031 | 4_043 | 41_900 => {
                tracing::info!(error = &fault as &dyn std::error::Error, "Oracle has no such object");
                Self::no_such_name()
            }
            12_660 => Self::Unsupported(NATIVE_ENCRYPTION.to_owned()),
            // Starting, stopping, full, or nobody there to take the session; a session that is no more.
            18 | 20 | 28 | 1_012 | 1_033 | 1_034 | 1_089 | 1_090 | 1_092 | 1_109 | 2_391 | 3_113 | 3_114 | 3_135
            | 12_516 | 12_518 | 12_519 | 12_520 | 12_528 | 12_537 | 12_541 | 12_547 | 12_564 | 12_572 | 12_757
            | 27_101 => Self::Unreachable { cause: Some(fault.into()) },
            _ if matches!(fault, Fault::Refused(_)) => Self::Unreachable { cause: Some(fault.into()) },
            _ => Self::QueryFailed { cause: Some(fault.into()) },
        }
    }
}

/// What Oracle calls it is negotiated before TLS's place in the protocol, and only by Oracle's own libraries.
pub(super) const NATIVE_ENCRYPTION: &str = "the server requires Oracle's native network encryption, which is not \
                                            supported; have it use TLS (TCPS) instead, and set metadata.sslmode";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Step;

    fn meant(code: u32) -> ConnectorError {
        Fault::Database { code, message: format!("ORA-{code:05}: secret words") }.into()
    }

    #[test]
    fn errors_are_told_by_what_they_mean_and_not_in_the_servers_words() {
        for (code, step) in [
            (1_017, Step::SignIn),
            (28_000, Step::SignIn),
            (28_001, Step::SignIn),
            (942, Step::Permission),
            (1_034, Step::Connection),
            (12_660, Step::Configuration),
            (600, Step::Permission),
        ] {
            let error = meant(code);
            assert_eq!(error.step(), Some(step), "{code}");
            assert!(!error.to_string().contains("secret words"), "{code}");
        }
        assert_eq!(ConnectorError::from(Fault::Refused(12_514)).step(), Some(Step::SignIn));
        assert_eq!(ConnectorError::from(Fault::Refused(12_541)).step(), Some(Step::Connection));
        assert_eq!(ConnectorError::from(Fault::Garbled("x")).step(), Some(Step::Connection));
        assert!(matches!(Fault::Garbled("x").while_reading(), ConnectorError::QueryFailed { .. }));
    }
}
