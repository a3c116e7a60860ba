//! What a decision lets somebody see of a table, in words and with the policies that decided it.

use rivergen_kernel::PolicyId;
use rivergen_policies::{
    condition::Bound,
    decision::{Access, Decision, Denial, Hidden, PolicyRef, RowFilter},
    mask::{Mask, MaskingFunction},
    rule::QueryLimits,
};
use serde::Serialize;
use utoipa::ToSchema;

/// What someone sees of one table.
#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SeenTable {
    /// Whether they may read it at all.
    pub allowed: bool,
    /// Why not.
    #[schema(examples("The policy “No salaries” closes the table."))]
    pub denied_because: Option<String>,
    /// A row is seen where all of them are true of it.
    pub row_filters: Vec<SeenFilter>,
    pub masked_columns: Vec<SeenMask>,
    pub hidden_columns: Vec<SeenHidden>,
    pub limits: SeenLimits,
}

/// A policy by its name; without an id if it is a draft.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct NamedPolicy {
    pub policy_id: Option<PolicyId>,
    #[schema(examples("Own region only"))]
    pub policy_name: String,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SeenFilter {
    #[serde(flatten)]
    pub policy: NamedPolicy,
    /// As the policy has it.
    #[schema(examples("region = current_user_region"))]
    pub condition: String,
    /// With the person's own attributes in it.
    #[schema(examples("region is 'EU'"))]
    pub in_words: String,
    /// No row at all: the person lacks what the condition asks for.
    pub hides_all_rows: bool,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SeenMask {
    #[schema(examples("email"))]
    pub column: String,
    pub masking_function: MaskingFunction,
    #[schema(examples("only the first letter and the domain of the address are shown"))]
    pub in_words: String,
    #[serde(flatten)]
    pub policy: NamedPolicy,
}

#[derive(Debug, Clone, PartialEq, Serialize, ToSchema)]
pub struct SeenHidden {
    #[schema(examples("salary"))]
    pub column: String,
    /// None if only a policy can allow the column, and none does.
    pub policy: Option<NamedPolicy>,
}

/// Bounds that policies set; null is no bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct SeenLimits {
    pub max_rows: Option<u64>,
    pub max_execution_seconds: Option<u64>,
    pub max_queries_per_hour: Option<u64>,
}

impl From<&PolicyRef> for NamedPolicy {
    fn from(policy: &PolicyRef) -> Self {
        Self { policy_id: (policy.id.0 > 0).then_some(policy.id), policy_name: policy.name.clone() }
    }
}

impl From<QueryLimits> for SeenLimits {
    fn from(limits: QueryLimits) -> Self {
        let QueryLimits { max_rows, max_execution_seconds, max_queries_per_hour } = limits;
        Self { max_rows, max_execution_seconds, max_queries_per_hour }
    }
}

impl SeenTable {
    /// For administrators: it tells conditions and names hidden columns.
    pub fn of(decision: &Decision) -> Self {
        let filters = decision.row_filters.iter().map(|filter| SeenFilter {
            policy: (&filter.policy).into(),
            condition: filter.written.to_string(),
            in_words: match &filter.rows {
                Bound::Rows(rows) => rows.in_words(),
                Bound::NoRows { missing_attribute } => format!("no row: the person has no {missing_attribute}"),
            },
            hides_all_rows: matches!(filter.rows, Bound::NoRows { .. }),
        });
        let masks = decision.masks.iter().map(|(column, held)| SeenMask {
            column: column.clone(),
            masking_function: held.mask.function(),
            in_words: held.mask.in_words(),
            policy: (&held.policy).into(),
        });
        let hidden = decision.hidden.iter().map(|(column, why)| SeenHidden {
            column: column.clone(),
            policy: match why {
                Hidden::ByPolicy(policy) => Some(policy.into()),
                Hidden::NotAllowed => None,
            },
        });
        Self {
            allowed: decision.is_allowed(),
            denied_because: match &decision.access {
                Access::Allowed => None,
                Access::Denied(denial) => Some(why_denied(denial, true)),
            },
            row_filters: filters.collect(),
            masked_columns: masks.collect(),
            hidden_columns: hidden.collect(),
            limits: decision.limits.into(),
        }
    }
}

/// Why a table is closed. What is wrong with a policy names columns, and is for administrators alone.
pub(crate) fn why_denied(denial: &Denial, for_administrators: bool) -> String {
    match denial {
        Denial::ByPolicy(policy) => format!("The policy “{}” closes the table.", policy.name),
        Denial::NotAllowed => "Only a policy can allow this table, and none does.".to_owned(),
        Denial::CannotApply { policy, reason } if for_administrators => {
            format!("The policy “{}” cannot be applied to the table, which stays closed: {reason}.", policy.name)
        }
        Denial::CannotApply { policy, .. } => format!(
            "The policy “{}” cannot be applied to the table, which stays closed; tell your administrator.",
            policy.name
        ),
    }
}

/// Why a sample as somebody else may not be shown to the one who asks: it would tell them more than they may see
/// themselves.
pub(crate) fn would_tell_more(own: &Decision, theirs: &Decision) -> Option<&'static str> {
    if !own.is_allowed() {
        return Some("you may not read this table yourself");
    }
    let is_theirs = |filter: &RowFilter| theirs.row_filters.iter().any(|other| other.rows == filter.rows);
    if !own.row_filters.iter().all(is_theirs) {
        return Some("you see different rows of this table than the person does");
    }
    if !own.hidden.keys().all(|column| theirs.hidden.contains_key(column)) {
        return Some("the person sees columns that are hidden from you");
    }
    let tells_nothing = |mask: &Mask| matches!(mask, Mask::NullValue | Mask::Redact | Mask::Constant { .. });
    let covered = |column: &String, mask: &Mask| {
        let same = theirs.masks.get(column).is_some_and(|held| held.mask == *mask || tells_nothing(&held.mask));
        same || theirs.hidden.contains_key(column)
    };
    if !own.masks.iter().all(|(column, held)| covered(column, &held.mask)) {
        return Some("the person sees columns that are masked for you");
    }
    let are_others = |filter: &&RowFilter| !own.row_filters.iter().any(|held| held.rows == filter.rows);
    if theirs.row_filters.iter().filter(are_others).any(|filter| !filter.written.tables().is_empty()) {
        return Some("which rows the person sees depends on another table");
    }
    let of_masks = theirs.masks.values().flat_map(|held| held.mask.columns());
    let is_covered = |column: &str| own.masks.contains_key(column) || own.hidden.contains_key(column);
    if of_masks.into_iter().any(is_covered) {
        return Some("a mask is computed from columns that are masked for you or hidden from you");
    }
    // A filter over what the caller sees masked, or not at all, would tell of it by which rows come.
    let reads_hidden =
        theirs.row_filters.iter().filter(are_others).flat_map(|filter| filter.written.columns()).any(is_covered);
    reads_hidden.then_some("which rows the person sees depends on columns that are masked for you or hidden from you")
}
