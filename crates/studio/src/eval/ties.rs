//! Which rows of a gold query stand in an order, and which share a place.
//!
//! `ORDER BY count(*) DESC` says nothing about two groups of three, and `LIMIT 1` lets the database choose between them: what
//! SQLite answers first is an accident of its plan, so any of the rows that share a place is right there. To tell them, the
//! gold query is asked once more, with what it orders by as further columns and without its limit.

use datafusion::sql::sqlparser::{
    ast::{Expr, LimitClause, OrderByKind, Query, SelectItem, SetExpr, Statement, Value},
    dialect::SQLiteDialect,
    parser::Parser,
};

/// A query whose rows tell which of them share a place.
#[derive(Debug, PartialEq)]
pub(super) struct Keyed {
    pub sql: String,
    /// Columns that were added at the end.
    pub added: usize,
    /// What is ordered by, that the query answers anyway: indexes of its columns.
    pub own: Vec<usize>,
}

/// The gold query in that form; `None` where it has no order, or one that cannot be told so: of a `DISTINCT` by what it does
/// not answer, of a union, or from an offset.
pub(super) fn keyed(sql: &str) -> Option<Keyed> {
    let mut statements = Parser::parse_sql(&SQLiteDialect {}, sql).ok()?;
    let Statement::Query(mut query) = statements.pop()? else { return None };
    let keys = keys_of(&query)?;
    if !matches!(query.limit_clause.take(), None | Some(LimitClause::LimitOffset { offset: None, .. })) {
        return None;
    }
    let SetExpr::Select(select) = query.body.as_mut() else { return None };
    let (mut own, mut added) = (Vec::new(), 0);
    for key in keys {
        match answered(&key, &select.projection) {
            Some(index) => own.push(index),
            // Rows that differ in it alone would be several.
            None if select.distinct.is_some() => return None,
            None => {
                select.projection.push(SelectItem::UnnamedExpr(key));
                added += 1;
            }
        }
    }
    Some(Keyed { sql: query.to_string(), added, own })
}

fn keys_of(query: &Query) -> Option<Vec<Expr>> {
    match &query.order_by.as_ref()?.kind {
        OrderByKind::Expressions(keys) if !keys.is_empty() => Some(keys.iter().map(|key| key.expr.clone()).collect()),
        _ => None,
    }
}

/// Which column of the query the key is: by its place, by its name, or because it is written the same.
fn answered(key: &Expr, projection: &[SelectItem]) -> Option<usize> {
    if projection.iter().any(|item| !matches!(item, SelectItem::UnnamedExpr(_) | SelectItem::ExprWithAlias { .. })) {
        // How many columns a star stands for is not known here.
        return None;
    }
    if let Expr::Value(value) = key {
        let Value::Number(place, _) = &value.value else { return None };
        return place.parse::<usize>().ok()?.checked_sub(1).filter(|place| *place < projection.len());
    }
    let same = |one: &Expr, other: &Expr| one.to_string().eq_ignore_ascii_case(&other.to_string());
    projection.iter().position(|item| match item {
        SelectItem::ExprWithAlias { alias, expr } => {
            matches!(key, Expr::Identifier(name) if name.value.eq_ignore_ascii_case(&alias.value)) || same(expr, key)
        }
        SelectItem::UnnamedExpr(expr) => same(expr, key),
        _ => false,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(sql: &str) -> Option<(String, usize, Vec<usize>)> {
        keyed(sql).map(|keyed| (keyed.sql, keyed.added, keyed.own))
    }

    #[test]
    fn what_is_ordered_by_is_answered_and_the_limit_goes() {
        assert_eq!(
            told("SELECT name FROM cities GROUP BY name ORDER BY count(*) DESC, name LIMIT 3"),
            Some(("SELECT name, count(*) FROM cities GROUP BY name ORDER BY count(*) DESC, name".into(), 1, vec![0]))
        );
        assert_eq!(
            told("SELECT name, count(*) AS c FROM cities GROUP BY 1 ORDER BY C"),
            Some(("SELECT name, count(*) AS c FROM cities GROUP BY 1 ORDER BY C".into(), 0, vec![1]))
        );
        assert_eq!(told("SELECT DISTINCT name FROM cities ORDER BY NAME").map(|(_, _, own)| own), Some(vec![0]));
    }

    #[test]
    fn what_cannot_be_told_is_not() {
        for sql in [
            "SELECT name FROM cities",
            "SELECT DISTINCT name FROM cities ORDER BY people",
            "SELECT name FROM cities ORDER BY people LIMIT 3 OFFSET 3",
            "SELECT name FROM cities UNION SELECT name FROM towns ORDER BY 1",
            "SELECT name FROM (SELECT name FROM cities ORDER BY people LIMIT 3)",
        ] {
            assert_eq!(told(sql), None, "{sql}");
        }
    }
}
