//! Settles an intent: which column each phrase means, whose rows are aggregated, what is listed.
//!
//! The rules, where more than one reading fits (each use of one is told in the explanation):
//! a column of the table named beside the phrase comes first, then of the table that is
//! aggregated or listed, then of the table reached over the fewest references, then the first in
//! the schema. An additive number ("amount") next to groups is summed, another one ("price")
//! averaged. A time range without a column means the time of the rows that are counted. Where no
//! rule leads to an answer, the question is not understood.

use super::Unclear;
use super::cue::{Aggregate, Comparison, Direction, Quality};
use super::intent::{self, Intent, Measured, Mention, RankBy, SortBy};
use super::notes::Notes;
use super::schema::{ColumnId, Schema, TableId};
use super::settled::{Dimension, Measure, OrderBy, Settled, Shape, Test};

/// How many rows a superlative without a number gives when its noun is in the plural.
const FEW: u64 = 10;

/// How many rows a list without a number gives.
const MANY: u64 = 1000;

/// How sure it is that a word which was misspelled is what it is read as.
const OF_A_SLIP: f64 = 0.7;

pub(super) struct Settler<'a> {
    pub(super) schema: &'a Schema<'a>,
    pub(super) intent: Intent,
    pub(super) notes: Notes<'a>,
    /// Tables whose columns come first, best first.
    pub(super) preferred: Vec<TableId>,
}

impl<'a> Settler<'a> {
    pub(super) fn new(schema: &'a Schema<'a>, intent: Intent) -> Self {
        Self { schema, intent, notes: Notes::new(schema), preferred: Vec::new() }
    }

    /// Settles the whole intent.
    pub(super) fn settle(&mut self) -> Result<Settled, Unclear> {
        for (phrase, meaning) in std::mem::take(&mut self.intent.readings) {
            self.notes.understand(&phrase, meaning.to_owned());
        }
        for (typed, word) in std::mem::take(&mut self.intent.slips) {
            self.notes.understand(&typed, format!("read as \"{word}\""));
            self.notes.add(format!("\"{typed}\" is read as \"{word}\""));
            self.notes.matched(OF_A_SLIP);
        }
        self.preferred = self.intent.subjects.iter().map(|subject| subject.table).collect();
        self.ranked_is_told();
        self.names_tell_the_thing();
        self.values_tell_the_thing();
        self.columns_share_a_table();
        self.groups_have_the_number();
        self.each_row_is_listed();
        self.numbers_become_measures()?;
        self.rank_becomes_measure()?;
        self.groups_are_counted()?;
        let mut measures = Vec::new();
        for measure in self.intent.measures.clone() {
            measures.push(self.measure(&measure)?);
        }
        let named = self.named_things();
        let settled = if measures.is_empty() { self.list()? } else { self.groups(measures)? };
        self.within_reach(&settled, &named)?;
        Ok(settled)
    }

