//! Policies as they are stored: the policy, its [`rule`]s, and the [`assignment`]s that say whom and what it
//! governs.
//!
//! A rule is fixed from the day that it is written; what may change is the policy around it and its
//! assignments. Deleting a policy only marks it, so that the record of what it did stays readable.

pub mod assignment;
pub mod rule;

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, OrganizationId, PolicyId, Result, Tenant, UserId, WorkspaceId};
use rivergen_platform::db::{TenantOwned, TenantScope};
use sea_orm::{ConnectionTrait, QueryOrder, entity::prelude::*};
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
