//! Saved questions and their runs.

use chrono::{DateTime, Utc};
use rivergen_kernel::{ExecutionId, OrganizationId, PromptId, QueryId, UserId, WorkspaceId};
use rivergen_platform::db::TenantOwned;
use sea_orm::entity::prelude::*;
use serde::Serialize;
use utoipa::ToSchema;

/// How a saved question, or a run of one, stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = PromptStatus)]
pub enum Status {
    #[sea_orm(string_value = "processing")]
    Processing,
    #[sea_orm(string_value = "completed")]
    Completed,
    #[sea_orm(string_value = "failed")]
    Failed,
}

/// How one half of a run stands: the planning, or the query.
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
    /// Ids, as a JSON array.
    pub selected_data_source_ids: Json,
    pub selected_schema_names: Json,
    pub generated_query_id: Option<QueryId>,
    pub generated_query_text: Option<String>,
    pub status: Status,
    pub tags: Json,
    pub ai_model_used: Option<String>,
    pub ai_response_metadata: Json,
    pub error_message: Option<String>,
    pub created_by_user_id: UserId,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    pub deleted_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// One run of a question, saved or not.
pub mod execution {
    use super::*;

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "prompt_executions")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: ExecutionId,
        pub organization_id: OrganizationId,
        pub user_id: UserId,
        pub prompt_id: Option<PromptId>,
        pub prompt_text: String,
        pub status: Status,
        pub ai_processing_status: StepStatus,
        pub query_execution_status: Option<StepStatus>,
        pub query_id: Option<QueryId>,
        pub generated_query_text: Option<String>,
        pub rows_returned: Option<i64>,
        pub error_code: Option<String>,
        pub error_message: Option<String>,
        pub started_at: DateTime<Utc>,
        pub completed_at: Option<DateTime<Utc>>,
        pub total_duration_ms: Option<i64>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }
}
