//! Plans as one SELECT, where the SELECT means the same.
//!
//! A plan becomes a [`Select`] bottom-up. Each node adds its clause to the select of its input where SQL applies
//! the clauses in that order, and otherwise makes the input a sub-select first, whose columns are then named
//! `c0`, `c1`, … under a fresh alias.

use datafusion::common::{DFSchema, JoinType, NullEquality};
use datafusion::logical_expr::{
    Aggregate, Distinct, FetchType, Filter, Join, Limit, LogicalPlan, Projection, SkipType, Sort, TableScan, Union,
};
use datafusion_federation::get_table_source;

use super::Dialect;
use super::expr::{Scope, Sql, Stored, conjuncts, equality, same};
use super::table::{Comparable, RemoteSource, RemoteTable};

/// A column's SQL longer than this is given a name before it is used again.
const LONGEST_COLUMN: usize = 400;

/// A SELECT in the making; the columns are aligned with the plan's schema.
#[derive(Debug, Clone, Default)]
pub(super) struct Select {
    pub from: String,
    pub filters: Vec<String>,
    pub columns: Vec<Sql>,
    pub limit: Option<usize>,
    joined: bool,
    grouped: bool,
    group: Vec<String>,
    distinct: bool,
    order: Vec<String>,
    offset: usize,
}

impl Select {
    pub fn render(&self, dialect: Dialect) -> String {
        let grammar = dialect.grammar();
        let mut sql = String::from(if self.distinct { "SELECT DISTINCT " } else { "SELECT " });
        sql.push_str(&grammar.head(self.limit, self.offset));
        let columns = self.columns.iter().enumerate().map(|(i, column)| format!("{} AS c{i}", column.text));
        // A row without columns is still a row.
        let columns = columns.collect::<Vec<_>>().join(", ");
        sql.push_str(if columns.is_empty() { "1 AS c0" } else { &columns });
        sql.push_str(&format!(" FROM {}", self.from));
        if !self.filters.is_empty() {
            sql.push_str(&format!(" WHERE {}", self.filters.join(" AND ")));
        }
        if !self.group.is_empty() {
            sql.push_str(&format!(" GROUP BY {}", self.group.join(", ")));
        }
        match grammar.any_order() {
            _ if !self.order.is_empty() => sql.push_str(&format!(" ORDER BY {}", self.order.join(", "))),
            Some(any) if self.offset > 0 => sql.push_str(&format!(" ORDER BY {any}")),
            _ => {}
        }
        sql.push_str(&grammar.page(self.limit, self.offset));
        sql
    }

    fn limited(&self) -> bool {
        self.limit.is_some() || self.offset > 0
    }

    /// Whether rows are as they come from FROM and WHERE.
    fn plain(&self) -> bool {
        !self.grouped && !self.distinct && !self.limited()
    }
}

/// Writes plans over one database.
pub(super) struct Writer {
    dialect: Dialect,
    aliases: usize,
}

/// The plan as SQL; `None` where some of it has to be done here.
pub(super) fn write(plan: &LogicalPlan, dialect: Dialect) -> Option<String> {
    Some(Writer::new(dialect).write(plan)?.render(dialect))
}

impl Writer {
    pub fn new(dialect: Dialect) -> Self {
        Self { dialect, aliases: 0 }
    }

    fn write(&mut self, plan: &LogicalPlan) -> Option<Select> {
        let select = match plan {
            LogicalPlan::TableScan(scan) => self.table_scan(scan),
            LogicalPlan::Projection(projection) => self.projection(projection),
            LogicalPlan::Filter(filter) => self.filter(filter),
            LogicalPlan::Aggregate(aggregate) => self.aggregate(aggregate),
            LogicalPlan::Sort(sort) => self.sort(sort),
            LogicalPlan::Limit(limit) => self.limit(limit),
            LogicalPlan::Distinct(Distinct::All(input)) => self.distinct(input),
            LogicalPlan::Join(join) => self.join(join),
            LogicalPlan::SubqueryAlias(alias) => self.write(&alias.input),
            LogicalPlan::Union(union) => self.union(union),
            _ => None,
        }?;
        let fields = plan.schema().fields();
        let aligned = fields.len() == select.columns.len()
            && fields.iter().zip(&select.columns).all(|(field, column)| same(field.data_type(), &column.data_type));
        aligned.then_some(select)
    }