    /// The column that a mention means.
    pub(super) fn column(&mut self, mention: &Mention) -> Result<ColumnId, Unclear> {
        let inside = |table: TableId| mention.columns.iter().copied().find(|column| column.table == table);
        let by_distance = || {
            let root = *self.preferred.first()?;
            mention
                .columns
                .iter()
                .copied()
                .filter_map(|column| Some((self.schema.path_up(root, column.table)?.len(), column)))
                .min()
                .map(|(_, column)| column)
        };
        let near = mention.near.and_then(inside);
        let ruled = near.or_else(|| self.preferred.iter().find_map(|table| inside(*table)));
        let rivals = self.rivals(mention, ruled);
        let said = if rivals.len() > 1 { self.schema.chosen_column(&mention.text, &rivals) } else { None };
        if self.schema.context.asks && said.is_none() && rivals.len() > 1 {
            let choices = self.schema.column_choices(&mention.text, &rivals, mention.is_value);
            return Err(Unclear::which(&mention.text, choices));
        }
        let chosen = said
            .or(ruled)
            .or_else(by_distance)
            .or_else(|| self.identifying(mention))
            .or_else(|| mention.columns.first().copied())
            .ok_or_else(|| Unclear::words(std::slice::from_ref(&mention.text)))?;
        // "Angola" is the name of a country before it is one in another tongue.
        let identifies = |column: &&ColumnId| {
            let own = [self.schema.label_of(column.table), self.schema.key_of(column.table)];
            mention.is_value && own.contains(&Some(**column))
        };
        let said = said.or_else(|| rivals.iter().find(identifies).filter(|_| ruled.is_some()).copied());
        // "flights into BER", where both ends of a flight have it: either would be a guess.
        if mention.is_value && said.is_none() && rivals.len() > 1 && ruled.is_some() {
            let choices = self.schema.column_choices(&mention.text, &rivals, true);
            return Err(Unclear::which(&mention.text, choices));
        }
        let same_table = mention.columns.iter().filter(|column| column.table == chosen.table).count() > 1;
        if mention.columns.len() > 1 && (same_table || !mention.qualified) {
            let others: Vec<ColumnId> = mention.columns.iter().copied().filter(|column| *column != chosen).collect();
            self.notes.chosen(&mention.text, chosen, &others);
        }
        self.notes.matched(mention.score);
        self.notes.used(chosen);
        Ok(chosen)
    }

    /// "all vehicle ids": those of the vehicles, and not of the lessons that refer to them.
    fn identifying(&self, mention: &Mention) -> Option<ColumnId> {
        let refer = |key: ColumnId| {
            let others = mention.columns.iter().filter(|other| **other != key);
            let edges = &self.schema.edges;
            others.clone().count() > 0
                && others.into_iter().all(|other| edges.iter().any(|edge| edge.from == *other && edge.to == key))
        };
        mention
            .columns
            .iter()
            .copied()
            .find(|column| self.schema.key_of(column.table) == Some(*column) && refer(*column))
    }

    /// The columns that are as good as the one that the rules chose, or among which they choose none.
    fn rivals(&self, mention: &Mention, ruled: Option<ColumnId>) -> Vec<ColumnId> {
        let columns = || mention.columns.iter().copied();
        if let Some(ruled) = ruled {
            return columns().filter(|column| column.table == ruled.table).collect();
        }
        let distance = |column: ColumnId| Some(self.schema.path_up(*self.preferred.first()?, column.table)?.len());
        match columns().filter_map(distance).min() {
            Some(nearest) => columns().filter(|column| distance(*column) == Some(nearest)).collect(),
            None => columns().collect(),
        }
    }

    fn measure(&mut self, measure: &intent::Measure) -> Result<Measure, Unclear> {
        let aggregate = measure.aggregate;
        let settled = match &measure.of {
            Measured::Rows(table) => Measure { aggregate, table: *table, column: None, metric: None },
            Measured::RowsWith(mention) => {
                let column = self.column(mention)?;
                Measure { aggregate, table: column.table, column: None, metric: None }
            }
            Measured::Column(mention) => {
                let column = self.column(mention)?;
                Measure { aggregate, table: column.table, column: Some(column), metric: None }
            }
            Measured::Weight(table) => {
                let column = self.weight(*table, &measure.text)?;
                Measure { aggregate, table: *table, column: Some(column), metric: None }
            }
            Measured::Metric(metric) => {
                let missing = || Unclear::words(std::slice::from_ref(&measure.text));
                let table = self.schema.metric(*metric).ok_or_else(missing)?.table;
                Measure { aggregate, table, column: None, metric: Some(*metric) }
            }
        };
        self.notes.measure(&measure.text, &settled);
        if let Some(column) =
            settled.column.filter(|_| !matches!(aggregate, Aggregate::Count | Aggregate::CountDistinct))
        {
            self.notes.as_number(column);
        }
        if !self.preferred.contains(&settled.table) {
            self.preferred.insert(0, settled.table);
        }
        Ok(settled)
    }

    /// The column that tells how big a row is, where none was named.
    pub(super) fn weight(&mut self, table: TableId, text: &str) -> Result<ColumnId, Unclear> {
        let column = self.schema.weight_of(table).ok_or_else(|| Unclear::no_number(text))?;
        self.notes.add(format!("no number was named in \"{text}\"; I took {}", self.schema.qualified(column)));
        self.notes.used(column);
        Ok(column)
    }

