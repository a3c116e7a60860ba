//! The part of the reading that concerns the names of columns: which columns a phrase mentions, and whose they are.

use super::compose::Composer;
use super::cue::Cue;
use super::intent::Mention;
use super::link::{self, Meaning, Noun};
use super::schema::{ColumnId, TableId};

/// What a name of a thing's own column is worth at least, where the thing was named as its owner.
const WEAKEST_OWN: f64 = 0.5;

impl Composer<'_> {
    /// The columns that the phrase at this place can mean.
    pub(super) fn mention(&self, at: usize) -> Option<Mention> {
        let noun = self.noun(at)?;
        let has = |table: &TableId| noun.columns.iter().any(|column| column.table == *table);
        let said = self.owner_behind(at + 1);
        let owner = said.filter(has);
        // Of the thing itself the nearest name will do.
        let own = |table: TableId, least: f64| {
            let mut weaker = noun.weaker.iter().filter(|(_, score)| *score >= least);
            weaker.find(|(column, _)| column.table == table).copied()
        };
        let weaker = match said {
            Some(table) if owner.is_none() && !noun.qualified => own(table, WEAKEST_OWN),
            Some(_) => None,
            None => self.last_table.filter(|table| !has(table) && !noun.qualified).and_then(|table| own(table, 0.6)),
        };
        if let Some((column, score)) = weaker {
            return Some(Mention {
                columns: vec![column],
                text: self.text(at, at + 1),
                near: Some(column.table),
                qualified: true,
                implied: link::implied(noun),
                score,
                is_value: false,
            });
        }
        Some(Mention {
            columns: noun.columns.clone(),
            text: self.text(at, at + 1),
            near: owner.or(self.last_table),
            qualified: noun.qualified || owner.is_some(),
            implied: link::implied(noun),
            score: noun.column_score,
            is_value: false,
        })
    }

    /// The table whose columns are named: "the id, name *and age of the students*", "names for all students".
    pub(super) fn owner_behind(&self, mut at: usize) -> Option<TableId> {
        loop {
            let is_for = || self.links[at].text.eq_ignore_ascii_case("for");
            let of_each = || self.links[at].text.eq_ignore_ascii_case("of each");
            match self.meaning(at)? {
                Meaning::Cue(Cue::Of) => break,
                Meaning::Cue(Cue::By) if of_each() => break,
                Meaning::Cue(Cue::Noise) if is_for() => break,
                Meaning::Pause | Meaning::Cue(Cue::And | Cue::Noise | Cue::Distinct | Cue::Aggregate(_)) => {}
                Meaning::Noun(noun) if noun.table.is_none_or(|(_, score)| score < noun.column_score) => {}
                _ => return None,
            }
            at += 1;
        }
        // "of each document", "of every course"
        at = self.skip_noise(at);
        at = self.skip_noise(at + usize::from(self.cue(at) == Some(Cue::By)));
        // "the name of the most expensive product", "the names of the 3 oldest members"
        while matches!(self.cue(at), Some(Cue::Superlative(..) | Cue::Top(_) | Cue::Distinct))
            || matches!(self.meaning(at), Some(Meaning::Number(_)))
        {
            at = self.skip_noise(at + 1);
        }
        let owner = self.noun(at)?;
        owner.table.filter(|(_, score)| *score >= owner.column_score).map(|(table, _)| table)
    }

    pub(super) fn is_number_column(&self, column: ColumnId) -> bool {
        self.schema.is_numeric(column) && !self.schema.is_key_like(column)
    }

    /// Some of what the phrase can name are numbers.
    pub(super) fn has_numbers(&self, noun: &Noun) -> bool {
        noun.columns.iter().any(|column| self.is_number_column(*column))
    }

    /// The phrase names a number, and no thing.
    pub(super) fn is_number(&self, noun: &Noun) -> bool {
        noun.table.is_none() && self.has_numbers(noun)
    }

    pub(super) fn numbers_of(&self, mention: &Mention) -> Vec<ColumnId> {
        mention.columns.iter().copied().filter(|column| self.is_number_column(*column)).collect()
    }
}
