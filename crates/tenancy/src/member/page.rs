//! A page of an organization's members, and how many there are in all: for every list of them.
//!
//! The page is chosen among the entries of an index alone; rows and accounts are read of its members only, so that a page
//! far behind costs a walk along the index and no more. In a list by name the walk begins where it is shortest: at an end, or
//! at somebody whose place a page before has told. Whom a condition lets through is looked for in two ways. Few are looked for
//! first, beginning with the condition, and put in order. Where they turn out to be many, the members are walked along in
//! order, and each is asked whether they fit; how many that are is counted once in a minute. Where each has to be looked up
//! in another table and the way is long, the list is surveyed first, once for all who ask: every so many members, one's place
//! is told.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use rivergen_identity::user::account;
use rivergen_kernel::{Error, OrganizationId, Result, Tenant, UserId};
use rivergen_platform::{
    Database, Event, Kept,
    db::{TenantScope, rows_of},
};
use sea_orm::{
    ColumnTrait, Condition, ConnectionTrait, DbBackend, DbErr, EntityTrait, Order, PaginatorTrait, QueryFilter,
    QueryOrder, QuerySelect, QueryTrait, Select,
    sea_query::{Asterisk, ColumnRef, Expr, ExprTrait, Func, IntoCondition, Query, SelectStatement},
};
use tokio::sync::OnceCell;

use super::{
    Column, Entity, Model, view,
    way::{Signposts, Walk, Way, on_page},
};

/// How many are few: looked up and put in order at each page.
const FEW: u64 = 1_000;
/// How many are put in order at each page where nobody has to be looked up. To walk to them would take longer: whose names
/// begin alike stand together, and perhaps far behind.
const SOME: u64 = 20_000;
/// How many of a list, or what part of it, may be passed over on the way to a page before the list is surveyed. Between two of
/// them any number may have to be looked up: the shorter the list, the more.
const FAR: u64 = 2_000;
const FAR_PART: u64 = 20;
/// Of how many members a survey tells the place, at most, and how close together.
const SURVEYED: u64 = 500;
const CLOSEST: u64 = 50;

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
    /// Where the table has what they stand by in a list by name.
    name: Option<ColumnRef>,
}

impl Sought {
    pub fn everybody() -> Self {
        Self { own: Condition::all(), among: Vec::new() }
    }

    /// Those whom rows of another table name, perhaps several times, and their names with them.
    pub fn by_name<C: ColumnTrait>(users: SelectStatement, user: C, name: C) -> Self {
        let name = Some(name.as_column_ref().into());
        Self { own: Condition::all(), among: vec![Among { users, user: user.as_column_ref().into(), name }] }
    }

    /// Of them, those whose own row is so.
    pub fn who(mut self, condition: Option<impl IntoCondition>) -> Self {
        self.own = self.own.add_option(condition.map(IntoCondition::into_condition));
        self
    }

    /// Of them, those whose ids a query of another table finds in its column.
    pub fn among<C: ColumnTrait>(mut self, users: Option<SelectStatement>, user: C) -> Self {
        self.among.extend(users.map(|users| Among { users, user: user.as_column_ref().into(), name: None }));
        self
    }

    /// Whether another table says of each if they are sought.
    fn is_looked_up(&self) -> bool {
        !self.among.is_empty()
    }

    fn is_everybody(&self) -> bool {
        self.own.is_empty() && self.among.is_empty()
    }

    /// Where another table alone says who is sought and what they stand by.
    fn named(&self) -> Option<Named<'_>> {
        let [Among { users, user, name: Some(name) }] = self.among.as_slice() else { return None };
        self.own.is_empty().then_some(Named { users, user, name })
    }

    /// How many there are in all.
    async fn count(&self, db: &impl ConnectionTrait, tenant: Tenant) -> Result<u64> {
        match self.named() {
            Some(named) => count(db, named.people()).await,
            None => Ok(self.looked_for(tenant).count(db).await?),
        }
    }

    /// Looked for in the other tables first.
    fn looked_for(&self, tenant: Tenant) -> Select<Entity> {
        let among = self.among.iter().map(|among| Column::UserId.in_subquery(among.users.clone()));
        self.ids(tenant.find::<Entity>(), among.collect())
    }

    /// Each asked by themselves.
    fn asked(&self, tenant: Tenant) -> Select<Entity> {
        self.asked_of(tenant.find::<Entity>())
    }

    /// Each of the members asked by themselves. The offset tells the databases to do just that.
    fn asked_of(&self, members: Select<Entity>) -> Select<Entity> {
        let among = self.among.iter().map(|Among { users, user, .. }| {
            let own = Expr::col(user.clone()).eq(Expr::col((Entity, Column::UserId)));
            Expr::exists(users.clone().and_where(own).limit(1).offset(0).to_owned())
        });
        self.ids(members, among.collect())
    }

    fn ids(&self, members: Select<Entity>, among: Vec<Expr>) -> Select<Entity> {
        let mut found = members.filter(self.own.clone());
        for condition in among {
            found = found.filter(condition);
        }
        found.select_only().column(Column::UserId)
    }
}

