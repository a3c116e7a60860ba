//! PATCH (RFC 7644, section 3.5.2), with what Entra ID and Okta make of it: operations in capitals, booleans as texts, a
//! removal that names values, keys with dots and URNs where there is no path, and parts of values that are not there yet.

use scim_v2::filter::PatchPath;
use serde_json::{Map, Value};

use super::{
    document::{self, Document, field, object_of, settle_primary, tidy},
    error::{Kind as ErrorKind, Result, ScimError},
    filter,
    schema::{Kind, Mutability, Place, ResourceType, Schema},
};

const URN: &str = "urn:ietf:params:scim:api:messages:2.0:PatchOp";
/// Operations of one request.
const MOST: usize = 1000;

/// What is done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Op {
    Add,
    Replace,
    Remove,
}

/// One operation. Its value may be ten thousand members, which stay where they are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Operation<'a> {
    pub op: Op,
    pub path: Option<&'a str>,
    pub value: Option<&'a Value>,
}

/// What a path means.
#[derive(Debug)]
pub enum Target {
    /// A whole extension.
    Extension(&'static Schema),
    Place(Place),
    /// Those values of an attribute that pass a filter, or a part of them.
    Values(Place, scim_v2::filter::ValFilter),
}

/// The operations of a body.
pub fn read(body: &Map<String, Value>) -> Result<Vec<Operation<'_>>> {
    let schemas = field(body, "schemas").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    if !schemas.iter().any(|urn| urn.as_str().is_some_and(|urn| urn.eq_ignore_ascii_case(URN))) {
        return Err(ScimError::new(ErrorKind::InvalidSyntax, format!("schemas must name {URN}.")));
    }
    let operations = field(body, "Operations").and_then(Value::as_array).filter(|all| !all.is_empty());
    let operations =
        operations.ok_or_else(|| ScimError::new(ErrorKind::InvalidSyntax, "Operations must be a list of some."))?;
    if operations.len() > MOST {
        return Err(ScimError::new(ErrorKind::TooMany, format!("A PATCH has at most {MOST} operations.")));
    }
    operations.iter().map(operation).collect()
}

fn operation(given: &Value) -> Result<Operation<'_>> {
    let syntax = |detail: &'static str| ScimError::new(ErrorKind::InvalidSyntax, detail);
    let Some(given) = given.as_object() else { return Err(syntax("An operation is an object.")) };
    let op = field(given, "op").and_then(Value::as_str).map(str::to_ascii_lowercase);
    let op = match op.as_deref() {
        Some("add") => Op::Add,
        Some("replace") => Op::Replace,
        Some("remove") => Op::Remove,
        _ => return Err(syntax("An operation's op is add, replace or remove.")),
    };
    let path = match field(given, "path") {
        None | Some(Value::Null) => None,
        Some(Value::String(path)) => Some(path.trim()).filter(|path| !path.is_empty()),
        Some(_) => return Err(syntax("An operation's path is a text.")),
    };
    let value = field(given, "value");
    match (op, path, value) {
        (Op::Remove, None, _) => Err(ScimError::new(ErrorKind::NoTarget, "A removal names what it removes by a path.")),
        (Op::Add | Op::Replace, _, None) => Err(ScimError::value("An operation that writes has a value.")),
        _ => Ok(Operation { op, path, value }),
    }
}

/// What a path of this resource means; `invalidPath` where that is nothing.
pub fn target(resource: &ResourceType, path: &str) -> Result<Target> {
    if let Some(extension) = resource.extension(path) {
        return Ok(Target::Extension(extension));
    }
    let unknown = || ScimError::new(ErrorKind::InvalidPath, "The path names no attribute of the resource.");
    let resolve = |path: &scim_v2::filter::AttrPath| {
        resource.resolve(path.uri.as_deref(), &path.name, path.sub_attr.as_deref()).ok_or_else(unknown)
    };
    // `$ref` and its like are no names in the grammar, but parts all the same.
    if !path.contains('[') {
        return resource.resolve_text(path).map(Target::Place).ok_or_else(unknown);
    }
    match filter::parse_path(path)? {
        PatchPath::Attr(path) => Ok(Target::Place(resolve(&path)?)),
        PatchPath::Value(path) => {
            let place = resolve(&path.attr)?;
            if place.part.is_some() || place.attribute.kind != Kind::Complex || !place.attribute.is_multi_valued {
                return Err(ScimError::new(ErrorKind::InvalidPath, "Only an attribute with many values has a filter."));
            }
            let part = match &path.sub_attr {
                Some(name) => Some(place.attribute.part(name).ok_or_else(unknown)?),
                None => None,
            };
            Ok(Target::Values(Place { part, ..place }, path.filter))
        }
    }
}

