//! The course of a run: from the question to its end on record, each step an event.
//!
//! It goes in a task of its own, so that whatever becomes of the request, the run is ended on record. Cancelled at any step
//! it stops there; what runs in a source is stopped with it.
//!
//! ```text
//! begin ─ set out ─┬ make ─ end: on record, where nobody else has ended it
//!                  └ beat: a sign of life; without one for long, somebody else ends it: [`abandon`]
//! ```

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use chrono::{DateTime, Utc};
use futures::{FutureExt, future::BoxFuture};
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, ExecutionId, FieldError, PromptId, Result, TemplateId, Tenant,
};
use rivergen_platform::{
    Platform, Transaction,
    audit::{self, AuditRecord},
    db::TenantScope,
    http::RequestOrigin,
};
use rivergen_policies::{
    evaluation::{RunKind, run},
    rule::TableName,
};
use rivergen_runs::{
    Engine, Form, Run,
    catalogue::Catalogue,
    results::{CarriedOut, Errand},
};
use rivergen_sources::source;
use sea_orm::{ActiveValue::Set, Condition, PaginatorTrait, QuerySelect, UpdateMany, entity::prelude::*};
use tokio_util::sync::CancellationToken;

use super::{
    CLARIFICATION, Clarification, PREVIEW_ROWS, Preview, Told,
    event::{self, Happening, Phase},
};
use crate::{
    Studio, context, glossary,
    planner::{self, Context, Example, Plan, PlanError, Planner, Refused, Turn},
    prompt::{self, Status, StepStatus, versions},
    semantics::{self, definition::SynonymDefinition},
    verified::{self, Pair},
};

/// How often a planner may mend SQL that the engine refuses.
const MOST_REPAIRS: usize = 2;
/// Runs of one person at a time.
const MOST_AT_ONCE: u64 = 20;
/// Between two signs of life of a run.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// A run without a sign of life for so long has no node any more.
const LIFELESS: chrono::Duration = chrono::Duration::minutes(2);

/// A question, and who asks it.
pub(crate) struct Asking {
    pub caller: Arc<Caller>,
    pub tenant: Tenant,
    pub origin: RequestOrigin,
    pub text: String,
    pub sources: Vec<source::Model>,
    pub schemas: Vec<String>,
    pub planner: Arc<dyn Planner>,
    /// The run goes on after its request, and its result is kept.
    pub by_itself: bool,
    /// Save the question.
    pub keep: Option<Keep>,
    /// The saved question that is asked again.
    pub prompt_id: Option<PromptId>,
    /// Whoever asks it again wrote it.
    pub by_author: bool,
    pub template_id: Option<TemplateId>,
    /// Where a word has several readings, the person is asked which one they mean.
    pub asks: bool,
    /// What they answered before.
    pub chosen: Vec<SynonymDefinition>,
    /// What the question goes on from.
    pub thread: Vec<Turn>,
    pub follows: Option<ExecutionId>,
}

/// How a question is saved.
pub(crate) struct Keep {
    pub name: Option<String>,
    pub tags: Vec<String>,
}

impl Asking {
    /// `None` where the question stands by itself.
    fn thread_on_record(&self) -> Option<serde_json::Value> {
        (!self.thread.is_empty()).then(|| serde_json::json!(self.thread))
    }

    /// All that was said, for whoever looks for words.
    fn said(&self) -> String {
        let before = self.thread.iter().map(|turn| turn.question.as_str());
        before.chain([self.text.as_str()]).collect::<Vec<_>>().join("\n")
    }

    fn source_ids(&self) -> Vec<DataSourceId> {
        self.sources.iter().map(|source| source.id).collect()
    }
}

/// A run that has begun.
pub(crate) struct Course {
    studio: Studio,
    asking: Asking,
    row: super::Model,
    seq: i32,
    plan: Option<Plan>,
    told: Option<Told>,
    /// What the person is asked.
    clarification: Option<Clarification>,
    /// What stays on record of why it failed: nothing that is a value of the data.
    details: Option<Vec<FieldError>>,
    answer: Option<Preview>,
    ai_time: Option<Duration>,
    query_time: Option<Duration>,
}

