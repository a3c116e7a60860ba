//! The pieces of SQL: a scope of joined tables, conditions, aggregates, times.

use super::Unclear;
use super::calendar::TimeRange;
use super::cue::{Aggregate, Match};
use super::intent::Slice;
use super::schema::{ColumnId, Schema, TableId};
use super::settled::{Condition, Test};
use super::tree::{Expr, From, Join, Query, Source};
use crate::planner::{
    ColumnType, Metric,
    metric::{Operator, Scalar},
};

/// A table, with the tables that its rows refer to joined as they are needed.
pub(super) struct Scope<'a> {
    schema: &'a Schema<'a>,
    base: TableId,
    joined: Vec<TableId>,
    joins: Vec<Join>,
}

impl<'a> Scope<'a> {
    pub(super) fn new(schema: &'a Schema<'a>, base: TableId) -> Self {
        Self { schema, base, joined: vec![base], joins: Vec::new() }
    }

    fn alias(&self, table: TableId) -> String {
        let described = self.schema.table(table);
        let namesakes = self.schema.context.tables.iter().filter(|other| other.name == described.name).count();
        if namesakes > 1 {
            format!("{}_{}_{}", described.catalog, described.schema, described.name)
        } else {
            described.name.clone()
        }
    }

    fn source(&self, table: TableId) -> From {
        let described = self.schema.table(table);
        let path = [described.catalog.clone(), described.schema.clone(), described.name.clone()];
        From { source: Source::Table(path), alias: self.alias(table) }
    }

    /// Joins the way to a table, from the many to the one.
    fn join(&mut self, table: TableId) -> Result<(), Unclear> {
        let name = |table: TableId| &self.schema.table(table).name;
        let path = self
            .schema
            .path_up(self.base, table)
            .ok_or_else(|| Unclear::not_connected(name(self.base), name(table)))?;
        for edge in path {
            if !self.joined.contains(&edge.to.table) {
                let on = Expr::binary(self.named(edge.from), "=", self.named(edge.to));
                self.joins.push(Join { left: false, from: self.source(edge.to.table), on });
                self.joined.push(edge.to.table);
            }
        }
        Ok(())
    }

    fn named(&self, column: ColumnId) -> Expr {
        Expr::Column(self.alias(column.table), self.schema.column(column).name.clone())
    }

    pub(super) fn column(&mut self, column: ColumnId) -> Result<Expr, Unclear> {
        self.join(column.table)?;
        Ok(self.named(column))
    }

    /// A column of time as a moment or a day. Some sources hold times as text; what is no time
    /// in such a column is missing.
    pub(super) fn moment(&mut self, column: ColumnId) -> Result<Expr, Unclear> {
        let expr = self.column(column)?;
        Ok(match self.schema.column(column).data_type {
            ColumnType::Text => Expr::TryCast(Box::new(expr), "TIMESTAMP"),
            _ => expr,
        })
    }

    pub(super) fn value(&mut self, column: ColumnId) -> Result<Expr, Unclear> {
        if self.schema.is_temporal(column) { self.moment(column) } else { self.number(column) }
    }

    /// A column as it is ordered, compared and added up: numbers that are held as text are numbers.
    pub(super) fn number(&mut self, column: ColumnId) -> Result<Expr, Unclear> {
        let expr = self.column(column)?;
        let is_cast = self.schema.holds_numbers_as_text(column) || self.schema.holds_years_as_text(column);
        Ok(match is_cast {
            true => Expr::TryCast(Box::new(expr), "DOUBLE"),
            false => expr,
        })
    }

    /// What one row of a table has.
    fn scalar(&self, table: TableId, scalar: &Scalar) -> Expr {
        let inner = |scalar: &Scalar| self.scalar(table, scalar);
        match scalar {
            Scalar::Column(name) => Expr::Column(self.alias(table), name.clone()),
            Scalar::Text(text) => Expr::Text(text.clone()),
            Scalar::Number(number) => Expr::number(number),
            Scalar::Date(day) => Expr::Date(day.and_time(chrono::NaiveTime::MIN)),
            Scalar::Moment(moment) => Expr::Timestamp(*moment),
            Scalar::Truth(truth) => Expr::Truth(*truth),
            Scalar::Not(of) => Expr::Not(Box::new(inner(of))),
            Scalar::Missing(of) => Expr::All(vec![Expr::IsNull(Box::new(inner(of)))]),
            Scalar::In(left, values) => {
                Expr::All(vec![Expr::In(Box::new(inner(left)), values.iter().map(inner).collect())])
            }
            Scalar::Binary(left, Operator::And, right) => Expr::All(vec![inner(left), inner(right)]),
            Scalar::Binary(left, Operator::Or, right) => Expr::Any(vec![inner(left), inner(right)]),
            // In parentheses, as the tree has it: no sign binds otherwise than it was checked.
            Scalar::Binary(left, operator, right) => {
                Expr::All(vec![Expr::binary(inner(left), sign(*operator), inner(right))])
            }
        }
    }

