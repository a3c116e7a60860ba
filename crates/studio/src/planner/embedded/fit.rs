//! How well words fit the names of the schema, from 0 to 1.

use super::schema::{ColumnId, Name, Schema};
use super::token::{self, Token};
use super::words;

/// A match below this is no match.
const WEAKEST: f64 = 0.4;

/// "signups" for the value `signup`, "canceled" for `cancelled`.
pub(super) fn is_inflected(value_word: &str, token: &Token) -> bool {
    if words::is_of_country(&token.lower, value_word) {
        return true;
    }
    let long_enough = value_word.chars().count() > 3;
    // "Asian" and "European" are of Asia and Europe.
    let is_of = || {
        token.lower.strip_suffix('n').is_some_and(|place| {
            place == value_word
                || (place.strip_suffix('a').is_some_and(|place| place == value_word && place.ends_with('e')))
        })
    };
    long_enough
        && (*value_word == token.singular
            || is_of()
            || ((token.lower.ends_with("ed") || value_word.ends_with("ed")) && words::root(value_word) == token.root))
}

/// The things that the words can name, all of the best score, in the schema's order.
pub(super) fn best<'n, T: Copy + PartialEq + 'n>(
    names: impl IntoIterator<Item = &'n Name<T>>,
    tokens: &[Token],
) -> Vec<(T, f64)> {
    let mut found: Vec<(T, f64)> = Vec::new();
    let mut top = WEAKEST;
    for name in names {
        let Some(score) = fit(&name.words, tokens).map(|fit| fit * name.score) else { continue };
        if score > top + 1e-9 {
            found.clear();
            top = score;
        }
        if score >= top - 1e-9 && !found.iter().any(|(known, _)| *known == name.of) {
            found.push((name.of, score));
        }
    }
    found
}

/// The best column of each table that the phrase can name.
pub(super) fn calls(schema: &Schema<'_>, phrase: &str) -> Vec<(ColumnId, f64)> {
    best_of_each_table(&schema.column_names, &token::tokenize(phrase))
}

/// The numbers that a phrase can name best, where it names something else better: an "area" is a region, and a
/// `surface_area`.
pub(super) fn numbers_called(schema: &Schema<'_>, phrase: &str) -> Vec<ColumnId> {
    let is_number = |name: &&Name<ColumnId>| schema.is_numeric(name.of) && !schema.is_key_like(name.of);
    let names = schema.column_names.iter().filter(is_number);
    let called = best(names, &token::tokenize(phrase));
    called.into_iter().filter(|(_, score)| *score >= 0.55).map(|(column, _)| column).collect()
}

/// The best column of each table that the words can name.
pub(super) fn best_of_each_table(names: &[Name<ColumnId>], tokens: &[Token]) -> Vec<(ColumnId, f64)> {
    let mut found: Vec<(ColumnId, f64)> = Vec::new();
    for name in names {
        let Some(score) = fit(&name.words, tokens).map(|fit| fit * name.score).filter(|score| *score > WEAKEST) else {
            continue;
        };
        match found.iter_mut().find(|(known, _)| known.table == name.of.table) {
            Some(known) if score > known.1 => *known = (name.of, score),
            Some(_) => {}
            None => found.push((name.of, score)),
        }
    }
    found
}

/// How well the words fit a name, from 0 to 1; nothing if they do not.
pub(super) fn fit(name: &[String], tokens: &[Token]) -> Option<f64> {
    if let ([word], [first, last]) = (name, tokens) {
        // "high schoolers" are in `highschooler`.
        let is_one = word.strip_prefix(first.lower.as_str()).is_some_and(|rest| rest == last.singular);
        return (is_one && first.lower.chars().count() > 2).then_some(0.95);
    }
    if name.len() != tokens.len() {
        return None;
    }
    let mut fit = 1.0;
    for (word, token) in name.iter().zip(tokens) {
        fit *= if *word == token.singular {
            1.0
        } else if words::root(word) == token.root {
            0.95
        } else if words::is_deed(&token.singular, word) {
            0.85
        } else if words::are_synonyms(word, &token.singular) {
            0.75
        } else {
            return None;
        };
    }
    Some(fit)
}
