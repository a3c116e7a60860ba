//! Attribute-based access: policies that decide beside the roles, by what is known of the person and of the request.
//!
//! A policy allows or denies permissions of the catalogue, under a condition over `subject.*`, `resource.*`, `action.*` and
//! `environment.*`; or it is written in Cedar, for what conditions cannot say. Both become Cedar policies that are checked
//! against a schema when they are saved ([`condition`], [`schema`]) and evaluated by Cedar ([`compiled`]) at the one place
//! where permissions are checked: `Caller::require` and its kin, through [`rivergen_kernel::access`].
//!
//! ```text
//! role(p)     a role gives the caller the permission p, as far as the scopes of their token let it through
//! allow(p,x)  some active policy that allows p matches; x is the object, or nothing where there is none
//! deny(p,x)   some active policy that denies p matches, or one on p cannot be evaluated
//! scope(p)    the scopes of the caller's token let p through; true of a session
//! kept(p)     p is sso.read or sso.manage, and the caller's roles hold everything
//!
//! holds(p,x) = (role(p) ∨ allow(p,x) ∧ scope(p)) ∧ ¬deny(p,x)  ∨  role(p) ∧ kept(p)
//! ```
//!
//! From which the laws that the tests in `algebra.rs` hold:
//!
//! - Without a policy, `holds = role`, and nothing is evaluated.
//! - One more policy that denies never gives anything; one more that allows never takes anything, unless it cannot be
//!   evaluated.
//! - A policy on the object alone (its id, its workspace, its owner) has no say where there is no object, and is taken only
//!   of resource types whose every operation on an object asks about that object. It only denies.
//! - Nobody widens themselves: who saves a policy that allows must hold, by their roles in the whole organization, every
//!   permission that it could give; what a policy allows somebody they cannot pass on (`Caller::may_grant`).
//! - Nobody is locked out of the policies: owners keep `sso.read` and `sso.manage`, and a policy that would deny `sso.manage`
//!   to every owner is refused.
//! - A token never does what its scopes do not let through.
//!
//! Policies and members' groups are kept in memory ([`store`]) and forgotten when they change, so that a check asks no
//! database; an organization without policies pays the look-up of nothing.

#[cfg(test)]
mod algebra;
mod compiled;
mod condition;
mod create;
mod delete;
mod evaluate;
mod facts;
mod guard;
mod list;
pub(crate) mod migrations;
mod schema;
mod store;
mod update;
mod view;

use chrono::{DateTime, Utc};
use rivergen_kernel::{AbacPolicyId, Error, ErrorCode, OrganizationId, Result, Tenant, UserId};
use rivergen_platform::db::{TenantOwned, TenantScope, duplicate_is};
use sea_orm::{ConnectionTrait, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::Federation;
use compiled::{Rule, Written};

pub use store::AccessControl;
pub use view::AbacPolicy;

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(create::create_policy, list::list_policies))
        .routes(routes!(update::update_policy, delete::delete_policy))
        .routes(routes!(evaluate::evaluate))
}

/// What a policy does when it matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, EnumIter, DeriveActiveEnum, Serialize, Deserialize, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "lowercase")]
#[schema(as = AbacEffect)]
pub enum Effect {
    #[sea_orm(string_value = "allow")]
    Allow,
    #[sea_orm(string_value = "deny")]
    Deny,
}

impl Effect {
    const fn in_cedar(self) -> &'static str {
        match self {
            Self::Allow => "permit",
            Self::Deny => "forbid",
        }
    }
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "abac_policies")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: AbacPolicyId,
    pub organization_id: OrganizationId,
    pub name: String,
    /// The name in lower case: unique in the organization.
    pub name_key: String,
    pub description: Option<String>,
    pub effect: Effect,
    /// What stands before the dot of its permissions, or `*`.
    pub resource_type: String,
    /// An array of permissions, or of `*`.
    pub actions: Json,
    /// As the API takes them.
    pub conditions: Option<Json>,
    /// Instead of them, a policy in Cedar.
    pub cedar: Option<String>,
    /// The order of lists; what is decided does not depend on it.
    pub priority: i32,
    pub is_active: bool,
    pub created_by_user_id: UserId,
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
    fn actions(&self) -> Result<Vec<String>> {
        serde_json::from_value(self.actions.clone()).map_err(Error::internal)
    }

    /// What it says. It was checked when it was saved; a permission that the catalogue has lost since makes it unreadable.
    fn rule(&self) -> Result<Rule> {
        let actions = self.actions()?;
        let written = Written {
            effect: self.effect,
            resource_type: &self.resource_type,
            actions: &actions,
            conditions: self.conditions.as_ref(),
            cedar: self.cedar.as_deref(),
        };
        written.read()
    }
}

/// `ABAC_POLICY_NOT_FOUND` for one of another organization, too.
async fn find(db: &impl ConnectionTrait, tenant: Tenant, id: AbacPolicyId) -> Result<Model> {
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).one(db).await?;
    found.ok_or_else(|| ErrorCode::AbacPolicyNotFound.into())
}

fn name_taken(error: DbErr) -> Error {
    duplicate_is(ErrorCode::AbacPolicyExists)(error)
}
