//! From the cells of a sheet to a table: where its header is, and what its columns are.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;

use calamine::{DataRef, ExcelDateTime};
use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use datafusion::arrow::array::{
    ArrayRef, BooleanBuilder, Date32Builder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use datafusion::arrow::datatypes::{DataType, Date32Type, Field, Schema, SchemaRef, TimeUnit};

use super::guard;
use crate::files::csv::names;

/// Rows of a batch.
const BATCH: usize = 8_192;
/// Values of a table with the nulls between them.
const VALUES: usize = 20_000_000;
/// Rows at the top among which the header is looked for.
const TOP: usize = 50;
/// Beyond it, a float is no longer sure to be the whole number that was typed.
const WHOLE: f64 = 9_007_199_254_740_992.0;

/// The filled cells of a sheet, row by row, as they come.
#[derive(Default)]
pub(super) struct Sheet {
    rows: BTreeMap<u32, BTreeMap<u32, Cell>>,
}

/// A sheet as the engine reads it.
pub(super) struct Table {
    pub schema: SchemaRef,
    pub batches: Vec<RecordBatch>,
    pub rows: u64,
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq)]
enum Cell {
    /// An error of a formula.
    Error,
    Number(f64),
    Text(String),
    Boolean(bool),
    Moment(NaiveDateTime),
}

impl Sheet {
    pub fn see(&mut self, (row, column): (u32, u32), value: &DataRef<'_>) {
        if let Some(cell) = Cell::read(value) {
            self.rows.entry(row).or_default().insert(column, cell);
        }
    }

    /// None where there is nothing in it.
    pub fn into_table(self, has_header: Option<bool>) -> Result<Option<Table>, String> {
        let mut rows: Vec<_> = self.rows.into_values().collect();
        let first = first_row(&rows);
        rows.drain(..first);
        let Some(top) = rows.first() else { return Ok(None) };
        let header = match has_header.unwrap_or_else(|| is_header(top, rows.get(1..).unwrap_or_default())) {
            true => Some(rows.remove(0)),
            false => None,
        };
        // A column is there where it has a title or a value.
        let used: BTreeSet<u32> = header.iter().chain(&rows).flat_map(BTreeMap::keys).copied().collect();
        if used.len().saturating_mul(rows.len()) > VALUES {
            return Err(guard::too_large());
        }
        let titles: Option<Vec<String>> = header.map(|header| {
            used.iter().map(|column| header.get(column).map(Cell::to_string).unwrap_or_default()).collect()
        });
        let names = names(titles.as_deref(), used.len());
        let (mut fields, mut arrays) = (Vec::with_capacity(used.len()), Vec::with_capacity(used.len()));
        for (name, column) in names.into_iter().zip(&used) {
            let values: Vec<Option<&Cell>> = rows.iter().map(|row| row.get(column)).collect();
            let data_type = data_type(values.iter().copied().flatten());
            arrays.push(array(&data_type, &values));
            fields.push(Field::new(name, data_type, true));
        }
        let schema = Arc::new(Schema::new(fields));
        let whole = RecordBatch::try_new(schema.clone(), arrays).map_err(|error| error.to_string())?;
        let batches = (0..rows.len()).step_by(BATCH).map(|at| whole.slice(at, BATCH.min(rows.len() - at))).collect();
        Ok(Some(Table { schema, batches, rows: rows.len() as u64 }))
    }
}

/// The first row of the table: titles and remarks above it fill fewer columns.
fn first_row(rows: &[BTreeMap<u32, Cell>]) -> usize {
    let widest = rows.iter().take(TOP).map(BTreeMap::len).max().unwrap_or(0);
    let enough = |row: &BTreeMap<u32, Cell>| row.len() * 2 >= widest && (row.len() > 1 || widest < 2);
    rows.iter().take(TOP).position(enough).unwrap_or(0)
}

