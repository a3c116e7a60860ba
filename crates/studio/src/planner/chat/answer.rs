//! Reads what a model wrote: the JSON that it was asked for, or SQL as models like to write it.

use serde::Deserialize;

/// What an answer comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// A text that may be SQL, not yet parsed.
    Sql { sql: String, explanation: String },
    /// The model says that the schema cannot answer the question.
    Cannot { reason: String },
    /// Neither.
    Garbage,
}

/// Longer explanations are cut: they are shown to people.
const LONGEST_EXPLANATION: usize = 1_000;

#[derive(Deserialize)]
struct Written {
    #[serde(default)]
    sql: Option<String>,
    #[serde(default)]
    explanation: Option<String>,
}

pub(super) fn read(content: &str) -> Answer {
    let content = after_thoughts(content).trim();
    let fenced = fenced(content);
    let braced = content.find('{').zip(content.rfind('}')).and_then(|(from, to)| content.get(from..=to));
    let written = [Some(content), fenced, braced]
        .into_iter()
        .flatten()
        .find_map(|text| serde_json::from_str::<Written>(text.trim()).ok());
    if let Some(written) = written {
        let explanation = readable(written.explanation.as_deref().unwrap_or_default());
        return match written.sql.filter(|sql| !sql.trim().is_empty()) {
            Some(sql) => Answer::Sql { sql: fenced_or_whole(&sql).to_owned(), explanation: or_default(explanation) },
            None if !explanation.is_empty() => Answer::Cannot { reason: explanation },
            None => Answer::Garbage,
        };
    }
    let sql = fenced.unwrap_or(content).trim();
    let first = sql.split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    if first.eq_ignore_ascii_case("select") || first.eq_ignore_ascii_case("with") {
        Answer::Sql { sql: sql.to_owned(), explanation: or_default(String::new()) }
    } else {
        Answer::Garbage
    }
}

/// Reasoning models write their thoughts before the answer.
fn after_thoughts(content: &str) -> &str {
    match content.rfind("</think>") {
        Some(end) => &content[end + "</think>".len()..],
        None => content,
    }
}

/// The inside of the first fenced block.
fn fenced(content: &str) -> Option<&str> {
    let (_, rest) = content.split_once("```")?;
    let (block, _) = rest.split_once("```")?;
    let language = block.split('\n').next().unwrap_or_default();
    let is_language = language.trim().chars().all(|c| c.is_ascii_alphanumeric());
    Some(if is_language { block.get(language.len()..).unwrap_or_default() } else { block })
}

fn fenced_or_whole(sql: &str) -> &str {
    fenced(sql).unwrap_or(sql).trim()
}

/// Text without control characters, of a length that can be shown.
fn readable(text: &str) -> String {
    text.chars()
        .filter(|c| !c.is_control() || *c == '\n')
        .take(LONGEST_EXPLANATION)
        .collect::<String>()
        .trim()
        .to_owned()
}

fn or_default(explanation: String) -> String {
    if explanation.is_empty() { "The model gave no explanation.".to_owned() } else { explanation }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sql_is_found_however_it_is_wrapped() {
        for content in [
            r#"{"sql": "SELECT 1", "explanation": "one"}"#,
            "```json\n{\"sql\": \"SELECT 1\", \"explanation\": \"one\"}\n```",
            "Sure! {\"sql\": \"SELECT 1\", \"explanation\": \"one\"} Anything else?",
            "<think>{\"sql\": \"no\"}</think>{\"sql\": \"```sql\\nSELECT 1\\n```\", \"explanation\": \"one\"}",
        ] {
            let expected = Answer::Sql { sql: "SELECT 1".into(), explanation: "one".into() };
            assert_eq!(read(content), expected, "{content}");
        }
        for content in ["SELECT 1", "Here it is:\n```sql\nSELECT 1\n```\nDone.", "``` SELECT 1 ```"] {
            assert!(matches!(read(content), Answer::Sql { sql, .. } if sql == "SELECT 1"), "{content}");
        }
    }

    #[test]
    fn the_rest_is_no_sql() {
        let reason = "There is no weather here.".to_owned();
        assert_eq!(read(r#"{"sql": null, "explanation": "There is no weather here."}"#), Answer::Cannot { reason });
        for content in ["", "{}", "I cannot help", "[1, 2]", "```\n```", "selection of things", "}{"] {
            assert_eq!(read(content), Answer::Garbage, "{content}");
        }
    }
}
