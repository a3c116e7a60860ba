//! Which expressions have an answer for every row.
//!
//! An expression that may raise (a division, a cast, a function that refuses some values) tells something of each
//! row that it is evaluated on: whether it raised. So it must meet only rows that the caller may see. An expression
//! on the lists below never raises; evaluating it on a hidden row tells nothing, and it may go below the row
//! filter, into Parquet's pruning or into a source's SQL.
//!
//! Both lists are positive: what is not named may raise.

use datafusion::{
    arrow::datatypes::{DECIMAL128_MAX_PRECISION, DataType},
    common::{
        DFSchema, ExprSchema,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{
        Aggregate, Between, BinaryExpr, Case, Distinct, Expr, ExprSchemable, Like, LogicalPlan, Operator, expr::InList,
    },
};

use crate::mask;

/// A pattern longer than this may be refused by the regular expression that it becomes.
const LONGEST_PATTERN: usize = 200;

/// Text functions that answer every text, and the choices between values.
const TOTAL_FUNCTIONS: &[&str] =
    &["lower", "upper", "character_length", "octet_length", "starts_with", "ends_with", "btrim", "coalesce", "nullif"];

/// Whether the expression has an answer for every row of the schema.
pub fn is_total(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    let total = |expr: &Expr| is_total(expr, schema);
    let data_type = |expr: &Expr| expr.get_type(schema).ok();
    match expr {
        Expr::Column(_) | Expr::Literal(..) | Expr::OuterReferenceColumn(..) => true,
        Expr::Alias(alias) => total(&alias.expr),
        Expr::Not(inner)
        | Expr::IsNull(inner)
        | Expr::IsNotNull(inner)
        | Expr::IsTrue(inner)
        | Expr::IsNotTrue(inner)
        | Expr::IsFalse(inner)
        | Expr::IsNotFalse(inner)
        | Expr::IsUnknown(inner)
        | Expr::IsNotUnknown(inner) => total(inner),
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            let operator_is_total = match op {
                Operator::And
                | Operator::Or
                | Operator::Eq
                | Operator::NotEq
                | Operator::Lt
                | Operator::LtEq
                | Operator::Gt
                | Operator::GtEq
                | Operator::IsDistinctFrom
                | Operator::IsNotDistinctFrom => true,
                // The engine's integer arithmetic wraps around; decimals raise where the result may not fit, dates and
                // intervals wherever.
                Operator::Plus | Operator::Minus | Operator::Multiply => match (data_type(left), data_type(right)) {
                    (Some(left), Some(right)) if left == right && (left.is_integer() || is_float(&left)) => true,
                    (Some(left), Some(right)) => decimals_fit(&left, *op, &right),
                    _ => false,
                },
                Operator::Divide | Operator::Modulo => {
                    data_type(left).as_ref().is_some_and(is_float) && data_type(left) == data_type(right)
                }
                _ => false,
            };
            operator_is_total && total(left) && total(right)
        }
        Expr::Like(Like { expr, pattern, escape_char: None, .. }) => total(expr) && is_short_text(pattern),
        Expr::Between(Between { expr, low, high, .. }) => total(expr) && total(low) && total(high),
        Expr::InList(InList { expr, list, .. }) => total(expr) && list.iter().all(total),
        Expr::Case(Case { expr, when_then_expr, else_expr }) => {
            expr.as_deref().is_none_or(total)
                && else_expr.as_deref().is_none_or(total)
                && when_then_expr.iter().all(|(when, then)| total(when) && total(then))
        }
        Expr::Cast(cast) => match cast.expr.as_ref() {
            Expr::Literal(value, _) => value.cast_to(cast.field.data_type()).is_ok(),
            inner => total(inner) && data_type(inner).is_some_and(|from| is_total_cast(&from, cast.field.data_type())),
        },
        Expr::TryCast(cast) => total(&cast.expr),
        Expr::ScalarFunction(function) => {
            let name = function.func.name();
            (TOTAL_FUNCTIONS.contains(&name) || mask::is_mask(&function.func)) && function.args.iter().all(total)
        }
        // What an aggregate or a window computes is above every filter of its input; only what it is given counts.
        Expr::AggregateFunction(function) => {
            let params = &function.params;
            params.args.iter().all(total)
                && params.filter.as_deref().is_none_or(total)
                && params.order_by.iter().all(|sort| total(&sort.expr))
        }
        Expr::WindowFunction(function) => {
            let params = &function.params;
            params.args.iter().all(total)
                && params.partition_by.iter().all(total)
                && params.filter.as_deref().is_none_or(total)
                && params.order_by.iter().all(|sort| total(&sort.expr))
        }
        // The plans inside are looked at by `may_raise_below_filters`.
        Expr::Exists(_) | Expr::ScalarSubquery(_) => true,
        Expr::InSubquery(subquery) => total(&subquery.expr),
        _ => false,
    }
}

