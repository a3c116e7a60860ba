//! What lies in the store: one row a file, and the sum of each organization.

use chrono::{DateTime, Utc};
use rivergen_kernel::{FileId, OrganizationId, Result, Tenant, UserId, WorkspaceId};
use rivergen_platform::{Transaction, db::TenantOwned};
use sea_orm::{ActiveValue::Set, entity::prelude::*, sea_query::ExprTrait};
use serde::{Deserialize, Serialize};

/// What a file is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, utoipa::ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum Category {
    #[sea_orm(string_value = "data_source")]
    DataSource,
    #[sea_orm(string_value = "profile_image")]
    ProfileImage,
    #[sea_orm(string_value = "general")]
    General,
}

/// Where a file stands in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum)]
#[sea_orm(rs_type = "String", db_type = "Text")]
pub enum State {
    /// Its bytes are on their way; nobody sees it. One that stays so was cut off and is swept.
    #[sea_orm(string_value = "arriving")]
    Arriving,
    #[sea_orm(string_value = "stored")]
    Stored,
    #[sea_orm(string_value = "deleted")]
    Deleted,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "storage_files")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: FileId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub uploaded_by_user_id: UserId,
    /// As the uploader named it, for display.
    pub file_name: String,
    /// The whole path in the store.
    pub object_name: String,
    pub content_type: String,
    pub category: Category,
    pub size_bytes: i64,
    pub state: State,
    pub created_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What an organization's files take.
pub mod usage {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "storage_usage")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: OrganizationId,
        pub used_bytes: i64,
        pub file_count: i64,
    }

    impl ActiveModelBehavior for ActiveModel {}
}

/// Takes the file's size from the quota; `false` where it does not fit. One statement, so that two
/// uploads at once cannot both take the last byte.
pub async fn take_quota(tx: &Transaction, tenant: Tenant, size: i64, quota: i64) -> Result<bool> {
    let organization_id = tenant.organization_id();
    let fresh = usage::ActiveModel { organization_id: Set(organization_id), used_bytes: Set(0), file_count: Set(0) };
    usage::Entity::insert(fresh).on_conflict_do_nothing_on([usage::Column::OrganizationId]).exec(tx.conn()).await?;
    let taken = usage::Entity::update_many()
        .col_expr(usage::Column::UsedBytes, Expr::col(usage::Column::UsedBytes).add(size))
        .col_expr(usage::Column::FileCount, Expr::col(usage::Column::FileCount).add(1))
        .filter(usage::Column::OrganizationId.eq(organization_id))
        .filter(usage::Column::UsedBytes.lte(quota - size))
        .exec(tx.conn())
        .await?;
    Ok(taken.rows_affected == 1)
}

/// What is left of the quota now, in bytes.
pub async fn remaining(db: &impl sea_orm::ConnectionTrait, tenant: Tenant, quota: u64) -> Result<u64> {
    let row = usage::Entity::find_by_id(tenant.organization_id()).one(db).await?;
    let used = row.map_or(0, |row| u64::try_from(row.used_bytes).unwrap_or(0));
    Ok(quota.saturating_sub(used))
}
