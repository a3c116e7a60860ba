//! The vault: other people's secrets (credentials of sources, TOTP seeds, keys of files), sealed.
//!
//! ```text
//!   server key  ──seals──▶  data key of an organization  ──seals──▶  a secret in some table
//!   (file, env)             (table data_keys)                        (a column of type Sealed)
//! ```
//!
//! - Sealing is AES-256-GCM. The owner and a *context* (which table and column it is for) are
//!   authenticated with it, so a value that is copied to another organization's row or another column
//!   does not open there.
//! - [`Vault::rotate_data_key`] gives an owner a new data key; what the old ones sealed still opens.
//! - The server key rotates by putting a new one in front ([`ServerKeys`]) and
//!   [`Vault::reseal_data_keys`]; no secret is touched.
//! - [`Vault::shred`] deletes an organization's data keys: everything that it had sealed, in backups of
//!   other tables too, is noise from then on.
//!
//! Data keys are cached in memory, wiped when they fall out, and forgotten on every node when the
//! organization changes.

mod server_keys;

use std::{
    collections::HashSet,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use aes_gcm::{
    Aes256Gcm, KeyInit,
    aead::{Aead, Payload},
};
use rand::Rng;
use rivergen_kernel::OrganizationId;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, ConnectionTrait, DbErr, DeriveValueType, EntityTrait, IntoActiveModel, QueryFilter, QueryOrder,
    TryInsertResult,
    sea_query::OnConflict,
};
use zeroize::Zeroizing;

pub use server_keys::{KeyFileError, ServerKeys};

use crate::{Clock, Database, Event, Transaction};

/// Whose data key seals a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Owner {
    /// What belongs to no organization: signing keys, mails, a person's own factors.
    System,
    Organization(OrganizationId),
}

impl From<OrganizationId> for Owner {
    fn from(id: OrganizationId) -> Self {
        Self::Organization(id)
    }
}

impl Owner {
    fn organization_id(self) -> Option<OrganizationId> {
        match self {
            Self::System => None,
            Self::Organization(id) => Some(id),
        }
    }

    /// The owner as authenticated data. The system is no organization, whatever its id.
    fn aad(self) -> String {
        match self {
            Self::System => "system".to_owned(),
            Self::Organization(id) => format!("organization:{id}"),
        }
    }
}

/// A sealed value, as it lies in a column: format (1 byte), version of the data key (4), nonce (12),
/// ciphertext and tag. Nothing in it is secret.
#[derive(Clone, PartialEq, Eq, DeriveValueType)]
pub struct Sealed(pub Vec<u8>);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Sealed({} bytes)", self.0.len())
    }
}

const FORMAT: u8 = 1;
const NONCE: usize = 12;
const TAG: usize = 16;
const HEADER: usize = 1 + 4;

/// How many opened data keys are kept in memory, and how long at most.
const CACHED: u64 = 10_000;
const CACHED_FOR: Duration = Duration::from_secs(600);

/// What can go wrong with a secret. None of it is the caller's doing, so all of it is answered as 500.
#[derive(Debug, thiserror::Error)]
pub enum VaultError {
    #[error("the sealed value is shorter than its format or of a format that is not known")]
    Malformed,
    #[error("the sealed value was changed, or belongs to another owner or context")]
    NotAuthentic,
    #[error("the data key {version} of {owner:?} does not exist (any more)")]
    NoDataKey { owner: Owner, version: i32 },
    #[error(
        "the data key {version} of {owner:?} is sealed under the server key {server_key}, which is not configured; \
         restore the key file or add that key to the configuration"
    )]
    NoServerKey { owner: Owner, version: i32, server_key: String },
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<VaultError> for rivergen_kernel::Error {
    fn from(error: VaultError) -> Self {
        match error {
            VaultError::Database(error) => error.into(),
            error => Self::internal(error),
        }
    }
}

type Result<T, E = VaultError> = std::result::Result<T, E>;

mod data_keys {
    use rivergen_kernel::OrganizationId;
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "data_keys")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: Option<OrganizationId>,
        pub version: i32,
        pub sealed_key: Vec<u8>,
        pub created_at: DateTimeUtc,
        pub retired_at: Option<DateTimeUtc>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// Seals and opens; cheap to clone.
