//! The part of the reading that concerns names: tables, columns and values, and what the words
//! before them make of them.

use super::compose::{Composer, DESCRIBED, Operand, Pending};
use super::cue::{Aggregate, Comparison, Cue};
use super::fit;
use super::intent::{Filter, Left, Measure, Measured, Mention, RankBy, Subject, Test};
use super::link::{Meaning, Noun};
use super::schema::{ColumnId, ROLE, TableId};
use super::words;
use crate::planner::{ColumnType, quote};

/// Which of its meanings a noun has in its place.
enum Reading {
    Table(TableId, f64),
    Columns,
    Values,
}

impl Composer<'_> {
    /// "the chip model and screen mode of the phone": phones have columns that are called so, whatever tables are.
    fn is_of_the_owner(&self, noun: &Noun, here: usize) -> bool {
        let mut at = here + 1;
        while matches!(self.cue(at), Some(Cue::And | Cue::Noise)) || matches!(self.meaning(at), Some(Meaning::Pause)) {
            at += 1;
            // One more of the list.
            at += usize::from(self.noun(at).is_some_and(|noun| !noun.columns.is_empty()));
        }
        let is_of = matches!(self.cue(at), Some(Cue::Of));
        let owner = self.noun(self.skip_noise(at)).and_then(|noun| noun.table.filter(|(_, score)| *score >= 1.0));
        let own = |table: TableId| noun.columns.iter().any(|column| column.table == table);
        is_of
            && self.pending.is_empty()
            && noun.column_score >= 1.0
            && owner.is_some_and(|(table, _)| own(table) && noun.table.is_some_and(|(named, _)| named != table))
    }

    fn reading(&self, noun: &Noun, here: usize) -> Reading {
        let counts = self.pending.iter().any(|pending| pending.aggregate == Aggregate::Count);
        let numeric = self.has_numbers(noun);
        let measures = numeric && self.pending.iter().any(|pending| pending.aggregate != Aggregate::Count);
        // "transactions" are the rows, though one of their columns is called `transaction_date`.
        let rows = |table: TableId| {
            noun.plural && noun.column_score < 1.0 && noun.columns.iter().all(|column| column.table == table)
        };
        match noun.table {
            _ if !noun.values.is_empty() && noun.score() <= 0.95 => Reading::Values,
            _ if self.is_of_the_owner(noun, here) => Reading::Columns,
            Some((table, score)) if score >= 0.6 && !noun.columns.is_empty() && !numeric && rows(table) => {
                Reading::Table(table, score)
            }
            _ if measures => Reading::Columns,
            Some((table, score)) if counts && score >= 0.7 => Reading::Table(table, score),
            Some((table, score)) if score > noun.column_score => Reading::Table(table, score),
            Some((table, score)) if score >= noun.column_score && !(noun.summed && numeric) => {
                Reading::Table(table, score)
            }
            _ if !noun.columns.is_empty() => Reading::Columns,
            _ => Reading::Values,
        }
    }

    pub(super) fn name(&mut self) {
        let here = self.at;
        let Some(noun) = self.noun(here).cloned() else { return };
        self.at += 1;
        match self.reading(&noun, here) {
            Reading::Values => self.values(here, here, None),
            // "female people", where weddings have a `female_id`: not all of the people are, and what says which is not read.
            Reading::Table(table, score) if score == ROLE && self.is_named_next(table) => self.leave(here),
            Reading::Table(table, score) => {
                self.table_taken(here);
                self.table(table, score, noun.plural, here);
            }
            Reading::Columns => self.column(here),
        }
    }

    /// The next phrase is the table's own name.
    fn is_named_next(&self, table: TableId) -> bool {
        let own = self.noun(self.at).and_then(|noun| noun.table);
        own.is_some_and(|(next, score)| next == table && score > ROLE)
    }

    /// "the players and the years played": what the things are called is asked for, beside what follows.
    fn stands_beside_a_column(&self, table: TableId) -> bool {
        let small = |at: usize| matches!(self.links[at].text.to_lowercase().as_str(), "the" | "their" | "its" | "all");
        let mut next = self.at + 1;
        while next < self.links.len() && small(next) {
            next += 1;
        }
        self.cue(self.at) == Some(Cue::And)
            && self.noun(next).is_some_and(|noun| {
                let is_own = noun.columns.iter().any(|column| column.table == table);
                is_own && noun.table.is_none_or(|(_, score)| score < noun.column_score)
            })
    }

    fn table(&mut self, table: TableId, score: f64, plural: bool, here: usize) {
        self.last_table = Some(table);
        let text = self.text(here, here + 1);
        let subject = Subject {
            table,
            text: text.clone(),
            plural,
            after_measure: !self.intent.measures.is_empty()
                || !self.pending.is_empty()
                || self.intent.rank.as_ref().is_some_and(|rank| rank.owned)
                || self.intent.columns.iter().any(|mention| self.is_of_amounts(mention)),
            score,
        };
        let counted_before = match self.operand {
            Some(Operand::Measure(measure)) => self
                .intent
                .measures
                .get(measure)
                .is_some_and(|measure| matches!(measure.of, Measured::Rows(_)) && self.intent.havings.is_empty()),
            _ => false,
        };
        if counted_before && here > 0 && self.cue(here - 1) == Some(Cue::And) && self.pending.is_empty() {
            // "how many orders and customers"
            self.pending.push(Pending { aggregate: Aggregate::Count, text: "number of".to_owned() });
        }
        if self.negated.is_some() && self.is_verb_before_a_value(table, here) {
            return;
        }
        if let Some(not) = self.negated.take() {
            let text = self.text(not, here + 1);
            self.intent.absent.push(Subject { text, ..subject });
            return;
        }
        let next = self.skip_noise(self.at);
        let number_follows = self.noun(next).is_some_and(|noun| {
            noun.table.is_none_or(|(_, score)| score <= noun.column_score) && self.has_numbers(noun)
        });
        // "how much did customers spend": the number is still to come.
        let how_much = self.pending.iter().any(|pending| pending.text.eq_ignore_ascii_case("how much"));
        let counts = self.pending.iter().any(|pending| pending.aggregate == Aggregate::Count);
        let waits_for_number = how_much || (number_follows && !counts);
        if self.pending.is_empty() || waits_for_number {
            if self.intent.others() == 0 && self.stands_beside_a_column(table) {
                self.intent.called = Some(table);
            }
            self.intent.subjects.push(subject);
            self.number_of_row(table, here);
            return;
        }
        for pending in std::mem::take(&mut self.pending) {
            let text = format!("{} {text}", pending.text);
            let (aggregate, of) = match pending.aggregate {
                // "average orders per customer" is about their number, "average order" about its size.
                outer @ (Aggregate::Average | Aggregate::Minimum | Aggregate::Maximum | Aggregate::Median)
                    if plural =>
                {
                    self.intent.nested = Some(outer);
                    (Aggregate::Count, Measured::Rows(table))
                }
                // "total orders" asks how many there are.
                Aggregate::Count | Aggregate::Sum => (Aggregate::Count, Measured::Rows(table)),
                aggregate => (aggregate, Measured::Weight(table)),
            };
            self.intent.measures.push(Measure { aggregate, of, text });
        }
        self.distinct = false;
        self.operand = Some(Operand::Measure(self.intent.measures.len() - 1));
    }

    /// "not *living in* the city HKG", where a table is called `lives_in`, and the city is of who lives there: the value is
    /// not theirs.
    fn is_verb_before_a_value(&self, table: TableId, here: usize) -> bool {
        let verb = self.links[here].text.to_lowercase();
        let next = self.skip_noise(here + 1);
        let value = next + usize::from(self.noun(next).is_some_and(|noun| noun.values.is_empty()));
        let is_elsewhere = |noun: &Noun| {
            let own = self.intent.subjects.first().map(|subject| subject.table);
            let mut columns = noun.values.iter().map(|(column, _)| column.table);
            !noun.values.is_empty() && columns.all(|of| of != table && Some(of) == own)
        };
        verb.split(' ').next().is_some_and(words::is_relation)
            && self.noun(value).is_some_and(|noun| noun.table.is_none() && is_elsewhere(noun))
    }

    /// The columns are numbers that can be boiled down; years and codes are told as they are.
    fn is_of_amounts(&self, mention: &Mention) -> bool {
        self.numbers_of(mention).iter().any(|column| !self.schema.is_label_like(*column))
    }

    /// A number that people have defined. Saying how to combine it changes nothing, but an average of it is one over groups.
    pub(super) fn metric(&mut self, metric: usize, here: usize) {
        self.at = here + 1;
        let mut text = self.text(here, self.at);
        for pending in std::mem::take(&mut self.pending) {
            if !matches!(pending.aggregate, Aggregate::Sum | Aggregate::Count) {
                self.intent.nested = Some(pending.aggregate);
            }
            text = format!("{} {text}", pending.text);
        }
        if std::mem::take(&mut self.distinct) {
            self.left_over.push(format!("distinct {text}"));
        }
        let Some(defined) = self.schema.context.layer.metrics.get(metric) else { return };
        let aggregate = Aggregate::from(defined.formula.aggregate);
        self.intent.measures.push(Measure { aggregate, of: Measured::Metric(metric), text });
        self.operand = Some(Operand::Measure(self.intent.measures.len() - 1));
    }

    /// "customer 42"
    fn number_of_row(&mut self, table: TableId, here: usize) {
        let Some(number) = self.number(self.at).map(str::to_owned) else { return };
        if self.noun(self.skip_noise(self.at + 1)).is_some() || !number.chars().all(|c| c.is_ascii_digit()) {
            return;
        }
        self.at += 1;
        let text = self.text(here, self.at);
        self.intent.filters.push(Filter::new(Left::Key(table), Test::Number(Comparison::Equal, number), false, text));
    }

    /// Values that follow one another: "pending, paid or shipped". `from` is where the phrase
    /// starts; `of` the column that was named before them.
    pub(super) fn values(&mut self, at: usize, from: usize, of: Option<&Mention>) {
        let not = self.negated.take();
        if let Some(not) = not
            && let Some(table) = self.table_after_values(at)
            && let Some((things, _)) = self.noun(table).and_then(|noun| noun.table)
            && self.intent.subjects.first().is_some_and(|subject| subject.table != things)
        {
            // "who never made refunded orders": none of the orders is like that.
            self.values(at, at, of);
            while self.at < table {
                self.step();
            }
            self.negated = Some(not);
            return;
        }
        let none_at_all = not.is_some_and(|not| !self.describes_things_before(not, at));
        let from = not.unwrap_or(from).min(from);
        let mut at = at;
        let both = std::mem::take(&mut self.both);
        self.intent.both |= both;
        let mut joined = false;
        while let Some(noun) = self.noun(at) {
            let mut values = noun.values.clone();
            if let Some(of) = of {
                values.retain(|(column, _)| of.columns.contains(column));
            }
            self.keep_the_end(at, &mut values);
            let next_table = self.table_behind(at + 1);
            let near = next_table
                .filter(|table| values.iter().any(|(column, _)| column.table == *table))
                .or(of.and_then(|of| of.near))
                .or(self.last_table);
            let mention = Mention {
                columns: values.iter().map(|(column, _)| *column).collect(),
                text: self.text(at, at + 1),
                near,
                qualified: of.is_some_and(|of| of.qualified),
                implied: None,
                score: 1.0,
                is_value: true,
            };
            let text = self.text(from.min(at), at + 1);
            self.intent.filters.push(Filter {
                left: Left::Column(mention),
                test: Test::Value(values.clone()),
                negated: not.is_some(),
                none_at_all,
                or: false,
                each: both || joined,
                text,
            });
            self.at = at + 1;
            // The next of the list, if it is a value of the same column.
            let mut next = self.at;
            while matches!(self.cue(next), Some(Cue::And | Cue::Or | Cue::Noise))
                || matches!(self.meaning(next), Some(Meaning::Pause))
            {
                next += 1;
            }
            let goes_on = next > self.at
                && self.noun(next).is_some_and(|noun| {
                    noun.table.is_none_or(|(_, score)| score < 0.95)
                        && noun.values.iter().any(|(column, _)| values.iter().any(|(known, _)| known == column))
                });
            if !goes_on {
                break;
            }
            joined |= (self.at..next).any(|link| self.cue(link) == Some(Cue::And));
            if joined && let Some(last) = self.intent.filters.last_mut() {
                last.each = true;
            }
            at = next;
        }
        self.operand = None;
    }

    /// The "not" at `not` stands right behind the things of which the value at `at` tells:
    /// "orders not shipped".
    fn describes_things_before(&self, not: usize, at: usize) -> bool {
        let before = (0..not).rev().find(|before| !matches!(self.cue(*before), Some(Cue::Noise | Cue::Is)));
        let table = before.and_then(|before| self.noun(before)).and_then(|noun| noun.table);
        let values = self.noun(at).map(|noun| noun.values.as_slice()).unwrap_or_default();
        table.is_some_and(|(table, _)| values.iter().any(|(column, _)| column.table == table))
    }

    /// The table behind further adjectives: "paid or shipped EU orders".
    pub(super) fn table_behind(&self, mut at: usize) -> Option<TableId> {
        while matches!(self.cue(at), Some(Cue::Or | Cue::And))
            || self.noun(at).is_some_and(|noun| !noun.values.is_empty() && noun.table.is_none())
        {
            at += 1;
        }
        // "customers in EU ordered …": a verb is not described.
        let last = self.links[..self.links.len().min(at + 1)].last().map(|link| link.text.to_lowercase());
        if last.is_some_and(|text| text.ends_with("ed") || text.ends_with("ing")) {
            return None;
        }
        self.noun(at)?.table.filter(|(_, score)| *score >= DESCRIBED).map(|(table, _)| table)
    }

    /// "the state whose name contains …": the state is its name.
    fn whose_name(&self, here: usize) -> bool {
        let is_name = matches!(self.links[here].text.to_lowercase().as_str(), "name" | "names");
        let whose = here.checked_sub(1).is_some_and(|at| self.links[at].text.eq_ignore_ascii_case("whose"));
        let of = here.checked_sub(2).and_then(|at| self.noun(at));
        let is_text = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Text;
        is_name
            && whose
            && of.is_some_and(|noun| {
                noun.table.is_none() && !noun.columns.is_empty() && noun.columns.iter().all(is_text)
            })
    }

    fn column(&mut self, here: usize) {
        let Some(mut mention) = self.mention(here) else { return };
        if self.whose_name(here)
            && let Some(thing) = self.mention(here - 2)
        {
            if self.intent.columns.last().is_some_and(|last| last.columns == thing.columns) {
                self.intent.columns.pop();
            }
            mention = thing;
        }
        let boolean = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Boolean;
        let flags = mention.columns.iter().all(boolean);
        // "how many remote employees": the flag describes what is counted.
        let describes = flags && self.table_behind(self.at).is_some();
        // "how many professors are in building NEB"
        let counts = matches!(self.pending.as_slice(), [Pending { aggregate: Aggregate::Count, .. }]);
        let is_told = counts
            && !self.intent.filters.is_empty()
            && self.noun(self.at).is_some_and(|noun| {
                noun.table.is_none() && noun.values.iter().any(|(column, _)| mention.columns.contains(column))
            });
        if !self.pending.is_empty() && !describes && !is_told {
            self.measure(mention, here);
            return;
        }
        if self.is_said_again(&mention, here) || self.names_a_column(here) {
            return;
        }
        // "membership level" for `level_of_membership`: both words are of the one column.
        let beside = here.checked_sub(1).and_then(|before| self.noun(before));
        let is_same = beside.is_some_and(|noun| noun.table.is_none() && noun.columns == mention.columns);
        if is_same && self.intent.columns.last().is_some_and(|last| last.columns == mention.columns) {
            self.intent.columns.pop();
        }
        if self.condition(&mut mention, here) || self.is_of_the_value_before(&mention, here) {
            return;
        }
        if self.happened_last(here) {
            return;
        }
        if flags {
            let negated = self.negated.take().is_some();
            let text = mention.text.clone();
            mention.near = self.table_behind(self.at).or(mention.near);
            self.intent.filters.push(Filter::new(Left::Column(mention), Test::True, negated, text));
            return;
        }
        let numbers = self.numbers_of(&mention);
        let after_and = here > 0 && self.cue(here - 1) == Some(Cue::And);
        if let (Some(Operand::Measure(measure)), true, false) = (self.operand, after_and, numbers.is_empty())
            && mention.implied.is_none()
        {
            // "average salary and bonus": the aggregate holds for both.
            let aggregate = self.intent.measures[measure].aggregate;
            if aggregate != Aggregate::Count {
                self.pending.push(Pending { aggregate, text: aggregate.as_str().to_owned() });
                self.measure(mention, here);
                return;
            }
        }
        // "how many different majors and cities"
        if let (Some(Operand::Measure(measure)), true) = (self.operand, after_and)
            && matches!(self.intent.measures[measure].aggregate, Aggregate::CountDistinct | Aggregate::Count)
            && self.intent.havings.is_empty()
            && self.noun(here).is_some_and(|noun| noun.plural)
        {
            self.distinct = true;
            self.pending.push(Pending { aggregate: Aggregate::Count, text: "number of different".to_owned() });
            self.measure(mention, here);
            return;
        }
        // "countries where people speak Dutch", "the largest percentage of people": no population is to be shown.
        if self.are_people(&mention) {
            let is_where = here.checked_sub(1).is_some_and(|at| {
                matches!(self.links[at].text.to_lowercase().as_str(), "where" | "which" | "whose" | "do" | "by")
            });
            if !is_where {
                self.leave(here);
            }
            return;
        }
        if self.is_had_by_the_things(&mention, here) {
            let text = mention.text.clone();
            self.intent.filters.push(Filter::new(Left::Column(mention), Test::Missing, true, text));
            return;
        }
        self.intent.distinct |= std::mem::take(&mut self.distinct);
        self.both = false;
        self.show(mention);
    }

    /// "the buildings *that have rooms* with …": the rooms are no more than there.
    fn is_had_by_the_things(&self, mention: &Mention, here: usize) -> bool {
        let said =
            |back: usize| here.checked_sub(back).map(|at| self.links[at].text.to_lowercase()).unwrap_or_default();
        let of_things = matches!(said(2).as_str(), "that" | "which" | "who");
        of_things
            && matches!(said(1).as_str(), "have" | "has" | "had")
            && !self.intent.columns.is_empty()
            && self.pending.is_empty()
            && !matches!(self.cue(self.at), Some(Cue::Compare(_) | Cue::Between | Cue::And | Cue::Or | Cue::Match(_)))
            && self.noun(self.at).is_none_or(|noun| noun.values.is_empty())
            && mention.columns.iter().all(|column| !self.is_number_column(*column))
    }

    /// People as such, and no column that is called so.
    fn are_people(&self, mention: &Mention) -> bool {
        let is_called = |column: &ColumnId| {
            self.schema.words_of(*column).iter().any(|word| matches!(word.as_str(), "people" | "person"))
        };
        mention.text.eq_ignore_ascii_case("people") && !mention.columns.iter().any(is_called)
    }

    /// "forms of government" for `government_form`: both words are of the one column, which was read already.
    fn is_said_again(&self, mention: &Mention, here: usize) -> bool {
        let [column] = mention.columns.as_slice() else { return false };
        let Some(before) = here.checked_sub(2).filter(|_| self.cue(here - 1) == Some(Cue::Of)) else { return false };
        let is_same = self.noun(before).is_some_and(|noun| noun.table.is_none() && noun.columns == [*column]);
        let words = self.schema.words_of(*column);
        let said = |at: usize| -> Vec<String> {
            words::name_words(&self.links[at].text).iter().map(|word| words::singular(word)).collect()
        };
        let known = |word: &String| words.iter().any(|own| own == word || words::are_synonyms(own, word));
        is_same && said(here).iter().all(|word| words.contains(word)) && said(before).iter().all(known)
    }

    /// "the names of the states", "director names", where states and directors are columns that have no name beside them.
    fn names_a_column(&self, here: usize) -> bool {
        let is_name = |at: usize| matches!(self.links[at].text.to_lowercase().as_str(), "name" | "names");
        let is_text = |column: &ColumnId| {
            self.schema.column(*column).data_type == ColumnType::Text && !self.schema.is_temporal(*column)
        };
        let is_column = |at: usize| {
            self.noun(at).is_some_and(|noun| {
                noun.table.is_none()
                    && noun.values.is_empty()
                    && noun.column_score >= 0.6
                    && !noun.columns.is_empty()
                    && noun.columns.iter().all(is_text)
            })
        };
        let of = self.skip_noise(here + 1);
        // "the name of every city"
        let of = self.skip_noise(of + usize::from(self.cue(of) == Some(Cue::By)));
        let owns = self.cue(here + 1) == Some(Cue::Of) && is_column(of) && self.cue(of + 1) != Some(Cue::And);
        let follows = here.checked_sub(1).is_some_and(is_column);
        is_name(here) && (owns || follows)
    }

    /// "the English language", "that have CD as their format": the column of the value before it, and nothing to show.
    fn is_of_the_value_before(&mut self, mention: &Mention, here: usize) -> bool {
        let said = |at: usize| self.links[at].text.to_lowercase();
        let is_small =
            |at: &usize| matches!(said(*at).as_str(), "as" | "their" | "its" | "his" | "her" | "a" | "an" | "the");
        let small = (0..here).rev().take_while(is_small).count();
        let as_it = (here - small..here).any(|at| said(at) == "as");
        let Some(before) = (if as_it { here - small } else { here }).checked_sub(1) else { return false };
        // "a king bed" for `bed_type`
        let said: Vec<String> = words::name_words(&mention.text).iter().map(|word| words::singular(word)).collect();
        let has_it = |column: &ColumnId| {
            let words = self.schema.words_of(*column);
            said.iter().all(|word| words.contains(word))
                && !as_it
                && self.noun(here).is_some_and(|noun| noun.table.is_none())
        };
        let is_it = |column: &ColumnId| mention.columns.contains(column) || has_it(column);
        // "Bob's friends" are of Bob, and the friend Bob is another; "'Cutlery' type" only quotes it.
        let text = &self.links[before].text;
        let owns = !text.starts_with(quote::is_quote) && text.contains(['\'', '\u{2019}']);
        let is_value = self
            .noun(before)
            .is_some_and(|noun| noun.table.is_none() && noun.values.iter().any(|(column, _)| is_it(column)));
        let named: Vec<ColumnId> = self.schema.all_columns().filter(has_it).collect();
        let last = self.intent.filters.last_mut().filter(|_| is_value && !owns);
        let Some(Filter { left: Left::Column(value @ Mention { is_value: true, .. }), .. }) = last else {
            return false;
        };
        let known = value.columns.clone();
        value.columns.retain(|column| mention.columns.contains(column));
        if value.columns.is_empty() {
            value.columns = known.into_iter().filter(|column| named.contains(column)).collect();
        }
        !value.columns.is_empty()
    }

    /// The column is what the waiting aggregates are of.
    pub(super) fn measure(&mut self, mention: Mention, here: usize) {
        let boils_down = self.pending.iter().any(|pending| pending.aggregate != Aggregate::Count);
        let numbers = match self.numbers_of(&mention) {
            none if none.is_empty()
                && boils_down
                && !mention.columns.iter().any(|column| self.schema.is_temporal(*column)) =>
            {
                fit::numbers_called(self.schema, &mention.text)
            }
            numbers => numbers,
        };
        let distinct = std::mem::take(&mut self.distinct);
        // "how much does the youngest dog weigh": what that one row has.
        let of_one = self
            .intent
            .rank
            .as_ref()
            .is_some_and(|rank| matches!(rank.by, RankBy::Quality(_)) && rank.plural != Some(true));
        let asks_how_much = |pending: &Pending| pending.text.eq_ignore_ascii_case("how much");
        if of_one && !numbers.is_empty() && self.pending.iter().all(asks_how_much) {
            self.pending.clear();
            return self.show(Mention { columns: numbers, ..mention });
        }
        let is_described = !self.intent.subjects.is_empty() || !self.intent.columns.is_empty();
        let is_compared = matches!(self.cue(self.at), Some(Cue::Compare(_) | Cue::Between));
        for pending in std::mem::take(&mut self.pending) {
            if distinct && pending.aggregate != Aggregate::Count {
                self.left_over.push(format!("distinct {}", mention.text));
                continue;
            }
            let of_numbers = Mention { columns: numbers.clone(), ..mention.clone() };
            let additive = |column: &ColumnId| words::is_additive(&self.schema.words_of(*column));
            let temporal: Vec<ColumnId> =
                mention.columns.iter().copied().filter(|column| self.schema.is_temporal(*column)).collect();
            // "how many followers does each user have" is what the column says.
            let in_groups = self.groups_follow(here);
            // Of a text that holds numbers ("section") it is how many of them there are.
            let is_amount = |column: &ColumnId| self.schema.column(*column).data_type != ColumnType::Text;
            let is_plural =
                in_groups && numbers.iter().all(is_amount) && self.noun(here).is_some_and(|noun| noun.plural);
            let says_total = pending.text.to_lowercase().contains("total");
            let (aggregate, of) = match pending.aggregate {
                // "the average number of bedrooms": a number that each has, unless it is added up for others.
                Aggregate::Count if !distinct && !numbers.is_empty() && !in_groups && self.intent.nested.is_some() => {
                    (self.intent.nested.take().unwrap_or(Aggregate::Average), of_numbers)
                }
                // "the name and number of employees of the departments", "markets with a number of cities below 300"
                Aggregate::Count
                    if !distinct
                        && !numbers.is_empty()
                        && !says_total
                        && (is_described || mention.qualified || is_compared) =>
                {
                    self.show(of_numbers);
                    continue;
                }
                // "the total number of points"
                Aggregate::Count
                    if !distinct
                        && !numbers.is_empty()
                        && (numbers.iter().all(additive) || says_total || is_plural) =>
                {
                    (Aggregate::Sum, of_numbers)
                }
                // How many different numbers there are is asked with "different".
                Aggregate::Count
                    if !distinct
                        && numbers.len() == mention.columns.len()
                        && !numbers.iter().any(|column| self.schema.is_label_like(*column)) =>
                {
                    self.leave(here);
                    continue;
                }
                Aggregate::Count => (Aggregate::CountDistinct, mention.clone()),
                aggregate if !numbers.is_empty() => (aggregate, of_numbers),
                aggregate @ (Aggregate::Minimum | Aggregate::Maximum) if !temporal.is_empty() => {
                    (aggregate, Mention { columns: temporal, ..mention.clone() })
                }
                _ => {
                    self.left_over.push(pending.text);
                    self.leave(here);
                    continue;
                }
            };
            let text = format!("{} {}", pending.text, mention.text);
            self.intent.measures.push(Measure { aggregate, of: Measured::Column(of), text });
            self.operand = Some(Operand::Measure(self.intent.measures.len() - 1));
        }
        self.last_table = mention.columns.first().filter(|_| mention.qualified).map(|c| c.table).or(self.last_table);
    }
}
