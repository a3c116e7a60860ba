//! DynamoDB: its tables in the schema `tables`.
//!
//! Items have no schema but their keys, so a sample tells the columns; numbers are exact decimals, whole ones integers.
//! Where a filter fixes the partition key the items are queried, else the table is scanned; further filters narrow at
//! the server, which compares numbers exactly and texts by their bytes, as the engine does.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use datafusion::arrow::datatypes::DataType;
use futures::{StreamExt, TryStreamExt, stream};
use rivergen_kernel::error::FieldError;
use serde_json::{Map, Value as Json, json};

use super::{Aws, Service};
use crate::documents::{
    Collection, Column, Condition, Decimal, Described, Document, OpenedStore, Operator, Pages, Scan, Store, TableName,
    Value, sampled,
};
use crate::{
    Abilities, Connector, ConnectorError, Credentials, DataSourceType, OpenedSource, SourceConfig, SourceContext,
};

const SERVICE: Service =
    Service { name: "dynamodb", target: "DynamoDB_20120810", content_type: "application/x-amz-json-1.0" };
const SCHEMA: &str = "tables";
/// Items that tell what the columns are.
const SAMPLED: u32 = 500;
/// An expression is at most 4 KiB; what does not fit any more is compared here.
const LONGEST_EXPRESSION: usize = 3_000;
/// Operands of one IN.
const LONGEST_LIST: usize = 100;
const LONGEST_TEXT: usize = 1_024;

/// Reads DynamoDB.
#[derive(Debug)]
pub(super) struct Dynamodb;

#[async_trait]
impl Connector for Dynamodb {
    fn kind(&self) -> DataSourceType {
        DataSourceType::Dynamodb
    }

    fn abilities(&self) -> Abilities {
        Abilities::SCANS
    }

    fn form(&self) -> Json {
        super::form("DynamoDB", json!({}), &["region"])
    }

    fn validate(&self, config: &SourceConfig, credentials: &Credentials) -> Vec<FieldError> {
        super::validate(config, credentials, SERVICE)
    }

    async fn open(&self, source: &SourceContext) -> Result<Arc<dyn OpenedSource>, ConnectorError> {
        Ok(Arc::new(OpenedStore::new(Tables { aws: Arc::new(Aws::open(source, SERVICE)?) }, source)))
    }
}

/// The tables of one region.
#[derive(Debug)]
struct Tables {
    aws: Arc<Aws>,
}

#[async_trait]
impl Store for Tables {
    async fn probe(&self) -> Result<Option<String>, ConnectorError> {
        self.aws.call("ListTables", &json!({"Limit": 1})).await.map(|_| None)
    }

    async fn tables(&self, _schema: Option<&str>) -> Result<Vec<TableName>, ConnectorError> {
        let mut names = Vec::new();
        let mut input = json!({"Limit": 100});
        loop {
            let answer = self.aws.call("ListTables", &input).await?;
            let found = answer.get("TableNames").and_then(Value::as_array).unwrap_or_default();
            names.extend(found.iter().filter_map(Value::as_str).map(|name| TableName::new(SCHEMA, name)));
            match answer.get("LastEvaluatedTableName").and_then(Value::as_str) {
                Some(last) if names.len() < 1_000 => input["ExclusiveStartTableName"] = json!(last),
                _ => return Ok(names),
            }
        }
    }