/// A run that has ended.
pub(crate) struct Ended {
    pub row: super::Model,
    pub answer: Option<Preview>,
    pub outcome: Result<()>,
}

/// A run in its own task.
pub(crate) struct Underway {
    pub row: super::Model,
    pub cancelled: CancellationToken,
    pub ended: tokio::task::JoinHandle<Result<Ended>>,
}

impl Course {
    /// Writes the run down before anything is read. `RATE_LIMITED` where the person has too many under way.
    pub async fn begin(studio: Studio, asking: Asking) -> Result<Self> {
        let platform = studio.engine.platform.clone();
        // Index: prompt_executions(user_id) where processing.
        let under_way = asking
            .tenant
            .find::<super::Entity>()
            .filter(super::Column::UserId.eq(asking.caller.user_id))
            .filter(super::Column::Status.eq(Status::Processing));
        if under_way.count(platform.db.read()).await? >= MOST_AT_ONCE {
            return Err(Error::new(ErrorCode::RateLimited)
                .with_message(format!("You have {MOST_AT_ONCE} questions under way; wait for one, or cancel it."))
                .with_retry_after(Duration::from_secs(10)));
        }
        let organization_id = asking.tenant.organization_id();
        let tx = platform.db.begin().await?;
        let row = super::ActiveModel {
            organization_id: Set(organization_id),
            workspace_id: Set(asking.caller.membership()?.workspace_id),
            user_id: Set(asking.caller.user_id),
            prompt_id: Set(asking.prompt_id),
            template_id: Set(asking.template_id),
            prompt_text: Set(asking.text.clone()),
            data_source_ids: Set(Some(serde_json::json!(asking.source_ids()))),
            schema_names: Set(Some(serde_json::json!(asking.schemas))),
            follows_execution_id: Set(asking.follows),
            thread: Set(asking.thread_on_record()),
            status: Set(Status::Processing),
            ai_processing_status: Set(StepStatus::InProgress),
            progress_percentage: Set(0),
            started_at: Set(platform.clock.now()),
            heartbeat_at: Set(Some(platform.clock.now())),
            ..Default::default()
        }
        .insert(tx.conn())
        .await?;
        let started = Happening::Started { prompt_id: asking.prompt_id };
        event::append(&tx, &platform, (organization_id, row.id), 1, &started).await?;
        tx.commit().await?;
        Ok(Self {
            studio,
            asking,
            row,
            seq: 1,
            plan: None,
            told: None,
            clarification: None,
            details: None,
            answer: None,
            ai_time: None,
            query_time: None,
        })
    }

    /// Lets it go.
    pub fn set_out(self) -> Underway {
        let at_work = self.studio.live.enter(self.row.id);
        let (row, cancelled) = (self.row.clone(), at_work.cancelled.clone());
        let going = async move {
            let ended = self.go(&at_work.cancelled).await;
            if let Err(error) = &ended {
                tracing::error!(%error, "the end of a run could not be recorded");
            }
            ended
        };
        Underway { row, cancelled, ended: tokio::spawn(going) }
    }

    async fn go(mut self, cancelled: &CancellationToken) -> Result<Ended> {
        let (platform, id) = (self.studio.engine.platform.clone(), self.row.id);
        // Boxed, as all that holds a plan: unoptimised, each step that hands it on would hold it on the stack once more.
        let outcome = tokio::select! {
            made = AssertUnwindSafe(Box::pin(self.make(cancelled))).catch_unwind() => {
                made.unwrap_or_else(|_| Err(Error::internal("a run of a question panicked")))
            }
            never = beat(&platform, id, cancelled) => match never {},
        };
        match self.end(outcome.as_ref().err()).await {
            Ok(row) => Ok(Ended { row, answer: self.answer, outcome }),
            Err(error) => {
                // Whatever of it could not be written, nobody should wait for its end.
                let failed =
                    Error::new(ErrorCode::InternalError).with_message("The end of the run could not be recorded.");
                abandon(&platform, Condition::all().add(super::Column::Id.eq(id)), &failed).await?;
                Err(error)
            }
        }
    }

