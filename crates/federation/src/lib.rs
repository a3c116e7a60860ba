//! The enterprise's identity: people come from the identity provider of their organization.
//!
//! ```text
//! sso/login ─▶ oidc or saml ─▶ the provider ─▶ sign_in: an Assertion ─▶ a member, signed in ─▶ sso/token
//!                                                  scim: pushed people and groups ─▶ members and roles
//! enforcement: who may still come in another way          abac: who may do what, by what is known of them
//! ```
//!
//! [`provider`] holds the identity providers of organizations; [`oidc`] and [`saml`] turn what one of them says into an
//! [`sign_in::Assertion`], and [`sign_in`] that into a signed-in member. [`enforcement`] requires it of members, [`abac`]
//! adds attribute-based policies to the roles, and [`scim`] lets a provider push people and groups.

pub mod abac;
pub mod enforcement;
pub mod migrations;
pub mod oidc;
pub mod personal_data;
pub mod provider;
pub mod saml;
pub mod scim;
pub mod sign_in;

use rivergen_identity::oidc::Discovery;
use rivergen_platform::Platform;
use rivergen_tenancy::Tenancy;
use utoipa_axum::router::OpenApiRouter;

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Federation {
    pub tenancy: Tenancy,
    /// What OpenID providers say of themselves.
    pub(crate) discovery: Discovery,
    access: abac::AccessControl,
    /// Those whom identity providers push at this moment.
    pub(crate) newcomers: scim::Newcomers,
    /// What stands behind the tokens by which they do.
    pub(crate) scim_tokens: scim::Tokens,
}

impl Federation {
    /// With the access policies that the organizations' standings ask too.
    pub fn new(tenancy: Tenancy, access: abac::AccessControl) -> Self {
        let bus = tenancy.identity.platform.db.bus();
        let (scim_tokens, newcomers) = (scim::Tokens::new(bus), scim::Newcomers::new(bus));
        Self { tenancy, discovery: Discovery::default(), access, newcomers, scim_tokens }
    }

    pub(crate) fn access(&self) -> &abac::AccessControl {
        &self.access
    }

    pub(crate) fn platform(&self) -> &Platform {
        &self.tenancy.identity.platform
    }
}

/// What this room does in the background. To be called once, before the jobs start.
pub fn register_jobs(federation: &Federation) {
    sign_in::register_jobs(federation);
    saml::register_jobs(federation);
    enforcement::register_jobs(federation);
    scim::register_jobs(federation);
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .merge(provider::operations())
        .merge(sign_in::operations())
        .merge(oidc::operations())
        .merge(saml::operations())
        .merge(enforcement::operations())
        .merge(abac::operations())
        .merge(scim::operations())
}