/// Whether the result of any two decimals of these types has at most the 38 digits that 128 bits hold. The engine compares
/// with 128 bits and not with the precision of the result's type, which is cut to 38 where it should be more.
fn decimals_fit(left: &DataType, operator: Operator, right: &DataType) -> bool {
    let (DataType::Decimal128(p, s), DataType::Decimal128(q, t)) = (left, right) else { return false };
    let (p, s, q, t) = (i16::from(*p), i16::from(*s), i16::from(*q), i16::from(*t));
    let digits = match operator {
        Operator::Multiply => p + q,
        Operator::Plus | Operator::Minus => s.max(t) + (p - s).max(q - t) + 1,
        _ => return false,
    };
    s >= 0 && t >= 0 && digits <= i16::from(DECIMAL128_MAX_PRECISION)
}

fn is_float(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Float16 | DataType::Float32 | DataType::Float64)
}

fn is_short_text(expr: &Expr) -> bool {
    let text = match expr {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        Expr::Cast(cast) => return is_short_text(&cast.expr),
        _ => None,
    };
    text.is_some_and(|text| text.chars().count() <= LONGEST_PATTERN)
}

/// Whether each value of the one type is a value of the other.
fn is_total_cast(from: &DataType, to: &DataType) -> bool {
    use DataType::*;
    // Digits that the integers need before the decimal point.
    let digits = |t: &DataType| match t {
        Int8 | UInt8 => Some(3_i16),
        Int16 | UInt16 => Some(5),
        Int32 | UInt32 => Some(10),
        Int64 => Some(19),
        UInt64 => Some(20),
        _ => None,
    };
    let is_text = |t: &DataType| matches!(t, Utf8 | LargeUtf8 | Utf8View);
    match (from, to) {
        (a, b) if a == b => true,
        (Null, _) => true,
        (Dictionary(_, inner), to) => is_total_cast(inner, to),
        (a, b) if is_text(a) && is_text(b) => true,
        (a, b) if is_text(b) => a.is_integer() || is_float(a) || matches!(a, Boolean),
        (Boolean, b) => b.is_integer(),
        (a, b) if a.is_integer() && is_float(b) => true,
        (Float16, Float32 | Float64) | (Float32, Float64) => true,
        (Int8, Int16 | Int32 | Int64) | (Int16, Int32 | Int64) | (Int32, Int64) => true,
        (UInt8, UInt16 | UInt32 | UInt64 | Int16 | Int32 | Int64) => true,
        (UInt16, UInt32 | UInt64 | Int32 | Int64) | (UInt32, UInt64 | Int64) => true,
        (a, Decimal128(precision, scale) | Decimal256(precision, scale)) if a.is_integer() => {
            digits(a).is_some_and(|digits| *scale >= 0 && i16::from(*precision) - i16::from(*scale) >= digits)
        }
        (Decimal128(p, s), Decimal128(q, t) | Decimal256(q, t)) | (Decimal256(p, s), Decimal256(q, t)) => {
            t >= s && i16::from(*q) - i16::from(*t) >= i16::from(*p) - i16::from(*s)
        }
        (Decimal128(..) | Decimal256(..), Float64) => true,
        _ => false,
    }
}

/// Whether somewhere in the plan stands an expression that may raise and that an optimizer, here or in a source,
/// could bring to the rows below a filter.
///
/// Predicates and join conditions move down, so one that may raise counts wherever it stands. Computed values stay
/// above the filters of their own input: one that may raise counts unless an aggregate lies between it and the
/// tables and no predicate above could take it along.
pub fn may_raise_below_filters(plan: &LogicalPlan) -> Result<bool> {
    walk(plan, Above { predicate: false, raising_predicate: false, raising_value: false })
}

/// What stands above a node.
#[derive(Clone, Copy)]
struct Above {
    /// A filter or join that could swallow a value computed below it.
    predicate: bool,
    /// A predicate that may raise.
    raising_predicate: bool,
    /// A value that may raise, with no aggregate since.
    raising_value: bool,
}

