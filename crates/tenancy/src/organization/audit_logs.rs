//! `GET /api/v1/organizations/{org_id}/audit-logs`: what happened in an organization, the newest first.
//!
//! Asked for as `application/x-ndjson` it is the export of [`rivergen_platform::audit::export`]: the oldest first, every field
//! that is hashed, all records in one answer that is read from the database while it is sent. Without filters it ends with
//! the head of the chain, which is the record of the export itself.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, TimeDelta, Utc};
use futures::TryStreamExt;
use garde::Validate;
use rivergen_kernel::{Error, OrganizationId, Permission, Result, Tenant, UserId};
use rivergen_platform::{
    audit::{
        self, Actor, AuditRecord, Chain, Extent, Rows, TargetKind, actions,
        log::{Column, Entity, Model, about},
    },
    db::{TenantScope, begins_with},
    errors,
    http::{Envelope, Path, Query, Reply, RequestOrigin, SignedIn, preferred},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, Order, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait, Func},
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::{IntoParams, ToSchema};

use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct AuditQuery {
    /// `next_cursor` of the previous page. An export has no pages.
    pub cursor: Option<String>,
    #[garde(inner(range(min = 1, max = 500)))]
    #[param(minimum = 1, maximum = 500, default = 100)]
    pub limit: Option<u64>,
    /// Who did it.
    pub actor_id: Option<UserId>,
    /// What it was done to: `role`, `policy`, …, one of the `target_types` of the answer. With a `user` come the roles that they
    /// were given and that were taken from them.
    #[garde(inner(length(max = 100)))]
    pub target_type: Option<String>,
    /// Goes with `target_type`.
    #[garde(inner(length(max = 255)))]
    pub target: Option<String>,
}

impl AuditQuery {
    fn condition(&self, backend: DbBackend) -> Condition {
        let by = Condition::all().add_option(self.actor_id.map(|actor| Column::ActorUserId.eq(actor)));
        let (kind, id) = (self.target_type.as_deref(), self.target.as_deref());
        match id.filter(|_| kind == Some("user")).and_then(|id| id.parse::<i64>().ok()) {
            Some(user) => by.add(about(backend, UserId(user))),
            None => by
                .add_option(kind.map(|kind| Column::TargetKind.eq(kind)))
                .add_option(id.map(|id| Column::TargetId.eq(id))),
        }
    }
}

/// What happened, and when.
#[derive(Debug, Default, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
#[garde(allow_unvalidated)]
pub struct Happened {
    /// An action (`policy.create`), or the common beginning of several with its dot (`policy.`).
    #[garde(inner(length(max = 100)))]
    pub action: Option<String>,
    /// Inclusive.
    pub from: Option<DateTime<Utc>>,
    /// Exclusive.
    pub to: Option<DateTime<Utc>>,
}

impl Happened {
    pub(crate) fn condition(&self) -> Condition {
        self.time().add_option(self.is_of_action())
    }

    fn is_of_action(&self) -> Option<Expr> {
        self.action.as_deref().map(|action| match action.ends_with('.') {
            true => begins_with(Column::Action, action),
            false => Column::Action.eq(action),
        })
    }

    /// The actions that are asked for, of those that the log has; `None`: all.
    async fn actions(&self, db: &impl ConnectionTrait, tenant: Tenant) -> Result<Option<Vec<String>>> {
        let Some(action) = &self.action else { return Ok(None) };
        Ok(Some(match action.strip_suffix('.') {
            Some(subject) => actions::of_subject(db, tenant, subject).await?,
            None => vec![action.clone()],
        }))
    }

    fn time(&self) -> Condition {
        self.time_of(Column::OccurredAt.into_expr())
    }

    fn time_of(&self, at: Expr) -> Condition {
        Condition::all()
            .add_option(self.from.map(|from| at.clone().gte(from)))
            .add_option(self.to.map(|to| at.clone().lt(to)))
    }

