//! Giving an account another password: once, for every operation that does.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, Secret, UserId};
use rivergen_platform::Transaction;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ConnectionTrait, IntoActiveModel, QueryOrder, QuerySelect, entity::prelude::*,
};

use super::{PasswordHash, PasswordPolicy, Verdict};
use crate::{Identity, device, user::User};

/// The hashes of passwords that a person had.
#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "password_history")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: UserId,
    pub password_hash: PasswordHash,
    pub created_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// A new password that has passed all rules.
pub struct Change {
    hash: PasswordHash,
    history: u8,
}

impl Change {
    /// Checks the password against every rule and hashes it. No transaction may be open: it takes its time.
    pub async fn prepare(
        identity: &Identity,
        user: &User,
        password: Secret,
        field: &'static str,
        code: ErrorCode,
    ) -> Result<Self> {
        let policy = identity.directory.security(user.id()).await?.password;
        let known = [user.email.email.as_str(), user.account.display_name.as_str()];
        identity.passwords.check(&password, policy, &known, field, code).await?;
        if used_before(identity, user, &password, policy).await? {
            let reason = "was used before; choose a different one";
            return Err(Error::new(code).with_details(vec![rivergen_kernel::FieldError::new(field, reason)]));
        }
        Ok(Self { hash: identity.passwords.hash(password).await?, history: policy.history })
    }

    /// Writes it. Whatever trust the old password stood for falls with it: trusted devices, links to set another.
    pub async fn apply(self, tx: &Transaction, user: &User, now: DateTime<Utc>) -> Result<()> {
        if let Some(old) = &user.account.password_hash
            && self.history > 0
        {
            let new = ActiveModel {
                user_id: Set(user.id()),
                password_hash: Set(old.clone()),
                created_at: Set(now),
                ..Default::default()
            };
            new.insert(tx.conn()).await?;
        }
        let mut account = user.account.clone().into_active_model();
        account.password_hash = Set(Some(self.hash));
        account.password_changed_at = Set(Some(now));
        account.updated_at = Set(now);
        account.update(tx.conn()).await?;
        device::forget_all(tx, user.id()).await
    }
}

/// Whether it is the current password or one of as many earlier ones as the policy remembers.
async fn used_before(identity: &Identity, user: &User, password: &Secret, policy: PasswordPolicy) -> Result<bool> {
    let mut hashes = Vec::from_iter(user.account.password_hash.clone());
    hashes.extend(latest(identity.platform.db.read(), user.id(), policy.history).await?);
    for hash in hashes {
        if identity.passwords.verify(password.clone(), Some(hash)).await? != Verdict::Wrong {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Index: password_history(user_id, id).
async fn latest(db: &impl ConnectionTrait, user_id: UserId, count: u8) -> Result<Vec<PasswordHash>> {
    if count == 0 {
        return Ok(Vec::new());
    }
    let rows = Entity::find()
        .filter(Column::UserId.eq(user_id))
        .order_by_desc(Column::Id)
        .limit(u64::from(count))
        .all(db)
        .await?;
    Ok(rows.into_iter().map(|row| row.password_hash).collect())
}
