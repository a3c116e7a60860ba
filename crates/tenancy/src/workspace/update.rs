//! `PATCH /api/v1/organizations/{org_id}/workspaces/{workspace_id}` and `PUT /api/v1/workspaces/{workspace_id}`: both
//! leave alone what they do not name.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, OrganizationId, Permission, Result, Tenant, WorkspaceId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, IntoActiveModel};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::{
    Model, Workspace, WorkspaceAnswer, hold, name_key,
    settings::{self, Settings, WorkspaceSettingsChange},
    taken,
};
use crate::Tenancy;

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Research", "slug": "research", "description": "What will be, perhaps.",
    "settings": {"allow_public_access": false}}))]
pub struct PatchWorkspaceRequest {
    /// Unique in the organization.
    #[garde(inner(length(chars, min = 1, max = 255), custom(super::has_a_letter)))]
    pub name: Option<String>,
    /// Unique in the organization. Stays when the name changes, unless it is given.
    #[garde(inner(custom(super::is_slug)))]
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 63)]
    pub slug: Option<String>,
    /// `null` removes it.
    #[garde(inner(inner(length(chars, max = 2000))))]
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, max_length = 2000)]
    pub description: Option<Option<String>>,
    #[garde(skip)]
    pub settings: Option<WorkspaceSettingsChange>,
}

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Research", "settings": {"allow_public_access": false}}))]
pub struct UpdateWorkspaceRequest {
    /// Unique in the organization.
    #[garde(inner(length(chars, min = 1, max = 255), custom(super::has_a_letter)))]
    pub name: Option<String>,
    #[garde(skip)]
    pub settings: Option<WorkspaceSettingsChange>,
}

errors! {
    pub PatchErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, OrgNotFound, WorkspaceNotFound, RoleNotFound, WorkspaceExists, PublicAccessForbidden, ValidationError;
    pub UpdateErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, WorkspaceNotFound, RoleNotFound, WorkspaceExists, PublicAccessForbidden, ValidationError;
}

/// Rename a workspace or change its slug, description or settings
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}/workspaces/{workspace_id}", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"),
        ("workspace_id" = WorkspaceId, Path, description = "The workspace")), request_body = PatchWorkspaceRequest,
    responses((status = 200, description = "As it is now", body = Envelope<WorkspaceAnswer>), PatchErrors))]
pub async fn update_workspace_in_organization(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path((org_id, workspace_id)): Path<(OrganizationId, WorkspaceId)>,
    Json(request): Json<PatchWorkspaceRequest>,
) -> Result<Reply<WorkspaceAnswer>> {
    let changes = Changes {
        name: request.name,
        slug: request.slug,
        description: request.description,
        settings: request.settings,
        ..Changes::of("workspace.update")
    };
    answer(&tenancy, apply(&tenancy, &caller, &origin, Some(org_id), workspace_id, changes).await?).await
}

/// Change the name and settings of a workspace
#[utoipa::path(put, path = "/api/v1/workspaces/{workspace_id}", tag = "workspaces",
    params(("workspace_id" = WorkspaceId, Path, description = "The workspace")), request_body = UpdateWorkspaceRequest,
    responses((status = 200, description = "As it is now; anything left out is unchanged", body = Envelope<WorkspaceAnswer>), UpdateErrors))]
pub async fn update_workspace(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(workspace_id): Path<WorkspaceId>,
    Json(request): Json<UpdateWorkspaceRequest>,
) -> Result<Reply<WorkspaceAnswer>> {
    let changes = Changes { name: request.name, settings: request.settings, ..Changes::of("workspace.update") };
    answer(&tenancy, apply(&tenancy, &caller, &origin, None, workspace_id, changes).await?).await
}

async fn answer(tenancy: &Tenancy, (tenant, row): (Tenant, Model)) -> Result<Reply<WorkspaceAnswer>> {
    let message = "The workspace was changed.";
    let workspace = Workspace::of(tenancy.identity.platform.db.read(), tenant, row).await?;
    Ok(Reply::ok(WorkspaceAnswer { workspace, message }, message))
}

/// What is to be another than it was.
pub(super) struct Changes {
    /// What the audit log calls it.
    pub action: &'static str,
    pub name: Option<String>,
    pub slug: Option<String>,
    pub description: Option<Option<String>>,
    pub settings: Option<WorkspaceSettingsChange>,
}

impl Changes {
    pub fn of(action: &'static str) -> Self {
        Self { action, name: None, slug: None, description: None, settings: None }
    }

    fn made_to(self, row: &Model) -> Result<Model> {
        let mut row = row.clone();
        if let Some(name) = self.name {
            row.name_key = name_key(&name);
            row.name = name.trim().to_owned();
        }
        if let Some(slug) = self.slug {
            row.slug = slug;
        }
        if let Some(description) = self.description {
            row.description = description.filter(|text| !text.is_empty());
        }
        if let Some(change) = self.settings {
            let settings = Settings::of(&row).changed_by(&change);
            row.is_public = settings.is_public();
            row.settings = settings.stored()?;
        }
        Ok(row)
    }
}

/// Changes the workspace and records what was before and what is now; where that is the same, nothing happened.
pub(super) async fn apply(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    organization: Option<OrganizationId>,
    workspace: WorkspaceId,
    changes: Changes,
) -> Result<(Tenant, Model)> {
    let (here, _) = tenancy.enter_workspace(caller, organization, workspace).await?;
    let tenant = here.require(Permission::WorkspaceWrite)?;
    let everywhere = tenancy.enter(caller, tenant.organization_id()).await?;
    let platform = &tenancy.identity.platform;
    let tx = platform.db.begin().await?;
    let before = hold(&tx, tenant, workspace).await?;
    if let Some(settings) = &changes.settings {
        settings.check(tx.conn(), &here, tenant, Settings::of(&before)).await?;
        if before.is_default && settings.default_role_id.is_some() {
            let after = Settings::of(&before).changed_by(settings);
            settings::may_be_newcomers(tx.conn(), &everywhere, tenant, after).await?;
        }
    }
    let action = changes.action;
    let after = changes.made_to(&before)?;
    if after == before {
        return Ok((tenant, before));
    }
    let now = platform.clock.now();
    let details = difference(&before, &after);
    let mut row = before.clone().into_active_model();
    if after.settings != before.settings {
        settings::count_change(&mut row, &before, Some(caller.user_id), now);
    }
    row.name = Set(after.name);
    row.name_key = Set(after.name_key);
    row.slug = Set(after.slug);
    row.description = Set(after.description);
    row.settings = Set(after.settings);
    row.is_public = Set(after.is_public);
    row.updated_at = Set(now);
    let row = row.update(tx.conn()).await.map_err(taken)?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), action)
        .target("workspace", row.id.0)
        .details(details);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok((tenant, row))
}

/// `{"before": …, "after": …}` of what differs.
pub(super) fn difference(before: &Model, after: &Model) -> Value {
    let fields = |row: &Model| {
        let Settings { allow_public_access, default_role_id } = Settings::of(row);
        [
            ("name", json!(row.name)),
            ("slug", json!(row.slug)),
            ("description", json!(row.description)),
            ("allow_public_access", json!(allow_public_access)),
            ("default_role_id", json!(default_role_id)),
        ]
    };
    let (mut was, mut is) = (Map::new(), Map::new());
    for ((name, old), (_, new)) in fields(before).into_iter().zip(fields(after)) {
        if old != new {
            was.insert(name.to_owned(), old);
            is.insert(name.to_owned(), new);
        }
    }
    json!({"before": was, "after": is})
}
