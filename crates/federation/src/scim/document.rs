//! Resources as they are kept: attributes by their canonical names, each with values of its type, and nothing that only the
//! server writes.

use serde_json::{Map, Value};

use super::{
    error::{Kind as ErrorKind, Result, ScimError},
    schema::{Attribute, Kind, Mutability, Place, ResourceType, Returned, Schema},
};

/// A resource.
pub type Document = Map<String, Value>;

/// The longest text; a certificate is one.
const LONGEST_TEXT: usize = 16 * 1024;
/// Values of one attribute.
const MOST_VALUES: usize = 100;
/// All attributes together, as JSON.
pub const LARGEST: usize = 64 * 1024;

/// What an object has under this name, whatever its case (RFC 7643, section 2.1).
pub fn field<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// What a client sent, as it is kept. Attributes that nobody knows are passed over, as is what only the server writes.
pub fn read(resource: &ResourceType, body: &Map<String, Value>) -> Result<Document> {
    let mut document = Document::new();
    for (name, value) in body {
        merge(resource, &mut document, name, value)?;
    }
    Ok(document)
}

/// Writes one attribute of a body: by its name, by a path to a part of it (`name.givenName`), or an extension by its URN.
fn merge(resource: &ResourceType, document: &mut Document, name: &str, value: &Value) -> Result<()> {
    if let Some(extension) = resource.extension(name) {
        let Some(parts) = value.as_object() else { return Err(wrong_type(extension.id, "an object")) };
        for (name, value) in parts {
            let Some(attribute) = extension.attribute(name) else { continue };
            set(document, Place { extension: Some(extension), attribute, part: None }, value)?;
        }
        return Ok(());
    }
    match resource.resolve_text(name) {
        Some(place) => set(document, place, value),
        None => Ok(()),
    }
}

fn wrong_type(name: &str, wanted: &str) -> ScimError {
    ScimError::value(format!("{name} must be {wanted}."))
}

/// Puts a value in a place of one value; `null` and an empty list take it away.
pub fn set(document: &mut Document, place: Place, value: &Value) -> Result<()> {
    if place.leaf().mutability == Mutability::ReadOnly || place.attribute.mutability == Mutability::ReadOnly {
        return Ok(());
    }
    let value = match place.part {
        Some(part) => one(part, value)?,
        None => of(place.attribute, value)?,
    };
    let object = object_of(document, place.extension);
    match (place.part, value) {
        (None, Some(value)) => {
            object.insert(place.attribute.name.to_owned(), value);
        }
        (None, None) => {
            object.remove(place.attribute.name);
        }
        (Some(part), value) => {
            let whole = object.entry(place.attribute.name).or_insert_with(|| Value::Object(Map::new()));
            if let Some(whole) = whole.as_object_mut() {
                match value {
                    Some(value) => whole.insert(part.name.to_owned(), value),
                    None => whole.remove(part.name),
                };
            }
        }
    }
    tidy(document, place);
    Ok(())
}

/// The object in which attributes of the core or of an extension stand.
pub fn object_of<'a>(document: &'a mut Document, extension: Option<&Schema>) -> &'a mut Map<String, Value> {
    match extension {
        None => document,
        Some(extension) => {
            let object = document.entry(extension.id).or_insert_with(|| Value::Object(Map::new()));
            if !object.is_object() {
                *object = Value::Object(Map::new());
            }
            match object {
                Value::Object(object) => object,
                // It was made one above.
                _ => unreachable!("an extension is an object"),
            }
        }
    }
}

/// Takes away what became empty.
pub fn tidy(document: &mut Document, place: Place) {
    let is_empty = |value: Option<&Value>| match value {
        Some(Value::Object(object)) => object.is_empty(),
        Some(Value::Array(values)) => values.is_empty(),
        _ => false,
    };
    let object = object_of(document, place.extension);
    if is_empty(object.get(place.attribute.name)) {
        object.remove(place.attribute.name);
    }
    if let Some(extension) = place.extension
        && is_empty(document.get(extension.id))
    {
        document.remove(extension.id);
    }
}

/// The value of an attribute, with as many as it may have; `None` where that is nothing.
pub fn of(attribute: &Attribute, value: &Value) -> Result<Option<Value>> {
    if !attribute.is_multi_valued {
        return one(attribute, value);
    }
    let values = many(attribute, value)?;
    let primary = values.iter().filter(|value| is_primary(value)).count();
    if primary > 1 {
        return Err(ScimError::value(format!("At most one of {} is the primary one.", attribute.name)));
    }
    Ok((!values.is_empty()).then_some(Value::Array(values)))
}

/// The values of an attribute that may have many; one that comes alone is a list of one.
pub fn many(attribute: &Attribute, value: &Value) -> Result<Vec<Value>> {
    let given = match value {
        Value::Null => return Ok(Vec::new()),
        Value::Array(values) => values.as_slice(),
        alone => std::slice::from_ref(alone),
    };
    if given.len() > MOST_VALUES {
        return Err(ScimError::value(format!("There are at most {MOST_VALUES} of {}.", attribute.name)));
    }
    let mut values = Vec::with_capacity(given.len());
    for value in given {
        values.extend(single(attribute, value)?);
    }
    Ok(values)
}

