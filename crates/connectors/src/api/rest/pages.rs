//! The pages of an endpoint, one request after the other.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use reqwest::header::{HeaderMap, LINK};
use url::Url;

use super::super::{Authorization, is_ours};
use super::endpoint::{Endpoint, Pagination};
use crate::ConnectorError;
use crate::documents::{Document, Pages, Value};
use crate::http::{HttpSource, parsed};

/// A scan of more pages is an error; the metadata may say otherwise.
pub(super) const MOST_PAGES: u64 = 1_000;

/// Asks one endpoint for its pages.
#[derive(Debug)]
pub(super) struct Pager {
    pub http: HttpSource,
    pub authorization: Authorization,
    pub base: Url,
    pub endpoint: Endpoint,
    pub most_pages: u64,
}

/// What is asked for next.
enum Next {
    First,
    At(Url),
    /// The page's number, or the offset of its first row.
    Number(u64),
    Cursor(String),
}

/// Where a scan is.
struct Position {
    next: Next,
    page: u64,
    /// The body of the page before.
    before: Bytes,
}

impl Pager {
    /// The rows of the first page.
    pub async fn first_page(&self) -> Result<Vec<Document>, ConnectorError> {
        let start = Position { next: Next::First, page: 0, before: Bytes::new() };
        Ok(self.page(start, &BTreeMap::new()).await?.0)
    }

    /// All pages; `narrowed` goes along with each request.
    pub fn pages(self: Arc<Self>, narrowed: BTreeMap<String, String>) -> Pages {
        let start = Position { next: Next::First, page: 0, before: Bytes::new() };
        stream::try_unfold(Some(start), move |position| {
            let (pager, narrowed) = (self.clone(), narrowed.clone());
            async move {
                let Some(position) = position else { return Ok(None) };
                pager.page(position, &narrowed).await.map(Some)
            }
        })
        .into_stream()
        .boxed()
    }

    async fn page(
        &self,
        position: Position,
        narrowed: &BTreeMap<String, String>,
    ) -> Result<(Vec<Document>, Option<Position>), ConnectorError> {
        if position.page >= self.most_pages {
            let reason =
                format!("{} has more than {} pages; raise metadata.max_pages", self.endpoint.name, self.most_pages);
            return Err(ConnectorError::Unsupported(reason));
        }
        let request = self.authorization.request(&self.http, Method::GET, self.address(&position.next, narrowed));
        let response = match self.http.send_patiently(request).await {
            // Some APIs have no page beyond their last one.
            Err(ConnectorError::NotFound { .. }) if position.page > 0 && matches!(position.next, Next::Number(_)) => {
                return Ok((Vec::new(), None));
            }
            response => response?,
        };
        let at = response.url().clone();
        let headers = response.headers().clone();
        let body = self.http.read(response).await?;
        if position.page > 0 && body == position.before {
            let reason = format!("{} returned the same page again; check its paging settings", self.endpoint.name);
            return Err(ConnectorError::Unsupported(reason));
        }
        let answer: Value = parsed(&body)?;
        let next = self.next(&position.next, &at, &headers, &answer)?;
        let rows = self.rows(answer)?;
        let next = match next {
            // Offsets count rows, and a page without any is the last.
            Some(Next::Number(_)) if rows.is_empty() => None,
            Some(Next::Number(number)) if matches!(self.endpoint.pagination, Some(Pagination::Offset { .. })) => {
                Some(Next::Number(number + rows.len() as u64))
            }
            next => next,
        };
        let next = next.map(|next| Position { next, page: position.page + 1, before: body });
        Ok((rows, next))
    }

