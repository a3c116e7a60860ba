//! Second factors: authenticator apps, codes by mail, backup codes.
//!
//! | file | operations |
//! | --- | --- |
//! | [`totp`] | `/api/v1/mfa/totp/…` |
//! | [`email_otp`] | `/api/v1/mfa/email-otp/…` |
//! | [`backup_codes`] | `/api/v1/mfa/backup-codes…` |
//! | [`status`] | `/api/v1/mfa/status` |
//! | [`login`] | `/api/v1/auth/mfa/…`: the second step of a login |
//!
//! [`lockout`] bounds guessing, for all of them alike.

pub mod backup_codes;
pub mod email_otp;
pub mod lockout;
pub mod login;
pub mod status;
pub mod totp;

use std::collections::BTreeSet;

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{Error, ErrorCode, FactorId, Result, SessionId, UserId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    http::RequestOrigin,
    vault::Sealed,
};
use sea_orm::{
    ActiveValue::Set,
    ConnectionTrait, IntoActiveModel, QueryOrder, QuerySelect, QueryTrait,
    entity::prelude::*,
    sea_query::{Expr, ExprTrait, UnionType},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{Identity, device, mails, user::User, webauthn};

/// A kind of factor that is set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = MfaMethodType)]
pub enum Kind {
    /// An authenticator app (RFC 6238).
    #[sea_orm(string_value = "totp")]
    Totp,
    /// A code by mail to the primary address.
    #[sea_orm(string_value = "email_otp")]
    EmailOtp,
}

impl Kind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Totp => "totp",
            Self::EmailOtp => "email_otp",
        }
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mfa_methods")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: FactorId,
    pub user_id: UserId,
    pub kind: Kind,
    /// What its person calls the app.
    pub device_name: Option<String>,
    /// The seed of an app; the code of a setup by mail that is not confirmed yet.
    pub sealed_secret: Option<Sealed>,
    pub is_primary: bool,
    /// `None` until the setup is confirmed.
    pub verified_at: Option<DateTime<Utc>>,
    /// When a setup that is not confirmed lapses.
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub last_used_at: Option<DateTime<Utc>>,
    /// The time step of the last code of an app: no step counts twice (RFC 6238, section 5.2).
    pub last_step: Option<i64>,
    /// Wrong codes of a setup that is not confirmed.
    pub wrong_codes: i32,
}

impl ActiveModelBehavior for ActiveModel {}

/// How long a setup waits to be confirmed, and a mailed code works.
const SETUP_LIFETIME: Duration = Duration::minutes(10);

/// What the seeds are sealed for.
const SECRET_CONTEXT: &str = "mfa_methods.secret";

/// The factors that are set up, the primary one first. Index: mfa_methods(user_id, kind).
pub async fn verified(db: &impl ConnectionTrait, user_id: UserId) -> Result<Vec<Model>> {
    Ok(Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::VerifiedAt.is_not_null())
        .order_by_desc(Column::IsPrimary)
        .order_by_desc(Column::CreatedAt)
        .order_by_desc(Column::Id)
        .all(db)
        .await?)
}

/// Whether the person of a column signs in with more than a password, inside a query over people. Indexes as
/// [`protected`].
pub fn is_protected(user_id: impl Into<Expr>) -> Expr {
    let user_id = user_id.into();
    let factor = Entity::find()
        .select_only()
        .column(Column::Id)
        .filter(ExprTrait::eq(Expr::col((Entity, Column::UserId)), user_id.clone()))
        .filter(Column::VerifiedAt.is_not_null())
        .into_query();
    ExprTrait::or(Expr::exists(factor), webauthn::has_passkey(user_id))
}

/// Those of the people who sign in with more than a password: with a factor that is set up, or a passkey. Indexes:
/// mfa_methods(user_id, kind), webauthn_credentials(user_id).
pub async fn protected(db: &impl ConnectionTrait, people: &[UserId]) -> Result<BTreeSet<UserId>> {
    let passkeys = webauthn::Entity::find()
        .select_only()
        .column(webauthn::Column::UserId)
        .filter(webauthn::Column::UserId.is_in(people.iter().copied()))
        .into_query();
    let mut both = Entity::find()
        .select_only()
        .column(Column::UserId)
        .filter(Column::UserId.is_in(people.iter().copied()))
        .filter(Column::VerifiedAt.is_not_null())
        .into_query();
    both.union(UnionType::Distinct, passkeys);
    let rows = db.query_all(&both).await?;
    rows.iter().map(|row| Ok(row.try_get_by_index(0)?)).collect()
}

/// The setup of this kind that waits to be confirmed. `NO_PENDING_SETUP` where there is none, or where its code was
/// guessed at as often as it may be.
async fn pending(
    db: &impl ConnectionTrait,
    user_id: UserId,
    kind: Kind,
    most_wrong_codes: i32,
    now: DateTime<Utc>,
) -> Result<Model> {
    let found = Entity::find()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Kind.eq(kind))
        .filter(Column::VerifiedAt.is_null())
        .filter(Column::ExpiresAt.gt(now))
        .order_by_desc(Column::Id)
        .one(db)
        .await?;
    found.filter(|row| row.wrong_codes < most_wrong_codes).ok_or(ErrorCode::NoPendingSetup.into())
}

