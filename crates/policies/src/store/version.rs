//! The versions of a policy: what it was after each change, who made the change and when.
//!
//! A version holds the policy's own fields and its rules, a [`Definition`]. Assignments are not in it: who bound the
//! policy to whom stands at the assignment itself, and the audit log has those that were taken away.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, OrganizationId, PolicyId, Result, UserId};
use rivergen_platform::{Transaction, db::TenantOwned};
use sea_orm::{
    ActiveValue::{NotSet, Set},
    IntoActiveModel, PaginatorTrait,
    entity::prelude::*,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::rule;
use crate::rule::RuleType;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "policy_versions")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub policy_id: PolicyId,
    pub version: i64,
    pub change: Change,
    /// A [`Definition`].
    pub definition: Json,
    pub changed_at: DateTime<Utc>,
    pub changed_by_user_id: UserId,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn definition(&self) -> Result<Definition> {
        serde_json::from_value(self.definition.clone()).map_err(Error::internal)
    }
}

/// What made a version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = PolicyChange)]
pub enum Change {
    #[sea_orm(string_value = "created")]
    Created,
    #[sea_orm(string_value = "updated")]
    Updated,
    /// An earlier version was put in the place of a later one.
    #[sea_orm(string_value = "restored")]
    Restored,
}

/// What may change of a policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyDefinition)]
pub struct Definition {
    #[schema(examples("Own region only"))]
    pub name: String,
    pub description: Option<String>,
    pub is_active: bool,
    #[schema(examples(10))]
    pub priority: i64,
    #[schema(value_type = Object)]
    pub metadata: Json,
    /// In the order in which they are read.
    pub rules: Vec<RuleDefinition>,
}

/// A rule without what the database adds to it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, ToSchema)]
#[schema(as = PolicyRuleDefinition)]
pub struct RuleDefinition {
    #[schema(examples("own region"))]
    pub rule_name: String,
    pub rule_type: RuleType,
    #[schema(value_type = Object)]
    pub rule_config: Json,
    #[schema(examples(0))]
    pub rule_order: i64,
    pub is_active: bool,
}

impl Definition {
    /// Of a policy as it is now, with its rules in their order.
    pub fn of(policy: &super::Model, rules: &[rule::Model]) -> Result<Self> {
        let rules = rules
            .iter()
            .map(|rule| {
                Ok(RuleDefinition {
                    rule_name: rule.rule_name.clone(),
                    rule_type: rule.rule_type()?,
                    rule_config: rule.rule_config.clone(),
                    rule_order: rule.rule_order,
                    is_active: rule.is_active,
                })
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            name: policy.name.clone(),
            description: policy.description.clone(),
            is_active: policy.is_active,
            priority: policy.priority,
            metadata: policy.metadata.clone(),
            rules,
        })
    }
}

/// Writes down what the policy is as the version that it has. Index: policy_versions(policy_id, version), unique.
pub(crate) async fn keep(
    tx: &Transaction,
    policy: &super::Model,
    definition: &Definition,
    change: Change,
    author: UserId,
    at: DateTime<Utc>,
) -> Result<()> {
    let row = ActiveModel {
        id: NotSet,
        organization_id: Set(policy.organization_id),
        policy_id: Set(policy.id),
        version: Set(policy.version),
        change: Set(change),
        definition: Set(serde_json::to_value(definition).map_err(Error::internal)?),
        changed_at: Set(at),
        changed_by_user_id: Set(author),
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Makes the policy, which the transaction holds, what the definition says, as its next version.
pub(crate) async fn advance(
    tx: &Transaction,
    policy: super::Model,
    before: &Definition,
    after: Definition,
    change: Change,
    author: UserId,
    now: DateTime<Utc>,
) -> Result<super::Model> {
    // Policies that are older than their versions have none of what they were until now.
    let kept = Entity::find().filter(Column::PolicyId.eq(policy.id)).filter(Column::Version.eq(policy.version));
    if kept.count(tx.conn()).await? == 0 {
        let first = if policy.updated_by_user_id.is_some() { Change::Updated } else { Change::Created };
        let last_author = policy.updated_by_user_id.unwrap_or(policy.created_by_user_id);
        keep(tx, &policy, before, first, last_author, policy.updated_at).await?;
    }
    let next = policy.version + 1;
    let mut row = policy.into_active_model();
    row.name = Set(after.name.clone());
    row.description = Set(after.description.clone());
    row.is_active = Set(after.is_active);
    row.priority = Set(after.priority);
    row.metadata = Set(after.metadata.clone());
    row.version = Set(next);
    row.updated_at = Set(now);
    row.updated_by_user_id = Set(Some(author));
    let policy = row.update(tx.conn()).await?;
    if after.rules != before.rules {
        rule::replace_all(tx, policy.id, after.rules.clone(), now).await?;
    }
    keep(tx, &policy, &after, change, author, now).await?;
    Ok(policy)
}
