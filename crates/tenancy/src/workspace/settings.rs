//! `GET` and `PUT /api/v1/workspaces/{workspace_id}/settings`, and what the settings of a workspace are.
//!
//! The default role is what somebody gets who is let into the workspace without another one ([`default_role`]). A workspace
//! that is public gives it to every member of the organization as soon as they stand in it
//! ([`PublicWorkspace`](crate::standing::PublicWorkspace)): so who opens a workspace gives a role away, and must be allowed
//! to.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{
    BuiltInRole, Caller, Error, ErrorCode, PermissionSet, Result, RoleId, Tenant, UserId, WorkspaceId,
};
use rivergen_platform::{
    Clock, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, ColumnTrait, ConnectionTrait, EntityTrait, IntoActiveModel, QueryFilter,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{ActiveModel, Column, Entity, Model, update, update::Changes};
use crate::{
    Tenancy, organization,
    role::{self, rules::Deed},
};

/// What was set in a workspace; what was not has its default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Settings {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allow_public_access: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default_role_id: Option<RoleId>,
}

/// The settings of a workspace that are in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkspaceSettings {
    /// Whether every member of the organization may use the workspace. There they have those permissions of its default
    /// role (of Viewer, if there is none) that are about sources, files and questions; policies apply to them as to
    /// everyone.
    pub allow_public_access: bool,
    /// The role of people who join the workspace without another one; if it is null, that of the organization.
    pub default_role_id: Option<RoleId>,
}

/// Where a setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = WorkspaceSettingSource)]
pub enum SettingSource {
    /// It was set.
    Workspace,
    /// It was set, and the organization forbids it.
    Organization,
    /// It was not set.
    Default,
}

/// Where each setting comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
pub struct WorkspaceSettingSources {
    pub allow_public_access: SettingSource,
    pub default_role_id: SettingSource,
}

/// Settings to change; what is left out stays, and `null` sets back to the default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"allow_public_access": false, "default_role_id": 42}))]
pub struct WorkspaceSettingsChange {
    /// `false` by default. Opening a workspace gives its default role to every member, so it needs `role.assign` and
    /// all permissions of that role; and the organization must allow it.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<bool>)]
    pub allow_public_access: Option<Option<bool>>,
    /// A role of the organization, with no more permissions than your own; none by default. In the default workspace,
    /// permissions that you have in that workspace alone do not count.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<RoleId>)]
    pub default_role_id: Option<Option<RoleId>>,
}

impl WorkspaceSettingsChange {
    /// Whether it asks for a public workspace.
    pub(super) fn opens(&self) -> bool {
        self.allow_public_access == Some(Some(true))
    }

    /// `ROLE_NOT_FOUND` for a role of nobody's or another's, `FORBIDDEN` for one that holds more than the caller.
    /// So it is for a role that every member would get because the workspace is public. `PUBLIC_ACCESS_FORBIDDEN` where the
    /// organization, which is locked, lets none be.
    pub(super) async fn check(
        &self,
        db: &impl ConnectionTrait,
        caller: &Caller,
        tenant: Tenant,
        before: Settings,
    ) -> Result<()> {
        if let Some(id) = self.default_role_id.flatten() {
            caller.may_grant(&role::find(db, tenant, id).await?.permissions())?;
        }
        if self.opens() && !allows_public(db, tenant).await? {
            return Err(ErrorCode::PublicAccessForbidden.into());
        }
        let after = before.changed_by(self);
        if after == before || !after.is_public() {
            return Ok(());
        }
        let role = match after.default_role_id {
            Some(id) => role::existing(db, tenant, id).await?,
            None => None,
        };
        may_be_everybodys(caller, role.as_ref())
    }
}

/// 403 unless the caller, who stands in the whole organization, may give the default role there: that of the default
/// workspace goes to whoever is added to the organization without another one.
pub(super) async fn may_be_newcomers(
    db: &impl ConnectionTrait,
    caller: &Caller,
    tenant: Tenant,
    settings: Settings,
) -> Result<()> {
    if let Some(id) = settings.default_role_id
        && let Some(role) = role::existing(db, tenant, id).await?
    {
        caller.may_grant(&role.permissions())?;
    }
    Ok(())
}