#[derive(Clone)]
pub struct Vault(Arc<Inner>);

struct Inner {
    db: Database,
    server_keys: ServerKeys,
    clock: Clock,
    /// Opened keys by owner and version.
    keys: moka::sync::Cache<(Owner, i32), Arc<DataKey>>,
    /// The version that an owner seals with now.
    current: moka::sync::Cache<Owner, i32>,
    /// Rows that this node inserted in transactions of which it has not heard the end: their keys are not
    /// cached, because a transaction that is rolled back takes its data key with it.
    unconfirmed: Mutex<HashSet<i64>>,
    /// Counts forgettings, so that a key that was read before one is not cached after it.
    generation: AtomicU64,
}

/// An opened data key: the cipher's schedule, which is wiped when it is dropped.
struct DataKey {
    version: i32,
    cipher: Aes256Gcm,
}

impl Vault {
    pub fn new(db: Database, server_keys: ServerKeys, clock: Clock) -> Self {
        let vault = Self(Arc::new(Inner {
            server_keys,
            clock,
            keys: moka::sync::Cache::builder().max_capacity(CACHED).time_to_live(CACHED_FOR).build(),
            current: moka::sync::Cache::builder().max_capacity(CACHED).time_to_live(CACHED_FOR).build(),
            unconfirmed: Mutex::default(),
            generation: AtomicU64::new(0),
            db,
        }));
        let weak = Arc::downgrade(&vault.0);
        vault.0.db.bus().subscribe(move |event| {
            let Some(inner) = weak.upgrade() else { return };
            match event {
                Event::OrganizationChanged(id) => inner.forget(Owner::Organization(*id)),
                Event::Resync => inner.forget_all(),
                _ => {}
            }
        });
        vault
    }

    /// Seals under the owner's current data key, making the first one where there is none yet. The data
    /// key stands or falls with the transaction, like the row that the value goes into.
    ///
    /// `context` says what the value is for: `"data_sources.credentials"`. It must be the same to open it.
    pub async fn seal(&self, tx: &Transaction, owner: Owner, context: &str, plaintext: &[u8]) -> Result<Sealed> {
        let key = self.0.current(tx.conn(), owner).await?;
        let mut sealed = vec![FORMAT];
        sealed.extend_from_slice(&key.version.to_be_bytes());
        let aad = aad(&sealed, owner, context);
        encrypt(&key.cipher, &aad, plaintext, &mut sealed)?;
        Ok(Sealed(sealed))
    }

    /// Opens what was sealed for the same owner and context.
    pub async fn open(&self, owner: Owner, context: &str, sealed: &Sealed) -> Result<Zeroizing<Vec<u8>>> {
        let (header, rest) = sealed.0.split_at_checked(HEADER).ok_or(VaultError::Malformed)?;
        let [FORMAT, version @ ..] = header else { return Err(VaultError::Malformed) };
        let version = i32::from_be_bytes(version.try_into().map_err(|_| VaultError::Malformed)?);
        if rest.len() < NONCE + TAG {
            return Err(VaultError::Malformed);
        }
        let key = match self.0.keys.get(&(owner, version)) {
            Some(key) => key,
            None => {
                let generation = self.0.generation.load(Ordering::SeqCst);
                let (db, found) = (self.0.db.clone(), find(owner).filter(data_keys::Column::Version.eq(version)));
                // Queries open files too, on a runtime of their own.
                let row = self.0.db.at_home(async move { found.one(db.read()).await }).await?;
                let row = row.ok_or(VaultError::NoDataKey { owner, version })?;
                // It is seen from outside of the transaction that made it.
                self.0.unconfirmed().remove(&row.id);
                self.0.opened(&row, owner, generation)?
            }
        };
        decrypt(&key.cipher, &aad(header, owner, context), rest)
    }

