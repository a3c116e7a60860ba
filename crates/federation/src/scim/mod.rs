//! SCIM 2.0 (RFC 7643, RFC 7644): an identity provider pushes people and groups.
//!
//! ```text
//! scim_… token ─▶ http: a Provisioner ─▶ endpoints, bulk ─▶ user: a membership and what is said of it ◀─ newcomers
//!                                                        ─▶ group: who is in it ─▶ roles: what that gives
//!                                        list ─▶ filter, query: conditions of the database
//! config: the token and the mapping of groups, for administrators       sync: what was pushed, applied again
//! ```
//!
//! | file | operations |
//! | --- | --- |
//! | [`endpoints`] | `/scim/v2/Users`, `/scim/v2/Groups` |
//! | [`bulk`] | `/scim/v2/Bulk` |
//! | [`discovery`] | `/scim/v2/ServiceProviderConfig`, `/scim/v2/ResourceTypes`, `/scim/v2/Schemas` |
//! | [`config`] | `POST`, `GET /api/v1/sso/scim/config` |
//! | [`sync`] | `POST /api/v1/sso/scim/sync` |

mod answer;
mod bulk;
pub mod config;
mod discovery;
mod document;
mod endpoints;
mod error;
mod faults;
mod filter;
pub mod group;
mod http;
mod list;
mod members;
pub(crate) mod migrations;
mod newcomers;
mod patch;
mod query;
pub mod representation;
pub(crate) mod roles;
mod schema;
pub mod sync;
mod token;
pub mod user;

use std::sync::Arc;

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware,
    routing::{any, get},
};
use rivergen_platform::http::TrustedProxies;
use utoipa_axum::{router::OpenApiRouter, routes};

pub(crate) use newcomers::Newcomers;
pub(crate) use token::Tokens;

use crate::Federation;

/// The largest body: a group with ten thousand members.
const LARGEST_BODY: usize = 4 * 1024 * 1024;

/// The operations of administrators.
pub(crate) fn operations() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .routes(routes!(config::configure_scim, config::get_scim_config))
        .routes(routes!(sync::trigger_scim_sync))
}

/// The operations of identity providers, for the OpenAPI document.
pub fn protocol() -> OpenApiRouter<Federation> {
    OpenApiRouter::new()
        .merge(endpoints::operations())
        .merge(discovery::operations())
        .layer(DefaultBodyLimit::max(LARGEST_BODY))
        .merge(bulk::operations())
}

/// The same, with who may ask and how it is answered.
pub fn router(federation: Federation, proxies: Arc<TrustedProxies>) -> Router {
    let gate = http::Gate { federation: federation.clone(), proxies };
    Router::from(protocol().with_state(federation))
        .route("/scim/v2", get(http::not_found))
        .route("/scim/v2/{*rest}", any(http::not_found))
        .method_not_allowed_fallback(http::method_not_allowed)
        .layer(middleware::from_fn_with_state(gate, http::surround))
}

/// What this module does in the background.
pub(crate) fn register_jobs(federation: &Federation) {
    sync::register(federation);
}
