//! `POST /api/v1/prompts/executions/{execution_id}/clarify`: which reading is meant. The question is asked again with it, and
//! the answer is remembered as a word of that person's, perhaps proposed for everybody.

use axum::{extract::State, http::HeaderMap, response::Response};
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, ExecutionId, Permission, Result};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, RequestOrigin, SignedIn},
};
use rivergen_runs::http::prefers_to_go_on;
use rivergen_sources::access::Access;
use rivergen_tenancy::organization;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Clarification, Execution, ask::answer, course::Asking};
use crate::{
    Studio,
    planners::EMBEDDED,
    prompt::{self, read, read_or_empty},
    semantics::{self, Definition, Known, Origin, Said, definition::SynonymDefinition},
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"choice": "orders.region", "remember": "me"}))]
pub struct ClarifyRequest {
    /// One of the options, exactly as it was given.
    #[garde(length(chars, min = 1, max = 2000))]
    pub choice: String,
    #[schema(default = "me")]
    pub remember: Option<Remember>,
}

/// Who an answer applies to in future questions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum Remember {
    /// For this question alone.
    Nobody,
    /// For oneself, in this workspace.
    Me,
    /// For oneself, and proposed for the workspace: it holds for others when somebody confirms it.
    Everyone,
}

errors! { pub ClarifyErrors: InvalidRequest, BadRequest, QuestionNotUnderstood, QuestionAmbiguous, InvalidQuery, Unauthorized, Forbidden,
EmailNotVerified, PolicyDenied, NotFound, Conflict, DataSourceUnavailable, QueryCancelled, ValidationError, RateLimited,
QueryLimitExceeded, InternalError, ConnectionError, QueryTimeout; }

/// Answer a run's question back, and ask its question again
#[utoipa::path(post, path = "/api/v1/prompts/executions/{execution_id}/clarify", tag = "prompt_studio",
    request_body = ClarifyRequest,
    params(("execution_id" = ExecutionId, Path, description = "Your own run that ended with the code QUESTION_AMBIGUOUS"),
        ("prefer" = Option<String>, Header, description = "As for `/api/v1/prompts/execute`", example = "respond-async")),
    responses((status = 200, description = "Another run, of the same question", body = Envelope<Execution>),
        ClarifyErrors))]
pub async fn clarify_execution(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    headers: HeaderMap,
    Path(id): Path<ExecutionId>,
    Json(request): Json<ClarifyRequest>,
) -> Result<Response> {
    let tenant = caller.require(Permission::PromptExecute)?;
    let run = super::find_own(&studio, &caller, tenant, id).await?;
    let asked: Option<Clarification> = run.clarification.as_ref().map(read).transpose()?;
    let Some(asked) = asked else {
        return Err(Error::new(ErrorCode::Conflict).with_message("The run is not waiting for an answer."));
    };
    let Some(choice) = asked.choices.iter().find(|choice| choice.label == request.choice) else {
        return Err(Error::invalid_field("choice", format!("must be one of {}", asked.options().join(", "))));
    };
    let synonym = SynonymDefinition { phrase: asked.word.clone(), of: choice.of.clone(), is_value: choice.is_value };
    let ids: Vec<DataSourceId> = read_or_empty(run.data_source_ids.as_ref())?;
    let access = Access::of(&caller, Permission::DataSourceQuery)?;
    let sources = studio.engine.sources.find_all(&access, &ids).await?;
    let by_author = match run.prompt_id {
        Some(saved) => prompt::find(&studio, &caller, saved).await?.created_by_user_id == caller.user_id,
        None => true,
    };
    let remember = request.remember.unwrap_or(Remember::Me);
    if remember != Remember::Nobody {
        let platform = &studio.engine.platform;
        let definition = Definition::Synonym(synonym.clone());
        let said = |of, status| Said {
            workspace: run.workspace_id,
            of,
            by: caller.user_id,
            definition: &definition,
            status,
            origin: Origin::Clarification,
        };
        let tx = platform.db.begin().await?;
        organization::lock(&tx, tenant).await?;
        let own = said(Some(caller.user_id), semantics::Status::Confirmed);
        semantics::store(&tx, platform, tenant, own, Known::Replace).await?;
        if remember == Remember::Everyone {
            let everyones = said(None, semantics::Status::Proposed);
            semantics::store(&tx, platform, tenant, everyones, Known::Keep).await?;
        }
        let actor = origin.actor(caller.user_id);
        let record = AuditRecord::new(Some(tenant.organization_id()), actor, "prompt.clarify")
            .target("execution", id)
            .details(serde_json::json!({"definition": definition, "remember": remember}));
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await?;
    }
    let mut chosen = asked.chosen;
    chosen.push(synonym);
    let asking = Asking {
        // It was this one that asked, and it alone does.
        planners: studio.planners.of(&studio.engine.platform, tenant, Some(EMBEDDED)).await?,
        caller,
        tenant,
        origin,
        text: run.prompt_text,
        sources,
        schemas: read_or_empty(run.schema_names.as_ref())?,
        by_itself: prefers_to_go_on(&headers),
        keep: None,
        prompt_id: run.prompt_id,
        by_author,
        template_id: run.template_id,
        asks: true,
        chosen,
        thread: read_or_empty(run.thread.as_ref())?,
        follows: run.follows_execution_id,
    };
    answer(studio, asking, ["Prompt execution started.", "Prompt execution completed."]).await
}
