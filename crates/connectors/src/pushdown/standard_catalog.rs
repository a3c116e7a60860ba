//! Catalogues as the SQL standard has them: one row a column of `information_schema`.

use datafusion::arrow::datatypes::DataType;

use super::{Comparable, RemoteColumn};
use crate::{DiscoveredColumn, DiscoveredSchema, DiscoveredTable, TableKind};

/// How a type is read: what a scan delivers, the SQL, what may be compared, what that implies for the stored column.
pub(crate) type Reading = (DataType, &'static str, Comparable, Option<Comparable>);

/// A row: schema, table, the table's type, column, position, type, `YES` where it takes NULL, and where the database
/// tells them its comment and its default.
pub(crate) type Row = Vec<Option<String>>;

/// Puts rows together that are ordered by schema, table and position. A type that `reading` has nothing for is left
/// out.
pub(crate) fn assemble(rows: &[Row], reading: impl Fn(&str) -> Option<Reading>) -> Vec<DiscoveredSchema> {
    let mut schemas: Vec<DiscoveredSchema> = Vec::new();
    for row in rows {
        let text = |index: usize| row.get(index).and_then(Option::as_deref).unwrap_or_default();
        let some = |index: usize| row.get(index).cloned().flatten().filter(|text| !text.is_empty());
        let source_type = text(5).to_owned();
        let Some((arrow_type, sql, comparable, implied)) = reading(&source_type) else { continue };
        if schemas.last().is_none_or(|last| last.name != text(0)) {
            schemas.push(DiscoveredSchema { name: text(0).to_owned(), tables: Vec::new() });
        }
        let Some(schema) = schemas.last_mut() else { continue };
        if schema.tables.last().is_none_or(|last| last.name != text(1)) {
            let view = text(2).to_uppercase().contains("VIEW");
            schema.tables.push(DiscoveredTable {
                name: text(1).to_owned(),
                kind: if view { TableKind::View } else { TableKind::Table },
                columns: Vec::new(),
                row_count: None,
                comment: None,
            });
        }
        let Some(table) = schema.tables.last_mut() else { continue };
        let name = text(3).to_owned();
        let remote = RemoteColumn { name: name.clone(), reading: sql.to_owned(), comparable, implied };
        table.columns.push(DiscoveredColumn {
            name,
            source_type,
            arrow_type,
            position: text(4).parse().unwrap_or_default(),
            nullable: text(6) != "NO",
            primary_key: false,
            foreign_key: None,
            default_value: some(8),
            comment: some(7),
            reading: Some(remote.remember(None)),
        });
    }
    schemas
}

/// A type's name without its arguments, in small letters, and the arguments.
pub(crate) fn parts(declared: &str) -> (String, Vec<u8>) {
    let (name, rest) = declared.split_once('(').unwrap_or((declared, ""));
    // What follows the arguments belongs to the name: `timestamp(6) with time zone`.
    let (arguments, after) = rest.split_once(')').unwrap_or((rest, ""));
    let arguments = arguments.split(',').filter_map(|argument| argument.trim().parse().ok()).collect();
    (format!("{}{}", name.trim(), after).to_lowercase(), arguments)
}

/// A decimal of the given precision and scale, where 128 bits can hold it.
pub(crate) fn decimal(arguments: &[u8]) -> Option<DataType> {
    let (precision, scale) = match *arguments {
        [precision] => (precision, 0),
        [precision, scale] => (precision, scale),
        _ => return None,
    };
    let fits = (1..=38).contains(&precision) && scale <= precision;
    fits.then(|| DataType::Decimal128(precision, scale.cast_signed()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_taken_apart() {
        assert_eq!(parts("decimal(10, 2)"), ("decimal".to_owned(), vec![10, 2]));
        assert_eq!(parts("timestamp(6) with time zone"), ("timestamp with time zone".to_owned(), vec![6]));
        assert_eq!(parts("VARCHAR"), ("varchar".to_owned(), vec![]));
        assert_eq!(parts("array(row(x integer))").0, "array)");
        assert_eq!(decimal(&[10, 2]), Some(DataType::Decimal128(10, 2)));
        assert_eq!(decimal(&[76, 2]), None);
    }
}
