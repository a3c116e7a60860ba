//! A page of an organization's members, and how many there are in all: for every list of them.
//!
//! The page is chosen among the entries of an index alone; rows and accounts are read of its members only, so that a page
//! far behind costs a walk along the index and no more, from the end that is nearer. How many belong to the organization is
//! kept until somebody joins or leaves; how many a condition lets through is counted with the page, so that who fits it is
//! looked for once, beginning with the condition, however few of them the page shows.

use std::{collections::BTreeMap, time::Duration};

use rivergen_identity::user::account;
use rivergen_kernel::{OrganizationId, Result, Tenant, UserId};
use rivergen_platform::{Database, Event, Kept, db::TenantScope};
use sea_orm::{
    ColumnTrait, Condition, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect, QueryTrait,
    Select, sea_query::Expr,
};

use super::{Column, Entity, Model, view};

/// What is asked for.
pub(crate) struct Wanted {
    /// Everybody, if it is empty.
    pub condition: Condition,
    pub skip: u64,
    pub limit: u64,
}

/// Some members, in the order that was asked for.
pub(crate) struct Page {
    pub members: Vec<(Model, account::Model)>,
    /// On all pages.
    pub total: u64,
}

/// How many belong to each organization; cheap to clone.
#[derive(Clone)]
pub(crate) struct Headcounts(Kept<OrganizationId, u64>);

impl Headcounts {
    pub fn new(db: &Database) -> Self {
        let ten_minutes = Duration::from_secs(600);
        Self(Kept::new(db.bus(), 10_000, ten_minutes, |organization, _| vec![Event::MembersChanged(*organization)]))
    }
}

/// From which end of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Walk {
    Forward,
    Backward,
}

impl Walk {
    /// An order, walked so.
    pub fn along(self, order: Order) -> Order {
        match (self, order) {
            (Self::Forward, order) => order,
            (Self::Backward, Order::Asc) => Order::Desc,
            (Self::Backward, _) => Order::Asc,
        }
    }
}

/// By name. Index: memberships(organization_id, name_key, user_id), or the one that has the status before the name.
pub(crate) fn by_name(select: Select<Entity>, walk: Walk) -> Select<Entity> {
    let order = walk.along(Order::Asc);
    select.order_by(Column::NameKey, order.clone()).order_by(Column::UserId, order)
}

/// The page, by queries that are as many however long it is.
pub(crate) async fn page(
    db: &Database,
    headcounts: &Headcounts,
    tenant: Tenant,
    wanted: Wanted,
    order: impl FnOnce(Select<Entity>, Walk) -> Select<Entity>,
) -> Result<Page> {
    let db = db.read();
    let Wanted { condition, skip, limit } = wanted;
    let everybody = condition.is_empty();
    let found = tenant.find::<Entity>().filter(condition).select_only().column(Column::UserId);
    let count = async { Ok(found.clone().count(db).await?) };
    let (people, total): (Vec<UserId>, u64) = if everybody {
        let total = headcounts.0.get_or_load(tenant.organization_id(), count).await?;
        let taken = limit.min(total.saturating_sub(skip));
        let behind = total.saturating_sub(skip + taken);
        let people = match behind < skip && taken > 0 {
            true => {
                let walked = order(found, Walk::Backward).offset(behind).limit(taken);
                let mut people: Vec<UserId> = walked.into_tuple().all(db).await?;
                people.reverse();
                people
            }
            false => order(found, Walk::Forward).offset(skip).limit(limit).into_tuple().all(db).await?,
        };
        (people, total)
    } else {
        // Counted inside and ordered outside: else PostgreSQL walks everybody in that order, and looks at each whether they fit.
        let ordered_by = [Column::NameKey, Column::Email, Column::JoinedAt, Column::LastLoginAt];
        let all = found.clone().columns(ordered_by).column_as(Expr::cust("COUNT(*) OVER ()"), "total").into_query();
        let shown = Entity::find().select_only().column(Column::UserId).column_as(Expr::col("total"), "total");
        let mut shown = order(shown, Walk::Forward).offset(skip).limit(limit);
        QueryTrait::query(&mut shown).from_clear().from_subquery(all, "memberships");
        let counted: Vec<(UserId, i64)> = shown.into_tuple().all(db).await?;
        let total = match counted.first() {
            Some((_, total)) => u64::try_from(*total).unwrap_or_default(),
            None if skip == 0 => 0,
            None => count.await?,
        };
        (counted.into_iter().map(|(user, _)| user).collect(), total)
    };
    // Index: memberships(organization_id, user_id), unique.
    let rows = view::rows(tenant).filter(Column::UserId.is_in(people.iter().copied())).all(db).await?;
    let rows = rows.into_iter().filter_map(|(member, account)| Some((member.user_id, (member, account?))));
    let mut rows: BTreeMap<UserId, (Model, account::Model)> = rows.collect();
    let members = people.iter().filter_map(|user| rows.remove(user)).collect();
    Ok(Page { members, total })
}
