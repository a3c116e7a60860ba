//! Filters and paths (RFC 7644, sections 3.4.2.2 and 3.5.2): the grammar is `scim_v2`'s; what they mean is said here and in
//! [`super::query`], and the two must agree.
//!
//! One form is taken that the grammar has not: a part behind brackets ([`with_parts_inside`]).
//!
//! A filter is bounded in length, in depth and in terms, so that neither a stack nor a database is brought down by one.

use chrono::{DateTime, Utc};
use scim_v2::filter::{AttrExp, CompValue, CompareOp, Filter, PatchPath, ValFilter};
use serde_json::Value;

use super::{
    document::fold,
    error::{Kind as ErrorKind, Result, ScimError},
    schema::{Attribute, Kind},
};

const LONGEST: usize = 4096;
/// Fewer than what the databases bear of conditions in one query; the parser bounds the depth.
const MOST_TERMS: usize = 100;
/// Nesting that a person might write.
const DEEPEST: usize = 32;

/// The filter of a list.
pub fn parse(text: &str) -> Result<Filter> {
    bounded(text)?;
    let filter: Filter =
        with_parts_inside(text).parse().map_err(|error| invalid(format!("The filter cannot be read: {error}")))?;
    count(&filter, 1, &mut 0)?;
    Ok(filter)
}

/// A filter in which what is compared of the values in brackets stands inside of them. Entra ID, where it knows people by an
/// address, asks for `emails[type eq "work"].value eq "a@b.example"`, which the grammar has for paths alone; it means
/// `emails[(type eq "work") and value eq "a@b.example"]`.
fn with_parts_inside(text: &str) -> String {
    let (mut written, mut rest, mut inside) = (String::with_capacity(text.len()), text, 0);
    while let Some(at) = rest.find(['"', '[', ']']) {
        let (plain, from) = rest.split_at(at);
        written.push_str(plain);
        let (token, behind) = from.split_at(if from.starts_with('"') { quoted(from) } else { 1 });
        rest = behind;
        let compared = behind.strip_prefix('.').filter(|_| token == "]").and_then(comparison);
        if let Some((compared, behind)) = compared {
            written.insert(inside, '(');
            written.push_str(") and ");
            written.push_str(compared);
            rest = behind;
        }
        written.push_str(token);
        if token == "[" {
            inside = written.len();
        }
    }
    written.push_str(rest);
    written
}

/// How long the text in quotes is that stands at the beginning; it goes to the end where nothing closes it.
fn quoted(text: &str) -> usize {
    let mut is_escaped = false;
    let closes = |(_, letter): &(usize, char)| {
        let closes = *letter == '"' && !is_escaped;
        is_escaped = *letter == '\\' && !is_escaped;
        closes
    };
    text.char_indices().skip(1).find(closes).map_or(text.len(), |(at, _)| at + 1)
}

/// The comparison that stands at the beginning, and what stands behind it.
fn comparison(text: &str) -> Option<(&str, &str)> {
    let ends_word = |letter: char| letter.is_whitespace() || letter == ')';
    let word = |text: &str| text.find(ends_word).unwrap_or(text.len());
    let (_, behind) = text.split_at(text.find(char::is_whitespace)?);
    let (op, behind) = behind.trim_start().split_at(word(behind.trim_start()));
    let value = behind.trim_start();
    let left = match op.eq_ignore_ascii_case("pr") {
        true => behind.len(),
        false if value.starts_with('"') => value.len() - quoted(value),
        false => value.len() - word(value),
    };
    Some(text.split_at(text.len() - left))
}

/// The path of an operation of PATCH.
pub fn parse_path(text: &str) -> Result<PatchPath> {
    let path = |error: ScimError| ScimError { kind: Some(ErrorKind::InvalidPath), ..error };
    bounded(text).map_err(path)?;
    let parsed: PatchPath = text.parse().map_err(|error| {
        ScimError::new(ErrorKind::InvalidPath, shortened(format!("The path cannot be read: {error}")))
    })?;
    if let PatchPath::Value(found) = &parsed {
        count_values(&found.filter, 1, &mut 0).map_err(path)?;
    }
    Ok(parsed)
}

pub fn invalid(detail: impl Into<String>) -> ScimError {
    ScimError::new(ErrorKind::InvalidFilter, shortened(detail.into()))
}