    /// The same for a page, and between which records those of its time lie, so that it walks along no others however
    /// long ago that was. Index: audit_log(organization_id, occurred_at, id).
    ///
    /// That index is for the two ends alone. To a database that knows how many records lie between the ids, and how
    /// many are of the time, next to none seem to be both, and it would read all that are of the time and sort them. So
    /// it is not told that the time is the one of the index.
    async fn span(&self, db: &impl ConnectionTrait, tenant: Tenant) -> Result<Condition> {
        let by_time = || tenant.find::<Entity>().select_only().column(Column::Id).limit(1);
        let at = Column::OccurredAt.into_expr();
        let mut span = self.time_of(Func::coalesce([at.clone(), at]).into());
        if let Some(early) = self.from.and_then(|from| from.checked_sub_signed(SLACK)) {
            let before = by_time().filter(Column::OccurredAt.lt(early));
            let last = before.order_by_desc(Column::OccurredAt).order_by_desc(Column::Id);
            span = span.add_option(last.into_tuple::<i64>().one(db).await?.map(|id| Column::Id.gt(id)));
        }
        if let Some(late) = self.to.and_then(|to| to.checked_add_signed(SLACK)) {
            let after = by_time().filter(Column::OccurredAt.gte(late));
            let first = after.order_by_asc(Column::OccurredAt).order_by_asc(Column::Id);
            span = span.add_option(first.into_tuple::<i64>().one(db).await?.map(|id| Column::Id.lt(id)));
        }
        Ok(span)
    }
}

/// Records stand in the order in which they were written; so much may lie between that and the time that a record tells:
/// its wait for the chain, and what the nodes' clocks differ by.
const SLACK: TimeDelta = TimeDelta::minutes(10);

/// Which records are asked for.
struct Asked {
    backend: DbBackend,
    tenant: Tenant,
    condition: Condition,
    /// They are of one of these, each of which is looked up by itself.
    actions: Option<Vec<String>>,
}

impl Asked {
    /// Of those that happened `when`.
    async fn new(
        db: &impl ConnectionTrait,
        tenant: Tenant,
        query: &AuditQuery,
        happened: &Happened,
        when: Condition,
    ) -> Result<Self> {
        let backend = db.get_database_backend();
        let by = query.condition(backend);
        // What somebody did, and what was done to one thing, have indexes of their own, which find less.
        let actions = match query.actor_id.is_none() && query.target.is_none() {
            true => happened.actions(db, tenant).await?,
            false => None,
        };
        let action = happened.is_of_action().filter(|_| actions.is_none());
        let condition = when.add_option(action).add(by);
        Ok(Self { backend, tenant, condition, actions })
    }

    /// The first of them within a condition, or all: whoever asks limits them once more, and orders them by their ids.
    fn first(&self, within: Condition, order: &Order, limit: u64) -> Select<Entity> {
        let condition = self.condition.clone().add(within);
        let rows = self.tenant.find::<Entity>();
        match &self.actions {
            Some(actions) => {
                rows.filter(actions::among_first(self.backend, self.tenant, actions, &condition, order, limit))
            }
            None => rows.filter(condition),
        }
    }

    /// All of them, for an export.
    fn all(self) -> Rows {
        if self.actions.is_none() {
            return Rows::Along(Box::new(self.tenant.find::<Entity>().filter(self.condition)));
        }
        Rows::Behind(Box::new(move |id, limit| self.first(Condition::all().add(Column::Id.gt(id)), &Order::Asc, limit)))
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
    /// Everything that an organization's records can be about: the values of `target_type`.
    pub target_types: Vec<TargetKind>,
    pub message: &'static str,
}

errors! { pub AuditErrors: Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError; }

/// Read the audit records of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/audit-logs", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), AuditQuery, Happened),
    responses(
        (status = 200, description = "The newest first; reading them is recorded too. As `application/x-ndjson`, an export that can be verified: all records, the oldest first, one per line", content(
            (Envelope<AuditEntries> = "application/json"), (String = "application/x-ndjson"))),
        AuditErrors))]
