//! `POST /api/v1/prompts/execute`: a question in words, planned and run under the caller's policies; and a saved one again.
//!
//! What the planner writes is trusted as little as what a user types. A question that is not understood is answered so, with
//! the nearest ones that are; each run stays on record, whatever becomes of it.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderValue},
    response::{IntoResponse, Response},
};
use garde::Validate;
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, ExecutionId, Permission, PromptId, Result, Tenant, WorkspaceId,
};
use rivergen_platform::{
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_runs::http::{RESPOND_ASYNC, prefers_to_go_on};
use rivergen_sources::access::Access;
use serde::Deserialize;
use utoipa::ToSchema;

use super::{
    Execution,
    course::{Asking, Course, Keep, Underway},
};
use crate::{Studio, planner::Turn, prompt};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"prompt_text": "How many orders per region in 2025?", "selected_data_source_ids": [1, 2, 3]}))]
pub struct ExecuteRequest {
    #[garde(length(chars, min = 1, max = 4000))]
    pub prompt_text: String,
    /// Must be the session's workspace, if given.
    pub workspace_id: Option<WorkspaceId>,
    #[garde(length(min = 1, max = 20))]
    pub selected_data_source_ids: Vec<DataSourceId>,
    /// Only tables of these schemas.
    #[garde(inner(length(max = 50)))]
    pub selected_schema_names: Option<Vec<String>>,
    #[garde(inner(length(chars, min = 1, max = 255)))]
    pub name: Option<String>,
    /// Keep the question.
    #[schema(default = false)]
    pub save_prompt: Option<bool>,
    /// The one planner that is asked, by its name: `embedded`, or one that the organization or the operator chose. Without it
    /// all of those, one after the other until one answers.
    #[garde(inner(length(chars, min = 1, max = 100)))]
    pub ai_model: Option<String>,
    #[garde(inner(length(max = 50), inner(length(chars, min = 1, max = 100))))]
    pub tags: Option<Vec<String>>,
    /// If a word has several equally likely meanings: ask which one is meant (400 `QUESTION_AMBIGUOUS`) instead of
    /// taking the first and saying so. A value that could be in either of two columns of one table is always asked about.
    #[schema(default = true)]
    pub clarify: Option<bool>,
    /// Your own completed run that the question follows up on: "only last year", "by month", "top 10".
    pub follows_execution_id: Option<ExecutionId>,
}

errors! { pub ExecuteErrors: InvalidRequest, BadRequest, QuestionNotUnderstood, QuestionAmbiguous, InvalidQuery, Unauthorized, Forbidden, EmailNotVerified,
PolicyDenied, NotFound, Conflict, DataSourceUnavailable, QueryCancelled, ValidationError, RateLimited, QueryLimitExceeded, InternalError,
ConnectionError, PlannerUnavailable, QueryTimeout; }

/// Turn a question in words into SQL and run it
#[utoipa::path(post, path = "/api/v1/prompts/execute", tag = "prompt_studio", request_body = ExecuteRequest,
    params(("prefer" = Option<String>, Header, description = "`respond-async` (RFC 7240): the run continues in the background; follow it by its events or its status", example = "respond-async")),
    responses((status = 200, description = "The run, finished; or started, if it continues in the background", body = Envelope<Execution>),
        ExecuteErrors))]
pub async fn execute_prompt(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    headers: HeaderMap,
    Json(request): Json<ExecuteRequest>,
) -> Result<Response> {
    let tenant = caller.require(Permission::PromptExecute)?;
    check_workspace(&caller, request.workspace_id)?;
    let planners = studio.planners.of(&studio.engine.platform, tenant, request.ai_model.as_deref()).await?;
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let thread = match request.follows_execution_id {
        Some(run) => thread_of(&studio, &caller, tenant, run).await?,
        None => Vec::new(),
    };
    let tags = request.tags.unwrap_or_default();
    let keep = request.save_prompt.unwrap_or(false).then_some(Keep { name: request.name, tags });
    let asking = Asking {
        sources: studio.engine.sources.find_all(&access, &distinct(request.selected_data_source_ids)).await?,
        caller,
        tenant,
        origin,
        text: request.prompt_text.replace('\0', ""),
        schemas: request.selected_schema_names.unwrap_or_default(),
        planners,
        by_itself: prefers_to_go_on(&headers),
        keep,
        prompt_id: None,
        by_author: true,
        template_id: None,
        asks: request.clarify.unwrap_or(true),
        chosen: Vec::new(),
        thread,
        follows: request.follows_execution_id,
    };
    answer(studio, asking, ["Prompt execution started.", "Prompt execution completed."]).await
}

