//! What a GraphQL API can be asked for.

use std::collections::HashMap;

use datafusion::arrow::datatypes::{DataType, Field, Fields};
use serde::Deserialize;
use serde_json::{Value as Json, json};

use crate::ConnectorError;
use crate::documents::{Column, Value, moment};

/// The part of the standard's introspection that is needed.
pub(super) const QUERY: &str = "query Introspection { __schema { queryType { name } types { kind name \
    fields { name description args { name defaultValue type { ...T } } type { ...T } } } } } \
    fragment T on __Type { kind name ofType { kind name ofType { kind name ofType { kind name ofType { kind name } } } } }";

/// A field of the root query that is a table.
#[derive(Debug, PartialEq)]
pub(super) struct RootField {
    pub name: String,
    pub description: Option<String>,
    pub columns: Vec<Column>,
    pub rows: RowsAt,
    pub paging: Paging,
}

/// Where the rows stand in what the field answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowsAt {
    List,
    /// `edges { node }` of a connection.
    Edges,
    /// `nodes` of a connection.
    Nodes,
}

/// How the next rows are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Paging {
    None,
    /// `first` and `after`, with `pageInfo`.
    Cursor,
    /// Arguments for the number of rows and for those that are passed over.
    Offset {
        size: String,
        offset: String,
    },
}

#[derive(Deserialize)]
struct Schema {
    #[serde(rename = "queryType")]
    query_type: Named,
    types: Vec<Type>,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

#[derive(Deserialize)]
struct Type {
    kind: String,
    name: String,
    #[serde(default)]
    fields: Option<Vec<TypeField>>,
}

#[derive(Deserialize)]
struct TypeField {
    name: String,
    #[serde(default)]
    description: Option<String>,
    #[serde(default)]
    args: Vec<Argument>,
    #[serde(rename = "type")]
    of: TypeRef,
}

#[derive(Deserialize)]
struct Argument {
    name: String,
    #[serde(rename = "defaultValue", default)]
    default: Option<String>,
    #[serde(rename = "type")]
    of: TypeRef,
}

#[derive(Deserialize)]
struct TypeRef {
    kind: String,
    #[serde(default)]
    name: Option<String>,
    #[serde(rename = "ofType", default)]
    inner: Option<Box<TypeRef>>,
}

impl TypeRef {
    /// The type below NON_NULL.
    fn bare(&self) -> Option<&TypeRef> {
        if self.kind == "NON_NULL" { self.inner.as_deref() } else { Some(self) }
    }

    /// What a list is of.
    fn items(&self) -> Option<&TypeRef> {
        self.bare().filter(|of| of.kind == "LIST")?.inner.as_deref()?.bare()
    }

    fn is_object(&self) -> bool {
        matches!(self.kind.as_str(), "OBJECT" | "INTERFACE")
    }
}

impl TypeField {
    /// Whether it can be asked for without arguments, but for those that are given.
    fn needs_nothing_but(&self, given: &[&str]) -> bool {
        self.args
            .iter()
            .all(|arg| arg.default.is_some() || arg.of.kind != "NON_NULL" || given.contains(&arg.name.as_str()))
    }

    fn argument(&self, names: &[&str]) -> Option<String> {
        let found = names.iter().find(|name| self.args.iter().any(|arg| arg.name == **name))?;
        Some((*found).to_owned())
    }
}

struct Types(HashMap<String, Type>);

impl Types {
    fn fields(&self, of: &TypeRef) -> &[TypeField] {
        let found = of.name.as_ref().and_then(|name| self.0.get(name)).filter(|found| found.kind == of.kind);
        found.and_then(|found| found.fields.as_deref()).unwrap_or_default()
    }

    fn field(&self, of: &TypeRef, name: &str) -> Option<&TypeField> {
        self.fields(of).iter().find(|field| field.name == name)
    }

