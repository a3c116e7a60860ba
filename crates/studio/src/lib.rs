//! Prompt Studio: a question in plain words, answered by a governed query.
//!
//! [`planner`] turns words into SQL and knows nothing of HTTP or the database; `context` tells it what the caller may see;
//! [`execution`] is the course of a run, its events and its end; [`prompt`] what is saved, [`template`] questions with places
//! for values; [`semantics`] what people say of the data.

mod chart;
mod context;
pub mod eval;
pub mod execution;
pub mod glossary;
pub mod migrations;
pub mod personal_data;
pub mod planner;
pub mod prompt;
pub mod semantics;
pub mod sweep;
pub mod template;
pub mod verified;

use std::sync::Arc;

use execution::{ask, cancel, stream};
use planner::{EmbeddedPlanner, Planner};
use prompt::{analytics, clear, delete, executions, get, history, list, restore, update, versions};
use rivergen_kernel::{Error, Result};
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
}

/// The planners that can be chosen by name; the first is the default.
#[derive(Clone)]
pub struct Planners(Arc<[Arc<dyn Planner>]>);

impl Planners {
    /// The embedded planner alone.
    pub fn embedded() -> Self {
        Self(Arc::from([Arc::new(EmbeddedPlanner::new()) as Arc<dyn Planner>]))
    }

    /// Another one in front.
    pub fn with_default(self, planner: Arc<dyn Planner>) -> Self {
        Self(std::iter::once(planner).chain(self.0.iter().cloned()).collect())
    }
}

impl Studio {
    pub fn new(engine: Engine, planners: Planners, authenticator: Arc<dyn Authenticator>) -> Self {
        let samples = context::samples(engine.platform.db.bus());
        let live = execution::live::Live::new(engine.platform.db.bus());
        Self { engine, planners, samples, live, authenticator }
    }

    /// The planner of that name, or the default one.
    fn planner(&self, name: Option<&str>) -> Result<Arc<dyn Planner>> {
        let planners = &self.planners.0;
        let found = match name {
            None => planners.first(),
            Some(name) => planners.iter().find(|planner| planner.name() == name),
        };
        found.cloned().ok_or_else(|| {
            let names: Vec<&str> = planners.iter().map(|planner| planner.name()).collect();
            Error::invalid_field("ai_model", format!("must be one of {}", names.join(", ")))
        })
    }
}

/// The operations of this room.
pub fn operations() -> OpenApiRouter<Studio> {
    OpenApiRouter::new()
        .routes(routes!(ask::execute_prompt))
        .routes(routes!(list::list_prompts))
        .routes(routes!(history::get_prompt_history))
        .routes(routes!(clear::clear_history))
        .routes(routes!(analytics::get_query_analytics))
        .routes(routes!(get::get_prompt, update::update_prompt, delete::delete_prompt))
        .routes(routes!(restore::restore_prompt))
        .routes(routes!(versions::list_prompt_versions))
        .routes(routes!(versions::restore_prompt_version))
        .routes(routes!(ask::execute_again))
        .routes(routes!(executions::get_execution_history))
        .routes(routes!(analytics::get_prompt_analytics))
        .routes(routes!(execution::get_execution_status))
        .routes(routes!(cancel::cancel_execution))
        .routes(routes!(stream::stream_events))
        .routes(routes!(execution::clarify::clarify_execution))
        .routes(routes!(execution::save::save_execution))
        .routes(routes!(execution::feedback::give_feedback))
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
