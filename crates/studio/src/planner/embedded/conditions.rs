//! The part of the reading that concerns conditions: comparisons, named values, absence.

use super::calendar;
use super::compose::{Composer, DESCRIBED, Operand};
use super::cue::{Aggregate, Comparison, Cue, Match};
use super::fit;
use super::intent::{Filter, Left, Measure, Measured, Mention, Subject, Test};
use super::link::{Link, Meaning, Noun};
use super::schema::{ColumnId, TableId};
use super::words;
use crate::planner::{ColumnType, quote};

impl Composer<'_> {
    pub(super) fn number_at(&self, at: usize) -> Option<String> {
        match self.meaning(at) {
            Some(Meaning::Number(number)) => Some(number.clone()),
            // "more than a single order"
            Some(Meaning::Unknown) if self.text(at, at + 1).eq_ignore_ascii_case("single") => Some("1".to_owned()),
            _ => None,
        }
    }

    /// A value as someone typed it after "is" or "=": in quotes, a number, or a word unknown here.
    fn typed_at(&self, at: usize) -> Option<String> {
        match self.meaning(at) {
            Some(Meaning::Quoted(text)) => Some(text.clone()),
            Some(Meaning::Unknown) => Some(self.text(at, at + 1)),
            _ => None,
        }
    }

    /// Unknown words in a row are one typed value: "named Acme Rockets".
    fn typed_words(&self, at: usize) -> Option<(usize, String)> {
        let first = self.typed_at(at)?;
        let mut end = at + 1;
        let is_name = |at: usize| self.links.get(at).is_some_and(|link| link.text.starts_with(char::is_uppercase));
        let is_unknown = |at: usize| matches!(self.meaning(at), Some(Meaning::Unknown));
        // A name goes on in capitals: "Jetblue Airways affiliated" is none.
        while is_unknown(at) && is_unknown(end) && (is_name(end) || !is_name(at)) {
            end += 1;
        }
        Some((end, if end == at + 1 { first } else { self.text(at, end) }))
    }

    pub(super) fn filter(&mut self, mention: Mention, test: Test, negated: bool, text: String) {
        self.intent.filters.push(Filter::new(Left::Column(mention), test, negated, text));
    }

    /// A condition on the column named at `here`, if one follows it.
    pub(super) fn condition(&mut self, mention: &mut Mention, here: usize) -> bool {
        let mut next = self.at;
        let mut is = false;
        let mut negated = false;
        let mut equal = false;
        let mut comparison = None;
        let mut beside = true;
        let verb = self.links[here].text.to_lowercase();
        let is_verb = verb.ends_with("ing") || verb.ends_with("ed");
        loop {
            match self.cue(next) {
                // "aged either 32 or 33"
                // "majoring in 600"
                Some(Cue::Noise) => {
                    let said = self.links[next].text.to_lowercase();
                    beside &= said == "either" || (said == "in" && is_verb);
                }
                // "a population of 80000"; what could be a year is no number of it.
                Some(Cue::Of) if next == self.at && self.is_of_so_many(mention, next) => equal = true,
                Some(Cue::Is | Cue::Named) => is = true,
                Some(Cue::Not) => negated = true,
                Some(Cue::Compare(Comparison::Equal)) => equal = true,
                Some(Cue::Compare(Comparison::NotEqual)) => (equal, negated) = (true, true),
                Some(Cue::Compare(other)) if comparison.is_none() => comparison = Some(other),
                _ => break,
            }
            next += 1;
        }
        let explicit = is || equal;
        if let Some(number) = self.number_at(next) {
            // "district 1 in the election" is one; of "years 3 orders …" the orders are three.
            let is_one = next == here + 1 && self.noun(here).is_some_and(|noun| !noun.plural);
            let behind = if is_one { next + 1 } else { self.skip_noise(next + 1) };
            let nothing_behind = self.noun(behind).is_none_or(|noun| noun.table.is_none());
            // "documents with at least two paragraphs": these are counted, and the column is not compared.
            let counted = |noun: &Noun| noun.plural && noun.table.is_some_and(|(_, score)| score >= 0.7);
            if comparison.is_some() && self.noun(next + 1).is_some_and(counted) {
                return false;
            }
            let comparison = match comparison {
                Some(comparison) => comparison,
                None if equal || is || beside => Comparison::Equal,
                None => return false,
            };
            // "aged 30 or younger", "year 2005 or later"
            if let (Comparison::Equal, Some(Cue::OrCompare(open))) = (comparison, self.cue(next + 1)) {
                let is_number = self.compare_column(mention, open, number, negated, here, next);
                self.at = if is_number { next + 2 } else { self.at };
                return is_number;
            }
            if comparison != Comparison::Equal || nothing_behind {
                return self.compare_column(mention, comparison, number, negated, here, next);
            }
            return false;
        }
        if let Some(comparison) = comparison {
            return self.compare_overall(mention, comparison, negated, here, next);
        }
        if self.cue(next) == Some(Cue::Between)
            && let Some((low, high, end)) = self.two_numbers(next + 1)
        {
            self.at = end;
            let text = self.text(here, end);
            let negated = self.negated_now() || negated;
            self.compared(mention.clone(), Test::Between(low, high), negated, text);
            return true;
        }
        if self.cue(next) == Some(Cue::Missing) && (is || next == self.at) {
            self.at = next + 1;
            let text = self.text(here, self.at);
            self.filter(mention.clone(), Test::Missing, negated, text);
            return true;
        }
        if let Some(Cue::Match(kind)) = self.cue(next) {
            let raw = self.skip_noise(next + 1);
            if let Some(Meaning::Quoted(text)) = self.meaning(raw).cloned() {
                return self.text_match(mention, Test::Text(kind, text), negated, here, raw);
            }
            if raw < self.links.len() && !matches!(self.meaning(raw), Some(Meaning::Pause)) && !self.is_counted(raw) {
                let text = self.text(raw, raw + 1);
                let text = quote::quoted(&text).map_or(text.as_str(), |(_, inside)| inside).to_owned();
                return self.text_match(mention, Test::Text(kind, text), negated, here, raw);
            }
            return false;
        }
        if let Some(Meaning::Time(range)) = self.meaning(next).cloned() {
            let is_time = |column: &ColumnId| {
                self.schema.is_temporal(*column) || self.schema.year_of(column.table) == Some(*column)
            };
            let temporal: Vec<_> = mention.columns.iter().copied().filter(is_time).collect();
            if temporal.is_empty() {
                return false;
            }
            self.at = next + 1;
            let text = self.text(here, self.at);
            let mention = Mention { columns: temporal, ..mention.clone() };
            let left = Left::Time(Some(mention), None);
            let negated = self.negated_now() || negated;
            self.intent.filters.push(Filter::new(left, Test::Within(range), negated, text));
            return true;
        }
        // "city Anthony", "in the city of Anthony"
        let is_of = next == self.at && self.cue(next) == Some(Cue::Of) && self.intent.others() > 0;
        let value = next + usize::from(is_of);
        if let Some(noun) = self.noun(value)
            && noun.values.iter().any(|(column, _)| mention.columns.contains(column))
            && (!is_of || noun.table.is_none())
        {
            if negated {
                self.negate_at(here);
            }
            let of = mention.clone();
            self.values(value, here, Some(&of));
            return true;
        }
        // "city Berlin": a name behind a column of many different texts.
        let many_texts = |column: &super::schema::ColumnId| {
            let described = self.schema.column(*column);
            described.data_type == ColumnType::Text && !described.has_few_values()
        };
        let is_name = next == self.at
            && matches!(self.meaning(next), Some(Meaning::Unknown | Meaning::Quoted(_)))
            && (self.text(next, next + 1).starts_with(char::is_uppercase)
                || matches!(self.meaning(next), Some(Meaning::Quoted(_))))
            && mention.columns.iter().all(many_texts);
        // "degrees are offered" compares with nothing.
        let does = |link: &Link| {
            let is_word = link.text.starts_with(char::is_lowercase);
            is_word && (link.text.ends_with("ed") || words::is_relation(&link.text))
        };
        let is_verb = is && !equal && self.links.get(next).is_some_and(does);
        // "what region is Kabul in" asks for it.
        let is_asked = is && !equal && here.checked_sub(1).is_some_and(|which| self.cue(which) == Some(Cue::Which));
        if ((explicit && !is_verb && !is_asked) || is_name)
            && let Some((end, text)) = self.typed_words(next)
        {
            self.at = end;
            let phrase = self.text(here, end);
            self.filter(mention.clone(), Test::Typed(text), negated, phrase);
            return true;
        }
        false
    }

    fn is_of_so_many(&self, mention: &Mention, of: usize) -> bool {
        let number = self.number_at(of + 1).filter(|number| calendar::year(number).is_none());
        let is_last =
            !matches!(self.cue(of + 2), Some(Cue::Superlative(..))) && self.noun(self.skip_noise(of + 2)).is_none();
        let is_of = self.links[of].text.eq_ignore_ascii_case("of");
        let is_key = |column: &ColumnId| self.schema.is_numeric(*column) && self.schema.is_key_like(*column);
        // "an id of 12"
        let fits = !self.numbers_of(mention).is_empty() || mention.columns.iter().any(is_key);
        number.is_some() && is_of && is_last && fits
    }

    fn compare_column(
        &mut self,
        mention: &Mention,
        comparison: Comparison,
        number: String,
        negated: bool,
        here: usize,
        number_at: usize,
    ) -> bool {
        let keys_and_numbers: Vec<_> = mention
            .columns
            .iter()
            .copied()
            .filter(|column| {
                let described = self.schema.column(*column).data_type;
                self.schema.is_numeric(*column) || (comparison == Comparison::Equal && described == ColumnType::Text)
            })
            .collect();
        // "whose area is over 3000", where an area is a region first, and `surface_area`.
        let keys_and_numbers = match keys_and_numbers {
            none if none.is_empty() && comparison != Comparison::Equal => {
                fit::numbers_called(self.schema, &mention.text)
            }
            some => some,
        };
        if keys_and_numbers.is_empty() {
            return false;
        }
        self.at = number_at + 1;
        let text = self.text(here, self.at);
        let negated = self.negated_now() || negated;
        let mention = Mention { columns: keys_and_numbers, ..mention.clone() };
        let or = (comparison == Comparison::Equal && !negated && self.cue(self.at) == Some(Cue::Or))
            .then(|| self.number_at(self.at + 1))
            .flatten()
            .filter(|_| self.noun(self.skip_noise(self.at + 2)).is_none_or(|noun| noun.table.is_none()));
        self.compared(mention.clone(), Test::Number(comparison, number), negated, text);
        // "year 2013 or 2014"
        if let Some(other) = or {
            let text = self.text(here, self.at + 2);
            self.at += 2;
            let left = Left::Column(mention);
            self.intent
                .filters
                .push(Filter { or: true, ..Filter::new(left, Test::Number(comparison, other), false, text) });
        }
        true
    }

    /// A comparison of a column. Of a word for a sum ("spent more than 1000"), next to a thing
    /// that is not a row of the same table, it is a comparison of the sum.
    fn compared(&mut self, mention: Mention, test: Test, negated: bool, text: String) {
        let of_groups = mention.implied.filter(|_| {
            let own = |table: TableId| mention.columns.iter().any(|column| column.table == table);
            let others = self.intent.subjects.iter().any(|subject| !own(subject.table));
            let grouped = !self.intent.dimensions.is_empty() || !self.intent.columns.is_empty();
            let counted = self.intent.measures.iter().any(|measure| match measure.of {
                Measured::Rows(table) => !own(table),
                _ => false,
            });
            others || grouped || counted
        });
        match of_groups {
            Some(_) if negated => self.filter(mention, test, negated, text),
            Some(aggregate) => {
                let measure = Measure { aggregate, of: Measured::Column(mention.clone()), text: mention.text };
                self.intent.measures.push(measure);
                let measure = self.intent.measures.len() - 1;
                self.silence(measure);
                self.add_having(measure, test, text);
            }
            None => self.filter(mention, test, negated, text),
        }
    }

    /// The measure counts the table's rows, and nothing was named to group them by.
    fn counts_only(&self, measure: usize, table: TableId) -> bool {
        let counts = self
            .intent
            .measures
            .get(measure)
            .is_some_and(|measure| matches!(measure.of, Measured::Rows(counted) if counted == table));
        let ungrouped =
            self.intent.subjects.is_empty() && self.intent.columns.is_empty() && self.intent.dimensions.is_empty();
        counts && ungrouped
    }

    fn compare_measure(&mut self, measure: usize, test: Test, negated: bool, text: String, here: usize) {
        match (test, negated) {
            (test, false) => self.add_having(measure, test, text),
            (Test::Number(comparison, number), true) => {
                self.add_having(measure, Test::Number(comparison.inverse(), number), text);
            }
            (_, true) => self.leave(here),
        }
    }

    /// Reads on up to a place that lies ahead.
    fn steps_until(&mut self, place: usize) {
        while self.at < place {
            self.step();
        }
    }

    fn two_numbers(&self, at: usize) -> Option<(String, String, usize)> {
        let low = self.number_at(at)?;
        (self.cue(at + 1) == Some(Cue::And)).then_some(())?;
        let high = self.number_at(at + 2)?;
        Some((low, high, at + 3))
    }

    /// "at least 3 times", "more than once": how many of what was named last belong to what was named first.
    fn compare_times(&mut self, comparison: Comparison, at: usize, here: usize) -> bool {
        let said = |at: usize| self.links.get(at).map(|link| link.text.to_lowercase()).unwrap_or_default();
        let (number, end) = match said(at).as_str() {
            "once" => ("1".to_owned(), at + 1),
            "twice" => ("2".to_owned(), at + 1),
            // "names that have more than 2 records"
            _ => match self
                .number_at(at)
                .filter(|_| matches!(said(at + 1).as_str(), "times" | "record" | "records" | "rows" | "entries"))
            {
                Some(number) => (number, at + 2),
                None => return false,
            },
        };
        // "codes that were used less than 5 times": in so many rows they stand.
        if let ([column], []) = (self.intent.columns.as_slice(), self.intent.subjects.as_slice())
            && self.intent.measures.is_empty()
        {
            let (of, text) = (Measured::RowsWith(column.clone()), column.text.clone());
            return self.compare_counted(of, text, comparison, number, (here, end));
        }
        let [first, .., last] = self.intent.subjects.as_slice() else { return false };
        if first.table == last.table || self.schema.path_up(last.table, first.table).is_none() {
            return false;
        }
        let (of, text) = (Measured::Rows(last.table), last.text.clone());
        self.compare_counted(of, text, comparison, number, (here, end))
    }

    fn compare_counted(
        &mut self,
        of: Measured,
        text: String,
        comparison: Comparison,
        number: String,
        (here, end): (usize, usize),
    ) -> bool {
        self.intent.measures.push(Measure { aggregate: Aggregate::Count, of, text });
        let measure = self.intent.measures.len() - 1;
        self.silence(measure);
        self.at = end;
        let text = self.text(here, end);
        let negated = self.negated_now();
        self.compare_measure(measure, Test::Number(comparison, number), negated, text, here);
        true
    }

    /// A comparison whose left side is not a column right before it.
    pub(super) fn compare(&mut self, comparison: Comparison, here: usize) {
        let at = self.skip_noise(self.at);
        if self.compare_times(comparison, at, here) || self.is_where_it_belongs(here, at) {
            return;
        }
        match self.number_at(at) {
            Some(number) => {
                self.at = at + 1;
                self.compare_with(Test::Number(comparison, number), here);
            }
            None => match self.compared_behind(at) {
                Some((mention, number, end)) => {
                    self.at = end;
                    let text = self.text(here, end);
                    let negated = self.negated_now();
                    self.compared(mention, Test::Number(comparison, number), negated, text);
                }
                // "departments whose average salary is above the average" compare groups.
                None if matches!(self.operand, Some(Operand::Measure(_))) => self.leave(here),
                None => match self.overall_behind(at) {
                    Some((mention, aggregate, end)) => {
                        self.at = end;
                        let text = self.text(here, end);
                        let negated = self.negated_now();
                        self.filter(mention, Test::Overall(comparison, aggregate), negated, text);
                    }
                    None => self.leave(here),
                },
            },
        }
    }

    /// "products under the category 'Seeds'": where they belong, and no number.
    fn is_where_it_belongs(&self, here: usize, at: usize) -> bool {
        let has_value = |noun: &Noun, next: Option<&Noun>| {
            let of_it = |value: &Noun| value.values.iter().any(|(column, _)| noun.columns.contains(column));
            !noun.values.is_empty() || next.is_some_and(of_it)
        };
        let said = self.text(here, here + 1).to_lowercase();
        said == "under" && self.noun(at).is_some_and(|noun| has_value(noun, self.noun(at + 1)))
    }

    /// "above age 20", "a greater weight than 10": the column stands between.
    fn compared_behind(&self, at: usize) -> Option<(Mention, String, usize)> {
        let mention = self.mention(at)?;
        let columns = self.numbers_of(&mention);
        let number = self.skip_noise(at + 1);
        (!columns.is_empty()).then_some(())?;
        Some((Mention { columns, ..mention }, self.number_at(number)?, number + 1))
    }

    pub(super) fn between(&mut self, here: usize) {
        let at = self.skip_noise(self.at);
        match self.two_numbers(at) {
            Some((low, high, end)) => {
                self.at = end;
                self.compare_with(Test::Between(low, high), here);
            }
            None => self.leave(here),
        }
    }

    /// What is compared: the noun behind the number, else the measure or column before it, else
    /// the size of the thing that was named.
    pub(super) fn compare_with(&mut self, test: Test, here: usize) {
        let negated = self.negated_now();
        let mut next = self.skip_noise(self.at);
        // "at least two different customers"
        if self.cue(next) == Some(Cue::Distinct) {
            next = self.skip_noise(next + 1);
        }
        if let Some(table) = self.table_after_values(next)
            && table > next
        {
            // "more than 2 shipped orders", "two remote employees"
            self.at = next;
            if self.noun(next).is_some_and(|noun| !noun.values.is_empty()) {
                self.values(next, next, None);
            }
            self.steps_until(table);
            next = table;
        }
        let noun = self.noun(next).cloned();
        if let Some(noun) = &noun {
            let numeric = self.has_numbers(noun);
            let table = noun.table.filter(|(_, score)| {
                *score >= 0.7 && (*score > noun.column_score || (*score >= noun.column_score && !numeric))
            });
            if let Some((table, _)) = table {
                let known = self.intent.measures.len();
                let text = self.text(next, next + 1);
                self.at = next + 1;
                self.last_table = Some(table);
                let measure = Measure { aggregate: Aggregate::Count, of: Measured::Rows(table), text };
                self.intent.measures.push(measure);
                self.silence(known);
                let text = self.text(here, self.at);
                self.compare_measure(known, test, negated, text, here);
                return;
            }
            if numeric && let Some(mention) = self.mention(next) {
                let columns = self.numbers_of(&mention);
                self.at = next + 1;
                let text = self.text(here, self.at);
                self.compared(Mention { columns, ..mention }, test, negated, text);
                return;
            }
        }
        let text = self.text(here, self.at);
        match (self.take_operand(), self.last_table) {
            // "how many orders over 900": nothing is grouped, so each row is compared.
            // "how many people are under 40", "students over 20 years old"
            (operand, Some(table)) if self.is_about_age(&operand, table, here) => {
                self.intent.columns.extend(operand.and_then(Result::err));
                if let Some(mention) = self.age_of(table, here) {
                    self.compared(mention, test, negated, text);
                }
            }
            (Some(Ok(measure)), Some(table)) if self.counts_only(measure, table) => {
                let left = Left::Weight(table);
                self.intent.filters.push(Filter::new(left, test, negated, text));
            }
            (Some(Ok(measure)), _) => self.compare_measure(measure, test, negated, text, here),
            (Some(Err(mention)), _) if !self.numbers_of(&mention).is_empty() => {
                // "amount of orders over 1000" shows the amount, "amount over 1000" only tests it.
                let before = here.checked_sub(1).and_then(|before| self.noun(before));
                if before.is_some_and(|noun| {
                    noun.table.is_some() && !noun.columns.iter().any(|c| mention.columns.contains(c))
                }) {
                    self.intent.columns.push(mention.clone());
                }
                let columns = self.numbers_of(&mention);
                let text = format!("{} {text}", mention.text);
                self.compared(Mention { columns, ..mention }, test, negated, text);
            }
            // "population over 1500 or less than 500"
            (operand @ (None | Some(Err(_))), _) if self.is_alternative() => {
                self.intent.columns.extend(operand.and_then(Result::err));
                match self.intent.filters.last() {
                    Some(Filter { left: Left::Column(mention), .. }) => {
                        let mention = mention.clone();
                        self.compared(mention, test, negated, text);
                    }
                    _ => self.leave(here),
                }
            }
            // "students over 20": of people that is their age, where nothing says how big they are.
            (None, Some(table)) if self.schema.weight_of(table).is_none() && self.age_of(table, here).is_some() => {
                if let Some(mention) = self.age_of(table, here) {
                    self.compared(mention, test, negated, text);
                }
            }
            (operand, Some(table)) => {
                self.intent.columns.extend(operand.and_then(Result::err));
                let left = Left::Weight(table);
                self.intent.filters.push(Filter::new(left, test, negated, text));
            }
            (operand, None) => {
                self.intent.columns.extend(operand.and_then(Result::err));
                self.leave(here);
            }
        }
    }

    /// "without orders", "with no email", "without refunded"
    pub(super) fn without(&mut self, here: usize) {
        if self.is_spelled(self.at) {
            // "without the letter M in their names"
            let spelled = self.at;
            self.at += 1;
            self.negate_at(here);
            return self.spelled(Match::Contains, spelled);
        }
        let next = self.skip_noise(self.at);
        let Some(noun) = self.noun(next).cloned() else {
            // "no less than" and the like are cues of their own; a "no" that negates a verb
            // waits for its noun: "who have not ordered".
            if next < self.links.len() {
                self.negate_at(here)
            } else {
                self.leave(here)
            }
            return;
        };
        self.at = next + 1;
        let text = self.text(here, self.at);
        // "no facility": no row of `apartment_facilities`, though its column is called `facility_code`.
        let own = |table: TableId| noun.columns.iter().all(|column| column.table == table);
        match noun.table.filter(|(table, score)| *score >= noun.column_score || (*score >= DESCRIBED && own(*table))) {
            Some((table, score)) => {
                self.last_table = Some(table);
                let subject = Subject { table, text, plural: noun.plural, after_measure: true, score };
                self.intent.absent.push(subject);
            }
            None if !noun.columns.is_empty() => {
                // "no cartoon directed by Ann"
                let mut value = self.skip_noise(next + 1);
                if self.cue(value) == Some(Cue::By) {
                    value = self.skip_noise(value + 1);
                }
                let has = |value: &Noun| value.values.iter().any(|(column, _)| noun.columns.contains(column));
                if self.noun(value).is_some_and(has) {
                    let of = self.mention(next);
                    self.negate_at(here);
                    self.values(value, here, of.as_ref());
                } else if let Some(mention) = self.mention(next) {
                    self.filter(mention, Test::Missing, false, text);
                }
            }
            None => match self.table_after_values(next) {
                // "without cancelled orders": none of the orders is like that.
                Some(table) => {
                    self.values(next, next, None);
                    self.steps_until(table);
                    self.negate_at(here);
                }
                None => {
                    self.negate_at(here);
                    self.values(next, here, None);
                }
            },
        }
    }

    /// A number that is compared is an age: it is told in years, or there are people of whom nothing else says how big
    /// they are.
    fn is_about_age(&self, operand: &Option<Result<usize, Mention>>, table: TableId, here: usize) -> bool {
        if self.age_of(table, here).is_none() {
            return false;
        }
        let in_years = self.links.get(self.at).is_some_and(|link| link.text.eq_ignore_ascii_case("years old"));
        match operand {
            Some(Ok(measure)) => {
                self.counts_only(*measure, table) && (in_years || self.schema.weight_of(table).is_none())
            }
            Some(Err(mention)) => in_years && self.numbers_of(mention).is_empty(),
            None => in_years,
        }
    }

    /// Where the table stands that the values from `at` on describe.
    pub(super) fn table_after_values(&self, mut at: usize) -> Option<usize> {
        while self.noun(at).is_some_and(|noun| self.describes(noun)) || matches!(self.cue(at), Some(Cue::Or | Cue::And))
        {
            at += 1;
        }
        self.noun(at)?.table.filter(|(_, score)| *score >= DESCRIBED).map(|_| at)
    }

    /// "missing email"
    pub(super) fn missing(&mut self, here: usize) {
        let negated = self.negated_now();
        match (self.take_operand(), self.mention(self.skip_noise(self.at))) {
            (before, Some(mention)) if !mention.columns.is_empty() => {
                // "the salaries of employees with a null commission" are asked for.
                self.intent.columns.extend(before.and_then(Result::err));
                self.at = self.skip_noise(self.at) + 1;
                let text = self.text(here, self.at);
                self.filter(mention, Test::Missing, negated, text);
            }
            (Some(Err(mention)), _) => {
                let text = format!("{} {}", mention.text, self.text(here, here + 1));
                self.filter(mention, Test::Missing, negated, text);
            }
            _ => self.leave(here),
        }
    }

    fn is_a_value_of(&self, at: usize, column: ColumnId) -> bool {
        self.noun(at).is_some_and(|noun| noun.table.is_none() && noun.values.iter().any(|(of, _)| *of == column))
    }

    /// "products named X"
    pub(super) fn named(&mut self, here: usize) {
        let labelled = self.last_table.filter(|table| self.schema.label_of(*table).is_some());
        let next = self.skip_noise(self.at);
        // "what is the largest ship called"
        if let Some(label) = labelled.and_then(|table| self.schema.label_of(table))
            && (next >= self.links.len() || self.is_a_value_of(next, label))
        {
            let mention = Mention { score: 0.9, ..Mention::of(label, self.text(here, here + 1)) };
            if next >= self.links.len() {
                self.show(mention);
            } else {
                self.values(next, here, Some(&mention));
            }
            return;
        }
        match (labelled, self.typed_words(self.skip_noise(self.at))) {
            (Some(table), Some((end, typed))) => {
                self.at = end;
                let text = self.text(here, end);
                let negated = self.negated_now();
                let left = Left::Label(table);
                self.intent.filters.push(Filter::new(left, Test::Typed(typed), negated, text));
            }
            _ => self.leave(here),
        }
    }
}