    async fn make(&mut self, cancelled: &CancellationToken) -> Result<()> {
        let (engine, caller, tenant) = (self.studio.engine.clone(), self.asking.caller.clone(), self.asking.tenant);
        let (planner, sources) = (self.asking.planner.clone(), self.asking.sources.clone());
        self.reach(Phase::Validating).await?;
        for source in &sources {
            source.check_usable()?;
        }
        self.reach(Phase::PolicyCheck).await?;
        let catalogue = unless(cancelled, engine.catalogue(&caller, tenant, sources.clone())).await?;
        self.reach(Phase::Generating).await?;
        let studio = self.studio.clone();
        let context = context::build(&engine, &studio.samples, &catalogue, &self.asking.schemas);
        let mut context = unless(cancelled, context).await?;
        context.terms = glossary::terms(&engine.platform, tenant, &caller, &self.asking.said()).await?;
        semantics::apply(&engine.platform, tenant, &caller, &self.asking.chosen, &mut context).await?;
        context.asks = self.asking.asks;
        context.thread = self.asking.thread.clone();
        let began = Instant::now();
        let pairs = match self.asking.thread.is_empty() {
            true => verified::about(&engine.platform, tenant, &caller, &self.asking.text, &catalogue).await?,
            // What goes on from another question is not the question that was confirmed.
            false => Vec::new(),
        };
        let plan = match unless(cancelled, self.confirmed(&engine, &catalogue, &pairs)).await? {
            Some(plan) => plan,
            None => {
                context.examples = unless(cancelled, examples(&engine, &catalogue, pairs)).await?;
                if planner.is_elsewhere() {
                    let (name, tables) = (planner.name(), context.tables.len());
                    let summary = format!("The question and the schema of {tables} tables go to {name}.");
                    self.tell(Happening::ToolCall { tool: "model", summary }).await?;
                }
                let planning = planner.plan(&self.asking.text, &context);
                let planned = unless(cancelled, async { Ok(planning.await) }).await?;
                match planned {
                    Ok(plan) => plan,
                    Err(error) => return Err(self.not_planned(error, &context).await?),
                }
            }
        };
        self.generated(plan).await?;
        self.reach(Phase::ValidatingSql).await?;
        for repairs in 0.. {
            let Some(plan) = &self.plan else { return Err(Error::internal("a run without its plan")) };
            let error = match unless(cancelled, check(&engine, &catalogue, &plan.sql)).await {
                Err(error) if error.code == ErrorCode::InvalidQuery && repairs < MOST_REPAIRS => error,
                Err(error) if matches!(error.code, ErrorCode::InvalidQuery | ErrorCode::QueryCancelled) => {
                    return Err(error);
                }
                // What a policy or a source refuses is decided, and recorded, where the query runs.
                _ => break,
            };
            let sql = plan.sql.clone();
            let repair = Happening::ToolCall { tool: "repair", summary: error.message.to_string() };
            // What leaves this server is told before it does; one that is here may have no other idea.
            if planner.is_elsewhere() {
                self.tell(repair.clone()).await?;
            }
            let refused = Refused { sql: &sql, reason: &error.message };
            let repairing = planner.repair(&self.asking.text, &context, refused);
            let Some(repaired) = unless(cancelled, async { Ok(repairing.await) }).await? else { return Err(error) };
            if !planner.is_elsewhere() {
                self.tell(repair).await?;
            }
            self.generated(repaired.map_err(answerable)?).await?;
        }
        self.ai_time = Some(began.elapsed());
        let Some(plan) = self.plan.clone() else { return Err(Error::internal("a run without its plan")) };
        self.told = Some(Told::of(&plan, planner::follow_ups(&self.asking.said(), &context)));
        self.reach(Phase::Executing).await?;
        let began = Instant::now();
        let ran = self.run(cancelled, &engine, &plan.sql, sources).await;
        self.query_time = Some(began.elapsed());
        ran?;
        self.reach(Phase::Formatting).await
    }

