//! The part of the reading that concerns words that mean something in their place alone.

use super::compose::Composer;
use super::cue::{Aggregate, Cue, Direction, Quality};
use super::intent::{Filter, Left, Mention, Test};
use super::link::{Meaning, Noun};
use super::schema::ColumnId;
use super::words;
use crate::planner::ColumnType;

/// Words for people taken together, each of whom is a member.
const COLLECTIVES: &[&str] = &["faculty", "staff", "crew", "personnel", "workforce"];

impl Composer<'_> {
    /// "How many hosts does each nationality have? List the nationality and the *count*": the one that was asked for.
    pub(super) fn refers_to_a_count(&self, here: usize) -> bool {
        let word = self.links[here].text.to_lowercase();
        let ends = matches!(self.meaning(here + 1), None | Some(Meaning::Pause | Meaning::Cue(Cue::And)));
        let counted = self
            .intent
            .measures
            .iter()
            .enumerate()
            .any(|(measure, known)| known.aggregate == Aggregate::Count && !self.intent.silent.contains(&measure));
        ends && counted && matches!(word.as_str(), "count" | "counts" | "number" | "numbers")
    }

    /// "snatch score" for `snatch`, "faculty members" for `faculty`: the word adds nothing to the name before it.
    pub(super) fn is_a_head(&self, here: usize) -> bool {
        let word = words::singular(&self.links[here].text.to_lowercase());
        let Some(noun) = here.checked_sub(1).and_then(|before| self.noun(before)) else { return false };
        let is_number = noun.columns.iter().all(|column| self.is_number_column(*column)) && !noun.columns.is_empty();
        let is_text = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Text;
        let is_kind = || noun.columns.iter().all(is_text) && !noun.columns.is_empty();
        match word.as_str() {
            // "affiliation types" for `affiliation`, "enrollment number" for `enrollment`
            "type" | "kind" => noun.table.is_none() && is_kind(),
            "number" => noun.table.is_none() && is_number,
            "table" => noun.table.is_some(),
            "score" | "value" | "level" | "amount" | "size" | "figure" | "total" => noun.table.is_none() && is_number,
            // Members of a department are no departments.
            "member" => {
                noun.table.is_some() && COLLECTIVES.contains(&self.links[here - 1].text.to_lowercase().as_str())
            }
            _ => false,
        }
    }

    /// "all the details of the departments": whatever there is of them.
    pub(super) fn is_all_of_it(&self, here: usize) -> bool {
        let is_word = matches!(self.links[here].text.to_lowercase().as_str(), "details" | "detail");
        let of = self.skip_noise(here + 1);
        let of = self.skip_noise(of + usize::from(self.cue(of) == Some(Cue::By)));
        let is_thing = |noun: &Noun| noun.table.is_some_and(|(_, score)| score >= noun.column_score);
        let nothing_else = self.intent.columns.is_empty() && self.intent.measures.is_empty();
        is_word && of > here + 1 && nothing_else && self.noun(of).is_some_and(is_thing)
    }

    /// "from Rome to Oslo": of a way that has two ends the one and the other.
    pub(super) fn keep_the_end(&self, at: usize, values: &mut Vec<(ColumnId, String)>) {
        let before = at.checked_sub(1).map(|before| self.links[before].text.to_lowercase());
        let ends: &[&str] = match before.as_deref() {
            Some("from") => &["from", "origin", "source", "start", "departure"],
            Some("to" | "into") => &["to", "destination", "dest", "target", "end", "arrival"],
            _ => return,
        };
        let is_end = |column: ColumnId| {
            let words = self.schema.words_of(column);
            ends.iter().any(|end| words.iter().any(|word| word == end || (end.len() > 3 && word.starts_with(end))))
        };
        if values.iter().any(|(column, _)| is_end(*column)) {
            values.retain(|(column, _)| is_end(*column));
        }
    }

    /// "breed and size combinations", "the combinations of breed and size": each is told once.
    pub(super) fn combines(&self, here: usize) -> bool {
        let is_word = words::singular(&self.links[here].text.to_lowercase()) == "combination";
        let is_column = |at: usize| self.noun(at).is_some_and(|noun| !noun.columns.is_empty());
        let follow = self.cue(here + 1) == Some(Cue::Of) && is_column(self.skip_noise(here + 1));
        is_word && (follow || (self.intent.columns.len() > 1 && here.checked_sub(1).is_some_and(is_column)))
    }

    /// "the founded year" for `founded`: the word adds nothing to the number before it.
    pub(super) fn is_year_of_a_number(&self, here: usize) -> bool {
        let said = self.text(here, here + 1).to_lowercase();
        let before = here.checked_sub(1).and_then(|before| self.noun(before));
        let origin =
            here.checked_sub(1).is_some_and(|before| words::is_origin(&self.links[before].text.to_lowercase()));
        matches!(said.as_str(), "year" | "years") && origin && before.is_some_and(|noun| self.is_number(noun))
    }

    /// "who share …", "that share …"
    pub(super) fn is_verb_of_a_thing(&self, here: usize) -> bool {
        let before = here.checked_sub(1).map(|before| self.links[before].text.to_lowercase());
        let is_share = self.text(here, here + 1).eq_ignore_ascii_case("share");
        is_share && before.is_some_and(|before| matches!(before.as_str(), "who" | "that" | "which" | "they" | "do"))
    }

    /// "… for different customers": of each of them.
    pub(super) fn tells_parts(&self, here: usize) -> bool {
        let is_for = here.checked_sub(1).is_some_and(|before| self.links[before].text.eq_ignore_ascii_case("for"));
        let measured = !self.intent.measures.is_empty() && self.pending.is_empty() && self.intent.dimensions.is_empty();
        is_for && measured
    }

    /// "types of status" for `status`, "the code of the city" for `city_code`: the word adds nothing to what is behind it.
    pub(super) fn is_of_its_column(&self, here: usize) -> bool {
        let word = words::singular(&self.links[here].text.to_lowercase());
        let of = self.skip_noise(here + 1);
        let Some(noun) = self.noun(of).filter(|_| self.cue(here + 1) == Some(Cue::Of)) else { return false };
        let is_text = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Text;
        let is_called = |column: &ColumnId| self.schema.words_of(*column).last() == Some(&word);
        let is_column = noun.table.is_none_or(|(_, score)| score < noun.column_score) && !noun.columns.is_empty();
        match word.as_str() {
            "type" | "kind" | "form" => is_column && noun.table.is_none() && noun.columns.iter().all(is_text),
            "code" | "number" => is_column && noun.columns.iter().all(is_called),
            _ => false,
        }
    }

    /// "the city with code HKG", "the commander 'Baldwin'": the word stands in the name of the column that has the value.
    pub(super) fn is_called_before_its_value(&mut self, here: usize) -> bool {
        let word = words::singular(&self.links[here].text.to_lowercase());
        let value = self.skip_noise(here + 1);
        let Some(noun) = self.noun(value).filter(|noun| noun.table.is_none() && noun.columns.is_empty()) else {
            return false;
        };
        let columns = noun.values.iter().map(|(column, _)| *column);
        let columns: Vec<ColumnId> = columns.filter(|column| self.schema.words_of(*column).contains(&word)).collect();
        if columns.is_empty() {
            return false;
        }
        let of = Mention {
            columns,
            text: self.text(here, value),
            near: self.last_table,
            qualified: false,
            implied: None,
            score: 0.9,
            is_value: false,
        };
        self.values(value, here, Some(&of));
        true
    }

    /// "in Gelderland district": a name before a column of so many texts that nobody knows them here.
    pub(super) fn is_typed_before_its_column(&mut self, here: usize) -> bool {
        let text = self.text(here, here + 1);
        let is_name = here > 0 && text.starts_with(char::is_uppercase);
        let many = |column: &ColumnId| {
            let described = self.schema.column(*column);
            described.data_type == ColumnType::Text
                && described.sample_values.is_empty()
                && !self.schema.is_temporal(*column)
        };
        let is_column = |noun: &Noun| {
            noun.table.is_none() && !noun.plural && !noun.columns.is_empty() && noun.columns.iter().all(many)
        };
        if !is_name || !self.noun(here + 1).is_some_and(is_column) {
            return false;
        }
        let Some(mention) = self.mention(here + 1) else { return false };
        self.at = here + 2;
        let phrase = self.text(here, self.at);
        let negated = self.negated_now();
        self.intent.filters.push(Filter::new(Left::Column(mention), Test::Typed(text), negated, phrase));
        true
    }

    /// "the smallest amount of horsepower": the word adds nothing to the number behind it.
    pub(super) fn is_of_a_number(&self, here: usize) -> bool {
        let Some(link) = self.links.get(here) else { return false };
        let word = words::singular(&link.text.to_lowercase());
        let of_number = self.noun(self.skip_noise(here + 1)).is_some_and(|noun| self.is_number(noun));
        matches!(word.as_str(), "amount" | "value" | "level")
            && matches!(self.meaning(here), Some(Meaning::Unknown))
            && self.cue(here + 1) == Some(Cue::Of)
            && of_number
    }

    /// "the amount of products": how many there are.
    pub(super) fn is_an_amount(&self, here: usize) -> bool {
        let of_things = self.noun(self.skip_noise(here + 1)).is_some_and(|noun| noun.plural && noun.table.is_some());
        let is_amount = self.links.get(here).is_some_and(|link| link.text.eq_ignore_ascii_case("amount"));
        is_amount
            && matches!(self.meaning(here), Some(Meaning::Unknown))
            && self.cue(here + 1) == Some(Cue::Of)
            && of_things
    }

    /// "… per region"; "by all regions" is one group.
    pub(super) fn groups_follow(&self, here: usize) -> bool {
        let by = |at: usize| self.cue(at) == Some(Cue::By) && self.cue(at + 1) != Some(Cue::All);
        (here..self.links.len()).any(by)
    }

    /// "the employee with the maximum salary": who has the highest, and not how much that is.
    pub(super) fn extreme_of_things(&self, aggregate: Aggregate, here: usize) -> Option<Direction> {
        let direction = match aggregate {
            Aggregate::Maximum => Direction::Descending,
            Aggregate::Minimum => Direction::Ascending,
            _ => return None,
        };
        let mut before = here.checked_sub(1)?;
        while self.links[before].text.eq_ignore_ascii_case("the") {
            before = before.checked_sub(1)?;
        }
        let word = self.links[before].text.to_lowercase();
        // "… in each department": one of each is more than an order tells.
        if self.groups_follow(here) {
            return None;
        }
        let has = matches!(word.as_str(), "with" | "has" | "have" | "had" | "having");
        let is_named = !self.intent.subjects.is_empty() || !self.intent.columns.is_empty();
        let of_things = is_named && self.intent.measures.is_empty() && self.pending.is_empty();
        (has && of_things).then_some(direction)
    }

    /// "the highest, lowest and average cost": one number beside others, and no rank.
    pub(super) fn is_one_of_extremes(&self, here: usize) -> bool {
        let boils_down =
            |at: usize| matches!(self.cue(at), Some(Cue::Aggregate(_) | Cue::Superlative(_, Quality::Any)));
        let is_link = |at: usize| self.cue(at) == Some(Cue::And) || matches!(self.meaning(at), Some(Meaning::Pause));
        let number = |at: usize| self.noun(at).is_some_and(|noun| self.has_numbers(noun) && noun.table.is_none());
        let said = self.text(here, here + 1).to_lowercase();
        if self.intent.rank.is_some()
            || said.ends_with("number of")
            || said.ends_with("most")
            || said.ends_with("least")
        {
            return false;
        }
        // Behind it, perhaps with its own number between.
        let mut next = here + 1;
        next += usize::from(number(next));
        let linked = next;
        while is_link(next) {
            next += 1;
        }
        let goes_on = next > linked && boils_down(self.skip_noise(next));
        let mut before = here;
        while before > 0 && self.cue(before - 1) == Some(Cue::Noise) {
            before -= 1;
        }
        let follows =
            before > 1 && is_link(before - 1) && (!self.pending.is_empty() || !self.intent.measures.is_empty());
        let follows = follows && number(self.skip_noise(here + 1)) && self.intent.subjects.is_empty();
        goes_on || follows
    }

    /// "customers with two orders", "flats that have 2 bedrooms": as many of them belong to each, and no more.
    pub(super) fn has_so_many(&self, number: usize, next: usize) -> bool {
        let thing = self.intent.subjects.first().map(|subject| subject.table);
        let counts = self.intent.measures.iter().any(|known| known.aggregate == Aggregate::Count);
        let thing = thing.or(self.last_table.filter(|_| counts));
        // "regions with 5 orders"
        let is_column = !self.intent.columns.is_empty();
        // "with a price below 160 and two beds"
        let goes_on = number.checked_sub(1).is_some_and(|before| self.cue(before) == Some(Cue::And))
            && !self.intent.filters.is_empty()
            && (1..number).any(|at| self.is_had(at));
        let has = (self.is_had(number) || goes_on) && (thing.is_some() || is_column);
        let Some(noun) = self.noun(next).filter(|_| has) else { return false };
        let is_thing = noun.table.is_some_and(|(table, score)| thing != Some(table) && score > noun.column_score);
        is_thing || (self.is_number(noun) && !self.intent.subjects.is_empty())
    }

    /// "with 2 …", "who have 2 …": what the number is of belongs to what was named before.
    pub(super) fn is_had(&self, number: usize) -> bool {
        let Some(before) = number.checked_sub(1) else { return false };
        matches!(self.cue(before), Some(Cue::Noise))
            && ["with", "has", "have", "had", "having", "made", "took", "only"]
                .contains(&self.links[before].text.to_lowercase().as_str())
    }
}
