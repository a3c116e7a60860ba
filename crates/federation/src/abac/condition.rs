//! The condition language of the API: read, checked, and turned into Cedar.
//!
//! ```json
//! {"all": [{"attribute": "subject.attributes.department", "operator": "ne", "value": "finance"},
//!          {"not": {"attribute": "environment.ip", "operator": "ip_in_range", "value": "10.0.0.0/8"}}]}
//! ```
//!
//! Laws: `ne` is `not eq` and `not_in` is `not in`, also where the attribute is missing; every other operator is false where
//! it is missing, and `exists` tells. So of "deny unless …" a missing attribute is denied.
//!
//! An attribute of a member (`subject.attributes.department`) has no declared type: what the value compares with says it. A
//! text is compared as the set of one text, so that an attribute that an identity provider sends as a list of one reads the
//! same. One that is a number where a text is asked for cannot be evaluated, and that counts as a denial.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use chrono::{DateTime, Utc};
use ipnet::IpNet;
use rivergen_kernel::{Error, FieldError, Permission, Result};
use serde_json::{Map, Value, json};

/// How deep conditions lie in each other.
const DEEPEST: usize = 8;
/// How many comparisons they have together.
const MOST_LEAVES: usize = 100;
/// Values of one comparison.
const MOST_VALUES: usize = 500;
const LONGEST_TEXT: usize = 1_000;

/// A condition that was read: the expression that Cedar evaluates, and what it needs to know.
#[derive(Debug, Clone)]
pub(super) struct Condition {
    /// In Cedar's JSON form of policies.
    pub expression: Value,
    /// The members' attributes that it names, with the type in which it compares them.
    pub attributes: BTreeMap<String, Kind>,
    /// Whether it looks at the single object.
    pub looks_at_object: bool,
}

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Text,
    Texts,
    Number,
    Flag,
    Address,
    Time,
    /// A permission of the catalogue.
    Action,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Self::Text | Self::Action => "a text",
            Self::Texts => "a list of texts",
            Self::Number => "a whole number",
            Self::Flag => "true or false",
            Self::Address => "an address",
            Self::Time => "a time as 2026-01-31T09:00:00Z",
        }
    }
}

/// An attribute that conditions may name.
struct Attribute {
    name: &'static str,
    kind: Kind,
    /// Cedar's variable, and the attribute there.
    at: (&'static str, &'static str),
    is_optional: bool,
}

const fn known(name: &'static str, kind: Kind, at: (&'static str, &'static str), is_optional: bool) -> Attribute {
    Attribute { name, kind, at, is_optional }
}

/// Those of the server itself; the types stand in [`super::schema`] too, which Cedar checks them against.
const ATTRIBUTES: &[Attribute] = &[
    known("subject.id", Kind::Number, ("principal", "id"), false),
    known("subject.email", Kind::Text, ("principal", "email"), true),
    known("subject.email_domain", Kind::Text, ("principal", "email_domain"), true),
    known("subject.roles", Kind::Texts, ("principal", "roles"), false),
    known("subject.groups", Kind::Texts, ("principal", "groups"), false),
    known("subject.mfa", Kind::Flag, ("principal", "mfa"), false),
    known("subject.passkey", Kind::Flag, ("principal", "passkey"), false),
    known("subject.sso", Kind::Flag, ("principal", "sso"), false),
    known("subject.token", Kind::Flag, ("principal", "token"), false),
    known("resource.type", Kind::Text, ("resource", "type"), false),
    known("resource.id", Kind::Number, ("resource", "id"), true),
    known("resource.workspace", Kind::Number, ("resource", "workspace"), true),
    known("resource.owner", Kind::Number, ("resource", "owner"), true),
    known("action.name", Kind::Action, ("action", ""), false),
    known("environment.ip", Kind::Address, ("context", "ip"), true),
    known("environment.network", Kind::Text, ("context", "network"), true),
    known("environment.time", Kind::Time, ("context", "time"), false),
    known("environment.hour", Kind::Number, ("context", "hour"), false),
    known("environment.weekday", Kind::Text, ("context", "weekday"), false),
    known("environment.device_trusted", Kind::Flag, ("context", "device_trusted"), false),
];

/// What the comparisons are called.
const OPERATORS: &[&str] =
    &["eq", "ne", "in", "not_in", "contains", "starts_with", "gt", "gte", "lt", "lte", "exists", "ip_in_range"];

/// Reads a condition; 422 with the path of what is wrong.
pub(super) fn read(condition: &Value) -> Result<Condition> {
    let mut reader = Reader::default();
    let expression = reader.condition(condition, "conditions", 1)?;
    Ok(Condition { expression, attributes: reader.attributes, looks_at_object: reader.looks_at_object })
}