    /// The plan that people confirmed for just this question, if it is one for the caller.
    async fn confirmed(&self, engine: &Engine, catalogue: &Catalogue, pairs: &[Pair]) -> Result<Option<Plan>> {
        let chosen = |pair: &&Pair| pair.is_same && self.asking.schemas.is_empty();
        for pair in pairs.iter().filter(chosen) {
            if check(engine, catalogue, &pair.query).await.is_ok_and(|tables| pair.answers(catalogue, &tables)) {
                return Ok(Some(pair.plan()));
            }
        }
        Ok(None)
    }

    /// Runs the checked SQL: the rows come at once, or are kept.
    async fn run(
        &mut self,
        cancelled: &CancellationToken,
        engine: &Engine,
        sql: &str,
        sources: Vec<source::Model>,
    ) -> Result<()> {
        let (caller, origin) = (self.asking.caller.clone(), self.asking.origin.clone());
        if self.asking.by_itself {
            let errand = Errand {
                kind: RunKind::Prompt,
                sources,
                sql: sql.to_owned(),
                parameters: serde_json::Map::new(),
                default_schema: None,
                max_rows: Some(engine.settings.page.rows),
                timeout: None,
            };
            let CarriedOut { query_id, outcome } = engine.carry_out(&caller, &origin, errand, cancelled).await?;
            self.row.query_id = Some(query_id);
            outcome?;
            let found = self.asking.tenant.find::<run::Entity>().filter(run::Column::Id.eq(query_id));
            let found = found.one(engine.platform.db.read()).await?;
            self.row.rows_returned = found.and_then(|run| run.row_count);
            return Ok(());
        }
        let run = Run {
            kind: RunKind::Prompt,
            sources,
            sql,
            parameters: &serde_json::Map::new(),
            default_schema: None,
            form: Form::Page,
            max_rows: Some(PREVIEW_ROWS),
            timeout: None,
            max_age: None,
        };
        let started = unless(cancelled, engine.start(&caller, &origin, run).boxed()).await?;
        self.row.query_id = Some(started.query_id());
        let answer = unless(cancelled, started.rows().boxed()).await?;
        self.row.rows_returned = i64::try_from(answer.row_count).ok();
        self.answer = Some(Preview {
            columns: answer.columns,
            rows: answer.rows,
            truncated: answer.truncated,
            policies: answer.policies,
        });
        Ok(())
    }

    /// Why there is no plan, for the caller; on record without values of the data, and with what the person is to answer.
    async fn not_planned(&mut self, error: PlanError, context: &Context) -> Result<Error> {
        match &error {
            PlanError::NotUnderstood { unknown_words, .. } => {
                let suggestions = planner::follow_ups(&self.asking.said(), context);
                self.details = Some(not_understood(unknown_words, &suggestions));
            }
            PlanError::Ambiguous { message, word, choices } => {
                let clarification = Clarification {
                    question: message.clone(),
                    word: word.clone(),
                    choices: choices.clone(),
                    chosen: self.asking.chosen.clone(),
                };
                self.tell(Happening::InputRequired {
                    request_id: self.row.id.to_string(),
                    kind: CLARIFICATION,
                    question: clarification.question.clone(),
                    options: clarification.options(),
                })
                .await?;
                self.clarification = Some(clarification);
            }
            PlanError::Withheld { .. } | PlanError::Unavailable { .. } | PlanError::InvalidAnswer { .. } => {}
        }
        let mut error = answerable(error);
        if self.clarification.is_some() {
            // Where the answer goes.
            error.details.insert(0, FieldError::new("execution_id", self.row.id.to_string()));
        }
        Ok(error)
    }

