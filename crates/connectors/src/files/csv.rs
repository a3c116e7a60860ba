//! CSV and TSV: delimiter, header and types are found out, and every line is checked for its number of fields.

use std::collections::HashSet;
use std::sync::Arc;

use csv::{ByteRecord, ReaderBuilder};
use datafusion::arrow::compute::kernels::cast_utils::Parser;
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Field, Float64Type, Int64Type, Schema, TimeUnit, TimestampMicrosecondType,
};
use object_store::ObjectMeta;
use rivergen_kernel::error::FieldError;
use serde_json::Value;

use super::reading::Reading;
use super::text::{TextFile, TextReader, broken};
use super::{Layout, distinct, unreadable};
use crate::{ConnectorError, SourceConfig};

const DELIMITERS: [u8; 4] = [b',', b';', b'\t', b'|'];
/// Bytes and lines from which the delimiter is found out.
const SNIFFED: usize = 64 * 1024;
const SNIFFED_LINES: usize = 50;
/// Lines that are looked at in any case.
const SAMPLED_LINES: u64 = 10_000;

/// What is said of a file instead of being found out.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Hints {
    pub delimiter: Option<u8>,
    pub has_header: Option<bool>,
}

impl Hints {
    /// Of a configuration's `metadata`.
    pub fn of(config: &SourceConfig) -> Self {
        Self {
            delimiter: config.metadata_text("delimiter").and_then(|text| text.bytes().next()),
            has_header: config.metadata.get("has_header").and_then(Value::as_bool),
        }
    }

    /// Files of this kind, or with this extension, have a delimiter of their own.
    pub fn for_tsv(self) -> Self {
        Self { delimiter: Some(b'\t'), ..self }
    }
}

/// Checks `metadata.delimiter`.
pub(crate) fn validate_delimiter(config: &SourceConfig) -> Option<FieldError> {
    let delimiter = config.metadata_text("delimiter")?;
    let fits = matches!(delimiter.as_bytes(), [byte] if byte.is_ascii() && !matches!(byte, b'"' | b'\n' | b'\r'));
    (!fits).then(|| FieldError::new("metadata.delimiter", "must be one ASCII character, not a quote or a line end"))
}

pub(crate) async fn layout(file: &TextFile, hints: Hints) -> Result<Layout, ConnectorError> {
    let (meta, look_at) = (file.meta.clone(), file.look_at);
    let found = file.read(move |reader| look(reader, &meta, hints, look_at)).await?;
    let reading = Reading::Csv {
        delimiter: char::from(found.delimiter),
        header: found.header,
        // A file without line ends in its fields can be read in parts.
        multiline: found.multiline || !found.whole,
        compression: file.compression,
    };
    Ok(Layout { schema: Arc::new(found.schema), reading, rows: found.whole.then_some(found.rows) })
}

/// The names of a file's columns, by its first line; without a header, by position.
pub(crate) async fn columns(file: &TextFile, delimiter: u8, header: bool) -> Result<Vec<String>, ConnectorError> {
    let meta = file.meta.clone();
    file.read(move |reader| {
        let mut lines = builder(delimiter).from_reader(reader);
        let mut first = ByteRecord::new();
        lines.read_byte_record(&mut first).map_err(|error| broken(&meta, error.into()))?;
        let titles: Vec<_> = first.iter().map(|field| String::from_utf8_lossy(field).into_owned()).collect();
        Ok(names(header.then_some(titles.as_slice()), titles.len()))
    })
    .await
}

struct Found {
    schema: Schema,
    delimiter: u8,
    header: bool,
    rows: u64,
    multiline: bool,
    /// The whole file was looked at.
    whole: bool,
}

