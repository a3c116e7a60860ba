//! The language of row filters.
//!
//! ```text
//! region = current_user_region AND status IN ('open', 'held') AND NOT (owner IS NULL)
//! └column┘ └caller attribute┘      └column┘ └──literals──┘
//! 'Auditor' IN (current_user_roles) OR current_hour BETWEEN 8 AND 17 AND current_ip IN ('10.0.0.0/8')
//! └literal┘     └── of the caller ┘    └ of the moment ┘                 └ of the network ┘
//! customer_id IN (SELECT customer_id FROM entitlements WHERE email = current_user_email)
//!                 └──── the values that another table of the same source has for the caller ────┘
//! ```
//!
//! A condition is text that an administrator writes and that decides which rows a person sees, so it is
//! never handed on as SQL: it is parsed, only the shapes below are accepted, and what is left is a tree of
//! columns and values that the engine turns into expressions over bound literals.
//!
//! - comparisons `=  <>  <  <=  >  >=`, `[NOT] IN (…)`, `[NOT] BETWEEN … AND …`, `[NOT] LIKE '…'`, `IS [NOT] NULL`,
//!   combined with `AND`, `OR`, `NOT` and brackets;
//! - on the left stands a column of the governed table, on the right a literal (text, number, boolean) or a
//!   [fact](crate::facts) about who asks, when and from where; a `LIKE` pattern is a literal, so that no attribute can
//!   bring wildcards;
//! - a comparison without a column has a fact on one side at least: it is decided before the query, once for all rows.
//!
//! - `column IN (SELECT column FROM table WHERE …)` reads one other table of the source, as it is, with a condition on
//!   that table's own columns. It stands where it can only open rows, never below `NOT`: what is not in the table, or is
//!   NULL there, opens nothing.
//!
//! Nothing makes a row visible by being unknown. A comparison with NULL is neither true nor false, and `NOT`
//! leaves it so (SQL's three-valued logic). An attribute that the caller lacks, or that is null, empties the
//! whole filter, and so does a moment or a network that is not known: [`Condition::bind`] answers [`Bound::NoRows`], even where `OR` could have let a row through.

use std::{collections::BTreeSet, fmt};

use serde_json::Value as Json;
use sqlparser::{
    ast::{
        BinaryOperator, Expr, FunctionArguments, Query, SelectItem, SetExpr, Spanned, TableFactor, TableWithJoins,
        UnaryOperator, Value,
    },
    dialect::GenericDialect,
    parser::Parser,
    tokenizer::Token,
};

use crate::facts::{Facts, SessionFact, compare, in_network};

/// The prefix that marks an attribute of the caller.
pub const ATTRIBUTE_PREFIX: &str = "current_user_";

const MAX_CONDITION_CHARS: usize = 4_000;
const MAX_NESTING: usize = 40;
const MAX_LIST: usize = 1_000;

/// A row filter; `V` is [`Operand`] as written, [`Literal`] once it is bound to a caller.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Condition<V = Operand> {
    /// `column op value`
    Compare { column: String, comparison: Comparison, value: V },
    /// `column [NOT] IN (values)`; an empty list is true for no row, negated or not.
    In { column: String, values: Vec<V>, negated: bool },
    /// `column [NOT] LIKE 'pattern'` with `%` and `_`, and `\` before one that is meant literally.
    Like { column: String, pattern: String, negated: bool },
    /// `column IS [NOT] NULL`
    IsNull { column: String, negated: bool },
    /// All of them.
    And(Vec<Condition<V>>),
    /// Any of them.
    Or(Vec<Condition<V>>),
    /// The opposite; unknown stays unknown.
    Not(Box<Condition<V>>),
    /// `column IN (SELECT …)`; never below a `Not`.
    Entitled { column: String, select: Box<Entitlement<V>> },
    /// About the request and not about the row; never in a condition that is bound.
    Fact(FactTest),
    /// A test of the request that has been made; unknown where it could not be.
    Known(Option<bool>),
}