/// `mutability` where only the server writes there.
pub fn writable(place: Place) -> Result<()> {
    let is_read_only = [place.attribute, place.leaf()].iter().any(|it| it.mutability == Mutability::ReadOnly);
    match is_read_only {
        true => Err(ScimError::new(ErrorKind::Mutability, format!("{} is the server's own.", place.leaf().name))),
        false => Ok(()),
    }
}

/// Applies an operation to a resource.
pub fn apply(resource: &ResourceType, document: &mut Document, operation: &Operation<'_>) -> Result<()> {
    let value = operation.value.unwrap_or(&Value::Null);
    let Some(path) = operation.path else {
        let Some(all) = value.as_object() else {
            return Err(ScimError::value("Without a path, the value is an object of attributes."));
        };
        for (name, value) in all {
            apply_named(resource, document, operation.op, name, value)?;
        }
        return Ok(());
    };
    match target(resource, path)? {
        Target::Extension(extension) if operation.op == Op::Remove => {
            document.remove(extension.id);
            Ok(())
        }
        Target::Extension(extension) => apply_extension(document, operation.op, extension, value),
        Target::Place(place) => {
            writable(place)?;
            apply_place(document, operation.op, place, operation.value)
        }
        Target::Values(place, filter) => {
            writable(place)?;
            apply_values(document, operation.op, place, &filter, value)
        }
    }
}

/// One attribute of a value without a path: by its name, a path to a part, or an extension. Unknown ones are passed over, as
/// in a whole resource, and so is what only the server writes.
fn apply_named(resource: &ResourceType, document: &mut Document, op: Op, name: &str, value: &Value) -> Result<()> {
    match target(resource, name) {
        Ok(Target::Extension(extension)) => apply_extension(document, op, extension, value),
        Ok(Target::Place(place)) if writable(place).is_err() => Ok(()),
        Ok(Target::Place(place)) => apply_place(document, op, place, Some(value)),
        Ok(Target::Values(place, filter)) => apply_values(document, op, place, &filter, value),
        Err(_) => Ok(()),
    }
}

fn apply_extension(document: &mut Document, op: Op, extension: &'static Schema, value: &Value) -> Result<()> {
    let Some(parts) = value.as_object() else {
        return Err(ScimError::value(format!("{} must be an object.", extension.id)));
    };
    for (name, value) in parts {
        let Some(attribute) = extension.attribute(name) else { continue };
        apply_place(document, op, Place { extension: Some(extension), attribute, part: None }, Some(value))?;
    }
    Ok(())
}

fn apply_place(document: &mut Document, op: Op, place: Place, value: Option<&Value>) -> Result<()> {
    let (attribute, value) = (place.attribute, value.filter(|value| !value.is_null()));
    if attribute.is_multi_valued {
        return match place.part {
            None => apply_many(document, op, place, value),
            Some(_) => apply_part_of_all(document, op, place, value),
        };
    }
    match (op, value) {
        (Op::Remove, _) | (_, None) => document::set(document, place, &Value::Null),
        // Parts that are not named stay.
        (_, Some(Value::Object(parts))) if attribute.kind == Kind::Complex && place.part.is_none() => {
            for (name, value) in parts {
                let Some(part) = attribute.part(name) else { continue };
                document::set(document, Place { part: Some(part), ..place }, value)?;
            }
            Ok(())
        }
        (_, Some(value)) => document::set(document, place, value),
    }
}

/// All values of an attribute, or those that are named.
fn apply_many(document: &mut Document, op: Op, place: Place, value: Option<&Value>) -> Result<()> {
    let name = place.attribute.name;
    let given = match value {
        Some(value) => document::many(place.attribute, value)?,
        None => Vec::new(),
    };
    let object = object_of(document, place.extension);
    match op {
        Op::Replace => {
            let whole = document::of(place.attribute, &Value::Array(given))?;
            match whole {
                Some(values) => object.insert(name.to_owned(), values),
                None => object.remove(name),
            };
        }
        Op::Add => {
            let mut values = taken(document, place);
            let mut written = Vec::new();
            for value in given {
                if !values.contains(&value) {
                    written.push(values.len());
                    values.push(value);
                }
            }
            settle_primary(&mut values, &written);
            return put_back(document, place, values);
        }
        Op::Remove if value.is_none() => {
            object.remove(name);
        }
        Op::Remove => {
            if let Some(values) = object.get_mut(name).and_then(Value::as_array_mut) {
                values.retain(|value| !given.iter().any(|gone| is_meant(gone, value)));
            }
        }
    }
    tidy(document, place);
    Ok(())
}

/// Whether a value has all parts of another.
fn is_meant(named: &Value, value: &Value) -> bool {
    match (named, value) {
        (Value::Object(named), Value::Object(value)) => {
            named.iter().all(|(part, wanted)| value.get(part) == Some(wanted))
        }
        (named, value) => named == value,
    }
}

