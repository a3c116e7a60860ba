//! `PATCH /api/v1/organizations/{org_id}`: another name or domain.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Permission, Result};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    db::duplicate_is,
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn, given, not_blank},
};
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde::{Deserialize, Serialize};
use serde_json::json;
use utoipa::ToSchema;

use super::{Column, Entity, lock, name_key, normalise_domain};
use crate::{Tenancy, domain};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "Acme Corporation", "domain": "acme.example"}))]
pub struct UpdateOrganizationRequest {
    /// Unique across all organizations, compared without case.
    #[garde(inner(length(chars, min = 1, max = 255), custom(not_blank)))]
    pub name: Option<String>,
    /// `null` takes it away. Another one is to be proved: it is claimed with this.
    #[serde(default, deserialize_with = "given")]
    #[garde(skip)]
    #[schema(value_type = Option<String>)]
    pub domain: Option<Option<String>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedOrganizationAnswer {
    pub organization: UpdatedOrganization,
    pub message: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct UpdatedOrganization {
    pub id: OrganizationId,
    #[schema(examples("Acme Corporation"))]
    pub name: String,
    #[schema(examples("acme.example"))]
    pub domain: Option<String>,
}

errors! { pub UpdateErrors: InvalidRequest, InvalidDomain, Unauthorized, Forbidden, EmailNotVerified, OrgNotFound, OrgExists, ValidationError; }

/// Change the name or the domain of an organization
#[utoipa::path(patch, path = "/api/v1/organizations/{org_id}", tag = "organizations", request_body = UpdateOrganizationRequest,
    params(("org_id" = OrganizationId, Path, description = "The organization")),
    responses((status = 200, description = "As it is now", body = Envelope<UpdatedOrganizationAnswer>), UpdateErrors))]
pub async fn update(
    State(tenancy): State<Tenancy>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(org_id): Path<OrganizationId>,
    Json(request): Json<UpdateOrganizationRequest>,
) -> Result<Reply<UpdatedOrganizationAnswer>> {
    let platform = &tenancy.identity.platform;
    let tenant = tenancy.enter(&caller, org_id).await?.require(Permission::OrganizationUpdate)?;
    let own = request.domain.map(|domain| domain.as_deref().map(normalise_domain).transpose()).transpose();
    let own = own.map_err(|_| Error::from(ErrorCode::InvalidDomain))?;
    let now = platform.clock.now();
    let tx = platform.db.begin().await?;
    lock(&tx, tenant).await?;
    let found = Entity::find_by_id(tenant.organization_id()).filter(Column::DeletedAt.is_null()).one(tx.conn()).await?;
    let before = found.ok_or(ErrorCode::OrgNotFound)?;
    let mut row = before.clone().into_active_model();
    if let Some(name) = request.name {
        let name = name.trim().to_owned();
        if !before.is_personal {
            row.name_key = Set(name_key(&name));
        }
        row.name = Set(name);
    }
    if let Some(own) = own {
        if let Some(name) = &own {
            domain::claim_missing(&tx, tenant, name, now).await?;
        }
        row.domain = Set(own);
    }
    row.updated_at = Set(now);
    let after = row.update(tx.conn()).await.map_err(duplicate_is(ErrorCode::OrgExists))?;
    tx.publish(Event::OrganizationChanged(org_id)).await?;
    let record = AuditRecord::new(Some(org_id), origin.actor(caller.user_id), "organization.update")
        .target("organization", org_id.0)
        .details(json!({"before": {"name": before.name, "domain": before.domain},
            "after": {"name": after.name, "domain": after.domain}}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The organization was changed.";
    let organization = UpdatedOrganization { id: after.id, name: after.name, domain: after.domain };
    Ok(Reply::ok(UpdatedOrganizationAnswer { organization, message }, message))
}