/// The values that a table of entitlements has: `SELECT column FROM table WHERE filter`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Entitlement<V = Operand> {
    /// Of the same source, as in a rule: `entitlements`, `public.entitlements`.
    pub table: String,
    pub column: String,
    /// Over the columns of that table; reads no further one.
    pub filter: Option<Condition<V>>,
}

/// A comparison of what is known of the request.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FactTest {
    pub left: Operand,
    pub comparison: FactComparison,
    /// One, or the members of a list.
    pub right: Vec<Operand>,
}

/// How the sides of a [`FactTest`] are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FactComparison {
    Compare(Comparison),
    In { negated: bool },
}

/// The six comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Comparison {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

/// What stands on the right of a comparison as written.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Operand {
    Literal(Literal),
    /// The name behind `current_user_`.
    Attribute(String),
    /// The moment, or the network.
    Session(SessionFact),
}

/// A value. Which type it takes is decided by the column that it is compared with.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Literal {
    Text(String),
    /// A decimal number as written: `-12`, `0.50`, `1e6`.
    Number(String),
    Boolean(bool),
}

/// A condition with the caller's attributes in their places.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Bound {
    /// The rows for which it is true.
    Rows(Condition<Literal>),
    /// No row at all: this is not known of the request, or cannot be compared.
    NoRows { missing_attribute: String },
}

/// Why a condition is not one.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConditionError {
    #[error("the condition is longer than {MAX_CONDITION_CHARS} characters")]
    TooLong,
    #[error("the condition cannot be read: {0}")]
    Syntax(String),
    #[error(
        "`{0}` is not part of the condition language: compare a column with a literal or current_user_<attribute>, \
         using = <> < <= > >= IN BETWEEN LIKE IS NULL, joined by AND, OR, NOT"
    )]
    Unsupported(String),
    #[error(
        "`{0}` is not part of the language of masks: use columns, literals, current_user_<attribute>, CASE WHEN \
         <condition> THEN … ELSE … END, coalesce, ||, lower, upper, left and right"
    )]
    UnsupportedInMask(String),
    #[error("`{0}` must have a column of the table on its left")]
    LeftSide(String),
    #[error("a comparison with NULL is never true: write IS NULL or IS NOT NULL")]
    NullLiteral,
    #[error("a list may have 1 to {MAX_LIST} values")]
    ListLength,
    #[error(
        "`{0}` is the same for every row and everyone: compare a column, or something about the person or the time"
    )]
    NoFact(String),
    #[error(
        "`{0}` is not a sub-select that the condition language allows: write column IN (SELECT column FROM table WHERE \
         …), with one table, not below NOT and not inside another one"
    )]
    Entitlement(String),
    #[error("`{0}` is not a network: write '10.0.0.0/8', '2001:db8::/32' or one address")]
    Network(String),
    #[error("{error} (line {line}, column {column})")]
    At { line: u64, column: u64, error: Box<ConditionError> },
}

/// The one expression that the text is, with nothing behind it, and no longer or deeper than somebody writes by hand.
pub(crate) fn parsed(text: &str) -> Result<Expr, ConditionError> {
    if text.chars().count() > MAX_CONDITION_CHARS {
        return Err(ConditionError::TooLong);
    }
    let syntax = |error: sqlparser::parser::ParserError| ConditionError::Syntax(error.to_string());
    let mut parser =
        Parser::new(&GenericDialect {}).with_recursion_limit(MAX_NESTING).try_with_sql(text).map_err(syntax)?;
    let expr = parser.parse_expr().map_err(syntax)?;
    if parser.peek_token().token != Token::EOF {
        return Err(ConditionError::Syntax(format!("unexpected `{}`", parser.peek_token().token)));
    }
    Ok(expr)
}

