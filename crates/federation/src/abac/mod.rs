//! Attribute-based access: policies that decide beside the roles.

use utoipa_axum::router::OpenApiRouter;

use crate::Federation;

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
}
