//! The query tree and its SQL text. Only shapes that a question can need exist here, every
//! identifier is quoted and every literal escaped, so the text is one SELECT by construction.

use std::fmt::{self, Display, Formatter};

use chrono::NaiveDateTime;

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Expr {
    /// A column of the table or subquery with this alias.
    Column(String, String),
    /// An alias of the same SELECT.
    Alias(String),
    Text(String),
    /// Digits, as the tokenizer let them through.
    Number(String),
    Date(NaiveDateTime),
    Timestamp(NaiveDateTime),
    Truth(bool),
    CountRows,
    Call(&'static str, Vec<Expr>),
    CallDistinct(&'static str, Box<Expr>),
    Binary(Box<Expr>, &'static str, Box<Expr>),
    All(Vec<Expr>),
    Any(Vec<Expr>),
    Not(Box<Expr>),
    In(Box<Expr>, Vec<Expr>),
    Like(Box<Expr>, String),
    IsNull(Box<Expr>),
    Exists(Box<Query>),
    /// The one value of a query.
    Subquery(Box<Query>),
    TryCast(Box<Expr>, &'static str),
    /// `CASE WHEN … THEN … END`
    Case(Box<Expr>, Box<Expr>),
    /// Over all groups: `… OVER ()`
    OverAll(Box<Expr>),
}

impl Expr {
    pub(super) fn binary(left: Expr, operator: &'static str, right: Expr) -> Self {
        Self::Binary(Box::new(left), operator, Box::new(right))
    }

    pub(super) fn number(number: impl Into<String>) -> Self {
        Self::Number(number.into())
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Source {
    /// Catalog, schema, table.
    Table([String; 3]),
    Subquery(Box<Query>),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct From {
    pub(super) source: Source,
    pub(super) alias: String,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Join {
    pub(super) left: bool,
    pub(super) from: From,
    pub(super) on: Expr,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Query {
    pub(super) distinct: bool,
    pub(super) select: Vec<(Expr, Option<String>)>,
    pub(super) from: From,
    pub(super) joins: Vec<Join>,
    pub(super) filters: Vec<Expr>,
    pub(super) group_by: Vec<Expr>,
    pub(super) having: Vec<Expr>,
    /// With true for descending.
    pub(super) order_by: Vec<(Expr, bool)>,
    pub(super) limit: Option<u64>,
}

impl Query {
    pub(super) fn from(from: From) -> Self {
        Self {
            distinct: false,
            select: Vec::new(),
            from,
            joins: Vec::new(),
            filters: Vec::new(),
            group_by: Vec::new(),
            having: Vec::new(),
            order_by: Vec::new(),
            limit: None,
        }
    }
}

/// A quoted identifier.
struct Quoted<'a>(&'a str);

impl Display for Quoted<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.0.replace('"', "\"\""))
    }
}

/// A string literal.
struct Literal<'a>(&'a str);

impl Display for Literal<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(f, "'{}'", self.0.replace('\'', "''"))
    }
}

struct Joined<'a, T>(&'a [T], &'static str);

impl<T: Display> Display for Joined<'_, T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        for (index, part) in self.0.iter().enumerate() {
            if index > 0 {
                f.write_str(self.1)?;
            }
            part.fmt(f)?;
        }
        Ok(())
    }
}