pub async fn list_audit_logs(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    headers: HeaderMap,
    Query(query): Query<AuditQuery>,
    Query(happened): Query<Happened>,
) -> Result<Response> {
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::AuditRead)?;
    let actor = origin.actor(caller.user_id);
    if preferred(&headers, &["application/json", audit::MEDIA_TYPE]) == Some(audit::MEDIA_TYPE) {
        return export(&tenancy, tenant, actor, &query, &happened).await;
    }
    Ok(page(&tenancy, tenant, actor, &query, &happened).await?.into_response())
}

async fn page(
    tenancy: &Tenancy,
    tenant: Tenant,
    actor: Actor,
    query: &AuditQuery,
    happened: &Happened,
) -> Result<Reply<AuditEntries>> {
    let platform = &tenancy.identity.platform;
    let limit = query.limit.unwrap_or(100);
    let before = query.cursor.as_deref().map(str::parse::<i64>).transpose();
    let before = before.map_err(|_| Error::invalid_field("cursor", "is not a cursor from an earlier page"))?;
    let db = platform.db.read();
    let when = happened.span(db, tenant).await?;
    let asked = Asked::new(db, tenant, query, happened, when).await?;
    let within = Condition::all().add_option(before.map(|before| Column::Id.lt(before)));
    // Index: audit_log(organization_id, id); with an action, an actor or a target, theirs.
    let mut rows =
        asked.first(within, &Order::Desc, limit + 1).order_by_desc(Column::Id).limit(limit + 1).all(db).await?;
    let has_next = rows.len() as u64 > limit;
    rows.truncate(usize::try_from(limit).unwrap_or(usize::MAX));
    let next_cursor = rows.last().filter(|_| has_next).map(|row| row.id.to_string());
    let tx = platform.db.begin().await?;
    audit::record(&tx, &platform.clock, AuditRecord::new(Some(tenant.id()), actor, "audit.read")).await?;
    tx.commit().await?;
    let message = "What happened in the organization.";
    let entries = rows.into_iter().map(AuditEntry::from).collect();
    let target_types = TargetKind::of_organizations().collect();
    Ok(Reply::ok(AuditEntries { entries, next_cursor, target_types, message }, message))
}

async fn export(
    tenancy: &Tenancy,
    tenant: Tenant,
    actor: Actor,
    query: &AuditQuery,
    happened: &Happened,
) -> Result<Response> {
    let platform = &tenancy.identity.platform;
    for (field, given) in [("cursor", query.cursor.is_some()), ("limit", query.limit.is_some())] {
        if given {
            return Err(Error::invalid_field(field, "cannot be combined with an export, which has no pages"));
        }
    }
    let filters = json!({"actor_id": query.actor_id, "target_type": query.target_type, "target": query.target,
        "action": happened.action, "from": happened.from, "to": happened.to});
    let is_whole = filters.as_object().is_some_and(|filters| filters.values().all(Value::is_null));
    let extent = if is_whole { Extent::Whole } else { Extent::Selected };

    // In the transaction that records the export, which holds the chain: its head is that record.
    let tx = platform.db.begin().await?;
    let record = AuditRecord::new(Some(tenant.id()), actor, "audit.export").details(json!({"filters": filters}));
    audit::record(&tx, &platform.clock, record).await?;
    let head = audit::head(tx.conn(), Chain::of(Some(tenant.id()))).await?;
    let head = head.ok_or_else(|| Error::internal("a chain that was just written to has no head"))?;
    tx.commit().await?;

    let asked = Asked::new(platform.db.read(), tenant, query, happened, happened.time()).await?;
    let lines = audit::export(platform.db.clone(), asked.all(), head, extent)
        // The connection breaks off, so that nobody takes the half for the whole.
        .inspect_err(|error| tracing::error!(%error, "an export of the audit log broke off"));
    let name = format!("attachment; filename=\"audit-organization-{}.jsonl\"", tenant.id());
    let headers = [
        (header::CONTENT_TYPE, audit::MEDIA_TYPE.to_owned()),
        (header::CONTENT_DISPOSITION, name),
        (header::CACHE_CONTROL, "no-store".to_owned()),
        (header::VARY, "accept".to_owned()),
    ];
    Ok((headers, Body::from_stream(lines)).into_response())
}
