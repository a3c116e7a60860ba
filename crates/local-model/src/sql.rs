//! The form of an answer that is SQL: one SELECT, whose names exist.

use std::collections::BTreeSet;

use serde_json::{Value, json};

/// More names than these are not told to the grammar, which has to be quick: then any name is taken for one.
const MOST_NAMES: usize = 500;

/// A name that SQL gives itself, or one of more than [`MOST_NAMES`].
const ANY_NAME: &str = r#""[^"\x00-\x1f\x7f]{1,100}""#;

/// What stands by itself; a dot may be the beginning of a name. Of the control characters only tabs and line ends are in it: in a
/// class with all of them the grammar lets quotes through, once they are escaped as JSON.
const BARE: &str = r#"[^"';.\x00-\x08\x0b-\x1f\x7f]"#;

const TEXT: &str = r"'[^'\x00-\x08\x0b-\x1f\x7f]{0,300}'";

/// Pieces of SQL (a character, a text, a name) in one answer.
const MOST_PIECES: usize = 4_000;

/// An object with `sql`, which is one SELECT or null, and `explanation`.
///
/// Of the SQL the grammar knows no more than what a list can hold: it begins as a query does, texts and quoted names are closed,
/// nothing stands behind a semicolon, a qualified table in quotes is one of `tables`, and a qualified column in quotes one of
/// `columns`. A name that stands alone is free, as aliases are. Whether it is SQL, and what it may read, others decide.
pub fn one_select<'a>(
    tables: impl IntoIterator<Item = [&'a str; 3]>,
    columns: impl IntoIterator<Item = &'a str>,
) -> Value {
    let tables = tables.into_iter().map(|path| path.map(quoted).join(r"\."));
    let tables = alternatives(tables.collect());
    let column = alternatives(columns.into_iter().map(quoted).collect()).unwrap_or_else(|| ANY_NAME.to_owned());
    let table = match tables {
        Some(tables) => format!(r"{tables}(?:\.{column})?|{ANY_NAME}(?:\.{column})?"),
        // Every dot between names is free with them.
        None => format!(r"{ANY_NAME}(?:\.{ANY_NAME}){{0,3}}"),
    };
    let pieces = [BARE, &format!(r"\.{BARE}"), TEXT, &format!(r"\.{column}"), &table].join("|");
    let sql = format!("^(?:SELECT|WITH) (?:{pieces}){{1,{MOST_PIECES}}}$");
    json!({
        "type": "object",
        "properties": {
            "sql": {"anyOf": [{"type": "string", "pattern": sql}, {"type": "null"}]},
            "explanation": {"type": "string", "maxLength": 400}
        },
        "required": ["sql", "explanation"],
        "additionalProperties": false,
        // A model that has nothing to say could otherwise write spaces for ever; and no escape makes a zero byte.
        "x-guidance": {"whitespace_flexible": false, "json_allowed_escapes": "nt\"\\"}
    })
}

fn quoted(name: &str) -> String {
    regex::escape(&format!("\"{}\"", name.replace('"', "\"\"")))
}

/// `None` where there is none, or more than a grammar should have.
fn alternatives(names: BTreeSet<String>) -> Option<String> {
    let some = (1..=MOST_NAMES).contains(&names.len());
    some.then(|| format!("(?:{})", names.into_iter().collect::<Vec<_>>().join("|")))
}