/// A first row is a header when all of it is text that differs; or when it is text above numbers and dates where
/// there are some, as in a table whose other columns are called by a year.
fn is_header(top: &BTreeMap<u32, Cell>, below: &[BTreeMap<u32, Cell>]) -> bool {
    let text = |cell: &Cell| matches!(cell, Cell::Text(_));
    let distinct: HashSet<_> = top.values().map(|cell| cell.to_string().trim().to_lowercase()).collect();
    if distinct.len() < top.len() || below.is_empty() {
        return top.values().all(text) && distinct.len() == top.len();
    }
    top.values().all(text)
        || top.iter().any(|(column, title)| {
            let mut values = below.iter().filter_map(|row| row.get(column)).peekable();
            text(title) && values.peek().is_some() && !values.any(text)
        })
}

/// What all the values of a column can be.
fn data_type<'a>(values: impl Iterator<Item = &'a Cell>) -> DataType {
    let (mut whole, mut number, mut boolean, mut date, mut moment, mut seen) = (true, true, true, true, true, false);
    for value in values {
        match value {
            Cell::Error => continue,
            Cell::Number(n) => {
                whole &= n.fract() == 0.0 && n.abs() <= WHOLE;
                (boolean, date, moment) = (false, false, false);
            }
            Cell::Boolean(_) => (whole, number, date, moment) = (false, false, false, false),
            Cell::Moment(at) => {
                date &= at.time() == NaiveTime::MIN;
                (whole, number, boolean) = (false, false, false);
            }
            Cell::Text(_) => return DataType::Utf8,
        }
        seen = true;
    }
    match (seen, boolean, number && whole, number, moment && date, moment) {
        (false, ..) => DataType::Utf8,
        (_, true, ..) => DataType::Boolean,
        (_, _, true, ..) => DataType::Int64,
        (_, _, _, true, ..) => DataType::Float64,
        (_, _, _, _, true, _) => DataType::Date32,
        (.., true) => DataType::Timestamp(TimeUnit::Microsecond, None),
        _ => DataType::Utf8,
    }
}

/// Builds a column of a type that [`data_type`] answered for it.
fn array(data_type: &DataType, values: &[Option<&Cell>]) -> ArrayRef {
    macro_rules! build {
        ($builder:ty, $($cell:pat => $value:expr),+) => {{
            let mut builder = <$builder>::new();
            for value in values {
                builder.append_option(match value { $(Some($cell) => Some($value),)+ _ => None });
            }
            Arc::new(builder.finish())
        }};
    }
    match data_type {
        DataType::Boolean => build!(BooleanBuilder, Cell::Boolean(value) => *value),
        DataType::Int64 => build!(Int64Builder, Cell::Number(value) => *value as i64),
        DataType::Float64 => build!(Float64Builder, Cell::Number(value) => *value),
        DataType::Date32 => build!(Date32Builder, Cell::Moment(at) => Date32Type::from_naive_date(at.date())),
        DataType::Timestamp(..) => {
            build!(TimestampMicrosecondBuilder, Cell::Moment(at) => at.and_utc().timestamp_micros())
        }
        _ => {
            build!(StringBuilder, Cell::Text(text) => text.clone(), cell @ (Cell::Number(_) | Cell::Boolean(_) | Cell::Moment(_)) => cell.to_string())
        }
    }
}

/// What the column is in a workbook.
pub(super) fn source_type(data_type: &DataType) -> &'static str {
    match data_type {
        DataType::Boolean => "boolean",
        DataType::Int64 | DataType::Float64 => "number",
        DataType::Date32 => "date",
        DataType::Timestamp(..) => "date and time",
        _ => "text",
    }
}

impl Cell {
    /// None for an empty one.
    fn read(value: &DataRef<'_>) -> Option<Self> {
        let text = |text: &str| (!text.trim().is_empty()).then(|| Self::Text(text.to_owned()));
        match value {
            DataRef::Empty => None,
            DataRef::Error(_) => Some(Self::Error),
            DataRef::Int(value) => Some(Self::Number(*value as f64)),
            DataRef::Float(value) => Some(Self::Number(*value)),
            DataRef::Bool(value) => Some(Self::Boolean(*value)),
            DataRef::String(value) => text(value),
            DataRef::SharedString(value) => text(value),
            DataRef::DateTime(value) => Some(Self::from_serial(value)),
            DataRef::DateTimeIso(value) => moment(value).map(Self::Moment).or_else(|| text(value)),
            DataRef::DurationIso(value) => duration(value).map(|d| Self::Text(clock(d))).or_else(|| text(value)),
        }
    }

