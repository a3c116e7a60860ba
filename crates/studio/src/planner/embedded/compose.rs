//! Reads the linked phrases from left to right into a draft of the query.
//!
//! A phrase is either used or left over; what is left over is reported to the person who asked,
//! so nothing of a question is passed over in silence.

use super::calendar::{self, TimeRange};
use super::cue::{Aggregate, Comparison, Cue, Direction, Quality};
use super::intent::{
    Asked, Dimension, Filter, Having, Intent, Left, Measure, Measured, Mention, Rank, RankBy, Slice, Subject, Test,
};
use super::link::{Link, Meaning, Noun};
use super::schema::{ColumnId, Schema, TableId};
use crate::planner::ColumnType;

/// How well a word must fit a table for the values before it to describe the table's rows.
pub(super) const DESCRIBED: f64 = 0.55;

/// What the reading of the phrases gave.
pub(super) struct Composed {
    pub(super) intent: Intent,
    /// Words that mean nothing in this schema.
    pub(super) unknown: Vec<String>,
    /// Phrases that mean nothing in their place.
    pub(super) left_over: Vec<String>,
    /// A word that names several tables equally well, and these.
    pub(super) ambiguous: Option<(String, Vec<TableId>)>,
}

pub(super) fn compose(schema: &Schema<'_>, links: &[Link]) -> Composed {
    let mut composer = Composer {
        schema,
        links,
        at: 0,
        intent: Intent::default(),
        pending: Vec::new(),
        distinct: false,
        negated: None,
        operand: None,
        either: None,
        last_table: None,
        sorts: false,
        both: false,
        lists: false,
        behind_a_number: false,
        unknown: Vec::new(),
        left_over: Vec::new(),
        ambiguous: None,
    };
    composer.intent.asked = composer.asked_by_the_first_word();
    while composer.at < links.len() {
        composer.step();
    }
    composer.finish();
    let Composer { intent, unknown, left_over, ambiguous, .. } = composer;
    Composed { intent, unknown, left_over, ambiguous }
}

/// An aggregate that waits for its noun, and the phrase that asked for it.
pub(super) struct Pending {
    pub(super) aggregate: Aggregate,
    pub(super) text: String,
}

/// What a comparison that follows is about.
#[derive(Clone, Copy)]
pub(super) enum Operand {
    Measure(usize),
    /// The last of the columns named on their own.
    Column,
}

/// An "or" between two conditions, and what there was before it.
struct Either {
    at: usize,
    filters: usize,
    others: usize,
}

pub(super) struct Composer<'a> {
    pub(super) schema: &'a Schema<'a>,
    pub(super) links: &'a [Link],
    pub(super) at: usize,
    pub(super) intent: Intent,
    pub(super) pending: Vec<Pending>,
    pub(super) distinct: bool,
    /// Where the "not" stands that waits for its noun.
    pub(super) negated: Option<usize>,
    pub(super) operand: Option<Operand>,
    /// An "or" that waits for the condition behind it.
    either: Option<Either>,
    pub(super) last_table: Option<TableId>,
    /// "sort" was said, and not yet by what.
    pub(super) sorts: bool,
    /// "both" was said.
    pub(super) both: bool,
    /// "List …" in a sentence of its own, after what the question is about: the columns that follow are what to show.
    pub(super) lists: bool,
    /// The first column that is to be shown stands behind a number that was asked for, and not beside it.
    behind_a_number: bool,
    unknown: Vec<String>,
    pub(super) left_over: Vec<String>,
    ambiguous: Option<(String, Vec<TableId>)>,
}