/// `emails.value` without a filter: of every value, or of a first one.
fn apply_part_of_all(document: &mut Document, op: Op, place: Place, value: Option<&Value>) -> Result<()> {
    let mut values = taken(document, place);
    if values.is_empty() && op != Op::Remove && value.is_some() {
        values.push(Value::Object(Map::new()));
    }
    let all: Vec<usize> = (0..values.len()).collect();
    write_parts(&mut values, &all, op, place, value.unwrap_or(&Value::Null))?;
    put_back(document, place, values)
}

/// The values that pass a filter, or a part of them.
fn apply_values(
    document: &mut Document,
    op: Op,
    place: Place,
    filter: &scim_v2::filter::ValFilter,
    value: &Value,
) -> Result<()> {
    let attribute = place.attribute;
    let mut values = taken(document, place);
    let mut meant = Vec::new();
    for (at, value) in values.iter().enumerate() {
        if filter::passes(attribute, filter, value)? {
            meant.push(at);
        }
    }
    if meant.is_empty() {
        // Put back what was taken, whatever comes.
        let made = match op {
            Op::Remove => None,
            Op::Add | Op::Replace => filter::equalities(filter),
        };
        let Some(parts) = made else {
            put_back(document, place, values)?;
            return Err(ScimError::new(
                ErrorKind::NoTarget,
                format!("No value of {} passes the filter.", attribute.name),
            ));
        };
        let parts: Map<String, Value> = parts.into_iter().collect();
        values.extend(document::many(attribute, &Value::Object(parts))?);
        meant.push(values.len().saturating_sub(1));
    }
    match (op, place.part) {
        (Op::Remove, None) => {
            let mut at = 0;
            values.retain(|_| {
                let is_gone = meant.contains(&at);
                at += 1;
                !is_gone
            });
        }
        (_, Some(_)) => write_parts(&mut values, &meant, op, place, value)?,
        (_, None) => {
            for at in &meant {
                let given = document::many(attribute, value)?.into_iter().next();
                let Some(Value::Object(given)) = given else {
                    return Err(ScimError::value(format!("A value of {} is an object.", attribute.name)));
                };
                match values[*at].as_object_mut() {
                    Some(known) if op == Op::Add => known.extend(given),
                    Some(known) => *known = given,
                    None => {}
                }
            }
        }
    }
    settle_primary(&mut values, &meant);
    put_back(document, place, values)
}

fn write_parts(values: &mut [Value], which: &[usize], op: Op, place: Place, value: &Value) -> Result<()> {
    let Some(part) = place.part else { return Ok(()) };
    let written = match op {
        Op::Remove => None,
        Op::Add | Op::Replace => document::of(part, value)?,
    };
    for at in which {
        let Some(object) = values.get_mut(*at).and_then(Value::as_object_mut) else { continue };
        match &written {
            Some(value) => object.insert(part.name.to_owned(), value.clone()),
            None => object.remove(part.name),
        };
    }
    settle_primary(values, which);
    Ok(())
}

fn taken(document: &mut Document, place: Place) -> Vec<Value> {
    match object_of(document, place.extension).remove(place.attribute.name) {
        Some(Value::Array(values)) => values,
        _ => Vec::new(),
    }
}

