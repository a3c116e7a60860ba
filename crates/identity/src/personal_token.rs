//! Personal access tokens: what a person gives a program, so that it acts for them.
//!
//! ```text
//! pat_ 3mK…(43 letters of 256 random bits) 0h2Qx1(the CRC-32 of what stands before it)
//! ```
//!
//! The checksum lets scanners tell a token from noise, and refuses a mistyped one without asking the database. A token
//! never exceeds its owner's permissions at the time of use, and acts on nobody's account: not even its owner's.

use std::{net::IpAddr, sync::Arc};

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_kernel::{
    Caller, Credential, Error, ErrorCode, Federation, OrganizationId, Proofs, Result, Scope, Scopes, Token, TokenHash,
    TokenId, UserId,
};
use rivergen_platform::{
    Clock, Event, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantOwned,
    errors,
    http::{Envelope, Json, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    Condition, ConnectionTrait, IntoActiveModel, PaginatorTrait, QueryOrder, QuerySelect,
    entity::prelude::*,
    sea_query::{Expr, IntoCondition},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{Identity, mails, security::SecurityPolicy, user::User};

pub const PREFIX: &str = "pat_";
/// Enough to recognise a token in a list.
const SHOWN: usize = 10;
/// Letters of the checksum.
const CHECKSUM: usize = 6;
const MAX_TOKENS: u64 = 100;
/// How often the last use is written down.
const TOUCH_INTERVAL: Duration = Duration::seconds(60);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "personal_access_tokens")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: TokenId,
    pub user_id: UserId,
    /// The one organization that it is good for.
    pub organization_id: Option<OrganizationId>,
    pub name: String,
    pub prefix: String,
    pub token_hash: TokenHash,
    pub scopes: serde_json::Value,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// What the session proved that made it: it opens no more than that session.
    pub made_with_second_factor: bool,
    pub made_with_passkey: bool,
    /// Whose identity provider vouched there.
    pub federated_by_organization_id: Option<OrganizationId>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The tokens that are bound to an organization. Index: personal_access_tokens(organization_id, id).
impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    /// When it ends by itself: as was said when it was made, and when it is older than the organization that it is bound to
    /// lets tokens be now ([`SecurityPolicy::max_token_days`]).
    pub fn ends_at(&self, max_days: Option<u16>) -> Option<DateTime<Utc>> {
        let oldest = max_days.map(|days| self.created_at + Duration::days(i64::from(days)));
        self.expires_at.into_iter().chain(oldest).min()
    }

    pub fn is_live(&self, max_days: Option<u16>, now: DateTime<Utc>) -> bool {
        self.revoked_at.is_none() && self.ends_at(max_days).is_none_or(|end| now < end)
    }

    /// What is not understood gives nothing.
    pub fn scopes(&self) -> Scopes {
        serde_json::from_value(self.scopes.clone()).unwrap_or_default()
    }

    /// Dead from the commit on, on every node.
    pub async fn revoke(self, tx: &Transaction, by: &Actor, clock: &Clock) -> Result<()> {
        let (id, owner, organization) = (self.id, self.user_id, self.organization_id);
        let mut revoked = self.into_active_model();
        revoked.revoked_at = Set(Some(clock.now()));
        revoked.update(tx.conn()).await?;
        tx.publish(Event::UserChanged(owner)).await?;
        let record = AuditRecord::new(organization, by.clone(), "token.revoke")
            .target("personal_access_token", id.0)
            .details(serde_json::json!({"user_id": owner}));
        audit::record(tx, clock, record).await
    }

    /// Writes the last use down, if the one that was is old enough.
    pub async fn touch(&self, identity: &rivergen_platform::Platform, now: DateTime<Utc>) -> Result<()> {
        if self.last_used_at.is_some_and(|last| now - last < TOUCH_INTERVAL) {
            return Ok(());
        }
        let tx = identity.db.begin().await?;
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(now))
            .filter(Column::Id.eq(self.id))
            .exec(tx.conn())
            .await?;
        tx.commit().await
    }
}

/// A token's text after its prefix, with its checksum.
pub fn written(prefix: &str, token: &Token) -> String {
    let body = format!("{prefix}{}", token.expose());
    let checksum = checksum(&body);
    format!("{body}{checksum}")
}

