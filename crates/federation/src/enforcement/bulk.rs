//! `POST /api/v1/sso/enforcement/bulk-action/{organization_id}`: one step of the migration for chosen members, or for all.

use axum::{
    body::Body,
    extract::State,
    http::{HeaderMap, header},
    response::{IntoResponse, Response},
};
use chrono::{DateTime, Utc};
use futures::{Stream, StreamExt, stream};
use garde::Validate;
use rivergen_kernel::{Caller, Error, ErrorCode, OrganizationId, Result, Tenant, UserId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Query, Reply, RequestOrigin, SignedIn, preferred},
};
use rivergen_tenancy::{member, organization};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, Select};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::{IntoParams, ToSchema};

use super::{
    mails::Letter,
    notice::{self, Kind},
    notify,
    people::{self, Readiness, Rules},
};
use crate::Federation;

/// Members of a report in one answer; as CSV it has them all.
const MOST_IN_JSON: u64 = 1_000;
/// Members that are read at once.
const BATCH: u64 = 500;

/// What to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum BulkAction {
    SendMfaReminders,
    SendSsoReminders,
    /// Who has what; no mail is sent.
    GenerateMigrationReport,
}

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BulkQuery {
    /// Which one.
    #[garde(skip)]
    #[param(inline, required = true)]
    action: Option<BulkAction>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = BulkActionRequest, example = json!({"user_ids": [7, 8]}))]
pub struct BulkRequest {
    /// Members; absent: all of them; empty: nobody.
    #[garde(inner(length(max = 1000)))]
    pub user_ids: Option<Vec<UserId>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct BulkDone {
    #[schema(inline)]
    pub action: BulkAction,
    /// Members who were e-mailed, or whom the report is about.
    #[schema(examples(25))]
    pub users_affected: u64,
    /// Of `generate_migration_report`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub report: Option<MigrationReport>,
    pub message: &'static str,
}

/// Who has what.
#[derive(Debug, Serialize, ToSchema)]
pub struct MigrationReport {
    pub users: Vec<ReportedUser>,
    pub totals: ReportTotals,
    /// Whether there are more than the 1,000 that one answer holds: ask for `text/csv`.
    pub truncated: bool,
    pub generated_at: DateTime<Utc>,
}

/// Of all members that were asked for.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReportTotals {
    pub users: u64,
    pub sso_linked: u64,
    pub mfa_enabled: u64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ReportedUser {
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    pub sso_linked: bool,
    pub mfa_enabled: bool,
    /// To this organization.
    pub last_login_at: Option<DateTime<Utc>>,
}

errors! { pub BulkErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, SsoRequired, OrganizationNotFound, ValidationError, RateLimited; }

/// Run one step of the migration for chosen members, or for all
///
/// With `Accept: text/csv` the report is a file of all members.
#[utoipa::path(post, path = "/api/v1/sso/enforcement/bulk-action/{organization_id}", tag = "sso_enforcement", request_body = BulkRequest,
    params(("organization_id" = OrganizationId, Path, description = "The organization"), BulkQuery),
    responses((status = 200, description = "Done; the e-mails are on their way",
        content((Envelope<BulkDone> = "application/json"), (String = "text/csv"))), BulkErrors))]
pub async fn bulk_action(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(organization_id): Path<OrganizationId>,
    Query(query): Query<BulkQuery>,
    headers: HeaderMap,
    Json(request): Json<BulkRequest>,
) -> Result<Response> {
    let (caller, tenant) = super::administer(&federation, &caller, organization_id).await?;
    let action = query.action.ok_or_else(|| Error::invalid_field("action", "is required"))?;
    let chosen = Chosen::of(&federation, tenant, request.user_ids).await?;
    let users_affected = match action {
        BulkAction::SendMfaReminders => remind(&federation, tenant, Kind::MfaSetup, chosen, &caller, &origin).await?,
        BulkAction::SendSsoReminders => {
            remind(&federation, tenant, Kind::SsoMigration, chosen, &caller, &origin).await?
        }
        BulkAction::GenerateMigrationReport => {
            return report(&federation, tenant, chosen, &caller, &origin, &headers).await;
        }
    };
    let message = "The reminders are on their way.";
    Ok(Reply::ok(BulkDone { action, users_affected, report: None, message }, message).into_response())
}