fn put_back(document: &mut Document, place: Place, values: Vec<Value>) -> Result<()> {
    let values: Vec<Value> =
        values.into_iter().filter(|value| value.as_object().is_none_or(|it| !it.is_empty())).collect();
    let object = object_of(document, place.extension);
    if let Some(values) = document::of(place.attribute, &Value::Array(values))? {
        object.insert(place.attribute.name.to_owned(), values);
    }
    tidy(document, place);
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::scim::schema::USERS;

    fn patched(before: Value, operations: Value) -> Result<Value> {
        let mut document = document::read(&USERS, before.as_object().unwrap())?;
        let body = json!({"schemas": [URN], "Operations": operations});
        for operation in read(body.as_object().unwrap())? {
            apply(&USERS, &mut document, &operation)?;
        }
        Ok(Value::Object(document))
    }

    const ENTERPRISE: &str = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User";

    #[test]
    fn operations_do_what_they_say() {
        let work = json!({"value": "a@acme.example", "type": "work"});
        for (before, operations, after) in [
            (json!({}), json!([{"op": "Add", "path": "displayName", "value": "Ada"}]), json!({"displayName": "Ada"})),
            (json!({"title": "x"}), json!([{"op": "remove", "path": "TITLE"}]), json!({})),
            (json!({}), json!([{"OP": "add", "Path": "title", "VALUE": "x"}]), json!({"title": "x"})),
            (json!({}), json!([{"op": "Replace", "path": "active", "value": "False"}]), json!({"active": false})),
            // Parts that are not named stay.
            (
                json!({"name": {"givenName": "Ada", "familyName": "X"}}),
                json!([{"op": "replace", "value": {"name": {"familyName": "Lovelace"}}}]),
                json!({"name": {"givenName": "Ada", "familyName": "Lovelace"}}),
            ),
            // Keys with dots and URNs, as Entra ID sends them.
            (
                json!({}),
                json!([{"op": "Add", "value": {"name.givenName": "Ada", format!("{ENTERPRISE}:department"): "R",
                    "nothing.known": 1, "meta.created": "x"}}]),
                json!({"name": {"givenName": "Ada"}, ENTERPRISE: {"department": "R"}}),
            ),
            // A value that is made by its filter.
            (
                json!({}),
                json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "a@acme.example"}]),
                json!({"emails": [work]}),
            ),
            (
                json!({"emails": [work]}),
                json!([{"op": "Replace", "path": "emails[type eq \"work\"].value", "value": "b@acme.example"}]),
                json!({"emails": [{"value": "b@acme.example", "type": "work"}]}),
            ),
            (
                json!({"emails": [work, {"value": "h", "type": "home"}]}),
                json!([{"op": "remove", "path": "emails[type eq \"home\"]"}]),
                json!({"emails": [work]}),
            ),
            // A removal that names values.
            (
                json!({"emails": [work, {"value": "h"}]}),
                json!([{"op": "Remove", "path": "emails", "value": [{"value": "h"}]}]),
                json!({"emails": [work]}),
            ),
            // A second primary value takes the first one's place.
            (
                json!({"emails": [{"value": "a", "primary": true}]}),
                json!([{"op": "add", "path": "emails", "value": {"value": "b", "primary": "True"}}]),
                json!({"emails": [{"value": "a", "primary": false}, {"value": "b", "primary": true}]}),
            ),
            (
                json!({ENTERPRISE: {"department": "R"}}),
                json!([{"op": "replace", "path": format!("{ENTERPRISE}:manager"), "value": "7"},
                    {"op": "remove", "path": format!("{ENTERPRISE}:department")}]),
                json!({ENTERPRISE: {"manager": {"value": "7"}}}),
            ),
            (json!({ENTERPRISE: {"department": "R"}}), json!([{"op": "remove", "path": ENTERPRISE}]), json!({})),
        ] {
            assert_eq!(patched(before, operations.clone()).unwrap(), after, "{operations}");
        }
    }

    #[test]
    fn values_are_added_as_long_as_there_is_room() {
        let numbers = |range: std::ops::Range<usize>| -> Value {
            range.map(|number| json!({"value": format!("+1 {number}")})).collect()
        };
        let add = |value: Value| json!([{"op": "add", "path": "phoneNumbers", "value": value}]);
        let full = json!({"phoneNumbers": numbers(0..100)});
        assert_eq!(patched(full.clone(), add(numbers(99..100))).unwrap(), full);
        assert_eq!(patched(full, add(numbers(100..101))).unwrap_err().kind, Some(ErrorKind::InvalidValue));
    }

    #[test]
    fn a_fault_is_named() {
        for (operation, kind) in [
            (json!({"op": "remove"}), ErrorKind::NoTarget),
            (json!({"op": "move", "path": "title"}), ErrorKind::InvalidSyntax),
            (json!("remove"), ErrorKind::InvalidSyntax),
            (json!({"op": "add", "path": "title"}), ErrorKind::InvalidValue),
            (json!({"op": "add", "path": "nothing", "value": "x"}), ErrorKind::InvalidPath),
            (json!({"op": "add", "path": "name.nothing", "value": "x"}), ErrorKind::InvalidPath),
            (json!({"op": "add", "path": "title[type eq \"x\"]", "value": "x"}), ErrorKind::InvalidPath),
            (json!({"op": "add", "path": "emails[type", "value": "x"}), ErrorKind::InvalidPath),
            (json!({"op": "replace", "path": "id", "value": "9"}), ErrorKind::Mutability),
            (json!({"op": "replace", "path": "groups", "value": []}), ErrorKind::Mutability),
            (json!({"op": "replace", "path": "active", "value": "perhaps"}), ErrorKind::InvalidValue),
            (json!({"op": "remove", "path": "emails[type eq \"home\"]"}), ErrorKind::NoTarget),
            (json!({"op": "replace", "path": "emails[type ne \"home\"].value", "value": "x"}), ErrorKind::NoTarget),
        ] {
            assert_eq!(patched(json!({}), json!([operation])).unwrap_err().kind, Some(kind), "{operation}");
        }
        assert_eq!(
            read(json!({"Operations": []}).as_object().unwrap()).unwrap_err().kind,
            Some(ErrorKind::InvalidSyntax)
        );
    }
}
