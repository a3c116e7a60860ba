//! From text to one statement that may be planned.
//!
//! Accepted is exactly one query (`SELECT`, `WITH`, `UNION`, `VALUES`, …) or `EXPLAIN` of one, which becomes a dry run.
//! What would write, lock, leave the catalogue or call a table function is refused here, before planning; so is
//! text whose tree would be too deep or whose `WITH` would unfold into too many tables.

use std::{
    collections::{BTreeSet, HashMap},
    ops::ControlFlow,
};

use datafusion::sql::sqlparser::{
    ast::{ObjectName, Query, Select, SetExpr, Statement, TableFactor, Visit, Visitor},
    dialect::GenericDialect,
    keywords::Keyword,
    parser::Parser,
    tokenizer::{Token, Tokenizer, Whitespace},
};
use rivergen_policies::rule::TableName;

use crate::error::QueryError;

/// Longest text of a statement.
pub const MAX_STATEMENT_CHARS: usize = 100_000;
/// Deepest nesting of brackets, subqueries and the like.
const MAX_NESTING: usize = 60;
/// Most operators: a chain of them (`a OR b OR …`) is a tree as deep as the chain is long.
const MAX_OPERATORS: usize = 1_500;
/// Most parts of a dotted name.
const MAX_NAME_PARTS: usize = 8;
/// Most tables that a statement reads, each use of a `WITH` counted with all that it reads.
const MAX_TABLES: u64 = 100;

/// A statement that passed.
#[derive(Debug)]
pub struct Accepted {
    pub query: Box<Query>,
    /// The caller asked for the plan, not for the rows.
    pub explain: bool,
    /// The tables that it names, `WITH` names left out.
    pub relations: Vec<ObjectName>,
}

/// Reads and checks a statement.
pub fn accept(sql: &str) -> Result<Accepted, QueryError> {
    if sql.chars().count() > MAX_STATEMENT_CHARS {
        return Err(QueryError::invalid(format!("The query is longer than {MAX_STATEMENT_CHARS} characters.")));
    }
    let dialect = GenericDialect {};
    let tokens = Tokenizer::new(&dialect, sql)
        .tokenize_with_location()
        .map_err(|error| QueryError::invalid(format!("The query cannot be read: {error}")))?;
    check_depth(tokens.iter().map(|token| &token.token))?;

    let mut statements = Parser::new(&dialect)
        .with_recursion_limit(MAX_NESTING)
        .with_tokens_with_locations(tokens)
        .parse_statements()
        .map_err(|error| QueryError::invalid(format!("The query cannot be read: {error}")))?;
    let statement = match (statements.pop(), statements.is_empty()) {
        (Some(statement), true) => statement,
        (None, _) => return Err(QueryError::invalid("The query is empty.")),
        _ => return Err(QueryError::invalid("Send one statement at a time.")),
    };
    let (query, explain) = match statement {
        Statement::Query(query) => (query, false),
        Statement::Explain { statement, analyze: false, query_plan: false, estimate: false, .. } => match *statement {
            Statement::Query(query) => (query, true),
            _ => return Err(read_only()),
        },
        Statement::Explain { .. } => {
            return Err(QueryError::invalid("Only plain EXPLAIN is available: it shows the plan and runs nothing."));
        }
        _ => return Err(read_only()),
    };
    let mut check = Check { frames: Vec::new(), relations: Vec::new(), tables: 0 };
    match query.visit(&mut check) {
        ControlFlow::Break(error) => Err(error),
        ControlFlow::Continue(()) => Ok(Accepted { query, explain, relations: check.relations }),
    }
}

/// The statement with `?` for each literal, and without comments: what it asks, without the values that it asks for.
pub fn without_literals(sql: &str) -> String {
    let Ok(tokens) = Tokenizer::new(&GenericDialect {}, sql).tokenize() else { return "?".to_owned() };
    let is_comment =
        |space: &Whitespace| matches!(space, Whitespace::SingleLineComment { .. } | Whitespace::MultiLineComment(_));
    let told = tokens.iter().map(|token| match token {
        Token::Word(_) => token.to_string(),
        Token::Whitespace(space) if is_comment(space) => " ".to_owned(),
        Token::Whitespace(_) => token.to_string(),
        // Signs have no letter and no digit; whatever else has some is a literal of some kind.
        other => Some(other.to_string()).filter(|text| !text.contains(holds_value)).unwrap_or_else(|| "?".to_owned()),
    });
    told.collect()
}

