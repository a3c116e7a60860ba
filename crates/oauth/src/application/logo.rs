//! The picture of an application, which people see when it asks. It is kept here, as bytes in a data URL, and shown out of
//! the page itself: no other server learns who is being asked.

use rivergen_identity::account::profile::check_picture;
use rivergen_kernel::{Error, OauthApplicationId, Result};
use rivergen_platform::Transaction;
use sea_orm::{ActiveValue::Set, entity::prelude::*, sea_query::OnConflict};

/// The most that a picture may have, in bytes.
const LARGEST: usize = 64 * 1024;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_logos")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub application_id: OauthApplicationId,
    pub data_url: String,
}

impl ActiveModelBehavior for ActiveModel {}

/// Checks a picture before it is kept.
pub fn check(logo: &str) -> Result<()> {
    let checked = match logo.strip_prefix("data:") {
        Some(data) => check_picture(data, LARGEST),
        None => Err("must be a picture as a data URL".to_owned()),
    };
    checked.map_err(|reason| Error::invalid_field("logo", reason))
}

/// Index: oauth_logos(application_id), primary key.
pub async fn find(db: &impl sea_orm::ConnectionTrait, application: OauthApplicationId) -> Result<Option<String>> {
    Ok(Entity::find_by_id(application).one(db).await?.map(|row| row.data_url))
}

/// Keeps a checked picture in place of the one before; `None` takes it away.
pub async fn keep(tx: &Transaction, application: OauthApplicationId, logo: Option<String>) -> Result<()> {
    let Some(logo) = logo else {
        Entity::delete_by_id(application).exec(tx.conn()).await?;
        return Ok(());
    };
    let row = ActiveModel { application_id: Set(application), data_url: Set(logo) };
    let same = OnConflict::column(Column::ApplicationId).update_column(Column::DataUrl).to_owned();
    Entity::insert(row).on_conflict(same).exec_without_returning(tx.conn()).await?;
    Ok(())
}