/// Whether the organization lets workspaces be public.
pub(super) async fn allows_public(db: &impl ConnectionTrait, tenant: Tenant) -> Result<bool> {
    let organization = organization::Entity::find_by_id(tenant.organization_id()).one(db).await?;
    Ok(organization.ok_or(ErrorCode::OrgNotFound)?.allows_public_workspaces)
}

/// 403 unless the caller may give every member what the workspaces give that are set to be public: they are, as soon as the
/// organization, which is locked, allows it again.
pub(crate) async fn may_be_opened_again(db: &impl ConnectionTrait, caller: &Caller, tenant: Tenant) -> Result<()> {
    // Index: workspaces_public(organization_id, id), of those that are public.
    let set = tenant.find::<Entity>().filter(Column::IsPublic.eq(true)).filter(Column::DeletedAt.is_null());
    let defaults: Vec<Option<RoleId>> =
        set.all(db).await?.iter().map(|row| Settings::of(row).default_role_id).collect();
    let roles = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(defaults.iter().flatten().copied()));
    let roles = roles.all(db).await?;
    for default in defaults {
        may_be_everybodys(caller, roles.iter().find(|role| Some(role.id) == default))?;
    }
    Ok(())
}

/// 403 unless the caller may give every member the role that a public workspace has as its default; `None`: Viewer.
pub(super) fn may_be_everybodys(caller: &Caller, role: Option<&role::Model>) -> Result<()> {
    Deed::Assign(&everybodys(role)).allow(caller).map(drop)
}

fn everybodys(role: Option<&role::Model>) -> PermissionSet {
    role.map_or_else(|| BuiltInRole::Viewer.permissions(), role::Model::permissions)
}

/// The role of who is let into the workspace without another one: its default, else that of the organization, else Viewer.
/// A default that is no role any more is passed over.
pub(crate) async fn default_role(db: &impl ConnectionTrait, tenant: Tenant, workspace: &Model) -> Result<role::Model> {
    if let Some(id) = Settings::of(workspace).default_role_id
        && let Some(role) = role::existing(db, tenant, id).await?
    {
        return Ok(role);
    }
    let organization = organization::Entity::find_by_id(tenant.organization_id()).one(db).await?;
    organization::settings::default_role(db, tenant, &organization.ok_or(ErrorCode::OrgNotFound)?.intake()?).await
}

/// Puts another role (`None`: none, which means Viewer) in the place of one that goes, in every workspace of which it is the
/// default. Where one of them is public, every member has the one and gets the other: 403 unless the caller may do that. The
/// organization is locked, and the caller tells the nodes.
pub(crate) async fn replace_default_role(
    tx: &Transaction,
    caller: &Caller,
    by: &Actor,
    from: &role::Model,
    to: Option<&role::Model>,
    clock: &Clock,
) -> Result<()> {
    let tenant = caller.tenant()?;
    // Index: workspaces(organization_id, name_key), its first column.
    let set = tenant.find::<Entity>().filter(Column::Settings.is_not_null()).filter(Column::DeletedAt.is_null());
    for before in set.all(tx.conn()).await? {
        let settings = Settings::of(&before);
        if settings.default_role_id != Some(from.id) {
            continue;
        }
        let settings = Settings { default_role_id: to.map(|role| role.id), ..settings };
        if settings.is_public() {
            let (role, instead) = (from.permissions(), everybodys(to));
            Deed::Delete { role: &role, replacement: Some(&instead) }.allow(caller)?;
        }
        let now = clock.now();
        let mut row = before.clone().into_active_model();
        row.settings = Set(settings.stored()?);
        count_change(&mut row, &before, by.user_id, now);
        row.updated_at = Set(now);
        let after = row.update(tx.conn()).await?;
        let record = AuditRecord::new(Some(tenant.organization_id()), by.clone(), "workspace.update_settings")
            .target("workspace", after.id.0)
            .details(update::difference(&before, &after));
        audit::record(tx, clock, record).await?;
    }
    Ok(())
}

/// The settings of a workspace become others.
pub(super) fn count_change(row: &mut ActiveModel, before: &Model, by: Option<UserId>, now: DateTime<Utc>) {
    row.settings_version = Set(before.settings_version + 1);
    row.settings_updated_at = Set(Some(now));
    row.settings_updated_by = Set(by);
}

