//! The rules of a policy, with their configuration checked.
//!
//! What is stored is the JSON that somebody sent; what the engine works with is a [`RuleConfig`]. Between
//! them stands [`RuleConfig::parse`]: unknown fields, unknown functions and conditions outside the language are
//! refused when the policy is written, with the field and the reason.

use std::collections::BTreeSet;

use rivergen_kernel::{PolicyId, RoleId};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value as Json;

use crate::{
    condition::{Comparison, Condition, Operand},
    mask::{Mask, MaskingFunction},
    tags::TagPattern,
};

/// What a policy is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PolicyType {
    RowLevelSecurity,
    DataMasking,
    QueryLimit,
    AccessControl,
}

/// What a rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RuleType {
    FilterRows,
    MaskColumn,
    LimitQuery,
    AllowAccess,
    DenyAccess,
}

impl PolicyType {
    pub const ALL: [PolicyType; 4] =
        [PolicyType::RowLevelSecurity, PolicyType::DataMasking, PolicyType::QueryLimit, PolicyType::AccessControl];

    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            PolicyType::RowLevelSecurity => "row_level_security",
            PolicyType::DataMasking => "data_masking",
            PolicyType::QueryLimit => "query_limit",
            PolicyType::AccessControl => "access_control",
        }
    }

    /// Whether a policy of this type may hold such a rule.
    pub const fn holds(self, rule: RuleType) -> bool {
        matches!(
            (self, rule),
            (PolicyType::RowLevelSecurity, RuleType::FilterRows)
                | (PolicyType::DataMasking, RuleType::MaskColumn)
                | (PolicyType::QueryLimit, RuleType::LimitQuery)
                | (PolicyType::AccessControl, RuleType::AllowAccess | RuleType::DenyAccess)
        )
    }
}

impl RuleType {
    /// The name in the contract.
    pub const fn as_str(self) -> &'static str {
        match self {
            RuleType::FilterRows => "filter_rows",
            RuleType::MaskColumn => "mask_column",
            RuleType::LimitQuery => "limit_query",
            RuleType::AllowAccess => "allow_access",
            RuleType::DenyAccess => "deny_access",
        }
    }
}

/// A policy that is active and assigned to this caller and this source.
#[derive(Debug, Clone)]
pub struct EffectivePolicy {
    pub id: PolicyId,
    pub name: String,
    pub policy_type: PolicyType,
    /// Higher is named first; it never decides what is seen.
    pub priority: i64,
    /// The only tables that it governs, each with its schema; without it all tables of the source.
    pub only: Option<BTreeSet<(String, String)>>,
    pub rules: Vec<RuleConfig>,
}

impl EffectivePolicy {
    /// Whether it governs this table of the source.
    pub fn reaches(&self, table: &TableName) -> bool {
        let is_it = |(schema, name): &(String, String)| (schema, name) == (&table.schema, &table.table);
        self.only.as_ref().is_none_or(|only| only.iter().any(is_it))
    }
}

/// A checked rule.
#[derive(Debug, Clone, PartialEq)]
pub enum RuleConfig {
    FilterRows {
        table: TablePattern,
        condition: Condition,
    },
    MaskColumn {
        table: TablePattern,
        column: String,
        mask: Mask,
        unless_role_ids: Vec<RoleId>,
    },
    /// A mask for every column that has such a tag.
    MaskTagged {
        table: TablePattern,
        tag: TagPattern,
        mask: Mask,
        unless_role_ids: Vec<RoleId>,
    },
    LimitQuery(QueryLimits),
    AllowAccess(AccessRule),
    DenyAccess(AccessRule),
    /// Closes every column that has such a tag.
    DenyTagged {
        table: TablePattern,
        tag: TagPattern,
    },
}

/// What an access rule opens or closes; no columns means all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccessRule {
    pub table: TablePattern,
    pub columns: Option<Vec<String>>,
}

/// Bounds of a caller's queries; `None` is no bound from policies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QueryLimits {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_rows: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_execution_seconds: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_queries_per_hour: Option<u64>,
}

impl QueryLimits {
    /// The tighter of both, bound by bound.
    pub fn tighten(self, other: Self) -> Self {
        fn tighter(a: Option<u64>, b: Option<u64>) -> Option<u64> {
            match (a, b) {
                (Some(a), Some(b)) => Some(a.min(b)),
                (a, b) => a.or(b),
            }
        }
        Self {
            max_rows: tighter(self.max_rows, other.max_rows),
            max_execution_seconds: tighter(self.max_execution_seconds, other.max_execution_seconds),
            max_queries_per_hour: tighter(self.max_queries_per_hour, other.max_queries_per_hour),
        }
    }

    pub fn is_unbounded(&self) -> bool {
        *self == Self::default()
    }
}