/// The parser says what it found, which may be long.
fn shortened(text: String) -> String {
    match text.char_indices().nth(300) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

fn bounded(text: &str) -> Result<()> {
    match text.len() <= LONGEST && !text.contains('\0') {
        true => Ok(()),
        false => Err(invalid(format!("A filter has at most {LONGEST} bytes, and no zero byte."))),
    }
}

fn charge(depth: usize, terms: &mut usize) -> Result<()> {
    *terms += 1;
    match depth <= DEEPEST && *terms <= MOST_TERMS {
        true => Ok(()),
        false => Err(invalid(format!("A filter has at most {MOST_TERMS} terms and {DEEPEST} levels."))),
    }
}

fn count(filter: &Filter, depth: usize, terms: &mut usize) -> Result<()> {
    charge(depth, terms)?;
    match filter {
        Filter::Attr(_) => Ok(()),
        Filter::ValuePath(path) => count_values(&path.filter, depth + 1, terms),
        Filter::Not(inner) => count(inner, depth + 1, terms),
        Filter::And(all) | Filter::Or(all) => all.iter().try_for_each(|one| count(one, depth + 1, terms)),
    }
}

fn count_values(filter: &ValFilter, depth: usize, terms: &mut usize) -> Result<()> {
    charge(depth, terms)?;
    match filter {
        ValFilter::Attr(_) => Ok(()),
        ValFilter::Not(inner) => count_values(inner, depth + 1, terms),
        ValFilter::And(all) | ValFilter::Or(all) => all.iter().try_for_each(|one| count_values(one, depth + 1, terms)),
    }
}

/// What a value is compared with.
#[derive(Debug, Clone, PartialEq)]
pub enum Literal {
    Text(String),
    Flag(bool),
    Time(DateTime<Utc>),
    Nothing,
}

/// The literal as the attribute's kind has it; `invalidFilter` where it has none such, or not this comparison.
pub fn literal(attribute: &Attribute, op: &CompareOp, value: &CompValue) -> Result<Literal> {
    let name = attribute.name;
    let is_equality = matches!(op, CompareOp::Eq | CompareOp::Ne);
    match (attribute.kind, value) {
        (_, CompValue::Null) if is_equality => Ok(Literal::Nothing),
        (_, CompValue::Null) => Err(invalid(format!("{name} cannot be compared with null this way."))),
        (_, CompValue::Str(text)) if text.contains('\0') => Err(invalid("A text has no zero byte.".to_owned())),
        (Kind::Boolean, _) if !is_equality => Err(invalid(format!("{name} is true or false: compare by eq or ne."))),
        (Kind::Boolean, CompValue::True) => Ok(Literal::Flag(true)),
        (Kind::Boolean, CompValue::False) => Ok(Literal::Flag(false)),
        (Kind::Boolean, CompValue::Str(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => Ok(Literal::Flag(true)),
            "false" => Ok(Literal::Flag(false)),
            _ => Err(invalid(format!("{name} is true or false."))),
        },
        (Kind::Boolean, _) => Err(invalid(format!("{name} is true or false."))),
        (Kind::Time, CompValue::Str(text)) if !matches!(op, CompareOp::Co | CompareOp::Sw | CompareOp::Ew) => {
            let time = DateTime::parse_from_rfc3339(text);
            let time = time.map_err(|_| invalid(format!("{name} is a time such as 2030-01-31T12:00:00Z.")))?;
            Ok(Literal::Time(time.with_timezone(&Utc)))
        }
        (Kind::Time, _) => Err(invalid(format!("{name} is a time: compare by eq, ne, gt, ge, lt or le."))),
        (Kind::Complex, _) => Err(invalid(format!("{name} has parts: name one of them."))),
        (_, CompValue::Str(text)) => Ok(Literal::Text(fold(attribute, text))),
        (_, CompValue::Number(number)) => Ok(Literal::Text(number.to_string())),
        (_, CompValue::True | CompValue::False) => Err(invalid(format!("{name} is a text."))),
    }
}

/// How two texts compare that are folded.
fn compare(op: &CompareOp, found: &str, wanted: &str) -> bool {
    match op {
        CompareOp::Eq => found == wanted,
        CompareOp::Ne => found != wanted,
        CompareOp::Co => found.contains(wanted),
        CompareOp::Sw => found.starts_with(wanted),
        CompareOp::Ew => found.ends_with(wanted),
        CompareOp::Gt => found > wanted,
        CompareOp::Ge => found >= wanted,
        CompareOp::Lt => found < wanted,
        CompareOp::Le => found <= wanted,
    }
}

/// Whether one value of an attribute that has many passes the filter in its brackets.
pub fn passes(attribute: &Attribute, filter: &ValFilter, value: &Value) -> Result<bool> {
    match filter {
        ValFilter::Not(inner) => Ok(!passes(attribute, inner, value)?),
        ValFilter::And(all) => {
            for one in all.iter() {
                if !passes(attribute, one, value)? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        ValFilter::Or(all) => {
            for one in all.iter() {
                if passes(attribute, one, value)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        ValFilter::Attr(AttrExp::Present(path)) => Ok(found(part(attribute, path)?, value).is_some()),
        ValFilter::Attr(AttrExp::Comparison(path, op, wanted)) => {
            let part = part(attribute, path)?;
            let found = found(part, value);
            Ok(match (literal(part, op, wanted)?, found) {
                (Literal::Nothing, found) => found.is_none() == (*op == CompareOp::Eq),
                (_, None) => *op == CompareOp::Ne,
                (Literal::Flag(flag), Some(found)) => compare(op, &found, &flag.to_string()),
                (Literal::Text(text), Some(found)) => compare(op, &found, &text),
                (Literal::Time(_), Some(_)) => return Err(invalid("No part of a value is a time.")),
            })
        }
    }
}

/// The part of a complex attribute that a path in brackets names.
pub fn part<'a>(attribute: &'a Attribute, path: &scim_v2::filter::AttrPath) -> Result<&'a Attribute> {
    let part = attribute.part(&path.name).filter(|_| path.uri.is_none() && path.sub_attr.is_none());
    part.ok_or_else(|| invalid(format!("{} has no {path}.", attribute.name)))
}

/// The folded text of a part.
fn found(part: &Attribute, value: &Value) -> Option<String> {
    match value.get(part.name)? {
        Value::String(text) => Some(fold(part, text)),
        Value::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}

/// What a value must have for a filter of equalities to pass it: Entra ID replaces `emails[type eq "work"].value` where
/// there is none yet, and means that there is one from then on.
pub fn equalities(filter: &ValFilter) -> Option<Vec<(String, Value)>> {
    match filter {
        ValFilter::Attr(AttrExp::Comparison(path, CompareOp::Eq, value)) if path.sub_attr.is_none() => {
            let value = match value {
                CompValue::Str(text) => text.clone().into(),
                CompValue::True => true.into(),
                CompValue::False => false.into(),
                CompValue::Number(number) => number.clone().into(),
                CompValue::Null => return None,
            };
            Some(vec![(path.name.clone(), value)])
        }
        ValFilter::And(all) => {
            let parts: Option<Vec<_>> = all.iter().map(equalities).collect();
            parts.map(|parts| parts.into_iter().flatten().collect())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use scim_v2::filter::AttrPath;
    use serde_json::json;

    use super::*;
    use crate::scim::schema::USERS;

    fn comparison() -> impl Strategy<Value = AttrExp> {
        let path = ("[a-z][a-zA-Z0-9_]{0,8}", proptest::option::of("[a-z][a-zA-Z]{0,6}"), any::<bool>()).prop_map(
            |(name, sub_attr, has_urn)| AttrPath {
                uri: has_urn.then(|| "urn:ietf:params:scim:schemas:core:2.0:User".to_owned()),
                name,
                sub_attr,
            },
        );
        let op = proptest::sample::select(vec![
            CompareOp::Eq,
            CompareOp::Ne,
            CompareOp::Co,
            CompareOp::Sw,
            CompareOp::Ew,
            CompareOp::Gt,
            CompareOp::Ge,
            CompareOp::Lt,
            CompareOp::Le,
        ]);
        let value = prop_oneof![
            "[^\\x00]{0,12}".prop_map(CompValue::Str),
            any::<i32>().prop_map(|number| CompValue::Number(number.into())),
            Just(CompValue::True),
            Just(CompValue::False),
            Just(CompValue::Null),
        ];
        prop_oneof![
            path.clone().prop_map(AttrExp::Present),
            (path, op, value).prop_map(|(path, op, value)| AttrExp::Comparison(path, op, value)),
        ]
    }

    fn filter() -> impl Strategy<Value = Filter> {
        comparison().prop_map(Filter::Attr).prop_recursive(4, 24, 3, |inner| {
            prop_oneof![
                inner.clone().prop_map(|one| Filter::Not(Box::new(one))),
                (inner.clone(), inner.clone()).prop_map(|(a, b)| Filter::and(a, b)),
                (inner.clone(), inner).prop_map(|(a, b)| Filter::or(a, b)),
            ]
        })
    }

    proptest! {
        #[test]
        fn what_is_printed_is_read_as_the_same(filter in filter()) {
            let text = filter.to_string();
            prop_assert_eq!(parse(&text).unwrap(), filter, "{}", text);
        }

        #[test]
        fn no_text_brings_the_parser_down(text in "(\\(|\\[|not |and | or |[a-z]{1,3}|\"| eq |\\)|\\]|\\.|\\\\){0,60}") {
            let _ = parse(&text);
            let _ = parse_path(&text);
        }
    }

    #[test]
    fn a_part_behind_brackets_is_compared_inside() {
        for (sent, meant) in [
            (r#"emails[type eq "work"].value eq "a@b""#, r#"emails[(type eq "work") and value eq "a@b"]"#),
            (
                r#"(emails[type eq "x" or primary eq true].value pr)"#,
                r#"(emails[(type eq "x" or primary eq true) and value pr])"#,
            ),
            (
                r#"active eq true and emails[primary eq true].value ne null and not (ims[type eq "]."].value co "\"] ")"#,
                r#"active eq true and emails[(primary eq true) and value ne null] and not (ims[(type eq "].") and value co "\"] "])"#,
            ),
            // What stands in quotes is somebody's text, and what has no part behind it stays.
            (
                r#"title eq "a[b].c eq d" and emails[value co "]. x eq 1"]"#,
                r#"title eq "a[b].c eq d" and emails[value co "]. x eq 1"]"#,
            ),
        ] {
            assert_eq!(with_parts_inside(sent), meant);
            assert_eq!(parse(sent).unwrap(), parse(meant).unwrap(), "{sent}");
        }
        for wrong in [
            r#"emails[type eq "work"].value"#,
            r#"emails].value eq "x""#,
            r#"emails[type pr].value eq"#,
            "emails[type pr].",
        ] {
            assert_eq!(parse(wrong).unwrap_err().kind, Some(ErrorKind::InvalidFilter), "{wrong}");
        }
    }

    #[test]
    fn a_filter_is_bounded() {
        for filter in [
            format!("{}active pr{}", "not (".repeat(500), ")".repeat(500)),
            format!("{}active pr{}", "not (".repeat(DEEPEST), ")".repeat(DEEPEST)),
            format!("active pr{}", " or active pr".repeat(MOST_TERMS)),
            format!("userName eq \"{}\"", "x".repeat(LONGEST)),
            "(".repeat(4000),
        ] {
            assert_eq!(parse(&filter).unwrap_err().kind, Some(ErrorKind::InvalidFilter));
        }
        assert!(parse(&format!("{}active pr{}", "not (".repeat(20), ")".repeat(20))).is_ok());
    }

    #[test]
    fn values_pass_by_their_parts() {
        let emails = USERS.resolve_text("emails").unwrap().attribute;
        let work = json!({"value": "Ada@Acme.example", "type": "work", "primary": true});
        let passed = |filter: &str| {
            let PatchPath::Value(path) = parse_path(&format!("emails[{filter}]")).unwrap() else { panic!("{filter}") };
            passes(emails, &path.filter, &work)
        };
        for filter in [
            "type eq \"WORK\"",
            "type eq \"work\" and value co \"@acme\"",
            "primary eq true",
            "primary eq \"True\"",
            "display ne \"x\"",
            "not (display pr)",
            "display eq null",
            "value sw \"ada\" or type eq \"home\"",
        ] {
            assert!(passed(filter).unwrap(), "{filter}");
        }
        for filter in ["type eq \"home\"", "primary eq false", "display pr", "value ew \"@other.example\""] {
            assert!(!passed(filter).unwrap(), "{filter}");
        }
        for filter in ["nothing eq \"x\"", "primary gt true", "type eq true"] {
            assert_eq!(passed(filter).unwrap_err().kind, Some(ErrorKind::InvalidFilter), "{filter}");
        }
    }
}
