//! How often one may be wrong: the third wrong code in a row locks the factor for a minute, and each further three
//! for twice as long, up to a quarter of an hour. A right code begins anew. The account itself is never locked.
//!
//! The count is a row that a transaction locks before it looks at a code, so that requests at the same time cannot
//! guess more often than requests one after the other.

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, ErrorCode, Result, UserId};
use rivergen_platform::Transaction;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, DbBackend, IntoActiveModel, QuerySelect, TryInsertResult, entity::prelude::*,
    sea_query::OnConflict,
};

/// Wrong codes that lock.
const WRONG_CODES: i32 = 3;
const FIRST_LOCK: Duration = Duration::seconds(60);
const LONGEST_LOCK: Duration = Duration::minutes(15);

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mfa_lockouts")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
    /// `totp`, `email_otp`, `backup_code`, `password`.
    #[sea_orm(primary_key, auto_increment = false)]
    pub factor: String,
    /// Since the last lock or the last right code.
    pub wrong_codes: i32,
    /// Since the last right code.
    pub locks: i32,
    pub locked_until: Option<DateTime<Utc>>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

/// A try that may be made. It must end with [`Attempt::right`] or [`Attempt::wrong`] in the same transaction.
#[must_use]
pub struct Attempt(Model);

/// Admits a try, or answers `TOO_MANY_ATTEMPTS` with the time to wait. Holds the count until the transaction ends.
pub async fn enter(tx: &Transaction, user_id: UserId, factor: &str, now: DateTime<Utc>) -> Result<Attempt> {
    let fresh = ActiveModel {
        user_id: Set(user_id),
        factor: Set(factor.to_owned()),
        wrong_codes: Set(0),
        locks: Set(0),
        locked_until: Set(None),
        updated_at: Set(now),
    };
    let inserted = Entity::insert(fresh)
        .on_conflict(OnConflict::columns([Column::UserId, Column::Factor]).do_nothing().to_owned())
        .try_insert()
        .exec_without_returning(tx.conn())
        .await?;
    debug_assert!(!matches!(inserted, TryInsertResult::Empty));
    let mut row = Entity::find_by_id((user_id, factor.to_owned()));
    if tx.conn().get_database_backend() == DbBackend::Postgres {
        row = row.lock_exclusive();
    }
    let row = row.one(tx.conn()).await?.ok_or_else(|| Error::internal("the count of wrong codes is gone"))?;
    match row.locked_until {
        Some(until) if now < until => {
            let wait = (until - now).to_std().unwrap_or_default();
            // Rounded up: who obeys must not come too early.
            let wait = std::time::Duration::from_secs(wait.as_secs() + u64::from(wait.subsec_nanos() > 0));
            Err(Error::new(ErrorCode::TooManyAttempts).with_retry_after(wait))
        }
        _ => Ok(Attempt(row)),
    }
}

impl Attempt {
    /// The code was right: the count begins anew.
    pub async fn right(self, tx: &Transaction) -> Result<()> {
        self.0.delete(tx.conn()).await?;
        Ok(())
    }

    /// The code was wrong. The transaction must be committed, or it was not counted.
    pub async fn wrong(self, tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
        let (wrong_codes, locks) = (self.0.wrong_codes + 1, self.0.locks);
        let mut row = self.0.into_active_model();
        if wrong_codes < WRONG_CODES {
            row.wrong_codes = Set(wrong_codes);
        } else {
            row.wrong_codes = Set(0);
            row.locks = Set(locks + 1);
            row.locked_until = Set(Some(now + lock(locks)));
        }
        row.updated_at = Set(now);
        row.update(tx.conn()).await?;
        Ok(())
    }
}

/// How long the lock after so many others is.
fn lock(earlier: i32) -> Duration {
    let doublings = u32::try_from(earlier).unwrap_or(0).min(10);
    (FIRST_LOCK * 2_i32.pow(doublings)).min(LONGEST_LOCK)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_double_up_to_a_quarter_of_an_hour() {
        let seconds: Vec<i64> = (0..6).map(|earlier| lock(earlier).num_seconds()).collect();
        assert_eq!(seconds, [60, 120, 240, 480, 900, 900]);
        assert_eq!(lock(i32::MAX), LONGEST_LOCK);
    }
}
