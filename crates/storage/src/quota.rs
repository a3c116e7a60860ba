//! `GET /api/v1/storage/quota`, `…/usage`, `…/usage/people`: what an organization's files may take, what they take, and
//! whose they are. What one organization may take is set by the operator; else the server's setting holds.

use std::collections::BTreeSet;

use axum::extract::State;
use rivergen_kernel::{Error, OrganizationId, Page, Permission, Result, Tenant, UserId};
use rivergen_platform::{
    Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use rivergen_tenancy::member;
use sea_orm::{
    ColumnTrait, EntityTrait, FromQueryResult, Order, QueryFilter, QueryOrder, QuerySelect, Select,
    sea_query::{Expr, ExprTrait},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{Storage, file, file::usage};

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageQuota {
    #[schema(examples(10737418240i64))]
    pub limit_bytes: i64,
    /// Binary, as `limit_gb` is.
    #[schema(examples(10240.0))]
    pub limit_mb: f64,
    #[schema(examples(10.0))]
    pub limit_gb: f64,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct StorageUsage {
    #[schema(examples(1024000))]
    pub used_bytes: i64,
    #[schema(examples(0.98))]
    pub used_mb: f64,
    #[schema(examples(0.0))]
    pub used_gb: f64,
    #[schema(inline)]
    #[serde(flatten)]
    pub limit: StorageQuota,
    /// What is left, without what is reserved.
    #[schema(examples(10736394240i64))]
    pub available_bytes: i64,
    /// Promised to uploads that have not ended, and taken by kept results of queries.
    #[schema(examples(0))]
    pub reserved_bytes: i64,
    #[schema(examples(0.01))]
    pub usage_percentage: f64,
    #[schema(examples(1))]
    pub file_count: i64,
    /// Of that the caller's own files.
    #[schema(examples(1024000))]
    pub own_used_bytes: i64,
    #[schema(examples(1))]
    pub own_file_count: i64,
}

/// The storage that one person's files take.
#[derive(Debug, Serialize, ToSchema)]
pub struct PersonUsage {
    pub user_id: UserId,
    /// Whether the person is still an active member.
    pub is_member: bool,
    #[schema(examples(1024000))]
    pub used_bytes: i64,
    #[schema(examples(1))]
    pub file_count: i64,
}

errors! {
    pub QuotaErrors: Unauthorized, Forbidden, EmailNotVerified, InternalError;
    pub PeopleErrors: Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError;
}

/// Read the organization's storage quota
#[utoipa::path(get, path = "/api/v1/storage/quota", tag = "storage",
    responses((status = 200, description = "The limit", body = Envelope<StorageQuota>), QuotaErrors))]
pub async fn quota(State(storage): State<Storage>, SignedIn(caller): SignedIn) -> Result<Reply<StorageQuota>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let usage = usage::of(storage.platform.db.read(), tenant).await?;
    Ok(Reply::ok(StorageQuota::of(storage.limit(&usage)), "What the organization's files may take."))
}

/// Read the organization's storage usage and quota
#[utoipa::path(get, path = "/api/v1/storage/usage", tag = "storage",
    responses((status = 200, description = "Both, and the caller's part", body = Envelope<StorageUsage>), QuotaErrors))]
pub async fn usage(State(storage): State<Storage>, SignedIn(caller): SignedIn) -> Result<Reply<StorageUsage>> {
    let tenant = caller.require(Permission::StorageRead)?;
    let db = storage.platform.db.read();
    let usage = usage::of(db, tenant).await?;
    let own = sums(tenant).filter(file::Column::UploadedByUserId.eq(caller.user_id));
    let own = own.into_model::<Sum>().one(db).await?;
    let limit = storage.limit(&usage);
    let percentage = if limit == 0 { 100.0 } else { usage.used_bytes as f64 * 100.0 / limit as f64 };
    let shown = StorageUsage {
        used_bytes: usage.used_bytes,
        used_mb: in_units(usage.used_bytes, MB),
        used_gb: in_units(usage.used_bytes, GB),
        limit: StorageQuota::of(limit),
        available_bytes: storage.left(&usage),
        reserved_bytes: usage.reserved_bytes,
        usage_percentage: to_two_places(percentage),
        file_count: usage.file_count,
        own_used_bytes: own.as_ref().map_or(0, |sum| sum.used_bytes),
        own_file_count: own.as_ref().map_or(0, |sum| sum.file_count),
    };
    Ok(Reply::ok(shown, "What the organization's files take."))
}

/// List the storage usage of each person
///
/// With `storage.manage`; including people who left, whose files stay until someone deletes them or takes them over.
#[utoipa::path(get, path = "/api/v1/storage/usage/people", tag = "storage", params(PageQuery),
    responses((status = 200, description = "Those who use the most first", body = Envelope<Page<PersonUsage>>), PeopleErrors))]
