//! Aggregate functions as SQL, where the SQL means the same.

use datafusion::arrow::datatypes::DataType;
use datafusion::logical_expr::Expr;

use super::Dialect;
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
        let filter = match &params.filter {
            Some(filter) => format!(" FILTER (WHERE {})", self.write_condition(filter)?),
            None => String::new(),
        };
        let name = function.func.name();
        if name == "count" && counts_rows(&params.args) && !params.distinct {
            return Some(self.aggregated(format!("count(*){filter}"), result, Comparable::Ordered));
        }
        let [arg] = params.args.as_slice() else { return None };
        let arg = self.write(arg)?;
        if params.distinct && name != "count" {
            return None;
        }
        let (text, comparable) = match (name, &arg.data_type) {
            ("count", _) if params.distinct => {
                let comparable = arg.comparable >= Comparable::Equality;
                comparable.then(|| (format!("count(DISTINCT {})", arg.text), Comparable::Ordered))?
            }
            ("count", _) => (format!("count({})", arg.text), Comparable::Ordered),
            ("min" | "max", data_type) if arg.comparable == Comparable::Ordered && *data_type != DataType::Boolean => {
                (format!("{name}({})", arg.text), arg.comparable)
            }
            ("sum", DataType::Int64 | DataType::Float64 | DataType::Decimal128(..)) => {
                (format!("sum({})", arg.text), Comparable::Ordered)
            }
            ("avg", DataType::Float64) => (format!("avg({})", arg.text), Comparable::Ordered),
            _ => return None,
        };
        Some(self.aggregated(text + &filter, result, comparable))
    }

    fn aggregated(&self, text: String, result: &DataType, comparable: Comparable) -> Sql {
        // A sum of bigint is numeric in PostgreSQL.
        let text = match (self.dialect, result) {
            (Dialect::Postgres, DataType::Int64) => format!("CAST({text} AS bigint)"),
            _ => text,
        };
        Sql { text, data_type: result.clone(), comparable, bare: false, varies: true }
    }
}
