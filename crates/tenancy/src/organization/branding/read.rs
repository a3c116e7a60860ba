//! `GET /api/v1/auth/branding`: how the sign-in page of an organization looks. Public.
//!
//! The organization is named by a domain that it has proved: so nobody shows a page under a name that is another's, and
//! nobody finds organizations by counting. A domain that is nobody's, or whose organization has set nothing, is answered as
//! the other.

use std::time::Duration;

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::Result;
use rivergen_platform::{
    errors,
    http::{Envelope, Query, Reply, RequestOrigin},
    limits::Rule,
};
use sea_orm::EntityTrait;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::Branding;
use crate::{Tenancy, domain, organization};

/// Pages that are opened from one address, behind which a whole office may sit.
pub const READS: Rule = Rule::new("branding_by_ip", 300, Duration::from_secs(600));

#[derive(Debug, Deserialize, Validate, IntoParams)]
#[into_params(parameter_in = Query)]
pub struct BrandingQuery {
    /// A domain that the organization has verified.
    #[garde(length(max = 255))]
    #[param(example = "acme.example")]
    organization: String,
}

/// How the sign-in page looks.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct SignInBranding {
    /// `null` where the page looks as everywhere.
    #[schema(examples("Acme"))]
    pub organization_name: Option<String>,
    pub branding: Branding,
}

errors! { pub BrandingErrors: ValidationError, RateLimited; }

/// Read the look of an organization's sign-in page
#[utoipa::path(get, path = "/api/v1/auth/branding", tag = "organizations", security(()), params(BrandingQuery),
    responses((status = 200, description = "Its name, colour and picture; all `null` if the domain belongs to no organization, or if its organization has set nothing", body = Envelope<SignInBranding>), BrandingErrors))]
pub async fn sign_in_branding(
    State(tenancy): State<Tenancy>,
    origin: RequestOrigin,
    Query(query): Query<BrandingQuery>,
) -> Result<Reply<SignInBranding>> {
    let platform = &tenancy.identity.platform;
    platform.limits.check(&READS, &origin.limit_key())?;
    let found = find(&tenancy, &query.organization).await?;
    Ok(Reply::ok(found.unwrap_or_default(), "How the sign-in page looks."))
}

async fn find(tenancy: &Tenancy, domain: &str) -> Result<Option<SignInBranding>> {
    let db = tenancy.identity.platform.db.read();
    let Some(domain) = domain::normalise(domain) else { return Ok(None) };
    let Some(id) = domain::proved_by(db, &domain).await? else { return Ok(None) };
    let Some(row) = organization::Entity::find_by_id(id).one(db).await? else { return Ok(None) };
    let branding = Branding::of(db, &row).await?;
    Ok((!branding.is_plain()).then_some(SignInBranding { organization_name: Some(row.name), branding }))
}
