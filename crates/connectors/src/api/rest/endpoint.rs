//! What of a REST API is a table, as its owner describes it.

use std::collections::BTreeMap;

use rivergen_kernel::error::FieldError;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::SourceConfig;

/// One address that answers rows.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Endpoint {
    /// The table's name; made from the path where absent.
    #[serde(default)]
    pub name: String,
    /// Below the base address.
    pub path: String,
    /// A JSON pointer to the array of rows; found out where absent.
    #[serde(default)]
    pub rows: Option<String>,
    /// Query parameters that go along with each request.
    #[serde(default)]
    pub parameters: BTreeMap<String, String>,
    #[serde(default)]
    pub pagination: Option<Pagination>,
    /// Query parameters that narrow by equality: column to parameter. The API may answer more, and never less.
    #[serde(default)]
    pub filters: BTreeMap<String, String>,
    /// Columns whose texts are moments by RFC 3339.
    #[serde(default)]
    pub timestamps: Vec<String>,
    #[serde(default)]
    pub description: Option<String>,
}

/// How the next rows are asked for.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case", deny_unknown_fields)]
pub(super) enum Pagination {
    /// There is one page.
    None {},
    /// The header `Link` with `rel="next"` (RFC 8288); the one that needs no word.
    Link {},
    /// A JSON pointer to the address of the next page.
    Next { pointer: String },
    Page {
        #[serde(default = "page")]
        parameter: String,
        #[serde(default = "one")]
        first: u64,
        #[serde(default)]
        size: Option<Size>,
    },
    Offset {
        #[serde(default = "offset")]
        parameter: String,
        size: Size,
    },
    /// A JSON pointer to a text or number that the next request gives back.
    Cursor {
        pointer: String,
        #[serde(default = "cursor")]
        parameter: String,
        #[serde(default)]
        size: Option<Size>,
    },
}

/// How many rows a page has, and the parameter that asks for them.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Size {
    #[serde(default = "limit")]
    pub parameter: String,
    pub rows: u64,
}

fn page() -> String {
    "page".to_owned()
}

fn offset() -> String {
    "offset".to_owned()
}

fn cursor() -> String {
    "cursor".to_owned()
}

fn limit() -> String {
    "limit".to_owned()
}

fn one() -> u64 {
    1
}

impl Pagination {
    pub fn size(&self) -> Option<&Size> {
        match self {
            Self::Page { size, .. } | Self::Cursor { size, .. } => size.as_ref(),
            Self::Offset { size, .. } => Some(size),
            _ => None,
        }
    }

    fn check(&self) -> Result<(), &'static str> {
        let pointer = match self {
            Self::Next { pointer } | Self::Cursor { pointer, .. } => Some(pointer),
            _ => None,
        };
        if pointer.is_some_and(|pointer| !pointer.starts_with('/')) {
            return Err("has a pointer that does not begin with /");
        }
        if self.size().is_some_and(|size| !(1..=100_000).contains(&size.rows)) {
            return Err("must have between 1 and 100000 rows a page");
        }
        Ok(())
    }
}

/// The endpoints that the metadata list.
pub(super) fn listed(config: &SourceConfig) -> Result<Vec<Endpoint>, FieldError> {
    let wrong = |reason: String| FieldError::new("metadata.endpoints", reason);
    let shared = pagination(config)?;
    let Some(list) = config.metadata.get("endpoints").filter(|list| !list.is_null()) else { return Ok(Vec::new()) };
    let mut endpoints: Vec<Endpoint> = parse(list).map_err(wrong)?;
    for endpoint in &mut endpoints {
        let reason = |reason: &str| wrong(format!("{} {reason}", endpoint.path));
        if !is_below(&endpoint.path) {
            return Err(reason("must be a path below the address, without query, fragment or dots as a step"));
        }
        if endpoint.rows.as_ref().is_some_and(|rows| !rows.is_empty() && !rows.starts_with('/')) {
            return Err(reason("has a pointer to its rows that does not begin with /"));
        }
        endpoint.pagination.as_ref().or(shared.as_ref()).map_or(Ok(()), Pagination::check).map_err(reason)?;
        if endpoint.pagination.is_none() {
            endpoint.pagination.clone_from(&shared);
        }
        if endpoint.name.is_empty() {
            endpoint.name = table_name(&endpoint.path);
        }
    }
    let mut names: Vec<_> = endpoints.iter().map(|endpoint| &endpoint.name).collect();
    names.sort();
    if let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(wrong(format!("has two tables named {}", twice[0])));
    }
    Ok(endpoints)
}