/// CRC-32 in base 62, as other issuers of tokens do it.
fn checksum(body: &str) -> String {
    const DIGITS: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let mut rest = crc32fast::hash(body.as_bytes());
    let mut letters = [b'0'; CHECKSUM];
    for letter in letters.iter_mut().rev() {
        *letter = DIGITS[(rest % 62) as usize];
        rest /= 62;
    }
    letters.iter().map(|letter| char::from(*letter)).collect()
}

/// Whether the text has the prefix and its checksum fits.
pub fn is_well_formed(prefix: &str, token: &str) -> bool {
    let split = token.len().checked_sub(CHECKSUM).and_then(|at| token.split_at_checked(at));
    split.is_some_and(|(body, end)| body.starts_with(prefix) && checksum(body) == end)
}

/// The token that this text is, unless it was revoked; whether it is live the organization has a say in. Index:
/// (token_hash), unique.
pub async fn find(db: &impl ConnectionTrait, token: &str) -> Result<Option<Model>> {
    if !is_well_formed(PREFIX, token) {
        return Ok(None);
    }
    let found = Entity::find().filter(Column::TokenHash.eq(TokenHash::of(token))).one(db).await?;
    Ok(found.filter(|row| row.revoked_at.is_none()))
}

async fn revoke_where(tx: &Transaction, which: Condition, now: DateTime<Utc>) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::RevokedAt, Expr::value(now))
        .filter(which)
        .filter(Column::RevokedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Revokes every token of a person. Index: personal_access_tokens(user_id, revoked_at).
pub async fn revoke_all(tx: &Transaction, user_id: UserId, now: DateTime<Utc>) -> Result<()> {
    revoke_where(tx, Column::UserId.eq(user_id).into_condition(), now).await?;
    tx.publish(Event::UserChanged(user_id)).await
}

/// Revokes the tokens of a person that are bound to an organization. Index: personal_access_tokens(user_id, revoked_at).
pub async fn revoke_in_organization(
    tx: &Transaction,
    user_id: UserId,
    organization_id: OrganizationId,
    now: DateTime<Utc>,
) -> Result<()> {
    let theirs = Condition::all().add(Column::UserId.eq(user_id)).add(Column::OrganizationId.eq(organization_id));
    revoke_where(tx, theirs, now).await?;
    tx.publish(Event::UserChanged(user_id)).await
}

/// Revokes all tokens that are bound to an organization; the caller tells the nodes. Index:
/// personal_access_tokens(organization_id, id).
pub async fn revoke_of_organization(
    tx: &Transaction,
    organization_id: OrganizationId,
    now: DateTime<Utc>,
) -> Result<()> {
    revoke_where(tx, Column::OrganizationId.eq(organization_id).into_condition(), now).await
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "nightly report", "scopes": ["read"], "expires_in_days": 90}))]
#[garde(allow_unvalidated)]
pub struct CreateTokenRequest {
    #[garde(length(chars, min = 1, max = 100))]
    pub name: String,
    /// `read`, `write`, `admin`, or single permissions such as `datasource.query`.
    #[garde(length(min = 1, max = 50))]
    #[schema(value_type = Vec<String>)]
    pub scopes: Vec<Scope>,
    /// Without it, the token works until it is revoked, or as long as the organization allows.
    #[garde(inner(range(min = 1, max = 3650)))]
    pub expires_in_days: Option<u16>,
    /// The one organization that the token works for; without it, the one that its owner's session is in.
    pub organization_id: Option<OrganizationId>,
}

/// A new token.
#[derive(Debug, Serialize, ToSchema)]
pub struct CreatedToken {
    pub id: TokenId,
    #[schema(examples("nightly report"))]
    pub name: String,
    /// Only shown this once.
    #[schema(examples("pat_…"))]
    pub token: String,
    #[schema(value_type = Vec<String>, examples(json!(["read"])))]
    pub scopes: Scopes,
    pub organization_id: Option<OrganizationId>,
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub message: &'static str,
}

