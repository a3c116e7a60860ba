//! Lists of users and groups: filtered, ordered, and read by index or by cursor (RFC 9865).
//!
//! A cursor is where the last page ended: behind an id, or, where the client orders the list itself, behind a value and an
//! id. What comes and goes meanwhile makes the pages behind it skip nothing and repeat nothing. It goes with one list, one
//! filter and one order, and ends never. It opens nothing: whoever brings it reads what their token reads.
//!
//! How many there are in all is counted for the first page, and goes with the cursor: counted for each, a walk through a
//! list would take the square of its length. RFC 9865 (section 2) lets a server that cannot tell leave it out.
//!
//! A page far behind costs a walk along an index: where the order says of each row which one it is, the rows that are
//! passed over are not read. To where a cursor is, nobody walks.
//!
//! A page of groups is shorter than asked for where their members would be too many for one answer.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use chrono::{DateTime, Utc};
use rivergen_platform::db::{TenantScope, page_by};
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ModelTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select,
    sea_query::{Expr, NullOrdering},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::{
    answer::{Answer, Content, List, Resource},
    error::{Kind, Result, ScimError},
    filter, group,
    http::{Provisioner, Search},
    members::{self, Parts},
    query::{Had, SortKey, SortKind, Table},
    user,
};

/// Where a page begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    Skip(u64),
    After(i64),
    /// Behind a value of what the list is ordered by, and an id among those that have it.
    Behind(Option<Key>, i64),
}

/// A value of what a list is ordered by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Key {
    Text(String),
    Id(i64),
    Flag(bool),
    Time(DateTime<Utc>),
}

impl Key {
    fn kind(&self) -> SortKind {
        match self {
            Self::Text(_) => SortKind::Text,
            Self::Id(_) => SortKind::Id,
            Self::Flag(_) => SortKind::Flag,
            Self::Time(_) => SortKind::Time,
        }
    }

    fn value(&self) -> Expr {
        match self {
            Self::Text(text) => Expr::val(text.as_str()),
            Self::Id(id) => Expr::val(*id),
            Self::Flag(flag) => Expr::val(*flag),
            Self::Time(time) => Expr::val(*time),
        }
    }
}

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    at: Position,
    /// Of the list, the filter and the order.
    of: String,
    /// How many there were in all when the walk began.
    total: Option<u64>,
}

fn invalid_cursor() -> ScimError {
    ScimError::new(Kind::InvalidCursor, "The cursor is of another list; begin again.")
}

impl Search {
    fn fingerprint(&self, table: Table) -> String {
        let mut hash = Sha256::new();
        let order = if self.is_descending { "d" } else { "a" };
        for part in [Some(table.resource().name), self.filter.as_deref(), self.sort_by.as_deref(), Some(order)] {
            hash.update(part.unwrap_or_default().as_bytes());
            hash.update([0]);
        }
        hex::encode(&hash.finalize()[..8])
    }

    /// Where the page begins, and how many there are in all, where a page before has counted them.
    fn position(&self, table: Table, sort: Option<&SortKey>) -> Result<(Position, Option<u64>)> {
        let Cursor { at, of, total } = match self.cursor.as_deref() {
            None => return Ok((Position::Skip(self.start_index - 1), None)),
            Some("") => return Ok((Position::Skip(0), None)),
            Some(text) => {
                let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid_cursor())?;
                serde_json::from_slice(&bytes).map_err(|_| invalid_cursor())?
            }
        };
        if of != self.fingerprint(table) {
            return Err(invalid_cursor());
        }
        // One that was made up must not reach the database as a value of another kind.
        let is_sound = match (&at, sort) {
            (Position::After(_), None) | (Position::Behind(None, _), Some(_)) => true,
            (Position::Behind(Some(Key::Text(text)), _), Some(_)) if text.contains('\0') => false,
            (Position::Behind(Some(key), _), Some(sort)) => key.kind() == sort.kind,
            _ => false,
        };
        is_sound.then_some((at, total)).ok_or_else(invalid_cursor)
    }
}

/// A page of rows, how many there are in all, and what tells where the next page begins.
struct Page<E: EntityTrait> {
    all: Select<E>,
    rows: Vec<E::Model>,
    total: u64,
    sort: Option<SortKey>,
    goes_on: bool,
}

impl<E: EntityTrait> Page<E> {
    /// The first of its rows; the others are on the next page.
    fn keep(&mut self, rows: usize) {
        if rows < self.rows.len() {
            self.rows.truncate(rows);
            self.goes_on = true;
        }
    }
}

/// How the rows of a list are ordered.
struct Ordered<'a, C> {
    sort: Option<&'a SortKey>,
    /// By which they are where nothing else is asked for, and those that have the same of it.
    id: C,
    is_descending: bool,
}

