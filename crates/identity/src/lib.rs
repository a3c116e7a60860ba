//! People and proofs: accounts, passwords, sessions and their tokens.
//!
//! Knows nothing of an organization's inner life: where a session stands and what its person may do
//! there, it asks through [`directory::Directory`], which `tenancy` answers.
//!
//! One file per capability: [`signup`], [`verify_email`], [`login`], [`refresh`], [`logout`], [`me`] are the
//! operations; [`user`], [`session`], [`password`], [`one_time_token`], [`access_token`] what they stand on;
//! [`authenticate`] turns a token into a caller at every request.

pub mod access_token;
pub mod authenticate;
pub mod directory;
pub mod email_address;
pub mod login;
pub mod logout;
pub mod mails;
pub mod me;
pub mod migrations;
pub mod one_time_token;
pub mod password;
pub mod refresh;
pub mod session;
pub mod signup;
pub mod user;
pub mod verify_email;

use std::{sync::Arc, time::Duration};

use rivergen_kernel::UserId;
use rivergen_platform::{Kept, Platform, limits::Rule};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub platform: Platform,
    pub settings: Arc<Settings>,
    pub passwords: password::Passwords,
    pub tokens: access_token::AccessTokens,
    pub directory: Arc<dyn directory::Directory>,
    pub(crate) profiles: Kept<UserId, Arc<me::Me>>,
}

/// What an operator may set.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Whether signup is open to everybody.
    pub signup_open: bool,
    /// Answer a taken address at signup as if it were new, and mail its owner instead of saying `EMAIL_TAKEN`.
    pub hide_taken_addresses: bool,
    /// The terms that a new account must accept explicitly; none where `None`.
    pub terms_version: Option<String>,
    pub session_lifetime: chrono::Duration,
    pub remembered_session_lifetime: chrono::Duration,
}

/// Refreshes from one address.
const REFRESH_BY_IP: Rule = Rule::new("refresh_by_ip", 60, Duration::from_secs(60));
/// Verification mails to one address, or asked for from one.
const VERIFICATION_MAIL: Rule = Rule::new("verification_mail", 3, Duration::from_secs(3600));
/// Links that are tried from one address.
const VERIFY_BY_IP: Rule = Rule::new("verify_by_ip", 20, Duration::from_secs(600));

impl Identity {
    pub fn new(
        platform: Platform,
        settings: Settings,
        passwords: password::Passwords,
        tokens: access_token::AccessTokens,
        directory: Arc<dyn directory::Directory>,
    ) -> Self {
        let profiles = me::profiles(platform.db.bus());
        Self { platform, settings: Arc::new(settings), passwords, tokens, directory, profiles }
    }
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(signup::signup))
        .routes(routes!(verify_email::verify_email))
        .routes(routes!(verify_email::resend_verification))
        .routes(routes!(login::login))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(me::get_me))
}
