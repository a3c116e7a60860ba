//! Which columns of an answer come from masked columns.

use std::collections::HashMap;

use datafusion::{
    common::{
        Column,
        tree_node::{TreeNode, TreeNodeRecursion},
    },
    error::Result,
    logical_expr::{Aggregate, Distinct, Expr, LogicalPlan, Projection, Window},
};

use crate::view::GovernedView;

/// For each output column of the plan, whether a masked column is anywhere in what it is computed from.
///
/// What only decides which rows there are (a predicate, a join condition) does not count; what a subquery in an
/// expression reads does.
pub fn masked_columns(plan: &LogicalPlan) -> Result<Vec<bool>> {
    match plan {
        LogicalPlan::TableScan(scan) => {
            let view = GovernedView::of_scan(scan);
            let masked = |name: &str| view.as_ref().is_some_and(|view| view.is_masked(name));
            Ok(scan.projected_schema.fields().iter().map(|field| masked(field.name())).collect())
        }
        LogicalPlan::Projection(Projection { expr, input, .. }) => from_input(expr.iter(), &[input]),
        LogicalPlan::Aggregate(Aggregate { group_expr, aggr_expr, input, schema, .. }) => {
            let masked = from_input(group_expr.iter().chain(aggr_expr), &[input])?;
            // Grouping sets have more columns than expressions: judged together.
            if masked.len() == schema.fields().len() {
                Ok(masked)
            } else {
                Ok(vec![masked.contains(&true); schema.fields().len()])
            }
        }
        LogicalPlan::Window(Window { input, window_expr, .. }) => {
            let mut masked = masked_columns(input)?;
            masked.extend(from_input(window_expr.iter(), &[input])?);
            Ok(masked)
        }
        LogicalPlan::Distinct(Distinct::On(on)) => from_input(on.select_expr.iter(), &[&on.input]),
        LogicalPlan::Union(union) => {
            let mut masked = vec![false; union.schema.fields().len()];
            for input in &union.inputs {
                masked.iter_mut().zip(masked_columns(input)?).for_each(|(all, one)| *all |= one);
            }
            Ok(masked)
        }
        other => {
            let mut masked = Vec::new();
            for input in other.inputs() {
                masked.extend(masked_columns(input)?);
            }
            // Filters, sorts, limits, aliases and inner joins keep their inputs' columns; what changes them
            // (semi joins, unnesting) is judged as a whole.
            let width = other.schema().fields().len();
            if masked.len() == width { Ok(masked) } else { Ok(vec![masked.contains(&true); width]) }
        }
    }
}

fn from_input<'a>(exprs: impl Iterator<Item = &'a Expr>, inputs: &[&LogicalPlan]) -> Result<Vec<bool>> {
    let mut known: HashMap<Column, bool> = HashMap::new();
    for input in inputs {
        let masked = masked_columns(input)?;
        known.extend(input.schema().columns().into_iter().zip(masked));
    }
    exprs
        .map(|expr| {
            let mut masked = false;
            expr.apply(|expr| {
                masked |= match expr {
                    Expr::Column(column) => known.get(column).copied().unwrap_or(false),
                    Expr::ScalarSubquery(subquery) => reads_masked(&subquery.subquery)?,
                    Expr::Exists(exists) => reads_masked(&exists.subquery.subquery)?,
                    Expr::InSubquery(within) => reads_masked(&within.subquery.subquery)?,
                    Expr::SetComparison(comparison) => reads_masked(&comparison.subquery.subquery)?,
                    _ => false,
                };
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(masked)
        })
        .collect()
}

fn reads_masked(plan: &LogicalPlan) -> Result<bool> {
    Ok(masked_columns(plan)?.contains(&true))
}
