//! How often roles are held.
//!
//! The count of a role is kept until somebody in the organization joins, leaves, is given a role or loses one, its
//! roles or workspaces change, or until the first assignment on loan of that role ends: counting the holders of a role
//! that a hundred thousand have takes as long as the rest of a page together. For as long it is known where the pages
//! that were asked for begin and end, from which the way to others is short.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use chrono::{DateTime, Utc};
use rivergen_kernel::{OrganizationId, Result, RoleId, Tenant};
use rivergen_platform::{Database, Event, Kept, db::TenantScope};
use sea_orm::{
    ColumnTrait, ConnectionTrait, QueryFilter, QuerySelect, QueryTrait,
    sea_query::{Asterisk, Expr, ExprTrait, Query},
};

use crate::member::{assignment, way::Signposts};

/// How often a role is held.
#[derive(Debug, Clone, Default)]
pub(super) struct Usage {
    /// Assignments that count now.
    pub assignments: u64,
    /// People behind them.
    pub members: u64,
    /// When the first assignment on loan ends.
    until: Option<DateTime<Utc>>,
    /// Assignments, by their ids, that stand at known places of the list of those that count.
    pub signposts: Arc<Signposts<i64>>,
}

/// The counts; cheap to clone.
#[derive(Clone)]
pub(crate) struct Usages(Kept<(OrganizationId, RoleId), Usage>);

impl Usages {
    pub fn new(db: &Database) -> Self {
        let ten_minutes = Duration::from_secs(600);
        Self(Kept::new(db.bus(), 100_000, ten_minutes, |(organization, _), _| {
            vec![Event::MembersChanged(*organization), Event::OrganizationChanged(*organization)]
        }))
    }

    /// Of each of the roles; those that are not kept are counted by one query.
    pub(super) async fn of(
        &self,
        db: &impl ConnectionTrait,
        tenant: Tenant,
        roles: impl IntoIterator<Item = RoleId>,
        now: DateTime<Utc>,
    ) -> Result<BTreeMap<RoleId, Usage>> {
        let organization = tenant.organization_id();
        let (mut usages, mut unknown) = (BTreeMap::new(), Vec::new());
        for role in roles {
            match self.0.get(&(organization, role)).filter(|usage| usage.until.is_none_or(|until| now < until)) {
                Some(usage) => drop(usages.insert(role, usage)),
                None => unknown.push(role),
            }
        }
        if !unknown.is_empty() {
            let counted = self.0.load_all(async {
                let counted = count(db, tenant, unknown.iter().copied(), now).await?;
                let usage = |role: &RoleId| counted.get(role).cloned().unwrap_or_default();
                Ok(unknown.iter().map(|role| ((organization, *role), usage(role))).collect())
            });
            usages.extend(counted.await?.into_iter().map(|((_, role), usage)| (role, usage)));
        }
        Ok(usages)
    }
}

/// One that nobody holds is left out. Index: role_assignments(role_id, user_id, expires_at, organization_id).
pub(super) async fn count(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    roles: impl IntoIterator<Item = RoleId>,
    now: DateTime<Utc>,
) -> Result<BTreeMap<RoleId, Usage>> {
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
    let number = |count: i64| u64::try_from(count).unwrap_or_default();
    let usage = counts.into_iter().map(|(role, assignments, members, until)| {
        (role, Usage { assignments: number(assignments), members: number(members), until, ..Usage::default() })
    });
    Ok(usage.collect())
}