    fn groups(&mut self, mut measures: Vec<Measure>) -> Result<Settled, Unclear> {
        let mut havings: Vec<(usize, intent::Test)> =
            self.intent.havings.iter().map(|having| (having.measure, having.test.clone())).collect();
        let mut dimensions = Vec::new();
        let mut shape = Shape::Groups;
        let counted = self.counted_groups(&measures, &havings);
        let root_measure = match counted {
            Some((counted, by)) => {
                // "how many customers have more than 10 orders": count the groups.
                dimensions.push(match measures[counted].column {
                    Some(column) => Dimension::Column(column),
                    None => Dimension::Entity(measures[counted].table),
                });
                shape = Shape::OverGroups(Aggregate::Count);
                let by = if by > counted { by - 1 } else { by };
                measures.remove(counted);
                for (measure, _) in &mut havings {
                    *measure -= usize::from(*measure > counted);
                }
                by
            }
            None => 0,
        };
        let root = self.root(&measures, root_measure);
        self.preferred.retain(|table| *table != root);
        self.preferred.insert(0, root);
        if shape == Shape::Groups {
            self.entity(root, &havings, &mut dimensions);
        }
        self.verbs_name_the_time();
        for dimension in self.intent.dimensions.clone() {
            let settled = self.dimension(&dimension, root)?;
            if !self.is_shown(settled, &dimensions) {
                dimensions.push(settled);
            }
        }
        let mut asked = Vec::new();
        // "which department has the most employees? List its name and id": not those of what is counted.
        let thing = dimensions.iter().find_map(|dimension| match dimension {
            Dimension::Entity(table) => Some(*table),
            _ => None,
        });
        if let Some(thing) = thing {
            self.preferred.insert(0, thing);
        }
        for mention in std::mem::take(&mut self.intent.columns) {
            let column = self.column(&mention)?;
            asked.push(column);
            let settled = Dimension::Column(column);
            if !self.is_shown(settled, &dimensions) {
                self.notes.understand(&mention.text, format!("grouped by {}", self.schema.qualified(column)));
                dimensions.push(settled);
            }
        }
        if thing.is_some() {
            self.preferred.remove(0);
        }
        if let Some(nested) = self.intent.nested {
            // Of one number for each group, and nothing else of them.
            if dimensions.is_empty() || measures.len() > 1 || !asked.is_empty() {
                return Err(Unclear::of_what());
            }
            shape = Shape::OverGroups(nested);
        }
        let each_is_one = dimensions.iter().any(|dimension| match dimension {
            Dimension::Entity(table) => *table == root,
            Dimension::Column(column) => self.schema.key_of(root) == Some(*column),
            Dimension::Time(..) => false,
        });
        let counts_rows = |measure: usize| {
            measures.get(measure).is_some_and(|known| {
                known.aggregate == Aggregate::Count && known.table == root && known.column.is_none()
            })
        };
        // "channels that have more than 2 channels": of each row there is one, and something else is asked.
        let counts_ones =
            shape == Shape::Groups && each_is_one && havings.iter().any(|(measure, _)| counts_rows(*measure));
        if (!havings.is_empty() && dimensions.is_empty()) || counts_ones {
            return Err(Unclear::groups_of_what());
        }
        let havings = havings
            .into_iter()
            .filter_map(|(measure, test)| match test {
                intent::Test::Number(comparison, number) => Some((measure, Test::Number(comparison, number))),
                intent::Test::Between(low, high) => Some((measure, Test::Between(low, high))),
                _ => None,
            })
            .collect();
        for having in self.intent.havings.clone() {
            self.notes.having(&having);
        }
        let order = self.group_order(&dimensions)?;
        if let Some(then) = self.intent.sort_then.first() {
            return Err(Unclear::ranked_by_what(&then.text));
        }
        let limit = self.ranked_limit();
        // "the name of the airline with the most routes", "which region has the most orders" ask for it alone.
        let of_things = self.intent.columns_first && !asked.is_empty();
        let exact = of_things && shape == Shape::Groups && !self.intent.share;
        // "the top three categories by quantity": of several, each is told with the number that puts it in its place.
        let tells_rank = self.intent.tells_rank || self.intent.limit.is_some_and(|limit| limit > 1);
        let silent = match (exact && !tells_rank, &shape) {
            (true, _) => {
                let beside = self.beside_what_was_asked(measures.len());
                self.intent.silent.iter().copied().chain(beside).collect()
            }
            (false, Shape::Groups) => self.beside_what_was_asked(measures.len()),
            (false, _) => Vec::new(),
        };
        let mut settled = Settled {
            root,
            shape,
            dimensions,
            measures,
            conditions: Vec::new(),
            share_of: None,
            share: self.intent.share,
            havings,
            present: Vec::new(),
            absent: Vec::new(),
            order,
            then: Vec::new(),
            limit,
            only: exact.then_some(asked),
            silent,
        };
        self.conditions(&mut settled)?;
        Ok(settled)
    }

