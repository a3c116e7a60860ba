//! What one caller may see of one table: all policies folded into one [`Decision`].
//!
//! ```text
//! access   deny beats allow; where allow rules exist (or `default_deny` is on) the union of what they allow is the most
//! rows     every filter must be true: F = F1 AND F2 AND …
//! columns  hidden beats masked; of several masks on a column the strictest stands, and one that would show something of
//!          another column, which is hidden or masked, shows nothing
//! limits   the smallest of each
//! ```
//!
//! Each line is a fold with an operation that is associative, commutative and idempotent (union, AND, maximum,
//! minimum), so neither the order of policies nor a policy met twice changes the outcome, and one more policy never
//! widens what is seen; only an allow rule beside other allow rules does. Priority decides the order in which
//! policies are reported, nothing else.
//!
//! A rule that names a table and cannot be applied to it (a filter, mask or deny on a column that the table
//! lacks, a mask that does not fit the column's type) denies the table: the source may have renamed the very
//! column that was to be protected. A rule for every table (`*`) applies where its columns are, and looks away
//! elsewhere; a filter that finds some of its columns but not all is a fault again, and one that reads no column, because it
//! asks for the moment or the network alone, applies everywhere.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use chrono::{DateTime, Utc};
use rivergen_kernel::{PolicyId, RoleId, UserId, caller::Membership};
use serde::{Deserialize, Serialize};

use crate::{
    condition::{Bound, Condition, Literal},
    facts::{Facts, SessionFact},
    mask::{ColumnType, Mask},
    rule::{EffectivePolicy, PolicyType, QueryLimits, RuleConfig, TableName},
    tags::TagPattern,
};

/// Who asks, as far as rules look at it.
#[derive(Debug, Clone, Default)]
pub struct Subject {
    pub facts: Facts,
    pub role_ids: BTreeSet<RoleId>,
}

impl Subject {
    /// A member, from what is known of the request. An address that is not proved is nobody's.
    pub fn new(
        membership: &Membership,
        user_id: UserId,
        proved_email: Option<&str>,
        at: DateTime<Utc>,
        ip: Option<IpAddr>,
    ) -> Self {
        let facts = Facts {
            attributes: membership.attributes.clone(),
            user_id: Some(user_id),
            email: proved_email.map(str::to_owned),
            role_names: membership.role_names.clone(),
            groups: Vec::new(),
            at: Some(at),
            ip,
        };
        Self { facts, role_ids: membership.role_ids.iter().copied().collect() }
    }

    /// With their groups at the organization's identity providers.
    pub fn with_groups(mut self, groups: Vec<String>) -> Self {
        self.facts.groups = groups;
        self
    }
}

/// A column of the table that is decided on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnInfo {
    pub name: String,
    pub column_type: ColumnType,
    /// The confirmed ones.
    pub tags: BTreeSet<String>,
}

/// What a caller may see of a table.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision {
    pub access: Access,
    /// All of them must be true of a row.
    pub row_filters: Vec<RowFilter>,
    /// By the column's own name. Never names a hidden column.
    pub masks: BTreeMap<String, ColumnMask>,
    /// Columns that do not exist for this caller, each with why.
    pub hidden: BTreeMap<String, Hidden>,
    pub limits: QueryLimits,
    /// What each policy did, highest priority first.
    pub applied: Vec<AppliedPolicy>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Access {
    Allowed,
    Denied(Denial),
}

/// Why a table is closed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Denial {
    /// A deny rule closes it.
    ByPolicy(PolicyRef),
    /// Nothing allows it, where something would have to.
    NotAllowed,
    /// A policy for this table cannot be applied to it. The reason is for administrators: it names columns.
    CannotApply { policy: PolicyRef, reason: String },
}

/// Why a column does not exist for somebody.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hidden {
    /// A deny rule hides it.
    ByPolicy(PolicyRef),
    /// Nothing allows it, where something would have to.
    NotAllowed,
}

