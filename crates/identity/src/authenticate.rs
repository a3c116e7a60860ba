//! From a bearer token to a [`Caller`], at every request and in this one place.
//!
//! The work (signature, session, account, membership) is done once per token and node and then kept for a
//! minute; whatever ends a session or changes a person, a role or a member is heard on the bus and takes
//! the kept caller away at once. The kept minute is also the rhythm in which a session's last use is
//! written down.

use std::{net::IpAddr, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, Credential, ErrorCode, Federation, OauthApplicationId, OauthGrantId, OrganizationId, Proofs, Result,
    Scopes, TokenHash, UserId, WorkspaceId,
};
use rivergen_platform::{
    Event, Kept, Platform, Transaction,
    http::{Authenticator, KeyFault, KeyProof},
};

use crate::{
    access_token::AccessTokens, directory::Directory, personal_token, security::SecurityPolicy, session, user::User,
};

/// The tokens that applications hold for people. Implemented by `oauth`, a room above, and handed in at assembly.
#[async_trait::async_trait]
pub trait Delegations: Send + Sync {
    /// What the token says that somebody lets an application do here; `UNAUTHORIZED` or `TOKEN_EXPIRED` where it is not
    /// good, or good elsewhere alone.
    async fn read(&self, token: &str, now: DateTime<Utc>) -> Result<Delegation>;

