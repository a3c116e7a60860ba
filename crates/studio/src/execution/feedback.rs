//! `POST /api/v1/prompts/executions/{execution_id}/feedback`: whether a run answered its question, perhaps with the SQL put
//! right. Either makes a candidate for a verified pair, in the place of the one that the same run made before.

use axum::extract::State;
use garde::Validate;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, ExecutionId, Permission, Result, VerifiedPairId};
use rivergen_platform::{
    audit::{self, AuditRecord},
    errors,
    http::{Envelope, Json, Path, Reply, RequestOrigin, SignedIn},
};
use rivergen_sources::access::Access;
use sea_orm::{ActiveModelTrait, ActiveValue::Set, ColumnTrait, EntityTrait, IntoActiveModel, QueryFilter};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Feedback, course};
use crate::{
    Studio,
    prompt::{Status, read_or_empty},
    verified,
};

#[derive(Debug, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"verdict": "wrong", "corrected_query_text": "SELECT count(*) FROM orders WHERE status = 'paid'"}))]
pub struct FeedbackRequest {
    pub verdict: Feedback,
    /// The SQL that answers the question correctly; it must run under your own policies.
    #[garde(inner(length(chars, min = 1, max = 100_000)))]
    pub corrected_query_text: Option<String>,
    #[garde(inner(length(chars, max = 1000)))]
    pub comment: Option<String>,
}

/// What became of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct GivenFeedback {
    pub execution_id: ExecutionId,
    pub verdict: Feedback,
    /// The candidate that waits for someone with `prompt.write`; null if nothing was right, or if it would be wrong later
    /// (`last month`).
    pub verified_pair_id: Option<VerifiedPairId>,
}

errors! { pub FeedbackErrors: InvalidRequest, InvalidQuery, Unauthorized, Forbidden, EmailNotVerified, PolicyDenied, NotFound, Conflict, ValidationError; }

/// Give feedback on whether a run answered its question
#[utoipa::path(post, path = "/api/v1/prompts/executions/{execution_id}/feedback", tag = "prompt_studio",
    request_body = FeedbackRequest, params(("execution_id" = ExecutionId, Path, description = "Your own run, ended")),
    responses((status = 200, description = "Recorded", body = Envelope<GivenFeedback>), FeedbackErrors))]
pub async fn give_feedback(
    State(studio): State<Studio>,
    SignedIn(caller): SignedIn,
    origin: RequestOrigin,
    Path(id): Path<ExecutionId>,
    Json(request): Json<FeedbackRequest>,
) -> Result<Reply<GivenFeedback>> {
    let tenant = caller.require(Permission::PromptExecute)?;
    let run = super::find_own(&studio, &caller, tenant, id).await?;
    if run.status == Status::Processing {
        return Err(Error::new(ErrorCode::Conflict).with_message("The run has not ended yet."));
    }
    let ids: Vec<DataSourceId> = read_or_empty(run.data_source_ids.as_ref())?;
    let engine = &studio.engine;
    if let Some(sql) = &request.corrected_query_text {
        let sources = engine.sources.find_all(&Access::of(&caller, Permission::DataSourceQuery)?, &ids).await?;
        let catalogue = engine.catalogue(&caller, tenant, sources).await?;
        course::check(engine, &catalogue, sql).await?;
    }
    let right = match request.verdict {
        Feedback::Right if run.status == Status::Completed => run.generated_query_text.clone(),
        Feedback::Right | Feedback::Wrong => None,
    };
    let query_text = request.corrected_query_text.or(right).map(|sql| sql.replace('\0', ""));
    let platform = &engine.platform;
    let now = platform.clock.now();
    let (question, organization_id) = (run.prompt_text.clone(), run.organization_id);
    let tx = platform.db.begin().await?;
    // Index: prompt_verified_pairs(execution_id).
    verified::Entity::delete_many()
        .filter(verified::Column::OrganizationId.eq(organization_id))
        .filter(verified::Column::ExecutionId.eq(id))
        .filter(verified::Column::Status.eq(verified::Status::Candidate))
        .exec(tx.conn())
        .await?;
    // Of a question that goes on from another, the words alone would be a pair of something else; and so would those of one
    // that says another time each day.
    let lasts = |sql: &String| !ids.is_empty() && run.thread.is_none() && !verified::goes_stale(&run.prompt_text, sql);
    let pair = match query_text.filter(lasts) {
        None => None,
        Some(query_text) => {
            let row = verified::ActiveModel {
                organization_id: Set(organization_id),
                workspace_id: Set(run.workspace_id),
                question_key: Set(verified::key(&question)),
                question: Set(question),
                query_text: Set(query_text),
                data_source_ids: Set(serde_json::json!(ids)),
                status: Set(verified::Status::Candidate),
                execution_id: Set(Some(id)),
                created_by_user_id: Set(caller.user_id),
                verified_by_user_id: Set(None),
                created_at: Set(now),
                verified_at: Set(None),
                ..Default::default()
            };
            let pair = row.insert(tx.conn()).await?.id;
            verified::link(&tx, pair, &ids).await?;
            Some(pair)
        }
    };
    let mut row = run.into_active_model();
    row.feedback = Set(Some(request.verdict));
    row.feedback_comment = Set(request.comment.map(|comment| comment.replace('\0', "")));
    row.update(tx.conn()).await?;
    let record = AuditRecord::new(Some(organization_id), origin.actor(caller.user_id), "prompt.feedback")
        .target("execution", id)
        .details(serde_json::json!({"verdict": request.verdict, "verified_pair_id": pair}));
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    let given = GivenFeedback { execution_id: id, verdict: request.verdict, verified_pair_id: pair };
    Ok(Reply::ok(given, "Thank you; your feedback was recorded."))
}
