//! The keys that sign access tokens, and the published set that verifies them.
//!
//! One key signs at a time, or for applications one of each algorithm; it is made at the first start and lies sealed in
//! `signing_keys`. The one that signs next may be announced: it is in the published set (JWKS) before it signs, so that
//! whoever keeps the set for a while knows it then. When the key is rotated, the next one signs and the old one goes on
//! verifying, and stays published, for [`VERIFIES_AFTER_RETIREMENT`], longer than any token lives. Nodes hear of it over the
//! bus; one that meets a key id that it does not know looks again before it refuses.
//!
//! Tokens of one [`Purpose`] are signed with keys of their own, so that none can ever pass for one of another.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError, RwLock, Weak},
};

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair},
};
use base64::{Engine, engine::general_purpose::STANDARD};
use chrono::{DateTime, Duration, Utc};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header,
    jwk::{Jwk, JwkSet, PublicKeyUse, ThumbprintHash},
};
use rivergen_kernel::Result as KernelResult;
use sea_orm::{
    ActiveValue::Set,
    ColumnTrait, Condition, DbErr, EntityTrait, QueryFilter, QueryOrder, TryInsertResult,
    sea_query::{Expr, OnConflict},
};
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, MutexGuard, Notify};
use zeroize::Zeroizing;

use crate::{
    Clock, Database, Event, Transaction,
    vault::{Owner, Vault, VaultError},
};

/// How long a retired key still verifies: longer than the longest session (30 days).
pub const VERIFIES_AFTER_RETIREMENT: Duration = Duration::days(31);

/// Unknown key ids make the keys be read again, but not more often than this.
const RELOAD_AT_MOST_EVERY: Duration = Duration::seconds(5);

/// Between two tries to read keys that have changed.
const PAUSE: std::time::Duration = std::time::Duration::from_secs(1);

/// What a set of keys signs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// Access tokens of people's sessions.
    Sessions,
    /// What applications are given that sign people in with this server. A key of each algorithm signs: with which one, is
    /// asked for by the application and by the kind of the token.
    Applications,
}

impl Purpose {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Sessions => "sessions",
            Self::Applications => "applications",
        }
    }

    /// The keys of all algorithms: they verify together.
    fn keys(self) -> Condition {
        Condition::all().add(signing_keys::Column::Purpose.eq(self.as_str()))
    }

    /// The keys among which one signs, and one does next.
    fn keys_of(self, algorithm: SigningAlgorithm) -> Condition {
        let is_apart = self.tells_apart(algorithm);
        self.keys().add_option(is_apart.map(|algorithm| signing_keys::Column::Algorithm.eq(algorithm.as_str())))
    }

    /// The algorithm, where a key of each signs.
    fn tells_apart(self, algorithm: SigningAlgorithm) -> Option<SigningAlgorithm> {
        (self == Self::Applications).then_some(algorithm)
    }
}

/// With what new keys sign.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum SigningAlgorithm {
    /// Ed25519: small, fast, no parameters to get wrong.
    #[default]
    EdDSA,
    /// P-256, for verifiers that do not know Ed25519.
    ES256,
    /// RSA 2048, for verifiers that know nothing else.
    RS256,
}

