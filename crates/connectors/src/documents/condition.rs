//! Filters in words that sources can answer.
//!
//! A condition holds for every row for which its expression holds, and possibly for more: the engine checks again.
//! So what an AND has too much is left out, and fractions are compared inclusively, because the engine orders them
//! totally (`-0.0` below `0.0`) and sources do not.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::{Between, BinaryExpr, Expr, Like, Operator as SqlOperator, expr::InList};
use datafusion::scalar::ScalarValue;

use super::shape::{Column, moment};
use super::value::{Decimal, Value};

/// Longer lists are compared here.
const LONGEST_LIST: usize = 500;

/// A condition on a document. No comparison holds for a field that is null or missing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Condition {
    Compare {
        column: String,
        operator: Operator,
        value: Value,
    },
    In {
        column: String,
        values: Vec<Value>,
    },
    /// A text that begins so; texts are compared by their bytes.
    Prefix {
        column: String,
        prefix: String,
    },
    /// Null or missing.
    Null {
        column: String,
    },
    NotNull {
        column: String,
    },
    All(Vec<Condition>),
    Any(Vec<Condition>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operator {
    Equal,
    /// Of a value that is there.
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Operator {
    fn swapped(self) -> Self {
        match self {
            Self::Less => Self::Greater,
            Self::LessOrEqual => Self::GreaterOrEqual,
            Self::Greater => Self::Less,
            Self::GreaterOrEqual => Self::LessOrEqual,
            same => same,
        }
    }

    fn of(operator: SqlOperator) -> Option<Self> {
        Some(match operator {
            SqlOperator::Eq => Self::Equal,
            SqlOperator::NotEq => Self::NotEqual,
            SqlOperator::Lt => Self::Less,
            SqlOperator::LtEq => Self::LessOrEqual,
            SqlOperator::Gt => Self::Greater,
            SqlOperator::GtEq => Self::GreaterOrEqual,
            _ => return None,
        })
    }
}

impl Condition {
    /// What of an expression can be said; `None` where nothing can.
    pub fn read(expr: &Expr, columns: &[Column]) -> Option<Self> {
        match expr {
            Expr::Alias(alias) => Self::read(&alias.expr, columns),
            Expr::BinaryExpr(BinaryExpr { left, op: SqlOperator::And, right }) => {
                match (Self::read(left, columns), Self::read(right, columns)) {
                    (Some(left), Some(right)) => Some(Self::All(vec![left, right])),
                    (one, other) => one.or(other),
                }
            }
            Expr::BinaryExpr(BinaryExpr { left, op: SqlOperator::Or, right }) => {
                Some(Self::Any(vec![Self::read(left, columns)?, Self::read(right, columns)?]))
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
                let operator = Operator::of(*op)?;
                match (left.as_ref(), right.as_ref()) {
                    (side, Expr::Literal(value, _)) => Self::compare(scalar(side, columns)?, operator, value),
                    (Expr::Literal(value, _), side) => Self::compare(scalar(side, columns)?, operator.swapped(), value),
                    _ => None,
                }
            }
            Expr::Between(Between { expr, negated: false, low, high }) => {
                let column = scalar(expr, columns)?;
                let bound = |operator, bound: &Expr| match bound {
                    Expr::Literal(value, _) => Self::compare(column, operator, value),
                    _ => None,
                };
                match (bound(Operator::GreaterOrEqual, low), bound(Operator::LessOrEqual, high)) {
                    (Some(low), Some(high)) => Some(Self::All(vec![low, high])),
                    (one, other) => one.or(other),
                }
            }
            Expr::InList(InList { expr, list, negated: false }) if list.len() <= LONGEST_LIST => {
                let column = scalar(expr, columns)?;
                let mut values = Vec::with_capacity(list.len());
                for item in list {
                    let Expr::Literal(value, _) = item else { return None };
                    if !value.is_null() {
                        values.push(literal(value, &column.data_type)?);
                    }
                }
                let column = column.name.clone();
                (!values.is_empty()).then_some(Self::In { column, values })
            }
            Expr::Like(Like { negated: false, expr, pattern, escape_char: None, case_insensitive: false }) => {
                let column = scalar(expr, columns)?;
                let Expr::Literal(pattern, _) = pattern.as_ref() else { return None };
                let pattern = pattern.try_as_str()??;
                let prefix: String = pattern.chars().take_while(|c| !matches!(c, '%' | '_' | '\\')).collect();
                (!prefix.is_empty()).then(|| Self::Prefix { column: column.name.clone(), prefix })
            }
            Expr::IsNull(inner) => Some(Self::Null { column: named(inner, columns)?.name.clone() }),
            Expr::IsNotNull(inner) => Some(Self::NotNull { column: named(inner, columns)?.name.clone() }),
            Expr::IsTrue(inner) => Self::read(inner, columns),
            Expr::Not(inner) | Expr::IsFalse(inner) => Self::truth(inner, false, columns),
            Expr::Column(_) => Self::truth(expr, true, columns),
            _ => None,
        }
    }

    fn truth(expr: &Expr, truth: bool, columns: &[Column]) -> Option<Self> {
        let column = scalar(expr, columns).filter(|column| column.data_type == DataType::Boolean)?;
        let column = column.name.clone();
        Some(Self::Compare { column, operator: Operator::Equal, value: Value::Bool(truth) })
    }

    fn compare(column: &Column, operator: Operator, value: &ScalarValue) -> Option<Self> {
        let value = literal(value, &column.data_type)?;
        let operator = match (&value, operator) {
            (Value::Float(_), Operator::NotEqual) => return None,
            (Value::Float(_), Operator::Less) => Operator::LessOrEqual,
            (Value::Float(_), Operator::Greater) => Operator::GreaterOrEqual,
            (_, operator) => operator,
        };
        Some(Self::Compare { column: column.name.clone(), operator, value })
    }

    /// The columns that it speaks of.
    pub fn columns(&self) -> Vec<&str> {
        match self {
            Self::Compare { column, .. }
            | Self::In { column, .. }
            | Self::Prefix { column, .. }
            | Self::Null { column }
            | Self::NotNull { column } => vec![column],
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::columns).collect(),
        }
    }
}

fn named<'a>(expr: &Expr, columns: &'a [Column]) -> Option<&'a Column> {
    let Expr::Column(column) = expr else { return None };
    columns.iter().find(|known| known.name == column.name)
}