impl Condition {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
        let condition = read(&parsed(text)?)?;
        condition.check_entitlements(true)?;
        Ok(condition)
    }

    /// A table of entitlements only opens rows, and only beside the governed table itself.
    fn check_entitlements(&self, may_open: bool) -> Result<(), ConditionError> {
        match self {
            Condition::Entitled { select, .. } => {
                if !may_open || select.filter.as_ref().is_some_and(Condition::reads_tables) {
                    return Err(ConditionError::Entitlement(self.to_string()));
                }
                Ok(())
            }
            Condition::Not(inner) => inner.check_entitlements(false),
            Condition::And(parts) | Condition::Or(parts) => {
                parts.iter().try_for_each(|part| part.check_entitlements(may_open))
            }
            _ => Ok(()),
        }
    }

    /// Puts what is known of the request in its places.
    pub fn bind(&self, facts: &Facts) -> Bound {
        match self.try_bind(facts) {
            Ok(condition) => Bound::Rows(condition),
            Err(missing_attribute) => Bound::NoRows { missing_attribute },
        }
    }

    fn try_bind(&self, facts: &Facts) -> Result<Condition<Literal>, String> {
        let all = |parts: &[Condition]| parts.iter().map(|part| part.try_bind(facts)).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Condition::Compare { column, comparison, value } => {
                Condition::Compare { column: column.clone(), comparison: *comparison, value: value.one(facts)? }
            }
            Condition::In { column, values, negated } => {
                let mut bound = Vec::with_capacity(values.len());
                for value in values {
                    // A list attribute stands for its members: `region IN (current_user_regions)`.
                    bound.extend(value.list(facts)?);
                }
                Condition::In { column: column.clone(), values: bound, negated: *negated }
            }
            Condition::Like { column, pattern, negated } => {
                Condition::Like { column: column.clone(), pattern: pattern.clone(), negated: *negated }
            }
            Condition::IsNull { column, negated } => Condition::IsNull { column: column.clone(), negated: *negated },
            Condition::And(parts) => Condition::And(all(parts)?),
            Condition::Or(parts) => Condition::Or(all(parts)?),
            Condition::Not(inner) => Condition::Not(Box::new(inner.try_bind(facts)?)),
            Condition::Entitled { column, select } => {
                let filter = select.filter.as_ref().map(|filter| filter.try_bind(facts)).transpose()?;
                let select = Entitlement { table: select.table.clone(), column: select.column.clone(), filter };
                Condition::Entitled { column: column.clone(), select: Box::new(select) }
            }
            Condition::Fact(test) => Condition::Known(test.holds(facts)?),
            Condition::Known(known) => Condition::Known(*known),
        })
    }

    /// The names of the attributes that the condition asks the caller for.
    pub fn attributes(&self) -> BTreeSet<&str> {
        fn of(operand: &Operand) -> Option<&str> {
            match operand {
                Operand::Attribute(name) => Some(name),
                Operand::Literal(_) | Operand::Session(_) => None,
            }
        }
        let mut names = BTreeSet::new();
        self.visit(&mut |condition| match condition {
            Condition::Compare { value, .. } => names.extend(of(value)),
            Condition::In { values, .. } => names.extend(values.iter().filter_map(of)),
            Condition::Fact(test) => names.extend(test.right.iter().chain([&test.left]).filter_map(of)),
            Condition::Entitled { select, .. } => {
                names.extend(select.filter.iter().flat_map(Condition::attributes));
            }
            _ => {}
        });
        names
    }

    /// What of the moment and the network columns are compared with, those of sub-selects too. What no column is
    /// compared with is decided before.
    pub fn session_facts(&self) -> BTreeSet<SessionFact> {
        fn of(operand: &Operand) -> Option<SessionFact> {
            match operand {
                Operand::Session(fact) => Some(*fact),
                Operand::Literal(_) | Operand::Attribute(_) => None,
            }
        }
        let mut facts = BTreeSet::new();
        self.visit(&mut |condition| match condition {
            Condition::Compare { value, .. } => facts.extend(of(value)),
            Condition::In { values, .. } => facts.extend(values.iter().filter_map(of)),
            Condition::Entitled { select, .. } => {
                facts.extend(select.filter.iter().flat_map(Condition::session_facts));
            }
            _ => {}
        });
        facts
    }
}

