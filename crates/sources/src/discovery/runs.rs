//! The discoveries of a source: how far each is, and how it ended. The newest hundred are kept, for ninety days.
//!
//! `GET /api/v1/data-sources/{data_source_id}/discoveries` lists them.

use axum::extract::State;
use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{DataSourceId, Error, ErrorCode, OrganizationId, Page, Permission, Result};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope},
    errors,
    http::{Envelope, PageQuery, Path, Query, Reply, SignedIn},
};
use sea_orm::{ActiveValue::Set, PaginatorTrait, QueryOrder, QuerySelect, entity::prelude::*};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    Sources,
    access::Access,
    health::{check::Origin, history::trim},
    source,
};

const KEPT: Duration = Duration::days(90);
const MOST: u64 = 100;
/// One that has not ended after this has died with its server.
const LONGEST: Duration = Duration::hours(24);

/// The state of a discovery.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = DiscoveryStage)]
pub enum Stage {
    #[sea_orm(string_value = "queued")]
    Queued,
    /// The source is asked.
    #[sea_orm(string_value = "reading")]
    Reading,
    /// It has answered; what it holds is compared and kept.
    #[sea_orm(string_value = "saving")]
    Saving,
    #[sea_orm(string_value = "succeeded")]
    Succeeded,
    #[sea_orm(string_value = "failed")]
    Failed,
}

impl Stage {
    /// Where it is when it gets there. One that fails stays where it was.
    const fn percentage(self) -> i32 {
        match self {
            Self::Queued | Self::Failed => 0,
            Self::Reading => 10,
            Self::Saving => 80,
            Self::Succeeded => 100,
        }
    }