    fn alias(&mut self, prefix: &str) -> String {
        self.aliases += 1;
        format!("{prefix}{}", self.aliases)
    }

    fn scope<'a>(&self, schema: &'a DFSchema, select: &'a Select) -> Scope<'a> {
        Scope { dialect: self.dialect, schema, columns: &select.columns }
    }

    /// Makes the select a source of another one.
    fn nest(&mut self, mut select: Select) -> Select {
        if !select.limited() && !self.dialect.grammar().orders_inside() {
            select.order.clear();
        }
        let alias = self.alias("q");
        let columns = select.columns.iter().enumerate().map(|(i, column)| Sql {
            text: format!("{alias}.c{i}"),
            data_type: column.data_type.clone(),
            comparable: column.comparable,
            bare: true,
            varies: true,
            condition: false,
            stored: None,
        });
        let columns = columns.collect();
        let from = self.dialect.grammar().aliased(&format!("({})", select.render(self.dialect)), &alias);
        Select { from, columns, ..Select::default() }
    }

    /// The same where the order is to last.
    fn nest_in_order(&mut self, select: Select) -> Option<Select> {
        let lasts = select.order.is_empty() || self.dialect.grammar().orders_inside();
        lasts.then(|| self.nest(select))
    }

    fn plain(&mut self, select: Select) -> Select {
        let long = select.columns.iter().any(|column| column.text.len() > LONGEST_COLUMN);
        if select.plain() && !long { select } else { self.nest(select) }
    }

    /// Gives constants among the columns a name: written out, they would be positions in GROUP BY and ORDER BY.
    fn varying(&mut self, select: Select) -> Select {
        if select.columns.iter().all(|column| column.varies) { select } else { self.nest(select) }
    }

    /// All columns of a table, or those of a projection.
    pub fn scan(&mut self, table: &RemoteTable, projection: Option<&[usize]>) -> Select {
        let alias = self.alias("t");
        let column = |index: usize| {
            let column = &table.columns()[index];
            let name = format!("{alias}.{}", self.dialect.quote(&column.name));
            let stored = column.implied.map(|implied| Stored { text: name.clone(), implied });
            Sql {
                text: column.reading.replace("{}", &name),
                data_type: table.fields().field(index).data_type().clone(),
                comparable: column.comparable,
                bare: true,
                varies: true,
                condition: false,
                stored,
            }
        };
        let columns = match projection {
            Some(kept) => kept.iter().map(|index| column(*index)).collect(),
            None => (0..table.columns().len()).map(column).collect(),
        };
        let from = self.dialect.grammar().aliased(table.from(), &alias);
        Select { from, columns, ..Select::default() }
    }

    fn table_scan(&mut self, scan: &TableScan) -> Option<Select> {
        let source = get_table_source(&scan.source).ok()??;
        let source: &dyn std::any::Any = source.as_ref();
        let table = &source.downcast_ref::<RemoteSource>()?.table;
        let mut select = self.scan(table, None);
        let schema = DFSchema::try_from_qualified_schema(scan.table_name.clone(), table.fields()).ok()?;
        for filter in scan.filters.iter().flat_map(conjuncts) {
            let condition = self.scope(&schema, &select).write_condition(filter)?;
            select.filters.push(condition);
        }
        if let Some(kept) = &scan.projection {
            select.columns = kept.iter().map(|index| select.columns[*index].clone()).collect();
        }
        select.limit = scan.fetch;
        Some(select)
    }

