//! From what an identity provider says of a person to a member who is signed in.
//!
//! ```text
//! sso/login ─▶ a state (10 minutes, once, one browser) ─▶ the provider ─▶ oidc/callback or saml/acs: an Assertion
//!    ─▶ arrive: who is it, and may they? ─▶ redirect_uri?code=… (60 s, once) ─▶ sso/token ─▶ a session in the organization
//! ```
//!
//! A person is known by the provider and the subject that it gives them. Somebody who is not known yet is linked to the
//! account of their address only where the provider says that it is theirs, and the organization has proved its domain: an
//! organization that owns the mailbox can let its own identity provider vouch for it, and for no other.
//!
//! | the provider's subject is | and | then |
//! | --- | --- | --- |
//! | linked | an active member | they sign in |
//! | linked or not | suspended, deactivated or disabled here | refused |
//! | not linked | its verified address, of a proved domain, is an active member's | linked, signed in |
//! | not linked | that address is an account's, or nobody's, and the provider makes members | a member, linked, signed in |
//! | | anything else | refused |
//!
//! [`start`] sends a browser away under a [`state`]; [`arrive`](arrive::arrive) decides with [`admission`], writes down what
//! the provider says ([`attributes`], [`roles`]) and hands over a code; [`exchange`] turns it into a session. [`login`] is
//! what is kept of each sign-in, so that [`sessions`] can end what it opened; [`logout`] tells where to sign out; [`seen`] takes each
//! message of a provider once. A state of an administrator's [`rehearsal`] goes the same way and signs nobody in; one of somebody
//! who is asked anew (`AskedAnew`), because something needs a fresh proof, lets them alone back in. [`proofs`] says who can be.

pub mod admission;
pub mod arrive;
mod attributes;
mod exchange;
pub mod login;
mod logout;
mod mails;
pub(crate) mod migrations;
mod proofs;
pub mod protocol;
mod rehearsal;
pub mod roles;
pub(crate) mod seen;
pub mod sessions;
mod start;
pub mod state;
mod sweep;

use std::{collections::BTreeMap, time::Duration};

use chrono::{DateTime, Utc};
use rivergen_kernel::Secret;
use rivergen_platform::limits::Rule;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use arrive::{arrive, bounded, reject};

use crate::Federation;

/// Sign-ins that one address begins. A whole office may have one.
const START_BY_IP: Rule = Rule::new("sso_start_by_ip", 300, Duration::from_secs(600));
/// Sign-ins that one address finishes: each may ask the provider.
pub const FINISH_BY_IP: Rule = Rule::new("sso_finish_by_ip", 300, Duration::from_secs(600));

/// What a provider says of a person, after its signature, its audience and its time were checked. The same for both
/// protocols; what becomes of it is decided here alone.
#[derive(Debug, Clone)]
pub struct Assertion {
    /// OpenID Connect's `sub`, SAML's NameID.
    pub subject: String,
    /// Lower-cased.
    pub email: Option<String>,
    /// Whether the provider says that the address is the person's. What SAML says is said so.
    pub email_verified: bool,
    pub display_name: Option<String>,
    /// By the provider's own names.
    pub attributes: BTreeMap<String, Vec<String>>,
    pub groups: Vec<String>,
    /// Whether the provider asked for two factors (`amr` with `mfa`, or an authentication context that says so).
    pub second_factor: bool,
    /// What the provider calls its session (`sid`, SessionIndex): a logout names it.
    pub idp_session: Option<String>,
    /// What the provider wants to see when the person signs out here (an ID token, a NameID as it was written); kept sealed.
    pub logout_hint: Option<Secret>,
    /// When the session that it opens is over, whatever its use, where the provider says so (SAML's `SessionNotOnOrAfter`).
    pub session_until: Option<DateTime<Utc>>,
    /// When the provider asked the person who they are, where it says so (`auth_time`, SAML's `AuthnInstant`).
    pub authenticated_at: Option<DateTime<Utc>>,
}

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(start::start_login))
        .routes(routes!(exchange::exchange_code))
        .routes(routes!(logout::logout))
        .routes(routes!(proofs::ways_to_prove))
}

/// What this module does in the background.
pub(crate) fn register_jobs(federation: &Federation) {
    sweep::register(federation);
}