pub async fn people(
    State(storage): State<Storage>,
    SignedIn(caller): SignedIn,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<PersonUsage>>> {
    let tenant = caller.require(Permission::StorageManage)?;
    let page = page.request()?;
    let db = storage.platform.db.read();
    let owners =
        stored(tenant).select_only().expr_as(Expr::col(file::Column::UploadedByUserId).count_distinct(), "people");
    let total: Option<i64> = owners.into_tuple().one(db).await?;
    let sums = sums(tenant)
        .order_by(Expr::col(file::Column::SizeBytes).sum(), Order::Desc)
        .order_by_asc(file::Column::UploadedByUserId)
        .offset(page.offset())
        .limit(page.limit());
    let sums = sums.into_model::<Sum>().all(db).await?;
    let members = tenant
        .find::<member::Entity>()
        .filter(member::Column::UserId.is_in(sums.iter().map(|sum| sum.user_id)))
        .filter(member::Column::Status.eq(member::Status::Active));
    let members: BTreeSet<UserId> = members.all(db).await?.into_iter().map(|member| member.user_id).collect();
    let shown = |sum: Sum| PersonUsage {
        user_id: sum.user_id,
        is_member: members.contains(&sum.user_id),
        used_bytes: sum.used_bytes,
        file_count: sum.file_count,
    };
    let total = u64::try_from(total.unwrap_or(0)).unwrap_or(0);
    let page = Page::new(sums.into_iter().map(shown).collect(), page, total);
    Ok(Reply::ok(page, "What the files of each person take."))
}

#[derive(FromQueryResult)]
struct Sum {
    user_id: UserId,
    used_bytes: i64,
    file_count: i64,
}

fn stored(tenant: Tenant) -> Select<file::Entity> {
    tenant.find::<file::Entity>().filter(file::Column::State.eq(file::State::Stored))
}

/// By person. Index: storage_files(organization_id, state, uploaded_by_user_id, size_bytes), which holds all of it.
fn sums(tenant: Tenant) -> Select<file::Entity> {
    stored(tenant)
        .select_only()
        .column_as(file::Column::UploadedByUserId, "user_id")
        // PostgreSQL adds whole numbers up to what is no longer one.
        .expr_as(Expr::col(file::Column::SizeBytes).sum().cast_as("bigint"), "used_bytes")
        .expr_as(Expr::col(file::Column::Id).count(), "file_count")
        .group_by(file::Column::UploadedByUserId)
}

const MB: f64 = 1_048_576.0;
const GB: f64 = 1024.0 * MB;

fn in_units(bytes: i64, unit: f64) -> f64 {
    to_two_places(bytes as f64 / unit)
}

fn to_two_places(number: f64) -> f64 {
    (number * 100.0).round() / 100.0
}

impl StorageQuota {
    fn of(limit_bytes: i64) -> Self {
        Self { limit_bytes, limit_mb: in_units(limit_bytes, MB), limit_gb: in_units(limit_bytes, GB) }
    }
}

impl Storage {
    /// What the organization's files may take, in bytes.
    pub(crate) fn limit(&self, usage: &usage::Model) -> i64 {
        usage.quota_bytes.unwrap_or_else(|| i64::try_from(self.settings.quota_bytes).unwrap_or(i64::MAX))
    }

    fn left(&self, usage: &usage::Model) -> i64 {
        self.limit(usage).saturating_sub(usage.used_bytes).saturating_sub(usage.reserved_bytes).clamp(0, i64::MAX)
    }

    /// What is left of the quota, in bytes, for what another room keeps beside the files.
    pub async fn room(&self, tenant: Tenant) -> Result<u64> {
        let usage = usage::of(self.platform.db.read(), tenant).await?;
        u64::try_from(self.left(&usage)).map_err(Error::internal)
    }

    /// Takes the bytes that another room keeps from the quota; `false` where they do not fit.
    pub async fn reserve(&self, tx: &Transaction, tenant: Tenant, bytes: i64) -> Result<bool> {
        file::take_quota(tx, tenant, file::Taking::Reserved, bytes, self.settings.quota_bytes).await
    }

    /// Gives back what was reserved.
    pub async fn give_back(&self, tx: &Transaction, tenant: Tenant, bytes: i64) -> Result<()> {
        usage::add(tx, tenant, 0, 0, -bytes).await
    }

    /// Sets what one organization's files may take; `None`: as the server's setting says. For the operator.
    pub async fn set_quota(&self, organization: OrganizationId, bytes: Option<i64>) -> Result<()> {
        let tenant = Tenant::on_behalf_of(organization);
        let tx = self.platform.db.begin().await?;
        usage::ensure(&tx, tenant).await?;
        usage::Entity::update_many()
            .col_expr(usage::Column::QuotaBytes, Expr::value(bytes))
            .filter(usage::Column::OrganizationId.eq(organization))
            .exec(tx.conn())
            .await?;
        let record = AuditRecord::new(Some(organization), Actor::system(), "organization.set_quota")
            .target("organization", organization)
            .details(serde_json::json!({"quota_bytes": bytes}));
        audit::record(&tx, &self.platform.clock, record).await?;
        tx.commit().await
    }
}
