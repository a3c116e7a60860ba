//! How far from what is asked for a word may be looked for. Over a long way of references some table has a column that
//! is called like nearly anything, and what it tells is rarely what was meant.

use super::Unclear;
use super::intent::{Dimension as Named, Left, Mention};
use super::schema::TableId;
use super::settle::Settler;
use super::settled::{Settled, Shape};

/// Over as many references a word alone does not lead to its column; the thing that has it is to be named.
const TOO_FAR: usize = 3;

impl Settler<'_> {
    /// Refuses what is only found far away, in a thing that nobody named.
    pub(super) fn within_reach(&self, settled: &Settled, named: &[TableId]) -> Result<(), Unclear> {
        let listed = match &settled.shape {
            Shape::List { columns, .. } => columns.as_slice(),
            Shape::Groups | Shape::OverGroups(_) => &[],
        };
        let tables = settled.dimensions.iter().map(|dimension| dimension.table());
        let tables = tables.chain(settled.measures.iter().map(|measure| measure.table));
        let tables = tables.chain(settled.conditions.iter().map(|condition| condition.column.table));
        let mut tables = tables.chain(listed.iter().map(|column| column.table));
        let root = settled.root;
        let name = |table: TableId| &self.schema.table(table).name;
        let is_far = |table: &TableId| {
            let Some(base) = self.schema.bridge(root, *table) else { return false };
            let steps = |to: TableId| self.schema.path_up(base, to).map_or(0, |path| path.len());
            steps(*table) >= TOO_FAR || steps(root) >= TOO_FAR
        };
        match tables.find(|table| *table != root && !named.contains(table) && is_far(table)) {
            Some(far) => Err(Unclear::too_far(name(root), name(far))),
            None => Ok(()),
        }
    }

    /// The things that the question names, be it as the owners of their columns.
    pub(super) fn named_things(&self) -> Vec<TableId> {
        let intent = &self.intent;
        let owner = |mention: &Mention| mention.near.filter(|_| mention.qualified);
        let filtered = intent.filters.iter().filter_map(|filter| match &filter.left {
            Left::Column(mention) | Left::Time(Some(mention), _) => owner(mention),
            _ => None,
        });
        let grouped = intent.dimensions.iter().filter_map(|dimension| match dimension {
            Named::Table(table, _) => Some(*table),
            Named::Column(mention) => owner(mention),
            Named::Time(..) => None,
        });
        let subjects = intent.subjects.iter().map(|subject| subject.table);
        subjects.chain(intent.columns.iter().filter_map(owner)).chain(filtered).chain(grouped).collect()
    }
}
