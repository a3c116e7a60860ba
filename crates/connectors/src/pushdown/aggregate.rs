//! Aggregate functions as SQL, where the SQL means the same.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;

use super::expr::{Scope, Sql, counts_rows};
use super::table::Comparable;

impl Scope<'_> {
    /// An aggregate whose result has the given type.
    pub(super) fn write_aggregate(&self, expr: &Expr, result: &DataType) -> Option<Sql> {
        let function = match expr {
            Expr::Alias(alias) => return self.write_aggregate(&alias.expr, result),
            Expr::AggregateFunction(function) => function,
            _ => return None,
        };
        let params = &function.params;
        if !params.order_by.is_empty() || params.null_treatment.is_some() {
            return None;
        }
        let grammar = self.dialect.grammar();
        let condition = match &params.filter {
            Some(filter) => Some(self.write_condition(filter)?),
            None => None,
        };
        // An aggregate passes over NULLs.
        let (filter, wrap) = match condition {
            Some(condition) if grammar.filters_aggregates() => (format!(" FILTER (WHERE {condition})"), None),
            condition => (String::new(), condition),
        };
        let only = |text: &str| match &wrap {
            Some(condition) => format!("CASE WHEN {condition} THEN {text} END"),
            None => text.to_owned(),
        };
        let name = function.func.name();
        if name == "count" && counts_rows(&params.args) && !params.distinct {
            let rows = if wrap.is_some() { only("1") } else { "*".to_owned() };
            return Some(self.aggregated(grammar.count(&rows) + &filter, result, Comparable::Ordered));
        }
        let [arg] = params.args.as_slice() else { return None };
        let arg = self.write(arg)?;
        if params.distinct && name != "count" {
            return None;
        }
        if grammar.only_read() && arg.comparable == Comparable::No {
            return None;
        }
        let value = only(&arg.text);
        let (text, comparable) = match (name, &arg.data_type) {
            ("count", _) if params.distinct => {
                let comparable = arg.comparable >= Comparable::Equality && grammar.compares_whole(&arg.data_type);
                comparable.then(|| (grammar.count(&format!("DISTINCT {value}")), Comparable::Ordered))?
            }
            ("count", _) => (grammar.count(&value), Comparable::Ordered),
            ("min" | "max", data_type) if arg.comparable == Comparable::Ordered && *data_type != DataType::Boolean => {
                (grammar.aggregate(name, &value, data_type)?, arg.comparable)
            }
            ("sum", data_type @ (DataType::Int64 | DataType::Float64 | DataType::Decimal128(..))) => {
                (grammar.aggregate(name, &value, data_type)?, self.computed(data_type))
            }
            ("avg", data_type @ DataType::Float64) => {
                (grammar.aggregate(name, &value, data_type)?, self.computed(data_type))
            }
            _ => return None,
        };
        Some(self.aggregated(text + &filter, result, comparable))
    }

    /// A sum may be NaN.
    fn computed(&self, data_type: &DataType) -> Comparable {
        let fraction = *data_type == DataType::Float64;
        if fraction && self.dialect.grammar().is_nan("").is_some() { Comparable::No } else { Comparable::Ordered }
    }

    fn aggregated(&self, text: String, result: &DataType, comparable: Comparable) -> Sql {
        let text = self.dialect.grammar().aggregated(text, result);
        Sql { text, data_type: result.clone(), comparable, bare: false, varies: true, condition: false, stored: None }
    }
}
