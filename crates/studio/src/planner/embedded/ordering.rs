//! The part of the reading that concerns groups, order and superlatives.

use super::calendar::Grain;
use super::compose::Composer;
use super::cue::{self, Aggregate, Cue, Direction, Quality};
use super::fit;
use super::intent::{Dimension, Measure, Measured, Mention, RankBy, Slice, SortBy, Subject};
use super::link::{Meaning, Noun};
use super::schema::{ColumnId, TableId};
use super::words;

impl Composer<'_> {
    /// "by region and status", "per customer", "by month"; after "top 5": "by total amount".
    pub(super) fn group_by(&mut self, here: usize) {
        let every = matches!(self.text(here, here + 1).to_lowercase().as_str(), "every" | "each");
        let nothing_before = self.skip_noise(0) >= here;
        if every && nothing_before {
            self.intent.all = true;
            return;
        }
        let by_frequency = self.is_frequency(self.skip_noise(self.at)) && !self.intent.columns.is_empty();
        if std::mem::take(&mut self.sorts) || by_frequency {
            self.sort_by(here);
            return;
        }
        let word = self.text(here, here + 1).to_lowercase();
        if self.reads_all_rows(&word) {
            return;
        }
        let mut next = self.skip_noise(self.at);
        // "for each different region"
        if self.cue(next) == Some(Cue::Distinct) {
            self.at = next + 1;
            next = self.skip_noise(self.at);
        }
        // "of each male student"
        if every_one(&word)
            && let Some(table) = self.table_after_values(next).filter(|table| *table > next)
        {
            self.values(next, next, None);
            self.at = table;
            next = table;
        }
        let compares = matches!(self.cue(next), Some(Cue::Superlative(..) | Cue::Compare(_)));
        let is_value = self
            .noun(next)
            .is_some_and(|noun| noun.table.is_none() && noun.columns.is_empty() && !noun.values.is_empty());
        // "directed by Ann", "used by the most documents", "owned by students": the one who did it, and no groups.
        let done = here.checked_sub(1).is_some_and(|verb| {
            let verb = self.links[verb].text.to_lowercase();
            verb == "used" || words::is_relation(&verb)
        });
        let article = (self.at..next).any(|at| matches!(self.text(at, at + 1).to_lowercase().as_str(), "a" | "the"));
        let told = self.links.get(next + 1).is_some_and(|link| {
            matches!(
                link.text.to_lowercase().as_str(),
                "who" | "whose" | "that" | "which" | "with" | "named" | "called"
            )
        });
        let by_them = done
            && self.noun(next).is_some_and(|noun| {
                noun.table.is_some_and(|(_, score)| score >= noun.column_score) && (noun.plural || article || told)
            });
        if word == "by" && (compares || is_value || by_them) {
            return;
        }
        self.intent.share_part.get_or_insert(self.intent.filters.len());
        let mut grouped = false;
        loop {
            let at = self.skip_noise(self.at);
            if !self.dimension(at) {
                break;
            }
            grouped = true;
            let mut next = self.at;
            while self.cue(next) == Some(Cue::And) || matches!(self.meaning(next), Some(Meaning::Pause)) {
                next += 1;
            }
            let again = if self.cue(next) == Some(Cue::By) { next + 1 } else { next };
            if next == self.at || !self.can_be_dimension(self.skip_noise(again)) {
                break;
            }
            self.at = again;
        }
        // "the names of the documents and the number of paragraphs in each": they are the groups.
        let named = !self.intent.columns.is_empty() || !self.intent.subjects.is_empty();
        let ends = matches!(self.meaning(self.skip_noise(self.at)), None | Some(Meaning::Pause));
        if !grouped && every_one(&word) && ends && named && !self.intent.measures.is_empty() {
            return;
        }
        // The unknown word behind it is reported by itself.
        if !grouped && !matches!(self.meaning(self.skip_noise(self.at)), Some(Meaning::Unknown)) {
            self.leave(here);
        }
    }

    /// "the average age across artists", "the money requested by all founders": one number of the rows that have it.
    pub(super) fn reads_all_rows(&mut self, word: &str) -> bool {
        let of = self.skip_noise(self.at);
        let Some((table, _)) = self.noun(of).filter(|noun| noun.plural).and_then(|noun| noun.table) else {
            return false;
        };
        let is_own = |measure: &Measure| match &measure.of {
            Measured::Column(mention) => mention.columns.iter().any(|column| column.table == table),
            _ => false,
        };
        let own = !self.intent.measures.is_empty() && self.intent.measures.iter().all(is_own);
        let of_all = own && (word.starts_with("across") || (word == "by" && self.cue(self.at) == Some(Cue::All)));
        if of_all {
            self.at = of + 1;
            self.last_table = Some(table);
        }
        of_all
    }

    fn can_be_dimension(&self, at: usize) -> bool {
        match self.meaning(at) {
            Some(Meaning::Cue(Cue::Grain(_) | Cue::Weekday | Cue::HourOfDay)) => true,
            Some(Meaning::Noun(noun)) => {
                let numeric =
                    !noun.columns.is_empty() && noun.columns.iter().all(|column| self.is_number_column(*column));
                (noun.table.is_some() || !noun.columns.is_empty()) && !numeric
            }
            _ => false,
        }
    }

    /// One thing to group by, or what a ranking goes by.
    fn dimension(&mut self, at: usize) -> bool {
        // "for each different number of cylinders": a number that each row has.
        let number = self.skip_noise(at + 1);
        let is_number = self.cue(at) == Some(Cue::Count) && self.noun(number).is_some_and(|noun| self.is_number(noun));
        let at = if is_number { number } else { at };
        let slice = |cue: Option<Cue>| match cue {
            Some(Cue::Grain(grain)) => Some(Slice::Every(grain)),
            Some(Cue::Weekday) => Some(Slice::Weekday),
            Some(Cue::HourOfDay) => Some(Slice::HourOfDay),
            _ => None,
        };
        if let Some(found) = slice(self.cue(at)) {
            self.at = at + 1;
            let text = self.text(at, self.at);
            // "by year of hire"
            let of = self.skip_noise(self.at);
            let owned = of > self.at && self.cue(self.at) == Some(Cue::Of);
            let mention = self.mention(of).filter(|_| owned).and_then(|mention| {
                let columns: Vec<_> =
                    mention.columns.iter().copied().filter(|column| self.schema.is_temporal(*column)).collect();
                (!columns.is_empty()).then_some(Mention { columns, ..mention })
            });
            if mention.is_some() {
                self.at = of + 1;
            }
            self.intent.dimensions.push(Dimension::Time(found, mention, text));
            return true;
        }
        if self.measures_at(at) {
            return match self.measure_ahead() {
                Some(measure) => {
                    self.rank_by(RankBy::Measure(measure));
                    true
                }
                None => false,
            };
        }
        let Some(noun) = self.noun(at).cloned() else { return false };
        let numeric = self.has_numbers(&noun);
        match noun.table {
            Some((table, score)) if score > noun.column_score || (score >= noun.column_score && !numeric) => {
                self.at = at + 1;
                self.last_table = Some(table);
                self.table_taken(at);
                self.intent.dimensions.push(Dimension::Table(table, self.text(at, at + 1)));
                true
            }
            _ if !noun.columns.is_empty() => {
                let Some(mut mention) = self.mention(at) else { return false };
                self.at = at + 1;
                // "type codes and the number of documents in each code": the code that was named.
                let named: Vec<_> = mention.columns.iter().copied().filter(|column| self.is_named(*column)).collect();
                if !named.is_empty() {
                    mention.columns = named;
                }
                let ranks = self.intent.rank.is_some()
                    || (noun.summed && self.intent.measures.is_empty() && !self.intent.subjects.is_empty());
                if numeric && ranks {
                    let columns = self.numbers_of(&mention);
                    self.rank_by(RankBy::Column(Mention { columns, ..mention }));
                } else if let Some(found) = slice(self.cue(self.at)) {
                    self.at += 1;
                    let text = self.text(at, self.at);
                    self.intent.dimensions.push(Dimension::Time(found, Some(mention), text));
                } else {
                    // "the average weight and year for each year": what the groups are.
                    if self.intent.measures.len() > 1 {
                        self.intent.measures.pop_if(|last| match &last.of {
                            Measured::Column(of) => of.columns == mention.columns,
                            _ => false,
                        });
                    }
                    self.intent.dimensions.push(Dimension::Column(mention));
                }
                true
            }
            _ => false,
        }
    }

    fn is_named(&self, column: ColumnId) -> bool {
        self.intent.columns.iter().any(|mention| mention.columns.contains(&column))
    }

    fn rank_by(&mut self, by: RankBy) {
        match &mut self.intent.rank {
            Some(rank) => {
                rank.by = by;
                rank.extreme = false;
            }
            None => {
                self.intent.sort = match by {
                    RankBy::Measure(measure) => Some(SortBy::Measure(measure)),
                    RankBy::Column(mention) => Some(SortBy::Column(mention)),
                    _ => None,
                };
                self.intent.sort_direction.get_or_insert(Direction::Descending);
            }
        }
    }

    /// "in descending order", "newest first", "from high to low", and by what, where that follows.
    pub(super) fn sorted(&mut self, direction: Direction, here: usize) {
        self.intent.sort_direction = Some(direction);
        let text = self.text(here, here + 1);
        let said = text.to_lowercase();
        if let Some(Cue::Superlative(direction, quality)) = said.strip_suffix(" first").and_then(cue::cue) {
            self.intent.sort_quality = Some((direction, quality, text));
        }
        let follows = self.cue(self.at);
        let is_measured =
            !self.intent.measures.is_empty() || self.intent.columns.iter().any(|mention| mention.implied.is_some());
        // "average salary from high to low by department": groups, which one number alone has not.
        let groups = follows == Some(Cue::By) && is_measured && self.intent.dimensions.is_empty();
        if matches!(follows, Some(Cue::By | Cue::Of | Cue::SortBy)) && !groups {
            // "in ascending alphabetical order by name"
            self.at += 1;
            self.sort_by(here);
        } else if said.starts_with("from ") {
            self.sort_by_number_behind(here);
        }
    }

    /// "from the youngest to the oldest", "longest first": an order of all of them, and none that is picked out. Where
    /// it ends.
    fn end_of_order(&self, here: usize) -> Option<usize> {
        let said = |at: usize| self.links[at].text.to_lowercase();
        let is_first = matches!(self.cue(self.at), Some(Cue::Edge(_))) && said(self.at) == "first";
        if is_first && matches!(self.meaning(self.at + 1), None | Some(Meaning::Pause)) {
            return Some(self.at);
        }
        let is_small = |at: &usize| self.cue(*at) == Some(Cue::Noise);
        let starts = (0..here).rev().take_while(is_small).any(|at| said(at).ends_with("from"));
        let end = self.skip_noise(self.at);
        let goes_on = (self.at..end).any(|at| said(at) == "to");
        (starts && goes_on && matches!(self.cue(end), Some(Cue::Superlative(..)))).then_some(end)
    }

    /// "from high to low price", "from the lowest to the highest salary"
    fn sort_by_number_behind(&mut self, here: usize) {
        if self.noun(self.at).is_some_and(|noun| self.is_number(noun)) {
            self.sort_by(here);
        }
    }

    fn is_frequency(&self, at: usize) -> bool {
        let said = self.links.get(at).map(|link| link.text.to_lowercase()).unwrap_or_default();
        matches!(said.as_str(), "frequency" | "count" | "popularity" | "frequencies")
            && !matches!(self.meaning(at), Some(Meaning::Noun(_)))
    }

    pub(super) fn sort_by(&mut self, here: usize) {
        // "ordered by ascending age"
        if let Some(Cue::Sorted(direction)) = self.cue(self.at) {
            self.intent.sort_direction = Some(direction);
            self.at += 1;
        }
        let mut start = self.skip_noise(self.at);
        // "ordered by the number of floors": a number that each has.
        let counted = self.skip_noise(start + 1);
        if self.cue(start) == Some(Cue::Count) && self.noun(counted).is_some_and(|noun| self.is_number(noun)) {
            start = counted;
        } else if self.is_of_a_number(start) {
            start = self.skip_noise(start + 1);
        }
        self.at = start;
        // "statuses by frequency", "in ascending order of count"
        let ends = matches!(self.meaning(start + 1), None | Some(Meaning::Pause | Meaning::Cue(Cue::Sorted(_))));
        let frequency = self.is_frequency(start) && (ends || !self.measures_at(start));
        // "the number of guests of each gender, sorted by the count"
        let counted = |measure: &Measure| measure.aggregate == Aggregate::Count;
        if (frequency || (ends && self.cue(start) == Some(Cue::Count)))
            && let Some(measure) = self.intent.measures.iter().position(counted)
        {
            self.at = start + 1;
            self.intent.sort = Some(SortBy::Measure(measure));
            return;
        }
        if !frequency && let Some(measure) = self.measure_ahead() {
            self.intent.sort = Some(SortBy::Measure(measure));
            return;
        }
        if frequency
            && self.intent.measures.is_empty()
            && let Some(column) = self.intent.columns.first().cloned()
        {
            self.at = start + 1;
            let (of, text) = (Measured::RowsWith(column), self.text(start, self.at));
            self.intent.measures.push(Measure { aggregate: Aggregate::Count, of, text });
            self.silence(self.intent.measures.len() - 1);
            self.intent.sort = Some(SortBy::Measure(self.intent.measures.len() - 1));
            return;
        }
        match self.noun(start) {
            // "ordered by customers in EU" tells who, not how to sort; "average salary sorted by department", groups.
            Some(noun) if noun.table.is_some_and(|(_, score)| score > noun.column_score) => {
                let who = self.text(here, here + 1).to_lowercase().starts_with("order");
                if !who && !self.intent.measures.is_empty() && self.intent.dimensions.is_empty() {
                    self.group_by(here);
                }
            }
            Some(noun) if !noun.columns.is_empty() => {
                if let Some(mention) = self.mention(start) {
                    self.at = start + 1;
                    self.intent.sort = Some(SortBy::Column(mention));
                    self.sort_then();
                }
            }
            None if matches!(self.meaning(start), Some(Meaning::Unknown)) => {}
            _ => self.leave(here),
        }
    }

    /// "sorted by region and amount", "by region, then by amount"
    fn sort_then(&mut self) {
        loop {
            let said = |at: usize| self.links.get(at).map(|link| link.text.to_lowercase()).unwrap_or_default();
            let mut next = self.at;
            let mut goes_on = false;
            while matches!(self.meaning(next), Some(Meaning::Pause))
                || self.cue(next) == Some(Cue::And)
                || matches!(said(next).as_str(), "then" | "by" | "the")
            {
                goes_on |= self.cue(next) == Some(Cue::And) || said(next) == "then";
                next += 1;
            }
            let is_column = |noun: &Noun| noun.table.is_none() && noun.values.is_empty() && !noun.columns.is_empty();
            let follows = goes_on && self.noun(next).is_some_and(is_column);
            let Some(mention) = self.mention(next).filter(|_| follows) else { return };
            self.at = next + 1;
            self.intent.sort_then.push(mention);
        }
    }

    /// "top 5", "bottom three", "first 10", "last order"
    pub(super) fn top(&mut self, direction: Direction, by: RankBy, here: usize) {
        if let Some(Meaning::Number(number)) = self.meaning(self.at)
            && let Ok(limit) = number.parse()
        {
            self.intent.limit = Some(limit);
            self.at += 1;
        }
        // "the top 5 largest areas", "the top 3 most expensive rooms": what follows says by what.
        if self.intent.limit.is_some() && matches!(self.cue(self.at), Some(Cue::Superlative(..))) {
            return;
        }
        // "the trips with the top 3 durations"
        let of_number = self.noun(self.at).is_some_and(|noun| self.is_number(noun));
        if self.intent.limit.is_some() && of_number && self.intent.others() > 0 {
            return self.rank_by_column(direction, here, self.at);
        }
        self.set_rank(direction, by, here);
    }

    /// "the name of the shop with the latest open year", "built in the most recent year", "the artist with the oldest age":
    /// what follows tells which of them, and is nothing to show.
    fn only_ranks(&self, quality: Quality, here: usize) -> Option<Mention> {
        let said = |at: usize| self.links[at].text.to_lowercase();
        let before = (0..here).rev().map(said).find(|word| !matches!(word.as_str(), "the" | "a" | "an"));
        // "The names of the shops and the latest open year" are two things to show.
        let describes =
            before.is_some_and(|word| matches!(word.as_str(), "with" | "has" | "have" | "had" | "having" | "in"));
        if self.intent.columns.is_empty() || !describes {
            return None;
        }
        let year = self.last_table.and_then(|table| self.schema.year_of(table));
        if quality == Quality::Time && self.cue(self.at) == Some(Cue::Grain(Grain::Year)) {
            return Some(Mention::of(year?, self.text(self.at, self.at + 1)));
        }
        let is_of_it = |column: &ColumnId| match quality {
            Quality::Time => self.schema.is_temporal(*column) || self.schema.year_of(column.table) == Some(*column),
            Quality::Age => self.schema.words_of(*column) == ["age"],
            _ => false,
        };
        let noun = self.noun(self.at).filter(|noun| noun.table.is_none() && noun.values.is_empty())?;
        let is_it = !noun.columns.is_empty() && noun.columns.iter().all(is_of_it);
        if is_it { self.mention(self.at) } else { None }
    }

    pub(super) fn superlative(&mut self, direction: Direction, quality: Quality, here: usize) {
        if let Some(end) = self.end_of_order(here) {
            self.at = end + 1;
            self.intent.sort_direction = Some(direction);
            self.intent.sort_quality = Some((direction, quality, self.text(here, self.at)));
            let next = self.skip_noise(self.at);
            match self.noun(next).and_then(|noun| noun.table).filter(|_| quality == Quality::Any) {
                // "countries from most to least users"
                Some((table, _)) => {
                    let (of, text) = (Measured::Rows(table), self.text(next, next + 1));
                    self.at = next + 1;
                    self.intent.measures.push(Measure { aggregate: Aggregate::Count, of, text });
                    self.intent.sort = Some(SortBy::Measure(self.intent.measures.len() - 1));
                }
                None => self.sort_by_number_behind(here),
            }
            return;
        }
        if let Some(Meaning::Number(number)) = self.meaning(self.at)
            && let Ok(limit) = number.parse()
        {
            self.intent.limit = Some(limit);
            self.at += 1;
        }
        if let Some(mention) = self.only_ranks(quality, here) {
            self.at += 1;
            self.set_rank(direction, RankBy::Column(mention), here);
            return;
        }
        // "the shortest life expectancy" is the lowest.
        let of_number = self.noun(self.at).is_some_and(|noun| self.is_number(noun));
        if quality != Quality::Any && !(of_number && matches!(quality, Quality::Duration | Quality::Height)) {
            self.set_rank(direction, RankBy::Quality(quality), here);
            return;
        }
        let mut start = self.skip_noise(self.at);
        // "the smallest amount of staff"
        let counts = self.is_an_amount(start);
        if counts || self.is_of_a_number(start) {
            start = self.skip_noise(start + 1);
            self.at = start;
        }
        if let Some(measure) = self.measure_ahead() {
            self.silence(measure);
            self.set_rank(direction, RankBy::Measure(measure), here);
            return;
        }
        let Some(noun) = self.noun(start).cloned() else {
            self.rank_by_what_was_named(direction, here);
            return;
        };
        let numeric = self.has_numbers(&noun);
        let subject_named =
            !self.intent.subjects.is_empty() || !self.intent.columns.is_empty() || !self.intent.dimensions.is_empty();
        match noun.table {
            Some((table, score)) if score > noun.column_score || !numeric => {
                self.at = start + 1;
                self.last_table = Some(table);
                let text = self.text(start, self.at);
                let said = self.text(here, here + 1).to_lowercase();
                let says_how_many = counts
                    || said.ends_with("number of")
                    || matches!(said.as_str(), "most" | "the most" | "least" | "the least" | "fewest" | "the fewest");
                // "the order amount": the table is only the owner of what follows.
                let owns = self.noun(self.skip_noise(self.at)).is_some_and(|next| self.is_number(next));
                if owns {
                    self.at = here + 1;
                    self.rank_by_column(direction, here, self.skip_noise(start + 1));
                } else if !says_how_many && self.tells_of(table) {
                    // "the names and areas of the 5 largest countries": by their areas.
                    let numbers: Vec<Mention> =
                        self.intent.columns.iter().filter(|told| !self.numbers_of(told).is_empty()).cloned().collect();
                    let by = match numbers.as_slice() {
                        [only] => RankBy::Column(Mention {
                            columns: self.numbers_of(only),
                            near: Some(table),
                            ..only.clone()
                        }),
                        _ => RankBy::Weight(table),
                    };
                    let after_measure = !self.intent.measures.is_empty();
                    self.intent.subjects.push(Subject { table, text, plural: noun.plural, after_measure, score });
                    self.set_rank(direction, by, here);
                } else if subject_named || says_how_many {
                    let of = Measured::Rows(table);
                    self.intent.measures.push(Measure { aggregate: Aggregate::Count, of, text });
                    let measure = self.intent.measures.len() - 1;
                    self.silence(measure);
                    self.set_rank(direction, RankBy::Measure(measure), here);
                } else {
                    let after_measure = !self.intent.measures.is_empty();
                    let plural = noun.plural;
                    self.intent.subjects.push(Subject { table, text, plural, after_measure, score });
                    self.set_rank(direction, RankBy::Weight(table), here);
                }
            }
            _ if numeric => self.rank_by_column(direction, here, start),
            None if !fit::numbers_called(self.schema, &self.text(start, start + 1)).is_empty() => {
                self.rank_by_column(direction, here, start);
            }
            _ => self.rank_by_what_was_named(direction, here),
        }
    }

    /// Columns were named, and nothing else, and the table has them all.
    fn tells_of(&self, table: TableId) -> bool {
        // "the names and amounts of the largest orders" may be of those to whom the orders refer, too.
        let own = |mention: &&Mention| mention.columns.iter().any(|column| column.table == table);
        let tells_size = self.intent.columns.iter().filter(own).any(|mention| !self.numbers_of(mention).is_empty());
        let has = |mention: &Mention| {
            own(&mention)
                || (tells_size
                    && mention.columns.iter().any(|column| self.schema.path_up(table, column.table).is_some()))
        };
        self.intent.subjects.is_empty()
            && self.intent.dimensions.is_empty()
            && self.intent.measures.is_empty()
            && !self.intent.columns.is_empty()
            && self.intent.columns.iter().all(has)
    }

    fn rank_by_column(&mut self, direction: Direction, here: usize, at: usize) {
        if let Some(mention) = self.mention(at) {
            let columns = match self.numbers_of(&mention) {
                none if none.is_empty() => fit::numbers_called(self.schema, &mention.text),
                numbers => numbers,
            };
            self.at = at + 1;
            if columns.iter().any(|column| self.schema.is_rank(*column)) {
                return self.leave(here);
            }
            // "the lowest version number, along with its type": both are told.
            let next = self.at + usize::from(matches!(self.meaning(self.at), Some(Meaning::Pause)));
            let is_told = self.intent.others() == 0 && self.pending.is_empty() && self.cue(next) == Some(Cue::And);
            let mention = Mention { columns, ..mention };
            if is_told {
                self.show(mention.clone());
            }
            self.set_rank(direction, RankBy::Column(mention), here);
        }
    }

    /// "spent the most": the number was named before.
    fn rank_by_what_was_named(&mut self, direction: Direction, here: usize) {
        let by = match self.intent.columns.pop() {
            Some(mention) if !self.numbers_of(&mention).is_empty() => {
                let columns = self.numbers_of(&mention);
                RankBy::Column(Mention { columns, ..mention })
            }
            other => {
                self.intent.columns.extend(other);
                match self.intent.subjects.last().cloned() {
                    // "which customers ordered the most": how often it happened.
                    Some(last) if self.intent.subjects.len() > 1 => {
                        let of = Measured::Rows(last.table);
                        let text = last.text;
                        self.intent.measures.push(Measure { aggregate: Aggregate::Count, of, text });
                        self.silence(self.intent.measures.len() - 1);
                        RankBy::Measure(self.intent.measures.len() - 1)
                    }
                    _ if !self.intent.measures.is_empty() => RankBy::Measure(self.intent.measures.len() - 1),
                    _ => RankBy::Unspecified,
                }
            }
        };
        self.set_rank(direction, by, here);
    }
}

/// "each", "in each", "for each": of what was named before, where nothing follows.
fn every_one(cue: &str) -> bool {
    cue.ends_with("each") || cue.ends_with("every")
}