/// A question is asked where the session stands; whoever names a workspace must mean that one.
pub(crate) fn check_workspace(caller: &Caller, wanted: Option<WorkspaceId>) -> Result<()> {
    if let Some(wanted) = wanted
        && caller.membership()?.workspace_id != Some(wanted)
    {
        return Err(ErrorCode::WorkspaceNotFound.into());
    }
    Ok(())
}

/// Ask a saved question again, subject to your own policies
#[utoipa::path(post, path = "/api/v1/prompts/{prompt_id}/execute", tag = "prompt_studio",
    params(("prompt_id" = PromptId, Path, description = "The saved question"),
        ("prefer" = Option<String>, Header, description = "As for `/api/v1/prompts/execute`", example = "respond-async")),
    responses((status = 200, description = "The run, finished; or started, if it continues in the background", body = Envelope<Execution>),
        ExecuteErrors))]
pub async fn execute_again(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(id): Path<PromptId>,
) -> Result<Response> {
    let tenant = caller.require(Permission::PromptExecute)?;
    let prompt = prompt::find(&studio, &caller, id).await?;
    let asking = again(&studio, caller, tenant, origin, prompt, prefers_to_go_on(&headers)).await?;
    answer(studio, asking, ["Prompt execution started.", "Prompt execution completed."]).await
}

/// A saved question, asked by somebody who sees it.
pub(crate) async fn again(
    studio: &Studio,
    caller: Arc<Caller>,
    tenant: Tenant,
    origin: RequestOrigin,
    prompt: prompt::Model,
    by_itself: bool,
) -> Result<Asking> {
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let ids = prompt::read(&prompt.selected_data_source_ids)?;
    let by_author = prompt.created_by_user_id == caller.user_id;
    let db = studio.engine.platform.db.read();
    let mut thread: Vec<Turn> = prompt::read_or_empty(prompt.thread.as_ref())?;
    if !by_author || !prompt::versions::are_made_by(db, prompt.id, caller.user_id).await? {
        // What a question became for somebody else may have values in it that are none of the caller's.
        thread.iter_mut().for_each(|turn| turn.sql = None);
    }
    Ok(Asking {
        sources: studio.engine.sources.find_all(&access, &distinct(ids)).await?,
        by_author,
        caller,
        tenant,
        origin,
        text: prompt.prompt_text,
        schemas: prompt::read(&prompt.selected_schema_names)?,
        planners: studio.planners.of(&studio.engine.platform, tenant, None).await?,
        by_itself,
        keep: None,
        prompt_id: Some(prompt.id),
        template_id: prompt.template_id,
        asks: true,
        chosen: Vec::new(),
        thread,
        follows: None,
    })
}

/// Questions of one conversation at most.
const LONGEST_THREAD: usize = 20;

/// A run, and what it went on from.
async fn thread_of(studio: &Studio, caller: &Caller, tenant: Tenant, id: ExecutionId) -> Result<Vec<Turn>> {
    let run = super::find_own(studio, caller, tenant, id).await?;
    if run.status != prompt::Status::Completed {
        let message = "The run that this question follows up on has not been completed.";
        return Err(Error::new(ErrorCode::Conflict).with_message(message));
    }
    let mut thread: Vec<Turn> = prompt::read_or_empty(run.thread.as_ref())?;
    if thread.len() >= LONGEST_THREAD {
        let reason = format!("follows up on more than {LONGEST_THREAD} questions; ask the whole question again");
        return Err(Error::invalid_field("follows_execution_id", reason));
    }
    thread.push(Turn { question: run.prompt_text, sql: run.generated_query_text });
    Ok(thread)
}

pub(crate) fn distinct(mut ids: Vec<DataSourceId>) -> Vec<DataSourceId> {
    ids.sort_unstable();
    ids.dedup();
    ids
}

/// Lets a run go, and waits for it unless it goes by itself. A request that is left cancels its run.
pub(crate) async fn answer(
    studio: Studio,
    asking: Asking,
    [started, completed]: [&'static str; 2],
) -> Result<Response> {
    // What cannot even begin leaves no run.
    for source in &asking.sources {
        source.check_usable()?;
    }
    let by_itself = asking.by_itself;
    let Underway { row, cancelled, ended } = Course::begin(studio, asking).await?.set_out();
    if by_itself {
        let location = format!("/api/v1/prompts/executions/{}", row.id);
        let mut response = Reply::ok(Execution::new(row, None)?, started).into_response();
        response.headers_mut().insert("preference-applied", HeaderValue::from_static(RESPOND_ASYNC));
        if let Ok(location) = HeaderValue::try_from(location) {
            response.headers_mut().insert(axum::http::header::LOCATION, location);
        }
        return Ok(response);
    }
    let left = cancelled.drop_guard();
    let ended = ended.await.map_err(Error::internal)??;
    left.disarm();
    ended.outcome?;
    Ok(Reply::ok(Execution::new(ended.row, ended.answer)?, completed).into_response())
}
