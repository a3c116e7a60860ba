//! Row filters, masks, query limits: their algebra, their assignments and the record of what they did.
//!
//! [`rule`], [`condition`] and [`mask`] say what a policy can ask for, [`decision`] folds all policies into what
//! one caller may see of one table: no I/O there. [`store`] and [`http`] hold the operations, [`effective`]
//! finds the policies that govern a caller, [`evaluation`] records each query. What policies are bound to
//! lies in other rooms and is asked for through [`targets`].

pub mod condition;
pub mod decision;
pub mod effective;
pub mod evaluation;
pub mod http;
pub mod mask;
pub mod migrations;
pub mod personal_data;
pub mod rule;
pub mod store;
pub mod targets;

use std::sync::Arc;

use rivergen_kernel::OrganizationId;
use rivergen_platform::{Kept, Platform};
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Policies {
    pub platform: Platform,
    pub targets: Arc<dyn targets::Targets>,
    active: Kept<OrganizationId, effective::ActivePolicies>,
}

impl Policies {
    pub fn new(platform: Platform, targets: Arc<dyn targets::Targets>) -> Self {
        let active = effective::kept(platform.db.bus());
        Self { platform, targets, active }
    }
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Policies> {
    OpenApiRouter::new()
        .routes(routes!(http::create::create_policy, http::list::list_policies))
        .routes(routes!(http::get::get_policy))
        .routes(routes!(http::assign::assign_policy))
        .routes(routes!(http::evaluations::get_policy_evaluations))
}