    async fn generated(&mut self, plan: Plan) -> Result<()> {
        let happening = Happening::SqlGenerated {
            generated_query_text: plan.sql.clone(),
            explanation: plan.explanation.clone(),
            confidence: plan.confidence,
        };
        self.told = Some(Told::of(&plan, Vec::new()));
        self.plan = Some(plan);
        self.tell(happening).await
    }

    /// Comes to a phase, on record.
    async fn reach(&mut self, phase: Phase) -> Result<()> {
        use super::Column;
        let progress_percentage = phase.percentage();
        let mut row =
            super::Entity::update_many().col_expr(Column::ProgressPercentage, Expr::value(progress_percentage));
        if phase == Phase::Executing {
            let sql = self.plan.as_ref().map(|plan| plan.sql.clone());
            row = row
                .col_expr(Column::AiProcessingStatus, Expr::value(StepStatus::Completed))
                .col_expr(Column::QueryExecutionStatus, Expr::value(StepStatus::InProgress))
                .col_expr(Column::GeneratedQueryText, Expr::value(sql));
        }
        self.record(row, Happening::Progress { phase, progress_percentage }).await
    }

    async fn tell(&mut self, happening: Happening) -> Result<()> {
        self.record(super::Entity::update_many(), happening).await
    }

    /// Writes down what happened, with what changes of the run.
    async fn record(&mut self, changes: UpdateMany<super::Entity>, happening: Happening) -> Result<()> {
        let platform = &self.studio.engine.platform;
        let tx = platform.db.begin().await?;
        touch(&tx, platform, self.row.id, changes).await?;
        let run = (self.row.organization_id, self.row.id);
        event::append(&tx, platform, run, self.seq + 1, &happening).await?;
        tx.commit().await?;
        self.seq += 1;
        Ok(())
    }

