//! Backup codes: ten, each good once, for the day on which the phone is gone.
//!
//! A code has 40 random bits. All ten are hashed with Argon2id under one salt, so that checking one costs one hash
//! and a stolen table is no list of codes.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rand::RngExt;
use rivergen_kernel::{ErrorCode, Result, Secret, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, entity::prelude::*, sea_query::Expr};
use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq;
use utoipa::ToSchema;

use super::{Kind, lockout, totp};
use crate::{Identity, mails, password::Verdict, user::User};

const CODES: usize = 10;
const SALT_BYTES: usize = 16;

/// Letters and digits that are not taken for one another.
const ALPHABET: &[u8; 32] = b"ABCDEFGHJKLMNPQRSTUVWXYZ23456789";

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "mfa_backup_codes")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub user_id: UserId,
    /// The set's salt, and the hash.
    pub code_hash: Vec<u8>,
    pub created_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

/// Codes that are made and hashed and not kept yet: hashing takes its time, so no transaction is open meanwhile.
pub struct NewSet {
    shown: Vec<String>,
    hashes: Vec<Vec<u8>>,
}

impl NewSet {
    async fn make(identity: &Identity) -> Result<Self> {
        let salt: [u8; SALT_BYTES] = rand::random();
        let shown: Vec<String> = (0..CODES).map(|_| random_code()).collect();
        let mut hashes = Vec::with_capacity(CODES);
        for code in &shown {
            hashes.push(hash(identity, &salt, code).await?);
        }
        Ok(Self { shown, hashes })
    }

    /// For somebody who has no codes left; `None` where an earlier set is still good.
    pub async fn for_first_factor(identity: &Identity, user_id: UserId) -> Result<Option<Self>> {
        match unused(identity.platform.db.read(), user_id).await?.is_empty() {
            true => Self::make(identity).await.map(Some),
            false => Ok(None),
        }
    }

    /// Keeps the set in place of any other, and hands the codes out.
    pub async fn store(self, tx: &Transaction, user_id: UserId, now: DateTime<Utc>) -> Result<Vec<String>> {
        delete(tx, user_id).await?;
        let rows = self.hashes.into_iter().map(|code_hash| ActiveModel {
            user_id: Set(user_id),
            code_hash: Set(code_hash),
            created_at: Set(now),
            used_at: Set(None),
            ..Default::default()
        });
        Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
        Ok(self.shown)
    }
}

fn random_code() -> String {
    let mut random = rand::rng();
    let mut letter = || char::from(ALPHABET[random.random_range(0..ALPHABET.len())]);
    let halves: [String; 2] = std::array::from_fn(|_| (0..4).map(|_| letter()).collect());
    halves.join("-")
}

/// As it was handed out, whether or not it was typed with the dash and in capitals.
fn normalise(code: &str) -> Option<String> {
    let letters: String = code.chars().filter(|c| c.is_ascii_alphanumeric()).collect::<String>().to_ascii_uppercase();
    (letters.len() == 8).then(|| format!("{}-{}", &letters[..4], &letters[4..]))
}

async fn hash(identity: &Identity, salt: &[u8], code: &str) -> Result<Vec<u8>> {
    let derived = identity.passwords.derive(Secret::new(code), salt.to_vec()).await?;
    Ok([salt, derived.as_slice()].concat())
}

/// Index: mfa_backup_codes(user_id, used_at).
async fn unused(db: &impl ConnectionTrait, user_id: UserId) -> Result<Vec<Model>> {
    Ok(Entity::find().filter(Column::UserId.eq(user_id)).filter(Column::UsedAt.is_null()).all(db).await?)
}

/// The code of the person's that this is, if it is one; [`Found::spend`] uses it up. Costs a hash, whether or not there
/// are codes.
pub(super) async fn find(identity: &Identity, user_id: UserId, code: &str) -> Result<Option<Found>> {
    let rows = unused(identity.platform.db.read(), user_id).await?;
    let salt = rows.first().map_or([0; SALT_BYTES].as_slice(), |row| &row.code_hash[..SALT_BYTES]).to_vec();
    let hashed = hash(identity, &salt, normalise(code).as_deref().unwrap_or_default()).await?;
    Ok(rows.into_iter().find(|row| row.code_hash.ct_eq(&hashed).into()).map(|row| Found(row.id)))
}

/// A code that is right and not used yet.
pub(super) struct Found(i64);

impl Found {
    /// Uses it up; `false` where another request was quicker.
    pub async fn spend(self, tx: &Transaction, now: DateTime<Utc>) -> Result<bool> {
        let spent = Entity::update_many()
            .col_expr(Column::UsedAt, Expr::value(now))
            .filter(Column::Id.eq(self.0))
            .filter(Column::UsedAt.is_null())
            .exec(tx.conn())
            .await?;
        Ok(spent.rows_affected == 1)
    }
}

/// How many codes are left.
pub async fn remaining(db: &impl ConnectionTrait, user_id: UserId) -> Result<usize> {
    Ok(unused(db, user_id).await?.len())
}

pub(crate) async fn delete(tx: &Transaction, user_id: UserId) -> Result<()> {
    Entity::delete_many().filter(Column::UserId.eq(user_id)).exec(tx.conn()).await?;
    Ok(())
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"code": "123456"}))]
pub struct GenerateRequest {
    /// What an authenticator shows: needed if the last sign-in is older than ten minutes.
    #[garde(inner(custom(super::six_digits)))]
    pub code: Option<String>,
    /// The password, as a proof.
    #[garde(skip)]
    #[schema(value_type = Option<String>, format = Password)]
    pub password: Option<Secret>,
}

