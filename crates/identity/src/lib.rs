//! People and proofs: accounts, passwords, sessions and their tokens.
//!
//! Knows nothing of an organization's inner life: where a session stands and what its person may do
//! there, it asks through [`directory::Directory`], which `tenancy` answers.
//!
//! One file or folder per capability. The ways in: [`signup`], [`login`], [`mfa`] (its second step), [`webauthn`],
//! [`social`], [`personal_token`]; what proves somebody anew at a provider: [`asked_anew`]; what one does then: [`me`],
//! [`account`], [`session`], [`device`], [`logout`]. They stand on [`user`], [`password`], [`oidc`], [`one_time_token`],
//! [`pending_login`], [`access_token`], [`country`], and on what organizations ask ([`security`]). [`operator`] is what the
//! command line does for people. [`authenticate`] turns a token into a caller at every request.

pub mod access_token;
pub mod account;
pub mod asked_anew;
pub mod authenticate;
pub mod cookies;
pub mod country;
pub mod device;
pub mod directory;
pub mod email_address;
mod expiry;
pub mod login;
pub mod logout;
pub mod mails;
pub mod me;
pub mod mfa;
pub mod migrations;
pub mod oidc;
pub mod one_time_token;
pub mod operator;
pub mod password;
pub mod pending_login;
pub mod personal_data;
pub mod personal_token;
pub mod refresh;
pub mod security;
pub mod session;
pub mod signup;
pub mod social;
pub mod user;
pub mod verify_email;
pub mod webauthn;

use std::{sync::Arc, time::Duration};

use rivergen_kernel::{OrganizationId, Result, UserId, WorkspaceId};
use rivergen_platform::{Kept, Platform, Transaction, limits::Rule};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Identity {
    pub platform: Platform,
    pub settings: Arc<Settings>,
    pub passwords: password::Passwords,
    pub tokens: access_token::AccessTokens,
    pub directory: Arc<dyn directory::Directory>,
    pub(crate) delegations: Arc<dyn authenticate::Delegations>,
    pub(crate) profiles: Kept<UserId, Arc<me::Me>>,
    pub(crate) decoys: webauthn::Decoys,
    pub(crate) social: Arc<social::Providers>,
}

/// What an operator may set.
#[derive(Clone)]
pub struct Settings {
    /// Whether signup is open to everybody.
    pub signup_open: bool,
    /// Answer a taken address at signup as if it were new, and mail its owner instead of saying `EMAIL_TAKEN`.
    pub hide_taken_addresses: bool,
    /// The terms that a new account must accept explicitly; none where `None`.
    pub terms_version: Option<String>,
    pub session_lifetime: chrono::Duration,
    pub remembered_session_lifetime: chrono::Duration,
    /// What authenticator apps call this server.
    pub mfa_issuer: String,
    /// Whom passkeys are made for.
    pub relying_party: webauthn::RelyingParty,
    /// The providers that people may sign in with.
    pub social: social::SocialConfig,
    /// Where addresses are.
    pub countries: country::Countries,
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
        delegations: Arc<dyn authenticate::Delegations>,
    ) -> Self {
        let profiles = me::profiles(platform.db.bus());
        let social = Arc::new(social::Providers::new(settings.social.clone()));
        Self {
            platform,
            settings: Arc::new(settings),
            passwords,
            tokens,
            directory,
            delegations,
            profiles,
            decoys: webauthn::Decoys::default(),
            social,
        }
    }

    /// Where a fresh session stands: one that an organization's identity provider opens, in that organization.
    async fn place(
        &self,
        user: UserId,
        wanted: Option<WorkspaceId>,
        federated_by: Option<session::Federated>,
    ) -> Result<Option<directory::Place>> {
        match federated_by {
            Some(by) => self.directory.home_in(user, by.organization_id).await,
            None => self.directory.home(user, wanted).await,
        }
    }
}

/// What this room does in the background. To be called once, before the jobs start.
pub fn register_jobs(identity: &Identity) {
    account::forgot_password::Mailer::register(identity);
    account::delete::Purge::register(identity);
    expiry::Sweep::register(identity);
}

/// Everything of this room that belongs to an organization which is erased: sessions that stood in it, tokens and devices
/// that it gave. Indexes: sessions(organization_id, …), personal_access_tokens(organization_id, id).
pub async fn erase_organization(tx: &Transaction, organization: OrganizationId) -> Result<()> {
    let (conn, of) = (tx.conn(), organization);
    session::Entity::delete_many().filter(session::Column::OrganizationId.eq(of)).exec(conn).await?;
    personal_token::Entity::delete_many().filter(personal_token::Column::OrganizationId.eq(of)).exec(conn).await?;
    device::Entity::delete_many().filter(device::Column::OrganizationId.eq(of)).exec(conn).await?;
    Ok(())
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Identity> {
    OpenApiRouter::new()
        .routes(routes!(signup::signup))
        .routes(routes!(verify_email::verify_email))
        .routes(routes!(verify_email::resend_verification))
        .routes(routes!(login::login))
        .routes(routes!(mfa::login::mfa_otp_generate))
        .routes(routes!(mfa::login::mfa_verify))
        .routes(routes!(refresh::refresh))
        .routes(routes!(logout::logout))
        .routes(routes!(logout::logout_all))
        .routes(routes!(me::get_me, account::delete::delete_me))
        .routes(routes!(account::profile::update_profile))
        .routes(routes!(account::add_email::add_email))
        .routes(routes!(account::forgot_password::forgot_password))
        .routes(routes!(account::reset_password::reset_password))
        .routes(routes!(account::change_password::change_password))
        .routes(routes!(account::switch_workspace::switch_workspace))
        .routes(routes!(session::list::list_sessions))
        .routes(routes!(session::revoke::revoke_session))
        .routes(routes!(mfa::totp::setup_totp))
        .routes(routes!(mfa::totp::verify_totp))
        .routes(routes!(mfa::totp::list_totp_devices))
        .routes(routes!(mfa::totp::remove_totp_device))
        .routes(routes!(mfa::email_otp::setup_email_otp))
        .routes(routes!(mfa::email_otp::verify_email_otp))
        .routes(routes!(mfa::email_otp::remove_email_otp))
        .routes(routes!(mfa::status::get_mfa_status))
        .routes(routes!(mfa::backup_codes::generate_backup_codes))
        .routes(routes!(mfa::backup_codes::get_backup_codes))
        .routes(routes!(device::activate_device))
        .routes(routes!(device::list_devices))
        // The published path ends in a slash; without it, it works too.
        .route("/api/v1/devices", axum::routing::get(device::list_devices))
        .routes(routes!(device::revoke_device))
        .routes(routes!(device::skip_device))
        .routes(routes!(personal_token::create_token, personal_token::list_tokens))
        .routes(routes!(personal_token::update_token, personal_token::revoke_token))
        .merge(webauthn::operations())
        .merge(social::operations())
}
