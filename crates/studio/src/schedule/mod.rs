//! Saved questions that are asked by themselves, and who hears of the answer.
//!
//! ```text
//!  due ─ claim: next time + run, in one transaction ─▶ job ─ its owner, as of now ─ ask ─▶ deliveries ─ mail, webhook
//!                                                              │
//!                                                              └ may not any more: paused, with the reason, and told
//! ```
//!
//! A schedule runs as its owner, with what they may do and see at that moment, and with nothing of the session in which they
//! made it; so a session alone makes, changes or starts one, and its owner alone. Each due time is claimed by one node; of the
//! times that nobody was there for one is made up for, since the next is looked for from now on.
//!
//! What others may not see leaves by no mail: members get a link, under which they ask for themselves; the owner, who may read
//! the rows, has them in the mail where they want them. A webhook gets what its owner chose, and needs `prompt.write`.
//!
//! | file | |
//! | --- | --- |
//! | [`timing`] | when it is due |
//! | [`delivery`] | who hears of it, and what they get |
//! | `owner` | whom it runs for, and whether it still may |
//! | `job` | due times are claimed, questions asked, messages sent |
//! | [`create`] … [`history`] | the operations |

pub mod create;
pub mod delete;
pub mod delivery;
pub mod get;
pub mod history;
mod job;
pub mod list;
mod mails;
mod owner;
pub mod run;
pub mod run_now;
pub mod timing;
pub mod update;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    Caller, Error, ErrorCode, Extent, OrganizationId, Permission, PromptId, PromptScheduleId, Result, Tenant, UserId,
    WorkspaceId,
};
use rivergen_platform::{
    db::{TenantOwned, TenantScope},
    vault::Sealed,
};
use sea_orm::{Condition, QuerySelect, QueryTrait, entity::prelude::*};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    Studio,
    prompt::{self, read},
};

pub use job::register_jobs;

/// Schedules of one workspace.
pub const MOST: u64 = 100;
/// Runs that fail one after the other before a schedule is paused.
const MOST_FAILURES: i32 = 10;

/// Whether a schedule runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ScheduleStatus)]
pub enum Status {
    #[sea_orm(string_value = "active")]
    Active,
    #[sea_orm(string_value = "paused")]
    Paused,
}

/// Why a schedule is paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = SchedulePausedReason)]
pub enum PausedReason {
    /// Somebody did so.
    #[sea_orm(string_value = "by_hand")]
    ByHand,
    /// The owner's account is closed, their membership is suspended or over, or they are not let into the workspace.
    #[sea_orm(string_value = "access_lost")]
    AccessLost,
    /// The owner does not hold what it needs: `prompt.read`, `prompt.execute`, `datasource.query`; `prompt.write` for a webhook.
    #[sea_orm(string_value = "permission_lost")]
    PermissionLost,
    /// The question was deleted, or its owner does not see it any more.
    #[sea_orm(string_value = "question_gone")]
    QuestionGone,
    /// A source of the question was deleted, or its owner does not reach it any more.
    #[sea_orm(string_value = "source_gone")]
    SourceGone,
    /// Ten runs failed, one after the other.
    #[sea_orm(string_value = "failing")]
    Failing,
    /// It was left to its owner by another member; its webhook is gone.
    #[sea_orm(string_value = "handed_over")]
    HandedOver,
}

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "prompt_schedules")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: PromptScheduleId,
    pub organization_id: OrganizationId,
    /// Where the owner stands.
    pub workspace_id: Option<WorkspaceId>,
    pub prompt_id: PromptId,
    pub owner_user_id: UserId,
    pub name: String,
    /// A [`timing::Timing`].
    pub timing: Json,
    /// Ids, as a JSON array.
    pub mail_to_user_ids: Json,
    /// A [`delivery::Destination`].
    pub webhook: Option<Sealed>,
    pub webhook_origin: Option<String>,
    pub include_rows: bool,
    pub status: Status,
    pub paused_reason: Option<PausedReason>,
    /// Runs that failed since the last one that did not.
    pub failures: i32,
    /// Null while it is paused.
    pub next_run_at: Option<DateTime<Utc>>,
    pub last_run_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

