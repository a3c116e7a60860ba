//! What a person has agreed to, so that they are asked once for each scope and no more.

use chrono::{DateTime, Utc};
use rivergen_kernel::{OauthApplicationId, OrganizationId, Result, UserId};
use rivergen_platform::{Transaction, db::TenantOwned};
use sea_orm::{ActiveValue::Set, ConnectionTrait, entity::prelude::*, sea_query::OnConflict};

use crate::scope::ScopeSet;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "oauth_consents")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub application_id: OauthApplicationId,
    pub user_id: UserId,
    pub scope: String,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn scope(&self) -> ScopeSet {
        self.scope.parse().unwrap_or_default()
    }
}

/// As [`find`], for a member since then: what somebody agreed to before they left and came back counts no more.
pub async fn of_member(
    db: &impl ConnectionTrait,
    user: UserId,
    application: OauthApplicationId,
    joined_at: DateTime<Utc>,
) -> Result<Option<Model>> {
    Ok(find(db, user, application).await?.filter(|known| known.updated_at >= joined_at))
}

/// Index: oauth_consents(user_id, application_id), unique.
pub async fn find(db: &impl ConnectionTrait, user: UserId, application: OauthApplicationId) -> Result<Option<Model>> {
    let theirs = Entity::find().filter(Column::UserId.eq(user)).filter(Column::ApplicationId.eq(application));
    Ok(theirs.one(db).await?)
}

/// Remembers what a member since then agreed to, beside what was before.
pub async fn remember(
    tx: &Transaction,
    organization: OrganizationId,
    (user, joined_at): (UserId, DateTime<Utc>),
    application: OauthApplicationId,
    scope: &ScopeSet,
    now: DateTime<Utc>,
) -> Result<()> {
    let before = of_member(tx.conn(), user, application, joined_at).await?;
    let mut all = before.map(|before| before.scope()).unwrap_or_default();
    all.0.extend(&scope.0);
    let row = ActiveModel {
        organization_id: Set(organization),
        application_id: Set(application),
        user_id: Set(user),
        scope: Set(all.to_string()),
        created_at: Set(now),
        updated_at: Set(now),
        ..Default::default()
    };
    let same = OnConflict::columns([Column::UserId, Column::ApplicationId])
        .update_columns([Column::Scope, Column::UpdatedAt])
        .to_owned();
    Entity::insert(row).on_conflict(same).exec_without_returning(tx.conn()).await?;
    Ok(())
}

/// Nobody has agreed to the application any more. Index: oauth_consents(application_id).
pub async fn forget_all(tx: &Transaction, application: OauthApplicationId) -> Result<()> {
    Entity::delete_many().filter(Column::ApplicationId.eq(application)).exec(tx.conn()).await?;
    Ok(())
}

/// Forgets it.
pub async fn forget(tx: &Transaction, user: UserId, application: OauthApplicationId) -> Result<bool> {
    let theirs = Entity::delete_many().filter(Column::UserId.eq(user)).filter(Column::ApplicationId.eq(application));
    Ok(theirs.exec(tx.conn()).await?.rows_affected > 0)
}
