//! A question that goes on from another: "only last year", "by month", "top 10", "without refunded".
//!
//! ```text
//! the first question ─ draft ─┐
//! what followed ─ drafts ─────┴─▶ one after the other laid over it ─▶ one draft, settled and built as any other
//! ```
//!
//! The rules: a value or a time of the same column takes the place of the one before, a further comparison is added. Groups
//! of time take the place of groups of time; other groups are added, "instead" clears those before. A measure takes the place
//! of the measures, after "and" or "also" it is added. A question that says what it is about and can be answered without the
//! others stands by itself, unless it begins as one that goes on.

use super::intent::{Dimension, Filter, Intent, Left, Measure, Measured, RankBy, SortBy, Test};
use super::schema::{ColumnId, Schema};
use super::token::{self, Kind, Token};
use super::{
    Place, Unclear,
    cue::{Aggregate, Quality},
    plan_of, read,
};
use crate::planner::{Turn, Understanding, terms};

/// Words for a picture, which comes by itself.
const PICTURES: &[&[&str]] = &[
    &["as", "a", "line", "chart"],
    &["as", "a", "bar", "chart"],
    &["as", "a", "chart"],
    &["as", "a", "graph"],
    &["as", "chart"],
];

/// Words that only say that a question goes on.
const LEADS: &[&[&str]] = &[
    &["what", "about"],
    &["how", "about"],
    &["the", "same", "but"],
    &["the", "same", "for"],
    &["same", "but"],
    &["same", "for"],
    &["instead"],
];

/// Words with which nobody begins a question of its own.
const GOES_ON: &[&str] =
    &["only", "just", "but", "and", "also", "plus", "without", "by", "per", "with", "sorted", "ordered"];

/// Words after which a measure is one more.
const ADDS: &[&str] = &["and", "also", "plus", "with"];

/// A draft after a question was laid over it.
pub(super) struct Refined {
    pub(super) intent: Intent,
    /// What took the place of what, for the person who asked.
    pub(super) changes: Vec<Understanding>,
    /// It did not need what was before.
    pub(super) stands_alone: bool,
}

/// The draft of a conversation: each question laid over those before it.
pub(super) fn follow(thread: &[Turn], schema: &Schema<'_>) -> Result<Intent, Unclear> {
    let mut questions = thread.iter().map(|turn| terms::apply(&turn.question, &schema.context.terms).0);
    let Some(first) = questions.next() else { return Ok(Intent::default()) };
    questions
        .try_fold(read(&first, schema, Place::First)?, |before, question| Ok(refine(before, &question, schema)?.intent))
}

/// Takes out of a question what is no part of it.
pub(super) fn leave_out_asides(tokens: &mut Vec<Token>) {
    leave_out(tokens, PICTURES);
    leave_out(tokens, LEADS);
}

/// Whether there was any of the phrases.
fn leave_out(tokens: &mut Vec<Token>, phrases: &[&[&str]]) -> bool {
    let before = tokens.len();
    for phrase in phrases {
        let is_said = |window: &[Token]| {
            window.iter().zip(phrase.iter()).all(|(token, word)| token.kind == Kind::Word && token.lower == *word)
        };
        while let Some(at) = tokens.windows(phrase.len()).position(is_said) {
            tokens.drain(at..at + phrase.len());
        }
    }
    tokens.len() < before
}

/// Lays a question over the draft of those before it.
pub(super) fn refine(base: Intent, question: &str, schema: &Schema<'_>) -> Result<Refined, Unclear> {
    let more = read(question, schema, Place::Later)?;
    let mut tokens = token::tokenize(question);
    let instead = tokens.iter().any(|token| token.lower == "instead");
    let draws = leave_out(&mut tokens, PICTURES);
    let leads = leave_out(&mut tokens, LEADS);
    let begins_with = |known: &[&str]| tokens.first().is_some_and(|first| known.contains(&first.lower.as_str()));
    let is_whole = !more.subjects.is_empty() || says_what(&more);
    if is_whole && !leads && !begins_with(GOES_ON) && plan_of(more.clone(), schema).is_ok() {
        return Ok(Refined { intent: more, changes: Vec::new(), stands_alone: true });
    }
    if is_empty(&more) && !draws {
        return Err(Unclear::message(format!("I do not see what \"{}\" changes", question.trim())));
    }
    let mut overlay = Overlay { base, changes: Vec::new() };
    if draws {
        overlay.told("chart", "one is proposed where the columns of the answer make one".to_owned());
    }
    overlay.lay(more, instead, begins_with(ADDS));
    Ok(Refined { intent: overlay.base, changes: overlay.changes, stands_alone: false })
}

/// A measure is asked for itself, and not only compared or ranked by.
fn says_what(intent: &Intent) -> bool {
    (0..intent.measures.len()).any(|measure| is_plain(intent, measure))
}

fn is_plain(intent: &Intent, measure: usize) -> bool {
    let compared = intent.havings.iter().any(|having| having.measure == measure);
    let ranks = intent.rank.as_ref().is_some_and(|rank| matches!(rank.by, RankBy::Measure(by) if by == measure));
    let sorts = matches!(intent.sort, Some(SortBy::Measure(by)) if by == measure);
    !compared && !ranks && !sorts
}