    pub(super) fn into_query(self) -> Query {
        let mut query = Query::from(self.source(self.base));
        query.joins = self.joins;
        query
    }
}

fn sign(operator: Operator) -> &'static str {
    match operator {
        Operator::Add => "+",
        Operator::Subtract => "-",
        Operator::Multiply => "*",
        Operator::Divide => "/",
        Operator::Equal => "=",
        Operator::NotEqual => "<>",
        Operator::Less => "<",
        Operator::LessOrEqual => "<=",
        Operator::Greater => ">",
        Operator::GreaterOrEqual => ">=",
        Operator::And => "AND",
        Operator::Or => "OR",
    }
}

/// What the aggregate of a metric is of, for the rows that it takes; `None` where it counts rows, whatever they are.
pub(super) fn counted(scope: &mut Scope<'_>, metric: &Metric) -> Result<Option<Expr>, Unclear> {
    taken(scope, metric, metric.formula.of.as_ref())
}

/// A metric of which the aggregate is there, divided where it is divided by something. Of whole numbers too that is no whole
/// number, and where there is nothing to divide by it is nothing.
pub(super) fn divided(scope: &mut Scope<'_>, metric: &Metric, dividend: Expr) -> Result<Expr, Unclear> {
    let Some(per) = &metric.formula.per else { return Ok(dividend) };
    let of = taken(scope, metric, per.of.as_ref())?;
    let divisor = of.map_or(Expr::CountRows, |of| aggregate(per.aggregate.into(), of));
    let divisor = Expr::Call("nullif", vec![divisor, Expr::number("0")]);
    Ok(Expr::binary(Expr::binary(Expr::number("1.0"), "*", dividend), "/", divisor))
}

/// What rows have, of those that a metric takes.
fn taken(scope: &mut Scope<'_>, metric: &Metric, of: Option<&Scalar>) -> Result<Option<Expr>, Unclear> {
    scope.join(metric.table)?;
    let of = of.map(|of| scope.scalar(metric.table, of));
    let Some(condition) = &metric.formula.condition else { return Ok(of) };
    let condition = scope.scalar(metric.table, condition);
    let of = of.unwrap_or_else(|| Expr::number("1"));
    Ok(Some(Expr::Case(Box::new(condition), Box::new(of))))
}

/// Conditions as seen from a scope: on what it reaches directly, on what lies in the direction of
/// the many with `EXISTS`.
pub(super) fn filters(
    schema: &Schema<'_>,
    scope: &mut Scope<'_>,
    conditions: &[&Condition],
    present: &[TableId],
    absent: &[TableId],
) -> Result<Vec<Expr>, Unclear> {
    let root = scope.base;
    let name = |table: TableId| &schema.table(table).name;
    let base_of =
        |table: TableId| schema.bridge(root, table).ok_or_else(|| Unclear::not_connected(name(root), name(table)));
    let mut filters = Vec::new();
    // The tables between: whether a row must be absent, and what must hold for it.
    let mut between: Vec<(TableId, bool, Vec<TableId>, Vec<&Condition>)> = Vec::new();
    for (tables, is_absent) in [(absent, true), (present, false)] {
        for table in tables {
            // Each row refers to one.
            if !is_absent && schema.path_up(root, *table).is_some() {
                scope.join(*table)?;
                continue;
            }
            let base = base_of(*table)?;
            match between.iter_mut().find(|(known, ..)| *known == base) {
                Some((_, _, via, _)) => via.push(*table),
                None => between.push((base, is_absent, vec![*table], Vec::new())),
            }
        }
    }
    for condition in conditions {
        let table = condition.column.table;
        if schema.path_up(root, table).is_some() {
            let own = self::condition(schema, scope, condition)?;
            let before = if condition.or { filters.pop() } else { None };
            filters.push(match before {
                Some(before) => Expr::Any(vec![before, own]),
                None => own,
            });
            continue;
        }
        if condition.negated && condition.none_at_all {
            between.push((base_of(table)?, true, Vec::new(), vec![condition]));
            continue;
        }
        if condition.each {
            between.push((base_of(table)?, false, Vec::new(), vec![condition]));
            continue;
        }
        let serving = between.iter_mut().find(|(base, ..)| schema.path_up(*base, table).is_some());
        match serving {
            Some((.., own)) => own.push(condition),
            None => between.push((base_of(table)?, false, Vec::new(), vec![condition])),
        }
    }
    for (base, is_absent, via, conditions) in between {
        let path = schema.path_up(base, root).unwrap_or_default();
        let Some(last) = path.last() else {
            return Err(Unclear::not_connected(name(root), name(base)));
        };
        let mut inner = Scope::new(schema, base);
        let reference = inner.column(last.from)?;
        for table in via {
            inner.join(table)?;
        }
        let mut inner_filters = vec![Expr::binary(reference, "=", scope.column(last.to)?)];
        for condition in conditions {
            let mut condition = condition.clone();
            condition.negated &= !condition.none_at_all;
            inner_filters.push(self::condition(schema, &mut inner, &condition)?);
        }
        let mut query = inner.into_query();
        query.select = vec![(Expr::number("1"), None)];
        query.filters = inner_filters;
        let exists = Expr::Exists(Box::new(query));
        filters.push(if is_absent { Expr::Not(Box::new(exists)) } else { exists });
    }
    Ok(filters)
}

