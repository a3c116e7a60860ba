//! The physical plan of a remote statement.

use std::fmt;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::common::Statistics;
use datafusion::execution::SendableRecordBatchStream;
use datafusion::physical_plan::DisplayFormatType;

use super::RemoteDatabase;
use crate::leaf::{Asked, Leaf};

/// One statement that a database answers, as a plan.
pub type RemoteExec = Leaf<Statement>;

/// A statement, and who answers it.
#[derive(Debug)]
pub struct Statement {
    database: Arc<dyn RemoteDatabase>,
    sql: String,
}

impl RemoteExec {
    pub(super) fn new(
        database: Arc<dyn RemoteDatabase>,
        sql: String,
        schema: SchemaRef,
        statistics: Statistics,
    ) -> Self {
        Self::of(Statement { database, sql }, schema, statistics)
    }

    /// The statement. It holds the policies' literals: for logs and tests, not for callers.
    pub fn sql(&self) -> &str {
        &self.asked.sql
    }
}

impl Asked for Statement {
    const NAME: &'static str = "RemoteExec";

    fn show(&self, format: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RemoteExec: {:?}", self.database.dialect())?;
        match format {
            DisplayFormatType::Verbose => write!(f, ", sql={}", self.sql),
            _ => Ok(()),
        }
    }

    fn answer(&self, schema: SchemaRef) -> SendableRecordBatchStream {
        self.database.query(self.sql.clone(), schema)
    }
}
