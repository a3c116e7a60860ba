//! Filters and orders as conditions of the database: every value is bound, and every name comes from the schema.
//!
//! ```text
//! userName, externalId, id, active, displayName of groups, meta   →  columns, of which the first three have an index
//! everything else                                                  →  the folded document, by JSON functions
//! emails[…], emails.value                                          →  EXISTS over the values in it
//! groups of a user, members of a group                             →  EXISTS over the table of members
//! ```
//!
//! A condition is true or false and never unknown, so that `not` means what it says: an attribute without a value is
//! different from every value.

use rivergen_kernel::Error;
use scim_v2::filter::{AttrExp, AttrPath, CompValue, CompareOp, Filter, ValFilter};
use sea_orm::{
    ConnectionTrait, DbBackend, EntityTrait, QuerySelect, QueryTrait,
    sea_query::{Alias, Expr, ExprTrait, Func, Query, SelectStatement},
};
use serde::de::DeserializeOwned;

use super::{
    error::{Kind as ErrorKind, Result, ScimError},
    filter::{self, Literal, invalid},
    group,
    schema::{Attribute, GROUPS, Kind, Place, ResourceType, USERS},
    user,
};

/// A resource as the database has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    Users,
    Groups,
}

/// What of a row is compared.
enum Operand {
    /// Folded, and `None` where there is no value.
    Text(Expr),
    /// A number that the API writes as a text.
    Id(Expr),
    Flag(Expr),
    Time(Expr),
}