    async fn describe(&self, table: &TableName) -> Result<Described, ConnectorError> {
        let not_found = || ConnectorError::NotFound { what: format!("table {}.{}", table.schema, table.table) };
        if table.schema != SCHEMA {
            return Err(not_found());
        }
        let name = json!({"TableName": table.table});
        let answer = self.aws.call("DescribeTable", &name).await.map_err(|error| match error {
            ConnectorError::NotFound { .. } => not_found(),
            error => error,
        })?;
        let described = answer.get("Table").ok_or(ConnectorError::QueryFailed { cause: None })?;
        let answer = self.aws.call("Scan", &json!({"TableName": table.table, "Limit": SAMPLED})).await?;
        let items: Vec<Document> = items(answer)?;
        let mut found: BTreeMap<String, Column> = BTreeMap::new();
        let mut order = Vec::new();
        for column in sampled(&items) {
            order.push(column.name.clone());
            found.insert(column.name.clone(), column);
        }
        let mut columns = Vec::new();
        for key in described.get("KeySchema").and_then(Value::as_array).unwrap_or_default() {
            let text = |name| key.get(name).and_then(Value::as_str);
            let Some(name) = text("AttributeName") else { continue };
            let column = found.remove(name).unwrap_or_else(|| empty_key(described, name));
            columns.push(column.into_key().with_native(json!(text("KeyType"))));
        }
        columns.extend(order.iter().filter_map(|name| found.remove(name)));
        let rows = match described.get("ItemCount") {
            Some(Value::Int(rows)) => u64::try_from(*rows).ok(),
            _ => None,
        };
        Ok(Described { columns, rows, comment: None })
    }

    fn collection(&self, table: &TableName, columns: &[Column]) -> Result<Arc<dyn Collection>, ConnectorError> {
        Ok(Arc::new(Table { aws: self.aws.clone(), name: table.table.clone(), columns: columns.to_vec() }))
    }
}

/// The column of a key that no item shows.
fn empty_key(described: &Value, name: &str) -> Column {
    let attributes = described.get("AttributeDefinitions").and_then(Value::as_array).unwrap_or_default();
    let attribute = attributes.iter().find(|a| a.get("AttributeName").and_then(Value::as_str) == Some(name));
    match attribute.and_then(|attribute| attribute.get("AttributeType")).and_then(Value::as_str) {
        Some("N") => Column::new(name, "decimal", DataType::Decimal128(Decimal::DIGITS as u8, 10)),
        Some("B") => Column::new(name, "binary", DataType::Binary),
        _ => Column::new(name, "text", DataType::Utf8),
    }
}

/// The items of an answer; of one that only counts, as many empty ones.
fn items(mut answer: Value) -> Result<Vec<Document>, ConnectorError> {
    match answer.take("Items") {
        Some(Value::Array(items)) => items.into_iter().map(item).collect(),
        _ => match answer.get("Count") {
            Some(Value::Int(count)) => Ok(vec![Document::new(); usize::try_from(*count).unwrap_or_default()]),
            _ => Err(ConnectorError::QueryFailed { cause: None }),
        },
    }
}

fn item(item: Value) -> Result<Document, ConnectorError> {
    let unread = || ConnectorError::QueryFailed { cause: Some("an attribute of an unknown type".into()) };
    let fields = item.into_document().ok_or_else(unread)?;
    fields.into_iter().map(|(name, attribute)| Ok((name, value(attribute).ok_or_else(unread)?))).collect()
}

/// A value, of `{"S": "text"}` and the like.
fn value(attribute: Value) -> Option<Value> {
    let (kind, value) = attribute.into_document()?.into_iter().next()?;
    let bytes = |text: &Value| STANDARD.decode(text.as_str()?).ok().map(Value::Bytes);
    let number = |text: &Value| Value::number(text.as_str()?);
    Some(match (kind.as_str(), value) {
        ("S", Value::Text(text)) => Value::Text(text),
        ("N", text) => number(&text)?,
        ("BOOL", Value::Bool(value)) => Value::Bool(value),
        ("NULL", _) => Value::Null,
        ("B", text) => bytes(&text)?,
        ("SS", Value::Array(items)) => Value::Array(items),
        ("NS", Value::Array(items)) => Value::Array(items.iter().map(number).collect::<Option<_>>()?),
        ("BS", Value::Array(items)) => Value::Array(items.iter().map(bytes).collect::<Option<_>>()?),
        ("L", Value::Array(items)) => Value::Array(items.into_iter().map(self::value).collect::<Option<_>>()?),
        ("M", Value::Object(fields)) => {
            let fields = fields.into_iter().map(|(name, attribute)| Some((name, self::value(attribute)?)));
            Value::Object(fields.collect::<Option<_>>()?)
        }
        _ => return None,
    })
}

/// One table.
#[derive(Debug)]
struct Table {
    aws: Arc<Aws>,
    name: String,
    columns: Vec<Column>,
}

