//! An address that is proved by another way than its mail: the identity provider of the organization that owns its domain.
//!
//! Whoever signed up with the address never proved it, so they may be anybody. What they left behind must not open the account
//! to them from now on: the password, accounts of other providers, and everything that is on its way.

use chrono::{DateTime, Utc};
use rivergen_kernel::Result;
use rivergen_platform::{Event, Transaction};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};

use crate::{
    one_time_token::{self, Purpose},
    pending_login,
    session::{self, EndReason},
    social,
    user::User,
};

/// Marks the address that the user was found by as proved, and takes away what could open the account so far.
pub async fn prove(tx: &Transaction, user: &User, now: DateTime<Utc>) -> Result<()> {
    let mut address = user.email.clone().into_active_model();
    address.verified_at = Set(Some(now));
    address.update(tx.conn()).await?;
    let mut account = user.account.clone().into_active_model();
    account.password_hash = Set(None);
    account.updated_at = Set(now);
    account.update(tx.conn()).await?;
    // Passkeys, apps and tokens there are none: they need a proved address.
    social::Entity::delete_many().filter(social::Column::UserId.eq(user.id())).exec(tx.conn()).await?;
    for purpose in [
        Purpose::EmailVerification,
        Purpose::PendingLogin,
        Purpose::PasswordReset,
        Purpose::EmailChangeApproval,
        Purpose::SocialHandover,
    ] {
        one_time_token::kill(tx, purpose, user.id(), now).await?;
    }
    pending_login::end_all(tx, user.id(), now).await?;
    session::end_all(tx, user.id(), None, EndReason::PasswordChanged, now).await?;
    tx.publish(Event::UserChanged(user.id())).await
}