impl<V> Condition<V> {
    /// The columns that the condition reads.
    pub fn columns(&self) -> BTreeSet<&str> {
        let mut columns = BTreeSet::new();
        self.visit(&mut |condition| match condition {
            Condition::Compare { column, .. }
            | Condition::In { column, .. }
            | Condition::Like { column, .. }
            | Condition::Entitled { column, .. }
            | Condition::IsNull { column, .. } => {
                columns.insert(column.as_str());
            }
            Condition::And(_) | Condition::Or(_) | Condition::Not(_) | Condition::Fact(_) | Condition::Known(_) => {}
        });
        columns
    }

    /// Its sub-selects, in their order.
    pub fn sub_selects(&self) -> Vec<&Entitlement<V>> {
        let mut selects = Vec::new();
        self.visit(&mut |condition| {
            if let Condition::Entitled { select, .. } = condition {
                selects.push(select.as_ref());
            }
        });
        selects
    }

    /// The other tables that it reads, as they are written.
    pub fn tables(&self) -> BTreeSet<&str> {
        self.sub_selects().into_iter().map(|select| select.table.as_str()).collect()
    }

    pub(crate) fn reads_tables(&self) -> bool {
        !self.tables().is_empty()
    }

    /// The same condition with every column renamed.
    pub fn map_columns<E>(self, rename: &mut impl FnMut(&str) -> Result<String, E>) -> Result<Self, E> {
        Ok(match self {
            Condition::Compare { column, comparison, value } => {
                Condition::Compare { column: rename(&column)?, comparison, value }
            }
            Condition::In { column, values, negated } => Condition::In { column: rename(&column)?, values, negated },
            Condition::Like { column, pattern, negated } => {
                Condition::Like { column: rename(&column)?, pattern, negated }
            }
            Condition::IsNull { column, negated } => Condition::IsNull { column: rename(&column)?, negated },
            Condition::And(parts) => {
                Condition::And(parts.into_iter().map(|part| part.map_columns(rename)).collect::<Result<_, E>>()?)
            }
            Condition::Or(parts) => {
                Condition::Or(parts.into_iter().map(|part| part.map_columns(rename)).collect::<Result<_, E>>()?)
            }
            Condition::Not(inner) => Condition::Not(Box::new(inner.map_columns(rename)?)),
            Condition::Entitled { column, select } => Condition::Entitled { column: rename(&column)?, select },
            Condition::Fact(test) => Condition::Fact(test),
            Condition::Known(known) => Condition::Known(known),
        })
    }

    /// The same condition with every value replaced by what is made of it and the column that it is compared with.
    pub fn map_values<W, E>(&self, make: &mut impl FnMut(&str, &V) -> Result<W, E>) -> Result<Condition<W>, E> {
        Ok(match self {
            Condition::Compare { column, comparison, value } => {
                Condition::Compare { value: make(column, value)?, column: column.clone(), comparison: *comparison }
            }
            Condition::In { column, values, negated } => Condition::In {
                values: values.iter().map(|value| make(column, value)).collect::<Result<_, E>>()?,
                column: column.clone(),
                negated: *negated,
            },
            Condition::Like { column, pattern, negated } => {
                Condition::Like { column: column.clone(), pattern: pattern.clone(), negated: *negated }
            }
            Condition::IsNull { column, negated } => Condition::IsNull { column: column.clone(), negated: *negated },
            Condition::And(parts) => {
                Condition::And(parts.iter().map(|part| part.map_values(make)).collect::<Result<_, E>>()?)
            }
            Condition::Or(parts) => {
                Condition::Or(parts.iter().map(|part| part.map_values(make)).collect::<Result<_, E>>()?)
            }
            Condition::Not(inner) => Condition::Not(Box::new(inner.map_values(make)?)),
            Condition::Entitled { column, select } => {
                let filter = select.filter.as_ref().map(|filter| filter.map_values(make)).transpose()?;
                let select = Entitlement { table: select.table.clone(), column: select.column.clone(), filter };
                Condition::Entitled { column: column.clone(), select: Box::new(select) }
            }
            Condition::Fact(test) => Condition::Fact(test.clone()),
            Condition::Known(known) => Condition::Known(*known),
        })
    }

    fn visit<'a>(&'a self, seen: &mut impl FnMut(&'a Condition<V>)) {
        seen(self);
        match self {
            Condition::And(parts) | Condition::Or(parts) => parts.iter().for_each(|part| part.visit(seen)),
            Condition::Not(inner) => inner.visit(seen),
            _ => {}
        }
    }
}

