//! The rows of a root field, page by page.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::json;

use super::super::Authorization;
use super::introspection::{Paging, RootField, RowsAt, selection};
use crate::ConnectorError;
use crate::documents::{Collection, Column, Condition, Document, Pages, Scan, Value};
use crate::http::HttpSource;

/// Where queries are sent.
#[derive(Debug)]
pub(super) struct Endpoint {
    pub http: HttpSource,
    pub authorization: Authorization,
    pub page_size: u64,
    pub most_pages: u64,
}

impl Endpoint {
    /// The data of an answer. One that holds errors is none, even if a part of it came.
    pub async fn ask(&self, query: &str) -> Result<Value, ConnectorError> {
        let request = self.authorization.request(&self.http, Method::POST, self.http.base().clone());
        let mut answer: Value = self.http.json_patiently(request.json(&json!({ "query": query }))).await?;
        if let Some(errors) = answer.get("errors").and_then(Value::as_array).filter(|errors| !errors.is_empty()) {
            tracing::info!(errors = errors.len(), "a GraphQL source refused a query");
            // Its words may hold parts of the query.
            let complaint: String = Value::Array(errors.to_vec()).to_text().chars().take(2_000).collect();
            tracing::debug!(complaint, "what the GraphQL source said of it");
            let refused = errors.iter().any(|error| {
                let code = error.pointer("/extensions/code").and_then(Value::as_str);
                code.is_some_and(|code| ["UNAUTHENTICATED", "FORBIDDEN", "UNAUTHORIZED"].contains(&code))
            });
            return Err(match refused {
                true => ConnectorError::AuthenticationFailed { cause: None },
                false => ConnectorError::QueryFailed { cause: None },
            });
        }
        answer.take("data").ok_or(ConnectorError::QueryFailed { cause: None })
    }
}

/// A root field as a collection.
#[derive(Debug)]
pub(super) struct Rows {
    pub endpoint: Arc<Endpoint>,
    pub field: Arc<RootField>,
    pub columns: Vec<Column>,
}

/// Where a scan is.
#[derive(Default)]
struct Position {
    page: u64,
    rows: u64,
    cursor: Option<String>,
}

impl Collection for Rows {
    fn accepts(&self, _condition: &Condition) -> bool {
        false
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        let selections = scan.fields.iter().filter_map(|name| self.columns.iter().find(|column| column.name == *name));
        let selections: Vec<_> = selections.filter_map(selection).collect();
        // Rows are counted by something that every object has.
        let selections = if selections.is_empty() { "__typename".to_owned() } else { selections.join(" ") };
        let wanted = scan.limit.map_or(u64::MAX, |limit| limit as u64).clamp(1, self.endpoint.page_size);
        stream::try_unfold(Some(Position::default()), move |position| {
            let (rows, selections) = (self.clone(), selections.clone());
            async move {
                let Some(position) = position else { return Ok(None) };
                rows.page(position, &selections, wanted).await.map(Some)
            }
        })
        .into_stream()
        .boxed()
    }
}

impl Rows {
    async fn page(
        &self,
        position: Position,
        selections: &str,
        wanted: u64,
    ) -> Result<(Vec<Document>, Option<Position>), ConnectorError> {
        let (name, most) = (&self.field.name, self.endpoint.most_pages);
        if position.page >= most {
            let reason = format!("{name} has more than {most} pages; raise metadata.max_pages");
            return Err(ConnectorError::Unsupported(reason));
        }
        let data = self.endpoint.ask(&self.query(&position, selections, wanted)).await?;
        let answer = data.get(name).unwrap_or(&Value::Null);
        let rows = self.rows(answer);
        let more = answer.pointer("/pageInfo/hasNextPage") == Some(&Value::Bool(true));
        let cursor = answer.pointer("/pageInfo/endCursor").and_then(Value::as_str);
        let (page, count) = (position.page + 1, position.rows + rows.len() as u64);
        let next = match &self.field.paging {
            Paging::None => None,
            // A server may give fewer than were asked for; only a page without rows is the last.
            Paging::Offset { .. } => (!rows.is_empty()).then_some(Position { page, rows: count, cursor: None }),
            Paging::Cursor if !more => None,
            Paging::Cursor => match cursor {
                Some(cursor) if position.cursor.as_deref() != Some(cursor) => {
                    Some(Position { page, rows: count, cursor: Some(cursor.to_owned()) })
                }
                _ => {
                    let reason = format!("{name} has more rows but does not say where they begin");
                    return Err(ConnectorError::Unsupported(reason));
                }
            },
        };
        Ok((rows, next))
    }

    fn query(&self, position: &Position, selections: &str, wanted: u64) -> String {
        let arguments = match &self.field.paging {
            Paging::None => String::new(),
            Paging::Offset { size, offset } => format!("({size}: {wanted}, {offset}: {})", position.rows),
            Paging::Cursor => match &position.cursor {
                // A text is written as in JSON.
                Some(cursor) => format!("(first: {wanted}, after: {})", json!(cursor)),
                None => format!("(first: {wanted})"),
            },
        };
        let rows = match self.field.rows {
            RowsAt::List => selections.to_owned(),
            RowsAt::Edges => format!("edges {{ node {{ {selections} }} }}"),
            RowsAt::Nodes => format!("nodes {{ {selections} }}"),
        };
        let page_info = match self.field.paging {
            Paging::Cursor => " pageInfo { hasNextPage endCursor }",
            _ => "",
        };
        format!("query Rows {{ {}{arguments} {{ {rows}{page_info} }} }}", self.field.name)
    }

    fn rows(&self, answer: &Value) -> Vec<Document> {
        let list = match self.field.rows {
            RowsAt::List => Some(answer),
            RowsAt::Edges => answer.get("edges"),
            RowsAt::Nodes => answer.get("nodes"),
        };
        let items = list.and_then(Value::as_array).unwrap_or_default();
        let items = items.iter().filter_map(|item| match self.field.rows {
            RowsAt::Edges => item.get("node"),
            _ => Some(item),
        });
        // A null in a list is an object that the API could not give.
        items.filter_map(Value::as_object).cloned().collect()
    }
}
