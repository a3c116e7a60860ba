//! The part of the reading that concerns verbs: those that only tie things together, and those that tell when a thing began.
//! Any other verb tells something that is nowhere in the query, so it is not understood.

use super::compose::Composer;
use super::cue::Cue;
use super::link::Meaning;
use super::schema::TableId;
use super::words;

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
        if word.starts_with("share") && !matches!(self.cue(here + 2), Some(Cue::Compare(_))) {
            return false;
        }
        let tables = |at: usize| -> Vec<TableId> {
            let Some(noun) = self.noun(at) else { return Vec::new() };
            let columns = noun.columns.iter().map(|column| column.table);
            let values = noun.values.iter().map(|(column, _)| column.table);
            noun.table.iter().map(|(table, _)| *table).chain(columns).chain(values).collect()
        };
        let before = (0..here).rev().find(|at| !tables(*at).is_empty());
        let after = (here + 1..self.links.len()).find(|at| !tables(*at).is_empty());
        let Some(before) = before else { return false };
        let belong = |ones: &[TableId], others: &[TableId]| {
            ones.iter()
                .any(|one| others.iter().any(|other| one != other && self.schema.belong_in_one_way(*one, *other)))
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
            // Of one thing it is the value that is told of: "directed by Ann".
            return self.cue(here + 1) == Some(Cue::By);
        }
        belong(&ones, &others)
    }

    /// "museums opened before 2009": with one time alone, it is this one's.
    fn begins_then(&self, word: &str, here: usize) -> bool {
        let Some(table) = self.last_table else { return false };
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
        words::is_origin(word) && is_one && matches!(self.meaning(then), Some(Meaning::Time(_)))
    }
}