    /// Days since an epoch; less than one is a time of the day. There is no type for times and durations that
    /// every column of them fits, so they are text.
    fn from_serial(value: &ExcelDateTime) -> Self {
        if value.is_duration() || value.as_f64() < 1.0 {
            return value.as_duration().map_or(Self::Number(value.as_f64()), |duration| Self::Text(clock(duration)));
        }
        value.as_datetime().map_or(Self::Number(value.as_f64()), Self::Moment)
    }
}

impl std::fmt::Display for Cell {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Error => Ok(()),
            Self::Number(value) => write!(f, "{value}"),
            Self::Text(text) => f.write_str(text),
            Self::Boolean(value) => write!(f, "{value}"),
            Self::Moment(at) if at.time() == NaiveTime::MIN => write!(f, "{}", at.date()),
            Self::Moment(at) => write!(f, "{}", at.format("%Y-%m-%dT%H:%M:%S%.f")),
        }
    }
}

fn moment(text: &str) -> Option<NaiveDateTime> {
    let date = || text.parse::<NaiveDate>().ok().map(|date| date.and_time(NaiveTime::MIN));
    text.trim_end_matches('Z').parse().ok().or_else(date)
}

/// `PT10H30M05S`, as OpenDocument writes times.
fn duration(text: &str) -> Option<TimeDelta> {
    let (hours, rest) = text.strip_prefix("PT")?.split_once('H')?;
    let (minutes, rest) = rest.split_once('M')?;
    let seconds: f64 = rest.strip_suffix('S')?.replace(',', ".").parse().ok()?;
    let whole = hours.parse::<u32>().ok()? * 60 + minutes.parse::<u8>().ok().map(u32::from)?;
    Some(TimeDelta::milliseconds(i64::from(whole) * 60_000 + (seconds * 1_000.0).round() as i64))
}

/// `10:30:05`; the hours of a duration go beyond 24.
fn clock(duration: TimeDelta) -> String {
    let (sign, duration) = if duration < TimeDelta::zero() { ("-", -duration) } else { ("", duration) };
    let seconds = duration.num_seconds();
    let millis = match duration.subsec_nanos() / 1_000_000 {
        0 => String::new(),
        millis => format!(".{millis:03}"),
    };
    format!("{sign}{:02}:{:02}:{:02}{millis}", seconds / 3_600, seconds / 60 % 60, seconds % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cells: &[(u32, Cell)]) -> BTreeMap<u32, Cell> {
        cells.iter().cloned().collect()
    }

    fn text(text: &str) -> Cell {
        Cell::Text(text.to_owned())
    }

    #[test]
    fn headers_are_told_from_rows() {
        let number = |n| Cell::Number(n);
        let names = row(&[(0, text("id")), (1, text("name"))]);
        let data = [row(&[(0, number(1.0)), (1, text("Ann"))])];
        assert!(is_header(&names, &data));
        assert!(is_header(&names, &[]), "a sheet with titles alone");
        assert!(!is_header(&row(&[(0, text("x")), (1, text("X"))]), &[row(&[(0, text("y"))])]), "the same twice");
        assert!(!is_header(&data[0], &data));
        let years = row(&[(0, text("amount")), (1, number(2024.0)), (2, number(2025.0))]);
        assert!(is_header(&years, &[row(&[(0, number(7.0)), (1, number(1.5)), (2, number(2.5))])]));
        let title = row(&[(0, text("Report"))]);
        assert_eq!(first_row(&[title.clone(), names.clone(), data[0].clone()]), 1);
        assert_eq!(first_row(&[title.clone(), title]), 0, "a sheet of one column");
    }

    #[test]
    fn times_are_written_as_on_a_clock() {
        assert_eq!(duration("PT10H30M05S").map(clock).as_deref(), Some("10:30:05"));
        assert_eq!(duration("PT30H00M00.250S").map(clock).as_deref(), Some("30:00:00.250"));
        assert_eq!(duration("P1D"), None);
        assert_eq!(clock(TimeDelta::seconds(-61)), "-00:01:01");
    }
}
