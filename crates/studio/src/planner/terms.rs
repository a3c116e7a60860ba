//! An organization's own words: what they mean in words that planners know.
//!
//! `clients` means `customers`, `revenue` means `total amount of orders with status paid`. A term is words in the place of
//! words: it names nothing that the caller may not see, and it is not looked for inside quotes, where values stand.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{Understanding, quote};

/// A word or a phrase, and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    pub term: String,
    pub means: String,
}

/// The question with each term replaced by what it means, and which were. Longer terms go first; what one means is not
/// looked through for others.
pub fn apply(question: &str, terms: &[Term]) -> (String, Vec<Understanding>) {
    let (mut answer, mut understood) = (String::with_capacity(question.len()), Vec::new());
    for piece in pieces(question, terms) {
        match piece {
            Piece::Other(text) => answer.push_str(text),
            Piece::Said(phrase, term) => {
                let meaning = term.means.trim().to_owned();
                answer.push_str(&meaning);
                understood.push(Understanding { phrase: phrase.to_owned(), meaning });
            }
        }
    }
    (answer, understood)
}

/// Those of the terms that the question says.
pub fn said_in(question: &str, terms: &[Term]) -> Vec<Term> {
    let mut said: Vec<Term> = Vec::new();
    for piece in pieces(question, terms) {
        if let Piece::Said(_, term) = piece
            && !said.contains(term)
        {
            said.push(term.clone());
        }
    }
    said
}

/// A question is cut into these.
enum Piece<'a> {
    Other(&'a str),
    /// As it is said, and which one it is.
    Said(&'a str, &'a Term),
}

fn pieces<'a>(question: &'a str, terms: &'a [Term]) -> Vec<Piece<'a>> {
    let vocabulary = vocabulary(terms);
    let mut pieces = Vec::new();
    let mut rest = question;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let at_start = !after_word;
        let near = vocabulary.get(&folded(first)).filter(|_| at_start);
        let said = near.and_then(|terms| terms.iter().find_map(|spelled| Some((spelled.said(rest)?, spelled.term))));
        // A quote after a letter is an apostrophe.
        let quoted = quote::quoted(rest).filter(|_| at_start).map(|(length, _)| length);
        let length = match (said, quoted) {
            (Some((length, _)), _) | (None, Some(length)) => length,
            (None, None) => first.len_utf8(),
        };
        let (piece, others) = rest.split_at(length);
        pieces.push(match said {
            Some((_, term)) => Piece::Said(piece, term),
            None => Piece::Other(piece),
        });
        after_word = piece.ends_with(is_of_word);
        rest = others;
    }
    pieces
}

/// A term as it is looked for.
struct Spelled<'a> {
    characters: usize,
    lower: String,
    term: &'a Term,
}

/// The terms by their first character, the longest first: a glossary has many, and a question many words.
fn vocabulary(terms: &[Term]) -> HashMap<char, Vec<Spelled<'_>>> {
    let mut vocabulary: HashMap<char, Vec<Spelled<'_>>> = HashMap::new();
    for term in terms {
        let text = term.term.trim();
        let Some(first) = text.chars().next() else { continue };
        let spelled = Spelled { characters: text.chars().count(), lower: text.to_lowercase(), term };
        vocabulary.entry(folded(first)).or_default().push(spelled);
    }
    for terms in vocabulary.values_mut() {
        terms.sort_by_key(|spelled| std::cmp::Reverse(spelled.characters));
    }
    vocabulary
}

impl Spelled<'_> {
    /// How many bytes the term takes at the start of the text, as whole words in any case.
    fn said(&self, text: &str) -> Option<usize> {
        let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
        let end = ends.nth(self.characters.checked_sub(1)?)?;
        let (start, rest) = text.split_at(end);
        (!rest.starts_with(is_of_word) && start.to_lowercase() == self.lower).then_some(end)
    }
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Without its case, as far as one character tells it.
fn folded(c: char) -> char {
    c.to_lowercase().next().unwrap_or(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn terms() -> Vec<Term> {
        [
            ("clients", "customers"),
            ("net revenue", "total amount of paid orders"),
            ("revenue", "total amount of orders"),
        ]
        .map(|(term, means)| Term { term: term.into(), means: means.into() })
        .into()
    }

    #[test]
    fn whole_words_are_replaced() {
        let (question, understood) = apply("Net revenue per region of our Clients?", &terms());
        assert_eq!(question, "total amount of paid orders per region of our customers?");
        assert_eq!((understood.len(), understood[0].phrase.as_str()), (2, "Net revenue"));
        for question in [
            "revenues of subclients",
            "status \"revenue\"",
            "status 'clients'",
            "status “revenue”",
            "status ‘revenue’",
            "status „revenue“",
        ] {
            assert_eq!(apply(question, &terms()).0, question);
        }
        assert_eq!(apply("the clients' revenue", &terms()).0, "the customers' total amount of orders");
    }
    #[test]
    fn only_what_is_said_is_told() {
        let said = said_in("Clients by net revenue, \"revenue\" and clients", &terms());
        assert_eq!(said.iter().map(|term| term.term.as_str()).collect::<Vec<_>>(), ["clients", "net revenue"]);
        assert_eq!(apply("clients by net revenue", &said), apply("clients by net revenue", &terms()));
    }
}
