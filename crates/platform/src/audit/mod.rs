//! The audit log: who did what, to what, when, and how it ended. Append-only and tamper-evident.
//!
//! ```text
//!   chain of organization 7:   #1 ◀──hash── #2 ◀──hash── #3      head: (#3, its hash)
//!   chain of the system:       #1 ◀──hash── #2                   head: (#2, its hash)
//! ```
//!
//! Each record holds the hash of the record before it in its chain, and its own hash is SHA-256 over that
//! and over every field in a canonical form. A changed, removed, inserted or reordered record breaks the
//! chain from there on; a cut-off end does not fit the head. [`verify`] finds the first break. Triggers in
//! both databases refuse UPDATE and DELETE, so that nothing but a deliberate attack gets so far.
//!
//! Records leave the database as lines that [`verify_export`] verifies without it: whole chains by [`export`], and each new
//! record by [`streams`].
//!
//! A record is written in the transaction of what it tells ([`record`]): both exist or neither. Its chain
//! is locked until that transaction ends, so write it last. Whoever writes it keeps secrets out of the
//! details.

pub mod actions;
mod chain;
mod export;
mod kind;
mod offline;
pub mod streams;
mod verify;

use std::{collections::BTreeMap, net::IpAddr};

use rivergen_kernel::{Caller, OrganizationId, Result, UserId};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ColumnTrait, EntityTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Expr, OnConflict},
};
use sha2::{Digest, Sha256};

pub use chain::{Break, BreakReason, Extent, Head};
pub use export::{MEDIA_TYPE, Rows, export, head};
pub use kind::TargetKind;
pub use offline::{ExportReport, Fault, FaultReason, verify_export};
pub use verify::{Report, chains, verify};

use crate::{Clock, Transaction, db::Writes};

/// Which chain a record belongs to: an organization's, or that of all that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Chain(i64);

impl Chain {
    /// What belongs to no organization. Ids of organizations begin at 1.
    pub const SYSTEM: Chain = Chain(0);

    pub fn of(organization: Option<OrganizationId>) -> Self {
        organization.map_or(Self::SYSTEM, |id| Self(id.0))
    }

    pub fn organization_id(self) -> Option<OrganizationId> {
        (self != Self::SYSTEM).then_some(OrganizationId(self.0))
    }
}

impl std::fmt::Display for Chain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.organization_id() {
            Some(id) => write!(f, "organization {id}"),
            None => f.write_str("system"),
        }
    }
}

/// What kind of actor it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ActorKind {
    /// A verified person.
    User,
    /// The server itself: a job, the command line.
    System,
    /// Somebody who is not signed in (yet).
    Anonymous,
}

impl ActorKind {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::System => "system",
            Self::Anonymous => "anonymous",
        }
    }
}

/// Who did it, and from where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    pub kind: ActorKind,
    pub user_id: Option<UserId>,
    pub ip: Option<IpAddr>,
    pub user_agent: Option<String>,
}

impl Actor {
    pub fn user(user_id: UserId) -> Self {
        Self { kind: ActorKind::User, user_id: Some(user_id), ip: None, user_agent: None }
    }

    pub fn system() -> Self {
        Self { kind: ActorKind::System, user_id: None, ip: None, user_agent: None }
    }

    pub fn anonymous() -> Self {
        Self { kind: ActorKind::Anonymous, user_id: None, ip: None, user_agent: None }
    }

    pub fn with_ip(mut self, ip: Option<IpAddr>) -> Self {
        self.ip = ip;
        self
    }

    pub fn with_user_agent(mut self, user_agent: Option<impl Into<String>>) -> Self {
        self.user_agent = user_agent.map(Into::into);
        self
    }
}

impl From<&Caller> for Actor {
    fn from(caller: &Caller) -> Self {
        Self::user(caller.user_id)
    }
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Success,
    Failure,
}

impl Outcome {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Failure => "failure",
        }
    }
}

/// What is to be recorded.
#[derive(Debug, Clone)]
pub struct AuditRecord {
    pub organization_id: Option<OrganizationId>,
    pub actor: Actor,
    /// `subject.verb`: `"auth.login"`, `"data_source.create"`.
    pub action: &'static str,
    /// Kind and id of what it was done to; the kind is one of [`TargetKind`].
    pub target: Option<(&'static str, String)>,
    pub outcome: Outcome,
    /// Whatever helps an auditor: what changed, why it was refused. No secrets.
    pub details: serde_json::Value,
}

impl AuditRecord {
    /// A success without target or details, to be filled in with `..`.
    pub fn new(organization_id: Option<OrganizationId>, actor: Actor, action: &'static str) -> Self {
        let details = serde_json::Value::Object(serde_json::Map::new());
        Self { organization_id, actor, action, target: None, outcome: Outcome::Success, details }
    }

