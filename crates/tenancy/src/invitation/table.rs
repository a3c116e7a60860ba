//! People in a CSV with a header, for who invites many at once and who imports them.

use csv::{ReaderBuilder, Trim};

/// The rows, each with the cells of the columns in the order of `columns`, trimmed; `None` is a cell that is empty or whose
/// column is not in the file. The first of the columns has to be. Of a longer file no more than `most` rows are read. The
/// error says what is wrong with the file.
///
/// A file may be as a spreadsheet saves it: `First Name` is `first_name`, and where the header has semicolons and no comma,
/// they part the cells.
pub(crate) fn read<const N: usize>(
    bytes: &[u8],
    columns: [&str; N],
    most: usize,
) -> Result<Vec<[Option<String>; N]>, String> {
    let wrong = |error: csv::Error| format!("{error}.");
    let first = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let delimiter = if first.contains(&b';') && !first.contains(&b',') { b';' } else { b',' };
    let mut reader = ReaderBuilder::new().trim(Trim::All).delimiter(delimiter).from_reader(bytes);
    let headers = reader.headers().map_err(wrong)?.clone();
    let called = |header: &str| header.to_lowercase().replace([' ', '-'], "_");
    if let Some(other) = headers.iter().find(|header| !columns.contains(&called(header).as_str())) {
        return Err(format!("There is no column {other:?}; the columns are {}.", columns.join(", ")));
    }
    let places = columns.map(|column| headers.iter().position(|header| called(header) == column));
    if let (Some(None), Some(first)) = (places.first(), columns.first()) {
        return Err(format!("There is no column {first}."));
    }
    let row = |record: csv::Result<csv::StringRecord>| {
        let record = record.map_err(wrong)?;
        Ok(places.map(|at| record.get(at?).filter(|text| !text.is_empty()).map(str::to_owned)))
    };
    reader.records().take(most).map(row).collect()
}