/// A new set; the previous one no longer works.
#[derive(Debug, Serialize, ToSchema)]
pub struct Generated {
    #[schema(examples(json!(["K7QD-2MPX"])))]
    pub backup_codes: Vec<String>,
    #[schema(examples(10))]
    pub total_count: usize,
    pub generated_at: DateTime<Utc>,
    pub message: &'static str,
}

errors! {
    pub GenerateErrors: InvalidCode, MfaNotEnabled, Unauthorized, TokenExpired, ReauthenticationRequired, EmailNotVerified, ValidationError, TooManyAttempts;
    pub GetErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified;
}

/// Replace your backup codes with a new set
#[utoipa::path(post, path = "/api/v1/mfa/backup-codes/generate", tag = "mfa", request_body = GenerateRequest,
    responses((status = 200, description = "The codes, which are only shown this once", body = Envelope<Generated>), GenerateErrors))]
pub async fn generate_backup_codes(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<GenerateRequest>,
) -> Result<Reply<Generated>> {
    let platform = &identity.platform;
    caller.session()?;
    let now = platform.clock.now();
    let user = User::find(platform.db.read(), caller.user_id).await?.ok_or(ErrorCode::Unauthorized)?;
    if super::verified(platform.db.read(), user.id()).await?.is_empty() {
        return Err(ErrorCode::MfaNotEnabled.into());
    }
    if caller.recently_proved(now).is_err() {
        prove(&identity, &user, request).await?;
    }
    let set = NewSet::make(&identity).await?;
    let tx = platform.db.begin().await?;
    let backup_codes = set.store(&tx, user.id(), now).await?;
    mails::send_backup_codes_replaced(&identity, &tx, &user).await?;
    let record =
        AuditRecord::new(None, origin.actor(user.id()), "mfa.backup_codes_generate").target("user", user.id().0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "Keep the codes in a safe place; earlier ones no longer work.";
    let generated = Generated { total_count: backup_codes.len(), backup_codes, generated_at: now, message };
    Ok(Reply::ok(generated, message))
}

/// A code of an authenticator, or the password, in place of a recent sign-in.
async fn prove(identity: &Identity, user: &User, request: GenerateRequest) -> Result<()> {
    let platform = &identity.platform;
    let now = platform.clock.now();
    let factor = match (&request.code, &request.password) {
        (Some(_), _) => Kind::Totp.as_str(),
        (None, Some(_)) => "password",
        (None, None) => return Err(ErrorCode::ReauthenticationRequired.into()),
    };
    let password_is_right = match &request.password {
        Some(password) if request.code.is_none() => {
            let hash = user.account.password_hash.clone();
            identity.passwords.verify(password.clone(), hash).await? != Verdict::Wrong
        }
        _ => false,
    };
    let tx = platform.db.begin().await?;
    let attempt = lockout::enter(&tx, user.id(), factor, now).await?;
    let right = match &request.code {
        Some(code) => {
            let factors = super::verified(tx.conn(), user.id()).await?;
            totp::accept(platform, &tx, &factors, code, now).await?.is_ok()
        }
        None => password_is_right,
    };
    match right {
        true => attempt.right(&tx).await?,
        false => attempt.wrong(&tx, now).await?,
    }
    tx.commit().await?;
    if right { Ok(()) } else { Err(ErrorCode::InvalidCode.into()) }
}

/// The number of codes left; the codes themselves are not stored.
#[derive(Debug, Serialize, ToSchema)]
pub struct BackupCodes {
    #[schema(examples(10))]
    pub total_count: usize,
    #[schema(examples(9))]
    pub remaining_count: usize,
    pub generated_at: Option<DateTime<Utc>>,
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Count the remaining backup codes
#[utoipa::path(get, path = "/api/v1/mfa/backup-codes", tag = "mfa",
    responses((status = 200, description = "Only counts", body = Envelope<BackupCodes>), GetErrors))]
pub async fn get_backup_codes(
    State(identity): State<Identity>,
    SignedIn(caller): SignedIn,
) -> Result<Reply<BackupCodes>> {
    caller.session()?;
    let rows = Entity::find().filter(Column::UserId.eq(caller.user_id)).all(identity.platform.db.read()).await?;
    let codes = BackupCodes {
        total_count: rows.len(),
        remaining_count: rows.iter().filter(|row| row.used_at.is_none()).count(),
        generated_at: rows.iter().map(|row| row.created_at).max(),
        last_used_at: rows.iter().filter_map(|row| row.used_at).max(),
    };
    Ok(Reply::ok(codes, "Backup codes."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_read_as_people_type_them() {
        let code = random_code();
        assert_eq!(code.len(), 9);
        for typed in [code.clone(), code.to_lowercase(), code.replace('-', ""), format!(" {} ", code.replace('-', " "))]
        {
            assert_eq!(normalise(&typed), Some(code.clone()));
        }
        for typed in ["", "ABCD", "ABCD-12345", "ÄBCD-1234x9"] {
            assert_eq!(normalise(typed), None, "{typed}");
        }
    }
}