impl Settings {
    /// Those that were set. What cannot be read was not: the defaults open nothing.
    pub fn of(row: &Model) -> Self {
        row.settings.clone().and_then(|settings| serde_json::from_value(settings).ok()).unwrap_or_default()
    }

    /// Those that were set and still mean something: a role may be gone.
    pub async fn in_force(db: &impl ConnectionTrait, tenant: Tenant, row: &Model) -> Result<Self> {
        let mut settings = Self::of(row);
        if let Some(id) = settings.default_role_id {
            settings.default_role_id = role::existing(db, tenant, id).await?.map(|role| role.id);
        }
        Ok(settings)
    }

    /// Whether the workspace is open to every member of its organization, if that allows it.
    pub fn is_public(self) -> bool {
        self.allow_public_access == Some(true)
    }

    /// Merged by key.
    pub fn changed_by(self, change: &WorkspaceSettingsChange) -> Self {
        Self {
            allow_public_access: change.allow_public_access.unwrap_or(self.allow_public_access),
            default_role_id: change.default_role_id.unwrap_or(self.default_role_id),
        }
    }

    /// What another workspace may take over: not that it is open.
    pub fn for_copy(self) -> Self {
        Self { allow_public_access: None, ..self }
    }

    /// As they are in an organization that lets workspaces be public, or does not.
    fn shown(self, is_allowed: bool) -> (WorkspaceSettings, WorkspaceSettingSources) {
        let source = |is_set: bool| if is_set { SettingSource::Workspace } else { SettingSource::Default };
        let is_overruled = self.is_public() && !is_allowed;
        let settings = WorkspaceSettings {
            allow_public_access: self.is_public() && is_allowed,
            default_role_id: self.default_role_id,
        };
        let sources = WorkspaceSettingSources {
            allow_public_access: match is_overruled {
                true => SettingSource::Organization,
                false => source(self.allow_public_access.is_some()),
            },
            default_role_id: source(self.default_role_id.is_some()),
        };
        (settings, sources)
    }

    /// As the column holds it.
    pub fn stored(self) -> Result<Option<serde_json::Value>> {
        if self == Self::default() {
            return Ok(None);
        }
        serde_json::to_value(self).map(Some).map_err(Error::internal)
    }
}

/// The settings that hold, and where each comes from.
pub(super) async fn effective(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    row: &Model,
) -> Result<(WorkspaceSettings, WorkspaceSettingSources)> {
    let settings = Settings::in_force(db, tenant, row).await?;
    // Asked only where it matters.
    Ok(settings.shown(!settings.is_public() || allows_public(db, tenant).await?))
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"settings": {"allow_public_access": false, "default_role_id": 42}}))]
pub struct UpdateWorkspaceSettingsRequest {
    #[garde(skip)]
    pub settings: WorkspaceSettingsChange,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceSettingsAnswer {
    pub settings: WorkspaceSettings,
    pub sources: WorkspaceSettingSources,
    /// Counts the changes.
    #[schema(examples(3))]
    pub version: i64,
    /// `null` until somebody changes them.
    pub updated_at: Option<DateTime<Utc>>,
    pub updated_by: Option<UserId>,
    pub message: &'static str,
}

impl WorkspaceSettingsAnswer {
    async fn of(db: &impl ConnectionTrait, tenant: Tenant, row: &Model, message: &'static str) -> Result<Self> {
        let (settings, sources) = effective(db, tenant, row).await?;
        let (version, updated_at, updated_by) =
            (row.settings_version, row.settings_updated_at, row.settings_updated_by);
        Ok(Self { settings, sources, version, updated_at, updated_by, message })
    }
}

errors! {
    pub GetSettingsErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, WorkspaceNotFound;
    pub UpdateSettingsErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, WorkspaceNotFound, RoleNotFound, PublicAccessForbidden, ValidationError;
}

/// Read the settings of a workspace
#[utoipa::path(get, path = "/api/v1/workspaces/{workspace_id}/settings", tag = "workspaces",
    params(("workspace_id" = WorkspaceId, Path, description = "The workspace")),
    responses((status = 200, description = "Those in force, and where each comes from", body = Envelope<WorkspaceSettingsAnswer>), GetSettingsErrors))]