/// Begins a setup that waits ten minutes to be confirmed; one that was never confirmed is replaced by it.
async fn begin_setup(
    tx: &Transaction,
    user_id: UserId,
    kind: Kind,
    device_name: Option<String>,
    secret: Sealed,
    now: DateTime<Utc>,
) -> Result<()> {
    Entity::delete_many()
        .filter(Column::UserId.eq(user_id))
        .filter(Column::Kind.eq(kind))
        .filter(Column::VerifiedAt.is_null())
        .exec(tx.conn())
        .await?;
    ActiveModel {
        user_id: Set(user_id),
        kind: Set(kind),
        device_name: Set(device_name),
        sealed_secret: Set(Some(secret)),
        is_primary: Set(false),
        verified_at: Set(None),
        expires_at: Set(Some(now + SETUP_LIFETIME)),
        created_at: Set(now),
        last_used_at: Set(None),
        last_step: Set(None),
        wrong_codes: Set(0),
        ..Default::default()
    }
    .insert(tx.conn())
    .await?;
    Ok(())
}

/// Counts a wrong code, for the lock-out and against the setup itself, and gives the answer to it.
async fn refuse_code(tx: Transaction, attempt: lockout::Attempt, pending: Model, now: DateTime<Utc>) -> Result<Error> {
    attempt.wrong(&tx, now).await?;
    let wrong_codes = pending.wrong_codes + 1;
    let mut row = pending.into_active_model();
    row.wrong_codes = Set(wrong_codes);
    row.update(tx.conn()).await?;
    tx.commit().await?;
    Ok(ErrorCode::InvalidCode.into())
}

/// Removes a factor. With the last one the backup codes go, and the trust in devices that spared it; an
/// organization that requires a factor keeps the last one where it is.
async fn remove(
    identity: &Identity,
    tx: &Transaction,
    user: &User,
    factor: Model,
    origin: &RequestOrigin,
) -> Result<bool> {
    let platform = &identity.platform;
    let security = identity.directory.security(user.id()).await?;
    let others: Vec<Model> =
        verified(tx.conn(), user.id()).await?.into_iter().filter(|other| other.id != factor.id).collect();
    if others.is_empty() && security.requires_mfa() {
        return Err(ErrorCode::MfaRequiredByOrganization.into());
    }
    Entity::delete_by_id(factor.id).exec(tx.conn()).await?;
    match others.first() {
        None => {
            backup_codes::delete(tx, user.id()).await?;
            device::forget_all(tx, user.id()).await?;
        }
        Some(next) if factor.is_primary => {
            Entity::update_many()
                .col_expr(Column::IsPrimary, Expr::value(true))
                .filter(Column::Id.eq(next.id))
                .exec(tx.conn())
                .await?;
        }
        Some(_) => {}
    }
    tx.publish(Event::UserChanged(user.id())).await?;
    mails::send_factor_removed(identity, tx, user, factor.kind).await?;
    let record = AuditRecord::new(None, origin.actor(user.id()), "mfa.remove")
        .target("mfa_method", factor.id.0)
        .details(serde_json::json!({"type": factor.kind, "device_name": factor.device_name}));
    audit::record(tx, &platform.clock, record).await?;
    Ok(!others.is_empty())
}

/// Removes everything that stands for a second factor, locks included; answers how many factors were set up.
pub(crate) async fn remove_all(tx: &Transaction, user_id: UserId) -> Result<usize> {
    let count = verified(tx.conn(), user_id).await?.len();
    Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(tx.conn()).await?;
    backup_codes::delete(tx, user_id).await?;
    device::forget_all(tx, user_id).await?;
    lockout::Entity::delete_many().filter(lockout::Column::UserId.eq(user_id)).exec(tx.conn()).await?;
    Ok(count)
}

/// Confirms a setup whose first code was right: the factor counts from now on, the session has it already, the first
/// set of backup codes is made, everybody concerned is told.
async fn confirm(
    identity: &Identity,
    tx: &Transaction,
    user_id: UserId,
    mut setup: ActiveModel,
    session: SessionId,
    codes: Option<backup_codes::NewSet>,
    origin: &RequestOrigin,
) -> Result<Vec<String>> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let user = User::find(tx.conn(), user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    setup.is_primary = Set(verified(tx.conn(), user.id()).await?.is_empty());
    setup.verified_at = Set(Some(now));
    setup.expires_at = Set(None);
    let factor = setup.update(tx.conn()).await?;
    let shown = match codes {
        Some(codes) => codes.store(tx, user.id(), now).await?,
        None => Vec::new(),
    };
    let session = crate::session::Model::find(tx.conn(), session).await?.ok_or(ErrorCode::Unauthorized)?;
    session.add_factor(tx, "otp").await?;
    tx.publish(Event::UserChanged(user.id())).await?;
    mails::send_factor_added(identity, tx, &user, factor.kind).await?;
    let record = AuditRecord::new(None, origin.actor(user.id()), "mfa.enable")
        .target("mfa_method", factor.id.0)
        .details(serde_json::json!({"type": factor.kind, "device_name": factor.device_name}));
    audit::record(tx, &platform.clock, record).await?;
    Ok(shown)
}

/// A code of six digits, of a person or of a mail.
pub(crate) fn random_digits() -> String {
    use rand::RngExt;
    format!("{:06}", rand::rng().random_range(0..1_000_000))
}

/// A `code` field: exactly six digits.
pub(crate) fn six_digits(code: &str, _: &()) -> garde::Result {
    match code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit()) {
        true => Ok(()),
        false => Err(garde::Error::new("must be 6 digits")),
    }
}