/// Members as the rows of another table have them.
struct Named<'a> {
    users: &'a SelectStatement,
    user: &'a ColumnRef,
    name: &'a ColumnRef,
}

impl Named<'_> {
    fn people(&self) -> SelectStatement {
        self.users.clone().distinct().to_owned()
    }

    /// How many people they are, and how many rows name somebody again; `None` where more than [`SOME`] rows tell of
    /// them. The rows are found inside and told apart outside: else PostgreSQL walks everybody by their ids, to meet
    /// each of them once.
    async fn few(&self, db: &impl ConnectionTrait) -> Result<Option<(u64, u64)>> {
        let rows = self.users.clone().limit(SOME + 1).to_owned();
        let counts = Query::select()
            .expr(Expr::col(Asterisk).count())
            .expr(Expr::col(Column::UserId).count_distinct())
            .from_subquery(rows, "found")
            .to_owned();
        let Some(row) = db.query_one(&counts).await? else { return Ok(Some((0, 0))) };
        let (rows, people): (i64, i64) = (row.try_get_by_index(0)?, row.try_get_by_index(1)?);
        let counted = |count: i64| u64::try_from(count).unwrap_or_default();
        let (rows, people) = (counted(rows), counted(people));
        Ok((rows <= SOME).then_some((people, rows.saturating_sub(people))))
    }

    /// The page of [`SOME`] at most, in the order of their names. Only so many rows are put in order as it may reach to
    /// if all that name somebody `again` come first. These are left out then: to do that first would take several times
    /// as long.
    async fn page(&self, db: &impl ConnectionTrait, wanted: &Wanted, again: u64) -> Result<Vec<UserId>> {
        let reached = Ord::min(wanted.skip.saturating_add(wanted.limit).saturating_add(again), SOME);
        let mut rows = self.users.clone();
        rows.column(self.name.clone()).order_by(self.name.clone(), Order::Asc).order_by(self.user.clone(), Order::Asc);
        rows.limit(reached);
        let page = Entity::find().select_only().columns([Column::UserId, Column::NameKey]).distinct();
        let mut page = ListOrder::ByName.along(page, Walk::Forward).offset(wanted.skip).limit(wanted.limit);
        QueryTrait::query(&mut page).from_clear().from_subquery(rows, "memberships");
        let people: Vec<(UserId, String)> = page.into_tuple().all(db).await?;
        Ok(people.into_iter().map(|(user, _)| user).collect())
    }
}

/// Some members, in the order that was asked for.
pub(crate) struct Page {
    pub members: Vec<(Model, account::Model)>,
    /// On all pages.
    pub total: u64,
}

/// What is known of the list of each organization, and of those whom a condition that many fit lets through; cheap to clone.
#[derive(Clone)]
pub(crate) struct Lists(Kept<(OrganizationId, String), Arc<List>>);

impl Lists {
    pub fn new(db: &Database) -> Self {
        // Who signed in, or set up a second factor, is counted anew by then.
        let minute = Duration::from_secs(60);
        Self(Kept::new(db.bus(), 10_000, minute, |(organization, _), _| {
            vec![Event::MembersChanged(*organization), Event::OrganizationChanged(*organization)]
        }))
    }
}

/// What is known of a list.
#[derive(Debug)]
struct List {
    total: u64,
    /// Members who stand at known places of the list by name.
    signposts: Signposts<Signpost>,
    surveyed: OnceCell<()>,
}

impl List {
    fn of(total: u64) -> Self {
        Self { total, signposts: Signposts::default(), surveyed: OnceCell::new() }
    }

    /// The way to a page of the list by name.
    async fn way(&self, db: &impl ConnectionTrait, tenant: Tenant, wanted: &Wanted) -> Result<Way<Signpost>> {
        let way = || self.signposts.way(self.total, wanted.skip, wanted.limit);
        let shortest = way();
        if shortest.over <= Ord::min(FAR, self.total / FAR_PART) || !wanted.sought.is_looked_up() {
            return Ok(shortest);
        }
        self.surveyed.get_or_try_init(|| self.survey(db, tenant, &wanted.sought)).await?;
        Ok(way())
    }

