//! Workspaces of an organization. One store and one set of rules under two surfaces:
//! `/organizations/{org_id}/workspaces` and `/workspaces`. One operation, one file, for both.
//!
//! Who belongs to a workspace is who holds a role in it ([`members`]). What somebody may do to a workspace comes from
//! their roles in the organization and in the workspace together ([`Tenancy::enter_workspace`]). One that is public is open
//! to every member of the organization, with its default role, as far as that is about what is in it
//! ([`crate::standing`]).
//!
//! Whoever changes which workspaces there are, or who is in them, locks the organization before anything else
//! ([`organization::lock`]): so what is checked is still true when it is written.

pub mod clone;
pub mod create;
pub mod delete;
pub mod get;
pub mod list;
pub mod members;
pub mod provision;
pub mod set_default;
pub mod settings;
pub mod update;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    BuiltInRole, Caller, Error, ErrorCode, MissingScope, OrganizationId, Permission, PermissionSet, Result, Tenant,
    UserId, WorkspaceId,
};
use rivergen_platform::{
    Clock, Transaction,
    audit::Actor,
    db::{TenantOwned, TenantScope, duplicate_is},
};
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, JoinType, QuerySelect, QueryTrait, Select, entity::prelude::*,
    sea_query::SelectStatement,
};
use serde::Serialize;
use settings::{Settings, WorkspaceSettings};
use utoipa::ToSchema;
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{
    Tenancy,
    member::{self, Status, assignment, assignment::Grant},
    organization, role,
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: WorkspaceId,
    pub organization_id: OrganizationId,
    pub name: String,
    /// The name without case, unique in the organization; a deleted workspace gives it back.
    pub name_key: String,
    /// Made from the name or given, unique in the organization; a deleted workspace gives it back.
    pub slug: String,
    /// One of the organization's is.
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Purged thirty days later.
    pub deleted_at: Option<DateTime<Utc>>,
    pub description: Option<String>,
    /// What was set, as [`Settings`].
    pub settings: Option<Json>,
    /// Counts the changes of it.
    pub settings_version: i64,
    pub settings_updated_at: Option<DateTime<Utc>>,
    pub settings_updated_by: Option<UserId>,
    /// Whether those open it to every member of the organization, if that allows it; where a query can ask for it.
    pub is_public: bool,
    /// What it is a copy of.
    pub source_workspace_id: Option<WorkspaceId>,
    /// What the program that provisioned it calls it, unique in the organization.
    pub external_key: Option<String>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// The operations on workspaces.
pub(crate) fn operations() -> OpenApiRouter<Tenancy> {
    OpenApiRouter::new()
        .routes(routes!(create::create_workspace_in_organization, list::list_organization_workspaces))
        .routes(routes!(
            get::get_workspace_in_organization,
            update::update_workspace_in_organization,
            delete::delete_workspace_in_organization
        ))
        .routes(routes!(set_default::set_default_workspace))
        .routes(routes!(members::list::list_workspace_members, members::add::add_workspace_member))
        .routes(routes!(members::update::update_workspace_member, members::remove::remove_workspace_member))
        .routes(routes!(create::create_workspace, list::list_workspaces))
        .routes(routes!(get::get_workspace, update::update_workspace, delete::delete_workspace))
        .routes(routes!(clone::clone_workspace))
        .routes(routes!(settings::get_workspace_settings, settings::update_workspace_settings))
        .routes(routes!(provision::provision_workspaces))
}

/// A workspace as a list shows it.
#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceItem {
    pub id: WorkspaceId,
    #[schema(examples("Development Workspace"))]
    pub name: String,
    #[schema(examples("development-workspace"))]
    pub slug: String,
    pub organization_id: OrganizationId,
    pub is_default: bool,
}

impl From<Model> for WorkspaceItem {
    fn from(row: Model) -> Self {
        Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            organization_id: row.organization_id,
            is_default: row.is_default,
        }
    }
}

