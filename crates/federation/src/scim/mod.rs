//! SCIM 2.0 (RFC 7643, RFC 7644): an identity provider pushes people and groups.

use utoipa_axum::router::OpenApiRouter;

use crate::Federation;

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
}

/// What this module does in the background.
pub(crate) fn register_jobs(_federation: &Federation) {}