/// Nothing in it says what is to be different; a thing that is only named does not.
fn is_empty(intent: &Intent) -> bool {
    intent.measures.is_empty()
        && intent.dimensions.is_empty()
        && intent.columns.is_empty()
        && intent.filters.is_empty()
        && intent.absent.is_empty()
        && intent.rank.is_none()
        && intent.limit.is_none()
        && intent.sort.is_none()
        && intent.sort_direction.is_none()
        && intent.nested.is_none()
        && !(intent.all || intent.distinct || intent.share)
}

struct Overlay {
    base: Intent,
    changes: Vec<Understanding>,
}

impl Overlay {
    fn told(&mut self, phrase: &str, meaning: String) {
        self.changes.push(Understanding { phrase: phrase.to_owned(), meaning });
    }

    fn lay(&mut self, more: Intent, instead: bool, adds: bool) {
        let more = self.without(more);
        let offset = self.measures(&more, adds);
        // What is changed shows all its numbers.
        self.base.silent.clear();
        self.base.readings.extend(more.readings);
        self.base.slips.extend(more.slips);
        self.filters(more.filters);
        self.groups(more.dimensions, instead);
        if !more.columns.is_empty() {
            // Of a list they say what to show, of groups what else to group by.
            if self.base.measures.is_empty() && self.base.dimensions.is_empty() {
                self.base.columns.clear();
                self.base.called = None;
            }
            self.base.columns.extend(more.columns);
        }
        self.base.havings.extend(more.havings.into_iter().map(|mut having| {
            having.measure += offset;
            having
        }));
        self.base.absent.extend(more.absent);
        self.base.nested = more.nested.or(self.base.nested);
        self.base.share |= more.share;
        self.base.distinct |= more.distinct;
        if more.all && more.limit.is_none() {
            self.base.all = true;
            self.base.limit = None;
        }
        if let Some(mut rank) = more.rank {
            if let RankBy::Measure(measure) = &mut rank.by {
                *measure += offset;
            }
            self.base.rank = Some(rank);
            self.base.sort = None;
            self.base.sort_then.clear();
            self.count_what_is_ranked();
        }
        self.base.limit = more.limit.or(self.base.limit);
        if more.sort.is_some() || more.sort_direction.is_some() {
            // "newest first" takes the place of any other order.
            if more.sort_quality.as_ref().is_some_and(|(_, quality, _)| *quality != Quality::Any) {
                self.base.sort = None;
                self.base.sort_then.clear();
            }
            self.base.sort_quality = more.sort_quality;
        }
        if let Some(mut sort) = more.sort {
            if let SortBy::Measure(measure) = &mut sort {
                *measure += offset;
            }
            self.base.sort = Some(sort);
            self.base.sort_then = more.sort_then;
            self.base.rank = None;
        }
        self.base.sort_direction = more.sort_direction.or(self.base.sort_direction);
    }

    /// "without region": the groups or the condition by which there is something to leave out. What is neither stays a
    /// condition of its own.
    fn without(&mut self, mut more: Intent) -> Intent {
        let filters = std::mem::take(&mut more.filters);
        for filter in filters {
            let columns = match (&filter.left, &filter.test) {
                (Left::Column(mention), Test::Missing) if !filter.negated => mention.columns.clone(),
                _ => Vec::new(),
            };
            let known = self.base.dimensions.len() + self.base.columns.len() + self.base.filters.len();
            self.base.dimensions.retain(|dimension| !groups_by(dimension, &columns));
            self.base.columns.retain(|mention| !shares(&mention.columns, &columns));
            self.drop_filters(
                |known| matches!(&known.left, Left::Column(mention) if shares(&mention.columns, &columns)),
            );
            let left = self.base.dimensions.len() + self.base.columns.len() + self.base.filters.len();
            match left < known {
                true => self.told(&filter.text, "left out".to_owned()),
                false => more.filters.push(filter),
            }
        }
        let absent = std::mem::take(&mut more.absent);
        for subject in absent {
            let known = self.base.dimensions.len();
            self.base
                .dimensions
                .retain(|dimension| !matches!(dimension, Dimension::Table(table, _) if *table == subject.table));
            match self.base.dimensions.len() < known {
                true => self.told(&subject.text, "left out".to_owned()),
                false => more.absent.push(subject),
            }
        }
        more
    }

    /// Adds the measures or puts them in the place of those before; answers by how much the places of the new ones moved.
    fn measures(&mut self, more: &Intent, adds: bool) -> usize {
        let replaces = says_what(more) && !adds && self.base.havings.is_empty();
        if !replaces {
            let offset = self.base.measures.len();
            self.base.measures.extend(more.measures.iter().cloned());
            return offset;
        }
        if let (Some(new), Some(old)) = (more.measures.first(), self.base.measures.first()) {
            let (phrase, meaning) = (new.text.clone(), format!("in the place of \"{}\"", old.text));
            self.told(&phrase, meaning);
        }
        self.base.measures = more.measures.clone();
        if let Some(rank) = &mut self.base.rank
            && matches!(rank.by, RankBy::Measure(_))
        {
            rank.by = RankBy::Measure(0);
        }
        if matches!(self.base.sort, Some(SortBy::Measure(_))) {
            self.base.sort = Some(SortBy::Measure(0));
        }
        0
    }