/// A column whose values are of one kind, and compared as such.
fn scalar<'a>(expr: &Expr, columns: &'a [Column]) -> Option<&'a Column> {
    named(expr, columns).filter(|column| !column.mixed)
}

/// A literal of the column's own type. Others would be compared after a conversion that sources do not make.
fn literal(value: &ScalarValue, data_type: &DataType) -> Option<Value> {
    Some(match (data_type, value) {
        (DataType::Boolean, ScalarValue::Boolean(Some(value))) => Value::Bool(*value),
        (DataType::Int64, ScalarValue::Int64(Some(value))) => Value::Int(*value),
        (DataType::Float64, ScalarValue::Float64(Some(value))) if value.is_finite() => Value::Float(*value),
        (DataType::Utf8, value) => Value::text(value.try_as_str()??),
        (DataType::Decimal128(_, theirs), ScalarValue::Decimal128(Some(digits), _, scale)) if theirs == scale => {
            Value::Decimal(Decimal { digits: *digits, scale: u8::try_from(*scale).ok()? })
        }
        (data_type, ScalarValue::TimestampMicrosecond(Some(value), Some(_))) if *data_type == moment() => {
            Value::Moment(*value)
        }
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use datafusion::prelude::{col, lit};

    use super::*;

    fn columns() -> Vec<Column> {
        vec![
            Column::new("i", "", DataType::Int64),
            Column::new("f", "", DataType::Float64),
            Column::new("t", "", DataType::Utf8),
            Column::new("b", "", DataType::Boolean),
            Column::mixed("m", ""),
        ]
    }

    fn read(expr: Expr) -> Option<Condition> {
        Condition::read(&expr, &columns())
    }

    #[test]
    fn what_is_too_much_in_an_and_is_left_out_but_not_in_an_or() {
        let known = || col("i").eq(lit(1_i64));
        let unknown = || col("m").eq(lit("x"));
        assert_eq!(read(known().and(unknown())), read(known()));
        assert_eq!(read(known().or(unknown())), None);
        assert!(read(known().or(col("t").is_null())).is_some());
    }

    #[test]
    fn fractions_are_compared_inclusively() {
        let compare =
            |operator, value| Some(Condition::Compare { column: "f".into(), operator, value: Value::Float(value) });
        assert_eq!(read(col("f").lt(lit(0.0))), compare(Operator::LessOrEqual, 0.0));
        assert_eq!(read(lit(0.0).lt(col("f"))), compare(Operator::GreaterOrEqual, 0.0));
        assert_eq!(read(col("f").not_eq(lit(0.0))), None);
        assert_eq!(read(col("f").eq(lit(f64::NAN))), None);
    }

    #[test]
    fn only_values_of_the_columns_type_are_compared() {
        assert_eq!(read(col("i").eq(lit(1.5))), None);
        assert_eq!(read(col("t").eq(lit(1_i64))), None);
        assert_eq!(read(col("m").eq(lit("1"))), None);
        assert!(read(col("m").is_not_null()).is_some());
        assert!(read(!col("b")).is_some() && read(!col("t")).is_none());
        let list = col("t").in_list(vec![lit("a"), lit(ScalarValue::Utf8(None))], false);
        assert_eq!(read(list), Some(Condition::In { column: "t".into(), values: vec![Value::text("a")] }));
        assert_eq!(read(col("t").in_list(vec![lit("a")], true)), None);
        let prefix = Some(Condition::Prefix { column: "t".into(), prefix: "ab".into() });
        assert_eq!(read(col("t").like(lit("ab_%"))), prefix);
        assert_eq!(read(col("t").like(lit("%ab"))), None);
    }
}
