//! What a caller is told of what goes wrong in a source.

use std::collections::BTreeSet;

use rivergen_connectors::ConnectorError;
use rivergen_kernel::{Error, ErrorCode};
use rivergen_query::QueryError;

use crate::catalogue::CatalogueTable;

/// What a connector says in safe words goes on to the caller; everything else keeps its own.
pub(crate) fn answerable(error: QueryError) -> Error {
    if let QueryError::SourceUnavailable(cause) = &error
        && let Some(of_source) = ConnectorError::within(cause)
    {
        return Error::new(of_source.code()).with_message(of_source.to_string()).with_source(error);
    }
    error.into()
}

/// What a caller may be told of in what goes wrong while a query runs.
///
/// Of columns those that exist for them: a filter or a mask may read others. What the caller calls a column of the
/// answer counts for nothing: of a hidden one that is read they could learn the name by guessing at it. Of a file
/// something where all that is read is theirs to see: what does not fit in it may be a row, or the name of a column,
/// that is kept from them.
pub(crate) struct Told {
    columns: BTreeSet<String>,
    files: bool,
}

impl Told {
    pub fn of<'a>(mut read: impl Iterator<Item = &'a CatalogueTable> + Clone) -> Self {
        let seen = read.clone().filter(|table| table.decision.is_allowed()).flat_map(CatalogueTable::visible_columns);
        let columns = seen.map(|column| column.name.clone()).collect();
        Self { columns, files: read.all(|table| table.decision.is_whole()) }
    }

    /// As [`answerable`], without what is not theirs to know.
    pub fn answerable(&self, error: QueryError) -> Error {
        if let QueryError::SourceUnavailable(cause) = &error
            && let Some(of_source) = ConnectorError::within(cause)
        {
            return self.of_source(of_source).with_source(error);
        }
        error.into()
    }

    /// What a connector says, without what is not theirs to know.
    pub fn of_source(&self, error: &ConnectorError) -> Error {
        let hidden = match error {
            ConnectorError::UnreadableValue { column, .. } if !self.columns.contains(column) => "value",
            ConnectorError::Unreadable { .. } if !self.files => "file",
            _ => return Error::new(error.code()).with_message(error.to_string()),
        };
        Error::new(ErrorCode::UnreadableFile).with_message(format!(
            "The data source contains a {hidden} that cannot be read, and your query, or what you may see, depends on it; \
             tell your administrator."
        ))
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use rivergen_connectors::{DiscoveredTable, TableKind};
    use rivergen_kernel::{DataSourceId, DatasetId};
    use rivergen_policies::{
        decision::{Decision, Hidden},
        rule::TableName,
    };

    use super::*;

    fn table(decision: Decision) -> CatalogueTable {
        let name = TableName { catalog: "lake".to_owned(), schema: "main".to_owned(), table: "people".to_owned() };
        let discovered = DiscoveredTable {
            name: "people".to_owned(),
            kind: TableKind::Table,
            columns: Vec::new(),
            row_count: None,
            comment: None,
        };
        CatalogueTable {
            name,
            source_id: DataSourceId(1),
            dataset_id: DatasetId(1),
            discovered,
            discovered_at: DateTime::UNIX_EPOCH,
            decision,
        }
    }

    fn failed_with(error: ConnectorError) -> QueryError {
        QueryError::SourceUnavailable(error.into())
    }

    /// A first line that should have been a header is a row, and what the header should have been names columns.
    #[test]
    fn what_is_wrong_with_a_file_is_for_who_sees_all_of_it() {
        let unreadable = || {
            let reason = "its columns are 7, Ada, 51000, where other files of the folder have id, name, salary";
            failed_with(ConnectorError::Unreadable { file: "b.csv".to_owned(), reason: reason.to_owned(), line: None })
        };
        let whole = table(Decision::unrestricted());
        let error = Told::of([&whole].into_iter()).answerable(unreadable());
        assert!(error.code == ErrorCode::UnreadableFile && error.message.contains("salary"), "{error}");
        let hidden = [("salary".to_owned(), Hidden::NotAllowed)].into();
        let part = table(Decision { hidden, ..Decision::unrestricted() });
        for read in [vec![&part], vec![&whole, &part]] {
            let error = Told::of(read.into_iter()).answerable(unreadable());
            assert_eq!(error.code, ErrorCode::UnreadableFile);
            for secret in ["salary", "51000", "b.csv"] {
                assert!(!error.message.contains(secret), "{error}");
            }
        }
    }

    #[test]
    fn a_column_that_does_not_exist_for_the_caller_is_not_named() {
        let value = ConnectorError::UnreadableValue { column: "salary".to_owned(), expected: "a number".to_owned() };
        let error = Told::of([&table(Decision::unrestricted())].into_iter()).answerable(failed_with(value));
        assert!(error.code == ErrorCode::UnreadableFile && !error.message.contains("salary"), "{error}");
    }
}