/// Whom it is about.
#[derive(Debug, Clone)]
enum Chosen {
    All,
    These(Vec<UserId>),
}

impl Chosen {
    /// 422 where one is no active member: so nobody learns whether an account is there.
    async fn of(federation: &Federation, tenant: Tenant, ids: Option<Vec<UserId>>) -> Result<Self> {
        let Some(mut ids) = ids else { return Ok(Self::All) };
        ids.sort_unstable();
        ids.dedup();
        let members = people::active(tenant).filter(member::Column::UserId.is_in(ids.iter().copied()));
        let count = members.count(federation.platform().db.read()).await?;
        match u64::try_from(ids.len()).is_ok_and(|asked| asked == count) {
            true => Ok(Self::These(ids)),
            false => {
                Err(Error::invalid_field("user_ids", "names someone who is not an active member of the organization"))
            }
        }
    }

    fn among(&self, members: Select<member::Entity>) -> Select<member::Entity> {
        match self {
            Self::All => members,
            Self::These(ids) => members.filter(member::Column::UserId.is_in(ids.iter().copied())),
        }
    }
}

/// Mails those of them whom the reminder concerns; 429 where all of these got it within a day.
async fn remind(
    federation: &Federation,
    tenant: Tenant,
    kind: Kind,
    chosen: Chosen,
    caller: &Caller,
    origin: &RequestOrigin,
) -> Result<u64> {
    let platform = federation.platform();
    let tx = platform.db.begin().await?;
    if matches!(chosen, Chosen::All) {
        let count = notify::announce(federation, &tx, tenant, kind, caller, origin).await?;
        tx.commit().await?;
        return Ok(count);
    }
    // Of two reminders at once, the second waits and finds that the first went out.
    organization::lock(&tx, tenant).await?;
    let row = super::organization_of(tx.conn(), tenant).await?;
    let enforcement = row.enforcement()?;
    let rules = Rules::of(&enforcement, super::mfa_mode(&row, &enforcement)?);
    let concerned = chosen.among(notice::concerned(kind, tenant, &rules));
    let due = notice::due(concerned.clone(), kind, tenant, platform.clock.now());
    let members = due.order_by_asc(member::Column::UserId).all(tx.conn()).await?;
    if members.is_empty() && concerned.limit(1).one(tx.conn()).await?.is_some() {
        return Err(Error::new(ErrorCode::RateLimited)
            .with_message("All of them have received this reminder within the last 24 hours.")
            .with_retry_after(std::time::Duration::from_secs(3600)));
    }
    let letter = Letter { kind, organization: row.name, deadline: enforcement.sso_deadline() };
    notice::send(platform, &tx, tenant, &letter, &members).await?;
    let id = tenant.organization_id();
    let reminded: Vec<UserId> = members.iter().map(|member| member.user_id).collect();
    let record = AuditRecord::new(Some(id), origin.actor(caller.user_id), "sso_enforcement.remind")
        .target("organization", id.0)
        .details(json!({"notification_type": kind, "user_ids": reminded}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(u64::try_from(members.len()).unwrap_or(u64::MAX))
}

/// The report, in the form that the client likes best. Who took it is on record: it tells of everybody.
async fn report(
    federation: &Federation,
    tenant: Tenant,
    chosen: Chosen,
    caller: &Caller,
    origin: &RequestOrigin,
    headers: &HeaderMap,
) -> Result<Response> {
    let platform = federation.platform();
    let db = platform.db.read();
    let count = chosen.among(people::active(tenant)).count(db).await?;
    let id = tenant.organization_id();
    let tx = platform.db.begin().await?;
    let record = AuditRecord::new(Some(id), origin.actor(caller.user_id), "sso_enforcement.report")
        .target("organization", id.0)
        .details(json!({"users": count}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    if preferred(headers, &["application/json", "text/csv"]) == Some("text/csv") {
        let disposition = "attachment; filename=\"migration-report.csv\"";
        let body = Body::from_stream(table(federation.clone(), tenant, chosen));
        let headers = [(header::CONTENT_TYPE, "text/csv; charset=utf-8"), (header::CONTENT_DISPOSITION, disposition)];
        return Ok((headers, body).into_response());
    }
    let mut users = Vec::new();
    let mut after = UserId(0);
    while u64::try_from(users.len()).is_ok_and(|held| held < MOST_IN_JSON) {
        let Some((last, batch)) = next(federation, tenant, &chosen, after).await? else { break };
        after = last;
        users.extend(batch);
    }
    let among = |which| chosen.among(people::active(tenant)).filter(which);
    let totals = ReportTotals {
        users: count,
        sso_linked: among(people::is_linked(tenant)).count(db).await?,
        mfa_enabled: among(people::is_protected()).count(db).await?,
    };
    let truncated = u64::try_from(users.len()).is_ok_and(|held| held < count);
    let report = MigrationReport { users, totals, truncated, generated_at: platform.clock.now() };
    let message = "The report of the migration.";
    let action = BulkAction::GenerateMigrationReport;
    Ok(Reply::ok(BulkDone { action, users_affected: count, report: Some(report), message }, message).into_response())
}

/// The members after one, with what they have; `None` when there are no more.
async fn next(
    federation: &Federation,
    tenant: Tenant,
    chosen: &Chosen,
    after: UserId,
) -> Result<Option<(UserId, Vec<ReportedUser>)>> {
    let db = federation.platform().db.read();
    // Index: memberships(organization_id, user_id), unique.
    let members = chosen.among(people::active(tenant)).filter(member::Column::UserId.gt(after));
    let members = members.order_by_asc(member::Column::UserId).limit(BATCH).all(db).await?;
    let Some(last) = members.last().map(|member| member.user_id) else { return Ok(None) };
    let readiness = Readiness::of(db, tenant, &members).await?;
    let reported = |member: member::Model| ReportedUser {
        user_id: member.user_id,
        sso_linked: readiness.is_linked(member.user_id),
        mfa_enabled: readiness.is_protected(member.user_id),
        email: member.email,
        last_login_at: member.last_login_at,
    };
    Ok(Some((last, members.into_iter().map(reported).collect())))
}

/// All of them as lines, batch by batch, so that no report is held in memory.
fn table(federation: Federation, tenant: Tenant, chosen: Chosen) -> impl Stream<Item = Result<Vec<u8>>> {
    let head =
        lines(std::iter::once(["user_id", "email", "sso_linked", "mfa_enabled", "last_login_at"].map(str::to_owned)));
    let rest = stream::try_unfold((federation, chosen, UserId(0)), move |(federation, chosen, after)| async move {
        let Some((last, batch)) = next(&federation, tenant, &chosen, after).await? else { return Ok(None) };
        let rows = batch.into_iter().map(|user| {
            let last_login_at = user.last_login_at.map(|at| at.to_rfc3339()).unwrap_or_default();
            [
                user.user_id.to_string(),
                inert(user.email),
                user.sso_linked.to_string(),
                user.mfa_enabled.to_string(),
                last_login_at,
            ]
        });
        Ok(Some((lines(rows)?, (federation, chosen, last))))
    });
    stream::once(async move { head }).chain(rest)
}

/// A text that no spreadsheet takes for a formula.
fn inert(text: String) -> String {
    if text.starts_with(['=', '+', '-', '@', '\t', '\r']) { format!("'{text}") } else { text }
}

fn lines(rows: impl Iterator<Item = [String; 5]>) -> Result<Vec<u8>> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).map_err(Error::internal)?;
    }
    writer.into_inner().map_err(|error| Error::internal(error.to_string()))
}
