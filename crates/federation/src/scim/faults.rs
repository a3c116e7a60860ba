//! What identity providers got wrong lately, for the administrator who looks why somebody is missing. Bounded for each
//! configuration.

use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, Result};
use rivergen_platform::{
    Platform,
    db::{TenantOwned, is_foreign_key_violation},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, QueryOrder, QuerySelect, entity::prelude::*};
use serde::Serialize;
use utoipa::ToSchema;

use super::{config, error::ScimError};

/// How many are kept of each configuration.
const KEPT: u64 = 50;
/// How many are shown.
const SHOWN: u64 = 20;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "scim_errors")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub config_id: i64,
    pub occurred_at: DateTime<Utc>,
    /// Method and path below the base.
    pub request: String,
    pub status: i32,
    pub scim_type: Option<String>,
    pub detail: String,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A request of the identity provider that was refused.
#[derive(Debug, Serialize, ToSchema)]
pub struct ScimFault {
    pub occurred_at: DateTime<Utc>,
    #[schema(examples("PATCH /Groups/7"))]
    pub request: String,
    #[schema(examples(400))]
    pub status: i32,
    #[schema(examples("invalidValue"))]
    pub scim_type: Option<String>,
    #[schema(examples("userName must be a text."))]
    pub detail: String,
}

/// Keeps one, in a transaction of its own: that of the request is undone.
pub async fn keep(platform: &Platform, config: &config::Model, request: &str, error: &ScimError) -> Result<()> {
    let tx = platform.db.begin().await?;
    let row = ActiveModel {
        organization_id: Set(config.organization_id),
        config_id: Set(config.id),
        occurred_at: Set(platform.clock.now()),
        request: Set(request.chars().filter(|letter| *letter != '\0').take(200).collect()),
        status: Set(error.status.into()),
        scim_type: Set(error.kind.map(|kind| kind.as_str().to_owned())),
        detail: Set(error.detail.chars().filter(|letter| *letter != '\0').take(500).collect()),
        ..Default::default()
    };
    let kept = Entity::insert(row).exec_without_returning(tx.conn()).await;
    if kept.as_ref().is_err_and(is_foreign_key_violation) {
        // The provider was removed meanwhile: nobody looks any more what it gets wrong.
        return Ok(());
    }
    kept?;
    // Index: scim_errors(config_id, id).
    let oldest = of(config).order_by_desc(Column::Id).offset(KEPT).limit(1).one(tx.conn()).await?;
    if let Some(oldest) = oldest {
        Entity::delete_many()
            .filter(Column::ConfigId.eq(config.id))
            .filter(Column::Id.lte(oldest.id))
            .exec(tx.conn())
            .await?;
    }
    tx.commit().await
}

fn of(config: &config::Model) -> Select<Entity> {
    Entity::find().filter(Column::ConfigId.eq(config.id))
}

/// The newest first.
pub async fn recent(db: &impl ConnectionTrait, config: &config::Model) -> Result<Vec<ScimFault>> {
    let rows = of(config).order_by_desc(Column::Id).limit(SHOWN).all(db).await?;
    let shown = |row: Model| ScimFault {
        occurred_at: row.occurred_at,
        request: row.request,
        status: row.status,
        scim_type: row.scim_type,
        detail: row.detail,
    };
    Ok(rows.into_iter().map(shown).collect())
}
