//! Sign-in through a SAML 2.0 identity provider of an organization.

use utoipa_axum::router::OpenApiRouter;

use crate::Federation;

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
}
