//! What two spellings of one question have in common.

use crate::planner::quote;

/// A word of so few letters, all of them capitals, is an abbreviation: `US` is not `us`.
const LONGEST_ABBREVIATION: usize = 4;

/// The question's words, numbers, signs and texts in quotes, in their order. What may differ between two questions of one
/// meaning is left out, and nothing else: spaces, the case of words, commas, and how a sentence ends.
pub(crate) fn key(question: &str) -> String {
    let mut tokens: Vec<String> = Vec::new();
    let mut rest = question;
    let mut after_word = false;
    while let Some(first) = rest.chars().next() {
        let length = match first {
            c if is_of_word(c) => {
                let end = rest.find(|c: char| !(is_of_word(c) || matches!(c, '.' | '-'))).unwrap_or(rest.len());
                let word = rest[..end].trim_end_matches(['.', '-']);
                tokens.push(spelled(word));
                word.len()
            }
            _ => match quote::quoted(rest).filter(|_| !after_word) {
                Some((length, text)) => {
                    tokens.push(format!("\"{text}\""));
                    length
                }
                None => {
                    if !is_left_out(rest) {
                        tokens.push(first.to_string());
                    }
                    first.len_utf8()
                }
            },
        };
        after_word = rest[..length].ends_with(is_of_word);
        rest = &rest[length..];
    }
    tokens.join(" ")
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

/// Spaces and the marks between and after sentences; a point before a digit is a number's.
fn is_left_out(rest: &str) -> bool {
    let mut next = rest.chars();
    match next.next() {
        Some('.') => !next.next().is_some_and(is_of_word),
        Some(first) => first.is_whitespace() || matches!(first, ',' | ';' | ':' | '?'),
        None => true,
    }
}

fn spelled(word: &str) -> String {
    let is_abbreviation = word.chars().count() <= LONGEST_ABBREVIATION && word.chars().all(char::is_uppercase);
    if is_abbreviation { word.to_owned() } else { word.to_lowercase() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spelling_does_not_matter() {
        assert_eq!(key("How many  orders, per Region?"), key("how many orders per region"));
        assert_eq!(key("how many ORDERS over 1.5"), "how many orders over 1.5");
        assert_eq!(key("orders with region “EU”."), key("Orders with region \"EU\""));
        assert_eq!(key("amount >50"), key("Amount > 50"));
        assert_eq!(key(" ?, "), "");
    }

    #[test]
    fn meaning_does() {
        for (one, other) in [
            ("amount > 50", "amount < 50"),
            ("amount = 50", "amount != 50"),
            ("amount >= 50", "amount > 50"),
            ("below -5", "below 5"),
            ("below .5", "below 5"),
            ("more than 5%", "more than 5"),
            ("orders + refunds", "orders - refunds"),
            ("orders of US", "orders of us"),
            ("region \"US\"", "region \"us\""),
            ("region \"EU\"", "region EU"),
            ("name \"a, b\"", "name \"a b\""),
            ("(paid or sent) and big", "paid or (sent and big)"),
            ("orders over 1.5", "orders over 15"),
            ("orders per region", "region per orders"),
        ] {
            assert_ne!(key(one), key(other), "{one}");
        }
    }
}