errors! {
    pub CreateErrors: TokenCreationFailed, InvalidRequest, Unauthorized, TokenExpired, ReauthenticationRequired, Forbidden, EmailNotVerified, ValidationError;
    pub ListErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ValidationError;
    pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, ReauthenticationRequired, Forbidden, EmailNotVerified, TokenNotFound, ValidationError;
    pub RevokeErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, TokenNotFound;
}

/// Create a token of your own
#[utoipa::path(post, path = "/api/v1/auth/tokens", tag = "personal_access_tokens", request_body = CreateTokenRequest,
    responses((status = 201, description = "The token, which is only shown this once", body = Envelope<CreatedToken>), CreateErrors))]
pub async fn create_token(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateTokenRequest>,
) -> Result<Reply<CreatedToken>> {
    caller.session()?;
    if let Some(organization) = request.organization_id
        && identity.directory.membership(caller.user_id, organization, None).await?.is_none()
    {
        return Err(ErrorCode::TokenCreationFailed.into());
    }
    let new = NewToken {
        name: request.name,
        scopes: Scopes(request.scopes.into_iter().collect()),
        expires_in_days: request.expires_in_days,
        organization_id: request.organization_id,
    };
    let message = "Copy the token now: it will not be shown again.";
    Ok(Reply::created(new.make(&identity, &caller, &origin, message).await?, message))
}

/// A token that a person wants. Whether they belong to the organization is the caller's business.
#[derive(Debug)]
pub struct NewToken {
    pub name: String,
    pub scopes: Scopes,
    pub expires_in_days: Option<u16>,
    pub organization_id: Option<OrganizationId>,
}

impl NewToken {
    /// Made by the person themselves, in a session; one that may do everything needs a fresh proof. The organization
    /// bounds how long it lives.
    pub async fn make(
        self,
        identity: &Identity,
        caller: &Caller,
        origin: &RequestOrigin,
        message: &'static str,
    ) -> Result<CreatedToken> {
        let platform = &identity.platform;
        let now = platform.clock.now();
        caller.session()?;
        if self.scopes.0.contains(&Scope::Admin) {
            caller.recently_proved(now)?;
        }
        let most = match self.organization_id {
            Some(organization) => identity.directory.security_of(organization).await?.max_token_days,
            None => None,
        };
        let days = match (self.expires_in_days, most) {
            (Some(days), Some(most)) => Some(days.min(most)),
            (days, most) => days.or(most),
        };
        let token = written(PREFIX, &Token::random(&mut rand::rng()));
        let tx = platform.db.begin().await?;
        // Of two at once the second waits here and counts the first.
        let user = User::lock(&tx, caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
        if of_user(caller.user_id).count(tx.conn()).await? >= MAX_TOKENS {
            return Err(Error::invalid_field("name", "is one too many: revoke some of your 100 tokens first"));
        }
        let row = ActiveModel {
            user_id: Set(caller.user_id),
            organization_id: Set(self.organization_id),
            name: Set(self.name),
            prefix: Set(token[..SHOWN].to_owned()),
            token_hash: Set(TokenHash::of(&token)),
            scopes: Set(serde_json::to_value(&self.scopes).map_err(Error::internal)?),
            expires_at: Set(days.map(|days| now + Duration::days(i64::from(days)))),
            created_at: Set(now),
            last_used_at: Set(None),
            revoked_at: Set(None),
            made_with_second_factor: Set(caller.proofs.second_factor),
            made_with_passkey: Set(caller.proofs.passkey),
            federated_by_organization_id: Set(caller.proofs.federation.provider()),
            ..Default::default()
        }
        .insert(tx.conn())
        .await?;
        mails::send_token_made(identity, &tx, &user, &row.name, origin).await?;
        let record = AuditRecord::new(row.organization_id, origin.actor(caller.user_id), "token.create")
            .target("personal_access_token", row.id.0)
            .details(serde_json::json!({"name": row.name, "scopes": self.scopes}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
        Ok(CreatedToken {
            id: row.id,
            name: row.name,
            token,
            scopes: self.scopes,
            organization_id: row.organization_id,
            expires_at: row.expires_at,
            created_at: row.created_at,
            message,
        })
    }
}

/// A token without its value.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonalAccessToken {
    pub id: TokenId,
    #[schema(examples("nightly report"))]
    pub name: String,
    /// How the token begins.
    #[schema(examples("pat_3mKq7x"))]
    pub prefix: String,
    #[schema(value_type = Vec<String>, examples(json!(["read"])))]
    pub scopes: Scopes,
    pub organization_id: Option<OrganizationId>,
    /// No later than the organization allows for its tokens.
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    /// To the minute.
    pub last_used_at: Option<DateTime<Utc>>,
}

impl PersonalAccessToken {
    /// As it is for its owner, of whom the organizations ask this.
    fn new(row: Model, security: &SecurityPolicy) -> Self {
        Self {
            expires_at: row.ends_at(security.max_token_days(row.organization_id)),
            scopes: row.scopes(),
            id: row.id,
            name: row.name,
            prefix: row.prefix,
            organization_id: row.organization_id,
            created_at: row.created_at,
            last_used_at: row.last_used_at,
        }
    }
}

#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct TokensQuery {
    /// Only those that are bound to this organization.
    #[garde(skip)]
    organization_id: Option<OrganizationId>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct Tokens {
    pub tokens: Vec<PersonalAccessToken>,
    pub total: u64,
    pub message: &'static str,
}

/// List your own tokens
#[utoipa::path(get, path = "/api/v1/auth/tokens", tag = "personal_access_tokens", params(TokensQuery, PageQuery),
    responses((status = 200, description = "Without their values, the newest first; revoked ones are left out", body = Envelope<Tokens>), ListErrors))]
