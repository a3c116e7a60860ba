//! Which data sources a caller reaches. The one rule: for every operation, for queries and for questions in words.
//!
//! ```text
//! source of workspace W         whoever holds the permission in W: their session stands there, or a role in the whole
//!                               organization gives it
//! source of the organization    whoever holds the permission where they stand; to change it, in the whole organization
//! ```
//!
//! What is not reached does not exist: `NOT_FOUND`.

use rivergen_kernel::{Caller, DataSourceId, Error, ErrorCode, Extent, Permission, Result, Tenant};
use rivergen_platform::db::TenantScope;
use sea_orm::{ColumnTrait, Condition, QueryFilter, Select};

use crate::source::{Column, Entity, Model};

/// A permission of a caller, with the sources that it reaches.
#[derive(Debug, Clone, Copy)]
pub struct Access {
    tenant: Tenant,
    extent: Extent,
    permission: Permission,
}

impl Access {
    /// 403 without the permission.
    pub fn of(caller: &Caller, permission: Permission) -> Result<Self> {
        let (tenant, extent) = caller.require_extent(permission)?;
        Ok(Self { tenant, extent, permission })
    }

    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The sources that are reached, deleted ones among them.
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

    /// 403 where a source of the whole organization is to be changed by somebody of one workspace.
    pub fn check(&self, source: &Model) -> Result<()> {
        if source.workspace_id.is_none() { self.check_organization() } else { Ok(()) }
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
