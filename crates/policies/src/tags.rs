//! Tags of columns: what a column holds, in words that policies can be written for.
//!
//! ```text
//! crm.public.customers.email_2 ── pii.email ──▶ a mask for `pii.*` covers it
//! ```
//!
//! A tag is proposed by the [classifier](crate::classify) or set by a person, and counts once a person has confirmed it.
//! It is known by the names of its column: a column that is renamed in the source loses it, and a policy for the tag
//! closes the table until somebody has said what became of the column.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use rivergen_kernel::{DataSourceId, OrganizationId, Result, Tenant, UserId};
use rivergen_platform::db::{TenantOwned, TenantScope};
use sea_orm::entity::prelude::*;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::rule::ConfigError;

const MAX_TAG_CHARS: usize = 100;

#[sea_orm::model]
#[derive(Clone, Debug, PartialEq, DeriveEntityModel)]
#[sea_orm(table_name = "column_tags")]
pub struct Model {
    #[sea_orm(primary_key)]
    pub id: i64,
    pub organization_id: OrganizationId,
    pub data_source_id: DataSourceId,
    pub schema_name: String,
    pub table_name: String,
    pub column_name: String,
    pub tag: String,
    pub status: Status,
    /// Why it was proposed.
    pub reason: Option<String>,
    pub changed_at: DateTime<Utc>,
    /// Who confirmed or rejected it.
    pub changed_by_user_id: Option<UserId>,
}

impl ActiveModelBehavior for ActiveModel {}

impl TenantOwned for Entity {
    fn organization_column() -> Column {
        Column::OrganizationId
    }
}

/// The state of a tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, EnumIter, DeriveActiveEnum, ToSchema)]
#[sea_orm(rs_type = "String", db_type = "Text")]
#[serde(rename_all = "snake_case")]
#[schema(as = ColumnTagStatus)]
pub enum Status {
    /// By the classifier; it has no effect.
    #[sea_orm(string_value = "proposed")]
    Proposed,
    /// By a person; policies for the tag hold for the column.
    #[sea_orm(string_value = "confirmed")]
    Confirmed,
    /// By a person; it is not proposed again.
    #[sea_orm(string_value = "rejected")]
    Rejected,
}

/// Which tags a rule speaks of: one, or all below one (`pii.*`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TagPattern {
    Exactly(String),
    Below(String),
}

impl TagPattern {
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let (tag, below) = match text.strip_suffix(".*") {
            Some(tag) => (tag, true),
            None => (text, false),
        };
        if !is_tag(tag) {
            return Err(ConfigError::new("tag", "give a tag such as pii.email, or pii.* for all tags below pii"));
        }
        Ok(if below { Self::Below(format!("{tag}.")) } else { Self::Exactly(tag.to_owned()) })
    }

    pub fn matches(&self, tag: &str) -> bool {
        match self {
            Self::Exactly(exactly) => exactly == tag,
            Self::Below(prefix) => tag.starts_with(prefix),
        }
    }
}

/// Lower-case words with dots between them: `pii.email`.
pub fn is_tag(text: &str) -> bool {
    let is_word = |word: &str| {
        !word.is_empty() && word.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
    };
    text.chars().count() <= MAX_TAG_CHARS && text.split('.').all(is_word)
}

/// The confirmed tags of some sources: source, schema, table → column → tags.
#[derive(Debug, Clone, Default)]
pub struct Tags(BTreeMap<(DataSourceId, String, String), BTreeMap<String, BTreeSet<String>>>);

impl Tags {
    /// Index: column_tags(data_source_id, schema_name, table_name, column_name, tag), unique.
    pub async fn confirmed(db: &impl ConnectionTrait, tenant: Tenant, sources: &[DataSourceId]) -> Result<Self> {
        let rows = tenant
            .find::<Entity>()
            .filter(Column::DataSourceId.is_in(sources.iter().copied()))
            .filter(Column::Status.eq(Status::Confirmed))
            .all(db)
            .await?;
        let mut tags = Self::default();
        for row in rows {
            let table = tags.0.entry((row.data_source_id, row.schema_name, row.table_name)).or_default();
            table.entry(row.column_name).or_default().insert(row.tag);
        }
        Ok(tags)
    }

    /// Those of one table, by column.
    pub fn of_table(&self, source: DataSourceId, schema: &str, table: &str) -> BTreeMap<String, BTreeSet<String>> {
        self.0.get(&(source, schema.to_owned(), table.to_owned())).cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_means_one_tag_or_all_below_one() {
        let one = TagPattern::parse("pii.email").unwrap();
        let below = TagPattern::parse("pii.*").unwrap();
        for (tag, by_one, by_below) in [
            ("pii.email", true, true),
            ("pii.email.work", false, true),
            ("pii", false, false),
            ("piix.a", false, false),
        ] {
            assert_eq!((one.matches(tag), below.matches(tag)), (by_one, by_below), "{tag}");
        }
        for text in ["", "*", ".*", "PII", "pii..email", "pii.*.email", "a b"] {
            assert!(TagPattern::parse(text).is_err(), "{text}");
        }
    }
}
