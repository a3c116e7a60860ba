//! The query tree's plan with every column settled: what [`super::settle`] makes of an intent and
//! [`super::build`] turns into SQL.

use super::calendar::TimeRange;
use super::cue::{Aggregate, Comparison, Match};
use super::intent::Slice;
use super::schema::{ColumnId, TableId};

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Measure {
    pub(super) aggregate: Aggregate,
    /// The table whose rows are boiled down.
    pub(super) table: TableId,
    pub(super) column: Option<ColumnId>,
    /// The one of the layer's that it is; then there is no column.
    pub(super) metric: Option<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dimension {
    /// Each row of a table, by its key and label.
    Entity(TableId),
    Column(ColumnId),
    Time(Slice, ColumnId),
}

impl Dimension {
    pub(super) fn table(self) -> TableId {
        match self {
            Self::Entity(table) => table,
            Self::Column(column) | Self::Time(_, column) => column.table,
        }
    }
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Condition {
    pub(super) column: ColumnId,
    pub(super) test: Test,
    pub(super) negated: bool,
    /// Of things that belong to what is asked for, none at all may be so.
    pub(super) none_at_all: bool,
    /// It is an alternative to the condition before it.
    pub(super) or: bool,
    /// Of things that belong to what is asked for, one of its own must be so.
    pub(super) each: bool,
}

#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    OneOf(Vec<String>),
    /// A text as it was typed, whatever its case.
    Typed(String),
    Number(Comparison, String),
    /// Held against all rows of the table together.
    Overall(Comparison, Aggregate),
    Between(String, String),
    Text(Match, String),
    Missing,
    True,
    Within(TimeRange),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OrderBy {
    Measure(usize),
    Column(ColumnId),
    Dimension(usize),
}

/// What each row of the answer is.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Shape {
    /// A row of the root table; no columns: all that may be seen.
    List { columns: Vec<ColumnId>, and_all: bool, distinct: bool },
    /// A group of rows of the root table.
    Groups,
    /// One row: an aggregate over the groups, in parts by the dimensions from the second on.
    OverGroups(Aggregate),
}

#[derive(Debug, Clone, PartialEq)]
pub(super) struct Settled {
    /// The table whose rows are listed or aggregated.
    pub(super) root: TableId,
    pub(super) shape: Shape,
    pub(super) dimensions: Vec<Dimension>,
    pub(super) measures: Vec<Measure>,
    pub(super) conditions: Vec<Condition>,
    /// Of the conditions, those that make the part of which the share is asked.
    pub(super) share_of: Option<Vec<Condition>>,
    pub(super) share: bool,
    pub(super) havings: Vec<(usize, Test)>,
    /// Tables of which at least one row must belong.
    pub(super) present: Vec<TableId>,
    /// Tables of which no row may belong.
    pub(super) absent: Vec<TableId>,
    /// With true for descending.
    pub(super) order: Option<(OrderBy, bool)>,
    /// Of rows, what they are ordered by where that says the same.
    pub(super) then: Vec<(ColumnId, bool)>,
    pub(super) limit: Option<u64>,
    /// Of groups, the columns that were asked for by name, where nothing else is to be shown of the things themselves.
    pub(super) only: Option<Vec<ColumnId>>,
    /// Measures, by position, that only rank or choose then.
    pub(super) silent: Vec<usize>,
}
