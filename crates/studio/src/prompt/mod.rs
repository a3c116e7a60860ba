//! Saved questions: listed, read, named, deleted; their history and their numbers.
//!
//! A saved question is its organization's, or one workspace's: whoever holds `prompt.read` there sees it. Its author, and
//! whoever holds `prompt.write`, change it. Its runs are each person's own.

pub mod analytics;
pub mod clear;
pub mod delete;
pub mod executions;
pub mod get;
pub mod history;
pub mod list;
pub mod restore;
pub mod sources;
pub mod update;
pub mod versions;

use chrono::{DateTime, Duration, Utc};
use rivergen_kernel::{
    Caller, Error, ErrorCode, MissingScope, OrganizationId, Permission, PromptId, QueryId, Result, Scopes, TemplateId,
    Tenant, UserId, WorkspaceId,
};
use rivergen_platform::db::{TenantOwned, TenantScope};
use sea_orm::{Condition, entity::prelude::*};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use crate::{Studio, sweep::KEPT};

/// The status of a saved question, or of a run of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = PromptStatus)]
pub enum Status {
    #[sea_orm(string_value = "draft")]
    Draft,
    #[sea_orm(string_value = "processing")]
    Processing,
    #[sea_orm(string_value = "completed")]
    Completed,
    #[sea_orm(string_value = "failed")]
    Failed,
}

/// The progress of one half of a run: the planning, or the query.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
pub enum StepStatus {
    #[sea_orm(string_value = "in_progress")]
    InProgress,
    #[sea_orm(string_value = "completed")]
    Completed,
    #[sea_orm(string_value = "failed")]
    Failed,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompts")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PromptId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    pub name: Option<String>,
    pub prompt_text: String,
    /// Ids, as a JSON array; also in [`sources`].
    pub selected_data_source_ids: Json,
    pub selected_schema_names: Json,
    pub generated_query_id: Option<QueryId>,
    pub generated_query_text: Option<String>,
    pub status: Status,
    pub tags: Json,
    /// What clients keep with it; null is none.
    pub metadata: Option<Json>,
    pub template_id: Option<TemplateId>,
    /// What it goes on from: [`crate::planner::Turn`]s, as a JSON array.
    pub thread: Option<Json>,
    pub ai_model_used: Option<String>,
    pub ai_response_metadata: Json,
    pub error_message: Option<String>,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub last_run_at: Option<DateTime<Utc>>,
    pub last_duration_ms: Option<i64>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// A saved question as lists show it.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromptSummary {
    pub id: PromptId,
    pub organization_id: OrganizationId,
    pub workspace_id: Option<WorkspaceId>,
    #[schema(examples("Orders by region"))]
    pub name: Option<String>,
    #[schema(examples("How many orders per region in 2025?"))]
    pub prompt_text: String,
    pub selected_data_source_ids: Vec<rivergen_kernel::DataSourceId>,
    pub selected_schema_names: Vec<String>,
    /// The run of its latest query.
    pub generated_query_id: Option<QueryId>,
    pub status: Status,
    #[schema(examples(json!(["sales"])))]
    pub tags: Vec<String>,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl PromptSummary {
    pub(crate) fn new(row: &Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            organization_id: row.organization_id,
            workspace_id: row.workspace_id,
            name: row.name.clone(),
            prompt_text: row.prompt_text.clone(),
            selected_data_source_ids: read(&row.selected_data_source_ids)?,
            selected_schema_names: read(&row.selected_schema_names)?,
            generated_query_id: row.generated_query_id,
            status: row.status,
            tags: read(&row.tags)?,
            created_by_user_id: row.created_by_user_id,
            created_at: row.created_at,
            updated_at: row.updated_at,
        })
    }
}

/// A column of JSON as what it holds.
pub(crate) fn read<T: DeserializeOwned>(json: &Json) -> Result<T> {
    T::deserialize(json).map_err(Error::internal)
}

/// The same of a column that may hold nothing.
pub(crate) fn read_or_empty<T: DeserializeOwned + Default>(json: Option<&Json>) -> Result<T> {
    json.map(read).transpose().map(Option::unwrap_or_default)
}

/// A span of time up to now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum TimePeriod {
    #[serde(rename = "last_7_days")]
    Last7Days,
    #[serde(rename = "last_30_days")]
    Last30Days,
    #[serde(rename = "last_90_days")]
    Last90Days,
    All,
}

impl TimePeriod {
    /// When it begins; `None` where it has no beginning.
    pub fn begins(self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let days = match self {
            Self::Last7Days => 7,
            Self::Last30Days => 30,
            Self::Last90Days => 90,
            Self::All => return None,
        };
        Some(now - Duration::days(days))
    }
}

/// Saved questions that the caller may see, deleted ones among them. Index: prompts(organization_id, id).
pub(crate) fn reached(caller: &Caller) -> Result<(Tenant, Select<Entity>)> {
    let (tenant, extent) = caller.require_extent(Permission::PromptRead)?;
    Ok((tenant, tenant.find_within::<Entity>(extent, Column::WorkspaceId)))
}

/// Not deleted so long ago that it is gone for good.
fn restorable(now: DateTime<Utc>) -> Condition {
    Condition::any().add(Column::DeletedAt.is_null()).add(Column::DeletedAt.gt(now - KEPT))
}

/// A saved question that is not deleted.
pub(crate) async fn find(studio: &Studio, caller: &Caller, id: PromptId) -> Result<Model> {
    let (_, prompts) = reached(caller)?;
    let found = prompts.filter(Column::Id.eq(id)).filter(Column::DeletedAt.is_null());
    found.one(studio.engine.platform.db.read()).await?.ok_or_else(|| ErrorCode::NotFound.into())
}

/// One's own is one's own to change; another's needs the permission.
pub(crate) fn check_may_change(caller: &Caller, prompt: &Model) -> Result<()> {
    if prompt.created_by_user_id != caller.user_id {
        caller.require(Permission::PromptWrite)?;
        return Ok(());
    }
    check_may_change_own(caller)
}

/// A token changes what is its person's where it is one for that: broad, or with the scope of the permission, which the
/// person themselves does not need for it.
pub(crate) fn check_may_change_own(caller: &Caller) -> Result<()> {
    let lets_through = |scopes: &Scopes| !scopes.narrow(&[Permission::PromptWrite].into()).is_empty();
    match caller.credential.scopes() {
        Some(scopes) if !lets_through(scopes) => {
            caller.may_change().map_err(|error| error.with_source(MissingScope(Permission::PromptWrite)))
        }
        _ => Ok(()),
    }
}
