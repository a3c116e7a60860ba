//! The part of the reading that concerns verbs: those that only tie things together, and those that tell when a thing began.
//! Any other verb tells something that is nowhere in the query, so it is not understood.

use super::calendar;
use super::compose::Composer;
use super::cue::{Cue, Quality};
use super::intent::Mention;
use super::link::Meaning;
use super::schema::{ColumnId, TableId};
use super::words;
use crate::planner::ColumnType;

/// A stem of fewer letters is part of many words.
const LONG_STEM: usize = 5;

impl Composer<'_> {
    /// A verb between two things that belong together in one way only says that they do: "movies *directed* by Ann". Of one
    /// thing alone it tells something ("orders *delivered* in March"), and is not understood.
    pub(super) fn relates(&self, here: usize) -> bool {
        let word = self.links[here].text.to_lowercase();
        if self.begins_then(&word, here) {
            return true;
        }
        if !words::is_relation(&word) {
            return false;
        }
        // "shared by technicians of both teams" asks for more than that they belong together.
        let counted = |at: usize| matches!(self.cue(at), Some(Cue::Compare(_) | Cue::Superlative(..)));
        if word.starts_with("share") && !counted(here + 2) {
            return false;
        }
        if self.does_with_its_rows(here) {
            return true;
        }
        let tables = |at: usize| -> Vec<TableId> {
            let Some(noun) = self.noun(at) else { return Vec::new() };
            if let Some((table, _)) = noun.table.filter(|(_, score)| noun.plural && *score >= 1.0) {
                return vec![table];
            }
            let columns = noun.columns.iter().map(|column| column.table);
            let values = noun.values.iter().map(|(column, _)| column.table);
            noun.table.iter().map(|(table, _)| *table).chain(columns).chain(values).collect()
        };
        let before = (0..here).rev().find(|at| !tables(*at).is_empty());
        let after = (here + 1..self.links.len()).find(|at| !tables(*at).is_empty());
        let Some(before) = before else { return false };
        let named_by = words::root(&word);
        // "students who attended courses" are in `attendance`, and not in `registration`.
        let is_event = |table: &TableId| {
            let name = words::name_words(&self.schema.table(*table).name);
            named_by.len() >= LONG_STEM && name.iter().any(|own| own.starts_with(&named_by))
        };
        let events: Vec<TableId> = (0..self.schema.context.tables.len()).filter(is_event).collect();
        let passes = |one: TableId, other: TableId| {
            let Some(base) = self.schema.bridge(one, other) else { return false };
            let ways = [self.schema.path_up(base, one), self.schema.path_up(base, other)];
            let met: Vec<TableId> = ways.into_iter().flatten().flatten().map(|edge| edge.to.table).collect();
            events.is_empty() || events.iter().any(|event| *event == base || met.contains(event))
        };
        let belong = |ones: &[TableId], others: &[TableId]| {
            ones.iter().any(|one| {
                others
                    .iter()
                    .any(|other| one != other && self.schema.belong_in_one_way(*one, *other) && passes(*one, *other))
            })
        };
        let Some(after) = after else {
            // "the courses that Ann attends", "… they took": both stand before it. What "was delivered" tells something.
            let said = |at: usize| self.links[at].text.to_lowercase();
            let asks = (0..here).any(|at| matches!(said(at).as_str(), "do" | "does" | "did"));
            let mut who = (0..here).rev().map(said);
            let who = who.find(|said| !matches!(said.as_str(), "is" | "are" | "was" | "were" | "have" | "has" | "had"));
            let by_them = who.is_some_and(|who| matches!(who.as_str(), "they" | "it" | "he" | "she"));
            let does = word.ends_with('s') || word.ends_with("ing") || (asks && !word.ends_with("ed"));
            let ones = tables(before);
            return (does || by_them || words::is_membership(&word))
                && (0..before).any(|at| belong(&tables(at), &ones));
        };
        let (ones, others) = (tables(before), tables(after));
        if ones.iter().any(|one| others.contains(one)) {
            // Of one thing it is the value that is told of: "directed by Ann", "studying major 50", "produced at the Biale
            // winery". "Delivered in March" tells more than the month, and an "operating cost" is a cost of its own.
            let next = self.noun(here + 1).filter(|noun| noun.table.is_none() && !noun.columns.is_empty());
            let has_value = self.number(here + 2).is_some()
                || self.noun(here + 2).is_some_and(|noun| noun.table.is_none() && !noun.values.is_empty());
            let is_told = next.is_some() && has_value;
            let at_one = self.noun(self.skip_noise(here + 1)).is_some_and(|noun| !noun.values.is_empty());
            return self.cue(here + 1) == Some(Cue::By)
                || (word.ends_with("ing") && is_told)
                || (words::is_origin(&word) && at_one);
        }
        // "managed by the department", where things have a manager: that is another way in which they belong.
        let stem = words::root(&word);
        let is_its = |column: ColumnId| {
            self.schema.words_of(column).iter().any(|own| own.len() > stem.len() && own.starts_with(&stem))
        };
        let tells_another_way = ones.iter().chain(&others).any(|table| {
            self.schema.columns_of(*table).any(|column| is_its(column) && self.schema.is_key_like(column))
        });
        belong(&ones, &others) && !(tells_another_way && self.cue(here + 1) == Some(Cue::By))
    }

    /// "which wineries produce at least four wines", "how many wines does each winery produce": a column of the table is
    /// who does it. The verb right before the things would tell what state they are in.
    fn does_with_its_rows(&self, here: usize) -> bool {
        let doer = |at: usize| {
            let noun = self.noun(at).filter(|noun| noun.table.is_none() && noun.values.is_empty())?;
            let is_text = |column: &ColumnId| {
                self.schema.column(*column).data_type == ColumnType::Text && !self.schema.is_temporal(*column)
            };
            noun.columns.iter().all(is_text).then_some(&noun.columns)
        };
        let rows = |at: usize| {
            let noun = self.noun(at).filter(|noun| noun.plural)?;
            noun.table.filter(|(_, score)| *score >= noun.column_score).map(|(table, _)| table)
        };
        let of = |columns: &Vec<ColumnId>, table: TableId| {
            !columns.is_empty() && columns.iter().all(|column| column.table == table)
        };
        let before = (0..here).rev().find(|at| self.noun(*at).is_some());
        let after = (here + 1..self.links.len()).find(|at| self.noun(*at).is_some());
        match (before.and_then(doer), after) {
            (Some(columns), Some(after)) => {
                let counts =
                    |at: usize| matches!(self.cue(at), Some(Cue::Compare(_) | Cue::Superlative(..) | Cue::Count));
                rows(after).is_some_and(|table| of(columns, table)) && (here + 1..after).any(counts)
            }
            (Some(columns), None) => {
                let before = before.unwrap_or_default();
                let asks = |at: usize| matches!(self.links[at].text.to_lowercase().as_str(), "do" | "does" | "did");
                (0..before).any(|at| rows(at).is_some_and(|table| of(columns, table)) && (at..before).any(asks))
            }
            _ => false,
        }
    }

    /// "which museum opened most recently": the verb tells by what they are ordered, and is nothing to show.
    pub(super) fn happened_last(&self, here: usize) -> bool {
        let word = self.links[here].text.to_lowercase();
        let newest = |at: usize| matches!(self.cue(at), Some(Cue::Superlative(_, Quality::Time)));
        // "the first student to register"
        let is_edge = |at: usize| matches!(self.cue(at), Some(Cue::Edge(_)));
        let is_to = here.checked_sub(1).is_some_and(|at| self.links[at].text.eq_ignore_ascii_case("to"));
        let is_first = is_to && (0..here).any(is_edge) && matches!(self.meaning(here + 1), None | Some(Meaning::Pause));
        let is_last = word.ends_with("ed") && (newest(here + 1) || here.checked_sub(1).is_some_and(newest));
        words::is_origin(&word) && (is_first || is_last)
    }

    /// "museums opened before 2009": with one time alone, it is this one's.
    pub(super) fn begins_then(&self, word: &str, here: usize) -> bool {
        let newest = |at: usize| matches!(self.cue(at), Some(Cue::Superlative(_, Quality::Time)));
        let is_newest = here.checked_sub(1).is_some_and(newest);
        // "the most recently performed treatment"
        let behind = self.noun(here + 1).and_then(|noun| noun.table).filter(|_| is_newest);
        // "which campus was opened in 1939", where the campus is a column.
        let shown = || Some(self.intent.columns.last()?.columns.first()?.table);
        let Some(table) = behind.map(|(table, _)| table).or(self.last_table).or_else(shown) else { return false };
        let then = self.skip_noise(here + 1);
        let then = if self.cue(then) == Some(Cue::Not) { self.skip_noise(then + 1) } else { then };
        let mut times = self.schema.columns_of(table).filter(|column| self.schema.is_temporal(*column));
        let year = self.schema.year_of(table);
        // Beside a day its year says the same.
        let says_the_same = year.is_none_or(|year| self.schema.words_of(year) == ["year"]);
        let is_one = match times.next() {
            Some(_) => times.next().is_none() && says_the_same,
            None => year.is_some(),
        };
        // "when was the last order placed"
        let is_edge = |at: usize| matches!(self.cue(at), Some(Cue::Edge(_)));
        let asks_when = self.cue(0) == Some(Cue::When) && (0..here).any(is_edge);
        let ranks = newest(then) || is_newest || asks_when;
        let is_then = matches!(self.meaning(then), Some(Meaning::Time(_))) || self.is_year_told(table, then);
        words::is_origin(word) && is_one && (ranks || is_then)
    }

    /// "before the year of 2010", "between 1935 and 1939", of things that have a year.
    fn is_year_told(&self, table: TableId, at: usize) -> bool {
        let Some(year) = self.schema.year_of(table) else { return false };
        let of = self.skip_noise(at + 1);
        let is_named = self.noun(of).is_some_and(|noun| noun.table.is_none() && noun.columns.contains(&year));
        let is_year = |at: usize| self.number(at).is_some_and(|number| calendar::year(number).is_some());
        match self.cue(at) {
            Some(Cue::Compare(_)) => is_named && is_year(self.skip_noise(of + 1)),
            Some(Cue::Between) => is_year(of),
            _ => false,
        }
    }

    /// The year between two others is that of the things that began then.
    pub(super) fn between_years(&mut self, here: usize) {
        let then = self.skip_noise(here + 1);
        let table = self.last_table.or_else(|| Some(self.intent.columns.last()?.columns.first()?.table));
        if let Some(year) = table.and_then(|table| self.schema.year_of(table))
            && self.cue(then) == Some(Cue::Between)
        {
            self.show(Mention::of(year, self.text(here, here + 1)));
        }
    }
}