    pub fn target(mut self, kind: &'static str, id: impl ToString) -> Self {
        debug_assert!(TargetKind::ALL.iter().any(|known| known.as_str() == kind), "no kind of the catalogue: {kind}");
        self.target = Some((kind, id.to_string()));
        self
    }

    pub fn details(mut self, details: serde_json::Value) -> Self {
        self.details = details;
        self
    }

    pub fn outcome(mut self, outcome: Outcome) -> Self {
        self.outcome = outcome;
        self
    }
}

/// The records, for the API that shows them. They are written by [`record`] alone.
pub mod log {
    use rivergen_kernel::{OrganizationId, UserId};
    use sea_orm::{
        Condition, DbBackend, QuerySelect, QueryTrait,
        entity::prelude::*,
        sea_query::{ExprTrait, UnionType},
    };

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_log")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub chain: i64,
        /// Position in the chain, from 1.
        pub sequence: i64,
        pub organization_id: Option<OrganizationId>,
        pub occurred_at: DateTimeUtc,
        pub actor_kind: String,
        pub actor_user_id: Option<UserId>,
        pub ip: Option<String>,
        #[sea_orm(column_type = "Text", nullable)]
        pub user_agent: Option<String>,
        pub action: String,
        pub target_kind: Option<String>,
        pub target_id: Option<String>,
        pub outcome: String,
        /// JSON as it was hashed, to the byte.
        #[sea_orm(column_type = "Text")]
        pub details: String,
        pub previous_hash: Vec<u8>,
        pub hash: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}

    impl crate::db::TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }

    /// What was done to somebody's account. Index: audit_log(target_kind, target_id, id).
    pub fn of_account(user: UserId) -> Condition {
        Condition::all().add(Column::TargetKind.eq("user")).add(Column::TargetId.eq(user.to_string()))
    }

    /// The roles that somebody was given and that were taken from them; such a record names them in its details. Index:
    /// audit_log_holder.
    pub fn of_roles(backend: DbBackend, user: UserId) -> Condition {
        let holder = match backend {
            DbBackend::Postgres => Expr::cust("(CAST(details AS json) ->> 'user_id')").eq(user.to_string()),
            _ => Expr::cust("json_extract(details, '$.user_id')").eq(user.0),
        };
        // To the letter as in the index, which has no others.
        Condition::all().add(Expr::cust("action IN ('role.assign', 'role.revoke')")).add(holder)
    }

    /// Both. Each is looked up by itself: asked for either, SQLite walks along all records of the organization.
    pub fn about(backend: DbBackend, user: UserId) -> Expr {
        let ids = |condition| Entity::find().select_only().column(Column::Id).filter(condition).into_query();
        let (mut found, of_roles) = (ids(of_account(user)), ids(of_roles(backend, user)));
        Column::Id.in_subquery(found.union(UnionType::All, of_roles).to_owned())
    }
}

mod heads {
    use sea_orm::entity::prelude::*;

    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "audit_heads")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub chain: i64,
        pub sequence: i64,
        pub hash: Vec<u8>,
    }

    #[derive(Copy, Clone, Debug, EnumIter, DeriveRelation)]
    pub enum Relation {}

    impl ActiveModelBehavior for ActiveModel {}
}

/// The hash before the first record.
const GENESIS: [u8; 32] = [0; 32];

/// Callers choose these texts; a log is no place to store megabytes.
const LONGEST_USER_AGENT: usize = 512;

/// Appends a record to its chain, in the caller's transaction.
pub async fn record(tx: &Transaction, clock: &Clock, record: AuditRecord) -> Result<()> {
    record_all(tx, clock, vec![record]).await
}

/// Rows of one statement.
const BATCH: usize = 500;

/// Appends records to their chains, in this order, with a few statements for many.
pub async fn record_all(tx: &Transaction, clock: &Clock, records: Vec<AuditRecord>) -> Result<()> {
    let mut chains: BTreeMap<Chain, Vec<AuditRecord>> = BTreeMap::new();
    for record in records {
        chains.entry(Chain::of(record.organization_id)).or_default().push(record);
    }
    for (chain, records) in chains {
        let mut head = lock_head(tx, chain).await?;
        let mut rows = Vec::with_capacity(records.len());
        for record in records {
            let row = follow(&head, clock, record);
            head = heads::Model { chain: row.chain, sequence: row.sequence, hash: row.hash.clone() };
            // A model becomes "unchanged" values, which an insert writes like set ones; only the id is the database's.
            rows.push(log::ActiveModel { id: NotSet, ..row.into() });
        }
        let moved = heads::Entity::update_many()
            .col_expr(heads::Column::Sequence, Expr::value(head.sequence))
            .col_expr(heads::Column::Hash, Expr::value(head.hash))
            .filter(heads::Column::Chain.eq(head.chain));
        let mut writes = Writes::default();
        writes.add(moved.into_query());
        let mut rows = rows.into_iter().peekable();
        while rows.peek().is_some() {
            writes.add(log::Entity::insert_many(rows.by_ref().take(BATCH)).into_query());
            std::mem::take(&mut writes).send(tx).await?;
        }
    }
    Ok(())
}

