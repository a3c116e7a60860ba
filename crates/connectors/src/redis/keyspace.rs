//! Which keys are a table.

use std::collections::BTreeMap;

use rivergen_kernel::error::FieldError;
use serde::{Deserialize, Serialize};

use super::server::Server;
use crate::{ConnectorError, SourceConfig};

/// Steps of the walk that finds tables.
const STEPS: usize = 50;
/// The table of all keys.
const ALL: &str = "keys";

/// What the values of a table's keys are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Kind {
    Hash,
    String,
    /// Objects in JSON, in strings or of the module RedisJSON.
    Json,
    List,
    Set,
    Zset,
    /// The keys alone.
    Keys,
}

impl Kind {
    pub const NAMES: [&'static str; 7] = ["hash", "string", "json", "list", "set", "zset", "keys"];

    /// Of the answer of TYPE.
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "hash" => Self::Hash,
            "string" => Self::String,
            "ReJSON-RL" => Self::Json,
            "list" => Self::List,
            "set" => Self::Set,
            "zset" => Self::Zset,
            _ => return None,
        })
    }
}

/// The keys of a table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyTable {
    pub name: String,
    pub pattern: String,
    #[serde(default)]
    pub kind: Option<Kind>,
}

impl KeyTable {
    /// The table of a name that was found by itself.
    pub fn named(name: &str) -> Option<Self> {
        match name {
            "" => None,
            ALL => Some(Self { name: ALL.to_owned(), pattern: "*".to_owned(), kind: Some(Kind::Keys) }),
            name => Some(Self { name: name.to_owned(), pattern: format!("{}:*", escape(name)), kind: None }),
        }
    }
}

/// The tables of the metadata.
pub(super) fn listed(config: &SourceConfig) -> Result<Vec<KeyTable>, FieldError> {
    let wrong = |reason: String| FieldError::new("metadata.tables", reason);
    let Some(list) = config.metadata.get("tables").filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let parsed = match list {
        serde_json::Value::String(text) => serde_json::from_str(text),
        list => Vec::<KeyTable>::deserialize(list),
    };
    let tables: Vec<KeyTable> = parsed.map_err(|error| wrong(format!("cannot be read: {error}")))?;
    let mut names: Vec<_> = tables.iter().map(|table| &table.name).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(wrong(format!("has two tables named {}", twice[0])));
    }
    if tables.iter().any(|table| table.name.is_empty() || table.pattern.is_empty()) {
        return Err(wrong("must have a name and a pattern for each table".to_owned()));
    }
    Ok(tables)
}

/// The tables that the first keys of a walk show: what stands before the first colon.
pub(super) async fn found(server: &Server) -> Result<Vec<KeyTable>, ConnectorError> {
    let mut names: BTreeMap<String, ()> = BTreeMap::from([(ALL.to_owned(), ())]);
    let mut cursor = 0;
    for _ in 0..STEPS {
        let (next, keys) = server.step(cursor, "*", None).await?;
        for key in keys {
            let Ok(key) = String::from_utf8(key) else { continue };
            if let Some((prefix, _)) = key.split_once(':').filter(|(prefix, _)| !prefix.is_empty()) {
                names.insert(prefix.to_owned(), ());
            }
        }
        cursor = next;
        if cursor == 0 {
            break;
        }
    }
    Ok(names.into_keys().filter_map(|name| KeyTable::named(&name)).collect())
}

/// A text that stands for itself in a pattern.
pub(super) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if matches!(c, '*' | '?' | '[' | ']' | '\\' | '^' | '-') {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}
