//! A login between its first proof and its second: a temporary token stands for it.
//!
//! The token changes at each step, lives ten minutes, and dies with the fifth wrong code.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{OrganizationId, Result, Token, TokenHash, UserId, WorkspaceId};
use rivergen_platform::{Transaction, vault::Sealed};
use sea_orm::{
    ActiveModelTrait,
    ActiveValue::Set,
    ConnectionTrait, IntoActiveModel,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};

use crate::{
    mfa,
    session::{Federated, Given},
};

const LIFETIME: Duration = Duration::minutes(10);

/// Wrong codes after which the login begins again.
const MAX_WRONG_CODES: i32 = 5;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "pending_logins")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: UserId,
    pub token_hash: TokenHash,
    /// The `amr` of the first proof.
    pub first_factor: String,
    /// The second one that was chosen.
    pub method: Option<mfa::Kind>,
    /// The code that was mailed.
    pub sealed_code: Option<Sealed>,
    pub wrong_codes: i32,
    /// How many codes were mailed.
    pub mails: i32,
    pub workspace_id: Option<WorkspaceId>,
    pub lifetime_seconds: i64,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub federated_by_organization_id: Option<OrganizationId>,
    pub federated_login_id: Option<i64>,
    pub federated_until: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// What a login was, before the second factor was asked for.
#[derive(Debug, Clone)]
pub struct FirstStep {
    /// The claim `amr`; with `mfa` in it, no second factor is asked for.
    pub amr: &'static str,
    pub workspace_id: Option<WorkspaceId>,
    pub session_lifetime: Duration,
    /// The identity provider's sign-in that was the first proof.
    pub federated_by: Option<Federated>,
    /// When the first proof was given. A second factor that is given here is one of its own.
    pub given: Given,
}

/// Keeps a login whose first proof was right.
pub async fn begin(tx: &Transaction, user_id: UserId, step: &FirstStep, now: DateTime<Utc>) -> Result<Token> {
    let token = Token::random(&mut rand::rng());
    let until = step.federated_by.and_then(|by| by.until);
    ActiveModel {
        user_id: Set(user_id),
        token_hash: Set(token.hash()),
        first_factor: Set(step.amr.to_owned()),
        method: Set(None),
        sealed_code: Set(None),
        wrong_codes: Set(0),
        mails: Set(0),
        workspace_id: Set(step.workspace_id),
        lifetime_seconds: Set(step.session_lifetime.num_seconds()),
        created_at: Set(now),
        expires_at: Set(until.map_or(now + LIFETIME, |until| Ord::min(until, now + LIFETIME))),
        ended_at: Set(None),
        federated_by_organization_id: Set(step.federated_by.map(|by| by.organization_id)),
        federated_login_id: Set(step.federated_by.map(|by| by.login_id)),
        federated_until: Set(until),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(token)
}

/// The login that the token stands for, live or not. Index: (token_hash), unique.
pub async fn find(db: &impl ConnectionTrait, token: &str) -> Result<Option<Model>> {
    Ok(Entity::find().filter(Column::TokenHash.eq(TokenHash::of(token))).one(db).await?)
}

impl Model {
    pub fn is_live(&self, now: DateTime<Utc>) -> bool {
        self.ended_at.is_none() && now < self.expires_at
    }

    /// The identity provider's sign-in that it began with.
    pub fn federated_by(&self) -> Option<Federated> {
        Federated::kept(self.federated_by_organization_id, self.federated_login_id, self.federated_until)
    }

    /// Goes on to the chosen factor under a new token; the old one is dead.
    pub async fn choose(self, tx: &Transaction, method: mfa::Kind, code: Option<Sealed>) -> Result<Token> {
        let token = Token::random(&mut rand::rng());
        let mails = self.mails + i32::from(code.is_some());
        let mut row = self.into_active_model();
        row.token_hash = Set(token.hash());
        row.method = Set(Some(method));
        row.sealed_code = Set(code);
        row.mails = Set(mails);
        row.update(tx.conn()).await?;
        Ok(token)
    }

    /// Counts a wrong code; the fifth one ends the login.
    pub async fn wrong_code(&self, tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
        let mut counting = Entity::update_many().col_expr(Column::WrongCodes, Expr::col(Column::WrongCodes).add(1));
        if self.wrong_codes + 1 >= MAX_WRONG_CODES {
            counting = counting.col_expr(Column::EndedAt, Expr::value(now));
        }
        counting.filter(Column::Id.eq(self.id)).exec(tx.conn()).await?;
        Ok(())
    }

    /// Ends it; of two requests at once only one is told that it did.
    pub async fn end(&self, tx: &Transaction, now: DateTime<Utc>) -> Result<bool> {
        let ended = Entity::update_many()
            .col_expr(Column::EndedAt, Expr::value(now))
            .filter(Column::Id.eq(self.id))
            .filter(Column::EndedAt.is_null())
            .exec(tx.conn())
            .await?;
        Ok(ended.rows_affected == 1)
    }
}

/// Ends those that began with sign-ins through an identity provider. Index: pending_logins(federated_login_id).
pub async fn end_of_logins(tx: &Transaction, logins: impl IntoIterator<Item = i64>, now: DateTime<Utc>) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::FederatedLoginId.is_in(logins))
        .filter(Column::EndedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Ends the pending logins of everybody.
pub async fn end_everybodys(tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::EndedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Ends every pending login of a person: the proof that they began with is no proof any more.
pub async fn end_all(tx: &Transaction, user_id: UserId, now: DateTime<Utc>) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .filter(Column::UserId.eq(user_id))
        .filter(Column::EndedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(())
}