    fn table(&self, field: &TypeField, depth: usize) -> Option<RootField> {
        let answer = field.of.bare()?;
        let (row, rows, paging) = match answer.items() {
            Some(row) => {
                let size = field.argument(&["limit", "first", "take"]);
                let paging = match (size, field.argument(&["offset", "skip"])) {
                    (Some(size), Some(offset)) => Paging::Offset { size, offset },
                    _ => Paging::None,
                };
                (row, RowsAt::List, paging)
            }
            None => {
                let list = |of, name| self.field(of, name).and_then(|field| field.of.items());
                let node = |edge| self.field(edge, "node").and_then(|node| node.of.bare());
                let (row, rows) = match (list(answer, "edges").and_then(node), list(answer, "nodes")) {
                    (Some(row), _) => (row, RowsAt::Edges),
                    (None, Some(row)) => (row, RowsAt::Nodes),
                    (None, None) => return None,
                };
                let pages = field.argument(&["first"]).is_some()
                    && field.argument(&["after"]).is_some()
                    && self.field(answer, "pageInfo").is_some();
                (row, rows, if pages { Paging::Cursor } else { Paging::None })
            }
        };
        let given: Vec<&str> = match &paging {
            Paging::None => Vec::new(),
            Paging::Cursor => vec!["first", "after"],
            Paging::Offset { size, offset } => vec![size, offset],
        };
        if !row.is_object() || !field.needs_nothing_but(&given) {
            return None;
        }
        let columns: Vec<Column> = self.members(row, depth).into_iter().map(Member::column).collect();
        (!columns.is_empty()).then(|| RootField {
            name: field.name.clone(),
            description: field.description.clone().filter(|text| !text.is_empty()),
            columns,
            rows,
            paging,
        })
    }

    fn members(&self, of: &TypeRef, depth: usize) -> Vec<Member> {
        let fields =
            self.fields(of).iter().filter(|field| field.needs_nothing_but(&[]) && !field.name.starts_with("__"));
        fields.filter_map(|field| self.member(field, depth)).collect()
    }

    fn member(&self, field: &TypeField, depth: usize) -> Option<Member> {
        let of = field.of.bare()?;
        let (written, selection, data_type) = match of.items() {
            Some(items) => {
                let name = items.name.as_deref()?;
                let data_type = leaf(items)?.unwrap_or(DataType::Utf8);
                (format!("[{name}]"), field.name.clone(), Some(DataType::new_list(data_type, true)))
            }
            None if of.is_object() => {
                let inner = if depth > 0 { self.members(of, depth - 1) } else { Vec::new() };
                if inner.is_empty() {
                    return None;
                }
                let selections: Vec<_> = inner.iter().map(|member| member.selection.as_str()).collect();
                let selection = format!("{} {{ {} }}", field.name, selections.join(" "));
                let fields = inner
                    .iter()
                    .map(|member| Field::new(&member.name, member.data_type.clone().unwrap_or(DataType::Utf8), true));
                (of.name.clone()?, selection, Some(DataType::Struct(fields.collect::<Fields>())))
            }
            None => (of.name.clone()?, field.name.clone(), leaf(of)?),
        };
        let (name, comment) = (field.name.clone(), field.description.clone().filter(|text| !text.is_empty()));
        Some(Member { name, written, selection, data_type, comment })
    }
}

/// A field of an object that can be selected.
struct Member {
    name: String,
    written: String,
    selection: String,
    /// `None` where any value may come.
    data_type: Option<DataType>,
    comment: Option<String>,
}

impl Member {
    fn column(self) -> Column {
        let column = match self.data_type {
            Some(data_type) => Column::new(self.name, self.written, data_type),
            None => Column::mixed(self.name, self.written),
        };
        Column { comment: self.comment, ..column.with_native(json!(self.selection)) }
    }
}

/// The type of a scalar or enum; what an API's own scalar holds nobody knows.
fn leaf(of: &TypeRef) -> Option<Option<DataType>> {
    match (of.kind.as_str(), of.name.as_deref()?) {
        ("ENUM", _) | ("SCALAR", "String" | "ID") => Some(Some(DataType::Utf8)),
        ("SCALAR", "Int") => Some(Some(DataType::Int64)),
        ("SCALAR", "Float") => Some(Some(DataType::Float64)),
        ("SCALAR", "Boolean") => Some(Some(DataType::Boolean)),
        // By its specification (scalars.graphql.org) a moment by RFC 3339.
        ("SCALAR", "DateTime") => Some(Some(moment())),
        ("SCALAR", _) => Some(None),
        _ => None,
    }
}

/// The tables of an API, from the answer to [`QUERY`].
pub(super) fn root_fields(answer: &Value, depth: usize) -> Result<Vec<RootField>, ConnectorError> {
    let schema = answer.get("__schema").map(Value::to_text).unwrap_or_default();
    let schema: Schema = serde_json::from_str(&schema).map_err(|_| {
        ConnectorError::Unsupported("the API does not allow introspection, which its tables come from".into())
    })?;
    let types = Types(schema.types.into_iter().map(|found| (found.name.clone(), found)).collect());
    let root = TypeRef { kind: "OBJECT".into(), name: Some(schema.query_type.name), inner: None };
    Ok(types.fields(&root).iter().filter_map(|field| types.table(field, depth)).collect())
}

/// The selection of a column.
pub(super) fn selection(column: &Column) -> Option<&str> {
    match &column.native {
        Json::String(selection) => Some(selection),
        _ => None,
    }
}
