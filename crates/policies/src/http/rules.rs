//! Rules as they are sent: read, held against the tables that they speak of, and put into the form that is stored.

use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, FieldError, Result, Tenant};
use rivergen_platform::http::not_blank;
use serde::Deserialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::{
    rule::{ConfigError, PolicyType, RuleConfig, RuleType},
    store::version::RuleDefinition,
    targets::{NamedTargets, Places, Target, Targets},
};

/// Rules of one policy.
pub const MAX_RULES: usize = 100;

/// A rule; which types go with the policy's type and what `rule_config` holds follows from `rule_type`.
#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PolicyRuleRequest {
    #[garde(length(chars, min = 1, max = 255), custom(not_blank))]
    pub rule_name: String,
    #[garde(skip)]
    pub rule_type: RuleType,
    #[garde(skip)]
    #[schema(value_type = Object)]
    pub rule_config: Value,
    /// 0 first; absent: the place in the list.
    #[garde(inner(range(min = 0)))]
    #[schema(minimum = 0)]
    pub rule_order: Option<i64>,
    #[garde(skip)]
    #[schema(default = true)]
    pub is_active: Option<bool>,
}

/// `VALIDATION_ERROR` with every rule that does not fit the policy's type or is not what its type asks for.
pub(crate) fn read(policy_type: PolicyType, rules: &[PolicyRuleRequest]) -> Result<Vec<RuleConfig>> {
    let rules: Vec<_> = rules.iter().map(|rule| (rule.rule_type, &rule.rule_config)).collect();
    read_all(policy_type, &rules)
}

/// The same for rules that are stored.
pub(crate) fn read_again(policy_type: PolicyType, rules: &[RuleDefinition]) -> Result<Vec<RuleConfig>> {
    let rules: Vec<_> = rules.iter().map(|rule| (rule.rule_type, &rule.rule_config)).collect();
    read_all(policy_type, &rules)
}

fn read_all(policy_type: PolicyType, rules: &[(RuleType, &Value)]) -> Result<Vec<RuleConfig>> {
    let mut faults = Vec::new();
    let mut read = Vec::new();
    for (index, (rule_type, config)) in rules.iter().enumerate() {
        if !policy_type.holds(*rule_type) {
            let reason =
                format!("a policy of the type {} cannot have {} rules", policy_type.as_str(), rule_type.as_str());
            faults.push(FieldError::new(format!("rules[{index}].rule_type"), reason));
            continue;
        }
        match RuleConfig::parse(*rule_type, config) {
            Ok(config) => read.push(config),
            Err(error) => faults.push(fault(index, error)),
        }
    }
    if faults.is_empty() { Ok(read) } else { Err(Error::new(ErrorCode::ValidationError).with_details(faults)) }
}

/// `VALIDATION_ERROR` with every rule that cannot be applied to the discovered tables of the places that the policy is
/// bound to: such a rule would close its table, or protect a table that is not there.
pub(crate) async fn fit(targets: &dyn Targets, tenant: Tenant, places: &Places, rules: &[RuleConfig]) -> Result<()> {
    if places.is_empty() || rules.is_empty() {
        return Ok(());
    }
    let misfits = targets.misfits(tenant, places, rules).await?;
    if misfits.is_empty() {
        return Ok(());
    }
    let faults = misfits.into_iter().map(|(index, error)| fault(index, error)).collect();
    Err(Error::new(ErrorCode::ValidationError).with_details(faults))
}

fn fault(index: usize, error: ConfigError) -> FieldError {
    let error = error.below(&format!("rules[{index}].rule_config"));
    FieldError::new(error.field, error.reason)
}

/// The roles that rules speak of, with their fields.
pub(crate) fn name_roles(targets: &mut NamedTargets, rules: &[RuleConfig]) {
    for (index, rule) in rules.iter().enumerate() {
        if let RuleConfig::MaskColumn { unless_role_ids, .. } | RuleConfig::MaskTagged { unless_role_ids, .. } = rule {
            for (at, role) in unless_role_ids.iter().enumerate() {
                targets.add(format!("rules[{index}].rule_config.unless_role_ids[{at}]"), Target::Role(*role));
            }
        }
    }
}

/// The rules as they are stored; one without an order stands where it was sent.
pub(crate) fn definitions(rules: Vec<PolicyRuleRequest>) -> Vec<RuleDefinition> {
    let stored = |(rule, place): (PolicyRuleRequest, i64)| RuleDefinition {
        rule_name: rule.rule_name,
        rule_type: rule.rule_type,
        rule_config: rule.rule_config,
        rule_order: rule.rule_order.unwrap_or(place),
        is_active: rule.is_active.unwrap_or(true),
    };
    rules.into_iter().zip(0..).map(stored).collect()
}