/// Where a table stands: source, schema, table.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TableName {
    pub catalog: String,
    pub schema: String,
    pub table: String,
}

impl std::fmt::Display for TableName {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}.{}.{}", self.catalog, self.schema, self.table)
    }
}

/// Which tables of a source a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TablePattern {
    /// Absent or `*`: every table that has the columns that the rule names; each table where it names none.
    Any,
    /// `customers`, `public.customers` or `crm.public.customers`; case does not count.
    Named(String),
}

impl TablePattern {
    pub fn parse(text: Option<&str>) -> Result<Self, ConfigError> {
        match text.map(str::trim) {
            None | Some("*") => Ok(Self::Any),
            Some("") => Err(ConfigError::new("table", "give a table's name, or leave it out for every table")),
            Some(name) if name.chars().count() > 500 => Err(ConfigError::new("table", "the name is too long")),
            Some(name) => Ok(Self::Named(name.to_owned())),
        }
    }

    /// Whether the rule speaks of this table.
    pub fn matches(&self, name: &TableName) -> bool {
        match self {
            Self::Any => true,
            Self::Named(pattern) => {
                let TableName { catalog, schema, table } = name;
                [table.clone(), format!("{schema}.{table}"), format!("{catalog}.{schema}.{table}")]
                    .iter()
                    .any(|candidate| candidate.eq_ignore_ascii_case(pattern))
            }
        }
    }

    /// Whether the table was named: then a column that it lacks is a fault, not a reason to look away.
    pub fn is_named(&self) -> bool {
        matches!(self, Self::Named(_))
    }
}

/// Why a configuration is refused, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {reason}")]
pub struct ConfigError {
    /// The path inside the configuration: `options.pattern`.
    pub field: String,
    pub reason: String,
}

impl ConfigError {
    pub fn new(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self { field: field.into(), reason: reason.into() }
    }

    /// The same fault seen from the object around it.
    pub fn below(self, parent: &str) -> Self {
        let field = if self.field.is_empty() { parent.to_owned() } else { format!("{parent}.{}", self.field) };
        Self { field, ..self }
    }
}

/// Reads a structure and keeps the path of what does not fit.
pub(crate) fn from_json<T: DeserializeOwned>(value: &Json) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let path = error.path().to_string();
        let field = if path == "." { String::new() } else { path };
        ConfigError::new(field, error.into_inner().to_string())
    })
}

impl RuleConfig {
    /// Checks a rule's configuration.
    pub fn parse(rule_type: RuleType, config: &Json) -> Result<Self, ConfigError> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct MaskColumn {
            table: Option<String>,
            column: Option<String>,
            tag: Option<String>,
            masking_function: MaskingFunction,
            options: Option<Json>,
            #[serde(default)]
            unless_role_ids: Vec<RoleId>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Allow {
            table: Option<String>,
            columns: Option<Vec<String>>,
        }
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Deny {
            table: Option<String>,
            columns: Option<Vec<String>>,
            tag: Option<String>,
        }
        let access = |table: Option<String>, columns: Option<Vec<String>>| -> Result<AccessRule, ConfigError> {
            if columns.as_ref().is_some_and(|columns| columns.is_empty()) {
                return Err(ConfigError::new("columns", "name at least one column, or leave it out for all of them"));
            }
            for (at, column) in columns.iter().flatten().enumerate() {
                check_column(column).map_err(|error| ConfigError { field: format!("columns[{at}]"), ..error })?;
            }
            Ok(AccessRule { table: TablePattern::parse(table.as_deref())?, columns })
        };
        match rule_type {
            RuleType::FilterRows => filter_rows(config),
            RuleType::MaskColumn => {
                let MaskColumn { table, column, tag, masking_function, options, unless_role_ids } = from_json(config)?;
                let table = TablePattern::parse(table.as_deref())?;
                let mask = Mask::parse(masking_function, options.as_ref())?;
                match (column, tag) {
                    (Some(column), None) => {
                        check_column(&column)?;
                        Ok(Self::MaskColumn { table, column, mask, unless_role_ids })
                    }
                    (None, Some(tag)) => {
                        let tag = TagPattern::parse(&tag)?;
                        Ok(Self::MaskTagged { table, tag, mask, unless_role_ids })
                    }
                    _ => Err(ConfigError::new("column", "give either the name of one column or a tag")),
                }
            }
            RuleType::LimitQuery => {
                let limits: QueryLimits = from_json(config)?;
                if limits.is_unbounded() {
                    let reason = "give at least one of max_rows, max_execution_seconds, max_queries_per_hour";
                    return Err(ConfigError::new("", reason));
                }
                if limits.max_execution_seconds == Some(0) {
                    return Err(ConfigError::new("max_execution_seconds", "give at least 1"));
                }
                Ok(Self::LimitQuery(limits))
            }
            RuleType::AllowAccess => {
                let Allow { table, columns } = from_json(config)?;
                access(table, columns).map(Self::AllowAccess)
            }
            RuleType::DenyAccess => {
                let Deny { table, columns, tag } = from_json(config)?;
                match (columns, tag) {
                    (columns, None) => access(table, columns).map(Self::DenyAccess),
                    (None, Some(tag)) => Ok(Self::DenyTagged {
                        table: TablePattern::parse(table.as_deref())?,
                        tag: TagPattern::parse(&tag)?,
                    }),
                    (Some(_), Some(_)) => Err(ConfigError::new("columns", "give either names of columns or a tag")),
                }
            }
        }
    }