fn wrong(field: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::invalid_field(field, reason)
}

#[derive(Default)]
struct Reader {
    leaves: usize,
    attributes: BTreeMap<String, Kind>,
    /// Those of which it is only asked so far whether they exist.
    only_looked_for: BTreeSet<String>,
    looks_at_object: bool,
}

impl Reader {
    fn condition(&mut self, condition: &Value, path: &str, depth: usize) -> Result<Value> {
        const FORMS: &str =
            "must be {\"all\": […]}, {\"any\": […]}, {\"not\": …} or {\"attribute\", \"operator\", \"value\"}";
        if depth > DEEPEST {
            return Err(wrong(path, format!("is nested more than {DEEPEST} levels deep")));
        }
        let fields = condition.as_object().ok_or_else(|| wrong(path, FORMS))?;
        if fields.contains_key("attribute") {
            return self.comparison(fields, path);
        }
        let mut entries = fields.iter();
        match (entries.next(), entries.next()) {
            (Some((name, inner)), None) if name == "not" => {
                let inner = self.condition(inner, &format!("{path}.not"), depth + 1)?;
                Ok(not(inner))
            }
            (Some((name, inner)), None) if name == "all" || name == "any" => {
                let path = format!("{path}.{name}");
                let inner = inner.as_array().filter(|inner| !inner.is_empty());
                let inner = inner.ok_or_else(|| wrong(&path, "must be a list of at least one condition"))?;
                let mut read = Vec::with_capacity(inner.len().min(MOST_LEAVES));
                for (place, condition) in inner.iter().enumerate() {
                    read.push(self.condition(condition, &format!("{path}[{place}]"), depth + 1)?);
                }
                Ok(joined(if name == "all" { "&&" } else { "||" }, read))
            }
            _ => Err(wrong(path, FORMS)),
        }
    }

    fn comparison(&mut self, fields: &Map<String, Value>, path: &str) -> Result<Value> {
        self.leaves += 1;
        if self.leaves > MOST_LEAVES {
            return Err(wrong(path, format!("is one comparison too many: at most {MOST_LEAVES} are allowed")));
        }
        if let Some(unknown) = fields.keys().find(|key| !["attribute", "operator", "value"].contains(&key.as_str())) {
            return Err(wrong(format!("{path}.{unknown}"), "is not part of a comparison"));
        }
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let at_operator = format!("{path}.operator");
        let operator = text("operator").filter(|operator| OPERATORS.contains(operator));
        let operator = operator.ok_or_else(|| wrong(&at_operator, format!("is one of {}", OPERATORS.join(", "))))?;
        let at_attribute = format!("{path}.attribute");
        let name = text("attribute").ok_or_else(|| wrong(&at_attribute, "is a text"))?;
        let value = fields.get("value").unwrap_or(&Value::Null);
        let at_value = format!("{path}.value");

        if let Some(own) = name.strip_prefix("subject.attributes.") {
            return self.of_member(own, operator, value, &at_attribute, &at_operator, &at_value);
        }
        let attribute = ATTRIBUTES.iter().find(|attribute| attribute.name == name).ok_or_else(|| {
            let names: Vec<&str> = ATTRIBUTES.iter().map(|attribute| attribute.name).collect();
            wrong(&at_attribute, format!("must be one of {}, or subject.attributes.…", names.join(", ")))
        })?;
        let (variable, field) = attribute.at;
        if matches!(name, "resource.id" | "resource.workspace" | "resource.owner") {
            self.looks_at_object = true;
        }
        let subject = match field {
            "" => json!({"Var": variable}),
            field => member(json!({"Var": variable}), field),
        };
        let present = match attribute.is_optional {
            true => Some(json!({"has": {"left": {"Var": variable}, "attr": field}})),
            false => None,
        };
        let comparison = Comparison { kind: attribute.kind, operator, value, at_operator, at_value };
        comparison.guarded(subject, present)
    }

