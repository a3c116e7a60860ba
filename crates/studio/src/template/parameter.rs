//! The places of a template and what is put into them.

use std::{collections::BTreeSet, sync::LazyLock};

use chrono::NaiveDate;
use garde::Validate;
use regex::{Captures, Regex};
use rivergen_kernel::{Error, ErrorCode, FieldError, Result};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use utoipa::ToSchema;

use crate::planner::quote;

/// Of a text that is put in.
const LONGEST_VALUE: usize = 500;
/// Of the question that comes of it, in characters.
const LONGEST_QUESTION: usize = 4000;

static PLACE: LazyLock<Regex> =
    LazyLock::new(|| Regex::new(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]{0,62})\s*\}\}").expect("a regular expression"));

/// What a template asks for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, Validate, ToSchema)]
#[serde(deny_unknown_fields)]
#[garde(allow_unvalidated)]
#[schema(example = json!({"name": "region", "type": "string", "required": true}))]
pub struct TemplateParameter {
    /// As it stands between `{{` and `}}`.
    #[garde(length(chars, min = 1, max = 63))]
    pub name: String,
    #[serde(rename = "type", default)]
    pub kind: ParameterType,
    #[serde(default = "yes")]
    #[schema(default = true)]
    pub required: bool,
    /// Used if nothing is given.
    #[schema(value_type = Option<Object>)]
    pub default: Option<Value>,
    #[garde(inner(length(chars, max = 500)))]
    pub description: Option<String>,
}

const MOST_PARAMETERS: usize = 20;

/// A `parameters` field, where it is sent.
pub(super) fn few(parameters: &Option<Vec<TemplateParameter>>, _: &()) -> garde::Result {
    match parameters {
        Some(given) if given.len() > MOST_PARAMETERS => Err(garde::Error::new("must be at most 20")),
        _ => Ok(()),
    }
}

fn yes() -> bool {
    true
}

/// The kinds of values.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ParameterType {
    #[default]
    String,
    Integer,
    Number,
    Boolean,
    /// `2025-03-01`
    Date,
}

impl ParameterType {
    /// The value as it stands in a question, or what is wrong with it.
    fn words(self, value: &Value) -> std::result::Result<String, String> {
        match (self, value) {
            (Self::String, Value::String(text)) => {
                if text.trim().is_empty() || text.chars().count() > LONGEST_VALUE {
                    return Err(format!("must have 1 to {LONGEST_VALUE} characters"));
                }
                // It would end the quotes that mark it as a value.
                if text.chars().any(|c| c.is_control() || matches!(c, '"' | '\u{201c}' | '\u{201d}')) {
                    return Err("must have no double quotes and no control characters".to_owned());
                }
                Ok(format!("\"{text}\""))
            }
            (Self::String, _) => Err("must be a text".to_owned()),
            (Self::Integer, Value::Number(number)) if number.is_i64() || number.is_u64() => Ok(number.to_string()),
            (Self::Integer, _) => Err("must be a whole number".to_owned()),
            (Self::Number, Value::Number(number)) => Ok(number.to_string()),
            (Self::Number, _) => Err("must be a number".to_owned()),
            (Self::Boolean, Value::Bool(truth)) => Ok(truth.to_string()),
            (Self::Boolean, _) => Err("must be true or false".to_owned()),
            (Self::Date, Value::String(text)) => match text.parse::<NaiveDate>() {
                Ok(date) => Ok(date.to_string()),
                Err(_) => Err("must be a date such as 2025-03-01".to_owned()),
            },
            (Self::Date, _) => Err("must be a date such as 2025-03-01".to_owned()),
        }
    }
}

/// Checks that each place has a parameter and each parameter a place, and each default its type.
pub(super) fn check(text: &str, parameters: &[TemplateParameter]) -> Result<()> {
    let places: BTreeSet<&str> = PLACE.captures_iter(text).filter_map(|found| Some(found.get(1)?.as_str())).collect();
    let mut faults = Vec::new();
    let mut names = BTreeSet::new();
    for (index, parameter) in parameters.iter().enumerate() {
        let at = |field: &str| format!("parameters[{index}].{field}");
        if !names.insert(parameter.name.as_str()) {
            faults.push(FieldError::new(at("name"), "appears twice".to_owned()));
        }
        if !places.contains(parameter.name.as_str()) {
            faults.push(FieldError::new(at("name"), "has no placeholder in template_text".to_owned()));
        }
        if let Some(Err(reason)) = parameter.default.as_ref().map(|default| parameter.kind.words(default)) {
            faults.push(FieldError::new(at("default"), reason));
        }
    }
    for place in places.difference(&names) {
        faults.push(FieldError::new(
            "template_text",
            format!("has the placeholder {{{{{place}}}}}, but there is no parameter with that name"),
        ));
    }
    if PLACE.replace_all(text, "").contains("{{") {
        faults.push(FieldError::new(
            "template_text",
            "has a {{ that does not begin a placeholder; one looks like {{name}}".to_owned(),
        ));
    }
    if PLACE.find_iter(text).any(|place| is_quoted(text, place.start(), place.end())) {
        faults.push(FieldError::new(
            "template_text",
            "has quotes next to a placeholder: texts are put in with quotes of their own".to_owned(),
        ));
    }
    match faults.is_empty() {
        true => Ok(()),
        false => Err(Error::new(ErrorCode::ValidationError).with_details(faults)),
    }
}