impl<C: ColumnTrait> Ordered<'_, C> {
    fn put<E: EntityTrait>(&self, rows: Select<E>) -> Select<E> {
        let Some(SortKey { by, had, .. }) = self.sort else { return rows.order_by_asc(self.id) };
        // What has no value comes last, and first where the order is turned round (RFC 7644, section 3.4.2.3).
        let (order, nulls) = match self.is_descending {
            false => (Order::Asc, NullOrdering::Last),
            true => (Order::Desc, NullOrdering::First),
        };
        match had {
            Had::Partly => rows.order_by_with_nulls(by.clone(), order, nulls).order_by_asc(self.id),
            Had::Each => rows.order_by(by.clone(), order).order_by_asc(self.id),
            Had::EachAlone => rows.order_by(by.clone(), order),
        }
    }

    /// A page of them, or more, behind the first so many. Where the order does not say which row is meant, the rows
    /// before the page are read.
    fn behind<E: EntityTrait>(&self, rows: Select<E>, skipped: u64, limit: u64) -> Select<E> {
        match self.sort {
            _ if skipped == 0 => rows,
            None => page_by(rows, self.id.into_expr(), skipped, limit),
            Some(SortKey { by, had: Had::EachAlone, .. }) => page_by(rows, by.clone(), skipped, limit),
            Some(_) => rows.offset(skipped),
        }
    }
}

async fn page<E>(
    db: &impl ConnectionTrait,
    table: Table,
    all: Select<E>,
    id: E::Column,
    search: &Search,
) -> Result<Page<E>>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    let backend = db.get_database_backend();
    let all = match &search.filter {
        Some(text) => all.filter(table.condition(backend, &filter::parse(text)?)?),
        None => all,
    };
    let sort = match &search.sort_by {
        Some(sort_by) => Some(table.order(backend, sort_by)?),
        None => None,
    };
    let (position, counted) = search.position(table, sort.as_ref())?;
    let order = Ordered { sort: sort.as_ref(), id, is_descending: search.is_descending };
    let ordered = order.put(all.clone());
    // One more than asked for tells whether there is another page.
    let limit = search.count + 1;
    let wanted = match (&position, &sort) {
        (Position::Skip(skipped), _) => order.behind(ordered, (*skipped).min(i64::MAX as u64), limit),
        (Position::Behind(key, last), Some(sort)) => {
            let key = key.as_ref().map(Key::value);
            ordered.filter(sort.behind(key, id.gt(*last), search.is_descending))
        }
        (Position::After(last) | Position::Behind(_, last), _) => ordered.filter(id.gt(*last)),
    };
    let mut rows = match search.count {
        0 => Vec::new(),
        _ => wanted.limit(limit).all(db).await?,
    };
    let most = usize::try_from(search.count).unwrap_or(usize::MAX);
    let goes_on = rows.len() > most;
    rows.truncate(most);
    let shown = rows.len() as u64;
    let total = match (counted, position) {
        (Some(counted), _) => counted,
        // The last page tells how many there are, without counting them.
        (None, Position::Skip(before)) if search.count > 0 && !goes_on && (shown > 0 || before == 0) => before + shown,
        (None, _) => all.clone().count(db).await?,
    };
    Ok(Page { all, rows, total, sort, goes_on })
}

/// Where the next page begins, where there is one and the list is read by cursor.
async fn next<E>(
    db: &impl ConnectionTrait,
    table: Table,
    page: &Page<E>,
    id: E::Column,
    search: &Search,
) -> Result<Option<String>>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    if search.cursor.is_none() || !page.goes_on {
        return Ok(None);
    }
    // The last row, or one before it, where that was deleted at this moment.
    for row in page.rows.iter().rev() {
        let sea_orm::Value::BigInt(Some(last)) = row.get(id) else { return Ok(None) };
        let at = match &page.sort {
            None => Position::After(last),
            Some(sort) => match key_of(db, page.all.clone().filter(id.eq(last)), sort).await? {
                Some(key) => Position::Behind(key, last),
                None => continue,
            },
        };
        let cursor = Cursor { at, of: search.fingerprint(table), total: Some(page.total) };
        let text = serde_json::to_vec(&cursor).map_err(rivergen_kernel::Error::internal)?;
        return Ok(Some(URL_SAFE_NO_PAD.encode(text)));
    }
    Ok(None)
}

/// What the one row has of what the list is ordered by; `None` where it is gone.
async fn key_of<E: EntityTrait>(
    db: &impl ConnectionTrait,
    row: Select<E>,
    sort: &SortKey,
) -> Result<Option<Option<Key>>> {
    let row = row.select_only().expr(sort.by.clone());
    Ok(match sort.kind {
        SortKind::Text => row.into_tuple::<Option<String>>().one(db).await?.map(|key| key.map(Key::Text)),
        SortKind::Id => row.into_tuple::<Option<i64>>().one(db).await?.map(|key| key.map(Key::Id)),
        SortKind::Flag => row.into_tuple::<Option<bool>>().one(db).await?.map(|key| key.map(Key::Flag)),
        SortKind::Time => row.into_tuple::<Option<DateTime<Utc>>>().one(db).await?.map(|key| key.map(Key::Time)),
    })
}

