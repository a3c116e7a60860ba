//! Whom and what a policy governs.
//!
//! All ids of one assignment must match: a source or a workspace narrows *what* is governed, a role or a
//! person *who* is. Several assignments of a policy add up; without any it governs nothing.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rivergen_kernel::{DataSourceId, Error, ErrorCode, OrganizationId, PolicyId, Result, RoleId, UserId, WorkspaceId};
use rivergen_platform::{Transaction, db::TenantOwned, db::is_unique_violation};
use sea_orm::{ActiveValue::Set, entity::prelude::*};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "policy_assignments")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub policy_id: PolicyId,
    pub data_source_id: Option<DataSourceId>,
    pub workspace_id: Option<WorkspaceId>,
    pub role_id: Option<RoleId>,
    pub user_id: Option<UserId>,
    pub is_active: bool,
    pub metadata: Json,
    pub applied_at: DateTime<Utc>,
    pub applied_by_user_id: UserId,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// The ids of one assignment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    pub data_source_id: Option<DataSourceId>,
    pub workspace_id: Option<WorkspaceId>,
    pub role_id: Option<RoleId>,
    pub user_id: Option<UserId>,
}

/// Somebody who asks a source.
#[derive(Debug, Clone, Copy)]
pub struct Access<'a> {
    pub user_id: UserId,
    pub role_ids: &'a BTreeSet<RoleId>,
    pub data_source_id: DataSourceId,
    /// The workspace that the source belongs to.
    pub source_workspace_id: Option<WorkspaceId>,
}

impl Reach {
    pub fn covers(&self, access: &Access<'_>) -> bool {
        self.data_source_id.is_none_or(|id| id == access.data_source_id)
            && workspace_covers(self.workspace_id, access.source_workspace_id)
            && self.role_id.is_none_or(|id| access.role_ids.contains(&id))
            && self.user_id.is_none_or(|id| id == access.user_id)
    }
}

/// Whether a narrowing to a workspace leaves a source in. A source of no workspace belongs to all of them.
///
/// The workspace that the caller stands in plays no part: they choose it at sign-in, and nobody may choose
/// which policies govern them.
pub fn workspace_covers(narrowed_to: Option<WorkspaceId>, source: Option<WorkspaceId>) -> bool {
    match (narrowed_to, source) {
        (Some(narrowed_to), Some(source)) => narrowed_to == source,
        _ => true,
    }
}

impl From<&Model> for Reach {
    fn from(row: &Model) -> Self {
        Self {
            data_source_id: row.data_source_id,
            workspace_id: row.workspace_id,
            role_id: row.role_id,
            user_id: row.user_id,
        }
    }
}

/// A new assignment.
#[derive(Debug)]
pub struct New {
    pub organization_id: OrganizationId,
    pub policy_id: PolicyId,
    pub reach: Reach,
    pub is_active: bool,
    pub metadata: Json,
    pub applied_by: UserId,
}

impl New {
    pub fn row(self, now: DateTime<Utc>) -> ActiveModel {
        ActiveModel {
            organization_id: Set(self.organization_id),
            policy_id: Set(self.policy_id),
            data_source_id: Set(self.reach.data_source_id),
            workspace_id: Set(self.reach.workspace_id),
            role_id: Set(self.reach.role_id),
            user_id: Set(self.reach.user_id),
            is_active: Set(self.is_active),
            metadata: Set(self.metadata),
            applied_at: Set(now),
            applied_by_user_id: Set(self.applied_by),
            ..Default::default()
        }
    }

    /// `ASSIGNMENT_EXISTS` where the policy has these very targets already.
    pub async fn insert(self, tx: &Transaction, now: DateTime<Utc>) -> Result<Model> {
        self.row(now).insert(tx.conn()).await.map_err(|error| {
            if is_unique_violation(&error) { ErrorCode::AssignmentExists.into() } else { Error::from(error) }
        })
    }
}

/// Removes the assignments to a source that is gone for good; answers how many they were.
/// Index: policy_assignments(organization_id).
pub async fn detach_source(tx: &Transaction, organization: OrganizationId, source: DataSourceId) -> Result<u64> {
    let to_it = Entity::delete_many().filter(Column::OrganizationId.eq(organization));
    Ok(to_it.filter(Column::DataSourceId.eq(source)).exec(tx.conn()).await?.rows_affected)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOURCE: DataSourceId = DataSourceId(1);
    const WORKSPACE: WorkspaceId = WorkspaceId(2);
    const ROLE: RoleId = RoleId(3);
    const USER: UserId = UserId(4);

    fn covers(reach: Reach) -> bool {
        reach.covers(&Access {
            user_id: USER,
            role_ids: &BTreeSet::from([ROLE, RoleId(33)]),
            data_source_id: SOURCE,
            source_workspace_id: Some(WORKSPACE),
        })
    }

    #[test]
    fn every_given_id_must_match() {
        let all = Reach {
            data_source_id: Some(SOURCE),
            workspace_id: Some(WORKSPACE),
            role_id: Some(ROLE),
            user_id: Some(USER),
        };
        assert!(covers(all));
        for other in [
            Reach { data_source_id: Some(DataSourceId(9)), ..all },
            Reach { workspace_id: Some(WorkspaceId(9)), ..all },
            Reach { role_id: Some(RoleId(9)), ..all },
            Reach { user_id: Some(UserId(9)), ..all },
        ] {
            assert!(!covers(other), "{other:?}");
        }
    }

    #[test]
    fn an_id_that_is_not_given_narrows_nothing() {
        for reach in [
            Reach { data_source_id: Some(SOURCE), ..Reach::default() },
            Reach { workspace_id: Some(WORKSPACE), ..Reach::default() },
            Reach { role_id: Some(ROLE), ..Reach::default() },
            Reach { user_id: Some(USER), ..Reach::default() },
        ] {
            assert!(covers(reach), "{reach:?}");
        }
    }

    #[test]
    fn a_source_of_no_workspace_belongs_to_all() {
        assert!(workspace_covers(Some(WORKSPACE), None));
        assert!(workspace_covers(None, Some(WORKSPACE)));
        assert!(!workspace_covers(Some(WORKSPACE), Some(WorkspaceId(9))));
    }
}