    /// Puts up signposts all along the list by name.
    async fn survey(&self, db: &impl ConnectionTrait, tenant: Tenant, sought: &Sought) -> Result<()> {
        let stride = i64::try_from(Ord::max(CLOSEST, self.total / SURVEYED)).map_err(Error::internal)?;
        let place = Expr::cust("ROW_NUMBER() OVER (ORDER BY name_key, user_id)");
        let listed = sought.looked_for(tenant).column(Column::NameKey).column_as(place, "place").into_query();
        let told = Query::select()
            .columns(["place", "name_key", "user_id"])
            .from_subquery(listed, "listed")
            .and_where(Expr::col("place").modulo(stride).eq(0))
            .to_owned();
        let rows = db.query_all(&told).await?;
        let told = rows.iter().map(|row| {
            let (place, name, user): (i64, String, UserId) =
                (row.try_get_by_index(0)?, row.try_get_by_index(1)?, row.try_get_by_index(2)?);
            Ok((u64::try_from(place - 1).unwrap_or_default(), (name, user)))
        });
        self.signposts.put_all_up(told.collect::<Result<Vec<_>, DbErr>>()?);
        Ok(())
    }
}

/// By what a member stands in a list by name.
type Signpost = (String, UserId);

/// How a list is ordered.
pub(crate) enum ListOrder {
    /// Index: memberships(organization_id, name_key, user_id), or the one that has the status before the name.
    ByName,
    Other(Box<Ordering>),
}

/// Puts members in an order, from the end where the walk begins.
type Ordering = dyn Fn(Select<Entity>, Walk) -> Select<Entity> + Send + Sync;

impl ListOrder {
    fn along(&self, select: Select<Entity>, walk: Walk) -> Select<Entity> {
        match self {
            Self::ByName => {
                let order = walk.along(Order::Asc);
                select.order_by(Column::NameKey, order.clone()).order_by(Column::UserId, order)
            }
            Self::Other(order) => order(select, walk),
        }
    }
}

/// The page, by queries that are as many however long it is.
pub(crate) async fn page(
    db: &Database,
    lists: &Lists,
    tenant: Tenant,
    wanted: Wanted,
    order: ListOrder,
) -> Result<Page> {
    let db = db.read();
    let is_everybody = wanted.sought.is_everybody();
    let key = (tenant.organization_id(), if is_everybody { String::new() } else { wanted.known_as.clone() });
    let known = lists.0.get(&key);
    let few = match known.is_none() && !is_everybody {
        true => few(db, tenant, &wanted, &order).await?,
        false => None,
    };
    let (people, total, list) = match (few, known) {
        (Some((people, total)), _) => (people, total, None),
        (None, Some(list)) => (many(db, tenant, &wanted, &list, &order).await?, list.total, Some(list)),
        (None, None) => {
            let count = async {
                let total = wanted.sought.count(db, tenant).await?;
                Ok(Arc::new(List::of(total)))
            };
            let list = lists.0.load(key, count).await?;
            (many(db, tenant, &wanted, &list, &order).await?, list.total, Some(list))
        }
    };
    if people.is_empty() {
        return Ok(Page { members: Vec::new(), total });
    }
    // Index: memberships(organization_id, user_id), unique.
    let rows = view::rows(tenant).filter(Column::UserId.is_in(people.iter().copied())).all(db).await?;
    let rows = rows.into_iter().filter_map(|(member, account)| Some((member.user_id, (member, account?))));
    let mut rows: BTreeMap<UserId, (Model, account::Model)> = rows.collect();
    if let (Some(list), ListOrder::ByName) = (list, &order) {
        let places = (wanted.skip..).zip(&people);
        let taken = on_page(total, wanted.skip, wanted.limit);
        // Where a page falls short of the count, that is not of now, and neither are places from the end.
        let ends = places.clone().take(1).chain(places.skip(people.len().saturating_sub(1)));
        for (at, user) in ends.filter(|_| people.len() as u64 == taken) {
            if let Some((member, _)) = rows.get(user) {
                list.signposts.put_up(at, (member.name_key.clone(), *user));
            }
        }
    }
    let members = people.iter().filter_map(|user| rows.remove(user)).collect();
    Ok(Page { members, total })
}