    /// Gives the owner a new data key. What is sealed from now on uses it, what was sealed before still opens.
    pub async fn rotate_data_key(&self, tx: &Transaction, owner: Owner) -> rivergen_kernel::Result<i32> {
        let newest = newest(tx.conn(), owner).await?.map_or(0, |row| row.version);
        let now = self.0.clock.now();
        data_keys::Entity::update_many()
            .col_expr(data_keys::Column::RetiredAt, sea_orm::sea_query::Expr::value(now))
            .filter(of(owner))
            .filter(data_keys::Column::RetiredAt.is_null())
            .exec(tx.conn())
            .await?;
        if self.0.insert(tx.conn(), owner, newest + 1).await?.is_none() {
            // Another node rotated at this moment; its key is as new.
            return Err(rivergen_kernel::Error::new(rivergen_kernel::ErrorCode::Conflict));
        }
        publish_forget(tx, owner).await?;
        Ok(newest + 1)
    }

    /// Seals every data key under the first server key, where it is not yet: the second step of changing the
    /// server key. Afterwards the old server key may be removed. Answers how many were resealed.
    pub async fn reseal_data_keys(&self, tx: &Transaction) -> Result<u64> {
        let mut resealed = 0;
        for row in data_keys::Entity::find().order_by_asc(data_keys::Column::Id).all(tx.conn()).await? {
            if self.0.server_keys.sealed_with_first(&row.sealed_key) {
                continue;
            }
            let owner = row.organization_id.map_or(Owner::System, Owner::Organization);
            let key = self.0.server_keys.open(owner, row.version, &row.sealed_key)?;
            let sealed = self.0.server_keys.seal(owner, row.version, &key)?;
            let mut row = row.into_active_model();
            row.sealed_key = Set(sealed);
            data_keys::Entity::update(row).exec(tx.conn()).await?;
            resealed += 1;
        }
        Ok(resealed)
    }

    /// Deletes the organization's data keys, for good: nothing that it had sealed can be opened again.
    pub async fn shred(&self, tx: &Transaction, organization: OrganizationId) -> rivergen_kernel::Result<()> {
        let owner = Owner::Organization(organization);
        data_keys::Entity::delete_many().filter(of(owner)).exec(tx.conn()).await?;
        publish_forget(tx, owner).await
    }

    /// Opens every data key once, to be called at start: a server that lost its key file says so at once,
    /// and not at the first use of a secret. (Data keys are few: one for each organization and rotation.)
    pub async fn check(&self) -> Result<()> {
        for row in data_keys::Entity::find().all(self.0.db.read()).await? {
            let owner = row.organization_id.map_or(Owner::System, Owner::Organization);
            self.0.server_keys.open(owner, row.version, &row.sealed_key)?;
        }
        Ok(())
    }
}

impl Inner {
    /// The key that the owner seals with.
    async fn current(&self, conn: &impl ConnectionTrait, owner: Owner) -> Result<Arc<DataKey>> {
        if let Some(key) = self.current.get(&owner).and_then(|version| self.keys.get(&(owner, version))) {
            return Ok(key);
        }
        let generation = self.generation.load(Ordering::SeqCst);
        let row = match newest(conn, owner).await? {
            Some(row) => row,
            None => match self.insert(conn, owner, 1).await? {
                Some(row) => row,
                // Another node was first, and has committed: the insert waited for it.
                None => newest(conn, owner).await?.ok_or(VaultError::NoDataKey { owner, version: 1 })?,
            },
        };
        let key = self.opened(&row, owner, generation)?;
        if !self.is_unconfirmed(row.id) {
            self.current.insert(owner, row.version);
            self.forget_if_stale(owner, generation);
        }
        Ok(key)
    }

    /// Makes a data key; `None` where that version exists already.
    async fn insert(
        &self,
        conn: &impl ConnectionTrait,
        owner: Owner,
        version: i32,
    ) -> Result<Option<data_keys::Model>> {
        let mut key = Zeroizing::new([0u8; 32]);
        rand::rng().fill_bytes(key.as_mut());
        let mut row = data_keys::Model {
            id: 0,
            organization_id: owner.organization_id(),
            version,
            sealed_key: self.server_keys.seal(owner, version, &key)?,
            created_at: self.clock.now(),
            retired_at: None,
        };
        let inserted = data_keys::Entity::insert(data_keys::ActiveModel { id: NotSet, ..row.clone().into() })
            .on_conflict(OnConflict::new().do_nothing().to_owned())
            .try_insert()
            .exec(conn)
            .await?;
        let TryInsertResult::Inserted(inserted) = inserted else { return Ok(None) };
        row.id = inserted.last_insert_id;
        self.unconfirmed().insert(row.id);
        Ok(Some(row))
    }