    /// A comparison with an attribute that the organization gives its members.
    fn of_member(
        &mut self,
        name: &str,
        operator: &str,
        value: &Value,
        at_attribute: &str,
        at_operator: &str,
        at_value: &str,
    ) -> Result<Value> {
        if name.is_empty() || name.chars().count() > 100 || name.chars().any(char::is_control) {
            return Err(wrong(
                at_attribute,
                "must name an attribute of members, such as subject.attributes.department",
            ));
        }
        let first = value.as_array().map_or(Some(value), |values| values.first());
        let kind = match (operator, first) {
            ("exists", _) => self.attributes.get(name).copied().unwrap_or(Kind::Texts),
            (_, Some(Value::String(_))) => Kind::Texts,
            (_, Some(Value::Number(_))) => Kind::Number,
            (_, Some(Value::Bool(_))) => Kind::Flag,
            _ => return Err(wrong(at_value, "must be a text, a whole number, true, false, or a list of these")),
        };
        if operator != "exists" {
            let before = self.attributes.insert(name.to_owned(), kind);
            // That it exists says nothing of its kind.
            let is_compared = !self.only_looked_for.remove(name);
            if is_compared && before.is_some_and(|before| before != kind) {
                return Err(wrong(at_value, "compares the same attribute with a different kind of value than before"));
            }
        } else if !self.attributes.contains_key(name) {
            self.attributes.insert(name.to_owned(), kind);
            self.only_looked_for.insert(name.to_owned());
        }
        let attributes = member(json!({"Var": "principal"}), "attributes");
        let present = json!({"has": {"left": attributes.clone(), "attr": name}});
        let (at_operator, at_value) = (at_operator.to_owned(), at_value.to_owned());
        let comparison = Comparison { kind, operator, value, at_operator, at_value };
        comparison.guarded(member(attributes, name), Some(present))
    }
}

/// One comparison, as Cedar evaluates it.
struct Comparison<'a> {
    kind: Kind,
    operator: &'a str,
    value: &'a Value,
    at_operator: String,
    at_value: String,
}

impl Comparison<'_> {
    /// False where the attribute is missing; the opposites are the opposite of that.
    fn guarded(self, subject: Value, present: Option<Value>) -> Result<Value> {
        let opposite = match self.operator {
            "ne" => Some("eq"),
            "not_in" => Some("in"),
            "exists" => {
                let expected = match self.value {
                    Value::Null => true,
                    Value::Bool(expected) => *expected,
                    _ => return Err(wrong(self.at_value, "is true or false")),
                };
                let present = present.unwrap_or_else(|| json!({"Value": true}));
                return Ok(if expected { present } else { not(present) });
            }
            _ => None,
        };
        let positive = Comparison { operator: opposite.unwrap_or(self.operator), ..self };
        let compared = positive.positive(subject)?;
        let guarded = match present {
            Some(present) => joined("&&", vec![present, compared]),
            None => compared,
        };
        Ok(if opposite.is_some() { not(guarded) } else { guarded })
    }

    fn positive(&self, subject: Value) -> Result<Value> {
        match (self.kind, self.operator) {
            (Kind::Address, "eq" | "in" | "ip_in_range") => {
                let ranges = self.each(|value| {
                    let text = value.as_str()?;
                    let is_range = text.parse::<IpNet>().is_ok() || text.parse::<IpAddr>().is_ok();
                    is_range.then(|| json!({"ip": [{"Value": text}]}))
                })?;
                let inside = ranges.into_iter().map(|range| json!({"isInRange": [subject.clone(), range]}));
                Ok(joined("||", inside.collect()))
            }
            // Comparisons that raise where the value is of another kind: `==` would be false of it, and let pass.
            (Kind::Texts, "eq") => {
                let one = json!({"Set": [self.one()?]});
                let both = [binary("containsAll", subject.clone(), one.clone()), binary("containsAll", one, subject)];
                Ok(joined("&&", both.into()))
            }
            (Kind::Number, "eq" | "in") => {
                let is = |number: Value| {
                    let both = [binary("<=", subject.clone(), number.clone()), binary(">=", subject.clone(), number)];
                    joined("&&", both.into())
                };
                let numbers = match self.operator {
                    "eq" => vec![self.one()?],
                    _ => self.each(|value| self.literal(value))?,
                };
                Ok(joined("||", numbers.into_iter().map(is).collect()))
            }
            (Kind::Flag, "eq") => {
                self.one()?;
                Ok(if self.value == true { subject } else { not(subject) })
            }
            (Kind::Texts, "in") => Ok(binary("containsAny", subject, json!({"Set": self.each(text)?}))),
            (Kind::Texts, "contains") => Ok(binary("contains", subject, self.one()?)),
            (Kind::Text, "contains" | "starts_with") => {
                let part = self.value.as_str().ok_or_else(|| self.not_a(Kind::Text))?;
                let mut pattern = vec![json!({"Literal": part}), json!("Wildcard")];
                if self.operator == "contains" {
                    pattern.insert(0, json!("Wildcard"));
                }
                Ok(json!({"like": {"left": subject, "pattern": pattern}}))
            }
            (Kind::Text | Kind::Time | Kind::Action, "eq") => Ok(binary("==", subject, self.one()?)),
            (Kind::Action, "in") => {
                let any = self.each(|value| self.literal(value))?.into_iter();
                Ok(joined("||", any.map(|action| binary("==", subject.clone(), action)).collect()))
            }
            (Kind::Text, "in") => {
                let set = json!({"Set": self.each(|value| self.literal(value))?});
                Ok(binary("contains", set, subject))
            }
            (Kind::Number | Kind::Time, "gt" | "gte" | "lt" | "lte") => {
                let operator = match self.operator {
                    "gt" => ">",
                    "gte" => ">=",
                    "lt" => "<",
                    _ => "<=",
                };
                Ok(binary(operator, subject, self.one()?))
            }
            (kind, operator) => Err(wrong(&self.at_operator, format!("{operator} does not compare {}", kind.name()))),
        }
    }

    /// The one value.
    fn one(&self) -> Result<Value> {
        self.literal(self.value).ok_or_else(|| self.not_a(self.kind))
    }

    /// Each of a list of values; one alone counts as a list of one.
    fn each(&self, read: impl Fn(&Value) -> Option<Value>) -> Result<Vec<Value>> {
        let values = self.value.as_array().map_or(std::slice::from_ref(self.value), Vec::as_slice);
        if values.is_empty() || values.len() > MOST_VALUES {
            return Err(wrong(&self.at_value, format!("must be a list of 1 to {MOST_VALUES} values")));
        }
        values.iter().map(|value| read(value).ok_or_else(|| self.not_a(self.kind))).collect()
    }

    fn not_a(&self, kind: Kind) -> Error {
        let what = match kind {
            Kind::Texts => "a text, or a list of texts",
            Kind::Action => "a permission such as datasource.query",
            Kind::Address => "an address or a network such as 10.0.0.0/8, or a list of these",
            kind => kind.name(),
        };
        wrong(&self.at_value, format!("is {what}"))
    }

    /// The value as Cedar has it; `None` where it is of another kind.
    fn literal(&self, value: &Value) -> Option<Value> {
        match self.kind {
            Kind::Text | Kind::Texts => text(value),
            Kind::Number => value.as_i64().map(|number| json!({"Value": number})),
            Kind::Flag => value.as_bool().map(|flag| json!({"Value": flag})),
            Kind::Time => {
                let time: DateTime<Utc> = value.as_str()?.parse().ok()?;
                Some(json!({"datetime": [{"Value": super::facts::cedar_time(time)}]}))
            }
            Kind::Action => {
                let permission: Permission = value.as_str()?.parse().ok()?;
                Some(json!({"Value": {"__entity": super::schema::action_json(permission)}}))
            }
            Kind::Address => None,
        }
    }
}

