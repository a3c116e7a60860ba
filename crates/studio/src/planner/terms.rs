//! An organization's own words: what they mean in words that planners know.
//!
//! `clients` means `customers`, `revenue` means `total amount of orders with status paid`. A term is words in the place of
//! words: it names nothing that the caller may not see, and it is not looked for inside quotes, where values stand.

use serde::{Deserialize, Serialize};

use super::Understanding;

/// A word or a phrase, and what it means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Term {
    pub term: String,
    pub means: String,
}

/// The question with each term replaced by what it means, and which were. Longer terms go first; what one means is not
/// looked through for others.
pub fn apply(question: &str, terms: &[Term]) -> (String, Vec<Understanding>) {
    let mut terms: Vec<&Term> = terms.iter().filter(|term| !term.term.trim().is_empty()).collect();
    terms.sort_by_key(|term| std::cmp::Reverse(term.term.len()));
    let (mut answer, mut understood) = (String::with_capacity(question.len()), Vec::new());
    let mut rest = question;
    let mut quote = None;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let at_start_of_word = quote.is_none() && !after_word;
        let found =
            terms.iter().filter(|_| at_start_of_word).find_map(|term| Some((term, said(rest, term.term.trim())?)));
        if let Some((term, length)) = found {
            answer.push_str(term.means.trim());
            understood.push(Understanding { phrase: rest[..length].to_owned(), meaning: term.means.trim().to_owned() });
            rest = &rest[length..];
            after_word = true;
            continue;
        }
        match (quote, first) {
            (Some(open), close) if open == close => quote = None,
            (None, '"') => quote = Some('"'),
            (None, '\u{201c}') => quote = Some('\u{201d}'),
            // One after a letter is an apostrophe.
            (None, '\'') if !after_word => quote = Some('\''),
            _ => {}
        }
        after_word = first.is_alphanumeric() || first == '_';
        answer.push(first);
        rest = &rest[first.len_utf8()..];
    }
    (answer, understood)
}

/// How many bytes the term takes at the start of the text, as whole words in any case.
fn said(text: &str, term: &str) -> Option<usize> {
    let mut ends = text.char_indices().map(|(at, c)| at + c.len_utf8());
    let end = ends.nth(term.chars().count().checked_sub(1)?)?;
    let (start, rest) = text.split_at(end);
    let goes_on = rest.chars().next().is_some_and(|next| next.is_alphanumeric() || next == '_');
    (!goes_on && start.to_lowercase() == term.to_lowercase()).then_some(end)
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
        for question in ["revenues of subclients", "status \"revenue\"", "status 'clients'"] {
            assert_eq!(apply(question, &terms()).0, question);
        }
        assert_eq!(apply("the clients' revenue", &terms()).0, "the customers' total amount of orders");
    }
}