    /// Writes down how the run ended and, where it was asked for, keeps the question; in one transaction.
    async fn end(&mut self, error: Option<&Error>) -> Result<super::Model> {
        use super::Column;
        let platform = self.studio.engine.platform.clone();
        let now = platform.clock.now();
        let status = if error.is_none() { Status::Completed } else { Status::Failed };
        let took = (now - self.row.started_at).num_milliseconds().max(0);
        let milliseconds = |time: Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
        let queried = self.query_time.map(|_| step(error.is_none()));
        let details = self.details.clone().or_else(|| error.map(|error| error.details.clone())).unwrap_or_default();
        let tx = platform.db.begin().await?;
        let prompt_id = match (&self.asking.keep, self.asking.prompt_id) {
            (Some(keep), None) => {
                let kept = self.saved(keep, error, status)?.insert(tx.conn()).await?;
                prompt::sources::link(&tx, kept.id, &self.asking.source_ids()).await?;
                let by = self.asking.caller.user_id;
                versions::record(&tx, &platform, None, &kept, versions::Change::Saved, by).await?;
                Some(kept.id)
            }
            (_, Some(id)) => {
                // Its readers are not told what another's policies made of it.
                if self.asking.by_author {
                    let before = prompt::Entity::find_by_id(id).one(tx.conn()).await?;
                    self.again(id, error, status).exec(tx.conn()).await?;
                    let after = prompt::Entity::find_by_id(id).one(tx.conn()).await?;
                    if let (Some(before), Some(after)) = (before, after) {
                        let (by, change) = (self.asking.caller.user_id, versions::Change::AskedAgain);
                        versions::record(&tx, &platform, Some(&before), &after, change, by).await?;
                    }
                }
                Some(id)
            }
            (None, None) => None,
        };
        let changes = super::ActiveModel {
            prompt_id: Set(prompt_id),
            status: Set(status),
            ai_processing_status: Set(step(queried.is_some())),
            query_execution_status: Set(queried),
            progress_percentage: Set(100),
            query_id: Set(self.row.query_id),
            generated_query_text: Set(self.plan.as_ref().map(|plan| plan.sql.clone())),
            told: Set(self.told.as_ref().map(serde_json::to_value).transpose().map_err(Error::internal)?),
            rows_returned: Set(self.row.rows_returned),
            error_code: Set(error.map(|error| error.code.as_str().to_owned())),
            error_message: Set(error.map(|error| error.message.to_string())),
            error_details: Set(error.map(|_| serde_json::json!(details))),
            clarification: Set(self.clarification.as_ref().map(|asked| serde_json::json!(asked))),
            completed_at: Set(Some(now)),
            total_duration_ms: Set(Some(took)),
            ai_duration_ms: Set(self.ai_time.map(milliseconds)),
            query_duration_ms: Set(self.query_time.map(milliseconds)),
            ..Default::default()
        };
        let ended = super::Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(self.row.id))
            .filter(Column::Status.eq(Status::Processing))
            .exec(tx.conn())
            .await?;
        if ended.rows_affected == 0 {
            return Err(given_up());
        }
        let row = super::Entity::find_by_id(self.row.id).one(tx.conn()).await?;
        let row = row.ok_or_else(|| Error::internal("a run that has ended is gone"))?;
        let happening = match error {
            None => Happening::Completed { rows_returned: row.rows_returned, total_duration_ms: took },
            Some(error) => Happening::of_error(&error.clone().with_details(details)),
        };
        event::append(&tx, &platform, (row.organization_id, row.id), self.seq + 1, &happening).await?;
        if let (Some(id), None) = (prompt_id, self.asking.prompt_id) {
            let actor = self.asking.origin.actor(self.asking.caller.user_id);
            let record = AuditRecord::new(Some(row.organization_id), actor, "prompt.save").target("prompt", id);
            audit::record(&tx, &platform.clock, record).await?;
        }
        tx.commit().await?;
        Ok(row)
    }

    /// The question, to be kept.
    fn saved(&self, keep: &Keep, error: Option<&Error>, status: Status) -> Result<prompt::ActiveModel> {
        let now = self.studio.engine.platform.clock.now();
        let membership = self.asking.caller.membership()?;
        Ok(prompt::ActiveModel {
            organization_id: Set(membership.organization_id),
            workspace_id: Set(membership.workspace_id),
            name: Set(keep.name.clone()),
            prompt_text: Set(self.asking.text.clone()),
            selected_data_source_ids: Set(serde_json::json!(self.asking.source_ids())),
            selected_schema_names: Set(serde_json::json!(self.asking.schemas)),
            generated_query_id: Set(self.row.query_id),
            generated_query_text: Set(self.plan.as_ref().map(|plan| plan.sql.clone())),
            status: Set(status),
            tags: Set(serde_json::json!(keep.tags)),
            metadata: Set(None),
            template_id: Set(self.asking.template_id),
            thread: Set(self.asking.thread_on_record()),
            ai_model_used: Set(self.plan.as_ref().map(|plan| plan.model.clone())),
            ai_response_metadata: Set(self.response_metadata()),
            error_message: Set(error.map(|error| error.message.to_string())),
            created_by_user_id: Set(self.asking.caller.user_id),
            created_at: Set(now),
            updated_at: Set(now),
            last_run_at: Set(Some(now)),
            last_duration_ms: Set(Some((now - self.row.started_at).num_milliseconds().max(0))),
            deleted_at: Set(None),
            ..Default::default()
        })
    }

    /// What its author changes of a saved question by asking it again.
    fn again(&self, id: PromptId, error: Option<&Error>, status: Status) -> sea_orm::UpdateMany<prompt::Entity> {
        use prompt::Column;
        let now = self.studio.engine.platform.clock.now();
        let took = (now - self.row.started_at).num_milliseconds().max(0);
        let mut update = prompt::Entity::update_many()
            .col_expr(Column::Status, Expr::value(status))
            .col_expr(Column::ErrorMessage, Expr::value(error.map(|error| error.message.to_string())))
            .col_expr(Column::LastRunAt, Expr::value(now))
            .col_expr(Column::LastDurationMs, Expr::value(took))
            .filter(Column::Id.eq(id));
        if let Some(plan) = &self.plan {
            update = update
                .col_expr(Column::GeneratedQueryId, Expr::value(self.row.query_id))
                .col_expr(Column::GeneratedQueryText, Expr::value(plan.sql.clone()))
                .col_expr(Column::AiModelUsed, Expr::value(plan.model.clone()))
                .col_expr(Column::AiResponseMetadata, Expr::value(self.response_metadata()));
        }
        update
    }

    fn response_metadata(&self) -> serde_json::Value {
        self.told.as_ref().map_or_else(|| serde_json::json!({}), Told::metadata)
    }
}

