//! Which rows belong to which: the references between the tables of a schema, and the ways along them.

use std::collections::VecDeque;

use super::calls::singulars;
use super::schema::{ColumnId, LAYER_WORDS, Schema, TableId};
use crate::planner::{ColumnPlace, ColumnType, TableContext};

/// A reference from a row of one table to one row of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Edge {
    /// The referring column, on the "many" side.
    pub(super) from: ColumnId,
    /// The column that is referred to, unique in its table.
    pub(super) to: ColumnId,
}

impl Schema<'_> {
    /// Those that people confirmed first; then declared references and those that the names tell, of columns of which
    /// nobody said more: `orders.customer_id` refers to `customers.customer_id` or `customers.id`.
    pub(super) fn find_edges(&self) -> Vec<Edge> {
        let mut edges = Vec::new();
        let at = |place: ColumnPlace| ColumnId { table: place.table, column: place.column };
        for join in &self.context.layer.joins {
            let (from, to) = (at(join.from), at(join.to));
            edges.push(Edge { from, to });
            if join.one_to_one {
                edges.push(Edge { from: to, to: from });
            }
        }
        let said: Vec<ColumnId> = self.context.layer.joins.iter().map(|join| at(join.from)).collect();
        for (table, described) in self.context.tables.iter().enumerate() {
            for (column, described) in described.columns.iter().enumerate() {
                let from = ColumnId { table, column };
                if said.contains(&from) {
                    continue;
                }
                let edge = match &described.references {
                    Some((table, column)) => self.declared_target(from, table, column),
                    None => self.inferred_target(from),
                };
                edges.extend(edge.map(|to| Edge { from, to }));
            }
        }
        edges
    }

    fn declared_target(&self, from: ColumnId, table: &str, column: &str) -> Option<ColumnId> {
        let origin = self.table(from.table);
        let matches = |described: &TableContext| {
            table == described.name
                || table == format!("{}.{}", described.schema, described.name)
                || table == format!("{}.{}.{}", described.catalog, described.schema, described.name)
        };
        let near = |described: &TableContext| (described.catalog != origin.catalog, described.schema != origin.schema);
        let (table, described) = self
            .context
            .tables
            .iter()
            .enumerate()
            .filter(|(_, described)| matches(described))
            .min_by_key(|(_, described)| near(described))?;
        let column = described.columns.iter().position(|candidate| candidate.name == column)?;
        Some(ColumnId { table, column })
    }

    fn inferred_target(&self, from: ColumnId) -> Option<ColumnId> {
        let words = self.words_of(from);
        let (last, before) = words.split_last()?;
        // `customer_id`, and `customer` where it is a whole number.
        let is_number = self.column(from).data_type == ColumnType::Integer;
        let thing = if last == "id" { before } else { words.as_slice() };
        if (last != "id" && !is_number) || thing.is_empty() || self.key_of(from.table) == Some(from) {
            return None;
        }
        let class = |column: ColumnId| self.column(column).data_type;
        self.context.tables.iter().enumerate().find_map(|(table, described)| {
            let mut name = singulars(&described.name);
            if name.first().is_some_and(|first| LAYER_WORDS.contains(&first.as_str())) {
                name.remove(0);
            }
            let key = self.key_of(table)?;
            let named_alike = name == thing && table != from.table;
            (named_alike && class(key) == class(from)).then_some(key)
        })
    }

    /// The shortest way from a row of `from` to the one row of `to` that belongs to it, along
    /// references; empty when they are the same table. Of equally short ways the first declared.
    pub(super) fn path_up(&self, from: TableId, to: TableId) -> Option<Vec<Edge>> {
        let mut reached: Vec<Option<Edge>> = vec![None; self.context.tables.len()];
        let mut queue = VecDeque::from([from]);
        while let Some(table) = queue.pop_front() {
            if table == to {
                let mut path = Vec::new();
                let mut at = to;
                while at != from {
                    let edge = reached[at]?;
                    path.push(edge);
                    at = edge.from.table;
                }
                path.reverse();
                return Some(path);
            }
            for edge in self.edges.iter().filter(|edge| edge.from.table == table) {
                let next = edge.to.table;
                if next != from && reached[next].is_none() {
                    reached[next] = Some(*edge);
                    queue.push_back(next);
                }
            }
        }
        None
    }

    /// Whether rows of the two belong together, and no two references say how.
    pub(super) fn belong_in_one_way(&self, one: TableId, other: TableId) -> bool {
        let Some(base) = self.bridge(one, other) else { return false };
        let steps = |table: TableId| Some(self.path_up(table, one)?.len() + self.path_up(table, other)?.len());
        let shortest = steps(base);
        let bridges = (0..self.context.tables.len()).filter(|table| steps(*table) == shortest).count();
        if bridges > 1 {
            return false;
        }
        let ways = [self.path_up(base, one), self.path_up(base, other)];
        ways.into_iter().flatten().flatten().all(|step| {
            let same = |edge: &&Edge| edge.from.table == step.from.table && edge.to.table == step.to.table;
            self.edges.iter().filter(same).count() == 1
        })
    }

    /// The table from whose rows both `one` and `other` are reached along references, by the
    /// shortest ways together.
    pub(super) fn bridge(&self, one: TableId, other: TableId) -> Option<TableId> {
        (0..self.context.tables.len())
            .filter_map(|table| {
                let ways = self.path_up(table, one)?.len() + self.path_up(table, other)?.len();
                Some((ways, table))
            })
            .min()
            .map(|(_, table)| table)
    }
}
