//! Lists of users and groups: filtered, ordered, and read by index or by cursor (RFC 9865).
//!
//! A cursor is where the last page ended: after an id, or, where the client orders the list itself, after so many. It goes
//! with one filter and one order, and ends never.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use rivergen_platform::db::TenantScope;
use sea_orm::{
    ColumnTrait, ConnectionTrait, EntityTrait, ModelTrait, Order, PaginatorTrait, QueryFilter, QueryOrder, QuerySelect,
    Select, sea_query::NullOrdering,
};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{
    error::{Kind, Result, ScimError},
    filter, group,
    http::{Answer, Provisioner, Search},
    query::Table,
    user,
};

/// Where a page begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Position {
    After(i64),
    Skip(u64),
}

#[derive(Debug, Serialize, Deserialize)]
struct Cursor {
    at: Position,
    /// Of the filter and the order.
    of: String,
}

impl Search {
    fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        for part in [self.filter.as_deref(), self.sort_by.as_deref(), Some(if self.is_descending { "d" } else { "a" })]
        {
            hash.update(part.unwrap_or_default().as_bytes());
            hash.update([0]);
        }
        hex::encode(&hash.finalize()[..8])
    }

    fn position(&self) -> Result<Position> {
        let invalid = || ScimError::new(Kind::InvalidCursor, "The cursor is of another list; begin again.");
        match self.cursor.as_deref() {
            None => Ok(Position::Skip(self.start_index - 1)),
            Some("") if self.sort_by.is_none() => Ok(Position::After(0)),
            Some("") => Ok(Position::Skip(0)),
            Some(text) => {
                let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid())?;
                let cursor: Cursor = serde_json::from_slice(&bytes).map_err(|_| invalid())?;
                (cursor.of == self.fingerprint()).then_some(cursor.at).ok_or_else(invalid)
            }
        }
    }
}

/// A page of rows, how many there are in all, and where the next page begins.
struct Page<M> {
    rows: Vec<M>,
    total: u64,
    next: Option<String>,
}

async fn page<E>(
    db: &impl ConnectionTrait,
    table: Table,
    all: Select<E>,
    id: E::Column,
    search: &Search,
) -> Result<Page<E::Model>>
where
    E: EntityTrait,
    E::Model: ModelTrait<Entity = E> + Send + Sync,
{
    let backend = db.get_database_backend();
    let all = match &search.filter {
        Some(text) => all.filter(table.condition(backend, &filter::parse(text)?)?),
        None => all,
    };
    let position = search.position()?;
    let mut wanted = all.clone();
    if let Some(sort_by) = &search.sort_by {
        // What has no value comes last, and first where the order is turned round (RFC 7644, section 3.4.2.3).
        let (order, nulls) = match search.is_descending {
            false => (Order::Asc, NullOrdering::Last),
            true => (Order::Desc, NullOrdering::First),
        };
        wanted = wanted.order_by_with_nulls(table.order(backend, sort_by)?, order, nulls);
    }
    wanted = match position {
        Position::After(after) => wanted.filter(id.gt(after)),
        Position::Skip(skipped) => wanted.offset(skipped.min(i64::MAX as u64)),
    };
    // One more than asked for tells whether there is another page.
    let mut rows = match search.count {
        0 => Vec::new(),
        count => wanted.order_by_asc(id).limit(count + 1).all(db).await?,
    };
    let wanted = usize::try_from(search.count).unwrap_or(usize::MAX);
    let goes_on = rows.len() > wanted;
    rows.truncate(wanted);
    let shown = rows.len() as u64;
    let total = match position {
        // The last page tells how many there are, without counting them.
        Position::Skip(skipped) if search.count > 0 && !goes_on && (shown > 0 || skipped == 0) => skipped + shown,
        _ => all.count(db).await?,
    };
    let next = match (goes_on, position, rows.last()) {
        (true, Position::After(_), Some(last)) => match last.get(id) {
            sea_orm::Value::BigInt(Some(last)) => Some(Position::After(last)),
            _ => None,
        },
        (true, Position::Skip(skipped), Some(_)) => Some(Position::Skip(skipped + shown)),
        _ => None,
    };
    let next = match next.filter(|_| search.cursor.is_some()) {
        Some(at) => {
            let cursor = Cursor { at, of: search.fingerprint() };
            let text = serde_json::to_vec(&cursor).map_err(rivergen_kernel::Error::internal)?;
            Some(URL_SAFE_NO_PAD.encode(text))
        }
        None => None,
    };
    Ok(Page { rows, total, next })
}

fn answer(search: &Search, resources: Vec<Value>, total: u64, next: Option<String>) -> Answer {
    let mut answer = Answer::list(resources, total, search.start_index);
    if let (Some(_), Some(body)) = (&search.cursor, answer.body.as_mut().and_then(Value::as_object_mut)) {
        body.remove("startIndex");
        if let Some(next) = next {
            body.insert("nextCursor".to_owned(), next.into());
        }
    }
    answer
}

/// What a page shows.
struct Listed {
    resources: Vec<Value>,
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
    let projection = search.projection(Table::Users.resource())?;
    // Index: scim_users(organization_id, user_id), unique; those of the names where a filter looks one up.
    let all = provisioner.tenant().find::<user::Entity>();
    let Page { rows, total, next } = page(db, Table::Users, all, user::Column::UserId, search).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut groups = match projection.shows("groups") {
        true => user::groups_of(db, &ids).await?,
        false => Default::default(),
    };
    let base = provisioner.base();
    let shown = |row: user::Model| {
        let document = row.shown(&base, &groups.remove(&row.id).unwrap_or_default()).document;
        projection.of(Table::Users.resource(), document)
    };
    let resources = rows.into_iter().map(shown).collect();
    Ok(Listed { resources, total, next })
}

async fn list_groups(provisioner: &Provisioner, search: &Search) -> Result<Listed> {
    let db = provisioner.platform().db.read();
    let projection = search.projection(Table::Groups.resource())?;
    // Index: scim_groups(organization_id, id); that of the names where a filter looks one up.
    let all = provisioner.tenant().find::<group::Entity>();
    let Page { rows, total, next } = page(db, Table::Groups, all, group::Column::Id, search).await?;
    let ids: Vec<i64> = rows.iter().map(|row| row.id).collect();
    let mut members = match projection.shows("members") {
        true => group::members_of(db, &ids).await?,
        false => Default::default(),
    };
    let base = provisioner.base();
    let shown = |row: group::Model| {
        let document = row.shown(&base, members.remove(&row.id).as_deref()).document;
        projection.of(Table::Groups.resource(), document)
    };
    let resources = rows.into_iter().map(shown).collect();
    Ok(Listed { resources, total, next })
}