/// A workspace, whole.
#[derive(Debug, Serialize, ToSchema)]
pub struct Workspace {
    pub id: WorkspaceId,
    #[schema(examples("Development Workspace"))]
    pub name: String,
    #[schema(examples("development-workspace"))]
    pub slug: String,
    pub organization_id: OrganizationId,
    pub is_default: bool,
    pub description: Option<String>,
    /// Those in force, defaults included.
    pub settings: WorkspaceSettings,
    /// What it is a copy of.
    pub source_workspace_id: Option<WorkspaceId>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl Workspace {
    pub(crate) async fn of(db: &impl ConnectionTrait, tenant: Tenant, row: Model) -> Result<Self> {
        let (settings, _) = settings::effective(db, tenant, &row).await?;
        Ok(Self {
            id: row.id,
            name: row.name,
            slug: row.slug,
            organization_id: row.organization_id,
            is_default: row.is_default,
            description: row.description,
            settings,
            source_workspace_id: row.source_workspace_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceAnswer {
    pub workspace: Workspace,
    pub message: &'static str,
}

// ---- who may see which --------------------------------------------------------------------------------

impl Tenancy {
    /// The workspace for who may see it: the default one and those that are public for every member of the organization,
    /// another one for who holds a role in it, all of them with `workspace.read`. A token whose scopes reach no workspace
    /// sees none.
    pub(crate) async fn see_workspace(
        &self,
        caller: &Caller,
        organization: Option<OrganizationId>,
        workspace: WorkspaceId,
    ) -> Result<(Tenant, Model)> {
        let (caller, found) = self.enter_workspace(caller, organization, workspace).await?;
        let tenant = caller.tenant()?;
        if let Some(scopes) = caller.credential.scopes()
            && scopes.narrow(&PermissionSet::from([Permission::WorkspaceRead])).is_empty()
        {
            return Err(Error::new(ErrorCode::Forbidden)
                .with_message("The token's scopes do not allow this.")
                .with_source(MissingScope(Permission::WorkspaceRead)));
        }
        if !self.may_see(&caller, &found).await? {
            return Err(Error::new(ErrorCode::Forbidden)
                .with_message("You neither belong to this workspace nor have the permission workspace.read."));
        }
        Ok((tenant, found))
    }

    /// Whether the caller, standing in the organization of the workspace, may see it.
    async fn may_see(&self, caller: &Caller, workspace: &Model) -> Result<bool> {
        if workspace.is_default || caller.may(Permission::WorkspaceRead) {
            return Ok(true);
        }
        let now = self.identity.platform.clock.now();
        let standing = self.standings.of(workspace.organization_id, caller.user_id).await?;
        Ok(standing.is_some_and(|standing| standing.is_let_into(workspace.id, now)))
    }
}

/// The workspaces that a person may stand in: of each of their organizations the default one, those that are public, and
/// those in which they hold a role.
pub(crate) fn reachable(user_id: UserId, now: DateTime<Utc>) -> Select<Entity> {
    let organization = member::Entity::belongs_to(organization::Entity)
        .from(member::Column::OrganizationId)
        .to(organization::Column::Id);
    // Index: memberships(user_id, status).
    let organizations = member::Entity::find()
        .select_only()
        .column(member::Column::OrganizationId)
        .join(JoinType::InnerJoin, organization.into())
        .filter(member::Column::UserId.eq(user_id))
        .filter(member::Column::Status.eq(Status::Active))
        .filter(organization::Column::DeletedAt.is_null())
        .into_query();
    Entity::find()
        .filter(Column::DeletedAt.is_null())
        .filter(Column::OrganizationId.in_subquery(organizations))
        .filter(open_to(user_id, now))
}

/// Of the workspaces of somebody's organizations those that they may stand in.
fn open_to(user_id: UserId, now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::IsDefault.eq(true)).add(is_open()).add(Column::Id.in_subquery(joined_by(user_id, now)))
}

/// Those that are public, in an organization that lets them be.
pub(crate) fn is_open() -> Condition {
    use sea_orm::sea_query::ExprTrait;
    let allows = organization::Entity::find()
        .select_only()
        .column(organization::Column::Id)
        .filter(Expr::col((organization::Entity, organization::Column::Id)).equals((Entity, Column::OrganizationId)))
        .filter(organization::Column::AllowsPublicWorkspaces.eq(true))
        .into_query();
    Condition::all().add(Column::IsPublic.eq(true)).add(Expr::exists(allows))
}

fn joined_by(user_id: UserId, now: DateTime<Utc>) -> SelectStatement {
    // Index: role_assignments(user_id, organization_id).
    assignment::Entity::find()
        .select_only()
        .column(assignment::Column::WorkspaceId)
        .filter(assignment::Column::UserId.eq(user_id))
        .filter(assignment::Column::WorkspaceId.is_not_null())
        .filter(assignment::live(now))
        .into_query()
}

/// Index: workspaces_default(organization_id), unique, of those that are the default.
pub(crate) async fn default_of(db: &impl ConnectionTrait, organization_id: OrganizationId) -> Result<Option<Model>> {
    Ok(Entity::find()
        .filter(Column::OrganizationId.eq(organization_id))
        .filter(Column::IsDefault.eq(true))
        .filter(Column::DeletedAt.is_null())
        .one(db)
        .await?)
}

// ---- what changes them --------------------------------------------------------------------------------

/// The workspace as it stays until the transaction ends; `WORKSPACE_NOT_FOUND` where it was deleted meanwhile.
pub(crate) async fn hold(tx: &Transaction, tenant: Tenant, id: WorkspaceId) -> Result<Model> {
    organization::lock(tx, tenant).await?;
    let found = tenant.find::<Entity>().filter(Column::Id.eq(id)).filter(Column::DeletedAt.is_null());
    found.one(tx.conn()).await?.ok_or_else(|| ErrorCode::WorkspaceNotFound.into())
}

/// What makes a workspace.
pub(crate) struct NewWorkspace<'a> {
    pub organization_id: OrganizationId,
    pub name: &'a str,
    /// Made from the name where none is given.
    pub slug: Option<&'a str>,
    pub is_default: bool,
    pub description: Option<String>,
    pub settings: Settings,
    pub source_workspace_id: Option<WorkspaceId>,
    pub external_key: Option<String>,
}

impl<'a> NewWorkspace<'a> {
    /// One with nothing but a name.
    pub fn of(organization_id: OrganizationId, name: &'a str) -> Self {
        Self {
            organization_id,
            name,
            slug: None,
            is_default: false,
            description: None,
            settings: Settings::default(),
            source_workspace_id: None,
            external_key: None,
        }
    }

    /// `WORKSPACE_EXISTS` where name or slug is taken.
    pub async fn insert(self, tx: &Transaction, now: DateTime<Utc>) -> Result<Model> {
        let name = self.name.trim();
        let made = slug_of(name);
        if made.is_empty() {
            return Err(Error::invalid_field("name", NO_LETTER));
        }
        let row = ActiveModel {
            organization_id: Set(self.organization_id),
            name: Set(name.to_owned()),
            name_key: Set(name_key(name)),
            slug: Set(self.slug.map_or(made, str::to_owned)),
            is_default: Set(self.is_default),
            created_at: Set(now),
            updated_at: Set(now),
            deleted_at: Set(None),
            description: Set(self.description),
            settings: Set(self.settings.stored()?),
            is_public: Set(self.settings.is_public()),
            source_workspace_id: Set(self.source_workspace_id),
            external_key: Set(self.external_key),
            ..Default::default()
        };
        row.insert(tx.conn()).await.map_err(taken)
    }
}

/// `WORKSPACE_EXISTS` for what an index refused.
fn taken(error: sea_orm::DbErr) -> Error {
    duplicate_is(ErrorCode::WorkspaceExists)(error)
}

/// Makes somebody the Admin of a workspace that they made.
async fn make_admin(
    tx: &Transaction,
    tenant: Tenant,
    workspace: WorkspaceId,
    user_id: UserId,
    by: &Actor,
    clock: &Clock,
) -> Result<()> {
    let role_id = role::built_in(tx.conn(), tenant, BuiltInRole::Admin).await?.id;
    let grant = Grant { tenant, user_id, role_id, workspace_id: Some(workspace), expires_at: None };
    grant.give(tx, by, clock).await.map(drop)
}

// ---- names --------------------------------------------------------------------------------------------

const NO_LETTER: &str = "must have at least one letter or digit";

fn name_key(name: &str) -> String {
    name.trim().to_lowercase()
}

/// `Development Workspace` → `development-workspace`.
fn slug_of(name: &str) -> String {
    name.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

/// Rule of a field with a name from which a slug can be made.
pub(crate) fn has_a_letter(name: &str, (): &()) -> garde::Result {
    if slug_of(name).is_empty() { Err(garde::Error::new(NO_LETTER)) } else { Ok(()) }
}

/// Rule of a field with a slug: `^[a-z0-9]+(-[a-z0-9]+)*$`, at most 63.
fn is_slug(slug: &str, (): &()) -> garde::Result {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit());
    if slug.len() <= 63 && slug.split('-').all(is_word) {
        return Ok(());
    }
    Err(garde::Error::new("must be words of a to z and 0 to 9 with single hyphens between them, at most 63 characters"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slug_follows_from_the_name() {
        assert_eq!(slug_of("Development  Workspace!"), "development-workspace");
        assert_eq!(slug_of("Ünïcode 7"), "ünïcode-7");
        assert_eq!(slug_of("—"), "");
    }

    #[test]
    fn what_is_given_as_a_slug_must_be_one() {
        for good in ["a", "0", "data-lab-2", &"x".repeat(63)] {
            assert!(is_slug(good, &()).is_ok(), "{good}");
        }
        for bad in ["", "-", "-a", "a-", "a--b", "A", "a b", "ü", "a_b", "~deleted:7", &"x".repeat(64)] {
            assert!(is_slug(bad, &()).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn the_slug_of_an_english_name_may_be_given_too(name in "[ -~]{0,40}[a-zA-Z0-9][ -~]{0,20}") {
            prop_assert!(is_slug(&slug_of(&name), &()).is_ok());
        }

        #[test]
        fn no_slug_is_one_of_a_deleted_workspace(name in ".{0,60}") {
            prop_assert!(!slug_of(&name).contains('~'));
        }
    }
}
