//! Tokens that are bound to a key, as a request shows them (DPoP; RFC 9449): the scheme `DPoP`, and beside it the header `DPoP`
//! with a proof of the key that was made for this one request.
//!
//! What is here is the form alone. Whoever gave the token checks the proof, and says with a [`KeyFault`] why it is not taken:
//! the source of an `UNAUTHORIZED`, from which the layers above read what the client is told in the headers.

use axum::http::{HeaderMap, header};
use rivergen_kernel::{Error, ErrorCode};

/// The header of a proof.
const PROOF: &str = "dpop";

/// A token, by the scheme that it came with.
#[derive(Debug, Clone, Copy)]
pub enum Shown<'a> {
    Bearer(&'a str),
    /// As bound to a key.
    Bound(&'a str),
}

impl<'a> Shown<'a> {
    /// The token of a request; none where there is none of these schemes.
    pub fn of(headers: &'a HeaderMap) -> Option<Self> {
        let (scheme, token) = headers.get(header::AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
        match scheme {
            scheme if scheme.eq_ignore_ascii_case("bearer") => Some(Self::Bearer(token.trim())),
            scheme if scheme.eq_ignore_ascii_case("dpop") => Some(Self::Bound(token.trim())),
            _ => None,
        }
    }
}

/// The proof of a request, and what it must be for.
#[derive(Debug, Clone, Copy)]
pub struct KeyProof<'a> {
    /// The JWT; none where there is no header of it, or more than one (RFC 9449, section 4.3).
    pub jwt: Option<&'a str>,
    pub method: &'a str,
    /// Behind the public address of this server.
    pub path: &'a str,
}

impl<'a> KeyProof<'a> {
    pub fn of(headers: &'a HeaderMap, method: &'a str, path: &'a str) -> Self {
        let mut all = headers.get_all(PROOF).iter();
        let jwt = match (all.next(), all.next()) {
            (Some(only), None) => only.to_str().ok(),
            _ => None,
        };
        Self { jwt, method, path }
    }

    /// Whether a request brings one at all, good or not.
    pub fn is_in(headers: &HeaderMap) -> bool {
        headers.contains_key(PROOF)
    }
}

/// Why a token that has to do with a key is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    #[error("The token is bound to a key: send it as DPoP, with a proof of the key.")]
    Missing,
    #[error("The token is not bound to a key: send it as Bearer.")]
    Unbound,
    #[error("The proof of the key is not good: {0}.")]
    Wrong(&'static str),
    #[error("Make a new proof of the key, with the nonce from the header DPoP-Nonce.")]
    Nonce(String),
}

/// With what proofs may be signed, as challenges say it.
macro_rules! algs {
    () => {
        r#"algs="ES256 ES384 EdDSA RS256 PS256""#
    };
}

impl KeyFault {
    /// The challenge for a token that is not good, whatever the key.
    pub const INVALID_TOKEN: &'static str = concat!(r#"DPoP error="invalid_token", "#, algs!());
    /// With what proofs may be signed, for another challenge.
    pub const ALGORITHMS: &'static str = algs!();
    pub const NONCE_HEADER: &'static str = "dpop-nonce";

    /// What an error says of a key.
    pub fn of(error: &Error) -> Option<&Self> {
        error.source.as_deref()?.downcast_ref()
    }

    /// For `WWW-Authenticate` (RFC 9449, section 7.1).
    pub const fn challenge(&self) -> &'static str {
        match self {
            Self::Missing | Self::Unbound => Self::INVALID_TOKEN,
            Self::Wrong(_) => concat!(r#"DPoP error="invalid_dpop_proof", "#, algs!()),
            Self::Nonce(_) => concat!(r#"DPoP error="use_dpop_nonce", "#, algs!()),
        }
    }

    /// The nonce that the next proof is to have.
    pub fn nonce(&self) -> Option<&str> {
        match self {
            Self::Nonce(nonce) => Some(nonce),
            _ => None,
        }
    }
}

impl From<KeyFault> for Error {
    fn from(fault: KeyFault) -> Self {
        Self::new(ErrorCode::Unauthorized).with_message(fault.to_string()).with_source(fault)
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    #[test]
    fn a_token_comes_with_its_scheme() {
        let shown = |value: &'static str| {
            let headers = HeaderMap::from_iter([(header::AUTHORIZATION, HeaderValue::from_static(value))]);
            match Shown::of(&headers) {
                Some(Shown::Bearer(token)) => format!("bearer {token}"),
                Some(Shown::Bound(token)) => format!("bound {token}"),
                None => String::new(),
            }
        };
        assert_eq!((shown("bearer  x"), shown("DPoP y")), ("bearer x".to_owned(), "bound y".to_owned()));
        assert_eq!((shown("Basic eA=="), shown("Bearer")), (String::new(), String::new()));
    }

    #[test]
    fn a_request_has_one_proof() {
        let mut headers = HeaderMap::new();
        assert!(KeyProof::of(&headers, "GET", "/").jwt.is_none() && !KeyProof::is_in(&headers));
        headers.append(PROOF, HeaderValue::from_static("one"));
        assert_eq!(KeyProof::of(&headers, "GET", "/").jwt, Some("one"));
        headers.append(PROOF, HeaderValue::from_static("two"));
        assert!(KeyProof::of(&headers, "GET", "/").jwt.is_none() && KeyProof::is_in(&headers));
    }

    #[test]
    fn a_fault_is_read_from_the_error_that_it_became() {
        let error = Error::from(KeyFault::Nonce("n".to_owned()));
        assert_eq!(KeyFault::of(&error).and_then(KeyFault::nonce), Some("n"));
        assert_eq!(error.code, ErrorCode::Unauthorized);
        assert_eq!(KeyFault::of(&Error::from(ErrorCode::Unauthorized)), None);
    }
}
