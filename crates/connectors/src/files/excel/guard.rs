//! What a workbook is, and how much it would become.
//!
//! A few kilobytes can name a thousand million cells: packed, repeated, or two of them in the opposite corners of
//! a sheet. The readers build what they are told, so it is counted here first.

use std::io::{Cursor, Read};

use bytes::Bytes;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::workbook::DAMAGED;

/// Cells of a workbook; of the older formats with the empty ones between them.
pub(super) const CELLS: u64 = 5_000_000;
/// Bytes of all its parts, unpacked.
const UNPACKED: u64 = 512 * 1024 * 1024;
/// Elements of its XML. A cell has four marks at most.
const MARKS: usize = 6 * CELLS as usize;
const PARTS: usize = 10_000;

/// How a workbook is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    Xlsx,
    Xlsb,
    Xls,
    Ods,
}

pub(super) fn too_large() -> String {
    "it is too large when unpacked: at most 5,000,000 cells are allowed; save its sheets as CSV or Parquet files"
        .to_owned()
}

/// Tells the format, and refuses what is too large; an error is a reason to show.
pub(super) fn check(content: &Bytes) -> Result<Format, String> {
    match content.get(..8) {
        Some([b'P', b'K', 3, 4, ..]) => packed(content),
        Some([0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]) => compound(content),
        _ => Err("it is not a workbook; .xlsx, .xlsm, .xlsb, .xls and .ods are read".to_owned()),
    }
}

fn packed(content: &Bytes) -> Result<Format, String> {
    let mut archive = ZipArchive::new(Cursor::new(content.clone())).map_err(damaged)?;
    if archive.len() > PARTS {
        return Err(too_large());
    }
    let has = |name: &str| archive.index_for_name(name).is_some();
    let format = match () {
        () if has("xl/workbook.xml") => Format::Xlsx,
        () if has("xl/workbook.bin") => Format::Xlsb,
        () if has("content.xml") => Format::Ods,
        () => return Err(DAMAGED.to_owned()),
    };
    // What the archive says of its sizes is not believed: everything is unpacked once.
    let (mut left, mut marks) = (UNPACKED, 0);
    let mut buffer = vec![0; 64 * 1024];
    for index in 0..archive.len() {
        let mut part = archive.by_index(index).map_err(damaged)?;
        loop {
            let length = part.read(&mut buffer).map_err(damaged)?;
            if length == 0 {
                break;
            }
            left = left.checked_sub(length as u64).ok_or_else(too_large)?;
            if format != Format::Xlsb {
                marks += buffer[..length].iter().filter(|byte| **byte == b'<').count();
            }
            if marks > MARKS {
                return Err(too_large());
            }
        }
    }
    if format == Format::Ods {
        repeated(archive.by_name("content.xml").map_err(damaged)?)?;
    }
    Ok(format)
}

/// Counts the cells of an OpenDocument's tables, where rows and cells are written once and repeated by number.
fn repeated(content: impl Read) -> Result<(), String> {
    let mut reader = Reader::from_reader(std::io::BufReader::new(content));
    let mut buffer = Vec::new();
    let mut total = 0;
    let mut table = Repeats::default();
    loop {
        let event = reader.read_event_into(&mut buffer).map_err(damaged)?;
        match &event {
            Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                "table:table" => table = Repeats::default(),
                "table:table-row" => table.row(number(element, "table:number-rows-repeated"), total)?,
                "table:table-cell" | "table:covered-table-cell" => {
                    let filled = element.attributes().flatten().any(|attribute| {
                        let key = attribute.key.as_ref();
                        key.starts_with("office:") || key == "table:formula"
                    });
                    table.cell(number(element, "table:number-columns-repeated"), filled);
                }
                _ => {}
            },
            Event::End(element) if element.name().as_ref() == "table:table" => {
                table.row(0, total)?;
                total += table.cells();
            }
            Event::Eof => return Ok(()),
            _ => {}
        }
        buffer.clear();
    }
}

fn number(element: &BytesStart<'_>, name: &str) -> u64 {
    let value = element.attributes().flatten().find(|attribute| attribute.key.as_ref() == name);
    value.and_then(|value| value.value.parse().ok()).unwrap_or(1)
}

/// The size of a table so far, up to its last filled row and column.
#[derive(Default)]
struct Repeats {
    /// Of the current row: how often it stands there, its width, and its width up to the last filled cell.
    times: u64,
    width: u64,
    filled: u64,
    /// Of the table: empty rows since the last filled one, rows up to that, and the widest of them.
    pending: u64,
    rows: u64,
    widest: u64,
}

impl Repeats {
    /// Ends the current row and begins another.
    fn row(&mut self, times: u64, total: u64) -> Result<(), String> {
        if self.filled > 0 {
            self.rows = self.rows.saturating_add(self.pending).saturating_add(self.times);
            self.widest = self.widest.max(self.filled);
            self.pending = 0;
        } else {
            self.pending = self.pending.saturating_add(self.times);
        }
        (self.times, self.width, self.filled) = (times, 0, 0);
        if total.saturating_add(self.cells()) > CELLS { Err(too_large()) } else { Ok(()) }
    }

    fn cell(&mut self, times: u64, filled: bool) {
        self.width = self.width.saturating_add(times);
        if filled {
            self.filled = self.width;
        }
    }

