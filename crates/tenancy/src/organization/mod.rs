//! Organizations: the tenants. One operation, one file; the rules that they share stand here.

pub mod audit_logs;
pub mod branding;
pub mod create;
pub mod delete;
pub mod erase;
pub mod get;
pub mod list;
pub mod settings;
pub mod tokens;
pub mod update;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use rivergen_identity::security::{Enforcement, OrganizationSecurity};
use rivergen_kernel::{BuiltInRole, Error, ErrorCode, OrganizationId, Result, RoleId, Tenant, UserId};
use rivergen_platform::{Transaction, db::duplicate_is};
use sea_orm::{ActiveValue::Set, QuerySelect, entity::prelude::*, sea_query::LockType};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Tenancy, domain, role,
    workspace::{self, NewWorkspace},
};

/// The operations on organizations themselves.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(create::create, list::list))
        .routes(routes!(get::get, update::update, delete::delete))
        .routes(routes!(settings::get_settings, settings::update_settings))
        .routes(routes!(branding::read::sign_in_branding))
        .routes(routes!(audit_logs::list_audit_logs))
        .merge(tokens::operations())
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "organizations")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: OrganizationId,
    pub name: String,
    /// The name without case, unique; a personal organization has a key of its own, so that two people
    /// may have the same name.
    pub name_key: String,
    /// Lower-cased. Whether it is proved says the claim of it ([`domain`]), which is made with it.
    pub domain: Option<String>,
    pub plan: String,
    pub is_personal: bool,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
    /// What it asks of its members' sign-ins, where that is not the usual.
    pub security: Option<Json>,
    /// What it enforces of single sign-on, where it ever did.
    pub enforcement: Option<Json>,
    /// Its other settings, where they are not the usual ones.
    pub settings: Option<Json>,
    /// One of them, where a query can ask for it: whether workspaces may be open to all of its members.
    pub allows_public_workspaces: bool,
    /// Counts the changes of them all.
    pub settings_version: i64,
    pub settings_updated_at: Option<DateTime<Utc>>,
    pub settings_updated_by: Option<UserId>,
}

impl Model {
    pub fn security(&self) -> Result<OrganizationSecurity> {
        match &self.security {
            // What cannot be read must not be taken for what asks for nothing.
            Some(settings) => serde_json::from_value(settings.clone()).map_err(Error::internal),
            None => Ok(OrganizationSecurity::default()),
        }
    }

    /// As with [`Model::security`], what cannot be read is no consent.
    pub fn enforcement(&self) -> Result<Enforcement> {
        let kept = self.enforcement.clone().map(serde_json::from_value).transpose().map_err(Error::internal)?;
        Ok(kept.unwrap_or_default())
    }
}

impl ActiveModelBehavior for ActiveModel {}

/// Locks the organization until the transaction ends: who changes what its members hold, or what is there once (the default
/// workspace, the names of workspaces), does so one after another. Always before the chain of the audit log is locked, so
/// that no two transactions wait for each other.
pub async fn lock(tx: &Transaction, tenant: Tenant) -> Result<()> {
    // Not so strict that rows which refer to the organization could not be written meanwhile.
    Entity::find_by_id(tenant.organization_id()).lock(LockType::NoKeyUpdate).one(tx.conn()).await?;
    Ok(())
}

/// An organization as its members see it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct Organization {
    pub id: OrganizationId,
    #[schema(examples("Acme"))]
    pub name: String,
    #[schema(examples("acme.example"))]
    pub domain: Option<String>,
    /// Whether the organization has proved that domain.
    #[schema(examples(true))]
    pub domain_verified: bool,
    #[schema(examples("enterprise"))]
    pub plan: String,
    pub created_at: DateTime<Utc>,
}

impl Organization {
    /// The rows, each with whether its domain is proved.
    async fn of(db: &impl ConnectionTrait, rows: Vec<Model>) -> Result<Vec<Self>> {
        let verified = domain::verified_among(db, &rows).await?;
        let shown = |row: Model| Self {
            domain_verified: verified.contains(&row.id),
            id: row.id,
            name: row.name,
            domain: row.domain,
            plan: row.plan,
            created_at: row.created_at,
        };
        Ok(rows.into_iter().map(shown).collect())
    }
}

/// What makes an organization.
#[derive(Debug)]
pub(crate) struct NewOrganization<'a> {
    pub name: &'a str,
    pub domain: Option<String>,
    pub workspace_name: &'a str,
    pub is_personal: bool,
    pub created_by: UserId,
}

/// A fresh organization with its first workspace and its built-in roles.
pub(crate) struct Created {
    pub organization: Model,
    pub workspace: workspace::Model,
    pub roles: BTreeMap<BuiltInRole, RoleId>,
}

impl NewOrganization<'_> {
    /// `ORG_EXISTS` where the name is taken.
    pub async fn insert(self, tx: &Transaction, now: DateTime<Utc>) -> Result<Created> {
        // The key of a name is in lower case: so nobody takes this one by a name.
        let name_key = if self.is_personal { format!("~USER:{}", self.created_by) } else { name_key(self.name) };
        let organization = ActiveModel {
            name: Set(self.name.to_owned()),
            name_key: Set(name_key),
            domain: Set(self.domain),
            plan: Set("enterprise".to_owned()),
            is_personal: Set(self.is_personal),
            created_by_user_id: Set(self.created_by),
            created_at: Set(now),
            updated_at: Set(now),
            deleted_at: Set(None),
            security: Set(None),
            enforcement: Set(None),
            settings: Set(None),
            allows_public_workspaces: Set(true),
            settings_version: Set(0),
            settings_updated_at: Set(None),
            settings_updated_by: Set(None),
            ..Default::default()
        }
        .insert(tx.conn())
        .await
        .map_err(duplicate_is(ErrorCode::OrgExists))?;
        if let Some(domain) = &organization.domain {
            domain::claim_missing(tx, Tenant::on_behalf_of(organization.id), domain, now).await?;
        }
        let roles = role::create_built_in(tx, organization.id, now).await?;
        let workspace = NewWorkspace { is_default: true, ..NewWorkspace::of(organization.id, self.workspace_name) };
        let workspace = workspace.insert(tx, now).await?;
        Ok(Created { organization, workspace, roles })
    }
}

pub(crate) fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// A live organization by its name, for the operator.
pub async fn named(db: &impl ConnectionTrait, name: &str) -> Result<Model> {
    // Index: organizations(name_key), unique.
    let found = Entity::find().filter(Column::NameKey.eq(name_key(name))).filter(Column::DeletedAt.is_null());
    let missing = || Error::new(ErrorCode::OrgNotFound).with_message(format!("There is no organization {name:?}."));
    found.one(db).await?.ok_or_else(missing)
}

/// The domain as DNS has it; 422 where it is no DNS name with at least two labels.
pub(crate) fn normalise_domain(text: &str) -> Result<String> {
    let known = domain::normalise(text);
    known.ok_or_else(|| Error::invalid_field("domain", "is not a domain name such as acme.example"))
}
