//! What the files of a table hold: one schema for all of them.
//!
//! Columns are put together by name. Where two files differ in a column's type, numbers give way to wider ones of
//! their sort; in text files, where types were guessed, everything gives way to text; anything else is an error
//! that names both files. Of a folder with many files some are looked at, spread over all of them.

use std::collections::HashMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStore};

use super::folder::csv_differs;
use super::listing::{Format, Found, Shape};
use crate::files::{LOOKED_AT, Layout, Reading, TextFile, avro, csv, json, parquet, unreadable};
use crate::{ConnectorError, SourceConfig};

/// Files of a folder that are looked into, of binary formats and of text.
const BINARY: usize = 200;
const TEXTS: usize = 40;
/// Of a text file in a folder of many, at least.
const LEAST: u64 = 1024 * 1024;
/// Files that are looked into at the same time.
const AT_ONCE: usize = 8;

/// What Hive calls a value that is missing.
const HIVE_NULL: &str = "__HIVE_DEFAULT_PARTITION__";

#[derive(Debug)]
pub(super) struct TableLayout {
    /// Of the files alone.
    pub schema: SchemaRef,
    pub reading: Reading,
    /// Columns whose values stand in the names of folders.
    pub partitions: Vec<(String, DataType)>,
    /// Where all of them were counted.
    pub rows: Option<u64>,
}

pub(super) async fn of(
    store: &Arc<dyn ObjectStore>,
    found: &Found,
    config: &SourceConfig,
) -> Result<TableLayout, ConnectorError> {
    let root = found.place.root()?;
    if let Some(problem) = &found.problem {
        return Err(unreadable(&root, problem.clone(), None));
    }
    let text = !matches!(found.place.format, Format::Parquet | Format::Avro);
    let sample = spread(&found.files, if text { TEXTS } else { BINARY });
    let whole = sample.len() == found.files.len();
    let look_at = (LOOKED_AT / sample.len().max(1) as u64).max(LEAST);
    let layouts = futures::stream::iter(sample.into_iter().cloned()).map(|meta| async move {
        let layout = of_file(store, &meta, found, config, look_at).await?;
        Ok::<_, ConnectorError>((meta.location, layout))
    });
    let layouts: Vec<(Path, Layout)> = layouts.buffered(AT_ONCE).try_collect().await?;
    let rows = layouts.iter().map(|(_, layout)| layout.rows).sum::<Option<u64>>().filter(|_| whole);
    let mut reading = reading(&layouts)?;
    if let (Shape::Folder, Reading::Csv { multiline, .. }) = (found.place.shape, &mut reading) {
        // A file that comes later may have line ends in its fields. There are several to be read side by side.
        *multiline = true;
    }
    let partitions = partitions(found, &root);
    let schema = merged(&layouts, text)?;
    // The folder's name says what the column holds, where the files say it too.
    let named = |field: &&Arc<Field>| !partitions.iter().any(|(name, _)| name == field.name());
    let fields: Fields = schema.fields().iter().filter(named).cloned().collect();
    if matches!(reading, Reading::Csv { .. }) && fields.len() < schema.fields().len() {
        return Err(unreadable(&root, "its files have a column with the same name as a partition", None));
    }
    Ok(TableLayout { schema: Arc::new(Schema::new(fields)), reading, partitions, rows })
}

/// The files if they are few, else some of them, the first and the last among them.
fn spread(files: &[ObjectMeta], most: usize) -> Vec<&ObjectMeta> {
    if files.len() <= most {
        return files.iter().collect();
    }
    (0..most).filter_map(|n| files.get(n * (files.len() - 1) / (most - 1))).collect()
}

async fn of_file(
    store: &Arc<dyn ObjectStore>,
    meta: &ObjectMeta,
    found: &Found,
    config: &SourceConfig,
    look_at: u64,
) -> Result<Layout, ConnectorError> {
    let compression = found.place.compression;
    let text = TextFile { files: store.clone(), meta: meta.clone(), compression, look_at };
    match found.place.format {
        Format::Parquet => parquet::layout(store, meta).await,
        Format::Avro => avro::layout(store, meta).await,
        Format::Json => json::layout(&text, true).await,
        Format::Jsonl => json::layout(&text, false).await,
        Format::Csv => csv::layout(&text, csv::Hints::of(config)).await,
        Format::Tsv => csv::layout(&text, csv::Hints::of(config).for_tsv()).await,
    }
}