impl Table {
    pub fn resource(self) -> &'static ResourceType {
        match self {
            Self::Users => &USERS,
            Self::Groups => &GROUPS,
        }
    }

    /// The condition that a filter is.
    pub fn condition(self, backend: DbBackend, filter: &Filter) -> Result<Expr> {
        match filter {
            Filter::Attr(expression) => self.expression(backend, expression),
            Filter::ValuePath(path) => {
                let place = self.place(&path.attr)?;
                if place.part.is_some() || place.attribute.kind != Kind::Complex || !place.attribute.is_multi_valued {
                    return Err(invalid(format!("{} has not many values.", path.attr)));
                }
                self.any_value(backend, place, names_one(&path.filter), |values| values.condition(&path.filter))
            }
            Filter::Not(inner) => Ok(self.condition(backend, inner)?.not()),
            Filter::And(all) => joined(all.iter().map(|one| self.condition(backend, one)), Expr::and),
            Filter::Or(all) => joined(all.iter().map(|one| self.condition(backend, one)), Expr::or),
        }
    }

    fn place(self, path: &AttrPath) -> Result<Place> {
        let found = self.resource().resolve(path.uri.as_deref(), &path.name, path.sub_attr.as_deref());
        found.ok_or_else(|| invalid(format!("There is no attribute {path}.")))
    }

    fn expression(self, backend: DbBackend, expression: &AttrExp) -> Result<Expr> {
        let (path, comparison) = match expression {
            AttrExp::Present(path) => (path, None),
            AttrExp::Comparison(path, op, value) => (path, Some((op, value))),
        };
        let mut place = self.place(path)?;
        if place.attribute.name == "schemas" {
            return Err(invalid("schemas are not searched; the endpoint says what is there."));
        }
        if place.attribute.is_multi_valued {
            // The values themselves, where no part is named (RFC 7644, section 3.4.2.2).
            return match (place.part.take().or_else(|| place.attribute.part("value")), comparison) {
                (_, None) if path.sub_attr.is_none() => {
                    self.any_value(backend, place, false, |_| Ok(Expr::val(true).eq(true)))
                }
                (Some(part), comparison) => {
                    let is_named = part.name == "value" && matches!(comparison, Some((CompareOp::Eq, _)));
                    self.any_value(backend, place, is_named, |values| values.compared(part, comparison))
                }
                (None, _) => Err(invalid(format!("{path} has parts: name one of them."))),
            };
        }
        match comparison {
            None => Ok(self.is_present(backend, place)),
            Some((op, value)) => {
                let literal = filter::literal(place.leaf(), op, value)?;
                compared(backend, self.operand(backend, place)?, op, &literal)
            }
        }
    }

    fn is_present(self, backend: DbBackend, place: Place) -> Expr {
        match (place.attribute.name, self) {
            ("id" | "meta", _) | ("userName", Table::Users) | ("displayName", Table::Groups) => {
                Expr::val(true).eq(true)
            }
            ("externalId", Table::Users) => column(user::Entity, user::Column::ExternalId).is_not_null(),
            ("externalId", Table::Groups) => column(group::Entity, group::Column::ExternalId).is_not_null(),
            _ => json_text(backend, folded(), &keys(place)).is_not_null(),
        }
    }

    fn operand(self, backend: DbBackend, place: Place) -> Result<Operand> {
        let part = place.part.map(|part| part.name);
        Ok(match (self, place.attribute.name, part) {
            (_, "meta", Some("version" | "location" | "resourceType") | None) => {
                return Err(invalid("Of meta, created and lastModified are compared."));
            }
            (Self::Users, "id", _) => Operand::Id(column(user::Entity, user::Column::UserId)),
            (Self::Users, "userName", _) => Operand::Text(column(user::Entity, user::Column::UserNameKey)),
            (Self::Users, "externalId", _) => Operand::Text(column(user::Entity, user::Column::ExternalId)),
            (Self::Users, "active", _) => Operand::Flag(column(user::Entity, user::Column::Active)),
            (Self::Users, "meta", Some("created")) => Operand::Time(column(user::Entity, user::Column::CreatedAt)),
            (Self::Users, "meta", _) => Operand::Time(column(user::Entity, user::Column::UpdatedAt)),
            (Self::Users, ..) => Operand::Text(json_text(backend, folded(), &keys(place))),
            (Self::Groups, "id", _) => Operand::Id(column(group::Entity, group::Column::Id)),
            (Self::Groups, "displayName", _) => Operand::Text(column(group::Entity, group::Column::DisplayNameKey)),
            (Self::Groups, "externalId", _) => Operand::Text(column(group::Entity, group::Column::ExternalId)),
            (Self::Groups, "meta", Some("created")) => Operand::Time(column(group::Entity, group::Column::CreatedAt)),
            (Self::Groups, "meta", _) => Operand::Time(column(group::Entity, group::Column::UpdatedAt)),
            (Self::Groups, name, _) => return Err(invalid(format!("{name} cannot be compared."))),
        })
    }

    /// Whether the row has a value of an attribute with many of which the condition is true. Where one group or one member
    /// is named, the database begins with that one, and not with every row of the list.
    fn any_value(
        self,
        backend: DbBackend,
        place: Place,
        is_named: bool,
        condition: impl FnOnce(&Values) -> Result<Expr>,
    ) -> Result<Expr> {
        let source = match (self, place.attribute.name) {
            (Self::Users, "groups") => Source::Groups,
            (Self::Groups, "members") => Source::Members,
            _ => Source::Document,
        };
        let values = Values { backend, attribute: place.attribute, source };
        let condition = condition(&values)?;
        // Indexes: the primary key of scim_group_members, and scim_group_members(scim_user_id, group_id).
        let members = group::member::Entity::find().select_only();
        let (mut select, link, row): (SelectStatement, _, _) = match source {
            Source::Groups => (
                members
                    .column(group::member::Column::ScimUserId)
                    .join(sea_orm::JoinType::InnerJoin, group::member::to_group())
                    .into_query(),
                group::member::Column::ScimUserId,
                column(user::Entity, user::Column::Id),
            ),
            Source::Members => (
                members
                    .column(group::member::Column::GroupId)
                    .join(sea_orm::JoinType::InnerJoin, group::member::to_user())
                    .into_query(),
                group::member::Column::GroupId,
                column(group::Entity, group::Column::Id),
            ),
            Source::Document => {
                let call = match backend {
                    DbBackend::Postgres => Func::cust("jsonb_array_elements")
                        .arg(Func::cust("jsonb_extract_path").args(keys(place).after(folded()))),
                    _ => Func::cust("json_each").arg(folded()).arg(json_path(&keys(place))),
                };
                let mut select = Query::select().expr(Expr::val(1)).from_function(call, ELEMENT).to_owned();
                return Ok(Expr::exists(select.and_where(condition).to_owned()));
            }
        };
        select.and_where(condition);
        if is_named {
            return Ok(row.in_subquery(select));
        }
        select.and_where(column(group::member::Entity, link).eq(row));
        Ok(Expr::exists(select))
    }

    /// What a list is ordered by.
    pub fn order(self, backend: DbBackend, path: &str) -> Result<SortKey> {
        let unknown = || ScimError::new(ErrorKind::InvalidPath, "sortBy names no attribute that can be ordered by.");
        let place = self.resource().resolve_text(path).ok_or_else(unknown)?;
        if place.attribute.is_multi_valued {
            // The primary value stands first.
            let part = place.part.or_else(|| place.attribute.part("value")).ok_or_else(unknown)?;
            if self == Self::Groups || place.attribute.name == "groups" || place.attribute.name == "schemas" {
                return Err(unknown());
            }
            let mut keys = keys(Place { part: None, ..place });
            keys.0.extend([Key::First, Key::Name(part.name)]);
            let by = collated(backend, json_text(backend, folded(), &keys));
            return Ok(SortKey { by, kind: SortKind::Text, had: Had::Partly });
        }
        if place.leaf().kind == Kind::Complex {
            return Err(unknown());
        }
        let (by, kind) = match self.operand(backend, place).map_err(|_| unknown())? {
            Operand::Text(text) => (collated(backend, text), SortKind::Text),
            Operand::Id(id) => (id, SortKind::Id),
            Operand::Flag(flag) => (flag, SortKind::Flag),
            Operand::Time(time) => (time, SortKind::Time),
        };
        let had = match (self, place.attribute.name) {
            (_, "id") | (Self::Users, "userName") => Had::EachAlone,
            (_, "active" | "meta") | (Self::Groups, "displayName") => Had::Each,
            _ => Had::Partly,
        };
        Ok(SortKey { by, kind, had })
    }
}

