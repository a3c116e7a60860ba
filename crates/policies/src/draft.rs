//! Policies that are not there yet: what a simulation adds to those that govern somebody.

use garde::Validate;
use rivergen_kernel::{ErrorCode, PolicyId, Result, Tenant};
use rivergen_platform::db::TenantScope;
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QueryOrder};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::{
    Policies,
    http::rules::{self, MAX_RULES, PolicyRuleRequest},
    rule::{EffectivePolicy, PolicyType},
    store::{self, rule},
};

/// A policy as it would be created, treated as assigned to the person and the source in question.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
pub struct PolicyDraft {
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    #[garde(range(min = 0))]
    #[serde(default)]
    #[schema(minimum = 0)]
    pub priority: i64,
    #[garde(length(min = 1, max = MAX_RULES), dive)]
    pub rules: Vec<PolicyRuleRequest>,
}

impl PolicyDraft {
    /// The policy as it would govern, under an id that no policy has; `VALIDATION_ERROR` below the field for what is wrong
    /// with its rules.
    pub fn read(&self, place: usize, field: &str) -> Result<EffectivePolicy> {
        let rules = rules::read(self.policy_type, &self.rules).map_err(|mut error| {
            for detail in &mut error.details {
                detail.field = format!("{field}.{}", detail.field);
            }
            error
        })?;
        let active = self.rules.iter().zip(rules).filter(|(rule, _)| rule.is_active.unwrap_or(true));
        Ok(EffectivePolicy {
            id: PolicyId(-1 - i64::try_from(place).unwrap_or(0)),
            name: self.name.trim().to_owned(),
            policy_type: self.policy_type,
            priority: self.priority,
            only: None,
            rules: active.map(|(_, config)| config).collect(),
        })
    }
}

impl Policies {
    /// The organization's policies of these ids as they would govern, whether they are active and assigned or not;
    /// `NOT_FOUND` where one is missing.
    pub async fn as_if_governing(&self, tenant: Tenant, ids: &[PolicyId]) -> Result<Vec<EffectivePolicy>> {
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let db = self.platform.db.read();
        let found = tenant
            .find::<store::Entity>()
            .filter(store::Column::Id.is_in(ids.iter().copied()))
            .filter(store::Column::DeletedAt.is_null())
            .all(db)
            .await?;
        if ids.iter().any(|id| !found.iter().any(|row| row.id == *id)) {
            return Err(ErrorCode::NotFound.into());
        }
        // Index: policy_rules(policy_id, rule_order).
        let rules = rule::Entity::find()
            .filter(rule::Column::PolicyId.is_in(found.iter().map(|row| row.id)))
            .filter(rule::Column::IsActive.eq(true))
            .order_by_asc(rule::Column::RuleOrder)
            .order_by_asc(rule::Column::Id)
            .all(db)
            .await?;
        let effective = |row: store::Model| {
            Ok(EffectivePolicy {
                id: row.id,
                policy_type: row.policy_type()?,
                name: row.name,
                priority: row.priority,
                only: None,
                rules: rules.iter().filter(|rule| rule.policy_id == row.id).map(rule::Model::effect).collect(),
            })
        };
        found.into_iter().map(effective).collect()
    }
}