fn text(value: &Value) -> Option<Value> {
    let text = value.as_str().filter(|text| text.len() <= LONGEST_TEXT)?;
    Some(json!({"Value": text}))
}

fn member(of: Value, name: &str) -> Value {
    json!({".": {"left": of, "attr": name}})
}

fn binary(operator: &str, left: Value, right: Value) -> Value {
    json!({operator: {"left": left, "right": right}})
}

fn not(inner: Value) -> Value {
    json!({"!": {"arg": inner}})
}

/// All of one kind of connective, as a tree of little depth: a hundred in a row would lie a hundred deep.
fn joined(operator: &str, mut parts: Vec<Value>) -> Value {
    if parts.len() <= 1 {
        return parts.pop().unwrap_or_else(|| json!({"Value": true}));
    }
    let right = parts.split_off(parts.len() / 2);
    binary(operator, joined(operator, parts), joined(operator, right))
}

/// Whether an expression that somebody wrote in Cedar looks at the single object: at anything of `resource` but its type.
pub(super) fn looks_at_object(policy: &Value) -> bool {
    fn looks(value: &Value) -> bool {
        match value {
            Value::Object(fields) => {
                let is_resource = |inner: &Value| inner == &json!({"Var": "resource"});
                let of_type = |access: &Value| is_resource(&access["left"]) && access["attr"] == "type";
                match fields.get(".").or_else(|| fields.get("has")) {
                    Some(access) if of_type(access) => false,
                    _ => fields.get("Var").is_some_and(|name| name == "resource") || fields.values().any(looks),
                }
            }
            Value::Array(values) => values.iter().any(looks),
            _ => false,
        }
    }
    let scope = &policy["resource"];
    let is_scoped = scope["op"].as_str().is_some_and(|operator| !matches!(operator, "All" | "is"));
    is_scoped || !scope["in"].is_null() || looks(&policy["conditions"])
}

/// A fault of a policy's text, in one field.
pub(super) fn fault(field: &str, reasons: impl IntoIterator<Item = String>) -> Error {
    let details = reasons.into_iter().take(10).map(|reason| FieldError::new(field, reason)).collect();
    Error::new(rivergen_kernel::ErrorCode::ValidationError).with_details(details)
}
