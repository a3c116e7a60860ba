//! `GET /api/v1/policies`: the organization's policies, without their rules and assignments.

use axum::extract::State;
use chrono::{DateTime, Utc};
use garde::Validate;
use rivergen_kernel::{OrganizationId, Page, Permission, PolicyId, Result, WorkspaceId};
use rivergen_platform::{
    db::{TenantScope, searched},
    errors,
    http::{Envelope, PageQuery, Query, Reply, SignedIn},
};
use sea_orm::{ColumnTrait, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use crate::{
    Policies,
    rule::PolicyType,
    store::{Column, Entity, Model},
};

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct Filter {
    /// Only policies of this workspace.
    #[garde(skip)]
    pub workspace_id: Option<WorkspaceId>,
    #[garde(skip)]
    #[serde(rename = "type")]
    #[param(inline)]
    pub policy_type: Option<PolicyType>,
    #[garde(skip)]
    pub is_active: Option<bool>,
    /// Only those that are deleted and can be restored.
    #[garde(skip)]
    #[param(default = false)]
    pub deleted: Option<bool>,
    /// Part of the name or of the description.
    #[garde(inner(length(max = 255)))]
    pub search: Option<String>,
}

/// A policy as it stands in the list.
#[derive(Debug, Serialize, ToSchema)]
pub struct PolicyListItem {
    pub id: PolicyId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    #[schema(examples("Own region only"))]
    pub name: String,
    pub description: Option<String>,
    #[serde(rename = "type")]
    pub policy_type: PolicyType,
    pub is_active: bool,
    #[schema(examples(10))]
    pub priority: i64,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// Only for deleted ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_at: Option<DateTime<Utc>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub restorable_until: Option<DateTime<Utc>>,
}

impl TryFrom<Model> for PolicyListItem {
    type Error = rivergen_kernel::Error;

    fn try_from(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            organization_id: row.organization_id,
            workspace_id: row.workspace_id,
            policy_type: row.policy_type()?,
            name: row.name,
            description: row.description,
            is_active: row.is_active,
            priority: row.priority,
            created_at: row.created_at,
            updated_at: row.updated_at,
            deleted_at: row.deleted_at,
            restorable_until: row.purge_at,
        })
    }
}

errors! { pub ListErrors: BadRequest, Unauthorized, Forbidden, EmailNotVerified, ValidationError, InternalError; }

/// List the organization's policies
#[utoipa::path(get, path = "/api/v1/policies", tag = "policies", params(Filter, PageQuery),
    responses((status = 200, description = "Highest priority first", body = Envelope<Page<PolicyListItem>>), ListErrors))]
pub async fn list_policies(
    State(policies): State<Policies>,
    SignedIn(caller): SignedIn,
    Query(filter): Query<Filter>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<PolicyListItem>>> {
    let tenant = caller.require(Permission::PolicyRead)?;
    let page = page.request()?;
    let db = policies.platform.db.read();
    let mut query = tenant.find::<Entity>();
    query = if filter.deleted.unwrap_or(false) {
        query.filter(Column::PurgeAt.gt(policies.platform.clock.now()))
    } else {
        query.filter(Column::DeletedAt.is_null())
    };
    if let Some(workspace) = filter.workspace_id {
        query = query.filter(Column::WorkspaceId.eq(workspace));
    }
    if let Some(policy_type) = filter.policy_type {
        query = query.filter(Column::PolicyType.eq(policy_type.as_str()));
    }
    if let Some(is_active) = filter.is_active {
        query = query.filter(Column::IsActive.eq(is_active));
    }
    query = searched(query, filter.search.as_deref(), [Column::Name, Column::Description]);
    let total = query.clone().count(db).await?;
    // Index: policies(organization_id, priority, id).
    let rows = query
        .order_by_desc(Column::Priority)
        .order_by_desc(Column::Id)
        .offset(page.offset())
        .limit(page.limit())
        .all(db)
        .await?;
    let items = rows.into_iter().map(PolicyListItem::try_from).collect::<Result<_>>()?;
    Ok(Reply::ok(Page::new(items, page, total), "The policies."))
}
