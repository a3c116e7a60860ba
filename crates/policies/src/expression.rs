//! The language of custom masks: what is to stand in a column's place, computed from the row.
//!
//! ```text
//! CASE WHEN region = current_user_region THEN phone ELSE left(phone, 3) || '…' END
//!           └──a condition, as in row filters──┘
//! ```
//!
//! - columns of the table, literals, `NULL`, `current_user_<attribute>`;
//! - `CASE WHEN <condition> THEN … ELSE … END`, `coalesce(…)`, and on text `||`, `lower`, `upper`, `left(…, n)`,
//!   `right(…, n)` with a number n.
//!
//! Nothing of it can fail, whatever the values are. An attribute that the person lacks leaves nothing of the column.

use std::{collections::BTreeSet, fmt};

use sqlparser::ast::{BinaryOperator, Expr, Function, FunctionArg, FunctionArgExpr, FunctionArguments, Value};

use crate::{
    condition::{self, Bound, Condition, ConditionError, Literal, Operand},
    facts::{Facts, SessionFact},
    words::{Term, named},
};

/// The most characters that `left` and `right` take.
const MAX_CHARS: u64 = 10_000;
const MAX_PARTS: usize = 100;

/// A custom mask; `V` is [`Operand`] as written, [`Literal`] once it is bound to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expression<V = Operand> {
    Column(String),
    Value(V),
    Null,
    /// The first whose condition is true; a condition that is unknown is not.
    Case {
        branches: Vec<(Condition<V>, Expression<V>)>,
        otherwise: Box<Expression<V>>,
    },
    /// The first that is not NULL.
    Coalesce(Vec<Expression<V>>),
    /// NULL where one of them is.
    Concat(Vec<Expression<V>>),
    Lower(Box<Expression<V>>),
    Upper(Box<Expression<V>>),
    /// So many characters from the beginning.
    Left(Box<Expression<V>>, u64),
    /// So many characters before the end.
    Right(Box<Expression<V>>, u64),
}

impl Expression {
    /// Reads an expression.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        read(&condition::parsed(text)?)
    }

    /// Puts the caller's attributes in their places; nothing where one is missing.
    pub fn bind(&self, facts: &Facts) -> Option<Expression<Literal>> {
        let all = |parts: &[Expression]| parts.iter().map(|part| part.bind(facts)).collect::<Option<Vec<_>>>();
        let one = |inner: &Expression| inner.bind(facts).map(Box::new);
        Some(match self {
            Expression::Column(name) => Expression::Column(name.clone()),
            Expression::Value(operand) => Expression::Value(operand.one(facts).ok()?),
            Expression::Null => Expression::Null,
            Expression::Case { branches, otherwise } => Expression::Case {
                branches: branches
                    .iter()
                    .map(|(when, then)| match when.bind(facts) {
                        Bound::Rows(when) => Some((when, then.bind(facts)?)),
                        Bound::NoRows { .. } => None,
                    })
                    .collect::<Option<_>>()?,
                otherwise: one(otherwise)?,
            },
            Expression::Coalesce(parts) => Expression::Coalesce(all(parts)?),
            Expression::Concat(parts) => Expression::Concat(all(parts)?),
            Expression::Lower(inner) => Expression::Lower(one(inner)?),
            Expression::Upper(inner) => Expression::Upper(one(inner)?),
            Expression::Left(inner, n) => Expression::Left(one(inner)?, *n),
            Expression::Right(inner, n) => Expression::Right(one(inner)?, *n),
        })
    }

    /// What of the moment and the network it shows, or compares columns with.
    pub fn session_facts(&self) -> BTreeSet<SessionFact> {
        match self {
            Expression::Value(Operand::Session(fact)) => [*fact].into(),
            Expression::Column(_) | Expression::Value(_) | Expression::Null => BTreeSet::new(),
            Expression::Case { branches, otherwise } => {
                let of_branch = |(when, then): &(Condition, Expression)| {
                    let of_condition = when.session_facts();
                    of_condition.into_iter().chain(then.session_facts()).collect::<BTreeSet<_>>()
                };
                branches.iter().flat_map(of_branch).chain(otherwise.session_facts()).collect()
            }
            Expression::Coalesce(parts) | Expression::Concat(parts) => {
                parts.iter().flat_map(Expression::session_facts).collect()
            }
            Expression::Lower(inner)
            | Expression::Upper(inner)
            | Expression::Left(inner, _)
            | Expression::Right(inner, _) => inner.session_facts(),
        }
    }
}

