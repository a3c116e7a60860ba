//! What is asked, in Cypher: values are parameters, and names are quoted.

use serde_json::{Map, Value as Json, json};

use super::{END, ID, START};
use crate::documents::{Condition, Operator, Scan, Value};

/// A statement and its parameters.
#[derive(Debug, Clone, Default)]
pub(super) struct Statement {
    pub text: String,
    pub parameters: Map<String, Json>,
}

/// Which elements: `(e:`Person`)` or `()-[e:`KNOWS`]->()`.
#[derive(Debug, Clone)]
pub(super) struct Elements {
    pattern: String,
    relationships: bool,
}

/// A backtick ends a name unless it is doubled. Before a statement is parsed, a backslash, `u` and four digits become the
/// character that they name, within names too: so a backslash is itself written in that way.
fn quote(name: &str) -> String {
    format!("`{}`", name.replace('`', "``").replace('\\', "\\u005C"))
}

impl Elements {
    pub fn nodes(label: &str) -> Self {
        Self { pattern: format!("(e:{})", quote(label)), relationships: false }
    }

    pub fn relationships(of: &str) -> Self {
        Self { pattern: format!("()-[e:{}]->()", quote(of)), relationships: true }
    }

    pub fn is_relationship(&self) -> bool {
        self.relationships
    }

    pub fn count(&self) -> Statement {
        Statement::of(&format!("MATCH {} RETURN count(e)", self.pattern))
    }

    /// The properties of some.
    pub fn sample(&self, count: u64) -> Statement {
        Statement::of(&format!("MATCH {} RETURN properties(e) LIMIT {count}", self.pattern))
    }

    /// The next elements in order of their numbers, each with its number and what is wanted of it.
    pub fn page(&self, scan: &Scan, after: Option<i64>, size: u64) -> Statement {
        let mut statement = Statement::default();
        let mut conditions: Vec<String> = Vec::new();
        if let Some(after) = after {
            statement.parameters.insert("after".to_owned(), json!(after));
            conditions.push("id(e) > $after".to_owned());
        }
        for condition in &scan.conditions {
            if let Some(text) = statement.condition(condition) {
                conditions.push(format!("({text})"));
            }
        }
        let fields: Vec<String> =
            scan.fields.iter().map(|field| format!("{}: {}", quote(field), reading(field))).collect();
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        statement.text = format!(
            "MATCH {}{filter} RETURN id(e) AS number, {{{}}} AS row ORDER BY number LIMIT {size}",
            self.pattern,
            fields.join(", ")
        );
        statement
    }
}

/// What a column is read by.
fn reading(column: &str) -> String {
    match column {
        ID => "elementId(e)".to_owned(),
        START => "elementId(startNode(e))".to_owned(),
        END => "elementId(endNode(e))".to_owned(),
        name => format!("e.{}", quote(name)),
    }
}

/// Dates, durations and points are read as texts, and are equal to none there: where a column is compared with texts, those
/// that hold something else are compared here.
fn or_no_text(column: &str, condition: String, with_texts: bool) -> String {
    match column {
        ID | START | END => condition,
        _ if with_texts => format!("{condition} OR NOT {} IS :: STRING", reading(column)),
        _ => condition,
    }
}

impl Statement {
    pub fn of(text: &str) -> Self {
        Self { text: text.to_owned(), parameters: Map::new() }
    }

    fn parameter(&mut self, value: Json) -> String {
        let name = format!("p{}", self.parameters.len());
        self.parameters.insert(name.clone(), value);
        format!("${name}")
    }

