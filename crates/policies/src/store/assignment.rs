//! Whom and what a policy governs.
//!
//! All ids of one assignment must match: a source, a table of one or a workspace narrows *what* is governed, a role or a
//! person *who* is. Several assignments of a policy add up; without any it governs nothing.
//!
//! A table is bound by its name in its source: it is governed again when it was gone for a while, and nothing that comes in
//! its place slips through because discovery numbered it anew.

use std::collections::BTreeSet;

use chrono::{DateTime, Utc};
use rivergen_kernel::{
    DataSourceId, DatasetId, ErrorCode, OrganizationId, PolicyId, Result, RoleId, UserId, WorkspaceId,
};
use rivergen_platform::{Transaction, db::TenantOwned, db::duplicate_is};
use sea_orm::{ActiveValue::Set, Condition, entity::prelude::*};

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "policy_assignments")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub policy_id: PolicyId,
    pub data_source_id: Option<DataSourceId>,
    /// Of a table: its id when it was bound, and what it is.
    pub dataset_id: Option<DatasetId>,
    pub dataset_source_id: Option<DataSourceId>,
    pub dataset_schema: Option<String>,
    pub dataset_table: Option<String>,
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

impl Model {
    /// The table that it is bound to.
    pub fn table(&self) -> Option<BoundTable> {
        Some(BoundTable {
            dataset_id: self.dataset_id?,
            data_source_id: self.dataset_source_id?,
            schema: self.dataset_schema.clone()?,
            name: self.dataset_table.clone()?,
        })
    }
}

/// A table or view of a source, as a policy is bound to it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct BoundTable {
    pub dataset_id: DatasetId,
    pub data_source_id: DataSourceId,
    pub schema: String,
    pub name: String,
}

/// The targets of one assignment.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reach {
    pub data_source_id: Option<DataSourceId>,
    pub table: Option<BoundTable>,
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
    /// Whether it is about the source, or about tables of it.
    pub fn lies_in(&self, source: DataSourceId, source_workspace: Option<WorkspaceId>) -> bool {
        self.data_source_id.is_none_or(|id| id == source)
            && self.table.as_ref().is_none_or(|table| table.data_source_id == source)
            && workspace_covers(self.workspace_id, source_workspace)
    }

    pub fn covers(&self, access: &Access<'_>) -> bool {
        self.lies_in(access.data_source_id, access.source_workspace_id)
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
            table: row.table(),
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
        let table = self.reach.table;
        ActiveModel {
            organization_id: Set(self.organization_id),
            policy_id: Set(self.policy_id),
            data_source_id: Set(self.reach.data_source_id),
            dataset_id: Set(table.as_ref().map(|table| table.dataset_id)),
            dataset_source_id: Set(table.as_ref().map(|table| table.data_source_id)),
            dataset_schema: Set(table.as_ref().map(|table| table.schema.clone())),
            dataset_table: Set(table.map(|table| table.name)),
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
        self.row(now).insert(tx.conn()).await.map_err(duplicate_is(ErrorCode::AssignmentExists))
    }
}

/// Removes the assignments to a source that is gone for good, and to its tables; answers how many they were.
/// Index: policy_assignments(organization_id).
pub async fn detach_source(tx: &Transaction, organization: OrganizationId, source: DataSourceId) -> Result<u64> {
    let to_it = Condition::any().add(Column::DataSourceId.eq(source)).add(Column::DatasetSourceId.eq(source));
    let removed = Entity::delete_many().filter(Column::OrganizationId.eq(organization)).filter(to_it);
    Ok(removed.exec(tx.conn()).await?.rows_affected)
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
        let table = BoundTable {
            dataset_id: DatasetId(5),
            data_source_id: SOURCE,
            schema: "public".to_owned(),
            name: "orders".to_owned(),
        };
        let all = Reach {
            data_source_id: Some(SOURCE),
            table: Some(table.clone()),
            workspace_id: Some(WORKSPACE),
            role_id: Some(ROLE),
            user_id: Some(USER),
        };
        assert!(covers(all.clone()));
        for other in [
            Reach { data_source_id: Some(DataSourceId(9)), ..all.clone() },
            Reach { table: Some(BoundTable { data_source_id: DataSourceId(9), ..table }), ..all.clone() },
            Reach { workspace_id: Some(WorkspaceId(9)), ..all.clone() },
            Reach { role_id: Some(RoleId(9)), ..all.clone() },
            Reach { user_id: Some(UserId(9)), ..all },
        ] {
            assert!(!covers(other.clone()), "{other:?}");
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
            assert!(covers(reach.clone()), "{reach:?}");
        }
    }

    #[test]
    fn a_source_of_no_workspace_belongs_to_all() {
        assert!(workspace_covers(Some(WORKSPACE), None));
        assert!(workspace_covers(None, Some(WORKSPACE)));
        assert!(!workspace_covers(Some(WORKSPACE), Some(WorkspaceId(9))));
    }
}