    fn address(&self, next: &Next, narrowed: &BTreeMap<String, String>) -> Url {
        if let Next::At(url) = next {
            return url.clone();
        }
        let mut url = self.base.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(self.endpoint.path.trim_start_matches('/').split('/'));
        }
        let mut query: BTreeMap<&str, String> = self
            .endpoint
            .parameters
            .iter()
            .chain(narrowed)
            .map(|(name, value)| (name.as_str(), value.clone()))
            .collect();
        if let Some(pagination) = &self.endpoint.pagination {
            if let Some(size) = pagination.size() {
                query.insert(&size.parameter, size.rows.to_string());
            }
            match (pagination, next) {
                (Pagination::Page { parameter, first, .. }, Next::First) => {
                    query.insert(parameter, first.to_string());
                }
                (Pagination::Offset { parameter, .. }, Next::First) => {
                    query.insert(parameter, "0".to_owned());
                }
                (Pagination::Page { parameter, .. } | Pagination::Offset { parameter, .. }, Next::Number(number)) => {
                    query.insert(parameter, number.to_string());
                }
                (Pagination::Cursor { parameter, .. }, Next::Cursor(cursor)) => {
                    query.insert(parameter, cursor.clone());
                }
                _ => {}
            }
        }
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        url
    }

    /// What the answer leads to; `None` where it is the last.
    fn next(&self, this: &Next, at: &Url, headers: &HeaderMap, answer: &Value) -> Result<Option<Next>, ConnectorError> {
        let number = |first| match this {
            Next::Number(number) => *number,
            _ => first,
        };
        Ok(match &self.endpoint.pagination {
            Some(Pagination::None {}) => None,
            None | Some(Pagination::Link {}) => match next_link(headers) {
                Some(link) => Some(self.follow(at, &link)?),
                None => None,
            },
            Some(Pagination::Next { pointer }) => match answer.pointer(pointer).and_then(Value::as_str) {
                Some("") | None => None,
                Some(link) => Some(self.follow(at, link)?),
            },
            Some(Pagination::Page { first, .. }) => Some(Next::Number(number(*first) + 1)),
            Some(Pagination::Offset { .. }) => Some(Next::Number(number(0))),
            Some(Pagination::Cursor { pointer, .. }) => match answer.pointer(pointer) {
                Some(Value::Text(cursor)) if !cursor.is_empty() => Some(Next::Cursor(cursor.clone())),
                Some(Value::Int(cursor)) => Some(Next::Cursor(cursor.to_string())),
                _ => None,
            },
        })
    }

    fn follow(&self, at: &Url, link: &str) -> Result<Next, ConnectorError> {
        let mut url = at.join(link).ok().filter(|url| is_ours(&self.base, url)).ok_or_else(|| {
            ConnectorError::Unsupported(format!("{} points to another server for its next page", self.endpoint.name))
        })?;
        url.set_fragment(None);
        Ok(Next::At(self.authorization.without_key(url)))
    }

    /// The rows of an answer.
    fn rows(&self, answer: Value) -> Result<Vec<Document>, ConnectorError> {
        let rows = match &self.endpoint.rows {
            Some(pointer) => answer.take_pointer(pointer),
            None => only_array(answer),
        };
        let rows = match rows {
            Some(Value::Array(rows)) => rows,
            // An empty answer is often written so.
            Some(Value::Null) => Vec::new(),
            _ => {
                let reason =
                    format!("{} does not return an array of rows; set `rows` to where they are", self.endpoint.name);
                return Err(ConnectorError::Unsupported(reason));
            }
        };
        let document = |row| match row {
            Value::Object(document) => document,
            other => vec![("value".to_owned(), other)],
        };
        Ok(rows.into_iter().map(document).collect())
    }
}

/// The answer itself, or its one member that is an array.
fn only_array(answer: Value) -> Option<Value> {
    match answer {
        Value::Array(_) => Some(answer),
        Value::Object(members) => {
            let mut arrays = members.into_iter().filter(|(_, member)| matches!(member, Value::Array(_)));
            let only = arrays.next()?.1;
            arrays.next().is_none().then_some(only)
        }
        _ => None,
    }
}

/// The address in `Link: <…>; rel="next"`.
fn next_link(headers: &HeaderMap) -> Option<String> {
    let values = headers.get_all(LINK).iter().filter_map(|value| value.to_str().ok());
    values
        .flat_map(links)
        .find(|(_, relations)| relations.split(' ').any(|r| r.eq_ignore_ascii_case("next")))
        .map(|(link, _)| link)
}

/// The links of one header, each with its relations.
fn links(value: &str) -> Vec<(String, String)> {
    let mut links = Vec::new();
    let mut rest = value;
    while let Some((_, after)) = rest.split_once('<') {
        let Some((address, after)) = after.split_once('>') else { break };
        // A comma within quotes belongs to the parameter.
        let mut quoted = false;
        let end = after.find(|c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        });
        let (parameters, next) = after.split_at(end.unwrap_or(after.len()));
        let relations = parameters.split(';').find_map(|parameter| {
            let (name, value) = parameter.trim().split_once('=')?;
            name.trim().eq_ignore_ascii_case("rel").then(|| value.trim().trim_matches('"').to_owned())
        });
        links.push((address.to_owned(), relations.unwrap_or_default()));
        rest = next;
    }
    links
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_link_is_found() {
        let found = |value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(LINK, value.parse().unwrap());
            next_link(&headers)
        };
        let next = Some("https://api.example/x?page=2&a=b,c".to_owned());
        for value in [
            r#"<https://api.example/x?page=2&a=b,c>; rel="next""#,
            r#"<https://api.example/x?page=1>; rel="prev"; title="a, <b>", <https://api.example/x?page=2&a=b,c>; rel=NEXT"#,
            r#"<https://api.example/x?page=2&a=b,c>; title="x"; rel="last next""#,
        ] {
            assert_eq!(found(value), next, "{value}");
        }
        assert_eq!(found(r#"<https://api.example/x>; rel="nextish""#), None);
        assert_eq!(found("nonsense"), None);
    }

    #[test]
    fn the_one_array_is_the_rows() {
        let only = |text: &str| only_array(serde_json::from_str(text).unwrap()).map(|rows| rows.to_text());
        assert_eq!(only("[1]").as_deref(), Some("[1]"));
        assert_eq!(only(r#"{"total": 1, "data": [{}]}"#).as_deref(), Some("[{}]"));
        assert_eq!(only(r#"{"a": [], "b": []}"#), None);
        assert_eq!(only(r#"{"a": {}}"#), None);
    }
}
