//! SQL dumps of PostgreSQL, MySQL and SQLite, read into SQLite: their tables and rows, and nothing else of them.

use std::path::Path;

use datafusion::sql::sqlparser::{
    ast::{ColumnOption, Statement, TableConstraint},
    dialect::{GenericDialect, PostgreSqlDialect},
    parser::Parser,
};

use super::EvalError;

/// Reads a dump; a statement that makes no table and no row is left out.
pub(super) fn load(path: &Path) -> Result<rusqlite::Connection, EvalError> {
    let text = std::fs::read_to_string(path).map_err(|error| EvalError::new(path, error))?;
    let fault = |error: rusqlite::Error| EvalError::new(path, error);
    let database = rusqlite::Connection::open_in_memory().map_err(fault)?;
    // Tables may refer to later ones.
    database.execute_batch("PRAGMA foreign_keys = OFF; BEGIN").map_err(fault)?;
    let mut tables = 0;
    for statement in statements(&text) {
        let parsed = Parser::parse_sql(&PostgreSqlDialect {}, &statement)
            .or_else(|_| Parser::parse_sql(&GenericDialect {}, &statement));
        let Ok([statement]) = parsed.as_deref() else { continue };
        match statement {
            Statement::CreateTable(_) => {
                let Some(sql) = table(statement.clone()) else { continue };
                database.execute_batch(&sql).map_err(fault)?;
                tables += 1;
            }
            Statement::Insert(_) => {
                let sql = statement.to_string().replace("public.", "");
                database.execute_batch(&sql).map_err(fault)?;
            }
            _ => {}
        }
    }
    database.execute_batch("COMMIT").map_err(fault)?;
    match tables {
        0 => Err(EvalError::new(path, "there is no CREATE TABLE in it that can be read")),
        _ => Ok(database),
    }
}

/// The table as SQLite takes it: columns with their types, primary and foreign keys.
fn table(statement: Statement) -> Option<String> {
    let Statement::CreateTable(mut create) = statement else { return None };
    create.name.0.drain(..create.name.0.len().saturating_sub(1));
    for column in &mut create.columns {
        column.options.retain(|option| {
            matches!(option.option, ColumnOption::PrimaryKey(_) | ColumnOption::ForeignKey(_) | ColumnOption::NotNull)
        });
    }
    create
        .constraints
        .retain(|constraint| matches!(constraint, TableConstraint::PrimaryKey(_) | TableConstraint::ForeignKey(_)));
    let columns: Vec<String> = create.columns.iter().map(ToString::to_string).collect();
    let constraints: Vec<String> = create.constraints.iter().map(ToString::to_string).collect();
    let parts: Vec<String> = columns.into_iter().chain(constraints).collect();
    Some(format!("CREATE TABLE {} ({})", create.name, parts.join(", ")).replace("public.", ""))
}

/// The statements of a dump: up to each semicolon that stands in no text, without lines of comments.
fn statements(dump: &str) -> Vec<String> {
    let mut statements = vec![String::new()];
    let mut quote = None;
    for line in dump.lines() {
        if quote.is_none() && (line.trim_start().starts_with("--") || line.starts_with('\\')) {
            continue;
        }
        let mut characters = line.chars().chain(['\n']).peekable();
        while let Some(character) = characters.next() {
            // The rest of the line is a comment.
            if quote.is_none() && character == '-' && characters.peek() == Some(&'-') {
                statements.last_mut().into_iter().for_each(|last| last.push('\n'));
                break;
            }
            match quote {
                None if character == ';' => {
                    statements.push(String::new());
                    continue;
                }
                None if matches!(character, '\'' | '"' | '`') => quote = Some(character),
                Some(open) if open == character => quote = None,
                _ => {}
            }
            if let Some(last) = statements.last_mut() {
                last.push(character);
            }
        }
    }
    statements.retain(|statement| !statement.trim().is_empty());
    statements
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_semicolon_in_a_text_ends_nothing() {
        let dump = "-- a; b\nINSERT INTO a VALUES ('x;y', 'it''s');\nSELECT 1;";
        assert_eq!(statements(dump).len(), 2);
    }

    #[test]
    fn a_dump_becomes_tables() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("shop.sql");
        let dump = "SET client_encoding = 'UTF8';\n\
            CREATE TABLE public.orders (id bigint NOT NULL PRIMARY KEY, day date DEFAULT now(), \
            amount numeric(10,2), paid boolean);\n\
            INSERT INTO public.orders (id, day, amount, paid) VALUES (1, '2025-01-01', 9.5, true), (2, NULL, 1, false);\n\
            CREATE INDEX x ON public.orders (day);";
        std::fs::write(&path, dump).unwrap();
        let database = load(&path).unwrap();
        let count: i64 = database.query_row("SELECT count(*) FROM orders WHERE paid", [], |row| row.get(0)).unwrap();
        assert_eq!(count, 1);
    }
}