/// The words of a statement, those of names and of its language, in small letters.
pub fn words(sql: &str) -> BTreeSet<String> {
    let tokens = Tokenizer::new(&GenericDialect {}, sql).tokenize().unwrap_or_default();
    let words = tokens.into_iter().filter_map(|token| match token {
        Token::Word(word) => Some(word.value.to_lowercase()),
        _ => None,
    });
    words.collect()
}

/// A name as a statement has it, whatever letters are in it.
pub fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// The same of a table, with its source and its schema.
pub fn quoted_table(name: &TableName) -> String {
    [&name.catalog, &name.schema, &name.table].map(|part| quoted(part)).join(".")
}

fn holds_value(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '\'' | '"' | '$')
}

fn read_only() -> QueryError {
    QueryError::invalid("Only a single read-only query can be run: SELECT, WITH … SELECT, or EXPLAIN of one.")
}

fn unsupported(what: &str) -> ControlFlow<QueryError> {
    ControlFlow::Break(QueryError::invalid(format!("{what} is not available in queries.")))
}

/// Operators chain without brackets, so the parser's own limit does not see them; the tree that they make is deep.
fn check_depth<'a>(tokens: impl Iterator<Item = &'a Token>) -> Result<(), QueryError> {
    let (mut operators, mut dots) = (0, 0);
    for token in tokens {
        match token {
            Token::Whitespace(_) => continue,
            Token::Period => dots += 1,
            Token::Word(word) => match word.keyword {
                Keyword::AND
                | Keyword::OR
                | Keyword::XOR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::NOTNULL
                | Keyword::IN
                | Keyword::LIKE
                | Keyword::ILIKE
                | Keyword::RLIKE
                | Keyword::REGEXP
                | Keyword::SIMILAR
                | Keyword::BETWEEN
                | Keyword::COLLATE
                | Keyword::AT
                | Keyword::DIV
                | Keyword::UNION
                | Keyword::EXCEPT
                | Keyword::INTERSECT
                | Keyword::MINUS
                | Keyword::JOIN => operators += 1,
                _ => continue,
            },
            Token::Comma
            | Token::LParen
            | Token::RParen
            | Token::Number(..)
            | Token::SingleQuotedString(_)
            | Token::Placeholder(_)
            | Token::SemiColon
            | Token::EOF => dots = 0,
            _ => {
                dots = 0;
                operators += 1;
            }
        }
        if operators > MAX_OPERATORS {
            return Err(QueryError::invalid(format!("The query has more than {MAX_OPERATORS} operators.")));
        }
        if dots >= MAX_NAME_PARTS {
            return Err(QueryError::invalid(format!("A name has more than {MAX_NAME_PARTS} parts.")));
        }
    }
    Ok(())
}

/// Looks at every node of the query.
struct Check {
    frames: Vec<Frame>,
    relations: Vec<ObjectName>,
    /// Tables read by everything seen so far, each use of a `WITH` unfolded.
    tables: u64,
}

/// One query under the visitor. Its `WITH` queries come first, in their order, then its body.
struct Frame {
    /// The names of the `WITH` queries that are still to come, the next one last.
    coming: Vec<String>,
    known: HashMap<String, u64>,
    tables: u64,
}

impl Check {
    fn add_tables(&mut self, tables: u64) -> ControlFlow<QueryError> {
        if let Some(frame) = self.frames.last_mut() {
            frame.tables = frame.tables.saturating_add(tables);
        }
        self.tables = self.tables.saturating_add(tables);
        if self.tables > MAX_TABLES {
            let message = format!("The query reads more than {MAX_TABLES} tables, counting each use of a WITH.");
            return ControlFlow::Break(QueryError::invalid(message));
        }
        ControlFlow::Continue(())
    }
}

impl Visitor for Check {
    type Break = QueryError;

    fn pre_visit_query(&mut self, query: &Query) -> ControlFlow<QueryError> {
        if !query.locks.is_empty() {
            return unsupported("FOR UPDATE or FOR SHARE");
        }
        if query.for_clause.is_some() || query.settings.is_some() || query.format_clause.is_some() {
            return unsupported("A FOR, SETTINGS or FORMAT clause");
        }
        if !query.pipe_operators.is_empty() {
            return unsupported("The pipe syntax");
        }
        let mut coming = Vec::new();
        if let Some(with) = &query.with {
            if with.recursive {
                return unsupported("WITH RECURSIVE");
            }
            coming.extend(with.cte_tables.iter().rev().map(|cte| cte.alias.name.value.to_lowercase()));
        }
        if let SetExpr::Insert(_) | SetExpr::Update(_) | SetExpr::Delete(_) | SetExpr::Merge(_) = query.body.as_ref() {
            return ControlFlow::Break(read_only());
        }
        self.frames.push(Frame { coming, known: HashMap::new(), tables: 0 });
        ControlFlow::Continue(())
    }