impl Table {
    fn is_key(&self, column: &str, kind: &str) -> bool {
        self.columns.iter().any(|known| known.name == column && known.native == kind)
    }

    /// The call, and its input.
    fn input(&self, scan: &Scan) -> (&'static str, Json) {
        let mut expression = Expression::default();
        let partition = scan.conditions.iter().flat_map(conjuncts).find_map(|condition| match condition {
            Condition::Compare { column, operator: Operator::Equal, value } if self.is_key(column, "HASH") => {
                Some((column, value))
            }
            _ => None,
        });
        let mut input = json!({"TableName": self.name});
        if let Some((column, value)) = partition
            && let Some(key) = expression.compare(column, Operator::Equal, value)
        {
            input["KeyConditionExpression"] = json!(key);
        }
        let operation = if input.get("KeyConditionExpression").is_some() { "Query" } else { "Scan" };
        let mut filters: Vec<String> = Vec::new();
        for condition in &scan.conditions {
            // A query does not filter by keys.
            let of_keys = condition.columns().iter().any(|c| self.is_key(c, "HASH") || self.is_key(c, "RANGE"));
            if operation == "Query" && of_keys {
                continue;
            }
            let mut longer = expression.clone();
            if let Some(filter) = longer.condition(condition)
                && filters.iter().map(|filter| filter.len() + 7).sum::<usize>() + filter.len() < LONGEST_EXPRESSION
            {
                filters.push(format!("({filter})"));
                expression = longer;
            }
        }
        if !filters.is_empty() {
            input["FilterExpression"] = json!(filters.join(" AND "));
        } else if let (Some(limit), "Scan") = (scan.limit, operation) {
            input["Limit"] = json!(limit.clamp(1, 10_000));
        }
        if scan.fields.is_empty() {
            input["Select"] = json!("COUNT");
        } else {
            let mut wider = expression.clone();
            let fields: Vec<String> = scan.fields.iter().map(|field| wider.name(field)).collect();
            let projection = fields.join(", ");
            if projection.len() < LONGEST_EXPRESSION {
                input["ProjectionExpression"] = json!(projection);
                expression = wider;
            }
        }
        if !expression.names.is_empty() {
            input["ExpressionAttributeNames"] = Json::Object(expression.names);
        }
        if !expression.values.is_empty() {
            input["ExpressionAttributeValues"] = Json::Object(expression.values);
        }
        (operation, input)
    }
}

fn conjuncts(condition: &Condition) -> Vec<&Condition> {
    match condition {
        Condition::All(parts) => parts.iter().flat_map(conjuncts).collect(),
        one => vec![one],
    }
}

impl Collection for Table {
    fn accepts(&self, condition: &Condition) -> bool {
        Expression::default().condition(condition).is_some_and(|filter| filter.len() < LONGEST_EXPRESSION)
    }

    fn scan(self: Arc<Self>, scan: Scan) -> Pages {
        let (operation, input) = self.input(&scan);
        let input = Arc::new(input);
        stream::try_unfold(Some(None), move |start: Option<Option<Json>>| {
            let (table, input) = (self.clone(), input.clone());
            async move {
                let Some(start) = start else { return Ok(None) };
                let mut input = (*input).clone();
                if let Some(start) = start {
                    input["ExclusiveStartKey"] = start;
                }
                let mut answer = table.aws.call(operation, &input).await?;
                let last = answer.take("LastEvaluatedKey").filter(|key| key.as_object().is_some_and(|k| !k.is_empty()));
                let last = last.map(serde_json::to_value).transpose().map_err(ConnectorError::internal)?;
                Ok::<_, ConnectorError>(Some((items(answer)?, last.map(Some))))
            }
        })
        .into_stream()
        .boxed()
    }
}

/// An expression in the making: names and values stand in it by placeholders.
#[derive(Debug, Clone, Default)]
struct Expression {
    names: Map<String, Json>,
    values: Map<String, Json>,
}

impl Expression {
    fn name(&mut self, name: &str) -> String {
        if let Some((known, _)) = self.names.iter().find(|(_, known)| *known == name) {
            return known.clone();
        }
        let placeholder = format!("#n{}", self.names.len());
        self.names.insert(placeholder.clone(), json!(name));
        placeholder
    }