impl Composer<'_> {
    pub(super) fn meaning(&self, at: usize) -> Option<&Meaning> {
        self.links.get(at).map(|link| &link.meaning)
    }

    pub(super) fn cue(&self, at: usize) -> Option<Cue> {
        match self.meaning(at) {
            Some(Meaning::Cue(cue)) => Some(*cue),
            _ => None,
        }
    }

    pub(super) fn noun(&self, at: usize) -> Option<&Noun> {
        match self.meaning(at) {
            Some(Meaning::Noun(noun)) => Some(noun),
            _ => None,
        }
    }

    pub(super) fn number(&self, at: usize) -> Option<&str> {
        match self.meaning(at) {
            Some(Meaning::Number(number)) => Some(number),
            _ => None,
        }
    }

    /// The phrases from one link up to another, as they were asked.
    pub(super) fn text(&self, from: usize, to: usize) -> String {
        let texts: Vec<&str> =
            self.links[from..to.min(self.links.len())].iter().map(|link| link.text.as_str()).collect();
        texts.join(" ")
    }

    /// The first place from `at` on that is neither noise nor "of".
    pub(super) fn skip_noise(&self, mut at: usize) -> usize {
        while matches!(self.cue(at), Some(Cue::Noise | Cue::Of | Cue::All)) {
            at += 1;
        }
        at
    }

    /// The phrase was taken for a table; others may be as good, and then the caller is to choose.
    pub(super) fn table_taken(&mut self, at: usize) {
        let rivals = self.noun(at).map(|noun| noun.rivals.clone()).unwrap_or_default();
        if self.schema.context.asks && !rivals.is_empty() && self.ambiguous.is_none() {
            self.ambiguous = Some((self.text(at, at + 1), rivals));
        }
    }

    pub(super) fn leave(&mut self, at: usize) {
        if let Some(link) = self.links.get(at) {
            self.left_over.push(link.text.clone());
        }
    }

    pub(super) fn step(&mut self) {
        let here = self.at;
        match &self.links[here].meaning {
            Meaning::Pause => self.at += 1,
            Meaning::Unknown if self.refers_to_a_count(here) || self.is_a_head(here) => self.at += 1,
            Meaning::Unknown if self.is_all_of_it(here) => {
                self.intent.in_full = true;
                self.at += 1;
            }
            Meaning::Unknown if self.combines(here) => {
                self.at += 1;
                self.intent.distinct = true;
            }
            Meaning::Unknown if self.is_of_a_number(here) || self.is_of_its_column(here) => self.at += 1,
            Meaning::Unknown if self.is_called_before_its_value(here) || self.is_typed_before_its_column(here) => {}
            Meaning::Unknown if self.is_an_amount(here) => {
                self.at += 1;
                self.wait_for_count(here);
            }
            Meaning::Unknown if self.relates(here) => {
                let text = self.links[here].text.clone();
                let began = self.begins_then(&text.to_lowercase(), here);
                let meaning = if began { "when it happened" } else { "how the things belong together" };
                self.intent.readings.push((text, meaning));
                self.at += 1;
                if began {
                    self.between_years(here);
                }
            }
            Meaning::Quoted(_) if self.is_within_a_column(here) => {}
            Meaning::Unknown | Meaning::Quoted(_) => {
                self.unknown.push(self.links[here].text.clone());
                self.at += 1;
            }
            Meaning::Number(_) => self.count_of_rows(),
            Meaning::Time(range) => self.time(*range),
            Meaning::Noun(_) => self.name(),
            Meaning::Metric(metric) => self.metric(*metric, here),
            Meaning::Cue(cue) => self.follow(*cue),
        }
        // Whatever a phrase does, the reading goes on behind it.
        self.at = self.at.max(here + 1);
        if let Some(either) = &self.either
            && self.intent.filters.len() > either.filters
        {
            let (at, filters, others) = (either.at, either.filters, either.others);
            self.either = None;
            let nothing_else = others == self.intent.others();
            match self.intent.filters.get_mut(filters).filter(|_| nothing_else) {
                Some(filter) => filter.or = true,
                None => self.leave(at),
            }
        }
    }

    /// An "or" stands between a comparison and what is read now.
    pub(super) fn is_alternative(&self) -> bool {
        let compares = |filter: &Filter| matches!(filter.test, Test::Number(..) | Test::Between(..));
        self.either.is_some() && self.intent.filters.last().is_some_and(compares)
    }

    /// "over 30 or paid": either of two conditions. Of three it would not say which belong together.
    fn either(&mut self, here: usize) {
        let known = self.intent.filters.as_slice();
        match known {
            [before] if !before.negated && self.negated.is_none() && self.either.is_none() => {
                self.either = Some(Either { at: here, filters: known.len(), others: self.intent.others() });
            }
            _ => self.leave(here),
        }
    }

    fn follow(&mut self, cue: Cue) {
        let here = self.at;
        self.at += 1;
        match cue {
            Cue::Noise if self.begins_a_list(here) => self.lists = true,
            Cue::Noise => self.intent.in_full |= self.text(here, here + 1).to_lowercase().contains("info"),
            Cue::Of => {
                let word = self.text(here, here + 1).to_lowercase();
                let is_column = self
                    .noun(self.skip_noise(self.at))
                    .is_some_and(|noun| noun.table.is_none() && noun.values.is_empty());
                // "the total across regions" is one for each region.
                if word.starts_with("across") && !self.reads_all_rows(&word) && is_column && !word.contains("all") {
                    self.group_by(here);
                }
            }
            Cue::When | Cue::And => {}
            Cue::Or => self.either(here),
            // "students who have friends" asks for nobody.
            Cue::Which if self.intent.others() > 0 || !self.pending.is_empty() => {}
            Cue::Which => {
                self.intent.which = true;
                self.intent.who |= self.text(here, here + 1).to_lowercase().starts_with("who");
            }
            Cue::Is => {
                let named = !self.intent.subjects.is_empty() || !self.intent.measures.is_empty();
                if self.intent.share && named {
                    self.intent.share_base = Some(self.intent.filters.len());
                }
            }
            Cue::All => self.intent.all = true,
            Cue::Count => self.wait_for_count(here),
            Cue::Aggregate(aggregate) => match self.extreme_of_things(aggregate, here) {
                Some(direction) => self.superlative(direction, Quality::Any, here),
                None => self.wait_for(aggregate, here),
            },
            // "the number of orders for different customers"
            Cue::Distinct if self.tells_parts(here) => self.group_by(here),
            Cue::Distinct => self.distinct = true,
            // "customers who share a city" have it in common.
            Cue::Share if self.is_verb_of_a_thing(here) => self.leave(here),
            Cue::Share => self.intent.share = true,
            Cue::By => self.group_by(here),
            Cue::SortBy => self.sort_by(here),
            Cue::Sorted(direction) => self.sorted(direction, here),
            Cue::Sort => self.sorts = true,
            Cue::Both => self.both = true,
            Cue::OrCompare(_) => self.leave(here),
            Cue::SortedBy(direction) => {
                self.intent.sort_direction = Some(direction);
                self.sort_by(here);
            }
            Cue::Top(direction) => self.top(direction, RankBy::Unspecified, here),
            Cue::Edge(direction) => {
                self.top(direction, RankBy::Quality(Quality::Time), here);
            }
            Cue::Superlative(direction, Quality::Any) if self.is_one_of_extremes(here) => {
                let most = direction == Direction::Descending;
                self.wait_for(if most { Aggregate::Maximum } else { Aggregate::Minimum }, here);
            }
            Cue::Superlative(direction, quality) => self.superlative(direction, quality, here),
            Cue::Compare(comparison) => self.compare(comparison, here),
            Cue::CompareQuality(comparison, quality) => self.compare_quality(comparison, quality, here),
            Cue::Between => self.between(here),
            Cue::Not => self.negated = Some(here),
            Cue::Without => self.without(here),
            Cue::Missing => self.missing(here),
            Cue::Named => self.named(here),
            Cue::Match(kind) => self.matches(kind, here),
            Cue::Grain(_) if self.dates(here) || self.is_year_of_a_number(here) => {}
            Cue::Grain(grain) => self.time_dimension(Slice::Every(grain), here),
            Cue::Weekday => self.time_dimension(Slice::Weekday, here),
            Cue::HourOfDay => self.time_dimension(Slice::HourOfDay, here),
        }
    }

    /// "where is …", "when was …", "who are …"
    fn asked_by_the_first_word(&self) -> Option<(Asked, String)> {
        let text = self.links.first()?.text.clone();
        let asked = match text.to_lowercase().as_str() {
            "where" => Asked::Place,
            "when" => Asked::Time,
            "who" => Asked::Person,
            _ => return None,
        };
        let does = |link: &Link| matches!(link.text.to_lowercase().as_str(), "do" | "does" | "did");
        (self.cue(1) == Some(Cue::Is) || self.links.get(1).is_some_and(does)).then_some((asked, text))
    }

    fn begins_a_list(&self, here: usize) -> bool {
        here > 0 && matches!(self.meaning(here - 1), Some(Meaning::Pause)) && self.is_command(here)
    }

    /// A verb that asks to be shown what follows.
    fn is_command(&self, here: usize) -> bool {
        let verb = self.text(here, here + 1).to_lowercase();
        ["show", "list", "give", "find", "return", "tell", "display"].contains(&verb.as_str())
    }

    /// "the dates of the notes" are the column that has them; "notes by date" are groups.
    fn dates(&mut self, here: usize) -> bool {
        let text = self.text(here, here + 1);
        if !matches!(text.to_lowercase().as_str(), "date" | "dates") || !self.pending.is_empty() {
            return false;
        }
        let columns: Vec<ColumnId> =
            self.schema.all_columns().filter(|column| self.schema.is_temporal(*column)).collect();
        if columns.is_empty() {
            return false;
        }
        let near = self.owner_behind(here + 1).or(self.last_table);
        let mention = Mention { columns, text, near, qualified: false, implied: None, score: 0.8, is_value: false };
        self.show(mention);
        true
    }

    /// A column that was named on its own is shown, unless a comparison follows that is about it.
    pub(super) fn show(&mut self, mention: Mention) {
        let first = self.intent.subjects.is_empty() && self.intent.columns.is_empty();
        if self.intent.columns.is_empty() {
            let is_small = |at: &usize| matches!(self.cue(*at), Some(Cue::Noise | Cue::Of | Cue::All));
            let before = (0..self.at.saturating_sub(1)).rev().find(|at| !is_small(at));
            let is_beside = before
                .is_some_and(|at| self.cue(at) == Some(Cue::And) || matches!(self.meaning(at), Some(Meaning::Pause)));
            self.behind_a_number = !self.intent.measures.is_empty() && !is_beside && !self.lists;
        }
        self.intent.columns_first |= first || std::mem::take(&mut self.lists);
        self.intent.columns.push(mention);
        self.operand = Some(Operand::Column);
    }

    fn time_dimension(&mut self, slice: Slice, here: usize) {
        // "the number of hours" are counted, and no groups.
        if !self.pending.is_empty() {
            return self.leave(here);
        }
        let text = self.text(here, here + 1);
        self.intent.dimensions.push(Dimension::Time(slice, None, text));
    }

    fn wait_for_count(&mut self, here: usize) {
        // "the numbers of the flights" tell them apart; "the numbers of flights for each city" count them.
        let said = self.text(here, here + 1).to_lowercase();
        let follows = here > 0 && self.cue(here - 1) == Some(Cue::And);
        let of_different = (here..self.links.len())
            .any(|at| self.cue(at) == Some(Cue::Distinct) && self.links[at - 1].text.eq_ignore_ascii_case("for"));
        if said.ends_with("numbers of") && !follows && !of_different && !self.groups_follow(here) {
            return self.leave(here);
        }
        // "total number of": one count; "average number of": an average over counts.
        // "maximum and total number of": two numbers.
        let beside = (0..here).rev().find(|at| self.cue(*at) != Some(Cue::Noise));
        let beside = beside.is_some_and(|at| self.cue(at) == Some(Cue::And));
        if !beside
            && let Some(outer) = self.pending.pop()
            && outer.aggregate != Aggregate::Sum
            && outer.aggregate != Aggregate::Count
        {
            self.intent.nested = Some(outer.aggregate);
        }
        let text = self.text(here, here + 1);
        self.pending.push(Pending { aggregate: Aggregate::Count, text });
    }

    fn wait_for(&mut self, aggregate: Aggregate, here: usize) {
        let text = self.text(here, here + 1);
        let follows_another = here > 0 && matches!(self.cue(here - 1), Some(Cue::Aggregate(_)));
        if aggregate == Aggregate::Sum && follows_another {
            // "average total amount per customer"
            if let Some(outer) = self.pending.pop()
                && outer.aggregate != Aggregate::Sum
            {
                self.intent.nested = Some(outer.aggregate);
            }
        }
        self.pending.push(Pending { aggregate, text });
    }

    /// A number that no comparison claims: how many rows to give, or which row.
    fn count_of_rows(&mut self) {
        let here = self.at;
        let Some(count) = self.number(here).map(str::to_owned) else { return };
        self.at += 1;
        if let Some(Cue::OrCompare(comparison)) = self.cue(self.at) {
            self.at += 1;
            self.compare_with(Test::Number(comparison, count), here);
            return;
        }
        let mut next = self.skip_noise(self.at);
        while self.noun(next).is_some_and(|noun| self.describes(noun)) {
            next += 1;
        }
        if self.has_so_many(here, next) {
            self.compare_with(Test::Number(Comparison::Equal, count), here);
            return;
        }
        let ranks = matches!(self.cue(next), Some(Cue::Superlative(..) | Cue::Top(_) | Cue::Distinct));
        // "customers with 2 regions" are not two of them.
        let is_limit = ranks || (self.noun(next).is_some() && (self.intent.others() == 0 || !self.is_had(here)));
        match count.parse() {
            Ok(limit) if is_limit && self.intent.limit.is_none() => {
                self.intent.limit = Some(limit);
            }
            _ => self.leave(here),
        }
    }

    /// "shipped" in "3 shipped orders", "remote" in "two remote employees".
    pub(super) fn describes(&self, noun: &Noun) -> bool {
        let is_flag = |column: &ColumnId| self.schema.column(*column).data_type == ColumnType::Boolean;
        let is_flags = !noun.columns.is_empty() && noun.columns.iter().all(is_flag);
        noun.table.is_none() && (is_flags || !noun.values.is_empty())
    }

    fn time(&mut self, mut range: TimeRange) {
        let here = self.at;
        self.at += 1;
        // "in 2014 or after"
        match self.cue(self.at) {
            Some(Cue::OrCompare(Comparison::GreaterOrEqual)) => (range.to, self.at) = (None, self.at + 1),
            Some(Cue::OrCompare(Comparison::LessOrEqual)) => (range.from, self.at) = (None, self.at + 1),
            _ => {}
        }
        let text = self.text(here, self.at);
        let left = Left::Time(None, self.last_table);
        let negated = self.negated.take().is_some();
        self.intent.filters.push(Filter::new(left.clone(), Test::Within(range), negated, text));
        // "in 2009 or 2010"
        let again = self.skip_noise(self.at + 1);
        let other = match self.meaning(again) {
            Some(Meaning::Time(other)) => Some(*other),
            Some(Meaning::Number(number)) => calendar::year(number).filter(|_| self.noun(again + 1).is_none()),
            _ => None,
        };
        if self.cue(self.at) == Some(Cue::Or)
            && !negated
            && let Some(other) = other
        {
            let other = Filter::new(left, Test::Within(other), false, self.text(again, again + 1));
            self.intent.filters.push(Filter { or: true, ..other });
            self.at = again + 1;
        }
    }

    /// A "not" that stands at `at` waits for what follows.
    pub(super) fn negate_at(&mut self, at: usize) {
        self.negated = Some(at);
    }

    pub(super) fn negated_now(&mut self) -> bool {
        self.negated.take().is_some()
    }

    /// What a comparison at this place is about: a measure, or the column named last.
    pub(super) fn take_operand(&mut self) -> Option<Result<usize, Mention>> {
        match self.operand.take()? {
            Operand::Measure(measure) => Some(Ok(measure)),
            Operand::Column => self.intent.columns.pop().map(Err),
        }
    }

    /// A measure begins at this place.
    pub(super) fn measures_at(&self, at: usize) -> bool {
        matches!(self.meaning(at), Some(Meaning::Cue(Cue::Count | Cue::Aggregate(_)) | Meaning::Metric(_)))
    }

    /// Reads "number of orders", "total amount", "revenue" at this place into a measure.
    pub(super) fn measure_ahead(&mut self) -> Option<usize> {
        let start = self.skip_noise(self.at);
        if !self.measures_at(start) {
            return None;
        }
        let known = self.intent.measures.len();
        let (subjects, waiting) = (self.intent.subjects.len(), std::mem::take(&mut self.pending));
        self.at = start;
        while self.at < self.links.len() && self.intent.measures.len() == known {
            let reads_on = match self.meaning(self.at) {
                Some(Meaning::Cue(cue)) => {
                    matches!(cue, Cue::Count | Cue::Aggregate(_) | Cue::Noise | Cue::Of | Cue::Distinct | Cue::All)
                }
                Some(Meaning::Noun(_) | Meaning::Metric(_)) => true,
                _ => false,
            };
            if !reads_on {
                break;
            }
            self.step();
        }
        // A table between the aggregate and its column is only the column's owner.
        self.intent.subjects.truncate(subjects);
        let unread = std::mem::replace(&mut self.pending, waiting);
        self.left_over.extend(unread.into_iter().map(|pending| pending.text));
        (self.intent.measures.len() > known).then(|| self.intent.measures.len() - 1)
    }

    /// The measure only ranks or chooses: its number was not asked for.
    pub(super) fn silence(&mut self, measure: usize) {
        self.intent.silent.push(measure);
    }

    pub(super) fn add_having(&mut self, measure: usize, test: Test, text: String) {
        self.intent.havings.push(Having { measure, test, text });
    }

    pub(super) fn set_rank(&mut self, direction: Direction, by: RankBy, here: usize) {
        let next = (self.at..self.links.len()).find_map(|at| self.noun(at)).map(|noun| noun.plural);
        let before = self.intent.subjects.first().map(|subject| subject.plural);
        // "among all the claims, the claim with the largest amount",
        // "the student whose addresses have the highest rent"
        let nearest = self.intent.subjects.first().map(|asked| {
            let is_one = |subject: &Subject| subject.table == asked.table && !subject.plural;
            !self.intent.subjects.iter().any(is_one)
        });
        let named = || (0..here).rev().find_map(|at| self.noun(at).filter(|noun| !noun.columns.is_empty()));
        let is_one = named().is_some_and(|noun| !noun.plural).then_some(false);
        let extreme = matches!(by, RankBy::Column(_));
        let adjacent = self.noun(self.at).map(|noun| noun.plural);
        let first = (0..here).find_map(|at| self.noun(at)).map(|noun| noun.plural);
        let plural = match by {
            // "which role is most common for the staff": the role is asked for.
            RankBy::Quality(Quality::Frequency) => adjacent.or(first).or(next),
            RankBy::Unspecified | RankBy::Quality(_) => next.or(before),
            _ => nearest.or(is_one).or(next),
        };
        let is_one = |at: usize| self.noun(at).is_some_and(|noun| !noun.plural);
        let said_of = self.at.checked_sub(1).is_some_and(|at| self.links[at].text.contains(" of "));
        let owned =
            extreme && (said_of || self.cue(self.at) == Some(Cue::Of)) && self.at.checked_sub(1).is_some_and(is_one);
        let text = self.text(here, self.at);
        // "the first order of the oldest customer": an order by both is none.
        // "The top 3 of those with the highest price" is one.
        if let Some(before) = self.intent.rank.take().filter(|before| !matches!(before.by, RankBy::Unspecified)) {
            self.left_over.push(before.text);
        }
        self.intent.rank = Some(Rank { direction, by, extreme, owned, plural, text });
    }

    /// The measure that is a number of rows.
    fn counted(&self) -> Option<usize> {
        self.intent.measures.iter().position(|measure| measure.aggregate == Aggregate::Count)
    }

    /// What still waits for a noun at the end of the question.
    fn finish(&mut self) {
        if let Some(either) = self.either.take() {
            self.leave(either.at);
        }
        let filtered = self.intent.filters.iter().find_map(|filter| match &filter.left {
            Left::Column(mention) => Some(mention.clone()),
            _ => None,
        });
        let counts_rank =
            |measure: &usize| self.intent.measures.get(*measure).is_some_and(|of| of.aggregate == Aggregate::Count);
        let ranks_by_count = match self.intent.rank.as_ref().map(|rank| &rank.by) {
            Some(RankBy::Quality(Quality::Frequency)) => true,
            Some(RankBy::Measure(measure)) => counts_rank(measure),
            _ => false,
        };
        for pending in std::mem::take(&mut self.pending) {
            match (pending.aggregate, &filtered) {
                // "what is the most common status, and how many are there?"
                (Aggregate::Count, _) if ranks_by_count => self.intent.tells_rank = true,
                // "how many hosts does each nationality have? List the nationality and the count"
                (Aggregate::Count, _) if self.counted().is_some() && pending.text.to_lowercase().ends_with("count") => {
                    let counted = self.counted();
                    self.intent.silent.retain(|silent| Some(*silent) != counted);
                }
                // "how many were cancelled?"
                (Aggregate::Count, Some(mention)) if self.intent.subjects.is_empty() => {
                    let of = Measured::RowsWith(mention.clone());
                    self.intent.measures.push(Measure { aggregate: Aggregate::Count, of, text: pending.text });
                }
                // "order count by region"
                (Aggregate::Count, _) if !self.intent.subjects.is_empty() && self.intent.measures.is_empty() => {
                    let subject = self.intent.subjects.remove(0);
                    let text = format!("{} {}", subject.text, pending.text);
                    let of = Measured::Rows(subject.table);
                    self.intent.measures.push(Measure { aggregate: Aggregate::Count, of, text });
                }
                // "how many orders in total"
                (Aggregate::Sum, _) if !self.intent.measures.is_empty() => {}
                // "amount in total", "order amount average"
                (aggregate, _) if self.intent.columns.last().is_some_and(|last| !self.numbers_of(last).is_empty()) => {
                    let Some(mention) = self.intent.columns.pop() else { continue };
                    let text = format!("{} {}", mention.text, pending.text);
                    let columns = self.numbers_of(&mention);
                    let of = Measured::Column(Mention { columns, ..mention });
                    self.intent.measures.push(Measure { aggregate, of, text });
                }
                _ => self.left_over.push(pending.text),
            }
        }
        if let Some(not) = self.negated.take() {
            self.leave(not);
        }
        if self.behind_a_number {
            self.numbers_have_no_parts();
        }
        self.rows_with_a_value_are_counted();
        self.values_make_parts();
        // "visited both a museum opened before 2009 and one opened after 2011": no one museum is so.
        if self.both && self.intent.filters.len() > 1 {
            self.left_over.push("both".to_owned());
        }
        if self.distinct {
            self.intent.distinct = true;
        }
    }
}
