//! What a question asks for, before its columns are settled: the query tree's draft.

use super::calendar::{Grain, TimeRange};
use super::cue::{Aggregate, Comparison, Direction, Match, Quality};
use super::schema::{ColumnId, TableId};
use super::spelling::Slip;

/// A phrase that names one of some columns. Which one is settled when the whole question is read.
#[derive(Debug, Clone)]
pub(super) struct Mention {
    pub(super) columns: Vec<ColumnId>,
    pub(super) text: String,
    /// The table named next to it.
    pub(super) near: Option<TableId>,
    /// The table was named as its owner, or there is only one candidate in it.
    pub(super) qualified: bool,
    /// The word implies an aggregate: "revenue".
    pub(super) implied: Option<Aggregate>,
    pub(super) score: f64,
    /// The phrase is a value of them and not their name.
    pub(super) is_value: bool,
}

impl Mention {
    /// The one column that a phrase can only mean.
    pub(super) fn of(column: ColumnId, text: String) -> Self {
        let (columns, near) = (vec![column], Some(column.table));
        Self { columns, text, near, qualified: true, implied: None, score: 1.0, is_value: false }
    }
}

/// A table that the question names as a thing of its own.
#[derive(Debug, Clone)]
pub(super) struct Subject {
    pub(super) table: TableId,
    pub(super) text: String,
    pub(super) plural: bool,
    /// A measure was named before it: it is a scope ("revenue of customers in …") and not the
    /// thing that is listed.
    pub(super) after_measure: bool,
    pub(super) score: f64,
}

#[derive(Debug, Clone)]
pub(super) enum Measured {
    /// The rows of a table.
    Rows(TableId),
    /// The rows of the table of the column that settles.
    RowsWith(Mention),
    Column(Mention),
    /// The column that says how big a row of the table is.
    Weight(TableId),
    /// One of the layer's, by its position.
    Metric(usize),
}

#[derive(Debug, Clone)]
pub(super) struct Measure {
    pub(super) aggregate: Aggregate,
    pub(super) of: Measured,
    pub(super) text: String,
}

#[derive(Debug, Clone)]
pub(super) enum Dimension {
    /// Each row of a table.
    Table(TableId, String),
    Column(Mention),
    Time(Slice, Option<Mention>, String),
}

/// How a moment is cut for grouping.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Slice {
    Every(Grain),
    Weekday,
    HourOfDay,
}

/// A condition on one row.
#[derive(Debug, Clone)]
pub(super) struct Filter {
    pub(super) left: Left,
    pub(super) test: Test,
    pub(super) negated: bool,
    /// Where the column is of things that belong to what is asked for: "employees who never took
    /// vacation" have no such thing, "customers with orders not shipped" have one that is not so.
    pub(super) none_at_all: bool,
    /// It is an alternative to the condition before it.
    pub(super) or: bool,
    /// Its value was joined to others by "and": of things that belong, each must be there.
    pub(super) each: bool,
    pub(super) text: String,
}

impl Filter {
    /// A condition that stands for itself, joined to no other.
    pub(super) fn new(left: Left, test: Test, negated: bool, text: String) -> Self {
        Self { left, test, negated, none_at_all: false, or: false, each: false, text }
    }
}

#[derive(Debug, Clone)]
pub(super) enum Left {
    Column(Mention),
    /// The key of a table: "customer 42".
    Key(TableId),
    /// What people call a row of the table: "products named X".
    Label(TableId),
    Weight(TableId),
    /// The column that says when a row happened, or the one that was named.
    Time(Option<Mention>, Option<TableId>),
}

#[derive(Debug, Clone)]
pub(super) enum Test {
    /// The value that belongs to the column that settles.
    Value(Vec<(ColumnId, String)>),
    /// A text as it was typed, whatever its case.
    Typed(String),
    Number(Comparison, String),
    /// Held against all rows together: "above the average".
    Overall(Comparison, Aggregate),
    Between(String, String),
    Text(Match, String),
    Missing,
    True,
    Within(TimeRange),
}

/// A condition on a group.
#[derive(Debug, Clone)]
pub(super) struct Having {
    pub(super) measure: usize,
    pub(super) test: Test,
    pub(super) text: String,
}