    /// "the total of each region that has more than 3 orders": where a number was asked for, one that only chooses is
    /// none of the answer.
    fn beside_what_was_asked(&self, measures: usize) -> Vec<usize> {
        let chooses = |measure: &usize| self.intent.havings.iter().any(|having| having.measure == *measure);
        let is_silent = |measure: &usize| self.intent.silent.contains(measure) || chooses(measure);
        if (0..measures).all(|measure| is_silent(&measure)) {
            return Vec::new();
        }
        let ranks = |measure: usize| match &self.intent.rank {
            Some(rank) => matches!(rank.by, RankBy::Measure(by) if by == measure),
            None => false,
        };
        (0..measures).filter(|measure| chooses(measure) && !ranks(*measure)).collect()
    }

    /// Whether it is among the groups, be it as a key or a name of things.
    fn is_shown(&self, dimension: Dimension, among: &[Dimension]) -> bool {
        let tells = |table: TableId| {
            let own = [self.schema.label_of(table), self.schema.key_of(table)];
            matches!(dimension, Dimension::Column(column) if own.contains(&Some(column)))
        };
        among.iter().any(|known| *known == dimension || matches!(known, Dimension::Entity(table) if tells(*table)))
    }

    /// The measure that counts groups, and a measure by which the groups are chosen.
    fn counted_groups(&self, measures: &[Measure], havings: &[(usize, intent::Test)]) -> Option<(usize, usize)> {
        let (by, _) = havings.first()?;
        let chosen = measures.get(*by)?;
        let counts = |(index, measure): (usize, &Measure)| {
            let is_having = havings.iter().any(|(having, _)| *having == index);
            let of_owner = measure.table != chosen.table && self.schema.path_up(chosen.table, measure.table).is_some();
            // "how many cities have more than 3 airports", where cities are a column of theirs.
            let of_column = measure.aggregate == Aggregate::CountDistinct && measure.table == chosen.table;
            let counts = (measure.aggregate == Aggregate::Count && of_owner) || of_column;
            (!is_having && counts && measure.metric.is_none()).then_some(index)
        };
        let counted = measures.iter().enumerate().find_map(counts)?;
        Some((counted, *by))
    }

    /// The table whose rows are aggregated: of all measures' tables the one from which the others
    /// are reached.
    fn root(&self, measures: &[Measure], first: usize) -> TableId {
        let reaches_all =
            |root: &TableId| measures.iter().all(|measure| self.schema.path_up(*root, measure.table).is_some());
        let first = measures.get(first).or(measures.first()).map(|measure| measure.table);
        first
            .into_iter()
            .chain(measures.iter().map(|measure| measure.table))
            .find(reaches_all)
            .or(first)
            .unwrap_or_default()
    }

