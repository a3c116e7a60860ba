//! `POST /api/v1/workspaces/provision`: makes many workspaces from a list, with their settings and members.
//!
//! An entry with an `external_key` is made once, however often it is sent. With `atomic` the first entry that cannot be
//! made undoes all; otherwise each has a result of its own. What can go wrong is found out before anything of an entry is
//! written: the organization is held, so nobody takes a name between the check and the insert.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Permission, Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, Actor, AuditRecord},
    db::TenantScope,
    errors,
    http::{Envelope, Json, Reply, RequestOrigin, SignedIn},
};
use sea_orm::{ColumnTrait, QueryFilter, QuerySelect};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{
    Column, Entity, Model, NewWorkspace, make_admin, name_key,
    settings::{Settings, WorkspaceSettingsChange, allows_public, may_be_everybodys},
    slug_of,
};
use crate::{
    Tenancy,
    member::{self, Status, assignment::Grant},
    organization, role,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"organization_id": 42, "atomic": true, "workspaces": [
    {"name": "Team North", "external_key": "north", "members": [{"user_id": 42, "role_id": 7}]},
    {"name": "Team South", "external_key": "south", "template_workspace_id": 3}]}))]
pub struct ProvisionRequest {
    #[garde(skip)]
    pub organization_id: OrganizationId,
    #[garde(length(min = 1, max = 50), dive)]
    #[schema(min_items = 1, max_items = 50)]
    pub workspaces: Vec<ProvisionEntry>,
    /// All or nothing: the first entry that fails is the answer.
    #[garde(skip)]
    #[serde(default)]
    pub atomic: bool,
    /// Tell what would happen, and do nothing.
    #[garde(skip)]
    #[serde(default)]
    pub dry_run: bool,
}

/// A workspace to be made.
#[derive(Debug, Deserialize, Validate, ToSchema)]
pub struct ProvisionEntry {
    /// Unique in the organization.
    #[garde(length(chars, min = 1, max = 255), custom(super::has_a_letter))]
    pub name: String,
    /// Unique in the organization; made from the name if it is left out.
    #[garde(inner(custom(super::is_slug)))]
    #[schema(pattern = "^[a-z0-9]+(-[a-z0-9]+)*$", max_length = 63)]
    pub slug: Option<String>,
    /// Stand over those of the template.
    #[garde(skip)]
    pub settings: Option<WorkspaceSettingsChange>,
    /// A workspace of the organization whose settings are taken over, but not that it is open to the public.
    #[garde(skip)]
    pub template_workspace_id: Option<WorkspaceId>,
    /// Members of the organization, each once. The caller is Admin unless named here.
    #[garde(length(max = 100), custom(each_person_once))]
    #[serde(default)]
    #[schema(max_items = 100)]
    pub members: Vec<ProvisionMember>,
    /// The caller's own key for the workspace, unique in the organization: an entry whose key is already known is left
    /// unchanged.
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub external_key: Option<String>,
}

/// Someone to be given a role in the workspace.
#[derive(Debug, Clone, Copy, Deserialize, ToSchema)]
pub struct ProvisionMember {
    pub user_id: UserId,
    /// A role of the organization, with no more permissions than your own.
    pub role_id: RoleId,
}

fn each_person_once(members: &[ProvisionMember], (): &()) -> garde::Result {
    let people: BTreeSet<UserId> = members.iter().map(|member| member.user_id).collect();
    if people.len() == members.len() { Ok(()) } else { Err(garde::Error::new("names someone more than once")) }
}

#[derive(Debug, Serialize, ToSchema)]
pub struct ProvisionAnswer {
    /// In the order of the entries.
    pub results: Vec<ProvisionResult>,
    pub created_count: usize,
    pub failed_count: usize,
    pub message: &'static str,
}

/// What became of an entry.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProvisionResult {
    pub name: String,
    pub status: ProvisionStatus,
    /// None of a workspace that is not there: it failed, or it was a dry run.
    pub workspace_id: Option<WorkspaceId>,
    /// Why it failed.
    #[schema(examples("WORKSPACE_EXISTS"))]
    pub error_code: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvisionStatus {
    Created,
    /// A workspace with its `external_key` was there; it is as it was.
    Existing,
    Failed,
}

errors! {
    pub ProvisionErrors: InvalidRequest, Unauthorized, TokenExpired, Forbidden, EmailNotVerified, SecondFactorRequired, PlanLimitReached, OrgNotFound, WorkspaceNotFound, MemberNotFound, RoleNotFound, WorkspaceExists, PublicAccessForbidden, Conflict, ValidationError;
}

