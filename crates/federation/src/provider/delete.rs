//! `DELETE /api/v1/sso/providers/{provider_id}`: removes an identity provider. Accounts and members stay; what links them to it
//! goes, and with it the roles that its groups gave. Who was pushed by it is an administrator's to manage again.

use axum::extract::State;
use rivergen_kernel::{Permission, Result, SsoProviderId};
use rivergen_platform::{
    Event,
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_tenancy::organization;
use sea_orm::EntityTrait;
use serde::Serialize;
use serde_json::json;
use utoipa::ToSchema;

use super::{Entity, Status};
use crate::{Federation, scim, sign_in::roles};

#[derive(Debug, Serialize, ToSchema)]
pub struct ProviderDeleted {
    pub message: &'static str,
}

errors! { pub DeleteErrors: Unauthorized, TokenExpired, Forbidden, EmailNotVerified, ReauthenticationRequired, SecondFactorRequired, ProviderNotFound, SsoEnforced; }

/// Remove an identity provider
#[utoipa::path(delete, path = "/api/v1/sso/providers/{provider_id}", tag = "sso",
    params(("provider_id" = SsoProviderId, Path, description = "A provider of the session's organization")),
    responses((status = 200, description = "Removed; accounts and members stay", body = Envelope<ProviderDeleted>), DeleteErrors))]
pub async fn delete_provider(
    State(federation): State<Federation>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<SsoProviderId>,
) -> Result<Reply<ProviderDeleted>> {
    let tenant = caller.require(Permission::SsoManage)?;
    let platform = federation.platform();
    caller.recently_proved(platform.clock.now())?;
    let tx = platform.db.begin().await?;
    organization::lock(&tx, tenant).await?;
    let row = super::find(tx.conn(), tenant, id).await?;
    if row.status == Status::Active {
        super::refuse_last(&tx, tenant, &row).await?;
    }
    scim::config::release(&tx, tenant, id).await?;
    let roles_taken = roles::take_all(&tx, &row, None, &platform.clock).await?;
    // Links, sign-ins on their way and domains hang on it.
    Entity::delete_by_id(id).exec(tx.conn()).await?;
    // What is remembered of people's groups goes as well.
    tx.publish(Event::OrganizationChanged(tenant.organization_id())).await?;
    let record = AuditRecord::new(Some(tenant.organization_id()), origin.actor(caller.user_id), "sso_provider.delete")
        .target("sso_provider", id.0)
        .details(json!({"name": row.name, "provider_type": row.kind, "roles_taken": roles_taken}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let message = "The identity provider was removed.";
    Ok(Reply::ok(ProviderDeleted { message }, message))
}