    /// The thing that the question is about becomes a group of its own, unless it is what is
    /// aggregated or only says whose rows are meant.
    fn entity(&mut self, root: TableId, havings: &[(usize, intent::Test)], dimensions: &mut Vec<Dimension>) {
        let explicit = !self.intent.dimensions.is_empty();
        let ranked = self.intent.rank.is_some() || !havings.is_empty() || self.intent.limit.is_some();
        let Some(subject) = self.intent.subjects.iter().find(|subject| subject.table != root).cloned() else {
            return;
        };
        let measured_first = subject.after_measure && !ranked;
        let of_root = self.schema.path_up(root, subject.table).is_some();
        // "which region has the most orders": the column is the thing.
        let column_first = !self.intent.columns.is_empty() && subject.after_measure;
        let scopes_groups = explicit && (subject.after_measure || !ranked);
        // Of many that belong to many, the thing is each of its own rows all the same.
        let of_root = of_root || (self.intent.columns_first && self.schema.bridge(root, subject.table).is_some());
        if of_root && !measured_first && !column_first && !scopes_groups {
            self.notes.understand(&subject.text, format!("each row of {}", self.schema.table(subject.table).name));
            dimensions.push(Dimension::Entity(subject.table));
        }
    }

    fn dimension(&mut self, dimension: &intent::Dimension, root: TableId) -> Result<Dimension, Unclear> {
        match dimension {
            intent::Dimension::Table(table, text) => {
                self.notes.understand(text, format!("one group for each row of {}", self.schema.table(*table).name));
                Ok(Dimension::Entity(*table))
            }
            intent::Dimension::Column(mention) => {
                let column = self.column(mention)?;
                self.notes.understand(&mention.text, format!("grouped by {}", self.schema.qualified(column)));
                Ok(Dimension::Column(column))
            }
            intent::Dimension::Time(slice, mention, text) => {
                let column = match mention {
                    Some(mention) => self.column(mention)?,
                    None => self.time_of(root).ok_or_else(|| Unclear::no_time(text, &self.schema.table(root).name))?,
                };
                if !self.schema.is_temporal(column) {
                    return Err(Unclear::words(std::slice::from_ref(text)));
                }
                self.notes.understand(text, format!("grouped by {} of {}", text, self.schema.qualified(column)));
                Ok(Dimension::Time(*slice, column))
            }
        }
    }

    /// The time of a table's rows, or of the nearest thing that they refer to.
    pub(super) fn time_of(&mut self, root: TableId) -> Option<ColumnId> {
        let own = self.schema.time_of(root).map(|column| (0, column));
        let referred = || {
            (0..self.schema.context.tables.len())
                .filter_map(|table| Some((self.schema.path_up(root, table)?.len(), self.schema.time_of(table)?)))
                .min()
        };
        let (_, column) = own.or_else(referred)?;
        let others: Vec<ColumnId> = self
            .schema
            .columns_of(column.table)
            .filter(|other| *other != column && self.schema.is_temporal(*other))
            .collect();
        if !others.is_empty() || column.table != root {
            self.notes.chosen("time", column, &others);
        }
        self.notes.used(column);
        Some(column)
    }

