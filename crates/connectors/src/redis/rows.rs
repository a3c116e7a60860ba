//! Keys and their values as documents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use futures::{StreamExt, TryStreamExt, stream};
use redis::{Pipeline, Value as Answer};
use sha2::{Digest, Sha256};

use super::keyspace::{KeyTable, Kind, escape};
use super::server::Server;
use super::{KEY, Keys};
use crate::ConnectorError;
use crate::documents::{Column, Condition, Document, Operator, Pages, Scan, Value, sampled};

/// Keys whose values tell what the columns are, and the steps of the walk that looks for them.
const SAMPLED: usize = 200;
const STEPS: usize = 100;
/// Keys whose values are asked for at a time.
const AT_ONCE: usize = 200;
/// A list or set with more members is not read into one row.
const MOST_MEMBERS: i64 = 100_000;

/// The keys that a condition leaves.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Which {
    These(Vec<String>),
    Prefix(String),
}

pub(super) fn which(condition: &Condition) -> Option<Which> {
    match condition {
        Condition::Compare { column, operator: Operator::Equal, value: Value::Text(key) } if column == KEY => {
            Some(Which::These(vec![key.clone()]))
        }
        Condition::In { column, values } if column == KEY => {
            let keys = values.iter().map(|value| value.as_str().map(str::to_owned));
            Some(Which::These(keys.collect::<Option<_>>()?))
        }
        Condition::Prefix { column, prefix } if column == KEY => Some(Which::Prefix(prefix.clone())),
        _ => None,
    }
}

/// What the values of a table's keys are, and their columns; none where there is no key.
pub(super) async fn sample(server: &Arc<Server>, table: &KeyTable) -> Result<(Kind, Vec<Column>), ConnectorError> {
    let mut keys = Vec::new();
    let mut cursor = 0;
    for _ in 0..STEPS {
        let (next, found) = server.step(cursor, &table.pattern, None).await?;
        keys.extend(found);
        cursor = next;
        if cursor == 0 || keys.len() >= SAMPLED {
            break;
        }
    }
    keys.truncate(SAMPLED);
    let mut types = Pipeline::new();
    for key in &keys {
        types.cmd("TYPE").arg(key);
    }
    let answers = if keys.is_empty() { Vec::new() } else { server.all(&types).await? };
    let kinds: Vec<Option<Kind>> = answers.iter().map(|answer| Kind::of(&text(answer)?)).collect();
    let mut counts: HashMap<Kind, usize> = HashMap::new();
    for kind in kinds.iter().flatten() {
        *counts.entry(*kind).or_default() += 1;
    }
    let common =
        counts.into_iter().max_by_key(|(kind, count)| (*count, std::cmp::Reverse(*kind))).map(|(kind, _)| kind);
    let Some(kind) = table.kind.or(common) else { return Ok((Kind::Keys, Vec::new())) };
    let raw = |kind: Kind, found: Option<Kind>| match kind {
        Kind::Json => matches!(found, Some(Kind::Json | Kind::String)),
        kind => found == Some(kind),
    };
    let keys: Vec<Vec<u8>> =
        keys.into_iter().zip(&kinds).filter(|(_, found)| raw(kind, **found)).map(|(key, _)| key).collect();
    let read = |kind| read(server, kind, &keys, None);
    match kind {
        Kind::Keys => Ok((kind, Vec::new())),
        Kind::List | Kind::Set => {
            Ok((kind, vec![Column::new("members", name(kind), DataType::new_list(DataType::Utf8, true))]))
        }
        Kind::Zset => {
            let documents = read(kind).await?;
            Ok((kind, sampled(&documents).into_iter().filter(|column| column.name != KEY).collect()))
        }
        Kind::Hash => {
            let documents: Vec<Document> =
                read(kind).await?.into_iter().map(|document| numbers(document, |_| None)).collect();
            Ok((kind, sampled(&documents).into_iter().filter(|column| column.name != KEY).collect()))
        }
        Kind::Json => {
            let documents = read(kind).await?;
            Ok((kind, sampled(&documents).into_iter().filter(|column| column.name != KEY).collect()))
        }
        Kind::String => {
            let documents = read(kind).await?;
            let value =
                |document: &Document| document.iter().find(|(name, _)| name == "value").map(|(_, value)| value.clone());
            let objects: Option<Vec<Document>> = documents.iter().map(|document| object(&value(document)?)).collect();
            // Strings that are all objects in JSON are read as such, unless they are wanted as they are.
            match objects.filter(|objects| table.kind.is_none() && !objects.is_empty()) {
                Some(objects) => Ok((Kind::Json, sampled(&objects))),
                None => Ok((kind, vec![Column::new("value", "string", DataType::Utf8)])),
            }
        }
    }
}

