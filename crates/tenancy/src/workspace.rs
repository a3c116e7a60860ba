//! Workspaces of an organization. One store under two surfaces: `/organizations/{org_id}/workspaces` and
//! `/workspaces`.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{BuiltInRole, Caller, Error, ErrorCode, OrganizationId, Permission, Result, UserId, WorkspaceId};
use rivergen_platform::{
    Event, Transaction,
    audit::{self, AuditRecord},
    db::{TenantOwned, TenantScope, is_unique_violation},
    errors,
    http::{Envelope, Json, Path, Query, Reply, RequestOrigin, SignedIn, SkipLimit},
};
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, PaginatorTrait, QueryOrder, QuerySelect, QueryTrait, Select,
    entity::prelude::*, sea_query::SelectStatement,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Tenancy, member,
    member::{Status, assignment, assignment::Grant},
    role,
};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "workspaces")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: WorkspaceId,
    pub organization_id: OrganizationId,
    pub name: String,
    /// The name without case, unique in the organization.
    pub name_key: String,
    /// Made from the name, unique in the organization.
    pub slug: String,
    pub is_default: bool,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

// ---- /organizations/{org_id}/workspaces -------------------------------------------------------------

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Development Workspace"}))]
pub struct CreateInOrganizationRequest {
    /// Unique in the organization.
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct WorkspaceAnswer {
    pub workspace: WorkspaceItem,
    pub message: &'static str,
}

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

#[derive(Debug, Serialize, ToSchema)]
pub struct Workspaces {
    pub workspaces: Vec<WorkspaceItem>,
    #[schema(examples(1))]
    pub total_count: u64,
    pub message: &'static str,
}

errors! {
    pub CreateErrors: InvalidRequest, Unauthorized, Forbidden, EmailNotVerified, PlanLimitReached, OrgNotFound, WorkspaceExists, ValidationError;
    pub ListErrors: Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, ValidationError;
}

/// Create a workspace in an organization
#[utoipa::path(post, path = "/api/v1/organizations/{org_id}/workspaces", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization")), request_body = CreateInOrganizationRequest,
    responses((status = 201, description = "Created; the caller is its Admin", body = Envelope<WorkspaceAnswer>), CreateErrors))]
pub async fn create_in_organization(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<CreateInOrganizationRequest>,
) -> Result<Reply<WorkspaceAnswer>> {
    create_for(&tenancy, &caller, &origin, org_id, &request.name).await
}

/// List the workspaces of an organization
#[utoipa::path(get, path = "/api/v1/organizations/{org_id}/workspaces", tag = "organizations",
    params(("org_id" = OrganizationId, Path, description = "The organization"), SkipLimit),
    responses((status = 200, description = "All with `workspace.read`, else those that the caller belongs to", body = Envelope<Workspaces>), ListErrors))]
pub async fn list_of_organization(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Path(org_id): Path<OrganizationId>,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Workspaces>> {
    let caller = tenancy.enter(&caller, org_id).await?;
    let mut query = caller.tenant()?.find::<Entity>().filter(Column::DeletedAt.is_null());
    if !caller.may(Permission::WorkspaceRead) {
        query = query.filter(
            Condition::any().add(Column::IsDefault.eq(true)).add(Column::Id.in_subquery(joined_by(caller.user_id))),
        );
    }
    page_of(&tenancy, query, window).await
}

// ---- /workspaces -------------------------------------------------------------------------------------

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[schema(example = json!({"name": "Development Workspace", "organization_id": 42}))]
pub struct CreateRequest {
    /// Unique in the organization.
    #[garde(length(chars, min = 1, max = 255))]
    pub name: String,
    #[garde(skip)]
    pub organization_id: OrganizationId,
}

/// Create a workspace in the organization that the body names
#[utoipa::path(post, path = "/api/v1/workspaces", tag = "workspaces", request_body = CreateRequest,
    responses((status = 201, description = "Created; the caller is its Admin", body = Envelope<WorkspaceAnswer>), CreateErrors))]
pub async fn create(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Json(request): Json<CreateRequest>,
) -> Result<Reply<WorkspaceAnswer>> {
    create_for(&tenancy, &caller, &origin, request.organization_id, &request.name).await
}

/// List the workspaces that the caller can reach, over all organizations
#[utoipa::path(get, path = "/api/v1/workspaces", tag = "workspaces", params(SkipLimit),
    responses((status = 200, description = "Ordered by name", body = Envelope<Workspaces>), ListErrors))]
pub async fn list(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    Query(window): Query<SkipLimit>,
) -> Result<Reply<Workspaces>> {
    let mut query = reachable(caller.user_id);
    if let Some(bound) = caller.bound_to() {
        query = query.filter(Column::OrganizationId.eq(bound));
    }
    page_of(&tenancy, query, window).await
}

