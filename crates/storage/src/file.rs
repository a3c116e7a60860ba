//! What lies in the store: one row a file, and the sum of each organization.

use chrono::{DateTime, Utc};
use rivergen_kernel::{FileId, OrganizationId, Result, Tenant, UserId, WorkspaceId};
use rivergen_platform::{Transaction, db::TenantOwned};
use sea_orm::{
    IntoActiveModel,
    entity::prelude::*,
    sea_query::{ExprTrait, Func},
};
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
    /// Nobody sees it any more; its bytes go next.
    #[sea_orm(string_value = "removing")]
    Removing,
    /// The bytes are gone, and the row is what tells of it.
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
    /// Of one that arrives: what is reserved of the quota for it.
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

/// What an organization's files take, and what they may take.
pub mod usage {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
    #[sea_orm(table_name = "storage_usage")]
    pub struct Model {
        #[sea_orm(primary_key, auto_increment = false)]
        pub organization_id: OrganizationId,
        /// Of the stored files.
        pub used_bytes: i64,
        pub file_count: i64,
        /// Promised to uploads that have not ended, and taken by what other rooms keep.
        pub reserved_bytes: i64,
        /// Set by the operator for this organization; else the server's setting holds.
        pub quota_bytes: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl Model {
        /// Of an organization that has stored nothing yet.
        pub fn nothing(organization_id: OrganizationId) -> Self {
            Self { organization_id, used_bytes: 0, file_count: 0, reserved_bytes: 0, quota_bytes: None }
        }
    }

    /// Makes sure that there is a row to be counted in.
    pub async fn ensure(tx: &Transaction, tenant: Tenant) -> Result<()> {
        // A model becomes "unchanged" values, which an insert writes like set ones.
        let fresh = Model::nothing(tenant.organization_id()).into_active_model();
        Entity::insert(fresh).on_conflict_do_nothing_on([Column::OrganizationId]).exec(tx.conn()).await?;
        Ok(())
    }

    pub async fn of(db: &impl ConnectionTrait, tenant: Tenant) -> Result<Model> {
        let row = Entity::find_by_id(tenant.organization_id()).one(db).await?;
        Ok(row.unwrap_or_else(|| Model::nothing(tenant.organization_id())))
    }

    /// Adds to the sums, whatever they are; what is given back is negative.
    pub async fn add(tx: &Transaction, tenant: Tenant, used: i64, files: i64, reserved: i64) -> Result<()> {
        let plus = |column: Column, by: i64| Expr::col(column).add(by);
        Entity::update_many()
            .col_expr(Column::UsedBytes, plus(Column::UsedBytes, used))
            .col_expr(Column::FileCount, plus(Column::FileCount, files))
            .col_expr(Column::ReservedBytes, plus(Column::ReservedBytes, reserved))
            .filter(Column::OrganizationId.eq(tenant.organization_id()))
            .exec(tx.conn())
            .await?;
        Ok(())
    }
}

/// What is taken of a quota: the bytes of a file that is stored, or of one that is promised or no file of anybody's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taking {
    Stored,
    Reserved,
}

/// Takes the bytes from the quota (without one set for the organization, `default_quota`); `false` where they do not fit.
/// One statement, so that two uploads at once cannot both take the last byte.
pub async fn take_quota(
    tx: &Transaction,
    tenant: Tenant,
    taking: Taking,
    size: i64,
    default_quota: u64,
) -> Result<bool> {
    usage::ensure(tx, tenant).await?;
    let column = |column: usage::Column| Expr::col(column);
    let update = match taking {
        Taking::Stored => usage::Entity::update_many()
            .col_expr(usage::Column::UsedBytes, column(usage::Column::UsedBytes).add(size))
            .col_expr(usage::Column::FileCount, column(usage::Column::FileCount).add(1)),
        Taking::Reserved => usage::Entity::update_many()
            .col_expr(usage::Column::ReservedBytes, column(usage::Column::ReservedBytes).add(size)),
    };
    let default_quota = i64::try_from(default_quota).unwrap_or(i64::MAX);
    let quota = Func::coalesce([column(usage::Column::QuotaBytes), Expr::value(default_quota)]);
    // Subtracted on the side of the quota, which may be the largest number there is.
    let left = Expr::from(quota).sub(column(usage::Column::UsedBytes)).sub(column(usage::Column::ReservedBytes));
    let taken = update
        .filter(usage::Column::OrganizationId.eq(tenant.organization_id()))
        .filter(left.gte(size))
        .exec(tx.conn())
        .await?;
    Ok(taken.rows_affected == 1)
}