/// Create many workspaces at once from a list
#[utoipa::path(post, path = "/api/v1/workspaces/provision", tag = "workspaces", request_body = ProvisionRequest,
    responses((status = 200, description = "A result for each entry", body = Envelope<ProvisionAnswer>), ProvisionErrors))]
pub async fn provision_workspaces(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<ProvisionRequest>,
) -> Result<Reply<ProvisionAnswer>> {
    let caller = tenancy.enter(&caller, request.organization_id).await?;
    let tenant = caller.require(Permission::WorkspaceCreate)?;
    if request.workspaces.iter().any(|entry| !entry.members.is_empty()) {
        caller.require(Permission::RoleAssign)?;
    }
    let actor = origin.actor(caller.user_id);
    let tx = tenancy.identity.platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let mut known = Known::load(&tenancy, &tx, &caller, tenant, &request.workspaces).await?;
    let mut results = Vec::new();
    for (index, entry) in request.workspaces.iter().enumerate() {
        let result = match known.settle(&caller, entry) {
            Ok(Settled::Existing(id)) => (ProvisionStatus::Existing, id, None),
            Ok(Settled::New(settings)) => {
                let id = make(&tenancy, &tx, &caller, tenant, &actor, entry, settings).await?;
                // An id of a dry run names nothing.
                let id = (!request.dry_run).then_some(id);
                known.add(entry, id);
                (ProvisionStatus::Created, id, None)
            }
            Err(error) if request.atomic => {
                let message = format!("workspaces[{index}]: {}", error.message);
                return Err(error.with_message(message));
            }
            Err(error) => (ProvisionStatus::Failed, None, Some(error.code.as_str())),
        };
        let (status, workspace_id, error_code) = result;
        results.push(ProvisionResult { name: entry.name.trim().to_owned(), status, workspace_id, error_code });
    }
    let count = |wanted: ProvisionStatus| results.iter().filter(|result| result.status == wanted).count();
    let (created_count, failed_count) = (count(ProvisionStatus::Created), count(ProvisionStatus::Failed));
    let message = match request.dry_run {
        true => "This is what would happen; nothing was changed.",
        false => {
            if created_count > 0 {
                tx.publish(Event::OrganizationChanged(tenant.id())).await?;
            }
            tx.commit().await?;
            "The workspaces were provisioned."
        }
    };
    Ok(Reply::ok(ProvisionAnswer { results, created_count, failed_count, message }, message))
}

/// What is to be done about an entry.
#[derive(Debug, PartialEq)]
enum Settled {
    /// There is nothing to do; no id, where an earlier entry of a dry run would have made it.
    Existing(Option<WorkspaceId>),
    New(Settings),
}

/// What there is in the organization of all that the entries name.
#[derive(Default)]
struct Known {
    names: BTreeSet<String>,
    slugs: BTreeSet<String>,
    keys: BTreeMap<String, Option<WorkspaceId>>,
    /// Those that the caller may see.
    templates: BTreeMap<WorkspaceId, Settings>,
    roles: BTreeMap<RoleId, role::Model>,
    members: BTreeMap<UserId, Status>,
    /// Whether the organization lets workspaces be public.
    allows_public: bool,
}

fn slug(entry: &ProvisionEntry) -> String {
    entry.slug.clone().unwrap_or_else(|| slug_of(&entry.name))
}

impl Known {
    /// Seven queries, however many entries there are.
    async fn load(
        tenancy: &Tenancy,
        tx: &Transaction,
        caller: &Caller,
        tenant: Tenant,
        entries: &[ProvisionEntry],
    ) -> Result<Self> {
        let db = tx.conn();
        let mut known = Self { allows_public: allows_public(db, tenant).await?, ..Self::default() };
        // Indexes: workspaces(organization_id, name_key), (organization_id, slug) and (organization_id, external_key),
        // all unique.
        let names = entries.iter().map(|entry| name_key(&entry.name));
        let named = tenant.find::<Entity>().filter(Column::NameKey.is_in(names)).all(db).await?;
        known.names.extend(named.into_iter().map(|row| row.name_key));
        let named = tenant.find::<Entity>().filter(Column::Slug.is_in(entries.iter().map(slug))).all(db).await?;
        known.slugs.extend(named.into_iter().map(|row| row.slug));
        let keys = entries.iter().filter_map(|entry| entry.external_key.as_deref());
        let keyed = tenant.find::<Entity>().filter(Column::ExternalKey.is_in(keys)).all(db).await?;
        known.keys.extend(keyed.into_iter().filter_map(|row| Some((row.external_key?, Some(row.id)))));

        let templates = entries.iter().filter_map(|entry| entry.template_workspace_id);
        let templates: Vec<Model> = tenant
            .find::<Entity>()
            .filter(Column::Id.is_in(templates))
            .filter(Column::DeletedAt.is_null())
            .all(db)
            .await?;
        for row in templates {
            if tenancy.may_see(caller, &row).await? {
                known.templates.insert(row.id, Settings::of(&row).for_copy());
            }
        }
        let given = entries.iter().flat_map(|entry| &entry.members);
        let set = entries.iter().filter_map(|entry| entry.settings?.default_role_id.flatten());
        let copied = known.templates.values().filter_map(|settings| settings.default_role_id);
        let roles: BTreeSet<RoleId> = given.clone().map(|member| member.role_id).chain(set).chain(copied).collect();
        // Held, so that none is deleted or given more meanwhile.
        let roles = tenant.find::<role::Entity>().filter(role::Column::Id.is_in(roles)).lock_shared().all(db).await?;
        known.roles = roles.into_iter().map(|role| (role.id, role)).collect();
        let people: BTreeSet<UserId> = given.map(|member| member.user_id).collect();
        let members = tenant.find::<member::Entity>().filter(member::Column::UserId.is_in(people)).all(db).await?;
        known.members = members.into_iter().map(|row| (row.user_id, row.status)).collect();
        Ok(known)
    }

