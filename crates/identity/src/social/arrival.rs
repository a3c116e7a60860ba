//! What happens to somebody whom a provider has named.
//!
//! | The provider's account is | and the address | then |
//! | --- | --- | --- |
//! | connected | whatever | its person signs in; a second factor is asked for where they have one |
//! | not connected | verified, of an account here | `EMAIL_TAKEN`: they sign in to it and connect the provider there |
//! | not connected | verified, of nobody | a new account, signed in |
//! | not connected | not verified by the provider | a new account, and a mail that proves the address, as at sign-up |
//!
//! Where somebody is asked anew ([`AskedAnew`]), none comes in but them, and only where the provider did ask.

use axum::http::HeaderMap;
use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, Token};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord, Outcome},
    db::duplicate_is,
    http::RequestOrigin,
    limits::SIGNUP_BY_IP,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::{exchange::Profile, provider::Provider};
use crate::{
    Identity,
    asked_anew::AskedAnew,
    login::{self, Entrance, FactorRequired, SignedIn, VerificationRequired, Way},
    mails,
    one_time_token::{self, Purpose},
    pending_login::FirstStep,
    session::{self, Given},
    signup::{self, SignedUp},
    user::{NewUser, User, default_display_name},
};

/// The answer of a sign-in with a provider.
#[derive(Debug, Serialize, ToSchema)]
pub struct SocialAnswer {
    #[serde(flatten)]
    pub entrance: SocialEntrance,
    #[schema(examples("google"))]
    pub provider: String,
    /// Whether the sign-in made the account.
    pub is_new_user: bool,
    /// What the client gave as `state` at the start.
    pub state: Option<String>,
}

/// Tokens, or what is still missing for them.
#[derive(Debug, Serialize, ToSchema)]
#[serde(untagged)]
pub enum SocialEntrance {
    SignedIn(SignedIn),
    FactorRequired(FactorRequired),
    VerificationRequired(VerificationRequired),
    /// The provider has not verified the new account's address; a mail does.
    SignedUp(SignedUp),
}

/// Somebody who is back from a provider.
pub(super) struct Arrival<'a> {
    pub provider: &'a Provider,
    pub profile: Profile,
    pub client_state: Option<String>,
    pub agree_to_terms: Option<bool>,
    pub terms_version: Option<String>,
    /// To make an account, and not to sign in to one.
    pub is_signup: bool,
    pub onward: Onward,
    pub asked_anew: Option<AskedAnew>,
    pub origin: &'a RequestOrigin,
}

/// How they go on from here.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Onward {
    /// With tokens, in this answer.
    SignIn,
    /// With a code that stands for them, because this answer is an address.
    HandOver,
}

/// Where it led to.
pub(super) enum Arrived {
    Answer(SocialAnswer),
    HandedOver(Token),
}

/// What a handover code stands for, beside the person.
#[derive(Serialize, Deserialize)]
pub(super) struct HandedOver {
    pub provider: String,
    pub is_new_user: bool,
    pub client_state: Option<String>,
    /// When the provider asked them who they are, where it says so.
    pub authenticated_at: Option<DateTime<Utc>>,
}

/// A sign-in with a provider that asked then, as it is continued by a second factor.
pub(super) fn first_step(identity: &Identity, authenticated_at: Option<DateTime<Utc>>) -> FirstStep {
    FirstStep {
        amr: "fed",
        workspace_id: None,
        session_lifetime: identity.settings.session_lifetime,
        federated_by: None,
        given: Given::Elsewhere(authenticated_at),
    }
}

pub(super) async fn arrive(identity: &Identity, arrival: Arrival<'_>, headers: &HeaderMap) -> Result<Arrived> {
    let db = identity.platform.db.read();
    let account = super::find(db, &arrival.provider.name, &arrival.profile.subject).await?;
    if let Some(asked) = arrival.asked_anew {
        hold_to(identity, &arrival, asked, account.as_ref()).await?;
    }
    match account {
        Some(_) if arrival.is_signup => Err(Error::new(ErrorCode::EmailTaken)
            .with_message("This provider account is already connected to an account here; sign in instead.")),
        Some(account) => known(identity, arrival, account, headers).await,
        None => new(identity, arrival).await,
    }
}

