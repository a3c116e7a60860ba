//! `GET /api/v1/sso/enforcement/migration-plan/{organization_id}`: how ready the members are, and what is left to do.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use garde::Validate;
use rivergen_identity::{mfa, security::EnforcementMode};
use rivergen_kernel::{Error, OrganizationId, Page, Pagination, Result, Tenant, UserId};
use rivergen_platform::{
    Platform,
    db::TenantScope,
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, SignedIn},
};
use rivergen_tenancy::{domain, member};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, sea_query::ExprTrait};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::people::{self, Counts, Readiness, Rules};
use crate::{Federation, provider};

/// How long members are warned before it is required, unless it is planned otherwise.
const WARNING: Duration = Duration::days(14);

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct PlanQuery {
    /// When single sign-on should be required.
    #[garde(skip)]
    #[param(example = "2027-01-31T09:00:00Z")]
    target_date: Option<DateTime<Utc>>,
}

/// The plan.
#[derive(Debug, Serialize, ToSchema)]
pub struct MigrationPlan {
    pub organization_id: OrganizationId,
    pub total_users: u64,
    pub users_with_sso: u64,
    pub users_with_mfa: u64,
    /// With neither.
    pub users_password_only: u64,
    pub active_providers: u64,
    /// The members who have already signed in through the identity provider.
    #[schema(examples(62.5))]
    pub readiness_percent: f64,
    pub blockers: Vec<Blocker>,
    pub phases: Vec<Phase>,
    /// Members who lack single sign-on or a second factor, in the order in which they joined: a page of them.
    pub users_pending: Vec<PendingUser>,
    /// Of `users_pending`.
    pub pagination: Pagination,
    pub generated_at: DateTime<Utc>,
    pub message: &'static str,
}

/// What must be done first.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MigrationBlocker)]
pub struct Blocker {
    #[schema(examples("PROVIDER_NOT_TESTED"))]
    pub code: &'static str,
    pub detail: String,
}

/// One step of the way.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MigrationPhase)]
pub struct Phase {
    #[schema(examples("link_accounts"))]
    pub name: &'static str,
    pub order: u8,
    #[schema(inline)]
    pub status: PhaseStatus,
    /// The people it is still waiting for.
    pub user_count: u64,
    pub start_at: Option<DateTime<Utc>>,
    pub end_at: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum PhaseStatus {
    Pending,
    InProgress,
    Completed,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct PendingUser {
    pub user_id: UserId,
    #[schema(examples("ada@acme.example"))]
    pub email: String,
    pub sso_linked: bool,
    pub mfa_enabled: bool,
    /// To this organization.
    pub last_login_at: Option<DateTime<Utc>>,
}

errors! { pub PlanErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, SsoRequired, OrganizationNotFound, ValidationError; }

/// Show how ready members are for required single sign-on and second factors, and the remaining steps
#[utoipa::path(get, path = "/api/v1/sso/enforcement/migration-plan/{organization_id}", tag = "sso_enforcement",
    params(("organization_id" = OrganizationId, Path, description = "The organization"), PlanQuery, PageQuery),
    responses((status = 200, description = "The current state of the members", body = Envelope<MigrationPlan>), PlanErrors))]
pub async fn get_migration_plan(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    Path(organization_id): Path<OrganizationId>,
    Query(query): Query<PlanQuery>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<MigrationPlan>> {
    let (_, tenant) = super::administer(&federation, &caller, organization_id).await?;
    let page = page.request()?;
    let platform = federation.platform();
    let (db, now) = (platform.db.read(), platform.clock.now());
    if query.target_date.is_some_and(|date| date <= now) {
        return Err(Error::invalid_field("target_date", "is in the past"));
    }
    let row = super::organization_of(db, tenant).await?;
    let enforcement = row.enforcement()?;
    let mfa_mode = super::mfa_mode(&row, &enforcement)?;
    let counts = Counts::of(db, tenant, &Rules::of(&enforcement, mfa_mode)).await?;
    let is_ready = super::has_tested_provider(db, tenant).await?;
    let blockers = blockers(platform, tenant, is_ready).await?;
    let active = tenant.find::<provider::Entity>().filter(provider::Column::Status.eq(provider::Status::Active));
    let active_providers = active.count(db).await?;

    let complete = ExprTrait::and(people::is_linked(tenant), people::is_protected());
    let pending = people::active(tenant).filter(complete.not());
    let total = pending.clone().count(db).await?;
    // Index: memberships(organization_id, user_id), unique.
    let rows = pending.order_by_asc(member::Column::UserId).offset(page.offset()).limit(page.limit()).all(db).await?;
    let readiness = Readiness::of(db, tenant, &rows).await?;
    let shown = |row: member::Model| PendingUser {
        user_id: row.user_id,
        sso_linked: readiness.is_linked(row.user_id),
        mfa_enabled: readiness.is_protected(row.user_id),
        email: row.email,
        last_login_at: row.last_login_at,
    };
    let window = Page::new(rows, page, total).map(shown);

    let dates = Dates::of(&enforcement, query.target_date, now);
    let message = "The plan, as the members stand now.";
    let plan = MigrationPlan {
        organization_id,
        total_users: counts.total,
        users_with_sso: counts.with_sso,
        users_with_mfa: counts.with_mfa,
        users_password_only: counts.password_only,
        active_providers,
        readiness_percent: percent(counts.with_sso, counts.total),
        phases: phases(&counts, is_ready, &enforcement.sso_mode, &dates, now),
        blockers,
        users_pending: window.items,
        pagination: window.pagination,
        generated_at: now,
        message,
    };
    Ok(Reply::ok(plan, message))
}

/// With one decimal.
#[allow(clippy::cast_precision_loss, reason = "numbers of members are far from 2^53")]
fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 { 0.0 } else { (part as f64 * 1000.0 / whole as f64).round() / 10.0 }
}