impl FactTest {
    /// Whether it holds; unknown where the sides cannot be compared, an error where something of them is not known.
    fn holds(&self, facts: &Facts) -> Result<Option<bool>, String> {
        let right: Vec<Literal> =
            self.right.iter().map(|operand| operand.list(facts)).collect::<Result<Vec<_>, _>>()?.concat();
        let left = self.left.one(facts)?;
        let same = |value: &Literal| match (&self.left, &left, value) {
            (Operand::Session(SessionFact::Ip), Literal::Text(ip), Literal::Text(network)) => in_network(ip, network),
            _ => compare(&left, Comparison::Equal, value),
        };
        Ok(match (self.comparison, right.as_slice()) {
            (FactComparison::Compare(Comparison::Equal), [value]) => same(value),
            (FactComparison::Compare(Comparison::NotEqual), [value]) => same(value).map(|same| !same),
            (FactComparison::Compare(comparison), [value]) => compare(&left, comparison, value),
            (FactComparison::Compare(_), _) => None,
            // As for columns, a list without members is true for nobody.
            (FactComparison::In { .. }, []) => Some(false),
            (FactComparison::In { negated }, values) => {
                let answers: Vec<Option<bool>> = values.iter().map(same).collect();
                if answers.contains(&Some(true)) {
                    Some(!negated)
                } else if answers.contains(&None) {
                    None
                } else {
                    Some(negated)
                }
            }
        })
    }
}

impl Operand {
    /// One value; the name of what is not known.
    pub(crate) fn one(&self, facts: &Facts) -> Result<Literal, String> {
        match self {
            Operand::Literal(literal) => Ok(literal.clone()),
            Operand::Attribute(name) => facts.one(name).ok_or_else(|| name.clone()),
            Operand::Session(fact) => facts.session(*fact).ok_or_else(|| fact.name().to_owned()),
        }
    }

    /// As members of a list.
    fn list(&self, facts: &Facts) -> Result<Vec<Literal>, String> {
        match self {
            Operand::Attribute(name) => {
                facts.list(name).filter(|members| members.len() <= MAX_LIST).ok_or_else(|| name.clone())
            }
            other => other.one(facts).map(|value| vec![value]),
        }
    }

    /// The right side as JSON configuration gives it: a string `current_user_<attribute>` names an attribute.
    pub fn from_json(value: &Json) -> Option<Self> {
        if let Json::String(text) = value {
            if let Some(name) = attribute_name(text) {
                return Some(Operand::Attribute(name));
            }
            if let Some(fact) = SessionFact::named(text) {
                return Some(Operand::Session(fact));
            }
        }
        scalar_literal(value).map(Operand::Literal)
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Comparison::Equal => "=",
            Comparison::NotEqual => "<>",
            Comparison::Less => "<",
            Comparison::LessOrEqual => "<=",
            Comparison::Greater => ">",
            Comparison::GreaterOrEqual => ">=",
        })
    }
}

pub(crate) fn scalar_literal(value: &Json) -> Option<Literal> {
    match value {
        Json::String(text) => Some(Literal::Text(text.clone())),
        Json::Number(number) => Some(Literal::Number(number.to_string())),
        Json::Bool(flag) => Some(Literal::Boolean(*flag)),
        Json::Null | Json::Array(_) | Json::Object(_) => None,
    }
}

fn attribute_name(text: &str) -> Option<String> {
    let name = text.to_ascii_lowercase().strip_prefix(ATTRIBUTE_PREFIX)?.to_owned();
    let plain = !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    plain.then_some(name)
}

