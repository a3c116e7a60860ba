//! Policies as they are stored: the policy, its [`rule`]s, and the [`assignment`]s that say whom and what it
//! governs.
//!
//! A change of the policy or its rules makes the next [`version`], and all versions are kept. Deleting a policy only
//! marks it: it can be restored, and the record of what it did stays readable, until it is [purged](crate::purge).

pub mod assignment;
pub mod rule;
pub mod version;

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, PolicyId, Result, Tenant, UserId, WorkspaceId};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope},
};
use sea_orm::{Condition, ConnectionTrait, QueryOrder, QuerySelect, entity::prelude::*};
use serde::{Serialize, de::DeserializeOwned};

use crate::rule::PolicyType;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "policies")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PolicyId,
    pub organization_id: OrganizationId,
    /// Narrows the policy to the sources of this workspace; `None`: the whole organization.
    pub workspace_id: Option<WorkspaceId>,
    pub name: String,
    pub description: Option<String>,
    /// The contract's name of a [`PolicyType`].
    pub policy_type: String,
    pub is_active: bool,
    pub priority: i64,
    pub metadata: Json,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub updated_by_user_id: Option<UserId>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// From when on a deleted policy cannot be restored any more.
    pub purge_at: Option<DateTime<Utc>>,
    /// The number of the version that it is now.
    pub version: i64,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn policy_type(&self) -> Result<PolicyType> {
        named(&self.policy_type)
    }
}

/// A policy with all that belongs to it.
#[derive(Debug)]
pub struct Whole {
    pub policy: Model,
    /// In the order in which they are read.
    pub rules: Vec<rule::Model>,
    pub assignments: Vec<assignment::Model>,
}

impl Whole {
    /// Adds rules and assignments to a policy. Indexes: policy_rules(policy_id, …), policy_assignments(policy_id, …).
    pub async fn of(db: &impl ConnectionTrait, policy: Model) -> Result<Self> {
        let rules = rule::Entity::find()
            .filter(rule::Column::PolicyId.eq(policy.id))
            .order_by_asc(rule::Column::RuleOrder)
            .order_by_asc(rule::Column::Id)
            .all(db)
            .await?;
        let assignments = assignment::Entity::find()
            .filter(assignment::Column::PolicyId.eq(policy.id))
            .order_by_asc(assignment::Column::Id)
            .all(db)
            .await?;
        Ok(Self { policy, rules, assignments })
    }

    /// What its versions keep of it.
    pub fn definition(&self) -> Result<version::Definition> {
        version::Definition::of(&self.policy, &self.rules)
    }
}

/// A policy of the organization that is not deleted; `NOT_FOUND` for all others.
pub async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: PolicyId) -> Result<Model> {
    tenant
        .find::<Entity>()
        .filter(Column::Id.eq(id))
        .filter(Column::DeletedAt.is_null())
        .one(db)
        .await?
        .ok_or_else(|| ErrorCode::NotFound.into())
}

/// The same, held until the transaction ends: of two changes at once, the second one sees what the first one did.
pub async fn lock(tx: &Transaction, tenant: Tenant, id: PolicyId) -> Result<Model> {
    tenant
        .find::<Entity>()
        .filter(Column::Id.eq(id))
        .filter(Column::DeletedAt.is_null())
        .lock_exclusive()
        .one(tx.conn())
        .await?
        .ok_or_else(|| ErrorCode::NotFound.into())
}

/// A policy whose history may be read: also one that is deleted, as long as it can be restored.
pub async fn find_with_history(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    id: PolicyId,
    now: DateTime<Utc>,
) -> Result<Model> {
    tenant
        .find::<Entity>()
        .filter(Column::Id.eq(id))
        .filter(Condition::any().add(Column::PurgeAt.is_null()).add(Column::PurgeAt.gt(now)))
        .one(db)
        .await?
        .ok_or_else(|| ErrorCode::NotFound.into())
}

/// The contract's name of a value, as it is stored.
pub(crate) fn name_of(value: &impl Serialize) -> Result<String> {
    match serde_json::to_value(value).map_err(Error::internal)? {
        serde_json::Value::String(name) => Ok(name),
        other => Err(Error::internal(format!("{other} is not a name"))),
    }
}

/// The value that a stored name stands for. A name that this version does not know is a fault, not a default.
pub(crate) fn named<T: DeserializeOwned>(name: &str) -> Result<T> {
    serde_json::from_value(serde_json::Value::String(name.to_owned())).map_err(Error::internal)
}