    fn projection(&mut self, projection: &Projection) -> Option<Select> {
        let mut select = self.write(&projection.input)?;
        let long = select.columns.iter().any(|column| column.text.len() > LONGEST_COLUMN);
        if select.distinct || long {
            select = self.nest_in_order(select)?;
        }
        let scope = self.scope(projection.input.schema(), &select);
        let columns = projection.expr.iter().map(|expr| scope.write(expr)).collect::<Option<_>>()?;
        Some(Select { columns, ..select })
    }

    fn filter(&mut self, filter: &Filter) -> Option<Select> {
        let select = self.write(&filter.input)?;
        let mut select = self.plain(select);
        for condition in conjuncts(&filter.predicate) {
            let condition = self.scope(filter.input.schema(), &select).write_condition(condition)?;
            select.filters.push(condition);
        }
        Some(select)
    }

    fn aggregate(&mut self, aggregate: &Aggregate) -> Option<Select> {
        let select = self.write(&aggregate.input)?;
        let select = self.plain(select);
        let mut select = self.varying(select);
        select.order.clear();
        let scope = self.scope(aggregate.input.schema(), &select);
        let mut columns = Vec::with_capacity(aggregate.schema.fields().len());
        let mut group = Vec::with_capacity(aggregate.group_expr.len());
        for expr in &aggregate.group_expr {
            let key = scope.write(expr)?;
            if key.comparable < Comparable::Equality || !key.varies {
                return None;
            }
            group.push(self.dialect.grammar().group_key(&key.text, &key.data_type));
            columns.push(Sql { bare: false, stored: None, ..key });
        }
        let results = aggregate.schema.fields().iter().skip(group.len());
        for (expr, field) in aggregate.aggr_expr.iter().zip(results) {
            columns.push(scope.write_aggregate(expr, field.data_type())?);
        }
        Some(Select { columns, group, grouped: true, ..select })
    }

    fn sort(&mut self, sort: &Sort) -> Option<Select> {
        let mut select = self.write(&sort.input)?;
        if select.limited() || select.distinct {
            select = self.nest(select);
        }
        let select = self.varying(select);
        let scope = self.scope(sort.input.schema(), &select);
        let mut order = Vec::with_capacity(sort.expr.len());
        let mut keys: Vec<String> = Vec::with_capacity(sort.expr.len());
        for key in &sort.expr {
            let expr = scope.write(&key.expr)?;
            if expr.comparable < Comparable::Ordered || !expr.varies {
                return None;
            }
            // A key that comes again decides nothing, and not every database takes it.
            if !keys.contains(&expr.text) {
                order.push(self.dialect.grammar().order_key(&expr.text, key.asc, key.nulls_first));
                keys.push(expr.text);
            }
        }
        Some(Select { order, limit: sort.fetch, ..select })
    }

    fn limit(&mut self, limit: &Limit) -> Option<Select> {
        let SkipType::Literal(offset) = limit.get_skip_type().ok()? else { return None };
        let FetchType::Literal(fetch) = limit.get_fetch_type().ok()? else { return None };
        let mut select = self.write(&limit.input)?;
        // A sort with a fetch of its own has at least the rows that are wanted of it.
        if let Some(outer) = select.limit.filter(|_| select.offset == 0) {
            let rest = outer.saturating_sub(offset);
            if offset > 0 && (!self.dialect.grammar().skips() || select.distinct) {
                return None;
            }
            return Some(Select { limit: Some(fetch.map_or(rest, |f| f.min(rest))), offset, ..select });
        }
        let grammar = self.dialect.grammar();
        if offset > 0 && !grammar.skips() {
            return None;
        }
        // What is distinct has no order but by its columns.
        let ordered_anyhow = offset > 0 && select.distinct && grammar.any_order().is_some();
        if select.limited() || ordered_anyhow {
            select = self.nest_in_order(select)?;
        }
        Some(Select { limit: fetch, offset, ..select })
    }

