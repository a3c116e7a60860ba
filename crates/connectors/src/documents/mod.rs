//! Collections of documents as tables: what all sources that are no SQL databases share.
//!
//! ```text
//!   Store        a source: which collections it has, and what their documents look like
//!     sample ─▶ Shape ─▶ Columns         shape.rs    once, at discovery
//!   Collection   pages of documents, narrowed by conditions that it can answer
//!     Expr ─▶ Condition ─▶ scan ─▶ documents ─▶ RecordBatch     condition.rs, table.rs, exec.rs, rows.rs
//! ```
//!
//! **Types** come from the source where it has a schema, else from a bounded sample of documents. What holds values of
//! several kinds is read as text: texts as they are, the rest as JSON. A later document may hold what the sample did
//! not show: a value that has no place in its column's type is an error that names the column, never another value;
//! a field that is no column is not read.
//!
//! **Filters** are narrowed at the source and checked again in the engine. A [`Condition`] therefore need not mean
//! exactly what the expression means; it must hold for every row for which the expression holds. Each source accepts
//! the conditions that it can answer under this rule, by a positive list, and the limit is left to the source only
//! where there is no filter.
//!
//! Arrow's own JSON reader is not used: it reads the text `"1"` as the number 1 and rounds decimals where a table
//! that people trust must say so, and it knows neither moments nor bytes. Its error names no column.

mod condition;
mod exec;
mod rows;
mod shape;
mod store;
mod table;
mod value;

use std::fmt;
use std::sync::Arc;

use futures::stream::BoxStream;

use crate::ConnectorError;

pub use exec::DocumentExec;

pub(crate) use condition::{Condition, Operator};
pub(crate) use shape::{Column, moment, sampled};
pub(crate) use store::{Described, OpenedStore, Store, TableName};
pub(crate) use value::{Decimal, Document, Value, parse_moment};

/// Documents of one kind that can be read page by page.
pub(crate) trait Collection: fmt::Debug + Send + Sync + 'static {
    /// Whether the source can narrow by the condition: leave out no document for which it holds.
    fn accepts(&self, condition: &Condition) -> bool;

    /// Reads once the stream is polled, and stops when it is dropped. A page is what the source answers at a time,
    /// and bounded.
    fn scan(self: Arc<Self>, scan: Scan) -> Pages;
}

/// Pages of documents.
pub(crate) type Pages = BoxStream<'static, Result<Vec<Document>, ConnectorError>>;

/// What is wanted of a collection.
#[derive(Debug, Clone, Default)]
pub(crate) struct Scan {
    /// The fields that are read; other ones may be left out. Empty where rows are only counted.
    pub fields: Vec<String>,
    /// All must hold; each was accepted.
    pub conditions: Vec<Condition>,
    /// So many documents are enough.
    pub limit: Option<usize>,
}