impl<V> Expression<V> {
    /// The columns that it reads.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns = BTreeSet::new();
        self.add_columns(true, &mut columns);
        columns
    }

    /// The columns of which values may come to stand in it; those that conditions only ask about are not among them.
    pub fn shown_columns(&self) -> BTreeSet<&str> {
        let mut columns = BTreeSet::new();
        self.add_columns(false, &mut columns);
        columns
    }

    fn add_columns<'a>(&'a self, with_conditions: bool, columns: &mut BTreeSet<&'a str>) {
        match self {
            Expression::Column(name) => {
                columns.insert(name);
            }
            Expression::Value(_) | Expression::Null => {}
            Expression::Case { branches, otherwise } => {
                for (when, then) in branches {
                    if with_conditions {
                        columns.extend(when.columns());
                    }
                    then.add_columns(with_conditions, columns);
                }
                otherwise.add_columns(with_conditions, columns);
            }
            Expression::Coalesce(parts) | Expression::Concat(parts) => {
                parts.iter().for_each(|part| part.add_columns(with_conditions, columns));
            }
            Expression::Lower(inner)
            | Expression::Upper(inner)
            | Expression::Left(inner, _)
            | Expression::Right(inner, _) => inner.add_columns(with_conditions, columns),
        }
    }

    /// The same expression with every column renamed.
    pub fn map_columns<E>(self, rename: &mut impl FnMut(&str) -> Result<String, E>) -> Result<Self, E> {
        let boxed = |inner: Box<Self>, rename: &mut _| inner.map_columns(rename).map(Box::new);
        Ok(match self {
            Expression::Column(name) => Expression::Column(rename(&name)?),
            Expression::Value(_) | Expression::Null => self,
            Expression::Case { branches, otherwise } => Expression::Case {
                branches: branches
                    .into_iter()
                    .map(|(when, then)| Ok((when.map_columns(rename)?, then.map_columns(rename)?)))
                    .collect::<Result<_, E>>()?,
                otherwise: boxed(otherwise, rename)?,
            },
            Expression::Coalesce(parts) => {
                Expression::Coalesce(parts.into_iter().map(|part| part.map_columns(rename)).collect::<Result<_, E>>()?)
            }
            Expression::Concat(parts) => {
                Expression::Concat(parts.into_iter().map(|part| part.map_columns(rename)).collect::<Result<_, E>>()?)
            }
            Expression::Lower(inner) => Expression::Lower(boxed(inner, rename)?),
            Expression::Upper(inner) => Expression::Upper(boxed(inner, rename)?),
            Expression::Left(inner, n) => Expression::Left(boxed(inner, rename)?, n),
            Expression::Right(inner, n) => Expression::Right(boxed(inner, rename)?, n),
        })
    }
}

/// As it is written in a policy.
impl<V: Term> fmt::Display for Expression<V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, parts: &[Self], between: &str| {
            for (at, part) in parts.iter().enumerate() {
                f.write_str(if at > 0 { between } else { "" })?;
                part.fmt(f)?;
            }
            Ok(())
        };
        match self {
            Expression::Column(name) => f.write_str(&named(name)),
            Expression::Value(value) => f.write_str(&value.written()),
            Expression::Null => f.write_str("NULL"),
            Expression::Case { branches, otherwise } => {
                f.write_str("CASE")?;
                for (when, then) in branches {
                    write!(f, " WHEN {when} THEN {then}")?;
                }
                write!(f, " ELSE {otherwise} END")
            }
            Expression::Coalesce(parts) => {
                f.write_str("coalesce(")?;
                list(f, parts, ", ")?;
                f.write_str(")")
            }
            Expression::Concat(parts) => list(f, parts, " || "),
            Expression::Lower(inner) => write!(f, "lower({inner})"),
            Expression::Upper(inner) => write!(f, "upper({inner})"),
            Expression::Left(inner, n) => write!(f, "left({inner}, {n})"),
            Expression::Right(inner, n) => write!(f, "right({inner}, {n})"),
        }
    }
}

fn read(expr: &Expr) -> Result<Expression, ConditionError> {
    let unsupported = || ConditionError::UnsupportedInMask(expr.to_string());
    match expr {
        Expr::Nested(inner) => read(inner),
        Expr::Value(value) if value.value == Value::Null => Ok(Expression::Null),
        Expr::Function(function) if function.args == FunctionArguments::None => {
            condition::operand(expr).map(Expression::Value).map_err(|_| unsupported())
        }
        Expr::Identifier(_) => match condition::operand(expr) {
            Ok(operand) => Ok(Expression::Value(operand)),
            Err(_) => condition::column(expr, expr).map(Expression::Column),
        },
        Expr::Value(_) | Expr::UnaryOp { .. } => {
            condition::operand(expr).map(Expression::Value).map_err(|_| unsupported())
        }
        Expr::BinaryOp { op: BinaryOperator::StringConcat, .. } => {
            // Chains lean to the left; a loop keeps the tree flat.
            let (mut parts, mut rest) = (Vec::new(), expr);
            while let Expr::BinaryOp { left, op: BinaryOperator::StringConcat, right } = rest {
                parts.push(read(right)?);
                rest = left;
            }
            parts.push(read(rest)?);
            parts.reverse();
            if parts.len() > MAX_PARTS { Err(unsupported()) } else { Ok(Expression::Concat(parts)) }
        }
        Expr::Case { operand: None, conditions, else_result, .. } if conditions.len() <= MAX_PARTS => {
            let branches = conditions
                .iter()
                .map(|branch| {
                    let when = condition::read(&branch.condition)?;
                    if when.reads_tables() { Err(unsupported()) } else { Ok((when, read(&branch.result)?)) }
                })
                .collect::<Result<_, ConditionError>>()?;
            let otherwise = else_result.as_deref().map_or(Ok(Expression::Null), read)?;
            Ok(Expression::Case { branches, otherwise: Box::new(otherwise) })
        }
        Expr::Function(function) => call(function).unwrap_or_else(|| Err(unsupported())),
        _ => Err(unsupported()),
    }
}

