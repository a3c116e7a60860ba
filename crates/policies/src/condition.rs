//! The language of row filters.
//!
//! ```text
//! region = current_user_region AND status IN ('open', 'held') AND NOT (owner IS NULL)
//! └column┘ └caller attribute┘      └column┘ └──literals──┘
//! ```
//!
//! A condition is text that an administrator writes and that decides which rows a person sees, so it is
//! never handed on as SQL: it is parsed, only the shapes below are accepted, and what is left is a tree of
//! columns and values that the engine turns into expressions over bound literals.
//!
//! - comparisons `=  <>  <  <=  >  >=`, `[NOT] IN (…)`, `[NOT] BETWEEN … AND …`, `[NOT] LIKE '…'`, `IS [NOT] NULL`,
//!   combined with `AND`, `OR`, `NOT` and brackets;
//! - on the left stands a column of the governed table, on the right a literal (text, number, boolean) or
//!   `current_user_<attribute>`; a `LIKE` pattern is a literal, so that no attribute can bring wildcards.
//!
//! Nothing makes a row visible by being unknown. A comparison with NULL is neither true nor false, and `NOT`
//! leaves it so (SQL's three-valued logic). An attribute that the caller lacks, or that is null, empties the
//! whole filter: [`Condition::bind`] answers [`Bound::NoRows`], even where `OR` could have let a row through.

use std::{collections::BTreeSet, fmt};

use rivergen_kernel::Attributes;
use serde_json::Value as Json;
use sqlparser::{
    ast::{BinaryOperator, Expr, UnaryOperator, Value},
    dialect::GenericDialect,
    parser::Parser,
    tokenizer::Token,
};

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
    /// No row at all: the caller lacks this attribute, or its value cannot be compared.
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
    #[error("`{0}` must have a column of the table on its left")]
    LeftSide(String),
    #[error("a comparison with NULL is true for no row: write IS NULL or IS NOT NULL")]
    NullLiteral,
    #[error("a list may have 1 to {MAX_LIST} values")]
    ListLength,
}

impl Condition {
    /// Reads a condition.
    pub fn parse(text: &str) -> Result<Self, ConditionError> {
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
        read(&expr)
    }

    /// Puts the caller's attributes in their places.
    pub fn bind(&self, attributes: &Attributes) -> Bound {
        match self.try_bind(attributes) {
            Ok(condition) => Bound::Rows(condition),
            Err(missing_attribute) => Bound::NoRows { missing_attribute },
        }
    }

    fn try_bind(&self, attributes: &Attributes) -> Result<Condition<Literal>, String> {
        let all =
            |parts: &[Condition]| parts.iter().map(|part| part.try_bind(attributes)).collect::<Result<Vec<_>, _>>();
        Ok(match self {
            Condition::Compare { column, comparison, value } => Condition::Compare {
                column: column.clone(),
                comparison: *comparison,
                value: match value {
                    Operand::Literal(literal) => literal.clone(),
                    Operand::Attribute(name) => {
                        attributes.get(name).and_then(scalar_literal).ok_or_else(|| name.clone())?
                    }
                },
            },
            Condition::In { column, values, negated } => {
                let mut bound = Vec::with_capacity(values.len());
                for value in values {
                    match value {
                        Operand::Literal(literal) => bound.push(literal.clone()),
                        // A list attribute stands for its members: `region IN (current_user_regions)`.
                        Operand::Attribute(name) => match attributes.get(name) {
                            Some(Json::Array(members)) if members.len() <= MAX_LIST => {
                                for member in members {
                                    bound.push(scalar_literal(member).ok_or_else(|| name.clone())?);
                                }
                            }
                            other => bound.push(other.and_then(scalar_literal).ok_or_else(|| name.clone())?),
                        },
                    }
                }
                Condition::In { column: column.clone(), values: bound, negated: *negated }
            }
            Condition::Like { column, pattern, negated } => {
                Condition::Like { column: column.clone(), pattern: pattern.clone(), negated: *negated }
            }
            Condition::IsNull { column, negated } => Condition::IsNull { column: column.clone(), negated: *negated },
            Condition::And(parts) => Condition::And(all(parts)?),
            Condition::Or(parts) => Condition::Or(all(parts)?),
            Condition::Not(inner) => Condition::Not(Box::new(inner.try_bind(attributes)?)),
        })
    }