impl SigningAlgorithm {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::EdDSA => "EdDSA",
            Self::ES256 => "ES256",
            Self::RS256 => "RS256",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::EdDSA, Self::ES256, Self::RS256].into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    fn jwt(self) -> Algorithm {
        match self {
            Self::EdDSA => Algorithm::EdDSA,
            Self::ES256 => Algorithm::ES256,
            Self::RS256 => Algorithm::RS256,
        }
    }

    /// A new private key, as PKCS #8.
    fn generate(self) -> Result<Zeroizing<Vec<u8>>, SigningError> {
        let failed = |_| SigningError::Generation(self.as_str());
        let document = match self {
            Self::EdDSA => Ed25519KeyPair::generate_pkcs8v1(&SystemRandom::new()).map_err(failed)?.as_ref().to_vec(),
            Self::ES256 => EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &SystemRandom::new())
                .map_err(failed)?
                .as_ref()
                .to_vec(),
            Self::RS256 => {
                let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).map_err(failed)?;
                AsDer::<aws_lc_rs::encoding::Pkcs8V1Der<'_>>::as_der(&pair).map_err(failed)?.as_ref().to_vec()
            }
        };
        Ok(Zeroizing::new(document))
    }

    fn encoding_key(self, pkcs8: &[u8]) -> Result<EncodingKey, SigningError> {
        Ok(match self {
            Self::EdDSA => EncodingKey::from_ed_der(pkcs8),
            Self::ES256 => EncodingKey::from_ec_der(pkcs8),
            Self::RS256 => {
                // As DER it would have to be PKCS #1; as PEM the library takes either.
                let body = Zeroizing::new(STANDARD.encode(pkcs8));
                let pem = format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", body.as_str());
                EncodingKey::from_rsa_pem(Zeroizing::new(pem).as_bytes())?
            }
        })
    }
}

