//! Roles of an organization: the built-in ones are rows like any other, made with the organization.
//!
//! One store under two surfaces: `/organizations/{org_id}/roles` and `/roles`. One operation, one file; [`rules`] says who
//! may do what, for all of them.

mod assign;
mod assignments;
mod bulk_assign;
mod catalogue;
mod copy;
mod create;
mod delete;
mod effective;
mod get;
mod history;
mod impact;
mod list;
mod revoke;
pub mod rules;
mod templates;
mod update;
pub(crate) mod usage;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    BuiltInRole, Caller, Error, ErrorCode, OrganizationId, Permission, PermissionSet, Result, RoleId, Tenant,
    WorkspaceId,
};
use rivergen_platform::{
    Transaction,
    db::{TenantOwned, TenantScope, duplicate_is},
};
use sea_orm::{ActiveValue::Set, ConnectionTrait, QuerySelect, entity::prelude::*};
use serde::{Deserialize, Deserializer, Serialize};
use usage::Usage;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Tenancy;

/// The operations on roles, of both surfaces.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(list::list_organization_roles, create::create_organization_role))
        .routes(routes!(get::get_organization_role, update::update_organization_role, delete::delete_organization_role))
        .routes(routes!(list::list_roles, create::create_role))
        .routes(routes!(get::get_role, update::update_role, delete::delete_role))
        .routes(routes!(catalogue::list_permissions))
        .routes(routes!(templates::list_role_templates))
        .routes(routes!(copy::clone_role))
        .routes(routes!(impact::preview_role_impact))
        .routes(routes!(assignments::list_role_assignments, assign::assign_role))
        .routes(routes!(revoke::revoke_role_assignment))
        .routes(routes!(bulk_assign::bulk_assign_roles))
        .routes(routes!(effective::get_user_permissions))
        .routes(routes!(effective::check_permission))
}

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

    /// `SYSTEM_ROLE` for a built-in role, which nobody changes.
    fn refuse_built_in(&self) -> Result<()> {
        if self.is_built_in { Err(ErrorCode::SystemRole.into()) } else { Ok(()) }
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

/// As [`find`], where something that is kept names the role, which may be gone meanwhile.
pub async fn existing(db: &impl ConnectionTrait, tenant: Tenant, id: RoleId) -> Result<Option<Model>> {
    Ok(tenant.find::<Entity>().filter(Column::Id.eq(id)).one(db).await?)
}

/// As [`find`], and it stays what it is until the transaction ends: neither changed nor deleted.
pub(crate) async fn hold(tx: &Transaction, tenant: Tenant, id: RoleId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).lock_shared().one(tx.conn()).await?;
    found.ok_or_else(|| ErrorCode::RoleNotFound.into())
}

/// As [`find`], to be changed: of two changes the second waits here for the first.
async fn lock(tx: &Transaction, tenant: Tenant, id: RoleId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).lock_exclusive().one(tx.conn()).await?;
    found.ok_or_else(|| ErrorCode::RoleNotFound.into())
}

/// The role of a path that names no organization, and the caller acting in its organization, or in a workspace of it.
/// `ROLE_NOT_FOUND` unless they are an active member there.
async fn reach(
    tenancy: &Tenancy,
    caller: &Caller,
    id: RoleId,
    workspace: Option<WorkspaceId>,
) -> Result<(Caller, Model)> {
    // Outside a tenant, because the role tells which one; nothing is told of it before the caller has entered.
    let found = Entity::find_by_id(id).one(tenancy.identity.platform.db.read()).await?;
    let found = found.ok_or(ErrorCode::RoleNotFound)?;
    let entered = tenancy.enter_scope(caller, found.organization_id, workspace).await;
    let entered = entered.map_err(|error| error.renamed(ErrorCode::OrgNotFound, ErrorCode::RoleNotFound))?;
    Ok((entered, found))
}

/// A role as its organization sees it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Role {
    pub id: RoleId,
    #[schema(examples("Data Engineer"))]
    pub name: String,
    pub description: Option<String>,
    pub organization_id: OrganizationId,
    /// Built in: it cannot be changed or deleted.
    pub is_system: bool,
    #[schema(value_type = Vec<String>, examples(json!(["datasource.read", "datasource.query"])))]
    pub permissions: PermissionSet,
    /// How many people hold it, anywhere in the organization.
    pub member_count: u64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Role {
    fn new(row: Model, usage: Usage) -> Self {
        Self {
            permissions: row.permissions(),
            id: row.id,
            name: row.name,
            description: Some(row.description).filter(|text| !text.is_empty()),
            organization_id: row.organization_id,
            is_system: row.is_built_in,
            member_count: usage.members,
            created_at: row.created_at,
            updated_at: row.updated_at.unwrap_or(row.created_at),
        }
    }

    /// With its holders counted.
    async fn counted(tenancy: &Tenancy, tenant: Tenant, row: Model) -> Result<Self> {
        let platform = &tenancy.identity.platform;
        let usages = tenancy.usages.of(platform.db.read(), tenant, [row.id], platform.clock.now()).await?;
        let usage = usages.get(&row.id).cloned().unwrap_or_default();
        Ok(Self::new(row, usage))
    }
}

/// The answer of what makes or changes a role.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleAnswer {
    pub role: Role,
    pub message: &'static str,
}

/// The permissions that a request names: each of the catalogue and none twice. There is no wildcard.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named(PermissionSet);

impl<'de> Deserialize<'de> for Named {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut set = BTreeSet::new();
        for permission in Vec::<Permission>::deserialize(deserializer)? {
            if !set.insert(permission) {
                return Err(serde::de::Error::custom(format!("names {permission} twice")));
            }
        }
        Ok(Self(set))
    }
}

fn valid_name(name: &str, _: &()) -> garde::Result {
    let name = name.trim();
    if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
        return Err(garde::Error::new("must be 1 to 100 characters, without control characters"));
    }
    Ok(())
}

/// `ROLE_ALREADY_EXISTS` where the failure is that of the name. Index: roles(organization_id, name_key), unique.
fn name_taken(error: DbErr) -> Error {
    duplicate_is(ErrorCode::RoleAlreadyExists)(error)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_names_known_permissions_once() {
        let named = |text: &str| serde_json::from_str::<Named>(text).map_err(|error| error.to_string());
        assert_eq!(named(r#"["role.read"]"#).unwrap().0, [Permission::RoleRead].into());
        assert_eq!(named("[]").unwrap().0, PermissionSet::new());
        assert!(named(r#"["role.read", "role.read"]"#).unwrap_err().contains("names role.read twice"));
        for unknown in ["*", "role.*", "role", "ROLE.READ", " role.read", ""] {
            assert!(named(&format!(r#"["{unknown}"]"#)).unwrap_err().contains("there is no permission"), "{unknown}");
        }
    }

    #[test]
    fn a_name_is_something_to_read() {
        for good in ["A", " Data Engineer ", &"é".repeat(100)] {
            assert!(valid_name(good, &()).is_ok(), "{good}");
        }
        for bad in ["", "   ", "a\nb", &"é".repeat(101)] {
            assert!(valid_name(bad, &()).is_err(), "{bad}");
        }
    }
}
