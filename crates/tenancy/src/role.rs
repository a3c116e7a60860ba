//! Roles of an organization: the built-in ones are rows like any other, made with the organization.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    BuiltInRole, Error, ErrorCode, OrganizationId, Permission, PermissionSet, Result, RoleId, Tenant,
};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, entity::prelude::*};
use serde::Serialize;
use utoipa::ToSchema;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "roles")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: RoleId,
    pub organization_id: OrganizationId,
    pub name: String,
    pub description: String,
    pub is_built_in: bool,
    /// Names of the catalogue of permissions, as a JSON array.
    pub permissions: Json,
    pub created_at: DateTime<Utc>,
    /// The name without case, unique in the organization.
    pub name_key: String,
    pub updated_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    pub fn built_in(&self) -> Option<BuiltInRole> {
        self.name.parse().ok().filter(|_| self.is_built_in)
    }

    /// Those of a built-in role stand in the code, so that they grow with the catalogue. A permission that this version
    /// does not know gives nothing.
    pub fn permissions(&self) -> PermissionSet {
        if let Some(built_in) = self.built_in() {
            return built_in.permissions();
        }
        let names = self.permissions.as_array().map(Vec::as_slice).unwrap_or_default();
        names.iter().filter_map(|name| name.as_str()?.parse::<Permission>().ok()).collect()
    }
}

/// A role by its name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct RoleRef {
    pub id: RoleId,
    #[schema(examples("Viewer"))]
    pub name: String,
}

/// Gives a new organization its built-in roles.
pub async fn create_built_in(
    tx: &Transaction,
    organization_id: OrganizationId,
    now: DateTime<Utc>,
) -> Result<BTreeMap<BuiltInRole, RoleId>> {
    let mut ids = BTreeMap::new();
    for role in BuiltInRole::ALL {
        let row = ActiveModel {
            organization_id: Set(organization_id),
            name: Set(role.name().to_owned()),
            description: Set(role.description().to_owned()),
            is_built_in: Set(true),
            permissions: Set(serde_json::to_value(role.permissions()).map_err(Error::internal)?),
            created_at: Set(now),
            name_key: Set(role.name().to_lowercase()),
            updated_at: Set(Some(now)),
            ..Default::default()
        };
        ids.insert(role, row.insert(tx.conn()).await?.id);
    }
    Ok(ids)
}

/// The organization's built-in role. Index: roles(organization_id, name_key), unique.
pub async fn built_in(db: &impl ConnectionTrait, tenant: Tenant, role: BuiltInRole) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::NameKey.eq(role.name().to_lowercase())).one(db).await?;
    found.ok_or_else(|| Error::internal("an organization without its built-in roles"))
}

/// `ROLE_NOT_FOUND` where the organization has no such role.
pub async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: RoleId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).one(db).await?;
    found.ok_or_else(|| ErrorCode::RoleNotFound.into())
}
