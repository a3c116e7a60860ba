//! One rule of a policy: the JSON that was sent, which [`RuleConfig::parse`] accepted.

use chrono::{DateTime, Utc};
use rivergen_kernel::{PolicyId, PolicyRuleId, Result};
use rivergen_platform::Transaction;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    entity::prelude::*,
};

use super::{named, version::RuleDefinition};
use crate::rule::{AccessRule, RuleConfig, RuleType, TablePattern};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "policy_rules")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PolicyRuleId,
    pub policy_id: PolicyId,
    pub rule_name: String,
    /// The contract's name of a [`RuleType`].
    pub rule_type: String,
    pub rule_config: Json,
    pub rule_order: i64,
    pub is_active: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl Model {
    pub fn rule_type(&self) -> Result<RuleType> {
        named(&self.rule_type)
    }

    /// What the rule does. One that was accepted once and cannot be read now closes what it governs:
    /// nothing that was protected opens because the server was changed.
    pub fn effect(&self) -> RuleConfig {
        let parsed = self
            .rule_type()
            .map_err(|error| error.to_string())
            .and_then(|rule_type| RuleConfig::parse(rule_type, &self.rule_config).map_err(|error| error.to_string()));
        parsed.unwrap_or_else(|error| {
            tracing::error!(rule_id = %self.id, policy_id = %self.policy_id, %error, "a stored rule cannot be read; it denies");
            RuleConfig::DenyAccess(AccessRule { table: TablePattern::Any, columns: None })
        })
    }
}

/// Gives the policy these rules beside those that it has.
pub(crate) async fn insert_all(
    tx: &Transaction,
    policy_id: PolicyId,
    rules: Vec<RuleDefinition>,
    now: DateTime<Utc>,
) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let rows = rules.into_iter().map(|rule| ActiveModel {
        id: NotSet,
        policy_id: Set(policy_id),
        rule_name: Set(rule.rule_name),
        rule_type: Set(rule.rule_type.as_str().to_owned()),
        rule_config: Set(rule.rule_config),
        rule_order: Set(rule.rule_order),
        is_active: Set(rule.is_active),
        created_at: Set(now),
        updated_at: Set(now),
    });
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Puts these rules in the place of all that the policy has. Index: policy_rules(policy_id, …).
pub(crate) async fn replace_all(
    tx: &Transaction,
    policy_id: PolicyId,
    rules: Vec<RuleDefinition>,
    now: DateTime<Utc>,
) -> Result<()> {
    Entity::delete_many().filter(Column::PolicyId.eq(policy_id)).exec(tx.conn()).await?;
    insert_all(tx, policy_id, rules, now).await
}