    /// What is to be done, or why it cannot be.
    fn settle(&self, caller: &Caller, entry: &ProvisionEntry) -> Result<Settled> {
        if let Some(id) = entry.external_key.as_ref().and_then(|key| self.keys.get(key)) {
            return Ok(Settled::Existing(*id));
        }
        let mut settings = Settings::default();
        if let Some(template) = entry.template_workspace_id {
            settings = *self.templates.get(&template).ok_or(ErrorCode::WorkspaceNotFound)?;
            // The template's may be gone.
            settings.default_role_id = settings.default_role_id.filter(|id| self.roles.contains_key(id));
        }
        settings = settings.changed_by(&entry.settings.unwrap_or_default());
        let given = entry.members.iter().map(|member| member.role_id);
        for id in settings.default_role_id.into_iter().chain(given) {
            caller.may_grant(&self.roles.get(&id).ok_or(ErrorCode::RoleNotFound)?.permissions())?;
        }
        if settings.is_public() {
            if !self.allows_public {
                return Err(ErrorCode::PublicAccessForbidden.into());
            }
            may_be_everybodys(caller, settings.default_role_id.and_then(|id| self.roles.get(&id)))?;
        }
        for member in &entry.members {
            match self.members.get(&member.user_id) {
                Some(Status::Active) => {}
                Some(_) => return Err(member::suspended()),
                None => return Err(ErrorCode::MemberNotFound.into()),
            }
        }
        if self.names.contains(&name_key(&entry.name)) || self.slugs.contains(&slug(entry)) {
            return Err(ErrorCode::WorkspaceExists.into());
        }
        Ok(Settled::New(settings))
    }

    /// An entry was made: the next ones must not collide with it.
    fn add(&mut self, entry: &ProvisionEntry, id: Option<WorkspaceId>) {
        self.names.insert(name_key(&entry.name));
        self.slugs.insert(slug(entry));
        self.keys.extend(entry.external_key.clone().map(|key| (key, id)));
    }
}

/// Makes the workspace of an entry that was found good.
async fn make(
    tenancy: &Tenancy,
    tx: &Transaction,
    caller: &Caller,
    tenant: Tenant,
    actor: &Actor,
    entry: &ProvisionEntry,
    settings: Settings,
) -> Result<WorkspaceId> {
    let clock = &tenancy.identity.platform.clock;
    let new = NewWorkspace {
        slug: entry.slug.as_deref(),
        settings,
        source_workspace_id: entry.template_workspace_id,
        external_key: entry.external_key.clone(),
        ..NewWorkspace::of(tenant.id(), &entry.name)
    };
    let workspace = new.insert(tx, clock.now()).await?;
    if entry.members.iter().all(|member| member.user_id != caller.user_id) {
        make_admin(tx, tenant, workspace.id, caller.user_id, actor, clock).await?;
    }
    for ProvisionMember { user_id, role_id } in entry.members.iter().copied() {
        let grant = Grant { tenant, user_id, role_id, workspace_id: Some(workspace.id), expires_at: None };
        grant.give(tx, actor, clock).await?;
    }
    let record = AuditRecord::new(Some(tenant.id()), actor.clone(), "workspace.create")
        .target("workspace", workspace.id.0)
        .details(json!({"external_key": entry.external_key, "template_workspace_id": entry.template_workspace_id,
            "members": entry.members.len()}));
    audit::record(tx, clock, record).await?;
    Ok(workspace.id)
}
