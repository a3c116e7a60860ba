//! The course of a run: from the question to its end on record, each step an event.
//!
//! It goes in a task of its own, so that whatever becomes of the request, the run is ended on record. Cancelled at any step
//! it stops there; what runs in a source is stopped with it.
//!
//! ```text
//! begin ─ set out ─┬ make ─ end: on record, where nobody else has ended it
//!                  └ beat: a sign of life; without one for long, somebody else ends it: [`abandon`]
//! ```
//!
//! | file | |
//! | --- | --- |
//! | this one | the steps, one after the other |
//! | `planning` | from the question to a plan, or to why there is none |
//! | `record` | what stays: phases, events, the end, the saved question |
//! | `life` | signs of life, and the end of a run that gives none |

mod life;
mod planning;
mod record;

use std::{
    panic::AssertUnwindSafe,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::FutureExt;
use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, ExecutionId, FieldError, PromptId, Result, TemplateId, Tenant,
};
use rivergen_platform::{db::TenantScope, http::RequestOrigin};
use rivergen_policies::evaluation::{RunKind, run};
use rivergen_runs::{
    Engine, Form, Run,
    results::{CarriedOut, Errand},
};
use rivergen_sources::source;
use sea_orm::{ActiveValue::Set, Condition, PaginatorTrait, entity::prelude::*};
use tokio_util::sync::CancellationToken;

use crate::{
    Studio, context,
    execution::{
        self, Clarification, PREVIEW_ROWS, Preview, Told,
        event::{self, Happening, Phase},
    },
    glossary,
    planner::{self, Plan, Planner, Refused, Turn},
    prompt::{Status, StepStatus},
    semantics::{self, definition::SynonymDefinition},
    verified,
};
use life::beat;
use planning::{answerable, examples};

pub(crate) use life::{abandon, without_life};
pub(super) use {life::was_cancelled, planning::check};

/// How often a planner may mend SQL that the engine refuses.
const MOST_REPAIRS: usize = 2;
/// Runs of one person at a time.
const MOST_AT_ONCE: u64 = 20;

/// A question, and who asks it.
pub(crate) struct Asking {
    pub caller: Arc<Caller>,
    pub tenant: Tenant,
    pub origin: RequestOrigin,
    pub text: String,
    pub sources: Vec<source::Model>,
    pub schemas: Vec<String>,
    /// Asked one after the other until one answers; there is one at least.
    pub planners: Vec<Arc<dyn Planner>>,
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
    row: execution::Model,
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
    pub row: execution::Model,
    pub answer: Option<Preview>,
    pub outcome: Result<()>,
}

/// A run in its own task.
pub(crate) struct Underway {
    pub row: execution::Model,
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
            .find::<execution::Entity>()
            .filter(execution::Column::UserId.eq(asking.caller.user_id))
            .filter(execution::Column::Status.eq(Status::Processing));
        if under_way.count(platform.db.read()).await? >= MOST_AT_ONCE {
            return Err(Error::new(ErrorCode::RateLimited)
                .with_message(format!(
                    "You already have {MOST_AT_ONCE} questions running; wait for one to finish, or cancel it."
                ))
                .with_retry_after(Duration::from_secs(10)));
        }
        let organization_id = asking.tenant.organization_id();
        let tx = platform.db.begin().await?;
        let row = execution::ActiveModel {
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
                abandon(&platform, Condition::all().add(execution::Column::Id.eq(id)), &failed).await?;
                Err(error)
            }
        }
    }

    async fn make(&mut self, cancelled: &CancellationToken) -> Result<()> {
        let (engine, caller, tenant) = (self.studio.engine.clone(), self.asking.caller.clone(), self.asking.tenant);
        let (planners, sources) = (self.asking.planners.clone(), self.asking.sources.clone());
        self.reach(Phase::Validating).await?;
        for source in &sources {
            source.check_usable()?;
        }
        self.reach(Phase::PolicyCheck).await?;
        let catalogue = unless(cancelled, engine.catalogue(&caller, tenant, sources.clone())).await?;
        self.reach(Phase::Generating).await?;
        let studio = self.studio.clone();
        let context = context::build(&engine, &caller, &studio.samples, &catalogue, &self.asking.schemas);
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
        // Of the planner that answered, who is the one to mend what it wrote.
        let mut at = 0;
        match unless(cancelled, self.confirmed(&engine, &catalogue, &pairs)).await? {
            Some(plan) => self.generated(plan).await?,
            None => {
                context.examples = unless(cancelled, examples(&engine, &catalogue, pairs)).await?;
                at = self.ask(cancelled, &context, 0, None).await?;
            }
        }
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
            let Some(planner) = planners.get(at) else { return Err(error) };
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
            match repaired {
                Ok(plan) => self.generated(plan).await?,
                Err(failed) if failed.is_of_planner() && at + 1 < planners.len() => {
                    at = self.ask(cancelled, &context, at + 1, Some(failed)).await?;
                }
                Err(failed) => return Err(answerable(failed)),
            }
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
}

/// What the future answers, or `QUERY_CANCELLED` as soon as somebody cancels the run.
async fn unless<T>(cancelled: &CancellationToken, future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::select! {
        biased;
        () = cancelled.cancelled() => Err(was_cancelled()),
        answer = future => answer,
    }
}
