//! The runs of schedules, and what was sent after each: kept for 30 days.

use chrono::{DateTime, Utc};
use rivergen_kernel::{ExecutionId, OrganizationId, PromptScheduleId, ScheduledRunId};
use rivergen_platform::db::TenantOwned;
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// How a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ScheduledRunStatus)]
pub enum Status {
    /// Claimed, and not begun.
    #[sea_orm(string_value = "pending")]
    Pending,
    #[sea_orm(string_value = "running")]
    Running,
    #[sea_orm(string_value = "completed")]
    Completed,
    #[sea_orm(string_value = "failed")]
    Failed,
}

impl Status {
    /// Those in which nothing is settled.
    pub const UNDER_WAY: [Self; 2] = [Self::Pending, Self::Running];
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_schedule_runs")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: ScheduledRunId,
    pub organization_id: OrganizationId,
    pub schedule_id: PromptScheduleId,
    /// With the schedule unique, so that no time is run twice.
    pub due_at: DateTime<Utc>,
    pub by_hand: bool,
    pub status: Status,
    pub execution_id: Option<ExecutionId>,
    pub rows_returned: Option<i64>,
    pub error_code: Option<String>,
    pub error_message: Option<String>,
    pub completed_at: Option<DateTime<Utc>>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// What was sent after runs.
pub mod sent {
    use chrono::{DateTime, Utc};
    use rivergen_kernel::{OrganizationId, ScheduledRunId, UserId};
    use rivergen_platform::db::TenantOwned;
    use sea_orm::entity::prelude::*;
    use serde::{Deserialize, Serialize};
    use utoipa::ToSchema;

    /// On which way.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    #[serde(rename_all = "snake_case")]
    #[schema(as = ScheduleDeliveryChannel)]
    pub enum Channel {
        #[sea_orm(string_value = "mail")]
        Mail,
        #[sea_orm(string_value = "webhook")]
        Webhook,
    }

    /// How it stands.
    #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
    #[sea_orm(rs_type = "String", db_type = "Text")]
    #[serde(rename_all = "snake_case")]
    #[schema(as = ScheduleDeliveryStatus)]
    pub enum Status {
        /// The receiver has not taken it yet.
        #[sea_orm(string_value = "pending")]
        Pending,
        /// The receiver has taken it; a mail is on its way.
        #[sea_orm(string_value = "sent")]
        Sent,
        /// It was tried again and again, and given up.
        #[sea_orm(string_value = "failed")]
        Failed,
        /// It was not for those eyes any more, so nothing was sent.
        #[sea_orm(string_value = "withheld")]
        Withheld,
    }

    #[sea_orm::model]
    #[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
    #[sea_orm(table_name = "prompt_schedule_deliveries")]
    pub struct Model {
        #[sea_orm(primary_key)]
        pub id: i64,
        pub organization_id: OrganizationId,
        pub run_id: ScheduledRunId,
        pub channel: Channel,
        /// Who got the mail.
        pub user_id: Option<UserId>,
        pub status: Status,
        pub attempts: i32,
        pub error: Option<String>,
        /// Of the latest attempt.
        pub at: DateTime<Utc>,
    }

    impl ActiveModelBehavior for ActiveModel {}

    impl TenantOwned for Entity {
        fn organization_column() -> Column {
            Column::OrganizationId
        }
    }
}
