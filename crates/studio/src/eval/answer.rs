//! Rows, and when two answers are the same.
//!
//! Columns may stand in another order and have other names; rows may stand in another order unless the gold SQL says one,
//! and those that share a place in it may stand there in any. Numbers are equal up to their sixth digit.

use std::{collections::HashMap, hash::Hash, ops::Range};

use super::Verdict;

/// Columns of an answer whose order is tried at most.
const MOST_COLUMNS: usize = 8;

/// An answer, column by column, each value as a text that equal values share.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Answer {
    pub columns: Vec<Vec<String>>,
    /// How many it answers. Columns may be longer: what a limit cut off shares a place with the last row.
    pub rows: usize,
    pub order: Order,
}

/// What the order of a gold answer's rows says.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) enum Order {
    #[default]
    None,
    /// Each row has its place.
    Strict,
    /// The place of each row, in rising order; some share one.
    Shared(Vec<usize>),
}

pub(super) const NULL: &str = "\u{0}";

pub(super) fn number(value: f64) -> String {
    if value == 0.0 { "0".to_owned() } else { format!("{value:.5e}") }
}

/// A text; one that is a number counts as it, since SQLite keeps either in a column.
pub(super) fn text(value: &str) -> String {
    let trimmed = value.trim();
    let is_number = trimmed.starts_with(|c: char| c.is_ascii_digit() || c == '-' || c == '.');
    match trimmed.parse::<f64>() {
        Ok(parsed) if is_number && parsed.is_finite() => number(parsed),
        _ => trimmed.strip_suffix(" 00:00:00").unwrap_or(trimmed).to_owned(),
    }
}

impl Answer {
    /// How it stands to the gold one.
    pub fn compare(&self, gold: &Answer) -> Verdict {
        if self.rows != gold.rows || self.columns.len() < gold.columns.len() || gold.columns.len() > MOST_COLUMNS {
            return Verdict::Wrong;
        }
        let candidates: Vec<Vec<usize>> = gold
            .columns
            .iter()
            .map(|column| (0..self.columns.len()).filter(|own| are_among(&self.columns[*own], column)).collect())
            .collect();
        match self.assign(gold, &candidates, &mut Vec::new()) {
            true if self.columns.len() == gold.columns.len() => Verdict::Right,
            true => Verdict::Wider,
            false => Verdict::Wrong,
        }
    }

    /// Tries to give each gold column one of its candidates, so that the rows are the same.
    fn assign(&self, gold: &Answer, candidates: &[Vec<usize>], chosen: &mut Vec<usize>) -> bool {
        let Some(next) = candidates.get(chosen.len()) else { return self.same_rows(gold, chosen) };
        for own in next {
            if chosen.contains(own) {
                continue;
            }
            chosen.push(*own);
            if self.assign(gold, candidates, chosen) {
                return true;
            }
            chosen.pop();
        }
        false
    }

    fn same_rows(&self, gold: &Answer, chosen: &[usize]) -> bool {
        let own =
            |row: usize| -> Vec<&str> { chosen.iter().map(|column| self.columns[*column][row].as_str()).collect() };
        let other = |row: usize| -> Vec<&str> { gold.columns.iter().map(|column| column[row].as_str()).collect() };
        let rows_are_among = |rows: Range<usize>, those: Range<usize>| are_among(rows.map(own), those.map(other));
        match &gold.order {
            Order::None => rows_are_among(0..self.rows, 0..gold.rows),
            Order::Strict => (0..self.rows).all(|row| own(row) == other(row)),
            Order::Shared(places) => places
                .chunk_by(PartialEq::eq)
                .scan(0, |next, place| {
                    let begin = std::mem::replace(next, *next + place.len());
                    Some(begin..*next)
                })
                .all(|those| rows_are_among(those.start..those.end.min(self.rows), those)),
        }
    }
}

/// Whether each of them is one of those, and as often at most: of as many, whether they are the same.
fn are_among<T: Eq + Hash>(ours: impl IntoIterator<Item = T>, those: impl IntoIterator<Item = T>) -> bool {
    let mut counts: HashMap<T, i64> = HashMap::new();
    those.into_iter().for_each(|one| *counts.entry(one).or_default() += 1);
    ours.into_iter().for_each(|one| *counts.entry(one).or_default() -= 1);
    counts.values().all(|count| *count >= 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(columns: &[&[&str]]) -> Answer {
        let columns: Vec<Vec<String>> =
            columns.iter().map(|column| column.iter().map(|value| text(value)).collect()).collect();
        Answer { rows: columns[0].len(), columns, order: Order::None }
    }

    #[test]
    fn names_and_order_do_not_matter() {
        let gold = answer(&[&["EU", "US"], &["1", "2.00"]]);
        assert_eq!(answer(&[&["2", "1"], &["US", "EU"]]).compare(&gold), Verdict::Right);
        assert_eq!(answer(&[&["2", "1"], &["EU", "US"]]).compare(&gold), Verdict::Wrong);
        assert_eq!(answer(&[&["US", "EU"], &["x", "y"], &["2", "1"]]).compare(&gold), Verdict::Wider);
        assert_eq!(answer(&[&["US", "EU"]]).compare(&gold), Verdict::Wrong);
    }

    #[test]
    fn an_order_that_is_asked_for_matters() {
        let gold = Answer { order: Order::Strict, ..answer(&[&["1", "2"]]) };
        assert_eq!(answer(&[&["2", "1"]]).compare(&gold), Verdict::Wrong);
        assert_eq!(answer(&[&["1", "2"]]).compare(&gold), Verdict::Right);
    }

    #[test]
    fn rows_that_share_a_place_may_stand_in_any_order() {
        let gold = Answer { order: Order::Shared(vec![0, 1, 1]), ..answer(&[&["a", "b", "c"], &["9", "5", "5"]]) };
        assert_eq!(answer(&[&["a", "c", "b"], &["9", "5", "5"]]).compare(&gold), Verdict::Right);
        assert_eq!(answer(&[&["b", "a", "c"], &["5", "9", "5"]]).compare(&gold), Verdict::Wrong);
        assert_eq!(answer(&[&["a", "b", "b"], &["9", "5", "5"]]).compare(&gold), Verdict::Wrong);
    }

    #[test]
    fn of_rows_that_share_the_last_place_a_limit_lets_any_through() {
        let gold = Answer { order: Order::Shared(vec![0, 1, 1]), rows: 2, ..answer(&[&["a", "b", "c"]]) };
        for right in ["b", "c"] {
            assert_eq!(answer(&[&["a", right]]).compare(&gold), Verdict::Right);
        }
        for wrong in ["a", "d"] {
            assert_eq!(answer(&[&["a", wrong]]).compare(&gold), Verdict::Wrong);
        }
        assert_eq!(answer(&[&["a", "b", "c"]]).compare(&gold), Verdict::Wrong);
    }
}