    fn post_visit_query(&mut self, _: &Query) -> ControlFlow<QueryError> {
        let Some(done) = self.frames.pop() else { return ControlFlow::Continue(()) };
        if let Some(parent) = self.frames.last_mut() {
            match parent.coming.pop() {
                Some(name) => {
                    parent.known.insert(name, done.tables);
                }
                None => parent.tables = parent.tables.saturating_add(done.tables),
            }
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_select(&mut self, select: &Select) -> ControlFlow<QueryError> {
        if select.into.is_some() {
            return ControlFlow::Break(read_only());
        }
        if !select.lateral_views.is_empty() || !select.connect_by.is_empty() || select.prewhere.is_some() {
            return unsupported("LATERAL VIEW, CONNECT BY or PREWHERE");
        }
        ControlFlow::Continue(())
    }

    fn pre_visit_relation(&mut self, relation: &ObjectName) -> ControlFlow<QueryError> {
        let name = relation.to_string().to_lowercase();
        let known = self.frames.iter().rev().find_map(|frame| frame.known.get(&name).copied());
        if known.is_none() {
            self.relations.push(relation.clone());
        }
        self.add_tables(known.unwrap_or(1))
    }

    fn pre_visit_table_factor(&mut self, factor: &TableFactor) -> ControlFlow<QueryError> {
        match factor {
            TableFactor::Table { args: Some(_), .. }
            | TableFactor::TableFunction { .. }
            | TableFactor::Function { .. } => unsupported("A table function"),
            TableFactor::Table { sample: Some(_), .. } | TableFactor::Derived { sample: Some(_), .. } => {
                unsupported("TABLESAMPLE")
            }
            TableFactor::Table { version: Some(_), .. } => unsupported("Time travel"),
            TableFactor::Table { .. }
            | TableFactor::Derived { .. }
            | TableFactor::NestedJoin { .. }
            | TableFactor::UNNEST { .. } => ControlFlow::Continue(()),
            _ => unsupported("PIVOT, UNPIVOT, MATCH_RECOGNIZE, JSON_TABLE and the like"),
        }
    }

    fn pre_visit_statement(&mut self, statement: &Statement) -> ControlFlow<QueryError> {
        match statement {
            Statement::Query(_) => ControlFlow::Continue(()),
            _ => ControlFlow::Break(read_only()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_literal_is_left_in_what_is_told_without_them() {
        for (sql, told) in [
            ("SELECT a, \"b c\" FROM t WHERE ssn = '078-05-1120'", "SELECT a, \"b c\" FROM t WHERE ssn = ?"),
            ("SELECT 1.5e3 + x -- 078\nFROM t /* 05 */ LIMIT 7", "SELECT ? + x FROM t LIMIT ?"),
            ("SELECT * FROM t WHERE a >= $1 AND c = X'ff'", "SELECT * FROM t WHERE a >= ? AND c = ?"),
            ("SELECT N'x', DATE '2020-01-01'", "SELECT ?, DATE ?"),
            ("SELECT $$!?$$, $a$+$a$", "SELECT ?, ?"),
            ("SELECT 'no end", "?"),
        ] {
            let words = without_literals(sql);
            assert_eq!(words.split_whitespace().collect::<Vec<_>>().join(" "), told, "{sql}");
        }
    }

    #[test]
    fn names_are_words_however_they_are_written() {
        let words = words("SELECT o.\"Card No\", SALARY FROM orders o WHERE x = 'email'");
        for word in ["card no", "salary", "orders", "select"] {
            assert!(words.contains(word), "{word}: {words:?}");
        }
        assert!(!words.contains("email"), "{words:?}");
    }

    #[test]
    fn a_quoted_name_is_one_name_whatever_is_in_it() {
        let name = TableName { catalog: "crm".into(), schema: "a.b".into(), table: "x\" FROM y; --".into() };
        let accepted = accept(&format!("SELECT {} FROM {}", quoted("Straße, \"2\""), quoted_table(&name))).unwrap();
        let parts: Vec<&str> =
            accepted.relations[0].0.iter().map(|part| part.as_ident().unwrap().value.as_str()).collect();
        assert_eq!((accepted.relations.len(), parts), (1, vec!["crm", "a.b", "x\" FROM y; --"]));
    }
}
