//! The words by which members are found.

use std::{cmp::Reverse, collections::BTreeSet};

use rivergen_identity::user::User;
use rivergen_kernel::{Error, OrganizationId, Result, Tenant, UserId};
use rivergen_platform::Transaction;
use sea_orm::{
    Condition, ConnectionTrait, DbBackend, QuerySelect, QueryTrait, Select,
    entity::prelude::*,
    sea_query::{Alias, Asterisk, ExprTrait, Func, InsertStatement, Query, SelectStatement},
};

use super::page::Sought;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, Eq, DeriveEntityModel)]
#[sea_orm(table_name = "member_words")]
pub struct Model {
    #[sea_orm(primary_key, auto_increment = false)]
    pub organization_id: OrganizationId,
    #[sea_orm(primary_key, auto_increment = false)]
    pub word: String,
    /// What the member stands by in a list by name.
    #[sea_orm(primary_key, auto_increment = false)]
    pub name_key: String,
    #[sea_orm(primary_key, auto_increment = false)]
    pub user_id: UserId,
}

impl ActiveModelBehavior for ActiveModel {}

const LONGEST: usize = 64;
/// Of the words of a search, so many are asked how many members have them.
const RANKED: usize = 8;

/// The words of a name and an address, the whole address among them. None is left out, as a search may be for any; they
/// are no more than fit into a name and an address.
pub fn words_of(name: &str, email: &str) -> BTreeSet<String> {
    let email = email.to_lowercase();
    let parts = split(name).chain(split(&email)).map(|word| clipped(&word));
    parts.chain([clipped(&email)]).collect()
}

fn clipped(word: &str) -> String {
    word.chars().take(LONGEST).collect()
}

fn split(text: &str) -> impl Iterator<Item = String> {
    let lower = text.to_lowercase();
    let words: Vec<String> =
        lower.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_owned).collect();
    words.into_iter()
}

/// Whom a search means: everybody, where it is blank; `None`: nobody, where it has no word.
pub(crate) async fn meant_by(
    db: &impl ConnectionTrait,
    tenant: Tenant,
    search: Option<&str>,
) -> Result<Option<Sought>> {
    match search.map(str::trim).filter(|text| !text.is_empty()) {
        Some(text) => found_by(db, tenant, text).await,
        None => Ok(Some(Sought::everybody())),
    }
}

/// Members who are found by every word of the text, each the beginning of one of theirs; `None` where the text has no
/// word. An address is one word.
async fn found_by(db: &impl ConnectionTrait, tenant: Tenant, text: &str) -> Result<Option<Sought>> {
    let mut wanted = wanted_by(text);
    // Who has the rarest is looked for; the others are looked up of those alone.
    let rarest = rarest(db, tenant, &wanted).await?;
    if let Some(until) = wanted.get_mut(..=rarest) {
        until.rotate_right(1);
    }
    let Some((first, others)) = wanted.split_first() else { return Ok(None) };
    // Index: the primary key.
    let mut found = beginning_with(tenant, first);
    for word in others {
        found = found.filter(Condition::any().add_option(in_name(word)).add(Expr::exists(of_the_same(tenant, word))));
    }
    Ok(Some(Sought::by_name(found.into_query(), Column::UserId, Column::NameKey)))
}

/// The words of a search, the longest first, but for those that another one begins with: who has that has them, too.
fn wanted_by(text: &str) -> Vec<String> {
    let words = text.split_whitespace().flat_map(|token| match token.contains('@') {
        true => vec![token.to_lowercase()],
        false => split(token).collect(),
    });
    let words: BTreeSet<String> = words.map(|word| clipped(&word)).collect();
    let mut wanted: Vec<String> = Vec::with_capacity(words.len());
    // Backwards what begins with a word stands before it.
    for word in words.into_iter().rev() {
        if wanted.last().is_none_or(|longer| !longer.starts_with(&word)) {
            wanted.push(word);
        }
    }
    wanted.sort_by_key(|word| Reverse(word.len()));
    wanted
}

/// Which of the words the fewest have, of many that of the longest. They are counted as far as it takes to tell: first to a
/// thousand, then, where all have more, to four times as many. Of words that nearly everybody has, any will do.
async fn rarest(db: &impl ConnectionTrait, tenant: Tenant, words: &[String]) -> Result<usize> {
    let mut most = 1_000;
    while words.len() > 1 && most <= 64_000 {
        let mut rarest = None;
        for (at, word) in words.iter().take(RANKED).enumerate() {
            let limit = rarest.map_or(most, |(fewest, _)| fewest);
            let count = bearers(db, tenant, word, limit).await?;
            if count < limit {
                rarest = Some((count, at));
            }
        }
        if let Some((_, at)) = rarest {
            return Ok(at);
        }
        most *= 4;
    }
    Ok(0)
}

