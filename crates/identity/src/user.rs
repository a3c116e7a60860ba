//! Accounts and their e-mail addresses.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, UserId};
use rivergen_platform::{Transaction, db::Writes};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, JoinType, QueryOrder, QuerySelect, QueryTrait, SelectTwo,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait},
};

use crate::{password::PasswordHash, webauthn};

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

    /// Lets go of addresses that somebody added to their account and never proved: nobody keeps another's address
    /// from them.
    pub async fn free_unproven(db: &impl ConnectionTrait, emails: &[&str]) -> Result<(), DbErr> {
        Entity::delete_many()
            .filter(Column::Email.is_in(emails.iter().copied()))
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

    /// Those of the addresses that are written down, each with whether [`User::find_by_email`] finds somebody by it. Index:
    /// user_emails(email), unique.
    pub async fn known_among(db: &impl ConnectionTrait, emails: &[&str]) -> Result<BTreeMap<String, bool>> {
        let rows: Vec<(String, bool, Option<DateTime<Utc>>)> = address::Entity::find()
            .select_only()
            .column(address::Column::Email)
            .column(address::Column::IsPrimary)
            .column(address::Column::VerifiedAt)
            .filter(address::Column::Email.is_in(emails.iter().copied()))
            .into_tuple()
            .all(db)
            .await?;
        Ok(rows.into_iter().map(|(email, is_primary, verified)| (email, is_primary || verified.is_some())).collect())
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

    /// As [`User::find`], of many.
    pub async fn find_all(db: &impl ConnectionTrait, ids: &[UserId]) -> Result<BTreeMap<UserId, User>> {
        // Index: user_emails(user_id). The primary address comes last, and stays.
        let found = Self::rows()
            .filter(address::Column::UserId.is_in(ids.iter().copied()))
            .order_by_asc(address::Column::IsPrimary)
            .all(db)
            .await?;
        Ok(found.into_iter().filter_map(Self::of).map(|user| (user.id(), user)).collect())
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

/// Whether the account of a column opens by something of its own, a password or a passkey, whatever becomes of a provider that
/// vouches for its person: inside a query over people. Indexes: the primary key, and webauthn_credentials(user_id).
pub fn opens_by_itself(user_id: impl Into<Expr>) -> Expr {
    let user_id = user_id.into();
    let password = account::Entity::find()
        .select_only()
        .column(account::Column::Id)
        .filter(ExprTrait::eq(Expr::col((account::Entity, account::Column::Id)), user_id.clone()))
        .filter(account::Column::PasswordHash.is_not_null())
        .into_query();
    ExprTrait::or(Expr::exists(password), webauthn::has_passkey(user_id))
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
        address::free_unproven(db, &[self.email.as_str()]).await?;
        let account = self.account(now).insert(db).await?;
        let email = self.address(account.id, now).insert(db).await?;
        Ok(User { account, email })
    }

    /// Inserts the accounts of many with the statement of one, and answers them in their order. Their addresses, which nobody
    /// has, are to be written.
    pub async fn insert_all(
        people: &[Self],
        db: &impl ConnectionTrait,
        now: DateTime<Utc>,
        writes: &mut Writes,
    ) -> Result<Vec<account::Model>, DbErr> {
        let rows = people.iter().map(|person| person.account(now));
        let mut inserted = account::Entity::insert_many(rows).exec_with_returning(db).await?;
        let mut accounts = Vec::with_capacity(people.len());
        let mut addresses = Vec::with_capacity(people.len());
        for person in people {
            // No database promises to answer them in the order in which they were sent.
            let found = inserted.iter().position(|account| person.is_of(account));
            let account = inserted.swap_remove(found.ok_or(DbErr::RecordNotInserted)?);
            addresses.push(person.address(account.id, now));
            accounts.push(account);
        }
        writes.add(address::Entity::insert_many(addresses).into_query());
        Ok(accounts)
    }

    fn account(&self, now: DateTime<Utc>) -> account::ActiveModel {
        account::ActiveModel {
            display_name: Set(self.display_name.clone()),
            profile_image_url: Set(None),
            profile: Set(serde_json::json!({})),
            user_metadata: Set(serde_json::json!({})),
            password_hash: Set(self.password_hash.clone()),
            is_system_admin: Set(false),
            terms_accepted_at: Set(self.terms_version.is_some().then_some(now)),
            terms_version: Set(self.terms_version.clone()),
            disabled_at: Set(None),
            webauthn_handle: Set(None),
            password_changed_at: Set(None),
            deletion_requested_at: Set(None),
            login_count: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        }
    }

    /// Whether the account can be this person's: everything that tells one from another is theirs.
    fn is_of(&self, account: &account::Model) -> bool {
        account.display_name == self.display_name
            && account.password_hash == self.password_hash
            && account.terms_version == self.terms_version
    }

    fn address(&self, user_id: UserId, now: DateTime<Utc>) -> address::ActiveModel {
        address::ActiveModel {
            user_id: Set(user_id),
            email: Set(self.email.clone()),
            is_primary: Set(true),
            verified_at: Set(self.verified_at),
            becomes_primary: Set(false),
            change_approved_at: Set(None),
            created_at: Set(now),
            ..Default::default()
        }
    }
}

/// The name to show where a person gave none: what stands before the @.
pub fn default_display_name(email: &str) -> String {
    email.split('@').next().unwrap_or(email).to_owned()
}
