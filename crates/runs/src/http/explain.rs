//! `POST /api/v1/policies/explain`: why the caller sees of a table what they see: each policy that acts on it, by name,
//! with what it does.
//!
//! It tells no more than the caller's own queries would: not what a filter compares with, and not how many rows it hides.
//! To nobody but those who may read policies is a hidden column told apart from one that does not exist, however it is
//! written; nor are they told which columns a closed table has.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, FieldError, Permission, Result};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Reply, SignedIn},
};
use rivergen_policies::{
    condition::Bound,
    decision::{Access, Decision, Denial, Hidden, PolicyRef},
    rule::TablePattern,
};
use rivergen_sources::access;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Engine,
    seen::{NamedPolicy, SeenLimits, why_denied},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"data_source_id": 3, "table": "customers", "column": "email"}))]
pub struct ExplainRequest {
    pub data_source_id: DataSourceId,
    /// `customers`, `public.customers` or `crm.public.customers`.
    #[garde(length(chars, min = 1, max = 500))]
    pub table: String,
    /// Only what acts on this column, beside what acts on the table as a whole.
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub column: Option<String>,
}

/// Why it is so.
#[derive(Debug, Serialize, ToSchema)]
pub struct Explanation {
    #[schema(examples("crm.public.customers"))]
    pub table: String,
    pub column: Option<String>,
    /// Whether the caller sees the table, or the column, at all.
    pub visible: bool,
    /// Whether a row filter hides rows of the table from the caller.
    pub rows_filtered: bool,
    pub effects: Vec<PolicyEffect>,
    pub limits: SeenLimits,
}

/// What one policy does here.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyEffect {
    /// None if it is not due to a policy, but because no policy allows it.
    pub policy: Option<NamedPolicy>,
    pub effect: EffectKind,
    pub column: Option<String>,
    #[schema(examples("The policy “Own region only” hides rows."))]
    pub explanation: String,
    /// The filter as the policy has it; for those who may read policies.
    #[schema(examples("region = current_user_region"))]
    pub condition: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum EffectKind {
    ClosesTable,
    /// The policy cannot be applied, and that closes the table.
    CannotBeApplied,
    /// Nothing allows it, where something would have to.
    NotAllowed,
    HidesColumn,
    MasksColumn,
    FiltersRows,
    /// The filter asks for an attribute that the caller lacks.
    HidesAllRows,
}

errors! { pub ExplainErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError,
ConnectionError, QueryTimeout, InternalError; }

/// Explain why a table, a column or rows are hidden from the caller
#[utoipa::path(post, path = "/api/v1/policies/explain", tag = "policies", request_body = ExplainRequest,
    responses((status = 200, description = "Each policy that acts on it, with what it does", body = Envelope<Explanation>), ExplainErrors))]
pub async fn explain_policies(
    State(engine): State<Engine>,
    SignedIn(caller): SignedIn,
    Json(request): Json<ExplainRequest>,
) -> Result<Reply<Explanation>> {
    let access = access::Access::of(&caller, Permission::DataSourceQuery)?;
    let tenant = access.tenant();
    let for_administrators = caller.may(Permission::PolicyRead);
    let source = engine.sources.find(&access, request.data_source_id).await?;
    let pattern =
        TablePattern::parse(Some(&request.table)).map_err(|error| Error::invalid_field(error.field, error.reason))?;
    let catalogue = engine.catalogue(&caller, tenant, vec![source]).await?;
    let mut named = catalogue.tables.iter().filter(|table| pattern.matches(&table.name));
    let table = match (named.next(), named.next()) {
        (Some(table), None) => table,
        (None, _) => return Err(missing("table", "is not a table of the source")),
        (Some(_), Some(_)) => {
            return Err(Error::invalid_field("table", "matches several tables; write the schema before it"));
        }
    };
    let decision = &table.decision;
    let column = request.column.map(|column| {
        let is_told = |name: &&String| for_administrators || table.shows(name);
        let known = table.discovered.columns.iter().map(|known| &known.name).filter(is_told);
        let exact = known.clone().find(|known| **known == column);
        exact.or_else(|| known.clone().find(|known| known.eq_ignore_ascii_case(&column))).cloned().ok_or(column)
    });
    let exists = column.as_ref().is_none_or(Result::is_ok);
    if !exists && for_administrators {
        return Err(missing("column", "is not a column of the table"));
    }
    let column = column.map(|column| column.unwrap_or_else(|unknown| unknown));
    let is_hidden = column.as_ref().is_some_and(|column| !exists || !table.shows(column));
    let explanation = Explanation {
        visible: decision.is_allowed() && !is_hidden,
        rows_filtered: !decision.row_filters.is_empty() && (decision.is_allowed() || for_administrators),
        effects: effects(decision, column.as_deref(), for_administrators),
        limits: decision.limits.into(),
        table: table.name.to_string(),
        column,
    };
    Ok(Reply::ok(explanation, "Why it is so."))
}