fn look(mut reader: TextReader, meta: &ObjectMeta, hints: Hints, look_at: u64) -> Result<Found, ConnectorError> {
    let head = reader.peek(SNIFFED).map_err(|error| broken(meta, error))?;
    let delimiter = hints.delimiter.unwrap_or_else(|| sniff(&head));
    let mut lines = builder(delimiter).from_reader(reader);
    let mut first = ByteRecord::new();
    if !lines.read_byte_record(&mut first).map_err(|error| broken(meta, error.into()))? {
        return Err(unreadable(&meta.location, "the file is empty", None));
    }
    let mut columns = vec![Guess::default(); first.len()];
    let (mut record, mut rows, mut multiline, mut whole) = (ByteRecord::new(), 0_u64, false, true);
    while lines.read_byte_record(&mut record).map_err(|error| broken(meta, error.into()))? {
        let line = record.position().map(csv::Position::line);
        if record.len() != first.len() {
            let reason =
                format!("line {} has {} fields, expected {}", line.unwrap_or_default(), record.len(), first.len());
            return Err(unreadable(&meta.location, reason, line));
        }
        for (guess, field) in columns.iter_mut().zip(&record) {
            let text = std::str::from_utf8(field)
                .map_err(|_| unreadable(&meta.location, "it is not UTF-8 text; save it as UTF-8", line))?;
            multiline |= text.contains(['\n', '\r']);
            guess.see(text);
        }
        rows += 1;
        if rows >= SAMPLED_LINES && lines.position().byte() > look_at {
            whole = false;
            break;
        }
    }
    let titles: Vec<String> = first
        .iter()
        .map(|field| String::from_utf8(field.to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|_| unreadable(&meta.location, "it is not UTF-8 text; save it as UTF-8", Some(1)))?;
    multiline |= titles.iter().any(|title| title.contains(['\n', '\r']));
    let header = hints.has_header.unwrap_or_else(|| is_header(&titles, &columns));
    if !header {
        rows += 1;
        columns.iter_mut().zip(&titles).for_each(|(guess, text)| guess.see(text));
    }
    let names = names(header.then_some(titles.as_slice()), columns.len());
    let fields = names.into_iter().zip(&columns).map(|(name, guess)| Field::new(name, guess.data_type(), true));
    Ok(Found { schema: Schema::new(fields.collect::<Vec<_>>()), delimiter, header, rows, multiline, whole })
}

fn builder(delimiter: u8) -> ReaderBuilder {
    let mut builder = ReaderBuilder::new();
    builder.has_headers(false).flexible(true).delimiter(delimiter);
    builder
}

/// The delimiter that cuts the first lines into the most fields, the same number each; else the comma.
fn sniff(head: &[u8]) -> u8 {
    let complete = if head.len() < SNIFFED { head.len() } else { head.iter().rposition(|b| *b == b'\n').unwrap_or(0) };
    let fields = |delimiter: &u8| {
        let mut lines = builder(*delimiter).from_reader(&head[..complete]);
        let counts: Vec<usize> =
            lines.byte_records().take(SNIFFED_LINES).map_while(Result::ok).map(|record| record.len()).collect();
        let first = counts.first().copied().unwrap_or(0);
        let alike = counts.iter().filter(|count| **count == first).count();
        // A few odd lines are a mistake to be told of, not a sign of another delimiter.
        if first > 1 && alike * 10 >= counts.len() * 9 { first } else { 1 }
    };
    let best = DELIMITERS.iter().rev().max_by_key(|delimiter| fields(delimiter));
    best.copied().filter(|delimiter| fields(delimiter) > 1).unwrap_or(b',')
}

/// A first line is a header when all of it is text that differs, unless the column below it is text of the same
/// sort and it holds a number or date itself.
fn is_header(titles: &[String], columns: &[Guess]) -> bool {
    let distinct: HashSet<_> = titles.iter().map(|title| title.trim().to_lowercase()).collect();
    let plain = titles.iter().all(|title| {
        let mut guess = Guess::default();
        guess.see(title);
        !title.trim().is_empty() && guess.data_type() == DataType::Utf8
    });
    let typed_below = columns.iter().any(|guess| guess.seen && guess.data_type() != DataType::Utf8);
    (plain && distinct.len() == titles.len())
        || (typed_below && titles.iter().zip(columns).all(|(title, guess)| !guess.seen || !guess.fits(title)))
}

/// Names that differ; a nameless column is called by its position.
pub(super) fn names(titles: Option<&[String]>, count: usize) -> Vec<String> {
    distinct((0..count).map(|index| {
        let title = titles.and_then(|titles| titles.get(index)).map_or("", |title| title.trim());
        if title.is_empty() { format!("column_{}", index + 1) } else { title.to_owned() }
    }))
}

/// What all values of a column can be read as, by the parsers that the scan uses.
#[derive(Debug, Clone)]
struct Guess {
    seen: bool,
    boolean: bool,
    integer: bool,
    float: bool,
    date: bool,
    moment: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self { seen: false, boolean: true, integer: true, float: true, date: true, moment: true }
    }
}

