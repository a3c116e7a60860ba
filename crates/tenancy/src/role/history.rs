//! Who got and lost a role, and when: read from the audit log, and from loans that have run out.

use chrono::{DateTime, Utc};
use rivergen_kernel::{Result, RoleId, Tenant, UserId, WorkspaceId};
use rivergen_platform::{audit::log, db::TenantScope};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QueryOrder, QuerySelect};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::member::{Source, assignment};

/// How many events are shown.
const SHOWN: usize = 100;

/// What happened to an assignment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum RoleAssignmentAction {
    Assigned,
    Revoked,
    /// It was on loan, and the loan is over.
    Expired,
}

/// One event of a role's history.
#[derive(Debug, Serialize, ToSchema)]
pub struct RoleAssignmentEvent {
    #[schema(inline)]
    pub action: RoleAssignmentAction,
    /// Who got or lost the role.
    pub user_id: UserId,
    /// Who assigned or revoked it; absent if the server did, or if it ended by itself.
    pub actor_id: Option<UserId>,
    /// Absent: in the whole organization.
    pub workspace_id: Option<WorkspaceId>,
    pub created_at: DateTime<Utc>,
}

/// What an assignment's audit record says beside actor and time.
#[derive(Deserialize)]
struct Details {
    user_id: UserId,
    workspace_id: Option<WorkspaceId>,
    /// How they became a member, where they got it with that.
    joined: Option<Source>,
    /// Who made them one, and so gave it, whoever acted at that moment.
    given_by: Option<UserId>,
}

/// The newest first.
pub(super) async fn of(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    role_id: RoleId,
    now: DateTime<Utc>,
) -> Result<Vec<RoleAssignmentEvent>> {
    // Index: audit_log(target_kind, target_id, id).
    let records = tenant
        .find::<log::Entity>()
        .filter(log::Column::TargetKind.eq("role"))
        .filter(log::Column::TargetId.eq(role_id.to_string()))
        .filter(log::Column::Action.is_in(["role.assign", "role.revoke"]))
        .order_by_desc(log::Column::Id)
        .limit(SHOWN as u64)
        .all(db)
        .await?;
    // Index: role_assignments(role_id, expires_at), of loans alone.
    let expired = tenant
        .find::<assignment::Entity>()
        .filter(assignment::Column::RoleId.eq(role_id))
        .filter(assignment::Column::ExpiresAt.lte(now))
        .order_by_desc(assignment::Column::ExpiresAt)
        .limit(SHOWN as u64)
        .all(db)
        .await?;
    let mut events = Vec::with_capacity(records.len() + expired.len());
    for record in records {
        let Ok(details) = serde_json::from_str::<Details>(&record.details) else { continue };
        let action = match record.action.as_str() {
            "role.assign" => RoleAssignmentAction::Assigned,
            _ => RoleAssignmentAction::Revoked,
        };
        events.push(RoleAssignmentEvent {
            action,
            user_id: details.user_id,
            actor_id: match details.joined {
                Some(_) => details.given_by,
                None => record.actor_user_id,
            },
            workspace_id: details.workspace_id,
            created_at: record.occurred_at,
        });
    }
    events.extend(expired.into_iter().filter_map(|row| {
        Some(RoleAssignmentEvent {
            action: RoleAssignmentAction::Expired,
            user_id: row.user_id,
            actor_id: None,
            workspace_id: row.workspace_id,
            created_at: row.expires_at?,
        })
    }));
    // Stable: what the log tells in one instant stays in its order.
    events.sort_by_key(|event| std::cmp::Reverse(event.created_at));
    events.truncate(SHOWN);
    Ok(events)
}
