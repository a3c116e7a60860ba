//! Tokens that work once: verification links and the temporary token of a pending login.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, Token, TokenHash, UserId};
use rivergen_platform::Transaction;
use sea_orm::{ActiveValue::Set, ConnectionTrait, entity::prelude::*, sea_query::Expr};

/// What a token is for; one kind never passes for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum Purpose {
    /// Proves that a mail arrived.
    #[sea_orm(string_value = "email_verification")]
    EmailVerification,
    /// Stands for a login that still waits for the verification of its address.
    #[sea_orm(string_value = "pending_login")]
    PendingLogin,
    /// Lets whoever reads the account's mail set another password.
    #[sea_orm(string_value = "password_reset")]
    PasswordReset,
    /// Proves at the old primary address that another may take its place.
    #[sea_orm(string_value = "email_change_approval")]
    EmailChangeApproval,
    /// Stands for the tokens of a social login while the browser goes back to the application.
    #[sea_orm(string_value = "social_handover")]
    SocialHandover,
}

impl Purpose {
    pub fn lifetime(self) -> Duration {
        match self {
            Self::EmailVerification | Self::PendingLogin => Duration::minutes(10),
            Self::PasswordReset | Self::EmailChangeApproval => Duration::hours(1),
            Self::SocialHandover => Duration::minutes(1),
        }
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "one_time_tokens")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub token_hash: TokenHash,
    pub purpose: Purpose,
    pub user_id: UserId,
    /// What it is about, where that is not the person: an address.
    pub subject: Option<String>,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Makes a token; older ones of the same purpose die.
pub async fn issue(
    tx: &Transaction,
    purpose: Purpose,
    user_id: UserId,
    subject: Option<&str>,
    now: DateTime<Utc>,
) -> Result<Token> {
    issue_for(tx, purpose, user_id, subject, purpose.lifetime(), now).await
}

/// As [`issue`], with another lifetime than is usual for the purpose.
pub async fn issue_for(
    tx: &Transaction,
    purpose: Purpose,
    user_id: UserId,
    subject: Option<&str>,
    lifetime: Duration,
    now: DateTime<Utc>,
) -> Result<Token> {
    kill(tx, purpose, user_id, now).await?;
    let token = Token::random(&mut rand::rng());
    ActiveModel {
        token_hash: Set(token.hash()),
        purpose: Set(purpose),
        user_id: Set(user_id),
        subject: Set(subject.map(str::to_owned)),
        created_at: Set(now),
        expires_at: Set(now + lifetime),
        used_at: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(token)
}

/// Uses up every token of a person for this purpose. Index: (user_id, purpose).
pub async fn kill(tx: &Transaction, purpose: Purpose, user_id: UserId, now: DateTime<Utc>) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::UsedAt, Expr::value(now))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Purpose.eq(purpose))
        .filter(Column::UsedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// The row of a token, used or not, expired or not. Index: (token_hash), unique.
pub async fn find(db: &impl ConnectionTrait, purpose: Purpose, token: &str) -> Result<Option<Model>> {
    let found = Entity::find().filter(Column::TokenHash.eq(TokenHash::of(token))).one(db).await?;
    Ok(found.filter(|row| row.purpose == purpose))
}

impl Model {
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.used_at.is_none() && now < self.expires_at
    }

    /// Uses it up; `INVALID_TOKEN` where another request was quicker.
    pub async fn spend(self, tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
        let spent = Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(now))
            .filter(Column::Id.eq(self.id))
            .filter(Column::UsedAt.is_null())
            .exec(tx.conn())
            .await?;
        if spent.rows_affected == 1 { Ok(()) } else { Err(Error::new(ErrorCode::InvalidToken)) }
    }
}
