//! `GET /api/v1/policies/{policy_id}/evaluations`: the record of what a policy did, also of one that is deleted.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{
    DataSourceId, Error, ErrorCode, Page, Permission, PolicyId, PolicyRuleId, QueryId, Result, UserId,
};
use rivergen_platform::{
    db::{TenantScope, count_up},
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Policies,
    decision::{ActionTaken, EvaluationResult},
    evaluation::entry::{Column, Entity, Model},
    store,
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Filter {
    /// Only queries of this person.
    pub user_id: Option<UserId>,
    /// Only this query.
    pub query_id: Option<QueryId>,
    /// From this time on; ISO 8601 with a time zone.
    #[param(format = DateTime, example = "2024-12-01T00:00:00Z")]
    pub start_date: Option<String>,
    /// Up to this time; ISO 8601 with a time zone.
    #[param(format = DateTime, example = "2024-12-31T23:59:59Z")]
    pub end_date: Option<String>,
}

/// What a policy did to a query.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyEvaluation {
    #[schema(examples(1))]
    pub id: i64,
    pub policy_id: PolicyId,
    /// Where the policy has one rule.
    pub policy_rule_id: Option<PolicyRuleId>,
    pub user_id: UserId,
    pub query_id: Option<QueryId>,
    pub data_source_id: Option<DataSourceId>,
    /// Always null: a query of the source is recorded.
    pub dataset_id: Option<i64>,
    pub evaluation_result: EvaluationResult,
    pub action_taken: ActionTaken,
    pub evaluation_details: EvaluationDetails,
    pub evaluated_at: DateTime<Utc>,
    #[schema(examples("203.0.113.9"))]
    pub ip_address: Option<String>,
    /// How the query came and ended.
    #[schema(value_type = Object)]
    pub metadata: serde_json::Value,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct EvaluationDetails {
    /// Always null: the rows that a filter hides are not read, so nobody counts them.
    pub rows_filtered: Option<i64>,
    /// Null if the query did not succeed.
    #[schema(examples(12))]
    pub rows_returned: Option<i64>,
}

impl PolicyEvaluation {
    fn new(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            policy_id: row.policy_id,
            policy_rule_id: row.policy_rule_id,
            user_id: row.user_id,
            query_id: row.query_id,
            data_source_id: row.data_source_id,
            dataset_id: None,
            evaluation_result: row.result()?,
            action_taken: row.action()?,
            evaluation_details: EvaluationDetails { rows_filtered: None, rows_returned: row.rows_returned },
            evaluated_at: row.evaluated_at,
            ip_address: row.ip_address,
            metadata: row.metadata,
        })
    }
}

errors! { pub EvaluationsErrors: BadRequest, Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError; }

/// List the evaluations of a policy
#[utoipa::path(get, path = "/api/v1/policies/{policy_id}/evaluations", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy"), Filter, PageQuery),
    responses((status = 200, description = "Latest first; `total_items` counts to 10000", body = Envelope<Page<PolicyEvaluation>>), EvaluationsErrors))]
pub async fn get_policy_evaluations(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    Path(policy_id): Path<PolicyId>,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<PolicyEvaluation>>> {
    let tenant = caller.require(Permission::PolicyRead)?;
    let page = page.request()?;
    let start = filter.start_date.as_deref().map(|text| time("start_date", text)).transpose()?;
    let end = filter.end_date.as_deref().map(|text| time("end_date", text)).transpose()?;
    if start.zip(end).is_some_and(|(start, end)| start > end) {
        return Err(Error::new(ErrorCode::BadRequest).with_message("The start_date is later than the end_date."));
    }
    let db = policies.platform.db.read();
    store::find_with_history(db, tenant, policy_id, policies.platform.clock.now()).await?;
    // Index: policy_evaluations(policy_id, id).
    let mut query = tenant.find::<Entity>().filter(Column::PolicyId.eq(policy_id));
    if let Some(user) = filter.user_id {
        query = query.filter(Column::UserId.eq(user));
    }
    if let Some(id) = filter.query_id {
        query = query.filter(Column::QueryId.eq(id));
    }
    if let Some(start) = start {
        query = query.filter(Column::EvaluatedAt.gte(start));
    }
    if let Some(end) = end {
        query = query.filter(Column::EvaluatedAt.lte(end));
    }
    let total = count_up(db, query.clone(), page).await?;
    let rows = query.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    let items = rows.into_iter().map(PolicyEvaluation::new).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "What the policy did."))
}

/// ISO 8601 with a zone. A `+` before the zone that was sent unescaped arrives as a space.
fn time(field: &'static str, text: &str) -> Result<DateTime<Utc>> {
    let parse = |text: &str| DateTime::parse_from_rfc3339(text).ok();
    parse(text)
        .or_else(|| {
            let (time, zone) = text.rsplit_once(' ')?;
            parse(&format!("{time}+{zone}"))
        })
        .map(|time| time.to_utc())
        .ok_or_else(|| Error::invalid_field(field, "is not a time such as 2024-12-01T00:00:00Z"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_a_zone() {
        let expected = DateTime::from_timestamp(1_733_011_200, 0).unwrap();
        for text in ["2024-12-01T00:00:00Z", "2024-12-01T01:00:00+01:00", "2024-12-01T01:00:00 01:00"] {
            assert_eq!(time("start_date", text).unwrap(), expected, "{text}");
        }
        for text in ["", "2024-12-01", "2024-12-01T00:00:00", "yesterday"] {
            assert_eq!(time("start_date", text).unwrap_err().code, ErrorCode::ValidationError, "{text}");
        }
    }
}