    /// Whether what it does depends on the tags of columns.
    pub fn looks_at_tags(&self) -> bool {
        matches!(self, Self::MaskTagged { .. } | Self::DenyTagged { .. })
    }

    /// Whether what it does may depend on the caller's groups, which are looked up for such rules alone.
    pub fn may_ask_for_groups(&self) -> bool {
        match self {
            Self::FilterRows { condition, .. } => condition.attributes().contains("groups"),
            Self::MaskColumn { mask, .. } | Self::MaskTagged { mask, .. } => matches!(mask, Mask::Expression(_)),
            Self::LimitQuery(_) | Self::AllowAccess(_) | Self::DenyAccess(_) | Self::DenyTagged { .. } => false,
        }
    }

    /// The tables that it speaks of; a limit speaks of none.
    pub fn table(&self) -> Option<&TablePattern> {
        match self {
            Self::FilterRows { table, .. }
            | Self::MaskColumn { table, .. }
            | Self::MaskTagged { table, .. }
            | Self::DenyTagged { table, .. } => Some(table),
            Self::AllowAccess(rule) | Self::DenyAccess(rule) => Some(&rule.table),
            Self::LimitQuery(_) => None,
        }
    }

    /// Whether it speaks of the table by its name, and not as of every one.
    pub fn names_table(&self, table: &TableName) -> bool {
        self.table().is_some_and(|pattern| pattern.is_named() && pattern.matches(table))
    }

    /// Whether it protects something by the name of this column of the table.
    pub fn names_column(&self, table: &TableName, column: &str) -> bool {
        let (pattern, names): (&TablePattern, Vec<&str>) = match self {
            Self::FilterRows { table, condition } => (table, condition.columns().into_iter().collect()),
            Self::MaskColumn { table, column, mask, .. } => {
                (table, mask.columns().into_iter().chain([column.as_str()]).collect())
            }
            Self::DenyAccess(AccessRule { table, columns: Some(columns) }) => {
                (table, columns.iter().map(String::as_str).collect())
            }
            Self::DenyAccess(_)
            | Self::AllowAccess(_)
            | Self::LimitQuery(_)
            | Self::MaskTagged { .. }
            | Self::DenyTagged { .. } => return false,
        };
        pattern.matches(table) && names.iter().any(|name| name.eq_ignore_ascii_case(column))
    }

    /// Whether it protects what is tagged so in the table. It cannot be applied where such a column is gone.
    pub fn names_tag(&self, table: &TableName, tag: &str) -> bool {
        match self {
            Self::MaskTagged { table: pattern, tag: wanted, .. } | Self::DenyTagged { table: pattern, tag: wanted } => {
                pattern.matches(table) && wanted.matches(tag)
            }
            _ => false,
        }
    }

    /// Whether it names the table and cannot be applied to it without the column; see [`crate::decision`].
    pub fn cannot_do_without(&self, table: &TableName, column: &str) -> bool {
        self.names_table(table) && self.names_column(table, column)
    }

    pub fn rule_type(&self) -> RuleType {
        match self {
            Self::FilterRows { .. } => RuleType::FilterRows,
            Self::MaskColumn { .. } | Self::MaskTagged { .. } => RuleType::MaskColumn,
            Self::LimitQuery(_) => RuleType::LimitQuery,
            Self::AllowAccess(_) => RuleType::AllowAccess,
            Self::DenyAccess(_) | Self::DenyTagged { .. } => RuleType::DenyAccess,
        }
    }
}

/// The contract's names of the comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum ConditionOperator {
    Equals,
    NotEquals,
    In,
    NotIn,
    GreaterThan,
    GreaterOrEqual,
    LessThan,
    LessOrEqual,
    Like,
    IsNull,
    IsNotNull,
}

