//! The first gate for SQL that a planner wrote: exactly one statement, and that one a SELECT.
//!
//! The query engine checks again, and more; this gate exists so that a model's mistake can be sent
//! back to the model.

use std::ops::ControlFlow;

use datafusion::sql::sqlparser::ast::{Query, SetExpr, Statement, Visit, Visitor};
use datafusion::sql::sqlparser::dialect::GenericDialect;
use datafusion::sql::sqlparser::parser::Parser;

/// Deeper nesting than a question can ask for is refused before it can exhaust the stack.
const DEEPEST_NESTING: usize = 40;

/// Longer text than a question can need.
const LONGEST_SQL: usize = 64 * 1024;

/// Why a text is not one SELECT.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotOneSelect {
    /// There is nothing in it.
    #[error("there is no SQL in it")]
    Empty,
    /// It is longer than any question needs.
    #[error("the SQL is longer than {LONGEST_SQL} bytes")]
    TooLong,
    /// There is a zero byte in it, which no database that keeps a record of it need take.
    #[error("there is a zero byte in the SQL")]
    ZeroByte,
    /// It does not parse.
    #[error("the SQL does not parse: {0}")]
    Syntax(String),
    /// There is more than one statement.
    #[error("there are {0} statements, only one SELECT is accepted")]
    Several(usize),
    /// The statement, or a part of it, writes or changes something.
    #[error("only a SELECT is accepted")]
    NotSelect,
}

/// Checks that `sql` is one SELECT and returns it in the parser's spelling, without comments and
/// without a semicolon at its end.
pub fn require_single_select(sql: &str) -> Result<String, NotOneSelect> {
    if sql.len() > LONGEST_SQL {
        return Err(NotOneSelect::TooLong);
    }
    if sql.contains('\0') {
        return Err(NotOneSelect::ZeroByte);
    }
    let mut statements = Parser::new(&GenericDialect {})
        .with_recursion_limit(DEEPEST_NESTING)
        .try_with_sql(sql)
        .and_then(|mut parser| parser.parse_statements())
        .map_err(|error| NotOneSelect::Syntax(error.to_string()))?;
    let statement = match (statements.pop(), statements.len()) {
        (None, _) => return Err(NotOneSelect::Empty),
        (Some(statement), 0) => statement,
        (Some(_), others) => return Err(NotOneSelect::Several(others + 1)),
    };
    if !matches!(statement, Statement::Query(_)) || statement.visit(&mut ReadsOnly).is_break() {
        return Err(NotOneSelect::NotSelect);
    }
    Ok(statement.to_string())
}

/// Walks every query inside a statement and stops at the first that does more than read.
struct ReadsOnly;

impl Visitor for ReadsOnly {
    type Break = ();

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<()> {
        if query.locks.is_empty() && reads_only(&query.body) {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }
}

fn reads_only(body: &SetExpr) -> bool {
    match body {
        SetExpr::Select(select) => select.into.is_none(),
        SetExpr::SetOperation { left, right, .. } => reads_only(left) && reads_only(right),
        // Its own body is visited as a query in its turn.
        SetExpr::Query(_) => true,
        SetExpr::Values(_) | SetExpr::Table(_) => false,
        SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_select_passes_without_comments_and_semicolon() {
        assert_eq!(require_single_select("select 1 /* a */ ; -- b").as_deref(), Ok("SELECT 1"));
        assert!(require_single_select("WITH a AS (SELECT 1) SELECT * FROM a UNION SELECT 2").is_ok());
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(require_single_select(" ; "), Err(NotOneSelect::Empty));
        assert_eq!(require_single_select("SELECT 'a\0b'"), Err(NotOneSelect::ZeroByte));
        assert_eq!(require_single_select("SELECT 1; SELECT 2"), Err(NotOneSelect::Several(2)));
        for sql in [
            "DROP TABLE a",
            "INSERT INTO a SELECT 1",
            "DELETE FROM a",
            "UPDATE a SET b = 1",
            "CREATE TABLE a AS SELECT 1",
            "COPY (SELECT 1) TO 'x.csv'",
            "EXPLAIN SELECT 1",
            "SET a = 1",
            "SELECT 1 INTO b",
            "SELECT * FROM a FOR UPDATE",
            "SELECT * FROM (SELECT 1 INTO b) c",
            "WITH a AS (DELETE FROM b RETURNING *) SELECT * FROM a",
        ] {
            let refused = require_single_select(sql);
            assert!(matches!(refused, Err(NotOneSelect::NotSelect | NotOneSelect::Syntax(_))), "{sql}: {refused:?}");
        }
        let deep = format!("SELECT {}1{}", "(".repeat(5000), ")".repeat(5000));
        assert!(matches!(require_single_select(&deep), Err(NotOneSelect::Syntax(_))));
        assert_eq!(require_single_select(&"x".repeat(LONGEST_SQL + 1)), Err(NotOneSelect::TooLong));
    }
}