/// What the future answers, or `QUERY_CANCELLED` as soon as somebody cancels the run.
async fn unless<T>(cancelled: &CancellationToken, future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(was_cancelled()),
        answer = future => answer,
    }
}

pub(super) fn was_cancelled() -> Error {
    Error::new(ErrorCode::QueryCancelled).with_message("The run was cancelled.")
}

/// The run has an end on record already.
fn given_up() -> Error {
    Error::new(ErrorCode::Conflict).with_message("The run was ended as left behind.")
}

/// Gives signs of life for as long as it is polled, and hears what a lost message of the bus did not tell.
async fn beat(platform: &Platform, id: ExecutionId, cancelled: &CancellationToken) -> Infallible {
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        match sign_of_life(platform, id).await {
            Ok(()) => {}
            Err(error) if matches!(error.code, ErrorCode::QueryCancelled | ErrorCode::Conflict) => cancelled.cancel(),
            // The database may be back before the run is taken for left behind.
            Err(error) => tracing::warn!(%error, "a run could give no sign of life"),
        }
    }
}

async fn sign_of_life(platform: &Platform, id: ExecutionId) -> Result<()> {
    let tx = platform.db.begin().await?;
    touch(&tx, platform, id, super::Entity::update_many()).await?;
    tx.commit().await
}

/// Writes down the changes with a sign of life. `QUERY_CANCELLED` where somebody asked for the run's end, and `CONFLICT`
/// where it has one.
async fn touch(
    tx: &Transaction,
    platform: &Platform,
    id: ExecutionId,
    changes: UpdateMany<super::Entity>,
) -> Result<()> {
    use super::Column;
    let at_work = changes
        .col_expr(Column::HeartbeatAt, Expr::value(platform.clock.now()))
        .filter(Column::Id.eq(id))
        .filter(Column::Status.eq(Status::Processing))
        .exec(tx.conn())
        .await?;
    if at_work.rows_affected == 0 {
        return Err(given_up());
    }
    let cancelled = super::Entity::find_by_id(id)
        .select_only()
        .column(Column::Id)
        .filter(Column::CancelRequestedAt.is_not_null())
        .into_tuple::<ExecutionId>()
        .one(tx.conn())
        .await?;
    cancelled.map_or(Ok(()), |_| Err(was_cancelled()))
}

/// Parses and plans the SQL under the caller's policies; nothing runs. Answers the tables that it reads.
pub(super) fn check<'a>(
    engine: &'a Engine,
    catalogue: &'a Catalogue,
    sql: &'a str,
) -> BoxFuture<'a, Result<Vec<(TableName, DataSourceId)>>> {
    Box::pin(async move {
        let limits = engine.limits(catalogue, Form::Page, Some(1), None);
        let session = engine.session(catalogue, sql, None, limits).await?;
        let planned = session.plan(sql, &serde_json::Map::new()).await?;
        Ok(planned.tables().to_vec())
    })
}

/// The pairs that may be told to a planner on the caller's behalf.
async fn examples(engine: &Engine, catalogue: &Catalogue, pairs: Vec<Pair>) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for pair in pairs {
        if check(engine, catalogue, &pair.query).await.is_ok_and(|tables| pair.teaches(catalogue, &tables)) {
            examples.push(Example { question: pair.question, sql: pair.query });
        }
    }
    Ok(examples)
}