fn name(kind: Kind) -> &'static str {
    Kind::NAMES[kind as usize]
}

/// The keys of the table, as documents, step by step.
pub(super) fn pages(keys: Arc<Keys>, scan: Scan) -> Pages {
    let narrowed: Vec<Which> = scan.conditions.iter().filter_map(which).collect();
    // Any one of them narrows enough.
    let these = narrowed.iter().find_map(|which| match which {
        Which::These(keys) => Some(keys.clone()),
        Which::Prefix(_) => None,
    });
    let wanted = Arc::new(scan.fields);
    match these {
        Some(these) => stream::once(async move { keys.these(&these, &wanted).await }).boxed(),
        None => {
            let prefix = narrowed.iter().find_map(|which| match which {
                Which::Prefix(prefix) => Some(prefix.as_str()),
                Which::These(_) => None,
            });
            let pattern = Arc::new(narrower(&keys.keys.pattern, prefix));
            let start = Some((0, HashSet::new()));
            stream::try_unfold(start, move |position: Option<(u64, HashSet<[u8; 16]>)>| {
                let (keys, wanted, pattern) = (keys.clone(), wanted.clone(), pattern.clone());
                async move {
                    let Some((cursor, mut seen)) = position else { return Ok(None) };
                    let (next, mut found) = keys.server.step(cursor, &pattern, keys.server_type()).await?;
                    found.retain(|key| seen.insert(short(key)));
                    let documents = keys.documents(&found, &wanted).await?;
                    Ok::<_, ConnectorError>(Some((documents, (next != 0).then_some((next, seen)))))
                }
            })
            .into_stream()
            .boxed()
        }
    }
}

/// The pattern of the keys that also have the prefix: where the one is `a:*`, a longer `a:b` is `a:b*`.
fn narrower(pattern: &str, prefix: Option<&str>) -> String {
    let longer =
        prefix.map(escape).filter(|prefix| pattern.strip_suffix('*').is_some_and(|own| prefix.starts_with(own)));
    longer.map_or_else(|| pattern.to_owned(), |longer| format!("{longer}*"))
}

/// Stands for a key among those that were seen.
fn short(key: &[u8]) -> [u8; 16] {
    let digest = Sha256::digest(key);
    std::array::from_fn(|at| digest[at])
}

impl Keys {
    fn kind(&self) -> Kind {
        self.keys.kind.unwrap_or(Kind::Keys)
    }

    /// The type that the server leaves others out by.
    fn server_type(&self) -> Option<&'static str> {
        match self.kind() {
            Kind::Keys => None,
            // Either a string or of the module.
            Kind::Json => None,
            kind => Some(name(kind)),
        }
    }

    /// The rows of named keys: those that are there, and of the table.
    async fn these(&self, keys: &[String], wanted: &[String]) -> Result<Vec<Document>, ConnectorError> {
        let mut documents = Vec::new();
        for key in keys.iter().collect::<std::collections::BTreeSet<_>>() {
            // The pattern is the server's to match. A walk over one key's pattern is a walk over all, though.
            if matches(&self.keys.pattern, key.as_bytes()) {
                documents.extend(self.documents(&[key.clone().into_bytes()], wanted).await?);
            }
        }
        Ok(documents)
    }

    async fn documents(&self, keys: &[Vec<u8>], wanted: &[String]) -> Result<Vec<Document>, ConnectorError> {
        let mut documents = Vec::with_capacity(keys.len());
        for keys in keys.chunks(AT_ONCE) {
            documents.extend(read(&self.server, self.kind(), keys, Some(wanted)).await?);
        }
        if self.kind() == Kind::Hash {
            let types: HashMap<&str, &DataType> = self
                .columns
                .iter()
                .filter(|column| !column.mixed)
                .map(|column| (column.name.as_str(), &column.data_type))
                .collect();
            let typed = |document| numbers(document, |name| Some(types.get(name).copied().unwrap_or(&DataType::Utf8)));
            documents = documents.into_iter().map(typed).collect();
        }
        Ok(documents)
    }
}

