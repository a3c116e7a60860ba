//! The HTTP house: what surrounds every handler and what every handler is made of.
//!
//! A request passes [`layer`] (request id, log, metrics, errors as JSON), then [`caller`] (who is asking,
//! rate limits), then its handler, which takes its input through [`Json`] and [`Query`] and answers a
//! [`Reply`] or a [`rivergen_kernel::Error`].

mod accept;
mod caller;
mod envelope;
mod extract;
mod key_proof;
pub mod layer;
pub mod openapi;

pub use accept::preferred;
pub use caller::{
    Authentication, Authenticator, Challenge, ClientIp, MaybeSignedIn, RequestOrigin, SignedIn, TrustedProxies,
    authenticate,
};
pub use envelope::{Envelope, NoContent, Reply};
pub use extract::{Json, PageQuery, Path, Query, SkipLimit, SortOrder, given, names_zero_byte, not_blank};
pub use key_proof::{KeyFault, KeyProof, Shown};