/// How often a word is found that begins so; nobody counts beyond the limit.
async fn bearers(db: &impl ConnectionTrait, tenant: Tenant, word: &str, limit: u64) -> Result<u64> {
    let few = beginning_with(tenant, word).limit(limit).into_query();
    let count = Query::select().expr(Expr::col(Asterisk).count()).from_subquery(few, "few").to_owned();
    let row = db.query_one(&count).await?;
    let count: i64 = row.map(|row| row.try_get_by_index(0)).transpose()?.unwrap_or_default();
    Ok(u64::try_from(count).unwrap_or_default())
}

/// That the name, which stands beside the word that was found, plainly has another one too: most need not be looked up then.
fn in_name(word: &str) -> Option<Condition> {
    // An address is a word with signs in it, among them such as a pattern has.
    let is_plain = word.chars().all(char::is_alphanumeric);
    let named = |pattern: String| Column::NameKey.like(pattern);
    is_plain.then(|| Condition::any().add(named(format!("{word}%"))).add(named(format!("% {word}%"))))
}

/// A word of the member in the query around. Index: member_words(user_id, organization_id, word). The offset tells
/// PostgreSQL to look it up for each of them, and not to read all who have the word.
fn of_the_same(tenant: Tenant, word: &str) -> SelectStatement {
    let other = Alias::new("other");
    Query::select()
        .expr(Expr::val(1))
        .from_as(Entity, other.clone())
        .and_where(Expr::col((other.clone(), Column::UserId)).equals((Entity, Column::UserId)))
        .and_where(Expr::col((other.clone(), Column::OrganizationId)).eq(tenant.organization_id()))
        .and_where(Expr::col((other.clone(), Column::Word)).gte(word))
        .and_where(Expr::col((other, Column::Word)).lt(end_of(word)))
        .limit(1)
        .offset(0)
        .to_owned()
}

/// Behind everything that begins so.
fn end_of(word: &str) -> String {
    format!("{word}\u{10ffff}")
}

/// A range instead of `LIKE`, which takes no index where the collation is not C. Whose address begins so is found by its first
/// word, too: the address itself, which would tell of everybody a second time, is asked for only by what is one.
fn beginning_with(tenant: Tenant, word: &str) -> Select<Entity> {
    let found = Entity::find()
        .select_only()
        .column(Column::UserId)
        .filter(Column::OrganizationId.eq(tenant.organization_id()))
        .filter(Column::Word.gte(word))
        .filter(Column::Word.lt(end_of(word)));
    match word.contains('@') {
        true => found,
        false => found.filter(Column::Word.not_like("%@%")),
    }
}

/// Writes the words of a member down, in place of those that they had.
pub(crate) async fn write(tx: &Transaction, organization_id: OrganizationId, user: &User) -> Result<()> {
    Entity::delete_many()
        .filter(Column::OrganizationId.eq(organization_id))
        .filter(Column::UserId.eq(user.id()))
        .exec(tx.conn())
        .await?;
    let words = insert(tx, organization_id, [(user.id(), &*user.account.display_name, &*user.email.email)])?;
    tx.conn().execute(&words).await?;
    Ok(())
}

/// The words of members who have none yet, to be written: all as one value, so that the statement is the same however many
/// words they have.
pub(super) fn insert<'a>(
    tx: &Transaction,
    organization_id: OrganizationId,
    people: impl IntoIterator<Item = (UserId, &'a str, &'a str)>,
) -> Result<InsertStatement> {
    let words = people.into_iter().flat_map(|(user_id, name, email)| {
        words_of(name, email).into_iter().map(move |word| (word, name.to_lowercase(), user_id))
    });
    let words = serde_json::to_string(&words.collect::<Vec<_>>()).map_err(Error::internal)?;
    let (all, [word, name_key, user_id]) = match tx.conn().get_database_backend() {
        DbBackend::Postgres => (
            Func::cust("jsonb_array_elements").arg(Expr::val(words).cast_as("jsonb")),
            ["one.value ->> 0", "one.value ->> 1", "CAST(one.value ->> 2 AS bigint)"],
        ),
        _ => (
            Func::cust("json_each").arg(words),
            ["json_extract(one.value, '$[0]')", "json_extract(one.value, '$[1]')", "json_extract(one.value, '$[2]')"],
        ),
    };
    let rows = Query::select()
        .expr(Expr::val(organization_id))
        .expr(Expr::cust(word))
        .expr(Expr::cust(name_key))
        .expr(Expr::cust(user_id))
        .from_function(all, "one")
        .to_owned();
    let columns = [Column::OrganizationId, Column::Word, Column::NameKey, Column::UserId];
    let mut insert = Query::insert();
    insert.into_table(Entity).columns(columns).select_from(rows).map_err(Error::internal)?;
    Ok(insert)
}