/// The documents of the keys that are of the kind; of a hash the wanted fields alone.
async fn read(
    server: &Arc<Server>,
    kind: Kind,
    keys: &[Vec<u8>],
    wanted: Option<&[String]>,
) -> Result<Vec<Document>, ConnectorError> {
    if keys.is_empty() {
        return Ok(Vec::new());
    }
    // A key may have gone, or become another, since it was seen.
    let mut types = Pipeline::new();
    for key in keys {
        types.cmd("TYPE").arg(key);
        if kind == Kind::Keys {
            types.cmd("PTTL").arg(key);
        }
    }
    let answers = server.all(&types).await?;
    if kind == Kind::Keys {
        let row = |(key, answers): (&Vec<u8>, &[Answer])| {
            let kind = text(&answers[0]).filter(|kind| kind != "none")?;
            let ttl = match &answers[1] {
                Answer::Int(ttl) if *ttl >= 0 => Value::Int(*ttl),
                _ => Value::Null,
            };
            Some(vec![(KEY.to_owned(), bytes(key)), ("type".to_owned(), Value::Text(kind)), ("ttl_ms".to_owned(), ttl)])
        };
        return Ok(keys.iter().zip(answers.chunks_exact(2)).filter_map(row).collect());
    }
    let found = keys.iter().zip(&answers).map(|(key, answer)| (key, text(answer).and_then(|name| Kind::of(&name))));
    let found: Vec<(&Vec<u8>, Kind)> = match kind {
        Kind::Json => found
            .filter_map(|(key, found)| Some((key, found.filter(|f| matches!(f, Kind::Json | Kind::String))?)))
            .collect(),
        kind => found.filter(|(_, found)| *found == Some(kind)).map(|(key, _)| (key, kind)).collect(),
    };
    if found.is_empty() {
        return Ok(Vec::new());
    }
    if matches!(kind, Kind::List | Kind::Set | Kind::Zset) {
        let mut sizes = Pipeline::new();
        for (key, _) in &found {
            sizes.cmd(match kind {
                Kind::List => "LLEN",
                Kind::Set => "SCARD",
                _ => "ZCARD",
            });
            sizes.arg(key);
        }
        let large = |size: &Answer| matches!(size, Answer::Int(size) if *size > MOST_MEMBERS);
        if server.all(&sizes).await?.iter().any(large) {
            let reason = format!("a {} with more than {MOST_MEMBERS} members is not read", name(kind));
            return Err(ConnectorError::Unsupported(reason));
        }
    }
    let fields: Option<Vec<&String>> =
        wanted.filter(|_| kind == Kind::Hash).map(|wanted| wanted.iter().filter(|field| *field != KEY).collect());
    let mut values = Pipeline::new();
    for (key, found) in &found {
        match (kind, &fields) {
            // Nothing of the value is wanted, and the key is there.
            (_, Some(fields)) if fields.is_empty() => {
                values.cmd("TYPE").arg(key);
            }
            (Kind::Hash, Some(fields)) => {
                values.cmd("HMGET").arg(key).arg(fields);
            }
            (Kind::Hash, None) => {
                values.cmd("HGETALL").arg(key);
            }
            (Kind::Json, _) if *found == Kind::Json => {
                values.cmd("JSON.GET").arg(key);
            }
            (Kind::List, _) => {
                values.cmd("LRANGE").arg(key).arg(0).arg(MOST_MEMBERS);
            }
            (Kind::Set, _) => {
                values.cmd("SMEMBERS").arg(key);
            }
            (Kind::Zset, _) => {
                values.cmd("ZRANGE").arg(key).arg(0).arg(MOST_MEMBERS).arg("WITHSCORES");
            }
            _ => {
                values.cmd("GET").arg(key);
            }
        }
    }
    let mut documents = Vec::with_capacity(found.len());
    for ((key, _), answer) in found.into_iter().zip(server.all(&values).await?) {
        let mut document = match (kind, &fields) {
            (Kind::Hash, Some(fields)) => {
                let values = members(answer).into_iter().map(|value| value.unwrap_or(Value::Null));
                fields.iter().map(|field| (*field).clone()).zip(values).collect()
            }
            (Kind::Hash, None) => {
                let pairs: Vec<Value> = members(answer).into_iter().flatten().collect();
                pairs.chunks_exact(2).map(|pair| (pair[0].to_text(), pair[1].clone())).collect()
            }
            (Kind::Json, _) => match value(answer) {
                None => continue,
                Some(text) => object(&text).ok_or_else(|| ConnectorError::UnreadableValue {
                    column: KEY.to_owned(),
                    expected: "an object in JSON".to_owned(),
                })?,
            },
            (Kind::List | Kind::Set, _) => {
                let values = members(answer).into_iter().flatten().collect();
                vec![("members".to_owned(), Value::Array(values))]
            }
            (Kind::Zset, _) => vec![("members".to_owned(), Value::Array(scored(answer)))],
            _ => match value(answer) {
                None => continue,
                Some(value) => vec![("value".to_owned(), value)],
            },
        };
        document.push((KEY.to_owned(), bytes(key)));
        documents.push(document);
    }
    Ok(documents)
}

