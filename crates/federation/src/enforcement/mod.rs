//! Required single sign-on and second factors: planned, announced, in force.
//!
//! ```text
//!   off ── warn: sign-ins without it are told ── required ──▶ effective_at ── days of grace ──▶ the deadline
//!                                                    told until then                           closed from then on
//! ```
//!
//! From the deadline on the organization is closed to a session that its own identity provider did not open
//! (`identity::security::SecurityPolicy::closes`, at every request), and those that stand in it end ([`deadline`]). Somebody
//! all of whose organizations demand it cannot sign in any other way at all. At least one owner stays exempt, as the way back
//! in when the identity provider is down: with a second factor, and each of their sign-ins is on record and mailed to the
//! owners ([`alarm`]).
//!
//! | file | operation |
//! | --- | --- |
//! | [`status`] | `GET /api/v1/sso/enforcement/status/{organization_id}` |
//! | [`plan`] | `GET …/migration-plan/{organization_id}` |
//! | [`enforce`] | `POST …/enforce/{organization_id}` |
//! | [`notify`] | `POST …/notifications/{organization_id}` |
//! | [`bulk`] | `POST …/bulk-action/{organization_id}` |
//!
//! What is enforced stands in a column of the organization ([`rivergen_identity::security::Enforcement`]); how many people it
//! concerns is counted by the database ([`people`]).

mod alarm;
mod bulk;
mod deadline;
mod enforce;
mod mails;
pub(crate) mod migrations;
pub(crate) mod notice;
mod notify;
mod people;
mod plan;
mod status;

use rivergen_identity::security::{Enforcement, EnforcementMode};
use rivergen_kernel::{Caller, ErrorCode, OrganizationId, Permission, Result, Tenant};
use rivergen_platform::db::TenantScope;
use rivergen_tenancy::organization;
use sea_orm::{ColumnTrait, ConnectionTrait, EntityTrait, QueryFilter, QuerySelect};
use utoipa_axum::{router::OpenApiRouter, routes};

use crate::{Federation, provider};

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(status::get_status))
        .routes(routes!(plan::get_migration_plan))
        .routes(routes!(enforce::enforce))
        .routes(routes!(notify::send_notifications))
        .routes(routes!(bulk::bulk_action))
}

/// What this module does in the background.
pub(crate) fn register_jobs(federation: &Federation) {
    alarm::register(federation);
    deadline::register(federation);
    notify::register(federation);
}

/// Whether the organization lets nobody in without its identity provider, or will after the time of grace.
pub(crate) async fn requires_sso(db: &impl ConnectionTrait, tenant: Tenant) -> Result<bool> {
    Ok(organization_of(db, tenant).await?.enforcement()?.sso_mode == EnforcementMode::Required)
}

async fn organization_of(db: &impl ConnectionTrait, tenant: Tenant) -> Result<organization::Model> {
    let found = organization::Entity::find_by_id(tenant.organization_id()).one(db).await?;
    found.ok_or_else(|| ErrorCode::OrganizationNotFound.into())
}

/// The caller, standing in the organization of the path, which they may manage the sign-in of; `ORGANIZATION_NOT_FOUND` unless
/// they belong to it.
async fn enter(federation: &Federation, caller: &Caller, organization: OrganizationId) -> Result<Caller> {
    let entered = federation.tenancy.enter(caller, organization).await;
    entered.map_err(|error| error.renamed(ErrorCode::OrgNotFound, ErrorCode::OrganizationNotFound))
}

/// As [`enter`], for those who may manage the sign-in.
async fn administer(
    federation: &Federation,
    caller: &Caller,
    organization: OrganizationId,
) -> Result<(Caller, Tenant)> {
    let caller = enter(federation, caller, organization).await?;
    let tenant = caller.require(Permission::SsoManage)?;
    Ok((caller, tenant))
}

/// What of second factors the organization enforces: whether it requires them stands with its other settings.
fn mfa_mode(row: &organization::Model, enforcement: &Enforcement) -> Result<EnforcementMode> {
    Ok(match (row.security()?.mfa_required, enforcement.mfa_announced) {
        (true, _) => EnforcementMode::Required,
        (false, true) => EnforcementMode::Warn,
        (false, false) => EnforcementMode::Off,
    })
}

/// An active provider whose last test found nothing wrong. Index: sso_providers(organization_id, name_key), its first column;
/// there are few.
async fn has_tested_provider(db: &impl ConnectionTrait, tenant: Tenant) -> Result<bool> {
    let tested = tenant
        .find::<provider::Entity>()
        .filter(provider::Column::Status.eq(provider::Status::Active))
        .filter(provider::Column::LastTestSucceeded.eq(true));
    Ok(tested.limit(1).one(db).await?.is_some())
}