/// What a list is ordered by, and what its values are.
pub struct SortKey {
    pub by: Expr,
    pub kind: SortKind,
    pub had: Had,
}

/// Which rows of a list have what it is ordered by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Had {
    /// Not all of them.
    Partly,
    /// Each of them, perhaps the same as another one.
    Each,
    /// Each of them, and the same as no other one: it says which row is meant, and no order is wanted beside it.
    EachAlone,
}

impl SortKey {
    /// Whether a row comes behind a value (`None`: behind a row that has none), or `is_later` among those that have the
    /// same. What has no value comes last, and first where the order is turned round. That a row is not before the
    /// value is said by itself: there an index begins, which begins at no alternative.
    pub fn behind(&self, value: Option<Expr>, is_later: Expr, is_descending: bool) -> Expr {
        let by = || self.by.clone();
        match (value, is_descending) {
            (None, false) => by().is_null().and(is_later),
            (None, true) => by().is_not_null().or(is_later),
            (Some(value), false) => {
                let behind = by().gte(value.clone()).and(by().gt(value).or(is_later));
                match self.had {
                    Had::Partly => behind.or(by().is_null()),
                    Had::Each | Had::EachAlone => behind,
                }
            }
            (Some(value), true) => by().lte(value.clone()).and(by().lt(value).or(is_later)),
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SortKind {
    Text,
    Id,
    Flag,
    Time,
}

/// Whether the filter in brackets says which one it means.
fn names_one(filter: &ValFilter) -> bool {
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, _)) => path.name.eq_ignore_ascii_case("value"),
        ValFilter::And(all) => all.iter().any(names_one),
        _ => false,
    }
}

/// The condition that a filter in brackets is of the members of groups, with whom their users are joined.
pub fn of_members(backend: DbBackend, attribute: &'static Attribute, filter: &ValFilter) -> Result<Expr> {
    Values { backend, attribute, source: Source::Members }.condition(filter)
}

/// Where the values of an attribute with many stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Document,
    Groups,
    Members,
}

/// One value of many, within an `EXISTS`.
struct Values {
    backend: DbBackend,
    attribute: &'static Attribute,
    source: Source,
}

const ELEMENT: &str = "element";

impl Values {
    fn condition(&self, filter: &ValFilter) -> Result<Expr> {
        match filter {
            ValFilter::Attr(AttrExp::Present(path)) => self.compared(filter::part(self.attribute, path)?, None),
            ValFilter::Attr(AttrExp::Comparison(path, op, value)) => {
                self.compared(filter::part(self.attribute, path)?, Some((op, value)))
            }
            ValFilter::Not(inner) => Ok(self.condition(inner)?.not()),
            ValFilter::And(all) => joined(all.iter().map(|one| self.condition(one)), Expr::and),
            ValFilter::Or(all) => joined(all.iter().map(|one| self.condition(one)), Expr::or),
        }
    }

    fn compared(&self, part: &Attribute, comparison: Option<(&CompareOp, &CompValue)>) -> Result<Expr> {
        let operand = self.operand(part)?;
        match comparison {
            None => Ok(match operand {
                Operand::Text(it) | Operand::Id(it) | Operand::Flag(it) | Operand::Time(it) => it.is_not_null(),
            }),
            Some((op, value)) => compared(self.backend, operand, op, &filter::literal(part, op, value)?),
        }
    }