/// The way to read all of them.
fn reading(layouts: &[(Path, Layout)]) -> Result<Reading, ConnectorError> {
    let Some((first_path, first)) = layouts.first() else {
        return Err(ConnectorError::Unsupported("the folder holds no files".to_owned()));
    };
    let mut reading = first.reading.clone();
    let expected: Vec<String> = first.schema.fields().iter().map(|field| field.name().clone()).collect();
    for (path, layout) in layouts {
        let fits = match (&mut reading, &layout.reading) {
            (
                Reading::Csv { delimiter, header, multiline, .. },
                Reading::Csv { delimiter: other, header: theirs, multiline: lines, .. },
            ) => {
                *multiline |= lines;
                let found: Vec<String> = layout.schema.fields().iter().map(|field| field.name().clone()).collect();
                if (*delimiter, *header) == (*other, *theirs) && found != expected {
                    return Err(unreadable(path, csv_differs(&found, &expected), None));
                }
                (*delimiter, *header) == (*other, *theirs)
            }
            (one, other) => one == other,
        };
        if !fits {
            let first = first_path.filename().unwrap_or_default();
            let reason = format!(
                "it is written differently from {first} (delimiter, header line, or one array instead of lines); put \
                 it into a folder of its own"
            );
            return Err(unreadable(path, reason, None));
        }
    }
    Ok(reading)
}

/// The columns of all files, in the order in which they first appear. Each may be null: there are, or will be, files
/// without it.
fn merged(layouts: &[(Path, Layout)], text: bool) -> Result<Schema, ConnectorError> {
    let mut order: Vec<String> = Vec::new();
    let mut known: HashMap<String, (DataType, &Path)> = HashMap::new();
    for (path, layout) in layouts {
        for field in layout.schema.fields() {
            let Some((together, first)) = known.get_mut(field.name()) else {
                order.push(field.name().clone());
                known.insert(field.name().clone(), (field.data_type().clone(), path));
                continue;
            };
            *together = wider(together, field.data_type(), text).ok_or_else(|| {
                let first = first.filename().unwrap_or_default();
                let (name, theirs) = (field.name(), field.data_type());
                unreadable(path, format!("column {name} is {theirs} in it and {together} in {first}"), None)
            })?;
        }
    }
    let fields = order.iter().filter_map(|name| known.remove(name).map(|(kind, _)| Field::new(name, kind, true)));
    Ok(Schema::new(fields.collect::<Vec<_>>()))
}

/// A type that holds the values of both; none where they are of different sorts.
fn wider(one: &DataType, other: &DataType, text: bool) -> Option<DataType> {
    use DataType::*;
    let rank = |kind: &DataType| match kind {
        Int8 => Some(1),
        Int16 => Some(2),
        Int32 => Some(3),
        Int64 => Some(4),
        _ => None,
    };
    Some(match (one, other) {
        (a, b) if a == b => a.clone(),
        (Null, kind) | (kind, Null) => kind.clone(),
        (a, b) if rank(a).is_some() && rank(b).is_some() => {
            if rank(a) > rank(b) {
                a.clone()
            } else {
                b.clone()
            }
        }
        (Float32, Float64) | (Float64, Float32) => Float64,
        // Of guessed types only: a fraction does not hold every whole number of 64 bits.
        (Int64, Float64) | (Float64, Int64) if text => Float64,
        (Utf8 | LargeUtf8 | Utf8View, Utf8 | LargeUtf8 | Utf8View) => Utf8View,
        (Binary | LargeBinary | BinaryView, Binary | LargeBinary | BinaryView) => BinaryView,
        (Decimal128(p, s), Decimal128(q, t)) => {
            let scale = *s.max(t);
            let whole = (i16::from(*p) - i16::from(*s)).max(i16::from(*q) - i16::from(*t));
            let precision = u8::try_from(whole + i16::from(scale)).ok().filter(|precision| *precision <= 38)?;
            Decimal128(precision, scale)
        }
        (Timestamp(a, zone), Timestamp(b, other)) if zone == other => Timestamp(finer(*a, *b), zone.clone()),
        (Struct(a), Struct(b)) => {
            let mut fields: Vec<Field> = a.iter().map(|field| field.as_ref().clone()).collect();
            for field in &mut fields {
                match b.iter().find(|theirs| theirs.name() == field.name()) {
                    Some(theirs) => {
                        let kind = wider(field.data_type(), theirs.data_type(), text)?;
                        let nullable = field.is_nullable() || theirs.is_nullable();
                        *field = field.clone().with_data_type(kind).with_nullable(nullable);
                    }
                    None => *field = field.clone().with_nullable(true),
                }
            }
            let new = b.iter().filter(|theirs| !a.iter().any(|field| field.name() == theirs.name()));
            fields.extend(new.map(|field| field.as_ref().clone().with_nullable(true)));
            Struct(fields.into())
        }
        (List(a), List(b)) => {
            let kind = wider(a.data_type(), b.data_type(), text)?;
            List(Arc::new(a.as_ref().clone().with_data_type(kind).with_nullable(a.is_nullable() || b.is_nullable())))
        }
        (a, b) if text && !a.is_nested() && !b.is_nested() => Utf8,
        _ => return None,
    })
}