pub async fn list_tokens(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    Query(query): Query<TokensQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Tokens>> {
    caller.session()?;
    let page = page.request()?;
    let db = identity.platform.db.read();
    let mut wanted = of_user(caller.user_id);
    if let Some(organization) = query.organization_id {
        if identity.directory.membership(caller.user_id, organization, None).await?.is_none() {
            return Err(ErrorCode::NotFound.into());
        }
        wanted = wanted.filter(Column::OrganizationId.eq(organization));
    }
    let total = wanted.clone().count(db).await?;
    let rows = wanted.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let security = identity.directory.security(caller.user_id).await?;
    let tokens = rows.into_iter().map(|row| PersonalAccessToken::new(row, &security)).collect();
    let message = "Personal access tokens.";
    Ok(Reply::ok(Tokens { tokens, total, message }, message))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "weekly report"}))]
pub struct UpdateTokenRequest {
    #[garde(inner(length(chars, min = 1, max = 100)))]
    pub name: Option<String>,
    /// More than the token has needs a sign-in not older than ten minutes.
    #[garde(inner(length(min = 1, max = 50)))]
    #[schema(value_type = Option<Vec<String>>)]
    pub scopes: Option<Vec<Scope>>,
}

/// Change the name or the scopes of your own token
#[utoipa::path(patch, path = "/api/v1/auth/tokens/{token_id}", tag = "personal_access_tokens", request_body = UpdateTokenRequest,
    params(("token_id" = TokenId, Path, description = "From the list of tokens")),
    responses((status = 200, description = "The token as it is now", body = Envelope<PersonalAccessToken>), UpdateErrors))]