fn missing(field: &'static str, reason: &'static str) -> Error {
    Error::new(ErrorCode::NotFound).with_details(vec![FieldError::new(field, reason)])
}

fn effects(decision: &Decision, column: Option<&str>, for_administrators: bool) -> Vec<PolicyEffect> {
    let mut effects = Vec::new();
    let mut add = |policy: Option<&PolicyRef>, effect, column: Option<&str>, explanation: String, condition| {
        let column = column.map(str::to_owned);
        effects.push(PolicyEffect { policy: policy.map(NamedPolicy::from), effect, column, explanation, condition });
    };
    if let Access::Denied(denial) = &decision.access {
        let (policy, effect) = match denial {
            Denial::ByPolicy(policy) => (Some(policy), EffectKind::ClosesTable),
            Denial::CannotApply { policy, .. } => (Some(policy), EffectKind::CannotBeApplied),
            Denial::NotAllowed => (None, EffectKind::NotAllowed),
        };
        add(policy, effect, None, why_denied(denial, for_administrators), None);
        // What the other policies do names columns, and for this caller the table has none.
        if !for_administrators {
            return effects;
        }
    }
    let asked = |name: &String| column.is_none_or(|column| column == name);
    if for_administrators {
        for (name, why) in decision.hidden.iter().filter(|(name, _)| asked(name)) {
            match why {
                Hidden::ByPolicy(policy) => {
                    let text = format!("The policy “{}” hides the column.", policy.name);
                    add(Some(policy), EffectKind::HidesColumn, Some(name), text, None);
                }
                Hidden::NotAllowed => {
                    let text = "Only a policy can allow this column, and none does.".to_owned();
                    add(None, EffectKind::NotAllowed, Some(name), text, None);
                }
            }
        }
    } else {
        // Which columns they are is not told, nor whether the one that is asked for is among them.
        let mut hiding: Vec<Option<&PolicyRef>> = Vec::new();
        for why in decision.hidden.values() {
            let policy = match why {
                Hidden::ByPolicy(policy) => Some(policy),
                Hidden::NotAllowed => None,
            };
            if !hiding.contains(&policy) {
                hiding.push(policy);
            }
        }
        for policy in hiding {
            match policy {
                Some(policy) => {
                    let text = format!("The policy “{}” hides columns of this table.", policy.name);
                    add(Some(policy), EffectKind::HidesColumn, None, text, None);
                }
                None => {
                    let text = "Only the columns of this table that a policy allows are shown.".to_owned();
                    add(None, EffectKind::NotAllowed, None, text, None);
                }
            }
        }
    }
    for (name, held) in decision.masks.iter().filter(|(name, _)| asked(name)) {
        let text = format!("The policy “{}” masks the column: {}.", held.policy.name, held.mask.in_words());
        add(Some(&held.policy), EffectKind::MasksColumn, Some(name), text, None);
    }
    for filter in &decision.row_filters {
        let condition = for_administrators.then(|| filter.written.to_string());
        let name = &filter.policy.name;
        let (effect, text) = match &filter.rows {
            Bound::Rows(_) => (EffectKind::FiltersRows, format!("The policy “{name}” hides rows.")),
            Bound::NoRows { missing_attribute } => (
                EffectKind::HidesAllRows,
                format!("The policy “{name}” hides all rows: it asks for your {missing_attribute}, which is not set."),
            ),
        };
        add(Some(&filter.policy), effect, None, text, condition);
    }
    effects
}