async fn blockers(platform: &Platform, tenant: Tenant, has_tested_provider: bool) -> Result<Vec<Blocker>> {
    let db = platform.db.read();
    let mut found = Vec::new();
    let providers = tenant.find::<provider::Entity>().filter(provider::Column::Status.eq(provider::Status::Active));
    if providers.limit(1).one(db).await?.is_none() {
        let detail = "The organization has no active identity provider.".to_owned();
        found.push(Blocker { code: "NO_ACTIVE_PROVIDER", detail });
    } else if !has_tested_provider {
        let detail = "No active identity provider has passed its test.".to_owned();
        found.push(Blocker { code: "PROVIDER_NOT_TESTED", detail });
    }
    // Index: organization_domains(organization_id, domain); there are few.
    let unproved = tenant.find::<domain::Entity>().filter(domain::Column::Status.ne(domain::Status::Verified));
    for row in unproved.order_by_asc(domain::Column::Id).limit(20).all(db).await? {
        let detail = format!("{} is not verified, so its people are not sent to the identity provider.", row.domain);
        found.push(Blocker { code: "DOMAIN_NOT_VERIFIED", detail });
    }
    let owners = owners(platform, tenant).await?;
    let ids: Vec<UserId> = owners.iter().map(|(user, _)| *user).collect();
    let protected = mfa::protected(db, &ids).await?;
    for (_, email) in owners.into_iter().filter(|(user, _)| !protected.contains(user)) {
        let detail = format!("{email} owns the organization and has no second factor.");
        found.push(Blocker { code: "OWNER_WITHOUT_MFA", detail });
    }
    Ok(found)
}

/// At most fifty, which is far more than an organization should have.
async fn owners(platform: &Platform, tenant: Tenant) -> Result<Vec<(UserId, String)>> {
    let db = platform.db.read();
    let owner = rivergen_tenancy::role::built_in(db, tenant, rivergen_kernel::BuiltInRole::Owner).await?;
    let holders = people::holders(tenant, &[owner.id], platform.clock.now());
    let members = people::active(tenant).filter(member::Column::UserId.in_subquery(holders));
    let members = members.order_by_asc(member::Column::Id).limit(50).all(db).await?;
    Ok(members.into_iter().map(|member| (member.user_id, member.email)).collect())
}

/// When members are warned, and when it is required.
struct Dates {
    warn: Option<DateTime<Utc>>,
    require: Option<DateTime<Utc>>,
    deadline: Option<DateTime<Utc>>,
}

impl Dates {
    /// As it is set; else as it is wished.
    fn of(
        enforcement: &rivergen_identity::security::Enforcement,
        wished: Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        match enforcement.sso_deadline() {
            Some(deadline) => Self { warn: None, require: enforcement.effective_at, deadline: Some(deadline) },
            None => Self { warn: wished.map(|date| Ord::max(date - WARNING, now)), require: wished, deadline: wished },
        }
    }
}

fn phases(
    counts: &Counts,
    has_tested_provider: bool,
    mode: &EnforcementMode,
    dates: &Dates,
    now: DateTime<Utc>,
) -> Vec<Phase> {
    let done = |is_done: bool| if is_done { PhaseStatus::Completed } else { PhaseStatus::InProgress };
    let unlinked = counts.total.saturating_sub(counts.with_sso);
    let unprotected = counts.total.saturating_sub(counts.with_mfa);
    let linking = match (has_tested_provider, unlinked) {
        (_, 0) => PhaseStatus::Completed,
        (true, _) => PhaseStatus::InProgress,
        (false, _) => PhaseStatus::Pending,
    };
    let warning = match mode {
        EnforcementMode::Off => PhaseStatus::Pending,
        EnforcementMode::Warn => PhaseStatus::InProgress,
        EnforcementMode::Required => PhaseStatus::Completed,
    };
    let enforcing = match mode {
        EnforcementMode::Required => done(dates.deadline.is_some_and(|deadline| now >= deadline)),
        _ => PhaseStatus::Pending,
    };
    let phase =
        |name, order, status, user_count, start_at, end_at| Phase { name, order, status, user_count, start_at, end_at };
    vec![
        phase("connect_provider", 1, done(has_tested_provider), 0, None, dates.warn),
        phase("link_accounts", 2, linking, unlinked, None, dates.deadline),
        phase("set_up_mfa", 3, done(unprotected == 0), unprotected, None, dates.deadline),
        phase("warn", 4, warning, unlinked, dates.warn, dates.require),
        phase("enforce", 5, enforcing, unlinked, dates.require, dates.deadline),
    ]
}