    fn group_order(&mut self, dimensions: &[Dimension]) -> Result<Option<(OrderBy, bool)>, Unclear> {
        let descending = self.intent.sort_direction.map(|direction| direction == Direction::Descending);
        if let Some(rank) = self.intent.rank.clone() {
            let down = rank.direction == Direction::Descending;
            return match rank.by {
                RankBy::Measure(measure) => {
                    self.notes.rank(&rank.text, down);
                    // A measure that only counts groups is gone; the first is left.
                    Ok(Some((OrderBy::Measure(measure), down)))
                }
                RankBy::Quality(Quality::Time) => {
                    let time = dimensions.iter().position(|dimension| matches!(dimension, Dimension::Time(..)));
                    let time = time.ok_or_else(|| Unclear::ranked_by_what(&rank.text))?;
                    Ok(Some((OrderBy::Dimension(time), down)))
                }
                _ => Err(Unclear::ranked_by_what(&rank.text)),
            };
        }
        match self.intent.sort.clone() {
            Some(SortBy::Measure(measure)) => Ok(Some((OrderBy::Measure(measure), descending.unwrap_or(true)))),
            Some(SortBy::Column(mention)) => {
                // "… of each document, ordered by id": the id of the documents.
                let own = dimensions.iter().find_map(|dimension| match dimension {
                    Dimension::Entity(table) => {
                        let known = [self.schema.key_of(*table), self.schema.label_of(*table)];
                        known.into_iter().flatten().find(|column| mention.columns.contains(column))
                    }
                    Dimension::Column(_) | Dimension::Time(..) => None,
                });
                let column = match own {
                    Some(column) => column,
                    None => self.column(&mention)?,
                };
                let refers = |one: ColumnId, other: ColumnId| {
                    self.schema.edges.iter().any(|edge| edge.from == one && edge.to == other)
                };
                let position = dimensions.iter().position(|dimension| match dimension {
                    Dimension::Column(known) => *known == column || refers(*known, column) || refers(column, *known),
                    Dimension::Time(_, known) => *known == column,
                    Dimension::Entity(table) => self.schema.label_of(*table) == Some(column),
                });
                // "… for each document, ordered by document id": by the key of the things, wherever it stands.
                let key = dimensions.iter().find_map(|dimension| match dimension {
                    Dimension::Entity(table) => {
                        self.schema.key_of(*table).filter(|key| *key == column || refers(column, *key))
                    }
                    Dimension::Column(_) | Dimension::Time(..) => None,
                });
                match (position, key) {
                    (Some(position), _) => Ok(Some((OrderBy::Dimension(position), descending.unwrap_or(false)))),
                    (None, Some(key)) => Ok(Some((OrderBy::Column(key), descending.unwrap_or(false)))),
                    (None, None) => Err(Unclear::ranked_by_what(&mention.text)),
                }
            }
            None if self.intent.limit.is_some() => Ok(Some((OrderBy::Measure(0), descending.unwrap_or(true)))),
            None => {
                let time = dimensions.iter().position(|dimension| matches!(dimension, Dimension::Time(..)));
                // "employees by department, oldest first": of groups nothing tells how old they are.
                if let Some((_, quality, text)) = self.intent.sort_quality.as_ref().filter(|_| time.is_none())
                    && *quality != Quality::Any
                {
                    return Err(Unclear::ranked_by_what(text));
                }
                Ok(Some(match time {
                    Some(time) => (OrderBy::Dimension(time), descending.unwrap_or(false)),
                    None => (OrderBy::Measure(0), descending.unwrap_or(true)),
                }))
            }
        }
    }

    /// The number of rows that was asked for; a superlative alone gives one row for a singular
    /// and a few for a plural.
    pub(super) fn ranked_limit(&mut self) -> Option<u64> {
        if let Some(limit) = self.intent.limit {
            return Some(limit);
        }
        let rank = self.intent.rank.as_ref()?;
        let limit = if rank.plural.unwrap_or(false) { FEW } else { 1 };
        self.notes.add(format!("\"{}\" gives no number; I show {limit}", rank.text));
        Some(limit)
    }

    pub(super) fn list_limit(&mut self) -> Option<u64> {
        self.ranked_limit().or_else(|| self.length_of_a_list())
    }

    /// Of a list for which no number was given.
    pub(super) fn length_of_a_list(&mut self) -> Option<u64> {
        if self.intent.all {
            return None;
        }
        self.notes.add(format!("the list stops at {MANY} rows; ask for \"all\" to see every one"));
        Some(MANY)
    }

    /// The condition on a group is fulfilled by a group without any row: "fewer than 3 orders".
    pub(super) fn holds_for_none(test: &Test) -> bool {
        match test {
            Test::Number(Comparison::Less, number) => number.parse::<f64>().is_ok_and(|number| number > 0.0),
            Test::Number(Comparison::LessOrEqual, _) => true,
            Test::Number(Comparison::Equal, number) => number.parse::<f64>().is_ok_and(|number| number == 0.0),
            Test::Between(low, _) => low.parse::<f64>().is_ok_and(|low| low <= 0.0),
            _ => false,
        }
    }
}
