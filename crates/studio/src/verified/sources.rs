//! Which verified pair asks which sources.

use rivergen_kernel::{DataSourceId, Result, VerifiedPairId};
use rivergen_platform::Transaction;
use sea_orm::{ActiveValue::Set, entity::prelude::*};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_verified_pair_sources")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub verified_pair_id: VerifiedPairId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub data_source_id: DataSourceId,
}

impl ActiveModelBehavior for ActiveModel {}

/// Says which sources a new pair asks.
pub(crate) async fn link(tx: &Transaction, pair: VerifiedPairId, sources: &[DataSourceId]) -> Result<()> {
    let rows = sources.iter().map(|id| ActiveModel { verified_pair_id: Set(pair), data_source_id: Set(*id) });
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}
