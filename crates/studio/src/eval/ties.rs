//! Which rows of a gold query share a place in its order.
//!
//! `ORDER BY count(*) DESC` says nothing about two groups of three, and `LIMIT 1` lets the database choose between them: what
//! SQLite answers first is an accident of its plan, so any of the rows that share a place is right there. To tell them, the
//! gold query is asked once more, without its limit and with the place of each row as a column at the end.

use datafusion::sql::sqlparser::{
    ast::{Distinct, Expr, LimitClause, OrderByExpr, OrderByKind, Query, SelectItem, SetExpr, Statement, Value},
    dialect::SQLiteDialect,
    parser::Parser,
};

/// The gold query in that form; `None` where it has no order, or one that cannot be told so: of a `DISTINCT` by what it does
/// not answer, of a union, or from an offset.
pub(super) fn with_places(sql: &str) -> Option<String> {
    let statements = Parser::parse_sql(&SQLiteDialect {}, sql).ok()?;
    let [Statement::Query(query)] = statements.as_slice() else { return None };
    let mut query: Query = (**query).clone();
    let OrderByKind::Expressions(keys) = &query.order_by.as_ref()?.kind else { return None };
    let keys = keys.clone();
    if !matches!(query.limit_clause.take(), None | Some(LimitClause::LimitOffset { offset: None, .. })) {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let is_distinct = matches!(select.distinct, Some(Distinct::Distinct | Distinct::On(_)));
    let mut ordered = Vec::new();
    for key in &keys {
        let named = named(&key.expr, &select.projection)?;
        let is_answered = || {
            select.projection.iter().any(|item| match item {
                SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => is_same(expr, &named),
                _ => false,
            })
        };
        if is_distinct && !is_answered() {
            // Rows that differ in it alone would be several.
            return None;
        }
        ordered.push(OrderByExpr { expr: named.clone(), ..key.clone() }.to_string());
    }
    // A text that is no number, which would be rounded.
    let place = format!("SELECT 'p' || CAST(dense_rank() OVER (ORDER BY {}) AS TEXT)", ordered.join(", "));
    let place = Parser::parse_sql(&SQLiteDialect {}, &place).ok()?;
    let [Statement::Query(place)] = place.as_slice() else { return None };
    let SetExpr::Select(place) = place.body.as_ref() else { return None };
    select.projection.extend(place.projection.iter().cloned());
    Some(query.to_string())
}

/// What is ordered by, spelled out where it is the place or the name of a column of the answer.
fn named(key: &Expr, projection: &[SelectItem]) -> Option<Expr> {
    if let Expr::Value(value) = key {
        let Value::Number(place, _) = &value.value else { return None };
        let is_one = |item: &SelectItem| matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. });
        // How many columns a star stands for is not known here.
        let answered = projection.iter().all(is_one).then_some(projection)?;
        return match answered.get(place.parse::<usize>().ok()?.checked_sub(1)?)? {
            SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. } => Some(expr.clone()),
            _ => None,
        };
    }
    // A name that was given comes before a column that is called so.
    let given = projection.iter().find_map(|item| match (item, key) {
        (SelectItem::ExprWithAlias { expr, alias }, Expr::Identifier(name))
            if name.value.eq_ignore_ascii_case(&alias.value) =>
        {
            Some(expr.clone())
        }
        _ => None,
    });
    Some(given.unwrap_or_else(|| key.clone()))
}

fn is_same(one: &Expr, other: &Expr) -> bool {
    one.to_string().eq_ignore_ascii_case(&other.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_answered_and_the_limit_goes() {
        for (sql, with) in [
            (
                "SELECT name FROM cities GROUP BY name ORDER BY count(*) DESC, name LIMIT 3",
                "SELECT name, 'p' || CAST(dense_rank() OVER (ORDER BY count(*) DESC, name) AS TEXT) FROM cities GROUP BY name \
                 ORDER BY count(*) DESC, name",
            ),
            (
                "SELECT a AS b, b AS a FROM t ORDER BY a",
                "SELECT a AS b, b AS a, 'p' || CAST(dense_rank() OVER (ORDER BY b) AS TEXT) FROM t ORDER BY a",
            ),
            (
                "SELECT name, count(*) FROM cities GROUP BY name ORDER BY 2",
                "SELECT name, count(*), 'p' || CAST(dense_rank() OVER (ORDER BY count(*)) AS TEXT) FROM cities GROUP BY name \
                 ORDER BY 2",
            ),
            (
                "SELECT DISTINCT name FROM cities ORDER BY NAME",
                "SELECT DISTINCT name, 'p' || CAST(dense_rank() OVER (ORDER BY NAME) AS TEXT) FROM cities ORDER BY NAME",
            ),
        ] {
            assert_eq!(with_places(sql).as_deref(), Some(with));
        }
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        for sql in [
            "SELECT name FROM cities",
            "SELECT * FROM cities ORDER BY 1",
            "SELECT DISTINCT name FROM cities ORDER BY people",
            "SELECT name FROM cities ORDER BY people LIMIT 3 OFFSET 3",
            "SELECT name FROM cities UNION SELECT name FROM towns ORDER BY 1",
            "SELECT name FROM (SELECT name FROM cities ORDER BY people LIMIT 3)",
        ] {
            assert_eq!(with_places(sql), None, "{sql}");
        }
    }
}
