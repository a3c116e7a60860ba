//! The functions that a query may call.
//!
//! A positive list: nothing that reads files or the network, that answers differently each time (`random`, `uuid`),
//! that tells of the server (`version`), whose result can be made huge by a number (`repeat`, `lpad`, `range`:
//! one value of gigabytes is outside every memory pool; what makes values longer otherwise has the bounds of
//! [`crate::growth`]), or whose work grows with the product of two texts
//! (`levenshtein`: hours for one batch, and no deadline reaches into a batch). Aggregates and window functions are
//! all deterministic.

use std::{
    collections::HashSet,
    sync::{Arc, LazyLock},
};

use datafusion::{
    common::tree_node::{TreeNode, TreeNodeRecursion},
    error::Result,
    execution::SessionStateDefaults,
    logical_expr::{AggregateUDF, Expr, LogicalPlan, ScalarUDF, Volatility, WindowUDF},
};

use crate::{error::QueryError, mask};

#[rustfmt::skip]
const SCALAR: &[&str] = &[
    // numbers
    "abs", "acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "ceil", "cos", "cosh", "cot", "degrees",
    "exp", "factorial", "floor", "gcd", "isnan", "iszero", "lcm", "ln", "log", "log10", "log2", "nanvl", "pi", "power",
    "radians", "round", "signum", "sin", "sinh", "sqrt", "tan", "tanh", "trunc",
    // texts
    "ascii", "bit_length", "btrim", "character_length", "chr", "concat", "concat_ws", "contains", "ends_with",
    "find_in_set", "initcap", "left", "lower", "ltrim", "md5", "octet_length", "overlay", "replace",
    "reverse", "right", "rtrim", "split_part", "starts_with", "strpos", "substr", "substr_index", "to_hex", "translate",
    "upper", "regexp_count", "regexp_instr", "regexp_like", "regexp_match", "regexp_replace",
    // choices
    "coalesce", "greatest", "least", "nullif", "nvl", "nvl2",
    // dates
    "current_date", "current_time", "date_bin", "date_part", "date_trunc", "from_unixtime", "make_date", "now",
    "to_char", "to_date", "to_local_time", "to_timestamp", "to_timestamp_micros", "to_timestamp_millis",
    "to_timestamp_nanos", "to_timestamp_seconds", "to_unixtime",
    // lists and structures
    "array_distinct", "array_element", "array_has", "array_length", "array_max", "array_min", "array_position",
    "array_sort", "array_to_string", "cardinality", "get_field", "make_array", "string_to_array",
];

static SCALAR_FUNCTIONS: LazyLock<Vec<Arc<ScalarUDF>>> = LazyLock::new(|| {
    let allowed: HashSet<&str> = SCALAR.iter().copied().collect();
    let all = SessionStateDefaults::default_scalar_functions();
    all.into_iter().filter(|function| allowed.contains(function.name())).collect()
});
static AGGREGATES: LazyLock<Vec<Arc<AggregateUDF>>> = LazyLock::new(SessionStateDefaults::default_aggregate_functions);
static WINDOWS: LazyLock<Vec<Arc<WindowUDF>>> = LazyLock::new(SessionStateDefaults::default_window_functions);

/// The scalar functions of every session.
pub fn scalar() -> Vec<Arc<ScalarUDF>> {
    SCALAR_FUNCTIONS.clone()
}

/// The aggregates of every session.
pub fn aggregates() -> Vec<Arc<AggregateUDF>> {
    AGGREGATES.clone()
}

/// The window functions of every session.
pub fn windows() -> Vec<Arc<WindowUDF>> {
    WINDOWS.clone()
}

/// Some syntax becomes a function without asking for its name (`{a: 1}`, `x || y` of lists); it is held to the list too.
pub fn check(plan: &LogicalPlan) -> Result<Result<(), QueryError>> {
    let mut refused = None;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                match expr {
                    Expr::ScalarFunction(function)
                        if !SCALAR.contains(&function.name()) && !mask::is_mask(&function.func) =>
                    {
                        refused = Some(function.name().to_owned());
                        return Ok(TreeNodeRecursion::Stop);
                    }
                    Expr::HigherOrderFunction(_) | Expr::ScalarVariable(..) => {
                        refused = Some("a function of functions or a variable".to_owned());
                        return Ok(TreeNodeRecursion::Stop);
                    }
                    _ => {}
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(match refused {
        Some(name) => Err(QueryError::invalid(format!("The function {name} is not available in queries."))),
        None => Ok(()),
    })
}

/// Whether no function of the plan asks for the time, so that it answers the same tomorrow.
pub fn are_immutable(plan: &LogicalPlan) -> Result<bool> {
    let mut immutable = true;
    plan.apply_with_subqueries(|node| {
        node.apply_expressions(|expr| {
            expr.apply(|expr| {
                if let Expr::ScalarFunction(function) = expr
                    && function.func.signature().volatility != Volatility::Immutable
                {
                    immutable = false;
                    return Ok(TreeNodeRecursion::Stop);
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok(immutable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_on_the_list_exists() {
        let known: HashSet<String> = scalar().iter().map(|function| function.name().to_owned()).collect();
        let unknown: Vec<_> = SCALAR.iter().filter(|name| !known.contains(**name)).collect();
        assert!(unknown.is_empty(), "{unknown:?}");
    }

    #[test]
    fn what_must_not_be_called_is_not_there() {
        let names: HashSet<String> =
            scalar().iter().flat_map(|f| f.aliases().iter().cloned().chain([f.name().to_owned()])).collect();
        for name in [
            "random",
            "uuid",
            "version",
            "repeat",
            "lpad",
            "rpad",
            "range",
            "generate_series",
            "array_repeat",
            "levenshtein",
        ] {
            assert!(!names.contains(name), "{name}");
        }
    }
}
