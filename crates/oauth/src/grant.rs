//! Grants: what one person let one application do, from the code that says so to its end.
//!
//! A grant begins as an authorization code, which is good once and for ten minutes. Its tokens live and die with it: showing
//! the code again, or a refresh token that was spent, ends the grant, because then two hold what one should (RFC 9700,
//! sections 2.1.1 and 2.2.2).

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{
    Federation, OauthApplicationId, OauthGrantId, OrganizationId, Proofs, Result, SessionId, Token, TokenHash, UserId,
    WorkspaceId,
};
use rivergen_platform::{Event, Transaction, db::TenantOwned};
use sea_orm::{
    ActiveValue::Set,
    Condition, ConnectionTrait,
    entity::prelude::*,
    sea_query::{self, Expr, Query, SelectStatement},
};

use crate::{application::GrantType, scope::ScopeSet};

pub const CODE_LIVES: Duration = Duration::minutes(10);
/// After its last use.
pub const REFRESH_TOKEN_LIVES: Duration = Duration::days(30);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_grants")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: OauthGrantId,
    pub organization_id: OrganizationId,
    /// Where the person stood.
    pub workspace_id: Option<WorkspaceId>,
    pub application_id: OauthApplicationId,
    pub user_id: UserId,
    /// In which the person agreed. What it proved, its tokens stand for.
    pub session_id: SessionId,
    pub made_with_second_factor: bool,
    pub made_with_passkey: bool,
    pub federated_by_organization_id: Option<OrganizationId>,
    pub scope: String,
    /// What its tokens are for, where that is not this server.
    pub resources: Json,
    pub code_hash: TokenHash,
    pub redirect_uri: String,
    /// S256 of the verifier (RFC 7636).
    pub code_challenge: String,
    pub nonce: Option<String>,
    /// The key that the code is bound to, and of a public client every refresh token: its thumbprint (RFC 9449).
    pub dpop_jkt: Option<String>,
    pub authenticated_at: DateTime<Utc>,
    /// How the person proved who they are in that session, as it stood then: the claim `amr`, space-separated.
    pub amr: String,
    /// How strong that was, as the application asked for it ([`crate::authentication_context`]).
    pub acr: Option<String>,
    pub created_at: DateTime<Utc>,
    pub code_expires_at: DateTime<Utc>,
    pub exchanged_at: Option<DateTime<Utc>>,
    pub ended_at: Option<DateTime<Utc>>,
    pub end_reason: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// Refresh tokens of grants, spent ones included.
pub mod refresh_token {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "oauth_refresh_tokens")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub grant_id: OauthGrantId,
        pub token_hash: TokenHash,
        pub issued_at: DateTime<Utc>,
        pub expires_at: DateTime<Utc>,
        pub spent_at: Option<DateTime<Utc>>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    /// Index: oauth_refresh_tokens(token_hash), unique.
    pub async fn find(db: &impl ConnectionTrait, token: &str) -> Result<Option<Model>> {
        Ok(Entity::find().filter(Column::TokenHash.eq(TokenHash::of(token))).one(db).await?)
    }

    /// Makes a token the unspent one of its grant.
    pub async fn store(tx: &Transaction, grant: OauthGrantId, token: &Token, now: DateTime<Utc>) -> Result<()> {
        let row = ActiveModel {
            grant_id: Set(grant),
            token_hash: Set(token.hash()),
            issued_at: Set(now),
            expires_at: Set(now + REFRESH_TOKEN_LIVES),
            spent_at: Set(None),
            ..Default::default()
        };
        Entity::insert(row).exec_without_returning(tx.conn()).await?;
        Ok(())
    }

    /// Spends it, if nobody has and its grant has not ended; answers whether it was spent now.
    pub async fn spend(tx: &Transaction, token: &Model, now: DateTime<Utc>) -> Result<bool> {
        let live_grant = Query::select()
            .expr(Expr::value(1))
            .from(super::Entity)
            .and_where(super::Column::Id.eq(token.grant_id))
            .and_where(super::Column::EndedAt.is_null())
            .to_owned();
        let spent = Entity::update_many()
            .col_expr(Column::SpentAt, Expr::value(now))
            .filter(Column::Id.eq(token.id))
            .filter(Column::SpentAt.is_null())
            .filter(Expr::exists(live_grant))
            .exec(tx.conn())
            .await?;
        Ok(spent.rows_affected == 1)
    }
}

impl Model {
    pub fn scope(&self) -> ScopeSet {
        self.scope.parse().unwrap_or_default()
    }

    /// What its tokens prove, from wherever they are used.
    pub fn proofs(&self) -> Proofs {
        Proofs {
            second_factor: self.made_with_second_factor,
            passkey: self.made_with_passkey,
            trusted_device: false,
            ip: None,
            federation: self.federated_by_organization_id.map_or(Federation::No, Federation::By),
        }
    }

    pub fn resources(&self) -> Vec<String> {
        serde_json::from_value(self.resources.clone()).unwrap_or_default()
    }

    /// Whether a device shows its code, and no browser.
    pub fn is_of_device(&self) -> bool {
        self.redirect_uri.is_empty()
    }

    /// How the application came to it.
    pub fn grant_type(&self) -> GrantType {
        if self.is_of_device() { GrantType::DeviceCode } else { GrantType::AuthorizationCode }
    }

    /// When the person signed in; unknown of a grant of before that was written down.
    pub fn auth_time(&self) -> Option<i64> {
        Some(self.authenticated_at.timestamp()).filter(|_| self.authenticated_at > DateTime::UNIX_EPOCH)
    }

