//! Tables of an OpenAPI document: each GET without a path parameter that answers an array of objects.
//!
//! Read are OpenAPI 3 and Swagger 2, as JSON. References lead within the document only.

use std::collections::BTreeMap;

use serde_json::Value;

use super::endpoint::{Endpoint, Pagination, is_below, table_name};

/// References that lead to references.
const LONGEST_CHAIN: usize = 16;

/// The endpoints that a document describes; they page as `pagination` says.
pub(super) fn endpoints(document: &Value, pagination: Option<&Pagination>) -> Result<Vec<Endpoint>, &'static str> {
    let paths =
        document.get("paths").and_then(Value::as_object).ok_or("is not an OpenAPI document: it has no paths")?;
    let mut endpoints: Vec<Endpoint> = Vec::new();
    for (path, item) in paths {
        let Some(operation) = item.get("get") else { continue };
        let required = [item, operation].into_iter().any(|holder| needs_parameter(document, holder));
        let Some((rows, schema)) = answer(document, operation).filter(|_| !required && is_below(path)) else {
            continue;
        };
        let name = table_name(path);
        if endpoints.iter().any(|known| known.name == name) {
            continue;
        }
        endpoints.push(Endpoint {
            name,
            path: path.clone(),
            rows: Some(rows),
            parameters: BTreeMap::new(),
            pagination: pagination.cloned(),
            filters: BTreeMap::new(),
            timestamps: moments(document, schema),
            description: text(operation, "summary").or_else(|| text(operation, "description")),
        });
    }
    if endpoints.is_empty() {
        return Err("describes no GET without parameters that returns an array of objects");
    }
    Ok(endpoints)
}

fn text(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

fn needs_parameter(document: &Value, holder: &Value) -> bool {
    let parameters = holder.get("parameters").and_then(Value::as_array).into_iter().flatten();
    parameters.filter_map(|parameter| resolve(document, parameter)).any(|parameter| {
        let required = parameter.get("required").and_then(Value::as_bool).unwrap_or(false);
        // Of Accept and the like a client always has one.
        required && parameter.get("in").and_then(Value::as_str) != Some("header")
    })
}

/// Where the rows stand in the answer, and what a row looks like.
fn answer<'a>(document: &'a Value, operation: &'a Value) -> Option<(String, &'a Value)> {
    let responses = operation.get("responses")?;
    let response = ["200", "2XX", "default"].into_iter().find_map(|status| responses.get(status))?;
    let response = resolve(document, response)?;
    let schema = match response.get("content") {
        Some(content) => content.as_object()?.iter().find(|(media, _)| is_json(media))?.1.get("schema")?,
        None => response.get("schema")?,
    };
    let schema = resolve(document, schema)?;
    if let Some(row) = row(document, schema) {
        return Some((String::new(), row));
    }
    let members = schema.get("properties")?.as_object()?;
    let mut arrays = members.iter().filter_map(|(name, member)| {
        let row = row(document, resolve(document, member)?)?;
        Some((format!("/{}", name.replace('~', "~0").replace('/', "~1")), row))
    });
    // Of two arrays nobody knows which are the rows.
    arrays.next().filter(|_| arrays.next().is_none())
}

fn is_json(media: &str) -> bool {
    let media = media.split(';').next().unwrap_or_default().trim();
    media == "application/json" || media.ends_with("+json") || media == "*/*"
}

/// The objects of an array.
fn row<'a>(document: &'a Value, schema: &'a Value) -> Option<&'a Value> {
    let items = resolve(document, schema.get("items").filter(|_| is(schema, "array"))?)?;
    (is(items, "object") || items.get("properties").is_some() || items.get("allOf").is_some()).then_some(items)
}

/// OpenAPI 3.1 has lists of types.
fn is(schema: &Value, name: &str) -> bool {
    match schema.get("type") {
        Some(Value::String(kind)) => kind == name,
        Some(Value::Array(kinds)) => kinds.iter().any(|kind| kind == name),
        _ => false,
    }
}

/// The members that are written by RFC 3339.
fn moments(document: &Value, row: &Value) -> Vec<String> {
    let parts = row.get("allOf").and_then(Value::as_array).into_iter().flatten();
    let parts = parts.filter_map(|part| resolve(document, part)).chain([row]);
    let members = parts.filter_map(|part| part.get("properties")?.as_object()).flatten();
    let moments = members.filter(|(_, member)| {
        resolve(document, member).is_some_and(|member| member.get("format").is_some_and(|format| format == "date-time"))
    });
    moments.map(|(name, _)| name.clone()).collect()
}

fn resolve<'a>(document: &'a Value, mut value: &'a Value) -> Option<&'a Value> {
    for _ in 0..LONGEST_CHAIN {
        match value.get("$ref").and_then(Value::as_str) {
            Some(reference) => value = document.pointer(reference.strip_prefix('#')?)?,
            None => return Some(value),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn gets_that_answer_arrays_are_tables() {
        let document = json!({
            "openapi": "3.1.0",
            "paths": {
                "/pets": {"get": {"summary": "All pets", "responses": {"200": {"$ref": "#/components/responses/Pets"}}}},
                "/pets/{id}": {"get": {"parameters": [{"name": "id", "in": "path", "required": true}],
                    "responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/Pet"}}}}}}},
                "/store/orders": {"get": {"responses": {"200": {"content": {"application/json; charset=utf-8": {"schema":
                    {"type": "object", "properties": {"total": {"type": "integer"},
                        "items": {"type": ["array", "null"], "items": {"$ref": "#/components/schemas/Pet"}}}}}}}}}},
                "/search": {"get": {"parameters": [{"name": "q", "in": "query", "required": true}],
                    "responses": {"200": {"$ref": "#/components/responses/Pets"}}}},
                "/names": {"get": {"responses": {"200": {"content": {"application/json": {"schema":
                    {"type": "array", "items": {"type": "string"}}}}}}}},
                "/loop": {"get": {"responses": {"200": {"$ref": "#/components/responses/Loop"}}}},
                "/away": {"get": {"responses": {"200": {"$ref": "https://elsewhere.example/x#/y"}}}},
                "/post": {"post": {}}
            },
            "components": {
                "responses": {
                    "Pets": {"content": {"application/json": {"schema": {"type": "array", "items": {"$ref": "#/components/schemas/Pet"}}}}},
                    "Loop": {"$ref": "#/components/responses/Loop"}
                },
                "schemas": {"Pet": {"type": "object", "properties": {"id": {"type": "integer"}, "born": {"type": "string", "format": "date-time"}}}}
            }
        });
        let found = endpoints(&document, None).unwrap();
        let shown: Vec<_> = found.iter().map(|e| (e.name.as_str(), e.rows.as_deref().unwrap())).collect();
        assert_eq!(shown, [("pets", ""), ("store_orders", "/items")]);
        assert_eq!(found[0].timestamps, ["born"]);
        assert_eq!(found[0].description.as_deref(), Some("All pets"));
        assert!(endpoints(&json!({"paths": {}}), None).is_err());
        assert!(endpoints(&json!([]), None).is_err());
    }

    #[test]
    fn swagger_is_read_too() {
        let document = json!({
            "swagger": "2.0",
            "paths": {"/users": {"get": {"responses": {"200": {"schema": {"type": "array", "items": {"$ref": "#/definitions/User"}}}}}}},
            "definitions": {"User": {"properties": {"name": {"type": "string"}}}}
        });
        assert_eq!(endpoints(&document, None).unwrap()[0].name, "users");
    }
}