/// How all endpoints page that do not say otherwise.
pub(super) fn pagination(config: &SourceConfig) -> Result<Option<Pagination>, FieldError> {
    let wrong = |reason: String| FieldError::new("metadata.pagination", reason);
    let Some(given) = config.metadata.get("pagination").filter(|given| !given.is_null()) else { return Ok(None) };
    let pagination: Pagination = parse(given).map_err(wrong)?;
    pagination.check().map_err(|reason| wrong(reason.to_owned()))?;
    Ok(Some(pagination))
}

/// A member of the metadata, or the JSON text that a form's field holds.
pub(super) fn parse<T: serde::de::DeserializeOwned>(given: &Json) -> Result<T, String> {
    let parsed = match given {
        Json::String(text) => serde_json::from_str(text),
        value => T::deserialize(value),
    };
    parsed.map_err(|error| format!("cannot be read: {error}"))
}

pub(super) fn is_below(path: &str) -> bool {
    let path = path.trim_start_matches('/');
    !path.is_empty()
        && !path.contains(['?', '#', '\\', '{', '}'])
        && path.split('/').all(|step| !matches!(step, "" | "." | ".."))
}

/// `store_orders` of `/store/orders.json`.
pub(super) fn table_name(path: &str) -> String {
    let path = path.strip_suffix(".json").unwrap_or(path);
    let mut name = String::with_capacity(path.len());
    for c in path.chars() {
        match c {
            c if c.is_ascii_alphanumeric() => name.push(c.to_ascii_lowercase()),
            _ if !name.is_empty() && !name.ends_with('_') => name.push('_'),
            _ => {}
        }
    }
    let name = name.trim_end_matches('_');
    if name.is_empty() { "rows".to_owned() } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::DataSourceType;

    fn read(endpoints: Json) -> Result<Vec<Endpoint>, String> {
        let mut config = SourceConfig::new(DataSourceType::RestApi);
        config.metadata.insert("endpoints".into(), endpoints);
        listed(&config).map_err(|wrong| wrong.reason)
    }

    #[test]
    fn endpoints_are_read() {
        let endpoints =
            read(json!([{"path": "/v1/store-orders.json", "pagination": {"kind": "offset", "size": {"rows": 50}}}]))
                .unwrap();
        assert_eq!(endpoints[0].name, "v1_store_orders");
        let size = endpoints[0].pagination.as_ref().and_then(Pagination::size).unwrap();
        assert_eq!((size.parameter.as_str(), size.rows), ("limit", 50));
        assert_eq!(read(json!(r#"[{"path": "a"}]"#)).unwrap()[0].name, "a");
    }

    #[test]
    fn what_leaves_the_base_is_refused() {
        for path in ["", "/", "../admin", "a/../b", "a?b=c", "a//b", "a#b", "users/{id}", "a\\b"] {
            assert!(read(json!([{ "path": path }])).is_err(), "{path}");
        }
        for wrong in [
            json!([{"path": "a"}, {"path": "/a"}]),
            json!([{"path": "a", "rows": "data"}]),
            json!([{"path": "a", "pagination": {"kind": "cursor", "pointer": "next"}}]),
            json!([{"path": "a", "pagination": {"kind": "offset", "size": {"rows": 0}}}]),
            json!([{"path": "a", "method": "POST"}]),
            json!("not json"),
        ] {
            assert!(read(wrong.clone()).is_err(), "{wrong}");
        }
    }
}
