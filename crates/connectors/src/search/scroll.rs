//! All documents that a search finds, in one consistent view, page by page.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use reqwest::Method;
use serde_json::{Value as Json, json};

use super::mapping::{self, Field, ID};
use super::{Index, Server};
use crate::documents::{Column, Document, Pages, Value};
use crate::{ConnectorError, background};

/// An answer from some shards only is none.
pub(super) const WHOLE: &[(&str, &str)] = &[("allow_partial_search_results", "false")];
/// How long the server keeps the view for the next page.
const KEPT: &str = "5m";

/// A view that the server keeps until it is told that nobody needs it any more.
struct View {
    server: Arc<Server>,
    id: String,
}

impl Drop for View {
    fn drop(&mut self) {
        let request = self.server.request(Method::DELETE, &["_search", "scroll"], &[]);
        let request = request.json(&json!({"scroll_id": [self.id]}));
        let server = self.server.clone();
        background::spawn(async move {
            // It ends by itself after a while.
            if let Err(error) = server.json::<Json>(request).await {
                tracing::debug!(%error, "a scroll could not be ended");
            }
        });
    }
}

/// Where the documents of a search come from next.
enum Next {
    First,
    View(View),
    /// The page was full and the server keeps no view: what more there is cannot be asked for.
    Lost,
    Nowhere,
}

/// The documents of the search, with their values as the columns have them.
pub(super) fn pages(index: Arc<Index>, body: Json) -> Pages {
    let known = index.columns.iter().filter_map(|column| Some((column.clone(), mapping::known(column)?)));
    let known: Arc<Vec<(Column, Field)>> = Arc::new(known.collect());
    let size = body.get("size").and_then(Json::as_u64).unwrap_or_default();
    stream::try_unfold(Next::First, move |next| {
        let (index, body, known) = (index.clone(), body.clone(), known.clone());
        async move {
            let server = &index.server;
            let (request, view) = match next {
                Next::First => {
                    let query = [WHOLE[0], ("scroll", KEPT)];
                    (server.request(Method::POST, &[&index.index, "_search"], &query).json(&body), None)
                }
                Next::View(view) => {
                    let next = json!({"scroll": KEPT, "scroll_id": view.id});
                    (server.request(Method::POST, &["_search", "scroll"], &[]).json(&next), Some(view))
                }
                Next::Lost => {
                    let cause = "the server keeps no view of the search, and there may be more";
                    return Err(ConnectorError::QueryFailed { cause: Some(cause.into()) });
                }
                Next::Nowhere => return Ok(None),
            };
            let answer: Value = server.json(request).await?;
            let id = answer.get("_scroll_id").and_then(Value::as_str).map(str::to_owned);
            // Each page may name the view anew.
            let view = match (view, id) {
                (Some(mut view), Some(id)) => {
                    view.id = id;
                    Some(view)
                }
                (None, Some(id)) => Some(View { server: server.clone(), id }),
                (view, None) => view,
            };
            let mut documents = documents(answer)?;
            if documents.is_empty() {
                return Ok(None);
            }
            for document in &mut documents {
                for (name, value) in document {
                    if let Some((column, field)) = known.iter().find(|(column, _)| column.name == *name) {
                        let read = std::mem::replace(value, Value::Null);
                        *value = mapping::fit(column, field, read);
                    }
                }
            }
            let next = match view {
                Some(view) => Next::View(view),
                None if documents.len() as u64 >= size => Next::Lost,
                None => Next::Nowhere,
            };
            Ok::<_, ConnectorError>(Some((documents, next)))
        }
    })
    .into_stream()
    .boxed()
}

/// The documents of an answer, each with its name.
pub(super) fn documents(mut answer: Value) -> Result<Vec<Document>, ConnectorError> {
    let failed = answer.pointer("/_shards/failed").is_some_and(|failed| *failed != Value::Int(0));
    if failed || answer.get("timed_out") == Some(&Value::Bool(true)) {
        return Err(ConnectorError::QueryFailed { cause: Some("a part of the shards did not answer".into()) });
    }
    let hits = answer.take("hits").and_then(|mut hits| hits.take("hits"));
    let Some(Value::Array(hits)) = hits else { return Err(ConnectorError::QueryFailed { cause: None }) };
    let document = |mut hit: Value| {
        let mut document = hit.take("_source").and_then(Value::into_document).unwrap_or_default();
        document.push((ID.to_owned(), hit.take(ID).unwrap_or(Value::Null)));
        document
    };
    Ok(hits.into_iter().map(document).collect())
}
