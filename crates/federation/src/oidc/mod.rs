//! Sign-in through an OpenID provider of an organization.

use utoipa_axum::router::OpenApiRouter;

use crate::Federation;

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
}
