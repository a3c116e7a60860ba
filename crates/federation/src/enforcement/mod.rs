//! Required single sign-on and second factors: planned, announced, in force.

use utoipa_axum::router::OpenApiRouter;

use crate::Federation;

/// The operations of this module.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
}

/// What this module does in the background.
pub(crate) fn register_jobs(_federation: &Federation) {}