pub async fn update_token(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<TokenId>,
    Json(request): Json<UpdateTokenRequest>,
) -> Result<Reply<PersonalAccessToken>> {
    let platform = &identity.platform;
    caller.session()?;
    let security = identity.directory.security(caller.user_id).await?;
    let tx = platform.db.begin().await?;
    let row = own(&tx, caller.user_id, id).await?;
    let (before, organization) = (row.scopes(), row.organization_id);
    let mut changed = row.into_active_model();
    if let Some(name) = request.name {
        changed.name = Set(name);
    }
    if let Some(scopes) = request.scopes {
        let scopes = Scopes(scopes.into_iter().collect());
        if !scopes.within(&before) {
            caller.recently_proved(platform.clock.now())?;
        }
        changed.scopes = Set(serde_json::to_value(&scopes).map_err(Error::internal)?);
    }
    // Also where nothing changes: an update of nothing is an error of the library.
    changed.revoked_at = Set(None);
    let row = changed.update(tx.conn()).await?;
    tx.publish(Event::UserChanged(caller.user_id)).await?;
    let record = AuditRecord::new(organization, origin.actor(caller.user_id), "token.update")
        .target("personal_access_token", id.0)
        .details(serde_json::json!({"name": row.name, "scopes_before": before, "scopes": row.scopes()}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(Reply::ok(PersonalAccessToken::new(row, &security), "The token was changed."))
}

#[derive(Debug, Serialize, ToSchema)]
pub struct RevokedToken {
    pub message: &'static str,
}

/// Revoke your own token
#[utoipa::path(delete, path = "/api/v1/auth/tokens/{token_id}", tag = "personal_access_tokens",
    params(("token_id" = TokenId, Path, description = "From the list of tokens")),
    responses((status = 200, description = "Revoked, immediately and permanently", body = Envelope<RevokedToken>), RevokeErrors))]
pub async fn revoke_token(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<TokenId>,
) -> Result<Reply<RevokedToken>> {
    let platform = &identity.platform;
    caller.session()?;
    let tx = platform.db.begin().await?;
    own(&tx, caller.user_id, id).await?.revoke(&tx, &origin.actor(caller.user_id), &platform.clock).await?;
    tx.commit().await?;
    let message = "The token was revoked.";
    Ok(Reply::ok(RevokedToken { message }, message))
}

/// Index: personal_access_tokens(user_id, revoked_at).
fn of_user(user_id: UserId) -> Select<Entity> {
    Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::RevokedAt.is_null())
}

async fn own(tx: &Transaction, user_id: UserId, id: TokenId) -> Result<Model> {
    let found = of_user(user_id).filter(Column::Id.eq(id)).one(tx.conn()).await?;
    found.ok_or(ErrorCode::TokenNotFound.into())
}

/// Who a live token makes: its owner, in the token's organization or where the owner is at home, with what the scopes
/// leave of their permissions.
pub async fn caller(
    directory: &dyn crate::directory::Directory,
    token: &Model,
    user: User,
    ip: Option<IpAddr>,
    now: DateTime<Utc>,
) -> Result<Caller> {
    let scopes = token.scopes();
    let home = match token.organization_id {
        Some(organization) => Some((organization, None)),
        None => directory.home(user.id(), None).await?.map(|place| (place.organization_id, place.workspace_id)),
    };
    let membership = match home {
        Some((organization, workspace)) => directory.membership(user.id(), organization, workspace).await?,
        None => None,
    };
    if token.organization_id.is_some() && membership.is_none() {
        // Whoever left the organization, or whose membership is suspended, has no tokens for it.
        return Err(ErrorCode::Unauthorized.into());
    }
    // It stands for the session that made it.
    let proofs = Proofs {
        second_factor: token.made_with_second_factor,
        passkey: token.made_with_passkey,
        trusted_device: false,
        ip,
        federation: token.federated_by_organization_id.map_or(Federation::No, Federation::By),
    };
    let closed = match &membership {
        Some(held) => directory.security(user.id()).await?.closes(held.organization_id, proofs, now),
        None => None,
    };
    let membership = membership.map(|held| Arc::new(held.narrowed(&scopes)));
    Ok(Caller {
        user_id: user.id(),
        credential: Credential::PersonalToken { id: token.id, scopes, organization_id: token.organization_id },
        email_verified: user.is_verified(),
        email: user.email.email.into(),
        authenticated_at: now,
        membership,
        proofs,
        closed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistyped_token_is_told_by_itself() {
        let token = written(PREFIX, &Token::random(&mut rand::rng()));
        assert!(token.starts_with(PREFIX) && is_well_formed(PREFIX, &token));
        assert_eq!(token.len(), PREFIX.len() + 43 + CHECKSUM);
        let mut typed = token.clone();
        let last = if typed.pop() == Some('0') { '1' } else { '0' };
        typed.push(last);
        for wrong in [typed.as_str(), &token[1..], &token[..20], "", "pat_", "päääää"] {
            assert!(!is_well_formed(PREFIX, wrong), "{wrong}");
        }
    }
}