    /// Whether the proof is one of that key, made for this token and this request, and shown for the first time; the
    /// [`KeyFault`] where it is not (RFC 9449, section 4.3).
    async fn prove(&self, key: &str, token: &str, proof: KeyProof<'_>) -> Result<()>;

    /// Ends all that the person lets applications do, on every node, for a reason of one word; answers how much there was.
    async fn end_all(&self, tx: &Transaction, user: UserId, reason: &'static str, now: DateTime<Utc>) -> Result<u64>;
}

/// What somebody lets an application do.
#[derive(Debug, Clone)]
pub struct Delegation {
    pub application_id: OauthApplicationId,
    pub grant_id: Option<OauthGrantId>,
    /// To which application it was granted: a service may act with what another one was.
    pub granted_to: OauthApplicationId,
    pub user_id: UserId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub scopes: Scopes,
    /// What the session proved in which they agreed, wherever the request comes from.
    pub proofs: Proofs,
    /// The key that the token is bound to, by its thumbprint (RFC 9449, section 6): each use proves it.
    pub key: Option<String>,
    pub expires_at: DateTime<Utc>,
}

/// The authenticator of people's access tokens and of the tokens that they made for programs.
pub struct TokenAuthenticator {
    platform: Platform,
    tokens: AccessTokens,
    directory: Arc<dyn Directory>,
    delegations: Arc<dyn Delegations>,
    kept: Kept<(Vec<u8>, Option<IpAddr>), Known>,
}

#[derive(Clone)]
struct Known {
    caller: Arc<Caller>,
    expires_at: DateTime<Utc>,
    /// What ends it besides what the caller tells.
    also: Option<Event>,
    /// The key that the token is bound to.
    key: Option<String>,
}

impl Known {
    /// Until the token ends, or a role on loan does.
    fn new(caller: Caller, token_ends: DateTime<Utc>) -> Self {
        let loan_ends = caller.membership.as_ref().and_then(|membership| membership.valid_until);
        let expires_at = loan_ends.map_or(token_ends, |end| end.min(token_ends));
        Self { caller: Arc::new(caller), expires_at, also: None, key: None }
    }
}

impl TokenAuthenticator {
    pub fn new(
        platform: Platform,
        tokens: AccessTokens,
        directory: Arc<dyn Directory>,
        delegations: Arc<dyn Delegations>,
    ) -> Self {
        let kept = Kept::new(platform.db.bus(), 100_000, Duration::from_secs(60), until);
        Self { platform, tokens, directory, delegations, kept }
    }

    async fn known(&self, token: &str, ip: Option<IpAddr>) -> Result<Known> {
        // What is open depends on the address too.
        let key = (TokenHash::of(token).0, ip);
        if let Some(known) = self.kept.get(&key)
            && self.platform.clock.now() < known.expires_at
        {
            return Ok(known);
        }
        self.kept.load(key, self.load(token, ip)).await
    }

    async fn load(&self, token: &str, ip: Option<IpAddr>) -> Result<Known> {
        if token.starts_with(personal_token::PREFIX) {
            return self.load_personal(token, ip).await;
        }
        match Kind::of(token)? {
            Kind::Session => self.load_session(token, ip).await,
            Kind::Delegation => self.load_delegated(token, ip).await,
        }
    }

    /// An application acts as the person who lets it, in the organization for which they do, with what the scopes leave of
    /// what they may do there now.
    async fn load_delegated(&self, token: &str, ip: Option<IpAddr>) -> Result<Known> {
        let now = self.platform.clock.now();
        let delegation = self.delegations.read(token, now).await?;
        let user = User::find(self.platform.db.read(), delegation.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
        if user.account.disabled_at.is_some() {
            return Err(ErrorCode::UserDisabled.into());
        }
        let organization = delegation.organization_id;
        let membership = self.directory.membership(user.id(), organization, delegation.workspace_id).await?;
        let membership = membership.ok_or(ErrorCode::Unauthorized)?;
        let proofs = Proofs { ip, ..delegation.proofs };
        let closed = self.directory.security(user.id()).await?.closes(organization, proofs, now);
        let caller = Caller {
            user_id: user.id(),
            email_verified: user.is_verified(),
            email: user.email.email.into(),
            authenticated_at: now,
            membership: Some(Arc::new(membership.narrowed(&delegation.scopes))),
            proofs,
            closed,
            credential: Credential::Application {
                application_id: delegation.application_id,
                grant_id: delegation.grant_id,
                scopes: delegation.scopes,
                organization_id: organization,
            },
        };
        let also = Some(Event::ApplicationChanged(delegation.granted_to));
        Ok(Known { also, key: delegation.key, ..Known::new(caller, delegation.expires_at) })
    }

    async fn load_personal(&self, token: &str, ip: Option<IpAddr>) -> Result<Known> {
        let now = self.platform.clock.now();
        let db = self.platform.db.read();
        let row = personal_token::find(db, token).await?.ok_or(ErrorCode::Unauthorized)?;
        let max_days = self.directory.security(row.user_id).await?.max_token_days(row.organization_id);
        if !row.is_live(max_days, now) {
            return Err(ErrorCode::Unauthorized.into());
        }
        let user = User::find(db, row.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
        if user.account.disabled_at.is_some() {
            return Err(ErrorCode::UserDisabled.into());
        }
        row.touch(&self.platform, now).await?;
        let caller = personal_token::caller(self.directory.as_ref(), &row, user, ip, now).await?;
        Ok(Known::new(caller, row.ends_at(max_days).unwrap_or(DateTime::<Utc>::MAX_UTC)))
    }

    async fn load_session(&self, token: &str, ip: Option<IpAddr>) -> Result<Known> {
        let now = self.platform.clock.now();
        let claims = self.tokens.verify(token, now).await?;
        let db = self.platform.db.read();
        let session = session::Model::find(db, claims.sid).await?;
        let mut session = session.filter(|session| session.is_live(now)).ok_or(ErrorCode::Unauthorized)?;
        // A token that was issued before the session moved names a place where it does not stand any more.
        let moved = (claims.org, claims.ws) != (session.organization_id, session.workspace_id);
        if session.user_id != claims.user_id()? || moved {
            return Err(ErrorCode::Unauthorized.into());
        }
        let user = User::find(db, session.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
        if user.account.disabled_at.is_some() {
            return Err(ErrorCode::UserDisabled.into());
        }
        let membership = match session.organization_id {
            Some(organization) => self.directory.membership(user.id(), organization, session.workspace_id).await?,
            None => None,
        };
        let security = self.directory.security(user.id()).await?;
        if security.end_of(&session).is_some_and(|end| now >= end) {
            return Err(ErrorCode::Unauthorized.into());
        }
        let lifetime = security.access_token_lifetime(session.organization_id, self.tokens.lifetime());
        let token_ends = claims.expires_at().min(claims.issued_at() + lifetime);
        if now >= token_ends {
            return Err(ErrorCode::TokenExpired.into());
        }
        let proofs = session.proofs(ip);
        let closed = session.organization_id.and_then(|organization| security.closes(organization, proofs, now));
        if session.touch_is_due(now) {
            let tx = self.platform.db.begin().await?;
            if !session.touch(&tx, now).await? {
                return Err(ErrorCode::Unauthorized.into());
            }
            tx.commit().await?;
        }
        let caller = Caller {
            user_id: user.id(),
            credential: Credential::Session(session.id),
            email_verified: user.is_verified(),
            email: user.email.email.into(),
            authenticated_at: proved_at(&session, &security, proofs.federation),
            membership,
            proofs,
            closed,
        };
        let session_ends = security.end_of(&session).map_or(session.expires_at, |end| end.min(session.expires_at));
        Ok(Known::new(caller, session_ends.min(token_ends)))
    }
}

/// When the person gave a proof last, for what changes the account. Where the account reaches beyond the organization whose
/// identity provider opened the session, that was none: it must not open the rest of it, and a proof of their own counts.
fn proved_at(session: &session::Model, security: &SecurityPolicy, federation: Federation) -> DateTime<Utc> {
    let is_own = session.authenticated_at > session.created_at;
    match federation {
        Federation::By(organization) if !is_own && security.reaches_beyond(organization) => DateTime::UNIX_EPOCH,
        _ => session.authenticated_at,
    }
}

#[async_trait::async_trait]
impl Authenticator for TokenAuthenticator {
    async fn authenticate(&self, token: &str, ip: Option<IpAddr>) -> Result<Arc<Caller>> {
        let known = self.known(token, ip).await?;
        match known.key {
            None => Ok(known.caller),
            Some(_) => Err(KeyFault::Missing.into()),
        }
    }

    async fn authenticate_bound(&self, token: &str, ip: Option<IpAddr>, proof: KeyProof<'_>) -> Result<Arc<Caller>> {
        let known = self.known(token, ip).await?;
        let key = known.key.ok_or(KeyFault::Unbound)?;
        self.delegations.prove(&key, token, proof).await?;
        Ok(known.caller)
    }

    async fn authenticate_again(&self, token: &str, ip: Option<IpAddr>) -> Result<Arc<Caller>> {
        Ok(self.known(token, ip).await?.caller)
    }
}

fn until(_: &(Vec<u8>, Option<IpAddr>), known: &Known) -> Vec<Event> {
    let caller = &known.caller;
    let mut events = vec![Event::UserChanged(caller.user_id)];
    if let Credential::Session(session) = caller.credential {
        events.push(Event::SessionEnded(session));
    }
    if let Credential::Application { application_id, grant_id, .. } = caller.credential {
        events.push(Event::ApplicationChanged(application_id));
        events.extend(grant_id.map(Event::GrantEnded));
    }
    events.extend(known.also.clone());
    if let Some(membership) = &caller.membership {
        events.push(Event::OrganizationChanged(membership.organization_id));
    }
    events
}

/// Whose token a JWT is, by the claim that only the one kind has. Which keys must have signed it follows from that, so a
/// token that lies about it verifies nowhere.
enum Kind {
    Session,
    Delegation,
}

impl Kind {
    fn of(token: &str) -> Result<Self> {
        #[derive(serde::Deserialize)]
        struct Marks {
            client_id: Option<String>,
        }
        let marks = jsonwebtoken::dangerous::insecure_decode_claims::<Marks>(token);
        let marks = marks.map_err(|_| ErrorCode::Unauthorized)?;
        Ok(if marks.client_id.is_some() { Self::Delegation } else { Self::Session })
    }
}