/// Numbers as they are written, where the column holds numbers; without a column, wherever nothing is lost.
fn numbers<'a>(document: Document, column: impl Fn(&str) -> Option<&'a DataType>) -> Document {
    let number = |(name, value): (String, Value)| {
        let read = match (&value, if name == KEY { Some(&DataType::Utf8) } else { column(&name) }) {
            (Value::Text(text), None) => whole(text).or_else(|| fraction(text)),
            (Value::Text(text), Some(DataType::Int64)) => whole(text),
            (Value::Text(text), Some(DataType::Float64)) => fraction(text).or_else(|| whole(text)),
            _ => None,
        };
        (name, read.unwrap_or(value))
    };
    document.into_iter().map(number).collect()
}

/// A text that a whole number is written as, and no other way.
fn whole(text: &str) -> Option<Value> {
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(Value::Int(number))
}

fn fraction(text: &str) -> Option<Value> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number.to_string() == text).then_some(Value::Float(number))
}

fn object(value: &Value) -> Option<Document> {
    serde_json::from_str::<Value>(value.as_str()?).ok()?.into_document()
}

fn text(answer: &Answer) -> Option<String> {
    match answer {
        Answer::SimpleString(text) => Some(text.clone()),
        Answer::BulkString(bytes) => String::from_utf8(bytes.clone()).ok(),
        _ => None,
    }
}

/// A text where it is one, else bytes.
fn bytes(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => Value::text(text),
        Err(_) => Value::Bytes(bytes.to_vec()),
    }
}

fn value(answer: Answer) -> Option<Value> {
    match answer {
        Answer::BulkString(found) => Some(bytes(&found)),
        Answer::SimpleString(text) => Some(Value::Text(text)),
        Answer::Int(number) => Some(Value::Int(number)),
        Answer::Double(number) => Some(Value::Float(number)),
        _ => None,
    }
}

fn members(answer: Answer) -> Vec<Option<Value>> {
    match answer {
        Answer::Array(items) | Answer::Set(items) => items.into_iter().map(value).collect(),
        _ => Vec::new(),
    }
}

