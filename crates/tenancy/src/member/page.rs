//! A page of an organization's members, and how many there are in all: for every list of them.
//!
//! The page is chosen among the entries of an index alone; rows and accounts are read of its members only, so that a page
//! far behind costs a walk along the index and no more, from the end that is nearer. Whom a condition lets through is looked
//! for in two ways. Few are looked for first, beginning with the condition, and put in order. Where they turn out to be many,
//! the members are walked along in order, and each is asked whether they fit; how many that are is counted once in a minute.

use std::{collections::BTreeMap, time::Duration};

use rivergen_identity::user::account;
use rivergen_kernel::{OrganizationId, Result, Tenant, UserId};
use rivergen_platform::{Database, Event, Kept, db::TenantScope};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, EntityTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    QueryTrait, Select,
    sea_query::{ColumnRef, Expr, ExprTrait, IntoCondition, SelectStatement},
};

use super::{Column, Entity, Model, view};

/// How many are few: put in order at each page.
const FEW: u64 = 1_000;

/// What is asked for.
pub(crate) struct Wanted {
    pub sought: Sought,
    /// What tells this condition from others of the organization; not looked at where everybody is sought.
    pub known_as: String,
    pub skip: u64,
    pub limit: u64,
}

/// Whom a list is about: everybody, until it is narrowed.
#[derive(Debug, Clone)]
pub(crate) struct Sought {
    own: Condition,
    among: Vec<Among>,
}

/// Those whom rows of another table name.
#[derive(Debug, Clone)]
struct Among {
    users: SelectStatement,
    user: ColumnRef,
}

impl Sought {
    pub fn everybody() -> Self {
        Self { own: Condition::all(), among: Vec::new() }
    }

    /// Of them, those whose own row is so.
    pub fn who(mut self, condition: Option<impl IntoCondition>) -> Self {
        self.own = self.own.add_option(condition.map(IntoCondition::into_condition));
        self
    }

    /// Of them, those whose ids a query of another table finds in its column.
    pub fn among<C: ColumnTrait>(mut self, users: Option<SelectStatement>, user: C) -> Self {
        self.among.extend(users.map(|users| Among { users, user: user.as_column_ref().into() }));
        self
    }

    fn is_everybody(&self) -> bool {
        self.own.is_empty() && self.among.is_empty()
    }

    /// Looked for in the other tables first.
    fn looked_for(&self, tenant: Tenant) -> Select<Entity> {
        let among = self.among.iter().map(|among| Column::UserId.in_subquery(among.users.clone()));
        self.ids(tenant, among.collect())
    }

    /// Each asked by themselves. The offset tells the databases to do just that.
    fn asked(&self, tenant: Tenant) -> Select<Entity> {
        let among = self.among.iter().map(|Among { users, user }| {
            let own = Expr::col(user.clone()).eq(Expr::col((Entity, Column::UserId)));
            Expr::exists(users.clone().and_where(own).limit(1).offset(0).to_owned())
        });
        self.ids(tenant, among.collect())
    }

    fn ids(&self, tenant: Tenant, among: Vec<Expr>) -> Select<Entity> {
        let mut found = tenant.find::<Entity>().filter(self.own.clone());
        for condition in among {
            found = found.filter(condition);
        }
        found.select_only().column(Column::UserId)
    }
}

/// Some members, in the order that was asked for.
pub(crate) struct Page {
    pub members: Vec<(Model, account::Model)>,
    /// On all pages.
    pub total: u64,
}

/// How many belong to each organization, and how many of them fit a condition that many fit; cheap to clone.
#[derive(Clone)]
pub(crate) struct Headcounts(Kept<(OrganizationId, String), u64>);

impl Headcounts {
    pub fn new(db: &Database) -> Self {
        // Who signed in, or set up a second factor, is counted anew by then.
        let minute = Duration::from_secs(60);
        Self(Kept::new(db.bus(), 10_000, minute, |(organization, _), _| {
            vec![Event::MembersChanged(*organization), Event::OrganizationChanged(*organization)]
        }))
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
    order: impl Fn(Select<Entity>, Walk) -> Select<Entity>,
) -> Result<Page> {
    let db = db.read();
    let is_everybody = wanted.sought.is_everybody();
    let key = (tenant.organization_id(), if is_everybody { String::new() } else { wanted.known_as.clone() });
    let known = headcounts.0.get(&key);
    let few = match known.is_none() && !is_everybody {
        true => few(db, tenant, &wanted, &order).await?,
        false => None,
    };
    let (people, total) = match (few, known) {
        (Some(few), _) => few,
        (None, Some(total)) => (many(db, tenant, &wanted, total, &order).await?, total),
        (None, None) => {
            let count = async { Ok(wanted.sought.looked_for(tenant).count(db).await?) };
            let total = headcounts.0.load(key, count).await?;
            (many(db, tenant, &wanted, total, &order).await?, total)
        }
    };
    // Index: memberships(organization_id, user_id), unique.
    let rows = view::rows(tenant).filter(Column::UserId.is_in(people.iter().copied())).all(db).await?;
    let rows = rows.into_iter().filter_map(|(member, account)| Some((member.user_id, (member, account?))));
    let mut rows: BTreeMap<UserId, (Model, account::Model)> = rows.collect();
    let members = people.iter().filter_map(|user| rows.remove(user)).collect();
    Ok(Page { members, total })
}

/// The page and how many there are in all; `None` where they are not few.
async fn few(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    wanted: &Wanted,
    order: &impl Fn(Select<Entity>, Walk) -> Select<Entity>,
) -> Result<Option<(Vec<UserId>, u64)>> {
    // Found inside and ordered outside: else PostgreSQL walks everybody in that order, and looks at each whether they fit.
    let ordered_by = [Column::NameKey, Column::Email, Column::JoinedAt, Column::LastLoginAt];
    let inside = wanted.sought.looked_for(tenant).columns(ordered_by).limit(FEW + 1).into_query();
    let shown = Entity::find().select_only().column(Column::UserId).column_as(Expr::cust("COUNT(*) OVER ()"), "total");
    let mut shown = order(shown, Walk::Forward).offset(wanted.skip).limit(wanted.limit);
    QueryTrait::query(&mut shown).from_clear().from_subquery(inside.clone(), "memberships");
    let counted: Vec<(UserId, i64)> = shown.into_tuple().all(db).await?;
    let total = match counted.first() {
        Some((_, total)) => u64::try_from(*total).unwrap_or_default(),
        None if wanted.skip == 0 => 0,
        None => wanted.sought.looked_for(tenant).limit(FEW + 1).count(db).await?,
    };
    let people = counted.into_iter().map(|(user, _)| user).collect();
    Ok(Some((people, total)).filter(|(_, total)| *total <= FEW))
}

/// The page, from the end that is nearer.
async fn many(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    wanted: &Wanted,
    total: u64,
    order: &impl Fn(Select<Entity>, Walk) -> Select<Entity>,
) -> Result<Vec<UserId>> {
    let Wanted { sought, skip, limit, .. } = wanted;
    let taken = Ord::min(*limit, total.saturating_sub(*skip));
    let behind = total.saturating_sub(skip + taken);
    if behind >= *skip || taken == 0 {
        let walked = order(sought.asked(tenant), Walk::Forward).offset(*skip).limit(*limit);
        return Ok(walked.into_tuple().all(db).await?);
    }
    let walked = order(sought.asked(tenant), Walk::Backward).offset(behind).limit(taken);
    let mut people: Vec<UserId> = walked.into_tuple().all(db).await?;
    people.reverse();
    Ok(people)
}