/// A filter is given as a condition, as column, operator and value, or as both where they say the same.
fn filter_rows(config: &Json) -> Result<RuleConfig, ConfigError> {
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct FilterRows {
        condition: Option<String>,
        table: Option<String>,
        column: Option<String>,
        operator: Option<ConditionOperator>,
        value: Option<Json>,
    }
    let FilterRows { condition, table, column, operator, value } = from_json(config)?;
    let table = TablePattern::parse(table.as_deref())?;
    let written = condition
        .as_deref()
        .map(Condition::parse)
        .transpose()
        .map_err(|error| ConfigError::new("condition", error.to_string()))?;
    let condition = match (written, column) {
        (Some(written), None) if operator.is_none() && value.is_none() => written,
        (Some(_), None) => return Err(ConfigError::new("column", "operator and value need a column")),
        (None, None) => return Err(ConfigError::new("condition", "give a condition, or column, operator and value")),
        (None, Some(column)) => {
            let operator = operator.ok_or_else(|| ConfigError::new("operator", "give an operator"))?;
            structured(&column, operator, value.as_ref())?
        }
        (Some(written), Some(column)) => {
            check_column(&column)?;
            let agrees = match (operator, value.as_ref()) {
                (None, None) => written.columns().into_iter().eq([column.as_str()]),
                (Some(operator), None)
                    if !matches!(operator, ConditionOperator::IsNull | ConditionOperator::IsNotNull) =>
                {
                    is_comparison_of(&written, &column, operator)
                }
                (Some(operator), value) => structured(&column, operator, value)? == written,
                (None, Some(_)) => return Err(ConfigError::new("operator", "give an operator for the value")),
            };
            if !agrees {
                let reason = "the condition does not say the same as the column, operator and value given with it";
                return Err(ConfigError::new("condition", reason));
            }
            written
        }
    };
    Ok(RuleConfig::FilterRows { table, condition })
}

fn is_comparison_of(condition: &Condition, of: &str, operator: ConditionOperator) -> bool {
    match condition {
        Condition::Compare { column, comparison, .. } => column == of && Some(*comparison) == operator.comparison(),
        Condition::In { column, negated, .. } => {
            column == of && operator == if *negated { ConditionOperator::NotIn } else { ConditionOperator::In }
        }
        Condition::Like { column, negated: false, .. } => column == of && operator == ConditionOperator::Like,
        _ => false,
    }
}

impl ConditionOperator {
    fn comparison(self) -> Option<Comparison> {
        Some(match self {
            ConditionOperator::Equals => Comparison::Equal,
            ConditionOperator::NotEquals => Comparison::NotEqual,
            ConditionOperator::GreaterThan => Comparison::Greater,
            ConditionOperator::GreaterOrEqual => Comparison::GreaterOrEqual,
            ConditionOperator::LessThan => Comparison::Less,
            ConditionOperator::LessOrEqual => Comparison::LessOrEqual,
            _ => return None,
        })
    }
}

fn structured(column: &str, operator: ConditionOperator, value: Option<&Json>) -> Result<Condition, ConfigError> {
    check_column(column)?;
    let column = column.to_owned();
    let missing = || ConfigError::new("value", "give a value: a text, a number, a boolean or current_user_<attribute>");
    if let Some(comparison) = operator.comparison() {
        let value = value.and_then(Operand::from_json).ok_or_else(missing)?;
        return Ok(Condition::Compare { column, comparison, value });
    }
    match operator {
        ConditionOperator::In | ConditionOperator::NotIn => {
            let values = match value {
                Some(Json::Array(values)) if (1..=1_000).contains(&values.len()) => values
                    .iter()
                    .map(|value| Operand::from_json(value).ok_or_else(missing))
                    .collect::<Result<_, _>>()?,
                Some(Json::Array(_)) => return Err(ConfigError::new("value", "a list may have 1 to 1000 values")),
                other => vec![other.and_then(Operand::from_json).ok_or_else(missing)?],
            };
            Ok(Condition::In { column, values, negated: operator == ConditionOperator::NotIn })
        }
        ConditionOperator::Like => match value {
            Some(Json::String(pattern)) => Ok(Condition::Like { column, pattern: pattern.clone(), negated: false }),
            _ => Err(ConfigError::new("value", "give a pattern with % and _")),
        },
        _ if value.is_some_and(|value| !value.is_null()) => {
            Err(ConfigError::new("value", "this operator takes no value"))
        }
        _ => Ok(Condition::IsNull { column, negated: operator == ConditionOperator::IsNotNull }),
    }
}

fn check_column(column: &str) -> Result<(), ConfigError> {
    if column.trim().is_empty() || column == "*" || column.chars().count() > 255 {
        return Err(ConfigError::new("column", "give the name of one column"));
    }
    Ok(())
}

#[cfg(test)]
#[path = "rule_tests.rs"]
mod tests;