/// What can go wrong with a signing key.
#[derive(Debug, thiserror::Error)]
pub enum SigningError {
    #[error("a key for {0} could not be generated")]
    Generation(&'static str),
    #[error("the signing key {0} cannot be read")]
    Unreadable(String),
    #[error("there is no signing key")]
    None,
    #[error(transparent)]
    Vault(#[from] VaultError),
    #[error(transparent)]
    Jwt(#[from] jsonwebtoken::errors::Error),
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<SigningError> for rivergen_kernel::Error {
    fn from(error: SigningError) -> Self {
        match error {
            SigningError::Database(error) => error.into(),
            SigningError::Vault(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

mod signing_keys {
    use sea_orm::entity::prelude::*;

    use crate::vault::Sealed;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "signing_keys")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub kid: String,
        pub purpose: String,
        pub algorithm: String,
        pub private_key: Sealed,
        #[sea_orm(column_type = "Text")]
        pub public_jwk: String,
        pub created_at: DateTimeUtc,
        /// Null: it is to sign next.
        pub signs_since: Option<DateTimeUtc>,
        pub retired_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The key that signs now.
pub struct SigningKey {
    pub kid: String,
    pub algorithm: Algorithm,
    pub signs_since: DateTime<Utc>,
    key: EncodingKey,
}

/// A key that verifies, and the one algorithm that it may be used with: what a token's header claims
/// never chooses it.
#[derive(Clone)]
pub struct VerifyingKey {
    pub algorithm: Algorithm,
    pub key: DecodingKey,
}

/// Signs, with the keys of one algorithm where there are several, and verifies with all; cheap to clone.
#[derive(Clone)]
pub struct SigningKeys(Arc<Inner>);

struct Inner {
    db: Database,
    vault: Vault,
    clock: Clock,
    purpose: Purpose,
    algorithm: SigningAlgorithm,
    ring: RwLock<Arc<Ring>>,
    /// Held while the keys are read again: so a flood of unknown key ids reads them once, and what was read before a change
    /// never takes the place of what was read after it.
    reading: Mutex<()>,
}

/// The keys as they were read last.
struct Ring {
    read_at: DateTime<Utc>,
    current: Arc<SigningKey>,
    /// Since when the next key is published, where it is.
    announced_at: Option<DateTime<Utc>>,
    verifying: HashMap<String, Arc<VerifyingKey>>,
    published: JwkSet,
}

impl SigningKeys {
    /// Reads the keys, and makes the first one where there is none. `algorithm` is for keys made from now
    /// on; a key of another kind that is in use stays until it is rotated. Of [`Purpose::Applications`] those of that
    /// algorithm sign, and others beside them.
    pub async fn load_or_create(
        db: Database,
        vault: Vault,
        clock: Clock,
        purpose: Purpose,
        algorithm: SigningAlgorithm,
    ) -> KernelResult<Self> {
        let tx = db.begin().await?;
        if signing_keys::Entity::find()
            .filter(purpose.keys_of(algorithm))
            .filter(signing_keys::Column::SignsSince.is_not_null())
            .filter(signing_keys::Column::RetiredAt.is_null())
            .one(tx.conn())
            .await?
            .is_none()
        {
            let others = signing_keys::Entity::find().filter(purpose.keys()).one(tx.conn()).await?;
            // When another node makes one at the same time, the unique index lets one of them win; either is good.
            insert(&tx, &vault, &clock, purpose, algorithm, Some(clock.now())).await?;
            // Nodes that run with the others publish it too from now on.
            if others.is_some() {
                tx.publish(Event::Resync).await?;
            }
        }
        tx.commit().await?;
        // From before the first reading on: a change that it does not see is heard of.
        let changed = Arc::new(Notify::new());
        let heard = changed.clone();
        db.bus().subscribe(move |event| {
            if *event == Event::Resync {
                heard.notify_one();
            }
        });
        let ring = RwLock::new(Arc::new(read(&db, &vault, &clock, (purpose, algorithm)).await?));
        let keys = Self(Arc::new(Inner { db, vault, clock, purpose, algorithm, ring, reading: Mutex::new(()) }));
        tokio::spawn(follow(changed, Arc::downgrade(&keys.0)));
        Ok(keys)
    }

    /// The key that signs now.
    pub fn current(&self) -> Arc<SigningKey> {
        self.0.ring().current.clone()
    }

    /// Since when the key that signs next is published; none where there is no such key yet.
    pub fn announced_at(&self) -> Option<DateTime<Utc>> {
        self.0.ring().announced_at
    }

    /// Signs the claims; `typ` says what kind of token it is (`at+jwt` for access tokens, RFC 9068), so
    /// that one kind cannot pass for another.
    pub fn sign<C: Serialize>(&self, typ: &str, claims: &C) -> Result<String, SigningError> {
        let current = self.current();
        let mut header = Header::new(current.algorithm);
        header.kid = Some(current.kid.clone());
        header.typ = Some(typ.to_owned());
        Ok(jsonwebtoken::encode(&header, claims, &current.key)?)
    }

    /// The key of that id, unless it is unknown or was retired too long ago.
    pub async fn verifying(&self, kid: &str) -> KernelResult<Option<Arc<VerifyingKey>>> {
        let ring = self.0.ring();
        if let Some(key) = ring.verifying.get(kid) {
            return Ok(Some(key.clone()));
        }
        // Made up, or made by another node a moment ago.
        let reading = self.0.reading.lock().await;
        if self.0.clock.now() - self.0.ring().read_at >= RELOAD_AT_MOST_EVERY {
            self.0.reload(&reading).await?;
        }
        Ok(self.0.ring().verifying.get(kid).cloned())
    }

    /// The set to publish (RFC 7517).
    pub fn jwks(&self) -> JwkSet {
        self.0.ring().published.clone()
    }

    /// Lets no key of its purpose sign any more that is of none of these algorithms; what those signed goes on verifying, as
    /// after a rotation.
    pub async fn retire_others(&self, tx: &Transaction, algorithms: &[SigningAlgorithm]) -> KernelResult<()> {
        let names = algorithms.iter().map(|algorithm| algorithm.as_str());
        let others = self.0.purpose.keys().add(signing_keys::Column::Algorithm.is_not_in(names));
        signing_keys::Entity::delete_many()
            .filter(others.clone())
            .filter(signing_keys::Column::SignsSince.is_null())
            .exec(tx.conn())
            .await?;
        let retired = retire(tx, others, self.0.clock.now()).await?;
        if retired > 0 { tx.publish(Event::Resync).await } else { Ok(()) }
    }

    /// Makes the key that signs next, and publishes it from the commit on. Answers its id; none where one waits already.
    pub async fn announce(&self, tx: &Transaction) -> KernelResult<Option<String>> {
        self.forget_other_kinds(tx).await?;
        let kid = insert(tx, &self.0.vault, &self.0.clock, self.0.purpose, self.0.algorithm, None).await?;
        tx.publish(Event::Resync).await?;
        Ok(kid)
    }

    /// A next key that was announced under another setting never signs.
    async fn forget_other_kinds(&self, tx: &Transaction) -> KernelResult<()> {
        signing_keys::Entity::delete_many()
            .filter(self.0.purpose.keys_of(self.0.algorithm))
            .filter(signing_keys::Column::SignsSince.is_null())
            .filter(signing_keys::Column::Algorithm.ne(self.0.algorithm.as_str()))
            .exec(tx.conn())
            .await?;
        Ok(())
    }

    /// Lets the announced key sign from the commit on, or a new one where there is none; the old one goes on verifying.
    /// Answers the id of the key that signs now.
    pub async fn rotate(&self, tx: &Transaction) -> KernelResult<String> {
        let now = self.0.clock.now();
        retire(tx, self.0.purpose.keys_of(self.0.algorithm), now).await?;
        signing_keys::Entity::delete_many()
            .filter(signing_keys::Column::RetiredAt.lt(now - VERIFIES_AFTER_RETIREMENT))
            .exec(tx.conn())
            .await?;
        self.forget_other_kinds(tx).await?;
        let next = signing_keys::Entity::find()
            .filter(self.0.purpose.keys_of(self.0.algorithm))
            .filter(signing_keys::Column::SignsSince.is_null())
            .one(tx.conn())
            .await?;
        let kid = match next {
            Some(next) => {
                signing_keys::Entity::update_many()
                    .col_expr(signing_keys::Column::SignsSince, Expr::value(now))
                    .filter(signing_keys::Column::Kid.eq(next.kid.as_str()))
                    .exec(tx.conn())
                    .await?;
                Some(next.kid)
            }
            None => insert(tx, &self.0.vault, &self.0.clock, self.0.purpose, self.0.algorithm, Some(now)).await?,
        };
        let kid = kid.ok_or(rivergen_kernel::ErrorCode::Conflict)?;
        tx.publish(Event::Resync).await?;
        Ok(kid)
    }
}

impl Inner {
    fn ring(&self) -> Arc<Ring> {
        self.ring.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    async fn reload(&self, _: &MutexGuard<'_, ()>) -> KernelResult<()> {
        let ring = Arc::new(read(&self.db, &self.vault, &self.clock, (self.purpose, self.algorithm)).await?);
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = ring;
        Ok(())
    }
}

/// Reads the keys again whenever they have changed, for as long as somebody has them; again and again until they could be
/// read, since nobody tells of a change twice. A change while they are read has them read once more.
async fn follow(changed: Arc<Notify>, keys: Weak<Inner>) {
    loop {
        changed.notified().await;
        loop {
            let Some(keys) = keys.upgrade() else { return };
            let reading = keys.reading.lock().await;
            let Err(error) = keys.reload(&reading).await else { break };
            tracing::error!(%error, "the signing keys could not be read again");
            drop(reading);
            drop(keys);
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Each private key opens under its own id only.
fn context(kid: &str) -> String {
    format!("signing_keys.private_key:{kid}")
}

/// Lets those of the keys that sign sign no more; answers how many.
async fn retire(tx: &Transaction, which: Condition, now: DateTime<Utc>) -> Result<u64, DbErr> {
    let retired = signing_keys::Entity::update_many()
        .col_expr(signing_keys::Column::RetiredAt, Expr::value(now))
        .filter(which)
        .filter(signing_keys::Column::SignsSince.is_not_null())
        .filter(signing_keys::Column::RetiredAt.is_null())
        .exec(tx.conn())
        .await?;
    Ok(retired.rows_affected)
}

/// Makes and stores a key, which signs since then, or next; `None` where there is such a one already.
async fn insert(
    tx: &Transaction,
    vault: &Vault,
    clock: &Clock,
    purpose: Purpose,
    algorithm: SigningAlgorithm,
    signs_since: Option<DateTime<Utc>>,
) -> Result<Option<String>, SigningError> {
    let private_key = algorithm.generate()?;
    let mut jwk = Jwk::from_encoding_key(&algorithm.encoding_key(&private_key)?, algorithm.jwt())?;
    // The id is the key's own fingerprint (RFC 7638), so two keys never share one.
    let kid = jwk.thumbprint(ThumbprintHash::SHA256)?;
    jwk.common.key_id = Some(kid.clone());
    jwk.common.public_key_use = Some(PublicKeyUse::Signature);
    let row = signing_keys::ActiveModel {
        kid: Set(kid.clone()),
        purpose: Set(purpose.as_str().to_owned()),
        algorithm: Set(algorithm.as_str().to_owned()),
        private_key: Set(vault.seal(tx, Owner::System, &context(&kid), &private_key).await?),
        public_jwk: Set(serde_json::to_string(&jwk).map_err(|_| SigningError::Unreadable(kid.clone()))?),
        created_at: Set(clock.now()),
        signs_since: Set(signs_since),
        retired_at: Set(None),
    };
    let inserted = signing_keys::Entity::insert(row)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .try_insert()
        .exec_without_returning(tx.conn())
        .await?;
    Ok(matches!(inserted, TryInsertResult::Inserted(1)).then_some(kid))
}

/// The keys that verify; among them is the one that signs, of that algorithm where several do.
async fn read(
    db: &Database,
    vault: &Vault,
    clock: &Clock,
    (purpose, signs_with): (Purpose, SigningAlgorithm),
) -> Result<Ring, SigningError> {
    let now = clock.now();
    let mut rows = signing_keys::Entity::find()
        .filter(purpose.keys())
        .filter(
            Condition::any()
                .add(signing_keys::Column::RetiredAt.is_null())
                .add(signing_keys::Column::RetiredAt.gt(now - VERIFIES_AFTER_RETIREMENT)),
        )
        .order_by_desc(signing_keys::Column::CreatedAt)
        .all(db.read())
        .await?;
    // The one that signs, the one that does next, and those that did.
    rows.sort_by_key(|row| (row.retired_at.is_some(), row.signs_since.is_none()));
    let (mut current, mut announced_at) = (None, None);
    let mut verifying = HashMap::new();
    let mut published = JwkSet { keys: Vec::new() };
    for row in rows {
        let unreadable = || SigningError::Unreadable(row.kid.clone());
        let algorithm = SigningAlgorithm::from_name(&row.algorithm).ok_or_else(unreadable)?;
        let jwk: Jwk = serde_json::from_str(&row.public_jwk).map_err(|_| unreadable())?;
        let key = DecodingKey::from_jwk(&jwk)?;
        let is_own = purpose.tells_apart(signs_with).is_none_or(|own| own == algorithm);
        match row.signs_since {
            Some(since) if is_own && row.retired_at.is_none() => {
                current = Some(open(vault, &row, algorithm, since).await?);
            }
            None if is_own => announced_at = Some(row.created_at),
            _ => {}
        }
        verifying.insert(row.kid, Arc::new(VerifyingKey { algorithm: algorithm.jwt(), key }));
        published.keys.push(jwk);
    }
    let current = Arc::new(current.ok_or(SigningError::None)?);
    Ok(Ring { read_at: now, current, announced_at, verifying, published })
}

async fn open(
    vault: &Vault,
    row: &signing_keys::Model,
    algorithm: SigningAlgorithm,
    signs_since: DateTime<Utc>,
) -> Result<SigningKey, SigningError> {
    let pkcs8 = vault.open(Owner::System, &context(&row.kid), &row.private_key).await?;
    let key = algorithm.encoding_key(&pkcs8)?;
    Ok(SigningKey { kid: row.kid.clone(), algorithm: algorithm.jwt(), signs_since, key })
}