    fn distinct(&mut self, input: &LogicalPlan) -> Option<Select> {
        let mut select = self.write(input)?;
        let grammar = self.dialect.grammar();
        let whole =
            |column: &Sql| column.comparable >= Comparable::Equality && grammar.compares_whole(&column.data_type);
        if select.columns.is_empty() || !select.columns.iter().all(whole) {
            return None;
        }
        if select.limited() {
            select = self.nest(select);
        }
        select.order.clear();
        Some(Select { distinct: true, ..select })
    }

    fn join(&mut self, join: &Join) -> Option<Select> {
        let equal_nulls = join.null_equality == NullEquality::NullEqualsNull;
        if join.null_aware || (equal_nulls && !join.on.is_empty()) {
            return None;
        }
        let (left, right) = (self.write(&join.left)?, self.write(&join.right)?);
        match join.join_type {
            JoinType::LeftSemi if self.dialect.grammar().correlates() => {
                return self.exists(join, left, right, "EXISTS");
            }
            JoinType::LeftAnti if self.dialect.grammar().correlates() => {
                return self.exists(join, left, right, "NOT EXISTS");
            }
            JoinType::LeftSemi | JoinType::LeftAnti => return self.member(join, left, right),
            JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {}
            _ => return None,
        }
        let (keeps_left, keeps_right) = match join.join_type {
            JoinType::Left => (true, false),
            JoinType::Right => (false, true),
            JoinType::Full => (true, true),
            _ => (false, false),
        };
        // A side's filters come before an outer join, and what it computes is NULL where the other side has no match.
        let outer = keeps_left || keeps_right;
        let left = self.side(left, outer, keeps_right);
        let right = self.side(right, outer, keeps_left);
        let right = if right.joined { self.nest(right) } else { right };
        let columns: Vec<_> = left.columns.iter().chain(&right.columns).cloned().collect();
        let both = join.left.schema().join(join.right.schema()).ok()?;
        let mut conditions = self.conditions(join, &both, &columns)?;
        let grammar = self.dialect.grammar();
        let equated = !join.on.is_empty();
        let only_equated = equated && join.filter.is_none();
        let mut filters: Vec<_> = left.filters.into_iter().chain(right.filters).collect();
        let kind = match join.join_type {
            // PostgreSQL joins fully on equalities only.
            JoinType::Full if !only_equated || !grammar.joins_fully() => return None,
            JoinType::Left | JoinType::Right if !only_equated && !grammar.joins_on_anything() => return None,
            JoinType::Left => "LEFT JOIN",
            JoinType::Right => "RIGHT JOIN",
            JoinType::Full => "FULL JOIN",
            _ if conditions.is_empty() => "CROSS JOIN",
            _ if !equated && !grammar.joins_on_anything() => {
                filters.append(&mut conditions);
                "CROSS JOIN"
            }
            _ => "JOIN",
        };
        let on = match (conditions.is_empty(), outer) {
            (true, false) => String::new(),
            (true, true) => format!(" ON {}", grammar.condition_of(grammar.boolean(true))),
            (false, _) => format!(" ON {}", conditions.join(" AND ")),
        };
        let from = format!("{} {kind} {}{on}", left.from, right.from);
        Some(Select { from, filters, columns, joined: true, ..Select::default() })
    }

    /// An input of a join: nested unless its FROM and WHERE can be merged with the other's.
    fn side(&mut self, select: Select, outer: bool, nullable: bool) -> Select {
        let select = self.plain(select);
        let filtered = outer && !select.filters.is_empty();
        let computed = nullable && !select.columns.iter().all(|column| column.bare);
        if filtered || computed { self.nest(select) } else { Select { order: Vec::new(), ..select } }
    }

    fn conditions(&self, join: &Join, schema: &DFSchema, columns: &[Sql]) -> Option<Vec<String>> {
        let scope = Scope { dialect: self.dialect, schema, columns };
        let mut conditions = Vec::with_capacity(join.on.len() + 1);
        for (left, right) in &join.on {
            let (left, right) = (scope.write(left)?, scope.write(right)?);
            conditions.push(scope.equal(&left, &right, false)?);
        }
        for filter in join.filter.iter().flat_map(conjuncts) {
            conditions.push(scope.write_condition(filter)?);
        }
        Some(conditions)
    }

