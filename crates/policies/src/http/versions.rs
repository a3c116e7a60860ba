//! `GET /api/v1/policies/{policy_id}/versions`, `GET …/versions/{version}` and `POST …/versions/{version}/restore`: what a
//! policy was, who changed it to what, and the way back.

use axum::extract::State;
use chrono::{DateTime, Utc};
use rivergen_kernel::{ErrorCode, Page, Permission, PolicyId, Result, Tenant, UserId};
use rivergen_platform::{
    db::TenantScope,
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, ConnectionTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Policy, role_names, update::change_policy};
use crate::{
    Policies,
    diff::{FieldChange, changes},
    store::{
        self, Whole,
        version::{Change, Column, Definition, Entity, Model},
    },
};

/// One version of a policy.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyVersion {
    pub policy_id: PolicyId,
    /// From 1.
    #[schema(examples(3))]
    pub version: i64,
    pub change: Change,
    pub changed_at: DateTime<Utc>,
    pub changed_by_user_id: UserId,
    /// What changed from the previous version.
    pub changes: Vec<FieldChange>,
}

/// A version with all that the policy was.
#[derive(Debug, Serialize, ToSchema)]
pub struct WholePolicyVersion {
    #[serde(flatten)]
    pub version: PolicyVersion,
    pub definition: Definition,
}

errors! {
    pub ListVersionsErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError, InternalError;
    pub GetVersionErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, InternalError;
    pub RestoreVersionErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, Conflict, ValidationError, InternalError;
}

/// List the versions of a policy, with what changed
#[utoipa::path(get, path = "/api/v1/policies/{policy_id}/versions", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy; also one that is deleted and can be restored"), PageQuery),
    responses((status = 200, description = "The latest first", body = Envelope<Page<PolicyVersion>>), ListVersionsErrors))]
pub async fn list_policy_versions(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    Path(policy_id): Path<PolicyId>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<PolicyVersion>>> {
    let tenant = caller.require(Permission::PolicyRead)?;
    let page = page.request()?;
    let platform = &policies.platform;
    let db = platform.db.read();
    let policy = store::find_with_history(db, tenant, policy_id, platform.clock.now()).await?;
    // Index: policy_versions(policy_id, version), unique.
    let kept = tenant.find::<Entity>().filter(Column::PolicyId.eq(policy_id));
    let total = kept.clone().count(db).await?;
    if total == 0 {
        let only = unchanged(db, policy).await?;
        let items = if page.page() == 1 { vec![only.version] } else { Vec::new() };
        return Ok(Reply::ok(Page::new(items, page, 1), "The versions."));
    }
    // One more, for what the last of them changed.
    let rows = kept.order_by_desc(Column::Version).offset(page.offset()).limit(page.limit() + 1).all(db).await?;
    let shown = usize::try_from(page.limit()).unwrap_or(usize::MAX);
    let items =
        (0..rows.len().min(shown)).map(|at| Ok(told(&rows[at], rows.get(at + 1))?.version)).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The versions."))
}

/// Read one version of a policy
#[utoipa::path(get, path = "/api/v1/policies/{policy_id}/versions/{version}", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy"), ("version" = i64, Path, description = "From 1")),
    responses((status = 200, description = "The policy as it was, and what had changed", body = Envelope<WholePolicyVersion>), GetVersionErrors))]
pub async fn get_policy_version(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    Path((policy_id, version)): Path<(PolicyId, i64)>,
) -> Result<Reply<WholePolicyVersion>> {
    let tenant = caller.require(Permission::PolicyRead)?;
    let platform = &policies.platform;
    let policy = store::find_with_history(platform.db.read(), tenant, policy_id, platform.clock.now()).await?;
    let whole = read(platform.db.read(), tenant, policy, version).await?;
    Ok(Reply::ok(whole, "The version."))
}

/// Restore an earlier version of a policy
#[utoipa::path(post, path = "/api/v1/policies/{policy_id}/versions/{version}/restore", tag = "policies",
    params(("policy_id" = PolicyId, Path, description = "The policy"), ("version" = i64, Path, description = "The version to restore")),
    responses((status = 200, description = "The policy, with that version's fields and rules as its next version; its assignments stay", body = Envelope<Policy>), RestoreVersionErrors))]
pub async fn restore_policy_version(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((policy_id, version)): Path<(PolicyId, i64)>,
) -> Result<Reply<Policy>> {
    let tenant = caller.require(Permission::PolicyWrite)?;
    let db = policies.platform.db.read();
    let policy = store::find(db, tenant, policy_id).await?;
    let earlier = read(db, tenant, policy, version).await?.definition;
    let whole = change_policy(&policies, &caller, &origin, policy_id, None, Change::Restored, |_| earlier).await?;
    let names = role_names(&policies, tenant, &whole.assignments).await?;
    Ok(Reply::ok(Policy::new(whole, &names)?, "The version was restored."))
}

/// A version with what it changed; `NOT_FOUND` for one that there never was.
async fn read(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    policy: store::Model,
    version: i64,
) -> Result<WholePolicyVersion> {
    let rows = tenant
        .find::<Entity>()
        .filter(Column::PolicyId.eq(policy.id))
        .filter(Column::Version.lte(version))
        .order_by_desc(Column::Version)
        .limit(2)
        .all(db)
        .await?;
    match rows.first().filter(|row| row.version == version) {
        Some(row) => told(row, rows.get(1)),
        // A policy that is older than its versions and has not been changed since.
        None if rows.is_empty() && policy.version == version => unchanged(db, policy).await,
        None => Err(ErrorCode::NotFound.into()),
    }
}

fn told(row: &Model, before: Option<&Model>) -> Result<WholePolicyVersion> {
    let definition = row.definition()?;
    let changes = match before {
        Some(before) => changes(&before.definition()?, &definition),
        None => Vec::new(),
    };
    let version = PolicyVersion {
        policy_id: row.policy_id,
        version: row.version,
        change: row.change,
        changed_at: row.changed_at,
        changed_by_user_id: row.changed_by_user_id,
        changes,
    };
    Ok(WholePolicyVersion { version, definition })
}

/// The only version of a policy of which none is kept.
async fn unchanged(db: &impl ConnectionTrait, policy: store::Model) -> Result<WholePolicyVersion> {
    let whole = Whole::of(db, policy).await?;
    let definition = whole.definition()?;
    let policy = whole.policy;
    let version = PolicyVersion {
        policy_id: policy.id,
        version: policy.version,
        change: Change::Created,
        changed_at: policy.updated_at,
        changed_by_user_id: policy.updated_by_user_id.unwrap_or(policy.created_by_user_id),
        changes: Vec::new(),
    };
    Ok(WholePolicyVersion { version, definition })
}