/// One value; some clients send a list of one.
fn one(attribute: &Attribute, value: &Value) -> Result<Option<Value>> {
    match value.as_array().map(Vec::as_slice) {
        None => single(attribute, value),
        Some([]) => Ok(None),
        Some([value]) => single(attribute, value),
        Some(_) => Err(wrong_type(attribute.name, "one value")),
    }
}

fn single(attribute: &Attribute, value: &Value) -> Result<Option<Value>> {
    let name = attribute.name;
    Ok(Some(match (attribute.kind, value) {
        (_, Value::Null) => return Ok(None),
        (Kind::Complex, Value::Object(given)) => {
            let mut object = Map::new();
            for (name, value) in given {
                let Some(part) = attribute.part(name).filter(|part| part.mutability != Mutability::ReadOnly) else {
                    continue;
                };
                if let Some(value) = one(part, value)? {
                    object.insert(part.name.to_owned(), value);
                }
            }
            match object.is_empty() {
                true => return Ok(None),
                false => Value::Object(object),
            }
        }
        // A manager by the id alone, as Entra ID sends it.
        (Kind::Complex, Value::String(_)) if attribute.part("value").is_some() => {
            return single(attribute, &serde_json::json!({"value": value}));
        }
        (Kind::Complex, _) => return Err(wrong_type(name, "an object")),
        (Kind::Boolean, Value::Bool(_)) => value.clone(),
        // Entra ID sends "True".
        (Kind::Boolean, Value::String(text)) => match text.to_ascii_lowercase().as_str() {
            "true" => true.into(),
            "false" => false.into(),
            _ => return Err(wrong_type(name, "true or false")),
        },
        (Kind::Boolean, _) => return Err(wrong_type(name, "true or false")),
        (_, Value::String(text)) if text.len() > LONGEST_TEXT => return Err(wrong_type(name, "a shorter text")),
        (_, Value::String(text)) if text.contains('\0') => return Err(wrong_type(name, "a text without a zero byte")),
        (_, Value::String(_)) => value.clone(),
        (_, Value::Number(number)) => number.to_string().into(),
        _ => return Err(wrong_type(name, "a text")),
    }))
}

pub fn is_primary(value: &Value) -> bool {
    value["primary"] == true
}

/// Of the values that were just written, a primary one takes the place of the one that was it before.
pub fn settle_primary(values: &mut [Value], written: &[usize]) {
    let Some(chosen) = written.iter().copied().rfind(|at| values.get(*at).is_some_and(is_primary)) else { return };
    for (at, value) in values.iter_mut().enumerate() {
        if at != chosen && is_primary(value) {
            value["primary"] = false.into();
        }
    }
}

/// A text as filters and orders compare it.
pub fn fold(attribute: &Attribute, text: &str) -> String {
    if attribute.case_exact { text.to_owned() } else { text.to_lowercase() }
}

/// The document as the database compares it: every value a text, in lower case where case does not matter, and the primary
/// value of many first.
pub fn folded(resource: &ResourceType, document: &Document) -> Value {
    let mut all = Map::new();
    for (name, value) in document {
        let found = match resource.extension(name) {
            Some(extension) => folded_object(&extension.attributes, value),
            None => {
                resource.resolve(None, name, None).map_or(Value::Null, |place| folded_value(place.attribute, value))
            }
        };
        all.insert(name.clone(), found);
    }
    Value::Object(all)
}

fn folded_object(attributes: &[Attribute], value: &Value) -> Value {
    let parts = value.as_object().into_iter().flatten();
    let known = parts.filter_map(|(name, value)| {
        let attribute = attributes.iter().find(|attribute| attribute.name == name)?;
        Some((name.clone(), folded_value(attribute, value)))
    });
    Value::Object(known.collect())
}

fn folded_value(attribute: &Attribute, value: &Value) -> Value {
    match value {
        Value::Array(values) => {
            let (first, rest): (Vec<&Value>, Vec<&Value>) = values.iter().partition(|value| is_primary(value));
            first.into_iter().chain(rest).map(|value| folded_value(attribute, value)).collect()
        }
        Value::Object(_) => folded_object(&attribute.parts, value),
        Value::String(text) => fold(attribute, text).into(),
        other => other.to_string().into(),
    }
}

/// What an answer holds of a resource: `attributes`, or `excludedAttributes` (RFC 7644, section 3.9).
#[derive(Debug, Default)]
pub struct Projection {
    only: Vec<Wanted>,
    without: Vec<Wanted>,
    names_some: bool,
}

