//! What stays of a run: each phase and event, how it ended, and the saved question.
//!
//! Each is written only while the run is under way: where another one has ended it meanwhile, that end stays.

use std::time::Duration;

use rivergen_kernel::{Error, PromptId, Result};
use rivergen_platform::audit::{self, AuditRecord};
use sea_orm::{ActiveValue::Set, UpdateMany, entity::prelude::*};

use super::{
    Course, Keep,
    life::{given_up, touch},
};
use crate::{
    execution::{
        self, Told,
        event::{self, Happening, Phase},
    },
    planner::Plan,
    prompt::{self, Status, StepStatus, versions},
};

impl Course {
    pub(super) async fn generated(&mut self, plan: Plan) -> Result<()> {
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
    pub(super) async fn reach(&mut self, phase: Phase) -> Result<()> {
        use execution::Column;
        let progress_percentage = phase.percentage();
        let mut row =
            execution::Entity::update_many().col_expr(Column::ProgressPercentage, Expr::value(progress_percentage));
        if phase == Phase::Executing {
            let sql = self.plan.as_ref().map(|plan| plan.sql.clone());
            row = row
                .col_expr(Column::AiProcessingStatus, Expr::value(StepStatus::Completed))
                .col_expr(Column::QueryExecutionStatus, Expr::value(StepStatus::InProgress))
                .col_expr(Column::GeneratedQueryText, Expr::value(sql));
        }
        self.record(row, Happening::Progress { phase, progress_percentage }).await
    }

    pub(super) async fn tell(&mut self, happening: Happening) -> Result<()> {
        self.record(execution::Entity::update_many(), happening).await
    }

    /// Writes down what happened, with what changes of the run.
    async fn record(&mut self, changes: UpdateMany<execution::Entity>, happening: Happening) -> Result<()> {
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
    pub(super) async fn end(&mut self, error: Option<&Error>) -> Result<execution::Model> {
        use execution::Column;
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
        let changes = execution::ActiveModel {
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
        let ended = execution::Entity::update_many()
            .set(changes)
            .filter(Column::Id.eq(self.row.id))
            .filter(Column::Status.eq(Status::Processing))
            .exec(tx.conn())
            .await?;
        if ended.rows_affected == 0 {
            return Err(given_up());
        }
        let row = execution::Entity::find_by_id(self.row.id).one(tx.conn()).await?;
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
    fn again(&self, id: PromptId, error: Option<&Error>, status: Status) -> UpdateMany<prompt::Entity> {
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

fn step(done: bool) -> StepStatus {
    if done { StepStatus::Completed } else { StepStatus::Failed }
}
