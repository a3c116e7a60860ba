//! A picture for an answer, as a Vega-Lite specification over a data set called `result`: the rows as objects.
//!
//! ```text
//! time, number              line           category, number      bars, the longest first
//! time, category, number    lines          two categories, number  bars beside one another
//! number, number            points         anything else           none: the table is the picture
//! ```

use std::collections::BTreeSet;

use rivergen_query::QueryColumn;
use serde_json::{Map, Value, json};

/// More bars than this are no picture.
const MOST_BARS: usize = 50;
/// More points than this are not drawn apart.
const MOST_POINTS: usize = 5_000;

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Time,
    Number,
    Category,
    /// Not to be drawn.
    Other,
}

/// The specification, where the columns and rows make a picture.
pub(crate) fn propose(columns: &[QueryColumn], rows: &[Map<String, Value>]) -> Option<Value> {
    if rows.len() < 2 || rows.len() > MOST_POINTS || columns.len() > 4 {
        return None;
    }
    let roles: Vec<Role> = columns.iter().map(|column| role(column, rows)).collect();
    let of = |wanted: Role| -> Vec<&QueryColumn> {
        columns.iter().zip(&roles).filter(|(_, role)| **role == wanted).map(|(column, _)| column).collect()
    };
    let (times, numbers, categories) = (of(Role::Time), of(Role::Number), of(Role::Category));
    let labels: Vec<&QueryColumn> = times.iter().chain(&categories).copied().collect();
    if !labels.is_empty() && !are_apart(&labels, rows) {
        return None;
    }
    let (mark, encoding) = match (times.as_slice(), categories.as_slice(), numbers.as_slice()) {
        ([time], [], [number, ..]) => ("line", json!({"x": axis(time, "temporal"), "y": axis(number, "quantitative")})),
        ([time], [group], [number]) => (
            "line",
            json!({"x": axis(time, "temporal"), "y": axis(number, "quantitative"), "color": axis(group, "nominal")}),
        ),
        ([], [category], [number, ..]) if rows.len() <= MOST_BARS => {
            let mut bars = axis(category, "nominal");
            bars["sort"] = json!("-x");
            ("bar", json!({"y": bars, "x": axis(number, "quantitative")}))
        }
        ([], [category, group], [number]) if rows.len() <= MOST_BARS => (
            "bar",
            // Stacked, averages would add up.
            json!({"y": axis(category, "nominal"), "x": axis(number, "quantitative"), "color": axis(group, "nominal"),
                "yOffset": axis(group, "nominal")}),
        ),
        ([], [], [one, other]) => ("point", json!({"x": axis(one, "quantitative"), "y": axis(other, "quantitative")})),
        _ => return None,
    };
    Some(json!({"$schema": "https://vega.github.io/schema/vega-lite/v5.json", "data": {"name": "result"},
        "mark": {"type": mark, "tooltip": true}, "encoding": encoding}))
}

/// Whether each row has labels of its own: of bars in one place one is seen, and a line would run up and down.
fn are_apart(labels: &[&QueryColumn], rows: &[Map<String, Value>]) -> bool {
    let mut seen = BTreeSet::new();
    let told = |row: &Map<String, Value>| -> Vec<String> {
        labels.iter().map(|label| row.get(&label.name).map(Value::to_string).unwrap_or_default()).collect()
    };
    rows.iter().all(|row| seen.insert(told(row)))
}

fn role(column: &QueryColumn, rows: &[Map<String, Value>]) -> Role {
    let kind = column.data_type.as_str();
    match kind {
        "date" => Role::Time,
        _ if kind.starts_with("timestamp") => Role::Time,
        "smallint" | "integer" | "bigint" | "real" | "float" | "double" => Role::Number,
        _ if kind.starts_with("decimal") => Role::Number,
        "boolean" => Role::Category,
        // Texts that are values, not documents.
        "text" => {
            let long =
                |row: &Map<String, Value>| row.get(&column.name).and_then(Value::as_str).is_some_and(|t| t.len() > 80);
            if rows.iter().any(long) { Role::Other } else { Role::Category }
        }
        _ => Role::Other,
    }
}

fn axis(column: &QueryColumn, kind: &str) -> Value {
    // In a field's name these are a path.
    let mut field = String::new();
    for character in column.name.chars() {
        if matches!(character, '.' | '[' | ']' | '\\') {
            field.push('\\');
        }
        field.push(character);
    }
    json!({"field": field, "type": kind, "title": column.name})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str, data_type: &str) -> QueryColumn {
        QueryColumn { name: name.into(), data_type: data_type.into(), masked: false }
    }

    fn rows(count: usize) -> Vec<Map<String, Value>> {
        let row =
            |n: usize| Map::from_iter(["region", "month"].map(|name| (name.to_owned(), json!(format!("{name} {n}")))));
        (0..count).map(row).collect()
    }

    #[test]
    fn groups_are_bars_and_months_are_a_line() {
        let bars = propose(&[column("region", "text"), column("n", "bigint")], &rows(3)).unwrap();
        assert_eq!((&bars["mark"]["type"], &bars["encoding"]["y"]["field"]), (&json!("bar"), &json!("region")));
        let line = propose(&[column("month", "timestamp"), column("sum(a.b)", "decimal(38,2)")], &rows(3)).unwrap();
        assert_eq!((&line["mark"]["type"], &line["encoding"]["y"]["field"]), (&json!("line"), &json!("sum(a\\.b)")));
    }

    #[test]
    fn what_is_no_picture_has_none() {
        assert!(propose(&[column("n", "bigint")], &rows(1)).is_none());
        assert!(propose(&[column("region", "text"), column("n", "bigint")], &rows(MOST_BARS + 1)).is_none());
        assert!(propose(&[column("name", "text"), column("mail", "text")], &rows(3)).is_none());
        let twice = [rows(2), rows(2)].concat();
        for label in [column("region", "text"), column("month", "date")] {
            assert!(propose(&[label, column("n", "bigint")], &twice).is_none());
        }
    }
}
