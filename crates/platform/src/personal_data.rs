//! What the server keeps about a person, room by room: for an access request (GDPR, articles 15 and 20), and for whoever
//! takes over what they made.
//!
//! Each room says with [`Records`] what it has; the export reads it page by page. Fields are named one by one, so that no
//! secret (a hash, a key) comes along because somebody added a column. With [`Owned`] it says what has an owner.

use async_trait::async_trait;
use rivergen_kernel::{Result, Tenant, UserId};
use sea_orm::{
    ColumnTrait, Condition, DatabaseConnection, EntityTrait, FromQueryResult, JoinType, QueryFilter, QueryOrder,
    QuerySelect, RelationDef, sea_query::Expr,
};
use serde_json::{Value, json};

use crate::{Transaction, db::TenantOwned};

/// How many records are read at once.
pub const PAGE: u64 = 500;

/// Whose data, and how far the reader sees.
#[derive(Debug, Clone, Copy)]
pub struct Subject {
    pub user_id: UserId,
    /// `None`: everything, for the person; else what one organization keeps, for its administrators.
    pub within: Option<Tenant>,
}

impl Subject {
    /// The rows of the person in a table that organizations share.
    pub fn shared<C: ColumnTrait>(self, person: C, organization: C) -> Condition {
        let rows = Condition::all().add(person.eq(self.user_id.0));
        match self.within {
            Some(tenant) => rows.add(organization.eq(tenant.organization_id().0)),
            None => rows,
        }
    }

    /// The rows of the person in a table of accounts, which no organization sees.
    pub fn own<C: ColumnTrait>(self, person: C) -> Option<Condition> {
        self.within.is_none().then(|| Condition::all().add(person.eq(self.user_id.0)))
    }
}

/// One kind of records about people.
#[async_trait]
pub trait Records: Send + Sync {
    /// As the export calls them: `sessions`.
    fn name(&self) -> &'static str;

    /// The next [`PAGE`] records after the id, in its order. Each is an object with an `id`, and all have the same fields.
    async fn page(&self, db: &DatabaseConnection, subject: Subject, after: i64) -> Result<Vec<Value>>;
}

/// The rows of one table.
pub struct Rows<E: EntityTrait> {
    pub name: &'static str,
    pub id: E::Column,
    /// Which of them; `None` where the subject's reader sees none. Needs an index that ends in the id.
    pub of: fn(Subject) -> Option<Condition>,
    pub shown: fn(&E::Model) -> Value,
}

#[async_trait]
impl<E> Records for Rows<E>
where
    E: EntityTrait,
    E::Column: Send + Sync,
    E::Model: FromQueryResult + Send + Sync,
{
    fn name(&self) -> &'static str {
        self.name
    }

    async fn page(&self, db: &DatabaseConnection, subject: Subject, after: i64) -> Result<Vec<Value>> {
        let Some(of) = (self.of)(subject) else { return Ok(Vec::new()) };
        let rows = E::find().filter(of).filter(self.id.gt(after)).order_by_asc(self.id).limit(PAGE).all(db).await?;
        Ok(rows.iter().map(self.shown).collect())
    }
}

/// The rows of one table, each with the row of another that it refers to: for the name of it.
pub struct RowsWith<E: EntityTrait, R: EntityTrait> {
    pub name: &'static str,
    pub id: E::Column,
    /// From the one table to the other.
    pub refers: fn() -> RelationDef,
    /// As in [`Rows`].
    pub of: fn(Subject) -> Option<Condition>,
    pub shown: fn(&E::Model, &R::Model) -> Value,
}

#[async_trait]
impl<E, R> Records for RowsWith<E, R>
where
    E: EntityTrait,
    E::Column: Send + Sync,
    E::Model: FromQueryResult + Send + Sync,
    R: EntityTrait,
    R::Model: FromQueryResult + Send + Sync,
{
    fn name(&self) -> &'static str {
        self.name
    }

    async fn page(&self, db: &DatabaseConnection, subject: Subject, after: i64) -> Result<Vec<Value>> {
        let Some(of) = (self.of)(subject) else { return Ok(Vec::new()) };
        let rows = E::find()
            .join(JoinType::InnerJoin, (self.refers)())
            .select_also(R::default())
            .filter(of)
            .filter(self.id.gt(after))
            .order_by_asc(self.id)
            .limit(PAGE)
            .all(db)
            .await?;
        Ok(rows.iter().filter_map(|(row, other)| Some((self.shown)(row, other.as_ref()?))).collect())
    }
}

/// Things of an organization that one of its members owns: whoever leaves can leave them to another.
#[async_trait]
pub trait Owned: Send + Sync {
    /// Makes all of one member's another's; answers how many things those were.
    async fn transfer(&self, tx: &Transaction, tenant: Tenant, from: UserId, to: UserId) -> Result<u64>;

    /// Another account of the same person takes the member's place: what is said of the one holds of the other. Of an heir
    /// it does not.
    async fn become_one(&self, _tx: &Transaction, _tenant: Tenant, _from: UserId, _to: UserId) -> Result<()> {
        Ok(())
    }
}

/// The rows of one table, whose owner stands in a column. Needs an index that begins with the organization or the owner.
pub struct OwnedRows<E: TenantOwned> {
    pub owner: E::Column,
}

#[async_trait]
impl<E: TenantOwned> Owned for OwnedRows<E>
where
    E::Column: Send + Sync,
{
    async fn transfer(&self, tx: &Transaction, tenant: Tenant, from: UserId, to: UserId) -> Result<u64> {
        let moved = E::update_many()
            .col_expr(self.owner, Expr::value(to))
            .filter(E::organization_column().eq(tenant.organization_id()))
            .filter(self.owner.eq(from))
            .exec(tx.conn())
            .await?;
        Ok(moved.rows_affected)
    }
}

/// What this crate keeps: what the person did, and what was done to their account by others, whose addresses are theirs.
pub fn records() -> Vec<Box<dyn Records>> {
    use crate::audit::log::{Column, Entity};
    vec![
        // Index: audit_log(actor_user_id, id).
        Box::new(Rows::<Entity> {
            name: "activities",
            id: Column::Id,
            of: |subject| Some(subject.shared(Column::ActorUserId, Column::OrganizationId)),
            shown: |row| {
                json!({"id": row.id, "organization_id": row.organization_id, "at": row.occurred_at, "action": row.action,
                    "outcome": row.outcome, "target_type": row.target_kind, "target_id": row.target_id, "ip_address": row.ip,
                    "user_agent": row.user_agent})
            },
        }),
        Box::new(AccountEvents),
    ]
}

/// What was done to the account, and the roles that the person got and lost.
struct AccountEvents;

#[async_trait]
impl Records for AccountEvents {
    fn name(&self) -> &'static str {
        "account_events"
    }

    async fn page(&self, db: &DatabaseConnection, subject: Subject, after: i64) -> Result<Vec<Value>> {
        use crate::audit::log::{self, Column, Entity};
        let within = subject.within.map(|tenant| Column::OrganizationId.eq(tenant.organization_id()));
        let rows = Entity::find()
            .filter(log::about(db.get_database_backend(), subject.user_id))
            .filter(Condition::all().add_option(within))
            .filter(Column::Id.gt(after))
            .order_by_asc(Column::Id)
            .limit(PAGE)
            .all(db)
            .await?;
        let shown = |row: &log::Model| {
            json!({"id": row.id, "organization_id": row.organization_id, "at": row.occurred_at, "action": row.action,
                "outcome": row.outcome, "target_type": row.target_kind, "target_id": row.target_id})
        };
        Ok(rows.iter().map(shown).collect())
    }
}
