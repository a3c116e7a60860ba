//! How often roles are held.
//!
//! The counts of a page of roles are kept until somebody in the organization joins, leaves, is given a role or loses one, its roles or workspaces change, or
//! until the first role on loan among them ends: counting the holders of a role that a hundred thousand have takes as long as
//! the rest of the page together.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, Result, RoleId, Tenant};
use rivergen_platform::{Database, Event, Kept, db::TenantScope};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Asterisk, Expr, ExprTrait, Query},
};

use crate::member::assignment;

/// How often a role is held.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Assignments that count now.
    pub assignments: u64,
    /// People behind them.
    pub members: u64,
}

/// What was counted of some roles.
#[derive(Debug)]
pub(super) struct Counted {
    /// One that nobody holds is left out.
    of: BTreeMap<RoleId, Usage>,
    /// When the first of the roles on loan ends.
    until: Option<DateTime<Utc>>,
}

impl Counted {
    pub fn of(&self, role: RoleId) -> Usage {
        self.of.get(&role).copied().unwrap_or_default()
    }
}

/// The counts of pages; cheap to clone.
#[derive(Clone)]
pub(crate) struct Usages(Kept<(OrganizationId, Vec<RoleId>), Arc<Counted>>);

impl Usages {
    pub fn new(db: &Database) -> Self {
        let ten_minutes = Duration::from_secs(600);
        Self(Kept::new(db.bus(), 10_000, ten_minutes, |(organization, _), _| {
            vec![Event::MembersChanged(*organization), Event::OrganizationChanged(*organization)]
        }))
    }

    pub(super) async fn of(
        &self,
        db: &impl ConnectionTrait,
        tenant: Tenant,
        roles: Vec<RoleId>,
        now: DateTime<Utc>,
    ) -> Result<Arc<Counted>> {
        let key = (tenant.organization_id(), roles);
        match self.0.get(&key).filter(|counted| counted.until.is_none_or(|until| now < until)) {
            Some(counted) => Ok(counted),
            None => {
                let roles = key.1.clone();
                self.0.load(key, async { count(db, tenant, roles, now).await.map(Arc::new) }).await
            }
        }
    }
}

/// Index: role_assignments(role_id, user_id, expires_at, organization_id).
pub(super) async fn count(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    roles: impl IntoIterator<Item = RoleId>,
    now: DateTime<Utc>,
) -> Result<Counted> {
    // Person by person first, in the order of the index: to count distinct ones, PostgreSQL would sort them.
    let held = tenant
        .find::<assignment::Entity>()
        .select_only()
        .column(assignment::Column::RoleId)
        .column_as(assignment::Column::UserId.count(), "places")
        .column_as(assignment::Column::ExpiresAt.min(), "ends_at")
        .filter(assignment::Column::RoleId.is_in(roles))
        .filter(assignment::live(now))
        .group_by(assignment::Column::RoleId)
        .group_by(assignment::Column::UserId);
    let (role_id, places, ends_at) = (Expr::col("role_id"), Expr::col("places"), Expr::col("ends_at"));
    let counts = Query::select()
        .expr(role_id)
        .expr(places.sum().cast_as("bigint"))
        .expr(Expr::col(Asterisk).count())
        .expr(ends_at.min())
        .from_subquery(held.into_query(), "held")
        .group_by_col("role_id")
        .to_owned();
    let counts: Vec<(RoleId, i64, i64, Option<DateTime<Utc>>)> = db
        .query_all(&counts)
        .await?
        .iter()
        .map(|row| row.try_get_many_by_index())
        .collect::<std::result::Result<_, _>>()?;
    let until = counts.iter().filter_map(|(.., ends_at)| *ends_at).min();
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    let usage = counts.into_iter().map(|(role, assignments, members, _)| {
        (role, Usage { assignments: number(assignments), members: number(members) })
    });
    Ok(Counted { of: usage.collect(), until })
}