/// Lets nobody pass but the person who was asked anew, and nobody at all where the provider does not say that it asked.
async fn hold_to(
    identity: &Identity,
    arrival: &Arrival<'_>,
    asked: AskedAnew,
    account: Option<&super::Model>,
) -> Result<()> {
    let (code, reason) = match account.is_some_and(|account| account.user_id == asked.person) {
        false => (ErrorCode::AnotherPerson, "the person who came back is not the one who was asked to sign in again"),
        true if asked.is_answered(arrival.profile.authenticated_at) => return Ok(()),
        true => (ErrorCode::NotAskedAnew, "the provider does not say that the person signed in just now"),
    };
    refused(identity, arrival.provider, None, reason, arrival.origin).await?;
    Err(code.into())
}

/// Signs in to the account that the provider's account is connected to.
async fn known(
    identity: &Identity,
    arrival: Arrival<'_>,
    account: super::Model,
    headers: &HeaderMap,
) -> Result<Arrived> {
    let platform = &identity.platform;
    let user = User::find(platform.db.read(), account.user_id).await?.ok_or(ErrorCode::SocialLoginFailed)?;
    if user.account.disabled_at.is_some() {
        refused(identity, arrival.provider, Some(&user), "disabled", arrival.origin).await?;
        return Err(ErrorCode::UserDisabled.into());
    }
    let step = first_step(identity, arrival.profile.authenticated_at);
    let way = Way::find(identity, &user, &step, headers).await?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    if !account.touch(&tx, &arrival.profile, now).await? {
        // Disconnected a moment ago.
        return Err(ErrorCode::SocialLoginFailed.into());
    }
    if !user.is_verified() {
        let required = VerificationRequired::of(&tx, &user, now).await?;
        tx.commit().await?;
        return Ok(Arrived::Answer(arrival.answer(SocialEntrance::VerificationRequired(required), false)));
    }
    go_on(identity, tx, arrival, user, way, false).await
}

/// Makes an account of what the provider says.
async fn new(identity: &Identity, arrival: Arrival<'_>) -> Result<Arrived> {
    let platform = &identity.platform;
    let (provider, profile, origin) = (arrival.provider, &arrival.profile, arrival.origin);
    let Some(email) = profile.email.clone() else {
        return Err(Error::new(arrival.failure()).with_message("The provider did not share your e-mail address."));
    };
    let owner = User::find_by_email(platform.db.read(), &email).await?;
    if profile.email_verified && owner.is_some() {
        // Whoever asks has the address, so to say so tells nothing that they may not know.
        refused(identity, provider, owner.as_ref(), "address of an account", origin).await?;
        return Err(Error::new(ErrorCode::EmailTaken).with_message(CONNECT));
    }
    signup::require_open(identity)?;
    let terms_version = signup::accepted_terms(identity, arrival.agree_to_terms, arrival.terms_version.as_deref())?;
    let uses = platform.check_limits(&[(&SIGNUP_BY_IP, &origin.limit_key())]).await?;
    let display_name = profile.display_name.clone().unwrap_or_else(|| default_display_name(&email));

    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    uses.keep(&tx).await?;
    let welcoming = match profile.email_verified {
        true => identity.directory.welcoming(&tx, &email).await?,
        false => None,
    };
    if let Some(owner) = owner {
        let signed_up = signup::taken(identity, tx, owner, display_name, origin).await?;
        return Ok(Arrived::Answer(arrival.answer(SocialEntrance::SignedUp(signed_up), true)));
    }
    let verified_at = profile.email_verified.then_some(now);
    let new = NewUser { email, display_name, password_hash: None, verified_at, terms_version };
    let user = new.insert(tx.conn(), now).await.map_err(duplicate_is(ErrorCode::EmailTaken))?;
    let place = signup::give_organization(identity, &tx, &user).await?;
    let connected = super::connect(&tx, user.id(), &provider.name, profile, now, Some(now)).await;
    connected.map_err(duplicate_is(arrival.failure()))?;
    if user.is_verified() {
        if let Some(organization) = welcoming {
            // Of a new account nothing that follows is locked by anybody else.
            let address = &user.email.email;
            identity.directory.join(&tx, organization, &user, address, &origin.actor(user.id())).await?;
        }
        return go_on(identity, tx, arrival, user, Way::of_new_account(place), true).await;
    }
    mails::send_verification(identity, &tx, &user).await?;
    let signed_up = signup::pending(identity, &tx, &user).await?;
    arrival.record(identity, &tx, "auth.signup", &user, json!({})).await?;
    tx.commit().await?;
    Ok(Arrived::Answer(arrival.answer(SocialEntrance::SignedUp(signed_up), true)))
}