fn answer(search: &Search, resources: Vec<Resource>, total: u64, next: Option<String>) -> Answer {
    let start_index = search.cursor.is_none().then_some(search.start_index);
    let resources = resources.into_iter().map(Content::Resource).collect();
    Answer::list(List::new(resources, total, start_index, next))
}

/// What a page shows.
struct Listed {
    resources: Vec<Resource>,
    total: u64,
    next: Option<String>,
}

impl Listed {
    fn answer(self, search: &Search) -> Answer {
        answer(search, self.resources, self.total, self.next)
    }
}

/// The organization's users.
pub async fn users(provisioner: &Provisioner, search: &Search) -> Result<Answer> {
    Ok(list_users(provisioner, search).await?.answer(search))
}

/// The organization's groups.
pub async fn groups(provisioner: &Provisioner, search: &Search) -> Result<Answer> {
    Ok(list_groups(provisioner, search).await?.answer(search))
}

/// Users, then groups. A filter or an order that one of them does not have finds none of it.
pub async fn everything(provisioner: &Provisioner, search: &Search) -> Result<Answer> {
    if search.cursor.is_some() {
        return Err(ScimError::new(Kind::InvalidCursor, "Everything together is read by index."));
    }
    let unknown = |error: &ScimError| matches!(error.kind, Some(Kind::InvalidFilter | Kind::InvalidPath));
    let none = Listed { resources: Vec::new(), total: 0, next: None };
    let users = list_users(provisioner, search).await;
    let known = users.as_ref().map_or(0, |listed| listed.total);
    let shown = users.as_ref().map_or(0, |listed| listed.resources.len() as u64);
    let rest = Search {
        filter: search.filter.clone(),
        sort_by: search.sort_by.clone(),
        is_descending: search.is_descending,
        start_index: search.start_index.saturating_sub(known).max(1),
        count: search.count - shown,
        ..search.of_attributes()
    };
    let (users, groups) = match (users, list_groups(provisioner, &rest).await) {
        (Err(error), Err(_)) => return Err(error),
        (Err(error), Ok(groups)) if unknown(&error) => (none, groups),
        (Ok(users), Err(error)) if unknown(&error) => (users, none),
        (users, groups) => (users?, groups?),
    };
    let resources = users.resources.into_iter().chain(groups.resources).collect();
    Ok(answer(search, resources, users.total + groups.total, None))
}

async fn list_users(provisioner: &Provisioner, search: &Search) -> Result<Listed> {
    let db = provisioner.platform().db.read();
    let (table, id) = (Table::Users, user::Column::UserId);
    let projection = search.projection(table.resource())?;
    // Index: scim_users(organization_id, user_id), unique; in the order of userName, scim_users(organization_id,
    // user_name_key), unique, and of meta.lastModified, scim_users(organization_id, updated_at); those of the names
    // where a filter looks one up, and scim_users(organization_id, active, user_id) where it asks who is let in.
    let page = page(db, table, provisioner.tenant().find::<user::Entity>(), id, search).await?;
    let next = next(db, table, &page, id, search).await?;
    let ids: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
    let mut groups = match projection.shows("groups") {
        true => user::groups_of(db, &ids).await?,
        false => Default::default(),
    };
    let base = provisioner.base();
    let shown = |row: user::Model| {
        let shown = row.shown(&base, &groups.remove(&row.id).unwrap_or_default());
        shown.resource.projected(table.resource(), &projection)
    };
    let resources = page.rows.into_iter().map(shown).collect();
    Ok(Listed { resources, total: page.total, next })
}

async fn list_groups(provisioner: &Provisioner, search: &Search) -> Result<Listed> {
    let db = provisioner.platform().db.read();
    let (table, id) = (Table::Groups, group::Column::Id);
    let projection = search.projection(table.resource())?;
    // Index: scim_groups(organization_id, id); scim_groups(organization_id, display_name_key) in the order of
    // displayName, and where a filter looks one up.
    let mut page = page(db, table, provisioner.tenant().find::<group::Entity>(), id, search).await?;
    let base = provisioner.base();
    let mut members = Vec::new().into_iter();
    if let Some(parts) = Parts::of(&projection, &base) {
        let ids: Vec<i64> = page.rows.iter().map(|row| row.id).collect();
        let found = members::members_of_first(db, &ids, &parts).await?;
        page.keep(found.len());
        members = found.into_iter();
    }
    let next = next(db, table, &page, id, search).await?;
    let shown = |row: group::Model| {
        let shown = row.shown(&base, members.next().unwrap_or_default());
        shown.resource.projected(table.resource(), &projection)
    };
    let resources = page.rows.into_iter().map(shown).collect();
    Ok(Listed { resources, total: page.total, next })
}
