//! What somebody reads of SQL that another person's question became.
//!
//! Whoever asked may have seen more: its literals may be values that are masked or filtered away for the reader, and
//! its names those of tables and columns that do not exist for them.

use rivergen_kernel::{Caller, DataSourceId, Permission, Result};
use rivergen_query::statement::{self, Accepted};
use rivergen_runs::catalogue::{Catalogue, CatalogueTable};
use rivergen_sources::{access::Access, source};
use sea_orm::entity::prelude::*;

use crate::{
    Studio,
    prompt::{self, read, versions},
};

/// What the caller sees of the sources, as far as they may query them.
pub(crate) async fn seen(
    studio: &Studio,
    caller: &Caller,
    access: &Access,
    sources: &[DataSourceId],
) -> Result<Catalogue> {
    let db = studio.engine.platform.db.read();
    let named = access.sources().filter(source::Column::Id.is_in(sources.iter().copied()));
    let shown = access.shown(db, named.filter(source::Column::DeletedAt.is_null())).await?;
    studio.engine.known(caller, access.tenant(), shown.all(db).await?).await
}

/// SQL over the sources as it is read by whoever sees so much of them: as it is where they see all that it may read,
/// with `?` for each literal where they see a part, and not at all where it names something that does not exist for
/// them.
pub(crate) fn told(catalogue: &Catalogue, sources: &[DataSourceId], sql: &str) -> Option<String> {
    let Accepted { relations, .. } = statement::accept(sql).ok()?;
    let mut read: Vec<&CatalogueTable> = Vec::new();
    for relation in &relations {
        let name = relation.0.last()?.as_ident()?;
        let is_meant = |table: &&CatalogueTable| {
            sources.contains(&table.source_id) && table.name.table.eq_ignore_ascii_case(&name.value)
        };
        let known = read.len();
        read.extend(catalogue.tables.iter().filter(is_meant));
        if read.len() == known {
            return None;
        }
    }
    if !read.is_empty() && read.iter().all(|table| table.decision.is_whole()) {
        return Some(sql.to_owned());
    }
    let words = statement::words(sql);
    let exists = |table: &&CatalogueTable| {
        let is_hidden = |column: &String| words.contains(&column.to_lowercase());
        table.decision.is_allowed() && !table.decision.hidden.keys().any(is_hidden)
    };
    read.iter().all(exists).then(|| statement::without_literals(sql))
}

/// Somebody who reads what a saved question became.
pub(crate) enum Reader {
    /// Who asked it, and nobody else before them.
    Author,
    /// Who may query some of its sources, perhaps an heir of its author's.
    Other { seen: Box<Catalogue>, sources: Vec<DataSourceId> },
    /// Who may query nothing.
    Stranger,
}

impl Reader {
    pub async fn of(studio: &Studio, caller: &Caller, question: &prompt::Model) -> Result<Self> {
        let db = studio.engine.platform.db.read();
        if question.created_by_user_id == caller.user_id
            && versions::are_made_by(db, question.id, caller.user_id).await?
        {
            return Ok(Self::Author);
        }
        let Ok(access) = Access::of(caller, Permission::DataSourceQuery) else { return Ok(Self::Stranger) };
        let sources: Vec<DataSourceId> = read(&question.selected_data_source_ids)?;
        let seen = Box::new(seen(studio, caller, &access, &sources).await?);
        Ok(Self::Other { seen, sources })
    }

    /// The SQL as they read it.
    pub fn told(&self, sql: &str) -> Option<String> {
        match self {
            Self::Author => Some(sql.to_owned()),
            Self::Other { seen, sources } => told(seen, sources, sql),
            Self::Stranger => None,
        }
    }

    /// Whether they read everything that was said of the SQL, or, where there is none, of the question.
    pub fn reads_all(&self, sql: Option<&str>) -> bool {
        matches!(self, Self::Author) || sql.is_some_and(|sql| self.told(sql).as_deref() == Some(sql))
    }
}
