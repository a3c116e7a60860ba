//! `GET /api/v1/auth/social-accounts`, and `POST` and `DELETE /api/v1/auth/social-accounts/{provider}`: the providers
//! that a person has connected.
//!
//! To connect one is to be able to sign in with it, so both changes need a proof not older than ten minutes; the last
//! way to sign in is not taken away.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, Result};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, NoContent, Path, Reply, RequestOrigin, SignedIn},
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Entity, FINISH_BY_IP, Model, login, state};
use crate::{
    Identity, mails,
    one_time_token::{self, Purpose},
    pending_login,
    user::User,
    webauthn,
};

/// An account of a provider, as its person sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct SocialAccount {
    #[schema(examples("google"))]
    pub provider: String,
    pub connected_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    /// As the provider gave it.
    #[schema(examples("ada@acme.example"))]
    pub email: Option<String>,
    #[schema(examples("Ada Lovelace"))]
    pub display_name: Option<String>,
}

impl From<Model> for SocialAccount {
    fn from(row: Model) -> Self {
        Self {
            provider: row.provider,
            connected_at: row.created_at,
            last_used_at: row.last_used_at,
            email: row.email,
            display_name: row.display_name,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct SocialAccounts {
    pub accounts: Vec<SocialAccount>,
    pub total: usize,
}

errors! {
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, AccountsFetchFailed;
    pub LinkErrors: InvalidRequest, InvalidProvider, ProviderNotConfigured, InvalidState, SocialLoginFailed, Unauthorized, TokenExpired, Forbidden, ReauthenticationRequired, EmailNotVerified, SocialAccountInUse, Conflict, ValidationError, RateLimited;
    pub UnlinkErrors: Unauthorized, TokenExpired, Forbidden, ReauthenticationRequired, EmailNotVerified, SocialAccountNotFound, LastLoginMethod;
}

/// List your connected social accounts
#[utoipa::path(get, path = "/api/v1/auth/social-accounts", tag = "authentication",
    responses((status = 200, description = "All of them", body = Envelope<SocialAccounts>), ListErrors))]
pub async fn list_social_accounts(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<SocialAccounts>> {
    caller.session()?;
    let rows = super::accounts_of(identity.platform.db.read(), caller.user_id).await;
    let rows = rows.map_err(|error| error.or_internally(ErrorCode::AccountsFetchFailed))?;
    let accounts: Vec<_> = rows.into_iter().map(SocialAccount::from).collect();
    let total = accounts.len();
    Ok(Reply::ok(SocialAccounts { accounts, total }, "Connected accounts."))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"code": "4/0Ab…", "state": "mVxN3…"}))]
pub struct LinkRequest {
    /// The provider's authorization code.
    #[garde(length(min = 1, max = 4096))]
    pub code: String,
    /// From `oauth/{provider}/url`, called by the same person.
    #[garde(length(min = 1, max = 200))]
    pub state: String,
}

/// Connect a social account to your own
#[utoipa::path(post, path = "/api/v1/auth/social-accounts/{provider}", tag = "authentication", request_body = LinkRequest,
    params(("provider" = String, Path, description = "From the list of providers")),
    responses((status = 201, description = "Connected: it can be used to sign in", body = Envelope<SocialAccount>), LinkErrors))]
pub async fn link_social_account(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(name): Path<String>,
    Json(request): Json<LinkRequest>,
) -> Result<Reply<SocialAccount>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    caller.recently_proved(now)?;
    let provider = identity.social.get(&name)?;
    platform.limits.check(&FINISH_BY_IP, &caller.user_id.to_string())?;
    let begun = state::take(platform, &name, &request.state, Some(caller.user_id)).await?;
    let failed = ErrorCode::SocialLoginFailed;
    let profile = login::profile(&identity, provider, request.code, &begun, failed, &origin).await?;

    let tx = platform.db.begin().await?;
    let user = User::find(tx.conn(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    match super::find(tx.conn(), &name, &profile.subject).await? {
        Some(row) if row.user_id == user.id() => return Ok(Reply::created(row.into(), "Connected already.")),
        Some(_) => return Err(ErrorCode::SocialAccountInUse.into()),
        None => {}
    }
    let row = super::connect(&tx, user.id(), &name, &profile, now, None).await;
    let row = row.map_err(duplicate_is(Error::new(ErrorCode::Conflict).with_message(ANOTHER)))?;
    mails::send_social_account_changed(&identity, &tx, &user, provider.display_name(), true).await?;
    tx.publish(Event::UserChanged(user.id())).await?;
    record(&identity, &tx, &user, "user.link_social_account", &name, &origin).await?;
    tx.commit().await?;
    Ok(Reply::created(row.into(), "Connected."))
}

const ANOTHER: &str = "Another account with this provider is already connected; disconnect it first.";

/// Disconnect a social account
#[utoipa::path(delete, path = "/api/v1/auth/social-accounts/{provider}", tag = "authentication",
    params(("provider" = String, Path, description = "From the list of connected accounts")),
    responses((status = 204, description = "Disconnected: it can no longer be used to sign in"), UnlinkErrors))]
pub async fn unlink_social_account(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(name): Path<String>,
) -> Result<NoContent> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    caller.recently_proved(now)?;
    let tx = platform.db.begin().await?;
    let user = User::lock(&tx, caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    let connected = super::accounts_of(tx.conn(), user.id()).await?;
    let (gone, others): (Vec<_>, Vec<_>) = connected.into_iter().partition(|row| row.provider == name);
    let row = gone.into_iter().next().ok_or(ErrorCode::SocialAccountNotFound)?;
    if !has_another_way(&identity, &tx, &user, &others).await? {
        return Err(ErrorCode::LastLoginMethod.into());
    }
    Entity::delete_by_id(row.id).exec(tx.conn()).await?;
    // What it has begun is no proof any more.
    one_time_token::kill(&tx, Purpose::SocialHandover, user.id(), now).await?;
    pending_login::end_all(&tx, user.id(), now).await?;
    let shown = identity.social.get(&name).map_or(name.as_str(), |provider| provider.display_name());
    mails::send_social_account_changed(&identity, &tx, &user, shown, false).await?;
    tx.publish(Event::UserChanged(user.id())).await?;
    record(&identity, &tx, &user, "user.unlink_social_account", &name, &origin).await?;
    tx.commit().await?;
    Ok(NoContent)
}

/// A password, a passkey, or an account of a provider that this server still has credentials for.
async fn has_another_way(identity: &Identity, tx: &Transaction, user: &User, others: &[Model]) -> Result<bool> {
    if user.account.password_hash.is_some() || others.iter().any(|row| identity.social.has(&row.provider)) {
        return Ok(true);
    }
    Ok(webauthn::count(tx.conn(), user.id()).await? > 0)
}

async fn record(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    action: &'static str,
    provider: &str,
    origin: &RequestOrigin,
) -> Result<()> {
    let record = AuditRecord::new(None, origin.actor(user.id()), action)
        .target("user", user.id().0)
        .details(serde_json::json!({"provider": provider}));
    audit::record(tx, &identity.platform.clock, record).await.map(drop)
}