/// A function of the language; nothing for any other, or for one with anything but plain arguments.
fn call(function: &Function) -> Option<Result<Expression, ConditionError>> {
    let FunctionArguments::List(list) = &function.args else { return None };
    let plain = function.parameters == FunctionArguments::None
        && function.filter.is_none()
        && function.null_treatment.is_none()
        && function.over.is_none()
        && function.within_group.is_empty()
        && !function.uses_odbc_syntax
        && list.duplicate_treatment.is_none()
        && list.clauses.is_empty();
    let args: Vec<&Expr> = list
        .args
        .iter()
        .map(|arg| match arg {
            FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) => Some(expr),
            _ => None,
        })
        .collect::<Option<_>>()?;
    if !plain || args.len() > MAX_PARTS {
        return None;
    }
    let number = |expr: &Expr| match condition::operand(expr) {
        Ok(Operand::Literal(Literal::Number(number))) => number.parse().ok().filter(|n| *n <= MAX_CHARS),
        _ => None,
    };
    match (function.name.to_string().to_ascii_lowercase().as_str(), args.as_slice()) {
        ("lower", [inner]) => Some(read(inner).map(|inner| Expression::Lower(Box::new(inner)))),
        ("upper", [inner]) => Some(read(inner).map(|inner| Expression::Upper(Box::new(inner)))),
        ("left", [inner, n]) => {
            let n = number(n)?;
            Some(read(inner).map(|inner| Expression::Left(Box::new(inner), n)))
        }
        ("right", [inner, n]) => {
            let n = number(n)?;
            Some(read(inner).map(|inner| Expression::Right(Box::new(inner), n)))
        }
        ("coalesce", [_, ..]) => Some(args.into_iter().map(read).collect::<Result<_, _>>().map(Expression::Coalesce)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn it_reads_its_language_and_writes_it_back() {
        for text in [
            "phone",
            "NULL",
            "'fixed'",
            "CASE WHEN region = current_user_region THEN phone ELSE left(phone, 3) || '…' END",
            "coalesce(lower(name), upper(alias), current_user_team)",
            "CASE WHEN a IS NULL THEN 1 WHEN b > 2 AND c IN ('x') THEN 2 ELSE NULL END",
            "right(\"Card No\", 4)",
        ] {
            let expression = Expression::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(Expression::parse(&expression.to_string()).unwrap(), expression, "{expression}");
        }
    }

    #[test]
    fn it_refuses_everything_else() {
        for text in [
            "",
            "a + 1",
            "1 / a",
            "CAST(a AS INT)",
            "substr(a, 1)",
            "left(a, b)",
            "left(a, -1)",
            "left(a, 99999999)",
            "left(a)",
            "lower(DISTINCT a)",
            "lower(a) OVER ()",
            "CASE a WHEN 1 THEN 2 END",
            "CASE WHEN a THEN 2 END",
            "CASE WHEN lower(a) = 'x' THEN 2 END",
            "CASE WHEN a IN (SELECT a FROM t) THEN 2 END",
            "(SELECT a FROM t)",
            "a; b",
            "t.a",
            "pg_read_file('x')",
            "now()",
            "a LIKE 'x'",
            "x -> 'y'",
        ] {
            assert!(Expression::parse(text).is_err(), "accepted: {text}");
        }
    }

    #[test]
    fn a_missing_attribute_leaves_nothing() {
        let expression = Expression::parse("CASE WHEN region = current_user_region THEN phone ELSE 'x' END").unwrap();
        assert_eq!(expression.bind(&Facts::default()), None);
        let bound = expression
            .bind(&Facts { attributes: [("region".to_owned(), json!("EU"))].into(), ..Facts::default() })
            .unwrap();
        assert_eq!(bound.to_string(), "CASE WHEN region = 'EU' THEN phone ELSE 'x' END");
        assert_eq!(bound.columns().into_iter().collect::<Vec<_>>(), ["phone", "region"]);
    }
}
