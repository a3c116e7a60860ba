//! Spider's four difficulties, by the counts of its own evaluation, from the parsed SQL that its questions come with.

use serde_json::Value;

/// The number of `like` among Spider's operators.
const LIKE: i64 = 9;

/// `1 easy` to `4 extra`, so that they sort.
pub(super) fn of_spider(sql: &Value) -> &'static str {
    let (components, nested, others) = (components(sql), nested(sql), others(sql));
    if components <= 1 && others == 0 && nested == 0 {
        "1 easy"
    } else if nested == 0 && ((others <= 2 && components <= 1) || (components <= 2 && others < 2)) {
        "2 medium"
    } else if (nested == 0 && ((others > 2 && components <= 2) || (components == 3 && others <= 2)))
        || (components <= 1 && others == 0 && nested <= 1)
    {
        "3 hard"
    } else {
        "4 extra"
    }
}

fn list<'a>(value: &'a Value, path: &str) -> &'a [Value] {
    value.pointer(path).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default()
}

/// The conditions, and the words between them.
fn conditions(sql: &Value) -> impl Iterator<Item = &Value> {
    ["/from/conds", "/where", "/having"].into_iter().flat_map(|part| list(sql, part))
}

fn components(sql: &Value) -> usize {
    let is_there = |part: &str| usize::from(!list(sql, part).is_empty());
    let limit = usize::from(!sql["limit"].is_null());
    let joins = list(sql, "/from/table_units").len().saturating_sub(1);
    let ors = conditions(sql).filter(|condition| *condition == "or").count();
    let likes = conditions(sql).filter(|condition| condition[1].as_i64() == Some(LIKE)).count();
    is_there("/where") + is_there("/groupBy") + is_there("/orderBy") + limit + joins + ors + likes
}

fn nested(sql: &Value) -> usize {
    let inner = conditions(sql).filter(|condition| condition[3].is_object() || condition[4].is_object()).count();
    inner + ["intersect", "except", "union"].iter().filter(|part| !sql[**part].is_null()).count()
}

fn others(sql: &Value) -> usize {
    let selected = list(sql, "/select/1");
    let aggregates = selected.iter().filter(|column| column[0].as_i64().is_some_and(|aggregate| aggregate > 0)).count()
        + list(sql, "/orderBy/1")
            .iter()
            .filter(|unit| unit[1][0].as_i64().is_some_and(|aggregate| aggregate > 0))
            .count()
        + list(sql, "/having").iter().filter(|condition| condition[2][1][0].as_i64().is_some_and(|a| a > 0)).count();
    let conditions = list(sql, "/where").iter().filter(|condition| condition.is_array()).count();
    [aggregates, selected.len(), conditions, list(sql, "/groupBy").len()].iter().filter(|count| **count > 1).count()
}