/// The page and how many there are in all; `None` where they are not few.
async fn few(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    wanted: &Wanted,
    order: &ListOrder,
) -> Result<Option<(Vec<UserId>, u64)>> {
    if let (ListOrder::ByName, Some(named)) = (order, wanted.sought.named()) {
        return Ok(match named.few(db).await? {
            Some((0, _)) => Some((Vec::new(), 0)),
            Some((total, again)) => Some((named.page(db, wanted, again).await?, total)),
            None => None,
        });
    }
    let ordered_by = [Column::NameKey, Column::Email, Column::JoinedAt, Column::LastLoginAt];
    for among in &wanted.sought.among {
        let users = among.users.clone().distinct().limit(FEW + 1).to_owned();
        let rows = db.query_all(&users).await?;
        let users = rows.iter().map(|row| row.try_get_by_index(0)).collect::<Result<Vec<UserId>, DbErr>>()?;
        if users.len() as u64 <= FEW {
            // Index: memberships(organization_id, user_id), unique.
            let backend = db.get_database_backend();
            let them = looked_up(backend, tenant).filter(Column::UserId.in_subquery(rows_of(backend, &users)?));
            let found = wanted.sought.asked_of(them).columns(ordered_by).into_query();
            return put_in_order(db, found, wanted, order).await;
        }
    }
    let found = wanted.sought.looked_for(tenant).columns(ordered_by).into_query();
    put_in_order(db, found, wanted, order).await
}

/// Members who are looked up by their ids. Without statistics SQLite takes every organization for a small one, and reads all of
/// it along an index that has what is asked for; so it is told that most memberships are of this one.
fn looked_up(backend: DbBackend, tenant: Tenant) -> Select<Entity> {
    match backend {
        DbBackend::Postgres => tenant.find::<Entity>(),
        _ => {
            let own = Func::cust("likely").arg(Column::OrganizationId.eq(tenant.organization_id()));
            Entity::find().filter(Expr::from(own))
        }
    }
}

/// The page of those who are found and how many there are in all; `None` where they are not few.
async fn put_in_order(
    db: &impl ConnectionTrait,
    mut found: SelectStatement,
    wanted: &Wanted,
    order: &ListOrder,
) -> Result<Option<(Vec<UserId>, u64)>> {
    found.limit(FEW + 1);
    // Found inside and ordered outside: else PostgreSQL walks everybody in that order, and looks at each whether they fit.
    let shown = Entity::find().select_only().column(Column::UserId).column_as(Expr::cust("COUNT(*) OVER ()"), "total");
    let mut shown = order.along(shown, Walk::Forward).offset(wanted.skip).limit(wanted.limit);
    QueryTrait::query(&mut shown).from_clear().from_subquery(found.clone(), "memberships");
    let counted: Vec<(UserId, i64)> = shown.into_tuple().all(db).await?;
    let total = match counted.first() {
        Some((_, total)) => u64::try_from(*total).unwrap_or_default(),
        None if wanted.skip == 0 => 0,
        None => count(db, found).await?,
    };
    let people = counted.into_iter().map(|(user, _)| user).collect();
    Ok(Some((people, total)).filter(|(_, total)| *total <= FEW))
}

/// How many rows a query finds.
async fn count(db: &impl ConnectionTrait, found: SelectStatement) -> Result<u64> {
    let count = Query::select().expr(Expr::col(Asterisk).count()).from_subquery(found, "found").to_owned();
    let row = db.query_one(&count).await?;
    let count: Option<i64> = row.map(|row| row.try_get_by_index(0)).transpose()?;
    Ok(count.and_then(|count| u64::try_from(count).ok()).unwrap_or_default())
}

/// The page, by the shortest way.
async fn many(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    wanted: &Wanted,
    list: &List,
    order: &ListOrder,
) -> Result<Vec<UserId>> {
    let Way { walk, from, over, taken } = match order {
        ListOrder::ByName => list.way(db, tenant, wanted).await?,
        ListOrder::Other(_) => Way::from_an_end(list.total, wanted.skip, wanted.limit),
    };
    let on_the_way = from.map(|(name, user)| {
        let place = Expr::tuple([Column::NameKey.into_expr(), Column::UserId.into_expr()]);
        let signpost = Expr::tuple([Expr::value(name), Expr::value(user)]);
        match walk {
            Walk::Forward => place.gte(signpost),
            Walk::Backward => place.lte(signpost),
        }
    });
    let limit = if walk == Walk::Forward { wanted.limit } else { taken };
    let asked = wanted.sought.asked(tenant).filter(Condition::all().add_option(on_the_way));
    let mut people: Vec<UserId> = order.along(asked, walk).offset(over).limit(limit).into_tuple().all(db).await?;
    if walk == Walk::Backward {
        people.reverse();
    }
    Ok(people)
}