pub(crate) fn read(expr: &Expr) -> Result<Condition, ConditionError> {
    match expr {
        Expr::Nested(inner) => read(inner),
        Expr::UnaryOp { op: UnaryOperator::Not, expr } => Ok(Condition::Not(Box::new(read(expr)?))),
        Expr::BinaryOp { op: op @ (BinaryOperator::And | BinaryOperator::Or), .. } => {
            // Chains lean to the left; taking them apart in a loop keeps the tree flat.
            let mut parts = Vec::new();
            let mut rest = expr;
            while let Expr::BinaryOp { left, op: this, right } = rest
                && this == op
            {
                parts.push(read(right)?);
                rest = left;
            }
            parts.push(read(rest)?);
            parts.reverse();
            Ok(if *op == BinaryOperator::And { Condition::And(parts) } else { Condition::Or(parts) })
        }
        Expr::BinaryOp { left, op, right } => {
            let comparison = match op {
                BinaryOperator::Eq => Comparison::Equal,
                BinaryOperator::NotEq => Comparison::NotEqual,
                BinaryOperator::Lt => Comparison::Less,
                BinaryOperator::LtEq => Comparison::LessOrEqual,
                BinaryOperator::Gt => Comparison::Greater,
                BinaryOperator::GtEq => Comparison::GreaterOrEqual,
                _ => return Err(at(expr, ConditionError::Unsupported(op.to_string()))),
            };
            if let Some(test) = fact_test(left, FactComparison::Compare(comparison), std::slice::from_ref(right), expr)?
            {
                return Ok(test);
            }
            Ok(Condition::Compare { column: column(left, expr)?, comparison, value: operand(right)? })
        }
        Expr::InList { expr: left, list, negated } => {
            if list.is_empty() || list.len() > MAX_LIST {
                return Err(at(expr, ConditionError::ListLength));
            }
            if let Some(test) = fact_test(left, FactComparison::In { negated: *negated }, list, expr)? {
                return Ok(test);
            }
            let values = list.iter().map(operand).collect::<Result<_, _>>()?;
            Ok(Condition::In { column: column(left, expr)?, values, negated: *negated })
        }
        Expr::InSubquery { expr: left, subquery, negated: false } => {
            let select =
                entitlement(subquery).ok_or_else(|| at(expr, ConditionError::Entitlement(expr.to_string())))??;
            Ok(Condition::Entitled { column: column(left, expr)?, select: Box::new(select) })
        }
        Expr::Between { expr: left, negated, low, high } => {
            let side = |comparison, value: &Expr| -> Result<Condition, ConditionError> {
                let value = std::slice::from_ref(value);
                if let Some(test) = fact_test(left, FactComparison::Compare(comparison), value, expr)? {
                    return Ok(test);
                }
                Ok(Condition::Compare { column: column(left, expr)?, comparison, value: operand(&value[0])? })
            };
            let within =
                Condition::And(vec![side(Comparison::GreaterOrEqual, low)?, side(Comparison::LessOrEqual, high)?]);
            Ok(if *negated { Condition::Not(Box::new(within)) } else { within })
        }
        Expr::Like { negated, any: false, expr: left, pattern, escape_char: None } => match operand(pattern)? {
            Operand::Literal(Literal::Text(pattern)) => {
                Ok(Condition::Like { column: column(left, expr)?, pattern, negated: *negated })
            }
            _ => Err(at(pattern, ConditionError::Unsupported(format!("LIKE {pattern}")))),
        },
        Expr::IsNull(left) => Ok(Condition::IsNull { column: column(left, expr)?, negated: false }),
        Expr::IsNotNull(left) => Ok(Condition::IsNull { column: column(left, expr)?, negated: true }),
        other => Err(at(other, ConditionError::Unsupported(other.to_string()))),
    }
}

/// A sub-select of the one shape that there is; nothing for any other.
fn entitlement(query: &Query) -> Option<Result<Entitlement, ConditionError>> {
    let SetExpr::Select(select) = query.body.as_ref() else { return None };
    let [SelectItem::UnnamedExpr(projected @ Expr::Identifier(selected))] = select.projection.as_slice() else {
        return None;
    };
    let [TableWithJoins { relation: TableFactor::Table { name, .. }, .. }] = select.from.as_slice() else {
        return None;
    };
    let condition = select.selection.as_ref();
    // Written out, it is nothing but these parts: no alias, no join, no grouping, no limit.
    let whole = condition.map(|condition| format!(" WHERE {condition}")).unwrap_or_default();
    if query.to_string() != format!("SELECT {projected} FROM {name}{whole}") {
        return None;
    }
    let parts: Vec<&str> =
        name.0.iter().map(|part| part.as_ident().map(|ident| ident.value.as_str())).collect::<Option<_>>()?;
    if parts.is_empty() || parts.len() > 2 || parts.iter().any(|part| part.contains('.')) {
        return None;
    }
    let filter = match condition.map(read).transpose() {
        Ok(filter) => filter,
        Err(error) => return Some(Err(error)),
    };
    Some(Ok(Entitlement { table: parts.join("."), column: selected.value.clone(), filter }))
}