fn walk(plan: &LogicalPlan, mut above: Above) -> Result<bool> {
    let raises = node_may_raise(plan)?;
    match plan {
        LogicalPlan::Filter(_) | LogicalPlan::Join(_) => {
            above.predicate = true;
            above.raising_predicate |= raises;
        }
        LogicalPlan::Projection(_) | LogicalPlan::Sort(_) | LogicalPlan::Window(_) => {
            above.raising_value |= raises;
            above.raising_predicate |= raises && above.predicate;
        }
        LogicalPlan::Aggregate(Aggregate { .. }) => {
            // What it groups by or aggregates is computed on its input's rows.
            above.raising_value = raises;
            above.raising_predicate |= raises && above.predicate;
        }
        LogicalPlan::Distinct(Distinct::On(_)) => above.raising_value |= raises,
        LogicalPlan::TableScan(_) if above.raising_predicate || above.raising_value => return Ok(true),
        _ => above.raising_predicate |= raises,
    }
    let mut found = false;
    // A subquery becomes a join with the plan that it stands in.
    let within = Above { predicate: true, raising_predicate: above.raising_predicate | raises, raising_value: false };
    plan.apply_subqueries(|subquery| {
        found |= walk(subquery, within)?;
        Ok(TreeNodeRecursion::Continue)
    })?;
    for input in plan.inputs() {
        found = found || walk(input, above)?;
    }
    Ok(found)
}

fn node_may_raise(plan: &LogicalPlan) -> Result<bool> {
    let inputs = plan.inputs();
    let schema = match inputs.as_slice() {
        [] => plan.schema().as_ref().clone(),
        [first, rest @ ..] => {
            let mut schema = first.schema().as_ref().clone();
            for input in rest {
                schema = merged(schema, input.schema());
            }
            schema
        }
    };
    let mut raises = false;
    plan.apply_expressions(|expr| {
        raises |= !is_total(expr, &schema);
        Ok(TreeNodeRecursion::Continue)
    })?;
    if raises && let LogicalPlan::Join(join) = plan {
        // The merged schema drops columns of the same name; each side's keys are judged by its own.
        let keys = join.on.iter().all(|(l, r)| is_total(l, join.left.schema()) && is_total(r, join.right.schema()));
        raises = !keys || join.filter.as_ref().is_some_and(|filter| !is_total(filter, &schema));
    }
    Ok(raises)
}

fn merged(mut schema: DFSchema, other: &DFSchema) -> DFSchema {
    schema.merge(other);
    schema
}

/// Whether an expression reads anything outside the row: a subquery or an outer query.
pub fn is_of_one_row(expr: &Expr) -> bool {
    let outside = expr.exists(|e| {
        Ok(matches!(
            e,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
                | Expr::OuterReferenceColumn(..)
        ))
    });
    !outside.unwrap_or(true)
}

#[cfg(test)]
mod tests {
    use datafusion::{
        arrow::datatypes::{Field, Schema, TimeUnit},
        logical_expr::{cast, col, lit, try_cast},
    };

    use super::*;

    #[test]
    fn what_may_raise_is_told_from_what_may_not() {
        let schema = DFSchema::try_from(Schema::new(vec![
            Field::new("i", DataType::Int64, true),
            Field::new("small", DataType::Int32, true),
            Field::new("f", DataType::Float64, true),
            Field::new("d", DataType::Decimal128(10, 2), true),
            Field::new("wide", DataType::Decimal128(28, 4), true),
            Field::new("widest", DataType::Decimal128(38, 2), true),
            Field::new("t", DataType::Utf8, true),
            Field::new("day", DataType::Date32, true),
        ]))
        .unwrap();
        let moment = DataType::Timestamp(TimeUnit::Nanosecond, None);
        for (expr, total) in [
            (col("i").gt(lit(5_i64)), true),
            (col("i") + col("i"), true),
            (col("i") / col("i"), false),
            (col("i") % lit(7_i64), false),
            (col("f") / col("f"), true),
            (col("d") + col("d"), true),
            (col("d") - col("wide"), true),
            (col("d") - col("widest"), false),
            (col("d") * col("wide"), true),
            (col("d") * (col("d") * col("d")), true),
            (col("wide") * col("wide"), false),
            (col("d") * (col("d") + col("wide")), false),
            (col("d") / col("d"), false),
            (cast(col("t"), DataType::Int64), false),
            (try_cast(col("t"), DataType::Int64), true),
            (cast(lit("12"), DataType::Int64), true),
            (cast(lit("x"), DataType::Int64), false),
            (cast(col("small"), DataType::Int64), true),
            (cast(col("i"), DataType::Int32), false),
            (cast(col("i"), DataType::Utf8), true),
            (cast(col("i"), DataType::Decimal128(20, 2)), false),
            (cast(col("i"), DataType::Decimal128(21, 2)), true),
            (cast(col("f"), DataType::Int64), false),
            (cast(col("day"), moment), false),
            (col("t").like(lit("a%")), true),
            (col("t").like(col("t")), false),
            (col("t").like(lit("_".repeat(5_000))), false),
            (col("t").in_list(vec![lit("a"), lit("b")], true).and(col("f").is_null()), true),
            (col("i").eq(lit(1_i64)).or((lit(1_i64) / col("i")).gt(lit(0_i64))), false),
        ] {
            assert_eq!(is_total(&expr, &schema), total, "{expr}");
        }
    }
}
