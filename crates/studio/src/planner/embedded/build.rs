//! Builds the SQL tree of a settled question.
//!
//! One rule keeps numbers right: rows are only ever joined from the many to the one. Whatever
//! lies in the other direction is asked with `EXISTS`, counted as `DISTINCT`, taken through a
//! subquery of distinct rows, or refused; so nothing is counted twice.

use super::cue::Aggregate;
use super::schema::{ColumnId, Schema, TableId};
use super::settle::Settler;
use super::settled::{Condition, Dimension, Measure, OrderBy, Settled, Shape};
use super::sql::{self, Scope};
use super::tree::{Expr, From, Join, Query, Source};
use super::{Unclear, words};

pub(super) fn build(schema: &Schema<'_>, settled: &Settled) -> Result<Query, Unclear> {
    let builder = Builder { schema, settled };
    match &settled.shape {
        Shape::List { columns, and_all, distinct } => builder.list(columns, *and_all, *distinct),
        Shape::Groups => builder.ordered_groups(),
        Shape::OverGroups(outer) => builder.over_groups(*outer),
    }
}

struct Builder<'a> {
    schema: &'a Schema<'a>,
    settled: &'a Settled,
}

/// A grouped query, and how its columns are named.
struct Groups {
    query: Query,
    /// The columns of each dimension.
    dimensions: Vec<Vec<String>>,
    measures: Vec<String>,
}

/// The columns of an answer: expressions with names that do not clash.
struct Outputs<'a> {
    schema: &'a Schema<'a>,
    columns: Vec<(Expr, String)>,
}

impl Outputs<'_> {
    /// Adds a column, unless it is there; what it is called comes back.
    fn add(&mut self, expr: Expr, name: String, table: TableId) -> String {
        if let Some((_, known)) = self.columns.iter().find(|(known, _)| *known == expr) {
            return known.clone();
        }
        let taken = |columns: &[(Expr, String)], name: &str| columns.iter().any(|(_, known)| known == name);
        let mut unique = name;
        if taken(&self.columns, &unique) {
            unique = format!("{}_{unique}", thing(&self.schema.table(table).name));
        }
        let mut number = 2;
        let base = unique.clone();
        while taken(&self.columns, &unique) {
            unique = format!("{base}_{number}");
            number += 1;
        }
        self.columns.push((expr, unique.clone()));
        unique
    }
}

/// A table's name for one row of it.
fn thing(table: &str) -> String {
    let words: Vec<String> = words::name_words(table);
    match words.split_last() {
        Some((last, rest)) => {
            let mut words = rest.to_vec();
            words.push(words::singular(last));
            words.join("_")
        }
        None => table.to_owned(),
    }
}

