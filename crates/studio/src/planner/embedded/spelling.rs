//! Slips of the pen: "deparments" is nothing but the departments. A word that means nothing here is read as the one word of
//! the schema that it nearly is, where the whole question is understood then; the answer says so.

use std::collections::HashMap;

use super::schema::Schema;
use super::token::{self, Kind};
use super::words;

/// Shorter names are too near to others.
const SHORTEST: usize = 6;

/// The end of a word is its form and no slip: "travelled" is not the "traveller".
const ENDING: usize = 2;

/// A word that was misspelled, and what it is read as.
pub(super) type Slip = (String, String);

/// The question without the slips among its unknown words, and these; `None` where there is none.
pub(super) fn mended(question: &str, unknown: &[String], schema: &Schema<'_>) -> Option<(String, Vec<Slip>)> {
    let known = schema.vocabulary();
    let read: HashMap<&str, String> = unknown
        .iter()
        .filter_map(|typed| {
            let singular = words::singular(&typed.to_lowercase());
            // "Funded" is no slip of `founded`, and what is only out of place is none at all.
            if known.contains(singular.as_str()) || words::is_relation(&singular) || words::is_origin(&singular) {
                return None;
            }
            let is_plural = singular != typed.to_lowercase();
            let mut meant = known.iter().filter(|word| is_slip(&singular, word));
            let (word, None) = (meant.next()?, meant.next()) else { return None };
            Some((typed.as_str(), if is_plural { words::plural(word) } else { (*word).to_owned() }))
        })
        .collect();
    let mut mended = question.to_owned();
    let mut slips = Vec::new();
    // From the end on, so that what stands before keeps its place.
    for token in token::tokenize(question).iter().rev().filter(|token| token.kind == Kind::Word) {
        let (from, to) = token.span;
        // A name is spelled as whoever has it spells it.
        let is_name = from > 0 && question[from..].starts_with(char::is_uppercase);
        if let Some(word) = read.get(&question[from..to]).filter(|_| !is_name) {
            slips.push((question[from..to].to_owned(), word.clone()));
            mended.replace_range(from..to, word);
        }
    }
    (!slips.is_empty()).then_some((mended, slips))
}

/// One letter is missing, too many or at its neighbour's place, but neither the first nor one of the last; or "s" is "z".
fn is_slip(typed: &str, word: &str) -> bool {
    let (typed, word): (Vec<char>, Vec<char>) = (typed.chars().collect(), word.chars().collect());
    if word.len() < SHORTEST || typed.len().abs_diff(word.len()) > 1 || typed.first() != word.first() {
        return false;
    }
    let begin = typed.iter().zip(&word).take_while(|(one, other)| one == other).count();
    let end = typed.iter().rev().zip(word.iter().rev()).take_while(|(one, other)| one == other).count();
    if end < ENDING {
        return false;
    }
    let middle = |letters: &[char]| letters.get(begin..letters.len().saturating_sub(end)).unwrap_or_default().to_vec();
    match (middle(&typed).as_slice(), middle(&word).as_slice()) {
        ([one, other], [first, second]) => one == second && other == first,
        (['s' | 'z'], ['s' | 'z']) => true,
        // Of "comany" and "commpany" the letters that are the same from both ends may overlap.
        _ => typed.len() != word.len() && begin + end >= typed.len().min(word.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_one_letter_within_the_word() {
        for (typed, word) in [
            ("deparment", "department"),
            ("comapny", "company"),
            ("commpany", "company"),
            ("visiblity", "visibility"),
            ("semeseter", "semester"),
            ("staus", "status"),
            ("organization", "organisation"),
        ] {
            assert!(is_slip(typed, word), "{typed}");
        }
        for (typed, word) in [
            ("travelled", "traveller"),
            ("moved", "loved"),
            ("counts", "county"),
            ("stated", "states"),
            ("rating", "racing"),
            ("status", "status"),
        ] {
            assert!(!is_slip(typed, word), "{typed}");
        }
    }
}