/// A policy by id and name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PolicyRef {
    pub id: PolicyId,
    pub name: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowFilter {
    pub policy: PolicyRef,
    /// As it stands in the policy, with the columns named as the table names them.
    pub written: Condition,
    pub rows: Bound,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ColumnMask {
    pub policy: PolicyRef,
    /// As it stands in the policy, with the columns named as the table names them.
    pub written: Mask,
    /// For this caller.
    pub mask: Mask,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EvaluationResult {
    Allowed,
    Modified,
    Denied,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ActionTaken {
    None,
    FilteredRows,
    MaskedColumns,
    LimitedQuery,
    DeniedAccess,
}

/// What one policy did to one table; the stuff of evaluation records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct AppliedPolicy {
    pub policy_id: PolicyId,
    pub policy_name: String,
    pub policy_type: PolicyType,
    pub evaluation_result: EvaluationResult,
    pub action_taken: ActionTaken,
}

impl Decision {
    /// A table that no policy speaks of.
    pub fn unrestricted() -> Self {
        Self {
            access: Access::Allowed,
            row_filters: Vec::new(),
            masks: BTreeMap::new(),
            hidden: BTreeMap::new(),
            limits: QueryLimits::default(),
            applied: Vec::new(),
        }
    }

    pub fn is_allowed(&self) -> bool {
        self.access == Access::Allowed
    }

    /// Whether nothing of the table is kept from the caller: no row, no column, no value, and no number of rows.
    pub fn is_whole(&self) -> bool {
        let untouched = self.row_filters.is_empty() && self.masks.is_empty() && self.hidden.is_empty();
        self.is_allowed() && untouched && self.limits.max_rows.is_none()
    }

    /// What of the moment and the network values of the table are compared with, or shown as.
    pub fn session_facts(&self) -> BTreeSet<SessionFact> {
        let of_rows = self.row_filters.iter().flat_map(|filter| filter.written.session_facts());
        let of_masks = self.masks.values().filter_map(|held| match &held.written {
            Mask::Expression(written) => Some(written.session_facts()),
            _ => None,
        });
        of_rows.chain(of_masks.flatten()).collect()
    }
}

/// Folds the caller's effective policies into what they may see of the table.
///
/// `default_deny` is the organization's setting: without an allow rule for it, a table is closed.
pub fn decide(
    policies: &[EffectivePolicy],
    table: &TableName,
    columns: &[ColumnInfo],
    subject: &Subject,
    default_deny: bool,
) -> Decision {
    decide_tagged(policies, table, columns, &BTreeSet::new(), subject, default_deny)
}

/// The same where the table has lost columns with these tags. A policy for one of them cannot be applied: the source may
/// have renamed the very column that was to be protected.
pub fn decide_tagged(
    policies: &[EffectivePolicy],
    table: &TableName,
    columns: &[ColumnInfo],
    lost_tags: &BTreeSet<String>,
    subject: &Subject,
    default_deny: bool,
) -> Decision {
    let mut ordered: Vec<&EffectivePolicy> = policies.iter().collect();
    ordered.sort_by_key(|policy| (std::cmp::Reverse(policy.priority), policy.id));
    ordered.dedup_by_key(|policy| policy.id);

    let mut fold = Fold::new(columns, lost_tags);
    for policy in ordered {
        fold.policy(policy, table, subject);
    }
    fold.finish(default_deny)
}

/// The state while policies are folded in.
struct Fold<'a> {
    columns: &'a [ColumnInfo],
    lost_tags: &'a BTreeSet<String>,
    denials: Vec<Denial>,
    row_filters: Vec<RowFilter>,
    masks: BTreeMap<String, ColumnMask>,
    /// Of which columns values may come to stand in a column's place, by whichever of its masks.
    shown: BTreeMap<String, BTreeSet<String>>,
    denied_columns: BTreeMap<String, Hidden>,
    /// The union of what allow rules open; `None` while there is none.
    allowed: Option<BTreeSet<String>>,
    limits: QueryLimits,
    applied: Vec<AppliedPolicy>,
}

/// A name in a rule, looked up among the table's columns.
enum Lookup<'a> {
    Found(&'a ColumnInfo),
    Missing,
    /// Several columns differ from the name in case only.
    Ambiguous,
}

impl<'a> Fold<'a> {
    fn new(columns: &'a [ColumnInfo], lost_tags: &'a BTreeSet<String>) -> Self {
        Self {
            columns,
            lost_tags,
            denials: Vec::new(),
            row_filters: Vec::new(),
            masks: BTreeMap::new(),
            shown: BTreeMap::new(),
            denied_columns: BTreeMap::new(),
            allowed: None,
            limits: QueryLimits::default(),
            applied: Vec::new(),
        }
    }

    fn policy(&mut self, policy: &EffectivePolicy, table: &TableName, subject: &Subject) {
        if !policy.reaches(table) {
            return;
        }
        let reference = PolicyRef { id: policy.id, name: policy.name.clone() };
        let mut strongest = None;
        for rule in &policy.rules {
            let outcome = self.rule(rule, &reference, table, subject).unwrap_or_else(|reason| {
                self.denials.push(Denial::CannotApply { policy: reference.clone(), reason });
                Some((EvaluationResult::Denied, ActionTaken::DeniedAccess))
            });
            strongest = strongest.max(outcome);
        }
        if let Some((evaluation_result, action_taken)) = strongest {
            self.applied.push(AppliedPolicy {
                policy_id: policy.id,
                policy_name: policy.name.clone(),
                policy_type: policy.policy_type,
                evaluation_result,
                action_taken,
            });
        }
    }

    /// Folds one rule in; `None` where it does not speak of this table or caller, an error where it cannot be applied.
    fn rule(
        &mut self,
        rule: &RuleConfig,
        policy: &PolicyRef,
        table: &TableName,
        subject: &Subject,
    ) -> Result<Option<(EvaluationResult, ActionTaken)>, String> {
        match rule {
            RuleConfig::FilterRows { table: pattern, condition } => {
                if !pattern.matches(table) {
                    return Ok(None);
                }
                let names = condition.columns();
                // One that reads no column is about the request: it holds for every table.
                let none_here =
                    !names.is_empty() && names.iter().all(|name| matches!(self.lookup(name), Lookup::Missing));
                if none_here && !pattern.is_named() {
                    return Ok(None);
                }
                let written = condition.clone().map_columns(&mut |name| self.resolve(name).map(|c| c.name.clone()))?;
                let rows = written.bind(&subject.facts);
                self.row_filters.push(RowFilter { policy: policy.clone(), written, rows });
                Ok(Some((EvaluationResult::Modified, ActionTaken::FilteredRows)))
            }
            RuleConfig::MaskColumn { table: pattern, column, mask, unless_role_ids } => {
                if !pattern.matches(table) || unless_role_ids.iter().any(|role| subject.role_ids.contains(role)) {
                    return Ok(None);
                }
                if matches!(self.lookup(column), Lookup::Missing) && !pattern.is_named() {
                    return Ok(None);
                }
                let column = self.resolve(column)?;
                if !mask.fits(column.column_type) {
                    return Err(format!("the mask of column {} does not fit its type", column.name));
                }
                let written = mask.clone().on_table(&mut |name| self.resolve(name).map(|c| c.name.clone()))?;
                self.mask(column, policy, written, subject);
                Ok(Some((EvaluationResult::Modified, ActionTaken::MaskedColumns)))
            }
            RuleConfig::MaskTagged { table: pattern, tag, mask, unless_role_ids } => {
                if !pattern.matches(table) || unless_role_ids.iter().any(|role| subject.role_ids.contains(role)) {
                    return Ok(None);
                }
                self.check_not_lost(tag)?;
                let columns = self.columns;
                let mut masks = false;
                for column in columns.iter().filter(|column| column.tags.iter().any(|held| tag.matches(held))) {
                    // One mask for columns of many types: where it has no meaning nothing is left of the column.
                    let fitting = if mask.fits(column.column_type) { mask.clone() } else { Mask::NullValue };
                    let written = fitting.on_table(&mut |name| self.resolve(name).map(|c| c.name.clone()))?;
                    self.mask(column, policy, written, subject);
                    masks = true;
                }
                Ok(masks.then_some((EvaluationResult::Modified, ActionTaken::MaskedColumns)))
            }
            RuleConfig::LimitQuery(limits) => {
                self.limits = self.limits.tighten(*limits);
                Ok(Some((EvaluationResult::Modified, ActionTaken::LimitedQuery)))
            }
            RuleConfig::AllowAccess(rule) => {
                if !rule.table.matches(table) {
                    return Ok(None);
                }
                let opened: BTreeSet<String> = match &rule.columns {
                    None => self.columns.iter().map(|column| column.name.clone()).collect(),
                    Some(names) => names
                        .iter()
                        .filter_map(|name| match self.lookup(name) {
                            Lookup::Found(column) => Some(column.name.clone()),
                            Lookup::Missing | Lookup::Ambiguous => None,
                        })
                        .collect(),
                };
                self.allowed.get_or_insert_default().extend(opened);
                Ok(Some((EvaluationResult::Allowed, ActionTaken::None)))
            }
            RuleConfig::DenyAccess(rule) => {
                if !rule.table.matches(table) {
                    return Ok(None);
                }
                let Some(names) = &rule.columns else {
                    self.denials.push(Denial::ByPolicy(policy.clone()));
                    return Ok(Some((EvaluationResult::Denied, ActionTaken::DeniedAccess)));
                };
                let mut hides = false;
                for name in names {
                    if matches!(self.lookup(name), Lookup::Missing) && !rule.table.is_named() {
                        continue;
                    }
                    let column = self.resolve(name)?.name.clone();
                    self.denied_columns.entry(column).or_insert_with(|| Hidden::ByPolicy(policy.clone()));
                    hides = true;
                }
                Ok(hides.then_some((EvaluationResult::Modified, ActionTaken::DeniedAccess)))
            }
            RuleConfig::DenyTagged { table: pattern, tag } => {
                if !pattern.matches(table) {
                    return Ok(None);
                }
                self.check_not_lost(tag)?;
                let columns = self.columns;
                let mut hides = false;
                for column in columns.iter().filter(|column| column.tags.iter().any(|held| tag.matches(held))) {
                    let why = || Hidden::ByPolicy(policy.clone());
                    self.denied_columns.entry(column.name.clone()).or_insert_with(why);
                    hides = true;
                }
                Ok(hides.then_some((EvaluationResult::Modified, ActionTaken::DeniedAccess)))
            }
        }
    }

    /// What was tagged so may be there under another name.
    fn check_not_lost(&self, tag: &TagPattern) -> Result<(), String> {
        match self.lost_tags.iter().find(|lost| tag.matches(lost)) {
            Some(lost) => Err(format!("the table has lost a column that was tagged {lost}")),
            None => Ok(()),
        }
    }

    /// Of several masks on a column the strictest stands.
    fn mask(&mut self, column: &ColumnInfo, policy: &PolicyRef, written: Mask, subject: &Subject) {
        let new = ColumnMask { policy: policy.clone(), mask: written.bind(&subject.facts), written };
        let shown = new.mask.shown_columns().into_iter().map(str::to_owned);
        self.shown.entry(column.name.clone()).or_default().extend(shown);
        self.masks
            .entry(column.name.clone())
            .and_modify(|held| {
                if new.mask > held.mask {
                    *held = new.clone();
                }
            })
            .or_insert(new);
    }

    fn finish(self, default_deny: bool) -> Decision {
        let mut hidden = self.denied_columns;
        for column in self.columns {
            let open = match &self.allowed {
                Some(allowed) => allowed.contains(&column.name),
                None => !default_deny,
            };
            if !open {
                hidden.entry(column.name.clone()).or_insert(Hidden::NotAllowed);
            }
        }
        // A policy that cannot be applied is the fault to tell of first, then the policy that denies.
        let denial = self
            .denials
            .iter()
            .find(|denial| matches!(denial, Denial::CannotApply { .. }))
            .or_else(|| self.denials.first())
            .cloned();
        let nothing_left = self.columns.iter().all(|column| hidden.contains_key(&column.name));
        let access = match denial {
            Some(denial) => Access::Denied(denial),
            None if nothing_left => Access::Denied(Denial::NotAllowed),
            None => Access::Allowed,
        };
        let mut masks = self.masks;
        masks.retain(|column, _| !hidden.contains_key(column));
        // Through a custom mask another column would be seen that is hidden here, or masked. That such a mask is not the
        // strictest brings nothing back.
        let covered: BTreeSet<String> = hidden.keys().chain(masks.keys()).cloned().collect();
        for (column, held) in &mut masks {
            let is_covered = |shown: &String| shown != column && covered.contains(shown);
            if self.shown.get(column).is_some_and(|shown| shown.iter().any(is_covered)) {
                held.mask = Mask::NullValue;
            }
        }
        Decision { access, row_filters: self.row_filters, masks, hidden, limits: self.limits, applied: self.applied }
    }

    /// By the exact name, else by the only name that differs in case alone.
    fn lookup(&self, name: &str) -> Lookup<'a> {
        if let Some(column) = self.columns.iter().find(|column| column.name == name) {
            return Lookup::Found(column);
        }
        let mut alike = self.columns.iter().filter(|column| column.name.eq_ignore_ascii_case(name));
        match (alike.next(), alike.next()) {
            (Some(column), None) => Lookup::Found(column),
            (None, _) => Lookup::Missing,
            (Some(_), Some(_)) => Lookup::Ambiguous,
        }
    }

    fn resolve(&self, name: &str) -> Result<&'a ColumnInfo, String> {
        match self.lookup(name) {
            Lookup::Found(column) => Ok(column),
            Lookup::Missing => Err(format!("the table has no column {name}")),
            Lookup::Ambiguous => Err(format!("several columns of the table are called {name}")),
        }
    }
}

/// The rows that all filters let through, as one condition; `None` where nothing filters.
pub fn conjunction(filters: &[RowFilter]) -> Option<Bound> {
    let mut parts: Vec<Condition<Literal>> = Vec::with_capacity(filters.len());
    for filter in filters {
        match &filter.rows {
            Bound::NoRows { .. } => return Some(filter.rows.clone()),
            Bound::Rows(condition) => parts.push(condition.clone()),
        }
    }
    match parts.len() {
        0 => None,
        1 => parts.pop().map(Bound::Rows),
        _ => Some(Bound::Rows(Condition::And(parts))),
    }
}

#[cfg(test)]
#[path = "decision_tests.rs"]
mod tests;