impl Display for Expr {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Self::Column(alias, name) => write!(f, "{}.{}", Quoted(alias), Quoted(name)),
            Self::Alias(name) => Quoted(name).fmt(f),
            Self::Text(text) => Literal(text).fmt(f),
            Self::Number(number) => f.write_str(number),
            Self::Date(moment) => write!(f, "DATE '{}'", moment.format("%Y-%m-%d")),
            Self::Timestamp(moment) => write!(f, "TIMESTAMP '{}'", moment.format("%Y-%m-%d %H:%M:%S")),
            Self::Truth(truth) => f.write_str(if *truth { "TRUE" } else { "FALSE" }),
            Self::CountRows => f.write_str("count(*)"),
            Self::Call(function, arguments) => write!(f, "{function}({})", Joined(arguments, ", ")),
            Self::CallDistinct(function, argument) => write!(f, "{function}(DISTINCT {argument})"),
            Self::Binary(left, operator, right) => write!(f, "{left} {operator} {right}"),
            Self::All(parts) => write!(f, "({})", Joined(parts, " AND ")),
            Self::Any(parts) => write!(f, "({})", Joined(parts, " OR ")),
            Self::Not(inner) => write!(f, "NOT ({inner})"),
            Self::In(left, values) => write!(f, "{left} IN ({})", Joined(values, ", ")),
            Self::Like(left, pattern) => write!(f, "{left} LIKE {} ESCAPE '\\'", Literal(pattern)),
            Self::IsNull(inner) => write!(f, "{inner} IS NULL"),
            Self::Exists(query) => write!(f, "EXISTS ({query})"),
            Self::Subquery(query) => write!(f, "({query})"),
            Self::TryCast(inner, to) => write!(f, "TRY_CAST({inner} AS {to})"),
            Self::Case(when, then) => write!(f, "CASE WHEN {when} THEN {then} END"),
            Self::OverAll(inner) => write!(f, "{inner} OVER ()"),
        }
    }
}

impl Display for From {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        match &self.source {
            Source::Table([catalog, schema, table]) => {
                write!(f, "{}.{}.{}", Quoted(catalog), Quoted(schema), Quoted(table))?;
            }
            Source::Subquery(query) => write!(f, "({query})")?,
        }
        write!(f, " AS {}", Quoted(&self.alias))
    }
}

impl Display for Query {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.write_str(if self.distinct { "SELECT DISTINCT " } else { "SELECT " })?;
        for (index, (expr, alias)) in self.select.iter().enumerate() {
            if index > 0 {
                f.write_str(", ")?;
            }
            expr.fmt(f)?;
            if let Some(alias) = alias {
                write!(f, " AS {}", Quoted(alias))?;
            }
        }
        write!(f, " FROM {}", self.from)?;
        for join in &self.joins {
            let kind = if join.left { "LEFT JOIN" } else { "JOIN" };
            write!(f, " {kind} {} ON {}", join.from, join.on)?;
        }
        if !self.filters.is_empty() {
            write!(f, " WHERE {}", Joined(&self.filters, " AND "))?;
        }
        if !self.group_by.is_empty() {
            write!(f, " GROUP BY {}", Joined(&self.group_by, ", "))?;
        }
        if !self.having.is_empty() {
            write!(f, " HAVING {}", Joined(&self.having, " AND "))?;
        }
        for (index, (expr, descending)) in self.order_by.iter().enumerate() {
            f.write_str(if index == 0 { " ORDER BY " } else { ", " })?;
            write!(f, "{expr}{}", if *descending { " DESC NULLS LAST" } else { " ASC NULLS LAST" })?;
        }
        if let Some(limit) = self.limit {
            write!(f, " LIMIT {limit}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_and_literals_cannot_break_out() {
        let name = |name: &str| name.to_owned();
        let mut query = Query::from(From {
            source: Source::Table([name("a\"; DROP TABLE b; --"), name("s"), name("t")]),
            alias: name("t"),
        });
        query.select.push((Expr::Column(name("t"), name("x\" y")), Some(name("z\""))));
        query.filters.push(Expr::binary(
            Expr::Column(name("t"), name("x")),
            "=",
            Expr::Text(name("it's'; DROP TABLE b; --")),
        ));
        assert_eq!(
            query.to_string(),
            "SELECT \"t\".\"x\"\" y\" AS \"z\"\"\" FROM \"a\"\"; DROP TABLE b; --\".\"s\".\"t\" AS \"t\" \
             WHERE \"t\".\"x\" = 'it''s''; DROP TABLE b; --'"
        );
        assert!(crate::planner::require_single_select(&query.to_string()).is_ok());
    }
}