/// Members and their scores, in order of the scores.
fn scored(answer: Answer) -> Vec<Value> {
    let flat: Vec<Value> = members(answer).into_iter().flatten().collect();
    let pair = |pair: &[Value]| {
        let score = pair[1].as_str().and_then(|text| text.parse().ok()).map_or(Value::Null, Value::Float);
        Value::Object(vec![("member".to_owned(), Value::Text(pair[0].to_text())), ("score".to_owned(), score)])
    };
    flat.chunks_exact(2).map(pair).collect()
}

/// Whether a key fits a pattern, by the rules of Redis: `*`, `?`, `[a-c]`, `[^a]`, `\`.
fn matches(pattern: &str, key: &[u8]) -> bool {
    // Where to go on when what follows the last `*` does not fit: the star takes one byte more.
    let pattern = pattern.as_bytes();
    let (mut at, mut read, mut star) = (0, 0, None);
    while read < key.len() {
        if pattern.get(at) == Some(&b'*') {
            star = Some((at, read));
            at += 1;
            continue;
        }
        match one(&pattern[at.min(pattern.len())..], key[read]) {
            Some(length) => {
                at += length;
                read += 1;
            }
            None => match &mut star {
                Some((position, taken)) => {
                    *taken += 1;
                    (at, read) = (*position + 1, *taken);
                }
                None => return false,
            },
        }
    }
    pattern[at..].iter().all(|byte| *byte == b'*')
}

/// How much of the pattern the byte fits; `None` where it does not.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match pattern {
        [] => None,
        [b'?', ..] => Some(1),
        [b'\\', escaped, ..] => (*escaped == byte).then_some(2),
        [b'[', rest @ ..] => {
            let (negated, set) = match rest {
                [b'^', rest @ ..] => (true, rest),
                rest => (false, rest),
            };
            let (mut at, mut found) = (0, false);
            while at < set.len() && set[at] != b']' {
                if set[at] == b'\\' && at + 1 < set.len() {
                    found |= set[at + 1] == byte;
                    at += 2;
                } else if set.get(at + 1) == Some(&b'-') && at + 2 < set.len() {
                    let (low, high) = (set[at].min(set[at + 2]), set[at].max(set[at + 2]));
                    found |= (low..=high).contains(&byte);
                    at += 3;
                } else {
                    found |= set[at] == byte;
                    at += 1;
                }
            }
            let length = pattern.len() - set.len() + (at + 1).min(set.len());
            (found != negated).then_some(length)
        }
        [literal, ..] => (*literal == byte).then_some(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_are_those_of_redis() {
        for (pattern, key, expected) in [
            ("user:*", "user:1", true),
            ("user:*", "users:1", false),
            ("u?er:*:x", "user:a:b:x", true),
            ("*a*b", "xxaxxbxb", true),
            ("*a*b", "xxaxxbxc", false),
            ("[a-c]1", "b1", true),
            ("[^a-c]1", "b1", false),
            ("[^a]1", "b1", true),
            ("a\\*b", "a*b", true),
            ("a\\*b", "axb", false),
            ("", "", true),
            ("*", "", true),
            ("abc", "ab", false),
            ("ab", "abc", false),
        ] {
            assert_eq!(matches(pattern, key.as_bytes()), expected, "{pattern} {key}");
        }
        let odd = "we[i]rd-*^\\";
        assert!(matches(&escape(odd), odd.as_bytes()));
    }

    #[test]
    fn numbers_are_what_is_written_so_and_no_other_way() {
        assert_eq!(whole("42"), Some(Value::Int(42)));
        for text in ["042", "+1", "-0", " 1", "1.0", ""] {
            assert_eq!(whole(text), None, "{text}");
        }
        assert_eq!(fraction("1.5"), Some(Value::Float(1.5)));
        for text in ["1.50", "1e3", "NaN", "inf", ".5"] {
            assert_eq!(fraction(text), None, "{text}");
        }
    }

    #[test]
    fn a_longer_prefix_narrows_the_pattern() {
        assert_eq!(narrower("user:*", Some("user:1")), "user:1*");
        assert_eq!(narrower("user:*", Some("us")), "user:*");
        assert_eq!(narrower("*:x", Some("user:")), "*:x");
        assert_eq!(narrower("*", Some("a[")), "a\\[*");
    }
}