#[derive(Debug, Clone)]
pub(super) enum RankBy {
    Unspecified,
    Measure(usize),
    Column(Mention),
    Quality(Quality),
    Weight(TableId),
}

/// "top 5", "the most expensive", "latest"
#[derive(Debug, Clone)]
pub(super) struct Rank {
    pub(super) direction: Direction,
    pub(super) by: RankBy,
    /// The column is taken at its extreme ("the highest price") and not added up ("by price").
    pub(super) extreme: bool,
    /// Whose the column is follows it ("the highest price of products"): the value is asked for, and no rows.
    pub(super) owned: bool,
    /// The noun that follows is plural, where the number was left out.
    pub(super) plural: Option<bool>,
    pub(super) text: String,
}

#[derive(Debug, Clone)]
pub(super) enum SortBy {
    Measure(usize),
    Column(Mention),
}

impl Intent {
    /// How much was named beside conditions.
    pub(super) fn others(&self) -> usize {
        self.subjects.len()
            + self.measures.len()
            + self.dimensions.len()
            + self.columns.len()
            + self.havings.len()
            + self.absent.len()
            + usize::from(self.rank.is_some())
    }
}

/// What the first word of a question asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Asked {
    /// "where is …"
    Place,
    /// "when was …"
    Time,
    /// "who is …"
    Person,
}

/// The draft.
#[derive(Debug, Clone, Default)]
pub(super) struct Intent {
    pub(super) subjects: Vec<Subject>,
    pub(super) measures: Vec<Measure>,
    pub(super) dimensions: Vec<Dimension>,
    /// Columns named on their own: what to show, or what to group by.
    pub(super) columns: Vec<Mention>,
    pub(super) filters: Vec<Filter>,
    pub(super) havings: Vec<Having>,
    /// Tables of which no row may belong: "without orders".
    pub(super) absent: Vec<Subject>,
    pub(super) rank: Option<Rank>,
    pub(super) limit: Option<u64>,
    pub(super) sort: Option<SortBy>,
    pub(super) sort_direction: Option<Direction>,
    /// "sorted by region *and amount*": what goes on where the first says the same.
    pub(super) sort_then: Vec<Mention>,
    /// "newest first", "from youngest to oldest", which tell by what rows are ordered where nothing else does.
    pub(super) sort_quality: Option<(Direction, Quality, String)>,
    /// "average number of orders per customer": the aggregate over the groups.
    pub(super) nested: Option<Aggregate>,
    pub(super) all: bool,
    /// "of each debate": a row for each, be they alike or not.
    pub(super) each: bool,
    pub(super) distinct: bool,
    pub(super) share: bool,
    /// How many of the filters describe the whole of which a share is asked, where the question
    /// tells: "percentage of EU orders that *are* shipped".
    pub(super) share_base: Option<usize>,
    /// How many of the filters stand before the groups, where groups were named: "percentage of
    /// *cancelled* orders by region", but "percentage of orders by status *in EU*".
    pub(super) share_part: Option<usize>,
    /// "which": the different values of a column are asked for.
    pub(super) which: bool,
    /// "…, and how many are there?": the number that ranks is to be told.
    pub(super) tells_rank: bool,
    /// "who": a person is asked for.
    pub(super) who: bool,
    /// What the first word asks for: the place where "where is …", with that word.
    pub(super) asked: Option<(Asked, String)>,
    /// "both" was said of values, which is to mean something.
    pub(super) both: bool,
    /// Phrases that say nothing of their own, with what they were read as: verbs that only tie things together or tell when
    /// one was, and what the rows are called.
    pub(super) readings: Vec<(String, &'static str)>,
    /// Words that were misspelled, with what they are read as.
    pub(super) slips: Vec<Slip>,
    /// What is asked for is all that there is of the things: "all information about …".
    pub(super) in_full: bool,
    /// Things that are to be called by their names beside the columns that were named: "players and the years played".
    pub(super) called: Option<TableId>,
    /// A column was named before any table: "the names of customers" and not "customers with their names".
    pub(super) columns_first: bool,
    /// Measures, by position, of which nobody asked for the number: they only rank or choose.
    pub(super) silent: Vec<usize>,
}
