//! `GET /api/v1/organizations/{org_id}/audit-logs`: what happened in an organization, the newest first.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{Error, OrganizationId, Permission, Result, UserId};
use rivergen_platform::{
    audit::{
        self, AuditRecord,
        log::{Column, Entity, Model},
    },
    db::{TenantScope, begins_with},
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, Condition, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::{IntoParams, ToSchema};

use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct AuditQuery {
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    #[garde(inner(range(min = 1, max = 500)))]
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<u64>,
    /// Who did it.
    pub actor_id: Option<UserId>,
    /// What it was done to: `role`, `policy`, …
    #[garde(inner(length(max = 100)))]
    pub target_type: Option<String>,
    /// Goes with `target_type`.
    #[garde(inner(length(max = 255)))]
    pub target: Option<String>,
}

/// What happened, and when.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Happened {
    /// An action (`policy.create`), or the beginning of several with its dot (`policy.`).
    #[garde(inner(length(max = 100)))]
    pub action: Option<String>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
}

impl Happened {
    pub(crate) fn condition(&self) -> Condition {
        let action = self.action.as_deref().map(|action| match action.ends_with('.') {
            true => begins_with(Column::Action, action),
            false => Column::Action.eq(action),
        });
        Condition::all()
            .add_option(action)
            .add_option(self.from.map(|from| Column::OccurredAt.gte(from)))
            .add_option(self.to.map(|to| Column::OccurredAt.lt(to)))
    }
}

/// One thing that happened.
#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntry {
    pub id: i64,
    pub at: DateTime<Utc>,
    pub actor_id: Option<UserId>,
    /// `user`, `system` or `anonymous`.
    #[schema(examples("user"))]
    pub actor_type: String,
    #[schema(examples("policy.create"))]
    pub action: String,
    /// `success` or `failure`.
    #[schema(examples("success"))]
    pub outcome: String,
    #[schema(examples("policy"))]
    pub target_type: Option<String>,
    #[schema(examples("17"))]
    pub target_id: Option<String>,
    #[schema(examples("203.0.113.9"))]
    pub ip: Option<String>,
    pub user_agent: Option<String>,
    #[schema(value_type = Object)]
    pub details: Value,
}

impl From<Model> for AuditEntry {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            at: row.occurred_at,
            actor_id: row.actor_user_id,
            actor_type: row.actor_kind,
            action: row.action,
            outcome: row.outcome,
            target_type: row.target_kind,
            target_id: row.target_id,
            ip: row.ip,
            user_agent: row.user_agent,
            details: serde_json::from_str(&row.details).unwrap_or_default(),
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct AuditEntries {
    pub entries: Vec<AuditEntry>,
    /// For the next page; `null` on the last one.
    #[schema(examples("1041"))]
    pub next_cursor: Option<String>,
    pub message: &'static str,
}

errors! { pub AuditErrors: Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// Read the audit records of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/audit-logs", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), AuditQuery, Happened),
    responses((status = 200, description = "The newest first; that somebody read them is recorded too", body = Envelope<AuditEntries>), AuditErrors))]
pub async fn list_audit_logs(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Query(query): Query<AuditQuery>,
    Query(happened): Query<Happened>,
) -> Result<Reply<AuditEntries>> {
    let platform = &tenancy.identity.platform;
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::AuditRead)?;
    let limit = query.limit.unwrap_or(100);
    let before = query.cursor.as_deref().map(str::parse::<i64>).transpose();
    let before = before.map_err(|_| Error::invalid_field("cursor", "is not a cursor that a page has given"))?;
    // Index: audit_log(organization_id, id); with an actor or a target, theirs.
    let mut rows = tenant
        .find::<Entity>()
        .filter(happened.condition())
        .filter(
            Condition::all()
                .add_option(before.map(|before| Column::Id.lt(before)))
                .add_option(query.actor_id.map(|actor| Column::ActorUserId.eq(actor)))
                .add_option(query.target_type.map(|kind| Column::TargetKind.eq(kind)))
                .add_option(query.target.map(|id| Column::TargetId.eq(id))),
        )
        .order_by_desc(Column::Id)
        .limit(limit + 1)
        .all(platform.db.read())
        .await?;
    let has_next = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_cursor = rows.last().filter(|_| has_next).map(|row| row.id.to_string());
    let tx = platform.db.begin().await?;
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "audit.read");
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "What happened in the organization.";
    let entries = rows.into_iter().map(AuditEntry::from).collect();
    Ok(Reply::ok(AuditEntries { entries, next_cursor, message }, message))
}
