//! The end of an organization: thirty days after it was deleted every row, file, secret and key of it goes. What the audit
//! log tells of it stays. Until then [`restore`] opens it again.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use rivergen_kernel::{Error, ErrorCode, OrganizationId, Result, Tenant};
use rivergen_platform::{
    Event,
    audit::{self, Actor, AuditRecord},
    jobs::{Handler, JobContext, JobError},
    remains::Remains,
    removal,
};
use sea_orm::{ColumnTrait, EntityTrait, QueryFilter, QuerySelect, sea_query::Expr};

use super::{Column, Entity, Model, delete::RESTORE, name_key};
use crate::Tenancy;

const JOB: &str = "tenancy.erase_organizations";

struct Erase {
    tenancy: Tenancy,
    remains: Vec<Arc<dyn Remains>>,
}

/// Registers the job; it runs every hour on one node.
pub fn register(tenancy: &Tenancy, remains: Vec<Arc<dyn Remains>>) {
    let erase = Erase { tenancy: tenancy.clone(), remains };
    tenancy.identity.platform.jobs.every(JOB, Duration::from_secs(3600), Arc::new(erase));
}

#[async_trait]
impl Handler for Erase {
    async fn run(&self, _: serde_json::Value, context: JobContext) -> Result<(), JobError> {
        let platform = &self.tenancy.identity.platform;
        // Index: organizations(deleted_at).
        let due = Entity::find().filter(Column::DeletedAt.lte(platform.clock.now() - RESTORE));
        removal::one_by_one(&platform.db, &context.shutdown, Column::Id, due, |row| self.erase(row)).await
    }
}

impl Erase {
    /// First what lies elsewhere, then the rows: whoever is killed between the two finds the row and begins again.
    async fn erase(&self, row: Model) -> Result<()> {
        let platform = &self.tenancy.identity.platform;
        let tenant = Tenant::on_behalf_of(row.id);
        for remains in &self.remains {
            remains.erase(tenant).await?;
        }
        let tx = platform.db.begin().await?;
        let still_deleted = Entity::find_by_id(row.id).filter(Column::DeletedAt.is_not_null()).lock_exclusive();
        if still_deleted.one(tx.conn()).await?.is_none() {
            return Ok(());
        }
        rivergen_identity::erase_organization(&tx, row.id).await?;
        platform.jobs.forget_organization(&tx, row.id).await?;
        platform.vault.shred(&tx, row.id).await?;
        // Everything else hangs on the row.
        Entity::delete_by_id(row.id).exec(tx.conn()).await?;
        tx.publish(Event::OrganizationChanged(row.id)).await?;
        let record = AuditRecord::new(None, Actor::system(), "organization.erase").target("organization", row.id.0);
        audit::record(&tx, &platform.clock, record).await?;
        tx.commit().await
    }
}

/// Opens a deleted organization again, before its erasure begins: that takes its files first. For the operator;
/// sessions and tokens do not come back.
pub async fn restore(tenancy: &Tenancy, name: &str) -> Result<OrganizationId> {
    let platform = &tenancy.identity.platform;
    let tx = platform.db.begin().await?;
    // Locked, as whoever erases it at this moment does.
    let found = Entity::find().filter(Column::NameKey.eq(name_key(name))).lock_exclusive().one(tx.conn()).await?;
    let row = found.ok_or_else(|| {
        Error::new(ErrorCode::OrgNotFound).with_message(format!("There is no organization {name:?}, or it is erased."))
    })?;
    let Some(deleted_at) = row.deleted_at else {
        return Err(Error::new(ErrorCode::Conflict).with_message("The organization is not deleted."));
    };
    if platform.clock.now() - deleted_at >= RESTORE {
        let message = "The organization was deleted too long ago: it is being erased.";
        return Err(Error::new(ErrorCode::OrgNotFound).with_message(message));
    }
    Entity::update_many()
        .col_expr(Column::DeletedAt, Expr::value(Option::<chrono::DateTime<chrono::Utc>>::None))
        .filter(Column::Id.eq(row.id))
        .exec(tx.conn())
        .await?;
    tx.publish(Event::OrganizationChanged(row.id)).await?;
    let record =
        AuditRecord::new(Some(row.id), Actor::system(), "organization.restore").target("organization", row.id.0);
    audit::record(&tx, &platform.clock, record).await?;
    tx.commit().await?;
    Ok(row.id)
}
