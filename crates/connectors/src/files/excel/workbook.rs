//! From the bytes of a workbook to its sheets.

use std::fmt::Display;
use std::io::Cursor;

use bytes::Bytes;
use calamine::{Data, DataRef, Ods, Range, Reader, SheetType, SheetVisible, Xls, Xlsb, Xlsx};

use super::guard::{self, CELLS, Format};
use super::sheet::{Sheet, Table};

pub(super) const DAMAGED: &str = "it is damaged or not a workbook; save it again as .xlsx";

/// Text of all sheets together, in bytes. A text that many cells share counts each time.
const TEXT: usize = 256 * 1024 * 1024;

type Source = Cursor<Bytes>;

/// The tables of the sheets that hold something, in the workbook's order; an error is a reason to show.
pub(super) fn read(
    content: Bytes,
    wanted: Option<&str>,
    has_header: Option<bool>,
) -> Result<Vec<(String, Table)>, String> {
    let source = Cursor::new(content.clone());
    let mut budget = Budget { cells: CELLS, text: TEXT };
    let sheets = match guard::check(&content)? {
        Format::Xlsx => {
            let mut book = Xlsx::new(source).map_err(damaged)?;
            collect(&mut book, wanted, |book, name| {
                let mut cells = book.worksheet_cells_reader(name).map_err(damaged)?;
                let mut sheet = Sheet::default();
                while let Some(cell) = cells.next_cell().map_err(damaged)? {
                    budget.take(&mut sheet, cell.get_position(), cell.get_value())?;
                }
                Ok(sheet)
            })?
        }
        Format::Xlsb => {
            let mut book = Xlsb::new(source).map_err(damaged)?;
            collect(&mut book, wanted, |book, name| {
                let mut cells = book.worksheet_cells_reader(name).map_err(damaged)?;
                let mut sheet = Sheet::default();
                while let Some(cell) = cells.next_cell().map_err(damaged)? {
                    budget.take(&mut sheet, cell.get_position(), cell.get_value())?;
                }
                Ok(sheet)
            })?
        }
        Format::Xls => {
            let mut book: Xls<Source> = Xls::new(source).map_err(damaged)?;
            collect(&mut book, wanted, |book, name| budget.take_all(book.worksheet_range(name).map_err(damaged)?))?
        }
        Format::Ods => {
            let mut book: Ods<Source> = Ods::new(source).map_err(damaged)?;
            collect(&mut book, wanted, |book, name| budget.take_all(book.worksheet_range(name).map_err(damaged)?))?
        }
    };
    let mut tables = Vec::with_capacity(sheets.len());
    for (name, sheet) in sheets {
        if let Some(table) = sheet.into_table(has_header).map_err(|reason| format!("sheet {name}: {reason}"))? {
            tables.push((name, table));
        }
    }
    if tables.is_empty() { Err("it holds no rows".to_owned()) } else { Ok(tables) }
}

/// Reads the wanted sheet, or each that a person sees.
fn collect<R: Reader<Source>>(
    book: &mut R,
    wanted: Option<&str>,
    mut read: impl FnMut(&mut R, &str) -> Result<Sheet, String>,
) -> Result<Vec<(String, Sheet)>, String> {
    let known: Vec<_> = book.sheets_metadata().iter().filter(|sheet| sheet.typ == SheetType::WorkSheet).collect();
    let names: Vec<String> = match wanted {
        None => known.iter().filter(|s| s.visible == SheetVisible::Visible).map(|s| s.name.clone()).collect(),
        Some(wanted) => {
            let exact = known.iter().find(|sheet| sheet.name == wanted);
            let alike = || known.iter().find(|sheet| sheet.name.to_lowercase() == wanted.to_lowercase());
            let found = exact.or_else(alike).ok_or_else(|| {
                let known: Vec<_> = known.iter().take(20).map(|sheet| sheet.name.as_str()).collect();
                format!("it has no sheet {wanted}; it has {}", known.join(", "))
            })?;
            vec![found.name.clone()]
        }
    };
    names.into_iter().map(|name| read(book, &name).map(|sheet| (name, sheet))).collect()
}

/// What may still be read.
struct Budget {
    cells: u64,
    text: usize,
}

impl Budget {
    fn take_all(&mut self, range: Range<Data>) -> Result<Sheet, String> {
        let mut sheet = Sheet::default();
        let (first_row, first_column) = range.start().unwrap_or_default();
        for (row, column, value) in range.used_cells() {
            let position = (first_row + row as u32, first_column + column as u32);
            self.take(&mut sheet, position, &DataRef::from_data(value))?;
        }
        Ok(sheet)
    }

    fn take(&mut self, sheet: &mut Sheet, position: (u32, u32), value: &DataRef<'_>) -> Result<(), String> {
        let text = match value {
            DataRef::Empty => return Ok(()),
            DataRef::SharedString(text) => text.len(),
            DataRef::String(text) | DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.len(),
            _ => 0,
        };
        let left = (self.cells.checked_sub(1), self.text.checked_sub(text));
        let (Some(cells), Some(text)) = left else { return Err(guard::too_large()) };
        *self = Self { cells, text };
        sheet.see(position, value);
        Ok(())
    }
}

/// Borrows what calamine owns, so that there is one way to read a cell.
trait FromData<'a> {
    fn from_data(data: &'a Data) -> Self;
}

impl<'a> FromData<'a> for DataRef<'a> {
    fn from_data(data: &'a Data) -> Self {
        match data {
            Data::Int(value) => Self::Int(*value),
            Data::Float(value) => Self::Float(*value),
            Data::String(text) => Self::SharedString(text),
            Data::Bool(value) => Self::Bool(*value),
            Data::DateTime(value) => Self::DateTime(*value),
            Data::DateTimeIso(text) => Self::DateTimeIso(text.clone()),
            Data::DurationIso(text) => Self::DurationIso(text.clone()),
            Data::Error(error) => Self::Error(error.clone()),
            Data::Empty => Self::Empty,
        }
    }
}

/// What the reader says goes to the log.
fn damaged(error: impl Display) -> String {
    tracing::info!(%error, "a workbook cannot be read");
    DAMAGED.to_owned()
}