pub async fn get_workspace_settings(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(workspace_id): Path<WorkspaceId>,
) -> Result<Reply<WorkspaceSettingsAnswer>> {
    let (tenant, workspace) = tenancy.see_workspace(&caller, None, workspace_id).await?;
    let message = "The settings of the workspace.";
    let db = tenancy.identity.platform.db.read();
    Ok(Reply::ok(WorkspaceSettingsAnswer::of(db, tenant, &workspace, message).await?, message))
}

/// Change the settings of a workspace
#[utoipa::path(put, path = "/api/v1/workspaces/{workspace_id}/settings", tag = "workspaces",
    params(("workspace_id" = WorkspaceId, Path, description = "The workspace")), request_body = UpdateWorkspaceSettingsRequest,
    responses((status = 200, description = "Merged by key", body = Envelope<WorkspaceSettingsAnswer>), UpdateSettingsErrors))]
pub async fn update_workspace_settings(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(workspace_id): Path<WorkspaceId>,
    Json(request): Json<UpdateWorkspaceSettingsRequest>,
) -> Result<Reply<WorkspaceSettingsAnswer>> {
    let changes = Changes { settings: Some(request.settings), ..Changes::of("workspace.update_settings") };
    let (tenant, workspace) = update::apply(&tenancy, &caller, &origin, None, workspace_id, changes).await?;
    let message = "The settings were changed.";
    let db = tenancy.identity.platform.db.read();
    Ok(Reply::ok(WorkspaceSettingsAnswer::of(db, tenant, &workspace, message).await?, message))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn change(body: serde_json::Value) -> WorkspaceSettingsChange {
        serde_json::from_value(body).unwrap()
    }

    #[test]
    fn settings_are_merged_by_key() {
        let set = Settings::default().changed_by(&change(json!({"allow_public_access": true, "default_role_id": 7})));
        assert_eq!(set, Settings { allow_public_access: Some(true), default_role_id: Some(RoleId(7)) });
        assert_eq!(set.changed_by(&change(json!({}))), set);
        let other = set.changed_by(&change(json!({"default_role_id": 8})));
        assert_eq!((other.allow_public_access, other.default_role_id), (Some(true), Some(RoleId(8))));
        let back = other.changed_by(&change(json!({"allow_public_access": null, "default_role_id": null})));
        assert_eq!(back, Settings::default());
    }

    #[test]
    fn what_is_not_set_has_its_default() {
        let none = Settings::default();
        assert_eq!(none.shown(true).0, WorkspaceSettings { allow_public_access: false, default_role_id: None });
        assert_eq!(none.shown(true).1.allow_public_access, SettingSource::Default);
        // Set to what is the default anyway is set all the same.
        let closed = none.changed_by(&change(json!({"allow_public_access": false})));
        assert_eq!(closed.shown(true).1.allow_public_access, SettingSource::Workspace);
        assert_eq!(none.stored().unwrap(), None);
        assert_eq!(closed.stored().unwrap(), Some(json!({"allow_public_access": false})));
    }

    #[test]
    fn what_the_organization_forbids_is_not_so() {
        let open = Settings { allow_public_access: Some(true), default_role_id: None };
        let closed = Settings { allow_public_access: Some(false), default_role_id: None };
        let shown = |settings: Settings, is_allowed: bool| {
            let (settings, sources) = settings.shown(is_allowed);
            (settings.allow_public_access, sources.allow_public_access)
        };
        assert_eq!(shown(open, true), (true, SettingSource::Workspace));
        assert_eq!(shown(open, false), (false, SettingSource::Organization));
        assert_eq!(shown(closed, false), (false, SettingSource::Workspace));
        assert_eq!(shown(Settings::default(), false), (false, SettingSource::Default));
    }

    #[test]
    fn unknown_keys_are_refused() {
        assert!(serde_json::from_value::<WorkspaceSettingsChange>(json!({"color": "blue"})).is_err());
    }

    #[test]
    fn a_copy_is_not_open() {
        let open = Settings { allow_public_access: Some(true), default_role_id: Some(RoleId(7)) };
        assert_eq!(open.for_copy(), Settings { allow_public_access: None, default_role_id: Some(RoleId(7)) });
    }
}
