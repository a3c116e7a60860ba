//! What happens in a run, step by step: stored, so that a client that lost the connection goes on where it was.
//!
//! An event has no secret in it, and nothing of the rows: the question's SQL, words about it, and numbers.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Error, ErrorCode, ExecutionId, FieldError, OrganizationId, PromptId, Result, Tenant};
use rivergen_platform::{
    Event as News, Platform, Transaction,
    db::{TenantOwned, TenantScope},
};
use sea_orm::{ActiveValue::Set, QueryOrder, QuerySelect, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// Events that are read at once.
const PAGE: u64 = 100;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_execution_events")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub execution_id: ExecutionId,
    /// From 1, without gaps.
    pub seq: i32,
    pub event: String,
    pub data: Json,
    pub at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// Where a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ExecutionPhase)]
pub enum Phase {
    Validating,
    PolicyCheck,
    Generating,
    ValidatingSql,
    Executing,
    Formatting,
}

impl Phase {
    /// How much of a run lies before it.
    pub const fn percentage(self) -> i16 {
        match self {
            Self::Validating => 5,
            Self::PolicyCheck => 10,
            Self::Generating => 30,
            Self::ValidatingSql => 60,
            Self::Executing => 70,
            Self::Formatting => 95,
        }
    }
}

/// Something that happened.
#[derive(Debug, Clone, Serialize)]
#[serde(tag = "event", content = "data")]
pub(crate) enum Happening {
    #[serde(rename = "execution.started")]
    Started { prompt_id: Option<PromptId> },
    #[serde(rename = "execution.progress")]
    Progress { phase: Phase, progress_percentage: i16 },
    #[serde(rename = "execution.sql_generated")]
    SqlGenerated { generated_query_text: String, explanation: String, confidence: f64 },
    #[serde(rename = "execution.tool_call")]
    ToolCall { tool: &'static str, summary: String },
    /// The run is over all the same: the answer begins another.
    #[serde(rename = "execution.input_required")]
    InputRequired { request_id: String, kind: &'static str, question: String, options: Vec<String> },
    #[serde(rename = "execution.completed")]
    Completed { rows_returned: Option<i64>, total_duration_ms: i64 },
    #[serde(rename = "execution.failed")]
    Failed { code: &'static str, message: String, details: Vec<FieldError> },
    #[serde(rename = "execution.cancelled")]
    Cancelled {},
}

/// The events after which there is none.
const LAST: [&str; 3] = ["execution.completed", "execution.failed", "execution.cancelled"];

impl Happening {
    /// How a run that ended with the error tells so.
    pub fn of_error(error: &Error) -> Self {
        match error.code {
            ErrorCode::QueryCancelled => Self::Cancelled {},
            code => {
                Self::Failed { code: code.as_str(), message: error.message.to_string(), details: error.details.clone() }
            }
        }
    }
}

/// An event as clients get it.
#[derive(Debug, Clone, Serialize, ToSchema)]
pub struct ExecutionEvent {
    /// `execution.started`, `.progress`, `.sql_generated`, `.tool_call`, `.input_required`, `.completed`, `.failed` or `.cancelled`.
    #[schema(examples("execution.progress"))]
    pub event: String,
    pub execution_id: ExecutionId,
    /// To go on after it.
    #[schema(examples(3))]
    pub seq: i32,
    pub at: DateTime<Utc>,
    #[schema(value_type = Object, example = json!({"phase": "generating", "progress_percentage": 30}))]
    pub data: serde_json::Value,
}

impl ExecutionEvent {
    pub fn is_last(&self) -> bool {
        LAST.contains(&self.event.as_str())
    }

    /// For somebody else than who asked: without what is made of what that person may see.
    #[must_use]
    pub fn for_others(mut self) -> Self {
        match self.event.as_str() {
            "execution.input_required" => {
                self.data["question"] = serde_json::json!("");
                self.data["options"] = serde_json::json!([]);
            }
            "execution.failed" => self.data["details"] = serde_json::json!([]),
            _ => {}
        }
        self
    }
}

impl From<Model> for ExecutionEvent {
    fn from(row: Model) -> Self {
        Self { event: row.event, execution_id: row.execution_id, seq: row.seq, at: row.at, data: row.data }
    }
}

/// Writes an event down, and tells it when the transaction commits. Only one writer at a time numbers a run's events: the
/// run itself, or whoever ends one that nobody works for.
pub(crate) async fn append(
    tx: &Transaction,
    platform: &Platform,
    (organization, execution): (OrganizationId, ExecutionId),
    seq: i32,
    happening: &Happening,
) -> Result<()> {
    let mut told = serde_json::to_value(happening).map_err(Error::internal)?;
    let row = ActiveModel {
        organization_id: Set(organization),
        execution_id: Set(execution),
        seq: Set(seq),
        event: Set(told["event"].as_str().unwrap_or_default().to_owned()),
        data: Set(told["data"].take()),
        at: Set(platform.clock.now()),
        ..Default::default()
    };
    Entity::insert(row).exec_without_returning(tx.conn()).await?;
    tx.publish(News::ExecutionMoved(execution)).await
}

/// The number of the run's last event; 0 without one. Index: prompt_execution_events(execution_id, seq), unique.
pub(crate) async fn last_seq(db: &impl ConnectionTrait, execution: ExecutionId) -> Result<i32> {
    let last = Entity::find()
        .select_only()
        .column(Column::Seq)
        .filter(Column::ExecutionId.eq(execution))
        .order_by_desc(Column::Seq)
        .into_tuple::<i32>()
        .one(db)
        .await?;
    Ok(last.unwrap_or_default())
}

/// The next events after one. Index: prompt_execution_events(execution_id, seq), unique.
pub(crate) async fn after(
    platform: &Platform,
    tenant: Tenant,
    execution: ExecutionId,
    seq: i32,
) -> Result<Vec<ExecutionEvent>> {
    let rows = tenant
        .find::<Entity>()
        .filter(Column::ExecutionId.eq(execution))
        .filter(Column::Seq.gt(seq))
        .order_by_asc(Column::Seq)
        .limit(PAGE)
        .all(platform.db.read())
        .await?;
    Ok(rows.into_iter().map(ExecutionEvent::from).collect())
}
