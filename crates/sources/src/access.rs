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

use std::sync::Arc;

use rivergen_kernel::{
    Caller, DataSourceId, Error, ErrorCode, Extent, Permission, Result, Tenant, UserId, WorkspaceId, access::Resource,
};
use rivergen_platform::db::{TenantScope, rows_of};
use sea_orm::{ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect, Select};
use tokio::{sync::Semaphore, task::spawn_blocking};

use crate::source::{Column, Entity, Model};

/// Of all lists together so many threads judge sources at once, and each list so many sources before it is another's turn.
static JUDGES: Semaphore = Semaphore::const_new(2);
const TURN: usize = 500;

/// A source as policies look at it.
type Object = (DataSourceId, Option<WorkspaceId>, UserId);

/// A permission of a caller, with the sources that it reaches.
#[derive(Debug, Clone)]
pub struct Access {
    tenant: Tenant,
    extent: Extent,
    permission: Permission,
    /// Whose policies judge each source; `None` where none looks at single sources.
    judged: Option<Arc<Caller>>,
}

impl Access {
    /// 403 without the permission.
    pub fn of(caller: &Caller, permission: Permission) -> Result<Self> {
        let (tenant, extent) = caller.require_extent(permission)?;
        let judged = caller.is_judged_by_object(permission).then(|| Arc::new(caller.clone()));
        Ok(Self { tenant, extent, permission, judged })
    }

    pub fn tenant(&self) -> Tenant {
        self.tenant
    }

    /// The sources that are reached, deleted ones among them; each is still to be [`Access::check`]ed.
    pub fn sources(&self) -> Select<Entity> {
        self.tenant.find_within::<Entity>(self.extent, Column::WorkspaceId)
    }

    /// Of sources that are reached, those that a list shows: no policy closes them. Where policies look at single sources, all
    /// that the list is about are judged, because its total and its pages depend on each of them: turn by turn, on threads
    /// that answer no requests, and no further once nobody waits for the list.
    pub async fn shown(&self, db: &impl ConnectionTrait, sources: Select<Entity>) -> Result<Select<Entity>> {
        let Some(caller) = &self.judged else { return Ok(sources) };
        let all = sources.clone().select_only().columns([Column::Id, Column::WorkspaceId, Column::CreatedByUserId]);
        let all: Vec<Object> = all.into_tuple().all(db).await?;
        let mut closed = Vec::new();
        for turn in all.chunks(TURN) {
            let (caller, permission, turn) = (caller.clone(), self.permission, turn.to_vec());
            let judge = JUDGES.acquire().await.map_err(Error::internal)?;
            let judged = spawn_blocking(move || {
                let _judge = judge;
                closed_among(&caller, permission, &turn)
            });
            closed.extend(judged.await.map_err(Error::internal)?);
        }
        if closed.is_empty() {
            return Ok(sources);
        }
        Ok(sources.filter(Column::Id.not_in_subquery(rows_of(db.get_database_backend(), &closed)?)))
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
                "The data source belongs to the whole organization: you need the permission {} in the organization, \
                 not in one workspace.",
                self.permission
            )));
        }
        Ok(())
    }
}

/// Those that a policy closes to the caller.
fn closed_among(caller: &Caller, permission: Permission, sources: &[Object]) -> Vec<DataSourceId> {
    let is_closed = |(id, workspace_id, owner): &&Object| {
        let object = Resource { id: Some(id.0), workspace_id: *workspace_id, owner_id: Some(*owner) };
        caller.require_on(permission, &object).is_err()
    };
    sources.iter().filter(is_closed).map(|row| row.0).collect()
}

/// There is none, or none that is reached.
pub(crate) fn not_found(id: DataSourceId) -> Error {
    Error::new(ErrorCode::NotFound).with_message(format!("There is no data source {id}."))
}
