//! Row filters, masks, query limits: their algebra, their assignments and the record of what they did.
//!
//! [`rule`], [`condition`], [`facts`], [`mask`] and [`expression`] say what a policy can ask for, [`decision`] folds all
//! policies into what one caller may see of one table, [`words`] tells it: no I/O there. [`store`] and [`http`] hold the
//! operations, [`effective`] finds the policies that govern a caller, [`draft`] those that might, [`evaluation`] records
//! each query, [`daily`] counts them and [`retention`] ends the record. [`tags`] say what columns hold, as [`classify`] guesses and people confirm. What
//! policies are bound to lies in other rooms and is asked for through [`targets`].

pub mod bucket;
pub mod classify;
pub mod condition;
pub mod daily;
pub mod decision;
pub mod diff;
pub mod draft;
pub mod effective;
pub mod evaluation;
pub mod expression;
pub mod facts;
pub mod http;
pub mod mask;
pub mod migrations;
pub mod personal_data;
pub mod purge;
pub mod retention;
pub mod rule;
pub mod store;
pub mod tags;
pub mod targets;
pub mod tokens;
pub mod words;

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
        .routes(routes!(http::dashboard::get_policy_dashboard))
        .routes(routes!(http::get::get_policy, http::update::update_policy, http::delete::delete_policy))
        .routes(routes!(http::delete::restore_policy))
        .routes(routes!(http::assign::assign_policy, http::assignments::list_policy_assignments))
        .routes(routes!(http::assignments::remove_policy_assignment))
        .routes(routes!(http::versions::list_policy_versions))
        .routes(routes!(http::versions::get_policy_version))
        .routes(routes!(http::versions::restore_policy_version))
        .routes(routes!(http::evaluations::get_policy_evaluations))
}
