//! Prompt Studio: a question in plain words, answered by a governed query.
//!
//! [`planner`] turns words into SQL and knows nothing of HTTP or the database; `context` tells it what the caller may see;
//! [`execution`] is the course of a run, its events and its end; [`prompt`] what is saved, [`template`] questions with places
//! for values; [`semantics`] what people say of the data; [`planners`] whom an organization's questions are put to;
//! [`schedule`] has saved questions asked by themselves.

mod chart;
mod context;
pub mod eval;
pub mod execution;
pub mod glossary;
pub mod migrations;
pub mod personal_data;
pub mod planner;
pub mod planners;
pub mod prompt;
pub mod schedule;
pub mod semantics;
mod sight;
pub mod sweep;
pub mod template;
pub mod verified;

use std::sync::Arc;

use execution::{ask, cancel, stream};
pub use planners::{AnyModel, OperatorsModel, Planners};
use prompt::{analytics, clear, delete, executions, get, history, list, restore, update, versions};
use rivergen_identity::directory::Directory;
use rivergen_platform::http::Authenticator;
use rivergen_runs::Engine;
use utoipa_axum::{router::OpenApiRouter, routes};

/// The room's handle; cheap to clone.
#[derive(Clone)]
pub struct Studio {
    pub engine: Engine,
    planners: Planners,
    samples: context::Samples,
    live: execution::live::Live,
    /// Asks again who somebody is that follows a run for long.
    authenticator: Arc<dyn Authenticator>,
    /// What somebody may do for whom a question is asked without a session.
    directory: Arc<dyn Directory>,
}

impl Studio {
    pub fn new(
        engine: Engine,
        planners: Planners,
        authenticator: Arc<dyn Authenticator>,
        directory: Arc<dyn Directory>,
    ) -> Self {
        let samples = context::samples(engine.platform.db.bus());
        let live = execution::live::Live::new(engine.platform.db.bus());
        Self { engine, planners, samples, live, authenticator, directory }
    }
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Studio> {
    OpenApiRouter::new()
        .routes(routes!(ask::execute_prompt))
        .routes(routes!(list::list_prompts))
        .routes(routes!(history::get_prompt_history))
        .routes(routes!(clear::clear_history))
        .routes(routes!(analytics::queries::get_query_analytics))
        .routes(routes!(get::get_prompt, update::update_prompt, delete::delete_prompt))
        .routes(routes!(restore::restore_prompt))
        .routes(routes!(versions::list_prompt_versions))
        .routes(routes!(versions::restore_prompt_version))
        .routes(routes!(ask::execute_again))
        .routes(routes!(executions::get_execution_history))
        .routes(routes!(analytics::question::get_prompt_analytics))
        .routes(routes!(execution::get_execution_status))
        .routes(routes!(cancel::cancel_execution))
        .routes(routes!(stream::stream_events))
        .routes(routes!(execution::clarify::clarify_execution))
        .routes(routes!(execution::save::save_execution))
        .routes(routes!(execution::feedback::give_feedback))
        .routes(routes!(planners::get::get_planners, planners::replace::replace_planners))
        .routes(routes!(planners::names::get_planner_names))
        .routes(routes!(schedule::create::create_schedule))
        .routes(routes!(schedule::list::list_schedules))
        .routes(routes!(
            schedule::get::get_schedule,
            schedule::update::update_schedule,
            schedule::delete::delete_schedule
        ))
        .routes(routes!(schedule::run_now::run_schedule))
        .routes(routes!(schedule::history::list_scheduled_runs))
        .routes(routes!(glossary::get::get_glossary, glossary::replace::replace_glossary))
        .routes(routes!(semantics::list::list_semantics, semantics::create::create_semantics))
        .routes(routes!(semantics::propose::propose_semantics))
        .routes(routes!(semantics::exchange::export_semantics))
        .routes(routes!(semantics::exchange::import_semantics))
        .routes(routes!(semantics::change::change_semantics, semantics::delete::delete_semantics))
        .routes(routes!(semantics::confirm::confirm_semantics))
        .routes(routes!(verified::list::list_verified_pairs))
        .routes(routes!(verified::decide::verify_pair))
        .routes(routes!(verified::decide::delete_pair))
        .routes(routes!(template::list::list_templates, template::create::create_template))
        .routes(routes!(
            template::get::get_template,
            template::update::update_template,
            template::delete::delete_template
        ))
        .routes(routes!(template::execute::execute_template))
}
