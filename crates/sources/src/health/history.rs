//! The checks of a source that are kept: of thirty days, and no more than a thousand.

use chrono::{DateTime, Duration, Utc};
use rivergen_connectors::TestOutcome;
use rivergen_kernel::{DataSourceId, OrganizationId, Result, Tenant};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope},
};
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};

use super::check::Origin;
use crate::source::{self, Status};

const KEPT: Duration = Duration::days(30);
const MOST: u64 = 1_000;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "data_source_checks")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub data_source_id: DataSourceId,
    pub origin: Origin,
    /// What the check found: `active` or `failed`.
    pub status: Status,
    pub response_time_ms: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub checked_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

pub(crate) async fn add(
    tx: &Transaction,
    source: &source::Model,
    outcome: &TestOutcome,
    origin: Origin,
    now: DateTime<Utc>,
) -> Result<()> {
    let row = ActiveModel {
        organization_id: Set(source.organization_id),
        data_source_id: Set(source.id),
        origin: Set(origin),
        status: Set(if outcome.successful { Status::Active } else { Status::Failed }),
        response_time_ms: Set(i64::try_from(outcome.response_time_ms).ok()),
        error_code: Set(outcome.error_code.map(str::to_owned)),
        error_message: Set(outcome.error_message.clone()),
        checked_at: Set(now),
        ..Default::default()
    };
    row.insert(tx.conn()).await?;
    trim::<Entity>(tx, Column::Id, Column::DataSourceId, source.id, MOST).await
}

/// Leaves the newest rows of a source, so many. Needs an index (data_source_id, id).
pub(crate) async fn trim<E: EntityTrait>(
    tx: &Transaction,
    id: E::Column,
    of: E::Column,
    source: DataSourceId,
    most: u64,
) -> Result<()> {
    let newest_of_the_rest: Option<i64> = E::find()
        .select_only()
        .column(id)
        .filter(of.eq(source))
        .order_by_desc(id)
        .offset(most)
        .limit(1)
        .into_tuple()
        .one(tx.conn())
        .await?;
    if let Some(newest) = newest_of_the_rest {
        E::delete_many().filter(of.eq(source)).filter(id.lte(newest)).exec(tx.conn()).await?;
    }
    Ok(())
}

/// All that count, the newest first. Index: data_source_checks(data_source_id, id).
pub(crate) async fn newest(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    source: DataSourceId,
    now: DateTime<Utc>,
) -> Result<Vec<Model>> {
    let of_source = tenant.find::<Entity>().filter(Column::DataSourceId.eq(source));
    let counted = of_source.filter(Column::CheckedAt.gt(now - KEPT));
    Ok(counted.order_by_desc(Column::Id).limit(MOST).all(db).await?)
}

/// Removes what is too old. Index: data_source_checks(checked_at).
pub(crate) async fn purge(tx: &Transaction, now: DateTime<Utc>) -> Result<()> {
    Entity::delete_many().filter(Column::CheckedAt.lte(now - KEPT)).exec(tx.conn()).await?;
    Ok(())
}