    fn operand(&self, part: &Attribute) -> Result<Operand> {
        Ok(match (self.source, part.name) {
            (Source::Groups, "value") => Operand::Id(column(group::Entity, group::Column::Id)),
            (Source::Groups, "display") => Operand::Text(column(group::Entity, group::Column::DisplayNameKey)),
            (Source::Groups, "type") => Operand::Text(Expr::val("direct")),
            (Source::Members, "value") => Operand::Id(column(user::Entity, user::Column::UserId)),
            (Source::Members, "display") => {
                // As a group shows them.
                let name = json_text(self.backend, folded(), &Keys(vec![Key::Name("displayName")]));
                let user_name = column(user::Entity, user::Column::UserNameKey);
                Operand::Text(Func::coalesce([name, user_name]).into())
            }
            (Source::Members, "type") => Operand::Text(Expr::val("user")),
            (Source::Document, name) => {
                let element = Expr::col((Alias::new(ELEMENT), Alias::new("value")));
                Operand::Text(json_text(self.backend, element, &Keys(vec![Key::Name(name)])))
            }
            (_, name) => return Err(invalid(format!("{name} cannot be compared."))),
        })
    }
}

fn joined(parts: impl Iterator<Item = Result<Expr>>, join: fn(Expr, Expr) -> Expr) -> Result<Expr> {
    let mut whole: Option<Expr> = None;
    for part in parts {
        let part = part?;
        whole = Some(match whole {
            Some(before) => join(before, part),
            None => part,
        });
    }
    whole.ok_or_else(|| invalid("The filter says nothing."))
}

fn column<E: EntityTrait>(entity: E, column: E::Column) -> Expr {
    Expr::col((entity, column))
}

/// What a group calls a member, of whom the whole document is not read: at most 255 characters of the name. PostgreSQL has it
/// beside the ids in an index, scim_users_member.
pub fn name_of_member(backend: DbBackend) -> Expr {
    if backend == DbBackend::Postgres {
        return Expr::col((user::Entity, Alias::new("member_name")));
    }
    let part = |name: &'static str| {
        json_text(backend, column(user::Entity, user::Column::Attributes), &Keys(vec![Key::Name(name)]))
    };
    let name = Func::coalesce([part("displayName"), part("userName")]);
    Func::cust("substr").arg(name).arg(Expr::val(1)).arg(Expr::val(255)).into()
}