    fn cells(&self) -> u64 {
        self.rows.saturating_mul(self.widest)
    }
}

fn compound(content: &Bytes) -> Result<Format, String> {
    let mut file = cfb::CompoundFile::open(Cursor::new(content.clone())).map_err(damaged)?;
    if file.exists("/EncryptedPackage") {
        return Err("it is protected by a password; save it without one".to_owned());
    }
    let name = ["/Workbook", "/WORKBOOK", "/Book", "/BOOK"].into_iter().find(|name| file.is_stream(name));
    let mut stream = Vec::new();
    let found = file.open_stream(name.ok_or(DAMAGED)?).map_err(damaged)?;
    found.take(content.len() as u64).read_to_end(&mut stream).map_err(damaged)?;
    corners(&stream)?;
    Ok(Format::Xls)
}

/// Counts the cells of the sheets of an .xls file: each sheet is built as the rectangle around its cells.
fn corners(stream: &[u8]) -> Result<(), String> {
    const BEGIN: u16 = 0x0809;
    const END: u16 = 0x000a;
    const PASSWORD: u16 = 0x002f;
    let mut rest = stream;
    let mut total = 0;
    let mut around: Option<[u64; 4]> = None;
    while let [a, b, c, d, after @ ..] = rest {
        let (kind, length) = (u16::from_le_bytes([*a, *b]), usize::from(u16::from_le_bytes([*c, *d])));
        let (body, next) = after.split_at(length.min(after.len()));
        rest = next;
        match (kind, body) {
            (PASSWORD, _) => return Err("it is protected by a password; save it without one".to_owned()),
            (BEGIN | END, _) => {
                total += around.take().map_or(0, |[top, bottom, left, right]| (bottom - top + 1) * (right - left + 1));
            }
            // Numbers, texts, truth values, errors and formulas begin with their row and column.
            (
                0x0002..=0x0006 | 0x00bd | 0x00d6 | 0x00fd | 0x0203..=0x0206 | 0x027e | 0x0406,
                [row_low, row_high, column_low, column_high, ..],
            ) => {
                let row = u64::from(u16::from_le_bytes([*row_low, *row_high]));
                let column = u64::from(u16::from_le_bytes([*column_low, *column_high]));
                // A run of numbers has six bytes for each.
                let last = if kind == 0x00bd { column + body.len() as u64 / 6 } else { column };
                let [top, bottom, left, right] = around.unwrap_or([row, row, column, last]);
                around = Some([top.min(row), bottom.max(row), left.min(column), right.max(last)]);
            }
            _ => {}
        }
        let current = around.map_or(0, |[top, bottom, left, right]| (bottom - top + 1) * (right - left + 1));
        if total + current > CELLS {
            return Err(too_large());
        }
    }
    Ok(())
}

fn damaged(error: impl std::fmt::Display) -> String {
    tracing::info!(%error, "a workbook cannot be taken apart");
    DAMAGED.to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(rows: &str) -> Result<(), String> {
        repeated(format!("<x><table:table table:name=\"a\">{rows}</table:table></x>").as_bytes())
    }

    #[test]
    fn repeated_cells_are_counted() {
        let filled = r#"<table:table-cell office:value-type="float" office:value="1" "#;
        let small = format!(
            r#"<table:table-row>{filled}/><table:table-cell table:number-columns-repeated="16383"/></table:table-row>
               <table:table-row table:number-rows-repeated="1048575"><table:table-cell/></table:table-row>"#
        );
        assert_eq!(table(&small), Ok(()), "empty cells at the edges are nothing");
        let far = format!(
            r#"<table:table-row>{filled}/></table:table-row>
               <table:table-row table:number-rows-repeated="900000"><table:table-cell/></table:table-row>
               <table:table-row>{filled} table:number-columns-repeated="100"/></table:table-row>"#
        );
        assert!(table(&far).is_err(), "two corners");
        let wide = format!(r#"<table:table-row>{filled} table:number-columns-repeated="16384"/></table:table-row>"#);
        assert_eq!(table(&wide), Ok(()));
        assert!(table(&wide.repeat(400)).is_err());
        let tall = format!(r#"<table:table-row table:number-rows-repeated="5000001">{filled}/></table:table-row>"#);
        assert!(table(&tall).is_err());
    }

    fn record(kind: u16, body: &[u8]) -> Vec<u8> {
        [&kind.to_le_bytes()[..], &(body.len() as u16).to_le_bytes(), body].concat()
    }

    #[test]
    fn corners_of_old_sheets_are_counted() {
        let cell =
            |row: u16, column: u16| record(0x0203, &[&row.to_le_bytes()[..], &column.to_le_bytes(), &[0; 10]].concat());
        let sheet = |row: u16, column: u16| {
            [record(0x0809, &[0; 8]), cell(0, 0), cell(row, column), record(0x000a, &[])].concat()
        };
        assert_eq!(corners(&sheet(65_535, 70)), Ok(()));
        assert!(corners(&sheet(65_535, 255)).is_err());
        assert!(corners(&sheet(65_535, 70).repeat(2)).is_err(), "all sheets count together");
        assert!(corners(&record(0x002f, &[0; 4])).unwrap_err().contains("password"));
        assert_eq!(corners(&[1, 2, 3]), Ok(()));
    }
}
