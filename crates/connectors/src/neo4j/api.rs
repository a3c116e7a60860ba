//! The Query API, version 2, with its typed answers: whole numbers come as texts and lose nothing.

use reqwest::Method;
use reqwest::header::ACCEPT;
use serde_json::json;

use super::cypher::Statement;
use crate::ConnectorError;
use crate::api::Authorization;
use crate::documents::{Document, Value, parse_moment};
use crate::http::HttpSource;

/// One database of a server.
#[derive(Debug)]
pub(super) struct Api {
    pub http: HttpSource,
    pub authorization: Authorization,
    pub database: String,
}

impl Api {
    /// The rows that a statement answers.
    pub async fn rows(&self, statement: &Statement) -> Result<Vec<Vec<Value>>, ConnectorError> {
        let mut url = self.http.base().clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(["db", &self.database, "query", "v2"]);
        }
        let body = json!({"statement": statement.text, "parameters": statement.parameters, "accessMode": "READ"});
        let request =
            self.authorization.request(&self.http, Method::POST, url).header(ACCEPT, "application/vnd.neo4j.query");
        let mut answer: Value = self.http.json_patiently(request.json(&body)).await?;
        let unread = || ConnectorError::QueryFailed { cause: Some("an answer in another form than asked for".into()) };
        if answer.get("errors").and_then(Value::as_array).is_some_and(|errors| !errors.is_empty()) {
            return Err(ConnectorError::QueryFailed { cause: Some("the server reports errors".into()) });
        }
        let values = answer.take("data").and_then(|mut data| data.take("values"));
        let Some(Value::Array(rows)) = values else { return Err(unread()) };
        let row = |row| match row {
            Value::Array(values) => values.into_iter().map(typed).collect::<Option<Vec<_>>>().ok_or_else(unread),
            _ => Err(unread()),
        };
        rows.into_iter().map(row).collect()
    }
}

/// A value, of `{"$type": "Integer", "_value": "1"}`. What has no counterpart is its text.
fn typed(mut value: Value) -> Option<Value> {
    let kind = value.get("$type")?.as_str()?.to_owned();
    let value = value.take("_value").unwrap_or(Value::Null);
    Some(match (kind.as_str(), value) {
        ("Null", _) => Value::Null,
        ("Integer", Value::Text(text)) => Value::Int(text.parse().ok()?),
        ("Float", Value::Text(text)) => Value::Float(text.parse().ok()?),
        ("List", Value::Array(items)) => Value::Array(items.into_iter().map(typed).collect::<Option<_>>()?),
        ("Map", Value::Object(fields)) => Value::Object(members(fields)?),
        ("OffsetDateTime" | "ZonedDateTime", Value::Text(text)) => {
            // A zone's name may follow in brackets.
            let moment = text.split('[').next().and_then(parse_moment);
            moment.map_or(Value::Text(text), Value::Moment)
        }
        (_, plain) => plain,
    })
}

fn members(fields: Document) -> Option<Document> {
    fields.into_iter().map(|(name, value)| Some((name, typed(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn typed_values_are_read() {
        let read = |text: &str| typed(serde_json::from_str(text).unwrap());
        let nested = r#"{"$type": "Map", "_value": {"a": {"$type": "List", "_value": [{"$type": "Integer", "_value": "9007199254740993"}]},
            "b": {"$type": "Null", "_value": null}, "f": {"$type": "Float", "_value": "1.5"}, "t": {"$type": "Boolean", "_value": true}}}"#;
        assert_eq!(read(nested).unwrap().to_text(), r#"{"a":[9007199254740993],"b":null,"f":1.5,"t":true}"#);
        let moment = r#"{"$type": "ZonedDateTime", "_value": "2024-01-01T00:00:00+01:00[Europe/Berlin]"}"#;
        assert_eq!(read(moment), Some(Value::Moment(1_704_063_600_000_000)));
        assert_eq!(read(r#"{"$type": "Date", "_value": "2024-01-01"}"#), Some(Value::text("2024-01-01")));
        assert_eq!(read("1"), None);
    }
}