/// The rows of a query, each with these columns, in any order. They come as one text: of thousands of rows, each by itself
/// takes longer on its way than to be found.
pub async fn rows_at_once<T: DeserializeOwned>(
    db: &impl ConnectionTrait,
    rows: SelectStatement,
    columns: &[&'static str],
) -> Result<Vec<T>> {
    let (row, all) = match db.get_database_backend() {
        DbBackend::Postgres => ("json_build_array", "json_agg"),
        _ => ("json_array", "json_group_array"),
    };
    let values = columns.iter().map(|column| Expr::col(Alias::new(*column)));
    let text = Expr::from(Func::cust(all).arg(Func::cust(row).args(values))).cast_as("text");
    let select = Query::select().expr(text).from_subquery(rows, "found").to_owned();
    let text: Option<String> = match db.query_one(&select).await? {
        Some(row) => row.try_get_by_index(0)?,
        None => None,
    };
    match text {
        Some(text) => Ok(serde_json::from_str(&text).map_err(Error::internal)?),
        // PostgreSQL makes no array of no rows.
        None => Ok(Vec::new()),
    }
}

fn folded() -> Expr {
    column(user::Entity, user::Column::Folded)
}

/// A way into a document, of names that the schema has.
struct Keys(Vec<Key>);

#[derive(Clone, Copy)]
enum Key {
    Name(&'static str),
    First,
}

fn keys(place: Place) -> Keys {
    let extension = place.extension.map(|extension| extension.id);
    let names = [extension, Some(place.attribute.name), place.part.map(|part| part.name)];
    Keys(names.into_iter().flatten().map(Key::Name).collect())
}

impl Keys {
    /// The arguments of PostgreSQL's functions: the document, then each step.
    fn after(&self, document: Expr) -> Vec<Expr> {
        let text = |key: &Key| match key {
            Key::Name(name) => *name,
            Key::First => "0",
        };
        std::iter::once(document).chain(self.0.iter().map(|key| Expr::val(text(key)))).collect()
    }
}

/// The way as SQLite writes it.
fn json_path(keys: &Keys) -> Expr {
    let mut path = String::from("$");
    for key in &keys.0 {
        match key {
            Key::Name(name) => path.extend([".\"", name, "\""]),
            Key::First => path.push_str("[0]"),
        }
    }
    Expr::val(path)
}

/// The text at a place of a document.
fn json_text(backend: DbBackend, document: Expr, keys: &Keys) -> Expr {
    match backend {
        DbBackend::Postgres => Func::cust("jsonb_extract_path_text").args(keys.after(document)).into(),
        _ => Func::cust("json_extract").arg(document).arg(json_path(keys)).into(),
    }
}

/// By code points, as SQLite does by itself, and PostgreSQL in the columns of names.
fn collated(backend: DbBackend, text: Expr) -> Expr {
    match backend {
        DbBackend::Postgres => Expr::cust_with_expr("$1 COLLATE \"C\"", text),
        _ => text,
    }
}

fn compared(backend: DbBackend, operand: Operand, op: &CompareOp, literal: &Literal) -> Result<Expr> {
    match (operand, literal) {
        (Operand::Text(it) | Operand::Id(it) | Operand::Flag(it) | Operand::Time(it), Literal::Nothing) => {
            Ok(match op {
                CompareOp::Ne => it.is_not_null(),
                _ => it.is_null(),
            })
        }
        (Operand::Flag(flag), Literal::Flag(wanted)) => Ok(match op {
            CompareOp::Ne => flag.ne(*wanted),
            _ => flag.eq(*wanted),
        }),
        // Of a document, where it is a text.
        (Operand::Text(text), Literal::Flag(wanted)) => Ok(text_compared(backend, text, op, &wanted.to_string())),
        (Operand::Text(text), Literal::Text(wanted)) => Ok(text_compared(backend, text, op, wanted)),
        (Operand::Id(id), Literal::Text(wanted)) => Ok(match (op, wanted.parse::<i64>()) {
            (CompareOp::Eq, Ok(wanted)) => id.eq(wanted),
            (CompareOp::Eq, Err(_)) => Expr::val(true).eq(false),
            (CompareOp::Ne, Ok(wanted)) => id.ne(wanted),
            (CompareOp::Ne, Err(_)) => Expr::val(true).eq(true),
            _ => text_compared(backend, id.cast_as("text"), op, wanted),
        }),
        (Operand::Time(time), Literal::Time(wanted)) => Ok(match op {
            CompareOp::Ne => time.ne(*wanted),
            CompareOp::Gt => time.gt(*wanted),
            CompareOp::Ge => time.gte(*wanted),
            CompareOp::Lt => time.lt(*wanted),
            CompareOp::Le => time.lte(*wanted),
            _ => time.eq(*wanted),
        }),
        _ => Err(invalid("The attribute has no values of this kind.")),
    }
}

fn text_compared(backend: DbBackend, text: Expr, op: &CompareOp, wanted: &str) -> Expr {
    let has = text.clone().is_not_null();
    let length = i32::try_from(wanted.chars().count()).unwrap_or(i32::MAX);
    let long_enough = |text: &Expr| -> Expr { Expr::from(Func::cust("length").arg(text.clone())).gte(length) };
    let cut = |text: &Expr, from: Expr| -> Expr {
        Func::cust("substr").arg(text.clone()).arg(from).arg(Expr::val(length)).into()
    };
    match op {
        CompareOp::Eq => has.and(text.eq(wanted)),
        CompareOp::Ne => text.clone().is_null().or(text.ne(wanted)),
        CompareOp::Co => {
            let function = if backend == DbBackend::Postgres { "strpos" } else { "instr" };
            let at: Expr = Func::cust(function).arg(text).arg(Expr::val(wanted)).into();
            has.and(at.gt(0))
        }
        CompareOp::Sw => has.and(cut(&text, Expr::val(1)).eq(wanted)),
        CompareOp::Ew => {
            let from: Expr = Expr::from(Func::cust("length").arg(text.clone())).sub(length).add(1);
            has.and(long_enough(&text)).and(cut(&text, from).eq(wanted))
        }
        CompareOp::Gt => has.and(collated(backend, text).gt(wanted)),
        CompareOp::Ge => has.and(collated(backend, text).gte(wanted)),
        CompareOp::Lt => has.and(collated(backend, text).lt(wanted)),
        CompareOp::Le => has.and(collated(backend, text).lte(wanted)),
    }
}
