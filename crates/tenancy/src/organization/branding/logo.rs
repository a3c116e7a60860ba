//! The picture of an organization, kept as that of an application is: as bytes in a data URL, and shown out of the page itself.

use rivergen_identity::account::profile::check_picture;
use rivergen_kernel::{OrganizationId, Result, Tenant};
use rivergen_platform::Transaction;
use sea_orm::{ActiveValue::Set, entity::prelude::*, sea_query::OnConflict};

/// The most that a picture may have, in bytes.
const LARGEST: usize = 64 * 1024;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "organization_logos")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    pub data_url: String,
}

impl ActiveModelBehavior for ActiveModel {}

/// Whether it is a picture that may be kept. Of those that move, none may: nobody types a password beside one.
pub(super) fn is_one(logo: &Option<String>, (): &()) -> garde::Result {
    let Some(logo) = logo else { return Ok(()) };
    let checked = match logo.strip_prefix("data:") {
        Some(data) if !data.starts_with("image/gif") => check_picture(data, LARGEST),
        _ => Err("must be a PNG, JPEG or WebP as a data URL".to_owned()),
    };
    checked.map_err(garde::Error::new)
}

/// What the audit log says of it: its kind and its size.
pub(in crate::organization) fn told(logo: &str) -> String {
    let (kind, data) = logo.strip_prefix("data:").and_then(|data| data.split_once(";base64,")).unwrap_or_default();
    format!("{kind}, {} KiB", (data.len() * 3 / 4).div_ceil(1024))
}

/// Index: organization_logos(organization_id), primary key.
pub(super) async fn find(db: &impl ConnectionTrait, organization: OrganizationId) -> Result<Option<String>> {
    Ok(Entity::find_by_id(organization).one(db).await?.map(|row| row.data_url))
}

/// Keeps a checked picture in place of the one before; `None` takes it away.
pub(in crate::organization) async fn keep(tx: &Transaction, tenant: Tenant, logo: Option<&str>) -> Result<()> {
    let organization_id = tenant.organization_id();
    let Some(logo) = logo else {
        Entity::delete_by_id(organization_id).exec(tx.conn()).await?;
        return Ok(());
    };
    let row = ActiveModel { organization_id: Set(organization_id), data_url: Set(logo.to_owned()) };
    let same = OnConflict::column(Column::OrganizationId).update_column(Column::DataUrl).to_owned();
    Entity::insert(row).on_conflict(same).exec_without_returning(tx.conn()).await?;
    Ok(())
}
