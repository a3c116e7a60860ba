//! Why a message of an identity provider is not believed.

use rivergen_kernel::{Error, ErrorCode};
use saml_rs::{
    SamlError,
    error::{SignatureVerificationReason, SubjectConfirmationReason, TimeWindowField},
};

/// For the audit log and for administrators, in plain words. Who sent the message is told the code alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// It is none that can be read.
    #[error("{0}")]
    Unreadable(String),
    /// It was read, and is not trusted.
    #[error("{0}")]
    Rejected(String),
}

impl Refusal {
    pub(super) fn unreadable(reason: impl Into<String>) -> Self {
        Self::Unreadable(reason.into())
    }

    pub(super) fn rejected(reason: impl Into<String>) -> Self {
        Self::Rejected(reason.into())
    }

    pub(super) fn code(&self) -> ErrorCode {
        match self {
            Self::Unreadable(_) => ErrorCode::SamlResponseInvalid,
            Self::Rejected(_) => ErrorCode::SamlAssertionRejected,
        }
    }
}

/// One message for everybody: the reason stays here.
impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        Error::new(refusal.code()).with_source(refusal)
    }
}

/// What the library found, in the words of who has to mend it.
impl From<SamlError> for Refusal {
    fn from(error: SamlError) -> Self {
        let given = |actual: &Option<String>| actual.clone().unwrap_or_else(|| "nothing".to_owned());
        Self::Rejected(match &error {
            SamlError::IssuerMismatch { expected, actual } => {
                format!("it is issued by {}, and this provider is {expected}", given(actual))
            }
            SamlError::DestinationMismatch { expected, actual } => {
                format!("it is addressed to {}, and this address is {expected}", given(actual))
            }
            SamlError::InResponseToMismatch { expected: Some(_), .. } => {
                "it answers a different request than the one of this sign-in".to_owned()
            }
            SamlError::InResponseToMismatch { expected: None, .. } => {
                "it answers a request that was not made here".to_owned()
            }
            SamlError::AudienceMismatch { expected } => format!("it is not for the audience {expected}"),
            SamlError::TimeWindowInvalid { field: TimeWindowField::Conditions } => {
                "the assertion is not valid yet or no longer valid: check the clocks of both servers".to_owned()
            }
            SamlError::TimeWindowInvalid { field } => format!("it has expired or is not valid yet: {field}"),
            SamlError::SubjectConfirmationInvalid { reason } => match reason {
                SubjectConfirmationReason::RecipientMismatch => {
                    "the assertion is for another recipient than this address".to_owned()
                }
                SubjectConfirmationReason::InResponseToMismatch => {
                    "the assertion answers a different request than the one of this sign-in".to_owned()
                }
                SubjectConfirmationReason::TimeWindowInvalid => {
                    "the assertion was delivered too late: check the clocks of both servers".to_owned()
                }
                other => format!("the assertion is not a bearer assertion ({other})"),
            },
            SamlError::SignatureVerification { reason: SignatureVerificationReason::ReferenceDigest } => {
                "it was changed after it was signed".to_owned()
            }
            SamlError::SignatureVerification { .. } => {
                "its signature does not match: it was changed, or signed with a different key than those of this \
                 provider's certificates"
                    .to_owned()
            }
            SamlError::CertificateMismatch => {
                "it is signed with a certificate that is not among those of this provider".to_owned()
            }
            SamlError::NoTrustedCertificate => "this provider has no certificate that is valid today".to_owned(),
            SamlError::SignatureMissing | SamlError::AssertionSignatureRequired => "it is not signed".to_owned(),
            other => other.to_string(),
        })
    }
}