    /// Opens the key of a row, and remembers it unless the row may yet be rolled back.
    fn opened(&self, row: &data_keys::Model, owner: Owner, generation: u64) -> Result<Arc<DataKey>> {
        let key = self.server_keys.open(owner, row.version, &row.sealed_key)?;
        let key = Arc::new(DataKey { version: row.version, cipher: Aes256Gcm::new(&(*key).into()) });
        if !self.is_unconfirmed(row.id) {
            self.keys.insert((owner, row.version), key.clone());
            self.forget_if_stale(owner, generation);
        }
        Ok(key)
    }

    fn is_unconfirmed(&self, id: i64) -> bool {
        self.unconfirmed().contains(&id)
    }

    fn unconfirmed(&self) -> MutexGuard<'_, HashSet<i64>> {
        self.unconfirmed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn forget_if_stale(&self, owner: Owner, generation: u64) {
        if self.generation.load(Ordering::SeqCst) != generation {
            self.forget(owner);
        }
    }

    fn forget(&self, owner: Owner) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.current.invalidate(&owner);
        for (key, _) in self.keys.iter().filter(|(key, _)| key.0 == owner) {
            self.keys.invalidate(&*key);
        }
    }

    fn forget_all(&self) {
        self.generation.fetch_add(1, Ordering::SeqCst);
        self.current.invalidate_all();
        self.keys.invalidate_all();
    }
}

async fn publish_forget(tx: &Transaction, owner: Owner) -> rivergen_kernel::Result<()> {
    tx.publish(match owner {
        Owner::System => Event::Resync,
        Owner::Organization(id) => Event::OrganizationChanged(id),
    })
    .await
}

fn of(owner: Owner) -> sea_orm::sea_query::SimpleExpr {
    match owner.organization_id() {
        Some(id) => data_keys::Column::OrganizationId.eq(id),
        None => data_keys::Column::OrganizationId.is_null(),
    }
}

fn find(owner: Owner) -> sea_orm::Select<data_keys::Entity> {
    data_keys::Entity::find().filter(of(owner))
}

async fn newest(conn: &impl ConnectionTrait, owner: Owner) -> Result<Option<data_keys::Model>> {
    Ok(find(owner).order_by_desc(data_keys::Column::Version).one(conn).await?)
}

/// What is authenticated beside the ciphertext. Each part ends in a zero byte, which none contains, so
/// that no two triples read the same.
fn aad(header: &[u8], owner: Owner, context: &str) -> Vec<u8> {
    let mut aad = b"rivergen sealed\0".to_vec();
    aad.extend_from_slice(header);
    aad.extend_from_slice(owner.aad().as_bytes());
    aad.push(0);
    aad.extend_from_slice(context.as_bytes());
    aad
}

/// Appends nonce, ciphertext and tag. The nonces are random: 2^32 values under one data key stay within
/// NIST SP 800-38D, and data keys rotate.
fn encrypt(cipher: &Aes256Gcm, aad: &[u8], plaintext: &[u8], into: &mut Vec<u8>) -> Result<()> {
    let mut nonce = [0u8; NONCE];
    rand::rng().fill_bytes(&mut nonce);
    let ciphertext = cipher
        .encrypt(&nonce.into(), Payload { msg: plaintext, aad })
        // Only for texts of more than 64 GiB.
        .map_err(|_| VaultError::Malformed)?;
    into.extend_from_slice(&nonce);
    into.extend_from_slice(&ciphertext);
    Ok(())
}

/// Opens nonce, ciphertext and tag.
fn decrypt(cipher: &Aes256Gcm, aad: &[u8], nonce_and_text: &[u8]) -> Result<Zeroizing<Vec<u8>>> {
    let (nonce, text) = nonce_and_text.split_first_chunk::<NONCE>().ok_or(VaultError::Malformed)?;
    cipher
        .decrypt(&(*nonce).into(), Payload { msg: text, aad })
        .map(Zeroizing::new)
        .map_err(|_| VaultError::NotAuthentic)
}