    /// While it is read: the share of the tables that were looked at, between where reading begins and where it ends.
    pub(super) fn of_reading(looked_at: u64, of: u64) -> i32 {
        let (begin, end) = (Self::Reading.percentage(), Self::Saving.percentage());
        let share = looked_at.min(of) as f64 / of.max(1) as f64;
        begin + (f64::from(end - begin) * share) as i32
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_source_discoveries")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub data_source_id: DataSourceId,
    pub origin: Origin,
    pub state: Stage,
    pub progress_percentage: i32,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    pub total_tables: Option<i64>,
    pub total_columns: Option<i64>,
    /// How many differences it found to the discovery before it.
    pub changes: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A discovery that is to be made.
pub(crate) async fn begin(
    tx: &Transaction,
    source: &source::Model,
    origin: Origin,
    stage: Stage,
    now: DateTime<Utc>,
) -> Result<i64> {
    // Index: data_source_discoveries(data_source_id, id).
    Entity::update_many()
        .col_expr(Column::State, Expr::value(Stage::Failed))
        .col_expr(Column::FinishedAt, Expr::value(now))
        .col_expr(Column::ErrorMessage, Expr::value("the server stopped meanwhile"))
        .filter(Column::DataSourceId.eq(source.id))
        .filter(Column::FinishedAt.is_null())
        .filter(Column::StartedAt.lt(now - LONGEST))
        .exec(tx.conn())
        .await?;
    let row = ActiveModel {
        organization_id: Set(source.organization_id),
        data_source_id: Set(source.id),
        origin: Set(origin),
        state: Set(stage),
        progress_percentage: Set(stage.percentage()),
        started_at: Set(now),
        finished_at: Set(None),
        total_tables: Set(None),
        total_columns: Set(None),
        changes: Set(None),
        error_code: Set(None),
        error_message: Set(None),
        ..Default::default()
    };
    let id = row.insert(tx.conn()).await?.id;
    trim::<Entity>(tx, Column::Id, Column::DataSourceId, source.id, MOST).await?;
    Ok(id)
}

/// It has come so far.
pub(crate) async fn reach(tx: &Transaction, id: i64, stage: Stage) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::State, Expr::value(stage))
        .col_expr(Column::ProgressPercentage, Expr::value(stage.percentage()))
        .filter(Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// While it is read: so many of the tables were looked at.
pub(crate) async fn read_so_far(tx: &Transaction, id: i64, looked_at: u64, of: u64) -> Result<()> {
    Entity::update_many()
        .col_expr(Column::ProgressPercentage, Expr::value(Stage::of_reading(looked_at, of)))
        .col_expr(Column::TotalTables, Expr::value(i64::try_from(of).unwrap_or(i64::MAX)))
        .filter(Column::Id.eq(id))
        .filter(Column::State.eq(Stage::Reading))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// It has ended well.
pub(crate) async fn succeed(
    tx: &Transaction,
    id: i64,
    found: &super::Discovery,
    changes: usize,
    now: DateTime<Utc>,
) -> Result<()> {
    let count = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    reach(tx, id, Stage::Succeeded).await?;
    Entity::update_many()
        .col_expr(Column::FinishedAt, Expr::value(now))
        .col_expr(Column::TotalTables, Expr::value(count(found.total_tables)))
        .col_expr(Column::TotalColumns, Expr::value(count(found.total_columns)))
        .col_expr(Column::Changes, Expr::value(count(changes as u64)))
        .filter(Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// It has ended without a finding, and stays where it was. What went wrong on our side is not told.
pub(crate) async fn fail(tx: &Transaction, id: i64, error: &Error, now: DateTime<Utc>) -> Result<()> {
    let told = if error.code == ErrorCode::InternalError { error.code.message() } else { error.message.as_ref() };
    Entity::update_many()
        .col_expr(Column::State, Expr::value(Stage::Failed))
        .col_expr(Column::FinishedAt, Expr::value(now))
        .col_expr(Column::ErrorCode, Expr::value(error.code.as_str()))
        .col_expr(Column::ErrorMessage, Expr::value(told))
        .filter(Column::Id.eq(id))
        .exec(tx.conn())
        .await?;
    Ok(())
}

/// Removes what is too old. Index: data_source_discoveries(started_at).
pub(crate) async fn purge(tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
    Entity::delete_many().filter(Column::StartedAt.lte(now - KEPT)).exec(tx.conn()).await?;
    Ok(())
}

/// One discovery.
#[derive(Debug, Serialize, ToSchema)]
pub struct DiscoveryRun {
    pub id: i64,
    pub origin: Origin,
    pub state: Stage,
    /// While it is `reading`, from 10 to 80 by the share of tables that were read, if the source is asked for one after
    /// the other; if it answers for all at once, it stays at 10. If it failed, it stays where it was.
    #[schema(examples(100))]
    pub progress_percentage: i32,
    pub started_at: DateTime<Utc>,
    pub finished_at: Option<DateTime<Utc>>,
    /// What it found; until it has succeeded, the number of tables to read, if known.
    #[schema(examples(12))]
    pub total_tables: Option<i64>,
    #[schema(examples(96))]
    pub total_columns: Option<i64>,
    /// The number of differences from what was known.
    #[schema(examples(0))]
    pub changes: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
}

impl From<Model> for DiscoveryRun {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            origin: row.origin,
            state: row.state,
            progress_percentage: row.progress_percentage,
            started_at: row.started_at,
            finished_at: row.finished_at,
            total_tables: row.total_tables,
            total_columns: row.total_columns,
            changes: row.changes,
            error_code: row.error_code,
            error_message: row.error_message,
        }
    }
}

errors! { pub ListDiscoveriesErrors: Unauthorized, Forbidden, EmailNotVerified, NotFound, ValidationError; }

/// List the discoveries of a data source
#[utoipa::path(get, path = "/api/v1/data-sources/{data_source_id}/discoveries", tag = "data_sources",
    params(("data_source_id" = DataSourceId, Path, description = "The source"), PageQuery),
    responses((status = 200, description = "The newest first, with their progress", body = Envelope<Page<DiscoveryRun>>), ListDiscoveriesErrors))]
pub async fn list_discoveries(
    State(sources): State<Sources>,
    SignedIn(caller): SignedIn,
    Path(id): Path<DataSourceId>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<DiscoveryRun>>> {
    // They count tables that policies may hide, so they are for those who may discover.
    let access = Access::of(&caller, Permission::DataSourceWrite)?;
    let source = sources.find(&access, id).await?;
    let page = page.request()?;
    let db = sources.platform.db.read();
    // Index: data_source_discoveries(data_source_id, id).
    let query = access.tenant().find::<Entity>().filter(Column::DataSourceId.eq(source.id));
    let total = query.clone().count(db).await?;
    let rows = query.order_by_desc(Column::Id).offset(page.offset()).limit(page.limit()).all(db).await?;
    Ok(Reply::ok(Page::new(rows, page, total).map(DiscoveryRun::from), "The discoveries."))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_the_share_of_the_tables() {
        assert_eq!(Stage::of_reading(0, 4), Stage::Reading.percentage());
        assert_eq!(Stage::of_reading(2, 4), 45);
        assert_eq!(Stage::of_reading(4, 4), Stage::Saving.percentage());
        assert_eq!(Stage::of_reading(1, 1_000), 10);
        assert_eq!(Stage::of_reading(9, 4), Stage::Saving.percentage(), "never more than all");
        assert_eq!(Stage::of_reading(0, 0), Stage::Reading.percentage());
    }
}