impl<'a> Builder<'a> {
    fn outputs(&self) -> Outputs<'a> {
        Outputs { schema: self.schema, columns: Vec::new() }
    }

    fn list(&self, columns: &[ColumnId], and_all: bool, distinct: bool) -> Result<Query, Unclear> {
        let root = self.settled.root;
        let mut scope = Scope::new(self.schema, root);
        let mut outputs = self.outputs();
        let all = self.schema.columns_of(root).filter(|_| columns.is_empty() || and_all);
        for column in all.chain(columns.iter().copied().filter(|column| !and_all || column.table != root)) {
            let expr = scope.column(column)?;
            outputs.add(expr, self.schema.column(column).name.clone(), column.table);
        }
        let mut order_by = Vec::new();
        let mut distinct = distinct;
        let mut group_by = Vec::new();
        if let Some((OrderBy::Column(column), descending)) = self.settled.order {
            let expr = scope.number(column)?;
            let shown = outputs.columns.iter().find(|(known, _)| *known == expr);
            match shown {
                Some((_, name)) => order_by.push((Expr::Alias(name.clone()), descending)),
                None if !distinct => order_by.push((expr, descending)),
                // Of equal rows the first in this order tells where they stand.
                None => {
                    distinct = false;
                    group_by = outputs.columns.iter().map(|(expr, _)| expr.clone()).collect();
                    let first = if descending { Aggregate::Maximum } else { Aggregate::Minimum };
                    order_by.push((sql::aggregate(first, expr), descending));
                    order_by.extend(outputs.columns.iter().map(|(_, name)| (Expr::Alias(name.clone()), false)));
                }
            }
            for (column, descending) in &self.settled.then {
                let expr = scope.number(*column)?;
                let alias = outputs.columns.iter().find(|(known, _)| *known == expr).map(|(_, name)| name.clone());
                match alias.map(Expr::Alias) {
                    Some(shown) => {
                        order_by.retain(|(known, _)| *known != shown);
                        order_by.push((shown, *descending));
                    }
                    None if !distinct && group_by.is_empty() => order_by.push((expr, *descending)),
                    None => return Err(Unclear::ranked_by_what(&self.schema.column(*column).name)),
                }
            }
        } else if distinct {
            order_by.extend(outputs.columns.iter().map(|(_, name)| (Expr::Alias(name.clone()), false)));
        }
        if !distinct
            && group_by.is_empty()
            && (self.settled.limit.is_some() || !order_by.is_empty())
            && let Some(key) = self.schema.key_of(root)
        {
            let expr = scope.column(key)?;
            // The same question gives the same rows.
            if !order_by.iter().any(|(known, _)| *known == expr) {
                order_by.push((expr, false));
            }
        }
        let filters = self.filters(&mut scope, |_| true)?;
        let mut query = scope.into_query();
        query.distinct = distinct;
        query.select = named(outputs);
        query.filters = filters;
        query.group_by = group_by;
        query.order_by = order_by;
        query.limit = self.settled.limit;
        Ok(query)
    }

    /// The conditions of the settled question that `which` lets through, as seen from a scope.
    fn filters(&self, scope: &mut Scope<'_>, which: impl Fn(TableId) -> bool) -> Result<Vec<Expr>, Unclear> {
        let all = &self.settled.conditions;
        let torn = |pair: &[Condition]| pair[1].or && which(pair[0].column.table) != which(pair[1].column.table);
        if all.windows(2).any(torn) {
            return Err(Unclear::words(&["or".to_owned()]));
        }
        let conditions: Vec<_> = all.iter().filter(|condition| which(condition.column.table)).collect();
        let present: Vec<_> = self.settled.present.iter().copied().filter(|table| which(*table)).collect();
        let absent: Vec<_> = self.settled.absent.iter().copied().filter(|table| which(*table)).collect();
        sql::filters(self.schema, scope, &conditions, &present, &absent)
    }

    fn ordered_groups(&self) -> Result<Query, Unclear> {
        if self.settled.dimensions.is_empty() && self.settled.limit.is_some() {
            return Err(Unclear::groups_of_what());
        }
        let Groups { mut query, dimensions, measures } = self.groups()?;
        let first = |position: usize| dimensions.get(position).and_then(|names| names.last()).cloned();
        let by = match self.settled.order {
            _ if dimensions.is_empty() => None,
            Some((OrderBy::Measure(measure), down)) => {
                measures.get(measure).or(measures.first()).map(|name| (name.clone(), down))
            }
            Some((OrderBy::Dimension(dimension), down)) => first(dimension).map(|name| (name, down)),
            Some((OrderBy::Column(column), down)) => self.named_in(column, &dimensions).map(|name| (name, down)),
            None => None,
        };
        query.order_by = by.iter().map(|(name, down)| (Expr::Alias(name.clone()), *down)).collect();
        for name in dimensions.iter().flatten() {
            // Equal groups come in the same order each time.
            let by_it = Expr::Alias(name.clone());
            if !query.order_by.iter().any(|(known, _)| *known == by_it) {
                query.order_by.push((by_it, false));
            }
        }
        query.limit = self.settled.limit;
        for name in self.unasked(&dimensions, &measures) {
            hide(&mut query, &name);
        }
        Ok(query)
    }

    /// What a column of the things that are the groups is called in the answer.
    fn named_in(&self, column: ColumnId, dimensions: &[Vec<String>]) -> Option<String> {
        self.settled.dimensions.iter().zip(dimensions).find_map(|(dimension, names)| match dimension {
            Dimension::Entity(table) => {
                let columns = [self.schema.key_of(*table), self.schema.label_of(*table)].into_iter().flatten();
                columns.zip(names).find(|(known, _)| *known == column).map(|(_, name)| name.clone())
            }
            Dimension::Column(_) | Dimension::Time(..) => None,
        })
    }

    /// The columns of an answer in groups that are not among those that were asked for by name.
    fn unasked(&self, dimensions: &[Vec<String>], measures: &[String]) -> Vec<String> {
        let is_silent = |measure: &usize| self.settled.silent.contains(measure);
        let spoken: Vec<&String> =
            measures.iter().enumerate().filter(|(measure, _)| !is_silent(measure)).map(|(_, name)| name).collect();
        let silent = self.settled.silent.iter().filter_map(|measure| measures.get(*measure));
        // "… with more than one airport, and the number of airports": the same number, and asked for.
        let mut unasked: Vec<String> = silent.filter(|name| !spoken.contains(name)).cloned().collect();
        let Some(asked) = &self.settled.only else { return unasked };
        for (dimension, names) in self.settled.dimensions.iter().zip(dimensions) {
            let Dimension::Entity(table) = dimension else { continue };
            let columns = [self.schema.key_of(*table), self.schema.label_of(*table)].into_iter().flatten();
            unasked
                .extend(columns.zip(names).filter(|(column, _)| !asked.contains(column)).map(|(_, name)| name.clone()));
        }
        unasked
    }

    /// The aggregate over the groups, in parts by the dimensions from the second on.
    fn over_groups(&self, outer: Aggregate) -> Result<Query, Unclear> {
        if self.settled.share || self.settled.limit.is_some() {
            return Err(Unclear::of_what());
        }
        let Groups { query: inner, dimensions, measures } = self.groups()?;
        let alias = "groups".to_owned();
        let column = |name: &String| Expr::Column(alias.clone(), name.clone());
        let parts: Vec<String> = dimensions.iter().skip(1).flatten().cloned().collect();
        let (expr, name) = match (outer, measures.first()) {
            (Aggregate::Count, _) | (_, None) => {
                let name = match self.settled.dimensions.first() {
                    Some(Dimension::Column(column)) => &self.schema.column(*column).name,
                    Some(dimension) => &self.schema.table(dimension.table()).name,
                    None => &self.schema.table(self.settled.root).name,
                };
                (Expr::CountRows, format!("{}_count", thing(name)))
            }
            (outer, Some(measure)) => (sql::aggregate(outer, column(measure)), format!("{}_{measure}", outer.as_str())),
        };
        let mut query = Query::from(From { source: Source::Subquery(Box::new(inner)), alias: alias.clone() });
        query.select = parts.iter().map(|part| (column(part), Some(part.clone()))).collect();
        query.group_by = parts.iter().map(&column).collect();
        query.order_by = parts.iter().map(|part| (Expr::Alias(part.clone()), false)).collect();
        query.select.push((expr, Some(name)));
        Ok(query)
    }

    fn groups(&self) -> Result<Groups, Unclear> {
        let root = self.settled.root;
        let reached = |table: TableId| self.schema.path_up(root, table).is_some();
        if let Some(entity) = self.entity_with_empty_groups() {
            return self.groups_with_empty(entity);
        }
        match self.settled.dimensions.iter().find(|dimension| !reached(dimension.table())) {
            Some(dimension) => self.groups_of_distinct(dimension.table()),
            None => self.plain_groups(),
        }
    }

    fn plain_groups(&self) -> Result<Groups, Unclear> {
        let root = self.settled.root;
        let mut scope = Scope::new(self.schema, root);
        let mut outputs = self.outputs();
        let dimensions = self.dimensions(&mut scope, &mut outputs)?;
        let group_by: Vec<Expr> = outputs.columns.iter().map(|(expr, _)| expr.clone()).collect();
        let filters = self.filters(&mut scope, |_| true)?;
        let mut measured = Vec::new();
        for measure in &self.settled.measures {
            let expr = self.measure(&mut scope, measure)?;
            measured.push((expr, *measure));
        }
        let having = self.having(measured.iter().map(|(expr, _)| expr));
        let mut names = Vec::new();
        for (expr, measure) in measured {
            let known = outputs.columns.iter().find(|(known, _)| *known == expr).map(|(_, name)| name.clone());
            names.push(match known {
                Some(name) => name,
                None => {
                    let (expr, name) = self.shared(&mut scope, expr, &measure)?;
                    outputs.add(expr, name, measure.table)
                }
            });
        }
        let mut query = scope.into_query();
        query.select = named(outputs);
        query.filters = filters;
        query.group_by = group_by;
        query.having = having;
        Ok(Groups { query, dimensions, measures: names })
    }

    /// A share instead of the measure itself, where one was asked for.
    fn shared(&self, scope: &mut Scope<'_>, whole: Expr, measure: &Measure) -> Result<(Expr, String), Unclear> {
        let name = self.measure_name(measure);
        if !self.settled.share {
            return Ok((whole, name));
        }
        // The smallest of some numbers is a part of their sum; the first of some days is a part of nothing.
        let counts = matches!(measure.aggregate, Aggregate::Count | Aggregate::CountDistinct);
        if !counts && measure.column.is_some_and(|column| !self.schema.is_numeric(column)) {
            return Err(Unclear::share_of_what());
        }
        let metric = measure.metric.and_then(|metric| self.schema.metric(metric));
        // Nor do quotients add up to one.
        if metric.is_some_and(|metric| !metric.formula.is_number || metric.formula.per.is_some()) {
            return Err(Unclear::share_of_what());
        }
        let part = match &self.settled.share_of {
            None => whole.clone(),
            Some(conditions) => {
                let mut tests = Vec::new();
                for condition in conditions {
                    tests.push(sql::condition(self.schema, scope, condition)?);
                }
                let test = Expr::All(tests);
                let of = match (measure.column, metric) {
                    (Some(column), _) => scope.column(column)?,
                    (None, Some(metric)) => sql::counted(scope, metric)?.unwrap_or_else(|| Expr::number("1")),
                    (None, None) => Expr::number("1"),
                };
                sql::aggregate(measure.aggregate, Expr::Case(Box::new(test), Box::new(of)))
            }
        };
        let total = match &self.settled.share_of {
            Some(_) => whole,
            None => Expr::OverAll(Box::new(Expr::Call("sum", vec![whole]))),
        };
        let total = Expr::Call("nullif", vec![total, Expr::number("0")]);
        let percent = Expr::binary(Expr::number("100.0"), "*", part);
        Ok((Expr::binary(percent, "/", total), format!("{name}_percent")))
    }

    fn dimensions(&self, scope: &mut Scope<'_>, outputs: &mut Outputs<'_>) -> Result<Vec<Vec<String>>, Unclear> {
        let mut names = Vec::new();
        for dimension in &self.settled.dimensions {
            let mut own = Vec::new();
            for (expr, name) in self.dimension(scope, *dimension)? {
                own.push(outputs.add(expr, name, dimension.table()));
            }
            names.push(own);
        }
        Ok(names)
    }

    fn dimension(&self, scope: &mut Scope<'_>, dimension: Dimension) -> Result<Vec<(Expr, String)>, Unclear> {
        Ok(match dimension {
            Dimension::Column(column) => vec![(scope.column(column)?, self.schema.column(column).name.clone())],
            Dimension::Time(slice, column) => {
                let expr = sql::sliced(slice, scope.moment(column)?);
                vec![(expr, sql::slice_name(slice).to_owned())]
            }
            Dimension::Entity(table) => {
                let mut columns = Vec::new();
                for column in [self.schema.key_of(table), self.schema.label_of(table)].into_iter().flatten() {
                    columns.push((scope.column(column)?, self.schema.column(column).name.clone()));
                }
                if columns.is_empty() {
                    return Err(Unclear::no_column("key or name", &self.schema.table(table).name));
                }
                columns
            }
        })
    }

    /// A measure over the rows of the root. Of a table that the root refers to, a row may come up
    /// many times: then only what does not mind is answered.
    fn measure(&self, scope: &mut Scope<'_>, measure: &Measure) -> Result<Expr, Unclear> {
        let own = measure.table == self.settled.root;
        if let Some(metric) = measure.metric.and_then(|metric| self.schema.metric(metric)) {
            let minds = |aggregate: Aggregate| {
                !matches!(aggregate, Aggregate::CountDistinct | Aggregate::Minimum | Aggregate::Maximum)
            };
            let per = metric.formula.per.as_ref().map(|per| Aggregate::from(per.aggregate));
            if !own && (minds(measure.aggregate) || per.is_some_and(minds)) {
                return Err(Unclear::counted_twice(&metric.name, &self.schema.table(self.settled.root).name));
            }
            let counted = sql::counted(scope, metric)?;
            let dividend = counted.map_or(Expr::CountRows, |counted| sql::aggregate(measure.aggregate, counted));
            return sql::divided(scope, metric, dividend);
        }
        match (measure.aggregate, measure.column) {
            (Aggregate::Count, None) if own => Ok(Expr::CountRows),
            // Without groups this would count only those that have any.
            (Aggregate::Count, None) if self.settled.dimensions.is_empty() => {
                let name = |table: TableId| &self.schema.table(table).name;
                Err(Unclear::counted_twice(name(measure.table), name(self.settled.root)))
            }
            (Aggregate::Count, None) => {
                let name = &self.schema.table(measure.table).name;
                let key = self.schema.key_of(measure.table).ok_or_else(|| Unclear::no_column("key", name))?;
                Ok(Expr::CallDistinct("count", Box::new(scope.column(key)?)))
            }
            (Aggregate::Sum | Aggregate::Average | Aggregate::Median, Some(column)) if !own => {
                let of = self.schema.qualified(column);
                Err(Unclear::counted_twice(&of, &self.schema.table(self.settled.root).name))
            }
            (aggregate, Some(column)) => Ok(sql::aggregate(aggregate, scope.value(column)?)),
            (_, None) => Ok(Expr::CountRows),
        }
    }

    fn measure_name(&self, measure: &Measure) -> String {
        if let Some(metric) = measure.metric.and_then(|metric| self.schema.metric(metric)) {
            return words::name_words(&metric.name).join("_");
        }
        let Some(column) = measure.column else {
            return format!("{}_count", thing(&self.schema.table(measure.table).name));
        };
        let column = &self.schema.column(column).name;
        let prefix = measure.aggregate.as_str();
        if column.starts_with(prefix) { column.clone() } else { format!("{prefix}_{column}") }
    }

    fn having<'e>(&self, measures: impl Iterator<Item = &'e Expr>) -> Vec<Expr> {
        let measures: Vec<&Expr> = measures.collect();
        self.settled
            .havings
            .iter()
            .filter_map(|(measure, test)| Some(sql::compared(measures.get(*measure).copied()?.clone(), test)))
            .collect()
    }

    /// "customers with fewer than 3 orders" is also about those without any.
    fn entity_with_empty_groups(&self) -> Option<TableId> {
        let settled = self.settled;
        match (settled.dimensions.as_slice(), settled.havings.as_slice(), settled.measures.as_slice()) {
            (
                [Dimension::Entity(entity)],
                [(0, test)],
                [Measure { aggregate: Aggregate::Count, table, column: None, metric: None }],
            ) if *entity != *table && *table == settled.root && Settler::holds_for_none(test) && !settled.share => {
                self.schema.path_up(*table, *entity).map(|_| *entity)
            }
            _ => None,
        }
    }

    /// Every row of the entity, joined to the count of what belongs to it, 0 where nothing does.
    fn groups_with_empty(&self, entity: TableId) -> Result<Groups, Unclear> {
        let root = self.settled.root;
        let of_entity = |table: TableId| self.schema.path_up(entity, table).is_some();
        let path = self.schema.path_up(root, entity).unwrap_or_default();
        let Some(last) = path.last() else { return Err(Unclear::of_what()) };
        let mut inner_scope = Scope::new(self.schema, root);
        let reference = inner_scope.column(last.from)?;
        let inner_filters = self.filters(&mut inner_scope, |table| !of_entity(table))?;
        let mut inner = inner_scope.into_query();
        inner.select =
            vec![(reference.clone(), Some("belongs_to".to_owned())), (Expr::CountRows, Some("counted".to_owned()))];
        inner.filters = inner_filters;
        inner.group_by = vec![reference];

        let mut scope = Scope::new(self.schema, entity);
        let mut outputs = self.outputs();
        let dimensions = self.dimensions(&mut scope, &mut outputs)?;
        let counts = "counts".to_owned();
        let counted = Expr::Call("coalesce", vec![Expr::Column(counts.clone(), "counted".into()), Expr::number("0")]);
        let name = self.settled.measures.first().map(|measure| self.measure_name(measure)).unwrap_or_default();
        let name = outputs.add(counted.clone(), name, root);
        let mut filters = self.filters(&mut scope, of_entity)?;
        filters.extend(self.having(std::iter::once(&counted)));
        let on = Expr::binary(scope.column(last.to)?, "=", Expr::Column(counts.clone(), "belongs_to".to_owned()));
        let mut query = scope.into_query();
        let from = From { source: Source::Subquery(Box::new(inner)), alias: counts };
        query.joins.push(Join { left: true, from, on });
        query.select = named(outputs);
        query.filters = filters;
        Ok(Groups { query, dimensions, measures: vec![name] })
    }

    /// Groups by something of which many belong to one row of the root: each row of the root is
    /// taken once for each group, however many rows lie between.
    fn groups_of_distinct(&self, other: TableId) -> Result<Groups, Unclear> {
        let root = self.settled.root;
        let names = (&self.schema.table(root).name, &self.schema.table(other).name);
        // What the groups are is told by one thing alone: of several, many belong to many of each other too.
        if let Some(third) = self.settled.dimensions.iter().find(|dimension| dimension.table() != other) {
            return Err(Unclear::counted_twice(names.1, &self.schema.table(third.table()).name));
        }
        let base = self.schema.bridge(root, other).ok_or_else(|| Unclear::not_connected(names.0, names.1))?;
        let key = self.schema.key_of(root).ok_or_else(|| Unclear::no_column("key", names.0))?;
        let mut scope = Scope::new(self.schema, base);
        let mut inner_outputs = self.outputs();
        let dimensions = self.dimensions(&mut scope, &mut inner_outputs)?;
        let key = scope.column(key)?;
        inner_outputs.add(key, "counted_once".to_owned(), root);
        let mut inputs = Vec::new();
        for measure in &self.settled.measures {
            let metric = measure.metric.and_then(|metric| self.schema.metric(metric));
            if let Some(metric) = metric.filter(|metric| metric.formula.per.is_some()) {
                return Err(Unclear::counted_twice(&metric.name, names.1));
            }
            let input = match measure.column {
                None if measure.table == root && metric.is_some() => {
                    let counted = match metric {
                        Some(metric) => sql::counted(&mut scope, metric)?,
                        None => None,
                    };
                    let name = format!("input_{}", self.measure_name(measure));
                    counted.map(|counted| inner_outputs.add(counted, name, root))
                }
                Some(column) if measure.table == root => {
                    let expr = scope.value(column)?;
                    let name = format!("input_{}", self.schema.column(column).name);
                    Some(inner_outputs.add(expr, name, root))
                }
                None if measure.table == root => None,
                _ => return Err(Unclear::counted_twice(names.0, names.1)),
            };
            inputs.push((input, *measure));
        }
        let filters = self.filters(&mut scope, |_| true)?;
        let mut inner = scope.into_query();
        inner.distinct = true;
        inner.select = named(inner_outputs);
        inner.filters = filters;

        let alias = "once".to_owned();
        let column = |name: &str| Expr::Column(alias.clone(), name.to_owned());
        let mut outputs = self.outputs();
        for name in dimensions.iter().flatten() {
            outputs.add(column(name), name.clone(), other);
        }
        let group_by: Vec<Expr> = outputs.columns.iter().map(|(expr, _)| expr.clone()).collect();
        let measured: Vec<Expr> = inputs
            .iter()
            .map(|(input, measure)| match input {
                Some(input) => sql::aggregate(measure.aggregate, column(input)),
                None => Expr::CountRows,
            })
            .collect();
        let having = self.having(measured.iter());
        if self.settled.share {
            return Err(Unclear::share_of_what());
        }
        let mut measures = Vec::new();
        for (expr, (_, measure)) in measured.into_iter().zip(&inputs) {
            measures.push(outputs.add(expr, self.measure_name(measure), root));
        }
        let mut query = Query::from(From { source: Source::Subquery(Box::new(inner)), alias: alias.clone() });
        query.select = named(outputs);
        query.group_by = group_by;
        query.having = having;
        Ok(Groups { query, dimensions, measures })
    }
}

/// Leaves a column out of the answer; what is ordered by it stays so.
fn hide(query: &mut Query, name: &str) {
    let Some(at) = query.select.iter().position(|(_, alias)| alias.as_deref() == Some(name)) else { return };
    // An answer has a column.
    if query.select.len() == 1 {
        return;
    }
    let (expr, _) = query.select.remove(at);
    for (by, _) in &mut query.order_by {
        if *by == Expr::Alias(name.to_owned()) {
            *by = expr.clone();
        }
    }
}

fn named(outputs: Outputs<'_>) -> Vec<(Expr, Option<String>)> {
    outputs.columns.into_iter().map(|(expr, name)| (expr, Some(name))).collect()
}