const CONNECT: &str = "This e-mail address already belongs to an account. Sign in to it, and connect the provider in \
                       your account.";

/// The last step of the transaction: a session, the question for a second factor, or a code that stands for either.
async fn go_on(
    identity: &Identity,
    tx: Transaction,
    arrival: Arrival<'_>,
    user: User,
    way: Way,
    is_new_user: bool,
) -> Result<Arrived> {
    if !is_new_user {
        login::require_federation(identity, &user).await?;
    }
    let (onward, authenticated_at) = (arrival.onward, arrival.profile.authenticated_at);
    let action = match (is_new_user, onward) {
        (true, _) => "auth.signup",
        (false, Onward::SignIn) => login::ACTION,
        // The login is the exchange of the code.
        (false, Onward::HandOver) => "auth.oauth_callback",
    };
    if onward == Onward::HandOver {
        let now = identity.platform.clock.now();
        let facts = HandedOver {
            provider: arrival.provider.name.clone(),
            is_new_user,
            client_state: arrival.client_state.clone(),
            authenticated_at: session::said_to_be(authenticated_at, now),
        };
        let facts = serde_json::to_string(&facts).map_err(Error::internal)?;
        let token = one_time_token::issue(&tx, Purpose::SocialHandover, user.id(), Some(&facts), now).await?;
        arrival.record(identity, &tx, action, &user, json!({})).await?;
        tx.commit().await?;
        return Ok(Arrived::HandedOver(token));
    }
    let step = first_step(identity, authenticated_at);
    let entrance = login::enter(identity, &tx, &user, step, way, arrival.origin).await?;
    let details = json!({"second_factor": entrance.second_factor()});
    arrival.record(identity, &tx, action, &user, details).await?;
    tx.commit().await?;
    Ok(Arrived::Answer(arrival.answer(SocialEntrance::of(entrance, user), is_new_user)))
}

impl SocialEntrance {
    pub fn of(entrance: Entrance, user: User) -> Self {
        match entrance {
            Entrance::FactorRequired(required) => Self::FactorRequired(required),
            Entrance::Open(tokens) => Self::SignedIn(SignedIn::new(tokens, user)),
        }
    }

    /// The answer in words.
    pub fn message(&self) -> &'static str {
        match self {
            Self::SignedIn(_) => "Signed in.",
            Self::FactorRequired(required) => required.message,
            Self::VerificationRequired(required) => required.message,
            Self::SignedUp(signed_up) => signed_up.message,
        }
    }
}

impl Arrival<'_> {
    /// What the operation calls a failure.
    fn failure(&self) -> ErrorCode {
        match self.is_signup {
            true => ErrorCode::SocialSignupFailed,
            false => ErrorCode::SocialLoginFailed,
        }
    }

    fn answer(self, entrance: SocialEntrance, is_new_user: bool) -> SocialAnswer {
        SocialAnswer { entrance, provider: self.provider.name.clone(), is_new_user, state: self.client_state }
    }

    async fn record(
        &self,
        identity: &Identity,
        tx: &Transaction,
        action: &'static str,
        user: &User,
        mut details: Value,
    ) -> Result<()> {
        details["method"] = json!("social");
        details["provider"] = json!(self.provider.name);
        if action == login::ACTION {
            return login::record(identity, tx, Some(user.id()), Outcome::Success, details, self.origin).await;
        }
        let details = identity.settings.countries.add_to(details, self.origin.ip);
        let record = AuditRecord::new(None, self.origin.actor(user.id()), action).target("user", user.id().0);
        audit::record(tx, &identity.platform.clock, record.details(details)).await
    }
}

/// Records a sign-in that came to nothing.
pub(super) async fn refused(
    identity: &Identity,
    provider: &Provider,
    user: Option<&User>,
    reason: &'static str,
    origin: &RequestOrigin,
) -> Result<()> {
    let platform = &identity.platform;
    let tx = platform.db.begin().await?;
    let details = json!({"method": "social", "provider": provider.name, "reason": reason});
    login::record(identity, &tx, user.map(User::id), Outcome::Failure, details, origin).await?;
    tx.commit().await
}