#[derive(Debug)]
enum Wanted {
    Extension(&'static str),
    Place(Place),
}

impl Projection {
    /// Names that nobody knows are passed over.
    pub fn new(resource: &ResourceType, only: Option<&str>, without: Option<&str>) -> Result<Self> {
        let names = |text: Option<&str>| -> Vec<String> {
            let text = text.unwrap_or_default();
            text.split(',').map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
        };
        let (only, without) = (names(only), names(without));
        if !only.is_empty() && !without.is_empty() {
            return Err(ScimError::value("Send attributes or excludedAttributes, not both."));
        }
        let wanted = |names: &[String]| {
            let found = names.iter().filter_map(|name| match resource.extension(name) {
                Some(extension) => Some(Wanted::Extension(extension.id)),
                None => resource.resolve_text(name).map(Wanted::Place),
            });
            found.collect()
        };
        Ok(Self { names_some: !only.is_empty(), only: wanted(&only), without: wanted(&without) })
    }

    /// Whether anything of the attribute is answered.
    pub fn shows(&self, name: &str) -> bool {
        match self.names_some {
            true => places(&self.only, name).next().is_some(),
            false => places(&self.without, name).all(|place| place.part.is_some()),
        }
    }

    /// Whether this part of it is, where anything of the attribute is.
    pub fn shows_part(&self, name: &str, part: &str) -> bool {
        let is_named =
            |wanted: &[Wanted]| places(wanted, name).any(|place| place.part.is_none_or(|named| named.name == part));
        match self.names_some {
            true => is_named(&self.only),
            false => !is_named(&self.without),
        }
    }

    /// What is left of the resource.
    pub fn of(&self, resource: &ResourceType, mut document: Document) -> Document {
        if self.names_some {
            let mut kept = Document::new();
            for (name, value) in &document {
                let always =
                    resource.resolve(None, name, None).is_some_and(|it| it.attribute.returned == Returned::Always);
                if always {
                    kept.insert(name.clone(), value.clone());
                }
            }
            for wanted in &self.only {
                keep(&document, &mut kept, wanted);
            }
            return kept;
        }
        for wanted in &self.without {
            drop_from(&mut document, wanted);
        }
        document
    }
}

/// What is named of the attribute.
fn places<'a>(wanted: &'a [Wanted], name: &'a str) -> impl Iterator<Item = &'a Place> {
    wanted.iter().filter_map(move |wanted| match wanted {
        Wanted::Place(place) if place.attribute.name == name => Some(place),
        _ => None,
    })
}

fn keep(from: &Map<String, Value>, into: &mut Map<String, Value>, wanted: &Wanted) {
    match wanted {
        Wanted::Extension(urn) => {
            if let Some(value) = from.get(*urn) {
                into.insert((*urn).to_owned(), value.clone());
            }
        }
        Wanted::Place(place) => {
            let (source, target) = match place.extension {
                None => (Some(from), into),
                Some(extension) => {
                    let source = from.get(extension.id).and_then(Value::as_object);
                    if source.is_none() {
                        return;
                    }
                    (source, object_of(into, Some(extension)))
                }
            };
            let Some(value) = source.and_then(|source| source.get(place.attribute.name)) else { return };
            match place.part {
                None => {
                    target.insert(place.attribute.name.to_owned(), value.clone());
                }
                Some(part) => {
                    let before = target.remove(place.attribute.name);
                    let merged = with_part(value, before, part.name);
                    target.insert(place.attribute.name.to_owned(), merged);
                }
            }
        }
    }
}

/// The one part of a complex value, or of each of many, beside the parts that were kept before.
fn with_part(value: &Value, before: Option<Value>, part: &str) -> Value {
    match value {
        Value::Array(values) => {
            let mut before = match before {
                Some(Value::Array(before)) => before.into_iter(),
                _ => Vec::new().into_iter(),
            };
            values.iter().map(|value| with_part(value, before.next(), part)).collect()
        }
        _ => {
            let mut kept = match before {
                Some(Value::Object(before)) => before,
                _ => Map::new(),
            };
            if let Some(found) = value.get(part) {
                kept.insert(part.to_owned(), found.clone());
            }
            Value::Object(kept)
        }
    }
}

fn drop_from(object: &mut Map<String, Value>, wanted: &Wanted) {
    match wanted {
        Wanted::Extension(urn) => {
            object.remove(*urn);
        }
        Wanted::Place(place) if place.leaf().returned == Returned::Always => {}
        Wanted::Place(place) => {
            let object = match place.extension {
                None => Some(object),
                Some(extension) => object.get_mut(extension.id).and_then(Value::as_object_mut),
            };
            let Some(object) = object else { return };
            match place.part {
                None => {
                    object.remove(place.attribute.name);
                }
                Some(part) => match object.get_mut(place.attribute.name) {
                    Some(Value::Array(values)) => {
                        for value in values.iter_mut().filter_map(Value::as_object_mut) {
                            value.remove(part.name);
                        }
                    }
                    Some(Value::Object(value)) => {
                        value.remove(part.name);
                    }
                    _ => {}
                },
            }
        }
    }
}

/// Refuses what is too large to be kept.
pub fn bounded(document: &Document) -> Result<()> {
    let length = serde_json::to_string(document).map(|text| text.len()).unwrap_or(usize::MAX);
    match length <= LARGEST {
        true => Ok(()),
        false => Err(ScimError::new(ErrorKind::TooMany, format!("A resource has at most {LARGEST} bytes."))),
    }
}