    /// What leaves out no element for which the condition holds.
    pub fn condition(&mut self, condition: &Condition) -> Option<String> {
        match condition {
            Condition::Compare { column, operator, value } => {
                let compared = self.compare(&reading(column), *operator, value)?;
                Some(or_no_text(column, compared, matches!(value, Value::Text(_))))
            }
            Condition::In { column, values } => {
                let literals = values.iter().map(literal).collect::<Option<Vec<_>>>()?;
                let of_texts = literals.iter().any(Json::is_string);
                let list = self.parameter(json!(literals));
                Some(or_no_text(column, format!("{} IN {list}", reading(column)), of_texts))
            }
            Condition::Prefix { column, prefix } => {
                let prefix = self.parameter(json!(prefix));
                Some(or_no_text(column, format!("{} STARTS WITH {prefix}", reading(column)), true))
            }
            Condition::Null { column } => Some(format!("{} IS NULL", reading(column))),
            Condition::NotNull { column } => Some(format!("{} IS NOT NULL", reading(column))),
            Condition::All(parts) => {
                let parts: Vec<_> = parts.iter().filter_map(|part| self.condition(part)).collect();
                (!parts.is_empty())
                    .then(|| parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" AND "))
            }
            Condition::Any(parts) => {
                let parts = parts.iter().map(|part| self.condition(part)).collect::<Option<Vec<_>>>()?;
                Some(parts.iter().map(|part| format!("({part})")).collect::<Vec<_>>().join(" OR "))
            }
        }
    }

    fn compare(&mut self, column: &str, operator: Operator, value: &Value) -> Option<String> {
        let sign = match (operator, value) {
            (Operator::Equal, _) => "=",
            // Texts are ordered by UTF-16 there, and by UTF-8 here.
            (Operator::NotEqual, Value::Text(_) | Value::Int(_) | Value::Bool(_)) => "<>",
            (Operator::Less, Value::Int(_)) => "<",
            (Operator::LessOrEqual, Value::Int(_) | Value::Float(_)) => "<=",
            (Operator::Greater, Value::Int(_)) => ">",
            (Operator::GreaterOrEqual, Value::Int(_) | Value::Float(_)) => ">=",
            _ => return None,
        };
        let parameter = self.parameter(literal(value)?);
        let compared = format!("{column} {sign} {parameter}");
        // Nothing is greater than NaN here, and nothing is compared with it there.
        let nan = matches!(value, Value::Float(_)) && operator == Operator::GreaterOrEqual;
        Some(if nan { format!("{compared} OR {column} <> {column}") } else { compared })
    }
}

fn literal(value: &Value) -> Option<Json> {
    match value {
        Value::Bool(value) => Some(json!(value)),
        Value::Int(value) => Some(json!(value)),
        Value::Float(value) => Some(json!(value)),
        Value::Text(text) => Some(json!(text)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_escapes_its_quotes() {
        let scan = Scan {
            fields: vec!["_id".into(), "a`}) DETACH DELETE e //".into()],
            conditions: vec![Condition::Compare {
                column: "name".into(),
                operator: Operator::Equal,
                value: Value::text("' OR 1=1"),
            }],
            limit: None,
        };
        let statement = Elements::nodes("Per`son").page(&scan, Some(7), 10);
        assert_eq!(
            statement.text,
            "MATCH (e:`Per``son`) WHERE id(e) > $after AND (e.`name` = $p1 OR NOT e.`name` IS :: STRING) RETURN id(e) AS number, \
             {`_id`: elementId(e), `a``}) DETACH DELETE e //`: e.`a``}) DETACH DELETE e //`} AS row ORDER BY number LIMIT 10"
        );
        assert_eq!(Json::Object(statement.parameters), json!({"after": 7, "p1": "' OR 1=1"}));
        let sample = Elements::nodes(r"a\u0060) DETACH DELETE e //").sample(1);
        assert_eq!(sample.text, r"MATCH (e:`a\u005Cu0060) DETACH DELETE e //`) RETURN properties(e) LIMIT 1");
    }

    #[test]
    fn only_what_is_ordered_alike_is_compared() {
        let accepted = |operator, value| {
            Statement::default().condition(&Condition::Compare { column: "a".into(), operator, value })
        };
        assert_eq!(accepted(Operator::Less, Value::text("x")), None);
        assert_eq!(accepted(Operator::NotEqual, Value::Float(1.0)), None);
        assert_eq!(accepted(Operator::GreaterOrEqual, Value::Float(1.0)).unwrap(), "e.`a` >= $p0 OR e.`a` <> e.`a`");
    }
}
