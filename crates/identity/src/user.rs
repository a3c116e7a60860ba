//! Accounts and their e-mail addresses.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, UserId};
use rivergen_platform::Transaction;
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, JoinType, QueryOrder, QuerySelect, SelectTwo,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};

use crate::password::PasswordHash;

/// The person.
pub mod account {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "users")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: UserId,
        pub display_name: String,
        pub profile_image_url: Option<String>,
        pub profile: Json,
        pub user_metadata: Json,
        /// `None` for people who sign in without a password.
        pub password_hash: Option<PasswordHash>,
        pub is_system_admin: bool,
        pub terms_version: Option<String>,
        pub terms_accepted_at: Option<DateTime<Utc>>,
        pub disabled_at: Option<DateTime<Utc>>,
        /// Random; what passkeys know the account by.
        pub webauthn_handle: Option<Vec<u8>>,
        pub password_changed_at: Option<DateTime<Utc>>,
        /// The person closed the account; it is purged when the time to restore it is over.
        pub deletion_requested_at: Option<DateTime<Utc>>,
        /// How often somebody tried to sign in to it, whatever became of it.
        pub login_count: i64,
        pub created_at: DateTime<Utc>,
        pub updated_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// An address of a person; unique among all of them.
pub mod address {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "user_emails")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub user_id: UserId,
        /// Lower-cased.
        pub email: String,
        pub is_primary: bool,
        pub verified_at: Option<DateTime<Utc>>,
        /// It takes the primary one's place when both addresses have proved it.
        pub becomes_primary: bool,
        /// When the old primary address proved it.
        pub change_approved_at: Option<DateTime<Utc>>,
        pub created_at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    /// The person's address of this text. Index: user_emails(email), unique.
    pub async fn of_user(db: &impl ConnectionTrait, user_id: UserId, email: &str) -> Result<Option<Model>> {
        let found = Entity::find().filter(Column::Email.eq(email)).one(db).await?;
        Ok(found.filter(|row| row.user_id == user_id))
    }

    /// Lets go of an address that somebody added to their account and never proved: nobody keeps another's address
    /// from them.
    pub async fn free_unproven(db: &impl ConnectionTrait, email: &str) -> Result<(), DbErr> {
        Entity::delete_many()
            .filter(Column::Email.eq(email))
            .filter(Column::IsPrimary.eq(false))
            .filter(Column::VerifiedAt.is_null())
            .exec(db)
            .await
            .map(drop)
    }
}

/// An account with its primary address.
#[derive(Debug, Clone)]
pub struct User {
    pub account: account::Model,
    pub email: address::Model,
}

impl User {
    pub fn id(&self) -> UserId {
        self.account.id
    }

    pub fn is_verified(&self) -> bool {
        self.email.verified_at.is_some()
    }

    /// By any of the person's addresses; a further one counts when it is verified. Index: user_emails(email), unique.
    pub async fn find_by_email(db: &impl ConnectionTrait, email: &str) -> Result<Option<User>> {
        let found = Self::rows().filter(address::Column::Email.eq(email)).one(db).await?;
        Ok(found.and_then(Self::of).filter(|User { email, .. }| email.is_primary || email.verified_at.is_some()))
    }

    /// With the primary address.
    pub async fn find(db: &impl ConnectionTrait, id: UserId) -> Result<Option<User>> {
        // Index: user_emails(user_id).
        let found = Self::rows()
            .filter(address::Column::UserId.eq(id))
            .order_by_desc(address::Column::IsPrimary)
            .one(db)
            .await?;
        Ok(found.and_then(Self::of))
    }

    /// As [`User::find`], locked until the transaction ends: of two changes to the ways in of one person the second
    /// waits here, and then sees what the first has left. (SQLite has one writer.)
    pub async fn lock(tx: &Transaction, id: UserId) -> Result<Option<User>> {
        account::Entity::find_by_id(id).lock_exclusive().one(tx.conn()).await?;
        Self::find(tx.conn(), id).await
    }

    /// Addresses with their accounts.
    fn rows() -> SelectTwo<address::Entity, account::Entity> {
        let account =
            address::Entity::belongs_to(account::Entity).from(address::Column::UserId).to(account::Column::Id);
        address::Entity::find().join(JoinType::InnerJoin, account.into()).select_also(account::Entity)
    }

    fn of((email, account): (address::Model, Option<account::Model>)) -> Option<User> {
        account.map(|account| User { account, email })
    }
}

/// Counts a login of the person, whatever became of it. Nobody's is counted too, in no row: an unknown address costs as
/// much as a known one.
pub async fn count_login(tx: &Transaction, id: Option<UserId>) -> Result<()> {
    const NOBODY: UserId = UserId(0);
    account::Entity::update_many()
        .col_expr(account::Column::LoginCount, Expr::col(account::Column::LoginCount).add(1))
        .filter(account::Column::Id.eq(id.unwrap_or(NOBODY)))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// What makes a new account.
#[derive(Debug)]
pub struct NewUser {
    /// Lower-cased.
    pub email: String,
    pub display_name: String,
    pub password_hash: Option<PasswordHash>,
    pub verified_at: Option<DateTime<Utc>>,
    pub terms_version: Option<String>,
}

impl NewUser {
    /// Inserts account and address; a taken address fails on its unique index.
    pub async fn insert(self, db: &impl ConnectionTrait, now: DateTime<Utc>) -> Result<User, DbErr> {
        address::free_unproven(db, &self.email).await?;
        let account = account::ActiveModel {
            display_name: Set(self.display_name),
            profile_image_url: Set(None),
            profile: Set(serde_json::json!({})),
            user_metadata: Set(serde_json::json!({})),
            password_hash: Set(self.password_hash),
            is_system_admin: Set(false),
            terms_accepted_at: Set(self.terms_version.is_some().then_some(now)),
            terms_version: Set(self.terms_version),
            disabled_at: Set(None),
            webauthn_handle: Set(None),
            password_changed_at: Set(None),
            deletion_requested_at: Set(None),
            login_count: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        }
        .insert(db)
        .await?;
        let email = address::ActiveModel {
            user_id: Set(account.id),
            email: Set(self.email),
            is_primary: Set(true),
            verified_at: Set(self.verified_at),
            becomes_primary: Set(false),
            change_approved_at: Set(None),
            created_at: Set(now),
            ..Default::default()
        }
        .insert(db)
        .await?;
        Ok(User { account, email })
    }
}

/// The name to show where a person gave none: what stands before the @.
pub fn default_display_name(email: &str) -> String {
    email.split('@').next().unwrap_or(email).to_owned()
}