/// A comparison that reads no column; nothing where a column stands on its left.
fn fact_test(
    left: &Expr,
    comparison: FactComparison,
    right: &[Expr],
    whole: &Expr,
) -> Result<Option<Condition>, ConditionError> {
    let Ok(left_side) = operand(left) else { return Ok(None) };
    let right_sides = right.iter().map(operand).collect::<Result<Vec<_>, _>>()?;
    if right_sides.iter().chain([&left_side]).all(|side| matches!(side, Operand::Literal(_))) {
        return Err(at(whole, ConditionError::NoFact(whole.to_string())));
    }
    if left_side == Operand::Session(SessionFact::Ip) {
        for (side, expr) in right_sides.iter().zip(right) {
            if let Operand::Literal(literal) = side
                && !matches!(literal, Literal::Text(text) if in_network("::", text).is_some())
            {
                return Err(at(expr, ConditionError::Network(expr.to_string())));
            }
        }
    }
    Ok(Some(Condition::Fact(FactTest { left: left_side, comparison, right: right_sides })))
}

/// The error, with where in the text it is.
fn at(expr: &Expr, error: ConditionError) -> ConditionError {
    let start = expr.span().start;
    if start.line == 0 {
        return error;
    }
    ConditionError::At { line: start.line, column: start.column, error: Box::new(error) }
}

pub(crate) fn column(left: &Expr, whole: &Expr) -> Result<String, ConditionError> {
    match left {
        Expr::Nested(inner) => column(inner, whole),
        Expr::Identifier(name) if attribute_name(&name.value).is_none() && session_fact(left).is_none() => {
            Ok(name.value.clone())
        }
        _ => Err(at(left, ConditionError::LeftSide(whole.to_string()))),
    }
}

pub(crate) fn operand(right: &Expr) -> Result<Operand, ConditionError> {
    let literal = |literal| Ok(Operand::Literal(literal));
    match right {
        Expr::Nested(inner) => operand(inner),
        _ if let Some(fact) = session_fact(right) => Ok(Operand::Session(fact)),
        Expr::Identifier(name) => match attribute_name(&name.value) {
            Some(attribute) if name.quote_style.is_none() => Ok(Operand::Attribute(attribute)),
            _ => Err(at(right, ConditionError::Unsupported(name.to_string()))),
        },
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => literal(Literal::Text(text.clone())),
            Value::Number(number, false) => literal(Literal::Number(number.clone())),
            Value::Boolean(flag) => literal(Literal::Boolean(*flag)),
            Value::Null => Err(at(right, ConditionError::NullLiteral)),
            other => Err(at(right, ConditionError::Unsupported(other.to_string()))),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr)? {
            Operand::Literal(Literal::Number(number)) if !number.starts_with('-') => {
                literal(Literal::Number(format!("-{number}")))
            }
            _ => Err(at(right, ConditionError::Unsupported(right.to_string()))),
        },
        other => Err(at(other, ConditionError::Unsupported(other.to_string()))),
    }
}

/// A name of the moment or the network. Some of them the parser takes for functions without brackets.
fn session_fact(expr: &Expr) -> Option<SessionFact> {
    match expr {
        Expr::Identifier(name) if name.quote_style.is_none() => SessionFact::named(&name.value),
        Expr::Function(function) if function.args == FunctionArguments::None => {
            SessionFact::named(&function.name.to_string())
        }
        _ => None,
    }
}

#[cfg(test)]
#[path = "condition_tests.rs"]
mod tests;