    fn exists(&mut self, join: &Join, left: Select, right: Select, operator: &str) -> Option<Select> {
        let (mut left, right) = (self.plain(left), self.plain(right));
        let columns: Vec<_> = left.columns.iter().chain(&right.columns).cloned().collect();
        let both = join.left.schema().join(join.right.schema()).ok()?;
        let mut conditions = right.filters;
        conditions.extend(self.conditions(join, &both, &columns)?);
        let filter = if conditions.is_empty() { String::new() } else { format!(" WHERE {}", conditions.join(" AND ")) };
        left.filters.push(format!("{operator} (SELECT 1 FROM {}{filter})", right.from));
        Some(left)
    }

    /// A semi-join or anti-join on one equality, as a list that needs nothing of the outer query.
    fn member(&mut self, join: &Join, left: Select, right: Select) -> Option<Select> {
        let ([(key, other)], None) = (join.on.as_slice(), &join.filter) else { return None };
        let (mut left, mut right) = (self.plain(left), self.plain(right));
        let key = self.scope(join.left.schema(), &left).write(key)?;
        let other = self.scope(join.right.schema(), &right).write(other)?;
        equality(&key, &other, "")?;
        if !self.dialect.grammar().compares_whole(&key.data_type) {
            return None;
        }
        // A list that may hold NULL is no answer to NOT IN.
        right.filters.push(format!("({} IS NOT NULL)", other.text));
        right.columns = vec![other];
        right.order.clear();
        let list = right.render(self.dialect);
        left.filters.push(match join.join_type {
            JoinType::LeftAnti => format!("({key} IS NULL OR {key} NOT IN ({list}))", key = key.text),
            _ => format!("({} IN ({list}))", key.text),
        });
        Some(left)
    }

    fn union(&mut self, union: &Union) -> Option<Select> {
        let mut members = Vec::with_capacity(union.inputs.len());
        let mut columns: Vec<Sql> = Vec::new();
        for input in &union.inputs {
            let mut select = self.write(input)?;
            if select.limited() || !select.order.is_empty() {
                select = self.nest(select);
            }
            if select.columns.is_empty() {
                return None;
            }
            if columns.is_empty() {
                columns = select.columns.clone();
            }
            let only_read = self.dialect.grammar().only_read();
            for (column, other) in columns.iter_mut().zip(&select.columns) {
                column.comparable = column.comparable.min(other.comparable);
                let stays_alone = only_read && column.comparable == Comparable::No;
                if stays_alone || !same(&column.data_type, &other.data_type) {
                    return None;
                }
            }
            members.push(select.render(self.dialect));
        }
        let alias = self.alias("q");
        for (i, column) in columns.iter_mut().enumerate() {
            *column = Sql { text: format!("{alias}.c{i}"), bare: true, varies: true, stored: None, ..column.clone() };
        }
        let from = self.dialect.grammar().aliased(&format!("({})", members.join(" UNION ALL ")), &alias);
        Some(Select { from, columns, ..Select::default() })
    }
}

/// Whether a plan does more than a table does by itself.
pub(super) fn worthwhile(plan: &LogicalPlan) -> bool {
    use datafusion::common::tree_node::TreeNode;
    let beyond_scan = |plan: &LogicalPlan| {
        matches!(
            plan,
            LogicalPlan::Join(_)
                | LogicalPlan::Aggregate(_)
                | LogicalPlan::Sort(_)
                | LogicalPlan::Limit(_)
                | LogicalPlan::Distinct(_)
                | LogicalPlan::Union(_)
        )
    };
    plan.exists(|plan| Ok(beyond_scan(plan))).unwrap_or(false)
}