// ---- the rules, once ----------------------------------------------------------------------------------

async fn create_for(
    tenancy: &Tenancy,
    caller: &Caller,
    origin: &RequestOrigin,
    organization_id: OrganizationId,
    name: &str,
) -> Result<Reply<WorkspaceAnswer>> {
    let tenant = tenancy.enter(caller, organization_id).await?.require(Permission::WorkspaceCreate)?;
    let platform = &tenancy.identity.platform;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    let workspace = insert(&tx, tenant.organization_id(), name, false, now).await?;
    let admin = role::built_in(tx.conn(), tenant, BuiltInRole::Admin).await?;
    let actor = origin.actor(caller.user_id);
    let grant = Grant {
        tenant,
        user_id: caller.user_id,
        role_id: admin.id,
        workspace_id: Some(workspace.id),
        expires_at: None,
    };
    grant.give(&tx, &actor, &platform.clock).await?;
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record =
        AuditRecord::new(Some(tenant.organization_id()), actor, "workspace.create").target("workspace", workspace.id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The workspace is created.";
    Ok(Reply::created(WorkspaceAnswer { workspace: workspace.into(), message }, message))
}

/// `WORKSPACE_EXISTS` where name or slug is taken.
pub(crate) async fn insert(
    tx: &Transaction,
    organization_id: OrganizationId,
    name: &str,
    is_default: bool,
    now: DateTime<Utc>,
) -> Result<Model> {
    let name = name.trim();
    let slug = slug_of(name);
    if slug.is_empty() {
        return Err(Error::invalid_field("name", "must have at least one letter or digit"));
    }
    ActiveModel {
        organization_id: Set(organization_id),
        name: Set(name.to_owned()),
        name_key: Set(name.to_lowercase()),
        slug: Set(slug),
        is_default: Set(is_default),
        created_at: Set(now),
        updated_at: Set(now),
        deleted_at: Set(None),
        ..Default::default()
    }
    .insert(tx.conn())
    .await
    .map_err(|error| if is_unique_violation(&error) { ErrorCode::WorkspaceExists.into() } else { Error::from(error) })
}

pub(crate) async fn default_of(db: &impl ConnectionTrait, organization_id: OrganizationId) -> Result<Option<Model>> {
    Ok(Entity::find()
        .filter(Column::OrganizationId.eq(organization_id))
        .filter(Column::IsDefault.eq(true))
        .filter(Column::DeletedAt.is_null())
        .one(db)
        .await?)
}

/// The workspaces that a person may stand in: the default one of each of their organizations, and those in
/// which they hold a role.
pub(crate) fn reachable(user_id: UserId) -> Select<Entity> {
    let organizations = member::Entity::find()
        .select_only()
        .column(member::Column::OrganizationId)
        .filter(member::Column::UserId.eq(user_id))
        .filter(member::Column::Status.eq(Status::Active))
        .into_query();
    Entity::find()
        .filter(Column::DeletedAt.is_null())
        .filter(Column::OrganizationId.in_subquery(organizations))
        .filter(Condition::any().add(Column::IsDefault.eq(true)).add(Column::Id.in_subquery(joined_by(user_id))))
}

fn joined_by(user_id: UserId) -> SelectStatement {
    // Index: role_assignments(user_id, organization_id).
    assignment::Entity::find()
        .select_only()
        .column(assignment::Column::WorkspaceId)
        .filter(assignment::Column::UserId.eq(user_id))
        .filter(assignment::Column::WorkspaceId.is_not_null())
        .into_query()
}

async fn page_of(tenancy: &Tenancy, query: Select<Entity>, window: SkipLimit) -> Result<Reply<Workspaces>> {
    let db = tenancy.identity.platform.db.read();
    let total_count = query.clone().count(db).await?;
    let rows = query
        .order_by_asc(Column::NameKey)
        .order_by_asc(Column::Id)
        .offset(window.skip())
        .limit(window.limit())
        .all(db)
        .await?;
    let message = "The workspaces that you can reach.";
    let workspaces = rows.into_iter().map(WorkspaceItem::from).collect();
    Ok(Reply::ok(Workspaces { workspaces, total_count, message }, message))
}

/// `Development Workspace` → `development-workspace`.
fn slug_of(name: &str) -> String {
    name.to_lowercase()
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join("-")
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_slug_follows_from_the_name() {
        assert_eq!(super::slug_of("Development  Workspace!"), "development-workspace");
        assert_eq!(super::slug_of("Ünïcode 7"), "ünïcode-7");
        assert_eq!(super::slug_of("—"), "");
    }
}