    /// The names of the attributes that the condition asks the caller for.
    pub fn attributes(&self) -> BTreeSet<&str> {
        fn of(operand: &Operand) -> Option<&str> {
            match operand {
                Operand::Attribute(name) => Some(name),
                Operand::Literal(_) => None,
            }
        }
        let mut names = BTreeSet::new();
        self.visit(&mut |condition| match condition {
            Condition::Compare { value, .. } => names.extend(of(value)),
            Condition::In { values, .. } => names.extend(values.iter().filter_map(of)),
            _ => {}
        });
        names
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
            | Condition::IsNull { column, .. } => {
                columns.insert(column.as_str());
            }
            Condition::And(_) | Condition::Or(_) | Condition::Not(_) => {}
        });
        columns
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

impl Operand {
    /// The right side as JSON configuration gives it: a string `current_user_<attribute>` names an attribute.
    pub fn from_json(value: &Json) -> Option<Self> {
        if let Json::String(text) = value
            && let Some(name) = attribute_name(text)
        {
            return Some(Operand::Attribute(name));
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

fn scalar_literal(value: &Json) -> Option<Literal> {
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

fn read(expr: &Expr) -> Result<Condition, ConditionError> {
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
                _ => return Err(ConditionError::Unsupported(op.to_string())),
            };
            Ok(Condition::Compare { column: column(left, expr)?, comparison, value: operand(right)? })
        }
        Expr::InList { expr: left, list, negated } => {
            if list.is_empty() || list.len() > MAX_LIST {
                return Err(ConditionError::ListLength);
            }
            let values = list.iter().map(operand).collect::<Result<_, _>>()?;
            Ok(Condition::In { column: column(left, expr)?, values, negated: *negated })
        }
        Expr::Between { expr: left, negated, low, high } => {
            let column = column(left, expr)?;
            let side = |comparison, value: &Expr| -> Result<Condition, ConditionError> {
                Ok(Condition::Compare { column: column.clone(), comparison, value: operand(value)? })
            };
            let within =
                Condition::And(vec![side(Comparison::GreaterOrEqual, low)?, side(Comparison::LessOrEqual, high)?]);
            Ok(if *negated { Condition::Not(Box::new(within)) } else { within })
        }
        Expr::Like { negated, any: false, expr: left, pattern, escape_char: None } => match operand(pattern)? {
            Operand::Literal(Literal::Text(pattern)) => {
                Ok(Condition::Like { column: column(left, expr)?, pattern, negated: *negated })
            }
            _ => Err(ConditionError::Unsupported(format!("LIKE {pattern}"))),
        },
        Expr::IsNull(left) => Ok(Condition::IsNull { column: column(left, expr)?, negated: false }),
        Expr::IsNotNull(left) => Ok(Condition::IsNull { column: column(left, expr)?, negated: true }),
        other => Err(ConditionError::Unsupported(other.to_string())),
    }
}

fn column(left: &Expr, whole: &Expr) -> Result<String, ConditionError> {
    match left {
        Expr::Nested(inner) => column(inner, whole),
        Expr::Identifier(name) if attribute_name(&name.value).is_none() => Ok(name.value.clone()),
        _ => Err(ConditionError::LeftSide(whole.to_string())),
    }
}

fn operand(right: &Expr) -> Result<Operand, ConditionError> {
    let literal = |literal| Ok(Operand::Literal(literal));
    match right {
        Expr::Nested(inner) => operand(inner),
        Expr::Identifier(name) => match attribute_name(&name.value) {
            Some(attribute) if name.quote_style.is_none() => Ok(Operand::Attribute(attribute)),
            _ => Err(ConditionError::Unsupported(name.to_string())),
        },
        Expr::Value(value) => match &value.value {
            Value::SingleQuotedString(text) => literal(Literal::Text(text.clone())),
            Value::Number(number, false) => literal(Literal::Number(number.clone())),
            Value::Boolean(flag) => literal(Literal::Boolean(*flag)),
            Value::Null => Err(ConditionError::NullLiteral),
            other => Err(ConditionError::Unsupported(other.to_string())),
        },
        Expr::UnaryOp { op: UnaryOperator::Minus, expr } => match operand(expr)? {
            Operand::Literal(Literal::Number(number)) if !number.starts_with('-') => {
                literal(Literal::Number(format!("-{number}")))
            }
            _ => Err(ConditionError::Unsupported(right.to_string())),
        },
        other => Err(ConditionError::Unsupported(other.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn attributes(value: Json) -> Attributes {
        value.as_object().into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())).collect()
    }

    #[test]
    fn reads_the_whole_language() {
        let text = "(region = current_user_region OR region IN ('EU', 'US')) AND NOT (age < -3 AND x IS NULL) \
                    AND name LIKE 'A%' AND active = true AND y NOT IN (1, 2.5) AND z BETWEEN 1 AND 2";
        let condition = Condition::parse(text).unwrap();
        assert_eq!(
            condition.columns().into_iter().collect::<Vec<_>>(),
            ["active", "age", "name", "region", "x", "y", "z"]
        );
        assert_eq!(condition.attributes().into_iter().collect::<Vec<_>>(), ["region"]);
        let Condition::And(parts) = condition else { panic!("not a conjunction") };
        assert_eq!(parts.len(), 6);
    }

    #[test]
    fn refuses_everything_else() {
        for text in [
            "",
            "region",
            "region = ",
            "region = other_column",
            "current_user_region = region",
            "'EU' = 'EU'",
            "1 = 1",
            "true",
            "region = (SELECT max(region) FROM t)",
            "region IN (SELECT region FROM t)",
            "EXISTS (SELECT 1)",
            "lower(region) = 'eu'",
            "region = lower('EU')",
            "region || 'x' = 'EUx'",
            "salary + 1 > 2",
            "region = NULL",
            "region = 'EU'; DROP TABLE t",
            "region = 'EU' -- OR 1=1\n OR x = 2 y",
            "region ILIKE 'e%'",
            "region SIMILAR TO 'e'",
            "region LIKE current_user_region",
            "t.region = 'EU'",
            "region IS TRUE",
            "region IS DISTINCT FROM 'EU'",
            "region = ANY (ARRAY['EU'])",
            "CASE WHEN true THEN true END",
            "CAST(region AS INT) = 1",
            "region = $1",
            "region = X'41'",
            "current_user_region IS NULL",
            "region = \"current_user_region\"",
            "region IN ()",
        ] {
            assert!(Condition::parse(text).is_err(), "accepted: {text}");
        }
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let deep = format!("{}a = 1{}", "(".repeat(500), ")".repeat(500));
        assert!(matches!(Condition::parse(&deep), Err(ConditionError::Syntax(_))));
        let nots = format!("{}a = 1", "NOT ".repeat(900));
        assert!(matches!(Condition::parse(&nots), Err(ConditionError::Syntax(_))));
        let long = vec!["a = 1"; 1_000].join(" OR ");
        assert_eq!(Condition::parse(&long), Err(ConditionError::TooLong));
        let chain = vec!["a = 1"; 400].join(" OR ");
        assert!(matches!(Condition::parse(&chain), Ok(Condition::Or(parts)) if parts.len() == 400));
    }

    #[test]
    fn an_attribute_that_is_missing_or_null_empties_the_filter() {
        let condition = Condition::parse("public = true OR NOT (region = current_user_region)").unwrap();
        for held in [json!({}), json!({"region": null}), json!({"region": {}}), json!({"region": ["EU"]})] {
            assert_eq!(condition.bind(&attributes(held)), Bound::NoRows { missing_attribute: "region".into() });
        }
        assert!(matches!(condition.bind(&attributes(json!({"region": "EU"}))), Bound::Rows(_)));
    }

    #[test]
    fn a_list_attribute_stands_for_its_members() {
        let condition = Condition::parse("region IN ('XX', current_user_regions)").unwrap();
        let Bound::Rows(Condition::In { values, .. }) = condition.bind(&attributes(json!({"regions": ["EU", 5]})))
        else {
            panic!("not bound")
        };
        assert_eq!(values, [Literal::Text("XX".into()), Literal::Text("EU".into()), Literal::Number("5".into())]);
        let with_null = attributes(json!({"regions": ["EU", null]}));
        assert!(matches!(condition.bind(&with_null), Bound::NoRows { .. }));
    }

    proptest! {
        /// Whatever is written, reading it ends, and what an attribute holds never changes the shape.
        #[test]
        fn never_panics(text in ".{0,200}") {
            let _ = Condition::parse(&text);
        }

        #[test]
        fn an_attribute_is_a_value_never_text_of_the_condition(value in ".{0,40}") {
            let condition = Condition::parse("region = current_user_region").unwrap();
            let bound = condition.bind(&attributes(json!({"region": value})));
            prop_assert_eq!(bound, Bound::Rows(Condition::Compare {
                column: "region".into(),
                comparison: Comparison::Equal,
                value: Literal::Text(value),
            }));
        }
    }
}
