//! Recognises questions about what exists but is withheld from the caller.

use super::link::{self, Link, Meaning};
use super::token::Token;
use super::words;

/// Names that are withheld and that the question fits better than anything that may be seen.
pub(super) fn asked_for(withheld: &[String], tokens: &[Token], links: &[Link]) -> Vec<String> {
    let calls: Vec<(&String, Vec<Vec<String>>)> = withheld.iter().map(|name| (name, calls(name))).collect();
    let mut found: Vec<String> = Vec::new();
    for link in links {
        let visible = match &link.meaning {
            Meaning::Unknown => 0.0,
            Meaning::Noun(noun) => noun.score(),
            // One whose columns may all be seen.
            Meaning::Metric(_) => continue,
            Meaning::Cue(_) | Meaning::Time(_) | Meaning::Number(_) | Meaning::Quoted(_) | Meaning::Pause => continue,
        };
        for (name, calls) in &calls {
            let fits = calls.iter().any(|call| {
                let from = link.tokens.0;
                let asked = tokens.get(from..from + call.len()).and_then(|tokens| link::fit(call, tokens));
                let longer = call.len() > link.tokens.1 - from;
                asked.is_some_and(|fit| fit > visible + 1e-9 || (longer && fit >= 0.9))
            });
            if fits && !found.contains(name) {
                found.push((*name).clone());
            }
        }
    }
    found
}

/// What a withheld thing can be called: by its own name, by the table's and its own, and without
/// the end that only tells its type.
fn calls(name: &str) -> Vec<Vec<String>> {
    let words_of =
        |part: &str| -> Vec<String> { words::name_words(part).iter().map(|word| words::singular(word)).collect() };
    let parts: Vec<&str> = name.split('.').collect();
    let mut calls = Vec::new();
    let Some((last, owners)) = parts.split_last() else { return calls };
    let own = words_of(last);
    if let Some((kind, rest)) = own.split_last()
        && !rest.is_empty()
        && matches!(kind.as_str(), "number" | "code" | "no" | "id" | "at" | "on" | "date")
    {
        calls.push(rest.to_vec());
    }
    // Four parts are a column of a table; fewer are a table or a bare name.
    if let (Some(table), 4..) = (owners.last(), parts.len()) {
        let mut qualified = words_of(table);
        qualified.extend(own.iter().cloned());
        calls.push(qualified);
    }
    calls.push(own);
    calls.retain(|call| !call.is_empty());
    calls
}
