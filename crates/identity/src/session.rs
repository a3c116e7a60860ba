//! Sessions: one per sign-in, live until they expire, slide with use and die at once when ended.
//!
//! A session owns a family of refresh tokens of which one is unspent. Whoever shows a spent one has a copy
//! that should not exist, so the whole session ends (RFC 9700, section 4.14.2).

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{OrganizationId, Result, SessionId, Token, TokenHash, UserId, WorkspaceId};
use rivergen_platform::{Event, Transaction, http::RequestOrigin};
use sea_orm::{ActiveValue::Set, ConnectionTrait, PaginatorTrait, entity::prelude::*, sea_query::Expr};

use crate::directory::Place;

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum EndReason {
    #[sea_orm(string_value = "logout")]
    Logout,
    #[sea_orm(string_value = "refresh_token_reuse")]
    RefreshTokenReuse,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "sessions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: SessionId,
    pub user_id: UserId,
    pub organization_id: Option<OrganizationId>,
    pub workspace_id: Option<WorkspaceId>,
    /// Authentication methods, space-separated, as in the claim `amr` (RFC 8176).
    pub amr: String,
    pub authenticated_at: DateTime<Utc>,
    /// How long the session lives after its last use, in seconds.
    pub lifetime_seconds: i64,
    pub created_at: DateTime<Utc>,
    pub last_used_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    pub ended_at: Option<DateTime<Utc>>,
    pub end_reason: Option<EndReason>,
}

impl ActiveModelBehavior for ActiveModel {}

/// The refresh tokens of a session, spent ones included.
pub mod refresh_token {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub session_id: SessionId,
        pub token_hash: TokenHash,
        pub issued_at: DateTime<Utc>,
        pub spent_at: Option<DateTime<Utc>>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// How often the last use of a session is written down.
const TOUCH_INTERVAL: Duration = Duration::seconds(60);

impl Model {
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    pub async fn find(db: &impl ConnectionTrait, id: SessionId) -> Result<Option<Model>> {
        Ok(Entity::find_by_id(id).one(db).await?)
    }

    /// Whether the last use that was written down is old enough to write another.
    pub fn touch_is_due(&self, now: DateTime<Utc>) -> bool {
        now - self.last_used_at >= TOUCH_INTERVAL
    }

    /// Slides the session on.
    pub async fn touch(&mut self, tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
        self.last_used_at = now;
        self.expires_at = now + Duration::seconds(self.lifetime_seconds);
        Entity::update_many()
            .col_expr(Column::LastUsedAt, Expr::value(self.last_used_at))
            .col_expr(Column::ExpiresAt, Expr::value(self.expires_at))
            .filter(Column::Id.eq(self.id))
            .filter(Column::EndedAt.is_null())
            .exec(tx.conn())
            .await?;
        Ok(())
    }

    /// Ends it on every node.
    pub async fn end(&self, tx: &Transaction, reason: EndReason, now: DateTime<Utc>) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::EndedAt, Expr::value(now))
            .col_expr(Column::EndReason, Expr::value(reason))
            .filter(Column::Id.eq(self.id))
            .filter(Column::EndedAt.is_null())
            .exec(tx.conn())
            .await?;
        tx.publish(Event::SessionEnded(self.id)).await?;
        tx.publish(Event::UserChanged(self.user_id)).await
    }
}

/// Opens a session and its first refresh token.
pub async fn open(
    tx: &Transaction,
    user_id: UserId,
    place: Option<Place>,
    lifetime: Duration,
    origin: &RequestOrigin,
    now: DateTime<Utc>,
) -> Result<(Model, Token)> {
    let session = ActiveModel {
        user_id: Set(user_id),
        organization_id: Set(place.map(|place| place.organization_id)),
        workspace_id: Set(place.and_then(|place| place.workspace_id)),
        amr: Set("pwd".to_owned()),
        authenticated_at: Set(now),
        lifetime_seconds: Set(lifetime.num_seconds()),
        created_at: Set(now),
        last_used_at: Set(now),
        expires_at: Set(now + lifetime),
        ip: Set(origin.ip.map(|ip| ip.to_string())),
        user_agent: Set(origin.user_agent.clone()),
        ended_at: Set(None),
        end_reason: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    let token = issue_refresh_token(tx, session.id, now).await?;
    tx.publish(Event::UserChanged(user_id)).await?;
    Ok((session, token))
}

pub async fn issue_refresh_token(tx: &Transaction, session_id: SessionId, now: DateTime<Utc>) -> Result<Token> {
    let token = Token::random(&mut rand::rng());
    refresh_token::ActiveModel {
        session_id: Set(session_id),
        token_hash: Set(token.hash()),
        issued_at: Set(now),
        spent_at: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(token)
}

/// How many sessions of the person are live. Index: sessions(user_id, ended_at).
pub async fn count_live(db: &impl ConnectionTrait, user_id: UserId, now: DateTime<Utc>) -> Result<u64> {
    Ok(Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::EndedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .count(db)
        .await?)
}