fn finer(one: TimeUnit, other: TimeUnit) -> TimeUnit {
    let rank = |unit: TimeUnit| match unit {
        TimeUnit::Second => 0,
        TimeUnit::Millisecond => 1,
        TimeUnit::Microsecond => 2,
        TimeUnit::Nanosecond => 3,
    };
    if rank(one) > rank(other) { one } else { other }
}

/// The types of the partitions' columns, by the values of all files.
fn partitions(found: &Found, root: &Path) -> Vec<(String, DataType)> {
    let names = &found.place.partitions;
    let mut guesses = vec![Guess::default(); names.len()];
    for file in &found.files {
        let below = file.location.prefix_match(root).into_iter().flatten();
        for (guess, folder) in guesses.iter_mut().zip(below) {
            let value = folder.as_ref().split_once('=').map_or("", |(_, value)| value);
            guess.see(&percent_encoding::percent_decode_str(value).decode_utf8_lossy());
        }
    }
    names.iter().cloned().zip(guesses.iter().map(Guess::data_type)).collect()
}

/// What all values of a partition can be read as.
#[derive(Debug, Clone)]
struct Guess {
    integer: bool,
    date: bool,
}

impl Default for Guess {
    fn default() -> Self {
        Self { integer: true, date: true }
    }
}

impl Guess {
    fn see(&mut self, value: &str) {
        // A month may be written 01; a longer number that begins so is a code.
        let padded = value.len() > 2 && value.starts_with('0');
        self.integer &= value != HIVE_NULL && !padded && !value.starts_with('+') && value.parse::<i64>().is_ok();
        self.date &= value.len() == 10 && value.parse::<chrono::NaiveDate>().is_ok();
    }

    fn data_type(&self) -> DataType {
        match self {
            Self { integer: true, .. } => DataType::Int64,
            Self { date: true, .. } => DataType::Date32,
            _ => DataType::Utf8,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_widen_within_their_sort() {
        use DataType::*;
        assert_eq!(wider(&Int32, &Int64, false), Some(Int64));
        assert_eq!(wider(&Int64, &Float64, false), None);
        assert_eq!(wider(&Int64, &Float64, true), Some(Float64));
        assert_eq!(wider(&Int64, &Utf8, true), Some(Utf8));
        assert_eq!(wider(&Utf8View, &Int64, false), None);
        assert_eq!(wider(&Decimal128(10, 2), &Decimal128(12, 4), false), Some(Decimal128(12, 4)));
        assert_eq!(wider(&Decimal128(38, 0), &Decimal128(38, 4), false), None);
        let place = |fields: &[(&str, DataType)]| {
            Struct(fields.iter().map(|(name, kind)| Field::new(*name, kind.clone(), false)).collect())
        };
        let both = wider(&place(&[("a", Int32)]), &place(&[("a", Int64), ("b", Utf8)]), false).unwrap();
        let Struct(fields) = both else { panic!("a struct") };
        assert_eq!((fields[0].data_type(), fields[1].is_nullable()), (&Int64, true));
    }

    #[test]
    fn partitions_have_types() {
        let guess = |values: &[&str]| {
            let mut guess = Guess::default();
            values.iter().for_each(|value| guess.see(value));
            guess.data_type()
        };
        assert_eq!(guess(&["2025", "2026"]), DataType::Int64);
        assert_eq!(guess(&["01", "12"]), DataType::Int64);
        assert_eq!(guess(&["01067", "80331"]), DataType::Utf8);
        assert_eq!(guess(&["2025-01-31"]), DataType::Date32);
        assert_eq!(guess(&["DE", "1"]), DataType::Utf8);
        assert_eq!(guess(&["1", HIVE_NULL]), DataType::Utf8);
    }

    #[test]
    fn samples_reach_from_the_first_to_the_last() {
        let file = |n: u64| ObjectMeta {
            location: Path::from(format!("{n:04}")),
            last_modified: chrono::DateTime::UNIX_EPOCH,
            size: n,
            e_tag: None,
            version: None,
        };
        let files: Vec<_> = (0..1_000).map(file).collect();
        let sample = spread(&files, 40);
        assert_eq!((sample.len(), sample[0].size, sample[39].size), (40, 0, 999));
        assert_eq!(spread(&files[..3], 40).len(), 3);
    }
}
