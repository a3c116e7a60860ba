//! Which saved question asks which sources.

use rivergen_kernel::{DataSourceId, PromptId, Result};
use rivergen_platform::Transaction;
use sea_orm::{ActiveValue::Set, entity::prelude::*};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_sources")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub prompt_id: PromptId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub data_source_id: DataSourceId,
}

impl ActiveModelBehavior for ActiveModel {}

/// Says which sources a new saved question asks.
pub(crate) async fn link(tx: &Transaction, prompt: PromptId, sources: &[DataSourceId]) -> Result<()> {
    let rows = sources.iter().map(|id| ActiveModel { prompt_id: Set(prompt), data_source_id: Set(*id) });
    Entity::insert_many(rows).exec_without_returning(tx.conn()).await?;
    Ok(())
}
