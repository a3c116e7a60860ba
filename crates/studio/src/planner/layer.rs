//! What people say of the data beside its schema: how tables belong together, and what they measure.
//!
//! A [`Layer`] is one caller's: whatever speaks of a table or column that they may not see is not in it.

use serde::{Deserialize, Serialize};

use super::{
    ColumnContext, Context, TableContext,
    metric::{self, Formula, MetricError, MetricTable},
};

/// The parts of the semantic layer that exist for a caller.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Layer {
    /// Confirmed by people: they go before what the schema declares and what names tell.
    pub joins: Vec<Join>,
    pub metrics: Vec<Metric>,
    pub synonyms: Vec<Synonym>,
}

/// Rows of one table belong to the one row of another that has the same value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Join {
    /// The side of which many may belong to one.
    pub from: ColumnPlace,
    pub to: ColumnPlace,
    /// At most one on either side.
    pub one_to_one: bool,
}

/// A number under a name.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Metric {
    pub name: String,
    pub table: usize,
    /// As it was written.
    pub definition: String,
    pub formula: Formula,
}

/// What a word means, where it could mean more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Synonym {
    pub phrase: String,
    pub table: usize,
    /// `None`: the table itself.
    pub column: Option<usize>,
    /// The word is a value of the column.
    pub is_value: bool,
}

/// A column of a context, by positions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnPlace {
    pub table: usize,
    pub column: usize,
}

impl Context {
    /// The table called `catalog.schema.table`.
    pub fn table_place(&self, name: &str) -> Option<usize> {
        self.tables.iter().position(|table| table.full_name() == name)
    }

    /// The column called `catalog.schema.table.column`.
    pub fn column_place(&self, name: &str) -> Option<ColumnPlace> {
        self.tables.iter().enumerate().find_map(|(table, described)| {
            let column = name.strip_prefix(&described.full_name())?.strip_prefix('.')?;
            let column = described.columns.iter().position(|known| known.name == column)?;
            Some(ColumnPlace { table, column })
        })
    }

    pub fn column_at(&self, place: ColumnPlace) -> Option<&ColumnContext> {
        self.tables.get(place.table)?.columns.get(place.column)
    }

    /// A metric over a table of this context. Masked columns are none for it: what comes of them is not what it says.
    pub fn metric(&self, name: &str, table: usize, definition: &str) -> Result<Metric, MetricError> {
        let gone = || MetricError { position: 1, reason: "there is no such table".to_owned() };
        let described = self.tables.get(table).ok_or_else(gone)?;
        let columns = described.columns.iter().filter(|column| !column.masked);
        let full_name = described.full_name();
        let of = MetricTable {
            name: &full_name,
            columns: columns.map(|column| (column.name.as_str(), column.data_type)).collect(),
        };
        let formula = metric::parse(definition, &of)?;
        Ok(Metric { name: name.to_owned(), table, definition: definition.to_owned(), formula })
    }
}

impl TableContext {
    /// `catalog.schema.table`
    pub fn full_name(&self) -> String {
        format!("{}.{}.{}", self.catalog, self.schema, self.name)
    }
}
