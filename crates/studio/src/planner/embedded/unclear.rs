//! Why a question has no answer here, in words for the person who asked.

use crate::planner::Choice;

/// A question that is not understood.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unclear {
    pub(super) message: String,
    pub(super) words: Vec<String>,
    /// The word that can be read in several ways, and these.
    pub(super) choices: Option<(String, Vec<Choice>)>,
}

impl Unclear {
    pub(super) fn message(message: String) -> Self {
        Self { message, words: Vec::new(), choices: None }
    }

    /// Words that mean nothing here.
    pub(super) fn words(words: &[String]) -> Self {
        let quoted: Vec<String> = words.iter().map(|word| format!("\"{word}\"")).collect();
        let message = match quoted.as_slice() {
            [] => "I do not understand the question".to_owned(),
            quoted => format!("I do not understand {} here", quoted.join(", ")),
        };
        Self { message, words: words.to_vec(), choices: None }
    }

    /// One of these, and nothing tells which.
    pub(super) fn which(word: &str, choices: Vec<Choice>) -> Self {
        let labels: Vec<&str> = choices.iter().map(|choice| choice.label.as_str()).collect();
        let message = format!("\"{word}\" can mean {}; which one do you mean?", labels.join(" or "));
        Self { message, words: vec![word.to_owned()], choices: Some((word.to_owned(), choices)) }
    }

    pub(super) fn of_what() -> Self {
        Self::message("I do not see what the question is about: name a table, or what to count or add up".to_owned())
    }

    pub(super) fn groups_of_what() -> Self {
        Self::message(
            "the question compares a number of groups, but I do not see of which: say for example \"customers with …\" or \"per region\"".to_owned(),
        )
    }

    pub(super) fn share_of_what() -> Self {
        Self::message(
            "I do not see of what the share is asked: say for example \"percentage of orders that are shipped\" or \"share of revenue by region\"".to_owned(),
        )
    }

    pub(super) fn ranked_by_what(phrase: &str) -> Self {
        Self::message(format!(
            "I do not see by what \"{phrase}\" is to be ordered: name a number, for example \"by number of …\""
        ))
    }

    pub(super) fn no_number(phrase: &str) -> Self {
        Self::message(format!("\"{phrase}\" needs a number, and I do not see which: name a column"))
    }

    pub(super) fn no_time(phrase: &str, table: &str) -> Self {
        Self::message(format!("\"{phrase}\" needs a date, and {table} has none that you may see"))
    }

    pub(super) fn no_column(what: &str, table: &str) -> Self {
        Self::message(format!("{table} has no {what} that you may see, so its rows cannot be told apart that way"))
    }

    pub(super) fn not_connected(one: &str, other: &str) -> Self {
        Self::message(format!("I see no key that connects {one} with {other}"))
    }

    pub(super) fn too_far(one: &str, other: &str) -> Self {
        Self::message(format!(
            "I find what is asked of {one} only in {other}, which is several references away: name it, if it is meant"
        ))
    }

    pub(super) fn counted_twice(measure: &str, table: &str) -> Self {
        Self::message(format!(
            "{measure} and {table} are of different levels: put together, rows would be counted more than once; ask two questions"
        ))
    }
}