    fn value(&mut self, value: &Value) -> Option<String> {
        let attribute = match value {
            Value::Bool(value) => json!({ "BOOL": value }),
            Value::Int(value) => json!({"N": value.to_string()}),
            Value::Decimal(value) => json!({"N": value.to_string()}),
            // Keys cannot be compared with an empty text.
            Value::Text(text) if !text.is_empty() && text.len() <= LONGEST_TEXT => json!({ "S": text }),
            _ => return None,
        };
        let placeholder = format!(":v{}", self.values.len());
        self.values.insert(placeholder.clone(), attribute);
        Some(placeholder)
    }

    fn compare(&mut self, column: &str, operator: Operator, value: &Value) -> Option<String> {
        let operator = match operator {
            Operator::Equal => "=",
            Operator::NotEqual => "<>",
            Operator::Less => "<",
            Operator::LessOrEqual => "<=",
            Operator::Greater => ">",
            Operator::GreaterOrEqual => ">=",
        };
        let value = self.value(value)?;
        Some(format!("{} {operator} {value}", self.name(column)))
    }

    /// What leaves out no item for which the condition holds.
    fn condition(&mut self, condition: &Condition) -> Option<String> {
        match condition {
            Condition::Compare { value: Value::Bool(_), operator, .. }
                if !matches!(operator, Operator::Equal | Operator::NotEqual) =>
            {
                None
            }
            Condition::Compare { column, operator, value } => self.compare(column, *operator, value),
            Condition::In { column, values } if values.len() <= LONGEST_LIST => {
                let values = values.iter().map(|value| self.value(value)).collect::<Option<Vec<_>>>()?;
                Some(format!("{} IN ({})", self.name(column), values.join(", ")))
            }
            Condition::In { .. } => None,
            Condition::Prefix { column, prefix } => {
                let prefix = self.value(&Value::text(prefix))?;
                Some(format!("begins_with({}, {prefix})", self.name(column)))
            }
            Condition::Null { column } => {
                let name = self.name(column);
                self.values.insert(":null".to_owned(), json!({"S": "NULL"}));
                Some(format!("attribute_not_exists({name}) OR attribute_type({name}, :null)"))
            }
            Condition::NotNull { column } => Some(format!("attribute_exists({})", self.name(column))),
            Condition::All(parts) => {
                let mut written = Vec::new();
                for part in parts {
                    let mut longer = self.clone();
                    if let Some(part) = longer.condition(part) {
                        *self = longer;
                        written.push(part);
                    }
                }
                let parts = written;
                (!parts.is_empty())
                    .then(|| parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" AND "))
            }
            Condition::Any(parts) => {
                let parts = parts.iter().map(|part| self.condition(part)).collect::<Option<Vec<_>>>()?;
                Some(parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" OR "))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_read_exactly() {
        let read = |text: &str| value(serde_json::from_str(text).unwrap());
        assert_eq!(read(r#"{"N": "12.50"}"#), Some(Value::Decimal(Decimal { digits: 125, scale: 1 })));
        assert_eq!(read(r#"{"N": "7"}"#), Some(Value::Int(7)));
        assert_eq!(read(r#"{"B": "AP8="}"#), Some(Value::Bytes(vec![0, 255])));
        let nested = read(r#"{"M": {"a": {"L": [{"NULL": true}, {"BOOL": false}]}, "b": {"NS": ["1", "2"]}}}"#);
        assert_eq!(nested.unwrap().to_text(), r#"{"a":[null,false],"b":[1,2]}"#);
        assert_eq!(read(r#"{"X": "1"}"#), None);
    }

    #[test]
    fn an_unused_placeholder_is_never_sent() {
        let mut expression = Expression::default();
        let long = Condition::Compare {
            column: "a".into(),
            operator: Operator::Equal,
            value: Value::text("x".repeat(LONGEST_TEXT + 1)),
        };
        assert_eq!(expression.condition(&long), None);
        assert!(expression.names.is_empty() && expression.values.is_empty());
    }
}