impl Model {
    fn rhythm(&self) -> Result<timing::Rhythm> {
        read::<timing::Timing>(&self.timing)?.rhythm()
    }
}

/// When a saved question runs automatically, and who is notified.
#[derive(Debug, Serialize, ToSchema)]
pub struct PromptSchedule {
    pub id: PromptScheduleId,
    pub prompt_id: PromptId,
    /// The workspace that its owner is in when it runs.
    pub workspace_id: Option<WorkspaceId>,
    /// The person that it runs as, subject to their policies.
    pub owner_user_id: UserId,
    #[schema(examples("Orders every Monday"))]
    pub name: String,
    pub timing: timing::Timing,
    pub delivery: delivery::ScheduleDelivery,
    pub status: Status,
    /// Null while it is active.
    pub paused_reason: Option<PausedReason>,
    /// Failed runs since the last successful one; after ten, it is paused.
    #[schema(examples(0))]
    pub failures: i32,
    /// Null while it is paused.
    pub next_run_at: Option<DateTime<Utc>>,
    /// When it was last due; null before the first time.
    pub last_run_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub updated_at: DateTime<Utc>,
    /// The secret that messages to the webhook are signed with, as in Standard Webhooks. Only shown once: when the
    /// webhook is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(examples("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"))]
    pub webhook_secret: Option<String>,
}

impl PromptSchedule {
    fn new(row: Model) -> Result<Self> {
        Ok(Self {
            id: row.id,
            prompt_id: row.prompt_id,
            workspace_id: row.workspace_id,
            owner_user_id: row.owner_user_id,
            timing: read(&row.timing)?,
            delivery: delivery::ScheduleDelivery {
                mail_to_user_ids: read(&row.mail_to_user_ids)?,
                webhook_origin: row.webhook_origin,
                include_rows: row.include_rows,
            },
            name: row.name,
            status: row.status,
            paused_reason: row.paused_reason,
            failures: row.failures,
            next_run_at: row.next_run_at,
            last_run_at: row.last_run_at,
            created_at: row.created_at,
            updated_at: row.updated_at,
            webhook_secret: None,
        })
    }
}

/// Schedules that the caller sees: one's own, and those of questions that one sees.
/// Index: prompt_schedules(organization_id, id).
fn reached(caller: &Caller) -> Result<(Tenant, Select<Entity>)> {
    let (tenant, prompts) = prompt::reached(caller)?;
    let seen =
        prompts.filter(prompt::Column::DeletedAt.is_null()).select_only().column(prompt::Column::Id).into_query();
    let shown = Condition::any().add(Column::OwnerUserId.eq(caller.user_id)).add(Column::PromptId.in_subquery(seen));
    Ok((tenant, tenant.find::<Entity>().filter(shown)))
}

async fn find(studio: &Studio, caller: &Caller, id: PromptScheduleId) -> Result<Model> {
    let (_, schedules) = reached(caller)?;
    let found = schedules.filter(Column::Id.eq(id)).one(studio.engine.platform.db.read()).await?;
    found.ok_or_else(|| ErrorCode::NotFound.into())
}

/// What is one's own is one's own to stop; another's needs the permission where it stands.
fn check_may_stop(caller: &Caller, schedule: &Model) -> Result<()> {
    if schedule.owner_user_id == caller.user_id {
        return prompt::check_may_change_own(caller);
    }
    match caller.require_extent(Permission::PromptWrite)? {
        (_, Extent::Workspace(workspace)) if schedule.workspace_id.is_some_and(|at| at != workspace) => {
            Err(Error::new(ErrorCode::Forbidden).with_message("The schedule belongs to another workspace."))
        }
        _ => Ok(()),
    }
}

/// 403 unless its owner asks, in a session: it runs as them, with all that they may do.
fn check_is_owner(caller: &Caller, schedule: &Model) -> Result<()> {
    caller.session()?;
    match schedule.owner_user_id == caller.user_id {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::Forbidden).with_message(
            "A schedule runs as its owner, and only the owner can change it; you may pause or delete it.",
        )),
    }
}