/// The record that comes after this head.
fn follow(head: &heads::Model, clock: &Clock, record: AuditRecord) -> log::Model {
    let Actor { kind, user_id, ip, user_agent } = record.actor;
    let (target_kind, target_id) = record.target.unzip();
    let mut row = log::Model {
        id: 0,
        chain: head.chain,
        sequence: head.sequence + 1,
        organization_id: record.organization_id,
        // The chain is locked, so its times never run backwards on one node.
        occurred_at: clock.now(),
        actor_kind: kind.as_str().to_owned(),
        actor_user_id: user_id,
        ip: ip.map(|ip| ip.to_string()),
        user_agent: user_agent.map(|text| storable(text.chars().take(LONGEST_USER_AGENT))),
        action: record.action.to_owned(),
        target_kind: target_kind.map(str::to_owned),
        target_id: target_id.map(|id| storable(id.chars())),
        outcome: record.outcome.as_str().to_owned(),
        details: canonical(&record.details),
        previous_hash: head.hash.clone(),
        hash: Vec::new(),
    };
    row.hash = hash(&row);
    row
}

/// The head of the chain, locked until the transaction ends (`FOR UPDATE` on PostgreSQL; SQLite has one
/// writer), so that two records never follow the same one.
async fn lock_head(tx: &Transaction, chain: Chain) -> Result<heads::Model> {
    let select = || heads::Entity::find_by_id(chain.0).lock_exclusive();
    if let Some(head) = select().one(tx.conn()).await? {
        return Ok(head);
    }
    let first = heads::ActiveModel { chain: Set(chain.0), sequence: Set(0), hash: Set(GENESIS.to_vec()) };
    heads::Entity::insert(first)
        .on_conflict(OnConflict::new().do_nothing().to_owned())
        .try_insert()
        .exec_without_returning(tx.conn())
        .await?;
    select()
        .one(tx.conn())
        .await?
        .ok_or_else(|| rivergen_kernel::Error::internal(format!("the audit chain {chain} has no head")))
}

/// PostgreSQL cannot keep a zero byte in a text.
fn storable(text: impl Iterator<Item = char>) -> String {
    text.filter(|c| *c != '\0').collect()
}

/// SHA-256 over every field, each with its presence and length before it, so that nothing can move from
/// one field into the next without changing the hash.
fn hash(row: &log::Model) -> Vec<u8> {
    let mut sha = Sha256::new().chain_update(b"rivergen audit record 1\0");
    let mut field = |value: Option<&[u8]>| match value {
        None => sha.update([0]),
        Some(bytes) => {
            sha.update([1]);
            sha.update((bytes.len() as u64).to_be_bytes());
            sha.update(bytes);
        }
    };
    field(Some(&row.previous_hash));
    field(Some(&row.chain.to_be_bytes()));
    field(Some(&row.sequence.to_be_bytes()));
    field(row.organization_id.map(|id| id.0.to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice));
    field(Some(&row.occurred_at.timestamp_micros().to_be_bytes()));
    field(Some(row.actor_kind.as_bytes()));
    field(row.actor_user_id.map(|id| id.0.to_be_bytes()).as_ref().map(<[u8; 8]>::as_slice));
    field(row.ip.as_deref().map(str::as_bytes));
    field(row.user_agent.as_deref().map(str::as_bytes));
    field(Some(row.action.as_bytes()));
    field(row.target_kind.as_deref().map(str::as_bytes));
    field(row.target_id.as_deref().map(str::as_bytes));
    field(Some(row.outcome.as_bytes()));
    field(Some(row.details.as_bytes()));
    sha.finalize().to_vec()
}

/// The details as text with sorted keys and no spaces. The text itself is stored and hashed, so that no
/// database can write a number in another way.
fn canonical(value: &serde_json::Value) -> String {
    use serde_json::Value;
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            let entries = entries.into_iter().map(|(key, value)| format!("{}:{}", quoted(key), canonical(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(","))
        }
        Value::Array(items) => format!("[{}]", items.iter().map(canonical).collect::<Vec<_>>().join(",")),
        Value::String(text) => quoted(text),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}

/// JSON escapes a zero byte (`\u0000`), so the text holds none.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_canonical_form_does_not_depend_on_the_order_of_keys() {
        let a: serde_json::Value =
            serde_json::from_str(r#"{"b": [1.50, {"z": null, "y": "é\""}], "a": true}"#).unwrap();
        let b: serde_json::Value = serde_json::from_str(r#"{"a":true,"b":[1.5,{"y":"é\"","z":null}]}"#).unwrap();
        assert_eq!(canonical(&a), canonical(&b));
        assert_eq!(canonical(&a), r#"{"a":true,"b":[1.5,{"y":"é\"","z":null}]}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&canonical(&a)).unwrap(), a);
    }
}