    fn filters(&mut self, filters: Vec<Filter>) {
        let before = self.base.filters.len();
        // Of those before, which were taken by a new one, and which are only in its way.
        let mut taken = vec![false; before];
        let mut stale = vec![false; before];
        for filter in filters {
            let rivals: Vec<usize> = (0..before)
                .filter(|at| self.base.filters.get(*at).is_some_and(|known| is_about(known, &filter)))
                .collect();
            let place = rivals.iter().copied().find(|at| !taken[*at]);
            let is_further = rivals.iter().any(|at| taken[*at]);
            for at in &rivals {
                stale[*at] = true;
            }
            match place.filter(|_| !is_further) {
                Some(at) => {
                    taken[at] = true;
                    let old = std::mem::replace(&mut self.base.filters[at], filter.clone());
                    self.told(&filter.text, format!("in the place of \"{}\"", old.text));
                }
                None => self.base.filters.push(filter),
            }
        }
        let gone: Vec<usize> = (0..before).filter(|at| stale[*at] && !taken[*at]).collect();
        self.remove_filters(&gone);
    }

    fn drop_filters(&mut self, is_dropped: impl Fn(&Filter) -> bool) {
        let filters = self.base.filters.iter().enumerate();
        let gone: Vec<usize> = filters.filter(|(_, filter)| is_dropped(filter)).map(|(at, _)| at).collect();
        self.remove_filters(&gone);
    }

    /// The parts of a share are told by their places.
    fn remove_filters(&mut self, gone: &[usize]) {
        for at in gone.iter().rev() {
            self.base.filters.remove(*at);
            for mark in [&mut self.base.share_base, &mut self.base.share_part].into_iter().flatten() {
                *mark -= usize::from(*at < *mark);
            }
        }
    }

    fn groups(&mut self, dimensions: Vec<Dimension>, instead: bool) {
        if dimensions.is_empty() {
            return;
        }
        if instead {
            self.base.dimensions.clear();
        }
        if self.base.measures.is_empty() || instead {
            // What a list showed is no group.
            self.base.columns.clear();
            self.base.called = None;
        }
        for dimension in dimensions {
            let of_time = |dimension: &Dimension| matches!(dimension, Dimension::Time(..));
            let same = self.base.dimensions.iter().position(|known| of_time(known) && of_time(&dimension));
            match same {
                Some(at) => {
                    let old = std::mem::replace(&mut self.base.dimensions[at], dimension.clone());
                    let meaning = format!("in the place of \"{}\"", phrase(&old));
                    self.told(&phrase(&dimension), meaning);
                }
                None => self.base.dimensions.push(dimension),
            }
        }
        self.count_what_is_ranked();
    }

    /// Groups that nothing is measured of are counted, and a rank without a number is by that count.
    fn count_what_is_ranked(&mut self) {
        let unspecified = self.base.rank.as_ref().is_some_and(|rank| matches!(rank.by, RankBy::Unspecified));
        if !unspecified || !self.base.measures.is_empty() || self.base.dimensions.is_empty() {
            return;
        }
        if let Some(subject) = self.base.subjects.first() {
            let (of, text) = (Measured::Rows(subject.table), subject.text.clone());
            self.base.measures.push(Measure { aggregate: Aggregate::Count, of, text });
        }
    }
}

fn shares(some: &[ColumnId], others: &[ColumnId]) -> bool {
    some.iter().any(|column| others.contains(column))
}

fn groups_by(dimension: &Dimension, columns: &[ColumnId]) -> bool {
    match dimension {
        Dimension::Column(mention) | Dimension::Time(_, Some(mention), _) => shares(&mention.columns, columns),
        Dimension::Table(..) | Dimension::Time(_, None, _) => false,
    }
}

fn phrase(dimension: &Dimension) -> String {
    match dimension {
        Dimension::Column(mention) => mention.text.clone(),
        Dimension::Table(_, text) | Dimension::Time(_, _, text) => text.clone(),
    }
}

/// The two say which value or time the same thing has, so that both together would be none.
fn is_about(known: &Filter, new: &Filter) -> bool {
    let names_one =
        |filter: &Filter| !filter.negated && matches!(filter.test, Test::Value(_) | Test::Typed(_) | Test::Within(_));
    let same = match (&known.left, &new.left) {
        (Left::Column(one), Left::Column(other)) => shares(&one.columns, &other.columns),
        (Left::Time(one, _), Left::Time(other, _)) => match (one, other) {
            (Some(one), Some(other)) => shares(&one.columns, &other.columns),
            _ => true,
        },
        (Left::Key(one), Left::Key(other)) | (Left::Label(one), Left::Label(other)) => one == other,
        _ => false,
    };
    same && names_one(known) && names_one(new)
}