/// One condition. "Not shipped" also holds where there is no status at all.
pub(super) fn condition(schema: &Schema<'_>, scope: &mut Scope<'_>, condition: &Condition) -> Result<Expr, Unclear> {
    let column = scope.column(condition.column)?;
    let described = schema.column(condition.column);
    let lower = |expr: Expr| Expr::Call("lower", vec![expr]);
    let test = match &condition.test {
        Test::OneOf(values) => match values.as_slice() {
            [value] => Expr::binary(column.clone(), "=", Expr::Text(value.clone())),
            values => {
                let values = values.iter().map(|value| Expr::Text(value.clone())).collect();
                Expr::In(Box::new(column.clone()), values)
            }
        },
        Test::Typed(text) => Expr::binary(lower(column.clone()), "=", Expr::Text(text.to_lowercase())),
        Test::Text(kind, text) => {
            let mut escaped = String::new();
            for c in text.to_lowercase().chars() {
                if matches!(c, '%' | '_' | '\\') {
                    escaped.push('\\');
                }
                escaped.push(c);
            }
            let pattern = match kind {
                Match::Contains => format!("%{escaped}%"),
                Match::Starts => format!("{escaped}%"),
                Match::Ends => format!("%{escaped}"),
            };
            Expr::Like(Box::new(lower(column.clone())), pattern)
        }
        Test::Number(..) | Test::Between(..) => compared(scope.number(condition.column)?, &condition.test),
        Test::Overall(comparison, of) => {
            let mut all = Scope::new(schema, condition.column.table);
            let each = all.number(condition.column)?;
            let mut query = all.into_query();
            query.select = vec![(aggregate(*of, each), None)];
            Expr::binary(scope.number(condition.column)?, comparison.as_sql(), Expr::Subquery(Box::new(query)))
        }
        Test::Missing => Expr::IsNull(Box::new(column.clone())),
        Test::True => column.clone(),
        Test::Within(range) => {
            let moment = scope.moment(condition.column)?;
            within(&moment, described.data_type, range)
        }
    };
    if !condition.negated {
        return Ok(test);
    }
    let not = Expr::Not(Box::new(test));
    Ok(match condition.test {
        Test::Missing => not,
        _ => Expr::Any(vec![not, Expr::IsNull(Box::new(column))]),
    })
}

/// The comparison of a number, of a row or of a group.
pub(super) fn compared(left: Expr, test: &Test) -> Expr {
    match test {
        Test::Number(comparison, number) => Expr::binary(left, comparison.as_sql(), Expr::number(number)),
        Test::Between(low, high) => Expr::All(vec![
            Expr::binary(left.clone(), ">=", Expr::number(low)),
            Expr::binary(left, "<=", Expr::number(high)),
        ]),
        Test::Overall(..)
        | Test::OneOf(_)
        | Test::Typed(_)
        | Test::Text(..)
        | Test::Missing
        | Test::True
        | Test::Within(_) => left,
    }
}

fn within(moment: &Expr, data_type: ColumnType, range: &TimeRange) -> Expr {
    let literal = |at: chrono::NaiveDateTime| match data_type {
        ColumnType::Date => Expr::Date(at),
        _ => Expr::Timestamp(at),
    };
    let from = range.from.map(|from| Expr::binary(moment.clone(), ">=", literal(from)));
    let to = range.to.map(|to| Expr::binary(moment.clone(), "<", literal(to)));
    let mut bounds: Vec<Expr> = from.into_iter().chain(to).collect();
    match bounds.len() {
        1 => bounds.remove(0),
        _ => Expr::All(bounds),
    }
}

pub(super) fn aggregate(aggregate: Aggregate, of: Expr) -> Expr {
    match aggregate {
        Aggregate::Count => Expr::Call("count", vec![of]),
        Aggregate::CountDistinct => Expr::CallDistinct("count", Box::new(of)),
        Aggregate::Sum => Expr::Call("sum", vec![of]),
        Aggregate::Average => Expr::Call("avg", vec![of]),
        Aggregate::Minimum => Expr::Call("min", vec![of]),
        Aggregate::Maximum => Expr::Call("max", vec![of]),
        Aggregate::Median => Expr::Call("median", vec![of]),
    }
}

pub(super) fn sliced(slice: Slice, moment: Expr) -> Expr {
    let (function, part) = match slice {
        Slice::Every(grain) => ("date_trunc", grain.as_str()),
        Slice::Weekday => ("date_part", "dow"),
        Slice::HourOfDay => ("date_part", "hour"),
    };
    Expr::Call(function, vec![Expr::Text(part.to_owned()), moment])
}

pub(super) fn slice_name(slice: Slice) -> &'static str {
    match slice {
        Slice::Every(grain) => grain.as_str(),
        Slice::Weekday => "weekday",
        Slice::HourOfDay => "hour",
    }
}
