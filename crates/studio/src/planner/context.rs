//! What a planner may know: the part of the schema that the caller may see, and nothing else.
//!
//! The query layer fills this from its governed catalogue. Whatever is not in it does not exist
//! for a planner: a question about what is hidden is answered like one about what is not there.

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::DataType;
use serde::{Deserialize, Serialize};

use super::{Layer, Term};

/// The schema as one caller sees it at one moment.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Context {
    /// The tables that the caller may query, in a stable order.
    pub tables: Vec<TableContext>,
    /// The moment to which "today" and "last month" refer.
    pub now: DateTime<Utc>,
    /// The SQL that the engine speaks.
    pub dialect: Dialect,
    /// Questions like this one, with SQL that people confirmed and that the caller could run.
    #[serde(default)]
    pub examples: Vec<Example>,
    /// Words of the organization's own.
    #[serde(default)]
    pub terms: Vec<Term>,
    /// What people said of the data, as far as the caller may see that.
    #[serde(default)]
    pub layer: Layer,
    /// Whether a planner that cannot tell which of some equally good readings is meant asks, rather than chooses.
    #[serde(default)]
    pub asks: bool,
    /// What the question goes on from, the first first; empty where it stands by itself.
    #[serde(default)]
    pub thread: Vec<Turn>,
}

/// A question that was answered, to which another refers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub question: String,
    /// What it became.
    pub sql: Option<String>,
}

/// A question and the SQL that answers it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Example {
    pub question: String,
    pub sql: String,
}

/// The SQL dialect that a plan is written in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum Dialect {
    /// The dialect of the embedded engine.
    #[default]
    DataFusion,
}

/// One table that the caller may query.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct TableContext {
    /// The data source.
    pub catalog: String,
    /// The schema inside the source.
    pub schema: String,
    /// The table's name.
    pub name: String,
    /// The columns that the caller may see.
    pub columns: Vec<ColumnContext>,
    /// How many rows the table has, where that is known.
    pub row_count: Option<u64>,
    /// The owner's description.
    pub comment: Option<String>,
}

/// One column that the caller may see, perhaps only masked.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct ColumnContext {
    /// The column's name.
    pub name: String,
    /// What kind of values it holds.
    pub data_type: ColumnType,
    /// The caller sees masked values.
    pub masked: bool,
    /// The distinct values of a text column, where they are known: of at most [`MOST_VALUES`]; empty otherwise.
    pub sample_values: Vec<String>,
    /// The owner's description.
    pub comment: Option<String>,
    /// The column alone identifies a row.
    pub is_primary_key: bool,
    /// The table (`name`, `schema.name` or `catalog.schema.name`) and the column that it refers to.
    pub references: Option<(String, String)>,
}

/// A column with more distinct values than this is no vocabulary.
pub const MOST_VALUES: usize = 1_000;

/// With more than this they are names rather than kinds: known when they are said, and not told of.
pub const FEW_VALUES: usize = 50;

impl ColumnContext {
    /// Its values are known and few, as kinds and states are.
    pub fn has_few_values(&self) -> bool {
        (1..=FEW_VALUES).contains(&self.sample_values.len())
    }
}

/// The kinds of values between which a question can tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ColumnType {
    /// Character strings.
    Text,
    /// Whole numbers.
    Integer,
    /// Numbers with a fraction, exact or not.
    Decimal,
    /// True or false.
    Boolean,
    /// Days.
    Date,
    /// Moments.
    Timestamp,
    /// Anything that cannot be compared with a word or a number: lists, structs, bytes.
    Other,
}

impl ColumnType {
    /// Sums and averages make sense.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Integer | Self::Decimal)
    }

    /// Ranges of time make sense.
    pub fn is_temporal(self) -> bool {
        matches!(self, Self::Date | Self::Timestamp)
    }

    /// The word for it in plain language and in prompts.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Integer => "integer",
            Self::Decimal => "decimal",
            Self::Boolean => "boolean",
            Self::Date => "date",
            Self::Timestamp => "timestamp",
            Self::Other => "other",
        }
    }
}

impl From<&DataType> for ColumnType {
    fn from(data_type: &DataType) -> Self {
        match data_type {
            DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => Self::Text,
            DataType::Dictionary(_, value) => Self::from(value.as_ref()),
            DataType::Boolean => Self::Boolean,
            DataType::Date32 | DataType::Date64 => Self::Date,
            DataType::Timestamp(_, _) => Self::Timestamp,
            other if other.is_integer() => Self::Integer,
            other if other.is_numeric() => Self::Decimal,
            _ => Self::Other,
        }
    }
}