impl Guess {
    fn see(&mut self, text: &str) {
        if text.is_empty() {
            return;
        }
        self.seen = true;
        self.boolean = self.boolean && (text.eq_ignore_ascii_case("true") || text.eq_ignore_ascii_case("false"));
        let number = (self.integer || self.float) && looks_like_number(text);
        self.integer = self.integer && number && Int64Type::parse(text).is_some();
        self.float = self.float && number && Float64Type::parse(text).is_some();
        let dated = (self.date || self.moment) && looks_like_date(text);
        self.date = self.date && dated && text.len() == 10 && Date32Type::parse(text).is_some();
        self.moment = self.moment && dated && TimestampMicrosecondType::parse(text).is_some();
    }

    /// Whether one more text would leave the type as it is.
    fn fits(&self, text: &str) -> bool {
        let mut with = self.clone();
        with.see(text);
        with.data_type() == self.data_type()
    }

    fn data_type(&self) -> DataType {
        match self {
            Self { seen: false, .. } => DataType::Utf8,
            Self { boolean: true, .. } => DataType::Boolean,
            Self { integer: true, .. } => DataType::Int64,
            Self { float: true, .. } => DataType::Float64,
            Self { date: true, .. } => DataType::Date32,
            Self { moment: true, .. } => DataType::Timestamp(TimeUnit::Microsecond, None),
            _ => DataType::Utf8,
        }
    }
}

/// Digits with what belongs to a number. A leading zero means something in an article or telephone number.
fn looks_like_number(text: &str) -> bool {
    let digits = text.strip_prefix(['-', '+']).unwrap_or(text);
    let mut bytes = digits.bytes();
    let first = bytes.next().unwrap_or(b' ');
    (first.is_ascii_digit() || first == b'.')
        && !(first == b'0' && bytes.next().is_some_and(|second| second.is_ascii_digit()))
        && digits.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'e' | b'E' | b'-' | b'+'))
}

fn looks_like_date(text: &str) -> bool {
    matches!(text.as_bytes(), [a, b, c, d, b'-', e, f, b'-', g, h, ..]
        if [a, b, c, d, e, f, g, h].iter().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guess(values: &[&str]) -> DataType {
        let mut guess = Guess::default();
        values.iter().for_each(|value| guess.see(value));
        guess.data_type()
    }

    #[test]
    fn types_are_those_of_all_values() {
        assert_eq!(guess(&["1", "", "-7"]), DataType::Int64);
        assert_eq!(guess(&["1", "2.5"]), DataType::Float64);
        assert_eq!(guess(&["1", "x"]), DataType::Utf8);
        assert_eq!(guess(&["true", "FALSE"]), DataType::Boolean);
        assert_eq!(guess(&["2024-02-29"]), DataType::Date32);
        assert_eq!(guess(&["2024-02-30"]), DataType::Utf8);
        assert_eq!(guess(&["2024-02-29", "2024-02-29T10:00:00Z"]), DataType::Timestamp(TimeUnit::Microsecond, None));
        assert_eq!(guess(&["00123"]), DataType::Utf8, "a leading zero");
        assert_eq!(guess(&["nan", "inf"]), DataType::Utf8);
        assert_eq!(guess(&["99999999999999999999"]), DataType::Float64);
        assert_eq!(guess(&["", ""]), DataType::Utf8);
    }

    #[test]
    fn delimiters_are_found() {
        assert_eq!(sniff(b"a;b;c\n1,5;2;3\n2,5;3;4\n"), b';');
        assert_eq!(sniff(b"a\tb\n1\t2\n"), b'\t');
        assert_eq!(sniff(b"a|b\n1|2\n"), b'|');
        assert_eq!(sniff(b"\"a,x\",b\n1,2\n"), b',');
        assert_eq!(sniff(b"one\ntwo\n"), b',');
        assert_eq!(sniff(b""), b',');
    }

    #[test]
    fn names_differ() {
        let titles = ["id", "ID", "", "id_2"].map(str::to_owned);
        assert_eq!(names(Some(&titles), 4), ["id", "ID_2", "column_3", "id_2_2"]);
        assert_eq!(names(None, 2), ["column_1", "column_2"]);
    }
}
