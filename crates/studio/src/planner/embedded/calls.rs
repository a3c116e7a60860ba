//! The ways to call columns and values, by the words of their names.

use super::words;

/// Ends of column names that tell the type and not the thing: `hired_at`, `order_date`.
pub(super) const TYPE_WORDS: &[&str] =
    &["at", "on", "date", "time", "timestamp", "ts", "id", "key", "code", "number", "no", "utc", "dt"];

/// Words too vague to stand for a longer name.
const VAGUE_WORDS: &[&str] = &[
    "id", "at", "on", "is", "has", "of", "by", "number", "no", "code", "key", "date", "time", "up", "the", "to",
    "from", "in", "unit", "first", "last", "per",
];

/// The words of a value that has capitals inside of one, as they are said: "jetblue" of `JetBlue`.
pub(super) fn written_together(value: &str) -> Option<Vec<String>> {
    let words: Vec<String> =
        value.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(str::to_lowercase).collect();
    (words.len() < words::name_words(value).len()).then_some(words)
}

pub(super) fn singulars(name: &str) -> Vec<String> {
    words::name_words(name).iter().map(|word| words::singular(word)).collect()
}

/// Whether a comment is no more than a name.
pub(super) fn is_name(comment: &str) -> bool {
    comment.split_whitespace().count() <= 4
        && comment.chars().all(|c| c.is_alphanumeric() || matches!(c, ' ' | '_' | '-'))
}

/// The ways to call a column and what each is worth.
pub(super) fn column_calls(name: &str, table_words: &[String]) -> Vec<(Vec<String>, f64)> {
    let words = singulars(name);
    let mut calls = vec![(words.clone(), 1.0)];
    let is_vague = |word: &String| VAGUE_WORDS.contains(&word.as_str());
    let mut stem = words.as_slice();
    while let Some((last, rest)) = stem.split_last()
        && !rest.is_empty()
        && TYPE_WORDS.contains(&last.as_str())
        && !rest.iter().all(is_vague)
    {
        stem = rest;
        let score = if last == "id" || last == "key" { 0.5 } else { 0.9 };
        calls.push((stem.to_vec(), score));
    }
    if let Some(own) = words.strip_prefix(table_words).filter(|own| !own.is_empty() && !table_words.is_empty()) {
        calls.push((own.to_vec(), 0.9));
    }
    if let Some((first, flag)) = words.split_first()
        && !flag.is_empty()
        && (first == "is" || first == "has")
    {
        calls.push((flag.to_vec(), 0.95));
    }
    // "first name" for `name_first`, "opened date" for `date_opened`.
    if let [head, of] = words.as_slice()
        && matches!(head.as_str(), "name" | "date" | "year" | "time" | "amount")
        && of != "id"
    {
        calls.push((vec![of.clone(), head.clone()], 0.9));
    }
    // "zip code" for `zip_postcode`
    if words.iter().any(|word| matches!(word.as_str(), "zip" | "zipcode" | "postcode" | "postal")) {
        let said: [&[&str]; 4] = [&["zip", "code"], &["postal", "code"], &["postcode"], &["zip"]];
        calls.extend(said.map(|said| (said.iter().map(|word| (*word).to_owned()).collect(), 0.85)));
    }
    // "staff number" for `num_of_staff`
    if let [number, of, thing @ ..] = words.as_slice()
        && number == "number"
        && of == "of"
        && !thing.is_empty()
    {
        calls.push((thing.iter().chain([number]).cloned().collect(), 0.9));
    }
    // "department number" for the `department_id` of employees
    if let Some((last, thing)) = words.split_last()
        && last == "id"
        && !thing.is_empty()
        && thing != table_words
    {
        calls.push((thing.iter().cloned().chain(["number".to_owned()]).collect(), 0.55));
    }
    // "director" for `directed_by`
    if let [deed, by] = words.as_slice()
        && by == "by"
        && let Some(stem) = deed.strip_suffix("ed")
    {
        calls.extend(["or", "er"].map(|ending| (vec![format!("{stem}{ending}")], 0.9)));
    }
    // "status code" for `booking_status_code`.
    for length in 2..words.len() {
        calls.push((words[words.len() - length..].to_vec(), 0.7));
    }
    if let Some(last) = words.last()
        && matches!(last.as_str(), "phone" | "telephone" | "fax" | "mobile")
    {
        for start in 0..words.len() {
            let mut said = words[start..].to_vec();
            said.push("number".to_owned());
            calls.push((said, 0.95));
        }
    }
    // "net worth" for `net_worth_millions`.
    for length in 2..stem.len() {
        calls.push((stem[..length].to_vec(), 0.8));
        calls.push((stem[stem.len() - length..].to_vec(), 0.75));
    }
    if stem.len() > 1 {
        let (first, last) = (&stem[0], &stem[stem.len() - 1]);
        for (word, score) in [(last, 0.65), (first, 0.55)] {
            if !is_vague(word) {
                calls.push((vec![word.clone()], score));
            }
        }
    }
    // "rating in" is no name of `rating_in_percent`.
    let hangs = |words: &[String]| {
        let small =
            |word: &String| matches!(word.as_str(), "in" | "of" | "at" | "on" | "by" | "per" | "for" | "to" | "from");
        words.len() > 1 && (words.first().is_some_and(small) || words.last().is_some_and(small))
    };
    calls.retain(|(words, score)| !words.is_empty() && (*score >= 0.9 || !hangs(words)));
    calls
}