    /// Index: oauth_grants(code_hash), unique.
    pub async fn of_code(db: &impl ConnectionTrait, code: &str) -> Result<Option<Self>> {
        Ok(Entity::find().filter(Column::CodeHash.eq(TokenHash::of(code))).one(db).await?)
    }

    pub async fn find(db: &impl ConnectionTrait, id: OauthGrantId) -> Result<Option<Self>> {
        Ok(Entity::find_by_id(id).one(db).await?)
    }

    /// Exchanges the code, if nobody has and the grant has not ended; answers whether it was exchanged now.
    pub async fn exchange(&self, tx: &Transaction, now: DateTime<Utc>) -> Result<bool> {
        let exchanged = Entity::update_many()
            .col_expr(Column::ExchangedAt, Expr::value(now))
            .filter(Column::Id.eq(self.id))
            .filter(Column::ExchangedAt.is_null())
            .filter(Column::EndedAt.is_null())
            .exec(tx.conn())
            .await?;
        Ok(exchanged.rows_affected == 1)
    }

    /// Whether whoever proves that key, or none, may have what the grant gives.
    pub fn is_for(&self, key: Option<&str>) -> bool {
        self.dpop_jkt.is_none() || self.dpop_jkt.as_deref() == key
    }

    /// Binds it to a key, where it is bound to none.
    pub async fn bind(&self, tx: &Transaction, key: &str) -> Result<()> {
        Entity::update_many()
            .col_expr(Column::DpopJkt, Expr::value(key))
            .filter(Column::Id.eq(self.id))
            .filter(Column::DpopJkt.is_null())
            .exec(tx.conn())
            .await?;
        Ok(())
    }

    /// Ends it with its tokens, on every node; answers whether it had not ended yet.
    pub async fn end(&self, tx: &Transaction, reason: &'static str, now: DateTime<Utc>) -> Result<bool> {
        let ended = end_where(tx, Condition::all().add(Column::Id.eq(self.id)), reason, now).await?;
        tx.publish(Event::GrantEnded(self.id)).await?;
        Ok(ended == 1)
    }
}

/// A refresh token of the grant that a query is about. Index: oauth_refresh_tokens(grant_id).
fn its_refresh_token() -> SelectStatement {
    let grant_id = Expr::col((refresh_token::Entity, refresh_token::Column::GrantId));
    Query::select()
        .expr(Expr::value(1))
        .from(refresh_token::Entity)
        .and_where(sea_query::ExprTrait::equals(grant_id, (Entity, Column::Id)))
        .to_owned()
}

/// What applications can still use of what a person granted. Index: oauth_grants(user_id, organization_id, id), its first
/// column.
pub fn usable(user: UserId, now: DateTime<Utc>) -> Condition {
    live(now).add(Column::UserId.eq(user))
}

/// What an application can still use. Index: oauth_grants(application_id, ended_at).
pub fn usable_of_application(application: OauthApplicationId, now: DateTime<Utc>) -> Condition {
    live(now).add(Column::ApplicationId.eq(application))
}

fn live(now: DateTime<Utc>) -> Condition {
    let live = its_refresh_token()
        .and_where(refresh_token::Column::SpentAt.is_null())
        .and_where(refresh_token::Column::ExpiresAt.gt(now))
        .to_owned();
    Condition::all().add(Column::EndedAt.is_null()).add(Expr::exists(live))
}

/// Those that were exchanged before then and have run out: none of their refresh tokens is known any more. Index:
/// oauth_grants(exchanged_at, code_expires_at).
pub fn run_out(before: DateTime<Utc>) -> Condition {
    let has_none = sea_query::ExprTrait::not(Expr::exists(its_refresh_token()));
    Condition::all().add(Column::ExchangedAt.lt(before)).add(has_none)
}

/// Ends those of the grants that have not ended; answers how many. The caller tells the nodes, and names the index.
async fn end_where(tx: &Transaction, which: Condition, reason: &'static str, now: DateTime<Utc>) -> Result<u64> {
    let ended = Entity::update_many()
        .col_expr(Column::EndedAt, Expr::value(now))
        .col_expr(Column::EndReason, Expr::value(reason))
        .filter(which)
        .filter(Column::EndedAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(ended.rows_affected)
}

/// Ends all grants of an application; the caller tells the nodes. Index: oauth_grants(application_id, ended_at).
pub async fn end_of_application(
    tx: &Transaction,
    application: OauthApplicationId,
    reason: &'static str,
    now: DateTime<Utc>,
) -> Result<u64> {
    end_where(tx, Condition::all().add(Column::ApplicationId.eq(application)), reason, now).await
}

/// Ends all that a person has granted, on every node. Index: oauth_grants(user_id, organization_id, id), its first column.
pub async fn end_all_of_person(
    tx: &Transaction,
    user: UserId,
    reason: &'static str,
    now: DateTime<Utc>,
) -> Result<u64> {
    let ended = end_where(tx, Condition::all().add(Column::UserId.eq(user)), reason, now).await?;
    tx.publish(Event::UserChanged(user)).await?;
    Ok(ended)
}

/// Ends what a person has granted to an application, on every node. Index: oauth_grants(user_id, organization_id, id), its
/// first column.
pub async fn end_of_person(
    tx: &Transaction,
    user: UserId,
    application: OauthApplicationId,
    reason: &'static str,
    now: DateTime<Utc>,
) -> Result<u64> {
    let theirs = Condition::all().add(Column::UserId.eq(user)).add(Column::ApplicationId.eq(application));
    let ended = end_where(tx, theirs, reason, now).await?;
    tx.publish(Event::UserChanged(user)).await?;
    Ok(ended)
}
