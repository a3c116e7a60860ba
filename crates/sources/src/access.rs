//! Which data sources a caller reaches. The one rule: for every operation, for queries and for questions in words.
//!
//! ```text
//! source of workspace W         whoever holds the permission in W: their session stands there, or a role in the whole
//!                               organization gives it
//! source of the organization    whoever holds the permission where they stand; to change it, in the whole organization
//! ```
//!
//! What is not reached does not exist: `NOT_FOUND`. What is reached may still be closed by an access policy of the
//! organization that looks at the single source: 403, and lists leave it out.

use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, Extent, Permission, Result, Tenant, UserId, WorkspaceId, access::Resource,
};
use rivergen_platform::db::TenantScope;
use sea_orm::{ColumnTrait, Condition, ConnectionTrait, QueryFilter, QuerySelect, Select};

use crate::source::{Column, Entity, Model};

/// A permission of a caller, with the sources that it reaches.
#[derive(Debug, Clone)]
pub struct Access {
    tenant: Tenant,
    extent: Extent,
    permission: Permission,
    /// Whose policies judge each source; `None` where none looks at single sources.
    judged: Option<Box<Caller>>,
}

impl Access {
    /// 403 without the permission.
    pub fn of(caller: &Caller, permission: Permission) -> Result<Self> {
        let (tenant, extent) = caller.require_extent(permission)?;
        let judged = caller.is_judged_by_object(permission).then(|| Box::new(caller.clone()));
        Ok(Self { tenant, extent, permission, judged })
    }

    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The sources that are reached, deleted ones among them; each is still to be [`Access::check`]ed.
    pub fn sources(&self) -> Select<Entity> {
        let sources = self.tenant.find::<Entity>();
        match self.extent {
            Extent::Organization => sources,
            Extent::Workspace(workspace) => {
                let here = Condition::any().add(Column::WorkspaceId.eq(workspace)).add(Column::WorkspaceId.is_null());
                sources.filter(here)
            }
        }
    }

    /// The sources that a list shows: those that are reached and that no policy closes. Where policies look at single
    /// sources, all that are reached are judged, which are as many as an organization has.
    pub async fn shown(&self, db: &impl ConnectionTrait) -> Result<Select<Entity>> {
        let sources = self.sources();
        let Some(caller) = &self.judged else { return Ok(sources) };
        let all = sources.clone().select_only().columns([Column::Id, Column::WorkspaceId, Column::CreatedByUserId]);
        let all: Vec<(DataSourceId, Option<WorkspaceId>, UserId)> = all.into_tuple().all(db).await?;
        let is_closed = |(id, workspace_id, owner): &(DataSourceId, Option<WorkspaceId>, UserId)| {
            let object = Resource { id: Some(id.0), workspace_id: *workspace_id, owner_id: Some(*owner) };
            caller.require_on(self.permission, &object).is_err()
        };
        let closed: Vec<DataSourceId> = all.iter().filter(|row| is_closed(row)).map(|row| row.0).collect();
        Ok(if closed.is_empty() { sources } else { sources.filter(Column::Id.is_not_in(closed)) })
    }

    /// 403 where a source of the whole organization is to be changed by somebody of one workspace, and where a policy
    /// closes the source.
    pub fn check(&self, source: &Model) -> Result<()> {
        if source.workspace_id.is_none() {
            self.check_organization()?;
        }
        self.judge(&source.resource())
    }

    /// 403 where a policy closes the source, which may be one that is about to be made.
    pub fn judge(&self, object: &Resource) -> Result<()> {
        match &self.judged {
            Some(caller) => caller.require_on(self.permission, object).map(drop),
            None => Ok(()),
        }
    }

    /// As [`Access::check`], before there is a source.
    pub fn check_organization(&self) -> Result<()> {
        let changes = matches!(self.permission, Permission::DataSourceWrite | Permission::DataSourceDelete);
        if changes && self.extent != Extent::Organization {
            return Err(Error::new(ErrorCode::Forbidden).with_message(format!(
                "The data source is the whole organization's: you need the permission {} in the organization, not in \
                 one workspace.",
                self.permission
            )));
        }
        Ok(())
    }
}

/// There is none, or none that is reached.
pub(crate) fn not_found(id: DataSourceId) -> Error {
    Error::new(ErrorCode::NotFound).with_message(format!("There is no data source {id}."))
}