fn step(done: bool) -> StepStatus {
    if done { StepStatus::Completed } else { StepStatus::Failed }
}

fn not_understood(words: &[String], suggestions: &[String]) -> Vec<FieldError> {
    let words = words.iter().map(|word| FieldError::new("unknown_word", word));
    words.chain(suggestions.iter().map(|question| FieldError::new("suggestion", question))).collect()
}

fn answerable(error: PlanError) -> Error {
    let message = error.to_string();
    match error {
        PlanError::NotUnderstood { unknown_words, suggestions, .. } => Error::new(ErrorCode::QuestionNotUnderstood)
            .with_message(message)
            .with_details(not_understood(&unknown_words, &suggestions)),
        PlanError::Ambiguous { choices, .. } => Error::new(ErrorCode::QuestionAmbiguous)
            .with_message(message)
            .with_details(choices.into_iter().map(|choice| FieldError::new("choice", choice.label)).collect()),
        PlanError::Withheld { names, .. } => Error::new(ErrorCode::PolicyDenied)
            .with_message(message)
            .with_details(names.into_iter().map(|name| FieldError::new("withheld", name)).collect()),
        PlanError::Unavailable { retryable, .. } => {
            let error = Error::new(ErrorCode::PlannerUnavailable).with_message(message);
            if retryable { error.with_retry_after(Duration::from_secs(10)) } else { error }
        }
        PlanError::InvalidAnswer { .. } => Error::new(ErrorCode::PlannerUnavailable).with_message(message),
    }
}

/// The runs whose node has given no sign of life of them for long.
pub(crate) fn without_life(now: DateTime<Utc>) -> Condition {
    use super::Column;
    Condition::any().add(Column::HeartbeatAt.is_null()).add(Column::HeartbeatAt.lt(now - LIFELESS))
}

/// Ends those runs that are under way, for the reason; answers how many there were.
/// Index: prompt_executions(user_id) where processing, of which there are few.
pub(crate) async fn abandon(platform: &Platform, which: Condition, reason: &Error) -> Result<u64> {
    use super::Column;
    let left = super::Entity::find().filter(Column::Status.eq(Status::Processing)).filter(which.clone());
    let mut count = 0;
    for row in left.all(platform.db.read()).await? {
        let now = platform.clock.now();
        let took = now - row.started_at;
        let tx = platform.db.begin().await?;
        let ended = super::Entity::update_many()
            .col_expr(Column::Status, Expr::value(Status::Failed))
            .col_expr(Column::AiProcessingStatus, Expr::value(settled(row.ai_processing_status)))
            .col_expr(Column::QueryExecutionStatus, Expr::value(row.query_execution_status.map(settled)))
            .col_expr(Column::ProgressPercentage, Expr::value(100_i16))
            .col_expr(Column::ErrorCode, Expr::value(reason.code.as_str()))
            .col_expr(Column::ErrorMessage, Expr::value(reason.message.to_string()))
            .col_expr(Column::CompletedAt, Expr::value(now))
            .col_expr(Column::TotalDurationMs, Expr::value(std::cmp::max(0, took.num_milliseconds())))
            .filter(Column::Id.eq(row.id))
            .filter(Column::Status.eq(Status::Processing))
            .filter(which.clone())
            .exec(tx.conn())
            .await?;
        if ended.rows_affected == 0 {
            continue;
        }
        let seq = event::last_seq(tx.conn(), row.id).await? + 1;
        event::append(&tx, platform, (row.organization_id, row.id), seq, &Happening::of_error(reason)).await?;
        tx.commit().await?;
        count += 1;
    }
    Ok(count)
}

/// How a step of a run stands that goes no further.
fn settled(step: StepStatus) -> StepStatus {
    match step {
        StepStatus::Completed => StepStatus::Completed,
        StepStatus::InProgress | StepStatus::Failed => StepStatus::Failed,
    }
}
