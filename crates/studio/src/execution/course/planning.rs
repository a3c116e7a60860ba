//! From the question to a plan: a confirmed one, or that of the first planner that answers.
//!
//! What a planner may know is what the caller may see, and so are the examples that it gets. Where there is no plan, the caller
//! is told why, and what they might do; what stays on record of it holds no value of the data.

use std::time::Duration;

use futures::future::BoxFuture;
use rivergen_kernel::{DataSourceId, Error, ErrorCode, FieldError, Result};
use rivergen_policies::rule::TableName;
use rivergen_runs::{Engine, Form, catalogue::Catalogue};
use tokio_util::sync::CancellationToken;

use super::{Course, unless};
use crate::{
    execution::{CLARIFICATION, Clarification, event::Happening},
    planner::{self, Context, Example, Plan, PlanError},
    verified::Pair,
};

impl Course {
    /// Puts the question to the planners from that one on, until one answers; which did. `failed` is why the one before did not.
    pub(super) async fn ask(
        &mut self,
        cancelled: &CancellationToken,
        context: &Context,
        from: usize,
        mut failed: Option<PlanError>,
    ) -> Result<usize> {
        let planners = self.asking.planners.clone();
        for (at, planner) in planners.iter().enumerate().skip(from) {
            if let Some(failed) = failed.take() {
                let summary = format!("{} is asked: {failed}.", planner.name());
                self.tell(Happening::ToolCall { tool: "fallback", summary }).await?;
            }
            let ready = planner.ready();
            if let Err(error) = unless(cancelled, async { Ok(ready.await) }).await? {
                failed = Some(error);
                continue;
            }
            if planner.is_model() {
                let name = planner.name();
                let tables = match context.tables.len() {
                    1 => "1 table".to_owned(),
                    tables => format!("{tables} tables"),
                };
                let summary = match planner.is_elsewhere() {
                    true => format!("The question and the schema of {tables} are sent to {name}."),
                    false => format!("{name}, on this server, reads the question and the schema of {tables}."),
                };
                self.tell(Happening::ToolCall { tool: "model", summary }).await?;
            }
            let planning = planner.plan(&self.asking.text, context);
            match unless(cancelled, async { Ok(planning.await) }).await? {
                Ok(plan) => {
                    self.generated(plan).await?;
                    return Ok(at);
                }
                Err(error) if error.is_of_planner() => failed = Some(error),
                Err(error) => return Err(self.not_planned(error, context).await?),
            }
        }
        let failed = failed.map_or_else(|| Error::internal("a question without a planner"), answerable);
        Err(failed)
    }

    /// The plan that people confirmed for just this question, if it is one for the caller.
    pub(super) async fn confirmed(
        &self,
        engine: &Engine,
        catalogue: &Catalogue,
        pairs: &[Pair],
    ) -> Result<Option<Plan>> {
        let chosen = |pair: &&Pair| pair.is_same && self.asking.schemas.is_empty();
        for pair in pairs.iter().filter(chosen) {
            if check(engine, catalogue, &pair.query).await.is_ok_and(|tables| pair.answers(catalogue, &tables)) {
                return Ok(Some(pair.plan()));
            }
        }
        Ok(None)
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
            PlanError::Unavailable { .. } | PlanError::InvalidAnswer { .. } => {}
        }
        let mut error = answerable(error);
        if self.clarification.is_some() {
            // Where the answer goes.
            error.details.insert(0, FieldError::new("execution_id", self.row.id.to_string()));
        }
        Ok(error)
    }
}

/// Parses and plans the SQL under the caller's policies; nothing runs. Answers the tables that it reads.
pub(in crate::execution) fn check<'a>(
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
pub(super) async fn examples(engine: &Engine, catalogue: &Catalogue, pairs: Vec<Pair>) -> Result<Vec<Example>> {
    let mut examples = Vec::new();
    for pair in pairs {
        if check(engine, catalogue, &pair.query).await.is_ok_and(|tables| pair.teaches(catalogue, &tables)) {
            examples.push(Example { question: pair.question, sql: pair.query });
        }
    }
    Ok(examples)
}

fn not_understood(words: &[String], suggestions: &[String]) -> Vec<FieldError> {
    let words = words.iter().map(|word| FieldError::new("unknown_word", word));
    words.chain(suggestions.iter().map(|question| FieldError::new("suggestion", question))).collect()
}

pub(super) fn answerable(error: PlanError) -> Error {
    let message = error.to_string();
    match error {
        PlanError::NotUnderstood { unknown_words, suggestions, .. } => Error::new(ErrorCode::QuestionNotUnderstood)
            .with_message(message)
            .with_details(not_understood(&unknown_words, &suggestions)),
        PlanError::Ambiguous { choices, .. } => Error::new(ErrorCode::QuestionAmbiguous)
            .with_message(message)
            .with_details(choices.into_iter().map(|choice| FieldError::new("choice", choice.label)).collect()),
        PlanError::Unavailable { retryable, .. } => {
            let error = Error::new(ErrorCode::PlannerUnavailable).with_message(message);
            if retryable { error.with_retry_after(Duration::from_secs(10)) } else { error }
        }
        PlanError::InvalidAnswer { .. } => Error::new(ErrorCode::PlannerUnavailable).with_message(message),
    }
}