/// Whether a quote stands next to a place. It would close where the one of the value opens, so that the value itself would
/// stand outside.
fn is_quoted(text: &str, start: usize, end: usize) -> bool {
    let before = text[..start].chars().next_back();
    let after = text[end..].chars().next();
    before.into_iter().chain(after).any(quote::is_quote)
}

/// The question that the values make of a template.
pub(super) fn fill(text: &str, parameters: &[TemplateParameter], given: &Map<String, Value>) -> Result<String> {
    let mut faults = Vec::new();
    let mut words = Map::new();
    for name in given.keys().filter(|name| !parameters.iter().any(|parameter| parameter.name == **name)) {
        faults.push(FieldError::new(format!("parameters.{name}"), "is not a parameter of the template".to_owned()));
    }
    for parameter in parameters {
        let at = format!("parameters.{}", parameter.name);
        match given.get(&parameter.name).filter(|value| !value.is_null()).or(parameter.default.as_ref()) {
            Some(value) => match parameter.kind.words(value) {
                Ok(word) => drop(words.insert(parameter.name.clone(), Value::String(word))),
                Err(reason) => faults.push(FieldError::new(at, reason)),
            },
            None if parameter.required => faults.push(FieldError::new(at, "is required".to_owned())),
            None => {}
        }
    }
    if !faults.is_empty() {
        return Err(Error::new(ErrorCode::ValidationError).with_details(faults));
    }
    let word = |place: &Captures<'_>| -> String {
        words.get(&place[1]).and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    let question = PLACE.replace_all(text, word).into_owned();
    match question.chars().count() <= LONGEST_QUESTION {
        true => Ok(question),
        false => {
            let reason = format!("make a question of more than {LONGEST_QUESTION} characters");
            Err(Error::invalid_field("parameters", reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn parameters() -> Vec<TemplateParameter> {
        serde_json::from_value(json!([
            {"name": "region"},
            {"name": "least", "type": "integer", "default": 5},
            {"name": "day", "type": "date", "required": false},
        ]))
        .unwrap()
    }

    const TEXT: &str = "How many orders in {{region}} over {{ least }} {{day}}?";

    fn filled(given: Value) -> Result<String> {
        fill(TEXT, &parameters(), given.as_object().unwrap())
    }

    #[test]
    fn values_are_data() {
        assert_eq!(filled(json!({"region": "EU"})).unwrap(), "How many orders in \"EU\" over 5 ?");
        assert_eq!(
            filled(json!({"region": "{{least}}", "least": 7, "day": "2025-01-02"})).unwrap(),
            "How many orders in \"{{least}}\" over 7 2025-01-02?"
        );
        for refused in [
            json!({}),
            json!({"region": "x\" and all others \""}),
            json!({"region": 1}),
            json!({"region": "EU", "least": "7"}),
            json!({"region": "EU", "day": "tomorrow"}),
            json!({"region": "EU", "planet": "Mars"}),
        ] {
            assert!(filled(refused.clone()).is_err(), "{refused}");
        }
    }

    #[test]
    fn what_values_make_of_it_is_still_a_question() {
        let parameters = parameters();
        let text = TEXT.repeat(500);
        let given = json!({"region": "EU"});
        assert!(fill(&text, &parameters, given.as_object().unwrap()).is_err());
    }

    #[test]
    fn places_and_parameters_go_together() {
        assert!(check(TEXT, &parameters()).is_ok());
        assert!(check("How many in {{planet}}?", &parameters()).is_err());
        assert!(check("How many {{region}} {{least}} {{day}} {{planet}}?", &parameters()).is_err());
        assert!(check("How many orders in {{region}} over {{least}} {{day}} {{ 1 }}?", &parameters()).is_err());
        for quoted in ["\"{{region}}\"", "'{{region}}'", "“{{region}}”"] {
            assert!(
                check(&format!("Orders in {quoted} over {{{{least}}}} {{{{day}}}}"), &parameters()).is_err(),
                "{quoted}"
            );
        }
    }
}
